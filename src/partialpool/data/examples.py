"""The shipped data sets, by name."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from partialpool.errors import InputError

EXAMPLES = (
    *("homework", "eight_schools", "bcg", "calendars"),
    *("batting", "tumors", "pumps", "batting_rest"),
)
"""Names of the shipped data sets."""


def example(name: str = "homework") -> Path:
    """Path of a shipped data set: the lesson's homework, or `eight_schools`.

    Raises
    ------
    InputError
        There is none of this name; with the nearest.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.example("homework").name
    'homework.csv'
    """
    if name not in EXAMPLES:
        near = difflib.get_close_matches(name, EXAMPLES, n=1)
        raise InputError(
            f"{name}: no such file, and no shipped example of this name"
            + (f" (nearest name: {near[0]!r})" if near else "")
            + f"; the examples are {', '.join(EXAMPLES)}"
        )
    inside = Path(str(resources.files("partialpool"))) / "examples"
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "data"
    return folder / f"{name}.csv"


def find(name: str) -> str | Path:
    """Take the name of an example for its file, and any other name for a file or a pattern.

    Raises
    ------
    InputError
        The name is no file's, and has neither a folder nor an ending as a file has.
    """
    if name in EXAMPLES:
        return example(name)
    bare = name.replace("_", "").replace("-", "").isalnum()
    return example(name) if bare and not Path(name).exists() else name
