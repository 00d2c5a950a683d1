"""Rates: events in an exposure, by group."""

from partialpool.families.rates.covariates import EXPLAINED_RATES
from partialpool.families.rates.family import RATES
from partialpool.families.rates.log_normal import LOG_NORMAL
from partialpool.families.rates.statistics import Rates, rates

__all__ = ["EXPLAINED_RATES", "LOG_NORMAL", "RATES", "Rates", "rates"]
