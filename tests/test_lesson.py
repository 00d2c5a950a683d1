"""The lesson, on real draws: its numbers, its models in both forms, its defaults."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cmdstanpy import CmdStanModel

from partialpool import fitting, programs
from partialpool.fitting import diagnostics
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import contrasts, shrinkage

pytestmark = pytest.mark.stan

NO_POOLING = [9.5299, 7.1549, 8.0465, 6.3318, 12.2997, 6.2778, 6.2303, 7.4547]
PARTIAL_POOLING = [9.1151, 7.1711, 7.8933, 6.5243, 10.4256, 6.5196, 6.4630, 7.4522]
SLACK = 0.02
"""The published values carry Monte Carlo errors of about 0.01 themselves."""


@pytest.fixture(scope="module")
def estimates(lesson_fits, homework):
    table = shrinkage.estimates(list(lesson_fits.values()), homework)
    return table.set_index(["model", "parameter", "group"]).sort_index()


@pytest.mark.parametrize(
    ("model", "published"),
    [("no_pooling", NO_POOLING), ("hierarchical_noncentered", PARTIAL_POOLING)],
)
def test_group_means_agree_with_the_published_ones(estimates, homework, model, published):
    for label, value in zip(homework.labels, published, strict=True):
        row = estimates.loc[(model, "theta", label)]
        assert abs(row["mean"] - value) < 4 * row["mcse_mean"] + SLACK, label


def test_population_values_agree_with_the_published_ones(estimates):
    mu = estimates.loc[("hierarchical_noncentered", "mu", "")]
    assert abs(mu["mean"] - 7.77) < 4 * mu["mcse_mean"] + SLACK
    theta = estimates.loc[("complete_pooling", "theta", "")]
    assert abs(theta["mean"] - 7.49) < 4 * theta["mcse_mean"] + SLACK
    sigma2 = estimates.loc[("complete_pooling", "sigma2", "")]
    assert abs(sigma2["median"] - 16.95) < 4 * sigma2["mcse_median"] + SLACK


def test_squares_are_squares(lesson_fits):
    for fit in lesson_fits.values():
        posterior = fit.posterior
        np.testing.assert_allclose(posterior["sigma"] ** 2, posterior["sigma2"], rtol=1e-12)
        if "tau" in posterior:
            np.testing.assert_allclose(posterior["tau"] ** 2, posterior["tau2"], rtol=1e-12)


def test_labels_are_coordinates(lesson_fits, homework):
    theta = lesson_fits["no_pooling"].posterior["theta"]
    assert theta.dims == ("chain", "draw", "group")
    assert tuple(theta.coords["group"].to_numpy()) == homework.labels
    assert "log_prior" in lesson_fits["no_pooling"].draws


def test_centered_and_noncentered_forms_agree(homework, cmdstan, lesson_fits):
    """Small steps keep the centered form honest in the neck of its funnel."""
    centered = fitting.fit_programs(
        [programs.load("hierarchical_centered")],
        homework,
        priors=priors_for(homework),
        settings=Settings(adapt_delta=0.999, draws=4000),
        cmdstan=cmdstan,
    )[0]
    one = shrinkage.estimates([centered], homework)
    other = shrinkage.estimates([lesson_fits["hierarchical_noncentered"]], homework)
    both = one.merge(other, on=["parameter", "group"], suffixes=("", "_other"))
    assert {"mu", "tau", "sigma", "theta", "tau2", "sigma2"} <= set(both["parameter"])
    for column in ("mean", "q2.5", "median", "q97.5"):
        error = f"mcse_{column}"
        rows = both
        combined = np.hypot(rows[error], rows[f"{error}_other"])
        distance = (rows[column] - rows[f"{column}_other"]).abs() / combined
        assert (distance < 4).all(), rows.loc[distance >= 4, ["parameter", "group", column]]


def test_log_densities_agree_up_to_the_jacobian(homework, cmdstan):
    """p_centered(theta) tau^J = p_noncentered(eta), for theta = mu + tau eta; no sampling."""
    priors = priors_for(homework)
    forms = {}
    for name in ("hierarchical_centered", "hierarchical_noncentered"):
        program = programs.load(name)
        executable = toolchain.compile_program(program.path, cmdstan=cmdstan)
        inputs = stan_data(program, homework, priors)
        forms[name] = (CmdStanModel(exe_file=str(executable)), inputs)

    def log_density(name, values):
        model, inputs = forms[name]
        inputs = {key: np.asarray(value).tolist() for key, value in inputs.items()}
        return model.log_prob(values, inputs, jacobian=False, sig_figs=17)["lp__"].iloc[0]

    rng = np.random.default_rng(8)
    for _ in range(4):
        mu, tau, sigma = rng.normal(8, 2), rng.uniform(0.1, 6), rng.uniform(2, 6)
        eta = rng.normal(size=homework.stats.J)
        shared = {"mu": mu, "tau": tau, "sigma": sigma}
        centered = log_density(
            "hierarchical_centered", {**shared, "theta": (mu + tau * eta).tolist()}
        )
        noncentered = log_density("hierarchical_noncentered", {**shared, "eta": eta.tolist()})
        assert centered + homework.stats.J * math.log(tau) == pytest.approx(noncentered, abs=1e-9)


def test_shipped_defaults_pass_every_diagnostic_at_ten_seeds(homework, cmdstan):
    program = programs.load("hierarchical_noncentered")
    priors = priors_for(homework)
    for seed in range(101, 111):
        settings = Settings(seed=seed)
        fit = fitting.fit_programs(
            [program], homework, priors=priors, settings=settings, cmdstan=cmdstan
        )[0]
        table = diagnostics.check(fit)
        assert table["passed"].all(), diagnostics.summary_line(fit, table)
        rows = shrinkage.estimates([fit], homework)
        theta = rows[rows["parameter"] == "theta"]
        assert (theta["mcse_mean"] < 0.03).all(), f"seed {seed}"


def test_default_errors_are_small_under_every_model(estimates):
    theta = estimates.xs("theta", level="parameter")
    shown = theta.drop(index="hierarchical_centered", level="model")
    assert (shown["mcse_mean"] < 0.03).all()


def test_same_seed_same_draws(homework, cmdstan, lesson_fits):
    again = fitting.fit_programs(
        [programs.load("complete_pooling")],
        homework,
        priors=priors_for(homework),
        cmdstan=cmdstan,
    )[0]
    assert again.posterior.equals(lesson_fits["complete_pooling"].posterior)


def test_a_fit_survives_the_file(tmp_path, lesson_fits):
    fit = lesson_fits["hierarchical_noncentered"]
    loaded = fitting.Fit.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.posterior.equals(fit.posterior)
    assert loaded.sample_stats.equals(fit.sample_stats)
    assert loaded.record == fit.record
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_marginal_intervals_say_what_the_lesson_says(lesson_fits, homework):
    fits = [lesson_fits["no_pooling"], lesson_fits["hierarchical_noncentered"]]
    table = contrasts.contrasts(fits, homework)
    overlap = table.set_index(["model", "group_i", "group_j"])["marginal_overlap"]

    def overlaps(model, i, j):
        found = [key for key in ((model, i, j), (model, j, i)) if key in overlap.index]
        return bool(overlap.loc[found[0]])

    assert not overlaps("no_pooling", "5", "6")
    for other in ("4", "6", "7"):
        assert overlaps("hierarchical_noncentered", "5", other)


def test_variance_within_is_well_above_variance_between(estimates):
    within = estimates.loc[("hierarchical_noncentered", "sigma2", "")]
    between = estimates.loc[("hierarchical_noncentered", "tau2", "")]
    assert within["median"] > 2 * between["median"]


def test_partial_pooling_moves_every_school_towards_mu_and_school_5_most(lesson_fits, homework):
    fits = [lesson_fits["no_pooling"], lesson_fits["hierarchical_noncentered"]]
    table = shrinkage.shrinkage_table(fits, homework).set_index("group")
    mu = float(fits[1].posterior["mu"].mean())
    moved = (table["hierarchical_noncentered"] - table["no_pooling"]).abs()
    # school 8 starts 0.3 hours from mu and moves less than the Monte Carlo error
    error = np.hypot(table["hierarchical_noncentered_mcse"], table["no_pooling_mcse"])
    nearer = (table["hierarchical_noncentered"] - mu).abs() < (table["no_pooling"] - mu).abs()
    assert (nearer | (moved < 4 * error)).all()
    assert moved.idxmax() == "5"
