"""Programs and priors: what a program declares, what it is given, what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from partialpool import programs, settings
from partialpool.data import from_values
from partialpool.errors import InputError
from partialpool.families import NORMAL
from partialpool.fitting.inputs import check_settings_used, priors_for, read_extra, stan_data
from partialpool.priors import HalfT, Uniform, hyperparameters
from partialpool.programs import Program


def declare(inputs=(), scalars=(), vectors=(), transformed=(), name="mine") -> Program:
    real = {"type": "real"}
    declared = {
        "inputs": {i: {**real, "dimensions": 0} for i in inputs},
        "parameters": {p: {**real, "dimensions": 0} for p in scalars}
        | {p: {**real, "dimensions": 1} for p in vectors},
        "transformed parameters": {p: {**real, "dimensions": 0} for p in transformed},
        "generated quantities": {},
    }
    return Program(Path(f"{name}.stan"), declared, "0" * 64)


COMPLETE = declare(["y"], ["theta", "sigma"], name="complete_pooling")
NONE = declare(["y"], vectors=["theta", "sigma"], name="no_pooling")
PARTIAL = declare(["y"], ["mu", "tau", "sigma"], vectors=["theta"], name="hierarchical_centered")


def test_pooling_is_judged_by_what_a_program_writes():
    assert COMPLETE.pooling == "complete"
    assert NONE.pooling == "none"
    assert PARTIAL.pooling == "partial"
    assert declare(scalars=["beta"]).pooling == "other"
    assert declare(scalars=["beta"]).title == "mine"


def test_a_copy_of_a_shipped_program_goes_by_its_own_name(tmp_path):
    path = programs.find_program("hierarchical_centered")
    assert Program(path, {}, "0").title == "partial pooling, centered"
    assert Program(tmp_path / path.name, {}, "0").title == "hierarchical_centered"


def test_what_a_program_lacks_is_named_with_what_is_missed():
    found = " ".join(programs.lacking(PARTIAL))
    for name in ("log_lik", "y_rep", "lprior", "theta_new", "input prior_only"):
        assert f"no {name}: " in found
    assert "no theta:" not in found
    assert "comparison of group means" in programs.lacking(declare(scalars=["beta"]))[0]
    assert not any("theta_new" in phrase for phrase in programs.lacking(NONE))
    assert "take the observations for normal" in found
    assert "there are no leave-one-out scores" in programs.lacking(declare(scalars=["theta"]))[0]


def test_two_programs_of_one_name_are_refused():
    twin = Program(Path("other") / "no_pooling.stan", NONE.declared, "1")
    programs.check_distinct([NONE, COMPLETE])
    with pytest.raises(InputError, match=r"no_pooling\.stan and other.no_pooling\.stan"):
        programs.check_distinct([NONE, twin])


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (declare(scalars=["Theta"]), "must be called 'theta'"),
        (declare(inputs=["N"]), "nothing to draw"),
        (declare(scalars=["mu"], vectors=["draw"]), "a variable 'draw'"),
    ],
)
def test_names_that_cannot_be_used_are_refused(program, message):
    with pytest.raises(InputError, match=message):
        programs._check_names(program)


def test_default_priors_follow_the_scale_and_the_offset_of_the_data():
    values = np.array([1.0, 3.0, 2.0, 6.0])
    labels = ["a", "a", "b", "b"]
    plain = NORMAL.default_priors(from_values(labels, values).stats).values
    assert plain["mu_location"] == pytest.approx(3.0, abs=0.02)
    assert plain["mu_scale"] == pytest.approx(2.5 * values.std(ddof=1), rel=0.01)
    assert plain["tau_df"] == 3
    assert plain["tau_scale"] == pytest.approx(values.std(ddof=1), rel=0.01)
    assert plain["sigma_upper"] == pytest.approx(10 * values.std(ddof=1), rel=0.01)
    assert plain["sigma2_scale"] == pytest.approx(0.5 * values.var(ddof=1), rel=0.02)
    scaled = NORMAL.default_priors(from_values(labels, 1000 * values).stats).values
    assert scaled["mu_scale"] == pytest.approx(1000 * plain["mu_scale"], rel=0.01)
    shifted = NORMAL.default_priors(from_values(labels, values + 1e6).stats).values
    assert shifted["mu_location"] == pytest.approx(1e6 + 3.0, abs=0.02)
    assert shifted["mu_scale"] == plain["mu_scale"]


def test_a_bound_of_tau_makes_its_prior_uniform_and_a_scale_half_t(homework):
    assert "tau_scale" not in priors_for(homework).values
    assert priors_for(homework).values["tau_upper"] == 1000
    bare = dataclasses.replace(homework, priors={})
    assert "tau_upper" not in priors_for(bare).values
    assert NORMAL.base_choice(priors_for(bare)).tau == HalfT(3, 4.11)
    uniform = priors_for(bare, {"tau_upper": 9.0})
    assert NORMAL.base_choice(uniform).tau == Uniform(9)
    assert not {"tau_df", "tau_scale"} & set(uniform.values)
    half_t = priors_for(homework, {"tau_scale": 2.0})
    assert NORMAL.base_choice(half_t).tau == HalfT(3, 2)
    assert "tau_upper" not in half_t.values
    with pytest.raises(InputError, match="set by the user: tau_upper gives tau a uniform prior"):
        priors_for(homework, {"tau_upper": 9.0, "tau_df": 1.0})


def test_constant_data_have_no_default_prior():
    with pytest.raises(InputError, match="all values are equal"):
        NORMAL.default_priors(from_values(["a", "b"], [5.0, 5.0]).stats)


def test_prior_settings_come_in_the_right_order(homework):
    priors = priors_for(homework, {"mu_scale": 5.0, "nu": 4.0})
    assert priors.values["mu_scale"] == 5
    assert priors.values["mu_location"] == 20
    assert priors.values["nu"] == 4
    assert priors.sources["mu_scale"] == "set by the user"
    assert priors.sources["mu_location"] == "homework.toml"


@pytest.mark.parametrize("text", ["mu_scale", "mu_scale=big", "=3", "mu scale=3", "a=nan"])
def test_a_prior_setting_is_a_name_and_a_number(text):
    with pytest.raises(InputError, match="NAME=NUMBER"):
        hyperparameters.parse_prior_settings([text])


def test_the_lesson_s_priors_do_not_conflict_with_its_data(homework):
    assert NORMAL.prior_conflicts(priors_for(homework), homework.stats) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mu_location": 60.0}, "the prior of mu, .* 5.3 prior sds"),
        ({"theta_location": -40.0}, "the prior of theta"),
        ({"tau_upper": 1.0}, "upper bound of tau, 1, is below the sd of the group means, 2.035"),
        ({"sigma_upper": 3.0}, "upper bound of sigma, 3, is below the sd within groups"),
        ({"sigma2_shape": 50.0, "sigma2_scale": 50.0}, "variances above"),
        ({"sigma2_shape": 50.0, "sigma2_scale": 5000.0}, "variances below"),
    ],
)
def test_priors_that_the_data_speak_against_draw_a_warning(homework, setting, message):
    priors = priors_for(homework, setting)
    found = NORMAL.prior_conflicts(priors, homework.stats)
    assert len(found) == 1
    assert re.search(message, found[0])


def test_data_that_a_model_cannot_use_are_refused_with_the_way_out():
    single = from_values(["a", "a", "b", "c", "c"], [1.0, 2.0, 3.0, 4.0, 4.0]).stats
    with pytest.raises(InputError, match=r"'b', 'c': fewer than two.*--without no_pooling"):
        NORMAL.check_poolable(NONE, single)
    assert NORMAL.check_poolable(PARTIAL, single) == []
    two = from_values(["a", "a", "b"], [1.0, 2.0, 3.0]).stats
    assert "prior of tau decides" in NORMAL.check_poolable(PARTIAL, two)[0]
    one = from_values(["a", "a"], [1.0, 2.0]).stats
    with pytest.raises(InputError, match="at least two groups"):
        NORMAL.check_poolable(PARTIAL, one)
    assert NORMAL.check_poolable(COMPLETE, one) == []
    flat = from_values(["a", "a", "b", "c"], [1.0, 1.0, 3.0, 4.0]).stats
    with pytest.raises(InputError, match="a group with two different values"):
        NORMAL.check_poolable(PARTIAL, flat)
    equal = from_values(["a", "a", "b"], [1.0, 1.0, 1.0]).stats
    with pytest.raises(InputError, match="all values are equal"):
        NORMAL.check_poolable(COMPLETE, equal)


def test_data_are_checked_for_programs_that_read_them():
    single = from_values(["a", "b", "c"], [1.0, 0.0, 1.0]).stats
    with pytest.raises(InputError, match="a group with two different values"):
        NORMAL.check_poolable(PARTIAL, single)
    blind = declare(["hits"], ["mu", "tau", "sigma"], vectors=["theta"])
    assert NORMAL.check_poolable(blind, single) == []
    logistic = declare(["y"], ["mu", "tau"], vectors=["theta"])
    assert NORMAL.check_poolable(logistic, single) == []
    with pytest.raises(InputError, match="at least two groups"):
        NORMAL.check_poolable(logistic, from_values(["a", "a"], [1.0, 0.0]).stats)


def test_a_program_gets_what_it_declares_and_no_more(homework):
    program = declare(inputs=["N", "J", "group", "n", "ybar", "mu_scale", "knots", "pointwise"])
    priors = priors_for(homework)
    given = stan_data(program, homework, priors, extra={"knots": 3}, pointwise=True)
    assert list(given) == ["N", "J", "group", "n", "ybar", "mu_scale", "knots", "pointwise"]
    assert given["N"] == 165
    assert given["group"].min() == 1
    assert given["group"].max() == 8
    assert given["pointwise"] == 1
    assert given["knots"] == 3


def test_a_missing_input_is_named_with_its_nearest_neighbour(homework):
    program = declare(inputs=["N", "mu_scael"])
    with pytest.raises(InputError) as caught:
        stan_data(program, homework, priors_for(homework))
    text = str(caught.value)
    assert "declares 'mu_scael'" in text
    assert "nearest name: 'mu_scale'" in text
    assert "Declared: N, mu_scael" in text
    assert "--extra-data" in text


def test_a_setting_that_no_program_reads_is_refused_with_the_nearest_name(homework):
    priors = priors_for(homework, {"mu_scael": 5.0})
    with pytest.raises(InputError, match=r"--prior mu_scael: .*nearest name: 'mu_scale'"):
        check_settings_used(priors, ["N", "mu_scale"])
    assert check_settings_used(priors, ["mu_scael"]) == []
    given = hyperparameters.Priors({"tau_uper": 3.0}, {"tau_uper": "grades.toml"})
    (note,) = check_settings_used(given, ["tau_upper"])
    assert note.startswith("grades.toml sets tau_uper")
    assert "nearest name: 'tau_upper'" in note


def test_a_negative_scale_is_refused(homework):
    priors = priors_for(homework, {"mu_scale": -1.0})
    with pytest.raises(InputError, match="mu_scale = -1: it must be above zero"):
        stan_data(declare(inputs=["mu_scale"]), homework, priors)


def test_extra_inputs_come_from_json_or_toml(tmp_path):
    (tmp_path / "x.json").write_text('{"knots": [1, 2]}')
    (tmp_path / "x.toml").write_text("knots = [1, 2]")
    assert read_extra(tmp_path / "x.json") == {"knots": [1, 2]}
    assert read_extra(tmp_path / "x.toml") == {"knots": [1, 2]}
    (tmp_path / "bad.json").write_text("[1, 2]")
    (tmp_path / "worse.json").write_text("{")
    (tmp_path / "text.json").write_text('{"knots": [1, "2"]}')
    (tmp_path / "date.toml").write_text("start = 2026-01-01")
    for name, message in (
        ("bad.json", "map names to values"),
        ("worse.json", "line 1"),
        ("none.json", "cannot be read"),
        ("text.json", "knots holds '2'; inputs"),
        ("date.toml", "start holds '2026-01-01'"),
        ("x.yaml", r"\.json or a \.toml"),
    ):
        with pytest.raises(InputError, match=message):
            read_extra(tmp_path / name)


def test_a_shipped_program_is_copied_once(tmp_path):
    copy = programs.new_program("no_pooling", tmp_path / "my_prior.stan")
    assert copy.read_text() == (programs.shipped_folder() / "no_pooling.stan").read_text()
    with pytest.raises(InputError, match="exists already"):
        programs.new_program("no_pooling", copy)
    with pytest.raises(InputError, match="ends in .stan"):
        programs.new_program("no_pooling", tmp_path / "my_prior")
    with pytest.raises(InputError, match="cannot be written"):
        programs.new_program("no_pooling", tmp_path / "nowhere" / "my.stan")


def test_unknown_programs_list_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="shipped ones are complete_pooling, hierarchical"):
        programs.find_program("half_pooling")
    with pytest.raises(InputError, match="no such Stan program"):
        programs.find_program(tmp_path / "nowhere.stan")
    with pytest.raises(InputError, match="nearest name: 'no_pooling'"):
        programs.find_program("no_poolin")


@pytest.mark.parametrize(
    ("program", "adapt_delta"),
    [
        (declare(scalars=["theta", "sigma2"]), settings.ADAPT_DELTA),
        (declare(vectors=["theta", "sigma2"]), settings.ADAPT_DELTA),
        (declare(scalars=["mu", "tau", "sigma"], vectors=["eta"]), settings.ADAPT_DELTA_IN_FUNNEL),
        (declare(scalars=["mu", "tau2"], vectors=["theta"]), settings.ADAPT_DELTA_IN_FUNNEL),
        (declare(vectors=["theta"], transformed=["tau"]), settings.ADAPT_DELTA_IN_FUNNEL),
        (declare(scalars=["tau", "sigma"]), settings.ADAPT_DELTA_OF_SDS),
        (declare(scalars=["x", "sigma"], transformed=["tau"]), settings.ADAPT_DELTA_OF_SDS),
    ],
)
def test_a_program_says_how_small_steps_should_be(program: Program, adapt_delta: float) -> None:
    assert program.adapt_delta == adapt_delta
    assert settings.Settings().settled(program.adapt_delta).adapt_delta == adapt_delta
    given = settings.Settings(adapt_delta=0.85)
    assert given.settled(program.adapt_delta).adapt_delta == 0.85
