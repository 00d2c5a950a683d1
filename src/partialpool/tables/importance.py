"""Importance sampling that leaves data out of a posterior: Pareto smoothing and its diagnostic."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from arviz_stats.base.array import array_stats

from partialpool.fitting import Fit
from partialpool.fitting.summarize import usable
from partialpool.tables import pareto
from partialpool.types import FloatArray

_COLUMNS = 100
_BLOCK = 100_000  # numbers at a time, which stay in the processor's cache


def k_threshold(draws: int) -> float:
    """Largest Pareto k at which smoothed importance sampling with so many draws is reliable.

    min(1 - 1 / log10(draws), 0.7): Vehtari, Simpson, Gelman, Yao and Gabry (2024, *Journal of
    Machine Learning Research* 25(72), 1-58).
    """
    return min(1 - 1 / math.log10(draws), 0.7) if draws > 1 else -math.inf


class Weighted(NamedTuple):
    """What leaving out each row's data by weights gives.

    Attributes
    ----------
    elpd, p_loo, k
        Log predictive density of the row's data without it, how much larger it is with it, and the
        Pareto shape of the weights, shape (row,). NaN where a density is not finite; k alone is NaN
        where the weights have no tail to fit.
    log_weights
        Logs of the weights that leave the row out, shape (row, draw); each row of weights adds up
        to 1.
    """

    elpd: FloatArray
    p_loo: FloatArray
    k: FloatArray
    log_weights: FloatArray


def leave_out(log_density: FloatArray, *, r_eff: float) -> Weighted:
    """Leave each row's data out by weighting the draws with one over their density.

    Parameters
    ----------
    log_density
        Log density of each row's data in each draw, shape (row, chain, draw).
    r_eff
        Effective number of draws, a draw: see `relative_ess`.
    """
    rows = log_density.reshape(len(log_density), -1)
    elpd, p_loo, k = np.full((3, len(rows)), np.nan)
    found = Weighted(elpd, p_loo, k, np.full(rows.shape, np.nan))
    finite = np.flatnonzero(usable(log_density)[0])
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for start in range(0, len(finite), step):
        at = finite[start : start + step]
        weights, k[at] = pareto.smoothed(-rows[at], r_eff=r_eff)
        found.log_weights[at] = weights
        with np.errstate(all="ignore"):
            elpd[at] = _log_sum(weights + rows[at])
            p_loo[at] = _log_sum(rows[at]) - math.log(rows.shape[1]) - elpd[at]
    return found


def _log_sum(x: FloatArray) -> FloatArray:
    """Log of the sum of exp(x) along the last axis."""
    top = x.max(axis=-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(x - top).sum(axis=-1)))


def relative_ess(fit: Fit) -> float:
    """Mean effective number of draws of the posterior's variables, a draw; at most 1."""
    columns = [
        array.transpose(..., "chain", "draw").to_numpy().reshape(-1, *_shape(fit))
        for array in fit.posterior.data_vars.values()
    ]
    draws = np.concatenate(columns)
    draws = draws[usable(draws)[1]]
    draws = draws[:: math.ceil(len(draws) / _COLUMNS)] if len(draws) else draws
    with np.errstate(all="ignore"):
        relative = np.asarray(array_stats.ess(draws, method="mean", relative=True))
    relative = relative[np.isfinite(relative)]
    return min(1.0, float(relative.mean())) if relative.size else 1.0


def _shape(fit: Fit) -> tuple[int, int]:
    sizes = fit.posterior.sizes
    return sizes["chain"], sizes["draw"]


def draws_of(fit: Fit) -> int:
    """Draws of all chains together."""
    return math.prod(_shape(fit))
