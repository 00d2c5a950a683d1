"""Numbers at the edge, and files that are none, as the command line takes them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from partialpool.cli.options import DataOptions


def write(folder: Path, values: list[float]) -> str:
    rows = [f"{'abc'[k % 3]},{value!r}" for k, value in enumerate(values)]
    (folder / "some.csv").write_text("\n".join(["g,y", *rows]) + "\n")
    return "some.csv"


def test_priors_far_from_zero_are_told_with_the_digits_of_their_scale(run, tmp_path: Path) -> None:
    name = write(tmp_path, [1e9 + y for y in (0, 1.5, 2, 3.25, 1, 0.5)])
    _, out, _ = run("report", name)
    assert "theta_location = 1000000001.38, theta_scale = 2.9" in out
    _, _, err = run("report", name, "--prior", "mu_location=1000000000", "--prior", "mu_scale=.1")
    assert "normal(1000000000, 0.1), puts the grand mean 1000000001.4 13.8 prior sds" in err


def test_a_scale_that_is_the_trouble_is_said_to_be(run, tmp_path: Path) -> None:
    code, out, err = run("report", write(tmp_path, [1e150, 2e150, 4e150]))
    assert (code, "the scale of the values is the trouble: their sd is 1.5e+150" in err) == (
        2,
        True,
    )
    assert "Sampling" not in out


def test_data_come_through_a_pipe(run, monkeypatch) -> None:
    standard = io.TextIOWrapper(io.BytesIO(b"g;y\na;1,5\na;2\nb;3\n"))
    monkeypatch.setattr(sys, "stdin", standard)
    _, out, _ = run("report", "-", "--delimiter", ";", "--decimal", ",")
    assert "stdin: 3 observations in 2 groups (y by g)" in out


def test_options_of_files_reach_the_reader(run, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_bytes("day\tä\tb\n1\t1.200,5 €\t7 €\n".encode("cp1252"))
    how = ("--delimiter", "\\t", "--encoding", "cp1252", "--unit", "€", "--decimal", ",")
    _, out, _ = run("report", "some.csv", *how, "--thousands", ".", "--wide", "--group", "day")
    assert "some: 2 observations in one group (value (€) by day)" in out
    assert "Note: read as a wide table, a row for each group." in out
    code, _, err = run("report", "some.csv", *how, "--order", "size", "--sheet", "A")
    assert code == 2
    assert "this is no Excel workbook and has no sheets; leave --sheet out" in err


def test_later_outcomes_are_written_as_the_data_are(tmp_path: Path) -> None:
    for name, hits in (("first.csv", 18), ("rest.csv", 100)):
        rows = f"player;hits;at_bats\na;{hits};1.000\nb;1;1.000\nc;NA;900\n"
        (tmp_path / name).write_text(rows)
    marks = {"delimiter": ";", "decimal": ",", "thousands": ".", "drop_missing": True}
    how = DataOptions(successes="hits", trials="at_bats", **marks)
    data = how.load([str(tmp_path / "first.csv")])
    later = how.load_later(str(tmp_path / "rest.csv"), data)
    assert data.stats.trials.tolist() == later.stats.trials.tolist() == [1000, 1000]
    assert later.stats.successes.tolist() == [100, 1]
