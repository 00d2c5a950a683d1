"""Independent draws from the posterior of groups within groups, of any number of groups.

The log density of the stretched logarithms of the sds is smooth, and known on their nodes: splines
through it give it on a far finer grid, of which a cell is drawn and a place in it. What the groups
say of their outer group, W_k and W_k m_k, are in units of sigma^-2 functions of tau / sigma alone,
so that they too are interpolated, from Chebyshev nodes: the time does not grow with the groups
times the draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import interpolate

from partialpool.families.exact.leaves import Interpolated
from partialpool.types import FloatArray

if TYPE_CHECKING:
    from partialpool.families.exact.nested import Grid

_CELLS = {2: 400, 3: 90}
_DROP = 36.0
_DEGREE = 3
_BLOCK = 2_000_000


def draw(grid: Grid, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
    """Draw the sds and `mu`, of the given shape, and `phi`, its last axis the outer groups."""
    size = math.prod(shape)
    sds = _sds(grid, rng, size)
    leaves, K = grid.leaves, grid.leaves.nesting.K
    mu, phi = np.empty(size), np.empty((size, K))
    sigma = sds.get("sigma", np.ones(size))
    within = Interpolated(leaves, sds["tau"] / sigma)
    prior = leaves.choice.mu.scale**-2
    location = leaves.choice.mu.location - leaves.origin
    rows = max(1, _BLOCK // K)
    for start in range(0, size, rows):
        part = slice(start, start + rows)
        sums = within.at(sds["tau"][part] / sigma[part])
        W, m = sums.W / sigma[part, None] ** 2, sums.m
        omega2 = sds["omega"][part, None] ** 2
        p = 1 / (omega2 + 1 / W)
        precision = prior + p.sum(axis=1)
        h = (prior * location + (p * m).sum(axis=1)) / precision
        mu[part] = h + rng.standard_normal(len(h)) / np.sqrt(precision)
        b = 1 / (1 + omega2 * W)
        noise = np.sqrt(b * omega2) * rng.standard_normal(b.shape)
        phi[part] = m + b * (mu[part, None] - m) + noise
    found = {**sds, "mu": mu + leaves.origin, "phi": phi + leaves.origin}
    return {name: array.reshape(*shape, *array.shape[1:]) for name, array in found.items()}


def _sds(grid: Grid, rng: np.random.Generator, size: int) -> dict[str, FloatArray]:
    """Draw the sds from a fine grid of cells, each about as probable as at its middle."""
    places = [axis.places(grid.share) for axis in grid.axes]
    log = grid.log_density_of_places
    low, high = _ends(log)
    log = np.maximum(log, log.max() - 2 * _DROP)  # what is far below would make splines swing
    cells = []
    for k, t in enumerate(places):
        edges = np.linspace(t[low[k]], t[high[k]], _CELLS[len(places)] + 1)
        spline = interpolate.make_interp_spline(t, log, k=_DEGREE, axis=k)
        log = spline(0.5 * (edges[1:] + edges[:-1]))
        cells.append(edges)
    rising = np.cumsum(np.exp(log - log.max()).ravel())
    drawn = np.searchsorted(rising, rng.uniform(size=size) * rising[-1])
    found = {}
    for axis, edges, at in zip(grid.axes, cells, np.unravel_index(drawn, log.shape), strict=True):
        t = edges[at] + (edges[1] - edges[0]) * rng.uniform(size=size)
        found[axis.name] = axis.values(t)
    return found


def _ends(log: FloatArray) -> tuple[Sequence[int], Sequence[int]]:
    """First and last node of each axis beyond which nothing lies."""
    matters = np.argwhere(log > log.max() - _DROP)
    low = np.maximum(matters.min(axis=0) - 1, 0)
    high = np.minimum(matters.max(axis=0) + 1, np.array(log.shape) - 1)
    return low.tolist(), high.tolist()
