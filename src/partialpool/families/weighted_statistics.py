"""Sufficient statistics of observations with weights: what each group's weights add up to.

An observation of weight w is normal around its group's mean with variance sigma^2 / w (Gelman et
al., *Bayesian Data Analysis*, 3rd ed., 2013, section 14.7). With W the sum of a group's weights,
its weighted mean ybar has variance sigma^2 / W, and the weighted sum of squares about ybar has as
many degrees of freedom as observations less one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.families.moments import GroupStats
from partialpool.types import FloatArray, IntArray


def _none() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True)
class WeightedStats(GroupStats):
    """Sufficient statistics of grouped data whose observations have weights.

    Attributes
    ----------
    labels, n
        As of `GroupStats`.
    mean
        Weighted mean by group, in the unit of the data, shape (J,).
    ss
        Weighted sum of squared deviations from it, unit squared, shape (J,).
    total
        Sum of the weights by group, shape (J,).
    logs
        Sum of their logarithms by group, shape (J,).
    by_row
        Weight of each observation in the order of the rows, shape (N,); empty where these are not
        at hand.
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray
    total: FloatArray
    logs: FloatArray
    by_row: FloatArray = field(default_factory=_none)

    apart: ClassVar[tuple[str, ...]] = ("labels", "by_row")

    @property
    def weight(self) -> FloatArray:
        """Sums of the weights."""
        return self.total

    @property
    def log_weights(self) -> FloatArray:
        """Sums of the logarithms of the weights."""
        return self.logs

    @property
    def row_weights(self) -> FloatArray:
        """Weight of each observation."""
        return self.by_row

    @property
    def unit_sd(self) -> float:
        """The same of one that has weight 1; 0 for one observation."""
        return math.sqrt(self.total_ss / (self.N - 1)) if self.N > 1 else 0.0

    @property
    def total_sd(self) -> float:
        """Sample sd of all observations, groups ignored, of one that has the mean weight."""
        return self.unit_sd * math.sqrt(self.N / float(self.total.sum()))

    @property
    def sizes(self) -> Mapping[str, NDArray[Any]]:
        """Sums of the weights, and numbers of observations."""
        return {"weight": self.total, "n": self.n}

    def summary(self) -> pd.DataFrame:
        """Describe each group: as `GroupStats.summary`, with `weight`, the sum of its weights.

        `mean` is weighted, and `sd` that of an observation of weight 1.
        """
        found = super().summary()
        found.insert(2, "weight", self.total)
        return found

    def take(self, at: IntArray) -> WeightedStats:
        """Return the statistics of some groups; of all, in another order, rows keep weights."""
        whole = len(at) == self.J and len(set(at.tolist())) == self.J
        columns = {name: column[at] for name, column in self.columns.items()}
        rows = self.by_row if whole else _none()
        return WeightedStats(tuple(self.labels[j] for j in at), **columns, by_row=rows)

    def without_row(self, j: int, value: float, weight: float = 1.0) -> WeightedStats | None:
        """Return the statistics without one observation of group j; None where it has no other."""
        if self.n[j] < 2:
            return None
        n, mean, ss, total, logs = (column.copy() for column in self.columns.values())
        off, left = value - float(mean[j]), float(total[j]) - weight
        if left <= 0:  # what is left weighs nothing beside it
            return None
        n[j] -= 1
        ss[j] = max(0.0, float(ss[j]) - weight * off**2 * float(total[j]) / left)
        ss[j] = 0.0 if n[j] == 1 else ss[j]
        mean[j] -= weight * off / left
        total[j], logs[j] = left, logs[j] - math.log(weight)
        return WeightedStats(self.labels, n, mean, ss, total, logs)


def weighted_stats(
    y: FloatArray, weight: FloatArray, group: IntArray, labels: Sequence[str]
) -> WeightedStats:
    """Reduce observations with weights to sufficient statistics.

    As `partialpool.families.moments.group_stats`, without loss on a large offset.

    Parameters
    ----------
    y, weight
        Outcomes and their weights, which are above 0, shape (N,).
    group
        Group index of each outcome, from 0 to J - 1, shape (N,).
    labels
        Names of the J groups; each must occur in `group`.
    """
    J = len(labels)
    n = np.bincount(group, minlength=J)
    total: FloatArray = np.bincount(group, weights=weight, minlength=J).astype(np.float64)
    logs = np.bincount(group, weights=np.log(weight), minlength=J).astype(np.float64)
    origin = np.empty(J)
    origin[group[::-1]] = y[::-1]
    centered = y - origin[group]
    shift = np.bincount(group, weights=weight * centered, minlength=J) / total
    deviations = centered - shift[group]
    residual = np.bincount(group, weights=weight * deviations, minlength=J)
    squares = np.bincount(group, weights=weight * deviations**2, minlength=J)
    ss = np.where(n > 1, np.maximum(squares - residual**2 / total, 0.0), 0.0)
    return WeightedStats(
        labels=tuple(labels),
        n=n.astype(np.int64),
        mean=origin + shift + residual / total,
        ss=ss,
        total=total,
        logs=logs,
        by_row=weight,
    )
