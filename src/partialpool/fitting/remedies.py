"""What to change where a fit failed its diagnostics, and fitting again with that.

The order is that of the literature on divergences: smaller steps first, then another
parameterization (Betancourt and Girolami 2015, arXiv:1312.0906); more draws where there are too few
independent ones (Vehtari et al. 2021). Draws that are not finite, and chains that failed, have no
remedy that a setting could be: the program or the data must be mended.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from partialpool.families import FAMILIES
from partialpool.fitting import diagnostics
from partialpool.fitting.fit import Fit, fit_programs
from partialpool.programs import CENTERED, MARGINAL, NONCENTERED, Program, load
from partialpool.progress import Progress
from partialpool.settings import Settings

ATTEMPTS = 2
"""How often a fit that fails is made again."""

SMALL_STEPS, SMALLEST_STEPS = 0.99, 0.999
"""Target acceptance rates to go to when transitions diverge."""

MOST_DRAWS = 20_000
"""Draws a chain that are asked for at most."""

OTHER_FORM = {
    CENTERED: NONCENTERED,
    NONCENTERED: MARGINAL,
}
"""A shipped program to the one that writes the same model so that it may sample better."""


@dataclass(frozen=True)
class Remedy:
    """What to change in the next attempt.

    Attributes
    ----------
    settings
        How to sample.
    program
        Name of the shipped program to use instead; None to stay with the same.
    words
        What is changed, for people.
    """

    settings: Settings
    program: str | None
    words: str


def remedy(fit: Fit, table: pd.DataFrame, *, taken: Collection[str] = ()) -> Remedy | None:
    """Find what to change for a fit that failed.

    Parameters
    ----------
    table
        What `diagnostics.check` returned.
    taken
        Names of programs that are fitted anyway, so that none of them takes this one's place.

    Returns
    -------
    Remedy or None
        None where the fit may be trusted, or no setting would help.
    """
    failed = table[table["gate"] & ~table["passed"]].set_index("check")
    names = set(failed.index)
    if not names or names & {"finite draws", "failed chains"}:
        return None
    settings, other, said = fit.settings, None, []
    if names & {"divergences", "E-BFMI"}:
        settings, other, words = _better_steps(fit, names, taken)
        said += words
    if fit.posterior.sizes["chain"] == 1 and "R-hat" in names:
        settings = dataclasses.replace(settings, chains=4)
        said.append("4 chains instead of 1")
    elif names & {"R-hat", "bulk ESS", "tail ESS"}:
        settings, words = _longer(settings, failed)
        said += words
    return Remedy(settings, other, ", ".join(said)) if said else None


def _better_steps(
    fit: Fit, names: Collection[str], taken: Collection[str]
) -> tuple[Settings, str | None, list[str]]:
    """Take smaller steps, or another form of the model."""
    settings, other = fit.settings, OTHER_FORM.get(fit.name)
    if other not in FAMILIES[fit.record.family].programs:
        other = None
    delta = settings.adapt_delta or 0.0
    if "divergences" in names and delta < SMALL_STEPS:
        words = [f"adapt_delta {SMALL_STEPS} instead of {delta:g}"]
        return dataclasses.replace(settings, adapt_delta=SMALL_STEPS), None, words
    if other is not None and other not in taken:
        return settings, other, [f"{other} in place of {fit.name}, the same model in another form"]
    if delta < SMALLEST_STEPS:
        words = [f"adapt_delta {SMALLEST_STEPS} instead of {delta:g}"]
        return dataclasses.replace(settings, adapt_delta=SMALLEST_STEPS), None, words
    return settings, None, []


def _longer(settings: Settings, failed: pd.DataFrame) -> tuple[Settings, list[str]]:
    """Ask for as many more draws as the smallest ESS says, and for more warmup if chains differ."""
    factors = [2.0]
    for kind in ("bulk ESS", "tail ESS"):
        if kind in failed.index:
            value = float(failed["value"][kind])
            limit = float(failed["threshold"][kind].removeprefix(">="))
            factors.append(min(1.5 * limit / value, 10.0) if value > 0 else 10.0)
    draws = max(min(math.ceil(settings.draws * max(factors)), MOST_DRAWS), settings.draws)
    warmup = max(2 * settings.warmup, 1000) if "R-hat" in failed.index else settings.warmup
    words = [
        f"{name} {new} instead of {old}"
        for name, new, old in (
            ("draws", draws, settings.draws),
            ("warmup", warmup, settings.warmup),
        )
        if new != old
    ]
    return dataclasses.replace(settings, draws=draws, warmup=warmup), words


def fit_until_trusted(
    chosen: Sequence[Program],
    *arguments: Any,
    settings: Settings,
    progress: Progress | None = None,
    attempts: int = ATTEMPTS,
    report: Callable[[Fit, Remedy], None] | None = None,
    fit: Callable[..., list[Fit]] = fit_programs,
    **how: Any,
) -> list[Fit]:
    """Fit programs as `fit_programs` does, and those that fail again with a remedy.

    Parameters
    ----------
    chosen, arguments, settings, progress, how
        As for `fit_programs`.
    attempts
        How often a fit is made again at most.
    report
        Called with a fit that failed and the remedy, before it is made again.
    fit
        What fits: `fit_programs`, or another function that is called as it is.

    Returns
    -------
    list of Fit
        The last attempt of each; `about["attempts"]` lists the earlier ones: `program`,
        `settings`, `failed` (check, value, meaning) and `remedy` (what was changed then).
    """
    fits = fit(chosen, *arguments, settings=settings, progress=progress, **how)
    for position, program in enumerate(chosen):
        current = program
        earlier: list[Mapping[str, Any]] = []
        for _ in range(attempts):
            made = fits[position]
            table = diagnostics.check(made)
            taken = {other.name for other in fits} - {made.name}
            found = remedy(made, table, taken=taken)
            if found is None:
                break
            if report is not None:
                report(made, found)
            earlier.append(_record(made, table, found))
            if found.program is not None:
                current = load(found.program, family=made.record.family, progress=progress)
            (again,) = fit([current], *arguments, settings=found.settings, progress=progress, **how)
            fits[position] = again.with_record(attempts=[*earlier])
    return fits


def _record(fit: Fit, table: pd.DataFrame, found: Remedy) -> Mapping[str, Any]:
    failed = table.loc[table["gate"] & ~table["passed"], ["check", "value", "meaning"]]
    return {
        "program": fit.name,
        "settings": dataclasses.asdict(fit.settings),
        "failed": [
            {"check": row.check, "value": _finite(row.value), "meaning": row.meaning}
            for row in failed.itertuples()
        ],
        "remedy": found.words,
    }


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
