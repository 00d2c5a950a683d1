"""Replicated data sets against the observed one, by statistics that no model fits directly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.data import GroupedData
from partialpool.families.linked.line import OnALinkedLine
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL, OBSERVATIONS
from partialpool.tables import variables
from partialpool.types import FloatArray

_CELLS = 10_000_000
_MOST, _FEWEST = 1000, 20
UNEQUAL, SKEWNESS, FARTHEST = "Unequal sds", "Skewness", "Farthest observation"
"""Statistics of all observations; they have no unit."""

_QUANTILES = {"q2.5": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q97.5": 0.975}


def replicates(fit: Fit, data: GroupedData) -> Iterator[FloatArray]:
    """Yield replicated data sets, each of shape (N,), from draws spread evenly over the chains.

    The program's own `y_rep` where it was generated; else, as in the shipped programs, normal
    observations around theta with sd sigma. Nothing where a program has neither.
    """
    N = data.stats.N
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    count = int(np.clip(_CELLS // N, _FEWEST, min(_MOST, chains * draws)))
    chosen = np.linspace(0, chains * draws - 1, count).astype(int)
    if "posterior_predictive" in fit.draws.children:
        stored = fit.draws["posterior_predictive"].to_dataset()["y"]
        flat = stored.transpose("chain", "draw", "observation").to_numpy().reshape(-1, N)
        yield from flat[chosen]
        return
    theta, sigma = variables.theta(fit, data), variables.sigma(fit, data)
    if theta is None or sigma is None or not fit.keeps(OBSERVATIONS):
        return
    theta, sigma = theta.reshape(len(theta), -1), sigma.reshape(len(sigma), -1)
    rng, nu = np.random.default_rng(1), variables.errors_degrees(fit, data)
    for k in chosen:
        sd = sigma[data.group, k] if len(sigma) > 1 else sigma[0, k]
        mean = theta[data.group, k]
        yield (
            rng.normal(mean, sd)
            if nu is None
            else mean + sd * rng.standard_t(nu.ravel()[k], size=N)
        )


def group_checks(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare statistics of each group, and of all data together, with their replicates.

    Returns
    -------
    DataFrame
        One row a model, statistic and group: `model`, `statistic` ("Sample sd", "Minimum",
        "Maximum"), `group`, `n`, `observed`, `q2.5`, `q25`, `median`, `q75`, `q97.5` of the
        replicates (all in the unit of the data), `p_value` (share of replicates at least as
        large, ties half: Gelman et al., *Bayesian Data Analysis*, 3rd ed., sec. 6.3). No sd for
        groups of one observation. Rows without a group are on all data: see `_within`. Where each
        group is one estimate the statistics are of all of them: see `_whole_checks`.
    """
    if data.family.rows_are_groups:
        return _whole_checks(fits, data)
    order = np.argsort(data.group, kind="stable")
    starts = np.searchsorted(data.group[order], np.arange(data.stats.J))
    labels, n = np.array(data.labels, dtype=object), data.stats.counts
    observed, seen_within = _statistics(data.y[order], starts, n)
    frames = []
    for fit in fits:
        found = [_statistics(y[order], starts, n) for y in replicates(fit, data)]
        if not found:
            continue
        for name, seen in observed.items():
            kept = np.isfinite(seen)
            if not kept.any():
                continue
            drawn = np.stack([by_group[name][kept] for by_group, _ in found])
            frames.append(_checked(fit, name, (labels[kept], n[kept]), seen[kept], drawn))
        for name, value in seen_within.items():
            drawn = np.array([[within[name]] for _, within in found])
            whole = np.array([""], dtype=object), np.array([data.stats.N])
            frames.append(_checked(fit, name, whole, np.array([value]), drawn))
    columns = ("model", "statistic", "group", "n", "observed", *_QUANTILES, "p_value")
    return variables.stacked(frames, columns)


def _checked(
    fit: Fit,
    name: str,
    groups: tuple[NDArray[Any], NDArray[Any]],
    seen: FloatArray,
    drawn: FloatArray,
) -> pd.DataFrame:
    """Rows of a statistic: `groups` are labels and sizes, `drawn` has a row a replicate."""
    edges = np.quantile(drawn, list(_QUANTILES.values()), axis=0)
    above = (drawn > seen).mean(axis=0) + 0.5 * (drawn == seen).mean(axis=0)
    return pd.DataFrame(
        {
            "model": fit.name,
            "statistic": name,
            "group": groups[0],
            "n": groups[1],
            "observed": seen,
            **dict(zip(_QUANTILES, edges, strict=True)),
            "p_value": above,
        }
    )


def _whole_checks(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare statistics of all estimates with those of estimates of groups drawn anew.

    Under partial pooling the groups' parameters are drawn from the population in each draw, not
    those of the groups at hand (mixed replication; Gelman, Meng and Stern 1996, *Statistica Sinica*
    6, 733-807): this asks whether the population describes the groups. `group` is empty.
    """
    stats, rng = data.stats, np.random.default_rng(1)
    frames = []
    for fit in fits:
        if isinstance(data.family, OnALinkedLine):
            drawn = _about_a_line(fit, data, data.family, rng)
            if drawn is not None:
                frames += _whole(fit, data, drawn)
            continue
        center = variables.center(fit, data) if fit.pooling in ("complete", "partial") else None
        tau: FloatArray | None = np.zeros(1)
        error_sd: FloatArray | None = np.ones((1, 1))
        if fit.pooling == "partial":
            tau, error_sd = variables.tau(fit, data), variables.error_sd(fit, data)
        known = fit.keeps(CONDITIONAL if fit.pooling == "partial" else OBSERVATIONS)
        if center is None or tau is None or error_sd is None or not known:
            continue  # no pooling replicates each estimate around itself, which says nothing
        shape = center.shape[1:]
        size = shape[0] * shape[1]
        at = np.linspace(0, size - 1, min(_MOST, size)).astype(int)
        spread, error = (np.broadcast_to(part, shape).ravel()[at] for part in (tau, error_sd[0]))
        mu = center.reshape(len(center), size)[:, at].T
        mu = mu[:, 0] if len(center) == 1 else mu
        name = data.family.degrees
        nu = variables.scalar(fit, data, name) if name and fit.pooling == "partial" else None
        if nu is not None:  # each group drawn anew has its own scale
            half = 0.5 * nu.reshape(size)[at][:, None]
            spread = spread[:, None] / np.sqrt(rng.gamma(half, 1 / half, (len(at), stats.J)))
        drawn = data.family.replicated(stats, mu, spread, error, rng)
        frames += _whole(fit, data, drawn)
    columns = ("model", "statistic", "group", "n", "observed", *_QUANTILES, "p_value")
    return variables.stacked(frames, columns)


def _about_a_line(
    fit: Fit, data: GroupedData, family: OnALinkedLine, rng: np.random.Generator
) -> FloatArray | None:
    """Estimates of groups drawn anew about a line on another scale than theta's, shape (S, J)."""
    found = variables.line(fit, data)
    if found is None or not fit.keeps(CONDITIONAL if fit.pooling == "partial" else OBSERVATIONS):
        return None
    line, scale = found
    at = np.linspace(0, scale.size - 1, min(_MOST, scale.size)).astype(int)
    flat = line.reshape(len(line), -1)[:, at].T
    return family.replicated_about(data.stats, flat, scale.ravel()[at], rng)


def _whole(fit: Fit, data: GroupedData, drawn: FloatArray) -> list[pd.DataFrame]:
    """Compare statistics of all estimates with those of data sets drawn anew, shape (S, J)."""
    stats, frames = data.stats, []
    seen = data.family.whole_statistics(stats, stats.raw[None])
    replicated = data.family.whole_statistics(stats, drawn)
    for name, values in replicated.items():
        observed = float(seen[name][0])
        edges = np.quantile(values, list(_QUANTILES.values()))
        frames.append(
            pd.DataFrame(
                {
                    "model": [fit.name],
                    "statistic": name,
                    "group": "",
                    "n": stats.J,
                    "observed": observed,
                    **dict(zip(_QUANTILES, edges, strict=True)),
                    "p_value": float(
                        (values > observed).mean() + 0.5 * (values == observed).mean()
                    ),
                }
            )
        )
    return frames


def _statistics(
    y: FloatArray, starts: NDArray[np.int64], n: NDArray[np.int64]
) -> tuple[dict[str, FloatArray], dict[str, float]]:
    """Statistics by group, and of all, of observations that are sorted by group."""
    mean = np.add.reduceat(y, starts) / n
    residuals = y - np.repeat(mean, n)
    of_each = residuals * residuals
    squares = np.add.reduceat(of_each, starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    by_group = {
        "Sample sd": sd,
        "Minimum": np.minimum.reduceat(y, starts),
        "Maximum": np.maximum.reduceat(y, starts),
    }
    farthest = np.sqrt(np.maximum.reduceat(of_each, starts))
    return by_group, _within(float(of_each @ residuals), farthest, squares, n)


def _within(
    cubes: float, farthest: FloatArray, squares: FloatArray, n: NDArray[np.int64]
) -> dict[str, float]:
    """Statistics of the deviations from the groups' means; without unit, none where all are 0.

    - "Unequal sds": Bartlett's statistic without its correction, (N - J) log s^2 -
      sum (n_j - 1) log s_j^2, of the groups whose sd is known and not 0;
    - "Skewness": mean cube of the deviations over the cube of their root mean square;
    - "Farthest observation": largest deviation in pooled sds, the group's size allowed for.

    `cubes` is the sum of their cubes; `farthest` and `squares` are the largest deviation and the
    sum of squares of each group.
    """
    spare, known = n - 1, (n > 1) & (squares > 0)
    total = float(squares.sum())
    if total == 0 or spare.sum() == 0:
        return {}
    pooled = total / float(spare.sum())
    own = squares[known] / spare[known]
    common = squares[known].sum() / spare[known].sum()
    unequal = float((spare[known] * np.log(common / own)).sum())
    count = int(n.sum())
    skewness = cubes / count / (total / count) ** 1.5
    far = float((farthest / np.sqrt(np.maximum(spare, 1) / n)).max()) / math.sqrt(pooled)
    return {
        **({UNEQUAL: unequal} if known.sum() > 1 else {}),
        SKEWNESS: skewness,
        FARTHEST: far,
    }
