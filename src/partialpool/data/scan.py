"""Sufficient statistics straight from files of any length: CSV or Parquet, one file or many.

DuckDB reads and groups out of core; what reaches Python is one row a group. Sums are taken about
the first value of the file, by Welford's method, and once more about each group's own mean where
that lost digits. The checks are those of `partialpool.data.read_csv`, and what they say is the
same: where the engine meets something wrong, the file is read again to say what and where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.description import about_files, one_group, read_description, spelling_of_file
from partialpool.data.engine import REWRITTEN, Numbers, Source, UnexplainedError, open_engine, plain
from partialpool.data.files import expand, fingerprint, listed, short_list
from partialpool.data.grouped import GroupedData
from partialpool.data.labels import strip_labels
from partialpool.data.order import as_they_occur
from partialpool.data.rows import check_header, find_columns, refuse_doubtful_points
from partialpool.data.sources import open_source
from partialpool.data.spelling import Spelling
from partialpool.errors import InputError
from partialpool.families.codes import CODES, describe
from partialpool.families.moments import GroupStats, check_overflow, ordered
from partialpool.progress import Progress
from partialpool.types import FloatArray, IntArray

_DIGITS = 1e-11
_EPSILON = float(np.finfo(np.float64).eps)


def scan_statistics(
    files: str | Path | Sequence[str | Path],
    *,
    group: str | None = None,
    value: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    unit: str | None = None,
    missing: Sequence[str] | None = None,
    encoding: str | None = None,
    drop_missing: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> GroupedData:
    """Read sufficient statistics by group from CSV or Parquet files, out of core.

    Parameters
    ----------
    files
        A file, a pattern such as `data/part-*.parquet`, or several of them; all CSV (also
        compressed, `.csv.gz`) or all Parquet, and all with the same columns. A TOML file of the
        first file's name beside it is read as for a small file.
    group, value, delimiter, decimal, thousands, unit, missing, encoding, drop_missing
        As for `partialpool.data.read_csv`. In Parquet a null or NaN outcome is missing.
    threads
        Threads of the engine; all processors where None.
    progress
        Where to report.

    Returns
    -------
    GroupedData
        Without observations. Groups in numerical order where every label is a number, else in
        alphabetical order. With more than one thread the last digit of the statistics may differ
        from run to run.

    Raises
    ------
    InputError
        Whatever makes the data unusable, with file, line or row, and value.
    """
    paths = expand(files)
    spelling = spelling_of_file(
        paths[0],
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        unit=unit,
        missing=missing,
        encoding=encoding,
    )
    return scan_data(
        paths,
        most_observations=0,
        group=group,
        value=value,
        spelling=spelling,
        drop_missing=drop_missing,
        threads=threads,
        progress=progress,
    )


def scan_data(
    files: str | Path | Sequence[str | Path],
    *,
    most_observations: int,
    group: str | None = None,
    value: str | None = None,
    spelling: Spelling | None = None,
    drop_missing: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> GroupedData:
    """Read the observations too where there are not too many.

    Parameters
    ----------
    files, group, value, spelling, drop_missing, threads, progress
        As for `scan_statistics`, with a spelling that is settled.
    most_observations
        Largest number of observations that are kept.

    Returns
    -------
    GroupedData
        In the order of the files, groups as `read_csv` orders them; without observations (`y`
        empty) where there are more.

    Raises
    ------
    InputError
        As for `scan_statistics`.
    """
    paths = expand(files)
    settings = read_description(paths[0])
    with (
        open_engine(threads) as engine,
        (progress or Progress()).task(f"Reading {listed(paths)}"),
    ):
        spelling = spelling or Spelling()
        source = open_source(engine, paths, spelling)
        check_header(source.header, path=paths[0], delimiter=spelling.delimiter)
        label, outcome = find_columns(
            source.header,
            group or one_group(settings, paths[0]),
            value or settings.get("value"),
            path=paths[0],
        )
        rows = Observations(source, label, source.numbers(outcome), drop_missing)
        stats, notes = _statistics(rows)
        kept = _observations(rows, stats.labels) if most_observations >= stats.N else None
    data = GroupedData(
        y=np.empty(0),
        group=np.empty(0, dtype=np.int64),
        stats=stats,
        source=short_list(paths),
        sha256=fingerprint(paths),
        notes=notes,
        **about_files(paths, settings, group_label=label, value_label=outcome),
    )
    if kept is None:
        return data
    return as_they_occur(replace(data, group=kept[0], y=kept[1]))


@dataclass(frozen=True)
class Observations:
    """Rows of a source as observations: which columns hold label and outcome.

    Attributes
    ----------
    source
        The files.
    group
        Name of the column of labels.
    outcome
        The column of outcomes.
    drop_missing
        Whether rows without an outcome are left out.
    """

    source: Source
    group: str
    outcome: Numbers
    drop_missing: bool

    @property
    def label(self) -> str:
        """SQL of the label."""
        return self.source.label(self.group)

    def explain(self, error: Exception | None) -> InputError:
        """Say what is wrong with them."""
        return self.source.explain(
            error, self.group, self.outcome.name, drop_missing=self.drop_missing
        )


def _statistics(rows: Observations) -> tuple[GroupStats, tuple[str, ...]]:
    """Group the rows and check what came out."""
    import duckdb

    source, outcome = rows.source, rows.outcome
    try:
        first = source.engine.execute(
            f"SELECT {outcome.number} FROM {source.table} "
            f"WHERE {outcome.number} IS NOT NULL LIMIT 1"
        ).fetchone()
        pivot = float(first[0]) if first else 0.0
        raw = _group_by(rows, outcome.unchecked, pivot)
        if raw is None or ((gaps := _lacks(raw)) and gaps > source.count_missing(outcome)):
            raw = _group_by(rows, outcome.number, pivot)
    except duckdb.Error as error:
        problem = rows.explain(error)
        if isinstance(problem, UnexplainedError) and source.rewrite():
            found, others = _statistics(rows)
            return found, (REWRITTEN, *others)
        raise problem from None
    if raw is None:
        raise InputError(
            f"{source.where}: the squares of the values overflow; "
            "divide the outcome by a suitable unit first"
        )
    n, dropped = plain(raw["n"]).astype(np.int64), _lacks(raw)
    wrong = dropped and not (rows.drop_missing and source.count_missing(outcome) == dropped)
    blank = np.ma.getmaskarray(raw["label"]) & (n > 0)
    if wrong or n.sum() == 0 or blank.any() or source.mixes_units(outcome):
        raise rows.explain(None)
    if not source.spelling.certain:
        refuse_doubtful_points(
            source.begin(outcome.name),
            paths=source.paths,
            column=outcome.name,
            spelling=source.spelling,
        )
    kept = np.flatnonzero(n > 0)
    kept = kept[np.argsort(np.asarray(raw["label"], dtype=object)[kept])]
    labels = [str(label) for label in np.asarray(raw["label"])[kept]]
    n = n[kept]
    try:
        stripped, changed = strip_labels(labels, lambda _: source.where, counts=n.tolist())
    except InputError:
        raise rows.explain(None) from None
    mean, variance = (plain(raw[key])[kept] for key in ("mean", "variance"))
    stats = GroupStats(tuple(stripped), n, pivot + mean, variance * n)
    check_overflow(stats, source.where)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = _EPSILON * np.abs(mean) / np.sqrt(variance)
    if (lost[variance > 0] > _DIGITS).any():
        stats = _second_pass(rows, stats, labels)
    left_out = f"{dropped} {'row' if dropped == 1 else 'rows'} without an outcome left out"
    if source.knows_range:
        low, high = source.range(outcome)
    else:
        low, high = plain(raw["low"])[kept].min(), plain(raw["high"])[kept].max()
    codes = _codes(rows, float(low), float(high))
    return ordered(stats), ((left_out,) if dropped else ()) + changed + codes


def _lacks(raw: Mapping[str, Any]) -> int:
    """Count the rows without a number."""
    return int(plain(raw["rows"]).sum() - plain(raw["n"]).sum())


def _codes(rows: Observations, low: float, high: float) -> tuple[str, ...]:
    """Note codes for missing values, where the smallest or the largest value may be one."""
    if not {low, high} & set(CODES):
        return ()
    number, table = rows.outcome.number, rows.source.table
    known = ", ".join(f"CAST({code!r} AS DOUBLE)" for code in CODES)
    values = f"(SELECT {number} AS v FROM {table}) WHERE v IS NOT NULL AND v"
    found = rows.source.engine.execute(
        f"SELECT v, count(*) FROM {values} IN ({known}) GROUP BY 1"
    ).fetchall()
    others = rows.source.engine.execute(
        f"SELECT min(v), max(v) FROM {values} NOT IN ({known})"
    ).fetchone()
    if others is None or others[0] is None:
        return ()
    return tuple(describe(dict(found), *others))


def _group_by(rows: Observations, number: str, pivot: float) -> dict[str, Any] | None:
    """Count and sum by group; None where a sum is not finite."""
    import duckdb

    ends = "" if rows.source.knows_range else "min(v) AS low, max(v) AS high,"
    try:
        raw: dict[str, Any] = rows.source.engine.execute(
            f"SELECT CAST(label AS VARCHAR) AS label, * EXCLUDE (label) FROM ("
            f"SELECT {rows.label} AS label, count(*) AS rows, count(v) AS n, {ends} "
            f"avg(v - {pivot!r}) AS mean, var_pop(v - {pivot!r}) AS variance "
            f"FROM (SELECT *, {number} AS v FROM {rows.source.table}) GROUP BY 1)"
        ).fetchnumpy()
    except duckdb.OutOfRangeException:
        return None
    seen = plain(raw["n"]) > 0
    finite = np.isfinite(plain(raw["mean"])[seen]) & np.isfinite(plain(raw["variance"])[seen])
    return raw if finite.all() else None


def _observations(rows: Observations, labels: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Groups and outcomes row by row, in the order of the files."""
    engine = rows.source.engine
    engine.execute("SET preserve_insertion_order = true")
    raw: dict[str, Any] = engine.execute(
        f"SELECT CAST({rows.label} AS VARCHAR) AS label, {rows.outcome.number} AS v "
        f"FROM {rows.source.table} WHERE {rows.outcome.number} IS NOT NULL"
    ).fetchnumpy()
    index = {label: j for j, label in enumerate(labels)}
    found = [index[str(label).strip()] for label in np.ma.filled(raw["label"], "")]
    return np.array(found, dtype=np.int64), plain(raw["v"])


def _second_pass(rows: Observations, stats: GroupStats, labels: Sequence[str]) -> GroupStats:
    """Take the sums again about each group's own mean (the corrected two-pass algorithm)."""
    import pandas as pd

    means = pd.DataFrame({"label": labels, "position": np.arange(stats.J), "center": stats.mean})
    engine = rows.source.engine
    engine.register("first_pass", means)
    raw: dict[str, Any] = engine.execute(
        f"SELECT position, fsum(v - center) AS rest, fsum((v - center) ** 2) AS ss "
        f"FROM (SELECT CAST({rows.label} AS VARCHAR) AS label, {rows.outcome.number} AS v "
        f"FROM {rows.source.table}) JOIN first_pass USING (label) WHERE v IS NOT NULL GROUP BY 1"
    ).fetchnumpy()
    rest, ss = np.empty(stats.J), np.empty(stats.J)
    rest[raw["position"]], ss[raw["position"]] = plain(raw["rest"]), plain(raw["ss"])
    corrected: FloatArray = np.maximum(ss - rest**2 / stats.n, 0.0)
    return GroupStats(stats.labels, stats.n, stats.mean + rest / stats.n, corrected)
