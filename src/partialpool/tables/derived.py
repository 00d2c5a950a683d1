"""Numbers that follow from several parameters: as draws estimate them, and as they are exactly.

These are the intraclass correlation, the pooling factors, the differences between groups with their
probabilities, the expected ranks, and the overall pooling factor. Two of them follow from the exact
posteriors of the differences:

- the rank of group j is one more than the number of groups above it, so its expectation is
  1 + sum_i P(theta_i > theta_j);
- J (J - 1) times the variance of the group means over the groups is the sum of
  (theta_i - theta_j)^2 over the pairs, so its expectation is that of their second moments. With
  the variance of the exact means it gives the overall pooling factor of Gelman and Pardoe (2006,
  *Technometrics* 48, 241-251), where all groups have one center.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families.exact import (
    LineOfMeansPosterior,
    MetaRegressionPosterior,
    NestedPosterior,
)
from partialpool.families.protocols import Contrasting, Posterior
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL
from partialpool.fitting.summarize import means, summarize
from partialpool.tables import contrasts, shrinkage, variables
from partialpool.types import FloatArray

MOST_GROUPS = 12
"""Most groups whose pairs are all compared; with more, ranks and differences are left out."""

RARE = 0.01
"""Probabilities nearer to 0 or 1 than this are left out: draws say too little of them."""

DIFFERENCE, GREATER = "theta - theta", "P(theta > theta)"


def derived_estimates(fit: Fit, data: GroupedData) -> pd.DataFrame:
    """Estimates of the derived quantities that a fit gives.

    Returns
    -------
    DataFrame
        Columns `model`, `parameter` (`icc`, `lambda`, `theta - theta`, `P(theta > theta)`,
        `expected rank`, `pooling factor`), `group` (label, or two labels with `>` between), and
        estimates with their Monte Carlo standard errors as `pooling.estimates` has them; NaN
        where a quantity has none.
    """
    names, groups, blocks = _draws(fit, data)
    frames = []
    if blocks:
        draws = np.stack(blocks)
        found = summarize(draws, independent=fit.record.independent)
        frames.append(pd.DataFrame(found).assign(parameter=names, group=groups))
        apart = np.array(names) == DIFFERENCE
        if apart.any():
            mean, error = means((draws[apart] > 0).astype(np.float64))
            odds = {"group": np.array(groups)[apart], "mean": mean, "mcse_mean": error}
            frames.append(pd.DataFrame(odds).assign(parameter=GREATER))
    if data.stats.J <= MOST_GROUPS and fit.pooling in ("none", "partial"):
        ranks = contrasts.rank_summary([fit], data)
        columns = {"expected_rank": "mean", "mcse": "mcse_mean"}
        ranks = ranks[["group", *columns]].rename(columns=columns)
        frames.append(ranks.assign(parameter="expected rank"))
        overall = shrinkage.variance([fit], data)
        overall = overall[overall["quantity"] == "pooling_factor"]
        overall = overall[["mean", "mcse"]].rename(columns={"mcse": "mcse_mean"})
        frames.append(overall.assign(parameter="pooling factor", group=""))
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).assign(model=fit.name)


def exact_derived(posterior: Posterior | Contrasting) -> pd.DataFrame:
    """Exact values of the derived quantities that `HierarchicalPosterior.summary` does not have.

    Returns
    -------
    DataFrame
        `parameter` and `group` as in `derived_estimates`; `mean`, `sd`, quantiles and `error` as
        in `HierarchicalPosterior.summary`, NaN where a quantity has none. For probabilities and
        for numbers of the whole posterior `error` is their own change by refinement.
    """
    if posterior.pooling == "complete" or not isinstance(posterior, Contrasting):
        return pd.DataFrame()
    J = len(posterior.labels)
    if not 1 < J <= MOST_GROUPS:
        return pd.DataFrame()
    pairs = posterior.contrasts()
    named = pairs["group"] + " > " + pairs["other"]
    differences = pairs.drop(columns=["other", "prob_greater", "prob_error"])
    frames = [differences.assign(parameter=DIFFERENCE, group=named)]
    p = pairs["prob_greater"]
    odds = pd.DataFrame({"group": named, "mean": p, "sd": np.sqrt(p * (1 - p))})
    odds = odds.assign(parameter=GREATER, error=pairs["prob_error"])
    frames.append(odds[(p > RARE) & (p < 1 - RARE)])
    frames.append(_expected_ranks(pairs, posterior.labels))
    differing = LineOfMeansPosterior | MetaRegressionPosterior | NestedPosterior
    about_one_mean = not isinstance(posterior, differing)
    if posterior.pooling == "partial" and about_one_mean:
        frames.append(_pooling_factor(pairs, posterior))
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _draws(fit: Fit, data: GroupedData) -> tuple[list[str], list[str], list[FloatArray]]:
    """Names, groups and draws of quantities that are functions of one draw."""
    names: list[str] = []
    groups: list[str] = []
    blocks: list[FloatArray] = []
    stats = data.stats
    sigma, tau = variables.sigma(fit, data), variables.tau(fit, data)
    follows = fit.pooling == "partial" and fit.keeps(CONDITIONAL)
    if follows and sigma is not None and tau is not None and data.family.has_icc:
        names.append("icc")
        groups.append("")
        blocks.append(tau**2 / (tau**2 + sigma[0] ** 2))
    error_sd, local = variables.error_sd(fit, data), variables.local_tau(fit, data)
    if follows and error_sd is not None and tau is not None:
        for j, label in enumerate(stats.labels):
            one = stats.take(np.array([j]))
            own_tau = tau if local is None or local.ndim == 2 else local[[j]]
            own_sd = error_sd[[j]] if len(error_sd) > 1 else error_sd
            names.append("lambda")
            groups.append(label)
            blocks.append(data.family.pooling_factor(one, own_tau, own_sd)[0])
    theta = variables.by_group(fit, data, "theta")
    if fit.pooling != "complete" and theta is not None and 1 < len(theta) <= MOST_GROUPS:
        for i, j in itertools.combinations(range(len(theta)), 2):
            names.append(DIFFERENCE)
            groups.append(f"{stats.labels[i]} > {stats.labels[j]}")
            blocks.append(theta[i] - theta[j])
    return names, groups, blocks


def _expected_ranks(pairs: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """Expected ranks of the groups that are not almost certain of theirs."""
    p, error = pairs["prob_greater"], pairs["prob_error"]
    rows = []
    for label in labels:
        first, second = pairs["group"] == label, pairs["other"] == label
        above = np.concatenate([1 - p[first], p[second]])
        variance = float((above * (1 - above)).sum())
        if variance > RARE:
            rows.append((label, 1 + above.sum(), np.sqrt(variance), error[first | second].sum()))
    frame = pd.DataFrame(rows, columns=["group", "mean", "sd", "error"])
    return frame.assign(parameter="expected rank")


def _pooling_factor(pairs: pd.DataFrame, posterior: Contrasting) -> pd.DataFrame:
    J = len(posterior.labels)
    squares = float((pairs["mean"] ** 2 + pairs["sd"] ** 2).sum()) / (J * (J - 1))
    means = float((pairs["mean"] ** 2).sum()) / (J * (J - 1))
    row = {"parameter": "pooling factor", "group": "", "mean": 1 - means / squares, "sd": 1.0}
    return pd.DataFrame([row | {"error": float(pairs["error"].max())}])
