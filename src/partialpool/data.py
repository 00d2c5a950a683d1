"""Grouped data: one file in, checked observations and their summary by group out.

Every check of a data file lives in this module, so that whatever reaches a model has passed all
of them. Labels of groups stay text as written: `001` and `1` are two groups, `NA` is a label.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
"""Spellings of a missing outcome, compared in lower case and without blanks around them."""

BLANKS = " \t\n\r\v\f"
"""What may stand around a number; a no-break space, say, is not among them."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_SHOWN = 10
_TOML_KEYS = ("title", "group", "value", "group_label", "value_label", "unit", "priors")


@dataclass(frozen=True)
class GroupStats:
    """Sufficient statistics of grouped data under normal likelihoods.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    n
        Observations by group, shape (J,).
    mean
        Mean by group, in the unit of the data, shape (J,).
    ss
        Sum of squared deviations from the group's own mean, unit squared, shape (J,).
    """

    labels: tuple[str, ...]
    n: IntArray
    mean: FloatArray
    ss: FloatArray

    @property
    def J(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @property
    def N(self) -> int:
        """Number of observations."""
        return int(self.n.sum())

    @property
    def grand_mean(self) -> float:
        """Mean of all observations."""
        origin = self.mean[0]
        return float(origin + np.average(self.mean - origin, weights=self.n))

    @property
    def total_ss(self) -> float:
        """Sum of squared deviations of all observations from the grand mean."""
        return float(self.ss.sum() + (self.n * (self.mean - self.grand_mean) ** 2).sum())

    @property
    def total_sd(self) -> float:
        """Sample sd of all observations, groups ignored (divisor N - 1); 0 for one observation."""
        return math.sqrt(self.total_ss / (self.N - 1)) if self.N > 1 else 0.0

    @property
    def within_sd(self) -> float:
        """Pooled sd within groups (divisor N - J); NaN where no group has two observations."""
        spare = self.N - self.J
        return math.sqrt(self.ss.sum() / spare) if spare > 0 else math.nan


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
        `partialpool.reading.read`; empty for data that came from elsewhere.
    """

    name: str
    y: FloatArray
    group: IntArray
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
    reading: Mapping[str, Any] = field(default_factory=dict)

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
        """Describe each group.

        Returns
        -------
        DataFrame
            One row a group: `group` (label), `n`, `mean`, `sd` (sample sd, divisor n - 1; NaN
            where n is 1), all but n in the unit of the data.
        """
        n = self.stats.n
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(self.stats.ss / np.where(n > 1, n - 1, np.nan))
        return pd.DataFrame({"group": list(self.labels), "n": n, "mean": self.stats.mean, "sd": sd})


def group_stats(y: FloatArray, group: IntArray, labels: Sequence[str]) -> GroupStats:
    """Reduce observations to sufficient statistics, without loss on a large offset.

    The sums are taken about each group's first observation and corrected once about the mean
    found (the corrected two-pass algorithm of Chan, Golub and LeVeque 1983).

    Parameters
    ----------
    y
        Outcomes, shape (N,).
    group
        Group index of each outcome, from 0 to J - 1, shape (N,).
    labels
        Names of the J groups; each must occur in `group`.
    """
    J = len(labels)
    n = np.bincount(group, minlength=J)
    origin = np.empty(J)
    origin[group[::-1]] = y[::-1]
    centered = y - origin[group]
    shift = np.bincount(group, weights=centered, minlength=J) / n
    deviations = centered - shift[group]
    residual = np.bincount(group, weights=deviations, minlength=J)
    ss = np.bincount(group, weights=deviations**2, minlength=J) - residual**2 / n
    return GroupStats(
        labels=tuple(labels),
        n=n.astype(np.int64),
        mean=origin + shift + residual / n,
        ss=np.maximum(ss, 0.0),
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
    clean, notes = _strip_labels([str(label) for label in labels], where=name)
    order = _order_of_labels(clean)
    index = {label: j for j, label in enumerate(order)}
    group = np.array([index[label] for label in clean], dtype=np.int64)
    return _grouped(name, y, group, order, notes=notes, **about)


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
    if len(delimiter) != 1 or decimal not in {".", ","} or delimiter == decimal:
        raise InputError(
            f"delimiter {delimiter!r} and decimal {decimal!r} do not work together: "
            "give one character each, decimal '.' or ',', different from the delimiter"
        )
    text, sha256 = _read_text(path)
    settings = _read_settings(path)
    group = group or settings.get("group")
    value = value or settings.get("value")

    rows = _rows(text, path=path, delimiter=delimiter, keep_empty=drop_missing)
    try:
        _, header = next(rows)
    except StopIteration:
        raise InputError(f"{path}: the file is empty; a header line and rows are needed") from None
    group_column, value_column = _find_columns(header, group, value, path=path, delimiter=delimiter)
    lines, labels, texts = _columns(rows, header, group_column, value_column, path=path)
    if not lines:
        raise InputError(f"{path}: there is a header and no row below it")
    kept, y, notes = _numbers(
        texts,
        lines,
        column=header[value_column],
        path=path,
        decimal=decimal,
        drop_missing=drop_missing,
    )
    labels = [labels[i] for i in kept]
    lines = [lines[i] for i in kept]
    clean, label_notes = _strip_labels(labels, where=str(path), lines=lines)
    order = _order_of_labels(clean)
    index = {label: j for j, label in enumerate(order)}
    codes = np.array([index[label] for label in clean], dtype=np.int64)
    priors = settings.get("priors", {})
    return _grouped(
        path.stem,
        y,
        codes,
        order,
        notes=notes + label_notes,
        group_label=settings.get("group_label", header[group_column]),
        value_label=settings.get("value_label", header[value_column]),
        unit=settings.get("unit", ""),
        title=settings.get("title", path.stem),
        priors=priors,
        priors_source=path.with_suffix(".toml").name if priors else "",
        source=path.name,
        sha256=sha256,
        reading={
            "files": [str(path.absolute())],
            "columns": {"group": header[group_column], "value": header[value_column]},
            "delimiter": delimiter,
            "decimal": decimal,
            "drop_missing": drop_missing,
        },
    )


def _grouped(
    name: str, y: FloatArray, group: IntArray, labels: Sequence[str], **about: Any
) -> GroupedData:
    with np.errstate(over="ignore"):
        spread = float(y.max()) - float(y.min())
        if not math.isfinite(float((y**2).sum())) or not math.isfinite(spread**2 * len(y)):
            worst = float(y[np.argmax(np.abs(y))])
            raise InputError(
                f"{name}: the squares of the values overflow (largest value {worst:g}); "
                "divide the outcome by a suitable unit first"
            )
    return GroupedData(name=name, y=y, group=group, stats=group_stats(y, group, labels), **about)


def _read_text(path: Path) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; name a CSV file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    nul = raw.find(b"\0")
    if nul >= 0:
        raise InputError(
            f"{path}: NUL byte at offset {nul}; this is no text file "
            "(or UTF-16 text: save it as UTF-8)"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte offset {error.start}; save the file as UTF-8"
        ) from None
    return text, hashlib.sha256(raw).hexdigest()


def _read_settings(path: Path) -> dict[str, Any]:
    """Read the TOML file beside a data file; every key is checked."""
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        return {}
    try:
        settings = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{beside}: not valid TOML: {error}") from None
    for key, setting in settings.items():
        if key not in _TOML_KEYS:
            raise InputError(f"{beside}: unknown key {key!r}; known are {', '.join(_TOML_KEYS)}")
        if key == "priors":
            settings[key] = _checked_priors(setting, beside)
        elif not isinstance(setting, str):
            raise InputError(f"{beside}: {key} must be text in quotes, not {setting!r}")
    return settings


def _checked_priors(setting: object, beside: Path) -> dict[str, float]:
    if not isinstance(setting, dict):
        raise InputError(f"{beside}: [priors] must be a table of numbers")
    for key, number in setting.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"{beside}: prior {key} must be a number, not {number!r}")
        if not math.isfinite(number):
            raise InputError(f"{beside}: prior {key} must be finite, not {number}")
    return {key: float(number) for key, number in setting.items()}


def _rows(
    text: str, *, path: Path, delimiter: str, keep_empty: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of each row that is not blank.

    A row of empty fields is refused, or kept like any other where `keep_empty` says so.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, line {line}: {error}; check the quotes") from None
        if any(cell.strip() for cell in row) or (keep_empty and len(row) > 1):
            yield line, row
        elif len(row) > 1:
            raise InputError(f"{path}, line {line}: a row of empty fields; remove it")
        line = reader.line_num + 1


def _find_columns(
    header: list[str], group: str | None, value: str | None, *, path: Path, delimiter: str
) -> tuple[int, int]:
    header[:] = [name.strip() for name in header]
    listed = ", ".join(repr(name) for name in header)
    if len(header) == 1:
        for other, option in ((";", "';'"), ("\t", "$'\\t'"), ("|", "'|'")):
            if other != delimiter and other in header[0]:
                raise InputError(
                    f"{path}: the header is one field, {header[0]!r}; if the fields are separated "
                    f"by {other!r}, add --delimiter {option}"
                )
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} occurs twice; the columns are {listed}")
    if group is None and value is None and len(header) == 2:
        return 0, 1
    for role, name in (("group", group), ("value", value)):
        if name is None:
            raise InputError(
                f"{path}: name the {role} column with --{role}; the columns are {listed}"
            )
        if name not in header:
            raise InputError(f"{path}: there is no column {name!r}; the columns are {listed}")
    if group == value:
        raise InputError(f"{path}: {group!r} cannot be both the group and the value column")
    return header.index(str(group)), header.index(str(value))


def _columns(
    rows: Iterator[tuple[int, list[str]]],
    header: list[str],
    group_column: int,
    value_column: int,
    *,
    path: Path,
) -> tuple[list[int], list[str], list[str]]:
    lines: list[int] = []
    labels: list[str] = []
    texts: list[str] = []
    width = len(header)
    for line, row in rows:
        if len(row) != width:
            hint = ""
            if len(row) > width and _DECIMAL_COMMA.fullmatch(",".join(row[-2:])):
                hint = " (decimal commas need another delimiter, for example --delimiter ';')"
            raise InputError(
                f"{path}, line {line}: {len(row)} fields where the header has {width}{hint}"
            )
        lines.append(line)
        labels.append(row[group_column])
        texts.append(row[value_column])
    return lines, labels, texts


def _numbers(
    texts: list[str],
    lines: list[int],
    *,
    column: str,
    path: Path,
    decimal: str,
    drop_missing: bool,
) -> tuple[list[int], FloatArray, tuple[str, ...]]:
    """Turn the outcome column into numbers; return the rows kept, their values and notes."""
    kept: list[int] = []
    numbers: list[float] = []
    missing: list[int] = []
    wrong: list[int] = []
    for i, raw in enumerate(texts):
        text = raw.strip(BLANKS)
        if decimal == "," and "." not in text:
            text = text.replace(",", ".")
        if text.lower() in MISSING:
            missing.append(i)
        elif _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
            kept.append(i)
            numbers.append(number)
        else:
            wrong.append(i)
    bad = wrong if drop_missing else sorted(wrong + missing)
    if bad:
        shown = "; ".join(f"line {lines[i]}: {texts[i]!r}" for i in bad[:_SHOWN])
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        hints = []
        if missing and not drop_missing:
            hints.append("--drop-missing leaves out rows whose outcome is missing")
        if any(_DECIMAL_COMMA.fullmatch(texts[i].strip()) for i in wrong):
            hints.append("--decimal ',' reads decimal commas")
        raise InputError(
            f"{path}: {len(bad)} of {len(texts)} values of {column!r} are no finite numbers: "
            f"{shown}{more}" + "".join(f". {hint}" for hint in hints)
        )
    if not kept:
        raise InputError(f"{path}: every value of {column!r} is missing")
    notes: tuple[str, ...] = ()
    if missing:
        rows = "row" if len(missing) == 1 else "rows"
        notes = (f"{len(missing)} {rows} without an outcome left out",)
    return kept, np.array(numbers, dtype=np.float64), notes


def _strip_labels(
    labels: list[str], *, where: str, lines: list[int] | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """Strip blanks around labels; refuse blank ones and those that would merge."""
    spellings: dict[str, str] = {}
    changed = 0
    clean = []
    for i, raw in enumerate(labels):
        label = raw.strip()
        place = f"{where}, line {lines[i]}" if lines else f"{where}, value {i + 1}"
        if not label:
            raise InputError(f"{place}: the group is blank; give every row a group")
        if spellings.setdefault(label, raw) != raw:
            raise InputError(
                f"{place}: groups {spellings[label]!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )
        changed += label != raw
        clean.append(label)
    if not changed:
        return clean, ()
    return clean, (f"blanks around group labels removed in {changed} rows",)


def _order_of_labels(labels: Sequence[str]) -> list[str]:
    """Order groups by number where every label is one, else as they first appear."""
    unique = list(dict.fromkeys(labels))
    if all(_NUMBER.fullmatch(label) for label in unique):
        return sorted(unique, key=lambda label: (float(label), label))
    return unique


def example() -> Path:
    """Path of the shipped example, the homework data."""
    inside = Path(str(resources.files("partialpool"))) / "examples"
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "data"
    return folder / "homework.csv"
