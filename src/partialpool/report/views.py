"""Frames -> the tables that the HTML shows: columns with titles, cells as text.

The CSV files hold every row and digit; these hold what a page can, with the digits that the
Monte Carlo error supports.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.report import cells
from partialpool.report.wording import capital, number, rows_of
from partialpool.tables.comparison import Comparison

_STAND_INS = ("eta", "tau_stretched", "sigma_stretched")
"""Parameters of the shipped programs that are sampled in place of others, and tell nothing more."""


def _of_data(comparison: Comparison, column: str) -> cells.Maker:
    """Cells of sample statistics: four digits of the overall sd, the same for a whole column."""
    scale = comparison.data.stats.total_sd or 1.0
    return cells.digits(column, f".{max(0, 3 - math.floor(math.log10(scale)))}f")


def size(comparison: Comparison) -> cells.Columns:
    """Column that says how much is known of each group."""
    [column] = comparison.data.stats.sizes
    if column == "n":
        return [("n", cells.count("n"))]
    return [(comparison.data.family.words.size_title, _of_data(comparison, column))]


def _raw(comparison: Comparison, column: str) -> cells.Columns:
    """Column of the groups' own estimates."""
    return [(capital(comparison.data.family.words.raw), _of_data(comparison, column))]


_SUMMARY = {
    "mean": "Sample mean",
    "sd": "Sample sd",
    "estimate": "Estimate",
    "q2.5": "2.5 %",
    "q97.5": "97.5 %",
}


def groups(comparison: Comparison) -> cells.View | None:
    """How much is known of each group, and what it says by itself."""
    data, frame = comparison.data, comparison.table("groups")
    shown = [(title, _of_data(comparison, c)) for c, title in _SUMMARY.items() if c in frame]
    return cells.view(
        f"{data.axis_title} by {data.group_label}",
        frame,
        [(data.group_label, cells.text("group")), *size(comparison), *shown],
        csv="groups",
    )


def estimates(comparison: Comparison, fit: Fit) -> cells.View | None:
    """Posterior summaries of one fit."""
    frame = comparison.table("estimates", model=fit.name)
    if frame.empty:
        return None
    frame = frame[~frame["parameter"].isin(_STAND_INS)]
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    return cells.view(
        f"Posterior under {fit.title}",
        frame,
        [
            ("Parameter", cells.text("parameter")),
            (comparison.data.group_label, cells.text("group")),
            *([("n", cells.count("n"))] if "n" in frame else []),
            ("Mean", cells.estimate("mean", "mcse_mean")),
            ("MCSE", cells.digits("mcse_mean", ".2g")),
            ("sd", cells.estimate("sd", "mcse_mean")),
            ("2.5 %", cells.estimate("q2.5", "mcse_q2.5")),
            ("Median", cells.estimate("median", "mcse_median")),
            ("97.5 %", cells.estimate("q97.5", "mcse_q97.5")),
            ("R-hat", cells.digits("r_hat", ".3f")),
            ("Bulk ESS", cells.digits("ess_bulk", ".0f")),
            ("Tail ESS", cells.digits("ess_tail", ".0f")),
        ],
        csv="estimates",
        note="Means and quantiles have the digits that their Monte Carlo standard error (MCSE) "
        "supports.",
    )


def diagnostics(comparison: Comparison) -> cells.View | None:
    """Every check of every fit."""
    frame = comparison.table("diagnostics")
    columns: cells.Columns = [
        ("Model", cells.text("title")),
        ("Check", cells.text("check")),
        ("Value", cells.digits("value", ".4g")),
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
    """Estimates of the group means side by side."""
    frame = comparison.table("shrinkage_wide")
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        *size(comparison),
        *_raw(comparison, "sample_mean"),
    ]
    for name, title in comparison.titles.items():
        if name in frame:
            columns.append((capital(title), cells.with_error(name)))
    return cells.view(
        f"Posterior means of the {comparison.data.family.words.thetas} "
        "(Monte Carlo standard error in brackets)",
        frame,
        columns,
        csv="shrinkage_wide",
    )


def displacement(comparison: Comparison, fit: Fit) -> cells.View | None:
    """How far each mean moved, and its pooling factor."""
    return cells.view(
        f"Movement under {fit.title}",
        comparison.table("shrinkage", model=fit.name),
        [
            (comparison.data.group_label, cells.text("group")),
            *([] if comparison.data.family.rows_are_groups else size(comparison)),
            *_raw(comparison, "raw_mean"),
            ("Standard error", cells.digits("raw_se", ".3g")),
            ("Posterior mean", cells.estimate("estimate", "mcse")),
            ("Moved by", cells.estimate("displacement", "mcse")),
            ("In standard errors", cells.digits("displacement_se", ".2f")),
            ("Pooling factor λ", cells.digits("lambda_mean", ".2f")),
            ("95 % interval of λ", cells.interval("lambda_q2.5", "lambda_q97.5", ".2f")),
        ],
        csv="shrinkage",
        note="λ = 1 is complete pooling (the group's own mean has no say), λ = 0 is none.",
    )


_QUANTITIES = {
    "sigma2": "Variance within groups, σ²",
    "tau2": "Variance between groups, τ²",
    "icc": "Intraclass correlation, R",
    "i2": "Share between groups, I²",
    "h2": "Relative variance, H²",
    "pooling_factor": "Overall pooling factor",
}


def variance(comparison: Comparison) -> cells.View | None:
    """Variances, intraclass correlation and the overall pooling factor."""
    frame = comparison.table("variance")
    if frame.empty:
        return None
    return cells.view(
        "Variance within and between groups"
        if (frame["quantity"] == "sigma2").any()
        else "Variance between groups",
        frame.assign(
            title=frame["model"].map(comparison.titles),
            what=frame["quantity"].map(lambda q: _QUANTITIES.get(q, q)),
        ),
        [
            ("Model", cells.text("title")),
            ("Quantity", cells.text("what")),
            ("Mean", cells.estimate("mean", "mcse")),
            ("MCSE", cells.digits("mcse", ".2g")),
            ("Median", cells.estimate("median", "mcse")),
            ("2.5 %", cells.estimate("q2.5", "mcse")),
            ("97.5 %", cells.estimate("q97.5", "mcse", factor=3)),
        ],
        csv="variance",
        note="The overall pooling factor is that of Gelman and Pardoe (2006): 1 is complete "
        "pooling, 0 is none.",
    )


def classical(comparison: Comparison) -> cells.View | None:
    """ANOVA and REML beside the posterior means."""
    frame = comparison.table("variance_components")
    if frame.empty:
        return None
    rows = frame.to_dict(orient="records")
    fit = comparison.model("partial")
    if fit is not None:
        found = comparison.table("variance", model=fit.name).set_index("quantity")["mean"]
        rows.append({"method": f"posterior mean, {fit.title}", **found.to_dict()})
    return cells.view(
        "Classical companions: variance components",
        pd.DataFrame(rows),
        [
            ("Method", cells.text("method")),
            ("σ²", cells.digits("sigma2", ".4g")),
            ("τ²", cells.digits("tau2", ".4g")),
            ("R", cells.digits("icc", ".3g")),
            ("F", cells.digits("f", ".4g")),
            ("p of τ² = 0", cells.digits("p_value", ".2g")),
        ],
        csv="variance_components",
        note="ANOVA and REML are classical estimates, computed without a prior.",
    )


def blup(comparison: Comparison) -> cells.View | None:
    """BLUP and James-Stein beside the posterior means."""
    frame = comparison.table("blup")
    fit = comparison.model("partial")
    if frame.empty:
        return None
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        ("n", cells.count("n")),
        ("Sample mean", _of_data(comparison, "raw_mean")),
        ("BLUP", _of_data(comparison, "blup")),
        ("James–Stein", _of_data(comparison, "james_stein")),
    ]
    if fit is not None:
        bayes = comparison.table("shrinkage", model=fit.name)[["group", "estimate", "mcse"]]
        frame = frame.merge(bayes, on="group", how="left")
        columns.append((capital(fit.title), cells.estimate("estimate", "mcse")))
    return cells.view(
        "Classical companions: estimates of the group means",
        frame,
        columns,
        csv="blup",
        note="BLUP takes REML's variances as known; James–Stein shrinks all groups by one factor.",
    )


def meta_analysis(comparison: Comparison) -> cells.View | None:
    """Meta-analysis without priors beside the posterior of partial pooling."""
    frame = comparison.table("meta_analysis")
    if frame.empty:
        return None
    rows = rows_of(frame)
    fit = comparison.model("partial")
    if fit is not None:
        rows.append(_posterior_row(comparison, fit))
    columns: cells.Columns = [
        ("Method", cells.text("method")),
        ("Mean effect", cells.digits("estimate", ".4g")),
        ("Standard error", cells.digits("se", ".3g")),
        ("95 % interval", cells.interval("q2.5", "q97.5", ".4g")),
        ("τ²", cells.digits("tau2", ".4g")),
        ("I²", cells.digits("i2", ".2f")),
        ("H²", cells.digits("h2", ".3g")),
        ("95 % of new effects", cells.interval("prediction_q2.5", "prediction_q97.5", ".4g")),
        ("Q", cells.digits("q", ".4g")),
        ("p of Q", cells.digits("p_value", ".2g")),
    ]
    return cells.view(
        "Classical companions: meta-analysis",
        pd.DataFrame(rows),
        columns,
        csv="meta_analysis",
        note="I² is the share of the variance of an estimate that lies between groups, H² is "
        "1 / (1 − I²); Q tests whether all effects are equal. The classical rows take τ² as known; "
        "the posterior row has posterior means, and the sd of μ as its standard error.",
    )


def _posterior_row(comparison: Comparison, fit: Fit) -> dict[str, Any]:
    """Posterior means of what a meta-analysis estimates, as a row of its table."""
    estimates = comparison.table("estimates", model=fit.name)
    found: dict[str, Any] = {"method": f"posterior, {fit.title}"}
    for row in estimates[estimates["parameter"] == "mu"].to_dict(orient="records"):
        found |= {"estimate": row["mean"], "se": row["sd"], "q2.5": row["q2.5"]}
        found |= {"q97.5": row["q97.5"]}
    for row in comparison.table("variance", model=fit.name).to_dict(orient="records"):
        if row["quantity"] in ("tau2", "i2", "h2"):
            found[row["quantity"]] = row["mean"]
    new = comparison.table("predictions", model=fit.name, quantity="new group mean")
    for row in new.to_dict(orient="records"):
        found |= {"prediction_q2.5": row["q2.5"], "prediction_q97.5": row["q97.5"]}
    return found


def weights(comparison: Comparison) -> cells.View | None:
    """What each estimate counts in the mean effect, and its classical shrinkage."""
    frame = comparison.table("weights")
    if frame.empty:
        return None
    return cells.view(
        "Classical companions: weights and predictors",
        frame,
        [
            (comparison.data.group_label, cells.text("group")),
            *_raw(comparison, "estimate"),
            ("Standard error", _of_data(comparison, "se")),
            ("Weight, common effect", cells.digits("weight_common", ".3f")),
            ("Weight, REML", cells.digits("weight_reml", ".3f")),
            ("BLUP", _of_data(comparison, "blup")),
            ("Pulled by", cells.digits("blup_factor", ".2f")),
        ],
        csv="weights",
        note="BLUP takes REML's τ² as known; 1 is pulled all the way to the mean.",
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
    frame = _higher_first(frame.reset_index(), models=len(shown))
    columns.append(("Pair", lambda row: cells.Cell(f"{row['group_i']} − {row['group_j']}")))
    for k, fit in enumerate(shown):
        short = {"none": "No pooling", "partial": "Partial pooling"}[fit.pooling]
        columns += [
            (f"{short}: difference", cells.estimate(f"mean_{k}", f"mcse_{k}")),
            (f"{short}: 95 % interval", _contrast_interval(k)),
            (f"{short}: P(first is higher)", cells.probability(f"p_greater_{k}")),
        ]
        if comparison.delta is not None:
            columns.append((f"{short}: P(equivalent)", cells.probability(f"p_equivalent_{k}")))
        overlap = cells.yes(f"marginal_overlap_{k}")
        columns.append((f"{short}: marginal intervals overlap", overlap))
    last = len(shown) - 1
    clear = (frame[f"p_greater_{last}"] - 0.5).abs()
    ordered = frame.iloc[np.argsort(-clear.to_numpy(), kind="stable")]
    return cells.view(
        "Differences between groups, the clearest first",
        ordered,
        columns,
        csv="contrasts",
        note=""
        if comparison.delta is None
        else f"Equivalent: a difference below {comparison.delta:g} either way.",
    )


def _higher_first(frame: pd.DataFrame, *, models: int) -> pd.DataFrame:
    """Turn pairs round so that the last model's difference is not negative."""
    turned = frame.copy()
    turn = frame[f"mean_{models - 1}"].to_numpy() < 0
    turned.loc[turn, ["group_i", "group_j"]] = frame.loc[turn, ["group_j", "group_i"]].to_numpy()
    for k in range(models):
        turned.loc[turn, f"mean_{k}"] = -frame.loc[turn, f"mean_{k}"]
        turned.loc[turn, f"q2.5_{k}"] = -frame.loc[turn, f"q97.5_{k}"]
        turned.loc[turn, f"q97.5_{k}"] = -frame.loc[turn, f"q2.5_{k}"]
        turned.loc[turn, f"p_greater_{k}"] = 1 - frame.loc[turn, f"p_greater_{k}"]
    return turned


def _contrast_interval(k: int) -> cells.Maker:
    def cell(row: Any) -> cells.Cell:
        low, high = row[f"q2.5_{k}"], row[f"q97.5_{k}"]
        error = 2 * row[f"mcse_{k}"]
        if not (math.isfinite(low) and math.isfinite(high)):
            return cells.Cell("–")
        return cells.Cell(f"{number(low, error)} to {number(high, error)}", float(low))

    return cell


def ranks(comparison: Comparison, fit: Fit) -> cells.View | None:
    """Expected rank of each group, and the probability of being first or last."""
    frame = comparison.table("rank_summary", model=fit.name)
    if frame.empty:
        return None
    return cells.view(
        f"Ranks under {fit.title} (1 = highest mean)",
        frame.sort_values("expected_rank", kind="stable"),
        [
            (comparison.data.group_label, cells.text("group")),
            ("Expected rank", cells.estimate("expected_rank", "mcse")),
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
    draws = math.prod(fit.posterior.sizes[d] for d in ("chain", "draw"))
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    frame = frame.assign(error=frame["sd"] / math.sqrt(draws))
    return cells.view(
        f"Predictions under {fit.title}",
        frame,
        [
            ("Of", cells.text("quantity")),
            (comparison.data.group_label, cells.text("group")),
            ("Mean", cells.estimate("mean", "error")),
            ("sd", cells.estimate("sd", "error")),
            ("2.5 %", cells.estimate("q2.5", "error", factor=3)),
            ("Median", cells.estimate("median", "error")),
            ("97.5 %", cells.estimate("q97.5", "error", factor=3)),
        ],
        csv="predictions",
    )


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
            shown = f"{name} = {values[name]:g}"
            by_source.setdefault(str(sources.get(name, "")), []).append(shown)
    return {source: ", ".join(shown) for source, shown in by_source.items()}
