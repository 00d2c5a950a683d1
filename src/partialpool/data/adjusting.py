"""Covariates that vary within groups: columns of the rows that their outcomes are adjusted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from partialpool.data.columns import placed
from partialpool.data.covariates import (
    column_of,
    explained,
    refuse_names,
    refuse_nesting,
    refuse_other_models,
)
from partialpool.data.files import within
from partialpool.data.grouped import GroupedData
from partialpool.data.products import Sums, sums_of_files
from partialpool.errors import InputError
from partialpool.families import ADJUSTED_OBSERVATIONS, FAMILIES
from partialpool.families.adjusting import adjusting, columns_of_rows, sums_of_rows
from partialpool.families.covariates import Covariates
from partialpool.families.moments import GroupStats
from partialpool.families.normal_adjusted import beside

OPTION = "--adjust"


def with_covariates(
    data: GroupedData,
    by: Sequence[str] = (),
    adjust: Sequence[str] = (),
    *,
    population: str | None = None,
) -> GroupedData:
    """Let columns of the data explain how groups differ, and how their observations do.

    Parameters
    ----------
    data
        The data.
    by, adjust
        Names of columns that have one value a group, and that vary within groups; none leaves the
        data as they are.
    population
        The population that was asked for, if one was.

    Raises
    ------
    InputError
        As `partialpool.data.covariates.explained` and `partialpool.families.adjusting`; or data
        that are no observations.
    """
    if not adjust:
        return explained(data, by, population=population)
    usual, stats = FAMILIES[data.family.reads], data.stats
    if usual.name != ADJUSTED_OBSERVATIONS.reads:
        raise InputError(
            f"{OPTION} is for observations, and these data are {data.words.data}, which have no "
            "rows within groups: --by names what explains how groups differ"
        )
    assert isinstance(stats, GroupStats)
    refuse_nesting(data, OPTION)
    refuse_other_models(data, usual, OPTION)
    refuse_names(data, adjust, OPTION, taken=by)
    of_files = set(data.reading.get("columns", {})) == {"group", "value"}
    if not data.has_observations and not of_files:
        raise InputError(
            f"{data.name}: {OPTION} needs the observations, and only statistics by group are at "
            "hand; give the rows themselves"
        )
    of_groups = explained(data, by) if by else data
    own = _sums_of_rows(data, adjust) if data.has_observations else sums_of_files(data, adjust)
    found, sums = adjusting(
        stats,
        own.names,
        own.levels,
        own.means,
        own.within,
        of_groups=of_groups.stats.covariates,
        where=data.source or data.name,
    )
    return replace(
        of_groups,
        name="-".join([of_groups.name, "adjusted", *adjust]),
        y=data.y[:0],
        group=data.group[:0],
        columns={},
        stats=beside(stats, found, sums),
        family=ADJUSTED_OBSERVATIONS,
        notes=(*of_groups.notes, *_notes(found, own)),
        reading={**of_groups.reading, "adjust": list(adjust)} if data.reading else {},
    )


def _sums_of_rows(data: GroupedData, columns: Sequence[str]) -> Sums:
    """Add up columns of rows at hand, by group.

    Raises
    ------
    InputError
        As `sums_of_files`.
    """
    cells = placed(data, columns)
    paths = [Path(file) for file in data.reading.get("files", ())]

    def place(row: int) -> str:
        named = cells[columns[0]][row][0]
        shown = within(paths, named) if paths else named.removeprefix(f"{data.name}, ")
        return f"{shown} (group {data.labels[data.group[row]]!r})"

    given = {name: column_of(data, name, [text for _, text in cells[name]]) for name in columns}
    names, values, levels = columns_of_rows(given, place, where=data.source or data.name)
    means, products = sums_of_rows(values, data.y, data.group, data.stats.J)
    ends = np.stack([values.min(axis=0), values.max(axis=0)])
    return Sums(names, levels, means, products, ends)


def _notes(found: Covariates, own: Sums) -> list[str]:
    """Say what is adjusted for, and to what."""
    first = found.K - len(own.names)
    said = [
        f"outcomes are adjusted for {name}: from {low:.4g} to {high:.4g}, with mean {middle:.4g} "
        "over the observations"
        for name, low, high, middle in zip(own.names, *own.ends, found.middle[first:], strict=True)
        if name not in {each for c in found.levels for each in found.names_of(c)}
    ]
    for column, levels in found.levels.items():
        if column not in own.levels:
            continue
        names = found.names_of(column)
        shares = [float(found.middle[found.names.index(name)]) for name in names]
        of_each = [1 - sum(shares), *shares]
        listed = ", ".join(
            f"{level} ({100 * share:.3g} %)" for level, share in zip(levels, of_each, strict=True)
        )
        said.append(
            f"outcomes are adjusted for {column}, with the levels {listed}; its coefficients are "
            f"differences from {levels[0]}"
        )
    if first:
        said.append(
            "no pooling gives each group a mean of its own, which leaves nothing for covariates of "
            "groups to explain: it has none of them"
        )
    said.append(
        "a group mean is that of the group's observations as they are; adjusted means are as if "
        "every group had the mean of all observations in what is adjusted for, levels in their "
        "shares. Models are given sums by group and no single observation"
    )
    return said
