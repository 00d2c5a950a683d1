"""Numbers in priors: scaled to the data, set by its file or by the user, held against the data.

The families of the priors are written in the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from partialpool.data import GroupedData, GroupStats
from partialpool.errors import InputError


@dataclass(frozen=True)
class Priors:
    """Values of prior hyperparameters, and where each one comes from.

    Attributes
    ----------
    values
        Hyperparameter to value, for example `{"mu_location": 20.0}`.
    sources
        Hyperparameter to the origin of its value, as people read it.
    """

    values: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)

    def updated(self, values: Mapping[str, float], *, source: str) -> Priors:
        """Return the settings with some values replaced or added."""
        return Priors({**self.values, **values}, {**self.sources, **dict.fromkeys(values, source)})


SCALED, SET_BY_USER = "scaled to the data", "set by the user"
"""Sources of settings, besides the data's file."""

SETTINGS = (
    *("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"),
    *("mu_location", "mu_scale", "tau_upper", "sigma_upper"),
)
"""Prior settings of the shipped programs."""


def default_priors(stats: GroupStats) -> Priors:
    """Weakly informative priors on the scale of the data.

    With m the grand mean and s the sd of all observations, both rounded to three digits:

    - means: normal(m, 2.5 s), as rstanarm scales its priors of intercepts (Goodrich, Gabry, Ali
      and Brilleman, *rstanarm*, "Prior distributions");
    - tau and sigma: uniform(0, 10 s): uniform on the sd as Gelman (2006, *Bayesian Analysis* 1,
      515-534, sec. 7.1) advises, with a bound that no sd of these data comes near;
    - sigma2 of complete and no pooling: inverse-gamma(1/2, s^2 / 2), the weight of one
      observation with variance s^2 (Hoff 2009, sec. 5.3, with nu0 = 1).

    Raises
    ------
    InputError
        All observations are equal, so the data have no scale.
    """
    if stats.total_sd == 0:
        raise InputError(
            "all values are equal: there is no variation to model; "
            "check the file and the value column"
        )
    s = _rounded(stats.total_sd)
    m = _rounded_to(stats.grand_mean, 0.01 * s)
    values = {
        "theta_location": m,
        "theta_scale": _rounded(2.5 * s),
        "sigma2_shape": 0.5,
        "sigma2_scale": _rounded(0.5 * s**2),
        "mu_location": m,
        "mu_scale": _rounded(2.5 * s),
        "tau_upper": _rounded(10 * s),
        "sigma_upper": _rounded(10 * s),
    }
    return Priors(values, dict.fromkeys(values, SCALED))


def priors_for(data: GroupedData, overrides: Mapping[str, float] | None = None) -> Priors:
    """Settle the prior settings: scaled to the data, then the data's file, then the user's."""
    priors = default_priors(data.stats)
    if data.priors:
        priors = priors.updated(data.priors, source=data.priors_source)
    if overrides:
        priors = priors.updated(overrides, source=SET_BY_USER)
    return priors


def parse_prior_settings(settings: Sequence[str]) -> dict[str, float]:
    """Read settings such as `mu_scale=5`.

    Raises
    ------
    InputError
        A setting without `=`, or whose value is no finite number.
    """
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not equals or not name.strip().isidentifier() or not math.isfinite(number):
            raise InputError(f"--prior {setting}: write NAME=NUMBER, for example mu_scale=5")
        values[name.strip()] = number
    return values


def prior_conflicts(priors: Priors, stats: GroupStats) -> list[str]:
    """Warn of priors that the data speak against; an empty list is the normal case.

    Checked are prior means of means (more than three prior sds from the sample mean), upper
    bounds of sds (below the spread that they must cover) and the inverse-gamma prior of sigma2
    (less than one in a thousand on the far side of the pooled variance).
    """
    value = priors.values
    found = []
    for name in ("theta", "mu"):
        location, scale = value.get(f"{name}_location"), value.get(f"{name}_scale")
        if location is None or scale is None or scale <= 0:
            continue
        distance = abs(stats.grand_mean - location) / scale
        if distance > 3:
            found.append(
                f"the prior of {name}, normal({location:g}, {scale:g}), puts the grand mean "
                f"{stats.grand_mean:.4g} {distance:.1f} prior sds from its center"
            )
    spread = float(np.std(stats.mean, ddof=1)) if stats.J > 1 else 0.0
    for name, needed, what in (
        ("tau", spread, "the sd of the group means"),
        ("sigma", stats.within_sd, "the sd within groups"),
    ):
        upper = value.get(f"{name}_upper")
        if upper is not None and upper < needed:
            found.append(f"the upper bound of {name}, {upper:g}, is below {what}, {needed:.4g}")
    shape, scale = value.get("sigma2_shape"), value.get("sigma2_scale")
    if shape and scale and shape > 0 and scale > 0 and stats.within_sd > 0:
        below = float(special.gammaincc(shape, scale / stats.within_sd**2))
        if min(below, 1 - below) < 0.001:
            found.append(
                f"the prior of sigma2, inverse-gamma({shape:g}, {scale:g}), gives less than one "
                f"in a thousand to variances {'below' if below < 0.5 else 'above'} "
                f"the one within groups, {stats.within_sd**2:.4g}"
            )
    return found


def _rounded(x: float) -> float:
    """Three significant digits, so that the value printed is the value used."""
    return float(f"{x:.3g}")


def _rounded_to(x: float, step: float) -> float:
    """Round to the power of ten just below `step`: keeps a large offset to the data's scale."""
    return round(x, -math.floor(math.log10(step)))
