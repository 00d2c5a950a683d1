"""Weights of observations: a column of the data that says how precise each of them is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.columns import group_column, names_of, placed, spelling_of
from partialpool.data.engine import open_engine, plain, quoted_text
from partialpool.data.files import within
from partialpool.data.grouped import GroupedData
from partialpool.data.memory import as_numbers
from partialpool.data.rows import SHOWN, quoted
from partialpool.data.sources import open_source
from partialpool.data.spelling import BLANKS, Spelling
from partialpool.errors import InputError
from partialpool.families import FAMILIES, NORMAL, WEIGHTED
from partialpool.families.moments import GroupStats, check_overflow
from partialpool.families.weighted_statistics import WeightedStats, weighted_stats
from partialpool.types import FloatArray, IntArray

OPTION = "--weight"

_INSTEAD = {
    "known_errors": "their standard errors say how precise they are; leave --weight out",
    "proportions": "give the trials that each row stands for with --trials",
    "rates": "give the exposure that each row stands for with --exposure",
}


def weighted(data: GroupedData, weight: str | None) -> GroupedData:
    """Let a column of the data say how precise each observation is.

    An observation of weight w has the variance sigma^2 / w about its group's mean. Where logarithms
    are modelled, it is that of the logarithm. Prior settings found beside the file are kept, as the
    model has them all; sigma is then the sd of an observation of weight 1.

    Parameters
    ----------
    data
        Observations, under the usual model of these.
    weight
        Name of the column; None leaves the data as they are.

    Raises
    ------
    InputError
        Other data or another model, a column that is not there or has another role, weights that
        are missing, no numbers, or not above 0.
    """
    if weight is None:
        return data
    _refuse(data, weight)
    if data.has_observations:
        data, found, stats = _of_rows(data, weight)
        ends = float(found.min()), float(found.max())
    else:
        stats, ends = _of_files(data, weight)
    check_overflow(stats, data.source or data.name)
    middle = float(stats.total.sum()) / stats.N
    return replace(
        data,
        name="-".join([data.name, "weight", weight]),
        stats=stats,
        family=WEIGHTED,
        notes=(*data.notes, _note(weight, *ends, middle)),
        reading={**data.reading, "weight": weight} if data.reading else {},
    )


def names_of_weights(data: GroupedData) -> tuple[str, ...]:
    """Columns of new rows that say how precise each will be: that of the data, and `weight`."""
    if data.stats.row_weights is None:
        return ()
    own = data.reading.get("weight", "weight")
    return tuple(dict.fromkeys((own, "weight")))


def new_weights(
    data: GroupedData, given: Mapping[str, Sequence[Any]], count: int
) -> FloatArray | None:
    """Weights of new rows, 1 where none is given; None where rows have no weights.

    Raises
    ------
    InputError
        One of them is not above 0.
    """
    if data.stats.row_weights is None:
        return None
    name = next((each for each in names_of_weights(data) if each in given), None)
    if name is None:
        return np.ones(count)
    found = as_numbers(given[name], what=f"new rows: {name!r}", one=f"{name!r} of row")
    found = np.where(np.isnan(found), 1.0, found)
    if not ((found > 0) & np.isfinite(found)).all():
        at = int(np.argmin((found > 0) & np.isfinite(found)))
        raise InputError(
            f"new rows: {name} is {found[at]:g} in row {at + 1}; a weight is a number above 0"
        )
    return found


def _note(weight: str, low: float, high: float, middle: float) -> str:
    """Say what the weights are, and what they make of sigma."""
    span = (
        f"is {low:.4g} for every observation"
        if low == high
        else f"runs from {low:.4g} to {high:.4g}, with mean {middle:.4g}"
    )
    return (
        f"{weight} weighs the observations: it {span}. Sigma is the sd of an observation of weight "
        "1, and one of weight w has the sd sigma / sqrt(w)"
    )


def _refuse(data: GroupedData, weight: str) -> None:
    """Refuse weights where no model takes them, and say what to do instead."""
    usual = FAMILIES[data.family.reads]
    if usual is not NORMAL:
        raise InputError(
            f"{OPTION} {weight}: weights are for observations, and these data are "
            f"{usual.words.data}: {_INSTEAD[usual.name]}"
        )
    if data.family is WEIGHTED:
        raise InputError(f"{data.name}: its observations have weights already")
    if data.family is not NORMAL:
        if data.stats.covariates is not None:
            other = "covariates (--by, --adjust)"
        elif data.stats.nesting is not None:
            other = "groups within groups"
        else:
            other = " and ".join(
                f"--{about} {name}"
                for about, name in data.family.model.items()
                if name != NORMAL.model.get(about)
            )
        raise InputError(
            f"{OPTION} with {other}: there is no model of both; leave one of them out, or turn to "
            "brms or bambi"
        )
    for role, column in data.reading.get("columns", {}).items():
        if weight in (column if isinstance(column, list) else [column]):
            raise InputError(
                f"{OPTION} {weight}: this column holds the {role}; name the one that says how "
                "precise each observation is"
            )
    of_rows = set(data.reading.get("columns", {})) <= {"group", "value"}
    if not data.has_observations and (data.columns or not data.reading or not of_rows):
        raise InputError(
            f"{OPTION} {weight}: weights are by observation, and of {data.name} there are only "
            "statistics by group; give the rows themselves"
        )


def _of_rows(data: GroupedData, weight: str) -> tuple[GroupedData, FloatArray, WeightedStats]:
    """Weights of rows at hand, the rows that have one, and their statistics."""
    cells = placed(data, [weight])[weight]
    drop = bool(data.reading.get("drop_missing"))
    found = _numbers(cells, weight, spelling_of(data), data, drop=drop)
    kept = np.isfinite(found)
    if not kept.all():
        y, group, found = data.y[kept], data.group[kept], found[kept]
        n = np.bincount(group, minlength=data.stats.J)
        if (n == 0).any():
            raise InputError(
                f"{data.source or data.name}: no observation of group "
                f"{data.labels[int(np.argmin(n))]!r} has a weight in {weight!r}; leave the group "
                "out, or give it weights"
            )
        count = int((~kept).sum())
        left = f"{count} {'row' if count == 1 else 'rows'} without a weight left out"
        columns = {
            name: [value for value, keep in zip(values, kept, strict=True) if keep]
            for name, values in data.columns.items()
        }
        data = replace(data, y=y, group=group, columns=columns, notes=(*data.notes, left))
    return data, found, weighted_stats(data.y, found, data.group, data.labels)


def _numbers(
    cells: Iterable[tuple[str, str]],
    weight: str,
    spelling: Spelling,
    data: GroupedData,
    *,
    drop: bool,
) -> FloatArray:
    """Read weights; NaN where one is missing and rows without one are left out."""
    found: list[float] = []
    shown: list[str] = []
    bad, paths = 0, [Path(file) for file in data.reading.get("files", ())]
    missing = False
    for place, text in cells:
        number = spelling.number(text)
        gap = number is None or math.isnan(number)
        blank = number is not None and gap
        missing |= blank
        found.append(math.nan if number is None else number)
        if (blank and drop) or (not gap and 0 < found[-1] < math.inf):
            continue
        bad += 1
        if bad <= SHOWN:
            shown.append(f"{within(paths, place) if paths else place}: {text!r}")
    if bad:
        more = f"; and {bad - SHOWN} more" if bad > SHOWN else ""
        advice = "; --drop-missing leaves out rows in which a number is missing" if missing else ""
        raise InputError(
            f"{data.source or data.name}: {bad} of {len(found)} weights in {weight!r} are no "
            f"numbers above 0: {'; '.join(shown)}{more}. Leave a row that should not count out of "
            f"the file{advice}"
        )
    return np.array(found, dtype=np.float64)


def _of_files(data: GroupedData, weight: str) -> tuple[WeightedStats, tuple[float, float]]:
    """Weighted statistics of files of which no rows are kept, and the ends of the weights.

    The sums are taken about the means without weights that are known already, and corrected about
    the weighted ones.
    """
    import duckdb
    import pandas as pd

    if weight not in (known := names_of(data)):
        raise InputError(f"{data.name}: there is no column {weight!r}; there are {quoted(known)}")
    paths = [Path(file) for file in data.reading["files"]]
    value = data.reading["columns"]["value"]
    stats = data.stats
    assert isinstance(stats, GroupStats)
    with open_engine() as engine:
        source = open_source(engine, paths, spelling_of(data))
        column = source.text(group_column(data))
        label = f"trim({column}, {quoted_text(BLANKS)})"
        y, w = source.numbers(value), source.numbers(weight)
        index = np.arange(stats.J)
        engine.register(
            "groups",
            pd.DataFrame({"label": list(stats.labels), "place": index, "center": stats.mean}),
        )
        rows = (
            f"(SELECT {label} AS label, {y.number} AS v, {w.number} AS w FROM {source.table}) "
            "JOIN groups USING (label) WHERE v IS NOT NULL"
        )
        try:
            raw = engine.execute(
                "SELECT place, count(*) AS n, count_if(w IS NULL OR w <= 0) AS bad, "
                "min(w) AS low, max(w) AS high, fsum(w) AS total, "
                "fsum(CASE WHEN w > 0 THEN ln(w) END) AS logs, "
                "fsum(w * (v - center)) AS first, fsum(w * (v - center) ** 2) AS second "
                f"FROM {rows} GROUP BY 1 ORDER BY 1"
            ).fetchnumpy()
        except duckdb.Error as error:
            raise InputError(f"{source.where}: cannot be read ({error})") from None
        if int(plain(raw["bad"]).sum()):
            spelling = spelling_of(data)
            both = source.rows([value, weight], keep_empty=True)
            there = (
                (place, text)
                for place, (outcome, text) in both
                if (number := spelling.number(outcome)) is not None and not math.isnan(number)
            )
            _numbers(there, weight, spelling, data, drop=False)
    n: IntArray = plain(raw["n"]).astype(np.int64)
    if n.tolist() != stats.n.tolist():
        raise InputError(
            f"{data.source}: its rows are not those that were read before; read the data again"
        )
    total, first, second = (plain(raw[name]) for name in ("total", "first", "second"))
    found = WeightedStats(
        labels=stats.labels,
        n=n,
        mean=stats.mean + first / total,
        ss=np.where(n > 1, np.maximum(second - first**2 / total, 0.0), 0.0),
        total=total,
        logs=plain(raw["logs"]),
    )
    return found, (float(plain(raw["low"]).min()), float(plain(raw["high"]).max()))
