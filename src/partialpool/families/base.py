"""What every family of data shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from partialpool.text import NUMBER

Pooling = Literal["complete", "none", "partial", "other"]
"""How a model pools; `other` where it has no theta to enter the comparison with."""


class Declared(Protocol):
    """What a family asks of a Stan program; `partialpool.programs.program.Program` is one."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        ...

    @property
    def declared(self) -> Mapping[str, Any]:
        """Blocks, each with the names declared there."""
        ...

    @property
    def outputs(self) -> Mapping[str, int]:
        """Number of dimensions of everything written for each draw."""
        ...

    @property
    def pooling(self) -> Pooling:
        """How it pools."""
        ...


def order_of_labels(labels: Sequence[str]) -> list[str]:
    """Order groups by number where every label is one, else as they first appear."""
    unique = list(dict.fromkeys(labels))
    if all(NUMBER.fullmatch(label) for label in unique):
        return sorted(unique, key=lambda label: (float(label), label))
    return unique
