"""Probabilities of counts with alpha, which is normal, integrated out.

A likelihood of few counts is put together from normal densities of one sd, the same for all pairs
of count and size, whose means lie on a grid (interpolation with radial basis functions). Of each
of them the mean over alpha ~ normal(location, scale) is a normal density again, so that the
probabilities of all pairs are one product of a matrix with a vector, for every location and for
every scale from 0 on. With 1.2 steps of the grid as sd, what the interpolation misses is
exp(-2 (1.2 pi)^2), 5e-13 of the largest likelihood.

A likelihood of many counts would need a fine grid, and is nearly normal. It is integrated by the
rule of Gauss and Hermite about the product of that normal density with the population's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from partialpool.families.linked.likelihoods import Likelihood
from partialpool.types import FloatArray

BoolArray: TypeAlias = NDArray[np.bool_]

MANY = 30
"""Counts from which on a likelihood is integrated about its own center."""

WIDTH = 1.2
"""Sd of the normal densities that likelihoods are put together from, in steps of the grid."""

STEP = 0.5
"""Step of the grid, in sds of the narrowest likelihood of few counts."""

COARSEST = 0.2
"""Largest step, at which the likelihood of no event is resolved as well."""

REACH = 20.0
"""How far the grid extends beyond the centers of the likelihoods."""

RULE = special.roots_hermitenorm(16)
"""Points and weights for many counts."""

_ROOT = float(np.sqrt(2 * np.pi))
_BLOCK, _NEAR = 2_000, 9.0
_FALL, _FAR = 96, 12.0


def grid(likelihood: Likelihood, count: FloatArray, size: FloatArray) -> FloatArray:
    """Means of the normal densities from which likelihoods of few counts are put together."""
    center, variance = likelihood.about(count, size)
    step = min(STEP * float(np.sqrt(variance.min())), COARSEST)
    low, high = float(center.min()) - REACH, float(center.max()) + REACH
    return np.asarray(low + step * np.arange(int(np.ceil((high - low) / step)) + 1))


def interpolation(node: FloatArray) -> FloatArray:
    """Normal densities on the grid at its own nodes, shape (Q, Q)."""
    sd = WIDTH * (node[1] - node[0])
    return np.asarray(np.exp(-0.5 * ((node[:, None] - node) / sd) ** 2) / (sd * _ROOT))


@dataclass(frozen=True)
class Integrals:
    """Pairs of count and size, arranged for integrals over alpha.

    Attributes
    ----------
    likelihood
        Of alpha.
    count, size
        Shape (K,); a size of 0 is a group of which nothing was seen.
    """

    likelihood: Likelihood
    count: FloatArray
    size: FloatArray

    @cached_property
    def many(self) -> BoolArray:
        """Which pairs have many counts, shape (K,)."""
        return np.asarray(self.likelihood.informed(self.count, self.size) >= MANY)

    @cached_property
    def few(self) -> BoolArray:
        """Which pairs have few counts, and some size, shape (K,)."""
        return np.asarray(~self.many & (self.size > 0))

    @cached_property
    def _few(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Nodes, coefficients of each pair, and its largest log likelihood on the nodes."""
        count, size = self.count[self.few], self.size[self.few]
        node = grid(self.likelihood, count, size)
        log_density = self.likelihood.log_density(node, count[:, None], size[:, None])
        peak = log_density.max(axis=1)
        values = np.exp(log_density - peak[:, None])
        solved = linalg.solve_toeplitz(interpolation(node)[0], values.T).T
        return node, np.ascontiguousarray(solved), peak

    def log_marginal(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        """Log of the integrals of the likelihoods, but for constants, shape (K, points).

        Parameters
        ----------
        location, scale
            Of the population, shape (points,).
        """
        result = np.zeros((len(self.count), len(location)))
        if self.few.any():
            node, coefficients, peak = self._few
            sd = np.hypot(scale, WIDTH * (node[1] - node[0]))
            order = np.argsort(sd)  # the narrower, the fewer nodes lie near enough to count
            for start in range(0, len(order), _BLOCK):
                part = order[start : start + _BLOCK]
                m, reach = location[part], _NEAR * float(sd[part[-1]])
                near = slice(*np.searchsorted(node, [m.min() - reach, m.max() + reach]))
                z = (node[near, None] - m) / sd[part]
                densities = np.exp(-0.5 * z**2)
                integrals = coefficients[:, near] @ densities / (sd[part] * _ROOT)
                with np.errstate(divide="ignore"):
                    logs = np.log(np.maximum(integrals, 0.0))
                result[np.ix_(self.few, part)] = logs + peak[:, None]
        for k in np.flatnonzero(self.many).tolist():
            result[k] = self._about(k, location, scale)
        return result

    def _about(self, k: int, location: FloatArray, scale: FloatArray) -> FloatArray:
        center, variance = self.likelihood.about(self.count[k], self.size[k])
        count, size = self.count[k], self.size[k]
        total_variance = variance + scale**2
        sd = np.sqrt(variance / total_variance) * scale
        moved = (center - location) * (scale**2 / total_variance)  # from the location
        apart = (location - center) * (variance / total_variance)  # from the center
        total = np.full(len(location), -np.inf)
        for x, weight in zip(RULE[0], RULE[1] / _ROOT, strict=True):
            log_density = self.likelihood.change(apart + sd * x, center, count, size)
            log_density += 0.5 * (x**2 - ((moved + sd * x) / scale) ** 2)
            total = np.logaddexp(total, log_density + np.log(weight))
        at_center = self.likelihood.log_density(center, count, size)
        return np.asarray(at_center + total + np.log(sd / scale))


def log_probability(
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    location: FloatArray,
    scale: FloatArray,
) -> FloatArray:
    """Log probability of counts of groups from the population, shape (J, points)."""
    pairs, which = np.unique(np.stack([count, size]), axis=1, return_inverse=True)
    found = Integrals(likelihood, *pairs).log_marginal(location, scale)
    found += likelihood.constant(*pairs)[:, None]
    return np.asarray(found[which.ravel()])


def below(
    likelihood: Likelihood, count: float, size: float, location: FloatArray, scale: FloatArray
) -> FloatArray:
    """Probability of a smaller count of a new group, the same counted half, shape (points,).

    The distribution function at alpha falls about where the likelihood lies, as smoothly as that is
    wide. So the narrower of it and the population is integrated over.
    """
    counts = np.asarray(count, dtype=float), np.asarray(size, dtype=float)
    center, variance = likelihood.about(*counts)
    result = np.empty(len(location))
    narrow = scale**2 < 0.5 * min(float(variance), 1.0)
    points, weights = RULE
    alpha = location[narrow, None] + scale[narrow, None] * points
    result[narrow] = likelihood.below(alpha, *counts) @ (weights / _ROOT)
    x, weights = special.roots_legendre(_FALL)
    reach = _FAR * float(np.sqrt(variance))
    m, s = location[~narrow, None], scale[~narrow, None]
    alpha = center + reach * x
    value = likelihood.below(alpha, *counts)
    densities = np.exp(-0.5 * ((alpha - m) / s) ** 2) / (s * _ROOT)
    beyond = special.ndtr((center - reach - m[:, 0]) / s[:, 0])
    result[~narrow] = value[0] * beyond + densities @ (value * weights * reach)
    return result
