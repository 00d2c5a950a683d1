"""What every family of data holds; a new one is caught by it with an example in `EXAMPLES`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from helpers import densities, nested
from partialpool import data, fitting, programs
from partialpool.data import GroupedData
from partialpool.data.adjusting import with_covariates
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_estimates, from_proportions, from_rates
from partialpool.data.weights import weighted
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.base import FORMS, Family, Statistics
from partialpool.families.exact import NestedPosterior, TabledPosterior
from partialpool.families.linked.family import LinkedFamily
from partialpool.fitting import Fit
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.priors import Uniform
from partialpool.priors.choices import BASE, parse_choice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.studies import sensitivity
from partialpool.tables import exactness

Make = Callable[..., GroupedData]


def observations(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    rng = np.random.default_rng(12)
    sizes = [2, 3, 5, 9, 4, 6, 3, 7]
    labels = np.repeat([f"site {j}" for j in range(len(sizes))], sizes)
    values = np.repeat(rng.normal(4, 1.5, len(sizes)), sizes) + rng.normal(0, 2, len(labels))
    return data.from_values(labels.tolist(), offset + scale * values, name="observations")


def estimates(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    rng = np.random.default_rng(13)
    se = np.exp(rng.normal(0, 0.5, 8))
    y = rng.normal(4, np.hypot(1.5, se))
    labels = [f"study {j}" for j in range(8)]
    return from_estimates(labels, offset + scale * y, scale * se, name="estimates")


def explained_estimates(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    return beside(estimates(scale, offset))


def explained_observations(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    plain = observations(scale, offset)
    dose = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5])
    region = np.array(["north", "south", "north", "south", "south", "north", "north", "south"])
    columns = {"dose": dose[plain.group].tolist(), "region": region[plain.group].tolist()}
    return explained(replace(plain, columns=columns), ["dose", "region"])


def adjusted_observations(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    """With the rows, which the data of the family leave out, for what is compared with them."""
    plain = observations(scale, offset)
    rng = np.random.default_rng(16)
    columns = {
        "dose": (3 + 0.5 * plain.group + rng.normal(0, 1, len(plain.y))).tolist(),
        "sex": rng.choice(["f", "m"], len(plain.y)).tolist(),
    }
    found = with_covariates(replace(plain, columns=columns), adjust=["dose", "sex"])
    return replace(found, y=plain.y, group=plain.group, columns=columns)


def weighted_observations(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    plain = observations(scale, offset)
    weights = np.random.default_rng(17).lognormal(0, 0.7, plain.stats.N)
    return weighted(replace(plain, columns={"w": weights.tolist()}), "w")


def proportions(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    rng = np.random.default_rng(14)
    trials = np.array([5, 9, 14, 20, 30, 45, 70, 12])
    successes = rng.binomial(trials, rng.beta(2, 4, 8))
    return from_proportions([f"site {j}" for j in range(8)], successes, trials, name="proportions")


def rates(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    rng = np.random.default_rng(15)
    exposure = np.array([0.5, 1.0, 2.5, 4.0, 7.0, 10.0, 16.0, 1.5])
    events = rng.poisson(exposure * rng.gamma(3, 0.8, 8))
    return from_rates([f"site {j}" for j in range(8)], events, exposure, name="rates")


def beside(plain: GroupedData) -> GroupedData:
    columns = {
        "dose": [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5],
        "region": ["north", "south", "north", "south", "south", "north", "north", "south"],
    }
    return explained(replace(plain, columns=columns), ["dose", "region"])


def own_spread(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    return observations(scale, offset).modelled(spread="own")


def student_t_effects(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    return estimates(scale, offset).modelled(population="student_t")


def student_t_means(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    return observations(scale, offset).modelled(population="student_t")


def student_t_errors(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    return observations(scale, offset).modelled(errors="student_t")


EXAMPLES: dict[str, Make] = {
    "normal": observations,
    "own_spread": own_spread,
    "student_t": student_t_means,
    "normal_covariates": explained_observations,
    "normal_adjusted": adjusted_observations,
    "student_t_errors": student_t_errors,
    "weighted": weighted_observations,
    "known_errors": estimates,
    "known_errors_student_t": student_t_effects,
    "known_errors_covariates": explained_estimates,
    "nested": nested.observations,
    "known_errors_nested": nested.estimates,
    "proportions": proportions,
    "proportions_logit_normal": lambda: proportions().modelled(population="logit_normal"),
    "proportions_covariates": lambda: beside(proportions()),
    "rates": rates,
    "rates_log_normal": lambda: rates().modelled(population="log_normal"),
    "rates_covariates": lambda: beside(rates()),
}
"""Name of each family to what makes a small data set of it; of one with a unit and an origin, in
any unit and from any origin."""

SHIPPED = tuple(dict.fromkeys(name for each in FAMILIES.values() for name in each.programs))
PROGRAMS = (*SHIPPED, "sensitivity")


@pytest.fixture(scope="module", params=FAMILIES)
def make(request: pytest.FixtureRequest) -> Make:
    return EXAMPLES[request.param]


@pytest.fixture(scope="module")
def made(make: Make) -> GroupedData:
    return make()


def needs(made: GroupedData, program: str) -> None:
    """Leave a test out whose program the family does not have."""
    if program not in (*made.family.programs, "sensitivity"):
        pytest.skip(f"data of the family {made.family.name} have no {program}")


def knows(made: GroupedData, program: str) -> None:
    """Leave a test out that is about an exact posterior which is not known."""
    if not made.family.knows_exactly(program):
        pytest.skip(f"data of the family {made.family.name} have no exact posterior of {program}")


def base_of(made: GroupedData) -> Any:
    return made.family.base_choice(priors_for(made))


def error_sds(made: GroupedData) -> list[float]:
    """Values of the error's sd to look at: 1 alone where errors are known."""
    return [0.7, 1.9] if made.stats.error_sd else [1.0]


def only_gaussian(made: GroupedData) -> None:
    """Leave a test out that is about a normal population."""
    if not made.family.gaussian:
        pytest.skip(f"data of the family {made.family.name} have no normal population")


def of_size(mu: float, size: float) -> tuple[float, float, float]:
    """Center, tau and mean sd within groups of a beta population."""
    tau = math.sqrt(mu * (1 - mu) / (1 + size))
    return mu, tau, tau * math.sqrt(size)


def of_gamma(mu: float, size: float) -> tuple[float, float, float]:
    """Center, tau and sd of the events in one unit of exposure of a gamma population."""
    return mu, math.sqrt(mu / size), math.sqrt(mu)


def populations(family: Family) -> list[tuple[float, float, float]]:
    """Populations to look at: center, tau, and the sd of errors."""
    if isinstance(family, LinkedFamily):
        link = family.likelihood.link
        points = [(m, s) for m in (-0.6, 0.4) for s in (0.02, 0.6, 1.5)]
        return [tuple(float(x) for x in link.moments(*map(np.array, p))) for p in points]  # type: ignore[misc]
    if not family.gaussian:
        make = of_size if family.name == "proportions" else of_gamma
        return [make(mu, size) for mu in (0.1, 0.5) for size in (0.7, 30.0, 4000.0)]
    sds = [0.7, 1.9] if family.statistics.error_sd else [1.0]
    return [(m, t, sd) for sd in sds for m, t in ((0.0, 0.3), (4.0, 1.0), (9.0, 20.0))]


def one(value: float) -> NDArray[np.float64]:
    return np.full((1, 1, 1), value)


# Statistics


def test_the_family_answers_for_its_data(made: GroupedData) -> None:
    assert FAMILIES[made.family.name] is made.family
    assert set(EXAMPLES) == set(FAMILIES)


def test_statistics_are_by_group(made: GroupedData) -> None:
    own = made.stats
    assert own.J == len(own.labels) == len(made.labels)
    assert own.N == len(made.y) == own.counts.sum()
    assert np.bincount(made.group).tolist() == own.counts.tolist()
    for array in (*own.columns.values(), own.raw, own.raw_se, own.weight, *own.sizes.values()):
        assert array.shape == (own.J,)
        assert np.isfinite(array).all()
    assert (own.weight > 0).all()
    assert own.total_sd > 0
    assert own.raw.min() <= own.grand_mean <= own.raw.max()
    weights = np.ones(own.N) if own.row_weights is None else own.row_weights
    of = [made.group == j for j in range(own.J)]
    means = [np.average(made.y[rows], weights=weights[rows]) for rows in of]
    assert own.raw == pytest.approx(np.array(means))
    assert made.family.count(own).startswith(f"{own.N:,} {made.family.words.rows}")


def test_statistics_of_some_groups_are_those_groups_(made: GroupedData) -> None:
    at = np.array([5, 0, 2])
    some = made.stats.take(at)
    assert some.labels == tuple(made.labels[j] for j in at)
    for name, column in made.stats.columns.items():
        assert getattr(some, name).tolist() == column[at].tolist()
    if made.stats.covariates is not None:
        kept = some.covariates
        assert kept.centered.tolist() == made.stats.covariates.centered[at].tolist()
    whole = made.summary().set_index("group")
    pd.testing.assert_frame_equal(some.summary().set_index("group"), whole.loc[list(some.labels)])
    assert some.raw.tolist() == made.stats.raw[at].tolist()


# Algebra


def test_the_marginal_density_is_the_likelihood_over_the_population(made: GroupedData) -> None:
    """Up to a constant of each group's data, as the likelihood is."""
    for j in (0, 3):
        alone = made.stats.take(np.array([j]))
        apart = [
            float(made.family.log_marginal(alone, one(center), one(tau), one(sd))[0, 0, 0])
            - integrated(made.family, alone, center, tau, sd)
            for center, tau, sd in populations(made.family)
        ]
        closely = 1e-6 if isinstance(made.family, LinkedFamily) else 1e-9  # interpolated
        assert apart == pytest.approx([apart[0]] * len(apart), abs=closely)


def integrated(family: Family, alone: Statistics, center: float, tau: float, sd: float) -> float:
    """Log of the likelihood of one group's data, integrated over its theta by quadrature."""
    if not family.gaussian:
        return _integrated_over_kind(family, alone, center, (sd / tau) ** 2)

    def density(theta: float) -> float:
        likelihood = family.log_likelihood(alone, np.array([[theta]]), np.array([[sd]]))
        return math.exp(float(likelihood[0])) * float(stats.norm.pdf(theta, center, tau))

    precision = alone.weight[0] / sd**2
    at = (alone.raw[0] * precision + center / tau**2) / (precision + tau**-2)
    reach = 12 * (precision + tau**-2) ** -0.5
    return math.log(integrate.quad(density, at - reach, at + reach, epsabs=0, epsrel=1e-12)[0])


def _integrated_over_kind(family: Family, alone: Statistics, center: float, size: float) -> float:
    """The same where theta is a probability or a rate, over its logit or its logarithm."""
    low, high = (-90, 90) if family.reads == "proportions" else (-500, 12)
    u, step = np.linspace(low, high, 1000 * (high - low) + 1, retstep=True)
    assert alone.kind is not None
    theta, slope = alone.kind.theta(u)
    log_density = family.log_likelihood(alone, theta[None], np.ones((1, 1)))
    if isinstance(family, LinkedFamily):
        link = family.likelihood.link
        tau = link.sd(np.array(center), np.array(size))
        population = stats.norm.logpdf(u, *link.invert(np.array(center), tau))
    elif family.name == "proportions":
        a, b = center * size, (1 - center) * size
        population = a * np.log(theta) - b * np.logaddexp(0, u) - special.betaln(a, b)
    else:
        population = stats.gamma.logpdf(theta, center * size, scale=1 / size) + np.log(slope)
    return float(special.logsumexp(log_density + population)) + math.log(step)


def test_the_likelihood_is_that_of_the_rows(made: GroupedData) -> None:
    rng = np.random.default_rng(3)
    if not made.family.gaussian:
        theta = rng.beta(2, 4, (made.stats.J, 3))
        found = made.family.log_likelihood(made.stats, theta, np.ones((1, 3)))
        counts = made.stats.columns
        if made.family.reads == "rates":
            means = counts["exposure"][:, None] * theta
            rows = stats.poisson.logpmf(counts["events"][:, None], means)
            assert np.diff(found) == pytest.approx(np.diff(rows.sum(axis=0)), rel=1e-9)
            return
        rows = stats.binom.logpmf(counts["successes"][:, None], counts["trials"][:, None], theta)
        assert np.diff(found) == pytest.approx(np.diff(rows.sum(axis=0)), rel=1e-9)
        return
    own = made.stats
    row_sd = np.sqrt(own.counts / own.weight)[made.group]  # in units of the error's sd
    if own.row_weights is not None:
        row_sd = 1 / np.sqrt(own.row_weights)
    found, known = [], []
    for sd in (*error_sds(made), error_sds(made)[0]):
        theta = rng.normal(4, 2, own.J)
        found.append(float(made.family.log_likelihood(own, theta[:, None], np.array([[sd]]))[0]))
        known.append(stats.norm.logpdf(made.y, theta[made.group], sd * row_sd).sum())
    assert np.diff(found) == pytest.approx(np.diff(known), rel=1e-9, abs=1e-9)


def test_pooling_factors_go_from_complete_to_none(made: GroupedData) -> None:
    taus = np.geomspace(1e-7, 1e7, 60)[None]
    for sd in error_sds(made):
        error_sd = np.full((1, *taus.shape), sd)
        found = made.family.pooling_factor(made.stats, taus, error_sd)
        assert found.shape == (made.stats.J, *taus.shape)
        assert ((found > 0) & (found <= 1)).all()
        assert (np.diff(found, axis=2) <= 0).all()
        assert found[..., 0] == pytest.approx(np.ones_like(found[..., 0]))
        assert found[..., -1].max() < 1e-9
    least = np.argmin(made.stats.weight)
    assert (found[least] >= found).all()


# Priors


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4), (30.0, -700.0)])
def test_default_priors_move_with_the_data(make: Make, scale: float, offset: float) -> None:
    only_gaussian(make())
    plain, moved = base_of(make()), base_of(make(scale, offset))
    p = np.array([0.1, 0.5, 0.9])
    step = plain.mu.scale
    expected = offset + scale * plain.mu.quantile(p)
    assert moved.mu.quantile(p) == pytest.approx(expected, rel=1e-9, abs=0.02 * scale * step)
    for name, prior in plain.priors.items():
        if name != "mu":
            quantiles = moved.priors[name].quantile(p)
            factor = 1.0 if name in plain.free_of_unit else scale
            assert quantiles == pytest.approx(factor * prior.quantile(p), rel=0.01)


def test_default_priors_are_complete_and_conflict_with_nothing(made: GroupedData) -> None:
    priors = priors_for(made)
    assert set(priors.values) == set(made.family.settings) - {"tau_upper", "nu_fixed"}
    assert set(made.family.choice_settings) <= set(made.family.settings)
    assert set(priors.sources) == set(priors.values)
    assert made.family.prior_conflicts(priors, made.stats) == []
    if made.family.gaussian:
        far = {"mu_location": made.stats.grand_mean + 1e3 * priors.values["mu_scale"]}
    else:
        far = {"theta_alpha": 2000.0, "theta_beta": 1.0}
    assert len(made.family.prior_conflicts(priors_for(made, far), made.stats)) == 1


def test_named_choices_are_distinct_and_can_be_asked_for(made: GroupedData) -> None:
    priors = priors_for(made)
    named = made.family.named_choices(made.stats, priors)
    assert next(iter(named)) == BASE
    assert [choice.name for choice in named.values()] == list(named)
    assert len({choice.describe() for choice in named.values()}) == len(named)
    assert {choice.name for choice in made.family.default_choices(made.stats, priors)} <= set(named)
    assert sensitivity.choose(list(named), made, priors) == tuple(named.values())
    for choice in named.values():
        scales = {name: prior for name, prior in choice.priors.items() if name != "mu"}
        for name, prior in choice.priors.items():
            assert choice.parsers[name](str(prior)) == prior
        assert choice.spread in choice.priors
        written = ", ".join(f"{name}={prior}" for name, prior in choice.priors.items())
        read = parse_choice(f"mine: {written}", named)
        assert read.priors == choice.priors
        text = programs.find_program("sensitivity", family=made.family.name).read_text("utf-8")
        assert all(re.search(rf"\b{name};", text) for name in choice.inputs())
        assert all(any(given.startswith(name) for given in choice.inputs()) for name in scales)


def test_simulated_data_are_of_the_family(made: GroupedData) -> None:
    family, design = made.family, made.family.design
    assert FAMILIES[design.family] is family
    assert set(design.priors.values) <= set(family.settings)
    family.base_choice(design.priors)
    rng = np.random.default_rng(8)
    choice = family.base_choice(design.priors)
    J = len(design.sizes)
    common = () if made.stats.covariates is None else (J,)
    for pooling, shape in (("complete", common), ("none", (J,)), ("partial", (J,))):
        truth = family.draw_truth(pooling, J, priors=design.priors, choice=choice, rng=rng)  # type: ignore[arg-type]
        assert truth["theta"].shape == shape
        y, group, own = family.draw_rows(truth, design.sizes, rng)
        assert type(own) is type(made.stats)
        assert own.J == J
        assert len(y) == len(group) == own.N
        [*_, size] = own.sizes.values()
        assert size.tolist() == list(design.sizes)


# The exact posterior


def test_the_exact_posterior_is_that_of_a_grid(made: GroupedData) -> None:
    """Over mu, tau and the error's sd, theta integrated out by the algebra tested above."""
    knows(made, FORMS[0])
    if not made.family.gaussian:
        _compare_with_grid_of_sizes(made)
        return
    if made.stats.covariates is not None:
        pytest.skip("a grid over slopes too is large: test_meta_regression has another check")
    choice, own = base_of(made), made.stats
    posterior = made.family.exact_posterior(FORMS[0], own, priors_for(made))
    if isinstance(posterior, TabledPosterior | NestedPosterior):
        pytest.skip("a grid is what it is made of; tests of its own hold it to other quadrature")
    found = posterior.summary()
    found = found.set_index(["parameter", "group"])
    row = found.loc["mu", ""]
    mu = (row["mean"] + row["sd"] * np.linspace(-12, 12, 97))[:, None, None]
    row = found.loc["tau", ""]
    log_tau = np.linspace(math.log(row["median"]) - 12, math.log(row["q97.5"]) + 5, 120)
    tau = np.exp(log_tau)[None, :, None]
    sd, log_sd = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    if own.error_sd:
        row = found.loc[own.error_sd, ""]
        log_sd = np.linspace(math.log(row["q2.5"]) - 1.2, math.log(row["q97.5"]) + 1.2, 60)[
            None, None
        ]
        sd = np.exp(log_sd)
    log_weight = choice.log_density(mu, tau, sd) + np.log(tau) + log_sd
    factors = []
    for j in range(own.J):
        alone = own.take(np.array([j]))
        shape = np.broadcast_shapes(mu.shape, tau.shape, sd.shape)
        flat = [np.broadcast_to(each, shape).reshape(1, 1, -1) for each in (mu, tau, sd)]
        log_weight = log_weight + made.family.log_marginal(alone, *flat).reshape(shape)
        factor = made.family.pooling_factor(alone, flat[1][0], flat[2])
        factors.append(factor.reshape(shape))
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    expected = {("mu", ""): (weight * mu).sum(), ("tau", ""): (weight * tau).sum()}
    for j, label in enumerate(made.labels):
        mean = own.raw[j] + factors[j] * (mu - own.raw[j])
        expected["theta", label] = (weight * mean).sum()
        expected["lambda", label] = (weight * factors[j]).sum()
    for which, value in expected.items():
        assert value == pytest.approx(found.loc[which, "mean"], abs=2e-4 * found.loc[which, "sd"])


def _compare_with_grid_of_sizes(made: GroupedData) -> None:
    """Over the logit or the log of the mean and the log of the size of the population."""
    choice: Any = base_of(made)
    own, family = made.stats, made.family
    posterior: Any = family.exact_posterior("hierarchical_marginal", own, priors_for(made))
    found = posterior.summary().set_index(["parameter", "group"])
    if isinstance(family, LinkedFamily):
        _compare_with_grid_of_alphas(family, own, choice, found)
        return
    z, v = np.linspace(-4, 3, 160)[:, None], np.linspace(-6, 25, 500)[None, :]
    if family.name == "proportions":
        mu, size = np.broadcast_arrays(1 / (1 + np.exp(-z)), np.exp(v))
        tau = np.sqrt(mu * (1 - mu) / (1 + size))
        sigma, log_slope = tau * np.sqrt(size), np.log(mu * (1 - mu) * size)
    else:
        mu, size = np.broadcast_arrays(np.exp(z), np.exp(v))
        tau, sigma, log_slope = np.sqrt(mu / size), np.sqrt(mu), np.log(mu * size**2)
    log_weight = choice.log_density(mu, tau, sigma) + log_slope
    flat = [each.reshape(1, -1) for each in (mu, tau, sigma)]
    log_weight = log_weight + family.log_marginal(own, *flat).sum(axis=0).reshape(mu.shape)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    expected = {("mu", ""): mu, ("tau", ""): tau}
    for j, label in enumerate(made.labels):
        factor = size / (size + own.weight[j])
        expected["lambda", label] = factor
        expected["theta", label] = own.raw[j] + factor * (mu - own.raw[j])
    for which, values in expected.items():
        row = found.loc[which]
        if np.isfinite(row["mean"]):
            scale = row["sd"] if np.isfinite(row["sd"]) else row["q97.5"] - row["q2.5"]
            assert (weight * values).sum() == pytest.approx(row["mean"], abs=3e-4 * scale)


def _compare_with_grid_of_alphas(
    family: LinkedFamily, own: Statistics, choice: Any, found: pd.DataFrame
) -> None:
    """Over location and log scale of the population, and each group's alpha."""
    location, scale = np.linspace(-4, 3, 71)[:, None], np.exp(np.linspace(-7, 2, 91))[None, :]
    mu, tau, sigma = family.likelihood.link.moments(*np.broadcast_arrays(location, scale))
    log_weight = choice.location.log_density(location) + choice.scale.log_density(scale)
    log_weight = log_weight + np.log(scale)
    alpha, step = np.linspace(-14, 8, 1600, retstep=True)
    population = stats.norm.logpdf(alpha, location[..., None], scale[..., None]).reshape(-1, 1600)
    theta, means = family.likelihood.link.theta(alpha), []
    for j in range(own.J):
        alone = own.take(np.array([j]))
        likelihood = np.exp(family.log_likelihood(alone, theta[None], np.ones((1, 1))))
        # a population narrower than the steps is a point
        wide = np.broadcast_to(scale > 2 * step, mu.shape)
        over = [
            np.where(
                wide,
                (np.exp(population) @ (likelihood * theta**k) * step).reshape(mu.shape),
                np.interp(location, alpha, likelihood * theta**k),
            )
            for k in (0, 1)
        ]
        log_weight = log_weight + np.log(over[0])
        means.append(over[1] / over[0])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    expected = {("mu", ""): mu, ("tau", ""): tau, ("location", ""): location + 0 * mu}
    for j, label in enumerate(own.labels):
        expected["lambda", label] = sigma**2 / (sigma**2 + own.weight[j] * tau**2)
        expected["theta", label] = means[j]
    for which, values in expected.items():
        row = found.loc[which]
        if np.isfinite(row["mean"]):
            scale_of = row["sd"] if np.isfinite(row["sd"]) else row["q97.5"] - row["q2.5"]
            assert (weight * values).sum() == pytest.approx(row["mean"], abs=2e-3 * scale_of)


@pytest.mark.parametrize("program", SHIPPED)
def test_every_shipped_program_has_an_exact_posterior(made: GroupedData, program: str) -> None:
    needs(made, program)
    knows(made, program)
    posterior = made.family.exact_posterior(program, made.stats, priors_for(made))
    kinds = {"complete": "complete", "no": "none", "hierarchical": "partial"}
    assert posterior.pooling == kinds[program.split("_")[0]]
    table = posterior.summary()
    by_tables = isinstance(posterior, TabledPosterior | NestedPosterior)
    of_counts = 2e-3 if isinstance(made.family, LinkedFamily) else 1e-3
    usual = 1e-6 if made.family.gaussian else of_counts
    assert table["error"].max() < (2e-2 if by_tables else usual)
    if made.family.gaussian:  # elsewhere means of the population need not exist
        assert np.isfinite(table["mean"]).all()
    assert np.isfinite(table["median"]).all()
    common = posterior.pooling == "complete" and made.stats.covariates is None
    assert (table["parameter"] == "theta").sum() == (1 if common else made.stats.J)


def test_other_programs_and_missing_settings_are_named(made: GroupedData) -> None:
    priors = priors_for(made)
    with pytest.raises(InputError, match="'mine' is not known"):
        made.family.exact_posterior("mine", made.stats, priors)
    for name in priors.values:
        kept = {key: value for key, value in priors.values.items() if key != name}
        program = "hierarchical_marginal" if name in made.family.choice_settings else "no_pooling"
        if program in made.family.programs and not made.family.knows_exactly(program):
            with pytest.raises(InputError, match="'hierarchical_marginal' is not known"):
                made.family.exact_posterior(program, made.stats, priors)
            with pytest.raises(InputError, match=f"--prior {name}=NUMBER"):
                made.family.base_choice(Priors(kept))
            continue
        if made.stats.covariates is not None and name.startswith("theta"):
            program = "no_pooling"
        bounded = "tau_upper" in made.family.settings
        needed = "tau_upper" if name == "tau_df" and bounded else name
        with pytest.raises(InputError, match=f"--prior {needed}=NUMBER"):
            made.family.exact_posterior(program, made.stats, Priors(kept))


def test_no_pooling_s_prior_predictive_density(made: GroupedData) -> None:
    """Its sum is the exact marginal likelihood of no pooling."""
    if made.family.name == "normal_adjusted":
        needs(made, "no_pooling")  # groups share slopes, so that their data are not independent
    priors = priors_for(made)
    found = made.family.prior_marginal(made.stats, priors.values)
    assert found is not None
    assert found.shape == (made.stats.J,)
    posterior: Any = made.family.exact_posterior("no_pooling", made.stats, priors)
    assert found.sum() == pytest.approx(posterior.log_marginal_likelihood, rel=1e-9)
    assert made.family.prior_marginal(made.stats, {}) is None


# With Stan


def few_draws(made: GroupedData, name: str, cmdstan: toolchain.CmdStan, draws: int) -> Fit:
    family = made.family
    extra = base_of(made).inputs() if name == "sensitivity" else {}
    [fit] = fitting.fit_programs(
        [programs.load(name, family=family.name)],
        made,
        priors=priors_for(made),
        settings=Settings(chains=2, warmup=300, draws=draws, adapt_delta=0.9, seed=3),
        extra=extra,
        cmdstan=cmdstan,
    )
    return fit


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_density_of_every_program_is_python_s(
    name: str, made: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    """Up to a constant, at points where the sampler has been."""
    needs(made, name)
    if made.stats.nesting is not None and name not in ("complete_pooling", "no_pooling"):
        pytest.skip("tests of its own hold three levels to one multivariate normal density")
    fit = few_draws(made, name, cmdstan, draws=4)
    program = programs.load(name, family=made.family.name)
    executable = toolchain.compile_program(program.path, cmdstan=cmdstan)
    extra = base_of(made).inputs() if name == "sensitivity" else {}
    inputs = stan_data(program, made, priors_for(made), extra=extra)
    points = [
        {
            parameter: fit.posterior[parameter].isel(chain=chain, draw=draw).to_numpy()
            for parameter in program.declared["parameters"]
        }
        for chain in range(2)
        for draw in range(4)
    ]
    found = densities.stan_log_density(executable, inputs, points)
    known = densities.log_joint(fit, made, base_of(made))
    apart = found - known
    assert np.ptp(known) > 0.1
    assert np.ptp(apart) < 1e-7 * max(1.0, np.abs(found).max())
    if fit.pooling == "partial":
        kept = fit.draws["log_prior"].to_dataset().to_dataarray().sum("variable").to_numpy()
        at = {k: fit.posterior[k].to_numpy() for k in ("mu", "tau", made.stats.error_sd) if k}
        prior = densities.log_prior(fit, base_of(made), at["mu"], at["tau"], at.get("sigma", 1.0))
        prior = prior + densities.of_slopes(fit, made, base_of(made))
        assert np.ptp(kept - prior) < 1e-9


@pytest.mark.parametrize("name", PROGRAMS)
def test_starts_lie_in_the_support(
    name: str, made: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    needs(made, name)
    program = programs.load(name, family=made.family.name)
    executable = toolchain.compile_program(program.path, cmdstan=cmdstan)
    choices: list[Any] = [None]
    if name == "sensitivity":
        choices = [*made.family.named_choices(made.stats, priors_for(made)).values()]
    if name == "sensitivity" and made.family.gaussian:
        narrow = Uniform(0.01 * made.stats.total_sd)
        choices = [base_of(made), replace(base_of(made), tau=narrow)]
    for choice in choices:
        extra = {} if choice is None else choice.inputs()
        inputs = stan_data(program, made, priors_for(made), extra=extra)
        starts = made.family.starts(program, made.stats, Settings(chains=4), inputs=inputs)
        assert len(starts) == 4
        assert all(set(start) == set(program.declared["parameters"]) for start in starts)
        assert np.isfinite(densities.stan_log_density(executable, inputs, starts)).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_program_agrees_with_the_exact_posterior(
    name: str, made: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    needs(made, name)
    knows(made, name)
    [fit] = fitting.fit_programs(
        [programs.load(name, family=made.family.name)],
        made,
        priors=priors_for(made),
        settings=Settings(warmup=1000, draws=3000, adapt_delta=0.99, seed=17),
        cmdstan=cmdstan,
    )
    comparison = exactness.verify_fits(
        [fit], made, {fit.name: exactness.exact_posterior(fit, made)}
    )
    assert len(comparison) > 10 or fit.pooling == "complete"
    [judged] = exactness.agreement(comparison).to_dict("records")
    if (
        name == "hierarchical_centered"
    ):  # its funnel leaves out a little; the others are the same model
        assert judged["largest"] < 12, judged
    else:
        assert judged["agrees"], judged
