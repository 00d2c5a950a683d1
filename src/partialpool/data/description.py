"""The TOML file beside a data file: what its columns are called, and the priors of its lesson."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from partialpool.data.files import shared_name
from partialpool.data.opening import stated_delimiter
from partialpool.data.spelling import Spelling
from partialpool.errors import InputError

_TEXTS = (
    "title",
    "group",
    "value",
    "estimate",
    "se",
    "variance",
    "successes",
    "trials",
    "count",
    "exposure",
)
_LABELS = ("group_label", "value_label", "unit")
_READING = ("delimiter", "decimal", "thousands", "missing", "encoding", "sheet", "wide", "order")
_KEYS = (*_TEXTS, "ci", "level", "exp", *_READING, *_LABELS, "priors")


def read_description(path: Path) -> dict[str, Any]:
    """Read the TOML file of a data file's name beside it.

    Returns
    -------
    dict
        What it says, empty where there is none: text under `title`, `group`, `value`, `estimate`,
        `se`, `variance`, `successes`, `trials`, `count` and `exposure` (columns), `delimiter`,
        `decimal`, `thousands`, `encoding`, `sheet` and `order` (how the file is read),
        `group_label`, `value_label` and `unit`; two columns under `ci`, and under `group` where
        groups lie within groups, the outermost first; texts under `missing`; a number under
        `level`; true or false under `exp` and `wide`; finite numbers by name under `priors`.

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
        elif key == "ci":
            if not (
                isinstance(setting, list)
                and len(setting) == 2
                and all(isinstance(name, str) for name in setting)
            ):
                raise InputError(
                    f"{beside}: ci must be a list of two columns, as in ci = ['low', 'high'], not "
                    f"{setting!r}"
                )
        elif key == "group":
            settings[key] = _checked_group(setting, beside)
        elif key == "missing":
            if not (isinstance(setting, list) and all(isinstance(text, str) for text in setting)):
                raise InputError(
                    f"{beside}: missing must be a list of texts, as in missing = ['-999'], not "
                    f"{setting!r}"
                )
        elif key == "level":
            if isinstance(setting, bool) or not isinstance(setting, int | float):
                raise InputError(f"{beside}: level must be a number, not {setting!r}")
        elif key in ("exp", "wide"):
            if not isinstance(setting, bool):
                raise InputError(f"{beside}: {key} must be true or false, not {setting!r}")
        elif not isinstance(setting, str):
            raise InputError(f"{beside}: {key} must be text in quotes, not {setting!r}")
    return settings


def spelling_of_file(
    path: Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    unit: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    missing: Sequence[str] | None = None,
) -> Spelling:
    """Settle how a file is written: as the user says, the TOML file beside it, or its first line.

    Raises
    ------
    InputError
        Marks that cannot be told apart, or an encoding that is not known.
    """
    told = read_description(path)
    given: dict[str, Any] = {
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "encoding": encoding,
        "sheet": sheet,
        "missing": missing or None,
    }
    named = {key: text if text is not None else told.get(key) for key, text in given.items()}
    spelling = Spelling.of(**named, unit=unit)
    if named["delimiter"] is not None:
        return spelling
    return spelling.delimited(stated_delimiter(path, spelling))


def about_files(
    paths: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    group_label: str,
    value_label: str = "value",
) -> dict[str, Any]:
    """Name the data set and its labels, as the TOML file says or after files and columns.

    Parameters
    ----------
    paths
        The files.
    settings
        What `read_description` found beside the first.
    group_label, value_label
        What group and outcome are called where the TOML file does not say.

    Returns
    -------
    dict
        Fields of `partialpool.data.GroupedData`.
    """
    name = shared_name(paths)
    priors = settings.get("priors", {})
    return {
        "name": name,
        "title": settings.get("title", name),
        "group_label": settings.get("group_label", group_label),
        "value_label": settings.get("value_label", value_label),
        "unit": settings.get("unit", ""),
        "exp": settings.get("exp", False),
        "priors": priors,
        "priors_source": paths[0].with_suffix(".toml").name if priors else "",
    }


def one_group(settings: Mapping[str, Any], path: Path) -> str | None:
    """Give the column of groups that the TOML file names, if it names one.

    Raises
    ------
    InputError
        It names two, for readers that know no groups within groups.
    """
    group: str | tuple[str, ...] | None = settings.get("group")
    if isinstance(group, tuple):
        raise InputError(
            f"{path}: {path.with_suffix('.toml').name} says that {group[1]!r} lies within "
            f"{group[0]!r}; partialpool.read reads groups within groups, or name one column"
        )
    return group


def _checked_group(setting: object, beside: Path) -> str | tuple[str, ...]:
    if isinstance(setting, str):
        return setting
    if (
        isinstance(setting, list)
        and len(setting) == 2
        and all(isinstance(name, str) for name in setting)
    ):
        return tuple(setting)
    raise InputError(
        f"{beside}: group must be a column, or of groups within groups a list of two, as in "
        f"group = ['district', 'school'], not {setting!r}"
    )


def _checked_priors(setting: object, beside: Path) -> dict[str, float]:
    if not isinstance(setting, dict):
        raise InputError(f"{beside}: [priors] must be a table of numbers")
    for key, number in setting.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"{beside}: prior {key} must be a number, not {number!r}")
        if not math.isfinite(number):
            raise InputError(f"{beside}: prior {key} must be finite, not {number}")
    return {key: float(number) for key, number in setting.items()}
