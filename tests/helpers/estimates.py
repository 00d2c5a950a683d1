"""Fits of estimates with known standard errors, made of exact draws, without Stan.

tau is drawn from its marginal posterior on a fine grid, then mu given tau, then each theta given
both, with the formulas of Gelman et al., *Bayesian Data Analysis* (3rd ed., 2013), section 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from partialpool.data import GroupedData
from partialpool.data.grouped import from_estimates
from partialpool.fitting import Fit, FitRecord
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.tree import dataset
from partialpool.priors import HalfT
from partialpool.programs import find_program
from partialpool.settings import Settings

CHAINS = 4
FAMILY = "known_errors"
NAMES = ("complete_pooling", "no_pooling", "hierarchical_centered")

TRIALS = (
    *((4, 123), (11, 139)), *((6, 306), (29, 303)), *((3, 231), (11, 220)),
    *((62, 13598), (248, 12867)), *((33, 5069), (47, 5808)), *((180, 1541), (372, 1451)),
    *((8, 2545), (10, 629)), *((505, 88391), (499, 88391)), *((29, 7499), (45, 7277)),
    *((17, 1716), (65, 1665)), *((186, 50634), (141, 27338)), *((5, 2498), (3, 2341)),
    *((27, 16913), (29, 17854)),
)  # fmt: skip
"""Tuberculosis among the vaccinated and the others in 13 trials of BCG (Colditz et al. 1994,
*Journal of the American Medical Association* 271, 698-702): cases and persons, in pairs."""


def vaccine(**about: Any) -> GroupedData:
    """Log risk ratios of the BCG trials, with their standard errors."""
    cases, persons = np.array(TRIALS, dtype=float).reshape(13, 2, 2).transpose(2, 0, 1)
    risk = cases / persons
    about = {"group_label": "Trial", "value_label": "Log risk ratio", "exp": True, **about}
    return from_estimates(
        [str(k) for k in range(1, 14)],
        np.log(risk[:, 0] / risk[:, 1]),
        np.sqrt((1 / cases - 1 / persons).sum(axis=1)),
        name="vaccine",
        **about,
    )


def coaching(**about: Any) -> GroupedData:
    """Effects of coaching in eight schools (Rubin 1981)."""
    about = {"group_label": "School", "value_label": "Effect", "unit": "points", **about}
    return from_estimates(
        list("ABCDEFGH"),
        [28, 8, -3, 7, -1, 1, 18, 12],
        [15, 10, 16, 11, 9, 11, 10, 18],
        name="coaching",
        **about,
    )


def few(y: Sequence[float], se: Sequence[float], **about: Any) -> GroupedData:
    """A handful of estimates."""
    labels = [chr(ord("A") + k) for k in range(len(y))]
    return from_estimates(labels, y, se, name="few", **about)


def fits(data: GroupedData, *, draws: int = 500, seed: int = 1) -> list[Fit]:
    """Draw from the three models; partial pooling only where there are two groups at least."""
    names = NAMES if data.stats.J > 1 else NAMES[:2]
    return [make_fit(data, name, draws=draws, seed=seed) for name in names]


def make_fit(data: GroupedData, name: str, *, draws: int = 500, seed: int = 1) -> Fit:
    """Draw from a model, and wrap the draws as Stan's would be."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    priors = priors_for(data)
    flat = _SAMPLERS[name](data, dict(priors.values), rng, CHAINS * draws)
    posterior = {k: v.reshape(CHAINS, draws, *v.shape[1:]) for k, v in flat.items()}
    shape = (CHAINS, draws)
    groups: dict[str, dict[str, NDArray[Any]]] = {
        "posterior": posterior,
        "sample_stats": {
            "diverging": np.zeros(shape, dtype=bool),
            "energy": rng.normal(size=shape),
            "tree_depth": np.full(shape, 3),
        },
    }
    dims = {k: ["group"] for k, v in posterior.items() if v.ndim == 3}
    coords = {"group": list(data.labels)}
    tree = xr.DataTree.from_dict(
        {group: dataset(variables, dims, coords) for group, variables in groups.items()}
    )
    pooling = {"complete_pooling": "complete", "no_pooling": "none"}.get(name, "partial")
    settings = Settings(chains=CHAINS, draws=draws)
    about = {
        "program": name,
        "title": f"{'no' if pooling == 'none' else pooling} pooling",
        "pooling": pooling,
        "family": FAMILY,
        "program_sha256": "0" * 64,
        "source": find_program(name, family=FAMILY).read_text(encoding="utf-8"),
        "data": data.name,
        "data_sha256": data.sha256,
        "priors": dict(priors.values),
        "priors_sources": dict(priors.sources),
        "settings": {k: getattr(settings, k) for k in settings.__dataclass_fields__},
        "pointwise": False,
        "prior_only": False,
        "versions": {"CmdStan": "hand-made"},
        "cmdstan": {"version": "hand-made", "origin": "hand-made"},
        "timings": {"compile": 0.0, "sampling": 0.0, "reading": 0.0, "chains": []},
        "inputs": [
            name for name in priors.values if name.startswith("theta_") == (pooling != "partial")
        ],
        "warnings": [],
    }
    return Fit(tree, FitRecord(**about))


def _complete(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    weight = data.stats.weight
    precision = weight.sum() + p["theta_scale"] ** -2
    mean = (
        (weight * data.stats.raw).sum() + p["theta_location"] * p["theta_scale"] ** -2
    ) / precision
    return {"theta": rng.normal(mean, precision**-0.5, size)}


def _none(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    weight = data.stats.weight
    precision = weight + p["theta_scale"] ** -2
    mean = (weight * data.stats.raw + p["theta_location"] * p["theta_scale"] ** -2) / precision
    return {"theta": rng.normal(mean, precision**-0.5, (size, data.stats.J))}


def _partial(data: GroupedData, p: dict[str, float], rng: Any, size: int) -> dict[str, Any]:
    y, se = data.stats.raw, data.stats.raw_se
    scale = data.stats.total_sd
    grid = np.geomspace(1e-3 * se.min(), 100 * scale, 4000)
    w = 1 / (se**2 + grid[:, None] ** 2)
    prior = p["mu_scale"] ** -2
    precision = w.sum(axis=1) + prior
    center = ((w * y).sum(axis=1) + p["mu_location"] * prior) / precision
    apart = (w * (y - center[:, None]) ** 2).sum(axis=1) + prior * (p["mu_location"] - center) ** 2
    log_density = 0.5 * (np.log(w).sum(axis=1) - np.log(precision) - apart) + np.log(grid)
    log_density += HalfT(p["tau_df"], p["tau_scale"]).log_density(grid)
    mass = np.exp(log_density - log_density.max())
    at = rng.choice(len(grid), size=size, p=mass / mass.sum())
    tau = grid[at] * np.exp(rng.uniform(-0.5, 0.5, size) * np.log(grid[1] / grid[0]))
    mu = rng.normal(center[at], precision[at] ** -0.5)
    factor = se**2 / (se**2 + tau[:, None] ** 2)
    theta = rng.normal(y + factor * (mu[:, None] - y), tau[:, None] * np.sqrt(factor))
    theta_new = rng.normal(mu, tau)
    return {"mu": mu, "tau": tau, "theta": theta, "tau2": tau**2, "theta_new": theta_new}


_SAMPLERS = {
    "complete_pooling": _complete,
    "no_pooling": _none,
    "hierarchical_centered": _partial,
}
