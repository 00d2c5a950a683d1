"""Posterior of groups within groups from draws of (mu, omega, tau, sigma) alone, however many.

Given these, what the groups of an outer group say of it has precision W_k and mean m_k, and with
the pooling factors b_k = 1 / (1 + omega^2 W_k) and a_j = s_j^2 / (s_j^2 + tau^2)

    phi_k ~ normal(m_k + b_k (mu - m_k), omega sqrt(b_k)),
    theta_j ~ normal(y_j + a_j (E phi_k - y_j), sqrt(a_j tau^2 + a_j^2 b_k omega^2)),

so that the posterior of theta_j is a mixture of as many normals as there are draws.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy import special

from partialpool.errors import InputError
from partialpool.families.base import Statistics
from partialpool.fitting.summarize import QUANTILES
from partialpool.types import FloatArray, IntArray

FEWEST, MOST = 200, 4000
"""Draws of the population that the mixtures are made of, evenly taken from all chains: the more
groups there are, the fewer, as the population is known the better."""

_BLOCK = 2_000_000
_STEPS, _CLOSE = 30, 1e-6
_SQRT_2PI = np.sqrt(2 * np.pi)


def estimates(posterior: xr.Dataset, stats: Statistics, at: IntArray) -> pd.DataFrame:
    """Estimate groups, with columns as `group_posterior.group_estimates` and `outer_group`.

    Parameters
    ----------
    posterior
        Draws of mu, omega, tau and, where it is a parameter, sigma, dims chain and draw.
    stats
        Statistics of nested groups.
    at
        Indices of the groups that are wanted.

    Raises
    ------
    InputError
        One of these is absent, or not usable.
    """
    nesting = stats.nesting
    assert nesting is not None
    mu, omega, tau, sigma = _thinned(posterior, stats)
    origin = float(stats.raw[0])
    raw, index = stats.raw - origin, nesting.index
    S, J = len(mu), len(at)
    phi, of_phi = np.empty((S, nesting.K)), np.empty((S, nesting.K))
    for s in range(S):
        w = 1 / (tau[s] ** 2 + sigma[s] ** 2 / stats.weight)
        W = nesting.sums(w)
        m, b = nesting.sums(w * raw) / W, 1 / (1 + omega[s] ** 2 * W)
        phi[s], of_phi[s] = m + b * (mu[s] - origin - m), b * omega[s] ** 2
    found = {name: np.empty(J) for name in ("lambda_mean", "mean", "sd", *QUANTILES, *_ERRORS)}
    size = max(1, _BLOCK // S)
    for start in range(0, J, size):
        part = slice(start, min(start + size, J))
        groups = at[part]
        variance = sigma[:, None] ** 2 / stats.weight[groups]
        a = variance / (variance + tau[:, None] ** 2)
        mean = raw[groups] + a * (phi[:, index[groups]] - raw[groups])
        sd = np.sqrt(a * tau[:, None] ** 2 + a**2 * of_phi[:, index[groups]])
        for name, values in _described(mean, sd, origin).items():
            found[name][part] = values
        found["lambda_mean"][part] = a.mean(axis=0)
    return pd.DataFrame(
        {
            "group": np.array(stats.labels, dtype=object)[at],
            "outer_group": np.array(nesting.labels, dtype=object)[index[at]],
            **{name: column[at] for name, column in stats.sizes.items()},
            "raw_mean": stats.raw[at],
            **found,
        }
    )


_ERRORS = ("mcse_mean", "mcse_sd", "mcse_q2.5", "mcse_median", "mcse_q97.5")


def _thinned(posterior: xr.Dataset, stats: Statistics) -> list[FloatArray]:
    """Draws of mu, omega, tau and sigma (1 where errors are known), shape (S,) each."""
    most = max(FEWEST, min(MOST, 20_000_000 // stats.J))
    found: list[FloatArray] = []
    for name in ("mu", "omega", "tau", stats.error_sd):
        if not name:
            found.append(np.ones_like(found[0]))
            continue
        if name not in posterior or posterior[name].ndim != 2:
            raise InputError(
                "groups within groups follow from draws of mu, omega, tau and sigma, and the "
                f"program writes no single {name!r}"
            )
        draws = posterior[name].transpose("chain", "draw").to_numpy().astype(np.float64).ravel()
        kept = np.unique(np.linspace(0, draws.size - 1, min(most, draws.size)).astype(int))
        if not np.isfinite(draws[kept]).all():
            raise InputError(f"draws of {name} are not all finite")
        found.append(draws[kept])
    return found


def _described(mean: FloatArray, sd: FloatArray, origin: float) -> dict[str, FloatArray]:
    """Moments and quantiles of mixtures, each a column, and their Monte Carlo errors."""
    root = np.sqrt(len(mean))
    middle = mean.mean(axis=0)
    whole = np.sqrt((sd**2).mean(axis=0) + mean.var(axis=0))
    square = (sd**2 + (mean - middle) ** 2) / (2 * whole)
    found = {
        "mean": origin + middle,
        "sd": whole,
        "mcse_mean": mean.std(axis=0, ddof=1) / root,
        "mcse_sd": square.std(axis=0, ddof=1) / root,
    }
    for name, p in QUANTILES.items():
        x = middle + special.ndtri(p) * whole
        for _ in range(_STEPS):
            z = (x - mean) / sd
            below = special.ndtr(z)
            density = (np.exp(-0.5 * z**2) / sd).mean(axis=0) / _SQRT_2PI
            step = np.clip((below.mean(axis=0) - p) / density, -whole, whole)
            x = x - step
            if (np.abs(step) < _CLOSE * whole).all():
                break
        found[name] = origin + x
        if f"mcse_{name}" in _ERRORS:
            found[f"mcse_{name}"] = below.std(axis=0, ddof=1) / root / density
    return found
