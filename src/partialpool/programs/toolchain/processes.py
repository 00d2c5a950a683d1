"""Starts compilers, make and pip so that none of them outlives this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Outcome:
    """What a finished command left: its exit code and its output, errors included."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether the command reported success."""
        return self.code == 0


def environment(**changes: str) -> dict[str, str]:
    """Return the environment for a child: English messages, and no flags of an outer make."""
    kept = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    return kept | {"LC_ALL": "C"} | changes


def ask(command: Sequence[str | Path], *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a short command that only answers a question, such as `--version`.

    Raises
    ------
    ToolchainError
        It cannot be started, or gives no answer in time.
    """
    try:
        return subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=environment(),
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"{command[0]} does not run: {error}") from error


class ProcessGroup:
    """Runs slow commands, from several threads if need be; leaving by an error kills them all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Run a command to its end and return its output, passing on each line as it comes.

        Raises
        ------
        ToolchainError
            The group was closed before the command could start.
        """
        guarded = [sys.executable, "-I", "-S", str(_GUARD), *map(str, command)]
        with self._lock:
            if self._closed:
                raise ToolchainError(f"{command[0]} was not started: the work was interrupted")
            process = subprocess.Popen(
                guarded,
                cwd=cwd,
                env=env if env is not None else environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        assert process.stdout is not None
        assert process.stdin is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            process.wait()
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            process.stdin.close()
            process.stdout.close()
            with self._lock:
                self._running.discard(process)
        return Outcome(process.returncode, "".join(lines))
