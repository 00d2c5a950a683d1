"""What families of counts share: groups that are one row, and a population that is not normal.

Given the population, theta of a group is of the population's own kind again
(`partialpool.families.conjugate`), and its mean is lambda_j mu + (1 - lambda_j) times the group's
own estimate with lambda_j = s / (s + weight_j): the population is worth s = sigma^2 / tau^2 trials,
or so much exposure, of the group itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.families.alike import Alike
from partialpool.families.base import CENTERED, COMPLETE, MARGINAL, NONE, Family, Statistics
from partialpool.families.protocols import Declared, Posterior
from partialpool.priors.hyperparameters import Priors
from partialpool.priors.populations import Beta, Gamma
from partialpool.types import FloatArray, IntArray


def between_steps(of_counts: Any, share: float) -> tuple[FloatArray, FloatArray]:
    """Counts between which a share of a distribution of SciPy's lies, its steps interpolated."""
    ends = []
    for p in (0.5 - share / 2, 0.5 + share / 2):
        count = of_counts.ppf(p)
        above, below = of_counts.cdf(count), of_counts.cdf(count - 1)
        ends.append(np.maximum(count - (above - p) / (above - below), 0.0))
    return ends[0], ends[1]


class CountStatistics(Statistics):
    """Counts of groups, of which many may be the same."""

    @property
    def N(self) -> int:
        """Number of rows, one a group."""
        return len(self.labels)

    @property
    def counts(self) -> IntArray:
        """One row a group."""
        return np.ones(self.J, dtype=np.int64)

    @cached_property
    def alike(self) -> Alike | None:
        """Groups whose counts are the same, where nothing else is known of them."""
        return Alike.of(self.weight, self.raw) if self.covariates is None else None


class CountsFamily(Family):
    """Counts of groups, a row each."""

    programs: ClassVar[tuple[str, ...]] = (COMPLETE, NONE, CENTERED, MARGINAL)
    rows_are_groups = True
    gaussian = False
    pictured = ("mu", "tau")

    looked_at: ClassVar[str]
    """What a group may have none of: "trial"."""

    spread: ClassVar[str]
    """The parameter whose prior decides how much few groups are pooled."""

    def notices(self, stats: Any, y: FloatArray) -> list[str]:
        """Name the groups of which nothing was seen."""
        empty = [stats.labels[j] for j in np.flatnonzero(stats.weight == 0)]
        if not empty:
            return []
        shown = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        several = len(empty) > 1
        return [
            f"{'groups' if several else 'group'} {shown} {'have' if several else 'has'} no "
            f"{self.looked_at}, and what is said of {'them' if several else 'it'} comes from the "
            "population, or from the prior, alone"
        ]

    def check_poolable(self, program: Declared, stats: Any) -> list[str]:
        """Refuse partial pooling of one group; warn where few groups leave much to a prior.

        Raises
        ------
        InputError
            Partial pooling of one group.
        """
        if program.pooling != "partial":
            return []
        seen = int((stats.weight > 0).sum())
        if seen == 1:
            raise InputError(
                f"partial pooling needs at least two groups with a {self.looked_at}: with one, the "
                "data say nothing of the variance between groups"
            )
        if seen <= 3:
            few = {2: "two", 3: "three"}[seen]
            return [
                f"with {few} groups the prior of the {self.spread} decides how much is pooled: "
                "read tau and everything that follows from it as prior, not as data"
            ]
        return []

    def weighted(self, stats: Any, weight: float) -> dict[str, Any]:
        """Raise the likelihood to a power, which the program takes as it is."""
        return {"likelihood_power": weight}

    def pooling_factor(self, stats: Any, tau: FloatArray, error_sd: FloatArray) -> FloatArray:
        """Draws of lambda_j = s / (s + weight_j); 1 for a group of which nothing was seen."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = stats.weight[:, None, None] * (tau / error_sd) ** 2
        return np.asarray(1 / (1 + ratio))

    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program in self.programs and program not in (COMPLETE, NONE):
            return self.exact_alternative(self.base_choice(priors), stats)
        if program not in self.programs:
            raise InputError(
                f"The exact posterior of {program!r} is not known; it is for "
                f"{', '.join(self.programs)}."
            )
        return self.extreme("complete" if program == COMPLETE else "none", stats, priors)

    @abstractmethod
    def limits(self, stats: Any, sizes: FloatArray, share: float) -> tuple[FloatArray, FloatArray]:
        """Ends between which this share of the raw estimates of groups like all would lie.

        The distribution of counts is interpolated between its steps (Spiegelhalter 2005,
        *Statistics in Medicine* 24, 1185-1202, appendix).

        Parameters
        ----------
        stats
            The statistics, of which the value of all groups together is taken.
        sizes
            How much each group is looked at, above 0.
        share
            Probability between the ends.
        """

    def whole_sizes(self, sizes: FloatArray) -> FloatArray:
        """Sizes near these that groups may have."""
        return sizes

    @abstractmethod
    def theta_priors(self, stats: Any) -> Priors:
        """Give the default prior of theta of complete and of no pooling."""

    @abstractmethod
    def theta_conflicts(self, priors: Priors, stats: Any) -> list[str]:
        """Warn where all groups together are in a tail of that prior."""

    @abstractmethod
    def theta_prior(self, priors: Priors) -> Beta | Gamma:
        """That prior, under the settings given."""

    @abstractmethod
    def row_inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """Give the counts by group, those of the groups that are drawn, and a power of 1."""

    @abstractmethod
    def group_predictors(self, stats: Any) -> pd.DataFrame:
        """Estimate each group without priors."""

    simulated: ClassVar[tuple[float, ...]]
    """How much is known of each group in a calibration."""

    simulated_priors: ClassVar[Mapping[str, float]]
    """Settings of theta's prior there."""

    @abstractmethod
    def extreme(
        self, pooling: Literal["complete", "none"], stats: Any, priors: Priors
    ) -> Posterior:
        """Exact posterior of complete or of no pooling."""
