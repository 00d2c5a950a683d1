"""Groups of observations whose means come from a Student-t population; see `student_t`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from partialpool.families import exact
from partialpool.families.base import Design
from partialpool.families.exact.equal_spread import count_places
from partialpool.families.exact.student_t_means import normal_means, student_t_means
from partialpool.families.moments import GroupStats
from partialpool.families.normal import Observations
from partialpool.families.protocols import Declared, Pooling
from partialpool.families.student_t import DEGREES, OF_NU, student_truth
from partialpool.families.tabled import TabledFamily
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import Priors
from partialpool.priors.spreads import StudentTChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray


class StudentTMeansFamily(TabledFamily, Observations):
    """Groups of observations, normal around means from a Student-t population."""

    name = "student_t"
    folder = "student_t"
    model: ClassVar = {"population": "student_t", "spread": "equal", "errors": "normal"}
    words = replace(Observations.words, population="a Student-t population of group means")
    settings: ClassVar[tuple[str, ...]] = (*Observations.settings, "nu_fixed", *OF_NU)
    choice_settings: ClassVar[tuple[str, ...]] = (
        *Observations.choice_settings,
        *("nu_fixed", *OF_NU),
    )
    population = ("mu", "tau", "sigma", "nu")
    has_icc = False
    mixture = "a Student-t population"
    degrees = "nu"
    local_scale = "scale"
    leaves_groups_out = True
    idea = ("a Student-t population", "a normal population")

    def places(self, stats: GroupStats) -> int:
        """Count the places at which the table looks at theta of a group."""
        return count_places(stats)

    def default_priors(self, stats: GroupStats) -> Priors:
        """Priors of the model with a normal population, and gamma(2, 0.1) for nu.

        The prior of nu is that of Juárez and Steel (2010, *Journal of Business & Economic
        Statistics* 28, 52-66): between 2 and 56 with probability 0.95.

        Raises
        ------
        InputError
            As there.
        """
        return DEGREES.defaults(super().default_priors(stats))

    def settled(self, priors: Priors) -> Priors:
        """Leave out the prior of nu where nu is fixed."""
        return DEGREES.settled(super().settled(priors))

    def base_choice(self, priors: Priors) -> StudentTChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        usual = super().base_choice(priors)
        return StudentTChoice(BASE, usual.mu, usual.tau, usual.sigma, nu=DEGREES.prior(priors))

    def named_choices(self, stats: GroupStats, priors: Priors) -> dict[str, PriorChoice]:
        """Every choice that can be asked for by name, the base first.

        Those of mu, tau and sigma one by one are as with a normal population; `nu_4` has four
        degrees of freedom, `nu_wide` gamma(2, 0.02), under which the population may be all but
        normal.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range, or all observations are equal.
        """
        usual = super().named_choices(stats, priors).items()
        kept = {name: choice for name, choice in usual if isinstance(choice, StudentTChoice)}
        return DEGREES.choices(self.base_choice(priors), kept)

    def expected(self, choice: Any, stats: GroupStats, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group before the data are seen."""
        return super().expected(choice, stats, u, DEGREES.widened(choice.nu, u, z))

    def starts(
        self, program: Declared, stats: GroupStats, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the data's moments, and of nu from 5 to 20."""
        usual = super().starts(program, stats, settings, inputs=inputs)
        return DEGREES.start(usual, program, settings, float(inputs.get("nu_fixed", 0.0)))

    def inputs(self, stats: GroupStats, *, draw_groups: bool) -> dict[str, Any]:
        """Give what programs of a normal population are given, and stand in for the prior of nu."""
        return {**super().inputs(stats, draw_groups=draw_groups), **DEGREES.inputs()}

    def weighted(self, stats: GroupStats, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        return {"n": weight * stats.n, "ss": weight * stats.ss}

    def exact_alternative(  # type: ignore[override]
        self, choice: StudentTChoice, stats: GroupStats
    ) -> exact.TabledPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return student_t_means(stats, choice)

    def usual_posterior(self, stats: GroupStats, priors: Priors) -> exact.TabledPosterior:
        """Exact posterior with a normal population."""
        return normal_means(stats, Observations.base_choice(self, priors))

    @property
    def design(self) -> Design:
        """The design of a normal population; of nu, gamma(4, 0.4), so that no mean overflows."""
        return DEGREES.design(super().design, self.name)

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
        truth = super().draw_truth(
            pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
        )
        if pooling != "partial":
            return truth
        wider = student_truth(truth, rng)
        return {**wider, "y_new": np.asarray(rng.normal(wider["theta_new"], wider["sigma"]))}


STUDENT_T_MEANS = StudentTMeansFamily()
"""The family of observations whose group means come from a Student-t population."""
