"""Power-scaling: whether the posterior moves when the prior, or the likelihood, weighs more.

The posterior under prior^a (or likelihood^a) follows from draws by importance weights for a close
to 1. How fast it moves with log2(a) is the sensitivity (Kallioinen, Paananen, Bürkner and Vehtari
2023, *Statistics and Computing* 34, 57, "Detecting and diagnosing prior and likelihood
sensitivity with power-scaling"); 0.05 or more counts as sensitive. They scale priors of the top
level only, which is what `lprior` holds: the distribution of theta given mu and tau stays.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.summarize import usable
from partialpool.tables import variables
from partialpool.tables.variables import named_draws
from partialpool.types import FloatArray

THRESHOLD = 0.05
"""Sensitivity from which a posterior counts as sensitive, as published."""

ALPHAS = (0.99, 1.01)
"""Powers at which the sensitivity is taken, as published."""

NAMED = ("mu", "tau", "tau2", "sigma", "sigma2", "theta")
"""Variables that answers are made of."""

CONFLICT = "prior-data conflict"
STRONG_PRIOR = "strong prior / weak likelihood"


def joint_log_likelihood(fit: Fit, data: GroupedData) -> FloatArray:
    """Log density of all data under the family's model, shape (chain, draw), up to a constant.

    Raises
    ------
    InputError
        The fit has no theta, or not the sd of the errors that the family needs.
    """
    theta, error_sd = variables.theta(fit, data), variables.error_sd(fit, data)
    if theta is not None and not data.family.gaussian:  # counts have no sd of their own
        error_sd = np.ones((1, *theta.shape[1:]))
    if theta is None or error_sd is None:
        raise InputError(f"{fit.name}: its likelihood needs draws of theta and of sigma")
    drawn = {name: variables.scalar(fit, data, name) for name in data.family.population}
    others = {name: values for name, values in drawn.items() if values is not None}
    return data.family.log_likelihood_given(data.stats, theta, error_sd, others)


def power_scaling(
    fit: Fit, data: GroupedData, *, log_likelihood: FloatArray | None = None
) -> pd.DataFrame:
    """Compute the sensitivity of each quantity to the power of the prior and of the likelihood.

    Parameters
    ----------
    fit
        A fit whose program writes `lprior`; a program that integrates over mu writes the log
        density of its prior as `lprior_mu`.
    log_likelihood
        Log density of all observations, shape (chain, draw); where None, the sum of the fit's
        pointwise `log_lik`. For the shipped programs `joint_log_likelihood` gives it.

    Returns
    -------
    DataFrame
        One row a quantity: `quantity`, `group` (see `named_draws`), `prior`, `likelihood`
        (sensitivities: cumulative Jensen-Shannon distance a doubling of the power; NaN where the
        draws do not move) and `diagnosis`: "prior-data conflict" where both reach 0.05, "strong
        prior / weak likelihood" where the prior's alone does, else empty.

    Raises
    ------
    InputError
        The fit lacks `lprior`, or there is no log density of the observations.

    Notes
    -----
    A uniform prior has no power to scale: raising it to a power leaves it as it is. How much its
    bounds matter shows only in refits under other choices.
    """
    if "log_prior" not in fit.draws.children:
        raise InputError(
            f"{fit.name}: power-scaling needs the log density of the priors as a variable "
            "'lprior'; the shipped programs show how to add it up"
        )
    if log_likelihood is None:
        if "log_likelihood" not in fit.draws.children:
            raise InputError(
                f"{fit.name}: power-scaling needs the log density of each observation: fit with "
                "pointwise=True a program that generates 'log_lik'"
            )
        pointwise = fit.draws["log_likelihood"]["y"]
        log_likelihood = pointwise.sum("observation").transpose("chain", "draw").to_numpy()
    parts = fit.draws["log_prior"].to_dataset().to_dataarray()
    log_prior = parts.sum("variable").transpose("chain", "draw").to_numpy()
    names, groups, draws = named_draws(fit, data)
    frame = pd.DataFrame(
        {
            "quantity": names,
            "group": groups,
            "prior": sensitivity(draws, log_prior),
            "likelihood": sensitivity(draws, log_likelihood),
        }
    )
    strong, informed = frame["prior"] >= THRESHOLD, frame["likelihood"] >= THRESHOLD
    frame["diagnosis"] = np.select([strong & informed, strong], [CONFLICT, STRONG_PRIOR], "")
    return frame


def sensitivity(draws: FloatArray, log_density: FloatArray) -> FloatArray:
    """Sensitivity of each quantity to the power of one component of the posterior.

    Parameters
    ----------
    draws
        Shape (quantity, chain, draw).
    log_density
        Log density of the component, shape (chain, draw).

    Returns
    -------
    array
        Shape (quantity,); 0 where the log density is a constant, NaN where the draws of the
        quantity are not finite or do not move.
    """
    found = np.full(len(draws), np.nan)
    _, moving = usable(draws)
    if not np.isfinite(log_density).all() or not moving.any():
        return found
    if np.ptp(log_density) <= 1e-12 * (1 + np.abs(log_density).max()):
        found[moving] = 0.0
        return found
    flat = log_density.ravel()
    lower, upper = (
        np.exp(array_stats.power_scale_lw(flat, alpha=alpha)).reshape(log_density.shape)
        for alpha in ALPHAS
    )
    lower, upper = lower / lower.sum(), upper / upper.sum()
    found[moving] = [
        float(
            array_stats.power_scale_sense(
                values, lower, upper, lower_alpha=ALPHAS[0], upper_alpha=ALPHAS[1]
            )
        )
        for values in draws[moving]
    ]
    return found


def distance(first: FloatArray, second: FloatArray) -> float:
    """Cumulative Jensen-Shannon distance between two samples of one quantity, from 0 to 1.

    The symmetric, normalised form that power-scaling uses (Kallioinen et al., section 2.3.1,
    after Nguyen and Vreeken 2015, "Non-parametric Jensen-Shannon divergence"), taken as the
    larger of the distances of the samples and of their mirror images.
    """
    one, two = np.sort(first.ravel()), np.sort(second.ravel())
    return max(_one_sided(one, two), _one_sided(-one[::-1], -two[::-1]))


def _one_sided(one: FloatArray, two: FloatArray) -> float:
    grid = np.sort(np.concatenate([one, two]))
    width = np.diff(grid)
    p, q = (np.searchsorted(each, grid[:-1], side="right") / len(each) for each in (one, two))
    m = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / m), 0) + np.where(q > 0, q * np.log2(q / m), 0)
    bound = float(width @ (p + q))
    return float(np.sqrt(max(0.0, float(width @ terms)) / bound)) if bound > 0 else 0.0
