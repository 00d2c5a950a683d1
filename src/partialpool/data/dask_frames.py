"""Statistics by group of data that live on a Dask cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from partialpool.data.summaries import SummarizedData
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats, check_overflow, combine, group_stats, ordered
from partialpool.types import IntArray

if TYPE_CHECKING:
    import dask.dataframe


def dask_statistics(
    frame: dask.dataframe.DataFrame,
    *,
    group: str,
    value: str,
    name: str = "data",
    drop_missing: bool = False,
    **about: Any,
) -> SummarizedData:
    """Group a Dask DataFrame into sufficient statistics, on whatever cluster runs it.

    Each partition is reduced to its own statistics about its groups' means; these are combined in
    a tree, so that no machine ever holds more than the statistics of a few partitions.

    Parameters
    ----------
    frame
        One observation a row.
    group, value
        Names of the columns that hold the groups and the outcome.
    name
        Short name of the data.
    drop_missing
        Leave out rows whose outcome is missing (and say how many) instead of refusing the data.
    **about
        Any other field of `partialpool.data.summaries.SummarizedData` that describes the data.

    Returns
    -------
    SummarizedData
        Groups in numerical order where every label is a number, else in alphabetical order.

    Raises
    ------
    InputError
        A column is absent, an outcome is missing or not finite, or labels are blank or differ only
        by blanks; with the partition and the row in it.
    """
    from dask.delayed import delayed

    for column in (group, value):
        if column not in frame.columns:
            listed = ", ".join(map(repr, frame.columns))
            raise InputError(f"there is no column {column!r}; the columns are {listed}")
    reduce_part = delayed(_partition_statistics)
    merge = delayed(_merged)
    level = [
        reduce_part(part, f"{name}, partition {k}", drop_missing)
        for k, part in enumerate(frame[[group, value]].to_delayed(), start=1)
    ]
    while len(level) > 1:
        level = [merge(level[k : k + 8]) for k in range(0, len(level), 8)]
    found, dropped = level[0].compute()
    if found is None:
        raise InputError(f"{name}: there are no observations; at least one is needed")
    order = np.argsort(np.array(found.labels, dtype=object))
    labels, label_notes = _clean([found.labels[j] for j in order], found.n[order], name)
    stats = ordered(GroupStats(labels, found.n[order], found.mean[order], found.ss[order]))
    check_overflow(stats, name)
    rows = "row" if dropped == 1 else "rows"
    notes = (f"{dropped} {rows} without an outcome left out",) if dropped else ()
    about = {"title": name, "group_label": group, "value_label": value, **about}
    return SummarizedData(name=name, stats=stats, notes=notes + label_notes, **about)


def _partition_statistics(
    part: pd.DataFrame, where: str, drop_missing: bool
) -> tuple[GroupStats | None, int]:
    """Statistics of one partition by labels as they are, and how many rows were left out."""
    values = pd.to_numeric(part.iloc[:, 1], errors="coerce")
    missing = part.iloc[:, 1].isna().to_numpy()
    y = values.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(y) & ~(missing & drop_missing)
    if wrong.any():
        first = int(np.argmax(wrong))
        outcome = part.iloc[first, 1]
        shown = repr(outcome) if isinstance(outcome, str) else str(outcome)
        raise InputError(
            f"{where}, row {first + 1}: the outcome is {shown}; outcomes must be finite numbers"
        )
    kept = np.isfinite(y)
    labels = part.iloc[:, 0][kept]
    blank = (labels.isna() | (labels.astype(str).str.strip() == "")).to_numpy()
    if blank.any():
        row = int(np.flatnonzero(kept)[np.argmax(blank)]) + 1
        raise InputError(f"{where}, row {row}: the group is blank; give every row a group")
    dropped = int((~kept).sum())
    if len(labels) == 0:
        return None, dropped
    codes, unique = pd.factorize(labels.astype(str))
    with np.errstate(over="ignore", invalid="ignore"):
        return group_stats(y[kept], codes.astype(np.int64), list(unique)), dropped


def _merged(
    parts: Sequence[tuple[GroupStats | None, int]],
) -> tuple[GroupStats | None, int]:
    known = [stats for stats, _ in parts if stats is not None]
    dropped = sum(count for _, count in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        return (combine(known) if known else None), dropped


def _clean(
    labels: Sequence[str], n: IntArray, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Strip blanks around labels, and say in how many rows; refuse labels that would merge."""
    spellings: dict[str, str] = {}
    for raw in labels:
        first = spellings.setdefault(raw.strip(), raw)
        if first != raw:
            raise InputError(
                f"{where}: groups {first!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )
    changed = sum(int(k) for raw, k in zip(labels, n, strict=True) if raw != raw.strip())
    notes = (f"blanks around group labels removed in {changed} rows",) if changed else ()
    return tuple(spellings), notes
