"""Rates with covariates of their groups: log rates about a regression line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from partialpool.families.covariates import Covariates
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.on_a_line import Explained
from partialpool.families.rates.log_normal import LOG_NORMAL, LogNormalFamily, LogNormalRates
from partialpool.types import FloatArray, IntArray


@dataclass(frozen=True)
class ExplainedRates(Explained, LogNormalRates):
    """Rates of each group, and covariates of the groups.

    Attributes
    ----------
    labels, events, exposure
        As of `Rates`.
    explained_by
        Covariates of the groups.
    """

    labels: tuple[str, ...]
    events: IntArray
    exposure: FloatArray
    explained_by: Covariates

    def take(self, at: IntArray) -> ExplainedRates:
        """Return the statistics of some groups; covariates are counted from the same means."""
        found, kept = super().take(at), self.covariates.take(at)
        return ExplainedRates(found.labels, found.events, found.exposure, kept)


class ExplainedRatesFamily(OnALinkedLine, LogNormalFamily):
    """Events in an exposure, Poisson given theta; log rates scatter about a regression line."""

    name = "rates_covariates"
    folder = "rates/covariates"
    model: ClassVar = {**LogNormalFamily.model, "groups": "explained"}
    plain = LOG_NORMAL
    factor, factors, alphas = "rates", "rate ratios", "log rates"
    statistics: ClassVar[type[Any]] = ExplainedRates
    words = replace(
        LogNormalFamily.words, population="a normal population of log rates about the line"
    )


EXPLAINED_RATES = ExplainedRatesFamily()
"""The family of events in an exposure with covariates of their groups."""
