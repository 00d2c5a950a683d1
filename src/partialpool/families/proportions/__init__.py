"""Proportions: successes of trials in groups."""

from partialpool.families.proportions.family import PROPORTIONS
from partialpool.families.proportions.statistics import Proportions, proportions

__all__ = ["PROPORTIONS", "Proportions", "proportions"]
