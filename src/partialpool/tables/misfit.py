"""How many checks of groups would fail if the model held.

Posterior predictive p-values are not uniform where the model holds: a replicate of a group lies
around the mean that the group itself has taught the model (Gelman, 2013, *Electronic Journal of
Statistics* 7, 2595-2602). So the number of statistics that lie outside their 95 % intervals is not
compared with 5 % of them, but with what simulation gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL, OBSERVATIONS
from partialpool.tables import variables
from partialpool.types import FloatArray, IntArray

_CELLS = 4_000_000
_FEWEST, _MOST = 100, 4000
_COLUMNS = ("model", "checks", "outside", "expected", "p_value")


def check_counts(
    fits: Sequence[Fit], data: GroupedData, posterior_checks: pd.DataFrame
) -> pd.DataFrame:
    """Count the statistics by group that lie outside, and how many would if the model held.

    Parameters
    ----------
    fits, data
        Fits, and the observations they were made from.
    posterior_checks
        What `group_checks` returned for them.

    Returns
    -------
    DataFrame
        One row a model with a population, whose observations are normal: `model`; `checks`, the
        statistics by group (sd, minimum, maximum); `outside`, how many lie outside the 95 %
        interval of their replicates; `expected`, the mean of that number where the model holds;
        `p_value`, the probability of so many or more.
    """
    rows = []
    checks = posterior_checks[posterior_checks["group"] != ""]
    for fit in fits:
        of_fit = checks[checks["model"] == fit.name]
        tau, sigma = variables.tau(fit, data), variables.sigma(fit, data)
        normal = fit.keeps(CONDITIONAL) and fit.keeps(OBSERVATIONS)
        if of_fit.empty or tau is None or sigma is None or len(sigma) > 1 or not normal:
            continue
        ratios = (tau / sigma[0]).ravel()
        if not np.isfinite(ratios).all():
            continue
        chances = number_outside(data.stats.counts, ratios)
        outside = (of_fit["observed"] < of_fit["q2.5"]) | (of_fit["observed"] > of_fit["q97.5"])
        count = int(outside.sum())
        expected = float(np.arange(len(chances)) @ chances)
        p_value = min(1.0, float(chances[count:].sum()))
        rows.append((fit.name, len(of_fit), count, expected, p_value))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def number_outside(sizes: IntArray, ratios: FloatArray) -> FloatArray:
    """Probabilities of how many of the groups' statistics lie outside, where the model holds.

    Parameters
    ----------
    sizes
        Observations of each group, shape (J,).
    ratios
        Draws of tau / sigma from the posterior, shape (draw,).

    Returns
    -------
    array
        Probability of 0, 1, ... statistics outside; shape (3 J + 1,) or less.

    Notes
    -----
    In simulated groups, a group's mean is drawn from N(0, ratio^2), its observations around it
    with sd 1. What is then known of it: sigma, by the pooled sd s of all groups with its
    chi-squared distribution; its mean, from its own observations and the population; the ratio, as
    well as the draws have it. The distance of a replicated minimum from the posterior mean, in
    units of s, has a distribution that hardly depends on the observations, so its quantiles are
    those of one simulation a group size. Groups are taken as independent.
    """
    distinct, groups = np.unique(sizes, return_counts=True)
    draws = int(np.clip(_CELLS // distinct.sum(), _FEWEST, _MOST))
    rng = np.random.default_rng(1)
    spare, total = int(sizes.sum()) - len(sizes), np.ones(1)
    for n, count in zip(distinct, groups, strict=True):
        chosen = rng.choice(ratios, size=(2, draws))
        outside = _outside(int(n), chosen, spare, len(sizes), rng)
        total = np.convolve(total, _power(np.bincount(outside, minlength=4) / draws, int(count)))
    return np.asarray(np.trim_zeros(total, "b"))


def _outside(
    n: int, ratios: FloatArray, spare: int, groups: int, rng: np.random.Generator
) -> IntArray:
    """How many of sd, minimum and maximum lie outside, in simulated groups of n observations.

    `ratios` are two rows: what groups come from, and what is thought of it. `spare` is the number
    of degrees of freedom within all groups.
    """
    truth, thought = ratios[:, :, None]
    draws = truth.shape[0]
    observed = truth * rng.standard_normal((draws, 1)) + rng.standard_normal((draws, n))
    own = observed.mean(axis=1, keepdims=True)
    rest = rng.chisquare(max(spare - n + 1, 0), (draws, 1)) if spare >= n else np.zeros((draws, 1))
    scale = np.sqrt((((observed - own) ** 2).sum(axis=1, keepdims=True) + rest) / max(spare, 1))
    pull = _pull(n, thought)
    center = rng.standard_normal((draws, 1)) * np.sqrt((truth**2 + 1 / n) / groups)
    expected = center + _pull(n, np.median(thought)) * (own - center)
    sigma = np.sqrt(max(spare, 1) / rng.chisquare(max(spare, 1), (draws, 1)))
    off = (pull - _pull(n, np.median(thought))) * (own - center) / scale
    again = off + sigma * np.sqrt(pull / n) * rng.standard_normal((draws, 1))
    again += (1 - pull) * rng.standard_normal((draws, 1)) * np.sqrt((thought**2 + 1 / n) / groups)
    replicated = again + sigma * rng.standard_normal((draws, n))
    seen, drawn = _statistics((observed - expected) / scale), _statistics(replicated)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)[..., None]
    return np.asarray(((seen < low) | (seen > high)).sum(axis=0))


def _pull(n: int, ratio: FloatArray) -> FloatArray:
    """Weight of the group's own mean in its posterior mean."""
    return np.asarray(ratio**2 / (ratio**2 + 1 / n))


def _statistics(y: FloatArray) -> FloatArray:
    """Minimum and maximum of each row, and its sd where there is one."""
    ends = [y.min(axis=1), y.max(axis=1)]
    return np.stack([*ends, y.std(axis=1, ddof=1)] if y.shape[1] > 1 else ends)


def _power(chances: FloatArray, times: int) -> FloatArray:
    """Distribution of a sum of so many independent numbers, by repeated squaring."""
    total, square = np.ones(1), chances
    while times:
        if times % 2:
            total = np.convolve(total, square)
        square, times = np.convolve(square, square), times // 2
    return total
