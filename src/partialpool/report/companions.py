"""Tables of the classical companions: what is estimated without a prior, beside the posterior."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from partialpool.fitting import Fit
from partialpool.report import cells, precision
from partialpool.report.views import LOGARITHMS, of_data, raw
from partialpool.report.wording import capital, rows_of
from partialpool.tables.comparison import Comparison
from partialpool.tables.predictions import NEW_GROUP_MEAN


def classical(comparison: Comparison) -> cells.View | None:
    """ANOVA and REML beside the posterior means."""
    frame = comparison.table("variance_components")
    if frame.empty:
        return None
    rows = frame.to_dict(orient="records")
    fit = comparison.model("partial")
    if fit is not None:
        row: dict[Any, Any] = {"method": f"posterior mean, {fit.title}"}
        rows.append(row | _means(comparison.table("variance", model=fit.name), "quantity", "mcse"))
    return cells.view(
        "Classical companions: variance components",
        pd.DataFrame(rows),
        [
            ("Method", cells.text("method")),
            ("σ²", cells.supported("sigma2", "mcse_sigma2", ".4g")),
            ("τ²", cells.supported("tau2", "mcse_tau2", ".4g")),
            ("R", cells.supported("icc", "mcse_icc", ".3g")),
            ("F", cells.digits("f", ".4g")),
            ("p of τ² = 0", cells.digits("p_value", ".2g")),
        ],
        csv="variance_components",
        note="ANOVA and REML are classical estimates, computed without a prior.",
    )


def _means(frame: pd.DataFrame, name: str, mcse: str) -> dict[str, Any]:
    """Posterior means by the names in a column, with their errors."""
    found: dict[str, Any] = {}
    for row in frame.to_dict(orient="records"):
        found |= {row[name]: row["mean"], f"mcse_{row[name]}": row[mcse]}
    return found


def blup(comparison: Comparison) -> cells.View | None:
    """BLUP and James-Stein beside the posterior means."""
    frame = comparison.table("blup")
    fit = comparison.model("partial")
    if frame.empty:
        return None
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        ("n", cells.count("n")),
        (capital(comparison.data.words.raw), of_data(comparison, "raw_mean")),
        ("BLUP", of_data(comparison, "blup")),
        ("James–Stein", of_data(comparison, "james_stein")),
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
        ("Mean effect", cells.supported("estimate", "mcse_estimate", ".4g")),
        ("Standard error", cells.digits("se", ".3g")),
        ("95 % interval", cells.interval("q2.5", "q97.5", ".4g")),
        ("τ²", cells.supported("tau2", "mcse_tau2", ".4g")),
        ("I²", cells.supported("i2", "mcse_i2", ".2f")),
        ("H²", cells.supported("h2", "mcse_h2", ".3g")),
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
        "the posterior row has posterior means, and the sd of μ as its standard error."
        + (f" Standard errors and τ² are {LOGARITHMS}." if comparison.data.exp else ""),
    )


def _posterior_row(comparison: Comparison, fit: Fit) -> dict[str, Any]:
    """Posterior means of what a meta-analysis estimates, as a row of its table."""
    estimates = comparison.table("estimates", model=fit.name)
    found: dict[str, Any] = {"method": f"posterior, {fit.title}"}
    for row in estimates[estimates["parameter"] == "mu"].to_dict(orient="records"):
        sd = math.log(row["sd"]) if comparison.data.exp else row["sd"]
        found |= {"estimate": row["mean"], "mcse_estimate": row["mcse_mean"], "se": sd}
        found |= {name: row[name] for name in ("q2.5", "mcse_q2.5", "q97.5", "mcse_q97.5")}
    found |= _means(comparison.table("variance", model=fit.name), "quantity", "mcse")
    new = comparison.table("predictions", model=fit.name, quantity=NEW_GROUP_MEAN)
    for row in precision.predicted(comparison, fit, new).to_dict(orient="records"):
        for end in ("q2.5", "q97.5"):
            found |= {f"prediction_{end}": row[end], f"mcse_prediction_{end}": row[f"mcse_{end}"]}
    return found


_PARAMETERS = {
    "mu": "μ",
    "size": "Size",
    "shape": "Shape",
    "location": "Location",
    "scale": "Scale",
    "alpha": "α",
    "beta": "β",
    "tau": "τ",
}


def maximum_likelihood(comparison: Comparison) -> cells.View | None:
    """Maximum likelihood of the population of counts, beside its posterior."""
    frame = comparison.table("maximum_likelihood")
    if frame.empty:
        return None
    rows, fit = rows_of(frame), comparison.model("partial")
    if fit is not None:
        row: dict[Any, Any] = {
            "method": f"posterior median, {fit.title}",
            "log_likelihood": math.nan,
        }
        own = comparison.table("estimates", model=fit.name).set_index("parameter")
        for name in _PARAMETERS:
            known = name in frame and name in own.index
            row[name] = own.loc[name, "median"] if known else math.nan
            row[f"mcse_{name}"] = own.loc[name, "mcse_median"] if known else math.nan
        rows.append(row)
    shown = [(title, name) for name, title in _PARAMETERS.items() if name in frame]
    return cells.view(
        "Classical companions: maximum likelihood",
        pd.DataFrame(rows),
        [
            ("Method", cells.text("method")),
            *((title, cells.supported(name, f"mcse_{name}", ".4g")) for title, name in shown),
            ("Log likelihood", cells.digits("log_likelihood", ".2f")),
        ],
        csv="maximum_likelihood",
        note="Computed without a prior; where the groups differ by no more than chance lets them, "
        "the population of highest likelihood is one of equal groups, "
        + ("of infinite size." if "size" in frame else "of a scale of 0."),
    )


_PREDICTORS = {
    "plug_in": "Plug-in estimate",
    "james_stein": "James–Stein",
    "james_stein_arcsine": "James–Stein, arcsine",
}


def predictors(comparison: Comparison) -> cells.View | None:
    """Estimates of counts without priors, beside the posterior means."""
    frame = comparison.table("predictors")
    if frame.empty:
        return None
    exact = [("exact_q2.5", "2.5 %, exact"), ("exact_q97.5", "97.5 %, exact")]
    named = [*exact, *_PREDICTORS.items()]
    kept = [(name, title) for name, title in named if name in frame and frame[name].notna().any()]
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        *raw(comparison, "raw_mean"),
        *((title, of_data(comparison, name)) for name, title in kept),
    ]
    fit = comparison.model("partial")
    if fit is not None:
        bayes = comparison.table("shrinkage", model=fit.name)[["group", "estimate", "mcse"]]
        frame = frame.merge(bayes, on="group", how="left")
        columns.append((capital(fit.title), cells.estimate("estimate", "mcse")))
    return cells.view(
        f"Classical companions: estimates of the {comparison.data.words.thetas}",
        frame,
        columns,
        csv="predictors",
        note="The plug-in estimate takes the population of maximum likelihood as known.",
    )


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
            *raw(comparison, "estimate"),
            ("Standard error", of_data(comparison, "se")),
            ("Weight, common effect", cells.digits("weight_common", ".3g")),
            ("Weight, REML", cells.digits("weight_reml", ".3g")),
            ("BLUP", of_data(comparison, "blup")),
            ("Pulled by", cells.fraction("blup_factor")),
        ],
        csv="weights",
        note="BLUP takes REML's τ² as known; 1 is pulled all the way to the mean."
        + (f" Standard errors are {LOGARITHMS}." if comparison.data.exp else ""),
    )
