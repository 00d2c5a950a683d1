"""Partial pooling of counts whose logits or logarithms come from a normal population.

alpha_j ~ normal(location, scale), and alpha_j is the logit of a probability (Carpenter 2016,
"Hierarchical partial pooling for repeated binary trials", *Stan case studies*) or the logarithm of
a rate. Tables speak of the population of theta itself: of its mean mu and its sd tau, and of the
pooling factor sigma^2 / (sigma^2 + weight_j tau^2), which is the weight of mu in the best linear
estimate of theta_j. The posterior mean is not linear: groups far out are pulled in less than under
a beta or a gamma population of the same mean and sd.

A family of counts is turned into this one by its likelihood; what its rows are, and complete and no
pooling, stay as they are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.families.alike import distinct
from partialpool.families.base import (
    CENTERED,
    COMPLETE,
    MARGINAL,
    NONCENTERED,
    NONE,
    Design,
    rounded,
)
from partialpool.families.counts import CountsFamily
from partialpool.families.linked.classical import Counts, plug_in
from partialpool.families.linked.classical import population as highest
from partialpool.families.linked.draws import draw
from partialpool.families.linked.integrals import RULE, WIDTH, Integrals, grid, log_probability
from partialpool.families.linked.likelihoods import Likelihood
from partialpool.families.linked.posterior import LinkedPosterior, linked
from partialpool.families.protocols import Declared, Pooling
from partialpool.priors.choices import BASE
from partialpool.priors.distributions import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    Normal,
    ScalePrior,
    Uniform,
)
from partialpool.priors.hyperparameters import SCALED, STANDARD, Priors
from partialpool.priors.linked import LinkedChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray

_FAR = 3.0
_LEAST, _MOST = 0.05, 3.0
_BLOCK = 40_000  # draws of groups that a processor keeps at hand


class LinkedFamily(CountsFamily):
    """Counts of groups, a row each, with a normal population of logits or logarithms."""

    programs = (COMPLETE, NONE, CENTERED, NONCENTERED, MARGINAL)
    settings: ClassVar[tuple[str, ...]] = (
        "theta_alpha",
        "theta_beta",
        "location_mean",
        "location_sd",
        "scale_sd",
    )
    choice_settings: ClassVar[tuple[str, ...]] = ("location_mean", "location_sd", "scale_sd")
    population = ("mu", "location", "scale", "tau")
    pictured = ("location", "scale")
    spread = "scale"
    effects = ("alpha", "eta")

    likelihood: ClassVar[Likelihood]
    counted: ClassVar[str]
    """Name of the statistic that counts: successes or events."""

    def _counts(self, stats: Any) -> tuple[FloatArray, FloatArray]:
        """Count and size of each group, shape (J,) each."""
        return stats.columns[self.counted].astype(np.float64), stats.weight

    # --- priors -------------------------------------------------------------------------------

    def default_priors(self, stats: Any) -> Priors:
        """Priors of complete and of no pooling as they are; of the population, weak ones.

        - location: normal(m, 2.5), where m is the logit or logarithm of the proportion or rate of
          all groups together, rounded to three digits;
        - scale: half-normal(0, 1), under which the odds or rates of most groups are within a factor
          of 7 of the typical one (Carpenter 2016 has the same).
        """
        theta = self.theta_priors(stats)
        m = rounded(float(self.likelihood.link.alpha(np.asarray(stats.typical))))
        values = {**theta.values, "location_mean": m, "location_sd": 2.5, "scale_sd": 1.0}
        given = {"location_mean": SCALED, "location_sd": STANDARD, "scale_sd": STANDARD}
        return Priors(values, {**theta.sources, **given})

    def prior_conflicts(self, priors: Priors, stats: Any) -> list[str]:
        """Warn where all groups together lie more than three prior sds from the prior's center."""
        found = self.theta_conflicts(priors, stats)
        mean, sd = (priors.values.get(f"location_{name}") for name in ("mean", "sd"))
        if mean is None or sd is None or sd <= 0:
            return found
        link = self.likelihood.link
        center = float(link.alpha(np.asarray(stats.typical)))
        distance = abs(center - mean) / sd
        if distance > _FAR:
            found.append(
                f"the prior of location, normal({mean:g}, {sd:g}), puts the {link.name} of all "
                f"groups together, {center:.4g}, {distance:.1f} prior sds from its center"
            )
        return found

    def base_choice(self, priors: Priors) -> LinkedChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        mean, sd, scale = priors.required(self.choice_settings)
        return LinkedChoice(BASE, Normal(mean, sd), HalfNormal(scale), self.likelihood.link)

    def named_choices(self, stats: Any, priors: Priors) -> dict[str, LinkedChoice]:
        """Every choice that can be asked for by name, the base first.

        The alternatives vary the prior of the scale or that of the location: half-normal(2) and
        half-normal(1/2), half-Cauchy(1), exponential(1), uniform(0, 5), and a location five times
        as wide.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        base = self.base_choice(priors)
        scales: dict[str, ScalePrior] = {
            "scale_wide": HalfNormal(2.0),
            "scale_narrow": HalfNormal(0.5),
            "half_cauchy": HalfCauchy(1.0),
            "exponential": Exponential(1.0),
            "uniform": Uniform(5.0),
        }
        choices = [base]
        choices += [
            replace(base, name=name, scale=prior)
            for name, prior in scales.items()
            if prior != base.scale
        ]
        wide = Normal(base.location.location, 5 * base.location.scale)
        choices.append(replace(base, name="location_wide", location=wide))
        return {choice.name: choice for choice in choices}

    def expected(
        self, choice: LinkedChoice, stats: Any, u: FloatArray, z: FloatArray
    ) -> FloatArray:
        """Draw the raw estimate of a new group of the size of one seen."""
        return self.expected_about(choice, stats, u, z, 0.0)

    def expected_about(
        self,
        choice: LinkedChoice,
        stats: Any,
        u: FloatArray,
        z: FloatArray,
        line: FloatArray | float,
    ) -> FloatArray:
        """As `expected`, with what covariates add to the location, shape (S,)."""
        location = choice.location.location + choice.location.scale * z[0] + line
        theta = self.likelihood.link.theta(location + choice.scale.quantile(u[0]) * z[1])
        sizes = stats.weight[stats.weight > 0]
        size = np.quantile(sizes, u[1], method="inverted_cdf")
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self.likelihood.quantile(z[2], theta, size) / size)

    # --- programs -----------------------------------------------------------------------------

    def starts(
        self, program: Declared, stats: Any, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the raw estimates, one set a chain.

        Returns
        -------
        list of dict
            Parameter to value, for each chain: `location`, `scale`, `alpha`, `eta`, `theta`, where
            the program declares them.
        """
        declared = program.declared["parameters"]
        link = self.likelihood.link
        middle = float(link.alpha(np.asarray(stats.typical)))
        count, size = self._counts(stats)
        seen = size > 0
        own = np.full(stats.J, middle)
        own[seen] = self.likelihood.about(count[seen], size[seen])[0]
        spread = float(np.clip(np.std(own), _LEAST, _MOST))
        bound = float(inputs.get("scale_upper", math.inf))
        own = middle + np.clip(own - middle, -_MOST * spread, _MOST * spread)
        found = []
        for chain in range(1, settings.chains + 1):
            rng = np.random.default_rng([settings.seed, chain])
            location = middle + min(1.0, 2 * spread) * rng.uniform(-1, 1)
            scale = min(0.7 * spread * math.exp(rng.uniform(-0.7, 0.7)), 0.5 * bound)
            eta = np.clip((own - location) / scale, -2.5, 2.5) + 0.3 * rng.uniform(-1, 1, stats.J)
            alpha = location + scale * eta
            theta = link.theta(np.array([middle]) + 0.3 * rng.uniform(-1, 1, 1))
            scalars = {"location": location, "scale": scale, "theta": float(theta[0])}
            vectors = {"alpha": alpha, "eta": eta, "theta": link.theta(alpha)}
            start: dict[str, Any] = {}
            for name, entry in declared.items():
                source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
                if name in source and entry["type"] == "real":
                    start[name] = source[name]
            found.append(start)
        return found

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts by group and by distinct pair, with what integrals over alpha need.

        With `successes` and `trials` for proportions, `events` and `exposure` for rates: the
        columns by group; `K`, `successes_k`, `trials_k`, `J_k` pairs of few counts with the grid
        `node` (of `Q`) and `node_sd`; `M`, `successes_m`, `trials_m`, `J_m`, `center_m`,
        `variance_m` pairs of many; `R`, `point`, `log_weight` the rule of Gauss and Hermite
        (`partialpool.families.linked.integrals`); `J_drawn` and columns that end in `_drawn` the
        groups whose theta is drawn; `likelihood_power` is 1.
        """
        return self.row_inputs(stats, draw_groups=draw_groups) | self._integrated(stats, 1.0)

    def weighted(self, stats: Any, weight: float) -> dict[str, Any]:
        """Raise the likelihood to a power: that of so many times the counts."""
        return super().weighted(stats, weight) | self._integrated(stats, weight)

    def _integrated(self, stats: Any, power: float) -> dict[str, Any]:
        count, size = self._counts(stats)
        *both, which = distinct(count, size)
        pairs, groups = np.stack(both), np.bincount(which)
        pairs, groups = pairs[:, pairs[1] > 0], groups[pairs[1] > 0]
        scaled = power * pairs
        many = Integrals(self.likelihood, *scaled).many
        node = grid(self.likelihood, *scaled[:, ~many]) if not many.all() else np.zeros(0)
        center, variance = self.likelihood.about(*scaled[:, many])
        sized = next(iter(stats.sizes))
        return {
            "K": int((~many).sum()),
            f"{self.counted}_k": pairs[0, ~many],
            f"{sized}_k": pairs[1, ~many],
            "J_k": groups[~many].astype(np.float64),
            "Q": len(node),
            "node": node,
            "node_sd": WIDTH * float(node[1] - node[0]) if len(node) else 1.0,
            "M": int(many.sum()),
            f"{self.counted}_m": pairs[0, many],
            f"{sized}_m": pairs[1, many],
            "J_m": groups[many].astype(np.float64),
            "center_m": center,
            "variance_m": variance,
            "R": len(RULE[0]),
            "point": RULE[0],
            "log_weight": np.log(RULE[1] / math.sqrt(2 * math.pi)),
        }

    # --- algebra ------------------------------------------------------------------------------

    def log_marginal(
        self, stats: Any, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log probability of each group's counts as those of a new group."""
        center, tau = np.broadcast_arrays(np.asarray(center), np.asarray(tau))
        location, scale = self.likelihood.link.invert(center.ravel(), tau.ravel())
        count, size = self._counts(stats)
        found = log_probability(self.likelihood, count, size, location, scale)
        return found.reshape(stats.J, *center.shape[-2:])

    def replicated(
        self,
        stats: Any,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw the raw estimates of groups drawn anew, of the same sizes; NaN of a size of 0."""
        theta = np.repeat(center[:, None], stats.J, axis=1)
        spread = tau > 0
        location, scale = self.likelihood.link.invert(center[spread], tau[spread])
        alpha = location[:, None] + scale[:, None] * rng.standard_normal((len(scale), stats.J))
        theta[spread] = self.likelihood.link.theta(alpha)
        with np.errstate(invalid="ignore"):
            return self.replicate_given(stats, theta.T, rng).T

    # --- what is known in closed form ---------------------------------------------------------

    def exact_alternative(self, choice: LinkedChoice, stats: Any) -> LinkedPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        counts = self._counts(stats)
        return linked(
            stats.labels, self.likelihood, *counts, location=choice.location, scale=choice.scale
        )

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """Whether it is the marginal program, which is drawn many times as fast as it is sampled.

        The two numbers of the population are drawn from their posterior, and the groups given them.
        """
        return program == MARGINAL

    def draw_exactly(
        self,
        program: str,
        stats: Any,
        priors: Priors,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw what `draw_alternative` does, `theta_new` and `lprior`."""
        choice = self.base_choice(priors)
        drawn = self.draw_alternative(choice, stats, rng=rng, shape=shape, draw_groups=draw_groups)
        location, scale = drawn["location"], drawn["scale"]
        drawn["theta_new"] = self.likelihood.link.theta(
            location + scale * rng.standard_normal(shape)
        )
        density = choice.location.log_density(location) + choice.scale.log_density(scale)
        drawn["lprior"] = np.asarray(density)
        return drawn

    def draw_alternative(
        self,
        choice: LinkedChoice,
        stats: Any,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw location, scale, `mu`, `tau`, `sigma` and, if asked, `theta` from that posterior."""
        drawn = self.exact_alternative(choice, stats).draws(rng=rng, shape=shape)
        drawn |= self._spreads(drawn["location"], drawn["scale"])
        if draw_groups:
            population = drawn["location"][..., None], drawn["scale"][..., None]
            count, size = self._counts(stats)
            drawn["theta"] = theta = np.empty((*shape, stats.J))

            def fill(part: slice, own: np.random.Generator) -> None:
                alpha = draw(self.likelihood, count[part], size[part], *population, own)
                theta[..., part] = self.likelihood.link.theta(alpha)

            step = max(1, _BLOCK // drawn["location"].size)
            parts = [slice(start, start + step) for start in range(0, stats.J, step)]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(fill, parts, rng.spawn(len(parts))))
        return drawn

    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Maximum likelihood of the population, and estimates of the groups without priors."""
        model = Counts(self.likelihood, *self._counts(stats))
        return {
            "maximum_likelihood": partial(highest, model),
            "predictors": partial(self._predictors, stats, model),
        }

    def _predictors(self, stats: Any, model: Counts) -> pd.DataFrame:
        found = self.group_predictors(stats)
        return found.assign(plug_in=plug_in(model))

    def _spreads(self, location: FloatArray, scale: FloatArray) -> dict[str, FloatArray]:
        found = self.likelihood.link.moments(location, scale)
        return dict(zip(("mu", "tau", "sigma"), found, strict=True))

    # --- simulation ---------------------------------------------------------------------------

    @property
    def design(self) -> Design:
        """The groups that the family's other model is simulated with."""
        middle = float(self.likelihood.link.alpha(np.asarray(0.3)))
        values = {"location_mean": rounded(middle), "location_sd": 1.0, "scale_sd": 1.0}
        scales = (HalfNormal(1.0), Exponential(1.0), Uniform(2.0), HalfNormal(0.5))
        return Design(
            self.name, self.simulated, Priors({**self.simulated_priors, **values}), scales
        )

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
        """Draw theta from its prior or, under partial pooling, from a population."""
        if pooling != "partial":
            shape = () if pooling == "complete" else (groups,)
            return {"theta": self.theta_prior(priors).quantile(rng.uniform(size=shape))}
        location, scale = (prior.quantile(rng.uniform()) for prior in choice.priors.values())
        eta = rng.standard_normal(groups)
        alpha = location + scale * eta
        new = np.asarray(location + scale * rng.standard_normal())
        link = self.likelihood.link
        return {
            "location": location,
            "scale": scale,
            **self._spreads(location, scale),
            "eta": eta,
            "alpha": alpha,
            "theta": link.theta(alpha),
            "theta_new": link.theta(new),
        }
