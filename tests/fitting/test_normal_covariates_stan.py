"""Observations with covariates of groups, from a frame to the result that is opened again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.programs import toolchain
from partialpool.report import regression as sentences

pytestmark = pytest.mark.stan


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    group = np.repeat(np.arange(14), rng.integers(3, 12, 14))
    x = np.linspace(-1, 1, 14)[group]
    y = 2 + 1.5 * x + rng.normal(0, 0.2, 14)[group] + rng.normal(0, 0.6, len(group))
    return pd.DataFrame({"county": [f"county {j + 1}" for j in group], "radon": y, "uranium": x})


@pytest.fixture(scope="module")
def result(frame: pd.DataFrame, cmdstan: toolchain.CmdStan) -> pp.Result:
    programs = ["complete_pooling", "hierarchical_marginal"]
    found: pp.Result = pp.compare(
        frame, group="county", value="radon", by="uranium", programs=programs, draws=1000
    )
    return found


def test_the_slope_is_found_and_said(result: pp.Result) -> None:
    comparison = result.comparison
    table = comparison.table("coefficients", model="hierarchical_marginal")
    slope = table.set_index("coefficient").loc["uranium"]
    assert slope["q2.5"] < 1.5 < slope["q97.5"]
    [classical] = comparison.table("regression", coefficient="uranium").to_dict("records")
    assert slope["mean"] == pytest.approx(classical["estimate"], abs=0.3 * classical["se"])
    [row] = comparison.table("explained").to_dict("records")
    assert row["tau_median"] < 0.5 * row["tau_without_median"]
    assert row["log_marginal"] > row["log_marginal_without"] + 3
    said = " ".join(sentences.lines(comparison))
    assert "means change by" in said
    assert "more probable with the covariates than without" in said


def test_new_groups_lie_about_the_line_at_their_own_covariates(result: pp.Result) -> None:
    new = pd.DataFrame({"county": ["new", "other", "county 3"], "uranium": [-1.0, 1.0, None]})
    found = result.predict(new)
    assert found["kind"].tolist() == ["new", "new", "known"]
    assert found["mean"][1] - found["mean"][0] == pytest.approx(3.0, abs=0.8)


def test_a_result_is_opened_with_its_covariates(result: pp.Result, tmp_path: Path) -> None:
    result.save(tmp_path / "kept")
    again = pp.open(tmp_path / "kept")
    own, other = (each.data.stats for each in (result, again))
    assert type(other) is type(own)
    assert other.covariates is not None
    assert other.covariates.record == own.covariates.record  # type: ignore[union-attr]
    assert again["county 3"].mean == result["county 3"].mean
