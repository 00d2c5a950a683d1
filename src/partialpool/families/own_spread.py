"""Groups of observations whose variances differ: each group has its own, from a population.

Data: y_ij ~ normal(theta_j, sigma_j), theta_j ~ normal(mu, tau) and sigma_j^2 ~ scaled
inverse-chi-squared(nu0, sigma0^2) (Hoff 2009, *A First Course in Bayesian Statistical Methods*,
section 8.5). As nu0 grows, all sigma_j become sigma0, which is the model of one variance for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from partialpool.families import exact
from partialpool.families.base import Design, draw_population
from partialpool.families.exact.equal_spread import count_places, equal_spread
from partialpool.families.exact.own_spread import own_spread
from partialpool.families.moments import GroupStats
from partialpool.families.normal import Observations
from partialpool.families.protocols import Declared, Pooling
from partialpool.families.tabled import TabledFamily
from partialpool.priors import HalfCauchy
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import STANDARD, Priors
from partialpool.priors.spreads import Gamma, OwnSpreadChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray


class OwnSpread(TabledFamily, Observations):
    """Groups of observations with variances of their own, which are pooled, too."""

    name = "own_spread"
    folder = "own_spread"
    model: ClassVar = {"population": "normal", "spread": "own", "errors": "normal"}
    settings = (
        *("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"),
        *("mu_location", "mu_scale", "tau_df", "tau_scale", "tau_upper"),
        *("sigma0_upper", "nu0_shape", "nu0_rate"),
    )
    choice_settings = (
        *("mu_location", "mu_scale", "sigma0_upper", "nu0_shape", "nu0_rate"),
        *("tau_df", "tau_scale", "tau_upper"),
    )
    population = ("mu", "tau", "sigma0", "nu0")
    has_icc = False
    leaves_groups_out = True
    mixture = "variances of their own"
    idea = ("own variances", "one variance for all groups")

    def places(self, stats: GroupStats) -> int:
        """Count the places at which the table looks at theta of a group."""
        return count_places(stats)

    def default_priors(self, stats: GroupStats) -> Priors:
        """Priors of the model with one variance, and those of the variances' population.

        - sigma0: uniform(0, 10 s), as sigma has there;
        - nu0: gamma(2, 0.1), as Juárez and Steel (2010, *Journal of Business & Economic Statistics*
          28, 52-66) take for degrees of freedom: between 2 and 56 with probability 0.95, so from
          variances that differ tenfold to variances that hardly differ.

        Raises
        ------
        InputError
            As in the model with one variance.
        """
        usual = super().default_priors(stats)
        upper = {"sigma0_upper": usual.values["sigma_upper"]}
        priors = usual.without("sigma_upper")
        priors = priors.updated(upper, source=usual.sources["sigma_upper"])
        return priors.updated({"nu0_shape": 2.0, "nu0_rate": 0.1}, source=STANDARD)

    def base_choice(self, priors: Priors) -> OwnSpreadChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        upper, shape, rate = priors.required(self.choice_settings[2:5])
        usual = super().base_choice(priors.updated({"sigma_upper": upper}, source=BASE))
        return _own(usual, Gamma(shape, rate))

    def named_choices(self, stats: GroupStats, priors: Priors) -> dict[str, PriorChoice]:
        """Every choice that can be asked for by name, the base first.

        Those of mu and tau are as in the model with one variance. `sigma0_half_cauchy` has the
        data's scale; `nu0_exponential` is exponential(1), as in Hoff (2009, section 8.5) with
        alpha = 1, under which variances differ much; `nu0_wide` is gamma(2, 0.02), under which they
        may be all but equal.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range, or all observations are equal.
        """
        base = self.base_choice(priors)
        s = float(f"{stats.total_sd:.2g}")
        found: dict[str, PriorChoice] = {
            name: choice
            for name, choice in super().named_choices(stats, priors).items()
            if isinstance(choice, OwnSpreadChoice) and choice.sigma is None
        }
        more = [
            replace(base, name="sigma0_half_cauchy", sigma0=HalfCauchy(s)),
            replace(base, name="nu0_exponential", nu0=Gamma(1, 1)),
            replace(base, name="nu0_wide", nu0=Gamma(2, 0.02)),
        ]
        return {**found, **{choice.name: choice for choice in more}}

    def expected(self, choice: Any, stats: Any, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group before the data are seen."""
        mu = choice.mu.location + choice.mu.scale * z[0]
        rng = np.random.default_rng(np.ascontiguousarray(u[0, :8]).view(np.uint64))
        sd = _drawn_sds(
            choice.sigma0.quantile(u[1]), choice.nu0.quantile(rng.uniform(size=u[1].shape)), rng
        )
        return np.asarray(mu + choice.tau.quantile(u[0]) * z[1] + sd * z[2])

    def starts(
        self, program: Declared, stats: GroupStats, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the data's moments, one set a chain.

        As in the model with one variance, which `sigma0` and the groups' variances start at, and
        `nu0` between 5 and 20.
        """
        bound = {"sigma_upper": inputs.get("sigma0_upper", np.inf)}
        usual = super().starts(program, stats, settings, inputs={**inputs, **bound})
        declared = program.declared["parameters"]
        for chain, start in enumerate(usual, start=1):
            rng = np.random.default_rng([settings.seed, chain, 1])
            within = stats.within_sd or stats.total_sd
            sigma0 = min(within * np.exp(rng.uniform(-0.5, 0.5)), 0.5 * bound["sigma_upper"])
            more = {
                "sigma0": sigma0,
                "sigma0_stretched": float(rng.uniform(-0.5, 0.5)),
                "nu0": float(rng.uniform(5, 20)),
            }
            start.update({name: value for name, value in more.items() if name in declared})
        return usual

    def weighted(self, stats: GroupStats, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        return {"n": weight * stats.n, "ss": weight * stats.ss}

    def exact_alternative(  # type: ignore[override]
        self, choice: OwnSpreadChoice, stats: GroupStats
    ) -> exact.TabledPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return own_spread(stats, choice)

    def usual_posterior(self, stats: GroupStats, priors: Priors) -> exact.TabledPosterior:
        """Exact posterior with one variance, whose sd has the prior of sigma0."""
        choice = self.base_choice(priors)
        return equal_spread(stats, choice, choice.sigma0)

    @property
    def design(self) -> Design:
        """The design of the model with one variance, with the same priors."""
        usual = super().design
        own = {"sigma0_upper": 6.0, "nu0_shape": 2.0, "nu0_rate": 0.1}
        priors = usual.priors.without("sigma_upper").updated(own, source="")
        return replace(usual, family=self.name, priors=Priors(priors.values))

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
        """Draw means and sds from their priors or, under partial pooling, from populations."""
        if pooling != "partial":
            return super().draw_truth(
                pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
            )
        truth = draw_population(choice, groups, rng)
        sds = _drawn_sds(np.full(groups + 1, truth["sigma0"]), truth["nu0"], rng)
        y_new = np.asarray(rng.normal(truth["theta_new"], sds[-1]))
        own = {"sigma": sds[:-1], "sigma2": sds[:-1] ** 2, "sigma_new": sds[-1:].reshape(())}
        return {**truth, **own, "y_new": y_new}


def _own(usual: PriorChoice, nu0: Gamma) -> OwnSpreadChoice:
    assert usual.sigma is not None
    return OwnSpreadChoice(usual.name, usual.mu, usual.tau, sigma0=usual.sigma, nu0=nu0)


def _drawn_sds(sigma0: FloatArray, nu0: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw sds whose squares are scaled inverse-chi-squared."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(sigma0 * np.sqrt(nu0 / rng.chisquare(nu0, size=np.shape(sigma0))))


OWN_SPREAD = OwnSpread()
"""The family of observations with own variances."""
