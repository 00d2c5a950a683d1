"""The wheel that holds Stan's headers, libraries and stanc: which one, from where, checked.

httpstan's wheel of a given version is the one package on the Python package index that holds
everything that a Stan program needs in order to compile. It is downloaded by the running
Python's pip, so pip's own configuration (index, proxy, certificates) applies, and used only
when its sha256 is the one written here. No code of httpstan itself is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain import storage
from partialpool.programs.toolchain.processes import ProcessGroup

if TYPE_CHECKING:
    from partialpool.progress import Progress

WITHOUT_A_WHEEL = (
    "install CmdStan itself (conda install -c conda-forge cmdstan, or the command "
    "install_cmdstan, which comes with CmdStanPy) and let CMDSTAN name its folder"
)


@dataclass(frozen=True)
class Wheel:
    """A file of a package index: what pip is asked for, and what must come."""

    requirement: str
    tags: tuple[str, ...]
    sha256: str
    python: str | None = None


_STAN = "httpstan==4.17.0"
_STAN_WHEELS = {
    ("Linux", "x86_64"): Wheel(
        _STAN,
        ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
        "7f73e29a415718ddc45e4703c0253a9d4adc6a21aa7110ccf36821a0f94202cd",
        "3.12",
    ),
    ("Darwin", "arm64"): Wheel(
        _STAN,
        ("macosx_14_0_arm64",),
        "ce276d71c7bfe82f1c3f84f19a472dbccbbd3f23b265f7d09b68dd611457fad3",
        "3.12",
    ),
}


def for_this_platform() -> Wheel:
    """Return the wheel with Stan for this system.

    Raises
    ------
    ToolchainError
        There is none that fits.
    """
    system, machine = platform.system(), platform.machine()
    wheel = _STAN_WHEELS.get((system, machine))
    if system == "Linux" and platform.libc_ver()[0] != "glibc":
        wheel = None
    if system == "Darwin" and int(platform.mac_ver()[0].split(".")[0] or 0) < 14:
        wheel = None
    if wheel is None:
        raise ToolchainError(
            f"CmdStan cannot be assembled on {system} {machine}: there is no wheel with Stan "
            f"for it; {WITHOUT_A_WHEEL}"
        )
    return wheel


def given_path() -> Path | None:
    """Return the already downloaded wheel that `PARTIALPOOL_WHEEL` names, or None."""
    given = os.environ.get("PARTIALPOOL_WHEEL")
    return Path(given).expanduser() if given else None


def check(path: Path, wheel: Wheel) -> None:
    """Compare a file's sha256 with the wheel's.

    Raises
    ------
    ToolchainError
        They differ, or there is no such file.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ToolchainError(f"{path}: the wheel cannot be read ({error.strerror})") from error
    if found != wheel.sha256:
        raise ToolchainError(
            f"{path} is not the file that was expected for {wheel.requirement} and is not used: "
            f"its sha256 is {found}, not {wheel.sha256}; download it again from an index that "
            "you trust"
        )


def obtain(wheel: Wheel, *, given: Path | None, progress: Progress) -> Path:
    """Return a checked copy of the wheel: the given one, the kept one, or a new download.

    Raises
    ------
    ToolchainError
        It cannot be downloaded, or is not the expected file.
    """
    if given is not None:
        check(given, wheel)
        return given
    kept = storage.prepare() / "wheels" / f"{wheel.sha256[:16]}.whl"
    if kept.exists():
        try:
            check(kept, wheel)
        except ToolchainError:
            progress.line(f"{kept.name}: the kept download is damaged; downloading it again")
            kept.unlink()
        else:
            return kept
    with storage.temporary_folder(f"wheel-{wheel.sha256[:16]}") as folder:
        with progress.task(f"Downloading {wheel.requirement.replace('==', ' ')}"):
            path = _download(wheel, folder)
        check(path, wheel)
        kept.parent.mkdir(exist_ok=True)
        path.replace(kept)
    return kept


def _download(wheel: Wheel, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ToolchainError(
            f"{sys.executable} has no pip, which downloads {wheel.requirement}; run "
            f"{sys.executable} -m ensurepip (or: uv pip install pip), or download the wheel "
            "elsewhere and let PARTIALPOOL_WHEEL name the file"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(folder)]
    if wheel.python is not None:
        tag = wheel.python.replace(".", "")
        command += ["--python-version", wheel.python, "--implementation=cp", f"--abi=cp{tag}"]
    for tag in wheel.tags:
        command += ["--platform", tag]
    with ProcessGroup() as group:
        outcome = group.run([*command, wheel.requirement])
    found = sorted(folder.glob("*.whl"))
    if not outcome.ok or not found:
        raise ToolchainError(
            f"{wheel.requirement} could not be downloaded by pip: {_reason(outcome.output)}\n"
            "Check pip's index and proxy (pip config list), or download the wheel elsewhere and "
            f"let PARTIALPOOL_WHEEL name the file; or {WITHOUT_A_WHEEL}"
        )
    return found[0]


def _reason(output: str) -> str:
    """Return what pip gives as the reason; without a connection it only says "no matching"."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR")]
    broken = re.findall(r"connection broken by '\w+\(.*?: (.+?)'?\)'", output)
    reasons = [*errors[-1:], *(f"the connection failed: {reason}" for reason in broken[-1:])]
    return "; ".join(reasons) or output.strip()[-300:]
