"""Successes of trials by group: all that a proportion's likelihood needs."""

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
from partialpool.families.alike import Alike
from partialpool.families.conjugate import BETA, Kind
from partialpool.families.counts import CountStatistics
from partialpool.families.order import places
from partialpool.types import FloatArray, IntArray

MOST_TRIALS = 10**9
"""Most trials of one group."""


@dataclass(frozen=True)
class Proportions(CountStatistics):
    """Successes and trials of each group.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    successes, trials
        Whole numbers, shape (J,); a group may have no trial.
    """

    labels: tuple[str, ...]
    successes: IntArray
    trials: IntArray

    error_sd = "sigma"
    kind: ClassVar[Kind | None] = BETA

    @cached_property
    def raw(self) -> FloatArray:
        """Successes over trials; NaN without a trial."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.successes / self.trials)

    @cached_property
    def raw_se(self) -> FloatArray:
        """Root of p (1 - p) / n, where p is the proportion of all trials; NaN without a trial.

        It is the same p for all groups, so that it measures how little data a group has, and a
        group without a success has an error too.
        """
        with np.errstate(divide="ignore"):
            variance = self.typical * (1 - self.typical) / self.trials
        return np.sqrt(np.where(self.trials > 0, variance, np.nan))

    @property
    def weight(self) -> FloatArray:
        """Trials."""
        return self.trials.astype(np.float64)

    @property
    def sizes(self) -> Mapping[str, IntArray]:
        """Trials, the more the more is known."""
        return {"trials": self.trials}

    @property
    def grand_mean(self) -> float:
        """Proportion of all trials."""
        return float(self.successes.sum() / self.trials.sum())

    def intervals(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends of Wilson's interval of each proportion, shape (J,) each; NaN without a trial."""
        return wilson(self.successes, self.trials, level=level)

    @property
    def typical(self) -> float:
        """Proportion of all trials, kept off 0 and 1 by half a success and half a failure."""
        return float((self.successes.sum() + 0.5) / (self.trials.sum() + 1))

    @property
    def total_sd(self) -> float:
        """Root of the mean squared error plus the variance of the raw proportions."""
        seen = self.trials > 0
        spread = float(np.var(self.raw[seen], ddof=1)) if seen.sum() > 1 else 0.0
        return math.sqrt(float((self.raw_se[seen] ** 2).mean()) + spread)

    def summary(self) -> pd.DataFrame:
        """Describe each group.

        Returns
        -------
        DataFrame
            One row a group: `group` (label), `successes`, `trials`, `proportion`, and `q2.5`,
            `q97.5`: the ends of Wilson's 95 % interval (Wilson 1927, *Journal of the American
            Statistical Association* 22, 209-212); NaN without a trial.
        """
        low, high = wilson(self.successes, self.trials)
        return pd.DataFrame(
            {
                "group": list(self.labels),
                "successes": self.successes,
                "trials": self.trials,
                "proportion": self.raw,
                "q2.5": low,
                "q97.5": high,
            }
        )

    def take(self, at: IntArray) -> Proportions:
        """Return the statistics of some groups."""
        labels = tuple(self.labels[j] for j in at)
        counts = {"successes": self.successes[at], "trials": self.trials[at]}
        return replace(self, labels=labels, **counts)

    @cached_property
    def distinct(self) -> tuple[IntArray, IntArray, IntArray]:
        """Pairs of successes and trials that occur, and in how many groups, shape (K,) each."""
        alike = self.alike or Alike.of(self.weight, self.raw)
        return self.successes[alike.one], self.trials[alike.one], alike.groups


def wilson(
    successes: IntArray, trials: IntArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Ends of Wilson's score interval of each proportion; NaN without a trial."""
    z = float(special.ndtri(0.5 + level / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / trials
        middle = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
        reach = z * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2.0)) / (1 + z**2 / trials)
    low, high = np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)
    return np.where(successes == 0, np.where(trials > 0, 0.0, np.nan), low), high


def proportions(
    labels: Sequence[str], successes: FloatArray, trials: FloatArray, *, where: str = "data"
) -> Proportions:
    """Check counts, add up those of one group, and put the groups in order.

    Parameters
    ----------
    labels
        Group of each row; a group may have several.
    successes, trials
        Whole numbers with 0 <= successes <= trials, shape (rows,).
    where
        What messages call the data.

    Raises
    ------
    InputError
        No group, no trial at all, counts that are not whole or not in this order; with the group.
    """
    successes, trials = (np.asarray(part, dtype=np.float64) for part in (successes, trials))
    if len(labels) == 0:
        raise InputError(f"{where}: there are no groups; at least one is needed")
    check_rows(labels, successes, trials, where=where)
    order, at = places(labels)
    sums = [
        np.bincount(at, part, len(order)).round().astype(np.int64) for part in (successes, trials)
    ]
    if not sums[1].any():
        raise InputError(f"{where}: no group has a trial, so there is nothing to learn from")
    return Proportions(tuple(order), *sums)


def check_rows(
    labels: Sequence[str], successes: FloatArray, trials: FloatArray, *, where: str
) -> None:
    """Refuse counts that are not whole, negative, more than their trials, or too many.

    Raises
    ------
    InputError
        With the group.
    """
    for rule in (fractional, negative, beyond, too_many):
        if problem := rule(labels, successes, trials):
            raise InputError(f"{where}: {problem}")


def fractional(labels: Sequence[str], successes: FloatArray, trials: FloatArray) -> str:
    """Say which counts are no whole numbers, and what they may be instead."""
    for name, part in (("successes", successes), ("trials", trials)):
        wrong = part != np.round(part)
        if wrong.any():
            at = int(np.argmax(wrong))
            hint = ""
            if name == "successes" and (part <= 1).all():
                hint = "; give successes, not proportions: multiply them by the trials"
            elif name == "successes" and (part <= 100).all():
                hint = "; give successes, not percent: multiply by the trials and divide by 100"
            return (
                f"the {name} of group {labels[at]!r} are {part[at]:g}, and counts are whole "
                f"numbers{hint}"
            )
    return ""


def negative(labels: Sequence[str], successes: FloatArray, trials: FloatArray) -> str:
    """Say which counts are below 0."""
    for name, part in (("successes", successes), ("trials", trials)):
        if (part < 0).any():
            at = int(np.argmin(part))
            return f"the {name} of group {labels[at]!r} are {part[at]:g}; a count is 0 or more"
    return ""


def beyond(labels: Sequence[str], successes: FloatArray, trials: FloatArray) -> str:
    """Say where there are more successes than trials."""
    wrong = successes > trials
    if not wrong.any():
        return ""
    at = int(np.argmax(wrong))
    hint = ""
    if wrong.all():
        hint = "; so it is in every group: are the two columns exchanged?"
    return (
        f"group {labels[at]!r} has {successes[at]:g} successes in {trials[at]:g} trials; there "
        f"cannot be more successes than trials{hint}"
    )


def too_many(labels: Sequence[str], _: FloatArray, trials: FloatArray) -> str:
    """Say which group has more trials than a density is summed over."""
    if trials.max() <= MOST_TRIALS:
        return ""
    at = int(np.argmax(trials))
    return (
        f"group {labels[at]!r} has {trials[at]:g} trials, and {MOST_TRIALS:,} are the most that "
        "are read; of so many, estimates with standard errors (--estimate, --se) tell as much"
    )
