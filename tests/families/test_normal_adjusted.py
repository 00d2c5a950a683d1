"""Observations adjusted for what varies within groups: dense matrices, REML, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from partialpool.data import GroupedData
from partialpool.data.adjusting import with_covariates
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_estimates, from_values
from partialpool.errors import InputError
from partialpool.families import ADJUSTED_OBSERVATIONS, exact
from partialpool.families.base import COMMON_VARIANCE, COMPLETE, MARGINAL
from partialpool.families.classical_lines import regression
from partialpool.families.exact.statistics import log_spread
from partialpool.families.normal_adjusted import AdjustedMeans, of_slopes
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfNormal, InverseGammaVariance, Normal

SIZES = np.array([1, 2, 5, 3, 9, 4, 2, 6])
GROUP = np.repeat(np.arange(8), SIZES)


def rows(offset: float = 0.0) -> GroupedData:
    """Houses in counties, with the floor, a size and the county's uranium."""
    rng = np.random.default_rng(31)
    uranium, floor = rng.normal(50, 10, 8), np.where(rng.uniform(size=32) < 0.4, "first", "ground")
    size = 3 + 0.05 * uranium[GROUP] + rng.normal(0, 1, 32)
    y = 3 + 0.1 * uranium[GROUP] + rng.normal(0, 0.8, 8)[GROUP] - 1.5 * (floor == "first")
    y = y + 0.4 * size + rng.normal(0, 1.2, 32)
    columns = {"uranium": uranium[GROUP].tolist(), "floor": floor.tolist(), "size": size.tolist()}
    plain = from_values([f"county {j}" for j in GROUP], offset + y, name="radon")
    return replace(plain, columns=columns)


def made(offset: float = 0.0) -> GroupedData:
    return with_covariates(rows(offset), ["uranium"], ["floor", "size"])


def design(data: GroupedData) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Covariates of the rows and of the groups they lie in, in sds from their means."""
    plain, found = rows(), data.stats.covariates
    assert found is not None
    x = np.column_stack(
        [
            np.array(plain.columns["uranium"]),
            (np.array(plain.columns["floor"]) == "ground").astype(float),
            np.array(plain.columns["size"]),
        ]
    )
    scaled = (x - found.middle) / found.spread
    return np.column_stack([np.ones(32), scaled]), found.design


def test_covariates_are_counted_from_the_means_of_their_rows_or_groups() -> None:
    data, plain = made(), rows()
    found = data.stats.covariates
    assert found is not None
    assert found.names == ("uranium", "floor: ground", "size")
    assert found.levels == {"floor": ("first", "ground")}
    size = np.array(plain.columns["size"])
    assert found.middle[2] == pytest.approx(size.mean())
    assert found.spread[2] == pytest.approx(size.std(ddof=1))
    by_group = [np.array(plain.columns["uranium"])[plain.group == j][0] for j in range(8)]
    assert found.middle[0] == pytest.approx(np.mean(by_group))
    assert found.values[4, 2] == pytest.approx(size[plain.group == 4].mean())
    assert not data.has_observations


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("tau", [0.0, 0.3, 2.0])
def test_the_density_given_sds_is_that_of_dense_matrices(offset: float, tau: float) -> None:
    """One multivariate normal density of all observations, coefficients integrated out."""
    data, plain = made(offset), rows(offset)
    x, of_groups = design(data)
    mu, beta, sigma = Normal(offset + 7, 4), Normal(0, 1.5), 1.1
    problem = exact.line_of_means(
        data.stats,
        data.stats.covariates,
        mu=mu,
        beta=beta,
        tau=HalfNormal(1.0),
        sigma=HalfNormal(1.0),
        within=data.stats.within,
    ).problem
    same = (GROUP[:, None] == GROUP).astype(float)
    scale = np.array([4.0, 1.5, 1.5, 1.5])
    noise = tau**2 * same + sigma**2 * np.eye(32)
    whole = noise + (x * scale**2) @ x.T
    y = plain.y - offset - 7
    expected = stats.multivariate_normal.logpdf(y, np.zeros(32), whole)
    between = problem._between(np.array([tau**2]), np.array([sigma**2]))[0]
    spread = log_spread(np.log(np.array([sigma])), problem.spare, problem.ss)[0]
    assert problem.log_constant + between + spread == pytest.approx(expected, abs=1e-7)
    given = problem.conditional(np.array([tau**2]), np.array([sigma**2]))
    weights = np.linalg.solve(whole, y)
    mean = scale**2 * (x.T @ weights)
    assert given.mean[0] + problem.start - [offset + 7, 0, 0, 0] == pytest.approx(mean, abs=1e-8)
    precision = np.diag(scale**-2) + x.T @ np.linalg.solve(noise, x)
    assert given.covariance[0] == pytest.approx(np.linalg.inv(precision), rel=1e-7)
    theta, _, _, origin = problem.theta(4, given)
    own = tau**2 * weights[GROUP == 4].sum()
    assert theta[0] + origin - offset - 7 == pytest.approx(of_groups[4] @ mean + own, abs=1e-8)


def test_complete_pooling_is_a_regression_of_the_observations() -> None:
    data, plain = made(), rows()
    x, _ = design(data)
    priors = priors_for(data)
    posterior: Any = ADJUSTED_OBSERVATIONS.exact_posterior(COMPLETE, data.stats, priors)
    value = priors.values
    scale = np.array([value["mu_scale"], *[value["beta_scale"]] * 3])
    inner = InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"])
    y = plain.y - value["mu_location"]

    def density(sigma: float) -> float:
        whole = sigma**2 * np.eye(32) + (x * scale**2) @ x.T
        log = stats.multivariate_normal.logpdf(y, np.zeros(32), whole)
        return float(log + inner.log_density(np.array(sigma)))

    nodes, steps = np.polynomial.legendre.leggauss(80)
    sigmas = 0.3 + 2 * (nodes + 1)
    logs = [density(s) + np.log(2 * w) for s, w in zip(sigmas, steps, strict=True)]
    total = np.logaddexp.reduce(logs)
    assert posterior.log_marginal_likelihood == pytest.approx(total, abs=1e-6)


def test_no_pooling_shares_slopes_that_are_learned_within_groups() -> None:
    data, plain = made(), rows()
    priors = priors_for(data)
    posterior: Any = ADJUSTED_OBSERVATIONS.exact_posterior(COMMON_VARIANCE, data.stats, priors)
    value = priors.values
    x, of_groups = design(data)
    apart = (x - of_groups[GROUP])[:, 2:]
    own = (GROUP[:, None] == np.arange(8)).astype(float)
    columns = np.column_stack([own, apart])
    scale = np.array([*[value["theta_scale"]] * 8, *[value["beta_scale"]] * 2])
    inner = InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"])
    y = plain.y - value["theta_location"]
    nodes, steps = np.polynomial.legendre.leggauss(80)
    logs, means = [], []
    for sigma, step in zip(0.3 + 2 * (nodes + 1), 2 * steps, strict=True):
        whole = sigma**2 * np.eye(32) + (columns * scale**2) @ columns.T
        log = stats.multivariate_normal.logpdf(y, np.zeros(32), whole)
        logs.append(log + float(inner.log_density(np.array(sigma))) + np.log(step))
        means.append(scale[:8] ** 2 * (own.T @ np.linalg.solve(whole, y)))
    total = np.logaddexp.reduce(logs)
    assert posterior.log_marginal_likelihood == pytest.approx(total, abs=1e-6)
    table = posterior.summary().set_index(["parameter", "group"])
    expected = np.exp(np.array(logs) - total) @ np.array(means) + value["theta_location"]
    found = [table.loc[("theta", label), "mean"] for label in data.labels]
    assert found == pytest.approx(expected.tolist(), abs=1e-6)


def test_reml_is_that_of_the_rows() -> None:
    data, plain = made(1e3), rows(1e3)
    x, _ = design(data)
    same = (GROUP[:, None] == GROUP).astype(float)

    def deviance(log: np.ndarray[Any, Any]) -> float:
        noise = np.exp(log[0]) * same + np.exp(log[1]) * np.eye(32)
        inner = np.linalg.solve(noise, x)
        beta = np.linalg.solve(x.T @ inner, inner.T @ plain.y)
        left = plain.y - x @ beta
        return float(
            np.linalg.slogdet(noise)[1]
            + np.linalg.slogdet(x.T @ inner)[1]
            + left @ np.linalg.solve(noise, left)
        )

    fine = {"xatol": 1e-8, "fatol": 1e-10}
    best = optimize.minimize(deviance, np.zeros(2), method="Nelder-Mead", options=fine)
    table = regression(data.stats, data.stats.covariates, within=data.stats.within)
    assert table["sigma2"][0] == pytest.approx(np.exp(best.x[1]), rel=1e-5)
    assert table["tau2"][0] == pytest.approx(np.exp(best.x[0]), rel=1e-4, abs=1e-5)
    noise = table["tau2"][0] * same + table["sigma2"][0] * np.eye(32)
    inner = np.linalg.solve(noise, x)
    beta = np.linalg.solve(x.T @ inner, inner.T @ plain.y)
    found = data.stats.covariates
    assert found is not None
    assert table["estimate"][1:].tolist() == pytest.approx((beta[1:] / found.spread).tolist())
    full = np.column_stack([same[:, np.cumsum(SIZES) - 1], x[:, 2:]])
    rest = [np.linalg.lstsq(m, plain.y, rcond=None)[1][0] for m in (x, full)]
    f = (rest[0] - rest[1]) / (10 - 4) / (rest[1] / (32 - 10))
    assert table["f"][0] == pytest.approx(f, rel=1e-6)
    assert table["p_value"][0] == pytest.approx(stats.f.sf(f, 6, 22), rel=1e-6)


def test_a_group_given_the_others_is_judged_by_its_rows() -> None:
    """The log density given all parameters, with the group's mean integrated out."""
    data, plain = made(), rows()
    own = data.stats
    assert isinstance(own, AdjustedMeans)
    beta = np.array([0.1, -1.0, 0.3])
    center = 7 + own.covariates.centered @ beta
    tau, sigma = np.array([[0.7]]), np.array([[1.2]])
    found = ADJUSTED_OBSERVATIONS.log_marginal(own, center[:, None, None], tau, sigma)
    found = found + of_slopes(own, beta[:, None, None], sigma)
    x, _ = design(data)
    assert own.covariates is not None
    mean = 7 + x[:, 1:] @ (beta * own.covariates.spread)
    for j in range(8):
        mine = plain.group == j
        noise = 0.7**2 + 1.2**2 * np.eye(int(mine.sum()))
        expected = stats.multivariate_normal.logpdf(plain.y[mine], mean[mine], noise)
        assert found[j, 0, 0] == pytest.approx(expected)


def test_exact_draws_have_the_exact_moments() -> None:
    data = made()
    priors = priors_for(data)
    for program in (COMPLETE, COMMON_VARIANCE, MARGINAL):
        drawn = ADJUSTED_OBSERVATIONS.draw_exactly(
            program,
            data.stats,
            priors,
            rng=np.random.default_rng(3),
            shape=(4, 4000),
            draw_groups=True,
        )
        table = ADJUSTED_OBSERVATIONS.exact_posterior(program, data.stats, priors).summary()
        rows_of = table[table["parameter"] == "theta"]
        error = rows_of["sd"].to_numpy() / 126
        assert np.abs(drawn["theta"].mean(axis=(0, 1)) - rows_of["mean"]).max() < 5 * error.max()


def test_bad_input_says_what_to_do() -> None:
    plain = rows()
    twice = [2 * x for x in plain.columns["size"]]
    many = replace(plain, columns={**plain.columns, "again": twice})
    cases = [
        (plain, [], ["uranium"], "name it with --by, not with --adjust"),
        (many, [], ["size", "again"], "'again' follows from 'size'"),
        (plain, ["floor"], [], "adjust the observations for it with --adjust floor"),
        (plain, ["uranium"], ["uranium"], "named twice"),
        (plain, [], ["sex"], "there is no column 'sex'"),
    ]
    one = replace(plain, columns={"same": [1.0] * 32})
    cases.append((one, [], ["same"], "the same in all rows"))
    gap = replace(plain, columns={"size": [1.0, float("nan"), *range(30)]})
    cases.append((gap, [], ["size"], r"missing in row 2 \(group 'county 1'\)"))
    kinds = replace(plain, columns={"kind": [f"k{i}" for i in range(32)]})
    cases.append((kinds, [], ["kind"], "text of 32 kinds|too few for 31 slopes"))
    same = replace(plain, columns={"twice": (2 * plain.y).tolist()})
    cases.append((same, [], ["twice"], "the outcome follows from 'twice'"))
    cases.append((plain.without_observations(), [], ["size"], "give the rows themselves"))
    for data, by, adjust, message in cases:
        with pytest.raises(InputError, match=message):
            with_covariates(data, by, adjust)
    estimates = from_estimates(["a", "b", "c"], np.arange(3.0), np.ones(3))
    with pytest.raises(InputError, match="--by names what explains how groups differ"):
        with_covariates(estimates, [], ["x"])
    with pytest.raises(InputError, match="no model of both"):
        with_covariates(plain.modelled(spread="own"), [], ["size"])
    assert explained(plain, []) is plain


def test_covariates_within_groups_leave_the_groups_to_tell_tau() -> None:
    """Only slopes of covariates of groups take degrees of freedom from it."""
    data = made()
    assert ADJUSTED_OBSERVATIONS.slopes_between(data.stats) == 1
    x, of_groups = design(data)
    apart = (x - of_groups[GROUP])[:, 1:]
    found = ADJUSTED_OBSERVATIONS.deviations(data.stats, 200_000, np.random.default_rng(5))
    expected = apart.T @ apart / (32 - 8)
    assert np.cov(found.T) == pytest.approx(expected, abs=0.02)
    assert found[:, 0].tolist() == [0.0] * 200_000


def test_new_rows_know_what_is_not_given() -> None:
    found = made().stats.covariates
    assert found is not None
    given = {"floor": ["ground", ""], "size": [4.0, float("nan")]}
    known = found.known(given, 2)
    assert np.isnan(known).tolist() == [[True, False, False], [True, True, True]]
    assert known[0, 1:].tolist() == [1.0, 4.0]
    expected = [0.0, 1 - found.middle[1], 4 - found.middle[2]]
    assert found.rows(given, 2) == pytest.approx(np.array([expected, [0.0] * 3]))
