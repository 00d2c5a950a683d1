"""What models of rates share: Poisson rows, complete and no pooling, and words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import special
from scipy import stats as distributions

from partialpool.families.base import Words, rounded
from partialpool.families.counts import CountsFamily, between_steps
from partialpool.families.exact.gamma_poisson import GammaPosterior, log_negative_binomial
from partialpool.families.protocols import Posterior
from partialpool.families.rates import classical
from partialpool.families.rates.statistics import Rates
from partialpool.priors.hyperparameters import SCALED, STANDARD, Priors
from partialpool.priors.populations import Gamma
from partialpool.types import FloatArray, IntArray

_COUNTED = ("day", "hour", "minute", "month", "person", "second", "week", "year")
_FAR = 0.001
_NOTHING = 1e-200  # an exposure of 0, of which Stan's density has no derivative


class RatesRows(CountsFamily):
    """Events in an exposure, Poisson given the group's theta."""

    reads = "rates"
    explained: ClassVar[str] = "rates_covariates"
    statistics = Rates
    words = Words(
        theta="rate",
        thetas="rates",
        raw="raw rate",
        raws="raw rates",
        rows="groups",
        size="exposure",
        size_title="Exposure",
        least="smallest exposure",
        raw_se=": root of the rate of all groups together over the exposure",
        data="counts",
        middle="Of all groups together the rate is",
        reference="rate of all groups together",
        intervals="exact 50 % and 95 % intervals",
        population="a gamma population of rates",
        too_alike="the raw rates lie closer together than chance in their counts leads one to "
        "expect",
    )
    support = (0.0, math.inf)
    has_icc = False
    ratios = ("ratio",)
    looked_at = "exposure"
    simulated = (0.5, 1, 2, 3, 5, 8, 12, 20)
    simulated_priors: ClassVar = {"theta_alpha": 2.0, "theta_beta": 1.0}

    def limits(
        self, stats: Rates, sizes: FloatArray, share: float
    ) -> tuple[FloatArray, FloatArray]:
        """Poisson limits about the rate of all groups together."""
        of_all = distributions.poisson(sizes * stats.grand_mean)
        low, high = between_steps(of_all, share)
        return low / sizes, high / sizes

    def theta_priors(self, stats: Rates) -> Priors:
        """Give theta gamma(1/2, 0.05 / m), with m the rate of all groups together.

        It is worth half an event and next to no exposure, and has the mean 10 m.
        """
        values = {"theta_alpha": 0.5, "theta_beta": rounded(0.05 / rounded(stats.typical))}
        return Priors(values, {"theta_alpha": STANDARD, "theta_beta": SCALED})

    def theta_conflicts(self, priors: Priors, stats: Rates) -> list[str]:
        """Warn where the rate of all groups is in a tail of theta's prior, beyond 1 in 1000."""
        alpha, beta = (priors.values.get(f"theta_{name}", 0.0) for name in ("alpha", "beta"))
        if alpha <= 0 or beta <= 0:
            return []
        below = float(special.gammainc(alpha, beta * stats.grand_mean))
        if min(below, 1 - below) >= _FAR:
            return []
        return [
            f"the prior of theta, gamma({alpha:g}, {beta:g}), leaves a probability of "
            f"{min(below, 1 - below):.1g} beyond the rate of all groups together, "
            f"{stats.grand_mean:.4g}"
        ]

    def theta_prior(self, priors: Priors) -> Gamma:
        """Gamma prior of theta."""
        return Gamma(*priors.required(("theta_alpha", "theta_beta")))

    def row_inputs(self, stats: Rates, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts by group, those of the groups that are drawn, and a power of 1."""
        drawn = slice(None if draw_groups else 0)
        exposure = np.maximum(stats.exposure, _NOTHING)
        return {
            "events": stats.events,
            "exposure": exposure,
            "likelihood_power": 1.0,
            "J_drawn": len(exposure[drawn]),
            "events_drawn": stats.events[drawn],
            "exposure_drawn": exposure[drawn],
        }

    def unit_per(self, unit: str, per: int) -> str:
        """Per so many units of exposure: "per month" becomes "per 1,000 months"."""
        found = re.fullmatch(r"(|.* )per (?:(\d[\d,]*) )?(\D+)", unit)
        if found is None:
            return f"{unit}, per {per:,} of exposure" if unit else f"per {per:,} of exposure"
        once = int((found[2] or "1").replace(",", ""))
        word = found[3] + ("s" if found[3].endswith(_COUNTED) else "")
        return f"{found[1]}per {per * once:,} {word}"

    def count(self, stats: Rates) -> str:
        """Say how many groups and events there are."""
        groups = "1 group" if stats.J == 1 else f"{stats.J:,} groups"
        events = int(stats.events.sum())
        return (
            f"{groups} with {events:,} {'event' if events == 1 else 'events'} in an exposure of "
            f"{stats.exposure.sum():,.6g}"
        )

    def log_likelihood(self, stats: Rates, theta: FloatArray, error_sd: FloatArray) -> FloatArray:
        """Log probability of all events given the rates, up to a constant."""
        shape = (-1,) + (1,) * (theta.ndim - 1)
        events, exposure = stats.events.reshape(shape), stats.exposure.reshape(shape)
        total: FloatArray = (special.xlogy(events, theta) - exposure * theta).sum(axis=0)
        return total

    def whole_statistics(self, stats: Rates, y: FloatArray) -> dict[str, FloatArray]:
        """Statistics of whole data sets of raw rates, each a row of `y`."""
        seen = stats.exposure > 0
        y, e = y[:, seen], stats.exposure[seen]
        rate = (y * e).sum(axis=1, keepdims=True) / e.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            chi2 = (e * (y - rate) ** 2 / rate).sum(axis=1)
        return {
            "Smallest raw rate": y.min(axis=1),
            "Largest raw rate": y.max(axis=1),
            "Groups without an event": (y == 0).sum(axis=1).astype(float),
            "Pearson's chi-squared": np.where(rate[:, 0] > 0, chi2, 0.0),
        }

    def next_size(self, stats: Rates) -> float:
        """Exposure that is predicted: the median of those seen, to two digits."""
        return float(f"{np.median(stats.exposure[stats.exposure > 0]):.2g}")

    def outcome(self, size: float) -> str:
        """What is predicted, in words."""
        return f"events in the next {size:g} of exposure"

    def draw_outcome(self, theta: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
        """Draw events in so much exposure, shape of theta."""
        return rng.poisson(size * theta).astype(np.float64)

    def log_outcome(self, stats: Rates, theta: FloatArray) -> FloatArray:
        """Log Poisson probability of each group's events, shape of theta."""
        shape = (-1,) + (1,) * (theta.ndim - 1)
        means = stats.exposure.reshape(shape) * theta
        return np.asarray(distributions.poisson.logpmf(stats.events.reshape(shape), means))

    def replicate_given(
        self, stats: Rates, theta: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw the raw rates of the same exposures anew, shape of theta."""
        exposure = stats.exposure.reshape((-1,) + (1,) * (theta.ndim - 1))
        return np.asarray(rng.poisson(exposure * theta) / exposure)

    def prior_marginal(self, stats: Rates, priors: Mapping[str, float]) -> FloatArray | None:
        """Log prior predictive probability of each group's events under no pooling."""
        if not {"theta_alpha", "theta_beta"} <= set(priors):
            return None
        prior = priors["theta_alpha"], priors["theta_beta"]
        return log_negative_binomial(stats.events, stats.exposure, *prior)

    def extreme(
        self, pooling: Literal["complete", "none"], stats: Rates, priors: Priors
    ) -> Posterior:
        """Exact posterior of complete or of no pooling."""
        theta = Gamma(*priors.required(("theta_alpha", "theta_beta")))
        return GammaPosterior(pooling, stats.labels, stats.events, stats.exposure, theta)

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Rates]:
        """Draw the events of each group, given its exposure."""
        exposure = np.array(sizes, dtype=np.float64)
        events = rng.poisson(exposure * truth["theta"]).astype(np.int64)
        labels = tuple(str(j) for j in range(1, exposure.size + 1))
        stats = self.statistics(labels, events, exposure)
        return stats.raw, np.arange(exposure.size), stats

    def group_predictors(self, stats: Rates) -> pd.DataFrame:
        """Estimate each group without priors, with a gamma population plugged in."""
        return classical.predictors(stats)
