"""Groups whose data are the same: of very many groups of counts few differ.

What is said of a group follows from its pair of numbers, so it is worked out once a pair, and its
digits are too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from partialpool.types import FloatArray, IntArray


def distinct(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Find pairs of numbers that occur, by a look at each and without sorting them all.

    Returns
    -------
    first, second
        The pairs in ascending order, shape (K,) each.
    which
        Which of them each is, of the shape of the arguments.
    """
    codes, firsts = pd.factorize(first)
    others, seconds = pd.factorize(second)
    which, keys = pd.factorize(codes.astype(np.int64) * len(seconds) + others)
    first, second = firsts[keys // len(seconds)], seconds[keys % len(seconds)]
    order = np.lexsort((second, first))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return first[order], second[order], rank[which]


@dataclass(frozen=True)
class Alike:
    """Pairs of weight and own estimate, in ascending order of the first and then of the second.

    Attributes
    ----------
    weight, raw
        The pairs, shape (K,) each; the own estimate of a group without data is 0.
    which
        Pair of each group, shape (J,).
    """

    weight: FloatArray
    raw: FloatArray
    which: IntArray

    @classmethod
    def of(cls, weight: FloatArray, raw: FloatArray) -> Alike:
        """Find the pairs that occur."""
        return cls(*distinct(weight, np.where(weight > 0, raw, 0.0)))

    @cached_property
    def groups(self) -> IntArray:
        """How many groups have each pair, shape (K,)."""
        return np.bincount(self.which, minlength=len(self.weight))

    @cached_property
    def one(self) -> IntArray:
        """A group that has each pair, shape (K,)."""
        found = np.empty(len(self.weight), dtype=np.int64)
        found[self.which] = np.arange(len(self.which))
        return found
