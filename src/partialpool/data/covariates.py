"""Covariates of the groups: columns of the data that say more of each group than its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from partialpool.data.columns import numbers_of, read_columns, read_distinct, spelling_of
from partialpool.data.grouped import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.base import Family
from partialpool.families.covariates import Covariates, covariates
from partialpool.types import FloatArray, IntArray

OPTION = "--by"


def explained(
    data: GroupedData, by: Sequence[str], *, population: str | None = None
) -> GroupedData:
    """Let columns of the data explain how the groups differ.

    Prior settings found beside the file are kept, as the model has them all.

    Parameters
    ----------
    data
        The data.
    by
        Names of columns, of numbers or of categories; none leaves the data as they are.
    population
        The population that was asked for, if one was. Where none was, it is the one that covariates
        need.

    Raises
    ------
    InputError
        Another model, a column that is not there or is the outcome itself, or values that explain
        nothing (`partialpool.families.covariates.covariates`).
    """
    if not by:
        return data
    if data.stats.covariates is not None:
        raise InputError(f"{data.name}: it has covariates already; name all of them at once")
    refuse_nesting(data, OPTION)
    data = _with_the_population(data, population)
    usual = FAMILIES[data.family.reads]
    family = FAMILIES[usual.explained]
    refuse_other_models(data, family, OPTION)
    refuse_names(data, by, OPTION)
    of_rows = set(data.reading.get("columns", {})) <= {"group", "value"}
    summed_up = not data.has_observations and not data.columns and of_rows
    group: IntArray | None = None if data.family.rows_are_groups else data.group
    if summed_up:
        group, cells = read_distinct(data, by)
    else:
        cells = read_columns(data, by)
    read = {name: column_of(data, name, cells[name]) for name in by}
    if group is not None and len(group):
        read = {name: _of_groups(data, name, read[name], group) for name in by}
    where = data.source or data.name
    stats = family.with_covariates(data.stats, covariates(read, data.labels, where=where))
    return replace(
        data,
        name="-".join([data.name, "by", *by]),
        stats=stats,
        family=family,
        notes=(*data.notes, *_notes(stats.covariates)),
        reading={**data.reading, "by": list(by)} if data.reading else {},
    )


def _with_the_population(data: GroupedData, asked: str | None) -> GroupedData:
    """Choose the population that covariates need, where it is not the usual one.

    Raises
    ------
    InputError
        Another one was asked for.
    """
    usual = FAMILIES[data.family.reads]
    family = FAMILIES[usual.explained]
    needed, own = family.model["population"], usual.model["population"]
    if data.family is not usual or needed == own:
        return data
    if asked is not None:
        raise InputError(
            f"{OPTION} with --population {asked}: with covariates there is a model of "
            f"{family.words.population}, and none of {usual.words.population}; leave --population "
            f"out, or choose {needed}"
        )
    found = data.modelled(population=needed)
    note = (
        f"covariates need a population that can be moved along a line, so it is {needed}, not {own}"
    )
    return replace(found, notes=(*found.notes, note))


def _notes(found: Covariates) -> list[str]:
    """Say what explains the groups, and from where it is counted."""
    ends = found.values.min(axis=0), found.values.max(axis=0)
    said = [
        f"{name} explains how the groups differ: from {low:.4g} to {high:.4g}, with mean "
        f"{middle:.4g} over the groups"
        for name, low, high, middle in zip(found.names, *ends, found.middle, strict=True)
        if name in found.sources and name not in found.levels
    ]
    said += [
        f"{column} explains how the groups differ, with the levels {', '.join(levels)}; its "
        f"coefficients are differences from {levels[0]}"
        for column, levels in found.levels.items()
    ]
    return said


def refuse_nesting(data: GroupedData, option: str) -> None:
    """Refuse covariates of groups within groups."""
    if data.stats.nesting is not None:
        raise InputError(
            f"{option} with groups within groups: there is no model of both; leave one of them "
            "out, or turn to brms or bambi"
        )


def refuse_other_models(data: GroupedData, family: Family, option: str) -> None:
    """Refuse data whose model was chosen to be another than that of a family, in another thing."""
    chosen = ", ".join(
        f"--{about} {name}"
        for about, name in data.family.model.items()
        if name != family.model.get(about)
    )
    if chosen:
        raise InputError(f"{option} with {chosen}: there is no model of both; choose one of them")


def refuse_names(
    data: GroupedData, names: Sequence[str], option: str, *, taken: Sequence[str] = ()
) -> None:
    """Refuse a covariate that is named twice, or is the outcome, its error or the group."""
    for k, name in enumerate(names):
        if name in (*names[:k], *taken):
            raise InputError(f"{option} {name}: it is named twice")
    roles = data.reading.get("columns", {})
    for role, column in roles.items():
        own = column if isinstance(column, list) else [column]
        for name in names:
            if name in own:
                raise InputError(
                    f"{option} {name}: this column holds the {role}, and what is to be explained "
                    "does not explain itself; name another column"
                )


def _of_groups(
    data: GroupedData, name: str, column: FloatArray | list[str], of: IntArray
) -> FloatArray | list[str]:
    """One value a group: of rows that share a group, the one that they all have.

    Raises
    ------
    InputError
        A group's rows differ.
    """
    first = np.zeros(data.stats.J, dtype=np.int64)
    first[of[::-1]] = np.arange(len(of))[::-1]
    values = np.array(column, dtype=object if isinstance(column, list) else float)
    own = values[first]
    apart = values != own[of]
    if not isinstance(column, list):
        apart &= ~(np.isnan(column) & np.isnan(own[of].astype(float)))
    if apart.any():
        at = int(np.argmax(apart))
        group = of[at]
        other = own[group]
        raise InputError(
            f"{OPTION} {name}: it varies within group {data.labels[group]!r} (there are "
            f"{_shown(other)} and {_shown(values[at])}), and what explains how groups differ has "
            f"one value a group; {_instead(data, name)}average it by group first, or turn to brms "
            "or bambi, which regress the observations themselves"
        )
    return own if not isinstance(column, list) else [str(each) for each in own]


def _instead(data: GroupedData, name: str) -> str:
    """What takes a column that varies within groups, where there is a model of it."""
    if data.family is not FAMILIES["normal"]:
        return ""
    return f"adjust the observations for it with --adjust {name}, "


def _shown(value: object) -> str:
    """A cell for a message."""
    missing = value == "" or (isinstance(value, float) and value != value)
    return "a missing one" if missing else f"{value:g}" if isinstance(value, float) else repr(value)


def column_of(data: GroupedData, name: str, cells: Sequence[str]) -> FloatArray | list[str]:
    """Numbers, or levels of a category, empty where one is missing."""
    numbers = numbers_of(cells, data, name)
    if numbers is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    missing = spelling_of(data).words
    return ["" if cell.strip().lower() in missing else cell for cell in cells]
