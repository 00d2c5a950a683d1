"""The classical companions of partial pooling: variance components, BLUP, James-Stein.

Computed from sufficient statistics in closed form and, for REML, by a search in one dimension;
no sampling and no prior. They take the variances as known once estimated, so they come without
the uncertainty that a posterior carries.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import optimize
from scipy import stats as distributions

from partialpool.families.moments import GroupStats
from partialpool.types import FloatArray

ANOVA = "ANOVA"
REML = "REML"
"""Names of the methods."""

_GRID = 120
_LARGEST_RATIO = 1e10


def variance_components(stats: GroupStats) -> pd.DataFrame:
    """Estimate the variance within and between groups in the one-way random-effects model.

    y_ij = mu + a_j + e_ij, Var(a_j) = tau^2, Var(e_ij) = sigma^2; normal for REML and the test.

    Returns
    -------
    DataFrame
        Two rows: `method` ("ANOVA", "REML"), `sigma2` and `tau2` (within and between groups,
        unit of the data squared; a negative estimate of `tau2` is set to 0), `icc` (intraclass
        correlation tau2 / (tau2 + sigma2)), `f` and `p_value` (F ratio of the mean squares
        between and within, and its upper tail with J - 1 and N - J degrees of freedom, the
        test of tau2 = 0; in the ANOVA row only). NaN for what the data cannot tell: everything
        between groups with one group, everything where no group has two observations.

    Notes
    -----
    ANOVA: the mean squares are set equal to their expectations, sigma^2 and
    sigma^2 + n0 tau^2 with n0 = (N - sum n_j^2 / N) / (J - 1). REML: the likelihood of all
    contrasts that are free of mu, maximized over tau^2 / sigma^2 with sigma^2 profiled out. Both
    in Searle, Casella and McCulloch, *Variance Components* (1992), chapter 3. Where
    observations have weights, their sums stand for n_j and N beside tau^2.
    """
    rows = [_anova(stats), {"method": REML, **_reml(stats)}]
    return pd.DataFrame(rows, columns=["method", "sigma2", "tau2", "icc", "f", "p_value"])


def blup(stats: GroupStats) -> pd.DataFrame:
    """Shrink the group means without a prior.

    Returns
    -------
    DataFrame
        One row a group; u is the unit of the data.

        - `group`, `n`: label and number of observations;
        - `raw_mean` (u): sample mean;
        - `blup` (u): empirical best linear unbiased predictor of mu + a_j with REML's variances,
          mu_hat + (1 - B_j) (ybar_j - mu_hat), B_j = (sigma2 / n_j) / (sigma2 / n_j + tau2), with
          mu_hat the mean of the group means weighted by 1 / (tau2 + sigma2 / n_j);
        - `blup_factor`: B_j, the classical counterpart of the pooling factor lambda_j (1 =
          complete pooling);
        - `james_stein` (u): positive-part James-Stein estimate towards the grand mean m,
          m + max(0, 1 - c) (ybar_j - m), with one factor for all groups,
          c = (J - 3) / (N - J + 2) SSW / SSB, where SSW is the sum of squares within groups and
          SSB = sum n_j (ybar_j - m)^2. NaN with fewer than four groups.

        All NaN but the raw means where no group has two observations, or with one group.

    Notes
    -----
    BLUP: Robinson (1991), *Statistical Science* 6, 15-32. James-Stein: James and Stein (1961),
    *Proceedings of the Fourth Berkeley Symposium* 1, 361-379, for an unknown variance; towards
    the mean and in its positive part: Efron and Morris (1973), *Journal of the American
    Statistical Association* 68, 117-130. Here it acts on sqrt(n_j) ybar_j, whose variances are
    equal.
    """
    found = _reml(stats)
    sigma2, tau2 = found["sigma2"], found["tau2"]
    shrunk, factor = np.full(stats.J, np.nan), np.full(stats.J, np.nan)
    if math.isfinite(tau2):
        own = sigma2 / stats.weight
        total = own + tau2
        factor = np.divide(own, total, out=np.zeros(stats.J), where=total > 0)
        # Weights of any common scale do; with both variances 0 all groups weigh the same.
        weights = 1 / total if (total > 0).all() else np.ones(stats.J)
        deviations = stats.mean - stats.grand_mean
        center = np.average(deviations, weights=weights)
        shrunk = stats.grand_mean + deviations - factor * (deviations - center)
    return pd.DataFrame(
        {
            "group": list(stats.labels),
            "n": stats.n,
            "raw_mean": stats.mean,
            "blup": shrunk,
            "blup_factor": factor,
            "james_stein": _james_stein(stats),
        }
    )


def _between(stats: GroupStats) -> float:
    """Sum of squares between groups."""
    return float((stats.weight * (stats.mean - stats.grand_mean) ** 2).sum())


def _anova(stats: GroupStats) -> dict[str, float | str]:
    row: dict[str, float | str] = {"method": ANOVA}
    if stats.N == stats.J:
        return row
    within = float(stats.ss.sum()) / (stats.N - stats.J)
    row["sigma2"] = within
    if stats.J == 1:
        return row
    between = _between(stats) / (stats.J - 1)
    total = float(stats.weight.sum())
    n0 = (total - float((stats.weight**2).sum()) / total) / (stats.J - 1)
    tau2 = max(0.0, (between - within) / n0)
    if between + within > 0:
        f = between / within if within > 0 else math.inf
        row["f"] = f
        row["p_value"] = float(distributions.f.sf(f, stats.J - 1, stats.N - stats.J))
    return {**row, "tau2": tau2, "icc": _icc(sigma2=within, tau2=tau2)}


def _reml(stats: GroupStats) -> dict[str, float]:
    """REML estimates of sigma2, tau2 and icc."""
    unknown = dict.fromkeys(("sigma2", "tau2", "icc"), math.nan)
    if stats.N == stats.J:
        return unknown
    within = float(stats.ss.sum())
    if stats.J == 1:
        return {**unknown, "sigma2": within / (stats.N - 1)}
    if within == 0:
        tau2 = float(np.var(stats.mean, ddof=1))
        return {"sigma2": 0.0, "tau2": tau2, "icc": _icc(sigma2=0.0, tau2=tau2)}

    n, deviations = stats.weight, stats.mean - stats.grand_mean

    def profile(ratio: float) -> tuple[float, float]:
        """Return sigma2 given tau2 / sigma2, and -2 log restricted likelihood."""
        weights = n / (1 + n * ratio)
        center = np.average(deviations, weights=weights)
        residual = within + float((weights * (deviations - center) ** 2).sum())
        sigma2 = residual / (stats.N - 1)
        penalty = float(np.log1p(n * ratio).sum()) + math.log(weights.sum())
        return sigma2, (stats.N - 1) * math.log(sigma2) + penalty

    ratio = _minimize(lambda ratio: profile(ratio)[1], smallest=1e-4 / float(n.max()))
    sigma2 = profile(ratio)[0]
    return {"sigma2": sigma2, "tau2": sigma2 * ratio, "icc": ratio / (1 + ratio)}


def _minimize(objective: Callable[[float], float], *, smallest: float) -> float:
    """Ratio of variances, 0 or more, at which the objective is lowest.

    The lowest point of a wide grid is refined between its neighbours; a ratio below `smallest`
    is 0 for all purposes.
    """
    grid = np.geomspace(smallest, _LARGEST_RATIO, _GRID)
    values = [objective(0.0), *(objective(float(ratio)) for ratio in grid)]
    best = int(np.argmin(values)) - 1
    if best < 0:
        return 0.0
    edges = np.log(grid[[max(best - 1, 0), min(best + 1, _GRID - 1)]])
    found = optimize.minimize_scalar(
        lambda log_ratio: objective(math.exp(log_ratio)),
        bounds=(float(edges[0]), float(edges[1])),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return math.exp(found.x)


def _james_stein(stats: GroupStats) -> FloatArray:
    spare = stats.N - stats.J
    if stats.J < 4 or spare == 0:
        return np.full(stats.J, np.nan)
    between = _between(stats)
    pull = (stats.J - 3) / (spare + 2) * float(stats.ss.sum())
    keep = max(0.0, 1 - pull / between) if between > 0 else 0.0
    return np.asarray(stats.grand_mean + keep * (stats.mean - stats.grand_mean))


def _icc(*, sigma2: float, tau2: float) -> float:
    return tau2 / (tau2 + sigma2) if tau2 + sigma2 > 0 else math.nan
