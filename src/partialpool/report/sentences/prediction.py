"""Sentences on predictions, scores and checks."""

from __future__ import annotations

import math

import pandas as pd

from partialpool.families.base import Words
from partialpool.fitting import Fit
from partialpool.report import precision
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    Row,
    a_new_group,
    group_word,
    listed,
    noun,
    number,
    rows_of,
)
from partialpool.tables.comparison import Comparison
from partialpool.tables.predictions import NEW_GROUP_MEAN, NEW_OBSERVATION_IN_NEW_GROUP

_SPREADS = (
    *("Sd of the estimates", "Sd of the logarithms", "Cochran's Q"),
    "Pearson's chi-squared",
)
_PERSONS = ("Cochran", "Pearson")


def predicted(comparison: Comparison) -> list[str]:
    """What each model predicts for a new group, and which model predicts best."""
    said, below = [], False
    for fit in comparison.fits:
        if not comparison.concludes(fit.name):
            continue
        rows = comparison.table(
            "predictions", model=fit.name, quantity=NEW_OBSERVATION_IN_NEW_GROUP
        )
        for row in rows_of(precision.predicted(comparison, fit, rows)):
            said.append(_new_observation(comparison, fit, row))
            below |= bool(row["q2.5"] < 0)
        said += _new_effect(comparison, fit)
    if below and comparison.data.has_observations and comparison.data.y.min() >= 0:
        said.append(
            "Predictions reach below 0, where no observation lies: a normal distribution knows no "
            "such bound."
        )
    return said + _scores(comparison)


def _new_observation(comparison: Comparison, fit: Fit, row: Row) -> str:
    """Say where one observation of a group lies that nothing else is known of."""
    low = number(row["q2.5"], row["mcse_q2.5"])
    high = number(row["q97.5"], row["mcse_q97.5"], comparison.data.unit)
    where = f"lies between {low} and {high} with probability 95 % under {fit.title}"
    if fit.pooling == "complete":
        return f"A new observation, of whichever {group_word(comparison)}, {where}."
    return (
        f"One new observation in {a_new_group(comparison)} {where}: an interval over all "
        "groups that there might be, wider than that of any one."
    )


def _new_effect(comparison: Comparison, fit: Fit) -> list[str]:
    """Say where the effect of a new group lies, where its observations are not modelled."""
    if not comparison.data.family.rows_are_groups or fit.pooling == "none":
        return []
    rows = comparison.table("predictions", model=fit.name, quantity=NEW_GROUP_MEAN)
    return [
        f"The {noun(comparison)} of {a_new_group(comparison)} lies between "
        f"{number(row['q2.5'], row['mcse_q2.5'])} and "
        f"{number(row['q97.5'], row['mcse_q97.5'], comparison.data.unit)} with probability 95 % "
        f"under {fit.title}."
        for row in rows_of(precision.predicted(comparison, fit, rows))
        if math.isfinite(row["q2.5"]) and math.isfinite(row["q97.5"])
    ]


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
            f"reliable: {row['bad_k']} Pareto k {'is' if row['bad_k'] == 1 else 'are'} beyond the "
            "threshold."
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
            f"No pooling learns nothing about {a_new_group(comparison)}: its score for one is that "
            "of its prior."
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
        return [_replicated(rows, outside, fit, comparison.data.family.words)]
    which = [f"{row['statistic'].lower()} of {row['group']}" for row in rows_of(outside)]
    said = [
        f"Of {len(rows)} statistics by group (sd, minimum, maximum), {len(outside) or 'none'} "
        f"{'lies' if len(outside) == 1 else 'lie'} outside the 95 % interval of what {fit.title} "
        "replicates"
        + (f": {listed(which)}" if which else "")
        + f". By chance about {_about(0.05 * len(rows))} would."
    ]
    if comparison.data.y.min() >= 0 and (rows["q2.5"] < 0).any():
        said.append(
            "The model replicates negative values; the data have none. Its normal distribution "
            "knows no lower bound."
        )
    return said


def _about(count: float) -> str:
    """Write an expected count, which need not be a whole number."""
    return f"{count:.0f}" if count >= 10 else f"{count:.1g}"


def _replicated(rows: pd.DataFrame, outside: pd.DataFrame, fit: Fit, words: Words) -> str:
    """Say whether estimates of groups drawn anew look like those at hand."""
    names = listed([_statistic(name) for name in rows["statistic"]])
    if outside.empty:
        return (
            f"Data sets of new groups, drawn from the population under {fit.title}, look like "
            f"these data: {names} lie within the 95 % intervals of what it replicates."
        )
    narrow = (outside["observed"] < outside["q2.5"]) & outside["statistic"].isin(_SPREADS)
    why = f"{words.population} may not fit"
    if fit.pooling == "complete":
        why = f"one {words.theta} for all groups may not fit"
    if narrow.all():
        why = words.too_alike
    found = [
        f"{_article(row['statistic'])} ({number(row['observed'])}, where 95 % of replicates lie "
        f"between {_rough(row['q2.5'])} and {_rough(row['q97.5'])})"
        for row in rows_of(outside)
    ]
    return (
        f"Data sets of new groups, drawn from the population under {fit.title}, differ from these "
        f"data in {listed(found)}: {why}."
    )


def _rough(value: float) -> str:
    """Write an end of what replicates span, which is good to a hundredth or so."""
    return number(value, 0.01 * abs(value))


def _statistic(name: str) -> str:
    """Name of a statistic within a sentence."""
    return name if name.startswith(_PERSONS) else f"{name[:1].lower()}{name[1:]}"


def _article(name: str) -> str:
    """Name of a statistic with its article, where it takes one."""
    return _statistic(name) if name.startswith(_PERSONS) else f"the {_statistic(name)}"
