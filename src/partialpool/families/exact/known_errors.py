"""The exact posterior of estimates with known standard errors, by quadrature over tau alone.

Model: y_j ~ N(theta_j, s_j^2) with s_j known, theta_j ~ N(mu, tau^2), mu ~ N(m, g^2), any prior of
`partialpool.priors` for tau (Rubin 1981; Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013,
section 5.4). With w_j = 1 / (s_j^2 + tau^2), P = 1/g^2 + sum w_j and
h = (m/g^2 + sum w_j y_j) / P, given tau

- log p(y | tau) = sum (log w_j) / 2 - (sum w_j (y_j - h)^2 + (m - h)^2 / g^2) / 2 - log(P g^2) / 2
  - J log(2 pi) / 2,
- mu ~ N(h, 1/P),
- theta_j ~ N(y_j + a_j (h - y_j), (1 - a_j) s_j^2 + a_j^2 / P) with a_j = s_j^2 w_j, the pooling
  factor, and Cov(theta_i, theta_j) = a_i a_j / P.

Estimates of one standard error share w_j. Of thousands of different ones none is special: log w and
w are smooth functions of log s, so that their sums over the estimates are sums over the nodes of
Chebyshev polynomials on short panels of log s, to double precision (`Classes.of`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from partialpool.errors import InputError
from partialpool.families.exact.classes import Classes
from partialpool.families.exact.mixture import HeavyMixture, NormalMixture
from partialpool.families.exact.on_grids import Contrasted, LeavingOutNormal
from partialpool.families.exact.quadrature import Marginal, marginal, narrow, refined
from partialpool.families.exact.statistics import search_range
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    ScalePower,
    Share,
    check_probs,
    contrast_table,
    position,
    quantile_column,
)
from partialpool.priors import Normal, ScalePrior
from partialpool.types import FloatArray

_LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Problem:
    """Data and priors, arranged for the density of log tau.

    Attributes
    ----------
    y, se
        Estimates, counted from `origin`, and their standard errors, shape (J,).
    origin
        The mean of the estimates weighted by 1 / se^2.
    mu, tau
        Priors.
    """

    y: FloatArray
    se: FloatArray
    origin: float
    mu: Normal
    tau: ScalePrior

    @cached_property
    def classes(self) -> Classes:
        """Sums over the estimates."""
        return Classes.of(self.y, self.se)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Range of log tau that holds all there is, but for a power tail."""
        lengths = (
            self.tau.typical,
            self.mu.scale,
            abs(self.mu.location - self.origin),
            float(np.abs(self.y).max()),
            float(self.se.min()),
            float(self.se.max()),
        )
        return search_range(lengths, self.tau.upper_bound)

    @property
    def tail_rate(self) -> float:
        """The density of log tau falls like exp(-rate log tau)."""
        return self.y.size + self.tau.tail_power - 1

    @property
    def log_constant(self) -> float:
        """Constant factors of the likelihood."""
        return -0.5 * self.y.size * _LOG_2_PI - math.log(self.mu.scale)

    def given(self, tau: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean h (from the origin) and precision P of mu, and log p(y | tau), shape of tau.

        The last is without `log_constant`.
        """
        flat = tau.ravel()
        parts = [self._given(flat[k : k + 512]) for k in range(0, flat.size, 512)]
        h, precision, log_likelihood = (np.concatenate(p) for p in zip(*parts, strict=True))
        return (
            h.reshape(tau.shape),
            precision.reshape(tau.shape),
            log_likelihood.reshape(tau.shape),
        )

    def _given(self, tau: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        sums = self.classes
        w = 1 / (sums.variance + tau[:, None] ** 2)
        prior = self.mu.scale**-2
        location = self.mu.location - self.origin
        precision = prior + w @ sums.count
        h = (prior * location + w @ sums.first) / precision
        # sum_j w_j (y_j - h)^2, about each class's own mean: no digits go where classes are far
        apart = sums.second - 2 * h[:, None] * sums.first + h[:, None] ** 2 * sums.count
        distance = (w * apart).sum(axis=1) + prior * (location - h) ** 2
        log_determinant = np.log(precision) - np.log(w) @ sums.count
        return h, precision, np.asarray(-0.5 * (distance + log_determinant))

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log of p(y, log tau = x), but for `log_constant`."""
        tau = np.exp(x)
        return np.asarray(self.given(tau)[2] + self.tau.log_density(tau) + x)


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
        """Mean (from the origin) and variance of mu given tau, at the nodes."""
        h, precision, _ = self.problem.given(self.values)
        return h, 1 / precision

    @cached_property
    def mu(self) -> NormalMixture:
        """Posterior of mu."""
        mean, variance = self.moments
        return NormalMixture(self.weights, mean, np.sqrt(variance), self.problem.origin)

    def factor(self, j: int) -> FloatArray:
        """Pooling factor of a group at the nodes."""
        variance = self.problem.se[j] ** 2
        return np.asarray(variance / (variance + self.values**2))

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        h, variance = self.moments
        y, se, a = self.problem.y[j], self.problem.se[j], self.factor(j)
        own = se**2 * (self.values**2 / (se**2 + self.values**2))
        sd = np.sqrt(own + a**2 * variance)
        return NormalMixture(self.weights, y + a * (h - y), sd, self.problem.origin)

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        h, variance = self.moments
        y, tau2 = self.problem.y, self.values**2
        a, b = self.factor(i), self.factor(j)
        own = sum(self.problem.se[k] ** 2 * tau2 / (self.problem.se[k] ** 2 + tau2) for k in (i, j))
        mean = (1 - a) * (y[i] - h) - (1 - b) * (y[j] - h)
        return NormalMixture(self.weights, mean, np.sqrt(own + (a - b) ** 2 * variance), 0.0)

    def new_group(self) -> NormalMixture:
        """Posterior of the theta of a group not seen yet."""
        h, variance = self.moments
        total = self.mu.sd**2 + self.tau.scale_mean(2)
        sds = np.sqrt(variance + self.values**2)
        return HeavyMixture(self.weights, h, sds, self.problem.origin, total)

    def pooling_factor(self, j: int) -> Share:
        """Posterior of lambda_j = se_j^2 / (se_j^2 + tau^2)."""
        se = self.problem.se[j]
        return Share(self.tau, lambda x: 1 / (1 + np.exp(2 * x) / se**2), increasing=False)


@dataclass(frozen=True)
class KnownErrorsPosterior(Contrasted[Grid], LeavingOutNormal):
    """Posterior of partial pooling of estimates, on a grid of tau and on its refinement.

    Its `summary` has theta, mu, tau, tau2, lambda (pooling factor by group, 1 = complete pooling)
    and theta_new (effect in a group not seen).

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

        def rows(points: FloatArray) -> FloatArray:
            return self.problem.log_density(points)

        low, high = (np.array([end]) for end in self.problem.ends)
        lower, upper = narrow(rows, low, high)
        rate = self.problem.tail_rate
        found = marginal(self.problem.log_density, float(lower[0]), float(upper[0]), tail_rate=rate)
        return Grid(self.problem, found)

    @cached_property
    def fine(self) -> Grid:
        """The same with twice the nodes; the numbers reported are its."""
        return Grid(self.problem, refined(self.problem.log_density, self.coarse.tau))

    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Theta and lambda of these groups, and what there is of the population."""
        for j in groups:
            yield Quantity("theta", self.labels[j], partial(Grid.theta, j=j))
        yield Quantity("mu", "", lambda grid: grid.mu)
        yield Quantity("tau", "", lambda grid: ScalePower(grid.tau, 1))
        yield Quantity("tau2", "", lambda grid: ScalePower(grid.tau, 2))
        for j in groups:
            yield Quantity("lambda", self.labels[j], partial(Grid.pooling_factor, j=j))
        yield Quantity("theta_new", "", Grid.new_group)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.problem.log_constant + self.fine.tau.log_total

    @property
    def log_bayes_factor_of_no_spread(self) -> float:
        """Log of p(y | tau = 0) / p(y): above 0 the data speak for equal effects.

        Both under the same prior of mu, which must not be vague; the prior of tau decides much
        (Kass and Raftery 1995, *Journal of the American Statistical Association* 90, 773-795).
        """
        at_zero = float(self.problem.given(np.zeros(1))[2][0])
        return at_zero - self.fine.tau.log_total

    def _left_out(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield for each estimate, over tau, its distance in sds from what the others predict.

        Beside it the logs of the weights of tau without the estimate, which do not add up to 1.
        """
        grid = self.fine
        h, variance = grid.moments
        precision, tau2 = 1 / variance, grid.values**2
        log_weights = np.log(np.maximum(grid.weights, np.finfo(float).tiny))
        for y, se in zip(self.problem.y, self.problem.se, strict=True):
            w = 1 / (se**2 + tau2)
            rest = precision - w
            without = (precision * h - w * y) / rest
            spread = se**2 + tau2 + 1 / rest
            z = (y - without) / np.sqrt(spread)
            yield z, log_weights + 0.5 * (_LOG_2_PI + np.log(spread) + z**2)

    def conditional_effects(self, tau: FloatArray) -> pd.DataFrame:
        """Effects given tau: how the estimates come apart as tau grows.

        Returns
        -------
        DataFrame
            One row a value of tau and group: `tau`, `group`, `mean`, `sd` of theta_j given tau
            and the data, in the unit of the data (Gelman et al. 2013, figures 5.6 and 5.7).
        """
        h, precision, _ = self.problem.given(tau)
        variance = self.problem.se[:, None] ** 2
        a = variance / (variance + tau**2)
        y = self.problem.y[:, None]
        mean = self.problem.origin + y + a * (h - y)
        sd = np.sqrt((1 - a) * variance + a**2 / precision)
        J = len(self.labels)
        return pd.DataFrame(
            {
                "tau": np.tile(tau, J),
                "group": np.repeat(np.array(self.labels, dtype=object), len(tau)),
                "mean": mean.ravel(),
                "sd": sd.ravel(),
            }
        )

    def tau_density(self, tau: FloatArray) -> FloatArray:
        """Posterior density of tau, shape of `tau`, whose values are above 0."""
        x = np.log(tau)
        return np.asarray(np.exp(self.problem.log_density(x) - self.fine.tau.log_total - x))

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw `tau` and `mu` independently from their posterior, each of the given shape."""
        tau = np.exp(self.fine.tau.draw(shape, rng=rng))
        h, precision, _ = self.problem.given(tau)
        mu = self.problem.origin + h + rng.standard_normal(shape) / np.sqrt(precision)
        return {"tau": tau, "mu": mu}


@dataclass(frozen=True)
class FixedErrorsPosterior:
    """Posterior of complete pooling, or of no pooling, of estimates: normal, in closed form.

    Attributes
    ----------
    pooling
        Which of the two.
    labels
        Names of the groups.
    y, se
        Estimates and their standard errors, shape (J,).
    mean, sd
        Of theta: one value under complete pooling, one a group under no pooling.
    log_marginal_likelihood
        Log of p(y), with all constants.
    """

    pooling: Literal["complete", "none"]
    labels: tuple[str, ...]
    y: FloatArray
    se: FloatArray
    mean: FloatArray
    sd: FloatArray
    log_marginal_likelihood: float

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of theta, columns as `KnownErrorsPosterior.summary`."""
        p = check_probs(probs)
        names = [""] if self.pooling == "complete" else list(self.labels)
        frame = pd.DataFrame(
            {"parameter": "theta", "group": names, "mean": self.mean, "sd": self.sd}
        )
        for prob in p:
            frame[quantile_column(prob)] = self.mean + self.sd * special.ndtri(prob)
        frame["error"] = 0.0
        if groups is not None and self.pooling == "none":
            frame = frame.iloc[[position(self.labels, label) for label in groups]]
        return frame.reset_index(drop=True)

    def contrasts(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        pairs: Iterable[tuple[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Posteriors of differences theta_i - theta_j under no pooling."""
        if self.pooling == "complete":
            raise InputError("Under complete pooling no group differs from another.")

        def contrast(i: int, j: int) -> NormalMixture:
            one = np.ones(1)
            sd = np.hypot(self.sd[i], self.sd[j])
            return NormalMixture(one, one * (self.mean[i] - self.mean[j]), one * sd, 0.0)

        return contrast_table(self.labels, contrast, contrast, probs, pairs)

    def leave_one_out(self) -> FloatArray:
        """Log predictive density of each estimate given all others, under complete pooling."""
        z, spread = self._left_out()
        return -0.5 * (_LOG_2_PI + np.log(spread) + z**2)

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability that each estimate is smaller than it is, given all others."""
        return np.asarray(special.ndtr(self._left_out()[0]))

    def _left_out(self) -> tuple[FloatArray, FloatArray]:
        """Distance of each estimate in sds from what the others predict, and that variance."""
        if self.pooling == "none":
            raise InputError("Under no pooling the other groups say nothing of a group.")
        precision, w = self.sd**-2, self.se**-2
        rest = precision - w
        without = self.mean - w / rest * (self.y - self.mean)
        spread = self.se**2 + 1 / rest
        return (self.y - without) / np.sqrt(spread), spread


def known_errors(
    labels: Sequence[str],
    estimate: FloatArray,
    se: FloatArray,
    *,
    mu: Normal,
    tau: ScalePrior,
) -> KnownErrorsPosterior:
    """Posterior of partial pooling of estimates.

    Parameters
    ----------
    labels
        Names of the groups.
    estimate, se
        Estimates and their standard errors, above 0, in the unit of the data, shape (J,).
    mu, tau
        Priors of the mean and of the sd of the effects.
    """
    scale = float(se.min())
    first = float(estimate[0])
    origin = first + float(np.average(estimate - first, weights=(scale / se) ** 2))
    return KnownErrorsPosterior(Problem(estimate - origin, se, origin, mu, tau), tuple(labels))


def common_effect(
    labels: Sequence[str], estimate: FloatArray, se: FloatArray, *, theta: Normal
) -> FixedErrorsPosterior:
    """Posterior of complete pooling of estimates."""
    origin = float(estimate[0])
    y, location, prior = estimate - origin, theta.location - origin, theta.scale**-2
    weight = se**-2
    precision = prior + float(weight.sum())
    h = (prior * location + float((weight * y).sum())) / precision
    distance = float((weight * (y - h) ** 2).sum()) + prior * (location - h) ** 2
    log_determinant = math.log(precision) + 2 * float(np.log(se).sum() + math.log(theta.scale))
    log_marginal = -0.5 * (distance + log_determinant + len(y) * _LOG_2_PI)
    mean, sd = np.array([origin + h]), np.array([precision**-0.5])
    return FixedErrorsPosterior("complete", tuple(labels), estimate, se, mean, sd, log_marginal)


def separate_effects(
    labels: Sequence[str], estimate: FloatArray, se: FloatArray, *, theta: Normal
) -> FixedErrorsPosterior:
    """Posterior of no pooling of estimates: each with the prior of its own theta."""
    total = se**2 + theta.scale**2
    mean = estimate + se**2 / total * (theta.location - estimate)
    sd = se * np.sqrt(theta.scale**2 / total)
    distance = (estimate - theta.location) ** 2 / total
    log_marginal = -0.5 * float((distance + np.log(total) + _LOG_2_PI).sum())
    return FixedErrorsPosterior("none", tuple(labels), estimate, se, mean, sd, log_marginal)
