"""Where results go: each data set, command and choice has a folder of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from partialpool.cli.console import say
from partialpool.cli.parsing import OUTPUT
from partialpool.errors import InputError

if TYPE_CHECKING:
    from partialpool.data import GroupedData

_LONGEST = 60
_ABOUT = "data.json"
_WHERE_FROM = ("columns", "sheet", "wide")

Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder that results are put in.", rich_help_panel=OUTPUT),
]


@dataclass(frozen=True)
class Place:
    """Options that say where results go."""

    panel: ClassVar[str] = OUTPUT

    output: Output = Path("results")
    name: Annotated[
        str | None,
        typer.Option(help="What the folder of results is called instead of the data file."),
    ] = None

    def folder(self, data: GroupedData, kind: str = "", choice: Sequence[str] = ()) -> Path:
        """Settle the folder of a result, as `target` does."""
        return target(self.output, data, kind, choice, name=self.name)


def target(
    output: Path,
    data: GroupedData,
    kind: str = "",
    choice: Sequence[str] = (),
    *,
    name: str | None = None,
) -> Path:
    """Settle the folder of a result before any work is done for it.

    It is called after the data set, the command and what was chosen. A folder that holds results
    of other data is left alone: the column or the data's folder is added to the name then, or a
    number.

    Parameters
    ----------
    output
        The folder of all results.
    data
        The data.
    kind
        What the command is called there; nothing for the report.
    choice
        What was chosen in place of the default: programs, priors.
    name
        What the user calls the data set.

    Raises
    ------
    InputError
        The place cannot be written, is no folder of results, or the name that the user gave
        belongs to other data.
    """
    from partialpool.report import results

    if name is not None and (not name.strip() or Path(name).name != name or name in (".", "..")):
        raise InputError(f"--name {name}: it must be the name of one folder")
    ending = "".join(f"-{part}" for part in (kind, short(choice)) if part)
    taken = ""
    for called in [name] if name is not None else _names(data, output, ending):
        folder = results.check_target(output / f"{called}{ending}")
        if not folder.exists() or _holds(folder, data):
            if taken:
                say(f"Note: {taken}; these go to {folder} (--name names it).")
            return folder
        taken = taken or f"{folder} holds results of other data ({_origin(folder)})"
    raise InputError(f"--name {name}: {taken}; give another name, or remove that folder")


def short(choice: Sequence[str]) -> str:
    """What was chosen, as a part of a folder's name."""
    named = [Path(part).stem if part.endswith(".stan") else part for part in choice]
    parts = [re.sub(r"[^\w-]+", "-", part).strip("-") for part in named]
    text = "-".join(filter(None, parts))
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def shared_target(output: Path, data_sets: Sequence[GroupedData], *, name: str | None) -> Path:
    """Settle the folder of the fits of many data sets, where the same command goes on.

    Parameters
    ----------
    output
        The folder of all results.
    data_sets
        The data sets, at least one of which the folder is about, if it is about some.
    name
        What the user calls it; `fit-many` otherwise, with a number where that is taken.

    Raises
    ------
    InputError
        The name that the user gave belongs to other data.
    """
    mine = json.loads(_about(data_sets))
    numbered = (f"fit-many-{number}" for number in itertools.count(2))
    for called in [name] if name is not None else itertools.chain(["fit-many"], numbered):
        folder = output / called
        try:
            theirs = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            theirs = []
        if not theirs or any(each in theirs for each in mine):
            return folder
        say(f"Note: {folder} holds fits of other data, and is left alone.")
    raise InputError(f"--name {name}: {output / str(name)} holds fits of other data; give another")


def claim(folder: Path, data_sets: Sequence[GroupedData]) -> None:
    """Make the folder of the fits of many data sets, and say in it which they are of.

    Raises
    ------
    InputError
        It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT).write_text(_about(data_sets), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: results cannot be written there ({error.strerror})") from None


def _about(data_sets: Sequence[GroupedData]) -> str:
    told = [{key: data.reading.get(key) for key in ("files", *_WHERE_FROM)} for data in data_sets]
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _names(data: GroupedData, output: Path, ending: str) -> Iterator[str]:
    """Names for the folder of a data set, the best first."""
    yield data.name
    before = _record(output / f"{data.name}{ending}").get("reading") or {}
    columns, files = data.reading.get("columns", {}), data.reading.get("files", ())
    column = _outcome(columns)
    theirs = before.get("files") or [""]
    parent = Path(files[0]).parent.name if files else ""
    if files and Path(theirs[0]).parent == Path(files[0]).parent:
        parent = Path(files[0]).suffix
    for more in (column, parent) if before.get("files") == files else (parent, column):
        if more:
            yield f"{data.name}-{short([str(more)])}"
    yield from (f"{data.name}-{number}" for number in itertools.count(2))


def _outcome(columns: Mapping[str, Any]) -> str:
    """Column that holds what is modelled; an empty text where none is named."""
    roles = ("value", "estimate", "mean", "successes", "count")
    return next((str(columns[role]) for role in roles if columns.get(role)), "")


def _record(folder: Path) -> Mapping[str, Any]:
    """What a folder of results says of its data; nothing where it does not."""
    from partialpool.report import results

    try:
        return dict(results.read_manifest(folder)["data"])
    except InputError:
        return {}


def _holds(folder: Path, data: GroupedData) -> bool:
    """Whether a folder holds results of the same data: the same columns of the same file."""
    record = _record(folder)
    theirs = record.get("reading") or {}
    if any(theirs.get(key) != data.reading.get(key) for key in _WHERE_FROM):
        return False
    return theirs.get("files") == data.reading.get("files") or record.get("sha256") == data.sha256


def _origin(folder: Path) -> str:
    """Files and column that the results in a folder come from."""
    reading = _record(folder).get("reading") or {}
    files = reading.get("files") or ["an unknown source"]
    columns = reading.get("columns") or {}
    column = _outcome(columns)
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}" + (f", column {column}" if column else "")
