"""Fits -> tables that compare groups with each other: differences, claims and ranks.

Both grow with the square of the number of groups. Up to `LIMIT` groups all are shown; with more,
those that the caller names, or the `limit` groups with the largest posterior means (under the
first model that pools partially, so that every model shows the same ones).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.summarize import (
    covariance_of_means,
    means,
    quantiles,
    sample_quantiles,
    usable,
)
from partialpool.tables import variables
from partialpool.tables.exponential import EXCLUDES_ZERO
from partialpool.types import FloatArray

LIMIT = 200
"""Most groups that the tables of pairs and of ranks show unasked."""

RATIOS = 100
"""Most groups of which ratios of all pairs are computed."""

CLAIM = 0.95
"""Probability from which a claim about one difference counts as made."""

_CENTRAL = (0.025, 0.975)
_ENDS = {"": 0.5, "_q2.5": 0.025, "_q97.5": 0.975}
_SCALES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "ratio": np.log,
    "odds_ratio": special.logit,
}


def contrasts(
    fits: Sequence[Fit],
    data: GroupedData,
    *,
    delta: float | None = None,
    groups: Sequence[str] | None = None,
    limit: int = LIMIT,
) -> pd.DataFrame:
    """Compare all pairs of groups, under each model that has a mean for each group.

    Whether two marginal intervals overlap is not a test of the difference: two intervals may
    overlap while the interval of the difference excludes 0. The table holds both.

    Parameters
    ----------
    delta
        Half-width of the region of practical equivalence, in the unit of the data.
    groups
        Labels of the groups to compare; all where None.
    limit
        With more groups than this and `groups` None, only the `limit` groups with the largest
        posterior means are compared.

    Returns
    -------
    DataFrame
        One row a model and pair (i before j in the order of the data); u is the unit of the
        data.

        - `model`, `group_i`, `group_j`;
        - `mean` (u): posterior mean of theta_i - theta_j;
        - `mcse` (u): its Monte Carlo standard error, by batch means (Vats, Flegal and Jones
          2019, *Biometrika* 106, 321-337), which serve all pairs at once;
        - `q2.5`, `q97.5` (u): central 95 % interval of the difference;
        - `p_greater`: P(theta_i > theta_j);
        - `p_equivalent`: P(|theta_i - theta_j| < delta); NaN without `delta`;
        - `marginal_overlap`: whether the central 95 % intervals of theta_i and of theta_j
          overlap;
        - `interval_excludes_zero`: whether the 95 % interval of the difference excludes 0.

        For probabilities and rates also `ratio`, `ratio_q2.5`, `ratio_q97.5`: median and central
        95 % interval of theta_i / theta_j, and for probabilities `odds_ratio` and so on: the same
        of the odds theta / (1 - theta); NaN beyond `RATIOS` groups.

        Pairs with draws that are not finite have NaN numbers, and both flags say that nothing
        was found (overlap, 0 not excluded).

    Raises
    ------
    InputError
        An unknown label in `groups`, or a `delta` that is not above 0.
    """
    if delta is not None and not delta > 0:
        raise InputError(f"delta = {delta}: the region of equivalence needs a half-width above 0")
    columns: tuple[str, ...] = (
        "model",
        "group_i",
        "group_j",
        "mean",
        "mcse",
        "q2.5",
        "q97.5",
        "p_greater",
        "p_equivalent",
        "marginal_overlap",
        "interval_excludes_zero",
    )
    columns += tuple(f"{name}{end}" for name in data.family.ratios for end in _ENDS)
    frames = []
    chosen = variables.compared(fits, data, groups=groups, limit=limit)
    labels = np.array([data.labels[j] for j in chosen], dtype=object)
    for fit in fits:
        theta = variables.by_group(fit, data, "theta")
        if theta is None or not _separate(fit, theta, data):
            continue
        ratios = data.family.ratios if len(chosen) <= RATIOS else ()
        found = _pairs(theta[chosen], delta, ratios=ratios)
        first, second = found.pop("first"), found.pop("second")
        about = {"model": fit.name, "group_i": labels[first], "group_j": labels[second]}
        frames.append(pd.DataFrame({**about, **found}))
    return variables.stacked(frames, columns)


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """Count the pairs that each criterion would call different, under each model.

    Parameters
    ----------
    table
        What `contrasts` returned.

    Returns
    -------
    DataFrame
        One row a model and criterion: `model`, `criterion`, `claims` (pairs that meet it),
        `pairs` (pairs compared). The criteria, from strict to lax:

        - "marginal 95 % intervals do not overlap": the criterion of the lesson. Not a test of
          the difference; it is stricter than the next one where the two means are independent;
        - "95 % interval of the difference excludes 0": the same as a direction with posterior
          probability above 0.975;
        - "P(direction) > 0.95": P(theta_i > theta_j) or P(theta_i < theta_j) above 0.95;
        - "P(practically equal) > 0.95": the opposite claim, only where `contrasts` was given a
          `delta`.
    """
    rows = []
    for model, part in table.groupby("model", sort=False):
        direction = np.maximum(part["p_greater"], 1 - part["p_greater"])
        counts = {
            "marginal 95 % intervals do not overlap": (~part["marginal_overlap"]).sum(),
            EXCLUDES_ZERO: part["interval_excludes_zero"].sum(),
            f"P(direction) > {CLAIM}": (direction > CLAIM).sum(),
        }
        if part["p_equivalent"].notna().any():
            counts[f"P(practically equal) > {CLAIM}"] = (part["p_equivalent"] > CLAIM).sum()
        rows += [
            {"model": model, "criterion": criterion, "claims": int(count), "pairs": len(part)}
            for criterion, count in counts.items()
        ]
    return pd.DataFrame(rows, columns=["model", "criterion", "claims", "pairs"])


def ranks(
    fits: Sequence[Fit],
    data: GroupedData,
    *,
    groups: Sequence[str] | None = None,
    limit: int = LIMIT,
) -> pd.DataFrame:
    """Posterior probability of each rank of each group.

    Parameters
    ----------
    groups
        Labels of the groups to show; all where None. Ranks are always among all groups.
    limit
        With more groups than this and `groups` None, only the `limit` groups with the largest
        posterior means are shown.

    Returns
    -------
    DataFrame
        One row a model, group and rank: `model`, `group`, `rank` (1 = the largest theta),
        `probability` (share of the draws; they add to 1 over the ranks of a group, and over the
        groups of a rank). With more than `limit` groups in the data, rows of probability 0 are
        left out. Draws that are not finite give no rows.

    Raises
    ------
    InputError
        An unknown label in `groups`.

    Notes
    -----
    Ranking within each draw: Goldstein and Spiegelhalter (1996), *Journal of the Royal
    Statistical Society A* 159, 385-443.
    """
    J = data.stats.J
    chosen = variables.compared(fits, data, groups=groups, limit=limit)
    frames = []
    for fit in fits:
        ranked = _ranked(fit, data)
        if ranked is None:
            continue
        flat = ranked[chosen].reshape(len(chosen), -1)
        for j, row in zip(chosen, flat, strict=True):
            probability = np.bincount(row, minlength=J + 1)[1:] / row.size
            shown = np.arange(J) if limit >= J else np.flatnonzero(probability)
            about = {"model": fit.name, "group": data.labels[j]}
            rank = {"rank": shown + 1, "probability": probability[shown]}
            frames.append(pd.DataFrame({**about, **rank}))
    return variables.stacked(frames, ("model", "group", "rank", "probability"))


def rank_summary(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Expected rank of each group, with its uncertainty.

    Returns
    -------
    DataFrame
        One row a model and group: `model`, `group`, `expected_rank` (posterior mean of the rank,
        1 = the largest theta) and its Monte Carlo standard error `mcse`, `rank_q2.5`,
        `rank_q97.5` (the 2.5 % and 97.5 % quantiles of the rank, whole numbers), `p_best`
        (P(rank 1), the largest) and `p_worst` (P(rank J), the smallest). Draws that are not
        finite give no rows.
    """
    columns = (
        "model",
        "group",
        "expected_rank",
        "mcse",
        "rank_q2.5",
        "rank_q97.5",
        "p_best",
        "p_worst",
    )
    J = data.stats.J
    frames = []
    for fit in fits:
        ranked = _ranked(fit, data)
        if ranked is None:
            continue
        mean, mcse = means(ranked.astype(np.float64))
        flat = ranked.reshape(J, -1)
        low, high = np.quantile(flat, _CENTRAL, axis=1, method="inverted_cdf")
        rows: dict[str, Any] = {
            "model": fit.name,
            "group": list(data.labels),
            "expected_rank": mean,
            "mcse": mcse,
            "rank_q2.5": low.astype(np.int64),
            "rank_q97.5": high.astype(np.int64),
            "p_best": (flat == 1).mean(axis=1),
            "p_worst": (flat == J).mean(axis=1),
        }
        frames.append(pd.DataFrame(rows))
    return variables.stacked(frames, columns)


def _pairs(
    theta: FloatArray, delta: float | None, *, ratios: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Compare all pairs of rows, one first group at a time: memory grows with J, not J^2."""
    J = len(theta)
    first, second = np.triu_indices(J, k=1)
    flat = theta.reshape(J, -1)
    finite, _ = usable(theta)
    mean = np.full(J, np.nan)
    mean[finite] = flat[finite].mean(axis=1)
    covariance = covariance_of_means(np.where(finite[:, None, None], theta, np.nan))
    own = np.diag(covariance)
    edges = quantiles(theta, ("q2.5", "q97.5"))
    found = {
        name: np.full(len(first), np.nan)
        for name in ("mean", "mcse", "q2.5", "q97.5", "p_greater", "p_equivalent")
    }
    with np.errstate(divide="ignore"):
        scales = {name: _SCALES[name](flat) for name in ratios}
    found |= {f"{name}{end}": np.full(len(first), np.nan) for name in ratios for end in _ENDS}
    found["mean"] = mean[first] - mean[second]
    error = own[first] + own[second] - 2 * covariance[first, second]
    found["mcse"] = np.sqrt(np.maximum(error, 0))
    start = 0
    for i in range(J - 1):
        rows = slice(start, start + J - 1 - i)
        start = rows.stop
        if not finite[i]:
            continue
        keep = finite[i + 1 :]
        difference = flat[i] - flat[i + 1 :][keep]
        at = sample_quantiles(difference, _CENTRAL)
        found["q2.5"][rows][keep], found["q97.5"][rows][keep] = at
        found["p_greater"][rows][keep] = (difference > 0).mean(axis=1)
        for name, values in scales.items():
            with np.errstate(invalid="ignore"):
                apart_by = values[i] - values[i + 1 :][keep]
            at = np.exp(sample_quantiles(apart_by, list(_ENDS.values())))
            for end, row in zip(_ENDS, at, strict=True):
                found[f"{name}{end}"][rows][keep] = row
        if delta is not None:
            found["p_equivalent"][rows][keep] = (np.abs(difference) < delta).mean(axis=1)
    low, high = edges["q2.5"], edges["q97.5"]
    apart = (low[first] > high[second]) | (low[second] > high[first])
    excludes = (found["q2.5"] > 0) | (found["q97.5"] < 0)
    return {
        "first": first,
        "second": second,
        **found,
        "marginal_overlap": ~apart,
        "interval_excludes_zero": excludes,
    }


def _ranked(fit: Fit, data: GroupedData) -> NDArray[np.int64] | None:
    """Ranks of the groups in each draw, shape (J, chain, draw), 1 for the largest theta."""
    theta = variables.by_group(fit, data, "theta")
    if theta is None or not _separate(fit, theta, data) or not usable(theta)[0].all():
        return None
    order = np.argsort(-theta, axis=0, kind="stable")
    ranked = np.empty_like(order)
    np.put_along_axis(ranked, order, np.arange(1, len(theta) + 1)[:, None, None], axis=0)
    return ranked


def _separate(fit: Fit, theta: FloatArray, data: GroupedData) -> bool:
    """Whether the model has a mean for each group (two groups at least)."""
    return fit.pooling != "complete" and len(theta) == data.stats.J > 1
