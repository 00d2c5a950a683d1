"""Work on Dask: many fits at once, and the group-by of data that live on a cluster.

Needs the optional extra `dask`. Without an address a local cluster of processes is started, one
for each processor, and shut down at the end; with `--scheduler ADDRESS` a running one is used. On
other machines partialpool and CmdStan must be installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from partialpool.errors import InputError
from partialpool.progress import Progress
from partialpool.studies.many import Job, Result, load_result, run_job, save_result
from partialpool.text import counted

if TYPE_CHECKING:
    pass

_CONNECT_SECONDS = 20
_AT_ONCE = 16


def fit_many(
    jobs: Sequence[Job],
    *,
    folder: str | Path,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Run jobs on a cluster; results arrive, and are saved, as they finish.

    Results that lie in `folder` already come first and are not computed again. A job whose worker
    dies runs again on another one.

    Parameters
    ----------
    jobs
        From `partialpool.studies.many.make_jobs`.
    folder
        Where each result is saved, in a file of its own.
    scheduler
        Address of a Dask scheduler, for example `tcp://host:8786`; a local cluster where None.
    workers
        Processes of the local cluster; one for each processor where None.
    progress
        Where to report.

    Raises
    ------
    InputError
        Dask is not installed, there is no scheduler at the address, or the folder cannot be
        written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: results cannot be written there ({error.strerror})") from None
    waiting = []
    for job in jobs:
        done = load_result(job, folder)
        if done is None:
            waiting.append(job)
        else:
            yield done
    if not waiting:
        return
    with (
        connection(scheduler, workers=workers) as client,
        (progress or Progress()).task(
            f"Fitting {counted(len(waiting), 'jobs')}", total=len(waiting)
        ) as task,
    ):
        for result in _results(client, waiting):
            save_result(result, folder)
            task.advance()
            yield result


def _results(client: Any, jobs: Sequence[Job]) -> Iterator[Result]:
    """Keep the workers busy with a bounded number of jobs, and yield results as they finish."""
    left = iter(jobs)
    running: dict[Any, Job] = {}
    finished = _distributed().as_completed(loop=client.loop)

    def start() -> None:
        job = next(left, None)
        if job is not None:
            future = client.submit(run_job, job, key=f"partialpool-{job.key}", pure=False)
            running[future] = job
            finished.add(future)

    for _ in range(_AT_ONCE * max(1, len(client.scheduler_info()["workers"]))):
        start()
    for future in finished:
        job = running.pop(future)
        start()
        if future.status == "finished":
            yield future.result()
        else:
            reason = f"{job.name}: {future.exception()}"
            yield Result(job.name, job.key, pd.DataFrame(), False, reason, 0.0, failed=True)


def check_installed(jobs: Sequence[Job], folder: str | Path) -> None:
    """Refuse jobs that need Dask, before any is run, where it is not installed.

    Raises
    ------
    InputError
        Dask is not installed, and not every job has its result in the folder already.
    """
    try:
        _distributed()
    except InputError:
        if any(load_result(job, folder) is None for job in jobs):
            raise


def _distributed() -> Any:
    """Import Dask's scheduler, or say how to get it."""
    try:
        import distributed
    except ImportError:
        raise InputError(
            "this needs Dask, which is not installed: pip install 'dask[dataframe]' distributed"
        ) from None
    return distributed


@contextmanager
def connection(scheduler: str | None = None, *, workers: int | None = None) -> Iterator[Any]:
    """Connect to a scheduler, or start a local cluster of processes and end it afterwards.

    Raises
    ------
    InputError
        Dask is not installed, or no scheduler answers at the address.
    """
    distributed = _distributed()
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=_CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"--scheduler {scheduler}: no Dask scheduler there ({error})"
            ) from None
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers or os.cpu_count() or 1,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
