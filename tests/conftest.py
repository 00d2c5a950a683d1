"""What the tests share: the homework data, a CmdStan, and real fits of the shipped programs."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays here are small

import gc

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from partialpool import data, fitting
    from partialpool.programs import toolchain

# What the fixtures need is imported by them: with -n, the process that runs no test imports only
# this file, and the workers start when it has.

gc.set_threshold(100_000, 20, 100)  # figures are many small objects: a sixth of their time

# A test run that is started in the background ignores SIGINT, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file whose `pytestmark` is a mark that -m excludes from all of its tests."""
    if collection_path.suffix != ".py" or re.search(r"\bor\b|\(", config.option.markexpr):
        return None
    excluded = re.findall(r"\bnot (\w+)", config.option.markexpr)
    line = re.search("^pytestmark = .*", collection_path.read_text("utf-8"), re.MULTILINE)
    marks = re.findall(r"pytest\.mark\.(\w+)", line[0]) if line else []
    return any(mark in excluded for mark in marks) or None


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the CmdStan below as tests that need Stan."""
    for item in items:
        if "cmdstan" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stan)


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over all that was imported: none of it goes."""
    gc.freeze()


@pytest.fixture(autouse=True)
def no_stan_unmarked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach Stan, not even its compiler, unless it is marked as one that does."""
    if request.node.get_closest_marker("stan") is None:
        monkeypatch.setenv("PARTIALPOOL_CMDSTAN", "/this-test-is-not-marked-stan")


@pytest.fixture(scope="session")
def homework() -> data.GroupedData:
    from partialpool import data

    return data.read_csv(ROOT / "data" / "homework.csv")


@pytest.fixture(scope="session")
def cmdstan() -> toolchain.CmdStan:
    from partialpool.programs import toolchain

    found = toolchain.find_cmdstan()
    os.environ["CMDSTAN"] = str(found.path)
    return found


@pytest.fixture(scope="session")
def lesson_fits(homework: data.GroupedData, cmdstan: toolchain.CmdStan) -> dict[str, fitting.Fit]:
    """Fits of the shipped programs to the homework data with the shipped defaults."""
    from partialpool import fitting, programs
    from partialpool.fitting.inputs import priors_for

    fits = fitting.fit_programs(
        [programs.load(name) for name in programs.SHIPPED],
        homework,
        priors=priors_for(homework),
        cmdstan=cmdstan,
    )
    return {fit.name: fit for fit in fits}


@pytest.fixture(scope="session")
def fitted(cmdstan: toolchain.CmdStan) -> Callable[..., list[fitting.Fit]]:
    """Fit shipped programs, by their names, to any data, with few draws."""
    from partialpool import fitting, programs, settings
    from partialpool.fitting.inputs import priors_for

    def fit(
        data: data.GroupedData, names: Sequence[str], *, draws: int = 250, pointwise: bool = False
    ) -> list[fitting.Fit]:
        return fitting.fit_programs(
            [programs.load(name) for name in names],
            data,
            priors=priors_for(data),
            settings=settings.Settings(warmup=500, draws=draws, adapt_delta=0.9),
            cmdstan=cmdstan,
            pointwise=pointwise,
        )

    return fit


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run the command in an empty folder; return exit code, standard output, standard error."""
    from partialpool import cli

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["partialpool", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return call


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the time went: seconds of all workers by part, and its slowest files."""
    parts: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                marks = [mark for mark in ("slow", "stan") if mark in report.keywords]
                files = parts.setdefault(marks[0] if marks else "no mark", Counter())
                files[Path(report.nodeid.split("::")[0]).stem] += report.duration
    if sum(files.total() for files in parts.values()) < 5:
        return
    terminalreporter.section("seconds by part")
    for part, files in sorted(parts.items(), key=lambda item: -item[1].total()):
        slowest = ", ".join(f"{name} {seconds:.1f}" for name, seconds in files.most_common(4))
        terminalreporter.write_line(f"{part:8} {files.total():6.1f}   {slowest}")
