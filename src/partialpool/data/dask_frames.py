"""Statistics by group of data that live on a Dask cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from partialpool.data import dask_counts
from partialpool.data.dask_counts import Counts, Rows
from partialpool.data.grouped import GroupedData, with_estimates
from partialpool.data.labels import strip_labels
from partialpool.data.order import in_categories
from partialpool.data.rows import quoted
from partialpool.errors import InputError
from partialpool.families.known_errors import estimates as check_estimates
from partialpool.families.moments import GroupStats, check_overflow, combine, group_stats, ordered

if TYPE_CHECKING:
    import dask.dataframe

_OUTCOME, _ESTIMATE, _ERROR = "outcome", "estimate", "standard error"
_TOGETHER = 8


def dask_statistics(
    frame: dask.dataframe.DataFrame,
    *,
    group: str,
    value: str | None = None,
    estimate: str | None = None,
    se: str | None = None,
    successes: str | None = None,
    trials: str | None = None,
    count: str | None = None,
    exposure: str | None = None,
    name: str = "data",
    drop_missing: bool = False,
    **about: Any,
) -> GroupedData:
    """Group a Dask DataFrame into sufficient statistics, on whatever cluster runs it.

    Each partition of observations is reduced to its own statistics about its groups' means; these
    are combined in a tree, so that no machine ever holds more than the statistics of a few
    partitions. So are counts, which are added up. Estimates with known standard errors are checked
    where they are, and collected.

    Parameters
    ----------
    frame
        One observation a row, one estimate, or some of a group's counts.
    group
        Name of the column that holds the groups.
    value
        Name of the column that holds the outcome of each observation.
    estimate, se
        Instead of `value`: names of the columns that hold each group's estimate and its standard
        error.
    successes, trials
        Instead of these: names of the columns of successes and trials; without `trials` each row is
        one trial, of 0 or 1.
    count, exposure
        Or of events and their exposure, which is 1 in each row without a column.
    name
        Short name of the data.
    drop_missing
        Leave out rows in which a number is missing (and say how many) instead of refusing the data.
    **about
        Any other field of `partialpool.data.GroupedData` that describes the data.

    Returns
    -------
    GroupedData
        Without observations. Groups in the order of a categorical column; of numbers or dates where
        every label is or has one; else in alphabetical order, and of estimates and counts in that
        of the frame.

    Raises
    ------
    InputError
        A column is absent, a number is missing or not finite, a standard error is not above zero,
        counts are not whole, negative or beyond their trials, or labels are blank or differ only by
        blanks; with the partition and the row in it, or the group.

    Examples
    --------
    >>> import partialpool as pp
    >>> import pandas as pd
    >>> import dask.dataframe as dd
    >>> rows = pd.DataFrame({"g": list("aabb"), "y": [1.0, 2.0, 4.0, 6.0]})
    >>> frame = dd.from_pandas(rows, npartitions=2)
    >>> pp.dask_statistics(frame, group="g", value="y").stats.N
    4
    """
    from dask.delayed import delayed

    counted = _counted(successes, trials, count, exposure)
    if counted is None:
        kind, roles = None, _roles(value, estimate, se)
    else:
        kind, roles = counted
        if not value is estimate is se is None:
            raise InputError("name the columns of counts, or of something else, not both")
    for column in (group, *roles.values()):
        if column not in frame.columns:
            raise InputError(
                f"there is no column {column!r}; the columns are {quoted(list(frame.columns))}"
            )
    parts = frame[[group, *roles.values()]].to_delayed()
    places = [f"{name}, partition {k}" for k in range(1, len(parts) + 1)]
    label = next(iter(roles.values()))
    about = {"title": name, "group_label": group, "value_label": label, **about}
    if kind is not None:
        if len(roles) > 1:
            about["value_label"] = " / ".join(roles.values())
        reduce_counts = delayed(_counts_of)
        rows = [
            reduce_counts(part, list(roles), kind, place, drop_missing)
            for part, place in zip(parts, places, strict=True)
        ]
        sums = _tree(rows, delayed(dask_counts.together)).compute()
        notes = _left_out(sums[2], "a count") + ((kind.each,) if len(roles) == 1 else ())
        dtype = frame[group].dtype
        return dask_counts.made(sums, kind, name=name, dtype=dtype, notes=notes, **about)
    if value is None:
        check = delayed(_checked)
        rows = [
            check(part, list(roles), place, drop_missing)
            for part, place in zip(parts, places, strict=True)
        ]
        found = _tree(rows, delayed(dask_counts.joined)).compute()
        clean, notes = strip_labels(found[0], lambda _: name)
        stats = check_estimates(clean, *found[1].values(), where=name)
        stats = in_categories(stats, frame[group].dtype)
        return with_estimates(
            stats,
            name=name,
            notes=_left_out(found[2], "estimate or standard error") + notes,
            **about,
        )
    reduce_part = delayed(_partition_statistics)
    level = [
        reduce_part(part, place, drop_missing) for part, place in zip(parts, places, strict=True)
    ]
    observed, dropped = _tree(level, delayed(_merged)).compute()
    if observed is None:
        raise InputError(f"{name}: there are no observations; at least one is needed")
    order = np.argsort(np.array(observed.labels, dtype=object))
    sorted_stats = observed.take(order)
    clean, notes = strip_labels(sorted_stats.labels, lambda _: name, counts=sorted_stats.n.tolist())
    statistics = ordered(
        GroupStats(tuple(clean), sorted_stats.n, sorted_stats.mean, sorted_stats.ss)
    )
    check_overflow(statistics, name)
    statistics = in_categories(statistics, frame[group].dtype)
    return GroupedData(
        name=name,
        y=np.empty(0),
        group=np.empty(0, dtype=np.int64),
        stats=statistics,
        notes=_left_out(dropped, "an outcome") + notes,
        **about,
    )


def _counted(
    successes: str | None, trials: str | None, count: str | None, exposure: str | None
) -> tuple[Counts, dict[str, str]] | None:
    """Kind of the counts, and role to column; None where no column of counts is named."""
    of_events = count is not None or exposure is not None
    if successes is None and trials is None and not of_events:
        return None
    kind = dask_counts.RATES if of_events else dask_counts.PROPORTIONS
    first, second = (count, exposure) if of_events else (successes, trials)
    if first is None or (of_events and not successes is trials is None):
        raise InputError(
            "name the column of successes (and of their trials), or that of a count (and of its "
            "exposure), and not both"
        )
    named = {kind.roles[0]: first, kind.roles[1]: second}
    return kind, {role: column for role, column in named.items() if column is not None}


def _roles(value: str | None, estimate: str | None, se: str | None) -> dict[str, str]:
    """Role to column; observations or estimates, not both and not half of them."""
    if value is not None and estimate is None and se is None:
        return {_OUTCOME: value}
    if value is None and estimate is not None and se is not None:
        return {_ESTIMATE: estimate, _ERROR: se}
    raise InputError(
        "name the column of outcomes with value, or the columns of estimates and of their standard "
        "errors with estimate and se"
    )


def _tree(level: list[Any], merge: Any) -> Any:
    """Combine the results of partitions a few at a time."""
    while len(level) > 1:
        level = [merge(level[k : k + _TOGETHER]) for k in range(0, len(level), _TOGETHER)]
    return level[0]


def _left_out(dropped: int, what: str) -> tuple[str, ...]:
    """Note how many rows were left out for want of a number."""
    rows = "row" if dropped == 1 else "rows"
    return (f"{dropped} {rows} without {what} left out",) if dropped else ()


# --- on the workers -----------------------------------------------------------------------------


def _checked(part: pd.DataFrame, roles: Sequence[str], where: str, drop_missing: bool) -> Rows:
    """Labels and numbers of the rows of one partition."""
    kept = np.ones(len(part), dtype=bool)
    numbers = {}
    for k, role in enumerate(roles, start=1):
        if part.iloc[:, k].dtype.kind in "mM":
            raise InputError(f"{where}: the {role}s are dates or lengths of time; give numbers")
        values = pd.to_numeric(part.iloc[:, k], errors="coerce")
        missing = part.iloc[:, k].isna().to_numpy()
        numbers[role] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = ~np.isfinite(numbers[role]) & ~(missing & drop_missing)
        problem = f"{role}s must be finite numbers"
        if role == _ERROR and not wrong.any():
            wrong = numbers[role] <= 0
            problem = "it must be above zero"
        if wrong.any():
            first = int(np.argmax(wrong))
            cell = part.iloc[first, k]
            shown = repr(cell) if isinstance(cell, str) else str(cell)
            raise InputError(f"{where}, row {first + 1}: the {role} is {shown}; {problem}")
        kept &= ~missing
    labels = part.iloc[:, 0][kept]
    blank = (labels.isna() | (labels.astype(str).str.strip() == "")).to_numpy()
    if blank.any():
        row = int(np.flatnonzero(kept)[np.argmax(blank)]) + 1
        raise InputError(f"{where}, row {row}: the group is blank; give every row a group")
    if any(isinstance(label, bytes) for label in labels):
        labels = labels.map(lambda label: label.decode() if isinstance(label, bytes) else label)
    texts = labels.astype(str).tolist()
    return texts, {role: column[kept] for role, column in numbers.items()}, int((~kept).sum())


def _counts_of(
    part: pd.DataFrame, roles: Sequence[str], kind: Counts, where: str, drop_missing: bool
) -> Rows:
    """Counts of one partition, added up by label."""
    return dask_counts.added_up(_checked(part, roles, where, drop_missing), kind, where)


def _partition_statistics(
    part: pd.DataFrame, where: str, drop_missing: bool
) -> tuple[GroupStats | None, int]:
    """Statistics of one partition by labels as they are, and how many rows were left out."""
    labels, numbers, dropped = _checked(part, [_OUTCOME], where, drop_missing)
    if not labels:
        return None, dropped
    codes, unique = pd.factorize(np.array(labels, dtype=object))
    with np.errstate(over="ignore", invalid="ignore"):
        return group_stats(numbers[_OUTCOME], codes.astype(np.int64), list(unique)), dropped


def _merged(
    parts: Sequence[tuple[GroupStats | None, int]],
) -> tuple[GroupStats | None, int]:
    known = [stats for stats, _ in parts if stats is not None]
    dropped = sum(count for _, count in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        return (combine(known) if known else None), dropped
