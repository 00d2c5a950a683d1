"""What a report says of observations that lie far off, where errors are Student t."""

from __future__ import annotations

import pandas as pd

from partialpool.report import cells
from partialpool.report.outliers import degrees_line
from partialpool.report.wording import (
    a_group,
    capital,
    listed,
    median_with_interval,
    named,
    number,
    rows_of,
    scalar,
)
from partialpool.tables.comparison import Comparison
from partialpool.tables.outlying import LITTLE

_NAMED = 3
_DIGITS = 0.005


def lines(comparison: Comparison) -> list[str]:
    """Say how heavy the tails of the errors are, and which observations count for little."""
    fit, name = comparison.model("partial"), comparison.data.family.errors_degrees
    if fit is None or not comparison.concludes(fit.name) or not name:
        return []
    nu, table = scalar(comparison, fit, name), comparison.table("outlying", model=fit.name)
    said = []
    if nu is not None:
        shown = median_with_interval(nu, "nu")
        said.append(degrees_line(fit.record.priors, shown, of="errors"))
    if len(table):
        said.append(_weights(comparison, table))
    others = [each for each in comparison.fits if each.pooling in ("complete", "none")]
    if others:
        names = [each.title for each in others]
        verb = "has" if len(names) == 1 else "have"
        said.append(f"{capital(listed(names))} {verb} normal errors.")
    return said


def _weights(comparison: Comparison, table: pd.DataFrame) -> str:
    """Name the observations that count least."""
    little, total = table[table["weight"] < LITTLE], len(table)
    first = rows_of(table)[0]
    one = a_group(comparison).split(" ", 1)[1]
    if little.empty:
        return (
            "No observation counts for little: the least weight, where 1 is the mean before the "
            f"data are seen, has {_which(comparison, first)}."
        )
    shown = [_which(comparison, row) for row in rows_of(little)[:_NAMED]]
    more = len(little) - len(shown)
    count = f"{len(little)} of {total} observations" if len(little) > 1 else "One observation"
    verb = "count" if len(little) > 1 else "counts"
    rest = [f"{more} more"] if more > 0 else []
    return (
        f"{count} {verb} for little, with weights below {LITTLE:g} where 1 is the mean before the "
        f"data are seen: {listed([*shown, *rest])}. How far off an observation lies is counted "
        f"from the mean of its {one}, in scales σ of the errors."
    )


def _which(comparison: Comparison, row: dict[str, object]) -> str:
    """Name an observation: its value, group, weight and distance."""
    value = f"{float(str(row['value'])):.4g}"
    weight = number(float(str(row["weight"])), _DIGITS)
    off = float(str(row["off"]))
    side = "above" if off > 0 else "below"
    apart = number(abs(off), 0.05)
    return f"{value} in {named(comparison, str(row['group']))} (weight {weight}, {apart} σ {side})"


def view(comparison: Comparison) -> cells.View | None:
    """The observations and their weights, the least first."""
    fit = comparison.model("partial")
    table = comparison.table("outlying", model=fit.name) if fit else pd.DataFrame()
    return cells.view(
        "How much each observation counts, the least first",
        table,
        [
            ("Observation", cells.count("observation")),
            (comparison.data.group_label, cells.text("group")),
            (comparison.data.axis_title, cells.digits("value", ".5g")),
            ("Off, in σ", cells.fraction("off")),
            ("Weight", cells.estimate("weight", "mcse")),
        ],
        csv="outlying",
        note="Weight: the mean of (ν + 1) / (ν + z²) for an observation z scales from the mean of "
        "its group; 1 is the mean before the data are seen.",
    )
