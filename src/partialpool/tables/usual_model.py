"""What another model of the same rows changes: compared with the usual one, both by quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families.protocols import Scoring
from partialpool.fitting import Fit
from partialpool.priors.hyperparameters import Priors
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.tables.scores import sum_error

_COLUMNS = ("mean", "usual_mean", "change", "elpd", "usual_elpd")
_WHOLE = ("assumes", "usual", "elpd_diff", "dse", "log_evidence_diff")


def usual_model_groups(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Hold the groups under a model against what the usual model of the same rows says of them.

    Returns
    -------
    DataFrame
        One row a group: `group`, its size, `mean` and `usual_mean` (exact posterior means of theta
        under partial pooling, in the unit of the data), `change` (the difference in posterior sds
        of the first model), `elpd` and `usual_elpd` (log predictive densities of the group's data
        given those of all others, natural log). Empty where partial pooling was not fitted with the
        shipped programs, or is the usual model.
    """
    both = _posteriors(fits, data)
    if both is None:
        return pd.DataFrame({name: [] for name in ("group", *data.stats.sizes, *_COLUMNS)})
    own, usual = (_theta(posterior) for posterior in both)
    return pd.DataFrame(
        {
            "group": list(data.labels),
            **data.stats.sizes,
            "mean": own["mean"],
            "usual_mean": usual["mean"],
            "change": (own["mean"] - usual["mean"]) / own["sd"],
            "elpd": both[0].leave_one_out(),
            "usual_elpd": both[1].leave_one_out(),
        }
    )


def usual_model(fits: Sequence[Fit], data: GroupedData, groups: pd.DataFrame) -> pd.DataFrame:
    """Score the two models.

    Parameters
    ----------
    fits, data
        Fits, and the data they were made from.
    groups
        What `usual_model_groups` returned.

    Returns
    -------
    DataFrame
        One row, or none: `assumes` and `usual` (what the two have), `elpd_diff` (by how much the
        first predicts a new group better, the sum over groups left out one at a time), `dse` (its
        standard error, by group), `log_evidence_diff` (log of the ratio of the probabilities of
        the data under the two, which depends on the priors).
    """
    both = _posteriors(fits, data) if len(groups) else None
    if both is None:
        return pd.DataFrame({name: [] for name in _WHOLE})
    apart = (groups["elpd"] - groups["usual_elpd"]).to_numpy()
    evidence = both[0].log_marginal_likelihood - both[1].log_marginal_likelihood
    score = (float(apart.sum()), sum_error(apart, len(apart)) if len(apart) > 1 else math.nan)
    return pd.DataFrame([(*data.family.idea, *score, evidence)], columns=list(_WHOLE))


def _posteriors(fits: Sequence[Fit], data: GroupedData) -> tuple[Scoring, Scoring] | None:
    """Exact posteriors of the fitted model and of the usual one."""
    fit = next((fit for fit in fits if fit.pooling == "partial" and is_shipped(fit)), None)
    if fit is None or not data.family.within_reach(data.stats):
        return None
    usual = data.family.usual_posterior(data.stats, Priors(fit.record.priors))
    own = exact_posterior(fit, data) if usual is not None else None
    if not isinstance(own, Scoring) or usual is None:
        return None
    return own, usual


def _theta(posterior: Scoring) -> dict[str, np.ndarray]:
    table = posterior.summary()
    table = table[table["parameter"] == "theta"]
    return {name: table[name].to_numpy(dtype=float) for name in ("mean", "sd")}
