"""How sensitive a program's answer is to its own priors: power-scaling, confirmed by refits.

Any program that writes `lprior` is power-scaled. One that declares the input `prior_power` and adds
`prior_power * lprior` to its target is refitted as well, with half and with twice the power, where
something is flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import SamplingError
from partialpool.fitting import Fit, diagnostics
from partialpool.fitting.normality import OBSERVATIONS
from partialpool.studies.power_scaling import (
    THRESHOLD,
    distance,
    joint_log_likelihood,
    power_scaling,
)
from partialpool.studies.prior_findings import flags
from partialpool.studies.sensitivity import REFIT_POWERS
from partialpool.tables.variables import named_draws, stacked

_COLUMNS = (
    *("model", "quantity", "group", "prior", "likelihood", "diagnosis"),
    *("refit_prior", "confirmed"),
)


def power_scale(
    fits: Sequence[Fit], data: GroupedData, *, refit: Callable[[Fit, float], Fit] | None = None
) -> pd.DataFrame:
    """Power-scale every fit whose program writes `lprior`.

    Parameters
    ----------
    fits
        Fits; the likelihood is the sum of `log_lik` where a fit has it, else that of observations
        that are normal(theta, sigma).
    refit
        Fits a program again with its prior raised to a power; asked only of programs that declare
        `prior_power`, where something is flagged. None for no refits.

    Returns
    -------
    DataFrame
        One row a model and quantity: `model` (name of the program) and the columns of
        `power_scaling.power_scaling`; `refit_prior`, the mean distance of the refits from the fit
        (NaN without refits), and `confirmed` (whether a flag held in them).
    """
    frames = []
    for fit in fits:
        if "log_prior" not in fit.draws.children:
            continue
        known = "log_likelihood" in fit.draws.children
        if not known and not fit.keeps(OBSERVATIONS):
            continue
        table = power_scaling(
            fit, data, log_likelihood=None if known else joint_log_likelihood(fit, data)
        )
        flagged = table["diagnosis"] != ""
        distances = np.full(len(table), np.nan)
        if flagged.any() and refit is not None and "prior_power" in fit.record.inputs:
            distances = _refitted(fit, data, refit)
        frames.append(
            table.assign(
                model=fit.name,
                refit_prior=distances,
                confirmed=flagged & (distances >= THRESHOLD),
            )
        )
    return stacked(frames, _COLUMNS)


def sentences(table: pd.DataFrame, fits: Sequence[Fit]) -> list[str]:
    """Say what is flagged, what refits say of it, and where nothing is; name what has no lprior."""
    said = []
    for fit in fits:
        own = table[table["model"] == fit.name]
        if own.empty and "log_prior" in fit.draws.children:
            said.append(
                f"{fit.title}: without log_lik, and with observations that are not known to be "
                "normal(theta, sigma), nothing is power-scaled"
            )
        elif own.empty:
            said.append(f"{fit.title}: without lprior there is nothing to power-scale")
        elif not diagnostics.trusted(diagnostics.check(fit)):
            said.append(f"{fit.title}: nothing is concluded, since a diagnostic failed")
        elif (own["diagnosis"] == "").all():
            said.append(
                f"{fit.title}: power-scaling flags nothing (sensitivity to the prior up to "
                f"{own['prior'].max():.3f}, limit {THRESHOLD}). It cannot see a uniform prior"
            )
        else:
            said += flags(fit.title, own)
            if own["refit_prior"].isna().all() and "prior_power" not in fit.record.inputs:
                said.append(
                    f"{fit.title} would be refitted to confirm this if it declared "
                    "real<lower=0> prior_power and added prior_power * lprior to its target"
                )
    return said


def _refitted(
    fit: Fit, data: GroupedData, refit: Callable[[Fit, float], Fit]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean distance of refits from the fit; NaN where one fails, or fails its diagnostics."""
    draws = named_draws(fit, data)[2]
    total = np.zeros(len(draws))
    for power in REFIT_POWERS:
        try:
            other = refit(fit, power)
        except SamplingError:
            return np.full(len(draws), np.nan)
        if not diagnostics.trusted(diagnostics.check(other)):
            return np.full(len(draws), np.nan)
        changed = named_draws(other, data)[2]
        total += [distance(*pair) for pair in zip(draws, changed, strict=True)]
    return total / len(REFIT_POWERS)
