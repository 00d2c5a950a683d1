"""Groups whose parameter is not normal given the population, for any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import optimize, special

from partialpool.families.conjugate import BETA, GAMMA, Conjugate
from partialpool.families.proportions import Proportions
from partialpool.families.proportions.logit_normal import LogitNormalProportions
from partialpool.families.rates import Rates
from partialpool.priors.linked import LOGIT
from partialpool.tables import group_draws, group_posterior
from partialpool.tables.group_draws import _above, draw_groups, group_contrasts, group_ranks
from partialpool.tables.group_posterior import group_estimates


@pytest.fixture(scope="module")
def posterior() -> xr.Dataset:
    rng = np.random.default_rng(1)
    mu = special.expit(rng.normal(-1, 0.2, (4, 250)))
    size = np.exp(rng.normal(3, 0.7, (4, 250)))
    tau = np.sqrt(mu * (1 - mu) / (1 + size))
    draws = {"mu": mu, "tau": tau, "sigma": tau * np.sqrt(size)}
    return xr.Dataset({name: (("chain", "draw"), value) for name, value in draws.items()})


def counts(J: int, most: int) -> Proportions:
    rng = np.random.default_rng(J)
    trials = rng.integers(0, most + 1, J)
    successes = rng.binomial(trials, rng.beta(4, 11, J))
    return Proportions(tuple(f"g{j}" for j in range(J)), successes, trials)


def parts(posterior: xr.Dataset, successes: int, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of the beta distribution of a group, in each draw."""
    mu, tau, sigma = (posterior[name].to_numpy().ravel() for name in ("mu", "tau", "sigma"))
    size = (sigma / tau) ** 2
    return mu * size + successes, (1 - mu) * size + trials - successes


def known(posterior: xr.Dataset, successes: int, trials: int) -> pd.Series:
    """Mean, sd and quantiles of the mixture, by root finding."""
    a, b = parts(posterior, successes, trials)
    mean, total = a / (a + b), a + b
    values = {
        "mean": mean.mean(),
        "sd": np.sqrt((mean * (1 - mean) / (total + 1)).mean() + mean.var()),
    }
    for name, p in {"q2.5": 0.025, "median": 0.5, "q97.5": 0.975}.items():
        values[name] = optimize.brentq(
            lambda x, p=p: special.betainc(a, b, x).mean() - p, 1e-12, 1 - 1e-12, xtol=1e-12
        )
    return pd.Series(values)


@pytest.mark.parametrize(("J", "most"), [(40, 30), (900, 3000)])
def test_estimates_are_those_of_the_mixture(posterior: xr.Dataset, J: int, most: int) -> None:
    stats = counts(J, most)
    table = group_estimates(posterior, stats).set_index("group")
    assert table.notna().all(axis=None) or (stats.trials == 0).any()
    for j in np.linspace(0, J - 1, 12).astype(int):
        row = table.loc[stats.labels[j]]
        expected = known(posterior, int(stats.successes[j]), int(stats.trials[j]))
        found = row[list(expected.index)].astype(float)
        assert ((found - expected).abs() < 2e-4 * expected["sd"]).all(), (found, expected)


def test_a_group_without_trials_is_estimated_from_the_population(posterior: xr.Dataset) -> None:
    stats = Proportions(("a", "b"), np.array([0, 3]), np.array([0, 9]))
    row = group_estimates(posterior, stats, groups=["a"]).iloc[0]
    expected = known(posterior, 0, 0)
    assert np.isnan(row["raw_mean"])
    assert row["lambda_mean"] == pytest.approx(1)
    found = row[list(expected.index)].astype(float)
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4)


def test_monte_carlo_errors_are_those_of_the_draws(posterior: xr.Dataset) -> None:
    """Estimates from disjoint draws differ by about as much as the errors say."""
    stats = counts(30, 40)
    halves = [posterior.isel(draw=slice(k, None, 10)) for k in range(10)]
    tables = [group_estimates(half, stats) for half in halves]
    for name in ("mean", "q2.5", "median", "q97.5"):
        spread = np.std([table[name] for table in tables], axis=0, ddof=1)
        said = np.mean([table[f"mcse_{name}"] for table in tables], axis=0)
        assert 0.7 < float(np.median(said / spread)) < 1.4


@pytest.mark.parametrize("kind", [BETA, GAMMA])
def test_many_pairs_are_interpolated_from_few(
    kind: Conjugate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quantiles to what is allowed, errors to a few percent, at the groups that lie far out too."""
    rng = np.random.default_rng(5)
    mu, size = 0.06 * (1 + 0.01 * rng.normal(size=(4, 250))), 32 + rng.normal(size=(4, 250))
    tau = np.sqrt(mu * (1 - mu) / (1 + size) if kind is BETA else mu / size)
    hyper = group_posterior.Hyperdraws(mu, tau, tau * np.sqrt(size), kind)
    weight = np.floor(np.exp(rng.uniform(0, np.log(3000), 60_000)))
    theta = rng.beta(2, 30, 60_000) if kind is BETA else rng.gamma(2, 1 / 32, 60_000)
    theta[:200] *= 0.0
    theta[200:400] = rng.uniform(0.3, 0.9, 200)
    count = rng.binomial(weight.astype(int), theta) if kind is BETA else rng.poisson(weight * theta)
    weight, count = np.unique(np.stack([weight, count]), axis=1)
    distance = count / weight - hyper.origin
    worked_out: list[int] = []
    by_itself = group_posterior._exact_shape

    def counted(hyper: Any, n: np.ndarray, distance: np.ndarray) -> np.ndarray:
        worked_out.append(len(n))
        return by_itself(hyper, n, distance)

    monkeypatch.setattr(group_posterior, "_exact_shape", counted)
    found = group_posterior._shape(hyper, weight, distance)
    assert len(weight) > 20_000
    assert sum(worked_out) < 3000
    order = np.argsort(count / weight)
    at = np.concatenate([order[:40], order[-40:], rng.choice(len(weight), 100, replace=False)])
    exact = by_itself(hyper, weight[at], distance[at])
    squares = exact[5:] * hyper.unit_of_errors(weight[at], distance[at])
    allowed = max(1e-6, 0.02 * float(np.sqrt(np.median(squares))))
    assert np.abs(found[:5, at] - exact[:5]).max() < allowed
    assert found[5:, at] == pytest.approx(squares, rel=0.15)


def test_draws_contrasts_and_ranks_of_chosen_groups(posterior: xr.Dataset) -> None:
    stats = counts(60, 50)
    chosen = list(stats.labels[:3])
    theta = draw_groups(posterior, stats, chosen, seed=2)
    for label in chosen:
        j = stats.labels.index(label)
        expected = known(posterior, int(stats.successes[j]), int(stats.trials[j]))
        drawn = theta.sel(group=label).to_numpy().ravel()
        assert drawn.mean() == pytest.approx(expected["mean"], abs=5 * expected["sd"] / 31)
    pairs = group_contrasts(posterior, stats, chosen)
    drawn = theta.to_numpy().reshape(-1, 3)
    first = pairs.iloc[0]
    assert first["mean"] == pytest.approx((drawn[:, 0] - drawn[:, 1]).mean(), abs=0.02)
    assert first["p_greater"] == pytest.approx((drawn[:, 0] > drawn[:, 1]).mean(), abs=0.07)
    every = group_ranks(posterior, stats, list(stats.labels))
    assert every["expected_rank"].sum() == pytest.approx(60 * 61 / 2)
    assert every["p_best"].sum() == pytest.approx(1)
    some = group_ranks(posterior, stats, chosen)
    both = every.set_index("group").loc[chosen, "expected_rank"].to_numpy()
    assert some["expected_rank"].to_numpy() == pytest.approx(both, abs=1.5)


@pytest.mark.parametrize("kind", ["proportions", "rates"])
def test_ranks_of_groups_that_are_alike_are_those_of_draws(
    posterior: xr.Dataset, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many groups of a pair lie above one is binomial, given its theta."""
    J, rng = 600, np.random.default_rng(9)
    labels = tuple(f"g{j}" for j in range(J))
    trials = rng.integers(0, 6, J)
    successes = rng.binomial(trials, rng.beta(4, 11, J))
    stats: Proportions | Rates = Proportions(labels, successes, trials)
    draws = posterior
    if kind == "rates":
        stats = Rates(labels, successes, trials.astype(float))
        draws = posterior.assign(sigma=np.sqrt(posterior["mu"]), tau=0.1 * np.sqrt(posterior["mu"]))
    chosen = [labels[int(np.argmax(stats.weight * (stats.raw == value)))] for value in (0.0, 0.5)]
    chosen.append(labels[int(np.argmin(trials))])
    found = group_ranks(draws, stats, chosen)
    monkeypatch.setattr(group_draws, "_ALIKE", 1e9)
    drawn = group_ranks(draws, stats, chosen)
    for name in ("expected_rank", "p_best"):
        error = np.hypot(found[f"mcse_{name}"], drawn[f"mcse_{name}"])
        assert (np.abs(found[name] - drawn[name]) < 5 * error + 1e-9).all()
    for name in ("rank_q2.5", "rank_q97.5"):
        assert found[name].to_numpy() == pytest.approx(drawn[name].to_numpy(), abs=30)


def estimate_by_integration(
    draws: tuple[np.ndarray, np.ndarray], successes: int, trials: int
) -> tuple[float, float]:
    """Mean and sd of a probability whose logit is normal in each draw, by sums over the logit."""
    location, scale = (part.reshape(-1, 1) for part in draws)
    alpha = np.linspace(-12, 9, 2101)
    log_density = successes * alpha - trials * np.logaddexp(0, alpha)
    weights = np.exp(log_density - log_density.max() - 0.5 * ((alpha - location) / scale) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    theta = special.expit(alpha)
    mean, square = (weights @ theta).mean(), (weights @ theta**2).mean()
    return float(mean), float(np.sqrt(square - mean**2))


def test_estimates_with_a_logit_normal_population() -> None:
    rng = np.random.default_rng(4)
    location, scale = rng.normal(-1, 0.1, (4, 60)), rng.uniform(0.4, 1.1, (4, 60))
    mu, tau, sigma = LOGIT.moments(location, scale)
    values = {"mu": mu, "tau": tau, "sigma": sigma}
    draws = xr.Dataset({name: (("chain", "draw"), value) for name, value in values.items()})
    stats = LogitNormalProportions(
        ("a", "b", "c", "d"), np.array([0, 3, 0, 700]), np.array([12, 12, 0, 2000])
    )
    table = group_estimates(draws, stats).set_index("group")
    for label, y, n in zip(stats.labels, stats.successes, stats.trials, strict=True):
        mean, sd = estimate_by_integration((location, scale), int(y), int(n))
        assert table.loc[label, "mean"] == pytest.approx(mean, abs=1e-4 * max(sd, 0.01))
        assert table.loc[label, "sd"] == pytest.approx(sd, rel=2e-3)
        own = draw_groups(draws, stats, [label] * 1).to_numpy().ravel()
        assert own.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(own.size))
        assert np.mean(own < table.loc[label, "q97.5"]) == pytest.approx(0.975, abs=0.04)
    pairs = group_contrasts(draws, stats, ["a", "d"])
    assert pairs["mean"][0] == pytest.approx(table.loc["a", "mean"] - table.loc["d", "mean"])
    ranks = group_ranks(draws, stats, ["a", "b", "c", "d"])
    assert ranks["expected_rank"].sum() == pytest.approx(10)


@pytest.mark.parametrize("kind", [BETA, GAMMA])
def test_groups_above_a_value_are_binomial_by_pair(kind: Conjugate) -> None:
    """Few lie far out, and a bound of their share, then thinned, draws them as the share does."""
    rng = np.random.default_rng(8)
    pairs = rng.uniform(0.5, 200, (2, 500))
    theta = np.array([0.03, 0.4, 0.6, 0.97]) if kind is BETA else np.array([0.02, 0.7, 1.5, 9.0])
    groups = rng.integers(0, 60, (4, 500))
    share = kind.above((pairs[0][None], pairs[1][None]), theta[:, None])
    upper = theta[:, None] > kind.mean((pairs[0], pairs[1]))
    bound = np.exp(kind.log_tail((pairs[0], pairs[1]), theta[:, None]))
    tail = np.where(upper, share, 1 - share)
    assert (tail <= bound + 1e-15).all()
    own, never = (pairs[0], pairs[1]), np.full(groups.shape, -25.0)
    drawn = np.array([_above(kind, own, theta, groups, never, rng) for _ in range(2000)])
    mean, variance = (groups * share).sum(axis=1), (groups * share * (1 - share)).sum(axis=1)
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=5 * float(np.sqrt(variance.max() / 2000)))
    assert drawn.var(axis=0) == pytest.approx(variance, rel=0.2)
