"""Estimates with known standard errors and covariates of their groups: meta-regression.

Data: y_j ~ normal(theta_j, se_j) with se_j known, and covariates x_j of each group. Partial pooling
draws each effect towards a regression line, theta_j ~ normal(mu + x_j' beta, tau) with x_j counted
from its mean over the groups (Fay and Herriot 1979, *Journal of the American Statistical
Association* 74, 269-277; Gelman and Hill 2007, section 21.6). Complete pooling puts all effects on
the line, and no pooling leaves the estimates as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from partialpool.families import exact
from partialpool.families.base import COMPLETE, MARGINAL, draw_population
from partialpool.families.covariates import Covariates, simulated
from partialpool.families.exact.classes import MOST_CLASSES
from partialpool.families.known_errors import Estimates, KnownErrors
from partialpool.families.on_a_line import Explained, OnALine
from partialpool.families.protocols import Pooling, Posterior
from partialpool.priors import HalfT, Normal
from partialpool.priors.choices import BASE, PriorChoice, RegressionChoice
from partialpool.priors.hyperparameters import Priors
from partialpool.types import FloatArray, IntArray


@dataclass(frozen=True)
class ExplainedEstimates(Explained, Estimates):
    """Estimates with their standard errors and covariates of their groups.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    estimate, se
        Estimate of each group and its standard error, in the unit of the data, shape (J,).
    explained_by
        Covariates of the groups.
    """

    labels: tuple[str, ...]
    estimate: FloatArray
    se: FloatArray
    explained_by: Covariates

    def take(self, at: IntArray) -> ExplainedEstimates:
        """Return the estimates of some groups; covariates are counted from the same means."""
        labels = tuple(self.labels[j] for j in at)
        kept = self.covariates.take(at)
        return ExplainedEstimates(labels, self.estimate[at], self.se[at], kept)


class MetaRegression(OnALine, KnownErrors):
    """One estimate a group, normal around theta; theta is normal around a regression line."""

    name = "known_errors_covariates"
    reads = "known_errors_covariates"
    folder = "known_errors/covariates"
    statistics = ExplainedEstimates
    words = replace(KnownErrors.words, population="a normal population of effects about the line")
    settings = (
        *("theta_location", "theta_scale"),
        *("mu_location", "mu_scale", "beta_scale", "tau_df", "tau_scale"),
    )
    choice_settings = ("mu_location", "mu_scale", "tau_df", "tau_scale", "beta_scale")

    def unexplained(self, stats: Any, priors: Priors) -> exact.KnownErrorsPosterior:
        """Exact posterior of partial pooling of the estimates about one mean."""
        choice = KnownErrors().base_choice(priors)
        return exact.known_errors(
            stats.labels, stats.estimate, stats.se, mu=choice.mu, tau=choice.tau
        )

    def with_covariates(self, stats: Estimates, found: Covariates) -> ExplainedEstimates:
        """Put covariates beside estimates."""
        return ExplainedEstimates(stats.labels, stats.estimate, stats.se, found)

    def base_choice(self, priors: Priors) -> RegressionChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        location, scale, df, tau, slopes = priors.required(self.choice_settings)
        mu, beta = Normal(location, scale), Normal(0.0, slopes)
        return RegressionChoice(BASE, mu, HalfT(df, tau), beta=beta)

    def named_choices(self, stats: Any, priors: Priors) -> dict[str, Any]:
        """Those of `KnownErrors`, and two of the slopes: ten times as wide, and a fifth."""
        usual = super().named_choices(stats, priors)
        return {**usual, **self.slope_choices(self.base_choice(priors))}

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """Give standard errors and covariates, and whether groups are drawn."""
        return {
            "se": stats.se,
            "K": stats.covariates.K,
            "covariates": stats.covariates.values,
            "likelihood_power": 1.0,
            "J_drawn": stats.J if draw_groups else 0,
        }

    def shares(self, stats: Any, tau: FloatArray) -> dict[str, FloatArray]:
        """Draws of I^2 = tau^2 / (tau^2 + s^2) about the line and of H^2 = 1 / (1 - I^2).

        s^2 = (J - m) / tr(W - W X (X' W X)^-1 X' W) with w = 1 / se^2 and m coefficients is the
        typical error variance (Viechtbauer 2010, *Journal of Statistical Software* 36(3), 1-48).
        """
        x, w = stats.covariates.design, (stats.se.min() / stats.se) ** 2
        inside = np.einsum("ji,ik,jk->j", x, np.linalg.inv((x.T * w) @ x), x)
        trace = float((w - w**2 * inside).sum())
        typical = float(stats.se.min()) ** 2 * (stats.J - x.shape[1]) / trace
        return {"i2": tau**2 / (tau**2 + typical), "h2": (tau**2 + typical) / typical}

    def replicated(
        self,
        stats: Any,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw estimates anew about the line; `center` has shape (S, J)."""
        spread = np.hypot(tau[:, None], stats.se)
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
        location, scale, slopes = priors.required(("mu_location", "mu_scale", "beta_scale"))
        return exact.common_line(
            stats.labels,
            stats.estimate,
            stats.se,
            stats.covariates,
            mu=Normal(location, scale),
            beta=Normal(0.0, slopes),
        )

    def exact_alternative(self, choice: Any, stats: Any) -> Any:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return exact.meta_regression(
            stats.labels,
            stats.estimate,
            stats.se,
            stats.covariates,
            mu=choice.mu,
            beta=choice.beta,
            tau=choice.tau,
        )

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """Whether it is the marginal program, with many groups, whose number Stan's steps cost."""
        return program == MARGINAL and bool(stats.J > MOST_CLASSES)

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
        """Draw `tau`, `mu`, `beta`, `tau2`, `theta_new`, `lprior` and, if asked, `theta`."""
        choice = self.base_choice(priors)
        drawn = self.draw_alternative(choice, stats, rng=rng, shape=shape, draw_groups=draw_groups)
        tau, mu = drawn["tau"], drawn["mu"]
        drawn["tau2"] = tau**2
        drawn["theta_new"] = mu + tau * rng.standard_normal(shape)
        of_beta = choice.beta.log_density(drawn["beta"] * stats.covariates.spread).sum(axis=-1)
        drawn["lprior"] = choice.log_density(mu, tau) + of_beta
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
        """Draw `tau`, `mu`, `beta` and, if asked, `theta` from that posterior."""
        drawn: dict[str, FloatArray] = self.exact_alternative(choice, stats).draws(
            rng=rng, shape=shape
        )
        if draw_groups:
            tau = drawn["tau"][..., None]
            line = drawn["mu"][..., None] + drawn["beta"] @ stats.covariates.centered.T
            factor = 1 / (1 + (tau / stats.se) ** 2)
            mean = stats.estimate + factor * (line - stats.estimate)
            drawn["theta"] = mean + tau * np.sqrt(factor) * rng.standard_normal(mean.shape)
        return drawn

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
        """Draw line and effects from their priors."""
        if pooling == "none":
            return super().draw_truth(pooling, groups, priors=priors, choice=choice, rng=rng)
        own = simulated(groups)
        plain = PriorChoice(choice.name, choice.mu, choice.tau)
        drawn = draw_population(plain, groups, rng)
        beta = choice.beta.scale * rng.standard_normal(own.K) / own.spread
        line = own.centered @ beta
        if pooling == "complete":
            return {"mu": drawn["mu"], "beta": beta, "theta": drawn["mu"] + line}
        return {**drawn, "beta": beta, "theta": drawn["theta"] + line}

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, ExplainedEstimates]:
        """Draw an estimate for each standard error."""
        y, group, plain = super().draw_rows(truth, sizes, rng)
        return y, group, self.with_covariates(plain, simulated(len(sizes)))

    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Meta-regression without priors."""
        from partialpool.families import meta_analysis

        return {"meta_regression": partial(meta_analysis.regression, stats, stats.covariates)}


META_REGRESSION = MetaRegression()
"""The family of estimates with known standard errors and covariates."""
