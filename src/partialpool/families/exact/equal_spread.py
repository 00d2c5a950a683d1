"""Groups of observations with one variance and a normal population, by tables of values.

The same posterior as that of `hierarchical`, which is faster and has more digits; this one scores
groups that are left out, to compare other models with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from partialpool.families.exact.normal_population import NormalPopulation
from partialpool.families.exact.tabled import (
    Axis,
    TabledPosterior,
    places_of_theta,
    tabled,
)
from partialpool.families.moments import GroupStats
from partialpool.priors import ScalePrior
from partialpool.priors.choices import PriorChoice
from partialpool.types import FloatArray

_LOG_2_PI = math.log(2 * math.pi)
_GUESS = 5.0


@dataclass(frozen=True)
class EqualSpread(NormalPopulation):
    """Normal observations with one variance for all groups, whose sd has a prior of its own."""

    stats: GroupStats
    choice: PriorChoice
    sigma: ScalePrior
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float

    def log_prior(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of mu and tau, or of sigma."""
        priors = {**self.choice.priors, "sigma": self.sigma}
        return np.asarray(sum(priors[name].log_density(value) for name, value in values.items()))

    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of normal observations."""
        return log_observations(self.stats, j, theta, values["sigma"])[0]

    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Probability of a smaller sample mean."""
        return log_observations(self.stats, j, theta, values["sigma"])[1]


def log_observations(
    stats: GroupStats, j: int, theta: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log density of a group's observations given theta, and P(a smaller sample mean)."""
    n, mean, ss = (float(part[j]) for part in (stats.n, stats.mean, stats.ss))
    squares = ss + n * (mean - theta) ** 2
    log = -0.5 * n * _LOG_2_PI - n * np.log(sigma) - 0.5 * squares / sigma**2
    return np.asarray(log), np.asarray(special.ndtr((mean - theta) * math.sqrt(n) / sigma))


def typical_sds(stats: GroupStats) -> FloatArray:
    """Rough sds within groups, each shrunk towards that of all."""
    whole = stats.within_sd**2
    return np.asarray(np.sqrt((_GUESS * whole + stats.ss) / (_GUESS + stats.n)))


def equal_spread(stats: GroupStats, choice: PriorChoice, sigma: ScalePrior) -> TabledPosterior:
    """Posterior of partial pooling with one variance and a normal population.

    Parameters
    ----------
    stats
        Sufficient statistics by group, of which at least one has two different values.
    choice
        Priors of mu and of tau.
    sigma
        Prior of the sd within groups.
    """

    def make() -> EqualSpread:
        places = equal_places(stats, "sigma")
        return EqualSpread(stats.labels, stats, choice, sigma, *places)

    return tabled(make, stats, choice, "equal")


def count_places(stats: GroupStats) -> int:
    """Count the places at which theta is looked at."""
    *_, ends, step = equal_places(stats, "sigma")
    return places_of_theta(ends, step)


def equal_places(
    stats: GroupStats, sigma: str, *more: Axis
) -> tuple[tuple[Axis, Axis], tuple[Axis, ...], tuple[float, float], float]:
    """Rough places of the parameters, and where theta is looked at."""
    sd = typical_sds(stats)
    se = sd / np.sqrt(stats.n)
    between = math.sqrt(max(float(np.var(stats.mean)), float((se**2).mean()) / 10))
    precise = math.sqrt(0.5 / max(1, stats.N - stats.J)) + 0.1
    population = (
        Axis("mu", stats.grand_mean, between / math.sqrt(stats.J), positive=False, count=19),
        Axis("tau", math.log(between), 0.7, reach=(-3.6, 2.8), count=29),
    )
    errors = (Axis(sigma, math.log(stats.within_sd), precise, count=19), *more)
    ends = (float((stats.mean - 10 * se).min()), float((stats.mean + 10 * se).max()))
    return population, errors, ends, float(se.min()) / 20
