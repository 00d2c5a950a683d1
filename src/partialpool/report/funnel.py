"""Funnel plot of counts: which groups differ from all by more than chance would have them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from partialpool.families.counts import CountsFamily
from partialpool.fitting import Fit
from partialpool.report.drawing import Figure
from partialpool.report.model_figures import axes
from partialpool.report.wording import capital
from partialpool.tables import exponential
from partialpool.tables.comparison import Comparison

LEVELS = {0.95: "95 % limits", 0.998: "99.8 % limits"}
"""Probability between a pair of limits to its title; those that are customary."""

_APART = 1.2
_DECADE = 8.0
_POINTS = 160


def shown(comparison: Comparison) -> bool:
    """Whether groups are counts of different sizes, so that there is a funnel."""
    data = comparison.data
    sizes = data.stats.weight[data.stats.weight > 0]
    return (
        isinstance(data.family, CountsFamily)
        and len(sizes) > 1
        and bool(sizes.max() > _APART * sizes.min())
    )


def figure(comparison: Comparison, fit: Fit) -> Figure:
    """Draw raw values and posterior means by size, with limits about the value of all groups."""
    data, stats = comparison.data, comparison.data.stats
    family = data.family
    assert isinstance(family, CountsFamily)
    seen = stats.weight > 0
    sizes = stats.weight[seen]
    wide = bool(sizes.max() > _DECADE * sizes.min())
    space = np.geomspace if wide else np.linspace
    grid = family.whole_sizes(space(float(sizes.min()), float(sizes.max()), _POINTS))
    rows = comparison.table("shrinkage", model=fit.name).set_index("group")
    labels = np.array(stats.labels, dtype=object)[seen]
    center = exponential.shown(data, stats.grand_mean)
    low, high = family.limits(stats, sizes, max(LEVELS))
    raw = stats.raw[seen]
    outside = (raw < low) | (raw > high)
    raw = exponential.shown(data, raw)
    limits = []
    for level, title in LEVELS.items():
        ends = family.limits(stats, grid, level)
        below, above = (exponential.shown(data, end) for end in ends)
        limits.append(pd.DataFrame({"size": grid, "level": title, "low": below, "high": above}))
    points = pd.DataFrame(
        {
            "group": labels,
            "size": sizes,
            "raw": raw,
            "estimate": rows.loc[list(labels), "estimate"].to_numpy(),
            "outside": outside,
            "distance": np.abs(raw - center) * np.sqrt(sizes),
        }
    )
    words = data.words
    count = int(outside.sum())
    of = f"{count} of {len(sizes)} {words.raws} {'lies' if count == 1 else 'lie'}"
    return Figure(
        "funnel",
        "funnel",
        {
            "points": points,
            "limits": pd.concat(limits, ignore_index=True),
            "center": center,
            "axis_title": axes(comparison)["axis_title"],
            "size_title": words.size_title,
            "logarithmic": wide,
            "raw_name": capital(words.raw),
            "words": "Limits: where that share of the values of groups would lie that do not "
            "differ; line between them: all groups together.",
        },
        f"The {words.raws} by {words.size}, with limits about the {words.reference}, and what "
        f"{fit.title} makes of them. {of} beyond the 99.8 % limits, where 2 in 1000 would by "
        "chance.",
        f"Funnel plot of {len(sizes)} {words.raws}; {of} beyond the outer limits.",
    )
