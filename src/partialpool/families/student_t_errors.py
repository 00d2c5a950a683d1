"""Student-t errors in the place of normal ones: some observations may lie far from their group.

y_i = theta_j + sigma t_i with t_i Student t of nu degrees of freedom, which is a normal error whose
sd is sigma times a scale of each observation's own: 1 / scale_i^2 ~ gamma(nu / 2, nu / 2). Given
theta, sigma and nu, an observation that lies z = (y_i - theta_j) / sigma off has the weight
1 / scale_i^2 = (nu + 1) / (nu + z^2) on average, so that one that lies far off says little (Lange,
Little and Taylor 1989, *Journal of the American Statistical Association* 84, 881-896).

Complete and no pooling are those of normal errors, which the model is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.base import (
    CENTERED,
    COMMON_VARIANCE,
    COMPLETE,
    NONCENTERED,
    NONE,
    Design,
    draw_population,
)
from partialpool.families.exact.equal_spread import equal_spread
from partialpool.families.exact.statistics import log_student_t
from partialpool.families.exact.student_t_errors import rough, student_t_errors
from partialpool.families.moments import GroupStats, group_stats
from partialpool.families.normal import Observations
from partialpool.families.protocols import Declared, Pooling
from partialpool.families.student_t import DEGREES
from partialpool.families.student_t_means import StudentTMeansFamily
from partialpool.priors.hyperparameters import Priors
from partialpool.priors.spreads import StudentTChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray, IntArray

_WELL_KNOWN = 0.7


@dataclass(frozen=True)
class RowStats(GroupStats):
    """Statistics of groups, and the observations of each, of which no statistics suffice.

    Attributes
    ----------
    labels, n, mean, ss
        As of `GroupStats`.
    rows
        Observations of each group.
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray
    rows: tuple[FloatArray, ...] = ()

    apart: ClassVar[tuple[str, ...]] = ("labels", "rows")

    def take(self, at: IntArray) -> RowStats:
        """Return the statistics and observations of some groups."""
        found = super().take(at)
        rows = tuple(self.rows[j] for j in at)
        return RowStats(found.labels, found.n, found.mean, found.ss, rows)

    def without_row(self, j: int, value: float, weight: float = 1.0) -> RowStats | None:
        """Return the statistics without one observation of group j; None where it has no other."""
        found = super().without_row(j, value, weight)
        if found is None:
            return None
        left = np.delete(self.rows[j], int(np.argmin(np.abs(self.rows[j] - value))))
        rows = (*self.rows[:j], left, *self.rows[j + 1 :])
        return RowStats(found.labels, found.n, found.mean, found.ss, rows)


class StudentTErrorsFamily(StudentTMeansFamily):
    """Groups of observations with Student-t errors around means from a normal population.

    Choices of priors are those of a Student-t population, but that sigma is the errors' scale, and
    nu their degrees of freedom.
    """

    name = "student_t_errors"
    folder = "student_t_errors"
    model: ClassVar = {"population": "normal", "spread": "equal", "errors": "student_t"}
    statistics: ClassVar[type[Any]] = RowStats
    words = Observations.words
    programs: ClassVar[tuple[str, ...]] = (COMPLETE, NONE, COMMON_VARIANCE, CENTERED, NONCENTERED)
    mixture = "Student-t errors"
    degrees = ""
    local_scale = ""
    errors_degrees = "nu"
    idea = ("Student-t errors", "normal errors")

    def with_rows(self, stats: GroupStats, y: FloatArray, group: IntArray) -> RowStats:
        """Put the observations of each group beside their statistics.

        Raises
        ------
        InputError
            The observations are not at hand.
        """
        if len(y) == 0:
            raise InputError(
                "--errors student_t: with Student-t errors no statistics by group suffice, so the "
                "observations are needed, and these data have only the statistics; raise "
                "--most-observations, or leave --errors out"
            )
        order = np.argsort(group, kind="stable")
        rows = tuple(np.split(y[order], np.cumsum(stats.n)[:-1]))
        return RowStats(stats.labels, stats.n, stats.mean, stats.ss, rows)

    def compared(self, stats: Any) -> tuple[tuple[str, ...], str]:
        """Complete, no and partial pooling, in the form that samples well.

        Where the groups' own observations say more of their means than the population does, that
        is the centered form; elsewhere the non-centered one (Betancourt and Girolami 2015).
        """
        middles, scale = rough(stats.rows)
        of_means = scale**2 / stats.n
        between = max(0.0, float(np.var(middles) - of_means.mean()))
        own = between / (between + of_means)
        form = CENTERED if float(np.median(own)) > _WELL_KNOWN else NONCENTERED
        return (COMPLETE, NONE, form), ""

    def expected(self, choice: Any, stats: GroupStats, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group before the data are seen."""
        turned = z[[0, 2, 1]]
        return Observations.expected(
            self, choice, stats, u, DEGREES.widened(choice.nu, u, turned)[[0, 2, 1]]
        )

    def starts(
        self, program: Declared, stats: GroupStats, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """As with normal errors, nu from 5 to 20, and what stands for theta within a tau or two."""
        found = super().starts(program, stats, settings, inputs=inputs)
        if "theta_shifted" in program.declared["parameters"]:
            for chain, start in enumerate(found, start=1):
                rng = np.random.default_rng([settings.seed, chain, 2])
                start["theta_shifted"] = rng.uniform(-1, 1, stats.J)
        return found

    def inputs(self, stats: GroupStats, *, draw_groups: bool) -> dict[str, Any]:
        """Give what programs of normal errors are given, and stand in for the prior of nu."""
        return {**super().inputs(stats, draw_groups=draw_groups), "likelihood_power": 1.0}

    def weighted(self, stats: GroupStats, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        return {"likelihood_power": weight}

    def log_likelihood_given(
        self,
        stats: RowStats,
        theta: FloatArray,
        error_sd: FloatArray,
        others: Mapping[str, FloatArray],
    ) -> FloatArray:
        """Log density of all observations; Student t where there are degrees of freedom."""
        if self.errors_degrees not in others:
            return self.log_likelihood(stats, theta, error_sd)
        nu, sigma = others[self.errors_degrees], error_sd[0]
        each = zip(stats.rows, theta, strict=True)
        return np.asarray(sum(log_student_t(rows, own, sigma, nu) for rows, own in each))

    def exact_alternative(  # type: ignore[override]
        self, choice: StudentTChoice, stats: RowStats
    ) -> exact.TabledPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return student_t_errors(stats.labels, stats.rows, choice)

    def usual_posterior(self, stats: GroupStats, priors: Priors) -> exact.TabledPosterior:
        """Exact posterior with normal errors, whose sd has the prior of the scale."""
        choice = Observations.base_choice(self, priors)
        assert choice.sigma is not None
        return equal_spread(stats, choice, choice.sigma)

    @property
    def design(self) -> Design:
        """The design of normal errors; of nu, gamma(4, 0.4), so that no error overflows."""
        return DEGREES.design(Observations.design.fget(self), self.name)  # type: ignore[attr-defined]

    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: Any,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw means and sds from their priors or, under partial pooling, from a population."""
        if pooling != "partial":
            return Observations.draw_truth(
                self, pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
            )
        truth = draw_population(choice, groups, rng)
        error = truth["sigma"] * rng.standard_t(truth["nu"])
        return {**truth, "y_new": np.asarray(truth["theta_new"] + error)}

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, RowStats]:
        """Draw observations of groups of these sizes; normal ones where there is no nu."""
        n = np.array(sizes, dtype=np.int64)
        group = np.repeat(np.arange(n.size), n)
        mean, sd = (np.broadcast_to(truth[name], n.shape)[group] for name in ("theta", "sigma"))
        t = rng.standard_t(truth["nu"], n.sum()) if "nu" in truth else rng.standard_normal(n.sum())
        y = np.asarray(mean + sd * t)
        plain = group_stats(y, group, [str(j) for j in range(1, n.size + 1)])
        return y, group, self.with_rows(plain, y, group)


STUDENT_T_ERRORS = StudentTErrorsFamily()
"""The family of observations with Student-t errors."""
