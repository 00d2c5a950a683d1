"""Groups against their regression line: what covariates explain, and what is left."""

from __future__ import annotations

import pandas as pd
import plotnine as p9

from partialpool.plots.theme import (
    BLUE,
    GREY,
    VERMILLION,
    caption,
    ratio_axis,
    text,
    theme,
)

_LABELLED = 25


def groups_along_line(
    points: pd.DataFrame,
    line: pd.DataFrame,
    *,
    x_title: str,
    axis_title: str = "value",
    raw: str = "raw mean",
    curve: str = "regression line",
    ratios: bool = False,
) -> p9.ggplot:
    """Each group's own estimate and its posterior against what explains it, with the line.

    Gelman and Hill, *Data Analysis Using Regression and Multilevel/Hierarchical Models* (2007),
    figure 12.5.

    Parameters
    ----------
    points
        Columns `group`, `x`, `raw`, `estimate`, `q2.5`, `q97.5`; up to 25 groups are labelled.
    line
        Columns `x`, `mean`, `q2.5`, `q97.5`.
    x_title, axis_title
        Titles of the axes.
    raw
        What the open circles are called.
    curve
        What the line is.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    """
    labelled = points if len(points) <= _LABELLED else points.iloc[:0]
    shown = labelled.assign(shown=[text(group, width=14) for group in labelled["group"]])
    reach = float(line["x"].max() - line["x"].min()) or 1.0
    return (
        p9.ggplot(points, p9.aes("x"))
        + (ratio_axis(flipped=True) if ratios else [])
        + p9.geom_ribbon(
            p9.aes("x", ymin="q2.5", ymax="q97.5"),
            data=line,
            inherit_aes=False,
            fill="#BBD7EA",
            alpha=0.6,
        )
        + p9.geom_line(p9.aes("x", "mean"), data=line, inherit_aes=False, color=GREY)
        + p9.geom_linerange(p9.aes(ymin="q2.5", ymax="q97.5"), color=BLUE, size=0.6)
        + p9.geom_point(p9.aes(y="raw"), color=VERMILLION, fill="none", size=2.2)
        + p9.geom_point(p9.aes(y="estimate"), color=BLUE, size=1.8)
        + p9.geom_text(
            p9.aes("x", "estimate", label="shown"),
            data=shown,
            ha="left",
            nudge_x=0.015 * reach,
            size=7,
        )
        + p9.scale_x_continuous(expand=(0.05, 0, 0.05 if labelled.empty else 0.14, 0))
        + p9.labs(
            x=text(x_title, width=70),
            y=text(axis_title, width=40),
            caption=caption(
                f"Open circle: {raw}; dot and line: posterior mean and 95 % interval; grey line "
                f"and band: {curve} with its 95 % interval."
            ),
        )
        + theme(height=4.4)
    )
