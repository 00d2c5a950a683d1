"""The exact posterior of the hierarchical model, as tables and as independent draws.

`problem` holds the model and its algebra. Here the density of (tau, sigma) is integrated with
each of log tau, log sigma and log(tau / sigma) as outer variable, which gives the distributions
of tau, sigma and their powers, and of the intraclass correlation and the pooling factors, which
are functions of the ratio. Group means, mu and predictions are mixtures of normals over the
nodes in the plane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from partialpool.families.exact.mixture import HeavyMixture, NormalMixture
from partialpool.families.exact.on_grids import Contrasted
from partialpool.families.exact.plane import Outer
from partialpool.families.exact.problem import Conditional, Problem
from partialpool.families.exact.table import (
    Quantity,
    ScalePower,
    Share,
)
from partialpool.families.moments import GroupStats
from partialpool.families.protocols import NormalMeans
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray


@dataclass(frozen=True)
class Grid:
    """One resolution of the quadrature; each part of it is worked out when it is first used.

    Attributes
    ----------
    problem
        Data and priors.
    coarser
        The grid of which this is the refinement, if it is one.
    """

    problem: Problem
    coarser: Grid | None = None

    @cached_property
    def tau(self) -> Outer:
        """Marginal density of log tau."""
        return self._marginal(0, None if self.coarser is None else self.coarser.tau)

    @cached_property
    def sigma(self) -> Outer:
        """Marginal density of log sigma."""
        return self._marginal(1, None if self.coarser is None else self.coarser.sigma)

    @cached_property
    def ratio(self) -> Outer:
        """Marginal density of log(tau / sigma)."""
        return self._marginal(2, None if self.coarser is None else self.coarser.ratio)

    def _marginal(self, plane: int, coarse: Outer | None) -> Outer:
        outer = self.problem.planes()[plane]
        return outer.marginal() if coarse is None else outer.refined(coarse)

    @cached_property
    def _nodes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.problem.planes()[0].nodes(self.tau)

    @property
    def weights(self) -> FloatArray:
        """Probabilities of the nodes in the plane, shape (nodes,), sum 1."""
        return self._nodes[2]

    @cached_property
    def given(self) -> Conditional:
        """Moments of mu at the nodes."""
        x, z, _ = self._nodes
        return self.problem.conditional(np.exp(2 * x), np.exp(2 * z))

    def mixture(self, mean: FloatArray, variance: FloatArray) -> NormalMixture:
        """Mixture of normals with these moments at the nodes, mean counted from the origin."""
        return NormalMixture(self.weights, mean, np.sqrt(variance), self.problem.origin)

    @cached_property
    def mu(self) -> NormalMixture:
        """Posterior of mu."""
        return self.mixture(self.given.mu_mean, self.given.mu_variance)

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        return self.mixture(*self.given.theta(self.problem.n[j], self.problem.mean[j]))

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        n, mean = self.problem.n, self.problem.mean
        moments = self.given.contrast((n[i], mean[i]), (n[j], mean[j]))
        return NormalMixture(self.weights, moments[0], np.sqrt(moments[1]), 0.0)

    def predictive(self, *, observation: bool) -> NormalMixture:
        """Posterior of a new group's mean, or of an observation in a new group."""
        given = self.given
        components = given.mu_variance + given.tau2
        variance = self.mu.sd**2 + self.tau.scale_mean(2)
        if observation:
            components = components + given.sigma2
            variance += self.sigma.scale_mean(2)
        sds = np.sqrt(components)
        return HeavyMixture(self.weights, given.mu_mean, sds, self.problem.origin, variance)

    def pooling_factor(self, j: int) -> Share:
        """Posterior of lambda_j = (sigma^2 / n_j) / (sigma^2 / n_j + tau^2)."""
        n = self.problem.n[j]
        return Share(self.ratio, lambda r: 1 / (1 + n * np.exp(2 * r)), increasing=False)

    def icc(self) -> Share:
        """Posterior of the intraclass correlation tau^2 / (tau^2 + sigma^2)."""
        return Share(self.ratio, lambda r: 1 / (1 + np.exp(-2 * r)), increasing=True)


@dataclass(frozen=True)
class HierarchicalPosterior(Contrasted[Grid]):
    """Posterior of the hierarchical model, on a grid and on its refinement.

    Its `summary` has theta, mu, tau, sigma, tau2, sigma2, icc (tau2 / (tau2 + sigma2)), lambda
    (pooling factor by group, 1 = complete pooling), theta_new (mean of a group not seen) and y_new
    (an observation in that group).

    Attributes
    ----------
    problem
        Data and priors.
    labels
        Names of the groups.
    """

    problem: Problem
    labels: tuple[str, ...]

    @cached_property
    def coarse(self) -> Grid:
        """Grid that meets the tolerances of the quadrature."""
        return Grid(self.problem)

    @cached_property
    def fine(self) -> Grid:
        """The same with twice the nodes in each direction; the numbers reported are its."""
        return Grid(self.problem, coarser=self.coarse)

    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Theta and lambda of these groups, and what there is of the population."""
        for j in groups:
            yield Quantity("theta", self.labels[j], partial(_theta, j=j))
        yield Quantity("mu", "", lambda grid: grid.mu)
        yield Quantity("tau", "", lambda grid: ScalePower(grid.tau, 1))
        yield Quantity("sigma", "", lambda grid: ScalePower(grid.sigma, 1))
        yield Quantity("tau2", "", lambda grid: ScalePower(grid.tau, 2))
        yield Quantity("sigma2", "", lambda grid: ScalePower(grid.sigma, 2))
        yield Quantity("icc", "", Grid.icc)
        for j in groups:
            yield Quantity("lambda", self.labels[j], partial(Grid.pooling_factor, j=j))
        yield Quantity("theta_new", "", partial(Grid.predictive, observation=False))
        yield Quantity("y_new", "", partial(Grid.predictive, observation=True))

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.problem.log_constant + self.fine.tau.log_total

    def new_group(self) -> NormalMeans:
        """Mean of a group that there are no data of."""
        given = self.coarse.given
        sd = np.sqrt(given.mu_variance + given.tau2)
        mean = self.problem.origin + given.mu_mean
        return NormalMeans(self.coarse.weights, mean, sd, np.sqrt(given.sigma2))

    def known_group(self, j: int) -> NormalMeans:
        """Mean of group j."""
        theta, sigma = self.coarse.theta(j), np.sqrt(self.coarse.given.sigma2)
        return NormalMeans(theta.weights, theta.origin + theta.means, theta.sds, sigma)


def hierarchical(
    stats: GroupStats, *, mu: Normal, tau: ScalePrior, sigma: ScalePrior
) -> HierarchicalPosterior:
    """Posterior of the hierarchical model (partial pooling).

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    mu, tau, sigma
        Priors of the mean of the group means, and of the standard deviations between group
        means and within groups, in the unit of the data.

    Raises
    ------
    InputError
        Statistics that no data can have, or an improper posterior of sigma.
    """
    problem = Problem.of(stats, mu=mu, tau=tau, sigma=sigma)
    return HierarchicalPosterior(problem, tuple(stats.labels))


def _theta(grid: Grid, *, j: int) -> NormalMixture:
    return grid.theta(j)
