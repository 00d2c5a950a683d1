"""The two kinds of file that can be scanned: their columns as SQL, and what is wrong with them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.data.rows import (
    BLANKS,
    MISSING,
    SHOWN,
    LabelCheck,
    check_marks,
    check_text,
    check_width,
    file_rows,
    find_columns,
    is_decimal_comma,
    read_number,
    take_header,
    wrong_values,
)
from partialpool.errors import InputError

if TYPE_CHECKING:
    import duckdb

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


class UnexplainedError(InputError):
    """The engine refuses a file with which nothing is wrong by the checks of small files."""


@dataclass
class Source:
    """What both kinds of file need: columns found, and SQL for label, number and raw text."""

    engine: duckdb.DuckDBPyConnection
    paths: Sequence[Path]
    group: str | None
    value: str | None
    delimiter: str
    decimal: str
    drop_missing: bool
    columns: tuple[str, str] = field(init=False)
    """Names of the group and the value column."""
    table: str = field(init=False)
    """SQL of the rows."""
    label: str = field(init=False)
    """SQL of a row's label, untouched."""
    number: str = field(init=False)
    """SQL of a row's outcome; null where it is no finite number."""
    unchecked: str = field(init=False)
    """The same, faster; where it is not finite, sums show it."""
    missing: str = field(init=False)
    """SQL that tells whether an outcome without a number is missing, rather than wrong."""

    def __post_init__(self) -> None:
        """Find the columns and write the SQL."""
        raise NotImplementedError

    @property
    def where(self) -> str:
        """Name of the file or files, for messages."""
        return listed(self.paths)

    def explain(self, error: Exception | None) -> InputError:
        """Say what is wrong in words, when the engine has found that something is."""
        raise NotImplementedError

    def relax(self) -> bool:
        """Have the engine read less strictly from now on; False where it does or cannot."""
        return False

    def count_missing(self) -> int:
        """Count the rows whose outcome is missing."""
        found = self.engine.execute(
            f"SELECT count(*) FROM {self.table} WHERE {self.number} IS NULL AND ({self.missing})"
        ).fetchone()
        return int(found[0]) if found else 0

    def _text_as_number(self, column: str) -> None:
        """Set `number` and `missing` for a column of text, read as `data.read_csv` reads it.

        The cast ignores blanks around a number (a trim costs more than all the rest), and takes
        what a data file should not hold: 1_000, inf, nan.
        """
        text = column
        if self.decimal == ",":
            text = f"CASE WHEN contains({text}, '.') THEN {text} ELSE replace({text}, ',', '.') END"
        number = f"TRY_CAST({text} AS DOUBLE)"
        self.number = (
            f"CASE WHEN isfinite({number}) AND NOT contains({column}, '_') THEN {number} END"
        )
        self.unchecked = self.number
        spellings = ", ".join(_quoted(word) for word in sorted(MISSING))
        self.missing = (
            f"{column} IS NULL OR lower(trim({text}, {_quoted(BLANKS)})) IN ({spellings})"
        )


class CsvSource(Source):
    """CSV files, every column read as text."""

    def __post_init__(self) -> None:
        check_marks(self.delimiter, self.decimal)
        header = take_header(file_rows(self.paths[0], self.delimiter), self.paths[0])
        for path in self.paths[1:]:
            other = take_header(file_rows(path, self.delimiter), path)
            if other != header:
                raise InputError(
                    f"{path}: its columns are {', '.join(map(repr, other))}, and those of "
                    f"{self.paths[0]} are {', '.join(map(repr, header))}"
                )
        self._header = header
        self._at = find_columns(
            list(header), self.group, self.value, path=self.paths[0], delimiter=self.delimiter
        )
        self.columns = (header[self._at[0]], header[self._at[1]])
        self.table = self._read_csv("strict_mode = true")
        self.label = f"c{self._at[0]}"
        self._text_as_number(f"c{self._at[1]}")

    def _read_csv(self, mode: str) -> str:
        names = ", ".join(f"'c{k}': 'VARCHAR'" for k in range(len(self._header)))
        files = ", ".join(_quoted(_literal(path)) for path in self.paths)
        return (
            f"read_csv([{files}], auto_detect = false, header = true, "
            f"delim = {_quoted(self.delimiter)}, quote = '\"', escape = '\"', nullstr = '', "
            f"columns = {{{names}}}, {mode})"
        )

    def relax(self) -> bool:
        """Take files whose line ends are mixed, which the engine's strict mode refuses."""
        strict = self.table
        self.table = self._read_csv("strict_mode = false, new_line = '\\n'")
        return self.table != strict

    def explain(self, error: Exception | None) -> InputError:
        """Read the files row by row, as small ones are, and say what is wrong first."""
        first: list[str] = []
        bad = total = 0
        missing = commas = False
        labels, of_labels = LabelCheck(), ""
        for path in self.paths:
            check_text(path)
            rows = file_rows(path, self.delimiter, keep_empty=self.drop_missing)
            next(rows)
            for line, row in rows:
                check_width(row, len(self._header), path, line)
                total += 1
                label, text = row[self._at[0]], row[self._at[1]]
                number = read_number(text, self.decimal)
                gap = number is not None and math.isnan(number)
                if number is None or (gap and not self.drop_missing):
                    bad += 1
                    missing |= gap
                    commas |= is_decimal_comma(text)
                    if bad <= SHOWN:
                        first.append(f"{_place(self.paths, path.name)}line {line}: {text!r}")
                elif not gap and not of_labels and (problem := labels.problem(label)):
                    of_labels = f"{path}, line {line}: {problem}"
        if total == 0:
            return InputError(f"{self.where}: there is a header and no row below it")
        if bad:
            return wrong_values(
                self.where,
                self.columns[1],
                first,
                count=bad,
                total=total,
                missing=missing,
                commas=commas,
            )
        if of_labels:
            return InputError(of_labels)
        if error is None:
            return InputError(f"{self.where}: every value of {self.columns[1]!r} is missing")
        return UnexplainedError(f"{self.where}: cannot be read ({error})")


class ParquetSource(Source):
    """Parquet files."""

    def __post_init__(self) -> None:
        import duckdb

        files = ", ".join(_quoted(_literal(path)) for path in self.paths)
        self.table = f"read_parquet([{files}], filename = true, file_row_number = true)"
        try:
            described = self.engine.execute(f"DESCRIBE SELECT * FROM {self.table}").fetchall()
        except duckdb.Error as error:
            raise InputError(f"{self.where}: cannot be read as Parquet ({error})") from None
        types = {
            name: kind for name, kind, *_ in described[:-2] if not _PANDAS_INDEX.fullmatch(name)
        }
        at = find_columns(list(types), self.group, self.value, path=self.paths[0], delimiter=",")
        self.columns = (list(types)[at[0]], list(types)[at[1]])
        self.label, column = (_identifier(name) for name in self.columns)
        kind = types[self.columns[1]]
        if kind == "VARCHAR":
            self._text_as_number(column)
        elif _NUMERIC.fullmatch(kind):
            number = f"CAST({column} AS DOUBLE)"
            self.number = f"CASE WHEN isfinite({number}) THEN {number} END"
            self.unchecked = number
            self.missing = f"{column} IS NULL OR isnan({number})"
        else:
            raise InputError(
                f"{self.where}: column {self.columns[1]!r} holds {kind}; numbers are needed"
            )
        self._value = column

    def explain(self, error: Exception | None) -> InputError:
        """Ask the engine for the rows that are wrong."""
        if error is not None:
            return InputError(f"{self.where}: cannot be read ({error})")
        missing = f"({self.missing})"
        bad = f"({self.number}) IS NULL" + (f" AND NOT {missing}" if self.drop_missing else "")
        counts = self.engine.execute(
            f"SELECT count(*), count_if({bad}), count_if({bad} AND {missing}), "
            f"count({self.number}) FROM {self.table}"
        ).fetchone()
        total, wrong, gaps, kept = counts or (0, 0, 0, 0)
        if total == 0:
            return InputError(f"{self.where}: there is not one row")
        if wrong:
            first = [f"{place}: {value}" for place, value in self._rows_where(bad, self._value)]
            return wrong_values(
                self.where, self.columns[1], first, count=wrong, total=total, missing=gaps > 0
            )
        if kept == 0:
            return InputError(f"{self.where}: every value of {self.columns[1]!r} is missing")
        labels = LabelCheck()
        text = f"coalesce(CAST({self.label} AS VARCHAR), '')"
        for place, _ in self._rows_where(f"trim({text}) = '' AND {self.number} IS NOT NULL", "0"):
            return InputError(f"{self.where}, {place}: {labels.problem('')}")
        found = self.engine.execute(
            f"SELECT DISTINCT {text} FROM {self.table} ORDER BY 1"
        ).fetchall()
        for (label,) in found:
            if problem := labels.problem(label):
                return InputError(f"{self.where}: {problem}")
        return InputError(f"{self.where}: cannot be read")

    def _rows_where(self, condition: str, shown: str) -> list[tuple[str, Any]]:
        """Place and content of the first rows that meet a condition."""
        rows = self.engine.execute(
            f"SELECT parse_filename(filename), file_row_number + 1, {shown} FROM {self.table} "
            f"WHERE {condition} ORDER BY filename, file_row_number LIMIT {SHOWN}"
        ).fetchall()
        return [(f"{_place(self.paths, file)}row {row}", value) for file, row, value in rows]


def listed(paths: Sequence[Path]) -> str:
    """Name one file, or the first and how many more there are."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _place(paths: Sequence[Path], name: str) -> str:
    return f"{name}, " if len(paths) > 1 else ""


def _quoted(text: str) -> str:
    """SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    """SQL name of a column."""
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    """Path for the engine, which would read a bracket, star or question mark as a pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", str(path))
