"""Pareto smoothed importance weights of many rows at once.

The numbers are those of `arviz_stats`' `psislw`, which takes one row at a time; a report smooths
thousands, of which most time went into the calls.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from partialpool.types import FloatArray

_FEWEST = 5
_MANY = 225
_PRIOR_SCALE, _PRIOR_DRAWS, _PRIOR_SHAPE = 3, 10, 0.5
_NEGLIGIBLE = 10 * float(np.finfo(float).eps)


def log_sum(x: FloatArray) -> FloatArray:
    """Log of the sum of exp(x) along the last axis, the largest terms apart (as SciPy's)."""
    top = x.max(axis=-1, keepdims=True)
    terms, largest = np.exp(x - top), x == top
    terms[largest] = 0.0
    count = largest.sum(axis=-1).astype(np.float64)
    return np.asarray(np.log1p(terms.sum(axis=-1) / count) + np.log(count) + top[..., 0])


class Smoothed(NamedTuple):
    """What smoothing gives.

    Attributes
    ----------
    log_weights
        Logs of the weights, shape (row, draw); each row of weights adds up to 1.
    k
        Shape of the generalized Pareto distribution fitted to the largest weights, shape (row,);
        NaN where there is no tail to fit (too few draws, or one value), whose weights are as they
        came.
    """

    log_weights: FloatArray
    k: FloatArray


def smoothed(log_ratios: FloatArray, *, r_eff: float) -> Smoothed:
    """Smooth the largest importance weights of each row.

    Parameters
    ----------
    log_ratios
        Logs of the ratios of densities, finite, shape (row, draw).
    r_eff
        Effective number of draws, a draw.

    Notes
    -----
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), *Journal of Machine Learning Research* 25(72),
    1-58; the fit of the tail is that of Zhang and Stephens (2009), *Technometrics* 51, 316-325.
    """
    rows, draws = log_ratios.shape
    many = draws * r_eff > _MANY
    tail = math.floor(3 * (draws / r_eff) ** 0.5) if many else draws // 5
    weights, k = log_ratios - log_ratios.max(axis=1, keepdims=True), np.full(rows, np.nan)
    with np.errstate(all="ignore"):  # of tails that no distribution fits
        if _FEWEST <= tail < draws:
            k = _smooth_tails(weights, tail)
        return Smoothed(weights - log_sum(weights)[:, None], k)


def _smooth_tails(log_weights: FloatArray, tail: int) -> FloatArray:
    """Put quantiles of the fitted distribution in place of the largest weights; return its k."""
    below = log_weights.shape[1] - tail - 1
    order = np.argpartition(log_weights, below, axis=1)
    largest = order[:, below + 1 :]
    values = np.take_along_axis(log_weights, largest, axis=1)
    sorting = np.argsort(values, axis=1)
    largest = np.take_along_axis(largest, sorting, axis=1)
    values = np.take_along_axis(values, sorting, axis=1)
    at = order[:, below]
    cutoff = np.exp(log_weights[np.arange(len(at)), at])[:, None]
    moving = np.flatnonzero(values[:, -1] - values[:, 0] >= np.finfo(float).tiny)
    k = np.full(len(log_weights), np.nan)
    shape, scale = _fitted(np.exp(values[moving]) - cutoff[moving])
    k[moving] = shape
    fits = np.isfinite(shape)
    moving, shape, scale = moving[fits], shape[fits, None], scale[fits, None]
    log_above = np.log1p(-np.arange(0.5, tail) / tail)
    growth = np.expm1(-shape * log_above)
    excess = np.where(shape == 0, -scale * log_above, scale * growth / shape)
    quantiles = np.log(np.where(scale > 0, cutoff[moving] + excess, np.nan))
    top = values[moving, -1:]
    np.copyto(quantiles, top, where=quantiles > top)
    log_weights[moving[:, None], largest[moving]] = quantiles
    return k


def _fitted(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale of the generalized Pareto distribution of each row, ascending."""
    n = excess.shape[1]
    trials = 30 + int(n**0.5)
    grid = 1 - np.sqrt(trials / (np.arange(1, trials + 1) - 0.5))
    quarter = excess[:, int(n / 4 + 0.5) - 1, None]
    rates = grid / (_PRIOR_SCALE * quarter) + 1 / excess[:, -1:]
    shapes = np.log1p(-rates[:, :, None] * excess[:, None, :]).mean(axis=2)
    profile = n * (np.log(-rates / shapes) - shapes - 1)
    weights = np.exp(profile - log_sum(profile)[:, None])
    rate = np.array([_mean(*row) for row in zip(rates, weights, strict=True)])
    shape = np.log1p(-rate[:, None] * excess).mean(axis=1)
    scale = -shape / rate
    return (n * shape + _PRIOR_DRAWS * _PRIOR_SHAPE) / (n + _PRIOR_DRAWS), scale


def _mean(values: FloatArray, weights: FloatArray) -> float:
    """Weighted mean without the values whose weights are rounding."""
    kept = weights >= _NEGLIGIBLE
    return float((values[kept] * (weights[kept] / weights[kept].sum())).sum())
