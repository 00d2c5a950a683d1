"""Estimates about a regression line: the line given tau, and complete pooling, where tau is 0.

The algebra is that of `partialpool.families.exact.meta_regression`. Everything is counted from the
least-squares line with weights 1 / s_j^2, so that a large offset or a steep line costs no digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import special

from partialpool.families.covariates import Covariates
from partialpool.families.exact.classes import spread_sums
from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.table import DEFAULT_PROBS, Quantity, position, table
from partialpool.priors import Normal
from partialpool.types import FloatArray

LOG_2_PI = math.log(2 * math.pi)
_BLOCK = 256


def inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of matrices, by their last two axes."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


@dataclass(frozen=True)
class Line:
    """Estimates, covariates and the prior of a regression line, counted from a line of their own.

    Attributes
    ----------
    y, se
        Estimates, counted from `origin`, and their standard errors, shape (J,).
    design
        Ones and standardized covariates, shape (J, m).
    origin
        Coefficients of the line that everything is counted from, shape (m,).
    location, scale
        Mean (counted from `origin`) and sd of the prior of the coefficients, shape (m,).
    spread
        Sd of each covariate, in its unit, shape (m - 1,).
    names
        Names of the covariates.
    """

    y: FloatArray
    se: FloatArray
    design: FloatArray
    origin: FloatArray
    location: FloatArray
    scale: FloatArray
    spread: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, estimate: FloatArray, se: FloatArray, covariates: Covariates, mu: Normal, beta: Normal
    ) -> Line:
        """Arrange data and priors; that of beta is for one sd of each covariate."""
        design, weight = covariates.design, se.min() / se
        first = float(estimate[0])
        found = np.linalg.lstsq(design * weight[:, None], (estimate - first) * weight, rcond=None)[
            0
        ]
        residual = estimate - first - design @ found
        origin = found + first * (np.arange(design.shape[1]) == 0)
        priors = (mu, *([beta] * covariates.K))
        location = np.array([prior.location for prior in priors]) - origin
        scale = np.array([prior.scale for prior in priors])
        spread, names = covariates.spread, covariates.names
        return cls(residual, se, design, origin, location, scale, spread, names)

    @cached_property
    def origins(self) -> FloatArray:
        """Where each group is counted from, shape (J,)."""
        return np.asarray(self.design @ self.origin)

    @cached_property
    def _sums(self) -> tuple[FloatArray, FloatArray]:
        """Variances, and sums of products of (x, y) over estimates of each, (V, m + 1, m + 1)."""
        both = np.column_stack([self.design, self.y])
        m = both.shape[1]
        products = (both[:, :, None] * both[:, None, :]).reshape(len(both), m * m)
        variance, sums = spread_sums(self.se, np.ascontiguousarray(products.T))
        return variance, sums.T.reshape(-1, m, m)

    def given(self, tau: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean h (from the origin) and precision A of the line, and log p(y | tau).

        Shapes (..., m), (..., m, m) and that of tau; the last is without `log_constant`.
        """
        flat, m = tau.ravel(), len(self.origin)
        parts = [self._given(flat[k : k + _BLOCK]) for k in range(0, flat.size, _BLOCK)]
        h, precision, log_likelihood = (np.concatenate(part) for part in zip(*parts, strict=True))
        return (
            h.reshape(*tau.shape, m),
            precision.reshape(*tau.shape, m, m),
            log_likelihood.reshape(tau.shape),
        )

    def _given(self, tau: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        variance, sums = self._sums
        w = 1 / (variance + tau[:, None] ** 2)
        products = np.tensordot(w, sums, axes=1)
        prior = self.scale**-2
        precision = products[:, :-1, :-1] + np.diag(prior)
        weighted = products[:, :-1, -1] + prior * self.location
        h = np.asarray(np.linalg.solve(precision, weighted[..., None])[..., 0], dtype=np.float64)
        turned = np.concatenate([-h, np.ones((len(h), 1))], axis=1)
        distance = np.einsum("ki,kij,kj->k", turned, products, turned)
        distance += (prior * (self.location - h) ** 2).sum(axis=1)
        counts = sums[:, 0, 0]
        log_determinant = np.linalg.slogdet(precision)[1] - np.log(w) @ counts
        return h, precision, -0.5 * (distance + log_determinant)

    @property
    def log_constant(self) -> float:
        """Constant factors of the likelihood."""
        return -0.5 * self.y.size * LOG_2_PI - float(np.log(self.scale).sum())

    def coefficients(
        self, weights: FloatArray, h: FloatArray, variance: FloatArray
    ) -> list[NormalMixture]:
        """Posteriors of mu and of the slopes in the data's units, from nodes of tau."""
        units = np.concatenate([[1.0], self.spread])
        return [
            NormalMixture(
                weights,
                h[:, k] / unit,
                np.sqrt(variance[:, k, k]) / unit,
                float(self.origin[k] / unit),
            )
            for k, unit in enumerate(units)
        ]


@dataclass(frozen=True)
class LinePosterior:
    """Posterior of complete pooling: all effects on the line, normal, in closed form.

    Attributes
    ----------
    line
        Data and priors.
    labels
        Names of the groups.
    """

    pooling: ClassVar[Literal["complete"]] = "complete"

    line: Line
    labels: tuple[str, ...]

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        h, precision, _ = self.line.given(np.zeros(1))
        return h, inverse(precision)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.line.log_constant + float(self.line.given(np.zeros(1))[2][0])

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior of theta by group, mu and the slopes, as `MetaRegressionPosterior.summary`."""
        line, (h, covariance) = self.line, self._moments
        wanted = self.labels if groups is None else groups
        one = np.ones(1)
        found: list[tuple[str, str, NormalMixture]] = []
        for label in wanted:
            j = position(self.labels, label)
            x = line.design[j]
            sd = np.sqrt(np.array([x @ covariance[0] @ x]))
            found.append(("theta", label, NormalMixture(one, h @ x, sd, float(line.origins[j]))))
        names = ("mu", *(f"beta[{name}]" for name in line.names))
        coefficients = line.coefficients(one, h, covariance)
        found += [(n, "", each) for n, each in zip(names, coefficients, strict=True)]
        quantities = [Quantity(n, g, partial(_itself, mixture=m)) for n, g, m in found]
        return table(quantities, self, self, probs)

    def leave_one_out(self) -> FloatArray:
        """Log predictive density of each estimate given all others, shape (J,)."""
        z, spread = self._left_out()
        return -0.5 * (LOG_2_PI + np.log(spread) + z**2)

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability that each estimate is smaller than it is, given all others, shape (J,)."""
        return np.asarray(special.ndtr(self._left_out()[0]))

    def _left_out(self) -> tuple[FloatArray, FloatArray]:
        line, (h, covariance) = self.line, self._moments
        found = [
            predicted(y, np.array([se**-2]), x, h, covariance)
            for y, se, x in zip(line.y, line.se, line.design, strict=True)
        ]
        return np.concatenate([z for z, _ in found]), np.concatenate([v for _, v in found])


def common_line(
    labels: Sequence[str],
    estimate: FloatArray,
    se: FloatArray,
    covariates: Covariates,
    *,
    mu: Normal,
    beta: Normal,
) -> LinePosterior:
    """Posterior of complete pooling of estimates on a line; arguments as of `meta_regression`."""
    return LinePosterior(Line.of(estimate, se, covariates, mu, beta), tuple(labels))


def predicted(
    y: float, w: FloatArray, x: FloatArray, h: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Distance in sds of an estimate from what the others predict, and that variance."""
    leverage = w * np.einsum("i,kij,j->k", x, covariance, x)
    spread = 1 / (w * (1 - leverage))
    return (y - h @ x) / (1 - leverage) / np.sqrt(spread), spread


def _itself(_: LinePosterior, *, mixture: NormalMixture) -> NormalMixture:
    return mixture
