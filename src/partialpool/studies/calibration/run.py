"""Many simulated data sets, their fits, and where the truth lies in each posterior."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from partialpool.errors import InputError, SamplingError
from partialpool.families import NORMAL
from partialpool.families.base import Design
from partialpool.fitting import Fit, diagnostics, fit_programs
from partialpool.fitting.summarize import convergence
from partialpool.programs import Program, toolchain
from partialpool.progress import Progress
from partialpool.settings import Settings
from partialpool.studies.calibration.simulation import Simulated, simulate
from partialpool.studies.power_scaling import joint_log_likelihood
from partialpool.tables import variables
from partialpool.types import FloatArray

LOG_LIKELIHOOD = "log_lik"
"""Name of the joint log likelihood among the quantities."""

ATTEMPTS = (
    Settings(chains=2, warmup=300, draws=1000, adapt_delta=0.95),
    Settings(chains=2, warmup=1000, draws=4000, adapt_delta=0.995),
)
"""Settings of each fit, and of a second one where the first fails its diagnostics."""


@dataclass(frozen=True)
class Outcome:
    """Where the truth lies in one posterior.

    Attributes
    ----------
    simulation
        Number of the simulation, from 0.
    shares
        Quantity, as `parameter` or `parameter[group]`, to the share of its posterior below the
        true value; empty where no fit passed its diagnostics.
    draws
        Independent draws that the shares were found with.
    attempts
        Fits that were made.
    message
        What the diagnostics say of the last fit, or why it failed; empty where it passed.
    seconds
        Wall time.
    """

    simulation: int
    shares: Mapping[str, float]
    draws: int
    attempts: int
    message: str
    seconds: float


def calibrate(
    program: Program,
    *,
    data_sets: int = 1000,
    seed: int = 1,
    design: Design | None = None,
    attempts: Sequence[Settings] = ATTEMPTS,
    folder: str | Path | None = None,
    workers: int | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Fit a program to many simulated data sets, several at a time.

    Parameters
    ----------
    program
        The program; see `simulate` for the model that it is compared with.
    data_sets
        How many. The first ones are the same whatever the number.
    seed
        Seed of everything: simulation k has stream k of it.
    design
        What is simulated: `Family.design`, or one of your own; that of the normal family where
        None.
    attempts
        Settings of each fit, and of those that are made where it fails its diagnostics.
    folder
        Where each outcome is saved as soon as it is there. Outcomes that lie there already, from
        the same program, design, seed and settings, are not computed again.
    workers
        Fits at a time; as many as there are processors where None.
    cmdstan
        The CmdStan to use; found where None.
    progress
        Where to report.

    Returns
    -------
    list of Outcome
        In the order of the simulations.

    Raises
    ------
    InputError, ToolchainError
        The program has no group means, the folder cannot be written, or compilation fails.
    """
    design, progress = design or NORMAL.design, progress or Progress()
    simulate(program, design, np.random.default_rng(seed))
    cmdstan = cmdstan or toolchain.find_cmdstan(progress=progress)
    (executable,) = toolchain.compile_programs(
        [program.path], include_paths=program.include_paths, cmdstan=cmdstan, progress=progress
    )
    plan = _Plan(program, design, seed, tuple(attempts), cmdstan)
    file = None if folder is None else plan.file(Path(folder))
    done = {} if file is None else _read(file)
    waiting = [number for number in range(data_sets) if number not in done]
    doing = f"Calibrating {program.title}: {len(waiting)} of {data_sets} data sets"
    workers = workers or os.cpu_count() or 1
    with (
        _silent(),
        progress.task(doing, total=len(waiting)) as task,
        closing(_side_by_side(plan, waiting, workers, executable)) as outcomes,
    ):
        for outcome in outcomes:
            done[outcome.simulation] = outcome
            if file is not None:
                _append(file, outcome)
            task.advance()
    return [done[number] for number in range(data_sets)]


@dataclass(frozen=True)
class _Plan:
    """All that decides the outcome of a simulation."""

    program: Program
    design: Design
    seed: int
    attempts: tuple[Settings, ...]
    cmdstan: toolchain.CmdStan

    def file(self, folder: Path) -> Path:
        """File of the outcomes, named by a hash of the plan."""
        parts = (
            (version("partialpool"), self.cmdstan.version, self.program.sha256),
            (self.design, self.seed, self.attempts),
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
        return folder / f"{self.program.name}-{key}.jsonl"

    def run(self, number: int, stop: threading.Event) -> Outcome | None:
        """Simulate, fit, and say where the truth lies; None where it was stopped."""
        start = time.perf_counter()
        rng = np.random.default_rng([self.seed, number])
        simulated = simulate(self.program, self.design, rng)
        shares: dict[str, float] = {}
        message, draws, made = "", 0, 0
        for settings in self.attempts:
            if stop.is_set():
                return None
            made += 1
            try:
                fit = self._fit(simulated, settings, seed=int(rng.integers(2**32)))
            except SamplingError as error:
                message = str(error)
                continue
            checks = diagnostics.check(fit)
            if diagnostics.trusted(checks):
                message = ""
                value = checks.set_index("check")["value"]
                effective = min(value["bulk ESS"], value["tail ESS"])
                shares, draws = shares_below(fit, simulated, effective=effective, rng=rng)
                break
            message = diagnostics.summary_line(fit, checks)
        return Outcome(number, shares, draws, made, message, time.perf_counter() - start)

    def _fit(self, simulated: Simulated, settings: Settings, *, seed: int) -> Fit:
        (fit,) = fit_programs(
            [self.program],
            simulated.data,
            priors=simulated.priors,
            extra=simulated.extra,
            settings=dataclasses.replace(settings, seed=seed),
            cmdstan=self.cmdstan,
        )
        return fit


def _side_by_side(
    plan: _Plan, numbers: Sequence[int], workers: int, executable: Path
) -> Generator[Outcome, None, None]:
    """Yield outcomes as they come; threads are enough, as the work is done by Stan's processes."""
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        futures: list[Future[Outcome | None]] = [
            pool.submit(plan.run, number, stop) for number in numbers
        ]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                if outcome is not None:
                    yield outcome
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _end(executable)
            raise


def _end(executable: Path) -> None:
    """End the chains that run, so that nobody has to wait for their results."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, IndexError):
            if Path(child.cmdline()[0]) == executable:
                child.kill()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep CmdStanPy's log off: each fit turns it off and on, which overlapping fits would undo."""
    log = logging.getLogger("cmdstanpy")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _append(file: Path, outcome: Outcome) -> None:
    """Save an outcome as a line of its own."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None


def _read(file: Path) -> dict[int, Outcome]:
    """Read saved outcomes; a line that was cut off is left out, and ended."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return {}
    if text and not text.endswith("\n"):
        with file.open("a", encoding="utf-8") as lines:
            lines.write("\n")
    found = {}
    for line in text.splitlines():
        try:
            outcome = Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[outcome.simulation] = outcome
    return found


def shares_below(
    fit: Fit, simulated: Simulated, *, effective: float, rng: np.random.Generator
) -> tuple[dict[str, float], int]:
    """Share of a posterior below the truth, for each quantity that both the fit and the truth have.

    Draws are thinned until about as many are left as are worth independent ones; r of these L are
    below the true value. Where the truth is one more such draw, (r + u) / (L + 1) with u uniform
    is uniform on (0, 1) whatever L is, so that fits may differ in L.

    Parameters
    ----------
    effective
        Smallest effective number of draws of any parameter; that of the log likelihood is found
        here.

    Returns
    -------
    shares, draws
        Quantity to its share, and L.
    """
    names, draws, true = _paired(fit, simulated)
    of_likelihood = convergence(draws[-1:])
    effective = min(effective, *(float(of_likelihood[f"ess_{way}"][0]) for way in ("bulk", "tail")))
    every = int(np.ceil(draws[0].size / min(effective, draws[0].size)))
    kept = draws[:, :, ::every].reshape(len(draws), -1)
    below = (kept < true[:, None]).sum(axis=1)
    shares = (below + rng.uniform(size=below.size)) / (kept.shape[1] + 1)
    return dict(zip(names, shares.tolist(), strict=True)), kept.shape[1]


def _paired(fit: Fit, simulated: Simulated) -> tuple[list[str], FloatArray, FloatArray]:
    """Names, draws of shape (quantity, chain, draw) and true values of shape (quantity,)."""
    data = simulated.data
    names, draws, true = [], [], []
    covariates = data.stats.covariates
    for name, value in simulated.truth.items():
        if name == "beta" and covariates is not None:
            slopes = variables.coefficients(fit, data)
            if slopes is not None:
                names += [f"beta[{each}]" for each in covariates.names]
                draws.append(slopes)
                true.append(value)
            continue
        found, labels = variables.by_group(fit, data, name), data.labels
        if found is None and data.stats.nesting is not None and name == "phi":
            found, labels = variables.outer(fit, data), data.stats.nesting.labels
        if found is None or len(found) != value.size:
            continue
        names += [f"{name}[{label}]" for label in labels] if value.ndim else [name]
        draws.append(found)
        true.append(value.ravel())
    names.append(LOG_LIKELIHOOD)
    draws.append(joint_log_likelihood(fit, data)[None])
    theta = np.broadcast_to(simulated.truth["theta"].reshape(-1, 1), (data.stats.J, 1))
    known = not (data.stats.error_sd and data.family.gaussian)
    error_sd = np.ones((1, 1)) if known else simulated.truth[data.stats.error_sd].reshape(-1, 1)
    truth = {name: value.reshape(1) for name, value in simulated.truth.items() if value.size == 1}
    true.append(data.family.log_likelihood_given(data.stats, theta, error_sd, truth))
    return names, np.concatenate(draws), np.concatenate(true)
