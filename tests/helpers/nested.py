"""Small data sets of groups within groups, simulated once and for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from partialpool.api.frames import grouped
from partialpool.data import GroupedData
from partialpool.data.reading import Columns
from partialpool.families.nested import NestedEstimates
from partialpool.families.nesting import Nesting

_SCHOOLS = {"Ash": 3, "Birch": 2, "Cedar": 2, "Dogwood": 1}


def estimates(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    """Eight estimates in four districts, of which the last has one."""
    rng = np.random.default_rng(16)
    district = np.repeat(list(_SCHOOLS), list(_SCHOOLS.values()))
    se = np.exp(rng.normal(0, 0.4, 8))
    middle = np.repeat(rng.normal(4, 2, 4), list(_SCHOOLS.values()))
    y = rng.normal(middle, np.hypot(1.0, se))
    frame = {"district": district, "school": [f"school {j}" for j in range(8)]}
    frame |= {"effect": offset + scale * y, "se": scale * se}
    return _data(frame, estimate="effect", se="se")


def observations(scale: float = 1.0, offset: float = 0.0) -> GroupedData:
    """Observations of eight schools in four districts, of which the last has one."""
    rng = np.random.default_rng(17)
    middle = np.repeat(rng.normal(4, 2, 4), list(_SCHOOLS.values()))
    theta = rng.normal(middle, 1.0)
    sizes = [2, 3, 5, 4, 4, 6, 3, 5]
    group = np.repeat(np.arange(8), sizes)
    frame = {
        "district": np.repeat(list(_SCHOOLS), list(_SCHOOLS.values()))[group],
        "school": [f"school {j}" for j in group],
        "hours": offset + scale * rng.normal(theta[group], 1.8),
    }
    return _data(frame, value="hours")


def without_last(data: GroupedData) -> NestedEstimates:
    """The statistics without the last group, and without its outer group."""
    stats = data.stats
    assert isinstance(stats, NestedEstimates)
    fewer = stats.take(np.arange(stats.J - 1))
    old = fewer.nesting
    nesting = Nesting(old.label, old.inner_label, old.labels[:-1], old.index)
    return NestedEstimates(fewer.labels, fewer.estimate, fewer.se, nesting)


def _data(frame: Any, **roles: str) -> GroupedData:
    columns = Columns(group=("district", "school"), **roles)  # type: ignore[arg-type]
    return grouped(pd.DataFrame(frame), columns)
