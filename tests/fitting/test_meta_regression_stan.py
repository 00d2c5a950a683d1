"""Stan's draws of effects about a regression line: against exact posteriors, and to the report."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

import partialpool as pp
from helpers import densities
from partialpool import fitting, programs
from partialpool.api.result import Result
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness, regression
from partialpool.tables.exponential import table

pytestmark = pytest.mark.stan


@pytest.fixture(scope="module")
def bcg() -> GroupedData:
    return explained(pp.read(pp.example("bcg")), ["latitude"])


@pytest.fixture(scope="module")
def result(bcg: GroupedData, cmdstan: toolchain.CmdStan) -> Result:
    """The comparison of the example, with the defaults."""
    fits = fitting.fit_programs(
        programs.loaded(bcg.family.compared(bcg.stats)[0], family=bcg.family.name),
        bcg,
        priors=priors_for(bcg),
        settings=Settings(seed=11),
        cmdstan=cmdstan,
    )
    return Result(bcg, tuple(fits))


def test_stan_agrees_with_the_exact_posterior_by_latitude(result: Result) -> None:
    fits = list(result.fits.values())
    known = {fit.name: exactness.exact_posterior(fit, result.data) for fit in fits}
    found = exactness.verify_fits(fits, result.data, known)
    assert exactness.agreement(found)["agrees"].all()
    slopes = found[(found["parameter"] == "beta[latitude]") & (found["statistic"] == "mean")]
    assert set(slopes["model"]) == {"complete_pooling", "hierarchical_marginal"}
    assert (slopes["in_mcse"] < 4).all()


def test_what_covariates_explain(result: Result) -> None:
    row = result.table("explained").iloc[0]
    assert row["explained"] == pytest.approx(
        1 - (row["tau_median"] / row["tau_without_median"]) ** 2
    )
    assert 0.6 < row["explained"] < 0.8
    assert 0 < row["r2"] < 1
    assert row["elpd"] > row["elpd_without"]
    own = result.data.family.exact_posterior(
        "hierarchical_marginal", result.data.stats, priors_for(result.data)
    )
    assert row["elpd"] == pytest.approx(own.leave_one_out().sum())  # type: ignore[attr-defined]


def test_coefficients_and_adjusted_effects_are_those_of_the_draws(result: Result) -> None:
    fit, covariates = result.fits["hierarchical_marginal"], result.data.stats.covariates
    assert covariates is not None
    beta = fit.posterior["beta"].sel(covariate="latitude")
    rows = result.table("coefficients").set_index(["model", "coefficient"])
    row = rows.loc[fit.name, "latitude"]
    assert row["mean"] == pytest.approx(float(beta.mean()))
    assert row["p_positive"] == pytest.approx(float((beta > 0).mean()))
    intercept = fit.posterior["mu"] - covariates.middle[0] * beta
    assert rows.loc[(fit.name, "intercept"), "mean"] == pytest.approx(float(intercept.mean()))
    table_ = result.table("adjusted").set_index("group")
    theta = fit.posterior["theta"].sel(group="7")
    at_mean = theta - (covariates.values[6, 0] - covariates.middle[0]) * beta
    assert table_.loc["7", "mean"] == pytest.approx(float(at_mean.mean()))
    target = result.table("shrinkage").set_index(["model", "group"])["target"]
    line = fit.posterior["mu"] + covariates.centered[6, 0] * beta
    assert target[fit.name, "7"] == pytest.approx(float(line.mean()))


def test_the_report_says_what_the_line_is(result: Result, tmp_path: Path) -> None:
    folder = result.report(tmp_path / "report")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for sentence in (
        "for each unit of latitude",
        "The covariates explain about",
        "Groups left out are predicted better with them than without",
        "towards the regression line",
        "At the means of the covariates the population of effects",
        "The model puts every effect on the regression line",
        "effect of a new trial, at the means of the covariates",
        "Classical companions: meta-regression by REML",
    ):
        assert sentence in page, sentence
    assert "could not be" not in page
    assert "mean of all" not in page.split("In short")[1].split("The data")[0]
    names = {file.stem for file in (folder / "tables").iterdir()}
    assert {"coefficients", "explained", "adjusted", "meta_regression"} <= names
    assert (folder / "figures" / "line.png").is_file()


def test_ratios_are_told_as_factors(result: Result) -> None:
    rows = result.table("coefficients")
    turned = table("coefficients", rows)
    assert turned["mean"].to_numpy() == pytest.approx(np.exp(rows["mean"].to_numpy()))
    assert turned["p_positive"].equals(rows["p_positive"])
    shown = Result(dataclasses.replace(result.data, exp=True), tuple(result.fits.values()))
    assert any("are multiplied by 0.97" in line for line in shown.verdicts())


def test_new_rows_are_predicted_at_their_covariates(result: Result) -> None:
    fit = result.fits["hierarchical_marginal"]
    frame = {
        "Trial": ["new", "new", "other", "7", None, "far"],
        "latitude": [10, 50, 10, 50, 20, None],
    }
    found = result.predict(frame, group="Trial")
    assert found["kind"].tolist() == ["new", "new", "new", "known", "not named", "new"]
    beta = fit.posterior["beta"].to_numpy().ravel()
    assert found["mean"][0] - found["mean"][1] == pytest.approx(-40 * beta.mean())  # one group
    assert found["mean"][3] == pytest.approx(float(fit.posterior["theta"].sel(group="7").mean()))
    tau, mu = (fit.posterior[name].to_numpy().ravel() for name in ("tau", "mu"))
    error = math.hypot(tau.std(), np.sqrt((tau**2).mean())) / np.sqrt(tau.size)
    assert found["mean"][5] == pytest.approx(mu.mean(), abs=5 * error)
    assert found["sd"][5] == pytest.approx(np.sqrt((tau**2).mean() + mu.var()), rel=0.05)
    with pytest.raises(pp.InputError, match="latitude is 'north'; a number is needed"):
        result.predict({"Trial": ["new"], "latitude": ["north"]})


def test_a_result_with_covariates_can_be_kept(result: Result, tmp_path: Path) -> None:
    again = pp.open(result.save(tmp_path / "kept"))
    assert again.data.family is result.data.family
    assert again.data.stats.covariates.record == result.data.stats.covariates.record
    assert again.table("coefficients").equals(result.table("coefficients"))


def test_groups_without_draws_of_theta_are_those_with(result: Result) -> None:
    fit, stats = result.fits["hierarchical_marginal"], result.data.stats
    found = pp.group_estimates(fit.posterior, stats).set_index("group")
    drawn = result.table("estimates")
    drawn = drawn[(drawn["model"] == fit.name) & (drawn["parameter"] == "theta")]
    drawn = drawn.set_index("group")
    apart = (found["mean"] - drawn["mean"]).abs() / drawn["mcse_mean"]
    assert apart.max() < 4
    assert found["q97.5"].to_numpy() == pytest.approx(drawn["q97.5"].to_numpy(), abs=0.08)
    assert found["lambda_mean"].to_numpy() == pytest.approx(
        result.table("shrinkage").query("model == @fit.name")["lambda_mean"].to_numpy()
    )


def test_a_slope_that_is_left_out_is_seen_in_the_density(
    bcg: GroupedData, tmp_path: Path, cmdstan: toolchain.CmdStan
) -> None:
    """A seeded bug: effects drawn towards one mean, whatever the covariates are."""
    right = programs.find_program("hierarchical_centered", family=bcg.family.name)
    text = right.read_text(encoding="utf-8")
    assert text.count("theta ~ normal(mu + x * beta, tau);") == 1
    wrong = tmp_path / "wrong.stan"
    wrong.write_text(text.replace("mu + x * beta, tau", "mu, tau"), encoding="utf-8")
    rng = np.random.default_rng(4)
    inputs = stan_data(programs.load(right), bcg, priors_for(bcg))
    points = [
        {
            "mu": rng.normal(),
            "beta": rng.normal(0, 0.03, 1),
            "tau": rng.uniform(0.2, 1),
            "theta": rng.normal(size=13),
        }
        for _ in range(3)
    ]
    choice = bcg.family.base_choice(priors_for(bcg))
    truth = [_density(bcg, choice, point) for point in points]
    for path, caught in ((right, False), (wrong, True)):
        executable = toolchain.compile_program(path, cmdstan=cmdstan)
        apart = densities.stan_log_density(executable, inputs, points) - truth
        assert (np.ptp(apart) > 0.1) == caught


def _density(data: GroupedData, choice: object, point: dict[str, object]) -> float:
    from scipy import stats

    own, of = data.stats, data.stats.covariates
    assert of is not None
    mu, beta, tau, theta = (np.asarray(point[name]) for name in ("mu", "beta", "tau", "theta"))
    total = choice.mu.log_density(mu) + choice.tau.log_density(tau)  # type: ignore[attr-defined]
    total += choice.beta.log_density(beta * of.spread).sum()  # type: ignore[attr-defined]
    total += stats.norm.logpdf(theta, mu + of.centered @ beta, tau).sum()
    return float(total + stats.norm.logpdf(own.raw, theta, own.raw_se).sum())


def test_the_line_runs_over_the_covariate(result: Result) -> None:
    points, line, title = regression.along_the_line(
        result.fits["hierarchical_marginal"], result.data
    )
    assert title == "latitude"
    assert len(points) == 13
    assert line["x"].min() == 13
    assert line["x"].max() == 55
    assert (line["q2.5"] < line["mean"]).all()


def test_the_command_predicts_a_file(run, tmp_path: Path, cmdstan: toolchain.CmdStan) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "new.csv").write_text("trial,latitude\nnew,10\nnew,50\n", encoding="utf-8")
    code, out, _ = run("predict", "bcg", "--by", "latitude", "--new", "new.csv", "--draws", "1000")
    assert code in (0, 5)
    assert "New effects, Log risk ratio" in out
    [file] = (tmp_path / "results").rglob("predictions.csv")
    import pandas as pd

    found = pd.read_csv(file)
    assert found["kind"].tolist() == ["new", "new"]
    assert found["mean"][0] - found["mean"][1] == pytest.approx(40 * 0.0288, abs=0.1)
    code, _, err = run("predict", "bcg", "--by", "latitude")
    assert code == 2
    assert "--new FILE names the rows" in err


@pytest.mark.slow
def test_the_defaults_pass_on_data_of_all_kinds(cmdstan: toolchain.CmdStan) -> None:
    """Few groups and many, no spread and much, covariates that are almost one, far offsets."""
    from partialpool.data.grouped import from_estimates
    from partialpool.fitting import diagnostics

    failed = []
    for seed, (J, K, tau, alike, offset) in enumerate(
        [
            *((5, 1, tau, 0.0, 0.0) for tau in (0.0, 1.0, 20.0)),
            *((12, 3, tau, 0.99, 0.0) for tau in (0.0, 1.0, 20.0)),
            *((60, 2, tau, 0.9, 1e5) for tau in (0.0, 0.3, 5.0)),
            *((8, 5, tau, 0.5, -300.0) for tau in (0.0, 2.0)),
            (300, 3, 0.5, 0.0, 0.0),
        ]
    ):
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal((J, 1))
        x = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.standard_normal((J, K))
        x = x * 10.0 ** rng.integers(-3, 4, K)
        se = np.exp(rng.normal(0, 0.7, J))
        line = offset + (x / x.std(axis=0)) @ rng.normal(0, 2, K)
        y = line + tau * rng.standard_normal(J) + se * rng.standard_normal(J)
        plain = from_estimates([f"g{j}" for j in range(J)], y, se, name=f"set {seed}")
        columns = {f"x{k}": x[:, k].tolist() for k in range(K)}
        made = explained(dataclasses.replace(plain, columns=columns), list(columns))
        names = made.family.compared(made.stats)[0]
        fits = fitting.fit_programs(
            programs.loaded(names, family=made.family.name),
            made,
            priors=priors_for(made),
            settings=Settings(seed=seed + 1),
            cmdstan=cmdstan,
        )
        known = {fit.name: exactness.exact_posterior(fit, made) for fit in fits}
        for fit in fits:
            checked = diagnostics.check(fit)
            if not diagnostics.trusted(checked):
                failed.append((seed, diagnostics.summary_line(fit, checked)))
        if J <= 60:
            found = exactness.agreement(exactness.verify_fits(fits, made, known))
            failed += [(seed, row) for row in found[~found["agrees"]].to_dict("records")]
    assert not failed, failed
