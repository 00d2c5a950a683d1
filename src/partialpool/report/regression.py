"""What a report says of covariates: sentences, tables and the figure of groups and their line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER
from partialpool.report import cells, odds
from partialpool.report.drawing import Figure
from partialpool.report.model_figures import effect_axes
from partialpool.report.views import LOGARITHMS
from partialpool.report.wording import (
    capital,
    listed,
    nouns,
    number,
    percent,
    rows_of,
    scalar,
)
from partialpool.tables import exponential, regression
from partialpool.tables.comparison import Comparison
from partialpool.text import short

_HARDLY = 0.05
_LARGE = math.log(1e6)


def lines(comparison: Comparison) -> list[str]:
    """Say how the groups change with each covariate, and how much that explains."""
    fit = comparison.model("partial")
    covariates = comparison.data.stats.covariates
    if fit is None or covariates is None or not comparison.concludes(fit.name):
        return []
    table = comparison.table("coefficients", model=fit.name)
    rows = [row for row in rows_of(table) if row["coefficient"] != regression.INTERCEPT]
    said = [_slope(comparison, fit, row) for row in rows]
    return [*said, *_explained(comparison, fit)]


def _slope(comparison: Comparison, fit: Fit, row: dict[str, Any]) -> str:
    """Say what one covariate, or one level of a category, goes with."""
    data, name, of = comparison.data, str(row["coefficient"]), nouns(comparison)
    own = scalar(comparison, fit, f"beta[{name}]")
    draws = own["ess_bulk"] if own is not None else 1.0
    if isinstance(data.family, OnALinkedLine):
        return odds.slope(comparison, data.family, row, draws)
    low, high = (number(row[end], row[f"mcse_{end}"]) for end in ("q2.5", "q97.5"))
    mean = number(row["mean"], row["mcse_mean"], "" if data.exp else data.unit)
    side = "above" if row["p_positive"] > 0.5 else "below"
    sure = percent(max(row["p_positive"], 1 - row["p_positive"]), draws)
    known = (
        f"(95 % interval {low} to {high}; {side} {1 if data.exp else 0} with probability {sure})"
    )
    reference = data.stats.covariates.reference(name) if data.stats.covariates else ""
    level = name.replace(": ", " ", 1)
    if isinstance(data.stats, AdjustedMeans) and data.stats.varies(name):
        return _within_groups(comparison, row, (mean, known), reference)
    if reference and data.exp:
        said = f"of {level} are {mean} times those of {reference}"
    elif reference:
        said = f"of {level} differ from those of {reference} by {mean}"
    elif data.exp:
        said = f"are multiplied by {mean} for each unit of {name}"
    else:
        said = f"change by {mean} for each unit of {name}"
    return f"Along the regression line {of} {said} {known}."


def _within_groups(
    comparison: Comparison, row: dict[str, Any], about: tuple[str, str], reference: str
) -> str:
    """Say how observations of one group differ with a covariate."""
    data, name, (mean, known) = comparison.data, str(row["coefficient"]), about
    level, group = name.replace(": ", " ", 1), data.group_label
    if reference and data.exp:
        return (
            f"Observations of {level} are {mean} times those of {reference} in the same {group} "
            f"{known}."
        )
    if reference:
        return (
            f"Observations of {level} differ from those of {reference} in the same {group} by "
            f"{mean} {known}."
        )
    how = "are multiplied by" if data.exp else "change by"
    return f"Within a {group} observations {how} {mean} for each unit of {name} {known}."


def _share_within(row: dict[str, Any], unit: str) -> list[str]:
    """Say what covariates explain within groups, where they vary there."""
    share = row.get("explained_within", math.nan)
    if not math.isfinite(share):
        return []
    without, left = (
        f"{short(row[name])} {unit}".strip() for name in ("sigma_without_median", "sigma_median")
    )
    pair = f"the sd within groups has posterior median {without} without covariates, {left} with"
    if share < _HARDLY:
        return [f"They explain hardly any of how observations of a group differ: {pair}."]
    return [f"They explain about {100 * share:.0f} % of the variance within groups: {pair}."]


def _explained(comparison: Comparison, fit: Fit) -> list[str]:
    rows = rows_of(comparison.table("explained", model=fit.name))
    if not rows or not math.isfinite(rows[0]["explained"]):
        return []
    row, family = rows[0], comparison.data.family
    linked = isinstance(family, OnALinkedLine)
    unit = "" if comparison.data.exp or linked else comparison.data.unit
    of = family.alphas if isinstance(family, OnALinkedLine) else nouns(comparison)
    spread = f"{short(row['tau_without_median'])} {unit}".strip()
    about = f"{short(row['tau_median'])} {unit}".strip()
    scale = ", on the scale of the logarithms," if comparison.data.exp else ""
    pair = (
        f"their sd{scale} has posterior median {spread} without covariates, and {about} about "
        "the line"
    )
    said = (
        f"The covariates explain hardly any of how the {of} differ: {pair}."
        if row["explained"] < _HARDLY
        else f"The covariates explain about {100 * row['explained']:.0f} % of the variance of the "
        f"{of}: {pair}."
    )
    gain = row["elpd"] - row["elpd_without"]
    if not math.isfinite(gain):
        within = _share_within(row, unit)
        return [said, *within, *_weighed(row["log_marginal"] - row["log_marginal_without"])]
    score = (
        f"(expected log predictive density {row['elpd']:.1f}, {row['elpd_without']:.1f} without)"
    ).replace("-", "−")
    if abs(gain) < 1:
        return [said, f"Groups left out are predicted about as well with them as without {score}."]
    better = "better" if gain > 0 else "worse"
    return [said, f"Groups left out are predicted {better} with them than without {score}."]


def _weighed(log_factor: float) -> list[str]:
    """Say how the data speak for the covariates, given the priors."""
    if not math.isfinite(log_factor):
        return []
    if abs(log_factor) < math.log(3):
        return [
            "The data are about as probable with the covariates as without (Bayes factor "
            f"{math.exp(log_factor):.2g})."
        ]
    bounded = min(abs(log_factor), _LARGE)
    factor = short(float(f"{math.exp(bounded):.2g}")) if bounded < _LARGE else "over a million"
    which = "more" if log_factor > 0 else "less"
    return [
        f"Under these priors the data are {factor} times {which} probable with the covariates than "
        "without (a Bayes factor, in which the prior of the slopes counts)."
    ]


def coefficients(comparison: Comparison) -> cells.View | None:
    """Coefficients of the regression line, by model."""
    frame = comparison.table("coefficients")
    if frame.empty:
        return None
    exp = comparison.data.exp
    over = "a factor for one unit of the covariate" if exp else "for one unit of the covariate"
    note = f"Each is {over}; the intercept is the line where all covariates are 0."
    family, ratios = comparison.data.family, cells.Columns()
    if isinstance(family, OnALinkedLine):
        note, ratios = odds.note(family), odds.columns(family)
    return cells.view(
        "Coefficients of the regression line",
        frame.assign(title=frame["model"].map(comparison.titles)),
        [
            ("Model", cells.text("title")),
            ("Coefficient", cells.text("coefficient")),
            ("Geometric mean" if exp else "Mean", cells.estimate("mean", "mcse_mean")),
            ("Geometric sd" if exp else "sd", cells.estimate("sd", "mcse_sd")),
            ("2.5 %", cells.estimate("q2.5", "mcse_q2.5")),
            ("Median", cells.estimate("median", "mcse_median")),
            ("97.5 %", cells.estimate("q97.5", "mcse_q97.5")),
            (f"P(above {1 if exp else 0})", cells.probability("p_positive")),
            *ratios,
        ],
        csv="coefficients",
        note=note,
    )


def adjusted(comparison: Comparison) -> cells.View | None:
    """Estimates as they would be at the means of the covariates."""
    fit, covariates = comparison.model("partial"), comparison.data.stats.covariates
    frame = comparison.table("adjusted", model=fit.name) if fit else pd.DataFrame()
    if frame.empty or covariates is None:
        return None
    own, raws = comparison.data.stats, comparison.data.words.raw
    names, middle, more = covariates.names, covariates.middle, cells.Columns()
    what = "the means of the covariates"
    if isinstance(own, AdjustedMeans):
        names, middle = tuple(np.array(names)[own.vary].tolist()), middle[own.vary]
        what = f"the mean of all observations in {listed(names)}"
        raw = dict(zip(own.labels, exponential.shown(comparison.data, own.raw), strict=True))
        frame = frame.assign(raw=[raw[group] for group in frame["group"]])
        more = [(capital(raws), cells.digits("raw", ".4g"))]
    at = listed([f"{n} = {float(m):.4g}" for n, m in zip(names, middle, strict=True)])
    exp = comparison.data.exp
    return cells.view(
        f"{capital(comparison.data.words.thetas)} adjusted to {what}",
        frame,
        [
            (comparison.data.group_label, cells.text("group")),
            *more,
            ("Geometric mean" if exp else "Mean", cells.estimate("mean", "mcse_mean")),
            ("Geometric sd" if exp else "sd", cells.estimate("sd", "mcse_sd")),
            ("2.5 %", cells.estimate("q2.5", "mcse_q2.5")),
            ("97.5 %", cells.estimate("q97.5", "mcse_q97.5")),
        ],
        csv="adjusted",
        note=f"What each would be at {at}, by the slopes of the line.",
    )


def classical(comparison: Comparison) -> cells.View | None:
    """Regression without priors: of estimates, or of the means of observations."""
    frame = comparison.table("regression")
    if not frame.empty:
        return _of_means(comparison, frame)
    frame = comparison.table("meta_regression")
    if frame.empty:
        return None
    return cells.view(
        "Classical companions: meta-regression by REML",
        frame,
        [
            ("Coefficient", cells.text("coefficient")),
            ("Estimate", cells.digits("estimate", ".4g")),
            ("Standard error", cells.digits("se", ".3g")),
            ("95 % interval", cells.interval("q2.5", "q97.5", ".4g")),
            ("τ²", cells.digits("tau2", ".4g")),
            ("τ² without covariates", cells.digits("tau2_without", ".4g")),
            ("Explained", cells.digits("explained", ".2f")),
            ("Q about the line", cells.digits("q", ".4g")),
            ("p of Q", cells.digits("p_value", ".2g")),
        ],
        csv="meta_regression",
        note="τ² is taken as known once it is estimated; Q tests whether all effects lie on the "
        "line." + (f" All numbers are {LOGARITHMS}." if comparison.data.exp else ""),
    )


def _of_means(comparison: Comparison, frame: pd.DataFrame) -> cells.View | None:
    adjusts = isinstance(comparison.data.stats, AdjustedMeans)
    of = "observations" if adjusts else "group means"
    return cells.view(
        f"Classical companions: regression of the {of} by REML",
        frame,
        [
            ("Coefficient", cells.text("coefficient")),
            ("Estimate", cells.digits("estimate", ".4g")),
            ("Standard error", cells.digits("se", ".3g")),
            ("95 % interval", cells.interval("q2.5", "q97.5", ".4g")),
            ("τ²", cells.digits("tau2", ".4g")),
            ("τ² without covariates", cells.digits("tau2_without", ".4g")),
            ("Explained", cells.digits("explained", ".2f")),
            ("σ²", cells.digits("sigma2", ".4g")),
            ("F about the line", cells.digits("f", ".4g")),
            ("p of F", cells.digits("p_value", ".2g")),
        ],
        csv="regression",
        note="τ² and σ² are taken as known once they are estimated; F tests whether all group "
        "means lie on the line."
        + (f" All numbers are {LOGARITHMS}." if comparison.data.exp else ""),
    )


def drawn(comparison: Comparison, fit: Fit | None) -> bool:
    """Whether there is a line to draw the groups along."""
    return (
        fit is not None
        and comparison.data.stats.covariates is not None
        and fit.keeps(CENTER)
        and len(comparison.table("coefficients", model=fit.name)) > 0
    )


def figure(comparison: Comparison, fit: Fit) -> Figure:
    """Draw the groups against their regression line."""
    data = comparison.data
    points, line, title = regression.along_the_line(fit, data)
    for frame in (points, line):
        for name in set(frame) & {"raw", "estimate", "mean", "q2.5", "q97.5"}:
            frame[name] = exponential.shown(data, frame[name].to_numpy(dtype=float))
    if len(data.stats.covariates.names if data.stats.covariates else ()) > 1:
        line_at = exponential.shown(data, points["x"].to_numpy(dtype=float))
        points["x"], line["x"] = line_at, exponential.shown(data, line["x"].to_numpy(dtype=float))
    titles = effect_axes(comparison)
    return Figure(
        "line",
        "groups_along_line",
        {
            "points": points,
            "line": line,
            "x_title": title,
            "axis_title": titles["axis_title"],
            "raw": data.words.raw,
            "ratios": data.exp,
            **({"curve": odds.CURVE} if isinstance(data.family, OnALinkedLine) else {}),
        },
        f"The {data.words.raws} and what {fit.title} makes of them, against {title}.",
        f"Scatter of {data.stats.J} {data.words.raws} and posterior means against {title}, with "
        f"the regression line under {fit.title}.",
    )
