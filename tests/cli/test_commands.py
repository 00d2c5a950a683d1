"""Commands for many groups and many fits, as a user types them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.stan
SHORT = ("--draws", "1000")


@pytest.fixture
def parts(tmp_path: Path) -> pd.DataFrame:
    """300 groups in two Parquet files; group 299 lies far above the others."""
    rng = np.random.default_rng(2)
    site = np.repeat(np.arange(300), rng.integers(1, 12, 300))
    y = rng.normal(0, 1, 300)[site] + 40 * (site == 299) + rng.normal(0, 2, len(site))
    frame = pd.DataFrame({"site": site, "y": y}).sample(frac=1, random_state=1)
    for k in range(2):
        frame[k::2].to_parquet(tmp_path / f"part-{k}.parquet")
    return frame


def test_every_group_of_many_is_estimated(run, tmp_path, parts):
    code, out, _ = run(
        "groups",
        "part-0.parquet",
        "part-1.parquet",
        "--top",
        "3",
        "--draws-of",
        "7",
        "--draws",
        "1000",
    )
    assert code == 0
    assert f"{len(parts):,} observations in 300 groups (y by site)" in out
    assert out.index("diagnostics passed") < out.index("Posterior of the group means")
    page = (tmp_path / "results" / "part-groups" / "report.html").read_text()
    assert "Posterior of 3 of 300 group means" in page
    assert "could not be written" not in page
    folder = tmp_path / "results" / "part-groups" / "tables"
    table = pd.read_csv(folder / "groups.csv", dtype={"group": str}).set_index("group")
    sample = parts.groupby("site")["y"].mean()
    np.testing.assert_allclose(table["raw_mean"], sample, rtol=1e-9)
    assert (table["mcse_mean"] > 0).all()
    ranks = pd.read_csv(folder / "ranks.csv", dtype={"group": str})
    assert ranks["group"].tolist() == table["mean"].nlargest(3).index.tolist()
    assert (ranks["group"][0], ranks["p_best"][0]) == ("299", 1.0)
    draws = pd.read_csv(folder / "draws.csv")
    assert len(draws) == 4000
    assert draws["7"].mean() == pytest.approx(table["mean"]["7"], abs=table["sd"]["7"] / 5)
    assert len(pd.read_csv(folder / "contrasts.csv")) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draws-of", "x"], "no group is called 'x'; there are 300 groups"),
        (["--top", "0"], "--top 0: it must be at least 1"),
        (["-p", "hierarchical_noncentered"], "only under the normal model of hierarchical_marg"),
    ],
)
def test_wrong_arguments_are_refused_before_any_fit(run, tmp_path, parts, arguments, message):
    code, out, err = run("groups", "part-*.parquet", *arguments)
    assert code == 2
    assert message in err
    assert "Sampling" not in out
    assert not (tmp_path / "results").exists()


SUMMARIES = "group,n,mean,sd\n" + "".join(f"{k},{2 + k % 3},{k % 7},1\n" for k in range(1001))
PAIRS = "group,value\n" + "".join(f"{k // 2},{k % 7 + k % 11}\n" for k in range(2002))


@pytest.mark.parametrize("rows", [SUMMARIES, PAIRS], ids=["summaries", "observations"])
def test_a_report_on_too_many_groups_is_one_of_all_groups(rows, run, tmp_path, cmdstan):
    (tmp_path / "many.csv").write_text(rows)
    code, out, _ = run("report", "many.csv", *SHORT)
    assert code == 0
    assert "too many groups to draw each: no pooling's variance of each group" in out
    folder = tmp_path / "results" / "many-groups"
    assert "too many groups to draw each" in (folder / "report.html").read_text()
    assert len(pd.read_csv(folder / "tables" / "groups.csv")) == 1001


def test_summaries_are_compared_under_all_three_models(run, tmp_path, cmdstan):
    (tmp_path / "schools.csv").write_text(
        "school,n,mean,sd\n1,25,9.46,4.2\n2,23,7.03,2.9\n3,20,7.95,3.0\n4,24,6.23,3.8\n5,9,12,4\n"
    )
    code, out, _ = run("compare", "schools.csv", *SHORT)
    assert code == 0
    assert "101 observations in 5 groups" in out
    assert "read as summaries" in out
    for model in ("no pooling", "partial pooling", "complete pooling"):
        assert f"{model}: all" in out
    table = pd.read_csv(tmp_path / "results" / "schools-compare" / "shrinkage.csv")
    assert (table["hierarchical_marginal"] < table["no_pooling"]).iloc[[0, 4]].all()
    code, out, _ = run("rerun", "results/schools-compare")
    assert (code, out.count("identical, bit for bit")) == (0, 3)


def test_what_needs_rows_is_left_out_in_one_sentence_without_them(run, tmp_path, cmdstan):
    """Nothing has failed, so nothing warns, in the terminal and on the page."""
    (tmp_path / "schools.csv").write_text(
        "school,n,mean,sd\n1,25,9.46,4.2\n2,23,7.03,2.9\n3,20,7.95,3.0\n4,24,6.23,3.8\n"
    )
    code, out, err = run("report", "schools.csv", *SHORT)
    assert code == 0
    left_out = "eave-one-out scores and posterior predictive checks of observations are left out"
    assert out.count(left_out) == 1
    assert "WARNING" not in out + err
    page = (tmp_path / "results" / "schools" / "report.html").read_text()
    assert page.count(left_out) == 1
    assert "Missing tables" not in page


def test_partial_pooling_is_fitted_in_the_form_that_the_data_have(run, tmp_path, cmdstan):
    code, out, _ = run("fit", "homework", "--errors", "student_t", *SHORT)
    assert code in (0, 5)
    assert "Posterior, partial pooling, " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prior-grid", "mu_scale"], "write NAME=NUMBER,NUMBER,..."),
        (["--prior-grid", "mu_scael=1,2"], "nearest name: 'mu_scale'"),
        (["--prior-grid", "tau_upper=1,0"], "tau_upper = 0: it must be above zero"),
        (["homework"], "two data sets are called 'homework'"),
    ],
)
def test_jobs_are_checked_before_any_is_run(run, tmp_path, arguments, message):
    code, _, err = run("fit-many", "homework", *arguments)
    assert code == 2
    assert message in err
    assert not (tmp_path / "results").exists()


TRIALS = "trial,effect,low,high\n" + "".join(
    f"t{k},{k % 5},{k % 5 - 2 - k % 3},{k % 5 + 2 + k % 3}\n" for k in range(12)
)


def test_estimates_are_compared_and_made_again_bit_for_bit(run, tmp_path, cmdstan):
    (tmp_path / "trials.csv").write_text(TRIALS)
    roles = ("--group", "trial", "--estimate", "effect", "--ci", "low", "high", "--level", "0.9")
    code, out, _ = run("compare", "trials.csv", *roles, *SHORT)
    assert code == 0
    assert "12 estimates with known standard errors" in out
    assert "lengths of the 90 % intervals" in out
    code, out, _ = run("rerun", "results/trials-compare")
    assert (code, out.count("identical, bit for bit")) == (0, 3)
    (tmp_path / "trials.csv").write_text(TRIALS + "t99,1,0,2\n")
    code, _, err = run("rerun", "results/trials-compare")
    assert (code, "the data have changed since" in err) == (2, True)


def test_a_report_on_an_example_by_its_name_is_made_again(run, tmp_path, cmdstan):
    code, out, _ = run("report", "eight_schools", "-p", "hierarchical_marginal", *SHORT)
    assert code == 0
    assert "Coaching in eight schools: 8 estimates with known standard errors" in out
    code, out, _ = run("rerun", "results/eight_schools")
    assert code == 0
    assert "Draws of partial pooling: identical, bit for bit" in out
    assert "Tables: " in out
    assert "different" not in out


def test_many_fits_take_data_of_several_families(run, tmp_path, cmdstan):
    (tmp_path / "trials.csv").write_text(TRIALS)
    (tmp_path / "trials.toml").write_text(
        "group = 'trial'\nestimate = 'effect'\nci = ['low', 'high']\n"
    )
    files = ("homework", "eight_schools", "trials.csv")
    arguments = ("--workers", "1", "-p", "no_pooling", "-p", "hierarchical_marginal", *SHORT)
    code, out, _ = run("fit-many", *files, *arguments)
    assert code == 0
    assert "6 fits of 3 data sets" in out
    fits = pd.read_csv(tmp_path / "results" / "fit-many" / "fits.csv")
    assert len(fits) == 6
    estimates = pd.read_csv(tmp_path / "results" / "fit-many" / "estimates.csv")
    effects = estimates[estimates["fit"].str.startswith("eight_schools no_pooling")]
    raw = [28, 8, -3, 7, -1, 1, 18, 12]
    assert effects.loc[effects["parameter"] == "theta", "mean"].tolist() == pytest.approx(
        raw, abs=4
    )
    code, out, _ = run("fit-many", *files, *arguments)
    assert code == 0


def test_an_outcome_is_no_estimate(run, tmp_path):
    (tmp_path / "trials.csv").write_text(TRIALS)
    code, _, err = run("fit-many", "trials.csv", "--se", "low", "--outcome", "effect")
    assert (code, "--outcome names columns of observations" in err) == (2, True)
