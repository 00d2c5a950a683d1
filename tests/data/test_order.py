"""The order of the groups, and what is noted of labels and values."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from partialpool import data
from partialpool.data import reading, scan
from partialpool.data.labels import alike
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.families.order import natural_key, order_of_labels, places

HOMEWORK = Path(__file__).resolve().parents[2] / "data" / "homework.csv"


@pytest.mark.parametrize(
    "labels",
    [
        ["1", "2", "10"],
        ["school 2", "school 10", "school 100"],
        ["1.5 mg", "2 mg", "10.25 mg"],
        ["a1b2", "a1b10", "a2b1"],
        ["2023-12-31", "2024-01-01", "2024-02-01"],
        ["31.12.2023", "01.01.2024", "01.02.2024"],
        ["12/31/2023", "1/2/2024", "2/1/2024"],
        ["31/12/2023", "2/1/2024", "1/2/2024"],
        ["Jan 2024", "Feb 2024", "Mar 2025"],
        ["January", "February", "March"],
        ["Q4 2023", "Q1 2024", "Q2 2024"],
        ["Mon", "Tue", "Sun"],
        ["Monday", "Friday", "Saturday"],
        ["2024-01-01 09:00", "2024-01-01 10:00"],
    ],
)
def test_labels_with_an_order_of_their_own_keep_it(labels: list[str]) -> None:
    rng = random.Random(1)
    for _ in range(5):
        mixed = labels * 2
        rng.shuffle(mixed)
        assert order_of_labels(mixed) == labels


@pytest.mark.parametrize(
    "labels",
    [
        ["10", "9", "1", "10", "009", "9.0", "0"],
        ["school 2", "school 10", "school 2"],
        ["3", "1", "2"],
        ["b", "a", "b"],
        ["12345678901234567891", "12345678901234567890"],
        ["", "1"],
        [],
    ],
)
def test_each_label_knows_its_place(labels: list[str]) -> None:
    order, index = places(labels)
    assert order == order_of_labels(labels)
    assert [order[j] for j in index.tolist()] == labels


def test_numbers_beyond_double_precision_keep_an_order() -> None:
    labels = ["12345678901234567891", "1", "12345678901234567890"]
    assert order_of_labels(labels) == ["1", "12345678901234567890", "12345678901234567891"]


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c"],
        ["b2", "a10", "b1"],
        ["2", "one", "1"],
        ["Mon", "Tue", "Holiday", "Sun"],
        ["2/1/2024", "1/2/2024"],
        ["school 2", "school", "school 1"],
        ["lo", "mid", "hi"],
        ["a2a", "a", "a1a"],
        ["x2", "x1a", "x0"],
    ],
)
def test_other_labels_come_as_they_occur(labels: list[str]) -> None:
    assert order_of_labels([*labels, labels[0]]) == labels


def test_labels_sort_alphabetically_with_their_numbers_by_size() -> None:
    labels = ["b", "A 10", "a 9", "10", "9", "-1"]
    assert sorted(labels, key=natural_key) == ["-1", "9", "10", "a 9", "A 10", "b"]


ROWS = "g,y\nlow,5\nhigh,1\nhigh,3\nmid,9\nlow,6\nmid,8\nmid,7\n"
ORDERS = {
    "data": ("low", "high", "mid"),
    "label": ("high", "low", "mid"),
    "mean": ("mid", "low", "high"),
    "size": ("mid", "high", "low"),
}


@pytest.mark.parametrize("by", ORDERS)
def test_an_order_can_be_asked_for(by: str, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text(ROWS)
    plain, found = read(path), read(path, order=by)
    assert found.labels == ORDERS[by]
    assert found.reading["order"] == by
    assert found.y.tolist() == plain.y.tolist()
    assert [found.labels[j] for j in found.group] == [plain.labels[j] for j in plain.group]
    for label, mean in zip(found.labels, found.stats.mean, strict=True):
        assert mean == plain.stats.mean[plain.labels.index(label)]
    assert plain.in_order(by).labels == ORDERS[by]
    if by == "data":
        with pytest.raises(InputError, match="where each group occurs first is not known"):
            read(path, order=by, most_observations=1).without_observations().in_order(by)
    else:
        assert read(path, order=by, most_observations=1).labels == ORDERS[by]


@pytest.mark.parametrize("by", ORDERS)
def test_one_row_a_group_is_put_in_order_too(by: str, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("g,estimate,se\nlow,5,3\nhigh,1,2\nmid,9,1\n")
    found = read(path, order=by)
    assert found.labels == ORDERS[by]
    assert found.y.tolist() == found.stats.estimate.tolist()
    path.write_text("g,n,mean,sd\nlow,2,5,3\nhigh,2,1,2\nmid,3,9,1\n")
    assert read(path, order=by).labels == ORDERS[by]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="order 'x': there is no such order; there are data, lab"):
        read(HOMEWORK, order="x")


def test_files_of_any_kind_have_their_groups_in_one_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": ["ä", "b", "a", "ä"], "y": [1.0, 2, 3, 4]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        found = read(tmp_path / name)
        assert found.labels == ("ä", "b", "a")
        assert found.group.tolist() == [0, 1, 2, 0]


def test_categories_of_a_dask_frame_are_kept() -> None:
    dd = pytest.importorskip("dask.dataframe")
    from partialpool.data.dask_frames import dask_statistics

    labels = pd.Categorical(["lo", "hi", "lo", "hi"], ["lo", "none", "hi"])
    frame = pd.DataFrame({"g": labels, "y": [1.0, 2, 3, 4], "s": 1.0})
    found = dask_statistics(dd.from_pandas(frame, npartitions=2), group="g", value="y")
    assert found.labels == ("lo", "hi")
    assert found.stats.mean.tolist() == [2, 3]
    halves = dd.from_pandas(frame.iloc[:2], npartitions=1)
    found = dask_statistics(halves, group="g", estimate="y", se="s")
    assert found.labels == ("lo", "hi")
    dates = frame.assign(y=pd.to_datetime("2020-01-01"))
    with pytest.raises(InputError, match="the outcomes are dates or lengths of time"):
        dask_statistics(dd.from_pandas(dates, npartitions=1), group="g", value="y")


# --- labels that may be the same ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (["1", "1.0", "2"], "'1' and '1.0'"),
        (["001", "1"], "'001' and '1'"),
        (["TRUE", "true", "x", "X"], "'TRUE' and 'true'; 'x' and 'X'"),
        (["é", "e\u0301"], "'é' and 'e\u0301'"),
        (["a b", "a  b"], "'a b' and 'a  b'"),
        (["1e3", "1000"], "'1e3' and '1000'"),
    ],
)
def test_labels_that_may_be_one_are_noted(labels: list[str], note: str) -> None:
    [said] = alike(labels)
    assert said.startswith(f"groups that may be the same are kept apart: {note}; write them alike")
    found = data.from_values(labels, range(len(labels)))
    assert len(found.labels) == len(labels)
    assert said in found.notes


def test_labels_that_differ_are_not_noted() -> None:
    assert alike(["1", "2", "10", "1.5", "a", "b", "ab", "a b", "NA", "9007199254740993"]) == ()
    assert alike(map(str, range(1000))) == ()
    assert alike(["-5", "5", "0", "-1", "a\nb", "a", "b"]) == ()
    assert len(alike(["A\nb", "a\nB"])) == len(alike(["-0", "0"])) == len(alike([".5", "0.5"])) == 1
    [said] = alike([case(f"g{k}") for k in range(5) for case in (str.lower, str.upper)])
    assert "; and 2 more; write" in said


# --- codes for missing values, and lost digits ----------------------------------------------------


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1, 2, 3, -999], r"-999 \(1 time\) lies far outside all other values, 1 to 3"),
        ([1, 2, -999, -999, 9999], r"-999 \(2 times\) and 9999 \(1 time\) lie far outside"),
        ([0.5, 20, 99], r"99 \(1 time\) lies far outside all other values, 0.5 to 20"),
        ([-20, 40, -99], r"-99 \(1 time\)"),
        ([5, 5, 999], r"999 \(1 time\) lies far outside all other values, 5 to 5"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_codes_for_missing_values_are_noted(
    values: list[float], note: str, large: bool, tmp_path: Path
) -> None:
    path = tmp_path / "some.csv"
    path.write_text("g,y\n" + "".join(f"{'ab'[k % 2]},{y}\n" for k, y in enumerate(values)))
    found = scan.scan_statistics(path) if large else read(path)
    [said] = found.notes
    assert re.match(note, said)
    assert "where that means a missing value, add --missing " in said
    named = re.findall(r"--missing (\S+)", said)
    for reader in (read, scan.scan_statistics):
        assert (
            len(values) - sum(y in map(float, named) for y in values)
            == reader(path, missing=named, drop_missing=True).stats.N
        )
        with pytest.raises(InputError, match="are no finite numbers: .*--drop-missing"):
            reader(path, missing=named)


@pytest.mark.parametrize("values", [[1, 2, 3], [60, 99, 80], [99, 99], [998, 999, 1000], [0, 98.5]])
def test_values_that_lie_among_others_are_no_codes(values: list[float]) -> None:
    labels = ["a", "b", "c"][: len(values)]
    assert data.from_values(labels, values).notes == ()


def test_codes_among_estimates_are_noted() -> None:
    found = data.from_estimates(["a", "b", "c"], [1, 2, -999], [1, 1, 1])
    assert "-999 (1 time) lies far outside" in found.notes[0]


def test_both_readers_note_the_same_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.csv"
    path.write_text("g,y\na,1\na,2\nb,-999\nb,3\n")
    small = read(path)
    monkeypatch.setattr(reading, "_LARGE_FILE", 1)
    assert read(path).notes == small.notes
    assert len(small.notes) == 1


def test_digits_that_doubles_lose_are_noted() -> None:
    labels, values = list("aabb"), np.array([1.0, 2, 3, 5])
    assert data.from_values(labels, values + 1e9).notes == ()
    [note] = data.from_values(labels, values + 2.0**53).notes
    assert "values near 9.01e+15 are held to steps of 2, which blurs an sd of" in note
    [note] = data.from_values(labels, np.full(4, 2.0**53)).notes
    assert "which blurs what they differ by: subtract a constant" in note
    assert data.from_values(labels, np.full(4, 1e6)).notes == ()


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_the_scale_of_values_is_said_to_be_the_trouble(scale: float) -> None:
    from partialpool.fitting.inputs import priors_for

    observed = data.from_values(list("aabb"), np.array([1.0, 2, 3, 5]) * scale)
    estimated = data.from_estimates(list("ab"), np.array([1.0, 2]) * scale, [scale, scale])
    for found in (observed, estimated):
        with pytest.raises(InputError, match="the scale of the values is the trouble: their sd is"):
            priors_for(found, {})
