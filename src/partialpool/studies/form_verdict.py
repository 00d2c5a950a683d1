"""The verdict on the forms of the hierarchical model, in words, from tables of how they sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.programs import CENTERED, MARGINAL, NONCENTERED
from partialpool.tables import variables
from partialpool.tables.variables import label
from partialpool.types import FloatArray

CLOSE = 1.25
"""Ratio of efficiencies up to which two forms count as equally good."""

FEW = 5
"""Up to this many groups, a tau beyond the spread of the data is put down to want of groups."""


@dataclass(frozen=True)
class Verdict:
    """Which form to use, and why.

    Attributes
    ----------
    form
        Name of the program to use; empty where no form can be advised.
    agree
        Whether all forms gave the same answer within Monte Carlo error.
    sentences
        The verdict and its reasons, in words.
    """

    form: str
    agree: bool
    sentences: tuple[str, ...]


def judge(
    fits: Sequence[Fit], data: GroupedData, table: pd.DataFrame, pairs: pd.DataFrame
) -> Verdict:
    """Say which form to use and why, or that the fits cannot be trusted.

    Parameters
    ----------
    fits
        Fits of one model, a form each.
    table, pairs
        What `parameterization.sampling_table` and `parameterization.agreement` returned.

    Notes
    -----
    The form is chosen by diagnostics first, then by the effective draws of its slowest quantity
    for each gradient. Seconds decide nothing between the centered and the non-centered form, whose
    gradients cost the same: seconds depend on what else the machine is doing. The marginal form is
    judged beside them, and named first where it stands, since not every model has one.
    """
    titles = {fit.name: fit.title for fit in fits}
    rows = {str(row["form"]): row for row in table.to_dict("records")}
    forms = [name for name in rows if name != MARGINAL]
    differ = pairs[~pairs["agree"]]
    said = [_disagreement(row, titles) for row in differ.to_dict("records")]
    if len(differ):
        form, reason = _standing(forms, rows, pairs, titles)
    else:
        form, reason = _choice(forms, rows, titles)
    marginal = _marginal(rows, form, titles, data) if MARGINAL in rows else ""
    if marginal and rows[MARGINAL]["trusted"] and differ.empty:
        said += [
            f"Use {marginal}",
            f"Without such a form: {reason[:1].lower()}{reason[1:]}",
        ]
    else:
        said += [reason, f"Beside them stands {marginal}" if marginal else ""]
    if form:
        said.append(_expectation(form, rows, fits, data))
    if differ.empty:
        said.append(_agreement(pairs, titles))
    said.append(_wanting_information(fits, data))
    said.append(
        "Leave-one-out scores have no say in this: the forms are one model, with one posterior"
    )
    return Verdict(form, bool(pairs["agree"].all()), tuple(text for text in said if text))


_Rows = Mapping[str, Mapping[Any, Any]]


def _disagreement(row: Mapping[Any, Any], titles: Mapping[str, str]) -> str:
    size = f"by {abs(row['in_mcse']):.1f} combined Monte Carlo standard errors"
    if not np.isfinite(row["in_mcse"]):
        size = "by what cannot be computed (draws that never move or are not finite)"
    return (
        f"These two fits disagree, trust neither: {titles[row['form']]} and "
        f"{titles[row['other']]} differ in the {_NAMES[row['statistic']]} of {label(row)} {size}"
    )


def _agreement(pairs: pd.DataFrame, titles: Mapping[str, str]) -> str:
    worst = pairs.iloc[int(pairs["in_mcse"].abs().argmax())]
    return (
        f"The forms agree: they differ most in the {_NAMES[worst['statistic']]} of "
        f"{label(worst)}, by {abs(worst['in_mcse']):.1f} combined Monte Carlo standard errors "
        f"({titles[worst['form']]} against {titles[worst['other']]})"
    )


_NAMES = {"mean": "mean", "q2.5": "2.5 % quantile", "q97.5": "97.5 % quantile"}


def _standing(
    forms: Sequence[str], rows: _Rows, pairs: pd.DataFrame, titles: Mapping[str, str]
) -> tuple[str, str]:
    """Name the form to go on with where fits disagree: the one that only untrusted ones deny."""
    trusted = [name for name, row in rows.items() if row["trusted"]]
    denied = set()
    for pair in pairs[~pairs["agree"]].to_dict("records"):
        if pair["form"] in trusted and pair["other"] in trusted:
            denied |= {pair["form"], pair["other"]}
    standing = [name for name in forms if name in trusted and name not in denied]
    if len(standing) != 1:
        return "", (
            "No form is advised before the fits agree: raise adapt_delta, draw more, and compare "
            "again"
        )
    form = standing[0]
    witnesses = [name for name in trusted if name != form]
    if witnesses:
        named = " and ".join(titles[name] for name in witnesses)
        return form, (
            f"Use {titles[form]}: it passed its diagnostics and agrees with {named}, which passed "
            "too. These may be trusted"
        )
    return form, (
        f"Go on with {titles[form]}, the one that passed its diagnostics, and report nothing from "
        "it before a run with more draws and a higher adapt_delta gives the same"
    )


def _choice(forms: Sequence[str], rows: _Rows, titles: Mapping[str, str]) -> tuple[str, str]:
    """Name the best of several forms that agree, and say why."""
    trusted = [name for name in forms if rows[name]["trusted"]]
    if not trusted:
        return "", (
            "No form passed its diagnostics. That they agree is not enough: raise adapt_delta, "
            "draw more, or give tau a prior that says more"
        )
    best = _best(trusted, rows)
    failed = [name for name in forms if name not in trusted]
    if failed:
        causes = ", ".join(
            f"{titles[name]} failed its diagnostics ({rows[name]['divergences']} divergences, "
            f"smallest E-BFMI {rows[name]['e_bfmi_min']:.2f}, largest R-hat "
            f"{rows[name]['r_hat_max']:.3f})"
            for name in failed
        )
        return best, f"Use {titles[best]}: {causes}"
    rest = [name for name in trusted if name != best]
    if not rest:
        return best, f"Use {titles[best]}: it passed its diagnostics"
    second = _best(rest, rows)
    ratio = rows[best]["ess_per_gradient"] / rows[second]["ess_per_gradient"]
    if not ratio >= CLOSE:
        return best, (
            f"Use either: {titles[best]} and {titles[second]} passed their diagnostics and give "
            "about as many effective draws for the same work "
            f"({_rate(rows[best])} and {_rate(rows[second])} a thousand gradients)"
        )
    return best, (
        f"Use {titles[best]}: its slowest quantity, {rows[best]['slowest']}, gains "
        f"{_rate(rows[best])} effective draws a thousand gradients, {ratio:.1f} times as many as "
        f"{titles[second]} ({_rate(rows[second])}, {rows[second]['slowest']})"
    )


def _best(forms: Sequence[str], rows: _Rows) -> str:
    return max(forms, key=lambda name: np.nan_to_num(rows[name]["ess_per_gradient"], nan=-1.0))


def _rate(row: Mapping[Any, Any]) -> str:
    return f"{1000 * row['ess_per_gradient']:.3g}"


def _expectation(form: str, rows: _Rows, fits: Sequence[Fit], data: GroupedData) -> str:
    """Hold the form against what the pooling factors let one expect."""
    factors = _pooling_factors(next(fit for fit in fits if fit.name == form), data)
    if factors is None:
        return ""
    each = factors.mean(axis=(1, 2))
    low, middle, high = (float(x) for x in np.quantile(each, [0, 0.5, 1]))
    found = f"The pooling factors lambda_j run from {low:.2f} to {high:.2f}, median {middle:.2f}"
    if low == high:
        found = f"The pooling factors lambda_j are {middle:.2f} in every group"
    if 0.35 < middle < 0.65:
        return f"{found}: in between, where the measurement has to decide"
    weak = middle > 0.5
    expected, other = (NONCENTERED, CENTERED) if weak else (CENTERED, NONCENTERED)
    reason = (
        "near 1, so that the groups say little, theta follows tau into a funnel and the "
        "non-centered form is favoured"
        if weak
        else "near 0, so that the groups say much and the centered form is favoured"
    )
    if form != other:
        measured = ", as measured" if form == expected else ""
        return f"{found}: {reason}{measured}"
    tail = float(np.quantile(np.median(factors, axis=0), 0.975))
    if not weak and not rows.get(CENTERED, {"trusted": True})["trusted"] and tail > 0.35:
        return (
            f"{found}: {reason} in the bulk of the posterior; but tau may be so small (lambda_j up "
            f"to {tail:.2f}) that the draws reach the neck of the funnel, where that form fails"
        )
    return f"{found}: {reason}; what was measured says otherwise, and decides"


def _marginal(rows: _Rows, form: str, titles: Mapping[str, str], data: GroupedData) -> str:
    """Compare the marginal form with the advised one, by seconds: its gradients cost less."""
    if not rows[MARGINAL]["trusted"]:
        return f"{titles[MARGINAL]}, which failed its diagnostics"
    speed = ""
    if form:
        ratio = rows[MARGINAL]["ess_per_second"] / rows[form]["ess_per_second"]
        if ratio > 0:
            speed = f", with {ratio:.2g} times the effective draws a second of {titles[form]}"
    return (
        f"{titles[MARGINAL]}, which passed its diagnostics{speed}, and samples no theta that "
        f"could be tied to tau. There is such a form only where the {data.words.thetas} can "
        "be integrated out, as they can here"
    )


def _wanting_information(fits: Sequence[Fit], data: GroupedData) -> str:
    """Say so where few groups leave tau to its prior."""
    if data.stats.J > FEW:
        return ""
    ends = [
        np.quantile(tau, 0.975) for fit in fits if (tau := variables.tau(fit, data)) is not None
    ]
    spread = data.stats.total_sd
    if not ends or not min(ends) > 2 * spread:
        return ""
    return (
        f"With {data.stats.J} groups and a vague prior the data leave tau open (its 95 % interval "
        f"reaches {min(ends):.3g}; the sd of all observations is {spread:.3g}): that needs "
        "information, more groups or a prior of tau that says more, not another parameterization"
    )


def _pooling_factors(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Draws of lambda_j, shape (J, chain, draw)."""
    error_sd, tau = variables.error_sd(fit, data), variables.local_tau(fit, data)
    if error_sd is None or tau is None:
        return None
    return data.family.pooling_factor(data.stats, tau, error_sd)
