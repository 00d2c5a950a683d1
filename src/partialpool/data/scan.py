"""Sufficient statistics straight from files of any length: CSV or Parquet, one file or many.

DuckDB reads and groups out of core; what reaches Python is one row a group. Sums are taken about
the first value of the file, by Welford's method, and once more about each group's own mean where
that lost digits. The checks are those of `partialpool.data.read_csv`, and what they say is the
same: where the engine meets something wrong, the file is read again to say what and where.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.data.description import read_description
from partialpool.data.grouped import GroupedData
from partialpool.data.sources import CsvSource, ParquetSource, Source, UnexplainedError, listed
from partialpool.data.summaries import SummarizedData, summarized
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats, check_overflow, ordered
from partialpool.progress import Progress
from partialpool.types import FloatArray

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"
"""What the engine may hold in memory before it goes on in a temporary folder."""

PARQUET = frozenset({".parquet", ".pq"})
"""Endings of Parquet files; any other file is read as CSV."""

_TABLE_BITS = 20  # whole numbers of a range below 2^20 index the groups directly, twice as fast
_SAMPLE = 1 << 20
_DIGITS = 1e-11
_EPSILON = float(np.finfo(np.float64).eps)


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
        As for `partialpool.data.grouped.read_csv`. In Parquet a null or NaN outcome is missing.
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
    text = {"delimiter": delimiter, "decimal": decimal, "drop_missing": drop_missing}
    found, _ = _scan(expand(files), group, value, text, threads=threads, progress=progress)
    return found


def scan_data(
    files: str | Path | Sequence[str | Path],
    *,
    most_observations: int,
    group: str | None = None,
    value: str | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    drop_missing: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> GroupedData:
    """Read the observations too where there are not too many.

    Parameters
    ----------
    files, group, value, delimiter, decimal, drop_missing, threads, progress
        As for `scan_statistics`.
    most_observations
        Largest number of observations that are kept.

    Returns
    -------
    GroupedData
        In the order of the files; without observations (`y` empty) where there are more.

    Raises
    ------
    InputError
        As for `scan_statistics`.
    """
    text = {"delimiter": delimiter, "decimal": decimal, "drop_missing": drop_missing}
    found, observations = _scan(
        expand(files), group, value, text, most_observations, threads=threads, progress=progress
    )
    data = found.without_observations()
    if observations is None:
        return data
    labels, y = observations
    index = {label: j for j, label in enumerate(found.labels)}
    group_of = np.array([index[str(label).strip()] for label in labels], dtype=np.int64)
    return replace(data, y=y, group=group_of)


def _scan(
    paths: list[Path],
    group: str | None,
    value: str | None,
    text: Mapping[str, Any],
    most_observations: int = 0,
    *,
    threads: int | None,
    progress: Progress | None,
) -> tuple[SummarizedData, tuple[Sequence[object], FloatArray] | None]:
    """Read statistics, and labels and outcomes where there are not too many."""
    parquet = {path.suffix.lower() in PARQUET for path in paths}
    if len(parquet) > 1:
        raise InputError(
            f"{paths[0]} and others: Parquet and CSV files are mixed; read one kind at a time"
        )
    settings = read_description(paths[0])
    group, value = group or settings.get("group"), value or settings.get("value")
    reader = ParquetSource if parquet == {True} else CsvSource
    with (
        _engine(threads) as engine,
        (progress or Progress()).task(f"Reading {listed(paths)}"),
    ):
        source = reader(engine, paths, group=group, value=value, **text)
        stats, notes = _statistics(source)
        observations = _observations(source) if most_observations >= stats.N else None
    found = summarized(
        paths[0],
        stats,
        settings=settings,
        name=_name(paths),
        source=", ".join(path.name for path in paths[:3]) + (" ..." if len(paths) > 3 else ""),
        group_label=source.columns[0],
        value_label=source.columns[1],
        sha256=_fingerprint(paths),
        notes=notes,
    )
    return found, observations


def _name(paths: Sequence[Path]) -> str:
    """Short name of the data: the file's, what several have in common, or their folder's."""
    stems = [Path(path.name.removesuffix(".gz")).stem for path in paths]
    if len(paths) == 1:
        return stems[0]
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    shared = "".join(letters[0] for letters in alike).rstrip("-_ 0123456789")
    return shared or paths[0].resolve().parent.name or stems[0]


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
            connection.execute(f"SET perfect_ht_threshold = {_TABLE_BITS}")
            yield connection
        finally:
            connection.close()


def _statistics(source: Source) -> tuple[GroupStats, tuple[str, ...]]:
    """Group the rows and check what came out."""
    import duckdb

    try:
        first = source.engine.execute(
            f"SELECT {source.number} FROM {source.table} WHERE {source.number} IS NOT NULL LIMIT 1"
        ).fetchone()
        pivot = float(first[0]) if first else 0.0
        raw = _group_by(source, source.unchecked, pivot)
        if raw is None:
            raw = _group_by(source, source.number, pivot)
    except duckdb.Error as error:
        problem = source.explain(error)
        if isinstance(problem, UnexplainedError) and source.relax():
            found, others = _statistics(source)
            return found, ("line ends are mixed, which slows reading", *others)
        raise problem from None
    if raw is None:
        raise InputError(
            f"{source.where}: the squares of the values overflow; "
            "divide the outcome by a suitable unit first"
        )
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
    if not all(stripped) or len(set(stripped)) < len(stripped) or "\0" in "".join(stripped):
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


def _group_by(source: Source, number: str, pivot: float) -> dict[str, Any] | None:
    """Count and sum by group; None where a sum is not finite."""
    import duckdb

    try:
        raw: dict[str, Any] = source.engine.execute(
            f"SELECT CAST(label AS VARCHAR) AS label, rows, n, mean, variance FROM ("
            f"SELECT {source.label} AS label, count(*) AS rows, count(v) AS n, "
            f"avg(v - {pivot!r}) AS mean, var_pop(v - {pivot!r}) AS variance "
            f"FROM (SELECT *, {number} AS v FROM {source.table}) GROUP BY 1)"
        ).fetchnumpy()
    except duckdb.OutOfRangeException:
        return None
    seen = _plain(raw["n"]) > 0
    finite = np.isfinite(_plain(raw["mean"])[seen]) & np.isfinite(_plain(raw["variance"])[seen])
    return raw if finite.all() else None


def _observations(source: Source) -> tuple[Sequence[object], FloatArray]:
    """Labels and outcomes row by row, in the order of the files."""
    source.engine.execute("SET preserve_insertion_order = true")
    raw: dict[str, Any] = source.engine.execute(
        f"SELECT CAST({source.label} AS VARCHAR) AS label, {source.number} AS v "
        f"FROM {source.table} WHERE {source.number} IS NOT NULL"
    ).fetchnumpy()
    return list(np.ma.filled(raw["label"], "")), _plain(raw["v"])


def _second_pass(source: Source, stats: GroupStats, labels: Sequence[str]) -> GroupStats:
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
