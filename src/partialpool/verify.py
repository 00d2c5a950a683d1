"""Fits held against exact posteriors: how far off they are, in their own Monte Carlo errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import special

from partialpool import exact
from partialpool.choices import base_choice
from partialpool.data import GroupStats
from partialpool.errors import InputError
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.programs import Priors

Posterior: TypeAlias = (
    exact.CompletePoolingPosterior | exact.NoPoolingPosterior | exact.HierarchicalPosterior
)

VERIFIABLE = (
    "complete_pooling",
    "no_pooling",
    "hierarchical_centered",
    "hierarchical_noncentered",
    "hierarchical_marginal",
)
"""Shipped programs whose posterior is known exactly under the settings of `Priors`."""

FALSE_ALARMS = 0.001
"""Chance that a model which is right is said to differ, over all its numbers together."""

_KEYS = ["model", "parameter", "group"]


def exact_posterior(program: str, stats: GroupStats, priors: Priors) -> Posterior:
    """Exact posterior of a shipped program.

    Parameters
    ----------
    program
        One of `VERIFIABLE`.
    stats
        Sufficient statistics of the data that it was fitted to.
    priors
        Settings that it was fitted with.

    Raises
    ------
    InputError
        For another program; or a prior setting that is missing or out of range.
    """
    if program not in VERIFIABLE:
        raise InputError(
            f"The exact posterior of {program!r} is not known; it is for {', '.join(VERIFIABLE)}."
        )
    if program.startswith("hierarchical"):
        prior = base_choice(priors)
        return exact.hierarchical(stats, mu=prior.mu, tau=prior.tau, sigma=prior.sigma)
    needed = ("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale")
    missing = [name for name in needed if name not in priors.values]
    if missing:
        raise InputError(f"Prior setting {missing[0]} is missing; add --prior {missing[0]}=NUMBER.")
    location, scale, shape, rate = (priors.values[name] for name in needed)
    theta, sigma = Normal(location, scale), InverseGammaVariance(shape, rate)
    if program == "complete_pooling":
        return exact.complete_pooling(stats, theta=theta, sigma=sigma)
    return exact.no_pooling(stats, theta=theta, sigma=sigma)


def exact_summary(posteriors: Mapping[str, Posterior]) -> pd.DataFrame:
    """Stack the summaries of exact posteriors.

    Parameters
    ----------
    posteriors
        Name of the model, as in the table of estimates, to its exact posterior.

    Returns
    -------
    DataFrame
        `model`, and the columns of `HierarchicalPosterior.summary`.
    """
    done: dict[int, pd.DataFrame] = {}
    frames = []
    for model, posterior in posteriors.items():
        if id(posterior) not in done:
            done[id(posterior)] = posterior.summary()
        frames.append(done[id(posterior)].assign(model=model))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["model", *stacked.columns.drop("model")]]


def compare_with_exact(estimates: pd.DataFrame, exact_summary: pd.DataFrame) -> pd.DataFrame:
    """Express each estimate's distance from the exact value in Monte Carlo standard errors.

    Parameters
    ----------
    estimates
        Columns `model`, `parameter`, `group`, and estimates `x` with their Monte Carlo
        standard errors `mcse_x` (mean, q2.5, median, q97.5 and whichever else there are), as
        `pooling.estimates` gives them.
    exact_summary
        From `exact_summary`.

    Returns
    -------
    DataFrame
        One row a number that is both estimated and known: `model`, `parameter`, `group`,
        `statistic`, `estimate`, `exact`, `mcse` (all three in the unit of the quantity, or its
        square), `in_mcse` (|estimate - exact| / mcse; NaN where either is NaN), `in_sd` (the
        same difference in posterior sds), `quadrature_error` (of the exact value, in posterior
        sds). Means of quantities without a posterior variance are left out, as their Monte
        Carlo errors mean nothing, and so are sds that do not exist.
    """
    statistics = [
        name.removeprefix("mcse_")
        for name in estimates.columns
        if name.startswith("mcse_") and name.removeprefix("mcse_") in exact_summary.columns
    ]
    both = estimates.merge(exact_summary, on=_KEYS, suffixes=("", "_exact"), validate="one_to_one")
    frames = []
    for statistic in statistics:
        estimate, known = both[statistic], both[f"{statistic}_exact"]
        mcse, difference = both[f"mcse_{statistic}"], (estimate - known).abs()
        with np.errstate(divide="ignore", invalid="ignore"):
            frame = both[_KEYS].assign(
                statistic=statistic,
                estimate=estimate,
                exact=known,
                mcse=mcse,
                in_mcse=difference / mcse,
                in_sd=difference / both["sd_exact"],
                quadrature_error=both["error"],
            )
        exists = np.isfinite(both["sd_exact"]) if statistic in ("mean", "sd") else slice(None)
        frames.append(frame.loc[exists])
    stacked = pd.concat(frames)
    return stacked.sort_index(kind="stable").reset_index(drop=True)


def agreement(comparison: pd.DataFrame) -> pd.DataFrame:
    """Judge each model by its largest distance from the exact posterior.

    A model agrees when no number is further off than `limit`, the distance that the largest of
    as many standard normal errors exceeds with probability `FALSE_ALARMS` at most (Bonferroni).
    A distance that cannot be computed has failed.

    Parameters
    ----------
    comparison
        From `compare_with_exact`.

    Returns
    -------
    DataFrame
        One row a model: `model`, `numbers` (how many were compared), `largest` (in Monte Carlo
        standard errors; NaN where any is), `statistic`, `parameter`, `group` (where that was),
        `share_within_2` (share of the numbers within two errors), `quadrature_error` (largest,
        in posterior sds), `limit`, `agrees`.
    """
    records = []
    for model, part in comparison.groupby("model", sort=False):
        distance = part["in_mcse"].to_numpy(dtype=float)
        worst = part.iloc[int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))]
        limit = float(-special.ndtri(0.5 * FALSE_ALARMS / len(part)))
        records.append(
            {
                "model": model,
                "numbers": len(part),
                "largest": worst["in_mcse"],
                "statistic": worst["statistic"],
                "parameter": worst["parameter"],
                "group": worst["group"],
                "share_within_2": float(np.mean(distance <= 2)),
                "quadrature_error": part["quadrature_error"].max(),
                "limit": limit,
                "agrees": bool(worst["in_mcse"] <= limit),
            }
        )
    return pd.DataFrame.from_records(records)


def describe_agreement(agreement: pd.DataFrame) -> list[str]:
    """One sentence a model that says how it compares with the exact posterior."""
    return [_sentence(row) for _, row in agreement.iterrows()]


def _sentence(row: pd.Series[Any]) -> str:
    where = f"{row['statistic']} of {row['parameter']}"
    if row["group"]:
        where += f"[{row['group']}]"
    start = f"{row['model']}: {row['numbers']} numbers against the exact posterior"
    if np.isnan(row["largest"]):
        return f"{start}; the {where} cannot be compared, so the fit has failed."
    verdict = "agrees" if row["agrees"] else "DIFFERS"
    return (
        f"{start}; the largest difference is {row['largest']:.1f} Monte Carlo standard errors "
        f"({where}; up to {row['limit']:.1f} is chance): {verdict}."
    )
