"""Measure partial pooling of proportions against nutpie and PyMC: batting averages, rat tumors.

    python scripts/benchmark_counts.py [--runs 5] [--output FOLDER]

Both populations, beta and logit-normal, with the same priors for all samplers; theta is among the
draws of each. Ours of a logit-normal population are independent draws from the exact posterior.
Effective draws are the least over mu, tau and theta. Prints, and writes as CSV, processor seconds
as well, which a busy machine does not change much: `pip install nutpie pymc`.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from benchmark import processor_seconds
from benchmark_peers import CHAINS, CORES, DRAWS, WARMUP, Draws, Sampler
from partialpool import programs
from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.reading import read
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.without_rows import fit_or_draw, is_exact
from partialpool.priors.linked import LOGIT
from partialpool.programs import toolchain
from partialpool.settings import Settings


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--output", type=Path, default=Path("results"))
    chosen = options.parse_args()
    tables = []
    for name in ("batting", "tumors"):
        for population in ("beta", "logit_normal"):
            data = read(example(name)).modelled(population=population)
            table = measure(data, chosen.runs)
            table.insert(0, "population", population)
            table.insert(0, "data", name)
            print(table.to_string(), flush=True)
            tables.append(table)
    chosen.output.mkdir(parents=True, exist_ok=True)
    pd.concat(tables).to_csv(chosen.output / "benchmark_counts.csv", index=False)


def measure(data: GroupedData, runs: int) -> pd.DataFrame:
    """Medians over alternating runs, after a first one of each that is not counted."""
    ready = {"partialpool, marginal": ours(data)}
    forms = ("centered",) if data.family.model["population"] == "beta" else ("centered", "other")
    for form in forms:
        title = {"centered": "centered", "other": "non-centered"}[form]
        model = peer_model(data, centered=form == "centered")
        ready[f"nutpie, {title}"] = with_nutpie(model)
        ready[f"PyMC, {title}"] = with_pymc(model)
    rows = []
    for run in range(runs + 1):
        for title, sampler in ready.items():
            start, used = time.perf_counter(), processor_seconds()
            draws = sampler(run)
            seconds, used = time.perf_counter() - start, processor_seconds() - used
            if run:
                rows.append((title, seconds, used, *least_ess(draws)))
    columns = ["sampler", "seconds", "processor", "ess_bulk", "ess_tail"]
    table = pd.DataFrame(rows, columns=columns)
    least = table[["ess_bulk", "ess_tail"]].min(axis=1)
    table["ess_per_second"] = least / table["seconds"]
    table["ess_per_processor_second"] = least / table["processor"]
    found = table.groupby("sampler", sort=False).median().reset_index()
    return found.round({"seconds": 2, "processor": 2, **dict.fromkeys(columns[3:], 0)})


def least_ess(draws: Draws) -> tuple[float, float]:
    """Smallest bulk and tail effective sample size of mu, tau and theta."""
    series = [draws["mu"], draws["tau"], *np.moveaxis(draws["theta"], -1, 0)]
    bulk = min(float(array_stats.ess(x, method="bulk")) for x in series)
    tail = min(float(array_stats.ess(x, method="tail", prob=(0.05, 0.95))) for x in series)
    return bulk, tail


def ours(data: GroupedData) -> Sampler:
    """Fit the shipped marginal program as commands do: of normal logits, without Stan."""
    program = programs.load("hierarchical_marginal", family=data.family.name)
    cmdstan = toolchain.find_cmdstan()
    if not is_exact(program, data):
        toolchain.compile_programs([program.path], cmdstan=cmdstan)

    def sample(seed: int) -> Draws:
        settings = Settings(chains=CHAINS, warmup=WARMUP, draws=DRAWS, seed=seed + 1)
        [fit] = fit_or_draw(
            [program], data, priors=priors_for(data), settings=settings, cmdstan=cmdstan
        )
        return {
            name: fit.posterior[name].transpose("chain", "draw", ...).to_numpy()
            for name in ("mu", "tau", "theta")
        }

    return sample


def peer_model(data: GroupedData, *, centered: bool):
    """Write the same model in PyMC."""
    import pymc as pm

    prior, counts = priors_for(data).values, data.stats.columns
    y, n, J = counts["successes"], counts["trials"], data.stats.J
    with pm.Model() as model:
        if data.family.model["population"] == "beta":
            mu = pm.Beta("mu", prior["mu_alpha"], prior["mu_beta"])
            assert prior["size_shift"] == 0  # a Pareto distribution then, if there is a least size
            if prior["size_lower"] > 0:
                size = pm.Pareto("size", prior["size_power"] - 1, prior["size_lower"])
            else:
                size = pm.HalfFlat("size")
                pm.Potential("prior_of_size", -prior["size_power"] * pm.math.log(size))
            theta = pm.Beta("theta", mu * size, (1 - mu) * size, shape=J)
            pm.Binomial("y", n, theta, observed=y)
            return model
        location = pm.Normal("location", prior["location_mean"], prior["location_sd"])
        scale = pm.HalfNormal("scale", prior["scale_sd"])
        if centered:
            alpha = pm.Normal("alpha", location, scale, shape=J)
        else:
            alpha = location + scale * pm.Normal("eta", 0, 1, shape=J)
        pm.Deterministic("theta", pm.math.invlogit(alpha))
        pm.Binomial("y", n, logit_p=alpha, observed=y)
    return model


def derived(posterior: Mapping[str, np.ndarray]) -> Draws:
    """Mean and sd of the population from what the peers sample."""
    theta = np.asarray(posterior["theta"])
    if "size" in posterior:
        mu, size = (np.asarray(posterior[name]) for name in ("mu", "size"))
        return {"mu": mu, "tau": np.sqrt(mu * (1 - mu) / (1 + size)), "theta": theta}
    location, scale = (np.asarray(posterior[name]) for name in ("location", "scale"))
    mu, tau, _ = LOGIT.moments(location, scale)
    return {"mu": mu, "tau": tau, "theta": theta}


def quietly(function: Callable[[], Draws]) -> Draws:
    """Run without the peers' warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


def with_nutpie(model) -> Sampler:
    """Sample with nutpie, compiled by numba here."""
    import nutpie

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(model)
    numbers = {"draws": DRAWS, "tune": WARMUP, "chains": CHAINS, "cores": CORES}

    def sample(seed: int) -> Draws:
        return quietly(
            lambda: derived(
                nutpie.sample(compiled, seed=seed, progress_bar=False, **numbers)["posterior"]
            )
        )

    return sample


def with_pymc(model) -> Sampler:
    """Sample with PyMC's own NUTS, chains one after another."""
    import pymc as pm

    logging.getLogger("pymc").setLevel(logging.ERROR)
    numbers = {"draws": DRAWS, "tune": WARMUP, "chains": CHAINS, "cores": 1}
    silent = {"progressbar": False, "compute_convergence_checks": False}

    def sample(seed: int) -> Draws:
        with model:
            return quietly(
                lambda: derived(pm.sample(random_seed=seed, **numbers, **silent)["posterior"])
            )

    return sample


if __name__ == "__main__":
    main()
