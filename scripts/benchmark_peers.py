"""The hierarchical model in other samplers, for `scripts/benchmark.py`.

Each function returns a sampler: a function of a seed that gives draws of mu, tau, sigma and theta
as arrays of shape (chain, draw[, group]). What a peer compiles is compiled before the sampler is
returned. A peer that is not installed raises ImportError or FileNotFoundError.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from partialpool.data import GroupedData

Draws = dict[str, np.ndarray]
Sampler = Callable[[int], Draws]

CHAINS, WARMUP, DRAWS, CORES = 4, 1000, 2000, 2
QUANTITIES = ("mu", "tau", "sigma", "theta")

_JAGS_MODEL = """
model {
  for (i in 1:N) { y[i] ~ dnorm(theta[group[i]], 1 / sigma^2) }
  for (j in 1:J) { theta[j] ~ dnorm(mu, 1 / tau^2) }
  mu ~ dnorm(mu_location, 1 / mu_scale^2)
  tau ~ dunif(0, tau_upper)
  sigma ~ dunif(0, sigma_upper)
}
"""


def jags(data: GroupedData, priors: Mapping[str, float]) -> Sampler:
    """JAGS by its command line, one process a chain."""
    program = shutil.which("jags")
    if program is None:
        raise FileNotFoundError("jags")
    values: dict[str, object] = {
        "N": data.stats.N,
        "J": data.stats.J,
        "y": data.y,
        "group": data.group + 1,
        **{name: priors[name] for name in ("mu_location", "mu_scale", "tau_upper", "sigma_upper")},
    }
    text = "".join(f"{name} <- {_r(value)}\n" for name, value in values.items())

    def chain(folder: Path, seed: int, number: int) -> pd.DataFrame:
        (folder / f"init{number}.R").write_text(
            f'.RNG.name <- "base::Mersenne-Twister"\n.RNG.seed <- {100 * seed + number}\n'
        )
        monitors = "".join(f"monitor {name}\n" for name in QUANTITIES)
        (folder / f"run{number}.cmd").write_text(
            f'model in "model.bug"\ndata in "data.R"\ncompile, nchains(1)\n'
            f'parameters in "init{number}.R"\ninitialize\nupdate {WARMUP}\n{monitors}'
            f'update {DRAWS}\ncoda *, stem("out{number}")\nexit\n'
        )
        subprocess.run([program, f"run{number}.cmd"], cwd=folder, check=True, capture_output=True)
        index = pd.read_csv(
            folder / f"out{number}index.txt", sep=r"\s+", header=None, names=["name", "from", "to"]
        )
        values = pd.read_csv(folder / f"out{number}chain1.txt", sep=r"\s+", header=None)[1]
        return pd.DataFrame(
            {
                row.name_: values[row.from_ - 1 : row.to].to_numpy()
                for row in index.rename(columns={"name": "name_", "from": "from_"}).itertuples()
            }
        )

    def sample(seed: int) -> Draws:
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(CORES) as pool:
            folder = Path(name)
            (folder / "model.bug").write_text(_JAGS_MODEL)
            (folder / "data.R").write_text(text)
            chains = list(pool.map(lambda k: chain(folder, seed, k), range(1, CHAINS + 1)))
        draws = {name: np.stack([c[name] for c in chains]) for name in ("mu", "tau", "sigma")}
        theta = [f"theta[{j}]" for j in range(1, data.stats.J + 1)]
        return {**draws, "theta": np.stack([c[theta].to_numpy() for c in chains])}

    return sample


def _r(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"c({', '.join(repr(x) for x in value.tolist())})"
    return repr(value)


def _pymc_model(data: GroupedData, priors: Mapping[str, float], *, centered: bool):
    import pymc

    with pymc.Model() as model:
        mu = pymc.Normal("mu", priors["mu_location"], priors["mu_scale"])
        tau = pymc.Uniform("tau", 0, priors["tau_upper"])
        sigma = pymc.Uniform("sigma", 0, priors["sigma_upper"])
        if centered:
            theta = pymc.Normal("theta", mu, tau, shape=data.stats.J)
        else:
            eta = pymc.Normal("eta", 0, 1, shape=data.stats.J)
            theta = pymc.Deterministic("theta", mu + tau * eta)
        pymc.Normal("y", theta[data.group], sigma, observed=data.y)
    return model


def _posterior(tree) -> Draws:
    posterior = tree["posterior"]
    return {name: np.asarray(posterior[name]) for name in QUANTITIES}


def nutpie(data: GroupedData, priors: Mapping[str, float], *, centered: bool) -> Sampler:
    """Run nutpie on a PyMC model, compiled by numba."""
    import nutpie as package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = package.compile_pymc_model(_pymc_model(data, priors, centered=centered))

    def sample(seed: int) -> Draws:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = package.sample(
                compiled,
                draws=DRAWS,
                tune=WARMUP,
                chains=CHAINS,
                cores=CORES,
                seed=seed,
                progress_bar=False,
            )
        return _posterior(tree)

    return sample


def pymc(data: GroupedData, priors: Mapping[str, float], *, centered: bool, runs: int) -> Sampler:
    """PyMC's own NUTS; a step keeps what it adapted, so one is compiled for each run.

    Its chains run one after another: on two cores, processes take longer to start than they save.
    """
    import pymc as package

    logging.getLogger("pymc").setLevel(logging.ERROR)
    with _pymc_model(data, priors, centered=centered) as model:
        steps = iter([package.NUTS() for _ in range(runs)])

    def sample(seed: int) -> Draws:
        with model, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _posterior(
                package.sample(
                    draws=DRAWS,
                    tune=WARMUP,
                    chains=CHAINS,
                    cores=1,
                    step=next(steps),
                    random_seed=seed,
                    progressbar=False,
                    compute_convergence_checks=False,
                )
            )

    return sample


def numpyro(data: GroupedData, priors: Mapping[str, float], *, centered: bool) -> Sampler:
    """NumPyro's NUTS, chains in parallel on as many devices as JAX makes of the processor."""
    import jax
    import numpyro as package
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS

    package.set_host_device_count(CHAINS)
    package.enable_x64()
    group, y = jax.numpy.asarray(data.group), jax.numpy.asarray(data.y)

    def model() -> None:
        mu = package.sample("mu", dist.Normal(priors["mu_location"], priors["mu_scale"]))
        tau = package.sample("tau", dist.Uniform(0, priors["tau_upper"]))
        sigma = package.sample("sigma", dist.Uniform(0, priors["sigma_upper"]))
        with package.plate("groups", data.stats.J):
            if centered:
                theta = package.sample("theta", dist.Normal(mu, tau))
            else:
                eta = package.sample("eta", dist.Normal(0, 1))
                theta = package.deterministic("theta", mu + tau * eta)
        package.sample("y", dist.Normal(theta[group], sigma), obs=y)

    chains = MCMC(
        NUTS(model),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="parallel",
        progress_bar=False,
    )

    def sample(seed: int) -> Draws:
        chains.run(jax.random.PRNGKey(seed))
        found = chains.get_samples(group_by_chain=True)
        return {name: np.asarray(found[name]) for name in QUANTITIES}

    sample(0)
    return sample
