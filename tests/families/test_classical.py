"""Variance components, BLUP and James-Stein: closed forms, statsmodels, and data at the edge."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats as distributions

from helpers.hand_made import simulated
from partialpool.data import GroupedData, from_values
from partialpool.families import classical


def mixed_model(data: GroupedData):  # type: ignore[no-untyped-def]
    """REML by statsmodels: an independent implementation."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(data.y, np.ones((data.stats.N, 1)), groups=data.group)
        return model.fit(reml=True, gtol=1e-12, maxiter=2000)


@pytest.mark.parametrize("which", ["homework", "unequal"])
def test_reml_and_blup_are_statsmodels_s(homework: GroupedData, which: str) -> None:
    sizes = [1, 2, 40, 5, 3, 17, 1, 9, 80, 4]
    unequal = simulated(sizes, [f"s{j}" for j in range(len(sizes))], seed=8)
    data = {"homework": homework, "unequal": unequal}[which]
    fitted = mixed_model(data)
    reml = classical.variance_components(data.stats).set_index("method").loc["REML"]
    assert reml["sigma2"] == pytest.approx(fitted.scale, rel=1e-4)
    assert reml["tau2"] == pytest.approx(float(fitted.cov_re[0, 0]), rel=2e-3)
    assert reml["icc"] == pytest.approx(reml["tau2"] / (reml["tau2"] + reml["sigma2"]))
    effects = [float(np.ravel(fitted.random_effects[j])[0]) for j in range(data.stats.J)]
    blup = classical.blup(data.stats)["blup"]
    np.testing.assert_allclose(blup, fitted.fe_params[0] + np.array(effects), atol=5e-3)


def test_anova_is_scipy_s_f_test(homework: GroupedData) -> None:
    parts = [homework.y[homework.group == j] for j in range(8)]
    expected = distributions.f_oneway(*parts)
    anova = classical.variance_components(homework.stats).set_index("method").loc["ANOVA"]
    assert anova["f"] == pytest.approx(expected.statistic)
    assert anova["p_value"] == pytest.approx(expected.pvalue)
    assert anova["sigma2"] == pytest.approx(homework.stats.within_sd**2)


def test_balanced_data_give_both_methods_the_closed_form() -> None:
    data = simulated([6] * 5, list("abcde"))
    within = data.stats.within_sd**2
    between = 6 * np.var(data.stats.mean, ddof=1)
    table = classical.variance_components(data.stats)
    np.testing.assert_allclose(table["sigma2"], within, rtol=1e-6)
    np.testing.assert_allclose(table["tau2"], (between - within) / 6, rtol=1e-6)
    shrunk = classical.blup(data.stats)
    np.testing.assert_allclose(shrunk["blup_factor"], within / between, rtol=1e-6)


def test_james_stein_by_hand() -> None:
    values = [1.0, 3.0, 3.0, 5.0, 9.0, 11.0, 6.0, 8.0]
    data = from_values(list("aabbccdd"), values)
    # means 2, 4, 10, 7; grand mean 5.75; SSW = 4 * 2; SSB = 2 * (14.0625 + 3.0625 + 18.0625
    # + 1.5625) = 73.5; c = (4 - 3) / (8 - 4 + 2) * 8 / 73.5
    keep = 1 - 8 / 6 / 73.5
    expected = 5.75 + keep * (np.array([2.0, 4, 10, 7]) - 5.75)
    np.testing.assert_allclose(classical.blup(data.stats)["james_stein"], expected)


def test_equal_means_are_pooled_completely() -> None:
    data = from_values(list("aaabbbcccddd"), [1.0, 2, 3] * 4)
    table = classical.variance_components(data.stats)
    assert (table["tau2"] == 0).all()
    assert (table["icc"] == 0).all()
    shrunk = classical.blup(data.stats)
    np.testing.assert_allclose(shrunk["blup"], 2)
    np.testing.assert_allclose(shrunk["james_stein"], 2)
    assert (shrunk["blup_factor"] == 1).all()


def test_a_large_offset_changes_nothing(homework: GroupedData) -> None:
    far = from_values([homework.labels[j] for j in homework.group], homework.y + 1e7, name="far")
    here, there = (classical.variance_components(data.stats) for data in (homework, far))
    np.testing.assert_allclose(there.iloc[:, 1:], here.iloc[:, 1:], rtol=1e-5)
    moved = classical.blup(far.stats)[["blup", "james_stein"]] - 1e7
    np.testing.assert_allclose(
        moved, classical.blup(homework.stats)[["blup", "james_stein"]], atol=1e-5
    )


def test_groups_without_spread_are_left_alone() -> None:
    data = from_values(list("aabbccdd"), [1.0, 1, 2, 2, 4, 4, 9, 9])
    table = classical.variance_components(data.stats).set_index("method")
    assert (table["sigma2"] == 0).all()
    assert (table["icc"] == 1).all()
    assert table.loc["ANOVA", "p_value"] == 0
    np.testing.assert_allclose(table["tau2"], np.var([1, 2, 4, 9], ddof=1))
    shrunk = classical.blup(data.stats)
    np.testing.assert_allclose(shrunk["blup"], [1, 2, 4, 9])
    np.testing.assert_allclose(shrunk["james_stein"], [1, 2, 4, 9])


def test_one_group_says_nothing_between_groups() -> None:
    data = from_values(["a"] * 4, [1.0, 2, 3, 4])
    table = classical.variance_components(data.stats)
    np.testing.assert_allclose(table["sigma2"], 5 / 3)
    assert table[["tau2", "icc", "f", "p_value"]].isna().all(axis=None)
    assert classical.blup(data.stats)[["blup", "james_stein"]].isna().all(axis=None)


def test_single_observations_say_nothing_within_groups() -> None:
    data = from_values(list("abcde"), [1.0, 2, 3, 4, 8])
    assert (
        classical.variance_components(data.stats)[["sigma2", "tau2", "icc"]].isna().all(axis=None)
    )
    shrunk = classical.blup(data.stats)
    assert shrunk["raw_mean"].tolist() == [1, 2, 3, 4, 8]
    assert shrunk[["blup", "james_stein"]].isna().all(axis=None)


def test_three_groups_have_no_james_stein_estimate() -> None:
    shrunk = classical.blup(simulated([5, 6, 7], list("abc")).stats)
    assert shrunk["james_stein"].isna().all()
    assert shrunk["blup"].notna().all()
