"""Monte Carlo errors of what the tables hold without them: how many digits a page may show.

The tables keep their columns; here the errors of what is shown of them are found from the draws.
Of exponentials they are those of the logarithms times the value (delta method).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.fitting import Fit
from partialpool.fitting.summarize import summarize
from partialpool.tables import exponential, predictions, shrinkage, variables
from partialpool.tables.comparison import Comparison
from partialpool.types import FloatArray, IntArray

_NAMES = ("mean", "sd", "median", "q2.5", "q97.5")


def variance(comparison: Comparison, model: str | None = None) -> pd.DataFrame:
    """Rows of the table of variances with `mcse_median`, `mcse_q2.5`, `mcse_q97.5`.

    Errors are NaN where a quantity has no distribution.
    """
    frame = comparison.table("variance", **({"model": model} if model else {}))
    if frame.empty:
        return frame
    errors = []
    for fit in comparison.fits:
        draws = shrinkage.variance_draws(fit, comparison.data)
        if draws and (model is None or fit.name == model):
            found = summarize(np.stack(list(draws.values())))
            kept = {f"mcse_{name}": found[f"mcse_{name}"] for name in _NAMES[2:]}
            made = pd.DataFrame({"model": fit.name, "quantity": list(draws), **kept})
            errors.append(exponential.tables(comparison.data, {"variance": made})["variance"])
    columns = ("model", "quantity", *(f"mcse_{name}" for name in _NAMES[2:]))
    return frame.merge(variables.stacked(errors, columns), on=["model", "quantity"], how="left")


def predicted(comparison: Comparison, fit: Fit, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table of predictions of a fit with an error `mcse_x` of each column `x`."""
    errors = predictions.errors(fit, comparison.data, rows)
    if comparison.data.exp:
        errors = errors * rows[list(errors)]
    if comparison.data.per != 1:
        scaled = (rows["quantity"] == predictions.NEW_GROUP_MEAN).to_numpy()
        errors = errors.mul(np.where(scaled, comparison.data.per, 1), axis=0)
    return rows.join(errors.add_prefix("mcse_"))


def of_contrasts(
    comparison: Comparison, fit: Fit, pairs: Sequence[tuple[str, str]]
) -> dict[str, FloatArray]:
    """Errors of the ends of the 95 % intervals of differences; of ratios, of their logarithms.

    Returns
    -------
    dict
        `q2.5` and `q97.5` to their errors, shape (pairs,).
    """
    theta = variables.theta(fit, comparison.data)
    ends = ("q2.5", "q97.5")
    if theta is None or not pairs:
        return dict.fromkeys(ends, np.full(len(pairs), np.nan))
    first, second = _places(comparison, pairs)
    found = summarize(comparison.data.per * (theta[first] - theta[second]))
    return {end: found[f"mcse_{end}"] for end in ends}


def of_differences(
    comparison: Comparison, fit: Fit, pairs: Sequence[tuple[str, str]]
) -> FloatArray:
    """Posterior sds of differences of groups, of ratios those of their logarithms, (pairs,)."""
    theta = variables.theta(fit, comparison.data)
    if theta is None or not pairs:
        return np.full(len(pairs), np.nan)
    chosen, at = np.unique(np.stack(_places(comparison, pairs)), return_inverse=True)
    flat = theta[chosen].reshape(len(chosen), -1)
    covariance = np.atleast_2d(np.cov(flat - flat[:, :1]))
    first, second = at.reshape(2, -1)
    own = np.diag(covariance)
    square = own[first] + own[second] - 2 * covariance[first, second]
    return np.asarray(comparison.data.per * np.sqrt(np.maximum(square, 0)))


def _places(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> tuple[IntArray, IntArray]:
    place = {label: j for j, label in enumerate(comparison.data.labels)}
    first, second = (np.array([place[pair[k]] for pair in pairs]) for k in (0, 1))
    return first, second
