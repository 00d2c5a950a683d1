"""Folders of results that are complete or absent.

A run writes into a hidden folder beside the target and is renamed into place when it is done.
The result of an earlier run stays where it is until then, and is never mixed with the new one.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.errors import InputError

if TYPE_CHECKING:
    from partialpool.data import GroupedData
    from partialpool.fitting import Fit

MARK = "manifest.json"
"""Every finished result folder holds this file; no other folder is ever replaced."""


@contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """Give a folder to write into, and move it to `target` when the block ends well.

    Parameters
    ----------
    target
        Where the results go. An earlier result there is replaced; any other folder is refused.

    Raises
    ------
    InputError
        `target` is something other than a result, or its parent cannot be written.
    """
    target = Path(target)
    if target.exists() and not (target / MARK).is_file():
        raise InputError(
            f"{target}: exists and is no result folder of partialpool; "
            "choose another place with --output"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        folder.chmod(target.parent.stat().st_mode & 0o777)
    except OSError as error:
        raise InputError(
            f"{target.parent}: results cannot be written there ({error.strerror}); "
            "choose another place with --output"
        ) from None
    try:
        yield folder
        _swap(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(folder: Path, target: Path) -> None:
    """Put `folder` in the place of `target`; what was there goes only after it."""
    if not target.exists():
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent)) / "old"
    target.rename(old)
    folder.rename(target)
    shutil.rmtree(old.parent, ignore_errors=True)


def write_manifest(folder: Path, data: GroupedData, fits: Sequence[Fit]) -> None:
    """Write what is needed to repeat a run: data, programs, priors, settings, seeds, versions.

    It is written last, so that its presence says that the folder is complete.
    """
    manifest = {
        "partialpool": version("partialpool"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "data": {
            "name": data.name,
            "file": data.source,
            "sha256": data.sha256,
            "observations": data.stats.N,
            "groups": data.stats.J,
            "notes": list(data.notes),
        },
        "fits": [dict(fit.about) for fit in fits],
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Read what `write_manifest`, or the report, wrote into a folder of results."""
    manifest: dict[str, Any] = json.loads((Path(folder) / MARK).read_text(encoding="utf-8"))
    return manifest
