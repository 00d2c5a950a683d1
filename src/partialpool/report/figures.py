"""Which figures a report has, with the frames they are drawn from, captions and alt texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from partialpool import plots
from partialpool.families.exact import KnownErrorsPosterior, MetaRegressionPosterior
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, MEANS
from partialpool.fitting.summarize import QUANTILES
from partialpool.programs import statements
from partialpool.report import funnel, later, levels, model_figures, own_spreads, regression
from partialpool.report.drawing import Figure
from partialpool.report.sentences import fitness, leading_movers
from partialpool.report.wording import (
    capital,
    group_word,
    groups_of,
    highest,
    leading,
    listed,
    lowest,
    moved_by,
    noun,
    number,
    raw_number,
    rows_of,
    run,
    sizes,
    tied,
)
from partialpool.tables import contrasts, exponential, shrinkage
from partialpool.tables.checks import replicates
from partialpool.tables.comparison import Comparison
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.tables.predictions import NEW_GROUP_MEAN, NEW_OBSERVATION
from partialpool.text import safe

_REPLICATES = 40
_MOST_VALUES = 20_000
_ENDS = {"low": "q2.5", "middle": "median", "high": "q97.5"}


@dataclass(frozen=True)
class Plan:
    """A figure yet to be prepared: `make` may fail, and then only this figure is missing."""

    section: str
    key: str
    make: Callable[[], Figure]
    folded: bool = False
    """Whether the page shows it only when it is asked for."""


def plan(comparison: Comparison, models: dict[str, statements.Model]) -> Iterator[Plan]:
    """List the figures of a report in their order, with no more tables than it takes.

    Parameters
    ----------
    comparison
        The frames.
    models
        Name of a fit to the statements of its program, where its source is known.
    """
    if comparison.data.has_observations:
        yield Plan("data", "data", lambda: _data(comparison))
    both = bool(comparison.model("none") and comparison.model("partial"))
    for number_, fit in enumerate(comparison.fits, start=1):
        for name, make in model_figures.of_model(comparison, fit, models.get(fit.name)):
            key = f"{number_}-{safe(fit.name)}-{name}"
            folded = both and name != "prior"
            yield Plan(f"model:{fit.name}", key, _bound(make, key), folded)
        if fit.record.independent:
            continue  # nothing to see of chains that do not depend on what was before
        for name, function in (("traces", "traces"), ("ranks", "rank_plot")):
            key = f"{number_}-{safe(fit.name)}-{name}"
            drawn = _bound(model_figures.chains(comparison, fit, function), key)
            yield Plan("diagnostics", key, drawn, comparison.trusted[fit.name])
    if both:
        yield Plan("shrinkage", "models", lambda: _models(comparison))
    partial, best = (
        comparison.model("partial"),
        comparison.model("partial") or comparison.model("none"),
    )
    if partial and partial.keeps(MEANS):
        yield Plan("shrinkage", "arrows", lambda: _arrows(comparison, partial))
    if levels.drawn(comparison) is not None:
        yield Plan("shrinkage", "outer-groups", lambda: levels.figure(comparison))
    if partial and regression.drawn(comparison, partial):
        yield Plan("shrinkage", "line", lambda: regression.figure(comparison, partial))
    if own_spreads.drawn(comparison) is not None:
        yield Plan("shrinkage", "spreads", lambda: own_spreads.figure(comparison))
    if partial and comparison.data.family.rows_are_groups:
        yield Plan("shrinkage", "forest", lambda: _forest(comparison, partial))
        if funnel.shown(comparison) and partial.keeps(MEANS):
            yield Plan("shrinkage", "funnel", lambda: funnel.figure(comparison, partial))
        simple = comparison.data.family.gaussian and not comparison.data.family.mixture
        if is_shipped(partial) and simple and comparison.data.stats.nesting is None:
            yield Plan("shrinkage", "effects", lambda: _effects(comparison, partial))
    if best and comparison.data.stats.J > 1:
        yield Plan("comparisons", "contrasts", lambda: _contrasts(comparison, best))
        yield Plan("comparisons", "group-ranks", lambda: _ranks(comparison, best))
    checked = best or comparison.fits[0]
    if len(comparison.table("holdout_groups")):
        yield Plan("prediction", "holdout", lambda: later.figure(comparison))
    if len(_drawn_predictions(comparison, checked)):
        yield Plan("prediction", "predictions", lambda: _predictions(comparison, checked))
    if len(comparison.table("posterior_checks", model=checked.name)):
        yield Plan("checks", "check-statistics", lambda: _statistics(comparison, checked))
        if not comparison.data.family.rows_are_groups:
            yield Plan(
                "checks", "check-density", lambda: _density(comparison, checked), folded=True
            )
    if partial is not None and len(fitness.given_others(comparison, partial)):
        yield Plan("checks", "population", lambda: _population(comparison, partial))
    if len(comparison.table("loo_pointwise", model=checked.name)):
        yield Plan("checks", "loo-k", lambda: _loo(comparison, checked), folded=True)


def _bound(make: Callable[[str], Figure], key: str) -> Callable[[], Figure]:
    return lambda: make(key)


def _data(comparison: Comparison) -> Figure:
    data = comparison.data
    if data.family.rows_are_groups:
        return _raw(comparison)
    frame = pd.DataFrame(
        {
            "group": np.array(data.labels, dtype=object)[data.group],
            "value": exponential.shown(data, data.y),
        }
    ).iloc[np.argsort(data.group, kind="stable")]
    summary = data.summary()
    extremes = lowest(summary, "mean"), highest(summary, "mean")
    ends = ((raw_number(comparison, row["mean"]), row["group"]) for row in extremes)
    return Figure(
        "data",
        "data_by_group",
        {"observations": frame.reset_index(drop=True), **model_figures.axes(comparison)},
        f"The observations by {data.group_label}"
        + (", without their weights." if data.words.scaled else "."),
        f"Box plots of {data.axis_title} in {groups_of(data.stats.J)}. "
        + run(capital(data.words.raws), *ends),
    )


def _raw(comparison: Comparison) -> Figure:
    """Draw each group's own estimate with the intervals that its standard error gives."""
    words = comparison.data.words
    data, raw = comparison.data, comparison.data.stats.raw
    (low, high), (first, third) = (data.stats.intervals(level) for level in (0.95, 0.5))
    columns = zip(QUANTILES, (low, first, raw, third, high), strict=True)
    quantiles = {name: exponential.shown(data, values) for name, values in columns}
    frame = pd.DataFrame({"parameter": "y", "group": list(data.labels), **quantiles})
    extremes = lowest(frame, "median"), highest(frame, "median")
    ends = ((exponential.statistic(data, row["median"]), row["group"]) for row in extremes)
    return Figure(
        "data",
        "caterpillar",
        {
            "estimates": frame,
            "reference": exponential.shown(data, data.stats.grand_mean),
            "reference_label": model_figures.grand_mean(comparison),
            "point": data.words.raw,
            **model_figures.ratios(comparison),
        },
        f"The {data.words.raws} by {data.group_label}, with {words.intervals}.",
        f"{capital(words.raws)} of {groups_of(data.stats.J)} with their intervals. "
        + run(capital(words.raws), *ends),
    )


def _models(comparison: Comparison) -> Figure:
    """Draw no pooling and partial pooling on one axis, with the mean of the population."""
    shown = [fit for fit in (comparison.model("none"), comparison.model("partial")) if fit]
    names = [fit.name for fit in shown]
    frame = shrinkage.without_foreign_centers(comparison.table("estimates"), comparison.fits)
    frame = frame[frame["model"].isin(names) & frame["parameter"].isin(["theta", "mu"])]
    frame = frame[(frame["parameter"] == "mu") | (frame["group"] != "")]
    whole = frame["parameter"] == "mu"
    intervals = pd.DataFrame(
        {
            "row": np.where(whole, _mean_of_all(comparison), frame["group"]),
            "whole": whole,
            "kind": frame["model"].map({fit.name: capital(fit.title) for fit in shown}),
            **{name: frame[of] for name, of in _ENDS.items()},
        }
    )
    both = " and ".join(fit.title for fit in shown)
    thetas = comparison.data.words.thetas
    return Figure(
        "models",
        "forest",
        {"intervals": intervals, "zero": False, **model_figures.effect_axes(comparison)},
        f"The {thetas} under {both} side by side, with the mean of the population.",
        f"Intervals of {thetas} under {both}, a pair for each of {comparison.data.stats.J} groups.",
    )


def _most(comparison: Comparison, model: str) -> str:
    """Name the group that moves most, for an alt text; nothing where several do."""
    raw = comparison.data.words.raw
    first = leading_movers(comparison, comparison.table("shrinkage", model=model))
    if len(first) != 1:
        return ""
    [row] = rows_of(first)
    return f" {row['group']} moves most from its {raw}, by {moved_by(comparison, row)}."


def _arrows(comparison: Comparison, fit: Fit) -> Figure:
    frame = comparison.table("shrinkage", model=fit.name)
    targets = frame["target"].unique()  # several where covariates explain the groups
    target = float(targets[0]) if len(targets) == 1 else np.nan
    words = comparison.data.words
    mean = "geometric posterior mean" if comparison.data.exp else "posterior mean"
    return Figure(
        "arrows",
        "shrinkage_arrows",
        {
            "shrinkage": frame,
            "center": target if np.isfinite(target) else None,
            **model_figures.ratios(comparison),
            **sizes(comparison.data),
        },
        f"From the {words.raw} to the {mean} under {fit.title}, by {words.size_title.lower()}.",
        f"Arrows from {words.raws} to {mean}s under {fit.title}.{_most(comparison, fit.name)}",
    )


def _forest(comparison: Comparison, fit: Fit) -> Figure:
    """Draw estimates, their posterior, the mean of the population and a new group in one."""
    data, stats = comparison.data, comparison.data.stats
    low, high = stats.intervals(0.95)
    raw = pd.DataFrame(
        {
            "row": list(stats.labels),
            "whole": False,
            "kind": data.words.raw.capitalize(),
            "low": exponential.shown(data, low),
            "middle": exponential.shown(data, stats.raw),
            "high": exponential.shown(data, high),
        }
    )
    theta = comparison.table("estimates", model=fit.name)
    new = comparison.table("predictions", model=fit.name, quantity="new group mean")
    shown = [
        (theta[theta["parameter"] == "theta"], "", False),
        (theta[(theta["parameter"] == "mu") & fit.keeps(CENTER)], _mean_of_all(comparison), True),
        (new, f"New {group_word(comparison)}", True),
    ]
    posterior = [
        pd.DataFrame({name: part[column] for name, column in _ENDS.items()}).assign(
            row=row or part["group"], whole=whole, kind=capital(fit.title)
        )
        for part, row, whole in shown
        if len(part)
    ]
    rows = comparison.table("shrinkage", model=fit.name)
    weakest = highest(rows, "raw_se")
    least = ""
    if len(tied(rows, "raw_se", weakest["raw_se"])) == 1:
        least = (
            f"; the least is known of {weakest['group']}, whose posterior mean is "
            f"{number(weakest['estimate'], weakest['mcse'])}"
        )
    return Figure(
        "forest",
        "forest",
        {
            "intervals": pd.concat([raw, *posterior], ignore_index=True),
            **model_figures.ratios(comparison),
        },
        f"The {data.words.raws} and what {fit.title} makes of them, with the mean of all "
        f"and the prediction for a new {group_word(comparison)}.",
        f"Forest plot of {stats.J} {data.words.raws} with 95 % intervals and their "
        f"posteriors under {fit.title}{least}.",
    )


def _mean_of_all(comparison: Comparison) -> str:
    """What the row of mu is called in a forest."""
    if comparison.data.stats.covariates is not None:
        return f"{model_figures.center(comparison)}, at the means of covariates"
    return "exp(μ), geometric mean of all" if comparison.data.exp else "μ, mean of all"


def _effects(comparison: Comparison, fit: Fit) -> Figure:
    """Draw the effects given tau over the posterior density of tau."""
    posterior = exact_posterior(fit, comparison.data)
    if not isinstance(posterior, KnownErrorsPosterior | MetaRegressionPosterior):
        raise ValueError(f"the effects of {fit.name} given tau are not known exactly")
    reach = float(comparison.table("estimates", model=fit.name, parameter="tau")["q97.5"].iloc[0])
    grid = np.linspace(0.0, 1.25 * reach, 161)
    labels = comparison.data.labels
    kept, _ = plots.extremes(_order(comparison, fit) if len(labels) > plots.MANY else list(labels))
    effects = posterior.conditional_effects(grid)
    data = comparison.data
    effects = effects.assign(mean=exponential.shown(data, effects["mean"].to_numpy(dtype=float)))
    lines = "exp(E(θ | τ))" if data.exp else "E(θ | τ)"
    given = "exponentials of the posterior means" if data.exp else "posterior means"
    return Figure(
        "effects",
        "effects_by_tau",
        {
            "effects": effects[effects["group"].isin(kept)],
            "density": pd.DataFrame({"tau": grid[1:], "density": posterior.tau_density(grid[1:])}),
            "axis_title": exponential.axis_title(data),
            "ratios": data.exp,
        },
        f"{capital(given)} of the effects given τ, and the posterior density of τ (exact).",
        f"Lines of {lines} of {len(kept)} groups that leave {_start(comparison)} at τ = 0 and fan "
        "out as τ "
        f"grows; below, the posterior density of τ, most of which lies below {number(reach)}.",
    )


def _start(comparison: Comparison) -> str:
    """Where effects lie if they do not differ."""
    return "one point" if comparison.data.stats.covariates is None else "the regression line"


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
        f"Probability that one {comparison.data.words.theta} is larger than another.",
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
            "ranked": noun(comparison),
        },
        f"Probability of each rank of each group; rank 1 is the highest {noun(comparison)}.",
        f"Heat map of rank probabilities of {len(kept)} groups{_first_and_last(comparison, fit)}.",
    )


def _first_and_last(comparison: Comparison, fit: Fit) -> str:
    """Name the groups of the highest and the lowest estimate, where Monte Carlo errors can tell."""
    rows = comparison.table("estimates", model=fit.name, parameter="theta")
    high = leading(rows, "mean", "mcse_mean")
    low = leading(rows.assign(mean=-rows["mean"]), "mean", "mcse_mean")
    if len(high) != 1 or len(low) != 1:
        return ""
    return (
        f"; the highest estimate is that of {high['group'].iloc[0]}, the lowest that of "
        f"{low['group'].iloc[0]}"
    )


def _drawn_predictions(comparison: Comparison, fit: Fit) -> pd.DataFrame:
    """Predictions that a figure can show, those of no group by what is predicted."""
    rows = comparison.table("predictions", model=fit.name)
    if rows.empty:
        return rows
    family = comparison.data.family
    if not family.gaussian:  # counts, which have another unit than what they are predicted from
        rows = rows[rows["quantity"] != NEW_GROUP_MEAN]
        new = f"a new {group_word(comparison)}"
        return rows.assign(parameter=np.where(rows["group"] == "", new, "y"))
    known = rows[rows["quantity"] == NEW_OBSERVATION].assign(parameter="y")
    single = rows[(rows["group"] == "") & (rows["quantity"] != NEW_OBSERVATION)]
    names = single["quantity"]
    if comparison.data.family.rows_are_groups:
        new = f"{noun(comparison)} of a new {group_word(comparison)}"
        names = names.replace(NEW_GROUP_MEAN, new)
    rows = pd.concat([known, single.assign(parameter=names)], ignore_index=True)
    ends = rows[["q2.5", "q97.5"]].to_numpy(dtype=float)
    kept = np.isfinite(ends).all(axis=1)
    if comparison.data.exp:  # a vague prior of a logarithm goes from nothing to everything
        kept &= (ends > 0).all(axis=1)
    return rows.iloc[np.flatnonzero(kept)].reset_index(drop=True)


def _predictions(comparison: Comparison, fit: Fit) -> Figure:
    drawn = _drawn_predictions(comparison, fit)
    family = comparison.data.family
    if not family.gaussian:
        what = family.outcome(family.next_size(comparison.data.stats))
        titles = {"axis_title": capital(what), "group_title": comparison.data.group_label}
        return Figure(
            "predictions",
            "caterpillar",
            {"estimates": drawn, **titles},
            f"Predictive intervals of the {what}, under {fit.title}.",
            f"Caterpillar plot of predictive intervals of the {what} under {fit.title}.",
        )
    names = dict.fromkeys(drawn["parameter"].replace("y", "new observation in each group"))
    article = "the" if comparison.data.family.rows_are_groups else "a"
    of = listed([f"{article} {name}" for name in names])
    return Figure(
        "predictions",
        "caterpillar",
        {
            "estimates": drawn,
            **model_figures.ratios(comparison),
        },
        f"Predictive intervals of {of}, under {fit.title}.",
        f"Caterpillar plot of predictive intervals under {fit.title}.",
    )


def _statistics(comparison: Comparison, fit: Fit) -> Figure:
    frame = comparison.table("posterior_checks", model=fit.name)
    if not comparison.data.family.rows_are_groups:
        frame = frame[frame["group"] != ""]
    outside = (frame["observed"] < frame["q2.5"]) | (frame["observed"] > frame["q97.5"])
    axes, what = (
        model_figures.axes(comparison),
        "Standard deviation, minimum and maximum of each group",
    )
    if comparison.data.family.rows_are_groups:
        raws = comparison.data.words.raws
        axes, what = {"axis_title": "", "group_title": ""}, f"Statistics of all {raws}"
    return Figure(
        "check-statistics",
        "check_statistics",
        {"checks": frame, **axes},
        f"{what} against their replicates under {fit.title}.",
        f"Observed statistics on the intervals of their replicates; {int(outside.sum())} "
        f"of {len(frame)} {'lies' if outside.sum() == 1 else 'lie'} outside the 95 % interval.",
    )


def _density(comparison: Comparison, fit: Fit) -> Figure:
    drawn = list(replicates(fit, comparison.data))
    step = max(1, len(drawn) // _REPLICATES)
    shown = exponential.shown(comparison.data, comparison.data.y)
    every = max(1, comparison.data.stats.N // _MOST_VALUES)
    frames = [
        pd.DataFrame({"replicate": k, "value": exponential.shown(comparison.data, y[::every])})
        for k, y in enumerate(drawn[::step][:_REPLICATES])
    ]
    return Figure(
        "check-density",
        "check_density",
        {
            "observed": pd.DataFrame({"value": shown[::every]}),
            "replicates": pd.concat(frames, ignore_index=True),
            "axis_title": comparison.data.axis_title,
        },
        f"Density of the observations and of data sets replicated under {fit.title}.",
        f"Density of {comparison.data.axis_title}: observations over {len(frames)} replicated data "
        "sets.",
    )


def _population(comparison: Comparison, fit: Fit) -> Figure:
    rows = fitness.given_others(comparison, fit)
    below = rows["below"].to_numpy(dtype=float)
    tails = np.minimum(below, 1 - below)
    far = int(np.argmin(tails))
    farthest = ""
    if (tails > tails[far]).sum() == len(tails) - 1:
        share = number(float(below[far]), 0.0005)
        farthest = (
            f"; the farthest is {rows['group'].iloc[far]}, with probability "
            f"{share} of a smaller value"
        )
    words = comparison.data.words
    return Figure(
        "population",
        "group_quantiles",
        {"shares": rows[["group", "below"]], "of": group_word(comparison)},
        f"Each {words.raw} against what the other groups lead one to expect under {fit.title}, "
        "beside draws from the population.",
        f"Quantile plot of {len(rows)} groups{farthest}.",
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
        f"Pareto k of {len(frame)} observations; the largest is {frame['k'].max():.2f}, {bad} "
        f"{'is' if bad == 1 else 'are'} beyond the threshold of {threshold:.2f}.",
    )
