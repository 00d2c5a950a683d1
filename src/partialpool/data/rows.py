"""Rows of a data file: what a row and its fields may hold, in the same words for every reader.

Labels of groups stay text as written: `001` and `1` are two groups, `NA` is a label.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from partialpool.data.files import listed, within
from partialpool.errors import InputError
from partialpool.text import NUMBER

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
"""Spellings of a missing outcome, compared in lower case and without blanks around them."""

BLANKS = " \t\n\r\v\f"
"""What may stand around a number; a no-break space, say, is not among them."""

SHOWN = 10
"""Most wrong values that a message quotes."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


# --- from bytes to rows -------------------------------------------------------------------------


def check_text(path: Path) -> None:
    """Refuse bytes that are no UTF-8 text, with their offset.

    Raises
    ------
    InputError
        Where there are such bytes.
    """
    with _opened(path, "rb") as file:
        _check_bytes(file, path)


@contextmanager
def _opened(path: Path, mode: str, **how: Any) -> Iterator[Any]:
    """Open a file, compressed or not, and say in words why it cannot be read."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, mode, **how) as file:
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: not compressed as its name says ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _check_bytes(file: BinaryIO, path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = pending = 0
    block = b"-"
    while block:
        block = file.read(1 << 22)
        if (nul := block.find(b"\0")) >= 0:
            raise InputError(
                f"{path}: NUL byte at offset {offset + nul}; this is no text file "
                "(or UTF-16 text: save it as UTF-8)"
            )
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            at = offset - pending + error.start
            raise InputError(
                f"{path}: not UTF-8 at byte offset {at}; save the file as UTF-8"
            ) from None
        offset += len(block)
        pending = len(decoder.getstate()[0])


def file_rows(
    path: Path, delimiter: str, *, keep_empty: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file of any length, as `numbered_rows` does, reading as it goes."""
    with _opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        try:
            yield from numbered_rows(file, path=path, delimiter=delimiter, keep_empty=keep_empty)
        except UnicodeDecodeError:
            check_text(path)
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
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, line {line}: {error}; check the quotes") from None
        if any(cell.strip() for cell in row) or (keep_empty and len(row) > 1):
            yield line, row
        elif len(row) > 1:
            raise InputError(f"{path}, line {line}: a row of empty fields; remove it")
        line = reader.line_num + 1


def csv_rows(
    paths: Sequence[Path],
    header: Sequence[str],
    names: Sequence[str],
    *,
    delimiter: str,
    keep_empty: bool,
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the place of each row below the headers of CSV files, and what stands in some columns.

    Raises
    ------
    InputError
        A file is no UTF-8 text, quotes do not match, or a row has not the fields of the header.
    """
    at = [header.index(name) for name in names]
    for path in paths:
        check_text(path)
        numbered = file_rows(path, delimiter, keep_empty=keep_empty)
        next(numbered)
        for line, row in numbered:
            check_width(row, len(header), path, line)
            yield f"{path}, line {line}", tuple(row[k] for k in at)


# --- columns ------------------------------------------------------------------------------------


def check_marks(delimiter: str, decimal: str) -> None:
    """Refuse a delimiter and a mark before decimals that cannot be told apart, or are no marks."""
    if len(delimiter) != 1 or decimal not in {".", ","} or delimiter == decimal:
        raise InputError(
            f"delimiter {delimiter!r} and decimal {decimal!r} do not work together: "
            "give one character each, decimal '.' or ',', different from the delimiter"
        )


def take_header(numbered: Iterator[tuple[int, list[str]]], path: Path) -> list[str]:
    """Take the first row of a file: the names of its columns."""
    for _, row in numbered:
        return [name.strip() for name in row]
    raise InputError(f"{path}: the file is empty; a header line and rows are needed")


def check_header(header: Sequence[str], *, path: Path, delimiter: str) -> None:
    """Refuse a header that was not taken apart, or in which a name occurs twice.

    Raises
    ------
    InputError
        With the option that takes it apart, or the columns that there are.
    """
    if len(header) == 1:
        for other, option in ((";", "';'"), ("\t", "$'\\t'"), ("|", "'|'")):
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
    """Refuse a row that has more or fewer fields than the header."""
    if len(row) == width:
        return
    hint = ""
    if len(row) > width and _DECIMAL_COMMA.fullmatch(",".join(row[-2:])):
        hint = " (decimal commas need another delimiter, for example --delimiter ';')"
    raise InputError(f"{path}, line {line}: {len(row)} fields where the header has {width}{hint}")


# --- values -------------------------------------------------------------------------------------


def read_number(text: str, decimal: str) -> float | None:
    """Finite number that a field holds, NaN where it is missing; None where it is neither."""
    text = text.strip(BLANKS)
    if decimal == "," and "." not in text:
        text = text.replace(",", ".")
    if text.lower() in MISSING:
        return math.nan
    if NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return None


def is_decimal_comma(text: str) -> bool:
    """Whether a field would be a number if commas stood before decimals."""
    return _DECIMAL_COMMA.fullmatch(text.strip()) is not None


def wrong_values(
    where: str,
    column: str,
    first: Sequence[str],
    *,
    count: int,
    total: int,
    missing: bool,
    commas: bool = False,
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
    missing, commas
        Whether any of them is a missing value or has a decimal comma.
    """
    more = f"; and {count - SHOWN} more" if count > SHOWN else ""
    hints = []
    if missing:
        hints.append(". --drop-missing leaves out rows whose outcome is missing")
    if commas:
        hints.append(". --decimal ',' reads decimal commas")
    return InputError(
        f"{where}: {count} of {total} values of {column!r} are no finite numbers: "
        f"{'; '.join(first[:SHOWN])}{more}{''.join(hints)}"
    )


def checked_observations(
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    paths: Sequence[Path],
    value: str,
    decimal: str,
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
    decimal, drop_missing
        As for `partialpool.data.read_csv`.

    Raises
    ------
    InputError
        Outcomes that are no numbers, or a label that is none; no row, or none with an outcome.
    """
    where, first = listed(paths), []
    bad = good = total = 0
    missing = commas = False
    labels, of_labels = LabelCheck(), ""
    for place, (label, text) in rows:
        total += 1
        number = read_number(text, decimal)
        gap = number is not None and math.isnan(number)
        if number is None or (gap and not drop_missing):
            bad += 1
            missing |= gap
            commas |= is_decimal_comma(text)
            if bad <= SHOWN:
                first.append(f"{within(paths, place)}: {text!r}")
        elif not gap:
            good += 1
            if not of_labels and (problem := labels.problem(label)):
                of_labels = f"{place}: {problem}"
            yield label, number
    if total == 0:
        raise InputError(f"{where}: there is a header and no row below it")
    if bad:
        raise wrong_values(
            where, value, first, count=bad, total=total, missing=missing, commas=commas
        )
    if of_labels:
        raise InputError(of_labels)
    if not good:
        raise InputError(f"{where}: every value of {value!r} is missing")


# --- labels -------------------------------------------------------------------------------------


class LabelCheck:
    """Labels met so far, by their spelling without blanks around them."""

    def __init__(self) -> None:
        self._spellings: dict[str, str] = {}

    def problem(self, raw: str) -> str:
        """Say what is wrong with the label of one more row; nothing where nothing is."""
        label = raw.strip()
        if not label:
            return "the group is blank; give every row a group"
        if "\0" in label:
            return f"the group {raw!r} holds a NUL character; remove it"
        if (first := self._spellings.setdefault(label, raw)) != raw:
            return (
                f"groups {first!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )
        return ""


def strip_labels(
    labels: Sequence[str], place: Callable[[int], str], *, counts: Sequence[int] | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """Strip blanks around labels, and note that it was done.

    Parameters
    ----------
    labels
        Labels as they were written.
    place
        Gives the place of the i-th label, for messages.
    counts
        In how many rows each stands; in one if None.

    Raises
    ------
    InputError
        A blank label, or two that would become one.
    """
    clean = [raw.strip() for raw in labels]
    same = clean == list(labels)
    merged = not same and len(set(clean)) < len(set(labels))
    check = LabelCheck()
    for i, raw in enumerate(labels if merged or not all(clean) or "\0" in "".join(clean) else ()):
        if problem := check.problem(raw):
            raise InputError(f"{place(i)}: {problem}")
    if same:
        return clean, ()
    rows = counts if counts is not None else itertools.repeat(1)
    changed = sum(int(n) for n, a, b in zip(rows, labels, clean, strict=False) if a != b)
    return clean, (f"blanks around group labels removed in {changed} rows",)
