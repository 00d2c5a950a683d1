"""Means of very many groups that lie above a high value, without drawing the others.

Theta of a group is m + s z with z standard normal, and z = -ndtri(u) with u uniform on (0, 1), so
that it lies above a value only where u is small. Groups of like size and like own estimate share a
bound q of how small; u < q holds for few of them, and these alone are looked for, by a Poisson
process: an interval of length -log(1 - q) has no point with probability 1 - q. Their u is then
uniform on (0, q), and whether theta lies above the value is seen from it. Nothing is approximated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from partialpool.types import FloatArray, IntArray

_SLABS, _BINS = 64, 128
_SOME = 20_000  # values whose quantiles say where bins end
_OFTEN = 0.5  # probability from which on each group of a bin is looked at


class Population(NamedTuple):
    """One draw of what theta of groups is drawn from, and of the errors' sd.

    `deviation` is the center, counted from the origin: one value, or one a group.
    """

    deviation: float | FloatArray
    tau: float
    sigma: float


@dataclass(frozen=True)
class Exceedances:
    """Groups in bins of like size and like own estimate.

    Attributes
    ----------
    weight, distance
        Precision of each group, in units of the errors' variance, and its own estimate, counted
        from an origin; shape (J,), bin by bin.
    starts
        Where the bins begin, and where the last one ends; shape (bins + 1,).
    lightest, heaviest, highest
        Ends of the weights of each bin, and the largest of its estimates; shape (bins,).
    """

    weight: FloatArray
    distance: FloatArray
    starts: IntArray
    lightest: FloatArray
    heaviest: FloatArray
    highest: FloatArray

    @classmethod
    def of(cls, weight: FloatArray, distance: FloatArray) -> Exceedances:
        """Sort groups into bins, at least one of them; shape (J,) each."""
        at = _share(weight, _SLABS) * _BINS + _share(distance, _BINS)
        order = np.argsort(at.astype(np.uint16), kind="stable")
        weight, distance = weight[order], distance[order]
        sizes = np.bincount(at)
        starts = np.append(0, np.cumsum(sizes[sizes > 0]))
        ends = starts[:-1]
        return cls(
            weight,
            distance,
            starts,
            np.minimum.reduceat(weight, ends),
            np.maximum.reduceat(weight, ends),
            np.maximum.reduceat(distance, ends),
        )

    def bounds(self, floor: float, population: Population) -> FloatArray:
        """Bound the probability that theta of a bin's groups lies above a value, shape (bins,)."""
        mean, sd = conditional(self.lightest, self.highest, population)  # the largest sd
        mean = np.maximum(mean, conditional(self.heaviest, self.highest, population)[0])
        bound = np.where(mean < floor, special.ndtr((mean - floor) / sd), 1.0)
        return np.minimum(1.0, bound * (1 + 1e-9))

    def expected(self, floor: float, population: Population) -> float:
        """About how many groups are looked at to draw those above a value."""
        return float(np.diff(self.starts) @ self.bounds(floor, population))

    def draw(self, floor: float, population: Population, rng: np.random.Generator) -> FloatArray:
        """Draw theta of all groups, given the population, and keep what lies above a value.

        Parameters
        ----------
        floor
            The value, counted from the origin.
        population
            What theta is drawn from.
        rng
            Where randomness comes from.

        Returns
        -------
        FloatArray
            The values above it, in no order that means anything.
        """
        groups, bound = self._candidates(self.bounds(floor, population), rng)
        mean, sd = conditional(self.weight[groups], self.distance[groups], population)
        theta = mean - sd * special.ndtri(bound * rng.random(len(groups)))
        return theta[theta > floor]

    def _candidates(
        self, bound: FloatArray, rng: np.random.Generator
    ) -> tuple[IntArray, FloatArray]:
        """Groups with u below their bin's bound, and these bounds."""
        sizes = np.diff(self.starts)
        often = np.flatnonzero(bound > _OFTEN)
        every = _ranges(self.starts[often], sizes[often])
        seldom = np.where(bound > _OFTEN, 0.0, -np.log1p(-np.minimum(bound, _OFTEN)))
        ends = np.cumsum(sizes * seldom)
        at = rng.random(rng.poisson(ends[-1])) * ends[-1]
        of = np.searchsorted(ends, at, side="right")
        within = ((at - (ends - sizes * seldom)[of]) / seldom[of]).astype(np.int64)
        some = np.unique(self.starts[of] + np.clip(within, 0, sizes[of] - 1))
        of_some = np.searchsorted(self.starts, some, side="right") - 1
        return np.concatenate([every, some]), np.concatenate(
            [np.repeat(bound[often], sizes[often]), bound[of_some]]
        )


def conditional(
    weight: FloatArray, distance: FloatArray, population: Population
) -> tuple[FloatArray, FloatArray]:
    """Mean (from the origin) and sd of groups' theta, given one draw of the population."""
    own = weight * (population.tau / population.sigma) ** 2
    factor = 1 / (1 + own)
    own *= factor
    own *= distance
    own += population.deviation * factor
    return own, np.sqrt(factor) * population.tau


def _share(values: FloatArray, parts: int) -> IntArray:
    """Part of the sorted values, out of so many about equal ones, in which each lies."""
    some = np.sort(values[:: max(1, len(values) // _SOME)])
    return np.searchsorted(some[len(some) * np.arange(1, parts) // parts], values, side="right")


def _ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """Concatenate ranges of integers."""
    before = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes))
