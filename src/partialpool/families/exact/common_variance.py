"""The exact posterior of no pooling with one variance for all groups, by quadrature over sigma.

Model: y_ij ~ N(theta_j, sigma^2), theta_j ~ N(m, s^2) with m and s known, any prior of sigma. Given
sigma the groups are independent (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section
5.4, with tau held at s):

- mean_j | sigma ~ N(m, s^2 + sigma^2 / n_j), and the sums of squares within groups add
  -(N - J) log sigma - ss / (2 sigma^2),
- theta_j | sigma, y ~ N(m + a_j (mean_j - m), s^2 (1 - a_j)), a_j = s^2 / (s^2 + sigma^2 / n_j).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from partialpool.families.exact.mixture import HeavyMixture, NormalMixture
from partialpool.families.exact.pooling_extremes import draw_means
from partialpool.families.exact.quadrature import Marginal, marginal, narrow, refined
from partialpool.families.exact.statistics import (
    check_spread,
    check_statistics,
    log_spread,
    log_spread_constant,
    search_range,
)
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    ScalePower,
    contrast_table,
    position,
    table,
)
from partialpool.families.moments import GroupStats
from partialpool.families.protocols import NormalMeans
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray


@dataclass(frozen=True)
class Grid:
    """One resolution of the quadrature over log sigma.

    Attributes
    ----------
    model
        Data and priors.
    sigma
        Marginal density of log sigma.
    """

    model: CommonVariancePosterior
    sigma: Marginal

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        mean, variance = self._moments(j)
        return NormalMixture(self._weights, mean, np.sqrt(variance), self._origin(j))

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        (first, of_first), (second, of_second) = self._moments(i), self._moments(j)
        origin = self._origin(i) - self._origin(j)
        return NormalMixture(self._weights, first - second, np.sqrt(of_first + of_second), origin)

    def observation(self, j: int) -> NormalMixture:
        """Posterior of a new observation in group j."""
        mean, variance = self._moments(j)
        total = self.theta(j).sd ** 2 + self.sigma.scale_mean(2)
        spread = np.sqrt(variance + np.exp(2 * self.sigma.nodes.ravel()))
        return HeavyMixture(self._weights, mean, spread, self._origin(j), total)

    @property
    def _weights(self) -> FloatArray:
        return self.sigma.weights.ravel()

    def _origin(self, j: int) -> float:
        return float(self.model.stats.mean[j])

    def _moments(self, j: int) -> tuple[FloatArray, FloatArray]:
        """Means of theta_j, counted from the sample mean, and its variances, given sigma."""
        error2 = np.exp(2 * self.sigma.nodes.ravel()) / float(self.model.stats.weight[j])
        prior2 = self.model.theta.scale**2
        rest = error2 / (error2 + prior2)
        return rest * (self.model.theta.location - self._origin(j)), rest * prior2


@dataclass(frozen=True)
class CommonVariancePosterior:
    """Posterior of a mean of its own for each group, and one sd for all.

    Attributes
    ----------
    stats
        Sufficient statistics by group.
    theta, sigma
        Priors of each group's mean and of the sd, in the unit of the data.
    """

    pooling: ClassVar[Literal["none"]] = "none"

    stats: GroupStats
    theta: Normal
    sigma: ScalePrior

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(self.stats.labels)

    @cached_property
    def _spread(self) -> tuple[float, float]:
        """Degrees of freedom and sum of squares within groups."""
        return float(self.stats.N - self.stats.J), float(np.sum(self.stats.ss))

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        rest = 0.5 * float(np.log(2 * math.pi * self.stats.weight).sum())
        rest -= 0.5 * float(self.stats.log_weights.sum())
        return log_spread_constant(*self._spread) - rest + self.fine.sigma.log_total

    def log_density(self, z: FloatArray) -> FloatArray:
        """Log of p(y, log sigma = z), but for constant factors."""
        shape, stats = (-1,) + (1,) * z.ndim, self.stats
        n, mean = (np.asarray(x, dtype=float).reshape(shape) for x in (stats.weight, stats.mean))
        variance = self.theta.scale**2 + np.exp(2 * z) / n
        distance = (mean - self.theta.location) ** 2 / variance + np.log(variance)
        within = log_spread(z, *self._spread)
        return np.asarray(
            -0.5 * distance.sum(axis=0) + within + self.sigma.log_density(np.exp(z)) + z
        )

    @cached_property
    def coarse(self) -> Grid:
        """Grid that meets the tolerances of the quadrature."""
        lengths = (
            self.sigma.typical,
            self.theta.scale,
            float(np.abs(self.stats.mean - self.theta.location).max()),
            math.sqrt(self._spread[1] / self.stats.N),
        )
        ends = search_range(lengths, self.sigma.upper_bound)
        lower, upper = narrow(self.log_density, *(np.array([end]) for end in ends))
        rate = self.stats.N + self.sigma.tail_power - 1
        density = marginal(self.log_density, float(lower[0]), float(upper[0]), tail_rate=rate)
        return Grid(self, density)

    @cached_property
    def fine(self) -> Grid:
        """The same with its panels halved; the numbers reported are its."""
        return Grid(self, refined(self.log_density, self.coarse.sigma))

    def summary(
        self, *, probs: Sequence[float] = DEFAULT_PROBS, groups: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of theta and y_new by group, of sigma and of sigma2.

        Parameters
        ----------
        probs
            Probabilities of the quantiles.
        groups
            Groups that are wanted; all by default.

        Returns
        -------
        DataFrame
            Columns as `HierarchicalPosterior.summary` has them; `y_new` is a new observation
            in the group.
        """
        wanted = self.labels if groups is None else groups
        labels = {position(self.labels, label): label for label in wanted}
        return table(_quantities(labels), self.coarse, self.fine, probs)

    def contrasts(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        pairs: Iterable[tuple[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Posteriors of differences theta_i - theta_j.

        Parameters
        ----------
        probs
            Probabilities of the quantiles.
        pairs
            Pairs of labels; all pairs in the order of the groups by default.

        Returns
        -------
        DataFrame
            Columns as `HierarchicalPosterior.contrasts` has them.
        """
        return contrast_table(self.labels, self.coarse.contrast, self.fine.contrast, probs, pairs)

    def new_group(self) -> NormalMeans:
        """Mean of a group that there are no data of: its prior."""
        sigma = np.exp(self.coarse.sigma.nodes.ravel())
        mean, sd = (np.full(sigma.shape, x) for x in (self.theta.location, self.theta.scale))
        return NormalMeans(self.coarse.sigma.weights.ravel(), mean, sd, sigma)

    def known_group(self, j: int) -> NormalMeans:
        """Mean of group j."""
        theta, sigma = self.coarse.theta(j), np.exp(self.coarse.sigma.nodes.ravel())
        return NormalMeans(theta.weights, theta.origin + theta.means, theta.sds, sigma)

    def draws(
        self, *, rng: np.random.Generator, shape: tuple[int, int]
    ) -> tuple[FloatArray, FloatArray]:
        """Draw theta, shape (*shape, J), and sigma, `shape`, independently."""
        sigma: FloatArray = np.exp(self.fine.sigma.draw(shape, rng=rng))
        n, mean = self.stats.weight, self.stats.mean
        return draw_means(sigma[..., None], n, mean, theta=self.theta, rng=rng), sigma


def common_variance(
    stats: GroupStats, *, theta: Normal, sigma: ScalePrior
) -> CommonVariancePosterior:
    """Posterior of a mean of its own for each group, and one sd for all.

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    theta, sigma
        Priors of each group's mean and of the sd, in the unit of the data.

    Raises
    ------
    InputError
        Statistics that no data can have, or an improper posterior of sigma.
    """
    check_statistics(stats)
    check_spread(float(np.sum(stats.ss)), float(stats.N - stats.J), sigma, "within groups ")
    return CommonVariancePosterior(stats, theta, sigma)


def _quantities(labels: dict[int, str]) -> Iterator[Quantity[Grid]]:
    for j, label in labels.items():
        yield Quantity("theta", label, partial(_theta, j=j))
    for parameter, power in (("sigma", 1), ("sigma2", 2)):
        yield Quantity(parameter, "", partial(_sigma_power, power=power))
    for j, label in labels.items():
        yield Quantity("y_new", label, partial(_observation, j=j))


def _theta(grid: Grid, *, j: int) -> NormalMixture:
    return grid.theta(j)


def _sigma_power(grid: Grid, *, power: int) -> ScalePower:
    return ScalePower(grid.sigma, power)


def _observation(grid: Grid, *, j: int) -> NormalMixture:
    return grid.observation(j)
