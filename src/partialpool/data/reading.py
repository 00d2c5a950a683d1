"""Data of any kind and size: one row an observation or one row a group, CSV or Parquet.

Few observations are kept one by one; of many, only the sufficient statistics by group, which is
all that the models with a normal likelihood need. Which columns there are decides which kind of
data it is, and so which family of models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data import scan
from partialpool.data.counts import (
    find_proportions,
    make_proportions,
    make_rates,
    proportion_layout,
    rate_layout,
    scan_counts,
)
from partialpool.data.description import about_files, read_description, spelling_of_file
from partialpool.data.engine import open_engine
from partialpool.data.estimates import (
    LEVEL,
    check_level,
    estimate_layout,
    find_estimates,
    make_estimates,
)
from partialpool.data.files import (
    are_tables,
    expand,
    fingerprint,
    listed,
    sha256_of,
    short_list,
)
from partialpool.data.grouped import GroupedData, with_estimates, with_proportions, with_rates
from partialpool.data.nested import check_levels, nested
from partialpool.data.observations import read_rows
from partialpool.data.opening import about_sheets, is_compressed
from partialpool.data.order import in_order
from partialpool.data.pipes import in_words, is_kept
from partialpool.data.rows import check_header, file_rows, take_header
from partialpool.data.sources import open_source
from partialpool.data.spelling import Spelling
from partialpool.data.summaries import find_summaries, make_summaries, summary_layout
from partialpool.data.table import read_table
from partialpool.data.wide import read_wide
from partialpool.errors import InputError
from partialpool.progress import Progress

MOST_OBSERVATIONS = 100_000
"""Most observations that are kept one by one, unless another number is given."""

_LARGE_FILE = 2_000_000  # by the engine, which takes a twentieth of the time
_HASHED_WHOLE = 16_000_000
_OBSERVATIONS, _SUMMARIES = "observations", "summaries"
_ESTIMATES = "estimates with known standard errors"
_PROPORTIONS = "successes of trials"
_RATES = "events in an exposure"
_ROLES = {
    _OBSERVATIONS: ("value",),
    _SUMMARIES: ("n", "mean", "sd"),
    _ESTIMATES: ("estimate", "se", "variance", "ci"),
    _PROPORTIONS: ("successes", "trials"),
    _RATES: ("count", "exposure"),
}
_LAYOUTS = {
    _SUMMARIES: summary_layout,
    _ESTIMATES: estimate_layout,
    _PROPORTIONS: proportion_layout,
    _RATES: rate_layout,
}
_PRECISION = ("se", "variance", "ci")


@dataclass(frozen=True)
class Columns:
    """Names of columns, where the file or the TOML file beside it does not tell.

    Attributes
    ----------
    group
        Column of the groups; of groups within groups two, the outermost first.
    value
        Column of the outcome, in a file of observations.
    n, mean, sd
        Columns of a file of summaries, one group a row.
    estimate
        Column of the estimates, in a file of estimates with known standard errors, one group a
        row.
    se, variance, ci
        Column of their standard errors, or of the squares of these, or columns of the lower and
        the upper ends of intervals.
    successes, trials
        Columns of successes and of the trials that they are of, in a file of proportions; without
        `trials` each row is one trial, and `successes` is 0 or 1.
    count, exposure
        Columns of the events and of the exposure that they were counted in, in a file of rates;
        without `exposure` it is 1 in each row.
    """

    group: str | tuple[str, ...] | None = None
    value: str | None = None
    n: str | None = None
    mean: str | None = None
    sd: str | None = None
    estimate: str | None = None
    se: str | None = None
    variance: str | None = None
    ci: tuple[str, str] | None = None
    successes: str | None = None
    trials: str | None = None
    count: str | None = None
    exposure: str | None = None

    def __post_init__(self) -> None:
        """Take a list of two columns as a pair, and one column of groups as itself."""
        if self.group is not None and not isinstance(self.group, str):
            group = tuple(self.group)
            object.__setattr__(self, "group", group if len(group) > 1 else "".join(group) or None)
        if self.ci is not None:
            object.__setattr__(self, "ci", tuple(self.ci))

    @property
    def named(self) -> dict[str, Any]:
        """Role to column, or to a list of two, where one is named."""
        named = {role: name for role, name in asdict(self).items() if name is not None}
        return named if self.ci is None else {**named, "ci": list(self.ci)}


def read(
    files: str | Path | Sequence[str | Path],
    *,
    columns: Columns | None = None,
    level: float | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    unit: str | None = None,
    missing: Sequence[str] | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    wide: bool = False,
    order: str | None = None,
    drop_missing: bool = False,
    most_observations: int = MOST_OBSERVATIONS,
    progress: Progress | None = None,
) -> GroupedData:
    """Read data of any kind and size.

    Parameters
    ----------
    files
        A file, a pattern such as `data/part-*.parquet`, or several of them, as CSV (also
        compressed), Parquet, Feather or Excel; `-` for standard input. The columns that are named,
        here or else in the TOML file beside the first file, decide what they hold: observations
        (`value`), summaries by group (`n`, `mean`, `sd`), estimates with known standard errors
        (`estimate` and `se`, `variance` or `ci`), proportions (`successes` and `trials`) or rates
        (`count` and `exposure`). Where none is named, the header does; without known names there,
        they hold observations.
    columns
        Names of columns.
    level
        Probability of the intervals of `ci`, 0.95 where neither this nor the TOML file says.
    delimiter, decimal, thousands, unit, missing, encoding
        As for `partialpool.data.read_csv`.
    sheet
        Sheet of an Excel workbook; the first where not given.
    wide
        Whether each column holds the observations of one group, or, where a column of groups is
        named, each row those of its group.
    order
        Order of the groups: `data` (as they first occur), `label`, `mean` (largest first) or
        `size` (most observations or smallest standard error first). Where it is not given, labels
        that are numbers, numbered or dates are in their order, and others as they first occur.
    drop_missing
        Leave out rows in which a number is missing (and say how many) instead of refusing the
        data.
    most_observations
        Of more observations than this only the statistics by group are kept.
    progress
        Where to report.

    Returns
    -------
    GroupedData
        Without observations (`y` and `group` empty) where only statistics are at hand; `notes`
        says so. Estimates are rows and statistics at once.

    Raises
    ------
    InputError
        Whatever makes the data unusable, with file, line and value.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.read(pp.example("eight_schools")).labels[:3]
    ('A', 'B', 'C')
    """
    paths = expand(files)
    columns = columns or Columns()
    try:
        settings = read_description(paths[0])
        levels = check_levels(columns.group or settings.get("group"))
        spelling = spelling_of_file(
            paths[0],
            delimiter=delimiter,
            decimal=decimal,
            thousands=thousands,
            unit=unit,
            missing=missing,
            encoding=encoding,
            sheet=sheet,
        )
        if levels:
            spelling = replace(spelling, joined=levels)
            columns = replace(columns, group=spelling.joined_name)
        wide = wide or settings.get("wide", False)
        order = order or settings.get("order")
        sheets = about_sheets(paths, spelling)
        data = _read(
            paths,
            columns,
            spelling,
            level=level,
            wide=wide,
            order=order,
            drop_missing=drop_missing,
            most_observations=most_observations,
            progress=progress,
        )
    except InputError as error:
        raise InputError(in_words(str(error))) from None
    again = {
        "files": [str(path.absolute()) for path in paths],
        "columns": {
            **data.reading.get("columns", {}),
            **columns.named,
            **({"group": list(levels)} if levels else {}),
        },
        **spelling.record,
        **({"piped": True} if any(map(is_kept, paths)) else {}),
        **({"wide": True} if wide else {}),
        **({"order": order} if order else {}),
        "drop_missing": drop_missing,
        "most_observations": most_observations,
    }
    if spelling.unit and not data.unit:
        data = replace(data, unit=spelling.unit)
    data = replace(data, notes=(*sheets, *data.notes), reading={**data.reading, **again})
    return nested(data, levels, ordered=order is not None) if levels else data


def _read(
    paths: Sequence[Path],
    columns: Columns,
    spelling: Spelling,
    *,
    level: float | None,
    wide: bool,
    order: str | None,
    drop_missing: bool,
    most_observations: int,
    progress: Progress | None,
) -> GroupedData:
    """Read files of any kind, whose spelling is settled."""
    settings = read_description(paths[0])
    if wide and spelling.joined:
        raise InputError(
            f"{paths[0]}: of a wide table there is one column of groups, and --group names "
            f"{len(spelling.joined)}; give a table with a row an observation"
        )
    if wide:
        data = read_wide(paths, columns.named, spelling, settings=settings)
        return _few(in_order(data, order) if order else data, most_observations)
    kind = _kind(columns.named, settings, paths, spelling)
    if level is not None and kind != _ESTIMATES:
        raise InputError("--level is the probability of the intervals that --ci names")
    if kind == _OBSERVATIONS:
        data = _observations(
            paths,
            columns,
            {"spelling": spelling, "drop_missing": drop_missing},
            most_observations,
            progress,
        )
        return in_order(data, order) if order else data
    named = _roles(kind, columns, settings, paths)
    level = level if level is not None else settings.get("level")
    if level is not None and "low" not in named and kind == _ESTIMATES:
        raise InputError("--level is the probability of the intervals that --ci names")
    level = check_level(LEVEL if level is None else level)
    return _by_group(
        kind,
        paths,
        named,
        settings,
        level=level,
        spelling=spelling,
        order=order,
        drop_missing=drop_missing,
        progress=progress,
    )


# --- what the files hold ------------------------------------------------------------------------


def _kind(
    named: Mapping[str, Any],
    settings: Mapping[str, Any],
    paths: Sequence[Path],
    spelling: Spelling,
) -> str:
    """Tell what the files hold by the columns that the user names, the TOML file, or the header."""
    beside = paths[0].with_suffix(".toml")
    for source, prefix in ((named, "--"), (settings, f"{beside}: ")):
        found = {
            kind: prefix + next(role for role in roles if role in source)
            for kind, roles in _ROLES.items()
            if any(role in source for role in roles)
        }
        if len(found) > 1:
            (first, option), (second, other) = [*found.items()][:2]
            raise InputError(
                f"{option} names a column of {first} and {other} one of {second}; "
                "a file holds one or the other"
            )
        if found:
            return next(iter(found))
    group = named.get("group") or settings.get("group")
    given = {"group": group} if group else {}
    header = _header(paths, spelling)
    if find_summaries(header, given):
        return _SUMMARIES
    if find_proportions(header, given):
        return _PROPORTIONS
    return _ESTIMATES if find_estimates(header, given) else _OBSERVATIONS


def _header(paths: Sequence[Path], spelling: Spelling) -> list[str]:
    """Names of the columns of the first file."""
    if are_tables(paths):
        with open_engine() as engine:
            return open_source(engine, paths[:1], spelling).header
    return spelling.joining(take_header(file_rows(paths[0], spelling), paths[0]), paths[0])


def _roles(
    kind: str, columns: Columns, settings: Mapping[str, Any], paths: Sequence[Path]
) -> dict[str, str]:
    """Columns of a file with one row a group, as far as options and TOML file name them."""
    roles = ("group", *_ROLES[kind])
    told: dict[str, Any] = {role: settings[role] for role in roles if role in settings}
    given = {role: name for role, name in columns.named.items() if role in roles}
    for source, prefix in ((given, "--"), (told, f"{paths[0].with_suffix('.toml')}: ")):
        precise = [role for role in _PRECISION if role in source]
        if len(precise) > 1:
            raise InputError(
                f"{prefix}{precise[0]} and {precise[1]} both say how precise the estimates are; "
                "name one of them"
            )
        if precise and source is given:
            told = {role: name for role, name in told.items() if role not in _PRECISION}
    named = {**told, **given}
    if "ci" in named:
        named["low"], named["high"] = named.pop("ci")
    return named


# --- the readers --------------------------------------------------------------------------------


def _observations(
    paths: Sequence[Path],
    columns: Columns,
    how: Mapping[str, Any],
    most_observations: int,
    progress: Progress | None,
) -> GroupedData:
    """Read observations, row by row where they are few."""
    plain = not are_tables(paths) and not is_compressed(paths[0])
    group = columns.named.get("group")
    if len(paths) == 1 and plain and paths[0].stat().st_size < _LARGE_FILE:
        data = read_rows(paths[0], group=group, value=columns.value, **how)
    else:
        data = scan.scan_data(
            paths,
            most_observations=most_observations,
            group=group,
            value=columns.value,
            progress=progress,
            **how,
        )
        if len(paths) == 1 and plain and paths[0].stat().st_size < _HASHED_WHOLE:
            data = replace(data, sha256=sha256_of(paths[0]))
    return _few(data, most_observations)


def _few(data: GroupedData, most_observations: int) -> GroupedData:
    """Keep the observations where they are few, and say where they are not kept."""
    if most_observations >= data.stats.N:
        return data
    data = data.without_observations()
    note = (
        f"more than {most_observations:,} observations, so models are fitted to the statistics "
        "by group"
    )
    return replace(data, notes=(*data.notes, note))


def _by_group(
    kind: str,
    paths: Sequence[Path],
    named: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    level: float,
    spelling: Spelling,
    order: str | None,
    drop_missing: bool,
    progress: Progress | None,
) -> GroupedData:
    """Read data with one row a group."""
    large = sum(path.stat().st_size for path in paths) >= _LARGE_FILE
    shown = progress if progress and large else Progress()
    with open_engine() as engine, shown.task(f"Reading {listed(paths)}"):
        source = open_source(engine, paths, spelling)
        check_header(source.header, path=paths[0], delimiter=spelling.delimiter)
        layout = _LAYOUTS[kind](source.header, named, path=paths[0])
        table = scan_counts(source, layout) if large and kind in (_PROPORTIONS, _RATES) else None
        if table is None:
            table = read_table(source, layout, drop_missing=drop_missing)
    found = dict(layout.columns)
    reading: dict[str, Any]
    about: dict[str, Any] = {
        "source": short_list(paths),
        "sha256": sha256_of(paths[0]) if len(paths) == 1 else fingerprint(paths),
    }
    if kind == _SUMMARIES:
        about |= about_files(paths, settings, group_label=found["group"])
        data = GroupedData(
            y=np.empty(0),
            group=np.empty(0, dtype=np.int64),
            stats=make_summaries(table, where=source.where),
            notes=(*table.notes, "read as summaries, one group a row"),
            reading={"columns": found},
            **about,
        )
        return in_order(data, order, first=table.labels) if order else data
    if kind == _PROPORTIONS:
        counts, notes = make_proportions(table, where=source.where)
        label = " / ".join(found[role] for role in ("successes", "trials") if role in found)
        about |= about_files(paths, settings, group_label=found["group"], value_label=label)
        reading = {"columns": found}
        data = with_proportions(counts, notes=(*table.notes, *notes), reading=reading, **about)
        return in_order(data, order, first=table.labels) if order else data
    if kind == _RATES:
        events, notes = make_rates(table, where=source.where)
        label = " / ".join(found[role] for role in ("count", "exposure") if role in found)
        about |= about_files(paths, settings, group_label=found["group"], value_label=label)
        reading = {"columns": found}
        data = with_rates(events, notes=(*table.notes, *notes), reading=reading, **about)
        return in_order(data, order, first=table.labels) if order else data
    stats, notes = make_estimates(table, found, level=level, where=source.where)
    about |= about_files(paths, settings, group_label=found["group"], value_label=found["estimate"])
    reading = {}
    if "low" in found:
        found["ci"] = [found.pop("low"), found.pop("high")]  # type: ignore[assignment]
        reading["level"] = level
    reading["columns"] = found
    data = with_estimates(stats, notes=(*table.notes, *notes), reading=reading, **about)
    return in_order(data, order, first=table.labels) if order else data
