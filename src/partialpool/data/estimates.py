"""Estimates with known standard errors, one a group: from errors, variances or intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist

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
from partialpool.families.known_errors import Estimates
from partialpool.families.known_errors import estimates as check_estimates
from partialpool.types import BoolArray, FloatArray

LEVEL = 0.95
"""Probability of intervals whose level nobody names."""

NAMES = {
    "estimate": ("estimate",),
    "se": ("se", "std.error", "std_error"),
    "variance": ("variance",),
}
"""Names by which the columns are known, whatever their case."""

_SLACK = 0.01
_DIGITS = 16


def find_estimates(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str] | None:
    """Tell which columns hold group, estimate and precision; None where one is not known.

    Parameters
    ----------
    header
        Names of all columns.
    named
        Role to column, where they are known: `group`, `estimate`, and `se`, `variance`, or `low`
        and `high`.
    """
    found = _of_numbers(header, named)
    if "estimate" not in found or len(found) == 1:
        return None
    group = named.get("group") or group_column(header, list(found.values()))
    return None if group is None else {"group": group, **found}


def _of_numbers(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Columns of estimate and precision, as far as they are known."""
    known = known_columns(header, NAMES)
    precision = {role: named[role] for role in _PRECISION if role in named}
    for role in ("se", "variance"):
        if not precision and role in known:
            precision = {role: known[role]}
    estimate = named.get("estimate") or known.get("estimate")
    return {**({"estimate": estimate} if estimate else {}), **precision}


def estimate_layout(header: Sequence[str], named: Mapping[str, str], *, path: Path) -> Layout:
    """Settle the columns of estimates, and what they must keep to.

    Raises
    ------
    InputError
        A column is not named, absent, or named twice.
    """
    columns = find_estimates(header, named)
    if columns is None:
        found = _of_numbers(header, named)
        if "estimate" not in found:
            problem = (
                "standard errors need the estimates that they belong to: name their column with "
                "--estimate"
            )
        elif len(found) == 1:
            problem = (
                "estimates need their standard errors: name the column with --se, that of their "
                "squares with --variance, or those of the ends of intervals with --ci LOW HIGH"
            )
        else:
            problem = "name the group column with --group"
        raise InputError(f"{path}: {problem}; the columns are {quoted(header)}")
    check_columns(columns, header, path=path)
    return Layout(columns, [rule for role, rule in _RULES if role in columns])


def check_level(level: float) -> float:
    """Refuse a probability of intervals that is none.

    Raises
    ------
    InputError
        It is not between 0 and 1.
    """
    if not 0 < level < 1:
        meant = f"; for {level:g} % give {level / 100:g}" if 1 < level < 100 else ""
        raise InputError(f"level {level:g}: it must lie between 0 and 1, such as 0.95{meant}")
    return level


def make_estimates(
    table: Table, columns: Mapping[str, str], *, level: float, where: str
) -> tuple[Estimates, tuple[str, ...]]:
    """Turn a table into estimates with standard errors, and say where the errors come from.

    Parameters
    ----------
    table
        Rows that keep to the layout.
    columns
        Role to column.
    level
        Probability of the intervals, where there are some.
    where
        What messages call the data.

    Returns
    -------
    Estimates, tuple of str
        In the order of groups, and notes.

    Raises
    ------
    InputError
        A group has more than one estimate, or squares overflow.
    """
    values = table.values
    notes: tuple[str, ...] = ()
    if "se" in values:
        se = values["se"]
    elif "variance" in values:
        se = np.sqrt(values["variance"])
        notes = (f"standard errors are the square roots of {columns['variance']}",)
    else:
        reach = 2 * NormalDist().inv_cdf(0.5 + level / 2)
        with np.errstate(over="ignore"):
            se = (values["high"] - values["low"]) / reach
        length = f"{columns['high']} - {columns['low']}"
        notes = (
            f"standard errors are the lengths of the {100 * level:g} % intervals, {length}, over "
            f"{reach:.4g}",
            *_lopsided(table),
        )
    return check_estimates(table.labels, values["estimate"], se, where=where), notes


def _lopsided(table: Table) -> tuple[str, ...]:
    """Say which intervals are not symmetric about their estimates by more than rounding explains.

    The middle of an interval and its estimate, as written, may differ by half a unit of the last
    digit each; what is less than a hundredth of the interval's length is of no importance.
    """
    estimate, low, high = (table.values[role] for role in ("estimate", "low", "high"))
    rounding = 0.5 * (_unit(estimate) + 0.5 * (_unit(low) + _unit(high)))
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(0.5 * low + 0.5 * high - estimate)
        odd = np.flatnonzero(off > 1.001 * rounding + _SLACK * (high - low))
    if len(odd) == 0:
        return ()
    first = int(odd[0])
    return (
        f"{len(odd):,} of {len(estimate):,} intervals are not symmetric about their estimates, "
        f"such as {estimate[first]:g} in ({low[first]:g}, {high[first]:g}) of group "
        f"{table.labels[first]!r}: of a ratio, give the logarithms of estimate and interval",
    )


def _unit(numbers: FloatArray) -> float:
    """Power of ten that all numbers are multiples of, as far as doubles can tell."""
    with np.errstate(over="ignore", invalid="ignore"):
        for digits in range(_DIGITS):
            if np.array_equal(np.round(numbers, digits), numbers):
                return float(10.0**-digits)
    return 0.0


def _not_above_zero(role: str, what: str) -> Rule:
    return Rule(
        lambda values: ~(values[role] > 0),
        lambda cells: f"{role} is {cells[role]!r}; a {what} above zero is needed",
    )


def _reversed(cells: Cells) -> str:
    return (
        f"the interval from {cells['low']!r} to {cells['high']!r} is reversed; --ci takes the "
        "column of lower ends first, then that of upper ends"
    )


def _empty(cells: Cells) -> str:
    return (
        f"the interval from {cells['low']!r} to {cells['high']!r} has no length, and a standard "
        "error above zero is needed"
    )


def _outside(cells: Cells) -> str:
    return (
        f"the interval from {cells['low']!r} to {cells['high']!r} does not hold the estimate "
        f"{cells['estimate']!r}"
    )


def _is_outside(values: Values) -> BoolArray:
    estimate = values["estimate"]
    return np.asarray((estimate < values["low"]) | (estimate > values["high"]))


_PRECISION = ("se", "variance", "low", "high")
_RULES = (
    ("se", _not_above_zero("se", "standard error")),
    ("variance", _not_above_zero("variance", "variance")),
    ("low", Rule(lambda values: values["low"] > values["high"], _reversed)),
    ("low", Rule(lambda values: values["low"] == values["high"], _empty)),
    ("low", Rule(_is_outside, _outside)),
)
