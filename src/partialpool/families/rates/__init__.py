"""Rates: events in an exposure, by group."""

from partialpool.families.rates.family import RATES
from partialpool.families.rates.statistics import Rates, rates

__all__ = ["RATES", "Rates", "rates"]
