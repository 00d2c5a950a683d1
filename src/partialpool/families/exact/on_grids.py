"""Exact posteriors on a grid and on a finer one: what such posteriors share.

Every number is computed on both; that of the finer one is reported, and the change says how well it
is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
from scipy import special

from partialpool.families.exact.mixture import NormalMixture
from partialpool.families.exact.table import (
    DEFAULT_PROBS,
    Quantity,
    contrast_table,
    position,
    table,
)
from partialpool.families.protocols import Pooling
from partialpool.types import FloatArray

Grid = TypeVar("Grid")


class _Contrasting(Protocol):
    def contrast(self, i: int, j: int) -> NormalMixture: ...


Contrasting = TypeVar("Contrasting", bound=_Contrasting)


class OnGrids(ABC, Generic[Grid]):
    """A posterior on a grid and on its refinement."""

    pooling: ClassVar[Pooling] = "partial"

    labels: tuple[str, ...]

    @property
    @abstractmethod
    def coarse(self) -> Grid:
        """Grid that meets the tolerances of the quadrature."""

    @property
    @abstractmethod
    def fine(self) -> Grid:
        """One with more nodes; the numbers reported are its."""

    @abstractmethod
    def quantities(self, groups: Sequence[int]) -> Iterator[Quantity[Grid]]:
        """Yield what is reported, with theta and what else there is of these groups."""

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
            One row a quantity. `parameter`: its name, which the class lists; `group`: its label, or
            empty; `mean`, `sd`: infinite where they do not exist; `median` and `q2.5` and so on;
            `error`: the change of the largest mover among these numbers when the grid is refined,
            in posterior sds. Location and scale are in the unit of the data.
        """
        wanted = self.labels if groups is None else groups
        at = [position(self.labels, label) for label in wanted]
        return table(self.quantities(at), self.coarse, self.fine, probs)


class Contrasted(OnGrids[Contrasting]):
    """One whose differences between groups are mixtures of normals."""

    def contrasts(
        self,
        *,
        probs: Sequence[float] = DEFAULT_PROBS,
        pairs: Iterable[tuple[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Posteriors of differences theta_i - theta_j.

        Parameters
        ----------
        probs
            Probabilities of the quantiles.
        pairs
            Pairs of labels; all pairs in the order of the groups by default.

        Returns
        -------
        DataFrame
            One row a pair: `group`, `other`, `mean`, `sd` and quantiles of
            theta[group] - theta[other], `error` as in `summary`, `prob_greater`:
            P(theta[group] > theta[other]), and its change by refinement `prob_error`.
        """
        return contrast_table(self.labels, self.coarse.contrast, self.fine.contrast, probs, pairs)


class LeavingOutNormal(ABC):
    """Leaves groups out whose own estimate is normal given the others and the scales.

    What is left out is a factor of the likelihood, so over the scales its density is one over the
    posterior mean of one over it: p(y_j | y_-j) = 1 / E[1 / p(y_j | y_-j, scales) | y].
    """

    @abstractmethod
    def _left_out(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield for each group, over the scales, its distance in sds from what the others predict.

        Beside it the logs of the weights of the scales without the group, which do not add up to 1.
        """

    def leave_one_out(self) -> FloatArray:
        """Log predictive density of each group's own estimate given all others, shape (J,)."""
        return np.array([-special.logsumexp(turned) for _, turned in self._left_out()])

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability that each group's estimate is smaller than it is, given all others, (J,)."""
        return np.array(
            [special.softmax(turned) @ special.ndtr(z) for z, turned in self._left_out()]
        )
