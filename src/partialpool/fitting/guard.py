"""Ends the chains of a process that dies, however it dies.

CmdStanPy starts each chain as a child of this process. Ctrl-C and SIGTERM are met where the chains
are waited for; SIGKILL leaves no time for anything. So this file also runs as a small process of
its own, the guard: it reads from a pipe which folders chains write to. The pipe closes when the
process that started it ends; the guard then kills what still writes there, and removes the folders.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_PATIENCE = 100
_PAUSE = 0.02


@contextmanager
def guarded(folder: str) -> Iterator[None]:
    """Have chains that write to `folder` end with this process, while the block runs.

    The folder, by its absolute path, must be one that nothing else uses: it is removed if this
    process is killed. Without a guard (it cannot be started, or was killed) the block runs as well.
    """
    _tell("watch", folder)
    try:
        yield
    finally:
        _tell("forget", folder)


_lock = threading.Lock()
_guards: dict[int, subprocess.Popen[bytes]] = {}
"""The guard of this process, by the process's number: a fork needs one of its own."""


def _tell(what: str, folder: str) -> None:
    with _lock, suppress(OSError):
        guard = _guards.get(os.getpid())
        if guard is None or guard.poll() is not None:
            guard = _guards[os.getpid()] = _start()
        assert guard.stdin is not None
        guard.stdin.write(json.dumps([what, folder]).encode() + b"\n")
        guard.stdin.flush()


def _start() -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )
    atexit.register(_end, guard)
    return guard


def _end(guard: subprocess.Popen[bytes]) -> None:
    if guard.stdin is not None:
        with suppress(OSError):
            guard.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        guard.wait(timeout=5)


def _writers(folder: str) -> list[psutil.Process]:
    """Find the processes that were told to read or write files in `folder`, as CmdStan is."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word.startswith(f"file={folder}") for word in process.info["cmdline"] or ())
    ]


def main() -> None:
    """Watch folders until the pipe closes, then end what writes to those that are left."""
    watched: set[str] = set()
    for line in sys.stdin.buffer:
        what, folder = json.loads(line)
        (watched.add if what == "watch" else watched.discard)(folder)
    for folder in watched:
        for _ in range(_PATIENCE):
            running = _writers(folder)
            if not running:
                break
            for process in running:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(_PAUSE)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
