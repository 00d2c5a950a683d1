"""Small CSV files of observations, read row by row and kept as they are."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from partialpool.data.description import about_files, read_description
from partialpool.data.grouped import GroupedData, group_values
from partialpool.data.rows import (
    SHOWN,
    check_header,
    check_marks,
    check_width,
    find_columns,
    is_decimal_comma,
    numbered_rows,
    read_number,
    read_text,
    strip_labels,
    take_header,
    wrong_values,
)
from partialpool.errors import InputError
from partialpool.types import FloatArray


def read_csv(
    path: str | Path,
    *,
    group: str | None = None,
    value: str | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    drop_missing: bool = False,
) -> GroupedData:
    """Read grouped data from a CSV file with a header line.

    A TOML file of the same name beside it may name the columns, labels, unit and priors;
    arguments given here win over it. Without either, a file of exactly two columns is read as
    group, value.

    Parameters
    ----------
    path
        The file: UTF-8, one observation a row.
    group, value
        Names of the columns that hold the groups and the outcome.
    delimiter
        Character between fields.
    decimal
        Character before the decimals of a number: `.` or `,`.
    drop_missing
        Leave out rows whose outcome is missing (and say how many) instead of refusing the file.

    Raises
    ------
    InputError
        Whatever makes the file unusable, with line, column and value.
    """
    path = Path(path)
    check_marks(delimiter, decimal)
    text, sha256 = read_text(path)
    settings = read_description(path)
    group = group or settings.get("group")
    value = value or settings.get("value")
    if value is None and "estimate" in settings:
        raise InputError(
            f"{path}: {path.with_suffix('.toml').name} says that it holds estimates with standard "
            "errors; partialpool.read reads these"
        )

    numbered = numbered_rows(
        io.StringIO(text, newline=""), path=path, delimiter=delimiter, keep_empty=drop_missing
    )
    header = take_header(numbered, path)
    check_header(header, path=path, delimiter=delimiter)
    names = find_columns(header, group, value, path=path)
    at = [header.index(name) for name in names]
    fields = []
    for line, row in numbered:
        check_width(row, len(header), path, line)
        fields.append((line, row[at[0]], row[at[1]]))
    if not fields:
        raise InputError(f"{path}: there is a header and no row below it")
    kept, y, notes = _numbers(
        fields, column=names[1], path=path, decimal=decimal, drop_missing=drop_missing
    )
    clean, label_notes = strip_labels(
        [label for _, label, _ in kept], lambda i: f"{path}, line {kept[i][0]}"
    )
    return group_values(
        y=y,
        labels=clean,
        notes=notes + label_notes,
        source=path.name,
        sha256=sha256,
        reading={
            "files": [str(path.absolute())],
            "columns": dict(zip(("group", "value"), names, strict=True)),
            "delimiter": delimiter,
            "decimal": decimal,
            "drop_missing": drop_missing,
        },
        **about_files([path], settings, group_label=names[0], value_label=names[1]),
    )


def _numbers(
    fields: Sequence[tuple[int, str, str]],
    *,
    column: str,
    path: Path,
    decimal: str,
    drop_missing: bool,
) -> tuple[list[tuple[int, str, str]], FloatArray, tuple[str, ...]]:
    """Turn outcomes into numbers; return the fields of the rows kept, their values and notes."""
    numbers = [read_number(text, decimal) for _, _, text in fields]
    gaps = [number is not None and math.isnan(number) for number in numbers]
    wrong = [number is None for number in numbers]
    bad = [i for i in range(len(fields)) if wrong[i] or (gaps[i] and not drop_missing)]
    if bad:
        raise wrong_values(
            str(path),
            column,
            [f"line {fields[i][0]}: {fields[i][2]!r}" for i in bad[:SHOWN]],
            count=len(bad),
            total=len(fields),
            missing=any(gaps) and not drop_missing,
            commas=any(is_decimal_comma(fields[i][2]) for i in bad if wrong[i]),
        )
    if all(gaps):
        raise InputError(f"{path}: every value of {column!r} is missing")
    notes: tuple[str, ...] = ()
    if missing := sum(gaps):
        rows = "row" if missing == 1 else "rows"
        notes = (f"{missing} {rows} without an outcome left out",)
    kept = [field for field, gap in zip(fields, gaps, strict=True) if not gap]
    y = np.array(numbers, dtype=np.float64)
    return kept, y[~np.isnan(y)], notes
