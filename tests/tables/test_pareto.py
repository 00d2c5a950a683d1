"""Smoothed weights of many rows against those of ArviZ, which takes one row at a time."""

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from partialpool.tables.importance import leave_out
from partialpool.tables.pareto import smoothed


@pytest.mark.parametrize("draws", [40, 1000, 8000])
@pytest.mark.parametrize("r_eff", [0.3, 1.0])
def test_many_rows_are_smoothed_as_one_is(draws: int, r_eff: float) -> None:
    rng = np.random.default_rng(draws)
    scales = np.array([[1e-3], [0.1], [1.0], [8.0]])
    rows = -0.5 * scales * rng.standard_normal((4, draws)) ** 2
    rows = np.concatenate([rows, np.round(rows), 1e3 * rows])  # ties, and tails beyond all bounds
    found = smoothed(-rows, r_eff=r_eff)
    with np.errstate(all="ignore"):
        for own, log_weights, k in zip(rows, found.log_weights, found.k, strict=True):
            try:
                known, shape = array_stats.psislw(own, r_eff=r_eff)
            except ValueError:  # all values of the tail are the same
                assert np.isnan(k)
                continue
            assert k == pytest.approx(float(shape), abs=1e-12)
            order, other = np.sort(log_weights), np.sort(known)
            assert order == pytest.approx(other, rel=1e-12, abs=1e-12, nan_ok=True)


def test_weights_without_a_tail_to_fit_stay_as_they_came() -> None:
    few = np.array([[0.0, 1.0, 2.0]])
    for rows in (few, np.zeros((1, 4000))):
        found = smoothed(rows, r_eff=1.0)
        assert np.isnan(found.k).all()
        expected = rows - np.log(np.exp(rows).sum())
        assert found.log_weights == pytest.approx(expected)


def test_rows_that_are_not_finite_leave_the_others_as_they_are() -> None:
    rng = np.random.default_rng(5)
    rows = -(rng.standard_normal((3, 4, 500)) ** 2)
    alone = leave_out(rows[[0, 2]], r_eff=1.0)
    rows[1, 2, 3] = -np.inf
    found = leave_out(rows, r_eff=1.0)
    assert np.isnan([found.elpd[1], found.p_loo[1], found.k[1]]).all()
    assert np.array_equal(found.elpd[[0, 2]], alone.elpd)
    assert np.array_equal(found.log_weights[[0, 2]], alone.log_weights)
