"""What is said of independent draws, against what is estimated of chains."""

import numpy as np
import pytest

from partialpool.families.exact.quadrature import marginal
from partialpool.fitting.summarize import convergence, sample_quantiles, summarize


def test_independent_draws_get_the_numbers_that_are_estimated_of_them_without_the_noise() -> None:
    rng = np.random.default_rng(5)
    draws = np.stack([rng.normal(3, 2, (4, 2000)), rng.exponential(1, (4, 2000))])
    known, estimated = summarize(draws, independent=True), summarize(draws)
    assert known.keys() == estimated.keys()
    for name, values in known.items():
        same = not name.startswith(("mcse", "ess", "r_hat"))
        np.testing.assert_allclose(values, estimated[name], rtol=0 if same else 0.15)
    np.testing.assert_array_equal(known["ess_bulk"], 8000)
    np.testing.assert_allclose(known["mcse_mean"], known["sd"] / np.sqrt(8000))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_independent_draws_that_are_stuck_or_not_finite_have_no_diagnostics(bad: float) -> None:
    draws = np.random.default_rng(1).normal(size=(3, 4, 100))
    draws[0], draws[1, 2, 3] = 1.0, bad
    for values in convergence(draws, independent=True).values():
        assert np.isnan(values[:2]).all()
        assert np.isfinite(values[2])


def test_quantiles_that_start_from_a_table_are_the_same() -> None:
    found = marginal(lambda u: -0.5 * (u / 0.3) ** 2 - np.exp(u), -3, 2, tail_rate=np.inf)
    p = np.concatenate([[1e-12, 0.5, 1 - 1e-12], np.random.default_rng(2).uniform(size=4000)])
    np.testing.assert_allclose(found.quantile(p, tabulated=True), found.quantile(p), atol=1e-13)


@pytest.mark.parametrize("draws", [1, 2, 7, 8000])
def test_sample_quantiles_are_those_of_numpy_to_the_last_digit(draws: int) -> None:
    rng = np.random.default_rng(draws)
    rows = np.concatenate([rng.standard_normal((40, draws)), rng.integers(0, 3, (2, draws))])
    rows[1, draws // 2] = np.inf
    rows[2, draws // 2] = np.nan
    probabilities = [0.0, 0.025, 0.05, 0.25, 0.5, 0.75, 0.975, 1.0]
    with np.errstate(invalid="ignore"):
        known = np.quantile(rows, probabilities, axis=1)
        found = sample_quantiles(rows, probabilities)
    assert np.array_equal(found, known, equal_nan=True)
