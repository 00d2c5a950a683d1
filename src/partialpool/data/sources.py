"""The two kinds of file that the engine reads: their columns as SQL, and their rows one by one."""

from __future__ import annotations

import csv
import itertools
import math
import re
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.data.files import are_tables, listed
from partialpool.data.labels import LabelCheck
from partialpool.data.opening import TEXT, as_parquet, encoding_of, packing, stated_delimiter
from partialpool.data.rows import (
    FIRST_ROWS,
    SHOWN,
    check_width,
    checked_observations,
    csv_rows,
    file_rows,
    take_header,
    wrong_values,
)
from partialpool.data.spelling import BLANKS, MINUS, MISSING, UTF_8, Spelling
from partialpool.errors import InputError
from partialpool.types import FloatArray

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"
"""What the engine may hold in memory before it goes on in a temporary folder."""

REWRITTEN = "line ends are mixed or rows have empty fields at their ends, which slows reading"
"""Note on files that are read after `Source.rewrite`."""

_TABLE_BITS = 20  # whole numbers of a range below 2^20 index the groups directly, twice as fast
_BLOCK = 10_000
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_FLOATS = ("FLOAT", "DOUBLE")
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


class UnexplainedError(InputError):
    """The engine refuses a file with which nothing is wrong by the checks of small files."""


@dataclass(frozen=True)
class Numbers:
    """SQL of a column of numbers.

    Attributes
    ----------
    name
        The column's name.
    raw
        What stands in the file.
    number
        The number; null where it is no finite number.
    unchecked
        The same, faster; where it is not finite, sums show it.
    missing
        Whether what is no number is missing, rather than wrong.
    """

    name: str
    raw: str
    number: str
    unchecked: str
    missing: str


@contextmanager
def open_engine(threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB in memory that spills to a temporary folder and stays off the network."""
    try:
        import duckdb
    except ImportError:
        raise InputError(
            "reading large files needs DuckDB, which is not installed: pip install duckdb"
        ) from None
    with tempfile.TemporaryDirectory(prefix="partialpool-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": folder,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                **({"threads": threads} if threads else {}),
            }
        )
        try:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(f"SET perfect_ht_threshold = {_TABLE_BITS}")
            yield connection
        finally:
            connection.close()


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


@dataclass
class Source(ABC):
    """What both kinds of file offer: names of columns, SQL of what they hold, and rows."""

    engine: duckdb.DuckDBPyConnection
    paths: Sequence[Path]
    spelling: Spelling
    header: list[str] = field(init=False)
    """Names of the columns."""
    table: str = field(init=False)
    """SQL of the rows."""

    @abstractmethod
    def __post_init__(self) -> None:
        """Find the columns."""

    @property
    def where(self) -> str:
        """Name of the file or files, for messages."""
        return listed(self.paths)

    @abstractmethod
    def label(self, name: str) -> str:
        """SQL of what stands in a column of labels."""

    @abstractmethod
    def numbers(self, name: str) -> Numbers:
        """SQL of a column of numbers.

        Raises
        ------
        InputError
            It holds values of another kind.
        """

    @abstractmethod
    def rows(
        self, names: Sequence[str], *, keep_empty: bool
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the place of each row and what stands in some columns, as text.

        Parameters
        ----------
        names
            The columns.
        keep_empty
            Whether rows of empty fields are kept.

        Raises
        ------
        InputError
            The file is no text, or a row has not the fields of the header; with the place.
        """

    @abstractmethod
    def explain(
        self, error: Exception | None, label: str, value: str, *, drop_missing: bool
    ) -> InputError:
        """Say in words what is wrong with observations, when the engine has found that there is.

        Parameters
        ----------
        error
            What the engine said; None where its numbers showed it.
        label, value
            Names of the columns.
        drop_missing
            Whether missing outcomes are no fault.
        """

    @abstractmethod
    def begin(self, name: str) -> list[tuple[str, str]]:
        """Place and content of the first values of a column of text; none of another."""

    def rewrite(self) -> bool:
        """Have the engine read clean copies from now on; False where it does or cannot."""
        return False

    def mixes_units(self, column: Numbers) -> bool:
        """Whether the unit stands beside some numbers and not beside others."""
        if not self.spelling.unit:
            return False
        before, behind = map(_quoted, self.spelling.affixes)
        text = f"trim({column.raw}, {_quoted(BLANKS)})"
        has = f"(regexp_matches({text}, {before}) OR regexp_matches({text}, {behind}))"
        found = self.engine.execute(
            f"SELECT bool_or({has}) AND NOT bool_and({has}) FROM {self.table} "
            f"WHERE {column.number} IS NOT NULL"
        ).fetchone()
        return bool(found and found[0])

    def count_missing(self, column: Numbers) -> int:
        """Count the rows in which a number is missing."""
        found = self.engine.execute(
            f"SELECT count(*) FROM {self.table} WHERE {column.number} IS NULL AND "
            f"({column.missing})"
        ).fetchone()
        return int(found[0]) if found else 0

    def _problem(self, label: str, value: str, *, drop_missing: bool) -> InputError | None:
        """Read observations row by row, as those of a small file, up to what is wrong first."""
        rows = checked_observations(
            self.rows([label, value], keep_empty=drop_missing),
            paths=self.paths,
            value=value,
            spelling=self.spelling,
            drop_missing=drop_missing,
        )
        try:
            deque(rows, maxlen=0)
        except InputError as problem:
            return problem
        return None

    def _text_as_number(self, name: str, column: str) -> Numbers:
        """SQL of a column of text, read as `Spelling.number` reads it.

        The cast ignores blanks around a number (a trim costs more than all the rest), and takes
        what a data file should not hold: 1_000, inf, nan. What it refuses is matched as a small
        file's values are; that is slow, and asked of these values alone.
        """
        spelling = self.spelling
        text = f"trim({column}, {_quoted(BLANKS)})"
        if spelling.unit:
            before, behind = map(_quoted, spelling.affixes)
            text = (
                f"CASE WHEN regexp_matches({text}, {before}) "
                f"THEN regexp_replace({text}, {before}, '\\1') "
                f"ELSE regexp_replace({text}, {behind}, '') END"
            )
        bare = f"replace({text}, '{MINUS}', '-')"
        for mark in spelling.marks:
            bare = f"replace({bare}, {_quoted(mark)}, '')"
        if spelling.decimal == ",":
            bare = f"replace({bare}, ',', '.')"
        number = f"TRY_CAST({bare} AS DOUBLE)"
        finite = (
            f"CASE WHEN regexp_full_match({text}, {_quoted(spelling.pattern)}) AND "
            f"isfinite({number}) THEN {number} END"
        )
        if not (spelling.marks or spelling.unit):
            quick, odd = column, f"contains({column}, '_')"
            if spelling.decimal == ",":
                quick, odd = f"replace({column}, ',', '.')", f"contains({column}, '.') OR {odd}"
            quick = f"TRY_CAST({quick} AS DOUBLE)"
            finite = (
                f"coalesce(CASE WHEN isfinite({quick}) AND NOT ({odd}) THEN {quick} END, {finite})"
            )
        spellings = ", ".join(_quoted(word) for word in sorted(MISSING))
        missing = f"{column} IS NULL OR lower(trim({column}, {_quoted(BLANKS)})) IN ({spellings})"
        return Numbers(name, column, finite, finite, missing)


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
        self.header = header
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
        return len(first) == len(self.header)

    def _copy(self, path: Path) -> Path:
        """Write the rows of a file as plain CSV, without fields beyond the header's."""
        found = self.engine.execute("SELECT current_setting('temp_directory')").fetchone()
        folder = Path(str((found or ("",))[0]))
        copy = folder / f"{len(list(folder.iterdir()))}.csv"
        with copy.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=self.spelling.delimiter, lineterminator="\n")
            for line, row in file_rows(path, self.spelling, keep_empty=True):
                check_width(row, len(self.header), path, line)
                writer.writerow(row[: len(self.header)])
        return copy

    def _read_csv(self, paths: Sequence[Path]) -> str:
        names = ", ".join(f"'c{k}': 'VARCHAR'" for k in range(len(self.header)))
        files = ", ".join(_quoted(_literal(path)) for path in paths)
        return (
            f"read_csv([{files}], auto_detect = false, header = true, "
            f"delim = {_quoted(self.spelling.delimiter)}, quote = '\"', escape = '\"', "
            f"nullstr = '', columns = {{{names}}}, strict_mode = true)"
        )

    def label(self, name: str) -> str:
        """SQL of a column of labels."""
        return f"c{self.header.index(name)}"

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

    def __post_init__(self) -> None:
        import duckdb

        read = [as_parquet(path) for path in self.paths]
        self._names = dict(zip(map(str, read), map(str, self.paths), strict=True))
        files = ", ".join(_quoted(_literal(path)) for path in read)
        self.table = f"read_parquet([{files}], filename = true, file_row_number = true)"
        try:
            described = self.engine.execute(f"DESCRIBE SELECT * FROM {self.table}").fetchall()
        except duckdb.Error as error:
            raise InputError(f"{self.where}: cannot be read as Parquet ({error})") from None
        columns = [(name, kind) for name, kind, *_ in described[:-2]]
        columns = [column for column in columns if not _PANDAS_INDEX.fullmatch(column[0])]
        self.header = [name.strip() for name, _ in columns]
        self._columns = dict(zip(self.header, columns, strict=True))

    def label(self, name: str) -> str:
        """SQL of a column of labels; null where a number is none."""
        column, kind = self._columns[name]
        label = _identifier(column)
        return f"CASE WHEN NOT isnan({label}) THEN {label} END" if kind in _FLOATS else label

    def numbers(self, name: str) -> Numbers:
        """SQL of a column of numbers, or of text that holds some."""
        column, kind = _identifier(self._columns[name][0]), self._columns[name][1]
        if kind == "VARCHAR":
            return self._text_as_number(name, column)
        if not _NUMERIC.fullmatch(kind):
            raise InputError(f"{self.where}: column {name!r} holds {kind}; numbers are needed")
        number = f"CAST({column} AS DOUBLE)"
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        return Numbers(name, column, finite, number, f"{column} IS NULL OR isnan({number})")

    def rows(
        self, names: Sequence[str], *, keep_empty: bool
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Take the rows from the engine."""
        texts = ", ".join(f"coalesce({self._as_text(name)}, '')" for name in names)
        query = f"SELECT filename, file_row_number + 1, {texts} FROM {self.table}"
        yield from self._places(f"{query} ORDER BY filename, file_row_number")

    def begin(self, name: str) -> list[tuple[str, str]]:
        """Take the first rows of the first file."""
        if self._columns[name][1] != "VARCHAR":
            return []
        query = f"SELECT filename, file_row_number + 1, coalesce({self._as_text(name)}, '')"
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

    def _as_text(self, name: str) -> str:
        """SQL of a column as text, its numbers spelled as those of text are."""
        column, kind = self._columns[name]
        text = f"CAST({_identifier(column)} AS VARCHAR)"
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


def plain(column: Any) -> FloatArray:
    """Values of a column that the engine gave; NaN where it is null."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), math.nan)


def _quoted(text: str) -> str:
    """SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    """SQL name of a column."""
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    """Path for the engine, which would read a bracket, star or question mark as a pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", str(path))
