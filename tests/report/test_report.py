"""The report: what it says, that it says it only of fits to be trusted, and how it is written."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from helpers.hand_made import simulated
from partialpool import text
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.programs import shipped_folder, statements
from partialpool.report import (
    drawing,
    figures,
    mathematics,
    page,
    sentences,
    views,
    wording,
)
from partialpool.report import (
    folder as folder_module,
)
from partialpool.tables import checks, comparison, meanings, shrinkage

HARD = ['São Paulo, "A" <b>&$x$', "two\nlines", "🏫 & co", "../../etc", "001", "1"]
NONE, PARTIAL = "no_pooling", "hierarchical_noncentered"
MODELS = ["complete_pooling", NONE, PARTIAL]


@pytest.fixture(scope="session")
def lesson(homework, lesson_fits):
    return comparison.compute(homework, [lesson_fits[name] for name in MODELS])


@pytest.fixture(scope="session")
def hard(fitted):
    made = simulated([9, 14, 5, 30, 7, 8], HARD)
    return comparison.compute(made, fitted(made, MODELS, draws=150, pointwise=True), delta=2.0)


def failing(found, *names):
    trusted = {**found.trusted, **dict.fromkeys(names, False)}
    table = found.tables["diagnostics"].copy()
    wrong = table["model"].isin(names) & (table["check"] == "divergences")
    table.loc[wrong, "passed"] = False
    return dataclasses.replace(
        found, trusted=trusted, tables={**found.tables, "diagnostics": table}
    )


def one(found, kind):
    fit = found.model(kind)
    assert fit is not None
    return fit


# What the sentences say


def test_the_lesson_is_told_from_the_numbers(lesson):
    none = " ".join(sentences.none(lesson, one(lesson, "none")))
    assert "highest mean is that of school 5" in none
    assert "5 above 6" in none
    lifted = re.search(
        r"N\(20, 10²\), lifts every one above its sample mean, by 0\.0\d* hours a week "
        r"\(school (\d)\) to 0\.3\d* hours a week \(school 5\)",
        none,
    )
    assert lifted
    partial = " ".join(sentences.partial(lesson, one(lesson, "partial")))
    assert "5 above 6" not in partial
    assert re.search(r"μ, is 7\.[6-9]\d? hours a week", partial)
    assert "is larger than that between groups" in partial
    moved = " ".join(sentences.shrinkage(lesson, one(lesson, "partial")))
    assert "moves each of the 8 group means towards μ" in moved
    assert re.search(r"School 5 moves most from its sample mean: by −1\.[56]\d? hours", moved)
    assert "weakest data (n = 9)" in moved
    complete = " ".join(sentences.complete(lesson, one(lesson, "complete")))
    assert "The mean of all groups is 7." in complete
    assert re.search(r"variance of all observations has posterior median 1[67]", complete)


def test_overlap_is_never_called_a_test(lesson):
    assert sentences.not_a_test(lesson) == [sentences.NOT_A_TEST]
    compared = sentences.compared(lesson)
    overlapping = next(s for s in compared if "overlap is no sign" in s)
    assert re.match(r"[78] of 28 pairs have intervals that overlap and a difference", overlapping)
    assert "no pooling with one variance would find 10 different" in " ".join(compared)
    assert any(re.search(r"overlapping under partial pooling.*5 above 6", s) for s in compared)
    assert any("posterior of the difference itself" in s for s in compared)


def test_moved_most_and_weakest_data_are_told_apart(lesson):
    moved = lesson.tables["moved"].copy()
    weakest = moved["statement"] == "weakest data"
    moved.loc[weakest, ["group", "n", "displacement"]] = ["2", 3, 0.25]
    other = dataclasses.replace(lesson, tables={**lesson.tables, "moved": moved})
    said = " ".join(sentences.shrinkage(other, one(lesson, "partial")))
    assert "School 5 moves most from its sample mean" in said
    assert "weakest data are those of school 2 (n = 3)" in said


def test_a_group_that_moves_away_is_named(lesson):
    table = lesson.tables["shrinkage"].copy()
    row = (table["model"] == PARTIAL) & (table["group"] == "3")
    table.loc[row, "displacement"] *= -1
    other = dataclasses.replace(lesson, tables={**lesson.tables, "shrinkage": table})
    said = sentences.shrinkage(other, one(lesson, "partial"))[0]
    assert "7 of 8 means towards μ" in said
    assert "3 away from it" in said


def test_nothing_is_concluded_from_a_fit_that_failed(lesson):
    bad = failing(lesson, PARTIAL)
    fit = one(bad, "partial")
    for said in (
        sentences.partial(bad, fit),
        sentences.shrinkage(bad, fit),
        sentences.checked(bad, fit),
    ):
        assert len(said) == 1
        assert "No conclusion is drawn from partial pooling, non-centered" in said[0]
        assert "divergences" in said[0]
    assert sentences.in_short(bad) == []
    assert sentences.ranked(bad, fit) == []
    assert not any("partial pooling" in s for s in sentences.predicted(bad) if "95 %" in s)
    compared = sentences.compared(bad)
    assert "No conclusion" in compared[0]
    assert not any("under partial pooling" in s for s in compared)
    assert sentences.none(bad, one(bad, "none")) == sentences.none(lesson, one(lesson, "none"))


def test_a_trusted_fit_speaks_for_its_kind(homework, lesson_fits):
    fits = [lesson_fits[name] for name in ("hierarchical_centered", PARTIAL)]
    trusted = {"hierarchical_centered": False, PARTIAL: True}
    found = comparison.Comparison(homework, tuple(fits), {}, {}, trusted)
    assert found.model("partial") is fits[1]
    assert (
        dataclasses.replace(found, trusted=dict.fromkeys(trusted, False)).model("partial")
        is fits[0]
    )


@pytest.mark.parametrize(
    ("p", "draws", "expected"),
    [
        (0.5, 1_000_000, "50.0 %"),
        (0.5, 400, "50 %"),
        (1.0, 1000, "more than 99.8 %"),
        (0.0, 1000, "less than 0.2 %"),
    ],
)
def test_probabilities_carry_the_digits_of_their_error(p, draws, expected):
    assert wording.percent(p, draws) == expected


def test_a_label_that_names_its_kind_stands_alone(lesson):
    assert wording.named(lesson, "5") == "school 5"
    assert wording.named(lesson, "School 5") == "School 5"


def test_lists_of_many_are_cut():
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed([str(k) for k in range(20)]).endswith("7 and 12 more")


# The mathematics


def lines(source, by_group=("theta", "eta"), **values):
    return mathematics.write(
        statements.read(source).given(values), mathematics.Names(frozenset(by_group), values)
    )


def flat(markup):
    return re.sub(r"\s+", "", "".join(ET.fromstring(str(markup)).itertext())).replace("\u2062", "")


def shipped(name):
    return (shipped_folder() / f"{name}.stan").read_text(encoding="utf-8")


def test_shipped_programs_are_written_as_the_lesson_writes_them():
    centered = lines(
        shipped("hierarchical_centered"),
        mu_location=20,
        mu_scale=10,
        tau_upper=1000,
        sigma_upper=50,
    )
    said = [flat(line) for line in centered]
    assert said[0].startswith("yij∼N(θj,σ2)")
    assert said[1].startswith("θj∼N(μ,τ2)")
    assert said[2:] == ["μ∼N(20,102)", "τ∼U(0,1000)", "σ∼U(0,50)"]
    half_t = lines(shipped("hierarchical_centered"), tau_df=3, tau_scale=5)
    assert [flat(line) for line in half_t][3] == "τ∼t(3,0,5),τ≥0"
    noncentered = [flat(line) for line in lines(shipped("hierarchical_noncentered"))]
    assert noncentered[1].startswith("ηj∼N(0,1)")
    assert noncentered[2].startswith("θj=μ+τηj")
    none = lines(shipped("no_pooling"), ("theta", "sigma", "sigma2"), sigma2_shape=0.5)
    assert flat(none[0]).startswith("yij∼N(θj,σj2)")
    assert flat(none[2]).startswith("σj2∼IG(0.5,")


@pytest.mark.parametrize(
    "name", ["complete_pooling", "hierarchical_centered", "no_pooling_common_variance"]
)
def test_sums_of_squares_are_written_as_the_distribution_that_they_have(name):
    """Of a squared sd times chi-squared, the log density is -ssw / (2 sigma^2) - df log(sigma)."""
    said = [flat(line) for line in lines(shipped(f"adjusted/{name}"))]
    assert "sswσ2∼χ²(df)" in said
    assert not any("target" in line for line in said)
    other = lines(shipped(f"adjusted/{name}").replace("df * log(sigma)", "df * log(tau)"))
    assert any("target" in flat(line) for line in other)


def test_an_edited_prior_shows_as_it_was_edited():
    source = shipped("hierarchical_centered").replace(
        "lprior += uniform_lpdf(tau | 0, tau_upper);", "lprior += cauchy_lpdf(tau | 0, 5);"
    )
    assert "τ∼Cauchy(0,5),τ≥0" in [flat(line) for line in lines(source)]
    prior = statements.prior_of(statements.read(source).given({}), "tau", {})
    assert prior is not None
    x = np.array([-1.0, 0.0, 3.0])
    np.testing.assert_allclose(prior.density(x), [0, *stats.halfcauchy.pdf(x[1:], scale=5)])
    drawn = prior.draws(4000, np.random.default_rng(1))
    assert drawn.min() >= 0
    assert np.median(drawn) == pytest.approx(5, rel=0.1)


def test_an_edited_prior_of_what_is_computed_is_cut_off_at_its_bound_too():
    source = shipped("hierarchical_marginal").replace(
        "lprior += uniform_lpdf(sigma | 0, sigma_upper);", "lprior += cauchy_lpdf(sigma | 0, 5);"
    )
    assert "σ∼Cauchy(0,5),σ≥0" in [flat(line) for line in lines(source, sigma_upper=50)]
    prior = statements.prior_of(statements.read(source), "sigma", {})
    assert prior is not None
    np.testing.assert_allclose(
        prior.density(np.array([-1.0, 3.0])), [0, stats.halfcauchy.pdf(3, scale=5)]
    )


@pytest.mark.parametrize(
    ("statement", "exact"),
    [
        ("tau ~ normal(0, 2);", stats.halfnorm(scale=2)),
        ("tau ~ exponential(0.5);", stats.expon(scale=2)),
        ("tau ~ inv_gamma(3, 4);", stats.invgamma(3, scale=4)),
        ("tau ~ uniform(0, top);", stats.uniform(0, 9)),
        ("tau ~ lognormal(1, 0.5);", stats.lognorm(0.5, scale=math.e)),
    ],
)
def test_prior_densities_are_those_of_stan(statement, exact):
    source = f"parameters {{ real<lower=0> tau; }} model {{ {statement} }}"
    prior = statements.prior_of(statements.read(source).given({}), "tau", {"top": 9.0})
    assert prior is not None
    x = np.linspace(0.1, 8, 20)
    np.testing.assert_allclose(prior.density(x), exact.pdf(x))


@pytest.mark.parametrize(
    "source",
    [
        "model { tau ~ normal(0, mu); }",
        "model { tau ~ my_own(0, 1); }",
        "model { tau ~ normal(0, 1); tau ~ normal(0, 2); }",
        "model { }",
    ],
)
def test_a_prior_that_is_no_known_constant_family_is_not_drawn(source):
    assert statements.prior_of(statements.read(source).given({}), "tau", {}) is None


def test_what_is_not_understood_is_shown_as_code():
    source = 'model { target += foo(theta, "<b>"); for (j in 1:J) theta[j] ~ normal(0, 1); }'
    assert str(lines(source)[0]) == "<code>target += foo(theta, &#34;&lt;b&gt;&#34;)</code>"
    assert "<math" not in str(lines("model { y ~ normal(mu[1:3] ? 1 : 2, 1); }")[0])


def test_the_marginal_program_is_written_as_the_model_it_is(lesson_fits):
    fit = lesson_fits["hierarchical_marginal"]
    centered = statements.read(shipped("hierarchical_centered"))
    assert statements.of_program(fit.record.source) == centered.given({})
    assert statements.of_program("") is None


# The tables


def test_every_column_of_every_table_has_a_meaning(hard):
    assert not hard.missing
    told = meanings.table(hard.tables, hard.data.family.words)
    assert not told[told["meaning"] == ""].to_dict("records")
    assert set(told["table"]) == set(hard.tables)


def test_a_table_that_fails_leaves_the_others(homework, lesson_fits, monkeypatch):
    def broken(*_args, **_how):
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(comparison.contrasts, "contrasts", broken)
    monkeypatch.setattr(comparison.exactness, "verify_shipped", broken)
    found = comparison.compute(homework, [lesson_fits[name] for name in (NONE, PARTIAL)])
    assert found.missing["contrasts"] == "ZeroDivisionError: no luck"
    assert set(found.missing) == {"contrasts", "claims", "claims_by_variance", "exact"}
    assert len(found.tables["estimates"])
    html = page.render(found, page.sections(found, {}, {}), made=MADE, missing=found.missing)
    assert "ZeroDivisionError: no luck" in html


def test_parts_without_their_table_are_named(lesson):
    tables = {k: v for k, v in lesson.tables.items() if k not in ("variance", "estimates")}
    tables["claims"] = tables["claims"][["model"]]
    bare = dataclasses.replace(lesson, tables=tables)
    html = page.render(bare, page.sections(bare, {}, {}), made=MADE, missing={})
    text = "".join(Reader(html).text)
    assert "Missing: the table “claims” could not be made" in text
    assert "School 5 moves most from its sample mean" in text


@pytest.mark.parametrize(
    ("kept", "pooling"),
    [(["mu", "tau"], "other"), (["theta"], "none"), (["theta", "mu"], "partial")],
)
def test_a_program_that_lacks_variables_gets_a_shorter_report(homework, lesson_fits, kept, pooling):
    fit = lesson_fits[PARTIAL]
    tree = fit.draws.copy()
    tree["posterior"] = xr.DataTree(fit.posterior[kept])
    lacking = ["no lprior: nothing to power-scale"]
    edited = fit.record.source + "// edited: no exact posterior is known\n"
    about = {"pooling": pooling, "lacking": lacking, "source": edited}
    fit = Fit(tree, dataclasses.replace(fit.record, **about))
    found = comparison.compute(homework, [fit])
    assert not found.missing
    for plan in figures.plan(found, {}):
        plan.make()
    html = page.render(found, page.sections(found, {}, {}), made=MADE, missing={})
    text = "".join(Reader(html).text)
    assert "could not" not in text
    assert "The program has no lprior: nothing to power-scale." in text


def test_long_tables_are_cut_with_a_pointer_to_the_file(fitted):
    made = simulated([4] * 60, [f"g{k}" for k in range(60)])
    [fit] = fitted(made, [PARTIAL], draws=60)
    tables = {"shrinkage": shrinkage.shrinkage([fit], made)}
    found = comparison.Comparison(made, (fit,), tables, {}, {PARTIAL: True})
    view = views.displacement(found, fit)
    assert view is not None
    assert (len(view.rows), view.dropped, view.csv) == (40, 20, "shrinkage")


def test_pairs_are_turned_so_that_the_first_is_higher(lesson):
    view = views.contrasts(lesson)
    assert view is not None
    place = view.head.index("Partial pooling: difference")
    assert all(row[place].value >= 0 for row in view.rows)
    pairs = [row[0].text for row in view.rows]
    assert "5 − 6" in pairs
    assert "6 − 5" not in pairs
    row = view.rows[pairs.index("5 − 6")]
    table = lesson.table("contrasts", model=NONE, group_i="5", group_j="6")
    assert row[1].value == pytest.approx(table["mean"].item())


def test_replicates_are_compared_group_by_group(hard):
    table = hard.tables["posterior_checks"]
    rows = hard.table("posterior_checks", model=PARTIAL, statistic="Maximum")
    y, group = hard.data.y, hard.data.group
    assert list(rows["observed"]) == [y[group == j].max() for j in range(len(HARD))]
    sd = hard.table("posterior_checks", model=PARTIAL, statistic="Sample sd")
    np.testing.assert_allclose(sd["observed"], hard.data.summary()["sd"])
    assert table["p_value"].between(0, 1).all()
    assert (table["q2.5"] <= table["median"]).all()


def test_replicates_are_simulated_where_the_program_makes_none(homework, lesson_fits):
    fit = lesson_fits[NONE]
    drawn = np.stack(list(checks.replicates(fit, homework)))
    assert drawn.shape == (1000, homework.stats.N)
    means = np.array([drawn[:, homework.group == j].mean() for j in range(8)])
    np.testing.assert_allclose(means, homework.stats.mean, atol=0.6)


# The page

MADE = {
    "made": "today",
    "versions": {"partialpool": "1", "python": "3"},
    "data": {"source": "a.csv", "name": "a", "sha256": "f" * 64},
    "fits": [],
}


class Reader(HTMLParser):
    """Collects the text, the attributes and whether tags are balanced."""

    VOID = ("meta", "img", "link", "br", "hr", "input")

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="session")
def hard_page(hard):
    models = {fit.name: statements.of_program(fit.record.source) for fit in hard.fits}
    broken = page.Picture("loo-k", "", problem='ValueError: <b>"bad"</b>')
    parts = page.sections(hard, {"checks": [broken]}, models)
    return page.render(hard, parts, made=MADE, missing={})


def test_the_page_shows_labels_as_given(hard_page):
    reader = Reader(hard_page)
    cells = set(reader.text)
    for label in HARD:
        assert label in cells
    assert "b" not in reader.tags


def test_the_page_needs_nothing_from_elsewhere(hard_page):
    for tag, name, value in Reader(hard_page).attributes:
        if name in ("src", "href", "data", "action"):
            assert value.startswith(("#", "data:", "tables/", "manifest.json")), (tag, value)
    assert not re.search(r"@import|url\(|fetch\(|https?://", hard_page)


def test_the_page_reads_in_the_order_of_the_lesson(hard_page):
    order = [v for t, n, v in Reader(hard_page).attributes if t == "section" and n == "id"]
    sections = [key for key in order if not key.startswith("model-")]
    assert sections == [
        "data",
        "models",
        "diagnostics",
        "shrinkage",
        "comparisons",
        "prediction",
        "checks",
        "made",
    ]
    assert [key for key in order if key.startswith("model-")] == ["model-1", "model-2", "model-3"]


def test_a_missing_figure_is_named_with_its_reason(hard_page):
    text = "".join(Reader(hard_page).text)
    assert 'the figure “loo-k” could not be drawn (ValueError: <b>"bad"</b>)' in text


def test_a_fit_that_failed_raises_a_banner(lesson):
    good = page.render(lesson, page.sections(lesson, {}, {}), made=MADE, missing={})
    assert 'role="alert"' not in good
    assert "In short" in good
    bad = failing(lesson, PARTIAL)
    html = page.render(bad, page.sections(bad, {}, {}), made=MADE, missing={})
    assert html.index('role="alert"') < html.index("<h2>The data</h2>")
    assert "In short" not in html
    assert "School 5 moves most from its sample mean" not in html


# The folder


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (7,)


def small_plan(found, _models):
    def broken():
        raise RuntimeError("cannot be prepared")

    def given(key, observations, function="data_by_group"):
        arguments = {"observations": observations}
        return figures.Plan("checks", key, lambda: drawing.Figure(key, function, arguments, "", ""))

    data = next(p for p in figures.plan(found, {}) if p.key == "data")
    return [
        given("dead", Deadly()),
        data,
        figures.Plan("checks", "broken", broken),
        given("wrong", None),
        given("none", None, "no_such_figure"),
    ]


@pytest.fixture(scope="session")
def folder(hard, tmp_path_factory):
    target = tmp_path_factory.mktemp("results") / "hard $x"

    def computed(data, fits, **asked):
        assert (data, tuple(fits), asked["delta"]) == (hard.data, hard.fits, hard.delta)
        others = ("insist", "equal_effects", "thresholds", "later")
        assert not any(asked[name] for name in others)
        return hard

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder_module, "compute", computed)
        patch.setattr(folder_module, "plan", small_plan)
        assert folder_module.write(target, hard.data, hard.fits, delta=2.0, processes=1) == target
    return target


def test_the_folder_is_whole(folder, hard):
    assert sorted(p.name for p in folder.iterdir()) == [
        "figures",
        "fits",
        "manifest.json",
        "report.html",
        "tables",
    ]
    assert sorted(p.name for p in (folder / "figures").iterdir()) == ["data.png", "data.svg"]
    saved = {p.stem for p in (folder / "tables").iterdir()}
    assert saved == {*hard.tables, "columns", "main"}
    groups = pd.read_csv(folder / "tables" / "groups.csv", dtype={"group": str})
    assert list(groups["group"]) == HARD
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in html
    assert "RuntimeError: cannot be prepared" in html
    alt = [v for t, n, v in Reader(html).attributes if t == "img" and n == "alt"]
    assert alt
    assert all(len(text) > 20 for text in alt)


def test_the_manifest_says_where_the_numbers_come_from(folder, hard):
    about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert about["data"]["sha256"] == hard.data.sha256
    missing = about["missing"]["figures"]
    assert missing.keys() == {"broken", "wrong", "none", "dead"}
    assert "no_such_figure" in missing["none"]
    assert missing["dead"] == "the drawing process ended with code 7"
    assert about["timings"].keys() == {"tables", "figures", "whole"}
    for made, fit in zip(about["fits"], hard.fits, strict=True):
        assert made["program_sha256"] == fit.record.program_sha256
        assert made["priors"] == fit.record.priors
        assert made["seed"] == 1
        assert made["settings"]["chains"] == 4
        assert made["cmdstan"] == fit.record.cmdstan
        again = Fit.load(folder / made["file"])
        np.testing.assert_array_equal(again.posterior["theta"], fit.posterior["theta"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_report_leaves_the_earlier_one(tmp_path, hard, monkeypatch, error):
    target = tmp_path / "x"
    target.mkdir()
    (target / "manifest.json").write_text("earlier")

    def stop(*_args, **_how):
        raise error

    monkeypatch.setattr(folder_module, "draw_all", stop)
    monkeypatch.setattr(folder_module, "plan", small_plan)
    monkeypatch.setattr(folder_module, "compute", lambda *_args, **_how: hard)
    with pytest.raises(error):
        folder_module.write(target, hard.data, hard.fits, processes=1)
    assert (target / "manifest.json").read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_fits_that_cannot_be_told_apart_are_refused(tmp_path, homework, lesson_fits):
    fit = lesson_fits[NONE]
    with pytest.raises(InputError, match="two fits are called 'no_pooling'"):
        folder_module.write(tmp_path / "x", homework, [fit, fit])
    with pytest.raises(InputError, match="at least one fit"):
        folder_module.write(tmp_path / "x", homework, [])
    assert list(tmp_path.iterdir()) == []


# The drawing processes


def test_no_figures_need_no_process(tmp_path):
    with drawing.drawing_processes(1) as workers:
        assert drawing.draw_all([], tmp_path, workers=workers) == ({}, {})


@pytest.mark.parametrize("name", ["a b", "../x", "モデル", "ok_1-2"])
def test_file_names_are_safe(name):
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text.safe(name))


def test_every_planned_figure_can_be_prepared(lesson, hard):
    for found in (lesson, hard):
        models = {fit.name: statements.of_program(fit.record.source) for fit in found.fits}
        plans = list(figures.plan(found, models))
        made = [p.make() for p in plans]
        assert [f.key for f in made] == [p.key for p in plans]
        assert len({f.key for f in made}) == len(made)
        for figure in made:
            assert len(figure.alt) > 30
            assert figure.caption.endswith(".")


def test_the_prior_of_r_follows_from_those_of_tau_and_sigma(lesson):
    models = {fit.name: statements.of_program(fit.record.source) for fit in lesson.fits}
    plan = next(p for p in figures.plan(lesson, models) if p.key.endswith("-prior"))
    prior = plan.make().arguments["prior"]
    assert set(prior["parameter"]) == {"mu", "tau", "sigma", "R"}
    r = prior[prior["parameter"] == "R"]
    assert r["density"].mean() == pytest.approx(1, abs=1e-6)
    half = r[r["value"] < 0.5]["density"].sum() / r["density"].sum()
    assert half == pytest.approx(0.5, abs=0.01)
