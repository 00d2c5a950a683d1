"""What a posterior without some of its data says of them, by quadrature and not by weights.

Where weighted draws cannot leave out a row or a group, because it matters too much, the exact
posterior of the same program without it can.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.base import Statistics
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.families.protocols import (
    NormalMeans,
    Posterior,
    PredictingAlong,
    PredictingGroups,
    PredictingRows,
    Weighing,
)
from partialpool.fitting import Fit
from partialpool.priors.hyperparameters import Priors
from partialpool.tables.exactness import is_shipped
from partialpool.types import FloatArray, IntArray

MOST = 50
"""Most rows, and most groups, that are left out exactly for one model; each takes 20 ms."""


def without_rows(fit: Fit, data: GroupedData, rows: IntArray) -> FloatArray:
    """Log predictive density of single rows, each given all other data.

    Parameters
    ----------
    fit
        A fit of any program.
    data
        Its data, with observations.
    rows
        Indices of at most `MOST` rows; what is beyond stays unknown.

    Returns
    -------
    array
        Shape of `rows`, natural log; NaN where it is not known: the program is not a shipped one,
        the family's algebra does not say, or nothing is left of the group.
    """
    found = np.full(len(rows), np.nan)
    if not is_shipped(fit):
        return found
    weights = data.stats.row_weights
    for at, row in enumerate(rows[:MOST]):
        j, value = int(data.group[row]), float(data.y[row])
        weight = 1.0 if weights is None else float(weights[row])
        rest = data.stats.without_row(j, value, weight)
        posterior = _posterior(fit, data, rest) if rest is not None else None
        if isinstance(posterior, PredictingRows):
            means = posterior.known_group(j)
            found[at] = _log_normal(value, means, weight)
    return found


def without_groups(fit: Fit, data: GroupedData, groups: IntArray) -> tuple[FloatArray, FloatArray]:
    """Log predictive density of whole groups, each given all others, and where its estimate lies.

    Parameters
    ----------
    fit, data
        As for `without_rows`; observations are not needed.
    groups
        Indices of at most `MOST` groups; what is beyond stays unknown.

    Returns
    -------
    log_density, below
        Shape of `groups`: of all data of the group together, natural log; and the probability of
        an estimate smaller than the group's own. NaN where they are not known.
    """
    density, below = np.full((2, len(groups)), np.nan)
    if not is_shipped(fit):
        return density, below
    every = np.arange(data.stats.J)
    for at, j in enumerate(groups[:MOST]):
        posterior = _posterior(fit, data, data.stats.take(np.delete(every, j)))
        covariates = data.stats.covariates
        if isinstance(posterior, PredictingAlong) and covariates is not None:
            means = posterior.group_at(covariates.design[j])
            density[at], below[at] = _new_group(data, int(j), means)
            if isinstance(data.stats, AdjustedMeans):
                # Its slopes within groups are not among the means: as all data over the others.
                whole = _posterior(fit, data, data.stats)
                assert isinstance(whole, Weighing)
                assert isinstance(posterior, Weighing)
                rest = posterior.log_marginal_likelihood
                density[at] = whole.log_marginal_likelihood - rest
        elif isinstance(posterior, PredictingGroups):
            density[at], below[at] = _new_group(data, int(j), posterior.new_group())
    return density, below


def _posterior(fit: Fit, data: GroupedData, stats: Statistics) -> Posterior | None:
    """Exact posterior of a fit's program given other data; None where there is none."""
    try:
        return data.family.exact_posterior(fit.name, stats, Priors(fit.record.priors))
    except InputError:
        return None


def _new_group(data: GroupedData, j: int, means: NormalMeans) -> tuple[float, float]:
    """Log density of a group's data, and the share of estimates below its own."""
    own = data.stats.take(np.array([j]))
    center, sd, error = (x[None] for x in (means.mean, means.sd, means.error_sd))
    log_density = data.family.log_marginal(own, center, sd, error)[0, 0]
    spread = np.hypot(means.sd, means.error_sd / np.sqrt(float(own.weight[0])))
    below = means.weights @ special.ndtr((float(own.raw[0]) - means.mean) / spread)
    return float(special.logsumexp(log_density, b=means.weights)), float(below)


def _log_normal(value: float, means: NormalMeans, weight: float) -> float:
    """Log density of one row of a weight around the mean."""
    sd = np.hypot(means.sd, means.error_sd / np.sqrt(weight))
    heights = -0.5 * ((value - means.mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return float(special.logsumexp(heights, b=means.weights))
