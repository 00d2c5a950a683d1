"""What the report says of estimates with known standard errors: true of few, alike, odd and log."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from helpers import estimates
from partialpool.programs import statements
from partialpool.report import companions, figures, page, sentences, views
from partialpool.tables import comparison, exponential

NONE, PARTIAL = "no_pooling", "hierarchical_centered"


def compared(data, **how):
    found = comparison.compute(data, estimates.fits(data, draws=400), **how)
    assert not found.missing
    return exponential.of_comparison(found)


@pytest.fixture(scope="module")
def coaching():
    return compared(estimates.coaching())


@pytest.fixture(scope="module")
def vaccine():
    return compared(estimates.vaccine(), delta=0.1)


@pytest.fixture(scope="module")
def twins():
    return compared(estimates.few([3, 8], [2, 2]))


@pytest.fixture(scope="module")
def alike():
    return compared(estimates.few([5, 5, 5, 5, 5], [1, 1, 1, 1, 1]))


def everything(found):
    """All that a page says, but for what tables hold."""
    models = {fit.name: statements.of_program(fit.record.source) for fit in found.fits}
    parts = page.sections(found, {}, {k: v for k, v in models.items() if v})
    said = [*sentences.in_short(found)]
    for part in parts:
        said += [*part.sentences, *(s for child in part.children for s in child.sentences)]
    for plan in figures.plan(found, {}):
        figure = plan.make()
        said += [figure.caption, figure.alt]
    return " ".join(said)


@pytest.mark.parametrize("name", ["coaching", "vaccine", "twins", "alike"])
def test_estimates_are_not_called_means_of_observations(name, request):
    said = everything(request.getfixturevalue(name))
    assert "could not be written" not in said
    for wrong in ("group mean", "observations", "sample", "highest mean", "nan", "None"):
        assert wrong not in said.replace("new group mean", ""), wrong


def test_ratios_are_told_as_ratios(vaccine):
    said = everything(vaccine)
    assert "of the difference" not in said
    assert " minus " not in said
    assert re.search(r"has geometric mean exp\(μ\) = 0\.4\d+ \(95 % interval 0\.3", said)
    assert re.search(
        r"Trial 12 moves most from its estimate: by a factor of 0\.[45]\d*, that is [01]\.\d of",
        said,
    )
    assert re.search(r"τ, is 0\.6\d* .*apart differ by a factor of 1\.[789]", said)
    assert re.search(r"of 12 to 4 under partial pooling: geometric mean [23]\.\d", said)
    assert "interval of the ratio excludes 1" in said
    assert "exponentials are shown" in said
    assert "Their geometric mean, weighted by 1 / se², is 0.6503" in said
    assert "from 0.1977 (trial 7) to 1.562 (trial 12)" in said


def test_ratios_of_a_pair_are_turned_round_together(vaccine):
    table = vaccine.table("contrasts", model=PARTIAL)
    frame = table.drop(columns="model").set_index(["group_i", "group_j"]).add_suffix("_0")
    turned = views._higher_first(frame.reset_index(), models=1, ratios=True)
    assert (turned["mean_0"] >= 1).all()
    assert (turned["q2.5_0"] < turned["mean_0"]).all()
    assert (turned["mean_0"] < turned["q97.5_0"]).all()
    flip = (table["mean"] < 1).to_numpy()
    assert flip.any()
    np.testing.assert_allclose(
        turned.loc[flip, "mcse_0"] / turned.loc[flip, "mean_0"],
        (table["mcse"] / table["mean"])[flip],
    )
    shown = views.contrasts(vaccine)
    assert shown is not None
    assert "/" in shown.rows[0][0].text
    assert "between 0.9048 and 1.105" in shown.note


def test_the_example_of_a_ratio_has_its_ends_the_right_way_round(vaccine):
    for order in (1, -1):
        table = vaccine.tables["contrasts"].copy()
        if order < 0:
            for name, before in (("mean", "mean"), ("q2.5", "q97.5"), ("q97.5", "q2.5")):
                table[name] = 1 / vaccine.tables["contrasts"][before]
            table["mcse"] *= table["mean"] ** 2
            table["p_greater"] = 1 - table["p_greater"]
            table = table.rename(columns={"group_i": "group_j", "group_j": "group_i"})
        found = dataclasses.replace(vaccine, tables={**vaccine.tables, "contrasts": table})
        [said] = [s for s in sentences.compared(found) if "ratio itself" in s]
        numbers = re.search(r"geometric mean ([\d.]+), 95 % interval ([\d.]+) to ([\d.]+)", said)
        assert numbers
        mean, low, high = map(float, numbers.groups())
        assert 1 < low < mean < high
        assert "of 12 to 4" in said
        assert "12 is higher" in said


def test_the_posterior_row_of_a_meta_analysis_has_an_error_of_logarithms(vaccine):
    shown = companions.meta_analysis(vaccine)
    assert shown is not None
    at = shown.head.index("Standard error")
    values = [row[at].value for row in shown.rows]
    assert all(0 < value < 0.3 for value in values)
    mu = vaccine.table("estimates", model=PARTIAL, parameter="mu")
    assert values[-1] == pytest.approx(np.log(mu["sd"].iloc[0]))
    means = [row[shown.head.index("Mean effect")].value for row in shown.rows]
    assert all(0.4 < value < 0.7 for value in means)


def test_parameters_that_are_turned_are_named_so(vaccine):
    shown = views.estimates(vaccine, vaccine.model("partial"))
    assert shown is not None
    assert {"tau", "exp(mu)", "exp(theta)", "exp(theta_new)"} <= {r[0].text for r in shown.rows}


def test_superlatives_are_shared_where_groups_tie(twins, alike):
    said = everything(twins)
    assert "move equally far from their estimates, as far as Monte Carlo error can tell" in said
    assert "weakest" not in said
    assert "moves most" not in said
    assert "standard errors of 2 each" in said
    assert "The pooling factor λ is 0." in said
    assert "The two groups do not differ under no pooling" in said
    said = everything(alike)
    assert "The estimate of every group is 5.00" in said
    assert "No group moves by more than Monte Carlo error" in said
    assert "too alike for the draws to tell" in said
    assert "estimates lie closer together than their standard errors lead one to expect" in said


def test_groups_that_share_the_largest_error_are_both_named():
    found = compared(estimates.few([1, 4, 4, 1, 9], [2, 2, 3, 3, 1]))
    said = everything(found)
    assert "from 1 (group E) to 3 (group C and group D)" in said
    assert "from 1.00 (group A and group D) to 9.00 (group E)" in said
    assert "(group C and group D, standard error = 3); 1 is complete" in said
    assert re.search(
        r"(weakest data, as has one other|weakest data are those of group C and)", said
    )


@pytest.mark.parametrize("unit", [1e9, 1e-9])
def test_the_unit_changes_no_claim(unit):
    y, se = unit * np.array([1, 2, 1.5]), unit * np.array([0.3, 0.2, 0.3])
    said = everything(compared(estimates.few(y, se, unit="m")))
    assert "As much is known of every group" not in said
    assert "weakest data, as has one other" in said or "weakest data are those" in said
    assert "differs under no pooling" in said


def test_one_estimate_is_told_in_the_singular():
    found = compared(estimates.few([3.2], [1.1]))
    said = everything(found)
    assert "There is one estimate with a known standard error of 1.1." in said
    assert "all groups" not in said
    assert "from its own estimate alone" in said
    assert sentences.not_a_test(found) == []
    assert found.data.family.count(found.data.stats) == "one estimate with a known standard error"


def test_effects_that_hardly_vary_are_not_told_apart():
    said = everything(compared(estimates.few([1, 1.1, 0.9, 1.05, 1], [1, 1, 1, 1, 1.2])))
    assert "No group moves" in said or "move furthest from their estimates, as far as" in said
    assert "none differ under no pooling and none under partial pooling" in said


def test_the_spread_of_effects_and_a_new_group_are_told(coaching):
    said = everything(coaching)
    assert re.search(r"sd of the effects, τ, is [4-8]\S* points \(95 % interval 0\.", said)
    assert re.search(r"effect of a new school lies between −\d+ and \d+ points with prob", said)
    assert "I², has posterior median 0." in said
    assert re.search(r"School A (is the likeliest|and .{8} are about equally likely) to have", said)
    assert "most probably" not in said


def test_each_estimate_is_one_row_in_the_mathematics(coaching):
    fit = coaching.model("none")
    models = {fit.name: statements.read(fit.record.source)}
    section = page.model_section(coaching, fit, (), models)
    first = " ".join(re.sub("<[^>]+>", " ", str(section.mathematics[0])).split())
    assert first == "y j ∼ N ( θ j , se j 2 ) j = 1 , … , J"


def test_effects_that_are_not_drawn_have_their_index(coaching):
    fit = coaching.model("partial")
    fit = dataclasses.replace(fit, draws=fit.draws.copy())
    fit.draws["posterior"] = fit.draws["posterior"].to_dataset().drop_vars("theta")
    models = {fit.name: statements.read(fit.record.source)}
    said = "".join(str(line) for line in page.model_section(coaching, fit, (), models).mathematics)
    assert said.count("<msub><mi>θ</mi><mi>j</mi></msub>") == 2


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.heads = ""

    def handle_data(self, data):
        self.heads += data


def test_the_page_names_the_ratio(vaccine):
    made = {
        "made": "now",
        "versions": {"partialpool": "0", "python": "3"},
        "data": {"source": "", "name": "vaccine", "sha256": ""},
        "fits": [],
    }
    reader = Links()
    reader.feed(page.render(vaccine, page.sections(vaccine, {}, {}), made=made, missing={}))
    assert "known standard errors: Risk ratio by Trial" in reader.heads
    assert "Log risk ratio" not in reader.heads
    assert "could not be made" not in reader.heads
