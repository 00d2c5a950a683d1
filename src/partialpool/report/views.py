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
from partialpool.report.content import Content
from partialpool.report.wording import capital, number

_STAND_INS = ("eta", "tau_stretched", "sigma_stretched")
"""Parameters of the shipped programs that are sampled in place of others, and tell nothing more."""


def _of_data(content: Content, column: str) -> cells.Maker:
    """Cells of sample statistics: four digits of the overall sd, the same for a whole column."""
    scale = content.data.stats.total_sd or 1.0
    return cells.digits(column, f".{max(0, 3 - math.floor(math.log10(scale)))}f")


def groups(content: Content) -> cells.View | None:
    """Sample size, mean and sd by group."""
    data = content.data
    return cells.view(
        f"{data.axis_title} by {data.group_label}",
        content.table("groups"),
        [
            (data.group_label, cells.text("group")),
            ("n", cells.count("n")),
            ("Sample mean", _of_data(content, "mean")),
            ("Sample sd", _of_data(content, "sd")),
        ],
        csv="groups",
    )


def estimates(content: Content, fit: Fit) -> cells.View | None:
    """Posterior summaries of one fit."""
    frame = content.table("estimates", model=fit.name)
    if frame.empty:
        return None
    frame = frame[~frame["parameter"].isin(_STAND_INS)]
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    return cells.view(
        f"Posterior under {fit.title}",
        frame,
        [
            ("Parameter", cells.text("parameter")),
            (content.data.group_label, cells.text("group")),
            ("n", cells.count("n")),
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


def diagnostics(content: Content) -> cells.View | None:
    """Every check of every fit."""
    frame = content.table("diagnostics")
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
        frame.assign(title=frame["model"].map(content.titles)),
        columns,
        csv="diagnostics",
        limit=20 * cells.LIMIT,
    )


def shrinkage(content: Content) -> cells.View | None:
    """Estimates of the group means side by side."""
    frame = content.table("shrinkage_wide")
    columns: cells.Columns = [
        (content.data.group_label, cells.text("group")),
        ("n", cells.count("n")),
        ("Sample mean", _of_data(content, "sample_mean")),
    ]
    for name, title in content.titles.items():
        if name in frame:
            columns.append((capital(title), cells.with_error(name)))
    return cells.view(
        "Posterior means of the group means (Monte Carlo standard error in brackets)",
        frame,
        columns,
        csv="shrinkage_wide",
    )


def displacement(content: Content, fit: Fit) -> cells.View | None:
    """How far each mean moved, and its pooling factor."""
    return cells.view(
        f"Movement under {fit.title}",
        content.table("shrinkage", model=fit.name),
        [
            (content.data.group_label, cells.text("group")),
            ("n", cells.count("n")),
            ("Sample mean", _of_data(content, "raw_mean")),
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
    "pooling_factor": "Overall pooling factor",
}


def variance(content: Content) -> cells.View | None:
    """Variances, intraclass correlation and the overall pooling factor."""
    frame = content.table("variance")
    if frame.empty:
        return None
    return cells.view(
        "Variance within and between groups",
        frame.assign(
            title=frame["model"].map(content.titles),
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


def classical(content: Content) -> cells.View | None:
    """ANOVA and REML beside the posterior means."""
    frame = content.table("variance_components")
    if frame.empty:
        return None
    rows = frame.to_dict(orient="records")
    fit = content.one("partial")
    if fit is not None:
        found = content.table("variance", model=fit.name).set_index("quantity")["mean"]
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


def blup(content: Content) -> cells.View | None:
    """BLUP and James-Stein beside the posterior means."""
    frame = content.table("blup")
    fit = content.one("partial")
    if frame.empty:
        return None
    columns: cells.Columns = [
        (content.data.group_label, cells.text("group")),
        ("n", cells.count("n")),
        ("Sample mean", _of_data(content, "raw_mean")),
        ("BLUP", _of_data(content, "blup")),
        ("James–Stein", _of_data(content, "james_stein")),
    ]
    if fit is not None:
        bayes = content.table("shrinkage", model=fit.name)[["group", "estimate", "mcse"]]
        frame = frame.merge(bayes, on="group", how="left")
        columns.append((capital(fit.title), cells.estimate("estimate", "mcse")))
    return cells.view(
        "Classical companions: estimates of the group means",
        frame,
        columns,
        csv="blup",
        note="BLUP takes REML's variances as known; James–Stein shrinks all groups by one factor.",
    )


def claims(content: Content) -> cells.View | None:
    """Claims by criterion and model."""
    frame = content.table("claims")
    if frame.empty:
        return None
    return cells.view(
        "Pairs called different, by criterion",
        frame.assign(title=frame["model"].map(content.titles)),
        [
            ("Model", cells.text("title")),
            ("Criterion", cells.text("criterion")),
            ("Pairs called different", cells.count("claims")),
            ("Pairs", cells.count("pairs")),
        ],
        csv="claims",
        limit=20 * cells.LIMIT,
    )


def contrasts(content: Content) -> cells.View | None:
    """Pairs under no and partial pooling side by side, the clearest first."""
    first, second = content.one("none"), content.one("partial")
    shown = [fit for fit in (first, second) if fit is not None]
    frame = pd.DataFrame()
    columns: cells.Columns = []
    for k, fit in enumerate(shown):
        part = content.table("contrasts", model=fit.name)
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
        if content.delta is not None:
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
        if content.delta is None
        else f"Equivalent: a difference below {content.delta:g} either way.",
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


def ranks(content: Content, fit: Fit) -> cells.View | None:
    """Expected rank of each group, and the probability of being first or last."""
    frame = content.table("rank_summary", model=fit.name)
    if frame.empty:
        return None
    return cells.view(
        f"Ranks under {fit.title} (1 = highest mean)",
        frame.sort_values("expected_rank", kind="stable"),
        [
            (content.data.group_label, cells.text("group")),
            ("Expected rank", cells.estimate("expected_rank", "mcse")),
            ("95 % interval", cells.interval("rank_q2.5", "rank_q97.5", ".0f")),
            ("P(highest)", cells.probability("p_best")),
            ("P(lowest)", cells.probability("p_worst")),
        ],
        csv="rank_summary",
    )


def predictions(content: Content, fit: Fit) -> cells.View | None:
    """Predictive distributions of one fit."""
    frame = content.table("predictions", model=fit.name)
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
            (content.data.group_label, cells.text("group")),
            ("Mean", cells.estimate("mean", "error")),
            ("sd", cells.estimate("sd", "error")),
            ("2.5 %", cells.estimate("q2.5", "error", factor=3)),
            ("Median", cells.estimate("median", "error")),
            ("97.5 %", cells.estimate("q97.5", "error", factor=3)),
        ],
        csv="predictions",
    )


def scores(content: Content, key: str, title: str) -> cells.View | None:
    """Predictive scores of the models."""
    frame = content.table(key)
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
        title, frame.assign(title=frame["model"].map(content.titles)), columns, csv=key
    )


def priors(fit: Fit) -> dict[str, str]:
    """Hyperparameters that a fit used, as text by where they come from."""
    values, sources = fit.about["priors"], fit.about["priors_sources"]
    by_source: dict[str, list[str]] = {}
    for name in fit.about.get("inputs") or list(values):
        if name in values:
            shown = f"{name} = {values[name]:g}"
            by_source.setdefault(str(sources.get(name, "")), []).append(shown)
    return {source: ", ".join(shown) for source, shown in by_source.items()}
