"""Sentences on groups: how far pooling moved them, which differ, who is first."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.report import precision
from partialpool.report.sentences import claims
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    capital,
    draws_of,
    everyone,
    group_word,
    highest,
    leading,
    listed,
    lowest,
    moved_by,
    named,
    noun,
    number,
    percent,
    pulled_to,
    rows_of,
    size_of,
    tied,
)
from partialpool.tables import exponential
from partialpool.tables.comparison import Comparison
from partialpool.text import share

NOISE = 3
"""Monte Carlo errors up to which movements are not told apart."""

_PROBABLE = 2 / 3
"""Probability from which a group is said to be first most probably."""

NOT_A_TEST = (
    "Whether two marginal intervals overlap is not a test of the difference: two intervals may "
    "overlap while the interval of the difference excludes 0."
)


def not_a_test(comparison: Comparison) -> list[str]:
    """Say that overlap is no test, where pairs are compared."""
    if comparison.table("contrasts").empty:
        return []
    if comparison.data.exp:
        return [NOT_A_TEST.replace("difference", "ratio").replace("excludes 0", "excludes 1")]
    return [NOT_A_TEST]


def apart(comparison: Comparison, fit: Fit) -> list[str]:
    """Name the pairs whose marginal intervals do not overlap."""
    pairs = comparison.table("contrasts", model=fit.name)
    if pairs.empty:
        return []
    apart = _pairs(comparison, pairs[~pairs["marginal_overlap"]])
    if len(pairs) == 1:
        return [f"The two 95 % intervals {'do not ' * len(apart)}overlap."]
    if not apart:
        return [f"All {len(pairs)} pairs of 95 % intervals overlap."]
    return [
        f"The 95 % intervals do not overlap for {len(apart)} of {len(pairs)} pairs: "
        f"{listed(apart)}."
    ]


def shrinkage(comparison: Comparison, fit: Fit | None) -> list[str]:
    """What partial pooling did to the group means."""
    if fit is None:
        return []
    held = withheld(comparison, fit)
    if held:
        return held
    rows = comparison.table("shrinkage", model=fit.name)
    words, raws = comparison.data.words, _moving(comparison)
    said = []
    if len(rows) and rows["target"].notna().all():
        said += _towards(comparison, rows, raws)
    said += moved_most(comparison, fit)
    said += _pooling_factors(comparison, rows.dropna(subset="lambda_mean"))
    if said and comparison.data.exp:
        said.append(f"Standard errors of {words.raws} are those of the logarithms.")
    return said


def _towards(comparison: Comparison, rows: pd.DataFrame, raws: str) -> list[str]:
    """Say how many groups move towards the mean of all, where movements can be told from noise."""
    displacement, noise = displacements(comparison, rows)
    towards = np.sign(displacement) == np.sign(rows["target"] - rows["raw_mean"])
    clear = displacement.abs() > NOISE * noise
    away = rows[~towards & clear]
    if not clear.any():
        return []
    if towards.all():
        where = pulled_to(comparison).rstrip(",")
        return [f"Partial pooling moves each of the {len(rows)} {raws} towards {where}."]
    unclear = int((~towards & ~clear).sum())
    short = raws.removeprefix("group ")
    parts = [
        f"Partial pooling moves {int(towards.sum())} of {len(rows)} {short} towards "
        f"{pulled_to(comparison, several=True).rstrip(',')}"
    ]
    if unclear:
        parts.append(f"{unclear} by less than the Monte Carlo error can tell")
    if len(away):
        from_there = "it" if comparison.data.stats.nesting is None else "theirs"
        parts.append(f"{listed([str(g) for g in away['group']])} away from {from_there}")
    return ["; ".join(parts) + "."]


def _pooling_factors(comparison: Comparison, rows: pd.DataFrame) -> list[str]:
    """Say how strongly groups are pulled, and which most, where that can be seen."""
    if rows.empty:
        return []
    low, high = lowest(rows, "lambda_mean"), highest(rows, "lambda_mean")
    ends = [_share(row["lambda_mean"]) for row in (low, high)]
    scale = "1 is complete pooling, 0 none."
    if ends[0] == ends[1]:
        column = next(iter(comparison.data.stats.sizes))
        same = len(tied(rows, column, low[column])) == len(rows)
        about = f" ({size_of(comparison, low)})" if same else ""
        return [
            f"The pooling factor λ is {'' if same else 'about '}{ends[0]} for every "
            f"{group_word(comparison)}{about}; {scale}"
        ]
    first, last = (
        f"{end} ({everyone(comparison, tied(rows, 'lambda_mean', row['lambda_mean']))}, "
        f"{size_of(comparison, row)})"
        for end, row in zip(ends, (low, high), strict=True)
    )
    return [f"The pooling factor λ runs from {first} to {last}; {scale}"]


def _share(value: float) -> str:
    return share(value).replace("<", "below ").replace(">", "above ")


def _moving(comparison: Comparison) -> str:
    """What partial pooling moves, several of them."""
    words = comparison.data.words
    return words.raws if comparison.data.family.rows_are_groups else words.thetas


def displacements(
    comparison: Comparison, rows: pd.DataFrame
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Movements with their Monte Carlo errors, of ratios those of the logarithms."""
    noise = rows["mcse"] / rows["estimate"] if comparison.data.exp else rows["mcse"]
    return exponential.differences(comparison.data, rows["displacement"]), noise


def moved_most(comparison: Comparison, fit: Fit) -> list[str]:
    """Say which group moves most, and whether least is known of it."""
    rows = {row["statement"]: row for row in rows_of(comparison.table("moved", model=fit.name))}
    if not {"moved most", "weakest data"} <= set(rows):
        return []
    most, weak = rows["moved most"], rows["weakest data"]
    every = comparison.table("shrinkage", model=fit.name)
    first = leading_movers(comparison, every)
    if len(first) > 1:
        return [_movers(comparison, first, len(every))]
    data, stats = comparison.data, comparison.data.stats
    raw, what = data.words.raw, "an estimate" if data.family.rows_are_groups else "a mean"
    if not data.family.gaussian:
        what = f"a {raw}"
    said = (
        f"{capital(named(comparison, most['group']))} moves most from its {raw}: by "
        f"{moved_by(comparison, most)}"
    )
    if math.isfinite(most["displacement_se"]):
        said += f", that is {abs(most['displacement_se']):.1f} of its standard errors"
    known = pd.DataFrame({"group": list(stats.labels), "weight": stats.weight})
    least = tied(known, "weight", float(stats.weight.min()))
    towards = pulled_to(comparison)
    depends = (
        f"how far {what} moves depends on its distance from {towards} as well as on how little is "
        "known of it."
    )
    if len(least) == stats.J > 1:
        return [f"{said}. As much is known of every group ({size_of(comparison, weak)})."]
    if most["group"] == weak["group"]:
        more = len(least) - 1
        others = {0: "", 1: ", as has one other"}.get(more, f", as have {more} others")
        return [f"{said}; it also has the weakest data{others} ({size_of(comparison, weak)})."]
    if len(least) > 1:
        return [
            f"{said}. The weakest data are those of {everyone(comparison, least)} "
            f"({size_of(comparison, weak)}), of which {named(comparison, weak['group'])} moves "
            f"furthest, by {moved_by(comparison, weak)}: {depends}"
        ]
    return [
        f"{said}. The weakest data are those of {named(comparison, weak['group'])} "
        f"({size_of(comparison, weak)}), which moves by {moved_by(comparison, weak)}: {depends}"
    ]


def leading_movers(comparison: Comparison, rows: pd.DataFrame) -> pd.DataFrame:
    """Groups that move furthest, as far as Monte Carlo errors can tell."""
    if rows.empty:
        return rows
    displacement, noise = displacements(comparison, rows)
    moved = rows.assign(moved=displacement.abs(), noise=noise)
    return leading(moved, "moved", "noise", within=NOISE)


def _movers(comparison: Comparison, rows: pd.DataFrame, J: int) -> str:
    """Say of several groups that they move furthest, alike within Monte Carlo error."""
    words = comparison.data.words
    if (rows["moved"] <= NOISE * rows["noise"]).all() and len(rows) == J:
        return "No group moves by more than Monte Carlo error."
    who = capital(everyone(comparison, [str(group) for group in rows["group"]]))
    shown = rows_of(rows.head(3))
    by = listed([moved_by(comparison, row) for row in shown])
    rest = " and so on" if len(rows) > len(shown) else ""
    verb = "move equally far" if len(rows) == J else "move furthest"
    return (
        f"{who} {verb} from their {words.raws}, as far as Monte "
        f"Carlo error can tell: by {by}{rest}."
    )


def compared(comparison: Comparison) -> list[str]:
    """How many differences each criterion claims, and what became of them under pooling."""
    first, second = comparison.model("none"), comparison.model("partial")
    said = withheld(comparison, first, second)
    shown = [fit for fit in (first, second) if fit is not None and comparison.concludes(fit.name)]
    counted = rows_of(comparison.table("claims"))
    for criterion in dict.fromkeys(row["criterion"] for row in counted):
        counts = [
            f"{row['claims']} of {row['pairs']} under {fit.title}"
            for fit in shown
            for row in counted
            if row["model"] == fit.name and row["criterion"] == criterion
        ]
        if counts:
            said.append(f"Pairs for which “{criterion}” holds: {listed(counts)}.")
    said += claims.two_things(comparison)
    said += claims.overlapping(comparison, shown[-1]) if shown else []
    if len(shown) == 2:
        pairs = [comparison.table("contrasts", model=fit.name) for fit in shown]
        if all(len(p) for p in pairs):
            before, now = (set(_keys(p[~p["marginal_overlap"]])) for p in pairs)
            lost = before - now
            gone = pairs[0][[pair in lost for pair in _keys(pairs[0])]]
            if len(gone):
                said.append(
                    "Apart under no pooling but overlapping under partial pooling, by the "
                    f"marginal 95 % intervals: {listed(_pairs(comparison, gone))}."
                )
            said += _example(comparison, shown[1], gone if len(gone) else pairs[0])
    return said


def _example(comparison: Comparison, fit: Fit, pairs: pd.DataFrame) -> list[str]:
    """Set the two criteria side by side for the pair with the largest difference."""
    exp = comparison.data.exp
    size = exponential.differences(comparison.data, pairs["mean"]).abs()
    most = highest(pairs.assign(size=size), "size")
    table = comparison.table("contrasts", model=fit.name, group_i=most["group_i"])
    row = rows_of(table[table["group_j"] == most["group_j"]])[0]
    higher = row["mean"] >= (1 if exp else 0)
    high, low = (row["group_i"], row["group_j"])[:: 1 if higher else -1]
    ends = precision.of_contrasts(comparison, fit, [(row["group_i"], row["group_j"])])
    numbers = [row[name] for name in ("mean", "q2.5", "q97.5")]
    errors = [row["mcse"], *(float(each[0]) for each in ends.values())]
    if exp:  # those of logarithms until here, apart from the mean's own
        errors = [row["mcse"] / row["mean"], *errors[1:]]
        numbers = [x if higher else 1 / x for x in numbers]
        errors = [error * x for error, x in zip(errors, numbers, strict=True)]
    elif not higher:
        numbers = [-x for x in numbers]
    mean, *edges = (number(x, error) for x, error in zip(numbers, errors, strict=True))
    low_end, high_end = edges if higher else edges[::-1]
    p = row["p_greater"] if higher else 1 - row["p_greater"]
    unit = comparison.data.unit_apart
    what = (
        f"The posterior of the ratio itself, of {high} to {low} under {fit.title}: geometric mean "
        f"{mean}"
        if exp
        else f"The posterior of the difference itself, for {high} minus {low} under {fit.title}: "
        f"mean {mean}{f' {unit}' if unit else ''}"
    )
    return [
        f"{what}, 95 % interval {low_end} to {high_end}, probability "
        f"{percent(p, draws_of(comparison, fit))} that {high} is higher."
    ]


def ranked(comparison: Comparison, fit: Fit | None) -> list[str]:
    """Who is first, and how sure that is."""
    if fit is None or not comparison.concludes(fit.name):
        return []
    rows = comparison.table("rank_summary", model=fit.name)
    if rows.empty:
        return []
    draws = draws_of(comparison, fit)
    said = []
    for column, word in (("p_best", "highest"), ("p_worst", "lowest")):
        error = np.sqrt(np.maximum(rows[column] * (1 - rows[column]), 1 / draws) / draws)
        first = leading(rows.assign(error=error), column, "error")
        row = rows_of(first)[0]
        p = percent(row[column], draws)
        what = f"the {word} {noun(comparison)}"
        labels = [str(group) for group in first["group"]]
        if len(first) == len(rows):
            said.append(
                f"Every {group_word(comparison)} is about as likely as any other to have {what} "
                f"under {fit.title}."
            )
        elif len(first) > 1:
            said.append(
                f"{capital(everyone(comparison, labels))} are about equally likely to have {what}: "
                f"about {p} each under {fit.title}, more than any other group."
            )
        elif row[column] > _PROBABLE:
            said.append(
                f"{capital(named(comparison, row['group']))} most probably has {what}: "
                f"{p} under {fit.title}."
            )
        else:
            said.append(
                f"{capital(named(comparison, row['group']))} is the likeliest to have {what}, but "
                f"with a probability of only {p} under {fit.title}."
            )
    return said


def _keys(pairs: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(pairs["group_i"], pairs["group_j"], strict=True))


def _pairs(comparison: Comparison, pairs: pd.DataFrame) -> list[str]:
    """Name pairs, the higher group first, the largest difference first: "5 above 6"."""
    apart = exponential.differences(comparison.data, pairs["mean"])
    ordered = pairs.assign(apart=apart).iloc[np.argsort(-apart.abs().to_numpy(), kind="stable")]
    return [
        " above ".join((row["group_i"], row["group_j"])[:: 1 if row["apart"] >= 0 else -1])
        for row in rows_of(ordered)
    ]
