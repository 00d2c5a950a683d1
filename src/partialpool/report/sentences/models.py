"""Sentences on what each model says."""

from __future__ import annotations

import math

import pandas as pd

from partialpool import text
from partialpool.families.linked.line import OnALinkedLine
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, POPULATION
from partialpool.report import odds, precision
from partialpool.report.sentences.groups import NOISE, apart, displacements
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    a_group,
    capital,
    draws_of,
    everyone,
    group_word,
    leading,
    median_with_interval,
    moved_by,
    named,
    noun,
    nouns,
    number,
    percent,
    rows_of,
    scalar,
    with_interval,
)
from partialpool.tables import variables
from partialpool.tables.comparison import Comparison


def complete(comparison: Comparison, fit: Fit) -> list[str]:
    """What complete pooling says."""
    held = withheld(comparison, fit)
    theta, sigma2 = scalar(comparison, fit, "theta"), scalar(comparison, fit, "sigma2")
    if held:
        return held
    said = []
    alone = comparison.data.stats.J == 1
    if theta is not None:
        what = f"the {noun(comparison)}" if alone else _common(comparison)
        said.append(f"{capital(what)} is {with_interval(theta, comparison.data.unit)}.")
    if sigma2 is not None:
        said.append(
            f"The variance of all observations{_of_logs(comparison)}"
            f"{comparison.data.words.scaled} has posterior median "
            f"{median_with_interval(sigma2, 'sigma2')}."
        )
    if alone:
        return said
    said.append(
        f"The model gives every {group_word(comparison)} the same {noun(comparison)}, so it cannot "
        "tell one from another."
        if comparison.data.stats.covariates is None
        else f"The model puts every {noun(comparison)} on the regression line: groups of the same "
        "covariates are the same."
    )
    return said


def _of_logs(comparison: Comparison) -> str:
    """Say of variances that they are those of logarithms, where that is so."""
    return ", on the scale of the logarithms," if comparison.data.log else ""


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
        said += apart(comparison, fit)
    said += _lifted(comparison, fit)
    own = "observations" if not comparison.data.family.rows_are_groups else "estimate"
    if not comparison.data.family.gaussian:
        own = comparison.data.words.data
    said.append(
        f"Each {group_word(comparison)} is estimated from its own {own} alone: the model "
        f"has no overall {noun(comparison)} and says nothing about {a_group(comparison)} that "
        "was not observed."
    )
    return said


def _lifted(comparison: Comparison, fit: Fit) -> list[str]:
    """Say how far the prior of no pooling moves each estimate from the group's own."""
    rows = comparison.table("shrinkage", model=fit.name)
    names = ("theta_location", "theta_scale")
    if rows.empty or not set(names) <= set(fit.record.inputs):
        return []
    moved, noise = displacements(comparison, rows)
    clear = moved[moved.abs() > NOISE * noise]
    if clear.empty:
        return []
    words = comparison.data.words
    location, scale = (text.in_full(fit.record.priors[name]).replace("-", "−") for name in names)
    ordered = rows.loc[moved.abs().sort_values(kind="stable").index]
    least, most = (rows_of(ordered)[at] for at in (0, -1))
    farthest = f"{moved_by(comparison, most, signed=False)} ({named(comparison, most['group'])})"
    upwards = bool((moved > 0).all())
    if not (upwards or (moved < 0).all()):
        return [
            f"The prior of each {words.theta}, N({location}, {scale}²), moves them from the "
            f"{words.raws}, by {farthest} at most."
        ]
    verb, side = ("lifts", "above") if upwards else ("lowers", "below")
    by = moved_by(comparison, least, signed=False)
    nearest = f"{by} ({named(comparison, least['group'])}) to "
    if by == moved_by(comparison, most, signed=False):
        nearest = ""
    return [
        f"The prior of each {words.theta}, N({location}, {scale}²), {verb} every one {side} its "
        f"{words.raw}, by {nearest}{farthest}."
    ]


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
        mean = with_interval(rows_of(rows)[0], unit)
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
    mu = scalar(comparison, fit, "mu")
    if mu is not None and fit.keeps(CENTER):
        shown = with_interval(mu, comparison.data.unit)
        said.append(f"The {_of_population(comparison)} is {shown}.")
    return said + _variances(comparison, fit) + _spread(comparison, fit) + apart(comparison, fit)


def _of_population(comparison: Comparison) -> str:
    """What mu is, where its number is shown."""
    if comparison.data.stats.covariates is not None:
        mean, mu = ("geometric mean", "exp(μ)") if comparison.data.exp else ("mean", "μ")
        what = nouns(comparison) if comparison.data.family.rows_are_groups else "groups"
        return f"{mean} of the population of {what} at the means of the covariates, {mu},"
    if comparison.data.exp:
        what = "groups" if comparison.data.log else "effects"
        return f"geometric mean of the population of {what}, exp(μ),"
    if comparison.data.family.rows_are_groups:
        return f"mean of the population of {nouns(comparison)}, μ,"
    return "mean of the population of groups, μ,"


def _spread(comparison: Comparison, fit: Fit) -> list[str]:
    """Say how far effects differ, where there is no variance within groups to compare with."""
    tau = scalar(comparison, fit, "tau")
    if tau is None or not comparison.data.family.rows_are_groups or not fit.keeps(POPULATION):
        return []
    data = comparison.data
    if isinstance(data.family, OnALinkedLine):
        return odds.spread(comparison, fit, data.family)
    if data.exp:
        factor = number(math.exp(tau["mean"]), math.exp(tau["mean"]) * tau["mcse_mean"])
        apart = number(tau["mean"], tau["mcse_mean"], of="tau")
        said = [
            f"The sd of the {nouns(comparison)} on the scale of the logarithms, τ, is "
            f"{with_interval(tau)}: {nouns(comparison)} that lie {apart} apart differ by a "
            f"factor of {factor}."
        ]
    else:
        nesting = data.stats.nesting
        about = "" if data.stats.covariates is None else " about the regression line"
        about = f" of the {nesting.inner_label}s of one {nesting.label}" if nesting else about
        if data.family.gaussian:
            spread = f"is {with_interval(tau, data.unit_apart)}"
        else:  # where rates or odds are skewed, tau may have no mean
            spread = f"has posterior median {median_with_interval(tau, 'tau', data.unit_apart)}"
        said = [f"The sd of the {nouns(comparison)}{about}, τ, {spread}."]
    rows = {row["quantity"]: row for row in rows_of(precision.variance(comparison, fit.name))}
    if "i2" in rows:
        said.append(
            "The share of the variance of an estimate that lies between groups, I², has posterior "
            f"median {median_with_interval(rows['i2'], 'i2')}."
        )
    return said


def _variances(comparison: Comparison, fit: Fit) -> list[str]:
    rows = {row["quantity"]: row for row in rows_of(precision.variance(comparison, fit.name))}
    if not {"sigma2", "tau2", "icc"} <= set(rows):
        return []
    tau, sigma = (f(fit, comparison.data) for f in (variables.tau, variables.sigma))
    if tau is None or sigma is None:
        return []
    larger = float((sigma[0] > tau).mean())
    draws = draws_of(comparison, fit)
    sigma2, tau2 = (median_with_interval(rows[name], name) for name in ("sigma2", "tau2"))
    plain = comparison.data.stats.covariates is None
    between = "that between groups" if plain else "that of the group means about the line"
    share = (
        "The share of the variance that lies between groups, R,"
        if plain
        else "Of the variance that the covariates leave, the share between groups, R,"
    )
    if abs(larger - 0.5) < 2 * math.sqrt(0.25 / draws):
        compares = f"as likely to be larger as smaller than {between} (median {tau2})"
    else:
        compares = (
            f"{'larger' if larger > 0.5 else 'smaller'} than {between} (median {tau2}) "
            f"with probability {percent(max(larger, 1 - larger), draws)}"
        )
    return [
        f"The variance within groups{_of_logs(comparison)} (posterior median {sigma2}) is "
        f"{compares}. {share} has posterior median "
        f"{median_with_interval(rows['icc'], 'icc')}."
    ]
