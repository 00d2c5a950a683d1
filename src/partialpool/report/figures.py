"""Which figures a report has, with the frames they are drawn from, captions and alt texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from partialpool import plots
from partialpool.fitting import Fit
from partialpool.programs import statements
from partialpool.report import model_figures
from partialpool.report.drawing import Figure
from partialpool.report.wording import highest, lowest, number, rows_of
from partialpool.tables import contrasts
from partialpool.tables.checks import replicates
from partialpool.tables.comparison import Comparison

_REPLICATES = 40
_MOST_VALUES = 20_000


@dataclass(frozen=True)
class Plan:
    """A figure yet to be prepared: `make` may fail, and then only this figure is missing."""

    section: str
    key: str
    make: Callable[[], Figure]


def safe(name: str) -> str:
    """Turn a name into one that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"


def plan(comparison: Comparison, models: dict[str, statements.Model]) -> list[Plan]:
    """List the figures of a report, in order.

    Parameters
    ----------
    comparison
        The frames.
    models
        Name of a fit to the statements of its program, where its source is known.
    """
    plans = (
        [Plan("data", "data", lambda: _data(comparison))]
        if comparison.data.has_observations
        else []
    )
    for number_, fit in enumerate(comparison.fits, start=1):
        for name, make in model_figures.of_model(comparison, fit, models.get(fit.name)):
            key = f"{number_}-{safe(fit.name)}-{name}"
            plans.append(Plan(f"model:{fit.name}", key, _bound(make, key)))
        for name, function in (("traces", "traces"), ("ranks", "rank_plot")):
            key = f"{number_}-{safe(fit.name)}-{name}"
            plans.append(
                Plan(
                    "diagnostics", key, _bound(model_figures.chains(comparison, fit, function), key)
                )
            )
    if comparison.model("none") and comparison.model("partial"):
        plans.append(Plan("shrinkage", "shrinkage", lambda: _scatter(comparison)))
    partial, best = (
        comparison.model("partial"),
        comparison.model("partial") or comparison.model("none"),
    )
    if partial:
        plans.append(Plan("shrinkage", "arrows", lambda: _arrows(comparison, partial)))
    if best and comparison.data.stats.J > 1:
        plans.append(Plan("comparisons", "contrasts", lambda: _contrasts(comparison, best)))
        plans.append(Plan("comparisons", "group-ranks", lambda: _ranks(comparison, best)))
    checked = best or comparison.fits[0]
    if len(comparison.table("predictions", model=checked.name)):
        plans.append(Plan("prediction", "predictions", lambda: _predictions(comparison, checked)))
    if len(comparison.table("posterior_checks", model=checked.name)):
        plans.append(Plan("checks", "check-statistics", lambda: _statistics(comparison, checked)))
        plans.append(Plan("checks", "check-density", lambda: _density(comparison, checked)))
    if len(comparison.table("loo_pointwise", model=checked.name)):
        plans.append(Plan("checks", "loo-k", lambda: _loo(comparison, checked)))
    return plans


def _bound(make: Callable[[str], Figure], key: str) -> Callable[[], Figure]:
    return lambda: make(key)


def _data(comparison: Comparison) -> Figure:
    data = comparison.data
    frame = pd.DataFrame(
        {"group": np.array(data.labels, dtype=object)[data.group], "value": data.y}
    ).iloc[np.argsort(data.group, kind="stable")]
    summary = data.summary()
    low, high = lowest(summary, "mean"), highest(summary, "mean")
    return Figure(
        "data",
        "data_by_group",
        {"observations": frame.reset_index(drop=True), **model_figures.axes(comparison)},
        f"The observations by {data.group_label}.",
        f"Box plots of {data.axis_title} in {data.stats.J} groups. Sample means run from "
        f"{number(low['mean'])} in {low['group']} to {number(high['mean'])} in {high['group']}.",
    )


def _scatter(comparison: Comparison) -> Figure:
    shown = [fit for fit in (comparison.model("none"), comparison.model("partial")) if fit]
    names = [fit.name for fit in shown]
    frame = comparison.table("estimates")
    most = "".join(
        f" {row['group']} moves most, by {number(row['displacement'], row['mcse'])}."
        for row in rows_of(comparison.table("moved", model=names[-1], statement="moved most"))
    )
    return Figure(
        "shrinkage",
        "pooling_scatter",
        {
            "estimates": frame[frame["model"].isin(names)],
            "models": comparison.titles,
            **model_figures.axes(comparison),
        },
        f"Posterior means of θ under {' and '.join(fit.title for fit in shown)}.",
        f"Posterior means of the group means under {' and '.join(fit.title for fit in shown)}, "
        f"with the posterior mean of μ dashed.{most}",
    )


def _arrows(comparison: Comparison, fit: Fit) -> Figure:
    frame = comparison.table("shrinkage", model=fit.name)
    target = float(frame["target"].iloc[0])
    most = highest(frame.assign(size=frame["displacement"].abs()), "size")
    return Figure(
        "arrows",
        "shrinkage_arrows",
        {
            "shrinkage": frame,
            "center": target if np.isfinite(target) else None,
            **model_figures.axes(comparison),
        },
        f"From the sample mean to the posterior mean under {fit.title}, by group size.",
        f"Arrows from sample means to posterior means under {fit.title}; the largest shift is "
        f"{number(most['displacement'], most['mcse'])} in {most['group']}.",
    )


def _order(comparison: Comparison, fit: Fit) -> list[str]:
    rows = comparison.table("estimates", model=fit.name, parameter="theta")
    return list(rows.sort_values("mean", ascending=False, kind="stable")["group"])


def _pair_of_models(comparison: Comparison) -> list[str]:
    return [fit.name for fit in (comparison.model("none"), comparison.model("partial")) if fit]


def _contrasts(comparison: Comparison, fit: Fit) -> Figure:
    order = _order(comparison, fit)
    shown = _pair_of_models(comparison)
    kept, dropped = plots.extremes(order)
    frame = comparison.table("contrasts")
    if dropped:
        fits = [f for f in comparison.fits if f.name in shown]
        frame = contrasts.contrasts(fits, comparison.data, groups=kept)
    frame = frame[frame["model"].isin(shown)]
    return Figure(
        "contrasts",
        "contrast_matrix",
        {
            "contrasts": frame,
            "order": order,
            "models": comparison.titles,
        },
        "Probability that one group mean is larger than another.",
        f"Matrix of P(θ of the row > θ of the column) for {len(kept)} groups; from highest to "
        f"lowest: {', '.join(kept[:8])}{' and so on' if len(kept) > 8 else ''}.",
    )


def _ranks(comparison: Comparison, fit: Fit) -> Figure:
    order = _order(comparison, fit)
    shown = _pair_of_models(comparison)
    kept, dropped = plots.extremes(order)
    frame = comparison.table("ranks")
    if dropped:
        fits = [f for f in comparison.fits if f.name in shown]
        frame = contrasts.ranks(fits, comparison.data, groups=kept)
    return Figure(
        "group-ranks",
        "rank_heat_map",
        {
            "ranks": frame[frame["model"].isin(shown)],
            "order": order,
            "group_title": comparison.data.group_label,
            "models": comparison.titles,
        },
        "Probability of each rank of each group; rank 1 is the highest mean.",
        f"Heat map of rank probabilities of {len(kept)} groups; the highest estimate is that of "
        f"{order[0]}, the lowest that of {order[-1]}.",
    )


def _predictions(comparison: Comparison, fit: Fit) -> Figure:
    rows = comparison.table("predictions", model=fit.name)
    known = rows[rows["quantity"] == "new observation"].assign(parameter="y")
    single = rows[rows["group"] == ""]
    single = single[single["quantity"] != "new observation"]
    single = single.assign(parameter=single["quantity"])
    return Figure(
        "predictions",
        "caterpillar",
        {
            "estimates": pd.concat([known, single], ignore_index=True),
            **model_figures.axes(comparison),
        },
        f"Predictive intervals of a new observation in each group, of a new group's mean and of "
        f"an observation in a new group, under {fit.title}.",
        f"Caterpillar plot of predictive intervals under {fit.title}.",
    )


def _statistics(comparison: Comparison, fit: Fit) -> Figure:
    frame = comparison.table("posterior_checks", model=fit.name)
    outside = (frame["observed"] < frame["q2.5"]) | (frame["observed"] > frame["q97.5"])
    return Figure(
        "check-statistics",
        "check_statistics",
        {"checks": frame, **model_figures.axes(comparison)},
        f"Standard deviation, minimum and maximum of each group against their replicates under "
        f"{fit.title}.",
        f"Observed statistics by group on the intervals of their replicates; {int(outside.sum())} "
        f"of {len(frame)} lie outside the 95 % interval.",
    )


def _density(comparison: Comparison, fit: Fit) -> Figure:
    drawn = list(replicates(fit, comparison.data))
    step = max(1, len(drawn) // _REPLICATES)
    every = max(1, comparison.data.stats.N // _MOST_VALUES)
    frames = [
        pd.DataFrame({"replicate": k, "value": y[::every]})
        for k, y in enumerate(drawn[::step][:_REPLICATES])
    ]
    return Figure(
        "check-density",
        "check_density",
        {
            "observed": pd.DataFrame({"value": comparison.data.y[::every]}),
            "replicates": pd.concat(frames, ignore_index=True),
            "axis_title": comparison.data.axis_title,
        },
        f"Density of the observations and of data sets replicated under {fit.title}.",
        f"Density of {comparison.data.axis_title}: observations over {len(frames)} replicated data "
        "sets.",
    )


def _loo(comparison: Comparison, fit: Fit) -> Figure:
    frame = comparison.table("loo_pointwise", model=fit.name)
    threshold = float(frame["threshold"].iloc[0])
    bad = int((~(frame["k"] <= threshold)).sum())
    return Figure(
        "loo-k",
        "loo_k",
        {"pointwise": frame[["observation", "k"]].dropna(), "threshold": threshold},
        f"Pareto k of each observation under {fit.title}.",
        f"Pareto k of {len(frame)} observations; the largest is {frame['k'].max():.2f}, {bad} are "
        f"beyond the threshold of {threshold:.2f}.",
    )
