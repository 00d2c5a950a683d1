"""Independent draws from the exact posterior of the hierarchical model.

log tau is drawn by inverting its marginal distribution function, log sigma by inverting its
conditional distribution function given tau (both Legendre series, accurate to about 1e-9), and
mu and theta from their normal conditionals. No Markov chain: the effective sample size is the
number of draws.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre

from partialpool.families.exact.hierarchical import HierarchicalPosterior
from partialpool.families.exact.plane import Outer, Plane, Rows
from partialpool.families.exact.quadrature import CLOSE, ORDER, distribution, invert, rule
from partialpool.types import FloatArray

_BATCH = 10_000
_MOST_NODES = 768


def exact_draws(
    posterior: HierarchicalPosterior,
    *,
    rng: np.random.Generator,
    size: int,
    groups: bool = True,
) -> dict[str, FloatArray]:
    """Draw independently from the posterior of the hierarchical model.

    Parameters
    ----------
    posterior
        From `partialpool.families.exact.hierarchical`; its grid is worked out once and kept.
    rng
        Source of randomness.
    size
        Number of draws.
    groups
        Whether theta is drawn.

    Returns
    -------
    dict
        `mu`, `tau`, `sigma`, each shape (size,), and, if asked, `theta`, shape (size, J), in the
        unit of the data.
    """
    problem, outer = posterior.problem, posterior.coarse.tau
    x = outer.draw((size,), rng=rng)
    z = inner_quantiles(problem.planes()[0], outer, x, rng.uniform(size=size))
    tau, sigma = np.exp(x), np.exp(z)
    given = problem.conditional(tau**2, sigma**2)
    mu = given.mu_mean + np.sqrt(given.mu_variance) * rng.standard_normal(size)
    drawn = {"mu": mu + problem.origin, "tau": tau, "sigma": sigma}
    if groups:
        own = (tau**2)[:, None] / ((tau**2)[:, None] + (sigma**2)[:, None] / problem.n)
        spread = np.sqrt(own * (sigma**2)[:, None] / problem.n)
        theta = mu[:, None] + own * (problem.mean - mu[:, None])
        theta += spread * rng.standard_normal(theta.shape)
        drawn["theta"] = theta + problem.origin
    return drawn


def inner_quantiles(plane: Plane, outer: Outer, u: FloatArray, p: FloatArray) -> FloatArray:
    """Values of v below which the shares `p` of its conditional distributions given u lie."""
    result = np.empty_like(u)
    panels = np.clip(np.searchsorted(outer.edges, u, side="right") - 1, 0, outer.edges.size - 2)
    for panel in np.unique(panels):
        left, right = outer.edges[panel : panel + 2]
        drawn = np.flatnonzero(panels == panel)
        x = 2 * (u[drawn] - left) / (right - left) - 1
        rows = outer.rows.take(slice(panel * ORDER, (panel + 1) * ORDER))
        result[drawn] = _within_panel(plane, rows, x, p[drawn])
    return result


def _within_panel(plane: Plane, rows: Rows, x: FloatArray, p: FloatArray) -> FloatArray:
    """Quantiles of v for values of u in one panel, at `x` between -1 and 1.

    The log density is smooth in u, so at each node of v the Legendre series through its values
    at the panel's nodes of u gives it between them, at a cost that does not depend on the data.
    """
    lower, upper = rows.lower.min(), rows.upper.max()
    widening = (upper - lower) / (rows.upper - rows.lower).min()
    order = min(int(np.ceil(rows.orders.max() * widening)), _MOST_NODES)
    points, weights, to_series = rule(order)
    v = lower + 0.5 * (upper - lower) * (1 + points)
    over_u = rule(ORDER)[2] @ plane.log_density(rows.u[:, None], v[None, :])
    result = np.empty_like(x)
    for start in range(0, x.size, _BATCH):
        part = slice(start, start + _BATCH)
        values = legendre.legvander(x[part], ORDER - 1) @ over_u
        density = np.exp(values - values.max(axis=1, keepdims=True))
        steps = np.cumsum(density * weights, axis=1)
        target = p[part] * steps[:, -1]
        first = _between_nodes(steps, target, weights)
        series = to_series @ density.T
        share = distribution(legendre.legint(series, lbnd=-1, axis=0), series)
        enough = CLOSE * np.minimum(target, steps[:, -1] - target)
        ones = np.ones_like(target)
        result[part] = invert(share, target, -ones, ones, enough=enough, start=first)
    return np.asarray(lower + 0.5 * (upper - lower) * (1 + result))


def _between_nodes(steps: FloatArray, target: FloatArray, weights: FloatArray) -> FloatArray:
    """Points between -1 and 1 near which distribution functions reach `target`.

    The sum of the first weights of a Gauss rule lies between two nodes, and there the sum of as
    many weights times density is about the distribution function.
    """
    rows = np.arange(target.size)
    after = np.argmax(steps >= target[:, None], axis=1)
    before = np.where(after > 0, steps[rows, after - 1], 0.0)
    fraction = (target - before) / (steps[rows, after] - before)
    ends = np.concatenate([[-1.0], np.cumsum(weights) - 1])
    return np.asarray(ends[after] + fraction * weights[after])
