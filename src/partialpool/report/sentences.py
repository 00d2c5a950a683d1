"""Sentences that state results, made from the numbers.

Each function returns sentences for one part of the report. Numbers carry the digits that their
Monte Carlo error supports. What a fit that failed a diagnostic would say is withheld.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, POPULATION
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    Row,
    capital,
    counted,
    everyone,
    group_word,
    highest,
    leading,
    listed,
    lowest,
    moved_by,
    named,
    noun,
    nouns,
    number,
    percent,
    raw_number,
    rows_of,
    size_of,
    tied,
)
from partialpool.tables import exponential, variables
from partialpool.tables.comparison import Comparison

_NOISE = 3
"""Monte Carlo errors up to which movements are not told apart."""

_SPREADS = ("Sd of the estimates", "Sd of the logarithms", "Cochran's Q")

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


def about_data(comparison: Comparison) -> list[str]:
    """Size and spread of the data, and what to be wary of."""
    data, stats, words = comparison.data, comparison.data.stats, comparison.data.family.words
    [column] = stats.sizes
    frame = pd.DataFrame({"group": list(stats.labels), "raw": stats.raw, **stats.sizes})
    frame["weight"] = stats.weight
    be = "is" if stats.J == 1 and data.family.rows_are_groups else "are"
    said = [f"There {be} {counted(data)}{_sizes(comparison, frame, column)}."]
    if data.exp:
        said.append(
            "The estimates are logarithms, and their exponentials are shown: means are geometric "
            "means, differences are ratios and sds are factors, while models, priors, τ, standard "
            "errors and I² are those of the logarithms."
        )
    low, high = lowest(frame, "raw"), highest(frame, "raw")
    if stats.J == 1:
        ends = f"The {words.raw} is {raw_number(comparison, high['raw'], data.unit)}."
    elif low["raw"] == high["raw"]:
        ends = f"The {words.raw} of every group is {raw_number(comparison, high['raw'])}."
    else:
        ends = (
            f"The {words.raws} of the groups run from "
            f"{_with_groups(comparison, frame, 'raw', low, low['raw'])} to "
            f"{_with_groups(comparison, frame, 'raw', high, high['raw'])}."
        )
    middle = raw_number(comparison, stats.grand_mean, data.unit)
    if not data.family.rows_are_groups:
        said.append(
            f"Their mean is {middle} and their standard deviation {number(stats.total_sd)}. {ends}"
        )
    elif stats.J > 1:
        mean = "geometric mean" if data.exp else "mean"
        said.append(f"Their {mean}, weighted by 1 / se², is {middle}. {ends}")
    else:
        said.append(ends)
    return [*said, *_weak_extreme(comparison, frame), *(f"{capital(n)}." for n in data.notes)]


def _weak_extreme(comparison: Comparison, frame: pd.DataFrame) -> list[str]:
    """Warn where the group of which least is known is the highest or the lowest."""
    words = comparison.data.family.words
    least = lowest(frame, "weight")
    alone = len(tied(frame, "weight", least["weight"])) == 1
    if not alone or least["weight"] >= 0.6 * frame["weight"].mean():
        return []
    said = []
    for find, word in ((highest, "highest"), (lowest, "lowest")):
        end = find(frame, "raw")
        if end["group"] != least["group"] or len(tied(frame, "raw", end["raw"])) > 1:
            continue
        who = capital(named(comparison, end["group"]))
        if comparison.data.family.rows_are_groups:
            said.append(
                f"{who} has the {word} {words.raw} and the largest {words.size}. An estimate with "
                "a large error is more easily extreme, so this may be a difference between groups "
                "or chance."
            )
        else:
            said.append(
                f"{who} has the {word} {words.raw} and the {words.least}. A small sample gives an "
                "extreme value more easily, so this may be a difference between groups or an "
                "accident of sampling."
            )
    return said


def _with_groups(
    comparison: Comparison, frame: pd.DataFrame, column: str, row: Row, value: float
) -> str:
    """Write a sample statistic with the groups that have it."""
    groups = everyone(comparison, tied(frame, column, row[column]))
    return f"{raw_number(comparison, value)} ({groups})"


def _sizes(comparison: Comparison, frame: pd.DataFrame, column: str) -> str:
    """Say how much is known of the groups."""
    small, large = lowest(frame, column), highest(frame, column)
    first, last = (everyone(comparison, tied(frame, column, r[column])) for r in (small, large))
    if column == "n":
        if len(frame) == 1:
            return ""
        if small["n"] == large["n"]:
            return f", {small['n']} in each"
        return f", from {small['n']} ({first}) to {large['n']} ({last})"
    low, high = (f"{row[column]:.4g}".replace("-", "−") for row in (small, large))
    if len(frame) == 1:
        return f" of {low}"
    if small[column] == large[column]:
        return f" of {low} each"
    return f" from {low} ({first}) to {high} ({last})"


def complete(comparison: Comparison, fit: Fit) -> list[str]:
    """What complete pooling says."""
    held = withheld(comparison, fit)
    theta, sigma2 = _row(comparison, fit, "theta"), _row(comparison, fit, "sigma2")
    if held:
        return held
    said = []
    alone = comparison.data.stats.J == 1
    if theta is not None:
        what = f"the {noun(comparison)}" if alone else _common(comparison)
        said.append(f"{capital(what)} is {_mean(theta, comparison.data.unit)}.")
    if sigma2 is not None:
        median = number(sigma2["median"], sigma2["mcse_median"])
        said.append(f"The posterior median of the variance of the observations is {median}.")
    if alone:
        return said
    said.append(
        f"The model gives every {group_word(comparison)} the same {noun(comparison)}, so it cannot "
        "tell one from another."
    )
    return said


def _common(comparison: Comparison) -> str:
    """What complete pooling estimates."""
    if noun(comparison) == "mean":
        return "the mean of all groups"
    return f"the {noun(comparison)} common to all groups"


def none(comparison: Comparison, fit: Fit) -> list[str]:
    """What no pooling says."""
    held = withheld(comparison, fit)
    if held:
        return held
    theta = comparison.table("estimates", model=fit.name, parameter="theta")
    theta = theta[theta["group"] != ""]
    said = []
    if len(theta) > 1:
        said.append(_ends(comparison, theta))
        said += _apart(comparison, fit)
    own = "observations" if not comparison.data.family.rows_are_groups else "estimate"
    said.append(
        f"Each {group_word(comparison)} is estimated from its own {own} alone: the model "
        f"has no overall {noun(comparison)} and says nothing about a {group_word(comparison)} that "
        "was not observed."
    )
    return said


def _ends(comparison: Comparison, theta: pd.DataFrame) -> str:
    """Name the groups with the highest and the lowest mean, as far as their errors can tell."""
    unit = comparison.data.unit
    high = leading(theta, "mean", "mcse_mean")
    low = leading(theta.assign(turned=-theta["mean"]), "turned", "mcse_mean")
    if set(high["group"]) & set(low["group"]):
        return (
            f"The {nouns(comparison)} are too alike for the draws to tell which is the highest or "
            f"the lowest: about {number(theta['mean'].mean(), theta['mcse_mean'].max(), unit)}."
        )
    parts: list[str] = []
    for word, rows in (("highest", high), ("lowest", low)):
        who = everyone(comparison, [str(group) for group in rows["group"]])
        mean = _mean(rows_of(rows)[0], unit)
        if len(rows) == 1:
            verb = "" if parts else f" {noun(comparison)} is"
            parts.append(f"the {word}{verb} that of {who}, {mean}")
        else:
            verb = "" if parts else f" {nouns(comparison)} are"
            parts.append(f"the {word}{verb} those of {who}, alike within Monte Carlo error: {mean}")
    return f"{capital('; '.join(parts))}."


def partial(comparison: Comparison, fit: Fit) -> list[str]:
    """What partial pooling says."""
    held = withheld(comparison, fit)
    if held:
        return held
    said = []
    mu = _row(comparison, fit, "mu")
    if mu is not None and fit.keeps(CENTER):
        shown = _mean(mu, comparison.data.unit)
        said.append(f"The {_of_population(comparison)} is {shown}.")
    return said + _variances(comparison, fit) + _spread(comparison, fit) + _apart(comparison, fit)


def _of_population(comparison: Comparison) -> str:
    """What mu is, where its number is shown."""
    if comparison.data.exp:
        return "geometric mean of the population of effects, exp(μ),"
    if comparison.data.family.rows_are_groups:
        return f"mean of the population of {nouns(comparison)}, μ,"
    return "mean of the population of groups, μ,"


def _spread(comparison: Comparison, fit: Fit) -> list[str]:
    """Say how far effects differ, where there is no variance within groups to compare with."""
    tau = _row(comparison, fit, "tau")
    if tau is None or not comparison.data.family.rows_are_groups or not fit.keeps(POPULATION):
        return []
    data = comparison.data
    if data.exp:
        factor = number(math.exp(tau["mean"]), math.exp(tau["mean"]) * tau["mcse_mean"])
        said = [
            f"The sd of the {nouns(comparison)} on the scale of the logarithms, τ, is "
            f"{_mean(tau)}: {nouns(comparison)} that lie {_brief_of(tau)} apart differ by a factor "
            f"of {factor}."
        ]
    else:
        said = [f"The sd of the {nouns(comparison)}, τ, is {_mean(tau, data.unit)}."]
    rows = {row["quantity"]: row for row in rows_of(comparison.table("variance", model=fit.name))}
    if "i2" in rows:
        said.append(
            "The share of the variance of an estimate that lies between groups, I², has posterior "
            f"mean {_brief(rows['i2'])} and 95 % interval {_edges(rows['i2'])}."
        )
    return said


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
    apart = _pairs(comparison, pairs[~pairs["marginal_overlap"]])
    [warning] = not_a_test(comparison)
    if len(pairs) == 1:
        return [f"The two 95 % intervals {'do not ' * len(apart)}overlap. {warning}"]
    if not apart:
        return [f"All {len(pairs)} pairs of 95 % intervals overlap. {warning}"]
    return [
        f"The 95 % intervals do not overlap for {len(apart)} of {len(pairs)} pairs: "
        f"{listed(apart)}. {warning}"
    ]


def shrinkage(comparison: Comparison, fit: Fit | None) -> list[str]:
    """What partial pooling did to the group means."""
    if fit is None:
        return []
    held = withheld(comparison, fit)
    if held:
        return held
    rows = comparison.table("shrinkage", model=fit.name)
    words, raws = comparison.data.family.words, _moving(comparison)
    towards_mu = "exp(μ)" if comparison.data.exp else "μ"
    said = []
    if len(rows) and rows["target"].notna().all():
        displacement, noise = _displacement(comparison, rows)
        towards = np.sign(displacement) == np.sign(rows["target"] - rows["raw_mean"])
        clear = displacement.abs() > 2 * noise
        away = rows[~towards & clear]
        if towards.all():
            said.append(
                f"Partial pooling moves each of the {len(rows)} {raws} towards {towards_mu}."
            )
        else:
            unclear = int((~towards & ~clear).sum())
            short = raws.removeprefix("group ")
            parts = [
                f"Partial pooling moves {int(towards.sum())} of {len(rows)} {short} towards "
                f"{towards_mu}"
            ]
            if unclear:
                parts.append(f"{unclear} by less than the Monte Carlo error can tell")
            if len(away):
                parts.append(f"{listed([str(g) for g in away['group']])} away from it")
            said.append("; ".join(parts) + ".")
    said += _moved(comparison, fit)
    factors = rows.dropna(subset="lambda_mean")
    if len(factors):
        low, high = lowest(factors, "lambda_mean"), highest(factors, "lambda_mean")
        alike = tied(factors, "lambda_mean", low["lambda_mean"])
        if len(alike) == len(factors):
            said.append(
                f"The pooling factor λ is {low['lambda_mean']:.2f} for every "
                f"{group_word(comparison)} ({size_of(comparison, low)}); 1 is complete pooling, "
                "0 none."
            )
        else:
            said.append(
                f"The pooling factor λ runs from {low['lambda_mean']:.2f} "
                f"({everyone(comparison, alike)}, {size_of(comparison, low)}) to "
                f"{high['lambda_mean']:.2f} "
                f"({everyone(comparison, tied(factors, 'lambda_mean', high['lambda_mean']))}, "
                f"{size_of(comparison, high)}); 1 is complete pooling, 0 none."
            )
    if said and comparison.data.exp:
        said.append(f"Standard errors of {words.raws} are those of the logarithms.")
    return said


def _moving(comparison: Comparison) -> str:
    """What partial pooling moves, several of them."""
    words = comparison.data.family.words
    return words.raws if comparison.data.family.rows_are_groups else words.thetas


def _displacement(
    comparison: Comparison, rows: pd.DataFrame
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Displacements with their Monte Carlo errors, of ratios those of the logarithms."""
    noise = rows["mcse"] / rows["estimate"] if comparison.data.exp else rows["mcse"]
    return exponential.differences(comparison.data, rows["displacement"]), noise


def _moved(comparison: Comparison, fit: Fit) -> list[str]:
    rows = {row["statement"]: row for row in rows_of(comparison.table("moved", model=fit.name))}
    if not {"moved most", "weakest data"} <= set(rows):
        return []
    most, weak = rows["moved most"], rows["weakest data"]
    every = comparison.table("shrinkage", model=fit.name)
    first = leading_movers(comparison, every)
    if len(first) > 1:
        return [_movers(comparison, first, len(every))]
    data, stats = comparison.data, comparison.data.stats
    raw, what = data.family.words.raw, "an estimate" if data.family.rows_are_groups else "a mean"
    said = (
        f"{capital(named(comparison, most['group']))} moves most: by {moved_by(comparison, most)}"
    )
    if math.isfinite(most["displacement_se"]):
        said += f", that is {abs(most['displacement_se']):.1f} standard errors of its {raw}"
    known = pd.DataFrame({"group": list(stats.labels), "weight": stats.weight})
    least = tied(known, "weight", float(stats.weight.min()))
    towards = "exp(μ)" if data.exp else "μ"
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
    displacement, noise = _displacement(comparison, rows)
    moved = rows.assign(moved=displacement.abs(), noise=noise)
    return leading(moved, "moved", "noise", within=_NOISE)


def _movers(comparison: Comparison, rows: pd.DataFrame, J: int) -> str:
    """Say of several groups that they move furthest, alike within Monte Carlo error."""
    if (rows["moved"] <= _NOISE * rows["noise"]).all() and len(rows) == J:
        return "No group moves by more than Monte Carlo error."
    who = capital(everyone(comparison, [str(group) for group in rows["group"]]))
    shown = rows_of(rows.head(3))
    by = listed([moved_by(comparison, row) for row in shown])
    rest = " and so on" if len(rows) > len(shown) else ""
    verb = "move equally far" if len(rows) == J else "move furthest"
    return f"{who} {verb}, as far as Monte Carlo error can tell: by {by}{rest}."


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
    numbers = [row[name] for name in ("mean", "q2.5", "q97.5")]
    errors = [row["mcse"], 2 * row["mcse"], 2 * row["mcse"]]
    if exp:  # those of logarithms until here, apart from the mean's own
        errors = [k * row["mcse"] / row["mean"] for k in (1, 2, 2)]
        numbers = [x if higher else 1 / x for x in numbers]
        errors = [error * x for error, x in zip(errors, numbers, strict=True)]
    elif not higher:
        numbers = [-x for x in numbers]
    mean, *ends = (number(x, error) for x, error in zip(numbers, errors, strict=True))
    ends = ends if higher else ends[::-1]
    p = row["p_greater"] if higher else 1 - row["p_greater"]
    unit = comparison.data.unit
    what = (
        f"The posterior of the ratio itself, of {high} to {low} under {fit.title}: geometric mean "
        f"{mean}"
        if exp
        else f"The posterior of the difference itself, for {high} minus {low} under {fit.title}: "
        f"mean {mean}{f' {unit}' if unit else ''}"
    )
    return [
        f"{what}, 95 % interval {ends[0]} to {ends[1]}, probability "
        f"{percent(p, _draws(comparison, fit))} that {high} is higher."
    ]


def ranked(comparison: Comparison, fit: Fit | None) -> list[str]:
    """Who is first, and how sure that is."""
    if fit is None or not comparison.concludes(fit.name):
        return []
    rows = comparison.table("rank_summary", model=fit.name)
    if rows.empty:
        return []
    draws = _draws(comparison, fit)
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
        elif row[column] > 0.5:
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
    return float(spread / math.sqrt(_draws(comparison, fit)))


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


def in_short(comparison: Comparison) -> list[str]:
    """State the main results, one sentence each."""
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name):
        return []
    said = []
    mu = _row(comparison, fit, "mu")
    if mu is not None and fit.keeps(CENTER):
        said.append(_population_in_short(comparison, fit, mu))
    said += _moved(comparison, fit)
    first = comparison.model("none")
    between = "ratio" if comparison.data.exp else "difference"
    criterion = exponential.EXCLUDES_ONE if comparison.data.exp else exponential.EXCLUDES_ZERO
    claims = comparison.table("claims", criterion=criterion)
    if first is not None and comparison.concludes(first.name) and len(claims):
        counts = claims.set_index("model")["claims"]
        if {first.name, fit.name} <= set(counts.index):
            pairs = int(claims["pairs"].iloc[0])
            found = counts[first.name], counts[fit.name]
            excluded = 1 if comparison.data.exp else 0
            sense = f"in the sense that the 95 % interval of the {between} excludes {excluded}."
            if pairs == 1:
                verbs = ["differ" if count else "do not differ" for count in found]
                said.append(
                    f"The two groups {verbs[0]} under no pooling and {verbs[1]} under partial "
                    f"pooling, {sense}"
                )
            else:
                verb = "differs" if found[0] == 1 else "differ"
                said.append(
                    f"Of {pairs} pairs of groups, {found[0]} {verb} under no pooling and "
                    f"{found[1]} under partial pooling, {sense}"
                )
    return said


def _population_in_short(comparison: Comparison, fit: Fit, mu: Row) -> str:
    shown = _mean(mu, comparison.data.unit)
    if not comparison.data.family.rows_are_groups:
        return f"The population of groups has mean μ = {shown}."
    mean = "geometric mean exp(μ)" if comparison.data.exp else "mean μ"
    said = f"The population of {nouns(comparison)} has {mean} = {shown}"
    tau = _row(comparison, fit, "tau")
    if tau is None or not fit.keeps(POPULATION):
        return f"{said}."
    scale = ", on the scale of the logarithms," if comparison.data.exp else ""
    return f"{said} and{scale} sd τ = {_mean(tau)}."


def _row(comparison: Comparison, fit: Fit, parameter: str) -> Row | None:
    rows = comparison.table("estimates", model=fit.name, parameter=parameter)
    rows = rows[rows["group"] == ""] if len(rows) else rows
    return rows_of(rows)[0] if len(rows) else None


def _mean(row: Row, unit: str = "") -> str:
    """Posterior mean with its 95 % interval."""
    low = number(row["q2.5"], row["mcse_q2.5"])
    high = number(row["q97.5"], row["mcse_q97.5"])
    return f"{number(row['mean'], row['mcse_mean'], unit)} (95 % interval {low} to {high})"


def _brief_of(row: Row) -> str:
    """Posterior mean of a parameter."""
    return number(row["mean"], row["mcse_mean"])


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


def _pairs(comparison: Comparison, pairs: pd.DataFrame) -> list[str]:
    """Name pairs, the higher group first, the largest difference first."""
    apart = exponential.differences(comparison.data, pairs["mean"])
    ordered = pairs.assign(apart=apart).iloc[np.argsort(-apart.abs().to_numpy(), kind="stable")]
    return [
        " and ".join((row["group_i"], row["group_j"])[:: 1 if row["apart"] >= 0 else -1])
        for row in rows_of(ordered)
    ]
