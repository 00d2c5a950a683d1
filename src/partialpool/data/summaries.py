"""Sufficient statistics: all that the models with a normal likelihood need to know of the data.

Groups of one size share the variance of their sample means, so the likelihood of (mu, tau, sigma)
needs only `SizeClasses`; statistics of parts of the data combine into those of the whole; and a
table of n, mean and sd by group is as good as the observations.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data.description import read_description
from partialpool.data.grouped import GroupedData
from partialpool.data.rows import check_width, numbered_rows, read_number, read_text, strip_labels
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats, check_overflow, ordered

SUMMARY_NAMES = {"n": ("n", "count"), "mean": ("mean",), "sd": ("sd", "std")}
"""Names by which the columns of a file of summaries are known; `group` is the remaining one."""


@dataclass(frozen=True)
class SummarizedData:
    """Grouped data of which only the sufficient statistics are at hand.

    It has the attributes of `partialpool.data.grouped.GroupedData` but for the observations.

    Attributes
    ----------
    name
        Short name, used for result folders.
    stats
        Sufficient statistics by group.
    group_label, value_label, unit, title
        What a group is called, what the outcome is called, its unit, and one line on it all.
    priors, priors_source
        Prior settings found beside the file, and the file's name.
    source
        Name of the file or files that were read.
    sha256
        Hash of the file's bytes; of files that were scanned, of their sizes, beginnings and ends.
    notes
        What was repaired or left out while reading, one sentence each.
    """

    name: str
    stats: GroupStats
    group_label: str = "group"
    value_label: str = "value"
    unit: str = ""
    title: str = ""
    priors: Mapping[str, float] = field(default_factory=dict)
    priors_source: str = ""
    source: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.stats.labels

    def without_observations(self) -> GroupedData:
        """Give the data the form that programs are fitted to, with arrays of no observations."""
        about = {part.name: getattr(self, part.name) for part in fields(self)}
        return GroupedData(y=np.empty(0), group=np.empty(0, dtype=np.int64), **about)


def summarized(
    path: Path, stats: GroupStats, *, settings: Mapping[str, Any], **about: Any
) -> SummarizedData:
    """Wrap statistics with what the TOML file beside the data says of them."""
    priors = settings.get("priors", {})
    known = {
        key: settings[key] for key in ("group_label", "value_label", "unit") if key in settings
    }
    name = about.pop("name", path.stem)
    return SummarizedData(
        name=name,
        stats=stats,
        title=settings.get("title", name),
        priors=priors,
        priors_source=path.with_suffix(".toml").name if priors else "",
        **{**about, **known},
    )


def summary_columns(
    header: Sequence[str], group: str | None = None, **named: str | None
) -> dict[str, str] | None:
    """Tell which columns of a file hold group, n, mean and sd; None where it is no summary.

    Parameters
    ----------
    header
        Names of all columns.
    group, **named
        Names that are known: `group`, `n`, `mean`, `sd`. The others are those of `SUMMARY_NAMES`,
        whatever their case; the group is called `group`, or is the only column left.
    """
    found: dict[str, str] = {}
    for role, names in SUMMARY_NAMES.items():
        known = [column for column in header if column.lower() in names]
        column = named.get(role) or (known[0] if len(known) == 1 else None)
        if column is None:
            return None
        found[role] = column
    left = [column for column in header if column not in found.values()]
    group = group or ("group" if "group" in left else left[0] if len(left) == 1 else None)
    return None if group is None else {"group": group, **found}


def read_summary(
    path: str | Path,
    *,
    group: str | None = None,
    n: str | None = None,
    mean: str | None = None,
    sd: str | None = None,
    delimiter: str = ",",
    decimal: str = ".",
) -> SummarizedData:
    """Read summaries by group from a CSV file, for example with columns `group`, `n`, `mean`, `sd`.

    Parameters
    ----------
    path
        One group a row: its label, number of observations, sample mean and sample sd (divisor
        n - 1; empty where n is 1), in any order of columns. A TOML file of the same name beside
        it may give labels, unit and priors, as for a file of observations.
    group, n, mean, sd
        Names of the columns, where they are not those that `summary_columns` knows.
    delimiter
        Character between fields.
    decimal
        Character before the decimals of a number: `.` or `,`.

    Raises
    ------
    InputError
        A column is absent, a group occurs twice, or a row's numbers are no summary of any data;
        with the line.
    """
    path = Path(path)
    text, sha256 = read_text(path)
    settings = read_description(path)
    rows = list(numbered_rows(io.StringIO(text, newline=""), path=path, delimiter=delimiter))
    if len(rows) < 2:
        raise InputError(f"{path}: a header line and at least one row below it are needed")
    header = [name.strip() for name in rows[0][1]]
    named = summary_columns(header, group or settings.get("group"), n=n, mean=mean, sd=sd)
    if named is None:
        raise InputError(
            f"{path}: summaries need columns of the group, n, mean and sd; name them with --group, "
            f"--n, --mean, --sd; the columns are {', '.join(map(repr, header))}"
        )
    for name in named.values():
        if header.count(name) != 1:
            raise InputError(
                f"{path}: column {name!r} occurs {header.count(name)} times, and once is needed; "
                f"the columns are {', '.join(map(repr, header))}"
            )
    if len(set(named.values())) < len(named):
        raise InputError(
            f"{path}: group, n, mean and sd must be four columns, not "
            f"{', '.join(map(repr, named.values()))}"
        )
    columns = {role: header.index(name) for role, name in named.items()}
    labels, numbers = [], []
    for line, row in rows[1:]:
        check_width(row, len(header), path, line)
        cells = {role: row[k] for role, k in columns.items()}
        numbers.append(_summary_row(cells, f"{path}, line {line}", decimal))
        labels.append(cells["group"])
    clean, notes = strip_labels(labels, lambda i: f"{path}, line {rows[i + 1][0]}")
    repeated = pd.Index(clean)[pd.Index(clean).duplicated()]
    if len(repeated):
        raise InputError(f"{path}: group {repeated[0]!r} has more than one row; one is needed")
    counts, means, sds = (np.array(column) for column in zip(*numbers, strict=True))
    stats = ordered(GroupStats(tuple(clean), counts.astype(np.int64), means, (counts - 1) * sds**2))
    check_overflow(stats, str(path))
    return summarized(
        path,
        stats,
        settings=settings,
        source=path.name,
        sha256=sha256,
        notes=notes,
        group_label=named["group"],
    )


def _summary_row(cells: Mapping[str, str], where: str, decimal: str) -> tuple[float, float, float]:
    """Check one group's n, mean and sd."""
    values: dict[str, float] = {}
    for name in SUMMARY_NAMES:
        number = read_number(cells[name].strip(), decimal)
        if name == "sd" and values["n"] == 1 and number is not None and math.isnan(number):
            number = 0.0
        if number is None or math.isnan(number):
            raise InputError(f"{where}: {name} is {cells[name]!r}; a finite number is needed")
        values[name] = number
    n, sd = values["n"], values["sd"]
    if n < 1 or n != round(n):
        raise InputError(f"{where}: n is {cells['n']!r}; a whole number of at least 1 is needed")
    if sd < 0 or (n == 1 and sd > 0):
        raise InputError(
            f"{where}: sd is {cells['sd']!r} for n = {n:g}; it must not be negative, and the sd "
            "of one observation is left empty"
        )
    return n, values["mean"], sd
