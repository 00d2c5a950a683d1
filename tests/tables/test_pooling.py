"""Tables of estimates, shrinkage and variances: arithmetic, published values, odd programs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats

from helpers.draws import autocorrelated, fit_of
from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.summarize import means, summarize
from partialpool.tables import shrinkage

PARTIAL = "hierarchical_noncentered"
NO_POOLING = [9.5299, 7.1549, 8.0465, 6.3318, 12.2997, 6.2778, 6.2303, 7.4547]
PARTIALLY_POOLED = [9.1151, 7.1711, 7.8933, 6.5243, 10.4256, 6.5196, 6.4630, 7.4522]


@pytest.fixture(scope="module")
def lesson(lesson_fits: dict[str, Fit]) -> dict[str, Fit]:
    names = ("complete_pooling", "no_pooling", PARTIAL)
    return {name: lesson_fits[name] for name in names}


@pytest.fixture
def three() -> GroupedData:
    """Groups of 4, 9 and 2 with means 10, 20, 12 and a pooled within-group variance of 9."""
    sizes, centers = (4, 9, 2), (10.0, 20.0, 12.0)
    labels = [label for label, n in zip("abc", sizes, strict=True) for _ in range(n)]
    values = []
    for n, center in zip(sizes, centers, strict=True):
        spread = np.linspace(-1, 1, n)
        values += list(center + spread * np.sqrt(9 * (n - 1) / (spread**2).sum()))
    return from_values(labels, values, name="three")


def constant(value: float | list[float]) -> np.ndarray:
    return np.broadcast_to(value, (2, 50, *np.shape(value)))


@pytest.mark.parametrize("length", [500, 501])
def test_summaries_are_arviz_s(length: int) -> None:
    rng = np.random.default_rng(4)
    draws = np.moveaxis(autocorrelated(rng, (4, length, 3)), -1, 0) * [[[2.0]], [[3.0]], [[1e-9]]]
    draws[1] = np.round(draws[1])
    found = summarize(draws)
    expected = {
        "r_hat": array_stats.rhat(draws, method="rank"),
        "ess_bulk": array_stats.ess(draws, method="bulk"),
        "ess_tail": array_stats.ess(draws, method="tail", prob=(0.05, 0.95)),
        "mcse_mean": array_stats.mcse(draws, method="mean"),
        "mcse_q2.5": array_stats.mcse(draws, method="quantile", prob=0.025),
        "mcse_q25": array_stats.mcse(draws, method="quantile", prob=0.25),
        "mcse_median": array_stats.mcse(draws, method="median"),
        "mcse_q97.5": array_stats.mcse(draws, method="quantile", prob=0.975),
        "mean": draws.mean(axis=(1, 2)),
        "sd": draws.reshape(3, -1).std(axis=1, ddof=1),
        "q25": np.quantile(draws, 0.25, axis=(1, 2)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.7])
def test_errors_of_sds_cover_the_truth_of_alternating_and_of_sticky_chains(
    correlation: float,
) -> None:
    rng = np.random.default_rng(8)
    steps = rng.normal(size=(300, 4, 500))
    draws = np.empty_like(steps)
    draws[..., 0] = steps[..., 0]
    for k in range(1, 500):
        kept = np.sqrt(1 - correlation**2)
        draws[..., k] = correlation * draws[..., k - 1] + kept * steps[..., k]
    found = summarize(draws)
    off = (found["sd"] - 1) / found["mcse_sd"]
    assert 0.88 < np.sqrt((off**2).mean()) < 1.15


def test_summaries_do_not_depend_on_a_large_offset() -> None:
    draws = np.round(autocorrelated(np.random.default_rng(1), (4, 400, 1)).T, 3).transpose(0, 2, 1)
    plain, far = summarize(draws), summarize(draws + 2.0**40)
    for name in ("sd", "mcse_mean", "r_hat", "ess_bulk", "ess_tail"):
        np.testing.assert_allclose(far[name], plain[name], rtol=2e-3, err_msg=name)
    np.testing.assert_allclose(far["mean"] - 2.0**40, plain["mean"], atol=2e-4)


def test_draws_that_never_move_have_no_error_and_draws_that_are_not_finite_no_summary() -> None:
    moving = autocorrelated(np.random.default_rng(1), (4, 100))
    broken = moving.copy()
    broken[2, 3] = np.nan
    endless = moving.copy()
    endless[0, 0] = np.inf
    found = summarize(np.stack([np.full((4, 100), 7.0), broken, endless, moving]))
    assert found["mean"][0] == found["median"][0] == found["q97.5"][0] == 7
    assert found["sd"][0] == 0
    for name in ("mcse_mean", "mcse_median", "r_hat", "ess_bulk", "ess_tail"):
        assert np.isnan(found[name][:3]).all(), name
        assert np.isfinite(found[name][3]), name
    assert np.isnan([found[name][1:3] for name in ("mean", "sd", "q2.5", "median")]).all()


def test_chains_stuck_apart_are_diagnosed() -> None:
    stuck = np.broadcast_to(np.array([[0.0], [0.0], [1.0], [1.0]]), (1, 4, 100))
    found = summarize(stuck)
    assert not found["r_hat"][0] < 1.01
    assert not found["ess_bulk"][0] > 100


def test_a_single_chain_has_no_r_hat_but_errors() -> None:
    found = summarize(autocorrelated(np.random.default_rng(1), (1, 200))[None])
    assert np.isnan(found["r_hat"][0])
    assert found["mcse_mean"][0] > 0


def test_estimates_have_a_row_for_every_scalar(three: GroupedData) -> None:
    rng = np.random.default_rng(0)
    posterior = {
        "theta": rng.normal(three.stats.mean, 0.1, size=(4, 100, 3)),
        "mu": rng.normal(size=(4, 100)),
        "beta": rng.normal([0, 50], 1, size=(4, 100, 2)),
    }
    table = shrinkage.estimates([fit_of(three, "partial", posterior)], three)
    assert table.columns.tolist() == [
        "model",
        "parameter",
        "group",
        "n",
        "mean",
        "sd",
        "mcse_mean",
        "mcse_sd",
        "q2.5",
        "q25",
        "median",
        "q75",
        "q97.5",
        "mcse_q2.5",
        "mcse_q25",
        "mcse_median",
        "mcse_q75",
        "mcse_q97.5",
        "r_hat",
        "ess_bulk",
        "ess_tail",
    ]
    assert list(zip(table["parameter"], table["group"], table["n"], strict=True)) == [
        ("theta", "a", 4),
        ("theta", "b", 9),
        ("theta", "c", 2),
        ("mu", "", 15),
        ("beta[1]", "", 15),
        ("beta[2]", "", 15),
    ]
    np.testing.assert_allclose(table["mean"], [*three.stats.mean, 0, 0, 50], atol=0.25)


def test_estimates_of_nothing_keep_their_form(three: GroupedData) -> None:
    assert len(shrinkage.estimates([], three)) == 0
    assert "mcse_q2.5" in shrinkage.estimates([], three)
    assert "lambda_mean" in shrinkage.shrinkage([], three)
    assert "icc" not in shrinkage.variance([], three)["quantity"].tolist()


def test_the_published_means_come_out(lesson: dict[str, Fit], homework: GroupedData) -> None:
    table = shrinkage.estimates(list(lesson.values()), homework)
    theta = table[table["parameter"] == "theta"].set_index(["model", "group"])["mean"]
    np.testing.assert_allclose(theta["no_pooling"], NO_POOLING, atol=0.08)
    np.testing.assert_allclose(theta[PARTIAL], PARTIALLY_POOLED, atol=0.08)
    single = table.set_index(["model", "parameter", "group"])
    assert single.loc[(PARTIAL, "mu", ""), "mean"] == pytest.approx(7.77, abs=0.08)
    assert single.loc[("complete_pooling", "theta", ""), "mean"] == pytest.approx(7.49, abs=0.02)
    sigma2 = single.loc[("complete_pooling", "sigma2", "")]
    assert sigma2["median"] == pytest.approx(16.95, abs=0.15)
    assert sigma2["mcse_median"] < 0.06


def test_shrinkage_by_arithmetic(three: GroupedData) -> None:
    posterior = {
        "theta": constant([12.0, 19.0, 14.0]),
        "mu": constant(15.0),
        "tau": constant(1.5),
        "sigma": constant(3.0),
    }
    fits = [
        fit_of(three, "partial", posterior, name="partly"),
        fit_of(three, "complete", {"theta": constant(16.0)}, name="wholly"),
    ]
    table = shrinkage.shrinkage(fits, three)
    partly, wholly = (table[table["model"] == name] for name in ("partly", "wholly"))
    np.testing.assert_allclose(partly["raw_se"], 3 / np.sqrt([4, 9, 2]))
    np.testing.assert_allclose(partly["displacement"], [2, -1, 2])
    np.testing.assert_allclose(partly["displacement_se"], [4 / 3, -1, 2 * np.sqrt(2) / 3])
    np.testing.assert_allclose(partly["lambda_mean"], [0.5, 1 / 3.25, 4.5 / 6.75])
    np.testing.assert_allclose(partly["lambda_q97.5"], partly["lambda_mean"])
    assert (partly["target"] == 15).all()
    assert (wholly["estimate"] == 16).all()
    assert (wholly["target"] == 16).all()
    assert wholly["lambda_mean"].isna().all()


def test_lambda_is_computed_draw_by_draw(three: GroupedData) -> None:
    tau = np.tile([0.0, 3.0], (2, 25))
    posterior = {"theta": constant([1.0, 2, 3]), "tau2": tau**2, "sigma2": constant(9.0)}
    table = shrinkage.shrinkage([fit_of(three, "partial", posterior)], three)
    np.testing.assert_allclose(table["lambda_mean"], (1 + 1 / (1 + three.stats.n)) / 2)
    assert table["target"].isna().all()


def test_a_variance_of_its_own_enters_the_pooling_factor(three: GroupedData) -> None:
    posterior = {
        "theta": constant([1.0, 2, 3]),
        "tau": constant(1.0),
        "sigma": constant([2.0, 3.0, 1.0]),
    }
    table = shrinkage.shrinkage([fit_of(three, "partial", posterior)], three)
    np.testing.assert_allclose(table["lambda_mean"], [0.5, 0.5, 1 / 3])


def test_moved_most_and_weakest_data_are_told_apart(three: GroupedData) -> None:
    posterior = {"theta": constant([11.0, 16.5, 14.0]), "mu": constant(13.0)}
    table = shrinkage.shrinkage([fit_of(three, "partial", posterior)], three)
    told = shrinkage.moved(table).set_index("statement")["group"]
    assert told.to_dict() == {
        "moved most": "b",
        "moved most in standard errors": "b",
        "weakest data": "c",
    }


def test_what_moved_says_without_partial_pooling(three: GroupedData) -> None:
    fit = fit_of(three, "none", {"theta": constant([10.0, 20.0, 12.0])})
    assert len(shrinkage.moved(shrinkage.shrinkage([fit], three))) == 0


def test_the_lesson_s_group_moved_most_and_towards_mu(
    lesson: dict[str, Fit], homework: GroupedData
) -> None:
    table = shrinkage.shrinkage(list(lesson.values()), homework)
    told = shrinkage.moved(table)
    assert (told.loc[told["statement"] == "moved most", "group"] == "5").all()
    partly = table[table["pooling"] == "partial"]
    far = partly[(partly["raw_mean"] - partly["target"]).abs() > 0.5]
    assert len(far) == 6
    assert (np.sign(far["displacement"]) == np.sign(far["target"] - far["raw_mean"])).all()
    assert partly["lambda_mean"].between(0.15, 0.45).all()


def test_the_wide_table_goes_from_no_to_complete_pooling(
    lesson: dict[str, Fit], homework: GroupedData
) -> None:
    table = shrinkage.shrinkage_table(list(lesson.values()), homework)
    assert table.columns.tolist() == [
        "group",
        "n",
        "sample_mean",
        "no_pooling",
        "no_pooling_mcse",
        PARTIAL,
        f"{PARTIAL}_mcse",
        "complete_pooling",
        "complete_pooling_mcse",
    ]
    assert np.ptp(table["complete_pooling"].to_numpy()) == 0
    between = table[PARTIAL].to_numpy()
    assert np.ptp(between) < np.ptp(table["no_pooling"].to_numpy())


def test_variance_and_intraclass_correlation(three: GroupedData) -> None:
    tau2 = np.tile([1.0, 3.0], (2, 50))
    posterior = {"theta": np.zeros((2, 100, 3)), "tau2": tau2, "sigma2": np.full((2, 100), 3.0)}
    table = shrinkage.variance([fit_of(three, "partial", posterior)], three).set_index("quantity")
    assert table["mean"].to_dict() == pytest.approx({"sigma2": 3, "tau2": 2, "icc": 0.375})
    assert table.loc["icc", "q2.5"] == pytest.approx(0.25)
    assert table.loc["icc", "q97.5"] == pytest.approx(0.5)


def test_within_variance_is_well_above_between_in_the_lesson(
    lesson: dict[str, Fit], homework: GroupedData
) -> None:
    table = shrinkage.variance(list(lesson.values()), homework).set_index(["model", "quantity"])
    partly = table.loc[PARTIAL]
    assert partly.loc["sigma2", "median"] > 2 * partly.loc["tau2", "median"]
    assert set(table.loc["complete_pooling"].index) == {"sigma2"}
    assert "no_pooling" not in table.index


def test_overall_pooling_is_gelman_and_pardoe_s(three: GroupedData) -> None:
    rng = np.random.default_rng(2)
    center = np.array([-1.0, 0.0, 1.0])

    def factor(size: int) -> pd.Series:
        mu = rng.normal(size=(4, size))
        theta = mu[..., None] + rng.normal(center, 2, size=(4, size, 3))
        fit = fit_of(three, "partial", {"theta": theta, "mu": mu})
        return shrinkage.variance([fit], three).set_index("quantity").loc["pooling_factor"]

    # Var_j(E eps_j) = 1, E Var_j(eps_j) = 1 + 4
    assert factor(20_000)["mean"] == pytest.approx(0.8, abs=0.01)
    runs = pd.DataFrame([factor(60) for _ in range(80)])
    assert runs["mcse"].mean() == pytest.approx(runs["mean"].std(), rel=0.3)
    assert runs["median"].isna().all()


def test_a_fit_of_other_groups_is_refused(three: GroupedData) -> None:
    fit = fit_of(three, "none", {"theta": constant([1.0, 2, 3])}, labels=["a", "c", "b"])
    with pytest.raises(InputError, match=r"fitted to other groups \(a, c, b\) than those of three"):
        shrinkage.estimates([fit], three)


def test_means_of_a_constant_and_of_nan() -> None:
    mean, error = means(np.stack([np.full((2, 10), 3.0), np.full((2, 10), np.nan)]))
    assert mean[0] == 3
    assert np.isnan([mean[1], *error]).all()
