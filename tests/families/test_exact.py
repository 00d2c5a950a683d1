"""The exact posteriors, against other ways to the same numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial import legendre
from scipy import integrate, stats

from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.families.exact import (
    HierarchicalPosterior,
    complete_pooling,
    exact_draws,
    hierarchical,
    no_pooling,
)
from partialpool.families.exact.table import Quantity, table
from partialpool.families.moments import GroupStats
from partialpool.priors import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
)

LESSON = {"mu": Normal(20, 10), "tau": Uniform(1000), "sigma": Uniform(1000)}
VAGUE = InverseGammaVariance(0.01, 0.01)
FAMILIES: list[ScalePrior] = [
    Uniform(8),
    HalfNormal(3),
    HalfCauchy(5),
    HalfT(4, 2.5),
    Exponential(0.4),
    InverseGammaVariance(1, 1),
    VAGUE,
]
TINY_Y = np.array([1.3, 2.1, 0.4, 3.9, 3.1, 2.2])
TINY_GROUP = np.array([0, 0, 0, 1, 1, 2])


def statistics(n: Any, mean: Any, ss: Any) -> GroupStats:
    n = np.asarray(n)
    labels = tuple(str(j + 1) for j in range(n.size))
    return GroupStats(labels, n, np.asarray(mean, dtype=float), np.asarray(ss, dtype=float))


def simulated(n: Any, *, tau: float, sigma: float, seed: int) -> GroupStats:
    rng = np.random.default_rng(seed)
    n = np.asarray(n)
    mean = 5 + tau * rng.standard_normal(n.size) + sigma * rng.standard_normal(n.size) / n**0.5
    ss = np.where(n > 1, sigma**2 * rng.chisquare(np.maximum(n - 1, 1)), 0.0)
    return statistics(n, mean, ss)


def tiny() -> GroupStats:
    groups = [TINY_Y[j == TINY_GROUP] for j in range(3)]
    return statistics(
        [g.size for g in groups],
        [g.mean() for g in groups],
        [g.size * g.var() for g in groups],
    )


def by_name(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["parameter", "group"])


def column(frame: pd.DataFrame, parameter: str, name: str) -> Any:
    return frame.loc[frame["parameter"] == parameter, name].to_numpy()


@pytest.fixture(scope="module")
def lesson(homework: GroupedData) -> HierarchicalPosterior:
    return hierarchical(homework.stats, **LESSON)


@pytest.fixture(scope="module")
def lesson_summary(lesson: HierarchicalPosterior) -> pd.DataFrame:
    return lesson.summary()


# The lesson's numbers


def test_partial_pooling_of_the_homework_data_agrees_with_the_published_means(
    lesson_summary: pd.DataFrame,
) -> None:
    published = [9.1151, 7.1711, 7.8933, 6.5243, 10.4256, 6.5196, 6.4630, 7.4522]
    assert column(lesson_summary, "theta", "mean") == pytest.approx(published, abs=0.02)
    assert column(lesson_summary, "mu", "mean") == pytest.approx([7.77], abs=0.02)
    assert lesson_summary["error"].max() < 1e-6


def test_no_pooling_of_the_homework_data_agrees_with_the_published_means(
    homework: GroupedData,
) -> None:
    summary = no_pooling(homework.stats, theta=Normal(20, 10), sigma=VAGUE).summary()
    published = [9.5299, 7.1549, 8.0465, 6.3318, 12.2997, 6.2778, 6.2303, 7.4547]
    assert column(summary, "theta", "mean") == pytest.approx(published, abs=0.02)
    assert summary["error"].max() < 1e-6


def test_complete_pooling_of_the_homework_data_agrees_with_the_published_values(
    homework: GroupedData,
) -> None:
    summary = complete_pooling(homework.stats, theta=Normal(20, 10), sigma=VAGUE).summary()
    assert column(summary, "theta", "mean") == pytest.approx([7.49], abs=0.01)
    assert column(summary, "sigma2", "median") == pytest.approx([16.95], abs=0.02)
    assert summary["error"].max() < 1e-6


# Brute force: the likelihood as one multivariate normal of all observations

BRUTE = {"mu": Normal(1, 3), "tau": Uniform(8), "sigma": HalfNormal(2)}


@pytest.fixture(scope="module")
def brute() -> HierarchicalPosterior:
    return hierarchical(tiny(), **BRUTE)


def joint(tau: Any, sigma: Any) -> tuple[Any, Any, Any]:
    """Log p(y, tau, sigma), and mean and covariance of (theta_1..3, mu) given them and y."""
    tau, sigma = (np.asarray(value, dtype=float)[..., None, None] for value in (tau, sigma))
    prior = 9 + tau**2 * np.diag([1.0, 1, 1, 0])
    design = np.column_stack([np.eye(3)[TINY_GROUP], np.zeros(6)])
    covariance = design @ prior @ design.T + sigma**2 * np.eye(6)
    inverse = np.linalg.inv(covariance)
    _, log_det = np.linalg.slogdet(covariance)
    residual = TINY_Y - 1
    quadratic = np.einsum("...ij,i,j", inverse, residual, residual)
    gain = prior @ design.T @ inverse
    log_density = (
        -0.5 * (quadratic + log_det + 6 * math.log(2 * math.pi))
        + BRUTE["tau"].log_density(tau[..., 0, 0])
        + BRUTE["sigma"].log_density(sigma[..., 0, 0])
    )
    return log_density, 1 + gain @ residual, prior - gain @ design @ prior


def brute_force(start: float = 1.0, slope: float = 0.0) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Nodes (tau, sigma); no panel reaches across tau = start + slope * sigma."""
    x, w = legendre.leggauss(24)

    def panels(edges: Any) -> tuple[Any, Any]:
        half = 0.5 * np.diff(edges)[:, None]
        return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()

    rows = []
    corner = (8 - start) / slope if slope else 1.0
    for sigma, weight in zip(*panels(np.unique([0, 0.5, 1, 2, 4, corner, 20])), strict=True):
        tau, weights = panels(np.unique([0, 0.5, 2, min(start + slope * sigma, 8), 8]))
        rows.append((tau, np.full_like(tau, sigma), weight * weights))
    tau, sigma, weights = (np.concatenate(part) for part in zip(*rows, strict=True))
    log_density, mean, covariance = joint(tau, sigma)
    return tau, sigma, weights * np.exp(log_density), mean, covariance, tau > start + slope * sigma


def test_moments_and_quantiles_agree_with_brute_force_over_the_multivariate_normal(
    brute: HierarchicalPosterior,
) -> None:
    exact = by_name(brute.summary())
    median = exact.loc[("tau", ""), "median"]
    tau, sigma, weights, mean, covariance, above = brute_force(median)
    total = weights.sum()
    p = weights / total

    assert brute.log_marginal_likelihood == pytest.approx(math.log(total), abs=1e-9)
    assert p[above].sum() == pytest.approx(0.5, abs=1e-9)
    scalars = {"tau": tau, "sigma": sigma, "tau2": tau**2, "sigma2": sigma**2}
    scalars["icc"] = tau**2 / (tau**2 + sigma**2)
    for name, values in scalars.items():
        found = exact.loc[(name, "")]
        assert found["mean"] == pytest.approx(p @ values, rel=1e-8)
        assert found["sd"] == pytest.approx(math.sqrt(p @ (values - found["mean"]) ** 2), rel=1e-8)
    for j, n in enumerate([3, 2, 1]):
        values = (sigma**2 / n) / (sigma**2 / n + tau**2)
        found = exact.loc[("lambda", str(j + 1))]
        assert found["mean"] == pytest.approx(p @ values, rel=1e-8)
    for row, key in enumerate([("theta", "1"), ("theta", "2"), ("theta", "3"), ("mu", "")]):
        found = exact.loc[key]
        variance = covariance[:, row, row]
        assert found["mean"] == pytest.approx(p @ mean[:, row], rel=1e-8)
        spread = math.sqrt(p @ (variance + (mean[:, row] - found["mean"]) ** 2))
        assert found["sd"] == pytest.approx(spread, rel=1e-8)
        for name, share in (("q2.5", 0.025), ("median", 0.5), ("q97.5", 0.975)):
            below = stats.norm.cdf((found[name] - mean[:, row]) / np.sqrt(variance))
            assert p @ below == pytest.approx(share, abs=1e-7)
    for name, extra in (("theta_new", tau**2), ("y_new", tau**2 + sigma**2)):
        found = exact.loc[(name, "")]
        variance = covariance[:, 3, 3] + extra
        spread = math.sqrt(p @ (variance + (mean[:, 3] - found["mean"]) ** 2))
        assert found["sd"] == pytest.approx(spread, rel=1e-8)
        below = stats.norm.cdf((found["q97.5"] - mean[:, 3]) / np.sqrt(variance))
        assert p @ below == pytest.approx(0.975, abs=1e-7)


@pytest.mark.parametrize("share", [0.025, 0.5, 0.975])
def test_quantiles_of_shares_cut_the_plane_of_tau_and_sigma_at_their_probability(
    share: float, brute: HierarchicalPosterior
) -> None:
    exact = by_name(brute.summary(probs=[share], groups=["2"]))
    r = exact.loc[("icc", "")].iloc[2]
    _, _, weights, *_, above = brute_force(0, math.sqrt(r / (1 - r)))
    assert weights[~above].sum() / weights.sum() == pytest.approx(share, abs=1e-8)
    r = exact.loc[("lambda", "2")].iloc[2]
    _, _, weights, *_, above = brute_force(0, math.sqrt((1 / r - 1) / 2))
    assert weights[above].sum() / weights.sum() == pytest.approx(share, abs=1e-8)


def test_contrasts_agree_with_brute_force(brute: HierarchicalPosterior) -> None:
    contrasts = brute.contrasts()
    assert contrasts[["group", "other"]].to_numpy().tolist() == [["1", "2"], ["1", "3"], ["2", "3"]]
    assert contrasts["error"].max() < 1e-6
    *_, weights, mean, covariance, _ = brute_force()
    p = weights / weights.sum()
    for row, (i, j) in zip(contrasts.itertuples(), [(0, 1), (0, 2), (1, 2)], strict=True):
        center = mean[:, i] - mean[:, j]
        variance = covariance[:, i, i] + covariance[:, j, j] - 2 * covariance[:, i, j]
        assert row.mean == pytest.approx(p @ center, rel=1e-8)
        assert row.sd == pytest.approx(
            math.sqrt(p @ (variance + (center - row.mean) ** 2)), rel=1e-8
        )
        greater = p @ stats.norm.cdf(center / np.sqrt(variance))
        assert row.prob_greater == pytest.approx(greater, abs=1e-6)
        assert row.prob_error < 1e-6


def test_one_sample_agrees_with_adaptive_quadrature_over_mean_and_sd() -> None:
    values = [1.3, 2.1, 0.4, 3.9]
    n, mean = len(values), float(np.mean(values))
    data = statistics([n], [mean], [n * np.var(values)])
    posterior = complete_pooling(data, theta=Normal(0, 2), sigma=HalfCauchy(1.5))
    exact = by_name(posterior.summary())

    def density(theta: float, sigma: float) -> float:
        square = sum((y - theta) ** 2 for y in values) / sigma**2 + theta**2 / 4
        scale = sigma**n * 2 * (2 * math.pi) ** ((n + 1) / 2)
        return math.exp(-0.5 * square) / scale * 2 / (1.5 * math.pi * (1 + (sigma / 1.5) ** 2))

    def integral(*, power: int = 0, top: float = 40) -> float:
        return float(
            integrate.dblquad(
                lambda theta, sigma: theta**power * density(theta, sigma),
                *(1e-3, 200, -40, top),
                epsabs=1e-12,
            )[0]
        )

    total = integral()
    assert posterior.log_marginal_likelihood == pytest.approx(math.log(total), abs=1e-6)
    found = integral(power=1) / total
    assert exact.loc[("theta", ""), "mean"] == pytest.approx(found, abs=1e-6)
    below = integral(top=exact.loc[("theta", ""), "q97.5"]) / total
    assert below == pytest.approx(0.975, abs=1e-6)


# Closed forms


def test_known_variances_give_the_normal_normal_posterior() -> None:
    tau2, sigma2, sure = 4.0, 9.0, 1e10
    data = statistics([4, 10, 1], [3.0, 6, 11], [20.0, 85, 0])
    exact = by_name(
        hierarchical(
            data,
            mu=Normal(2, 5),
            tau=InverseGammaVariance(sure, sure * tau2),
            sigma=InverseGammaVariance(sure, sure * sigma2),
        ).summary()
    )
    weights = 1 / (tau2 + sigma2 / data.n)
    precision = weights.sum() + 1 / 25
    mu = (weights @ data.mean + 2 / 25) / precision
    assert exact.loc[("mu", ""), "mean"] == pytest.approx(mu, rel=1e-7)
    assert exact.loc[("mu", ""), "sd"] == pytest.approx(precision**-0.5, rel=1e-7)
    upper = mu + stats.norm.ppf(0.975) * precision**-0.5
    assert exact.loc[("mu", ""), "q97.5"] == pytest.approx(upper, rel=1e-7)
    pooling = 1 - tau2 * weights
    theta = data.mean + pooling * (mu - data.mean)
    assert exact.loc["theta", "mean"].to_numpy() == pytest.approx(theta, rel=1e-7)
    sd = np.sqrt(tau2 * pooling + pooling**2 / precision)
    assert exact.loc["theta", "sd"].to_numpy() == pytest.approx(sd, rel=1e-7)
    assert exact.loc["lambda", "mean"].to_numpy() == pytest.approx(pooling, rel=1e-7)


def test_one_sample_under_a_flat_mean_is_student_t_and_inverse_gamma() -> None:
    n, mean, ss, shape, scale = 7, 12.0, 30.0, 0.5, 2.0
    posterior = complete_pooling(
        statistics([n], [mean], [ss]),
        theta=Normal(0, 1e7),
        sigma=InverseGammaVariance(shape, scale),
    )
    exact = by_name(posterior.summary(probs=[0.01, 0.5, 0.9]))
    a, b = shape + (n - 1) / 2, scale + ss / 2
    theta = stats.t(2 * a, loc=mean, scale=math.sqrt(b / a / n))
    sigma2 = stats.invgamma(a, scale=b)
    for name, reference in (("theta", theta), ("sigma2", sigma2)):
        found = exact.loc[(name, "")]
        assert found["mean"] == pytest.approx(reference.mean(), rel=1e-9)
        assert found["sd"] == pytest.approx(reference.std(), rel=1e-9)
        quantiles = found[["q1", "median", "q90"]].to_numpy(dtype=float)
        assert quantiles == pytest.approx(reference.ppf([0.01, 0.5, 0.9]), rel=1e-9)
    spread = math.sqrt(theta.var() + sigma2.mean())
    assert exact.loc[("y_new", ""), "sd"] == pytest.approx(spread, rel=1e-9)


def test_marginal_likelihood_of_one_sample_is_the_closed_form() -> None:
    n, mean, ss, shape, scale = 5, 1.0, 8.0, 3.0, 4.0
    sd = 1e6
    data = statistics([n], [mean], [ss])
    prior = InverseGammaVariance(shape, scale)
    a, b = shape + (n - 1) / 2, scale + ss / 2
    reference = (
        -0.5 * (n - 1) * math.log(2 * math.pi)
        - 0.5 * math.log(n)
        + shape * math.log(scale)
        - math.lgamma(shape)
        + math.lgamma(a)
        - a * math.log(b)
        + float(stats.norm.logpdf(mean, 0, sd))
    )
    for posterior in (
        complete_pooling(data, theta=Normal(0, sd), sigma=prior),
        no_pooling(data, theta=Normal(0, sd), sigma=prior),
    ):
        assert posterior.log_marginal_likelihood == pytest.approx(reference, rel=1e-10)


@pytest.mark.parametrize("prior", FAMILIES[:-1], ids=str)
def test_data_that_say_nothing_leave_the_prior_of_tau(prior: ScalePrior) -> None:
    sure = 1e6
    probs = [0.025, 0.5, 0.975]
    posterior = hierarchical(
        statistics([1], [0.0], [0.0]),
        mu=Normal(0, 1),
        tau=prior,
        sigma=InverseGammaVariance(sure, sure * 1e18),
    )
    assert np.exp(posterior.fine.tau.quantile(probs)) == pytest.approx(
        prior.quantile(probs), rel=1e-6
    )


def test_equal_groups_of_one_value_each_are_one_sample_when_tau_is_zero() -> None:
    data = statistics([3, 4], [1.0, 2.0], [2.0, 5.0])
    pooled = complete_pooling(data, theta=Normal(0, 4), sigma=HalfNormal(3)).summary()
    partial = hierarchical(data, mu=Normal(0, 4), tau=HalfNormal(1e-7), sigma=HalfNormal(3))
    summary = partial.summary()
    for quantile in ("mean", "sd", "q2.5", "q97.5"):
        one = column(pooled, "theta", quantile)[0]
        assert column(summary, "theta", quantile) == pytest.approx([one, one], rel=1e-6)
        assert column(summary, "sigma", quantile) == pytest.approx(
            column(pooled, "sigma", quantile), rel=1e-6
        )


# Error control


@pytest.mark.parametrize("prior", FAMILIES, ids=str)
def test_refinement_changes_nothing_under_any_prior(
    homework: GroupedData, prior: ScalePrior
) -> None:
    posterior = hierarchical(homework.stats, mu=Normal(20, 10), tau=prior, sigma=prior)
    assert posterior.summary(groups=["1", "5"])["error"].max() < 1e-6
    assert posterior.contrasts(pairs=[("1", "5"), ("6", "7")])["error"].max() < 1e-6


HARD: dict[str, tuple[GroupStats, dict[str, ScalePrior]]] = {
    "two groups": (simulated([5, 7], tau=1, sigma=2, seed=1), {}),
    "two groups, vague inverse-gamma": (
        simulated([5, 7], tau=1, sigma=2, seed=1),
        {"tau": VAGUE, "sigma": VAGUE},
    ),
    "weak groups": (simulated([2] * 8, tau=0.1, sigma=3, seed=2), {}),
    "strong groups": (simulated([200] * 8, tau=3, sigma=1, seed=3), {}),
    "one pair among single values": (simulated([1] * 7 + [2], tau=1, sigma=1, seed=4), {}),
    "only single values": (
        simulated([1] * 10, tau=1, sigma=1, seed=5),
        {"tau": HalfNormal(2), "sigma": HalfNormal(2)},
    ),
    "extreme imbalance": (simulated([1, 1, 3, 100_000], tau=1, sigma=1, seed=6), {}),
    "a hundred million values": (simulated([10**8, 10**7, 5], tau=1, sigma=1, seed=7), {}),
    "a thousand groups": (simulated(np.arange(1, 1001) % 40 + 1, tau=1, sigma=2, seed=8), {}),
    "bounds that cut": (
        simulated([5, 7, 3], tau=1, sigma=2, seed=9),
        {"tau": Uniform(1.5), "sigma": Uniform(1.9)},
    ),
    "far groups": (statistics([5, 5, 5], [0, 1000, -1000], [4, 4, 4]), {}),
    "no spread within, inverse-gamma": (
        statistics([3, 4, 2], [1, 2, 3], [0, 0, 0]),
        {"tau": VAGUE, "sigma": VAGUE},
    ),
}


@pytest.mark.parametrize("case", HARD)
def test_refinement_changes_nothing_for_hard_data(case: str) -> None:
    data, priors = HARD[case]
    posterior = hierarchical(data, **{**LESSON, "mu": Normal(0, 10), **priors})
    summary = posterior.summary(groups=data.labels[:3])
    assert summary["error"].max() < 1e-6
    assert not summary.isna().any(axis=None)
    totals = [m.log_total for m in (posterior.fine.tau, posterior.fine.sigma, posterior.fine.ratio)]
    assert np.ptp(totals) < 1e-9


@pytest.mark.parametrize("power", [1, 2])
def test_moments_of_a_heavy_tail_include_what_lies_beyond_the_grid(power: int) -> None:
    # Four values under IG(0.01, 0.01): sigma2 has a mean whose tail is felt for many decades.
    shape, scale = 1.01 + 0.5 * power, 3.0
    data = statistics([2], [0.0], [0.0])
    posterior = complete_pooling(
        data, theta=Normal(0, 1e9), sigma=InverseGammaVariance(shape - 0.5, scale)
    )
    exact = by_name(posterior.summary())
    reference = stats.invgamma(shape, scale=scale)
    assert exact.loc[("sigma2", ""), "mean"] == pytest.approx(reference.mean(), rel=1e-4)


def test_moments_that_do_not_exist_are_infinite() -> None:
    data = simulated([3, 4], tau=1, sigma=1, seed=1)
    priors = {"mu": Normal(0, 10), "tau": HalfCauchy(5), "sigma": HalfCauchy(5)}
    exact = by_name(hierarchical(data, **priors).summary(groups=[]))
    # The density of tau falls like tau**-4: two moments exist, the third does not.
    assert np.isfinite(exact.loc[("tau", ""), ["mean", "sd"]].to_numpy(dtype=float)).all()
    assert np.isfinite(exact.loc[("tau2", ""), "mean"])
    assert np.isinf(exact.loc[("tau2", ""), "sd"])
    assert np.isfinite(exact.loc[("theta_new", ""), "sd"])
    single = statistics([1], [0.0], [0.0])
    lone = by_name(no_pooling(single, theta=Normal(0, 1), sigma=VAGUE).summary())
    assert np.isinf(lone.loc[("sigma2", "1"), "mean"])
    assert np.isinf(lone.loc[("y_new", "1"), "sd"])


# Invariance


def test_shifting_and_scaling_data_and_priors_shifts_and_scales_the_posterior(
    homework: GroupedData, lesson_summary: pd.DataFrame
) -> None:
    base, shift, scale = homework.stats, 1e6, 1e-3
    moved = statistics(base.n, shift + scale * base.mean, scale**2 * base.ss)
    before = by_name(lesson_summary)
    after = by_name(
        hierarchical(
            moved,
            mu=Normal(shift + scale * 20, scale * 10),
            tau=Uniform(scale * 1000),
            sigma=Uniform(scale * 1000),
        ).summary()
    )
    quantiles = ["q2.5", "q25", "median", "q75", "q97.5"]
    for name, offset, factor in (
        ("theta", shift, scale),
        ("tau", 0, scale),
        ("sigma2", 0, scale**2),
        ("icc", 0, 1),
        ("lambda", 0, 1),
        ("y_new", shift, scale),
    ):
        a = before.loc[name, ["mean", *quantiles]].to_numpy()
        b = after.loc[name, ["mean", *quantiles]].to_numpy()
        spread = before.loc[name, "sd"].to_numpy()[:, None]
        assert np.abs((b - offset) / factor - a).max() / spread.max() < 1e-5
        assert after.loc[name, "sd"].to_numpy() == pytest.approx(
            factor * before.loc[name, "sd"].to_numpy(), rel=1e-5
        )


def test_the_order_of_groups_does_not_matter(
    homework: GroupedData, lesson_summary: pd.DataFrame
) -> None:
    base = homework.stats
    turned = GroupStats(base.labels[::-1], base.n[::-1], base.mean[::-1], base.ss[::-1])
    before = by_name(lesson_summary).sort_index()
    after = by_name(hierarchical(turned, **LESSON).summary()).sort_index()
    assert before.drop(columns="error").to_numpy() == pytest.approx(
        after.drop(columns="error").to_numpy(), rel=1e-9
    )


# Draws


def test_exact_draws_have_the_exact_distribution(
    lesson: HierarchicalPosterior, lesson_summary: pd.DataFrame
) -> None:
    size = 20_000
    draws = exact_draws(lesson, rng=np.random.default_rng(5), size=size)
    assert draws["theta"].shape == (size, 8)
    flat = {("mu", ""): draws["mu"], ("tau", ""): draws["tau"], ("sigma", ""): draws["sigma"]}
    flat |= {("icc", ""): draws["tau"] ** 2 / (draws["tau"] ** 2 + draws["sigma"] ** 2)}
    flat |= {("theta", label): draws["theta"][:, j] for j, label in enumerate(lesson.labels)}
    exact = by_name(lesson_summary)
    for key, values in flat.items():
        row = exact.loc[key]
        assert abs(values.mean() - row["mean"]) < 4.5 * row["sd"] / math.sqrt(size)
        for name, p in (("q2.5", 0.025), ("q25", 0.25), ("median", 0.5), ("q97.5", 0.975)):
            below = np.mean(values < row[name])
            assert abs(below - p) < 4.5 * math.sqrt(p * (1 - p) / size)
    chance = lesson.contrasts(pairs=[("1", "3")])["prob_greater"].item()
    greater = np.mean(draws["theta"][:, 0] > draws["theta"][:, 2])
    assert abs(greater - chance) < 4.5 * math.sqrt(chance * (1 - chance) / size)


def test_exact_draws_follow_a_prior_that_cuts_and_a_curved_posterior() -> None:
    data = simulated([1] * 6 + [2, 2], tau=2, sigma=2, seed=11)
    posterior = hierarchical(data, mu=Normal(0, 10), tau=Uniform(3), sigma=HalfCauchy(2))
    draws = exact_draws(posterior, rng=np.random.default_rng(6), size=10_000)
    assert draws["tau"].max() < 3
    exact = by_name(posterior.summary(groups=[]))
    ratio = draws["tau"] ** 2 / (draws["tau"] ** 2 + draws["sigma"] ** 2)
    for key, values in ((("sigma", ""), draws["sigma"]), (("icc", ""), ratio)):
        for name, p in (("q2.5", 0.025), ("median", 0.5), ("q97.5", 0.975)):
            below = np.mean(values < exact.loc[key, name])
            assert abs(below - p) < 4.5 * math.sqrt(p * (1 - p) / 10_000)


def test_exact_draws_repeat_with_their_seed(lesson: HierarchicalPosterior) -> None:
    first, second = (exact_draws(lesson, rng=np.random.default_rng(1), size=50) for _ in "ab")
    for name, values in first.items():
        assert np.array_equal(values, second[name])


# Contrasts without pooling


def test_contrasts_without_pooling_are_differences_of_independent_student_ts() -> None:
    data = statistics([6, 9], [1.0, 2.5], [10.0, 30.0])
    contrast = (
        no_pooling(data, theta=Normal(0, 1e7), sigma=InverseGammaVariance(1, 1))
        .contrasts(probs=[0.2])
        .iloc[0]
    )

    def student(n: int, mean: float, ss: float) -> Any:
        a, b = 1 + (n - 1) / 2, 1 + ss / 2
        return stats.t(2 * a, loc=mean, scale=math.sqrt(b / a / n))

    one, two = student(6, 1.0, 10.0), student(9, 2.5, 30.0)
    assert contrast["mean"] == pytest.approx(-1.5, rel=1e-9)
    assert contrast["sd"] == pytest.approx(math.hypot(one.std(), two.std()), rel=1e-9)
    greater = integrate.quad(lambda x: two.pdf(x) * one.sf(x), -np.inf, np.inf, epsabs=1e-11)[0]
    assert contrast["prob_greater"] == pytest.approx(greater, abs=1e-8)
    below = integrate.quad(
        lambda x: two.pdf(x) * one.cdf(x + contrast["q20"]), -np.inf, np.inf, epsabs=1e-11
    )[0]
    assert below == pytest.approx(0.2, abs=1e-8)
    assert contrast["error"] < 1e-6


# What is refused


@pytest.mark.parametrize(
    ("n", "mean", "ss", "message"),
    [
        ([0, 3], [1, 2], [0, 1], "Group '1' has 0: n must be 1 or more"),
        ([2, 3], [1, np.nan], [1, 1], "Group '2' has nan: the mean must be finite"),
        ([2, 3], [1, 2], [1, -1], "Group '2' has -1: the sum of squares"),
        ([1, 3], [1, 2], [5, 1], "Group '1' has 5: a single value has a sum of squares of 0"),
        ([2, 3], [1, 2, 3], [1, 1], "arrays of one length"),
    ],
)
def test_statistics_that_no_data_can_have_are_refused(
    n: Any, mean: Any, ss: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        hierarchical(statistics(n, mean, ss), **LESSON)
    with pytest.raises(InputError, match=message):
        no_pooling(statistics(n, mean, ss), theta=Normal(0, 1), sigma=VAGUE)


def test_improper_posteriors_are_refused() -> None:
    equal = statistics([3, 3], [1.0, 2.0], [0.0, 0.0])
    with pytest.raises(InputError, match="All values within groups are equal"):
        hierarchical(equal, **LESSON)
    with pytest.raises(InputError, match="All values of group '1' are equal"):
        no_pooling(equal, theta=Normal(0, 1), sigma=HalfNormal(1))
    with pytest.raises(InputError, match="All values are equal"):
        complete_pooling(
            statistics([3, 3], [1.0, 1.0], [0.0, 0.0]), theta=Normal(0, 1), sigma=Uniform(9)
        )


def test_unknown_groups_and_impossible_probabilities_are_refused(
    lesson: HierarchicalPosterior,
) -> None:
    with pytest.raises(InputError, match="No group is called '9'. The groups are '1', '2'"):
        lesson.summary(groups=["9"])
    with pytest.raises(InputError, match="between 0 and 1"):
        lesson.summary(probs=[0.5, 1])


def test_summaries_can_be_limited_to_groups_and_pairs(lesson: HierarchicalPosterior) -> None:
    some = lesson.summary(groups=["5"])
    assert some.loc[some["parameter"].isin(["theta", "lambda"]), "group"].tolist() == ["5", "5"]
    pair = lesson.contrasts(pairs=[("5", "6")])
    assert pair["prob_greater"].item() == pytest.approx(0.9939, abs=1e-3)
    assert lesson.contrasts(pairs=[]).empty


def test_labels_survive_from_data_to_table() -> None:
    data = from_values(["a<b", "a<b", "a<b", "$x", "$x", "$x"], [1.0, 2, 4, 3, 5, 6])
    summary = hierarchical(data.stats, **LESSON).summary()
    assert summary.loc[summary["parameter"] == "theta", "group"].tolist() == list(data.labels)


@dataclass(frozen=True)
class Certain:
    """A distribution all at one value, but for rounding."""

    mean: float
    sd: float

    def quantile(self, p: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        return np.full_like(p, self.mean)


@pytest.mark.parametrize("mean", [0.0, 1.0, 1e9, -1e-9])
@pytest.mark.parametrize("sd", [0.0, 2e-16])
def test_what_is_certain_has_no_error_on_any_processor(mean: float, sd: float) -> None:
    """Sums of weights are 1 to the last digit or but for it, by the processor."""

    def errors(one: Certain, other: Certain) -> float:
        grids = {"coarse": one, "fine": other}
        rows = table([Quantity("a", "", grids.__getitem__)], "coarse", "fine", (0.5,))
        return float(rows["error"].iloc[0])

    sd *= abs(mean)
    assert errors(Certain(mean, sd), Certain(np.nextafter(mean, 2 * mean), 0.0)) == 0
    assert errors(Certain(np.nextafter(mean, 2 * mean), 0.0), Certain(mean, sd)) == 0
    assert errors(Certain(mean + 1, sd), Certain(mean, sd)) > 1e6
    assert errors(Certain(mean + 1, 2.0), Certain(mean, 2.0)) == 0.5
