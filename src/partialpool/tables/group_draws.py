"""Chosen groups among many: draws of their means, differences between them, and their ranks.

Everything follows from draws of (mu, tau, sigma) and the sufficient statistics, as in
`group_posterior`. Differences are mixtures of normals and need no draw of theta; ranks
compare a group with all others, so theta of every group is drawn, one draw at a time.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr
from scipy import special

from partialpool.errors import InputError
from partialpool.families.alike import Alike
from partialpool.families.base import Statistics
from partialpool.families.conjugate import Conjugate, Parameters
from partialpool.tables.exceedances import Exceedances, Population, conditional
from partialpool.tables.group_posterior import (
    Hyperdraws,
    batch_variance,
    mixture_quantile,
    positions,
)
from partialpool.types import FloatArray, IntArray

_MOST_VALUES = 200_000_000
_FEWEST_DRAWS = 200
_REACH = 10.0
_NEAR = 6.5
_NEAR_SKEWED = 15.0
_ALIKE = 10  # groups of a pair, on average, from which on pairs are looked at
_MOST_SHARES = 1_000_000
_NEVER = 1e-10  # groups of one pair, on average, of which none is looked for
_VERY_MANY = 50_000  # groups from which on those are sought that may lie above, and no others
_OVERHEAD = 200_000  # groups that could be drawn while those are sought
_BLOCK = 16_384  # groups whose arrays a processor keeps at hand


def draw_groups(
    posterior: xr.Dataset, stats: Statistics, groups: Sequence[str], *, seed: int = 1
) -> xr.DataArray:
    """Draw the means of chosen groups, one for each draw of (mu, tau, sigma).

    Parameters
    ----------
    posterior
        Draws of `mu`, `tau` and `sigma`, dims chain and draw.
    stats
        Sufficient statistics of the data that were fitted.
    groups
        Labels of the groups.
    seed
        Seed of the draws; a group's draws depend on which groups are asked for.

    Returns
    -------
    DataArray
        `theta`, dims chain, draw, group, in the unit of the data.
    """
    hyper = Hyperdraws.of(posterior, stats)
    at, rng = positions(stats, groups), np.random.default_rng(seed)
    own = stats.weight[at], stats.raw[at] - hyper.origin
    if hyper.kind is None:
        means, sds = hyper.conditional(*own, hyper.centers(stats, at))
        theta = hyper.origin + means + sds * rng.standard_normal(means.shape)
    else:
        theta = hyper.kind.draw(hyper.parameters(*own), rng)
    return xr.DataArray(
        np.moveaxis(theta, 0, -1),
        dims=("chain", "draw", "group"),
        coords={"group": list(groups)},
        name="theta",
    )


def group_contrasts(
    posterior: xr.Dataset, stats: Statistics, groups: Sequence[str]
) -> pd.DataFrame:
    """Differences between the means of chosen groups, without Monte Carlo error of theta.

    Given (mu, tau, sigma) the difference of two group means is normal, with the difference of
    their conditional means and the sum of their conditional variances.

    Parameters
    ----------
    posterior, stats
        As for `partialpool.tables.group_posterior.group_estimates`.
    groups
        At least two labels; every pair of them is compared.

    Returns
    -------
    DataFrame
        One row a pair: `group_i`, `group_j`, `mean`, `mcse`, `q2.5`, `q97.5` of theta_i -
        theta_j in the unit of the data, `p_greater`: P(theta_i > theta_j), and `mcse_p_greater`.
    """
    hyper = Hyperdraws.of(posterior, stats)
    at = positions(stats, groups)
    if len(at) < 2:
        raise InputError("a comparison needs at least two groups; name more")
    if hyper.kind is not None:
        return _drawn_contrasts(hyper, stats, groups, at)
    own = stats.weight[at], stats.raw[at] - hyper.origin
    means, sds = hyper.conditional(*own, hyper.centers(stats, at))
    rows = []
    for i, j in itertools.combinations(range(len(at)), 2):
        difference = (means[i] - means[j])[None]
        spread = np.hypot(sds[i], sds[j])[None]
        unit = float(spread.mean())
        greater = special.ndtr(difference / spread)
        low, high = (
            unit * mixture_quantile(difference / unit, spread / unit, p)[0][0]
            for p in (0.025, 0.975)
        )
        rows.append(
            {
                "group_i": groups[i],
                "group_j": groups[j],
                "mean": float(difference.mean()),
                "mcse": float(np.sqrt(batch_variance(difference)[0])),
                "q2.5": low,
                "q97.5": high,
                "p_greater": float(greater.mean()),
                "mcse_p_greater": float(np.sqrt(batch_variance(greater)[0])),
            }
        )
    return pd.DataFrame(rows)


def _drawn_contrasts(
    hyper: Hyperdraws, stats: Statistics, groups: Sequence[str], at: IntArray
) -> pd.DataFrame:
    """`group_contrasts` from draws, where theta is not normal given the population."""
    assert hyper.kind is not None
    given = hyper.parameters(stats.weight[at], stats.raw[at] - hyper.origin)
    means, theta = hyper.kind.mean(given), hyper.kind.draw(given, np.random.default_rng(1))
    rows = []
    for i, j in itertools.combinations(range(len(at)), 2):
        difference, of_means = (theta[i] - theta[j])[None], (means[i] - means[j])[None]
        greater = (difference > 0).astype(float)
        low, high = np.quantile(difference, [0.025, 0.975])
        rows.append(
            {
                "group_i": groups[i],
                "group_j": groups[j],
                "mean": float(of_means.mean()),
                "mcse": float(np.sqrt(batch_variance(of_means)[0])),
                "q2.5": float(low),
                "q97.5": float(high),
                "p_greater": float(greater.mean()),
                "mcse_p_greater": float(np.sqrt(batch_variance(greater)[0])),
            }
        )
    return pd.DataFrame(rows)


def group_ranks(
    posterior: xr.Dataset,
    stats: Statistics,
    groups: Sequence[str],
    *,
    seed: int = 1,
) -> pd.DataFrame:
    """Ranks of chosen groups among all, rank 1 being the largest mean.

    Groups that lie above or below all chosen ones in every draw, by ten conditional sds on either
    side, are counted without being drawn.

    Parameters
    ----------
    posterior, stats
        As for `partialpool.tables.group_posterior.group_estimates`.
    groups
        Labels of the groups whose ranks are wanted.
    seed
        Seed of the draws of the group means.

    Returns
    -------
    DataFrame
        One row a group: `group`, `expected_rank`, `mcse_expected_rank`, `rank_q2.5`,
        `rank_q97.5`, `p_best` (rank 1), `mcse_p_best`, and `draws`: how many were used, evenly
        spaced over the chains, fewer where many groups have to be drawn.
    """
    hyper = Hyperdraws.of(posterior, stats)
    at = positions(stats, groups)
    chains, draws = hyper.mu.shape
    weight, distance = stats.weight, stats.raw - hyper.origin
    if hyper.kind is not None:
        distance = np.where(weight > 0, distance, 0.0)
    alike = _alike(hyper, stats)
    if alike is not None:
        used = max(_FEWEST_DRAWS, _MOST_SHARES // (len(at) * len(alike.weight))) // chains
        kept = np.unique(np.linspace(0, draws - 1, min(max(1, used), draws)).astype(int))
        found = _ranks_by_pair(hyper, weight[at], distance[at], alike, kept, seed)
        return _summarized(found, groups, chains * len(kept))
    one_center = stats.covariates is None and stats.nesting is None
    sought = stats.J > _VERY_MANY and hyper.kind is None and one_center
    if one_center and not sought:
        lowest, highest = _range(hyper, weight, distance)
        near = np.flatnonzero((highest >= lowest[at].min()) & (lowest <= highest[at].max()))
        above = int((lowest > highest[at].max()).sum())
    else:  # where each group has a center of its own, all are drawn; or none but the highest
        near, above = np.arange(stats.J), 0
    exceedances, cost = None, float(len(near))
    if sought:
        others = np.setdiff1d(near, at, assume_unique=True)
        exceedances = Exceedances.of(weight[others], distance[others])
        one = Population(hyper.deviation.flat[0], hyper.tau.flat[0], hyper.sigma.flat[0])
        mean, sd = conditional(weight[at], distance[at], one)
        cost = _OVERHEAD + exceedances.expected((mean - 2 * sd).min(), one)
    used = max(1, max(_FEWEST_DRAWS, int(_MOST_VALUES / cost)) // chains)
    kept = np.unique(np.linspace(0, draws - 1, min(used, draws)).astype(int))
    ranks = above + _ranks(
        hyper,
        weight[near],
        distance[near],
        np.searchsorted(near, at),
        kept,
        seed,
        centers=None if one_center else partial(hyper.centers, stats, near),
        exceedances=exceedances,
    )
    return _summarized(ranks, groups, chains * len(kept))


def _summarized(ranks: IntArray, groups: Sequence[str], draws: int) -> pd.DataFrame:
    """Summarize ranks, shape (chosen, chain, kept)."""
    best = (ranks == 1).astype(float)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=(1, 2), method="inverted_cdf")
    return pd.DataFrame(
        {
            "group": list(groups),
            "expected_rank": ranks.mean((1, 2)),
            "mcse_expected_rank": np.sqrt(batch_variance(ranks.astype(float))),
            "rank_q2.5": low,
            "rank_q97.5": high,
            "p_best": best.mean((1, 2)),
            "mcse_p_best": np.sqrt(batch_variance(best)),
            "draws": draws,
        }
    )


def _alike(hyper: Hyperdraws, stats: Statistics) -> Alike | None:
    """Groups of the same data, where these are many.

    None where theta is normal, or its distribution has no name.
    """
    if hyper.kind is None or not hyper.kind.linear or stats.alike is None:
        return None
    return stats.alike if _ALIKE * len(stats.alike.weight) <= stats.J else None


def _ranks_by_pair(
    hyper: Hyperdraws,
    weight: FloatArray,
    distance: FloatArray,
    alike: Alike,
    kept: IntArray,
    seed: int,
) -> IntArray:
    """Ranks of the chosen groups in each draw that is kept, shape (chosen, chain, kept).

    Given the population and theta of a chosen group, how many groups of a pair lie above it is
    binomial, so that none of them is drawn. Of most pairs few groups lie beyond it, and a bound of
    their share says of how few the share itself matters: a binomial number of groups with the bound
    for its share, thinned by the ratio of the two, is binomial with the share. The ranks of one
    group have the right distribution; those of several groups in one draw are not of the same
    groups.
    """
    kind, of_pair = cast(Conjugate, hyper.kind), alike.weight
    estimate = np.where(of_pair > 0, alike.raw - hyper.origin, 0.0)
    same = (of_pair == weight[:, None]) & (estimate == distance[:, None])
    others = alike.groups - same  # but for the group itself
    with np.errstate(divide="ignore"):
        never = math.log(_NEVER) - np.log(others)

    def of_chain(chain: int, rng: np.random.Generator) -> IntArray:
        ranks = np.empty((len(weight), len(kept)), dtype=np.int64)
        for k, draw in enumerate(kept):
            population = tuple(np.array(part[chain, draw]) for part in hyper.population)
            theta = kind.draw(kind.given(population, weight, hyper.origin + distance), rng)
            of_others = kind.given(population, of_pair, hyper.origin + estimate)
            ranks[:, k] = 1 + _above(kind, of_others, theta, others, never, rng)
        return ranks

    chains = range(len(hyper.mu))
    with ThreadPoolExecutor(min(len(chains), os.cpu_count() or 1)) as pool:
        found = pool.map(of_chain, chains, np.random.default_rng(seed).spawn(len(chains)))
        return np.stack(list(found), axis=1)


def _above(
    kind: Conjugate,
    of_pairs: Parameters,
    theta: FloatArray,
    groups: IntArray,
    never: FloatArray,
    rng: np.random.Generator,
) -> IntArray:
    """Draw how many groups lie above each value of theta, given the population; shape of theta.

    Parameters
    ----------
    kind, of_pairs
        What theta of each pair is, shape (pairs,).
    theta
        Values, shape (chosen,).
    groups
        Groups of each pair that may lie above each value, shape (chosen, pairs).
    never
        Logarithm of the share beyond a value that is too small to matter, of the same shape.
    rng
        Where randomness comes from.
    """
    upper = theta[:, None] > kind.mean(of_pairs)  # beyond is above
    log_bound = kind.log_tail(of_pairs, theta[:, None])
    row, pair = np.nonzero(log_bound > never)
    bound = np.exp(np.minimum(log_bound[row, pair], 0.0))
    beyond = rng.binomial(groups[row, pair], bound)
    some = np.flatnonzero(beyond)
    row, pair, bound, beyond = row[some], pair[some], bound[some], beyond[some]
    above = kind.above(tuple(part[pair] for part in of_pairs), theta[row])
    share = np.where(upper[row, pair], above, 1 - above)
    beyond = rng.binomial(beyond, np.clip(share / bound, 0.0, 1.0))
    signed = np.where(upper[row, pair], beyond, -beyond)
    found = np.bincount(row, signed, len(theta)).astype(np.int64)
    return found if upper.all() else found + np.where(upper, 0, groups).sum(axis=1)


def _range(
    hyper: Hyperdraws, weight: FloatArray, distance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Bounds that no draw of a group's mean leaves, counted from the origin, shape (J,).

    They lie `_REACH` conditional sds beyond any conditional mean, or more where theta is not
    normal. That mean, distance + lambda (deviation - distance), is linear in lambda and in the
    deviation, so it lies between its values at their extremes; the conditional sd is largest for
    the largest tau and sigma.
    """
    ratio = (hyper.sigma / hyper.tau) ** 2
    factors = [r / (r + weight) for r in (ratio.min(), ratio.max())]
    ends = (hyper.deviation.min(), hyper.deviation.max())
    corners = np.stack([distance + f * (end - distance) for f in factors for end in ends])
    sd = 1 / np.sqrt(weight / hyper.sigma.max() ** 2 + 1 / hyper.tau.max() ** 2)
    reach = _REACH if hyper.kind is None else 2 * _NEAR_SKEWED
    return corners.min(axis=0) - reach * sd, corners.max(axis=0) + reach * sd


def _ranks(
    hyper: Hyperdraws,
    weight: FloatArray,
    distance: FloatArray,
    at: IntArray,
    kept: IntArray,
    seed: int,
    *,
    centers: Callable[[tuple[int, int]], FloatArray] | None,
    exceedances: Exceedances | None,
) -> IntArray:
    """Ranks of the chosen groups in each draw that is kept, shape (chosen, chain, kept).

    In each draw the chosen groups come first; of the others only those are drawn that lie within
    `_NEAR` conditional sds of the lowest of them, or above; of very many only those that may lie
    above.
    """
    rng = np.random.default_rng(seed)
    others = np.ones(len(weight), dtype=bool)
    others[at] = False
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(weight), _BLOCK)]
    ranks = np.empty((len(at), len(hyper.mu), len(kept)), dtype=np.int64)
    for chain, (k, draw) in itertools.product(range(len(hyper.mu)), enumerate(kept)):
        toward = np.array(hyper.deviation[chain, draw])
        if centers is not None:
            toward = centers((chain, draw))
        given = Population(toward, hyper.tau[chain, draw], hyper.sigma[chain, draw])
        mean, sd = conditional(weight[at], distance[at], _of(given, at))
        chosen = _theta(hyper, weight[at], distance[at], mean, sd, (chain, draw), rng)
        order = np.argsort(chosen)
        below = np.bincount(np.searchsorted(chosen[order], chosen), minlength=len(at) + 1)
        if exceedances is not None:
            larger = exceedances.draw(chosen[order[0]], given, rng)
            below += np.bincount(np.searchsorted(chosen[order], larger), minlength=len(at) + 1)
        for block in blocks if exceedances is None else ():
            mean, sd = conditional(weight[block], distance[block], _of(given, block))
            reach = _NEAR if hyper.kind is None else _NEAR_SKEWED
            rivals = np.flatnonzero((mean + reach * sd > chosen[order[0]]) & others[block])
            n, y = weight[block][rivals], distance[block][rivals]
            theta = _theta(hyper, n, y, mean[rivals], sd[rivals], (chain, draw), rng)
            larger = theta[theta > chosen[order[0]]]
            below += np.bincount(np.searchsorted(chosen[order], larger), minlength=len(at) + 1)
        ranks[order, chain, k] = 1 + below[::-1].cumsum()[::-1][1:]
    return ranks


def _of(population: Population, groups: IntArray | slice) -> Population:
    """What some groups are drawn from, where each has a center of its own."""
    deviation = np.asarray(population.deviation)
    return population._replace(deviation=deviation[groups]) if deviation.ndim else population


def _theta(
    hyper: Hyperdraws,
    weight: FloatArray,
    distance: FloatArray,
    mean: FloatArray,
    sd: FloatArray,
    at: tuple[int, int],
    rng: np.random.Generator,
) -> FloatArray:
    """Draw theta of groups (from the origin), given one draw of the population."""
    if hyper.kind is None:
        return np.asarray(mean + sd * rng.standard_normal(len(mean)))
    population = tuple(np.array(part[at]) for part in hyper.population)
    given = hyper.kind.given(population, weight, hyper.origin + distance)
    return hyper.kind.draw(given, rng) - hyper.origin
