"""Columns of the data for a program that names them: shapes as declared, labels as they are.

A size in the data block counts rows (`N`), groups (`J`), the labels of another column, or the
columns of a matrix. Which it is follows from its name, from what is declared with it, and from the
columns: one that differs within groups is by row, an index up to a size counts the labels of its
column, and so does a size that `--column` gives a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.data import GroupedData
from partialpool.data.columns import (
    group_column,
    names_of,
    numbers_of,
    read_columns,
    spelling_of,
)
from partialpool.errors import InputError
from partialpool.families.order import places
from partialpool.programs import Program
from partialpool.programs.declarations import Declaration, read_inputs, read_outputs
from partialpool.types import IntArray

_BY_ROW = ("y", "group")
_ROWS, _GROUPS, _COVARIATES, _OUTER = "N", "J", "K", "K"


@dataclass(frozen=True)
class Axis:
    """What a dimension runs over.

    Attributes
    ----------
    name
        `observation`, `group`, the column whose labels it has, or the matrix whose columns.
    labels
        Its labels, in order.
    codes
        Index (from 0) of each row's label; empty where the axis is no property of rows.
    """

    name: str
    labels: tuple[str, ...]
    codes: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def label(self) -> str:
        """What one of its labels is called, for messages."""
        return "row" if self.name == "observation" else self.name


class Columns:
    """The columns of a data set, read when they are asked for, and the sizes that they settle.

    Parameters
    ----------
    program
        The program that asks.
    data
        The data set.

    Attributes
    ----------
    cells
        Column to its text by row, of those that were read.
    sizes
        Size in the data block to what it counts.
    """

    def __init__(self, program: Program, data: GroupedData) -> None:
        self._data, self._title = data, program.path
        self._renamed = program.columns
        self.cells: dict[str, list[str]] = {}
        self._header: tuple[str, ...] | None = None
        self.declared = read_inputs(program)
        one_a_group = data.family.rows_are_groups or not data.has_observations
        codes = np.arange(data.stats.J) if one_a_group else data.group
        self.groups = Axis("group", data.labels, codes)
        numbered = tuple(str(k) for k in range(1, len(codes) + 1))
        rows = Axis("observation", numbered, np.arange(len(codes)))
        self.rows = self.groups if one_a_group else rows
        self.sizes: dict[str, Axis] = {_GROUPS: self.groups}
        if data.has_observations:
            self.sizes[_ROWS] = self.rows
        if data.stats.covariates is not None:
            self.sizes[_COVARIATES] = Axis("covariate", data.stats.covariates.names)
        if data.stats.nesting is not None:
            self.sizes[_OUTER] = Axis("outer_group", data.stats.nesting.labels)

    @property
    def header(self) -> tuple[str, ...]:
        """Names of all columns."""
        if self._header is None:
            self._header = names_of(self._data)
        return self._header

    def columns_of(self, name: str) -> tuple[str, ...]:
        """Columns that an input of the program is given, by `--column` or by its own name.

        A matrix X without such columns is made of X_1, X_2 and so on, as many as there are.
        """
        wanted = self._renamed.get(name, (name,))
        if all(each in self.header for each in wanted):
            return wanted
        if name in self._renamed:
            unknown = next(each for each in wanted if each not in self.header)
            raise InputError(
                f"--column {name}={','.join(wanted)}: the data have no column {unknown!r}; there "
                f"are {', '.join(map(repr, self.header))}"
            )
        numbered: list[str] = []
        while f"{name}_{len(numbered) + 1}" in self.header:
            numbered.append(f"{name}_{len(numbered) + 1}")
        known = self.declared.get(name)
        return tuple(numbered) if known is not None and len(known.sizes) == 2 else ()

    def settle(self, wanted: Mapping[str, Sequence[str]], pending: Sequence[str]) -> None:
        """Find out what the sizes of the data block count.

        Parameters
        ----------
        wanted
            Input to its columns.
        pending
            Inputs that nothing gives, some of which are sizes.

        Raises
        ------
        InputError
            A size may count one thing or another.
        """
        for name, [first, *others] in self._renamed.items():
            if not others and first in (_ROWS, _GROUPS) and first in self.sizes:
                self.sizes[name] = self.sizes[first]
        declared = {name: d for name, d in self.declared.items() if d.sizes}
        for name, each in declared.items():
            if name in _BY_ROW and each.sizes[0].isidentifier():
                self.sizes.setdefault(each.sizes[0], self.rows)
        for name, columns in wanted.items():
            each = self.declared[name]
            if name in self._renamed and not each.sizes and each.type == "int":
                along = self.axis(columns[0])
                if len(along.labels) > 1:
                    self.sizes[name] = along
            if each.is_index and len(columns) == 1 and each.upper not in self.sizes:
                self.sizes[each.upper] = self.axis(columns[0])
            if len(each.sizes) == 2 and each.sizes[1].isidentifier():
                self.sizes.setdefault(each.sizes[1], Axis(f"{name}_column", tuple(columns)))
        for name, columns in wanted.items():
            each = self.declared[name]
            if each.sizes and each.sizes[0] not in self.sizes:
                if all(self._constant(column, self.groups) for column in columns):
                    continue
                self.sizes[each.sizes[0]] = self.rows
        self._refuse_doubtful(declared, wanted, pending)

    def _refuse_doubtful(
        self,
        declared: Mapping[str, Declaration],
        wanted: Mapping[str, Sequence[str]],
        pending: Sequence[str],
    ) -> None:
        for name in wanted:
            sizes = self.declared[name].sizes
            if sizes and sizes[0] not in self.sizes and sizes[0].isidentifier():
                raise InputError(
                    f"{self._title}: {name} has the size {sizes[0]}, which may count rows or "
                    f"groups: say which with --column {sizes[0]}=N or --column {sizes[0]}=J"
                )
        used = {size for each in declared.values() for size in each.sizes}
        used |= {each.upper for each in declared.values()}
        others = [n for n in pending if n in used and self.sizes.get(n) is self.rows]
        if others and _ROWS in self.declared and _ROWS not in used | self._renamed.keys():
            raise InputError(
                f"{self._title}: its rows are counted by {others[0]}, so N may count something "
                "else: say what with --column N=N (rows) or --column N=J (groups)"
            )

    def axes(self, program: Program) -> dict[str, tuple[Axis | None, ...]]:
        """What each dimension of what a program writes runs over; None where that is not known."""
        return {
            name: tuple(self.sizes.get(size) for size in each.sizes)
            for name, each in read_outputs(program).items()
        }

    def effects(self, program: Program) -> tuple[IntArray | int, ...] | None:
        """Indices (from 0) of each group's effect in the variable that holds the effects.

        Raises
        ------
        InputError
            A column that is not constant within groups, or another number of dimensions.
        """
        name, given = program.effect
        dimensions = program.outputs[name]
        if not given and dimensions == 1:
            along = self.axes(program).get(name, (None,))[0]
            return (self._by_group(along),) if along is not None else None
        if len(given) != dimensions:
            raise InputError(
                f"--theta {program.effects}: {name} has {dimensions} dimensions; give an index for "
                "each, a column or a number, such as 'b[school,1]'"
            )
        return tuple(
            int(index) - 1 if index.isdecimal() else self._by_group(self.axis(index))
            for index in given
        )

    def _by_group(self, along: Axis) -> IntArray:
        """Index of each group's label on an axis."""
        if along.name == "group" or (
            along.name == "observation" and (self._data.stats.counts == 1).all()
        ):
            return np.arange(len(along.labels))
        found = np.empty(len(self.groups.labels), dtype=np.int64)
        found[self.groups.codes] = along.codes
        if (found[self.groups.codes] != along.codes).any():
            raise InputError(
                f"--theta: {along.label} differs within groups, so it says nothing of their effects"
            )
        return found

    def axis(self, column: str) -> Axis:
        """Labels of a column; those of the groups where it holds the groups."""
        if column == group_column(self._data):
            self._read(column)  # a job that goes elsewhere takes along what was read
            return self.groups
        labels, codes = self._coded(column)
        if "" in labels:
            raise InputError(f"{self._data.source}: column {column!r} has a blank label")
        return Axis(column, labels, codes)

    def _coded(self, column: str) -> tuple[tuple[str, ...], IntArray]:
        cells = [cell.strip() for cell in self._read(column)]
        labels, index = places(cells)
        return tuple(labels), index

    def value(self, name: str, columns: Sequence[str]) -> Any:
        """Value of an input, in the shape that is declared.

        Raises
        ------
        InputError
            The columns do not fit the declaration.
        """
        each = self.declared[name]
        if len(each.sizes) > 2 or (len(columns) > 1 and len(each.sizes) != 2):
            raise InputError(
                f"{self._title}: {name} has {len(each.sizes)} dimensions, which "
                f"{len(columns)} columns do not make up"
            )
        if len(each.sizes) == 2:
            return np.column_stack([self._vector(each, column) for column in columns])
        if each.sizes:
            return self._vector(each, columns[0])
        if name in self.sizes:
            return len(self.sizes[name].labels)
        values = np.unique(self._numbers(each, columns[0]))
        if len(values) != 1:
            raise InputError(
                f"{self._title}: {name} is a single number, and column {columns[0]!r} has "
                f"{len(values)} different ones"
            )
        return values[0].item()

    def _vector(self, each: Declaration, column: str) -> NDArray[Any]:
        along = self.sizes.get(each.sizes[0])
        if along is None or not len(along.codes):
            raise InputError(
                f"{self._title}: {each.name} has the size {each.sizes[0]}, and column {column!r} "
                "is by row, by group, or by the label of another column"
            )
        values = self._numbers(each, column)
        if along.name == "observation":
            return values
        if not self._constant(column, along):
            j = next(
                k
                for k in range(len(along.labels))
                if len(set(values[along.codes == k].tolist())) > 1
            )
            raise InputError(
                f"{self._title}: {each.name} is by {along.label}, and column {column!r} has "
                f"different values in {along.labels[j]!r}"
            )
        found = np.empty(len(along.labels), dtype=values.dtype)
        found[along.codes] = values
        return found

    def _numbers(self, each: Declaration, column: str) -> NDArray[Any]:
        """Numbers of all rows: codes from 1 where labels are asked for."""
        spelling = spelling_of(self._data)
        if each.is_index and each.upper in self.sizes:
            return self._index(each, column) + 1
        if each.is_index or (each.type == "int" and column == group_column(self._data)):
            return self.axis(column).codes + 1
        cells = self._read(column)
        numbers = numbers_of(cells, self._data, column)
        if numbers is None and each.type == "int":
            return self.axis(column).codes + 1
        bad = (
            [k for k, cell in enumerate(cells) if spelling.number(cell) is None]
            if numbers is None
            else np.flatnonzero(np.isnan(numbers)).tolist()
        )
        if numbers is None or bad:
            raise InputError(
                f"{self._data.source}: {each.name} needs numbers, and column {column!r} has "
                f"{cells[bad[0]]!r} in row {bad[0] + 1}"
            )
        if each.type == "int" and (numbers != np.round(numbers)).any():
            odd = numbers[numbers != np.round(numbers)][0]
            raise InputError(
                f"{self._title}: {each.name} is declared as integers, and column {column!r} has "
                f"{odd:g}"
            )
        return numbers.astype(np.int64) if each.type == "int" else numbers

    def _index(self, each: Declaration, column: str) -> IntArray:
        """Codes of a column on the axis that an index runs over, of which it has other labels, too.

        Raises
        ------
        InputError
            The labels are not those of the axis, one for one.
        """
        own, along = self.axis(column), self.sizes[each.upper]
        pairs = set(zip(own.codes.tolist(), along.codes.tolist(), strict=False))
        if len(along.codes) and not len(pairs) == len(own.labels) == len(along.labels):
            raise InputError(
                f"{self._title}: {each.name} counts up to {each.upper}, which is by {along.label}, "
                f"and the labels of column {column!r} are others: they do not go one with one"
            )
        return along.codes if len(along.codes) else own.codes

    def _constant(self, column: str, along: Axis) -> bool:
        """Whether a column has one value for each label of an axis."""
        codes = self._coded(column)[1]
        first = np.empty(len(along.labels), dtype=np.int64)
        first[along.codes] = codes
        return bool((first[along.codes] == codes).all())

    def _read(self, column: str) -> list[str]:
        if column not in self.cells:
            self.cells |= read_columns(self._data, [column])
        return self.cells[column]


def keyed(columns: Columns, name: str, value: Any, *, where: str) -> tuple[Any, str]:
    """Put values that are given by label in order; say in which order unlabelled ones are taken.

    Parameters
    ----------
    columns
        The sizes of the program's data block.
    name, value
        The input, and what is given for it.
    where
        What messages call the place that it is given in.

    Returns
    -------
    value, note
        The note is empty where no order matters.

    Raises
    ------
    InputError
        Labels that are not those of the data.
    """
    each = columns.declared.get(name)
    if each is None or not each.sizes or each.type not in _PLAIN:
        return value, ""
    along = columns.sizes.get(each.sizes[0])
    if isinstance(value, Mapping):
        if along is None:
            raise InputError(
                f"{where}: {name} is given by label, and its size {each.sizes[0]} counts neither "
                "groups nor rows nor the labels of a column; give a list"
            )
        given = {str(label): one for label, one in value.items()}
        wrong = sorted({*given} ^ {*along.labels}, key=lambda x: (x in along.labels, x))
        if wrong:
            what = "no value for" if wrong[0] in along.labels else "a value for an unknown"
            raise InputError(f"{where}: {name} has {what} {along.label} {wrong[0]!r}")
        return [given[label] for label in along.labels], ""
    alike = isinstance(value, list) and all(one == value[0] for one in value)
    if along is None or len(along.labels) < 2 or alike:
        return value, ""
    if along.name == "observation":
        return value, f"{name} of {where} is taken in the order of the rows of the data"
    shown = ", ".join(along.labels[:_SHOWN]) + (" ..." if len(along.labels) > _SHOWN else "")
    return value, (
        f"{name} of {where} is taken in this order of {along.label}: {shown}; "
        '{"label": value} in place of a list leaves no doubt'
    )


_PLAIN = ("int", "real", "vector", "row_vector", "matrix")
_SHOWN = 12
