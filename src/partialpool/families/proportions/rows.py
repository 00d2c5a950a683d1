"""What models of proportions share: binomial rows, complete and no pooling, and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import special
from scipy import stats as distributions

from partialpool.families.base import Words
from partialpool.families.counts import CountsFamily, between_steps
from partialpool.families.exact.beta_binomial import BetaPosterior, log_beta_binomial
from partialpool.families.proportions import classical
from partialpool.families.proportions.statistics import Proportions
from partialpool.families.protocols import Posterior
from partialpool.priors.hyperparameters import STANDARD, Priors
from partialpool.priors.populations import Beta
from partialpool.types import FloatArray, IntArray

_FAR = 0.001


class ProportionsRows(CountsFamily):
    """Successes of trials, binomial given the group's theta."""

    reads = "proportions"
    explained: ClassVar[str] = "proportions_covariates"
    statistics = Proportions
    words = Words(
        theta="probability",
        thetas="probabilities",
        raw="proportion",
        raws="proportions",
        rows="groups",
        size="trials",
        size_title="Trials",
        least="fewest trials",
        raw_se=": root of p (1 - p) over the root of n, with the proportion p of all trials",
        data="counts",
        middle="Of all trials together the proportion is",
        reference="proportion of all trials",
        intervals="Wilson's 50 % and 95 % intervals",
        population="a beta population of probabilities",
        too_alike="the proportions lie closer together than chance in their trials leads one to "
        "expect",
    )
    support = (0.0, 1.0)
    ratios = ("ratio", "odds_ratio")
    looked_at = "trial"
    simulated = (5, 8, 12, 16, 24, 40, 60, 100)
    simulated_priors: ClassVar = {"theta_alpha": 2.0, "theta_beta": 4.0}

    def limits(
        self, stats: Proportions, sizes: FloatArray, share: float
    ) -> tuple[FloatArray, FloatArray]:
        """Binomial limits about the proportion of all trials."""
        of_all = distributions.binom(sizes, stats.grand_mean)
        low, high = between_steps(of_all, share)
        return low / sizes, np.minimum(high / sizes, 1.0)

    def whole_sizes(self, sizes: FloatArray) -> FloatArray:
        """Whole numbers of trials."""
        return np.unique(np.maximum(np.round(sizes), 1.0))

    def theta_priors(self, stats: Proportions) -> Priors:
        """Give theta beta(1, 1), which is uniform."""
        values = {"theta_alpha": 1.0, "theta_beta": 1.0}
        return Priors(values, dict.fromkeys(values, STANDARD))

    def theta_conflicts(self, priors: Priors, stats: Proportions) -> list[str]:
        """Warn where the proportion of all trials is in a tail of theta's prior."""
        return self.beta_conflicts("theta", priors, stats)

    def beta_conflicts(self, name: str, priors: Priors, stats: Proportions) -> list[str]:
        """Warn where it is in a tail of a beta prior, beyond 1 in 1000."""
        alpha, beta = (priors.values.get(f"{name}_{part}", 0.0) for part in ("alpha", "beta"))
        if alpha <= 0 or beta <= 0 or alpha + beta <= 2:
            return []
        below = float(special.betainc(alpha, beta, stats.grand_mean))
        if min(below, 1 - below) >= _FAR:
            return []
        return [
            f"the prior of {name}, beta({alpha:g}, {beta:g}), leaves a probability of "
            f"{min(below, 1 - below):.1g} beyond the proportion of all trials, "
            f"{stats.grand_mean:.4g}"
        ]

    def theta_prior(self, priors: Priors) -> Beta:
        """Beta prior of theta."""
        return Beta(*priors.required(("theta_alpha", "theta_beta")))

    def row_inputs(self, stats: Proportions, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts by group, those of the groups that are drawn, and a power of 1."""
        drawn = slice(None if draw_groups else 0)
        return {
            "successes": stats.successes,
            "trials": stats.trials,
            "likelihood_power": 1.0,
            "J_drawn": len(stats.trials[drawn]),
            "successes_drawn": stats.successes[drawn],
            "trials_drawn": stats.trials[drawn],
        }

    def unit_per(self, unit: str, per: int) -> str:
        """Percent, or per so many trials."""
        if unit in ("", "%"):
            return "%" if per == 100 else f"per {per:,}"
        return f"{unit}, {'in %' if per == 100 else f'per {per:,}'}"

    def count(self, stats: Proportions) -> str:
        """Say how many groups and trials there are."""
        groups = "1 group" if stats.J == 1 else f"{stats.J:,} groups"
        trials = int(stats.trials.sum())
        return f"{groups} with {trials:,} {'trial' if trials == 1 else 'trials'}"

    def log_likelihood(
        self, stats: Proportions, theta: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log probability of all successes given the probabilities, up to a constant."""
        shape = (-1,) + (1,) * (theta.ndim - 1)
        successes, trials = stats.successes.reshape(shape), stats.trials.reshape(shape)
        own = special.xlogy(successes, theta) + special.xlog1py(trials - successes, -theta)
        total: FloatArray = own.sum(axis=0)
        return total

    def whole_statistics(self, stats: Proportions, y: FloatArray) -> dict[str, FloatArray]:
        """Statistics of whole data sets of proportions, each a row of `y`."""
        seen = stats.trials > 0
        y, n = y[:, seen], stats.trials[seen]
        p = (y * n).sum(axis=1, keepdims=True) / n.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            chi2 = (n * (y - p) ** 2 / (p * (1 - p))).sum(axis=1)
        return {
            "Smallest proportion": y.min(axis=1),
            "Largest proportion": y.max(axis=1),
            "Groups without a success": (y == 0).sum(axis=1).astype(float),
            "Groups without a failure": (y == 1).sum(axis=1).astype(float),
            "Pearson's chi-squared": np.where(p[:, 0] * (1 - p[:, 0]) > 0, chi2, 0.0),
        }

    def next_size(self, stats: Proportions) -> int:
        """Number of trials that are predicted: the median of those seen."""
        return max(1, int(np.median(stats.trials[stats.trials > 0])))

    def outcome(self, size: float) -> str:
        """What is predicted, in words."""
        return f"successes in the next {size:g} {'trial' if size == 1 else 'trials'}"

    def draw_outcome(self, theta: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
        """Draw successes in so many trials, shape of theta."""
        return rng.binomial(int(size), theta).astype(np.float64)

    def log_outcome(self, stats: Proportions, theta: FloatArray) -> FloatArray:
        """Log binomial probability of each group's successes, shape of theta."""
        shape = (-1,) + (1,) * (theta.ndim - 1)
        counts = stats.successes.reshape(shape), stats.trials.reshape(shape)
        return np.asarray(distributions.binom.logpmf(*counts, theta))

    def replicate_given(
        self, stats: Proportions, theta: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw the proportions of as many trials anew, shape of theta."""
        trials = stats.trials.reshape((-1,) + (1,) * (theta.ndim - 1))
        return np.asarray(rng.binomial(trials, theta) / trials)

    def prior_marginal(self, stats: Proportions, priors: Mapping[str, float]) -> FloatArray | None:
        """Log prior predictive probability of each group's successes under no pooling."""
        if not {"theta_alpha", "theta_beta"} <= set(priors):
            return None
        alpha, size = priors["theta_alpha"], priors["theta_alpha"] + priors["theta_beta"]
        parameters = np.array(alpha / size), np.array(size)
        return log_beta_binomial(
            stats.successes.astype(float), stats.trials.astype(float), *parameters
        )

    def extreme(
        self, pooling: Literal["complete", "none"], stats: Proportions, priors: Priors
    ) -> Posterior:
        """Exact posterior of complete or of no pooling."""
        theta = self.theta_prior(priors)
        return BetaPosterior(pooling, stats.labels, stats.successes, stats.trials, theta)

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Proportions]:
        """Draw the successes of each group, given its trials."""
        trials = np.array(sizes, dtype=np.int64)
        successes = rng.binomial(trials, np.broadcast_to(truth["theta"], trials.shape))
        labels = tuple(str(j) for j in range(1, trials.size + 1))
        stats = self.statistics(labels, successes, trials)
        return stats.raw, np.arange(trials.size), stats

    def group_predictors(self, stats: Proportions) -> pd.DataFrame:
        """Estimate each group without priors, with a beta population plugged in."""
        return classical.predictors(stats)
