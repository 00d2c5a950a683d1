"""Figures of the pooling comparison: estimates side by side, and the way each one moved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotnine as p9

from partialpool.plots.marks import MANY, extremes
from partialpool.plots.theme import (
    BLUE,
    GREY,
    VERMILLION,
    caption,
    group_axis,
    look,
    ratio_axis,
    text,
    theme,
    titles,
)

_MOST_POINTS = 2000
_WORDS = ("Posterior mean", "E[μ]")
_RATIO_WORDS = ("Geometric posterior mean", "exp(E[μ])")


def pooling_scatter(
    estimates: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    models: Mapping[str, str] | None = None,
    ratios: bool = False,
) -> p9.ggplot:
    """Posterior means of the group means by group and model, with E[mu] dashed.

    Up to 40 groups have a row each. Beyond, the first model's estimates are drawn against those
    of the others, where shrinkage shows as a slope below that of the diagonal; of a single model
    the groups with the largest and the smallest means are shown.

    Parameters
    ----------
    estimates
        Columns `model`, `parameter`, `group`, `mean`; the rows of `theta` by group and of `mu`
        are used, groups in the order to show.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    models
        Name of each model to its title, in the order that sets colours.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    """
    theta = estimates[(estimates["parameter"] == "theta") & (estimates["group"] != "")]
    mu = estimates[estimates["parameter"] == "mu"]
    shown = titles(theta, models)
    colors, shapes = look(models, shown)
    theta = theta.assign(model=pd.Categorical(theta["model"].map(shown), list(shown.values())))
    mu = mu.assign(model=mu["model"].map(shown))
    labels = list(dict.fromkeys(theta["group"]))
    if len(labels) > MANY and len(set(theta["model"])) > 1:
        return _against_first(theta, mu, axis_title=axis_title, ratios=ratios)
    if len(labels) > MANY:
        ordered = theta.sort_values("mean", ascending=False, kind="stable")
        labels, dropped = extremes(list(ordered["group"]))
        theta = theta[theta["group"].isin(labels)]
    else:
        dropped = 0
    scale, height = group_axis(labels, dropped)
    at = [float(m) for m in mu["mean"]]
    means = theta.groupby("group", sort=False)["mean"]
    spans = pd.DataFrame({"low": means.min(), "high": means.max()}).reset_index()
    middle, center = _RATIO_WORDS if ratios else _WORDS
    return (
        p9.ggplot(theta, p9.aes("mean", "group", group="model"))
        + (ratio_axis() if ratios else [])
        + p9.geom_vline(xintercept=at, linetype="dashed", color=GREY)
        + p9.geom_segment(
            p9.aes(x="low", xend="high", yend="group", y="group"),
            data=spans,
            inherit_aes=False,
            color="#BBBBBB",
            size=0.8,
        )
        + p9.geom_point(p9.aes(color="model", shape="model"), size=2.6)
        + p9.scale_color_manual(dict(zip(shown.values(), colors, strict=True)))
        + p9.scale_shape_manual(dict(zip(shown.values(), shapes, strict=True)))
        + scale
        + p9.labs(
            x=f"{middle}: {text(axis_title, width=60)}",
            y=text(group_title, width=18),
            caption=f"Dashed: {center}." if at else "",
        )
        + theme(height=height + 1.5, grid="y")
    )


def _against_first(
    theta: pd.DataFrame, mu: pd.DataFrame, *, axis_title: str, ratios: bool
) -> p9.ggplot:
    wide = theta.pivot_table(index="group", columns="model", values="mean", observed=True)
    first = wide.columns[0]
    pairs = pd.concat(
        [
            pd.DataFrame({"first": wide[first], "other": wide[other], "model": other})
            for other in wide.columns[1:]
        ],
        ignore_index=True,
    )
    pairs = _thinned(pairs.sort_values(["model", "first"]), _MOST_POINTS)
    unit = text(axis_title, width=50)
    middle, center = _RATIO_WORDS if ratios else _WORDS
    return (
        p9.ggplot(pairs, p9.aes("first", "other"))
        + ([*ratio_axis(), *ratio_axis(flipped=True)] if ratios else [])
        + p9.geom_abline(slope=1, intercept=0, color=GREY)
        + p9.geom_hline(p9.aes(yintercept="mean"), data=mu, linetype="dashed", color=GREY)
        + p9.geom_point(color=BLUE, alpha=0.45, size=1.5)
        + p9.facet_wrap("model", ncol=2)
        + p9.labs(
            x=f"{middle} under {first}: {unit}",
            y=middle,
            caption=f"One point a group. Solid: no change; dashed: {center}.",
        )
        + theme(height=4.2)
    )


def _thinned(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows, evenly spaced in the order of the frame."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, most).astype(int)]


def shrinkage_arrows(
    shrinkage: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    center: float | None = None,
    size: str = "n",
    size_title: str = "Observations in the group",
    least: str = "fewest observations",
    raw: str = "raw mean",
    ratios: bool = False,
) -> p9.ggplot:
    """Arrows from each raw mean to its estimate, ordered by how much is known of the group.

    Up to 40 groups have a row each, labelled with their size, the least known at the top. Beyond,
    the size is a logarithmic axis, and at most 2000 groups are drawn.

    Parameters
    ----------
    shrinkage
        Columns `group`, `raw_mean`, `raw_se`, `estimate`, and the one that `size` names, one row a
        group, of one model.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    center
        Where a dashed line is drawn: E[mu].
    size, size_title, least
        Column of the groups' sizes (`n`, or `se`), the title of its axis, and what the groups at
        the top have.
    raw
        What the open circles are called.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    """
    frame = shrinkage.sort_values(size, kind="stable", ascending=size != "se")
    dashed = (
        [p9.geom_vline(xintercept=center, linetype="dashed", color=GREY)]
        if center is not None
        else []
    )
    middle, population = _RATIO_WORDS if ratios else _WORDS
    words = f"Open circle: {raw}; arrow head: {middle[:1].lower()}{middle[1:]}" + (
        f"; dashed: {population}." if center is not None else "."
    )
    dashed = [*(ratio_axis() if ratios else []), *dashed]
    x_title = text(axis_title, width=70)
    if len(frame) > MANY:
        frame = _thinned(frame, _MOST_POINTS)
        return (
            p9.ggplot(frame, p9.aes(y=size))
            + dashed
            + p9.geom_segment(
                p9.aes(x="raw_mean", xend="estimate", yend=size),
                color=BLUE,
                alpha=0.5,
                size=0.5,
                raster=True,
            )
            + p9.geom_point(
                p9.aes(x="raw_mean"),
                color=VERMILLION,
                fill="none",
                size=1.2,
                stroke=0.4,
                raster=True,
            )
            + p9.geom_point(p9.aes(x="estimate"), color=BLUE, size=0.9, raster=True)
            + p9.scale_y_log10()
            + p9.labs(
                x=x_title,
                y=size_title,
                caption=words.replace("arrow head", "dot"),
            )
            + theme(height=4.6)
        )
    order = (
        ""
        if (frame[size] == frame[size].iloc[0]).all()
        else f"{least[:1].upper()}{least[1:]} at the top. "
    )
    kept, dropped = extremes(list(frame["group"]))
    counts = dict(zip(frame["group"], frame[size], strict=True))
    scale, height = group_axis(kept, dropped)
    labels = [
        f"{shown}\u2002({size} = {counts[key]:{'.7g' if size == 'n' else '.3g'}})"
        for key, shown in zip(scale.limits, scale.labels, strict=True)
    ]
    scale.labels = labels
    return (
        p9.ggplot(frame, p9.aes(y="group", group=1))
        + dashed
        + p9.geom_segment(
            p9.aes(x="raw_mean", xend="estimate", yend="group"),
            color=BLUE,
            size=0.9,
            arrow=p9.arrow(length=0.07, type="closed", angle=25),
        )
        + p9.geom_point(p9.aes(x="raw_mean"), color=VERMILLION, fill="white", size=2.2)
        + scale
        + p9.labs(
            x=x_title,
            y=text(group_title, width=18),
            caption=caption(f"{order}{words}"),
        )
        + theme(height=height + 1.2, grid="y")
    )
