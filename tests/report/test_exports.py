"""Tables in other forms, and draws in rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.hand_made import make_fit
from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.report import cells, exports


@pytest.fixture(scope="module")
def fit(homework: GroupedData) -> Fit:
    return make_fit(homework, "hierarchical_noncentered", draws=50)


@pytest.fixture
def view() -> cells.View:
    rows = (
        (cells.Cell("a & b|c"), cells.Cell("−1.2", -1.2)),
        (cells.Cell("100 %_\nx"), cells.Cell("3.4", 3.4)),
    )
    return cells.View("Means of θ, σ²", ("Group", "Mean"), rows, "x", note="A note.")


def test_markdown_keeps_cells_apart_and_numbers_to_the_right(view: cells.View) -> None:
    lines = exports.markdown([view]).splitlines()
    assert lines[0] == "**Means of θ, σ²**"
    assert lines[2:6] == [
        "| Group | Mean |",
        "| --- | ---: |",
        r"| a & b\|c | −1.2 |",
        "| 100 %_ x | 3.4 |",
    ]
    assert "A note." in lines


def test_latex_escapes_what_would_be_a_command(view: cells.View) -> None:
    text = exports.latex([view])
    assert r"\caption{Means of $\theta$, $\sigma$\textsuperscript{2}}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"a \& b|c & $-$1.2 \\" in text
    assert r"100 \%\_ x & 3.4 \\" in text


def test_draws_are_rows_with_labels_in_their_names(
    fit: Fit, homework: GroupedData, tmp_path: Path
) -> None:
    exports.write_draws([fit], tmp_path / "draws")
    frame = pd.read_parquet(tmp_path / "draws" / "1-hierarchical_noncentered.parquet")
    sizes = fit.posterior.sizes
    assert len(frame) == sizes["chain"] * sizes["draw"]
    row = frame[(frame["chain"] == 2) & (frame["draw"] == 7)].iloc[0]
    draw = fit.posterior.isel(chain=2, draw=7)
    assert row["tau"] == float(draw["tau"])
    assert row["theta[5]"] == float(draw["theta"].sel(group="5"))
    assert [n for n in frame if n.startswith("theta[")] == [f"theta[{x}]" for x in homework.labels]


def test_tables_come_in_each_form_that_there_is(tmp_path: Path) -> None:
    tables = {"one": pd.DataFrame({"x": [1.5, np.nan], "g": ["a", "b"]})}
    formats = exports.check_formats(["parquet", "xlsx", "parquet"])
    exports.write_tables(tables, tmp_path, formats=formats)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "one.parquet"), tables["one"], check_dtype=False
    )
    book = pd.read_excel(tmp_path / "tables.xlsx", sheet_name=None)
    assert book["one"]["x"].iloc[0] == 1.5
    with pytest.raises(InputError, match="--format docx: tables come as csv, parquet, xlsx"):
        exports.check_formats(["docx"])
