"""Measure partialpool against other samplers, and how its cost grows with the data.

    python scripts/benchmark.py [samplers] [sizes] [edit] [cold] [warm] [grid] --output FOLDER

writes each table as CSV and Markdown, and a figure of the samplers. Other samplers take part where
installed: `pip install 'partialpool[benchmark]'`, and Debian's package `jags`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import plotnine as p9
from arviz_stats.base import array_stats

import benchmark_grid as data_sets
import benchmark_peers as peers
from partialpool import fitting, plots, programs
from partialpool.data import GroupedData, example, read_csv
from partialpool.families import exact
from partialpool.fitting.inputs import priors_for
from partialpool.priors import Normal, Uniform, hyperparameters
from partialpool.programs import toolchain
from partialpool.settings import Settings

PARTS = ("samplers", "sizes", "edit", "cold", "warm", "grid")
ALTERNATIONS = 5
INDEPENDENT = "independent draws"
SIZES = (
    *((n, 8) for n in (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)),
    *((10**7, j) for j in (10**2, 10**3, 10**4, 10**5)),
    (2 * 10**7, 10**5),
    (5 * 10**7, 10**5),
    (10**8, 5 * 10**4),
    (10**8, 10**5),
)
PACKAGES = (
    "partialpool",
    "cmdstanpy",
    "numpy",
    "duckdb",
    "nutpie",
    "pymc",
    "numba",
    "numpyro",
    "jax",
)


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where none is named")
    parser.add_argument("--output", type=Path, default=Path("results/benchmark"))
    parser.add_argument("--alternations", type=int, default=ALTERNATIONS)
    parser.add_argument("--least-rows", type=float, default=0, help="smallest N of 'sizes'")
    parser.add_argument("--most-rows", type=float, default=1e8, help="largest N of 'sizes'")
    parser.add_argument("--one-size", nargs=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one_size:
        print(json.dumps(pipeline(Path(given.one_size[0]))))
        return
    given.output.mkdir(parents=True, exist_ok=True)
    about = machine()
    print("\n".join(f"{name}: {value}" for name, value in about.items()), flush=True)
    (given.output / "machine.json").write_text(json.dumps(about, indent=2))
    for part in given.parts or PARTS:
        if part == "samplers":
            table = samplers(given.alternations)
            report(given.output, part, table)
            plots.save(figure(table), given.output / part)
        elif part == "sizes":
            report(given.output, part, sizes(int(given.least_rows), int(given.most_rows)))
        elif part == "edit":
            report(given.output, part, edit(given.alternations))
        elif part == "cold":
            report(given.output, part, cold())
        elif part == "grid":
            table = data_sets.grid()
            report(given.output, part, table)
            print(data_sets.summary(table))
        else:
            report(given.output, part, warm(given.alternations))


def machine() -> dict[str, str]:
    """Processor, system and versions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    about = {"processor": f"{model}, {os.cpu_count()} cores", "system": platform.platform()}
    about["python"] = platform.python_version()
    for name in PACKAGES:
        try:
            about[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            about[name] = "not installed"
    jags = shutil.which("jags") and subprocess.run(
        ["jags", "/dev/null"], capture_output=True, text=True, check=False
    ).stdout.split(" on ")[0].removeprefix("Welcome to ")
    return {**about, "jags": jags or "not installed", "cmdstan": toolchain.find_cmdstan().version}


def report(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Print a table and save it."""
    print(f"\n{name}\n{table.to_string(index=False)}", flush=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.md").write_text(markdown(table), encoding="utf-8")


def figure(table: pd.DataFrame) -> p9.ggplot:
    """Effective draws a second of each sampler: median, slowest and fastest run."""
    order = table.sort_values("ess_per_second")["sampler"]
    kinds = np.where(
        table["sampler"].str.startswith("partialpool"), "partialpool", "other samplers"
    )
    kinds[table["sampler"] == INDEPENDENT] = "limit"
    shown = table.assign(sampler=pd.Categorical(table["sampler"], categories=order), kind=kinds)
    return (
        p9.ggplot(shown)
        + p9.aes(y="sampler", color="kind")
        + p9.geom_segment(p9.aes(x="slowest", xend="fastest", yend="sampler"))
        + p9.geom_point(p9.aes(x="ess_per_second"), size=2.5)
        + p9.scale_x_log10(labels=lambda breaks: [f"{x:,.0f}" for x in breaks])
        + p9.scale_color_manual(
            {"partialpool": "#0072B2", "other samplers": "#555555", "limit": "#D55E00"}
        )
        + p9.labs(
            x="Effective draws a second, least of all parameters (median, slowest, fastest run)",
            y="",
        )
        + p9.theme_minimal()
        + p9.theme(
            legend_position="none",
            figure_size=(8, 3.6),
            plot_margin=0.02,
            axis_title_x=p9.element_text(size=10),
        )
    )


def markdown(table: pd.DataFrame) -> str:
    """Table as Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def samplers(alternations: int) -> pd.DataFrame:
    """Effective draws a second on the homework data, medians over alternating runs.

    All sample the same model under the same priors, with the same numbers of chains and draws and
    each with its own defaults. What comes before the first draw of a first run (compilation,
    imports) is left out for all.

    Returns
    -------
    DataFrame
        `sampler`, `seconds` from call to draws in memory, `processor` seconds of it (all processes,
        which a busy machine does not change much), `min_ess_bulk` and `min_ess_tail` over
        mu, tau, sigma and theta, `ess_per_second` (the smaller of both over seconds), `relative`
        to the first sampler, `slowest` and `fastest` ESS a second of the runs.
    """
    data = read_csv(example())
    priors = priors_for(data)
    ready: dict[str, peers.Sampler] = {}
    for form in ("marginal", "centered", "non-centered"):
        name = f"hierarchical_{form.replace('-', '')}"
        ready[f"partialpool, {form}"] = stan(name, data, priors)
    makers: dict[str, Callable[[], peers.Sampler]] = {
        "JAGS": functools.partial(peers.jags, data, priors.values)
    }
    for title, make in (
        ("nutpie", peers.nutpie),
        ("PyMC", functools.partial(peers.pymc, runs=alternations + 1)),
        ("NumPyro", peers.numpyro),
    ):
        for form in ("centered", "non-centered"):
            makers[f"{title}, {form}"] = functools.partial(
                make, data, priors.values, centered=form == "centered"
            )
    for title, maker in makers.items():
        try:
            ready[title] = maker()
        except (ImportError, FileNotFoundError):
            print(f"{title}: not installed, left out")
    ready[INDEPENDENT] = independent(data, priors)
    for sampler in ready.values():
        sampler(0)
    rows = []
    for run in range(1, alternations + 1):
        for title, sampler in ready.items():
            start, used = time.perf_counter(), processor_seconds()
            draws = sampler(run)
            seconds, used = time.perf_counter() - start, processor_seconds() - used
            bulk, tail = least_ess(draws)
            rows.append((title, seconds, used, bulk, tail, min(bulk, tail) / seconds))
            print(f"run {run}: {title}: {seconds:.2f} s, ESS {bulk:.0f} / {tail:.0f}", flush=True)
    columns = ["sampler", "seconds", "processor", "min_ess_bulk", "min_ess_tail", "ess_per_second"]
    runs = pd.DataFrame(rows, columns=columns).groupby("sampler", sort=False)
    table = runs.median()
    table["relative"] = (table["ess_per_second"].iloc[0] / table["ess_per_second"]).round(2)
    table["slowest"], table["fastest"] = runs["ess_per_second"].min(), runs["ess_per_second"].max()
    return table.reset_index().round(
        {"seconds": 3, "processor": 3, **dict.fromkeys([*columns[3:], "slowest", "fastest"], 0)}
    )


def processor_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def least_ess(draws: peers.Draws) -> tuple[float, float]:
    """Smallest bulk and tail effective sample size of all quantities."""
    series = [draws[name] for name in ("mu", "tau", "sigma")]
    series += list(np.moveaxis(draws["theta"], -1, 0))
    bulk = min(float(array_stats.ess(x, method="bulk")) for x in series)
    tail = min(float(array_stats.ess(x, method="tail", prob=(0.05, 0.95))) for x in series)
    return bulk, tail


def stan(name: str, data: GroupedData, priors: hyperparameters.Priors) -> peers.Sampler:
    """Sampler of a shipped program; it is compiled here."""
    program, cmdstan = programs.load(name), toolchain.find_cmdstan()
    toolchain.compile_programs([program.path], cmdstan=cmdstan)

    def sample(seed: int) -> peers.Draws:
        settings = Settings(
            chains=peers.CHAINS,
            warmup=peers.WARMUP,
            draws=peers.DRAWS,
            seed=seed,
        )
        [fit] = fitting.fit_programs(
            [program], data, priors=priors, settings=settings, cmdstan=cmdstan
        )
        posterior = fit.posterior
        return {
            name: posterior[name].transpose("chain", "draw", ...).to_numpy()
            for name in peers.QUANTITIES
        }

    return sample


def independent(data: GroupedData, priors: hyperparameters.Priors) -> peers.Sampler:
    """Independent draws of the exact posterior, the limit of what any sampler can do."""
    value = priors.values

    def sample(seed: int) -> peers.Draws:
        posterior = exact.hierarchical(
            data.stats,
            mu=Normal(value["mu_location"], value["mu_scale"]),
            tau=Uniform(value["tau_upper"]),
            sigma=Uniform(value["sigma_upper"]),
        )
        size = peers.CHAINS * peers.DRAWS
        flat = exact.exact_draws(posterior, rng=np.random.default_rng(seed), size=size)
        shape = (peers.CHAINS, peers.DRAWS)
        return {name: flat[name].reshape(*shape, *flat[name].shape[1:]) for name in flat}

    return sample


def sizes(least_rows: int, most_rows: int) -> pd.DataFrame:
    """Wall time and peak memory from a Parquet file to the estimates of all groups.

    Returns
    -------
    DataFrame
        `rows`, `groups`, seconds to `read`, `fit` and `estimate`, their sum `seconds`,
        `peak_gb`, the largest memory of the process with all that it started, and `group_by`, the
        seconds that DuckDB takes for counts, means and variances of the same file, by itself.
    """
    table = []
    homework = read_csv(example())
    stan("hierarchical_marginal", homework, priors_for(homework))
    with tempfile.TemporaryDirectory() as name:
        for rows, groups in SIZES:
            if not least_rows <= rows <= most_rows:
                continue
            path = Path(name) / "data.parquet"
            write_parquet(path, rows, groups)
            done = subprocess.run(
                [sys.executable, __file__, "--one-size", str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            bare = group_by(path)
            table.append(
                {"rows": rows, "groups": groups, **json.loads(done.stdout), "group_by": bare}
            )
            print(table[-1], flush=True)
    return pd.DataFrame(table)


def group_by(path: Path) -> float:
    """Seconds of DuckDB's own query for the statistics of each group of a file."""
    import duckdb

    query = 'SELECT "group", count(y), avg(y), var_samp(y) FROM read_parquet(?) GROUP BY "group"'
    start = time.perf_counter()
    duckdb.execute(query, [str(path)]).fetchnumpy()
    return round(time.perf_counter() - start, 3)


def write_parquet(path: Path, rows: int, groups: int) -> None:
    """Write simulated data, groups in random order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng([rows, groups])
    theta = rng.normal(10, 2, groups)
    schema = pa.schema([("group", pa.int32()), ("y", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 10**6):
            count = min(10**6, rows - start)
            group = rng.integers(0, groups, count, dtype=np.int32)
            if start == 0:
                group[: min(groups, count)] = np.arange(min(groups, count))
            y = theta[group] + rng.normal(0, 5, count)
            writer.write_table(pa.table([group, y], schema=schema))


def pipeline(path: Path) -> dict[str, float]:
    """Read a file, fit the marginal program and estimate every group; times and memory."""
    from partialpool.data.scan import scan_statistics
    from partialpool.tables.group_posterior import group_estimates, no_group_drawn

    start = time.perf_counter()
    data = scan_statistics(path).without_observations()
    read = time.perf_counter()
    [fit] = fitting.fit_programs(
        [programs.load("hierarchical_marginal")],
        data,
        priors=priors_for(data),
        cmdstan=toolchain.find_cmdstan(),
        extra=no_group_drawn(data),
    )
    fitted = time.perf_counter()
    table = group_estimates(fit.posterior, data.stats)
    end = time.perf_counter()
    assert len(table) == data.stats.J
    used = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {
        "read": round(read - start, 3),
        "fit": round(fitted - read, 3),
        "estimate": round(end - fitted, 3),
        "seconds": round(end - start, 3),
        "peak_gb": round(sum(used) / 1e6, 3),
    }


def edit(alternations: int) -> pd.DataFrame:
    """Time from a saved edit of a program to its draws, and of the parts of it."""
    data = read_csv(example())
    priors = priors_for(data)
    cmdstan = toolchain.find_cmdstan()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for run in range(alternations):
            for source in ("hierarchical_marginal", "hierarchical_noncentered"):
                path = Path(name) / f"{source}.stan"
                text = programs.find_program(source).read_text(encoding="utf-8")
                seed = time.time_ns()
                path.write_text(f"{text}// edit {seed} {run}\n", encoding="utf-8")
                start = time.perf_counter()
                [fit] = fitting.fit_programs(
                    [programs.load(path)], data, priors=priors, cmdstan=cmdstan
                )
                seconds = time.perf_counter() - start
                rows.append((source, fit.record.timings["compile"], seconds))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=["program", "compile", "seconds"])
    return table.groupby("program").median().round(2).reset_index()


def cold() -> pd.DataFrame:
    """Time of `scripts/report` with an empty cache, and of what it sets up when that is there."""
    script = Path(__file__).with_name("report")
    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, "PARTIALPOOL_CACHE": str(Path(name) / "cache")}
        command = [str(script), "--output", name]
        rows = [(state, timed(command, environment)) for state in ("cold", "again")]
    return pd.DataFrame(rows, columns=["report", "seconds"]).round(1)


def warm(alternations: int) -> pd.DataFrame:
    """Times of `partialpool report homework` when everything is compiled."""
    command = [sys.executable, "-m", "partialpool", "report", "homework"]
    with tempfile.TemporaryDirectory() as name:
        runs = [
            timed([*command, "--output", str(Path(name) / str(run))], dict(os.environ))
            for run in range(alternations + 1)
        ][1:]
    return pd.DataFrame(
        {"report": ["warm"], "seconds": [np.median(runs)], "from": min(runs), "to": max(runs)}
    ).round(1)


def timed(command: Sequence[str], environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
