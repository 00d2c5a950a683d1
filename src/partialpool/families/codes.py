"""Values that look like codes for missing ones: -999 among hours, 9999 among prices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from partialpool.text import in_full
from partialpool.types import FloatArray

CODES = (
    *(
        sign * float(digit * length)
        for sign in (-1, 1)
        for digit in "789"
        for length in range(2, 7)
    ),
    *(-32768.0, -2147483648.0, 2147483647.0, 1e20, -1e20, 9.96920996838687e36),
)
"""Numbers that data files and programs write where a value is missing."""

_SHOWN = 3


def missing_value_codes(values: FloatArray) -> list[str]:
    """Note codes that lie further outside all other values than these reach.

    Parameters
    ----------
    values
        All values, finite.
    """
    if not len(values) or not ({float(values.min()), float(values.max())} & set(CODES)):
        return []
    found, counts = np.unique(values[np.isin(values, CODES)], return_counts=True)
    others = values[~np.isin(values, CODES)]
    if not len(others):
        return []
    times = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return describe(times, float(others.min()), float(others.max()))


def describe(times: Mapping[float, int], low: float, high: float) -> list[str]:
    """Say which codes lie far outside the other values, and how often each occurs.

    Parameters
    ----------
    times
        Each code to how often it occurs.
    low, high
        Smallest and largest of the other values.
    """
    far = {code: n for code, n in times.items() if max(low - code, code - high) > high - low}
    if not far:
        return []
    shown = " and ".join(
        f"{in_full(code)} ({n:,} {'time' if n == 1 else 'times'})"
        for code, n in sorted(far.items())[:_SHOWN]
    )
    verb = "lies" if len(far) == 1 else "lie"
    return [
        f"{shown} {verb} far outside all other values, {in_full(low)} to {in_full(high)}: where "
        "that means a missing value, write NA and add --drop-missing"
    ]
