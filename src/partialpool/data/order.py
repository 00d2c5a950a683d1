"""The order of the groups, which tables and figures keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families.base import Statistics
from partialpool.families.order import natural_key, order_of_labels
from partialpool.types import IntArray

if TYPE_CHECKING:
    from partialpool.data.grouped import GroupedData

S = TypeVar("S", bound=Statistics)

ORDERS = ("data", "label", "mean", "size")
"""Orders that can be asked for."""


def in_order(data: GroupedData, by: str, *, first: Sequence[str] = ()) -> GroupedData:
    """Put the groups in another order.

    Parameters
    ----------
    data
        The data.
    by
        `data` for the order in which groups occur first, `label`, `mean` for the largest first, or
        `size` for the best known first: most observations, smallest standard error.
    first
        Labels in the order in which they occur first, where the rows are not at hand.

    Raises
    ------
    InputError
        There is no such order, or where groups occur first is not known.
    """
    if by not in ORDERS:
        raise InputError(f"order {by!r}: there is no such order; there are {', '.join(ORDERS)}")
    return moved(data, _places(data, by, first))


def as_they_occur(data: GroupedData) -> GroupedData:
    """Put groups in the order that observations of a small file give them."""
    first = [data.labels[j] for j in dict.fromkeys(data.group.tolist())]
    index = {label: j for j, label in enumerate(data.labels)}
    return moved(data, np.array([index[label] for label in order_of_labels(first)]))


def moved(data: GroupedData, at: IntArray) -> GroupedData:
    """Put the groups in the order of their indices."""
    stats = data.stats.take(at)
    if data.family.rows_are_groups:
        columns = {name: [values[j] for j in at] for name, values in data.columns.items()}
        return replace(data, stats=stats, y=data.y[at] if len(data.y) else data.y, columns=columns)
    place = np.empty(data.stats.J, dtype=np.int64)
    place[at] = np.arange(data.stats.J)
    return replace(data, stats=stats, group=place[data.group])


def in_categories(stats: S, dtype: Any) -> S:
    """Put groups in the order of the categories of their column, where it has known ones.

    Parameters
    ----------
    stats
        Statistics of the groups.
    dtype
        Type of the column of labels.
    """
    if not isinstance(dtype, pd.CategoricalDtype):
        return stats
    index = {label: j for j, label in enumerate(stats.labels)}
    known = [index[text] for each in dtype.categories if (text := str(each).strip()) in index]
    return stats.take(np.array(known, dtype=np.int64)) if len(known) == stats.J else stats


def _places(data: GroupedData, by: str, first: Sequence[str]) -> IntArray:
    """Index of the groups in the order asked for."""
    J = data.stats.J
    labels = np.array(sorted(range(J), key=lambda j: natural_key(data.labels[j])), dtype=np.int64)
    if by == "label":
        return labels
    if by != "data":
        values = data.stats.raw if by == "mean" else data.stats.weight
        return np.asarray(labels[np.argsort(-values[labels], kind="stable")])
    if first:
        rank = {label: at for at, label in enumerate(dict.fromkeys(first))}
        return np.array(sorted(range(J), key=lambda j: rank[data.labels[j]]), dtype=np.int64)
    if not data.has_observations or data.family.rows_are_groups:
        raise InputError(
            f"{data.name}: where each group occurs first is not known of these data, of which only "
            "statistics by group are kept; choose another order"
        )
    _, first_at = np.unique(data.group, return_index=True)
    return np.argsort(first_at, kind="stable")
