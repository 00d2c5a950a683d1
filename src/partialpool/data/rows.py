"""Rows of a data file: what a row and its fields may hold, in the same words for every reader."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from partialpool.data.files import listed, within
from partialpool.data.labels import LabelCheck
from partialpool.data.opening import EXCEL, check_text, kind_of, lines, separator, sheet_rows
from partialpool.data.spelling import BETWEEN, BLANKS, Advice, Spelling, thousands_suspected
from partialpool.errors import InputError

SHOWN = 10
"""Most wrong values that a message quotes."""

FIRST_ROWS = 10_000
"""Rows at the beginning of a file that are looked at for what the rest of it may mean."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


# --- from bytes to rows -------------------------------------------------------------------------


def file_rows(
    path: Path, spelling: Spelling, *, keep_empty: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file of any length, as `numbered_rows` does, reading as it goes."""
    if kind_of(path) == EXCEL:
        yield from _filled(sheet_rows(path, spelling), path=path, keep_empty=keep_empty)
        return
    with lines(path, spelling) as file:
        try:
            yield from numbered_rows(
                file, path=path, delimiter=spelling.delimiter, keep_empty=keep_empty
            )
        except UnicodeError:
            check_text(path, spelling)
            raise


def numbered_rows(
    text: Iterable[str], *, path: Path, delimiter: str, keep_empty: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of each row that is not blank.

    A row of empty fields is refused, or kept like any other where `keep_empty` says so.

    Parameters
    ----------
    text
        Lines with their ends, such as an open file has that leaves the ends alone.
    path
        The file that they come from, for messages.
    delimiter
        Character between fields.
    keep_empty
        Whether rows of empty fields are kept.

    Raises
    ------
    InputError
        Quotes that do not match, or a row of empty fields; with the line.
    """
    numbered = _parsed(text, path=path, delimiter=delimiter)
    yield from _filled(numbered, path=path, keep_empty=keep_empty)


def _parsed(text: Iterable[str], *, path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Take lines apart, but for a first one that states the delimiter."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, line {line}: {error}; check the quotes") from None
        if line > 1 or not separator(delimiter.join(row)):
            yield line, row
        line = reader.line_num + 1


def _filled(
    numbered: Iterable[tuple[int, list[str]]], *, path: Path, keep_empty: bool
) -> Iterator[tuple[int, list[str]]]:
    """Leave blank lines out, and refuse or keep rows of empty fields."""
    for line, row in numbered:
        if any(cell.strip() for cell in row) or (keep_empty and len(row) > 1):
            yield line, row
        elif len(row) > 1:
            raise InputError(f"{path}, line {line}: a row of empty fields; remove it")


def csv_rows(
    paths: Sequence[Path],
    header: Sequence[str],
    names: Sequence[str],
    *,
    spelling: Spelling,
    keep_empty: bool,
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the place of each row below the headers of files, and what stands in some columns.

    Raises
    ------
    InputError
        A file is no text, quotes do not match, or a row has not the fields of the header.
    """
    joined = spelling.joined
    columns = [name for name in header if not joined or name != spelling.joined_name]
    at = [[columns.index(n) for n in (joined if n not in columns else (n,))] for n in names]
    for path in paths:
        if kind_of(path) != EXCEL:
            check_text(path, spelling)
        numbered = file_rows(path, spelling, keep_empty=keep_empty)
        next(numbered)
        for line, row in numbered:
            check_width(row, len(columns), path, line)
            yield f"{path}, line {line}", tuple(_cell([row[k] for k in each]) for each in at)


def _cell(parts: Sequence[str]) -> str:
    """Take cells together; blank where one of them is."""
    return BETWEEN.join(parts) if len(parts) == 1 or all(map(str.strip, parts)) else ""


# --- columns ------------------------------------------------------------------------------------


def take_header(numbered: Iterator[tuple[int, list[str]]], path: Path) -> list[str]:
    """Take the first row of a file: the names of its columns, without empty ones at the end."""
    for _, row in numbered:
        names = [name.strip() for name in row]
        while len(names) > 1 and not names[-1]:
            names.pop()
        return names
    raise InputError(f"{path}: the file is empty; a header line and rows are needed")


def check_header(header: Sequence[str], *, path: Path, delimiter: str) -> None:
    """Refuse a header that was not taken apart, or in which a name occurs twice.

    Raises
    ------
    InputError
        With the option that takes it apart, or the columns that there are.
    """
    if len(header) == 1:
        for other, option in ((";", "';'"), ("\t", "'\\t'"), ("|", "'|'")):
            if other != delimiter and other in header[0]:
                raise InputError(
                    f"{path}: the header is one field, {header[0]!r}; if the fields are separated "
                    f"by {other!r}, add --delimiter {option}"
                )
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise InputError(
            f"{path}: column {repeated[0]!r} occurs twice; the columns are {quoted(header)}"
        )


def find_columns(
    header: Sequence[str], group: str | None, value: str | None, *, path: Path
) -> tuple[str, str]:
    """Names of the group and the value column.

    Raises
    ------
    InputError
        The names do not single out two columns; the message lists those that there are.
    """
    if group is None and value is None and len(header) == 2:
        return header[0], header[1]
    for role, name in (("group", group), ("value", value)):
        if name is None:
            raise InputError(
                f"{path}: name the {role} column with --{role}; the columns are {quoted(header)}"
            )
        check_column(name, header, path=path)
    if group == value:
        raise InputError(f"{path}: {group!r} cannot be both the group and the value column")
    return str(group), str(value)


def check_column(name: str, header: Sequence[str], *, path: Path) -> None:
    """Refuse the name of a column that there is not."""
    if name not in header:
        raise InputError(f"{path}: there is no column {name!r}; the columns are {quoted(header)}")


def quoted(names: Sequence[str]) -> str:
    """List names of columns for a message."""
    return ", ".join(map(repr, names))


def check_width(row: Sequence[str], width: int, path: Path, line: int) -> None:
    """Refuse a row that has fewer fields than the header, or more that are not empty."""
    if len(row) == width or (len(row) > width and not any(cell.strip() for cell in row[width:])):
        return
    hint = ""
    if len(row) > width and _DECIMAL_COMMA.fullmatch(",".join(row[-2:])):
        hint = " (decimal commas need another delimiter, for example --delimiter ';')"
    raise InputError(f"{path}, line {line}: {len(row)} fields where the header has {width}{hint}")


# --- values -------------------------------------------------------------------------------------


def wrong_values(
    where: str,
    column: str,
    first: Sequence[str],
    *,
    count: int,
    total: int,
    missing: bool,
    advice: str = "",
) -> InputError:
    """Say which values are no finite numbers, and what reads them.

    Parameters
    ----------
    where, column
        The file and the column.
    first
        Place and content of the first of them, at least `SHOWN` where there are as many.
    count, total
        How many they are, of how many values.
    missing
        Whether any of them is a missing value.
    advice
        What reads those that are not.
    """
    more = f"; and {count - SHOWN} more" if count > SHOWN else ""
    drop = ". --drop-missing leaves out rows whose outcome is missing" if missing else ""
    return InputError(
        f"{where}: {count} of {total} values of {column!r} are no finite numbers: "
        f"{'; '.join(first[:SHOWN])}{more}{drop}{advice}"
    )


def refuse_doubtful_points(
    begin: Sequence[tuple[str, str]],
    *,
    paths: Sequence[Path],
    column: str,
    spelling: Spelling,
) -> None:
    """Refuse values whose points look like marks between thousands, where nobody said which.

    Parameters
    ----------
    begin
        Place and content of the first values of a column.
    paths, column
        The files and the column.
    spelling
        How its values are written.

    Raises
    ------
    InputError
        With the rows, and the options that say what the points are.
    """
    if spelling.certain:
        return
    found = thousands_suspected(
        [spelling.bare(text.strip(BLANKS)) if spelling.unit else text for _, text in begin]
    )
    if not found:
        return
    first = [begin[at] for at in found[:SHOWN]]
    shown = [f"{within(paths, place)}: {text!r}" for place, text in first]
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise InputError(
        f"{listed(paths)}: points in {column!r} seem to stand between thousands: "
        f"{'; '.join(shown)}{more}, among whole numbers below 1000. If so, add --decimal ',' "
        "--thousands '.'; if they stand before decimals, add --decimal '.'"
    )


def checked_observations(
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    paths: Sequence[Path],
    value: str,
    spelling: Spelling,
    drop_missing: bool,
) -> Iterator[tuple[str, float]]:
    """Yield label and outcome of each row that has one; in the end say what is wrong, if anything.

    Parameters
    ----------
    rows
        Place of each row, and its label and outcome as they are written.
    paths
        The files.
    value
        Name of the column of outcomes.
    spelling
        How the outcomes are written.
    drop_missing
        As for `partialpool.data.read_csv`.

    Raises
    ------
    InputError
        Outcomes that are no numbers, or may be two; a label that is none; no row, or none with an
        outcome.
    """
    where = listed(paths)
    shown: list[str] = []
    begin: list[tuple[str, str]] = []
    bad = good = total = 0
    missing, of_labels = False, ""
    labels, advice = LabelCheck(), Advice(spelling)
    for place, (label, text) in rows:
        total += 1
        number = spelling.number(text)
        gap = number is not None and math.isnan(number)
        if total <= FIRST_ROWS:
            begin.append((place, text))
        if number is None or (gap and not drop_missing):
            bad += 1
            missing |= gap
            if bad <= SHOWN:
                shown.append(f"{within(paths, place)}: {text!r}")
        elif not gap:
            good += 1
            if not of_labels and (problem := labels.problem(label)):
                of_labels = f"{place}: {problem}"
            yield label, number
        if not gap:
            advice.meet(text, good=number is not None)
    if total == 0:
        raise InputError(f"{where}: there is a header and no row below it")
    if bad:
        raise wrong_values(
            where, value, shown, count=bad, total=total, missing=missing, advice=advice.options
        )
    if advice.mixes_units:
        raise InputError(f"{where}: column {value!r}: {advice.mixes_units}")
    refuse_doubtful_points(begin, paths=paths, column=value, spelling=spelling)
    if of_labels:
        raise InputError(of_labels)
    if not good:
        raise InputError(f"{where}: every value of {value!r} is missing")
