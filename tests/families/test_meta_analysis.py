"""The classical companions of partially pooled estimates."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.published import bcg, eight_schools, teacher_expectancy
from partialpool.data import GroupedData
from partialpool.families import meta_analysis
from partialpool.families.known_errors import Estimates


def methods(data: GroupedData) -> pd.DataFrame:
    return meta_analysis.summary(data.stats).set_index("method")  # type: ignore[arg-type]


def made(J: int = 12, *, tau: float = 1.5, seed: int = 2) -> Estimates:
    rng = np.random.default_rng(seed)
    se = np.exp(rng.normal(0, 0.6, J))
    return Estimates(tuple(map(str, range(J))), rng.normal(4, np.sqrt(tau**2 + se**2)), se)


def restricted(tau2: float, data: Estimates) -> float:
    """Restricted log likelihood of the variance between effects (Viechtbauer 2005, eq. 5)."""
    v = data.se**2 + tau2
    mean = np.average(data.estimate, weights=1 / v)
    squares = float(((data.estimate - mean) ** 2 / v).sum())
    return -0.5 * float(np.log(v).sum() + math.log((1 / v).sum()) + squares)


def test_the_vaccine_trials() -> None:
    found = methods(bcg())
    reml = found.loc["REML"]
    assert reml["tau2"] == pytest.approx(0.3132, abs=0.6e-4)
    assert reml["estimate"] == pytest.approx(-0.7145, abs=0.6e-4)
    assert reml["se"] == pytest.approx(0.1798, abs=0.6e-4)
    assert found.loc["common effect", "estimate"] == pytest.approx(-0.4303, abs=0.6e-4)
    assert found.loc["common effect", "q"] == pytest.approx(152.2330, abs=0.6e-4)
    assert found.loc["common effect", "p_value"] == pytest.approx(stats.chi2.sf(152.2330, 12))


def test_teacher_expectancy() -> None:
    found = methods(teacher_expectancy())
    reml = found.loc["REML"]
    assert reml[["tau2", "estimate", "se"]].tolist() == pytest.approx(
        [0.0188, 0.0837, 0.0516], abs=0.6e-4
    )
    assert reml[["prediction_q2.5", "prediction_q97.5"]].tolist() == pytest.approx(
        [-0.2036, 0.3711], abs=1.5e-4
    )
    assert found.loc["common effect", "q"] == pytest.approx(35.8295, abs=0.6e-4)
    assert found.loc["common effect", "df"] == 18


def test_eight_schools_leave_nothing_between() -> None:
    found = methods(eight_schools())
    assert found["tau2"].tolist() == [0, 0, 0]
    assert found.loc["REML", "estimate"] == pytest.approx(7.686, abs=0.6e-3)
    assert found.loc["REML", "se"] == pytest.approx(4.072, abs=0.6e-3)
    assert found["i2"].tolist() == [0, 0, 0]
    assert found["h2"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_reml_maximizes_the_restricted_likelihood(seed: int) -> None:
    data = made(seed=seed)
    tau2 = float(meta_analysis.summary(data).set_index("method").loc["REML", "tau2"])
    best = restricted(tau2, data)
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 1e3, 4000)])
    assert best >= max(restricted(float(other), data) for other in grid) - 1e-12
    if tau2 > 0:
        step = 1e-4 * tau2
        slope = (restricted(tau2 + step, data) - restricted(tau2 - step, data)) / (2 * step)
        assert abs(slope * tau2) < 1e-5


def test_equal_errors_have_closed_forms() -> None:
    """With one standard error all methods are the analysis of variance of a balanced design."""
    y = np.array([1.0, 5.0, 2.0, 8.0, 4.0])
    data = Estimates(tuple("abcde"), y, np.full(5, 1.2))
    found = meta_analysis.summary(data).set_index("method")
    tau2 = y.var(ddof=1) - 1.2**2
    assert found["estimate"].tolist() == pytest.approx([y.mean()] * 3)
    assert found["tau2"].tolist() == pytest.approx([0, tau2, tau2], rel=1e-7)
    assert found["i2"].tolist() == pytest.approx([0, *[tau2 / y.var(ddof=1)] * 2], rel=1e-7)
    assert found.loc["REML", "se"] == pytest.approx(math.sqrt(y.var(ddof=1) / 5))
    q = ((y - y.mean()) ** 2).sum() / 1.2**2
    assert found.loc["common effect", "q"] == pytest.approx(q)
    reach = found["q97.5"] - found["estimate"]
    assert reach.tolist() == pytest.approx((stats.norm.ppf(0.975) * found["se"]).tolist())


def test_dersimonian_and_laird_s_moments() -> None:
    """Their tau2 makes Q equal to its expectation."""
    data = made(tau=3)
    tau2 = float(meta_analysis.summary(data).set_index("method").loc["DerSimonian-Laird", "tau2"])
    w = data.se**-2.0
    q = float((w * (data.estimate - np.average(data.estimate, weights=w)) ** 2).sum())
    assert tau2 > 0
    assert q == pytest.approx(data.J - 1 + tau2 * (w.sum() - (w**2).sum() / w.sum()))


def test_weights_and_predictors() -> None:
    data = made(tau=3)
    found = meta_analysis.weights(data)
    reml = meta_analysis.summary(data).set_index("method").loc["REML"]
    assert found["weight_common"].sum() == pytest.approx(1)
    assert found["weight_reml"].sum() == pytest.approx(1)
    weighted = (found["weight_reml"] * found["estimate"]).sum()
    assert weighted == pytest.approx(reml["estimate"])
    share = data.se**2 / (data.se**2 + reml["tau2"])
    assert found["blup_factor"].tolist() == pytest.approx(share)
    drawn = data.estimate + share * (reml["estimate"] - data.estimate)
    assert found["blup"].tolist() == pytest.approx(drawn)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_the_unit_and_the_offset_of_the_data_change_nothing_else(
    scale: float, offset: float
) -> None:
    data = made(tau=3)
    moved = Estimates(data.labels, scale * (data.estimate + offset), scale * data.se)
    one, two = (meta_analysis.summary(each) for each in (data, moved))
    for name in ("estimate", "q2.5", "prediction_q97.5"):
        assert (two[name] / scale - offset).tolist() == pytest.approx(one[name].tolist(), rel=1e-7)
    assert (two["tau2"] / scale**2).tolist() == pytest.approx(one["tau2"].tolist(), rel=1e-6)
    for name in ("i2", "h2"):
        assert two[name].tolist() == pytest.approx(one[name].tolist(), rel=1e-6)


def test_one_estimate_tells_nothing_of_the_variance_between() -> None:
    data = Estimates(("only",), np.array([3.0]), np.array([2.0]))
    found = meta_analysis.summary(data).set_index("method")
    assert found.loc["common effect", "estimate"] == 3
    assert found.loc["common effect", "df"] == 0
    for name in ("tau2", "estimate", "se"):
        assert found.loc[["DerSimonian-Laird", "REML"], name].isna().all()
    assert found["i2"].isna().all()
    assert math.isnan(found.loc["common effect", "p_value"])
