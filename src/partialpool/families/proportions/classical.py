"""Proportions without priors: maximum likelihood of the population, and James-Stein estimates."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import optimize, special

from partialpool.families.exact.beta_binomial import log_beta_binomial
from partialpool.types import FloatArray, IntArray

ONE, POPULATION = "one probability", "beta population"
"""Names of the models that are estimated."""

_MOST = 20.0
_ALIKE = 15.0


class Counts(Protocol):
    """Successes and trials; `partialpool.families.proportions.Proportions` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        ...

    @property
    def successes(self) -> IntArray:
        """Successes, shape (J,)."""
        ...

    @property
    def trials(self) -> IntArray:
        """Trials, shape (J,)."""
        ...

    @property
    def distinct(self) -> tuple[IntArray, IntArray, IntArray]:
        """Pairs of successes and trials that occur, and in how many groups."""
        ...


def population(data: Counts) -> pd.DataFrame:
    """Estimate the population of probabilities by maximum likelihood.

    Returns
    -------
    DataFrame
        One row a model: `method` ("one probability" for all groups, "beta population"), `mu` (mean
        of the population), `size`, `alpha`, `beta` (parameters of the beta distribution, of size
        alpha + beta; infinite where the likelihood grows without end as groups become equal), `tau`
        (sd between probabilities), `log_likelihood` (natural logarithm, of all counts).
    """
    y, n, groups = data.successes, data.trials, data.distinct[2]
    p = float(y.sum() / n.sum())
    together = float(
        (special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)).sum()
        + special.xlogy(y.sum(), p)
        + special.xlog1py((n - y).sum(), -p)
    )

    def loss(point: FloatArray) -> float:
        mu, size = special.expit(point[0]), np.exp(point[1])
        own = log_beta_binomial(data.distinct[0], data.distinct[1], mu, size)
        return -float((groups * own).sum())

    start = [special.logit((y.sum() + 0.5) / (n.sum() + 1)), math.log(10.0)]
    best = min(
        (
            optimize.minimize(
                loss,
                np.array([start[0], log_size]),
                method="L-BFGS-B",
                bounds=[(-40, 40), (-_MOST, _MOST)],
                options={"ftol": 1e-15, "gtol": 1e-10},
            )
            for log_size in (start[1], 0.0, 6.0)
        ),
        key=lambda found: float(found.fun),
    )
    mu, size = float(special.expit(best.x[0])), float(np.exp(best.x[1]))
    if best.x[1] > _ALIKE or -best.fun <= together:
        mu, size = p, math.inf
    rows = [
        (ONE, p, math.inf, math.inf, math.inf, 0.0, together),
        (POPULATION, mu, size, mu * size, (1 - mu) * size, _tau(mu, size), _best(best, together)),
    ]
    columns = ["method", "mu", "size", "alpha", "beta", "tau", "log_likelihood"]
    return pd.DataFrame(rows, columns=columns)


def _best(found: optimize.OptimizeResult, together: float) -> float:
    return max(-float(found.fun), together)


def _tau(mu: float, size: float) -> float:
    return math.sqrt(mu * (1 - mu) / (1 + size))


def predictors(data: Counts) -> pd.DataFrame:
    """Estimate each group without priors.

    Returns
    -------
    DataFrame
        One row a group: `group`, `raw_mean` (successes over trials), `exact_q2.5`, `exact_q97.5`
        (ends of the exact 95 % interval; Clopper and Pearson 1934, *Biometrika* 26, 404-413),
        `plug_in` (posterior mean with the population of maximum likelihood taken as known),
        `james_stein` (positive-part James-Stein estimate of Efron and Morris 1975, where all groups
        have as many trials, else NaN), `james_stein_arcsine` (the same of the arcsines, turned
        back).
    """
    y, n = data.successes, data.trials
    with np.errstate(invalid="ignore"):
        raw = y / n
        low = np.where(y > 0, special.betaincinv(np.maximum(y, 1), n - y + 1, 0.025), 0.0)
        high = np.where(y < n, special.betaincinv(y + 1, np.maximum(n - y, 1), 0.975), 1.0)
    row = population(data).iloc[1]
    known = np.full(len(y), row["mu"])
    if math.isfinite(row["size"]):
        known = (row["alpha"] + y) / (row["size"] + n)
    arcsine = np.arcsin(np.clip(2 * raw - 1, -1, 1))
    with np.errstate(divide="ignore"):
        turned = 0.5 * (1 + np.sin(james_stein(arcsine, np.where(n > 0, 1 / n, np.nan))))
    p = y.sum() / n.sum()
    with np.errstate(divide="ignore"):
        variance = np.where(n > 0, p * (1 - p) / n, np.nan)
    return pd.DataFrame(
        {
            "group": list(data.labels),
            "raw_mean": raw,
            "exact_q2.5": np.where(n > 0, low, np.nan),
            "exact_q97.5": np.where(n > 0, high, np.nan),
            "plug_in": known,
            "james_stein": james_stein(raw, variance),
            "james_stein_arcsine": turned,
        }
    )


def james_stein(y: FloatArray, variance: FloatArray) -> FloatArray:
    """Shrink estimates of one variance towards their mean (Efron and Morris 1975, equation 1.7).

    NaN where their variances differ, or there are fewer than four.
    """
    J = len(y)
    if J < 4 or not np.allclose(variance, variance[0], rtol=1e-12):
        return np.full(J, np.nan)
    center = y.mean()
    spread = float(((y - center) ** 2).sum())
    kept = max(0.0, 1 - (J - 3) * float(variance[0]) / spread) if spread > 0 else 0.0
    return np.asarray(center + kept * (y - center))
