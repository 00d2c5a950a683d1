"""How slow work tells its user that it is alive.

Library functions take a `Progress` and report to it; only the console command decides
how that looks. The base class is silent, so a library call prints nothing by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID


class Task:
    """One piece of slow work; `advance` moves its bar, if there is one."""

    def advance(self, amount: float = 1.0) -> None:
        """Count `amount` more of the task's total as done."""

    def describe(self, text: str) -> None:
        """Say what the task is doing now."""


class Progress:
    """Silent progress: accepts every report and shows none."""

    def line(self, text: str) -> None:
        """Report one finished step or one fact, as a line of text."""

    @contextmanager
    def task(self, description: str, total: float | None = None) -> Iterator[Task]:
        """Report a piece of work while it runs; `total` None means of unknown length."""
        yield Task()


class PlainProgress(Progress):
    """One line a step, without control characters: for pipes, files and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, text: str) -> None:
        """Print the text as one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, description: str, total: float | None = None) -> Iterator[Task]:
        """Announce the work when it starts."""
        self.line(f"{description} ...")
        yield Task()


class _BarTask(Task):
    def __init__(self, bars: RichBars, task_id: TaskID) -> None:
        self._bars = bars
        self._id = task_id

    def advance(self, amount: float = 1.0) -> None:
        self._bars.advance(self._id, amount)

    def describe(self, text: str) -> None:
        self._bars.update(self._id, description=text)


class BarProgress(Progress):
    """Live bars on a terminal; finished tasks leave one line behind."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichBars

        self._bars = RichBars(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
        )
        self._open = 0

    def line(self, text: str) -> None:
        """Print the text as one line."""
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, description: str, total: float | None = None) -> Iterator[Task]:
        """Show a bar while the work runs."""
        if self._open == 0:
            self._bars.start()
        self._open += 1
        task_id = self._bars.add_task(description, total=total)
        try:
            yield _BarTask(self._bars, task_id)
            self._bars.update(task_id, total=1, completed=1)
        finally:
            self._open -= 1
            if self._open == 0:
                self._bars.stop()
                for done in self._bars.task_ids:
                    self._bars.remove_task(done)


def for_console(console: Console) -> Progress:
    """Bars where `console` is a terminal, plain lines elsewhere."""
    return BarProgress(console) if console.is_terminal else PlainProgress(console)
