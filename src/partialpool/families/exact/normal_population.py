"""What models by tables share where theta comes from a normal population."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from partialpool.families.exact.tabled import Tabled
from partialpool.types import FloatArray


@dataclass(frozen=True)
class NormalPopulation(Tabled):
    """Theta is normal(mu, tau).

    Attributes
    ----------
    labels
        Names of the groups.
    """

    labels: tuple[str, ...]

    def log_population(self, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log density of a normal distribution."""
        z = (theta - values["mu"]) / values["tau"]
        return np.asarray(-0.5 * z**2 - np.log(values["tau"]) - 0.5 * math.log(2 * math.pi))

    def population_cdf(self, theta: float, values: Mapping[str, FloatArray]) -> FloatArray:
        """Share of a normal distribution below theta."""
        return np.asarray(special.ndtr((theta - values["mu"]) / values["tau"]))

    def population_variance(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """tau^2."""
        return np.asarray(values["tau"] ** 2)
