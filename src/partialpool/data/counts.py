"""Counts: successes of trials, or events in an exposure, by group or by part of a group.

Of proportions each row may be one trial; of rates, each row may have an exposure of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.engine import Source, plain
from partialpool.data.labels import strip_labels
from partialpool.data.rows import quoted
from partialpool.data.table import (
    Cells,
    Layout,
    Rule,
    Table,
    check_columns,
    group_column,
    known_columns,
)
from partialpool.errors import InputError
from partialpool.families.proportions import Proportions
from partialpool.families.proportions import proportions as check_proportions
from partialpool.families.proportions.statistics import MOST_TRIALS
from partialpool.families.rates import Rates
from partialpool.families.rates import rates as check_rates

NAMES = {"successes": ("successes",), "trials": ("trials",)}
"""Names by which the columns are known, whatever their case."""


def find_proportions(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str] | None:
    """Tell which columns hold group, successes and trials; None where one is not known.

    Parameters
    ----------
    header
        Names of all columns.
    named
        Role to column, where they are known: `group`, `successes`, `trials`. Where `successes` is
        named and `trials` is not, nor is there a column of that name, each row is one trial.
    """
    known = known_columns(header, NAMES)
    roles = [role for role in NAMES if role in named or role in known]
    found = {role: named.get(role) or known[role] for role in roles}
    if "successes" not in found or ("trials" not in found and "successes" not in named):
        return None
    group = named.get("group") or group_column(header, list(found.values()))
    return None if group is None else {"group": group, **found}


def proportion_layout(header: Sequence[str], named: Mapping[str, str], *, path: Path) -> Layout:
    """Settle the columns of successes and trials, and what they must keep to.

    Raises
    ------
    InputError
        A column is not named, absent, or named twice.
    """
    columns = find_proportions(header, named)
    if columns is None:
        if "successes" in named:
            problem = "name the group column with --group"
        else:
            problem = "trials need the successes among them: name their column with --successes"
        raise InputError(f"{path}: {problem}; the columns are {quoted(header)}")
    check_columns(columns, header, path=path)
    return Layout(columns, _COUNTS if "trials" in columns else _SINGLE)


def find_rates(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str] | None:
    """Tell which columns hold group, count and exposure; None where one is not known.

    Parameters
    ----------
    header
        Names of all columns.
    named
        Role to column: `group`, `count`, `exposure`. Without a count named there are none; without
        an exposure each row has one of 1.
    """
    if "count" not in named:
        return None
    known = known_columns(header, {"exposure": ("exposure",)})
    found = {"count": named["count"]}
    if "exposure" in named or "exposure" in known:
        found["exposure"] = named.get("exposure") or known["exposure"]
    group = named.get("group") or group_column(header, list(found.values()))
    return None if group is None else {"group": group, **found}


def rate_layout(header: Sequence[str], named: Mapping[str, str], *, path: Path) -> Layout:
    """Settle the columns of counts and exposures, and what they must keep to.

    Raises
    ------
    InputError
        A column is not named, absent, or named twice.
    """
    columns = find_rates(header, named)
    if columns is None:
        if "count" in named:
            problem = "name the group column with --group"
        else:
            problem = "an exposure needs the events counted in it: name their column with --count"
        raise InputError(f"{path}: {problem}; the columns are {quoted(header)}")
    check_columns(columns, header, path=path)
    rules = [_whole("count")]
    if "exposure" in columns:
        rules += [
            Rule(lambda values: values["exposure"] < 0, _below_zero),
            Rule(lambda values: (values["count"] > 0) & (values["exposure"] == 0), _in_nothing),
        ]
    return Layout(columns, rules)


def make_rates(table: Table, *, where: str) -> tuple[Rates, tuple[str, ...]]:
    """Add up the rows of each group, and say how many there were.

    Returns
    -------
    Rates, tuple of str
        In the order of groups, and notes.

    Raises
    ------
    InputError
        No exposure at all, or too many events.
    """
    counts = table.values["count"]
    notes: tuple[str, ...] = ()
    exposure = table.values.get("exposure")
    if exposure is None:
        exposure, notes = np.ones_like(counts), ("each row has an exposure of 1",)
    stats = check_rates(table.labels, counts, exposure, where=where)
    if len(counts) > stats.J:
        notes = (*notes, f"{len(counts):,} rows are added up by group")
    return stats, notes


def scan_counts(source: Source, layout: Layout) -> Table | None:
    """Add up the counts of each group in the engine, out of core; None where a row is not plain.

    Groups come in alphabetical order. A row is not plain where a number is missing, no number or
    breaks a rule; the rows are then to be read one by one, which says what is wrong.
    """
    import duckdb

    numbers = {role: source.numbers(layout.columns[role]) for role in layout.roles}
    label = source.label(layout.columns["group"])
    try:
        for how in ("unchecked", "number"):
            sums = _sums({role: getattr(found, how) for role, found in numbers.items()})
            query = (
                "SELECT CAST(label AS VARCHAR) AS label, * EXCLUDE (label) FROM (SELECT "
                f"{label} AS label, count(*) AS rows, {sums} FROM {source.table} GROUP BY 1) "
                "ORDER BY 1"
            )
            raw: dict[str, Any] = source.engine.execute(query).fetchnumpy()
            counts, good = plain(raw["rows"]), plain(raw["plain"])
            if (counts == good).all():
                break
        if not len(counts) or (counts != good).any() or np.ma.getmaskarray(raw["label"]).any():
            return None
        labels = [str(each) for each in raw["label"]]
        clean, notes = strip_labels(labels, str, counts=counts.astype(int).tolist())
    except (duckdb.Error, InputError):
        return None
    first, second = ("count", "exposure") if "count" in numbers else ("successes", "trials")
    values = {first: plain(raw["s"])}
    if second in numbers or (counts > 1).any():
        values[second] = plain(raw["t"])
    alone = {"trials": "each row is one trial", "exposure": "each row has an exposure of 1"}
    added = [alone[second]] if second not in numbers and second in values else []
    if (counts > 1).any() and "each row is one trial" not in added:
        added.append(f"{int(counts.sum()):,} rows are added up by group")
    return Table(clean, values, (*notes, *added))


def _sums(numbers: Mapping[str, str]) -> str:
    """SQL of sums of counts `s` and of what they are of `t`, and of the number of `plain` rows."""
    if "count" in numbers:
        return _sums_of_rates(numbers["count"], numbers.get("exposure"))
    successes, trials = numbers["successes"], numbers.get("trials")
    if trials is None:
        return f"sum({successes}) AS s, count(*) AS t, count_if({successes} IN (0, 1)) AS plain"
    whole = " AND ".join(f"{x} = round({x})" for x in (successes, trials))
    within = f"{successes} BETWEEN 0 AND {trials} AND {trials} <= {MOST_TRIALS} AND {whole}"
    return f"sum({successes}) AS s, sum({trials}) AS t, count_if({within}) AS plain"


def _sums_of_rates(events: str, exposure: str | None) -> str:
    """The same of events and exposure."""
    whole = f"{events} >= 0 AND {events} = round({events})"
    if exposure is None:
        return f"sum({events}) AS s, CAST(count(*) AS DOUBLE) AS t, count_if({whole}) AS plain"
    within = f"isfinite(CAST({exposure} AS DOUBLE)) AND {exposure} >= 0"
    seen = f"({events} = 0 OR {exposure} > 0)"
    sums = f"sum({events}) AS s, sum(CAST({exposure} AS DOUBLE)) AS t"
    return f"{sums}, count_if({whole} AND {within} AND {seen}) AS plain"


def make_proportions(table: Table, *, where: str) -> tuple[Proportions, tuple[str, ...]]:
    """Add up the rows of each group, and say how many there were.

    Returns
    -------
    Proportions, tuple of str
        In the order of groups, and notes.

    Raises
    ------
    InputError
        No trial at all, or too many.
    """
    successes = table.values["successes"]
    single = "trials" not in table.values
    trials = np.ones_like(successes) if single else table.values["trials"]
    stats = check_proportions(table.labels, successes, trials, where=where)
    rows = len(table.labels)
    if single:
        return stats, ("each row is one trial",)
    if rows > stats.J:
        return stats, (f"{rows:,} rows are added up by group",)
    return stats, ()


def _below_zero(cells: Cells) -> str:
    return f"exposure is {cells['exposure'].strip()!r}; a number of 0 or more is needed"


def _in_nothing(cells: Cells) -> str:
    return (
        f"there are {cells['count'].strip()} events in an exposure of 0; give the exposure that "
        "they were counted in"
    )


def _not_whole(role: str, cells: Cells) -> str:
    text = cells[role].strip()
    hint = ""
    if role == "successes" and "trials" in cells:
        hint = "; of a proportion or a percentage give the successes themselves"
    return f"{role} is {text!r}; a whole number of 0 or more is needed{hint}"


def _beyond(cells: Cells) -> str:
    return (
        f"there are {cells['successes'].strip()} successes in {cells['trials'].strip()} trials; "
        "successes cannot be more than trials"
    )


def _no_outcome(cells: Cells) -> str:
    return (
        f"successes is {cells['successes'].strip()!r}, and where each row is one trial it is 0 or "
        "1; of several trials a row name the column of their number with --trials"
    )


def _whole(role: str) -> Rule:
    return Rule(
        lambda values: (values[role] < 0) | (values[role] != np.round(values[role])),
        lambda cells: _not_whole(role, cells),
    )


_COUNTS = (
    _whole("successes"),
    _whole("trials"),
    Rule(lambda values: values["successes"] > values["trials"], _beyond),
)
_SINGLE = (
    Rule(lambda values: (values["successes"] != 0) & (values["successes"] != 1), _no_outcome),
)
