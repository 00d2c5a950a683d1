"""Many fits on a real local cluster of processes, and the group-by of a Dask DataFrame."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from partialpool import data, programs
from partialpool.data import dask_frames
from partialpool.errors import InputError
from partialpool.settings import Settings
from partialpool.studies import dask_jobs, many

pytestmark = [
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is optional"),
    # Dask and Tornado leave sockets and event loops to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

SHORT = Settings(chains=2, warmup=300, draws=300)


@pytest.fixture(scope="module")
def address(cmdstan: object) -> Iterator[str]:
    """Scheduler of a real cluster of two processes."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as local:
        yield local.scheduler_address


def make_data(name: str, seed: int) -> data.GroupedData:
    rng = np.random.default_rng(seed)
    labels = np.repeat(list("abcdef"), 8)
    return data.from_values(labels.tolist(), rng.normal(5, 2, 48), name=name)


def marginal() -> programs.Program:
    return programs.load("hierarchical_marginal")


@pytest.mark.stan
def test_jobs_are_all_combinations() -> None:
    jobs = many.make_jobs(
        [make_data("x", 1), make_data("y", 2)],
        [marginal()],
        prior_grid={"tau_upper": [10, 100], "mu_scale": [1, 2, 3]},
    )
    assert len(jobs) == 12
    assert len({job.key for job in jobs}) == 12
    assert jobs[0].name == "x hierarchical_marginal tau_upper=10 mu_scale=1"
    assert jobs[0].priors.values["tau_upper"] == 10
    assert jobs[0].priors.sources["mu_location"] == "scaled to the data"


@pytest.mark.stan
def test_the_key_follows_everything_that_decides_the_result() -> None:
    [job] = many.make_jobs([make_data("x", 1)], [marginal()])
    [again] = many.make_jobs([make_data("x", 1)], [marginal()])
    [other_data] = many.make_jobs([make_data("x", 2)], [marginal()])
    [other_seed] = many.make_jobs([make_data("x", 1)], [marginal()], settings=Settings(seed=2))
    assert job.key == again.key
    assert len({job.key, other_data.key, other_seed.key}) == 3


@pytest.mark.stan
def test_jobs_that_make_no_sense_are_refused() -> None:
    made = make_data("x", 1)
    with pytest.raises(InputError, match="two data sets are called 'x'"):
        many.make_jobs([made, made], [marginal()])
    with pytest.raises(InputError, match="many fits need programs"):
        many.make_jobs([made], [])
    with pytest.raises(InputError, match="tau_upper: there are no values"):
        many.make_jobs([made], [marginal()], prior_grid={"tau_upper": []})
    with pytest.raises(InputError, match="tau_upper = -1: it must be above zero"):
        many.make_jobs([made], [marginal()], prior_grid={"tau_upper": [-1]})


@pytest.mark.stan
def test_results_survive_the_disk(tmp_path: Path) -> None:
    [job] = many.make_jobs([make_data("x", 1)], [marginal()])
    estimates = pd.DataFrame(
        {"parameter": ["theta", "mu"], "group": ["001", ""], "mean": [1 / 3, np.nan]}
    )
    result = many.Result(job.name, job.key, estimates, True, "fine", 1.5)
    assert many.load_result(job, tmp_path) is None
    path = many.save_result(result, tmp_path)
    loaded = many.load_result(job, tmp_path)
    assert loaded is not None
    pd.testing.assert_frame_equal(loaded.estimates, estimates)
    assert (loaded.name, loaded.trusted, loaded.seconds) == (result.name, True, 1.5)
    path.write_text(path.read_text()[:100])
    assert many.load_result(job, tmp_path) is None


@pytest.mark.stan
def test_a_failed_result_is_not_kept(tmp_path: Path) -> None:
    [job] = many.make_jobs([make_data("x", 1)], [marginal()])
    failed = many.Result(job.name, job.key, pd.DataFrame(), False, "no", 0.0, failed=True)
    many.save_result(failed, tmp_path)
    assert many.load_result(job, tmp_path) is None
    assert many.results_table([failed]).empty


def test_no_scheduler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_jobs, "_CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(InputError, match="no Dask scheduler there"),
        dask_jobs.connection("tcp://127.0.0.1:9"),
    ):
        pass


def check_dask_frame() -> None:
    dask_frame = pytest.importorskip("dask.dataframe")
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"site": rng.choice(list("abcd"), 500), "y": 1e8 + rng.normal(size=500)})
    expected = data.from_values(frame["site"].tolist(), frame["y"].to_numpy()).stats

    def found(changed: pd.DataFrame, **options: Any) -> data.GroupedData:
        return dask_frames.dask_statistics(
            dask_frame.from_pandas(changed, npartitions=9), group="site", value="y", **options
        )

    read = found(frame, name="sites", unit="kg")
    assert (read.name, read.unit, read.group_label, read.labels) == (
        "sites",
        "kg",
        "site",
        ("a", "b", "c", "d"),
    )
    at = [expected.labels.index(label) for label in read.labels]
    np.testing.assert_array_equal(read.stats.n, expected.n[at])
    np.testing.assert_allclose(read.stats.mean, expected.mean[at], rtol=1e-15)
    np.testing.assert_allclose(read.stats.ss, expected.ss[at], rtol=1e-7)
    missing = frame.copy()
    missing.loc[77, "y"] = np.nan
    with pytest.raises(InputError, match="partition 2, row 22: the outcome is nan; outcomes must"):
        found(missing)
    dropped = found(missing, drop_missing=True)
    assert (dropped.stats.N, dropped.notes) == (499, ("1 row without an outcome left out",))
    missing.loc[77, "y"] = np.inf
    with pytest.raises(InputError, match="the outcome is inf"):
        found(missing, drop_missing=True)
    with pytest.raises(InputError, match="partition 1, row 1: the group is blank"):
        found(frame.assign(site=[" ", *frame["site"][1:]]))
    with pytest.raises(InputError, match="groups 'a' and 'a ' differ only by blanks"):
        found(frame.assign(site=frame["site"].where(frame.index < 400, frame["site"] + " ")))
    spaced = found(frame.assign(site=frame["site"].replace("a", " a")))
    assert spaced.labels == read.labels
    assert f"removed in {read.stats.n[0]} rows" in spaced.notes[0]
    with pytest.raises(InputError, match="no column 'x'; the columns are 'site', 'y'"):
        dask_frames.dask_statistics(
            dask_frame.from_pandas(frame, npartitions=1), group="site", value="x"
        )


def test_a_dask_frame_reduces_to_the_same_statistics() -> None:
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        check_dask_frame()


def test_a_dask_frame_reduces_on_a_cluster(address: str) -> None:
    with dask_jobs.connection(address):
        check_dask_frame()


def test_fits_arrive_are_saved_and_are_not_made_twice(tmp_path: Path, address: str) -> None:
    jobs = many.make_jobs(
        [make_data("x", 1), make_data("y", 2)],
        [marginal()],
        prior_grid={"tau_upper": [10, 100]},
        settings=SHORT,
    )
    seen = []
    for result in dask_jobs.fit_many(jobs, folder=tmp_path, scheduler=address):
        assert not result.failed, result.message
        assert (tmp_path / f"{result.key}.json").is_file()
        seen.append(result)
    assert {result.key for result in seen} == {job.key for job in jobs}
    table = many.results_table(seen)
    assert set(table["fit"]) == {job.name for job in jobs}
    assert np.isfinite(table.loc[table["parameter"] == "mu", "mean"]).all()

    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / f"{jobs[0].key}.json").unlink()
    again = {result.key: result for result in dask_jobs.fit_many(jobs, folder=tmp_path, workers=1)}
    assert set(again) == {job.key for job in jobs}
    kept = [path for path in before if path.stem != jobs[0].key]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    first = next(result for result in seen if result.key == jobs[0].key)
    pd.testing.assert_frame_equal(again[jobs[0].key].estimates, first.estimates)


def test_a_dead_worker_loses_nothing(tmp_path: Path, cmdstan: object) -> None:
    import distributed

    jobs = many.make_jobs(
        [make_data("x", 1)],
        [marginal()],
        prior_grid={"tau_upper": [10, 20, 30, 40, 50, 60]},
        settings=SHORT,
    )
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as local:
        results = dask_jobs.fit_many(jobs, folder=tmp_path, scheduler=local.scheduler_address)
        first = next(results)
        os.kill(next(iter(local.workers.values())).pid, signal.SIGKILL)
        rest = list(results)
    assert not any(result.failed for result in [first, *rest])
    assert {result.key for result in [first, *rest]} == {job.key for job in jobs}


def test_many_fits_are_kept_and_not_made_twice(run, tmp_path, cmdstan, address):
    rows = "".join(f"{k % 4},{k},{k * k}\n" for k in range(20))
    (tmp_path / "a.csv").write_text(f"g,x,y\n{rows}")
    command = ("fit-many", "a.csv", "--group", "g", "--outcome", "x", "--outcome", "y")
    command += ("--prior-grid", "mu_scale=5,50", "--scheduler", address, "--draws", "1000")
    code, out, _ = run(*command)
    assert code == 0
    assert "4 fits of 2 data sets" in out
    assert "a x hierarchical_marginal mu_scale=50: all 7 diagnostics passed" in out
    folder = tmp_path / "results" / "fit-many"
    fits = pd.read_csv(folder / "fits.csv")
    assert fits["trusted"].tolist() == [True] * 4
    table = pd.read_csv(folder / "estimates.csv")
    mu = table[table["parameter"] == "mu"].set_index("fit")["sd"]
    assert mu["a y hierarchical_marginal mu_scale=5"] < mu["a y hierarchical_marginal mu_scale=50"]
    made = {path: path.stat().st_mtime_ns for path in (folder / "fits").iterdir()}
    code, out, _ = run(*command)
    assert (code, "[4/4]" in out, "Fitting" in out) == (0, True, False)
    assert made == {path: path.stat().st_mtime_ns for path in (folder / "fits").iterdir()}
