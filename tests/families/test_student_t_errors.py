"""Student-t errors: a Gibbs sampler, the limit of normal ones, rows, and what a report says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from partialpool.api import compare
from partialpool.api.result import Comparison as Result
from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.families import STUDENT_T_ERRORS
from partialpool.families.base import CENTERED, MARGINAL, NONCENTERED
from partialpool.families.exact.equal_spread import equal_spread
from partialpool.families.exact.tabled import TabledPosterior
from partialpool.families.normal import NORMAL
from partialpool.families.student_t_errors import RowStats
from partialpool.priors import Normal, Uniform
from partialpool.priors.choices import PriorChoice
from partialpool.priors.spreads import Fixed, Gamma, StudentTChoice
from partialpool.report import outlying, own_spreads, views
from partialpool.report.sentences import short
from partialpool.studies.parameterizations import forms_of
from partialpool.studies.power_scaling import joint_log_likelihood
from partialpool.tables import scores, variables

VALUES = {
    "a": [9.1, 10.4, 8.8, 31.0, 9.9],
    "b": [12.2, 11.1, 12.9],
    "c": [7.0, 8.1, 6.2, 7.7],
    "d": [10.9, 9.3],
    "e": [11.5, 13.0, 12.1, 11.8, 12.6],
}
"""Five groups; one observation of the first lies far off."""

FLAT = Normal(10, 1e4)
USUAL = Gamma(2, 0.1)


def small() -> GroupedData:
    labels = [label for label, values in VALUES.items() for _ in values]
    return from_values(labels, np.concatenate([*VALUES.values()]), name="small")


def chosen(nu: Gamma | Fixed = USUAL) -> StudentTChoice:
    return StudentTChoice("mine", FLAT, Uniform(1e3), Uniform(1e3), nu=nu)


def means(posterior: TabledPosterior) -> pd.DataFrame:
    return posterior.summary().set_index(["parameter", "group"])


# The exact posterior


def gibbs(data: GroupedData, prior: Gamma, size: int) -> dict[str, NDArray[np.float64]]:
    """Draw by turns given the weights of the observations, which are gamma; nu on a grid.

    With uniform priors of tau and sigma and a flat one of mu.
    """
    rng = np.random.default_rng(6)
    y, group, J, N = data.y, data.group, data.stats.J, data.stats.N
    grid = np.geomspace(0.05, 400, 800)
    half = 0.5 * grid
    fixed = (
        prior.log_density(grid) + np.log(grid) + N * (half * np.log(half) - special.gammaln(half))
    )
    mu, tau2, sigma2, nu = 10.0, 4.0, 1.0, 4.0
    theta = np.array([np.median(y[group == j]) for j in range(J)])
    kept: dict[str, list[object]] = {"theta": [], "sigma": [], "tau": [], "mu": [], "nu": []}
    for step in range(size + 500):
        z2 = (y - theta[group]) ** 2 / sigma2
        weight = rng.gamma(0.5 * (nu + 1), 2 / (nu + z2))
        total = np.bincount(group, weight) / sigma2
        precision = total + 1 / tau2
        at = (np.bincount(group, weight * y) / sigma2 + mu / tau2) / precision
        theta = at + rng.normal(size=J) / precision**0.5
        sigma2 = float((weight * (y - theta[group]) ** 2).sum() / rng.chisquare(N - 1))
        mu = rng.normal(theta.mean(), math.sqrt(tau2 / J))
        tau2 = float(((theta - mu) ** 2).sum() / rng.chisquare(J - 1))
        log = fixed + half * (np.log(weight).sum() - weight.sum())
        share = np.cumsum(np.exp(log - log.max()))
        nu = float(grid[np.searchsorted(share, rng.uniform() * share[-1])])
        if step >= 500:
            now = (theta, math.sqrt(sigma2), math.sqrt(tau2), mu, nu)
            for name, value in zip(kept, now, strict=True):
                kept[name].append(value)
    return {name: np.array(values) for name, values in kept.items()}


def test_the_exact_posterior_is_that_of_a_gibbs_sampler() -> None:
    data = small().modelled(errors="student_t")
    found = means(STUDENT_T_ERRORS.exact_alternative(chosen(), data.stats))  # type: ignore[arg-type]
    drawn = gibbs(data, USUAL, 20_000)
    assert found.loc[["mu", "theta", "sigma", "nu"], "error"].max() < 0.02
    for name in ("mu", "tau", "sigma", "nu"):
        _close(drawn[name], found.loc[(name, ""), "median"])
    for j, label in enumerate(data.labels):
        for column in ("q2.5", "median", "q97.5"):
            _close(
                drawn["theta"][:, j], found.loc[("theta", label), column], float(column == "median")
            )


def _close(draws: NDArray[np.float64], value: float, of_median: float = 1.0) -> None:
    """Hold a quantile to 4.5 of the errors of the share below it, by batches of 200 draws."""
    below = (draws <= value).astype(float)
    share = 0.5 if of_median else (0.025 if below.mean() < 0.5 else 0.975)
    batches = below.reshape(-1, 200).mean(axis=1)
    error = batches.std(ddof=1) / math.sqrt(len(batches))
    assert abs(below.mean() - share) < 4.5 * error + 2e-3


def test_many_degrees_of_freedom_are_normal_errors() -> None:
    data = small().modelled(errors="student_t")
    own = STUDENT_T_ERRORS.exact_alternative(chosen(Fixed(1e7)), data.stats)  # type: ignore[arg-type]
    usual = PriorChoice("flat", FLAT, Uniform(1e3), Uniform(1e3))
    assert usual.sigma is not None
    one = equal_spread(data.stats, usual, usual.sigma)  # type: ignore[arg-type]
    assert own.log_marginal_likelihood == pytest.approx(one.log_marginal_likelihood, abs=0.01)
    assert own.leave_one_out() == pytest.approx(one.leave_one_out(), abs=0.02)
    first, second = means(own), means(one)
    for at in [("mu", ""), ("sigma", ""), *(("theta", g) for g in data.labels)]:
        assert first.loc[at, "mean"] == pytest.approx(
            second.loc[at, "mean"], abs=0.02 * second.loc[at, "sd"]
        )


def test_an_observation_far_off_says_little() -> None:
    """However far: from some distance on the group's mean goes back to where the others are."""
    data = small()
    at = int(np.argmax(data.y))
    found = []
    for value in (10.0, 31.0, 100.0, 1000.0):
        y = data.y.copy()
        y[at] = value
        moved = from_values([data.labels[j] for j in data.group], y).modelled(errors="student_t")
        table = means(STUDENT_T_ERRORS.exact_alternative(chosen(Fixed(4)), moved.stats))  # type: ignore[arg-type]
        found.append(table.loc[("theta", "a"), "mean"])
    assert abs(found[1] - found[0]) < 1.0
    assert abs(found[2] - found[0]) < 0.5
    assert found[3] == pytest.approx(found[2], abs=0.05)


def test_the_likelihood_is_the_product_of_student_t_densities() -> None:
    data = small().modelled(errors="student_t")
    own: RowStats = data.stats  # type: ignore[assignment]
    theta = np.array([[9.0, 9.5], [12.0, 11.0], [7.0, 7.5], [10.0, 9.0], [12.0, 12.5]])
    sigma, nu = np.array([1.0, 1.7]), np.array([3.0, 8.0])
    found = STUDENT_T_ERRORS.log_likelihood_given(own, theta, sigma[None], {"nu": nu})
    known = stats.t.logpdf(data.y[:, None], nu, theta[data.group], sigma).sum(axis=0)
    assert np.diff(found) == pytest.approx(np.diff(known))
    plain = STUDENT_T_ERRORS.log_likelihood_given(own, theta, sigma[None], {})
    normal = stats.norm.logpdf(data.y[:, None], theta[data.group], sigma).sum(axis=0)
    assert np.diff(plain) == pytest.approx(np.diff(normal))


def test_the_score_of_a_group_is_that_of_its_own_integral() -> None:
    """One observation given a tiny tau: mu is known, and so is its predictive density."""
    labels = ["a"] * 4 + ["b"]
    y = np.array([0.1, -0.2, 0.05, 0.1, 3.0])
    data = from_values(labels, y).modelled(errors="student_t")
    narrow = StudentTChoice("n", Normal(0, 1e-4), Uniform(1e-3), Uniform(50), nu=Fixed(5))
    posterior = STUDENT_T_ERRORS.exact_alternative(narrow, data.stats)  # type: ignore[arg-type]
    log_sigma = np.linspace(-8, 3.9, 4001)
    sd = np.exp(log_sigma)
    others = stats.t.logpdf(y[:4, None], 5, 0.0, sd).sum(axis=0)
    weight = np.exp(others) * sd
    both = weight * stats.t.pdf(3.0, 5, 0.0, sd)
    known = math.log(integrate.trapezoid(both, log_sigma) / integrate.trapezoid(weight, log_sigma))
    assert posterior.leave_one_out()[1] == pytest.approx(known, abs=0.02)


# Rows


def test_observations_are_needed() -> None:
    data = small().without_observations()
    with pytest.raises(InputError, match="observations are needed.*--most-observations"):
        data.modelled(errors="student_t")
    with pytest.raises(InputError, match="--errors cauchy: .*normal, student_t"):
        small().modelled(errors="cauchy")
    with pytest.raises(InputError, match="no model of both"):
        small().modelled(errors="student_t", spread="own")


def test_observations_stay_with_their_groups() -> None:
    data = small().modelled(errors="student_t")
    for by in ("label", "mean", "size"):
        moved = data.in_order(by)
        for j, label in enumerate(moved.labels):
            assert sorted(moved.stats.rows[j]) == sorted(VALUES[label])  # type: ignore[attr-defined]
    logs = data.logarithms()
    assert logs.stats.rows[1] == pytest.approx(np.log(VALUES["b"]))  # type: ignore[attr-defined]
    left = data.stats.without_row(0, 31.0)
    assert left is not None
    assert left.rows[0].tolist() == [9.1, 10.4, 8.8, 9.9]  # type: ignore[attr-defined]
    assert left.mean[0] == pytest.approx(np.mean([9.1, 10.4, 8.8, 9.9]))


def test_the_form_that_suits_the_data_is_compared() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(list("abcdefgh"), 30).tolist()
    apart = np.repeat(rng.normal(0, 5, 8), 30) + rng.standard_t(4, 240)
    alike = rng.standard_t(4, 240)
    for y, form in ((apart, CENTERED), (alike, NONCENTERED)):
        data = from_values(labels, y).modelled(errors="student_t")
        assert data.family.compared(data.stats)[0][-1] == form


# With Stan


@pytest.fixture(scope="module")
def result(cmdstan: object) -> Result:
    frame = pd.DataFrame({"arm": [g for g, v in VALUES.items() for _ in v]})
    frame["score"] = np.concatenate([*VALUES.values()])
    return compare.compare(frame, group="arm", value="score", errors="student_t", seed=4)


def test_a_report_names_the_observation_that_counts_for_little(result: Result) -> None:
    comparison = result.comparison
    [nu, far, others] = outlying.lines(comparison)
    assert nu.startswith("The degrees of freedom of the errors")
    assert "beyond 30 they are all but normal" in nu
    assert far.startswith("One observation counts for little")
    assert "31 in arm a (weight 0.0" in far
    assert others == "Complete pooling and no pooling have normal errors."
    [usual] = own_spreads.against_usual(comparison)
    assert "with Student-t errors predicts" in usual
    assert "The choice matters most for arm a" in usual
    fit = comparison.model("partial")
    assert fit is not None
    assert any("as it has Student-t errors" in each for each in fit.record.lacking)


def test_a_test_of_normal_errors_decides_nothing(result: Result) -> None:
    comparison = result.comparison
    assert np.isfinite(comparison.table("variance_components")["f"]).any()
    assert not any(" F = " in f" {line}" for line in short.in_short(comparison))


def test_factors_that_there_are_not_are_not_explained(result: Result) -> None:
    fit = result.comparison.model("partial")
    assert fit is not None
    moved = views.displacement(result.comparison, fit)
    assert moved is not None
    assert "λ" not in " ".join([moved.note, *moved.head])


def test_weights_are_those_given_the_draws(result: Result) -> None:
    comparison = result.comparison
    table = comparison.table("outlying").set_index("observation")
    fit = comparison.model("partial")
    assert fit is not None
    assert sorted(table.index) == list(range(1, comparison.data.stats.N + 1))
    at = fit.posterior
    z = (31.0 - at["theta"].sel(group="a")) / at["sigma"]
    drawn = 1 / np.random.default_rng(1).gamma(0.5 * (at["nu"] + 1), 2 / (at["nu"] + z**2))
    assert table.loc[4, "weight"] == pytest.approx(float((1 / drawn).mean()), rel=0.05)
    assert table.loc[4, "off"] == pytest.approx(float(z.mean()))
    assert table["weight"].idxmin() == 4
    assert table["weight"].is_monotonic_increasing


def test_scores_are_of_student_t_observations(result: Result) -> None:
    comparison = result.comparison
    fit, data = comparison.model("partial"), comparison.data
    assert fit is not None
    theta, sigma = variables.theta(fit, data), variables.sigma(fit, data)
    nu = variables.errors_degrees(fit, data)
    assert theta is not None
    assert sigma is not None
    assert nu is not None
    known = stats.t.logpdf(data.y[:, None, None], nu, theta[data.group], sigma[0])
    found = np.concatenate([*scores._log_likelihood(fit, data, np.arange(len(data.y)))])
    assert found == pytest.approx(known)
    joint = joint_log_likelihood(fit, data)
    assert np.diff(joint.ravel()) == pytest.approx(np.diff(known.sum(axis=0).ravel()))


def test_predictions_have_moments_only_where_these_exist(result: Result) -> None:
    table = result.comparison.table("predictions", model=result.comparison.fits[-1].name)
    rows = table[table["quantity"] == "new observation"]
    assert rows["sd"].isna().all()  # degrees of freedom may be 2 and fewer
    assert rows[["q2.5", "median", "q97.5"]].notna().all().all()
    new = table[table["quantity"] == "new observation in a new group"]
    assert new["sd"].isna().all()


def test_what_was_saved_is_read_with_its_observations(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "kept")
    again = type(result).open(tmp_path / "kept")
    for one, other in zip(
        again.comparison.data.stats.rows,  # type: ignore[attr-defined]
        result.comparison.data.stats.rows,  # type: ignore[attr-defined]
        strict=True,
    ):
        assert one.tolist() == other.tolist()


def test_its_forms_are_compared_without_a_marginal_one() -> None:
    data = small().modelled(errors="student_t")
    assert forms_of(data) == (CENTERED, NONCENTERED)


def test_commands_take_the_form_that_there_is() -> None:
    data = small().modelled(errors="student_t")
    assert data.family.partial_pooling(data.stats) in (CENTERED, NONCENTERED)
    assert NORMAL.partial_pooling(data.stats) == MARGINAL


def test_an_outcome_is_predicted_without_the_moments_that_do_not_exist(result: Result) -> None:
    table = result.predict({"arm": ["a", None, "z"]})
    assert table["sd"].isna().all()
    assert table[["q2.5", "median", "q97.5"]].notna().all().all()
    assert (table["q2.5"] < table["median"]).all()
