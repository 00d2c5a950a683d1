"""Estimates with known standard errors: checks, statistics, priors, starts and inputs."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.published import eight_schools
from partialpool import programs
from partialpool.data import GroupedData
from partialpool.data.grouped import from_estimates
from partialpool.errors import InputError
from partialpool.families import KNOWN_ERRORS
from partialpool.families.known_errors import Estimates, estimates
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.priors import HalfT, Normal
from partialpool.programs import Program, toolchain
from partialpool.settings import Settings


@pytest.fixture(scope="module")
def schools() -> GroupedData:
    return eight_schools()


def declare(name: str, *, scalars: tuple[str, ...] = (), vectors: tuple[str, ...] = ()) -> Program:
    parameters = {each: {"type": "real", "dimensions": 0} for each in scalars}
    parameters |= {each: {"type": "real", "dimensions": 1} for each in vectors}
    computed = {"transformed parameters": {}, "generated quantities": {}}
    declared = {"inputs": {}, "parameters": parameters, **computed}
    return Program(Path(f"{name}.stan"), declared, "0" * 64)


PARAMETERS = {
    "complete_pooling": declare("complete_pooling", scalars=("theta",)),
    "no_pooling": declare("no_pooling", vectors=("theta",)),
    "hierarchical_centered": declare("centered", scalars=("mu", "tau"), vectors=("theta",)),
    "hierarchical_noncentered": declare("noncentered", scalars=("mu", "tau"), vectors=("eta",)),
    "hierarchical_marginal": declare("marginal", scalars=("tau_stretched",)),
    "sensitivity": declare("sensitivity", scalars=("tau_stretched",)),
}
"""What the shipped programs declare as parameters."""


def test_groups_are_put_in_order_with_their_numbers() -> None:
    found = estimates(["10", "9", "2"], np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3]))
    assert found.labels == ("2", "9", "10")
    assert found.estimate.tolist() == [3, 2, 1]
    assert found.se.tolist() == [0.3, 0.2, 0.1]
    as_given = estimates(["c", "a"], np.array([1.0, 2.0]), np.array([0.1, 0.2]))
    assert as_given.labels == ("c", "a")


@pytest.mark.parametrize(
    ("labels", "y", "se", "message"),
    [
        ([], [], [], "there are no estimates"),
        (["a", "b", "a"], [1, 2, 3], [1, 1, 1], "group 'a' has 2 estimates.*one a group"),
        (["a", "b"], [1, 2], [1, 0], "standard error of group 'b' is 0; it must be above zero"),
        (["a", "b"], [1, 2], [-3, 1], "standard error of group 'a' is -3"),
        (["a", "b"], [1, 2], [math.nan, 1], "standard error of group 'a' is nan"),
        (["a", "b"], [1, 1e200], [1, 1], "overflow.*group 'b' has estimate 1e.200"),
        (["a", "b"], [1, 2], [1e-200, 1], "overflow.*group 'a'.*standard error 1e-200"),
    ],
)
def test_estimates_that_cannot_be_used_are_refused(
    labels: list[str], y: list[float], se: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=f"mine: .*{message}"):
        estimates(labels, np.array(y, dtype=float), np.array(se, dtype=float), where="mine")


@pytest.mark.parametrize(
    ("y", "se", "message"),
    [
        ([1.0, math.inf], [1.0, 1.0], "the estimate of 'b' is inf; it must be a finite number"),
        ([1.0, 2.0], [math.nan, 1.0], "the standard error of 'a' is nan"),
        ([1.0], [1.0, 1.0], r"2 labels for estimates of shape \(1,\)"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"2 labels for standard errors of shape \(3,\)"),
    ],
)
def test_numbers_in_memory_get_the_checks_of_a_file(
    y: list[float], se: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        from_estimates(["a", "b"], y, se)


def test_data_of_estimates_know_their_family(schools: GroupedData) -> None:
    assert schools.family is KNOWN_ERRORS
    assert schools.stats.N == schools.stats.J == 8
    assert schools.y.tolist() == [28, 8, -3, 7, -1, 1, 18, 12]
    assert schools.group.tolist() == list(range(8))
    found = schools.summary()
    assert list(found) == ["group", "estimate", "se", "q2.5", "q97.5"]
    assert found.loc[0, "q97.5"] == pytest.approx(28 + 1.96 * 15, abs=0.01)


def test_the_grand_mean_is_the_common_effect(schools: GroupedData) -> None:
    w = schools.stats.weight
    assert schools.stats.grand_mean == pytest.approx((w * schools.y).sum() / w.sum())
    assert schools.stats.grand_mean == pytest.approx(7.686, abs=0.6e-3)


def test_the_scale_of_the_data_stays_above_zero() -> None:
    alike = Estimates(("a", "b"), np.array([2.0, 2.0]), np.array([3.0, 4.0]))
    assert alike.total_sd == pytest.approx(math.sqrt(12.5))
    one = alike.take(np.array([1]))
    assert one.total_sd == 4
    assert KNOWN_ERRORS.default_priors(alike).values["tau_scale"] == 3.54


def test_default_priors(schools: GroupedData) -> None:
    found = KNOWN_ERRORS.default_priors(schools.stats)
    s = math.sqrt((schools.stats.raw_se**2).mean() + schools.y.var(ddof=1))
    assert found.values["tau_scale"] == pytest.approx(s, rel=0.005)
    assert found.values["mu_scale"] == pytest.approx(10 * s, rel=0.005)
    assert found.values["theta_scale"] == pytest.approx(1000 * s, rel=0.005)
    assert found.values["mu_location"] == found.values["theta_location"] == 7.7
    assert found.values["tau_df"] == 3
    assert set(found.values) == set(KNOWN_ERRORS.settings)
    base = KNOWN_ERRORS.base_choice(found)
    assert base.mu == Normal(7.7, found.values["mu_scale"])
    assert base.tau == HalfT(3, found.values["tau_scale"])
    assert base.sigma is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mu_location": 500.0, "mu_scale": 100.0}, "the prior of mu, .* 4.9 prior sds"),
        ({"theta_location": -9.0, "theta_scale": 5.0}, "the prior of theta, .*estimate 7.686"),
        ({"tau_scale": 0.1}, "prior scale of tau, 0.1, is below a hundredth of the sd"),
    ],
)
def test_priors_that_the_data_speak_against_draw_a_warning(
    setting: dict[str, float], message: str, schools: GroupedData
) -> None:
    found = KNOWN_ERRORS.prior_conflicts(priors_for(schools, setting), schools.stats)
    assert len(found) == 1
    assert re.search(message, found[0])


def test_a_setting_that_is_missing_is_named(schools: GroupedData) -> None:
    priors = priors_for(schools)
    for name in KNOWN_ERRORS.choice_settings:
        less = {key: value for key, value in priors.values.items() if key != name}
        with pytest.raises(InputError, match=f"--prior {name}=NUMBER"):
            KNOWN_ERRORS.base_choice(replace(priors, values=less))
    less = {key: value for key, value in priors.values.items() if key != "theta_scale"}
    with pytest.raises(InputError, match="--prior theta_scale=NUMBER"):
        KNOWN_ERRORS.exact_posterior("no_pooling", schools.stats, replace(priors, values=less))
    with pytest.raises(InputError, match="'mine' is not known; it is for complete_pooling"):
        KNOWN_ERRORS.exact_posterior("mine", schools.stats, priors)


def test_data_that_a_model_cannot_use_are_refused_or_draw_a_warning(schools: GroupedData) -> None:
    partial, none = PARAMETERS["hierarchical_centered"], PARAMETERS["no_pooling"]
    take = schools.stats.take
    with pytest.raises(InputError, match="at least two groups"):
        KNOWN_ERRORS.check_poolable(partial, take(np.arange(1)))
    assert KNOWN_ERRORS.check_poolable(none, take(np.arange(1))) == []
    for J, word in ((2, "two"), (3, "three")):
        [said] = KNOWN_ERRORS.check_poolable(partial, take(np.arange(J)))
        assert said.startswith(f"with {word} groups the prior of tau decides")
    assert KNOWN_ERRORS.check_poolable(partial, take(np.arange(4))) == []


def test_estimates_of_one_standard_error_are_taken_together() -> None:
    data = from_estimates(list("abcde"), [1e8 + 1, 1e8 + 4, 1e8, 1e8 + 7, 1e8 + 3], [2, 1, 2, 1, 3])
    found = KNOWN_ERRORS.inputs(data.stats, draw_groups=True)
    assert found["K"] == 3
    assert found["se_k"].tolist() == [1, 2, 3]
    assert found["J_k"].tolist() == [2, 2, 1]
    assert (found["y_k"] - 1e8).tolist() == [5.5, 0.5, 3]
    assert found["ssb_k"].tolist() == [4.5, 0.5, 0]
    assert found["J_drawn"] == 5
    none = KNOWN_ERRORS.inputs(data.stats, draw_groups=False)
    assert none["J_drawn"] == len(none["estimate_drawn"]) == len(none["se_drawn"]) == 0


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_program_finds_its_inputs(
    name: str, schools: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    program = programs.load(name, family="known_errors")
    assert set(program.declared["parameters"]) == set(PARAMETERS[name].declared["parameters"])
    priors = priors_for(schools)
    extra = KNOWN_ERRORS.base_choice(priors).inputs() if name == "sensitivity" else {}
    assert set(stan_data(program, schools, priors, extra=extra)) == set(program.inputs)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_chain_starts_elsewhere_and_near_the_data(name: str, schools: GroupedData) -> None:
    program, settings = PARAMETERS[name], Settings(chains=4)
    found = KNOWN_ERRORS.starts(program, schools.stats, settings, inputs={})
    assert len(found) == 4
    for start in found:
        assert set(start) == set(program.declared["parameters"])
        for value in start.values():
            assert np.isfinite(value).all()
        assert start.get("tau", 1.0) > 0
        reach = 2 * (28 - -3) + 18
        for near in ("mu", "theta"):
            assert (np.abs(np.asarray(start.get(near, 8.0)) - 8) < reach).all()
    first, second = (np.concatenate([np.ravel(v) for v in s.values()]) for s in found[:2])
    assert not (first == second).any()
    again = KNOWN_ERRORS.starts(program, schools.stats, settings, inputs={})
    assert str(again) == str(found)


def test_the_classical_companions_are_named(schools: GroupedData) -> None:
    found = KNOWN_ERRORS.classical(schools.stats)
    assert list(found) == ["meta_analysis", "weights"]
    for make in found.values():
        assert len(make())
