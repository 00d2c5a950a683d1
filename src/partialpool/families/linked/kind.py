"""Distribution of theta given a population that is normal on another scale, and a group's counts.

It has no name, but its density on that scale is the likelihood times a normal density, whose
integral is known (`partialpool.families.linked.integrals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from partialpool.families.conjugate import Parameters
from partialpool.families.linked.draws import draw, mode, near_mode
from partialpool.families.linked.integrals import Integrals
from partialpool.families.linked.likelihoods import Likelihood
from partialpool.types import FloatArray, IntArray

_FAST = 1e9
_ROOT = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class LinkedKind:
    """Probabilities or rates; parameters are location, scale, count and size."""

    likelihood: Likelihood
    linear = False

    def population(self, mu: FloatArray, size: FloatArray) -> Parameters:
        """Location and scale, from the mean and from (sigma / tau)^2."""
        return self.likelihood.link.invert(mu, self.likelihood.link.sd(mu, size))

    def given(self, population: Parameters, weight: FloatArray, raw: FloatArray) -> Parameters:
        """The population's parameters with the group's count and size."""
        count = np.where(weight > 0, weight * raw, 0.0).round()
        return tuple(np.broadcast_arrays(*population, count, np.where(weight > 1e-6, weight, 0.0)))

    def densities(self, given: Parameters, u: FloatArray) -> FloatArray:
        """Density of alpha of each draw of the population, shape (draws, u)."""
        location, scale, count, size = (part.ravel()[:, None] for part in given)
        log_density = self.likelihood.log_density(u.ravel(), count, size)
        log_density = log_density - 0.5 * ((u.ravel() - location) / scale) ** 2
        log_density -= np.log(scale * _ROOT) + self._log_marginal(given).reshape(-1, 1)
        return np.exp(log_density)

    def moments(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Mode of alpha, and its variance by the curvature there."""
        location, scale, count, size = (part.ravel() for part in given)
        start = near_mode(self.likelihood, count, size, location, scale)
        at, sd = mode(self.likelihood, count, size, location, scale, start)
        shape = given[0].shape
        return at.reshape(shape), np.square(sd).reshape(shape)

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The probability or rate, and its derivative."""
        link = self.likelihood.link
        return link.theta(u), link.slope(u)

    def tails(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Both fall faster than any rate: a very large one stands for it."""
        return np.full_like(given[0], _FAST), np.full_like(given[0], _FAST)

    def mean(self, given: Parameters) -> FloatArray:
        """Mean of theta."""
        return self._moments(given)[0]

    def variance(self, given: Parameters) -> FloatArray:
        """Variance of theta."""
        return self._moments(given)[1]

    def draw(self, given: Parameters, rng: np.random.Generator) -> FloatArray:
        """Draw probabilities or rates."""
        location, scale, count, size = given
        alpha = draw(self.likelihood, count, size, location, scale, rng)
        return self.likelihood.link.theta(alpha)

    def _log_marginal(self, given: Parameters) -> FloatArray:
        """Log of the integral of the likelihood, shape of the parameters."""
        result = np.empty(given[0].size)
        for at, own, location, scale in self._by_pair(given):
            result[at] = own.log_marginal(location, scale)[0]
        return result.reshape(given[0].shape)

    def _moments(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of theta, shape of the parameters each."""
        result = np.empty((2, given[0].size))
        for at, own, location, scale in self._by_pair(given):
            result[:, at] = np.concatenate(own.moments(location, scale))
        mean, variance = result.reshape(2, *given[0].shape)
        return mean, variance

    def _by_pair(
        self, given: Parameters
    ) -> Iterator[tuple[IntArray, Integrals, FloatArray, FloatArray]]:
        """Go through the pairs: where each is, its integrals, and location and scale there."""
        location, scale, count, size = (part.ravel() for part in given)
        pairs, which = np.unique(np.stack([count, size]), axis=1, return_inverse=True)
        for j in range(pairs.shape[1]):
            at = np.flatnonzero(which.ravel() == j)
            own = Integrals(self.likelihood, pairs[0, j : j + 1], pairs[1, j : j + 1])
            yield at, own, location[at], scale[at]
