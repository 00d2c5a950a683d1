"""A Student-t population in the place of the normal one: some groups may lie far from the others.

theta_j = mu + tau t_j with t_j Student t of nu degrees of freedom, which is a normal population
whose sd is tau times a scale of each group's own: 1 / scale_j^2 ~ gamma(nu / 2, nu / 2). A group
that lies far out has a large scale, and is pulled less (Gelman et al., *Bayesian Data Analysis*,
3rd ed., 2013, chapter 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.base import Design
from partialpool.families.exact.student_t import student_t_effects, where_theta_is
from partialpool.families.exact.tabled import places_of_theta
from partialpool.families.known_errors import Estimates, KnownErrors
from partialpool.families.protocols import Declared, Pooling
from partialpool.families.tabled import TabledFamily
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import SET_BY_USER, STANDARD, Priors
from partialpool.priors.spreads import LEARNT, Fixed, Gamma, StudentTChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray

OF_NU = ("nu_shape", "nu_rate")
"""Settings of the prior of nu."""


@dataclass(frozen=True)
class Degrees:
    """What models with degrees of freedom share: settings, choices and starts of nu."""

    def defaults(self, priors: Priors) -> Priors:
        """Add gamma(2, 0.1), the prior of Juárez and Steel (2010)."""
        values = {"nu_shape": LEARNT.shape, "nu_rate": LEARNT.rate}
        return priors.updated(values, source=STANDARD)

    def settled(self, priors: Priors) -> Priors:
        """Leave out the prior of nu where nu is fixed.

        Raises
        ------
        InputError
            Nu is fixed and given a prior in the same place, or fixed at what is not above 0.
        """
        fixed = priors.values.get("nu_fixed")
        if fixed is None:
            return priors
        if fixed <= 0:
            raise InputError(f"prior nu_fixed = {fixed:g}: it must be above zero")
        given = [name for name in OF_NU if priors.sources.get(name) == SET_BY_USER]
        if given and priors.sources.get("nu_fixed") == SET_BY_USER:
            raise InputError(
                f"nu_fixed says what nu is, and {given[0]} is of its prior; give one of them"
            )
        return priors.without(*OF_NU)

    def prior(self, priors: Priors) -> Gamma | Fixed:
        """Return the prior of nu under the settings."""
        if priors.values.get("nu_fixed", 0) > 0:
            return Fixed(priors.values["nu_fixed"])
        return Gamma(*priors.required(OF_NU))

    def choices(self, base: StudentTChoice, others: Mapping[str, PriorChoice]) -> dict[str, Any]:
        """Choices that vary the other priors, and those that vary that of nu."""
        more = [
            replace(base, name="nu_4", nu=Fixed(4)),
            replace(base, name="nu_wide", nu=Gamma(2, 0.02)),
        ]
        kept = (choice for choice in more if choice.nu != base.nu)
        return {**others, **{choice.name: choice for choice in kept}}

    def inputs(self) -> dict[str, float]:
        """Stand in for settings that are not chosen."""
        return {"nu_fixed": 0.0, "nu_shape": LEARNT.shape, "nu_rate": LEARNT.rate}

    def start(
        self, starts: list[dict[str, Any]], program: Declared, settings: Settings, fixed: float
    ) -> list[dict[str, Any]]:
        """Add a start of nu to each chain's."""
        if "nu_learnt" in program.declared["parameters"]:
            for chain, start in enumerate(starts, start=1):
                rng = np.random.default_rng([settings.seed, chain, 1])
                start["nu_learnt"] = [] if fixed > 0 else [float(rng.uniform(5, 20))]
        return starts

    def widened(self, prior: Gamma | Fixed, u: FloatArray, z: FloatArray) -> FloatArray:
        """Turn the normal numbers of `Family.expected` that theta is made of to Student-t ones."""
        rng = np.random.default_rng(np.ascontiguousarray(u[0, :8]).view(np.uint64))
        nu = prior.quantile(rng.uniform(size=u[0].shape))
        wider = z.copy()
        wider[1] = z[1] * self.draw_scales(nu, nu.shape, rng)
        return wider

    def design(self, usual: Design, family: str) -> Design:
        """The design of a family with a normal population, and gamma(4, 0.4) for nu."""
        values = {**usual.priors.values, "nu_shape": 4.0, "nu_rate": 0.4}
        return replace(usual, family=family, priors=Priors(values))

    def draw_scales(self, nu: FloatArray, size: Any, rng: np.random.Generator) -> FloatArray:
        """Draw scales of groups: 1 / scale^2 ~ gamma(nu / 2, nu / 2)."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(1 / np.sqrt(rng.gamma(0.5 * nu, 2 / nu, size=size)))


DEGREES = Degrees()


class StudentTEffectsFamily(TabledFamily, KnownErrors):
    """Estimates with known standard errors, of effects from a Student-t population."""

    name = "known_errors_student_t"
    folder = "known_errors/student_t"
    model: ClassVar = {"population": "student_t"}
    words = replace(KnownErrors.words, population="a Student-t population of effects")
    settings: ClassVar[tuple[str, ...]] = (*KnownErrors.settings, "nu_fixed", *OF_NU)
    choice_settings: ClassVar[tuple[str, ...]] = (
        *KnownErrors.choice_settings,
        *("nu_fixed", *OF_NU),
    )
    population = ("mu", "tau", "nu")
    mixture = "a Student-t population"
    degrees = "nu"
    local_scale = "scale"
    idea = ("a Student-t population", "a normal population")

    def places(self, stats: Estimates) -> int:
        """Count the places at which the table looks at theta of a group."""
        return places_of_theta(*where_theta_is(stats.estimate, stats.se))

    def default_priors(self, stats: Estimates) -> Priors:
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
        return StudentTChoice(BASE, usual.mu, usual.tau, nu=DEGREES.prior(priors))

    def named_choices(self, stats: Estimates, priors: Priors) -> dict[str, PriorChoice]:
        """Every choice that can be asked for by name, the base first.

        Those of mu and tau are as with a normal population; `nu_4` has four degrees of freedom,
        `nu_wide` gamma(2, 0.02), under which the population may be all but normal.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        return DEGREES.choices(self.base_choice(priors), super().named_choices(stats, priors))

    def expected(self, choice: Any, stats: Estimates, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of an estimate in a new group before the data are seen."""
        return super().expected(choice, stats, u, DEGREES.widened(choice.nu, u, z))

    def starts(
        self, program: Declared, stats: Estimates, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the estimates, and of nu between 5 and 20."""
        usual = super().starts(program, stats, settings, inputs=inputs)
        return DEGREES.start(usual, program, settings, float(inputs.get("nu_fixed", 0.0)))

    def inputs(self, stats: Estimates, *, draw_groups: bool) -> dict[str, Any]:
        """Give what programs of a normal population are given, and `estimate` by group."""
        usual = super().inputs(stats, draw_groups=draw_groups)
        return {**usual, "estimate": stats.estimate, **DEGREES.inputs()}

    def exact_alternative(  # type: ignore[override]
        self, choice: StudentTChoice, stats: Estimates
    ) -> exact.TabledPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return student_t_effects(stats.labels, stats.estimate, stats.se, choice)

    def usual_posterior(self, stats: Estimates, priors: Priors) -> exact.KnownErrorsPosterior:
        """Exact posterior with a normal population."""
        return KnownErrors.exact_alternative(self, KnownErrors.base_choice(self, priors), stats)

    @property
    def design(self) -> Design:
        """The design of a normal population; of nu, gamma(4, 0.4), so that no effect overflows."""
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
        """Draw the effects from their prior or, under partial pooling, from a population."""
        truth = super().draw_truth(pooling, groups, priors=priors, choice=choice, rng=rng)
        return truth if pooling != "partial" else student_truth(truth, rng)


def student_truth(truth: Mapping[str, FloatArray], rng: np.random.Generator) -> dict[str, Any]:
    """Widen the normal population of a truth to a Student-t one, group by group."""
    scales = DEGREES.draw_scales(truth["nu"], truth["eta"].size + 1, rng)
    eta = truth["eta"] * scales[:-1]
    far = (truth["theta_new"] - truth["mu"]) * scales[-1]
    groups = {"eta": eta, "theta": truth["mu"] + truth["tau"] * eta, "scale": scales[:-1]}
    return {**truth, **groups, "theta_new": np.asarray(truth["mu"] + far)}


STUDENT_T_EFFECTS = StudentTEffectsFamily()
"""The family of estimates with known standard errors and a Student-t population."""
