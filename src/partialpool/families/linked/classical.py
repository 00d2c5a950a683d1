"""Counts without priors: maximum likelihood of a population that is normal on another scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import optimize

from partialpool.families.linked.integrals import Integrals
from partialpool.families.linked.likelihoods import Likelihood
from partialpool.types import FloatArray

_LEAST, _MOST, _IMPOSSIBLE = 1e-4, 20.0, 1e10


@dataclass(frozen=True)
class Counts:
    """Counts and their likelihood.

    Attributes
    ----------
    likelihood
        Of alpha.
    count, size
        Of the groups, shape (J,).
    """

    likelihood: Likelihood
    count: FloatArray
    size: FloatArray

    @cached_property
    def best(self) -> tuple[float, float, float, float]:
        """Location and scale of highest likelihood, its logarithm, and that of a scale of 0.

        The scale is 0 where the likelihood is no higher with a population that differs.
        """
        pairs, groups = np.unique(np.stack([self.count, self.size]), axis=1, return_counts=True)
        integrals = Integrals(self.likelihood, *pairs)
        constant = float(groups @ self.likelihood.constant(*pairs))

        def loss(point: FloatArray) -> float:
            found = integrals.log_marginal(point[:1], np.exp(point[1:]))[:, 0]
            return -float(groups @ np.maximum(found, -_IMPOSSIBLE))

        share = self.count.sum() / self.size.sum()
        with np.errstate(divide="ignore"):
            middle = float(self.likelihood.link.alpha(np.asarray(share)))
        if not math.isfinite(middle):
            return middle, 0.0, 0.0, 0.0
        own = self.likelihood.log_density(np.asarray(middle), *pairs)
        together = float(groups @ own) + constant
        found = min(
            (
                optimize.minimize(
                    loss,
                    np.array([middle, start]),
                    method="L-BFGS-B",
                    bounds=[(middle - 15, middle + 15), (math.log(_LEAST), math.log(_MOST))],
                    options={"ftol": 1e-15, "gtol": 1e-10},
                )
                for start in (-2.0, -0.5, 1.0)
            ),
            key=lambda each: float(each.fun),
        )
        location, scale = float(found.x[0]), float(np.exp(found.x[1]))
        highest = constant - float(found.fun)
        if highest <= together or scale < 10 * _LEAST:
            return middle, 0.0, together, together
        return location, scale, highest, together


def population(model: Counts) -> pd.DataFrame:
    """Estimate the population by maximum likelihood.

    Returns
    -------
    DataFrame
        One row a model: `method` ("one for all groups", "logit-normal population" or "log-normal
        population"), `mu` and `tau` (mean and sd of the population), `location`, `scale` (mean and
        sd of its logits or logarithms; a scale of 0 where the likelihood grows as groups become
        equal), `log_likelihood` (natural logarithm, of all counts).
    """
    location, scale, highest, together = model.best
    link = model.likelihood.link
    mean = float(model.count.sum() / model.size.sum())
    with np.errstate(divide="ignore"):
        middle = float(link.alpha(np.asarray(mean)))
    mu, tau = mean, 0.0
    if scale > 0:
        moments = link.moments(np.array([location]), np.array([scale]))
        mu, tau = float(moments[0][0]), float(moments[1][0])
    rows = [
        ("one for all groups", mean, middle, 0.0, 0.0, together),
        (f"{link.name}-normal population", mu, location, scale, tau, highest),
    ]
    columns = ["method", "mu", "location", "scale", "tau", "log_likelihood"]
    return pd.DataFrame(rows, columns=columns)


def plug_in(model: Counts) -> FloatArray:
    """Posterior mean of each theta with that population taken as known, shape (J,)."""
    location, scale, _, _ = model.best
    if scale == 0:
        return np.full(len(model.count), float(model.count.sum() / model.size.sum()))
    pairs, which = np.unique(np.stack([model.count, model.size]), axis=1, return_inverse=True)
    at = np.array([location]), np.array([scale])
    first, second = (
        Integrals(model.likelihood, pairs[0] + k, model.likelihood.more(pairs[1], k)).log_marginal(
            *at
        )[:, 0]
        for k in range(2)
    )
    return np.asarray(np.exp(second - first)[which.ravel()])
