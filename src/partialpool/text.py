"""Numbers as text, with the digits that their Monte Carlo error supports and no more."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as files and labels spell it."""

POSITIVE = ("tau", "tau2", "sigma", "sigma2", "sigma0", "nu0", "nu", "h2", "size", "scale")
"""Quantities above 0 for certain."""

SHARES = ("icc", "i2", "p_best")
"""Quantities between 0 and 1 for certain."""

_WITHOUT_ERROR = 4
_PLAIN = (1e-4, 1e7)
_PLAIN_TO_THE_POINT = 1e15
_MOST = 15


def digits(value: float, mcse: float) -> int:
    """Count the decimals of a value that its Monte Carlo error supports.

    The unit of the last digit is the power of ten nearest to the error on the log scale, so that
    the error lies between 0.32 and 3.2 of these units.

    Parameters
    ----------
    value
        The estimate, in any unit.
    mcse
        Its Monte Carlo standard error, in the same unit. Where there is none (zero, NaN,
        infinite), four significant digits are taken as supported.

    Returns
    -------
    int
        Decimals, as `round` takes them: 2 keeps hundredths, -1 keeps tens.
    """
    if math.isfinite(mcse) and mcse > 0:
        decimals = -round(math.log10(mcse))
    elif math.isfinite(value) and value != 0:
        decimals = _WITHOUT_ERROR - 1 - math.floor(math.log10(abs(value)))
    else:
        decimals = 0
    return decimals


def format_estimate(value: float, mcse: float, *, of: str = "") -> str:
    """Write an estimate with the digits that its Monte Carlo error supports.

    Parameters
    ----------
    value
        The estimate, in any unit.
    mcse
        Its Monte Carlo standard error, in the same unit; see `digits`.
    of
        Name of what is estimated: one of `POSITIVE` is not rounded to 0, one of `SHARES` neither to
        0 nor to 1.

    Returns
    -------
    str
        Decimal notation, or scientific where that would take many zeros (below 0.0001, or from
        10,000,000 on where digits before the point are not supported); `NaN`, `inf` or `-inf` for
        what is no finite number.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else str(value)
    decimals = digits(value, mcse)
    distances = (value, 1 - value) if of in SHARES else (value,) if of in POSITIVE else ()
    for rest in distances:
        if 0 < rest <= 0.5 * 10.0**-decimals:
            decimals = -math.floor(math.log10(rest))
    unit = 10.0**-decimals
    size = max(abs(value), unit)
    most = _PLAIN[1] if decimals < 0 else _PLAIN_TO_THE_POINT
    if value != 0 and not _PLAIN[0] <= size < most:
        significant = max(0, math.floor(math.log10(abs(value))) + decimals)
        return f"{value:.{min(significant, _MOST)}e}"
    rounded = round(value, min(decimals, _MOST)) + 0.0
    return f"{rounded:.{min(max(decimals, 0), _MOST)}f}"


def short(value: float) -> str:
    """Write a number with two significant digits, from 100 on all before the point.

    It is for errors and spreads: 0.010, 12, 250.
    """
    rounded = float(f"{value:.1e}") if abs(value) < 100 else value
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not _PLAIN[0] <= abs(rounded) < _PLAIN[1]:
        return f"{value:.1e}"
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def in_full(value: float) -> str:
    """Write a number that is known, with all its digits and no more: 1000000000.03, 0.1, 1e-05."""
    return f"{value:.15g}"


def beside(value: float, spread: float, *, least: int = 4) -> str:
    """Write a number with as many digits as it takes to tell it from others, `least` or more.

    Parameters
    ----------
    value
        The number.
    spread
        By how much such numbers differ, of which two digits are shown.
    least
        Significant digits where that takes no more.
    """
    needed = least
    if value != 0 and spread > 0 and math.isfinite(value) and math.isfinite(spread):
        needed = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread)) + 2
    return f"{value:.{min(max(needed, least), _MOST)}g}"


def share(value: float) -> str:
    """Write a share with two decimals; one that is not 0 or 1 is not rounded to either."""
    if 0 < value < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 < value < 1 else f"{value:.2f}"


def of_data(value: float, spread: float, *, error: bool = False) -> str:
    """Write a sample statistic with three digits of the spread of all data.

    All statistics of one data set have the same decimals then. A standard `error` or an sd has
    three digits of its own where these are more.
    """
    if not (math.isfinite(value) and math.isfinite(spread) and spread > 0):
        return format_estimate(value, math.nan)
    unit = 10.0 ** (math.floor(math.log10(spread)) - 2)
    if error and value > 0:
        unit = min(unit, 10.0 ** (math.floor(math.log10(value)) - 2))
    return format_estimate(value, unit)


def counted(count: int, several: str) -> str:
    """Count things, whose name in the plural ends in s: "1 fit", "3 fits"."""
    return f"{count:,} {several if count != 1 else several.removesuffix('s')}"


def safe(name: str) -> str:
    """Turn a name into one that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"
