"""Distribution of a function of both variables of a plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.polynomial import legendre

from partialpool.families.exact.plane import Outer, Plane
from partialpool.families.exact.quadrature import CLOSE, invert, panel_nodes, rule
from partialpool.types import FloatArray, IntArray

Function: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

_NEGLIGIBLE = 1e-14
_APART = 1e-5


class Secants:
    """A distribution function with its slopes, which are those of secants to the point before."""

    def __init__(self, below: Callable[[FloatArray], FloatArray]) -> None:
        self.below = below
        self.before: tuple[FloatArray, FloatArray, FloatArray] | None = None

    def __call__(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shares below values, and slopes there."""
        share = self.below(value)
        if self.before is None:
            step = _APART * np.abs(value)
            slope = (self.below(value + step) - share) / step
        else:
            last, last_share, last_slope = self.before
            moved = value - last
            far = np.abs(moved) > 1e-9 * np.abs(value)  # nearer by, rounding is all there is
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = np.where(far, (share - last_share) / moved, last_slope)
        self.before = value, share, slope
        return share, slope


@dataclass(frozen=True)
class Inner:
    """Distributions of the inner variable x at the nodes of the outer variable z.

    Attributes
    ----------
    plane, outer
        The density with z as outer variable, and its marginal.
    """

    plane: Plane
    outer: Outer

    @cached_property
    def series(self) -> list[tuple[IntArray, FloatArray]]:
        """Legendre series of the distribution of x at each node of z, by number of nodes."""
        rows, mass = self.outer.rows, self.outer.weights.ravel()
        found = []
        for order in np.unique(rows.orders):
            keep = np.flatnonzero((rows.orders == order) & (mass > _NEGLIGIBLE))
            if not keep.size:
                continue
            x = panel_nodes(rows.lower[keep], rows.upper[keep], int(order))
            values = self.plane.log_density(rows.u[keep, None], x)
            density = np.exp(values - values.max(axis=1, keepdims=True))
            series = legendre.legint(rule(int(order))[2] @ density.T, lbnd=-1, axis=0)
            found.append((keep, np.asarray(series / legendre.legval(1.0, series))))
        return found


@dataclass(frozen=True)
class Along:
    """Distribution of a function of (x, z) that rises with x.

    Attributes
    ----------
    inner
        Distributions of x given z.
    nodes
        Nodes of the posterior: z, x and probability, each of shape (nodes,).
    at
        Gives the value from x and z.
    inverse
        Gives x from value and z; infinite where no x has so large a value.
    """

    inner: Inner
    nodes: tuple[FloatArray, FloatArray, FloatArray]
    at: Function
    inverse: Function

    @property
    def mean(self) -> float:
        """Mean by quadrature."""
        z, x, weights = self.nodes
        return float((weights * self.at(x, z)).sum())

    @property
    def sd(self) -> float:
        """Standard deviation by quadrature."""
        z, x, weights = self.nodes
        return math.sqrt(float((weights * (self.at(x, z) - self.mean) ** 2).sum()))

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Values below which the shares `p` lie, by bisection and Newton's method."""
        z, x, weights = self.nodes
        values = self.at(x, z)
        order = np.argsort(values)
        share = np.cumsum(weights[order]) - 0.5 * weights[order]
        near = np.interp(p, share, values[order]) if start is None else start
        ones = np.ones_like(p)
        low, high = float(values.min()) * ones, float(values.max()) * ones
        enough = CLOSE * np.minimum(p, 1 - p)
        return invert(Secants(self._below), p, low, high, enough=enough, start=near)

    def _below(self, value: FloatArray) -> FloatArray:
        outer = self.inner.outer
        rows, mass = outer.rows, outer.weights.ravel()
        result = np.zeros_like(value)
        for keep, series in self.inner.series:
            low, high = rows.lower[keep, None], rows.upper[keep, None]
            x = self.inverse(value[None, :], rows.u[keep, None])
            t = np.clip(2 * (x - low) / (high - low) - 1, -1.0, 1.0)
            result += mass[keep] @ legendre.legval(t, series[..., None], tensor=False)
        return result
