"""Whether the models fit the data: what was found against them, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from partialpool.families.base import Words
from partialpool.fitting import Fit
from partialpool.report.wording import (
    Row,
    a_group,
    capital,
    everyone,
    group_word,
    highest,
    listed,
    lowest,
    named,
    noun,
    nouns,
    number,
    raw_number,
    rows_of,
    tied,
)
from partialpool.tables.checks import FARTHEST, SKEWNESS, UNEQUAL
from partialpool.tables.comparison import Comparison
from partialpool.tables.exponential import SPREAD_OF_LOGS

UNLIKELY = 0.01
"""Probability below which what was found speaks against a model."""

_OUTLYING = 0.05
_CERTAIN = 6.0
"""Sds from its group's mean beyond which a single value has spoilt all other checks."""

_NEAR = 4.0
_TRY_LOG = "try --log."
_SPREADS = (
    *("Sd of the estimates", "Sd of the logarithms", "Cochran's Q"),
    "Pearson's chi-squared",
)
_PERSONS = ("Cochran", "Pearson")


@dataclass(frozen=True)
class Finding:
    """Something that speaks against a model.

    Attributes
    ----------
    said
        What was found, in a sentence with its numbers.
    remedy
        What to do about it, in a sentence.
    size
        How large it is, where that decides what else is said.
    """

    said: str
    remedy: str
    size: float = 0.0


def judged(comparison: Comparison) -> Fit | None:
    """Return the model that is compared with the data: partial pooling, else no pooling."""
    fit = comparison.model("partial") or comparison.model("none")
    return fit if fit is not None and comparison.concludes(fit.name) else None


def fits_the_data(comparison: Comparison) -> list[str]:
    """Open a report: what speaks against the model, each with its remedy; or that nothing does."""
    fit = judged(comparison)
    if fit is None:
        return []
    found = findings(comparison, fit)
    if found:
        return [f"{each.said} {each.remedy}".strip() for each in found]
    tried = _tried(comparison, fit)
    if not tried:
        return []
    return [f"Nothing that was checked speaks against {fit.title}: {tried}."]


def findings(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Whatever speaks against a model, what changes most first."""
    if comparison.data.family.rows_are_groups:
        return [*_outlying(comparison, fit), *_unlike(comparison, fit)]
    skewed, unequal = _skewed(comparison, fit), _unequal(comparison, fit)
    far, outlying = _farthest(comparison, fit, unequal=bool(unequal)), _outlying(comparison, fit)
    if any(each.remedy.endswith(_TRY_LOG) for each in (*skewed, *unequal)):
        return [*skewed, *(unequal if not skewed else []), *outlying]
    if far and far[0].size > _CERTAIN:  # nothing else can be judged before that is mended
        return far
    return [*far, *skewed, *unequal, *outlying, *_many_outside(comparison, fit)]


def _tried(comparison: Comparison, fit: Fit) -> str:
    """Name the checks that were passed."""
    names = set(comparison.table("posterior_checks", model=fit.name).get("statistic", []))
    words = {
        UNEQUAL: "the groups' sds differ no more",
        SKEWNESS: f"the {comparison.data.words.rows} are no more skewed",
        FARTHEST: "none lies further out",
    }
    said = [word for name, word in words.items() if name in names]
    if said:
        said[-1] += " than in replicated data sets"
    if given_others(comparison, fit).size:
        said.append(
            f"each {comparison.data.words.raw} lies where the other groups lead one to expect"
        )
    return ", ".join(said)


def _whole(comparison: Comparison, fit: Fit, statistic: str) -> Row | None:
    """Row of a statistic of all data, where its replicates rarely go as far."""
    rows = comparison.table("posterior_checks", model=fit.name, statistic=statistic, group="")
    for row in rows_of(rows):
        two_sided = statistic == SKEWNESS
        p = min(row["p_value"], 1 - row["p_value"]) * 2 if two_sided else row["p_value"]
        if p < UNLIKELY:
            return row
    return None


def _span(row: Row) -> str:
    low, high = (_rough(row[end]) for end in ("q2.5", "q97.5"))
    return f"95 % of replicated data sets have {low} to {high}"


def _farthest(comparison: Comparison, fit: Fit, *, unequal: bool) -> list[Finding]:
    """Notice a single observation that the model does not expect: a slip, or a code.

    Where sds are unequal, it must be far out by its own group's sd as well.
    """
    row = _whole(comparison, fit, FARTHEST)
    if row is None:
        return []
    data = comparison.data
    n = data.stats.counts[data.group]
    means = np.bincount(data.group, weights=data.y) / data.stats.counts
    off = np.abs(data.y - means[data.group]) * np.sqrt(n / np.maximum(n - 1, 1))
    at = int(np.argmax(np.where(n > 1, off, 0)))
    own = data.y[data.group == data.group[at]]
    if unequal and off[at] < _NEAR * own.std(ddof=1) and row["observed"] < _CERTAIN:
        return []
    value, who = float(data.y[at]), named(comparison, data.labels[data.group[at]])
    alike = int((data.y == value).sum())
    times = f" ({alike} times that value in all)" if alike > 1 else ""
    said = (
        f"One value of {who}, {raw_number(comparison, value)}{times}, lies "
        f"{number(row['observed'], 0.05)} sds from the mean of its group, where the farthest of a "
        f"replicated data set lies {number(row['q2.5'], 0.05)} to {number(row['q97.5'], 0.05)} sds "
        "out."
    )
    remedy = (
        f"Look at it first: a slip should be mended, a code for a missing value named (--missing "
        f"{value:g}); if it is right, a program of your own with student_t observations bears it."
    )
    return [Finding(said, remedy, row["observed"])]


def _skewed(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Notice observations whose distribution within groups is lopsided."""
    row = _whole(comparison, fit, SKEWNESS)
    if row is None:
        return []
    right = row["observed"] > 0
    said = (
        f"Within groups the {comparison.data.words.rows} are skewed to the "
        f"{'right' if right else 'left'}: skewness {number(row['observed'], 0.01)}, where "
        f"{_span(row)}."
    )
    if (
        right
        and _positive(comparison)
        and abs(_skewness_of_logs(comparison)) < 0.5 * abs(row["observed"])
    ):
        remedy = f"They are all positive, and their logarithms are less skewed: {_TRY_LOG}"
    else:
        remedy = (
            f"The {nouns(comparison)} of large groups bear that; predictions of single "
            f"{comparison.data.words.rows}, and small groups, do not."
        )
    return [Finding(said, remedy)]


def _positive(comparison: Comparison) -> bool:
    """Whether logarithms could be taken, and have not been."""
    return not comparison.data.log and float(comparison.data.y.min()) > 0


def _skewness_of_logs(comparison: Comparison) -> float:
    data = comparison.data
    logs, J = np.log(data.y), data.stats.J
    mean = np.bincount(data.group, weights=logs, minlength=J) / data.stats.counts
    off = logs - mean[data.group]
    spread = math.sqrt(float((off**2).mean()))
    return float(((off / spread) ** 3).mean()) if spread else 0.0


def _unequal(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Notice sds within groups that differ by more than one sd for all allows."""
    row = _whole(comparison, fit, UNEQUAL)
    checks = comparison.table("posterior_checks", model=fit.name)
    if row is None or checks.empty or fit.pooling != "partial":
        return []
    sds = checks[checks["statistic"].isin(["Sample sd", SPREAD_OF_LOGS])]
    logs = comparison.data.log
    low, high = lowest(sds, "observed"), highest(sds, "observed")
    ends = [
        f"{number(end['observed']) if logs else raw_number(comparison, end['observed'])} "
        f"({everyone(comparison, tied(sds, 'observed', end['observed']))})"
        for end in (low, high)
    ]
    said = (
        f"The groups' sds{' of logarithms' * logs} differ, from {ends[0]} to {ends[1]}, where "
        f"{fit.title} has one for all: "
        f"{_chance(row['p_value'])} of the replicated data sets have sds as unequal."
    )
    grows = _positive(comparison) and _grows_with_mean(sds, comparison)
    remedy = (
        f"They grow with the mean: {_TRY_LOG}"
        if grows
        else "Trust the intervals of no pooling, where each group has its own variance, before "
        "those of partial pooling."
    )
    return [Finding(said, remedy)]


def _grows_with_mean(sds: pd.DataFrame, comparison: Comparison) -> bool:
    means = pd.Series(comparison.data.stats.raw, index=list(comparison.data.labels))
    ranked = pd.DataFrame({"sd": sds.set_index("group")["observed"], "mean": means}).dropna().rank()
    return len(ranked) > 3 and float(ranked["sd"].corr(ranked["mean"])) > 0.8


def _chance(p: float) -> str:
    return "none" if p == 0 else f"{100 * p:.2g} %"


def given_others(comparison: Comparison, fit: Fit) -> pd.DataFrame:
    """Groups whose own estimate can be compared with what the others lead one to expect."""
    rows = comparison.table("leave_one_group_out_groups", model=fit.name)
    if fit.pooling != "partial" or "below" not in rows or len(rows) < 3:
        return rows.iloc[:0]
    return rows.iloc[np.flatnonzero(np.isfinite(rows["below"].to_numpy(dtype=float)))]


def _outlying(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Notice a group that does not come from the population of the others."""
    rows = given_others(comparison, fit)
    if rows.empty:
        return []
    below = rows["below"].to_numpy(dtype=float)
    tails = 2 * np.minimum(below, 1 - below)
    one = float(tails.min())
    whole = -math.expm1(len(comparison.data.labels) * math.log1p(-min(one, 1 - 1e-16)))
    if whole >= _OUTLYING:
        return []
    who = named(comparison, str(rows["group"].iloc[int(np.argmin(tails))]))
    words = comparison.data.words
    said = (
        f"{capital(who)} does not look like a member of the population of the others: predicted "
        f"from them, {_article(words.raw)} {words.raw} so far out has probability {_small(one)}, "
        f"and the farthest of {len(comparison.data.labels)} lies so far out with probability "
        f"{_small(whole)}."
    )
    remedy = (
        f"It widens τ and so weakens the pooling of all others: look at it, fit without it to see "
        f"what it does, or give the {nouns(comparison)} a student_t population in a program of "
        "your own."
    )
    if not comparison.data.family.gaussian:
        remedy = (
            "It widens τ and so weakens the pooling of all others: look at it, and fit without it "
            "to see what it does."
        )
    return [Finding(said, remedy)]


def _small(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"{p:.1g}"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def _many_outside(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Notice more statistics of groups outside their intervals than there would be by chance."""
    rows = rows_of(comparison.table("check_counts", model=fit.name))
    if not rows or rows[0]["p_value"] >= UNLIKELY:
        return []
    row = rows[0]
    said = (
        f"{row['outside']} of {row['checks']} statistics by {group_word(comparison)} (sd, minimum, "
        f"maximum) lie outside the 95 % intervals of their replicates, where about "
        f"{about(row['expected'])} would if the model held."
    )
    return [
        Finding(
            said,
            f"The section on checks names them; {a_group(comparison)} with several "
            f"deserves a look before its {noun(comparison)} is used.",
        )
    ]


def _unlike(comparison: Comparison, fit: Fit) -> list[Finding]:
    """Notice estimates that data sets of new groups do not resemble."""
    rows = comparison.table("posterior_checks", model=fit.name)
    if rows.empty:
        return []
    p = rows["p_value"].to_numpy(dtype=float)
    rare = rows.iloc[np.flatnonzero(np.minimum(p, 1 - p) < UNLIKELY / 2)]
    if rare.empty:
        return []
    return [Finding(replicated(rows, rare, fit, comparison.data.words), "")]


def replicated(rows: pd.DataFrame, outside: pd.DataFrame, fit: Fit, words: Words) -> str:
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
        f"{_the(row['statistic'])} ({number(row['observed'])}, where 95 % of replicates lie "
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


def _the(name: str) -> str:
    """Name of a statistic with its article, where it takes one."""
    return _statistic(name) if name.startswith(_PERSONS) else f"the {_statistic(name)}"


def about(count: float) -> str:
    """Write an expected count, which need not be a whole number."""
    return f"{count:.0f}" if count >= 10 else f"{count:.1g}"
