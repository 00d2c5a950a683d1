"""What is changed where a fit failed: the rules on made draws, the retry on real ones."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from helpers.hand_made import diverging, make_fit
from partialpool import programs
from partialpool.fitting import Fit, diagnostics, remedies
from partialpool.fitting.inputs import priors_for
from partialpool.report import folder, page, sentences, trust
from partialpool.settings import Settings
from partialpool.tables import comparison

MADE = {
    "made": "today",
    "versions": {"partialpool": "1", "python": "3"},
    "data": {"source": "a.csv", "name": "a", "sha256": "f" * 64},
    "fits": [],
}


def adjusted(fit, *, tables=None, **about):
    """Return the fit with other settings and, by check, other values; and its table of checks."""
    settings = {**fit.record.settings, **about.pop("settings", {})}
    fit = fit.with_record(settings=settings, **about)
    table = diagnostics.check(fit)
    for check, value in (tables or {}).items():
        at = table["check"] == check
        table["value"] = table["value"].astype(float)
        table.loc[at, ["value", "passed"]] = [value, False]
    return fit, table


@pytest.fixture(scope="module")
def passing(homework):
    return make_fit(homework, "hierarchical_centered", draws=250)


def test_a_fit_that_passed_needs_no_remedy(passing):
    assert remedies.remedy(passing, diagnostics.check(passing)) is None


def test_divergences_call_for_smaller_steps_first(passing):
    fit, table = adjusted(passing, tables={"divergences": 3}, settings={"adapt_delta": 0.8})
    found = remedies.remedy(fit, table)
    assert found.settings.adapt_delta == 0.99
    assert found.program is None
    assert found.words == "adapt_delta 0.99 instead of 0.8"


def test_then_for_another_form_of_the_model(passing):
    fit, table = adjusted(passing, tables={"divergences": 3}, settings={"adapt_delta": 0.995})
    found = remedies.remedy(fit, table)
    assert found.program == "hierarchical_noncentered"
    assert "in place of hierarchical_centered" in found.words


def test_a_form_that_is_fitted_anyway_does_not_take_the_place(passing):
    fit, table = adjusted(passing, tables={"divergences": 3}, settings={"adapt_delta": 0.995})
    found = remedies.remedy(fit, table, taken=["hierarchical_noncentered"])
    assert (found.program, found.settings.adapt_delta) == (None, 0.999)
    fit, table = adjusted(passing, tables={"divergences": 3}, settings={"adapt_delta": 0.9995})
    assert remedies.remedy(fit, table, taken=["hierarchical_noncentered"]) is None


def test_a_program_of_ones_own_gets_smaller_steps(passing):
    fit, table = adjusted(
        passing, tables={"divergences": 1}, settings={"adapt_delta": 0.995}, program="mine"
    )
    assert remedies.remedy(fit, table).settings.adapt_delta == 0.999


@pytest.mark.parametrize(
    ("value", "draws"), [(300.0, 500), (100.0, 1500), (2.0, 2500), (float("nan"), 2500)]
)
def test_few_effective_draws_call_for_more(passing, value, draws):
    fit, table = adjusted(passing, tables={"tail ESS": value})
    found = remedies.remedy(fit, table)
    assert found.settings.draws == draws
    assert found.words == f"draws {draws} instead of 250"


def test_no_more_draws_than_a_machine_can_hold(passing):
    fit, table = adjusted(passing, tables={"tail ESS": 2.0}, settings={"draws": 20_000})
    assert remedies.remedy(fit, table) is None


def test_chains_that_differ_call_for_warmup_too(passing):
    fit, table = adjusted(passing, tables={"R-hat": 1.2}, settings={"warmup": 800})
    found = remedies.remedy(fit, table)
    assert (found.settings.warmup, found.settings.draws) == (1600, 500)


def test_one_chain_calls_for_more(homework, passing):
    one = Fit(
        xr.DataTree.from_dict(
            {name: node.to_dataset().isel(chain=[0]) for name, node in passing.draws.items()}
        ),
        passing.record,
    )
    table = diagnostics.check(one)
    assert not diagnostics.trusted(table)
    assert remedies.remedy(one, table).settings.chains == 4


@pytest.mark.parametrize("check", ["finite draws", "failed chains"])
def test_what_no_setting_mends_has_no_remedy(passing, check):
    lost = {"3": "it died"} if check == "failed chains" else {}
    values = {"divergences": 3} | ({check: 1} if check == "finite draws" else {})
    fit, table = adjusted(passing, tables=values, lost_chains=lost)
    assert not table.set_index("check").loc[check, "passed"]
    assert remedies.remedy(fit, table) is None


# What a report says


@pytest.fixture(scope="session")
def insisting(homework, lesson_fits):
    """What is said of a fit that failed to one who insists on it."""
    fits = [lesson_fits["no_pooling"], diverging(lesson_fits["hierarchical_noncentered"])]
    attempt = {
        "program": "hierarchical_centered",
        "settings": {},
        "failed": [{"check": "divergences", "value": 7.0, "meaning": ""}],
        "remedy": "smaller steps",
    }
    fits[1] = fits[1].with_record(attempts=[attempt])
    return comparison.compute(homework, fits, insist=True)


@pytest.fixture(scope="session")
def failed(insisting):
    return dataclasses.replace(insisting, insist=False)


def test_a_failed_fit_is_kept_silent_and_a_remedy_is_offered(failed):
    assert failed.trusted == {"no_pooling": True, "hierarchical_noncentered": False}
    (line,) = trust.failures(failed)
    assert "No conclusion is drawn from partial pooling, non-centered" in line
    assert "adapt_delta 0.99" in line or "hierarchical_marginal in place of" in line
    assert "--retry" in line
    html = page.render(failed, page.sections(failed, {}, {}), made=MADE, missing={})
    assert html.index("--retry") < html.index("<h2>The data</h2>")
    assert sentences.in_short(failed) == []


def test_who_insists_gets_the_conclusions_below_the_banner(insisting):
    (line,) = trust.failures(insisting)
    assert "may be wrong" in line
    assert len(sentences.in_short(insisting)) > 1
    assert any("moves" in said for said in sentences.shrinkage(insisting, insisting.fits[1]))
    html = page.render(insisting, page.sections(insisting, {}, {}), made=MADE, missing={})
    assert 'role="alert"' in html
    assert "In short" in html


def test_earlier_attempts_are_told(failed):
    said = trust.verdicts(failed)
    assert said[1] == (
        "An attempt with hierarchical_centered failed divergences; it was made again with "
        "smaller steps."
    )
    assert "NOT TO BE TRUSTED" in said[2]


def test_saved_tables_say_which_rows_to_trust(failed, tmp_path):
    import pandas as pd

    folder._tables(failed, tmp_path, ())
    table = pd.read_csv(tmp_path / "estimates.csv")
    assert list(table.columns[:2]) == ["model", "trusted"]
    verdicts = table.groupby("model")["trusted"].agg(["min", "max"])
    assert verdicts.loc["no_pooling"].tolist() == [True, True]
    assert verdicts.loc["hierarchical_noncentered"].tolist() == [False, False]
    told = pd.read_csv(tmp_path / "columns.csv").fillna("")
    assert not told[(told["column"] == "trusted") & (told["meaning"] == "")].size


def test_no_model_is_best_where_pareto_k_are_bad(failed):
    trusted = dict.fromkeys(failed.trusted, True)
    good = dataclasses.replace(failed, trusted=trusted)
    assert any("scores best" in said for said in sentences.predicted(good))
    tables = {
        key: failed.tables[key].assign(bad_k=2, max_k=0.9) for key in ("loo", "leave_one_group_out")
    }
    bad = dataclasses.replace(good, tables={**failed.tables, **tables})
    said = sentences.predicted(bad)
    assert not any("scores best" in each for each in said)
    assert any("2 Pareto k are beyond the threshold" in each for each in said)
    assert any("no model is said to be best" in each for each in said)


# The retry itself


def test_a_fit_with_too_few_draws_is_made_again_until_it_passes(homework, cmdstan, lesson_fits):
    seen = []
    (fit,) = remedies.fit_until_trusted(
        [programs.load("complete_pooling")],
        homework,
        priors=priors_for(homework),
        settings=Settings(warmup=300, draws=60),
        cmdstan=cmdstan,
        report=lambda fit, found: seen.append((fit.settings.draws, found.settings.draws)),
    )
    assert diagnostics.trusted(diagnostics.check(fit))
    assert 1 <= len(seen) <= remedies.ATTEMPTS
    assert fit.settings.draws == seen[-1][1] > 100
    assert [attempt["settings"]["draws"] for attempt in fit.record.attempts] == [
        before for before, _ in seen
    ]
    assert {each["check"] for each in fit.record.attempts[0]["failed"]} & {"bulk ESS", "tail ESS"}
    json.dumps(fit.record.attempts, allow_nan=False)
    assert np.isfinite(fit.posterior["theta"]).all()


def test_a_form_that_diverges_gives_way_to_another(homework, cmdstan, lesson_fits):
    (fit,) = remedies.fit_until_trusted(
        [programs.load("hierarchical_centered")],
        homework,
        priors=priors_for(homework),
        settings=Settings(warmup=500, draws=500, adapt_delta=0.99),
        cmdstan=cmdstan,
    )
    first = fit.record.attempts[0]
    assert first["program"] == "hierarchical_centered"
    assert "divergences" in {each["check"] for each in first["failed"]}
    assert fit.name in {"hierarchical_noncentered", "hierarchical_marginal"}
