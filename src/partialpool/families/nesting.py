"""Groups within groups: schools in districts.

The groups of a family are the inner ones, whose theta the models estimate; each lies in one outer
group, whose mean is phi. Given phi and tau, theta_j ~ normal(phi_k, tau) for the groups j of the
outer group k, and phi_k ~ normal(mu, omega).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from partialpool.errors import InputError
from partialpool.types import FloatArray, IntArray

OTHER_TOOLS = "lme4, brms or bambi"
"""What takes groups that cross, more levels and slopes that vary."""


@dataclass(frozen=True)
class Nesting:
    """Which outer group each group lies in.

    Attributes
    ----------
    label, inner_label
        What an outer group and an inner one are called, such as district and school.
    labels
        Names of the outer groups, shape (K,).
    index
        Index (from 0) of each group's outer group, shape (J,).
    """

    label: str
    inner_label: str
    labels: tuple[str, ...]
    index: IntArray

    @property
    def K(self) -> int:
        """Number of outer groups."""
        return len(self.labels)

    @property
    def counts(self) -> IntArray:
        """Number of groups in each outer one, shape (K,)."""
        return np.asarray(np.bincount(self.index, minlength=self.K), dtype=np.int64)

    def take(self, at: IntArray) -> Nesting:
        """Return that of some groups; all outer groups are kept."""
        return Nesting(self.label, self.inner_label, self.labels, self.index[at])

    def full(self, labels: Sequence[str]) -> list[str]:
        """Names of groups with those of their outer groups."""
        begins = [f"{self.labels[k]} / " for k in self.index]
        return [
            label if label.startswith(begin) else begin + label
            for begin, label in zip(begins, labels, strict=True)
        ]

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over the groups of each outer one along the last axis, shape (..., K)."""
        flat = values.reshape(-1, values.shape[-1])
        found = np.stack([np.bincount(self.index, row, self.K) for row in flat])
        return np.asarray(found, dtype=np.float64).reshape(*values.shape[:-1], self.K)

    @property
    def record(self) -> dict[str, Any]:
        """What `recorded` takes."""
        return {
            "label": self.label,
            "inner_label": self.inner_label,
            "labels": list(self.labels),
            "index": self.index.tolist(),
        }

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Nesting:
        """Take it from its record."""
        index = np.asarray(record["index"], dtype=np.int64)
        return cls(record["label"], record["inner_label"], tuple(record["labels"]), index)


@dataclass(frozen=True)
class Nested:
    """What statistics of nested groups have besides those of groups.

    Attributes
    ----------
    nested_in
        The outer group of each.
    """

    nested_in: Nesting

    apart: ClassVar[tuple[str, ...]] = ("labels", "nested_in")

    @property
    def nesting(self) -> Nesting:
        """The outer group of each group."""
        return self.nested_in


def check_nesting(nesting: Nesting, *, where: str) -> None:
    """Refuse levels of which one tells nothing.

    Parameters
    ----------
    nesting
        The outer group of each group.
    where
        What messages call the data.

    Raises
    ------
    InputError
        One outer group, or one group in each.
    """
    outer, inner = nesting.label, nesting.inner_label
    if nesting.K == 1:
        raise InputError(
            f"{where}: every {inner} is of one {outer}, {nesting.labels[0]!r}, and one says "
            f"nothing of how {outer}s differ; leave --group {outer} out"
        )
    if (nesting.counts == 1).all():
        raise InputError(
            f"{where}: each {outer} has one {inner}, so nothing tells how {outer}s differ from how "
            f"the {inner}s in them do; leave --group {inner} out"
        )


def few_outer_groups(nesting: Nesting) -> list[str]:
    """Warn where priors decide much: few outer groups, or few that have two groups."""
    found = []
    outer, inner = nesting.label, nesting.inner_label
    if nesting.K <= 3:
        few = {2: "two", 3: "three"}[nesting.K]
        found.append(
            f"with {few} {outer}s the prior of omega decides how much they are pooled: read omega "
            "and what follows from it as prior, not as data"
        )
    spare = int((nesting.counts - 1).sum())
    if spare <= 2:
        found.append(
            f"{len(nesting.index)} {inner}s in {nesting.K} {outer}s leave {spare} to tell by how "
            f"the {inner}s of one {outer} differ: the prior of tau decides how much they are pooled"
        )
    return found


def numbered(nesting_of: Sequence[int]) -> Nesting:
    """Nesting of simulated groups: how many there are in each outer one."""
    index = np.repeat(np.arange(len(nesting_of)), nesting_of)
    labels = tuple(str(k + 1) for k in range(len(nesting_of)))
    return Nesting("district", "school", labels, index)
