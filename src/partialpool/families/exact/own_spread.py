"""The exact posterior of partial pooling where each group has a variance of its own.

Given theta, nu0 and sigma0, the observations of a group are a multivariate Student t (the model of
Hoff 2009, *A First Course in Bayesian Statistical Methods*, section 8.5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from partialpool.families.exact.equal_spread import equal_places, typical_sds
from partialpool.families.exact.normal_population import NormalPopulation
from partialpool.families.exact.tabled import (
    Axis,
    Hidden,
    TabledPosterior,
    degrees_axis,
    tabled,
)
from partialpool.families.moments import GroupStats
from partialpool.priors.spreads import OwnSpreadChoice
from partialpool.types import FloatArray

_LOG_2_PI = math.log(2 * math.pi)
_WIDE, _PLACES = 14.0, 801


@dataclass(frozen=True)
class OwnSpreadModel(NormalPopulation):
    """Normal observations whose variances come from a scaled inverse-chi-squared population."""

    stats: GroupStats
    choice: OwnSpreadChoice
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float

    also_by_group = ("sigma",)

    def log_prior(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of mu and tau, or of sigma0 and nu0."""
        return np.asarray(
            sum(self.choice.priors[name].log_density(value) for name, value in values.items())
        )

    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of a multivariate Student t, with all constants."""
        n, mean, ss = (float(part[j]) for part in (self.stats.n, self.stats.mean, self.stats.ss))
        half, scale = 0.5 * values["nu0"], 0.5 * values["nu0"] * values["sigma0"] ** 2
        given = half + 0.5 * n
        constant = half * np.log(scale) - special.gammaln(half) + special.gammaln(given)
        squares = scale + 0.5 * (ss + n * (mean - theta) ** 2)
        return np.asarray(constant - 0.5 * n * _LOG_2_PI - given * np.log(squares))

    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Probability of a smaller sample mean, which is Student t around theta."""
        se = values["sigma0"] / math.sqrt(float(self.stats.n[j]))
        return np.asarray(special.stdtr(values["nu0"], (float(self.stats.mean[j]) - theta) / se))

    def hidden(
        self, j: int, errors: Mapping[str, FloatArray], population: Mapping[str, FloatArray]
    ) -> dict[str, Hidden]:
        """The sd within the group: its variance v is looked at in steps of log v."""
        n, mean, ss = (float(part[j]) for part in (self.stats.n, self.stats.mean, self.stats.ss))
        middle = 2 * math.log(typical_sds(self.stats)[j])
        log_v = np.linspace(middle - _WIDE, middle + _WIDE, _PLACES)
        half, scale = 0.5 * errors["nu0"], 0.5 * errors["nu0"] * errors["sigma0"] ** 2
        given_errors = half * np.log(scale) - special.gammaln(half)
        given_errors = given_errors - (half + 0.5 * (n - 1)) * log_v
        given_errors = given_errors - (scale + 0.5 * ss) * np.exp(-log_v)
        variance = population["tau"] ** 2 + np.exp(log_v) / n
        of_mean = -0.5 * (np.log(variance) + (mean - population["mu"]) ** 2 / variance)
        sides = (np.exp(part - part.max()) for part in (given_errors, of_mean))
        return {"sigma": Hidden(log_v, _root_of_exp, *sides)}


def _root_of_exp(log_v: FloatArray) -> FloatArray:
    return np.asarray(np.exp(0.5 * log_v))


def own_spread(stats: GroupStats, choice: OwnSpreadChoice) -> TabledPosterior:
    """Posterior of partial pooling with own variances.

    Parameters
    ----------
    stats
        Sufficient statistics by group, of which at least one has two different values.
    choice
        Priors.
    """

    def make() -> OwnSpreadModel:
        alike = degrees_axis("nu0", choice.nu0)
        return OwnSpreadModel(stats.labels, stats, choice, *equal_places(stats, "sigma0", alike))

    return tabled(make, stats, choice)
