"""Independent draws of alpha given the population and a group's counts.

The log density is concave, so that it lies below its tangents. Three of them, at the mode and at
about one sd on either side, bound it by a density that is flat in the middle and exponential
beyond; drawing from that and rejecting is exact and keeps about five draws of six where the
density is normal (Devroye, *Non-Uniform Random Variate Generation*, 1986, section VII.2).
"""

from __future__ import annotations

import numpy as np

from partialpool.families.linked.likelihoods import Likelihood
from partialpool.types import FloatArray, IntArray

_STEPS = 60
_CLOSE = 1e-6


def mode(
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    location: FloatArray,
    scale: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Mode of alpha given counts and population, and its sd by the curvature there, (k,) each."""
    slope, bend = likelihood.slopes(location, count, size)
    precision = scale**-2
    low = np.where(slope > 0, location, -np.inf)
    high = np.where(slope > 0, np.inf, location)
    at = location.copy()
    for _ in range(_STEPS):
        slope, bend = likelihood.slopes(at, count, size)
        slope = slope - (at - location) * precision
        bend = bend + precision
        low, high = np.where(slope > 0, at, low), np.where(slope > 0, high, at)
        new = at + slope / bend
        outside = (new <= low) | (new >= high)
        both = np.isfinite(low) & np.isfinite(high)
        with np.errstate(invalid="ignore"):
            new = np.where(outside & both, 0.5 * (low + high), new)
        step, at = np.abs(new - at) * np.sqrt(bend), new
        if not (step > _CLOSE).any():
            break
    bend = likelihood.slopes(at, count, size)[1] + precision
    return at, np.asarray(bend**-0.5)


def draw(
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    location: FloatArray,
    scale: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw alpha; arrays broadcast to the shape of the result.

    Parameters
    ----------
    likelihood
        Of alpha.
    count, size
        Of the groups; a size of 0 is a group of which nothing was seen.
    location, scale
        Of the population.
    rng
        Where randomness comes from.
    """
    arrays = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (count, size, location, scale))
    )
    shape = arrays[0].shape
    y, n, m, s = (part.ravel() for part in arrays)
    at, sd = mode(likelihood, y, n, m, s)

    def log_density(alpha: FloatArray, which: IntArray | slice) -> FloatArray:
        own = likelihood.log_density(alpha, y[which], n[which])
        result: FloatArray = own - 0.5 * ((alpha - m[which]) / s[which]) ** 2
        return result

    top = log_density(at, slice(None))
    ends, falls = [], []
    for side in (-1.0, 1.0):
        point = at + side * sd
        slope = likelihood.slopes(point, y, n)[0] - (point - m) / s**2
        drop = top - log_density(point, slice(None))
        fall = np.maximum(np.abs(slope), 1e-300)
        ends.append(point - side * np.minimum(drop / fall, sd))
        falls.append(fall)
    left, right = ends
    areas = np.stack([1 / falls[0], right - left, 1 / falls[1]])
    shares = np.cumsum(areas / areas.sum(axis=0), axis=0)
    result = np.empty(y.size)
    open_: IntArray = np.arange(y.size)
    while open_.size:
        u, e = rng.uniform(size=open_.size), rng.exponential(size=open_.size)
        below = u < shares[0, open_]
        above = u >= shares[1, open_]
        inside = left[open_] + (right - left)[open_] * rng.uniform(size=open_.size)
        alpha = np.where(below, left[open_] - e / falls[0][open_], inside)
        alpha = np.where(above, right[open_] + e / falls[1][open_], alpha)
        bound = top[open_] - np.where(below | above, e, 0.0)
        kept = log_density(alpha, open_) - bound >= -rng.exponential(size=open_.size)
        result[open_[kept]] = alpha[kept]
        open_ = open_[~kept]
    return result.reshape(shape)
