"""Frames of any kind, dictionaries, paths -> grouped data, by the roles of the columns."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from partialpool.data import (
    GroupedData,
    from_estimates,
    from_proportions,
    from_rates,
    from_values,
)
from partialpool.data.examples import find
from partialpool.data.memory import as_numbers, label_texts
from partialpool.data.nested import check_levels, nested
from partialpool.data.order import in_order
from partialpool.data.reading import Columns, read
from partialpool.data.spelling import BETWEEN
from partialpool.errors import InputError

_ROLES = ("value", "estimate", "n", "successes", "count")

_OF: Mapping[str, tuple[Callable[..., GroupedData], str]] = {
    "successes": (from_proportions, "trials"),
    "count": (from_rates, "exposure"),
}
"""Counts: what makes data of them, and the column that they are of."""


def grouped(
    source: Any,
    columns: Columns,
    *,
    level: float | None = None,
    log: bool = False,
    exp: bool = False,
    further: Sequence[str] = (),
    **about: Any,
) -> GroupedData:
    """Make grouped data from what a user has.

    Parameters
    ----------
    source
        `GroupedData`, a path or several, the name of a shipped example, a dictionary of columns, or
        a frame of any library that narwhals knows (pandas, polars, pyarrow ...).
    columns
        Names of the columns by their roles.
    level
        Probability of the intervals of `ci`; 0.95 where None.
    log, exp
        Whether logarithms of the observations are modelled; whether estimates are logarithms whose
        exponentials are shown.
    further
        Names of further columns of a frame that are kept, row by row.
    **about
        Fields of `GroupedData` that describe the data: `name`, `title`, `unit`, `group_label` ...

    Raises
    ------
    InputError
        What is no frame, a column that it lacks, roles that do not say what the rows are, or data
        that a file would not be allowed either.
    """
    about = {name: text for name, text in about.items() if text}
    if isinstance(source, GroupedData):
        data = dataclasses.replace(source, **about)
    elif isinstance(source, str | Path):
        data = read(find(str(source)), columns=columns, level=level)
        data = dataclasses.replace(data, **about)
    elif isinstance(source, Sequence) and all(isinstance(s, str | Path) for s in source):
        data = dataclasses.replace(read(source, columns=columns, level=level), **about)
    else:
        data = _of_frame(source, columns, level, about)
        if further:
            data = _with_columns(data, _Frame(source), columns, further)
    data = data.logarithms() if log else data
    return dataclasses.replace(data, exp=True) if exp else data


def _with_columns(
    data: GroupedData, frame: _Frame, columns: Columns, names: Sequence[str]
) -> GroupedData:
    """Keep further columns of a frame, in the order of the rows of the data."""
    kept = {name: list(frame.column(name)) for name in names}
    if data.family.rows_are_groups:
        labels = label_texts(frame.column(str(columns.group)), what="data, row")[0]
        places = {label.strip(): place for place, label in enumerate(labels)}
        at = [places[label] for label in data.labels]
        kept = {name: [cells[place] for place in at] for name, cells in kept.items()}
    return dataclasses.replace(data, columns=kept)


def column_of(source: Any, name: str) -> Any:
    """Return a column of a frame or a dictionary.

    Raises
    ------
    InputError
        What is no frame, or has no such column.
    """
    return _Frame(source).column(name)


def columns_in(source: Any, names: Sequence[str]) -> list[str]:
    """Names among some that a frame or a dictionary has as columns.

    Raises
    ------
    InputError
        What is no frame.
    """
    frame = _Frame(source)
    return [name for name in names if frame.has(name)]


def _of_frame(
    source: Any, columns: Columns, level: float | None, about: dict[str, Any]
) -> GroupedData:
    """Take the columns out of a frame; labels and numbers are checked where files' are."""
    frame = _Frame(source)
    if levels := check_levels(columns.group):
        one = dataclasses.replace(columns, group=frame.join(levels))
        return nested(_of_one_column(frame, one, level, about), levels)
    return _of_one_column(frame, columns, level, about)


def _of_one_column(
    frame: _Frame, columns: Columns, level: float | None, about: dict[str, Any]
) -> GroupedData:
    """Take the columns out of a frame whose groups are named in one of them."""
    name = about.pop("name", "data")
    if not isinstance(columns.group, str):
        raise InputError(f"group= names the column of the groups; there are {frame.listed}")
    asked = [role for role in _ROLES if getattr(columns, role) is not None]
    if len(asked) != 1:
        raise InputError(
            "value= (observations), estimate= (estimates, with se=, variance= or ci=), n= "
            "(summaries, with mean= and sd=), successes= (of trials=) or count= (in an exposure=) "
            f"says what the rows are: give one of them; there are {frame.listed}"
        )
    about = {"group_label": columns.group, "title": name, **about}
    labels, of = frame.column(columns.group), getattr(columns, asked[0])
    if columns.value is not None:
        about = {"value_label": of, **about}
        return from_values(labels, frame.column(of), name=name, **about)
    if asked[0] in _OF:
        make, other = _OF[asked[0]]
        name_of = getattr(columns, other)
        beside = np.ones(len(labels)) if name_of is None else frame.column(name_of)
        about = {"value_label": of if name_of is None else f"{of} / {name_of}", **about}
        return make(labels, frame.column(of), beside, name=name, **about)
    if columns.se is not None and columns.variance is None and columns.ci is None:
        about = {"value_label": of, **about}
        return from_estimates(
            labels, frame.column(of), frame.column(columns.se), name=name, **about
        )
    return _as_a_file(frame, columns, level, {"name": name, **about})


def _as_a_file(
    frame: _Frame, columns: Columns, level: float | None, about: dict[str, Any]
) -> GroupedData:
    """Have one row a group read as a file is, with all its checks."""
    names = [
        name for role, name in columns.named.items() for name in (name if role == "ci" else [name])
    ]
    texts, categories = label_texts(frame.column(str(columns.group)), what=f"{about['name']}, row")
    numbers = {
        column: as_numbers(
            frame.column(column), what=f"{about['name']}: {column!r}", one=f"{column!r} of row"
        )
        for column in dict.fromkeys(names)
        if column != columns.group
    }
    table = pd.DataFrame({columns.group: texts, **numbers})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.csv"
        table.to_csv(path, index=False)
        data = read(path, columns=columns, level=level, decimal=".")
    data = dataclasses.replace(data, source="", sha256="", reading={}, **about)
    return in_order(data, "data", first=categories) if categories else data


class _Frame:
    """Columns by name, of a dictionary or of any frame."""

    def __init__(self, source: Any) -> None:
        if isinstance(source, Mapping):
            self._columns = dict(source)
            return
        try:
            frame = nw.from_native(source)
        except TypeError:
            raise InputError(
                f"data of type {type(source).__name__}: give a frame (pandas, polars ...), "
                "a dictionary of columns, or the path of a file"
            ) from None
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
        self._columns = {name: _plain(frame[name]) for name in frame.columns}

    @property
    def listed(self) -> str:
        """The names, for a message."""
        return "the columns " + ", ".join(map(repr, self._columns))

    def join(self, names: Sequence[str]) -> str:
        """Add a column of labels that names several, and return its name."""
        parts = [label_texts(self.column(name), what=f"{name}, row")[0] for name in names]
        name = BETWEEN.join(names)
        self._columns[name] = [
            BETWEEN.join(row) if all(map(str.strip, row)) else ""
            for row in zip(*parts, strict=True)
        ]
        return name

    def has(self, name: str) -> bool:
        """Whether there is a column of a name."""
        return name in self._columns

    def column(self, name: str) -> Any:
        """Return a column.

        Raises
        ------
        InputError
            There is none of that name.
        """
        if name not in self._columns:
            raise InputError(f"there is no column {name!r}; there are {self.listed}")
        return self._columns[name]


def _plain(series: nw.Series[Any]) -> Any:
    """A column as pandas has it, or as a list; an order of categories is kept."""
    native = series.to_native()
    if isinstance(native, pd.Series):
        return native
    if isinstance(series.dtype, nw.Enum):
        return pd.Categorical(series.to_list(), categories=list(series.dtype.categories))
    return series.to_numpy() if series.dtype.is_numeric() else series.to_list()
