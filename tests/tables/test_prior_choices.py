"""The posterior under other priors of tau, from the draws under one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from partialpool import programs
from partialpool.data import GroupedData, from_values
from partialpool.families import exact
from partialpool.fitting import Fit, without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.priors.hyperparameters import Priors
from partialpool.report import tau_priors
from partialpool.settings import Settings
from partialpool.tables.comparison import Comparison
from partialpool.tables.prior_choices import others, prior_choices

pytestmark = pytest.mark.stan


def drawn(data: GroupedData, priors: Priors) -> Fit:
    """Draws of the marginal program from its exact posterior."""
    program = programs.load("hierarchical_marginal")
    choice = data.family.base_choice(priors)
    fit = without_rows.draw_choice(program, choice, data, settings=Settings(draws=4000))
    return fit.with_record(priors=dict(priors.values), extra={})


@pytest.fixture(scope="module")
def dyes() -> GroupedData:
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(5), 6)
    return from_values(
        [f"batch {j}" for j in group], rng.normal(50, 5, 5)[group] + rng.normal(size=30)
    )


def test_weighted_draws_are_those_of_the_other_posteriors(dyes: GroupedData) -> None:
    priors = priors_for(dyes)
    table = prior_choices([drawn(dyes, priors)], dyes)
    named = dyes.family.default_choices(dyes.stats, priors)
    base = named[0]
    assert list(table["choice"]) == ["base", *(choice.name for choice in others(base, named))]
    assert list(table["choice"])[1:] == ["uniform", "half_normal", "half_cauchy", "exponential"]
    assert table["reliable"].all()
    centers = []
    for row, choice in zip(table.to_dict("records"), (base, *others(base, named)), strict=True):
        posterior = exact.hierarchical(
            dyes.stats,
            mu=choice.mu,
            tau=choice.tau,
            sigma=choice.sigma,  # type: ignore[arg-type]
        ).summary()
        [tau] = posterior[posterior["parameter"] == "tau"].to_dict("records")
        assert row["tau_median"] == pytest.approx(tau["median"], rel=0.03)
        assert row["tau_q2.5"] == pytest.approx(tau["q2.5"], rel=0.04)
        heavier = 0.15 if choice.name == "uniform" else 0.06  # few draws lie far out
        assert row["tau_q97.5"] == pytest.approx(tau["q97.5"], rel=heavier)
        centers.append(posterior[posterior["parameter"] == "theta"].set_index("group"))
        if choice is not base:
            at = row["moved"]
            moved = (centers[-1]["mean"] - centers[0]["mean"]) / centers[0]["sd"]
            assert moved[at] == pytest.approx(row["largest_movement"], abs=0.03)
            assert abs(moved[at]) > moved.abs().max() - 0.03


def test_weights_that_cannot_be_relied_on_are_named(dyes: GroupedData) -> None:
    narrow = priors_for(dyes, {"tau_upper": 0.05})
    fit = drawn(dyes, narrow)
    table = prior_choices([fit], dyes)
    assert table["tau_q97.5"].max() < 0.05
    doubtful = table.assign(reliable=[True, True, False, False, True])
    found = Comparison(dyes, (fit,), {"prior_choices": doubtful}, {}, {fit.name: True})
    [said] = tau_priors.line(found)
    assert "under 2 other priors" in said
    assert "half_cauchy and half_t" in said
    assert "partialpool priors fits again" in said


@pytest.mark.parametrize(("size", "word"), [(0.1, "little"), (-0.5, "somewhat"), (1.2, "much")])
def test_how_much_the_prior_matters_is_said_in_words(
    size: float, word: str, dyes: GroupedData
) -> None:
    fit = drawn(dyes, priors_for(dyes))
    table = prior_choices([fit], dyes)
    table.loc[1:, "largest_movement"] = [size, *(0.01,) * 3]
    table.loc[1, "moved"] = "batch 2"
    found = Comparison(dyes, (fit,), {"prior_choices": table}, {}, {fit.name: True})
    [said] = tau_priors.line(found)
    assert said.startswith(f"The prior of τ matters {word}: under 4 other priors")
    assert f"of group batch 2, moves by {abs(size):.2f} of its posterior sds." in said
    held = replace(found, trusted={fit.name: False})
    assert tau_priors.line(held) == []
    view = tau_priors.view(found)
    assert view is not None
    assert len(view.rows) == 5


def test_edited_programs_and_other_models_have_no_such_table(dyes: GroupedData) -> None:
    fit = drawn(dyes, priors_for(dyes))
    edited = fit.with_record(source=fit.record.source + "\n// edited")
    assert prior_choices([edited], dyes).empty
    empty = Comparison(dyes, (edited,), {"prior_choices": pd.DataFrame()}, {}, {edited.name: True})
    assert tau_priors.line(empty) == []
    assert tau_priors.view(empty) is None
