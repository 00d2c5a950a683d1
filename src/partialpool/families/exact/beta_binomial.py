"""The exact posterior of proportions from a beta population, by quadrature over a plane.

Model: y_j ~ binomial(n_j, theta_j), theta_j ~ beta(mu s, (1 - mu) s), with a beta prior of the mean
mu and a `Power` prior of the size s (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013,
section 5.3). Given (mu, s)

- log p(y | mu, s) = sum A_i log(mu s + i) + sum B_i log((1 - mu) s + i) - sum C_i log(s + i) with
  the tail counts of successes, failures and trials, so that its cost does not know the number of
  groups;
- theta_j ~ beta(mu s + y_j, (1 - mu) s + n_j - y_j), whose mean is
  lambda_j mu + (1 - lambda_j) y_j / n_j with the pooling factor lambda_j = s / (s + n_j).

The plane is that of x = log(1 / sqrt(s)), the log of a spread, and z = logit(mu): equal groups are
x = -infinity, where the density falls like exp(2 (power - 1) x).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from partialpool.errors import InputError
from partialpool.families.conjugate import BETA
from partialpool.families.exact.along import Along, Inner
from partialpool.families.exact.draws import inner_quantiles
from partialpool.families.exact.mixed import FINER_PANELS, PANELS, Mixed, Nodes, mixed
from partialpool.families.exact.plane import Outer, Plane
from partialpool.families.exact.quadrature import (
    DROP,
    Marginal,
    panel_nodes,
)
from partialpool.families.exact.rising import distinct_pairs, log_rising, tail_counts
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    Share,
    check_probs,
    position,
    quantile_column,
    table,
)
from partialpool.priors.populations import Beta, Power
from partialpool.types import FloatArray, IntArray

Function: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

_BLOCK = 400_000
_MOST_TERMS = 500
_FAR = 60.0
"""Largest logit of a mean, and of a proportion beyond what its counts ask for."""


@dataclass(frozen=True)
class Problem:
    """Data and priors, arranged for the density of (x, z).

    Attributes
    ----------
    successes, trials
        Distinct pairs, shape (K,).
    groups
        Groups that have each.
    mu, size
        Priors.
    """

    successes: IntArray
    trials: IntArray
    groups: IntArray
    mu: Beta
    size: Power

    @cached_property
    def _tails(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        counts = (self.successes, self.trials - self.successes, self.trials)
        return tuple(tail_counts(part, self.groups) for part in counts)

    @property
    def mixed(self) -> int:
        """Number of groups that have both successes and failures."""
        both = (self.successes > 0) & (self.successes < self.trials)
        return int(self.groups[both].sum())

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of x and of z that hold all there is."""
        falls = 2 * (self.size.power - 1)
        low = -math.log(float(self.trials.max()) + 1) - 3 - 1.1 * DROP / falls
        high = -0.5 * math.log(self.size.lower) if self.size.lower > 0 else 0.5 * _FAR
        reach = _FAR / min(1.0, self.mu.alpha, self.mu.beta)
        return (min(low, high - 1), high), (-reach, reach)

    @property
    def log_constant(self) -> float:
        """Log of the binomial coefficients, in all."""
        n, y = self.trials.astype(float), self.successes.astype(float)
        of_pair = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
        return float((self.groups * of_pair).sum())

    def log_density(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Log of p(y, x, z), but for `log_constant`; arrays broadcast against each other."""
        x, z = np.broadcast_arrays(x, z)
        size, mu, rest = np.exp(-2 * x), special.expit(z), special.expit(-z)
        likelihood = np.zeros(x.shape)
        parts = (mu * size, rest * size, size)
        for part, (nodes, weights), sign in zip(parts, self._tails, (1, 1, -1), strict=True):
            likelihood += sign * _over_nodes(part, nodes, weights)
        log_mu, log_rest = -np.logaddexp(0, -z), -np.logaddexp(0, z)
        of_mean = self.mu.alpha * log_mu + self.mu.beta * log_rest
        of_mean -= float(special.betaln(self.mu.alpha, self.mu.beta))
        return np.asarray(likelihood + of_mean + self.size.log_density(size) - 2 * x + math.log(2))

    def planes(self) -> tuple[Plane, Plane]:
        """The density with x and with z as outer variable."""
        of_x, of_z = self.ends

        def within(ends: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
            return np.full(1, ends[0]), np.full(1, ends[1])

        def inner(u: FloatArray, *, ends: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
            low, high = within(ends)
            return np.repeat(low, u.size), np.repeat(high, u.size)

        by_spread = Plane(self.log_density, of_x, partial(inner, ends=of_z), np.inf, moment=0)
        by_mean = Plane(
            lambda z, x: self.log_density(x, z), of_z, partial(inner, ends=of_x), np.inf, moment=0
        )
        return by_spread, by_mean


def _over_nodes(x: FloatArray, nodes: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum of weights times log(x + nodes), shape of x."""
    flat, result = x.ravel(), np.zeros(x.size)
    step = max(1, _BLOCK // max(1, len(nodes)))
    for start in range(0, flat.size, step):
        part = slice(start, start + step)
        result[part] = np.log(flat[part, None] + nodes) @ weights
    return result.reshape(x.shape)


@dataclass(frozen=True)
class Size:
    """Distribution of the size s = exp(-2 x), whose upper tail is that of its prior.

    Attributes
    ----------
    marginal
        Density of x.
    power
        The density of s falls like s ** -power.
    """

    marginal: Marginal
    power: float

    @property
    def mean(self) -> float:
        """Mean; infinite where it does not exist."""
        return self._moment(1)

    @property
    def sd(self) -> float:
        """Standard deviation; infinite where it does not exist."""
        square = self._moment(2)
        return math.sqrt(square - self.mean**2) if math.isfinite(square) else math.inf

    def _moment(self, order: int) -> float:
        if self.power <= order + 1:
            return math.inf
        first = float(self.marginal.edges[0])
        at_end = float(self.marginal.density[0, 0]) * math.exp(
            2 * (self.power - 1) * (first - float(self.marginal.nodes[0, 0]))
        )
        beyond = at_end * math.exp(-2 * order * first) / (2 * (self.power - 1 - order))
        return self.marginal.expect(np.exp(-2 * order * self.marginal.nodes)) + beyond

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles of x, transformed."""
        return np.exp(-2 * self.marginal.quantile(1 - p))


@dataclass(frozen=True)
class Points:
    """Nodes of the quadrature over the plane, all of shape (nodes,).

    Attributes
    ----------
    mu, size
        Mean and size.
    width
        The size, but for one so large that beta distributions of it lie between the nodes: it is
        lowered until they overlap, so that their mixture is as smooth as it is in truth.
    weight
        Probability, sum 1.
    """

    mu: FloatArray
    size: FloatArray
    width: FloatArray
    weight: FloatArray

    def expect(self, values: FloatArray) -> float:
        """Posterior mean of a function with the given values at the nodes."""
        return float((self.weight * values).sum())

    def moments(self, successes: int, trials: int) -> tuple[float, float]:
        """Posterior mean and sd of theta of a group with these counts."""
        total = self.size + trials
        mean = (self.mu * self.size + successes) / total
        center = self.expect(mean)
        within = mean * (1 - mean) / (total + 1)
        return center, math.sqrt(self.expect(within + (mean - center) ** 2))


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
    def spread(self) -> Outer:
        """Marginal density of x."""
        plane = self.problem.planes()[0]
        return plane.marginal() if self.coarser is None else plane.refined(self.coarser.spread)

    @cached_property
    def mean(self) -> Outer:
        """Marginal density of z."""
        plane = self.problem.planes()[1]
        return plane.marginal() if self.coarser is None else plane.refined(self.coarser.mean)

    @cached_property
    def nodes(self) -> Points:
        """Nodes in the plane for means and mixtures over the posterior."""
        shares, order = (PANELS, 48) if self.coarser is None else (FINER_PANELS, 72)
        edges = self.spread.quantile(shares)
        rows = self.spread.rows.at(panel_nodes(edges[:-1], edges[1:]).ravel())
        middle = _spread_of_mean(0.5 * (rows.lower + rows.upper))
        found = Nodes.of(self.problem.log_density, rows, order, np.exp(rows.u) / np.sqrt(middle))
        size = np.exp(-2 * found.outer)
        width = np.minimum(size, found.most / _spread_of_mean(found.inner))
        return Points(special.expit(found.inner), size, width, found.weight)

    @cached_property
    def _by_mean(self) -> tuple[Inner, tuple[FloatArray, FloatArray, FloatArray]]:
        plane = self.problem.planes()[1]
        return Inner(plane, self.mean), plane.nodes(self.mean)

    def tau(self, power: int = 1) -> Along:
        """Posterior of tau^power, tau^2 = mu (1 - mu) / (1 + s)."""

        def at(x: FloatArray, z: FloatArray) -> FloatArray:
            return np.asarray((_spread_of_mean(z) * special.expit(2 * x)) ** (0.5 * power))

        def inverse(value: FloatArray, z: FloatArray) -> FloatArray:
            share = value ** (2 / power) / _spread_of_mean(z)
            with np.errstate(divide="ignore"):
                return np.where(share < 1, 0.5 * special.logit(np.minimum(share, 1)), np.inf)

        return Along(*self._by_mean, at, inverse)

    def mu(self) -> Share:
        """Posterior of mu."""
        return Share(self.mean, special.expit, increasing=True)

    def icc(self) -> Share:
        """Posterior of the intraclass correlation, 1 / (1 + s)."""
        return Share(self.spread, lambda x: special.expit(2 * x), increasing=True)

    def size(self) -> Size:
        """Posterior of s."""
        return Size(self.spread, self.problem.size.power)

    def pooling_factor(self, trials: float) -> Share:
        """Posterior of lambda_j = s / (s + n_j) of a group of so many trials."""

        def factor(x: FloatArray) -> FloatArray:
            return np.asarray(1 / (1 + trials * np.exp(2 * x)))

        return Share(self.spread, factor, increasing=False)

    def theta(self, successes: int, trials: int) -> Mixed:
        """Posterior of theta of a group with these counts; with none, of a group not seen."""
        own = self.nodes
        a, b = own.mu * own.width + successes, (1 - own.mu) * own.width + trials - successes
        moments = own.moments(successes, trials)
        refine = self.coarser is not None
        return mixed(BETA, (a, b), own.weight, moments=moments, refine=refine)


def _spread_of_mean(z: FloatArray) -> FloatArray:
    """The variance mu (1 - mu) of a single trial, from the logit of mu."""
    return np.asarray(special.expit(z) * special.expit(-z))


@dataclass(frozen=True)
class BetaBinomialPosterior:
    """Posterior of partial pooling of proportions, on a grid and on its refinement.

    Attributes
    ----------
    problem
        Data and priors.
    labels, successes, trials
        The groups.
    """

    pooling: ClassVar[Literal["partial"]] = "partial"

    problem: Problem
    labels: tuple[str, ...]
    successes: IntArray
    trials: IntArray

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
        return self.problem.log_constant + self.fine.spread.log_total

    @property
    def log_bayes_factor_of_no_spread(self) -> float:
        """Log of p(y | equal probabilities) / p(y), under the same prior of mu.

        Raises
        ------
        InputError
            The prior of the size is no distribution.
        """
        if not self.problem.size.is_proper:
            raise InputError(
                f"{self.problem.size.describe('size')} is no distribution, and a Bayes factor "
                "needs one: set size_lower or size_shift above 0"
            )
        equal = _together(self.problem.mu, self.successes.sum(), self.trials.sum())
        return equal - self.fine.spread.log_total

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
            Columns as `HierarchicalPosterior.summary` has them. `parameter`: theta, mu, size, tau,
            tau2, icc, lambda (pooling factor by group, 1 = complete pooling), theta_new.
        """
        wanted = self.labels if groups is None else groups
        at = [position(self.labels, label) for label in wanted]
        pairs = {(int(self.successes[j]), int(self.trials[j])): j for j in at}
        once = table(_of_pairs(pairs), self.coarse, self.fine, probs).set_index("group")
        frames = []
        for name in ("theta", "lambda"):
            rows = once[once["parameter"] == name]
            keys = [str((int(self.successes[j]), int(self.trials[j]))) for j in at]
            frames.append(rows.loc[keys].reset_index(drop=True).assign(group=list(wanted)))
        scalars = table(_scalars(), self.coarse, self.fine, probs)
        stacked = pd.concat([frames[0], scalars, frames[1]], ignore_index=True)
        return stacked[list(scalars.columns)]

    def group_moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of theta of each group, shape (J,) each."""
        pairs = list(zip(self.successes.tolist(), self.trials.tolist(), strict=True))
        known = {pair: self.fine.nodes.moments(*pair) for pair in dict.fromkeys(pairs)}
        mean, sd = np.array([known[pair] for pair in pairs]).T
        return mean, sd

    def leave_one_out(self) -> FloatArray:
        """Log predictive probability of each group's successes given all others, shape (J,).

        Given (mu, s) the groups are independent, so leaving one out divides by its probability:
        p(y_j | y_-j) = 1 / E[1 / p(y_j | mu, s) | y].
        """
        return self._left_out[0]

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability of fewer successes than each group has, given all others, shape (J,).

        As many successes count half.
        """
        return self._left_out[1]

    @cached_property
    def _left_out(self) -> tuple[FloatArray, FloatArray]:
        """Log probability of what was seen of each group given all others, and that of less."""
        own = self.fine.nodes
        found: dict[tuple[int, int], tuple[float, float]] = {}
        pairs = list(zip(self.successes.tolist(), self.trials.tolist(), strict=True))
        for y, n in dict.fromkeys(pairs):
            log_p = log_beta_binomial(y, n, own.mu, own.size)
            without = special.softmax(np.log(own.weight) - log_p)
            below = _fewer(y, n, own.mu, own.size) + 0.5 * np.exp(log_p)
            log_density = -float(special.logsumexp(-log_p, b=own.weight))
            found[y, n] = log_density, float(without @ below)
        values = np.array([found[pair] for pair in pairs])
        return values[:, 0], values[:, 1]

    def draws(self, *, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, FloatArray]:
        """Draw `mu` and `size` independently from their posterior, each of the given shape."""
        count = math.prod(shape)
        plane, outer = self.problem.planes()[0], self.coarse.spread
        x = outer.draw((count,), rng=rng)
        z = inner_quantiles(plane, outer, x, rng.uniform(size=count))
        return {
            "mu": special.expit(z).reshape(shape),
            "size": np.exp(-2 * x).reshape(shape),
        }


def log_beta_binomial(
    successes: ArrayLike, trials: ArrayLike, mu: ArrayLike, size: ArrayLike
) -> FloatArray:
    """Log probability of successes in trials whose probability is beta(mu size, (1 - mu) size)."""
    y, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    constant = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
    mu, size = np.asarray(mu, dtype=float), np.asarray(size, dtype=float)
    rising = log_rising(mu * size, y) + log_rising((1 - mu) * size, n - y) - log_rising(size, n)
    return np.asarray(constant + rising)


def _fewer(successes: int, trials: int, mu: FloatArray, size: FloatArray) -> FloatArray:
    """Probability of fewer successes than these, shape of mu; of very many, up to 1 / trials."""
    if min(successes, trials - successes) > _MOST_TERMS:
        share = (successes - 0.5) / trials
        return np.asarray(special.betainc(mu * size, (1 - mu) * size, share))
    upper = successes > trials - successes  # the shorter of both sums
    terms = range(successes, trials + 1) if upper else range(successes)
    total = np.zeros_like(mu)
    for y in terms:
        total += np.exp(log_beta_binomial(y, trials, mu, size))
    return 1 - total if upper else total


def _together(prior: Beta, successes: int, trials: int) -> float:
    """Log probability of counts of one beta-distributed probability, but for coefficients."""
    a, b = prior.alpha + successes, prior.beta + trials - successes
    return float(special.betaln(a, b) - special.betaln(prior.alpha, prior.beta))


@dataclass(frozen=True)
class BetaPosterior:
    """Posterior of complete pooling, or of no pooling, of proportions: beta, in closed form.

    Attributes
    ----------
    pooling
        Which of the two.
    labels, successes, trials
        The groups.
    theta
        Prior of the probability, or of each.
    """

    pooling: Literal["complete", "none"]
    labels: tuple[str, ...]
    successes: IntArray
    trials: IntArray
    theta: Beta

    @property
    def parameters(self) -> tuple[FloatArray, FloatArray]:
        """Both parameters of the beta distribution: one value, or one a group."""
        successes, failures = self.successes, self.trials - self.successes
        if self.pooling == "complete":
            successes, failures = (np.array([part.sum()]) for part in (successes, failures))
        return (
            np.asarray(self.theta.alpha + successes, dtype=np.float64),
            np.asarray(self.theta.beta + failures, dtype=np.float64),
        )

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        n, y = self.trials.astype(float), self.successes.astype(float)
        constant = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
        own = special.betaln(*self.parameters) - special.betaln(self.theta.alpha, self.theta.beta)
        return float(constant.sum() + own.sum())

    def summary(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        groups: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Posterior moments and quantiles of theta, columns as `BetaBinomialPosterior.summary`."""
        a, b = self.parameters
        names = [""] if self.pooling == "complete" else list(self.labels)
        sd = np.sqrt(a * b / (a + b + 1)) / (a + b)
        frame = pd.DataFrame({"parameter": "theta", "group": names, "mean": a / (a + b), "sd": sd})
        for prob in check_probs(probs):
            frame[quantile_column(float(prob))] = special.betaincinv(a, b, prob)
        frame["error"] = 0.0
        if groups is not None and self.pooling == "none":
            frame = frame.iloc[[position(self.labels, label) for label in groups]]
        return frame.reset_index(drop=True)

    def leave_one_out(self) -> FloatArray:
        """Log predictive probability of each group's successes given all others, shape (J,)."""
        if self.pooling == "none":
            raise InputError("Under no pooling the other groups say nothing of a group.")
        whole = self.parameters
        y, n = self.successes.astype(float), self.trials.astype(float)
        a, b = whole[0] - y, whole[1] - (n - y)
        return log_beta_binomial(y, n, a / (a + b), a + b)

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability of fewer successes than each group has, given all others, shape (J,).

        As many successes count half.
        """
        whole = self.parameters
        found = []
        for y, n in zip(self.successes.tolist(), self.trials.tolist(), strict=True):
            a, b = whole[0] - y, whole[1] - (n - y)
            mu, size = a / (a + b), a + b
            half = 0.5 * np.exp(log_beta_binomial(y, n, mu, size))
            found.append(float((_fewer(y, n, mu, size) + half)[0]))
        return np.array(found)


def beta_binomial(
    labels: Sequence[str], successes: IntArray, trials: IntArray, *, mu: Beta, size: Power
) -> BetaBinomialPosterior:
    """Posterior of partial pooling of proportions.

    Parameters
    ----------
    labels
        Names of the groups.
    successes, trials
        Their counts, shape (J,).
    mu, size
        Priors of the mean and of the size of the population of probabilities.

    Raises
    ------
    InputError
        The posterior is improper: the prior of the size is no distribution, and too few groups have
        both successes and failures.
    """
    problem = Problem(*distinct_pairs(successes, trials), mu, size)
    if not size.is_proper and problem.mixed <= size.power - 1:
        raise InputError(
            f"{size.describe('size')} is no distribution, and so few groups have both successes "
            "and failures that the posterior is none either: set size_lower or size_shift above 0"
        )
    return BetaBinomialPosterior(problem, tuple(labels), successes, trials)


def _of_pairs(pairs: dict[tuple[int, int], int]) -> Iterator[Quantity[Grid]]:
    for successes, trials in pairs:
        key = str((successes, trials))
        yield Quantity("theta", key, partial(Grid.theta, successes=successes, trials=trials))
        yield Quantity("lambda", key, partial(Grid.pooling_factor, trials=trials))


def _scalars() -> Iterator[Quantity[Grid]]:
    yield Quantity("mu", "", Grid.mu)
    yield Quantity("size", "", Grid.size)
    yield Quantity("tau", "", Grid.tau)
    yield Quantity("tau2", "", partial(Grid.tau, power=2))
    yield Quantity("icc", "", Grid.icc)
    yield Quantity("theta_new", "", partial(Grid.theta, successes=0, trials=0))
