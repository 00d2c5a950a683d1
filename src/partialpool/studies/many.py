"""Many fits: data sets x programs x settings of priors, as jobs that any process can run.

A job carries all that it needs, the program's text included, so that it runs in another process or
on another machine. Its key is a hash of all of it: a result that lies in the folder under this key
is the job's result, and a rerun leaves it alone. `partialpool.studies.dask_jobs` runs jobs on Dask.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import os
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.errors import InputError, PartialPoolError
from partialpool.fitting import diagnostics, without_rows
from partialpool.fitting.inputs import check_settings_used, collect, priors_for
from partialpool.priors import hyperparameters
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import Program
from partialpool.settings import Settings
from partialpool.tables import exponential, shrinkage


@dataclass(frozen=True)
class Job:
    """One fit to be made.

    Attributes
    ----------
    name
        Unique name for people: data set, program and the priors that vary.
    data
        The observations.
    program_name, program_text
        Name and full text of the Stan program.
    priors
        Values of the hyperparameters.
    settings
        How to sample.
    extra
        Further inputs of the program.
    columns, effects
        Input to columns of the data, and what the program calls theta.
    notes
        In which order values without labels are taken.
    """

    name: str
    data: GroupedData
    program_name: str
    program_text: str
    priors: Priors
    settings: Settings
    extra: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    effects: str = "theta"
    notes: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the result."""
        digest = hashlib.sha256()
        stats = self.data.stats
        for array in (self.data.y, self.data.group, *stats.columns.values()):
            digest.update(array.tobytes())
        about = [
            self.name,
            stats.labels,
            self.program_name,
            self.program_text,
            dict(self.priors.values),
            dataclasses.asdict(self.settings),
            dict(self.extra),
        ]
        if self.data.columns or self.columns or self.effects != "theta":
            read = {name: list(map(str, cells)) for name, cells in self.data.columns.items()}
            about += [read, dict(self.columns), self.effects]
        digest.update(json.dumps(about, sort_keys=True).encode())
        return digest.hexdigest()[:20]


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Attributes
    ----------
    name, key
        Those of the job.
    estimates
        Posterior summaries, one quantity a row (columns of `tables.shrinkage.estimates`); empty
        where the job failed.
    trusted
        Whether every diagnostic that counts was passed.
    message
        What the diagnostics say, or why the job failed.
    seconds
        Wall time of the fit.
    failed
        Whether there is no fit.
    """

    name: str
    key: str
    estimates: pd.DataFrame
    trusted: bool
    message: str
    seconds: float
    failed: bool = False


def make_jobs(
    data_sets: Sequence[GroupedData],
    chosen: Sequence[Program],
    *,
    prior_grid: Mapping[str, Sequence[float]] | None = None,
    settings: Settings | None = None,
    extra: Mapping[str, Any] | None = None,
) -> list[Job]:
    """Cross data sets with programs and with a grid of prior settings.

    Parameters
    ----------
    data_sets
        At least one; their names must differ.
    chosen
        Programs, as `partialpool.programs.program.load` reads them.
    prior_grid
        Hyperparameter to values; every combination of the values that a program declares is
        fitted. The others are those of `partialpool.priors.hyperparameters.priors_for`.
    settings
        How to sample.
    extra
        Further inputs that the programs declare.

    Raises
    ------
    InputError
        Two data sets or two programs of one name, no values for a hyperparameter or one that no
        program reads, a program that includes other files, or data that a program cannot be
        fitted to.
    """
    check_names("data sets", [data.name for data in data_sets])
    check_names("programs", [program.name for program in chosen])
    grid = dict(prior_grid or {})
    for name, values in grid.items():
        if not values:
            raise InputError(f"prior {name}: there are no values to try")
    declared = {name: None for program in chosen for name in program.inputs}
    named = dict.fromkeys(grid, 0.0)
    check_settings_used(
        hyperparameters.Priors(named, dict.fromkeys(named, hyperparameters.SET_BY_USER)), declared
    )
    jobs = []
    for data, program in itertools.product(data_sets, chosen):
        if program.declared.get("included_files"):
            raise InputError(
                f"{program.path}: it includes other files, which other machines do not have; "
                "put their text into the program itself"
            )
        try:
            data.family.check_poolable(program, data.stats)
        except InputError as error:
            raise InputError(f"{data.name}: {error}") from None
        varied = [name for name in grid if name in program.inputs]
        for combination in itertools.product(*(grid[name] for name in varied)):
            overrides = dict(zip(varied, map(float, combination), strict=True))
            priors = priors_for(data, overrides)
            notes: tuple[str, ...] = ()
            if not without_rows.is_exact(program, data):
                found = collect(program, data, priors, extra=extra)
                how = {key: given for key, given in data.reading.items() if key != "files"}
                data, notes = replace(data, columns=found.columns.cells, reading=how), found.notes
            shown = [f"{name}={value:g}" for name, value in overrides.items()]
            jobs.append(
                Job(
                    name=" ".join([data.name, program.name, *shown]),
                    data=data,
                    program_name=program.name,
                    columns=program.columns,
                    effects=program.effects,
                    notes=notes,
                    program_text=program.path.read_text(encoding="utf-8"),
                    priors=priors,
                    settings=settings or Settings(),
                    extra=extra or {},
                )
            )
    return jobs


def check_names(what: str, names: Sequence[str]) -> None:
    """Refuse names that do not tell data sets or programs apart.

    Raises
    ------
    InputError
        Two of one name, or none at all.
    """
    if not names:
        raise InputError(f"many fits need {what}: there are none")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"two {what} are called {repeated[0]!r}; give them different names")


def parse_grid(texts: Sequence[str]) -> dict[str, list[float]]:
    """Read grids such as `mu_scale=5,10,20`.

    Raises
    ------
    InputError
        Text of another form, a number that is not finite, or a name given twice.
    """
    grid: dict[str, list[float]] = {}
    for text in texts:
        name, equals, numbers = (part.strip() for part in text.partition("="))
        try:
            values = [float(number) for number in numbers.split(",")]
        except ValueError:
            values = [math.nan]
        if not equals or not name.isidentifier() or not all(map(math.isfinite, values)):
            raise InputError(
                f"--prior-grid {text}: write NAME=NUMBER,NUMBER,..., for example mu_scale=5,10,20"
            )
        if name in grid:
            raise InputError(
                f"--prior-grid {text}: {name} is given twice; list all its values once"
            )
        grid[name] = list(dict.fromkeys(values))
    return grid


def run_job(job: Job) -> Result:
    """Fit and summarize; a job that cannot be fitted gives a failed result, not an exception."""
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="partialpool-") as folder:
            path = Path(folder) / f"{job.program_name}.stan"
            path.write_text(job.program_text, encoding="utf-8")
            [fit] = without_rows.fit_or_draw(
                [programs.load(path).pointed(job.columns, job.effects)],
                job.data,
                priors=job.priors,
                settings=job.settings,
                extra=job.extra,
            )
        checks = diagnostics.check(fit)
        estimates = shrinkage.estimates([fit], job.data)
    except Exception as error:  # whatever a job fails of, the others go on
        said = str(error) if isinstance(error, PartialPoolError) else f"{error!r}"
        return Result(job.name, job.key, pd.DataFrame(), False, said, 0.0, failed=True)
    return Result(
        name=job.name,
        key=job.key,
        estimates=estimates,
        trusted=diagnostics.trusted(checks),
        message=diagnostics.summary_line(fit, checks).removeprefix(f"{fit.title}: "),
        seconds=time.perf_counter() - start,
    )


def save_result(result: Result, folder: str | Path) -> Path:
    """Write a result under its key, complete or not at all; a failed one is not written."""
    target = Path(folder) / f"{result.key}.json"
    if result.failed:
        return target
    content = {
        "name": result.name,
        "trusted": result.trusted,
        "message": result.message,
        "seconds": result.seconds,
        "estimates": result.estimates.to_json(orient="split", double_precision=15),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=".partial-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)
    return target


def load_result(job: Job, folder: str | Path) -> Result | None:
    """Read the result of a job from a folder; None where there is none that can be read."""
    path = Path(folder) / f"{job.key}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        estimates = pd.read_json(
            StringIO(content.pop("estimates")),
            orient="split",
            dtype={"group": str, "model": str, "parameter": str},
            convert_axes=False,
        )
        return Result(key=job.key, estimates=estimates, **content)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def overview(results: Sequence[Result]) -> pd.DataFrame:
    """One row a fit: `fit`, `trusted`, `failed`, `seconds`, `message`, `key` (of its file)."""
    rows = [
        {
            "fit": result.name,
            "trusted": result.trusted,
            "failed": result.failed,
            "seconds": result.seconds,
            "message": result.message,
            "key": result.key,
        }
        for result in results
    ]
    return pd.DataFrame(rows)


def results_table(results: Sequence[Result], *, ratios: Collection[str] = ()) -> pd.DataFrame:
    """Put the estimates of many fits into one table.

    Parameters
    ----------
    results
        The fits.
    ratios
        Names of those whose data are logarithms that people read as exponentials.

    Returns
    -------
    DataFrame
        Columns `fit` (name of the job), `trusted`, and those of `tables.shrinkage.estimates`.
    """
    frames = []
    for result in results:
        if not result.failed:
            frame = result.estimates
            if result.name in ratios:
                frame = exponential.table("estimates", frame)
            frame = frame.copy()
            frame.insert(0, "fit", result.name)
            frame.insert(1, "trusted", result.trusted)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
