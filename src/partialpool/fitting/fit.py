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
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.protocols import Pooling
from partialpool.files import umask
from partialpool.fitting import normality
from partialpool.fitting.chains import sample
from partialpool.fitting.inputs import collect, priors_for
from partialpool.fitting.record import FitRecord
from partialpool.fitting.tree import draws_tree, misfits, with_effects
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import Program, check_distinct, loaded, toolchain
from partialpool.progress import Progress
from partialpool.settings import Settings

_VERSIONS = ("partialpool", "cmdstanpy", "arviz-base", "arviz-stats", "numpy", "pandas", "xarray")


@dataclass(frozen=True, eq=False)
class Fit:
    """The draws of one program on one data set; two fits are equal where they are the same object.

    Attributes
    ----------
    draws
        DataTree with the groups `posterior` (variables of the program by chain, draw and, with
        the data's labels as coordinate, group), `sample_stats` and, where the program gives them,
        `log_prior` (`lprior`), `log_likelihood` and `posterior_predictive` (by observation).
    record
        What produced the draws: program, data, priors, settings, versions, timings.

    Examples
    --------
    >>> import partialpool as pp
    >>> [fit] = pp.fit_programs("complete_pooling", pp.read_csv(pp.example()))
    >>> fit
    complete pooling: all 7 diagnostics passed (complete_pooling, 4 chains of 2,000 draws)
    """

    draws: xr.DataTree
    record: FitRecord

    def __repr__(self) -> str:
        """Say what was fitted, and what its diagnostics found, in a line."""
        from partialpool.fitting import diagnostics

        sizes = self.posterior.sizes
        line = diagnostics.summary_line(self, diagnostics.check(self))
        return f"{line} ({self.name}, {sizes['chain']} chains of {sizes['draw']:,} draws)"

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.record.program

    @property
    def title(self) -> str:
        """Name of the model as people read it."""
        return self.record.title

    @property
    def pooling(self) -> Pooling:
        """How the model pools: complete, none, partial or other."""
        return self.record.pooling

    def keeps(self, part: str) -> bool:
        """Whether a part of the normal model holds (`partialpool.fitting.normality`)."""
        return self.record.keeps is None or part in self.record.keeps

    @property
    def settings(self) -> Settings:
        """The sampling settings."""
        return Settings(**self.record.settings)

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

    def with_record(self, **changes: Any) -> Fit:
        """Return the fit with some entries of its record replaced."""
        return dataclasses.replace(self, record=dataclasses.replace(self.record, **changes))

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
        tree.attrs["partialpool"] = json.dumps(self.record.as_dict())
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
        return cls(tree, FitRecord(**json.loads(text)))


def fit_programs(
    programs: Program | str | Path | Sequence[Program | str | Path],
    data: GroupedData,
    *,
    priors: Priors | None = None,
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
        What to fit, in order: programs, names of shipped ones, or paths of `.stan` files.
    data
        The observations.
    priors
        Values of the hyperparameters; those of `priors_for` where None.
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

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.read_csv(pp.example())
    >>> [fit] = pp.fit_programs("hierarchical_marginal", data)
    >>> fit.posterior["theta"].dims
    ('chain', 'draw', 'group')
    """
    settings = settings or Settings()
    progress = progress or Progress()
    programs = loaded(programs, family=data.family.name, progress=progress)
    check_distinct(programs)
    priors = priors_for(data) if priors is None else priors
    switches = {"prior_only": prior_only, "pointwise": pointwise}
    inputs = [collect(p, data, priors, extra=extra, **switches) for p in programs]
    effects = [
        None if p.effects == "theta" else found.columns.effects(p)
        for p, found in zip(programs, inputs, strict=True)
    ]
    warnings = [[] if prior_only else data.family.check_poolable(p, data.stats) for p in programs]
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
    for program, executable, given, effect, found in zip(
        programs, executables, inputs, effects, warnings, strict=True
    ):
        stan_input = given.values
        used = settings.settled(program.adapt_delta)
        start = time.perf_counter()
        sampled = sample(
            executable,
            stan_input,
            used,
            title=program.title,
            starts=data.family.starts(program, data.stats, used, inputs=stan_input)
            if used.data_inits
            else None,
            as_doubles=cmdstan.has_draws_file,
            progress=progress,
        )
        sampling = time.perf_counter() - start
        axes = given.columns.axes(program)
        draws, lost = draws_tree(sampled.values, sampled.columns, data, axes=axes), sampled.lost
        if program.effects != "theta":
            draws = with_effects(draws, program.effect[0], effect, data)
        parts = normality.kept(program, draws, data, prior_only=prior_only)
        timings = {
            "compile": compiling,
            "sampling": sampling,
            "reading": time.perf_counter() - start - sampling,
            "chains": sampled.seconds,
        }
        record = FitRecord.of(
            program,
            data,
            priors,
            used,
            title=program.title + _survivors(lost, settings),
            **switches,
            extra={name: np.asarray(given).tolist() for name, given in (extra or {}).items()},
            versions=_versions(cmdstan),
            cmdstan={"version": cmdstan.version, "origin": cmdstan.origin},
            timings=timings,
            integers=tuple(program.integers),
            lacking=tuple(normality.absences(program, parts, data)),
            keeps=parts,
            warnings=(*found, *misfits(draws, data, effects=program.effects)),
            lost_chains={str(chain): said for chain, said in lost.items()},
        )
        fits.append(Fit(draws, record))
    return fits


def _survivors(lost: Mapping[int, str], settings: Settings) -> str:
    """Label of a fit that some chains are missing from."""
    if not lost:
        return ""
    return f" ({settings.chains - len(lost)} of {settings.chains} chains)"


def _versions(cmdstan: toolchain.CmdStan) -> dict[str, str]:
    return {**package_versions(), "CmdStan": cmdstan.version}


@functools.cache
def package_versions() -> dict[str, str]:
    """Name and version of each package that draws depend on."""
    return {name: metadata.version(name) for name in _VERSIONS}
