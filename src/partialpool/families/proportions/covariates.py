"""Proportions with covariates of their groups: logits about a regression line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from partialpool.families.covariates import Covariates
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.on_a_line import Explained
from partialpool.families.proportions.logit_normal import (
    LOGIT_NORMAL,
    LogitNormalFamily,
    LogitNormalProportions,
)
from partialpool.types import IntArray


@dataclass(frozen=True)
class ExplainedProportions(Explained, LogitNormalProportions):
    """Proportions of each group, and covariates of the groups.

    Attributes
    ----------
    labels, successes, trials
        As of `Proportions`.
    explained_by
        Covariates of the groups.
    """

    labels: tuple[str, ...]
    successes: IntArray
    trials: IntArray
    explained_by: Covariates

    def take(self, at: IntArray) -> ExplainedProportions:
        """Return the statistics of some groups; covariates are counted from the same means."""
        found, kept = super().take(at), self.covariates.take(at)
        return ExplainedProportions(found.labels, found.successes, found.trials, kept)


class ExplainedProportionsFamily(OnALinkedLine, LogitNormalFamily):
    """Successes of trials, binomial given theta; logits scatter about a regression line."""

    name = "proportions_covariates"
    folder = "proportions/covariates"
    model: ClassVar = {**LogitNormalFamily.model, "groups": "explained"}
    plain = LOGIT_NORMAL
    factor, factors, alphas = "odds", "odds ratios", "logits"
    statistics: ClassVar[type[Any]] = ExplainedProportions
    words = replace(
        LogitNormalFamily.words, population="a normal population of logits about the line"
    )


EXPLAINED_PROPORTIONS = ExplainedProportionsFamily()
"""The family of successes of trials with covariates of their groups."""
