"""One call on a frame: what it takes, what it returns, what it refuses."""

from __future__ import annotations

import doctest
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotnine as p9
import pyarrow as pa
import pytest

import partialpool as pp
from helpers.published import eight_schools
from partialpool.data import example
from partialpool.families.exact import hierarchical
from partialpool.priors import HalfNormal, Normal, Uniform
from partialpool.programs.toolchain import CmdStan
from partialpool.tables import exponential, shrinkage


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_csv(example())


@pytest.fixture(scope="module")
def result(cmdstan: CmdStan) -> pp.Result:
    made: pp.Result = pp.compare("homework")
    return made


def model(data: Any, *args: Any, **how: Any) -> pp.Model:
    made: pp.Model = pp.compare(data, *args, fit=False, **how)
    return made


@pytest.mark.stan
@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f,
        lambda f: f.to_dict("list"),
        pa.Table.from_pandas,
        lambda f: f.set_index("hours", drop=False),
    ],
    ids=["pandas", "dict", "pyarrow", "index"],
)
def test_any_frame_gives_the_data_of_the_file(frame: pd.DataFrame, convert: Any) -> None:
    found = model(convert(frame), group="school", value="hours", name="homework").data
    file = pp.read_csv(example())
    np.testing.assert_array_equal(found.y, file.y)
    assert found.labels == file.labels
    assert (found.group_label, found.value_label) == ("school", "hours")


@pytest.mark.stan
def test_columns_decide_the_family_and_their_checks_are_those_of_files() -> None:
    schools = eight_schools()
    columns = {"s": schools.labels, "y": schools.stats.raw, "se": schools.stats.raw_se}
    columns["v"], columns["low"] = columns["se"] ** 2, columns["y"] - 1.959964 * columns["se"]
    columns["high"] = columns["y"] + 1.959964 * columns["se"]
    for roles in ({"se": "se"}, {"variance": "v"}, {"ci": ("low", "high")}):
        found = model(columns, group="s", estimate="y", **roles).data
        assert found.family.name == "known_errors"
        np.testing.assert_allclose(found.stats.raw_se, schools.stats.raw_se, rtol=1e-6)
    summaries = {"g": ["a", "b"], "n": [3, 4], "m": [1.0, 2.0], "s": [0.5, 0.7]}
    found = model(summaries, group="g", n="n", mean="m", sd="s").data
    assert found.stats.N == 7
    assert not found.has_observations


@pytest.mark.stan
def test_counts_in_a_frame_are_those_of_a_file() -> None:
    batting = pd.read_csv(example("batting"))
    roles = {"group": "player", "successes": "hits", "trials": "at_bats"}
    found, file = model(batting, **roles).data, model("batting").data
    assert found.family.name == file.family.name == "proportions"
    assert found.labels == file.labels
    for name, column in found.stats.columns.items():
        np.testing.assert_array_equal(column, file.stats.columns[name])
    assert (found.group_label, found.value_label) == ("player", "hits / at_bats")
    rows = {"g": ["a", "a", "b"], "won": [1, 0, 1]}
    assert model(rows, group="g", successes="won").data.stats.columns["trials"].tolist() == [2, 1]
    with pytest.raises(pp.InputError, match="2 successes in 1 trial"):
        model({"g": ["a", "b"], "won": [2, 0]}, group="g", successes="won")
    pumps = pd.read_csv(example("pumps"))
    time = {"exposure": "thousand_hours"}
    found, file = model(pumps, group="pump", count="failures", **time).data, model("pumps").data
    assert found.family.name == file.family.name == "rates"
    np.testing.assert_array_equal(found.y, file.y)
    found = model({"g": ["a", "b"], "n": [2, 0]}, group="g", count="n").data
    assert found.stats.raw.tolist() == [2, 0]


@pytest.mark.stan
def test_priors_of_counts_are_numbers_or_texts() -> None:
    programs = "hierarchical_marginal"
    by_text = model("batting", programs=programs, priors={"mu": "beta(2, 5)"}).choice
    assert (by_text.mu.alpha, by_text.mu.beta) == (2, 5)
    by_number = model("batting", programs=programs, priors={"mu_alpha": 2, "mu_beta": 5})
    assert by_number.data.family.base_choice(by_number.priors).mu == by_text.mu
    for priors in ({"tau": "half_t(3, 5)"}, {"mu": "normal(0, 1)"}, {"mu_scale": 3}):
        with pytest.raises(pp.InputError):
            model("batting", programs=programs, priors=priors)
    with pytest.raises(pp.InputError, match="mu_scael: no program of this run declares it"):
        model("homework", priors={"mu_scael": 3})


@pytest.mark.stan
def test_a_result_of_counts_is_scored_on_later_ones() -> None:
    made = pp.compare("batting", programs=["no_pooling", "hierarchical_marginal"])
    rest = pd.read_csv(example("batting_rest"))
    scores = made.on_later(pp.from_proportions(rest["player"], rest["hits"], rest["at_bats"]))
    assert list(scores["model"]) == ["hierarchical_marginal", "no_pooling"]
    with pytest.raises(pp.InputError, match="later outcomes are scored of proportions or rates"):
        made.on_later(pp.from_values(["a", "b"], [1.0, 2.0]))


@pytest.mark.stan
def test_the_order_of_a_categorical_is_kept(frame: pd.DataFrame) -> None:
    order = [str(k) for k in (5, 1, 3, 8, 2, 4, 6, 7)]
    school = pd.Categorical(frame["school"].astype(str), categories=order)
    found = model(frame.assign(school=school), group="school", value="hours").data
    assert list(found.labels) == order


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "group= names the column of the groups; there are the columns 'school', 'hours'"),
        ({"group": "school"}, "says what the rows are"),
        ({"group": "school", "value": "hour"}, "there is no column 'hour'; there are"),
        ({"group": "school", "value": "hours", "estimate": "hours"}, "give one of them"),
    ],
)
def test_roles_that_do_not_say_enough_are_refused(
    frame: pd.DataFrame, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(pp.InputError, match=re.escape(message)):
        pp.compare(frame, fit=False, **how)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(pp.InputError, match="data of type int: give a frame"):
        pp.compare(3, group="g", value="y")
    with pytest.raises(pp.InputError, match="the group is missing"):
        pp.compare({"g": ["a", None], "y": [1.0, 2.0]}, group="g", value="y")


@pytest.mark.stan
def test_priors_are_numbers_by_setting_or_text_by_parameter() -> None:
    given = {"tau": "half_t(4, 2)", "mu": "normal(8, 3)", "sigma_upper": 50}
    values = model(pp.from_values(list("aabb"), [1, 2, 3, 4]), priors=given).priors.values
    assert {name: values[name] for name in ("tau_df", "tau_scale", "mu_location")} == {
        "tau_df": 4,
        "tau_scale": 2,
        "mu_location": 8,
    }
    assert "tau_upper" not in values
    values = model("homework", priors={"tau": "uniform(9)"}).priors.values
    assert values["tau_upper"] == 9
    other = model("homework", priors={"tau": "half_normal(5)"})
    assert "Priors of partial pooling: mu ~ normal(20, 10), tau ~ half-normal(0, 5)" in repr(other)
    with pytest.raises(pp.InputError, match="not among the programs"):
        model("homework", priors={"tau": "half_normal(5)"}, programs="no_pooling")
    with pytest.raises(pp.InputError, match="'rho' is no parameter with a prior"):
        model("homework", priors={"rho": "normal(0, 1)"})


@pytest.mark.stan
def test_a_model_says_what_would_be_fitted() -> None:
    said = repr(model("homework"))
    assert "165 observations in 8 groups" in said
    assert "Priors (homework.toml): theta_location = 20" in said
    assert said.endswith(
        "Models: complete pooling, no pooling, partial pooling\nNot fitted yet: .fit()"
    )


def test_tables_are_those_of_the_report(result: pp.Result) -> None:
    fits = list(result.fits.values())
    pd.testing.assert_frame_equal(result.shrinkage, shrinkage.shrinkage_table(fits, result.data))
    assert result.table("claims")["pairs"].eq(28).all()
    assert set(result.loo["model"]) == set(result.fits)
    for frame in (result.contrasts, result.ranks, result.variance, result.predictions):
        assert len(frame)
    assert result.diagnostics["passed"].all()
    with pytest.raises(pp.InputError, match="there is no table 'shrinkag'"):
        result.table("shrinkag")


def test_groups_and_differences_answer_from_the_draws(result: pp.Result) -> None:
    five = result["5"]
    rows = result.estimates.set_index(["model", "parameter", "group"])
    row = rows.loc[("hierarchical_marginal", "theta", "5")]
    assert five.mean == pytest.approx(row["mean"])
    assert five.mcse == pytest.approx(row["mcse_mean"])
    assert five.interval() == pytest.approx((row["q2.5"], row["q97.5"]))
    assert five.prob(">", 8) + five.prob("<=", 8) == 1
    assert result[5].mean == five.mean
    pair = result.difference("5", "6")
    table = result.contrasts.set_index(["model", "group_i", "group_j"])
    assert pair.prob(">", 0) == table.loc[("hierarchical_marginal", "5", "6"), "p_greater"]
    no_pooling = result.difference("5", "6", model="no_pooling")
    assert no_pooling.mean > pair.mean
    assert re.match(r"School 5: mean 10\.\d+ hours a week, 95 % interval 7\.", repr(five))
    with pytest.raises(KeyError, match="no School '9'"):
        result["9"]
    with pytest.raises(pp.InputError, match="one of '>'"):
        five.prob("=", 8)
    with pytest.raises(pp.InputError, match="a probability"):
        five.quantile(95)


def test_new_rows_are_of_known_new_or_unnamed_groups(result: pp.Result) -> None:
    found = result.predict({"School": ["5", "9", "9", None, 5]})
    assert found["kind"].tolist() == ["known", "new", "new", "not named", "known"]
    table = result.predictions.set_index(["model", "quantity", "group"]).sort_index()
    known = table.loc[("hierarchical_marginal", "new observation", "5")]
    for row in (found.iloc[0], found.iloc[4]):
        assert row["mean"] == pytest.approx(known["mean"], abs=0.25)
        assert row["q97.5"] == pytest.approx(known["q97.5"], abs=0.5)
    fresh = table.loc[("hierarchical_marginal", "new observation in a new group", "")]
    assert found["mean"].iloc[1] == pytest.approx(fresh["mean"], abs=0.25)
    assert found["sd"].iloc[1] == pytest.approx(fresh["sd"], rel=0.05)
    means = result.shrinkage["hierarchical_marginal"]
    assert found["mean"].iloc[3] == pytest.approx(means.mean(), abs=0.25)
    frame = pd.DataFrame({"who": ["1", "2"]})
    assert result.predict(frame, group="who")["kind"].eq("known").all()
    with pytest.raises(pp.InputError, match="there is no column 'School'"):
        result.predict(frame)


def test_figures_are_listed_and_complete(result: pp.Result) -> None:
    names = dir(result.plot)
    assert {"models", "arrows", "contrasts", "population", "data"} <= set(names)
    figure = result.plot.models()
    assert isinstance(figure + p9.theme(legend_position="bottom"), p9.ggplot)
    assert "Homework (hours a week)" in str(figure.labels)
    with pytest.raises(AttributeError, match="no figure 'pie'; there are"):
        result.plot.pie  # noqa: B018


def test_what_is_saved_opens_as_it_was(result: pp.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "kept")
    again = pp.open(folder)
    pd.testing.assert_frame_equal(again.estimates, result.estimates)
    np.testing.assert_array_equal(again.data.y, result.data.y)
    assert repr(again.data) == repr(result.data)
    with pytest.raises(pp.InputError, match="holds no saved result"):
        pp.open(tmp_path)


@pytest.mark.parametrize("name", ["eight_schools", "batting", "pumps"])
def test_every_family_is_asked_saved_and_opened(
    cmdstan: CmdStan, tmp_path: Path, name: str
) -> None:
    found = pp.compare(name, programs="hierarchical_marginal")
    label = found.data.labels[0]
    row = found.estimates.query(f"parameter == 'theta' and group == {label!r}").iloc[0]
    assert found[label].mean == pytest.approx(row["mean"])
    assert len(found.verdicts()) > 2
    assert isinstance(found.plot.arrows(), p9.ggplot)
    again = pp.open(found.save(tmp_path / name))
    pd.testing.assert_frame_equal(again.estimates, found.estimates)
    assert again.data.family is found.data.family


def test_a_prior_without_settings_is_that_of_the_exact_posterior(result: pp.Result) -> None:
    found = pp.compare("homework", priors={"tau": "half_normal(0.3)"})
    priors = {"mu": Normal(20, 10), "tau": HalfNormal(0.3), "sigma": Uniform(1000)}
    exact = hierarchical(found.data.stats, **priors).summary(groups=["5"])
    row = exact[(exact["parameter"] == "theta") & (exact["group"] == "5")].iloc[0]
    five = found["5"]
    assert abs(five.mean - row["mean"]) < 5 * five.mcse
    assert five.mean < result["5"].mean
    assert five.model == "partial pooling"
    assert list(found.fits)[:2] == ["complete_pooling", "no_pooling"]
    assert any("mean μ" in line for line in found.verdicts())


def test_results_are_set_side_by_side(result: pp.Result, frame: pd.DataFrame) -> None:
    other = pp.compare(
        frame,
        group="school",
        value="hours",
        programs="hierarchical_marginal",
        priors={"tau": "uniform(0.1)", "mu": "normal(20, 10)"},
    )
    both = pp.beside({"lesson": result, "tight": other})
    assert list(both["group"]) == list(result.data.labels)
    assert both["tight"].std() < 0.2 * both["lesson"].std()


def test_logarithms_are_shown_on_the_scale_of_the_data(
    cmdstan: CmdStan, frame: pd.DataFrame
) -> None:
    frame = frame.assign(hours=frame["hours"] + 1)
    found = pp.compare(
        frame, group="school", value="hours", log=True, programs="hierarchical_marginal"
    )
    row = found.estimates.query("parameter == 'theta' and group == '5'").iloc[0]
    assert found["5"].mean == pytest.approx(row["mean"])
    assert found.difference("5", "6").prob(">", 1) > 0.9
    logs = found.table(exponential.OF_LOGARITHMS).query("parameter == 'theta' and group == '5'")
    assert np.exp(logs["mean"].iloc[0]) == pytest.approx(row["mean"])


def test_a_fit_that_fails_is_never_returned_without_a_word(cmdstan: CmdStan) -> None:
    with pytest.warns(pp.NotTrusted, match="partial pooling, centered"):
        found = pp.compare("homework", programs="hierarchical_centered", warmup=50, draws=60)
    first = repr(found).splitlines()[1]
    assert "failed a diagnostic" in first
    assert repr(found["5"]).startswith("NOT TO BE TRUSTED (")


def test_representations_are_short_and_escape_what_labels_hold(result: pp.Result) -> None:
    for each in (result.data, *result.fits.values(), result["5"], pp.load("no_pooling")):
        assert len(repr(each)) < 400
    assert "all 7 diagnostics passed" in repr(result.fits["no_pooling"])
    shown = result._repr_html_()
    assert shown.count("<tr") == 9
    assert "<th>Partial pooling</th>" in shown
    assert re.search(r"<td>9\.\d+ \(0\.0\d+\)</td>", shown)


@pytest.mark.stan
def test_programs_may_be_named_and_priors_left_out(
    cmdstan: CmdStan, homework: pp.GroupedData
) -> None:
    [fit] = pp.fit_programs("no_pooling", homework, cmdstan=cmdstan)
    assert fit.record.priors["theta_location"] == 20


PLAIN = {"InputError", "NotTrusted", "PartialPoolError", "SamplingError", "ToolchainError"}
"""Public names that need no example: errors and a warning; `diagnostics` is a module."""


@pytest.mark.parametrize("name", sorted(set(pp.__all__) - PLAIN - {"diagnostics"}))
def test_each_public_name_has_an_example_that_runs(cmdstan: CmdStan, name: str) -> None:
    public = getattr(pp, name)
    module = sys.modules[public.__module__]
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    [found] = finder.find(public, name, module=module)
    assert found.examples
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.run(found)
    assert runner.summarize(verbose=False).failed == 0
