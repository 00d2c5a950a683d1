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


@dataclass(frozen=True)
class Along:
    """Distribution of a function of (x, z) that rises with x.

    Attributes
    ----------
    plane, outer
        The density with z as outer variable, and its marginal.
    at
        Gives the value from x and z.
    inverse
        Gives x from value and z; infinite where no x has so large a value.
    """

    plane: Plane
    outer: Outer
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
        return invert(self._share, p, low, high, enough=enough, start=near)

    def _share(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = 1e-6 * np.abs(value)
        below, above = (self._below(value + side * step) for side in (-1, 1))
        return self._below(value), (above - below) / (2 * step)

    def _below(self, value: FloatArray) -> FloatArray:
        rows, mass = self.outer.rows, self.outer.weights.ravel()
        result = np.zeros_like(value)
        for keep, series in self._series:
            low, high = rows.lower[keep, None], rows.upper[keep, None]
            x = self.inverse(value[None, :], rows.u[keep, None])
            t = np.clip(2 * (x - low) / (high - low) - 1, -1.0, 1.0)
            inside = np.stack(
                [legendre.legval(t[:, q], series, tensor=False) for q in range(t.shape[1])]
            )
            result += np.einsum("qk,k->q", inside, mass[keep])
        return result

    @cached_property
    def _series(self) -> list[tuple[IntArray, FloatArray]]:
        """Legendre series of the distribution of x at each node of z, by number of nodes."""
        rows, mass = self.outer.rows, self.outer.weights.ravel()
        found = []
        for order in np.unique(rows.orders):
            keep = np.flatnonzero((rows.orders == order) & (mass > 1e-18))
            if not keep.size:
                continue
            x = panel_nodes(rows.lower[keep], rows.upper[keep], int(order))
            values = self.plane.log_density(rows.u[keep, None], x)
            density = np.exp(values - values.max(axis=1, keepdims=True))
            series = legendre.legint(rule(int(order))[2] @ density.T, lbnd=-1, axis=0)
            found.append((keep, np.asarray(series / legendre.legval(1.0, series))))
        return found
