"""Groups within groups: the variance of each level, the outer groups, and the poolings there are.

Given the sds, what the groups of an outer group k say of its mean phi_k has precision
W_k = sum 1 / (tau^2 + se_j^2), and the posterior mean of phi_k lies b_k of the way from there to
mu, with the pooling factor b_k = 1 / (1 + omega^2 W_k): that of groups, one level up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.families.protocols import Posterior
from partialpool.fitting import Fit
from partialpool.fitting.summarize import QUANTILES, means, quantiles, summarize
from partialpool.priors.hyperparameters import Priors
from partialpool.tables import variables
from partialpool.tables.exactness import is_shipped
from partialpool.tables.predictions import mixture_quantiles
from partialpool.types import FloatArray

NEW = "new"
"""What stands for an outer group that there are no data of, where `known` is false."""

_ENDS = ("q2.5", "q97.5")
_LEVELS = (
    *("model", "level", "parameter", "median", "mcse_median", *_ENDS),
    *("share", "mcse_share", "share_q2.5", "share_q97.5"),
    *("correlation", "mcse_correlation", "correlation_q2.5", "correlation_q97.5"),
)
_OUTER = (
    *("model", "outer_group", "known", "groups", "own_mean", "estimate", "mcse", *_ENDS),
    *("mcse_q2.5", "mcse_q97.5", "lambda_mean", "lambda_q2.5", "lambda_q97.5"),
    *("new_mean", "new_q2.5", "new_q97.5"),
)
_MOST = 2000
_POOLINGS = ("complete", "two_levels", "three_levels", "none")


def levels(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Say how much of the variance lies at which level.

    Returns
    -------
    DataFrame
        One row a model of groups within groups, and level: `model`, `level`, `parameter` (omega,
        tau, sigma), its posterior `median`, `mcse_median`, `q2.5`, `q97.5` (unit of the data), and
        `share` (posterior mean of its square over the sum of all squares; sigma is among them where
        it is a parameter) with `mcse_share` and its 95 % interval; `correlation` (posterior mean of
        the intraclass correlation: of two rows that have this group in common, and the inner one
        not) with its error and interval, NaN for rows of one group.
    """
    frames = []
    for fit in fits:
        omega, tau = variables.scalar(fit, data, "omega"), variables.tau(fit, data)
        nesting = data.stats.nesting
        if omega is None or tau is None or nesting is None:
            continue
        sds = {"omega": omega, "tau": tau}
        names = [
            f"between {nesting.label}s",
            f"between {nesting.inner_label}s of a {nesting.label}",
        ]
        sigma = variables.sigma(fit, data) if data.stats.error_sd else None
        if sigma is not None and len(sigma) == 1:
            sds["sigma"] = sigma[0]
            names.append(f"within {nesting.inner_label}s")
        squares = np.stack([sd**2 for sd in sds.values()])
        shares = squares / squares.sum(axis=0)
        alike = np.cumsum(shares, axis=0)[:-1]
        found = summarize(np.stack(list(sds.values())))
        frame = pd.DataFrame(
            {
                "model": fit.name,
                "level": names,
                "parameter": list(sds),
                **{name: found[name] for name in ("median", "mcse_median", *_ENDS)},
                **_with_interval("share", shares),
            }
        )
        if "sigma" in sds:
            correlations = pd.DataFrame(_with_interval("correlation", alike))
            frame = frame.join(correlations)
        else:
            frame = frame.assign(**dict.fromkeys(_LEVELS[-4:], np.nan))
        frames.append(frame)
    return variables.stacked(frames, _LEVELS)


def _with_interval(name: str, draws: FloatArray) -> dict[str, FloatArray]:
    mean, mcse = means(draws)
    ends = {f"{name}_{end}": values for end, values in quantiles(draws, _ENDS).items()}
    return {name: mean, f"mcse_{name}": mcse, **ends}


def outer_groups(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Estimate the outer groups, and predict a further group in each and in a new one.

    Returns
    -------
    DataFrame
        One row a model of groups within groups, and outer group, and one more for an outer group
        that there are no data of: `model`, `outer_group`, `known` (false for the new one),
        `groups` (how many it has), `own_mean` (mean of what its groups say, as the model weights
        them), `estimate` (posterior mean of phi) with `mcse`, its 95 % interval `q2.5`, `q97.5`
        and their errors; `lambda_mean`, `lambda_q2.5`, `lambda_q97.5` (pooling factor b_k: 1 is
        complete pooling of the outer groups, 0 is none); `new_mean`, `new_q2.5`, `new_q97.5`
        (theta of a further group in it: mean and 95 % prediction interval). Means and intervals
        are in the unit of the data. Draws of many groups are thinned for `own_mean` and the
        pooling factor.
    """
    frames = []
    for fit in fits:
        phi, tau = variables.outer(fit, data), variables.tau(fit, data)
        omega, mu = (variables.scalar(fit, data, name) for name in ("omega", "mu"))
        error_sd, nesting = variables.error_sd(fit, data), data.stats.nesting
        if phi is None or tau is None or omega is None or mu is None or error_sd is None:
            continue
        assert nesting is not None
        new = variables.scalar(fit, data, "phi_new")
        if new is None:
            rng = np.random.default_rng(1)
            new = mu + omega * rng.standard_normal(mu.shape)
        found = summarize(np.concatenate([phi, new[None]]))
        own, factor = _pooled(data, omega, tau, np.broadcast_to(error_sd[0], tau.shape))
        ends = quantiles(factor[:, None], _ENDS)
        centers = [*phi, mu]
        spreads = [tau] * nesting.K + [np.hypot(tau, omega)]
        at = np.array([QUANTILES[end] for end in _ENDS])
        further = np.array(
            [
                [c.mean(), *mixture_quantiles(c.ravel(), s.ravel(), at)]
                for c, s in zip(centers, spreads, strict=True)
            ]
        )
        unknown = [np.nan]
        frames.append(
            pd.DataFrame(
                {
                    "model": fit.name,
                    "outer_group": [*nesting.labels, NEW],
                    "known": [True] * nesting.K + [False],
                    "groups": [*nesting.counts, 0],
                    "own_mean": [*own, *unknown],
                    "estimate": found["mean"],
                    "mcse": found["mcse_mean"],
                    **{end: found[end] for end in (*_ENDS, "mcse_q2.5", "mcse_q97.5")},
                    "lambda_mean": [*factor.mean(axis=1), *unknown],
                    **{f"lambda_{end}": [*ends[end], *unknown] for end in _ENDS},
                    "new_mean": further[:, 0],
                    "new_q2.5": further[:, 1],
                    "new_q97.5": further[:, 2],
                }
            )
        )
    return variables.stacked(frames, _OUTER)


def _pooled(
    data: GroupedData, omega: FloatArray, tau: FloatArray, error_sd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean of what the groups of each outer group say, shape (K,), and draws of b, (K, S)."""
    stats, nesting = data.stats, data.stats.nesting
    assert nesting is not None
    most = max(50, min(_MOST, 20_000_000 // stats.J))
    at = np.unique(np.linspace(0, tau.size - 1, min(most, tau.size)).astype(int))
    origin = float(stats.raw[0])
    own, factor = np.empty((nesting.K, at.size)), np.empty((nesting.K, at.size))
    for s, draw in enumerate(at):
        o, t, e = (part.ravel()[draw] for part in (omega, tau, error_sd))
        w = 1 / (t**2 + e**2 / stats.weight)
        W = nesting.sums(w)
        own[:, s] = nesting.sums(w * (stats.raw - origin)) / W
        factor[:, s] = 1 / (1 + o**2 * W)
    return origin + own.mean(axis=1), factor


def poolings(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Set the four poolings that groups within groups have side by side.

    Returns
    -------
    DataFrame
        One row a group: `group`, `outer_group`, its size, `raw_mean`, and posterior means of theta,
        all exact and in the unit of the data: `complete` (one for all), `two_levels` (partial
        pooling that ignores the outer groups), `three_levels`, and `none`. Poolings that were not
        fitted with the shipped programs are left out; two levels have the priors of three. Empty
        where groups are not within groups, or are more than exact posteriors are worked out of.
    """
    nesting, family = data.stats.nesting, data.family
    if nesting is None or not family.within_reach(data.stats):
        return pd.DataFrame({name: [] for name in ("group", "outer_group", *_POOLINGS)})
    columns: dict[str, object] = {
        "group": list(data.labels),
        "outer_group": [nesting.labels[k] for k in nesting.index],
        **data.stats.sizes,
        "raw_mean": data.stats.raw,
    }
    found: dict[str, FloatArray] = {}
    for fit in fits:
        if not is_shipped(fit):
            continue
        priors = Priors(fit.record.priors)
        name = {"partial": "three_levels"}.get(fit.pooling, fit.pooling)
        if name not in found:
            found[name] = _theta(family.exact_posterior(fit.name, data.stats, priors), data)
        if fit.pooling == "partial" and "two_levels" not in found:
            usual = family.usual_posterior(data.stats, priors)
            if usual is not None:
                found["two_levels"] = _theta(usual, data)
    return pd.DataFrame({**columns, **{name: found[name] for name in _POOLINGS if name in found}})


def _theta(posterior: Posterior, data: GroupedData) -> FloatArray:
    table = posterior.summary()
    theta = table.loc[table["parameter"] == "theta", "mean"].to_numpy(dtype=float)
    return np.broadcast_to(theta, (data.stats.J,)).copy()
