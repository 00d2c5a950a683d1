"""Sentences on predictions, scores and checks."""

from __future__ import annotations

import math

import pandas as pd

from partialpool.fitting import Fit
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    Row,
    draws_of,
    group_word,
    listed,
    noun,
    number,
    rows_of,
)
from partialpool.tables.comparison import Comparison

_SPREADS = ("Sd of the estimates", "Sd of the logarithms", "Cochran's Q")


def predicted(comparison: Comparison) -> list[str]:
    """What each model predicts for a new group, and which model predicts best."""
    said = []
    for fit in comparison.fits:
        if not comparison.concludes(fit.name):
            continue
        rows = comparison.table(
            "predictions", model=fit.name, quantity="new observation in a new group"
        )
        for row in rows_of(rows):
            error = row["sd"] / math.sqrt(draws_of(comparison, fit))
            said.append(
                f"Under {fit.title} 95 % of observations in a new {group_word(comparison)} lie "
                f"between {number(row['q2.5'], 3 * error)} and "
                f"{number(row['q97.5'], 3 * error, comparison.data.unit)}."
            )
        said += _new_effect(comparison, fit)
    return said + _scores(comparison)


def _new_effect(comparison: Comparison, fit: Fit) -> list[str]:
    """Say where the effect of a new group lies, where its observations are not modelled."""
    if not comparison.data.family.rows_are_groups or fit.pooling == "none":
        return []
    said = []
    for row in rows_of(comparison.table("predictions", model=fit.name, quantity="new group mean")):
        low, high = (predictive_error(comparison, fit, row, name) for name in ("q2.5", "q97.5"))
        if not (math.isfinite(row["q2.5"]) and math.isfinite(row["q97.5"])):
            continue
        said.append(
            f"The {noun(comparison)} of a new {group_word(comparison)} lies between "
            f"{number(row['q2.5'], 3 * low)} and "
            f"{number(row['q97.5'], 3 * high, comparison.data.unit)} with probability 95 % under "
            f"{fit.title}."
        )
    return said


def predictive_error(comparison: Comparison, fit: Fit, row: Row, column: str) -> float:
    """Rough Monte Carlo error of a mean or quantile of a predictive distribution."""
    spread = row["sd"]
    if comparison.data.exp:
        spread = math.log(row["sd"]) * row[column] if row["sd"] > 0 else math.nan
    return float(spread / math.sqrt(draws_of(comparison, fit)))


def _scores(comparison: Comparison) -> list[str]:
    said = []
    for key in ("loo", "leave_one_group_out"):
        rows = comparison.table(key)
        rows = rows[[comparison.concludes(name) for name in rows.get("model", [])]]
        if len(rows) < 2:
            continue
        best, second = rows_of(rows.head(2))
        unreliable = [row for row in rows_of(rows) if row["bad_k"]]
        said += [
            f"The score of {comparison.titles[row['model']]} for {row['question']} is not "
            f"reliable: {row['bad_k']} Pareto k are beyond the threshold."
            for row in unreliable
        ]
        if unreliable and not comparison.insist:
            said.append(f"So no model is said to be best for {best['question']}.")
            continue
        gap = abs(second["elpd"] - best["elpd"])
        title = comparison.titles[best["model"]]
        said.append(
            f"For {best['question']}, {title} scores best"
            + (
                f", but {comparison.titles[second['model']]} is within "
                f"{max(gap, 0.1):.1f} of it: no clear winner."
                if gap < 4
                else f", ahead of {comparison.titles[second['model']]} by {gap:.1f}."
            )
        )
    none_fit = comparison.model("none")
    scored = comparison.table("leave_one_group_out")
    if none_fit is not None and none_fit.name in set(scored.get("model", [])):
        said.append(
            f"No pooling learns nothing about a new {group_word(comparison)}: its score for one is "
            "that of its prior."
        )
    return said


def checked(comparison: Comparison, fit: Fit | None) -> list[str]:
    """How many observed statistics the replicated data sets miss."""
    if fit is None:
        return []
    held = withheld(comparison, fit)
    if held:
        return held
    rows = comparison.table("posterior_checks", model=fit.name)
    if rows.empty:
        return []
    outside = rows[(rows["observed"] < rows["q2.5"]) | (rows["observed"] > rows["q97.5"])]
    if comparison.data.family.rows_are_groups:
        return [_replicated(rows, outside, fit)]
    which = [f"{row['statistic'].lower()} of {row['group']}" for row in rows_of(outside)]
    said = [
        f"Of {len(rows)} statistics by group (sd, minimum, maximum), {len(outside)} lie outside "
        f"the 95 % interval of what {fit.title} replicates"
        + (f": {listed(which)}" if which else "")
        + f". About {0.05 * len(rows):.0f} would by chance."
    ]
    if comparison.data.y.min() >= 0 and (rows["q2.5"] < 0).any():
        said.append(
            "The model replicates negative values; the data have none. Its normal distribution "
            "knows no lower bound."
        )
    return said


def _replicated(rows: pd.DataFrame, outside: pd.DataFrame, fit: Fit) -> str:
    """Say whether estimates of groups drawn anew look like those at hand."""
    names = listed([_statistic(name) for name in rows["statistic"]])
    if outside.empty:
        return (
            f"Data sets of new groups, drawn from the population under {fit.title}, look like "
            f"these data: {names} lie within the 95 % intervals of what it replicates."
        )
    narrow = (outside["observed"] < outside["q2.5"]) & outside["statistic"].isin(_SPREADS)
    why = "a normal population of effects may not fit"
    if narrow.all():
        why = "the estimates lie closer together than their standard errors lead one to expect"
    found = [
        f"{_article(row['statistic'])} ({number(row['observed'])}, where 95 % of replicates lie "
        f"between {number(row['q2.5'])} and {number(row['q97.5'])})"
        for row in rows_of(outside)
    ]
    return (
        f"Data sets of new groups, drawn from the population under {fit.title}, differ from these "
        f"data in {listed(found)}: {why}."
    )


def _statistic(name: str) -> str:
    """Name of a statistic within a sentence."""
    return name if name.startswith("Cochran") else f"{name[:1].lower()}{name[1:]}"


def _article(name: str) -> str:
    """Name of a statistic with its article, where it takes one."""
    return _statistic(name) if name.startswith("Cochran") else f"the {_statistic(name)}"
