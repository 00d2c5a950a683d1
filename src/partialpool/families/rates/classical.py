"""Rates without priors: maximum likelihood of the population, and what follows for the groups."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import optimize, special

from partialpool.families.exact.gamma_poisson import log_negative_binomial
from partialpool.types import FloatArray, IntArray

ONE, POPULATION = "one rate", "gamma population"
"""Names of the models that are estimated."""

_MOST = 20.0
_ALIKE = 15.0


class Counts(Protocol):
    """Events and exposure; `partialpool.families.rates.Rates` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        ...

    @property
    def events(self) -> IntArray:
        """Events, shape (J,)."""
        ...

    @property
    def exposure(self) -> FloatArray:
        """Exposure, shape (J,)."""
        ...


def population(data: Counts) -> pd.DataFrame:
    """Estimate the population of rates by maximum likelihood.

    Returns
    -------
    DataFrame
        One row a model: `method` ("one rate" for all groups, "gamma population"), `mu` (mean of the
        population), `shape` and `size` (shape and rate of the gamma distribution; infinite where
        the likelihood grows without end as groups become equal), `tau` (sd between rates),
        `log_likelihood` (natural logarithm, of all counts).
    """
    x, e = data.events, data.exposure
    m = float(x.sum() / e.sum())
    terms = special.xlogy(x, m * e) - m * e - special.gammaln(x + 1)
    together = float(terms.sum())

    def loss(point: FloatArray) -> float:
        mu, shape = np.exp(point)
        return -float(log_negative_binomial(x, e, shape, shape / mu).sum())

    middle = math.log((x.sum() + 0.5) / e.sum())
    best = min(
        (
            optimize.minimize(
                loss,
                np.array([middle, log_shape]),
                method="L-BFGS-B",
                bounds=[(middle - 40, middle + 40), (-_MOST, _MOST)],
                options={"ftol": 1e-15, "gtol": 1e-10},
            )
            for log_shape in (0.0, 2.0, 5.0)
        ),
        key=lambda found: float(found.fun),
    )
    mu, shape = (float(value) for value in np.exp(best.x))
    if best.x[1] > _ALIKE or -best.fun <= together:
        mu, shape = m, math.inf
    rows = [
        (ONE, m, math.inf, math.inf, 0.0, together),
        (POPULATION, mu, shape, shape / mu, mu / math.sqrt(shape), max(-best.fun, together)),
    ]
    columns = ["method", "mu", "shape", "size", "tau", "log_likelihood"]
    return pd.DataFrame(rows, columns=columns)


def predictors(data: Counts) -> pd.DataFrame:
    """Estimate each group without priors.

    Returns
    -------
    DataFrame
        One row a group: `group`, `raw_mean` (events over exposure) and `plug_in` (posterior mean
        with the population of maximum likelihood taken as known).
    """
    x, e = data.events, data.exposure
    row = population(data).iloc[1]
    known = np.full(len(x), row["mu"])
    if math.isfinite(row["size"]):
        known = (row["shape"] + x) / (row["size"] + e)
    with np.errstate(invalid="ignore"):
        raw = x / e
    return pd.DataFrame({"group": list(data.labels), "raw_mean": raw, "plug_in": known})
