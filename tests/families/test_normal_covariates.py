"""Observations with covariates of groups: the algebra against dense matrices, REML, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from partialpool.api.frames import grouped
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.grouped import from_values
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.families import EXPLAINED_OBSERVATIONS, NORMAL, exact
from partialpool.families.classical_lines import regression
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfNormal, Normal
from partialpool.tables import refits

SIZES = np.array([1, 2, 5, 3, 9, 4, 2, 6])


def made(offset: float = 0.0) -> GroupedData:
    rng = np.random.default_rng(21)
    group = np.repeat(np.arange(8), SIZES)
    uranium, kind = rng.normal(50, 10, 8), np.array(["a", "b", "b", "a", "b", "a", "a", "b"])
    y = 3 + 0.1 * uranium[group] + rng.normal(0, 0.8, 8)[group] + rng.normal(0, 1.2, SIZES.sum())
    plain = from_values([f"county {j}" for j in group], offset + y, name="radon")
    columns = {"uranium": uranium[group].tolist(), "kind": kind[group].tolist()}
    return explained(replace(plain, columns=columns), ["uranium", "kind"])


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_posterior_is_that_of_dense_matrices(offset: float) -> None:
    """A sum over (tau, sigma) of one multivariate normal density of all observations."""
    data = made(offset)
    own, found = data.stats, data.stats.covariates
    assert found is not None
    choice = replace(
        EXPLAINED_OBSERVATIONS.base_choice(priors_for(data)),
        mu=Normal(offset + 7, 4),
        beta=Normal(0, 1.5),
        tau=HalfNormal(1.0),
        sigma=HalfNormal(1.5),
    )
    posterior = EXPLAINED_OBSERVATIONS.exact_alternative(choice, own)
    table = posterior.summary().set_index(["parameter", "group"])
    assert table["error"].max() < 1e-8
    x = found.design[data.group]
    scale = np.array([4.0, 1.5, 1.5])
    same = (data.group[:, None] == data.group).astype(float)
    y = data.y - offset - 7
    unit = np.concatenate([[1.0], 1 / found.spread])
    nodes, steps = np.polynomial.legendre.leggauss(36)
    taus, sigmas = 2.5 * (nodes + 1), 0.4 + 1.5 * (nodes + 1)
    total, means, thetas = [], [], []
    for t, a in zip(taus, 2.5 * steps, strict=True):
        for s, b in zip(sigmas, 1.5 * steps, strict=True):
            noise = t**2 * same + s**2 * np.eye(len(y))
            whole = noise + (x * scale**2) @ x.T
            log = stats.multivariate_normal.logpdf(y, np.zeros(len(y)), whole)
            log += float(choice.tau.log_density(t) + choice.sigma.log_density(s))
            total.append(log + np.log(a * b))
            weights = np.linalg.solve(whole, y)
            b_mean = scale**2 * (x.T @ weights)
            means.append(b_mean * unit)
            own_part = t**2 * np.array([weights[data.group == j].sum() for j in range(8)])
            thetas.append(found.design @ b_mean + own_part)
    log_total = np.logaddexp.reduce(total)
    assert posterior.log_marginal_likelihood == pytest.approx(log_total, abs=2e-4)
    share = np.exp(np.array(total) - log_total)
    mean, theta = share @ np.array(means), share @ np.array(thetas) + offset + 7
    mean[0] += offset + 7
    for k, name in enumerate(("mu", "beta[uranium]", "beta[kind: b]")):
        row = table.loc[(name, "")]
        assert row["mean"] == pytest.approx(mean[k], abs=2e-4 * row["sd"])
    assert table.loc["theta", "mean"].to_numpy() == pytest.approx(theta, abs=2e-4)


@pytest.mark.parametrize("program", ["hierarchical_marginal", "complete_pooling"])
def test_a_group_left_out_lies_at_its_own_covariates(program: str) -> None:
    """The density of its data given the others is p(y) over p(the others)."""
    data = made()
    own, found, priors = data.stats, data.stats.covariates, priors_for(made())
    assert found is not None
    whole: Any = EXPLAINED_OBSERVATIONS.exact_posterior(program, own, priors)
    for j in (0, 4, 6):
        rest = own.take(np.delete(np.arange(8), j))
        left: Any = EXPLAINED_OBSERVATIONS.exact_posterior(program, rest, priors)
        density, below = refits._new_group(data, j, left.group_at(found.design[j]))
        known = whole.log_marginal_likelihood - left.log_marginal_likelihood
        assert density == pytest.approx(known, abs=1e-7)
        assert 0 < below < 1


def test_draws_are_those_of_the_posterior() -> None:
    data = made()
    choice = EXPLAINED_OBSERVATIONS.base_choice(priors_for(data))
    posterior = EXPLAINED_OBSERVATIONS.exact_alternative(choice, data.stats)
    table = posterior.summary().set_index(["parameter", "group"])
    drawn = posterior.draws(rng=np.random.default_rng(3), shape=(4, 5000), groups=True)
    flat = {name: array.reshape(20_000, -1) for name, array in drawn.items()}
    rows = {
        "mu": [("mu", "")],
        "tau": [("tau", "")],
        "sigma": [("sigma", "")],
        "beta": [("beta[uranium]", ""), ("beta[kind: b]", "")],
        "theta": [("theta", label) for label in data.labels],
    }
    for name, places in rows.items():
        for k, place in enumerate(places):
            row = table.loc[place]
            assert flat[name][:, k].mean() == pytest.approx(row["mean"], abs=0.04 * row["sd"])
            assert flat[name][:, k].std() == pytest.approx(row["sd"], rel=0.06)


def test_complete_pooling_is_partial_pooling_without_spread() -> None:
    data = made()
    own, found = data.stats, data.stats.covariates
    assert found is not None
    mu, beta, sigma = Normal(8, 5), Normal(0, 2), HalfNormal(2)
    line = exact.common_line_of_means(own, found, mu=mu, beta=beta, sigma=sigma)
    near = exact.line_of_means(own, found, mu=mu, beta=beta, tau=HalfNormal(1e-5), sigma=sigma)
    columns = ["parameter", "group"]
    one, other = (each.summary().set_index(columns) for each in (line, near))
    shared = one.index.intersection(other.index)
    assert {"theta", "mu", "beta[uranium]", "sigma"} <= {name for name, _ in shared}
    for column in ("mean", "sd", "q2.5", "q97.5"):
        found_here = one.loc[shared, column].to_numpy()
        assert found_here == pytest.approx(other.loc[shared, column].to_numpy(), rel=1e-6)
    assert line.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-6)


def test_a_slope_that_must_be_zero_leaves_the_model_without_covariates() -> None:
    data = made()
    choice = EXPLAINED_OBSERVATIONS.base_choice(priors_for(data))
    flat = EXPLAINED_OBSERVATIONS.exact_alternative(
        replace(choice, beta=Normal(0, 1e-7)), data.stats
    )
    plain: Any = EXPLAINED_OBSERVATIONS.unexplained(data.stats, priors_for(data))
    assert flat.log_marginal_likelihood == pytest.approx(plain.log_marginal_likelihood, abs=1e-6)
    one, other = (each.summary().set_index(["parameter", "group"]) for each in (flat, plain))
    assert one.loc[other.index, "mean"].to_numpy() == pytest.approx(other["mean"], rel=1e-6)


def test_reml_is_the_maximum_of_the_dense_restricted_likelihood() -> None:
    data = made(1e3)
    own, found = data.stats, data.stats.covariates
    assert found is not None
    x, y = found.design[data.group], data.y - 1e3
    same = (data.group[:, None] == data.group).astype(float)

    def deviance(at: Any) -> float:
        whole = np.exp(at[0]) * same + np.exp(at[1]) * np.eye(len(y))
        inside = np.linalg.inv(whole)
        gain = x.T @ inside @ x
        b = np.linalg.solve(gain, x.T @ inside @ y)
        left = y - x @ b
        logs = np.linalg.slogdet(whole)[1] + np.linalg.slogdet(gain)[1]
        return float(logs + left @ inside @ left)

    best = optimize.minimize(deviance, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8})
    table = regression(own, found)
    assert table["tau2"][0] == pytest.approx(np.exp(best.x[0]), rel=1e-4)
    assert table["sigma2"][0] == pytest.approx(np.exp(best.x[1]), rel=1e-4)
    whole = np.exp(best.x[0]) * same + np.exp(best.x[1]) * np.eye(len(y))
    raw = np.column_stack([np.ones(len(y)), found.values[data.group]])
    gain = raw.T @ np.linalg.inv(whole) @ raw
    b = np.linalg.solve(gain, raw.T @ np.linalg.inv(whole) @ data.y)
    assert table["estimate"].to_numpy() == pytest.approx(b, rel=1e-4)
    assert table["se"].to_numpy() == pytest.approx(np.sqrt(np.diag(np.linalg.inv(gain))), rel=1e-4)
    dummies = (data.group[:, None] == np.arange(8)).astype(float)
    squares = [np.linalg.lstsq(design, y, rcond=None)[1][0] for design in (x, dummies)]
    f = (squares[0] - squares[1]) / (8 - 3) / (squares[1] / (len(y) - 8))
    assert table["f"][0] == pytest.approx(f, rel=1e-9)
    assert table["p_value"][0] == pytest.approx(stats.f.sf(f, 5, len(y) - 8), rel=1e-9)


def test_the_mean_of_a_group_is_drawn_to_the_line_by_its_pooling_factor() -> None:
    data = made()
    choice = EXPLAINED_OBSERVATIONS.base_choice(priors_for(data))
    tight = replace(choice, tau=HalfNormal(1e-6))
    table = EXPLAINED_OBSERVATIONS.exact_alternative(tight, data.stats).summary()
    at = table.set_index(["parameter", "group"])
    found = data.stats.covariates
    assert found is not None
    slopes = [at.loc[(f"beta[{name}]", ""), "mean"] for name in found.names]
    line = at.loc[("mu", ""), "mean"] + found.centered @ np.array(slopes)
    assert at.loc["theta", "mean"].to_numpy() == pytest.approx(line, abs=1e-6)
    assert at.loc["lambda", "mean"].to_numpy() == pytest.approx(np.ones(8), abs=1e-6)


# From files and frames


def test_rows_of_files_and_frames_are_taken_by_group(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "county": ["b", "a", "b", "c", "c", "d", "a", "d"],
            "radon": [1.0, 2.0, 1.5, 0.5, 0.7, 2.0, 3.0, 2.2],
            "uranium": [5.0, 1.0, 5.0, 3.0, 3.0, 2.5, 1.0, 2.5],
            "soil": ["x", "y", "x", "y", "y", "x", "y", "x"],
        }
    )
    path = tmp_path / "radon.csv"
    frame.to_csv(path, index=False)
    known = {"a": (1.0, 1.0), "b": (5.0, 0.0), "c": (3.0, 1.0), "d": (2.5, 0.0)}
    columns = Columns(group="county", value="radon")
    plain = [read(path, columns=columns), grouped(frame, columns, further=["uranium", "soil"])]
    for data in [explained(each, ["uranium", "soil"]) for each in plain]:
        assert data.family is EXPLAINED_OBSERVATIONS
        assert data.stats.covariates.values.tolist() == [list(known[g]) for g in data.labels]
        assert data.family.compared(data.stats)[0][1] == "no_pooling_common_variance"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_statistics_without_rows_have_the_same_covariates(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(9)
    group = rng.permutation(np.repeat(np.arange(6), 5))
    x, kind = rng.normal(0, 1, 6).round(3), np.array(list("aabbab"))
    columns = {"x": x[group], "kind": kind[group], "other": rng.normal(size=30)}
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "y": rng.normal(size=30), **columns})
    path = tmp_path / f"rows.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    kept, summed = (
        read(path, columns=Columns(group="g", value="y"), most_observations=most)
        for most in (100, 10)
    )
    assert kept.has_observations
    assert not summed.has_observations
    one, other = (explained(each, ["x", "kind"]).stats for each in (kept, summed))
    assert one.covariates.values.tolist() == other.covariates.values.tolist()
    assert one.mean == pytest.approx(other.mean)
    for each in (kept, summed):
        with pytest.raises(InputError, match="varies within group"):
            explained(each, ["other"])
        with pytest.raises(InputError, match="there is no column 'z'"):
            explained(each, ["z"])


@pytest.mark.parametrize("most", [100, 10])
def test_numbers_may_be_spelled_in_several_ways(tmp_path: Path, most: int) -> None:
    path = tmp_path / "rows.csv"
    levels = {"a": ("1", "1.0", "1.00"), "b": ("2", "2.0", "2"), "c": ("4", "4", "4"), "d": "999"}
    rows = [f"{g},{k + len(x)},{x}" for g, xs in levels.items() for k, x in enumerate(xs)]
    path.write_text("g,y,x\n" + "\n".join([*rows, "a,,7", "b,NA,8"]) + "\n")
    columns = Columns(group="g", value="y")
    data = read(path, columns=columns, most_observations=most, drop_missing=True)
    assert data.has_observations == (most == 100)
    assert explained(data, ["x"]).stats.covariates.values.ravel().tolist() == [1.0, 2.0, 4.0, 9.0]


def test_files_that_have_changed_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("g,y,x\n" + "".join(f"{g},{k},{k % 3}\n" for k, g in enumerate("abcdef" * 3)))
    data = read(path, columns=Columns(group="g", value="y"), most_observations=10)
    path.write_text("g,y,x\na,1,2\n")
    with pytest.raises(InputError, match=r"not those that were read before; read the data again"):
        explained(data, ["x"])


def test_summaries_take_covariates(tmp_path: Path) -> None:
    path = tmp_path / "summaries.csv"
    path.write_text("g,n,m,s,x\na,5,1.0,0.5,3\nb,4,2.0,0.7,1\nc,6,1.5,0.4,2\nd,3,2.2,0.6,9\n")
    columns = Columns(group="g", n="n", mean="m", sd="s")
    made = explained(read(path, columns=columns), ["x"])
    assert made.stats.covariates is not None
    assert made.stats.covariates.values.ravel().tolist() == [3.0, 1.0, 2.0, 9.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"z": [1.0, 2.0, 3.0, 3.0, 4.0, 4.0]}, "z: it varies within group 'a' .there are 1 and 2"),
        ({"z": ["x", "y", "x", "x", "z", "z"]}, "varies within group 'a' .there are 'x' and 'y'"),
        ({"z": [1.0, 1.0, 2.0, 2.0, np.nan, np.nan]}, "'z' of group 'c' is missing"),
        ({"z": [7.0] * 6}, "'z' is the same in all groups"),
        (
            {"z": [1.0, 1.0, 2.0, np.nan, 4.0, 4.0]},
            "varies within group 'b' .there are 2 and a",
        ),
    ],
)
def test_bad_covariates_are_named(columns: dict[str, Any], message: str) -> None:
    plain = from_values(list("aabbcc"), [1.0, 2.0, 3.0, 3.5, 5.0, 5.5], name="few")
    with pytest.raises(InputError, match=message):
        explained(replace(plain, columns=columns), ["z"])


def test_two_models_of_the_same_rows_are_refused() -> None:
    plain = from_values(list("aabbcc"), [1.0, 2.0, 3.0, 3.5, 5.0, 5.5], name="few")
    wide = replace(plain, columns={"z": [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]})
    assert explained(wide, ["z"]).stats.total_sd == NORMAL.statistics.total_sd.fget(plain.stats)
    with pytest.raises(InputError, match="there is no model of both"):
        explained(wide.modelled(spread="own"), ["z"])
    with pytest.raises(InputError, match="--spread own with covariates: there is no model of both"):
        explained(wide, ["z"]).modelled(spread="own")
