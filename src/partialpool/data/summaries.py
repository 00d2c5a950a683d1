"""Summaries by group: n, mean and sd, as good to a normal likelihood as the observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from partialpool.data.rows import quoted
from partialpool.data.table import (
    Cells,
    Layout,
    Rule,
    Table,
    Values,
    check_columns,
    group_column,
    known_columns,
)
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats, check_overflow, ordered

NAMES = {"n": ("n", "count"), "mean": ("mean",), "sd": ("sd", "std")}
"""Names by which the columns are known, whatever their case."""


def find_summaries(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str] | None:
    """Tell which columns hold group, n, mean and sd; None where the file holds no summaries.

    Parameters
    ----------
    header
        Names of all columns.
    named
        Role to column, where they are known: `group`, `n`, `mean`, `sd`.
    """
    found = {**known_columns(header, NAMES), **{r: c for r, c in named.items() if r in NAMES}}
    if len(found) < len(NAMES):
        return None
    group = named.get("group") or group_column(header, list(found.values()))
    return None if group is None else {"group": group, **{role: found[role] for role in NAMES}}


def summary_layout(header: Sequence[str], named: Mapping[str, str], *, path: Path) -> Layout:
    """Settle the columns of summaries, and what they must keep to.

    Raises
    ------
    InputError
        A column is not named, absent, or named twice.
    """
    columns = find_summaries(header, named)
    if columns is None:
        raise InputError(
            f"{path}: summaries need columns of the group, n, mean and sd; name them with --group, "
            f"--n, --mean, --sd; the columns are {quoted(header)}"
        )
    check_columns(columns, header, path=path)
    return Layout(columns, _RULES, _filled)


def make_summaries(table: Table, *, where: str) -> GroupStats:
    """Turn n, mean and sd into sufficient statistics.

    Raises
    ------
    InputError
        A group occurs twice, or squares overflow.
    """
    seen: set[str] = set()
    for label in table.labels:
        if label in seen:
            raise InputError(f"{where}: group {label!r} has more than one row; one is needed")
        seen.add(label)
    n, mean, sd = (table.values[role] for role in NAMES)
    with np.errstate(over="ignore"):
        ss = (n - 1) * sd**2
    stats = ordered(GroupStats(tuple(table.labels), n.astype(np.int64), mean, ss))
    check_overflow(stats, where)
    return stats


def _filled(values: Values) -> Values:
    """Give the sd of one observation, which has none."""
    single = np.isnan(values["sd"]) & (values["n"] == 1)
    return {**values, "sd": np.where(single, 0.0, values["sd"])}


def _no_count(cells: Cells) -> str:
    return f"n is {cells['n']!r}; a whole number of at least 1 is needed"


def _no_spread(cells: Cells) -> str:
    return (
        f"sd is {cells['sd']!r} for n = {cells['n'].strip()}; it must not be negative, and the sd "
        "of one observation is left empty"
    )


_RULES = (
    Rule(lambda v: (v["n"] < 1) | (v["n"] != np.round(v["n"])), _no_count),
    Rule(lambda v: (v["sd"] < 0) | ((v["n"] == 1) & (v["sd"] > 0)), _no_spread),
)
