"""Quadrature over the plane of two log scales: one variable after the other.

The inner variable is integrated out at each value of the outer one, over the range in which
that row matters, with as many Gauss-Legendre nodes as it takes; what is left is the marginal
density of the outer variable, which `quadrature.marginal` resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.exact.quadrature import (
    Array,
    Marginal,
    marginal,
    narrow,
    panel_nodes,
    refined,
    rule,
)

_ORDERS = (24, 48, 96, 192, 384)
_TOLERANCE = 1e-10
_NEGLIGIBLE = 1e-16


@dataclass(frozen=True)
class Rows:
    """What is known of the inner variable v at each of some values of u, shape (rows,) each.

    Attributes
    ----------
    lower, upper
        Range of v that matters.
    orders
        Nodes that integrate over it.
    integral, finer
        Log of the integral with that many nodes, and with twice as many.
    """

    lower: Array
    upper: Array
    orders: NDArray[np.int64]
    integral: Array
    finer: Array


@dataclass(frozen=True)
class Plane:
    """A log density of an outer variable u and an inner variable v.

    Attributes
    ----------
    log_density
        Maps u of shape (rows, 1) and v of shape (rows, k) to values of shape (rows, k).
    outer
        Ends of the range of u to be searched.
    inner
        Maps u, shape (rows,), to the ends of the range of v to be searched, each that shape.
    tail_rate
        See `quadrature.Marginal`.
    breaks
        Values of u at which the marginal density of u is not smooth.
    """

    log_density: Callable[[Array, Array], Array]
    outer: tuple[float, float]
    inner: Callable[[Array], tuple[Array, Array]]
    tail_rate: float
    breaks: tuple[float, ...] = ()

    def marginal(self) -> Marginal:
        """Marginal density of u."""
        lower, upper = narrow(self._profile, *(np.array([end]) for end in self.outer))
        return marginal(
            self.log_marginal,
            float(lower[0]),
            float(upper[0]),
            tail_rate=self.tail_rate,
            breaks=self.breaks,
        )

    def refined(self, coarse: Marginal) -> Marginal:
        """The marginal with its panels halved and the number of inner nodes doubled."""
        return refined(lambda u: self.log_marginal(u, refine=True), coarse)

    def log_marginal(self, u: Array, *, refine: bool = False) -> Array:
        """Log of the integral over v at each u, shape (rows,)."""
        rows = self.rows(u)
        return rows.finer if refine else rows.integral

    def rows(self, u: Array) -> Rows:
        """Range of v that matters at each u, the order that integrates it, and the integrals.

        An order will do when twice as many nodes change the integral by less than 1e-10 of
        itself.
        """
        lower, upper = narrow(lambda v: self.log_density(u[:, None], v), *self.inner(u))
        orders = np.full(u.size, _ORDERS[0])
        integral = self._integrate(u, lower, upper, _ORDERS[0])
        finer = np.empty_like(integral)
        at = np.arange(u.size)
        for order in _ORDERS:
            orders[at] = order
            finer[at] = self._integrate(u[at], lower[at], upper[at], 2 * order)
            at = at[~(np.abs(finer[at] - integral[at]) < _TOLERANCE)]
            if at.size == 0 or order == _ORDERS[-1]:
                break
            integral[at] = finer[at]
        return Rows(lower, upper, orders, integral, finer)

    def nodes(self, outer: Marginal, *, refine: bool) -> tuple[Array, Array, Array]:
        """Nodes of the quadrature over the plane: u, v and probability, each shape (nodes,).

        Nodes whose probability would not show in any first or second moment are left out.
        """
        u, mass = outer.nodes.ravel(), outer.weights.ravel()
        keep = mass * np.exp(2 * np.maximum(u - u[np.argmax(mass)], 0)) > _NEGLIGIBLE
        u, mass = u[keep], mass[keep]
        rows = self.rows(u)
        parts = []
        for order in np.unique(rows.orders):
            at = rows.orders == order
            count = int(order) * (2 if refine else 1)
            v = panel_nodes(rows.lower[at], rows.upper[at], count)
            values = self.log_density(u[at, None], v)
            share = np.exp(values - values.max(axis=1, keepdims=True)) * rule(count)[1]
            share *= (mass[at] / share.sum(axis=1))[:, None]
            parts.append((np.broadcast_to(u[at, None], v.shape).ravel(), v.ravel(), share.ravel()))
        u, v, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        reach = np.maximum(v - v[np.argmax(weight)], 0) + np.maximum(u - u[np.argmax(weight)], 0)
        keep = weight * np.exp(2 * reach) > _NEGLIGIBLE
        return u[keep], v[keep], weight[keep] / weight[keep].sum()

    def _integrate(self, u: Array, lower: Array, upper: Array, order: int) -> Array:
        values = self.log_density(u[:, None], panel_nodes(lower, upper, order))
        peak = values.max(axis=1)
        total = np.einsum("rk,k->r", np.exp(values - peak[:, None]), rule(order)[1])
        return np.asarray(peak + np.log(0.5 * (upper - lower) * total))

    def _profile(self, u: Array) -> Array:
        """Largest log density at each u of a row of points: stands in for the marginal."""
        points = u.ravel()
        lower, upper = self.inner(points)
        lower, upper = narrow(lambda v: self.log_density(points[:, None], v), lower, upper)
        values = self.log_density(points[:, None], panel_nodes(lower, upper, _ORDERS[1]))
        return np.asarray(values.max(axis=1)).reshape(u.shape)
