"""What a report says of the Bayes factor of equal effects: one sentence and a table."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from partialpool.report import cells
from partialpool.report.wording import number, rows_of
from partialpool.tables.comparison import Comparison

_PLAIN = math.log(1e5)


def line(table: pd.DataFrame, *, on_a_line: bool = False) -> list[str]:
    """Say what the Bayes factor is, under which prior, and how it depends on that prior.

    Parameters
    ----------
    table
        Columns of `partialpool.tables.bayes_factor.bayes_factors`; may be empty.
    on_a_line
        Whether effects without spread lie on a regression line, and are not all equal.
    """
    if table.empty:
        return []
    rows = rows_of(table)
    base, log = rows[0], rows[0]["log_bayes_factor"]
    equal, spread = "all effects are equal (τ = 0)", f"they spread under {base['priors']}"
    if on_a_line:
        equal = "all effects lie on the regression line (τ = 0)"
    first, second = (equal, spread) if log >= 0 else (spread, equal)
    said = [
        f"The Bayes factor of no spread is {_factor(log)}: the data are {_factor(abs(log))} times "
        f"as probable if {first} as if {second}."
    ]
    ends = [pick(rows, key=lambda row: row["log_bayes_factor"]) for pick in (min, max)]
    low, high = (_factor(row["log_bayes_factor"]) for row in ends)
    if low != high:
        said.append(
            f"It depends on the prior: under the named choices of priors it runs from {low} "
            f"({ends[0]['choice']}) to {high} ({ends[1]['choice']}). A prior of τ that is wide "
            "enough favours τ = 0 whatever the data."
        )
    return [" ".join(said)]


def view(comparison: Comparison) -> cells.View | None:
    """The Bayes factor by choice of priors."""
    plain = comparison.data.stats.covariates is None
    same = "μ" if plain else "μ and the slopes"
    speak = "equal effects" if plain else "effects on the regression line"
    return cells.view(
        "Bayes factor of no spread (τ = 0) by choice of priors",
        comparison.table("bayes_factor"),
        [
            ("Choice", cells.text("choice")),
            ("Priors", cells.text("priors")),
            ("Bayes factor", _cell),
        ],
        csv="bayes_factor",
        note=f"p(data | τ = 0) / p(data) under the same prior of {same}, exact by quadrature; "
        f"above 1 the data speak for {speak}.",
    )


def _cell(row: Any) -> cells.Cell:
    log = float(row["log_bayes_factor"])
    return cells.Cell(_factor(log), log)


def _factor(log: float) -> str:
    """Write the exponential of a number, as a power of ten where it is very large or small."""
    if abs(log) > _PLAIN:
        return f"10^{number(log / math.log(10), 1.0)}"
    value = math.exp(log)
    return number(value, 0.005 * value)
