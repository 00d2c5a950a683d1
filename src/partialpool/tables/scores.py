"""How well is a new observation in a known group predicted? PSIS-LOO, and how scores compare.

Where a program does not generate its own pointwise log likelihood, the observations are taken
as normal around theta, with sd sigma, as in the shipped programs. A program with another likelihood
should generate `log_lik`. `group_scores` asks the same of a whole new group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.exact.statistics import log_student_t
from partialpool.fitting import Fit
from partialpool.fitting.normality import OBSERVATIONS
from partialpool.tables import refits, variables
from partialpool.tables.importance import draws_of, k_threshold, leave_out, relative_ess
from partialpool.types import FloatArray, IntArray

NEW_OBSERVATION = "a new observation in a known group"
"""The question that the score answers."""

LIMIT = 1000
"""Most observations that leave-one-out scores unasked; each takes about a millisecond."""

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
    unreliable
        Those among them that could not be left out exactly either.
    threshold
        Largest reliable k for this number of draws.
    scored
        Observations left out in turn: all, or a random sample of them.
    """

    elpd: float
    se: float
    p_loo: float
    n_bad_k: int
    unreliable: int
    threshold: float
    scored: int


class Loo(NamedTuple):
    """What `loo` returns: `summary` and, by observation, `pointwise`."""

    summary: LooSummary
    pointwise: pd.DataFrame


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
    usually too good. Under a shipped program it is then left out of the exact posterior; other
    programs would have to be fitted again without it. A high k also marks observations that
    surprise the model.

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
    elpd, p_loo, k = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("elpd", "p_loo", "k")
    )
    threshold = k_threshold(draws_of(fit))
    bad = unreliable(k, threshold)
    again = refits.without_rows(fit, data, scored[bad])
    known = np.isfinite(again)
    p_loo[bad] += np.where(known, elpd[bad] - again, 0.0)
    elpd[bad] = np.where(known, again, elpd[bad])
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
        se=sum_error(elpd, total),
        p_loo=total * float(p_loo.mean()),
        n_bad_k=int(bad.sum()),
        unreliable=int(bad.sum() - known.sum()),
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
          `k_threshold` or cannot be computed, and could not be left out exactly either;
        - `advice`: what to do about bad k; whether the difference is too small to matter (under
          4, where its standard error is not reliable either); empty otherwise.

    Notes
    -----
    Vehtari, Gelman and Gabry (2017), section 5; the limit of 4: Sivula, Magnusson, Matamoros and
    Vehtari, arXiv:2008.10296.
    """
    rows, pointwise = [], []
    for name, (summary, points) in (scores or loo_by_model(fits, data, limit=limit)).items():
        advice = advice_on(
            summary.n_bad_k, summary.unreliable, summary.scored, summary.threshold, "observations"
        )
        rows.append(
            {
                "model": name,
                "question": NEW_OBSERVATION,
                "elpd": summary.elpd,
                "se": summary.se,
                "p_loo": summary.p_loo,
                "max_k": largest(points["k"].to_numpy()),
                "bad_k": summary.unreliable,
                "advice": advice,
            }
        )
        pointwise.append(points["elpd"].to_numpy())
    return compared(rows, pointwise, total=data.stats.N)


def compared(
    rows: list[dict[str, object]], pointwise: list[FloatArray], *, total: int
) -> pd.DataFrame:
    """Add differences from the best model, and say which are too small to matter."""
    if not rows:
        return variables.stacked([], _COMPARISON)
    table = pd.DataFrame(rows)
    best = int(np.argmax(np.nan_to_num(table["elpd"].to_numpy(float), nan=-np.inf)))
    differences = [part - pointwise[best] for part in pointwise]
    table["elpd_diff"] = [total * float(part.mean()) for part in differences]
    table["dse"] = [sum_error(part, total) for part in differences]
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
    nu = variables.errors_degrees(fit, data)
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
        mean, sd = (x if len(x) == 1 else x[group] for x in (theta, sigma))
        if (weights := data.stats.row_weights) is not None:
            sd = sd / np.sqrt(weights[block, None, None])
        with np.errstate(all="ignore"):
            found = _log_normal(y, mean, sd) if nu is None else log_student_t([y], mean, sd, nu)
        yield found


def _has_likelihood(fit: Fit, data: GroupedData) -> bool:
    parts = variables.by_group(fit, data, "theta"), variables.sigma(fit, data)
    if "log_likelihood" in fit.draws.children:
        return True
    return fit.keeps(OBSERVATIONS) and all(part is not None for part in parts)


def _log_normal(y: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * _LOG_2_PI)


def _sampled(total: int, limit: int) -> IntArray:
    """Indices of the observations that are scored, ascending; the same for every model."""
    if total <= limit:
        return np.arange(total)
    return np.sort(np.random.default_rng(total).choice(total, size=limit, replace=False))


def sum_error(parts: FloatArray, total: int) -> float:
    """Standard error of the sum of `total` exchangeable parts, of which some or all are known."""
    if len(parts) < 2:
        return math.nan
    return total * math.sqrt(float(parts.var(ddof=1)) / len(parts))


def unreliable(k: FloatArray, threshold: float) -> NDArray[np.bool_]:
    """Whether each Pareto k is above the threshold or cannot be computed."""
    return np.asarray(~(k <= threshold))


def largest(k: FloatArray) -> float:
    """Return the largest Pareto k; NaN where there is none."""
    return float(np.nanmax(k)) if np.isfinite(k).any() else math.nan


def advice_on(bad: int, remain: int, total: int, threshold: float, what: str) -> str:
    """Say what was done about weights that did not work, and what is left to do."""
    if bad == 0:
        return ""
    found = f"Pareto k above {threshold:.2f} (or not computable) for {bad} of {total} {what}"
    which = f"{bad - remain} of them" if remain else "these"
    exactly = f"exactly, by quadrature, for {which}"
    if not remain:
        return f"{found}; left out {exactly}"
    left = f"; left out {exactly}, but " if remain < bad else ": "
    return (
        f"{found}{left}the scores of {remain} are unreliable; fit again without each of them, or "
        "use K-fold"
    )
