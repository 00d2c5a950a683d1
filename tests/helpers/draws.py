"""Fits made of given numbers, for tables whose answers follow by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import special

from partialpool.data import GroupedData
from partialpool.families.moments import GroupStats, group_stats
from partialpool.fitting import Fit, FitRecord

NO_POOLING_PRIORS = {
    "theta_location": 20.0,
    "theta_scale": 10.0,
    "sigma2_shape": 2.0,
    "sigma2_scale": 15.0,
}


def fit_of(
    data: GroupedData,
    pooling: str,
    posterior: Mapping[str, ArrayLike],
    *,
    name: str = "program",
    priors: Mapping[str, float] | None = None,
    log_likelihood: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
) -> Fit:
    """Wrap draws of shape (chain, draw) or (chain, draw, J) as a fit.

    A last dimension of another length gives a variable that belongs to no group.
    """
    labels = list(labels or data.labels)
    variables = {}
    for key, values in posterior.items():
        array = np.asarray(values)
        dims = ["chain", "draw"]
        if array.ndim == 3:
            dims.append("group" if array.shape[2] == len(labels) else f"{key}_index")
        variables[key] = (dims, array)
    tree = {"posterior": xr.Dataset(variables, coords={"group": labels})}
    if log_likelihood is not None:
        dims = ["chain", "draw", "observation"]
        tree["log_likelihood"] = xr.Dataset({"y": (dims, np.asarray(log_likelihood))})
    priors = dict(priors or {})
    about = {
        "program": name,
        "title": name,
        "pooling": pooling,
        "priors": priors,
        "inputs": list(priors),
    }
    return Fit(xr.DataTree.from_dict(tree), FitRecord(**about))


def declaring(fit: Fit, inputs: Sequence[str]) -> Fit:
    """Return the fit as one of a program that declares these inputs."""
    return fit.with_record(inputs=list(inputs))


def autocorrelated(
    rng: np.random.Generator, shape: tuple[int, ...], rho: float = 0.6
) -> NDArray[Any]:
    """Stationary first-order chains with sd 1, shape (chain, draw, ...)."""
    noise = rng.normal(size=shape)
    x = np.empty(shape)
    x[:, 0] = noise[:, 0]
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return x


def without_group(stats: GroupStats, j: int) -> GroupStats:
    """Sufficient statistics of the other groups."""
    keep = np.arange(stats.J) != j
    labels = tuple(label for i, label in enumerate(stats.labels) if i != j)
    return GroupStats(labels, stats.n[keep], stats.mean[keep], stats.ss[keep])


def without_observation(data: GroupedData, i: int) -> GroupStats:
    """Sufficient statistics of the other observations."""
    keep = np.arange(data.stats.N) != i
    return group_stats(data.y[keep], data.group[keep], data.labels)


def log_evidence(stats: GroupStats, *, location: float, scale: float) -> float:
    """Log p(y) of partial pooling but for a constant: normal(location, scale) on mu, flat sds.

    mu is integrated out by algebra, tau and sigma over a fixed grid of their logs.
    """
    log_tau = np.linspace(-7, 6, 400)[:, None, None]
    log_sigma = np.log(stats.within_sd) + np.linspace(-0.7, 0.7, 200)[None, :, None]
    tau2, sigma2 = np.exp(2 * log_tau), np.exp(2 * log_sigma)
    v = tau2 + sigma2 / stats.n
    precision = (1 / v).sum(-1) + scale**-2
    center = ((stats.mean - location) / v).sum(-1) / precision
    residual = ((stats.mean - location) ** 2 / v).sum(-1) - center**2 * precision
    log_density = (
        -0.5 * (np.log(v).sum(-1) + residual + np.log(precision) + 2 * np.log(scale))
        - (stats.N - stats.J) * log_sigma[..., 0]
        - 0.5 * stats.ss.sum() / sigma2[..., 0]
        - 0.5 * (np.log(stats.n).sum() + stats.N * np.log(2 * np.pi))
        + log_tau[..., 0]
        + log_sigma[..., 0]
    )
    step = (log_tau[1, 0, 0] - log_tau[0, 0, 0]) * (log_sigma[0, 1, 0] - log_sigma[0, 0, 0])
    return float(special.logsumexp(log_density) + np.log(step))
