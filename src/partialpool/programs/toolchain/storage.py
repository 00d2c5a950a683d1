"""Where the toolchain keeps its files, and the locks that keep two processes apart.

The folder is the user's cache folder, or `PARTIALPOOL_CACHE`. GNU make cannot work in a path
with blanks, so a cache folder with such a path is replaced by one below `/var/tmp` (or the
folder for temporary files) that belongs to the user alone and is named after the first.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from partialpool.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from partialpool.progress import Progress

_SAFE = re.compile(r"[A-Za-z0-9_./+-]+")


def make_safe(path: Path | str) -> bool:
    """Whether make, a shell and stanc's lists all take `path` without quoting."""
    return _SAFE.fullmatch(str(path)) is not None


def wanted() -> Path:
    """Return the cache folder that the user asked for, with links resolved."""
    given = os.environ.get("PARTIALPOOL_CACHE") or platformdirs.user_cache_dir("partialpool")
    return Path(os.path.realpath(Path(given).expanduser()))


def root() -> Path:
    """Return the folder that is used: the wanted one, or its replacement if make cannot take it.

    Raises
    ------
    ToolchainError
        The replacement exists and belongs to somebody else.
    """
    folder = wanted()
    return folder if make_safe(folder) else _replacement(folder)


def _replacement(folder: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:10]
    bases = [Path(os.path.realpath(base)) for base in ("/var/tmp", tempfile.gettempdir())]
    for base in bases:
        if base.is_dir() and make_safe(base) and os.access(base, os.W_OK):
            path = base / f"partialpool-{os.getuid()}-{digest}"
            break
    else:
        raise ToolchainError(
            f"{folder}: make cannot work in this path, and neither {bases[0]} nor {bases[1]} can "
            "replace it; set PARTIALPOOL_CACHE to a path of letters, digits and ._+-"
        )
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise ToolchainError(f"{path} cannot be used as the cache folder: {error}") from error
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
    if status.st_uid != os.getuid() or not private:
        raise ToolchainError(
            f"{path} is not a private folder of yours, so nothing in it can be trusted; remove "
            "it, or set PARTIALPOOL_CACHE to another folder"
        )
    return path


def prepare() -> Path:
    """Create the folder and make sure that files can be written there; return it.

    Raises
    ------
    ToolchainError
        The folder cannot be created or written to.
    """
    folder = root()
    try:
        (folder / "temporary").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "temporary"):
            pass
    except OSError as error:
        raise ToolchainError(
            f"{folder}: the cache folder cannot be written to ({error.strerror}); "
            "set PARTIALPOOL_CACHE to a folder that can"
        ) from error
    return folder


@contextmanager
def lock(name: str, *, waiting_for: str, progress: Progress) -> Iterator[None]:
    """Hold the lock `name`; say so when another process holds it first.

    The system releases the lock of a process that dies, so none is ever left behind.
    """
    folder = prepare() / "locks"
    folder.mkdir(exist_ok=True)
    held = FileLock(folder / f"{name}.lock")
    try:
        held.acquire(timeout=0.3, poll_interval=0.05)
    except Timeout:
        progress.line(f"waiting for another process: {waiting_for}")
        held.acquire(poll_interval=0.1)
    try:
        yield
    finally:
        held.release()


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Give an empty folder beside the finished ones, gone afterwards unless it was renamed.

    Folders of the same `name` that a killed process left are removed first, so the caller
    must hold the lock that belongs to `name`.
    """
    parent = prepare() / "temporary"
    for left in parent.glob(f"{name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = parent / f"{name}.{secrets.token_hex(4)}"
    folder.mkdir()  # as others may read what it becomes; mkdtemp would keep it to this user
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 (13,000 files)
    return total
