"""Numbers as text, with the digits that their Monte Carlo error supports and no more."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as files and labels spell it."""

_WITHOUT_ERROR = 4
_PLAIN = (1e-4, 1e7)
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


def format_estimate(value: float, mcse: float) -> str:
    """Write an estimate with the digits that its Monte Carlo error supports.

    Parameters
    ----------
    value
        The estimate, in any unit.
    mcse
        Its Monte Carlo standard error, in the same unit; see `digits`.

    Returns
    -------
    str
        Decimal notation, or scientific where that would take many zeros (below 0.0001 or from
        10,000,000 on); `NaN`, `inf` or `-inf` for what is no finite number.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else str(value)
    decimals = digits(value, mcse)
    unit = 10.0**-decimals
    size = max(abs(value), unit)
    if value != 0 and not _PLAIN[0] <= size < _PLAIN[1]:
        significant = max(0, math.floor(math.log10(abs(value))) + decimals)
        return f"{value:.{min(significant, _MOST)}e}"
    rounded = round(value, min(decimals, _MOST)) + 0.0
    return f"{rounded:.{min(max(decimals, 0), _MOST)}f}"


def short(value: float) -> str:
    """Write a number with two significant digits, for errors and spreads."""
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def safe(name: str) -> str:
    """Turn a name into one that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"
