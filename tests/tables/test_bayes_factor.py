"""The Bayes factor of equal effects: published values, what is said of it, and where it is not."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from helpers import estimates
from partialpool.errors import InputError
from partialpool.fitting.inputs import priors_for
from partialpool.report import spread
from partialpool.tables import bayes_factor, comparison

PUBLISHED = {"mu_location": 0, "mu_scale": 50, "tau_df": 1, "tau_scale": 25}


def factors(data, settings=None):
    return bayes_factor.bayes_factors(data, priors_for(data, settings or {}))


def test_the_eight_schools_have_their_published_value():
    table = factors(estimates.coaching(), PUBLISHED)
    assert table["choice"].iloc[0] == "base"
    assert table["bayes_factor"].iloc[0] == pytest.approx(4.4341, rel=1e-4)
    by_name = factors(estimates.coaching(), {"mu_location": 0, "mu_scale": 50})
    narrow = by_name.set_index("choice")["bayes_factor"]
    assert narrow["half_normal_narrow"] < narrow["half_normal"] < narrow["uniform"]
    [said] = spread.line(table)
    assert said.startswith("The Bayes factor of no spread is 4.43: the data are 4.43 times")
    assert "as probable if all effects are equal (τ = 0) as if they spread under" in said
    assert "mu ~ normal(0, 50), tau ~ half-t(1, 0, 25)" in said
    assert re.search(r"runs from [\d.]+ \(half_normal_narrow\) to [\d.]+ \(uniform\)", said)


def test_effects_that_differ_are_said_to_spread():
    [said] = spread.line(factors(estimates.vaccine()))
    assert "is 10^−25: the data are 10^25 times as probable if they spread under" in said
    assert said.index("they spread") < said.index("as if all effects are equal")
    far = factors(estimates.few([1, 900, -400], [1, 1, 1]))
    assert (far["bayes_factor"] == 0).all()
    assert (far["log_bayes_factor"] < -1e5).all()
    [said] = spread.line(far)
    assert "is 10^−192459" in said


def test_a_report_has_it_where_it_is_asked_for():
    data = estimates.coaching()
    fits = estimates.fits(data, draws=50)
    assert "bayes_factor" not in comparison.compute(data, fits).tables
    found = comparison.compute(data, fits, equal_effects=True)
    shown = spread.view(found)
    assert shown is not None
    assert shown.rows[0][2].text == "2.66"
    assert spread.line(pd.DataFrame()) == []


def test_observations_and_single_estimates_are_refused(homework, run):
    with pytest.raises(InputError, match="not known of observations without a known standard"):
        bayes_factor.check(homework, priors_for(homework))
    single = estimates.few([1], [1])
    with pytest.raises(InputError, match="one group has no spread"):
        bayes_factor.check(single, priors_for(single))
    code, out, err = run("report", "homework", "--bayes-factor")
    assert (code, err.count("\n")) == (2, 1)
    assert "--bayes-factor: it is not known of observations" in err
    assert "Sampling" not in out
