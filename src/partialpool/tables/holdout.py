"""How well later outcomes of the same groups were predicted: counts that no fit has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.normality import OBSERVATIONS
from partialpool.tables import variables
from partialpool.tables.scores import sum_error
from partialpool.types import FloatArray, IntArray

_GROUPS = (*("model", "group", "later", "size", "mean", "q2.5", "q97.5", "log_score", "below"),)
_SUMMARY = (
    *("model", "groups", "log_score", "se", "log_score_diff", "dse", "rmse"),
    *("within_50", "within_95"),
)


def matched(data: GroupedData, later: GroupedData) -> tuple[IntArray, GroupedData]:
    """Find the groups of which there are later outcomes.

    Returns
    -------
    array, GroupedData
        Indices into the groups of the data, and the later outcomes of these groups in their order.

    Raises
    ------
    InputError
        Outcomes of another kind, or of no group of the data.
    """
    if data.family.gaussian or later.family.reads != data.family.reads:
        raise InputError(
            f"--holdout: {later.name} holds {later.words.data} of the kind {later.family.name}, "
            f"and {data.name} {data.words.data} of the kind {data.family.name}; later outcomes are "
            "scored of proportions or rates, in the columns of the data"
        )
    index = {label: j for j, label in enumerate(later.labels)}
    own = [(j, index[label]) for j, label in enumerate(data.labels) if label in index]
    own = [(j, k) for j, k in own if later.stats.weight[k] > 0]
    if not own:
        raise InputError(
            f"--holdout: {later.name} has no outcome of a group of {data.name}; its groups are "
            f"{', '.join(later.labels[:5])}"
        )
    at, place = (np.array(part, dtype=np.int64) for part in zip(*own, strict=True))
    stats = later.stats.take(place)
    counts = GroupedData(
        name=later.name, y=stats.raw, group=np.arange(stats.J), stats=stats, family=later.family
    )
    return at, counts


def groups(fits: Sequence[Fit], data: GroupedData, later: GroupedData) -> pd.DataFrame:
    """Hold the predictions of each model against later outcomes, group by group.

    Returns
    -------
    DataFrame
        One row a model and group with later outcomes: `model`, `group`, `later` (the later
        proportion or rate), `size` (trials or exposure that it is of), `mean` (predicted, the
        posterior mean of theta), `q2.5`, `q97.5` (ends of the central 95 % of predicted proportions
        or rates of that size), `log_score` (log predictive probability of the later count),
        `below`: predictive probability of a smaller count, the same one counted half.
    """
    at, own = matched(data, later)
    size = own.stats.weight
    frames = []
    for fit in fits:
        theta = variables.theta(fit, data)
        if theta is None or not fit.keeps(OBSERVATIONS):
            continue
        theta = theta[at]
        log_p = data.family.log_outcome(own.stats, theta)
        drawn = data.family.replicate_given(own.stats, theta, np.random.default_rng(1))
        seen = own.stats.raw[:, None, None]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=(1, 2), method="inverted_cdf")
        smaller = (drawn < seen).mean((1, 2)) + 0.5 * (drawn == seen).mean((1, 2))
        about = {
            "model": fit.name,
            "group": [data.labels[j] for j in at],
            "later": own.stats.raw,
            "size": size,
            "mean": theta.mean((1, 2)),
            "q2.5": low,
            "q97.5": high,
            "log_score": special.logsumexp(log_p, axis=(1, 2)) - math.log(theta[0].size),
            "below": smaller,
        }
        frames.append(pd.DataFrame(about))
    return variables.stacked(frames, _GROUPS)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the models over all groups.

    Parameters
    ----------
    table
        What `groups` returned.

    Returns
    -------
    DataFrame
        One row a model, best first: `model`, `groups`, `log_score` (sum over the groups, natural
        logarithm; higher is better) with its standard error `se`, `log_score_diff` (minus that of
        the best) with `dse`, `rmse` (root of the mean squared difference between posterior mean and
        later outcome, in the unit of the data), `within_50`, `within_95` (share of later outcomes
        inside the central 50 and 95 % of what was predicted).
    """
    rows, pointwise = [], []
    for name, part in table.groupby("model", sort=False):
        score = part["log_score"].to_numpy(dtype=float)
        below = part["below"].to_numpy(dtype=float)
        off = part["mean"].to_numpy(dtype=float) - part["later"].to_numpy(dtype=float)
        rows.append(
            {
                "model": name,
                "groups": len(part),
                "log_score": float(score.sum()),
                "se": sum_error(score, len(score)),
                "rmse": math.sqrt(float((off**2).mean())),
                "within_50": _inside(below, 0.5),
                "within_95": _inside(below, 0.95),
            }
        )
        pointwise.append(score)
    if not rows:
        return variables.stacked([], _SUMMARY)
    best = int(np.argmax([score.sum() for score in pointwise]))
    for row, score in zip(rows, pointwise, strict=True):
        apart = score - pointwise[best]
        row |= {"log_score_diff": float(apart.sum()), "dse": sum_error(apart, len(apart))}
    frame = pd.DataFrame(rows)[list(_SUMMARY)]
    return frame.sort_values("log_score", ascending=False, kind="stable").reset_index(drop=True)


def _inside(below: FloatArray, level: float) -> float:
    return float((np.abs(below - 0.5) <= 0.5 * level).mean())
