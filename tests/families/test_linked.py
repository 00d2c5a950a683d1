"""Counts from a population of normal logits or logarithms: algebra, draws, exact posteriors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.grouped import from_proportions, from_rates
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.families.linked.draws import draw
from partialpool.families.linked.integrals import Integrals, below, log_probability
from partialpool.families.linked.likelihoods import BINOMIAL, POISSON, Likelihood
from partialpool.families.linked.surface import Surface, surface
from partialpool.fitting import without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.priors.distributions import HalfCauchy, HalfNormal, Normal
from partialpool.priors.linked import LOG, LOGIT, Link
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness
from partialpool.types import FloatArray

PAIRS: list[tuple[Likelihood, float, float]] = [
    *((BINOMIAL, y, n) for y, n in ((0, 1), (0, 30), (3, 12), (12, 12), (1, 400), (45, 100))),
    (BINOMIAL, 20_000, 50_000),
    *((POISSON, x, e) for x, e in ((0, 0.4), (2, 3.5), (14, 31.4), (90, 2.0), (0, 3e4))),
]


def integral(
    likelihood: Likelihood, y: float, n: float, location: float, scale: float, power: float = 0
) -> float:
    """Log of the integral of theta^power times the likelihood, by SciPy."""

    def log_density(alpha: FloatArray) -> FloatArray:
        own = likelihood.log_density(alpha, np.asarray(y), np.asarray(n))
        grown = power * np.log(likelihood.link.theta(alpha))
        return own + grown + stats.norm.logpdf(alpha, location, scale)

    grid = np.linspace(location - 9 * scale, location + 9 * scale, 40_001)
    values = log_density(grid)
    peak = values.max()
    near = grid[values > peak - 40]
    area = integrate.quad(
        lambda a: float(np.exp(log_density(np.array([a]))[0] - peak)),
        near[0] - scale / 4000,
        near[-1] + scale / 4000,
        points=[grid[int(np.argmax(values))]],
        limit=400,
        epsabs=0,
        epsrel=1e-10,
    )[0]
    return float(peak + np.log(area))


@pytest.mark.parametrize(("likelihood", "y", "n"), PAIRS)
@pytest.mark.parametrize("scale", [0.003, 0.3, 1.5])
def test_integrals_are_scipy_s(likelihood: Likelihood, y: float, n: float, scale: float) -> None:
    own = Integrals(likelihood, np.array([y], float), np.array([n], float))
    center, variance = likelihood.about(np.asarray(y), np.asarray(n))
    for sds in (-2.0, 0.5):
        location = float(center + sds * np.sqrt(min(float(variance), 4.0) + scale**2))
        found = own.log_marginal(np.array([location]), np.array([scale]))[0, 0]
        assert found == pytest.approx(integral(likelihood, y, n, location, scale), abs=2e-6)


@pytest.mark.parametrize("scale", [0.01, 0.8, 2.0])
def test_probabilities_of_all_counts_add_up_to_one(scale: float) -> None:
    at = np.array([-0.7]), np.array([scale])
    y = np.arange(41.0)
    binomial = np.exp(log_probability(BINOMIAL, y, np.full(41, 40.0), *at))[:, 0]
    assert binomial.sum() == pytest.approx(1, abs=1e-7)
    x = np.arange(3000.0)
    poisson = np.exp(log_probability(POISSON, x[::-1], np.full(3000, 2.0), *at))[::-1, 0]
    assert poisson.sum() == pytest.approx(1, abs=1e-4 if scale > 1 else 1e-7)
    for count in (0, 3, 17):
        share = binomial[:count].sum() + 0.5 * binomial[count]
        assert below(BINOMIAL, count, 40, *at)[0] == pytest.approx(share, abs=3e-5)
        share = poisson[:count].sum() + 0.5 * poisson[count]
        assert below(POISSON, count, 2.0, *at)[0] == pytest.approx(share, abs=3e-5)


@pytest.mark.parametrize("link", [LOGIT, LOG])
@given(location=st.floats(-8, 3), log_scale=st.floats(-9, 1.1))
def test_mean_and_sd_say_which_population_it_is(
    link: Link, location: float, log_scale: float
) -> None:
    at = np.array([location]), np.exp([log_scale])
    mu, tau, _ = link.moments(*at)
    found = link.invert(mu, tau)
    assert found[0] == pytest.approx(at[0], abs=1e-9)
    assert found[1] == pytest.approx(at[1], rel=1e-8)
    assert link.location(mu, at[1]) == pytest.approx(at[0], abs=1e-9)


def test_moments_of_logits_are_those_of_draws() -> None:
    theta = special.expit(-1.2 + 0.9 * stats.norm.ppf((np.arange(400_000) + 0.5) / 400_000))
    mu, tau, sigma = (float(x[0]) for x in LOGIT.moments(np.array([-1.2]), np.array([0.9])))
    assert mu == pytest.approx(theta.mean(), rel=1e-5)
    assert tau == pytest.approx(theta.std(), rel=1e-4)
    assert sigma == pytest.approx(np.sqrt((theta * (1 - theta)).mean()), rel=1e-5)


@pytest.mark.parametrize(("likelihood", "y", "n"), [*PAIRS, (BINOMIAL, 0, 0), (POISSON, 0, 0)])
@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_draws_are_of_the_density(likelihood: Likelihood, y: float, n: float, scale: float) -> None:
    rng = np.random.default_rng([int(y), int(100 * scale)])
    arrays = (np.full(4000, x) for x in (y, n, -1.0, scale))
    drawn = draw(likelihood, *arrays, rng)
    grid = np.linspace(drawn.min() - 0.2 * drawn.std(), drawn.max() + 0.2 * drawn.std(), 20_001)
    log_density = likelihood.log_density(grid, np.asarray(y), np.asarray(n))
    log_density = log_density - 0.5 * ((grid + 1) / scale) ** 2
    share = np.cumsum(np.exp(log_density - log_density.max()))
    test = stats.kstest(drawn, lambda a: np.interp(a, grid, share / share[-1]))
    assert test.pvalue > 1e-4


# Data sets


def batting(**about: Any) -> GroupedData:
    return read(example("batting")).modelled(population="logit_normal", **about)


def dense(data: GroupedData, choice: Any) -> dict[str, FloatArray]:
    """Posterior means over a grid of location and scale, each likelihood summed over alpha."""
    location = np.linspace(-4.5, 1.0, 111)[:, None]
    scale = np.linspace(0.004, 3.0, 250)[None, :]
    log_weight = choice.location.log_density(location) + choice.scale.log_density(scale)
    z, step = np.linspace(-9, 9, 721, retstep=True)
    alpha = location[..., None] + scale[..., None] * z
    height = stats.norm.pdf(z) * step
    theta, log_other = special.expit(alpha), -np.logaddexp(0, alpha)
    counts = data.stats.columns
    pairs = list(zip(counts["successes"].tolist(), counts["trials"].tolist(), strict=True))
    known = {}
    for y, n in dict.fromkeys(pairs):
        likelihood = np.exp(y * (alpha + log_other) + (n - y) * log_other) * height
        whole = likelihood.sum(axis=-1)
        known[y, n] = whole, (likelihood * theta).sum(axis=-1) / whole
    for pair in pairs:
        log_weight = log_weight + np.log(known[pair][0])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    means = [(weight * known[pair][1]).sum() for pair in pairs]
    return {
        "theta": np.array(means),
        "location": (weight * location).sum(),
        "scale": (weight * scale).sum(),
    }


def test_batting_averages_are_those_of_a_dense_grid() -> None:
    data = batting()
    choice: Any = data.family.base_choice(priors_for(data))
    posterior: Any = data.family.exact_posterior(
        "hierarchical_marginal", data.stats, priors_for(data)
    )
    expected = dense(data, choice)
    mean, sd = posterior.group_moments()
    assert mean == pytest.approx(expected["theta"], abs=2e-4)
    own = posterior.coarse
    assert own.of_location().mean == pytest.approx(float(expected["location"]), abs=2e-4)
    assert own.of_scale().mean == pytest.approx(float(expected["scale"]), abs=2e-3)
    assert (sd > 0.02).all()
    assert posterior.leave_one_out_cdf() == pytest.approx(
        special.ndtr((data.stats.raw - 0.265) / 0.078), abs=0.06
    )


def test_equal_likelihoods_give_the_beta_population_s_neighbourhood() -> None:
    """With much data in each group the population hardly matters: both give the proportions."""
    n = np.array([4000, 5000, 8000, 6000])
    plain = from_proportions(list("abcd"), [800, 1500, 1200, 2500], n, name="many")
    linked = plain.modelled(population="logit_normal")
    for data in (plain, linked):
        posterior: Any = data.family.exact_posterior(
            "hierarchical_marginal", data.stats, priors_for(data)
        )
        assert posterior.group_moments()[0] == pytest.approx(data.stats.raw, abs=3e-3)


def counted(link: str, seed: int) -> GroupedData:
    """Many groups, of few and of many counts, some of none, some alike."""
    rng = np.random.default_rng(seed)
    size = np.concatenate([rng.integers(3, 40, 60), rng.integers(300, 40_000, 60), [0]])
    alpha = rng.normal(-1.5, (0.02, 0.3, 1.5)[seed % 3], size.size)
    labels = [str(j) for j in range(size.size)]
    if link == "logit":
        data = from_proportions(labels, rng.binomial(size, special.expit(alpha)), size, name="x")
        return data.modelled(population="logit_normal")
    data = from_rates(labels, rng.poisson(size * np.exp(alpha)), size * 1.0, name="x")
    return data.modelled(population="log_normal")


@pytest.mark.parametrize("link", ["logit", "log"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_many_pairs_are_looked_up_to_nine_digits(link: str, seed: int) -> None:
    data = counted(link, seed)
    posterior: Any = data.family.exact_posterior(
        "hierarchical_marginal", data.stats, priors_for(data)
    )
    problem = posterior.problem
    assert isinstance(problem.log_likelihood, Surface)
    drawn = posterior.draws(rng=np.random.default_rng(1), shape=(500,))
    at = drawn["location"], drawn["scale"]
    whole = problem.groups @ problem.pairs.relative(*at)
    assert problem.log_likelihood(*at) == pytest.approx(whole, abs=1e-8)
    far = np.linspace(*problem.ends[1], 400)
    falls = problem.log_likelihood(far, np.full(400, np.median(at[1])))
    top = int(np.argmax(falls))
    assert (np.diff(falls[: top + 1]) > 0).all()
    assert (np.diff(falls[top:]) < 0).all()


def test_where_no_surface_is_right_there_is_none() -> None:
    """A kink, and a hill that is wider than the surface."""
    normals = np.array([0.0, 0.1]), np.array([0.1, 0.2]), np.ones(2)

    def found(log_likelihood: Any) -> Surface | None:
        return surface(log_likelihood, lambda m, s: -0.0 * m * s, normals, (-6.0, -2.0))

    assert found(lambda m, s: -np.abs(50 * m) - s) is None
    assert found(lambda m, s: -((m + s) ** 2) / 100) is None
    assert found(lambda m, s: -20 * (m - s**2) ** 2 - s**2) is not None


@pytest.mark.parametrize(
    ("location", "scale"),
    [(Normal(40.0, 0.01), HalfNormal(1.0)), (Normal(-1, 1), HalfNormal(1e-3))],
)
def test_priors_far_from_the_data_are_not_looked_up(location: Normal, scale: HalfNormal) -> None:
    """They leave the posterior where the surface of the likelihood does not reach."""
    data = counted("logit", 2)
    base: Any = data.family.base_choice(priors_for(data))
    choice = replace(base, location=location, scale=scale)
    posterior: Any = data.family.exact_alternative(choice, data.stats)
    assert not isinstance(posterior.problem.log_likelihood, Surface)
    near: Any = data.family.exact_alternative(base, data.stats)
    assert isinstance(near.problem.log_likelihood, Surface)


def test_a_billion_trials_leave_their_digits() -> None:
    """Each group is known to its own binomial error, which is a hundred-thousandth of it."""
    n, share = 10**9, np.array([0.2, 0.23, 0.31, 0.27, 0.25])
    data = from_proportions(list("abcde"), (share * n).astype(int), [n] * 5, name="billion")
    data = data.modelled(population="logit_normal")
    posterior: Any = data.family.exact_posterior(
        "hierarchical_marginal", data.stats, priors_for(data)
    )
    theta = posterior.summary().query("parameter == 'theta'")
    own = np.sqrt(share * (1 - share) / n)
    assert theta["sd"].to_numpy() == pytest.approx(own, rel=1e-3)
    assert (theta["mean"].to_numpy() - share) / own == pytest.approx(0, abs=1e-2)
    assert (theta["q97.5"].to_numpy() - share) / own == pytest.approx(1.96, abs=1e-2)
    assert (theta["error"] < 1e-3).all()


def test_groups_of_which_nothing_was_seen_have_the_population_s() -> None:
    data = from_rates(list("abcd"), [3, 9, 4, 0], [2.0, 3.0, 5.0, 0.0], name="three").modelled(
        population="log_normal"
    )
    posterior: Any = data.family.exact_posterior(
        "hierarchical_marginal", data.stats, priors_for(data)
    )
    table = posterior.summary().set_index(["parameter", "group"])
    new, unseen = table.loc["theta_new", ""], table.loc["theta", "d"]
    assert unseen["median"] == pytest.approx(new["median"], rel=1e-4)
    assert table.loc[("lambda", "d"), "mean"] == pytest.approx(1)
    assert any("d has no exposure" in note for note in data.notes)
    assert np.isfinite(posterior.leave_one_out()).all()


def test_moments_that_do_not_exist_are_infinite() -> None:
    """Under a half-Cauchy scale no moment of a log-normal population exists; quantiles do."""
    data = from_rates(list("abcd"), [3, 9, 4, 1], [2.0, 3.0, 5.0, 2.0], name="four").modelled(
        population="log_normal"
    )
    base: Any = data.family.base_choice(priors_for(data))
    for scale, finite in ((HalfCauchy(1.0), False), (HalfNormal(0.3), True)):
        choice = type(base)("mine", base.location, scale, base.link)
        summary: Any = data.family.exact_alternative(choice, data.stats).summary()
        row = summary.set_index("parameter").loc["mu"]
        assert np.isfinite(row["mean"]) == finite
        assert np.isfinite(row["median"])
        assert np.isfinite(summary[summary["parameter"] == "theta"]["mean"]).all()


@pytest.mark.parametrize(
    ("data", "population", "said"),
    [
        ("batting", "log_normal", "the choices are beta, logit_normal"),
        ("pumps", "logit_normal", "the choices are gamma, log_normal"),
        ("eight_schools", "beta", "of estimates the choices are"),
    ],
)
def test_a_population_of_other_rows_is_refused(data: str, population: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(example(data)).modelled(population=population)


def test_settings_of_the_other_population_are_left_out_and_named() -> None:
    data = batting()
    assert any("size_power" in note and "not used" in note for note in data.notes)
    assert set(priors_for(data).values) == set(data.family.settings)


def test_maximum_likelihood_is_that_of_the_marginal_density() -> None:
    data = read(example("tumors")).modelled(population="logit_normal")
    row = data.family.classical(data.stats)["maximum_likelihood"]().iloc[1]
    counts = (data.stats.columns[name].astype(float) for name in ("successes", "trials"))
    counts = tuple(counts)

    def total(location: float, scale: float) -> float:
        at = np.array([location]), np.array([scale])
        return float(log_probability(BINOMIAL, *counts, *at).sum())

    best = total(row["location"], row["scale"])
    assert best == pytest.approx(row["log_likelihood"], abs=1e-6)
    for moved in ((0.03, 1.0), (-0.03, 1.0), (0.0, 1.05), (0.0, 0.95)):
        assert total(row["location"] + moved[0], row["scale"] * moved[1]) < best
    alike = from_proportions(list("abcd"), [10, 10, 10, 10], [40] * 4, name="alike")
    alike = alike.modelled(population="logit_normal")
    found = alike.family.classical(alike.stats)
    assert found["maximum_likelihood"]()["scale"].tolist() == [0.0, 0.0]
    assert found["predictors"]()["plug_in"].tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("name", "population", "most"), [("pumps", "log_normal", 1e6), ("batting", "logit_normal", 0.5)]
)
def test_the_prior_of_tau_is_a_density_however_far_it_reaches(
    name: str, population: str, most: float
) -> None:
    """Of a log-normal population tau grows beyond numbers with the scale."""
    data = read(example(name)).modelled(population=population)
    choice: Any = data.family.base_choice(priors_for(data))
    tau = np.geomspace(1e-6, most, 20_000)
    assert np.trapezoid(choice.tau_density(tau), tau) == pytest.approx(1, abs=0.01)


DRAWN = {
    "batting": batting,
    "tumors": lambda: read(example("tumors")).modelled(population="logit_normal"),
    "pumps": lambda: read(example("pumps")).modelled(population="log_normal"),
    "few counts": lambda: from_proportions(list("abc"), [0, 3, 1], [5, 8, 9], name="few").modelled(
        population="logit_normal"
    ),
    "of everything": lambda: counted("log", 2),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_are_from_the_exact_posterior(name: str, cmdstan: toolchain.CmdStan) -> None:
    """Every mean, sd and quantile that is reported, within Monte Carlo error, and of joint ones."""
    data = DRAWN[name]()
    program = programs.load("hierarchical_marginal", family=data.family.name)
    assert without_rows.is_exact(program, data)
    fit = without_rows.draw_exact(
        program, data, priors=priors_for(data), settings=Settings(draws=5000)
    )
    assert fit.record.independent
    posterior = exactness.exact_posterior(fit, data)
    found = exactness.verify_fits([fit], data, {fit.name: posterior})
    assert exactness.agreement(found)["agrees"].all()
    own: Any = posterior
    assert (own.problem.population is None) == (name == "few counts")


def test_a_group_without_data_is_known_to_be_pooled_completely() -> None:
    """On every processor: sums of weights are 1 to the last digit on some only."""
    data = from_proportions(list("abc"), [0, 3, 0], [5, 8, 0], name="few").modelled(
        population="logit_normal"
    )
    found = data.family.exact_posterior("hierarchical_marginal", data.stats, priors_for(data))
    rows = found.summary().set_index(["parameter", "group"])
    assert rows.loc[("lambda", "c"), ["mean", "sd", "q2.5", "q97.5", "error"]].tolist() == [
        *(1.0, 0.0, 1.0, 1.0, 0.0)
    ]


def test_draws_of_groups_do_not_know_the_number_of_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = DRAWN["tumors"]()
    choice = data.family.base_choice(priors_for(data))

    def theta() -> np.ndarray:
        rng = np.random.default_rng(3)
        how: dict[str, Any] = {"rng": rng, "shape": (2, 1000), "draw_groups": True}
        return data.family.draw_alternative(choice, data.stats, **how)["theta"]

    found = theta()
    assert len(np.unique(found[0, 0])) == data.stats.J  # no two blocks have the same numbers
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    np.testing.assert_array_equal(theta(), found)


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "few counts"])
def test_panels_hold_the_posterior_of_the_population(name: str) -> None:
    data = DRAWN[name]()
    posterior: Any = data.family.exact_posterior(
        "hierarchical_marginal", data.stats, priors_for(data)
    )
    panels, grid = posterior.problem.population, posterior.coarse
    p = np.array([0.001, 0.025, 0.25, 0.5, 0.75, 0.975, 0.999])
    scale = panels.unit * np.sinh(panels.outer.quantile(p))
    assert scale == pytest.approx(grid.of_scale().quantile(p), rel=1e-6)
    location, scale = panels.draw(np.random.default_rng(5), 20_000)
    share = (np.arange(400) + 0.5) / 400
    for drawn, known in ((location, grid.of_location()), (scale, grid.of_scale())):
        at = known.quantile(share)
        assert stats.kstest(drawn, lambda x, at=at: np.interp(x, at, share)).pvalue > 1e-3
    mu = data.family.likelihood.link.moments(location, scale)[0]
    at = grid.mu().quantile(share)
    assert stats.kstest(mu, lambda x: np.interp(x, at, share)).pvalue > 1e-3
