"""Further columns of the data, by row: read when a program names them.

Rows come in the order in which the data have them: that of the files for observations, that of the
groups where each group is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from partialpool.data.engine import open_engine
from partialpool.data.files import are_tables
from partialpool.data.grouped import GroupedData
from partialpool.data.rows import (
    FIRST_ROWS,
    csv_rows,
    file_rows,
    quoted,
    refuse_doubtful_points,
    take_header,
)
from partialpool.data.sources import open_source
from partialpool.data.spelling import BETWEEN, Advice, Spelling
from partialpool.errors import InputError
from partialpool.types import FloatArray, IntArray

_MOST_COMBINATIONS = 100  # of one group, each with values that may be one in several spellings


def names_of(data: GroupedData) -> tuple[str, ...]:
    """Names of the columns that there are."""
    if data.columns or "files" not in data.reading or data.reading.get("wide"):
        return tuple(data.columns)
    paths = _paths(data)
    if not are_tables(paths):
        spelling = spelling_of(data)
        header = take_header(file_rows(paths[0], spelling), paths[0])
        return tuple(spelling.joining(header, paths[0]))
    with open_engine() as engine:
        return tuple(open_source(engine, paths[:1], spelling_of(data)).header)


def spelling_of(data: GroupedData) -> Spelling:
    """How the files of the data are written; as plain CSV where they came from elsewhere."""
    return Spelling.recorded(data.reading)


def group_column(data: GroupedData) -> str:
    """Name of the column of groups; empty for data that came from elsewhere."""
    named = data.reading.get("columns", {}).get("group", "")
    return named if isinstance(named, str) else BETWEEN.join(named)


def read_columns(data: GroupedData, names: Sequence[str]) -> dict[str, list[str]]:
    """Read columns as text, a value a row.

    Raises
    ------
    InputError
        There is no such column or it has another length, no row is at hand, or the files have
        changed.
    """
    return {name: [cell for _, cell in found] for name, found in placed(data, names).items()}


def placed(data: GroupedData, names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Read columns as text, each value with its place: the file and the line, or the row.

    Raises
    ------
    InputError
        As from `read_columns`.
    """
    check_names(data, names)
    if data.columns:
        needed = len(data.y) or data.stats.J
        for name in names:
            if len(data.columns[name]) != needed:
                raise InputError(
                    f"{data.name}: column {name!r} has {len(data.columns[name])} values for "
                    f"{needed} rows"
                )
        return {
            name: [
                (f"{data.name}, row {row}", str(value))
                for row, value in enumerate(data.columns[name], start=1)
            ]
            for name in names
        }
    by_group = len(data.y) == 0 or data.family.rows_are_groups
    if by_group and set(data.reading["columns"]) <= {"group", "value"}:
        raise InputError(
            f"{data.name}: of its rows only the statistics by group are at hand, and columns "
            f"{quoted(names)} are by row; --most-observations keeps more rows"
        )
    roles = data.reading["columns"]
    spelling, drop_missing = spelling_of(data), data.reading["drop_missing"]
    labels = data.labels if data.stats.nesting is None else data.stats.nesting.full(data.labels)
    wanted = [group_column(data), *([] if by_group else [roles["value"]]), *names]
    rows = _rows(data, wanted, keep_empty=drop_missing)
    if by_group:
        at = {cells[0].strip(): (place, cells[1:]) for place, cells in rows}
        kept = [at[label] for label in labels if label in at]
        same = len(kept) == len(labels)
    else:
        index = {label: j for j, label in enumerate(labels)}
        numbers = [spelling.number(cells[1]) for _, cells in rows]
        there = [i for i, y in enumerate(numbers) if y is not None and y == y]
        kept = [(rows[i][0], rows[i][1][2:]) for i in there]
        groups = [index.get(rows[i][1][0].strip()) for i in there]
        y = np.array([numbers[i] for i in there], dtype=float)
        if data.log and (y > 0).all():
            y = np.log(y)
        same = groups == data.group.tolist() and y.tolist() == data.y.tolist()
    if not same:
        raise changed(data)
    return {name: [(place, cells[k]) for place, cells in kept] for k, name in enumerate(names)}


def read_distinct(data: GroupedData, names: Sequence[str]) -> tuple[IntArray, dict[str, list[str]]]:
    """Read what stands in columns beside each group, as text, each combination once.

    For observations of which only the statistics by group are at hand. Rows without an outcome
    count where the data have them. A group with very many combinations is not read to its end.

    Returns
    -------
    array
        Group of each combination.
    dict
        Column to its cells, one a combination.

    Raises
    ------
    InputError
        There is no such column, the files cannot be read, or they have changed.
    """
    check_names(data, names)
    index = {label: j for j, label in enumerate(data.labels)}
    found: list[tuple[int, list[str]]] = []
    count = np.zeros(len(index), dtype=np.int64)
    with open_engine() as engine:
        source = open_source(engine, _paths(data), spelling_of(data))
        outcome = source.numbers(data.reading["columns"]["value"])
        present = outcome if data.reading["drop_missing"] else None
        for label, *cells in source.distinct([group_column(data), *names], present=present):
            j = index.get(label.strip())
            if j is None:
                continue
            found.append((j, [cell.strip() for cell in cells]))
            count[j] += 1
            if count[j] > _MOST_COMBINATIONS:
                break
    if count.max() <= _MOST_COMBINATIONS and not count.all():
        raise changed(data)
    found.sort()
    columns = {name: [cells[k] for _, cells in found] for k, name in enumerate(names)}
    return np.array([j for j, _ in found], dtype=np.int64), columns


def check_names(data: GroupedData, names: Sequence[str]) -> None:
    """Refuse a column that is not there, and name those that are.

    Raises
    ------
    InputError
        There is no such column.
    """
    known = names_of(data)
    for name in names:
        if name not in known:
            raise InputError(f"{data.name}: there is no column {name!r}; there are {quoted(known)}")


def changed(data: GroupedData) -> InputError:
    """Say that the files hold other rows than they did."""
    return InputError(
        f"{data.source}: its rows are not those that were read before; read the data again"
    )


def numbers_of(cells: Sequence[str], data: GroupedData, column: str) -> FloatArray | None:
    """Numbers that a column holds, NaN where one is missing; None where it holds other text.

    Raises
    ------
    InputError
        It holds numbers whose marks are others than those of the data, or may be others.
    """
    spelling = spelling_of(data)
    found = [spelling.number(text) for text in cells]
    if None not in found:
        begin = [(f"row {row}", cell) for row, cell in enumerate(cells[:FIRST_ROWS], start=1)]
        refuse_doubtful_points(begin, paths=[Path(data.source)], column=column, spelling=spelling)
        return np.array(found, dtype=float)
    refuse_marks(cells, data, column, lambda row: f" in row {row + 1}")
    return None


def refuse_marks(
    cells: Sequence[str], data: GroupedData, column: str, place: Callable[[int], str]
) -> None:
    """Refuse text that is numbers, but for marks that are others than those of the data.

    Parameters
    ----------
    cells
        What stands in the column, or each of it once.
    data, column
        The data and the column's name.
    place
        Says where a cell stands, by its index, with a blank before.

    Raises
    ------
    InputError
        With the options that say what the marks are.
    """
    spelling = spelling_of(data)
    good = [spelling.number(text) is not None for text in cells]
    advice = Advice(spelling)
    for text, number in zip(cells, good, strict=True):
        advice.meet(text, good=number)
    if advice.only_marks and advice.options:
        at = good.index(False)
        raise InputError(
            f"{data.source}: column {column!r} has {cells[at]!r}{place(at)}{advice.options}"
        )


def _paths(data: GroupedData) -> list[Path]:
    return [Path(file) for file in data.reading["files"]]


def _rows(
    data: GroupedData, names: Sequence[str], *, keep_empty: bool
) -> list[tuple[str, tuple[str, ...]]]:
    """Place of each row, and what stands in some columns."""
    paths, spelling = _paths(data), spelling_of(data)
    if are_tables(paths):
        with open_engine() as engine:
            return list(open_source(engine, paths, spelling).rows(names, keep_empty=keep_empty))
    header = names_of(data)
    return list(csv_rows(paths, header, names, spelling=spelling, keep_empty=keep_empty))
