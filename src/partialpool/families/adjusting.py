"""Covariates that vary within groups: their means by group, and what varies about these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from partialpool.errors import InputError
from partialpool.families.covariates import Covariates, names_of_levels, quoted
from partialpool.families.moments import GroupStats
from partialpool.families.order import natural_key
from partialpool.families.within import WithinSums
from partialpool.types import FloatArray, IntArray

_ALIKE = 1e-10
"""Share of the squares of a column that others must leave, or it counts as one of theirs."""

_ROUNDING = 1e-12


def columns_of_rows(
    given: Mapping[str, FloatArray | Sequence[str]], place: Callable[[int], str], *, where: str
) -> tuple[tuple[str, ...], FloatArray, dict[str, tuple[str, ...]]]:
    """Turn covariates of rows into columns of numbers, those of categories by contrasts.

    Parameters
    ----------
    given
        Name to numbers, or to levels of a category as text, one a row.
    place
        Says where a row stands, by its index.
    where
        What messages call the data.

    Returns
    -------
    names, values, levels
        Names of the columns, the columns, shape (N, K), and the levels of each category, its
        reference first.

    Raises
    ------
    InputError
        A value is missing, or a covariate is the same in all rows.
    """
    names: list[str] = []
    blocks: list[FloatArray] = []
    levels: dict[str, tuple[str, ...]] = {}
    for column, cells in given.items():
        numeric = isinstance(cells, np.ndarray)
        gaps = ~np.isfinite(cells) if numeric else np.array([not cell for cell in cells])
        if gaps.any():
            raise missing(column, place(int(np.argmax(gaps))), int(gaps.sum()), where=where)
        own: list[FloatArray]
        if numeric:
            own = [np.asarray(cells, dtype=float)]
            refuse_same(column, float(own[0].min()), float(own[0].max()), where=where)
            names.append(column)
        else:
            texts = np.array([str(cell).strip() for cell in cells])
            levels[column] = known = levels_of(column, set(texts.tolist()), where=where)
            own = [(texts == level).astype(float) for level in known[1:]]
            names += names_of_levels(column, known)
        refuse_many(column, len(names), len(cells), levels, where=where)
        blocks += own
    return tuple(names), np.column_stack(blocks), levels


def missing(column: str, place: str, count: int, *, where: str) -> InputError:
    """Say where a covariate is missing first, and in how many rows."""
    more = f", and in {count - 1} more" if count > 1 else ""
    return InputError(
        f"{where}: covariate {column!r} is missing in {place}{more}; every row needs it, so fill "
        "it in, or leave these rows out of the data"
    )


def refuse_same(column: str, low: float, high: float, *, where: str) -> None:
    """Refuse a covariate that is the same in all rows, but for rounding."""
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        raise InputError(
            f"{where}: covariate {column!r} is the same in all rows, so there is nothing to "
            "adjust for; leave it out"
        )


def levels_of(column: str, texts: Iterable[str], *, where: str) -> tuple[str, ...]:
    """Levels of a category in natural order, the reference first; not one alone."""
    known = tuple(sorted(texts, key=natural_key))
    if len(known) == 1:
        refuse_same(column, 0.0, 0.0, where=where)
    return known


def refuse_many(
    column: str, columns: int, rows: int, levels: Mapping[str, Sequence[str]], *, where: str
) -> None:
    """Refuse covariates that make as many columns as there are rows; `column` is the last."""
    if columns < rows:
        return
    raise InputError(
        f"{where}: {column!r} is text of {len(levels[column])} kinds, about as many as "
        "there are rows; leave it out"
        if column in levels
        else f"{where}: there are more covariates than rows; leave some out"
    )


def adjusting(
    stats: GroupStats,
    names: Sequence[str],
    levels: Mapping[str, tuple[str, ...]],
    means: FloatArray,
    within: WithinSums,
    *,
    of_groups: Covariates | None = None,
    where: str,
) -> tuple[Covariates, WithinSums]:
    """Check covariates that vary within groups, and put those of groups before them.

    Parameters
    ----------
    stats
        Statistics of the observations.
    names, levels
        Of the columns, and of the categories among them.
    means, within
        Mean of each column in each group, shape (J, K), and sums of products within groups.
    of_groups
        Covariates of the groups, if there are any.
    where
        What messages call the data.

    Returns
    -------
    covariates, within
        All columns, those of groups first, with their group means as values and counted from the
        mean of all rows, in their sd over all rows; and the sums of products of all of them.

    Raises
    ------
    InputError
        A covariate that is constant within every group or follows from others, or too few
        observations for so many slopes.
    """
    n = stats.n.astype(float)
    shares = n / n.sum()
    origin = means[0]
    middle = origin + shares @ (means - origin)
    squares = within.xx.sum(axis=0)
    about = means - middle
    total = squares + (about.T * n) @ about
    own, all_of_it = np.diag(squares), np.diag(total)
    for k, name in enumerate(names):
        if own[k] <= _ROUNDING * max(float(all_of_it[k]), float(n.sum() * middle[k] ** 2) * 1e-12):
            raise InputError(
                f"{where}: covariate {name!r} is the same within every group, so it tells groups "
                "apart and not their observations: name it with --by, not with --adjust"
            )
    spread = np.sqrt(all_of_it / (stats.N - 1))
    if not np.isfinite(spread).all():
        raise InputError(
            f"{where}: the squares of covariate {names[int(np.argmin(np.isfinite(spread)))]!r} "
            "overflow; divide it by a suitable unit first"
        )
    spare = stats.N - stats.J
    if spare <= len(names) + 1:
        raise InputError(
            f"{where}: {stats.N} observations in {stats.J} groups leave {max(0, spare)} degrees of "
            f"freedom within groups, too few for {len(names)} slopes and the spread that is left; "
            "leave covariates out, or levels of one together"
        )
    found = Covariates(tuple(names), means, middle, spread, dict(levels))
    if of_groups is not None:
        sums = WithinSums(
            np.pad(within.xx, ((0, 0), (of_groups.K, 0), (of_groups.K, 0))),
            np.pad(within.xy, ((0, 0), (of_groups.K, 0))),
        )
        found = Covariates(
            (*of_groups.names, *names),
            np.column_stack([of_groups.values, means]),
            np.concatenate([of_groups.middle, middle]),
            np.concatenate([of_groups.spread, spread]),
            {**of_groups.levels, **levels},
        )
        within = sums
    _refuse_collinear(found, within, n, where)
    if within.least_squares(float(stats.ss.sum()), found.spread)[2] == 0:
        raise InputError(
            f"{where}: within groups the outcome follows from {quoted(names)} without any rest, so "
            "there is nothing to estimate; is one of them the outcome in another unit?"
        )
    return found, within


def _refuse_collinear(found: Covariates, within: WithinSums, n: FloatArray, where: str) -> None:
    """Refuse a column that follows from those before it, over all rows."""
    about = found.values - (n / n.sum()) @ found.values
    total = within.xx.sum(axis=0) + (about.T * n) @ about
    scale = np.sqrt(np.diag(total))
    total = total / np.outer(scale, scale)
    for k in range(1, len(total)):
        before, own = total[:k, :k], total[:k, k]
        left = 1 - float(own @ np.linalg.lstsq(before, own, rcond=None)[0])
        if left < _ALIKE:
            raise InputError(
                f"{where}: covariate {found.names[k]!r} follows from {quoted(found.names[:k])}, so "
                "their coefficients cannot be told apart; leave one of them out"
            )


def sums_of_rows(
    values: FloatArray, y: FloatArray, group: IntArray, groups: int
) -> tuple[FloatArray, WithinSums]:
    """Mean of each column by group, shape (J, K), and sums of products within groups."""
    size = np.bincount(group, minlength=groups)
    first = values[0]
    means = [np.bincount(group, column, groups) / size for column in (values - first).T]
    return np.column_stack(means) + first, WithinSums.of(values, y, group, groups)
