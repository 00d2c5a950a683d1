"""What another population of the groups would change, from exact posteriors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.grouped import from_proportions
from partialpool.data.reading import read
from partialpool.families import FAMILIES
from partialpool.fitting import Fit, FitRecord
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.tree import dataset
from partialpool.programs import find_program
from partialpool.report.sentences import prediction
from partialpool.tables.comparison import Comparison
from partialpool.tables.lazy import Tables
from partialpool.tables.populations import others, populations

NAME = "hierarchical_marginal"


def shipped_fit(data: GroupedData, *, edited: bool = False) -> Fit:
    """A fit of which nothing is asked but which program it is of, and its priors."""
    drawn = {"mu": np.zeros((2, 4)), "tau": np.ones((2, 4))}
    tree = xr.DataTree.from_dict({"posterior": dataset(drawn, {}, {})})
    source = find_program(NAME, family=data.family.name).read_text("utf-8")
    record = FitRecord(
        program=NAME,
        title="partial pooling",
        pooling="partial",
        family=data.family.name,
        source=source + "// mine\n" * edited,
        priors=priors_for(data).values,
    )
    return Fit(tree, record)


def said(data: GroupedData, frame: pd.DataFrame) -> list[str]:
    fit = shipped_fit(data)
    tables = Tables({"populations": lambda: frame})
    tables.get("populations")
    comparison = Comparison(data, (fit,), tables, {}, {fit.name: True})
    return prediction._populations(comparison)


@pytest.fixture(scope="module")
def tumors() -> GroupedData:
    return read(example("tumors"))


@pytest.fixture(scope="module")
def of_tumors(tumors: GroupedData) -> pd.DataFrame:
    return populations([shipped_fit(tumors)], tumors)


def test_scores_and_estimates_are_those_of_the_exact_posteriors(
    tumors: GroupedData, of_tumors: pd.DataFrame
) -> None:
    assert of_tumors["population"].tolist() == ["beta", "logit_normal"]
    assert of_tumors["of_fit"].tolist() == [True, False]
    own, other = of_tumors.to_dict("records")
    linked = tumors.modelled(population="logit_normal")
    exact = linked.family.exact_posterior(NAME, linked.stats, priors_for(linked))
    assert other["elpd"] == pytest.approx(exact.leave_one_out().sum())  # type: ignore[attr-defined]
    assert other["elpd"] - own["elpd"] == pytest.approx(other["elpd_diff"])
    assert own["elpd"] == pytest.approx(-158.55, abs=0.01)
    # the first rats, without a tumor: BDA3's beta population pulls them in less
    at = tumors.labels.index(other["moved"])
    assert tumors.stats.raw[at] == 0
    assert other["own_estimate"] == pytest.approx(0.0636, abs=1e-4)
    assert other["estimate"] > other["own_estimate"]
    assert 0 < other["largest_movement"] < 1
    assert own["elpd_diff"] == own["dse"] == own["largest_movement"] == 0


def test_it_is_said_in_a_sentence(tumors: GroupedData, of_tumors: pd.DataFrame) -> None:
    [sentence] = said(tumors, of_tumors)
    assert sentence.startswith(
        "With a logit-normal population in place of the beta one, a group that is left out is "
        "predicted less well: the score is −159.78 instead of −158.55, a difference of −1.23"
    )
    assert "to 0.07442 from 0.06357" in sentence
    worse = of_tumors.assign(dse=[0.0, 3.0], largest_movement=[0.0, -0.04])
    [sentence] = said(tumors, worse)
    assert "about as well" in sentence
    assert "no probability moves by more than 0.04 of its posterior sds" in sentence
    [sentence] = said(tumors, of_tumors.assign(elpd_diff=[0.0, 9.0]))
    assert "predicted better" in sentence


def test_it_is_not_said_where_it_is_not_known(tumors: GroupedData) -> None:
    empty = populations([shipped_fit(tumors, edited=True)], tumors)
    assert empty.empty
    assert said(tumors, empty) == []
    schools = read(example("eight_schools"))
    assert populations([shipped_fit(schools)], schools).empty
    labels = [str(j) for j in range(201)]
    many = from_proportions(labels, [1] * 201, [9] * 201, name="many")
    assert populations([shipped_fit(many)], many).empty


def test_others_differ_in_the_population_alone() -> None:
    for family in FAMILIES.values():
        for other in others(family):
            differ = {
                about for about in family.model if family.model[about] != other.model.get(about)
            }
            assert differ == {"population"}
            assert other.reads == family.reads
    assert [each.name for each in others(FAMILIES["rates"])] == ["rates_log_normal"]
