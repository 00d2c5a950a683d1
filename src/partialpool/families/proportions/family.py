"""Proportions: successes of trials in groups, with a beta population of probabilities.

Data: y_j ~ binomial(n_j, theta_j). Partial pooling adds theta_j ~ beta(mu s, (1 - mu) s), with the
mean mu and the size s: the population counts as much as s trials of the group itself. Its variance
is tau^2 = mu (1 - mu) / (1 + s), the mean variance of a trial within groups sigma^2 = s tau^2, and
the intraclass correlation tau^2 / (tau^2 + sigma^2) = 1 / (1 + s) (Gelman et al., *Bayesian Data
Analysis*, 3rd ed., 2013, section 5.3; Carpenter 2016, "Hierarchical partial pooling for repeated
binary trials", *Stan case studies*).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import special
from scipy import stats as distributions

from partialpool.families.base import Design
from partialpool.families.exact.beta_binomial import (
    BetaBinomialPosterior,
    beta_binomial,
    log_beta_binomial,
)
from partialpool.families.exact.rising import tail_counts
from partialpool.families.proportions import classical
from partialpool.families.proportions.rows import ProportionsRows
from partialpool.families.proportions.statistics import Proportions
from partialpool.families.protocols import Declared, Pooling
from partialpool.priors.choices import BASE
from partialpool.priors.hyperparameters import STANDARD, Priors
from partialpool.priors.populations import Beta, PopulationChoice, Power
from partialpool.settings import Settings
from partialpool.types import FloatArray

_FAR = 0.001
_MOST_SIZE = 1e4


class ProportionsFamily(ProportionsRows):
    """Successes of trials, binomial given the group's theta; theta from a beta population."""

    name = "proportions"
    folder = "proportions"
    model: ClassVar = {"population": "beta"}
    settings = (
        *("theta_alpha", "theta_beta"),
        *("mu_alpha", "mu_beta", "size_lower", "size_shift", "size_power"),
    )
    choice_settings = ("mu_alpha", "mu_beta", "size_lower", "size_shift", "size_power")
    population = ("mu", "size", "tau")
    spread = "size"

    def default_priors(self, stats: Proportions) -> Priors:
        """Priors under which every probability, and every share of variance, is as likely.

        - mu, and theta of complete and of no pooling: beta(1, 1), which is uniform;
        - size: density (1 + s)^-2, under which the intraclass correlation 1 / (1 + s) is uniform
          (a uniform shrinkage prior; Christiansen and Morris 1997, *Journal of the American
          Statistical Association* 92, 618-632, use it for rates).
        """
        values = dict.fromkeys(self.settings, 1.0) | {"size_lower": 0.0, "size_power": 2.0}
        return Priors(values, dict.fromkeys(values, STANDARD))

    def prior_conflicts(self, priors: Priors, stats: Proportions) -> list[str]:
        """Warn where the proportion of all trials is in a tail of a prior, beyond 1 in 1000."""
        return [
            *self.theta_conflicts(priors, stats),
            *self.beta_conflicts("mu", priors, stats),
        ]

    def improper(self, declared: Collection[str], priors: Priors) -> str:
        """Say so of a density size^-power down to 0, which the likelihood alone makes proper."""
        values = priors.values
        if "size_shift" not in declared or values["size_lower"] + values["size_shift"] > 0:
            return ""
        return (
            f"size_lower and size_shift are 0, and the density size^-{values['size_power']:g} has "
            "no finite integral down to 0"
        )

    def base_choice(self, priors: Priors) -> PopulationChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        alpha, beta, lower, shift, power = priors.required(self.choice_settings)
        return PopulationChoice(BASE, Beta(alpha, beta), Power(lower, shift, power))

    def named_choices(self, stats: Proportions, priors: Priors) -> dict[str, PopulationChoice]:
        """Every choice that can be asked for by name, the base first.

        The alternatives vary the prior of the size or that of mu: `pareto` is Carpenter's (2016),
        `flat_sd` is uniform in 1 / sqrt(size) above a size of 1 / 100 (Gelman et al. 2013, section
        5.3, without the bound), `few_trials` and `many_trials` have medians of 10 and of 100
        trials; `mu_jeffreys` is beta(1/2, 1/2), and `mu_narrow` is worth 10 trials at the
        proportion of all.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        base = self.base_choice(priors)
        sizes = {
            "pareto": Power(1, 0, 2.5),
            "flat_sd": Power(0.01, 0, 1.5),
            "few_trials": Power(0, 10, 2),
            "many_trials": Power(0, 100, 2),
        }
        p = float(f"{stats.typical:.2g}")
        means = {"mu_jeffreys": Beta(0.5, 0.5), "mu_narrow": Beta(10 * p, 10 * (1 - p))}
        choices = [base]
        choices += [
            replace(base, name=name, size=size) for name, size in sizes.items() if size != base.size
        ]
        choices += [replace(base, name=name, mu=mu) for name, mu in means.items() if mu != base.mu]
        return {choice.name: choice for choice in choices}

    def expected(
        self, choice: PopulationChoice, stats: Proportions, u: FloatArray, z: FloatArray
    ) -> FloatArray:
        """Draw the proportion of a new group with the trials of one seen; NaN if improper."""
        if not choice.size.is_proper:
            return np.full(u.shape[1], np.nan)
        mu, size = choice.mu.quantile(u[0]), choice.size.quantile(u[1])
        theta = special.betaincinv(mu * size, (1 - mu) * size, special.ndtr(z[0]))
        seen = stats.trials[stats.trials > 0]
        trials = np.quantile(seen, special.ndtr(z[1]), method="inverted_cdf")
        successes = distributions.binom.ppf(special.ndtr(z[2]), trials, theta)
        return np.asarray(successes / trials)

    def starts(
        self,
        program: Declared,
        stats: Proportions,
        settings: Settings,
        *,
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the proportions, one set a chain.

        Returns
        -------
        list of dict
            Parameter to value, for each chain: `mu`, `size`, `theta`, where the program declares
            them.
        """
        declared = program.declared["parameters"]
        p = stats.typical
        spread = max(stats.total_sd, 1e-3)
        of_mean = min(1.0, 2 * spread / (p * (1 - p)))
        lower = float(inputs.get("size_lower", 0.0))
        found = []
        for chain in range(1, settings.chains + 1):
            rng = np.random.default_rng([settings.seed, chain])
            mu = special.expit(special.logit(p) + of_mean * rng.uniform(-1, 1))
            size = lower + math.exp(math.log(_moment_size(stats)) + rng.uniform(-0.7, 0.7))
            own = (stats.successes + 2 * mu) / (stats.trials + 2)
            theta = special.expit(special.logit(own) + 0.5 * rng.uniform(-1, 1, size=stats.J))
            scalars, vectors = {"mu": mu, "size": size, "theta": mu}, {"theta": theta}
            start: dict[str, Any] = {}
            for name, entry in declared.items():
                source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
                if name in source and entry["type"] == "real":
                    start[name] = source[name]
            found.append(start)
        return found

    def inputs(self, stats: Proportions, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts, by group, by distinct pair and as tail counts.

        `successes`, `trials` are by group; `K`, `successes_k`, `trials_k`, `J_k` are by distinct
        pair; `S`, `success_node`, `success_weight` and the like of failures (`F`) and trials (`T`)
        are tail counts (`partialpool.families.exact.rising`); `J_drawn`, `successes_drawn`,
        `trials_drawn` are the groups whose probabilities are drawn; `likelihood_power` is 1.
        """
        successes, trials, groups = stats.distinct
        found: dict[str, Any] = {
            "K": len(groups),
            "successes_k": successes.astype(np.float64),
            "trials_k": trials.astype(np.float64),
            "J_k": groups,
        }
        counts = {"success": successes, "failure": trials - successes, "trial": trials}
        for name, part in counts.items():
            nodes, weights = tail_counts(part, groups)
            found |= {name[0].upper(): len(nodes), f"{name}_node": nodes, f"{name}_weight": weights}
        return self.row_inputs(stats, draw_groups=draw_groups) | found

    # --- algebra ------------------------------------------------------------------------------

    def log_marginal(
        self, stats: Proportions, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log probability of each group's successes as those of a new group: beta-binomial."""
        successes, trials = stats.successes[:, None, None], stats.trials[:, None, None]
        return log_beta_binomial(successes, trials, center, (error_sd / tau) ** 2)

    def replicated(
        self,
        stats: Proportions,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw the proportions of groups drawn anew, with as many trials; NaN without a trial."""
        theta = np.repeat(center[:, None], stats.J, axis=1)
        spread = tau > 0
        size = ((error_sd[spread] / tau[spread]) ** 2)[:, None]
        theta[spread] = rng.beta(theta[spread] * size, (1 - theta[spread]) * size)
        with np.errstate(invalid="ignore"):
            return np.asarray(rng.binomial(stats.trials, theta) / stats.trials)

    # --- what is known in closed form ---------------------------------------------------------

    def exact_alternative(
        self, choice: PopulationChoice, stats: Proportions
    ) -> BetaBinomialPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return beta_binomial(
            stats.labels, stats.successes, stats.trials, mu=choice.mu, size=choice.size
        )

    def draw_alternative(
        self,
        choice: PopulationChoice,
        stats: Proportions,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `mu`, `size`, `tau`, `sigma` and, if asked, `theta` from that posterior."""
        drawn = self.exact_alternative(choice, stats).draws(rng=rng, shape=shape)
        drawn |= spreads(drawn["mu"], drawn["size"])
        if draw_groups:
            mu, size = drawn["mu"][..., None], drawn["size"][..., None]
            failures = stats.trials - stats.successes
            drawn["theta"] = rng.beta(mu * size + stats.successes, (1 - mu) * size + failures)
        return drawn

    # --- simulation ---------------------------------------------------------------------------

    @property
    def design(self) -> Design:
        """Eight groups, the largest with twenty times the trials of the smallest."""
        values = {**self.simulated_priors, "mu_alpha": 2.0, "mu_beta": 4.0}
        values |= {"size_lower": 1.0, "size_shift": 2.0, "size_power": 3.0}
        return Design(
            family=self.name,
            sizes=self.simulated,
            priors=Priors(values),
            scales=(Power(1, 2, 3), Power(0, 5, 3), Power(2, 0, 3), Power(0, 2, 2.5)),
        )

    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: PopulationChoice,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw the probabilities from their prior or, under partial pooling, from a population."""
        if pooling == "partial":
            mu, size = (prior.quantile(rng.uniform()) for prior in choice.priors.values())
            drawn = {"mu": mu, "size": size, **spreads(mu, size)}
            theta = rng.beta(mu * size, (1 - mu) * size, size=groups)
            return {
                **drawn,
                "theta": theta,
                "theta_new": np.asarray(rng.beta(mu * size, (1 - mu) * size)),
            }
        shape = () if pooling == "complete" else (groups,)
        return {"theta": self.theta_prior(priors).quantile(rng.uniform(size=shape))}

    def classical(self, stats: Proportions) -> dict[str, Callable[[], pd.DataFrame]]:
        """Maximum likelihood of the population, and estimates of the groups without priors."""
        return {
            "maximum_likelihood": partial(classical.population, stats),
            "predictors": partial(self.group_predictors, stats),
        }


def spreads(mu: FloatArray, size: FloatArray) -> dict[str, FloatArray]:
    """The sds between groups and within them, from mean and size."""
    tau = np.sqrt(mu * (1 - mu) / (1 + size))
    return {"tau": np.asarray(tau), "sigma": np.asarray(tau * np.sqrt(size))}


def _moment_size(stats: Proportions) -> float:
    """Estimate the size by moments, within the bounds that a start is given."""
    seen = stats.trials > 0
    p = stats.typical
    within = p * (1 - p)
    between = float(np.var(stats.raw[seen])) - within * float((1 / stats.trials[seen]).mean())
    return float(np.clip(within / between - 1 if between > 0 else _MOST_SIZE, 1.0, _MOST_SIZE))


PROPORTIONS = ProportionsFamily()
"""The family of successes of trials."""
