"""The exact posterior of counts from a population that is normal on another scale.

Model: alpha_j ~ normal(m, s), and counts given theta_j, whose logit or logarithm alpha_j is
(Carpenter 2016, "Hierarchical partial pooling for repeated binary trials", *Stan case studies*,
for the logit). Given (m, s) the groups are independent, and the probability of each pair of count
and size is an integral over alpha (`partialpool.families.linked.integrals`), whose cost knows how
many pairs are different and not how many groups there are.

log s and m are the outer variables of two planes. Mean and sd of theta in the population are
functions of both, and rise with m and with s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import special

from partialpool.families.alike import distinct
from partialpool.families.exact.along import Along, Inner
from partialpool.families.exact.draws import inner_quantiles
from partialpool.families.exact.mixed import FINER_PANELS, PANELS, Nodes
from partialpool.families.exact.plane import Outer, Plane
from partialpool.families.exact.quadrature import (
    Marginal,
    marginal,
    narrow,
    panel_nodes,
    refined,
)
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Distribution,
    Quantity,
    position,
    table,
)
from partialpool.families.linked.integrals import Integrals, below
from partialpool.families.linked.likelihoods import Likelihood
from partialpool.families.linked.population import Population, population
from partialpool.families.linked.surface import surface
from partialpool.priors.distributions import HalfNormal, Normal, ScalePrior, Uniform
from partialpool.priors.linked import LOG
from partialpool.types import FloatArray, IntArray

Function = Callable[[FloatArray, FloatArray], FloatArray]

_LEAST, _MOST = 24.0, 3.5
_FAR = 15.0
_BLOCK = 400_000
_WIDE = 12.0
_TABLE, _LARGE, _HUGE = 120, 1e300, 1e60
_MOST_PANELS, _PANEL, _FINER = 150, 1.5, 0.75
_LITTLE = 1e-9
_MANY = 40
"""Distinct pairs from which on a surface is worth its while."""


@dataclass(frozen=True)
class Problem:
    """Data and priors, arranged for the density of (log s, m).

    Attributes
    ----------
    pairs
        Distinct pairs of count and size, with their likelihood.
    groups
        Groups that have each, shape (K,).
    location, scale
        Priors of m and of s.
    """

    pairs: Integrals
    groups: IntArray
    location: Normal
    scale: ScalePrior

    @cached_property
    def log_constant(self) -> float:
        """What of log p(y) depends on the data alone."""
        own = self.pairs.likelihood.constant(self.pairs.count, self.pairs.size)
        return float(self.groups @ (own + self.pairs.peak))

    @cached_property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of log s and of m that hold all there is."""
        seen = self.pairs.size > 0
        center, variance = self.pairs.likelihood.about(
            self.pairs.count[seen], self.pairs.size[seen]
        )
        most = min(_MOST, math.log(self.scale.upper_bound))
        low = min(float(center.min()), self.location.location) - _FAR
        least = min(0.5 * math.log(float(variance.min())), most) - _LEAST
        return (least, most), (low, max(float(center.max()), self.location.location) + _FAR)

    def log_density(self, x: FloatArray, m: FloatArray) -> FloatArray:
        """Log of p(y, log s = x, m), but for `log_constant`; arrays broadcast."""
        x, m = np.broadcast_arrays(x, m)
        scale, location = np.exp(x.ravel()), m.ravel()
        total = self.log_likelihood(location, scale)
        total = total + self.log_prior(location, scale)
        return np.asarray(np.maximum(total, -1e300).reshape(x.shape))

    def log_prior(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        """Log prior density of location and log scale, shape (points,)."""
        density = self.location.log_density(location) + self.scale.log_density(scale)
        return np.asarray(density + np.log(scale))

    def _sum(self, location: FloatArray, scale: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("k,kp->p", self.groups, self.pairs.relative(location, scale)))

    @cached_property
    def log_likelihood(self) -> Callable[[FloatArray, FloatArray], FloatArray]:
        """Log likelihood: of many pairs looked up on a surface, where that is as exact."""
        pairs, seen = self.pairs, self.pairs.size > 0
        if len(pairs.count) < _MANY:
            return self._sum
        normals = pairs.likelihood.about(pairs.count[seen], pairs.size[seen])
        groups = self.groups[seen].astype(np.float64)
        found = surface(self._sum, self.log_prior, (*normals, groups), self.ends[0])
        return found or self._sum

    @cached_property
    def population(self) -> Population | None:
        """The posterior on panels from which it is drawn, where these hold it."""
        pairs, seen = self.pairs, self.pairs.size > 0
        center, variance = pairs.likelihood.about(pairs.count[seen], pairs.size[seen])
        prior = self.location
        normals = (
            np.append(center, prior.location),
            np.append(variance, -(prior.scale**2)),
            np.append(self.groups[seen], 1.0),
        )

        def log_density(location: FloatArray, scale: FloatArray) -> FloatArray:
            return self.log_likelihood(location, scale) + self.log_prior(location, scale)

        return population(log_density, normals, math.exp(self.ends[0][1]))

    def planes(self) -> tuple[Plane, Plane]:
        """The density with log s and with m as outer variable."""
        of_x, of_m = self.ends

        def inner(ends: tuple[float, float], u: FloatArray) -> tuple[FloatArray, FloatArray]:
            return np.full_like(u, ends[0]), np.full_like(u, ends[1])

        by_scale = Plane(self.log_density, of_x, partial(inner, of_m), np.inf, moment=0)
        by_location = Plane(
            lambda m, x: self.log_density(x, m), of_m, partial(inner, of_x), np.inf, moment=0
        )
        return by_scale, by_location

    def exists(self, squares: float) -> bool:
        """Whether exp(squares * s^2) has a posterior mean, however few the groups."""
        if self.pairs.likelihood.link is not LOG or isinstance(self.scale, Uniform):
            return True
        return isinstance(self.scale, HalfNormal) and squares < 0.5 / self.scale.scale**2


@dataclass(frozen=True)
class Points:
    """Nodes of the quadrature over the plane, all of shape (nodes,).

    Attributes
    ----------
    location, scale
        Parameters of the population.
    width
        The scale, or, where it is so small that normal densities of it lie between the nodes, one
        at which they overlap: so their mixture is as smooth as it is in truth.
    weight
        Probability, sum 1.
    """

    location: FloatArray
    scale: FloatArray
    width: FloatArray
    weight: FloatArray

    def moments_of(self, values: FloatArray) -> tuple[float, float]:
        """Posterior mean and sd of a function with the given values at the nodes."""
        mean = float(self.weight @ values)
        return mean, math.sqrt(float(self.weight @ (values - mean) ** 2))


@dataclass(frozen=True)
class Known:
    """A distribution of which moments and quantiles are known by themselves."""

    mean: float
    sd: float
    quantiles: Callable[[FloatArray], FloatArray]

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles at `p`, shape (q,)."""
        return self.quantiles(p)


@dataclass(frozen=True)
class Grid:
    """One resolution of the quadrature; each part of it is worked out when it is first used.

    Attributes
    ----------
    problem
        Data and priors.
    coarser
        The grid of which this is the refinement, if it is one.
    """

    problem: Problem
    coarser: Grid | None = None

    @cached_property
    def log_scale(self) -> Outer:
        """Marginal density of log s."""
        plane = self.problem.planes()[0]
        return plane.marginal() if self.coarser is None else plane.refined(self.coarser.log_scale)

    @cached_property
    def location(self) -> Outer:
        """Marginal density of m."""
        plane = self.problem.planes()[1]
        return plane.marginal() if self.coarser is None else plane.refined(self.coarser.location)

    @cached_property
    def nodes(self) -> Points:
        """Nodes in the plane for means and mixtures over the posterior."""
        shares, order = (PANELS, 24) if self.coarser is None else (FINER_PANELS, 32)
        edges = self.log_scale.quantile(shares)
        rows = self.log_scale.rows.at(panel_nodes(edges[:-1], edges[1:]).ravel())
        found = Nodes.of(self.problem.log_density, rows, order, np.exp(rows.u))
        scale = np.exp(found.outer)
        return Points(found.inner, scale, np.maximum(scale, found.most**-0.5), found.weight)

    @cached_property
    def spreads(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean and sd of theta in the population, and sigma, at the nodes."""
        link = self.problem.pairs.likelihood.link
        with np.errstate(over="ignore"):
            found = link.moments(self.nodes.location, self.nodes.scale)
        mu, tau, sigma = (np.minimum(part, _HUGE) for part in found)
        return mu, tau, sigma

    @cached_property
    def given(self) -> FloatArray:
        """Log probability of each pair at the nodes, but for constants, shape (K, nodes)."""
        return self.problem.pairs.relative(self.nodes.location, self.nodes.scale)

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of theta of the groups with each pair, shape (K,) each."""
        own = self.nodes
        mean, variance = self.problem.pairs.moments(own.location, own.scale)
        middle = mean @ own.weight
        return middle, np.sqrt((variance + (mean - middle[:, None]) ** 2) @ own.weight)

    def moments(self, k: int) -> tuple[float, float]:
        """Posterior mean and sd of theta of the groups with pair k."""
        mean, sd = self._moments
        return float(mean[k]), float(sd[k])

    def theta(self, k: int) -> Distribution:
        """Posterior of theta of the groups with pair k."""
        log_p = self.given[k]
        own, link = self.nodes, self.problem.pairs.likelihood.link
        mean, sd = self.moments(k)
        pair = self.problem.pairs.count[k], self.problem.pairs.size[k]
        density = self._together[k] if self._together else None
        if density is None:
            density = self._alpha(pair, np.log(own.weight) - log_p)
        if pair[1] == 0:
            mean, sd = self._new_moments(mean, sd)
        return Known(mean, sd, lambda p: link.theta(density.quantile(p)))

    @cached_property
    def _together(self) -> list[Marginal]:
        """Density of alpha of the groups with each pair; none where one is far narrower.

        All have the same panels, so that the normal densities at their nodes are worked out once.
        """
        own, pairs = self.nodes, self.problem.pairs
        location, _ = own.moments_of(own.location)
        _, variance = pairs.likelihood.about(pairs.count, np.maximum(pairs.size, _LITTLE))
        of_location = float(own.weight @ (own.location - location) ** 2)
        shared = [float(own.weight @ (v * own.scale**2 / (v + own.scale**2))) for v in variance]
        length = math.sqrt(of_location + min(shared)) * (_PANEL if self.coarser is None else _FINER)
        low = float((own.location - _WIDE * own.width).min())
        high = float((own.location + _WIDE * own.width).max())
        ends = pairs.likelihood.about(pairs.count, np.maximum(pairs.size, _LITTLE))[0]
        low, high = min(low, float(ends.min())), max(high, float(ends.max()))
        panels = math.ceil((high - low) / length)
        if panels > _MOST_PANELS * (1 if self.coarser is None else 2):
            return []
        edges = np.linspace(low, high, panels + 1)
        u = panel_nodes(edges[:-1], edges[1:])
        log_parts = np.log(own.weight) - self.given
        peak = log_parts.max(axis=1, keepdims=True)
        parts = np.exp(log_parts - peak) / own.width
        total = np.zeros((len(parts), u.size))
        step = max(1, _BLOCK // u.size)
        for start in range(0, len(own.weight), step):
            part = slice(start, start + step)
            z = (u.ravel() - own.location[part, None]) / own.width[part, None]
            total += parts[:, part] @ np.exp(-0.5 * z**2)
        with np.errstate(divide="ignore"):
            log_values = np.log(total)
        alpha = u.ravel()
        log_values += pairs.likelihood.log_density(alpha, pairs.count[:, None], pairs.size[:, None])
        log_values = np.maximum(log_values, -1e300).reshape(-1, *u.shape)
        return [Marginal(edges, values, np.inf) for values in log_values]

    def new_group(self) -> Distribution:
        """Posterior of theta of a group not seen."""
        own, link = self.nodes, self.problem.pairs.likelihood.link
        mu, tau, _ = self.spreads
        mean = float(own.weight @ mu)
        sd = math.sqrt(float(own.weight @ (tau**2 + (mu - mean) ** 2)))
        density = self._alpha((0.0, 0.0), np.log(own.weight))
        return Known(*self._new_moments(mean, sd), lambda p: link.theta(density.quantile(p)))

    def _new_moments(self, mean: float, sd: float) -> tuple[float, float]:
        exists = self.problem.exists
        return mean if exists(0.5) else math.inf, sd if exists(2.0) else math.inf

    def _alpha(self, pair: tuple[float, float], log_weight: FloatArray) -> Marginal:
        """Density of alpha of a group: its likelihood times a mixture of normal densities."""
        own, likelihood = self.nodes, self.problem.pairs.likelihood
        kept = log_weight > log_weight.max() - 36
        m, s = own.location[kept], own.width[kept]
        middle = float(own.weight @ own.location)
        terms = np.stack([(m - middle) / s**2, -0.5 / s**2])
        constant = log_weight[kept] - 0.5 * ((m - middle) / s) ** 2 - np.log(s)

        def log_density(u: FloatArray) -> FloatArray:
            flat = u.ravel()
            result = np.empty(flat.size)
            step = max(1, _BLOCK // m.size)
            for start in range(0, flat.size, step):
                part = slice(start, start + step)
                d = flat[part] - middle
                values = np.stack([d, d * d], axis=1) @ terms
                values += constant
                peak = values.max(axis=1)
                values -= peak[:, None]
                result[part] = peak + np.log(np.exp(values, out=values).sum(axis=1))
            result += likelihood.log_density(flat, *(np.asarray(part) for part in pair))
            return np.maximum(result, -1e300).reshape(u.shape)

        ends = float((m - _WIDE * s).min()), float((m + _WIDE * s).max())
        lower, upper = narrow(log_density, *(np.array([end]) for end in ends), moment=0)
        found = marginal(log_density, float(lower[0]), float(upper[0]), tail_rate=np.inf, moment=0)
        return found if self.coarser is None else refined(log_density, found)

    def mu(self) -> Distribution:
        """Posterior of the mean of theta in the population."""
        link = self.problem.pairs.likelihood.link

        def at(m: FloatArray, x: FloatArray) -> FloatArray:
            return link.moments(m, np.exp(x))[0]

        def inverse(value: FloatArray, x: FloatArray) -> FloatArray:
            return link.location(*np.broadcast_arrays(value, np.exp(x)))

        own = self.nodes
        nodes = np.log(own.scale), own.location, own.weight
        found = Along(Inner(self.problem.planes()[0], self.log_scale), nodes, at, inverse)
        mean, sd = self.nodes.moments_of(self.spreads[0])
        exists = self.problem.exists
        return Known(
            mean if exists(1.0) else math.inf, sd if exists(2.0) else math.inf, found.quantile
        )

    @cached_property
    def _by_location(self) -> tuple[Inner, tuple[FloatArray, FloatArray, FloatArray]]:
        own = self.nodes
        inner = Inner(self.problem.planes()[1], self.location)
        return inner, (own.location, np.log(own.scale), own.weight)

    def _rising(self, of: Callable[[tuple[FloatArray, ...]], FloatArray]) -> Along:
        """A function of mu, tau and sigma that rises with s."""
        link = self.problem.pairs.likelihood.link

        def at(x: FloatArray, m: FloatArray) -> FloatArray:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                return np.fmin(of(link.moments(m, np.exp(x))), _LARGE)

        x, mu_tau_sigma = self._table
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_values = np.log(np.fmin(of(mu_tau_sigma), _LARGE))
        slopes = np.gradient(log_values, x, axis=1)
        nodes = self.location.rows.u

        def inverse(value: FloatArray, m: FloatArray) -> FloatArray:
            """Look up in a table, and take steps of Newton's method from there."""
            which = np.searchsorted(nodes, m.ravel())
            target = np.log(np.broadcast_to(value, (m.size, value.size)))
            own, slope = log_values[which], slopes[which]
            at_left = np.stack(
                [np.searchsorted(each, t) for each, t in zip(own, target, strict=True)]
            )
            at_left = np.clip(at_left - 1, 0, x.size - 2)
            step = x[1] - x[0]
            low, high = (np.take_along_axis(own, at_left + k, axis=1) for k in (0, 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.clip((target - low) / (high - low), 0.0, 1.0)
            share = np.where(np.isfinite(share), share, 0.0)
            found = x[at_left] + step * share
            rise = np.take_along_axis(slope, at_left, axis=1)
            for _ in range(2):
                with np.errstate(divide="ignore", invalid="ignore"):
                    change = (np.log(at(found, m)) - target) / rise
                found = found - np.where(np.isfinite(change), np.clip(change, -step, step), 0.0)
            return np.asarray(found)

        return Along(*self._by_location, at, inverse)

    def tau(self, power: int = 1) -> Distribution:
        """Posterior of tau^power."""
        values = self.spreads[1] ** power
        mean, sd = self.nodes.moments_of(values)
        exists = self.problem.exists
        return Known(
            mean if exists(1.5 * power) else math.inf,
            sd if exists(3.0 * power) else math.inf,
            lambda p: self._tau.quantile(p) ** power,
        )

    @cached_property
    def _table(self) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
        """Values of log s, and mu, tau and sigma there at each node of m, shape (rows, values)."""
        rows = self.location.rows
        x = np.linspace(float(rows.lower.min()), float(rows.upper.max()), _TABLE)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return x, self.problem.pairs.likelihood.link.moments(rows.u[:, None], np.exp(x))

    @cached_property
    def _tau(self) -> Along:
        return self._rising(lambda spreads: spreads[1])

    @cached_property
    def _ratio(self) -> Along:
        return self._rising(lambda spreads: (spreads[1] / spreads[2]) ** 2)

    @cached_property
    def _ratios(self) -> dict[tuple[float, ...], FloatArray]:
        return {}

    def ratio(self, p: FloatArray) -> FloatArray:
        """Quantiles of tau^2 / sigma^2, worked out once."""
        key = tuple(p.tolist())
        if key not in self._ratios:
            self._ratios[key] = self._ratio.quantile(p)
        return self._ratios[key]

    def icc(self) -> Distribution:
        """Posterior of tau^2 / (tau^2 + sigma^2)."""
        _, tau, sigma = self.spreads
        moments = self.nodes.moments_of(tau**2 / (tau**2 + sigma**2))
        return Known(*moments, lambda p: 1 / (1 + 1 / self.ratio(p)))

    def pooling_factor(self, size: float) -> Distribution:
        """Posterior of lambda_j = sigma^2 / (sigma^2 + size tau^2), which is 1 without data."""
        if size == 0:
            return Known(1.0, 0.0, np.ones_like)
        _, tau, sigma = self.spreads
        moments = self.nodes.moments_of(1 / (1 + size * (tau / sigma) ** 2))
        return Known(*moments, lambda p: 1 / (1 + size * self.ratio(1 - p)))

    def of_location(self) -> Distribution:
        """Posterior of m."""
        return Known(*self.nodes.moments_of(self.nodes.location), self.location.quantile)

    def of_scale(self) -> Distribution:
        """Posterior of s."""
        moments = self.nodes.moments_of(self.nodes.scale)
        return Known(*moments, lambda p: np.exp(self.log_scale.quantile(p)))


@dataclass(frozen=True)
class LinkedPosterior:
    """Posterior of partial pooling with such a population, on a grid and on its refinement.

    Attributes
    ----------
    problem
        Data and priors.
    labels
        Names of the groups.
    which
        Pair of each group, shape (J,).
    """

    pooling: ClassVar[Literal["partial"]] = "partial"

    problem: Problem
    labels: tuple[str, ...]
    which: IntArray

    @cached_property
    def coarse(self) -> Grid:
        """Grid that meets the tolerances of the quadrature."""
        return Grid(self.problem)

    @cached_property
    def fine(self) -> Grid:
        """The same with twice the nodes in each direction; the numbers reported are its."""
        return Grid(self.problem, coarser=self.coarse)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.problem.log_constant + self.coarse.log_scale.log_total

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of everything that is reported.

        Parameters
        ----------
        probs
            Probabilities of the quantiles.
        groups
            Groups whose theta and pooling factor are wanted; all by default.

        Returns
        -------
        DataFrame
            Columns as `HierarchicalPosterior.summary` has them. `parameter`: theta, mu, location,
            scale, tau, tau2, icc (of probabilities), lambda (pooling factor by group, 1 = complete
            pooling), theta_new.
        """
        wanted = list(self.labels if groups is None else groups)
        pair = self.which[[position(self.labels, label) for label in wanted]]
        once = table(self._of_pairs(np.unique(pair)), self.coarse, self.fine, probs)
        once = once.set_index("group")
        frames = []
        for name in ("theta", "lambda"):
            rows = once[once["parameter"] == name].loc[[str(k) for k in pair]]
            frames.append(rows.reset_index(drop=True).assign(group=wanted))
        scalars = table(self._scalars(), self.coarse, self.fine, probs)
        stacked = pd.concat([frames[0], scalars, frames[1]], ignore_index=True)
        return stacked[list(scalars.columns)]

    def _of_pairs(self, pairs: IntArray) -> Iterator[Quantity[Grid]]:
        for k in pairs.tolist():
            yield Quantity("theta", str(k), partial(Grid.theta, k=k))
            size = float(self.problem.pairs.size[k])
            yield Quantity("lambda", str(k), partial(Grid.pooling_factor, size=size))

    def _scalars(self) -> Iterator[Quantity[Grid]]:
        yield Quantity("mu", "", Grid.mu)
        yield Quantity("location", "", Grid.of_location)
        yield Quantity("scale", "", Grid.of_scale)
        yield Quantity("tau", "", Grid.tau)
        yield Quantity("tau2", "", partial(Grid.tau, power=2))
        if self.problem.pairs.likelihood.link is not LOG:
            yield Quantity("icc", "", Grid.icc)
        yield Quantity("theta_new", "", Grid.new_group)

    def group_moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of theta of each group, shape (J,) each."""
        found = [self.coarse.moments(k) for k in range(len(self.problem.groups))]
        mean, sd = np.array(found).T
        return mean[self.which], sd[self.which]

    def leave_one_out(self) -> FloatArray:
        """Log predictive probability of each group's counts given all others, shape (J,).

        Given (m, s) the groups are independent, so leaving one out divides by its probability:
        p(y_j | y_-j) = 1 / E[1 / p(y_j | m, s) | y].
        """
        return self._left_out[0][self.which]

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability of a smaller count than each group has, given all others, shape (J,).

        As large a count counts half.
        """
        return self._left_out[1][self.which]

    @cached_property
    def _left_out(self) -> tuple[FloatArray, FloatArray]:
        """By pair: log probability of what was seen given all others, and that of less."""
        own, pairs = self.coarse.nodes, self.problem.pairs
        log_p = self.coarse.given
        of_data = pairs.likelihood.constant(pairs.count, pairs.size) + pairs.peak
        log_density = of_data - special.logsumexp(-log_p, b=own.weight, axis=1)
        shares = special.softmax(np.log(own.weight) - log_p, axis=1)
        found = [
            float(without @ below(pairs.likelihood, y, n, own.location, own.scale)) if n else 0.5
            for without, y, n in zip(shares, pairs.count, pairs.size, strict=True)
        ]
        return log_density, np.array(found)

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw `location` and `scale` independently from their posterior, of the given shape."""
        count, found = math.prod(shape), self.problem.population
        if found is not None:
            location, scale = found.draw(rng, count)
            return {"location": location.reshape(shape), "scale": scale.reshape(shape)}
        plane, outer = self.problem.planes()[0], self.coarse.log_scale
        x = outer.quantile(rng.uniform(size=count))
        m = inner_quantiles(plane, outer, x, rng.uniform(size=count))
        return {"location": m.reshape(shape), "scale": np.exp(x).reshape(shape)}


def linked(
    labels: Sequence[str],
    likelihood: Likelihood,
    count: FloatArray,
    size: FloatArray,
    *,
    location: Normal,
    scale: ScalePrior,
) -> LinkedPosterior:
    """Posterior of partial pooling of counts, with a normal population of alpha.

    Parameters
    ----------
    labels
        Names of the groups.
    likelihood
        Of alpha given counts.
    count, size
        Of the groups, shape (J,).
    location, scale
        Priors of the population's mean and sd.
    """
    *pairs, which = distinct(count, size)
    groups = np.bincount(which)
    problem = Problem(Integrals(likelihood, *pairs), groups, location, scale)
    return LinkedPosterior(problem, tuple(labels), which)
