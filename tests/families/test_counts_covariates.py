"""Covariates of counts: algebra and fits against quadrature of the test's own, limits, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import partialpool as pp
from partialpool import fitting, programs
from partialpool.api.predicting import predict_rows
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_proportions, from_rates
from partialpool.errors import InputError
from partialpool.families.linked.line import OnALinkedLine
from partialpool.fitting import Fit
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.summarize import summarize
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import checks, group_scores, regression, shrinkage, variables

X = [1.0, 2.0, 4.0, 7.0, 3.0, 9.0]
LABELS = [f"site {j}" for j in range(6)]


def proportions(**about: Any) -> GroupedData:
    plain = from_proportions(LABELS, [2, 3, 8, 14, 32, 0], [12, 11, 15, 20, 75, 3], **about)
    return explained(replace(plain, columns={"x": X}), ["x"])


def rates(**about: Any) -> GroupedData:
    exposure = [2.0, 1.0, 5.0, 0.5, 24.0, 0.0]
    plain = from_rates(LABELS, [3, 0, 12, 4, 32, 0], exposure, **about)
    return explained(replace(plain, columns={"x": X}), ["x"])


MAKERS: dict[str, Callable[..., GroupedData]] = {"proportions": proportions, "rates": rates}


def family_of(data: GroupedData) -> OnALinkedLine:
    assert isinstance(data.family, OnALinkedLine)
    return data.family


def log_probability(data: GroupedData, j: int, alpha: Any) -> NDArray[np.float64]:
    """Log probability of the counts of a group at points of alpha."""
    columns = data.stats.columns
    if data.family.reads == "proportions":
        y, n = int(columns["successes"][j]), int(columns["trials"][j])
        return np.asarray(math.log(math.comb(n, y)) + y * alpha - n * np.logaddexp(0, alpha))
    y, e = int(columns["events"][j]), float(columns["exposure"][j])
    log_e = math.log(e) if y else 0.0
    return np.asarray(y * (alpha + log_e) - e * np.exp(alpha) - math.lgamma(y + 1))


class Quadrature:
    """The posterior of partial pooling with one covariate, on a grid of three dimensions.

    They are location, slope for an sd of x, and log scale. Each group's alpha is integrated out
    about the line, by the rule of Gauss and Hermite with 160 points.
    """

    def __init__(self, data: GroupedData) -> None:
        choice: Any = family_of(data).base_choice(priors_for(data))
        middle = choice.location.location
        axes = (
            middle + np.linspace(-4.5, 4.5, 31),
            np.linspace(-5.5, 6.5, 41),
            np.linspace(-8.0, 1.6, 33),
        )
        grid = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        self.location, self.slope, self.log_scale = grid
        scale = np.exp(self.log_scale)
        log_density = choice.location.log_density(self.location) + self.log_scale
        log_density += choice.beta.log_density(self.slope) + choice.scale.log_density(scale)
        z = data.stats.covariates.design[:, 1]  # type: ignore[union-attr]
        means = []
        for j in range(data.stats.J):
            line = self.location + self.slope * z[j]
            whole, first = integrals(data, j, line, scale)
            log_density += whole
            means.append(np.exp(first - whole))
        weight = np.exp(log_density - log_density.max())
        self.weight = weight / weight.sum()
        self.theta = np.array([self.weight @ mean for mean in means])

    def mean(self, values: NDArray[np.float64]) -> float:
        return float(self.weight @ values)


def integrals(data: GroupedData, j: int, line: Any, scale: Any) -> NDArray[np.float64]:
    """Logs of the integrals of a group's probability, and of theta times it, (2, points)."""
    link = family_of(data).likelihood.link
    points, weights = special.roots_hermitenorm(160)
    found = np.empty((2, len(line)))
    for start in range(0, len(line), 5_000):
        part = slice(start, start + 5_000)
        alpha = line[part, None] + scale[part, None] * points
        terms = np.maximum(log_probability(data, j, alpha), -1e4)
        terms = terms + np.log(weights / math.sqrt(2 * math.pi))
        found[0, part] = special.logsumexp(terms, axis=1)
        with np.errstate(divide="ignore"):
            found[1, part] = special.logsumexp(terms + np.log(link.theta(alpha)), axis=1)
    return found


def fitted(
    data: GroupedData, name: str, cmdstan: toolchain.CmdStan, *, draws: int = 1500, **priors: float
) -> Fit:
    program = programs.load(name, family=data.family.name)
    [fit] = fitting.fit_programs(
        [program],
        data,
        priors=priors_for(data, priors),
        settings=Settings(warmup=500, draws=draws, adapt_delta=0.95, seed=5),
        cmdstan=cmdstan,
    )
    return fit


@pytest.fixture(scope="module")
def fits(cmdstan: toolchain.CmdStan) -> Callable[[str], list[Fit]]:
    """Complete and partial pooling of the examples, each fitted once."""

    @cache
    def of(kind: str) -> list[Fit]:
        names = ("complete_pooling", "hierarchical_marginal")
        return [fitted(MAKERS[kind](), name, cmdstan) for name in names]

    return of


@pytest.mark.parametrize("kind", MAKERS)
def test_fits_are_those_of_quadrature(kind: str, fits: Callable[[str], list[Fit]]) -> None:
    data = MAKERS[kind]()
    exact = Quadrature(data)
    sd = data.stats.covariates.spread[0]  # type: ignore[union-attr]
    fit = fits(kind)[1]
    theta, beta = variables.theta(fit, data), variables.coefficients(fit, data)
    location, scale = variables.intercept(fit, data), variables.spread(fit, data)
    assert theta is not None
    assert beta is not None
    assert location is not None
    assert scale is not None
    drawn = np.concatenate([location[None], beta * sd, np.log(scale)[None], theta])
    known = [
        exact.mean(exact.location),
        exact.mean(exact.slope),
        exact.mean(exact.log_scale),
        *exact.theta,
    ]
    found = summarize(drawn)
    apart = (found["mean"] - np.array(known)) / found["mcse_mean"]
    if kind == "rates":  # the rate of a group without exposure has no mean
        apart = apart[:-1]
    assert np.abs(apart).max() < 4, apart


@pytest.mark.parametrize("kind", MAKERS)
def test_the_algebra_about_the_line_is_that_of_quadrature(kind: str) -> None:
    data = MAKERS[kind]()
    family, rng = family_of(data), np.random.default_rng(2)
    beta, location = rng.normal(0, 0.3, (1, 1, 7)), rng.normal(0, 1, (1, 7))
    scale = np.exp(rng.normal(-0.8, 0.6, (1, 7)))
    line = family.line(data.stats, location, beta)
    x = np.array(X) - np.mean(X)
    assert line == pytest.approx(location + x[:, None, None] * beta)
    found = family.log_marginal_about(data.stats, line, scale)
    populations = family.at(line, scale)
    on_it = family.log_marginal_about(data.stats, line, np.zeros((1, 7)))
    for j in range(data.stats.J):
        whole, _ = integrals(data, j, line[j].ravel(), scale.ravel())
        assert found[j].ravel() == pytest.approx(whole, abs=1e-5)  # in the tails, too
        assert on_it[j] == pytest.approx(log_probability(data, j, line[j]), abs=1e-9)
    alpha = line[..., None] + scale[..., None] * rng.standard_normal(200_000)
    theta = family.likelihood.link.theta(alpha)
    error = 6 * theta.std(axis=-1) / math.sqrt(200_000)
    assert (np.abs(theta.mean(axis=-1) - populations.mean) < error).all()
    assert populations.sd == pytest.approx(theta.std(axis=-1), rel=0.2)
    below = family.below_about(data.stats, line, scale)
    columns = data.stats.columns
    name, size = ("successes", "trials") if kind == "proportions" else ("events", "exposure")
    for j in range(data.stats.J):
        y, n = int(columns[name][j]), columns[size][j]
        drawn = theta[j, 0, 3]
        counts = rng.binomial(n, drawn) if kind == "proportions" else rng.poisson(n * drawn)
        share = (counts < y).mean() + 0.5 * (counts == y).mean()
        assert below[j, 0, 3] == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize("kind", MAKERS)
def test_without_slopes_it_is_the_model_without_covariates(kind: str) -> None:
    data = MAKERS[kind]()
    family = family_of(data)
    line = np.full((data.stats.J, 1, 1), 0.3)
    found = family.log_marginal_about(data.stats, line, np.full((1, 1), 0.7))
    at = family.likelihood.link.moments(np.full((1, 1), 0.3), np.full((1, 1), 0.7))
    stats_ = family.plain.statistics(data.labels, **data.stats.columns)
    assert found == pytest.approx(family.plain.log_marginal(stats_, *at), abs=1e-6)


@pytest.mark.parametrize("kind", MAKERS)
def test_slopes_without_room_leave_the_model_without_covariates(
    kind: str, cmdstan: toolchain.CmdStan
) -> None:
    data = MAKERS[kind]()
    family = family_of(data)
    fit = fitted(data, "hierarchical_marginal", cmdstan, draws=1500, beta_scale=0.01)
    known = family.unexplained(data.stats, priors_for(data))
    assert known is not None
    exact = known.summary().set_index(["parameter", "group"])
    for name in ("location", "scale"):
        found = summarize(variables.by_group(fit, data, name))
        apart = found["mean"][0] - exact.loc[(name, ""), "mean"]
        assert abs(apart) < 4 * found["mcse_mean"][0]
    theta = summarize(variables.theta(fit, data))
    for j, label in enumerate(data.labels[:-1]):
        apart = theta["mean"][j] - exact.loc[("theta", label), "mean"]
        assert abs(apart) < 4.5 * theta["mcse_mean"][j]


@pytest.mark.parametrize("kind", MAKERS)
def test_tables_are_of_what_was_drawn(kind: str, fits: Callable[[str], list[Fit]]) -> None:
    data = MAKERS[kind]()
    both = fits(kind)
    line, partial = both
    slopes = regression.coefficients(both, data).set_index(["model", "coefficient"])
    for fit in both:
        beta, location = variables.coefficients(fit, data), variables.intercept(fit, data)
        assert beta is not None
        assert location is not None
        row = slopes.loc[(fit.name, "x")]
        assert row["mean"] == pytest.approx(beta.mean())
        assert row["ratio"] == pytest.approx(np.median(np.exp(beta)), rel=1e-3)
        assert row["ratio_q97.5"] == pytest.approx(np.quantile(np.exp(beta), 0.975), rel=1e-3)
        row = slopes.loc[(fit.name, "intercept")]
        assert row["mean"] == pytest.approx((location - np.mean(X) * beta[0]).mean())
        assert math.isnan(row["ratio"])
    [row] = regression.explained(both, data).to_dict("records")
    scale = variables.spread(partial, data)
    assert scale is not None
    assert row["tau_median"] == pytest.approx(np.median(scale))
    assert row["explained"] == pytest.approx(
        1 - (row["tau_median"] / row["tau_without_median"]) ** 2
    )
    theta, about = variables.theta(partial, data), variables.line(partial, data)
    assert theta is not None
    assert about is not None
    link = family_of(data).likelihood.link
    x = np.array(X) - np.mean(X)
    beta = variables.coefficients(partial, data)
    assert beta is not None
    adjusted = regression.adjusted(both, data)
    turned = link.theta(link.alpha(theta) - x[:, None, None] * beta)
    assert adjusted["mean"].to_numpy() == pytest.approx(turned.mean(axis=(1, 2)))
    # Groups are pulled towards the mean of the population at their covariates.
    table = shrinkage.shrinkage(both, data).set_index(["model", "group"])
    rng = np.random.default_rng(6)
    drawn = link.theta(about[0] + about[1] * rng.standard_normal(about[0].shape))
    for j, label in enumerate(data.labels):
        row = table.loc[(partial.name, label)]
        if kind == "proportions":  # the rates of the population have no mean
            assert abs(row["target"] - drawn[j].mean()) < 0.01
        assert 0 < row["lambda_q2.5"] <= row["lambda_mean"] <= row["lambda_q97.5"] <= 1
    assert table.loc[(partial.name, LABELS[-1]), "lambda_mean"] < 1 or kind == "rates"
    # Scores leave each group out: those of the line, whose groups are on it, by hand.
    scores = group_scores.leave_one_group_out(both, data)
    own = scores.groups.set_index(["model", "group"])
    log_likelihood = np.array(
        [log_probability(data, j, each) for j, each in enumerate(variables.line(line, data)[0])]  # type: ignore[index]
    ).reshape(data.stats.J, -1)
    by_weights = -special.logsumexp(-log_likelihood, axis=1) + math.log(log_likelihood.shape[1])
    found = own.loc[line.name]["elpd"].to_numpy()
    assert found == pytest.approx(by_weights, abs=0.1)
    reliable = own["k"] < 0.7
    assert reliable.sum() > 6
    assert own.loc[reliable, "below"].between(0, 1).all()
    replicated = checks.group_checks(both, data)
    assert set(replicated["model"]) == {line.name, partial.name}
    assert replicated["p_value"].between(0, 1).all()


@pytest.mark.parametrize("kind", MAKERS)
def test_new_groups_lie_about_the_line(kind: str, fits: Callable[[str], list[Fit]]) -> None:
    data, partial = MAKERS[kind](), fits(kind)[1]
    link = family_of(data).likelihood.link
    location, scale = variables.intercept(partial, data), variables.spread(partial, data)
    beta, theta = variables.coefficients(partial, data), variables.theta(partial, data)
    assert location is not None
    assert scale is not None
    assert beta is not None
    assert theta is not None
    found = predict_rows(partial, data, ["new", LABELS[2], None], covariates={"x": [8.0, 1.0, 1.0]})
    assert found["kind"].tolist() == ["new", "known", "not named"]
    assert found["mean"][1] == pytest.approx(theta[2].mean())
    line = location + (8.0 - np.mean(X)) * beta[0]
    z = np.random.default_rng(9).standard_normal(line.shape)
    drawn = link.theta(line + scale * z)
    for name, p in {"q2.5": 0.025, "median": 0.5, "q97.5": 0.975}.items():
        share = (drawn < found[name][0]).mean()
        assert share == pytest.approx(p, abs=0.03)
    with pytest.raises(InputError, match="has no normal population"):
        predict_rows(fits(kind)[0], data, ["new"])


def test_covariates_choose_the_population_that_they_need() -> None:
    tumors = pp.read(pp.example("tumors"))
    columns = {"dose": np.arange(tumors.stats.J).tolist()}
    plain = replace(tumors, columns=columns)
    data = explained(plain, ["dose"])
    assert data.family.name == "proportions_covariates"
    assert data.name == "tumors-logit_normal-by-dose"
    assert any("logit_normal, not beta" in note for note in data.notes)
    same = explained(plain.modelled(population="logit_normal"), ["dose"], population="logit_normal")
    assert same.family is data.family
    assert same.name == data.name
    assert not any("not beta" in note for note in same.notes)
    with pytest.raises(InputError, match="--population beta: with covariates there is a model of"):
        explained(plain, ["dose"], population="beta")
    pumps = pp.read(pp.example("pumps"))
    columns = {"age": np.arange(pumps.stats.J).tolist()}
    with pytest.raises(InputError, match="leave --population out, or choose log_normal"):
        explained(replace(pumps, columns=columns), ["age"], population="gamma")


def test_what_is_not_known_exactly_is_said() -> None:
    data = proportions()
    assert not data.family.within_reach(data.stats)
    assert data.family.knows_exactly("no_pooling")
    for name in ("complete_pooling", "hierarchical_marginal", "mine"):
        assert not data.family.knows_exactly(name)
        with pytest.raises(InputError, match=f"'{name}' is not known"):
            data.family.exact_posterior(name, data.stats, priors_for(data))
    choice: Any = data.family.base_choice(priors_for(data))
    with pytest.raises(InputError, match="no exact posterior is known"):
        data.family.exact_alternative(choice, data.stats)
