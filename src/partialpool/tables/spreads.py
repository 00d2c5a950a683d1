"""Sds within groups that come from a population: how alike they are, and how far pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats as distributions

from partialpool.data import GroupedData
from partialpool.families.moments import GroupStats
from partialpool.fitting import Fit
from partialpool.fitting.summarize import summarize
from partialpool.tables import variables
from partialpool.types import FloatArray

MIDDLE = 0.95
"""Share of groups whose sds are spanned by `span`."""

_COLUMNS = ("model", "group", "n", "sample_sd", "estimate", "mcse", "q2.5", "q97.5", "pooled")


def spreads(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Set each group's sample sd beside its sd under models that pool the variances, too.

    Returns
    -------
    DataFrame
        One row a model and group, for fits that write `sigma` by group and `nu0`: `model`, `group`,
        `n`, `sample_sd` (divisor n - 1; NaN of one observation), `estimate` and `mcse` (posterior
        mean of sigma_j and its Monte Carlo error), `q2.5`, `q97.5`, all in the unit of the data;
        `pooled` (posterior mean of nu0 / (nu0 + n_j): the weight of the population in the group's
        variance, 1 is complete pooling of the variances, 0 is none).
    """
    frames = []
    for fit in fits:
        nu0, sigma = variables.scalar(fit, data, "nu0"), variables.sigma(fit, data)
        stats = data.stats
        if nu0 is None or sigma is None or len(sigma) < 2 or not isinstance(stats, GroupStats):
            continue
        found = summarize(sigma)
        pooled = np.array([float((nu0 / (nu0 + n)).mean()) for n in stats.n])
        columns = {
            "model": fit.name,
            "group": list(stats.labels),
            "n": stats.n,
            "sample_sd": stats.summary()["sd"].to_numpy(),
            "estimate": found["mean"],
            "mcse": found["mcse_mean"],
            "q2.5": found["q2.5"],
            "q97.5": found["q97.5"],
            "pooled": pooled,
        }
        frames.append(pd.DataFrame(columns))
    return variables.stacked(frames, _COLUMNS)


def span(nu0: FloatArray) -> FloatArray:
    """How many times the largest sd is the smallest, among the middle 95 % of groups.

    Of sigma_j^2 ~ scaled inverse-chi-squared(nu0, sigma0^2), whatever sigma0 is.
    """
    tails = np.asarray(
        distributions.chi2.ppf([[0.5 + MIDDLE / 2], [0.5 - MIDDLE / 2]], np.ravel(nu0))
    )
    return np.asarray(np.sqrt(tails[0] / tails[1]).reshape(np.shape(nu0)))


def span_table(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Say how far apart sds within groups lie, before and after the data.

    Returns
    -------
    DataFrame
        One row a model that pools variances: `model`, `median` (posterior median of `span`) with
        its 95 % interval `q2.5`, `q97.5`, `mcse_median`, and `prior_median`, `prior_q2.5`,
        `prior_q97.5` of the same under the prior of nu0 (NaN where that is not known). No unit.
    """
    rows = []
    for fit in fits:
        nu0 = variables.scalar(fit, data, "nu0")
        if nu0 is None:
            continue
        found = summarize(span(nu0)[None])
        row = {name: float(found[name][0]) for name in ("median", "q2.5", "q97.5", "mcse_median")}
        rows.append({"model": fit.name, **row, **_before(fit)})
    columns = ("model", "median", "q2.5", "q97.5", "mcse_median")
    return pd.DataFrame(rows, columns=[*columns, "prior_median", "prior_q2.5", "prior_q97.5"])


def _before(fit: Fit) -> dict[str, float]:
    """Quantiles of the span under the prior of nu0, where that is a gamma one."""
    known = [fit.record.priors.get(name, np.nan) for name in ("nu0_shape", "nu0_rate")]
    at = np.asarray(distributions.gamma.ppf([0.5, 0.975, 0.025], known[0], scale=1 / known[1]))
    names = ("prior_median", "prior_q2.5", "prior_q97.5")
    return dict(zip(names, span(at).tolist(), strict=True))
