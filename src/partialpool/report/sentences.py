"""Sentences that state results, made from the numbers.

Each function returns sentences for one part of the report. Numbers carry the digits that their
Monte Carlo error supports. What a fit that failed a diagnostic would say is withheld.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    Row,
    capital,
    group_word,
    highest,
    listed,
    lowest,
    named,
    number,
    percent,
    rows_of,
    size_of,
)
from partialpool.tables import variables
from partialpool.tables.comparison import Comparison

NOT_A_TEST = (
    "Whether two marginal intervals overlap is not a test of the difference: two intervals may "
    "overlap while the interval of the difference excludes 0."
)


def about_data(comparison: Comparison) -> list[str]:
    """Size and spread of the data, and what to be wary of."""
    data, stats, words = comparison.data, comparison.data.stats, comparison.data.family.words
    [column] = stats.sizes
    frame = pd.DataFrame({"group": list(stats.labels), "raw": stats.raw, **stats.sizes})
    frame["weight"] = stats.weight
    small, large = lowest(frame, column), highest(frame, column)
    low, high = lowest(frame, "raw"), highest(frame, "raw")
    said = [f"There are {data.family.count(stats)}, {_sizes(comparison, small, large, column)}."]
    ends = (
        f"The {words.raws} of the groups run from {number(low['raw'])} "
        f"({named(comparison, low['group'])}) to {number(high['raw'])} "
        f"({named(comparison, high['group'])})."
    )
    if data.family.rows_are_groups:
        said.append(
            f"Their mean, weighted by 1 / se², is {number(stats.grand_mean, unit=data.unit)}. "
            f"{ends}"
        )
    else:
        said.append(
            f"Their mean is {number(stats.grand_mean, unit=data.unit)} and their standard "
            f"deviation {number(stats.total_sd)}. {ends}"
        )
    least = lowest(frame, "weight")
    for end, word in ((high, "highest"), (low, "lowest")):
        alone = int((stats.weight == least["weight"]).sum()) == 1
        if end["group"] == least["group"] and alone and least["weight"] < 0.6 * stats.weight.mean():
            said.append(
                f"{capital(named(comparison, end['group']))} has the {word} {words.raw} and the "
                f"{words.least}. A small sample gives an extreme value more easily, so this may be "
                "a difference between groups or an accident of sampling."
            )
    return said + [f"{capital(note)}." for note in data.notes]


def _sizes(comparison: Comparison, small: Row, large: Row, column: str) -> str:
    """Say how much is known of the groups."""
    if column == "n":
        if small["n"] == large["n"]:
            return f"{small['n']} in each"
        return (
            f"from {small['n']} ({named(comparison, small['group'])}) to "
            f"{large['n']} ({named(comparison, large['group'])})"
        )
    size = comparison.data.family.words.size
    if small[column] == large[column]:
        return f"each with {size} {small[column]:.4g}"
    return (
        f"with {size}s from {small[column]:.4g} ({named(comparison, small['group'])}) to "
        f"{large[column]:.4g} ({named(comparison, large['group'])})"
    )


def complete(comparison: Comparison, fit: Fit) -> list[str]:
    """What complete pooling says."""
    held = withheld(comparison, fit)
    theta, sigma2 = _row(comparison, fit, "theta"), _row(comparison, fit, "sigma2")
    if held:
        return held
    said = []
    if theta is not None:
        said.append(f"The mean of all groups is {_mean(theta, comparison.data.unit)}.")
    if sigma2 is not None:
        median = number(sigma2["median"], sigma2["mcse_median"])
        said.append(f"The posterior median of the variance of the observations is {median}.")
    said.append(
        f"The model gives every {group_word(comparison)} the same mean, so it cannot tell one from "
        "another."
    )
    return said


def none(comparison: Comparison, fit: Fit) -> list[str]:
    """What no pooling says."""
    held = withheld(comparison, fit)
    if held:
        return held
    theta = comparison.table("estimates", model=fit.name, parameter="theta")
    theta = theta[theta["group"] != ""]
    said = []
    if len(theta) > 1:
        high, low = highest(theta, "mean"), lowest(theta, "mean")
        said.append(
            f"The highest mean is that of {named(comparison, high['group'])}, "
            f"{_mean(high, comparison.data.unit)}; the lowest that of "
            f"{named(comparison, low['group'])}, {_mean(low, comparison.data.unit)}."
        )
        said += _apart(comparison, fit)
    said.append(
        f"Each {group_word(comparison)} is estimated from its own observations alone: the model "
        f"has no overall mean and says nothing about a {group_word(comparison)} that was not "
        "observed."
    )
    return said


def partial(comparison: Comparison, fit: Fit) -> list[str]:
    """What partial pooling says."""
    held = withheld(comparison, fit)
    if held:
        return held
    said = []
    mu = _row(comparison, fit, "mu")
    if mu is not None:
        said.append(
            f"The mean of the population of groups, μ, is {_mean(mu, comparison.data.unit)}."
        )
    return said + _variances(comparison, fit) + _apart(comparison, fit)


def _variances(comparison: Comparison, fit: Fit) -> list[str]:
    rows = {row["quantity"]: row for row in rows_of(comparison.table("variance", model=fit.name))}
    if not {"sigma2", "tau2", "icc"} <= set(rows):
        return []
    tau, sigma = (f(fit, comparison.data) for f in (variables.tau, variables.sigma))
    if tau is None or sigma is None:
        return []
    larger = float((sigma[0] > tau).mean())
    icc = rows["icc"]
    return [
        f"The variance within groups (posterior mean {_brief(rows['sigma2'])}) is "
        f"{'larger' if larger > 0.5 else 'smaller'} than that between groups "
        f"({_brief(rows['tau2'])}) with probability "
        f"{percent(max(larger, 1 - larger), _draws(comparison, fit))}. The share of the variance "
        f"that lies between groups, R, has posterior mean {_brief(icc)} and 95 % interval "
        f"{_edges(icc)}."
    ]


def _apart(comparison: Comparison, fit: Fit) -> list[str]:
    pairs = comparison.table("contrasts", model=fit.name)
    if pairs.empty:
        return []
    apart = _pairs(pairs[~pairs["marginal_overlap"]])
    if not apart:
        return [f"All {len(pairs)} pairs of 95 % intervals overlap. {NOT_A_TEST}"]
    return [
        f"The 95 % intervals do not overlap for {len(apart)} of {len(pairs)} pairs: "
        f"{listed(apart)}. {NOT_A_TEST}"
    ]


def shrinkage(comparison: Comparison, fit: Fit | None) -> list[str]:
    """What partial pooling did to the group means."""
    if fit is None:
        return []
    held = withheld(comparison, fit)
    if held:
        return held
    rows = comparison.table("shrinkage", model=fit.name)
    said = []
    if len(rows) and rows["target"].notna().all():
        towards = np.sign(rows["displacement"]) == np.sign(rows["target"] - rows["raw_mean"])
        clear = rows["displacement"].abs() > 2 * rows["mcse"]
        away = rows[~towards & clear]
        if towards.all():
            said.append(f"Partial pooling moves each of the {len(rows)} group means towards μ.")
        else:
            unclear = int((~towards & ~clear).sum())
            parts = [f"Partial pooling moves {int(towards.sum())} of {len(rows)} means towards μ"]
            if unclear:
                parts.append(f"{unclear} by less than the Monte Carlo error can tell")
            if len(away):
                parts.append(f"{listed([str(g) for g in away['group']])} away from it")
            said.append("; ".join(parts) + ".")
    said += _moved(comparison, fit)
    factors = rows.dropna(subset="lambda_mean")
    if len(factors):
        low, high = lowest(factors, "lambda_mean"), highest(factors, "lambda_mean")
        said.append(
            f"The pooling factor λ runs from {low['lambda_mean']:.2f} "
            f"({named(comparison, low['group'])}, {size_of(comparison, low)}) to "
            f"{high['lambda_mean']:.2f} ({named(comparison, high['group'])}, "
            f"{size_of(comparison, high)}); 1 is complete pooling, 0 none."
        )
    return said


def _moved(comparison: Comparison, fit: Fit) -> list[str]:
    rows = {row["statement"]: row for row in rows_of(comparison.table("moved", model=fit.name))}
    if not {"moved most", "weakest data"} <= set(rows):
        return []
    most, weak = rows["moved most"], rows["weakest data"]
    words = comparison.data.family.words
    said = [
        f"{capital(named(comparison, most['group']))} moves most: by "
        f"{number(most['displacement'], most['mcse'], comparison.data.unit)}, that is "
        f"{abs(most['displacement_se']):.1f} standard errors of its {words.raw}"
    ]
    if most["group"] == weak["group"]:
        said.append(f"; it also has the weakest data ({size_of(comparison, weak)}).")
    else:
        said.append(
            f". The weakest data are those of {named(comparison, weak['group'])} "
            f"({size_of(comparison, weak)}), which moves by "
            f"{number(weak['displacement'], weak['mcse'])}: how far a mean moves depends on its "
            "distance from μ as well as on how little is known of it."
        )
    return ["".join(said)]


def compared(comparison: Comparison) -> list[str]:
    """How many differences each criterion claims, and what became of them under pooling."""
    first, second = comparison.model("none"), comparison.model("partial")
    said = withheld(comparison, first, second)
    shown = [fit for fit in (first, second) if fit is not None and comparison.concludes(fit.name)]
    claims = rows_of(comparison.table("claims"))
    for criterion in dict.fromkeys(row["criterion"] for row in claims):
        counts = [
            f"{row['claims']} of {row['pairs']} under {fit.title}"
            for fit in shown
            for row in claims
            if row["model"] == fit.name and row["criterion"] == criterion
        ]
        if counts:
            said.append(f"Pairs for which “{criterion}” holds: {listed(counts)}.")
    if len(shown) == 2:
        pairs = [comparison.table("contrasts", model=fit.name) for fit in shown]
        if all(len(p) for p in pairs):
            before, now = (set(_keys(p[~p["marginal_overlap"]])) for p in pairs)
            lost = before - now
            gone = pairs[0][[pair in lost for pair in _keys(pairs[0])]]
            if len(gone):
                said.append(
                    "Apart under no pooling but overlapping under partial pooling, by the "
                    f"marginal 95 % intervals: {listed(_pairs(gone))}."
                )
            said += _example(comparison, shown[1], gone if len(gone) else pairs[0])
    return said


def _example(comparison: Comparison, fit: Fit, pairs: pd.DataFrame) -> list[str]:
    """Set the two criteria side by side for the pair with the largest difference."""
    most = highest(pairs.assign(size=pairs["mean"].abs()), "size")
    table = comparison.table("contrasts", model=fit.name, group_i=most["group_i"])
    row = rows_of(table[table["group_j"] == most["group_j"]])[0]
    sign = 1 if row["mean"] >= 0 else -1
    high, low = (row["group_i"], row["group_j"])[::sign]
    edges = sorted([sign * row["q2.5"], sign * row["q97.5"]])
    p = row["p_greater"] if sign > 0 else 1 - row["p_greater"]
    mcse = row["mcse"]
    return [
        f"The posterior of the difference itself, for {high} minus {low} under {fit.title}: mean "
        f"{number(abs(row['mean']), mcse, comparison.data.unit)}, 95 % interval "
        f"{number(edges[0], 2 * mcse)} to {number(edges[1], 2 * mcse)}, probability "
        f"{percent(p, _draws(comparison, fit))} that {high} is higher."
    ]


def ranked(comparison: Comparison, fit: Fit | None) -> list[str]:
    """Who is first, and how sure that is."""
    if fit is None or not comparison.concludes(fit.name):
        return []
    rows = comparison.table("rank_summary", model=fit.name)
    if rows.empty:
        return []
    said = []
    for column, word in (("p_best", "highest"), ("p_worst", "lowest")):
        row = highest(rows, column)
        said.append(
            f"{capital(named(comparison, row['group']))} most probably has the {word} mean: "
            f"{percent(row[column], _draws(comparison, fit))} under {fit.title}."
        )
    return said


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
            error = row["sd"] / math.sqrt(_draws(comparison, fit))
            said.append(
                f"Under {fit.title} 95 % of observations in a new {group_word(comparison)} lie "
                f"between {number(row['q2.5'], 3 * error)} and "
                f"{number(row['q97.5'], 3 * error, comparison.data.unit)}."
            )
    return said + _scores(comparison)


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
        gap = second["elpd"] - best["elpd"]
        title = comparison.titles[best["model"]]
        said.append(
            f"For {best['question']}, {title} scores best"
            + (
                f", but {comparison.titles[second['model']]} is within {abs(gap):.1f} of it: no "
                "clear winner."
                if abs(gap) < 4
                else f", ahead of {comparison.titles[second['model']]} by {abs(gap):.1f}."
            )
        )
    none_fit = comparison.model("none")
    if none_fit is not None:
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
        return [_of_population(rows, outside, fit)]
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


def _of_population(rows: pd.DataFrame, outside: pd.DataFrame, fit: Fit) -> str:
    """Say whether estimates of groups drawn anew look like those at hand."""
    names = listed(
        [str(name).lower().replace("cochran's q", "Cochran's Q") for name in rows["statistic"]]
    )
    if outside.empty:
        return (
            f"Data sets of new groups, drawn from the population under {fit.title}, look like "
            f"these data: {names} lie within the 95 % intervals of what it replicates."
        )
    found = [
        f"the {row['statistic'].lower()} ({number(row['observed'])}, where 95 % of replicates lie "
        f"between {number(row['q2.5'])} and {number(row['q97.5'])})"
        for row in rows_of(outside)
    ]
    return (
        f"Data sets of new groups, drawn from the population under {fit.title}, differ from these "
        f"data in {listed(found)}: a normal population of effects may not fit."
    )


def in_short(comparison: Comparison) -> list[str]:
    """State the main results, one sentence each."""
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name):
        return []
    said = []
    mu = _row(comparison, fit, "mu")
    if mu is not None:
        said.append(f"The population of groups has mean μ = {_mean(mu, comparison.data.unit)}.")
    said += _moved(comparison, fit)
    first = comparison.model("none")
    claims = comparison.table("claims", criterion="95 % interval of the difference excludes 0")
    if first is not None and comparison.concludes(first.name) and len(claims):
        counts = claims.set_index("model")["claims"]
        if {first.name, fit.name} <= set(counts.index):
            pairs = claims["pairs"].iloc[0]
            said.append(
                f"Of {pairs} pairs of groups, {counts[first.name]} differ under no pooling and "
                f"{counts[fit.name]} under partial pooling, in the sense that the 95 % interval "
                "of the difference excludes 0."
            )
    return said


def _row(comparison: Comparison, fit: Fit, parameter: str) -> Row | None:
    rows = comparison.table("estimates", model=fit.name, parameter=parameter)
    rows = rows[rows["group"] == ""] if len(rows) else rows
    return rows_of(rows)[0] if len(rows) else None


def _mean(row: Row, unit: str = "") -> str:
    """Posterior mean with its 95 % interval."""
    low = number(row["q2.5"], row["mcse_q2.5"])
    high = number(row["q97.5"], row["mcse_q97.5"])
    return f"{number(row['mean'], row['mcse_mean'], unit)} (95 % interval {low} to {high})"


def _brief(row: Row) -> str:
    return number(row["mean"], row["mcse"])


def _edges(row: Row) -> str:
    return f"{number(row['q2.5'], 2 * row['mcse'])} to {number(row['q97.5'], 2 * row['mcse'])}"


def _draws(comparison: Comparison, fit: Fit) -> float:
    """Smallest bulk ESS of the group means."""
    ess = comparison.table("estimates", model=fit.name, parameter="theta").get("ess_bulk")
    return float(ess.min()) if ess is not None and len(ess) else 1.0


def _keys(pairs: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(pairs["group_i"], pairs["group_j"], strict=True))


def _pairs(pairs: pd.DataFrame) -> list[str]:
    """Name pairs, the higher group first, the largest difference first."""
    ordered = pairs.iloc[np.argsort(-pairs["mean"].abs().to_numpy(), kind="stable")]
    return [
        " and ".join((row["group_i"], row["group_j"])[:: 1 if row["mean"] >= 0 else -1])
        for row in rows_of(ordered)
    ]
