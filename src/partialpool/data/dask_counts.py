"""Counts by group of rows that live on a Dask cluster: each partition is added up where it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data.grouped import GroupedData, with_proportions, with_rates
from partialpool.data.labels import strip_labels
from partialpool.data.order import in_categories
from partialpool.families.proportions import proportions
from partialpool.families.proportions.statistics import check_rows as check_proportions
from partialpool.families.rates import rates
from partialpool.families.rates.statistics import check_rows as check_rates
from partialpool.types import FloatArray

Rows = tuple[list[str], Mapping[str, FloatArray], int]
"""Labels as they are, numbers by role, and how many rows were left out."""


@dataclass(frozen=True)
class Counts:
    """One kind of counts: how its rows are called, checked and made into data.

    Attributes
    ----------
    roles
        Roles of the count and of what it is of, as messages name one of them.
    each
        What is said where there is no column of what the counts are of.
    check
        Refuses rows that are no such counts.
    statistics, data
        Make statistics of the counts, and data of them.
    """

    roles: tuple[str, str]
    each: str
    check: Callable[..., None]
    statistics: Callable[..., Any]
    data: Callable[..., GroupedData]


PROPORTIONS = Counts(
    ("count of successes", "count of trials"),
    "each row is one trial",
    check_proportions,
    proportions,
    with_proportions,
)
RATES = Counts(
    ("count of events", "exposure"),
    "each row has an exposure of 1",
    check_rates,
    rates,
    with_rates,
)


def added_up(rows: Rows, counts: Counts, where: str) -> Rows:
    """Add up the rows of one partition by label, each checked before."""
    labels, numbers, dropped = rows
    first, second = counts.roles
    own = numbers[first], numbers.get(second, np.ones(len(labels)))
    if labels:
        counts.check(labels, *own, where=where)
    return _summed(labels, dict(zip(counts.roles, own, strict=True)), dropped)


def together(parts: Sequence[Rows]) -> Rows:
    """Add up what some partitions have, by label."""
    return _summed(*joined(parts))


def joined(parts: Sequence[Rows]) -> Rows:
    """Put the rows of some partitions one after another."""
    labels = [label for texts, _, _ in parts for label in texts]
    roles = parts[0][1].keys()
    numbers = {role: np.concatenate([part[1][role] for part in parts]) for role in roles}
    return labels, numbers, sum(dropped for _, _, dropped in parts)


def _summed(labels: Sequence[str], numbers: Mapping[str, FloatArray], dropped: int) -> Rows:
    codes, unique = pd.factorize(np.array(labels, dtype=object))
    size = len(unique)
    return (
        list(unique),
        {role: np.bincount(codes, part, size).astype(np.float64) for role, part in numbers.items()},
        dropped,
    )


def made(
    rows: Rows, counts: Counts, *, name: str, dtype: Any, notes: tuple[str, ...], **about: Any
) -> GroupedData:
    """Make data of the counts of all partitions.

    Raises
    ------
    InputError
        No rows, nothing that the counts are of, or labels that differ only by blanks.
    """
    clean, stripped = strip_labels(rows[0], lambda _: name)
    stats = counts.statistics(clean, *(rows[1][role] for role in counts.roles), where=name)
    stats = in_categories(stats, dtype)
    return counts.data(stats, name=name, notes=(*notes, *stripped), **about)
