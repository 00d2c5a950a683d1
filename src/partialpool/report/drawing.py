"""Draw many figures side by side, each on its own: one that fails leaves the others alone."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import partialpool
from partialpool.progress import Progress
from partialpool.report.drawing_process import EARLY


@dataclass(frozen=True)
class Figure:
    """A figure to draw.

    Attributes
    ----------
    key
        Name of its files, unique and safe.
    function
        Name of a function in `partialpool.plots`.
    arguments
        Its keyword arguments; they must pickle.
    caption, alt
        What the report says below it and in place of it.
    """

    key: str
    function: str
    arguments: dict[str, Any] = field(repr=False)
    caption: str
    alt: str


class Drawn(NamedTuple):
    """What became of some figures.

    Attributes
    ----------
    failed
        Key to what went wrong, for the figures that failed.
    captions
        Key to the caption that the plot would have had, which explains its marks.
    """

    failed: dict[str, str]
    captions: dict[str, str]


@contextlib.contextmanager
def drawing_processes(count: int | None = None) -> Iterator[list[Worker]]:
    """Start drawing processes, so that they are ready when there is something to draw.

    Parameters
    ----------
    count
        How many; the number of cores, at most four, where None.
    """
    workers = [Worker() for _ in range(count or min(_cores(), 4))]
    try:
        for worker in workers:
            worker.start()
        yield workers
    finally:
        for worker in workers:
            worker.end()


def draw_all(
    figures: Iterable[Figure],
    folder: Path,
    *,
    workers: Sequence[Worker],
    pdf: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Draw every figure into `folder`, as `key`.png and `key`.svg, without captions.

    Parameters
    ----------
    figures
        What to draw; each is drawn as soon as there is a process for it.
    folder
        Where to; it must exist.
    workers
        From `drawing_processes`.
    pdf
        Whether to write PDF, too.
    progress
        Where to report.

    Returns
    -------
    Drawn
        What went wrong, and the captions. A drawing process that dies takes only the figure with
        it that it was drawing.
    """
    progress = progress or Progress()
    waiting, taking = iter(figures), threading.Lock()
    drawn = Drawn({}, {})
    with progress.task("Drawing the figures"):

        def work(worker: Worker) -> None:
            while True:
                with taking:
                    figure = next(waiting, None)
                if figure is None:
                    return
                problem, caption = worker.draw(figure, folder, pdf=pdf)
                if problem:
                    drawn.failed[figure.key] = problem
                drawn.captions[figure.key] = caption

        threads = [threading.Thread(target=work, args=(w,), daemon=True) for w in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return drawn


def _cores() -> int:
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """A drawing process, started again if it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def start(self) -> None:
        """Start the process ahead of its first figure; what takes time is then behind it."""
        self._process = _start(EARLY)

    def draw(self, figure: Figure, folder: Path, *, pdf: bool = False) -> tuple[str, str]:
        """Draw a figure; say what went wrong, or nothing, and give the plot's caption."""
        if self._ended:
            return "interrupted", ""
        if self._process is None or self._process.poll() is not None:
            self._process = _start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            task = (figure.function, figure.arguments, str(folder / figure.key), pdf)
            process.stdin.write(pickle.dumps(task))
            process.stdin.flush()
            problem, caption = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            _close(process)
            return f"the drawing process ended with code {process.returncode}", ""
        return str(problem), str(caption)

    def end(self) -> None:
        """End the process; nothing is drawn any more."""
        self._ended = True
        if self._process is not None:
            _close(self._process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """End a process and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    package = str(Path(partialpool.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "partialpool.report.drawing_process", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"},
    )
