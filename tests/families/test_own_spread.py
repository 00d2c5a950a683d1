"""Variances of their own: published numbers, a Gibbs sampler, limits, and what a report says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from partialpool.api import compare
from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.families import OWN_SPREAD
from partialpool.families.exact.equal_spread import equal_spread
from partialpool.families.exact.tabled import TabledPosterior
from partialpool.families.moments import GroupStats
from partialpool.families.normal import NORMAL
from partialpool.fitting.inputs import priors_for
from partialpool.priors import Normal, Uniform
from partialpool.priors.choices import PriorChoice, parse_choice
from partialpool.priors.spreads import Gamma, OwnSpreadChoice
from partialpool.report import own_spreads
from partialpool.tables import spreads

DYESTUFF = {
    "A": [1545, 1440, 1440, 1520, 1580],
    "B": [1540, 1555, 1490, 1560, 1495],
    "C": [1595, 1550, 1605, 1510, 1560],
    "D": [1445, 1440, 1595, 1465, 1545],
    "E": [1595, 1630, 1515, 1635, 1625],
    "F": [1520, 1455, 1450, 1480, 1445],
}
"""Davies and Goldsmith (1972): yields of dye."""

FLAT = Normal(1500, 1e5)


def dyestuff() -> GroupedData:
    labels = np.repeat(list(DYESTUFF), 5).tolist()
    return from_values(labels, np.concatenate([*DYESTUFF.values()]), name="dyestuff")


def means(posterior: TabledPosterior) -> pd.DataFrame:
    return posterior.summary().set_index(["parameter", "group"])


# The engine, with one variance


def test_tables_of_values_give_the_published_posterior_of_one_variance() -> None:
    """Mu flat, tau and sigma uniform."""
    choice = PriorChoice("flat", FLAT, Uniform(1e4), Uniform(1e4))
    assert choice.sigma is not None
    found = means(equal_spread(dyestuff().stats, choice, choice.sigma))
    assert found.loc[("tau", ""), "mean"] == pytest.approx(58.168, abs=0.2)
    assert found.loc[("tau", ""), "median"] == pytest.approx(50.428, abs=0.1)
    assert found.loc[("sigma", ""), "mean"] == pytest.approx(52.761, abs=0.02)
    assert found.loc[("theta", "E"), "mean"] == pytest.approx(1583.92, abs=0.03)
    assert found.loc[("theta", "F"), "mean"] == pytest.approx(1482.76, abs=0.03)


def test_tables_of_values_agree_with_the_other_quadrature(homework: GroupedData) -> None:
    priors = priors_for(homework)
    choice = NORMAL.base_choice(priors)
    assert choice.sigma is not None
    tables = equal_spread(homework.stats, choice, choice.sigma)
    known = NORMAL.exact_alternative(choice, homework.stats)
    other = known.summary().set_index(["parameter", "group"])
    found = means(tables)
    shared = [at for at in found.index if at in other.index and at[0] not in ("tau2", "sigma2")]
    assert len(shared) > 10
    for name in ("mean", "q2.5", "median", "q97.5"):
        apart = (found.loc[shared, name] - other.loc[shared, name]).abs() / other.loc[shared, "sd"]
        assert apart.max() < 5e-3
    assert tables.log_marginal_likelihood == pytest.approx(known.log_marginal_likelihood, abs=2e-4)


def test_scores_of_groups_left_out_are_differences_of_evidence(homework: GroupedData) -> None:
    """log p(y_j | the others) = log p(y) - log p(the others), and the latter is worked out anew."""
    own = homework.modelled(spread="own")
    priors = priors_for(own)
    whole = OWN_SPREAD.exact_posterior("hierarchical_marginal", own.stats, priors)
    rest = OWN_SPREAD.exact_posterior("hierarchical_marginal", own.stats.take(np.arange(7)), priors)
    assert isinstance(whole, TabledPosterior)
    assert isinstance(rest, TabledPosterior)
    apart = whole.log_marginal_likelihood - rest.log_marginal_likelihood
    assert whole.leave_one_out()[7] == pytest.approx(apart, abs=1e-3)
    assert ((whole.leave_one_out_cdf() > 0) & (whole.leave_one_out_cdf() < 1)).all()


# Own variances


USUAL = Gamma(2, 0.1)


def own_choice(nu0: Gamma = USUAL) -> OwnSpreadChoice:
    return OwnSpreadChoice("own", FLAT, Uniform(1e3), sigma0=Uniform(1e3), nu0=nu0)


def gibbs(stats: GroupStats, choice: OwnSpreadChoice, size: int) -> dict[str, NDArray[np.float64]]:
    """Draw by turns from the conditional distributions of Hoff (2009, section 8.5).

    With uniform priors of tau and sigma0 and a flat one of mu; nu0 is drawn on a grid.
    """
    rng = np.random.default_rng(5)
    n, ybar, ss, J = stats.n, stats.mean, stats.ss, stats.J
    grid = np.geomspace(0.05, 400, 800)
    log_prior = choice.nu0.log_density(grid) + np.log(grid)
    from scipy.special import gammaln

    mu, tau2, sigma2, nu0, s2 = ybar.mean(), ybar.var(), ss / n, 10.0, float((ss / n).mean())
    kept: dict[str, list[object]] = {"theta": [], "sigma": [], "tau": [], "mu": [], "nu0": []}
    for step in range(size + 500):
        precision = n / sigma2 + 1 / tau2
        theta = (n * ybar / sigma2 + mu / tau2) / precision + rng.normal(size=J) / precision**0.5
        sigma2 = (nu0 * s2 + ss + n * (ybar - theta) ** 2) / rng.chisquare(nu0 + n)
        mu = rng.normal(theta.mean(), math.sqrt(tau2 / J))
        tau2 = float(((theta - mu) ** 2).sum() / rng.chisquare(J - 1))
        s2 = rng.gamma(0.5 * (J * nu0 + 1), 2 / (nu0 * (1 / sigma2).sum()))
        half = 0.5 * grid
        log = log_prior + J * (half * np.log(half * s2) - gammaln(half))
        log = log - half * (np.log(sigma2).sum() + s2 * (1 / sigma2).sum())
        share = np.cumsum(np.exp(log - log.max()))
        nu0 = float(grid[np.searchsorted(share, rng.uniform() * share[-1])])
        if step >= 500:
            for name, value in zip(
                kept, (theta, np.sqrt(sigma2), math.sqrt(tau2), mu, nu0), strict=True
            ):
                kept[name].append(value)
    return {name: np.array(values) for name, values in kept.items()}


def test_the_exact_posterior_is_that_of_a_gibbs_sampler() -> None:
    data, choice = dyestuff(), own_choice()
    found = means(OWN_SPREAD.exact_alternative(choice, data.stats))
    drawn = gibbs(data.stats, choice, 10_000)
    for name in ("mu", "tau", "nu0"):
        _close(np.log(drawn[name]), np.log(found.loc[(name, ""), "median"]), median=True)
    for j, label in enumerate(data.labels):
        _close(drawn["theta"][:, j], found.loc[("theta", label), "mean"])
        _close(np.log(drawn["sigma"][:, j]), np.log(found.loc[("sigma", label), "median"]), True)


def _close(draws: NDArray[np.float64], value: float, median: bool = False) -> None:
    """Hold a mean or a median to 4.5 of its errors, by means of batches of 200 draws."""
    if median:
        draws = (draws > value).astype(float) - 0.5
        value = 0.0
    batches = draws.reshape(-1, 200).mean(axis=1)
    error = batches.std(ddof=1) / math.sqrt(len(batches))
    assert abs(draws.mean() - value) < 4.5 * error + 2e-3


def test_much_alike_variances_are_one_variance() -> None:
    data, alike = dyestuff(), own_choice(Gamma(1e5, 1.0))
    own = means(OWN_SPREAD.exact_alternative(alike, data.stats))
    one = means(equal_spread(data.stats, alike, alike.sigma0))
    for label in data.labels:
        sd = one.loc[("theta", label), "sd"]
        assert own.loc[("theta", label), "mean"] == pytest.approx(
            one.loc[("theta", label), "mean"], abs=0.01 * sd
        )
    assert own.loc[("sigma0", ""), "mean"] == pytest.approx(
        one.loc[("sigma", ""), "mean"], rel=0.01
    )


def test_both_ways_to_integrate_a_group_out_agree() -> None:
    """Over theta, the variance being gone, and over the variance, theta being gone."""
    posterior = OWN_SPREAD.exact_alternative(own_choice(), dyestuff().stats)
    grid = posterior.coarse
    hidden = grid.model.hidden(2, grid.errors.columns, grid.population.columns)["sigma"]
    by_variance = np.log(hidden.given_errors @ hidden.given_population.T)
    by_theta = grid._log_group(2)
    likely = grid.weights > 1e-4 * grid.weights.max()
    assert likely.sum() > 50
    assert np.ptp((by_variance - by_theta)[likely]) < 0.01


def test_a_group_of_one_has_the_variance_of_the_population() -> None:
    labels = [*np.repeat(list("abc"), 6), "d"]
    rng = np.random.default_rng(3)
    data = from_values(labels, rng.normal(10, 2, 19)).modelled(spread="own")
    found = means(
        data.family.exact_posterior("hierarchical_marginal", data.stats, priors_for(data))
    )
    interval = found.loc[("sigma", "d"), "q97.5"] / found.loc[("sigma", "d"), "q2.5"]
    others = found.loc[("sigma", "a"), "q97.5"] / found.loc[("sigma", "a"), "q2.5"]
    assert interval > 1.2 * others
    assert math.isfinite(found.loc[("theta", "d"), "mean"])


# Tables and words


def test_the_span_is_that_of_the_middle_groups() -> None:
    rng = np.random.default_rng(1)
    for nu0 in (3.0, 25.0):
        sds = 1 / np.sqrt(rng.chisquare(nu0, 400_000) / nu0)
        low, high = np.quantile(sds, [0.025, 0.975])
        assert spreads.span(np.array([nu0]))[0] == pytest.approx(high / low, rel=0.01)


def test_choices_of_priors_vary_what_their_names_say(homework: GroupedData) -> None:
    own = homework.modelled(spread="own")
    named = OWN_SPREAD.named_choices(own.stats, priors_for(own))
    assert {"nu0_exponential", "nu0_wide", "sigma0_half_cauchy", "half_normal"} <= set(named)
    assert "hoff" not in named
    mine = parse_choice("mine: nu0=gamma(3, 0.5), sigma0=half_normal(4)", named)
    assert isinstance(mine, OwnSpreadChoice)
    assert mine.nu0 == Gamma(3, 0.5)
    assert mine.tau == named["base"].tau
    with pytest.raises(InputError, match="gamma"):
        parse_choice("nu0=half_normal(4)", named)


def test_settings_of_one_variance_are_named_and_not_used(homework: GroupedData) -> None:
    own = homework.modelled(spread="own")
    assert any("sigma_upper" in note for note in own.notes)
    assert "sigma_upper" not in own.priors
    with pytest.raises(InputError, match="--spread wide: .*equal, own"):
        homework.modelled(spread="wide")


def test_data_without_two_different_values_are_refused() -> None:
    data = from_values(list("abcd"), np.array([1.0, 2.0, 3.0, 5.0])).modelled(spread="own")

    class Partial:
        pooling, name, inputs = "partial", "hierarchical_marginal", ("ss",)
        declared = {"inputs": {"ss": {}}}  # noqa: RUF012
        outputs = {"sigma": 1, "sigma2": 1}  # noqa: RUF012

    with pytest.raises(InputError, match="two different values"):
        OWN_SPREAD.check_poolable(Partial(), data.stats)  # type: ignore[arg-type]


def test_a_prior_far_from_the_data_is_named(homework: GroupedData) -> None:
    own = homework.modelled(spread="own")
    low = replace(priors_for(own), values={**priors_for(own).values, "sigma0_upper": 0.5})
    [said] = OWN_SPREAD.prior_conflicts(low, own.stats)
    assert "upper bound of sigma0, 0.5" in said


@pytest.mark.stan
def test_a_report_says_how_alike_the_spreads_are(cmdstan: object) -> None:
    """Groups of one among others, and three groups alone: the defaults pass, and words fit."""
    rng = np.random.default_rng(6)
    sizes, sds = [8, 8, 8, 8, 1], [1.0, 8.0, 1.2, 9.0, 1.0]
    labels = np.repeat(list("abcde"), sizes)
    values = rng.normal(20, np.repeat(sds, sizes))
    frame = pd.DataFrame({"arm": labels, "value": values})
    unlike = compare.compare(frame, group="arm", value="value", spread="own", seed=2)
    assert all(unlike.comparison.trusted.values())
    [about, pulled] = own_spreads.lines(unlike.comparison)
    assert about.startswith("The sds within groups lie about σ₀")
    assert "1 with one observation" in pulled
    [usual] = own_spreads.against_usual(unlike.comparison)
    assert "better than with one variance for all groups" in usual
    table = unlike.comparison.table("spreads")
    assert table["sample_sd"].isna().sum() == 1
    assert table.set_index("group")["pooled"]["e"] == table["pooled"].max()
    known = frame[frame["arm"] < "d"]
    few = compare.compare(known, group="arm", value="value", spread="own", seed=2)
    assert all(few.comparison.trusted.values())
    plain = compare.compare(known, group="arm", value="value", seed=2)
    assert own_spreads.lines(plain.comparison) == []
    assert own_spreads.against_usual(plain.comparison) == []
    assert "spreads" not in plain.comparison.tables
    new = few.predict(pd.DataFrame({"arm": ["a", "b", "other"]}))
    assert new["sd"][1] > 2 * new["sd"][0]


@pytest.mark.parametrize(
    "model", [{"spread": "own"}, {"population": "student_t"}, {"errors": "student_t"}]
)
def test_groups_too_far_apart_for_a_table_are_said_to_be(model: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(8), 30)
    errors = rng.standard_normal(len(group))
    labels = [f"g{j}" for j in group]
    near, far = (
        from_values(labels, sd * rng.standard_normal(8)[group] + errors).modelled(**model)
        for sd in (2.0, 1000.0)
    )
    assert near.family.within_reach(near.stats)
    assert not far.family.within_reach(far.stats)
    with pytest.raises(InputError, match="too far apart for a table: .* places"):
        far.family.exact_posterior("hierarchical_noncentered", far.stats, priors_for(far))
