"""How well do the models predict? Two cross-validation scores for two questions.

PSIS-LOO scores a new observation in a group that is known;
leaving out one group at a time scores a whole new group. No pooling can answer the first and
has nothing but its prior for the second.

Where a program does not generate its own pointwise log likelihood, the observations are taken
as normal around theta, with sd sigma, and groups as normal around mu, with sd tau, as in the
shipped programs. A program with another likelihood should generate `log_lik`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.base import LeavingOut
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL, OBSERVATIONS, PRIOR
from partialpool.tables import variables
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.tables.importance import draws_of, k_threshold, leave_out, relative_ess
from partialpool.types import FloatArray, IntArray

NEW_OBSERVATION = "a new observation in a known group"
NEW_GROUP = "a new group"
"""The questions that the two scores answer."""

LIMIT = 1000
"""Most observations that leave-one-out scores unasked; each takes about a millisecond."""

EXACT = "exact, by quadrature"
LEARNS_NOTHING = "its prior alone: no pooling learns nothing about a new group"

_LOG_2_PI = math.log(2 * math.pi)
_CHUNK = 2_000_000
_SMALL = 4.0
_COMPARISON = (
    "model",
    "question",
    "elpd",
    "se",
    "elpd_diff",
    "dse",
    "p_loo",
    "max_k",
    "bad_k",
    "advice",
)


@dataclass(frozen=True)
class LooSummary:
    """Leave-one-out score of one model.

    Attributes
    ----------
    elpd
        Expected log predictive density, summed over the observations (natural log); higher is
        better. It depends on the unit of the data, differences between models do not.
    se
        Its standard error over observations.
    p_loo
        Effective number of parameters: how much better the model describes the data than it
        predicts them.
    n_bad_k
        Observations whose Pareto k is above `threshold` or cannot be computed.
    threshold
        Largest reliable k for this number of draws.
    scored
        Observations left out in turn: all, or a random sample of them.
    """

    elpd: float
    se: float
    p_loo: float
    n_bad_k: int
    threshold: float
    scored: int


class Loo(NamedTuple):
    """What `loo` returns: `summary` and, by observation, `pointwise`."""

    summary: LooSummary
    pointwise: pd.DataFrame


class LeftOut(NamedTuple):
    """What `leave_one_group_out` returns: `summary` by model, `groups` by model and group."""

    summary: pd.DataFrame
    groups: pd.DataFrame


def log_likelihood(fit: Fit, data: GroupedData) -> FloatArray:
    """Log likelihood of each observation in each draw.

    Taken from the fit where the program generated it (`log_lik`), otherwise computed as
    log normal(y_i | theta_j, sigma_j) for the group j of observation i, with the scalar theta
    or sigma where there is only one.

    Returns
    -------
    array
        Shape (N, chain, draw), natural log of a density in one over the unit of the data.

    Raises
    ------
    InputError
        The fit has no log likelihood, and theta or sigma is missing too.
    """
    every = np.arange(data.stats.N)
    return next(_log_likelihood(fit, data, every, chunk=data.stats.N))


def loo(fit: Fit, data: GroupedData, *, limit: int = LIMIT) -> Loo:
    """Score the prediction of a new observation in a known group, by PSIS-LOO.

    Each observation is left out in turn by weighting the draws with the inverse of its
    likelihood, the largest weights smoothed by a generalized Pareto distribution. Its shape k
    says whether that worked: above the threshold the score of that observation is unreliable,
    usually too good. Then fit again without these observations, or compare by K-fold
    cross-validation; a high k also marks observations that surprise the model.

    Parameters
    ----------
    limit
        With more observations than this, a random sample of so many is scored (the same one for
        every model) and the sums are scaled up; the standard errors grow accordingly.

    Returns
    -------
    Loo
        `summary`, see `LooSummary`, and `pointwise` with one row an observation scored:
        `observation` (from 1, in the order of the data), `group` (label), `elpd` (log predictive
        density without it, natural log), `k` (Pareto shape; NaN where it cannot be computed).

    Raises
    ------
    InputError
        The fit has no log likelihood, and theta or sigma is missing too.

    Notes
    -----
    Vehtari, Gelman and Gabry (2017), *Statistics and Computing* 27, 1413-1432; smoothing and
    diagnostic as in Vehtari et al. (2024), see `k_threshold`. The tail is chosen with the mean
    relative ESS of the posterior's variables.
    """
    scored, total = _sampled(data.stats.N, limit), data.stats.N
    r_eff = relative_ess(fit)
    parts = [leave_out(block, r_eff=r_eff) for block in _log_likelihood(fit, data, scored)]
    elpd, p_loo, k = (np.concatenate(part) for part in zip(*parts, strict=True))
    threshold = k_threshold(draws_of(fit))
    pointwise = pd.DataFrame(
        {
            "observation": scored + 1,
            "group": np.array(data.labels, dtype=object)[data.group[scored]],
            "elpd": elpd,
            "k": k,
        }
    )
    summary = LooSummary(
        elpd=total * float(elpd.mean()),
        se=_sum_error(elpd, total),
        p_loo=total * float(p_loo.mean()),
        n_bad_k=_bad(k, threshold),
        threshold=threshold,
        scored=len(scored),
    )
    return Loo(summary, pointwise)


def loo_by_model(fits: Sequence[Fit], data: GroupedData, *, limit: int = LIMIT) -> dict[str, Loo]:
    """Score every model that has a log likelihood: its name to what `loo` returns."""
    return {fit.name: loo(fit, data, limit=limit) for fit in fits if _has_likelihood(fit, data)}


def compare_loo(
    fits: Sequence[Fit],
    data: GroupedData,
    *,
    limit: int = LIMIT,
    scores: Mapping[str, Loo] | None = None,
) -> pd.DataFrame:
    """Compare models by how well they predict a new observation in a known group.

    Parameters
    ----------
    limit
        Most observations that are scored: see `loo`.
    scores
        What `loo_by_model` returned for these fits, to spare computing it again.

    Returns
    -------
    DataFrame
        One row a model, best first; models without a log likelihood are left out.

        - `model`;
        - `question`: what the score answers, "a new observation in a known group";
        - `elpd`: expected log predictive density, summed over observations (natural log; higher
          is better), and `se`, its standard error;
        - `elpd_diff`: `elpd` minus that of the best model (0 or negative), and `dse`, the
          standard error of this difference, from the pointwise differences;
        - `p_loo`: effective number of parameters;
        - `max_k`, `bad_k`: the largest Pareto k, and how many are above the threshold of
          `k_threshold` or cannot be computed;
        - `advice`: what to do about bad k; whether the difference is too small to matter (under
          4, where its standard error is not reliable either); empty otherwise.

    Notes
    -----
    Vehtari, Gelman and Gabry (2017), section 5; the limit of 4: Sivula, Magnusson, Matamoros and
    Vehtari, arXiv:2008.10296.
    """
    rows, pointwise = [], []
    for name, (summary, points) in (scores or loo_by_model(fits, data, limit=limit)).items():
        advice = _advice(summary.n_bad_k, summary.scored, summary.threshold, "observations")
        rows.append(
            {
                "model": name,
                "question": NEW_OBSERVATION,
                "elpd": summary.elpd,
                "se": summary.se,
                "p_loo": summary.p_loo,
                "max_k": _largest(points["k"].to_numpy()),
                "bad_k": summary.n_bad_k,
                "advice": advice,
            }
        )
        pointwise.append(points["elpd"].to_numpy())
    return _compared(rows, pointwise, total=data.stats.N)


def leave_one_group_out(fits: Sequence[Fit], data: GroupedData) -> LeftOut:
    """Score the prediction of a whole new group, leaving out one group at a time.

    The score of group j is the joint log predictive density of all its observations,
    log p(y_1j, ..., y_nj | the other groups): not of its mean, and not the sum over its
    observations taken one by one. By model:

    - partial pooling (scalar mu, tau and sigma): the group's mean is integrated out,
      theta_new ~ N(mu, tau^2), which is exact given (mu, tau, sigma); the draws of these are
      weighted by one over the density of the group's data, which leaves the group out. Exact
      refits are needed only for groups whose Pareto k is bad;
    - complete pooling (scalar theta and sigma): the group's observations are new ones around
      theta, weighted alike;
    - where each group is one estimate with a known standard error, the score of a shipped program
      is exact;
    - no pooling with one sigma for all groups: the same, with theta_new from its prior;
    - no pooling: the other groups say nothing, so the density is that of the prior alone,
      theta ~ normal(theta_location, theta_scale), sigma2 ~ inverse-gamma(sigma2_shape,
      sigma2_scale) as in the shipped program, integrated by quadrature. Programs that declare
      no such inputs are left out.

    Returns
    -------
    LeftOut
        `summary`, one row a model, best first, with the columns of `compare_loo` (`question` is
        "a new group", sums and standard errors are over groups; `p_loo` is NaN), and `groups`,
        one row a model and group: `model`, `group`, `n` (observations), `elpd` (joint log
        predictive density, natural log), `k` (Pareto shape; NaN under no pooling, where nothing
        is weighted).

    Notes
    -----
    For n values with mean ybar and sum of squares ss about it, given mu, tau, sigma:
    log p = -n/2 log(2 pi) - (n - 1) log sigma - log(sigma^2 + n tau^2) / 2 - ss / (2 sigma^2)
    - n (ybar - mu)^2 / (2 (sigma^2 + n tau^2)). Leaving out whole groups by integrating their
    parameters: Merkle, Furr and Rabe-Hesketh (2019, *Psychometrika* 84, 802-829).
    """
    stats = data.stats
    rows, pointwise, details = [], [], []
    for fit in fits:
        threshold, advice = k_threshold(draws_of(fit)), ""
        known, density = _exact_density(fit, data), _group_density(fit, data)
        prior = _prior_density(fit, data)
        if known is not None:
            elpd, k, bad, largest = known, np.full(stats.J, np.nan), 0, math.nan
            advice = EXACT
        elif density is not None:
            elpd, _, k = leave_out(density, r_eff=relative_ess(fit))
            bad, largest = _bad(k, threshold), _largest(k)
            advice = _advice(bad, stats.J, threshold, "groups")
        elif prior is not None:
            elpd, k, bad, largest = prior, np.full(stats.J, np.nan), 0, math.nan
            advice = LEARNS_NOTHING
        else:
            continue
        rows.append(
            {
                "model": fit.name,
                "question": NEW_GROUP,
                "elpd": float(elpd.sum()),
                "se": _sum_error(elpd, stats.J),
                "p_loo": math.nan,
                "max_k": largest,
                "bad_k": bad,
                "advice": advice,
            }
        )
        pointwise.append(elpd)
        about = {"model": fit.name, "group": list(stats.labels), **stats.sizes}
        details.append(pd.DataFrame({**about, "elpd": elpd, "k": k}))
    groups = variables.stacked(details, ("model", "group", *stats.sizes, "elpd", "k"))
    return LeftOut(_compared(rows, pointwise, total=stats.J), groups)


def _compared(
    rows: list[dict[str, object]], pointwise: list[FloatArray], *, total: int
) -> pd.DataFrame:
    """Add differences from the best model, and say which are too small to matter."""
    if not rows:
        return variables.stacked([], _COMPARISON)
    table = pd.DataFrame(rows)
    best = int(np.argmax(np.nan_to_num(table["elpd"].to_numpy(float), nan=-np.inf)))
    differences = [part - pointwise[best] for part in pointwise]
    table["elpd_diff"] = [total * float(part.mean()) for part in differences]
    table["dse"] = [_sum_error(part, total) for part in differences]
    for i, difference in enumerate(table["elpd_diff"]):
        if i != best and abs(difference) < _SMALL:
            small = f"differs by less than {_SMALL:g} from the best: no clear winner"
            said = str(table.loc[i, "advice"])
            table.loc[i, "advice"] = f"{said}; {small}" if said else small
    ordered = table.sort_values("elpd", ascending=False, kind="stable", na_position="last")
    return ordered.reset_index(drop=True)[list(_COMPARISON)]


def _log_likelihood(
    fit: Fit, data: GroupedData, wanted: IntArray, *, chunk: int | None = None
) -> Iterator[FloatArray]:
    """Yield blocks of shape (observations, chain, draw) of the wanted observations, in order."""
    if "log_likelihood" in fit.draws.children:
        stored = next(iter(fit.draws["log_likelihood"].to_dataset().data_vars.values()))
        whole = stored.transpose("observation", "chain", "draw").to_numpy()
        if len(whole) != data.stats.N:
            raise InputError(
                f"{fit.name}: its log likelihood is of {len(whole)} observations, the data have "
                f"{data.stats.N}; give the data that the fit was made from"
            )
        step = chunk or max(1, _CHUNK // whole[0].size)
        for start in range(0, len(wanted), step):
            yield whole[wanted[start : start + step]].astype(np.float64)
        return
    theta, sigma = variables.by_group(fit, data, "theta"), variables.sigma(fit, data)
    if not fit.keeps(OBSERVATIONS):
        raise InputError(
            f"{fit.name}: leave-one-out needs log_lik, as its observations are not known to be "
            "normal(theta, sigma). Generate log_lik in the program and fit it with pointwise on"
        )
    if theta is None or sigma is None:
        missing = [name for name, x in (("theta", theta), ("sigma", sigma)) if x is None]
        raise InputError(
            f"{fit.name}: leave-one-out needs log_lik, or theta and sigma to compute it from; "
            f"it has no {' and no '.join(missing)}. Generate log_lik in the program and fit it "
            "with pointwise on"
        )
    step = chunk or max(1, _CHUNK // theta[0].size)
    for start in range(0, len(wanted), step):
        block = wanted[start : start + step]
        group, y = data.group[block], data.y[block, None, None]
        yield _log_normal(y, *(x if len(x) == 1 else x[group] for x in (theta, sigma)))


def _has_likelihood(fit: Fit, data: GroupedData) -> bool:
    parts = variables.by_group(fit, data, "theta"), variables.sigma(fit, data)
    if "log_likelihood" in fit.draws.children:
        return True
    return fit.keeps(OBSERVATIONS) and all(part is not None for part in parts)


def _log_normal(y: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.asarray(-0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * _LOG_2_PI)


def _exact_density(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Exact log predictive density of each group given the others, shape (J,), where known."""
    if not (data.family.rows_are_groups and is_shipped(fit)) or fit.pooling == "none":
        return None
    posterior = exact_posterior(fit, data)
    return posterior.leave_one_out() if isinstance(posterior, LeavingOut) else None


def _group_density(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Log density of each group's data as those of a new group, shape (J, chain, draw)."""
    error_sd = variables.error_sd(fit, data)
    if not fit.keeps(CONDITIONAL if fit.pooling == "partial" else OBSERVATIONS):
        return None
    if fit.pooling == "partial":
        center, tau = variables.scalar(fit, data, "mu"), variables.tau(fit, data)
    elif fit.pooling == "complete":
        center, tau = variables.scalar(fit, data, "theta"), np.zeros(1)
    elif data.stats.error_sd and {"theta_location", "theta_scale"} <= _given(fit):
        center = np.array(fit.record.priors["theta_location"])
        tau = np.array(fit.record.priors["theta_scale"])
    else:
        return None
    if center is None or tau is None or error_sd is None or len(error_sd) != 1:
        return None
    return data.family.log_marginal(data.stats, center, tau, error_sd[0])


def _prior_density(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Log prior predictive density of each group's data under no pooling, shape (J,)."""
    if fit.pooling != "none" or not (fit.keeps(PRIOR) and fit.keeps(OBSERVATIONS)):
        return None
    known = {name: fit.record.priors[name] for name in _given(fit)}
    return data.family.prior_marginal(data.stats, known)


def _given(fit: Fit) -> set[str]:
    """Prior settings that the fit's program declares."""
    return set(fit.record.inputs) & set(fit.record.priors)


def _sampled(total: int, limit: int) -> IntArray:
    """Indices of the observations that are scored, ascending; the same for every model."""
    if total <= limit:
        return np.arange(total)
    return np.sort(np.random.default_rng(total).choice(total, size=limit, replace=False))


def _sum_error(parts: FloatArray, total: int) -> float:
    """Standard error of the sum of `total` exchangeable parts, of which some or all are known."""
    if len(parts) < 2:
        return math.nan
    return total * math.sqrt(float(parts.var(ddof=1)) / len(parts))


def _bad(k: FloatArray, threshold: float) -> int:
    return int((~(k <= threshold)).sum())


def _largest(k: FloatArray) -> float:
    return float(np.nanmax(k)) if np.isfinite(k).any() else math.nan


def _advice(bad: int, total: int, threshold: float, what: str) -> str:
    if bad == 0:
        return ""
    return (
        f"Pareto k above {threshold:.2f} (or not computable) for {bad} of {total} {what}: their "
        "scores are unreliable; fit again without each of them, or use K-fold"
    )
