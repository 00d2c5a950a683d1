"""Checks what compiling and sampling need, and names the one command that mends each fault.

Nothing is downloaded, built or changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import PartialPoolError, ToolchainError
from partialpool.programs.toolchain import assemble, compiler, locate, storage, unpack
from partialpool.programs.toolchain import wheel as wheels
from partialpool.programs.toolchain.processes import ask

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGES = ("partialpool", "cmdstanpy", "arviz-base", "arviz-stats", "numpy", "pandas")
_SET_UP = "run `partialpool setup`"
_INSTALL = "run `install_cmdstan`"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was looked at.
    ok
        Whether it is as it must be.
    detail
        What was found.
    remedy
        The one command or step that mends it; empty where nothing is wrong.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def doctor() -> list[Check]:
    """Look at compiler, make, CmdStan, the cache and the versions of what is used.

    Returns
    -------
    list of Check
        In the order in which things are needed.
    """
    return [
        _guarded("C++ compiler", _compiler, compiler.how_to_install()),
        _guarded("make", _make, compiler.how_to_install()),
        _guarded("cache folder", _cache, "set PARTIALPOOL_CACHE to a folder that can be written"),
        *_cmdstan(),
        Check("versions", ok=True, detail=_versions()),
    ]


def _guarded(name: str, look: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, ok=True, detail=look())
    except PartialPoolError as error:
        return Check(name, ok=False, detail=str(error), remedy=remedy)


def _compiler() -> str:
    folder = assemble.location()
    found = assemble.folder_compiler(folder)
    path = shutil.which(found.command.split()[0])
    advice = ""
    if (found.clang_major or 0) < compiler.CLANG_WITH_INSTANTIATIONS:
        advice = (
            f"; clang++ {compiler.CLANG_WITH_INSTANTIATIONS} or newer would compile programs faster"
        )
    return f"{found}, {path}{advice}"


def _make() -> str:
    command = compiler.make_command()
    return ask([command, "--version"]).stdout.splitlines()[0] + f", {shutil.which(command)}"


def _cache() -> str:
    root = storage.prepare()
    sizes = {
        "executables": storage.size(root / "programs"),
        "CmdStan": sum(storage.size(path) for path in root.glob("cmdstan-*")),
        "downloads": storage.size(root / "wheels"),
    }
    listed = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items())
    replaced = ""
    if root != storage.wanted():
        replaced = f" (in place of {storage.wanted()}, a path that make cannot take)"
    free = shutil.disk_usage(root).free / 1e9
    return f"{root}{replaced}: {listed}; {free:.0f} GB free"


def _cmdstan() -> list[Check]:
    """Report on the CmdStan that would be used now, without setting one up."""
    choice = os.environ.get("PARTIALPOOL_CMDSTAN")
    checks = []
    if choice and choice not in locate.ORIGINS:
        return [_folder(Path(choice).expanduser(), "chosen", "correct PARTIALPOOL_CMDSTAN")]
    if choice in (None, "", "found"):
        for path in locate.installations():
            check = _folder(path, "found", "run `install_cmdstan --overwrite`, or unset CMDSTAN")
            checks.append(check)
            if check.ok:
                return checks
    if choice == "found":
        return checks or [Check("CmdStan", ok=False, detail="none found", remedy=_INSTALL)]
    if choice == "release":
        version = unpack.assembled_version()
        path = Path("~/.cmdstan").expanduser() / f"cmdstan-{version}"
        return [_folder(path, "release", _SET_UP)]
    return [*checks, *_assembled()]


def _folder(path: Path, origin: str, remedy: str) -> Check:
    try:
        cmdstan = locate.inspect(Path(os.path.realpath(path)), origin)
    except ToolchainError as error:
        return Check("CmdStan", ok=False, detail=f"{origin}, broken: {error}", remedy=remedy)
    return Check("CmdStan", ok=True, detail=f"{cmdstan.version}, {origin}: {cmdstan.path}")


def _assembled() -> list[Check]:
    folder, version = assemble.location(), unpack.assembled_version()
    try:
        wheels.for_this_platform()
    except ToolchainError as error:
        return [Check("CmdStan", ok=False, detail=str(error), remedy=_INSTALL)]
    if not folder.exists():
        return [Check("CmdStan", ok=False, detail="not set up yet", remedy=_SET_UP)]
    fault = assemble.fault(thorough=True)
    if fault is not None:
        return [Check("CmdStan", ok=False, detail=f"{folder}: {fault}", remedy=_SET_UP)]
    return [
        Check("CmdStan", ok=True, detail=f"{version}, assembled: {folder}"),
        Check("set-up", ok=True, detail=_timings(folder)),
    ]


def _timings(folder: Path) -> str:
    files, build = unpack.read_record(folder), assemble.read_build(folder)
    if files is None or build is None:
        return "not recorded"
    parts = {"download": files.get("download"), "unpacking": files.get("unpack")}
    parts[f"build ({build['jobs']} at once)"] = build["seconds"]
    return ", ".join(f"{name} {value:.1f} s" for name, value in parts.items() if value is not None)


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found) + f"; {sys.platform} {platform.machine()}"
