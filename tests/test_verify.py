"""Estimates held against exact posteriors: right ones pass, each seeded bug is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from partialpool import fitting, pooling, programs, verify
from partialpool.data import GroupedData, group_stats
from partialpool.errors import InputError
from partialpool.exact import HierarchicalPosterior, exact_draws, hierarchical
from partialpool.priors import HalfCauchy, Normal, Uniform
from partialpool.programs import Priors
from partialpool.summaries import summarize

DRAWS = 1000


@pytest.fixture(scope="module")
def posterior(homework: GroupedData) -> HierarchicalPosterior:
    found = verify.exact_posterior(
        "hierarchical_centered", homework.stats, programs.priors_for(homework)
    )
    assert isinstance(found, HierarchicalPosterior)
    return found


@pytest.fixture(scope="module")
def known(posterior: HierarchicalPosterior) -> pd.DataFrame:
    return verify.exact_summary({"m": posterior})


def drawn(posterior: HierarchicalPosterior, seed: int = 1) -> dict[str, Any]:
    draws = exact_draws(posterior, rng=np.random.default_rng(seed), size=4 * DRAWS)
    return draws | {"tau2": draws["tau"] ** 2, "sigma2": draws["sigma"] ** 2}


def estimates(draws: dict[str, Any], labels: tuple[str, ...], model: str = "m") -> pd.DataFrame:
    rows = [(name, "", x) for name, x in draws.items() if x.ndim == 1]
    rows += [("theta", label, draws["theta"][:, j]) for j, label in enumerate(labels)]
    parameters, groups, values = zip(*rows, strict=True)
    found = summarize(np.stack(values).reshape(len(rows), 4, -1))
    about = {"model": model, "parameter": parameters, "group": groups}
    return pd.DataFrame(about | found)


def judged(draws: dict[str, Any], known: pd.DataFrame) -> pd.Series:
    labels = tuple(known.loc[known["parameter"] == "theta", "group"])
    comparison = verify.compare_with_exact(estimates(draws, labels), known)
    return verify.agreement(comparison).iloc[0]


def test_right_draws_agree(posterior: HierarchicalPosterior, known: pd.DataFrame) -> None:
    verdict = judged(drawn(posterior), known)
    # theta_1..8, mu, tau, sigma, tau2, sigma2, each with mean, median and two quantiles
    assert verdict["numbers"] == 13 * 4
    assert verdict["agrees"]
    assert 0.85 < verdict["share_within_2"] <= 1
    assert verdict["quadrature_error"] < 1e-6
    sentence = verify.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.startswith("m: 52 numbers against the exact posterior; the largest")
    assert sentence.endswith("agrees.")


def doubled_noise(draws: dict[str, Any]) -> dict[str, Any]:
    center = draws["theta"].mean(axis=0)
    return draws | {"theta": center + 1.2 * (draws["theta"] - center)}


def sigma_for_sigma2(draws: dict[str, Any]) -> dict[str, Any]:
    return draws | {"sigma2": draws["sigma"]}


def labels_turned(draws: dict[str, Any]) -> dict[str, Any]:
    return draws | {"theta": draws["theta"][:, ::-1]}


@pytest.mark.parametrize("bug", [doubled_noise, sigma_for_sigma2, labels_turned])
def test_wrong_draws_differ(
    posterior: HierarchicalPosterior, known: pd.DataFrame, bug: Any
) -> None:
    verdict = judged(bug(drawn(posterior)), known)
    assert not verdict["agrees"]
    sentence = verify.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.endswith("DIFFERS.")


@pytest.mark.parametrize(
    "wrong", [{"tau": HalfCauchy(1)}, {"mu": Normal(7, 1)}], ids=["prior of tau", "prior of mu"]
)
def test_draws_under_another_prior_differ(
    homework: GroupedData, known: pd.DataFrame, wrong: dict[str, Any]
) -> None:
    priors = {"mu": Normal(20, 10), "tau": Uniform(1000), "sigma": Uniform(1000)} | wrong
    assert not judged(drawn(hierarchical(homework.stats, **priors)), known)["agrees"]


def test_draws_without_the_jacobian_of_log_tau_differ(
    posterior: HierarchicalPosterior, known: pd.DataFrame
) -> None:
    # Forgetting it leaves a prior of tau proportional to 1/tau: resample by that weight.
    draws = drawn(posterior)
    weights = 1 / draws["tau"]
    rng = np.random.default_rng(3)
    chosen = rng.choice(weights.size, weights.size, p=weights / weights.sum())
    assert not judged({name: x[chosen] for name, x in draws.items()}, known)["agrees"]


def test_draws_given_all_observations_but_one_differ(
    homework: GroupedData, known: pd.DataFrame
) -> None:
    keep = np.arange(homework.y.size) != np.argmax(homework.y)
    fewer = group_stats(homework.y[keep], homework.group[keep], homework.labels)
    priors = {"mu": Normal(20, 10), "tau": Uniform(1000), "sigma": Uniform(1000)}
    assert not judged(drawn(hierarchical(fewer, **priors)), known)["agrees"]


def test_an_estimate_that_is_not_finite_has_failed(
    posterior: HierarchicalPosterior, known: pd.DataFrame
) -> None:
    draws = drawn(posterior)
    draws["mu"] = np.where(np.arange(draws["mu"].size) == 7, np.nan, draws["mu"])
    verdict = judged(draws, known)
    assert not verdict["agrees"]
    assert verdict["parameter"] == "mu"
    sentence = verify.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.endswith("the mean of mu cannot be compared, so the fit has failed.")


def test_means_without_a_variance_are_left_out() -> None:
    data = group_stats(np.array([1.0, 2, 4, 3, 5, 6]), np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))
    posterior = hierarchical(data, mu=Normal(0, 5), tau=HalfCauchy(2), sigma=HalfCauchy(2))
    known = verify.exact_summary({"m": posterior})
    comparison = verify.compare_with_exact(estimates(drawn(posterior), ("a", "b")), known)
    statistics = comparison.groupby("parameter", sort=False)["statistic"].agg(list)
    assert statistics["tau2"] == ["q2.5", "median", "q97.5"]
    assert statistics["tau"] == ["mean", "q2.5", "median", "q97.5"]
    assert verify.agreement(comparison)["agrees"].all()


def test_sds_are_compared_where_their_errors_are_known(
    posterior: HierarchicalPosterior, known: pd.DataFrame
) -> None:
    table = estimates(drawn(posterior), posterior.labels)
    table["mcse_sd"] = table["sd"] / np.sqrt(2 * 4 * DRAWS)
    comparison = verify.compare_with_exact(table, known)
    theta = comparison[(comparison["parameter"] == "theta") & (comparison["statistic"] == "sd")]
    assert len(theta) == 8
    assert theta["in_mcse"].max() < 4.5


def test_models_are_told_apart(posterior: HierarchicalPosterior) -> None:
    known = verify.exact_summary({"one": posterior, "two": posterior})
    draws = drawn(posterior)
    good = estimates(draws, posterior.labels, "one")
    bad = estimates(draws | {"mu": draws["mu"] + 1}, posterior.labels, "two")
    verdicts = verify.agreement(verify.compare_with_exact(pd.concat([good, bad]), known))
    assert verdicts.set_index("model")["agrees"].to_dict() == {"one": True, "two": False}
    assert verdicts["parameter"].tolist()[1] == "mu"


def test_other_programs_and_missing_settings_are_refused(homework: GroupedData) -> None:
    priors = programs.priors_for(homework)
    with pytest.raises(InputError, match="exact posterior of 'mine' is not known"):
        verify.exact_posterior("mine", homework.stats, priors)
    with pytest.raises(InputError, match="theta_location is missing"):
        verify.exact_posterior("no_pooling", homework.stats, Priors({}))
    with pytest.raises(InputError, match="mu_location is missing"):
        verify.exact_posterior("hierarchical_marginal", homework.stats, Priors({}))


@pytest.mark.stan
def test_fits_of_the_shipped_programs_agree_with_their_exact_posteriors(
    homework: GroupedData, lesson_fits: dict[str, fitting.Fit]
) -> None:
    priors = programs.priors_for(homework)
    known = verify.exact_summary(
        {name: verify.exact_posterior(name, homework.stats, priors) for name in lesson_fits}
    )
    table = pooling.estimates(list(lesson_fits.values()), homework)
    verdicts = verify.agreement(verify.compare_with_exact(table, known))
    assert set(verdicts["model"]) == set(lesson_fits)
    assert verdicts["agrees"].all(), verify.describe_agreement(verdicts)
    assert (verdicts["quadrature_error"] < 1e-6).all()
    numbers = verdicts.set_index("model")["numbers"]
    assert numbers["complete_pooling"] == 3 * 4
    assert numbers["no_pooling"] == 3 * 8 * 4
    assert numbers["hierarchical_noncentered"] == (8 + 7) * 4
