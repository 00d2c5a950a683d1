"""Groups of observations of which some are more precise than others, as their weights say.

Data: y_ij ~ normal(theta_j, sigma / sqrt(w_ij)) with known weights w_ij, theta_j ~ normal(mu, tau).
A weight is a precision, that of an observation of weight 1 being 1 / sigma^2: of means of m
measurements w is m. With all weights 1 it is the model without weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from partialpool.families.base import Design
from partialpool.families.moments import size_classes
from partialpool.families.normal import Observations
from partialpool.families.weighted_statistics import WeightedStats, weighted_stats
from partialpool.types import FloatArray, IntArray


class WeightedObservations(Observations):
    """Groups of observations with precision weights."""

    name = "weighted"
    folder = "weighted"
    model: ClassVar = {**Observations.model, "rows": "weighted"}
    nested: ClassVar[str] = ""
    explained: ClassVar[str] = ""
    statistics: ClassVar[type[Any]] = WeightedStats
    words = replace(
        Observations.words,
        raw="weighted mean",
        raws="weighted means",
        rows="weighted observations",
        size="W",
        size_title="Total weight",
        amount="of total weights",
        scaled=" at weight 1",
        least="smallest total weight",
        raw_se=": pooled sd within groups of an observation of weight 1, over the root of the "
        "group's total weight",
        data="observations with weights",
        middle="Their weighted mean is",
        reference="weighted grand mean",
    )
    words_of_logarithms = replace(
        words,
        theta="geometric mean",
        thetas="geometric means",
        raw="weighted geometric mean",
        raws="weighted geometric means",
        raw_se=f"{words.raw_se}, of logarithms",
    )

    has_icc: ClassVar[bool] = False
    # tau^2 / (tau^2 + sigma^2) would depend on the unit of the weights

    def inputs(self, stats: WeightedStats, *, draw_groups: bool) -> dict[str, Any]:  # type: ignore[override]
        """Give the statistics by group and by total weight, for `stan_data`.

        As of `Observations`, with `total_k` and `total_drawn` in place of sizes, and `df`, the
        degrees of freedom within groups.
        """
        usual = super().inputs(stats, draw_groups=draw_groups)
        classes = size_classes(stats, stats.total)
        drawn = slice(None if draw_groups else 0)
        kept = ("tau_df", "tau_scale", "tau_upper", "n", "ybar", "ss", "J_drawn", "ybar_drawn")
        return {
            **{name: usual[name] for name in kept},
            "total": stats.total,
            "K": classes.K,
            "total_k": classes.n,
            "J_k": classes.groups,
            "ybar_k": classes.mean,
            "ssb_k": classes.ss,
            "ssw": classes.ss_within,
            "df": float(stats.N - stats.J),
            "total_drawn": stats.total[drawn],
        }

    def weighted(self, stats: WeightedStats, weight: float) -> dict[str, Any]:  # type: ignore[override]
        """Count every observation `weight` times: the likelihood to that power."""
        classes = size_classes(stats, stats.total)
        return {
            "total_k": weight * classes.n,
            "ssw": weight * classes.ss_within,
            "df": weight * stats.N - stats.J,
            "total_drawn": weight * stats.total,
        }

    @property
    def design(self) -> Design:
        """The design of observations without weights, with the same priors."""
        return replace(super().design, family=self.name)

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, WeightedStats]:
        """Draw observations of groups of these sizes, with weights from about 0.2 to 5."""
        n = np.array(sizes, dtype=np.int64)
        group = np.repeat(np.arange(n.size), n)
        weight = np.exp(0.8 * rng.standard_normal(group.size))
        mean, sd = (np.broadcast_to(truth[name], n.shape)[group] for name in ("theta", "sigma"))
        y = rng.normal(mean, sd / np.sqrt(weight))
        labels = [str(j) for j in range(1, n.size + 1)]
        return y, group, weighted_stats(y, weight, group, labels)


WEIGHTED = WeightedObservations()
"""The family of observations with weights."""
