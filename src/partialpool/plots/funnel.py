"""Raw proportions or rates against how much they rest on, within the limits of chance."""

from __future__ import annotations

import pandas as pd
import plotnine as p9

from partialpool.plots.theme import BLACK, BLUE, GREY, VERMILLION, caption, text, theme

_LABELLED = 8


def funnel(
    points: pd.DataFrame,
    limits: pd.DataFrame,
    *,
    center: float,
    axis_title: str = "value",
    size_title: str = "Trials",
    logarithmic: bool = False,
    raw_name: str = "Raw proportion",
    words: str = "",
) -> p9.ggplot:
    """Draw each group's own estimate and its posterior mean over control limits.

    Spiegelhalter (2005, *Statistics in Medicine* 24, 1185-1202).

    Parameters
    ----------
    points
        Columns `group`, `size`, `raw`, `estimate` (posterior mean) and `outside` (whether the raw
        value lies beyond the outer limits; the eight farthest out are labelled), `distance` (how
        far it lies from the center).
    limits
        Columns `size`, `level` (title of a pair of limits), `low`, `high`.
    center
        Value of all groups together, between the limits.
    axis_title, size_title
        Titles of the axes.
    logarithmic
        Whether the axis of sizes is logarithmic.
    raw_name
        What the groups' own estimates are called.
    words
        What the lines are.
    """
    kinds = (raw_name, "Posterior mean")
    both = pd.concat(
        [
            points.assign(value=points[column], kind=pd.Categorical([kind] * len(points), kinds))
            for column, kind in zip(("raw", "estimate"), kinds, strict=True)
        ]
    )
    named = points[points["outside"]].nlargest(_LABELLED, "distance")
    named = named.assign(shown=[text(label, width=24) for label in named["group"]])
    levels = list(dict.fromkeys(limits["level"]))
    lines = pd.concat(
        [
            limits.assign(value=limits[end], line=limits["level"].astype(str) + end)
            for end in ("low", "high")
        ]
    )
    lines["level"] = pd.Categorical(lines["level"], levels)
    return (
        p9.ggplot(both, p9.aes("size", "value"))
        + p9.geom_hline(yintercept=center, color=GREY, size=0.5)
        + p9.geom_line(
            p9.aes(group="line", linetype="level"), data=lines, color=GREY, size=0.6, alpha=0.9
        )
        + p9.geom_segment(
            p9.aes(x="size", xend="size", y="raw", yend="estimate"),
            data=points,
            color="#CCCCCC",
            size=0.4,
        )
        + p9.geom_point(p9.aes(shape="kind", color="kind"), size=1.9, fill="none")
        + (
            [
                p9.geom_text(
                    p9.aes(y="raw", label="shown"),
                    data=named,
                    size=7,
                    color=BLACK,
                    va="bottom",
                    nudge_y=0.012 * float(points["raw"].max() - points["raw"].min()),
                )
            ]
            if len(named)
            else []
        )
        + p9.scale_color_manual(dict(zip(kinds, (VERMILLION, BLUE), strict=True)))
        + p9.scale_shape_manual(dict(zip(kinds, "oD", strict=True)))
        + p9.scale_linetype_manual(dict(zip(levels, ("dashed", "dotted"), strict=False)))
        + (p9.scale_x_log10() if logarithmic else p9.scale_x_continuous())
        + p9.labs(
            x=text(size_title, width=70),
            y=text(axis_title, width=40),
            color="",
            shape="",
            linetype="",
            caption=caption(words),
        )
        + theme(height=4.2, grid="y")
    )
