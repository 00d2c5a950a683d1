"""Statistics straight from files: the same numbers and the same complaints as for small files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from partialpool import data
from partialpool.data import scan
from partialpool.errors import InputError
from partialpool.families import moments

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def assert_same(found: moments.GroupStats, expected: moments.GroupStats) -> None:
    assert sorted(found.labels) == sorted(expected.labels)
    at = [found.labels.index(label) for label in expected.labels]
    np.testing.assert_array_equal(found.n[at], expected.n)
    np.testing.assert_allclose(found.mean[at], expected.mean, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(found.ss[at], expected.ss, rtol=1e-12, atol=1e-300)


def test_homework_reads_as_from_a_small_file() -> None:
    small = data.read_csv(ROOT / "data" / "homework.csv")
    found = scan.scan_statistics(ROOT / "data" / "homework.csv")
    assert found.labels == small.labels
    assert_same(found.stats, small.stats)
    for name in ("name", "group_label", "value_label", "unit", "title", "priors", "priors_source"):
        assert getattr(found, name) == getattr(small, name), name


GOOD = {
    "labels stay text": "g,y\nNA,1\nNone,2\n001,3\n1,4\nNA,5\n1,7\n",
    "quotes, CRLF, BOM": '\ufeff"g","y"\r\n"a, b","1.5"\r\n"say ""x""",2\r\n"a, b",3\r\n',
    "blank lines at the end": "g,y\na,1\na,2\nb,3\n\n\n",
    "numbers": "g,y\na,1e3\na,.5\na,+2.\nb,-1E-2\nb, 7 \nb,0\n",
    "blanks around labels": "g,y\n a,1\n a,2\nb ,3\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_files(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", GOOD[name])
    small, found = data.read_csv(path), scan.scan_statistics(path)
    assert_same(found.stats, small.stats)
    assert found.notes == small.notes


BAD = {
    "empty": "",
    "header only": "g,y\n",
    "NUL": b"g,y\na,1\x00\n",
    "not UTF-8": b"g,y\na,1\n\xe9,2\n",
    "semicolons": "g;y\na;1\nb;2\n",
    "duplicate header": "g,g\na,1\n",
    "absent column": "school,hours,x\na,1,2\n",
    "too many fields": "g,y\na,1\nb,2,3\n",
    "too few fields": "g,y\na,1\nb\n",
    "decimal commas": "g,y\na,1,5\n",
    "missing": "g,y\na,1\na,\nb,NA\nb,3\n",
    "not finite": "g,y\na,1\na,nan\nb,inf\nb,-Infinity\n",
    "text": "g,y\na,1\na,x\nb,1_000\nb,0x10\n",
    "thousands": 'g,y\na,"1,234.5"\nb,2\n',
    "many": "g,y\n" + "".join(f"a,x{k}\n" for k in range(15)) + "b,1\n",
    "all missing": "g,y\na,\nb,\n",
    "blank label": "g,y\na,1\n,2\n",
    "only blanks as label": "g,y\na,1\n  ,2\n",
    "labels that merge": "g,y\na,1\na ,2\n",
    "empty fields": "g,y\na,1\n,\nb,2\n",
    "open quote": 'g,y\na,1\n"b,2\n',
    "huge": "g,y\na,1e999\nb,1\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_the_same_words(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", BAD[name])
    names = {"group": "g", "value": "y"} if name in {"absent column"} else {}
    with pytest.raises(InputError) as small:
        data.read_csv(path, **names)
    with pytest.raises(InputError) as found:
        scan.scan_statistics(path, **names)
    assert str(found.value) == str(small.value)


def test_options_work_as_for_small_files(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "g;y\na;1,5\na;2,25\nb;\nb;NA\nb;3\n")
    options = {"delimiter": ";", "decimal": ",", "drop_missing": True}
    small, found = data.read_csv(path, **options), scan.scan_statistics(path, **options)
    assert_same(found.stats, small.stats)
    assert found.notes == small.notes == ("2 rows without an outcome left out",)
    with pytest.raises(InputError, match="delimiter ';;': give one character"):
        scan.scan_statistics(path, delimiter=";;")


def test_dropping_missing_values_does_not_drop_wrong_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "g,y\na,1\nb,\nb,x\n")
    with pytest.raises(InputError, match=r"1 of 3 values of 'y' .* line 4: 'x'$"):
        scan.scan_statistics(path, drop_missing=True)


def test_files_of_a_pattern_are_one_data_set(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": list("abcab") * 20, "y": np.arange(100.0) ** 1.5})
    whole = tmp_path / "whole.csv"
    frame.to_csv(whole, index=False)
    for k in range(4):
        part = frame.iloc[k::4]
        part.to_csv(tmp_path / f"part-{k}.csv", index=False)
        part.to_parquet(tmp_path / f"part-{k}.parquet")
        with gzip.open(tmp_path / f"part-{k}.csv.gz", "wt") as file:
            part.to_csv(file, index=False)
    expected = data.read_csv(whole).stats
    for pattern in ("part-*.csv", "part-*.parquet", "part-*.csv.gz"):
        assert_same(scan.scan_statistics(tmp_path / pattern).stats, expected)
    with pytest.raises(InputError, match="mixed"):
        scan.scan_statistics([tmp_path / "part-0.csv", tmp_path / "part-1.parquet"])
    with pytest.raises(InputError, match=r"none-\*\.csv: no such file"):
        scan.scan_statistics(tmp_path / "none-*.csv")
    write(tmp_path / "part-9.csv", "g,z\na,1\n")
    with pytest.raises(InputError, match=r"part-9\.csv: its columns are 'g', 'z'"):
        scan.scan_statistics(tmp_path / "part-*.csv")


def test_a_path_is_not_a_pattern(tmp_path: Path) -> None:
    path = write(tmp_path / "it's [1] é?.csv", "g,y\na,1\na,2\n")
    assert scan.scan_statistics(path).stats.N == 2


def test_numbers_as_labels_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    frame = pd.DataFrame({"site": [10, 9, 10, 9, 2], "y": [1, 2, 4, 8, 16], "other": 0})
    frame.to_parquet(path)
    found = scan.scan_statistics(path, group="site", value="y")
    assert found.labels == ("2", "9", "10")
    assert found.stats.mean.tolist() == [16, 5, 2.5]
    assert (found.group_label, found.value_label) == ("site", "y")
    with pytest.raises(InputError, match="name the group column with --group"):
        scan.scan_statistics(path)


def test_bad_parquet_is_refused_with_the_row(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"

    def refused(frame: pd.DataFrame, message: str) -> None:
        frame.to_parquet(path)
        with pytest.raises(InputError, match=message):
            scan.scan_statistics(path)

    y = [1.0, np.nan, np.inf, 2.0]
    refused(pd.DataFrame({"g": list("aabb"), "y": y}), "2 of 4 .* row 2: nan|None; row 3: inf")
    refused(pd.DataFrame({"g": ["a", None, "b", "b"], "y": 1.0}), "row 2: the group is blank")
    refused(pd.DataFrame({"g": ["a", " ", "b", "b"], "y": 1.0}), "row 2: the group is blank")
    refused(pd.DataFrame({"g": ["a", "a ", "b", "b"], "y": 1.0}), "'a' and 'a ' differ only")
    refused(pd.DataFrame({"g": ["a\0", "b"], "y": 1.0}), "holds a NUL character")
    refused(pd.DataFrame({"g": list("ab"), "y": [True, False]}), "holds BOOLEAN; numbers")
    refused(pd.DataFrame({"g": list("ab"), "y": ["1", "x"]}), "1 of 2 .* row 2: 'x'")
    refused(pd.DataFrame({"g": ["a", "b"], "y": [np.nan] * 2}), "2 of 2 values")
    write(path, b"no parquet at all")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        scan.scan_statistics(path)


def test_mixed_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"g,y\na,1\r\nb,2\na,3\r\nb,5\n")
    assert scan.scan_statistics(path).stats.mean.tolist() == [2.0, 3.5]


def test_missing_outcomes_in_parquet_are_dropped_on_request(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pd.DataFrame({"g": list("aabbc"), "y": [1.0, np.nan, 3.0, 4.0, np.nan]}).to_parquet(path)
    found = scan.scan_statistics(path, drop_missing=True)
    assert found.labels == ("a", "b")
    assert found.notes == ("2 rows without an outcome left out",)


@pytest.mark.parametrize("offsets", [(1e9, 1e9), (1e9, 0.0), (-1e12, 1e6)])
def test_an_offset_costs_no_digits(offsets: tuple[float, float], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(["a", "b"], 5000)
    y = np.repeat(offsets, 5000) + rng.normal(0, 1, 10000)
    path = tmp_path / "data.parquet"
    pd.DataFrame({"g": labels, "y": y}).sample(frac=1, random_state=1).to_parquet(path)
    stats = scan.scan_statistics(path).stats
    for j, offset in enumerate(offsets):
        exact = (y[labels == stats.labels[j]] - offset).astype(np.longdouble)
        ss = float(((exact - exact.mean()) ** 2).sum())
        assert stats.ss[j] == pytest.approx(ss, rel=1e-10)
        assert stats.mean[j] - offset == pytest.approx(
            float(exact.mean()), abs=max(abs(np.spacing(offset)), 1e-15)
        )


def test_squares_that_overflow_are_refused(tmp_path: Path) -> None:
    for values in ("1e200\na,-1e200", "1e160\na,1e160"):
        path = write(tmp_path / "data.csv", f"g,y\na,{values}\nb,1\n")
        with pytest.raises(InputError, match="the squares of the values overflow"):
            scan.scan_statistics(path)


def test_equal_values_have_no_spread(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "g,y\n" + "a,0.1\n" * 1000 + "b,0.3\n")
    stats = scan.scan_statistics(path).stats
    assert stats.ss.tolist() == [0, 0]
    assert stats.mean.tolist() == pytest.approx([0.1, 0.3], rel=1e-15)


def test_the_hash_follows_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", "g,y\na,1\na,2\n")
    first = scan.scan_statistics(path).sha256
    assert scan.scan_statistics(path).sha256 == first
    write(path, "g,y\na,1\na,3\n")
    assert scan.scan_statistics(path).sha256 != first
