"""The cache of executables: one folder a program, listed and pruned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.errors import InputError, ToolchainError
from partialpool.programs.toolchain import assemble, storage
from partialpool.programs.toolchain.processes import environment

if TYPE_CHECKING:
    import pandas as pd

_ABOUT = "about.json"
_DAY = 86_400.0


def folder(key: str) -> Path:
    """Return the folder of one executable."""
    return storage.root() / "programs" / key


def starts(executable: Path) -> bool:
    """Whether an executable runs: a removed library, for one, keeps it from starting."""
    try:
        result = subprocess.run(
            [executable, "info"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


_started: set[tuple[Path, int, int]] = set()


def usable(executable: Path) -> bool:
    """Whether an executable is in the cache and starts; a process tries each file once."""
    try:
        state = executable.stat()
    except OSError:
        return False
    file = (executable, state.st_size, state.st_mtime_ns)
    if not (executable.parent / _ABOUT).is_file():
        return False
    if file not in _started and starts(executable):
        _started.add(file)
    return file in _started


def keep(built: Path, key: str, **about: Any) -> None:
    """Move a folder with a finished executable into the cache; the caller holds its lock."""
    kept = {about["name"], f"{about['name']}.stan"}
    for path in built.iterdir():
        if path.name not in kept:
            path.unlink()
    (built / _ABOUT).write_text(json.dumps({**about, "created": time.time()}, indent=1))
    target = folder(key)
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    built.rename(target)


def mark_used(key: str) -> None:
    """Note that an executable was used now; a read-only cache does without."""
    with suppress(OSError):
        os.utime(folder(key) / _ABOUT)


def _read() -> list[dict[str, Any]]:
    entries = []
    for path in sorted((storage.root() / "programs").glob(f"*/{_ABOUT}")):
        with suppress(OSError, ValueError):
            about = json.loads(path.read_text())
            about["folder"] = path.parent
            about["used"] = path.stat().st_mtime
            about["bytes"] = storage.size(path.parent)
            entries.append(about)
    return sorted(entries, key=lambda about: -about["used"])


def cache_entries() -> pd.DataFrame:
    """List the executables in the cache, the last used first.

    Returns
    -------
    DataFrame
        One row an executable: `program` (name), `key` (start of its hash), `MB` (size on disk),
        `seconds` (that compiling took), `created` and `last_used` (local time), `source` (the
        `.stan` file it was compiled from).
    """
    import pandas as pd

    columns = ["program", "key", "MB", "seconds", "created", "last_used", "source"]
    rows = [
        (
            about["name"],
            about["folder"].name[:12],
            round(about["bytes"] / 1e6, 1),
            about["seconds"],
            _minute(about["created"]),
            _minute(about["used"]),
            about["source"],
        )
        for about in _read()
    ]
    return pd.DataFrame(rows, columns=columns)


def _minute(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp):%Y-%m-%d %H:%M}"


def prune_cache(*, older_than_days: float | None = None, everything: bool = False) -> int:
    """Remove executables, and what is left of CmdStan that other flags and versions needed.

    Parameters
    ----------
    older_than_days
        Remove what was not used for so many days.
    everything
        Remove every executable, the downloads and every assembled CmdStan as well.

    Returns
    -------
    int
        Bytes freed.

    Raises
    ------
    InputError
        Neither or both of the options, or a negative number of days.
    ToolchainError
        Something could not be removed.
    """
    if everything == (older_than_days is not None):
        raise InputError("name either a number of days or everything to remove from the cache")
    if older_than_days is not None and not older_than_days >= 0:
        raise InputError(f"{older_than_days} is not a number of days")
    root = storage.root()
    if everything:
        names = ("programs", "temporary", "wheels", "logs", "includes")
        return _remove([*(root / name for name in names), *root.glob("cmdstan-*")])
    limit = time.time() - _DAY * (older_than_days or 0)
    current = assemble.location()
    unused = [about["folder"] for about in _read() if about["used"] < limit]
    unused += [path for path in root.glob("cmdstan-*") if path != current and _last(path) < limit]
    unused += [path for path in assemble.extra_builds() if _last(path) < limit]
    unused += [path for path in root.glob("temporary/*") if _last(path) < limit - _DAY]
    unused += [path for path in root.glob("logs/*") if _last(path) < limit]
    return _remove(unused)


def _last(path: Path) -> float:
    return path.lstat().st_mtime


def _remove(paths: list[Path]) -> int:
    freed = 0
    for path in paths:
        bytes_there = storage.size(path)
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise ToolchainError(f"{path} could not be removed: {error}") from error
        freed += bytes_there
    return freed
