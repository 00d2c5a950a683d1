"""Sums of products within groups: what covariates that vary there say of their slopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.types import FloatArray, IntArray

_ROUNDING = 1e-10


@dataclass(frozen=True)
class WithinSums:
    """Sums of products of deviations from group means; a covariate of groups has zeros.

    They suffice: of rows with y = theta_j + (x - xbar_j)' beta + error, all that is said of beta
    and sigma besides the group means (Battese, Harter and Fuller 1988, *Journal of the American
    Statistical Association* 83, 28-36).

    Attributes
    ----------
    xx
        Of covariates with each other, in the data's units, shape (J, K, K).
    xy
        Of covariates with the outcome, shape (J, K).
    """

    xx: FloatArray
    xy: FloatArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, group: IntArray, groups: int) -> WithinSums:
        """Sum over rows.

        Parameters
        ----------
        x, y
            Covariates, shape (N, K), and the outcome, shape (N,).
        group
            Index of each row's group.
        groups
            Number of groups.
        """
        size = np.bincount(group, minlength=groups)

        def apart(column: FloatArray) -> FloatArray:
            moved = column - column[0]
            return np.asarray(moved - (np.bincount(group, moved, groups) / size)[group])

        columns = [apart(column) for column in x.T]
        outcome = apart(y)
        xx = np.array([[np.bincount(group, a * b, groups) for a in columns] for b in columns])
        xy = np.array([np.bincount(group, a * outcome, groups) for a in columns])
        return cls(np.ascontiguousarray(xx.transpose(2, 0, 1)), np.ascontiguousarray(xy.T))

    @property
    def record(self) -> dict[str, Any]:
        """All of it as lists, for JSON; `WithinSums.recorded` takes it back."""
        return {"xx": self.xx.tolist(), "xy": self.xy.tolist()}

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> WithinSums:
        """Make them from their `record`."""
        return cls(*(np.array(record[name], dtype=np.float64) for name in ("xx", "xy")))

    def take(self, at: IntArray) -> WithinSums:
        """Return those of some groups."""
        return WithinSums(self.xx[at], self.xy[at])

    def squares(self, ss: FloatArray, beta: FloatArray) -> FloatArray:
        """Sum of squares of each group about slopes, at least 0.

        Parameters
        ----------
        ss
            Sum of squares of the outcome about the group means, shape (J,).
        beta
            Slopes in the data's units, shape (K, ...).

        Returns
        -------
        array
            Shape (J, ...).
        """
        shape = (-1,) + (1,) * (beta.ndim - 1)
        of_slopes = np.einsum("jkl,k...,l...->j...", self.xx, beta, beta)
        found = ss.reshape(shape) - 2 * np.tensordot(self.xy, beta, axes=1) + of_slopes
        return np.asarray(np.maximum(found, 0.0))

    def least_squares(self, ss: float, spread: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Slopes of least squares within groups, with covariates in units of `spread`.

        Returns
        -------
        root, slopes, left
            R with R' R the sums of products, of full rank, shape (rank, K); slopes for an sd, the
            shortest where some are not told; the outcome's squares that they leave, at least 0.
        """
        xx = self.xx.sum(axis=0) / np.outer(spread, spread)
        xy = self.xy.sum(axis=0) / spread
        values, vectors = np.linalg.eigh(xx)
        told = values > _ROUNDING * max(float(values.max()), 0.0)
        root = np.sqrt(values[told])[:, None] * vectors[:, told].T
        of_roots = (vectors[:, told].T @ xy) / np.sqrt(values[told])
        slopes = vectors[:, told] @ (of_roots / np.sqrt(values[told]))
        left = ss - float(of_roots @ of_roots)
        return root, np.asarray(slopes), left if left > _ROUNDING * ss else 0.0
