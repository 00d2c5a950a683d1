"""What families share whose exact posterior is a table of values, and which Stan samples."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from partialpool.families.base import FORMS
from partialpool.families.sampled import SampledFamily

MOST_IN_PASSING = 60_000
"""Most places of theta, of all groups together, that reports look at: it takes twenty seconds."""


class TabledFamily(SampledFamily):
    """What such families share; beside the family of the same rows."""

    most_exact_groups: ClassVar[int] = 40

    @abstractmethod
    def places(self, stats: Any) -> int:
        """Count the places at which the table looks at theta of a group."""

    def within_reach(self, stats: Any) -> bool:
        """Whether groups are few, and close enough for their errors, to be tabled in passing."""
        few = super().within_reach(stats)
        return few and stats.J * self.places(stats) <= MOST_IN_PASSING

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """As in the usual model of the same rows, but for partial pooling, which is sampled."""
        return program not in FORMS and super().draws_exactly(program, stats, rows=rows)
