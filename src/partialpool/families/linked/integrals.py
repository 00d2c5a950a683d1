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
from functools import cache, cached_property
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

_FEWER = ((1e6, 4), (1e4, 6), (500.0, 10))
"""From so many counts on, so few points: the likelihood differs from a normal one by a factor
whose logarithm is about z^3 / (6 sqrt(counts)), and what the rule leaves out is below 1e-8."""

_ROOT = float(np.sqrt(2 * np.pi))
_BLOCK, _NEAR, _LEAST = 1_000, 9.0, -300.0
_WORK, _FEWEST = 2_000, 50  # products of matrices that are small enough to need no threads
_FALL, _FAR = 96, 12.0
_VANISHED, _BEYOND = 45.0, 8  # logs below the largest likelihood, and nodes beyond that


def grid(likelihood: Likelihood, count: FloatArray, size: FloatArray) -> FloatArray:
    """Means of the normal densities from which likelihoods of few counts are put together.

    They end a little beyond where the last of the likelihoods has vanished.
    """
    center, variance = likelihood.about(count, size)
    step = min(STEP * float(np.sqrt(variance.min())), COARSEST)
    low, high = float(center.min()) - REACH, float(center.max()) + REACH
    node = np.asarray(low + step * np.arange(int(np.ceil((high - low) / step)) + 1))
    log_density = likelihood.log_density(node, count[:, None], size[:, None])
    left = (log_density - log_density.max(axis=1, keepdims=True)).max(axis=0) > -_VANISHED
    first, last = np.flatnonzero(left)[[0, -1]]
    return node[max(first - _BEYOND, 0) : last + _BEYOND + 1]


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

    @cached_property
    def peak(self) -> FloatArray:
        """What `relative` leaves out of log likelihoods, shape (K,): their size, about."""
        result = np.zeros(len(self.count))
        if self.few.any():
            result[self.few] = self._few[2]
        count, size = self.count[self.many], self.size[self.many]
        center, _ = self.likelihood.about(count, size)
        result[self.many] = self.likelihood.log_density(center, count, size)
        return result

    def log_marginal(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        """Log of the integrals of the likelihoods, but for constants, shape (K, points).

        Parameters
        ----------
        location, scale
            Of the population, shape (points,).
        """
        return self.relative(location, scale) + self.peak[:, None]

    def relative(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        """The same less `peak`: of many counts it has digits that are lost beside that."""
        result = np.zeros((len(self.count), len(location)))
        if self.few.any():
            node, coefficients, _ = self._few
            sd = np.hypot(scale, WIDTH * (node[1] - node[0]))
            # The narrower and the nearer to each other, the fewer nodes lie near enough to count.
            order = np.lexsort((location, np.round(2 * np.log(sd))))
            found = np.empty((int(self.few.sum()), len(order)))
            step = max(_FEWEST, _WORK // len(found))
            for start in range(0, len(order), step):
                part = order[start : start + step]
                m, s = location[part], sd[part]
                reach = _NEAR * float(s.max())
                near = slice(*np.searchsorted(node, [m.min() - reach, m.max() + reach]))
                z = node[near, None] * (1 / s) - m / s
                z *= z
                z *= -0.5
                densities = np.exp(np.maximum(z, _LEAST, out=z), out=z)
                found[:, part] = coefficients[:, near] @ densities / (s * _ROOT)
            with np.errstate(divide="ignore"):
                result[self.few] = np.log(np.maximum(found, 0.0))
        for k in np.flatnonzero(self.many).tolist():
            for start in range(0, len(location), _BLOCK):
                block = slice(start, start + _BLOCK)
                _, log_terms, beside = self._about(k, location[block], scale[block])
                result[k, block] = beside + special.logsumexp(log_terms, axis=0)
        return result

    def moments(self, location: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of theta given each pair and the population, shape (K, points) each.

        Of few counts they are ratios of integrals with one and two counts more. Of many that would
        be a small difference of large numbers: there they are sums over the points of the rule.
        """
        mean, variance = (np.empty((len(self.count), len(location))) for _ in range(2))
        few = ~self.many
        count, size = self.count[few], self.size[few]
        whole, first, second = (
            Integrals(self.likelihood, count + k, self.likelihood.more(size, k)).log_marginal(
                location, scale
            )
            for k in range(3)
        )
        mean[few] = np.exp(first - whole)
        variance[few] = np.maximum(np.exp(second - whole) - mean[few] ** 2, 0.0)
        for k in np.flatnonzero(self.many).tolist():
            for start in range(0, len(location), _BLOCK):
                part = slice(start, start + _BLOCK)
                alpha, log_terms, _ = self._about(k, location[part], scale[part])
                share = special.softmax(log_terms, axis=0)
                theta = self.likelihood.link.theta(alpha)
                mean[k, part] = (share * theta).sum(axis=0)
                variance[k, part] = (share * (theta - mean[k, part]) ** 2).sum(axis=0)
        return mean, variance

    def _about(
        self, k: int, location: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Points alpha of a rule, logs of their terms, shape (points of it, points), and a factor.

        The integral less its `peak` is the sum of the terms, times the exponential of the last.
        """
        center, variance = self.likelihood.about(self.count[k], self.size[k])
        count, size = self.count[k], self.size[k]
        total_variance = variance + scale**2
        sd = np.sqrt(variance / total_variance) * scale
        moved = (center - location) * (scale**2 / total_variance)  # from the location
        apart = (location - center) * (variance / total_variance)  # from the center
        x, weight = _rule(float(self.likelihood.informed(count, size)))
        away = apart + sd * x[:, None]
        log_terms = self.likelihood.change(away, center, count, size)
        log_terms += 0.5 * (x[:, None] ** 2 - ((moved + sd * x[:, None]) / scale) ** 2)
        log_terms += np.log(weight / _ROOT)[:, None]
        return center + away, log_terms, np.log(sd / scale)


def _rule(informed: float) -> tuple[FloatArray, FloatArray]:
    """Points and weights that do for a likelihood of so many counts, in a column."""
    for least, order in _FEWER:
        if informed >= least:
            return _hermite(order)
    return RULE


@cache
def _hermite(order: int) -> tuple[FloatArray, FloatArray]:
    x, weight = special.roots_hermitenorm(order)
    return x, weight


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
