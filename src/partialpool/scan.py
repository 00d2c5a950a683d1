"""Sufficient statistics straight from files of any length: CSV or Parquet, one file or many.

DuckDB reads and groups out of core; what reaches Python is one row a group. Sums are taken about
the first value of the file, by Welford's method, and once more about each group's own mean where
that lost digits. The checks are those of `partialpool.data.read_csv`, and what they say is the
same: where the engine meets something wrong, the file is read again to say what and where.
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool import data as grouped
from partialpool.data import FloatArray, GroupStats
from partialpool.errors import InputError
from partialpool.progress import Progress
from partialpool.row_checks import LabelCheck, check_text, csv_rows, kind_of_value
from partialpool.sufficient import SummarizedData, check_overflow, ordered, summarized

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"
"""What the engine may hold in memory before it goes on in a temporary folder."""

_PARQUET = {".parquet", ".pq"}
_SHOWN = 10
_SAMPLE = 1 << 20
_DIGITS = 1e-11
_EPSILON = float(np.finfo(np.float64).eps)
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


def scan_statistics(
    files: str | Path | Sequence[str | Path],
    *,
    group: str | None = None,
    value: str | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    drop_missing: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> SummarizedData:
    """Read sufficient statistics by group from CSV or Parquet files, out of core.

    Parameters
    ----------
    files
        A file, a pattern such as `data/part-*.parquet`, or several of them; all CSV (also
        compressed, `.csv.gz`) or all Parquet, and all with the same columns. A TOML file of the
        first file's name beside it is read as for a small file.
    group, value, delimiter, decimal, drop_missing
        As for `partialpool.data.read_csv`. In Parquet a null or NaN outcome is missing.
    threads
        Threads of the engine; all processors where None.
    progress
        Where to report.

    Returns
    -------
    SummarizedData
        Groups in numerical order where every label is a number, else in alphabetical order. With
        more than one thread the last digit of the statistics may differ from run to run.

    Raises
    ------
    InputError
        Whatever makes the data unusable, with file, line or row, and value.
    """
    paths = expand(files)
    parquet = {path.suffix.lower() in _PARQUET for path in paths}
    if len(parquet) > 1:
        raise InputError(
            f"{paths[0]} and others: Parquet and CSV files are mixed; read one kind at a time"
        )
    settings = grouped._read_settings(paths[0])
    group, value = group or settings.get("group"), value or settings.get("value")
    reader = _Parquet if parquet == {True} else _Csv
    with _engine(threads) as engine:
        source = reader(
            engine,
            paths,
            group=group,
            value=value,
            delimiter=delimiter,
            decimal=decimal,
            drop_missing=drop_missing,
        )
        with (progress or Progress()).task(f"Reading {_listed(paths)}"):
            stats, notes = _statistics(source)
    return summarized(
        paths[0],
        stats,
        settings=settings,
        source=", ".join(path.name for path in paths[:3]) + (" ..." if len(paths) > 3 else ""),
        group_label=source.columns[0],
        value_label=source.columns[1],
        sha256=_fingerprint(paths),
        notes=notes,
    )


def expand(files: str | Path | Sequence[str | Path]) -> list[Path]:
    """Turn files and patterns into a list of files, those of a pattern in alphabetical order.

    Raises
    ------
    InputError
        A file that does not exist, or a pattern that matches none.
    """
    given = [files] if isinstance(files, str | Path) else list(files)
    paths: list[Path] = []
    for each in given:
        path = Path(each)
        if path.is_file():
            paths.append(path)
            continue
        root = Path(path.anchor)
        matches = sorted(root.glob(str(path.relative_to(root)))) if path.name else []
        if path.is_dir():
            raise InputError(f"{path}: this is a folder; name its files, as in {path}/*.parquet")
        if not matches:
            raise InputError(f"{path}: no such file")
        paths.extend(match for match in matches if match.is_file())
    if not paths:
        raise InputError("no data file was named")
    return paths


@contextmanager
def _engine(threads: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
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
            yield connection
        finally:
            connection.close()


@dataclass
class _Source:
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
    missing: str = field(init=False)
    """SQL that tells whether an outcome without a number is missing, rather than wrong."""

    def __post_init__(self) -> None:
        """Find the columns and write the SQL."""
        raise NotImplementedError

    @property
    def where(self) -> str:
        return _listed(self.paths)

    def explain(self, error: Exception | None) -> InputError:
        """Say what is wrong in words, when the engine has found that something is."""
        raise NotImplementedError

    def count_missing(self) -> int:
        """Count the rows whose outcome is missing."""
        found = self.engine.execute(
            f"SELECT count(*) FROM {self.table} WHERE {self.number} IS NULL AND ({self.missing})"
        ).fetchone()
        return int(found[0]) if found else 0

    def _wrong_values(
        self, count: int, total: int, first: Sequence[str], missing: int, hint: str = ""
    ) -> InputError:
        more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
        drop = ". --drop-missing leaves out rows whose outcome is missing" if missing else ""
        return InputError(
            f"{self.where}: {count} of {total} values of {self.columns[1]!r} are no finite "
            f"numbers: {'; '.join(first[:_SHOWN])}{more}{drop}{hint}"
        )

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
        spellings = ", ".join(_quoted(word) for word in sorted(grouped.MISSING))
        self.missing = f"{column} IS NULL OR lower(trim({text}, ' \t\n\r\v\f')) IN ({spellings})"


class _Csv(_Source):
    def __post_init__(self) -> None:
        if (
            len(self.delimiter) != 1
            or self.decimal not in {".", ","}
            or self.delimiter == self.decimal
        ):
            raise InputError(
                f"delimiter {self.delimiter!r} and decimal {self.decimal!r} do not work together: "
                "give one character each, decimal '.' or ',', different from the delimiter"
            )
        header = _header(self.paths[0], self.delimiter)
        for path in self.paths[1:]:
            other = _header(path, self.delimiter)
            if other != header:
                raise InputError(
                    f"{path}: its columns are {', '.join(map(repr, other))}, and those of "
                    f"{self.paths[0]} are {', '.join(map(repr, header))}"
                )
        self._header = header
        self._at = grouped._find_columns(
            list(header), self.group, self.value, path=self.paths[0], delimiter=self.delimiter
        )
        self.columns = (header[self._at[0]], header[self._at[1]])
        names = ", ".join(f"'c{k}': 'VARCHAR'" for k in range(len(header)))
        files = ", ".join(_quoted(_literal(path)) for path in self.paths)
        self.table = (
            f"read_csv([{files}], auto_detect = false, header = true, "
            f"delim = {_quoted(self.delimiter)}, quote = '\"', escape = '\"', nullstr = '', "
            f"strict_mode = true, columns = {{{names}}})"
        )
        self.label = f"c{self._at[0]}"
        self._text_as_number(f"c{self._at[1]}")

    def explain(self, error: Exception | None) -> InputError:
        first: list[str] = []
        bad = missing = commas = total = 0
        labels = LabelCheck()
        for path in self.paths:
            check_text(path)
            rows = csv_rows(path, self.delimiter)
            next(rows)
            for line, row in rows:
                grouped._columns(iter([(line, row)]), self._header, *self._at, path=path)
                total += 1
                label, text = row[self._at[0]], row[self._at[1]]
                kind = kind_of_value(text, self.decimal)
                if kind == "number":
                    labels.add(label, f"{path}, line {line}")
                elif kind == "wrong" or not self.drop_missing:
                    bad += 1
                    if bad <= _SHOWN:
                        first.append(f"{_place(self.paths, path.name)}line {line}: {text!r}")
                    missing += kind == "missing"
                    commas += grouped._DECIMAL_COMMA.fullmatch(text.strip()) is not None
        if total == 0:
            return InputError(f"{self.where}: there is a header and no row below it")
        if bad:
            hint = ". --decimal ',' reads decimal commas" if commas else ""
            return self._wrong_values(bad, total, first, missing, hint)
        if labels.error is not None:
            return labels.error
        if error is None:
            return InputError(f"{self.where}: every value of {self.columns[1]!r} is missing")
        return InputError(f"{self.where}: cannot be read ({error})")


class _Parquet(_Source):
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
        at = grouped._find_columns(
            list(types), self.group, self.value, path=self.paths[0], delimiter=","
        )
        self.columns = (list(types)[at[0]], list(types)[at[1]])
        self.label, column = (_identifier(name) for name in self.columns)
        kind = types[self.columns[1]]
        if kind == "VARCHAR":
            self._text_as_number(column)
        elif _NUMERIC.fullmatch(kind):
            number = f"CAST({column} AS DOUBLE)"
            self.number = f"CASE WHEN isfinite({number}) THEN {number} END"
            self.missing = f"{column} IS NULL OR isnan({number})"
        else:
            raise InputError(
                f"{self.where}: column {self.columns[1]!r} holds {kind}; numbers are needed"
            )
        self._value = column

    def explain(self, error: Exception | None) -> InputError:
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
            return self._wrong_values(wrong, total, first, gaps)
        if kept == 0:
            return InputError(f"{self.where}: every value of {self.columns[1]!r} is missing")
        labels = LabelCheck()
        text = f"coalesce(CAST({self.label} AS VARCHAR), '')"
        for place, _ in self._rows_where(f"trim({text}) = '' AND {self.number} IS NOT NULL", "0"):
            labels.add("", f"{self.where}, {place}")
        found = self.engine.execute(
            f"SELECT DISTINCT {text} FROM {self.table} ORDER BY 1"
        ).fetchall()
        for (label,) in found:
            labels.add(label, self.where)
        return labels.error or InputError(f"{self.where}: cannot be read")

    def _rows_where(self, condition: str, shown: str) -> list[tuple[str, Any]]:
        """Place and content of the first rows that meet a condition."""
        rows = self.engine.execute(
            f"SELECT parse_filename(filename), file_row_number + 1, {shown} FROM {self.table} "
            f"WHERE {condition} ORDER BY filename, file_row_number LIMIT {_SHOWN}"
        ).fetchall()
        return [(f"{_place(self.paths, file)}row {row}", value) for file, row, value in rows]


def _statistics(source: _Source) -> tuple[GroupStats, tuple[str, ...]]:
    """Group the rows and check what came out."""
    import duckdb

    try:
        first = source.engine.execute(
            f"SELECT {source.number} FROM {source.table} WHERE {source.number} IS NOT NULL LIMIT 1"
        ).fetchone()
        pivot = float(first[0]) if first else 0.0
        raw: dict[str, Any] = source.engine.execute(
            f"SELECT CAST(label AS VARCHAR) AS label, rows, n, mean, variance FROM ("
            f"SELECT {source.label} AS label, count(*) AS rows, count(v) AS n, "
            f"avg(v - {pivot!r}) AS mean, var_pop(v - {pivot!r}) AS variance "
            f"FROM (SELECT *, {source.number} AS v FROM {source.table}) GROUP BY 1)"
        ).fetchnumpy()
    except duckdb.OutOfRangeException:
        raise InputError(
            f"{source.where}: the squares of the values overflow; "
            "divide the outcome by a suitable unit first"
        ) from None
    except duckdb.Error as error:
        raise source.explain(error) from None
    rows, n = (_plain(raw[key]).astype(np.int64) for key in ("rows", "n"))
    dropped = int(rows.sum() - n.sum())
    wrong = dropped and not (source.drop_missing and source.count_missing() == dropped)
    blank = np.ma.getmaskarray(raw["label"]) & (n > 0)
    if wrong or n.sum() == 0 or blank.any():
        raise source.explain(None)
    kept = np.flatnonzero(n > 0)
    kept = kept[np.argsort(np.asarray(raw["label"], dtype=object)[kept])]
    labels = [str(label) for label in np.asarray(raw["label"])[kept]]
    stripped = [label.strip() for label in labels]
    if not all(stripped) or len(set(stripped)) < len(stripped):
        raise source.explain(None)
    n = n[kept]
    mean, variance = (_plain(raw[key])[kept] for key in ("mean", "variance"))
    stats = GroupStats(tuple(stripped), n, pivot + mean, variance * n)
    check_overflow(stats, source.where)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = _EPSILON * np.abs(mean) / np.sqrt(variance)
    if (lost[variance > 0] > _DIGITS).any():
        stats = _second_pass(source, stats, labels)
    notes = []
    if dropped:
        notes.append(f"{dropped} {'row' if dropped == 1 else 'rows'} without an outcome left out")
    changed = int(sum(k for k, a, b in zip(n, labels, stripped, strict=True) if a != b))
    if changed:
        notes.append(f"blanks around group labels removed in {changed} rows")
    return ordered(stats), tuple(notes)


def _second_pass(source: _Source, stats: GroupStats, labels: Sequence[str]) -> GroupStats:
    """Take the sums again about each group's own mean (the corrected two-pass algorithm)."""
    import pandas as pd

    means = pd.DataFrame({"label": labels, "position": np.arange(stats.J), "center": stats.mean})
    source.engine.register("first_pass", means)
    raw: dict[str, Any] = source.engine.execute(
        f"SELECT position, fsum(v - center) AS rest, fsum((v - center) ** 2) AS ss "
        f"FROM (SELECT CAST({source.label} AS VARCHAR) AS label, {source.number} AS v "
        f"FROM {source.table}) JOIN first_pass USING (label) WHERE v IS NOT NULL GROUP BY 1"
    ).fetchnumpy()
    rest, ss = np.empty(stats.J), np.empty(stats.J)
    rest[raw["position"]], ss[raw["position"]] = _plain(raw["rest"]), _plain(raw["ss"])
    corrected: FloatArray = np.maximum(ss - rest**2 / stats.n, 0.0)
    return GroupStats(stats.labels, stats.n, stats.mean + rest / stats.n, corrected)


def _plain(column: Any) -> FloatArray:
    """Values of a column; NaN where it is null."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), math.nan)


def _header(path: Path, delimiter: str) -> list[str]:
    """Read the first row of a CSV file."""
    for _, row in csv_rows(path, delimiter):
        return [name.strip() for name in row]
    raise InputError(f"{path}: the file is empty; a header line and rows are needed")


def _fingerprint(paths: Sequence[Path]) -> str:
    """Hash of the size, beginning and end of each file."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{size} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def _listed(paths: Sequence[Path]) -> str:
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
