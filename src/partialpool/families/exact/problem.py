"""The hierarchical model's density of (tau, sigma), and what is normal given them.

Model: y_ij ~ N(theta_j, sigma^2), theta_j ~ N(mu, tau^2), mu ~ N(m, s^2), any prior of
`partialpool.priors` for tau and for sigma. Everything normal integrates out (Gelman et al.,
*Bayesian Data Analysis*, 3rd ed., 2013, section 5.4, here with sigma unknown and a normal
prior on mu). With V_j = tau^2 + sigma^2 / n_j and w_j = 1 / V_j,

- mean_j | mu, tau, sigma ~ N(mu, V_j),
- mu | tau, sigma, y ~ N(h, 1/P), P = 1/s^2 + sum w_j, h = (m/s^2 + sum w_j mean_j) / P,
- theta_j | mu, tau, sigma, y ~ N(mu + a_j (mean_j - mu), tau^2 (1 - a_j)), a_j = tau^2 w_j,

so theta_j | tau, sigma, y is normal with mean h + a_j (mean_j - h) and variance
tau^2 (1 - a_j) + (1 - a_j)^2 / P, and theta_i - theta_j likewise with mean
a_i (mean_i - h) - a_j (mean_j - h) and variance
tau^2 (1 - a_i) + tau^2 (1 - a_j) + (a_i - a_j)^2 / P. Groups of one size share V_j, so the
density of (tau, sigma) costs as much as there are distinct sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.families.exact.classes import MOST_CLASSES, Classes
from partialpool.families.exact.plane import Plane
from partialpool.families.exact.statistics import (
    check_spread,
    check_statistics,
    log_spread,
    log_spread_constant,
    search_range,
)
from partialpool.families.moments import GroupStats
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray

_BLOCK = 60_000


@dataclass(frozen=True)
class Conditional:
    """What is normal given (tau, sigma), at each of k points.

    Attributes
    ----------
    tau2, sigma2
        Variances, shape (k,).
    mu_mean, mu_variance
        Of mu given (tau, sigma, y), with the origin of `Problem`, shape (k,).
    """

    tau2: FloatArray
    sigma2: FloatArray
    mu_mean: FloatArray
    mu_variance: FloatArray

    def pull(self, n: float) -> FloatArray:
        """Weight a_j of the group's own mean, for a group of `n` observations."""
        return self.tau2 / (self.tau2 + self.sigma2 / n)

    def theta(self, n: float, mean: float) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of theta_j, for a group of `n` observations with mean `mean`."""
        own = self.pull(n)
        rest = self.sigma2 / (n * self.tau2 + self.sigma2)
        variance = self.tau2 * rest + rest**2 * self.mu_variance
        return self.mu_mean + own * (mean - self.mu_mean), variance

    def contrast(
        self, first: tuple[float, float], second: tuple[float, float]
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of theta_i - theta_j for two groups, each (n, mean)."""
        (n, mean), (n_other, mean_other) = first, second
        own, other = self.pull(n), self.pull(n_other)
        variance = own * self.sigma2 / n + other * self.sigma2 / n_other
        variance += (own - other) ** 2 * self.mu_variance
        return own * (mean - self.mu_mean) - other * (mean_other - self.mu_mean), variance


@dataclass(frozen=True)
class Problem:
    """Data and priors, arranged for the density of (log tau, log sigma).

    Attributes
    ----------
    n, mean
        Size and mean of each group, the mean counted from `origin`, shape (J,); where observations
        have weights, a size is their sum.
    origin
        The mean of all observations.
    spare, ss
        Degrees of freedom (N - J) and sum of squares within groups.
    mu, tau, sigma
        Priors.
    log_weights
        Sum of the logarithms of all weights.
    """

    n: FloatArray
    mean: FloatArray
    origin: float
    spare: float
    ss: float
    mu: Normal
    tau: ScalePrior
    sigma: ScalePrior
    log_weights: float

    @classmethod
    def of(cls, stats: GroupStats, *, mu: Normal, tau: ScalePrior, sigma: ScalePrior) -> Problem:
        """Check sufficient statistics and move their origin to the mean of all observations.

        Raises
        ------
        InputError
            Statistics that no data can have; an improper posterior of sigma.
        """
        check_statistics(stats)
        n = np.asarray(stats.weight, dtype=float)
        means = np.asarray(stats.mean, dtype=float)
        origin = float(means[0] + np.average(means - means[0], weights=n))
        ss, spare = float(np.sum(stats.ss)), float(stats.N - n.size)
        check_spread(ss, spare, sigma, "within groups ")
        logs = float(stats.log_weights.sum())
        return cls(n, means - origin, origin, spare, ss, mu, tau, sigma, logs)

    @cached_property
    def _sizes(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Group sizes: size, number of groups, mean and sum of squares of their means.

        These are distinct sizes, or of very many nodes between them (`Classes`), where the number
        need not be whole, and the means, taken as 0, enter by their sum.
        """
        sizes, which, counts = np.unique(self.n, return_inverse=True, return_counts=True)
        if self._nodes is not None:
            found = self._nodes
            return 1 / found.variance, found.count, np.zeros_like(found.count), found.second
        means = np.asarray(np.bincount(which, self.mean) / counts, dtype=np.float64)
        squares = np.bincount(which, (self.mean - means[which]) ** 2).astype(np.float64)
        return sizes, counts.astype(np.float64), means, squares

    @cached_property
    def _nodes(self) -> Classes | None:
        """Nodes between sizes, where there are very many; None otherwise."""
        if len(np.unique(self.n)) <= MOST_CLASSES:
            return None
        return Classes.of(self.mean, self.n**-0.5)

    @cached_property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of log tau and of log sigma that hold all there is, but for power tails."""
        lengths = (
            self.tau.typical,
            self.sigma.typical,
            self.mu.scale,
            abs(self.mu.location - self.origin),
            float(np.abs(self.mean).max()),
            math.sqrt(self.ss / (self.spare + self.n.size)),
        )
        return (
            search_range(lengths, self.tau.upper_bound),
            search_range(lengths, self.sigma.upper_bound),
        )

    @cached_property
    def log_constant(self) -> float:
        """Constant factors of the likelihood; apart, as they are large and digits few."""
        means = math.log(self.mu.scale) + 0.5 * float(np.log(self.n).sum())
        means += 0.5 * self.n.size * math.log(2 * math.pi)
        return log_spread_constant(self.spare, self.ss) - means + 0.5 * self.log_weights

    def log_density(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Log of p(y, log tau = x, log sigma = z), but for `log_constant`.

        Parameters
        ----------
        x, z
            Arrays that broadcast against each other.
        """
        tau, sigma = np.exp(x), np.exp(z)
        tau2, sigma2 = np.broadcast_arrays(tau**2, sigma**2)
        flat = [self._between(*part) for part in self._blocks(tau2, sigma2)]
        of_sigma = self.sigma.log_density(sigma) + log_spread(z, self.spare, self.ss) + z
        total = np.concatenate(flat).reshape(tau2.shape)
        total += self.tau.log_density(tau) + x
        total += of_sigma
        return total

    def conditional(self, tau2: FloatArray, sigma2: FloatArray) -> Conditional:
        """Moments of mu given the variances, each shape (k,)."""
        parts = [self._mu(self._precisions(*block)) for block in self._blocks(tau2, sigma2)]
        mean, precision = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Conditional(tau2, sigma2, mean, 1 / precision)

    def _blocks(self, *arrays: FloatArray) -> Iterator[tuple[FloatArray, ...]]:
        """Cut flattened arrays so that one block times the distinct sizes fits in memory."""
        step = max(1, _BLOCK // self._sizes[0].size)
        flat = [array.ravel() for array in arrays]
        for start in range(0, flat[0].size, step):
            yield tuple(array[start : start + step] for array in flat)

    def _precisions(self, tau2: FloatArray, sigma2: FloatArray) -> FloatArray:
        """Precision of a group mean about mu, by distinct size, shape (sizes, k)."""
        variances = sigma2 / self._sizes[0][:, None]
        variances += tau2
        return np.reciprocal(variances, out=variances)

    def _mu(self, precisions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and precision of mu, each shape (k,)."""
        _, counts, means, _ = self._sizes
        prior = self.mu.scale**-2
        precision = prior + _over_sizes(counts, precisions)
        weighted = prior * (self.mu.location - self.origin)
        sums = counts * means if self._nodes is None else self._nodes.first
        return (weighted + _over_sizes(sums, precisions)) / precision, precision

    def _between(self, tau2: FloatArray, sigma2: FloatArray) -> FloatArray:
        """Log density of the group means, with mu integrated out, but for constants."""
        _, counts, means, squares = self._sizes
        w = self._precisions(tau2, sigma2)
        h, precision = self._mu(w)
        apart = means[:, None] - h
        apart *= apart
        apart *= w
        distance = _over_sizes(counts, apart) + _over_sizes(squares, w)
        if self._nodes is not None:
            distance -= 2 * h * _over_sizes(self._nodes.first, w)
        distance += ((self.mu.location - self.origin - h) / self.mu.scale) ** 2
        log_determinant = np.log(precision) - _over_sizes(counts, np.log(w, out=w))
        return -0.5 * (distance + log_determinant)

    def planes(self) -> tuple[Plane, Plane, Plane]:
        """The density with log tau, log sigma and log(tau / sigma) as outer variable."""
        tau_ends, sigma_ends = self.ends
        by_tau = Plane(
            self.log_density,
            tau_ends,
            lambda x: (np.full_like(x, sigma_ends[0]), np.full_like(x, sigma_ends[1])),
            tail_rate=self.n.size + self.tau.tail_power - 1,
        )
        by_sigma = Plane(
            lambda z, x: self.log_density(x, z),
            sigma_ends,
            lambda z: (np.full_like(z, tau_ends[0]), np.full_like(z, tau_ends[1])),
            tail_rate=self.spare + self.n.size + self.sigma.tail_power - 1,
        )
        by_ratio = Plane(
            lambda r, z: self.log_density(r + z, z),
            (tau_ends[0] - sigma_ends[1] + 1, tau_ends[1] - sigma_ends[0] - 1),
            lambda r: (
                np.maximum(sigma_ends[0], tau_ends[0] - r),
                np.minimum(sigma_ends[1], tau_ends[1] - r),
            ),
            tail_rate=np.inf,
            breaks=(tau_ends[1] - sigma_ends[1],),
        )
        return by_tau, by_sigma, by_ratio


def _over_sizes(coefficients: FloatArray, values: FloatArray) -> FloatArray:
    """Sum of values of shape (sizes, k), weighted over the sizes."""
    # Not `@`: on arrays this thin, handing the work to the threads of BLAS costs more than it.
    return np.asarray(np.einsum("s,sk->k", coefficients, values))
