"""Families whose partial pooling is sampled: nothing draws it from its exact posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import InputError
from partialpool.types import FloatArray

if TYPE_CHECKING:
    from partialpool.families.base import Family as _Base
else:
    _Base = object


class SampledFamily(_Base):
    """What such families share; before the family of the same rows that is drawn."""

    def draw_alternative(
        self,
        choice: Any,
        stats: Any,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Refuse: the posterior is sampled.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"{choice.name}: with {self.mixture}, partial pooling is sampled by Stan")
