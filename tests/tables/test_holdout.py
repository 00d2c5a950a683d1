"""Scores of predictions on later outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

from helpers import estimates
from partialpool.data import GroupedData
from partialpool.data.examples import example
from partialpool.data.grouped import from_proportions, from_rates
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.fitting import Fit, FitRecord
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.tree import dataset
from partialpool.report import later as said
from partialpool.tables.comparison import compute
from partialpool.tables.holdout import groups, matched, summary


@pytest.fixture(scope="module")
def batting() -> GroupedData:
    return read(example("batting"))


@pytest.fixture(scope="module")
def rest(batting: GroupedData) -> GroupedData:
    return read(example("batting_rest"), columns=Columns(**batting.reading["columns"]))


def exact_fit(data: GroupedData, name: str) -> Fit:
    """Independent draws of a model, as a fit."""
    family: Any = data.family
    rng, shape = np.random.default_rng(1), (4, 500)
    if name == "hierarchical_marginal":
        choice = family.base_choice(priors_for(data))
        drawn = family.draw_alternative(choice, data.stats, rng=rng, shape=shape, draw_groups=True)
        drawn["theta_new"] = rng.beta(
            drawn["mu"] * drawn["size"], (1 - drawn["mu"]) * drawn["size"]
        )
        pooling = "partial"
    else:
        a, b = family.exact_posterior(name, data.stats, priors_for(data)).parameters
        pooling = "complete" if len(a) == 1 else "none"
        drawn = {"theta": rng.beta(a, b, (*shape, len(a))) if len(a) > 1 else rng.beta(a, b, shape)}
    dims = {key: ["group"] for key, value in drawn.items() if value.ndim == 3}
    coords = {"group": list(data.labels)} if dims else {}
    tree = xr.DataTree.from_dict({"posterior": dataset(drawn, dims, coords)})
    record = FitRecord(program=name, title=name, pooling=pooling, family=family.name)  # type: ignore[arg-type]
    return Fit(tree, record)


def test_scores_are_log_predictive_probabilities(batting: GroupedData, rest: GroupedData) -> None:
    fit = exact_fit(batting, "no_pooling")
    table = groups([fit], batting, rest).set_index("group")
    theta = fit.posterior["theta"].sel(group="Clemente").to_numpy().ravel()
    known = np.log(stats.binom.pmf(127, 367, theta).mean())
    assert table.loc["Clemente", "log_score"] == pytest.approx(known)
    assert table.loc["Clemente", "later"] == pytest.approx(127 / 367)
    own = 19 / 47, 47.0  # the predictive distribution is beta-binomial
    exact = stats.betabinom(367, 19, 28)
    assert table.loc["Clemente", "mean"] == pytest.approx(own[0], abs=0.01)
    assert table.loc["Clemente", "q97.5"] == pytest.approx(exact.ppf(0.975) / 367, abs=0.03)
    below = exact.cdf(126) + 0.5 * exact.pmf(127)
    assert table.loc["Clemente", "below"] == pytest.approx(below, abs=0.05)


def test_pooling_predicts_the_rest_of_the_season(batting: GroupedData, rest: GroupedData) -> None:
    """Batting averages differ so little that complete pooling does as well as partial pooling."""
    names = ("complete_pooling", "no_pooling", "hierarchical_marginal")
    fits = [exact_fit(batting, name) for name in names]
    table = summary(groups(fits, batting, rest)).set_index("model")
    partial, none = table.loc["hierarchical_marginal"], table.loc["no_pooling"]
    assert table["log_score"].idxmin() == "no_pooling"
    assert none["log_score_diff"] < -2 * none["dse"]
    assert partial["log_score_diff"] > -partial["dse"]
    assert partial["rmse"] < 0.65 * none["rmse"]
    assert partial["within_95"] >= 0.9
    assert (table["groups"] == 18).all()


def test_groups_are_matched_by_label(batting: GroupedData) -> None:
    later = from_proportions(["Santo", "Nobody", "Clemente", "Alvis"], [3, 1, 2, 0], [9, 9, 9, 0])
    at, own = matched(batting, later)
    assert [batting.labels[j] for j in at] == ["Clemente", "Santo"]
    assert own.stats.columns["successes"].tolist() == [2, 3]
    with pytest.raises(InputError, match="has no outcome of a group of batting"):
        matched(batting, from_proportions(["x"], [1], [2]))
    with pytest.raises(InputError, match="later outcomes are scored of proportions or rates"):
        matched(batting, from_rates(["Santo"], [1], [2.0]))
    with pytest.raises(InputError, match="later outcomes are scored of proportions or rates"):
        matched(estimates.coaching(), estimates.coaching())


def test_probabilities_of_counts_have_their_constants() -> None:
    theta = np.array([[[0.2, 0.4]], [[0.5, 0.7]]])
    few = from_proportions(["a", "b"], [1, 3], [4, 5])
    found = few.family.log_outcome(few.stats, theta)
    assert np.exp(found[0, 0]) == pytest.approx(4 * theta[0, 0] * (1 - theta[0, 0]) ** 3)
    rates = from_rates(["a", "b"], [1, 3], [2.0, 5.0])
    found = rates.family.log_outcome(rates.stats, theta)
    known = 3 * np.log(5 * theta[1, 0]) - 5 * theta[1, 0] - special.gammaln(4)
    assert found[1, 0] == pytest.approx(known)
    drawn = rates.family.replicate_given(
        rates.stats, np.full((2, 1, 4000), 0.7), np.random.default_rng(1)
    )
    assert drawn.mean((1, 2)) == pytest.approx(0.7, abs=0.04)


def test_sentences_table_and_figure_of_a_report(batting: GroupedData, rest: GroupedData) -> None:
    fits = [exact_fit(batting, name) for name in ("no_pooling", "hierarchical_marginal")]
    comparison = compute(batting, fits, insist=True, later=rest)
    [line] = said.lines(comparison)
    assert line.startswith(
        "Of the later outcomes of 18 groups, hierarchical_marginal predicted best, "
    )
    assert "which may be chance" not in line
    assert "of 18 under no_pooling" in line
    view = said.view(comparison)
    assert view is not None
    assert len(view.rows) == 2
    frame = said.figure(comparison).arguments["intervals"]
    assert set(frame["kind"]) == {"Later", "No_pooling", "Hierarchical_marginal"}
    assert said.lines(compute(batting, fits, insist=True)) == []


def test_another_population_is_scored_on_the_same_rows(
    batting: GroupedData, rest: GroupedData
) -> None:
    data = batting.modelled(population="logit_normal")
    theta = np.full((2, 50, data.stats.J), 0.27)
    tree = xr.DataTree.from_dict(
        {"posterior": dataset({"theta": theta}, {"theta": ["group"]}, {"group": list(data.labels)})}
    )
    about = {"program": "no_pooling", "title": "none", "family": data.family.name}
    fit = Fit(tree, FitRecord(pooling="none", **about))
    found, plain = (groups([fit], each, rest)["log_score"] for each in (data, batting))
    assert len(found) == data.stats.J
    assert found.tolist() == plain.tolist()
