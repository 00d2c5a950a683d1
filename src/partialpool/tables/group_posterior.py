"""Posterior of the group means from draws of (mu, tau, sigma) alone, for any number of groups.

Given (mu, tau, sigma) the group means are independent and normal: with the pooling factor
lambda_j = sigma^2 / (sigma^2 + n_j tau^2),

    theta_j | mu, tau, sigma, y ~ normal(ybar_j + lambda_j (mu - ybar_j), tau sqrt(lambda_j))

(Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.4). Over S draws the posterior of
theta_j is a mixture of S normals, whose mean, sd and quantiles need no draw of theta: they carry
the Monte Carlo error of (mu, tau, sigma) only. Every one of them is a smooth function of the
group's size and sample mean, and the same function for all groups. So it is worked out on a grid of
Chebyshev nodes and interpolated, which costs J x nodes and not J x S; the grid grows until what
interpolation may add to a quantile is a small share of its Monte Carlo error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from numpy.polynomial import chebyshev
from scipy import special

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.base import Statistics
from partialpool.fitting.summarize import QUANTILES
from partialpool.programs import Program
from partialpool.types import FloatArray, IntArray

TOLERANCE = 0.02
"""Largest error of interpolated quantiles, as a share of their typical Monte Carlo error."""

NO_GROUP_DRAWN = {"J_drawn": 0, "n_drawn": (), "ybar_drawn": ()}
"""Inputs with which the marginal program draws mu, tau and sigma alone."""

_FINEST = 1e-6
_FEW = 300
_ORDERS = (5, 9, 17, 33, 65, 129)
_BLOCK = 50_000
_SQRT_2PI = np.sqrt(2 * np.pi)
_WITH_ERROR = ("mean", "sd", "q2.5", "median", "q97.5")


@dataclass(frozen=True)
class Hyperdraws:
    """Draws of (mu, tau, sigma); sigma is 1 where the errors of the groups' estimates are known.

    Attributes
    ----------
    mu, tau, sigma
        Draws in the unit of the data, shape (chain, draw).
    """

    mu: FloatArray
    tau: FloatArray
    sigma: FloatArray

    @classmethod
    def of(cls, posterior: xr.Dataset, stats: Statistics) -> Hyperdraws:
        """Take them from the posterior of a fit of partial pooling.

        Raises
        ------
        InputError
            `mu`, `tau` or `sigma` is absent, or a draw of them is not usable.
        """
        arrays: list[FloatArray] = []
        for name in ("mu", "tau", stats.error_sd):
            if not name:
                arrays.append(np.ones_like(arrays[0]))
                continue
            if name not in posterior or posterior[name].ndim != 2:
                raise InputError(
                    f"the group means follow from draws of mu, tau and sigma, and the program "
                    f"writes no single {name!r}; draw theta in the program itself"
                )
            draws = posterior[name].transpose("chain", "draw").to_numpy().astype(np.float64)
            if not np.isfinite(draws).all() or (name != "mu" and (draws <= 0).any()):
                raise InputError(f"draws of {name} are not all finite and above the lower bound")
            arrays.append(draws)
        return cls(*arrays)

    @property
    def size(self) -> int:
        """Number of draws in all chains."""
        return self.mu.size

    @cached_property
    def origin(self) -> float:
        """Mean of the draws of mu, from which deviations are counted to keep their digits."""
        return float(self.mu.flat[0] + (self.mu - self.mu.flat[0]).mean())

    @cached_property
    def deviation(self) -> FloatArray:
        """Draws of mu counted from `origin`, shape (chain, draw)."""
        return self.mu - self.origin

    def scale(self, n: FloatArray) -> FloatArray:
        """Typical sd of the sample mean of groups of `n`, at the mean variances."""
        variance: FloatArray = (self.tau**2).mean() + (self.sigma**2).mean() / n
        return np.sqrt(variance)

    def pooling_factor(self, n: FloatArray) -> FloatArray:
        """Draws of lambda for groups of size `n`, shape (P,); result (P, chain, draw)."""
        sigma2 = self.sigma**2
        factor: FloatArray = sigma2 / (sigma2 + n[:, None, None] * self.tau**2)
        return factor

    def conditional(self, n: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (from `origin`) and sd of theta given each draw.

        Parameters
        ----------
        n, distance
            Group sizes, and sample means counted from `origin`, shape (P,).

        Returns
        -------
        mean, sd
            Shape (P, chain, draw).
        """
        factor = self.pooling_factor(n)
        distance = distance[:, None, None]
        return distance + factor * (self.deviation - distance), self.tau * np.sqrt(factor)


def group_estimates(
    posterior: xr.Dataset, stats: Statistics, *, groups: Sequence[str] | None = None
) -> pd.DataFrame:
    """Posterior of every group's mean, in memory that grows with the groups and not the draws.

    Parameters
    ----------
    posterior
        Draws of `mu`, `tau` and `sigma`, dims chain and draw.
    stats
        Sufficient statistics of the data that were fitted.
    groups
        Labels of the groups that are wanted; all by default.

    Returns
    -------
    DataFrame
        One row a group: `group`, `n`, `raw_mean` (sample mean), `lambda_mean` (mean pooling
        factor, 1 = complete pooling), `mean`, `sd`, `q2.5`, `q25`, `median`, `q75`, `q97.5` of
        theta_j, and `mcse_mean`, `mcse_sd`, `mcse_q2.5`, `mcse_median`, `mcse_q97.5`: Monte Carlo
        standard errors by batch means (Flegal and Jones 2010, *Annals of Statistics* 38), of
        quantiles by the delta method. All but group, n and lambda_mean in the unit of the data.

    Raises
    ------
    InputError
        Draws that are absent or not finite; an unknown label.
    """
    hyper = Hyperdraws.of(posterior, stats)
    at = np.arange(stats.J) if groups is None else positions(stats, groups)
    n = stats.weight[at]
    distance = stats.raw[at] - hyper.origin
    moments = _interpolated_sizes(lambda size: _size_moments(hyper, size), n)
    mean, sd = _mean_and_sd(moments, distance)
    shape = _shape(hyper, n, distance)
    columns: dict[str, object] = {
        "group": np.array(stats.labels, dtype=object)[at],
        **{name: column[at] for name, column in stats.sizes.items()},
        "raw_mean": stats.raw[at],
        "lambda_mean": moments[0],
        "mean": hyper.origin + mean,
        "sd": sd,
    }
    for k, name in enumerate(QUANTILES):
        columns[name] = hyper.origin + mean + sd * shape[k]
    for k, name in enumerate(_WITH_ERROR, start=len(QUANTILES)):
        columns[f"mcse_{name}"] = sd * np.sqrt(np.maximum(shape[k], 0.0))
    return pd.DataFrame(columns)


def check_marginal(program: Program, data: GroupedData) -> None:
    """Refuse a program under which the group means need not be conditionally normal.

    Raises
    ------
    InputError
        The program does not leave it to its inputs which groups are drawn, or lacks mu, tau or
        the sd within groups.
    """
    needed = [name for name in ("mu", "tau", data.stats.error_sd) if name]
    if set(needed) - program.outputs.keys() or "J_drawn" not in program.inputs:
        raise InputError(
            f"{program.title}: the {data.family.words.thetas} follow from "
            f"{', '.join(needed[:-1])} and {needed[-1]} only under the normal model of "
            "hierarchical_marginal; name that program or an edited copy of it, in which the "
            "priors may be others"
        )


def positions(stats: Statistics, labels: Sequence[str]) -> IntArray:
    """Indices of groups.

    Raises
    ------
    InputError
        A label that no group has.
    """
    wanted = list(labels)
    at = pd.Index(stats.labels).get_indexer(pd.Index(wanted, dtype=object))
    if (at < 0).any():
        raise InputError(
            f"no group is called {wanted[int(np.argmin(at))]!r}; there are {stats.J} groups, the "
            f"first of them {', '.join(map(repr, stats.labels[:5]))}"
        )
    return at.astype(np.int64)


def _size_moments(hyper: Hyperdraws, n: FloatArray) -> FloatArray:
    """Moments over the draws from which mean and sd of theta follow, shape (6, P)."""
    factor = hyper.pooling_factor(n)
    pulled = factor * hyper.deviation
    axes = (1, 2)
    a, b = factor.mean(axes), pulled.mean(axes)
    da, db = factor - a[:, None, None], pulled - b[:, None, None]
    within = (hyper.tau**2 * factor).mean(axes)
    return np.stack([a, b, within, (da**2).mean(axes), (da * db).mean(axes), (db**2).mean(axes)])


def _mean_and_sd(moments: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (from the origin) and sd by the laws of total expectation and variance."""
    a, b, within, aa, ab, bb = moments
    between = distance**2 * aa - 2 * distance * ab + bb
    return distance - a * distance + b, np.sqrt(within + np.maximum(between, 0.0))


def _shape(hyper: Hyperdraws, n: FloatArray, distance: FloatArray) -> FloatArray:
    """Standardized quantiles, and squared Monte Carlo errors in posterior variances.

    Returns
    -------
    array
        Shape (quantiles + errors, groups).
    """
    if len(n) <= _FEW:
        return _exact_shape(hyper, n, distance)
    size = np.log(n)
    u = distance / hyper.scale(n)
    size_ends = (float(size.min()), float(size.max()))
    u_ends = (float(u.min()), float(u.max()))
    orders = [0, 0]
    while True:
        x, y = _nodes(*size_ends, _ORDERS[orders[0]]), _nodes(*u_ends, _ORDERS[orders[1]])
        if len(x) * len(y) >= len(n):
            return _exact_shape(hyper, n, distance)
        node_n = np.exp(np.repeat(x, len(y)))
        node_distance = np.tile(y, len(x)) * hyper.scale(node_n)
        values = _exact_shape(hyper, node_n, node_distance).reshape(-1, len(x), len(y))
        series = _series(_series(values, axis=1), axis=2)
        allowed = max(_FINEST, TOLERANCE * float(np.sqrt(np.median(values[len(QUANTILES) :]))))
        rests = (_rest(series, axis=1), _rest(series, axis=2))
        if max(rests) <= allowed:
            return _evaluate(series, _unit(size, *size_ends), _unit(u, *u_ends))
        orders = [order + (rest > allowed) for order, rest in zip(orders, rests, strict=True)]
        if max(orders) == len(_ORDERS):
            return _exact_shape(hyper, n, distance)


def _nodes(lower: float, upper: float, order: int) -> FloatArray:
    """Chebyshev nodes between two ends; one node where the ends meet."""
    if lower == upper:
        return np.array([lower])
    return lower + 0.5 * (upper - lower) * (1 + chebyshev.chebpts1(order))


def _unit(x: FloatArray, lower: float, upper: float) -> FloatArray:
    """Map [lower, upper] to [-1, 1]."""
    return np.zeros_like(x) if lower == upper else 2 * (x - lower) / (upper - lower) - 1


def _series(values: FloatArray, *, axis: int) -> FloatArray:
    """Chebyshev coefficients from values at the nodes along an axis."""
    order = values.shape[axis]
    if order == 1:
        return values
    to_series = np.linalg.inv(chebyshev.chebvander(chebyshev.chebpts1(order), order - 1))
    return np.moveaxis(np.tensordot(to_series, values, axes=(1, axis)), 0, axis)


def _rest(series: FloatArray, *, axis: int) -> float:
    """Size of the last two coefficients of the quantiles: what the next ones may add."""
    if series.shape[axis] == 1:
        return 0.0
    quantiles = np.moveaxis(series[: len(QUANTILES)], axis, 1)
    return float(np.abs(quantiles[:, -2:]).sum(axis=2).max())


def _evaluate(series: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Evaluate series of shape (q, a, b) at points, in blocks; result (q, points)."""
    count, a, b = series.shape
    flat = np.moveaxis(series, 0, 1).reshape(a, count * b)
    result = np.empty((count, len(x)))
    step = max(1, _BLOCK // (count * b))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        rows = (chebyshev.chebvander(x[part], a - 1) @ flat).reshape(-1, count, b)
        result[:, part] = np.einsum("pqb,pb->qp", rows, chebyshev.chebvander(y[part], b - 1))
    return result


def _interpolated_sizes(function: Callable[[FloatArray], FloatArray], n: FloatArray) -> FloatArray:
    """Evaluate a function of the group size at every group; result (rows, groups)."""
    sizes, which = np.unique(n, return_inverse=True)
    nodes = sizes
    if len(sizes) > _ORDERS[-1]:
        ends = float(np.log(sizes[0])), float(np.log(sizes[-1]))
        nodes = np.exp(_nodes(*ends, _ORDERS[-1]))
    values = np.concatenate([function(nodes[k : k + 8]) for k in range(0, len(nodes), 8)], axis=1)
    if nodes is not sizes:
        values = chebyshev.chebval(_unit(np.log(sizes), *ends), _series(values, axis=1).T)
    result: FloatArray = values[:, which]
    return result


def _exact_shape(hyper: Hyperdraws, n: FloatArray, distance: FloatArray) -> FloatArray:
    """`_shape` for each group by itself, from the mixture over all draws."""
    step = max(1, _BLOCK // hyper.size)
    parts = []
    for start in range(0, len(n), step):
        part = slice(start, start + step)
        means, sds = hyper.conditional(n[part], distance[part])
        mean = means.mean((1, 2))
        sd = np.sqrt((sds**2).mean((1, 2)) + means.var((1, 2)))
        centered = (means - mean[:, None, None]) / sd[:, None, None]
        spread = sds / sd[:, None, None]
        rows = {}
        errors = {
            "mean": batch_variance(centered),
            "sd": batch_variance(0.5 * (spread**2 + centered**2)),
        }
        for name, p in QUANTILES.items():
            rows[name], shares, density = mixture_quantile(centered, spread, p)
            errors[name] = batch_variance(shares) / density**2
        parts.append(np.stack([*rows.values(), *(errors[name] for name in _WITH_ERROR)]))
    return np.concatenate(parts, axis=1)


def mixture_quantile(
    means: FloatArray, sds: FloatArray, p: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Quantile of mixtures of normals by Newton's method, kept within a bracket.

    Parameters
    ----------
    means, sds
        Components, shape (P, chain, draw).
    p
        Probability below the quantile.

    Returns
    -------
    quantile, shares, density
        The quantile, shape (P,); each component's probability below it, (P, chain, draw), and the
        mixture's density there, (P,), both at a point within 1e-7 of it.
    """
    reach = abs(special.ndtri(p)) + 1
    lower, upper = (means - reach * sds).min((1, 2)), (means + reach * sds).max((1, 2))
    x = np.clip(np.full(len(means), special.ndtri(p)), lower, upper)
    heights = 1 / (_SQRT_2PI * sds)
    for _ in range(100):
        z = x[:, None, None] - means
        z /= sds
        shares = special.ndtr(z)
        z *= z
        z *= -0.5
        density = np.einsum("pcd,pcd->p", np.exp(z, out=z), heights) / z[0].size
        excess = shares.mean((1, 2)) - p
        lower, upper = np.where(excess < 0, x, lower), np.where(excess > 0, x, upper)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - excess / density
        new = np.where((new >= lower) & (new <= upper), new, 0.5 * (lower + upper))
        step, x = np.abs(new - x).max(), new
        if step < 1e-7:  # squared, that is what is left
            break
    return x, shares, density


def batch_variance(series: FloatArray) -> FloatArray:
    """Squared Monte Carlo error of the mean of series (P, chain, draw), by batch means."""
    P, chains, draws = series.shape
    length = max(1, int(np.sqrt(draws)))
    batches = draws // length
    means = series[:, :, draws - batches * length :].reshape(P, chains * batches, length).mean(2)
    return np.asarray(means.var(axis=1, ddof=1) / (chains * batches))
