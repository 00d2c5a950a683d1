"""Proportions: successes of trials in groups."""

from partialpool.families.proportions.covariates import EXPLAINED_PROPORTIONS
from partialpool.families.proportions.family import PROPORTIONS
from partialpool.families.proportions.logit_normal import LOGIT_NORMAL
from partialpool.families.proportions.statistics import Proportions, proportions

__all__ = ["EXPLAINED_PROPORTIONS", "LOGIT_NORMAL", "PROPORTIONS", "Proportions", "proportions"]
