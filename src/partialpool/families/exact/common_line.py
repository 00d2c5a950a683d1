"""Complete pooling of observations on a regression line: all group means lie on it.

The algebra is that of `partialpool.families.exact.covariates` with tau = 0: what is left is one
dimension, log sigma.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from partialpool.families.covariates import Covariates
from partialpool.families.exact.covariates import GivenScales, LineProblem, coefficient
from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.quadrature import Marginal, marginal, narrow, refined
from partialpool.families.exact.statistics import log_spread
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    ScalePower,
    contrast_table,
    position,
    table,
)
from partialpool.families.moments import GroupStats
from partialpool.families.protocols import NormalMeans
from partialpool.families.within import WithinSums
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray

_SCALES = (("sigma", 1), ("sigma2", 2))


@dataclass(frozen=True)
class SigmaGrid:
    """One resolution of the quadrature over log sigma, where all group means lie on the line.

    Attributes
    ----------
    problem
        Data and priors; that of tau plays no part.
    sigma
        Marginal density of log sigma.
    """

    problem: LineProblem
    sigma: Marginal

    @cached_property
    def _given(self) -> GivenScales:
        sigma2 = np.exp(2 * self.sigma.nodes.ravel())
        found: GivenScales = self.problem.conditional(np.zeros_like(sigma2), sigma2)
        return found

    @cached_property
    def coefficients(self) -> list[NormalMixture]:
        """Posteriors of mu and of the slopes in the data's units."""
        given = self._given
        weights = self.sigma.weights.ravel()
        return self.problem.coefficients(weights, given.mean, given.covariance)

    def theta(self, j: int) -> NormalMixture:
        """Posterior of the line at group j."""
        return self.along(self.problem.design[j])

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of the difference of the line at two groups."""
        return self.along(self.problem.design[i] - self.problem.design[j])

    def along(self, x: FloatArray) -> NormalMixture:
        """Posterior of a sum of coefficients, that of mu and of an sd of each covariate."""
        given = self._given
        sd = np.sqrt(np.einsum("i,kij,j->k", x, given.covariance, x))
        origin = float(x @ self.problem.start)
        return NormalMixture(self.sigma.weights.ravel(), given.mean @ x, sd, origin)


@dataclass(frozen=True)
class CommonLinePosterior:
    """Posterior of complete pooling: all group means on the line, and one sd for all observations.

    Attributes
    ----------
    problem
        Data and priors; that of tau plays no part.
    labels
        Names of the groups.
    """

    pooling: ClassVar[Literal["complete"]] = "complete"

    problem: LineProblem
    labels: tuple[str, ...]

    def log_density(self, z: FloatArray) -> FloatArray:
        """Log of p(y, log sigma = z), but for the problem's `log_constant`."""
        problem, flat = self.problem, np.exp(2 * z.ravel())
        within = log_spread(z, problem.spare, problem.ss)
        prior = problem.sigma.log_density(np.exp(z)) + z
        return np.asarray(problem.on_the_line(flat).reshape(z.shape) + within + prior)

    @cached_property
    def coarse(self) -> SigmaGrid:
        """Grid that meets the tolerances of the quadrature."""
        low, high = self.problem.ends[1]
        lower, upper = narrow(self.log_density, np.array([low]), np.array([high]))
        rate = self.problem.n.sum() + self.problem.sigma.tail_power - 1
        found = marginal(self.log_density, float(lower[0]), float(upper[0]), tail_rate=rate)
        return SigmaGrid(self.problem, found)

    @cached_property
    def fine(self) -> SigmaGrid:
        """The same with its panels halved; the numbers reported are its."""
        return SigmaGrid(self.problem, refined(self.log_density, self.coarse.sigma))

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.problem.log_constant + self.fine.sigma.log_total

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior of theta by group, mu, the slopes in the data's units, sigma and sigma2."""
        wanted = self.labels if groups is None else groups
        named = [
            Quantity("theta", label, partial(SigmaGrid.theta, j=position(self.labels, label)))
            for label in wanted
        ]
        names = ("mu", *(f"beta[{name}]" for name in self.problem.names))
        named += [Quantity(n, "", partial(coefficient, k=k)) for k, n in enumerate(names)]
        quantities = [*named, *(Quantity(n, "", partial(_scale, k=k)) for n, k in _SCALES)]
        return table(quantities, self.coarse, self.fine, probs)

    def contrasts(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        pairs: Iterable[tuple[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Posteriors of differences theta_i - theta_j, as `HierarchicalPosterior.contrasts`."""
        return contrast_table(self.labels, self.coarse.contrast, self.fine.contrast, probs, pairs)

    def group_at(self, x: FloatArray) -> NormalMeans:
        """The line at a row of `Covariates.design`, where the mean of a further group lies."""
        found = self.coarse.along(x)
        sigma = np.exp(self.coarse.sigma.nodes.ravel())
        return NormalMeans(found.weights, found.origin + found.means, found.sds, sigma)

    def known_group(self, j: int) -> NormalMeans:
        """Mean of group j."""
        return self.group_at(self.problem.design[j])

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, FloatArray]:
        """Draw `sigma`, `mu`, of the given shape, `beta` and `theta`."""
        problem = self.problem
        sigma: FloatArray = np.exp(self.fine.sigma.draw((math.prod(shape),), rng=rng))
        given: GivenScales = problem.conditional(np.zeros_like(sigma), sigma**2)
        root = np.linalg.cholesky(given.covariance)
        b = given.mean + np.einsum("kij,kj->ki", root, rng.standard_normal(given.mean.shape))
        found = {
            "sigma": sigma,
            "mu": problem.start[0] + b[:, 0],
            "beta": (problem.start[1:] + b[:, 1:]) / problem.units,
            "theta": problem.origins + b @ problem.design.T,
        }
        return {name: array.reshape(*shape, *array.shape[1:]) for name, array in found.items()}


def _scale(grid: SigmaGrid, *, k: int) -> ScalePower:
    return ScalePower(grid.sigma, k)


def common_line_of_means(
    stats: GroupStats,
    covariates: Covariates,
    *,
    mu: Normal,
    beta: Normal,
    sigma: ScalePrior,
    within: WithinSums | None = None,
) -> CommonLinePosterior:
    """Posterior of complete pooling of group means on a line; arguments as of `line_of_means`."""
    problem = LineProblem.about(
        stats, covariates, mu=mu, beta=beta, tau=sigma, sigma=sigma, within=within
    )
    return CommonLinePosterior(problem, tuple(stats.labels))
