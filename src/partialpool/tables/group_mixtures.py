"""Posterior of groups that are not normal given the population: mixtures over draws of it.

As in `group_posterior`, the posterior of theta_j is a mixture over the draws of the population,
whose mean, sd and quantiles need no draw of theta. Its parts are of another kind than normal (beta,
say: `partialpool.families.conjugate`). On a scale without bounds their densities are smooth, so
that at the nodes of a quadrature they give shares, quantiles and Monte Carlo errors of all draws at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.polynomial import legendre

from partialpool.families.conjugate import Kind, Parameters
from partialpool.families.exact.quadrature import ORDER, panel_nodes, rule
from partialpool.fitting.summarize import QUANTILES
from partialpool.types import FloatArray

_EDGES = np.array([-9.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 9.0])
_TAIL = 18.0
_FEW = 0.01
_STEPS = 50
_WITH_ERROR = ("q2.5", "median", "q97.5")

BatchVariance = Callable[[FloatArray], FloatArray]
"""Squared Monte Carlo error of the mean of series of shape (P, chain, draw)."""


@dataclass(frozen=True)
class Mixture:
    """Draws of the population, thinned, and what theta is given one.

    Attributes
    ----------
    kind
        Kind of distribution of theta given a draw.
    population
        Draws of its parameters, shape (chain, draw) each.
    """

    kind: Kind
    population: Parameters

    @classmethod
    def thinned(cls, kind: Kind, population: Parameters, *, most: int) -> Mixture:
        """Keep at most so many draws, evenly over the chains."""
        chains, draws = population[0].shape
        kept = min(draws, max(1, most // chains))
        at = np.linspace(0, draws - 1, kept).round().astype(int)
        return cls(kind, tuple(part[:, at] for part in population))

    def shape_of(
        self, weight: float, raw: float, batch_variance: BatchVariance
    ) -> tuple[float, float, FloatArray, FloatArray]:
        """Moments and standardized quantiles of one group, and squared Monte Carlo errors.

        Returns
        -------
        mean, sd
            Of theta.
        quantiles, errors
            Of `QUANTILES`, in sds from the mean, and squared errors of mean, sd, 2.5 % quantile,
            median and 97.5 % quantile, in variances.
        """
        given = self.kind.given(self.population, np.array(weight), np.array(raw))
        means, within = self.kind.mean(given), self.kind.variance(given)
        center, sd = float(means.mean()), float(np.sqrt(within.mean() + means.var()))
        standard = (means - center) / sd
        errors = [standard, 0.5 * (within / sd**2 + standard**2)]
        edges = self._edges(given)
        u = panel_nodes(edges[:-1], edges[1:])
        density = self.kind.densities(given, u)
        whole = Panels(edges, density.mean(axis=0).reshape(u.shape))
        quantiles = []
        for name, p in QUANTILES.items():
            at = whole.quantile(p)
            theta, slope = (float(value) for value in self.kind.theta(np.array(at)))
            quantiles.append((theta - center) / sd)
            if name in _WITH_ERROR:
                below = (density @ whole.up_to(at)).reshape(means.shape)
                errors.append(below * slope / (whole.density(at) * sd))
        found = [batch_variance(each[None])[0] for each in errors]
        return center, sd, np.array(quantiles), np.array(found)

    def _edges(self, given: Parameters) -> FloatArray:
        """Ends of panels on the scale of u, which hold all but a millionth of the mixture."""
        mean, variance = self.kind.moments(given)
        center, spread = float(mean.mean()), float(np.sqrt(variance.mean() + mean.var()))
        edges = center + spread * _EDGES
        left, right = (
            float(np.quantile(rate, _FEW)) if np.isfinite(rate).all() else np.inf
            for rate in self.kind.tails(given)
        )
        beyond = [center - _TAIL / left, center + _TAIL / right]
        more = [edges[0] + (beyond[0] - edges[0]) * share for share in (1.0, 0.4)]
        more += [edges[-1] + (beyond[1] - edges[-1]) * share for share in (0.4, 1.0)]
        outside = [x for x in more if x < edges[0] or x > edges[-1]]
        return np.sort(np.append(edges, outside))


@dataclass(frozen=True)
class Panels:
    """A density on panels, known at the nodes of a Gauss-Legendre rule.

    Attributes
    ----------
    edges
        Ends of the panels, shape (panels + 1,).
    values
        Density at the nodes, shape (panels, ORDER).
    """

    edges: FloatArray
    values: FloatArray

    @property
    def half(self) -> FloatArray:
        """Half of each panel's length."""
        return 0.5 * np.diff(self.edges)

    @cached_property
    def shares(self) -> FloatArray:
        """Share below each edge."""
        return np.concatenate([[0.0], np.cumsum(self.half * (self.values @ rule(ORDER)[1]))])

    def quantile(self, p: float) -> float:
        """Point below which the share `p` of all lies."""
        target = p * self.shares[-1]
        k = int(
            np.clip(np.searchsorted(self.shares, target, side="right") - 1, 0, len(self.half) - 1)
        )
        series = rule(ORDER)[2] @ self.values[k] * self.half[k]
        rising, rest = legendre.legint(series, lbnd=-1).tolist(), float(target - self.shares[k])
        slopes = series.tolist()
        low, high, x = -1.0, 1.0, 0.0
        for _ in range(_STEPS):
            excess = _value(rising, x) - rest
            low, high = (x, high) if excess < 0 else (low, x)
            slope = _value(slopes, x)
            new = x - excess / slope if slope > 0 else math.nan
            if abs(new - x) < 1e-12:
                break
            x = new if low < new < high else 0.5 * (low + high)
        return float(self.edges[k] + self.half[k] * (1 + x))

    def _place(self, u: float) -> tuple[int, float]:
        k = int(np.clip(np.searchsorted(self.edges, u, side="right") - 1, 0, len(self.half) - 1))
        return k, float((u - self.edges[k]) / self.half[k] - 1)

    def density(self, u: float) -> float:
        """Density at a point."""
        k, x = self._place(u)
        return _value((rule(ORDER)[2] @ self.values[k]).tolist(), x)

    def up_to(self, u: float) -> FloatArray:
        """Weights of the values at all nodes in the integral up to a point."""
        k, x = self._place(u)
        weights = self.half[:, None] * rule(ORDER)[1]
        weights[k + 1 :] = 0.0
        weights[k] = self.half[k] * (legendre.legval(x, _integrals()) @ rule(ORDER)[2])
        return weights.ravel()


@cache
def _integrals() -> FloatArray:
    """Legendre series of the integrals of the polynomials from -1 on, shape (ORDER + 1, ORDER)."""
    return np.asarray(legendre.legint(np.eye(ORDER), lbnd=-1, axis=0))


def _value(series: list[float], x: float) -> float:
    """A Legendre series at a point, by Clenshaw's recurrence, as `legval` has it.

    Of single numbers Python's own floats take a twentieth of the time of arrays.
    """
    before, last = series[-2], series[-1]
    for k in range(len(series) - 1, 1, -1):
        before, last = (
            series[k - 2] - last * ((k - 1) / k),
            before + last * x * ((2 * k - 1) / k),
        )
    return before + last * x
