"""Observations whose logarithms are modelled, from the option to the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.hand_made import make_fit
from partialpool.data import GroupedData, from_estimates, from_values
from partialpool.errors import InputError
from partialpool.report import figures, page, sentences
from partialpool.tables import comparison, exponential

MODELS = ("complete_pooling", "no_pooling", "hierarchical_noncentered")


@pytest.fixture(scope="module")
def values() -> GroupedData:
    rng = np.random.default_rng(4)
    labels = np.repeat(list("abcdef"), 15)
    y = np.exp(np.repeat(rng.normal(2, 0.6, 6), 15) + 0.7 * rng.standard_normal(90))
    about = {"priors": {"theta_location": 20.0}, "priors_source": "x.toml", "unit": "ms"}
    return from_values(labels.tolist(), y, name="x", value_label="Latency", **about)


@pytest.fixture(scope="module")
def found(values: GroupedData) -> comparison.Comparison:
    data = values.logarithms()
    made = comparison.compute(data, [make_fit(data, name, draws=400) for name in MODELS])
    assert not made.missing
    return exponential.of_comparison(made)


def test_geometric_means_are_on_the_scale_of_the_data_and_logarithms_beside(
    values: GroupedData, found: comparison.Comparison
) -> None:
    by_hand = {
        label: float(np.exp(np.log(values.y[values.group == j]).mean()))
        for j, label in enumerate(values.labels)
    }
    groups = found.table("groups").set_index("group")
    shrunk = found.table("shrinkage_wide").set_index("group")
    for label, mean in by_hand.items():
        assert groups.loc[label, "mean"] == pytest.approx(mean)
        assert shrunk.loc[label, "sample_mean"] == pytest.approx(mean)
    turned = found.table("estimates", model="hierarchical_noncentered", parameter="mu")
    logs = found.table(exponential.OF_LOGARITHMS, model="hierarchical_noncentered", parameter="mu")
    assert turned["mean"].iloc[0] == pytest.approx(np.exp(logs["mean"].iloc[0]))
    sigma = found.table("estimates", model="hierarchical_noncentered", parameter="sigma")
    assert 0.5 < sigma["mean"].iloc[0] < 0.9  # that of the logarithms
    smallest = found.table("posterior_checks", model="no_pooling", statistic="Minimum")
    assert smallest["observed"].min() == pytest.approx(values.y.min())


def test_the_page_speaks_of_geometric_means_and_ratios(found: comparison.Comparison) -> None:
    said = list(sentences.in_short(found))
    for part in page.sections(found, {}, {}):
        said += [*part.sentences, *(s for child in part.children for s in child.sentences)]
    for plan in figures.plan(found, {}):
        figure = plan.make()
        said += [figure.caption, figure.alt]
    text = " ".join(said)
    assert "could not be" not in text
    assert "The models are fitted to the logarithms of the observations" in text
    assert "geometric mean exp(μ) = " in text
    assert "95 % interval of the ratio excludes 1" in text
    for wrong in ("estimates", "effects", "--log", "group mean", "negative", " nan"):
        assert wrong not in text.replace("new group mean", ""), wrong
    data = next(plan for plan in figures.plan(found, {}) if plan.key == "data").make()
    assert data.arguments["observations"]["value"].min() == pytest.approx(
        np.exp(found.data.y).min()
    )


def test_prior_settings_of_the_values_are_left_out_and_this_is_said(values: GroupedData) -> None:
    data = values.logarithms()
    assert data.priors == {}
    assert any("x.toml are for the values" in note for note in data.notes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (from_values(list("aab"), [1.0, 0.0, 3.0]), "value 0 of group 'a' is not above 0"),
        (from_estimates(list("ab"), [1.0, 2.0], [1.0, 1.0]), "here are estimates"),
        (
            from_values(list("aab"), [1.0, 2.0, 3.0]).without_observations(),
            "raise --most-observations",
        ),
    ],
)
def test_what_has_no_logarithm_is_refused(data: GroupedData, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.logarithms()


def test_a_column_of_names_is_told_for_each_table(found: comparison.Comparison) -> None:
    assert isinstance(found.table(exponential.OF_LOGARITHMS), pd.DataFrame)
    assert len(found.table(exponential.OF_LOGARITHMS)) == len(found.table("estimates"))
