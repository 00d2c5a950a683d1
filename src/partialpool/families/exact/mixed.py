"""Mixtures of beta or gamma distributions over the nodes of a plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.families.conjugate import Conjugate
from partialpool.families.exact.plane import Rows
from partialpool.families.exact.quadrature import (
    DROP,
    ORDER,
    Marginal,
    marginal,
    narrow,
    panel_nodes,
    refined,
    rule,
)
from partialpool.types import FloatArray

PANELS = np.array([1e-10, 1e-7, 1e-4, 0.02, 0.5, 0.98, 1 - 1e-4, 1 - 1e-8])
FINER_PANELS = np.array([1e-10, 1e-8, 1e-6, 1e-3, 0.05, 0.3, 0.7, 0.98, 1 - 1e-4, 1 - 1e-8])
"""Shares of the outer variable between which its panels end, on a grid and on its refinement."""

_BLOCK = 400_000
_NEGLIGIBLE = 1e-13
_OVERLAP = 1.2
_MOST_DOUBLINGS = 3
_MOST_U = 700.0


@dataclass(frozen=True)
class Nodes:
    """Nodes of a plane, for means and mixtures over a posterior, all of shape (nodes,).

    Attributes
    ----------
    outer, inner
        Values of the two variables.
    gap
        Largest distance from a node to the next in the direction of the inner variable.
    weight
        Probability, sum 1.
    """

    outer: FloatArray
    inner: FloatArray
    gap: FloatArray
    weight: FloatArray

    @classmethod
    def of(
        cls,
        log_density: Callable[[FloatArray, FloatArray], FloatArray],
        rows: Rows,
        order: int,
        narrowest: FloatArray,
    ) -> Nodes:
        """Take `order` nodes a row, more where the distributions to be mixed are narrow.

        Parameters
        ----------
        log_density
            Of outer and inner variable.
        rows
            At the nodes of panels of the outer variable, panel by panel.
        order
            Nodes of a row.
        narrowest
            About the sd, in units of the inner variable, of what is mixed, shape (rows,).
        """
        length = rows.upper - rows.lower
        with np.errstate(divide="ignore"):
            doublings = np.ceil(np.log2(_OVERLAP * length / narrowest / order))
        orders: NDArray[np.int64] = order * 2 ** np.clip(doublings, 0, _MOST_DOUBLINGS).astype(int)
        panels = rows.u.reshape(-1, ORDER)
        lengths = (panels[:, -1] - panels[:, 0]) / (rule(ORDER)[0][-1] - rule(ORDER)[0][0])
        half = (lengths[:, None] * rule(ORDER)[1]).ravel()
        parts = []
        for each in np.unique(orders):
            at = np.flatnonzero(orders == each)
            z = panel_nodes(rows.lower[at], rows.upper[at], int(each))
            log_mass = log_density(rows.u[at, None], z)
            log_mass = log_mass + np.log(half[at] * length[at])[:, None]
            log_mass += np.log(rule(int(each))[1])
            gap = np.broadcast_to(0.5 * np.pi * length[at, None] / each, z.shape)
            outer = np.broadcast_to(rows.u[at, None], z.shape)
            parts.append([part.ravel() for part in (outer, z, gap, log_mass)])
        outer, z, gap, log_mass = (np.concatenate(column) for column in zip(*parts, strict=True))
        weight = np.exp(log_mass - log_mass.max())
        kept = weight > _NEGLIGIBLE
        outer, z, gap, weight = (part[kept] for part in (outer, z, gap, weight))
        return cls(outer, z, gap, weight / weight.sum())

    @property
    def most(self) -> FloatArray:
        """Largest precision of distributions that still overlap from node to node."""
        return (_OVERLAP / self.gap) ** 2

    def expect(self, values: FloatArray) -> float:
        """Posterior mean of a function with the given values at the nodes."""
        return float((self.weight * values).sum())


@dataclass(frozen=True)
class Mixed:
    """Mixture of distributions: its density on a scale without bounds, and its moments.

    Attributes
    ----------
    kind
        Kind of distribution.
    marginal
        Density on that scale.
    mean, sd
        Of theta.
    """

    kind: Conjugate
    marginal: Marginal
    mean: float
    sd: float

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles on the scale without bounds, transformed."""
        return self.kind.theta(self.marginal.quantile(p))[0]


def mixed(
    kind: Conjugate,
    parameters: tuple[FloatArray, FloatArray],
    weight: FloatArray,
    *,
    moments: tuple[float, float],
    refine: bool,
) -> Mixed:
    """Mix distributions with these parameters.

    Parameters
    ----------
    kind
        Kind of distribution.
    parameters, weight
        Of the parts, shape (nodes,) each.
    moments
        Mean and sd of theta.
    refine
        Whether the panels of the density are halved once more.
    """
    a, b = parameters
    both = np.stack([a, b])
    constant = np.log(weight) - kind.log_norm(parameters)

    def log_density(u: FloatArray) -> FloatArray:
        flat = u.ravel()
        result = np.empty(flat.size)
        step = max(1, _BLOCK // len(a))
        for start in range(0, flat.size, step):
            part = slice(start, start + step)
            terms = np.stack(kind.functions(flat[part]), axis=1) @ both
            terms += constant
            peak = terms.max(axis=1)
            terms -= peak[:, None]
            result[part] = peak + np.log(np.exp(terms, out=terms).sum(axis=1))
        return result.reshape(u.shape)

    center, variance = kind.moments(parameters)
    middle = float((weight * center).sum())
    left, right = (float(rate.min()) for rate in kind.tails(parameters))
    far = 40 * float(np.sqrt(variance.max()))
    low = max(min(float(center.min()) - far, middle - 1.5 * DROP / left), middle - _MOST_U)
    high = min(max(float(center.max()) + far, middle + 1.5 * DROP / right), middle + _MOST_U)
    lower, upper = narrow(log_density, np.array([low]), np.array([high]), moment=0)
    found = marginal(log_density, float(lower[0]), float(upper[0]), tail_rate=np.inf, moment=0)
    if refine:
        found = refined(log_density, found)
    return Mixed(kind, found, *moments)
