"""No pooling with adjustment: means of their own, and slopes within groups that all share.

Given sigma the group means and the slopes are independent: deviations within groups say nothing of
means. With R' R the sums of products of the covariates within groups, of rank r, and v = R b the
slopes of least squares there, v ~ N(0, sigma^2 I + s^2 R R') where a slope has the prior N(0, s^2),
and what these slopes leave has N - J - r degrees of freedom (Gelman et al., *Bayesian Data
Analysis*, 3rd ed., 2013, section 14.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.families.exact.common_variance import CommonVariancePosterior
from partialpool.families.exact.statistics import check_spread
from partialpool.types import FloatArray


@dataclass(frozen=True)
class AdjustedCommonVariancePosterior(CommonVariancePosterior):
    """Posterior of a mean of its own for each group, and slopes and one sd for all.

    Attributes
    ----------
    stats, theta, sigma
        As of `CommonVariancePosterior`.
    told
        What deviations say of the slopes, shape (r,): v, rotated so that its parts are independent.
    of_prior
        Variances of these that the prior of the slopes adds to sigma^2, shape (r,).
    left
        Sum of squares that the slopes leave within groups.
    """

    told: FloatArray
    of_prior: FloatArray
    left: float

    @property
    def _spread(self) -> tuple[float, float]:
        return float(self.stats.N - self.stats.J - len(self.told)), self.left

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return super().log_marginal_likelihood - 0.5 * len(self.told) * math.log(2 * math.pi)

    def log_density(self, z: FloatArray) -> FloatArray:
        """Log of p(y, log sigma = z), but for constant factors."""
        variance = np.exp(2 * z)[..., None] + self.of_prior
        of_slopes = (self.told**2 / variance + np.log(variance)).sum(axis=-1)
        return np.asarray(super().log_density(z) - 0.5 * of_slopes)


def adjusted_common_variance(
    usual: CommonVariancePosterior, stats: Any, slope_sd: float
) -> AdjustedCommonVariancePosterior:
    """Posterior of no pooling with slopes within groups.

    Parameters
    ----------
    usual
        The posterior without covariates, for its priors.
    stats
        Statistics with sums of products within groups.
    slope_sd
        Prior sd of what an sd of each covariate adds.

    Raises
    ------
    InputError
        Nothing is left within groups, so the posterior of sigma is improper.
    """
    given = stats.within_inputs
    values, vectors = np.linalg.eigh(given["x_within"] @ given["x_within"].T)
    told, left = vectors.T @ given["y_within"], float(given["ssw"])
    check_spread(left, float(stats.N - stats.J - len(told)), usual.sigma, "within groups ")
    prior = slope_sd**2 * np.maximum(values, 0.0)
    return AdjustedCommonVariancePosterior(
        stats, usual.theta, usual.sigma, np.asarray(told), np.asarray(prior), left
    )
