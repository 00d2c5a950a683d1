"""The checks of a fit, each provoked by draws made to fail it."""

from __future__ import annotations

import arviz_base
import numpy as np
import pytest

from partialpool.fitting import Fit, FitRecord, diagnostics
from partialpool.settings import Settings

CHAINS, DRAWS = 4, 500


def make_fit(rng, *, mu=None, theta=None, diverging=None, energy=None, depth=None) -> Fit:
    shape = (CHAINS, DRAWS)

    def or_default(given, default):
        return default if given is None else given

    tree = arviz_base.from_dict(
        {
            "posterior": {
                "mu": or_default(mu, rng.normal(size=shape)),
                "theta": or_default(theta, rng.normal(size=(*shape, 2))),
            },
            "sample_stats": {
                "diverging": or_default(diverging, np.zeros(shape, dtype=bool)),
                "energy": or_default(energy, rng.normal(size=shape)),
                "tree_depth": or_default(depth, np.full(shape, 3)),
            },
        },
        coords={"group": ["east", "west"]},
        dims={"theta": ["group"]},
    )
    record = FitRecord("mine", "my model", "other", settings={"max_treedepth": 10})
    return Fit(tree, record)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def row(table, name):
    return table.set_index("check").loc[name]


def test_independent_draws_pass_every_check(rng):
    fit = make_fit(rng)
    table = diagnostics.check(fit)
    assert table["passed"].all()
    assert (table["remedy"] == "").all()
    assert diagnostics.trusted(table)
    assert diagnostics.summary_line(fit, table) == "my model: all 7 diagnostics passed"
    assert table["check"][0] == "finite draws"


def test_chains_that_disagree_fail_r_hat(rng):
    mu = rng.normal(size=(CHAINS, DRAWS)) + 3 * np.arange(CHAINS)[:, None]
    table = diagnostics.check(make_fit(rng, mu=mu))
    assert not row(table, "R-hat").passed
    assert row(table, "R-hat").value > 1.5
    assert "worst mu; 1 of 3" in row(table, "R-hat").meaning
    assert not diagnostics.trusted(table)


def test_sticky_chains_fail_ess_and_name_the_group(rng):
    theta = rng.normal(size=(CHAINS, DRAWS, 2))
    theta[..., 1] = np.cumsum(theta[..., 1], axis=1) / 20
    table = diagnostics.check(make_fit(rng, theta=theta))
    assert not row(table, "bulk ESS").passed
    assert "theta[west]" in row(table, "bulk ESS").meaning
    assert row(table, "bulk ESS").threshold == ">= 400"


def test_one_divergence_fails(rng):
    diverging = np.zeros((CHAINS, DRAWS), dtype=bool)
    diverging[2, 7] = True
    fit = make_fit(rng, diverging=diverging)
    table = diagnostics.check(fit)
    assert row(table, "divergences").value == 1
    assert "1 of 2000 (0.05 %)" in row(table, "divergences").meaning
    assert "--adapt-delta" in row(table, "divergences").remedy
    assert diagnostics.summary_line(fit, table).startswith("my model: NOT TO BE TRUSTED")


def test_low_energy_fraction_in_one_chain_fails(rng):
    energy = rng.normal(size=(CHAINS, DRAWS))
    energy[1] = np.cumsum(rng.normal(size=DRAWS))
    table = diagnostics.check(make_fit(rng, energy=energy))
    assert not row(table, "E-BFMI").passed
    assert "1 of 4" in row(table, "E-BFMI").meaning


def test_tree_depth_is_a_remark_only(rng):
    fit = make_fit(rng, depth=np.full((CHAINS, DRAWS), 10))
    table = diagnostics.check(fit)
    assert not row(table, "tree depth").passed
    assert diagnostics.trusted(table)
    assert "passed, with a remark on tree depth" in diagnostics.summary_line(fit, table)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_draws_that_are_not_finite_fail_and_do_not_crash(rng, bad):
    mu = rng.normal(size=(CHAINS, DRAWS))
    mu[0, 3] = bad
    table = diagnostics.check(make_fit(rng, mu=mu))
    assert not row(table, "finite draws").passed
    assert "NaN or infinite draws, first mu" in row(table, "finite draws").meaning
    assert not diagnostics.trusted(table)


def test_a_chain_that_never_moves_fails(rng):
    mu = rng.normal(size=(CHAINS, DRAWS))
    mu[3] = 1.5
    table = diagnostics.check(make_fit(rng, mu=mu))
    assert not row(table, "finite draws").passed
    assert "a chain that never moves, first mu" in row(table, "finite draws").meaning


def test_constants_of_a_program_are_set_aside_and_stuck_parameters_are_not(rng):
    ones = np.ones((CHAINS, DRAWS, 2))
    assert not diagnostics.trusted(diagnostics.check(make_fit(rng, theta=ones)))
    fit = make_fit(rng, theta=ones + np.cumsum(1e-17 * rng.normal(size=ones.shape), axis=1))
    computed = fit.with_record(parameters=["mu"])
    table = diagnostics.check(computed)
    assert diagnostics.trusted(table)
    assert "2 constants of the program set aside" in row(table, "finite draws").meaning
    parts = Fit(make_fit(rng, theta=ones * np.arange(CHAINS)[:, None, None]).draws, computed.record)
    assert not diagnostics.trusted(diagnostics.check(parts))


def test_an_indicator_of_a_rare_event_is_no_stuck_chain(rng):
    theta = np.zeros((CHAINS, DRAWS, 2))
    theta[0, 7, 0] = 1
    fit = make_fit(rng, theta=theta)
    about = {"parameters": ["mu"], "integers": ["theta"]}
    assert diagnostics.trusted(diagnostics.check(fit.with_record(**about)))


def test_a_program_without_anything_that_varies_is_not_trusted(rng):
    fit = make_fit(rng, mu=np.ones((CHAINS, DRAWS)), theta=np.ones((CHAINS, DRAWS, 2)))
    table = diagnostics.check(fit.with_record(parameters=[]))
    assert not diagnostics.trusted(table)
    assert "no quantity that could vary, 3 constants" in row(table, "finite draws").meaning


def test_constant_energy_fails(rng):
    table = diagnostics.check(make_fit(rng, energy=np.ones((CHAINS, DRAWS))))
    assert not row(table, "E-BFMI").passed


def test_default_settings_are_what_the_limits_are_meant_for():
    assert Settings().chains * diagnostics.ESS_PER_CHAIN == 400


def test_one_chain_cannot_be_compared_and_fails(rng):
    mu, theta = rng.normal(size=(1, DRAWS)), rng.normal(size=(1, DRAWS, 2))
    one = {"diverging": np.zeros((1, DRAWS), dtype=bool), "energy": rng.normal(size=(1, DRAWS))}
    fit = make_fit(rng, mu=mu, theta=theta, depth=np.full((1, DRAWS), 3), **one)
    table = diagnostics.check(fit)
    assert not diagnostics.trusted(table)
    assert list(table.loc[~table["passed"], "check"]) == ["R-hat"]
    assert "one chain has no other to be compared with" in row(table, "R-hat").meaning
    assert "--chains 4" in row(table, "R-hat").remedy
