"""Probabilities of lying above a value that matters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers import estimates
from partialpool.data.grouped import from_proportions
from partialpool.errors import InputError
from partialpool.report import thresholds as said
from partialpool.tables import variables
from partialpool.tables.comparison import compute
from partialpool.tables.thresholds import ANY, GROUP, NEW, check, thresholds


def test_shares_of_draws_above() -> None:
    data = estimates.coaching()
    fits = estimates.fits(data)
    table = thresholds(fits, data, (0.0, 20.0))
    assert list(table["of"].unique()) == [GROUP, ANY, NEW]
    for fit in fits:
        theta = variables.theta(fit, data)
        assert theta is not None
        own = table[(table["model"] == fit.name) & (table["threshold"] == 20.0)]
        groups = own[own["of"] == GROUP].set_index("group")
        for j, label in enumerate(data.labels):
            assert groups.loc[label, "p_above"] == pytest.approx((theta[j] > 20).mean())
        largest = float((theta.max(axis=0) > 20).mean())
        assert own[own["of"] == ANY]["p_above"].iloc[0] == pytest.approx(largest)
    partial = table[(table["of"] == NEW) & (table["threshold"] == 0.0)]
    assert partial["model"].tolist() == [fits[-1].name]
    p, mcse = partial[["p_above", "mcse"]].iloc[0]
    assert mcse == pytest.approx(math.sqrt(p * (1 - p) / 2000), rel=0.3)


def test_thresholds_of_ratios_are_ratios() -> None:
    data = estimates.vaccine()
    fits = estimates.fits(data)
    theta = variables.theta(fits[-1], data)
    assert theta is not None
    table = thresholds(fits[-1:], data, (0.5,))
    assert table["p_above"].iloc[0] == pytest.approx((np.exp(theta[0]) > 0.5).mean())


def test_thresholds_that_say_nothing_are_refused() -> None:
    data = from_proportions(list("abc"), [1, 2, 3], [9, 9, 9])
    assert check([0.3, 0.2, 0.3], data) == (0.2, 0.3)
    for value, problem in (
        (1.0, "between 0 and 1"),
        (-0.1, "between 0 and 1"),
        (math.nan, "finite"),
    ):
        with pytest.raises(InputError, match=problem):
            check([value], data)
    with pytest.raises(InputError, match="a ratio lies above 0"):
        check([0.0], estimates.vaccine())
    assert check([-5.0], estimates.coaching()) == (-5.0,)


def test_sentences_and_table_of_a_report() -> None:
    data = estimates.coaching()
    comparison = compute(data, estimates.fits(data), thresholds=(-30.0, 60.0))
    low, high = said.lines(comparison)
    assert "lie above -30 points with a probability of 95 % or more" in low
    assert high.startswith("No school lies above 60 points")
    assert "that any school does: less than" in high
    view = said.view(comparison)
    assert view is not None
    assert len(view.rows) == 2 * (8 + 2)
    assert said.lines(compute(data, estimates.fits(data))) == []
    assert said.view(compute(data, estimates.fits(data))) is None
