"""What is no file, kept as one: standard input, pipes, and copies in another format."""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from partialpool.errors import InputError

_STANDARD = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


@cache
def spool() -> Path:
    """Folder for what has to become a file, until the end of the process."""
    folder = tempfile.mkdtemp(prefix="partialpool-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def is_stream(name: str | Path) -> bool:
    """Whether a name means something that can be read once only: `-`, a pipe, /dev/stdin."""
    path = Path(name)
    if str(name) in _STANDARD or str(path).startswith(("/dev/fd/", "/proc/self/fd/")):
        return True
    try:
        return path.is_fifo() or path.is_char_device()
    except OSError:
        return False


def keep_stream(name: str | Path) -> Path:
    """Keep what comes through a pipe as a file.

    Raises
    ------
    InputError
        Nothing can be read there.
    """
    standard = str(name) in _STANDARD
    folder = spool() / str(len(list(spool().iterdir())))
    folder.mkdir()
    copy = folder / ("stdin" if standard else "pipe")
    try:
        with copy.open("wb") as target:
            if standard:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with Path(name).open("rb") as source:
                    shutil.copyfileobj(source, target)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
    return copy


def is_kept(path: str | Path) -> bool:
    """Whether a file is a copy of what came through a pipe."""
    return _anything_kept() and Path(path).is_relative_to(spool())


def _anything_kept() -> bool:
    return bool(spool.cache_info().currsize)


def in_words(message: str) -> str:
    """Name what came through a pipe as such in a message."""
    if not _anything_kept():
        return message
    text = re.sub(re.escape(str(spool())) + r"/\d+/stdin\b", "standard input", message)
    return re.sub(re.escape(str(spool())) + r"/\d+/pipe\b", "piped data", text)
