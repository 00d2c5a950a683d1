"""Regression of group means without priors: REML of the random-intercept model.

y_ij = x_j' b + a_j + e_ij with Var(a_j) = tau^2 and Var(e_ij) = sigma^2, all normal. With
rho = tau^2 / sigma^2 the sample means have variances sigma^2 (rho + 1 / n_j), so the restricted
likelihood has one dimension once b and sigma^2 are profiled out (Searle, Casella and McCulloch,
*Variance Components*, 1992, chapter 6).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import optimize
from scipy import stats as distributions

from partialpool.families.covariates import Covariates
from partialpool.families.moments import GroupStats
from partialpool.families.within import WithinSums
from partialpool.types import FloatArray

_Z = 1.959963984540054
_GRID = 200
_VARIANCES = ("tau2", "tau2_without", "explained", "sigma2", "f", "p_value")


def regression(
    stats: GroupStats, covariates: Covariates, *, within: WithinSums | None = None
) -> pd.DataFrame:
    """Regress the group means on covariates, with REML's variances.

    Where covariates vary within groups, `within` has what they say there, and it is the
    observations that are regressed.

    Returns
    -------
    DataFrame
        One row a coefficient; u is the unit of the data.

        - `coefficient`: "intercept" (where all covariates are 0), then the covariates;
        - `estimate`, `se`, `q2.5`, `q97.5` (u, of a covariate u over its unit): the coefficient,
          its standard error given the variances, and the ends of its 95 % confidence interval,
          estimate -+ 1.96 se;
        - `tau2`, `tau2_without` (u squared): variance of the group means about the line, and that
          between groups where there are no covariates;
        - `explained`: share of the latter that the covariates explain, 1 - tau2 / tau2_without, at
          least 0; NaN where there is nothing to explain;
        - `sigma2` (u squared): variance within groups;
        - `f`, `p_value`: F ratio of the mean squares of the group means about the least-squares
          line and within groups, and its upper tail with J - m and N - J degrees of freedom for m
          coefficients: the test of tau2 = 0. With r slopes within groups these are J + r - m and
          N - J - r, and the means are those of the lines with an intercept for each group.

        The last six are in the first row only. All NaN where no group has two observations.
    """
    y = stats.mean - stats.mean[0]
    x = covariates.design
    back = np.diag(np.concatenate([[1.0], 1 / covariates.spread]))
    back[0, 1:] = -covariates.middle / covariates.spread
    names = ["intercept", *covariates.names]
    found, se = np.full(len(names), np.nan), np.full(len(names), np.nan)
    first = dict.fromkeys(_VARIANCES, math.nan)
    if stats.ss.any():
        ss = float(stats.ss.sum())
        root, slopes, left = np.zeros((0, covariates.K)), np.zeros(covariates.K), ss
        if within is not None:
            root, slopes, left = within.least_squares(ss, covariates.spread)
        rows = np.pad(root, ((0, 0), (1, 0))), root @ slopes
        rho, sigma2 = _reml(stats, y, x, left, rows)
        alone, sigma2_alone = _reml(stats, y, x[:, :1], ss, (np.zeros((0, 1)), np.zeros(0)))
        tau2, plain = rho * sigma2, alone * sigma2_alone
        scaled, precision, _ = _line(stats, y, x, rho, rows)
        covariance = sigma2 * np.linalg.inv(precision)
        found = back @ scaled + np.eye(len(back))[0] * float(stats.mean[0])
        se = np.sqrt(np.diag(back @ covariance @ back.T))
        share = max(0.0, 1 - tau2 / plain) if plain > 0 else math.nan
        degrees = stats.J + len(root) - x.shape[1], stats.N - stats.J - len(root)
        f = _line(stats, y, x, 0.0, rows)[2] / degrees[0] / (left / degrees[1])
        p_value = float(distributions.f.sf(f, *degrees))
        first = dict(zip(_VARIANCES, (tau2, plain, share, sigma2, f, p_value), strict=True))
    table = pd.DataFrame(
        {
            "coefficient": names,
            "estimate": found,
            "se": se,
            "q2.5": found - _Z * se,
            "q97.5": found + _Z * se,
        }
    )
    for name, value in first.items():
        table[name] = [value, *[math.nan] * (len(names) - 1)]
    return table


def _line(
    stats: GroupStats, y: FloatArray, x: FloatArray, rho: float, rows: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, float]:
    """Coefficients, their precision in units of 1 / sigma^2, and the squares left."""
    w, (inner, outcome) = 1 / (rho + 1 / stats.n), rows
    precision = (x.T * w) @ x + inner.T @ inner
    of_both = x.T @ (w * y) + inner.T @ outcome
    found = np.asarray(np.linalg.solve(precision, of_both), dtype=np.float64)
    apart = float(((outcome - inner @ found) ** 2).sum())
    return found, precision, float((w * (y - x @ found) ** 2).sum()) + apart


def _reml(
    stats: GroupStats, y: FloatArray, x: FloatArray, ss: float, rows: tuple[FloatArray, FloatArray]
) -> tuple[float, float]:
    """Ratio of the variances and the one within groups."""
    spare = stats.N - x.shape[1]

    def deviance(rho: float) -> float:
        _, precision, left = _line(stats, y, x, rho, rows)
        log_total = float(np.log(rho + 1 / stats.n).sum()) + float(np.linalg.slogdet(precision)[1])
        return float(spare * math.log((ss + left) / spare) + log_total)

    grid = np.linspace(-25.0, 25.0, _GRID)
    at = int(np.argmin([deviance(math.exp(each)) for each in grid]))
    ends = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, _GRID - 1)])
    best = optimize.minimize_scalar(
        lambda x: deviance(math.exp(x)), bounds=ends, method="bounded", options={"xatol": 1e-10}
    )
    rho = 0.0 if deviance(0.0) <= best.fun else math.exp(float(best.x))
    return rho, (ss + _line(stats, y, x, rho, rows)[2]) / spare
