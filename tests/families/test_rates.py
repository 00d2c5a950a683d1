"""Rates: exact numbers, algebra, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.grouped import from_rates
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.families.base import COMPLETE, MARGINAL, NONE
from partialpool.families.exact.gamma_poisson import log_negative_binomial
from partialpool.families.exact.rising import on_nodes
from partialpool.families.rates import classical
from partialpool.fitting.inputs import priors_for
from partialpool.priors.populations import Gamma, parse_gamma


@pytest.fixture(scope="module")
def pumps() -> GroupedData:
    return read(example("pumps"))


@pytest.fixture(scope="module")
def of_pumps(pumps: GroupedData) -> Any:
    """Its exact posterior with what it has been asked so far."""
    return exact(pumps)


@pytest.fixture(scope="module")
def pump_table(of_pumps: Any) -> pd.DataFrame:
    return of_pumps.summary().set_index(["parameter", "group"])


def exact(data: GroupedData, program: str = MARGINAL) -> Any:
    return data.family.exact_posterior(program, data.stats, priors_for(data))


def test_failures_of_pumps(pumps: GroupedData, pump_table: pd.DataFrame) -> None:
    """George, Makov and Smith (1993), to all digits shown."""
    moments = pump_table[["mean", "sd"]]
    assert moments.loc[("shape", "")].tolist() == pytest.approx([0.6972, 0.2708], abs=5e-5)
    assert moments.loc[("size", "")].tolist() == pytest.approx([0.9268, 0.5428], abs=5e-5)
    known = [0.05982, 0.10183, 0.08924, 0.11579, 0.60134, 0.60939, 0.89254, 0.89254]
    known += [1.58631, 1.98983]
    found = pump_table.loc["theta", "mean"].reindex(list(pumps.labels))
    assert found.to_numpy() == pytest.approx(np.array(known), abs=5e-6)
    assert pump_table["error"].max() < 1e-6


def test_means_that_do_not_exist_are_infinite(pump_table: pd.DataFrame) -> None:
    """A size prior of shape 0.1 does not keep shape / size off infinity in the mean."""
    for name in ("mu", "tau", "theta_new"):
        row = pump_table.loc[(name, "")]
        assert math.isinf(row["mean"])
        assert math.isfinite(row["median"])


def test_the_mean_and_the_rest_agree_with_draws(pumps: GroupedData) -> None:
    priors = priors_for(pumps, {"size_alpha": 4.0, "size_beta": 2.0})
    choice = pumps.family.base_choice(priors)
    drawn = pumps.family.draw_alternative(
        choice, pumps.stats, rng=np.random.default_rng(2), shape=(4, 5000), draw_groups=True
    )
    posterior: Any = pumps.family.exact_posterior(MARGINAL, pumps.stats, priors)
    table = posterior.summary().set_index(["parameter", "group"])
    for name in ("mu", "size", "shape", "tau"):
        row = table.loc[(name, "")]
        assert drawn[name].mean() == pytest.approx(row["mean"], abs=4 * row["sd"] / 141)
        for p, column in ((0.025, "q2.5"), (0.5, "median"), (0.975, "q97.5")):
            below = float((drawn[name] < row[column]).mean())
            assert below == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p)) / 141)
    row = table.loc[("theta", "9")]
    assert drawn["theta"][..., 8].mean() == pytest.approx(row["mean"], abs=4 * row["sd"] / 141)


def test_sums_over_exposures_are_kept_on_nodes() -> None:
    rng = np.random.default_rng(1)
    exposure = np.exp(rng.normal(2, 2, 5000))
    exposure[:3] = 0
    events = rng.poisson(3, 5000).astype(float)
    nodes, groups, counts = on_nodes(exposure, np.ones(5000), events)
    assert len(nodes) < 1000
    for size in (0.01, 1.0, 100.0, 1e6):
        terms = np.log1p(exposure / size)
        assert groups @ np.log1p(nodes / size) == pytest.approx(terms.sum(), rel=1e-12)
        assert counts @ np.log1p(nodes / size) == pytest.approx(events @ terms, rel=1e-12)


def test_the_negative_binomial_is_scipy_s() -> None:
    x, e, a, b = np.arange(6), 2.5, 1.7, 0.6
    known = stats.nbinom.logpmf(x, a, b / (b + e))
    assert log_negative_binomial(x, e, a, b) == pytest.approx(known)
    assert log_negative_binomial(0, 0.0, a, b) == 0


def test_leaving_a_group_out_is_a_ratio_of_marginal_likelihoods() -> None:
    data = from_rates(list("abcd"), [1, 7, 4, 0], [5, 2.5, 6, 3])
    for program in (MARGINAL, COMPLETE):
        priors = priors_for(data)
        whole: Any = data.family.exact_posterior(program, data.stats, priors)
        for j in range(4):
            rest = data.stats.take(np.delete(np.arange(4), j))
            without: Any = data.family.exact_posterior(program, rest, priors)
            known = whole.log_marginal_likelihood - without.log_marginal_likelihood
            assert whole.leave_one_out()[j] == pytest.approx(known, abs=1e-4)


def test_the_extremes_have_gamma_posteriors(pumps: GroupedData) -> None:
    priors = priors_for(pumps)
    alpha, beta = priors.required(("theta_alpha", "theta_beta"))
    first = exact(pumps, NONE).summary().iloc[0]
    own = stats.gamma(alpha + 5, scale=1 / (beta + 94.3))
    assert first[["mean", "sd"]].tolist() == pytest.approx([own.mean(), own.std()])
    assert first["q97.5"] == pytest.approx(own.ppf(0.975))


def test_exact_intervals_of_raw_rates(pumps: GroupedData) -> None:
    low, high = pumps.stats.intervals(0.95)
    for x, e, left, right in zip(pumps.stats.events, pumps.stats.exposure, low, high, strict=True):
        assert stats.poisson.sf(x - 1, left * e) == pytest.approx(0.025)
        assert stats.poisson.cdf(x, right * e) == pytest.approx(0.025)
    none = from_rates(["a", "b"], [0, 3], [2.0, 1.0]).stats
    assert none.intervals(0.95)[0][0] == 0


def test_a_group_without_exposure_learns_from_the_population_alone() -> None:
    data = from_rates(list("abcd"), [3, 0, 5, 9], [1, 0, 1.5, 2])
    assert any("group b has no exposure" in note for note in data.notes)
    table = exact(data).summary().set_index(["parameter", "group"])
    seen, new = table.loc[("theta", "b")], table.loc[("theta_new", "")]
    assert seen["median"] == pytest.approx(new["median"], rel=1e-9)
    assert table.loc[("lambda", "b"), "mean"] == pytest.approx(1)


def test_maximum_likelihood_is_the_highest(pumps: GroupedData) -> None:
    one, best = classical.population(pumps.stats).to_dict("records")
    assert one["mu"] == pytest.approx(75 / 350.24)
    own = pumps.stats
    for factor in (0.9, 1.1):
        for shape, size in (
            (factor * best["shape"], best["size"]),
            (best["shape"], factor * best["size"]),
        ):
            there = log_negative_binomial(own.events, own.exposure, shape, size).sum()
            assert there < best["log_likelihood"] - 1e-3
    plug_in = classical.predictors(own)["plug_in"][8]
    assert plug_in == pytest.approx((best["shape"] + 4) / (best["size"] + 2.1))
    equal = from_rates(list("abcde"), [4, 5, 5, 6, 5], [10.0] * 5)
    assert math.isinf(classical.population(equal.stats)["size"][1])


def test_priors_of_a_number_above_zero() -> None:
    assert parse_gamma("gamma(0.1, 1)") == Gamma(0.1, 1)
    prior, p = Gamma(2, 3), np.array([0.01, 0.3, 0.9])
    assert prior.cdf(prior.quantile(p)) == pytest.approx(p)
    x = np.array([0.2, 0.7])
    assert prior.log_density(x) == pytest.approx(stats.gamma.logpdf(x, 2, scale=1 / 3))
    assert prior.log_density(np.array([-1.0])).tolist() == [-np.inf]


def test_default_priors_move_with_the_unit_of_exposure() -> None:
    events, exposure = [3, 8, 5, 9], np.array([1.0, 2.0, 1.5, 2.5])
    plain = from_rates(list("abcd"), events, exposure)
    moved = from_rates(list("abcd"), events, 1000 * exposure)
    first, second = (data.family.base_choice(priors_for(data)) for data in (plain, moved))
    assert second.shape == first.shape
    p = np.array([0.1, 0.5, 0.9])
    assert second.size.quantile(p) == pytest.approx(1000 * first.size.quantile(p), rel=0.01)


@pytest.mark.parametrize(
    ("events", "exposure", "said"),
    [
        ([1.5, 2], [1, 1], "the count of group 'a' is 1.5, and events are whole numbers"),
        ([-1, 2], [1, 1], "the count of group 'a' is -1"),
        ([1, 2], [1, -1], "the exposure of group 'b' is -1"),
        ([1, 2], [0, 1], "there cannot be events in an exposure of 0"),
        ([0, 0], [0, 0], "no group has an exposure"),
        ([1e10, 2], [1, 1], "are the most that are read"),
    ],
)
def test_counts_that_cannot_be(events: Any, exposure: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_rates(["a", "b"], events, exposure)


def test_rows_of_a_group_are_added_up() -> None:
    data = from_rates(["b", "a", "b"], [1, 2, 3], [0.5, 1, 2])
    assert data.stats.events.tolist() == [4, 2]
    assert data.stats.exposure.tolist() == [2.5, 1]
    assert from_rates(["a", "b"], [1, 2]).stats.exposure.tolist() == [1, 1]
    assert data.stats.grand_mean == pytest.approx(6 / 3.5)
