"""What a report says of covariates of counts, whose line is one of logits or logarithms."""

from __future__ import annotations

import math
from typing import Any

from partialpool.families.linked.line import OnALinkedLine
from partialpool.fitting import Fit
from partialpool.report import cells
from partialpool.report.wording import (
    group_word,
    median_with_interval,
    nouns,
    number,
    percent,
    scalar,
)
from partialpool.tables.comparison import Comparison

VARIANCES = {
    "tau2": "Variance at the means of the covariates, τ²",
    "icc": "Share between groups there, R",
}
"""What rows of the table of variances are, which elsewhere than there are others."""

CURVE = "mean of the population along the regression line"
"""What a figure shows of a line that is straight on another scale."""


def slope(comparison: Comparison, family: OnALinkedLine, row: dict[str, Any], draws: float) -> str:
    """Say what a unit of a covariate, or a level of a category, multiplies odds or rates by.

    Parameters
    ----------
    comparison
        The comparison.
    family
        Of its data.
    row
        Of the table of coefficients.
    draws
        Effective draws of the coefficient.
    """
    name, covariates = str(row["coefficient"]), comparison.data.stats.covariates
    low, high = (number(row[end], row[f"mcse_{end}"]) for end in ("ratio_q2.5", "ratio_q97.5"))
    ratio = number(row["ratio"], row["mcse_ratio"])
    side = "above" if row["p_positive"] > 0.5 else "below"
    sure = percent(max(row["p_positive"], 1 - row["p_positive"]), draws)
    known = f"(95 % interval {low} to {high}; {side} 1 with probability {sure})"
    reference = covariates.reference(name) if covariates else ""
    if reference:
        level = name.replace(": ", " ", 1)
        said = f"the {family.factor} of {level} are {ratio} times those of {reference}"
    else:
        said = f"the {family.factor} are multiplied by {ratio} for each unit of {name}"
    return f"Along the regression line {said} {known}."


def spread(comparison: Comparison, fit: Fit, family: OnALinkedLine) -> list[str]:
    """Say how far groups lie about the line, as factors, and what that is at the covariates' means.

    Empty where the fit has neither.
    """
    scale, tau = (scalar(comparison, fit, name) for name in ("scale", "tau"))
    if scale is None or tau is None:
        return []
    factor = math.exp(scale["median"])
    shown = number(factor, factor * scale["mcse_median"])
    return [
        f"The sd of the {family.alphas} about the regression line, scale, has posterior median "
        f"{median_with_interval(scale, 'tau')}: with it two {group_word(comparison)}s in three "
        f"have {family.factor} within a factor of {shown} of what their covariates say.",
        f"At the means of the covariates that is an sd of the {nouns(comparison)}, τ, with "
        f"posterior median {median_with_interval(tau, 'tau', comparison.data.unit_apart)}.",
    ]


def columns(family: OnALinkedLine) -> cells.Columns:
    """Columns of a table of coefficients that hold ratios."""
    title = family.factors.removesuffix("s").capitalize()
    return [
        (title, cells.estimate("ratio", "mcse_ratio")),
        ("95 % interval of it", cells.interval("ratio_q2.5", "ratio_q97.5", ".3g")),
    ]


def note(family: OnALinkedLine) -> str:
    """What the coefficients are."""
    return (
        f"Each coefficient is of the {family.alphas}, for one unit of the covariate, and the "
        f"{family.factors} are its exponential; the intercept is the line where all covariates "
        "are 0."
    )
