"""Simulation-based calibration: its truths, its ranks, its records, and the shipped programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import arviz_base
import numpy as np
import pandas as pd
import pytest

from partialpool import data, programs
from partialpool.errors import InputError
from partialpool.families import FAMILIES, KNOWN_ERRORS, NORMAL
from partialpool.families.base import Design
from partialpool.fitting import Fit
from partialpool.priors import InverseGammaVariance, Normal, Uniform, hyperparameters
from partialpool.programs import toolchain
from partialpool.studies import calibration
from partialpool.studies.calibration import uniformity
from partialpool.studies.calibration.run import shares_below

SLOW = 100
"""Data sets for each program in the slow tests."""


def outcomes(shares: pd.DataFrame, failed: int = 0) -> list[calibration.Outcome]:
    rows = [{str(name): float(x) for name, x in row.items()} for row in shares.to_dict("records")]
    rows += [{} for _ in range(failed)]
    return [calibration.Outcome(k, row, 100, 1, "", 0.1) for k, row in enumerate(rows)]


def uniform_shares(seed: int, size: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = ["mu", "tau", "theta[a]", "theta[b]", "log_lik"]
    return pd.DataFrame(rng.uniform(size=(size, len(names))), columns=names)


# Truths


@pytest.fixture(scope="module")
def design() -> Design:
    return NORMAL.design


def simulated(name: str, design: Design, size: int) -> list[calibration.Simulated]:
    program = programs.load(name)
    rngs = (np.random.default_rng([3, k]) for k in range(size))
    return [calibration.simulate(program, design, rng) for rng in rngs]


@pytest.mark.stan
def test_truths_have_the_priors_and_data_have_the_truths(design: Design) -> None:
    value = design.priors.values
    found = simulated("hierarchical_centered", design, 300)
    truths = {name: np.array([each.truth[name] for each in found]) for name in found[0].truth}
    scaled = {
        "mu": Normal(value["mu_location"], value["mu_scale"]).cdf(truths["mu"]),
        "tau": Uniform(value["tau_upper"]).cdf(truths["tau"]),
        "sigma": Uniform(value["sigma_upper"]).cdf(truths["sigma"]),
        "theta": Normal(0, 1).cdf((truths["theta"][:, 2] - truths["mu"]) / truths["tau"]),
        "y": Normal(0, 1).cdf(
            [(each.data.y[-1] - each.truth["theta"][-1]) / each.truth["sigma"] for each in found]
        ),
        "y_new": Normal(0, 1).cdf(
            (truths["y_new"] - truths["mu"]) / np.hypot(truths["tau"], truths["sigma"])
        ),
    }
    for name, shares in scaled.items():
        assert uniformity.p_value(shares) > 1e-3, name
    assert found[0].data.stats.n.tolist() == list(design.sizes)
    assert np.ptp([each.data.y[0] for each in found]) > 0


@pytest.mark.stan
def test_truths_of_the_extremes_have_their_priors(design: Design) -> None:
    value = design.priors.values
    sigma = InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"])
    for name, shape in (("complete_pooling", ()), ("no_pooling", (len(design.sizes),))):
        found = simulated(name, design, 200)
        assert found[0].truth["theta"].shape == shape
        last = [each.truth["sigma"].ravel()[-1] for each in found]
        assert uniformity.p_value(sigma.cdf(last)) > 1e-3
        assert found[7].truth["sigma2"] == pytest.approx(found[7].truth["sigma"] ** 2)


@pytest.mark.stan
def test_effects_have_their_priors_and_estimates_their_errors() -> None:
    design = KNOWN_ERRORS.design
    value = design.priors.values
    se = np.array(design.sizes)
    found = {
        name: [
            calibration.simulate(
                programs.load(name, family="known_errors"), design, np.random.default_rng([4, k])
            )
            for k in range(300)
        ]
        for name in ("hierarchical_marginal", "no_pooling", "complete_pooling")
    }
    truths = [each.truth for each in found["hierarchical_marginal"]]
    base = KNOWN_ERRORS.base_choice(design.priors)
    extremes = Normal(value["theta_location"], value["theta_scale"])
    standard = Normal(0, 1)
    shares = {
        "mu": base.mu.cdf([truth["mu"] for truth in truths]),
        "tau": base.tau.cdf([truth["tau"] for truth in truths]),
        "theta": standard.cdf([(t["theta"][2] - t["mu"]) / t["tau"] for t in truths]),
        "theta_new": standard.cdf([(t["theta_new"] - t["mu"]) / t["tau"] for t in truths]),
        "apart": extremes.cdf([each.truth["theta"][3] for each in found["no_pooling"]]),
        "one": extremes.cdf([each.truth["theta"] for each in found["complete_pooling"]]),
    }
    for name, cases in found.items():
        for j in (0, 7):
            shares[f"{name}[{j}]"] = standard.cdf(
                [
                    (
                        each.data.y[j]
                        - each.truth["theta"].ravel()[min(j, each.truth["theta"].size - 1)]
                    )
                    / se[j]
                    for each in cases
                ]
            )
    for name, values in shares.items():
        assert uniformity.p_value(values) > 1e-3, name
    case = found["no_pooling"][0]
    assert case.data.family is KNOWN_ERRORS
    assert case.data.stats.raw_se.tolist() == list(design.sizes)


@pytest.mark.stan
def test_each_family_of_priors_is_drawn_and_handed_to_the_program(
    design: Design,
) -> None:
    found = simulated("sensitivity", design, 200)
    for name in ("tau", "sigma"):
        numbers = {each.extra[f"{name}_family"] for each in found}
        assert numbers == set(range(1, 7))
        cut = [each for each in found if each.extra[f"{name}_family"] == 1]
        assert max(each.truth[name] for each in cut) <= 6
    assert found[0].extra["prior_power"] == 1


@pytest.mark.stan
def test_a_program_without_group_means_cannot_be_simulated(tmp_path: Path) -> None:
    path = tmp_path / "other.stan"
    path.write_text("parameters { real x; } model { x ~ std_normal(); }", encoding="utf-8")
    with pytest.raises(InputError, match="no theta"):
        calibration.simulate(programs.load(path), NORMAL.design, np.random.default_rng(1))


# Ranks


@pytest.mark.parametrize("below", [0, 1, 77, 200])
def test_a_share_is_the_rank_of_the_truth_among_independent_draws(below: int) -> None:
    rng = np.random.default_rng(4)
    theta = rng.permutation(np.arange(200.0)).reshape(2, 100)
    draws = {"theta": theta, "sigma": rng.uniform(1, 2, size=(2, 100))}
    truth = {"theta": np.array(below - 0.5), "sigma": np.array(0.5)}
    made = data.from_values(["a", "a", "b"], [90.0, 110, 95])
    fit = Fit(arviz_base.from_dict({"posterior": draws}), {"program": "complete_pooling"})
    case = calibration.Simulated(truth, made, hyperparameters.Priors({}), {})
    shares, size = shares_below(fit, case, effective=1e9, rng=rng)
    thinned = 200 // size
    assert set(shares) == {"theta", "sigma", "log_lik"}
    assert shares["sigma"] < 1 / (size + 1)
    kept = theta[:, ::thinned].ravel()
    assert int(shares["theta"] * (size + 1)) == (kept < below - 0.5).sum()


def test_draws_are_thinned_to_what_they_are_worth() -> None:
    rng = np.random.default_rng(2)
    draws = {"theta": rng.normal(size=(2, 1000)), "sigma": rng.uniform(1, 2, size=(2, 1000))}
    fit = Fit(arviz_base.from_dict({"posterior": draws}), {"program": "complete_pooling"})
    truth = {"theta": np.array(0.0), "sigma": np.array(1.5)}
    made = data.from_values(["a", "a", "b"], [0.0, 1, 2])
    case = calibration.Simulated(truth, made, hyperparameters.Priors({}), {})
    assert shares_below(fit, case, effective=400, rng=rng)[1] == 400


# Judgement


@pytest.mark.stan
def test_uniform_ranks_are_called_calibrated() -> None:
    found = outcomes(uniform_shares(1), failed=3)
    table = calibration.quantity_table(found)
    assert table["quantity"].tolist() == ["mu", "tau", "theta[a]", "theta[b]", "log_lik"]
    assert table["group"].tolist() == ["", "", "a", "b", ""]
    assert table["calibrated"].all()
    assert calibration.is_calibrated(found)
    sentence = calibration.describe(programs.load("hierarchical_centered"), found)
    assert "5 quantities over 200 data sets" in sentence
    assert sentence.endswith(
        "calibrated. Left out are 3 data sets (1.5 %) whose fits failed their diagnostics."
    )
    drawn = calibration.curves(found)
    assert drawn["inside"].all()
    assert (drawn["lower"] <= 0).all()
    assert (drawn["upper"] >= 0).all()


@pytest.mark.stan
def test_one_quantity_that_is_not_uniform_is_enough() -> None:
    shares = uniform_shares(2)
    shares["theta[b]"] = shares["theta[b]"] ** 2
    found = outcomes(shares)
    table = calibration.quantity_table(found).set_index("quantity")
    assert table.index[~table["calibrated"]].tolist() == ["theta[b]"]
    assert not calibration.is_calibrated(found)
    sentence = calibration.describe(programs.load("no_pooling"), found)
    assert "theta[b]" in sentence
    assert sentence.endswith("NOT CALIBRATED.")
    outside = calibration.curves(found).groupby("quantity")["inside"].all()
    assert outside.index[~outside].tolist() == ["theta[b]"]


@pytest.mark.stan
def test_no_trusted_fit_is_no_calibration() -> None:
    found = outcomes(pd.DataFrame(), failed=4)
    assert not calibration.is_calibrated(found)
    sentence = calibration.describe(programs.load("no_pooling"), found)
    assert "no fit of 4 data sets" in sentence


def test_the_figure_marks_what_leaves_the_envelope(tmp_path: Path) -> None:
    from partialpool.plots import calibration_curves, save

    shares = uniform_shares(3)
    shares["tau"] = 0.5 * shares["tau"]
    save(calibration_curves(calibration.curves(outcomes(shares))), tmp_path / "curves")
    drawn = (tmp_path / "curves.svg").read_text(encoding="utf-8").lower()
    assert "#d55e00" in drawn
    assert "#0072b2" in drawn


# With Stan


def test_outcomes_are_kept_and_a_run_goes_on_where_it_stopped(
    tmp_path: Path, cmdstan: toolchain.CmdStan
) -> None:
    program = programs.load("complete_pooling")
    one = calibration.calibrate(program, data_sets=6, folder=tmp_path, cmdstan=cmdstan)
    (file,) = tmp_path.iterdir()
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    file.write_text("\n".join([*lines[:4], lines[4][:30]]), encoding="utf-8")  # killed at the fifth
    two = calibration.calibrate(program, data_sets=7, folder=tmp_path, workers=1, cmdstan=cmdstan)
    assert [outcome.simulation for outcome in two] == list(range(7))
    assert [o.shares for o in one] == [o.shares for o in two[:6]]
    kept = set(lines[:4])
    assert kept <= set(file.read_text(encoding="utf-8").splitlines())
    again = calibration.calibrate(program, data_sets=7, folder=tmp_path, cmdstan=cmdstan)
    assert again == two  # seconds and all: nothing was computed
    other = calibration.calibrate(program, data_sets=1, seed=2, folder=tmp_path, cmdstan=cmdstan)
    assert other[0].shares != two[0].shares
    assert len(list(tmp_path.iterdir())) == 2


def test_data_sets_whose_fits_fail_are_counted(cmdstan: toolchain.CmdStan) -> None:
    short = dataclasses.replace(calibration.ATTEMPTS[0], warmup=20, draws=20)
    found = calibration.calibrate(
        programs.load("complete_pooling"), data_sets=2, attempts=(short, short), cmdstan=cmdstan
    )
    for outcome in found:
        assert outcome.shares == {}
        assert outcome.attempts == 2
        assert "NOT TO BE TRUSTED" in outcome.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "name"),
    [
        (family, name)
        for family in FAMILIES
        for name in calibration.every_program(family)
        # Two funnels, of few groups in few outer ones, are more than any chain passes with; the
        # log density of this form is held to that of the non-centered one.
        if not (name == "hierarchical_centered" and "nested" in family)
    ],
)
def test_every_shipped_program_is_calibrated(
    name: str, family: str, cmdstan: toolchain.CmdStan
) -> None:
    program = programs.load(name, family=family)
    design = FAMILIES[family].design
    found = calibration.calibrate(program, data_sets=SLOW, design=design, cmdstan=cmdstan)
    assert calibration.is_calibrated(found), calibration.describe(program, found)
    trusted = sum(bool(outcome.shares) for outcome in found)
    two_funnels = name == "hierarchical_noncentered" and "nested" in family
    sampled_groups = (
        name == "sensitivity" and family == "student_t_errors"
    )  # none are integrated out
    least = 0.9 if two_funnels else 0.6 if sampled_groups else 0.95
    least = 0.3 if name == "hierarchical_centered" else least
    assert trusted >= least * SLOW


BUGS = {
    "wrong_scale": ("no_pooling", "sigma[group]);\n  }", "1.5 * sigma[group]);\n  }"),
    "sigma_for_sigma2": ("complete_pooling", "sigma = sqrt(sigma2)", "sigma = sigma2"),
    "no_likelihood": ("complete_pooling", "prior_only == 0", "prior_only == 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_programs_with_a_bug_are_not_calibrated(
    bug: str, tmp_path: Path, cmdstan: toolchain.CmdStan
) -> None:
    name, old, new = BUGS[bug]
    text = programs.find_program(name).read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / f"{bug}.stan"
    path.write_text(text.replace(old, new), encoding="utf-8")
    found = calibration.calibrate(programs.load(path), data_sets=SLOW, cmdstan=cmdstan)
    assert not calibration.is_calibrated(found)
    if bug == "no_likelihood":  # ranks of parameters cannot tell a posterior that is the prior
        table = calibration.quantity_table(found).set_index("quantity")
        assert table.loc[["theta", "sigma"], "calibrated"].all()
        assert not table.loc["log_lik", "calibrated"]
