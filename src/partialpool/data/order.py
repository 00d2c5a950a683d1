"""The order of the groups, which tables and figures keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import InputError
from partialpool.families.order import natural_key
from partialpool.types import IntArray

if TYPE_CHECKING:
    from partialpool.data.grouped import GroupedData

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
    at = _places(data, by, first)
    stats = data.stats.take(at)
    if data.family.rows_are_groups:
        columns = {name: [values[j] for j in at] for name, values in data.columns.items()}
        return replace(data, stats=stats, y=data.y[at] if len(data.y) else data.y, columns=columns)
    moved = np.empty(data.stats.J, dtype=np.int64)
    moved[at] = np.arange(data.stats.J)
    return replace(data, stats=stats, group=moved[data.group])


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
