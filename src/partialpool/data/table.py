"""Files with one row a group: a label and a few numbers, CSV or Parquet, of any length.

The engine reads whole columns and the rules are checked on these. Where one is broken, the files
are read again row by row, to say where and what stands there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.engine import Numbers, Source, plain
from partialpool.data.files import within
from partialpool.data.labels import LabelCheck, nul_problem, strip_labels
from partialpool.data.rows import SHOWN, quoted, refuse_doubtful_points
from partialpool.data.spelling import Advice
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
    found = _by_columns(source, layout, drop_missing=drop_missing)
    if found is None:
        found = _row_by_row(source, layout, drop_missing=drop_missing)
    for role in layout.roles if not source.spelling.certain else ():
        column = layout.columns[role]
        refuse_doubtful_points(
            source.begin(column), paths=source.paths, column=column, spelling=source.spelling
        )
    return found


def _by_columns(source: Source, layout: Layout, *, drop_missing: bool) -> Table | None:
    """Read whole columns; None where the engine refuses the file, or a row seems to be wrong."""
    import duckdb

    numbers = {role: source.numbers(layout.columns[role]) for role in layout.roles}
    source.engine.execute("SET preserve_insertion_order = true")
    try:
        for way in ("quick", "number"):
            labels, read = _columns(source, layout.columns["group"], numbers, way)
            if not (wrong := _wrong(source, numbers, read)):
                break
        wrong = wrong or any(map(source.mixes_units, numbers.values()))
    except duckdb.Error:
        return None
    filled = layout.fill(read)
    gaps = np.any([np.isnan(column) for column in filled.values()], axis=0)
    values = {role: column[~gaps] for role, column in filled.items()}
    if wrong or gaps.all() or (gaps.any() and not drop_missing):
        return None
    if any(map(nul_problem, labels[gaps].tolist())):
        return None
    if any(rule.broken(values).any() for rule in layout.rules):
        return None
    try:
        return _table(layout, labels[~gaps].tolist(), values, left_out=int(gaps.sum()))
    except InputError:
        return None


def _table(layout: Layout, labels: Sequence[str], values: Values, *, left_out: int) -> Table:
    """Strip the labels, and note what was done."""
    clean, notes = strip_labels(labels, str)
    if left_out:
        rows = "row" if left_out == 1 else "rows"
        notes = (f"{left_out} {rows} without {layout.any_number} left out", *notes)
    return Table(clean, values, notes)


def _columns(
    source: Source, label: str, numbers: Mapping[str, Numbers], way: str
) -> tuple[Any, dict[str, FloatArray]]:
    """Labels as they stand in the files, and numbers, NaN where there is none."""
    selected = [f"CAST({source.label(label)} AS VARCHAR) AS label"]
    selected += [f"{getattr(column, way)} AS v{k}" for k, column in enumerate(numbers.values())]
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


def _row_by_row(source: Source, layout: Layout, *, drop_missing: bool) -> Table:
    """Read row by row: to say what is wrong first and in how many rows, or to find nothing wrong.

    Nothing is wrong with files that the engine is too strict about: of mixed line ends, say.
    """
    first, places = "", []
    labels: list[str] = []
    blocks: list[Values] = []
    total = 0
    check = LabelCheck()
    advice = {role: Advice(source.spelling) for role in layout.roles}
    rows = source.rows(list(layout.columns.values()), keep_empty=drop_missing)
    while block := list(itertools.islice(rows, _BLOCK)):
        cells = {role: [row[1][k] for row in block] for k, role in enumerate(layout.columns)}
        values, problems, gaps = _checked(layout, cells, advice, drop_missing=drop_missing)
        for i, ((place, _), label) in enumerate(zip(block, cells["group"], strict=True)):
            of_label = nul_problem(label) if gaps[i] else check.problem(label)
            problem = problems.get(i) or of_label
            if problem:
                first = first or f"{place}: {problem}"
                places.append(place)
            elif not gaps[i]:
                labels.append(label)
        blocks.append({role: column[~gaps] for role, column in values.items()})
        total += len(block)
    if total == 0:
        raise InputError(f"{source.where}: at least one row is needed, and there is none")
    hints = "".join(dict.fromkeys(each.options for each in advice.values()))
    if len(places) > 1:
        shown = ", ".join(within(source.paths, place) for place in places[:SHOWN])
        more = " ..." if len(places) > SHOWN else ""
        raise InputError(
            f"{first}. {len(places):,} of {total:,} rows cannot be used: {shown}{more}{hints}"
        )
    if first:
        raise InputError(first + hints)
    for role, each in advice.items():
        if each.mixes_units:
            raise InputError(f"{source.where}: column {layout.columns[role]!r}: {each.mixes_units}")
    if not labels:
        raise InputError(f"{source.where}: every row lacks {layout.any_number}")
    joined = {role: np.concatenate([block[role] for block in blocks]) for role in layout.roles}
    return _table(layout, labels, joined, left_out=total - len(labels))


def _checked(
    layout: Layout,
    cells: Mapping[str, Sequence[str]],
    advice: Mapping[str, Advice],
    *,
    drop_missing: bool,
) -> tuple[Values, dict[int, str], BoolArray]:
    """Numbers of some rows, what is wrong by position, and which others are left out."""
    problems: dict[int, str] = {}
    read = {
        role: [each.spelling.number(text) for text in cells[role]] for role, each in advice.items()
    }
    for role, each in advice.items():
        for text, number in zip(cells[role], read[role], strict=True):
            if number is None or number == number:
                each.meet(text, good=number is not None)
    values = layout.fill({role: np.array(column, dtype=float) for role, column in read.items()})
    gaps = np.any([np.isnan(column) for column in values.values()], axis=0)
    for role, column in read.items():
        for i in [i for i, x in enumerate(column) if x is None or x != x]:
            wrong, text = column[i] is None, cells[role][i]
            if wrong or (np.isnan(values[role][i]) and not drop_missing):
                drop = ". --drop-missing leaves out rows in which a number is missing"
                hint = "" if wrong else drop
                problems.setdefault(i, f"{role} is {text!r}; a finite number is needed{hint}")
    gaps[list(problems)] = False
    for rule in layout.rules:
        for i in np.flatnonzero(rule.broken(values) & ~gaps).tolist():
            problems.setdefault(i, rule.says({role: column[i] for role, column in cells.items()}))
    return values, problems, gaps
