"""Quadrature over the plane of two log scales: one variable after the other.

The inner variable is integrated out at each value of the outer one, over the range in which
that row matters, with as many Gauss-Legendre nodes as it takes; what is left is the marginal
density of the outer variable, which `quadrature.marginal` resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partialpool.families.exact.quadrature import (
    HIGHEST_MOMENT,
    Marginal,
    marginal,
    narrow,
    panel_nodes,
    refined,
    rule,
)
from partialpool.types import FloatArray

_FEWEST, _MOST = 24, 384
_TOLERANCE = 1e-10
_NEGLIGIBLE = 1e-16


@dataclass(frozen=True)
class Rows:
    """How to integrate over the inner variable v at each of some values of u.

    Attributes
    ----------
    u
        Values of u in ascending order, shape (rows,).
    lower, upper
        Range of v that matters at each, shape (rows,).
    orders
        Nodes that integrate over it, shape (rows,).
    """

    u: FloatArray
    lower: FloatArray
    upper: FloatArray
    orders: NDArray[np.int64]

    def at(self, u: FloatArray) -> Rows:
        """Rows at other values of u: the ranges of the nearest ones on both sides, joined."""
        before = np.maximum(np.searchsorted(self.u, u, side="right") - 1, 0)
        after = np.minimum(np.searchsorted(self.u, u), self.u.size - 1)
        return Rows(
            u,
            np.minimum(self.lower[before], self.lower[after]),
            np.maximum(self.upper[before], self.upper[after]),
            np.maximum(self.orders[before], self.orders[after]),
        )

    def merged(self, other: Rows) -> Rows:
        """These rows and others, in ascending order of u."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        both = Rows(*(np.concatenate(pair) for pair in pairs))
        return both.take(np.argsort(both.u))

    def take(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.u[which], self.lower[which], self.upper[which], self.orders[which])


@dataclass(frozen=True)
class Outer(Marginal):
    """Marginal density of the outer variable u.

    Attributes
    ----------
    rows
        The rows at its nodes, panel by panel.
    """

    rows: Rows


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
    moment
        Highest power of exp(u) and of exp(v) whose mean is wanted.
    """

    log_density: Callable[[FloatArray, FloatArray], FloatArray]
    outer: tuple[float, float]
    inner: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    tail_rate: float
    breaks: tuple[float, ...] = ()
    moment: float = HIGHEST_MOMENT

    def marginal(self) -> Outer:
        """Marginal density of u."""
        ends = (np.array([end]) for end in self.outer)
        lower, upper = narrow(self._profile, *ends, moment=self.moment)
        known: Rows | None = None

        def log_marginal(u: FloatArray) -> FloatArray:
            nonlocal known
            rows, integrals = self._resolve(u, known)
            known = rows if known is None else known.merged(rows)
            return integrals

        found = marginal(
            log_marginal,
            float(lower[0]),
            float(upper[0]),
            tail_rate=self.tail_rate,
            breaks=self.breaks,
            moment=self.moment,
        )
        assert known is not None
        rows = known.at(found.nodes.ravel())
        return Outer(found.edges, found.log_values, found.tail_rate, rows)

    def refined(self, coarse: Outer) -> Outer:
        """The marginal with its panels halved and the number of inner nodes doubled."""
        parts: list[Rows] = []

        def log_marginal(u: FloatArray) -> FloatArray:
            near = coarse.rows.at(u)
            parts.append(Rows(u, *self._range(u, near), 2 * near.orders))
            return self._integrals(parts[-1])

        fine = refined(log_marginal, coarse)
        (rows,) = parts
        return Outer(fine.edges, fine.log_values, fine.tail_rate, rows)

    def nodes(self, outer: Outer) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Nodes of the quadrature over the plane: u, v and probability, each shape (nodes,).

        Nodes whose probability would not show in any first or second moment are left out.
        """
        rows, mass = outer.rows, outer.weights.ravel()
        keep = mass * np.exp(2 * np.maximum(rows.u - rows.u[np.argmax(mass)], 0)) > _NEGLIGIBLE
        parts = []
        for order in np.unique(rows.orders[keep]):
            at = keep & (rows.orders == order)
            v = panel_nodes(rows.lower[at], rows.upper[at], int(order))
            values = self.log_density(rows.u[at, None], v)
            share = np.exp(values - values.max(axis=1, keepdims=True)) * rule(int(order))[1]
            share *= (mass[at] / share.sum(axis=1))[:, None]
            u = np.broadcast_to(rows.u[at, None], v.shape)
            parts.append((u.ravel(), v.ravel(), share.ravel()))
        u, v, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        reach = np.maximum(v - v[np.argmax(weight)], 0) + np.maximum(u - u[np.argmax(weight)], 0)
        keep = weight * np.exp(2 * reach) > _NEGLIGIBLE
        return u[keep], v[keep], weight[keep] / weight[keep].sum()

    def _resolve(self, u: FloatArray, known: Rows | None) -> tuple[Rows, FloatArray]:
        """Rows at values of u, and the logs of their integrals.

        An order will do when twice as many nodes change the integral by less than 1e-10 of
        itself. What is known of other rows says where to look, and from which order on.
        """
        near = None if known is None else known.at(u)
        orders = np.full(u.size, _FEWEST) if near is None else near.orders
        rows = Rows(u, *self._range(u, near), orders)
        integrals = self._integrals(rows)
        at = np.arange(u.size)
        while at.size:
            finer = self._integrals(replace(rows.take(at), orders=2 * orders[at]))
            rough = (np.abs(finer - integrals[at]) >= _TOLERANCE) & (orders[at] < _MOST)
            at = at[rough]
            orders[at] *= 2
            integrals[at] = finer[rough]
        return rows, integrals

    def _range(self, u: FloatArray, near: Rows | None) -> tuple[FloatArray, FloatArray]:
        """Range of v that matters at each u, searched for around the ranges of rows nearby."""
        ends = self.inner(u)
        if near is None:
            return self._narrow(u, *ends)
        margin = near.upper - near.lower
        start = np.clip(near.lower - margin, *ends), np.clip(near.upper + margin, *ends)
        lower, upper = self._narrow(u, *start)
        beyond = (lower == start[0]) & (lower > ends[0]) | (upper == start[1]) & (upper < ends[1])
        if beyond.any():
            lower[beyond], upper[beyond] = self._range(u[beyond], None)
        return lower, upper

    def _narrow(
        self, u: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return narrow(lambda v: self.log_density(u[:, None], v), lower, upper, moment=self.moment)

    def _integrals(self, rows: Rows) -> FloatArray:
        """Logs of the integrals over v, shape (rows,)."""
        result = np.empty_like(rows.u)
        for order in np.unique(rows.orders):
            at = rows.orders == order
            lower, upper = rows.lower[at], rows.upper[at]
            values = self.log_density(rows.u[at, None], panel_nodes(lower, upper, int(order)))
            peak = values.max(axis=1)
            total = np.einsum("rk,k->r", np.exp(values - peak[:, None]), rule(int(order))[1])
            result[at] = peak + np.log(0.5 * (upper - lower) * total)
        return result

    def _profile(self, u: FloatArray) -> FloatArray:
        """Largest log density at each u of a row of points: stands in for the marginal."""
        points = u.ravel()
        lower, upper = self.inner(points)
        lower, upper = self._narrow(points, lower, upper)
        values = self.log_density(points[:, None], panel_nodes(lower, upper, 2 * _FEWEST))
        return np.asarray(values.max(axis=1)).reshape(u.shape)
