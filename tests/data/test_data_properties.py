"""The readers of data files under any input: never a crash, never a changed value, one verdict.

`data.read_csv` reads small files of observations, `scan.scan_statistics` large ones; what one of
them accepts the other must, with the same groups and the same statistics. `table.read_table` reads
files with one row a group; what it accepts a few lines with the csv module must, and no more.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from partialpool.data import engine, read_csv, reading, scan
from partialpool.data.reading import Columns
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
few = settings(quick, max_examples=30)

_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", ".", "-", "\u2013", "\u2014"}
CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "a", "a ", "b", "NA", "nan", "None", ".", "1", "001", "+1", "-1.5", "1.", ".5"]
        + ["1e5", "1E-3", "1e400", "1e-400", "inf", "-Infinity", "1_000", "1,5", "1 000", "0x10"]
        + [
            '"',
            '""',
            '"a"',
            "'",
            "x;y",
            "\t",
            "\xa0",
            "\xa01",
            "\u22121",
            "1.200",
            "1,234.5",
            "\u2028",
            "\u00b2",
            "\u0661",
            "é",
        ]
        + ["\ufeff", "1\n2", "a\r\nb", "\ra", "1\r", "<b>", "=1+1", "1d", "1f", "1e", "--1", "NaN "]
        + ["null", "\u22121", "1.200", "1,234.5", "-", "\u2014"]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=5),
)
MARKED = st.from_regex(
    r"(%|kg|\u20ac)? ?[-+\u2212]?[0-9]{1,3}([.,' \xa0\u2019][0-9]{2,3}){0,3}([.,][0-9]{0,2})?"
    r"(e[-\u2212]?1)?[ \xa0]?(%|kg)?",
    fullmatch=True,
)
LABELS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
).filter(lambda text: text.strip() == text != "")
VALUES = st.floats(min_value=-1e100, max_value=1e100)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with (
        tempfile.TemporaryDirectory() as place,
        engine.open_engine(1) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        for module in (scan, reading):  # to start it once
            patch.setattr(module, "open_engine", lambda *_threads: nullcontext(opened))
        yield Path(place)


def small(path: Path, **how: object) -> GroupStats | str:
    """Return the statistics that the small reader finds, or what it refuses the file with."""
    try:
        read = read_csv(path, **how)
    except InputError as error:
        return str(error)
    assert np.isfinite(read.y).all()
    assert len(read.y) == len(read.group) == read.stats.N
    assert len(set(read.labels)) == read.stats.J
    return read.stats


def large(path: Path, **how: object) -> GroupStats | str:
    """Return the same of the reader of large files."""
    try:
        return scan.scan_statistics(path, threads=1, **how).stats
    except InputError as error:
        return str(error)


def assert_alike(path: Path, **how: object) -> None:
    one, two = small(path, **how), large(path, **how)
    if isinstance(one, str) or isinstance(two, str):
        assert isinstance(one, str), f"only the large reader refuses: {two}"
        assert isinstance(two, str), f"only the small reader refuses: {one}"
        return
    order = [two.labels.index(label) for label in one.labels]
    assert sorted(one.labels) == sorted(two.labels)
    np.testing.assert_array_equal(one.n, two.n[order])
    scale = np.abs(one.mean).max()
    np.testing.assert_allclose(two.mean[order], one.mean, rtol=1e-12, atol=1e-15 * scale)
    np.testing.assert_allclose(two.ss[order], one.ss, rtol=1e-9, atol=1e-24 * scale**2)


# --- any bytes, any cells -----------------------------------------------------------------------


@given(raw=st.binary(max_size=60), header=st.sampled_from([b"", b"g,y\n", b"\xef\xbb\xbfg,y\r\n"]))
@example(raw=b"a,1\nb,2", header=b"g,y\n")
@example(raw=b"a,1\rb,2\r", header=b"g,y\r")
@quick
def test_no_bytes_crash_either_reader(folder: Path, raw: bytes, header: bytes) -> None:
    path = folder / "any.csv"
    path.write_bytes(header + raw)
    assert_alike(path)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6),
    quoted=st.booleans(),
    drop=st.booleans(),
    decimal=st.sampled_from([".", ","]),
)
@example(rows=[["a", "\xa01"], ["b", "2"]], quoted=False, drop=False, decimal=".")
@example(rows=[["a", "1e-400"], ["b", "2"]], quoted=False, drop=False, decimal=".")
@example(rows=[["a", "1\r"], ["b", "2\rc;3"], ["\rd", "4"]], quoted=False, drop=False, decimal=".")
@example(rows=[["a\rb", "1\r"], ["c", "2"]], quoted=True, drop=False, decimal=".")
@example(rows=[["a\0", "1"], ["b", "2"]], quoted=False, drop=False, decimal=".")
@settings(quick, max_examples=60)
def test_odd_cells_get_one_verdict(
    folder: Path, rows: list[list[str]], quoted: bool, drop: bool, decimal: str
) -> None:
    path = folder / "cells.csv"
    text = io.StringIO()
    if quoted:
        csv.writer(text, delimiter=";").writerows([["g", "y"], *rows])
    else:
        text.write("".join(f"{label};{value}\n" for label, value in [("g", "y"), *rows]))
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        assume(False)
    assert_alike(path, delimiter=";", decimal=decimal, drop_missing=drop)


@given(
    values=st.lists(CELLS | MARKED, min_size=1, max_size=6),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", ".", ",", " ", "'"]),
    unit=st.sampled_from(["", "%", "kg"]),
    missing=st.sampled_from([[], ["1", "x;y"], ["-1.5", "1,5"]]),
    drop=st.booleans(),
)
@example(values=["5 %", "1"], decimal=".", thousands="", unit="%", missing=[], drop=False)
@example(values=["1\xa0234,5", "7"], decimal=",", thousands=" ", unit="", missing=[], drop=False)
@example(values=["1", "2"], decimal=".", thousands="", unit="", missing=["1"], drop=True)
@example(values=["1,5"], decimal=",", thousands="", unit="", missing=["1,5"], drop=False)
@example(values=["5 %", "2"], decimal=".", thousands="", unit="%", missing=["5 %"], drop=True)
@example(values=["1.000", "1"], decimal=",", thousands=".", unit="", missing=["1.000"], drop=True)
@settings(quick, max_examples=150)
def test_marks_and_units_get_one_verdict(
    folder: Path,
    values: list[str],
    decimal: str,
    thousands: str,
    unit: str,
    missing: list[str],
    drop: bool,
) -> None:
    assume(decimal != thousands)
    path = folder / "marks.csv"
    text = io.StringIO()
    rows = [[f"{'ab'[k % 2]}", value] for k, value in enumerate(values)]
    csv.writer(text, delimiter=";").writerows([["g", "y"], *rows])
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        assume(False)
    marks = {"decimal": decimal, "thousands": thousands or None, "unit": unit}
    assert_alike(path, delimiter=";", drop_missing=drop, missing=missing, **marks)


# --- what is accepted comes out as it went in ---------------------------------------------------


def _written(folder: Path, rows: list[tuple[str, str]], newline: str) -> Path:
    path = folder / "written.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(
            [("g", "y"), *rows]
        )
    return path


@given(
    rows=st.lists(st.tuples(LABELS, VALUES), min_size=1, max_size=20),
    newline=st.sampled_from(["\n", "\r\n"]),
)
@few
def test_labels_and_values_survive_the_file(
    folder: Path, rows: list[tuple[str, float]], newline: str
) -> None:
    path = _written(folder, [(label, repr(value)) for label, value in rows], newline)
    read = read_csv(path)
    assert [read.labels[j] for j in read.group] == [label for label, _ in rows]
    assert [value.hex() for value in read.y] == [float(value).hex() for _, value in rows]
    assert_alike(path)


@given(
    sign=st.sampled_from(["", "-", "+"]),
    whole=st.text("0123456789", max_size=25),
    part=st.text("0123456789", max_size=25),
    exponent=st.one_of(st.none(), st.integers(-330, 100)),
)
@quick
def test_a_number_is_read_as_the_nearest_double(
    folder: Path, sign: str, whole: str, part: str, exponent: int | None
) -> None:
    assume(whole or part)
    text = f"{sign}{whole}.{part}" + ("" if exponent is None else f"e{exponent}")
    exact = Fraction(Decimal(text))
    assume(abs(exact) < 10**120)
    found = read_csv(_written(folder, [("a", text), ("b", "1")], "\n")).y[0]
    nearest = exact.numerator / exact.denominator
    assert found == nearest
    assert math.copysign(1, found) == (-1 if sign == "-" else 1)


@given(rows=st.lists(st.tuples(LABELS, VALUES), min_size=2, max_size=30))
@few
def test_statistics_do_not_depend_on_the_order_of_rows(
    folder: Path, rows: list[tuple[str, float]]
) -> None:
    text = [(label, repr(value)) for label, value in rows]
    data = read_csv(_written(folder, text, "\n"))
    first = data.stats
    second = read_csv(_written(folder, text[::-1], "\n")).stats
    order = [second.labels.index(label) for label in first.labels]
    np.testing.assert_array_equal(first.n, second.n[order])
    size = np.ones(first.J)  # values that cancel leave a mean with the rounding of the values
    np.maximum.at(size, data.group, np.abs(data.y))
    np.testing.assert_allclose(first.mean / size, second.mean[order] / size, rtol=0, atol=1e-14)


# --- files with one row a group -----------------------------------------------------------------


Found = dict[str, tuple[float, float]]
ROLES = Columns(group="g", estimate="y", se="s")
ERRORS = st.floats(min_value=1e-100, max_value=1e100)


def estimates(path: Path, **how: object) -> Found | str:
    """Return the estimates that the reader finds, or what it refuses the file with."""
    try:
        stats = reading.read(path, columns=ROLES, **how).stats
    except InputError as error:
        return str(error)
    assert len(set(stats.labels)) == stats.J
    return dict(zip(stats.labels, zip(stats.estimate, stats.se, strict=True), strict=True))


def by_hand(path: Path, *, delimiter: str, decimal: str, drop_missing: bool) -> Found | None:
    """Return the estimates of a file, read in the plainest way; None where it should be refused."""

    def number(text: str) -> float:
        text = text.strip(" \t\n\r\v\f\xa0\u2007\u2009\u202f").replace("\u2212", "-")
        if text.lower() in _MISSING:
            return math.nan
        if decimal == ",":
            text = text.replace(".", "?").replace(",", ".")
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.ASCII | re.IGNORECASE):
            return math.inf
        return float(text)

    found: Found = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            rows = list(csv.reader(file, delimiter=delimiter, strict=True))[1:]
        except csv.Error:
            return None
    for row in rows:
        if not any(cell.strip() for cell in row) and (len(row) < 2 or not drop_missing):
            if len(row) > 1:
                return None
            continue
        if len(row) < 3 or any(cell.strip() for cell in row[3:]) or "\0" in "".join(row):
            return None
        label, (y, s) = row[0].strip(), map(number, row[1:3])
        if math.isinf(y) or math.isinf(s):
            return None
        if math.isnan(y) or math.isnan(s):
            if drop_missing:
                continue
            return None
        if not label or label in found or s <= 0:
            return None
        found[label] = (y, s)
    return found or None


@given(
    raw=st.binary(max_size=60), header=st.sampled_from([b"", b"g,y,s\n", b"\xef\xbb\xbfg,y,s\r\n"])
)
@example(raw=b"a,1,2\nb,2,3", header=b"g,y,s\n")
@example(raw=b"a,1,2\r\nb,2,3\n", header=b"g,y,s\n")
@example(raw=b"a,1,2\n \nb,2,3\n", header=b"g,y,s\n")
@example(raw=b"a,1,2\rb,2,3\r", header=b"g,y,s\r")
@example(raw=b"ARROW1", header=b"")
@example(raw=b"PAR1", header=b"")
@quick
def test_no_bytes_crash_the_reader_of_tables(folder: Path, raw: bytes, header: bytes) -> None:
    path = folder / "any.csv"
    path.write_bytes(header + raw)
    said = estimates(path)
    by_name = ("cannot be read as Feather", "cannot be read as Parquet")
    assert "cannot be read" not in said or any(each in said for each in by_name), said


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6),
    good=st.integers(0, 3),
    quoted=st.booleans(),
    drop=st.booleans(),
    decimal=st.sampled_from([".", ","]),
)
@example(rows=[["a", "1", "1e-400"]], good=1, quoted=False, drop=False, decimal=".")
@example(rows=[["a", "1", "1e-310"]], good=1, quoted=False, drop=False, decimal=".")
@example(rows=[["", "", ""]], good=1, quoted=False, drop=True, decimal=".")
@example(rows=[["a", "", "2"], ["a", "1", "2"]], good=1, quoted=False, drop=True, decimal=".")
@example(rows=[["\0", "", ""]], good=1, quoted=False, drop=True, decimal=".")
@example(
    rows=[["a", "1\r", "2"], ["b", "2\rc;3", "4"]], good=0, quoted=False, drop=False, decimal="."
)
@settings(quick, max_examples=100)
def test_odd_cells_of_tables_are_read_as_by_hand(
    folder: Path, rows: list[list[str]], good: int, quoted: bool, drop: bool, decimal: str
) -> None:
    path = folder / "cells.csv"
    rows = [*([f"good {k}", f"{k}", "1"] for k in range(good)), *rows]
    text = io.StringIO()
    if quoted:
        csv.writer(text, delimiter=";").writerows([["g", "y", "s"], *rows])
    else:
        text.write("".join(";".join(row) + "\n" for row in [["g", "y", "s"], *rows]))
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        assume(False)
    how = {"delimiter": ";", "decimal": decimal, "drop_missing": drop}
    found, expected = estimates(path, **how), by_hand(path, **how)
    if isinstance(found, str) and "overflow" in found:
        return
    assert found == expected or (isinstance(found, str) and expected is None), (found, expected)


@given(
    rows=st.dictionaries(LABELS, st.tuples(VALUES, ERRORS), min_size=1, max_size=20),
    kind=st.sampled_from(["csv", "parquet"]),
)
@few
def test_estimates_survive_the_file(
    folder: Path, rows: dict[str, tuple[float, float]], kind: str
) -> None:
    path = folder / f"written.{kind}"
    frame = pd.DataFrame([(label, y, s) for label, (y, s) in rows.items()], columns=list("gys"))
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        path.write_bytes(frame.to_csv(index=False, quoting=csv.QUOTE_ALL).encode())
    found = estimates(path)
    assert found == rows
    path.unlink()


@given(
    rows=st.dictionaries(LABELS, st.tuples(VALUES, ERRORS), min_size=2, max_size=20),
    parts=st.integers(1, 3),
)
@few
def test_estimates_do_not_depend_on_the_order_of_rows_or_files(
    folder: Path, rows: dict[str, tuple[float, float]], parts: int
) -> None:
    for old in folder.glob("part-*"):
        old.unlink()
    turned = [(label, y, s) for label, (y, s) in rows.items()][::-1]
    for k in range(parts):
        frame = pd.DataFrame(turned[k::parts], columns=list("gys"))
        frame.to_csv(folder / f"part-{k}.csv", index=False, quoting=csv.QUOTE_ALL)
    assert estimates(folder / "part-*.csv") == rows
