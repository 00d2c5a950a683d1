"""Groups of observations with covariates of the groups: means about a regression line.

Data: y_ij ~ normal(theta_j, sigma), and covariates x_j of each group. Partial pooling draws each
mean towards a regression line, theta_j ~ normal(mu + x_j' beta, tau) with x_j counted from its mean
over the groups (Gelman and Hill 2007, *Data Analysis Using Regression and Multilevel/Hierarchical
Models*, section 12.6; Battese, Harter and Fuller 1988, *Journal of the American Statistical
Association* 83, 28-36). Complete pooling puts all means on the line, and no pooling leaves the
groups alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.base import COMPLETE, FORMS, MARGINAL, draw_population
from partialpool.families.covariates import Covariates, simulated
from partialpool.families.exact.classes import MOST_CLASSES
from partialpool.families.moments import GroupStats
from partialpool.families.normal import Observations
from partialpool.families.on_a_line import Explained, OnALine
from partialpool.families.protocols import Pooling, Posterior
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.priors.choices import BASE, PriorChoice, RegressionChoice
from partialpool.priors.hyperparameters import Priors
from partialpool.types import FloatArray, IntArray


@dataclass(frozen=True)
class ExplainedMeans(Explained, GroupStats):
    """Sufficient statistics of observations, and covariates of their groups.

    Attributes
    ----------
    labels, n, mean, ss
        As of `GroupStats`.
    explained_by
        Covariates of the groups.
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray
    explained_by: Covariates

    def take(self, at: IntArray) -> ExplainedMeans:
        """Return the statistics of some groups; covariates are counted from the same means."""
        return _beside(super().take(at), self.covariates.take(at))

    def without_row(self, j: int, value: float, weight: float = 1.0) -> ExplainedMeans | None:
        """Return the statistics without one observation of group j; None where it has no other."""
        found = super().without_row(j, value, weight)
        return None if found is None else _beside(found, self.covariates)


def _beside(stats: GroupStats, found: Covariates) -> ExplainedMeans:
    return ExplainedMeans(stats.labels, stats.n, stats.mean, stats.ss, found)


class ExplainedObservations(OnALine, Observations):
    """Groups of observations, whose means are normal around a regression line."""

    name = "normal_covariates"
    folder = "covariates"
    model: ClassVar = {**Observations.model, "groups": "explained"}
    nested: ClassVar[str] = ""
    statistics: ClassVar[type[Any]] = ExplainedMeans
    words = replace(Observations.words, population="a normal population of means about the line")
    idea = ("", "")
    settings: ClassVar[tuple[str, ...]] = (
        *("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"),
        *("mu_location", "mu_scale", "beta_scale"),
        *("tau_df", "tau_scale", "tau_upper", "sigma_upper"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = (*Observations.choice_settings, "beta_scale")

    def unexplained(self, stats: Any, priors: Priors) -> exact.HierarchicalPosterior:
        """Exact posterior of partial pooling of the same observations about one mean."""
        return Observations().exact_alternative(Observations().base_choice(priors), stats)

    def with_covariates(self, stats: GroupStats, found: Covariates) -> ExplainedMeans:
        """Put covariates beside the statistics of observations."""
        return _beside(stats, found)

    def base_choice(self, priors: Priors) -> RegressionChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        usual = super().base_choice(priors)
        [slopes] = priors.required(("beta_scale",))
        return RegressionChoice(BASE, usual.mu, usual.tau, usual.sigma, beta=Normal(0.0, slopes))

    def named_choices(self, stats: Any, priors: Priors) -> dict[str, Any]:
        """Those of `Observations`, and two of the slopes: ten times as wide, and a fifth."""
        base = self.base_choice(priors)
        usual = super().named_choices(stats, priors)
        found = {
            name: choice
            if isinstance(choice, RegressionChoice)
            else RegressionChoice(name, choice.mu, choice.tau, choice.sigma, beta=base.beta)
            for name, choice in usual.items()
        }
        return {**found, **self.slope_choices(base)}

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """Give statistics by group and covariates, for `stan_data`, and whether groups are drawn.

        `tau_df`, `tau_scale` and `tau_upper` stand in for settings of the prior of tau that is not
        chosen.
        """
        usual = super().inputs(stats, draw_groups=draw_groups)
        kept = ("tau_df", "tau_scale", "tau_upper", "n", "ybar", "ss", "ssw", "J_drawn")
        return {
            **{name: usual[name] for name in kept},
            "K": stats.covariates.K,
            "covariates": stats.covariates.values,
        }

    def weighted(self, stats: Any, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        return {"n": weight * stats.n, "ssw": weight * float(stats.ss.sum())}

    def replicated(
        self,
        stats: Any,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw sample means anew about the line; `center` has shape (S, J)."""
        error = error_sd[:, None] / np.sqrt(stats.n)
        spread = np.hypot(tau[:, None], error)
        return np.asarray(center + spread * rng.standard_normal(spread.shape))

    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program != COMPLETE:
            return super().exact_posterior(program, stats, priors)
        mu, beta, sigma = priors_of_line(priors)
        return exact.common_line_of_means(stats, stats.covariates, mu=mu, beta=beta, sigma=sigma)

    def exact_alternative(self, choice: Any, stats: Any) -> exact.LineOfMeansPosterior:
        """Exact posterior of the hierarchical model under a choice of priors.

        Raises
        ------
        InputError
            Statistics that no data can have, or an improper posterior of sigma.
        """
        if choice.sigma is None:
            raise InputError(f"the choice {choice.name!r} has no prior of sigma")
        return exact.line_of_means(
            stats,
            stats.covariates,
            mu=choice.mu,
            beta=choice.beta,
            tau=choice.tau,
            sigma=choice.sigma,
        )

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """As of `Observations`; of partial pooling, where many groups make Stan's steps costly."""
        if program == MARGINAL:
            return bool(stats.J > MOST_CLASSES)
        return program not in FORMS and super().draws_exactly(program, stats, rows=rows)

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
        """Draw what the program writes of its parameters, with `lprior`."""
        if program not in (COMPLETE, MARGINAL):
            return super().draw_exactly(
                program, stats, priors, rng=rng, shape=shape, draw_groups=draw_groups
            )
        spread = stats.covariates.spread
        if program == COMPLETE:
            mu, beta, sigma = priors_of_line(priors)
            posterior: Any = self.exact_posterior(program, stats, priors)
            drawn = posterior.draws(rng=rng, shape=shape)
            of_variance = sigma.log_density(drawn["sigma"]) - np.log(2 * drawn["sigma"])
            lprior = mu.log_density(drawn["mu"]) + of_variance
            lprior = lprior + beta.log_density(drawn["beta"] * spread).sum(axis=-1)
            return {**drawn, "sigma2": drawn["sigma"] ** 2, "lprior": np.asarray(lprior)}
        choice = self.base_choice(priors)
        drawn = self.draw_alternative(choice, stats, rng=rng, shape=shape, draw_groups=draw_groups)
        tau, within = drawn["tau"], drawn["sigma"]
        drawn["tau2"], drawn["sigma2"] = tau**2, within**2
        drawn["theta_new"] = drawn["mu"] + tau * rng.standard_normal(shape)
        drawn["y_new"] = drawn["theta_new"] + within * rng.standard_normal(shape)
        of_beta = choice.beta.log_density(drawn["beta"] * spread).sum(axis=-1)
        drawn["lprior"] = choice.log_density(drawn["mu"], tau, within) + of_beta
        return drawn

    def draw_alternative(
        self,
        choice: Any,
        stats: Any,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `tau`, `sigma`, `mu`, `beta` and, if asked, `theta` from that posterior."""
        posterior = self.exact_alternative(choice, stats)
        return posterior.draws(rng=rng, shape=shape, groups=draw_groups)

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
        """Draw line, means and sds from their priors."""
        if pooling == "none":
            return super().draw_truth(
                pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
            )
        own = self.simulated(groups)
        beta = choice.beta.scale * rng.standard_normal(own.K) / own.spread
        line = own.centered @ beta
        if pooling == "complete":
            mu, _, variance = priors_of_line(priors)
            drawn = {
                name: prior.quantile(rng.uniform())
                for name, prior in (("mu", mu), ("sigma", variance))
            }
            return {
                **drawn,
                "beta": beta,
                "sigma2": drawn["sigma"] ** 2,
                "theta": drawn["mu"] + line,
            }
        plain = PriorChoice(choice.name, choice.mu, choice.tau, choice.sigma)
        drawn = draw_population(plain, groups, rng)
        y_new = np.asarray(rng.normal(drawn["theta_new"], drawn["sigma"]))
        return {**drawn, "beta": beta, "theta": drawn["theta"] + line, "y_new": y_new}

    def simulated(self, groups: int) -> Covariates:
        """Covariates of simulated groups, the same every time."""
        return simulated(groups)

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, ExplainedMeans]:
        """Draw observations of groups of these sizes."""
        y, group, plain = super().draw_rows(truth, sizes, rng)
        return y, group, _beside(plain, simulated(len(sizes)))

    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Regression of the group means by REML."""
        from partialpool.families import classical_lines

        return {"regression": partial(classical_lines.regression, stats, stats.covariates)}


def priors_of_line(priors: Priors) -> tuple[Normal, Normal, InverseGammaVariance]:
    """Priors of mu, of the slopes and of the variance under complete pooling."""
    names = ("mu_location", "mu_scale", "beta_scale", "sigma2_shape", "sigma2_scale")
    location, scale, slopes, shape, rate = priors.required(names)
    return Normal(location, scale), Normal(0.0, slopes), InverseGammaVariance(shape, rate)


EXPLAINED_OBSERVATIONS = ExplainedObservations()
"""The family of observations with covariates of their groups."""
