"""Exponentials in the commands that ask further: shown everywhere, or refused with the reason."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from helpers import estimates
from partialpool.cli import console
from partialpool.fitting.inputs import priors_for
from partialpool.priors.choices import BASE
from partialpool.studies import many, prior_predictive, sensitivity
from partialpool.tables import exponential, shrinkage

PARTIAL = "hierarchical_centered"
SHORT = ("--draws", "250", "--warmup", "250", "--chains", "2")


@pytest.fixture
def trials(tmp_path):
    stats = estimates.vaccine().stats
    rows = zip(stats.labels, stats.raw, stats.raw_se, strict=True)
    lines = [f"{label},{y},{se}" for label, y, se in rows]
    (tmp_path / "trials.csv").write_text("\n".join(["trial,log_rr,se", *lines]))
    return ("trials.csv", "--group", "trial", "--estimate", "log_rr", "--se", "se")


@pytest.fixture(scope="module")
def compared():
    data = estimates.vaccine()
    named = data.family.named_choices(data.stats, priors_for(data))
    choices = [named[BASE], named["half_normal"]]
    fits = {c.name: estimates.make_fit(data, PARTIAL, seed=k) for k, c in enumerate(choices)}
    found = sensitivity.estimates_by_choice(fits, data)
    return found, sensitivity.summarize_choices(choices, fits, found)


def test_estimates_by_choice_are_turned_and_movements_are_not(compared):
    before, _ = compared
    after = exponential.table("choices", before)
    turned = before["quantity"].isin(["mu", "theta"])
    assert set(before["quantity"]) == {"mu", "theta", "tau", "pooling_factor"}
    for name in ("mean", "q2.5", "q97.5", "sd"):
        np.testing.assert_allclose(after[name][turned], np.exp(before[name][turned]))
        pd.testing.assert_series_equal(after[name][~turned], before[name][~turned])
    np.testing.assert_allclose(after["mcse"][turned], (after["mean"] * before["mcse"])[turned])
    for name in ("movement", "movement_mcse", "group", "quantity"):
        pd.testing.assert_series_equal(after[name], before[name])


def test_the_summary_by_choice_agrees_with_the_estimates(compared):
    long, wide = (
        exponential.table(key, frame)
        for key, frame in zip(("choices", "choices_wide"), compared, strict=True)
    )
    for quantity, group in (("mu", ""), ("theta", "12"), ("tau", "")):
        rows = long[(long["quantity"] == quantity) & (long["group"] == group)]
        name = f"{quantity}[{group}]" if group else quantity
        for column, of in (("", "mean"), ("_mcse", "mcse"), ("_q2.5", "q2.5"), ("_q97.5", "q97.5")):
            np.testing.assert_allclose(wide[f"{name}{column}"], rows[of])
    readable = console.readable_choices(wide, exp=True)
    assert list(readable)[:4] == ["choice", "exp(mu)", "tau", "pooling"]
    assert readable["exp(mu)"].str.match(r"0\.4\d* \[0\.3").all()


def test_what_priors_expect_is_turned():
    data = estimates.vaccine()
    named = data.family.named_choices(data.stats, priors_for(data))
    found = prior_predictive.from_choices([named[BASE], named["mu_wide"]], data)
    table = exponential.table("prior_predictive", found.table)
    np.testing.assert_allclose(table["median"], np.exp(found.table["median"]))
    np.testing.assert_allclose(table["ranges"], found.table["ranges"])
    draws = exponential.table("prior_draws", found.draws)
    np.testing.assert_allclose(draws["value"], np.exp(found.draws["value"]))
    [said] = found.sentences
    assert "estimates that they expect" in said
    assert "as wide as the data (on the scale of the logarithms)" in said
    assert "between 0.0716 and 6.72" in said


def test_many_fits_turn_those_of_logarithms():
    data = estimates.vaccine()
    table = shrinkage.estimates([estimates.make_fit(data, PARTIAL)], data)
    results = [many.Result(name, name, table, True, "", 1.0) for name in ("logs", "others")]
    found = many.results_table(results, ratios=["logs"])
    first, second = (found[found["fit"] == name].iloc[:, 2:] for name in ("logs", "others"))
    pd.testing.assert_frame_equal(second.reset_index(drop=True), table)
    pd.testing.assert_frame_equal(
        first.reset_index(drop=True), exponential.table("estimates", table)
    )
    assert "exp(mu)" in console.readable_fits(found, exp=True)
    assert "exp(mu)" not in console.readable_fits(found)


@pytest.mark.parametrize("command", ["verify", "parameterizations"])
def test_what_has_no_exponentials_is_refused_with_the_reason(command, run, trials):
    code, out, err = run(command, *trials, "--exp")
    assert (code, err.count("\n")) == (2, 1)
    assert "--exp: " in err
    assert "of logarithms; leave it out" in err
    assert "Sampling" not in out


def test_priors_and_many_fits_show_ratios(run, trials, tmp_path, cmdstan):
    code, out, _ = run("priors", *trials, "--exp", "--choice", "half_normal", *SHORT)
    assert code in (0, 5)
    assert "Geometric posterior means [95 % intervals]" in out
    assert "tau is on the scale of the logarithms" in out
    results = tmp_path / "results"
    saved = pd.read_csv(results / "trials-priors-half_normal" / "estimates.csv")
    assert (saved.loc[saved["quantity"] == "theta", "mean"] > 0).all()
    code, out, _ = run("fit-many", *trials, "--exp", "--workers", "1", *SHORT)
    assert "exp(mu)" in out
    assert "of mu and theta the exponentials are shown" in out
    code, out, _ = run("prior-predictive", *trials, "--exp", "-p", "hierarchical_marginal", *SHORT)
    assert "Estimates that the priors expect, rr" in out
    table = pd.read_csv(
        tmp_path
        / "results"
        / "trials-prior-predictive-hierarchical_marginal"
        / "prior_predictive.csv"
    )
    assert (table["q2.5"] > 0).all()
    made = json.loads(
        (tmp_path / "results" / "trials-priors-half_normal" / "manifest.json").read_text()
    )
    assert made["data"]["labels"]["exp"] is True
