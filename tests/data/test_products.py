"""What the engine adds up of covariates, against the same of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from partialpool.data import GroupedData, products
from partialpool.data.adjusting import with_covariates
from partialpool.data.reading import Columns, read
from partialpool.data.weights import weighted
from partialpool.errors import InputError

NAMED = Columns(group="g", value="y")
SIZES = [1, 1, 2, 3, 40, 7, 100]
ADJUST = ["a", "kind", "b"]


def frame(offset: float = 0.0) -> pd.DataFrame:
    """Rows of groups of many sizes, in no order, that differ in their covariates."""
    rng = np.random.default_rng(8)
    group = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    size = len(group)
    a = offset + 10.0 * group + rng.normal(0, 0.5, size)
    kind = rng.choice(["low", "mid", "high"], size)
    y = offset + 3 * group + 0.3 * (a - offset) + (kind == "mid") + rng.normal(0, 1, size)
    b = rng.integers(0, 5, size)
    columns = {"y": y, "a": a, "kind": kind, "b": b, "of_group": group % 3}
    return pd.DataFrame({"g": [f"g {j}" for j in group], **columns})


def written(rows: pd.DataFrame, folder: Path, ending: str) -> Path:
    path = folder / f"rows.{ending}"
    rows.to_csv(path, index=False) if ending == "csv" else rows.to_parquet(path)
    return path


def both(path: Path, **how: Any) -> list[GroupedData]:
    """The data with their rows, and with statistics alone."""
    found = [read(path, columns=NAMED, most_observations=most, **how) for most in (10**6, 3)]
    assert [data.has_observations for data in found] == [True, False]
    return found


def assert_alike(one: GroupedData, other: GroupedData, rtol: float = 1e-11) -> None:
    order = [other.labels.index(label) for label in one.labels]
    mine, theirs = one.stats, other.stats.take(np.array(order))
    assert mine.covariates.names == theirs.covariates.names
    assert mine.covariates.levels == theirs.covariates.levels
    for name in ("values", "middle", "spread"):
        known = getattr(mine.covariates, name)
        np.testing.assert_allclose(getattr(theirs.covariates, name), known, rtol=rtol)
    for name in ("xx", "xy"):
        known = getattr(mine.within, name)
        size = np.abs(known).max(axis=0)
        apart = np.abs(getattr(theirs.within, name) - known)
        assert (apart <= rtol * size).all(), name
    assert one.notes == tuple(note for note in other.notes if "more than 3 obs" not in note)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("by", [[], ["of_group"]])
def test_sums_of_files_are_those_of_their_rows(tmp_path: Path, ending: str, by: list[str]) -> None:
    path = written(frame(), tmp_path, ending)
    assert_alike(*(with_covariates(data, by, ADJUST) for data in both(path)))


def test_sums_keep_their_digits_far_from_0(tmp_path: Path) -> None:
    """Of columns about 10^8 the sds are those of the same columns about 0, which rounding moves."""
    path = written(frame(1e8), tmp_path, "parquet")
    near = written(frame(), tmp_path / ".", "csv")
    far, moved = both(path)[1], both(near)[0]
    one, other = (with_covariates(data, [], ADJUST).stats for data in (far, moved))
    order = [one.labels.index(label) for label in other.labels]
    np.testing.assert_allclose(one.within.xx[order], other.within.xx, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one.within.xy[order], other.within.xy, rtol=1e-6, atol=1e-6)


def test_files_are_spelled_as_they_are(tmp_path: Path) -> None:
    """Marks, blanks, missing outcomes, levels that look like numbers but for one."""
    path = tmp_path / "rows.csv"
    rows = frame()
    rows["a"] = [f"{x:.6f}".replace(".", ",") for x in rows["a"]]
    rows["y"] = [f"{y:.6f}".replace(".", ",") for y in rows["y"]]
    rows["kind"] = [f" {k}\t" if i % 7 else k for i, k in enumerate(rows["kind"])]
    rows["g"] = [f"\t{g}\xa0" if g == "g 3" else g for g in rows["g"]]
    rows["w"] = [f"{b},5" for b in rows["b"]]
    rows.loc[5, "y"] = "NA"
    rows.loc[5, "a"] = ""
    rows.to_csv(path, index=False, sep=";")
    how = {"delimiter": ";", "decimal": ",", "drop_missing": True}
    assert_alike(*(with_covariates(data, [], ADJUST) for data in both(path, **how)))
    found = [weighted(data, "w").stats for data in both(path, **how)]
    order = [found[1].labels.index(label) for label in found[0].labels]
    np.testing.assert_allclose(found[1].mean[order], found[0].mean)


def broken(column: str, row: int, value: object) -> pd.DataFrame:
    rows = frame().astype({column: object})
    rows.loc[row, column] = value
    return rows


REFUSED = {
    "missing number": (broken("a", 6, ""), ADJUST, r"'a' is missing in line 8 \(group 'g \d'\);"),
    "missing level": (
        broken("kind", 6, "n/a"),
        ADJUST,
        r"'kind' is missing in line 8 \(group 'g \d'\);",
    ),
    "twice": (
        broken("a", 6, "").assign(b=lambda rows: rows["a"]),
        ADJUST,
        r"'a' is missing in line 8",
    ),
    "constant": (frame().assign(a=1.5), ADJUST, "'a' is the same in all rows"),
    "one level": (frame().assign(kind="low"), ADJUST, "'kind' is the same in all rows"),
    "other marks": (
        frame().assign(a=[f"{x:.3f}".replace(".", ",") for x in frame()["a"]]),
        ADJUST,
        "--decimal ','",
    ),
    "of the group": (frame(), ["of_group"], "name it with --by, not with --adjust"),
    "no column": (frame(), ["z"], "there is no column 'z'"),
    "the outcome": (frame().assign(a=lambda rows: 2 * rows["y"]), ["a"], "without any rest"),
    "twins": (frame().assign(b=lambda rows: 2 * rows["a"]), ADJUST, "'b' follows from"),
    "names": (
        frame().assign(kind=[f"row {k}" for k in range(sum(SIZES))]),
        ADJUST,
        "'kind' is text of 154 kinds, about as many as there are rows",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_readers_refuse_the_same_in_the_same_words(tmp_path: Path, case: str) -> None:
    rows, adjust, message = REFUSED[case]
    path = written(rows, tmp_path, "csv")
    for data in both(path):
        with pytest.raises(InputError, match=message):
            with_covariates(data, [], adjust)


def test_missing_values_of_typed_columns_are_named_by_row(tmp_path: Path) -> None:
    path = written(
        frame().assign(a=lambda rows: rows["a"].where(rows.index != 6)), tmp_path, "parquet"
    )
    for data in both(path):
        with pytest.raises(InputError, match=r"'a' is missing in row 7 \(group 'g \d'\);"):
            with_covariates(data, [], ADJUST)


def test_truth_values_are_levels(tmp_path: Path) -> None:
    path = written(frame().assign(b=lambda rows: rows["b"] > 2), tmp_path, "parquet")
    one, other = (with_covariates(data, [], ["b"]) for data in both(path))
    assert one.stats.covariates.levels == {"b": ("false", "true")}
    assert_alike(one, other)


def test_changed_files_and_too_many_sums_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(frame(), tmp_path, "csv")
    data = both(path)[1]
    frame().iloc[1:].to_csv(path, index=False)
    with pytest.raises(InputError, match="not those that were read before"):
        with_covariates(data, [], ["a"])
    monkeypatch.setattr(products, "_MOST_SUMS", 10)
    with pytest.raises(InputError, match="7 groups with 4 columns of covariates are too many"):
        with_covariates(data, [], ADJUST)
