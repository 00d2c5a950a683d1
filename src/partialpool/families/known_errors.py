"""Estimates with known standard errors: one estimate a group, as in a meta-analysis.

Data: y_j ~ normal(theta_j, se_j) with se_j known (Rubin 1981, *Journal of Educational Statistics*
6, 377-401; Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.5). Partial pooling
adds theta_j ~ normal(mu, tau). Complete pooling is the common-effect model of meta-analysis, and no
pooling leaves the estimates as they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.base import (
    COMPLETE,
    DRAWN_GROUPS,
    FORMS,
    MARGINAL,
    NONE,
    SHIPPED,
    Design,
    Family,
    Statistics,
    Words,
    check_scale,
    draw_population,
    rounded,
    rounded_to,
)
from partialpool.families.codes import missing_value_codes
from partialpool.families.exact.classes import MOST_CLASSES
from partialpool.families.order import order_of_labels
from partialpool.families.protocols import Declared, Pooling, Posterior
from partialpool.priors import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
)
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import SCALED, Priors
from partialpool.settings import Settings
from partialpool.text import beside, in_full
from partialpool.types import FloatArray, IntArray

_LOG_2_PI = math.log(2 * math.pi)
_FAR = 3
_DF = 3.0
_FLAT = 1000.0


@dataclass(frozen=True)
class Estimates(Statistics):
    """Estimates with their standard errors.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    estimate, se
        Estimate of each group and its standard error, in the unit of the data, shape (J,).
    """

    labels: tuple[str, ...]
    estimate: FloatArray
    se: FloatArray

    error_sd = ""

    @property
    def N(self) -> int:
        """Number of estimates."""
        return len(self.labels)

    @property
    def counts(self) -> IntArray:
        """One estimate a group."""
        return np.ones(self.J, dtype=np.int64)

    @property
    def raw(self) -> FloatArray:
        """The estimates."""
        return self.estimate

    @property
    def raw_se(self) -> FloatArray:
        """Their standard errors."""
        return self.se

    @cached_property
    def weight(self) -> FloatArray:
        """Precisions, 1 / se^2."""
        return np.asarray(self.se**-2)

    @property
    def sizes(self) -> Mapping[str, FloatArray]:
        """Standard errors, the smaller the more is known."""
        return {"se": self.se}

    @property
    def grand_mean(self) -> float:
        """Mean of the estimates, each weighted by 1 / se^2: the common-effect estimate."""
        origin = self.estimate[0]
        scale = float(self.se.min())
        weights = (scale / self.se) ** 2
        return float(origin + np.average(self.estimate - origin, weights=weights))

    @property
    def total_sd(self) -> float:
        """Square root of the mean squared error plus the variance of the estimates.

        It is the sd of an estimate about the mean of all, if they were drawn anew; it stays above
        zero where all estimates are alike.
        """
        spread = float(np.var(self.estimate, ddof=1)) if self.J > 1 else 0.0
        return math.sqrt(float((self.se**2).mean()) + spread)

    def summary(self) -> pd.DataFrame:
        """Describe each group.

        Returns
        -------
        DataFrame
            One row a group: `group` (label), `estimate`, `se`, and `q2.5`, `q97.5`: the ends of
            estimate -+ 1.96 se, all in the unit of the data.
        """
        reach = 1.959963984540054 * self.se
        return pd.DataFrame(
            {
                "group": list(self.labels),
                "estimate": self.estimate,
                "se": self.se,
                "q2.5": self.estimate - reach,
                "q97.5": self.estimate + reach,
            }
        )

    def take(self, at: IntArray) -> Estimates:
        """Return the estimates of some groups."""
        return Estimates(tuple(self.labels[j] for j in at), self.estimate[at], self.se[at])


def estimates(
    labels: Sequence[str], estimate: FloatArray, se: FloatArray, *, where: str = "data"
) -> Estimates:
    """Check estimates and put their groups in order.

    Parameters
    ----------
    labels
        Names of the groups, each once.
    estimate, se
        Estimates and standard errors, finite, shape (J,).
    where
        What messages call the data.

    Raises
    ------
    InputError
        Nothing to pool, a group with more than one estimate, a standard error that is not above
        zero, or numbers whose squares overflow.
    """
    estimate, se = (np.asarray(part, dtype=np.float64) for part in (estimate, se))
    if len(labels) == 0:
        raise InputError(f"{where}: there are no estimates; at least one is needed")
    order = order_of_labels(labels)
    if len(order) < len(labels):
        label, count = next(each for each in Counter(labels).items() if each[1] > 1)
        raise InputError(
            f"{where}: group {label!r} has {count} estimates, and this model takes one a group; "
            "combine them into one estimate with its standard error, or give each a group of its "
            "own"
        )
    wrong = ~(se > 0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"{where}: the standard error of group {labels[first]!r} is {se[first]:g}; it must be "
            "above zero"
        )
    with np.errstate(over="ignore", divide="ignore"):
        extremes = np.concatenate([estimate**2, se**2, se**-2, [np.ptp(estimate) ** 2 * len(se)]])
        largest = np.maximum(np.abs(estimate), np.maximum(se, 1 / se))
    if not np.isfinite(extremes.sum()):
        worst = int(np.argmax(largest))
        raise InputError(
            f"{where}: the squares of the numbers overflow (group {labels[worst]!r} has estimate "
            f"{estimate[worst]:g} and standard error {se[worst]:g}); divide both by a suitable "
            "unit first"
        )
    if order == list(labels):
        return Estimates(tuple(order), estimate, se)
    places = {label: place for place, label in enumerate(labels)}
    at = np.array([places[label] for label in order])
    return Estimates(tuple(order), estimate[at], se[at])


class KnownErrors(Family):
    """One estimate a group, normal around the group's theta with a known standard error."""

    name = "known_errors"
    reads = "known_errors"
    folder = "known_errors"
    statistics: ClassVar[type[Any]] = Estimates
    words = Words(
        theta="effect",
        thetas="effects",
        raw="estimate",
        raws="estimates",
        rows="estimates",
        size="standard error",
        size_title="Standard error",
        least="largest standard errors",
        raw_se="",
        data="estimates",
        middle="Their mean, weighted by 1 / se², is",
        reference="mean of the estimates, weighted by 1 / se²",
        population="a normal population of effects",
        too_alike="the estimates lie closer together than their standard errors lead one to expect",
    )
    settings: ClassVar[tuple[str, ...]] = (
        *("theta_location", "theta_scale"),
        *("mu_location", "mu_scale", "tau_df", "tau_scale"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = ("mu_location", "mu_scale", "tau_df", "tau_scale")
    explained: ClassVar[str] = "known_errors_covariates"
    nested: ClassVar[str] = "known_errors_nested"
    rows_are_groups = True
    may_be_logarithms = True

    def notices(self, stats: Estimates, y: FloatArray) -> list[str]:
        """Say where estimates look like codes for missing ones."""
        return missing_value_codes(stats.estimate)

    def default_priors(self, stats: Estimates) -> Priors:
        """Priors that leave the word to the estimates, on their scale.

        With m the common-effect estimate and s the `Estimates.total_sd`, both rounded to three
        digits:

        - mu: normal(m, 10 s), flat where the estimates lie;
        - tau: half-Student-t(3, 0, s), which allows for effects that differ by far more than the
          errors, and is proper, with moments, also for two groups (Gelman 2006, *Bayesian
          Analysis* 1, 515-534, for the family; Röver et al. 2021, *Research Synthesis Methods* 12,
          448-474, on scaling such priors);
        - theta of complete and no pooling: normal(m, 1000 s), which does not move an estimate by
          more than a millionth of its error's share.

        Raises
        ------
        InputError
            Estimates or errors have a scale that is out of reach.
        """
        check_scale(stats.total_sd)
        s = rounded(stats.total_sd)
        m = rounded_to(stats.grand_mean, 0.01 * s)
        values = {
            "theta_location": m,
            "theta_scale": rounded(_FLAT * s),
            "mu_location": m,
            "mu_scale": rounded(10 * s),
            "tau_df": _DF,
            "tau_scale": s,
        }
        return Priors(values, dict.fromkeys(values, SCALED))

    def prior_conflicts(self, priors: Priors, stats: Estimates) -> list[str]:
        """Warn where the common-effect estimate is more than three prior sds from a prior mean."""
        value = priors.values
        found = []
        for name in ("theta", "mu"):
            location, scale = value.get(f"{name}_location"), value.get(f"{name}_scale")
            if location is None or scale is None or scale <= 0:
                continue
            distance = abs(stats.grand_mean - location) / scale
            if distance > _FAR:
                found.append(
                    f"the prior of {name}, normal({in_full(location)}, {scale:g}), puts the "
                    f"common-effect estimate {beside(stats.grand_mean, stats.total_sd)} "
                    f"{distance:.1f} prior sds from its center"
                )
        spread = float(np.std(stats.estimate, ddof=1)) if stats.J > 1 else 0.0
        scale = value.get("tau_scale")
        if scale is not None and 0 < scale < 0.01 * spread:
            found.append(
                f"the prior scale of tau, {scale:g}, is below a hundredth of the sd of the "
                f"estimates, {spread:.4g}"
            )
        return found

    def base_choice(self, priors: Priors) -> PriorChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        location, scale, df, tau = priors.required(KnownErrors.choice_settings)
        return PriorChoice(BASE, Normal(location, scale), HalfT(df, tau))

    def named_choices(self, stats: Estimates, priors: Priors) -> dict[str, PriorChoice]:
        """Every choice that can be asked for by name, the base first.

        The alternatives vary the prior of tau or that of mu; s is `Estimates.total_sd`, rounded to
        two digits. `uniform` is uniform(0, 10 s) as in Gelman (2006), the half-normal and the
        half-Cauchy are the choices that Röver et al. (2021) discuss.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        base = self.base_choice(priors)
        s = float(f"{stats.total_sd:.2g}")
        taus: dict[str, ScalePrior] = {
            "uniform": Uniform(10 * s),
            "half_normal": HalfNormal(s),
            "half_normal_narrow": HalfNormal(0.5 * s),
            "half_cauchy": HalfCauchy(s),
            "half_t_wide": HalfT(_DF, 5 * s),
            "exponential": Exponential(float(f"{1 / s:.2g}")),
        }
        choices = [base, *(replace(base, name=name, tau=tau) for name, tau in taus.items())]
        choices += [
            replace(base, name="mu_wide", mu=replace(base.mu, scale=10 * base.mu.scale)),
            replace(base, name="mu_narrow", mu=replace(base.mu, scale=0.1 * base.mu.scale)),
        ]
        return {choice.name: choice for choice in choices}

    def starts(
        self, program: Declared, stats: Estimates, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the estimates, one set a chain.

        Returns
        -------
        list of dict
            Parameter to value, for each chain: `mu`, `tau`, `tau_stretched` (0 near the data's own
            spread), `theta` and `eta`, where the program declares them.
        """
        declared = program.declared["parameters"]
        typical = float(np.sqrt((stats.se**2).mean()))
        between = max(float(np.std(stats.estimate)), 0.1 * typical)
        whole = float(stats.weight.sum() ** -0.5)
        found = []
        for chain in range(1, settings.chains + 1):
            rng = np.random.default_rng([settings.seed, chain])
            factor = rng.uniform(-0.7, 0.7)
            tau = min(between * math.exp(factor), 0.5 * float(inputs.get("tau_upper", np.inf)))
            shift = rng.uniform(-2, 2, size=stats.J)
            scalars = {
                "mu": stats.grand_mean + 2 * between * rng.uniform(-1, 1),
                "tau": tau,
                "tau_stretched": factor,
                "theta": stats.grand_mean + 2 * whole * rng.uniform(-1, 1),
            }
            vectors = {"theta": stats.estimate + shift * stats.se, "eta": shift}
            start: dict[str, Any] = {}
            for name, entry in declared.items():
                source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
                if name in source and entry["type"] == "real":
                    start[name] = source[name]
            found.append(start)
        return found

    def check_poolable(self, program: Declared, stats: Estimates) -> list[str]:
        """Refuse partial pooling of one group; warn where few groups leave tau to its prior.

        Raises
        ------
        InputError
            Partial pooling of one group.
        """
        if program.pooling != "partial":
            return []
        if stats.J == 1:
            raise InputError(
                "partial pooling needs at least two groups: with one, the data say nothing of the "
                "variance between groups"
            )
        if stats.J <= 3:
            few = {2: "two", 3: "three"}[stats.J]
            return [
                f"with {few} groups the prior of tau decides how much is pooled: "
                "read tau and everything that follows from it as prior, not as data"
            ]
        return []

    def inputs(self, stats: Estimates, *, draw_groups: bool) -> dict[str, Any]:
        """Give the standard errors, and the estimates by distinct standard error.

        `se` is by group; `K`, `se_k`, `J_k`, `y_k`, `ssb_k` are by distinct standard error: its
        value, number of estimates, their mean and sum of squares about it; `J_drawn`,
        `estimate_drawn`, `se_drawn` are the groups whose effects are drawn; `likelihood_power` is
        1.
        """
        distinct, which, count = np.unique(stats.se, return_inverse=True, return_counts=True)
        origin = stats.estimate[0]
        centered = stats.estimate - origin
        mean = np.bincount(which, centered) / count
        groups = slice(None if draw_groups else 0)
        return {
            "se": stats.se,
            "K": len(distinct),
            "se_k": distinct,
            "J_k": count,
            "y_k": origin + mean,
            "ssb_k": np.bincount(which, (centered - mean[which]) ** 2),
            "likelihood_power": 1.0,
            "J_drawn": len(stats.se[groups]),
            "estimate_drawn": stats.estimate[groups],
            "se_drawn": stats.se[groups],
        }

    def weighted(self, stats: Estimates, weight: float) -> dict[str, Any]:
        """Raise the likelihood to a power, which the program takes as it is."""
        return {"likelihood_power": weight}

    def count(self, stats: Estimates) -> str:
        """Say how many estimates there are."""
        if stats.J == 1:
            return "one estimate with a known standard error"
        return f"{stats.J:,} estimates with known standard errors"

    def shares(self, stats: Estimates, tau: FloatArray) -> dict[str, FloatArray]:
        """Draws of I^2 = tau^2 / (tau^2 + s^2) and of H^2 = 1 / (1 - I^2).

        s^2 = (J - 1) sum w / ((sum w)^2 - sum w^2) with w = 1 / se^2 is the typical error variance
        of Higgins and Thompson (2002, *Statistics in Medicine* 21, 1539-1558).
        """
        if stats.J == 1:
            return {}
        w = stats.weight / stats.weight.max()
        typical = (stats.J - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum()) / stats.weight.max()
        return {"i2": tau**2 / (tau**2 + typical), "h2": (tau**2 + typical) / typical}

    def log_likelihood(
        self, stats: Estimates, theta: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log density of all estimates given the effects, up to a constant."""
        shape = (-1,) + (1,) * (theta.ndim - 1)
        y, weight = stats.estimate.reshape(shape), stats.weight.reshape(shape)
        total: FloatArray = (-0.5 * weight * (y - theta) ** 2).sum(axis=0)
        return total

    def log_marginal(
        self, stats: Estimates, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log density of each estimate as that of a new group: normal(center, tau^2 + se^2)."""
        y, se = stats.estimate[:, None, None], stats.se[:, None, None]
        with np.errstate(all="ignore"):
            variance = tau**2 + se**2
            return np.asarray(-0.5 * (_LOG_2_PI + np.log(variance) + (y - center) ** 2 / variance))

    def prior_marginal(self, stats: Estimates, priors: Mapping[str, float]) -> FloatArray | None:
        """Log prior predictive density of each estimate under no pooling, in closed form."""
        if not {"theta_location", "theta_scale"} <= set(priors):
            return None
        variance = priors["theta_scale"] ** 2 + stats.se**2
        distance = stats.estimate - priors["theta_location"]
        return np.asarray(-0.5 * (_LOG_2_PI + np.log(variance) + distance**2 / variance))

    def exact_posterior(self, program: str, stats: Estimates, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program in FORMS:
            return self.exact_alternative(self.base_choice(priors), stats)
        if program not in {COMPLETE, NONE}:
            raise InputError(
                f"The exact posterior of {program!r} is not known; it is for {', '.join(SHIPPED)}."
            )
        theta = Normal(*priors.required(("theta_location", "theta_scale")))
        make = exact.common_effect if program == COMPLETE else exact.separate_effects
        return make(stats.labels, stats.estimate, stats.se, theta=theta)

    def draws_exactly(self, program: str, stats: Estimates, *, rows: bool) -> bool:
        """Whether it is the marginal program, with very many groups or distinct standard errors.

        Stan's time for a step grows with their number; that of the exact posterior does not. Of
        very many groups that are all alike chains diverge, tau is so close to 0.
        """
        many = stats.J > DRAWN_GROUPS or len(np.unique(stats.se)) > MOST_CLASSES
        return program == MARGINAL and many

    def draw_exactly(
        self,
        program: str,
        stats: Estimates,
        priors: Priors,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `tau`, `mu`, `tau2`, `theta_new`, `lprior` and, if asked, `theta`.

        Given mu and tau, theta_j ~ normal(y_j + lambda_j (mu - y_j), tau^2 lambda_j) with the
        pooling factor lambda_j = se_j^2 / (se_j^2 + tau^2).
        """
        choice = self.base_choice(priors)
        drawn = self.exact_alternative(choice, stats).draws(rng=rng, shape=shape)
        tau, mu = drawn["tau"], drawn["mu"]
        drawn["tau2"] = tau**2
        drawn["theta_new"] = mu + tau * rng.standard_normal(shape)
        drawn["lprior"] = choice.log_density(mu, tau)
        if draw_groups:
            drawn["theta"] = _theta(drawn, stats, rng)
        return drawn

    def exact_alternative(
        self, choice: PriorChoice, stats: Estimates
    ) -> exact.KnownErrorsPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return exact.known_errors(
            stats.labels, stats.estimate, stats.se, mu=choice.mu, tau=choice.tau
        )

    def draw_alternative(
        self,
        choice: PriorChoice,
        stats: Estimates,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `tau`, `mu` and, if asked, `theta` from that posterior."""
        drawn = self.exact_alternative(choice, stats).draws(rng=rng, shape=shape)
        if draw_groups:
            drawn["theta"] = _theta(drawn, stats, rng)
        return drawn

    @property
    def design(self) -> Design:
        """Eight estimates, the largest error sixteen times the smallest."""
        return Design(
            family=self.name,
            sizes=(0.5, 1, 1.5, 2, 3, 4, 6, 8),
            priors=Priors(
                {
                    "theta_location": 3.0,
                    "theta_scale": 4.0,
                    "mu_location": 3.0,
                    "mu_scale": 4.0,
                    "tau_df": 4.0,
                    "tau_scale": 2.5,
                }
            ),
            scales=(
                *(Uniform(6), HalfNormal(3), HalfCauchy(2), HalfT(4, 2.5), Exponential(0.4)),
                InverseGammaVariance(3, 20),
            ),
        )

    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: PriorChoice,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw the effects from their prior or, under partial pooling, from a population."""
        if pooling == "partial":
            return draw_population(choice, groups, rng)
        value = priors.values
        theta = Normal(value["theta_location"], value["theta_scale"])
        shape = () if pooling == "complete" else (groups,)
        return {"theta": theta.quantile(rng.uniform(size=shape))}

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Estimates]:
        """Draw an estimate for each standard error."""
        se = np.array(sizes, dtype=np.float64)
        y = rng.normal(np.broadcast_to(truth["theta"], se.shape), se)
        labels = tuple(str(j) for j in range(1, se.size + 1))
        return y, np.arange(se.size), Estimates(labels, y, se)

    def classical(self, stats: Estimates) -> dict[str, Callable[[], pd.DataFrame]]:
        """Meta-analysis without priors, and the weights of its estimates."""
        from partialpool.families import meta_analysis

        return {
            "meta_analysis": partial(meta_analysis.summary, stats),
            "weights": partial(meta_analysis.weights, stats),
        }


def _theta(
    drawn: Mapping[str, FloatArray], stats: Estimates, rng: np.random.Generator
) -> FloatArray:
    """Draw theta given mu and tau, shape (chain, draw, J)."""
    tau, mu = drawn["tau"][..., None], drawn["mu"][..., None]
    factor = 1 / (1 + (tau / stats.se) ** 2)
    mean = stats.estimate + factor * (mu - stats.estimate)
    return np.asarray(mean + tau * np.sqrt(factor) * rng.standard_normal(mean.shape))


KNOWN_ERRORS = KnownErrors()
"""The family of estimates with known standard errors."""
