"""What the exact posteriors need to know of the data: sufficient statistics by group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

from partialpool.errors import InputError
from partialpool.families.moments import GroupStats
from partialpool.priors import InverseGammaVariance, ScalePrior
from partialpool.types import FloatArray

_BELOW, _ABOVE = 45.0, 30.0


def check_statistics(stats: GroupStats) -> None:
    """Refuse statistics that no data can have.

    Raises
    ------
    InputError
        Naming the first group that is wrong.
    """
    n, mean, ss = (np.asarray(part, dtype=float) for part in (stats.n, stats.mean, stats.ss))
    if not n.shape == mean.shape == ss.shape == (len(stats.labels),) or n.size == 0:
        raise InputError(
            "Sufficient statistics need n, mean and ss as arrays of one length, one entry a "
            f"group; got {n.shape}, {mean.shape}, {ss.shape} for {len(stats.labels)} labels."
        )
    checks = (
        (~(np.isfinite(n) & (n >= 1)), n, "n must be 1 or more"),
        (~np.isfinite(mean), mean, "the mean must be finite"),
        (~(np.isfinite(ss) & (ss >= 0)), ss, "the sum of squares must be finite and not negative"),
        ((n == 1) & (ss != 0), ss, "a single value has a sum of squares of 0"),
    )
    for wrong, values, need in checks:
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InputError(f"Group {stats.labels[at]!r} has {values[at]:g}: {need}.")


def search_range(lengths: Sequence[float], upper_bound: float) -> tuple[float, float]:
    """Range of a log scale that holds all of a posterior but for a power tail.

    Parameters
    ----------
    lengths
        Lengths that the problem knows of; those that are 0 say nothing.
    upper_bound
        End of the scale's support.
    """
    known = [length for length in lengths if length > 0]
    top = math.log(max(known)) + _ABOVE
    return math.log(min(known)) - _BELOW, min(top, math.log(upper_bound))


def log_spread(z: FloatArray, spare: float, ss: float) -> FloatArray:
    """What deviations from means say of log sigma = z, but for `log_spread_constant`.

    That is -spare z - ss / (2 exp(2 z)), minus its maximum where it has one, so that a hundred
    million observations leave as many digits as ten.
    """
    if ss == 0:
        return -spare * z
    distance = z - 0.5 * math.log(ss / spare)
    return -spare * (distance + 0.5 * np.expm1(-2 * distance))


def log_spread_constant(spare: float, ss: float) -> float:
    """What `log_spread` leaves out, and the likelihood's factor of (2 pi) ** (-spare / 2)."""
    constant = -0.5 * spare * math.log(2 * math.pi)
    return constant if ss == 0 else constant - 0.5 * spare * (math.log(ss / spare) + 1)


def check_spread(ss: float, spare: float, sigma: ScalePrior, where: str) -> None:
    """Refuse an improper posterior of sigma.

    With `spare` degrees of freedom within groups and no spread there, the likelihood grows
    like ``sigma ** -spare`` as sigma goes to 0, which only an inverse-gamma prior outweighs.

    Raises
    ------
    InputError
        Saying `where` the values are equal.
    """
    if spare >= 1 and ss == 0 and not isinstance(sigma, InverseGammaVariance):
        raise InputError(
            f"All values {where}are equal, so under {sigma.describe('sigma')} the posterior "
            "of sigma is improper: check the data, or use an inverse-gamma prior."
        )


def log_student_t(
    rows: Iterable[float | FloatArray], mean: FloatArray, scale: FloatArray, nu: FloatArray
) -> FloatArray:
    """Log density of independent Student-t rows with one mean, added up; all shapes broadcast."""
    squares: FloatArray = np.zeros(1)
    unit, count = nu * scale**2, 0
    for y in rows:
        squares, count = squares + np.log1p((y - mean) ** 2 / unit), count + 1
    constant = special.gammaln(0.5 * (nu + 1)) - special.gammaln(0.5 * nu)
    constant = constant - 0.5 * np.log(nu * math.pi) - np.log(scale)
    return np.asarray(count * constant - 0.5 * (nu + 1) * squares)
