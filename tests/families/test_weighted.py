"""Observations with weights: the model without them where all are 1, dense matrices, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from partialpool.api.frames import grouped
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_estimates, from_proportions, from_rates, from_values
from partialpool.data.reading import Columns, read
from partialpool.data.weights import weighted
from partialpool.errors import InputError
from partialpool.families import NORMAL, WEIGHTED
from partialpool.families.base import FORMS
from partialpool.families.weighted_statistics import WeightedStats, weighted_stats
from partialpool.fitting.inputs import priors_for

SIZES = np.array([1, 2, 5, 3, 9, 4, 2, 6])
COLUMNS = Columns(group="lab", value="level")


def rows(offset: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(31)
    group = np.repeat(np.arange(8), SIZES)
    weight = np.round(rng.lognormal(0, 0.8, SIZES.sum()), 3)
    y = offset + rng.normal(5, 1.5, 8)[group] + rng.normal(0, 1, SIZES.sum()) / np.sqrt(weight)
    order = rng.permutation(len(y))
    labels = [f"lab {j + 1}" for j in group]
    frame = pd.DataFrame({"lab": labels, "level": np.round(y, 6), "w": weight})
    return frame.iloc[order].reset_index(drop=True)


def made(offset: float = 0.0, *, times: float = 1.0) -> GroupedData:
    frame = rows(offset)
    frame["w"] *= times
    return weighted(grouped(frame, COLUMNS, further=["w"]), "w")


def plain() -> GroupedData:
    return grouped(rows(), COLUMNS)


def test_with_all_weights_1_every_number_is_that_of_the_model_without() -> None:
    without = plain()
    ones = weighted(replace(without, columns={"w": [1.0] * len(without.y)}), "w")
    assert ones.family is WEIGHTED
    priors = priors_for(without)
    assert priors_for(ones).values == priors.values
    assert ones.stats.mean.tolist() == without.stats.mean.tolist()  # type: ignore[attr-defined]
    for program in (*NORMAL.programs[:3], FORMS[0]):
        own, usual = (
            each.family.exact_posterior(program, each.stats, priors) for each in (ones, without)
        )
        assert own.log_marginal_likelihood == usual.log_marginal_likelihood
        pd.testing.assert_frame_equal(own.summary(), usual.summary(), rtol=1e-12)
    for name, make in NORMAL.classical(without.stats).items():
        pd.testing.assert_frame_equal(WEIGHTED.classical(ones.stats)[name](), make(), rtol=1e-12)
    choices = NORMAL.named_choices(without.stats, priors)
    assert WEIGHTED.named_choices(ones.stats, priors) == choices


@pytest.mark.parametrize("times", [100.0, 1e-4])
def test_weights_of_another_unit_change_sigma_alone(times: float) -> None:
    before, after = made(), made(times=times)
    for program in (*WEIGHTED.programs[:3], FORMS[0]):
        tables = [
            each.family.exact_posterior(program, each.stats, priors_for(each))
            .summary()
            .set_index(["parameter", "group"])
            for each in (before, after)
        ]
        old, new = (table.drop(["y_new", "icc"], level=0, errors="ignore") for table in tables)
        columns = ["mean", "q2.5", "median", "q97.5"]
        for name, power in (("sigma", 0.5), ("sigma2", 1.0)):
            old.loc[[name], columns] *= times**power
        keep = [name for name in columns if np.isfinite(old[name]).all()]
        np.testing.assert_allclose(new[keep], old[keep], rtol=1e-8)
    for name, one in before.family.classical(before.stats).items():
        if name == "blup":
            other = after.family.classical(after.stats)[name]()
            pd.testing.assert_frame_equal(one(), other, rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_the_density_of_a_group_is_that_of_its_covariance_matrix(offset: float) -> None:
    data = made(offset)
    own = data.stats
    assert isinstance(own, WeightedStats)
    mu, tau, sigma = offset + 4.2, 1.3, 0.8
    point = (np.full((1, 1, 1), mu), np.full((1, 1), tau), np.full((1, 1), sigma))
    found = data.family.log_marginal(own, *point)[:, 0, 0]
    for j, density in enumerate(found):
        at = data.group == j
        covariance = tau**2 + np.diag(sigma**2 / own.by_row[at])
        mean = np.full(at.sum(), mu)
        assert density == pytest.approx(
            stats.multivariate_normal(mean, covariance).logpdf(data.y[at]), rel=1e-8
        )


def test_the_evidence_of_each_model_is_that_of_its_covariance_matrices() -> None:
    """Sigma on a fine grid; mu and theta, and then tau, integrated out of a normal density."""
    data, columns = made(), {"theta_scale": 3.0, "mu_scale": 3.0, "tau_upper": 5.0}
    priors = priors_for(data, columns)
    own, value = data.stats, priors.values
    assert isinstance(own, WeightedStats)
    same = (data.group[:, None] == data.group).astype(float)
    log_sigma = np.linspace(-2.5, 2.5, 161)
    sigma, step = np.exp(log_sigma), log_sigma[1] - log_sigma[0]
    shape, rate = value["sigma2_shape"], value["sigma2_scale"]
    prior = stats.invgamma(shape, scale=rate).logpdf(sigma**2) + np.log(2) + 2 * log_sigma
    everywhere = np.full(len(data.y), value["theta_location"])
    for program, common in (("complete_pooling", np.ones_like(same)), (NORMAL.programs[2], same)):
        each = [
            stats.multivariate_normal(
                everywhere, value["theta_scale"] ** 2 * common + np.diag(s**2 / own.by_row)
            ).logpdf(data.y)
            for s in sigma
        ]
        total = np.log(np.exp(np.array(each) + prior).sum() * step)
        found = data.family.exact_posterior(program, own, priors).log_marginal_likelihood
        assert found == pytest.approx(total, abs=1e-6)


def test_a_row_left_out_leaves_the_statistics_of_the_others() -> None:
    data = made()
    own = data.stats
    assert isinstance(own, WeightedStats)
    for row in range(len(data.y)):
        j, keep = int(data.group[row]), np.arange(len(data.y)) != row
        rest = own.without_row(j, float(data.y[row]), float(own.by_row[row]))
        if SIZES[int(data.labels[j].split()[1]) - 1] == 1:
            assert rest is None
            continue
        assert rest is not None
        again = weighted_stats(data.y[keep], own.by_row[keep], data.group[keep], data.labels)
        for name, column in again.columns.items():
            np.testing.assert_allclose(rest.columns[name], column, rtol=1e-9, atol=1e-9)


def test_groups_in_another_order_keep_the_weights_of_their_rows() -> None:
    data = made()
    moved = data.in_order("size")
    assert moved.stats.weight.tolist() == sorted(data.stats.weight.tolist(), reverse=True)
    by_row = moved.stats.row_weights
    assert by_row is not None
    total = np.bincount(moved.group, weights=by_row)
    np.testing.assert_allclose(total, moved.stats.weight)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("most", [1000, 5])
def test_files_and_frames_say_the_same(tmp_path: Path, ending: str, most: int) -> None:
    frame, path = rows(1e4), tmp_path / f"levels.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    data = weighted(read(path, columns=COLUMNS, most_observations=most), "w")
    assert data.has_observations == (most == 1000)
    assert data.reading["weight"] == "w"
    of_frame = made(1e4)
    at = np.array([of_frame.labels.index(label) for label in data.labels])
    for name, column in of_frame.stats.take(at).columns.items():
        np.testing.assert_allclose(data.stats.columns[name], column, rtol=1e-9, atol=1e-9)


def test_logarithms_have_weights_too(tmp_path: Path) -> None:
    frame, path = rows(10.0), tmp_path / "levels.csv"
    frame.to_csv(path, index=False)
    data = weighted(read(path, columns=COLUMNS).logarithms(), "w")
    assert data.words.raws == "weighted geometric means"
    j = data.labels.index("lab 5")
    own = frame[frame["lab"] == "lab 5"]
    assert data.stats.raw[j] == pytest.approx(np.average(np.log(own["level"]), weights=own["w"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", r"line 3: '0'"),
        ("-2", r"line 3: '-2'"),
        ("", r"line 3: ''.*--drop-missing"),
        ("heavy", r"line 3: 'heavy'"),
        ("inf", r"line 3: 'inf'"),
    ],
)
@pytest.mark.parametrize("most", [1000, 3])
def test_what_is_no_weight_is_refused_with_its_line(
    text: str, message: str, most: int, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"g,y,w\na,1,2\na,2,{text}\nb,3,1\nb,5,4\n")
    data = read(path, columns=Columns(group="g", value="y"), most_observations=most)
    with pytest.raises(InputError, match=f"1 of 4 weights in 'w'.*{message}"):
        weighted(data, "w")


def test_rows_without_a_weight_are_left_out_if_asked_and_a_group_is_not(tmp_path: Path) -> None:
    path, columns = tmp_path / "gaps.csv", Columns(group="g", value="y")
    path.write_text("g,y,w\na,1,2\na,2,\nb,3,1\nb,5,4\nb,,3\n")
    data = weighted(read(path, columns=columns, drop_missing=True), "w")
    assert data.stats.counts.tolist() == [1, 2]
    assert any(note == "1 row without a weight left out" for note in data.notes)
    path.write_text("g,y,w\na,1,\na,2,\nb,3,1\nb,5,4\n")
    with pytest.raises(InputError, match="no observation of group 'a' has a weight"):
        weighted(read(path, columns=columns, drop_missing=True), "w")


def test_other_data_and_models_are_refused_with_what_can_be_done() -> None:
    two, w = ["a", "b", "c"], {"w": [1, 2, 3]}
    for data, message in (
        (from_estimates(two, [1, 2, 3], [1, 1, 1]), "standard errors say how precise"),
        (from_proportions(two, [1, 2, 3], [4, 4, 4]), "--trials"),
        (from_rates(two, [1, 2, 3], [4, 4, 4]), "--exposure"),
    ):
        with pytest.raises(InputError, match=message):
            weighted(replace(data, columns=w), "w")
    data = from_values(["a", "a", "b", "b"], [1, 2, 3, 5])
    data = replace(data, columns={"w": [1, 2, 3, 4], "x": [1, 1, 2, 2]})
    for other, message in (
        (data.modelled(spread="own"), "--weight with --spread own"),
        (data.modelled(population="student_t"), "--weight with --population student_t"),
        (data.modelled(errors="student_t"), "--weight with --errors student_t"),
        (weighted(data, "w"), "have weights already"),
        (data.without_observations(), "only statistics by group"),
    ):
        with pytest.raises(InputError, match=message):
            weighted(other, "w")
    three = from_values(["a", "a", "b", "b", "c", "c"], [1, 2, 3, 5, 4, 6])
    three = replace(three, columns={"w": [1] * 6, "x": [1, 1, 2, 2, 5, 5]})
    with pytest.raises(InputError, match="--by"):
        weighted(explained(three, ["x"]), "w")
    with pytest.raises(InputError, match="there is no column 'v'; there are"):
        weighted(data, "v")
    assert weighted(data, None) is data


def test_a_column_of_another_role_is_refused(tmp_path: Path) -> None:
    rows().to_csv(tmp_path / "levels.csv", index=False)
    data = read(tmp_path / "levels.csv", columns=COLUMNS)
    with pytest.raises(InputError, match="this column holds the value"):
        weighted(data, "level")


def test_words_say_what_sigma_is_of() -> None:
    data = made()
    assert "Sigma is the sd of an observation of weight 1" in data.notes[-1]
    assert data.counted == "32 weighted observations in 8 groups"
    assert list(data.stats.sizes) == ["weight", "n"]
