"""Grouped data: one file in, checked observations and their summary by group out.

What a file may hold is checked by `partialpool.data.rows`; nothing reaches a model unchecked.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data.description import read_description
from partialpool.data.rows import (
    SHOWN,
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
from partialpool.families.base import Family, Statistics, order_of_labels
from partialpool.families.known_errors import KNOWN_ERRORS
from partialpool.families.known_errors import estimates as check_estimates
from partialpool.families.normal import NORMAL, group_stats
from partialpool.types import FloatArray, IntArray


@dataclass(frozen=True)
class GroupedData:
    """Observations of one outcome in groups, with what is needed to talk about them.

    Attributes
    ----------
    name
        Short name, used for result folders (the stem of the file).
    y
        Outcomes, shape (N,), in the order of the file.
    group
        Index (from 0) into `stats.labels` of each observation's group, shape (N,).
    stats
        Sufficient statistics by group.
    group_label, value_label, unit
        What a group is called, what the outcome is called and its unit, for people to read.
    title
        One line that names the data set.
    priors
        Prior settings found beside the file; empty where there are none.
    priors_source
        Name of the file that `priors` came from; empty where there are none.
    source
        File name that the data were read from.
    sha256
        Hash of the file's bytes.
    notes
        What was repaired or left out while reading, one sentence each.
    reading
        How to read the data again: `files` (absolute paths), `columns` and the other arguments of
        `partialpool.data.reading.read`; empty for data that came from elsewhere.
    family
        What the rows say of the groups: how they are modelled and talked about.
    exp
        Whether the estimates are logarithms (log ratios) whose exponentials people read. Models
        know the logarithms alone; tables, figures and sentences show the exponentials
        (`partialpool.tables.exponential`).
    """

    name: str
    y: FloatArray
    group: IntArray
    stats: Statistics
    group_label: str = "group"
    value_label: str = "value"
    unit: str = ""
    title: str = ""
    priors: Mapping[str, float] = field(default_factory=dict)
    priors_source: str = ""
    source: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    family: Family = NORMAL
    exp: bool = False

    def __post_init__(self) -> None:
        if self.exp:
            _check_logarithms(self.name, self.family, self.stats)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.stats.labels

    @property
    def has_observations(self) -> bool:
        """Whether the observations are at hand, and not only their statistics by group."""
        return len(self.y) > 0

    @property
    def axis_title(self) -> str:
        """The outcome with its unit, for axes and table heads."""
        return f"{self.value_label} ({self.unit})" if self.unit else self.value_label

    def summary(self) -> pd.DataFrame:
        """Describe each group: `group` and the columns of the family's statistics."""
        return self.stats.summary()


def _check_logarithms(name: str, family: Family, stats: Statistics) -> None:
    """Refuse exponentials of what is no estimate of a logarithm."""
    if not family.rows_are_groups:
        raise InputError(
            f"{name}: exponentials (--exp) are for estimates of logarithms with known standard "
            "errors, such as log odds ratios, and these data are observations; leave --exp out"
        )
    with np.errstate(over="ignore"):
        ratios = np.exp(stats.raw)
    if not (np.isfinite(ratios) & (ratios > 0)).all():
        worst = int(np.argmax(np.abs(stats.raw)))
        raise InputError(
            f"{name}: the estimate of {stats.labels[worst]!r} is {stats.raw[worst]:g}, which is no "
            "logarithm of a ratio: its exponential overflows. Give logarithms, or leave --exp out"
        )


def from_values(
    labels: Sequence[str], values: Sequence[float] | FloatArray, *, name: str = "data", **about: Any
) -> GroupedData:
    """Make grouped data from values in memory, with the checks that a file gets.

    Parameters
    ----------
    labels
        Group of each observation, as text, length N.
    values
        Outcome of each observation, length N.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, no values, values that are not finite, a blank label, or values whose
        squares overflow.
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1 or len(labels) != len(y):
        raise InputError(f"{name}: {len(labels)} labels for values of shape {y.shape}")
    if len(y) == 0:
        raise InputError(f"{name}: there are no observations; at least one is needed")
    if not np.isfinite(y).all():
        bad = int(np.flatnonzero(~np.isfinite(y))[0])
        raise InputError(f"{name}: value {bad + 1} is {y[bad]}; outcomes must be finite numbers")
    clean, notes = strip_labels(
        [str(label) for label in labels], lambda i: f"{name}, value {i + 1}"
    )
    return _grouped(name, y, clean, notes=notes, **about)


def from_estimates(
    labels: Sequence[str],
    estimates: Sequence[float] | FloatArray,
    se: Sequence[float] | FloatArray,
    *,
    name: str = "data",
    **about: Any,
) -> GroupedData:
    """Make grouped data from estimates with known standard errors, one a group.

    Parameters
    ----------
    labels
        Group of each estimate, as text, length J.
    estimates, se
        Estimates and their standard errors, in one unit, length J.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, numbers that are not finite, a standard error that is not above zero, a
        blank label, or a group with more than one estimate.
    """
    columns = {"estimate": np.asarray(estimates, dtype=np.float64)}
    columns["standard error"] = np.asarray(se, dtype=np.float64)
    for what, numbers in columns.items():
        if numbers.shape != (len(labels),):
            raise InputError(f"{name}: {len(labels)} labels for {what}s of shape {numbers.shape}")
        if not np.isfinite(numbers).all():
            bad = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise InputError(
                f"{name}: the {what} of {labels[bad]!r} is {numbers[bad]}; it must be a finite "
                "number"
            )
    clean, notes = strip_labels(
        [str(label) for label in labels], lambda i: f"{name}, estimate {i + 1}"
    )
    stats = check_estimates(clean, *columns.values(), where=name)
    return GroupedData(
        name=name,
        y=stats.estimate,
        group=np.arange(stats.J),
        stats=stats,
        family=KNOWN_ERRORS,
        notes=notes,
        **about,
    )


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

    numbered = numbered_rows(
        io.StringIO(text, newline=""), path=path, delimiter=delimiter, keep_empty=drop_missing
    )
    header = take_header(numbered, path)
    at = find_columns(header, group, value, path=path, delimiter=delimiter)
    fields = []
    for line, row in numbered:
        check_width(row, len(header), path, line)
        fields.append((line, row[at[0]], row[at[1]]))
    if not fields:
        raise InputError(f"{path}: there is a header and no row below it")
    kept, y, notes = _numbers(
        fields, column=header[at[1]], path=path, decimal=decimal, drop_missing=drop_missing
    )
    clean, label_notes = strip_labels(
        [label for _, label, _ in kept], lambda i: f"{path}, line {kept[i][0]}"
    )
    priors = settings.get("priors", {})
    return _grouped(
        path.stem,
        y,
        clean,
        notes=notes + label_notes,
        group_label=settings.get("group_label", header[at[0]]),
        value_label=settings.get("value_label", header[at[1]]),
        unit=settings.get("unit", ""),
        exp=settings.get("exp", False),
        title=settings.get("title", path.stem),
        priors=priors,
        priors_source=path.with_suffix(".toml").name if priors else "",
        source=path.name,
        sha256=sha256,
        reading={
            "files": [str(path.absolute())],
            "columns": {"group": header[at[0]], "value": header[at[1]]},
            "delimiter": delimiter,
            "decimal": decimal,
            "drop_missing": drop_missing,
        },
    )


def _grouped(name: str, y: FloatArray, labels: Sequence[str], **about: Any) -> GroupedData:
    """Group outcomes by their labels, one each."""
    with np.errstate(over="ignore"):
        spread = float(y.max()) - float(y.min())
        if not math.isfinite(float((y**2).sum())) or not math.isfinite(spread**2 * len(y)):
            worst = float(y[np.argmax(np.abs(y))])
            raise InputError(
                f"{name}: the squares of the values overflow (largest value {worst:g}); "
                "divide the outcome by a suitable unit first"
            )
    order = order_of_labels(labels)
    index = {label: j for j, label in enumerate(order)}
    group = np.array([index[label] for label in labels], dtype=np.int64)
    return GroupedData(name=name, y=y, group=group, stats=group_stats(y, group, order), **about)


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


def example() -> Path:
    """Path of the shipped example, the homework data."""
    inside = Path(str(resources.files("partialpool"))) / "examples"
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "data"
    return folder / "homework.csv"
