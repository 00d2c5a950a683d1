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
_CLOSE = 1e-3


def mode(
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    location: FloatArray,
    scale: FloatArray,
    start: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Mode of alpha given counts and population, and its sd by the curvature there, (k,) each.

    By Newton's method, whose last step is so short that what is left is about the square of it.
    """
    at, precision = start.copy(), scale**-2
    sd = np.empty(at.size)
    low, high = np.full(at.size, -np.inf), np.full(at.size, np.inf)
    open_: IntArray = np.arange(at.size)
    for _ in range(_STEPS):
        old = at[open_]
        slope, bend = likelihood.slopes(old, count[open_], size[open_])
        slope = slope - (old - location[open_]) * precision[open_]
        bend = bend + precision[open_]
        rises = slope > 0
        low[open_[rises]], high[open_[~rises]] = old[rises], old[~rises]
        new, left, right = old + slope / bend, low[open_], high[open_]
        outside = (new <= left) | (new >= right)
        if outside.any():
            both = outside & np.isfinite(left) & np.isfinite(right)
            new[both] = 0.5 * (left + right)[both]
        sd[open_], at[open_] = bend**-0.5, new
        open_ = open_[np.abs(new - old) > _CLOSE * sd[open_]]
        if not open_.size:
            break
    return at, sd


def near_mode(
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    location: FloatArray,
    scale: FloatArray,
) -> FloatArray:
    """Where the mode of alpha were, if the likelihood were normal; arrays broadcast."""
    center, variance = likelihood.about(count, np.where(size > 0, size, 1.0))
    share = np.where(size > 0, scale**2 / (scale**2 + variance), 0.0)
    return np.asarray(location + share * (center - location))


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
    count, size, location, scale = (
        np.asarray(part, dtype=np.float64) for part in (count, size, location, scale)
    )
    start = near_mode(likelihood, count, size, location, scale)
    shape = start.shape
    y, n, m, s = (np.broadcast_to(part, shape).ravel() for part in (count, size, location, scale))
    at, sd = mode(likelihood, y, n, m, s, start.ravel())

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
    width = right - left
    tails = 1 / falls[0], 1 / falls[1]
    whole = tails[0] + width + tails[1]
    shares = tails[0] / whole, 1 - tails[1] / whole
    result = np.empty(y.size)
    open_: IntArray = np.arange(y.size)
    while open_.size:
        u, e = rng.uniform(size=open_.size), rng.exponential(size=open_.size)
        below = u < shares[0][open_]
        above = u >= shares[1][open_]
        inside = left[open_] + width[open_] * rng.uniform(size=open_.size)
        alpha = np.where(below, left[open_] - e * tails[0][open_], inside)
        alpha = np.where(above, right[open_] + e * tails[1][open_], alpha)
        bound = top[open_] - np.where(below | above, e, 0.0)
        kept = log_density(alpha, open_) - bound >= -rng.exponential(size=open_.size)
        result[open_[kept]] = alpha[kept]
        open_ = open_[~kept]
    return result.reshape(shape)
