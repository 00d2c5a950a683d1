"""What an edited program changes against the one it was copied from."""

from __future__ import annotations

import pytest

from helpers.hand_made import diverging
from partialpool.fitting import Fit
from partialpool.studies import edits


def edited(fit, **change):
    """A copy of a fit under another name, some of its variables changed."""
    tree = fit.draws.copy()
    for name, by in change.items():
        tree["posterior"][name] = by(tree["posterior"][name])
    return Fit(tree, fit.with_record(program="my_prior", title="my_prior").record)


@pytest.fixture(scope="module")
def base(lesson_fits):
    return lesson_fits["hierarchical_noncentered"]


def test_an_edit_is_held_against_the_first_program_that_pools_alike(homework, base, lesson_fits):
    none = lesson_fits["no_pooling"]
    mine = edited(base, tau=lambda tau: 0.9 * tau, theta=lambda x: x + 0.2 * (x["group"] == "5"))
    table = edits.changes([none, base, mine], homework)
    assert set(table["model"]) == {"my_prior"}
    assert set(table["against"]) == {"hierarchical_noncentered"}
    rows = table.set_index(["quantity", "group"])
    assert len(rows) == 4 + 8
    sd = float(base.posterior["theta"].sel(group="5").std(ddof=1))
    assert rows.loc[("theta", "5"), "movement"] == pytest.approx(0.2 / sd)
    assert rows.loc[("theta", "1"), "movement"] == 0
    tau = rows.loc[("tau", "")]
    assert tau["after"] == pytest.approx(0.9 * tau["before"])


def test_the_answer_is_read_in_words(homework, base):
    def said(**change):
        fits = [base, edited(base, **change)]
        return edits.sentences(edits.changes(fits, homework), fits)[0]

    head = "my_prior against partial pooling, non-centered: "
    assert said() == f"{head}no answer moved by more than Monte Carlo error"
    little = said(theta=lambda x: x + 0.3 * (x["group"] == "5"))
    assert little.startswith(f"{head}theta[5] moved most, from 10.4")
    assert little.endswith("All moved by less than 0.3 posterior sds: the choice hardly matters")
    much = said(tau=lambda x: 2 * x, theta=lambda x: x + 0.3 * (x["group"] == "5"))
    assert much.startswith((f"{head}icc moved most", f"{head}tau moved most"))
    assert "of the group means theta[5] moved most" in much
    assert "depends on the choice" in much


def test_nothing_is_concluded_from_a_fit_that_failed(homework, base):
    bad = edited(diverging(base))
    table = edits.changes([base, bad], homework)
    (sentence,) = edits.sentences(table, [base, bad])
    assert sentence.endswith("nothing is concluded, since a diagnostic failed")


def test_programs_that_pool_differently_are_not_held_against_each_other(
    homework, base, lesson_fits
):
    fits = [base, lesson_fits["complete_pooling"], lesson_fits["no_pooling"]]
    assert edits.changes(fits, homework).empty
    assert edits.sentences(edits.changes(fits, homework), fits) == []
