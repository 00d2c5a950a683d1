"""How much the prior of tau matters: the posterior under other priors, from the draws at hand.

Draws under one prior, weighted by the ratio of another prior's density to its own, are draws under
the other; Pareto smoothing steadies the largest weights, and the shape k of their tail says whether
they can be relied on (Vehtari, Simpson, Gelman, Yao and Gabry 2024, *Journal of Machine Learning
Research* 25(72), 1-58).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.priors import InverseGammaVariance
from partialpool.priors.choices import Choice
from partialpool.priors.hyperparameters import Priors
from partialpool.tables import variables
from partialpool.tables.exactness import is_shipped
from partialpool.tables.importance import draws_of, k_threshold, relative_ess
from partialpool.types import FloatArray

_ALIKE = 0.5
"""Effective share of the draws above which weights differ too little for their tail to matter."""

_SAME = 1e-9

_COLUMNS = (
    "model",
    "choice",
    "tau_prior",
    "tau_median",
    "tau_q2.5",
    "tau_q97.5",
    "lambda_median",
    "largest_movement",
    "moved",
    "k",
    "reliable",
)


def prior_choices(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Posterior of tau, and how far the groups move, under other priors of tau.

    The other priors are the family's named ones on the scale of the data, with the priors of mu and
    of the sd within groups left as they are.

    Returns
    -------
    DataFrame
        One row a prior, that of the fit first, for the first fit of a shipped program of partial
        pooling: `model`, `choice` (name), `tau_prior` (as a statement), `tau_median`, `tau_q2.5`,
        `tau_q97.5` (in the unit of the data), `lambda_median` (posterior mean of the pooling factor
        of the group in the middle), `largest_movement` (of a group's posterior mean, in its
        posterior sds under the fit's own prior, with its sign), `moved` (that group), `k` (Pareto
        shape of the weights; NaN for the fit's own prior), `reliable` (whether it is below
        `k_threshold`, or the weights leave more than half of the draws). Empty where there is no
        such fit.
    """
    for fit in fits:
        if fit.pooling == "partial" and is_shipped(fit):
            rows = _rows(fit, data)
            return pd.DataFrame(rows, columns=list(_COLUMNS))
    return pd.DataFrame(columns=list(_COLUMNS))


def others(base: Choice, named: Sequence[Choice]) -> list[Choice]:
    """Choices that differ from the base in the prior of the spread alone, on the data's scale."""
    return [
        choice
        for choice in named
        if {name for name, prior in choice.priors.items() if prior != base.priors[name]}
        == {base.spread}
        and not isinstance(choice.priors[base.spread], InverseGammaVariance)
    ]


def _rows(fit: Fit, data: GroupedData) -> list[dict[str, object]]:
    family, stats = data.family, data.stats
    settings = Priors(fit.record.priors)
    base = family.base_choice(settings)
    tau, theta = variables.tau(fit, data), variables.theta(fit, data)
    error_sd = variables.error_sd(fit, data)
    varied = tau if base.spread == "tau" else variables.scalar(fit, data, base.spread)
    if tau is None or theta is None or error_sd is None or varied is None:
        return []
    scale = varied.reshape(-1)
    middle = np.array([int(np.argsort(stats.weight)[stats.J // 2])])
    of_middle = error_sd if len(error_sd) == 1 else error_sd[middle]
    local = variables.local_tau(fit, data)
    tau_of_middle = tau if local is None or local.ndim == 2 else local[middle]
    factor = family.pooling_factor(stats.take(middle), tau_of_middle, of_middle).reshape(-1)
    flat, groups = tau.reshape(-1), theta.reshape(stats.J, -1)
    center, spread = groups.mean(axis=1), groups.std(axis=1)
    own = base.priors[base.spread].log_density(scale)
    r_eff, limit = relative_ess(fit), k_threshold(draws_of(fit))
    rows = []
    for choice in (base, *others(base, family.default_choices(stats, settings))):
        weights, k, alike = np.full(flat.size, 1 / flat.size), np.nan, True
        if choice is not base:
            log_ratio = choice.priors[base.spread].log_density(scale) - own
            weights, k = _weights(log_ratio, r_eff)
            alike = _share(log_ratio) > _ALIKE
        moved = (groups @ weights - center) / spread
        at = int(np.argmax(np.abs(moved)))
        low, middle_tau, high = _quantiles(flat, weights, (0.025, 0.5, 0.975))
        rows.append(
            {
                "model": fit.name,
                "choice": choice.name,
                "tau_prior": choice.priors[base.spread].describe(base.spread),
                "tau_median": middle_tau,
                "tau_q2.5": low,
                "tau_q97.5": high,
                "lambda_median": float(factor @ weights),
                "largest_movement": float(moved[at]) if choice is not base else 0.0,
                "moved": data.labels[at] if choice is not base else "",
                "k": k,
                "reliable": alike or bool(k <= limit),
            }
        )
    return rows


def _weights(log_ratio: FloatArray, r_eff: float) -> tuple[FloatArray, float]:
    """Smoothed weights, which sum to 1, and the Pareto shape of their tail."""
    if np.ptp(log_ratio) < _SAME:  # the other prior differs where there are no draws
        return np.full(log_ratio.size, 1 / log_ratio.size), math.nan
    with np.errstate(all="ignore"):
        log_weights, k = array_stats.psislw(-log_ratio, r_eff=r_eff)
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum(), float(k)


def _share(log_ratio: FloatArray) -> float:
    """Effective share of the draws that these weights leave (Kish)."""
    weights = np.exp(log_ratio - log_ratio.max())
    return float(weights.sum() ** 2 / (weights**2).sum() / weights.size)


def _quantiles(x: FloatArray, weights: FloatArray, probs: Sequence[float]) -> list[float]:
    """Quantiles of weighted draws, by interpolation of their distribution function."""
    order = np.argsort(x)
    share = np.cumsum(weights[order]) - 0.5 * weights[order]
    return [float(value) for value in np.interp(probs, share, x[order])]
