"""Figures with a row for each group: the data, the draws, and caterpillars of estimates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotnine as p9
from numpy.typing import NDArray

from partialpool.plots.marks import SYMBOLS, extremes
from partialpool.plots.theme import (
    BLUE,
    GREY,
    ORANGE,
    caption,
    group_axis,
    ratio_axis,
    text,
    theme,
)


def symbol(parameter: str, group: str = "") -> str:
    """Name of a parameter, with its group where it has one, as text for a figure."""
    shown = SYMBOLS.get(parameter) or text(parameter)
    return f"{shown}, {text(group, width=40)}" if group else shown


def _boxes(values: Mapping[str, NDArray[np.float64]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Boxes by Tukey's rule (whiskers reach 1.5 quartile ranges) and what lies beyond them."""
    boxes, beyond = [], []
    for label, v in values.items():
        q1, q2, q3 = np.quantile(v, [0.25, 0.5, 0.75])
        inside = v[(v >= q1 - 1.5 * (q3 - q1)) & (v <= q3 + 1.5 * (q3 - q1))]
        boxes.append((label, inside.min(), q1, q2, q3, inside.max()))
        outside = np.sort(v[(v < inside.min()) | (v > inside.max())])
        if len(outside) > 60:
            outside = outside[np.linspace(0, len(outside) - 1, 60).astype(int)]
        beyond += [(label, value) for value in outside]
    return (
        pd.DataFrame(boxes, columns=["group", "lowest", "q1", "median", "q3", "highest"]),
        pd.DataFrame(beyond, columns=["group", "value"]),
    )


def _exponentials(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the numbers of a frame of groups into their exponentials."""
    numbers = frame.columns.drop("group")
    return frame.assign(**{name: np.exp(frame[name].to_numpy(dtype=float)) for name in numbers})


def _box_layer(boxes: pd.DataFrame, *, fill: str) -> p9.geom_boxplot:
    return p9.geom_boxplot(
        p9.aes(
            "group",
            ymin="lowest",
            lower="q1",
            middle="median",
            upper="q3",
            ymax="highest",
            group=1,  # drawn together: group by group takes several times as long
        ),
        data=boxes,
        stat="identity",
        fill=fill,
        color="#333333",
        width=0.6,
        size=0.5,
    )


def data_by_group(
    observations: pd.DataFrame, *, axis_title: str = "value", group_title: str = "Group"
) -> p9.ggplot:
    """Box plot of the observations by group, with every observation and the mean.

    Parameters
    ----------
    observations
        Columns `group` and `value`, one observation a row, groups in the order to show. Beyond 40
        groups those with the 12 highest and the 12 lowest means are shown, sorted.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    """
    by = observations.groupby("group", sort=False)["value"]
    means = by.mean()
    kept, dropped = extremes(list(means.index))
    if dropped:
        kept, dropped = extremes(list(means.sort_values(ascending=False).index))
    shown = observations[observations["group"].isin(kept)]
    values = {str(g): v.to_numpy() for g, v in shown.groupby("group", sort=False)["value"]}
    boxes, _ = _boxes(values)
    means_frame = means[kept].rename("value").reset_index()
    rng = np.random.default_rng(1)
    counts = shown.groupby("group")["value"].transform("size")
    points = shown[rng.uniform(size=len(shown)) < 200 / counts]
    scale, height = group_axis(kept, dropped, flipped=True)
    return (
        p9.ggplot()
        + _box_layer(boxes, fill="#D6E6F2")
        + p9.geom_point(
            p9.aes("group", "value", group=1),
            data=points,
            position=p9.position_jitter(width=0.12, height=0, random_state=1),
            alpha=0.35,
            size=1,
            color=BLUE,
        )
        + p9.geom_point(
            p9.aes("group", "value"), data=means_frame, shape="D", size=1.9, fill=ORANGE
        )
        + scale
        + p9.coord_flip()
        + p9.labs(
            y=text(axis_title, width=70),
            x=text(group_title, width=18),
            caption=caption(_CAPTION_DATA),
        )
        + theme(height=height * 1.15 + 1.1, grid="x")
    )


_CAPTION_DATA = (
    "Box: quartiles; bar: median; whiskers: up to 1.5 quartile ranges; diamond: mean; "
    "dots: observations."
)


def draws_by_group(
    draws: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    left_out: int = 0,
    ratios: bool = False,
) -> p9.ggplot:
    """Box plots of posterior draws by group.

    Parameters
    ----------
    draws
        Columns `group` and `value`, one draw a row, in the order to show. Beyond 40 groups those
        with the 12 highest and 12 lowest medians are shown, sorted.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    left_out
        Groups that the caller left out in the middle, where `draws` holds the extremes only.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1, and whiskers
        reach 1.5 quartile ranges of the logarithms.
    """
    values = {str(g): v.to_numpy() for g, v in draws.groupby("group", sort=False)["value"]}
    kept, dropped = (list(values), left_out) if left_out else extremes(list(values))
    if dropped and not left_out:
        kept, dropped = extremes(sorted(values, key=lambda g: -float(np.median(values[g]))))
    chosen = {g: np.log(values[g]) if ratios else values[g] for g in kept}
    boxes, beyond = _boxes(chosen)
    if ratios:
        boxes, beyond = (_exponentials(frame) for frame in (boxes, beyond))
    scale, height = group_axis(kept, dropped, flipped=True)
    return (
        p9.ggplot()
        + (ratio_axis(flipped=True) if ratios else [])
        + p9.geom_point(
            p9.aes("group", "value", group=1), data=beyond, size=0.6, alpha=0.5, color=GREY
        )
        + _box_layer(boxes, fill="#BBD7EA")
        + scale
        + p9.coord_flip()
        + p9.labs(
            y=text(axis_title, width=70),
            x=text(group_title, width=18),
            caption=caption(
                "Box: quartiles; bar: median; whiskers: up to 1.5 quartile ranges; "
                "dots: draws beyond."
            ),
        )
        + theme(height=height * 1.1 + 1.1, grid="x")
    )


def caterpillar(
    estimates: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    reference: float | None = None,
    reference_label: str = "",
    log: bool = False,
    ratios: bool = False,
    point: str = "median",
) -> p9.ggplot:
    """Medians with central 50 % (thick) and 95 % (thin) intervals, one row an estimate.

    Parameters
    ----------
    estimates
        Columns `parameter`, `group`, `median`, `q2.5`, `q25`, `q75`, `q97.5`, one row to show
        each, for one model. Rows with an empty `group` (mu, tau2 ...) come below the groups, in
        another colour. Beyond 40 groups the 12 highest and the 12 lowest medians are shown.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    reference, reference_label
        Where a dashed line is drawn, and what it marks.
    log
        Whether the axis of values is logarithmic.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    point
        What the points are.
    """
    grouped = estimates[estimates["group"] != ""]
    kept, dropped = extremes(list(grouped["group"]))
    if dropped:
        ordered = grouped.sort_values("median", ascending=False, kind="stable")
        kept, dropped = extremes(list(ordered["group"]))
    single = estimates[estimates["group"] == ""]
    extra = {f"\x1f{p}": SYMBOLS.get(p) or text(p) for p in single["parameter"]}
    if ratios:
        extra |= {f"\x1f{p}": f"exp({SYMBOLS[p]})" for p in single["parameter"] if p in SYMBOLS}
    frame = pd.concat([grouped[grouped["group"].isin(kept)], single], ignore_index=True)
    frame["row"] = np.where(frame["group"] == "", "\x1f" + frame["parameter"], frame["group"])
    frame["of"] = np.where(frame["group"] == "", "whole", "group")
    scale, height = group_axis(kept, dropped, extra=extra)
    figure = p9.ggplot(frame, p9.aes(y="row", color="of", group="of"))
    if ratios:
        figure += ratio_axis()
    words = f"Point: {point}; thick: central 50 %; thin: central 95 % interval"
    if reference is not None:
        figure += p9.geom_vline(xintercept=reference, linetype="dashed", color=GREY)
        words += f"; dashed: {text(reference_label, width=80)}"
    return (
        figure
        + p9.geom_segment(p9.aes(x="q2.5", xend="q97.5", yend="row"), size=0.7)
        + p9.geom_segment(p9.aes(x="q25", xend="q75", yend="row"), size=2.1)
        + p9.geom_point(p9.aes(x="median"), size=2.6, fill="white")
        + p9.scale_color_manual({"group": BLUE, "whole": "#B34700"}, guide=None)
        + ([p9.scale_x_log10()] if log and not ratios else [])
        + scale
        + p9.labs(
            x=text(axis_title, width=70),
            y=text(group_title, width=18),
            caption=caption(f"{words}."),
        )
        + theme(height=height + 1.1, grid="x")
    )
