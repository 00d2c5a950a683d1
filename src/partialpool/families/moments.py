"""Sufficient statistics of observations in groups: size, mean and sum of squares of each.

Groups of one size share the variance of their sample means, so the likelihood of (mu, tau, sigma)
needs only `SizeClasses`; statistics of parts of the data combine into those of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.errors import InputError
from partialpool.families.base import Statistics
from partialpool.families.order import order_of_labels
from partialpool.types import FloatArray, IntArray

_BLUR = 1e-3
_WHOLE = 2.0**53


@dataclass(frozen=True)
class GroupStats(Statistics):
    """Sufficient statistics of grouped data under normal likelihoods.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    n
        Observations by group, shape (J,).
    mean
        Mean by group, in the unit of the data, shape (J,).
    ss
        Sum of squared deviations from the group's own mean, unit squared, shape (J,).
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray

    error_sd = "sigma"

    @property
    def N(self) -> int:
        """Number of observations."""
        return int(self.n.sum())

    @property
    def grand_mean(self) -> float:
        """Mean of all observations."""
        origin = self.mean[0]
        return float(origin + np.average(self.mean - origin, weights=self.weight))

    @property
    def total_ss(self) -> float:
        """Sum of squared deviations of all observations from the grand mean."""
        return float(self.ss.sum() + (self.weight * (self.mean - self.grand_mean) ** 2).sum())

    @property
    def total_sd(self) -> float:
        """Sample sd of all observations, groups ignored (divisor N - 1); 0 for one observation."""
        return math.sqrt(self.total_ss / (self.N - 1)) if self.N > 1 else 0.0

    @property
    def log_weights(self) -> FloatArray:
        """Sum of the logarithms of the observations' weights by group, shape (J,)."""
        return np.zeros(self.J)

    @property
    def within_sd(self) -> float:
        """Pooled sd within groups (divisor N - J); NaN where no group has two observations."""
        spare = self.N - self.J
        return math.sqrt(self.ss.sum() / spare) if spare > 0 else math.nan

    @property
    def counts(self) -> IntArray:
        """Numbers of observations."""
        return self.n

    @property
    def raw(self) -> FloatArray:
        """Sample means."""
        return self.mean

    @property
    def raw_se(self) -> FloatArray:
        """Standard errors of the sample means by the pooled sd within groups, shape (J,)."""
        return np.asarray(self.within_sd / np.sqrt(self.weight))

    @property
    def weight(self) -> FloatArray:
        """Numbers of observations."""
        return self.n.astype(np.float64)

    @property
    def sizes(self) -> Mapping[str, IntArray]:
        """Numbers of observations."""
        return {"n": self.n}

    def summary(self) -> pd.DataFrame:
        """Describe each group.

        Returns
        -------
        DataFrame
            One row a group: `group` (label), `n`, `mean`, `sd` (sample sd, divisor n - 1; NaN
            where n is 1), all but n in the unit of the data.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(self.ss / np.where(self.n > 1, self.n - 1, np.nan))
        return pd.DataFrame({"group": list(self.labels), "n": self.n, "mean": self.mean, "sd": sd})

    def take(self, at: IntArray) -> GroupStats:
        """Return the statistics of some groups."""
        labels = tuple(self.labels[j] for j in at)
        return GroupStats(labels, self.n[at], self.mean[at], self.ss[at])

    def without_row(self, j: int, value: float, weight: float = 1.0) -> GroupStats | None:
        """Return the statistics without one observation of group j; None where it has no other."""
        n, off = int(self.n[j]), value - float(self.mean[j])
        if n < 2:
            return None
        counts, mean, ss = self.n.copy(), self.mean.copy(), self.ss.copy()
        counts[j] -= 1
        mean[j] -= off / (n - 1)
        ss[j] = max(0.0, float(ss[j]) - off**2 * n / (n - 1))
        return GroupStats(self.labels, counts, mean, ss)


def group_stats(y: FloatArray, group: IntArray, labels: Sequence[str]) -> GroupStats:
    """Reduce observations to sufficient statistics, without loss on a large offset.

    The sums are taken about each group's first observation and corrected once about the mean
    found (the corrected two-pass algorithm of Chan, Golub and LeVeque 1983).

    Parameters
    ----------
    y
        Outcomes, shape (N,).
    group
        Group index of each outcome, from 0 to J - 1, shape (N,).
    labels
        Names of the J groups; each must occur in `group`.
    """
    J = len(labels)
    n = np.bincount(group, minlength=J)
    origin = np.empty(J)
    origin[group[::-1]] = y[::-1]
    centered = y - origin[group]
    shift = np.bincount(group, weights=centered, minlength=J) / n
    deviations = centered - shift[group]
    residual = np.bincount(group, weights=deviations, minlength=J)
    ss = np.bincount(group, weights=deviations**2, minlength=J) - residual**2 / n
    return GroupStats(
        labels=tuple(labels),
        n=n.astype(np.int64),
        mean=origin + shift + residual / n,
        ss=np.maximum(ss, 0.0),
    )


@dataclass(frozen=True)
class SizeClasses:
    """Sufficient statistics of (mu, tau, sigma): groups of one size taken together.

    Attributes
    ----------
    n
        Distinct group sizes, ascending, shape (K,).
    groups
        Number of groups of each size, shape (K,).
    mean
        Mean of these groups' sample means, in the unit of the data, shape (K,).
    ss
        Sum of squared deviations of these sample means from that mean, unit squared, shape (K,).
    ss_within
        Sum of squared deviations of all observations from their group's mean, unit squared.
    """

    n: NDArray[Any]
    groups: IntArray
    mean: FloatArray
    ss: FloatArray
    ss_within: float

    @property
    def K(self) -> int:
        """Number of distinct sizes."""
        return len(self.n)


def size_classes(stats: GroupStats, sizes: NDArray[Any] | None = None) -> SizeClasses:
    """Take groups of one size together, or of one total weight where these are given as `sizes`.

    The sample mean of a group of n is normal(mu, sqrt(tau^2 + sigma^2 / n)) once its own mean
    is integrated out, so groups of one n are a sample from one normal distribution (Gelman et
    al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.4).
    """
    n, which, groups = np.unique(
        stats.n if sizes is None else sizes, return_inverse=True, return_counts=True
    )
    origin = stats.mean[0]
    centered = stats.mean - origin
    center = np.bincount(which, centered) / groups
    ss: FloatArray = np.bincount(which, (centered - center[which]) ** 2).astype(np.float64)
    return SizeClasses(
        n=n,
        groups=groups.astype(np.int64),
        mean=origin + center,
        ss=ss,
        ss_within=float(stats.ss.sum()),
    )


def combine(parts: Sequence[GroupStats]) -> GroupStats:
    """Combine statistics of parts of the data, in which a group may occur several times.

    The sums of squares are updated as by Chan, Golub and LeVeque (1983, *The American
    Statistician* 37, 242-247), about the mean that comes first, which keeps the digits of data
    with a large offset.

    Parameters
    ----------
    parts
        At least one; the labels of the result are in the order in which they first occur.
    """
    labels = list(dict.fromkeys(label for part in parts for label in part.labels))
    index = {label: j for j, label in enumerate(labels)}
    which = np.array([index[label] for part in parts for label in part.labels], dtype=np.int64)
    n = np.concatenate([part.n for part in parts])
    mean = np.concatenate([part.mean for part in parts])
    ss = np.concatenate([part.ss for part in parts])
    J = len(labels)
    total = np.bincount(which, n, minlength=J)
    origin = np.empty(J)
    origin[which[::-1]] = mean[::-1]
    centered = mean - origin[which]
    shift = np.bincount(which, n * centered, minlength=J) / total
    between = np.bincount(which, n * (centered - shift[which]) ** 2, minlength=J)
    return GroupStats(
        labels=tuple(labels),
        n=total.astype(np.int64),
        mean=origin + shift,
        ss=(np.bincount(which, ss, minlength=J) + between).astype(np.float64),
    )


def ordered(stats: GroupStats) -> GroupStats:
    """Put groups in the order of a data file: by number where every label is one."""
    labels = order_of_labels(stats.labels)
    if labels == list(stats.labels):
        return stats
    index = {label: j for j, label in enumerate(stats.labels)}
    at = np.array([index[label] for label in labels])
    return GroupStats(tuple(labels), stats.n[at], stats.mean[at], stats.ss[at])


def lost_digits(stats: GroupStats) -> list[str]:
    """Note values so large against their spread that doubles, which have 16 digits, blur it."""
    largest, sd = float(np.abs(stats.mean).max()), stats.total_sd
    step = float(np.spacing(largest))
    if step <= _BLUR * sd or (sd == 0 and largest < _WHOLE):
        return []
    of = f"an sd of {sd:.2g}" if sd > 0 else "what they differ by"
    return [
        f"values near {largest:.3g} are held to steps of {step:.2g}, which blurs {of}: subtract a "
        "constant from all values in the file first"
    ]


def check_overflow(stats: GroupStats, where: str) -> None:
    """Refuse values whose squares overflow.

    Raises
    ------
    InputError
        Naming the group whose mean is largest.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float((stats.ss + stats.n * stats.mean**2).sum())
        spread = float(np.square(np.ptp(stats.mean)) * stats.N)
    if not (math.isfinite(squares) and math.isfinite(spread)):
        worst = int(np.argmax(np.abs(stats.mean)))
        raise InputError(
            f"{where}: the squares of the values overflow (group {stats.labels[worst]!r} has mean "
            f"{stats.mean[worst]:g}); divide the outcome by a suitable unit first"
        )


def of_observations(stats: Statistics) -> GroupStats:
    """Return statistics of observations as such.

    Raises
    ------
    InputError
        They are of data of another family.
    """
    if not isinstance(stats, GroupStats):
        raise InputError("this takes groups of observations, and these data are estimates")
    return stats
