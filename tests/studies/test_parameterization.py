"""Forms of one model: how they sampled, whether they agree, and the verdict in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from helpers.hand_made import diverging, make_fit, simulated
from partialpool.data import from_values
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.fit import Settings
from partialpool.fitting.inputs import priors_for
from partialpool.programs import CENTERED, MARGINAL, NONCENTERED
from partialpool.studies import form_verdict, parameterizations
from partialpool.studies.parameterizations import compare_forms

FORMS = (CENTERED, NONCENTERED)


def with_work(fit, *, steps=7, seconds=0.5):
    """Record a number of leapfrog steps a draw, and of seconds a chain."""
    tree = fit.draws.copy()
    like = fit.sample_stats["diverging"]
    for name, value in (("n_steps", steps), ("step_size", 0.4)):
        tree["sample_stats"][name] = xr.full_like(like, value, dtype=type(value))
    chains = [{"warmup": 1.0, "sampling": seconds}] * len(like)
    return Fit(tree, fit.with_record(timings={**fit.record.timings, "chains": chains}).record)


def with_draws(fit, **changed):
    tree = fit.draws.copy()
    for name, change in changed.items():
        tree["posterior"][name] = change(tree["posterior"][name])
    return Fit(tree, fit.record)


@pytest.fixture(scope="module")
def fits(homework):
    pair = [make_fit(homework, name, draws=500) for name in FORMS]
    return [with_work(pair[0], steps=7), with_work(pair[1], steps=21, seconds=1.5)]


@pytest.fixture(scope="module")
def compared(fits, homework):
    return compare_forms(fits, homework)


def test_the_table_counts_the_work(compared):
    rows = compared.table.set_index("form")
    assert rows.loc[CENTERED, "leapfrog_steps"] == 7 * 4 * 500
    assert rows.loc[NONCENTERED, "leapfrog_per_draw"] == 21
    assert rows.loc[CENTERED, "seconds"] == 2
    assert rows.loc[CENTERED, "step_size"] == pytest.approx(0.4)
    own = compared.efficiency[compared.efficiency["form"] == CENTERED]
    least = own[["ess_bulk", "ess_tail"]].to_numpy().min()
    assert rows.loc[CENTERED, "ess_per_gradient"] == pytest.approx(least / (7 * 4 * 500))
    assert rows.loc[CENTERED, "ess_per_second"] == pytest.approx(least / 2)
    assert rows.loc[CENTERED, "e_bfmi"].count(",") == 3
    assert len(own) == 3 + 8


def test_draws_of_one_posterior_agree_and_the_cheaper_form_is_advised(compared):
    assert compared.verdict.agree
    assert abs(compared.agreement["in_mcse"].iloc[0]) < parameterizations.DISAGREE
    assert compared.verdict.form == CENTERED
    text = " ".join(compared.verdict.sentences)
    assert text.startswith("Use partial pooling, centered")
    assert "near 0, so that the groups say much and the centered form is favoured" in text
    assert "The forms agree: they differ most in the" in text
    assert "Leave-one-out scores have no say" in text


def test_a_shifted_group_is_found_and_neither_fit_is_trusted(fits, homework):
    def shift(theta):
        return theta + 0.4 * (theta["group"] == "3")

    found = compare_forms([fits[0], with_draws(fits[1], theta=shift)], homework)
    row = found.agreement.iloc[0]
    assert (row["quantity"], row["group"], row["agree"]) == ("theta", "3", False)
    assert not found.verdict.agree
    assert found.verdict.form == ""
    assert "These two fits disagree, trust neither" in found.verdict.sentences[0]
    assert "theta[3]" in found.verdict.sentences[0]


@pytest.mark.parametrize("spoil", [lambda mu: mu * np.nan, lambda mu: 0 * mu])
def test_draws_that_are_not_finite_or_never_move_agree_with_nothing(fits, homework, spoil):
    found = compare_forms([fits[0], with_draws(fits[1], mu=spoil)], homework)
    assert not found.agreement["agree"].any()
    assert found.verdict.form == CENTERED
    assert "the one that passed its diagnostics" in found.verdict.sentences[1]


def test_the_weakest_group_is_shown_first_and_a_tie_goes_to_the_furthest(homework):
    assert parameterizations.shown_groups(homework) == ["5"]
    assert parameterizations.shown_groups(homework, ["2", "5"]) == ["5", "2"]
    tied = from_values(list("aabbcc"), [0.0, 1, 0, 2, 9, 11])
    assert parameterizations.shown_groups(tied) == ["c"]
    with pytest.raises(InputError, match="no group '9'"):
        parameterizations.shown_groups(homework, ["9"])


def test_funnel_draws_keep_every_divergence_and_define_eta(homework):
    fit = diverging(make_fit(homework, CENTERED, draws=1000), 37)
    frame = parameterizations.funnel_draws([fit], homework, groups=["5"])
    assert frame["diverging"].sum() == 37
    assert 2000 <= len(frame) <= 2037
    expected = (frame["theta"] - frame["eta"] * np.exp(frame["log_tau"])).to_numpy()
    assert np.isin(np.round(expected, 6), np.round(fit.posterior["mu"], 6)).all()


def rows_of(**changed):
    """A table of how two or three forms sampled, all well, with some cells changed."""
    forms = {CENTERED: {}, NONCENTERED: {}, **changed}
    usual = {
        "trusted": True,
        "divergences": 0,
        "e_bfmi_min": 0.9,
        "r_hat_max": 1.001,
        "ess_per_gradient": 0.02,
        "ess_per_second": 400.0,
        "slowest": "log tau",
    }
    return pd.DataFrame([{"form": name, **usual, **cells} for name, cells in forms.items()])


def pairs_of(*disagreeing, forms=FORMS):
    rows = [
        {"form": a, "other": b, "agree": (a, b) not in disagreeing}
        for k, a in enumerate(forms)
        for b in forms[k + 1 :]
    ]
    about = {"quantity": "mu", "group": "", "statistic": "mean", "in_mcse": 8.2}
    return pd.DataFrame(rows).assign(**about)


def test_forms_that_are_as_good_are_both_advised(fits, homework):
    found = form_verdict.judge(fits, homework, rows_of(), pairs_of())
    assert found.sentences[0].startswith("Use either")


def test_diagnostics_come_before_speed(fits, homework):
    table = rows_of(**{CENTERED: {"trusted": False, "divergences": 9, "ess_per_gradient": 9.0}})
    found = form_verdict.judge(fits, homework, table, pairs_of())
    assert found.form == NONCENTERED
    assert "partial pooling, centered failed its diagnostics (9 divergences" in found.sentences[0]
    assert "neck of the funnel" in found.sentences[1]


def test_no_form_is_advised_where_all_failed(fits, homework):
    cells = {"trusted": False}
    table = rows_of(**{CENTERED: cells, NONCENTERED: cells})
    found = form_verdict.judge(fits, homework, table, pairs_of())
    assert found.form == ""
    assert "That they agree is not enough" in found.sentences[0]


def test_a_third_form_tells_which_of_two_to_use(fits, homework):
    forms = (*FORMS, MARGINAL)
    third = fits[1].with_record(program=MARGINAL, title="marginal")
    table = rows_of(**{CENTERED: {"trusted": False}, MARGINAL: {"ess_per_second": 2000.0}})
    pairs = pairs_of((CENTERED, NONCENTERED), (CENTERED, MARGINAL), forms=forms)
    found = form_verdict.judge([*fits, third], homework, table, pairs)
    assert found.form == NONCENTERED
    assert not found.agree
    assert "8.2 combined Monte Carlo standard errors" in found.sentences[0]
    assert "agrees with marginal, which passed too" in found.sentences[2]
    assert "5 times the effective draws a second" in " ".join(found.sentences)


def test_few_groups_under_a_vague_prior_want_information():
    data = simulated([5, 5, 5], ["a", "b", "c"])
    pair = [with_work(make_fit(data, name)) for name in FORMS]
    near = [with_draws(fit, tau=lambda tau: 0.1 * tau) for fit in pair]
    texts = [" ".join(compare_forms(each, data).verdict.sentences) for each in (pair, near)]
    assert "needs information, more groups or a prior of tau that says more" in texts[0]
    assert "needs information" not in texts[1]


def test_a_program_that_lacks_a_parameter_is_named(homework):
    pair = [make_fit(homework, name) for name in ("no_pooling", CENTERED)]
    with pytest.raises(InputError, match="no_pooling: a parameterization is judged by mu"):
        compare_forms(pair, homework)
    with pytest.raises(InputError, match="two fits"):
        compare_forms(pair[1:], homework)


@pytest.mark.parametrize(("n", "best"), [(2, NONCENTERED), (200, CENTERED)])
def test_weak_and_strong_groups_turn_the_verdict_round(cmdstan, n, best):
    rng = np.random.default_rng(3)
    theta = rng.normal(10, 1, size=8)
    data = from_values(
        [f"g{j}" for j in range(8) for _ in range(n)],
        rng.normal(np.repeat(theta, n), 5),
    )
    found = parameterizations.compare_parameterizations(
        data,
        priors=priors_for(data),
        settings=Settings(warmup=500, draws=600, adapt_delta=0.95),
        cmdstan=cmdstan,
    )
    assert found.verdict.form == best
    rates = found.table.set_index("form")["ess_per_gradient"]
    other = ({CENTERED, NONCENTERED} - {best}).pop()
    assert rates[best] > 2 * rates[other]
    text = " ".join(found.verdict.sentences)
    side = "near 1, so that the groups say little" if n == 2 else "near 0, so that the groups say"
    assert side in text
    assert found.table.set_index("form").loc[MARGINAL, "trusted"]
    assert "partial pooling, marginal, which passed its diagnostics" in text
