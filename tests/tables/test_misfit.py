"""The expected number of failing checks, against checks of data that come from the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from helpers.hand_made import make_fit
from partialpool.data import from_values
from partialpool.tables.checks import group_checks
from partialpool.tables.misfit import check_counts, number_outside


@pytest.mark.parametrize("ratio", [0.0, 0.3, 10.0])
def test_chances_are_probabilities(ratio: float) -> None:
    chances = number_outside(np.array([9] * 4), np.full(9, ratio))
    assert chances.sum() == pytest.approx(1)
    assert len(chances) <= 13


def test_two_observations_that_say_all_leave_their_ends_to_chance() -> None:
    """Of groups of one known mean, minimum and maximum are those of two normals: 5 % each."""
    chances = number_outside(np.array([2] * 500), np.zeros(1))
    assert np.arange(len(chances)) @ chances == pytest.approx(500 * 3 * 0.05, rel=0.15)


def test_as_many_checks_fail_as_are_expected_where_the_model_holds() -> None:
    rng, sizes = np.random.default_rng(11), [4, 6, 9, 12, 20, 30]
    labels = np.repeat(list("abcdef"), sizes).tolist()
    seen, expected, tails = [], [], []
    for _ in range(60):
        y = np.repeat(rng.normal(0, 2, 6), sizes) + rng.normal(0, 3, sum(sizes))
        data = from_values(labels, y, name="x")
        fit = make_fit(data, "hierarchical_noncentered", draws=250)
        [row] = check_counts([fit], data, group_checks([fit], data)).to_dict("records")
        assert row["checks"] == 18
        seen.append(row["outside"])
        expected.append(row["expected"])
        tails.append(row["p_value"])
    error = np.std(seen, ddof=1) / np.sqrt(len(seen))
    assert abs(np.mean(seen) - np.mean(expected)) < 3.5 * error
    assert np.mean(expected) < 0.9  # not one in twenty of 18
    assert stats.binom.sf(sum(tail < 0.01 for tail in tails) - 1, 60, 0.01) > 1e-3
