"""What is known of each group besides its data: numbers, and categories as contrasts.

A covariate of numbers is a column of the design; one of categories has a column for each of its
levels but one, the reference, which is 1 in the groups of that level and 0 elsewhere, so that its
coefficient is how far the level lies from the reference. Models count every column from its mean
over the groups, in its sd over the groups; coefficients are told in the data's own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from partialpool.errors import InputError
from partialpool.families.order import natural_key
from partialpool.types import FloatArray, IntArray

_ALIKE = 1e-7
"""Share of a column that others must leave unexplained, or it counts as one of theirs."""

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Covariates:
    """Covariates of the groups, a column a coefficient.

    Attributes
    ----------
    names
        Names of the columns: `latitude`, or `region: north` of a level of a category.
    values
        The columns in the data's units, shape (J, K).
    middle, spread
        Mean and sd (divisor J - 1) of each column over the groups of the whole data, shape (K,).
    levels
        Levels of each category, its reference first; no entry of a covariate of numbers.
    """

    names: tuple[str, ...]
    values: FloatArray
    middle: FloatArray
    spread: FloatArray
    levels: Mapping[str, tuple[str, ...]]

    @property
    def K(self) -> int:
        """Number of columns."""
        return len(self.names)

    @cached_property
    def centered(self) -> FloatArray:
        """The columns counted from their means, shape (J, K)."""
        return np.asarray(self.values - self.middle)

    @cached_property
    def design(self) -> FloatArray:
        """A column of ones, then the columns in sds from their means, shape (J, K + 1)."""
        scaled = self.centered / self.spread
        return np.column_stack([np.ones(len(scaled)), scaled])

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the columns of the data that they came from."""
        found = (self._source(name) for name in self.names)
        return tuple(dict.fromkeys(found))

    def names_of(self, column: str) -> tuple[str, ...]:
        """Names of the columns that a column of the data became."""
        return tuple(name for name in self.names if self._source(name) == column)

    def _source(self, name: str) -> str:
        own = [c for c, levels in self.levels.items() if name in names_of_levels(c, levels)]
        return own[0] if own else name

    def reference(self, name: str) -> str:
        """Reference level of the category that a column belongs to; empty of a number."""
        return self.levels.get(self._source(name), ("",))[0]

    @property
    def record(self) -> dict[str, Any]:
        """All of it as lists, for JSON; `Covariates.recorded` takes it back."""
        return {
            "names": list(self.names),
            "values": self.values.tolist(),
            "middle": self.middle.tolist(),
            "spread": self.spread.tolist(),
            "levels": {column: list(levels) for column, levels in self.levels.items()},
        }

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Covariates:
        """Make them from their `record`."""
        values, middle, spread = (
            np.array(record[name], dtype=np.float64) for name in ("values", "middle", "spread")
        )
        levels = {column: tuple(each) for column, each in record["levels"].items()}
        return cls(tuple(record["names"]), values, middle, spread, levels)

    def take(self, at: IntArray) -> Covariates:
        """Return those of some groups, counted from the same means."""
        return replace(self, values=self.values[at])

    def rows(self, given: Mapping[str, Sequence[Any]], count: int) -> FloatArray:
        """Columns of new groups, counted from the means of these, shape (count, K).

        Parameters
        ----------
        given
            Source column to a value a new group; what is not there, or is missing, is taken at its
            mean over the groups.
        count
            Number of new groups.

        Raises
        ------
        InputError
            A level that the data do not have, or what is no number.
        """
        found = self.known(given, count)
        return np.where(np.isnan(found), 0.0, found - self.middle)

    def known(self, given: Mapping[str, Sequence[Any]], count: int) -> FloatArray:
        """Columns of new rows in the data's units, NaN what is missing; arguments as of `rows`."""
        found = np.full((count, self.K), np.nan)
        for k, name in enumerate(self.names):
            source = self._source(name)
            for i, value in enumerate(given.get(source, ())):
                if value is None or value != value or str(value).strip() == "":
                    continue
                if source in self.levels:
                    level, known = str(value).strip(), self.levels[source]
                    if level not in known:
                        raise InputError(
                            f"{source} {level!r}: the data have no such level; there are "
                            f"{quoted(known)}"
                        )
                    found[i, k] = float(names_of_levels(source, (known[0], level)) == [name])
                    continue
                try:
                    found[i, k] = float(value)
                except (TypeError, ValueError):
                    raise InputError(f"{source} is {value!r}; a number is needed") from None
        return found


def names_of_levels(column: str, levels: Sequence[str]) -> list[str]:
    """Names of the columns of a category, one a level but its reference."""
    return [f"{column}: {level}" for level in levels[1:]]


def covariates(
    columns: Mapping[str, FloatArray | Sequence[str]], labels: Sequence[str], *, where: str
) -> Covariates:
    """Check covariates and make the design of them.

    Parameters
    ----------
    columns
        Name to numbers, or to levels of a category as text, one a group.
    labels
        Names of the groups.
    where
        What messages call the data.

    Raises
    ------
    InputError
        A value that is missing or not finite, a covariate that is the same in all groups or
        follows from others, or more coefficients than groups can tell.
    """
    names: list[str] = []
    blocks: list[FloatArray] = []
    levels: dict[str, tuple[str, ...]] = {}
    for column, given in columns.items():
        if isinstance(given, np.ndarray):
            _refuse_missing(column, ~np.isfinite(given), labels, where)
            names.append(column)
            blocks.append(given[:, None])
            continue
        cells = [str(cell).strip() for cell in given]
        _refuse_missing(column, np.array([not cell for cell in cells]), labels, where)
        known = tuple(sorted(set(cells), key=natural_key))
        levels[column] = known
        of_level = [[float(cell == level) for cell in cells] for level in known[1:]]
        names += names_of_levels(column, known)
        blocks.append(np.array(of_level, dtype=float).reshape(-1, len(cells)).T)
    values = np.concatenate(blocks, axis=1)
    constant = [c for c, block in zip(columns, blocks, strict=True) if _is_constant(block)]
    if constant:
        raise InputError(
            f"{where}: covariate {constant[0]!r} is the same in all groups, so it explains nothing "
            "of how they differ; leave it out"
        )
    if len(names) + 2 > len(labels):
        texts = [f"{c!r} is text of {len(each)} kinds" for c, each in levels.items()]
        raise InputError(
            f"{where}: {len(labels)} groups cannot tell {len(names)} coefficients, a mean and the "
            f"spread that is left; leave covariates out{_because(texts)}"
        )
    with np.errstate(over="ignore"):
        middle, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    if not np.isfinite(spread).all():
        raise InputError(
            f"{where}: the squares of covariate {names[int(np.argmin(np.isfinite(spread)))]!r} "
            "overflow; divide it by a suitable unit first"
        )
    _refuse_collinear(names, (values - middle) / spread, where)
    return Covariates(tuple(names), values, middle, spread, levels)


def simulated(groups: int) -> Covariates:
    """Two covariates of simulated groups, a number and a category, the same every time."""
    at = np.arange(groups)
    numbers = np.asarray(10.0 + 4.0 * np.sin(1.0 + 2.0 * at))
    kinds = ["a" if j % 3 else "b" for j in range(groups)]
    labels = [str(j + 1) for j in range(groups)]
    return covariates({"x": numbers, "kind": kinds}, labels, where="simulated")


def _is_constant(block: FloatArray) -> bool:
    """Whether columns hold one value each, but for rounding."""
    return not (np.ptp(block, axis=0) > _ROUNDING * np.abs(block).max(axis=0)).any()


def quoted(names: Sequence[str]) -> str:
    """List names for a message."""
    return ", ".join(map(repr, names))


def _because(texts: Sequence[str]) -> str:
    return f" ({', '.join(texts)})" if texts else ""


def _refuse_missing(column: str, gaps: Any, labels: Sequence[str], where: str) -> None:
    if gaps.any():
        first = labels[int(np.argmax(gaps))]
        count = int(gaps.sum())
        more = f" and of {count - 1} more" if count > 1 else ""
        raise InputError(
            f"{where}: covariate {column!r} of group {first!r}{more} is missing; every group needs "
            "it, so fill it in, or leave these groups out of the data"
        )


def _refuse_collinear(names: Sequence[str], scaled: FloatArray, where: str) -> None:
    """Refuse a column that follows from those before it."""
    for k in range(1, len(names)):
        before, own = scaled[:, :k], scaled[:, k]
        left = own - before @ np.linalg.lstsq(before, own, rcond=None)[0]
        if np.linalg.norm(left) < _ALIKE * np.linalg.norm(own):
            raise InputError(
                f"{where}: covariate {names[k]!r} follows from {quoted(names[:k])}, so their "
                "coefficients cannot be told apart; leave one of them out"
            )
