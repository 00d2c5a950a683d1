"""Covariates of groups: published numbers, an independent check of the algebra, and bad input."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_estimates
from partialpool.errors import InputError
from partialpool.families import META_REGRESSION, exact
from partialpool.families.covariates import Covariates, covariates
from partialpool.families.known_errors import Estimates
from partialpool.families.meta_analysis import regression
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfNormal, Normal, Uniform
from partialpool.programs import find_program


@pytest.fixture(scope="module")
def bcg() -> GroupedData:
    return explained(pp.read(pp.example("bcg")), ["latitude"])


def of(made: GroupedData) -> tuple[Any, Covariates]:
    found = made.stats.covariates
    assert found is not None
    return made.stats, found


# Published numbers


def test_bcg_by_latitude_is_what_is_published(bcg: GroupedData) -> None:
    """Berkey et al. (1995); the digits are those of metafor for these trials."""
    own, found = of(bcg)
    table = regression(own, found).set_index("coefficient")
    assert table.loc["intercept", "estimate"] == pytest.approx(0.2515, abs=5e-5)
    assert table.loc["intercept", "se"] == pytest.approx(0.2491, abs=5e-5)
    assert table.loc["latitude", "estimate"] == pytest.approx(-0.0291, abs=5e-5)
    assert table.loc["latitude", "se"] == pytest.approx(0.0072, abs=5e-5)
    assert table.loc["intercept", "tau2"] == pytest.approx(0.0763, abs=5e-5)
    assert table.loc["intercept", "tau2_without"] == pytest.approx(0.3132, abs=5e-5)
    assert table.loc["intercept", "explained"] == pytest.approx(1 - 0.0763 / 0.3132, abs=1e-3)
    assert table.loc["intercept", "q"] == pytest.approx(30.7330, abs=5e-4)


def test_the_estimates_of_the_example_are_those_of_its_counts() -> None:
    frame = pd.read_csv(pp.example("bcg"))
    risks = [frame[f"{g}_cases"] / frame[g] for g in ("vaccinated", "control")]
    variance = sum(1 / frame[f"{g}_cases"] - 1 / frame[g] for g in ("vaccinated", "control"))
    ratios = np.log(risks[0] / risks[1]).to_numpy()
    assert frame["log_risk_ratio"].to_numpy() == pytest.approx(ratios, abs=1e-6)
    assert frame["se"].to_numpy() == pytest.approx(np.sqrt(np.asarray(variance)), abs=1e-6)


# The exact posterior against an integral of dense matrices


def dense(
    y: Any, se: Any, x: Any, tau: float, prior_mean: Any, prior_sd: Any
) -> tuple[float, Any, Any]:
    """Log density of the estimates given tau, and moments of coefficients, without shortcuts."""
    noise = np.diag(se**2 + tau**2)
    whole = noise + (x * prior_sd**2) @ x.T
    log_density = stats.multivariate_normal.logpdf(y, x @ prior_mean, whole)
    gain = (x * prior_sd**2).T @ np.linalg.inv(whole)
    mean = prior_mean + gain @ (y - x @ prior_mean)
    return float(log_density), mean, np.diag(prior_sd**2) - gain @ (x * prior_sd**2)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_posterior_is_that_of_dense_matrices(offset: float) -> None:
    rng = np.random.default_rng(5)
    J = 9
    se = rng.uniform(0.4, 2.0, J)
    columns = {"a": rng.normal(50, 10, J), "b": rng.normal(0, 1e-3, J)}
    labels = [f"g{j}" for j in range(J)]
    found = covariates(columns, labels, where="data")
    y = offset + 3 + 0.1 * columns["a"] + rng.normal(0, 1, J) + se * rng.normal(size=J)
    mu, beta, tau = Normal(offset + 5, 6), Normal(0, 2.5), HalfNormal(1.5)
    posterior = exact.meta_regression(labels, y, se, found, mu=mu, beta=beta, tau=tau)
    table = posterior.summary().set_index(["parameter", "group"])
    assert table["error"].max() < 1e-9
    x = found.design
    prior_mean, prior_sd = np.array([mu.location, 0, 0]), np.array([6, 2.5, 2.5])
    nodes, weights = np.polynomial.legendre.leggauss(400)
    at, weights = 4.5 * (nodes + 1), 4.5 * weights  # tau from 0 to 9
    parts = [dense(y, se, x, t, prior_mean, prior_sd) for t in at]
    density = np.array([p[0] for p in parts]) + tau.log_density(at)
    total = np.log(np.sum(weights * np.exp(density - density.max()))) + density.max()
    assert posterior.log_marginal_likelihood == pytest.approx(total, abs=1e-7)
    weights = weights * np.exp(density - total)
    scale = np.concatenate([[1.0], 1 / found.spread])
    means = np.array([p[1] * scale for p in parts])
    mean = weights @ means
    variances = np.array([np.diag(p[2]) * scale**2 for p in parts])
    sd = np.sqrt(weights @ (variances + (means - mean) ** 2))
    for k, name in enumerate(("mu", "beta[a]", "beta[b]")):
        assert table.loc[(name, ""), "mean"] == pytest.approx(mean[k], abs=1e-7 * sd[k])
        assert table.loc[(name, ""), "sd"] == pytest.approx(sd[k], rel=1e-7)
    factor = se**2 / (se**2 + at[:, None] ** 2)
    lines = np.array([x @ p[1] for p in parts])
    theta = weights @ (y + factor * (lines - y))
    assert table.loc["theta", "mean"].to_numpy() == pytest.approx(theta, abs=1e-6)
    pair = posterior.contrasts(pairs=[("g0", "g5")]).iloc[0]
    assert pair["mean"] == pytest.approx(theta[0] - theta[5], abs=1e-6)
    apart = []
    for p, f, t in zip(parts, factor, at, strict=True):
        own = sum(se[j] ** 2 * (1 - f[j]) for j in (0, 5))
        of_line = f[0] * x[0] - f[5] * x[5]
        means_apart = (y + f * (x @ p[1] - y))[[0, 5]]
        apart.append((own + of_line @ p[2] @ of_line, means_apart[0] - means_apart[1], t))
    spread = sum(
        w * (v + (m - pair["mean"]) ** 2) for w, (v, m, _) in zip(weights, apart, strict=True)
    )
    assert pair["sd"] == pytest.approx(np.sqrt(spread), rel=1e-6)


def test_leaving_a_group_out_is_fitting_without_it(bcg: GroupedData) -> None:
    own, found = of(bcg)
    choice = META_REGRESSION.base_choice(priors_for(bcg))
    posterior = META_REGRESSION.exact_alternative(choice, own)
    elpd, below = posterior.leave_one_out(), posterior.leave_one_out_cdf()
    for j in (0, 6, 11):
        rest = np.array([i for i in range(own.J) if i != j])
        again: Any = META_REGRESSION.exact_alternative(choice, own.take(rest))
        grid = again.fine
        h, covariance = grid.moments
        line, x = again.problem.line, found.design[j]
        center = x @ line.origin + h @ x
        sd = np.sqrt(own.se[j] ** 2 + grid.values**2 + np.einsum("i,kij,j->k", x, covariance, x))
        density = grid.weights @ stats.norm.pdf(own.estimate[j], center, sd)
        assert elpd[j] == pytest.approx(np.log(density), abs=1e-8)
        assert below[j] == pytest.approx(grid.weights @ stats.norm.cdf(own.estimate[j], center, sd))


def test_complete_pooling_is_partial_pooling_of_no_spread(bcg: GroupedData) -> None:
    own, found = of(bcg)
    mu, beta = Normal(0, 5), Normal(0, 2)
    arguments = (own.labels, own.estimate, own.se, found)
    line = exact.common_line(*arguments, mu=mu, beta=beta)
    near: Any = exact.meta_regression(*arguments, mu=mu, beta=beta, tau=Uniform(1e-7))
    left, right = (each.summary().set_index(["parameter", "group"]) for each in (line, near))
    for which in [("mu", ""), ("beta[latitude]", ""), ("theta", "7")]:
        assert left.loc[which, "mean"] == pytest.approx(right.loc[which, "mean"], abs=1e-6)
        assert left.loc[which, "sd"] == pytest.approx(right.loc[which, "sd"], rel=1e-4)
    assert line.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-5)
    bayes_factor = near.log_bayes_factor_of_no_spread
    assert bayes_factor == pytest.approx(0, abs=1e-5)
    assert line.leave_one_out() == pytest.approx(near.leave_one_out(), abs=1e-4)


def test_a_covariate_of_many_standard_errors_is_summed_on_nodes() -> None:
    rng = np.random.default_rng(3)
    J = 900
    se = np.exp(rng.normal(0, 0.6, J))
    a = rng.normal(size=J)
    y = 1 + 0.5 * a + rng.normal(0, 0.7, J) + se * rng.normal(size=J)
    found = covariates({"a": a}, [str(j) for j in range(J)], where="data")
    priors: dict[str, Any] = {"mu": Normal(0, 5), "beta": Normal(0, 3), "tau": HalfNormal(2)}
    posterior = exact.meta_regression([str(j) for j in range(J)], y, se, found, **priors)
    for tau in (0.01, 0.7, 30.0):
        h, precision, log_density = posterior.problem.line.given(np.array([tau]))
        w = 1 / (se**2 + tau**2)
        line = posterior.problem.line
        known = (line.design.T * w) @ line.design + np.diag(line.scale**-2)
        assert precision[0] == pytest.approx(known, rel=1e-12)
        weighted = line.design.T @ (w * line.y) + line.location / line.scale**2
        assert h[0] == pytest.approx(np.linalg.solve(known, weighted), rel=1e-9, abs=1e-12)
        residual = line.y - line.design @ h[0]
        log_known = -0.5 * (
            (w * residual**2).sum()
            + ((h[0] - line.location) ** 2 / line.scale**2).sum()
            + np.linalg.slogdet(known)[1]
            - np.log(w).sum()
        )
        assert log_density[0] == pytest.approx(log_known, rel=1e-12)


def test_draws_are_those_of_the_posterior(bcg: GroupedData) -> None:
    own, _ = of(bcg)
    rng = np.random.default_rng(2)
    choice = META_REGRESSION.base_choice(priors_for(bcg))
    shape = (4, 5000)
    drawn = META_REGRESSION.draw_alternative(choice, own, rng=rng, shape=shape, draw_groups=True)
    table = META_REGRESSION.exact_alternative(choice, own).summary()
    table = table.set_index(["parameter", "group"])
    found = {("mu", ""): drawn["mu"], ("beta[latitude]", ""): drawn["beta"][..., 0]}
    found |= {("theta", label): drawn["theta"][..., j] for j, label in enumerate(own.labels)}
    for which, values in found.items():
        error = table.loc[which, "sd"] / np.sqrt(values.size)
        assert abs(values.mean() - table.loc[which, "mean"]) < 4.5 * error
        assert values.std() == pytest.approx(table.loc[which, "sd"], rel=0.04)


def test_typical_error_variance_without_covariates_is_that_of_meta_analysis() -> None:
    """The share about a line reduces to I^2 where x tells nothing: here by Monte Carlo of none."""
    se = np.full(6, 0.5)
    found = covariates({"a": np.arange(6.0)}, list("abcdef"), where="data")
    made = META_REGRESSION.with_covariates(Estimates(tuple("abcdef"), np.arange(6.0), se), found)
    shares = META_REGRESSION.shares(made, np.array([0.5]))
    assert shares["i2"][0] == pytest.approx(0.5)
    assert shares["h2"][0] == pytest.approx(2.0)


# Categories and bad input


def small(**columns: Any) -> GroupedData:
    made = from_estimates(list("abcdefg"), np.arange(7.0), np.ones(7), name="small")
    return dataclasses.replace(made, columns=columns)


def test_a_category_has_a_reference_level_that_is_named() -> None:
    made = explained(small(where=["north", "south", "west"] * 2 + ["north"]), ["where"])
    _, found = of(made)
    assert found.names == ("where: south", "where: west")
    assert found.values[:3].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert found.sources == ("where",)
    assert any("differences from north" in note for note in made.notes)
    at = found.rows({"where": ["west", None, "north"]}, 3) + found.middle
    assert at[0].tolist() == [0, 1]
    assert at[1] == pytest.approx(found.middle)
    assert at[2].tolist() == [0, 0]
    with pytest.raises(InputError, match="no such level; there are 'north', 'south', 'west'"):
        found.rows({"where": ["east"]}, 1)


def test_what_is_kept_can_be_taken_back() -> None:
    _, found = of(explained(small(x=list(range(7)), k=list("aabbaab")), ["x", "k"]))
    again = Covariates.recorded(found.record)
    assert again.names == found.names
    assert again.design.tolist() == found.design.tolist()
    assert again.sources == ("x", "k")


@pytest.mark.parametrize(
    ("columns", "by", "message"),
    [
        ({"x": [2.0] * 7}, ["x"], "covariate 'x' is the same in all groups"),
        ({"x": ["u"] * 7}, ["x"], "covariate 'x' is the same in all groups"),
        ({"x": [0.1 + 0.2, *[0.3] * 6]}, ["x"], "covariate 'x' is the same in all groups"),
        ({"x": [1, 2, None, 4, 5, 6, 7]}, ["x"], "covariate 'x' of group 'c' is missing"),
        ({"x": ["u", "v", "", "u", "v", "u", "v"]}, ["x"], "covariate 'x' of group 'c' is missing"),
        ({"x": list(range(7)), "z": [3 + 2 * k for k in range(7)]}, ["x", "z"], "follows from 'x'"),
        ({"x": [f"kind {k}" for k in range(7)]}, ["x"], "'x' is text of 7 kinds"),
        ({"x": list(range(7))}, ["z"], "there is no column 'z'"),
        ({"x": list(range(7))}, ["x", "x"], "named twice"),
        ({"x": [1e200, 2e200, 3e200, 4e200, 5e200, 6e200, 9e200]}, ["x"], "squares of covariate"),
    ],
)
def test_covariates_that_explain_nothing_are_refused(
    columns: dict[str, Any], by: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explained(small(**columns), by)


def test_covariates_are_for_models_that_take_them() -> None:
    with pytest.raises(InputError, match="no model of both"):
        explained(pp.read(pp.example("bcg")).modelled(population="student_t"), ["latitude"])
    with pytest.raises(InputError, match="this column holds the se"):
        explained(pp.read(pp.example("bcg")), ["se"])


def test_covariates_are_named_at_once(bcg: GroupedData) -> None:
    with pytest.raises(InputError, match="it has covariates already"):
        explained(bcg, ["latitude"])
    assert explained(bcg, []) is bcg


def test_few_groups_are_warned_of(bcg: GroupedData) -> None:
    made = explained(small(x=list(range(7))), ["x"])
    program: Any = SimpleNamespace(pooling="partial")
    assert made.family.check_poolable(program, made.stats) == []
    few = made.stats.take(np.arange(4))
    [warning] = made.family.check_poolable(program, few)
    assert "4 groups and 2 coefficients leave 2 to tell tau by" in warning
    assert bcg.family.check_poolable(program, bcg.stats) == []


def test_no_pooling_is_the_program_without_covariates() -> None:
    own, other = (
        find_program("no_pooling", family=name).read_text("utf-8")
        for name in ("known_errors", "known_errors_covariates")
    )
    assert own == other


def test_a_prior_of_slopes_lies_about_0(bcg: GroupedData) -> None:
    from partialpool.priors.choices import parse_choice

    named = bcg.family.named_choices(bcg.stats, priors_for(bcg))
    assert named["beta_wide"].beta.scale == 10 * named["base"].beta.scale
    found = parse_choice("narrow: beta=normal(0, 0.1)", named)
    assert found.beta.scale == 0.1
    with pytest.raises(InputError, match="has the mean 0"):
        parse_choice("odd: beta=normal(1, 0.1)", named)


def test_what_is_expected_of_a_new_group_has_the_spread_of_all_priors(bcg: GroupedData) -> None:
    rng = np.random.default_rng(1)
    choice = bcg.family.base_choice(priors_for(bcg))
    u, z = rng.uniform(size=(2, 40_000)), rng.standard_normal((3, 40_000))
    expected = bcg.family.expected(choice, bcg.stats, u, z)
    plain = expected.std()
    without = dataclasses.replace(choice, beta=Normal(0, 1e-9))
    added = plain**2 - bcg.family.expected(without, bcg.stats, u, z).std() ** 2
    _, found = of(bcg)
    size = (found.design[:, 1:] ** 2).mean()
    assert added == pytest.approx(choice.beta.scale**2 * size, rel=0.1)
