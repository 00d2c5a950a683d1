"""Sentences on which fits may be trusted, and on what is kept back where they may not."""

from __future__ import annotations

from partialpool.fitting import Fit, diagnostics
from partialpool.report.wording import capital, listed
from partialpool.tables.comparison import Comparison


def withheld(comparison: Comparison, *fits: Fit | None) -> list[str]:
    """Say why nothing is concluded from fits that failed; empty where all may be trusted."""
    return [
        f"No conclusion is drawn from {fit.title}, because it failed a diagnostic "
        f"({listed(failed(comparison, fit))}). Its numbers are shown for study only."
        for fit in fits
        if fit is not None and not comparison.concludes(fit.name)
    ]


def failures(comparison: Comparison) -> list[str]:
    """Say which fits failed, what that means here, and what could be changed."""
    said = []
    for fit in comparison.fits:
        if comparison.trusted[fit.name]:
            continue
        kept = withheld(comparison, fit) or [
            f"{capital(fit.title)} failed a diagnostic ({listed(failed(comparison, fit))}), so "
            "what is concluded from it below may be wrong. It is shown because that was asked for."
        ]
        if fit.name in comparison.remedies:
            kept.append(f"It may be mended by {comparison.remedies[fit.name]}: --retry does that.")
        said.append(" ".join(kept))
    return said


def failed(comparison: Comparison, fit: Fit) -> list[str]:
    """Names of the checks that count and that a fit failed."""
    table = comparison.table("diagnostics", model=fit.name)
    return [str(name) for name in table.loc[~table["passed"] & table["gate"], "check"]]


def verdicts(comparison: Comparison) -> list[str]:
    """One line on the diagnostics of each fit, and on each attempt that failed before it."""
    said = []
    for fit in comparison.fits:
        for attempt in fit.record.attempts:
            failed = listed([each["check"] for each in attempt["failed"]])
            said.append(
                f"An attempt with {attempt['program']} failed {failed}; it was made again with "
                f"{attempt['remedy']}."
            )
        line = diagnostics.summary_line(fit, comparison.table("diagnostics", model=fit.name))
        exact = (
            "; its draws are independent, taken from the exact posterior, so that there are no "
            "chains to look at"
            if fit.record.independent
            else ""
        )
        said.append(f"{capital(line)}{exact}.")
    return said
