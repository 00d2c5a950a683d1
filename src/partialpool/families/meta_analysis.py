"""Meta-analysis without priors: the classical companions of partially pooled estimates.

The common effect, the variance between effects by DerSimonian and Laird and by REML, Cochran's Q,
I^2 and H^2, and the weights that each method gives to each estimate. They take the variance between
effects as known once it is estimated, so they lack the uncertainty that a posterior carries.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import optimize, stats

from partialpool.families.covariates import Covariates
from partialpool.types import FloatArray

COMMON, DERSIMONIAN_LAIRD, REML = "common effect", "DerSimonian-Laird", "REML"
"""Names of the methods."""

_Z = float(stats.norm.ppf(0.975))
_GRID = 160


class EstimatesLike(Protocol):
    """Estimates with standard errors; `partialpool.families.known_errors.Estimates` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        ...

    @property
    def estimate(self) -> FloatArray:
        """Estimates, shape (J,)."""
        ...

    @property
    def se(self) -> FloatArray:
        """Standard errors, shape (J,)."""
        ...


def summary(data: EstimatesLike) -> pd.DataFrame:
    """Estimate the mean effect and the variance between effects.

    Returns
    -------
    DataFrame
        One row a method; u is the unit of the data.

        - `method`: "common effect" (tau2 is 0), "DerSimonian-Laird", "REML";
        - `estimate`, `se`, `q2.5`, `q97.5` (u): mean effect, its standard error and the ends of its
          95 % confidence interval, estimate -+ 1.96 se;
        - `tau2` (u squared): variance between effects;
        - `i2`: share of the variance of an estimate that lies between groups, tau2 / (tau2 + s2)
          with the typical error variance s2 = (J - 1) sum w / ((sum w)^2 - sum w^2), w = 1 / se^2;
          `h2` is 1 / (1 - i2);
        - `prediction_q2.5`, `prediction_q97.5` (u): where 95 % of new effects lie,
          estimate -+ 1.96 sqrt(tau2 + se^2);
        - `q`, `df`, `p_value`: Cochran's statistic of equal effects, its J - 1 degrees of freedom
          and its upper tail; in the first row only.

        NaN for what one group cannot tell.

    Notes
    -----
    DerSimonian and Laird (1986), *Controlled Clinical Trials* 7, 177-188; REML as in Viechtbauer
    (2005), *Journal of Educational and Behavioral Statistics* 30, 261-293; I^2 and H^2: Higgins and
    Thompson (2002), *Statistics in Medicine* 21, 1539-1558.
    """
    y, v = _centered(data)
    origin = float(data.estimate[0])
    methods = {COMMON: 0.0, DERSIMONIAN_LAIRD: _dersimonian_laird(y, v), REML: _reml(y, v)}
    rows = []
    for method, tau2 in methods.items():
        mean, se = _mean(y, v, tau2)
        reach, predicted = _Z * se, _Z * math.sqrt(tau2 + se**2) if tau2 == tau2 else math.nan
        share = tau2 / (tau2 + _typical(v)) if len(y) > 1 else math.nan
        rows.append(
            {
                "method": method,
                "estimate": origin + mean,
                "se": se,
                "q2.5": origin + mean - reach,
                "q97.5": origin + mean + reach,
                "tau2": tau2,
                "i2": share,
                "h2": 1 / (1 - share),
                "prediction_q2.5": origin + mean - predicted,
                "prediction_q97.5": origin + mean + predicted,
            }
        )
    table = pd.DataFrame(rows)
    q, df = _q(y, v), len(y) - 1
    table["q"] = [q, math.nan, math.nan]
    table["df"] = [df, math.nan, math.nan]
    table["p_value"] = [float(stats.chi2.sf(q, df)) if df else math.nan, math.nan, math.nan]
    return table


def regression(data: EstimatesLike, covariates: Covariates) -> pd.DataFrame:
    """Regress the effects on covariates, with REML's variance about the line.

    Returns
    -------
    DataFrame
        One row a coefficient; u is the unit of the data.

        - `coefficient`: "intercept" (where all covariates are 0), then the covariates;
        - `estimate`, `se`, `q2.5`, `q97.5` (u, of a covariate u over its unit): the coefficient,
          its standard error and the ends of its 95 % confidence interval, estimate -+ 1.96 se;
        - `tau2`, `tau2_without` (u squared): variance about the line, and that between effects
          where there are no covariates;
        - `explained`: share of the latter that the covariates explain, 1 - tau2 / tau2_without, at
          least 0; NaN where there is nothing to explain;
        - `q`, `df`, `p_value`: Cochran's statistic of effects that all lie on the line, its degrees
          of freedom and its upper tail.

        All but the first five are in the first row only.

    Notes
    -----
    Berkey, Hoaglin, Mosteller and Colditz (1995), *Statistics in Medicine* 14, 395-411; Raudenbush
    (2009) in *The Handbook of Research Synthesis and Meta-Analysis*, chapter 16, for the share.
    """
    y, v = _centered(data)
    x = covariates.design
    plain, tau2 = _reml(y, v), _reml(y, v, x)
    scaled, covariance = _line(y, v, tau2, x)
    # From standardized covariates back to the data's units and to an intercept at 0
    back = np.diag(np.concatenate([[1.0], 1 / covariates.spread]))
    back[0, 1:] = -covariates.middle / covariates.spread
    found = back @ scaled + np.eye(len(back))[0] * float(data.estimate[0])
    se = np.sqrt(np.diag(back @ covariance @ back.T))
    table = pd.DataFrame(
        {
            "coefficient": ["intercept", *covariates.names],
            "estimate": found,
            "se": se,
            "q2.5": found - _Z * se,
            "q97.5": found + _Z * se,
        }
    )
    q, df = _distance(y, v, 0.0, x), len(y) - x.shape[1]
    first = {
        "tau2": tau2,
        "tau2_without": plain,
        "explained": max(0.0, 1 - tau2 / plain) if plain > 0 else math.nan,
        "q": q,
        "df": df,
        "p_value": float(stats.chi2.sf(q, df)),
    }
    for name, value in first.items():
        table[name] = [value, *[math.nan] * covariates.K]
    return table


def weights(data: EstimatesLike) -> pd.DataFrame:
    """Say how much each estimate counts in the mean effect.

    Returns
    -------
    DataFrame
        One row a group: `group`, `estimate`, `se` (unit of the data), `weight_common` and
        `weight_reml`: share of the estimate in the mean effect, 1 / (tau2 + se^2) over the sum,
        with tau2 0 or REML's; `blup` (unit of the data): empirical best linear unbiased predictor
        of the group's effect with REML's tau2, and `blup_factor`: how far it is drawn to the mean
        (1 = all the way), the classical counterpart of the pooling factor lambda.
    """
    y, v = _centered(data)
    tau2 = _reml(y, v)
    mean, _ = _mean(y, v, tau2)
    factor = v / (v + tau2)
    return pd.DataFrame(
        {
            "group": list(data.labels),
            "estimate": data.estimate,
            "se": data.se,
            "weight_common": _share(1 / v),
            "weight_reml": _share(1 / (v + tau2)),
            "blup": data.estimate + factor * (mean - y),
            "blup_factor": factor,
        }
    )


def _centered(data: EstimatesLike) -> tuple[FloatArray, FloatArray]:
    """Estimates counted from the first, and squared standard errors."""
    return data.estimate - data.estimate[0], data.se**2


def _share(weight: FloatArray) -> FloatArray:
    return np.asarray(weight / weight.sum())


def _mean(y: FloatArray, v: FloatArray, tau2: float) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    if math.isnan(tau2):
        return math.nan, math.nan
    w = 1 / (v + tau2)
    return float((w * y).sum() / w.sum()), float(w.sum() ** -0.5)


def _q(y: FloatArray, v: FloatArray) -> float:
    mean, _ = _mean(y, v, 0.0)
    return float(((y - mean) ** 2 / v).sum())


def _typical(v: FloatArray) -> float:
    w = 1 / v
    return float((len(v) - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum()))


def _dersimonian_laird(y: FloatArray, v: FloatArray) -> float:
    if len(y) < 2:
        return math.nan
    w = 1 / v
    scale = float(w.sum() - (w**2).sum() / w.sum())
    return max(0.0, (_q(y, v) - (len(y) - 1)) / scale)


def _line(
    y: FloatArray, v: FloatArray, tau2: float, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of a line by weighted least squares, and their covariance."""
    w = 1 / (v + tau2)
    covariance = np.asarray(np.linalg.inv((x.T * w) @ x), dtype=np.float64)
    return covariance @ (x.T @ (w * y)), covariance


def _distance(y: FloatArray, v: FloatArray, tau2: float, x: FloatArray) -> float:
    """Weighted sum of squares about that line."""
    residual = y - x @ _line(y, v, tau2, x)[0]
    return float((residual**2 / (v + tau2)).sum())


def _reml(y: FloatArray, v: FloatArray, x: FloatArray | None = None) -> float:
    """Maximize the restricted likelihood of tau2 over a grid, then between its neighbours.

    The estimates lie about one mean, or about a line in `x`.
    """
    if len(y) < 2:
        return math.nan

    def objective(tau2: float) -> float:
        w = 1 / (v + tau2)
        if x is not None:
            information = np.linalg.slogdet((x.T * w) @ x)[1]
            return float(0.5 * (np.log(v + tau2).sum() + information + _distance(y, v, tau2, x)))
        mean = (w * y).sum() / w.sum()
        return float(
            0.5 * (np.log(v + tau2).sum() + math.log(w.sum()) + (w * (y - mean) ** 2).sum())
        )

    top = float(np.ptp(y)) ** 2 + float(v.max())
    grid = np.geomspace(1e-6 * float(v.min()), max(top, 1e-5 * float(v.min())), _GRID)
    values = [objective(0.0), *(objective(float(tau2)) for tau2 in grid)]
    best = int(np.argmin(values)) - 1
    if best < 0:
        return 0.0
    edges = np.log(grid[[max(best - 1, 0), min(best + 1, _GRID - 1)]])
    found = optimize.minimize_scalar(
        lambda log_tau2: objective(math.exp(log_tau2)),
        bounds=(float(edges[0]), float(edges[1])),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return math.exp(found.x)
