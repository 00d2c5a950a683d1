"""The report in short: verdicts, one sentence each, with their numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, POPULATION
from partialpool.report import odds, precision, regression, tau_priors
from partialpool.report.sentences import claims
from partialpool.report.sentences.fitness import fits_the_data
from partialpool.report.sentences.groups import moved_most
from partialpool.report.wording import (
    Row,
    capital,
    draws_of,
    group_word,
    listed,
    median_with_interval,
    named,
    nouns,
    percent,
    pulled_to,
    rows_of,
    scalar,
    with_interval,
)
from partialpool.tables import variables
from partialpool.tables.comparison import Comparison

_CLEAR, _PROBABLE = 0.01, 0.05
_BEYOND = 0.975
_MOST = 3


def in_short(comparison: Comparison) -> list[str]:
    """State the verdicts, what speaks against the model first."""
    said = fits_the_data(comparison)
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name):
        return said
    mu = scalar(comparison, fit, "mu")
    if mu is not None and fit.keeps(CENTER):
        said.append(_population(comparison, mu))
    said += regression.lines(comparison)
    said += _differ(comparison, fit)
    said += _stand_out(comparison, fit)
    said += moved_most(comparison, fit)
    said += tau_priors.verdict(comparison)
    said += claims.in_short(comparison, fit)
    return said + _distrust(comparison)


def _population(comparison: Comparison, mu: Row) -> str:
    shown = with_interval(mu, comparison.data.unit)
    of = nouns(comparison) if comparison.data.family.rows_are_groups else "groups"
    mean = "geometric mean exp(μ)" if comparison.data.exp else "mean μ"
    if comparison.data.stats.covariates is not None:
        return f"At the means of the covariates the population of {of} has {mean} = {shown}."
    return f"The population of {of} has {mean} = {shown}."


def _differ(comparison: Comparison, fit: Fit) -> list[str]:
    """Say whether groups differ: the spread between them, and a classical test beside it."""
    tau = scalar(comparison, fit, "tau")
    if tau is None or comparison.data.stats.J < 2 or not fit.keeps(POPULATION):
        return []
    if isinstance(comparison.data.family, OnALinkedLine):
        return odds.spread(comparison, fit, comparison.data.family)[:1]
    quantities = {row["quantity"]: row for row in rows_of(precision.variance(comparison, fit.name))}
    scale = ", on the scale of the logarithms," if comparison.data.exp else ""
    unit = "" if comparison.data.exp else comparison.data.unit_apart
    spread = f"their sd τ{scale} has posterior median {median_with_interval(tau, 'tau', unit)}"
    omega, nesting = scalar(comparison, fit, "omega"), comparison.data.stats.nesting
    if omega is not None and nesting is not None:
        spread = (
            f"between {nesting.label}s the sd ω{scale} has posterior median "
            f"{median_with_interval(omega, 'tau', unit)}, and between the {nesting.inner_label}s "
            f"of one {nesting.label} the sd τ {median_with_interval(tau, 'tau', unit)}"
        )
    share = ""
    on_a_line = comparison.data.stats.covariates is not None
    for name, symbol, of in (("icc", "R", "the variance"), ("i2", "I²", "an estimate's variance")):
        if name in quantities:
            shown = median_with_interval(quantities[name], name)
            share = f", and the share of {of} that lies between them, {symbol}, {shown}"
            if name == "icc" and on_a_line:
                share = ", and, of the variance that the covariates leave, the share between them"
                share += f", {symbol}, {shown}"
    test, p = _test(comparison)
    about = "" if comparison.data.stats.covariates is None else " about the regression line"
    verdict = f"The spread of the {nouns(comparison)}{about}"
    if p is not None:
        what = f"the {nouns(comparison)} of the groups{about and ', beyond their covariates,'}"
        verdict = (
            f"{capital(what)} differ"
            if p < _CLEAR
            else f"{capital(what)} probably differ"
            if p < _PROBABLE
            else f"Whether {what} differ, these data do not tell"
        )
    said = f"{verdict}: {spread}{share}{f' ({test})' if test else ''}."
    icc = quantities.get("icc")
    if p is not None and p < _PROBABLE and icc is not None and icc["median"] < 0.5:
        said += " That σ² is larger than τ² is no evidence that they are equal."
    return [said]


def _test(comparison: Comparison) -> tuple[str, float | None]:
    """Write the classical test of equal groups, and give its p-value.

    Of errors that are not normal there is none here.
    """
    stats = comparison.data.stats
    if comparison.data.family.errors_degrees:
        return "", None
    tests = (
        *(("variance_components", "f"), ("regression", "f")),
        *(("meta_analysis", "q"), ("meta_regression", "q")),
    )
    for key, statistic in tests:
        for row in rows_of(comparison.table(key)):
            value, p = row.get(statistic, math.nan), row.get("p_value", math.nan)
            if not (math.isfinite(value) and math.isfinite(p)):
                continue
            shown = "p < 0.0001" if p < 1e-4 else f"p = {p:.1g}"
            if statistic == "f":
                slopes = stats.covariates.K if stats.covariates else 0
                told = stats.rank if isinstance(stats, AdjustedMeans) else 0
                between, within = stats.J - 1 - slopes + told, stats.N - stats.J - told
                degrees = f"{between} and {within} degrees of freedom"
                return f"F = {value:.3g} on {degrees}, {shown}", float(p)
            of = "Cochran's Q" if key == "meta_analysis" else "Cochran's Q about the line"
            return f"{of} = {value:.3g} on {row['df']:g} degrees of freedom, {shown}", p
    return "", None


def _stand_out(comparison: Comparison, fit: Fit) -> list[str]:
    """Name the groups that can be told from the mean of the population."""
    data = comparison.data
    theta = variables.theta(fit, data)
    if theta is None or not fit.keeps(CENTER) or data.stats.J < 2:
        return []
    middle = variables.center(fit, data)
    if middle is None:
        return []
    above = (theta > middle).mean(axis=(1, 2))
    draws = draws_of(comparison, fit)
    parts = [
        _side(comparison, p, side, draws) for p, side in ((above, "above"), (1 - above, "below"))
    ]
    center = pulled_to(comparison).rstrip(",")
    plain = data.stats.covariates is None and data.stats.nesting is None
    found = [part for part in parts if part]
    if not found:
        return [
            f"No {group_word(comparison)} can be told from {'the mean of all' if plain else center}"
            f": none lies above or below {center if plain else 'it'} with a probability of "
            f"{100 * _BEYOND:g} % or more."
        ]
    rest = "no other can be told from it" if len(found) < data.stats.J else ""
    if ((above >= _BEYOND) | (1 - above >= _BEYOND)).sum() > 1:
        center = pulled_to(comparison, several=True).rstrip(",")
    said = f"{capital(' and '.join(found))} {'the mean of all, ' if plain else ''}{center}"
    return [f"{said}{f'; {rest}' if rest else ''}."]


def _side(comparison: Comparison, p: Any, side: str, draws: float) -> str:
    """Name the groups on one side of the mean, with their probabilities where they are few."""
    order = [int(j) for j in np.argsort(-p, kind="stable") if p[j] >= _BEYOND]
    labels = [comparison.data.labels[j] for j in order]
    if not labels:
        return ""
    verb = "lies" if len(labels) == 1 else "lie"
    if len(labels) > _MOST:
        return (
            f"{len(labels)} {nouns(comparison)} {verb} {side} (each with a probability of "
            f"{100 * _BEYOND:g} % or more)"
        )
    shown = [
        f"{named(comparison, label)} ({percent(float(p[j]), draws)})"
        for label, j in zip(labels, order, strict=True)
    ]
    return f"{listed(shown)} {verb} {side}"


def _distrust(comparison: Comparison) -> list[str]:
    """Name what is not to be relied on, although the fits passed."""
    said = [
        f"Not every score is reliable: {comparison.titles[row['model']]}, for {row['question']}."
        for key in ("loo", "leave_one_group_out")
        for row in rows_of(comparison.table(key))
        if row["bad_k"] and comparison.concludes(row["model"])
    ]
    warned = [fit.title for fit in comparison.fits if fit.record.warnings]
    if warned:
        said.append(f"There are warnings on {' and '.join(warned)}: see the section on the models.")
    return said
