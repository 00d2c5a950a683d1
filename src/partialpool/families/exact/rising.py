"""Sums of log(x + i) over the whole numbers i below many counts, at a cost that knows no count.

The log density of counts of beta-binomial or negative binomial groups is made of
log Gamma(x + y_j) - log Gamma(x) = sum of log(x + i) over i = 0, ..., y_j - 1. Over all groups, the
term of i occurs as often as there are groups with y_j > i: the tail counts. Differences of
log-gamma would lose all digits where x is large, a sum of logarithms does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import special

from partialpool.types import FloatArray, IntArray

_EVERY = 64
_PANEL = 1.5
_ORDER = 16
_BLOCK = 100_000
_LARGE = 30.0


def tail_counts(values: IntArray, groups: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Nodes i and weights A so that sum of A log(x + i) is that over all groups, for every x > 0.

    Up to 64 every whole number is a node, and its weight the number of groups whose count exceeds
    it. Beyond, the logarithm is smooth on panels from i to 1.5 i, whose nearest singularity lies at
    -x <= 0; 16 Chebyshev nodes of a panel hold the sum over it to double precision (Trefethen,
    *Approximation Theory and Approximation Practice*, 2013, theorem 8.2).

    Parameters
    ----------
    values
        Counts, 0 or more, shape (K,).
    groups
        Groups that have each, shape (K,); one each where None.

    Returns
    -------
    nodes, weights
        Shape (nodes,) each; none where all counts are 0.
    """
    occurs, which = np.unique(values, return_inverse=True)
    weight = np.ones(len(values)) if groups is None else groups.astype(np.float64)
    counts = np.bincount(which, weight).astype(np.float64)
    above = np.cumsum(counts[::-1])[::-1]  # groups with at least occurs[k]
    top = int(occurs[-1])
    first = np.arange(min(top, _EVERY))
    nodes = [first.astype(np.float64)]
    weights = [above[np.searchsorted(occurs, first, side="right")]]
    low = _EVERY
    while low < top:
        high = min(top, int(_PANEL * low))
        points, sums = _panel(low, high, occurs, above)
        nodes.append(points)
        weights.append(sums)
        low = high
    return np.concatenate(nodes), np.concatenate(weights)


def _panel(
    low: int, high: int, occurs: IntArray, above: NDArray[Any]
) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights for the sum over low <= i < high."""
    if high - low <= _ORDER:
        at = np.arange(low, high)
        return at.astype(np.float64), above[np.searchsorted(occurs, at, side="right")]
    middle, half = 0.5 * (low + high - 1), 0.5 * (high - 1 - low)
    points = chebyshev.chebpts1(_ORDER)
    # tail counts are constant between the counts that occur
    inside = occurs[(occurs > low) & (occurs < high)]
    starts, ends = np.append(low, inside), np.append(inside, high)
    level = above[np.searchsorted(occurs, starts, side="right")]
    moments = np.zeros(_ORDER)
    for k in range(0, len(starts), _BLOCK):
        part = slice(k, k + _BLOCK)
        moments += level[part] @ _sums(starts[part], ends[part], middle, half)
    # a function is the sum of its values at the points times Lagrange's polynomials
    to_series = np.linalg.inv(chebyshev.chebvander(points, _ORDER - 1))
    return middle + half * points, moments @ to_series


def _sums(starts: IntArray, ends: IntArray, middle: float, half: float) -> FloatArray:
    """Sums of Chebyshev polynomials over runs of whole numbers, shape (runs, ORDER).

    A short run is summed term by term; a long one by the Euler-Maclaurin formula for midpoints,
    whose third correction is below double precision where the polynomials change as slowly.
    """
    result = np.empty((len(starts), _ORDER))
    length = ends - starts
    long = length > 256
    if long.any():
        h = 1 / half
        a, b = ((each[long] - 0.5 - middle) * h for each in (starts, ends))
        unit = np.eye(_ORDER)
        total = np.zeros((int(long.sum()), _ORDER))
        for order, factor in (
            (-1, 1 / h),
            (1, -h / 24),
            (3, 7 * h**3 / 5760),
            (5, -31 * h**5 / 967680),
        ):
            for degree in range(_ORDER):
                series = unit[degree]
                series = (
                    chebyshev.chebint(series) if order < 0 else chebyshev.chebder(series, order)
                )
                ends_of = chebyshev.chebval(b, series) - chebyshev.chebval(a, series)
                total[:, degree] += factor * ends_of
        result[long] = total
    short = np.flatnonzero(~long)
    if short.size:
        terms = np.repeat(starts[short], length[short])
        offset = np.arange(len(terms)) - np.repeat(
            np.cumsum(length[short]) - length[short], length[short]
        )
        values = chebyshev.chebvander((terms + offset - middle) / half, _ORDER - 1)
        result[short] = np.add.reduceat(values, np.cumsum(length[short]) - length[short], axis=0)
    return result


def distinct_pairs(first: IntArray, second: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs that occur, in ascending order, and how often."""
    order = np.lexsort((first, second))
    a, b = first[order], second[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    at = np.flatnonzero(new)
    return a[at], b[at], np.diff(np.append(at, len(order)))


def log_rising(x: FloatArray, k: FloatArray) -> FloatArray:
    """Log of x (x + 1) ... (x + k - 1), for x > 0 and k >= 0 that broadcast against each other.

    Stirling's series for log Gamma(x + k) - log Gamma(x) where x is large, put so that what is
    large in both cancels before it is computed (Abramowitz and Stegun 1964, 6.1.41).
    """
    x, k = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(k, dtype=float))
    far = np.where(x > _LARGE, x, _LARGE)
    with np.errstate(over="ignore"):
        end = far + k
        series = (far - 0.5) * np.log1p(k / far) + k * np.log(end) - k
        for power, factor in ((1, 1 / 12), (3, -1 / 360), (5, 1 / 1260), (7, -1 / 1680)):
            series += factor * (end**-power - far**-power)
        near = special.gammaln(np.minimum(x, _LARGE) + k) - special.gammaln(np.minimum(x, _LARGE))
    return np.where(x > _LARGE, series, near)


def on_nodes(values: FloatArray, *weights: FloatArray) -> tuple[FloatArray, ...]:
    """Nodes e and weights so that sums of weight times log(b + e) are those over all values.

    Values of 0 are a node of their own. Of many different ones the others are spread on 16
    Chebyshev nodes of panels from e to 1.5 e, as in `tail_counts`.

    Parameters
    ----------
    values
        0 or more, shape (J,).
    *weights
        One array or more, shape (J,) each.

    Returns
    -------
    tuple of array
        Nodes, and for each array of weights those of the nodes, shape (nodes,).
    """
    distinct, which = np.unique(values, return_inverse=True)
    if len(distinct) <= _EVERY:
        sums = (np.bincount(which, each, len(distinct)).astype(np.float64) for each in weights)
        return distinct, *sums
    zero = values == 0
    low, high = float(values[~zero].min()), float(values.max())
    panels = max(1, int(np.ceil(np.log(high / low) / np.log(_PANEL))))
    ratio = (high / low) ** (1 / panels)
    panel = np.zeros(len(values), dtype=np.int64)
    panel[~zero] = np.log(values[~zero] / low) // np.log(ratio)
    panel = np.clip(panel, 0, panels - 1)
    points = chebyshev.chebpts1(_ORDER)
    to_series = np.linalg.inv(chebyshev.chebvander(points, _ORDER - 1))
    nodes, found = [np.zeros(1)], [[np.array([each[zero].sum()])] for each in weights]
    for k in range(panels):
        start, end = low * ratio**k, low * ratio ** (k + 1)
        inside = np.flatnonzero((panel == k) & ~zero)
        if not inside.size:
            continue
        middle, half = 0.5 * (start + end), 0.5 * (end - start)
        nodes.append(middle + half * points)
        moments = np.zeros((len(weights), _ORDER))
        for first in range(0, len(inside), _BLOCK):
            part = inside[first : first + _BLOCK]
            series = chebyshev.chebvander((values[part] - middle) / half, _ORDER - 1)
            moments += np.stack([each[part] for each in weights]) @ series
        for k_weight, row in enumerate(moments @ to_series):
            found[k_weight].append(row)
    return np.concatenate(nodes), *(np.concatenate(each) for each in found)
