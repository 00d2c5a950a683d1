"""Stan's draws of estimates with known standard errors, against their exact posteriors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from helpers.published import bcg, eight_schools, rubin_schools, teacher_expectancy
from partialpool import fitting, programs
from partialpool.data import GroupedData
from partialpool.data.grouped import from_estimates
from partialpool.fitting import Fit, diagnostics
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.summarize import summarize
from partialpool.priors import Normal
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness

pytestmark = pytest.mark.stan

SETTINGS = Settings(draws=4000, seed=21)
ROBUST = ("mean", "q2.5", "q25", "median", "q75", "q97.5")
Fitted = Callable[[GroupedData, str], Fit]


def far_apart() -> GroupedData:
    """Effects that differ by many standard errors, of which the largest is 300 times the least."""
    rng = np.random.default_rng(6)
    se = np.geomspace(0.01, 3, 12)
    effects = rng.normal(40, 25, 12) + se * rng.standard_normal(12)
    return from_estimates([f"site {j}" for j in range(12)], effects, se, name="far apart")


@pytest.fixture(scope="session")
def fit_known(cmdstan: toolchain.CmdStan) -> Fitted:
    """Fit a shipped program with the default priors, each once."""
    kept: dict[tuple[str, str], Fit] = {}

    def fit(data: GroupedData, name: str) -> Fit:
        if (data.name, name) not in kept:
            kept[data.name, name] = sampled(data, name, cmdstan)
        return kept[data.name, name]

    return fit


def sampled(
    data: GroupedData,
    name: str,
    cmdstan: toolchain.CmdStan,
    *,
    priors: Priors | None = None,
    settings: Settings = SETTINGS,
    **switches: bool,
) -> Fit:
    [found] = fitting.fit_programs(
        [programs.load(name, family="known_errors")],
        data,
        priors=priors or priors_for(data),
        settings=settings,
        cmdstan=cmdstan,
        **switches,
    )
    return found


def distances(fit: Fit, data: GroupedData) -> pd.DataFrame:
    """Distance of every mean and quantile from the exact one, in Monte Carlo standard errors."""
    exact = exactness.exact_posterior(fit, data).summary().set_index(["parameter", "group"])
    rows = {}
    for name in ("theta", "mu", "tau", "tau2", "theta_new"):
        if name not in fit.posterior:
            continue
        array = fit.posterior[name].transpose("chain", "draw", ...).to_numpy()
        by_group = array.ndim == 3
        for k, label in enumerate(fit.posterior["group"].to_numpy() if by_group else [""]):
            found = summarize((array[..., k] if by_group else array)[None])
            errors = {}
            for column in ROBUST:
                if column == "mean" and name == "tau2":  # its sd hardly exists under a half-t prior
                    continue
                if f"mcse_{column}" in found:
                    difference = found[column][0] - exact.loc[(name, str(label)), column]
                    errors[column] = difference / found[f"mcse_{column}"][0]
            rows[name, str(label)] = errors
    return pd.DataFrame.from_dict(rows, orient="index")


SOUND = [
    (data, name)
    for data in (eight_schools(), rubin_schools(), bcg(), teacher_expectancy(), far_apart())
    for name in programs.SHIPPED
    if name != "hierarchical_centered"
    and (name != "hierarchical_noncentered" or data.name != "far apart")
] + [(data, "hierarchical_centered") for data in (bcg(), far_apart())]
"""Data and programs without a funnel: the centered form has one where the errors are large, and the
non-centered one its own where they are small (Betancourt and Girolami 2015)."""


@pytest.mark.parametrize(
    ("data", "name"), SOUND, ids=[f"{data.name}, {name}" for data, name in SOUND]
)
def test_every_program_draws_from_the_exact_posterior(
    data: GroupedData, name: str, fit_known: Fitted
) -> None:
    found = fit_known(data, name)
    checks = diagnostics.check(found)
    assert diagnostics.trusted(checks), diagnostics.summary_line(found, checks)
    apart = distances(found, data).abs()
    assert apart.max(axis=None) < 4, apart.max(axis=1).nlargest(3)


def test_the_centered_program_diverges_in_the_funnel_of_eight_schools(fit_known: Fitted) -> None:
    found = fit_known(eight_schools(), "hierarchical_centered")
    assert found.sample_stats["diverging"].any()
    assert not diagnostics.trusted(diagnostics.check(found))


def test_eight_schools_under_vague_priors_give_the_published_numbers(
    cmdstan: toolchain.CmdStan,
) -> None:
    """Priors so wide that they move no digit of these: mean, sd, 25 %, 50 % of mu, A and E."""
    data = eight_schools()
    wide = {"mu_location": 0.0, "mu_scale": 1e4, "tau_df": 1e3, "tau_scale": 1e4}
    found = sampled(data, "hierarchical_marginal", cmdstan, priors=priors_for(data, wide))
    published = {
        ("mu", ""): (7.9324, 4.652, 7.892, 11.159),
        ("theta", "A"): (11.4003, 5.976, 10.241, 15.534),
        ("theta", "E"): (5.1264, 1.359, 5.603, 9.399),
        ("theta", "G"): (10.6670, 6.112, 10.044, 14.569),
    }
    for (name, label), (mean, _, median, _) in published.items():
        array = found.posterior[name]
        array = array.sel(group=label) if label else array
        drawn = summarize(array.transpose("chain", "draw").to_numpy()[None])
        assert abs(drawn["mean"][0] - mean) < 4 * drawn["mcse_mean"][0], (name, label)
        assert abs(drawn["median"][0] - median) < 4 * drawn["mcse_median"][0], (name, label)
    mu = found.posterior["mu"].to_numpy()
    assert abs((mu > 0).mean() - 0.944444) < 4 * math.sqrt(0.944 * 0.056 / mu.size)


@pytest.mark.parametrize("name", programs.SHIPPED)
def test_the_prior_alone(name: str, cmdstan: toolchain.CmdStan) -> None:
    """Without the likelihood every program draws from the priors that it states."""
    data = eight_schools()
    priors = priors_for(data, {"theta_scale": 30.0, "mu_scale": 20.0, "tau_df": 8.0})
    settings = Settings(draws=4000, seed=5, adapt_delta=0.95)
    found = sampled(data, name, cmdstan, priors=priors, prior_only=True, settings=settings)
    value, posterior = priors.values, found.posterior
    if found.pooling == "partial":
        base = data.family.base_choice(priors)
        known = {"mu": base.mu.quantile, "tau": base.tau.quantile}
    else:
        known = {"theta": Normal(value["theta_location"], value["theta_scale"]).quantile}
    for parameter, quantile in known.items():
        array = posterior[parameter].transpose("chain", "draw", ...).to_numpy()
        drawn = summarize((array if array.ndim == 2 else array[..., 0])[None])
        for column, p in (("median", 0.5), ("q97.5", 0.975)):
            expected = float(quantile(np.array(p)))
            limit = 5 if name == "hierarchical_centered" else 4
            assert abs(drawn[column][0] - expected) < limit * drawn[f"mcse_{column}"][0], parameter


def test_pointwise_quantities_are_those_of_the_draws(cmdstan: toolchain.CmdStan) -> None:
    data = bcg()
    for name in programs.SHIPPED:
        found = sampled(data, name, cmdstan, settings=Settings(draws=500), pointwise=True)
        theta = found.posterior["theta"].transpose("chain", "draw", ...).to_numpy()
        theta = theta if theta.ndim == 3 else theta[..., None]
        se = data.stats.raw_se
        expected = -0.5 * ((data.y - theta) / se) ** 2 - np.log(se) - 0.5 * math.log(2 * math.pi)
        drawn = found.draws["log_likelihood"]["y"].transpose("chain", "draw", ...).to_numpy()
        assert drawn == pytest.approx(expected, rel=1e-9, abs=1e-9), name
        replicated = found.draws["posterior_predictive"]["y"].transpose("chain", "draw", ...)
        z = (replicated.to_numpy() - theta) / se
        assert abs(z.mean()) < 4 / math.sqrt(z.size)
        assert abs(z.std() - 1) < 4 / math.sqrt(2 * z.size)


HARD = [
    (2, 0.1, 1.5, 1.0),
    (3, 1000.0, 1.5, 1e9),
    (3, 0.0, 0.0, 1e-9),
    (5, 0.0, 1.5, 1.0),
    (20, 0.0, 1.5, 1.0),
    (100, 0.0, 1.5, 1.0),
    (100, 1000.0, 0.0, 1.0),
]
"""Groups, tau in typical standard errors, sd of the logarithms of these errors, and the unit."""


@pytest.mark.parametrize("case", HARD, ids=str)
def test_hard_data_pass_every_diagnostic_at_the_default_settings(
    case: tuple[int, float, float, float], cmdstan: toolchain.CmdStan
) -> None:
    J, tau, unequal, unit = case
    rng = np.random.default_rng(J)
    se = np.exp(rng.normal(0, unequal, J)) if unequal else np.ones(J)
    y = 5 + tau * rng.standard_normal(J) + se * rng.standard_normal(J)
    data = from_estimates([f"g{j}" for j in range(J)], unit * y, unit * se, name="hard")
    for name in ("complete_pooling", "no_pooling", "hierarchical_marginal"):
        found = sampled(data, name, cmdstan, settings=Settings())
        checks = diagnostics.check(found)
        assert checks["passed"].all(), diagnostics.summary_line(found, checks)
        posterior = exactness.exact_posterior(found, data)
        compared = exactness.verify_fits([found], data, {name: posterior})
        [judged] = exactness.agreement(compared).to_dict("records")
        assert judged["agrees"], judged
