"""A log likelihood of location and scale, put together once and looked up from then on.

To add up an integral for each distinct pair of count and size takes long where these are many. But
the sum is a smooth function of the two: counted from where the groups' own estimates put the
location, in units of its standard error, it is nearly a parabola. So it is interpolated between
Chebyshev points in both directions (Trefethen 2013, *Approximation Theory and Approximation
Practice*, chapters 3 and 8), and whether that is right is tried at points in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from partialpool.types import FloatArray

LogLikelihood: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

REACH = 13.0
"""How far from the middle the surface reaches, in standard errors of the location."""

_SIZES = ((48, 32), (72, 48), (96, 64))
_CLOSE, _BELOW, _TRIED = 3e-9, 55.0, 300
_FLOOR = 0.3
_SEARCHED, _FAR_BELOW = 80, 150.0  # scales, and how much less likely those are that are left out
_BLOCK = 10_000


@dataclass(frozen=True)
class Surface:
    """The interpolated function.

    Attributes
    ----------
    floor, ends
        The scale is counted as the log of its square and `floor`, which lies between the ends.
    middle, log_unit
        Chebyshev coefficients of where the location is counted from, and of the log of the unit,
        as functions of the scale, shape (scales,).
    values
        Chebyshev coefficients of the function, shape (scales, locations).
    """

    floor: float
    ends: tuple[float, float]
    middle: FloatArray
    log_unit: FloatArray
    values: FloatArray

    def __call__(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        """Values at points, shape (points,); beyond the surface, a parabola that falls from it.

        Scales beyond its ends, where nothing is left, have the values there.
        """
        result = np.empty(len(location))
        low, high = self.ends
        for start in range(0, len(location), _BLOCK):
            part = slice(start, start + _BLOCK)
            u = 2 * (np.log(scale[part] ** 2 + self.floor) - low) / (high - low) - 1
            of_scale = _polynomials(np.clip(u, -1, 1), len(self.values))
            unit = REACH * np.exp(self.log_unit @ of_scale)
            v = (location[part] - self.middle @ of_scale) / unit
            near = np.clip(v, -1, 1)
            rows = self.values.T @ of_scale
            result[part] = (rows * _polynomials(near, len(rows))).sum(axis=0)
            result[part] -= 0.5 * REACH**2 * (v**2 - near**2)
        return result


def surface(
    log_likelihood: LogLikelihood,
    log_prior: LogLikelihood,
    normals: tuple[FloatArray, FloatArray, FloatArray],
    log_scale: tuple[float, float],
) -> Surface | None:
    """Interpolate a log likelihood; None where that does not give it to nine digits.

    Nor is there a surface where the prior leaves some of the posterior beyond its edges.

    Parameters
    ----------
    log_likelihood
        Of location and scale, shape (points,) each.
    log_prior
        Of location and log scale, at the same.
    normals
        Center and variance of each pair's likelihood, as if it were normal, and how many groups
        have it, shape (K,) each.
    log_scale
        Ends of the log of the scale.
    """
    center, variance, groups = normals
    floor = _FLOOR * float(variance.min())
    ends = np.log(np.exp(2 * np.array(log_scale)) + floor)

    def about(scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        weight = groups / (variance + scale[:, None] ** 2)
        total = weight.sum(axis=1)
        return weight @ center / total, -0.5 * np.log(total)

    searched = np.linspace(ends[0], ends[1], _SEARCHED)
    scale = np.sqrt(np.maximum(np.exp(searched) - floor, np.exp(2 * log_scale[0])))
    ridge = log_likelihood(about(scale)[0], scale)
    near = np.flatnonzero(ridge > ridge.max() - _FAR_BELOW)
    low = float(searched[max(near[0] - 1, 0)])
    high = float(searched[min(near[-1] + 1, _SEARCHED - 1)])
    for sizes in _SIZES:
        u, v = (_points(size) for size in sizes)
        square = np.exp(low + 0.5 * (high - low) * (1 + u)) - floor
        scale = np.sqrt(np.maximum(square, np.exp(2 * log_scale[0])))
        middle, log_unit = about(scale)
        location = middle[:, None] + REACH * np.exp(log_unit)[:, None] * v
        at = np.repeat(scale, len(v))
        values = log_likelihood(location.ravel(), at).reshape(sizes)
        whole = values + log_prior(location.ravel(), at).reshape(sizes)
        edges = [whole[:, 0], whole[:, -1]]  # locations beyond; then scales
        if high < ends[1]:
            edges.append(whole[0])
        if low > ends[0]:
            edges.append(whole[-1])
        if max(float(edge.max()) for edge in edges) > whole.max() - _BELOW:
            return None
        found = Surface(
            floor,
            (low, high),
            _coefficients(middle),
            _coefficients(log_unit),
            _coefficients(_coefficients(values).T).T,
        )
        if _is_right(found, log_likelihood, float(values.max())):
            return found
    return None


def _is_right(found: Surface, log_likelihood: LogLikelihood, most: float) -> bool:
    """Whether points in between have the values of the function, the more so the higher."""
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-1, 1, (2, _TRIED))
    v[::2] *= 0.4  # where nearly all of the probability lies
    low, high = found.ends
    scale = np.sqrt(np.exp(low + 0.5 * (high - low) * (1 + u)) - found.floor)
    of_scale = _polynomials(u, len(found.values))
    location = found.middle @ of_scale + v * REACH * np.exp(found.log_unit @ of_scale)
    truth = log_likelihood(location, scale)
    apart = np.abs(found(location, scale) - truth)
    return bool((apart <= _CLOSE * np.maximum(1.0, (most - truth) / 10)).all())


def _points(size: int) -> FloatArray:
    """Chebyshev points of the first kind, from 1 down to -1."""
    return np.asarray(np.cos(np.pi * (np.arange(size) + 0.5) / size))


def _coefficients(values: FloatArray) -> FloatArray:
    """Chebyshev coefficients along the first axis, from values at the points."""
    size = len(values)
    cosines = np.cos(np.pi * np.outer(np.arange(size), np.arange(size) + 0.5) / size)
    cosines[0] *= 0.5
    return np.asarray(2 / size * cosines @ values)


def _polynomials(t: FloatArray, size: int) -> FloatArray:
    """Chebyshev polynomials at points, shape (size, points)."""
    result = np.empty((size, len(t)))
    result[0], result[1] = 1.0, t
    twice = 2 * t
    for k in range(2, size):
        np.multiply(twice, result[k - 1], out=result[k])
        result[k] -= result[k - 2]
    return result
