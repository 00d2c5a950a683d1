"""What an edit of a program does to the answer: fits of one kind of pooling against the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from partialpool.data import GroupedData
from partialpool.families import FAMILIES
from partialpool.fitting import Fit, diagnostics
from partialpool.fitting.normality import CENTER, MEANS, OBSERVATIONS, POPULATION
from partialpool.studies.power_scaling import NAMED
from partialpool.studies.prior_findings import MOVED
from partialpool.studies.sensitivity import estimates_by_choice
from partialpool.tables.variables import label, stacked
from partialpool.text import format_estimate

NOISE = 3.0
"""Movement, in its Monte Carlo standard errors, up to which nothing is said to have moved."""

_COLUMNS = (
    *("model", "against", "quantity", "group", "before", "before_mcse", "after", "after_mcse"),
    *("movement", "movement_mcse"),
)


def changes(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare programs that pool alike with the first of them.

    Returns
    -------
    DataFrame
        One row a program and quantity (mu, tau, sigma, R as `icc`, each theta, as far as both
        programs write them): `model`, `against` (names of the program and of the first of its kind
        of pooling), `quantity`, `group`, `before` and `after` (posterior means under the first and
        under the program) with `_mcse` their Monte Carlo standard errors, `movement` (the
        difference in posterior sds under the first) and `movement_mcse`. No rows where no two
        programs pool alike; quantities only where they stand for the same in both
        (`partialpool.fitting.normality`).
    """
    frames = []
    first: dict[str, Fit] = {}
    for fit in fits:
        base = first.setdefault(fit.pooling, fit)
        if base is fit or not all({*NAMED} & set(each.posterior) for each in (base, fit)):
            continue
        found = estimates_by_choice({base.name: base, fit.name: fit}, data)
        found = found.dropna(subset="movement").drop_duplicates(["choice", "quantity", "group"])
        found = found[[_comparable(q, base, fit) for q in found["quantity"]]]
        before, after = (found[found["choice"] == each.name] for each in (base, fit))
        both = after.merge(before, on=["quantity", "group"], suffixes=("", "_before"))
        frames.append(
            both.assign(
                model=fit.name,
                against=base.name,
                before=both["mean_before"],
                before_mcse=both["mcse_before"],
                after=both["mean"],
                after_mcse=both["mcse"],
            )
        )
    return stacked(frames, _COLUMNS)


def sentences(table: pd.DataFrame, fits: Sequence[Fit]) -> list[str]:
    """Say what moved most from the first program of a kind to each other one.

    Of a fit that failed a diagnostic nothing is said.
    """
    titles = {fit.name: fit.title for fit in fits}
    families = {fit.name: fit.record.family for fit in fits}
    trusted = {fit.name: diagnostics.trusted(diagnostics.check(fit)) for fit in fits}
    said = []
    for key, part in table.groupby(["model", "against"], sort=False):
        model, against = map(str, key)
        head = f"{titles[model]} against {titles[against]}"
        if not (trusted[model] and trusted[against]):
            said.append(f"{head}: nothing is concluded, since a diagnostic failed")
            continue
        beyond = part[part["movement"].abs() > NOISE * part["movement_mcse"]]
        if beyond.empty:
            said.append(f"{head}: no answer moved by more than Monte Carlo error")
            continue
        most = _farthest(beyond)
        text = f"{head}: {_moved(most)}"
        theta = beyond[beyond["quantity"] == "theta"]
        if len(theta) and most["quantity"] != "theta":
            thetas = FAMILIES[families[model]].words.thetas
            text += f"; of the {thetas} {_moved(_farthest(theta))}"
        said.append(
            f"{text}. "
            + (
                f"All moved by less than {MOVED} posterior sds: the choice hardly matters"
                if abs(most["movement"]) < MOVED
                else "This answer depends on the choice: report it with the choice made"
            )
        )
    return said


_MEANINGS = {"mu": CENTER, "tau": POPULATION, "sigma": OBSERVATIONS, "theta": MEANS}


def _comparable(quantity: str, *fits: Fit) -> bool:
    """Whether a parameter is known to stand for the same in several programs."""
    return quantity not in _MEANINGS or all(fit.keeps(_MEANINGS[quantity]) for fit in fits)


def _farthest(rows: pd.DataFrame) -> Any:
    return rows.iloc[int(rows["movement"].abs().argmax())]


def _moved(row: Any) -> str:
    before = format_estimate(row["before"], row["before_mcse"])
    after = format_estimate(row["after"], row["after_mcse"])
    return (
        f"{label(row)} moved most, from {before} to {after} ({row['movement']:+.2f} posterior sds, "
        f"Monte Carlo error {row['movement_mcse']:.2g})"
    )
