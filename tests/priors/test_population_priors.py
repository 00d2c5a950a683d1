"""What priors of a population's mean and size say of the sd between its groups."""

import numpy as np
import pytest

from partialpool.priors.populations import Beta, PopulationChoice, Power


@pytest.mark.parametrize("mu", [Beta(1, 1), Beta(2, 5), Beta(0.5, 0.5)], ids=str)
@pytest.mark.parametrize("size", [Power(1, 0, 2.5), Power(0, 1, 2), Power(20, 0, 1.5)], ids=str)
def test_the_prior_of_tau_is_that_of_draws_and_smooth(mu: Beta, size: Power) -> None:
    choice = PopulationChoice("x", mu, size)
    most = np.sqrt(0.25 / (1 + size.lower))
    ends = most * np.linspace(0.02, 0.9, 12)
    rng = np.random.default_rng(3)
    m, s = (prior.quantile(rng.uniform(size=400_000)) for prior in (mu, size))
    drawn = np.histogram(np.sqrt(m * (1 - m) / (1 + s)), bins=ends)[0] / len(m)
    grid = np.linspace(ends[:-1], ends[1:], 201, axis=1)
    density = choice.tau_density(grid.ravel())
    assert density is not None
    density = density.reshape(grid.shape)
    held = np.trapezoid(density, grid, axis=1)
    assert np.abs(held - drawn).max() < 5 * np.sqrt(drawn.max() / len(m))
    steps = np.diff(np.log(density), axis=1)
    assert np.abs(np.diff(steps, axis=1)).max() < 0.1 * np.abs(steps).max()
    assert choice.tau_density(np.array([0.0, most * 1.01, 3.0])) == pytest.approx([0, 0, 0])
