"""Sums over very many groups of smooth functions of how much is known of each.

Groups of which equally much is known share the variance of their estimates about mu, so that a
density costs as much as there are distinct standard errors or sizes. Of thousands of these none is
special: the functions are smooth in the logarithm, so their sums over the groups are sums over the
nodes of Chebyshev polynomials on short panels, to double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from partialpool.types import FloatArray

MOST_CLASSES = 400
"""Most distinct standard errors, or group sizes, of which each is summed by itself."""

_PANEL = 0.75
_ORDER = 16
_BLOCK = 200_000


@dataclass(frozen=True)
class Classes:
    """Sums over estimates, by standard error or on nodes between standard errors.

    Attributes
    ----------
    variance
        Squared standard errors, shape (K,).
    count, first, second
        What multiplies a function of the variance in its sum over the estimates: of the function
        itself, times y, and times y^2, with y counted from the origin, shape (K,).
    """

    variance: FloatArray
    count: FloatArray
    first: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, y: FloatArray, se: FloatArray) -> Classes:
        """Take estimates of one standard error together; spread many different ones on nodes.

        The function 1 / (s^2 + tau^2) of log s has its nearest singularities at the distance
        pi / 2 from the real axis, so interpolation at 16 Chebyshev points of a panel of width
        0.75 is good to (4 / 0.375 * pi / 2)^-16 or so (Trefethen, *Approximation Theory and
        Approximation Practice*, 2013, theorem 8.2), beyond double precision.
        """
        variance, (count, first, second) = spread_sums(se, y ** np.arange(3)[:, None])
        return cls(variance, count, first, second)


def spread_sums(se: FloatArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum columns over estimates of one standard error, or on nodes between standard errors.

    Parameters
    ----------
    se
        Standard errors, shape (J,).
    columns
        What is summed, shape (c, J).

    Returns
    -------
    variance, sums
        Squared standard errors, shape (K,), and the sums, shape (c, K).
    """
    distinct, which = np.unique(se, return_inverse=True)
    if len(distinct) <= MOST_CLASSES:
        sums = [np.bincount(which, column, len(distinct)) for column in columns]
        return distinct**2, np.stack(sums)
    x = np.log(se)
    low, high = float(x.min()), float(x.max())
    panels = max(1, math.ceil((high - low) / _PANEL))
    width = (high - low) / panels
    panel = np.minimum(((x - low) / width).astype(np.int64), panels - 1)
    points = np.cos(np.pi * (np.arange(_ORDER) + 0.5) / _ORDER)
    signs = (-1.0) ** np.arange(_ORDER) * np.sqrt(1 - points**2)  # barycentric weights
    moments = np.zeros((panels, len(columns), _ORDER))
    inside = np.argsort(panel, kind="stable")
    ends = np.searchsorted(panel[inside], np.arange(1, panels + 1))
    for k, members in enumerate(np.split(inside, ends[:-1])):
        for start in range(0, len(members), _BLOCK):
            part = members[start : start + _BLOCK]
            distance = (2 * (x[part] - low - k * width) / width - 1)[:, None] - points
            exact = distance == 0
            distance[exact] = 1.0
            lagrange = signs / distance
            lagrange /= lagrange.sum(axis=1, keepdims=True)
            hit = exact.any(axis=1)
            lagrange[hit] = exact[hit]
            moments[k] += columns[:, part] @ lagrange
    nodes = low + width * (np.arange(panels)[:, None] + 0.5 * (1 + points))
    return np.exp(2 * nodes).ravel(), moments.swapaxes(0, 1).reshape(len(columns), -1)
