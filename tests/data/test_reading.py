"""Data of any kind and size come in by one door."""

from __future__ import annotations

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
    with pytest.raises(InputError, match="read from one CSV file"):
        read([path, path], columns=Columns(n="pupils"))


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
