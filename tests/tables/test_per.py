"""Proportions and rates shown per 100, per 1,000 or more: scaled once, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.draws import fit_of
from partialpool.api.result import Result
from partialpool.data import GroupedData, from_estimates, from_proportions, from_rates
from partialpool.data.examples import example
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.inputs import priors_for
from partialpool.programs import find_program
from partialpool.report import funnel, precision
from partialpool.report.sentences import models, short
from partialpool.tables import comparison, exponential, meanings, thresholds

NAME = "hierarchical_marginal"
SHORT = ("--chains", "2", "--warmup", "300", "--draws", "300")


def exact_fit(data: GroupedData) -> Fit:
    """Draws from the exact posterior, as a fit of the shipped program."""
    priors = priors_for(data)
    choice = data.family.base_choice(priors)
    drawn = data.family.draw_alternative(
        choice, data.stats, rng=np.random.default_rng(5), shape=(2, 400), draw_groups=True
    )
    drawn["theta_new"] = drawn["theta"][..., 0]
    fit = fit_of(data, "partial", drawn, name=NAME, priors=priors.values)
    source = find_program(NAME, family=data.family.name).read_text("utf-8")
    return replace(fit, record=replace(fit.record, family=data.family.name, source=source))


@pytest.fixture(scope="module", params=[("batting", 100), ("pumps", 1000)])
def both(request):
    name, per = request.param
    data = read(example(name))
    fit = exact_fit(data)
    plain, scaled = (
        comparison.compute(each, [fit], thresholds=limits)
        for each, limits in ((data, (0.3,)), (data.shown_per(per), (0.3 * per,)))
    )
    return plain, exponential.of_comparison(scaled), per


FACTORS = {
    "groups": {"proportion": 1, "rate": 1, "q2.5": 1, "trials": 0, "events": 0},
    "shrinkage": {"estimate": 1, "mcse": 1, "raw_se": 1, "target": 1, "displacement_se": 0},
    "shrinkage_wide": {"sample_mean": 1, NAME: 1, f"{NAME}_mcse": 1},
    "contrasts": {"mean": 1, "mcse": 1, "q2.5": 1, "p_greater": 0, "ratio": 0, "odds_ratio": 0},
    "rank_summary": {"p_best": 0, "expected_rank": 0, "mcse": 0},
    "thresholds": {"threshold": 1, "p_above": 0, "mcse": 0},
    "maximum_likelihood": {"mu": 1, "tau": 1, "size": 0, "shape": 0, "log_likelihood": 0},
    "predictors": {"plug_in": 1, "james_stein": 1, "exact_q2.5": 1},
    "prior_choices": {"tau_median": 1, "tau_q97.5": 1, "lambda_median": 0, "k": 0},
    "populations": {"estimate": 1, "own_estimate": 1, "elpd": 0, "largest_movement": 0},
    "leave_one_group_out_groups": {"elpd": 0, "below": 0},
}


def test_what_is_in_the_unit_of_theta_is_scaled_and_nothing_else(both):
    plain, scaled, per = both
    for key, columns in FACTORS.items():
        before, after = plain.tables[key], scaled.tables[key]
        assert set(columns) & set(before), key
        assert list(before) == list(after)
        for column in set(columns) & set(before):
            expected = before[column].to_numpy(dtype=float) * per ** columns[column]
            np.testing.assert_allclose(after[column], expected, rtol=1e-12, err_msg=column)


def test_rows_that_are_not_of_theta_stay_as_they_are(both):
    plain, scaled, per = both
    powers = {"theta": 1, "mu": 1, "tau": 1, "sigma": 1, "theta_new": 1, "tau2": 2}
    powers |= {"new group mean": 1, "Smallest": 1, "Largest": 1}
    seen = set()
    for key, column in (
        ("estimates", "parameter"),
        ("exact", "parameter"),
        ("variance", "quantity"),
        ("predictions", "quantity"),
        ("posterior_checks", "statistic"),
    ):
        for before, after in zip(
            plain.tables[key].to_dict("records"), scaled.tables[key].to_dict("records"), strict=True
        ):
            of = str(before[column])
            of = of.split()[0] if column == "statistic" else of
            power = powers.get(of, 0)
            seen.add((key, power))
            value = "exact" if key == "exact" else "median"
            assert after[value] == pytest.approx(before[value] * per**power, rel=1e-12, nan_ok=True)
    assert {("estimates", 0), ("variance", 2), ("predictions", 0), ("posterior_checks", 0)} <= seen


def test_errors_that_are_found_for_the_page_have_the_same_scale(both):
    plain, scaled, per = both
    fit = plain.fits[0]
    pairs = [(plain.data.labels[0], plain.data.labels[1])]
    before, after = (precision.of_contrasts(each, fit, pairs)["q2.5"] for each in (plain, scaled))
    np.testing.assert_allclose(after, per * before)
    one, two = (precision.variance(each) for each in (plain, scaled))
    np.testing.assert_allclose(two["mcse_median"][0], per**2 * one["mcse_median"][0])
    one, two = (
        precision.predicted(each, fit, each.table("predictions", quantity="new group mean"))
        for each in (plain, scaled)
    )
    np.testing.assert_allclose(two["mcse_q2.5"], per * one["mcse_q2.5"])


def test_words_and_figures_have_the_unit(both):
    plain, scaled, per = both
    unit = {100: "%", 1000: "per 1,000,000 hours"}[per]
    assert scaled.data.axis_title.endswith(f"({unit})")
    fit = scaled.fits[0]
    mean = per * float(fit.posterior["mu"].mean())
    said = next(line for line in short.in_short(scaled) if "mean μ" in line)
    assert f" {unit} (95 % interval" in said
    assert float(said.split(" = ")[1].split()[0]) == pytest.approx(mean, rel=0.05)
    apart = {100: "percentage points", 1000: unit}[per]
    spread = next(line for line in models.partial(scaled, fit) if "τ, " in line)
    median = per * float(np.median(fit.posterior["tau"]))
    assert f" {apart}, 95 % interval" in spread
    found = float(spread.split("τ, has posterior median ")[1].split()[0])
    assert found == pytest.approx(median, rel=0.1)
    if funnel.shown(scaled):
        before, after = (funnel.figure(each, fit).arguments for each in (plain, scaled))
        assert after["center"] == per * before["center"]
        for name in ("low", "high"):
            np.testing.assert_allclose(after["limits"][name], per * before["limits"][name])
        for name in ("raw", "estimate"):
            np.testing.assert_allclose(after["points"][name], per * before["points"][name])


def test_columns_say_what_they_were_multiplied_by(both):
    plain, scaled, per = both
    listed = meanings.table(scaled.tables, scaled.data.words)
    told = exponential.described(listed, scaled.data).set_index(["table", "column"])["meaning"]
    assert told["shrinkage", "estimate"].endswith(f"; multiplied by {per:,}")
    assert "where it is in the unit of theta" in told["estimates", "mean"]
    assert "multiplied" not in told["contrasts", "p_greater"]
    pd.testing.assert_frame_equal(exponential.described(listed, plain.data), listed)


def test_a_result_is_asked_in_the_unit_shown_and_keeps_it(tmp_path):
    data = read(example("batting"))
    fit = exact_fit(data)
    plain, scaled = (Result(each, (fit,)) for each in (data, data.shown_per(100)))
    before, after = (each["Clemente"] for each in (plain, scaled))
    assert after.mean == pytest.approx(100 * before.mean)
    assert after.interval()[0] == pytest.approx(100 * before.interval()[0])
    assert (after.sd, after.mcse) == pytest.approx((100 * before.sd, 100 * before.mcse))
    assert after.prob(">", 30) == before.prob(">", 0.3)
    assert " % " in repr(after)
    apart = scaled.difference("Clemente", "Alvis")
    assert "percentage points" in repr(apart)
    scaled.save(tmp_path / "kept")
    opened = Result.open(tmp_path / "kept")
    assert (opened.data.per, opened.data.unit) == (100, "%")
    pd.testing.assert_frame_equal(opened.shrinkage, scaled.shrinkage)
    file = tmp_path / "kept" / "data.json"
    older = json.loads(file.read_text())
    del older["per"]
    file.write_text(json.dumps(older))
    assert Result.open(tmp_path / "kept").data.per == 1


def test_what_cannot_be_shown_so_is_refused():
    batting = read(example("batting"))
    for value in (0, 1, -100, 50, 99):
        with pytest.raises(InputError, match="per 100, 1000, 10000, 100000, 1000000"):
            batting.shown_per(value)
    with pytest.raises(InputError, match="for proportions and rates, and these data are estimates"):
        from_estimates(list("abc"), [1, 2, 3], [1, 1, 1]).shown_per(100)
    percent = batting.shown_per(100)
    assert thresholds.check([30.0], percent) == (30.0,)
    with pytest.raises(InputError, match="between 0 and 100"):
        thresholds.check([130.0], percent)
    assert exponential.log_delta(percent, 5.0) == 0.05


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("", "per 1,000 of exposure"),
        ("per month", "per 1,000 months"),
        ("per person-year", "per 1,000 person-years"),
        ("per km", "per 1,000 km"),
        ("per 1000 hours", "per 1,000,000 hours"),
        ("cases", "cases, per 1,000 of exposure"),
        ("events per month", "events per 1,000 months"),
    ],
)
def test_units_of_rates(unit, shown):
    data = from_rates(["a", "b"], [5, 1], [94.3, 15.7], unit=unit)
    assert data.shown_per(1000).unit == shown


@pytest.mark.parametrize(
    ("unit", "per", "shown", "apart"),
    [
        ("", 100, "%", "percentage points"),
        ("%", 100, "%", "percentage points"),
        ("%", 1000, "per 1,000", "per 1,000"),
        ("of visits", 100, "of visits, in %", "of visits, in %"),
        ("of visits", 1000, "of visits, per 1,000", "of visits, per 1,000"),
    ],
)
def test_units_of_proportions(unit, per, shown, apart):
    data = from_proportions(["a", "b"], [5, 1], [94, 15], unit=unit).shown_per(per)
    assert (data.unit, data.unit_apart) == (shown, apart)


def test_commands_show_record_and_repeat_it(run, tmp_path, cmdstan):
    code, out, _ = run("fit", "batting", "--per", "100", *SHORT)
    assert code in (0, 5)
    assert "Batting average (%)" in out
    table = pd.read_csv(next(tmp_path.rglob("estimates.csv")))
    rows = table.set_index("parameter")
    assert 20 < rows.loc["mu", "mean"] < 35
    assert rows.loc["size", "median"] < 1000
    [folder] = [path.parent for path in tmp_path.rglob("manifest.json")]
    made = json.loads((folder / "manifest.json").read_text())
    assert (made["data"]["labels"]["per"], made["data"]["labels"]["unit"]) == (100, "%")
    code, out, _ = run("rerun", str(folder))
    assert code == 0
    assert "different" not in out
    code, _, err = run("verify", "batting", "--per", "100")
    assert code == 2
    assert "--per: verify shows probabilities" in err
