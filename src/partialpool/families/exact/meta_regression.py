"""The exact posterior of estimates with known standard errors about a regression line.

Model: y_j ~ N(theta_j, s_j^2) with s_j known, theta_j ~ N(x_j' b, tau^2), b ~ N(b0, V) with V
diagonal, any prior of `partialpool.priors` for tau (Fay and Herriot 1979, *Journal of the American
Statistical Association* 74, 269-277; Rao and Molina, *Small Area Estimation*, 2nd ed., 2015,
chapter 10). The first column of x is 1, the others are covariates in sds from their means over the
groups. With w_j = 1 / (s_j^2 + tau^2), A = V^-1 + sum w_j x_j x_j' and
h = A^-1 (V^-1 b0 + sum w_j x_j y_j), given tau

- log p(y | tau) = sum (log w_j) / 2 - (sum w_j (y_j - x_j' h)^2 + (b0 - h)' V^-1 (b0 - h)) / 2
  - log(|A| |V|) / 2 - J log(2 pi) / 2,
- b ~ N(h, A^-1),
- theta_j ~ N(y_j + a_j (x_j' h - y_j), (1 - a_j) s_j^2 + a_j^2 x_j' A^-1 x_j) with the pooling
  factor a_j = s_j^2 w_j, and Cov(theta_i, theta_j) = a_i a_j x_i' A^-1 x_j;
- without estimate j, whose leverage is k_j = w_j x_j' A^-1 x_j, it is predicted as
  N(y_j - (y_j - x_j' h) / (1 - k_j), 1 / (w_j (1 - k_j))).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from partialpool.families.covariates import Covariates
from partialpool.families.exact.line import LOG_2_PI, Line, inverse, predicted
from partialpool.families.exact.mixture import HeavyMixture, NormalMixture
from partialpool.families.exact.on_grids import Contrasted, LeavingOutNormal
from partialpool.families.exact.quadrature import Marginal, marginal, narrow, refined
from partialpool.families.exact.statistics import search_range
from partialpool.families.exact.table import (
    Quantity,
    ScalePower,
    Share,
)
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray


@dataclass(frozen=True)
class Problem:
    """A line, and the prior of the sd about it: the density of log tau.

    Attributes
    ----------
    line
        Data and the prior of the coefficients.
    tau
        Prior of tau.
    """

    line: Line
    tau: ScalePrior

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Range of log tau that holds all there is, but for a power tail."""
        line = self.line
        lengths = (
            self.tau.typical,
            *line.scale,
            abs(float(line.location[0])),
            float(np.abs(line.y).max()),
            float(line.se.min()),
            float(line.se.max()),
        )
        return search_range(lengths, self.tau.upper_bound)

    @property
    def tail_rate(self) -> float:
        """The density of log tau falls like exp(-rate log tau)."""
        return self.line.y.size + self.tau.tail_power - 1

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log of p(y, log tau = x), but for the line's `log_constant`."""
        tau = np.exp(x)
        return np.asarray(self.line.given(tau)[2] + self.tau.log_density(tau) + x)


@dataclass(frozen=True)
class Grid:
    """One resolution of the quadrature.

    Attributes
    ----------
    problem
        Data and priors.
    tau
        Marginal density of log tau.
    """

    problem: Problem
    tau: Marginal

    @cached_property
    def values(self) -> FloatArray:
        """Values of tau at the nodes, shape (nodes,)."""
        return np.asarray(np.exp(self.tau.nodes.ravel()))

    @property
    def weights(self) -> FloatArray:
        """Probabilities of the nodes, shape (nodes,), sum 1."""
        return self.tau.weights.ravel()

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (from the origin) and covariance of the coefficients given tau, at the nodes."""
        h, precision, _ = self.problem.line.given(self.values)
        return h, inverse(precision)

    @cached_property
    def coefficients(self) -> list[NormalMixture]:
        """Posteriors of mu and of the slopes in the data's units."""
        return self.problem.line.coefficients(self.weights, *self.moments)

    def factor(self, j: int) -> FloatArray:
        """Pooling factor of a group at the nodes."""
        variance = self.problem.line.se[j] ** 2
        return np.asarray(variance / (variance + self.values**2))

    def _given(self, j: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean of theta_j (from its origin), its own variance, and what multiplies b in it."""
        line, (h, _), a = self.problem.line, self.moments, self.factor(j)
        own = line.se[j] ** 2 * (1 - a)
        mean = line.y[j] + a * (h @ line.design[j] - line.y[j])
        return mean, own, a[:, None] * line.design[j]

    def _mixture(
        self, mean: FloatArray, own: FloatArray, of: FloatArray, origin: float
    ) -> NormalMixture:
        spread = own + np.einsum("ki,kij,kj->k", of, self.moments[1], of)
        return NormalMixture(self.weights, mean, np.sqrt(spread), origin)

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        return self._mixture(*self._given(j), float(self.problem.line.origins[j]))

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        (mean, own, of), (other, its, against) = self._given(i), self._given(j)
        origins = self.problem.line.origins
        return self._mixture(mean - other, own + its, of - against, float(origins[i] - origins[j]))

    def new_group(self) -> NormalMixture:
        """Posterior of the theta of a group not seen yet, at the means of the covariates."""
        h, covariance = self.moments
        total = self.coefficients[0].sd ** 2 + self.tau.scale_mean(2)
        sds = np.sqrt(covariance[:, 0, 0] + self.values**2)
        origin = float(self.problem.line.origin[0])
        return HeavyMixture(self.weights, h[:, 0], sds, origin, total)

    def pooling_factor(self, j: int) -> Share:
        """Posterior of lambda_j = se_j^2 / (se_j^2 + tau^2)."""
        se = self.problem.line.se[j]
        return Share(self.tau, lambda x: 1 / (1 + np.exp(2 * x) / se**2), increasing=False)


@dataclass(frozen=True)
class MetaRegressionPosterior(Contrasted[Grid], LeavingOutNormal):
    """Posterior of partial pooling about a line, on a grid of tau and on its refinement.

    Its `summary` has theta, mu (mean of the effects at the means of the covariates), beta[NAME]
    (slope in the data's units), tau, tau2, lambda and theta_new (at the means of the covariates).

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
        density = self.problem.log_density
        low, high = (np.array([end]) for end in self.problem.ends)
        lower, upper = narrow(density, low, high)
        rate = self.problem.tail_rate
        return Grid(
            self.problem, marginal(density, float(lower[0]), float(upper[0]), tail_rate=rate)
        )

    @cached_property
    def fine(self) -> Grid:
        """The same with twice the nodes; the numbers reported are its."""
        return Grid(self.problem, refined(self.problem.log_density, self.coarse.tau))

    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Theta and lambda of these groups, and what there is of the population."""
        for j in groups:
            yield Quantity("theta", self.labels[j], partial(Grid.theta, j=j))
        names = ("mu", *(f"beta[{name}]" for name in self.problem.line.names))
        for k, name in enumerate(names):
            yield Quantity(name, "", partial(_coefficient, k=k))
        yield Quantity("tau", "", lambda grid: ScalePower(grid.tau, 1))
        yield Quantity("tau2", "", lambda grid: ScalePower(grid.tau, 2))
        for j in groups:
            yield Quantity("lambda", self.labels[j], partial(Grid.pooling_factor, j=j))
        yield Quantity("theta_new", "", Grid.new_group)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.problem.line.log_constant + self.fine.tau.log_total

    @property
    def log_bayes_factor_of_no_spread(self) -> float:
        """Log of p(y | tau = 0) / p(y): above 0 the data speak for effects on the line."""
        return float(self.problem.line.given(np.zeros(1))[2][0]) - self.fine.tau.log_total

    def _left_out(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """As `KnownErrorsPosterior` has it: distance in sds, and log weights, over tau."""
        grid, line = self.fine, self.problem.line
        h, covariance = grid.moments
        log_weights = np.log(np.maximum(grid.weights, np.finfo(float).tiny))
        for y, se, x in zip(line.y, line.se, line.design, strict=True):
            z, spread = predicted(y, 1 / (se**2 + grid.values**2), x, h, covariance)
            yield z, log_weights + 0.5 * (LOG_2_PI + np.log(spread) + z**2)

    def conditional_effects(self, tau: FloatArray) -> pd.DataFrame:
        """Effects given tau: `tau`, `group`, `mean`, `sd`; at 0 they lie on the line."""
        line = self.problem.line
        h, precision, _ = line.given(tau)
        covariance = inverse(precision)
        variance = line.se[:, None] ** 2
        a = variance / (variance + tau**2)
        y = line.y[:, None]
        mean = line.origins[:, None] + y + a * (line.design @ h.T - y)
        of_line = np.einsum("ji,kil,jl->jk", line.design, covariance, line.design)
        J = len(self.labels)
        return pd.DataFrame(
            {
                "tau": np.tile(tau, J),
                "group": np.repeat(np.array(self.labels, dtype=object), len(tau)),
                "mean": mean.ravel(),
                "sd": np.sqrt((1 - a) * variance + a**2 * of_line).ravel(),
            }
        )

    def tau_density(self, tau: FloatArray) -> FloatArray:
        """Posterior density of tau, shape of `tau`, whose values are above 0."""
        x = np.log(tau)
        return np.asarray(np.exp(self.problem.log_density(x) - self.fine.tau.log_total - x))

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw `tau`, `mu`, of the given shape, and `beta`, with a last axis of covariates."""
        line = self.problem.line
        tau = np.exp(self.fine.tau.quantile(rng.uniform(size=shape)))
        h, precision, _ = line.given(tau)
        root = np.linalg.cholesky(precision)
        z = rng.standard_normal(h.shape)[..., None]
        b = line.origin + h + np.linalg.solve(np.swapaxes(root, -1, -2), z)[..., 0]
        return {"tau": tau, "mu": b[..., 0], "beta": b[..., 1:] / line.spread}


def meta_regression(
    labels: Sequence[str],
    estimate: FloatArray,
    se: FloatArray,
    covariates: Covariates,
    *,
    mu: Normal,
    beta: Normal,
    tau: ScalePrior,
) -> MetaRegressionPosterior:
    """Posterior of partial pooling of estimates about a line.

    Parameters
    ----------
    labels
        Names of the groups.
    estimate, se
        Estimates and their standard errors, above 0, in the unit of the data, shape (J,).
    covariates
        Covariates of the groups.
    mu, beta, tau
        Priors of the mean of the effects at the means of the covariates, of what one sd of each
        covariate adds, and of the sd about the line.
    """
    line = Line.of(estimate, se, covariates, mu, beta)
    return MetaRegressionPosterior(Problem(line, tau), tuple(labels))


def _coefficient(grid: Grid, *, k: int) -> NormalMixture:
    return grid.coefficients[k]
