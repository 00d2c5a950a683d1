"""Figures that set groups against each other: pairs and ranks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotnine as p9

from partialpool.plots.marks import extremes
from partialpool.plots.theme import (
    BLUE,
    VERMILLION,
    caption,
    group_axis,
    text,
    theme,
    titles,
)

_MOST_CELLS = 12
_SHORT = 3
_MOST_RANKS = 60


def contrast_matrix(
    contrasts: pd.DataFrame,
    *,
    order: list[str],
    models: Mapping[str, str] | None = None,
) -> p9.ggplot:
    """P(theta_row > theta_column) for each pair once, one panel a model.

    Parameters
    ----------
    contrasts
        Columns `model`, `group_i`, `group_j`, `p_greater`; each pair once or in both directions.
    order
        The groups from the highest to the lowest estimate. Beyond 40 groups the pairs among the
        12 highest and the 12 lowest are shown.
    models
        Name of each model to its title.
    """
    kept, dropped = extremes(order)
    shown = titles(contrasts, models)
    c = contrasts[contrasts["group_i"].isin(kept) & contrasts["group_j"].isin(kept)]
    c = c[["model", "group_i", "group_j", "p_greater"]]
    mirrored = c.rename(columns={"group_i": "group_j", "group_j": "group_i"})
    cells = pd.concat([c, mirrored.assign(p_greater=1 - c["p_greater"])], ignore_index=True)
    cells = cells.drop_duplicates(["model", "group_i", "group_j"])
    place = {label: k for k, label in enumerate(kept)}
    cells = cells[cells["group_i"].map(place) < cells["group_j"].map(place)]
    cells["model"] = pd.Categorical(cells["model"].map(shown), list(shown.values()))
    cells["said"] = [_percent(p) for p in cells["p_greater"]]
    few = len(kept) <= _MOST_CELLS
    short = max(len(text(label)) for label in kept) <= _SHORT
    scale, rows = group_axis(kept, 0)
    across = [text(label) for label in kept]
    if not short:
        across = [str(place) for place in range(1, len(kept) + 1)]
        scale.labels = [
            f"{shown}  {place}" for shown, place in zip(scale.labels, reversed(across), strict=True)
        ]
    columns = 2 if few and short and len(shown) > 1 else 1
    down = -(-len(shown) // columns)
    words = [
        "Numbers in cells are percentages." * few,
        f"The {dropped} groups between the highest and the lowest are left out." * bool(dropped),
        "Highest estimate at the top and on the left.",
    ]
    figure = (
        p9.ggplot(cells, p9.aes("group_j", "group_i"))
        + p9.geom_tile(p9.aes(fill="p_greater"), color="white", size=0.3)
        + p9.facet_wrap("model", ncol=columns)
        + p9.scale_fill_gradient2(
            low=VERMILLION, mid="#F7F7F7", high=BLUE, midpoint=0.5, limits=(0, 1), guide=_bar()
        )
        + scale
        + p9.scale_x_discrete(limits=kept, labels=across)
        + p9.labs(
            x="… than column)",
            y="P(row is higher …",
            caption=caption(" ".join(filter(None, words))),
        )
        + theme(height=max(down * (rows * (1.0 if few else 0.75) + 0.6), 2) + 0.9, grid="")
        + p9.theme(legend_position="none" if few else "right")
    )
    if few:
        strong = (cells["p_greater"] - 0.5).abs() > 0.4
        figure += p9.geom_text(
            p9.aes(label="said", group=1), data=cells[~strong], size=7.5, color="#222222"
        )
        figure += p9.geom_text(
            p9.aes(label="said", group=1), data=cells[strong], size=7.5, color="white"
        )
    return figure


def _bar() -> p9.guide_colorbar:
    """Colour bar of few rectangles: a smooth one is two megabytes of SVG."""
    return p9.guide_colorbar(nbin=24, display="rectangles")


def _percent(p: float) -> str:
    """A probability as a percentage; draws cannot tell 0 or 100 from what is close to it."""
    if p < 0.01:
        return "<1"
    return ">99" if p > 0.99 else f"{100 * p:.0f}"


def rank_heat_map(
    ranks: pd.DataFrame,
    *,
    order: list[str],
    group_title: str = "Group",
    models: Mapping[str, str] | None = None,
    ranked: str = "mean",
) -> p9.ggplot:
    """P(group has rank r), one panel a model; rank 1 is the largest mean.

    Parameters
    ----------
    ranks
        Columns `model`, `group`, `rank`, `probability`; beyond 60 ranks they are binned.
    order
        The groups from the highest to the lowest estimate. Beyond 40 groups the 12 highest and
        the 12 lowest are shown.
    group_title
        What a group is called.
    models
        Name of each model to its title.
    ranked
        What is ranked, in one word.
    """
    shown = titles(ranks, models)
    kept, dropped = extremes(order)
    frame = ranks[ranks["group"].isin(kept)].copy()
    J = len(order)
    width = max(1, int(np.ceil(J / _MOST_RANKS)))
    frame["rank"] = (frame["rank"] - 1) // width * width + (width + 1) / 2
    by = ["model", "group", "rank"]
    frame = frame.groupby(by, sort=False)[["probability"]].sum().reset_index()
    frame["model"] = pd.Categorical(frame["model"].map(shown), list(shown.values()))
    scale, rows = group_axis(kept, dropped)
    columns = min(2, len(shown))
    down = -(-len(shown) // columns)
    breaks = list(range(1, J + 1)) if J <= _MOST_CELLS else [1, round(J / 2), J]
    return (
        p9.ggplot(frame, p9.aes("rank", "group", fill="probability"))
        + p9.geom_tile(color="white", size=0.2 if J <= 40 else 0)
        + p9.facet_wrap("model", ncol=columns)
        + p9.scale_fill_gradient(low="#F4F8FB", high="#00426B", limits=(0, None), guide=_bar())
        + p9.scale_x_continuous(breaks=breaks, expand=(0, 0))
        + scale
        + p9.labs(
            x=f"Rank (1 = highest {ranked})" + (f", in bins of {width}" if width > 1 else ""),
            y=text(group_title, width=18),
            fill="Probability",
        )
        + theme(height=down * (rows + 0.5) + 1.2, grid="")
        + p9.theme(
            legend_title=p9.element_text(size=9.5), legend_position="right", legend_key_width=12
        )
    )
