"""Draws without Stan: exact or Gibbs draws of the three models, wrapped as fits.

They stand for Stan's draws in tests of what is computed from draws, whatever made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from partialpool.data import GroupedData, from_values
from partialpool.fitting import Fit, FitRecord
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.tree import dataset
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import shipped_folder
from partialpool.settings import Settings

CHAINS = 4
_SIDE_BY_SIDE = 40
TITLES = {
    "complete_pooling": ("complete pooling", "complete"),
    "no_pooling": ("no pooling", "none"),
    "hierarchical_centered": ("partial pooling, centered", "partial"),
    "hierarchical_noncentered": ("partial pooling, non-centered", "partial"),
}

INPUTS = {
    "complete": ["theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"],
    "none": ["theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"],
    "partial": ["mu_location", "mu_scale", "tau_upper", "sigma_upper"],
}


def complete(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    """Gibbs draws of one mean and one variance."""
    stats = data.stats
    theta, sigma2 = _gibbs(stats.N, stats.grand_mean, stats.total_ss, p, rng, size)
    return {"theta": theta, "sigma2": sigma2, "sigma": np.sqrt(sigma2)}


def no_pooling(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    """Gibbs draws of a mean and a variance for each group."""
    stats = data.stats
    theta, sigma2 = _gibbs(stats.n, stats.mean, stats.ss, p, rng, size)
    return {"theta": theta, "sigma2": sigma2, "sigma": np.sqrt(sigma2)}


def _gibbs(n: Any, mean: Any, ss: Any, p: dict[str, float], rng: Any, size: int) -> Any:
    """Draws of theta and sigma2 from many chains that run side by side."""
    steps = -(-size // _SIDE_BY_SIDE)
    sigma2 = np.maximum(ss / n, 1e-3) * np.ones((_SIDE_BY_SIDE, *np.shape(n)))
    thetas, sigma2s = [], []
    for _ in range(steps + 20):
        precision = n / sigma2 + p["theta_scale"] ** -2
        location = (n * mean / sigma2 + p["theta_location"] * p["theta_scale"] ** -2) / precision
        theta = rng.normal(location, precision**-0.5)
        rate = p["sigma2_scale"] + 0.5 * (ss + n * (mean - theta) ** 2)
        sigma2 = rate / rng.gamma(p["sigma2_shape"] + 0.5 * n, size=rate.shape)
        thetas.append(theta)
        sigma2s.append(sigma2)
    return tuple(np.concatenate(values[20:])[:size] for values in (thetas, sigma2s))


def partial(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    """Independent draws: (tau, sigma) from a grid of their marginal, then mu, then theta."""
    stats = data.stats
    tau = np.linspace(0.002, (2 + 10 / stats.J) * np.std(stats.mean), 300)[:, None, None]
    width = 5 / np.sqrt(2 * (stats.N - stats.J))
    sigma = (stats.within_sd * np.exp(np.linspace(-width, 1.2 * width, 200)))[None, :, None]
    v = tau**2 + sigma**2 / stats.n
    precision = (1 / v).sum(-1) + p["mu_scale"] ** -2
    mu_hat = ((stats.mean / v).sum(-1) + p["mu_location"] * p["mu_scale"] ** -2) / precision
    log_density = (
        -0.5 * (np.log(v) + (stats.mean - mu_hat[..., None]) ** 2 / v).sum(-1)
        - 0.5 * np.log(precision)
        - 0.5 * ((mu_hat - p["mu_location"]) / p["mu_scale"]) ** 2
        - (stats.N - stats.J - 1) * np.log(sigma[..., 0])
        - 0.5 * stats.ss.sum() / sigma[..., 0] ** 2
    )
    weight = np.exp(log_density - log_density.max()).ravel()
    cell = rng.choice(weight.size, size=size, p=weight / weight.sum())
    i, j = np.unravel_index(cell, log_density.shape)
    step = tau[1, 0, 0] - tau[0, 0, 0]
    t = np.abs(tau[i, 0, 0] + rng.uniform(-0.5, 0.5, size) * step) + 1e-9
    s = sigma[0, j, 0]
    mu = rng.normal(mu_hat[i, j], precision[i, j] ** -0.5)
    shrunk = 1 / (stats.n / s[:, None] ** 2 + t[:, None] ** -2)
    center = shrunk * (stats.n * stats.mean / s[:, None] ** 2 + (mu / t**2)[:, None])
    theta = rng.normal(center, np.sqrt(shrunk))
    theta_new = rng.normal(mu, t)
    return {
        "mu": mu,
        "tau": t,
        "sigma": s,
        "theta": theta,
        "tau2": t**2,
        "sigma2": s**2,
        "theta_new": theta_new,
        "y_new": rng.normal(theta_new, s),
    }


SAMPLERS = {
    "complete_pooling": complete,
    "no_pooling": no_pooling,
    "hierarchical_centered": partial,
    "hierarchical_noncentered": partial,
}


def make_fit(
    data: GroupedData,
    name: str,
    *,
    draws: int = 250,
    seed: int = 1,
    pointwise: bool = False,
    priors: Priors | None = None,
) -> Fit:
    """Draw from a model and wrap the draws as Stan's would be."""
    rng = np.random.default_rng([seed, list(SAMPLERS).index(name)])
    priors = priors or priors_for(data)
    flat = SAMPLERS[name](data, dict(priors.values), rng, CHAINS * draws)
    posterior = {k: v.reshape(CHAINS, draws, *v.shape[1:]) for k, v in flat.items()}
    if name == "hierarchical_noncentered":
        posterior["eta"] = (posterior["theta"] - posterior["mu"][..., None]) / posterior["tau"][
            ..., None
        ]
    by_group = [k for k, v in posterior.items() if v.ndim == 3]
    shape = (CHAINS, draws)
    groups: dict[str, dict[str, NDArray[Any]]] = {
        "posterior": posterior,
        "sample_stats": {
            "diverging": np.zeros(shape, dtype=bool),
            "energy": rng.normal(size=shape),
            "tree_depth": np.full(shape, 3),
        },
    }
    dims = {k: ["group"] for k in by_group}
    if pointwise:
        mean = np.broadcast_to(
            posterior["theta"] if posterior["theta"].ndim == 3 else posterior["theta"][..., None],
            (*shape, data.stats.J),
        )[..., data.group]
        sd = np.broadcast_to(
            posterior["sigma"] if posterior["sigma"].ndim == 3 else posterior["sigma"][..., None],
            (*shape, data.stats.J),
        )[..., data.group]
        groups["log_likelihood"] = {
            "y": -0.5 * ((data.y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        }
        dims["y"] = ["observation"]
    coords = {"group": list(data.labels), "observation": np.arange(1, data.stats.N + 1)}
    tree = xr.DataTree.from_dict(
        {group: dataset(variables, dims, coords) for group, variables in groups.items()}
    )
    title, pooling = TITLES[name]
    settings = Settings(chains=CHAINS, draws=draws)
    about = {
        "program": name,
        "title": title,
        "pooling": pooling,
        "program_sha256": "0" * 64,
        "source": (shipped_folder() / f"{name}.stan").read_text(encoding="utf-8"),
        "data": data.name,
        "data_sha256": data.sha256,
        "priors": dict(priors.values),
        "priors_sources": dict(priors.sources),
        "settings": {k: getattr(settings, k) for k in settings.__dataclass_fields__},
        "pointwise": pointwise,
        "prior_only": False,
        "versions": {"CmdStan": "hand-made"},
        "cmdstan": {"version": "hand-made", "origin": "hand-made"},
        "timings": {"compile": 0.0, "sampling": 0.0, "reading": 0.0, "chains": []},
        "inputs": INPUTS[pooling],
        "warnings": [],
    }
    return Fit(tree, FitRecord(**about))


def diverging(fit: Fit, count: int = 9) -> Fit:
    """Return the fit as one whose first draws had diverged."""
    tree = fit.draws.copy()
    diverged = tree["sample_stats"]["diverging"].copy(deep=True)
    diverged.to_numpy().flat[:count] = True
    tree["sample_stats"]["diverging"] = diverged
    return Fit(tree, fit.record)


def simulated(sizes: Sequence[int], labels: Sequence[str], *, seed: int = 3) -> GroupedData:
    """Normal groups around normal means."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(50, 4, size=len(sizes))
    return from_values(
        [label for label, n in zip(labels, sizes, strict=True) for _ in range(n)],
        rng.normal(np.repeat(theta, sizes), 8),
        name="simulated",
        group_label="Site",
        value_label="Score",
        unit="points",
        title="Simulated scores",
    )
