"""The exact posterior of groups of observations whose errors are Student t.

No statistics suffice: the density of a group is the product over its observations, which is looked
at on nodes of theta, of the errors' scale and of their degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partialpool.families.exact.normal_population import NormalPopulation
from partialpool.families.exact.statistics import log_student_t
from partialpool.families.exact.tabled import Axis, TabledPosterior, degrees_axis, tabled
from partialpool.priors.spreads import Fixed, StudentTChoice
from partialpool.types import FloatArray

_REACH, _STEPS = 20.0, 12.0
_TO_SD = 1.4826
_LEAST = 0.05


@dataclass(frozen=True)
class StudentTErrors(NormalPopulation):
    """Student-t observations with one scale and one number of degrees of freedom for all groups.

    Attributes
    ----------
    rows
        Observations of each group.
    choice
        Priors; nu is no parameter where it is fixed.
    """

    rows: tuple[FloatArray, ...]
    choice: StudentTChoice
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float

    def log_prior(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of mu and tau, or of sigma and nu."""
        return np.asarray(
            sum(self.choice.priors[name].log_density(value) for name, value in values.items())
        )

    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of Student-t observations, with all constants."""
        fixed, sigma = self.choice.nu, values["sigma"]
        nu = np.full_like(sigma, fixed.value) if isinstance(fixed, Fixed) else values["nu"]
        return log_student_t(self.rows[j], theta, sigma, nu)

    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """NaN: means of Student-t observations have no distribution that is known in short."""
        return np.full((1, theta.size), np.nan)


def student_t_errors(
    labels: tuple[str, ...], rows: tuple[FloatArray, ...], choice: StudentTChoice
) -> TabledPosterior:
    """Posterior of partial pooling with Student-t errors.

    Parameters
    ----------
    labels
        Names of the groups.
    rows
        Observations of each, not all of them equal to the others of their group.
    choice
        Priors.
    """

    def make() -> StudentTErrors:
        middles, scale = rough(rows)
        se = scale / np.sqrt([len(each) for each in rows])
        between = math.sqrt(max(float(np.var(middles)), float((se**2).mean()) / 10))
        spare = max(1, sum(map(len, rows)) - len(rows))
        population = (
            Axis("mu", float(middles.mean()), between / math.sqrt(len(rows)), False, count=19),
            Axis("tau", math.log(between), 0.7, reach=(-3.6, 2.8), count=29),
        )
        errors = [Axis("sigma", math.log(scale), math.sqrt(0.5 / spare) + 0.1, count=19)]
        if not isinstance(choice.nu, Fixed):
            errors.append(degrees_axis("nu", choice.nu))
        means = np.array([each.mean() for each in rows])
        ends = (
            float((np.minimum(middles, means) - _REACH * se).min()),
            float((np.maximum(middles, means) + _REACH * se).max()),
        )
        step = float(se.min()) / _STEPS
        return StudentTErrors(labels, rows, choice, population, tuple(errors), ends, step)

    return tabled(make, rows, choice)


def rough(rows: Sequence[FloatArray]) -> tuple[FloatArray, float]:
    """Medians of groups, and a scale of errors, that outliers hardly move.

    The scale is that of the median distance from the medians of groups of more than one
    observation, in sds of a normal distribution, and never below a twentieth of the sd.
    """
    middles = np.array([float(np.median(each)) for each in rows])
    apart = [each - middle for each, middle in zip(rows, middles, strict=True) if len(each) > 1]
    left = np.concatenate(apart) if apart else middles - middles.mean()
    sd = math.sqrt(float((left**2).mean()))
    return middles, max(_TO_SD * float(np.median(np.abs(left))), _LEAST * sd)
