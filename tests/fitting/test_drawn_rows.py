"""Observations that Stan would take long over: many rows, many sizes, groups of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats as distributions

from helpers import densities
from partialpool import programs
from partialpool.data import GroupedData, from_values
from partialpool.families.exact import classes, hierarchical
from partialpool.families.moments import GroupStats
from partialpool.families.normal import SAMPLED_ROWS
from partialpool.fitting import diagnostics, without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfT, Normal, Uniform
from partialpool.settings import Settings
from partialpool.tables import comparison, exactness, group_scores, shrinkage

SETTINGS = Settings(draws=1000, seed=8)
EXTREMES = ("complete_pooling", "no_pooling", "no_pooling_common_variance")


def rows(sizes: list[int], *, seed: int = 4) -> GroupedData:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    y = rng.normal(10, 2, len(sizes))[group] + rng.normal(0, 5, len(group))
    return from_values([f"g{j}" for j in group], y)


def sizes(J: int, *, seed: int = 2) -> GroupStats:
    """Statistics of J groups, nearly each of a size of its own, far from 0."""
    rng = np.random.default_rng(seed)
    n = np.unique(np.maximum(2, np.exp(rng.normal(6, 2, 2 * J)).astype(np.int64)))[:J]
    mean = 1e6 + rng.normal(0, np.sqrt(4 + 25 / n))
    return GroupStats(tuple(f"g{j}" for j in range(len(n))), n, mean, 25.0 * (n - 1))


@pytest.mark.stan
@pytest.mark.parametrize("name", EXTREMES)
def test_many_rows_are_drawn_exactly_and_a_changed_program_is_not(
    name: str, tmp_path: Path
) -> None:
    few, many = rows([SAMPLED_ROWS // 2] * 2), rows([SAMPLED_ROWS // 2, SAMPLED_ROWS // 2 + 1])
    program = programs.load(name)
    assert not without_rows.is_exact(program, few)
    assert without_rows.is_exact(program, many)
    edited = tmp_path / program.path.name
    edited.write_text(program.path.read_text("utf-8") + "\n// edited\n", encoding="utf-8")
    assert not without_rows.is_exact(programs.load(edited), many)


@pytest.mark.stan
@pytest.mark.parametrize("name", EXTREMES)
def test_tiny_numbers_are_drawn_exactly(name: str, homework: GroupedData) -> None:
    labels = [homework.labels[j] for j in homework.group]
    program = programs.load(name)
    assert not without_rows.is_exact(program, homework)
    assert without_rows.is_exact(program, from_values(labels, 1e-9 * homework.y))
    assert not without_rows.is_exact(program, from_values(labels, 1e9 * homework.y))


@pytest.mark.stan
def test_single_observations_are_scored_and_checked_without_stan() -> None:
    data = rows([150, 200, 250])
    fits = without_rows.fit_or_draw(
        [programs.load(name) for name in EXTREMES],
        data,
        priors=priors_for(data),
        settings=SETTINGS,
    )
    assert {fit.record.cmdstan["version"] for fit in fits} == {"none"}
    found = comparison.compute(data, fits)
    assert not found.missing
    assert set(found.table("loo")["bad_k"]) == {0}
    assert len(found.table("loo_pointwise")) == 3 * data.stats.N
    assert len(found.table("posterior_checks")) == 3 * (3 * data.stats.J + 3)


@pytest.mark.parametrize("name", EXTREMES[:2])
def test_statistics_weigh_parameters_as_rows_do(name: str) -> None:
    data, rng = rows([3, 4, 5]), np.random.default_rng(1)
    prior = priors_for(data).values
    shape = () if name == "complete_pooling" else (3,)
    by_rows, by_statistics = [], []
    for _ in range(4):
        theta, sigma2 = rng.normal(10, 3, shape), rng.uniform(9, 49, shape)
        values = {"theta": theta, "sigma2": sigma2}
        alone = getattr(densities, name)(values, rows([1, 1, 1]), prior)
        beside = getattr(densities, name)(values, data, prior)
        mean, sd = (np.broadcast_to(x, (3,))[:, None] for x in (theta, np.sqrt(sigma2)))
        family, single = data.family, rows([1, 1, 1])
        by_rows.append(beside - alone)
        by_statistics.append(
            family.log_likelihood(data.stats, mean, sd)[0]
            - family.log_likelihood(single.stats, mean, sd)[0]
        )
    np.testing.assert_allclose(np.diff(by_rows), np.diff(by_statistics), rtol=1e-11)


@pytest.mark.stan
def test_a_group_of_one_is_welcome_and_its_variance_is_said_to_be_the_priors() -> None:
    data = rows([1, 1, 6, 9])
    program = programs.load("no_pooling")
    assert without_rows.is_exact(program, data)
    [fit] = without_rows.fit_or_draw([program], data, priors=priors_for(data), settings=SETTINGS)
    assert diagnostics.trusted(diagnostics.check(fit))
    assert fit.record.warnings == (
        "the prior alone says how large the variance is in 'g0', 'g1': fewer than two different "
        "values",
    )
    exact = exactness.exact_posterior(fit, data).summary().set_index(["parameter", "group"])
    found = shrinkage.estimates([fit], data).set_index(["parameter", "group"])
    for key in (("theta", "g0"), ("theta", "g3"), ("sigma", "g0"), ("sigma", "g3")):
        for column in ("q25", "median", "q75"):
            error = found.loc[key, f"mcse_{column}"]
            assert abs(found.loc[key, column] - exact.loc[key, column]) < 4 * error, (key, column)


def test_nodes_between_sizes_give_the_density_that_the_sizes_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stats = sizes(900)
    given = {"mu": Normal(1e6, 30.0), "tau": HalfT(3, 5.0), "sigma": Uniform(100)}
    on_nodes = hierarchical(stats, **given).problem  # type: ignore[arg-type]
    monkeypatch.setattr("partialpool.families.exact.problem.MOST_CLASSES", 10**6)
    by_size = hierarchical(stats, **given).problem  # type: ignore[arg-type]
    x, z = np.log([1e-3, 0.2, 2.0, 40.0])[:, None], np.log([0.3, 5.0, 60.0])
    assert on_nodes.log_density(x, z).shape == (4, 3)
    np.testing.assert_allclose(
        on_nodes.log_density(x, z), by_size.log_density(x, z), rtol=1e-12, atol=1e-9
    )
    variances = np.array([1e-4, 4.0]), np.array([25.0, 0.1])
    for name in ("mu_mean", "mu_variance"):
        np.testing.assert_allclose(
            getattr(on_nodes.conditional(*variances), name),
            getattr(by_size.conditional(*variances), name),
            rtol=1e-9,
        )


@pytest.mark.stan
def test_very_many_sizes_are_drawn_exactly() -> None:
    stats = sizes(classes.MOST_CLASSES + 100)
    data = GroupedData("sizes", np.empty(0), np.empty(0, dtype=np.int64), stats)
    program = programs.load("hierarchical_marginal")
    assert without_rows.is_exact(program, data)
    [fit] = without_rows.fit_or_draw([program], data, priors=priors_for(data), settings=SETTINGS)
    assert diagnostics.trusted(diagnostics.check(fit))
    written = program.outputs.keys() - {"tau_stretched", "sigma_stretched", "lprior", "lprior_mu"}
    assert set(fit.posterior) == written - {"log_lik", "y_rep"}
    shown = [stats.labels[j] for j in (0, 100, -1)]
    posterior = exactness.exact_posterior(fit, data)
    exact = posterior.summary(groups=shown).set_index(["parameter", "group"])  # type: ignore[call-arg]
    found = shrinkage.estimates([fit], data).set_index(["parameter", "group"])
    keys = [
        *((name, "") for name in ("mu", "tau", "sigma", "tau2", "sigma2", "theta_new", "y_new"))
    ]
    for key in (*keys, *(("theta", label) for label in shown)):
        for column in ("mean", "q2.5", "median", "q97.5"):
            error = found.loc[key, f"mcse_{column}"]
            assert abs(found.loc[key, column] - exact.loc[key, column]) < 4.5 * error, (key, column)


@pytest.mark.stan
@pytest.mark.parametrize("name", ["no_pooling", "no_pooling_common_variance"])
def test_draws_without_pooling_are_those_of_the_posterior(name: str) -> None:
    data = rows([3, 7, 200, 300])
    program = programs.load(name)
    priors = priors_for(data)
    fit = without_rows.draw_exact(program, data, priors=priors, settings=SETTINGS)
    posterior = exactness.exact_posterior(fit, data)
    exact = posterior.summary().set_index(["parameter", "group"])
    exact = exact.drop(index="y_new", level="parameter")
    found = shrinkage.estimates([fit], data).set_index(["parameter", "group"]).loc[exact.index]
    for column in ("q2.5", "median", "q97.5"):
        apart = (found[column] - exact[column]).abs() / found[f"mcse_{column}"]
        assert apart.max() < 4.5, column
    value, at = priors.values, fit.posterior.isel(chain=1, draw=5)
    prior = distributions.norm.logpdf(
        at["theta"], value["theta_location"], value["theta_scale"]
    ).sum() + np.sum(
        distributions.invgamma.logpdf(
            at["sigma2"], value["sigma2_shape"], scale=value["sigma2_scale"]
        )
    )
    lprior = fit.draws["log_prior"]["lprior"].isel(chain=1, draw=5)
    assert float(lprior) == pytest.approx(float(prior), rel=1e-12)


def test_small_groups_share_a_variance_where_nothing_else_is_asked_for() -> None:
    small, large = rows([2, 7, 30]), rows([3, 7, 30])
    names, why = small.family.compared(small.stats)
    assert names == ("complete_pooling", "no_pooling_common_variance", "hierarchical_marginal")
    assert why.startswith("1 group has fewer than 3 observations")
    assert large.family.compared(large.stats) == (programs.DEFAULT, "")


@pytest.mark.stan
def test_a_new_group_under_a_common_variance_learns_the_variance_alone() -> None:
    """Against the exact joint density of all groups over that of the others."""
    data = rows([3, 4, 250, 300])
    program = programs.load("no_pooling_common_variance")
    priors = priors_for(data)
    fit = without_rows.draw_exact(program, data, priors=priors, settings=SETTINGS)
    found = group_scores.leave_one_group_out([fit], data).groups.set_index("group")

    def joint(stats: GroupStats) -> float:
        made = data.family.exact_posterior(program.name, stats, priors)
        return float(made.log_marginal_likelihood)  # type: ignore[attr-defined]

    for j, label in enumerate(data.labels[:2]):
        others = data.stats.take(np.array([k for k in range(4) if k != j]))
        assert found.loc[label, "elpd"] == pytest.approx(
            joint(data.stats) - joint(others), abs=0.02
        )


@pytest.mark.stan
@pytest.mark.parametrize("rows", [False, True])
def test_very_many_groups_that_are_alike_are_drawn_exactly(rows: bool) -> None:
    groups = programs.DRAWN_GROUPS + 1
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(groups), 3)
    data = from_values([f"g{j}" for j in group], 10 + 2 * rng.standard_normal(len(group)))
    if not rows:
        data = GroupedData("alike", np.empty(0), np.empty(0, dtype=np.int64), data.stats)
    program = programs.load("hierarchical_marginal")
    [fit] = without_rows.fit_or_draw([program], data, priors=priors_for(data), settings=SETTINGS)
    assert fit.record.independent
    assert diagnostics.trusted(diagnostics.check(fit))
    exact = exactness.exact_posterior(fit, data).summary(groups=[])  # type: ignore[call-arg]
    exact = exact.set_index("parameter")
    found = shrinkage.estimates([fit], data).set_index("parameter")
    for name in ("mu", "tau", "sigma"):
        for column in ("mean", "q2.5", "median", "q97.5"):
            error = found.loc[name, f"mcse_{column}"]
            assert abs(found.loc[name, column] - exact.loc[name, column]) < 4.5 * error
