"""Events in an exposure by group: all that a rate's likelihood needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import special

from partialpool.errors import InputError
from partialpool.families.conjugate import GAMMA, Kind
from partialpool.families.counts import CountStatistics
from partialpool.families.order import places
from partialpool.types import FloatArray, IntArray

MOST_EVENTS = 10**9
"""Most events of one group."""


@dataclass(frozen=True)
class Rates(CountStatistics):
    """Events and exposure of each group.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    events
        Whole numbers, shape (J,).
    exposure
        For how long, or of how much, they were counted, shape (J,); it may be 0 without an event.
    """

    labels: tuple[str, ...]
    events: IntArray
    exposure: FloatArray

    error_sd = "sigma"
    kind: ClassVar[Kind | None] = GAMMA

    @cached_property
    def raw(self) -> FloatArray:
        """Events over exposure; NaN without exposure."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.events / self.exposure)

    @cached_property
    def raw_se(self) -> FloatArray:
        """Root of the rate of all groups together over the exposure; NaN without exposure.

        It is the same rate for all groups, so that it measures how little data a group has, and a
        group without an event has an error too.
        """
        with np.errstate(divide="ignore"):
            variance = self.typical / self.exposure
        return np.sqrt(np.where(self.exposure > 0, variance, np.nan))

    @property
    def weight(self) -> FloatArray:
        """Exposure."""
        return self.exposure

    @property
    def sizes(self) -> Mapping[str, FloatArray]:
        """Exposure, the more the more is known."""
        return {"exposure": self.exposure}

    @property
    def grand_mean(self) -> float:
        """Events in one unit of exposure, of all groups together."""
        return float(self.events.sum() / self.exposure.sum())

    def intervals(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends of the exact interval of each rate, shape (J,) each; NaN without exposure."""
        return exact_interval(self.events, self.exposure, level=level)

    @property
    def typical(self) -> float:
        """The same, kept off 0 by half an event."""
        return float((self.events.sum() + 0.5) / self.exposure.sum())

    @property
    def total_sd(self) -> float:
        """Root of the mean squared error plus the variance of the raw rates."""
        seen = self.exposure > 0
        spread = float(np.var(self.raw[seen], ddof=1)) if seen.sum() > 1 else 0.0
        return math.sqrt(float((self.raw_se[seen] ** 2).mean()) + spread)

    def summary(self) -> pd.DataFrame:
        """Describe each group.

        Returns
        -------
        DataFrame
            One row a group: `group` (label), `events`, `exposure`, `rate`, and `q2.5`, `q97.5`: the
            ends of the exact 95 % interval (Garwood 1936, *Biometrika* 28, 437-442); NaN without
            exposure.
        """
        low, high = exact_interval(self.events, self.exposure)
        return pd.DataFrame(
            {
                "group": list(self.labels),
                "events": self.events,
                "exposure": self.exposure,
                "rate": self.raw,
                "q2.5": low,
                "q97.5": high,
            }
        )

    def take(self, at: IntArray) -> Rates:
        """Return the statistics of some groups."""
        labels = tuple(self.labels[j] for j in at)
        return replace(self, labels=labels, events=self.events[at], exposure=self.exposure[at])


def exact_interval(
    events: IntArray, exposure: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Ends of Garwood's interval of each rate; NaN without exposure."""
    p = 0.5 * (1 - level)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(events > 0, special.gammaincinv(np.maximum(events, 1), p), 0.0) / exposure
        high = special.gammaincinv(events + 1, 1 - p) / exposure
    seen = exposure > 0
    return np.where(seen, low, np.nan), np.where(seen, high, np.nan)


def rates(
    labels: Sequence[str], events: FloatArray, exposure: FloatArray, *, where: str = "data"
) -> Rates:
    """Check counts, add up those of one group, and put the groups in order.

    Parameters
    ----------
    labels
        Group of each row; a group may have several.
    events
        Whole numbers of 0 or more, shape (rows,).
    exposure
        Finite numbers of 0 or more, above 0 where there are events, shape (rows,).
    where
        What messages call the data.

    Raises
    ------
    InputError
        No group, no exposure at all, counts that are not whole, or numbers below 0; with the group.
    """
    events, exposure = (np.asarray(part, dtype=np.float64) for part in (events, exposure))
    if len(labels) == 0:
        raise InputError(f"{where}: there are no groups; at least one is needed")
    check_rows(labels, events, exposure, where=where)
    order, at = places(labels)
    counted = np.bincount(at, events, len(order)).round().astype(np.int64)
    seen = np.bincount(at, exposure, len(order)).astype(np.float64)
    if not seen.any():
        raise InputError(f"{where}: no group has an exposure, so there is nothing to learn from")
    return Rates(tuple(order), counted, seen)


def check_rows(
    labels: Sequence[str], events: FloatArray, exposure: FloatArray, *, where: str
) -> None:
    """Refuse counts that are not whole, numbers below 0, and events in an exposure of 0.

    Raises
    ------
    InputError
        With the group.
    """
    rules = (
        (events != np.round(events), events, "events are whole numbers"),
        (events < 0, events, "a count of events is 0 or more"),
        (~(exposure >= 0), exposure, "an exposure is 0 or more"),
        ((events > 0) & (exposure == 0), events, "there cannot be events in an exposure of 0"),
        (events > MOST_EVENTS, events, f"{MOST_EVENTS:,} events are the most that are read"),
    )
    for wrong, values, need in rules:
        if wrong.any():
            at = int(np.argmax(wrong))
            what = "exposure" if values is exposure else "count"
            raise InputError(
                f"{where}: the {what} of group {labels[at]!r} is {values[at]:g}, and {need}"
            )
