"""Rates: events in an exposure, by group, with a gamma population of rates.

Data: x_j ~ Poisson(e_j theta_j). Partial pooling adds theta_j ~ gamma(a, s), with the shape a and
the rate s, which is an exposure: the population counts as much as so much exposure of the group
itself. Its mean is mu = a / s and its variance tau^2 = mu / s; the mean variance of the events in
one unit of exposure is sigma^2 = mu, so that s = sigma^2 / tau^2 (George, Makov and Smith 1993,
*Scandinavian Journal of Statistics* 20, 147-156).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import special
from scipy import stats as distributions

from partialpool.families.base import Design, rounded
from partialpool.families.exact.gamma_poisson import (
    GammaPoissonPosterior,
    gamma_poisson,
    log_negative_binomial,
)
from partialpool.families.exact.rising import on_nodes, tail_counts
from partialpool.families.protocols import Declared, Pooling
from partialpool.families.rates import classical
from partialpool.families.rates.rows import RatesRows
from partialpool.families.rates.statistics import Rates
from partialpool.priors.choices import BASE
from partialpool.priors.hyperparameters import SCALED, STANDARD, Priors
from partialpool.priors.populations import Gamma, RatesChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray

_FAR = 0.001
_MOST_SHAPE = 1e3
_NOTHING = 1e-200  # an exposure of 0, of which Stan's density has no derivative


class RatesFamily(RatesRows):
    """Events in an exposure, Poisson given the group's theta; theta from a gamma population."""

    name = "rates"
    folder = "rates"
    model: ClassVar = {"population": "gamma"}
    settings = (
        *("theta_alpha", "theta_beta"),
        *("shape_alpha", "shape_beta", "size_alpha", "size_beta"),
    )
    choice_settings = ("shape_alpha", "shape_beta", "size_alpha", "size_beta")
    population = ("mu", "shape", "tau")
    spread = "shape"

    def default_priors(self, stats: Rates) -> Priors:
        """Priors that leave the word to the counts, on their scale.

        With m the rate of all groups together, rounded to three digits:

        - theta of complete and of no pooling: gamma(1/2, 0.05 / m), half an event and next to no
          exposure, with mean 10 m;
        - shape: gamma(1/2, 0.005), under which half of the populations have a shape above 45, that
          is rates that differ by less than 15 %, and one in twelve a shape below 1;
        - size: gamma(1/2, 0.005 m), the same in the unit of the exposure.
        """
        m = rounded(stats.typical)
        theta = self.theta_priors(stats)
        values = {
            "shape_alpha": 0.5,
            "shape_beta": 0.005,
            "size_alpha": 0.5,
            "size_beta": rounded(0.005 * m),
        }
        sources = dict.fromkeys(values, STANDARD) | {"size_beta": SCALED}
        return Priors({**theta.values, **values}, {**theta.sources, **sources})

    def prior_conflicts(self, priors: Priors, stats: Rates) -> list[str]:
        """Warn where the rate of all groups is in a tail of theta's prior, beyond 1 in 1000."""
        return self.theta_conflicts(priors, stats)

    def base_choice(self, priors: Priors) -> RatesChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        shape_alpha, shape_beta, size_alpha, size_beta = priors.required(self.choice_settings)
        return RatesChoice(BASE, Gamma(shape_alpha, shape_beta), Gamma(size_alpha, size_beta))

    def named_choices(self, stats: Rates, priors: Priors) -> dict[str, RatesChoice]:
        """Every choice that can be asked for by name, the base first.

        The alternatives vary the prior of the shape or that of the size: `shape_one` is
        exponential(1), `shape_wide` gamma(1/10, 1/1000), `shape_ten` exponential with mean 10;
        `size_wide` is gamma(1/10, m / 1000) and `size_ten` exponential with mean 10 / m, where m is
        the rate of all groups together, rounded to two digits.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        base, m = self.base_choice(priors), float(f"{stats.typical:.2g}")
        shapes = {
            "shape_one": Gamma(1, 1),
            "shape_wide": Gamma(0.1, 0.001),
            "shape_ten": Gamma(1, 0.1),
        }
        sizes = {"size_wide": Gamma(0.1, rounded(m / 1000)), "size_ten": Gamma(1, rounded(m / 10))}
        choices = [base]
        choices += [
            replace(base, name=name, shape=prior)
            for name, prior in shapes.items()
            if prior != base.shape
        ]
        choices += [
            replace(base, name=name, size=prior)
            for name, prior in sizes.items()
            if prior != base.size
        ]
        return {choice.name: choice for choice in choices}

    def expected(
        self, choice: RatesChoice, stats: Rates, u: FloatArray, z: FloatArray
    ) -> FloatArray:
        """Draw the raw rate of a new group with the exposure of one seen."""
        shape, size = choice.shape.quantile(u[0]), choice.size.quantile(u[1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            theta = special.gammaincinv(shape, special.ndtr(z[0])) / size
            seen = stats.exposure[stats.exposure > 0]
            exposure = np.quantile(seen, special.ndtr(z[1]), method="inverted_cdf")
            return np.asarray(
                distributions.poisson.ppf(special.ndtr(z[2]), theta * exposure) / exposure
            )

    def starts(
        self, program: Declared, stats: Rates, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the raw rates, one set a chain.

        Returns
        -------
        list of dict
            Parameter to value, for each chain: `mu`, `shape`, `theta`, where the program declares
            them.
        """
        declared = program.declared["parameters"]
        m = stats.typical
        of_mean = min(1.0, 2 * stats.total_sd / m)
        found = []
        for chain in range(1, settings.chains + 1):
            rng = np.random.default_rng([settings.seed, chain])
            mu = m * math.exp(of_mean * rng.uniform(-1, 1))
            shape = _moment_shape(stats) * math.exp(rng.uniform(-0.7, 0.7))
            own = (stats.events + 0.5) / (stats.exposure + 0.5 / m)
            theta = own * np.exp(0.5 * rng.uniform(-1, 1, size=stats.J))
            scalars, vectors = {"mu": mu, "shape": shape, "theta": mu}, {"theta": theta}
            start: dict[str, Any] = {}
            for name, entry in declared.items():
                source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
                if name in source and entry["type"] == "real":
                    start[name] = source[name]
            found.append(start)
        return found

    def inputs(self, stats: Rates, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts and exposures, by group and as tail counts.

        `events`, `exposure` are by group, and so are `events_k`, `exposure_k` (of `K` groups); `S`,
        `event_node`, `event_weight` are tail counts of the events, and `E`, `exposure_node`,
        `group_weight`, `count_weight` nodes of the exposures (`partialpool.families.exact.rising`);
        `J_drawn`, `events_drawn`, `exposure_drawn` are the groups whose rates are drawn;
        `likelihood_power` is 1.
        """
        events = stats.events.astype(np.float64)
        event_nodes, event_weights = tail_counts(stats.events)
        nodes, groups, counts = on_nodes(stats.exposure, np.ones(stats.J), events)
        return self.row_inputs(stats, draw_groups=draw_groups) | {
            "K": stats.J,
            "events_k": events,
            "exposure_k": stats.exposure,
            "S": len(event_nodes),
            "event_node": event_nodes,
            "event_weight": event_weights,
            "E": len(nodes),
            "exposure_node": nodes,
            "group_weight": groups,
            "count_weight": counts,
        }

    # --- algebra ------------------------------------------------------------------------------

    def log_marginal(
        self, stats: Rates, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log probability of each group's events as those of a new group: negative binomial."""
        size = (error_sd / tau) ** 2
        own = stats.events[:, None, None], stats.exposure[:, None, None]
        return log_negative_binomial(*own, center * size, size)

    def replicated(
        self,
        stats: Rates,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw the raw rates of groups drawn anew, of the same exposures; NaN without exposure."""
        theta = np.repeat(center[:, None], stats.J, axis=1)
        spread = tau > 0
        size = ((error_sd[spread] / tau[spread]) ** 2)[:, None]
        theta[spread] = rng.gamma(theta[spread] * size, 1 / size)
        with np.errstate(invalid="ignore"):
            return np.asarray(rng.poisson(stats.exposure * theta) / stats.exposure)

    # --- what is known in closed form ---------------------------------------------------------

    def exact_alternative(self, choice: RatesChoice, stats: Rates) -> GammaPoissonPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        own = stats.labels, stats.events, stats.exposure
        return gamma_poisson(*own, shape=choice.shape, rate=choice.size)

    def draw_alternative(
        self,
        choice: RatesChoice,
        stats: Rates,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `mu`, `size`, `shape`, `tau`, `sigma` and, if asked, `theta` from that posterior."""
        drawn = self.exact_alternative(choice, stats).draws(rng=rng, shape=shape)
        drawn |= spreads(drawn["mu"], drawn["size"])
        if draw_groups:
            a, b = drawn["shape"][..., None], drawn["size"][..., None]
            drawn["theta"] = rng.gamma(a + stats.events, 1 / (b + stats.exposure))
        return drawn

    # --- simulation ---------------------------------------------------------------------------

    @property
    def design(self) -> Design:
        """Eight groups, the largest with forty times the exposure of the smallest."""
        values = {**self.simulated_priors, "shape_alpha": 3.0, "shape_beta": 1.0}
        values |= {"size_alpha": 4.0, "size_beta": 2.0}
        return Design(
            family=self.name,
            sizes=self.simulated,
            priors=Priors(values),
            scales=(Gamma(3, 1), Gamma(2, 0.5), Gamma(4, 2), Gamma(5, 1)),
        )

    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: RatesChoice,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw the rates from their prior or, under partial pooling, from a population."""
        if pooling == "partial":
            shape, size = (prior.quantile(rng.uniform()) for prior in choice.priors.values())
            mu = np.asarray(shape / size)
            drawn = {"mu": mu, "size": size, **spreads(mu, size)}
            theta = rng.gamma(shape, 1 / size, size=groups)
            return {**drawn, "theta": theta, "theta_new": np.asarray(rng.gamma(shape, 1 / size))}
        prior = self.theta_prior(priors)
        return {"theta": prior.quantile(rng.uniform(size=() if pooling == "complete" else groups))}

    def classical(self, stats: Rates) -> dict[str, Callable[[], pd.DataFrame]]:
        """Maximum likelihood of the population, and estimates of the groups without priors."""
        return {
            "maximum_likelihood": partial(classical.population, stats),
            "predictors": partial(self.group_predictors, stats),
        }


def spreads(mu: FloatArray, size: FloatArray) -> dict[str, FloatArray]:
    """Shape, and the sds between groups and of events in one unit of exposure."""
    tau, sigma = np.sqrt(mu / size), np.sqrt(mu)
    return {"shape": np.asarray(mu * size), "tau": np.asarray(tau), "sigma": np.asarray(sigma)}


def _moment_shape(stats: Rates) -> float:
    """Estimate the shape by moments, within the bounds that a start is given."""
    seen = stats.exposure > 0
    m = stats.typical
    between = float(np.var(stats.raw[seen])) - m * float((1 / stats.exposure[seen]).mean())
    return float(np.clip(m**2 / between if between > 0 else _MOST_SHAPE, 0.1, _MOST_SHAPE))


RATES = RatesFamily()
"""The family of events in an exposure."""
