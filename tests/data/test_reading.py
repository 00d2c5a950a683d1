"""Data of any kind and size come in by one door."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from partialpool import data
from partialpool.data import reading
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError

HOMEWORK = Path(__file__).resolve().parents[2] / "data" / "homework.csv"


def summary_file(folder: Path, **renamed: str) -> Path:
    path = folder / "summary.csv"
    data.read_csv(HOMEWORK).summary().rename(columns=renamed).to_csv(path, index=False)
    return path


def test_a_small_csv_file_is_read_as_before() -> None:
    found, expected = read(HOMEWORK), data.read_csv(HOMEWORK)
    np.testing.assert_array_equal(found.y, expected.y)
    assert (found.labels, found.notes, found.sha256) == (expected.labels, (), expected.sha256)


def test_observations_of_a_small_parquet_file_are_kept_in_their_order(tmp_path: Path) -> None:
    expected = data.read_csv(HOMEWORK)
    frame = pd.read_csv(HOMEWORK, dtype={"school": str})
    for k, part in enumerate((frame[:80], frame[80:])):
        part.to_parquet(tmp_path / f"part-{k}.parquet")
    found = read(tmp_path / "part-*.parquet")
    assert found.has_observations
    assert (found.name, found.labels) == ("part", expected.labels)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.group, expected.group)
    np.testing.assert_allclose(found.stats.ss, expected.stats.ss, rtol=1e-12)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_of_many_observations_the_statistics_are_kept(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"homework.{ending}"
    frame = pd.read_csv(HOMEWORK, dtype={"school": str})
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    found = read(path, most_observations=164)
    assert not found.has_observations
    assert (found.stats.N, found.stats.J, found.name) == (165, 8, "homework")
    assert "more than 164 observations" in found.notes[-1]
    assert read(path, most_observations=165).has_observations


def test_a_long_csv_file_goes_through_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LARGE_FILE", 100)
    found, expected = read(HOMEWORK), data.read_csv(HOMEWORK)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.group, expected.group)
    assert found.unit == expected.unit


@pytest.mark.parametrize("renamed", [{}, {"n": "count", "sd": "std", "group": "school"}])
def test_summaries_are_known_by_their_header(renamed: dict[str, str], tmp_path: Path) -> None:
    found = read(summary_file(tmp_path, **renamed))
    assert (found.stats.N, found.has_observations) == (165, False)
    assert found.group_label == renamed.get("group", "group")
    assert found.notes == ("read as summaries, one group a row",)


def test_columns_of_summaries_can_be_named(tmp_path: Path) -> None:
    path = summary_file(tmp_path, n="pupils", mean="hours", sd="spread")
    with pytest.raises(InputError, match="name the group column with --group"):
        read(path)
    found = read(path, columns=Columns(n="pupils", mean="hours", sd="spread"))
    assert found.stats.n.tolist() == data.read_csv(HOMEWORK).stats.n.tolist()
    with pytest.raises(InputError, match="column 'hour' occurs 0 times"):
        read(path, columns=Columns(n="pupils", mean="hour", sd="spread"))
    with pytest.raises(InputError, match="--value names a column of observations"):
        read(path, columns=Columns(value="hours", n="pupils"))
    with pytest.raises(InputError, match="group '1' has more than one row"):
        again = path.with_name("again.csv")
        again.write_bytes(path.read_bytes())
        read([path, again], columns=Columns(n="pupils", mean="hours", sd="spread"))


def test_summaries_come_in_several_files_and_as_parquet(tmp_path: Path) -> None:
    expected = data.read_csv(HOMEWORK)
    frame = expected.summary()
    frame.to_parquet(tmp_path / "whole.parquet")
    for k in range(2):
        frame[k::2].to_csv(tmp_path / f"part-{k}.csv", index=False)
    for name in ("whole.parquet", "part-*.csv"):
        found = read(tmp_path / name)
        assert found.labels == expected.labels
        np.testing.assert_array_equal(found.stats.n, expected.stats.n)
        np.testing.assert_allclose(found.stats.ss, expected.stats.ss, rtol=1e-12)
    frame.loc[3, "n"] = 0
    frame.to_parquet(tmp_path / "whole.parquet")
    with pytest.raises(InputError, match=r"row 4: n is '0'; a whole number"):
        read(tmp_path / "whole.parquet")


def test_summaries_that_lack_a_number_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("group,n,mean,sd\na,2,1,1\nb,,5,1\nc,1,3,\nd,3,NA,1\n")
    with pytest.raises(InputError, match=r"line 3: n is ''.*--drop-missing.* 2 of 4 rows"):
        read(path)
    found = read(path, drop_missing=True)
    assert found.labels == ("a", "c")
    assert found.notes[0] == "2 rows without n, mean or sd left out"


def test_a_named_value_column_means_observations(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("group,n,mean,sd\na,1,2,3\na,2,2,4\nb,1,5,5\n")
    found = read(path, columns=Columns(group="group", value="mean"))
    assert found.y.tolist() == [2, 2, 5]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: no such file"):
        read("nowhere.csv")
    with pytest.raises(InputError, match="this is a folder; name its files"):
        read(tmp_path)
    (tmp_path / "text.csv.gz").write_text("g,y\na,1\n")
    with pytest.raises(InputError, match=r"text\.csv\.gz: not compressed"):
        read(tmp_path / "text.csv.gz")
    whole = gzip.compress(b"g,y\n" + b"a,1\nb,2\n" * 5000)
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-30])
    with pytest.raises(InputError, match=r"cut\.csv\.gz: not compressed as its name says"):
        read(tmp_path / "cut.csv.gz")


def test_a_file_that_cannot_be_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("g,y\na,1\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"data\.csv: cannot be read \(Permission denied\)"):
        data.read_csv(path)
