"""Faults while chains run, each provoked for real: signals, dead chains, full disks, odd paths.

One program makes all the trouble (`programs/troubled.stan`), so that it is compiled once.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from helpers.waiting import until
from partialpool import fitting, programs
from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError, SamplingError
from partialpool.families import NORMAL
from partialpool.families.moments import GroupStats
from partialpool.fitting import diagnostics
from partialpool.fitting.inputs import priors_for
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import group_posterior

pytestmark = pytest.mark.stan

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "programs" / "troubled.stan"
CALM = {"steps": 0, "scale": 1.0, "limit": 1e9, "width": 0}
ENDLESS = CALM | {"steps": 200_000}
SHORT = Settings(warmup=100, draws=100, adapt_delta=0.8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in a folder whose path has blanks and letters that are not ASCII."""
    folder = tmp_path_factory.mktemp("project") / "Größe & Maß $x"
    folder.mkdir()
    shutil.copy(SOURCE, folder / "troubled.stan")
    shutil.copy(ROOT / "data" / "homework.csv", folder / "données.csv")
    return folder


@pytest.fixture(scope="module")
def executable(place: Path, cmdstan: toolchain.CmdStan) -> Path:
    return toolchain.compile_program(place / "troubled.stan", cmdstan=cmdstan)


@pytest.fixture
def data() -> GroupedData:
    return from_values(["a", "a", "b", "b"], [9000.0, 9002.0, 10000.0, 10002.0], name="far")


def _extra(place: Path, **inputs: float) -> Path:
    path = place / "inputs.json"
    path.write_text(json.dumps(CALM | inputs))
    return path


def _command(place: Path, *arguments: str, **inputs: float) -> list[str]:
    words = ["fit", "données.csv", "--program", "troubled.stan", "--warmup", "100"]
    words += [] if "--draws" in arguments else ["--draws", "100"]
    words += ["--extra-data", str(_extra(place, **inputs)), *arguments]
    return [sys.executable, "-m", "partialpool", *words]


def _run(place: Path, *arguments: str, **inputs: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        _command(place, *arguments, **inputs),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _chains(folder: Path) -> list[psutil.Process]:
    """Return the running chains that write below a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "method=sample" in (words := process.info["cmdline"] or [])
        and any(word.startswith(f"file={folder}") for word in words)
    ]


@pytest.fixture
def endless(
    place: Path, executable: Path, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start a fit that would take minutes, its files in `tmp_path`; give it when chains run."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _command(place, **ENDLESS),
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        at_once = min(4, 2 * (os.cpu_count() or 1))
        assert until(lambda: len(_chains(tmp_path)) == at_once, seconds=150)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for chain in _chains(tmp_path):
        with suppress(psutil.Error):
            chain.kill()


# --- signals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_chain_and_leaves_earlier_results(
    number: int, code: int, endless, place: Path, tmp_path: Path
) -> None:
    earlier = place / "results" / "données-troubled"
    earlier.mkdir(parents=True, exist_ok=True)
    (earlier / "manifest.json").write_text("earlier")
    running = endless()
    running.send_signal(number)
    said, _ = running.communicate(timeout=150)
    assert running.returncode == code, said
    assert "Traceback" not in said
    assert not _chains(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in (place / "results").iterdir()] == [earlier.name]
    assert (earlier / "manifest.json").read_text() == "earlier"


def test_chains_of_a_killed_process_end_with_it(endless, tmp_path: Path) -> None:
    running = endless()
    assert list(tmp_path.glob("partialpool-*/*.csv"))
    running.kill()
    running.communicate(timeout=150)
    assert until(lambda: not _chains(tmp_path), seconds=30), "a chain is an orphan"
    assert until(lambda: not list(tmp_path.glob("partialpool-*")), seconds=30), "files are left"


# --- chains that fail ---------------------------------------------------------------------------


def test_a_killed_chain_ends_the_run_with_its_number_and_signal(endless, tmp_path: Path) -> None:
    running = endless()
    victim = _chains(tmp_path)[0]
    number = next(word for word in victim.cmdline() if word.startswith("id=")).removeprefix("id=")
    victim.kill()
    said, _ = running.communicate(timeout=150)
    assert running.returncode == SamplingError.exit_code
    assert f"chain {number} of 4 failed (exit code -9: ended by SIGKILL)" in said
    assert not _chains(tmp_path)


def _limit_for_one(program: programs.Program, data: GroupedData, inputs: dict[str, float]) -> int:
    """Set the limit so that exactly one chain starts above it; return the number of that chain."""
    starts = NORMAL.starts(program, data.stats, SHORT, inputs=inputs)
    mu = np.array([start["mu"] for start in starts])
    second, first = np.sort(mu)[-2:]
    assert first - second > 1
    inputs["limit"] = (first + second) / 2
    return int(mu.argmax()) + 1


def test_one_chain_that_fails_is_quoted_and_survivors_are_an_option(
    place: Path, executable: Path, cmdstan: toolchain.CmdStan, data: GroupedData
) -> None:
    program = programs.load(place / "troubled.stan")
    inputs = dict(CALM)
    number = _limit_for_one(program, data, inputs)
    how = {"priors": priors_for(data), "cmdstan": cmdstan, "extra": inputs}
    with pytest.raises(SamplingError) as caught:
        fitting.fit_programs([program], data, settings=SHORT, **how)
    said = str(caught.value)
    assert f"chain {number} of 4 failed (exit code " in said
    assert "mu has left the table at" in said
    assert "--survivors" in said

    allowed = Settings(warmup=100, draws=100, adapt_delta=0.8, survivors=True)
    (fit,) = fitting.fit_programs([program], data, settings=allowed, **how)
    assert fit.posterior.sizes["chain"] == 3
    assert fit.title == "troubled (3 of 4 chains)"
    assert list(fit.record.lost_chains) == [str(number)]
    assert "mu has left the table at" in fit.record.lost_chains[str(number)]
    table = diagnostics.check(fit)
    assert not diagnostics.trusted(table)
    lost = table.set_index("check").loc["failed chains"]
    assert f"1 of 4 (25 %) chains failed (chain {number})" in lost["meaning"]


def test_no_survivors_are_no_fit(
    place: Path, executable: Path, cmdstan: toolchain.CmdStan, data: GroupedData
) -> None:
    with pytest.raises(SamplingError, match=r"chain 1 of 4 failed"):
        fitting.fit_programs(
            [programs.load(place / "troubled.stan")],
            data,
            priors=priors_for(data),
            settings=Settings(warmup=50, draws=50, survivors=True),
            cmdstan=cmdstan,
            extra=CALM | {"limit": -1e9},
        )


def test_a_failed_initialization_quotes_the_first_rejection_and_its_line(
    place: Path, executable: Path
) -> None:
    done = _run(place, scale=-1.0)
    assert done.returncode == SamplingError.exit_code
    line = 1 + SOURCE.read_text().splitlines().index("  mu ~ normal(0, scale);")
    assert re.search(r"chain \d of 4 failed \(exit code \d+\)", done.stderr)
    assert "Scale parameter is -1" in done.stderr
    assert f"line {line}" in done.stderr
    assert "troubled.stan" in done.stderr
    assert "Check that the priors allow what the data show" in done.stderr
    assert not (place / "results" / "données-troubled" / "estimates.csv").exists()


# --- full disks, read-only folders --------------------------------------------------------------


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """Mount something at a folder, where this is allowed."""
    folder.mkdir(exist_ok=True)
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _small(folder: Path, kilobytes: int) -> AbstractContextManager[Path]:
    return _mounted(folder, "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")


def test_a_full_disk_below_the_draws_is_named_and_nothing_is_kept(
    place: Path, executable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _small(tmp_path / "small", 300) as small:
        monkeypatch.setenv("TMPDIR", str(small))
        done = _run(place, "--output", str(tmp_path / "results"), width=100)
        assert done.returncode == SamplingError.exit_code, done.stderr
        assert "disk" in done.stderr
        assert list(small.iterdir()) == []
    assert not (tmp_path / "results").exists()


def test_a_full_disk_below_the_results_is_named_and_nothing_is_kept(
    place: Path, executable: Path, tmp_path: Path
) -> None:
    with _small(tmp_path / "small", 40) as small:
        done = _run(place, "--output", str(small), width=100)
        assert done.returncode == InputError.exit_code, done.stderr
        assert "could not be written" in done.stderr
        assert "space" in done.stderr
        assert list(small.iterdir()) == []


def test_a_read_only_project_is_enough_where_the_cache_can_be_written(
    place: Path, executable: Path, tmp_path: Path
) -> None:
    _extra(place)
    with _mounted(tmp_path / "project", "--bind", str(place)) as project:
        remount = ["mount", "-o", "remount,bind,ro", str(project)]
        if subprocess.run(remount, capture_output=True, check=False).returncode:
            pytest.skip("a read-only bind mount is not allowed here")
        command = _command(place, "--output", str(tmp_path / "results"))
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in (0, 5), done.stderr
        assert (tmp_path / "results" / "données-troubled" / "manifest.json").is_file()
        done = subprocess.run(
            _command(place), cwd=project, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == InputError.exit_code
        assert "results cannot be written there" in done.stderr
        assert "Sampling" not in done.stdout, "the error came after the work"


# --- paths, terminals, repetition ---------------------------------------------------------------


def test_paths_with_blanks_signs_and_umlauts_work(
    place: Path, executable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "Jürgen's home, $HOME"
    (home / "tmp dir").mkdir(parents=True)
    cache = os.environ.get("PARTIALPOOL_CACHE") or str(toolchain.storage.root())
    monkeypatch.setenv("PARTIALPOOL_CACHE", cache)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home / "tmp dir"))
    shutil.rmtree(place / "results", ignore_errors=True)  # another test's
    done = _run(place, "--draws", "1000")
    assert done.returncode == 0, done.stderr
    saved = {path.name for path in (place / "results" / "données-troubled").iterdir()}
    assert saved == {"estimates.csv", "manifest.json", "troubled.nc"}
    assert list((home / "tmp dir").iterdir()) == []


def test_without_a_terminal_there_are_no_control_characters(place: Path, executable: Path) -> None:
    done = _run(place, "--draws", "1000")
    text = done.stdout + done.stderr
    assert "Sampling troubled: 4 chains" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert "━" not in text


def test_on_a_terminal_there_is_a_bar(place: Path, executable: Path) -> None:
    ours, theirs = pty.openpty()
    command = _command(place, "--draws", "1000")
    with subprocess.Popen(
        command, cwd=place, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while block := os.read(ours, 1 << 16):
                shown += block
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[" in shown
    assert "━".encode() in shown


# --- data at the edge ---------------------------------------------------------------------------


def test_a_million_groups_of_one_to_a_hundred_thousand(
    cmdstan: toolchain.CmdStan, lesson_fits: object
) -> None:
    rng = np.random.default_rng(12)
    J, none = 1_000_000, np.empty(0)
    n = rng.choice([1, 2, 5, 100_000], p=[0.5, 0.3, 0.1999, 0.0001], size=J)
    theta = rng.normal(50, 4, size=J)
    ss = np.where(n > 1, 64 * rng.chisquare(np.maximum(n - 1, 1)), 0.0)
    labels = tuple(f"g{j}" for j in range(J))
    stats = GroupStats(labels, n, rng.normal(theta, 8 / np.sqrt(n)), ss)
    data = GroupedData("million", none, none.astype(np.int64), stats)
    before = psutil.Process().memory_info().rss
    (fit,) = fitting.fit_programs(
        [programs.load("hierarchical_marginal")],
        data,
        priors=priors_for(data),
        settings=Settings(warmup=500, draws=1000),
        cmdstan=cmdstan,
    )
    table = group_posterior.group_estimates(fit.posterior, stats)
    assert psutil.Process().memory_info().rss - before < 1.5e9
    assert diagnostics.trusted(diagnostics.check(fit))
    for name, truth in (("mu", 50), ("tau", 4), ("sigma", 8)):
        draws = fit.posterior[name]
        assert abs(float(draws.mean()) - truth) < 5 * float(draws.std()) < 0.5, name
    assert len(table) == J
    error = (table["mean"] - theta) / table["sd"]
    for size, factor in ((1, 0.8), (2, 2 / 3), (5, 4 / 9), (100_000, 4 / 100_004)):
        rows = table[n == size]
        assert abs(rows["lambda_mean"].mean() - factor) < 0.01
        assert abs(error[n == size].std() - 1) < 0.3, "the sds are those of the errors"
