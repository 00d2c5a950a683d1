"""Independent draws of location and scale, from their posterior on panels that fit it.

The scale s is looked at as c sinh(w), so that its posterior is smooth down to s = 0; the location,
at each s, in its own standard error from where the groups' own estimates put it, where it is nearly
normal. So few panels of Gauss-Legendre nodes hold the density in both directions, and both are
drawn by inverting distribution functions, as exact as the density is resolved: to `_RESOLVED`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.polynomial import legendre

from partialpool.families.exact.quadrature import (
    CLOSE,
    ORDER,
    Marginal,
    distribution,
    invert,
    panel_nodes,
    rule,
)
from partialpool.types import FloatArray

LogDensity: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

_REACH, _INNER = 11.0, 12
"""Standard errors to either side that are looked at, and panels of them."""

_HALF = _REACH / _INNER

_SEARCHED, _ZOOMS, _FAR_BELOW = 60, 4, 40.0
_PANELS = (6, 8, 12, 24)
_BELOW, _RESOLVED, _SURELY = 36.0, 1e-7, 1.5
_BLOCK = 128  # draws whose products of matrices are small enough to need no threads


@dataclass(frozen=True)
class Population:
    """The posterior of location and scale on panels.

    Attributes
    ----------
    unit
        The scale is `unit` times sinh(w).
    outer
        Marginal density of w.
    series
        Legendre series in w, on each of its panels, of the log density at the inner nodes, of where
        the location is counted from, and of the log of its unit: shape (panels, ORDER, nodes + 2).
    """

    unit: float
    outer: Marginal
    series: FloatArray

    def draw(self, rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
        """Draw so many locations and scales."""
        w = self.outer.draw((count,), rng=rng)
        p = rng.uniform(size=count)
        edges = self.outer.edges
        panel = np.clip(np.searchsorted(edges, w, side="right") - 1, 0, len(edges) - 2)
        order = np.argsort(panel, kind="stable")
        x = 2 * (w - edges[panel]) / np.diff(edges)[panel] - 1
        where, unit = np.empty((2, count))
        found = []
        for start in range(0, count, _BLOCK):
            block = order[start : start + _BLOCK]
            values = np.empty((len(block), self.series.shape[2]))
            for k in np.unique(panel[block]).tolist():
                inside = panel[block] == k
                values[inside] = legendre.legvander(x[block[inside]], ORDER - 1) @ self.series[k]
            where[block], unit[block] = values[:, -2], np.exp(values[:, -1])
            found.append(_inner_panels(values[:, :-2], p[block]))
        v = np.empty(count)
        v[order] = _inner_quantiles(*map(np.concatenate, zip(*found, strict=True)))
        return where + unit * v, self.unit * np.sinh(w)


def _inner_panels(
    log_values: FloatArray, p: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Find on which inner panels the shares `p` of densities are reached.

    Returns
    -------
    panel
        Index of the panel, shape (draws,).
    slopes
        Legendre series of the density on it, shape (draws, ORDER).
    target, enough
        What of the density is to be reached on it, and how closely.
    """
    density = np.exp(log_values - log_values.max(axis=1, keepdims=True))
    density = density.reshape(len(p), _INNER, ORDER)
    shares = _HALF * np.cumsum(density @ rule(ORDER)[1], axis=1)
    target = p * shares[:, -1]
    rows = np.arange(len(p))
    panel = np.argmax(shares >= target[:, None], axis=1)
    slopes = _HALF * (density[rows, panel] @ rule(ORDER)[2].T)
    below = np.where(panel > 0, shares[rows, panel - 1], 0.0)
    enough = CLOSE * np.minimum(target, shares[:, -1] - target)
    return panel.astype(np.float64), np.asarray(slopes), target - below, enough


def _inner_quantiles(
    panel: FloatArray, slopes: FloatArray, target: FloatArray, enough: FloatArray
) -> FloatArray:
    """Points of inner panels below which so much of each density on them lies, shape (draws,)."""
    series: FloatArray = np.ascontiguousarray(slopes.T)
    rising: FloatArray = np.asarray(legendre.legint(series, lbnd=-1, axis=0))
    share = distribution(rising, series)
    ones = np.ones_like(target)
    x = invert(share, target, -ones, ones, enough=enough, start=target / series[0] - 1)
    return np.asarray(_REACH * (2 * panel / _INNER - 1) + _HALF * (1 + x))


def population(
    log_density: LogDensity,
    normals: tuple[FloatArray, FloatArray, FloatArray],
    most: float,
) -> Population | None:
    """Put the posterior on panels; None where they do not resolve it, or do not hold it.

    Parameters
    ----------
    log_density
        Of location and log scale, at locations and scales of shape (points,).
    normals
        Center and variance of normal densities that multiply to about the likelihood and the prior
        of the location, and how many of each: that of an alpha has s^2 added to its variance, which
        is finite, while a variance below 0 is that of the prior.
    most
        Largest scale.
    """
    center, variance, groups = normals
    of_prior = variance < 0
    unit = float(np.sqrt(variance[~of_prior].min()))

    def about(scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        weight = groups / np.where(of_prior, -variance, variance + scale[:, None] ** 2)
        total = weight.sum(axis=1)
        return weight @ center / total, -0.5 * np.log(total)

    def at(w: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        scale = unit * np.sinh(w)
        middle, log_unit = about(scale)
        location = middle[:, None] + np.exp(log_unit)[:, None] * v
        values = log_density(location.ravel(), np.repeat(scale, len(v))).reshape(location.shape)
        values += (log_unit - np.log(np.tanh(w)))[:, None]
        return values, middle, log_unit

    low, high = 0.0, float(np.arcsinh(most / unit))
    for _ in range(_ZOOMS):
        searched = low + (high - low) * (np.arange(_SEARCHED) + 0.5) / _SEARCHED
        ridge = at(searched, np.zeros(1))[0][:, 0]
        near = np.flatnonzero(ridge > ridge.max() - _FAR_BELOW)
        step = (high - low) / _SEARCHED
        ends = max(low, searched[near[0]] - 2 * step), min(high, searched[near[-1]] + 2 * step)
        shorter = ends[1] - ends[0] < 0.5 * (high - low)
        low, high = float(ends[0]), float(ends[1])
        if not shorter:
            break
    ends_of_v = np.linspace(-_REACH, _REACH, _INNER + 1)
    v = panel_nodes(ends_of_v[:-1], ends_of_v[1:]).ravel()
    for panels in _PANELS:
        edges = np.linspace(low, high, panels + 1)
        w = panel_nodes(edges[:-1], edges[1:])
        few = at(w.ravel(), v[::ORDER])[0].reshape(panels, ORDER, _INNER)
        if _rough(np.exp(few - few.max())) > _SURELY * _RESOLVED and panels < _PANELS[-1]:
            continue
        values, middle, log_unit = at(w.ravel(), v)
        peak = values.max()
        if max(values[:, 0].max(), values[:, -1].max()) > peak - _BELOW:
            return None
        density = np.exp(values - peak).reshape(panels, ORDER, _INNER, ORDER)
        if _resolved(density):
            weights = _REACH / _INNER * np.tile(rule(ORDER)[1], _INNER)
            marginal = peak + np.log(np.exp(values - peak) @ weights).reshape(panels, ORDER)
            columns = np.column_stack([values, middle, log_unit]).reshape(panels, ORDER, -1)
            series = np.einsum("dk,pkc->pdc", rule(ORDER)[2], columns)
            return Population(unit, Marginal(edges, marginal, np.inf), series)
    return None


def _resolved(density: FloatArray) -> bool:
    """Whether the last Legendre coefficients, along the nodes of both variables, are small."""
    along_v = np.abs(np.einsum("do,pkio->dpki", rule(ORDER)[2][-2:], density)).max()
    return bool(max(_rough(density), along_v) <= _RESOLVED * density.max())


def _rough(density: FloatArray) -> float:
    """Largest of the last Legendre coefficients along w, shape (panels, ORDER, ...)."""
    return float(np.abs(np.einsum("dk,pk...->dp...", rule(ORDER)[2][-2:], density)).max())
