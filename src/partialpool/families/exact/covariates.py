"""The exact posterior of observations whose group means lie about a regression line.

Model: y_ij ~ N(theta_j, sigma^2), theta_j ~ N(x_j' b, tau^2), b ~ N(b0, V) with V diagonal, any
prior of `partialpool.priors` for tau and for sigma (Gelman and Hill 2007, *Data Analysis Using
Regression and Multilevel/Hierarchical Models*, chapter 12). The first column of x is 1, the others
are covariates in sds from their means over the groups. With V_j = tau^2 + sigma^2 / n_j and
w_j = 1 / V_j, A = V^-1 + sum w_j x_j x_j' and h = A^-1 (V^-1 b0 + sum w_j x_j mean_j), given
(tau, sigma)

- log p(y | tau, sigma) = sum (log w_j) / 2 - (sum w_j (mean_j - x_j' h)^2 +
  (b0 - h)' V^-1 (b0 - h)) / 2 - log(|A| |V|) / 2, and what deviations from means say of sigma,
- b ~ N(h, A^-1),
- theta_j ~ N(mean_j + a_j (x_j' h - mean_j), (1 - a_j) sigma^2 / n_j + a_j^2 x_j' A^-1 x_j) with
  the pooling factor a_j = (sigma^2 / n_j) w_j.

Everything is counted from a least-squares line, so that an offset or a steep line costs no digits.
Complete pooling is the same with tau = 0.

Where covariates vary within groups (`WithinSums`), x_j holds their group means, and deviations from
group means say more of b: they add Sxx / sigma^2 to A and Sxy / sigma^2 to what it is solved for,
with S the sums of products within groups. What is left of the outcome's own sum about the slopes of
least squares within groups is what then says something of sigma alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from partialpool.families.covariates import Covariates
from partialpool.families.exact.classes import spread_sums
from partialpool.families.exact.draws import inner_quantiles
from partialpool.families.exact.hierarchical import Grid, HierarchicalPosterior
from partialpool.families.exact.line import inverse
from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.problem import Problem
from partialpool.families.exact.statistics import (
    check_spread,
    check_statistics,
    search_range,
)
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    table,
)
from partialpool.families.moments import GroupStats
from partialpool.families.protocols import NormalMeans
from partialpool.families.within import WithinSums
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray

_BLOCK = 60_000


@dataclass(frozen=True)
class GivenScales:
    """What is normal given (tau, sigma), at each of k points.

    Attributes
    ----------
    tau2, sigma2
        Variances, shape (k,).
    mean, covariance
        Of the coefficients, counted from `LineProblem.start`, shapes (k, m) and (k, m, m).
    """

    tau2: FloatArray
    sigma2: FloatArray
    mean: FloatArray
    covariance: FloatArray

    @property
    def mu_mean(self) -> FloatArray:
        """Mean of mu, shape (k,)."""
        return self.mean[:, 0]

    @property
    def mu_variance(self) -> FloatArray:
        """Variance of mu, shape (k,)."""
        return self.covariance[:, 0, 0]


@dataclass(frozen=True)
class LineProblem(Problem):
    """Data and priors, arranged for the density of (log tau, log sigma).

    Attributes
    ----------
    n, mean
        Size and mean of each group, the mean counted from the line `start`, shape (J,).
    origin
        Where mu is counted from: the first coefficient of `start`.
    spare, ss, mu, tau, sigma
        As of `Problem`.
    design
        Ones and standardized covariates, shape (J, m).
    start
        Coefficients of the line that everything is counted from, shape (m,).
    slope
        Prior of what an sd of each covariate adds.
    units
        Sd of each covariate in its unit, shape (m - 1,).
    names
        Names of the covariates.
    within
        Sums of products of (x, mean) that come from deviations within groups, in units of sigma^2,
        shape (m + 1, m + 1); 0 where covariates are those of groups.
    """

    design: FloatArray
    start: FloatArray
    slope: Normal
    units: FloatArray
    names: tuple[str, ...]
    within: FloatArray

    @classmethod
    def about(
        cls,
        stats: GroupStats,
        covariates: Covariates,
        *,
        mu: Normal,
        beta: Normal,
        tau: ScalePrior,
        sigma: ScalePrior,
        within: WithinSums | None = None,
    ) -> LineProblem:
        """Check sufficient statistics and count them from the line of least squares.

        Raises
        ------
        InputError
            Statistics that no data can have; an improper posterior of sigma.
        """
        check_statistics(stats)
        n, mean = (np.asarray(part, dtype=float) for part in (stats.n, stats.mean))
        ss, spare = float(np.sum(stats.ss)), float(n.sum() - n.size)
        root, slopes = np.zeros((0, covariates.K)), np.zeros(covariates.K)
        if within is not None:
            root, slopes, ss = within.least_squares(ss, covariates.spread)
        check_spread(ss, spare, sigma, "within groups ")
        design, weight, first = covariates.design, np.sqrt(n), float(mean[0])
        of_means = design * weight[:, None], (mean - first) * weight
        of_rows = np.pad(root, ((0, 0), (1, 0))), root @ slopes
        stacked = [np.concatenate(pair) for pair in zip(of_means, of_rows, strict=True)]
        start = np.linalg.lstsq(stacked[0], stacked[1], rcond=None)[0]
        turned = np.column_stack([of_rows[0], root @ (slopes - start[1:])])
        left = mean - first - design @ start
        start = start + first * (np.arange(start.size) == 0)
        data = (n, left, float(start[0]), spare, ss)
        units, names, of_rows_alone = covariates.spread, covariates.names, turned.T @ turned
        line = (np.asarray(start), beta, units, names, np.asarray(of_rows_alone))
        return cls(*data, mu, tau, sigma, 0.0, design, *line)

    @cached_property
    def origins(self) -> FloatArray:
        """Where each group's mean is counted from, shape (J,)."""
        return np.asarray(self.design @ self.start)

    @cached_property
    def _prior(self) -> tuple[FloatArray, FloatArray]:
        """Mean (from `start`) and precision of the prior of the coefficients, shape (m,)."""
        priors = (self.mu, *([self.slope] * len(self.names)))
        location = np.array([prior.location for prior in priors]) - self.start
        return location, np.array([prior.scale**-2 for prior in priors])

    @cached_property
    def _sums(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """1 / n, counts, and sums of products of (x, mean) over groups of each size."""
        both = np.column_stack([self.design, self.mean])
        m = both.shape[1]
        products = (both[:, :, None] * both[:, None, :]).reshape(len(both), m * m)
        rest, sums = spread_sums(self.n**-0.5, np.ascontiguousarray(products.T))
        return rest, sums[0], sums.T

    @cached_property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of log tau and of log sigma that hold all there is, but for power tails."""
        lengths = (
            self.tau.typical,
            self.sigma.typical,
            self.mu.scale,
            self.slope.scale,
            *np.abs(self._prior[0]),
            float(np.abs(self.mean).max()),
            math.sqrt(self.ss / self.n.sum()),
        )
        return (
            search_range(lengths, self.tau.upper_bound),
            search_range(lengths, self.sigma.upper_bound),
        )

    @cached_property
    def log_constant(self) -> float:
        """Constant factors of the likelihood."""
        return super().log_constant - len(self.names) * math.log(self.slope.scale)

    def conditional(self, tau2: FloatArray, sigma2: FloatArray) -> Any:
        """Moments of the coefficients given the variances, each shape (k,)."""
        parts = [self._line(*block) for block in self._blocks(tau2, sigma2)]
        mean, precision = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return GivenScales(tau2, sigma2, mean, inverse(precision))

    def _blocks(self, *arrays: FloatArray) -> Iterator[tuple[FloatArray, ...]]:
        step = max(1, _BLOCK // max(self._sums[0].size, (self.start.size + 1) ** 2))
        flat = [array.ravel() for array in arrays]
        for at in range(0, flat[0].size, step):
            yield tuple(array[at : at + step] for array in flat)

    def _line(
        self, tau2: FloatArray, sigma2: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean and precision of the coefficients, and the log density of the group means."""
        rest, counts, sums = self._sums
        m, (location, prior) = self.start.size, self._prior
        w = np.reciprocal(tau2[:, None] + sigma2[:, None] * rest)
        products = (w @ sums).reshape(-1, m + 1, m + 1)
        products += self.within / sigma2[:, None, None]
        precision = products[:, :-1, :-1] + np.diag(prior)
        weighted = products[:, :-1, -1] + prior * location
        h = np.asarray(np.linalg.solve(precision, weighted[..., None])[..., 0], dtype=np.float64)
        turned = np.concatenate([-h, np.ones((len(h), 1))], axis=1)
        distance = np.einsum("ki,kij,kj->k", turned, products, turned)
        distance += (prior * (location - h) ** 2).sum(axis=1)
        log_determinant = np.linalg.slogdet(precision)[1] - np.log(w) @ counts
        return h, precision, -0.5 * (distance + log_determinant)

    def _between(self, tau2: FloatArray, sigma2: FloatArray) -> FloatArray:
        return self._line(tau2, sigma2)[2]

    def on_the_line(self, sigma2: FloatArray) -> FloatArray:
        """Log density of the group means given variances within, where tau is 0, shape (k,)."""
        zeros = np.zeros_like(sigma2)
        return np.concatenate([self._between(*part) for part in self._blocks(zeros, sigma2)])

    def theta(self, j: int, given: GivenScales) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Mean of theta_j, its own variance, what multiplies the coefficients in it, and origin."""
        error2 = given.sigma2 / self.n[j]
        factor = error2 / (error2 + given.tau2)
        mean = self.mean[j] + factor * (given.mean @ self.design[j] - self.mean[j])
        return mean, given.tau2 * factor, factor[:, None] * self.design[j], float(self.origins[j])

    def coefficients(
        self, weights: FloatArray, mean: FloatArray, covariance: FloatArray
    ) -> list[NormalMixture]:
        """Posteriors of mu and of the slopes in the data's units, from nodes."""
        units = np.concatenate([[1.0], self.units])
        return [
            NormalMixture(
                weights,
                mean[:, k] / unit,
                np.sqrt(covariance[:, k, k]) / unit,
                float(self.start[k] / unit),
            )
            for k, unit in enumerate(units)
        ]


@dataclass(frozen=True)
class LineGrid(Grid):
    """One resolution of the quadrature, as `Grid`; what is normal depends on the line."""

    problem: LineProblem

    @cached_property
    def coefficients(self) -> list[NormalMixture]:
        """Posteriors of mu and of the slopes in the data's units."""
        given: Any = self.given
        return self.problem.coefficients(self.weights, given.mean, given.covariance)

    def _mixture(
        self, mean: FloatArray, own: FloatArray, of: FloatArray, origin: float
    ) -> NormalMixture:
        given: Any = self.given
        spread = own + np.einsum("ki,kij,kj->k", of, given.covariance, of)
        return NormalMixture(self.weights, mean, np.sqrt(spread), origin)

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        given: Any = self.given
        return self._mixture(*self.problem.theta(j, given))

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        given: Any = self.given
        mean, own, of, origin = self.problem.theta(i, given)
        other, its, against, from_there = self.problem.theta(j, given)
        return self._mixture(mean - other, own + its, of - against, origin - from_there)


@dataclass(frozen=True)
class LineOfMeansPosterior(HierarchicalPosterior):
    """Posterior of partial pooling about a line, on a grid and on its refinement."""

    problem: LineProblem

    @cached_property
    def coarse(self) -> LineGrid:
        """Grid that meets the tolerances of the quadrature."""
        return LineGrid(self.problem)

    @cached_property
    def fine(self) -> LineGrid:
        """The same with twice the nodes in each direction; the numbers reported are its."""
        return LineGrid(self.problem, coarser=self.coarse)

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior moments and quantiles, as `HierarchicalPosterior.summary` has them.

        `mu`, `theta_new` and `y_new` are at the means of the covariates; `beta[NAME]` is a slope in
        the data's units.
        """
        plain = super().summary(probs=probs, groups=groups)
        named = [
            Quantity(f"beta[{name}]", "", partial(coefficient, k=k))
            for k, name in enumerate(self.problem.names, start=1)
        ]
        slopes = table(named, self.coarse, self.fine, probs)
        at = int(plain["parameter"].tolist().index("mu")) + 1
        return pd.concat([plain[:at], slopes, plain[at:]], ignore_index=True)

    def group_at(self, x: FloatArray) -> NormalMeans:
        """Mean of a group that there are no data of, at a row of `Covariates.design`."""
        grid = self.coarse
        given: Any = grid.given
        mean = x @ self.problem.start + given.mean @ x
        variance = given.tau2 + np.einsum("i,kij,j->k", x, given.covariance, x)
        return NormalMeans(grid.weights, mean, np.sqrt(variance), np.sqrt(given.sigma2))

    def draws(
        self, *, rng: np.random.Generator, shape: tuple[int, int], groups: bool
    ) -> dict[str, FloatArray]:
        """Draw `tau`, `sigma`, `mu`, of the given shape, `beta` and, if asked, `theta`."""
        problem, size = self.problem, math.prod(shape)
        x = self.coarse.tau.draw((size,), rng=rng)
        z = inner_quantiles(problem.planes()[0], self.coarse.tau, x, rng.uniform(size=size))
        tau, sigma = np.exp(x), np.exp(z)
        given: GivenScales = problem.conditional(tau**2, sigma**2)
        root = np.linalg.cholesky(given.covariance)
        away = np.einsum("kij,kj->ki", root, rng.standard_normal(given.mean.shape))
        b = given.mean + away
        found = {"tau": tau, "sigma": sigma, "mu": problem.start[0] + b[:, 0]}
        found["beta"] = (problem.start[1:] + b[:, 1:]) / problem.units
        if groups:
            error2 = (sigma**2)[:, None] / problem.n
            factor = error2 / (error2 + (tau**2)[:, None])
            mean = problem.mean + factor * (b @ problem.design.T - problem.mean)
            spread = tau[:, None] * np.sqrt(factor)
            found["theta"] = problem.origins + mean + spread * rng.standard_normal(mean.shape)
        return {name: array.reshape(*shape, *array.shape[1:]) for name, array in found.items()}


def coefficient(grid: Any, *, k: int) -> NormalMixture:
    """One of the coefficients of a grid: of mu, then of the slopes."""
    found: NormalMixture = grid.coefficients[k]
    return found


def line_of_means(
    stats: GroupStats,
    covariates: Covariates,
    *,
    mu: Normal,
    beta: Normal,
    tau: ScalePrior,
    sigma: ScalePrior,
    within: WithinSums | None = None,
) -> LineOfMeansPosterior:
    """Posterior of partial pooling of group means about a line.

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    covariates
        Covariates of the groups.
    mu, beta, tau, sigma
        Priors of the mean of the group means at the means of the covariates, of what one sd of each
        covariate adds, of the sd about the line, and of the sd within groups.
    within
        Sums of products within groups, where covariates vary there.

    Raises
    ------
    InputError
        Statistics that no data can have, or an improper posterior of sigma.
    """
    problem = LineProblem.about(
        stats, covariates, mu=mu, beta=beta, tau=tau, sigma=sigma, within=within
    )
    return LineOfMeansPosterior(problem, tuple(stats.labels))
