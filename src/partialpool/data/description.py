"""The TOML file beside a data file: what its columns are called, and the priors of its lesson."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

from partialpool.errors import InputError

_KEYS = ("title", "group", "value", "group_label", "value_label", "unit", "exp", "priors")


def read_description(path: Path) -> dict[str, Any]:
    """Read the TOML file of a data file's name beside it.

    Returns
    -------
    dict
        What it says, empty where there is none: text under `title`, `group` and `value` (columns),
        `group_label`, `value_label` and `unit`; true or false under `exp`; finite numbers by name
        under `priors`.

    Raises
    ------
    InputError
        It is no valid TOML, or says something else.
    """
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        return {}
    try:
        settings = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{beside}: not valid TOML: {error}") from None
    for key, setting in settings.items():
        if key not in _KEYS:
            raise InputError(f"{beside}: unknown key {key!r}; known are {', '.join(_KEYS)}")
        if key == "priors":
            settings[key] = _checked_priors(setting, beside)
        elif key == "exp":
            if not isinstance(setting, bool):
                raise InputError(f"{beside}: exp must be true or false, not {setting!r}")
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
