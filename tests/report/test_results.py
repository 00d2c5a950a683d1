"""Result folders: complete or absent, never mixed."""

from __future__ import annotations

import csv
import os

import numpy as np
import pandas as pd
import pytest

from helpers.hand_made import make_fit
from partialpool.errors import InputError, PartialPoolError
from partialpool.families.alike import Alike
from partialpool.report import folder
from partialpool.report.results import (
    check_target,
    kept,
    new_folder,
    read_manifest,
    write_table,
)


def finish(target, text):
    with new_folder(target) as folder:
        (folder / "manifest.json").write_text(text)


def test_a_finished_run_appears_whole(tmp_path):
    with new_folder(tmp_path / "results" / "x") as folder:
        (folder / "table.csv").write_text("a")
        assert not (tmp_path / "results" / "x").exists()
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["x"]
    assert (tmp_path / "results" / "x" / "table.csv").read_text() == "a"


def test_a_later_run_replaces_an_earlier_one(tmp_path):
    finish(tmp_path / "x", "first")
    (tmp_path / "x" / "left over").write_text("")
    finish(tmp_path / "x", "second")
    assert (tmp_path / "x" / "manifest.json").read_text() == "second"
    assert [p.name for p in tmp_path.rglob("*")] == ["x", "manifest.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_leaves_the_earlier_result(tmp_path, error):
    finish(tmp_path / "x", "first")
    with pytest.raises(error), new_folder(tmp_path / "x") as folder:
        (folder / "manifest.json").write_text("half")
        raise error
    assert (tmp_path / "x" / "manifest.json").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="no result folder"), new_folder(tmp_path / "thesis"):
        pass
    assert (tmp_path / "thesis" / "chapter.txt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"), new_folder(tmp_path / "x"):
        pass


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"), new_folder(tmp_path / "results/x"):
        pass


HARD = ['a,"b"', "line\nbreak", "re\rturn", "cr\r\nlf", "../../etc", "$x$ <b>&", "😀", "=1+1", "1"]


@pytest.mark.parametrize("labels", [HARD, ["plain", "labels"]])
def test_labels_survive_a_table(tmp_path, labels):
    table = pd.DataFrame({"group": labels, "mean": np.linspace(0, 1 / 3, len(labels))})
    write_table(table, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [label for label, _ in rows[1:]] == labels
    assert [float(mean) for _, mean in rows[1:]] == table["mean"].tolist()


@pytest.mark.parametrize("labels", [HARD, ["NA", "a b", " x", "#1", "'q'", "0"]])
def test_rows_that_are_alike_are_written_as_others_are(tmp_path, labels):
    rng = np.random.default_rng(1)
    n, y = rng.integers(0, 5, (2, 12_000))
    found = Alike.of(n.astype(float), y / 7)
    names = [f"{labels[j % len(labels)]}{j}" for j in range(len(n))]
    columns = {"trusted": True, "n": n, "raw": np.where(n > 0, y / 7, np.nan), "mean": n / (3 + n)}
    table = pd.DataFrame({"group": names, **columns})
    write_table(table, tmp_path / "slowly.csv")
    write_table(table, tmp_path / "at once.csv", alike=found)
    assert (tmp_path / "at once.csv").read_bytes() == (tmp_path / "slowly.csv").read_bytes()
    assert (found.groups == np.bincount(found.which)).all()
    assert (n[found.one] == found.weight).all()
    seen = found.weight > 0
    assert (y[found.one] / 7 == found.raw)[seen].all()
    assert not found.raw[~seen].any()
    assert found.groups.sum() == len(n)
    assert len(found.weight) == 1 + 4 * 5


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_the_user(tmp_path, mask, homework):
    before = os.umask(mask)
    try:
        with new_folder(tmp_path / "x") as folder:
            write_table(pd.DataFrame({"a": [1]}), folder / "a.csv")
            make_fit(homework, "no_pooling", draws=4).save(folder / "fit.nc")
            (folder / "manifest.json").write_text("{}")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o777 & ~mask
    for path in (tmp_path / "x").iterdir():
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask, path


def test_a_place_is_refused_before_the_work(tmp_path):
    (tmp_path / "thesis").mkdir()
    for target in ("thesis", "x/../..", "n" * 300):
        with pytest.raises(InputError, match=r"no result folder|cannot be a folder"):
            check_target(tmp_path / target)
    assert check_target(tmp_path / "deep" / "er" / "x") == tmp_path / "deep" / "er" / "x"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_a_part_that_fails_is_named_and_the_fits_are_kept(tmp_path, homework):
    fit = make_fit(homework, "no_pooling", draws=4)

    def fails():
        raise ValueError("no objects to concatenate")

    with kept(tmp_path / "x", homework, {fit.name: fit}, kind="compare") as (place, parts):
        assert parts.make("the table estimates", fails) is None
        parts.figure(place / "shrinkage", fails)
        assert parts.make("the rest", lambda: 3) == 3
    reasons = read_manifest(tmp_path / "x")["missing"]
    assert list(reasons) == ["the table estimates", "the figure shrinkage"]
    assert reasons["the table estimates"] == "ValueError: no objects to concatenate"
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"no_pooling.nc", "manifest.json"}
    full = OSError(28, "No space left on device")
    with (
        pytest.raises(InputError, match="No space"),
        kept(tmp_path / "y", homework, {}) as (_, parts),
    ):
        parts.make("the table", lambda: (_ for _ in ()).throw(full))


def test_a_report_whose_figures_or_page_fail_keeps_tables_and_fits(tmp_path, homework, monkeypatch):
    fit = make_fit(homework, "no_pooling", draws=50)

    def fails(*_, **__):
        raise ValueError("broken")

    monkeypatch.setattr(folder, "plan", fails)
    monkeypatch.setattr(folder.page, "render", fails)
    target = folder.write(tmp_path / "x", homework, [fit], processes=1)
    assert read_manifest(target)["missing"]["page"] == {"report.html": "ValueError: broken"}
    assert (target / "tables" / "estimates.csv").is_file()
    assert (target / "fits" / "1-no_pooling.nc").is_file()
    monkeypatch.setattr(folder, "compute", fails)
    with pytest.raises(PartialPoolError, match=r"broken.*kept in"):
        folder.write(tmp_path / "y", homework, [fit], processes=1)
    assert (tmp_path / "y" / "fits" / "1-no_pooling.nc").is_file()
    assert read_manifest(tmp_path / "y")["missing"] == {"the report": "ValueError: broken"}
