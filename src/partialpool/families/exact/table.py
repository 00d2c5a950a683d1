"""Tables of exact posteriors: one quantity a row, with the error of the quadrature."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from scipy import special

from partialpool.errors import InputError
from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.quadrature import Marginal
from partialpool.types import FloatArray

DEFAULT_PROBS = (0.025, 0.25, 0.5, 0.75, 0.975)

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_IQR_OF_NORMAL = 2 * special.ndtri(0.75)

Grid = TypeVar("Grid")
Contrast: TypeAlias = Callable[[int, int], NormalMixture]


class Distribution(Protocol):
    """What a row of a table is made from."""

    @property
    def mean(self) -> float:
        """Mean; infinite where it does not exist."""
        ...

    @property
    def sd(self) -> float:
        """Standard deviation; infinite where it does not exist."""
        ...

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles at `p`, shape (q,); `start` may hold first guesses."""
        ...


@dataclass(frozen=True)
class ScalePower:
    """Power of a scale whose logarithm has a known marginal density."""

    marginal: Marginal
    power: int

    @property
    def mean(self) -> float:
        """Mean, with what a power tail adds."""
        return self.marginal.scale_mean(self.power)

    @property
    def sd(self) -> float:
        """Standard deviation, with what a power tail adds."""
        return self.marginal.scale_sd(self.power)

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles of the logarithm, transformed."""
        return np.exp(self.power * self.marginal.quantile(p))


@dataclass(frozen=True)
class Share:
    """Bounded monotone function of a variable with a known marginal density.

    Attributes
    ----------
    marginal
        Density of the variable.
    function
        The function of the variable, between 0 and 1.
    increasing
        Its direction.
    """

    marginal: Marginal
    function: Callable[[FloatArray], FloatArray]
    increasing: bool

    @property
    def mean(self) -> float:
        """Mean by quadrature."""
        return self.marginal.expect(self.function(self.marginal.nodes))

    @property
    def sd(self) -> float:
        """Standard deviation by quadrature."""
        values = self.function(self.marginal.nodes)
        return float(np.sqrt(self.marginal.expect((values - self.mean) ** 2)))

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles of the variable, transformed."""
        return self.function(self.marginal.quantile(p if self.increasing else 1 - p))


@dataclass(frozen=True)
class Quantity(Generic[Grid]):
    """A reported quantity: its name, its group (empty for none), its distribution on a grid."""

    parameter: str
    group: str
    on: Callable[[Grid], Distribution]


def quantile_column(p: float) -> str:
    """Column name of a quantile: ``median``, or for example ``q2.5``."""
    return "median" if p == 0.5 else f"q{100 * p:.10g}"


def check_probs(probs: Sequence[float]) -> FloatArray:
    """Probabilities as an array, each strictly between 0 and 1.

    Raises
    ------
    InputError
        For anything else.
    """
    array = np.asarray(probs, dtype=float)
    if array.ndim != 1 or not np.all((array > 0) & (array < 1)):
        raise InputError(f"Probabilities of quantiles must lie between 0 and 1, not {probs}.")
    return array


def values(
    distribution: Distribution, probs: FloatArray, start: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """Mean, sd and quantiles as one array, and the length in which errors are expressed.

    That length is the standard deviation, or the interquartile range of the distribution over
    that of a standard normal where the standard deviation does not exist.
    """
    mean, sd = distribution.mean, distribution.sd
    unit = sd
    if not np.isfinite(sd):
        unit = float(np.diff(distribution.quantile(np.array([0.25, 0.75])))[0] / _IQR_OF_NORMAL)
    return np.concatenate([[mean, sd], distribution.quantile(probs, start)]), unit


def difference(fine: FloatArray, coarse: FloatArray) -> FloatArray:
    """Absolute differences; 0 between equal infinities."""
    with np.errstate(invalid="ignore"):
        return np.where(fine == coarse, 0.0, np.abs(fine - coarse))


def table(
    quantities: Iterable[Quantity[Grid]], coarse: Grid, fine: Grid, probs: Sequence[float]
) -> pd.DataFrame:
    """Evaluate quantities on two grids and report the finer one and how far they are apart.

    Returns
    -------
    DataFrame
        One row a quantity; columns `parameter`, `group`, `mean`, `sd`, one for each quantile,
        and `error`: the largest change of any of these from the coarse to the fine grid, in
        posterior standard deviations.
    """
    p = check_probs(probs)
    records = []
    for quantity in quantities:
        first, _ = values(quantity.on(coarse), p)
        second, unit = values(quantity.on(fine), p, first[2:])
        apart = float(difference(second, first).max())
        error = _in_units(apart, unit, float(second[0]))
        records.append((quantity.parameter, quantity.group, *second, error))
    columns = ["parameter", "group", "mean", "sd", *map(quantile_column, p), "error"]
    return pd.DataFrame.from_records(records, columns=columns)


def _in_units(apart: float, unit: float, mean: float) -> float:
    """A difference in units; of what is known for certain, both are 0 but for rounding."""
    if apart == 0 or max(apart, unit) <= _ROUNDING * abs(mean):
        return 0.0
    return apart / unit if unit else np.inf


def position(labels: Sequence[str], label: str) -> int:
    """Index of a group's label.

    Raises
    ------
    InputError
        For a label that is not there; the message lists those that are.
    """
    if label not in labels:
        shown = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
        raise InputError(f"No group is called {label!r}. The groups are {shown}.")
    return list(labels).index(label)


def _call_with(contrast: Contrast, *, i: int, j: int) -> NormalMixture:
    return contrast(i, j)


def contrast_table(
    labels: Sequence[str],
    coarse: Contrast,
    fine: Contrast,
    probs: Sequence[float],
    pairs: Iterable[tuple[str, str]] | None,
) -> pd.DataFrame:
    """Table of differences between groups.

    Parameters
    ----------
    labels
        Names of the groups.
    coarse, fine
        Give the distribution of theta_i - theta_j from i and j, at two resolutions.
    probs
        Probabilities of the quantiles.
    pairs
        Pairs of labels; all pairs by default.

    Returns
    -------
    DataFrame
        Columns `group`, `other`, `mean`, `sd`, quantiles, `error` as in `table`, and
        `prob_greater` with `prob_error`.
    """
    if pairs is None:
        at = list(itertools.combinations(range(len(labels)), 2))
    else:
        at = [(position(labels, a), position(labels, b)) for a, b in pairs]
    quantities = [Quantity(labels[i], labels[j], partial(_call_with, i=i, j=j)) for i, j in at]
    frame = table(quantities, coarse, fine, probs)
    frame = frame.rename(columns={"parameter": "group", "group": "other"})
    above = np.array([[1 - of(i, j).cdf(0.0)[0] for of in (coarse, fine)] for i, j in at])
    above = above.reshape(-1, 2)
    return frame.assign(prob_greater=above[:, 1], prob_error=np.abs(above[:, 1] - above[:, 0]))
