"""Groups of observations with covariates that vary within groups: means adjusted for them.

Data: y_ij ~ normal(theta_j + (x_ij - xbar_j)' beta, sigma), with xbar_j the mean of the covariates
in group j, so that theta_j is the mean of the group at the covariates that it has. Partial pooling
draws it towards a line, theta_j ~ normal(mu + (xbar_j - xbar)' beta, tau) with xbar the mean of all
observations: the same as a mean adjusted to xbar, theta_j - (xbar_j - xbar)' beta, that comes from
normal(mu, tau) (Battese, Harter and Fuller 1988, *Journal of the American Statistical Association*
83, 28-36; Gelman and Hill 2007, *Data Analysis Using Regression and Multilevel/Hierarchical
Models*, section 12.3). Covariates of groups are among x, with nothing within groups. Complete
pooling puts all means on the line; no pooling gives each group a mean of its own, and all groups
the same slopes, learned within them, and the same variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.families import exact
from partialpool.families.adjusting import columns_of_rows, sums_of_rows
from partialpool.families.base import COMMON_VARIANCE, COMPLETE, FORMS, MARGINAL
from partialpool.families.covariates import Covariates
from partialpool.families.moments import GroupStats, group_stats
from partialpool.families.normal import Observations
from partialpool.families.normal_covariates import (
    ExplainedMeans,
    ExplainedObservations,
    priors_of_line,
)
from partialpool.families.protocols import Pooling, Posterior
from partialpool.families.within import WithinSums
from partialpool.priors.hyperparameters import Priors
from partialpool.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class AdjustedMeans(ExplainedMeans):
    """Sufficient statistics of observations, and of covariates that vary within groups.

    Attributes
    ----------
    labels, n, mean, ss
        As of `GroupStats`.
    explained_by
        Means of the covariates in each group.
    within
        Sums of products within groups.
    """

    within: WithinSums

    apart: ClassVar[tuple[str, ...]] = ("labels", "explained_by", "within")

    def take(self, at: IntArray) -> AdjustedMeans:
        """Return the statistics of some groups; covariates are counted from the same means."""
        return beside(GroupStats.take(self, at), self.covariates.take(at), self.within.take(at))

    def without_row(self, j: int, value: float, weight: float = 1.0) -> None:
        """None: what an observation adds to the sums of products is not known."""
        del j, value, weight

    @property
    def rank(self) -> int:
        """How many slopes the deviations within groups tell."""
        return len(self._reduced[0])

    @property
    def vary(self) -> BoolArray:
        """Which covariates vary within groups, shape (K,)."""
        return np.asarray(self.within.xx.any(axis=(0, 1)))

    def varies(self, name: str) -> bool:
        """Whether a covariate varies within groups."""
        return bool(self.vary[self.covariates.names.index(name)])

    @property
    def adjusted_by(self) -> FloatArray:
        """What is adjusted for, from its means; 0 of covariates of groups, shape (J, K)."""
        return np.where(self.vary, self.covariates.centered, 0.0)

    @property
    def _reduced(self) -> tuple[FloatArray, FloatArray, float]:
        return self.within.least_squares(float(self.ss.sum()), self.covariates.spread)

    @property
    def within_inputs(self) -> dict[str, Any]:
        """What programs are told of the slopes within groups: as few rows as there are slopes."""
        root, slopes, left = self._reduced
        return {"M": len(root), "x_within": root, "y_within": root @ slopes, "ssw": left}


def beside(stats: GroupStats, found: Covariates, within: WithinSums) -> AdjustedMeans:
    """Put covariates that vary within groups beside the statistics of observations."""
    return AdjustedMeans(stats.labels, stats.n, stats.mean, stats.ss, found, within)


def of_slopes(stats: Any, beta: FloatArray | None, error_sd: FloatArray) -> FloatArray:
    """What slopes within groups add to the log density of each group's data; 0 without.

    Parameters
    ----------
    stats
        Statistics of any family.
    beta
        Slopes in the data's units, shape (K, ...).
    error_sd
        Sd within groups, of the same further axes.

    Returns
    -------
    array
        Shape (J, ...).
    """
    if beta is None or not isinstance(stats, AdjustedMeans):
        return np.zeros(1)
    shape = (-1,) + (1,) * (beta.ndim - 1)
    fewer = stats.ss.reshape(shape) - stats.within.squares(stats.ss, beta)
    return np.asarray(0.5 * fewer / error_sd**2)


class AdjustedObservations(ExplainedObservations):
    """Groups of observations, whose means are adjusted for covariates within groups."""

    name = "normal_adjusted"
    folder = "adjusted"
    model: ClassVar = {**Observations.model, "groups": "adjusted"}
    statistics = AdjustedMeans
    programs: ClassVar[tuple[str, ...]] = (COMPLETE, COMMON_VARIANCE, *FORMS)

    def compared(self, stats: Any) -> tuple[tuple[str, ...], str]:
        """No pooling has one variance, as it has one slope of each covariate."""
        del stats
        return (COMPLETE, COMMON_VARIANCE, MARGINAL), ""

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """As of the family without adjustment; and sums of products, in as many rows as slopes."""
        usual = super().inputs(stats, draw_groups=draw_groups)
        found = stats.covariates
        return {**usual, "middle": found.middle, "sd_x": found.spread, **stats.within_inputs}

    def weighted(self, stats: Any, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        own, root = stats.within_inputs, np.sqrt(weight)
        return {
            "n": weight * stats.n,
            "ssw": weight * own["ssw"],
            "x_within": root * own["x_within"],
            "y_within": root * own["y_within"],
        }

    def log_likelihood_given(
        self,
        stats: Any,
        theta: FloatArray,
        error_sd: FloatArray,
        others: Mapping[str, FloatArray],
    ) -> FloatArray:
        """As `log_likelihood`, about slopes within groups."""
        plain = self.log_likelihood(stats, theta, error_sd)
        beta = others.get("beta")
        return np.asarray(plain + of_slopes(stats, beta, error_sd).sum(axis=0))

    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program == COMPLETE:
            mu, beta, sigma = priors_of_line(priors)
            return exact.common_line_of_means(
                stats, stats.covariates, mu=mu, beta=beta, sigma=sigma, within=stats.within
            )
        if program == COMMON_VARIANCE:
            [slopes] = priors.required(("beta_scale",))
            usual = super().exact_posterior(program, stats, priors)
            assert isinstance(usual, exact.CommonVariancePosterior)
            return exact.adjusted_common_variance(usual, stats, slopes)
        return super().exact_posterior(program, stats, priors)

    def exact_alternative(self, choice: Any, stats: Any) -> exact.LineOfMeansPosterior:
        """Exact posterior of the hierarchical model under a choice of priors.

        Raises
        ------
        InputError
            Statistics that no data can have, or an improper posterior of sigma.
        """
        return exact.line_of_means(
            stats,
            stats.covariates,
            mu=choice.mu,
            beta=choice.beta,
            tau=choice.tau,
            sigma=choice.sigma,
            within=stats.within,
        )

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
        if program != COMMON_VARIANCE:
            return super().draw_exactly(
                program, stats, priors, rng=rng, shape=shape, draw_groups=draw_groups
            )
        posterior: Any = self.exact_posterior(program, stats, priors)
        theta, sigma = posterior.draws(rng=rng, shape=shape)
        lprior = posterior.theta.log_density(theta).sum(axis=-1)
        lprior = lprior + posterior.sigma.log_density(sigma) - np.log(2 * sigma)
        return {"theta": theta, "sigma2": sigma**2, "sigma": sigma, "lprior": lprior}

    def prior_marginal(self, stats: Any, priors: Mapping[str, float]) -> FloatArray | None:
        """None: groups share their slopes, so their data are not independent."""
        del stats, priors
        return None

    def deviations(self, stats: Any, count: int, rng: np.random.Generator) -> FloatArray:
        """How far covariates of rows lie from those of their group, in sds, shape (count, K)."""
        root = stats.within_inputs["x_within"] / np.sqrt(max(1, stats.N - stats.J))
        return np.asarray(rng.standard_normal((count, len(root))) @ root)

    def slopes_between(self, stats: Any) -> int:
        """How many slopes only the differences of groups tell: those of covariates of groups."""
        return int((~stats.vary).sum())

    def simulated(self, groups: int) -> Covariates:
        """Means of two covariates in simulated groups of the design, the same every time."""
        del groups
        return _simulated(self.design.sizes)[0]

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
        """Draw means, sds and slopes from their priors."""
        found = super().draw_truth(
            pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
        )
        if pooling == "none":
            own = self.simulated(groups)
            found["beta"] = choice.beta.scale * rng.standard_normal(own.K) / own.spread
        return found

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, AdjustedMeans]:
        """Draw observations of groups of these sizes, with two covariates that vary in them."""
        own, x = _simulated(sizes)
        n = np.array(sizes, dtype=np.int64)
        group = np.repeat(np.arange(n.size), n)
        mean = truth["theta"] + np.zeros(n.size) - own.values @ truth["beta"]
        sd = np.broadcast_to(truth["sigma"], n.shape)
        y = mean[group] + x @ truth["beta"] + sd[group] * rng.standard_normal(len(x))
        plain = group_stats(y, group, [str(j) for j in range(1, n.size + 1)])
        return y, group, beside(plain, own, sums_of_rows(x, y, group, n.size)[1])

    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Regression of the observations by REML."""
        from partialpool.families import classical_lines

        return {
            "regression": partial(
                classical_lines.regression, stats, stats.covariates, within=stats.within
            )
        }


def _simulated(sizes: Sequence[float]) -> tuple[Covariates, FloatArray]:
    """Covariates of simulated rows, a number and a category: means by group, and the rows' own."""
    n = np.array(sizes, dtype=np.int64)
    group = np.repeat(np.arange(n.size), n)
    at = np.arange(len(group))
    numbers = 10 + 2 * np.sin(1.0 + 2.0 * group) + 3 * np.cos(1.7 * at)
    kinds = ["b" if row % 5 in (0, 3) else "a" for row in at.tolist()]
    names, x, levels = columns_of_rows({"x": numbers, "kind": kinds}, str, where="simulated")
    means = sums_of_rows(x, numbers, group, n.size)[0]
    return Covariates(names, means, x.mean(axis=0), x.std(axis=0, ddof=1), levels), x


ADJUSTED_OBSERVATIONS = AdjustedObservations()
"""The family of observations with covariates that vary within groups."""
