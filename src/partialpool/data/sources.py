"""The two kinds of file that the engine reads: their columns as SQL, and their rows one by one."""

from __future__ import annotations

import csv
import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.data.engine import (
    Numbers,
    Source,
    UnexplainedError,
    identifier,
    literal,
    quoted_text,
)
from partialpool.data.files import are_tables
from partialpool.data.labels import LabelCheck
from partialpool.data.opening import TEXT, as_parquet, encoding_of, packing, stated_delimiter
from partialpool.data.rows import (
    FIRST_ROWS,
    SHOWN,
    check_width,
    csv_rows,
    file_rows,
    take_header,
    wrong_values,
)
from partialpool.data.spelling import UTF_8, Spelling
from partialpool.errors import InputError

if TYPE_CHECKING:
    import duckdb

_BLOCK = 10_000
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")
_FLOATS = ("FLOAT", "DOUBLE")


def open_source(
    engine: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    spelling: Spelling | None = None,
) -> Source:
    """Look at the columns of files, all of text or all of typed columns.

    Raises
    ------
    InputError
        A mixture, files of different columns, or a file without any.
    """
    kind = ParquetSource if are_tables(paths) else CsvSource
    return kind(engine, paths, spelling or Spelling())


class CsvSource(Source):
    """Files of rows of text, every column read as text.

    Those that the engine cannot take as they are, such as workbooks and other encodings, it is
    given as copies in plain CSV.
    """

    def __post_init__(self) -> None:
        header = take_header(file_rows(self.paths[0], self.spelling), self.paths[0])
        for path in self.paths[1:]:
            other = take_header(file_rows(path, self.spelling), path)
            if other != header:
                raise InputError(
                    f"{path}: its columns are {', '.join(map(repr, other))}, and those of "
                    f"{self.paths[0]} are {', '.join(map(repr, header))}"
                )
        self._width = len(header)
        self.header = self.spelling.joining(header, self.paths[0])
        self._copied = False
        files = [path if self._is_plain(path) else self._copy(path) for path in self.paths]
        self.table = self._read_csv(files)

    def _is_plain(self, path: Path) -> bool:
        """Whether the engine can take a file as it is."""
        known = TEXT if path.suffix.lower() != ".gz" else "gzip"
        if packing(path) != known or encoding_of(path, self.spelling) != UTF_8:
            return False
        if stated_delimiter(path, self.spelling):
            return False
        _, first = next(file_rows(path, self.spelling))
        return len(first) == self._width

    def _copy(self, path: Path) -> Path:
        """Write the rows of a file as plain CSV, without fields beyond the header's."""
        found = self.engine.execute("SELECT current_setting('temp_directory')").fetchone()
        handle, name = tempfile.mkstemp(suffix=".csv", dir=str((found or ("",))[0]))
        os.close(handle)
        copy = Path(name)
        with copy.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=self.spelling.delimiter, lineterminator="\n")
            for line, row in file_rows(path, self.spelling, keep_empty=True):
                check_width(row, self._width, path, line)
                writer.writerow(row[: self._width])
        return copy

    def _read_csv(self, paths: Sequence[Path]) -> str:
        names = ", ".join(f"'c{k}': 'VARCHAR'" for k in range(self._width))
        files = ", ".join(quoted_text(literal(path)) for path in paths)
        return (
            f"read_csv([{files}], auto_detect = false, header = true, "
            f"delim = {quoted_text(self.spelling.delimiter)}, quote = '\"', escape = '\"', "
            f"nullstr = '', columns = {{{names}}}, strict_mode = true)"
        )

    def label(self, name: str) -> str:
        """SQL of a column of labels."""
        return self._joined(name) or f"c{self.header.index(name)}"

    def numbers(self, name: str) -> Numbers:
        """SQL of a column of numbers, which is text so far."""
        return self._text_as_number(name, f"c{self.header.index(name)}")

    def rewrite(self) -> bool:
        """Copy files that the engine's strict mode refuses, such as those of mixed line ends."""
        if self._copied:
            return False
        self._copied = True
        self.table = self._read_csv([self._copy(path) for path in self.paths])
        return True

    def rows(
        self, names: Sequence[str], *, keep_empty: bool
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Read the files row by row, as small ones are."""
        return csv_rows(
            self.paths, self.header, names, spelling=self.spelling, keep_empty=keep_empty
        )

    def begin(self, name: str) -> list[tuple[str, str]]:
        """Read the first rows of the first file."""
        at, path = self.header.index(name), self.paths[0]
        rows = itertools.islice(file_rows(path, self.spelling, keep_empty=True), 1, FIRST_ROWS + 1)
        return [(f"{path}, line {line}", row[at]) for line, row in rows if at < len(row)]

    def explain(
        self, error: Exception | None, label: str, value: str, *, drop_missing: bool
    ) -> InputError:
        """Read the files row by row, as small ones are, and say what is wrong first."""
        problem = self._problem(label, value, drop_missing=drop_missing)
        if problem is not None:
            return problem
        said = "" if error is None else f" ({error})"
        return UnexplainedError(f"{self.where}: cannot be read{said}")


class ParquetSource(Source):
    """Files of typed columns: Parquet, or Feather, of which a Parquet file is made."""

    knows_range = True

    def __post_init__(self) -> None:
        import duckdb

        read = [as_parquet(path) for path in self.paths]
        self._names = dict(zip(map(str, read), map(str, self.paths), strict=True))
        files = ", ".join(quoted_text(literal(path)) for path in read)
        self.table = f"read_parquet([{files}], filename = true, file_row_number = true)"
        try:
            described = self.engine.execute(f"DESCRIBE SELECT * FROM {self.table}").fetchall()
        except duckdb.Error as error:
            raise InputError(f"{self.where}: cannot be read as Parquet ({error})") from None
        columns = [(name, kind) for name, kind, *_ in described[:-2]]
        columns = [column for column in columns if not _PANDAS_INDEX.fullmatch(column[0])]
        header = [name.strip() for name, _ in columns]
        self._columns = dict(zip(header, columns, strict=True))
        self.header = self.spelling.joining(header, self.paths[0])

    def label(self, name: str) -> str:
        """SQL of a column of labels; null where a number is none."""
        if joined := self._joined(name):
            return joined
        column, kind = self._columns[name]
        label = identifier(column)
        return f"CASE WHEN NOT isnan({label}) THEN {label} END" if kind in _FLOATS else label

    def numbers(self, name: str) -> Numbers:
        """SQL of a column of numbers, or of text that holds some."""
        column, kind = identifier(self._columns[name][0]), self._columns[name][1]
        if kind == "VARCHAR":
            return self._text_as_number(name, column)
        if not _NUMERIC.fullmatch(kind):
            raise InputError(f"{self.where}: column {name!r} holds {kind}; numbers are needed")
        number = f"CAST({column} AS DOUBLE)"
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        missing = f"{column} IS NULL OR isnan({number})"
        return self._without_codes(Numbers(name, column, finite, finite, number, missing))

    def rows(
        self, names: Sequence[str], *, keep_empty: bool
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Take the rows from the engine."""
        texts = ", ".join(f"coalesce({self.text(name)}, '')" for name in names)
        query = f"SELECT filename, file_row_number + 1, {texts} FROM {self.table}"
        yield from self._places(f"{query} ORDER BY filename, file_row_number")

    def begin(self, name: str) -> list[tuple[str, str]]:
        """Take the first rows of the first file."""
        if self._columns[name][1] != "VARCHAR":
            return []
        query = f"SELECT filename, file_row_number + 1, coalesce({self.text(name)}, '')"
        first = f"{query} FROM {self.table} ORDER BY filename, file_row_number LIMIT {FIRST_ROWS}"
        return [(place, text) for place, (text,) in self._places(first)]

    def _places(self, query: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Place and content of the rows that a query gives, block by block."""
        import duckdb

        try:
            found = self.engine.execute(query)
            while block := found.fetchmany(_BLOCK):
                for file, row, *cells in block:
                    yield f"{self._names.get(file, file)}, row {row}", tuple(cells)
        except duckdb.Error as error:
            raise InputError(f"{self.where}: cannot be read ({error})") from None

    def text(self, name: str) -> str:
        """SQL of a column as text, its numbers spelled as those of text are."""
        if joined := self._joined(name):
            return joined
        column, kind = self._columns[name]
        text = f"CAST({identifier(column)} AS VARCHAR)"
        if self.spelling.decimal == "," and _NUMERIC.fullmatch(kind):
            return f"replace({text}, '.', ',')"
        return text

    def explain(
        self, error: Exception | None, label: str, value: str, *, drop_missing: bool
    ) -> InputError:
        """Ask the engine for the rows that are wrong."""
        if error is not None:
            return InputError(f"{self.where}: cannot be read ({error})")
        if self._columns[value][1] == "VARCHAR":
            found = self._problem(label, value, drop_missing=drop_missing)
            return found or InputError(f"{self.where}: cannot be read")
        column = self.numbers(value)
        missing = f"({column.missing})"
        bad = f"({column.number}) IS NULL" + (f" AND NOT {missing}" if drop_missing else "")
        counts = self.engine.execute(
            f"SELECT count(*), count_if({bad}), count_if({bad} AND {missing}), "
            f"count({column.number}) FROM {self.table}"
        ).fetchone()
        total, wrong, gaps, kept = counts or (0, 0, 0, 0)
        if total == 0:
            return InputError(f"{self.where}: there is not one row")
        if wrong:
            first = [f"{place}: {shown}" for place, shown in self._rows_where(bad, column.raw)]
            return wrong_values(
                self.where, value, first, count=wrong, total=total, missing=gaps > 0
            )
        if kept == 0:
            return InputError(f"{self.where}: every value of {value!r} is missing")
        labels = LabelCheck()
        text = f"coalesce(CAST({self.label(label)} AS VARCHAR), '')"
        blank = f"trim({text}) = '' AND {column.number} IS NOT NULL"
        for place, _ in self._rows_where(blank, "0"):
            return InputError(f"{self.where}, {place}: {labels.problem('')}")
        known = self.engine.execute(
            f"SELECT DISTINCT {text} FROM {self.table} ORDER BY 1"
        ).fetchall()
        for (each,) in known:
            if problem := labels.problem(each):
                return InputError(f"{self.where}: {problem}")
        return InputError(f"{self.where}: cannot be read")

    def _rows_where(self, condition: str, shown: str) -> list[tuple[str, Any]]:
        """Place and content of the first rows that meet a condition."""
        rows = self.engine.execute(
            f"SELECT parse_filename(filename), file_row_number + 1, {shown} FROM {self.table} "
            f"WHERE {condition} ORDER BY filename, file_row_number LIMIT {SHOWN}"
        ).fetchall()
        within = "{}, row {}" if len(self.paths) > 1 else "row {1}"
        return [(within.format(file, row), value) for file, row, value in rows]
