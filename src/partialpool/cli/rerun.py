"""The console command `partialpool rerun`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from partialpool.cli.console import end, progress, say, warn


def rerun(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of results.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Where the data are now, if moved; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write; FOLDER with -rerun by default."),
    ] = None,
    cmdstan: Annotated[
        str | None, typer.Option(help="CmdStan to use: a folder, or found, release or assembled.")
    ] = None,
) -> None:
    """Make a result again from its manifest, and say whether draws and tables are the same."""
    from partialpool.programs import toolchain
    from partialpool.report.rerun import IDENTICAL
    from partialpool.report.rerun import rerun as make_again

    again = make_again(
        folder,
        data_files=data or (),
        target=output,
        cmdstan=toolchain.find_cmdstan(cmdstan, progress=progress),
        progress=progress,
    )
    for note in again.notes:
        warn(f"{note}.")
    for title, verdict in again.draws.items():
        last = ", bit for bit" if verdict == IDENTICAL else ""
        say(f"Draws of {title}: {verdict}{last}")
    say(f"Tables: {_counted(again.tables)}")
    say(f"Saved in {again.target}")
    if not again.identical:
        warn("the second run did not give what the first gave.")
    end(trusted=again.identical)


def _counted(tables: Mapping[str, str]) -> str:
    """Count the tables by verdict, and name those that are not identical."""
    from partialpool.report.rerun import IDENTICAL

    if not tables:
        return "none to compare"
    counts = Counter(tables.values())
    parts = [f"{count} {verdict}" for verdict, count in counts.items()]
    odd = [name for name, verdict in tables.items() if verdict != IDENTICAL]
    return ", ".join(parts) + (f" ({', '.join(odd)})" if odd else ", byte for byte")
