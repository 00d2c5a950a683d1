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

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families.normal import GroupStats, check_overflow, combine, group_stats, ordered
from partialpool.many import Job, Result, load_result, run_job, save_result
from partialpool.progress import Progress
from partialpool.sufficient import SummarizedData
from partialpool.types import IntArray

if TYPE_CHECKING:
    import dask.dataframe

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
        From `partialpool.many.make_jobs`.
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
        (progress or Progress()).task(f"Fitting {len(waiting)} jobs", total=len(waiting)) as task,
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


def _distributed() -> Any:
    """Import Dask's scheduler, or say how to get it."""
    try:
        import distributed
    except ImportError:
        raise InputError(
            "this needs Dask, which is not installed: pip install 'partialpool[dask]'"
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


def dask_statistics(
    frame: dask.dataframe.DataFrame,
    *,
    group: str,
    value: str,
    name: str = "data",
    drop_missing: bool = False,
    **about: Any,
) -> SummarizedData:
    """Group a Dask DataFrame into sufficient statistics, on whatever cluster runs it.

    Each partition is reduced to its own statistics about its groups' means; these are combined in
    a tree, so that no machine ever holds more than the statistics of a few partitions.

    Parameters
    ----------
    frame
        One observation a row.
    group, value
        Names of the columns that hold the groups and the outcome.
    name
        Short name of the data.
    drop_missing
        Leave out rows whose outcome is missing (and say how many) instead of refusing the data.
    **about
        Any other field of `partialpool.sufficient.SummarizedData` that describes the data.

    Returns
    -------
    SummarizedData
        Groups in numerical order where every label is a number, else in alphabetical order.

    Raises
    ------
    InputError
        A column is absent, an outcome is missing or not finite, or labels are blank or differ only
        by blanks; with the partition and the row in it.
    """
    from dask.delayed import delayed

    for column in (group, value):
        if column not in frame.columns:
            listed = ", ".join(map(repr, frame.columns))
            raise InputError(f"there is no column {column!r}; the columns are {listed}")
    reduce_part = delayed(_partition_statistics)
    merge = delayed(_merged)
    level = [
        reduce_part(part, f"{name}, partition {k}", drop_missing)
        for k, part in enumerate(frame[[group, value]].to_delayed(), start=1)
    ]
    while len(level) > 1:
        level = [merge(level[k : k + 8]) for k in range(0, len(level), 8)]
    found, dropped = level[0].compute()
    if found is None:
        raise InputError(f"{name}: there are no observations; at least one is needed")
    order = np.argsort(np.array(found.labels, dtype=object))
    labels, label_notes = _clean([found.labels[j] for j in order], found.n[order], name)
    stats = ordered(GroupStats(labels, found.n[order], found.mean[order], found.ss[order]))
    check_overflow(stats, name)
    rows = "row" if dropped == 1 else "rows"
    notes = (f"{dropped} {rows} without an outcome left out",) if dropped else ()
    about = {"title": name, "group_label": group, "value_label": value, **about}
    return SummarizedData(name=name, stats=stats, notes=notes + label_notes, **about)


def _partition_statistics(
    part: pd.DataFrame, where: str, drop_missing: bool
) -> tuple[GroupStats | None, int]:
    """Statistics of one partition by labels as they are, and how many rows were left out."""
    values = pd.to_numeric(part.iloc[:, 1], errors="coerce")
    missing = part.iloc[:, 1].isna().to_numpy()
    y = values.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(y) & ~(missing & drop_missing)
    if wrong.any():
        first = int(np.argmax(wrong))
        outcome = part.iloc[first, 1]
        shown = repr(outcome) if isinstance(outcome, str) else str(outcome)
        raise InputError(
            f"{where}, row {first + 1}: the outcome is {shown}; outcomes must be finite numbers"
        )
    kept = np.isfinite(y)
    labels = part.iloc[:, 0][kept]
    blank = (labels.isna() | (labels.astype(str).str.strip() == "")).to_numpy()
    if blank.any():
        row = int(np.flatnonzero(kept)[np.argmax(blank)]) + 1
        raise InputError(f"{where}, row {row}: the group is blank; give every row a group")
    dropped = int((~kept).sum())
    if len(labels) == 0:
        return None, dropped
    codes, unique = pd.factorize(labels.astype(str))
    with np.errstate(over="ignore", invalid="ignore"):
        return group_stats(y[kept], codes.astype(np.int64), list(unique)), dropped


def _merged(
    parts: Sequence[tuple[GroupStats | None, int]],
) -> tuple[GroupStats | None, int]:
    known = [stats for stats, _ in parts if stats is not None]
    dropped = sum(count for _, count in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        return (combine(known) if known else None), dropped


def _clean(
    labels: Sequence[str], n: IntArray, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Strip blanks around labels, and say in how many rows; refuse labels that would merge."""
    spellings: dict[str, str] = {}
    for raw in labels:
        first = spellings.setdefault(raw.strip(), raw)
        if first != raw:
            raise InputError(
                f"{where}: groups {first!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )
    changed = sum(int(k) for raw, k in zip(labels, n, strict=True) if raw != raw.strip())
    notes = (f"blanks around group labels removed in {changed} rows",) if changed else ()
    return tuple(spellings), notes
