"""The exact posterior of rates from a gamma population, by quadrature over a plane.

Model: x_j ~ Poisson(e_j theta_j), theta_j ~ gamma(a, b), with gamma priors of the shape a and of
the rate b (George, Makov and Smith 1993, *Scandinavian Journal of Statistics* 20, 147-156). Given
(a, b)

- log p(x | a, b) = sum A_i log(a + i) + J a log b - sum (a + x_j) log(b + e_j) with the tail counts
  A_i of the events, but for constants;
- theta_j ~ gamma(a + x_j, b + e_j), whose mean is lambda_j mu + (1 - lambda_j) x_j / e_j with the
  mean mu = a / b of the population and the pooling factor lambda_j = b / (b + e_j).

The logarithms of b, of mu, of tau = sqrt(a) / b and of a are the outer variables of four planes, so
that each has its own marginal density.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from partialpool.errors import InputError
from partialpool.families.conjugate import GAMMA
from partialpool.families.exact.draws import inner_quantiles
from partialpool.families.exact.mixed import FINER_PANELS, PANELS, Mixed, Nodes, mixed
from partialpool.families.exact.on_grids import OnGrids
from partialpool.families.exact.plane import Outer, Plane
from partialpool.families.exact.quadrature import panel_nodes
from partialpool.families.exact.rising import log_rising, on_nodes, tail_counts
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    Share,
    check_probs,
    position,
    quantile_column,
)
from partialpool.priors.populations import Gamma
from partialpool.types import FloatArray, IntArray

Function: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

_BLOCK = 400_000
_FAR = 30.0
_MOST = 600.0


@dataclass(frozen=True)
class Problem:
    """Data and priors, arranged for the density of (log b, log mu).

    Attributes
    ----------
    events, exposure
        Of each group, shape (J,).
    shape, rate
        Priors of a and of b.
    """

    events: IntArray
    exposure: FloatArray
    shape: Gamma
    rate: Gamma

    @cached_property
    def _events(self) -> tuple[FloatArray, FloatArray]:
        return tail_counts(self.events)

    @cached_property
    def _exposure(self) -> tuple[FloatArray, ...]:
        ones = np.ones(len(self.exposure))
        return on_nodes(self.exposure, ones, self.events.astype(np.float64))

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of log b and of log mu that hold all there is."""
        seen = self.exposure[self.exposure > 0]
        middle = math.log(float((self.events.sum() + 0.5) / seen.sum()))
        typical = [seen.min(), seen.max(), self.rate.mean]
        low, high = (math.log(float(f(typical))) for f in (min, max))
        reach = _FAR / min(1.0, self.rate.alpha, self.shape.alpha)
        return (low - reach, high + _FAR), (middle - reach, middle + reach)

    @property
    def log_constant(self) -> float:
        """What of log p(x) depends on the data alone."""
        x = self.events.astype(float)
        return float((special.xlogy(x, self.exposure) - special.gammaln(x + 1)).sum())

    def log_density(self, v: FloatArray, z: FloatArray) -> FloatArray:
        """Log of p(x, log b = v, log mu = z), but for `log_constant`."""
        v, z = np.broadcast_arrays(v, z)
        log_b = np.clip(v, -_MOST, _MOST)
        b, a = np.exp(log_b), np.exp(np.clip(v + z, -_MOST, _MOST))
        total = np.empty(a.size)
        nodes, weights = self._events
        exposure, groups, events = self._exposure
        step = max(1, _BLOCK // max(1, len(nodes) + len(exposure)))
        flat = [part.ravel() for part in (a, b, log_b)]
        for start in range(0, a.size, step):
            at = slice(start, start + step)
            shape, rate, log_rate = (part[at] for part in flat)
            below = np.log1p(exposure / rate[:, None])
            total[at] = np.log(shape[:, None] + nodes) @ weights - events.sum() * log_rate
            total[at] -= shape * (below @ groups) + below @ events
        priors = self.shape.log_density(a) + self.rate.log_density(b) + 2 * v + z
        return np.asarray(total.reshape(a.shape) + priors)

    def plane(self, name: str) -> Plane:
        """The density with the logarithm of b, mu, tau or a as outer variable."""
        of_v, of_z = self.ends
        d = self.log_density

        def inner(ends: tuple[float, float], u: FloatArray) -> tuple[FloatArray, FloatArray]:
            return np.full_like(u, ends[0]), np.full_like(u, ends[1])

        def make(
            density: Function, outer: tuple[float, float], within: tuple[float, float]
        ) -> Plane:
            return Plane(density, outer, partial(inner, within), np.inf, moment=0)

        if name == "rate":
            return make(d, of_v, of_z)
        if name == "mu":
            return make(lambda z, v: d(v, z), of_z, of_v)
        if name == "tau":  # tau^2 = mu / b
            ends = (0.5 * (of_z[0] - of_v[1]), 0.5 * (of_z[1] - of_v[0]))
            return make(lambda t, z: d(z - 2 * t, z), ends, of_z)
        ends = (of_v[0] + of_z[0], min(of_v[1] + of_z[1], 2 * _FAR))
        return make(lambda s, z: d(s - z, z), ends, of_z)


@dataclass(frozen=True)
class Points:
    """Nodes of the quadrature over the plane, all of shape (nodes,).

    Attributes
    ----------
    shape, rate
        Parameters of the population.
    width
        The shape, but for one so large that gamma distributions of it lie between the nodes: it is
        lowered until they overlap, so that their mixture is as smooth as it is in truth.
    weight
        Probability, sum 1.
    """

    shape: FloatArray
    rate: FloatArray
    width: FloatArray
    weight: FloatArray

    def expect(self, values: FloatArray) -> float:
        """Posterior mean of a function with the given values at the nodes."""
        return float((self.weight * values).sum())

    def moments(self, events: int, exposure: float) -> tuple[float, float]:
        """Posterior mean and sd of theta of a group with these counts."""
        mean = (self.shape + events) / (self.rate + exposure)
        center = self.expect(mean)
        within = mean / (self.rate + exposure)
        return center, math.sqrt(self.expect(within + (mean - center) ** 2))


@dataclass(frozen=True)
class Scale:
    """Distribution of a power of a parameter whose logarithm has a known density.

    Attributes
    ----------
    marginal
        Density of the logarithm.
    power
        The power.
    mean, sd
        Moments; infinite where they do not exist.
    """

    marginal: Outer
    power: int
    mean: float
    sd: float

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles of the logarithm, transformed."""
        return np.exp(self.power * self.marginal.quantile(p))


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
    def _found(self) -> dict[str, Outer]:
        return {}

    def outer(self, name: str) -> Outer:
        """Marginal density of the logarithm of a parameter."""
        if name not in self._found:
            plane = self.problem.plane(name)
            before = self.coarser
            known = plane.marginal() if before is None else plane.refined(before.outer(name))
            self._found[name] = known
        return self._found[name]

    @cached_property
    def nodes(self) -> Points:
        """Nodes in the plane for means and mixtures over the posterior."""
        shares, order = (PANELS, 48) if self.coarser is None else (FINER_PANELS, 72)
        outer = self.outer("rate")
        edges = outer.quantile(shares)
        rows = outer.rows.at(panel_nodes(edges[:-1], edges[1:]).ravel())
        narrowest = np.exp(-0.5 * (rows.u + 0.5 * (rows.lower + rows.upper)))
        found = Nodes.of(self.problem.log_density, rows, order, narrowest)
        shape = np.exp(found.outer + found.inner)
        return Points(shape, np.exp(found.outer), np.minimum(shape, found.most), found.weight)

    def scale(self, name: str, power: int = 1) -> Scale:
        """Posterior of a parameter, or a power of it."""
        own = self.nodes
        mu = own.shape / own.rate
        values = {"rate": own.rate, "shape": own.shape, "mu": mu, "tau": np.sqrt(mu / own.rate)}
        order = power if name in ("mu", "tau") else 0
        moments = self.moments(values[name] ** power, order)
        return Scale(self.outer(name), power, *moments)

    def moments(self, values: FloatArray, order: int) -> tuple[float, float]:
        """Mean and sd of what grows like b^-order for small b; infinite where they do not exist."""
        alpha = self.problem.rate.alpha
        mean = self.nodes.expect(values)
        sd = math.sqrt(self.nodes.expect((values - mean) ** 2))
        return (
            mean if order < alpha or not order else math.inf,
            sd if 2 * order < alpha or not order else math.inf,
        )

    def pooling_factor(self, exposure: float) -> Share:
        """Posterior of lambda_j = b / (b + e_j) of a group of such exposure."""

        def factor(v: FloatArray) -> FloatArray:
            return np.asarray(1 / (1 + exposure * np.exp(-v)))

        return Share(self.outer("rate"), factor, increasing=True)

    def theta(self, events: int, exposure: float) -> Mixed:
        """Posterior of theta of a group with these counts; with none, of a group not seen."""
        own = self.nodes
        rate = own.rate * own.width / own.shape
        parameters = own.width + events, rate + exposure
        moments = own.moments(events, exposure)
        if exposure == 0:  # a group not seen, or not looked at
            first, second = (self.problem.rate.alpha > order for order in (1, 2))
            moments = moments[0] if first else math.inf, moments[1] if second else math.inf
        refine = self.coarser is not None
        return mixed(GAMMA, parameters, own.weight, moments=moments, refine=refine)


@dataclass(frozen=True)
class GammaPoissonPosterior(OnGrids[Grid]):
    """Posterior of partial pooling of rates, on a grid and on its refinement.

    Its `summary` has theta, mu, size (the rate b of the population), shape, tau, tau2, lambda
    (pooling factor by group, 1 = complete pooling) and theta_new.

    Attributes
    ----------
    problem
        Data and priors.
    labels
        Names of the groups.
    """

    problem: Problem
    labels: tuple[str, ...]

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
        """Log of p(x), with all constants."""
        return self.problem.log_constant + self.fine.outer("rate").log_total

    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Theta and lambda of these groups, and what there is of the population."""
        own = list(zip(self.problem.events.tolist(), self.problem.exposure.tolist(), strict=True))
        for j in groups:
            of_group = partial(Grid.theta, events=own[j][0], exposure=own[j][1])
            yield Quantity("theta", self.labels[j], of_group)
        yield Quantity("mu", "", partial(Grid.scale, name="mu"))
        yield Quantity("size", "", partial(Grid.scale, name="rate"))
        yield Quantity("shape", "", partial(Grid.scale, name="shape"))
        yield Quantity("tau", "", partial(Grid.scale, name="tau"))
        yield Quantity("tau2", "", partial(Grid.scale, name="tau", power=2))
        for j in groups:
            factor = partial(Grid.pooling_factor, exposure=own[j][1])
            yield Quantity("lambda", self.labels[j], factor)
        yield Quantity("theta_new", "", partial(Grid.theta, events=0, exposure=0.0))

    def group_moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of theta of each group, shape (J,) each."""
        pairs = zip(self.problem.events.tolist(), self.problem.exposure.tolist(), strict=True)
        mean, sd = np.array([self.fine.nodes.moments(*pair) for pair in pairs]).T
        return mean, sd

    def leave_one_out(self) -> FloatArray:
        """Log predictive probability of each group's events given all others, shape (J,).

        Given (a, b) the groups are independent, so leaving one out divides by its probability:
        p(x_j | x_-j) = 1 / E[1 / p(x_j | a, b) | x].
        """
        return self._left_out[0]

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability of fewer events than each group has, given all others, shape (J,).

        As many events count half.
        """
        return self._left_out[1]

    @cached_property
    def _left_out(self) -> tuple[FloatArray, FloatArray]:
        """Log probability of what was seen of each group given all others, and that of less."""
        own = self.fine.nodes
        pairs = zip(self.problem.events.tolist(), self.problem.exposure.tolist(), strict=True)
        found = []
        for x, e in pairs:
            log_p = log_negative_binomial(x, e, own.shape, own.rate)
            without = special.softmax(np.log(own.weight) - log_p)
            below = _fewer(x, e, own.shape, own.rate) + 0.5 * np.exp(log_p)
            log_density = -float(special.logsumexp(-log_p, b=own.weight))
            found.append((log_density, float(without @ below)))
        values = np.array(found)
        return values[:, 0], values[:, 1]

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw `mu` and `size` (b) independently from their posterior, each of the given shape."""
        count = math.prod(shape)
        outer = self.coarse.outer("rate")
        v = outer.draw((count,), rng=rng)
        z = inner_quantiles(self.problem.plane("rate"), outer, v, rng.uniform(size=count))
        return {"mu": np.exp(z).reshape(shape), "size": np.exp(v).reshape(shape)}


def log_negative_binomial(
    events: ArrayLike, exposure: ArrayLike, shape: ArrayLike, rate: ArrayLike
) -> FloatArray:
    """Log probability of events in an exposure, whose rate is gamma(shape, rate)."""
    x, e, a, b = (np.asarray(part, dtype=float) for part in (events, exposure, shape, rate))
    known = special.xlogy(x, e) - special.gammaln(x + 1)
    return np.asarray(known + log_rising(a, x) - a * np.log1p(e / b) - x * np.log(b + e))


def _fewer(events: int, exposure: float, shape: FloatArray, rate: FloatArray) -> FloatArray:
    """Probability of fewer events than these, shape of `shape`."""
    if events == 0:
        return np.zeros_like(shape)
    return np.asarray(special.betainc(shape, events, rate / (rate + exposure)))


@dataclass(frozen=True)
class GammaPosterior:
    """Posterior of complete pooling, or of no pooling, of rates: gamma, in closed form.

    Attributes
    ----------
    pooling
        Which of the two.
    labels, events, exposure
        The groups.
    theta
        Prior of the rate, or of each.
    """

    pooling: Literal["complete", "none"]
    labels: tuple[str, ...]
    events: IntArray
    exposure: FloatArray
    theta: Gamma

    @property
    def parameters(self) -> tuple[FloatArray, FloatArray]:
        """Shape and rate of the gamma distribution: one value, or one a group."""
        events, exposure = self.events.astype(np.float64), self.exposure
        if self.pooling == "complete":
            events, exposure = (np.array([part.sum()]) for part in (events, exposure))
        return self.theta.alpha + events, self.theta.beta + exposure

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(x), with all constants."""
        x = self.events.astype(float)
        known = float((special.xlogy(x, self.exposure) - special.gammaln(x + 1)).sum())
        a, b = self.parameters
        before = special.gammaln(self.theta.alpha) - self.theta.alpha * math.log(self.theta.beta)
        return known + float((special.gammaln(a) - a * np.log(b) - before).sum())

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of theta, columns as `GammaPoissonPosterior.summary`."""
        a, b = self.parameters
        names = [""] if self.pooling == "complete" else list(self.labels)
        about = {"parameter": "theta", "group": names, "mean": a / b, "sd": np.sqrt(a) / b}
        frame = pd.DataFrame(about)
        for prob in check_probs(probs):
            frame[quantile_column(float(prob))] = special.gammaincinv(a, prob) / b
        frame["error"] = 0.0
        if groups is not None and self.pooling == "none":
            frame = frame.iloc[[position(self.labels, label) for label in groups]]
        return frame.reset_index(drop=True)

    def leave_one_out(self) -> FloatArray:
        """Log predictive probability of each group's events given all others, shape (J,)."""
        if self.pooling == "none":
            raise InputError("Under no pooling the other groups say nothing of a group.")
        a, b = self.parameters
        return log_negative_binomial(
            self.events, self.exposure, a[0] - self.events, b[0] - self.exposure
        )

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability of fewer events than each group has, given all others, shape (J,).

        As many events count half.
        """
        a, b = self.parameters
        found = []
        for x, e in zip(self.events.tolist(), self.exposure.tolist(), strict=True):
            shape, rate = a - x, b - e
            half = 0.5 * np.exp(log_negative_binomial(x, e, shape, rate))
            found.append(float((_fewer(x, e, shape, rate) + half)[0]))
        return np.array(found)


def gamma_poisson(
    labels: Sequence[str], events: IntArray, exposure: FloatArray, *, shape: Gamma, rate: Gamma
) -> GammaPoissonPosterior:
    """Posterior of partial pooling of rates.

    Parameters
    ----------
    labels
        Names of the groups.
    events, exposure
        Their counts, and how long or how much they were looked at, shape (J,).
    shape, rate
        Priors of the parameters of the population of rates.
    """
    return GammaPoissonPosterior(Problem(events, exposure, shape, rate), tuple(labels))
