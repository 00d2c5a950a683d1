"""Tests of uniformity: envelopes of ECDFs, and p-values, without simulation.

The number of N independent uniform values at or below z is binomial(N, z). An envelope that
holds at all evaluation points at once is made of binomial quantiles at gamma / 2 and
1 - gamma / 2, with gamma so small that the whole ECDF stays inside with the probability that
is asked for (Säilynoja, Bürkner and Vehtari 2022, *Statistics and Computing* 32, 32, section
2). They find that probability by a recursion over the evaluation points. With points that are
equally spaced it is one of convolutions: uniform values are the arrivals of a Poisson process
given how many there are, and its increments are independent.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from partialpool.types import FloatArray, IntArray

MOST_POINTS = 100
"""Most parts that (0, 1) is cut into; there are as many as values where these are fewer."""

_HALVINGS = 40


def points(size: int) -> FloatArray:
    """Where the ECDF of `size` values is looked at: the inner ends of equal parts of (0, 1)."""
    parts = max(2, min(size, MOST_POINTS))
    return np.arange(1, parts) / parts


def ecdf(values: ArrayLike) -> FloatArray:
    """Share of the values at or below each of `points`."""
    values = np.asarray(values, dtype=np.float64)
    return _counts(values) / values.size


def envelope(size: int, probability: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Envelope of the ECDF of `size` independent uniform values.

    Parameters
    ----------
    size
        Number of values.
    probability
        Smallest probability with which the ECDF is inside at all `points` at once.

    Returns
    -------
    lower, upper
        Shares at `points`; an ECDF that touches them is inside.
    """
    lower, upper = _narrowest(size, probability)
    return lower / size, upper / size


def p_value(values: ArrayLike) -> float:
    """Probability that uniform values are further from uniform than these, at their worst point.

    The distance at a point is the two-sided binomial tail probability there; the p-value is the
    probability that any point of a uniform sample's ECDF has one as small as the smallest here.
    So it is below 1 - p where the ECDF leaves the envelope of probability p.

    Returns
    -------
    float
        NaN where a value is not between 0 and 1, or there is none.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not np.all((values >= 0) & (values <= 1)):
        return float("nan")
    counts = _counts(values)
    tails = _tails(values.size)
    at = np.arange(counts.size)
    gamma = float(2 * np.minimum(tails[0][at, counts], tails[1][at, counts]).min())
    return float(np.clip(1 - _inside(*_bounds(values.size, gamma), values.size), 0, 1))


def _counts(values: FloatArray) -> IntArray:
    found = np.searchsorted(np.sort(values), points(values.size), side="right")
    return found.astype(np.int64)


@lru_cache(maxsize=8)
def _tails(size: int) -> tuple[FloatArray, FloatArray]:
    """P(R <= r) and P(R >= r) of the number R at each point, shape (points, size + 1)."""
    r, z = np.arange(size + 1), points(size)[:, None]
    below = np.asarray(distributions.binom.cdf(r, size, z))
    return below, below[::-1, ::-1]  # the same numbers, so that mirror images tie exactly


def _bounds(size: int, gamma: float) -> tuple[IntArray, IntArray]:
    """Smallest and largest number at each point whose two-sided tail exceeds gamma."""
    below, above = _tails(size)
    kept = (2 * below > gamma) & (2 * above > gamma)
    first = np.argmax(kept, axis=1)
    last = size - np.argmax(kept[:, ::-1], axis=1)
    empty = ~kept.any(axis=1)
    return np.where(empty, 1, first), np.where(empty, 0, last)


def _inside(lower: IntArray, upper: IntArray, size: int) -> float:
    """Probability that the number at or below every point is within its bounds."""
    if np.any(lower > upper):
        return 0.0
    increment = distributions.poisson(size / (lower.size + 1))
    steps = increment.pmf(np.arange(size + 1))
    first, mass = 0, np.ones(1)
    for low, high in zip([*lower, size], [*upper, size], strict=True):
        spread = np.convolve(mass, steps[: high - first + 1])
        mass = spread[low - first : high - first + 1]
        first = low
    return float(mass[0] / distributions.poisson.pmf(size, size))


@lru_cache(maxsize=32)
def _narrowest(size: int, probability: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounds with the largest gamma that keep the ECDF inside with the probability asked for."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        gamma = 0.5 * (low + high)
        if _inside(*_bounds(size, gamma), size) >= probability:
            low = gamma
        else:
            high = gamma
    return _bounds(size, low)
