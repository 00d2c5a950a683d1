"""Rows that are to be predicted: labels of groups, and covariates where models know some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from partialpool.data.columns import spelling_of
from partialpool.data.engine import open_engine
from partialpool.data.files import are_tables, expand
from partialpool.data.grouped import GroupedData
from partialpool.data.rows import csv_rows, file_rows, quoted, take_header
from partialpool.data.sources import open_source
from partialpool.data.weights import names_of_weights
from partialpool.errors import InputError


def read_new_rows(
    file: str | Path, data: GroupedData
) -> tuple[list[str | None], Mapping[str, Sequence[str | float]]]:
    """Read which groups rows are of, and their covariates.

    Parameters
    ----------
    file
        CSV, Parquet, Feather or Excel, written as the data's own files are.
    data
        The data, whose column of groups, and whose covariates, the file has, too.

    Returns
    -------
    labels, covariates
        Label of each row, None where it is missing; name of each covariate that the file has to its
        values, numbers or levels, empty text or NaN where one is missing; of groups within groups
        the column of the outer ones to their labels, where the file has it; of observations with
        weights that of the weights, likewise.

    Raises
    ------
    InputError
        No such file, no column of groups in it, no rows, or what is no number.
    """
    paths, spelling = expand(file), replace(spelling_of(data), joined=())
    own, nesting = data.stats.covariates, data.stats.nesting
    group = str(data.reading.get("columns", {}).get("group", data.group_label))
    group = group if nesting is None else nesting.inner_label
    further = own.sources if own else () if nesting is None else (nesting.label,)
    further = further or names_of_weights(data)
    if are_tables(paths):
        with open_engine() as engine:
            source = open_source(engine, paths, spelling)
            header = list(source.header)
            names = _wanted(header, group, further, paths[0])
            rows = list(source.rows(names, keep_empty=True))
    else:
        header = take_header(file_rows(paths[0], spelling), paths[0])
        names = _wanted(header, group, further, paths[0])
        rows = list(csv_rows(paths, header, names, spelling=spelling, keep_empty=True))
    if not rows:
        raise InputError(f"{paths[0]}: at least one row is needed, and there is none")
    missing = spelling.words
    labels = [cells[0].strip() for _, cells in rows]
    found: dict[str, list[str | float]] = {}
    for k, name in enumerate(names[1:], start=1):
        found[name] = []
        for place, cells in rows:
            cell = cells[k].strip()
            if nesting is not None or (own is not None and name in own.levels):
                found[name].append("" if cell.lower() in missing else cell)
                continue
            number = spelling.number(cell)
            if number is None:
                raise InputError(f"{place}: {name} is {cell!r}; a number is needed")
            found[name].append(number)
    return [None if label.lower() in missing else label for label in labels], found


def _wanted(header: Sequence[str], group: str, covariates: Sequence[str], path: Path) -> list[str]:
    """Columns to read: the groups, and the covariates that there are."""
    if group not in header:
        raise InputError(
            f"{path}: new rows need the column of groups, {group!r}; there are {quoted(header)}"
        )
    return [group, *(name for name in covariates if name in header)]
