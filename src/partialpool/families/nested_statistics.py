"""Statistics of groups within groups: those of groups, and the outer group of each."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from partialpool.families.known_errors import Estimates
from partialpool.families.moments import GroupStats
from partialpool.families.nesting import Nested, Nesting
from partialpool.types import FloatArray, IntArray


@dataclass(frozen=True)
class NestedEstimates(Nested, Estimates):
    """Estimates with their standard errors, in groups within groups.

    Attributes
    ----------
    labels, estimate, se
        As of `Estimates`.
    nested_in
        The outer group of each.
    """

    labels: tuple[str, ...]
    estimate: FloatArray
    se: FloatArray
    nested_in: Nesting

    def summary(self) -> pd.DataFrame:
        """As `Estimates.summary`, with `outer_group` behind the group."""
        return _with_outer(super().summary(), self.nesting)

    def take(self, at: IntArray) -> NestedEstimates:
        """Return the estimates of some groups; all outer groups are kept."""
        labels = tuple(self.labels[j] for j in at)
        return NestedEstimates(labels, self.estimate[at], self.se[at], self.nesting.take(at))


@dataclass(frozen=True)
class NestedStats(Nested, GroupStats):
    """Sufficient statistics of observations in groups within groups.

    Attributes
    ----------
    labels, n, mean, ss
        As of `GroupStats`.
    nested_in
        The outer group of each.
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray
    nested_in: Nesting

    def summary(self) -> pd.DataFrame:
        """As `GroupStats.summary`, with `outer_group` behind the group."""
        return _with_outer(super().summary(), self.nesting)

    def take(self, at: IntArray) -> NestedStats:
        """Return the statistics of some groups; all outer groups are kept."""
        found = super().take(at)
        return NestedStats(found.labels, found.n, found.mean, found.ss, self.nesting.take(at))

    def without_row(self, j: int, value: float, weight: float = 1.0) -> NestedStats | None:
        """Return the statistics without one observation of group j; None where it has no other."""
        found = super().without_row(j, value, weight)
        if found is None:
            return None
        return NestedStats(found.labels, found.n, found.mean, found.ss, self.nesting)


def _with_outer(summary: pd.DataFrame, nesting: Nesting) -> pd.DataFrame:
    summary.insert(1, "outer_group", [nesting.labels[k] for k in nesting.index])
    return summary
