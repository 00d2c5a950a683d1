"""Figures of estimates with known standard errors: the forest, and effects as tau grows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9
from mizani.breaks import breaks_extended

from partialpool.plots.marks import extremes
from partialpool.plots.theme import (
    BLUE,
    GREY,
    ORANGE,
    RATIO_BREAKS,
    VERMILLION,
    caption,
    group_axis,
    ratio_axis,
    text,
    theme,
)
from partialpool.types import FloatArray

_COLORS = (VERMILLION, BLUE, ORANGE)
_LABELLED = 25
_AT_ZERO = p9.geom_hline(yintercept=0, color="#BBBBBB", size=0.4)


def forest(
    intervals: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    ratios: bool = False,
    zero: bool = True,
    words: str = "Point: estimate or posterior median; line: 95 % interval.",
) -> p9.ggplot:
    """Estimates and what the models make of them, one row a group, then the whole.

    Parameters
    ----------
    intervals
        Columns `row` (label of a group, or what a row below the groups is called), `whole` (whether
        it is such a row), `kind` (what the interval is of), `low`, `middle`, `high`; groups in the
        order to show. Beyond 40 groups those with the 12 highest and the 12 lowest values of the
        last kind are shown.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1 instead of 0.
    zero
        Whether there is a line at 0, where no effect lies.
    words
        What the points and lines are.
    """
    kinds = list(dict.fromkeys(intervals["kind"]))
    grouped = intervals[~intervals["whole"]]
    last = grouped[grouped["kind"] == grouped["kind"].iloc[-1]]
    kept, dropped = extremes(list(dict.fromkeys(grouped["row"])))
    if dropped:
        ordered = last.sort_values("middle", ascending=False, kind="stable")
        kept, dropped = extremes(list(ordered["row"]))
    below = list(dict.fromkeys(intervals.loc[intervals["whole"], "row"]))
    extra = {f"\x1f{row}": text(row, width=40) for row in below}
    frame = pd.concat(
        [
            grouped[grouped["row"].isin(kept)],
            intervals[intervals["whole"]].assign(
                row=[f"\x1f{row}" for row in intervals.loc[intervals["whole"], "row"]]
            ),
        ],
        ignore_index=True,
    )
    frame["kind"] = pd.Categorical(frame["kind"], kinds[::-1])  # the first one at the top
    dodge = p9.position_dodge(width=0.6)
    scale, height = group_axis(kept, dropped, extra=extra, flipped=True)
    return (
        p9.ggplot(frame, p9.aes("row", color="kind", group="kind"))
        + (ratio_axis(flipped=True) if ratios else [_AT_ZERO] if zero else [])
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), position=dodge, size=0.8)
        + p9.geom_point(p9.aes(y="middle", shape="kind"), position=dodge, size=2.1)
        + p9.scale_color_manual(dict(zip(kinds, _COLORS, strict=False)), breaks=kinds)
        + p9.scale_shape_manual(dict(zip(kinds, "soD", strict=False)), breaks=kinds)
        + scale
        + p9.coord_flip()
        + p9.labs(
            y=text(axis_title, width=70),
            x=text(group_title, width=18),
            caption=caption(words),
        )
        + theme(height=1.45 * height + 1.6, grid="x")
    )


def effects_by_tau(
    effects: pd.DataFrame,
    density: pd.DataFrame,
    *,
    axis_title: str = "value",
    ratios: bool = False,
) -> p9.ggplot:
    """Posterior means of the effects given tau, over the posterior density of tau.

    Gelman et al., *Bayesian Data Analysis* (3rd ed., 2013), figures 5.5 and 5.6.

    Parameters
    ----------
    effects
        Columns `tau`, `group`, `mean`; up to 25 groups are labelled at the right end.
    density
        Columns `tau` and `density`.
    axis_title
        Title of the axis of effects, with its unit.
    ratios
        Whether the effects are ratios: their axis is logarithmic, with a line at 1. tau and its
        density are those of the logarithms.
    """
    title = text(axis_title, width=40)
    upper, lower = f"E(θ | τ): {title}", "Posterior density of τ"
    marks: list[object] = []
    if ratios:
        upper, lower = f"exp(E(θ | τ)): {title}", "Posterior density of τ, log scale"
        effects, marks = _beside(effects, density, panels=[upper, lower])
    panels = [upper, lower]
    lines = effects.assign(panel=pd.Categorical([upper] * len(effects), panels))
    area = density.assign(panel=pd.Categorical([lower] * len(density), panels))
    ends = lines[lines["tau"] == lines["tau"].max()]
    ends = ends.iloc[: _LABELLED if ends["group"].nunique() <= _LABELLED else 0]
    ends = ends.assign(
        shown=[text(group, width=14) for group in ends["group"]], at=_spread(ends["mean"])
    )
    reach = float(lines["tau"].max())
    return (
        p9.ggplot()
        + marks
        + p9.geom_line(
            p9.aes("tau", "mean", group="group"), data=lines, color=BLUE, size=0.6, alpha=0.8
        )
        + p9.geom_text(
            p9.aes("tau", "at", label="shown"), data=ends, ha="left", nudge_x=0.012 * reach, size=8
        )
        + p9.geom_area(p9.aes("tau", "density"), data=area, fill="#BBD7EA", color=GREY, size=0.3)
        + p9.facet_wrap("panel", ncol=1, scales="free_y")
        + p9.scale_x_continuous(expand=(0, 0, 0.08, 0))
        + p9.labs(x="τ, log scale" if ratios else "τ", y="")
        + theme(height=5.2)
    )


def _beside(
    effects: pd.DataFrame, density: pd.DataFrame, *, panels: list[str]
) -> tuple[pd.DataFrame, list[object]]:
    """Logarithms of ratios beside a density, whose panel shares one linear scale with theirs.

    The logarithms are moved above all densities, so that the scale knows from a place which panel
    it is in, and marks it with a ratio or with a density.
    """
    logs = np.log(effects["mean"].to_numpy(dtype=float))
    top = 2 * float(density["density"].max())
    base = top + float(np.ptp([0.0, *logs])) + abs(min(0.0, float(logs.min())))

    def places(limits: tuple[float, float]) -> FloatArray:
        if limits[0] < top:
            return np.asarray(breaks_extended(n=5)(limits), dtype=np.float64)
        ratios = np.asarray(RATIO_BREAKS(tuple(np.exp(np.array(limits) - base))), dtype=np.float64)
        return np.asarray(base + np.log(ratios))

    def labels(at: FloatArray) -> list[str]:
        return [f"{np.exp(x - base) if x > top else x:.6g}" for x in at]

    one = pd.DataFrame({"panel": pd.Categorical(panels[:1], panels), "at": [base]})
    return effects.assign(mean=base + logs), [
        p9.geom_hline(p9.aes(yintercept="at"), data=one, color="#AAAAAA", size=0.5),
        p9.scale_y_continuous(breaks=places, labels=labels),
    ]


def _spread(values: pd.Series[float]) -> FloatArray:
    """Move labels apart that would lie on one another, as little as that takes."""
    at = np.array(values, dtype=np.float64)
    if len(at) < 2:
        return at
    gap = 0.065 * float(np.ptp(at)) or 1.0
    gap = min(gap, float(np.ptp(at)) / (len(at) - 1)) or 1.0
    order = np.argsort(at, kind="stable")
    for _ in range(200):
        steps = np.diff(at[order])
        close = np.flatnonzero(steps < gap - 1e-12)
        if not len(close):
            break
        for k in close:
            push = 0.5 * (gap - (at[order[k + 1]] - at[order[k]]))
            at[order[k]] -= push
            at[order[k + 1]] += push
    return at
