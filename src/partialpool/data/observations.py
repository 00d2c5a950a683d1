"""Small CSV files of observations, read row by row and kept as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from partialpool.data.description import about_files, one_group, read_description, spelling_of_file
from partialpool.data.files import sha256_of
from partialpool.data.grouped import GroupedData, group_values
from partialpool.data.labels import strip_labels
from partialpool.data.rows import (
    check_header,
    checked_observations,
    csv_rows,
    file_rows,
    find_columns,
    take_header,
)
from partialpool.data.spelling import Spelling
from partialpool.errors import InputError


def read_csv(
    path: str | Path,
    *,
    group: str | None = None,
    value: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    unit: str | None = None,
    missing: Sequence[str] | None = None,
    encoding: str | None = None,
    drop_missing: bool = False,
) -> GroupedData:
    """Read grouped data from a CSV file with a header line.

    A TOML file of the same name beside it may name the columns, labels, unit and priors;
    arguments given here win over it. Without either, a file of exactly two columns is read as
    group, value.

    Parameters
    ----------
    path
        The file: text, also compressed, or an Excel workbook; one observation a row.
    group, value
        Names of the columns that hold the groups and the outcome.
    delimiter
        Character between fields: a comma, or what a first line such as `sep=;` states.
    decimal
        Mark before the decimals of a number: `.` or `,`. Where it is not given it is the point,
        and points that seem to stand between thousands are refused.
    thousands
        Mark between thousands: `.`, `,`, a blank, an apostrophe or `_`; none where not given.
    unit
        What stands beside the numbers, such as `%`.
    missing
        What stands for a missing number besides empty fields, NA and their like: -999, say.
    encoding
        How bytes are characters; UTF-8 (or UTF-16 with a byte-order mark) where not given.
    drop_missing
        Leave out rows whose outcome is missing (and say how many) instead of refusing the file.

    Raises
    ------
    InputError
        Whatever makes the file unusable, with line, column and value.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.read_csv(pp.example()).stats.J
    8
    """
    path = Path(path)
    if not path.is_file():
        what = "this is a folder; name a CSV file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}")
    spelling = spelling_of_file(
        path,
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        unit=unit,
        missing=missing,
        encoding=encoding,
    )
    data = read_rows(path, spelling, group=group, value=value, drop_missing=drop_missing)
    return replace(data, unit=data.unit or spelling.unit)


def read_rows(
    path: Path,
    spelling: Spelling,
    *,
    group: str | None = None,
    value: str | None = None,
    drop_missing: bool = False,
) -> GroupedData:
    """Read the observations of a file whose spelling is settled, as `read_csv` does."""
    settings = read_description(path)
    group = group or one_group(settings, path)
    value = value or settings.get("value")
    if value is None and "estimate" in settings:
        raise InputError(
            f"{path}: {path.with_suffix('.toml').name} says that it holds estimates with standard "
            "errors; partialpool.read reads these"
        )

    header = spelling.joining(take_header(file_rows(path, spelling), path), path)
    check_header(header, path=path, delimiter=spelling.delimiter)
    names = find_columns(header, group, value, path=path)
    rows = [*csv_rows([path], header, names, spelling=spelling, keep_empty=drop_missing)]
    found = [
        *checked_observations(
            rows, paths=[path], value=names[1], spelling=spelling, drop_missing=drop_missing
        )
    ]
    labels, y = zip(*found, strict=True)
    clean, notes = strip_labels(labels, str)
    if dropped := len(rows) - len(found):
        left_out = f"{dropped} {'row' if dropped == 1 else 'rows'} without an outcome left out"
        notes = (left_out, *notes)
    return group_values(
        y=np.array(y),
        labels=clean,
        notes=notes,
        source=path.name,
        sha256=sha256_of(path),
        reading={
            "files": [str(path.absolute())],
            "columns": dict(zip(("group", "value"), names, strict=True)),
            **spelling.record,
            "drop_missing": drop_missing,
        },
        **about_files([path], settings, group_label=names[0], value_label=names[1]),
    )
