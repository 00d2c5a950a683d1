"""The exact posterior of estimates with known standard errors whose population is Student t."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from partialpool.families.exact.tabled import (
    Axis,
    Hidden,
    Tabled,
    TabledPosterior,
    degrees_axis,
    tabled,
)
from partialpool.priors.spreads import Fixed, StudentTChoice
from partialpool.types import FloatArray

_LOG_2_PI = math.log(2 * math.pi)
_PLACES = 201


@dataclass(frozen=True)
class StudentTPopulation(Tabled):
    """Theta is Student t about mu, with scale tau and nu degrees of freedom.

    Attributes
    ----------
    labels
        Names of the groups.
    choice
        Priors; nu is no parameter where it is fixed.
    """

    labels: tuple[str, ...]
    choice: StudentTChoice

    def log_prior(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of the parameters given."""
        each = (self.choice.priors[name].log_density(value) for name, value in values.items())
        return np.asarray(sum(each, np.zeros(1)))

    def degrees(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Degrees of freedom, learnt or fixed."""
        nu = self.choice.nu
        return np.asarray(nu.value if isinstance(nu, Fixed) else values["nu"])

    def log_population(self, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log density of a Student t."""
        nu, tau = self.degrees(values), values["tau"]
        constant = special.gammaln(0.5 * (nu + 1)) - special.gammaln(0.5 * nu)
        constant = constant - 0.5 * np.log(nu * math.pi) - np.log(tau)
        return np.asarray(
            constant - 0.5 * (nu + 1) * np.log1p(((theta - values["mu"]) / tau) ** 2 / nu)
        )

    def population_cdf(self, theta: float, values: Mapping[str, FloatArray]) -> FloatArray:
        """Share of a Student t below theta."""
        z = (theta - values["mu"]) / values["tau"]
        return np.asarray(special.stdtr(self.degrees(values), z))

    def population_variance(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """tau^2 nu / (nu - 2); infinite up to two degrees of freedom."""
        nu = self.degrees(values) + 0 * values["tau"]
        wide = np.where(nu > 2, nu / np.where(nu > 2, nu - 2, 1.0), np.inf)
        return np.asarray(values["tau"] ** 2 * wide)


@dataclass(frozen=True)
class StudentTEffects(StudentTPopulation):
    """Estimates that are normal around theta with known standard errors."""

    y: FloatArray
    se: FloatArray
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float

    also_by_group = ("scale",)

    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of an estimate."""
        z = (self.y[j] - theta) / self.se[j]
        return np.asarray(-0.5 * z**2 - math.log(self.se[j]) - 0.5 * _LOG_2_PI)[None]

    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Probability of a smaller estimate."""
        return np.asarray(special.ndtr((self.y[j] - theta) / self.se[j]))[None]

    def hidden(
        self, j: int, errors: Mapping[str, FloatArray], population: Mapping[str, FloatArray]
    ) -> dict[str, Hidden]:
        """How much wider than tau the population is for the group, in steps of its logarithm."""
        log_scale = np.linspace(-3.0, 9.0, _PLACES)
        nu, precision = self.degrees(population), np.exp(-2 * log_scale)
        of_scale = 0.5 * nu * (np.log(0.5 * nu) - 2 * log_scale - precision)
        of_scale = of_scale - special.gammaln(0.5 * nu)
        variance = population["tau"] ** 2 / precision + self.se[j] ** 2
        apart = (self.y[j] - population["mu"]) ** 2
        density = np.exp(of_scale - 0.5 * np.log(variance) - 0.5 * apart / variance)
        return {"scale": Hidden(log_scale, np.exp, np.ones((1, _PLACES)), density)}


def where_theta_is(y: FloatArray, se: FloatArray) -> tuple[tuple[float, float], float]:
    """Between which values theta is looked at, and in which steps."""
    return (float((y - 9 * se).min()), float((y + 9 * se).max())), float(se.min()) / 12


def student_t_effects(
    labels: tuple[str, ...], y: FloatArray, se: FloatArray, choice: StudentTChoice
) -> TabledPosterior:
    """Posterior of partial pooling with a Student-t population.

    Parameters
    ----------
    labels
        Names of the groups.
    y, se
        Estimates and their standard errors, shape (J,).
    choice
        Priors.
    """

    def make() -> StudentTEffects:
        between = math.sqrt(max(float(np.var(y)) - float((se**2).mean()), float((se**2).min())))
        weights = 1 / (se**2 + between**2)
        middle = float(y[0] + np.average(y - y[0], weights=weights))
        axes = [
            Axis("mu", middle, float(weights.sum()) ** -0.5, positive=False, count=19),
            Axis("tau", math.log(between), 1.0, reach=(-3.6, 2.8), count=29),
        ]
        if not isinstance(choice.nu, Fixed):
            axes.append(degrees_axis("nu", choice.nu))
        ends, step = where_theta_is(y, se)
        return StudentTEffects(labels, choice, y, se, tuple(axes), (), ends, step)

    return tabled(make, y, se, choice)
