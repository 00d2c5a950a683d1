"""Contrasts, claims and ranks: arithmetic on few draws, errors on correlated ones, many groups."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from helpers.draws import autocorrelated, fit_of
from partialpool.data import GroupedData, from_values
from partialpool.data.grouped import from_proportions
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.report import views
from partialpool.tables import contrasts


def groups(J: int) -> GroupedData:
    labels = [f"g{j}" for j in range(J)]
    return from_values([*labels, *labels], np.arange(2.0 * J), name="many")


@pytest.fixture
def three() -> GroupedData:
    return groups(3)


def test_a_pair_by_arithmetic(three: GroupedData) -> None:
    theta = np.zeros((1, 4, 3))
    theta[0, :, 0] = [1.0, 2.0, 3.0, -1.5]
    theta[0, :, 2] = 10
    table = contrasts.contrasts([fit_of(three, "none", {"theta": theta})], three, delta=2.0)
    pairs = list(zip(table["group_i"], table["group_j"], strict=True))
    assert pairs == [("g0", "g1"), ("g0", "g2"), ("g1", "g2")]
    first = table.iloc[0]
    assert first["mean"] == pytest.approx(4.5 / 4)
    assert first["p_greater"] == 0.75
    assert first["p_equivalent"] == 0.5
    assert first["q97.5"] == pytest.approx(np.quantile([1, 2, 3, -1.5], 0.975))
    assert first["marginal_overlap"]
    assert not first["interval_excludes_zero"]
    last = table.iloc[2]
    assert last["q2.5"] == last["q97.5"] == -10
    assert not last["marginal_overlap"]
    assert last["interval_excludes_zero"]
    assert last["p_greater"] == 0


def test_without_delta_nothing_is_called_equivalent(three: GroupedData) -> None:
    theta = np.random.default_rng(0).normal(size=(2, 50, 3))
    table = contrasts.contrasts([fit_of(three, "none", {"theta": theta})], three)
    assert table["p_equivalent"].isna().all()
    assert not contrasts.claims(table)["criterion"].str.contains("equal").any()


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_a_region_without_width_is_refused(three: GroupedData, delta: float) -> None:
    with pytest.raises(InputError, match="half-width above 0"):
        contrasts.contrasts([], three, delta=delta)


def test_the_error_of_a_difference_heeds_both_correlations(three: GroupedData) -> None:
    rng = np.random.default_rng(3)
    common = autocorrelated(rng, (4, 4000), 0.9)
    own = autocorrelated(rng, (4, 4000, 3), 0.5)
    theta = 5 * common[..., None] + own
    table = contrasts.contrasts([fit_of(three, "none", {"theta": theta})], three)
    for row, (i, j) in zip(table.itertuples(), [(0, 1), (0, 2), (1, 2)], strict=True):
        expected = float(array_stats.mcse(theta[..., i] - theta[..., j], method="mean"))
        assert row.mcse == pytest.approx(expected, rel=0.15)


def test_overlap_is_not_a_test_of_the_difference(three: GroupedData) -> None:
    rng = np.random.default_rng(3)
    theta = rng.normal([0.0, 3.2, 3.2], 1, size=(4, 2000, 3))
    theta[..., 2] = theta[..., 1] + rng.normal(0.5, 0.1, size=(4, 2000))
    table = contrasts.contrasts([fit_of(three, "none", {"theta": theta})], three, delta=1.0)
    assert table["marginal_overlap"].all()
    assert table["interval_excludes_zero"].all()
    claims = contrasts.claims(table).set_index("criterion")
    assert claims["claims"].to_dict() == {
        "marginal 95 % intervals do not overlap": 0,
        "95 % interval of the difference excludes 0": 3,
        "P(direction) > 0.95": 3,
        "P(practically equal) > 0.95": 1,
    }
    assert (claims["pairs"] == 3).all()


@pytest.fixture
def lesson(lesson_fits: dict[str, Fit]) -> list[Fit]:
    return [lesson_fits[name] for name in ("no_pooling", "hierarchical_noncentered")]


def test_the_lesson_s_claims(homework: GroupedData, lesson: list[Fit]) -> None:
    table = contrasts.contrasts(lesson, homework).set_index(["model", "group_i", "group_j"])
    overlap = table["marginal_overlap"]
    assert not overlap["no_pooling", "5", "6"]
    for i, j in (("4", "5"), ("5", "6"), ("5", "7")):
        assert overlap["hierarchical_noncentered", i, j]
        assert table.loc[("hierarchical_noncentered", i, j), "interval_excludes_zero"]
    counts = contrasts.claims(table.reset_index()).set_index(["model", "criterion"])["claims"]
    for criterion in counts["no_pooling"].index[:2]:
        assert counts["hierarchical_noncentered", criterion] < counts["no_pooling", criterion]


def test_complete_pooling_and_odd_programs_have_no_rows(three: GroupedData) -> None:
    rng = np.random.default_rng(0)
    fits = [
        fit_of(three, "complete", {"theta": rng.normal(size=(2, 10))}),
        fit_of(three, "other", {"beta": rng.normal(size=(2, 10, 5))}),
    ]
    assert len(contrasts.contrasts(fits, three)) == 0
    assert len(contrasts.claims(contrasts.contrasts(fits, three))) == 0
    assert len(contrasts.ranks(fits, three)) == 0
    assert len(contrasts.rank_summary(fits, three)) == 0


def test_draws_that_are_not_finite_claim_nothing(three: GroupedData) -> None:
    theta = np.random.default_rng(0).normal(size=(2, 50, 3))
    theta[1, 3, 1] = np.nan
    fit = fit_of(three, "none", {"theta": theta})
    table = contrasts.contrasts([fit], three, delta=1)
    broken = table[(table[["group_i", "group_j"]] == "g1").any(axis=1)]
    numbers = ["mean", "mcse", "q2.5", "q97.5", "p_greater", "p_equivalent"]
    assert broken[numbers].isna().all(axis=None)
    assert broken["marginal_overlap"].all()
    assert not broken["interval_excludes_zero"].any()
    whole = table.drop(broken.index)
    assert whole[numbers].notna().all(axis=None)
    assert len(contrasts.ranks([fit], three)) == 0


def test_ranks_by_arithmetic(three: GroupedData) -> None:
    theta = np.array([[[3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [0.0, 9.0, 5.0], [7.0, 6.0, 5.0]]])
    fit = fit_of(three, "partial", {"theta": theta, "mu": np.zeros((1, 4))})
    table = contrasts.ranks([fit], three).pivot_table(
        index="group", columns="rank", values="probability"
    )
    np.testing.assert_array_equal(table, [[0.75, 0, 0.25], [0.25, 0.5, 0.25], [0, 0.5, 0.5]])
    summary = contrasts.rank_summary([fit], three).set_index("group")
    assert summary.loc["g0", ["expected_rank", "p_best", "p_worst"]].tolist() == [1.5, 0.75, 0.25]
    assert summary.loc["g2", ["rank_q2.5", "rank_q97.5"]].tolist() == [2, 3]


def test_rank_probabilities_add_up(homework: GroupedData, lesson: list[Fit]) -> None:
    table = contrasts.ranks(lesson, homework)
    np.testing.assert_allclose(table.groupby(["model", "rank"])["probability"].sum(), 1)
    np.testing.assert_allclose(table.groupby(["model", "group"])["probability"].sum(), 1)
    summary = contrasts.rank_summary(lesson, homework)
    assert (summary[summary["p_best"] > 0.5]["group"] == "5").all()
    assert (summary["mcse"] > 0).all()


def test_many_groups_are_limited_to_the_same_top_under_every_model() -> None:
    many = groups(230)
    rng = np.random.default_rng(5)
    alone = rng.normal(size=(2, 20, 230))
    pooled = rng.normal(size=(2, 20, 230)) + 10 * (np.arange(230) < 100)
    fits = [
        fit_of(many, "none", {"theta": alone}, name="alone"),
        fit_of(many, "partial", {"theta": pooled, "mu": np.zeros((2, 20))}, name="pooled"),
    ]
    table = contrasts.contrasts(fits, many)
    assert len(table) == 2 * 200 * 199 / 2
    shown = {
        name: set(part["group_i"]) | set(part["group_j"]) for name, part in table.groupby("model")
    }
    assert shown["alone"] == shown["pooled"] >= {f"g{j}" for j in range(100)}
    few = contrasts.ranks(fits, many, limit=3)
    assert few.groupby("model")["group"].nunique().tolist() == [3, 3]
    assert (few["probability"] > 0).all()
    np.testing.assert_allclose(few.groupby(["model", "group"])["probability"].sum(), 1)
    assert len(contrasts.rank_summary(fits, many)) == 460


def test_chosen_groups(three: GroupedData) -> None:
    theta = np.random.default_rng(0).normal(size=(2, 50, 3))
    fit = fit_of(three, "none", {"theta": theta})
    table = contrasts.contrasts([fit], three, groups=["g2", "g0"])
    assert table[["group_i", "group_j"]].to_numpy().tolist() == [["g0", "g2"]]
    with pytest.raises(InputError, match="no group 'g9' in many; there are 'g0', 'g1', 'g2'"):
        contrasts.ranks([fit], three, groups=["g9"])


def test_probabilities_are_compared_by_ratios_too() -> None:
    data = from_proportions(["a", "b", "c"], [2, 5, 9], [10, 10, 10], name="three")
    rng = np.random.default_rng(5)
    theta = rng.beta(3, 6, (2, 300, 3))
    fit = fit_of(data, "none", {"theta": theta})
    table = contrasts.contrasts([fit], data).set_index(["group_i", "group_j"])
    a, b, _ = np.moveaxis(theta, -1, 0).reshape(3, -1)
    row = table.loc[("a", "b")]
    for name, first, second in (("ratio", a, b), ("odds_ratio", a / (1 - a), b / (1 - b))):
        found = [row[name], row[f"{name}_q2.5"], row[f"{name}_q97.5"]]
        expected = np.quantile(first / second, [0.5, 0.025, 0.975])
        assert found == pytest.approx(expected, rel=0.02)  # of logarithms, between draws
    shown = views._higher_first(
        table.reset_index()
        .drop(columns="model")
        .add_suffix("_0")
        .rename(columns={"group_i_0": "group_i", "group_j_0": "group_j"}),
        models=1,
    )
    for (i, j), (_, turned) in zip(table.index, shown.iterrows(), strict=True):
        before = table.loc[(i, j)]
        if (turned["group_i"], turned["group_j"]) == (j, i):
            assert turned["ratio_0"] == pytest.approx(1 / before["ratio"])
            assert turned["ratio_q2.5_0"] == pytest.approx(1 / before["ratio_q97.5"])
        assert turned["ratio_q2.5_0"] < turned["ratio_0"] < turned["ratio_q97.5_0"]


def test_means_have_no_ratio(three: GroupedData) -> None:
    theta = np.random.default_rng(5).normal(size=(2, 50, 3))
    table = contrasts.contrasts([fit_of(three, "none", {"theta": theta})], three)
    assert not any("ratio" in column for column in table)
