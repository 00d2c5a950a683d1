"""Covariates of groups: coefficients, what they explain, and estimates adjusted for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families.protocols import LeavingOut, Weighing
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, POPULATION
from partialpool.fitting.summarize import means, quantiles, summarize
from partialpool.priors.hyperparameters import Priors
from partialpool.tables import variables
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.types import FloatArray

INTERCEPT = "intercept"
"""The coefficient that is the line's value where all covariates are 0."""

_SHOWN = ("mean", "sd", "q2.5", "median", "q97.5")
_WITH_ERRORS = tuple(part for name in _SHOWN for part in (name, f"mcse_{name}"))
_STEPS = 60


def coefficients(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Summarize the coefficients of the regression line.

    Returns
    -------
    DataFrame
        One row a model with a line and coefficient; u is the unit of the data.

        - `model`; `coefficient`: "intercept" (the line where all covariates are 0) or the name of a
          covariate;
        - `mean`, `sd`, `q2.5`, `median`, `q97.5` (u, of a covariate u over its unit), each followed
          by its Monte Carlo standard error `mcse_mean` and so on;
        - `p_positive`: posterior probability that it is above 0, and `mcse_p_positive`.
    """
    columns = ("model", "coefficient", *_WITH_ERRORS, "p_positive", "mcse_p_positive")
    covariates, frames = data.stats.covariates, []
    for fit in fits:
        beta, mu = variables.coefficients(fit, data), variables.scalar(fit, data, "mu")
        if covariates is None or beta is None or mu is None:
            continue
        intercept = mu - np.tensordot(covariates.middle, beta, axes=1)
        draws = np.concatenate([intercept[None], beta])
        share, error = means((draws > 0).astype(float))
        about = {"model": fit.name, "coefficient": [INTERCEPT, *covariates.names]}
        odds = {"p_positive": share, "mcse_p_positive": error}
        frames.append(pd.DataFrame({**about, **summarize(draws), **odds})[list(columns)])
    return variables.stacked(frames, columns)


def explained(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Say how much of how the groups differ the covariates explain.

    Returns
    -------
    DataFrame
        One row a model of partial pooling; u is the unit of the data.

        - `model`;
        - `tau_median`, `tau_q2.5`, `tau_q97.5` (u): sd about the line;
        - `tau_without_median`, `tau_without_q2.5`, `tau_without_q97.5` (u): sd between groups in
          the model without covariates, under the same priors, by quadrature; NaN where not known;
        - `explained`: 1 - (tau_median / tau_without_median)^2, negative where the covariates
          explain nothing;
        - `r2`: 1 - E[Var_j(theta_j - line_j)] / E[Var_j(theta_j)], the share of the variance of the
          groups at hand that the line explains (Gelman and Pardoe 2006, *Technometrics* 48,
          241-251);
        - `elpd`, `elpd_without`: how well each group is predicted from the others, with covariates
          and without: expected log predictive density, exact; NaN where not known;
        - `log_marginal`, `log_marginal_without`: log of how probable all data are under the priors,
          with covariates and without; their difference is the log of the Bayes factor, which the
          prior of the slopes decides on, too. NaN where not known.
    """
    ends = ("median", "q2.5", "q97.5")
    names = [f"tau_{end}" for end in ends] + [f"tau_without_{end}" for end in ends]
    columns = ("model", *names, "explained", "r2", "elpd", "elpd_without")
    columns = (*columns, "log_marginal", "log_marginal_without")
    rows = []
    for fit in fits:
        theta, center = variables.by_group(fit, data, "theta"), variables.center(fit, data)
        tau = variables.tau(fit, data)
        kept = fit.pooling == "partial" and fit.keeps(POPULATION)
        if data.stats.covariates is None or not kept or tau is None or center is None:
            continue
        own = quantiles(tau[None], ends)
        row: dict[str, object] = {"model": fit.name}
        row |= {f"tau_{end}": float(own[end][0]) for end in ends}
        plain = data.family.unexplained(data.stats, Priors(fit.record.priors))
        row |= {f"tau_without_{end}": math.nan for end in ends} | {"explained": math.nan}
        if plain is not None:
            found = plain.summary(groups=())
            known = found[found["parameter"] == "tau"].iloc[0]
            row |= {f"tau_without_{end}": float(known[end]) for end in ends}
            row["explained"] = 1 - (float(own["median"][0]) / float(known["median"])) ** 2
        row["r2"] = math.nan
        if theta is not None and len(theta) > 1:
            left = (theta - center).var(axis=0, ddof=1).mean()
            row["r2"] = float(1 - left / theta.var(axis=0, ddof=1).mean())
        exactly = exact_posterior(fit, data) if is_shipped(fit) else None
        for name, each in (("elpd", exactly), ("elpd_without", plain)):
            row[name] = math.nan
            if isinstance(each, LeavingOut):
                row[name] = float(each.leave_one_out().sum())
        for name, each in (("log_marginal", exactly), ("log_marginal_without", plain)):
            row[name] = each.log_marginal_likelihood if isinstance(each, Weighing) else math.nan
        rows.append(row)
    return pd.DataFrame(rows, columns=list(columns))


def adjusted(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Estimate what each group's parameter would be at the means of the covariates.

    Returns
    -------
    DataFrame
        One row a model of partial pooling and group, in the unit of the data: `model`, `group`, and
        `mean`, `sd`, `q2.5`, `median`, `q97.5` of theta_j - (x_j - xbar)' beta with their Monte
        Carlo errors.
    """
    columns = ("model", "group", *_WITH_ERRORS)
    covariates, frames = data.stats.covariates, []
    for fit in fits:
        theta, beta = variables.by_group(fit, data, "theta"), variables.coefficients(fit, data)
        if covariates is None or theta is None or beta is None or fit.pooling != "partial":
            continue
        if not fit.keeps(CENTER):
            continue
        draws = theta - np.tensordot(covariates.centered, beta, axes=1)
        about = {"model": fit.name, "group": list(data.labels)}
        frames.append(pd.DataFrame({**about, **summarize(draws)})[list(columns)])
    return variables.stacked(frames, columns)


def along_the_line(fit: Fit, data: GroupedData) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Groups and the regression line, for a figure.

    Returns
    -------
    points, line, title
        Points: `group`, `x`, `raw`, `estimate`, `q2.5`, `q97.5` of theta, one row a group; line:
        `x`, `mean`, `q2.5`, `q97.5`, in the unit of the data; what x is. Of one covariate, x is its
        value; of several, the posterior mean of the line at each group, on which the line is the
        diagonal.
    """
    theta, center = variables.theta(fit, data), variables.center(fit, data)
    covariates, beta = data.stats.covariates, variables.coefficients(fit, data)
    mu = variables.scalar(fit, data, "mu")
    if theta is None or center is None or covariates is None or beta is None or mu is None:
        raise ValueError(f"{fit.name} has no regression line")
    ends = quantiles(theta, ("q2.5", "q97.5"))
    points = pd.DataFrame(
        {"group": list(data.labels), "raw": data.stats.raw, "estimate": means(theta)[0], **ends}
    )
    at_groups = means(center)[0]
    if covariates.K > 1:
        order = np.argsort(at_groups, kind="stable")
        x, of_line = at_groups, _summary(center[order])
        return points.assign(x=x), of_line.assign(x=at_groups[order]), "Regression line"
    own = covariates.values[:, 0]
    grid = np.unique(own) if covariates.levels else np.linspace(own.min(), own.max(), _STEPS)
    draws = mu + (grid - covariates.middle[0])[:, None, None] * beta[0]
    return points.assign(x=own), _summary(draws).assign(x=grid), covariates.names[0]


def _summary(draws: FloatArray) -> pd.DataFrame:
    ends = quantiles(draws, ("q2.5", "q97.5"))
    return pd.DataFrame({"mean": means(draws)[0], **ends})
