"""The console command: one clear message where something is wrong, and nothing half-written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers import estimates
from partialpool.cli import console, parsing
from partialpool.errors import InputError, SamplingError, ToolchainError
from partialpool.tables import exponential, group_posterior, shrinkage


def write(folder: Path, text: str) -> str:
    (folder / "some.csv").write_text(text)
    return "some.csv"


def test_each_problem_has_its_own_exit_code():
    codes = [error.exit_code for error in (InputError, ToolchainError, SamplingError)]
    assert codes == [2, 3, 4]
    assert console.UNTRUSTED == 5


def test_a_missing_file(run, tmp_path):
    code, _, err = run("compare", "nowhere.csv")
    assert (code, err) == (2, "Error: nowhere.csv: no such file\n")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column(run, tmp_path):
    name = write(tmp_path, "id,g,y\n1,a,2\n")
    code, _, err = run("compare", name, "--group", "school", "--value", "y")
    assert code == 2
    assert "there is no column 'school'; the columns are 'id', 'g', 'y'" in err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_text_among_the_values(run, tmp_path):
    code, _, err = run("fit", write(tmp_path, "g,y\na,1\na,two\nb,3\n"))
    assert code == 2
    assert "line 3: 'two'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prior", "mu_scale"], "NAME=NUMBER"),
        (["--chains", "0"], "chains = 0: it must be at least 1"),
        (["--adapt-delta", "1.5"], "adapt_delta = 1.5: it must be between 0 and 1"),
        (["--extra-data", "x.yaml"], ".json or a .toml"),
    ],
)
@pytest.mark.stan
def test_settings_are_checked_before_any_work(run, arguments, message):
    code, _, err = run("fit", "homework", *arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "x.csv", "--value", "hours", "--value", "days"),
        ("fit", "homework", "-p", "no_pooling", "--program", "complete_pooling"),
        ("groups", "homework", "--ranks", "--no-ranks"),
        ("fit", "x.csv", "--ci", "low", "high", "--ci", "low", "high"),
    ],
)
def test_an_option_of_one_value_is_given_once(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert "is given 2 times, and takes one value" in err


def test_one_prior_setting_is_given_once(run):
    code, _, err = run("fit", "homework", "--prior", "mu_scale=1", "--prior", "mu_scale=2")
    assert (code, "mu_scale is given twice" in err) == (2, True)


def test_an_unknown_option_is_a_usage_error(run):
    code, _, err = run("compare", "homework", "--shrink")
    assert code == 2
    assert "--shrink" in err


@pytest.mark.stan
def test_a_program_that_stanc_rejects(run, tmp_path):
    (tmp_path / "typo.stan").write_text("parameters { real mu }\n")
    code, out, err = run("fit", "homework", "--program", "typo.stan")
    assert code == 2
    assert "typo.stan" in err
    assert "real mu }" in err
    assert "Sampling" not in out
    assert [p.name for p in tmp_path.iterdir()] == ["typo.stan"]


@pytest.mark.stan
def test_a_parameter_with_another_spelling_of_theta(run, tmp_path):
    (tmp_path / "big.stan").write_text("parameters { real Theta; } model { Theta ~ normal(0, 1); }")
    code, _, err = run("compare", "homework", "--program", "big.stan")
    assert code == 2
    assert "'Theta'" in err
    assert "must be called 'theta'" in err


@pytest.mark.stan
@pytest.mark.parametrize("command", ["fit", "priors", "parameterizations", "prior-predictive"])
def test_a_prior_setting_that_nothing_reads(run, command):
    code, _, err = run(command, "homework", "--prior", "mu_scael=5")
    assert code == 2
    assert "nearest name: 'mu_scale'" in err


@pytest.mark.stan
def test_a_negative_scale(run):
    code, _, err = run("fit", "homework", "--prior", "mu_scale=-1")
    assert code == 2
    assert "mu_scale = -1: it must be above zero" in err


def test_a_missing_compiler_is_named_before_any_work(run, tmp_path, monkeypatch):
    """A PATH without compiler and make, an empty cache, no CmdStan anywhere."""
    for name in ("CMDSTAN", "CXX", "MAKE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PARTIALPOOL_CMDSTAN", "assembled")
    code, _, err = run("fit", "homework")
    assert code == ToolchainError.exit_code, err
    assert "install g++ make" in err
    assert not (tmp_path / "results").exists()


def test_new_program_copies_and_says_what_next(run, tmp_path):
    code, out, _ = run("new-program", "hierarchical_noncentered", "mine.stan")
    assert code == 0
    assert (tmp_path / "mine.stan").read_text().startswith("// Partial pooling, non-centered")
    assert "--program mine.stan" in out
    code, _, err = run("new-program", "hierarchical_noncentered", "mine.stan")
    assert (code, "exists already" in err) == (2, True)


def test_compare_prints_diagnostics_before_estimates_and_saves_all(run, tmp_path, lesson_fits):
    code, out, _ = run("compare", "homework", "--without", "no_pooling")
    assert code == 0
    assert out.index("diagnostics passed") < out.index("Posterior means")
    assert re.search(r"5 +9 +12\.00 +10\.[34]\d \(", out)
    folder = tmp_path / "results" / "homework-compare-without-no_pooling"
    saved = {p.name for p in folder.iterdir()}
    assert saved == {
        "complete_pooling.nc",
        "estimates.csv",
        "hierarchical_marginal.nc",
        "manifest.json",
        "shrinkage.csv",
        "shrinkage.png",
        "shrinkage.svg",
    }


def test_a_figure_that_fails_is_named_and_all_else_is_saved(
    run, tmp_path, lesson_fits, monkeypatch
):
    from partialpool import plots

    monkeypatch.setattr(plots, "pooling_scatter", lambda *_, **__: 1 / 0)
    code, out, err = run("compare", "homework", "-p", "hierarchical_marginal")
    assert code == 0
    assert "the figure shrinkage is missing: ZeroDivisionError" in err
    folder = tmp_path / "results" / "homework-compare-hierarchical_marginal"
    saved = {p.name for p in folder.iterdir()}
    assert {"estimates.csv", "hierarchical_marginal.nc"} <= saved
    assert "Posterior means" in out


@pytest.mark.parametrize(
    ("command", "broken"),
    [
        (["priors", "homework", "--choice", "half_t"], "sensitivity.summarize_choices"),
        (["parameterizations", "homework"], "parameterizations.compare_forms"),
    ],
)
def test_fits_outlast_a_failed_comparison(run, tmp_path, cmdstan, monkeypatch, command, broken):
    monkeypatch.setattr(f"partialpool.studies.{broken}", lambda *_, **__: 1 / 0)
    _, _, err = run(*command, "--draws", "100")
    assert "the comparison is missing: ZeroDivisionError" in err
    folder = tmp_path / "results" / "-".join(["homework", command[0], *command[3:]])
    assert len(list(folder.glob("*.nc"))) == (2 if command[0] == "priors" else 3)
    assert "the comparison" in (folder / "manifest.json").read_text()


def test_a_fit_that_fails_says_so_first_and_in_its_exit_code(run, lesson_fits):
    code, out, err = run(
        "fit", "homework", "--warmup", "20", "--draws", "20", "-p", "hierarchical_centered"
    )
    assert code == console.UNTRUSTED
    assert "NOT TO BE TRUSTED" in err
    assert "Try:" in out


def test_verify_finds_that_the_shipped_programs_agree_with_the_truth(run, tmp_path, lesson_fits):
    code, out, _ = run("verify", "--choice", "half_cauchy", "--choice", "inverse_gamma_0.01")
    assert code == 0
    assert len(re.findall("agrees *\n", out)) == 8
    assert "all agree. The quadrature is good to" in out
    table = pd.read_csv(
        tmp_path / "results" / "homework-verify-half_cauchy-inverse_gamma_0-01" / "verify.csv"
    )
    assert {"priors: base", "priors: half_cauchy", "hierarchical_noncentered"} < set(table["model"])
    assert {"icc", "lambda", "theta - theta", "pooling factor"} < set(table["parameter"])
    assert table["quadrature_error"].max() < 1e-6


def test_verify_tells_a_fit_that_fails_and_draws_that_differ(run, lesson_fits):
    code, out, err = run("verify", "-p", "hierarchical_centered", "--no-alternatives")
    assert code == console.UNTRUSTED
    assert "hierarchical_centered" in out
    assert "NOT TO BE TRUSTED" in err
    code, _, err = run("verify", "-p", "mine.stan")
    assert code == 2
    assert "the exact posterior is known of complete_pooling, no_pooling" in err


def test_parameterizations_end_in_a_verdict(run, tmp_path, lesson_fits):
    code, out, _ = run("parameterizations", "homework", "--draws", "1000", "--show-group", "1")
    assert code == 0
    assert "Use partial pooling" in out
    saved = {p.name for p in (tmp_path / "results" / "homework-parameterizations").iterdir()}
    assert {"funnel-1.png", "funnel-2.png", "effective_draws.svg", "sampling.csv"} <= saved


def test_priors_are_compared(run, tmp_path, cmdstan):
    code, out, _ = run(
        "priors", "homework", "--draws", "1000", "--choice", "half_cauchy", "--choice", "hoff"
    )
    assert code == 0
    assert "half-Cauchy" in out
    hoff = next(line for line in out.splitlines() if line.startswith("  hoff") and "[" in line)
    assert hoff.count("[") == 3
    assert re.search(r"^  half_cauchy +9\.\d+ .* 7\.\d+", out, re.MULTILINE)
    assert (tmp_path / "results" / "homework-priors-half_cauchy-hoff" / "priors.png").exists()


def test_priors_alone_are_drawn_or_said_to_be_too_vague(run, tmp_path, cmdstan):
    arguments = [
        "prior-predictive",
        "homework",
        "-p",
        "hierarchical_noncentered",
    ]
    code, out, _ = run(*arguments)
    folder = tmp_path / "results" / "homework-prior-predictive-hierarchical_noncentered"
    assert code == 0
    assert "Too vague to draw: partial pooling, non-centered" in out
    assert not (folder / "prior_predictive.png").exists()
    own = [f"--prior={name}" for name in ("tau_upper=5", "sigma_upper=10", "mu_scale=5")]
    code, out, _ = run(*arguments, *own)
    assert "usable" in out
    assert (folder / "prior_predictive.png").exists()
    assert (folder / "hierarchical_noncentered.nc").exists()
    code, _, err = run("prior-predictive", "homework", "-p", "sensitivity")
    assert code == 2
    assert "need the input prior_only" in err


def test_bundles_of_options_become_options():
    from dataclasses import dataclass
    from inspect import signature

    @dataclass(frozen=True)
    class Bundle:
        size: int = 3

    def command(name: str, bundle: Bundle) -> tuple[str, int]:
        return name, bundle.size

    command.__annotations__ = {"name": str, "bundle": Bundle, "return": tuple}
    expanded = parsing.expand(command)
    assert list(signature(expanded).parameters) == ["name", "size"]
    assert expanded(name="x", size=5) == ("x", 5)


def test_exponentials_of_observations_are_refused(run):
    code, _, err = run("report", "homework", "--exp")
    assert code == 2
    assert "exponentials (--exp) are for estimates of logarithms" in err
    assert "leave --exp out" in err


def test_estimates_of_ratios_are_named_as_exponentials():
    data = estimates.vaccine()
    [fit] = estimates.fits(data, draws=100)[2:]
    table = shrinkage.estimates([fit], data)
    shown = console.readable_estimates(exponential.table("estimates", table), exp=True)
    names = shown["quantity"].tolist()
    assert {"exp(mu)", "tau", "exp(theta[12])"} <= set(names)
    twelve = shown.set_index("quantity").loc["exp(theta[12])"]
    assert 0.6 < float(twelve["50 %"]) < 1
    assert float(twelve["2.5 %"]) > 0
    assert 1.4 < float(twelve["sd"]) < 2
    assert console.readable_estimates(table)["quantity"].tolist()[0] in ("mu", "tau")
    wide = exponential.table("shrinkage_wide", shrinkage.shrinkage_table([fit], data))
    rows = console.readable_shrinkage(wide, data, [fit])
    assert rows["se"].tolist()[11] == "0.7297"
    assert rows["estimate"].tolist()[11] == "1.562"


def test_many_groups_are_estimated_without_drawing_one(homework):
    for data, names in (
        (homework, {"J_drawn", "n_drawn", "ybar_drawn"}),
        (estimates.coaching(), {"J_drawn", "estimate_drawn", "se_drawn"}),
    ):
        inputs = group_posterior.no_group_drawn(data)
        assert set(inputs) == names
        assert inputs.pop("J_drawn") == 0
        assert all(len(values) == 0 for values in inputs.values())
