"""Files with one row a group: a label and a few numbers, CSV or Parquet, of any length.

The engine reads whole columns and the rules are checked on these. Where one is broken, the files
are read again row by row, to say where and what stands there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.rows import (
    SHOWN,
    LabelCheck,
    is_decimal_comma,
    quoted,
    read_number,
    strip_labels,
)
from partialpool.data.sources import (
    MIXED_LINE_ENDS,
    Numbers,
    Source,
    UnexplainedError,
    plain,
)
from partialpool.errors import InputError
from partialpool.types import BoolArray, FloatArray

Values = Mapping[str, FloatArray]
"""Numbers of all rows by role, each of shape (J,)."""

Cells = Mapping[str, str]
"""What stands in a row, as text, by role; the label under `group`."""

_BLOCK = 10_000


@dataclass(frozen=True)
class Rule:
    """What each row must keep to.

    Attributes
    ----------
    broken
        Tells which rows break it, shape (J,), from their numbers.
    says
        Says what is wrong in a row that does.
    """

    broken: Callable[[Values], BoolArray]
    says: Callable[[Cells], str]


@dataclass(frozen=True)
class Layout:
    """What the rows of a table hold.

    Attributes
    ----------
    columns
        Role to column; the group first.
    rules
        What rows must keep to, the first that matters first.
    fill
        Gives numbers that may be left out.
    """

    columns: Mapping[str, str]
    rules: Sequence[Rule]
    fill: Callable[[Values], Values] = dict

    @property
    def roles(self) -> list[str]:
        """Roles of the columns of numbers."""
        return [role for role in self.columns if role != "group"]

    @property
    def any_number(self) -> str:
        """Roles of the columns of numbers, for a sentence."""
        *others, last = self.roles
        return f"{', '.join(others)} or {last}"


@dataclass(frozen=True)
class Table:
    """A table that keeps to its rules.

    Attributes
    ----------
    labels
        Label of each row, without blanks around it.
    values
        Numbers by role.
    notes
        What was repaired or left out, one sentence each.
    """

    labels: list[str]
    values: Values
    notes: tuple[str, ...]


# --- columns ------------------------------------------------------------------------------------


def known_columns(header: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Find columns by the names under which they are known, whatever their case.

    Parameters
    ----------
    header
        Names of all columns.
    known
        Role to names in lower case.

    Returns
    -------
    dict
        Role to column, where there is one such column and not several.
    """
    found = {
        role: [column for column in header if column.lower() in names]
        for role, names in known.items()
    }
    return {role: columns[0] for role, columns in found.items() if len(columns) == 1}


def group_column(header: Sequence[str], taken: Sequence[str]) -> str | None:
    """Find the column of groups: `group`, or the only one that is left."""
    left = [column for column in header if column not in taken]
    if "group" in left:
        return "group"
    return left[0] if len(left) == 1 else None


def check_columns(columns: Mapping[str, str], header: Sequence[str], *, path: Path) -> None:
    """Refuse names that do not single out a column for each role.

    Raises
    ------
    InputError
        A column is absent, occurs twice or has two roles.
    """
    for name in columns.values():
        if header.count(name) != 1:
            raise InputError(
                f"{path}: column {name!r} occurs {header.count(name)} times, and once is needed; "
                f"the columns are {quoted(header)}"
            )
    if len(set(columns.values())) < len(columns):
        *roles, last = columns
        raise InputError(
            f"{path}: {', '.join(roles)} and {last} must be {len(columns)} columns, not "
            f"{quoted(list(columns.values()))}"
        )


# --- rows ---------------------------------------------------------------------------------------


def read_table(source: Source, layout: Layout, *, drop_missing: bool) -> Table:
    """Read all rows and check them.

    Parameters
    ----------
    source
        The files.
    layout
        Which columns are read, and what they must keep to.
    drop_missing
        Whether rows without one of the numbers are left out, and counted, rather than refused.

    Raises
    ------
    InputError
        Whatever makes a row unusable, with its place and what stands there.
    """
    import duckdb

    numbers = {role: source.numbers(layout.columns[role]) for role in layout.roles}
    source.engine.execute("SET preserve_insertion_order = true")
    try:
        labels, read = _columns(source, layout.columns["group"], numbers)
        wrong = _wrong(source, numbers, read)
    except duckdb.Error as error:
        problem = _explain(source, layout, drop_missing, error)
        if isinstance(problem, UnexplainedError) and source.relax():
            table = read_table(source, layout, drop_missing=drop_missing)
            return replace(table, notes=(MIXED_LINE_ENDS, *table.notes))
        raise problem from None
    filled = layout.fill(read)
    gaps = np.any([np.isnan(column) for column in filled.values()], axis=0)
    values = {role: column[~gaps] for role, column in filled.items()}
    refused = (gaps.any() and not drop_missing) or gaps.all()
    if wrong or refused or any(rule.broken(values).any() for rule in layout.rules):
        raise _explain(source, layout, drop_missing)
    try:
        clean, notes = strip_labels(labels[~gaps].tolist(), lambda _: source.where)
    except InputError:
        raise _explain(source, layout, drop_missing) from None
    if dropped := int(gaps.sum()):
        rows = "row" if dropped == 1 else "rows"
        notes = (f"{dropped} {rows} without {layout.any_number} left out", *notes)
    return Table(clean, values, notes)


def _columns(
    source: Source, label: str, numbers: Mapping[str, Numbers]
) -> tuple[Any, dict[str, FloatArray]]:
    """Labels as they stand in the files, and numbers, NaN where there is none."""
    selected = [f"CAST({source.label(label)} AS VARCHAR) AS label"]
    selected += [f"{column.number} AS v{k}" for k, column in enumerate(numbers.values())]
    raw = source.engine.execute(f"SELECT {', '.join(selected)} FROM {source.table}").fetchnumpy()
    values = {role: plain(raw[f"v{k}"]) for k, role in enumerate(numbers)}
    return np.ma.filled(raw["label"], ""), values


def _wrong(source: Source, numbers: Mapping[str, Numbers], values: Values) -> bool:
    """Whether a value that is no number is wrong, rather than missing."""
    return any(
        int(np.isnan(values[role]).sum()) != source.count_missing(column)
        for role, column in numbers.items()
        if np.isnan(values[role]).any()
    )


def _explain(
    source: Source, layout: Layout, drop_missing: bool, error: Exception | None = None
) -> InputError:
    """Read the files row by row, and say what is wrong first, and in how many rows."""
    first, places = "", []
    total = left_out = 0
    labels = LabelCheck()
    rows = source.rows(list(layout.columns.values()), keep_empty=drop_missing)
    while block := list(itertools.islice(rows, _BLOCK)):
        cells = {role: [row[1][k] for row in block] for k, role in enumerate(layout.columns)}
        problems, gaps = _problems(layout, cells, decimal=source.decimal, drop_missing=drop_missing)
        for i, (place, _) in enumerate(block):
            problem = problems.get(i) or ("" if gaps[i] else labels.problem(cells["group"][i]))
            if problem:
                first = first or f"{place}: {problem}"
                places.append(place)
        total += len(block)
        left_out += int(gaps.sum())
    if total == 0:
        return InputError(f"{source.where}: at least one row is needed, and there is none")
    if len(places) > 1:
        shown = ", ".join(source.within(place) for place in places[:SHOWN])
        more = " ..." if len(places) > SHOWN else ""
        return InputError(
            f"{first}. {len(places):,} of {total:,} rows cannot be used: {shown}{more}"
        )
    if first:
        return InputError(first)
    if left_out == total:
        return InputError(f"{source.where}: every row lacks {layout.any_number}")
    return source.unexplained(error)


def _problems(
    layout: Layout, cells: Mapping[str, Sequence[str]], *, decimal: str, drop_missing: bool
) -> tuple[dict[int, str], BoolArray]:
    """Say what is wrong in some rows, by position, and which others are left out."""
    problems: dict[int, str] = {}
    read = {role: [read_number(text, decimal) for text in cells[role]] for role in layout.roles}
    values = layout.fill({role: np.array(column, dtype=float) for role, column in read.items()})
    gaps = np.any([np.isnan(column) for column in values.values()], axis=0)
    for role, column in read.items():
        for i in [i for i, x in enumerate(column) if x is None or x != x]:
            wrong, text = column[i] is None, cells[role][i]
            if wrong or (np.isnan(values[role][i]) and not drop_missing):
                hint = ". --decimal ',' reads decimal commas" if is_decimal_comma(text) else ""
                if not wrong:
                    hint = ". --drop-missing leaves out rows in which a number is missing"
                problems.setdefault(i, f"{role} is {text!r}; a finite number is needed{hint}")
    gaps[list(problems)] = False
    for rule in layout.rules:
        for i in np.flatnonzero(rule.broken(values) & ~gaps).tolist():
            problems.setdefault(i, rule.says({role: column[i] for role, column in cells.items()}))
    return problems, gaps
