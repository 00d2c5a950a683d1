"""Runs one command for a parent process, and ends it when the parent is gone.

`python guard.py COMMAND...` is started in a session of its own with a pipe as its standard
input, which the parent never writes to. The pipe closes when the parent ends, however it
ends; then the whole process group is killed, so that no compiler outlives its caller.
"""

import os
import signal
import subprocess
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """Run the command of the arguments; its exit code, or 128 plus the signal that ended it."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
