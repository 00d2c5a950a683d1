"""Runs the chains of a program, and reads what they wrote.

CmdStanPy checks the arguments, writes the input files, composes the commands and names the output
files, as it does in `CmdStanModel.sample`. What that method does next takes longer than a small
model: a thread for each chain, and two scans of each file in Python. Here one loop listens to all
chains and reads each where it ends; whatever ends the wait early ends every chain. A program that
can write its draws as doubles does: digits, printed and parsed, take as long as a small model.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cmdstanpy
import numpy as np
from cmdstanpy.cmdstan_args import CmdStanArgs, SamplerArgs
from cmdstanpy.stanfit import RunSet

from partialpool.errors import SamplingError
from partialpool.fitting.guard import guarded
from partialpool.fitting.output import ChainOutput, read_chain
from partialpool.programs.toolchain import storage
from partialpool.progress import Progress, Task
from partialpool.settings import Settings
from partialpool.types import FloatArray

_ITERATION = re.compile(rb"Iteration:\s*(\d+) /")
_REFRESHES = 10
_CHAINS_PER_CORE = 2
"""Chains at once: while one starts or is read, another keeps the core busy."""


@dataclass(frozen=True)
class Sampled:
    """What the chains of a program wrote.

    Attributes
    ----------
    values
        Shape (chain, draw, column).
    columns
        Names of the columns as CmdStanPy has them.
    seconds
        Time of `warmup` and `sampling` of each chain, as it measured it.
    lost
        Number of each chain that failed to what it said; there are such only where the settings
        allow to go on with survivors.
    """

    values: FloatArray
    columns: tuple[str, ...]
    seconds: list[dict[str, float]]
    lost: dict[int, str]


def sample(
    executable: Path,
    inputs: Mapping[str, Any],
    settings: Settings,
    *,
    title: str,
    starts: Sequence[Mapping[str, Any]] | None = None,
    as_doubles: bool = False,
    progress: Progress | None = None,
) -> Sampled:
    """Run every chain in a process of its own and read its draws.

    Parameters
    ----------
    executable
        The compiled program.
    inputs
        What its data block declares.
    settings
        How to sample.
    title
        What messages call the program.
    starts
        Starting values, one set a chain; Stan chooses those that are not given.
    as_doubles
        Have the draws written as doubles, where the program's CmdStan knows how to
        (`CmdStan.has_draws_file`).
    progress
        Where to report.

    Raises
    ------
    SamplingError
        A chain failed, wrote less than it should, or found no room on disk.
    """
    iterations = settings.warmup + settings.draws
    with (
        cmdstanpy.disable_logging(),
        _temporary_folder() as name,
        guarded(name),
        (progress or Progress()).task(
            f"Sampling {title}: {settings.chains} chains of {settings.warmup} + "
            f"{settings.draws} iterations",
            total=settings.chains * iterations,
        ) as task,
    ):
        with _room_on_disk():
            files = _prepared(executable, inputs, settings, starts or (), Path(name))
        outputs, lost = _side_by_side(_Run(files, settings, title, as_doubles), task)
    return Sampled(
        np.stack([output.draws for output in outputs]),
        outputs[0].columns,
        [output.seconds for output in outputs],
        lost,
    )


def _prepared(
    executable: Path,
    inputs: Mapping[str, Any],
    settings: Settings,
    starts: Sequence[Mapping[str, Any]],
    folder: Path,
) -> RunSet:
    """Write the input files of all chains, and have CmdStanPy settle commands and output files."""
    cmdstanpy.write_stan_json(str(folder / "data.json"), dict(inputs))
    init_files = []
    for chain, start in enumerate(starts if all(starts) else (), 1):
        init_files.append(str(folder / f"init-{chain}.json"))
        cmdstanpy.write_stan_json(init_files[-1], dict(start))
    chain_ids = list(range(1, settings.chains + 1))
    method = SamplerArgs(
        iter_warmup=settings.warmup,
        iter_sampling=settings.draws,
        adapt_delta=settings.adapt_delta,
        max_treedepth=settings.max_treedepth,
    )
    arguments = CmdStanArgs(
        executable.name,
        str(executable),
        chain_ids=chain_ids,
        method_args=method,
        data=str(folder / "data.json"),
        seed=settings.seed,
        inits=init_files or None,
        output_dir=str(folder),
        sig_figs=17,
        save_profile=True,  # or what `profile` statements measure goes to the working directory
        refresh=max(1, (settings.warmup + settings.draws) // _REFRESHES),
    )
    return RunSet(arguments, chains=settings.chains, chain_ids=chain_ids)


@dataclass(frozen=True)
class _Run:
    """What the chains of a program are told, and where they write."""

    files: RunSet
    settings: Settings
    title: str
    as_doubles: bool

    def draws_file(self, index: int) -> Path | None:
        """Where a chain writes its draws, if not in its CSV file."""
        return (
            Path(self.files.csv_files[index]).with_suffix(".doubles") if self.as_doubles else None
        )

    def command(self, index: int) -> list[str]:
        """Words that start a chain: CmdStanPy's, and the one that CmdStan itself does not know."""
        words = self.files.cmd(index)
        if self.as_doubles:
            words.insert(words.index("method=sample") + 1, f"draws_file={self.draws_file(index)}")
        return words


@contextmanager
def _room_on_disk() -> Iterator[None]:
    """Say in which folder there was no room for the files of a run."""
    try:
        yield
    except (OSError, ValueError) as error:  # CmdStanPy raises ValueError where it cannot write
        where = f"{tempfile.tempdir}: " if tempfile.tempdir else ""
        reason = getattr(error, "strerror", None) or error
        raise SamplingError(
            f"{where}temporary files cannot be written ({reason}); "
            "make room, or set TMPDIR to another folder"
        ) from error


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the files of chains; CmdStan takes a path with a comma for a list."""
    with _room_on_disk():
        usable = "," not in tempfile.gettempdir()
        parent = None if usable else storage.prepare() / "temporary"
        return tempfile.TemporaryDirectory(prefix="partialpool-", dir=parent)


class _Chain:
    """A running chain: what it says goes to its file, and how far it has come to `report`."""

    def __init__(self, run: _Run, index: int, report: Task) -> None:
        self.index = index
        self._report, self._seen = report, 0
        self._words = Path(run.files.stdout_files[index]).open("wb", buffering=0)  # noqa: SIM115
        self.process = subprocess.Popen(
            run.command(index),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout

    def listen(self) -> bool:
        """Take what it says next; False when it has ended."""
        said = os.read(self.output.fileno(), 1 << 16)
        self._words.write(said)
        for iteration in map(int, _ITERATION.findall(said)):
            self._report.advance(iteration - self._seen)
            self._seen = iteration
        return bool(said)

    def end(self, *, at_once: bool) -> int:
        """Wait for its exit code, or kill it."""
        if at_once:
            self.process.kill()
        self.output.close()
        self._words.close()
        return self.process.wait()


def _environment() -> dict[str, str]:
    """Environment of a chain: one thread, and room for the pieces of memory that it frees.

    Stan's sampler takes and frees many at every step. The GNU C library hands these out again
    quickly if it may keep more than a few of each size: a twentieth of a small model's time.
    """
    tunables = [os.environ.get("GLIBC_TUNABLES", ""), "glibc.malloc.tcache_count=1000"]
    return {
        **os.environ,
        "STAN_NUM_THREADS": "1",
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
    }


def _side_by_side(run: _Run, report: Task) -> tuple[list[ChainOutput], dict[int, str]]:
    """Run chains side by side; whatever ends the wait early ends every chain.

    Returns
    -------
    finished, lost
        What the chains wrote that finished, and the number of each that did not to what it said.
    """
    waiting, running = list(range(run.settings.chains)), set[_Chain]()
    finished: dict[int, ChainOutput] = {}
    lost: dict[int, str] = {}
    at_once = _CHAINS_PER_CORE * (os.cpu_count() or 1)
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    with _room_on_disk():
                        chain = _Chain(run, waiting.pop(0), report)
                    running.add(chain)
                    selector.register(chain.output, selectors.EVENT_READ, chain)
                for key, _ in selector.select():
                    chain = key.data
                    with _room_on_disk():
                        if chain.listen():
                            continue
                    selector.unregister(chain.output)
                    running.remove(chain)
                    code = chain.end(at_once=False)
                    try:
                        finished[chain.index] = _finished(run, chain.index, code)
                    except SamplingError as error:
                        lost[chain.index + 1] = str(error)
                        if not run.settings.survivors:
                            raise
        finally:
            for chain in running:
                chain.end(at_once=True)
    if not finished:
        raise SamplingError(lost[min(lost)])
    return [finished[index] for index in sorted(finished)], lost


def _finished(run: _Run, index: int, code: int) -> ChainOutput:
    """Read what a chain wrote, if it ended well."""
    which = f"{run.title}: chain {index + 1} of {run.settings.chains}"
    if code:
        raise SamplingError(f"{which} failed (exit code {_exit_code(code)}):\n{_words(run, index)}")
    try:
        return read_chain(
            run.files.csv_files[index], draws=run.settings.draws, doubles=run.draws_file(index)
        )
    except (OSError, ValueError) as error:
        raise SamplingError(
            f"{which}: its output cannot be read ({error}); a full disk is the usual reason. "
            "Nothing was saved"
        ) from None


def _words(run: _Run, index: int) -> str:
    """Quote a chain that failed, and say what to do about it."""
    text = Path(run.files.stdout_files[index]).read_text(encoding="utf-8", errors="replace")
    said = [line.strip() for line in text.splitlines()]
    rejected = [line for start in ("Exception", "Error") for line in said if line.startswith(start)]
    quoted = rejected[:1] + [line for line in said[-3:] if line and line not in rejected[:1]]
    if any("stage=data initialization" in line for line in rejected):
        advice = "An input does not fit its declaration: check what --prior and --extra-data give"
    elif any("nitialization" in line for line in said):
        advice = (
            "No starting point with a finite density was found. Check that the priors allow what "
            "the data show, give bounds in the parameters block, or try other starts (--stan-inits)"
        )
    else:
        advice = (
            "The chain's own words are above. --chains 1 is quicker to study; --survivors goes on "
            "with the chains that finish, and labels the result"
        )
    return "".join(f"  {line}\n" for line in quoted) + f"{advice}."


def _exit_code(code: int) -> str:
    """Name the signal that a negative exit code stands for."""
    with suppress(ValueError):
        return f"{code}: ended by {signal.Signals(-code).name}" if code < 0 else str(code)
    return str(code)
