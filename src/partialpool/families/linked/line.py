"""Counts whose logits or logarithms scatter about a regression line on covariates of the groups.

Data: counts given theta_j, and covariates x_j of each group. Partial pooling has alpha_j ~
normal(location + x_j' beta, scale), with x_j counted from its mean over the groups, and alpha_j the
logit of a probability or the logarithm of a rate (Gelman and Hill 2007, *Data Analysis Using
Regression and Multilevel/Hierarchical Models*, chapters 14 and 15). Complete pooling puts all
groups on the line: logistic regression, or Poisson regression. No pooling leaves them alone.

The mean mu and the sd tau of theta in the population, and the mean sd sigma of a single trial, are
those of groups at the means of the covariates. Elsewhere they are others: `OnALinkedLine.at`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families.base import NONE, Design
from partialpool.families.covariates import Covariates, simulated
from partialpool.families.linked.family import LinkedFamily
from partialpool.families.linked.integrals import RULE, WIDTH, Integrals, below, grid
from partialpool.families.linked.posterior import LinkedPosterior
from partialpool.families.on_a_line import OnALine
from partialpool.families.protocols import Pooling, Posterior
from partialpool.families.sampled import SampledFamily
from partialpool.priors import Normal
from partialpool.priors.choices import BASE
from partialpool.priors.hyperparameters import STANDARD, Priors
from partialpool.priors.linked import LinkedRegressionChoice
from partialpool.types import BoolArray, FloatArray, IntArray

_SIMULATED_SLOPE = 1.0


@dataclass(frozen=True)
class Populations:
    """Populations of theta at the covariates of each group.

    Attributes
    ----------
    mean, sd
        Of theta, shape (J, ...).
    error_sd
        Root of the mean variance of a single trial, or of the events in one unit of exposure.
    """

    mean: FloatArray
    sd: FloatArray
    error_sd: FloatArray


class OnALinkedLine(OnALine, SampledFamily, LinkedFamily):
    """What such families share; before the family of the same rows without covariates."""

    mixture = "covariates of counts"
    plain: ClassVar[LinkedFamily]
    """The family of the same rows and population without covariates."""

    factor: ClassVar[str]
    """What a unit of a covariate multiplies: "odds", "rates"."""

    factors: ClassVar[str]
    """What it multiplies that by, several: "odds ratios", "rate ratios"."""

    alphas: ClassVar[str]
    """What has a normal population: "logits", "log rates"."""

    settings: ClassVar[tuple[str, ...]] = (
        *("theta_alpha", "theta_beta", "location_mean", "location_sd", "beta_scale", "scale_sd"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = (
        *("location_mean", "location_sd", "beta_scale", "scale_sd"),
    )

    def with_covariates(self, stats: Any, found: Covariates) -> Any:
        """Put covariates beside counts."""
        return self.statistics(stats.labels, **stats.columns, explained_by=found)

    # --- priors -------------------------------------------------------------------------------

    def slope_unit(self, stats: Any) -> float:
        """One: a logit, or a factor of e."""
        return 1.0

    def default_priors(self, stats: Any) -> Priors:
        """Priors of the model without covariates, and one of the slopes.

        What an sd of a covariate adds to a logit or a logarithm: normal(0, 2.5), as rstanarm has it
        (Goodrich, Gabry, Ali and Brilleman, *rstanarm*, "Prior distributions").
        """
        sources = {**self.plain.default_priors(stats).sources, "beta_scale": STANDARD}
        return Priors(super().default_priors(stats).values, sources)

    def base_choice(self, priors: Priors) -> LinkedRegressionChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        plain = self.plain.base_choice(priors)
        [slopes] = priors.required(("beta_scale",))
        beta = Normal(0.0, slopes)
        return LinkedRegressionChoice(BASE, plain.location, plain.scale, plain.link, beta=beta)

    def named_choices(self, stats: Any, priors: Priors) -> dict[str, Any]:
        """Those without covariates, and two of the slopes: ten times as wide, and a fifth."""
        usual = super().named_choices(stats, priors)
        return {**usual, **self.slope_choices(self.base_choice(priors))}

    def expected(self, choice: Any, stats: Any, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw the raw estimate of a new group with the size and the covariates of those seen."""
        rng = np.random.default_rng(1)  # the same numbers for every choice
        x = stats.covariates.design[:, 1:]
        slopes = choice.beta.scale * rng.standard_normal((z.shape[1], x.shape[1]))
        line = (x[rng.integers(0, len(x), z.shape[1])] * slopes).sum(axis=1)
        return self.plain.expected_about(choice.at_the_means, stats, u, z, line)

    # --- programs -----------------------------------------------------------------------------

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """Never: slopes are sampled."""
        return False

    def _integrated(self, stats: Any, power: float) -> dict[str, Any]:
        """Which groups have few counts and which have many, and what integrals over alpha need."""
        count, size = (power * part for part in self._counts(stats))
        many: BoolArray = Integrals(self.likelihood, count, size).many & (size > 0)
        few = ~many & (size > 0)
        node = grid(self.likelihood, count[few], size[few]) if few.any() else np.zeros(0)
        center, variance = self.likelihood.about(count[many], size[many])
        return {
            "K": stats.covariates.K,
            "covariates": stats.covariates.values,
            "A": int(few.sum()),
            "few": np.flatnonzero(few) + 1,
            "Q": len(node),
            "node": node,
            "node_sd": WIDTH * float(node[1] - node[0]) if len(node) else 1.0,
            "M": int(many.sum()),
            "many": np.flatnonzero(many) + 1,
            "center_m": center,
            "variance_m": variance,
            "R": len(RULE[0]),
            "point": RULE[0],
            "log_weight": np.log(RULE[1] / np.sqrt(2 * np.pi)),
        }

    # --- algebra ------------------------------------------------------------------------------

    def line(self, stats: Any, location: FloatArray, beta: FloatArray) -> FloatArray:
        """Location of the population of each group, shape (J, ...).

        Parameters
        ----------
        stats
            The statistics.
        location, beta
            Draws, shape (...) and (K, ...).
        """
        return np.asarray(location + np.tensordot(stats.covariates.centered, beta, axes=1))

    def at(self, line: FloatArray, scale: FloatArray) -> Populations:
        """Populations of theta about a line on the scale of alpha, shapes (J, ...) and (...)."""
        return Populations(*self.likelihood.link.moments(*np.broadcast_arrays(line, scale)))

    def log_marginal_about(self, stats: Any, line: FloatArray, scale: FloatArray) -> FloatArray:
        """Log probability of each group's counts as those of a new group about a line, (J, ...).

        Parameters
        ----------
        stats
            The statistics.
        line, scale
            Location of each group's population and its sd, shapes (J, ...) and (...); a scale of 0
            puts the groups on the line.
        """
        count, size = self._counts(stats)
        found = np.empty(line.shape)
        for j in range(stats.J):
            own = Integrals(self.likelihood, count[j : j + 1], size[j : j + 1])
            found[j] = self.likelihood.constant(count[j], size[j])
            if scale.any():
                flat = line[j].ravel(), np.broadcast_to(scale, line[j].shape).ravel()
                found[j] += own.log_marginal(*flat)[0].reshape(line[j].shape)
            else:
                found[j] += self.likelihood.log_density(line[j], count[j], size[j])
        return found

    def below_about(self, stats: Any, line: FloatArray, scale: FloatArray) -> FloatArray:
        """Probability of a smaller count of such a group, as large a one counted half, (J, ...)."""
        count, size = self._counts(stats)
        found = np.empty(line.shape)
        for j in range(stats.J):
            if size[j] == 0:
                found[j] = 0.5
            elif scale.any():
                flat = line[j].ravel(), np.broadcast_to(scale, line[j].shape).ravel()
                own = below(self.likelihood, count[j], size[j], *flat)
                found[j] = own.reshape(line[j].shape)
            else:
                found[j] = self.likelihood.below(line[j], count[j], size[j])
        return found

    def replicated_about(
        self, stats: Any, line: FloatArray, scale: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw the raw estimates of groups drawn anew about a line, of the same sizes.

        Parameters
        ----------
        stats
            The statistics.
        line, scale
            Shapes (S, J) and (S,).
        rng
            Where randomness comes from.

        Returns
        -------
        array
            Shape (S, J); NaN of a size of 0.
        """
        alpha = line + scale[:, None] * rng.standard_normal(line.shape)
        theta = self.likelihood.link.theta(alpha)
        with np.errstate(invalid="ignore"):
            return self.replicate_given(stats, theta.T, rng).T

    # --- what is known in closed form ---------------------------------------------------------

    def knows_exactly(self, program: str) -> bool:
        """Of no pooling alone: a line leaves more dimensions than quadrature takes in passing."""
        return program == NONE

    def within_reach(self, stats: Any) -> bool:
        """Never: see `knows_exactly`."""
        return False

    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of no pooling.

        Raises
        ------
        InputError
            Another program, or a prior setting that is missing or out of range.
        """
        if program == NONE:
            return self.extreme("none", stats, priors)
        raise InputError(
            f"The exact posterior of {program!r} is not known; with {self.mixture} it is for "
            f"{NONE}."
        )

    def exact_alternative(self, choice: Any, stats: Any) -> LinkedPosterior:
        """Refuse: the posterior is sampled.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{choice.name}: with {self.mixture} no exact posterior is known; leave out what needs "
            "one"
        )

    def unexplained(self, stats: Any, priors: Priors) -> LinkedPosterior | None:
        """Exact posterior of partial pooling of the same counts without covariates."""
        if not self.plain.within_reach(stats):
            return None
        return self.plain.exact_alternative(self.plain.base_choice(priors), stats)

    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Nothing yet."""
        return {}

    # --- simulation ---------------------------------------------------------------------------

    @property
    def design(self) -> Design:
        """The design without covariates, and the prior of a slope."""
        found = super().design
        return replace(
            found, priors=Priors({**found.priors.values, "beta_scale": _SIMULATED_SLOPE})
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
        """Draw line and thetas from their priors."""
        if pooling == "none":
            return self.plain.draw_truth(pooling, groups, priors=priors, choice=choice, rng=rng)
        link, own = self.likelihood.link, simulated(groups)
        beta = choice.beta.scale * rng.standard_normal(own.K) / own.spread
        if pooling == "complete":
            location = np.asarray(choice.location.quantile(rng.uniform()))
            alpha = location + own.centered @ beta
            return {
                "location": location,
                "beta": beta,
                "mu": link.theta(location),
                "alpha": alpha,
                "theta": link.theta(alpha),
            }
        drawn = self.plain.draw_truth(
            pooling, groups, priors=priors, choice=choice.at_the_means, rng=rng
        )
        alpha = drawn["alpha"] + own.centered @ beta
        return {**drawn, "beta": beta, "alpha": alpha, "theta": link.theta(alpha)}

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Any]:
        """Draw counts of groups of these sizes."""
        y, group, plain = self.plain.draw_rows(truth, sizes, rng)
        return y, group, self.with_covariates(plain, simulated(len(sizes)))
