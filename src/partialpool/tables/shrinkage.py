"""Fits -> tables of the pooling comparison: estimates, shrinkage and variances.

One estimate a row; `model` is the name of the program; `group` is a label, or empty where a row
belongs to no group. What a program does not write has no row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.fitting.normality import CENTER, CONDITIONAL, MEANS, OBSERVATIONS, POPULATION
from partialpool.fitting.summarize import QUANTILES, means, quantiles, summarize
from partialpool.fitting.tree import scalar_names
from partialpool.tables import variables
from partialpool.types import FloatArray

ORDER = ("none", "partial", "complete")
"""Kinds of pooling, in the order in which tables for people show them."""

_ESTIMATES = (
    "mean",
    "sd",
    "mcse_mean",
    "mcse_sd",
    *QUANTILES,
    *(f"mcse_{name}" for name in QUANTILES),
    "r_hat",
    "ess_bulk",
    "ess_tail",
)
_BRIEF = ("median", "q2.5", "q97.5")


def estimates(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Summarize everything that the programs write, parameters and generated quantities alike.

    Returns
    -------
    DataFrame
        One row a scalar quantity. `u` is the unit of the quantity: that of the data for `theta`,
        `mu`, `tau`, `sigma`, `theta_new` and `y_new`, its square for `sigma2` and `tau2`, none
        for `eta`.

        - `model`: name of the program;
        - `parameter`: name of the variable (with its index from 1, `beta[2]` or `L[2,1]`, where
          it is neither a scalar nor by group);
        - `group`: label, or empty;
        - `n`: observations behind the row: the group's, or all of them (not for estimates with
          known standard errors, of which each group has one);
        - `mean`, `sd` (u): posterior mean and standard deviation;
        - `mcse_mean`, `mcse_sd` (u): Monte Carlo standard errors of these;
        - `q2.5`, `q25`, `median`, `q75`, `q97.5` (u): posterior quantiles; the outer and the
          inner pair are the central 95 % and 50 % intervals;
        - `mcse_q2.5`, `mcse_q25`, `mcse_median`, `mcse_q75`, `mcse_q97.5` (u): Monte Carlo standard
          errors of these;
        - `r_hat`: rank-normalised split R-hat, 1 where the chains agree;
        - `ess_bulk`, `ess_tail`: effective number of draws for the middle and for the tails.

        Draws that never move have NaN errors and diagnostics, draws that are not finite NaN
        throughout.

    Notes
    -----
    R-hat, ESS and Monte Carlo errors are those of Vehtari, Gelman, Simpson, Carpenter and
    Bürkner (2021, *Bayesian Analysis* 16, 667-718), as ArviZ computes them.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.read_csv(pp.example())
    >>> table = pp.estimates(pp.fit_programs("complete_pooling", data), data)
    >>> table["parameter"].tolist()
    ['theta', 'sigma2', 'sigma']
    """
    rows = () if data.family.rows_are_groups else ("n",)
    columns = ("model", "parameter", "group", *rows, *_ESTIMATES)
    frames = []
    for fit in fits:
        names, groups, n, blocks = _flattened(fit, data)
        if blocks:
            found = summarize(np.concatenate(blocks), independent=fit.record.independent)
            about = {"model": fit.name, "parameter": names, "group": groups, "n": n}
            frames.append(pd.DataFrame({**about, **found})[list(columns)])
    return variables.stacked(frames, columns)


def shrinkage(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare each group's estimate with its raw mean, model by model.

    Returns
    -------
    DataFrame
        One row a model and group, for every program that writes `theta`; u is the unit of the
        data.

        - `group`, `n`: label and number of observations;
        - `raw_mean` (u): sample mean of the group;
        - `raw_se` (u): its standard error, the pooled within-group sd (divisor N - J) over the
          square root of n; the same sd for all groups, so that it measures how little data a
          group has (NaN where no group has two observations);
        - `model`, `pooling`: program, and complete, none or partial;
        - `estimate` (u): posterior mean of theta_j;
        - `mcse` (u): Monte Carlo standard error of `estimate`;
        - `displacement` (u): `estimate` minus `raw_mean`, positive where pooling moved it up;
        - `displacement_se`: `displacement` over `raw_se`, in standard errors;
        - `target` (u): what the model pulls the group towards, the posterior mean of mu under
          partial and of theta under complete pooling, or that of the regression line at the
          group's covariates; NaN elsewhere;
        - `lambda_mean`, `lambda_q2.5`, `lambda_q97.5`: posterior mean and 95 % interval of the
          group's pooling factor, lambda_j = (sigma^2 / n_j) / (sigma^2 / n_j + tau^2), computed
          draw by draw: 1 is complete pooling (the group's own mean has no say), 0 is none (the
          group's own mean is all). NaN unless the model pools partially.

    Notes
    -----
    `target`, lambda and `displacement` are NaN, too, of a program for which the part of the normal
    model that they follow from is not known to hold (`partialpool.fitting.normality`).

    Given the variances, theta_j has posterior mean lambda_j mu + (1 - lambda_j) ybar_j: Gelman
    et al., *Bayesian Data Analysis* (3rd ed., 2013), section 5.4; the name pooling factor is that
    of Gelman and Hill, *Data Analysis Using Regression and Multilevel/Hierarchical Models*
    (2007), section 21.6.
    """
    stats = data.stats
    columns = (
        "group",
        *stats.sizes,
        "raw_mean",
        "raw_se",
        "model",
        "pooling",
        "estimate",
        "mcse",
        "displacement",
        "displacement_se",
        "target",
        "lambda_mean",
        "lambda_q2.5",
        "lambda_q97.5",
    )
    size, raw_se = dict(stats.sizes), stats.raw_se
    frames = []
    for fit in fits:
        draws = variables.by_group(fit, data, "theta")
        if draws is None:
            continue
        estimate, mcse = (np.broadcast_to(values, stats.J) for values in means(draws))
        factor = _pooling_factors(fit, data)
        lambdas = dict.fromkeys(columns[-3:], np.full(stats.J, np.nan))
        if factor is not None:
            edges = quantiles(factor, ("q2.5", "q97.5"))
            lambdas = dict(zip(columns[-3:], (means(factor)[0], *edges.values()), strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            in_errors = (estimate - stats.raw) / raw_se
        apart = estimate - stats.raw
        if not fit.keeps(MEANS):
            apart, in_errors = np.full((2, stats.J), np.nan)
        frame = pd.DataFrame(
            {
                "group": list(stats.labels),
                **size,
                "raw_mean": stats.raw,
                "raw_se": raw_se,
                "model": fit.name,
                "pooling": fit.pooling,
                "estimate": estimate,
                "mcse": mcse,
                "displacement": apart,
                "displacement_se": in_errors,
                "target": np.broadcast_to(_target(fit, data), stats.J),
                **lambdas,
            }
        )
        frames.append(frame)
    return variables.stacked(frames, columns)


def shrinkage_table(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Set the groups' estimates under each model side by side, for people to read.

    Returns
    -------
    DataFrame
        One row a group: `group`, `n`, `sample_mean`, then for each model that writes `theta`,
        from no pooling over partial to complete pooling, `<model>` (posterior mean of theta_j)
        and `<model>_mcse` (its Monte Carlo standard error), all in the unit of the data.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.read_csv(pp.example())
    >>> table = pp.shrinkage_table(pp.fit_programs("no_pooling", data), data)
    >>> list(table)[:3]
    ['group', 'n', 'sample_mean']
    """
    stats = data.stats
    table = pd.DataFrame({"group": list(stats.labels), **stats.sizes, "sample_mean": stats.raw})
    shown = [fit for fit in fits if fit.pooling in ORDER]
    for fit in sorted(shown, key=lambda fit: ORDER.index(fit.pooling)):
        draws = variables.by_group(fit, data, "theta")
        if draws is not None:
            estimate, mcse = means(draws)
            table[fit.name] = np.broadcast_to(estimate, stats.J)
            table[f"{fit.name}_mcse"] = np.broadcast_to(mcse, stats.J)
    return table


def without_foreign_centers(table: pd.DataFrame, fits: Sequence[Fit]) -> pd.DataFrame:
    """Leave out of estimates the rows of a mu that theta is not known to be centered at."""
    foreign = [fit.name for fit in fits if not fit.keeps(CENTER)]
    return table[(table["parameter"] != "mu") | ~table["model"].isin(foreign)]


def moved(table: pd.DataFrame) -> pd.DataFrame:
    """Name the group that partial pooling moved most, and the one with the weakest data.

    The two need not be the same: a group far from the others moves far, one with few
    observations is pulled hard, and how far it moves depends on both.

    Parameters
    ----------
    table
        What `shrinkage` returned.

    Returns
    -------
    DataFrame
        Three rows for each model that pools partially: `model`, `statement` ("moved most", by
        the size of `displacement`; "moved most in standard errors", by that of
        `displacement_se`; "weakest data", by `raw_se`), and the columns `group`, `n`,
        `raw_mean`, `raw_se`, `estimate`, `mcse`, `displacement`, `displacement_se`,
        `lambda_mean` of that group (see `shrinkage`). Where several groups tie for the weakest
        data, the one that moved furthest is named. A statement that cannot be made (all values
        NaN) has no row.
    """
    sizes = list(table.columns[1 : table.columns.get_loc("raw_mean")])
    shown = ["group", *sizes, "raw_mean", "raw_se", "estimate", "mcse"]
    shown += ["displacement", "displacement_se", "lambda_mean"]
    statements = (
        ("moved most", "displacement"),
        ("moved most in standard errors", "displacement_se"),
        ("weakest data", "raw_se"),
    )
    rows = []
    for model, part in table[table["pooling"] == "partial"].groupby("model", sort=False):
        for statement, column in statements:
            by = pd.DataFrame({"size": part[column].abs(), "moved": part["displacement"].abs()})
            known = by.dropna(subset="size").sort_values(["size", "moved"], kind="stable")
            if len(known):
                row = part.loc[known.index[-1], shown].to_dict()
                rows.append({"model": model, "statement": statement, **row})
    return pd.DataFrame(rows, columns=["model", "statement", *shown])


def variance(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare the variance within groups with the variance between them.

    Returns
    -------
    DataFrame
        One row a model and quantity: `model`, `quantity`, `mean` and its Monte Carlo standard
        error `mcse`, `median`, `q2.5`, `q97.5` (the central 95 % interval). The quantities:

        - `sigma2`: variance within groups (under complete pooling: of all observations), unit of
          the data squared; only where the program has one for all groups;
        - `tau2`: variance between group means, unit squared;
        - `icc`: intraclass correlation R = tau^2 / (tau^2 + sigma^2), the share of variance that
          lies between groups, and the correlation of two observations in one group (Gelman and
          Hill 2007, chapter 12);
        - `i2`, `h2`: share of the variance of an estimate that lies between groups, and
          1 / (1 - i2), where standard errors are known (Higgins and Thompson 2002);
        - `pooling_factor`: overall pooling of the group means,
          1 - Var_j(E[eps_j]) / E[Var_j(eps_j)] with eps_j = theta_j - mu (Gelman and Pardoe
          2006, *Technometrics* 48, 241-251): 1 is complete pooling, 0 is none. It is one
          number of the whole posterior, not a quantity with a distribution: its median and
          interval are NaN. Its `mcse` is that of the mean of its linearization (delta method).

        Left out is what a program's mu, tau and sigma do not stand for, as far as is known
        (`partialpool.fitting.normality`).
    """
    columns = ("model", "quantity", "mean", "mcse", *_BRIEF)
    frames = []
    for fit in fits:
        found = variance_draws(fit, data)
        if found:
            draws = np.stack(list(found.values()))
            mean, mcse = means(draws)
            rows = {"model": fit.name, "quantity": list(found), "mean": mean, "mcse": mcse}
            frames.append(pd.DataFrame({**rows, **quantiles(draws, _BRIEF)}))
        overall = _overall_pooling(fit, data)
        if overall is not None:
            row: dict[str, str | float] = {"model": fit.name, "quantity": "pooling_factor"}
            row |= {"mean": overall[0], "mcse": overall[1]}
            frames.append(pd.DataFrame([row | dict.fromkeys(_BRIEF, np.nan)]))
    return variables.stacked(frames, columns)


def variance_draws(fit: Fit, data: GroupedData) -> dict[str, FloatArray]:
    """Draws of the variances and shares of a fit, by the names of `variance`, (chain, draw)."""
    found: dict[str, FloatArray] = {}
    sigma, tau = variables.sigma(fit, data), variables.tau(fit, data)
    if not fit.keeps(POPULATION):
        tau = None
    scale = variables.errors_degrees(fit, data) is not None  # whose square is no variance
    if sigma is not None and len(sigma) == 1 and fit.keeps(OBSERVATIONS) and not scale:
        found["sigma2"] = sigma[0] ** 2
    if tau is not None:
        found["tau2"] = tau**2
    if len(found) == 2 and data.family.has_icc:
        with np.errstate(invalid="ignore"):
            found["icc"] = found["tau2"] / (found["tau2"] + found["sigma2"])
    if "sigma" not in data.family.population:
        found.pop("sigma2", None)
    if tau is not None:
        found |= data.family.shares(data.stats, tau)
    return found


def _flattened(
    fit: Fit, data: GroupedData
) -> tuple[list[str], list[str], list[int], list[FloatArray]]:
    """Name every scalar of the posterior: parameters, groups, n, and blocks of draws."""
    stats = data.stats
    names: list[str] = []
    groups: list[str] = []
    n: list[int] = []
    blocks: list[FloatArray] = []
    for key, array in fit.posterior.data_vars.items():
        name = str(key)
        draws = variables.by_group(fit, data, name)
        if draws is not None and array.ndim > 2:
            names += [name] * stats.J
            groups += list(stats.labels)
            n += stats.counts.tolist()
        else:
            if draws is None:
                values = array.transpose(..., "chain", "draw").to_numpy().astype(np.float64)
                draws = values.reshape(-1, *values.shape[-2:])
            names += scalar_names(array)
            groups += [""] * len(draws)
            n += [stats.N] * len(draws)
        if len(draws):
            blocks.append(draws)
    return names, groups, n, blocks


def _pooling_factors(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Draws of lambda_j, shape (J, chain, draw)."""
    error_sd, tau = variables.error_sd(fit, data), variables.local_tau(fit, data)
    if fit.pooling != "partial" or error_sd is None or tau is None or not fit.keeps(CONDITIONAL):
        return None
    return data.family.pooling_factor(data.stats, tau, error_sd)


def _target(fit: Fit, data: GroupedData) -> FloatArray:
    """Posterior mean of what the model pulls the groups towards, shape (1,) or (J,)."""
    unknown = np.full(1, np.nan)
    if fit.pooling not in ("partial", "complete"):
        return unknown
    if fit.pooling == "partial" and not fit.keeps(CENTER):
        return unknown
    draws = variables.center(fit, data)
    return unknown if draws is None else means(draws)[0]


def _overall_pooling(fit: Fit, data: GroupedData) -> tuple[float, float] | None:
    """Gelman and Pardoe's pooling factor and its Monte Carlo error."""
    theta = variables.by_group(fit, data, "theta")
    if theta is None or len(theta) < 2 or fit.pooling == "complete":
        return None
    center = variables.center(fit, data)
    if center is None or not fit.keeps(POPULATION):
        return None
    with np.errstate(all="ignore"):
        eps = theta - center
        mean = eps.mean(axis=(1, 2))
        spread = eps.var(axis=0, ddof=1)
        of_means, of_draws = mean.var(ddof=1), spread.mean()
        # d Var_j(m) = 2 / (J - 1) sum_j (m_j - mean m) dm_j; the mean of dm_j over j drops out.
        tilt = 2 / (len(mean) - 1) * np.tensordot(mean - mean.mean(), eps, axes=1)
        influence = -tilt / of_draws + of_means / of_draws**2 * spread
        return float(1 - of_means / of_draws), float(means(influence[None])[1][0])
