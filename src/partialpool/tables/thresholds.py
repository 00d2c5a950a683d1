"""How probable it is that a group, any group or a new one lies above a value that matters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.summarize import means
from partialpool.tables import variables

GROUP, ANY, NEW = "group", "any group", "new group"
"""What lies above a threshold."""

_COLUMNS = ("model", "threshold", "of", "group", "p_above", "mcse")


def check(values: Sequence[float], data: GroupedData) -> tuple[float, ...]:
    """Refuse thresholds that are none; each once, in ascending order.

    Raises
    ------
    InputError
        A threshold that is not finite, or that nothing can lie on both sides of.
    """
    low, high = (0.0, math.inf) if data.exp else data.family.support
    low, high = data.per * low, data.per * high
    for value in values:
        if not math.isfinite(value):
            raise InputError(f"--threshold {value}: give a finite number")
        if not low < value < high:
            top = "" if math.isinf(high) else f" and {high:g}"
            what = "a ratio" if data.exp else f"a {data.words.theta}"
            raise InputError(
                f"--threshold {value:g}: {what} lies {'between' if top else 'above'} {low:g}{top}, "
                "so every group is on one side of it"
            )
    return tuple(sorted(set(values)))


def thresholds(fits: Sequence[Fit], data: GroupedData, values: Sequence[float]) -> pd.DataFrame:
    """Give the probability of lying above each of some values.

    Parameters
    ----------
    fits, data
        Fits of the data; those without a theta are left out.
    values
        The thresholds, in the unit in which people read the data (ratios, where exponentials are
        shown; percent or per so many, where these are).

    Returns
    -------
    DataFrame
        One row a model, threshold and what lies above it: `model`, `threshold`, `of` ("group",
        "any group": the largest of all, or "new group", where the program draws one), `group`
        (label, for a group), `p_above`: P(theta > threshold) and `mcse`, its Monte Carlo standard
        error (NaN where all draws, or none, lie above).
    """
    rows = []
    for fit in fits:
        theta = variables.theta(fit, data)
        if theta is None:
            continue
        new = variables.scalar(fit, data, "theta_new")
        for value in values:
            bound = math.log(value) if data.exp else value / data.per
            parts = [(GROUP, label, theta[j]) for j, label in enumerate(data.labels)]
            parts.append((ANY, "", theta.max(axis=0)))
            parts += [] if new is None else [(NEW, "", new)]
            above = np.stack([draws > bound for _, _, draws in parts]).astype(float)
            p, mcse = means(above)
            for (of, label, _), share, error in zip(parts, p, mcse, strict=True):
                rows.append((fit.name, value, of, label, float(share), float(error)))
    return pd.DataFrame(rows, columns=list(_COLUMNS))
