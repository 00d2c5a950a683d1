"""Rates whose logarithms come from a normal population."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from partialpool.families.linked.family import LinkedFamily
from partialpool.families.linked.kind import LinkedKind
from partialpool.families.linked.likelihoods import POISSON
from partialpool.families.rates.rows import RatesRows
from partialpool.families.rates.statistics import Rates


@dataclass(frozen=True)
class LogNormalRates(Rates):
    """Events and exposure of each group, whose log rates come from a normal population."""

    kind = LinkedKind(POISSON)


class LogNormalFamily(LinkedFamily, RatesRows):
    """Events in an exposure, Poisson given theta, whose logarithm is normal in the population."""

    name = "rates_log_normal"
    folder = "rates/log_normal"
    model: ClassVar = {"population": "log_normal"}
    statistics: ClassVar[type[Any]] = LogNormalRates
    words = replace(RatesRows.words, population="a normal population of log rates")
    likelihood = POISSON
    counted = "events"


LOG_NORMAL = LogNormalFamily()
"""The family of events in an exposure with a log-normal population."""
