"""Groups within groups: from labels that name both to the outer group of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.data.labels import strip_labels
from partialpool.data.order import moved
from partialpool.data.spelling import BETWEEN
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.nesting import OTHER_TOOLS, Nesting, check_nesting
from partialpool.families.order import order_of_labels

if TYPE_CHECKING:
    from partialpool.data.grouped import GroupedData

_LEVELS = 2
_SHOWN = 3


def check_levels(group: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of the columns of nested groups, the outermost first; none where groups are not nested.

    Raises
    ------
    InputError
        More than two columns, or one of them twice.
    """
    if group is None or isinstance(group, str):
        return ()
    if len(set(group)) < len(group):
        twice = next(name for k, name in enumerate(group) if name in group[:k])
        raise InputError(f"--group {twice}: it is named twice")
    if len(group) > _LEVELS:
        raise InputError(
            f"--group is given {len(group)} times, which makes {len(group) + 1} levels; models "
            f"here have groups and outer groups of them. Leave one out, or turn to {OTHER_TOOLS}"
        )
    return tuple(group)


def nested(data: GroupedData, levels: Sequence[str], *, ordered: bool = False) -> GroupedData:
    """Let groups lie within the groups that their labels begin with.

    Parameters
    ----------
    data
        The data; their labels name the outer group first, as the readers join them.
    levels
        Names of the two columns, the outermost first.
    ordered
        Whether the groups have an order that was asked for; they keep it within their outer group.

    Returns
    -------
    GroupedData
        Groups of one outer group side by side, named by the inner label alone where no other group
        has it; `notes` says where it has.

    Raises
    ------
    InputError
        Data of which there are no such models, labels that cannot be told apart, one outer group,
        or one group in each.
    """
    outer, inner = levels
    if not data.family.nested:
        able = dict.fromkeys(f.words.data for f in FAMILIES.values() if f.nested)
        raise InputError(
            f"--group {outer} --group {inner}: groups within groups are for {' and '.join(able)}, "
            f"and these data are {data.family.words.data}; leave one of them out, or turn to "
            f"{OTHER_TOOLS}"
        )
    pairs = [label.split(BETWEEN) for label in data.labels]
    if doubtful := next((pair for pair in pairs if len(pair) != _LEVELS), None):
        raise InputError(
            f"{data.name}: {BETWEEN.join(doubtful)!r} cannot be told apart into {outer} and "
            f"{inner}, as a label holds {BETWEEN!r}; write it in another way"
        )
    outers, of_outer = strip_labels([pair[0] for pair in pairs], lambda _: f"{data.name}: {outer}")
    inners, of_inner = strip_labels([pair[1] for pair in pairs], lambda _: f"{data.name}: {inner}")
    order = order_of_labels(outers)
    rank = {label: k for k, label in enumerate(order)}
    within = {label: 0 if ordered else k for k, label in enumerate(order_of_labels(inners))}
    keys = [(rank[o], within[i]) for o, i in zip(outers, inners, strict=True)]
    at = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    named, notes = _names([outers[j] for j in at], [inners[j] for j in at], outer, inner)
    index = np.array([rank[outers[j]] for j in at], dtype=np.int64)
    nesting = Nesting(outer, inner, tuple(order), index)
    check_nesting(nesting, where=data.name)
    data = moved(data, at)
    family = FAMILIES[data.family.nested]
    stats = family.with_nesting(replace(data.stats, labels=tuple(named)), nesting)  # type: ignore[type-var]
    left = sorted(set(data.priors) - set(family.settings))
    note = f"{data.priors_source}: {', '.join(left)} are settings of another model, and not used"
    joined = BETWEEN.join(levels)
    return replace(
        data,
        stats=stats,
        family=family,
        group_label=inner if data.group_label == joined else data.group_label,
        priors={name: value for name, value in data.priors.items() if name not in left},
        notes=(*data.notes, *of_outer, *of_inner, *notes, *([note] if left else [])),
    )


def _names(
    outers: Sequence[str], inners: Sequence[str], outer: str, inner: str
) -> tuple[list[str], tuple[str, ...]]:
    """Names of groups, with those of their outer groups where an inner label is not unique."""
    if len(set(inners)) == len(inners):
        return list(inners), ()
    places: dict[str, list[str]] = {}
    for o, i in zip(outers, inners, strict=True):
        places.setdefault(i, []).append(o)
    several = [label for label, where in places.items() if len(where) > 1]
    shown = ", ".join(map(repr, several[:_SHOWN]))
    more = f" and {len(several) - _SHOWN:,} more" if len(several) > _SHOWN else ""
    note = (
        f"labels of {inner} that occur in several {outer}s ({shown}{more}) are read as different "
        f"groups, and named with their {outer}; if they are the same groups, these are crossed, "
        f"not nested: turn to {OTHER_TOOLS}"
    )
    return [f"{o}{BETWEEN}{i}" for o, i in zip(outers, inners, strict=True)], (note,)
