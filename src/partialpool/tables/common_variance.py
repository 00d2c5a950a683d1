"""What no pooling would claim with one variance for all groups.

No pooling and partial pooling of the lesson differ in two things: partial pooling pools the means,
and it pools the variances. The program `no_pooling_common_variance` lies between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.base import COMMON_VARIANCE, NONE
from partialpool.families.exact import CommonVariancePosterior
from partialpool.fitting import Fit
from partialpool.priors.hyperparameters import Priors
from partialpool.tables.exponential import EXCLUDES_ZERO

_COLUMNS = ("program", "criterion", "claims", "pairs")


def claims_by_variance(
    fits: Sequence[Fit], data: GroupedData, contrasts: pd.DataFrame
) -> pd.DataFrame:
    """Count the pairs that differ under no pooling with own variances and with a common one.

    Parameters
    ----------
    fits, data
        Fits, and the data they were made from.
    contrasts
        What `contrasts` returned for them.

    Returns
    -------
    DataFrame
        `program`, `criterion`, `claims` and `pairs` as in `claims`: one row for `no_pooling` and
        one for `no_pooling_common_variance`, whose posterior is exact, under the same priors and
        for the same pairs. Empty where the first was not fitted, or the family has no such program.
    """
    nothing = pd.DataFrame({column: [] for column in _COLUMNS})
    none = next((fit for fit in fits if fit.name == NONE), None)
    if none is None or COMMON_VARIANCE not in data.family.programs:
        return nothing
    if any(fit.pooling == "partial" and "group" in _dims(fit, "sigma") for fit in fits):
        return nothing  # partial pooling has own variances, too
    pairs = contrasts[contrasts["model"] == NONE]
    try:
        posterior = data.family.exact_posterior(
            COMMON_VARIANCE, data.stats, Priors(none.record.priors)
        )
    except InputError:
        return nothing
    if not isinstance(posterior, CommonVariancePosterior) or pairs.empty:
        return nothing
    at = {label: j for j, label in enumerate(data.labels)}
    below = [
        float(posterior.coarse.contrast(at[first], at[second]).cdf(0.0)[0])
        for first, second in zip(pairs["group_i"], pairs["group_j"], strict=True)
    ]
    rows = [
        (NONE, int(pairs["interval_excludes_zero"].sum())),
        (COMMON_VARIANCE, sum(min(p, 1 - p) < 0.025 for p in below)),
    ]
    return pd.DataFrame(
        [(model, EXCLUDES_ZERO, count, len(pairs)) for model, count in rows], columns=list(_COLUMNS)
    )


def _dims(fit: Fit, name: str) -> tuple[object, ...]:
    return fit.posterior[name].dims if name in fit.posterior else ()
