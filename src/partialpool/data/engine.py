"""The engine that reads long files, and what it is asked of any kind of file, as SQL."""

from __future__ import annotations

import math
import re
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from partialpool.data.files import listed
from partialpool.data.rows import (
    checked_observations,
)
from partialpool.data.spelling import BETWEEN, BLANKS, MINUS, Spelling
from partialpool.errors import InputError
from partialpool.types import FloatArray

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"
"""What the engine may hold in memory before it goes on in a temporary folder."""

REWRITTEN = "line ends are mixed or rows have empty fields at their ends, which slows reading"
"""Note on files that are read after `Source.rewrite`."""

_TABLE_BITS = 20  # whole numbers of a range below 2^20 index the groups directly, twice as fast


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
    quick
        The same, faster; null as well where a number is not written as programs write it.
    unchecked
        The same as `quick`, and faster still; where it is not finite, sums show it.
    missing
        Whether what is no number is missing, rather than wrong.
    """

    name: str
    raw: str
    number: str
    quick: str
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
            with suppress(duckdb.InvalidInputException):  # a notebook that has no widgets for bars
                connection.execute("SET enable_progress_bar = false")
            connection.execute(f"SET perfect_ht_threshold = {_TABLE_BITS}")
            yield connection
        finally:
            connection.close()


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
    knows_range: ClassVar[bool] = False
    """Whether the files state the range of each column, so that it costs nothing to ask for."""

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

    def _joined(self, name: str) -> str:
        """SQL of a column of labels that is read as several; empty for another."""
        if not self.spelling.joined or name != self.spelling.joined_name:
            return ""
        parts = [f"CAST({self.label(each)} AS VARCHAR)" for each in self.spelling.joined]
        blank = " OR ".join(f"trim({part}) = ''" for part in parts)
        return f"CASE WHEN NOT ({blank}) THEN {f' || {quoted_text(BETWEEN)} || '.join(parts)} END"

    def text(self, name: str) -> str:
        """SQL of what stands in a column, as text."""
        return f"CAST({self.label(name)} AS VARCHAR)"

    def distinct(
        self, names: Sequence[str], *, present: Numbers | None = None
    ) -> Iterator[tuple[str, ...]]:
        """Yield what stands in some columns, as text, each combination once.

        Rows without the number `present` are passed over, where one is named.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        import duckdb

        texts = ", ".join(f"coalesce({self.text(name)}, '')" for name in names)
        try:
            where = "" if present is None else f" WHERE ({present.number}) IS NOT NULL"
            found = self.engine.execute(f"SELECT DISTINCT {texts} FROM {self.table}{where}")
            while block := found.fetchmany(10_000):
                yield from block
        except duckdb.Error as error:
            raise InputError(f"{self.where}: cannot be read ({error})") from None

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
        before, behind = map(quoted_text, self.spelling.affixes)
        text = f"trim({column.raw}, {quoted_text(BLANKS)})"
        has = f"(regexp_matches({text}, {before}) OR regexp_matches({text}, {behind}))"
        found = self.engine.execute(
            f"SELECT bool_or({has}) AND NOT bool_and({has}) FROM {self.table} "
            f"WHERE {column.number} IS NOT NULL"
        ).fetchone()
        return bool(found and found[0])

    def range(self, column: Numbers) -> tuple[float, float]:
        """Smallest and largest number of a column that has some."""
        for number in (column.unchecked, column.number):
            ends = f"SELECT min(v), max(v) FROM (SELECT {number} AS v FROM {self.table})"
            low, high = self.engine.execute(ends).fetchone() or (None, None)
            if low is not None and math.isfinite(low) and math.isfinite(high):
                break
        return float(low), float(high)

    def count_missing(self, column: Numbers) -> int:
        """Count the rows in which a number is missing."""
        found = self.engine.execute(
            f"SELECT count(*) FROM {self.table} WHERE {column.missing}"
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
        text = f"trim({column}, {quoted_text(BLANKS)})"
        if spelling.unit:
            before, behind = map(quoted_text, spelling.affixes)
            text = (
                f"CASE WHEN regexp_matches({text}, {before}) "
                f"THEN regexp_replace({text}, {before}, '\\1') "
                f"ELSE regexp_replace({text}, {behind}, '') END"
            )
        bare = f"replace({text}, '{MINUS}', '-')"
        for mark in spelling.marks:
            bare = f"replace({bare}, {quoted_text(mark)}, '')"
        if spelling.decimal == ",":
            bare = f"replace({bare}, ',', '.')"
        number = f"TRY_CAST({bare} AS DOUBLE)"
        finite = (
            f"CASE WHEN regexp_full_match({text}, {quoted_text(spelling.pattern)}) AND "
            f"isfinite({number}) THEN {number} END"
        )
        plainly = finite
        if not (spelling.marks or spelling.unit):
            quick, odd = column, f"contains({column}, '_')"
            if spelling.decimal == ",":
                quick, odd = f"replace({column}, ',', '.')", f"contains({column}, '.') OR {odd}"
            quick = f"TRY_CAST({quick} AS DOUBLE)"
            plainly = f"CASE WHEN isfinite({quick}) AND NOT ({odd}) THEN {quick} END"
            finite = f"coalesce({plainly}, {finite})"
        spellings = ", ".join(quoted_text(word) for word in sorted(spelling.words))
        missing = (
            f"{column} IS NULL OR lower(trim({column}, {quoted_text(BLANKS)})) IN ({spellings})"
        )
        return self._without_codes(Numbers(name, column, finite, plainly, plainly, missing))

    def _without_codes(self, numbers: Numbers) -> Numbers:
        """Take codes of missing numbers for such."""
        if not self.spelling.codes:
            return numbers
        codes = [f"CAST({code!r} AS DOUBLE)" for code in sorted(self.spelling.codes)]

        def without(number: str) -> str:
            for code in codes:
                number = f"nullif({number}, {code})"
            return number

        is_code = f"coalesce(({numbers.number}) IN ({', '.join(codes)}), false)"
        return Numbers(
            numbers.name,
            numbers.raw,
            without(numbers.number),
            without(numbers.quick),
            without(numbers.unchecked),
            f"({numbers.missing} OR {is_code})",
        )


def plain(column: Any) -> FloatArray:
    """Values of a column that the engine gave; NaN where it is null."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), math.nan)


def quoted_text(text: str) -> str:
    """SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """SQL name of a column."""
    return '"' + name.replace('"', '""') + '"'


def literal(path: Path) -> str:
    """Path for the engine, which would read a bracket, star or question mark as a pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", str(path))
