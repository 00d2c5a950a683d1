"""Groups within groups given their sds: what the groups say of outer groups, and these of mu.

The algebra is in `partialpool.families.exact.nested`. Of very many groups it is worked out at
Chebyshev nodes of log(tau / sigma), of which, in units of sigma^-2, all sums over the groups are
smooth functions, and interpolated: the time does not grow with the groups times the nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from partialpool.families.nesting import Nesting
from partialpool.priors.levels import NestedChoice
from partialpool.types import FloatArray, IntArray

CELLS = 4_000_000
"""Most numbers of one kind that are worked on at once."""

_LOG_2_PI = math.log(2 * math.pi)
_MANY = 2000
_NODES, _A_UNIT = 33, 12


class Within(NamedTuple):
    """Sums over the groups, at R nodes of the sds.

    Attributes
    ----------
    W, m
        Precision and mean of what the groups of an outer group say of it, shape (R, K).
    log_w
        Sum over all groups of log w_j, shape (R,).
    squares
        Sum over all groups of w_j (y_j - m_k)^2, shape (R,).
    """

    W: FloatArray
    m: FloatArray
    log_w: FloatArray
    squares: FloatArray


class Given(NamedTuple):
    """What is known given the sds, at R nodes.

    Attributes
    ----------
    W, m, p
        Precision and mean of what the groups of an outer group say of it, and precision of that
        mean about mu, shape (R, K).
    precision, h
        Precision and mean of mu, shape (R,).
    log_likelihood
        Log of p(y) but for constants, shape (R,).
    """

    W: FloatArray
    m: FloatArray
    p: FloatArray
    precision: FloatArray
    h: FloatArray
    log_likelihood: FloatArray


@dataclass(frozen=True)
class Leaves:
    """Data and priors of groups within groups.

    Attributes
    ----------
    y
        Estimates or sample means, counted from `origin`, shape (J,).
    weight
        1 / se^2, or the numbers of observations, shape (J,).
    nesting
        The outer group of each.
    origin
        A value near all of them.
    choice
        Priors; with one of sigma where sds within groups are not known to be 1.
    ss, N
        Sum of squares within each group, shape (J,), and number of observations; 0 of estimates.
    """

    y: FloatArray
    weight: FloatArray
    nesting: Nesting
    origin: float
    choice: NestedChoice
    ss: FloatArray
    N: int

    @property
    def J(self) -> int:
        """Number of groups."""
        return self.y.size

    @property
    def samples(self) -> bool:
        """Whether the sd within groups is a parameter."""
        return self.choice.sigma is not None

    @cached_property
    def _places(self) -> tuple[IntArray, IntArray]:
        """Order that puts the groups of one outer group side by side, and where each begins."""
        at = np.argsort(self.nesting.index, kind="stable")
        starts = np.searchsorted(self.nesting.index[at], np.arange(self.nesting.K))
        return at, starts

    @property
    def log_constant(self) -> float:
        """Constant factors of the likelihood."""
        rows = self.N if self.samples else self.J
        sizes = float(np.log(self.weight).sum()) if self.samples else 0.0
        return -0.5 * rows * _LOG_2_PI - 0.5 * sizes - math.log(self.choice.mu.scale)

    def variance(self, sds: Mapping[str, FloatArray], j: int) -> FloatArray:
        """Variance of a group's own estimate, shape (R,)."""
        sigma = sds.get("sigma", np.ones_like(sds["tau"]))
        return np.asarray(sigma**2 / self.weight[j])

    def given(self, sds: Mapping[str, FloatArray]) -> Given:
        """What follows from omega, tau and, if it is a parameter, sigma, each of shape (R,)."""
        sigma = sds.get("sigma", np.ones_like(sds["tau"]))
        ratio = sds["tau"] / sigma
        within = Interpolated(self, ratio) if self.J > _MANY else None
        size = max(1, CELLS // (self.nesting.K if within else self.J))
        parts = [
            self._given(
                {name: sd[at : at + size] for name, sd in sds.items()},
                sigma[at : at + size],
                (within.at if within else self.within)(ratio[at : at + size]),
            )
            for at in range(0, ratio.size, size)
        ]
        return Given(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def within(self, ratio: FloatArray) -> Within:
        """Sums over the groups where sigma is 1 and tau is `ratio`, shape (R,)."""
        at, starts = self._places
        y, lies_in = self.y[at], self.nesting.index[at]
        w = 1 / (ratio[:, None] ** 2 + 1 / self.weight[at])
        W = np.add.reduceat(w, starts, axis=1)
        m = np.add.reduceat(w * y, starts, axis=1) / W
        squares = (w * (y - m[:, lies_in]) ** 2).sum(axis=1)
        return Within(W, m, np.log(w).sum(axis=1), squares)

    def _given(self, sds: Mapping[str, FloatArray], sigma: FloatArray, within: Within) -> Given:
        variance = sigma**2
        W, m = within.W / variance[:, None], within.m
        of_groups = within.log_w - self.J * np.log(variance) - within.squares / variance
        p = 1 / (sds["omega"][:, None] ** 2 + 1 / W)
        prior = self.choice.mu.scale**-2
        location = self.choice.mu.location - self.origin
        precision = prior + p.sum(axis=1)
        h = (prior * location + (p * m).sum(axis=1)) / precision
        of_outer = (np.log(p / W) - p * (m - h[:, None]) ** 2).sum(axis=1)
        of_mu = -prior * (location - h) ** 2 - np.log(precision)
        total = 0.5 * (of_groups + of_outer + of_mu)
        if self.samples:
            total -= 0.5 * self.ss.sum() / variance + (self.N - self.J) * np.log(sigma)
        return Given(W, m, p, precision, h, np.asarray(total))

    def log_prior(self, sds: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of the sds."""
        priors = self.choice.priors
        return np.asarray(sum(priors[name].log_density(sd) for name, sd in sds.items()))


class Interpolated:
    """Sums over the groups at any ratio of tau to sigma within a range, from Chebyshev nodes."""

    def __init__(self, leaves: Leaves, ratio: FloatArray) -> None:
        x = np.log(ratio)
        self._low, self._high = float(x.min()) - 1e-9, float(x.max()) + 1e-9
        count = max(_NODES, math.ceil(_A_UNIT * (self._high - self._low)))
        self._t = np.cos(np.pi * (np.arange(count) + 0.5) / count)
        self._signs = (-1.0) ** np.arange(count) * np.sqrt(1 - self._t**2)  # barycentric weights
        at = np.exp(self._low + 0.5 * (self._high - self._low) * (1 + self._t))
        size = max(1, CELLS // leaves.J)
        parts = [leaves.within(at[k : k + size]) for k in range(0, count, size)]
        found = Within(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        self._nodes = found._replace(W=np.log(found.W))

    def at(self, ratio: FloatArray) -> Within:
        """The sums where sigma is 1 and tau is `ratio`, shape (R,)."""
        t = 2 * (np.log(ratio) - self._low) / (self._high - self._low) - 1
        distance = t[:, None] - self._t
        distance[distance == 0] = np.finfo(float).tiny
        lagrange = self._signs / distance
        lagrange /= lagrange.sum(axis=1, keepdims=True)
        found = Within(*(lagrange @ values for values in self._nodes))
        return found._replace(W=np.exp(found.W))
