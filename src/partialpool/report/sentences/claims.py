"""Sentences on how many pairs of groups each model calls different, and why the models differ."""

from __future__ import annotations

from partialpool.families.base import COMMON_VARIANCE, NONE
from partialpool.fitting import Fit
from partialpool.report.wording import Row, draws_of, named, number, percent, rows_of
from partialpool.tables import exponential
from partialpool.tables.comparison import Comparison


def in_short(comparison: Comparison, fit: Fit) -> list[str]:
    """Count the pairs that differ under no pooling and under partial pooling, and say why."""
    first = comparison.model("none")
    exp = comparison.data.exp
    criterion = exponential.EXCLUDES_ONE if exp else exponential.EXCLUDES_ZERO
    claims = comparison.table("claims", criterion=criterion)
    if first is None or not comparison.concludes(first.name) or claims.empty:
        return []
    counts = claims.set_index("model")["claims"]
    if not {first.name, fit.name} <= set(counts.index):
        return []
    pairs = int(claims["pairs"].iloc[0])
    found = int(counts[first.name]), int(counts[fit.name])
    between, excluded = ("ratio", 1) if exp else ("difference", 0)
    sense = f"in the sense that the 95 % interval of the {between} excludes {excluded}."
    if pairs == 1:
        verbs = ["differ" if count else "do not differ" for count in found]
        said = (
            f"The two groups {verbs[0]} under no pooling and {verbs[1]} under partial pooling, "
            f"{sense}"
        )
    else:
        verb = "differs" if found[0] == 1 else "differ"
        said = (
            f"Of {pairs} pairs of groups, {found[0] or 'none'} {verb} under no pooling and "
            f"{found[1] or 'none'} under partial pooling, {sense}"
        )
    return [" ".join([said, *two_things(comparison)])]


def two_things(comparison: Comparison) -> list[str]:
    """Say that the two models differ in their variances, too, and what that alone does."""
    rows = {row["program"]: row for row in rows_of(comparison.table("claims_by_variance"))}
    if not {NONE, COMMON_VARIANCE} <= set(rows):
        return []
    own, common = (int(rows[name]["claims"]) for name in (NONE, COMMON_VARIANCE))
    count = "as many" if own == common else common or "none"
    return [
        "The two differ in two things, pooled means and one variance for all groups instead of one "
        f"each: no pooling with one variance would find {count} different."
    ]


def overlapping(comparison: Comparison, fit: Fit) -> list[str]:
    """Answer the inference from overlapping intervals to equal groups, with these data."""
    pairs = comparison.table("contrasts", model=fit.name)
    if pairs.empty:
        return []
    excludes = "interval_excludes_one" if comparison.data.exp else "interval_excludes_zero"
    both = pairs[pairs["marginal_overlap"] & pairs[excludes]]
    if both.empty:
        return []
    direction = both["p_greater"].clip(lower=1 - both["p_greater"])
    row: Row = rows_of(both.iloc[[int(direction.to_numpy().argmax())]])[0]
    high, low = (row["group_i"], row["group_j"])[:: 1 if row["p_greater"] > 0.5 else -1]
    ends = sorted(
        turned(row[name], comparison, row["p_greater"] > 0.5) for name in ("q2.5", "q97.5")
    )
    between = "ratio" if comparison.data.exp else "difference"
    count = len(both)
    which = (
        "One pair has intervals" if count == 1 else f"{count} of {len(pairs)} pairs have intervals"
    )
    shown = " to ".join(number(end, 0.02 * (ends[1] - ends[0])) for end in ends)
    p = percent(float(direction.max()), draws_of(comparison, fit))
    return [
        f"{which} that overlap and a {between} that is clear all the same under {fit.title}: "
        f"{named(comparison, high)} is above {named(comparison, low)} with probability {p} "
        f"(95 % interval of the {between} {shown}), so overlap is no sign that they are equal."
    ]


def turned(value: float, comparison: Comparison, kept: bool) -> float:
    """Turn a difference, or a ratio, to the other group's side."""
    if kept:
        return float(value)
    return float(1 / value if comparison.data.exp else -value)
