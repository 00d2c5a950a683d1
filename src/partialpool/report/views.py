"""Frames -> the tables that the HTML shows: columns with titles, cells as text.

The CSV files hold every row and digit; these hold what a page can, with the digits that the
Monte Carlo error supports.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from partialpool import text
from partialpool.families.linked.line import OnALinkedLine
from partialpool.fitting import Fit
from partialpool.report import cells, odds, precision
from partialpool.report.wording import capital, group_word, noun
from partialpool.tables import exponential
from partialpool.tables.comparison import Comparison
from partialpool.tables.predictions import NEW_GROUP_MEAN

_STAND_INS = (
    *("eta", "zeta", "omega_stretched", "tau_stretched"),
    *("sigma_stretched", "sigma0_stretched", "nu_learnt[1]"),
)
"""Parameters of the shipped programs that are sampled in place of others, and tell nothing more."""


LOGARITHMS = "on the scale of the logarithms"
"""Where what is not turned into ratios is shown."""


def of_data(comparison: Comparison, column: str) -> cells.Maker:
    """Cells of sample statistics: the same decimals for a whole column, but for ratios."""

    def cell(row: Any) -> cells.Cell:
        value = float(row[column])
        if not math.isfinite(value):
            return cells.number_cell(value)
        if column == "sd" and comparison.data.log:
            return cells.Cell(text.format_estimate(value, math.nan), value)
        if column in ("sd", "se"):  # of rows or of logarithms: never turned
            said = text.of_data(
                value, comparison.data.per * comparison.data.stats.total_sd, error=True
            )
        else:
            said = exponential.statistic(comparison.data, value)
        return cells.Cell(said.replace("-", "−"), value)

    return cell


def outer(comparison: Comparison) -> cells.Columns:
    """The column of outer groups, where groups lie within groups."""
    nesting = comparison.data.stats.nesting
    return [] if nesting is None else [(nesting.label, cells.text("outer_group"))]


def size(comparison: Comparison) -> cells.Columns:
    """Column that says how much is known of each group."""
    column, *further = comparison.data.stats.sizes
    if "n" in further:
        title = comparison.data.words.size_title
        return [("n", cells.count("n")), (title, cells.digits(column, ".4g"))]
    if column == "n":
        return [("n", cells.count("n"))]
    if comparison.data.stats.sizes[column].dtype.kind in "iu":
        return [(comparison.data.words.size_title, cells.count(column))]
    if not comparison.data.family.gaussian:
        return [(comparison.data.words.size_title, cells.digits(column, ".6g"))]
    return [(comparison.data.words.size_title, of_data(comparison, column))]


def raw(comparison: Comparison, column: str) -> cells.Columns:
    """Column of the groups' own estimates."""
    return [(capital(comparison.data.words.raw), of_data(comparison, column))]


_COUNTS = {"successes": "Successes", "events": "Events"}
_SUMMARY = {
    "mean": "Sample mean",
    "sd": "Sample sd",
    "estimate": "Estimate",
    "proportion": "Proportion",
    "rate": "Raw rate",
    "q2.5": "2.5 %",
    "q97.5": "97.5 %",
}


_SUMMARY_OF_LOGS = {"mean": "Geometric mean", "sd": "Geometric sd"}


def groups(comparison: Comparison) -> cells.View | None:
    """How much is known of each group, and what it says by itself."""
    data, frame = comparison.data, comparison.table("groups")
    measured = exponential.axis_title(data)
    note = "The geometric sd is a factor." if data.log else ""
    note = f"Standard errors are {LOGARITHMS}." if data.exp and not data.log else note
    titles = _SUMMARY | (_SUMMARY_OF_LOGS if data.log else {})
    if "sd" in frame:
        titles |= {"mean": capital(data.words.raw), "sd": titles["sd"] + data.words.scaled}
    counts = [(title, cells.count(c)) for c, title in _COUNTS.items() if c in frame]
    shown = [(title, of_data(comparison, c)) for c, title in titles.items() if c in frame]
    return cells.view(
        f"{measured} by {data.group_label}",
        frame,
        [(data.group_label, cells.text("group")), *counts, *size(comparison), *shown],
        csv="groups",
        note=note,
    )


def estimates(comparison: Comparison, fit: Fit) -> cells.View | None:
    """Posterior summaries of one fit."""
    frame = comparison.table("estimates", model=fit.name)
    if frame.empty:
        return None
    frame = frame[~frame["parameter"].isin(_STAND_INS)]
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    exp, name = comparison.data.exp, "parameter"
    note = (
        "Means and quantiles have the digits that their Monte Carlo standard error (MCSE) supports."
    )
    if exp:
        frame = frame.assign(parameter=[parameter_shown(p) for p in frame["parameter"]])
        note += (
            " Of what is called exp(…), the mean is a geometric mean and the sd a factor; all else "
            f"is {LOGARITHMS}."
        )
    return cells.view(
        f"Posterior under {fit.title}",
        frame,
        [
            ("Parameter", cells.text("parameter")),
            (comparison.data.group_label, cells.text("group")),
            *([("n", cells.count("n"))] if "n" in frame else []),
            ("Mean", cells.estimate("mean", "mcse_mean", name=name)),
            ("MCSE", cells.error("mcse_mean")),
            ("sd", cells.estimate("sd", "mcse_sd", name=name)),
            ("2.5 %", cells.estimate("q2.5", "mcse_q2.5", name=name)),
            ("Median", cells.estimate("median", "mcse_median", name=name)),
            ("97.5 %", cells.estimate("q97.5", "mcse_q97.5", name=name)),
            ("R-hat", cells.digits("r_hat", ".3f")),
            ("Bulk ESS", cells.digits("ess_bulk", ".0f")),
            ("Tail ESS", cells.digits("ess_tail", ".0f")),
        ],
        csv="estimates",
        note=note,
    )


def parameter_shown(parameter: str) -> str:
    """Name of a parameter in a table of ratios: exp(theta) where its exponential is shown."""
    return f"exp({parameter})" if parameter in exponential.PARAMETERS else parameter


def diagnostics(comparison: Comparison) -> cells.View | None:
    """Every check of every fit."""
    frame = comparison.table("diagnostics")
    columns: cells.Columns = [
        ("Model", cells.text("title")),
        ("Check", cells.text("check")),
        ("Value", cells.plain("value")),
        ("Limit", cells.text("threshold")),
        ("Passed", cells.yes("passed")),
        ("What was found", cells.text("meaning")),
    ]
    if (frame["remedy"] != "").any():
        columns.append(("Remedy", cells.text("remedy")))
    return cells.view(
        "Diagnostics",
        frame.assign(title=frame["model"].map(comparison.titles)),
        columns,
        csv="diagnostics",
        limit=20 * cells.LIMIT,
    )


def shrinkage(comparison: Comparison) -> cells.View | None:
    """Estimates of each group side by side."""
    frame = comparison.table("shrinkage_wide")
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        *size(comparison),
        *raw(comparison, "sample_mean"),
    ]
    for name, title in comparison.titles.items():
        if name in frame:
            columns.append((capital(title), cells.with_error(name)))
    return cells.view(
        f"{'Geometric p' if comparison.data.exp else 'P'}osterior means of the "
        f"{comparison.data.words.thetas} (Monte Carlo standard error in brackets)",
        frame,
        columns,
        csv="shrinkage_wide",
    )


def displacement(comparison: Comparison, fit: Fit) -> cells.View | None:
    """How far each mean moved, and its pooling factor."""
    frame, exp = comparison.table("shrinkage", model=fit.name), comparison.data.exp
    error = frame["mcse"] * (frame["displacement"] / frame["estimate"]) if exp else frame["mcse"]
    own = comparison.data.words.raw
    factors = frame["lambda_mean"].notna().any()
    notes = [
        f"λ = 1 is complete pooling (the group's own {own} has no say), λ = 0 is none."
        if factors
        else "",
        f"Standard errors are {LOGARITHMS}." if exp else "",
    ]
    pooling = [
        ("Pooling factor λ", cells.fraction("lambda_mean")),
        ("95 % interval of λ", cells.fractions("lambda_q2.5", "lambda_q97.5")),
    ]
    return cells.view(
        f"Movement under {fit.title}",
        frame.assign(error=error),
        [
            (comparison.data.group_label, cells.text("group")),
            *([] if comparison.data.family.rows_are_groups else size(comparison)),
            *raw(comparison, "raw_mean"),
            ("Standard error", cells.digits("raw_se", ".3g")),
            (
                "Geometric posterior mean" if exp else "Posterior mean",
                cells.estimate("estimate", "mcse"),
            ),
            (
                f"Moved from the {own} by a factor of" if exp else f"Moved from the {own} by",
                cells.estimate("displacement", "error"),
            ),
            ("In standard errors", cells.digits("displacement_se", ".2f")),
            *(pooling if factors else []),
        ],
        csv="shrinkage",
        note=" ".join(filter(None, notes)),
    )


_QUANTITIES = {
    "sigma2": "Variance within groups, σ²",
    "tau2": "Variance between groups, τ²",
    "icc": "Intraclass correlation, R",
    "i2": "Share between groups, I²",
    "h2": "Relative variance, H²",
    "pooling_factor": "Overall pooling factor",
}


_ABOUT_A_LINE = {
    "tau2": "Variance about the line, τ²",
    "i2": "Share about the line, I²",
    "pooling_factor": "Overall pooling factor about the line",
}

_OF_ALL = "Variance of all observations, σ²"
"""What sigma2 is where all groups have one mean."""


def variance(comparison: Comparison) -> cells.View | None:
    """Variances, intraclass correlation and the overall pooling factor."""
    frame = precision.variance(comparison)
    if frame.empty:
        return None
    pools = {fit.name: fit.pooling for fit in comparison.fits}
    named = _QUANTITIES | (_ABOUT_A_LINE if comparison.data.stats.covariates else {})
    scaled = comparison.data.words.scaled
    named |= {"sigma2": named["sigma2"] + scaled}
    named |= odds.VARIANCES if isinstance(comparison.data.family, OnALinkedLine) else {}
    what = [
        _OF_ALL + scaled if q == "sigma2" and pools[model] == "complete" else named.get(q, q)
        for model, q in zip(frame["model"], frame["quantity"], strict=True)
    ]
    name = "quantity"
    notes = [
        "The overall pooling factor is that of Gelman and Pardoe (2006): 1 is complete pooling, 0 "
        "is none."
        if (frame["quantity"] == "pooling_factor").any()
        else "",
        f"τ² is {LOGARITHMS}." if comparison.data.exp else "",
    ]
    return cells.view(
        "Variance within and between groups"
        if (frame["quantity"] == "sigma2").any()
        else "Variance between groups",
        frame.assign(title=frame["model"].map(comparison.titles), what=what),
        [
            ("Model", cells.text("title")),
            ("Quantity", cells.text("what")),
            ("Mean", cells.estimate("mean", "mcse", name=name)),
            ("MCSE", cells.error("mcse")),
            ("Median", cells.estimate("median", "mcse_median", name=name)),
            ("2.5 %", cells.estimate("q2.5", "mcse_q2.5", name=name)),
            ("97.5 %", cells.estimate("q97.5", "mcse_q97.5", name=name)),
        ],
        csv="variance",
        note=" ".join(filter(None, notes)),
    )


def claims(comparison: Comparison) -> cells.View | None:
    """Claims by criterion and model."""
    frame = comparison.table("claims")
    if frame.empty:
        return None
    return cells.view(
        "Pairs called different, by criterion",
        frame.assign(title=frame["model"].map(comparison.titles)),
        [
            ("Model", cells.text("title")),
            ("Criterion", cells.text("criterion")),
            ("Pairs called different", cells.count("claims")),
            ("Pairs", cells.count("pairs")),
        ],
        csv="claims",
        limit=20 * cells.LIMIT,
    )


def contrasts(comparison: Comparison) -> cells.View | None:
    """Pairs under no and partial pooling side by side, the clearest first."""
    first, second = comparison.model("none"), comparison.model("partial")
    shown = [fit for fit in (first, second) if fit is not None]
    frame = pd.DataFrame()
    columns: cells.Columns = []
    for k, fit in enumerate(shown):
        part = comparison.table("contrasts", model=fit.name)
        if part.empty:
            return None
        part = part.drop(columns="model").set_index(["group_i", "group_j"]).add_suffix(f"_{k}")
        frame = part if k == 0 else frame.join(part)
    if frame.empty:
        return None
    exp = comparison.data.exp
    frame = _higher_first(frame.reset_index(), models=len(shown), ratios=exp)
    sign, what = ("/", "ratio") if exp else ("−", "difference")
    columns.append(("Pair", lambda row: cells.Cell(f"{row['group_i']} {sign} {row['group_j']}")))
    for k, fit in enumerate(shown):
        short = {"none": "No pooling", "partial": "Partial pooling"}[fit.pooling]
        columns += [
            (f"{short}: {what}", cells.estimate(f"mean_{k}", f"mcse_{k}")),
            (f"{short}: 95 % interval", cells.interval(f"q2.5_{k}", f"q97.5_{k}", ".4g")),
            (f"{short}: P(first is higher)", cells.probability(f"p_greater_{k}")),
        ]
        if frame.get(f"ratio_{k}", pd.Series(dtype=float)).notna().any():
            columns += [
                (f"{short}: ratio", cells.digits(f"ratio_{k}", ".3g")),
                (
                    f"{short}: 95 % interval of the ratio",
                    cells.interval(f"ratio_q2.5_{k}", f"ratio_q97.5_{k}", ".3g"),
                ),
            ]
        if comparison.delta is not None:
            columns.append((f"{short}: P(equivalent)", cells.probability(f"p_equivalent_{k}")))
        overlap = cells.yes(f"marginal_overlap_{k}")
        columns.append((f"{short}: marginal intervals overlap", overlap))
    last = len(shown) - 1
    apart = exponential.differences(comparison.data, frame[f"mean_{last}"]).abs()
    apart /= precision.of_differences(comparison, shown[last], _pairs_of(frame))
    ordered = frame.iloc[np.argsort(-apart.to_numpy(), kind="stable")]
    kept = cells.cut(ordered).copy()
    for k, fit in enumerate(shown):
        for end, errors in precision.of_contrasts(comparison, fit, _pairs_of(kept)).items():
            kept[f"mcse_{end}_{k}"] = errors * (kept[f"{end}_{k}"] if exp else 1.0)
    note = ""
    if comparison.delta is not None and exp:
        most = math.exp(comparison.delta)
        note = f"Equivalent: a ratio between {1 / most:.4g} and {most:.4g}."
    elif comparison.delta is not None:
        least = comparison.data.per * comparison.delta
        note = f"Equivalent: a difference below {least:g} either way."
    return cells.view(
        f"{capital(what)}s between groups, the clearest first",
        kept,
        columns,
        csv="contrasts",
        dropped=len(ordered) - len(kept),
        note=f"The clearest has the largest {'log ratio' if exp else what} in posterior sds. "
        f"{note}".strip(),
    )


def _pairs_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["group_i"], frame["group_j"], strict=True))


def _higher_first(frame: pd.DataFrame, *, models: int, ratios: bool = False) -> pd.DataFrame:
    """Turn pairs round so that the last model's difference is not below 0, or its ratio below 1."""
    turned = frame.copy()
    turn = frame[f"mean_{models - 1}"].to_numpy() < (1 if ratios else 0)
    turned.loc[turn, ["group_i", "group_j"]] = frame.loc[turn, ["group_j", "group_i"]].to_numpy()
    for k in range(models):
        for name, before in (("mean", "mean"), ("q2.5", "q97.5"), ("q97.5", "q2.5")):
            values = frame.loc[turn, f"{before}_{k}"]
            turned.loc[turn, f"{name}_{k}"] = 1 / values if ratios else -values
        if ratios:
            turned.loc[turn, f"mcse_{k}"] = (
                frame.loc[turn, f"mcse_{k}"] / frame.loc[turn, f"mean_{k}"] ** 2
            )
        for name in ("ratio", "odds_ratio"):
            for end, before in (("", ""), ("_q2.5", "_q97.5"), ("_q97.5", "_q2.5")):
                if f"{name}{end}_{k}" in frame:
                    turned.loc[turn, f"{name}{end}_{k}"] = (
                        1 / frame.loc[turn, f"{name}{before}_{k}"]
                    )
        turned.loc[turn, f"p_greater_{k}"] = 1 - frame.loc[turn, f"p_greater_{k}"]
    return turned


def ranks(comparison: Comparison, fit: Fit) -> cells.View | None:
    """Expected rank of each group, and the probability of being first or last."""
    frame = comparison.table("rank_summary", model=fit.name)
    if frame.empty:
        return None
    return cells.view(
        f"Ranks under {fit.title} (1 = highest {noun(comparison)})",
        frame.sort_values("expected_rank", kind="stable"),
        [
            (comparison.data.group_label, cells.text("group")),
            ("Expected rank", cells.supported("expected_rank", "mcse", ".2f")),
            ("95 % interval", cells.interval("rank_q2.5", "rank_q97.5", ".0f")),
            ("P(highest)", cells.probability("p_best")),
            ("P(lowest)", cells.probability("p_worst")),
        ],
        csv="rank_summary",
    )


def predictions(comparison: Comparison, fit: Fit) -> cells.View | None:
    """Predictive distributions of one fit."""
    frame = comparison.table("predictions", model=fit.name)
    if frame.empty:
        return None
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    dropped = len(frame) - len(cells.cut(frame))
    frame = precision.predicted(comparison, fit, cells.cut(frame))
    whole = (frame["quantity"] != NEW_GROUP_MEAN) & (not comparison.data.family.gaussian)
    shown = [_predicted(comparison, q) for q in frame["quantity"]]
    frame = frame.assign(quantity=shown, whole=whole)
    exp = comparison.data.exp
    grouped: cells.Columns = [(comparison.data.group_label, cells.text("group"))]
    return cells.view(
        f"Predictions under {fit.title}",
        frame,
        [
            ("Of", cells.text("quantity")),
            *(grouped if (frame["group"] != "").any() else []),
            ("Geometric mean" if exp else "Mean", cells.estimate("mean", "mcse_mean")),
            ("Geometric sd" if exp else "sd", cells.estimate("sd", "mcse_sd")),
            *(
                (title, cells.whole_or(cells.estimate(name, f"mcse_{name}"), name, "whole"))
                for title, name in (("2.5 %", "q2.5"), ("Median", "median"), ("97.5 %", "q97.5"))
            ),
        ],
        csv="predictions",
        dropped=dropped,
        note="A new observation is one of weight 1." if comparison.data.words.scaled else "",
    )


def _predicted(comparison: Comparison, quantity: str) -> str:
    """Name what is predicted in the words of the family."""
    if quantity == NEW_GROUP_MEAN and comparison.data.family.rows_are_groups:
        plain = comparison.data.stats.covariates is None
        at = "" if plain else ", at the means of the covariates"
        return f"{noun(comparison)} of a new {group_word(comparison)}{at}"
    if quantity.endswith(" of a new group") and comparison.data.stats.covariates is not None:
        return f"{quantity}, at the means of the covariates"
    return quantity


def scores(comparison: Comparison, key: str, title: str) -> cells.View | None:
    """Predictive scores of the models."""
    frame = comparison.table(key)
    if frame.empty:
        return None
    columns: cells.Columns = [
        ("Model", cells.text("title")),
        ("elpd", cells.digits("elpd", ".1f")),
        ("Standard error", cells.digits("se", ".1f")),
        ("Behind the best", cells.digits("elpd_diff", ".1f")),
        ("Standard error of that", cells.digits("dse", ".1f")),
    ]
    if frame["p_loo"].notna().any():
        columns.append(("Effective parameters", cells.digits("p_loo", ".1f")))
    columns += [
        ("Largest Pareto k", cells.digits("max_k", ".2f")),
        ("k beyond the threshold", cells.count("bad_k")),
        ("Advice", cells.text("advice")),
    ]
    return cells.view(
        title, frame.assign(title=frame["model"].map(comparison.titles)), columns, csv=key
    )


def priors(fit: Fit) -> dict[str, str]:
    """Hyperparameters that a fit used, as text by where they come from."""
    values, sources = fit.record.priors, fit.record.priors_sources
    by_source: dict[str, list[str]] = {}
    for name in fit.record.inputs or list(values):
        if name in values:
            shown = f"{name} = {text.in_full(values[name])}"
            by_source.setdefault(str(sources.get(name, "")), []).append(shown)
    return {source: ", ".join(shown) for source, shown in by_source.items()}
