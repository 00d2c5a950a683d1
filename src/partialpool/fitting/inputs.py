"""What a program is given: inputs from the data set, the prior settings and extra data."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILY_SETTINGS
from partialpool.families.base import DRAWN_GROUPS
from partialpool.priors.hyperparameters import SCALED, SET_BY_USER, Priors
from partialpool.programs import Program


def stan_data(
    program: Program,
    data: GroupedData,
    priors: Priors,
    *,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
) -> dict[str, Any]:
    """Collect what a program's data block declares.

    Available are the rows (`N`, `J`, `group` from 1, `y`), what the family has (`Family.inputs`),
    the prior settings, the switches `prior_only` and `pointwise`, `prior_power` (1: the exponent of
    the priors in programs that let refits change it), and whatever `extra` adds; `extra` wins.
    Groups whose theta a program draws from statistics (`J_drawn`) are none of more than
    `DRAWN_GROUPS`; `N_drawn`, `group_drawn`, `y_drawn` are the rows where `pointwise` asks for
    them.

    Raises
    ------
    InputError
        A declared input is not available (of summarized data the observations are not); the
        message lists what is, and the nearest name.
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
        "prior_only": int(prior_only),
        "prior_power": 1.0,
        "pointwise": int(pointwise),
        **priors.values,
        **(extra or {}),
    }
    missing = [name for name in program.inputs if name not in available]
    if len(data.y) == 0 and (pointwise or {"y", "group"} & set(missing)):
        raise InputError(
            f"{program.title} needs the observations, and of {data.name} only the statistics by "
            "group are at hand; hierarchical_marginal can be fitted to these"
        )
    if missing:
        near = difflib.get_close_matches(missing[0], available, n=1)
        raise InputError(
            f"{program.path}: its data block declares {missing[0]!r}, for which there is no value"
            + (f" (nearest name: {near[0]!r})" if near else "")
            + f". Declared: {', '.join(program.inputs)}. Available: {', '.join(available)}. "
            "Add a number with --prior NAME=NUMBER, or other inputs with --extra-data FILE"
        )
    check_hyperparameters(program, priors)
    return {name: _as_declared(program, name, available[name]) for name in program.inputs}


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


def check_hyperparameters(program: Program, priors: Priors) -> None:
    """Refuse scales, bounds and shapes that are not above zero.

    Raises
    ------
    InputError
        With the setting and its value.
    """
    for name in program.inputs:
        value = priors.values.get(name)
        if value is not None and value <= 0 and name.endswith(("_scale", "_upper", "_shape")):
            raise InputError(f"prior {name} = {value:g}: it must be above zero")


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
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix.lower())
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
                'numbers, or for a tuple {"1": ..., "2": ...}'
            )
    return values


def _not_numbers(value: Any) -> str | None:
    """Return what in a value Stan cannot read, as text; None where there is nothing."""
    if isinstance(value, list | dict):
        parts = value.values() if isinstance(value, dict) else value
        return next((wrong for part in parts if (wrong := _not_numbers(part)) is not None), None)
    return None if isinstance(value, int | float) else str(value)


def priors_for(data: GroupedData, overrides: Mapping[str, float] | None = None) -> Priors:
    """Settle the prior settings: scaled to the data, then the data's file, then the user's."""
    priors = data.family.default_priors(data.stats)
    if data.priors:
        priors = priors.updated(data.priors, source=data.priors_source)
    if overrides:
        priors = priors.updated(overrides, source=SET_BY_USER)
    return priors
