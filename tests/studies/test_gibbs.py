"""The Gibbs sampler, against the exact posterior under the same priors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arviz_stats.base import array_stats

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import NORMAL
from partialpool.families.exact import hierarchical
from partialpool.families.moments import GroupStats
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfCauchy, InverseGammaVariance, Normal
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.studies.gibbs import gibbs, hoff_priors
from partialpool.studies.gibbs_check import compare_samplers
from partialpool.tables import exactness

UNBALANCED = GroupStats(
    ("a", "b", "c", "d", "e"),
    np.array([1, 2, 40, 7, 3]),
    np.array([101.0, 96.5, 99.0, 103.2, 98.4]),
    np.array([0.0, 3.1, 170.0, 31.0, 9.5]),
)


def flattened(draws: dict[str, Any], labels: tuple[str, ...]) -> dict[tuple[str, str], Any]:
    scalars = {(name, ""): values for name, values in draws.items() if values.ndim == 2}
    return scalars | {("theta", label): draws["theta"][:, :, j] for j, label in enumerate(labels)}


@pytest.mark.parametrize("case", ["exercise 8.3 of Hoff", "weak priors", "unbalanced"])
def test_draws_agree_with_the_exact_posterior(homework: GroupedData, case: str) -> None:
    weak = {
        "mu": Normal(20, 10),
        "tau": InverseGammaVariance(1, 1),
        "sigma": InverseGammaVariance(0.01, 0.01),
    }
    far = {
        "mu": Normal(90, 20),
        "tau": InverseGammaVariance(2, 6),
        "sigma": InverseGammaVariance(1, 4),
    }
    data, priors = {
        "exercise 8.3 of Hoff": (homework.stats, hoff_priors()),
        "weak priors": (homework.stats, weak),
        "unbalanced": (UNBALANCED, far),
    }[case]
    draws = gibbs(data, **priors, rng=np.random.default_rng(83), warmup=300, draws=2000)
    posterior = hierarchical(data, **priors)
    exact = posterior.summary().set_index(["parameter", "group"])
    for key, values in flattened(draws, posterior.labels).items():
        row = exact.loc[key]
        assert array_stats.rhat(values) < 1.01, key
        error = values.mean() - row["mean"]
        assert abs(error) < 4.5 * array_stats.mcse(values, method="mean"), key
        for name, p in (("q2.5", 0.025), ("median", 0.5), ("q97.5", 0.975)):
            error = np.quantile(values, p) - row[name]
            limit = 4.5 * array_stats.mcse(values, method="quantile", prob=p)
            assert abs(error) < limit, (key, name)


def test_exercise_8_3_of_hoff_has_its_priors() -> None:
    assert hoff_priors() == {
        "mu": Normal(7, 5**0.5),
        "tau": InverseGammaVariance(1, 10),
        "sigma": InverseGammaVariance(1, 15),
    }


def test_draws_have_the_stated_shapes_and_relations() -> None:
    rng = np.random.default_rng(1)
    draws = gibbs(UNBALANCED, **hoff_priors(), rng=rng, chains=3, warmup=0, draws=11)
    assert {name: values.shape for name, values in draws.items()} == {
        "mu": (3, 11),
        "theta": (3, 11, 5),
        "tau2": (3, 11),
        "sigma2": (3, 11),
        "tau": (3, 11),
        "sigma": (3, 11),
    }
    assert draws["tau"] ** 2 == pytest.approx(draws["tau2"], rel=1e-14)
    assert draws["sigma"] ** 2 == pytest.approx(draws["sigma2"], rel=1e-14)


def test_warmup_is_left_out_of_the_same_chain() -> None:
    whole, kept = (
        gibbs(UNBALANCED, **hoff_priors(), rng=np.random.default_rng(2), warmup=w, draws=20 - w)
        for w in (0, 5)
    )
    for name, values in kept.items():
        assert np.array_equal(values, whole[name][:, 5:])


def test_same_seed_same_draws() -> None:
    first, second, other = (
        gibbs(UNBALANCED, **hoff_priors(), rng=np.random.default_rng(seed), draws=20)
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first["theta"], second["theta"])
    assert not np.array_equal(first["theta"], other["theta"])


def test_chains_start_apart() -> None:
    rng = np.random.default_rng(5)
    draws = gibbs(UNBALANCED, **hoff_priors(), rng=rng, chains=8, warmup=0, draws=1)
    assert np.unique(draws["mu"]).size == 8


def test_what_the_sampler_cannot_do_is_refused() -> None:
    priors = hoff_priors()
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match=r"inverse-gamma prior of tau\^2, not half_cauchy\(5\)"):
        gibbs(UNBALANCED, **priors | {"tau": HalfCauchy(5)}, rng=rng)
    with pytest.raises(InputError, match="0 chains of 10 draws after -1"):
        gibbs(UNBALANCED, **priors, rng=rng, chains=0, draws=10, warmup=-1)
    broken = GroupStats(("a",), np.array([0]), np.array([1.0]), np.array([0.0]))
    with pytest.raises(InputError, match="n must be 1 or more"):
        gibbs(broken, **priors, rng=rng)


# Beside Stan


def test_stan_and_gibbs_agree_with_the_exact_posterior(
    homework: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    choice = NORMAL.named_choices(homework.stats, priors_for(homework))["hoff"]
    settings = Settings(warmup=500, draws=1000)
    found = compare_samplers(homework, choice, settings=settings, cmdstan=cmdstan)
    verdict = exactness.agreement(found.comparison).set_index("model")
    assert verdict.index.tolist() == ["Stan", "Gibbs"]
    assert verdict["agrees"].all(), exactness.one_line(verdict.reset_index())
    assert (verdict["numbers"] > 350).all()
    speed = found.speed.set_index("sampler")
    assert (speed["draws"] == 4000).all()
    assert (speed["ess"] > 400).all()
    assert speed["ess_per_second"].to_numpy() == pytest.approx(speed["ess"] / speed["seconds"])


def test_samplers_are_compared_under_inverse_gamma_priors_only(homework: GroupedData) -> None:
    named = NORMAL.named_choices(homework.stats, priors_for(homework))
    with pytest.raises(InputError, match="half_cauchy: the Gibbs sampler needs inverse-gamma"):
        compare_samplers(homework, named["half_cauchy"])
