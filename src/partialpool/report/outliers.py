"""What a report says of groups that lie far out, under a Student-t population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from scipy import stats

from partialpool.report import cells
from partialpool.report.wording import (
    capital,
    draws_of,
    everyone,
    group_word,
    highest,
    median_with_interval,
    named,
    number,
    percent,
    scalar,
)
from partialpool.tables.comparison import Comparison
from partialpool.tables.scales import STANDS_OUT


def lines(comparison: Comparison) -> list[str]:
    """Say how heavy the tails are, and which groups stand out."""
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name) or not comparison.data.family.degrees:
        return []
    nu = scalar(comparison, fit, comparison.data.family.degrees)
    table = comparison.table("scales", model=fit.name)
    said = []
    if nu is not None:
        shown = median_with_interval(nu, "nu")
        said.append(degrees_line(fit.record.priors, shown, of="population"))
    if len(table):
        said.append(_standing_out(comparison, table, draws_of(comparison, fit)))
    return said


def degrees_line(
    priors: Mapping[str, float], shown: str, *, of: Literal["population", "errors"]
) -> str:
    """Say what nu is, beside its prior; its median is shown already."""
    if priors.get("nu_fixed", 0) > 0:
        verb = "has" if of == "population" else "have"
        return f"The {of} {verb} ν = {priors['nu_fixed']:g} degrees of freedom, as was set."
    prior = stats.gamma(priors["nu_shape"], scale=1 / priors["nu_rate"])
    before = [number(float(prior.ppf(p)), 0.05) for p in (0.5, 0.025, 0.975)]
    return (
        f"The degrees of freedom of the {of}, ν, have posterior median {shown}, where their "
        f"prior alone has {before[0]} ({before[1]} to {before[2]}): the fewer, the heavier the "
        f"tails; beyond 30 {'it is' if of == 'population' else 'they are'} all but normal."
    )


def _standing_out(comparison: Comparison, table: pd.DataFrame, draws: float) -> str:
    """Name the groups whose scale is clearly above 1, or the one that comes nearest to that."""
    far = table[table["p_wider"] >= STANDS_OUT].sort_values("median", ascending=False)
    most = highest(table, "median")
    middle = number(most["median"], most["mcse_median"])
    ends = f"{_plain(most['q2.5'])} to {_plain(most['q97.5'])}"
    wide = f"{middle} times as wide (95 % interval {ends})"
    whose = named(comparison, str(most["group"]))
    if far.empty:
        return (
            f"No {group_word(comparison)} stands out: the population is widest for {whose}, {wide} "
            "as in its middle, which may be no wider than for any other."
        )
    if len(far) == 1:
        return (
            f"{capital(whose)} stands out: for it the population is {wide} as in its middle, and "
            f"wider with probability {percent(most['p_wider'], draws)}, so that it is pulled less."
        )
    who = everyone(comparison, [str(group) for group in far["group"]])
    return f"{capital(who)} stand out: for {whose} the population is {wide} as in its middle."


def view(comparison: Comparison) -> cells.View | None:
    """The scale of each group."""
    fit = comparison.model("partial")
    table = comparison.table("scales", model=fit.name) if fit else pd.DataFrame()
    return cells.view(
        "How far out each group lies: the scale of the population for it",
        table.sort_values("median", ascending=False, kind="stable") if len(table) else table,
        [
            (comparison.data.group_label, cells.text("group")),
            ("Median of the scale", cells.estimate("median", "mcse_median")),
            ("95 % interval", cells.interval("q2.5", "q97.5", ".3g")),
            ("P(scale > 1)", cells.probability("p_wider")),
        ],
        csv="scales",
        note="Given its scale, a group comes from a normal population with sd τ times the scale.",
    )


def _plain(value: float) -> str:
    return number(value, 0.005 * value)
