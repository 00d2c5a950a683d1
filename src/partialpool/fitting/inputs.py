"""What a program is given: inputs from the data set, the prior settings and extra data."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILY_SETTINGS
from partialpool.families.base import DRAWN_GROUPS
from partialpool.fitting.columns import Columns, keyed
from partialpool.priors.hyperparameters import SCALED, SET_BY_USER, Priors
from partialpool.programs import Program, is_shipped


@dataclass(frozen=True)
class Inputs:
    """What a program is given.

    Attributes
    ----------
    values
        Name to value, in the order of the data block.
    columns
        What the sizes of the data block count.
    notes
        In which order values without labels were taken, one phrase each.
    """

    values: dict[str, Any]
    columns: Columns
    notes: tuple[str, ...] = ()


def stan_data(
    program: Program,
    data: GroupedData,
    priors: Priors,
    *,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
) -> dict[str, Any]:
    """Values of `collect`, whose parameters and errors these are."""
    switches = {"prior_only": prior_only, "pointwise": pointwise}
    return collect(program, data, priors, extra=extra, **switches).values


def collect(
    program: Program,
    data: GroupedData,
    priors: Priors,
    *,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
) -> Inputs:
    """Collect what a program's data block declares.

    Available are the rows (`N`, `J`, `group` from 1, `y`), what the family has (`Family.inputs`),
    the prior settings, the switches `prior_only` and `pointwise`, `prior_power` (1: the exponent of
    the priors in programs that let refits change it), and whatever `extra` adds; `extra` wins, and
    may hold values by label. A name that is none of these is a column of the data, by `--column`
    or by itself (`partialpool.fitting.columns`).
    Groups whose theta a program draws from statistics (`J_drawn`) are none of more than
    `DRAWN_GROUPS`; `N_drawn`, `group_drawn`, `y_drawn` are the rows where `pointwise` asks for
    them.

    Raises
    ------
    InputError
        A declared input is not available (of summarized data the observations are not); the
        message lists what is, and the nearest name. A column does not fit its declaration.
    """
    observations = slice(None if pointwise else 0)
    available: dict[str, Any] = {
        "N": data.stats.N,
        "J": data.stats.J,
        **({"group": data.group + 1, "y": data.y} if len(data.y) else {}),
        **data.family.inputs(data.stats, draw_groups=pointwise or data.stats.J <= DRAWN_GROUPS),
        "N_drawn": len(data.y[observations]),
        "group_drawn": data.group[observations] + 1,
        "y_drawn": data.y[observations],
        **_weights(data, observations),
        "prior_only": int(prior_only),
        "prior_power": 1.0,
        "pointwise": int(pointwise),
        **priors.values,
    }
    columns, extra = Columns(program, data), extra or {}
    for name, [given, *more] in program.columns.items():
        if not more and given in available and given not in columns.header:
            available[name] = available[given]
    available |= extra
    missing = [name for name in program.inputs if name not in available]
    renamed = [name for name in program.inputs if name in program.columns and name not in missing]
    wanted = {
        name: found
        for name in (*missing, *renamed)
        if name not in extra
        and (name in missing or program.columns[name][0] in columns.header)
        and (found := columns.columns_of(name))
    }
    missing = [name for name in missing if name not in wanted]
    if len(data.y) == 0 and (pointwise or {"y", "group"} & set(missing)):
        raise InputError(
            f"{program.title} needs the observations, and of {data.name} only the statistics by "
            "group are at hand; hierarchical_marginal can be fitted to these"
        )
    columns.settle(wanted, missing)
    available |= {name: columns.value(name, found) for name, found in wanted.items()}
    counted = {*columns.sizes} & {*program.inputs} - extra.keys() - priors.values.keys()
    available |= {name: len(columns.sizes[name].labels) for name in counted}
    missing = [name for name in missing if name not in available]
    if missing:
        raise _not_available(program, missing[0], available, columns.header)
    if not is_shipped(program.path, data.family.name):
        _refuse_two_meanings(program, {*wanted, *extra, *priors.values}, available, columns)
    check_hyperparameters(program, priors)
    notes = []
    for name in extra.keys() & {*program.inputs}:
        available[name], note = keyed(columns, name, extra[name], where="--extra-data")
        notes += [note] if note else []
    values = {name: _as_declared(program, name, available[name]) for name in program.inputs}
    return Inputs(values, columns, tuple(sorted(notes)))


def _weights(data: GroupedData, drawn: slice) -> dict[str, Any]:
    """Weights of the rows, and of those that are drawn, where the data have some."""
    found = data.stats.row_weights
    return {} if found is None else {"weight": found, "weight_drawn": found[drawn]}


def parse_columns(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read columns for inputs, such as `x=floor` or `X=floor,uranium`.

    Raises
    ------
    InputError
        Text of another form, or an input given twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, columns = (part.strip() for part in text.partition("="))
        given = tuple(each.strip() for each in columns.split(","))
        if not equals or not name.isidentifier() or not all(given):
            raise InputError(f"--column {text}: write NAME=COLUMN, for example x=floor")
        if name in found:
            raise InputError(f"--column {text}: {name} is given twice")
        found[name] = given
    return found


def _not_available(
    program: Program, name: str, available: Collection[str], header: Sequence[str]
) -> InputError:
    """Say that nothing gives an input, and what there is."""
    near = difflib.get_close_matches(name, [*available, *header], n=1)
    there = f". Columns of the data: {', '.join(header)}" if header else ""
    return InputError(
        f"{program.path}: its data block declares {name!r}, for which there is no value"
        + (f" (nearest name: {near[0]!r})" if near else "")
        + f". Declared: {', '.join(program.inputs)}. Available: {', '.join(available)}{there}. "
        f"Name a column with --column {name}=COLUMN, add a number with --prior NAME=NUMBER, or "
        "other inputs with --extra-data FILE"
    )


def _refuse_two_meanings(
    program: Program, told: Collection[str], available: Mapping[str, Any], columns: Columns
) -> None:
    """Refuse a name that is a column and, with other values, something that is given unasked."""
    for name in program.inputs:
        if name in told or name in program.columns or name not in columns.header:
            continue
        try:
            other = np.asarray(columns.value(name, (name,)))
        except InputError:
            continue
        given = np.asarray(available[name])
        if other.shape != given.shape or not np.array_equal(other, given):
            raise InputError(
                f"{program.path}: {name} may be the column of this name or what partialpool calls "
                f"{name} ({_MEANINGS.get(name, 'a statistic by group')}), and these differ: "
                f"--column {name}={name} takes the column; for the other, rename the column"
            )


_MEANINGS = {"N": "the number of rows", "J": "of groups", "n": "rows by group", "y": "outcomes"}


def _as_declared(program: Program, name: str, value: Any) -> Any:
    """Give whole numbers as integers where a program declares integers.

    Raises
    ------
    InputError
        Such a program is given other numbers.
    """
    if program.declared["inputs"][name]["type"] != "int":
        return value
    numbers = np.asarray(value)
    if numbers.dtype.kind != "f":
        return value
    if (odd := numbers[numbers != np.round(numbers)]).size:
        raise InputError(
            f"{program.path}: {name} is declared as integers, and {odd.flat[0]:g} is none"
        )
    return numbers.astype(np.int64)


_ABOVE_ZERO = ("_scale", "_upper", "_shape", "_alpha", "_beta", "_rate")


def check_hyperparameters(program: Program, priors: Priors) -> None:
    """Refuse scales, bounds and shapes that are not above zero, and powers that are not above one.

    Raises
    ------
    InputError
        With the setting and its value.
    """
    for name in program.inputs:
        value = priors.values.get(name)
        if value is None:
            continue
        if value <= 0 and name.endswith(_ABOVE_ZERO):
            raise InputError(f"prior {name} = {value:g}: it must be above zero")
        if value <= 1 and name.endswith("_power"):
            raise InputError(
                f"prior {name} = {value:g}: it must be above one, or the posterior is improper"
            )


def check_settings_used(priors: Priors, declared: Collection[str]) -> list[str]:
    """Refuse prior settings of the user that nothing reads: a misspelled one would change nothing.

    Parameters
    ----------
    priors
        The settings, with their sources.
    declared
        Names that the programs of the run declare.

    Returns
    -------
    list of str
        Settings of the data's file that are not read, as phrases: these may be meant for another
        run.

    Raises
    ------
    InputError
        A setting given for this run is not read, with the nearest name that is.
    """
    notes = []
    for name, source in priors.sources.items():
        if name in declared or source == SCALED:
            continue
        near = difflib.get_close_matches(name, declared, n=1)
        if source == SET_BY_USER:
            raise InputError(
                f"--prior {name}: no program of this run declares it"
                + (f" (nearest name: {near[0]!r})" if near else "")
                + f". Declared: {', '.join(declared)}"
            )
        if name not in FAMILY_SETTINGS:
            notes.append(
                f"{source} sets {name}, which no program of this run declares"
                + (f" (nearest name: {near[0]!r})" if near else "")
            )
    return notes


def read_extra(path: str | Path) -> dict[str, Any]:
    """Read further inputs of a program from a JSON or TOML file.

    Raises
    ------
    InputError
        No such file, an ending other than `.json` or `.toml`, text that does not parse, or a
        value that is neither a number nor made of numbers.
    """
    path = Path(path)
    parsers: dict[str, Callable[[str], Any]] = {".json": _json, ".toml": tomllib.loads}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise InputError(f"{path}: extra data are read from a .json or a .toml file")
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: extra data must map names to values")
    for name, value in values.items():
        wrong = _not_numbers(value)
        if wrong is not None:
            raise InputError(
                f"{path}: {name} holds {wrong!r}; inputs of a Stan program are numbers, lists of "
                'numbers, values by label {"a": ..., "b": ...}, or a tuple {"1": ..., "2": ...}'
            )
    return values


def _json(text: str) -> Any:
    """Read JSON; of two values under one name the last would win."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is given twice")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


def _not_numbers(value: Any) -> str | None:
    """Return what in a value Stan cannot read, as text; None where there is nothing."""
    if isinstance(value, list | dict):
        parts = value.values() if isinstance(value, dict) else value
        return next((wrong for part in parts if (wrong := _not_numbers(part)) is not None), None)
    return None if isinstance(value, int | float) else str(value)


def priors_for(data: GroupedData, overrides: Mapping[str, float] | None = None) -> Priors:
    """Settle the prior settings: scaled to the data, then the data's file, then the user's.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.priors_for(pp.read_csv(pp.example())).values["mu_scale"]
    10.0
    >>> pp.priors_for(pp.read_csv(pp.example()), {"mu_scale": 5}).sources["mu_scale"]
    'set by the user'
    """
    priors = data.family.default_priors(data.stats)
    if data.priors:
        priors = priors.updated(data.priors, source=data.priors_source)
    if overrides:
        priors = priors.updated(overrides, source=SET_BY_USER)
    return data.family.settled(priors)
