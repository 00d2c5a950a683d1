"""Groups within groups: their exact posterior against dense normal algebra, and bad input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special, stats

from helpers import nested
from partialpool.api.frames import grouped
from partialpool.data import GroupedData
from partialpool.data.columns import read_columns
from partialpool.data.covariates import explained
from partialpool.data.reading import Columns
from partialpool.errors import InputError
from partialpool.families import KNOWN_ERRORS_NESTED, NESTED, exact
from partialpool.families.base import MARGINAL
from partialpool.families.exact.leaves import Interpolated
from partialpool.families.nested_statistics import NestedStats
from partialpool.families.nesting import Nesting, few_outer_groups
from partialpool.priors import HalfNormal, HalfT, Normal
from partialpool.priors.levels import NestedChoice
from partialpool.tables import group_draws, group_posterior

CHOICE = NestedChoice("given", Normal(5, 6), HalfT(3, 2), omega=HalfNormal(4))


@pytest.fixture(scope="module", params=["estimates", "observations"])
def made(request: pytest.FixtureRequest) -> GroupedData:
    return nested.estimates() if request.param == "estimates" else nested.observations()


def choice_of(data: GroupedData) -> NestedChoice:
    return replace(CHOICE, sigma=HalfNormal(3)) if data.stats.error_sd else CHOICE


def rows_of(data: GroupedData) -> tuple[np.ndarray, np.ndarray]:
    """Group of each row, and the rows."""
    return data.group, data.y


def dense(data: GroupedData, sds: Mapping[str, float], choice: NestedChoice) -> tuple[Any, ...]:
    """Prior mean and covariance of the rows and of theta, phi and mu, given the sds."""
    group, y = rows_of(data)
    nesting = data.stats.nesting
    assert nesting is not None
    to_phi = np.eye(nesting.K)[nesting.index]
    of_phi = sds["omega"] ** 2 * np.eye(nesting.K) + choice.mu.scale**2
    of_theta = to_phi @ of_phi @ to_phi.T + sds["tau"] ** 2 * np.eye(data.stats.J)
    error = (
        data.stats.raw_se**2
        if not data.stats.error_sd
        else np.full(data.stats.J, sds["sigma"] ** 2)
    )
    rows = np.eye(data.stats.J)[group]
    covariance = rows @ of_theta @ rows.T + np.diag(error[group])
    return (
        y,
        np.full(len(y), choice.mu.location),
        covariance,
        rows @ of_theta,
        of_theta,
        to_phi,
        of_phi,
    )


def log_density(data: GroupedData, sds: Mapping[str, float], choice: NestedChoice) -> float:
    y, mean, covariance, *_ = dense(data, sds, choice)
    return float(stats.multivariate_normal(mean, covariance).logpdf(y))


def names_of(data: GroupedData) -> list[str]:
    return ["omega", "tau", *(["sigma"] if data.stats.error_sd else [])]


def test_the_density_given_the_sds_is_that_of_one_normal_distribution(made: GroupedData) -> None:
    choice = choice_of(made)
    posterior: Any = made.family.exact_alternative(choice, made.stats)
    rng = np.random.default_rng(2)
    for _ in range(5):
        sds = {name: float(rng.uniform(0.05, 5)) for name in names_of(made)}
        found = posterior.leaves.given({n: np.array([x]) for n, x in sds.items()})
        known = log_density(made, sds, choice)
        assert float(found.log_likelihood[0]) + posterior.leaves.log_constant == pytest.approx(
            known, abs=1e-8
        )


def test_means_given_the_sds_are_those_of_normal_conditioning(made: GroupedData) -> None:
    choice = choice_of(made)
    posterior: Any = made.family.exact_alternative(choice, made.stats)
    grid = posterior.fine
    at = int(np.argmax(grid.weights))
    sds = {name: float(values[at]) for name, values in grid.sds.items()}
    y, mean, covariance, with_theta, of_theta, to_phi, of_phi = dense(made, sds, choice)
    gain = np.linalg.solve(covariance, with_theta)
    theta = choice.mu.location + gain.T @ (y - mean)
    spread = of_theta - with_theta.T @ gain
    for j in range(made.stats.J):
        one = grid.theta(j)
        assert one.origin + one.means[at] == pytest.approx(theta[j], abs=1e-9)
        assert one.sds[at] ** 2 == pytest.approx(spread[j, j], rel=1e-9)
    for i, j in ((0, 1), (0, 5), (3, 7)):
        difference = grid.contrast(i, j)
        assert difference.means[at] == pytest.approx(theta[i] - theta[j], abs=1e-9)
        variance = spread[i, i] + spread[j, j] - 2 * spread[i, j]
        assert difference.sds[at] ** 2 == pytest.approx(variance, rel=1e-8)
    rows = np.eye(made.stats.J)[made.group]
    with_phi = rows @ to_phi @ of_phi
    gain = np.linalg.solve(covariance, with_phi)
    phi, of = choice.mu.location + gain.T @ (y - mean), of_phi - with_phi.T @ gain
    for k in range(of_phi.shape[0]):
        outer, further = grid.phi(k), grid.new_group(k)
        assert outer.origin + outer.means[at] == pytest.approx(phi[k], abs=1e-9)
        assert outer.sds[at] ** 2 == pytest.approx(of[k, k], rel=1e-8)
        assert further.sds[at] ** 2 == pytest.approx(of[k, k] + sds["tau"] ** 2, rel=1e-8)
    new = grid.new_group()
    between = 1 / grid.given.precision[at] + sds["omega"] ** 2 + sds["tau"] ** 2
    assert new.sds[at] ** 2 == pytest.approx(between, rel=1e-9)


def test_the_evidence_is_that_of_a_plain_grid() -> None:
    data = nested.estimates()
    posterior: Any = data.family.exact_alternative(CHOICE, data.stats)
    at, step = np.linspace(-11, 7, 73, retstep=True)
    log = [
        log_density(data, {"omega": np.exp(u), "tau": np.exp(v)}, CHOICE)
        + float(CHOICE.omega.log_density(np.exp(u)) + CHOICE.tau.log_density(np.exp(v)))
        + u
        + v
        for u in at
        for v in at
    ]
    known = float(special.logsumexp(log)) + 2 * np.log(step)
    assert posterior.log_marginal_likelihood == pytest.approx(known, abs=2e-4)


def test_the_score_of_a_group_is_what_it_adds_to_the_evidence(made: GroupedData) -> None:
    choice = choice_of(made)
    whole: Any = made.family.exact_alternative(choice, made.stats)
    scores = whole.leave_one_out()
    below = whole.leave_one_out_cdf()
    for j in (0, made.stats.J - 1):  # the last one is alone in its outer group
        others = np.delete(np.arange(made.stats.J), j)
        rest: Any = (
            made.family.exact_alternative(choice, made.stats.take(others)) if j == 0 else None
        )
        if rest is not None:
            added = whole.log_marginal_likelihood - rest.log_marginal_likelihood
            assert scores[j] == pytest.approx(added, abs=2e-4)
        assert 0 < below[j] < 1
    assert np.isfinite(scores).all()


def test_a_group_alone_in_its_outer_group_is_predicted_from_the_population() -> None:
    data = nested.estimates()
    posterior: Any = data.family.exact_alternative(CHOICE, data.stats)
    j = data.stats.J - 1
    nesting = data.stats.nesting
    assert nesting is not None
    assert nesting.counts[nesting.index[j]] == 1
    rest = nested.without_last(data)
    fewer: Any = data.family.exact_alternative(CHOICE, rest)
    added = posterior.log_marginal_likelihood - fewer.log_marginal_likelihood
    assert posterior.leave_one_out()[j] == pytest.approx(added, abs=1e-5)


def test_draws_are_those_of_the_exact_posterior(made: GroupedData) -> None:
    choice = choice_of(made)
    posterior: Any = made.family.exact_alternative(choice, made.stats)
    drawn = made.family.draw_alternative(
        choice, made.stats, rng=np.random.default_rng(4), shape=(2, 10_000), draw_groups=True
    )
    summary = posterior.summary().set_index(["parameter", "group"])
    nesting = made.stats.nesting
    assert nesting is not None
    checked = [((name, ""), drawn[name]) for name in ("mu", *names_of(made))]
    checked += [((f"phi[{k}]", ""), drawn["phi"][..., i]) for i, k in enumerate(nesting.labels)]
    checked += [(("theta", g), drawn["theta"][..., j]) for j, g in enumerate(made.labels)]
    for key, draws in checked:
        row = summary.loc[key]
        error = row["sd"] / np.sqrt(draws.size)
        assert abs(draws.mean() - row["mean"]) < 4.5 * error, key
        for name, p in (("q2.5", 0.025), ("median", 0.5), ("q97.5", 0.975)):
            assert (draws < row[name]).mean() == pytest.approx(
                p, abs=4.5 * np.sqrt(p * (1 - p) / draws.size)
            ), key


def test_without_variance_between_outer_groups_the_model_is_that_of_two_levels() -> None:
    data = nested.estimates()
    tiny = replace(CHOICE, omega=HalfNormal(1e-6))
    three: Any = data.family.exact_alternative(tiny, data.stats)
    same = exact.known_errors(
        data.labels, data.stats.raw, data.stats.raw_se, mu=CHOICE.mu, tau=CHOICE.tau
    )
    assert three.log_marginal_likelihood == pytest.approx(same.log_marginal_likelihood, abs=1e-5)


# Reading


BOTH = ("district", "school")
CSV = """district,school,effect,se
north,10,1.0,0.5
north,2,2.0,0.5
south,3,3.5,1.0
south,4,0.5,0.7
south,11,1.5,0.6
west,7,2.5,0.9
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "levels.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def model(source: Any, group: Any = ("district", "school"), **more: Any) -> GroupedData:
    roles = {"estimate": "effect", "se": "se"} if "value" not in more else {}
    return grouped(source, Columns(group=tuple(group), **{**roles, **more}))


def test_groups_of_one_outer_group_lie_side_by_side_and_go_by_their_own_label(file: Path) -> None:
    data = model(file)
    assert data.family is KNOWN_ERRORS_NESTED
    assert data.labels == ("2", "10", "3", "4", "11", "7")
    nesting = data.stats.nesting
    assert nesting is not None
    assert nesting.labels == ("north", "south", "west")
    assert nesting.index.tolist() == [0, 0, 1, 1, 1, 2]
    assert data.stats.raw.tolist() == [2.0, 1.0, 3.5, 0.5, 1.5, 2.5]
    assert data.group_label == "school"
    assert "in 3 districts" in repr(data)
    assert data.summary()["outer_group"].tolist() == ["north"] * 2 + ["south"] * 3 + ["west"]


def test_files_frames_and_parquet_give_the_same_groups(file: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(file)
    parquet = tmp_path / "levels.parquet"
    frame.to_parquet(parquet)
    read, taken, typed = model(file), model(frame), model(parquet)
    for other in (taken, typed):
        assert other.labels == read.labels
        assert other.stats.raw.tolist() == read.stats.raw.tolist()
        assert other.stats.nesting.record == read.stats.nesting.record


def test_observations_are_grouped_by_both_columns(tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    path.write_text(
        "district,school,hours\nb,1,2\nb,1,4\na,1,7\na,2,1\na,1,9\nb,2,5\na,2,2\n", encoding="utf-8"
    )
    data = model(path, value="hours")
    assert data.family is NESTED
    assert data.labels == ("b / 1", "b / 2", "a / 1", "a / 2")
    assert isinstance(data.stats, NestedStats)
    assert data.stats.n.tolist() == [2, 1, 2, 2]
    assert data.stats.mean.tolist() == [3.0, 5.0, 8.0, 1.5]
    assert np.bincount(data.group, data.y).tolist() == [6.0, 5.0, 16.0, 3.0]
    [note] = [note for note in data.notes if "occur in several" in note]
    assert "'1', '2'" in note
    assert "lme4, brms or bambi" in note


@pytest.mark.parametrize(
    ("text", "group", "message"),
    [
        (CSV, ("district", "school", "se"), "makes 4 levels.*lme4, brms or bambi"),
        (CSV, ("school", "school"), "--group school: it is named twice"),
        (
            CSV.replace("south", "north").replace("west", "north"),
            ("district", "school"),
            "one district, 'north'",
        ),
        (
            "district,school,effect,se\na,1,1,1\nb,2,2,1\nc,3,1,1\n",
            ("district", "school"),
            "each district has one school",
        ),
        (CSV.replace("west", "far / west"), BOTH, "cannot be told apart"),
        (CSV.replace("west", ""), BOTH, "line 7.*group is blank"),
        (
            CSV.replace("west", "south ").replace("7", "8"),
            ("district", "school"),
            "differ only by blanks",
        ),
        (CSV, ("county", "school"), "no column 'county'"),
        (CSV.replace("west,7", "south,4"), BOTH, "has 2 estimates"),
    ],
)
def test_bad_levels_are_refused_with_the_way_out(
    text: str, group: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "levels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"(?s){message}"):
        model(path, group)


def test_what_has_no_model_of_three_levels_is_refused(file: Path, tmp_path: Path) -> None:
    data = model(file)
    with pytest.raises(InputError, match="no model of both"):
        explained(data, ["se"])
    with pytest.raises(InputError, match="no model of both"):
        data.modelled(population="student_t")
    assert data.modelled(population=None) is data
    counts = tmp_path / "counts.csv"
    counts.write_text("d,s,k,n\na,1,3,9\na,2,4,9\nb,3,1,9\n", encoding="utf-8")
    with pytest.raises(InputError, match="for observations and estimates, and these .* lme4"):
        grouped(counts, Columns(group=("d", "s"), successes="k", trials="n"))


def test_few_outer_groups_are_warned_of() -> None:
    data = nested.estimates()
    few = data.stats.take(np.array([0, 1, 3, 4]))
    nesting = replace(few.nesting, labels=few.nesting.labels[:2])
    found = few_outer_groups(nesting)
    assert any("two districts" in warning for warning in found)
    assert any("leave 2 to tell" in warning for warning in found)
    assert few_outer_groups(data.stats.nesting) == []


def test_further_columns_are_found_by_both_labels(file: Path) -> None:
    data = model(file)
    assert read_columns(data, ["effect"])["effect"] == ["2.0", "1.0", "3.5", "0.5", "1.5", "2.5"]


# Very many groups


def many(J: int, K: int, seed: int = 6) -> tuple[NestedStats, np.ndarray, np.ndarray]:
    """Statistics of J groups in K outer ones, and the truth: theta and phi."""
    rng = np.random.default_rng(seed)
    index = np.sort(np.concatenate([np.arange(K), rng.integers(0, K, J - K)]))
    phi = rng.normal(8, 2, K)
    theta, n = rng.normal(phi[index], 1.5), rng.integers(2, 40, J)
    mean, ss = rng.normal(theta, 3 / np.sqrt(n)), 9 * rng.chisquare(n - 1)
    nesting = Nesting("district", "school", tuple(f"d{k}" for k in range(K)), index)
    labels = tuple(str(j) for j in range(J))
    return NestedStats(labels, n, mean, ss, nesting), theta, phi


def test_interpolated_sums_are_those_over_all_groups() -> None:
    own, *_ = many(3000, 40)
    posterior: Any = NESTED.exact_alternative(NESTED.base_choice(NESTED.default_priors(own)), own)
    leaves = posterior.leaves
    for ends in ((0.01, 5.0), (0.48, 0.52)):
        ratio = np.geomspace(*ends, 17)
        found, known = Interpolated(leaves, ratio).at(ratio), leaves.within(ratio)
        for one, other in zip(found, known, strict=True):
            assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_many_groups_are_fitted_and_estimated_as_their_truth_has_it() -> None:
    own, theta, phi = many(5_000, 200)
    priors = NESTED.default_priors(own)
    assert NESTED.draws_exactly(MARGINAL, own, rows=False)
    drawn = NESTED.draw_exactly(
        MARGINAL, own, priors, rng=np.random.default_rng(1), shape=(2, 200), draw_groups=False
    )
    for name, value in (("omega", 2.0), ("tau", 1.5), ("sigma", 3.0), ("mu", 8.0)):
        assert abs(drawn[name].mean() - value) < 5 * drawn[name].std()
    flat = drawn["phi"].reshape(-1, 200)
    assert np.std((flat.mean(axis=0) - phi) / flat.std(axis=0)) == pytest.approx(1, abs=0.2)
    scalars = {name: values for name, values in drawn.items() if values.ndim == 2}
    posterior = xr.Dataset({name: (("chain", "draw"), v) for name, v in scalars.items()})
    table = group_posterior.group_estimates(posterior, own)
    z = (table["mean"] - theta) / table["sd"]
    assert z.std() == pytest.approx(1, abs=0.04)
    within = (theta > table["q2.5"]) & (theta < table["q97.5"])
    assert within.mean() == pytest.approx(0.95, abs=0.015)
    assert table["outer_group"].tolist() == [f"d{k}" for k in own.nesting.index]
    with pytest.raises(InputError, match="follow from draws of phi, and the program writes none"):
        group_posterior.Hyperdraws.of(posterior, own)


def test_differences_and_ranks_are_those_of_drawing_every_group(made: GroupedData) -> None:
    drawn = made.family.draw_alternative(
        choice_of(made),
        made.stats,
        rng=np.random.default_rng(9),
        shape=(4, 2000),
        draw_groups=True,
    )
    by_last = {"phi": "district", "theta": "group"}
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *([by_last[name]] if values.ndim > 2 else [])), values)
            for name, values in drawn.items()
            if values.ndim == 2 or name in by_last
        }
    )
    theta = drawn["theta"].reshape(-1, made.stats.J)
    chosen = [made.stats.labels[j] for j in (0, 1, made.stats.J - 1)]
    at = group_posterior.positions(made.stats, chosen)
    for row in rows_of_frame(group_draws.group_contrasts(posterior, made.stats, chosen)):
        i, j = (made.stats.labels.index(row[name]) for name in ("group_i", "group_j"))
        apart = theta[:, i] - theta[:, j]
        assert row["mean"] == pytest.approx(apart.mean(), abs=0.06 * apart.std())
        assert row["p_greater"] == pytest.approx((apart > 0).mean(), abs=0.03)
        assert (apart < row["q97.5"]).mean() == pytest.approx(0.975, abs=0.01)
    ranks = (-theta).argsort(axis=1).argsort(axis=1) + 1
    table = group_draws.group_ranks(posterior, made.stats, chosen)
    np.testing.assert_allclose(table["expected_rank"], ranks[:, at].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(table["p_best"], (ranks[:, at] == 1).mean(axis=0), atol=0.03)
    again = group_draws.draw_groups(posterior, made.stats, chosen).to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(again.mean(axis=0), theta[:, at].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(again.std(axis=0), theta[:, at].std(axis=0), rtol=0.06)


def rows_of_frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict(orient="records")


def test_estimates_without_draws_of_groups_are_those_of_the_exact_posterior(
    made: GroupedData,
) -> None:
    choice = choice_of(made)
    drawn = made.family.draw_alternative(
        choice, made.stats, rng=np.random.default_rng(9), shape=(4, 500), draw_groups=False
    )
    scalars = {name: values for name, values in drawn.items() if values.ndim == 2}
    posterior = xr.Dataset({name: (("chain", "draw"), v) for name, v in scalars.items()})
    found = group_posterior.group_estimates(posterior, made.stats)
    exactly: Any = made.family.exact_alternative(choice, made.stats)
    known = exactly.summary()
    known = known[known["parameter"] == "theta"].reset_index(drop=True)
    for name in ("mean", "q2.5", "median", "q97.5"):
        off = np.abs(found[name] - known[name]) / found[f"mcse_{name}"]
        assert off.max() < 5, name
    one = group_posterior.group_estimates(posterior, made.stats, groups=[made.labels[3]])
    assert one["mean"].tolist() == pytest.approx(found["mean"].tolist()[3:4], rel=1e-12)
