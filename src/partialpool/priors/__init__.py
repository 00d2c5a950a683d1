"""Priors: distributions, the numbers in them with their sources, and choices under a name.

Text such as `half_cauchy(25)` or `mu_scale=5` comes in; a prior with its density, quantiles and
words goes out. What suits a data set is its family's to say.
"""

from partialpool.priors.distributions import (
    SCALE_FAMILIES,
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
    parse_location_prior,
    parse_scale_prior,
)

__all__ = [
    "SCALE_FAMILIES",
    "Exponential",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "InverseGammaVariance",
    "Normal",
    "ScalePrior",
    "Uniform",
    "parse_location_prior",
    "parse_scale_prior",
]
