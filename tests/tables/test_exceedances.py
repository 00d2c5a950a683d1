"""Means above a high value, drawn without the others: how many they are, and which ranks follow."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import special

from partialpool.families.moments import GroupStats
from partialpool.tables import group_draws
from partialpool.tables.exceedances import Exceedances, Population, conditional

MANY = 3000


def groups() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    weight = np.exp(rng.normal(0, 1.2, MANY))
    return weight, rng.normal(0, 1.5, MANY) + rng.normal(0, 1, MANY) / np.sqrt(weight)


@pytest.mark.parametrize("floor", [-2.0, 0.5, 3.0, 5.0])
def test_as_many_lie_above_a_value_as_their_probabilities_say(floor: float) -> None:
    weight, distance = groups()
    population = Population(0.3, 1.5, 1.1)
    mean, sd = conditional(weight, distance, population)
    sought, rng = Exceedances.of(weight, distance), np.random.default_rng(4)
    drawn = [sought.draw(floor, population, rng) for _ in range(1500)]
    assert min(values.min(initial=np.inf) for values in drawn) > floor
    for value in (floor, floor + 0.7, floor + 1.5):
        p = special.ndtr((mean - value) / sd)
        counts = np.array([(values > value).sum() for values in drawn])
        error = np.sqrt((p * (1 - p)).sum() / len(drawn))
        assert abs(counts.mean() - p.sum()) < 4 * error + 1e-9
        if p.sum() > 1:  # independent groups: not more and not less variable
            assert counts.var() == pytest.approx((p * (1 - p)).sum(), rel=0.2)


def test_few_groups_are_looked_at_for_a_high_value() -> None:
    sought, population = Exceedances.of(*groups()), Population(0.3, 1.5, 1.1)
    assert sought.expected(5.0, population) < 0.1 * MANY
    assert sought.expected(-9.0, population) == pytest.approx(MANY)


def test_ranks_are_those_of_drawing_every_group(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, distance = groups()
    n = np.maximum(1, np.round(10 * weight)).astype(int)
    labels = tuple(f"g{j}" for j in range(MANY))
    stats = GroupStats(labels, n, distance, np.full(MANY, 1.0))
    rng = np.random.default_rng(5)
    shape = ("chain", "draw"), rng.normal(size=(4, 500))
    posterior = xr.Dataset(
        {
            "mu": (shape[0], 0.1 * shape[1]),
            "tau": (shape[0], 1.5 + 0.05 * shape[1]),
            "sigma": (shape[0], 3.0 + 0.1 * shape[1][::-1]),
        }
    )
    top = np.argsort(distance * n / (n + 4))[[-1, -3, -40]]
    chosen = [labels[j] for j in (*top, 17)]
    every = group_draws.group_ranks(posterior, stats, chosen, seed=6)
    monkeypatch.setattr(group_draws, "_VERY_MANY", 100)
    sought = group_draws.group_ranks(posterior, stats, chosen, seed=6)
    for name in ("expected_rank", "p_best"):
        error = np.hypot(every[f"mcse_{name}"], sought[f"mcse_{name}"])
        assert ((every[name] - sought[name]).abs() <= 4 * error + 1e-9).all()
    np.testing.assert_allclose(every["rank_q97.5"], sought["rank_q97.5"], rtol=0.25)
