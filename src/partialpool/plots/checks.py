"""Figures that set a model against the data: replicated statistics, densities, LOO."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from partialpool.plots.curves import density
from partialpool.plots.marks import extremes
from partialpool.plots.theme import (
    BLUE,
    GREY,
    VERMILLION,
    caption,
    group_axis,
    text,
    theme,
)

_MOST_POINTS = 2000


def check_statistics(
    checks: pd.DataFrame, *, axis_title: str = "value", group_title: str = "Group"
) -> p9.ggplot:
    """Observed statistics by group on the intervals of their replicates, one panel a statistic.

    Parameters
    ----------
    checks
        Columns `statistic`, `group`, `observed`, `median`, `q2.5`, `q25`, `q75`, `q97.5`, of one
        model. Beyond 40 groups those with the largest distance between observed and replicated
        values (in interval widths) of either sign are shown.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    """
    width = checks["q97.5"] - checks["q2.5"]
    off = ((checks["observed"] - checks["median"]) / width).groupby(checks["group"], sort=False)
    kept, dropped = extremes(list(dict.fromkeys(checks["group"])))
    if dropped:
        signed = off.agg(lambda d: float(d.to_numpy()[np.argmax(np.abs(d.to_numpy()))]))
        kept, dropped = extremes(list(signed.sort_values(ascending=False).index))
    frame = checks[checks["group"].isin(kept)].copy()
    inside = frame["observed"].between(frame["q2.5"], frame["q97.5"])
    frame["where"] = np.where(inside, "inside", "outside")
    order = list(dict.fromkeys(frame["statistic"]))
    frame["statistic"] = pd.Categorical(frame["statistic"], order)
    scale, height = group_axis(kept, dropped)
    return (
        p9.ggplot(frame, p9.aes(y="group", group=1))
        + p9.geom_segment(p9.aes(x="q2.5", xend="q97.5", yend="group"), color="#9DBFD6", size=0.9)
        + p9.geom_segment(p9.aes(x="q25", xend="q75", yend="group"), color="#6FA3C4", size=2.4)
        + p9.geom_point(p9.aes(x="observed", color="where", shape="where"), size=2.4)
        + p9.scale_color_manual({"inside": "#000000", "outside": VERMILLION})
        + p9.scale_shape_manual({"inside": "o", "outside": "X"})
        + p9.facet_wrap("statistic", ncol=2 if len(order) == 4 else 3, scales="free_x")
        + scale
        + p9.labs(
            x=text(axis_title, width=70),
            y=text(group_title, width=18),
            caption=caption(
                "Bars: central 50 % and 95 % of the replicated statistics; dot: observed; "
                "cross: observed outside the 95 % interval."
            ),
        )
        + theme(height=height + 1.5, grid="x")
        + p9.theme(legend_position="none")
    )


def check_density(
    observed: pd.DataFrame, replicates: pd.DataFrame, *, axis_title: str = "value"
) -> p9.ggplot:
    """Density of the observations over the densities of replicated data sets.

    Parameters
    ----------
    observed
        Column `value`.
    replicates
        Columns `replicate` and `value`; a few dozen replicates are enough.
    axis_title
        Title of the axis of values (with its unit).
    """
    curves = pd.concat(
        [
            density(v.to_numpy(), points=200).assign(replicate=k)
            for k, v in replicates.groupby("replicate")["value"]
        ]
    )
    own = density(observed["value"].to_numpy(), points=200)
    return (
        p9.ggplot(mapping=p9.aes("value", "density"))
        + p9.geom_line(p9.aes(group="replicate"), data=curves, color="#8DB9D6", alpha=0.5, size=0.4)
        + p9.geom_line(data=own, color="#000000", size=1.1)
        + p9.labs(
            x=text(axis_title, width=70),
            y="Density",
            caption=caption(
                f"Black: the observations; blue: {replicates['replicate'].nunique()} "
                "data sets replicated by the model."
            ),
        )
        + theme(height=3.2)
    )


def loo_k(pointwise: pd.DataFrame, *, threshold: float) -> p9.ggplot:
    """Pareto k of each observation against the threshold beyond which PSIS-LOO is unreliable.

    Parameters
    ----------
    pointwise
        Columns `observation` and `k`. Beyond 2000 observations a histogram is drawn.
    threshold
        The largest k that can be relied on.
    """
    words = caption(
        f"Dashed: {threshold:.2f}, beyond which the importance sampling estimate of that "
        "observation is not reliable."
    )
    if len(pointwise) > _MOST_POINTS:
        return (
            p9.ggplot(pointwise, p9.aes("k"))
            + p9.geom_histogram(bins=60, fill=BLUE)
            + p9.geom_vline(xintercept=threshold, linetype="dashed", color=GREY)
            + p9.labs(x="Pareto k", y="Observations", caption=words)
            + theme(height=2.8)
        )
    frame = pointwise.assign(beyond=np.where(pointwise["k"] > threshold, "beyond", "within"))
    return (
        p9.ggplot(frame, p9.aes("observation", "k", color="beyond", shape="beyond"))
        + p9.geom_hline(yintercept=threshold, linetype="dashed", color=GREY)
        + p9.geom_point(size=1.4)
        + p9.scale_color_manual({"within": BLUE, "beyond": VERMILLION})
        + p9.scale_shape_manual({"within": "o", "beyond": "X"})
        + p9.labs(x="Observation, in the order of the data", y="Pareto k", caption=words)
        + theme(height=2.8)
        + p9.theme(legend_position="none")
    )
