"""Program + data -> fit: Stan samples through CmdStanPy, the draws come back as a DataTree.

A fit knows everything that produced it (program, data, priors, settings, seed, versions,
timings), and survives a round trip through a netCDF file.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cmdstanpy
import numpy as np
import psutil
import xarray as xr

from partialpool import toolchain
from partialpool.chain_guard import guarded
from partialpool.columns import draws_tree, misfits
from partialpool.data import GroupedData
from partialpool.errors import InputError, SamplingError
from partialpool.files import umask
from partialpool.program_data import stan_data
from partialpool.programs import Pooling, Priors, Program, check_distinct, check_poolable, lacking
from partialpool.progress import Progress, Task
from partialpool.settings import Settings
from partialpool.toolchain import storage

_VERSIONS = ("partialpool", "cmdstanpy", "arviz-base", "arviz-stats", "numpy", "pandas", "xarray")
_ITERATION = re.compile(r"Iteration:\s*(\d+) /")
_REFRESHES = 10


@dataclass(frozen=True)
class Fit:
    """The draws of one program on one data set.

    Attributes
    ----------
    draws
        DataTree with the groups `posterior` (variables of the program by chain, draw and, with
        the data's labels as coordinate, group), `sample_stats` and, where the program gives them,
        `log_prior` (`lprior`), `log_likelihood` and `posterior_predictive` (by observation).
    about
        What produced the draws: `program`, `title`, `pooling`, `program_sha256`, `source` (the
        Stan program), `included` (path to text of what it includes), `data`, `data_sha256`,
        `priors`, `priors_sources`, `settings`, `extra` (further inputs), `versions`, `cmdstan`,
        `timings` (seconds), `inputs`, `parameters` (names in that block), `integers` (names of
        integer outputs), `lacking` (what the program does not offer, and what is missed for it),
        `warnings`, `lost_chains` (number of a chain that failed to what it said, where
        `Settings.survivors` allows that), `attempts` (those that failed before this one, where
        `remedies.fit_until_trusted` was asked).
    """

    draws: xr.DataTree
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the program."""
        return str(self.about["program"])

    @property
    def title(self) -> str:
        """Name of the model as people read it."""
        return str(self.about["title"])

    @property
    def pooling(self) -> Pooling:
        """How the model pools: complete, none, partial or other."""
        pooling: Pooling = self.about["pooling"]
        return pooling

    @property
    def settings(self) -> Settings:
        """The sampling settings."""
        return Settings(**self.about["settings"])

    @property
    def posterior(self) -> xr.Dataset:
        """The posterior draws as a data set."""
        return self.draws["posterior"].to_dataset()

    @property
    def sample_stats(self) -> xr.Dataset:
        """The sampler's statistics as a data set; empty where draws came from no sampler."""
        if "sample_stats" not in self.draws.children:
            return xr.Dataset()
        return self.draws["sample_stats"].to_dataset()

    def save(self, path: str | Path) -> Path:
        """Write the fit to one netCDF file, complete or not at all.

        Raises
        ------
        OSError
            The file cannot be written, or the disk has no room for it.
        """
        path = Path(path)
        if shutil.disk_usage(path.parent).free < self.draws.nbytes:  # HDF5 fails less politely
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        tree = self.draws.copy()
        tree.attrs["partialpool"] = json.dumps(dict(self.about))
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        try:
            tree.to_netcdf(partial, engine="h5netcdf")
            Path(partial).chmod(0o666 & ~umask())
            Path(partial).replace(path)
        finally:
            Path(partial).unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read a fit that `save` wrote.

        Raises
        ------
        InputError
            No such file, or not a fit.
        """
        try:
            with xr.open_datatree(path, engine="h5netcdf") as tree:
                tree.load()
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a netCDF file of draws ({error})") from None
        text = tree.attrs.pop("partialpool", None)
        if text is None:
            raise InputError(f"{path}: a netCDF file, but not one that partialpool wrote")
        return cls(tree, json.loads(text))


def fit_programs(
    programs: Sequence[Program],
    data: GroupedData,
    *,
    priors: Priors,
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
    progress: Progress | None = None,
) -> list[Fit]:
    """Compile programs side by side where needed, and sample each.

    Parameters
    ----------
    programs
        What to fit, in order.
    data
        The observations.
    priors
        Values of the hyperparameters.
    settings
        How to sample; the defaults of `Settings` where None.
    cmdstan
        The CmdStan to use; found by `toolchain.find_cmdstan` where None.
    extra
        Further inputs that the programs declare.
    prior_only
        Leave the likelihood out, in programs that declare `prior_only`.
    pointwise
        Generate `log_lik` and `y_rep`, in programs that declare `pointwise`.
    progress
        Where to report.

    Raises
    ------
    InputError, ToolchainError, SamplingError
        Before any compilation where the input is at fault.
    """
    check_distinct(programs)
    settings = settings or Settings()
    progress = progress or Progress()
    switches = {"prior_only": prior_only, "pointwise": pointwise}
    inputs = [stan_data(p, data, priors, extra=extra, **switches) for p in programs]
    warnings = [[] if prior_only else check_poolable(p, data.stats) for p in programs]
    cmdstan = cmdstan or toolchain.find_cmdstan(progress=progress)
    start = time.perf_counter()
    executables = toolchain.compile_programs(
        [program.path for program in programs],
        include_paths=[path for program in programs for path in program.include_paths],
        cmdstan=cmdstan,
        progress=progress,
    )
    compiling = time.perf_counter() - start
    fits = []
    for program, executable, stan_input, found in zip(
        programs, executables, inputs, warnings, strict=True
    ):
        used = settings.settled(funnel=program.has_funnel)
        draws, timings, lost = _sample(program, executable, stan_input, data, used, progress)
        about = {
            "program": program.name,
            "title": program.title + _survivors(lost, settings),
            "pooling": program.pooling,
            "program_sha256": program.sha256,
            "source": program.path.read_text(encoding="utf-8"),
            "included": program.included,
            "data": data.name,
            "data_sha256": data.sha256,
            "priors": dict(priors.values),
            "priors_sources": dict(priors.sources),
            "settings": dataclasses.asdict(used),
            **switches,
            "extra": {name: np.asarray(given).tolist() for name, given in (extra or {}).items()},
            "versions": _versions(cmdstan),
            "cmdstan": {"version": cmdstan.version, "origin": cmdstan.origin},
            "timings": {"compile": compiling, **timings},
            "inputs": list(program.inputs),
            "parameters": list(program.declared["parameters"]),
            "integers": program.integers,
            "lacking": lacking(program),
            "warnings": [*found, *misfits(draws, data)],
            "lost_chains": {str(chain): said for chain, said in lost.items()},
        }
        fits.append(Fit(draws, about))
    return fits


def _survivors(lost: Mapping[int, str], settings: Settings) -> str:
    """Label of a fit that some chains are missing from."""
    if not lost:
        return ""
    return f" ({settings.chains - len(lost)} of {settings.chains} chains)"


def initial_values(
    program: Program, data: GroupedData, settings: Settings, *, inputs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Draw over-dispersed starting values near the data's moments, one set a chain.

    Only parameters called `mu`, `tau`, `sigma`, `sigma2`, `theta` and `eta` get one, when they
    are scalars or vectors over groups; Stan chooses the rest. A start far from the data, as
    Stan's own are for most units, costs warmup and can strand a chain.

    Returns
    -------
    list of dict
        Parameter to value, for each chain.
    """
    stats = data.stats
    within = stats.within_sd if stats.within_sd > 0 else stats.total_sd
    within = within or 1.0
    between = max(float(np.std(stats.mean)), 0.1 * within)
    declared = program.declared["parameters"]
    starts = []
    for chain in range(1, settings.chains + 1):
        rng = np.random.default_rng([settings.seed, chain])
        factor = np.exp(rng.uniform(-0.7, 0.7, size=3))
        shift = rng.uniform(-2, 2, size=stats.J)
        whole = stats.total_sd / np.sqrt(stats.N)
        tau = min(between * factor[1], 0.5 * float(inputs.get("tau_upper", np.inf)))
        sigma = min(within * factor[0], 0.5 * float(inputs.get("sigma_upper", np.inf)))
        scalars = {
            "mu": stats.grand_mean + 2 * between * rng.uniform(-1, 1),
            "tau": tau,
            "sigma": sigma,
            "sigma2": (stats.total_sd * factor[2]) ** 2,
            "theta": stats.grand_mean + 2 * whole * rng.uniform(-1, 1),
        }
        vectors = {
            "sigma": np.full(stats.J, sigma),
            "sigma2": np.full(stats.J, sigma**2),
            "theta": stats.mean + shift * within / np.sqrt(stats.n),
            "eta": shift,
        }
        start: dict[str, Any] = {}
        for name, entry in declared.items():
            source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
            if name in source and entry["type"] == "real":
                start[name] = source[name]
        starts.append(start)
    return starts


def _write_starts(
    program: Program,
    data: GroupedData,
    settings: Settings,
    inputs: Mapping[str, Any],
    folder: Path,
) -> dict[int, str]:
    """Write the starting values of each chain that gets some; chain to file."""
    files = {}
    if settings.data_inits:
        for chain, start in enumerate(initial_values(program, data, settings, inputs=inputs), 1):
            if start:
                files[chain] = str(folder / f"init-{chain}.json")
                with _room_on_disk():
                    cmdstanpy.write_stan_json(files[chain], start)
    return files


class _Model(cmdstanpy.CmdStanModel):
    """A compiled program that reports its iterations.

    CmdStanPy shows them in bars of its own; this hands its hook for them to `Progress`. Should
    a later CmdStanPy rename the method, sampling goes on and only the progress is lost.
    """

    def __init__(self, executable: Path, report: Task) -> None:
        super().__init__(exe_file=str(executable))
        self._report = report
        self._info = super().exe_info()

    def exe_info(self) -> dict[str, str]:
        """Build options of the executable, asked for once and not again for every chain."""
        return self._info

    def _run_cmdstan(self, *args: Any, **kwargs: Any) -> None:
        seen = 0

        def hook(line: str, _chain: int) -> None:
            nonlocal seen
            found = _ITERATION.search(line)
            if found:
                self._report.advance(int(found[1]) - seen)
                seen = int(found[1])

        super()._run_cmdstan(*args, **{**kwargs, "progress_hook": hook})


def _sample(
    program: Program,
    executable: Path,
    inputs: Mapping[str, Any],
    data: GroupedData,
    settings: Settings,
    progress: Progress,
) -> tuple[xr.DataTree, dict[str, Any], dict[int, str]]:
    """Run every chain in a process of its own and gather the draws; also timings, lost chains."""
    start = time.perf_counter()
    iterations = settings.warmup + settings.draws
    with (
        cmdstanpy.disable_logging(),
        _temporary_folder() as folder,
        guarded(folder),
        progress.task(
            f"Sampling {program.title}: {settings.chains} chains of {settings.warmup} + "
            f"{settings.draws} iterations",
            total=settings.chains * iterations,
        ) as task,
    ):
        data_file = Path(folder) / "data.json"
        with _room_on_disk():
            cmdstanpy.write_stan_json(str(data_file), dict(inputs))
        model = _Model(executable, task)
        starts = _write_starts(program, data, settings, inputs, Path(folder))

        def run(chain: int) -> cmdstanpy.CmdStanMCMC:
            return model.sample(
                data=str(data_file),
                chains=1,
                chain_ids=[chain],
                seed=settings.seed,
                inits=starts.get(chain),
                iter_warmup=settings.warmup,
                iter_sampling=settings.draws,
                adapt_delta=settings.adapt_delta,
                max_treedepth=settings.max_treedepth,
                sig_figs=17,
                refresh=max(1, iterations // _REFRESHES),
                output_dir=str(Path(folder) / f"chain-{chain}"),
                show_progress=False,
            )

        chains, lost = _run_chains(run, settings, program, executable, Path(folder))
        sampling = time.perf_counter() - start
        columns = chains[0].column_names
        values = np.stack([_verified(chain, columns, settings, program) for chain in chains])
        tree = draws_tree(values, columns, data)
    timings = {
        "sampling": sampling,
        "reading": time.perf_counter() - start - sampling,
        "chains": [
            {key: value for key, value in entry.items() if key != "total"}
            for chain in chains
            for entry in chain.time
        ],
    }
    return tree, timings, lost


@contextmanager
def _room_on_disk() -> Iterator[None]:
    """Say in which folder there was no room for the files of a run."""
    try:
        yield
    except OSError as error:
        where = f"{tempfile.tempdir}: " if tempfile.tempdir else ""
        raise SamplingError(
            f"{where}temporary files cannot be written ({error.strerror or error}); "
            "make room, or set TMPDIR to another folder"
        ) from error


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the files of chains; CmdStan takes a path with a comma for a list."""
    with _room_on_disk():
        usable = "," not in tempfile.gettempdir()
        parent = None if usable else storage.prepare() / "temporary"
        return tempfile.TemporaryDirectory(prefix="partialpool-", dir=parent)


def _run_chains(
    run: Any, settings: Settings, program: Program, executable: Path, folder: Path
) -> tuple[list[cmdstanpy.CmdStanMCMC], dict[int, str]]:
    """Run chains side by side; whatever ends the wait early ends every chain.

    Returns
    -------
    finished, lost
        The chains that finished, and the number of each that did not to what it said; there are
        lost ones only where the settings allow to go on with survivors.
    """
    count = settings.chains
    with ThreadPoolExecutor(max_workers=min(count, os.cpu_count() or 1)) as pool:
        futures: list[Future[cmdstanpy.CmdStanMCMC]] = [
            pool.submit(run, chain) for chain in range(1, count + 1)
        ]
        try:
            wait(futures, return_when=ALL_COMPLETED if settings.survivors else FIRST_EXCEPTION)
        except BaseException:
            _end_chains(pool, futures, executable)
            raise
        failed = [k for k, future in enumerate(futures) if future.done() and future.exception()]
        if failed and not (settings.survivors and len(failed) < count):
            _end_chains(pool, futures, executable)
    lost = {k + 1: _failure(program, k + 1, count, folder, futures[k].exception()) for k in failed}
    if lost and not (settings.survivors and len(lost) < count):
        raise SamplingError(next(iter(lost.values())))
    return [future.result() for k, future in enumerate(futures) if k not in failed], lost


def _end_chains(pool: ThreadPoolExecutor, futures: Sequence[Future[Any]], executable: Path) -> None:
    """End the chains that run or are about to start, and wait until they are gone."""
    pool.shutdown(wait=False, cancel_futures=True)
    while True:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, IndexError):
                if Path(child.cmdline()[0]) == executable:
                    child.kill()
        if all(future.done() for future in futures):
            return
        time.sleep(0.02)


def _failure(
    program: Program, chain: int, count: int, folder: Path, cause: BaseException | None
) -> str:
    """Say which chain failed and in what words of its own."""
    said = [
        line.strip()
        for file in sorted((folder / f"chain-{chain}").glob("*-stdout.txt"))
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    code = re.search(r"retcodes=\[(-?\d+)\]|error code (-?\d+)", str(cause))
    exit_code = f" (exit code {_exit_code(int(code[1] or code[2]))})" if code else ""
    rejected = [line for start in ("Exception", "Error") for line in said if line.startswith(start)]
    quoted = rejected[:1] + [line for line in said[-3:] if line and line not in rejected[:1]]
    if any("nitialization" in line for line in said):
        advice = (
            "No starting point with a finite density was found. Check that the priors allow what "
            "the data show, give bounds in the parameters block, or try other starts (--stan-inits)"
        )
    else:
        advice = (
            "The chain's own words are above. --chains 1 is quicker to study; --survivors goes on "
            "with the chains that finish, and labels the result"
        )
    detail = "\n".join(f"  {line}" for line in quoted) or f"  {cause}"
    return f"{program.title}: chain {chain} of {count} failed{exit_code}:\n{detail}\n{advice}."


def _exit_code(code: int) -> str:
    """Name the signal that a negative exit code stands for."""
    with suppress(ValueError):
        return f"{code}: ended by {signal.Signals(-code).name}" if code < 0 else str(code)
    return str(code)


def _verified(
    chain: cmdstanpy.CmdStanMCMC, columns: Sequence[str], settings: Settings, program: Program
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Read a chain's draws, shape (draws, columns), and check that they are all there."""
    number = chain.chain_ids[0]
    try:
        draws = chain.draws()[:, 0, :]
    except Exception as error:  # CmdStanPy wraps whatever its parser met
        raise SamplingError(
            f"{program.title}: the output of chain {number} cannot be read ({error}); "
            "a full disk is the usual reason. Nothing was saved"
        ) from None
    if draws.shape != (settings.draws, len(columns)) or list(chain.column_names) != list(columns):
        raise SamplingError(
            f"{program.title}: chain {number} wrote {draws.shape[0]} draws of {draws.shape[1]} "
            f"columns where {settings.draws} of {len(columns)} were asked for; "
            "a full disk is the usual reason. Nothing was saved"
        )
    array: np.ndarray[Any, np.dtype[np.float64]] = draws
    return array


def _versions(cmdstan: toolchain.CmdStan) -> dict[str, str]:
    return {**package_versions(), "CmdStan": cmdstan.version}


@functools.cache
def package_versions() -> dict[str, str]:
    """Name and version of each package that draws depend on."""
    return {name: metadata.version(name) for name in _VERSIONS}
