"""The findings of a comparison of priors, in words."""

from __future__ import annotations

from collections.abc import Container, Sequence

import pandas as pd

from partialpool import programs
from partialpool.priors import Uniform
from partialpool.priors.choices import Choice
from partialpool.studies.power_scaling import THRESHOLD
from partialpool.tables.variables import label

MOVED = 0.3
"""Movement of a mean, in posterior sds, from which an answer is said to depend on the prior."""


def findings(
    choices: Sequence[Choice],
    fits: Container[str],
    summary: pd.DataFrame,
    power: pd.DataFrame,
) -> list[str]:
    """Say what moved, what is not to be trusted, and what power-scaling found.

    Parameters
    ----------
    choices
        The choices, the base first.
    fits
        Names of those that were sampled.
    summary, power
        As in `sensitivity.PriorComparison`.
    """
    said = []
    base = choices[0].name
    distrusted = summary.loc[~summary["trusted"].astype(bool), "choice"]
    known = [name for name in distrusted if name in fits]
    if known:
        said.append(
            f"Not to be trusted, a diagnostic failed: {', '.join(known)}. "
            "More draws or a higher adapt_delta may mend it; until then read nothing from it"
        )
    rest = summary[summary["trusted"].astype(bool) & (summary["choice"] != base)]
    if base in known:
        said.append(f"The choice {base}, which the others are compared with, is one of these")
    elif len(rest):
        most = rest.iloc[int(rest["largest_movement"].abs().argmax())]
        far = abs(most["largest_movement"]) >= MOVED
        reading = (
            "this answer depends on the prior: report it with the choice made"
            if far
            else f"less than {MOVED} sds, so the choice among these priors hardly matters"
        )
        said.append(
            f"Largest movement against {base}: {most['moved']} by "
            f"{most['largest_movement']:+.2f} posterior sds under {most['choice']} "
            f"({most['priors']}); {reading}"
        )
    if power.empty:
        said.append(
            f"Beyond {programs.DRAWN_GROUPS} groups their means are not drawn, and power-scaling, "
            "which needs them, is left out"
        )
    for choice in choices:
        if choice.name in fits and choice.name not in known:
            said += flags(choice.name, power[power["choice"] == choice.name])
    if len(power) and isinstance(choices[0].priors[choices[0].spread], Uniform):
        said.append(
            "Power-scaling cannot see a uniform prior (to any power it stays the same): "
            "what the uniform prior of tau does shows in the other choices only"
        )
    return said


def flags(name: str, power: pd.DataFrame) -> list[str]:
    """Say what power-scaling flags in one fit, and whether refits confirm it.

    Parameters
    ----------
    name
        What the fit is called.
    power
        Its rows: columns of `power_scaling.power_scaling` with `refit_prior` and `confirmed`.
    """
    said = []
    for diagnosis, part in power[power["diagnosis"] != ""].groupby("diagnosis", sort=False):
        part = part.sort_values("prior", ascending=False)
        shown = ", ".join(label(row) for _, row in part.head(4).iterrows())
        more = f" and {len(part) - 4} more" if len(part) > 4 else ""
        refitted = part["refit_prior"].notna()
        if not refitted.any():
            outcome = "not confirmed by a refit"
        else:
            share = f"{int(part['confirmed'].sum())} of {len(part)}"
            outcome = f"refits with the prior at half and twice its power confirm {share}"
        said.append(
            f"{name}: power-scaling finds {diagnosis} in {shown}{more} "
            f"(sensitivity to the prior up to {part['prior'].iloc[0]:.3f}, limit {THRESHOLD}); "
            f"{outcome}"
        )
    return said
