"""Sentences on the data: size, spread, and what to be wary of."""

from __future__ import annotations

import pandas as pd

from partialpool.report.wording import (
    Row,
    capital,
    everyone,
    highest,
    lowest,
    named,
    number,
    raw_number,
    tied,
)
from partialpool.tables.comparison import Comparison


def about_data(comparison: Comparison) -> list[str]:
    """Size and spread of the data, and what to be wary of."""
    data, stats, words = comparison.data, comparison.data.stats, comparison.data.words
    column = next(iter(stats.sizes))
    labels = pd.Series(stats.labels, dtype=object)  # as they are: there may be a million
    frame = pd.DataFrame({"group": labels, "raw": stats.raw, **stats.sizes})
    frame = frame.assign(weight=stats.weight, raw_se=stats.raw_se)
    be = "is" if stats.N == 1 else "are"
    said = [f"There {be} {data.family.count(stats)}{_sizes(comparison, frame, column)}."]
    if data.log:
        said.append(
            "The models are fitted to the logarithms of the observations, and exponentials are "
            "shown: means are geometric means in the unit of the data, differences are ratios and "
            "sds of means are factors, while σ, τ, R, standard errors and priors are those of the "
            "logarithms."
        )
    elif data.exp:
        said.append(
            "The estimates are logarithms, and their exponentials are shown: means are geometric "
            "means, differences are ratios and sds are factors, while models, priors, τ, standard "
            "errors and I² are those of the logarithms."
        )
    low, high = lowest(frame, "raw"), highest(frame, "raw")
    if stats.J == 1:
        ends = f"The {words.raw} is {raw_number(comparison, high['raw'], data.unit)}."
    elif low["raw"] == high["raw"]:
        ends = f"The {words.raw} of every group is {raw_number(comparison, high['raw'])}."
    else:
        ends = (
            f"The {words.raws} of the groups run from "
            f"{_with_groups(comparison, frame, 'raw', low, low['raw'])} to "
            f"{_with_groups(comparison, frame, 'raw', high, high['raw'])}."
        )
    middle = raw_number(comparison, stats.grand_mean, data.unit)
    spread = number(stats.total_sd) if data.log else raw_number(comparison, stats.total_sd)
    if not data.family.rows_are_groups:
        introduced, of = words.middle, " of logarithms" if data.log else ""
        if data.log:
            introduced = introduced.replace("mean", "geometric mean")
        said.append(f"{introduced} {middle} and their standard deviation{of} {spread}. {ends}")
    elif stats.J > 1:
        introduced = words.middle
        if data.exp:
            introduced = introduced.replace("mean", "geometric mean")
        said.append(f"{introduced} {middle}. {ends}")
    else:
        said.append(ends)
    return [*said, *_weak_extreme(comparison, frame), *(f"{capital(n)}." for n in data.notes)]


def _weak_extreme(comparison: Comparison, frame: pd.DataFrame) -> list[str]:
    """Warn where the group of which least is known is the highest or the lowest."""
    words, stats = comparison.data.words, comparison.data.stats
    least = lowest(frame, "weight")
    alone = len(tied(frame, "weight", least["weight"])) == 1
    if not alone or least["weight"] >= 0.6 * frame["weight"].mean():
        return []
    said = []
    for find, word in ((highest, "highest"), (lowest, "lowest")):
        end = find(frame, "raw")
        if end["group"] != least["group"] or len(tied(frame, "raw", end["raw"])) > 1:
            continue
        if abs(end["raw"] - stats.grand_mean) < end["raw_se"]:  # no more extreme than its error
            continue
        who = capital(named(comparison, end["group"]))
        if comparison.data.family.rows_are_groups and comparison.data.family.gaussian:
            said.append(
                f"{who} has the {word} {words.raw} and the largest {words.size}. An estimate with "
                "a large error is more easily extreme, so this may be a difference between groups "
                "or chance."
            )
        else:
            said.append(
                f"{who} has the {word} {words.raw} and the {words.least}. A small sample gives an "
                "extreme value more easily, so this may be a difference between groups or an "
                "accident of sampling."
            )
    return said


def _with_groups(
    comparison: Comparison, frame: pd.DataFrame, column: str, row: Row, value: float
) -> str:
    """Write a sample statistic with the groups that have it."""
    groups = everyone(comparison, tied(frame, column, row[column]))
    return f"{raw_number(comparison, value)} ({groups})"


def _sizes(comparison: Comparison, frame: pd.DataFrame, column: str) -> str:
    """Say how much is known of the groups."""
    small, large = lowest(frame, column), highest(frame, column)
    first, last = (everyone(comparison, tied(frame, column, r[column])) for r in (small, large))
    if frame[column].dtype.kind in "iu":
        if len(frame) == 1:
            return ""
        if small[column] == large[column]:
            return f", {small[column]} in each"
        return f", from {small[column]} ({first}) to {large[column]} ({last})"
    low, high = (f"{row[column]:.4g}".replace("-", "−") for row in (small, large))
    if amount := comparison.data.words.amount:
        if small[column] == large[column]:
            return f", {amount.removesuffix('s')} {low}{' each' if len(frame) > 1 else ''}"
        return f", {amount} from {low} ({first}) to {high} ({last})"
    if len(frame) == 1:
        return f" of {low}"
    if small[column] == large[column]:
        return f" of {low} each" if comparison.data.family.gaussian else f", {low} in each"
    link = "" if comparison.data.family.gaussian else ","
    if comparison.data.stats.nesting is not None:
        link = ", the errors"
    return f"{link} from {low} ({first}) to {high} ({last})"
