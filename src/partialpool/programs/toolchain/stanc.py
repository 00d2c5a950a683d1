"""What stanc says of a program: whether it is valid, what it declares, how it is formatted."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.errors import InputError
from partialpool.programs.toolchain import locate
from partialpool.programs.toolchain.processes import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from partialpool.progress import Progress


def check_syntax(
    stan_file: str | Path,
    *,
    include_paths: Sequence[str | Path] = (),
    cmdstan: locate.CmdStan | None = None,
    progress: Progress | None = None,
) -> None:
    """Check a Stan program's syntax and types; nothing is compiled.

    Parameters
    ----------
    stan_file
        The program.
    include_paths
        Folders in which `#include` looks after the program's own.
    cmdstan
        The CmdStan whose stanc is asked; any that can be found where None.
    progress
        Where to report, if a CmdStan must be set up first.

    Raises
    ------
    InputError
        The file cannot be read or is not a valid program: stanc's message, with the line.
    ToolchainError
        There is no stanc.
    """
    program_info(stan_file, include_paths=include_paths, cmdstan=cmdstan, progress=progress)


def program_info(
    stan_file: str | Path,
    *,
    include_paths: Sequence[str | Path] = (),
    cmdstan: locate.CmdStan | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Ask stanc what a program declares; nothing is compiled.

    Parameters and errors are those of `check_syntax`.

    Returns
    -------
    dict
        "inputs", "parameters", "transformed parameters" and "generated quantities", each from
        name to {"type", "dimensions"}; "functions", "distributions"; and "included_files", the
        absolute paths of the files that `#include` brought in.
    """
    answer = _ask_stanc("--info", stan_file, include_paths, cmdstan, progress)
    info: dict[str, Any] = json.loads(answer)
    return info


def format_program(
    stan_file: str | Path,
    *,
    cmdstan: locate.CmdStan | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a program as stanc's formatter writes it; the file is left as it is.

    Errors are those of `check_syntax`.
    """
    formatted = _ask_stanc("--auto-format", stan_file, (), cmdstan, progress)
    return formatted.rstrip("\n") + "\n"


def read_source(stan_file: str | Path) -> bytes:
    """Return the bytes of a Stan program.

    Raises
    ------
    InputError
        There is no such file, it cannot be read, or its name does not end in .stan.
    """
    path = Path(stan_file)
    if path.suffix != ".stan":
        raise InputError(f"{path}: the name of a Stan program ends in .stan")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the Stan program cannot be read ({error.strerror})") from error


def include_folders(stan_file: str | Path, include_paths: Sequence[str | Path]) -> list[Path]:
    """Return the folders in which `#include` looks: the program's own, then the given ones.

    Raises
    ------
    InputError
        A given one is not a folder.
    """
    for path in include_paths:
        if not Path(path).is_dir():
            raise InputError(f"{path}: this include path is not a folder")
    folders = [Path(stan_file).absolute().parent]
    folders += [Path(path).absolute() for path in include_paths]
    return list(dict.fromkeys(folders))


def _ask_stanc(
    action: str,
    stan_file: str | Path,
    include_paths: Sequence[str | Path],
    cmdstan: locate.CmdStan | None,
    progress: Progress | None,
) -> str:
    read_source(stan_file)
    folders = include_folders(stan_file, include_paths)
    stanc = (cmdstan or locate.find_stanc(progress=progress)).stanc
    with tempfile.TemporaryDirectory() as place:
        listed = _without_commas(folders, Path(place))
        answer = ask([stanc, action, f"--include-paths={','.join(listed)}", Path(stan_file)])
    out, messages = answer.stdout, answer.stderr
    for link, folder in zip(listed, folders, strict=True):
        out, messages = out.replace(link, str(folder)), messages.replace(link, str(folder))
    if answer.returncode:
        hint = "\nAnother folder to look in is named with --include" * ("include file" in messages)
        raise InputError(f"{stan_file} is not a valid Stan program:\n{messages.strip()}{hint}")
    return out


def _without_commas(folders: list[Path], place: Path) -> list[str]:
    """Return paths for stanc's list, which is split at commas: a link, where a path has one."""
    listed = []
    for number, folder in enumerate(folders):
        if "," in str(folder):
            link = place / f"include{number}"
            link.symlink_to(folder)
            listed.append(str(link))
        else:
            listed.append(str(folder))
    return listed
