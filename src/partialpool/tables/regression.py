"""Covariates of groups: coefficients, what they explain, and estimates adjusted for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.families.protocols import LeavingOut, Weighing
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, POPULATION
from partialpool.fitting.summarize import means, quantiles, summarize
from partialpool.priors.hyperparameters import Priors
from partialpool.tables import variables
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.tables.group_scores import leave_one_group_out
from partialpool.types import FloatArray

INTERCEPT = "intercept"
"""The coefficient that is the line's value where all covariates are 0."""

_SHOWN = ("mean", "sd", "q2.5", "median", "q97.5")
_WITH_ERRORS = tuple(part for name in _SHOWN for part in (name, f"mcse_{name}"))
_RATIOS = {"ratio": "median", "ratio_q2.5": "q2.5", "ratio_q97.5": "q97.5"}
_WITHIN = ("sigma_median", "sigma_without_median", "explained_within")
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

        Coefficients of probabilities and rates are those of their logits or logarithms, and have
        `ratio` (exponential of the median: what a unit of the covariate multiplies the odds or the
        rate by), `ratio_q2.5` and `ratio_q97.5`, and `mcse_ratio` and so on, too; NaN of the
        intercept.
    """
    columns = ["model", "coefficient", *_WITH_ERRORS, "p_positive", "mcse_p_positive"]
    turned = isinstance(data.family, OnALinkedLine)
    columns += [name for ratio in _RATIOS for name in (ratio, f"mcse_{ratio}")] if turned else []
    covariates, frames = data.stats.covariates, []
    for fit in fits:
        beta, middle = variables.coefficients(fit, data), variables.intercept(fit, data)
        if covariates is None or beta is None or middle is None:
            continue
        intercept = middle - np.tensordot(covariates.middle, beta, axes=1)
        draws = np.concatenate([intercept[None], beta])
        share, error = means((draws > 0).astype(float))
        about = {"model": fit.name, "coefficient": [INTERCEPT, *covariates.names]}
        odds = {"p_positive": share, "mcse_p_positive": error}
        found = pd.DataFrame({**about, **summarize(draws), **odds})
        frames.append((_with_ratios(found) if turned else found)[columns])
    return variables.stacked(frames, columns)


def _with_ratios(found: pd.DataFrame) -> pd.DataFrame:
    """Exponentials of medians and interval ends, and their errors by the delta method."""
    slope = np.where(found["coefficient"] == INTERCEPT, np.nan, 1.0)
    more = {}
    for ratio, of in _RATIOS.items():
        more[ratio] = slope * np.exp(found[of].to_numpy())
        more[f"mcse_{ratio}"] = more[ratio] * found[f"mcse_{of}"].to_numpy()
    return found.assign(**more)


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
          and without: expected log predictive density, exact, or, with covariates of counts, by
          weighted draws; NaN where not known;
        - `log_marginal`, `log_marginal_without`: log of how probable all data are under the priors,
          with covariates and without; their difference is the log of the Bayes factor, which the
          prior of the slopes decides on, too. NaN where not known.

        Of probabilities and rates, sds and `r2` are on the scale of logits or logarithms. Where
        covariates vary within groups there are `sigma_median`, `sigma_without_median` (u) and
        `explained_within`, the share of the variance within groups that they explain, too.
    """
    ends = ("median", "q2.5", "q97.5")
    names = [f"tau_{end}" for end in ends] + [f"tau_without_{end}" for end in ends]
    columns = ("model", *names, "explained", "r2", "elpd", "elpd_without")
    columns = (*columns, "log_marginal", "log_marginal_without")
    of_rows = isinstance(data.stats, AdjustedMeans)
    columns = (*columns, *_WITHIN) if of_rows else columns
    rows = []
    for fit in fits:
        kept = fit.pooling == "partial" and fit.keeps(POPULATION)
        line = variables.line(fit, data) if kept else None
        if line is None:
            continue
        theta, (center, tau) = variables.by_group(fit, data, "theta"), line
        own = quantiles(tau[None], ends)
        row: dict[str, object] = {"model": fit.name}
        row |= {f"tau_{end}": float(own[end][0]) for end in ends}
        plain = data.family.unexplained(data.stats, Priors(fit.record.priors))
        row |= {f"tau_without_{end}": math.nan for end in ends} | {"explained": math.nan}
        if plain is not None:
            found = plain.summary(groups=())
            known = found[found["parameter"] == _spread(data)].iloc[0]
            row |= {f"tau_without_{end}": float(known[end]) for end in ends}
            row["explained"] = 1 - (float(own["median"][0]) / float(known["median"])) ** 2
            within = variables.sigma(fit, data)
            if of_rows and within is not None:
                median = float(found[found["parameter"] == "sigma"].iloc[0]["median"])
                share = 1 - (float(np.median(within)) / median) ** 2
                row |= dict(zip(_WITHIN, (float(np.median(within)), median, share), strict=True))
        row["r2"] = math.nan
        if theta is not None and len(theta) > 1:
            alpha = _on_line(data, theta)
            left = (alpha - center).var(axis=0, ddof=1).mean()
            row["r2"] = float(1 - left / alpha.var(axis=0, ddof=1).mean())
        known_exactly = is_shipped(fit) and data.family.knows_exactly(fit.name)
        exactly = exact_posterior(fit, data) if known_exactly else None
        for name, each in (("elpd", exactly), ("elpd_without", plain)):
            row[name] = math.nan
            if isinstance(each, LeavingOut):
                row[name] = float(each.leave_one_out().sum())
        if exactly is None:
            scored = leave_one_group_out([fit], data).summary
            row["elpd"] = float(scored["elpd"].iloc[0]) if (scored["bad_k"] == 0).all() else np.nan
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
        Carlo errors; where the line is one of logits or logarithms, of what has that one. Where
        covariates vary within groups, the means are adjusted for these alone.
    """
    columns = ("model", "group", *_WITH_ERRORS)
    covariates, frames = data.stats.covariates, []
    for fit in fits:
        theta, beta = variables.by_group(fit, data, "theta"), variables.coefficients(fit, data)
        if covariates is None or theta is None or beta is None or fit.pooling != "partial":
            continue
        if not fit.keeps(CENTER):
            continue
        own = data.stats
        by = own.adjusted_by if isinstance(own, AdjustedMeans) else covariates.centered
        moved = _on_line(data, theta) - np.tensordot(by, beta, axes=1)
        draws = _off_line(data, moved)
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
        diagonal. Of a line of logits or logarithms it is the posterior median of the mean of the
        population at each place: where rates are skewed that has no mean.
    """
    theta, center = variables.theta(fit, data), variables.center(fit, data)
    covariates, beta = data.stats.covariates, variables.coefficients(fit, data)
    middle = variables.intercept(fit, data)
    if theta is None or center is None or covariates is None or beta is None or middle is None:
        raise ValueError(f"{fit.name} has no regression line")
    ends = quantiles(theta, ("q2.5", "q97.5"))
    points = pd.DataFrame(
        {"group": list(data.labels), "raw": data.stats.raw, "estimate": means(theta)[0], **ends}
    )
    if covariates.K > 1:
        of_line = _summary(data, center)
        at_groups = of_line["mean"].to_numpy()
        order = np.argsort(at_groups, kind="stable")
        x, of_line = at_groups, of_line.iloc[order].reset_index(drop=True)
        return points.assign(x=x), of_line.assign(x=at_groups[order]), "Regression line"
    own = covariates.values[:, 0]
    grid = np.unique(own) if covariates.levels else np.linspace(own.min(), own.max(), _STEPS)
    draws = middle + (grid - covariates.middle[0])[:, None, None] * beta[0]
    about = variables.spread(fit, data)
    if isinstance(data.family, OnALinkedLine) and about is not None:
        draws = data.family.at(draws, about).mean
    return points.assign(x=own), _summary(data, draws).assign(x=grid), covariates.names[0]


def _spread(data: GroupedData) -> str:
    """Name of the sd of the population on the scale on which it is normal."""
    return "scale" if isinstance(data.family, OnALinkedLine) else "tau"


def _on_line(data: GroupedData, theta: FloatArray) -> FloatArray:
    """Theta on the scale on which the line is straight."""
    if not isinstance(data.family, OnALinkedLine):
        return theta
    return data.family.likelihood.link.alpha(theta)


def _off_line(data: GroupedData, alpha: FloatArray) -> FloatArray:
    """What `_on_line` takes, from what it gives."""
    if not isinstance(data.family, OnALinkedLine):
        return alpha
    return data.family.likelihood.link.theta(alpha)


def _summary(data: GroupedData, draws: FloatArray) -> pd.DataFrame:
    ends = quantiles(draws, ("q2.5", "median", "q97.5"))
    median = ends.pop("median")
    turned = isinstance(data.family, OnALinkedLine)
    return pd.DataFrame({"mean": median if turned else means(draws)[0], **ends})
