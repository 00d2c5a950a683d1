"""How well is a whole new group predicted? Leaving out one group at a time.

No pooling has nothing but its prior for a new group. Groups are taken as normal around mu, with sd
tau, as in the shipped programs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from scipy import special

from partialpool.data import GroupedData
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans, of_slopes
from partialpool.families.protocols import LeavingOut
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL, OBSERVATIONS, PRIOR
from partialpool.tables import refits, variables
from partialpool.tables.exactness import exact_posterior, is_shipped
from partialpool.tables.importance import draws_of, k_threshold, leave_out, relative_ess
from partialpool.tables.scores import advice_on, compared, largest, sum_error, unreliable
from partialpool.types import FloatArray

NEW_GROUP = "a new group"
"""The question that the score answers."""

EXACT = "exact, by quadrature"
LEARNS_NOTHING = "its prior alone: no pooling learns nothing about a new group"

_COLUMNS = ("elpd", "k", "below")


class LeftOut(NamedTuple):
    """What `leave_one_group_out` returns: `summary` by model, `groups` by model and group."""

    summary: pd.DataFrame
    groups: pd.DataFrame


def leave_one_group_out(fits: Sequence[Fit], data: GroupedData) -> LeftOut:
    """Score the prediction of a whole new group, leaving out one group at a time.

    The score of group j is the joint log predictive density of all its observations,
    log p(y_1j, ..., y_nj | the other groups): not of its mean, and not the sum over its
    observations taken one by one. By model:

    - partial pooling (scalar mu, tau and sigma): the group's mean is integrated out,
      theta_new ~ N(mu, tau^2), which is exact given (mu, tau, sigma); the draws of these are
      weighted by one over the density of the group's data, which leaves the group out. Groups
      whose Pareto k is bad are left out of the exact posterior, where the program is a shipped one;
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
        predictive density, natural log), `k` (Pareto shape; NaN where nothing is weighted), `below`
        (probability that the group's own estimate would be smaller than it is, given the other
        groups: uniform where the model holds; NaN where it is not known).

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
        scored = _scored(fit, data)
        if scored is None:
            continue
        rows.append(
            {
                "model": fit.name,
                "question": NEW_GROUP,
                "elpd": float(scored.elpd.sum()),
                "se": sum_error(scored.elpd, stats.J),
                "p_loo": math.nan,
                "max_k": largest(scored.k),
                "bad_k": scored.bad,
                "advice": scored.advice,
            }
        )
        pointwise.append(scored.elpd)
        about = {"model": fit.name, "group": list(stats.labels), **stats.sizes}
        of_groups = {"elpd": scored.elpd, "k": scored.k, "below": scored.below}
        details.append(pd.DataFrame({**about, **of_groups}))
    groups = variables.stacked(details, ("model", "group", *stats.sizes, *_COLUMNS))
    return LeftOut(compared(rows, pointwise, total=stats.J), groups)


class _Scored(NamedTuple):
    """Scores of one model: arrays of shape (J,), groups that stay unreliable, and advice."""

    elpd: FloatArray
    k: FloatArray
    below: FloatArray
    bad: int
    advice: str


def _scored(fit: Fit, data: GroupedData) -> _Scored | None:
    """Leave each group out of one fit; None where its program does not say enough."""
    unknown = np.full(data.stats.J, np.nan)
    exactly = _exactly(fit, data)
    if exactly is not None:
        return _Scored(exactly[0], unknown, exactly[1], 0, EXACT)
    density = _group_density(fit, data)
    if density is not None:
        return _weighted(fit, data, density)
    prior = _prior_density(fit, data)
    return None if prior is None else _Scored(prior, unknown, unknown, 0, LEARNS_NOTHING)


def _weighted(fit: Fit, data: GroupedData, density: _Density) -> _Scored:
    """Leave groups out by weighting the draws, and exactly where that does not work."""
    threshold = k_threshold(draws_of(fit))
    left = leave_out(density.log_density, r_eff=relative_ess(fit))
    elpd, k = left.elpd, left.k
    shares = density.below(data).reshape(left.log_weights.shape)
    below = (np.exp(left.log_weights) * shares).sum(axis=1)
    bad = unreliable(k, threshold)
    again = refits.without_groups(fit, data, np.flatnonzero(bad))
    elpd[bad] = np.where(np.isfinite(again[0]), again[0], elpd[bad])
    below[bad] = again[1]
    remain = int(bad.sum() - np.isfinite(again[0]).sum())
    said = advice_on(int(bad.sum()), remain, data.stats.J, threshold, "groups")
    return _Scored(elpd, k, below, remain, said)


def _exactly(fit: Fit, data: GroupedData) -> tuple[FloatArray, FloatArray] | None:
    """Exact scores of all groups at once, and the shares below, where the family knows them."""
    family = data.family
    known = family.rows_are_groups if family.leaves_groups_out is None else family.leaves_groups_out
    if not (known and is_shipped(fit)) or fit.pooling == "none":
        return None
    if not family.knows_exactly(fit.name):
        return None
    if fit.pooling == "complete" and not family.rows_are_groups:
        return None
    if fit.pooling == "partial" and family.mixture and not family.within_reach(data.stats):
        return None
    posterior = exact_posterior(fit, data)
    if not isinstance(posterior, LeavingOut):
        return None
    return posterior.leave_one_out(), posterior.leave_one_out_cdf()


class _Density(Protocol):
    """Log density of each group's data as those of a new group, and where they lie."""

    @property
    def log_density(self) -> FloatArray:
        """Shape (J, chain, draw)."""
        ...

    def below(self, data: GroupedData) -> FloatArray:
        """Probability of a smaller estimate than each group's own, shape (J, chain, draw)."""
        ...


class _AboutALine(NamedTuple):
    """Draws of a line on another scale than theta's, shape (J, chain, draw), and of the sd there.

    As of `_Normal`.
    """

    line: FloatArray
    scale: FloatArray
    log_density: FloatArray
    family: OnALinkedLine

    def below(self, data: GroupedData) -> FloatArray:
        """Probability of a smaller count, shape (J, chain, draw)."""
        return self.family.below_about(data.stats, self.line, self.scale)


class _Normal(NamedTuple):
    """Draws of what a new group's mean is normal around, and the log density of each group's data.

    Attributes
    ----------
    center, tau, error_sd
        Draws of the population's mean and sd, and of the errors' sd; shapes broadcast to those of
        (chain, draw).
    log_density
        Shape (J, chain, draw).
    """

    center: FloatArray
    tau: FloatArray
    error_sd: FloatArray
    log_density: FloatArray

    def below(self, data: GroupedData) -> FloatArray:
        """Probability of a smaller estimate, shape (J, chain, draw)."""
        spread = np.hypot(self.tau, self.error_sd / np.sqrt(data.stats.weight[:, None, None]))
        z = (data.stats.raw[:, None, None] - self.center) / spread
        return np.asarray(special.ndtr(z))


def _group_density(fit: Fit, data: GroupedData) -> _Density | None:
    """Log density of each group's data as those of a new group."""
    if not fit.keeps(CONDITIONAL if fit.pooling == "partial" else OBSERVATIONS):
        return None
    if isinstance(data.family, OnALinkedLine):
        line = variables.line(fit, data)
        if line is None:
            return None
        return _AboutALine(*line, data.family.log_marginal_about(data.stats, *line), data.family)
    error_sd = variables.error_sd(fit, data)
    if fit.pooling == "partial" and data.family.mixture:
        return None
    if fit.pooling == "partial":
        center, tau = variables.center(fit, data), variables.tau(fit, data)
    elif fit.pooling == "complete":
        center, tau = variables.center(fit, data), np.zeros(1)
    elif data.stats.error_sd and {"theta_location", "theta_scale"} <= _given(fit):
        center = np.array(fit.record.priors["theta_location"])
        tau = np.array(fit.record.priors["theta_scale"])
    else:
        return None
    if center is None or tau is None or error_sd is None or len(error_sd) != 1:
        return None
    if center.ndim == 3 and len(center) == 1:
        center = center[0]
    slopes = variables.coefficients(fit, data)
    if fit.pooling == "none" and isinstance(data.stats, AdjustedMeans):
        return None  # groups share slopes that are integrated out, so they are not independent
    log_density = data.family.log_marginal(data.stats, center, tau, error_sd[0])
    log_density = log_density + of_slopes(data.stats, slopes, error_sd[0])
    return _Normal(center, tau, error_sd[0], log_density)


def _prior_density(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Log prior predictive density of each group's data under no pooling, shape (J,)."""
    if fit.pooling != "none" or not (fit.keeps(PRIOR) and fit.keeps(OBSERVATIONS)):
        return None
    known = {name: fit.record.priors[name] for name in _given(fit)}
    return data.family.prior_marginal(data.stats, known)


def _given(fit: Fit) -> set[str]:
    """Prior settings that the fit's program declares."""
    return set(fit.record.inputs) & set(fit.record.priors)
