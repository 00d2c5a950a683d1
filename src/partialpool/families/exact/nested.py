"""The exact posterior of groups within groups, by quadrature over the logarithms of the sds.

Model: ybar_j ~ N(theta_j, sigma^2 / n_j) or, of estimates, y_j ~ N(theta_j, s_j^2) with s_j known;
theta_j ~ N(phi_k, tau^2) for the groups j of the outer group k; phi_k ~ N(mu, omega^2);
mu ~ N(m0, g^2). With w_j = 1 / (tau^2 + s_j^2), W_k = sum w_j, m_k = sum w_j y_j / W_k,
p_k = 1 / (omega^2 + 1 / W_k), P = 1 / g^2 + sum p_k and h = (m0 / g^2 + sum p_k m_k) / P, given
the sds

- log p(y) = sum (log w_j - w_j (y_j - m_k)^2) / 2 - sum (log W_k) / 2
  + sum (log p_k - p_k (m_k - h)^2) / 2 - (m0 - h)^2 / (2 g^2) - log(P g^2) / 2 - J log(2 pi) / 2,
- mu ~ N(h, 1 / P),
- phi_k ~ N(m_k + b_k (h - m_k), b_k omega^2 + b_k^2 / P) with b_k = 1 / (1 + omega^2 W_k), and
  Cov(phi_k, phi_l) = b_k b_l / P,
- theta_j ~ N(y_j + a_j (E phi_k - y_j), a_j tau^2 + a_j^2 Var phi_k) with a_j = s_j^2 w_j,

the two-level algebra (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.4) applied
twice (Raudenbush and Bryk 2002, *Hierarchical Linear Models*, 2nd ed., chapter 8). What is left are
two or three numbers; their nodes follow the trapezoidal rule as in
`partialpool.families.exact.tabled`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy import special

from partialpool.families.exact.leaves import CELLS, Given, Leaves
from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.nested_draws import draw
from partialpool.families.exact.on_grids import Contrasted, LeavingOutNormal
from partialpool.families.exact.table import (
    Quantity,
)
from partialpool.families.exact.tabled import Axis, Density, Side, relocated
from partialpool.families.nesting import Nesting
from partialpool.priors.levels import NestedChoice
from partialpool.types import FloatArray

_LOG_2_PI = math.log(2 * math.pi)
_ROUNDS, _ROUGH, _COARSE, _FINER = 4, 0.6, 0.75, 2.0
_NOTHING = 1e-14
_MANY = 2000


@dataclass(frozen=True)
class Grid:
    """The posterior on nodes of the sds.

    Attributes
    ----------
    leaves
        Data and priors.
    axes
        Where the nodes lie.
    share
        Share of the nodes of each sd that are used.
    """

    leaves: Leaves
    axes: tuple[Axis, ...]
    share: float = 1.0

    @cached_property
    def side(self) -> Side:
        """All nodes."""
        return Side(self.axes, self.share)

    @cached_property
    def _log_weights(self) -> FloatArray:
        sds = {name: column[:, 0] for name, column in self.side.columns.items()}
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            log = self.leaves.given(sds).log_likelihood + self.leaves.log_prior(sds)
        log = log + self.side.log_weights
        return np.where(np.isnan(log), -np.inf, log)

    @property
    def log_density_of_places(self) -> FloatArray:
        """Log density of the places of the nodes before stretching, an axis an sd."""
        shape = [len(axis.places(self.share)) for axis in self.axes]
        return self._log_weights.reshape(shape)

    @cached_property
    def log_total(self) -> float:
        """Log of p(y), with all constants."""
        return float(special.logsumexp(self._log_weights)) + self.leaves.log_constant

    @cached_property
    def mass(self) -> FloatArray:
        """Posterior probabilities of all nodes, sum 1."""
        return np.asarray(special.softmax(self._log_weights))

    @cached_property
    def kept(self) -> np.ndarray:
        """Nodes that matter."""
        return np.flatnonzero(self.mass > _NOTHING * self.mass.max())

    @cached_property
    def weights(self) -> FloatArray:
        """Their probabilities, shape (R,), sum 1."""
        return np.asarray(self.mass[self.kept] / self.mass[self.kept].sum())

    @cached_property
    def sds(self) -> dict[str, FloatArray]:
        """Sds at these nodes, shape (R,)."""
        return {name: column[self.kept, 0] for name, column in self.side.columns.items()}

    @cached_property
    def given(self) -> Given:
        """What follows from them."""
        return self.leaves.given(self.sds)

    @cached_property
    def outer(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Pooling factor b, mean and variance of phi, each shape (R, K)."""
        given, omega2 = self.given, self.sds["omega"][:, None] ** 2
        b = 1 / (1 + omega2 * given.W)
        mean = given.m + b * (given.h[:, None] - given.m)
        return b, mean, b * omega2 + b**2 / given.precision[:, None]

    def _mixture(self, mean: FloatArray, variance: FloatArray, origin: float) -> NormalMixture:
        return NormalMixture(self.weights, mean, np.sqrt(variance), origin)

    def parameter(self, name: str, *, power: int = 1) -> Density:
        """Posterior of an sd to a power."""
        about, t, mass = self.side.along(name, self.mass)
        return Density(t, mass, lambda at: about.values(at) ** power)

    @property
    def mu(self) -> NormalMixture:
        """Posterior of mu."""
        return self._mixture(self.given.h, 1 / self.given.precision, self.leaves.origin)

    def phi(self, k: int) -> NormalMixture:
        """Posterior of the mean of an outer group."""
        _, mean, variance = self.outer
        return self._mixture(mean[:, k], variance[:, k], self.leaves.origin)

    def _theta(self, j: int) -> tuple[FloatArray, FloatArray, FloatArray, int]:
        """Mean of theta_j, its own variance, the pooling factor, and its outer group."""
        variance, tau2 = self.leaves.variance(self.sds, j), self.sds["tau"] ** 2
        a, k = variance / (variance + tau2), int(self.leaves.nesting.index[j])
        y = self.leaves.y[j]
        return y + a * (self.outer[1][:, k] - y), a * tau2, a, k

    def theta(self, j: int) -> NormalMixture:
        """Posterior of theta_j."""
        mean, own, a, k = self._theta(j)
        return self._mixture(mean, own + a**2 * self.outer[2][:, k], self.leaves.origin)

    def contrast(self, i: int, j: int) -> NormalMixture:
        """Posterior of theta_i - theta_j."""
        (mean, own, a, k), (other, its, c, its_k) = self._theta(i), self._theta(j)
        b, _, variance = self.outer
        if k == its_k:
            spread = (a - c) ** 2 * variance[:, k]
        else:
            both = b[:, k] * b[:, its_k] / self.given.precision
            spread = a**2 * variance[:, k] + c**2 * variance[:, its_k] - 2 * a * c * both
        return self._mixture(mean - other, own + its + spread, 0.0)

    def new_outer_group(self) -> NormalMixture:
        """Posterior of the mean of an outer group that there are no data of."""
        variance = 1 / self.given.precision + self.sds["omega"] ** 2
        return self._mixture(self.given.h, variance, self.leaves.origin)

    def new_group(self, k: int | None = None) -> NormalMixture:
        """Posterior of the theta of a further group, in a known outer group or in a new one."""
        if k is not None:
            _, mean, variance = self.outer
            return self._mixture(
                mean[:, k], variance[:, k] + self.sds["tau"] ** 2, self.leaves.origin
            )
        new = self.new_outer_group()
        return self._mixture(new.means, new.sds**2 + self.sds["tau"] ** 2, self.leaves.origin)

    def left_out(self, j: int) -> tuple[FloatArray, FloatArray]:
        """Distance in sds of a group's estimate from what all others predict, and log density.

        The density is that of all data of the group given those of others, at the nodes.
        """
        leaves, given, k = self.leaves, self.given, int(self.leaves.nesting.index[j])
        omega2, tau2 = self.sds["omega"] ** 2, self.sds["tau"] ** 2
        s2 = leaves.variance(self.sds, j)
        w, y = 1 / (tau2 + s2), leaves.y[j]
        alone = leaves.nesting.counts[k] == 1
        W = np.zeros_like(w) if alone else given.W[:, k] - w
        Wm = np.zeros_like(w) if alone else given.W[:, k] * given.m[:, k] - w * y
        b = 1 / (1 + omega2 * W)
        precision = given.precision - given.p[:, k] + W * b
        h = given.precision * given.h - given.p[:, k] * given.m[:, k] + Wm * b
        mean = b * h / precision + omega2 * b * Wm
        spread = s2 + tau2 + b * omega2 + b**2 / precision
        z = (y - mean) / np.sqrt(spread)
        log = -0.5 * (_LOG_2_PI + np.log(spread) + z**2)
        if leaves.samples:
            n, sigma = leaves.weight[j], self.sds["sigma"]
            log += -0.5 * (n - 1) * _LOG_2_PI - (n - 1) * np.log(sigma) - 0.5 * np.log(n)
            log += -0.5 * leaves.ss[j] / sigma**2
        return z, log


@dataclass(frozen=True)
class NestedPosterior(Contrasted[Grid], LeavingOutNormal):
    """Posterior of groups within groups, on a grid and on one with more nodes.

    Its `summary` has theta, phi[LABEL] of outer groups, mu, omega, tau and sigma and their squares,
    theta_new and phi_new (of a new group in a new outer group).

    Attributes
    ----------
    leaves
        Data and priors.
    axes
        Where the nodes of the sds lie.
    labels
        Names of the groups.
    """

    leaves: Leaves
    axes: tuple[Axis, ...]
    labels: tuple[str, ...]

    @cached_property
    def coarse(self) -> Grid:
        """The grid with fewer nodes."""
        return Grid(self.leaves, self.axes, _COARSE)

    @cached_property
    def fine(self) -> Grid:
        """The one with more; the numbers reported are its."""
        return Grid(self.leaves, self.axes)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.fine.log_total

    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Theta of these groups, and what there is of the outer ones and of the population."""
        for j in groups:
            yield Quantity("theta", self.labels[j], partial(Grid.theta, j=j))
        for k, label in enumerate(self.leaves.nesting.labels):
            yield Quantity(f"phi[{label}]", "", partial(Grid.phi, k=k))
        yield Quantity("mu", "", lambda grid: grid.mu)
        for axis in self.axes:
            for power, name in ((1, axis.name), (2, f"{axis.name}2")):
                of = partial(Grid.parameter, name=axis.name, power=power)
                yield Quantity(name, "", of)
        yield Quantity("theta_new", "", Grid.new_group)
        yield Quantity("phi_new", "", Grid.new_outer_group)

    def _left_out(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        grid = self.fine
        log_weights = np.log(grid.weights)
        for j in range(len(self.labels)):
            z, log = grid.left_out(j)
            yield z, log_weights - log

    def tau_density(self, tau: FloatArray) -> FloatArray:
        """Posterior density of tau, shape of `tau`, whose values are above 0."""
        axis = next(axis for axis in self.axes if axis.name == "tau")
        _, t, mass = self.fine.side.along("tau", self.fine.mass)
        log = np.log(np.maximum(mass, np.finfo(float).tiny)) - axis.log_weights(t)
        at = np.arcsinh((np.log(tau) - axis.location) / axis.scale)
        return np.asarray(np.exp(np.interp(at, t, log, left=-np.inf, right=-np.inf)))

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw the sds and `mu`, of the given shape, and `phi`, its last axis the outer groups."""
        finer = Grid(self.leaves, self.axes, _FINER)
        few = finer.side.log_weights.size * self.leaves.J <= CELLS
        return draw(finer if few else self.fine, rng=rng, shape=shape)


def nested(
    labels: Sequence[str],
    estimate: FloatArray,
    weight: FloatArray,
    nesting: Nesting,
    choice: NestedChoice,
    *,
    ss: FloatArray | None = None,
) -> NestedPosterior:
    """Posterior of partial pooling of groups within groups.

    Parameters
    ----------
    labels
        Names of the groups.
    estimate
        Estimates or sample means, in the unit of the data, shape (J,).
    weight
        1 / se^2 of estimates, or numbers of observations, shape (J,).
    nesting
        The outer group of each.
    choice
        Priors; with one of sigma for sample means.
    ss
        Sums of squares within groups, of sample means, shape (J,).
    """
    first = float(estimate[0])
    origin = first + float(np.average(estimate - first, weights=weight / weight.max()))
    none = np.zeros_like(estimate)
    N = int(weight.sum()) if ss is not None else 0
    leaves = Leaves(
        estimate - origin, weight, nesting, origin, choice, none if ss is None else ss, N
    )
    axes = _rough(leaves)
    for _ in range(_ROUNDS):
        grid = Grid(leaves, axes, _ROUGH)
        axes = tuple(relocated(axis, grid.parameter(axis.name)) for axis in axes)
    return NestedPosterior(leaves, axes, tuple(labels))


def _rough(leaves: Leaves) -> tuple[Axis, ...]:
    """Rough places of the sds, from moments."""
    counts = leaves.nesting.counts
    means = leaves.nesting.sums(leaves.y) / counts
    apart = leaves.y - means[leaves.nesting.index]
    spare = leaves.N - leaves.J
    sigma = math.sqrt(leaves.ss.sum() / spare) if spare > 0 and leaves.ss.any() else 1.0
    error = float((sigma**2 / leaves.weight).mean())
    within, width = _moments(float((apart**2).sum()), leaves.J - counts.size, error)
    of_means = (within**2 + error) * float((1 / counts).mean())
    squares = float(((means - means.mean()) ** 2).sum())
    between, wide = _moments(squares, counts.size - 1, of_means)
    three, many = leaves.samples, leaves.J > _MANY
    count = (17 if many else 37) if three else (25 if many else 51)
    axes = (
        Axis("omega", math.log(between), wide, reach=(-3.6, 2.8), count=count),
        Axis("tau", math.log(within), width, reach=(-3.6, 2.8), count=count),
    )
    if not three:
        return axes
    precise = math.sqrt(0.5 / max(1, spare)) + (0.0 if many else 0.05)
    return (*axes, Axis("sigma", math.log(sigma), precise, count=11 if many else 17))


def _moments(squares: float, spare: int, error: float) -> tuple[float, float]:
    """An sd whose square adds to a variance of errors, and about how well its log is known."""
    total = squares / max(1, spare)
    excess, unsure = total - error, total * math.sqrt(2 / max(1, spare))
    if excess < 4 * unsure:
        return math.sqrt(max(excess, error / 10)), 0.7
    return math.sqrt(excess), min(0.7, unsure / excess)
