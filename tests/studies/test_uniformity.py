"""Envelopes and p-values of ECDFs, against enumeration, simulation and ArviZ."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from arviz_stats import ecdf_utils

from partialpool.studies.calibration.uniformity import ecdf, envelope, p_value, points


def multinomial(counts: tuple[int, ...]) -> float:
    ways = math.factorial(sum(counts)) / math.prod(map(math.factorial, counts))
    return ways / len(counts) ** sum(counts)


def spread_out(counts: tuple[int, ...]) -> np.ndarray:
    """Values of which so many lie in each of equal parts of (0, 1)."""
    return np.concatenate([np.full(c, (k + 0.5) / len(counts)) for k, c in enumerate(counts)])


def test_p_values_and_envelopes_agree_with_all_samples_there_are() -> None:
    # Five values, five parts: a sample is known by how many of its values lie in each part.
    samples = [c for c in itertools.product(range(6), repeat=5) if sum(c) == 5]
    chances = np.array([multinomial(c) for c in samples])
    assert chances.sum() == pytest.approx(1)
    p = np.array([p_value(spread_out(c)) for c in samples])
    for one in np.unique(p.round(12)):
        assert chances[p <= one + 1e-9].sum() == pytest.approx(one, abs=1e-9)
    for probability in (0.5, 0.9):
        lower, upper = envelope(5, probability)
        curves = np.array([ecdf(spread_out(c)) for c in samples])
        inside = ((curves >= lower) & (curves <= upper)).all(axis=1)
        assert chances[inside].sum() >= probability
        assert (p[inside] > 1 - probability).all()


def test_an_envelope_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    samples = rng.uniform(size=(2000, 300))
    curves = np.array([ecdf(sample) for sample in samples])
    lower, upper = envelope(300, 0.95)
    inside = ((curves >= lower) & (curves <= upper)).all(axis=1).mean()
    assert abs(inside - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("size", [60, 150])
def test_envelopes_are_those_that_arviz_simulates(size: int) -> None:
    at = points(size)
    rng = np.random.default_rng(6)
    pointwise = ecdf_utils.simulate_confidence_bands(size, 1, at, 0.95, 2000, rng)
    theirs = ecdf_utils.get_pointwise_confidence_band(pointwise, size, at)
    for own, other in zip(envelope(size, 0.95), theirs, strict=True):
        assert np.abs(own - other).max() * size <= 2  # theirs rounds its quantiles up


def test_what_is_not_uniform_is_found_out() -> None:
    uniform = (np.arange(200) + 0.5) / 200
    assert p_value(uniform) > 0.99
    for wrong in (
        uniform**1.5,  # too low
        0.5 + 0.7 * (uniform - 0.5),  # too narrow
        np.concatenate([uniform[:90], uniform[110:], 0.001 * uniform[:20]]),  # a heap at the end
    ):
        assert p_value(wrong) < 1e-3


def test_what_are_no_shares_have_no_p_value() -> None:
    for wrong in ([], [0.5, math.nan], [0.5, 1.2]):
        assert math.isnan(p_value(wrong))
