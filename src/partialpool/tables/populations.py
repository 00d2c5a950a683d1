"""Does it matter which population the groups come from? Other models of the same rows, exactly.

What is assumed of the population cannot be read off few groups. Where the posterior under each
assumption is known by quadrature, how well it predicts a group that is left out, and how far it
moves the estimates, are known without another fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families import FAMILIES
from partialpool.families.base import MARGINAL, Family
from partialpool.families.protocols import Scoring
from partialpool.fitting import Fit
from partialpool.priors.hyperparameters import Priors
from partialpool.tables.exactness import MOST_GROUPS, is_shipped
from partialpool.tables.scores import sum_error
from partialpool.types import FloatArray

COLUMNS = (
    *("population", "of_fit", "elpd", "elpd_diff", "dse", "log_marginal"),
    *("largest_movement", "moved", "estimate", "own_estimate"),
)


@runtime_checkable
class Comparable(Scoring, Protocol):
    """An exact posterior with what populations are compared by."""

    def group_moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of theta of each group, shape (J,) each."""
        ...


def populations(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare the population of a fit with the others that there are for the same rows.

    Priors are those of the fit for its own population, and the default ones for the others.

    Returns
    -------
    DataFrame
        One row a population, that of the fit first: `population`, `of_fit`, `elpd` (log predictive
        density of each group given all others, added up), `elpd_diff` (minus that of the fit's own
        population), `dse` (its standard error over groups), `log_marginal` (log marginal
        likelihood, which the priors decide on too), `largest_movement` (of a group's posterior
        mean from that of the fit's population, in its posterior sds there, with its sign), `moved`
        (that group), `estimate` and `own_estimate` (its posterior means, in the unit of the data).
        Empty where there is no fit of a shipped program of partial pooling, no other population of
        which this is known, or more groups than are verified.
    """
    fit = next((f for f in fits if f.pooling == "partial" and is_shipped(f)), None)
    if fit is None or not data.family.knows_exactly(fit.name):
        return pd.DataFrame(columns=list(COLUMNS))
    if data.stats.J > MOST_GROUPS or data.stats.J < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    own = data.family.exact_posterior(fit.name, data.stats, Priors(fit.record.priors))
    if not isinstance(own, Comparable):
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [_row(data.family, own, own, data)]
    for family in others(data.family):
        stats = family.statistics(data.labels, **data.stats.columns)
        posterior = family.exact_posterior(MARGINAL, stats, family.default_priors(stats))
        if isinstance(posterior, Comparable):
            rows.append(_row(family, posterior, own, data))
    return pd.DataFrame(rows if len(rows) > 1 else [], columns=list(COLUMNS))


def others(family: Family) -> list[Family]:
    """Families of the same rows that differ in nothing but the population."""

    def rest(of: Family) -> dict[str, str]:
        return {about: name for about, name in of.model.items() if about != "population"}

    return [
        each
        for each in FAMILIES.values()
        if each.reads == family.reads and each is not family and rest(each) == rest(family)
    ]


def _row(
    family: Family, found: Comparable, own: Comparable, data: GroupedData
) -> dict[str, object]:
    scores = found.leave_one_out()
    apart = scores - own.leave_one_out()
    (mean, _), (center, sd) = found.group_moments(), own.group_moments()
    movement = (mean - center) / sd
    at = int(np.argmax(np.abs(movement)))
    same = found is own
    return {
        "population": family.model["population"],
        "of_fit": same,
        "elpd": float(scores.sum()),
        "elpd_diff": float(apart.sum()),
        "dse": 0.0 if same else sum_error(apart, data.stats.J),
        "log_marginal": found.log_marginal_likelihood,
        "largest_movement": 0.0 if same else float(movement[at]),
        "moved": "" if same else data.labels[at],
        "estimate": np.nan if same else float(mean[at]),
        "own_estimate": np.nan if same else float(center[at]),
    }
