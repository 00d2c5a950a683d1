"""Exact posteriors of complete pooling and of no pooling, by quadrature over sigma.

Both are the normal model with a normal prior of the mean that does not depend on sigma (Hoff,
*A First Course in Bayesian Statistical Methods*, 2009, chapter 6; Gelman et al., *Bayesian
Data Analysis*, 3rd ed., 2013, section 5.1 calls it semi-conjugate): for n values with mean
ybar, sum of squares ss, theta ~ N(m, s^2) and any prior of sigma,

- ybar | sigma ~ N(m, s^2 + sigma^2 / n), and ss adds -(n - 1) log sigma - ss / (2 sigma^2),
- theta | sigma, y ~ N(h, 1/P), P = 1/s^2 + n/sigma^2, h = (m/s^2 + n ybar/sigma^2) / P.

Where observations have weights, so that the sd of one of weight w is sigma / sqrt(w), the sum of
the weights stands for n in the variances, and mean and sum of squares are weighted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from partialpool.families.exact.mixture import HeavyMixture, NormalMixture
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

_NEGLIGIBLE = 1e-16


@dataclass(frozen=True)
class Grid:
    """One resolution of the quadrature over log sigma.

    Attributes
    ----------
    sample
        Data and priors.
    sigma
        Marginal density of log sigma.
    """

    sample: Sample
    sigma: Marginal

    @cached_property
    def theta(self) -> NormalMixture:
        """Posterior of the mean."""
        return NormalMixture(self.sigma.weights.ravel(), *self._moments, self.sample.mean)

    @cached_property
    def observation(self) -> NormalMixture:
        """Posterior of a new observation."""
        means, sds = self._moments
        variance = self.theta.sd**2 + self.sigma.scale_mean(2)
        spread = np.hypot(sds, np.exp(self.sigma.nodes.ravel()))
        weights = self.sigma.weights.ravel()
        return HeavyMixture(weights, means, spread, self.sample.mean, variance)

    @property
    def means(self) -> NormalMeans:
        """The mean at the nodes, with the sd of values around it."""
        mean, sd = self._moments
        sigma = np.exp(self.sigma.nodes.ravel())
        return NormalMeans(self.sigma.weights.ravel(), self.sample.mean + mean, sd, sigma)

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Means of theta, counted from the sample mean, and its sds, given sigma."""
        sample = self.sample
        error2 = np.exp(2 * self.sigma.nodes.ravel()) / sample.weight
        prior2 = sample.theta.scale**2
        means = error2 / (error2 + prior2) * (sample.theta.location - sample.mean)
        return means, np.sqrt(error2 * prior2 / (error2 + prior2))


@dataclass(frozen=True)
class Sample:
    """One sample, its priors, and its posterior at two resolutions.

    Attributes
    ----------
    n, weight, mean, ss
        Size, sum of the weights, mean and sum of squares about the mean.
    log_weights
        Sum of the logarithms of the weights.
    theta, sigma
        Priors of the mean and of the standard deviation.
    """

    n: float
    weight: float
    mean: float
    ss: float
    log_weights: float
    theta: Normal
    sigma: ScalePrior

    @property
    def log_constant(self) -> float:
        """Constant factors of the likelihood; apart, as they are large and digits few."""
        rest = 0.5 * math.log(2 * math.pi * self.weight) - 0.5 * self.log_weights
        return log_spread_constant(self.n - 1, self.ss) - rest

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.log_constant + self.fine.sigma.log_total

    def log_density(self, z: FloatArray) -> FloatArray:
        """Log of p(y, log sigma = z), but for `log_constant`."""
        variance = self.theta.scale**2 + np.exp(2 * z) / self.weight
        between = -0.5 * ((self.mean - self.theta.location) ** 2 / variance + np.log(variance))
        within = log_spread(z, self.n - 1, self.ss)
        return np.asarray(between + within + self.sigma.log_density(np.exp(z)) + z)

    @cached_property
    def coarse(self) -> Grid:
        """Grid that meets the tolerances of the quadrature."""
        lengths = (
            self.sigma.typical,
            self.theta.scale,
            abs(self.mean - self.theta.location),
            math.sqrt(self.ss / self.n),
        )
        ends = search_range(lengths, self.sigma.upper_bound)
        lower, upper = narrow(self.log_density, *(np.array([end]) for end in ends))
        rate = self.n + self.sigma.tail_power - 1
        density = marginal(self.log_density, float(lower[0]), float(upper[0]), tail_rate=rate)
        return Grid(self, density)

    @cached_property
    def fine(self) -> Grid:
        """The same with its panels halved; the numbers reported are its."""
        return Grid(self, refined(self.log_density, self.coarse.sigma))


@dataclass(frozen=True)
class CompletePoolingPosterior:
    """Posterior of the complete pooling model."""

    pooling: ClassVar[Literal["complete"]] = "complete"

    sample: Sample

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.sample.log_marginal_likelihood

    def summary(self, *, probs: Sequence[float] = DEFAULT_PROBS) -> pd.DataFrame:
        """Posterior moments and quantiles of theta, sigma, sigma2 and y_new.

        Parameters
        ----------
        probs
            Probabilities of the quantiles.

        Returns
        -------
        DataFrame
            Columns as `HierarchicalPosterior.summary` has them; `group` is empty; `y_new` is
            a new observation.
        """
        fine, coarse = [self.sample.fine], [self.sample.coarse]
        return table(_quantities({0: ""}), coarse, fine, probs)

    def new_group(self) -> NormalMeans:
        """The mean of all groups."""
        return self.sample.coarse.means

    def known_group(self, j: int) -> NormalMeans:
        """The mean of all groups."""
        return self.sample.coarse.means


@dataclass(frozen=True)
class NoPoolingPosterior:
    """Posterior of the no pooling model: an independent one for each group."""

    pooling: ClassVar[Literal["none"]] = "none"

    samples: tuple[Sample, ...]
    labels: tuple[str, ...]

    @cached_property
    def _coarse(self) -> list[Grid]:
        return [sample.coarse for sample in self.samples]

    @cached_property
    def _fine(self) -> list[Grid]:
        return [sample.fine for sample in self.samples]

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return math.fsum(sample.log_marginal_likelihood for sample in self.samples)

    def known_group(self, j: int) -> NormalMeans:
        """Mean of group j."""
        return self.samples[j].coarse.means

    def summary(
        self, *, probs: Sequence[float] = DEFAULT_PROBS, groups: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of theta, sigma, sigma2 and y_new, by group.

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
        return table(_quantities(labels), self._coarse, self._fine, probs)

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
        return contrast_table(
            self.labels,
            lambda i, j: _difference(self._coarse[i].theta, self._coarse[j].theta),
            lambda i, j: _difference(self._fine[i].theta, self._fine[j].theta),
            probs,
            pairs,
        )


def complete_pooling(
    stats: GroupStats,
    *,
    theta: Normal,
    sigma: ScalePrior,
) -> CompletePoolingPosterior:
    """Posterior of one mean and one sd for all observations, groups ignored.

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    theta, sigma
        Priors, in the unit of the data; the shipped program's prior of sigma2 is
        `InverseGammaVariance(0.01, 0.01)`.

    Raises
    ------
    InputError
        Statistics that no data can have, or an improper posterior of sigma.
    """
    check_statistics(stats)
    weight = np.asarray(stats.weight, dtype=float)
    means = np.asarray(stats.mean, dtype=float)
    total, origin = float(stats.N), float(means[0])
    shift = float(np.average(means - origin, weights=weight))
    ss = float(np.sum(stats.ss) + weight @ (means - origin - shift) ** 2)
    check_spread(ss, total - 1, sigma, "")
    logs = float(stats.log_weights.sum())
    return CompletePoolingPosterior(
        Sample(total, float(weight.sum()), origin + shift, ss, logs, theta, sigma)
    )


def no_pooling(stats: GroupStats, *, theta: Normal, sigma: ScalePrior) -> NoPoolingPosterior:
    """Posterior of a mean and an sd of its own for each group.

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    theta, sigma
        Priors of each group's mean and sd, in the unit of the data.

    Raises
    ------
    InputError
        Statistics that no data can have, or an improper posterior of a group's sigma.
    """
    check_statistics(stats)
    samples = []
    columns = (stats.n, stats.weight, stats.mean, stats.ss, stats.log_weights)
    for label, *own in zip(stats.labels, *columns, strict=True):
        n, weight, mean, ss, logs = map(float, own)
        check_spread(ss, n - 1, sigma, f"of group {label!r} ")
        samples.append(Sample(n, weight, mean, ss, logs, theta, sigma))
    return NoPoolingPosterior(tuple(samples), tuple(stats.labels))


def draw_means(
    sigma: FloatArray,
    n: ArrayLike,
    mean: ArrayLike,
    *,
    theta: Normal,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw the means of samples of size `n` and mean `mean`, given the sd of their values.

    The arrays broadcast against each other; the shape is theirs.
    """
    error2, prior2 = sigma**2 / np.asarray(n), theta.scale**2
    share = error2 / (error2 + prior2)
    center = mean + share * (theta.location - np.asarray(mean))
    return np.asarray(center + np.sqrt(share * prior2) * rng.standard_normal(share.shape))


def _quantities(labels: dict[int, str]) -> Iterator[Quantity[list[Grid]]]:
    for j, label in labels.items():
        yield Quantity("theta", label, partial(_theta, j=j))
    for parameter, power in (("sigma", 1), ("sigma2", 2)):
        for j, label in labels.items():
            yield Quantity(parameter, label, partial(_sigma_power, j=j, power=power))
    for j, label in labels.items():
        yield Quantity("y_new", label, partial(_observation, j=j))


def _theta(grids: list[Grid], *, j: int) -> NormalMixture:
    return grids[j].theta


def _sigma_power(grids: list[Grid], *, j: int, power: int) -> ScalePower:
    return ScalePower(grids[j].sigma, power)


def _observation(grids: list[Grid], *, j: int) -> NormalMixture:
    return grids[j].observation


def _difference(first: NormalMixture, second: NormalMixture) -> NormalMixture:
    """Distribution of a difference of independent mixtures."""
    weights = np.outer(first.weights, second.weights)
    keep = weights > _NEGLIGIBLE
    weights = weights[keep]
    means = np.subtract.outer(first.means, second.means)[keep]
    sds = np.hypot.outer(first.sds, second.sds)[keep]
    origin = first.origin - second.origin
    return NormalMixture(weights / weights.sum(), means, sds, origin)
