"""The Bayes factor of equal effects: tau = 0 against the prior of tau, and against other priors."""

from __future__ import annotations

import math

import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.protocols import TestingSpread
from partialpool.priors.choices import Choice
from partialpool.priors.hyperparameters import Priors

_COLUMNS = ("choice", "priors", "log_bayes_factor", "bayes_factor")


def check(data: GroupedData, priors: Priors) -> None:
    """Refuse data of which the Bayes factor is not known.

    Raises
    ------
    InputError
        The exact posterior of the data's family does not tell it, or there is one group.
    """
    _of_choice(data.family.base_choice(priors), data)
    if data.stats.J == 1:
        raise InputError("--bayes-factor: one group has no spread to test; leave the option out")


def bayes_factors(data: GroupedData, priors: Priors) -> pd.DataFrame:
    """Compare equal effects with effects that spread, under each named choice of priors.

    Parameters
    ----------
    data, priors
        The data, and the prior settings from which the base choice is made.

    Returns
    -------
    DataFrame
        One row a choice, the base first: `choice` (its name), `priors` (in words),
        `log_bayes_factor` (natural logarithm of p(y | tau = 0) / p(y)) and `bayes_factor` (its
        exponential: above 1 the data speak for equal effects; infinite or 0 where it overflows).
        The numbers are exact, by quadrature, and have no unit.

    Raises
    ------
    InputError
        As from `check`.

    Notes
    -----
    Both models have the same prior of mu. The prior of tau decides much: the wider it is, the more
    of it lies where the data are improbable, and the more they speak for tau = 0 (Kass and Raftery
    1995, *Journal of the American Statistical Association* 90, 773-795).
    """
    rows = []
    for choice in data.family.named_choices(data.stats, priors).values():
        log = _of_choice(choice, data)
        factor = math.exp(log) if log < 700 else math.inf
        rows.append((choice.name, choice.describe(), log, factor))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _of_choice(choice: Choice, data: GroupedData) -> float:
    posterior = data.family.exact_alternative(choice, data.stats)
    if not isinstance(posterior, TestingSpread):
        if data.family.mixture:
            raise InputError(
                f"--bayes-factor: it is not known with {data.family.mixture}; leave the option out"
            )
        raise InputError(
            f"--bayes-factor: it is not known of {data.words.rows} without a known standard "
            "error; leave the option out"
        )
    return posterior.log_bayes_factor_of_no_spread
