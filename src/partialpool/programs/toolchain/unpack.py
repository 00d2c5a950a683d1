"""The files of an assembled CmdStan folder: which there are, how they get there, their check.

Headers, libraries and stanc come from the wheel, the makefile and the C++ sources of the
command line from this package. A record of all sizes, and of the times of the folders of
headers, tells later whether something was removed or changed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import time
import zipfile
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain import tools

if TYPE_CHECKING:
    from partialpool.progress import Task

RECORD = "assembled/files.json"
_HEADERS = "assembled/headers.json"
_EXAMPLE = "examples/bernoulli/"
_DATE = 1_577_836_800  # one date for all: make must never take a restored header for a new one
_TREES = {"httpstan/include/": "include/", "httpstan/lib/": "lib/", "httpstan/.dylibs/": ".dylibs/"}
_SKIPPED = ("include/pybind11/", "include/boost/python/")
_FOLDERS = {".cpp": "src/", ".hpp": "src/", ".stan": _EXAMPLE, ".json": _EXAMPLE}


@functools.cache
def package_files() -> dict[str, bytes]:
    """Return the files of this package that go into the folder, by their path there."""
    folder = resources.files("partialpool.programs.toolchain") / "cmdstan"
    files = {}
    for item in folder.iterdir():
        if item.name == "makefile":
            files["makefile"] = item.read_bytes()
        elif (suffix := PurePosixPath(item.name).suffix) in _FOLDERS:
            files[_FOLDERS[suffix] + item.name] = item.read_bytes()
    return dict(sorted(files.items()))


def stan_version(makefile: str) -> str | None:
    """Return the version that a CmdStan makefile states, or None."""
    match = re.search(r"^CMDSTAN_VERSION\s*:=\s*(\S+)", makefile, re.M)
    return match[1] if match else None


def assembled_version() -> str:
    """Return the version of the CmdStan that this package assembles."""
    version = stan_version(package_files()["makefile"].decode())
    assert version is not None
    return version


def digest() -> str:
    """Return a digest of the files that the package contributes."""
    total = hashlib.sha256(tools.SCRIPT.encode())
    for name, content in package_files().items():
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _place(member: str) -> str | None:
    """Return where a member of the wheel goes, None if it is not needed."""
    if member == "httpstan/stanc":
        return "bin/stanc"
    if member.endswith(".dist-info/LICENSE"):
        return "LICENSE"
    for prefix, folder in _TREES.items():
        if member.startswith(prefix) and not member.endswith("/"):
            place = folder + member.removeprefix(prefix)
            return None if place.startswith(_SKIPPED) else place
    return None


def unpack(wheel: Path, folder: Path, *, only: set[str] | None = None, task: Task) -> None:
    """Write the wheel's and the package's files below `folder`; `only` restricts which."""
    made: set[str] = set()

    def write(place: str, content: bytes) -> None:
        path = f"{folder}/{place}"
        parent = path.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 (13,000 files)
            made.add(parent)
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)
        if place.startswith(("bin/", "lib/")):
            os.chmod(path, 0o755)  # noqa: PTH101
        os.utime(path, (_DATE, _DATE))
        task.advance()

    scripts = {f"bin/{name}": tools.script(name) for name in tools.TOOLS}
    for place, content in (package_files() | scripts).items():
        if only is None or place in only:
            write(place, content)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                target = _place(info.filename)
                if target is not None and (only is None or target in only):
                    write(target, archive.read(info))
    except (OSError, zipfile.BadZipFile) as error:
        raise ToolchainError(
            f"{wheel} could not be unpacked below {folder}: {error}; free some space (1 GB is "
            "enough) and try again"
        ) from error


def write_record(folder: Path, **about: Any) -> None:
    """Record the sizes of the files and the times of the folders of headers.

    The 13,000 headers have a record of their own, which is read only to look for damage.
    """
    headers: dict[str, int] = {}
    others: dict[str, int] = {}
    times: dict[str, int] = {}
    top = len(str(folder)) + 1
    for parent, _, names in os.walk(folder):
        place = parent[top:]
        if place.split("/")[0] in {"build", "make", "assembled", "tools"}:
            continue
        if place.startswith("include"):
            times[place] = os.stat(parent).st_mtime_ns  # noqa: PTH116
        if f"{place}/" == _EXAMPLE:  # users compile it where it lies
            names = [name for name in names if f"{_EXAMPLE}{name}" in package_files()]
        for name in names:
            size = os.stat(f"{parent}/{name}").st_size  # noqa: PTH116
            (headers if place.startswith("include") else others)[f"{place}/{name}"] = size
    others = {name.lstrip("/"): size for name, size in others.items()}
    _save(folder / _HEADERS, headers)
    _save(folder / RECORD, {**about, "sizes": others, "times": times, "written": time.time()})


def _save(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(record))
    temporary.replace(path)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record, or None where the folder is not completely unpacked."""
    return _read(folder / RECORD)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record


def looks_whole(folder: Path, record: dict[str, Any]) -> bool:
    """Compare all files but headers, and the folders of headers: quick, and sees removals."""
    if _changed(folder, record["sizes"]):
        return False
    try:
        return all(
            os.stat(f"{folder}/{place}").st_mtime_ns == expected  # noqa: PTH116
            for place, expected in record["times"].items()
        )
    except OSError:
        return False


def changed_files(folder: Path, record: dict[str, Any]) -> set[str] | None:
    """Return every recorded file that is missing or has another size; None: it cannot be told."""
    headers = _read(folder / _HEADERS)
    return None if headers is None else _changed(folder, record["sizes"] | headers)


def _changed(folder: Path, sizes: dict[str, int]) -> set[str]:
    changed = set()
    for place, expected in sizes.items():
        try:
            same = os.stat(f"{folder}/{place}").st_size == expected  # noqa: PTH116
        except OSError:
            same = False
        if not same:
            changed.add(place)
    return changed
