"""The exact posterior of groups of observations whose means come from a Student-t population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from partialpool.families.exact.equal_spread import equal_places, equal_spread, log_observations
from partialpool.families.exact.student_t import StudentTPopulation
from partialpool.families.exact.tabled import Axis, TabledPosterior, degrees_axis, tabled
from partialpool.families.moments import GroupStats
from partialpool.priors.choices import PriorChoice
from partialpool.priors.spreads import Fixed, StudentTChoice
from partialpool.types import FloatArray


@dataclass(frozen=True)
class StudentTMeans(StudentTPopulation):
    """Normal observations with one variance for all groups."""

    stats: GroupStats
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float

    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of normal observations."""
        return log_observations(self.stats, j, theta, values["sigma"])[0]

    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Probability of a smaller sample mean."""
        return log_observations(self.stats, j, theta, values["sigma"])[1]


def student_t_means(stats: GroupStats, choice: StudentTChoice) -> TabledPosterior:
    """Posterior of partial pooling with a Student-t population.

    Parameters
    ----------
    stats
        Sufficient statistics by group, of which at least one has two different values.
    choice
        Priors.
    """

    def make() -> StudentTMeans:
        (mu, tau), errors, ends, step = equal_places(stats, "sigma")
        axes = [mu, tau]
        if not isinstance(choice.nu, Fixed):
            axes.append(degrees_axis("nu", choice.nu))
        return StudentTMeans(stats.labels, choice, stats, tuple(axes), errors, ends, 1.5 * step)

    return tabled(make, stats, choice)


def normal_means(stats: GroupStats, choice: PriorChoice) -> TabledPosterior:
    """Posterior of partial pooling with a normal population, under the same priors."""
    assert choice.sigma is not None
    return equal_spread(stats, choice, choice.sigma)
