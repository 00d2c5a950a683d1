"""Numbers, rows and lists as sentences need them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.tables import exponential
from partialpool.tables.comparison import Comparison
from partialpool.text import counted, format_estimate

_LISTED = 8
_TIED = 3
_VOWEL = re.compile(r"(?!eu|one\b|uni|us[aeu])[aeiou]|hour|heir|hono", re.IGNORECASE)

Row = dict[str, Any]
"""One row of a frame."""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Rows of a frame as dictionaries."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(dtype=object)]


def lowest(frame: pd.DataFrame, column: str) -> Row:
    """Return the row with the smallest value in a column."""
    return rows_of(frame.iloc[[int(np.nanargmin(frame[column].to_numpy(dtype=float)))]])[0]


def highest(frame: pd.DataFrame, column: str) -> Row:
    """Return the row with the largest value in a column."""
    return rows_of(frame.iloc[[int(np.nanargmax(frame[column].to_numpy(dtype=float)))]])[0]


def number(value: float, mcse: float = math.nan, unit: str = "", *, of: str = "") -> str:
    """Write a number with the digits that its error supports, and its unit.

    `of` names the quantity, as for `format_estimate`.
    """
    shown = format_estimate(float(value), float(mcse), of=of).replace("-", "−")
    return f"{shown} {unit}" if unit else shown


def percent(p: float, draws: float) -> str:
    """Write a probability that was estimated from about `draws` independent draws."""
    error = math.sqrt(max(p * (1 - p), 1 / max(draws, 1)) / max(draws, 1))
    if p < 2 * error or p < 0.001:
        return f"less than {max(100 * 2 * error, 0.1):.2g} %"
    if 1 - p < 2 * error or p > 0.999:
        return f"more than {100 - max(100 * 2 * error, 0.1):.3g} %"
    return f"{number(100 * p, 100 * error)} %"


def group_word(comparison: Comparison) -> str:
    """What a group is called, within a sentence."""
    word = comparison.data.group_label
    return word[:1].lower() + word[1:] if word[1:] == word[1:].lower() else word


def poolings(comparison: Comparison) -> str:
    """Name the kinds of pooling that were fitted: "Complete, no and partial pooling"."""
    names = {"complete": "complete", "none": "no", "partial": "partial"}
    kinds = {fit.pooling for fit in comparison.fits}
    found = [name for kind, name in names.items() if kind in kinds]
    return f"{capital(listed(found))} pooling" if found else "Models"


def a_group(comparison: Comparison) -> str:
    """Name any group, with its article: "an arm", "a school"."""
    word = group_word(comparison)
    return f"{'an' if _VOWEL.match(word) else 'a'} {word}"


def a_new_group(comparison: Comparison) -> str:
    """Name a group that was not observed."""
    nesting = comparison.data.stats.nesting
    within = "" if nesting is None else f" in a new {nesting.label}"
    return f"a new {group_word(comparison)}{within}"


def run(what: str, low: tuple[str, str], high: tuple[str, str]) -> str:
    """Say from where to where something runs; of ends that look alike, what it is about.

    Parameters
    ----------
    what
        Several of it: "Sample means".
    low, high
        A number as text, and whose it is.
    """
    if low[0] == high[0]:
        return f"{what} are all about {low[0]}."
    return f"{what} run from {low[0]} in {low[1]} to {high[0]} in {high[1]}."


def named(comparison: Comparison, label: str) -> str:
    """Name a group within a sentence; a label that names its kind already stands alone."""
    word = group_word(comparison)
    return label if label.lower().startswith(word.lower()) else f"{word} {label}"


def noun(comparison: Comparison) -> str:
    """What a group's parameter is called beside its group, in one word: "mean", "effect"."""
    return comparison.data.words.theta.removeprefix("group ")


def nouns(comparison: Comparison) -> str:
    """Several of what `noun` names."""
    return comparison.data.words.thetas.removeprefix("group ")


def pulled_to(comparison: Comparison, *, several: bool = False) -> str:
    """What partial pooling pulls a group or several towards, within a sentence."""
    if comparison.data.stats.covariates is not None:
        return "the regression line"
    nesting = comparison.data.stats.nesting
    symbol = "μ" if nesting is None else "φ"
    symbol = f"exp({symbol})" if comparison.data.exp else symbol
    if nesting is None:
        return symbol
    of = f"the means of their {nesting.label}s" if several else f"the mean of its {nesting.label}"
    return f"{of}, {symbol},"


def groups_of(count: int) -> str:
    """Count groups: "8 groups", "1 group"."""
    return counted(count, "groups")


def everyone(comparison: Comparison, labels: Sequence[str]) -> str:
    """Name the groups that share a place; of many the first one and a count."""
    if len(labels) > _TIED:
        return f"{named(comparison, labels[0])} and {len(labels) - 1} others"
    return listed([named(comparison, label) for label in labels])


def tied(frame: pd.DataFrame, column: str, value: float) -> list[str]:
    """Labels of the groups that have a value in a column, but for rounding."""
    alike = np.isclose(frame[column].to_numpy(dtype=float), value, rtol=1e-12, atol=0)
    return [str(label) for label in frame.loc[alike, "group"]]


def leading(frame: pd.DataFrame, column: str, error: str, *, within: float = 2) -> pd.DataFrame:
    """Rows with the largest value in a column, as far as Monte Carlo errors can tell.

    The first row has the largest; the others differ from it by at most `within` standard errors
    of the difference.
    """
    ordered = frame.dropna(subset=column).sort_values(column, ascending=False, kind="stable")
    if ordered.empty:
        return ordered
    values, errors = (ordered[name].to_numpy(dtype=float) for name in (column, error))
    alike = values[0] - values <= within * np.nan_to_num(np.hypot(errors, errors[0]))
    return ordered.iloc[np.flatnonzero(alike)]


def moved_by(comparison: Comparison, row: Row, *, signed: bool = True) -> str:
    """Say how far an estimate moved from the group's own: a difference, or a factor of ratios."""
    moved, error = float(row["displacement"]), row["mcse"]
    if comparison.data.exp:
        error *= moved / row["estimate"]
        if not signed and moved < 1:
            moved, error = 1 / moved, error / moved**2
        return f"a factor of {number(moved, error)}"
    return number(moved if signed else abs(moved), error, comparison.data.unit_apart)


def raw_number(comparison: Comparison, value: float, unit: str = "") -> str:
    """Write a sample statistic on the scale of the data, as people read it."""
    data = comparison.data
    said = exponential.statistic(data, exponential.shown(data, float(value))).replace("-", "−")
    return f"{said} {unit}" if unit else said


def listed(items: Sequence[str]) -> str:
    """Join items for reading; of many the first ones and a count."""
    items = list(items)
    if len(items) > _LISTED:
        items = [*items[:_LISTED], f"{len(items) - _LISTED} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def capital(words: str) -> str:
    """Start with a capital."""
    return words[:1].upper() + words[1:]


def size_of(comparison: Comparison, row: Row) -> str:
    """Say how much is known of a group, by the column of its size in a row of a table."""
    column = next(iter(comparison.data.stats.sizes))
    whole = comparison.data.stats.sizes[column].dtype.kind in "iu"
    digits = ".7g" if whole else ".4g"
    return f"{comparison.data.words.size} = {row[column]:{digits}}".replace("-", "−")


def sizes(data: GroupedData) -> dict[str, str]:
    """Arguments of a figure that orders groups by how much is known of them."""
    column = next(iter(data.stats.sizes))
    words = data.words
    return {
        "size": column,
        "size_title": words.size_title,
        "least": words.least,
        "raw": words.raw,
    }


def scalar(comparison: Comparison, fit: Fit, parameter: str) -> Row | None:
    """Row of a scalar parameter in the estimates of a fit, where it has one."""
    rows = comparison.table("estimates", model=fit.name, parameter=parameter)
    rows = rows[rows["group"] == ""] if len(rows) else rows
    return rows_of(rows)[0] if len(rows) else None


def with_interval(row: Row, unit: str = "") -> str:
    """Posterior mean of a parameter with its 95 % interval."""
    of = row["parameter"]
    low, high = (number(row[end], row[f"mcse_{end}"], of=of) for end in ("q2.5", "q97.5"))
    mean = number(row["mean"], row["mcse_mean"], unit, of=of)
    return f"{mean} (95 % interval {low} to {high})"


def median_with_interval(row: Row, of: str, unit: str = "") -> str:
    """Posterior median with its 95 % interval, for what is skewed; `of` names the quantity."""
    shown = number(row["median"], row["mcse_median"], unit, of=of)
    low, high = (number(row[end], row[f"mcse_{end}"], of=of) for end in ("q2.5", "q97.5"))
    return f"{shown}, 95 % interval {low} to {high}"


def draws_of(comparison: Comparison, fit: Fit) -> float:
    """Smallest bulk ESS of the group means."""
    ess = comparison.table("estimates", model=fit.name, parameter="theta").get("ess_bulk")
    return float(ess.min()) if ess is not None and len(ess) else 1.0
