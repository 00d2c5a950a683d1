"""The exact posterior of estimates with known errors: published numbers, and other ways to them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from helpers.published import bcg, eight_schools, rubin_schools
from partialpool.errors import InputError
from partialpool.families.exact import (
    KnownErrorsPosterior,
    common_effect,
    known_errors,
    separate_effects,
)
from partialpool.families.exact.known_errors import Classes
from partialpool.families.known_errors import Estimates
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

FLAT = {"mu": Normal(0, 1e7), "tau": Uniform(1e7)}
"""Priors that are flat to the digits of the published tables."""

# Rounded data, priors flat: mean, sd, 2.5 %, 25 %, 50 %, 75 %, 97.5 %
PUBLISHED = {
    ("mu", ""): (7.9324, 5.178, -2.090, 4.652, 7.892, 11.159, 18.218),
    ("theta", "A"): (11.4003, 8.341, -2.105, 5.976, 10.241, 15.534, 31.623),
    ("theta", "B"): (7.8946, 6.275, -4.659, 3.979, 7.858, 11.771, 20.662),
    ("theta", "C"): (6.1307, 7.765, -11.482, 2.032, 6.649, 10.862, 20.459),
    ("theta", "D"): (7.6447, 6.546, -5.695, 3.656, 7.663, 11.656, 20.862),
    ("theta", "E"): (5.1264, 6.357, -8.905, 1.359, 5.603, 9.399, 16.469),
    ("theta", "F"): (6.1385, 6.710, -8.559, 2.257, 6.511, 10.443, 18.592),
    ("theta", "G"): (10.6670, 6.786, -1.161, 6.112, 10.044, 14.569, 25.970),
    ("theta", "H"): (8.4568, 7.888, -7.078, 3.885, 8.205, 12.723, 25.579),
    ("theta_new", ""): (7.9324, 10.098, -12.413, 3.124, 7.840, 12.625, 28.860),
}
QUANTILES = {"q2.5": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q97.5": 0.975}
TAU_PRIORS: list[ScalePrior] = [
    Uniform(30),
    HalfNormal(10),
    HalfCauchy(25),
    HalfT(3, 12),
    Exponential(0.1),
    InverseGammaVariance(2, 50),
]


def posterior_of(data: Estimates, **priors: Any) -> KnownErrorsPosterior:
    return known_errors(data.labels, data.estimate, data.se, **{**FLAT, **priors})


def by_name(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["parameter", "group"])


def log_density_of_tau(data: Estimates, mu: Normal, tau: ScalePrior) -> Callable[[float], float]:
    """Log p(y, tau), from the multivariate normal density of the estimates."""
    J = data.J

    def density(t: float) -> float:
        covariance = np.diag(data.se**2 + t**2) + mu.scale**2 * np.ones((J, J))
        log_y = stats.multivariate_normal.logpdf(data.estimate, np.full(J, mu.location), covariance)
        return float(log_y) + float(tau.log_density(np.array([t]))[0])

    return density


def flat_tau(data: Estimates) -> Callable[[float], float]:
    """Density of tau under flat priors, but for a constant (Gelman et al. 2013, eq. 5.21)."""

    def density(t: float) -> float:
        v = data.se**2 + t**2
        mean = np.average(data.estimate, weights=1 / v)
        squares = ((data.estimate - mean) ** 2 / v).sum()
        return float(np.exp(-0.5 * (squares + np.log(v).sum() + np.log((1 / v).sum())) + 20))

    return density


def integral(function: Callable[[float], float], *ends: float) -> float:
    """Adaptive quadrature over consecutive intervals."""
    pairs = itertools.pairwise(ends)
    return math.fsum(
        integrate.quad(function, low, high, epsabs=0, epsrel=1e-12, limit=400)[0]
        for low, high in pairs
    )


@pytest.fixture(scope="module")
def schools() -> Estimates:
    return eight_schools().stats  # type: ignore[return-value]


@pytest.fixture(scope="module")
def flat(schools: Estimates) -> KnownErrorsPosterior:
    return posterior_of(schools)


@pytest.fixture(scope="module")
def flat_summary(flat: KnownErrorsPosterior) -> pd.DataFrame:
    return by_name(flat.summary())


# Published numbers


@pytest.mark.parametrize("which", PUBLISHED)
def test_eight_schools_to_the_digits_of_the_table(
    which: tuple[str, str], flat_summary: pd.DataFrame
) -> None:
    row = flat_summary.loc[which]
    mean, *others = PUBLISHED[which]
    assert row["mean"] == pytest.approx(mean, abs=0.6e-4)
    assert row[["sd", *QUANTILES]].tolist() == pytest.approx(others, abs=0.6e-3)
    assert row["error"] < 1e-9


def test_tau_of_eight_schools_by_adaptive_quadrature(
    schools: Estimates, flat_summary: pd.DataFrame
) -> None:
    density = flat_tau(schools)
    total = integral(density, 0, 10, 100, np.inf)
    row = flat_summary.loc["tau", ""]
    assert row["mean"] == pytest.approx(6.5755, abs=0.6e-4)
    assert row["sd"] == pytest.approx(5.650, abs=0.6e-3)
    mean = integral(lambda t: t * density(t), 0, 10, 100, np.inf) / total
    square = integral(lambda t: t**2 * density(t), 0, 10, 100, np.inf) / total
    assert row["mean"] == pytest.approx(mean, rel=1e-9)
    assert row["sd"] == pytest.approx(math.sqrt(square - mean**2), rel=1e-8)
    for name, p in QUANTILES.items():
        quantile = optimize.brentq(
            lambda t, p=p: integral(density, 0, t) / total - p, 1e-3, 100, xtol=1e-11
        )
        assert row[name] == pytest.approx(quantile, rel=1e-8), name
    assert row[[*QUANTILES]].tolist() == pytest.approx(
        [0.24270, 2.46720, 5.23851, 9.12491, 20.75246], abs=0.6e-5
    )


def test_the_probability_of_a_positive_mean_effect(flat: KnownErrorsPosterior) -> None:
    assert 1 - float(flat.fine.mu.cdf(0.0)[0]) == pytest.approx(0.944444, abs=0.6e-6)


def test_leaving_out_each_school(flat: KnownErrorsPosterior, schools: Estimates) -> None:
    published = [-4.5958, -3.5434, -4.0512, -3.5992, -3.8755, -3.7557, -3.9611, -3.9598]
    assert flat.leave_one_out() == pytest.approx(published, abs=0.6e-4)
    assert flat.leave_one_out().sum() == pytest.approx(-31.3418, abs=1e-4)
    weight = schools.se**-2
    rest = weight.sum() - weight
    mean = ((weight * schools.estimate).sum() - weight * schools.estimate) / rest
    alone = stats.norm.logpdf(schools.estimate, mean, np.sqrt(schools.se**2 + 1 / rest))
    assert alone.sum() == pytest.approx(-30.5607, abs=0.6e-4)
    with_all = common_effect(schools.labels, schools.estimate, schools.se, theta=FLAT["mu"])
    for j in range(schools.J):
        less = schools.take(np.delete(np.arange(schools.J), j))
        without = common_effect(less.labels, less.estimate, less.se, theta=FLAT["mu"])
        difference = with_all.log_marginal_likelihood - without.log_marginal_likelihood
        assert difference == pytest.approx(alone[j], abs=1e-6)


@pytest.mark.parametrize(
    ("tau", "published"),
    [(HalfNormal(10), 1.6648), (HalfCauchy(25), 4.4341)],
    ids=["half-normal", "half-Cauchy"],
)
def test_the_bayes_factor_of_equal_effects(
    tau: ScalePrior, published: float, schools: Estimates
) -> None:
    """The published digits come from a grid of tau; the quadrature here is good to ten."""
    mu = Normal(0, 50)
    log_joint = log_density_of_tau(schools, mu, tau)
    total = integral(lambda t: math.exp(log_joint(t) + 30), 0, 10, 100, np.inf)
    at_zero = log_density_of_tau(schools, mu, Uniform(1))(1e-12) + 30
    found = math.exp(posterior_of(schools, mu=mu, tau=tau).log_bayes_factor_of_no_spread)
    assert found == pytest.approx(math.exp(at_zero) / total, rel=1e-9)
    assert found == pytest.approx(published, rel=1e-4)


def test_rubin_s_own_data() -> None:
    found = posterior_of(rubin_schools().stats, mu=Normal(0, 50), tau=HalfCauchy(25))  # type: ignore[arg-type]
    row = by_name(found.summary(groups=[])).loc["tau", ""]
    assert [row["mean"], row["sd"]] == pytest.approx([5.884511, 4.869904], abs=0.6e-6)
    assert found.fine.mu.mean == pytest.approx(7.986042, abs=0.6e-6)
    assert 1 - float(found.fine.mu.cdf(0.0)[0]) == pytest.approx(0.9487691, abs=0.6e-7)


def test_the_textbook_s_complete_pooling_comes_from_rubin_s_table() -> None:
    for data, mean, variance in (
        (rubin_schools(), 7.871, 17.352),
        (eight_schools(), 7.686, 16.581),
    ):
        own = data.stats
        found = common_effect(own.labels, own.estimate, own.se, theta=FLAT["mu"])  # type: ignore[attr-defined]
        assert found.mean[0] == pytest.approx(mean, abs=0.6e-3)
        assert found.sd[0] ** 2 == pytest.approx(variance, abs=0.6e-3)


def test_the_vaccine_trials() -> None:
    found = posterior_of(bcg().stats)  # type: ignore[arg-type]
    rows = by_name(found.summary(groups=["12"]))
    shown = rows.loc[[("tau", ""), ("mu", ""), ("theta_new", ""), ("theta", "12")], ["mean", "sd"]]
    published = [[0.6453, 0.1919], [-0.71708, 0.20881], [-0.717, 0.705], [-0.2224, 0.508]]
    for row, numbers, digits in zip(
        shown.to_numpy(), published, [(4, 4), (5, 5), (3, 3), (4, 3)], strict=True
    ):
        for value, number, places in zip(row, numbers, digits, strict=True):
            assert value == pytest.approx(number, abs=0.6 * 10**-places)
    assert 1 - float(found.fine.mu.cdf(0.0)[0]) == pytest.approx(0.001327, abs=0.6e-6)


# Against other ways to the same numbers


@pytest.mark.parametrize("tau", TAU_PRIORS, ids=lambda prior: prior.family)
def test_any_prior_of_tau_by_adaptive_quadrature(tau: ScalePrior, schools: Estimates) -> None:
    mu = Normal(3, 8)
    found = posterior_of(schools, mu=mu, tau=tau)
    log_joint = log_density_of_tau(schools, mu, tau)
    top = min(tau.upper_bound, np.inf)
    ends = [0, 2, 10, *([100] if top > 100 else []), top]
    total = integral(lambda t: math.exp(log_joint(t) + 30) if t > 0 else 0.0, *ends)
    assert found.log_marginal_likelihood == pytest.approx(math.log(total) - 30, abs=1e-9)
    first = integral(lambda t: t * math.exp(log_joint(t) + 30), *ends) / total
    assert by_name(found.summary(groups=[])).loc["tau", ""]["mean"] == pytest.approx(
        first, rel=1e-8
    )
    at = np.array([0.5, 3.0, 12.0])
    density = [math.exp(log_joint(t) + 30) / total for t in at]
    assert found.tau_density(at) == pytest.approx(density, rel=1e-8)


def test_leaving_out_equals_the_ratio_of_marginal_likelihoods(schools: Estimates) -> None:
    priors = {"mu": Normal(3, 8), "tau": HalfT(3, 12)}
    found = posterior_of(schools, **priors)
    for j, density in enumerate(found.leave_one_out()):
        less = posterior_of(schools.take(np.delete(np.arange(schools.J), j)), **priors)
        ratio = found.log_marginal_likelihood - less.log_marginal_likelihood
        assert density == pytest.approx(ratio, abs=1e-9)


def brute(data: Estimates, mu: Normal, tau: ScalePrior) -> tuple[NDArray[Any], ...]:
    """Nodes of tau, their weights, and moments of theta given tau by matrix algebra."""
    x = np.linspace(-18, 5, 1501)  # trapezoids of a smooth density that vanishes at both ends
    nodes = np.exp(x)
    log_joint = log_density_of_tau(data, mu, tau)
    log_weights = np.array([log_joint(t) for t in nodes]) + x
    weights = np.exp(log_weights - log_weights.max())
    means, covariances = [], []
    J = data.J
    for t in nodes:
        prior = t**2 * np.eye(J) + mu.scale**2 * np.ones((J, J))
        gain = prior @ np.linalg.inv(prior + np.diag(data.se**2))
        means.append(mu.location + gain @ (data.estimate - mu.location))
        covariances.append(prior - gain @ prior)
    return nodes, weights / weights.sum(), np.array(means), np.array(covariances)


def test_moments_and_contrasts_by_matrix_algebra() -> None:
    data = Estimates(tuple("abcd"), np.array([1.0, 4.0, -2.0, 3.5]), np.array([0.5, 2.0, 1.0, 3.0]))
    mu, tau = Normal(0.5, 2), HalfNormal(3)
    nodes, weights, means, covariances = brute(data, mu, tau)
    found = posterior_of(data, mu=mu, tau=tau)
    rows = by_name(found.summary())
    theta = weights @ means
    variance = np.einsum("k,kij->ij", weights, covariances)
    variance += np.einsum("k,ki,kj->ij", weights, means - theta, means - theta)
    shown = rows.loc["theta"]
    assert shown["mean"].tolist() == pytest.approx(theta, rel=1e-6)
    assert shown["sd"].tolist() == pytest.approx(np.sqrt(np.diag(variance)), rel=1e-6)
    factor = weights @ (data.se**2 / (data.se**2 + nodes[:, None] ** 2))
    assert rows.loc["lambda"]["mean"].tolist() == pytest.approx(factor, rel=1e-6)
    for row in found.contrasts().itertuples():
        i, j = data.labels.index(row.group), data.labels.index(row.other)
        difference = means[:, i] - means[:, j]
        spread = covariances[:, i, i] + covariances[:, j, j] - 2 * covariances[:, i, j]
        mean = weights @ difference
        total = weights @ (spread + (difference - mean) ** 2)
        above = weights @ stats.norm.cdf(difference / np.sqrt(np.maximum(spread, 1e-20)))
        shown = [row.mean, row.sd, row.prob_greater]
        assert shown == pytest.approx([mean, math.sqrt(total), above], rel=1e-6, abs=1e-9)
    at = found.conditional_effects(np.array([nodes[1200]]))
    assert at["mean"].tolist() == pytest.approx(means[1200], rel=1e-9)
    assert at["sd"].tolist() == pytest.approx(np.sqrt(np.diag(covariances[1200])), rel=1e-9)


def test_the_extremes_by_matrix_algebra(schools: Estimates) -> None:
    theta, y, se = Normal(5, 12), schools.estimate, schools.se
    complete = common_effect(schools.labels, y, se, theta=theta)
    J = schools.J
    covariance = np.diag(se**2) + theta.scale**2 * np.ones((J, J))
    log_y = stats.multivariate_normal.logpdf(y, np.full(J, theta.location), covariance)
    assert complete.log_marginal_likelihood == pytest.approx(log_y, rel=1e-12)
    gain = theta.scale**2 * np.linalg.solve(covariance, np.ones(J))
    assert complete.mean[0] == pytest.approx(theta.location + gain @ (y - theta.location))
    assert complete.sd[0] ** 2 == pytest.approx(theta.scale**2 * (1 - gain.sum()))
    row = complete.summary().iloc[0]
    assert row["q97.5"] == pytest.approx(stats.norm.ppf(0.975, complete.mean[0], complete.sd[0]))
    with pytest.raises(InputError, match="no group differs"):
        complete.contrasts()
    none = separate_effects(schools.labels, y, se, theta=theta)
    precision = theta.scale**-2 + se**-2
    assert none.mean == pytest.approx((theta.location * theta.scale**-2 + y * se**-2) / precision)
    assert none.sd == pytest.approx(precision**-0.5)
    alone = stats.norm.logpdf(y, theta.location, np.sqrt(se**2 + theta.scale**2)).sum()
    assert none.log_marginal_likelihood == pytest.approx(alone)
    assert none.summary(groups=["C"])["mean"].tolist() == [none.mean[2]]
    pair = none.contrasts(pairs=[("A", "C")]).iloc[0]
    sd = math.hypot(none.sd[0], none.sd[2])
    assert pair["prob_greater"] == pytest.approx(stats.norm.cdf((none.mean[0] - none.mean[2]) / sd))


# Any scale, any offset, any number of groups


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_unit_and_the_offset_of_the_data_change_nothing_else(
    scale: float, offset: float, schools: Estimates, flat_summary: pd.DataFrame
) -> None:
    y, se = scale * (schools.estimate + offset), scale * schools.se
    mu, tau = Normal(scale * offset, scale * 1e7), Uniform(scale * 1e7)
    rows = by_name(known_errors(schools.labels, y, se, mu=mu, tau=tau).summary())
    moved = flat_summary.index.get_level_values(0).isin(["theta", "mu", "theta_new"])
    columns = ["mean", *QUANTILES]
    expected = flat_summary[columns].to_numpy() + offset * moved[:, None]
    unit = np.select(
        [rows.index.get_level_values(0) == name for name in ("lambda", "tau2")],
        [1.0, scale**2],
        scale,
    )
    assert rows[columns].to_numpy() / unit[:, None] == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("spread", [0.0, 0.3, 6.0])
def test_sums_over_many_standard_errors_keep_their_digits(spread: float) -> None:
    """Nodes between the standard errors stand for all of them."""
    rng = np.random.default_rng(4)
    se = np.exp(rng.normal(0, max(spread, 1e-9), 3000))
    y = rng.normal(0, np.sqrt(0.5 + se**2))
    nodes = Classes.of(y, se)
    assert nodes.variance.size < se.size
    for tau in (1e-6, 0.05, 0.7, 3.0, 1e3):
        w, at = 1 / (se**2 + tau**2), 1 / (nodes.variance + tau**2)
        for found, sums in ((nodes.count, w), (nodes.first, w * y), (nodes.second, w * y**2)):
            assert at @ found == pytest.approx(
                math.fsum(sums), rel=1e-10, abs=1e-10 * np.abs(sums).sum()
            )
        assert np.log(at) @ nodes.count == pytest.approx(
            math.fsum(np.log(w)), rel=1e-10, abs=1e-12 * se.size
        )


def test_many_standard_errors_and_few_give_the_same_posterior() -> None:
    """Standard errors moved apart by a hair go through the nodes, and change nothing."""
    rng = np.random.default_rng(5)
    se = np.tile([0.5, 1.0, 4.0], 200)
    y = rng.normal(2, np.sqrt(0.8**2 + se**2))
    labels = tuple(map(str, range(600)))
    priors = {"mu": Normal(0, 20), "tau": HalfT(3, 2)}
    few = known_errors(labels, y, se, **priors)
    many = known_errors(labels, y, se * (1 + 1e-9 * rng.standard_normal(600)), **priors)
    assert few.problem.classes.variance.size == 3
    assert many.problem.classes.variance.size != 3
    columns = ["mean", "sd", *QUANTILES]
    one, other = (each.summary(groups=["0", "17"])[columns].to_numpy() for each in (few, many))
    assert one == pytest.approx(other, rel=1e-7)
    assert few.log_marginal_likelihood == pytest.approx(many.log_marginal_likelihood, rel=1e-8)


def test_draws_are_of_the_posterior(flat: KnownErrorsPosterior, flat_summary: pd.DataFrame) -> None:
    draws = flat.draws(rng=np.random.default_rng(6), shape=(4, 20_000))
    for name, values in draws.items():
        assert values.shape == (4, 20_000)
        row = flat_summary.loc[name, ""]
        error = row["sd"] / math.sqrt(values.size)
        assert abs(values.mean() - row["mean"]) < 4 * error, name
        for column, p in QUANTILES.items():
            below = (values <= row[column]).mean()
            assert abs(below - p) < 4 * math.sqrt(p * (1 - p) / values.size), (name, column)
    h, precision, _ = flat.problem.given(draws["tau"].ravel())
    z = (draws["mu"].ravel() - flat.problem.origin - h) * np.sqrt(precision)
    assert stats.kstest(z, "norm").pvalue > 1e-4
