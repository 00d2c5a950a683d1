"""Frames -> the tables that the HTML shows: columns with titles, cells as text.

The CSV files hold every row and digit; these hold what a page can, with the digits that the
Monte Carlo error supports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.report.content import Content
from partialpool.report.sentences import capital, number

LIMIT = 40
"""Rows of a table in the HTML."""


@dataclass(frozen=True)
class Cell:
    """Text of a cell and, for numbers, the value it sorts by."""

    text: str
    value: float | None = None

    @property
    def kind(self) -> str:
        """How it is set: a number, short text that is not broken, or text."""
        if self.value is not None or self.text == "–":
            return "number"
        return "brief" if len(self.text) <= 16 else "text"


@dataclass(frozen=True)
class View:
    """A table to show.

    Attributes
    ----------
    title
        Its caption.
    head
        Titles of the columns.
    rows
        Cells, row by row.
    csv
        Name of the file that holds it whole.
    dropped
        Rows that only the file has.
    note
        A sentence below the table.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: str
    dropped: int = 0
    note: str = ""


def _view(
    title: str,
    frame: pd.DataFrame,
    columns: dict[str, Callable[[Any], Cell]],
    *,
    csv: str,
    note: str = "",
    limit: int = LIMIT,
) -> View | None:
    if frame.empty:
        return None
    shown = frame.head(limit)
    rows = tuple(
        tuple(make(row) for make in columns.values()) for row in shown.to_dict(orient="records")
    )
    return View(title, tuple(columns), rows, csv, len(frame) - len(shown), note)


def _text(column: str) -> Callable[[Any], Cell]:
    return lambda row: Cell(str(row[column]))


def _count(column: str) -> Callable[[Any], Cell]:
    return lambda row: Cell(f"{row[column]:.0f}", float(row[column]))


def _estimate(column: str, mcse: str, *, factor: float = 1) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        return _number_cell(row[column], factor * row[mcse])

    return cell


def _number_cell(value: float, mcse: float = math.nan) -> Cell:
    if not math.isfinite(value):
        return Cell("–" if math.isnan(value) else str(value))
    return Cell(number(value, mcse), float(value))


def _digits(column: str, digits: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        value = row[column]
        if not math.isfinite(value):
            return Cell("–" if math.isnan(value) else str(value))
        return Cell(format(value, digits).replace("-", "−"), float(value))

    return cell


def _probability(column: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        p = row[column]
        if math.isnan(p):
            return Cell("–")
        shown = "<0.01" if p < 0.005 else ">0.99" if p > 0.995 else f"{p:.2f}"
        return Cell(shown, float(p))

    return cell


def _yes(column: str) -> Callable[[Any], Cell]:
    return lambda row: Cell("yes" if row[column] else "no", float(row[column]))


def _of_data(content: Content, column: str) -> Callable[[Any], Cell]:
    """Cells of sample statistics: four digits of the overall sd, the same for a whole column."""
    scale = content.data.stats.total_sd or 1.0
    return _digits(column, f".{max(0, 3 - math.floor(math.log10(scale)))}f")


def groups(content: Content) -> View | None:
    """Sample size, mean and sd by group."""
    data = content.data
    return _view(
        f"{data.axis_title} by {data.group_label}",
        content.table("groups"),
        {
            data.group_label: _text("group"),
            "n": _count("n"),
            "Sample mean": _of_data(content, "mean"),
            "Sample sd": _of_data(content, "sd"),
        },
        csv="groups",
    )


def estimates(content: Content, fit: Fit) -> View | None:
    """Posterior summaries of one fit."""
    frame = content.table("estimates", model=fit.name)
    if frame.empty:
        return None
    frame = frame[frame["parameter"] != "eta"]
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    return _view(
        f"Posterior under {fit.title}",
        frame,
        {
            "Parameter": _text("parameter"),
            content.data.group_label: _text("group"),
            "n": _count("n"),
            "Mean": _estimate("mean", "mcse_mean"),
            "MCSE": _digits("mcse_mean", ".2g"),
            "sd": _estimate("sd", "mcse_mean"),
            "2.5 %": _estimate("q2.5", "mcse_q2.5"),
            "Median": _estimate("median", "mcse_median"),
            "97.5 %": _estimate("q97.5", "mcse_q97.5"),
            "R-hat": _digits("r_hat", ".3f"),
            "Bulk ESS": _count_or_dash("ess_bulk"),
            "Tail ESS": _count_or_dash("ess_tail"),
        },
        csv="estimates",
        note="Means and quantiles have the digits that their Monte Carlo standard error (MCSE) "
        "supports.",
    )


def _count_or_dash(column: str) -> Callable[[Any], Cell]:
    return _digits(column, ".0f")


def diagnostics(content: Content) -> View | None:
    """Every check of every fit."""
    frame = content.table("diagnostics")
    columns: dict[str, Callable[[Any], Cell]] = {
        "Model": _text("title"),
        "Check": _text("check"),
        "Value": _digits("value", ".4g"),
        "Limit": _text("threshold"),
        "Passed": _yes("passed"),
        "What was found": _text("meaning"),
    }
    if (frame["remedy"] != "").any():
        columns["Remedy"] = _text("remedy")
    return _view(
        "Diagnostics",
        frame.assign(title=frame["model"].map(content.titles)),
        columns,
        csv="diagnostics",
        limit=20 * LIMIT,
    )


def shrinkage(content: Content) -> View | None:
    """Estimates of the group means side by side."""
    frame = content.table("shrinkage_wide")
    columns: dict[str, Callable[[Any], Cell]] = {
        content.data.group_label: _text("group"),
        "n": _count("n"),
        "Sample mean": _of_data(content, "sample_mean"),
    }
    for name, title in content.titles.items():
        if name in frame:
            columns[capital(title)] = _with_error(name)
    return _view(
        "Posterior means of the group means (Monte Carlo standard error in brackets)",
        frame,
        columns,
        csv="shrinkage_wide",
    )


def _with_error(name: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        found = _number_cell(row[name], row[f"{name}_mcse"])
        error = row[f"{name}_mcse"]
        return Cell(
            f"{found.text} ({error:.1g})" if math.isfinite(error) else found.text, found.value
        )

    return cell


def displacement(content: Content, fit: Fit) -> View | None:
    """How far each mean moved, and its pooling factor."""
    return _view(
        f"Movement under {fit.title}",
        content.table("shrinkage", model=fit.name),
        {
            content.data.group_label: _text("group"),
            "n": _count("n"),
            "Sample mean": _of_data(content, "raw_mean"),
            "Standard error": _digits("raw_se", ".3g"),
            "Posterior mean": _estimate("estimate", "mcse"),
            "Moved by": _estimate("displacement", "mcse"),
            "In standard errors": _digits("displacement_se", ".2f"),
            "Pooling factor λ": _digits("lambda_mean", ".2f"),
            "95 % interval of λ": _interval("lambda_q2.5", "lambda_q97.5", ".2f"),
        },
        csv="shrinkage",
        note="λ = 1 is complete pooling (the group's own mean has no say), λ = 0 is none.",
    )


def _interval(low: str, high: str, digits: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        if not (math.isfinite(row[low]) and math.isfinite(row[high])):
            return Cell("–")
        shown = f"{format(row[low], digits)} to {format(row[high], digits)}"
        return Cell(shown.replace("-", "−"), float(row[low]))

    return cell


_QUANTITIES = {
    "sigma2": "Variance within groups, σ²",
    "tau2": "Variance between groups, τ²",
    "icc": "Intraclass correlation, R",
    "pooling_factor": "Overall pooling factor",
}


def variance(content: Content) -> View | None:
    """Variances, intraclass correlation and the overall pooling factor."""
    frame = content.table("variance")
    if frame.empty:
        return None
    return _view(
        "Variance within and between groups",
        frame.assign(
            title=frame["model"].map(content.titles),
            what=frame["quantity"].map(lambda q: _QUANTITIES.get(q, q)),
        ),
        {
            "Model": _text("title"),
            "Quantity": _text("what"),
            "Mean": _estimate("mean", "mcse"),
            "MCSE": _digits("mcse", ".2g"),
            "Median": _estimate("median", "mcse"),
            "2.5 %": _estimate("q2.5", "mcse"),
            "97.5 %": _estimate("q97.5", "mcse", factor=3),
        },
        csv="variance",
        note="The overall pooling factor is that of Gelman and Pardoe (2006): 1 is complete "
        "pooling, 0 is none.",
    )


def classical(content: Content) -> View | None:
    """ANOVA and REML beside the posterior means."""
    frame = content.table("variance_components")
    if frame.empty:
        return None
    rows = frame.to_dict(orient="records")
    fit = content.one("partial")
    if fit is not None:
        found = content.table("variance", model=fit.name).set_index("quantity")["mean"]
        rows.append({"method": f"posterior mean, {fit.title}", **found.to_dict()})
    return _view(
        "Classical companions: variance components",
        pd.DataFrame(rows),
        {
            "Method": _text("method"),
            "σ²": _digits("sigma2", ".4g"),
            "τ²": _digits("tau2", ".4g"),
            "R": _digits("icc", ".3g"),
            "F": _digits("f", ".4g"),
            "p of τ² = 0": _digits("p_value", ".2g"),
        },
        csv="variance_components",
        note="ANOVA and REML are classical estimates, computed without a prior.",
    )


def blup(content: Content) -> View | None:
    """BLUP and James-Stein beside the posterior means."""
    frame = content.table("blup")
    fit = content.one("partial")
    if frame.empty:
        return None
    columns: dict[str, Callable[[Any], Cell]] = {
        content.data.group_label: _text("group"),
        "n": _count("n"),
        "Sample mean": _of_data(content, "raw_mean"),
        "BLUP": _of_data(content, "blup"),
        "James–Stein": _of_data(content, "james_stein"),
    }
    if fit is not None:
        bayes = content.table("shrinkage", model=fit.name)[["group", "estimate", "mcse"]]
        frame = frame.merge(bayes, on="group", how="left")
        columns[capital(fit.title)] = _estimate("estimate", "mcse")
    return _view(
        "Classical companions: estimates of the group means",
        frame,
        columns,
        csv="blup",
        note="BLUP takes REML's variances as known; James–Stein shrinks all groups by one factor.",
    )


def claims(content: Content) -> View | None:
    """Claims by criterion and model."""
    frame = content.table("claims")
    if frame.empty:
        return None
    return _view(
        "Pairs called different, by criterion",
        frame.assign(title=frame["model"].map(content.titles)),
        {
            "Model": _text("title"),
            "Criterion": _text("criterion"),
            "Pairs called different": _count("claims"),
            "Pairs": _count("pairs"),
        },
        csv="claims",
        limit=20 * LIMIT,
    )


def contrasts(content: Content) -> View | None:
    """Pairs under no and partial pooling side by side, the clearest first."""
    first, second = content.one("none"), content.one("partial")
    shown = [fit for fit in (first, second) if fit is not None]
    frame = pd.DataFrame()
    columns: dict[str, Callable[[Any], Cell]] = {}
    for k, fit in enumerate(shown):
        part = content.table("contrasts", model=fit.name)
        if part.empty:
            return None
        part = part.drop(columns="model").set_index(["group_i", "group_j"]).add_suffix(f"_{k}")
        frame = part if k == 0 else frame.join(part)
    if frame.empty:
        return None
    frame = _higher_first(frame.reset_index(), models=len(shown))
    columns["Pair"] = lambda row: Cell(f"{row['group_i']} − {row['group_j']}")
    for k, fit in enumerate(shown):
        short = {"none": "no pooling", "partial": "partial pooling"}[fit.pooling]
        columns[f"{capital(short)}: difference"] = _estimate(f"mean_{k}", f"mcse_{k}")
        columns[f"{capital(short)}: 95 % interval"] = _contrast_interval(k)
        columns[f"{capital(short)}: P(first is higher)"] = _probability(f"p_greater_{k}")
        if content.delta is not None:
            columns[f"{capital(short)}: P(equivalent)"] = _probability(f"p_equivalent_{k}")
        columns[f"{capital(short)}: marginal intervals overlap"] = _yes(f"marginal_overlap_{k}")
    last = len(shown) - 1
    clear = (frame[f"p_greater_{last}"] - 0.5).abs()
    ordered = frame.iloc[np.argsort(-clear.to_numpy(), kind="stable")]
    return _view(
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


def _contrast_interval(k: int) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        low, high = row[f"q2.5_{k}"], row[f"q97.5_{k}"]
        error = 2 * row[f"mcse_{k}"]
        if not (math.isfinite(low) and math.isfinite(high)):
            return Cell("–")
        return Cell(f"{number(low, error)} to {number(high, error)}", float(low))

    return cell


def ranks(content: Content, fit: Fit) -> View | None:
    """Expected rank of each group, and the probability of being first or last."""
    frame = content.table("rank_summary", model=fit.name)
    if frame.empty:
        return None
    return _view(
        f"Ranks under {fit.title} (1 = highest mean)",
        frame.sort_values("expected_rank", kind="stable"),
        {
            content.data.group_label: _text("group"),
            "Expected rank": _estimate("expected_rank", "mcse"),
            "95 % interval": _interval("rank_q2.5", "rank_q97.5", ".0f"),
            "P(highest)": _probability("p_best"),
            "P(lowest)": _probability("p_worst"),
        },
        csv="rank_summary",
    )


def predictions(content: Content, fit: Fit) -> View | None:
    """Predictive distributions of one fit."""
    frame = content.table("predictions", model=fit.name)
    if frame.empty:
        return None
    draws = math.prod(fit.posterior.sizes[d] for d in ("chain", "draw"))
    frame = frame.iloc[np.argsort(frame["group"].to_numpy() != "", kind="stable")]
    frame = frame.assign(error=frame["sd"] / math.sqrt(draws))
    return _view(
        f"Predictions under {fit.title}",
        frame,
        {
            "Of": _text("quantity"),
            content.data.group_label: _text("group"),
            "Mean": _estimate("mean", "error"),
            "sd": _estimate("sd", "error"),
            "2.5 %": _estimate("q2.5", "error", factor=3),
            "Median": _estimate("median", "error"),
            "97.5 %": _estimate("q97.5", "error", factor=3),
        },
        csv="predictions",
    )


def scores(content: Content, key: str, title: str) -> View | None:
    """Predictive scores of the models."""
    frame = content.table(key)
    if frame.empty:
        return None
    columns: dict[str, Callable[[Any], Cell]] = {
        "Model": _text("title"),
        "elpd": _digits("elpd", ".1f"),
        "Standard error": _digits("se", ".1f"),
        "Behind the best": _digits("elpd_diff", ".1f"),
        "Standard error of that": _digits("dse", ".1f"),
    }
    if frame["p_loo"].notna().any():
        columns["Effective parameters"] = _digits("p_loo", ".1f")
    columns |= {
        "Largest Pareto k": _digits("max_k", ".2f"),
        "k beyond the threshold": _count("bad_k"),
        "Advice": _text("advice"),
    }
    return _view(title, frame.assign(title=frame["model"].map(content.titles)), columns, csv=key)


def priors(fit: Fit) -> dict[str, str]:
    """Hyperparameters that a fit used, as text by where they come from."""
    values, sources = fit.about["priors"], fit.about["priors_sources"]
    by_source: dict[str, list[str]] = {}
    for name in fit.about.get("inputs") or list(values):
        if name in values:
            shown = f"{name} = {values[name]:g}"
            by_source.setdefault(str(sources.get(name, "")), []).append(shown)
    return {source: ", ".join(shown) for source, shown in by_source.items()}
