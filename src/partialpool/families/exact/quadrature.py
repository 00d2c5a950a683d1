"""Quadrature with error control for a density of one variable.

Everything is Gauss-Legendre quadrature on panels: exact for polynomials of degree 31 on each
panel, and as good at a bound of the support as inside it. Variables are logarithms of scales,
so that a density which is flat at zero decays like exp(u), and a power tail like exp(-rate u).
Panels are halved until the Legendre coefficients of the density have died out; the same
coefficients, integrated, give the distribution function between the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy import special

from partialpool.types import FloatArray

LogDensity: TypeAlias = Callable[[FloatArray], FloatArray]

ORDER = 16
"""Nodes of a panel."""

DROP = 42.0
"""Where the log density is this far below its maximum, nothing is left: exp(-42) is 6e-19."""

HIGHEST_MOMENT = 4
"""Ranges are wide enough for moments of exp(u) up to this order: the sd of a variance."""

CLOSE = 1e-9
"""Distance from a probability, as a share of it, at which Newton's next step is the last."""

_SCAN = 65
_ENOUGH = 16
_MOST_HALVINGS = 16
_MOST_PANELS = 200
_TABLE = 65
_TOLERANCE = 1e-10
_WIDEST = 1.5


@cache
def rule(order: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Nodes, weights, and the matrix that turns values at the nodes into Legendre coefficients."""
    nodes, weights = special.roots_legendre(order)
    degrees = np.arange(order)
    coefficients = (degrees[:, None] + 0.5) * legendre.legvander(nodes, order - 1).T * weights
    return nodes, weights, coefficients


def distribution(
    rising: FloatArray, slopes: FloatArray
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Values and slopes of distribution functions, each at its own point, for `invert`.

    Parameters
    ----------
    rising, slopes
        Legendre series of the functions, shape (degrees + 1, k), and of their derivatives, shape
        (degrees, k).
    """
    both = np.stack([rising, np.pad(slopes, ((0, 1), (0, 0)))], axis=1)

    def share(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slope = legendre.legval(x, both, tensor=False)
        return value, slope

    return share


def invert(
    share: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    target: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    *,
    enough: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Solve ``share(x) = target`` for distribution functions, elementwise.

    Newton's method, kept inside a shrinking bracket by bisection.

    Parameters
    ----------
    share
        Gives value and slope at an array of points of the shape of `target`.
    target
        Values to reach.
    lower, upper
        Brackets of the solutions.
    enough
        One more step is the last when values are this close to their targets: that step
        about squares the distance.
    start
        First points; the middle of the brackets if not given.
    """
    x = 0.5 * (lower + upper) if start is None else np.clip(start, lower, upper)
    for _ in range(200):
        value, slope = share(x)
        excess = value - target
        lower = np.where(excess < 0, x, lower)
        upper = np.where(excess > 0, x, upper)
        with np.errstate(divide="ignore", invalid="ignore"):
            proposal = x - excess / slope
        inside = (proposal >= lower) & (proposal <= upper)
        x = np.where(excess == 0, x, np.where(inside, proposal, 0.5 * (lower + upper)))
        close = inside & (np.abs(excess) <= enough)
        if np.all(close | (upper - lower <= 4e-16 * np.abs(x)) | (excess == 0)):
            break
    return x


def narrow(
    log_density: LogDensity,
    lower: FloatArray,
    upper: FloatArray,
    *,
    moment: float = HIGHEST_MOMENT,
) -> tuple[FloatArray, FloatArray]:
    """Shrink ranges to where log densities matter, one row a density.

    A scan of each range keeps the points that are within `DROP` of the row's maximum (also
    after multiplication by ``exp(moment * u)`` to the right of it) and one point more
    on each side; the scan is repeated on what is left, until that is so many intervals that the
    four of them that may lie outside add little work.

    Parameters
    ----------
    log_density
        Maps points of shape (rows, k) to values of that shape.
    lower, upper
        Finite ends of the ranges, shape (rows,).
    moment
        Highest power of exp(u) whose mean is wanted; 0 where u stands for something bounded.
    """
    rows = np.arange(lower.size)
    fractions = np.linspace(0.0, 1.0, _SCAN)
    for _ in range(20):
        points = lower[:, None] + (upper - lower)[:, None] * fractions
        values = log_density(points)
        best = np.argmax(values, axis=1)
        peak = points[rows, best][:, None]
        envelope = values + moment * np.maximum(points - peak, 0.0)
        kept = envelope >= values[rows, best][:, None] - DROP
        first = np.maximum(np.argmax(kept, axis=1) - 1, 0)
        last = np.minimum(_SCAN - np.argmax(kept[:, ::-1], axis=1), _SCAN - 1)
        lower, upper = points[rows, first], points[rows, last]
        if np.all(last - first >= _ENOUGH):
            break
    return lower, upper


@dataclass(frozen=True)
class Marginal:
    """Density of one variable u on panels, known to the accuracy of the quadrature.

    Attributes
    ----------
    edges
        Ends of the panels, shape (panels + 1,).
    log_values
        Unnormalized log density at the nodes, shape (panels, ORDER).
    tail_rate
        The density falls like ``exp(-tail_rate * u)`` beyond the last panel; infinite where
        it falls faster or where the support ends.
    """

    edges: FloatArray
    log_values: FloatArray
    tail_rate: float

    @cached_property
    def nodes(self) -> FloatArray:
        """Nodes, shape (panels, ORDER)."""
        return panel_nodes(self.edges[:-1], self.edges[1:])

    @cached_property
    def log_total(self) -> float:
        """Log of the integral of the unnormalized density."""
        peak = float(self.log_values.max())
        return peak + float(np.log(self._sum(np.exp(self.log_values - peak))))

    @cached_property
    def density(self) -> FloatArray:
        """Normalized density at the nodes, shape (panels, ORDER)."""
        return np.exp(self.log_values - self.log_total)

    @cached_property
    def weights(self) -> FloatArray:
        """Probabilities of the nodes: density times quadrature weight, sum 1."""
        return self.density * rule(ORDER)[1] * self._half[:, None]

    @cached_property
    def _half(self) -> FloatArray:
        return 0.5 * np.diff(self.edges)

    def _sum(self, values: FloatArray) -> float:
        return float(self._half @ (values @ rule(ORDER)[1]))

    @cached_property
    def _distribution(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Legendre series of density and distribution by panel; distribution at the edges."""
        series = rule(ORDER)[2] @ self.density.T
        integrals = self._half * legendre.legint(series, lbnd=-1, axis=0)
        at_edges = np.concatenate([[0.0], np.cumsum(self.weights.sum(axis=1))])
        return series, integrals, at_edges

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray]:
        """Distribution function on a fine grid, and the grid: where to look for a quantile."""
        _, integrals, at_edges = self._distribution
        inside = np.linspace(-1, 1, _TABLE)
        share = at_edges[:-1, None] + legendre.legval(inside, integrals)
        middle = 0.5 * (self.edges[:-1] + self.edges[1:])
        grid = middle[:, None] + self._half[:, None] * inside
        return np.maximum.accumulate(share.ravel()), grid.ravel()

    def draw(self, shape: tuple[int, ...], *, rng: np.random.Generator) -> FloatArray:
        """Draw independent values of u, by inverting its distribution function."""
        return self.quantile(rng.uniform(size=shape), tabulated=True)

    def quantile(self, p: ArrayLike, *, tabulated: bool = False) -> FloatArray:
        """Values of u below which the shares `p` lie.

        Parameters
        ----------
        p
            Probabilities, any shape.
        tabulated
            Whether to start from a table of the distribution function, which pays for many.
        """
        p = np.asarray(p, dtype=float)
        flat = p.ravel()
        series, integrals, at_edges = self._distribution
        panel = np.clip(np.searchsorted(at_edges, flat, side="right") - 1, 0, self._half.size - 1)
        rising, slopes = integrals[:, panel], (self._half * series)[:, panel]
        share = distribution(rising, slopes)
        ones = np.ones_like(flat)
        enough = CLOSE * np.minimum(flat, 1 - flat)
        start = None
        if tabulated:
            middle = 0.5 * (self.edges[panel] + self.edges[panel + 1])
            start = (np.interp(flat, *self._table) - middle) / self._half[panel]
        x = invert(share, flat - at_edges[panel], -ones, ones, enough=enough, start=start)
        return (self.edges[panel] + self._half[panel] * (1 + x)).reshape(p.shape)

    def expect(self, values: FloatArray) -> float:
        """Mean of a function with the given values at the nodes, shape (panels, ORDER)."""
        return float((self.weights * values).sum())

    def scale_mean(self, order: int) -> float:
        """Mean of ``exp(order * u)``, a power of the scale whose logarithm u is.

        Infinite where it does not exist.
        """
        return self.expect(np.exp(order * self.nodes)) + self._beyond(order)

    def scale_sd(self, order: int) -> float:
        """Standard deviation of ``exp(order * u)``; infinite where it does not exist."""
        mean, rest = self.scale_mean(order), self._beyond(2 * order)
        if not np.isfinite(rest):
            return np.inf
        rest += mean * (mean * self._beyond(0) - 2 * self._beyond(order))
        inside = self.expect((np.exp(order * self.nodes) - mean) ** 2)
        return float(np.sqrt(inside + rest))

    def _beyond(self, order: int) -> float:
        """Integral of ``exp(order * u)`` times a power tail, beyond the last panel."""
        if order >= self.tail_rate:
            return np.inf
        if not np.isfinite(self.tail_rate):
            return 0.0
        last, end = self.nodes[-1, -1], self.edges[-1]
        log_density = self.log_values[-1, -1] - self.log_total - self.tail_rate * (end - last)
        return float(np.exp(log_density + order * end)) / (self.tail_rate - order)


def panel_nodes(left: FloatArray, right: FloatArray, order: int = ORDER) -> FloatArray:
    """Gauss-Legendre nodes between `left` and `right`, along a new last axis."""
    middle, half = 0.5 * (left + right), 0.5 * (right - left)
    return middle[..., None] + half[..., None] * rule(order)[0]


def marginal(
    log_density: LogDensity,
    lower: float,
    upper: float,
    *,
    tail_rate: float,
    breaks: tuple[float, ...] = (),
    moment: float = HIGHEST_MOMENT,
) -> Marginal:
    """Find panels on which a density of one variable is resolved.

    Parameters
    ----------
    log_density
        Maps points of shape (k,) to unnormalized log densities of that shape.
    lower, upper
        Range outside of which nothing but a power tail is left, from `narrow`.
    tail_rate
        See `Marginal`.
    breaks
        Points at which the density is not smooth.
    moment
        As for `narrow`.
    """
    inner = [point for point in breaks if lower < point < upper]
    edges = np.unique(np.concatenate([np.linspace(lower, upper, 9), inner]))
    values = _at_panels(log_density, edges)
    resolved = np.zeros(len(values), dtype=bool)
    for _ in range(_MOST_HALVINGS):
        resolved |= _is_resolved(edges, values, moment)
        if resolved.all() or resolved.size > _MOST_PANELS:
            break
        edges, values, resolved = _halve(log_density, edges, values, ~resolved)
    return Marginal(edges, values, tail_rate)


def refined(log_density: LogDensity, coarse: Marginal) -> Marginal:
    """Halve every panel of a marginal, to show what its quadrature leaves out."""
    everywhere = np.ones(len(coarse.log_values), dtype=bool)
    edges, values, _ = _halve(log_density, coarse.edges, coarse.log_values, everywhere)
    return Marginal(edges, values, coarse.tail_rate)


def _at_panels(log_density: LogDensity, edges: FloatArray) -> FloatArray:
    nodes = panel_nodes(edges[:-1], edges[1:])
    return log_density(nodes.ravel()).reshape(nodes.shape)


def _is_resolved(edges: FloatArray, values: FloatArray, moment: float) -> NDArray[np.bool_]:
    """Whether the last coefficients of density and highest moment are below the tolerance."""
    _, weights, to_series = rule(ORDER)
    nodes, half = panel_nodes(edges[:-1], edges[1:]), 0.5 * np.diff(edges)
    density = np.exp(values - values.max())
    growth = np.exp(moment * (nodes - nodes.flat[np.argmax(values)]))
    total = half @ (density @ weights)
    resolved = (half * (density @ weights) < 1e-9 * total) | (2 * half <= _WIDEST)
    for part in (density, density * growth):
        series = np.abs(to_series @ part.T)
        rest = half * series[-2:].max(axis=0)
        resolved &= rest <= _TOLERANCE * (half @ (part @ weights))
    return np.asarray(resolved)


def _halve(
    log_density: LogDensity, edges: FloatArray, values: FloatArray, chosen: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Split the chosen panels in two; also returns which panels are old."""
    left, right = edges[:-1][chosen], edges[1:][chosen]
    middle = 0.5 * (left + right)
    nodes = panel_nodes(np.column_stack([left, middle]), np.column_stack([middle, right]))
    fresh = log_density(nodes.ravel()).reshape(-1, ORDER)
    all_edges = np.sort(np.concatenate([edges, middle]))
    origin = np.searchsorted(edges, all_edges[:-1], side="right") - 1
    old = ~chosen[origin]
    all_values = np.empty((all_edges.size - 1, ORDER))
    all_values[old] = values[~chosen]
    all_values[~old] = fresh
    return all_edges, all_values, old
