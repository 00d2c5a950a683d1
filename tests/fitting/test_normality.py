"""What the normal model says is said only of programs that keep to it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from helpers.hand_made import make_fit
from partialpool import programs
from partialpool.fitting import Fit, normality
from partialpool.fitting.normality import (
    ALL,
    CENTER,
    CONDITIONAL,
    MEANS,
    OBSERVATIONS,
    POPULATION,
    PRIOR,
)
from partialpool.programs import Program
from partialpool.studies import edits
from partialpool.tables import group_scores, predictions, scores, shrinkage

NONCENTERED = "hierarchical_noncentered"
HELD = {POPULATION, CENTER, OBSERVATIONS, CONDITIONAL, MEANS}
LOGIT = "vector[J] theta = inv_logit(mu + tau * eta);"


def edited(tmp_path, *changes: tuple[str, str], name: str = NONCENTERED, outputs=None) -> Program:
    """A copy of a shipped program with some text replaced."""
    text = programs.find_program(name).read_text("utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "mine.stan"
    path.write_text(text, "utf-8")
    real = {n: {"type": "real", "dimensions": d} for n, d in (outputs or {}).items()}
    blocks = {"parameters": real, "transformed parameters": {}, "generated quantities": {}}
    return Program(path, {"inputs": {}, **blocks}, "0")


@pytest.fixture(scope="module")
def drawn(homework):
    return make_fit(homework, NONCENTERED, draws=500)


def moved(fit: Fit, **by: float) -> Fit:
    """A fit whose variables are shifted."""
    tree = fit.draws.copy()
    for name, shift in by.items():
        tree["posterior"][name] = tree["posterior"][name] + shift
    return Fit(tree, fit.record)


def test_draws_of_the_model_behave_as_it_says_and_others_do_not(homework, drawn):
    posterior = drawn.posterior
    assert normality.conditional(posterior, homework) is True
    for off in ({"mu": 3.0}, {"sigma": 2.0}, {"theta": 1.0}):
        assert normality.conditional(moved(drawn, **off).posterior, homework) is False
    assert normality.conditional(posterior.drop_vars(["sigma", "sigma2"]), homework) is None
    assert normality.conditional(posterior.drop_vars("theta"), homework) is None
    wide = posterior.assign(theta=posterior["mu"] + 1.3 * (posterior["theta"] - posterior["mu"]))
    assert normality.conditional(wide, homework) is False


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ([], HELD),
        ([("y ~ normal(theta", "for (k in 1 : N) y[k] ~ normal(theta")], HELD),
        ([("uniform_lpdf(tau", "cauchy_lpdf(tau")], HELD),
        ([("eta ~ std_normal()", "eta ~ student_t(4, 0, 1)")], {OBSERVATIONS, MEANS}),
        ([("y ~ normal(", "y ~ double_exponential(")], {POPULATION, CENTER, MEANS}),
        ([("vector[J] theta = mu + tau * eta;", LOGIT)], {OBSERVATIONS, MEANS}),
        ([("vector[J] theta = mu", "vector[J] theta = mu + slope * u")], {OBSERVATIONS, MEANS}),
    ],
)
def test_a_part_is_kept_to_where_the_program_states_it(tmp_path, homework, drawn, changes, parts):
    program = edited(tmp_path, *changes)
    apart = moved(drawn, mu=3.0).draws if changes else drawn.draws
    found = set(normality.kept(program, apart, homework, prior_only=bool(changes)))
    assert found == parts


def test_shipped_programs_keep_to_all_and_edited_priors_are_told(tmp_path, homework, drawn):
    shipped = programs.find_program("no_pooling")
    assert normality.kept(Program(shipped, {}, "0"), drawn.draws, homework) == ALL
    same = edited(tmp_path, name="no_pooling")
    assert set(normality.kept(same, drawn.draws, homework, prior_only=True)) == {
        OBSERVATIONS,
        PRIOR,
        MEANS,
    }
    other = edited(tmp_path, ("normal_lpdf(theta", "cauchy_lpdf(theta"), name="no_pooling")
    assert normality.kept(other, drawn.draws, homework, prior_only=True) == (OBSERVATIONS, MEANS)


def test_what_does_not_follow_is_left_out_and_named(tmp_path, homework, drawn):
    outputs = {"mu": 0, "tau": 0, "sigma": 0, "theta": 1}
    program = edited(tmp_path, ("vector[J] theta = mu + tau * eta;", LOGIT), outputs=outputs)
    said = " ".join(normality.absences(program, (), homework))
    assert "a new group, the spread between groups and how far they are pooled are left out" in said
    assert "there are no leave-one-out scores" in said
    assert not any(
        "normal(mu, tau): a new" in x for x in normality.absences(program, ALL, homework)
    )
    without_rows = " ".join(normality.absences(program, ALL, homework.without_observations()))
    assert not re.search("log_lik|y_rep", without_rows)
    foreign = Fit(drawn.draws.copy(), drawn.record).with_record(keeps=(), program="mine")
    del foreign.draws["posterior"]["theta_new"], foreign.draws["posterior"]["y_new"]
    assert predictions.predictions([foreign], homework).empty
    assert shrinkage.variance([foreign], homework).empty
    table = shrinkage.shrinkage([foreign], homework)
    assert table[["target", "lambda_mean", "displacement"]].isna().all(axis=None)
    assert np.isfinite(table["estimate"]).all()
    assert group_scores.leave_one_group_out([foreign], homework).summary.empty
    assert scores.loo_by_model([foreign], homework) == {}
    assert edits.changes([drawn, foreign], homework).empty
    near = foreign.with_record(keeps=(MEANS,))
    assert set(edits.changes([drawn, near], homework)["quantity"]) == {"theta"}


def test_theta_of_another_scale_is_not_held_against_the_data(homework, drawn):
    assert normality._balances(drawn.posterior, homework)
    assert not normality._balances(moved(drawn, theta=2.0).posterior, homework)
    assert normality._balances(drawn.posterior.assign(theta=drawn.posterior["mu"]), homework)
