"""Families: what a row of data says of its group's parameter theta.

In: checked rows. Out: the statistics that suffice, default priors, starting values, the algebra of
theta given the population, classical companions, and the exact posterior where there is one. One
file a family; `exact` integrates.
"""

from collections.abc import Mapping

from partialpool.errors import InputError
from partialpool.families.base import Family
from partialpool.families.known_errors import KNOWN_ERRORS
from partialpool.families.meta_regression import META_REGRESSION
from partialpool.families.nested import KNOWN_ERRORS_NESTED, NESTED
from partialpool.families.normal import NORMAL
from partialpool.families.normal_adjusted import ADJUSTED_OBSERVATIONS
from partialpool.families.normal_covariates import EXPLAINED_OBSERVATIONS
from partialpool.families.own_spread import OWN_SPREAD
from partialpool.families.proportions import EXPLAINED_PROPORTIONS, LOGIT_NORMAL, PROPORTIONS
from partialpool.families.rates import EXPLAINED_RATES, LOG_NORMAL, RATES
from partialpool.families.student_t import STUDENT_T_EFFECTS
from partialpool.families.student_t_errors import STUDENT_T_ERRORS
from partialpool.families.student_t_means import STUDENT_T_MEANS
from partialpool.families.weighted import WEIGHTED

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        *(NORMAL, OWN_SPREAD, STUDENT_T_MEANS, STUDENT_T_ERRORS, EXPLAINED_OBSERVATIONS),
        *(ADJUSTED_OBSERVATIONS, NESTED, WEIGHTED),
        *(KNOWN_ERRORS, STUDENT_T_EFFECTS, META_REGRESSION, KNOWN_ERRORS_NESTED),
        *(PROPORTIONS, LOGIT_NORMAL, EXPLAINED_PROPORTIONS),
        *(RATES, LOG_NORMAL, EXPLAINED_RATES),
    )
}
"""Every family, by its name."""

FAMILY_SETTINGS = frozenset(name for family in FAMILIES.values() for name in family.settings)
"""Prior settings of the shipped programs of all families."""

__all__ = [
    "ADJUSTED_OBSERVATIONS",
    "EXPLAINED_OBSERVATIONS",
    "FAMILIES",
    "FAMILY_SETTINGS",
    "KNOWN_ERRORS",
    "KNOWN_ERRORS_NESTED",
    "META_REGRESSION",
    "NESTED",
    "NORMAL",
    "OWN_SPREAD",
    "PROPORTIONS",
    "RATES",
    "STUDENT_T_EFFECTS",
    "STUDENT_T_ERRORS",
    "STUDENT_T_MEANS",
    "WEIGHTED",
    "chosen",
]


def chosen(family: Family, asked: Mapping[str, str]) -> Family:
    """Find the family of the same rows whose model is the one asked for.

    Parameters
    ----------
    family
        Any family of these rows.
    asked
        What is assumed, by what it is about: `population`, `spread` or `errors`. What is not asked
        for is as in the family that reads the rows.

    Raises
    ------
    InputError
        There is no such model; with those that there are.
    """
    alike = [each for each in FAMILIES.values() if each.reads == family.reads]
    usual = FAMILIES[family.reads].model
    for each in alike:
        if each.model == {**usual, **asked}:
            return each
    for about, name in asked.items():
        options = sorted({each.model.get(about, "") for each in alike} - {""})
        if name not in options:
            data = FAMILIES[family.reads].words.data
            raise InputError(
                f"--{about} {name}: of {data} the choices are {', '.join(options)}"
                if options
                else f"--{about}: of {data} there is no choice; leave it out"
            )
    together = " with ".join(f"--{about} {name}" for about, name in asked.items())
    raise InputError(f"{together}: there is no model of both; choose one of them")
