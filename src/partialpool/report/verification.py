"""What a report says of its fits beside the exact posteriors: one line and a table."""

from __future__ import annotations

import pandas as pd

from partialpool.report import cells
from partialpool.tables import exactness
from partialpool.tables.comparison import Comparison


def line(comparison: Comparison) -> list[str]:
    """One sentence on all fits whose exact posterior is known; none where there is none."""
    verdict = _verdict(comparison)
    return [] if verdict.empty else [exactness.one_line(verdict)]


def view(comparison: Comparison) -> cells.View | None:
    """How each fit compares with the exact posterior of its model."""
    verdict = _verdict(comparison)
    if verdict.empty:
        return None
    return cells.view(
        "Fits against exact posteriors, which quadrature knows",
        verdict.assign(where=verdict.apply(exactness.where, axis=1)),
        [
            ("Model", cells.text("model")),
            ("Numbers compared", cells.count("numbers")),
            ("Largest difference, in MCSE", cells.digits("largest", ".1f")),
            ("Where", cells.text("where")),
            ("Limit of chance, in MCSE", cells.digits("limit", ".1f")),
            ("Agrees", cells.yes("agrees")),
        ],
        csv="exact",
        note="MCSE: Monte Carlo standard error."
        + (" These numbers are those of the logarithms." if comparison.data.exp else ""),
    )


def _verdict(comparison: Comparison) -> pd.DataFrame:
    known = comparison.table("exact")
    if known.empty:
        return known
    verdict = exactness.agreement(known)
    return verdict.assign(model=verdict["model"].map(comparison.titles))
