"""Which figures a report has, with the frames they are drawn from, captions and alt texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from partialpool import comparisons, plots, quantities
from partialpool.data import FloatArray
from partialpool.fitting import Fit
from partialpool.report import statements
from partialpool.report.checks import replicates
from partialpool.report.content import Content
from partialpool.report.drawing import Figure
from partialpool.report.sentences import highest, lowest, number, rows_of

_MOST_DRAWS = 4000
_REPLICATES = 40
_MOST_VALUES = 20_000
_SQUARED = {"tau2", "sigma2"}


@dataclass(frozen=True)
class Plan:
    """A figure yet to be prepared: `make` may fail, and then only this figure is missing."""

    section: str
    key: str
    make: Callable[[], Figure]


def safe(name: str) -> str:
    """Turn a name into one that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"


def plan(content: Content, models: dict[str, statements.Model]) -> list[Plan]:
    """List the figures of a report, in order.

    Parameters
    ----------
    content
        The frames.
    models
        Name of a fit to the statements of its program, where its source is known.
    """
    plans = [Plan("data", "data", lambda: _data(content))]
    for number_, fit in enumerate(content.fits, start=1):
        for name, make in _of_model(content, fit, models.get(fit.name)):
            key = f"{number_}-{safe(fit.name)}-{name}"
            plans.append(Plan(f"model:{fit.name}", key, _bound(make, key)))
        for name, function in (("traces", "traces"), ("ranks", "rank_plot")):
            key = f"{number_}-{safe(fit.name)}-{name}"
            plans.append(Plan("diagnostics", key, _bound(_chains(content, fit, function), key)))
    if content.one("none") and content.one("partial"):
        plans.append(Plan("shrinkage", "shrinkage", lambda: _scatter(content)))
    partial, best = content.one("partial"), content.one("partial") or content.one("none")
    if partial:
        plans.append(Plan("shrinkage", "arrows", lambda: _arrows(content, partial)))
    if best and content.data.stats.J > 1:
        plans.append(Plan("comparisons", "contrasts", lambda: _contrasts(content, best)))
        plans.append(Plan("comparisons", "group-ranks", lambda: _ranks(content, best)))
    checked = best or content.fits[0]
    plans.append(Plan("prediction", "predictions", lambda: _predictions(content, checked)))
    plans.append(Plan("checks", "check-statistics", lambda: _statistics(content, checked)))
    plans.append(Plan("checks", "check-density", lambda: _density(content, checked)))
    plans.append(Plan("checks", "loo-k", lambda: _loo(content, checked)))
    return plans


def _bound(make: Callable[[str], Figure], key: str) -> Callable[[], Figure]:
    return lambda: make(key)


def _axes(content: Content) -> dict[str, Any]:
    return {"axis_title": content.data.axis_title, "group_title": content.data.group_label}


def _label(content: Content, parameter: str) -> str:
    """Symbol of a parameter with its unit."""
    unit = content.data.unit
    shown = plots.SYMBOLS.get(parameter, parameter)
    if not unit or parameter not in plots.SYMBOLS:
        return shown
    return f"{shown}, ({unit})²" if parameter in _SQUARED else f"{shown}, {unit}"


def _draws(content: Content, fit: Fit, parameters: dict[str, tuple[str, int]]) -> pd.DataFrame:
    """Draws in long form; `parameters` maps a panel to a variable and an index of the group."""
    frames = []
    for panel, (name, j) in parameters.items():
        found = quantities.by_group(fit, content.data, name)
        if found is None:
            continue
        chains, draws = found.shape[1:]
        frames.append(
            pd.DataFrame(
                {
                    "parameter": panel,
                    "chain": np.repeat(np.arange(1, chains + 1), draws),
                    "draw": np.tile(np.arange(draws), chains),
                    "value": found[j].ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _scalars(content: Content, fit: Fit) -> list[str]:
    """Scalars that figures show, those of the shipped programs first."""
    known = [name for name in ("mu", "tau", "sigma", "theta", "sigma2") if name in fit.posterior]
    return [n for n in known if quantities.scalar(fit, content.data, n) is not None]


def _data(content: Content) -> Figure:
    data = content.data
    frame = pd.DataFrame(
        {"group": np.array(data.labels, dtype=object)[data.group], "value": data.y}
    ).iloc[np.argsort(data.group, kind="stable")]
    summary = data.summary()
    low, high = lowest(summary, "mean"), highest(summary, "mean")
    return Figure(
        "data",
        "data_by_group",
        {"observations": frame.reset_index(drop=True), **_axes(content)},
        f"The observations by {data.group_label}.",
        f"Box plots of {data.axis_title} in {data.stats.J} groups. Sample means run from "
        f"{number(low['mean'])} in {low['group']} to {number(high['mean'])} in {high['group']}.",
    )


_Maker = Callable[[str], Figure]


def _of_model(
    content: Content, fit: Fit, model: statements.Model | None
) -> Iterator[tuple[str, _Maker]]:
    by_group = [
        name
        for name in ("theta", "sigma2")
        if fit.posterior.get(name) is not None and "group" in fit.posterior[name].dims
    ]
    scalars = _scalars(content, fit)
    if fit.pooling == "complete":
        yield "posterior", lambda key: _trace_density(content, fit, key)
    if fit.pooling == "none":
        yield "draws", lambda key: _boxes(content, fit, key)
    if "theta" in by_group:
        yield "theta", lambda key: _caterpillar(content, fit, key)
    if "sigma2" in by_group:
        yield "sigma2", lambda key: _caterpillar_sigma2(content, fit, key)
    if quantities.tau(fit, content.data) is not None and "sigma2" in fit.posterior:
        yield "variances", lambda key: _variances(content, fit, key)
    if fit.pooling == "partial" and scalars:
        yield "prior", lambda key: _prior(content, fit, model, key)


def _trace_density(content: Content, fit: Fit, key: str) -> Figure:
    names = [n for n in ("theta", "sigma2") if n in _scalars(content, fit)]
    labels = {n: _label(content, n) for n in names}
    return Figure(
        key,
        "trace_and_density",
        {
            "draws": _draws(content, fit, {n: (n, 0) for n in names}),
            "labels": labels,
            "lower": {"sigma2": 0.0},
        },
        f"Trace of each chain and posterior density under {fit.title}.",
        f"Traces and posterior densities of {' and '.join(labels.values())} under {fit.title}. "
        + " ".join(_summary(content, fit, n) for n in names),
    )


def _summary(content: Content, fit: Fit, parameter: str) -> str:
    row = rows_of(content.table("estimates", model=fit.name, parameter=parameter))[0]
    return (
        f"{plots.SYMBOLS.get(parameter, parameter)}: mean {number(row['mean'], row['mcse_mean'])}, "
        f"95 % interval {number(row['q2.5'], row['mcse_q2.5'])} to "
        f"{number(row['q97.5'], row['mcse_q97.5'])}."
    )


def _ends(content: Content, fit: Fit, parameter: str) -> str:
    """Name the lowest and the highest median of a parameter by group, for an alt text."""
    rows = content.table("estimates", model=fit.name, parameter=parameter)
    rows = rows[rows["group"] != ""]
    low, high = lowest(rows, "median"), highest(rows, "median")
    return (
        f"Medians run from {number(low['median'], low['mcse_median'])} in {low['group']} to "
        f"{number(high['median'], high['mcse_median'])} in {high['group']}."
    )


def _boxes(content: Content, fit: Fit, key: str) -> Figure:
    theta = quantities.by_group(fit, content.data, "theta")
    if theta is None:
        raise ValueError(f"{fit.name} has no theta")
    medians = content.table("estimates", model=fit.name, parameter="theta")["median"]
    order = np.arange(content.data.stats.J)
    if len(order) > plots.MANY:
        order = np.argsort(-medians.to_numpy(), kind="stable")
        order = np.concatenate([order[: plots.MANY], order[-plots.MANY :]])
    flat = theta.reshape(len(theta), -1)[order]
    flat = flat[:, :: max(1, flat.shape[1] // _MOST_DRAWS)]
    labels = np.array(content.data.labels, dtype=object)[order]
    frame = pd.DataFrame({"group": np.repeat(labels, flat.shape[1]), "value": flat.ravel()})
    return Figure(
        key,
        "draws_by_group",
        {"draws": frame, **_axes(content)},
        f"Box plots of the draws of θ by {content.data.group_label} under {fit.title}.",
        f"Box plots of posterior draws of the group means under {fit.title}. "
        + _ends(content, fit, "theta"),
    )


def _caterpillar(content: Content, fit: Fit, key: str) -> Figure:
    frame = content.table("estimates", model=fit.name, parameter="theta")
    mu = content.table("estimates", model=fit.name, parameter="mu")
    arguments = {"estimates": pd.concat([frame, mu], ignore_index=True), **_axes(content)}
    if mu.empty:
        arguments |= {"reference": content.data.stats.grand_mean, "reference_label": "grand mean"}
    return Figure(
        key,
        "caterpillar",
        arguments,
        f"Central 50 % and 95 % intervals of θ by {content.data.group_label}"
        f"{'' if mu.empty else ', and of μ'}, under {fit.title}.",
        f"Caterpillar plot of the group means under {fit.title}. " + _ends(content, fit, "theta"),
    )


def _caterpillar_sigma2(content: Content, fit: Fit, key: str) -> Figure:
    return Figure(
        key,
        "caterpillar",
        {
            "estimates": content.table("estimates", model=fit.name, parameter="sigma2"),
            "axis_title": _label(content, "sigma2"),
            "group_title": content.data.group_label,
            "reference": content.data.stats.total_sd**2,
            "reference_label": "variance of all observations",
            "log": True,
        },
        f"Central 50 % and 95 % intervals of σ² by {content.data.group_label}, under {fit.title}; "
        "logarithmic axis.",
        f"Caterpillar plot of the variances within groups under {fit.title}. "
        + _ends(content, fit, "sigma2"),
    )


def _variances(content: Content, fit: Fit, key: str) -> Figure:
    frame = content.table("estimates", model=fit.name)
    frame = frame[frame["parameter"].isin(["sigma2", "tau2"]) & (frame["group"] == "")]
    unit = content.data.unit
    return Figure(
        key,
        "caterpillar",
        {
            "estimates": frame,
            "axis_title": f"Variance, ({unit})²" if unit else "Variance",
            "group_title": "",
        },
        f"Variance within groups, σ², and between groups, τ², under {fit.title}.",
        f"Caterpillar plot of σ² and τ² under {fit.title}. "
        + " ".join(_summary(content, fit, p) for p in frame["parameter"]),
    )


def _prior(content: Content, fit: Fit, model: statements.Model | None, key: str) -> Figure:
    draws: dict[str, FloatArray] = {}
    for name in ("mu", "tau", "sigma"):
        found = quantities.scalar(fit, content.data, name)
        if found is not None:
            draws[name] = found
    if {"tau", "sigma"} <= set(draws):
        draws["R"] = draws["tau"] ** 2 / (draws["tau"] ** 2 + draws["sigma"] ** 2)
    bounds = {"mu": (-np.inf, np.inf), "tau": (0, np.inf), "sigma": (0, np.inf), "R": (0, 1)}
    curves, overlaid = [], []
    stated = {
        name: statements.prior_of(model, name, fit.about["priors"]) if model else None
        for name in ("mu", "tau", "sigma")
    }
    for name, values in draws.items():
        low, high = bounds[name]
        curve = plots.density(values, lower=low, upper=high)
        curves.append(curve.assign(parameter=name))
        grid = curve["value"].to_numpy()
        prior = stated.get(name)
        if prior is not None:
            overlaid.append(
                pd.DataFrame({"value": grid, "density": prior.density(grid), "parameter": name})
            )
        tau, sigma = stated["tau"], stated["sigma"]
        if name == "R" and tau is not None and sigma is not None:
            overlaid.append(_prior_of_share(tau, sigma))
    labels = {name: _label(content, name) for name in draws} | {"R": "R = τ² / (τ² + σ²)"}
    columns = ["value", "density", "parameter"]
    without = [labels[name] for name in draws if name not in {f["parameter"][0] for f in overlaid}]
    return Figure(
        key,
        "prior_and_posterior",
        {
            "posterior": pd.concat(curves, ignore_index=True),
            "prior": pd.concat(overlaid, ignore_index=True)
            if overlaid
            else pd.DataFrame(columns=columns),
            "labels": labels,
        },
        f"Posterior (filled) and prior (dashed) densities under {fit.title}."
        + (f" No prior is drawn for {', '.join(without)}." if without else ""),
        f"Posterior densities with prior densities under {fit.title}. "
        + " ".join(_summary(content, fit, name) for name in draws if name != "R"),
    )


def _prior_of_share(tau: statements.Prior, sigma: statements.Prior) -> pd.DataFrame:
    """Prior density of R, from a histogram of independent prior draws."""
    rng = np.random.default_rng(1)
    size, bins = 400_000, 50
    t, s = tau.draws(size, rng), sigma.draws(size, rng)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        share = 1 / (1 + (s / t) ** 2)
    counts, edges = np.histogram(share[np.isfinite(share)], bins=bins, range=(0, 1))
    middle = 0.5 * (edges[1:] + edges[:-1])
    return pd.DataFrame({"value": middle, "density": counts * bins / size, "parameter": "R"})


def _chains(content: Content, fit: Fit, function: str) -> _Maker:
    """Traces or rank plots of the scalars and of the group mean that mixes worst."""

    def make(key: str) -> Figure:
        panels = {name: (name, 0) for name in _scalars(content, fit) if name != "sigma2"}
        labels = {name: plots.SYMBOLS.get(name, name) for name in panels}
        rows = content.table("estimates", model=fit.name)
        rows = rows[(rows["parameter"] == "theta") & (rows["group"] != "")]
        most = 3 if fit.pooling == "none" else 1
        for row in rows_of(rows.sort_values("ess_bulk", kind="stable").head(most)):
            panel = f"theta {row['group']}"
            panels[panel] = ("theta", content.data.labels.index(row["group"]))
            labels[panel] = f"θ, {content.data.group_label} {row['group']}"
        worst = content.table("estimates", model=fit.name)["r_hat"].max()
        kind = "Traces" if function == "traces" else "Rank histograms by chain"
        return Figure(
            key,
            function,
            {"draws": _draws(content, fit, panels), "labels": labels},
            f"{kind} under {fit.title}"
            + (
                ": of the group means, those with the fewest effective draws." if len(rows) else "."
            ),
            f"{kind} of {len(panels)} parameters under {fit.title}; the largest R-hat of all "
            f"parameters is {worst:.3f}.",
        )

    return make


def _scatter(content: Content) -> Figure:
    shown = [fit for fit in (content.one("none"), content.one("partial")) if fit]
    names = [fit.name for fit in shown]
    frame = content.table("estimates")
    most = "".join(
        f" {row['group']} moves most, by {number(row['displacement'], row['mcse'])}."
        for row in rows_of(content.table("moved", model=names[-1], statement="moved most"))
    )
    return Figure(
        "shrinkage",
        "pooling_scatter",
        {
            "estimates": frame[frame["model"].isin(names)],
            "models": content.titles,
            **_axes(content),
        },
        f"Posterior means of θ under {' and '.join(fit.title for fit in shown)}.",
        f"Posterior means of the group means under {' and '.join(fit.title for fit in shown)}, "
        f"with the posterior mean of μ dashed.{most}",
    )


def _arrows(content: Content, fit: Fit) -> Figure:
    frame = content.table("shrinkage", model=fit.name)
    target = float(frame["target"].iloc[0])
    most = highest(frame.assign(size=frame["displacement"].abs()), "size")
    return Figure(
        "arrows",
        "shrinkage_arrows",
        {
            "shrinkage": frame,
            "center": target if np.isfinite(target) else None,
            **_axes(content),
        },
        f"From the sample mean to the posterior mean under {fit.title}, by group size.",
        f"Arrows from sample means to posterior means under {fit.title}; the largest shift is "
        f"{number(most['displacement'], most['mcse'])} in {most['group']}.",
    )


def _order(content: Content, fit: Fit) -> list[str]:
    rows = content.table("estimates", model=fit.name, parameter="theta")
    return list(rows.sort_values("mean", ascending=False, kind="stable")["group"])


def _pair_of_models(content: Content) -> list[str]:
    return [fit.name for fit in (content.one("none"), content.one("partial")) if fit]


def _contrasts(content: Content, fit: Fit) -> Figure:
    order = _order(content, fit)
    shown = _pair_of_models(content)
    kept, dropped = plots.extremes(order)
    frame = content.table("contrasts")
    if dropped:
        fits = [f for f in content.fits if f.name in shown]
        frame = comparisons.contrasts(fits, content.data, groups=kept)
    frame = frame[frame["model"].isin(shown)]
    return Figure(
        "contrasts",
        "contrast_matrix",
        {
            "contrasts": frame,
            "order": order,
            "group_title": content.data.group_label,
            "models": content.titles,
        },
        "Probability that one group mean is larger than another.",
        f"Matrix of P(θ of the row > θ of the column) for {len(kept)} groups; from highest to "
        f"lowest: {', '.join(kept[:8])}{' and so on' if len(kept) > 8 else ''}.",
    )


def _ranks(content: Content, fit: Fit) -> Figure:
    order = _order(content, fit)
    shown = _pair_of_models(content)
    kept, dropped = plots.extremes(order)
    frame = content.table("ranks")
    if dropped:
        fits = [f for f in content.fits if f.name in shown]
        frame = comparisons.ranks(fits, content.data, groups=kept)
    return Figure(
        "group-ranks",
        "rank_heat_map",
        {
            "ranks": frame[frame["model"].isin(shown)],
            "order": order,
            "group_title": content.data.group_label,
            "models": content.titles,
        },
        "Probability of each rank of each group; rank 1 is the highest mean.",
        f"Heat map of rank probabilities of {len(kept)} groups; the highest estimate is that of "
        f"{order[0]}, the lowest that of {order[-1]}.",
    )


def _predictions(content: Content, fit: Fit) -> Figure:
    rows = content.table("predictions", model=fit.name)
    known = rows[rows["quantity"] == "new observation"].assign(parameter="y")
    single = rows[rows["group"] == ""]
    single = single[single["quantity"] != "new observation"]
    single = single.assign(parameter=single["quantity"])
    return Figure(
        "predictions",
        "caterpillar",
        {"estimates": pd.concat([known, single], ignore_index=True), **_axes(content)},
        f"Predictive intervals of a new observation in each group, of a new group's mean and of "
        f"an observation in a new group, under {fit.title}.",
        f"Caterpillar plot of predictive intervals under {fit.title}.",
    )


def _statistics(content: Content, fit: Fit) -> Figure:
    frame = content.table("posterior_checks", model=fit.name)
    outside = (frame["observed"] < frame["q2.5"]) | (frame["observed"] > frame["q97.5"])
    return Figure(
        "check-statistics",
        "check_statistics",
        {"checks": frame, **_axes(content)},
        f"Standard deviation, minimum and maximum of each group against their replicates under "
        f"{fit.title}.",
        f"Observed statistics by group on the intervals of their replicates; {int(outside.sum())} "
        f"of {len(frame)} lie outside the 95 % interval.",
    )


def _density(content: Content, fit: Fit) -> Figure:
    drawn = list(replicates(fit, content.data))
    step = max(1, len(drawn) // _REPLICATES)
    every = max(1, content.data.stats.N // _MOST_VALUES)
    frames = [
        pd.DataFrame({"replicate": k, "value": y[::every]})
        for k, y in enumerate(drawn[::step][:_REPLICATES])
    ]
    return Figure(
        "check-density",
        "check_density",
        {
            "observed": pd.DataFrame({"value": content.data.y[::every]}),
            "replicates": pd.concat(frames, ignore_index=True),
            "axis_title": content.data.axis_title,
        },
        f"Density of the observations and of data sets replicated under {fit.title}.",
        f"Density of {content.data.axis_title}: observations over {len(frames)} replicated data "
        "sets.",
    )


def _loo(content: Content, fit: Fit) -> Figure:
    frame = content.table("loo_pointwise", model=fit.name)
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
