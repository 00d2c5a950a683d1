"""Wide tables: a column for each group, or a row for each, with its observations side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.description import about_files
from partialpool.data.engine import open_engine
from partialpool.data.files import are_tables, fingerprint, sha256_of, short_list
from partialpool.data.grouped import GroupedData, group_values
from partialpool.data.labels import strip_labels
from partialpool.data.rows import (
    check_column,
    check_header,
    checked_observations,
    csv_rows,
    file_rows,
    take_header,
)
from partialpool.data.sources import open_source
from partialpool.data.spelling import BLANKS, MISSING, Spelling
from partialpool.errors import InputError

ALL_COLUMNS = "all columns"


def read_wide(
    paths: Sequence[Path],
    named: Mapping[str, Any],
    spelling: Spelling,
    *,
    settings: Mapping[str, Any],
) -> GroupedData:
    """Read wide tables; a cell that is empty, or holds a missing value, is no observation.

    Parameters
    ----------
    paths
        The files.
    named
        Role to column, of which `group` alone is of use: the column of labels where each row holds
        the observations of a group. Without it, each column holds those of the group that it is
        named after.
    spelling
        How they are written.
    settings
        What the TOML file beside the first file says.

    Raises
    ------
    InputError
        Another role is named, a column has no name, or what makes any file unusable.
    """
    for role in named:
        if role != "group":
            raise InputError(f"--{role} names a column, and --wide takes all of them; give one")
    group = named.get("group") or settings.get("group")
    empty = 0

    def observations() -> Iterator[tuple[str, tuple[str, str]]]:
        nonlocal empty
        header, rows = _rows(paths, spelling)
        if group is not None:
            check_column(group, header, path=paths[0])
        elif "" in header:
            raise InputError(
                f"{paths[0]}: column {header.index('') + 1} has no name; with --wide the name of "
                "each column is a group"
            )
        for place, cells in rows:
            row = dict(zip(header, cells, strict=True))
            label = row.pop(group) if group is not None else ""
            for name, text in row.items():
                if text.strip(BLANKS).lower() in MISSING:
                    empty += 1
                else:
                    yield f"{place} (column {name!r})", (label if group is not None else name, text)

    found = [
        *checked_observations(
            observations(), paths=paths, value=ALL_COLUMNS, spelling=spelling, drop_missing=False
        )
    ]
    labels, y = zip(*found, strict=True)
    clean, notes = strip_labels(labels, lambda i: f"{paths[0]}, value {i + 1}")
    by = "a row for each group" if group is not None else "a column for each group"
    cells = "1 empty cell is" if empty == 1 else f"{empty:,} empty cells are"
    said = f"read as a wide table, {by}" + (f"; {cells} no observation" if empty else "")
    return group_values(
        y=np.array(y),
        labels=clean,
        notes=(said, *notes),
        source=short_list(paths),
        sha256=sha256_of(paths[0]) if len(paths) == 1 else fingerprint(paths),
        reading={"columns": {"group": group} if group is not None else {}},
        **about_files(paths, settings, group_label=group or "group"),
    )


def _rows(
    paths: Sequence[Path], spelling: Spelling
) -> tuple[list[str], Iterator[tuple[str, tuple[str, ...]]]]:
    """Header, and place and cells of each row below it."""
    if not are_tables(paths):
        header = take_header(file_rows(paths[0], spelling), paths[0])
        check_header(header, path=paths[0], delimiter=spelling.delimiter)
        return header, csv_rows(paths, header, header, spelling=spelling, keep_empty=True)
    with open_engine() as engine:
        source = open_source(engine, paths, spelling)
        return source.header, iter([*source.rows(source.header, keep_empty=True)])
