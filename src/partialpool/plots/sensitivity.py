"""Figures of prior sensitivity: tau and the group means by choice, and what priors expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotnine as p9
from plotnine.composition import Compose

from partialpool.plots.theme import BLUE, GREY, ORANGE, VERMILLION, WIDTH, ratio_axis, text, theme

_COLUMNS = 3
_GROUPS = 8
_ROOM = 1.25
_TALLEST = 3.0
_STRIP = 22
_STRIPS = p9.theme(strip_text=p9.element_text(ha="left", weight="bold", size=8.5))
_SMALL_STRIPS = p9.theme(strip_text=p9.element_text(ha="left", ma="left", weight="bold", size=7.5))


def prior_sensitivity(
    densities: pd.DataFrame,
    estimates: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    tau_title: str | None = None,
    ratios: bool = False,
) -> Compose | p9.ggplot:
    """The two figures below as one: tau by choice above, group means by choice below.

    Without group means in the estimates, tau by choice alone.

    Parameters
    ----------
    densities, estimates
        Frames of a `PriorComparison`.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    tau_title, ratios
        Title of the axis of tau, where it is another, and whether the values are ratios.
    """
    above = tau_by_choice(densities, axis_title=tau_title or axis_title)
    if "theta" not in set(estimates["quantity"]):
        return above
    below = theta_by_choice(
        estimates, axis_title=axis_title, group_title=group_title, ratios=ratios
    )
    height = sum(float(figure.theme.getp("figure_size")[1]) for figure in (above, below))
    return (above / below) & p9.theme(figure_size=(WIDTH, height))


def tau_by_choice(densities: pd.DataFrame, *, axis_title: str = "value") -> p9.ggplot:
    """Prior (dashed) and posterior density of tau, a panel for each choice of priors.

    Parameters
    ----------
    densities
        Columns `choice`, `kind` (prior or posterior), `tau`, `density`.
    axis_title
        The outcome with its unit.
    """
    choices = list(dict.fromkeys(densities["choice"]))
    frame = densities.assign(choice=_ordered(densities["choice"], choices))
    posterior = frame[frame["kind"] == "posterior"]
    peaks = posterior.groupby("choice", observed=True)["density"].max()
    top = _ROOM * float(min(peaks.max(), _TALLEST * peaks.median()))
    posterior = posterior.assign(density=posterior["density"].clip(upper=top))
    prior = frame[frame["kind"] == "prior"]
    prior = prior.assign(density=prior["density"].where(prior["density"] <= top))
    rows = -(-len(choices) // _COLUMNS)
    return (
        p9.ggplot(posterior, p9.aes("tau", "density"))
        + p9.geom_area(position="identity", fill=BLUE, alpha=0.35)
        + p9.geom_line(color=BLUE, size=0.7)
        + p9.geom_line(data=prior, color=VERMILLION, linetype="dashed", size=0.8, na_rm=True)
        + p9.facet_wrap("choice", ncol=_COLUMNS)
        + p9.scale_y_continuous(limits=(0, top), expand=(0, 0), breaks=[])
        + p9.scale_x_continuous(expand=(0, 0, 0.02, 0))
        + p9.labs(
            x=f"τ: {text(axis_title, width=70)}",
            y="",
            caption="Densities. Filled: posterior; dashed: prior (cut off above the panel).",
        )
        + theme(height=1.15 * rows + 0.9, grid="x")
        + _STRIPS
    )


def theta_by_choice(
    estimates: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    ratios: bool = False,
) -> p9.ggplot:
    """Posterior mean and 95 % interval of each group mean by choice of priors.

    Parameters
    ----------
    estimates
        Columns `choice`, `quantity`, `group`, `mean`, `q2.5`, `q97.5`, `movement`; the rows of
        `theta` are used. Of more than eight groups those that move most are shown.
    axis_title, group_title
        Title of the axis of values (with its unit) and what a group is called.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    """
    theta = estimates[estimates["quantity"] == "theta"]
    choices = list(dict.fromkeys(theta["choice"]))
    groups = list(dict.fromkeys(theta["group"]))
    caption = "Point: posterior mean; bar: central 95 % interval; dashed: mean under the first."
    if len(groups) > _GROUPS:
        moved = theta["movement"].abs().groupby(theta["group"]).max().sort_values(ascending=False)
        kept = set(moved.index[:_GROUPS])
        caption += f"\nThe {_GROUPS} of {len(groups)} groups that move most."
        groups = [group for group in groups if group in kept]
        theta = theta[theta["group"].isin(groups)]
    shown = {group: text(f"{group_title} {group}", width=_STRIP) for group in groups}
    lines = max((panel.count("\n") for panel in shown.values()), default=0)
    theta = theta.assign(
        choice=_ordered(theta["choice"], choices[::-1]),
        panel=pd.Categorical(theta["group"].map(shown), list(dict.fromkeys(shown.values()))),
        base=np.where(theta["choice"] == choices[0], "base", "other"),
    )
    rows = -(-len(groups) // _COLUMNS)
    return (
        p9.ggplot(theta, p9.aes("mean", "choice", color="base"))
        + (ratio_axis() if ratios else [])
        + p9.geom_vline(
            p9.aes(xintercept="mean"),
            data=theta[theta["base"] == "base"],
            linetype="dashed",
            color=GREY,
            size=0.5,
        )
        + p9.geom_segment(p9.aes(x="q2.5", xend="q97.5", yend="choice"), size=0.7)
        + p9.geom_point(size=1.6)
        + p9.facet_wrap("panel", ncol=_COLUMNS)
        + p9.scale_color_manual({"base": ORANGE, "other": BLUE}, guide=None)
        + p9.labs(x=text(axis_title, width=70), y="", caption=caption)
        + theme(height=(0.35 + 0.12 * lines + 0.16 * len(choices)) * rows + 0.9, grid="xy")
        + (_SMALL_STRIPS if lines else _STRIPS)
        + p9.theme(axis_text_y=p9.element_text(size=7.5))
    )


def prior_predictive(
    draws: pd.DataFrame,
    observations: Sequence[float],
    *,
    axis_title: str = "value",
    ratios: bool = False,
) -> p9.ggplot:
    """Observations that priors expect, a panel for each source, with the data below.

    Parameters
    ----------
    draws
        Columns `source` and `value`, one observation drawn from the priors a row.
    observations
        The data, marked as ticks in every panel.
    axis_title
        The outcome with its unit.
    ratios
        Whether the values are ratios: the axis is logarithmic, with a line at 1.
    """
    sources = list(dict.fromkeys(draws["source"]))
    low, high = np.quantile(draws["value"], [0.005, 0.995])
    low, high = min(low, min(observations)), max(high, max(observations))
    inside = draws[draws["value"].between(low, high)]
    inside = inside.assign(source=_ordered(inside["source"], sources))
    data = pd.DataFrame({"value": np.asarray(observations, dtype=float)})
    columns = min(_COLUMNS, len(sources))
    rows = -(-len(sources) // columns)
    return (
        p9.ggplot(inside, p9.aes("value"))
        + (ratio_axis() if ratios else [])
        + p9.geom_histogram(
            p9.aes(y=p9.after_stat("density")),
            position="identity",
            bins=50,
            fill=ORANGE,
            alpha=0.55,
            color="none",
        )
        + p9.geom_rug(data=data, sides="b", color=BLUE, alpha=0.35, length=0.06)
        + p9.facet_wrap("source", ncol=columns)
        + p9.scale_y_continuous(expand=(0.1, 0, 0.05, 0), breaks=[])
        + p9.labs(
            x=text(axis_title, width=70),
            y="Density",
            caption="Bars: observations that the priors expect (99 % of them); ticks: the data.",
        )
        + theme(height=1.7 * rows + 0.9, grid="x")
    )


def _ordered(column: pd.Series[str], order: Sequence[str]) -> pd.Categorical[str]:
    shown = {name: text(name, width=26) for name in order}
    return pd.Categorical(column.map(shown), list(dict.fromkeys(shown.values())))
