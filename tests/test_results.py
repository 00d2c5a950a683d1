"""Result folders: complete or absent, never mixed."""

from __future__ import annotations

import os

import pytest

from partialpool.errors import InputError
from partialpool.results import new_folder


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
