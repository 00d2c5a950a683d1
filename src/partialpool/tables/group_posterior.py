"""Posterior of the group means from draws of (mu, tau, sigma) alone, for any number of groups.

Given (mu, tau, sigma) the group means are independent and normal: with the pooling factor
lambda_j = sigma^2 / (sigma^2 + n_j tau^2),

    theta_j | mu, tau, sigma, y ~ normal(ybar_j + lambda_j (mu - ybar_j), tau sqrt(lambda_j))

(Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.4). Over S draws the posterior of
theta_j is a mixture of S normals, whose mean, sd and quantiles need no draw of theta: they carry
the Monte Carlo error of (mu, tau, sigma) only. Every one of them is a smooth function of the
group's size and sample mean, and the same function for all groups. So it is worked out on a grid of
Chebyshev nodes and interpolated, which costs J x nodes and not J x S; the grid grows until what
interpolation may add to a quantile is a small share of its Monte Carlo error, and where it would
grow large, as for sizes that span decades, the groups are halved and each half has its own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr
from numpy.polynomial import chebyshev
from scipy import special

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.alike import Alike
from partialpool.families.base import DRAWN_GROUPS, Statistics
from partialpool.families.conjugate import NOTHING, Conjugate, Kind, Parameters
from partialpool.fitting.summarize import QUANTILES
from partialpool.programs import MARGINAL, Program, find_program, statements
from partialpool.tables import nested_groups
from partialpool.tables.group_mixtures import Mixture
from partialpool.types import FloatArray, IntArray

TOLERANCE = 0.02
"""Largest error of interpolated quantiles, as a share of their typical Monte Carlo error."""

_FINEST = 1e-6
_OF_ERRORS = 0.1
"""Largest error of squared Monte Carlo errors, in typical ones: batches tell them less well."""
_FEW, _MANY = 300, 50_000
_ORDERS = (5, 9, 17)
_PANEL, _PANEL_ORDER = 2.0, 25
_BLOCK = 50_000
_FEWER_DRAWS = 1000
_MOST_PAIRS, _FEWEST_DRAWS = 20_000_000, 100
_SQRT_2PI = np.sqrt(2 * np.pi)
_WITH_ERROR = ("mean", "sd", "q2.5", "median", "q97.5")
_QUANTILES, _ERRORS = slice(len(QUANTILES)), slice(len(QUANTILES), None)  # rows of `_shape`


@dataclass(frozen=True)
class Hyperdraws:
    """Draws of (mu, tau, sigma); sigma is 1 where the errors of the groups' estimates are known.

    Attributes
    ----------
    mu, tau, sigma
        Draws in the unit of the data, shape (chain, draw).
    kind
        What theta is given a draw, where it is not normal (`partialpool.tables.group_mixtures`).
    most
        Draws that such mixtures are made of, at most.
    slopes
        Slopes of the covariates, shape (covariate, chain, draw), where there are some.
    outer
        Means of the outer groups, shape (K, chain, draw), where there are some.
    """

    mu: FloatArray
    tau: FloatArray
    sigma: FloatArray
    kind: Kind | None = None
    most: int = 4000
    slopes: FloatArray | None = None
    outer: FloatArray | None = None

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
        mu, tau, sigma = arrays
        slopes = None
        if stats.covariates is not None:
            if "beta" not in posterior:
                raise InputError("the effects follow from the slopes, and the program writes none")
            slopes = posterior["beta"].transpose("covariate", "chain", "draw").to_numpy()
        found = cls(mu, tau, sigma, stats.kind, slopes=slopes)
        if stats.nesting is None:
            return found
        if "phi" not in posterior or posterior["phi"].ndim != 3:
            raise InputError(
                "differences, ranks and draws of groups within groups follow from draws of phi, "
                "and the program writes none"
            )
        [by] = set(posterior["phi"].dims) - {"chain", "draw"}
        return replace(found, outer=posterior["phi"].transpose(by, "chain", "draw").to_numpy())

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

    @cached_property
    def population_size(self) -> FloatArray:
        """Draws of (sigma / tau)^2: how much of a group's own data the population is worth."""
        return (self.sigma / self.tau) ** 2

    @cached_property
    def mixture(self) -> Mixture:
        """The same draws, as mixtures of what is not normal take them."""
        assert self.kind is not None
        return Mixture.thinned(self.kind, self.population, most=self.most)

    @cached_property
    def population(self) -> Parameters:
        """Parameters of the population that is not normal, each shape (chain, draw)."""
        assert self.kind is not None
        return self.kind.population(self.mu, self.population_size)

    def parameters(self, n: FloatArray, distance: FloatArray) -> Parameters:
        """Parameters of what is not normal, each shape (P, chain, draw)."""
        assert self.kind is not None
        own = (part[:, None, None] for part in (n, self.origin + distance))
        return self.kind.given(self.population, *own)

    def scale(self, n: FloatArray) -> FloatArray:
        """Typical sd of the sample mean of groups of `n`, at the mean variances."""
        variance: FloatArray = (self.tau**2).mean() + (self.sigma**2).mean() / n
        return np.sqrt(variance)

    @cached_property
    def _typical(self) -> Parameters:
        """Means of the parameters of the population that is not normal."""
        return tuple(np.asarray(part.mean()) for part in self.population)

    def place(self, n: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates with which quantiles of groups in their sds change evenly, shape (P,) each.

        Log n and the standardized distance; of what is not normal, the logarithms of its two
        parameters under a typical population, any two of which are those of some data.
        """
        if self.kind is None:
            return np.log(n), distance / self.scale(n)
        a, b = self.kind.given(self._typical, n, self.origin + distance)
        return np.log(a), np.log(b)

    def back(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the sizes and distances with these coordinates."""
        if self.kind is None:
            n = np.exp(x)
            return n, y * self.scale(n)
        n, raw = cast(Conjugate, self.kind).data(self._typical, (np.exp(x), np.exp(y)))
        return n, raw - self.origin

    def unit_of_errors(self, n: FloatArray, distance: FloatArray) -> FloatArray:
        """What squared Monte Carlo errors of groups are about proportional to, shape (P,).

        An error of mu enters a group's mean times the pooling factor, and counts in its sds.
        """
        assert self.kind is not None
        given = self.kind.given(self._typical, n, self.origin + distance)
        size = float(self.population_size.mean())
        return np.asarray((size / (size + n)) ** 2 / self.kind.variance(given))

    def shares(self, n: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Draws of 1 - lambda and of lambda, each with all its digits, for groups of size `n`.

        Shapes (P,) to (P, chain, draw).
        """
        ratio = n[:, None, None] * (self.tau / self.sigma) ** 2
        factor = 1 / (1 + ratio)
        return ratio * factor, factor

    def thinned(self, most: int) -> Hyperdraws:
        """Keep at most so many draws, evenly spaced over the chains."""
        chains, draws = self.mu.shape
        kept = np.unique(np.linspace(0, draws - 1, min(draws, max(1, most // chains))).astype(int))
        mu, tau, sigma = (part[:, kept] for part in (self.mu, self.tau, self.sigma))
        slopes, outer = (
            None if part is None else part[:, :, kept] for part in (self.slopes, self.outer)
        )
        return Hyperdraws(mu, tau, sigma, self.kind, self.most, slopes, outer)

    def centers(
        self, stats: Statistics, at: IntArray, draw: tuple[int, int] | None = None
    ) -> FloatArray:
        """What groups are pulled towards: mu, their line or the mean of their outer group.

        Parameters
        ----------
        stats, at
            The statistics, and indices of P groups.
        draw
            Chain and draw; all of them where None.

        Returns
        -------
        array
            Counted from `origin`, shape (P, chain, draw), or (P,) of one draw; without the first
            dimension where all groups have one center.
        """
        kept = slice(None), slice(None)
        which = kept if draw is None else draw
        if self.outer is not None and stats.nesting is not None:
            return np.asarray(self.outer[(stats.nesting.index[at], *which)] - self.origin)
        toward = np.asarray(self.deviation[which])
        if self.slopes is None or stats.covariates is None:
            return toward
        x = stats.covariates.centered[at]
        return np.asarray(toward + np.tensordot(x, self.slopes[(slice(None), *which)], axes=1))

    def conditional(
        self, n: FloatArray, distance: FloatArray, centers: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean (from `origin`) and sd of theta given each draw.

        Parameters
        ----------
        n, distance
            Group sizes, and sample means counted from `origin`, shape (P,).
        centers
            What `centers` gives; mu where None.

        Returns
        -------
        mean, sd
            Shape (P, chain, draw).
        """
        own, pulled = self.shares(n)
        toward = self.deviation if centers is None else centers
        mean = own * distance[:, None, None] + pulled * toward
        return mean, self.tau * np.sqrt(pulled)


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

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.read_csv(pp.example())
    >>> [fit] = pp.fit_programs("hierarchical_marginal", data)
    >>> pp.group_estimates(fit.posterior, data.stats)["group"].tolist()[:2]
    ['1', '2']
    """
    at = np.arange(stats.J) if groups is None else positions(stats, groups)
    if stats.nesting is not None:
        return nested_groups.estimates(posterior, stats, at)
    hyper = Hyperdraws.of(posterior, stats)
    if stats.covariates is not None:
        return _about_a_line(hyper, stats, at)
    n, raw = stats.weight[at], stats.raw[at]
    which: IntArray | slice = slice(None)
    if hyper.kind is not None:  # of counts few pairs are different, and a group may have none
        alike = stats.alike if groups is None else None
        alike = alike or Alike.of(n, raw)
        n, which = np.maximum(alike.weight, NOTHING), alike.which
        raw = np.where(alike.weight > 0, alike.raw, hyper.origin)
        if len(n) > _FEW or stats.J > _MANY:  # so well is the population known then that fewer do
            hyper = replace(hyper, most=_FEWER_DRAWS)
    distance = raw - hyper.origin
    if hyper.kind is not None and not hyper.kind.linear:
        step = max(1, _BLOCK // hyper.size)
        means = [hyper.shares(n[k : k + step])[1].mean((1, 2)) for k in range(0, len(n), step)]
        factor = np.concatenate(means)[which]
        mean, sd, shape = (part[..., which] for part in _apart(hyper, n, distance))
        return _frame(hyper, stats, at, factor, mean, sd, shape)
    moments = _interpolated_sizes(lambda size: _size_moments(hyper, size), n)
    within = None
    if hyper.kind is not None:
        parts = _interpolated_sizes(lambda size: _within(hyper, size), n)
        within = parts[0] + distance * (parts[1] + distance * parts[2])
    factor, mean, sd = (part[which] for part in _mean_and_sd(moments, distance, within))
    shape = _shape(hyper, n, distance)[:, which]
    return _frame(hyper, stats, at, factor, mean, sd, shape)


def _frame(
    hyper: Hyperdraws,
    stats: Statistics,
    at: IntArray,
    factor: FloatArray,
    mean: FloatArray,
    sd: FloatArray,
    shape: FloatArray,
) -> pd.DataFrame:
    """Put the columns together; means are counted from the origin, `shape` is `_shape`'s."""
    columns: dict[str, object] = {
        "group": np.array(stats.labels, dtype=object)[at],
        **{name: column[at] for name, column in stats.sizes.items()},
        "raw_mean": stats.raw[at],
        "lambda_mean": factor,
        "mean": hyper.origin + mean,
        "sd": sd,
    }
    for k, name in enumerate(QUANTILES):
        columns[name] = hyper.origin + mean + sd * shape[k]
    for k, name in enumerate(_WITH_ERROR, start=len(QUANTILES)):
        columns[f"mcse_{name}"] = sd * np.sqrt(np.maximum(shape[k], 0.0))
    return pd.DataFrame(columns, copy=False)


def _apart(
    hyper: Hyperdraws, n: FloatArray, distance: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, sd and `_shape` of each pair by itself, where no moment is linear."""
    pairs = zip(n.tolist(), (hyper.origin + distance).tolist(), strict=True)
    found = [hyper.mixture.shape_of(*pair, batch_variance) for pair in pairs]
    mean, sd = (np.array([each[k] for each in found]) for k in range(2))
    shape = np.stack([np.concatenate(each[2:]) for each in found], axis=1)
    return mean - hyper.origin, sd, shape


def _about_a_line(hyper: Hyperdraws, stats: Statistics, at: IntArray) -> pd.DataFrame:
    """`group_estimates` where covariates give each group a center of its own, group by group.

    Of many groups fewer draws are used, evenly spaced; the Monte Carlo errors are theirs.
    """
    assert stats.covariates is not None
    hyper = hyper.thinned(int(np.clip(_MOST_PAIRS // len(at), _FEWEST_DRAWS, hyper.size)))
    step = max(1, _BLOCK // hyper.size)
    parts = []
    for start in range(0, len(at), step):
        part = at[start : start + step]
        n, distance = stats.weight[part], stats.raw[part] - hyper.origin
        means, sds = hyper.conditional(n, distance, hyper.centers(stats, part))
        mean, sd, shape = _shape_of(means, sds)
        parts.append(np.vstack([hyper.shares(n)[1].mean((1, 2)), hyper.origin + mean, sd, shape]))
    found = np.concatenate(parts, axis=1)
    (factor, mean, sd), of_shape = found[:3], found[3:]
    columns: dict[str, object] = {
        "group": np.array(stats.labels, dtype=object)[at],
        **{name: column[at] for name, column in stats.sizes.items()},
        "raw_mean": stats.raw[at],
        "lambda_mean": factor,
        "mean": mean,
        "sd": sd,
    }
    for name, row in zip(QUANTILES, of_shape, strict=False):
        columns[name] = mean + sd * row
    for name, row in zip(_WITH_ERROR, of_shape[len(QUANTILES) :], strict=True):
        columns[f"mcse_{name}"] = sd * np.sqrt(np.maximum(row, 0.0))
    return pd.DataFrame(columns, copy=False)


def _within(hyper: Hyperdraws, n: FloatArray) -> FloatArray:
    """Mean variance of theta within a draw, as a polynomial of the distance, shape (3, P)."""
    own, factor = hyper.shares(n)
    first, second = cast(Conjugate, hyper.kind).of_mean(hyper.population_size, n[:, None, None])
    middle = hyper.origin + factor * hyper.deviation
    axes = (1, 2)
    constant = (first * middle + second * middle**2).mean(axes)
    linear = (own * (first + 2 * second * middle)).mean(axes)
    return np.stack([constant, linear, (second * own**2).mean(axes)])


def check_marginal(program: Program, data: GroupedData) -> None:
    """Refuse a program under which the group means need not be conditionally normal.

    Raises
    ------
    InputError
        The program does not leave it to its inputs which groups are drawn, lacks mu, tau or the sd
        within groups, or has another likelihood than the shipped marginal program.
    """
    if data.family.mixture:
        raise InputError(
            f"with {data.family.mixture}, {data.words.thetas} do not follow from mu, tau and sigma "
            f"alone: `report` draws each of up to {DRAWN_GROUPS:,} groups; take fewer, or the "
            "usual model of these rows, of which any number follows"
        )
    slopes = "" if data.stats.covariates is None else "beta"
    needed = [name for name in ("mu", slopes, "tau", data.stats.error_sd) if name]
    shipped = find_program(MARGINAL, family=data.family.name)
    if (
        set(needed) - program.outputs.keys()
        or "J_drawn" not in program.inputs
        or statements.beyond_priors(program.path) != statements.beyond_priors(shipped)
    ):
        model = "normal model" if data.family.gaussian else "model"
        raise InputError(
            f"{program.title}: the {data.words.thetas} follow from "
            f"{', '.join(needed[:-1])} and {needed[-1]} only under the {model} of "
            "hierarchical_marginal; name that program or an edited copy of it, in which the "
            "priors may be others"
        )


def no_group_drawn(data: GroupedData) -> dict[str, Any]:
    """Inputs with which the marginal program of the data's family draws no group."""
    names = data.family.inputs(data.stats, draw_groups=False)
    return {n: 0 if n == "J_drawn" else () for n in names if n.endswith("_drawn")}


def positions(stats: Statistics, labels: Sequence[str]) -> IntArray:
    """Indices of groups.

    Raises
    ------
    InputError
        A label that no group has.
    """
    wanted = set(labels)
    if not wanted:
        return np.empty(0, dtype=np.int64)
    index: dict[str, int] = {}
    for j in itertools.compress(range(stats.J), map(wanted.__contains__, stats.labels)):
        index[stats.labels[j]] = j
    if unknown := [label for label in labels if label not in index]:
        raise InputError(
            f"no group is called {unknown[0]!r}; there are {stats.J} groups, the first of them "
            f"{', '.join(map(repr, stats.labels[:5]))}"
        )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _size_moments(hyper: Hyperdraws, n: FloatArray) -> FloatArray:
    """Moments over the draws from which mean and sd of theta follow, shape (7, P).

    With lambda the pooling factor and d the deviation of mu, they are the logarithms of
    E[1 - lambda], E[lambda] and E[tau^2 lambda], then E[lambda d] / E[lambda], and the variances
    and the covariance of lambda and lambda d over the powers of E[1 - lambda] and E[lambda] that
    they fall with. So none of them changes fast with log n, and where lambda is near 0 or 1 they
    keep their digits.
    """
    own, factor = hyper.shares(n)
    pulled = factor * hyper.deviation
    axes = (1, 2)
    a, rest, b = factor.mean(axes), own.mean(axes), pulled.mean(axes)
    da = np.where((a < rest)[:, None, None], factor - a[:, None, None], rest[:, None, None] - own)
    da /= (a * rest)[:, None, None]
    db = (pulled - b[:, None, None]) / a[:, None, None]
    within = (hyper.tau**2 * factor).mean(axes)
    products = [(da**2).mean(axes), (da * db).mean(axes), (db**2).mean(axes)]
    return np.stack([np.log(rest), np.log(a), np.log(within), b / a, *products])


def _mean_and_sd(
    moments: FloatArray, distance: FloatArray, variance: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean pooling factor, and mean (from the origin) and sd of theta.

    The latter follow by the laws of total expectation and variance; `variance` is the mean of that
    within a draw where theta is not normal.
    """
    rest, a, within = np.exp(moments[:3])
    within = within if variance is None else variance
    b, aa, ab, bb = moments[3:]
    scaled = rest * distance
    between = a**2 * (scaled**2 * aa - 2 * scaled * ab + bb)
    return a, scaled + a * b, np.sqrt(within + np.maximum(between, 0.0))


def _shape(hyper: Hyperdraws, n: FloatArray, distance: FloatArray) -> FloatArray:
    """Standardized quantiles, and squared Monte Carlo errors in posterior variances.

    Returns
    -------
    array
        Shape (quantiles + errors, groups).
    """
    found = _shape_at(hyper, n, distance, *hyper.place(n, distance))
    if hyper.kind is not None:
        found[_ERRORS] *= hyper.unit_of_errors(n, distance)
    return found


def _shape_at(
    hyper: Hyperdraws, n: FloatArray, distance: FloatArray, size: FloatArray, u: FloatArray
) -> FloatArray:
    """`_shape`, with the coordinates of the grid: those of `Hyperdraws.place`.

    Errors of what is not normal differ by orders of magnitude, and come in units that do as well.
    """
    if len(n) <= _FEW:
        return _exact_shape(hyper, n, distance)
    ends = [(float(x.min()), float(x.max())) for x in (size, u)]
    orders, earlier = [0, 0], (np.inf, np.inf)
    while max(orders) < len(_ORDERS):
        x, y = (_nodes(*end, _ORDERS[order]) for end, order in zip(ends, orders, strict=True))
        if len(x) * len(y) >= len(n):
            return _exact_shape(hyper, n, distance)
        nodes = hyper.back(np.repeat(x, len(y)), np.tile(y, len(x)))
        values = _exact_shape(hyper, *nodes).reshape(-1, len(x), len(y))
        series = _series(_series(values, axis=1), axis=2)
        squares = values[_ERRORS]
        if hyper.kind is not None:
            squares = squares * hyper.unit_of_errors(*nodes).reshape(1, len(x), len(y))
        allowed = max(_FINEST, TOLERANCE * float(np.sqrt(np.median(squares))))
        rests = (_rest(series[_QUANTILES], axis=1), _rest(series[_QUANTILES], axis=2))
        if hyper.kind is not None:
            typical = np.median(values[_ERRORS], axis=(1, 2), keepdims=True)
            errors = series[_ERRORS] * (allowed / _OF_ERRORS / typical)
            rests = max(rests[0], _rest(errors, axis=1)), max(rests[1], _rest(errors, axis=2))
        if max(rests) <= allowed:
            return _evaluate(series, *map(_unit, (size, u), *zip(*ends, strict=True)))
        if any(r**2 > allowed * before for before, r in zip(earlier, rests, strict=True)):
            break  # what is left does not fall fast enough for the next order to do
        earlier = rests
        orders = [order + (rest > allowed) for order, rest in zip(orders, rests, strict=True)]
    split = (size, u)[int(np.argmax(rests))]
    upper = split > 0.5 * (float(split.min()) + float(split.max()))
    result = np.empty((len(QUANTILES) + len(_WITH_ERROR), len(n)))
    for half in (np.flatnonzero(~upper), np.flatnonzero(upper)):
        result[:, half] = _shape_at(hyper, *(part[half] for part in (n, distance, size, u)))
    return result


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
    """Size of the last two coefficients along an axis: what the next ones may add."""
    if series.shape[axis] == 1:
        return 0.0
    return float(np.abs(np.moveaxis(series, axis, 1)[:, -2:]).sum(axis=2).max())


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
    """Evaluate a function of the group size at every group; result (rows, groups).

    Of many sizes the function is evaluated at Chebyshev nodes of short panels of log n. What it is
    made of, 1 / (1 + n r), has its nearest singularities at the distance pi from the real axis, so
    that 25 nodes of a panel of width 2 hold it to (2 pi)^-25, beyond double precision.
    """
    sizes, which = np.unique(n, return_inverse=True)
    x = np.log(sizes)
    panels = max(1, int(np.ceil((x[-1] - x[0]) / _PANEL)))
    if len(sizes) <= panels * _PANEL_ORDER:
        return _in_parts(function, sizes)[:, which]
    edges = np.linspace(x[0], x[-1], panels + 1)
    starts = np.searchsorted(x, edges[:-1])
    parts = []
    for k, part in enumerate(np.split(x, starts[1:])):
        ends = float(edges[k]), float(edges[k + 1])
        series = _series(_in_parts(function, np.exp(_nodes(*ends, _PANEL_ORDER))), axis=1)
        steps = range(0, len(part), _BLOCK) if len(part) else ()
        parts += [
            series @ chebyshev.chebvander(_unit(part[s : s + _BLOCK], *ends), _PANEL_ORDER - 1).T
            for s in steps
        ]
    result: FloatArray = np.concatenate(parts, axis=1)[:, which]
    return result


def _in_parts(function: Callable[[FloatArray], FloatArray], n: FloatArray) -> FloatArray:
    """Evaluate a function of the group size at some sizes, a few at a time."""
    return np.concatenate([function(n[k : k + 8]) for k in range(0, len(n), 8)], axis=1)


def _exact_shape(hyper: Hyperdraws, n: FloatArray, distance: FloatArray) -> FloatArray:
    """`_shape_at` for each group by itself, from the mixture over all draws."""
    if hyper.kind is not None:
        pairs = zip(n.tolist(), (hyper.origin + distance).tolist(), strict=True)
        mixture = hyper.mixture

        def of_pair(pair: tuple[float, float]) -> FloatArray:
            _, _, quantiles, squares = mixture.shape_of(*pair, batch_variance)
            return np.concatenate([quantiles, squares])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = np.stack(list(pool.map(of_pair, pairs)), axis=1)
        found[_ERRORS] /= hyper.unit_of_errors(n, distance)
        return found
    step = max(1, _BLOCK // hyper.size)
    parts = []
    for start in range(0, len(n), step):
        part = slice(start, start + step)
        parts.append(_shape_of(*hyper.conditional(n[part], distance[part]))[2])
    return np.concatenate(parts, axis=1)


def _shape_of(means: FloatArray, sds: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and sd of mixtures of normals, (P, chain, draw), and their `_shape`."""
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
    shape = np.stack([*rows.values(), *(errors[name] for name in _WITH_ERROR)])
    return mean, sd, shape


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
