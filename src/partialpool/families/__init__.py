"""Families: what a row of data says of its group's parameter theta.

In: checked rows. Out: the statistics that suffice, default priors, starting values, the algebra of
theta given the population, classical companions, and the exact posterior where there is one. One
file a family; `exact` integrates.
"""

from partialpool.families.known_errors import KNOWN_ERRORS
from partialpool.families.normal import NORMAL
from partialpool.families.proportions import PROPORTIONS
from partialpool.families.rates import RATES

FAMILIES = {family.name: family for family in (NORMAL, KNOWN_ERRORS, PROPORTIONS, RATES)}
"""Every family, by its name."""

FAMILY_SETTINGS = frozenset(name for family in FAMILIES.values() for name in family.settings)
"""Prior settings of the shipped programs of all families."""

__all__ = ["FAMILIES", "FAMILY_SETTINGS", "KNOWN_ERRORS", "NORMAL", "PROPORTIONS", "RATES"]
