"""How sensitive a program of one's own is to its priors."""

from __future__ import annotations

from pathlib import Path

import arviz_base
import pandas as pd
import pytest

from helpers.hand_made import make_fit
from partialpool.fitting import Fit
from partialpool.studies import program_sensitivity
from partialpool.studies.power_scaling import STRONG_PRIOR, THRESHOLD

OWN = Path(__file__).parents[1] / "programs" / "own_prior.stan"


def with_prior(fit, *, location, inputs=("prior_power",)):
    """The fit as one whose program puts a prior of sd 1 on mu."""
    tree = fit.draws.copy()
    lprior = -0.5 * (fit.posterior["mu"].to_numpy() - location) ** 2
    tree["log_prior"] = arviz_base.from_dict({"log_prior": {"lprior": lprior}})["log_prior"]
    return Fit(tree, fit.with_record(inputs=list(inputs)).record)


@pytest.fixture(scope="module")
def fit(homework):
    return make_fit(homework, "hierarchical_centered", draws=500)


def test_a_flag_is_confirmed_only_by_refits_that_move(homework, fit):
    flagged = with_prior(fit, location=11)
    asked = []

    def moved(other, power):
        asked.append(power)
        tree = other.draws.copy()
        tree["posterior"]["mu"] = tree["posterior"]["mu"] + power
        return Fit(tree, other.record)

    table = program_sensitivity.power_scale([flagged], homework, refit=moved)
    mu = table.set_index("quantity").loc["mu"]
    assert mu["diagnosis"] == STRONG_PRIOR
    assert mu["confirmed"]
    assert asked == [0.5, 2.0]
    assert not table["confirmed"][table["diagnosis"] == ""].any()
    said = program_sensitivity.sentences(table, [flagged])[0]
    assert "power-scaling finds strong prior / weak likelihood in mu" in said
    assert "confirm 1 of " in said
    still = program_sensitivity.power_scale([flagged], homework, refit=lambda other, _: other)
    assert not still["confirmed"].any()


def test_a_program_without_the_power_says_how_to_have_it(homework, fit):
    plain = with_prior(fit, location=11, inputs=())
    table = program_sensitivity.power_scale([plain], homework, refit=None)
    assert table["refit_prior"].isna().all()
    assert "not confirmed by a refit" in program_sensitivity.sentences(table, [plain])[0]
    assert "prior_power * lprior" in program_sensitivity.sentences(table, [plain])[-1]


def test_programs_without_flags_or_without_lprior_are_named(homework, fit):
    quiet = with_prior(fit, location=float(fit.posterior["mu"].mean()), inputs=())
    tree = quiet.draws.copy()
    tree["log_prior"]["lprior"] = 0.001 * tree["log_prior"]["lprior"]
    quiet = Fit(tree, quiet.record)
    table = program_sensitivity.power_scale([quiet, fit], homework)
    nothing, lacking = program_sensitivity.sentences(
        table, [quiet, fit.with_record(program="bare", title="bare")]
    )
    assert "power-scaling flags nothing" in nothing
    assert lacking == "bare: without lprior there is nothing to power-scale"


def test_the_command_confirms_a_conflict_by_real_refits(run, tmp_path, cmdstan):
    code, out, _ = run(
        *("priors", "homework", "--program", str(OWN), "--draws", "500", "--warmup", "500")
    )
    assert code == 0, out
    assert "own_prior: power-scaling finds prior-data conflict in theta" in out
    assert "confirm 1 of 1" in out
    table = pd.read_csv(tmp_path / "results" / "homework-priors-own_prior" / "power_scaling.csv")
    theta = table.set_index("quantity").loc["theta"]
    assert theta["prior"] > THRESHOLD
    assert theta["refit_prior"] == pytest.approx(theta["prior"], rel=0.5)
    code, _, err = run("priors", "homework", "--program", str(OWN), "--choice", "hoff")
    assert code == 2
    assert "give one of the two" in err
