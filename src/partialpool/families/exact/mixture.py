"""Mixtures of normal distributions: what integrating a normal over a grid of scales leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from partialpool.families.exact.quadrature import CLOSE, invert
from partialpool.types import FloatArray

_SQRT_2PI = np.sqrt(2 * np.pi)
_FAR = 40.0


@dataclass(frozen=True)
class NormalMixture:
    """Mixture of normal distributions.

    Attributes
    ----------
    weights
        Probabilities of the components, shape (k,), sum 1.
    means, sds
        Their means, counted from `origin`, and standard deviations, shape (k,).
    origin
        A value near the mixture, apart so that a small spread far from 0 keeps its digits.
    """

    weights: FloatArray
    means: FloatArray
    sds: FloatArray
    origin: float

    @cached_property
    def mean(self) -> float:
        """Mean of the mixture."""
        return self.origin + self._center

    @cached_property
    def _center(self) -> float:
        return self._expect(self.means)

    @cached_property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        return self._component_sd

    @cached_property
    def _component_sd(self) -> float:
        return float(np.sqrt(self._expect(self.sds**2 + (self.means - self._center) ** 2)))

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`."""
        below = self._share(np.atleast_1d(np.asarray(x, dtype=float)) - self.origin)[0]
        return np.minimum(below, 1.0)  # rounding may carry a sum of probabilities beyond

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Values below which the shares `p`, shape (q,), lie; `start` speeds up a refinement."""
        reach = _FAR * self.sds.max()
        lower = np.full(p.size, self.means.min() - reach)
        upper = np.full(p.size, self.means.max() + reach)
        if start is None:
            first = self._center + self._component_sd * np.asarray(special.ndtri(p))
        else:
            first = start - self.origin
        enough = CLOSE * np.minimum(p, 1 - p)
        return self.origin + invert(self._share, p, lower, upper, enough=enough, start=first)

    def _share(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distribution function and density at `x`, counted from the origin."""
        heights = self.weights / (self.sds * _SQRT_2PI)
        below, density = np.empty_like(x), np.empty_like(x)
        for i, value in enumerate(x):  # one by one, as all at once would leave the cache
            z = (value - self.means) / self.sds
            below[i] = np.einsum("k,k", special.ndtr(z), self.weights)
            z *= z
            z *= -0.5
            density[i] = np.einsum("k,k", np.exp(z, out=z), heights)
        return below, density

    def _expect(self, values: FloatArray) -> float:
        return float((self.weights * values).sum())


@dataclass(frozen=True)
class HeavyMixture(NormalMixture):
    """Mixture whose variance is known apart from its components.

    The components near the end of a power tail carry no probability and yet a share of the
    variance, which is therefore put together from moments that include the tail.

    Attributes
    ----------
    variance
        Variance of the mixture; infinite where it does not exist.
    """

    variance: float

    @cached_property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        return float(np.sqrt(self.variance))
