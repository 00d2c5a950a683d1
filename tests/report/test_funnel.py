"""Funnel plots of counts: limits of chance, and where there is no funnel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from partialpool import plots
from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.grouped import from_proportions
from partialpool.data.reading import read
from partialpool.report import funnel


def comparison(data: GroupedData, estimates: Any) -> Any:
    table = pd.DataFrame({"group": list(data.labels), "estimate": estimates})
    return SimpleNamespace(data=data, table=lambda *_, **__: table)


@pytest.mark.parametrize("name", ["tumors", "pumps"])
@pytest.mark.parametrize("share", [0.95, 0.998])
def test_limits_leave_half_of_the_rest_out_on_each_side(name: str, share: float) -> None:
    """Of the distribution of counts with straight lines between its steps."""
    data = read(example(name))
    family: Any = data.family
    sizes = np.array([12.0, 47.0, 900.0])
    for size, low, high in zip(sizes, *family.limits(data.stats, sizes, share), strict=True):
        of_all = {
            "tumors": stats.binom(size, data.stats.grand_mean),
            "pumps": stats.poisson(size * data.stats.grand_mean),
        }[name]
        counts = np.arange(-1, of_all.ppf(1 - 1e-9) + 2)
        below = np.interp([low * size, high * size], counts, of_all.cdf(counts))
        least = of_all.cdf(0)
        assert below[0] == pytest.approx(max(0.5 - share / 2, least), abs=1e-9)
        assert below[1] == pytest.approx(0.5 + share / 2, abs=1e-9)
        assert low < data.stats.grand_mean < high


def test_groups_beyond_the_limits_are_counted_and_named() -> None:
    data = from_proportions(
        ["low", *"abcdef", "high"],
        [2, 20, 41, 30, 52, 25, 33, 95],
        [90, 40, 80, 60, 100, 50, 66, 110],
        name="wards",
    )
    fit: Any = SimpleNamespace(name="hierarchical_marginal", title="partial pooling")
    found = funnel.figure(comparison(data, data.stats.raw), fit)
    points = found.arguments["points"]
    assert points.loc[points["outside"], "group"].tolist() == ["low", "high"]
    assert "2 of 8 proportions lie beyond the 99.8 % limits" in found.caption
    drawn = plots.funnel(**found.arguments)
    drawn.draw()


def test_there_is_no_funnel_of_equal_sizes_or_of_other_data() -> None:
    assert funnel.shown(comparison(read(example("tumors")), 0.1))
    assert funnel.shown(comparison(read(example("pumps")), 0.1))
    assert not funnel.shown(comparison(read(example("batting")), 0.1))  # 45 at bats each
    assert not funnel.shown(comparison(read(example("eight_schools")), 0.1))
    assert not funnel.shown(comparison(read(example()), 0.1))
