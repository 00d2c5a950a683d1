"""The programs of groups within groups: their log densities, their draws, and a bug in one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from helpers import densities, nested
from partialpool import fitting, programs
from partialpool.api.result import Result
from partialpool.data import GroupedData
from partialpool.families.base import FORMS
from partialpool.fitting import Fit
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.programs import toolchain
from partialpool.report import levels as said
from partialpool.settings import Settings
from partialpool.tables import comparison, exactness, shrinkage

pytestmark = pytest.mark.stan

PROGRAMS = (*FORMS, "sensitivity")
MADE = {"known_errors_nested": nested.estimates, "nested": nested.observations}
Values = Mapping[str, Any]


@pytest.fixture(scope="module")
def executables(cmdstan: toolchain.CmdStan) -> dict[tuple[str, str], Path]:
    """Executable of each program, compiled side by side."""
    keys = [(family, name) for family in MADE for name in PROGRAMS]
    files = [programs.find_program(name, family=family) for family, name in keys]
    built = toolchain.compile_programs(files, cmdstan=cmdstan)
    return dict(zip(keys, built, strict=True))


@pytest.fixture(scope="module", params=MADE)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(family: str) -> GroupedData:
    return MADE[family]()


def points(data: GroupedData) -> list[dict[str, Any]]:
    """Values of all parameters, in the centered and in the non-centered form."""
    rng = np.random.default_rng(12)
    nesting = data.stats.nesting
    assert nesting is not None
    found = []
    for _ in range(4):
        zeta, eta = rng.normal(size=nesting.K), rng.normal(size=data.stats.J)
        mu, omega, tau, sigma = rng.normal(4, 2), *rng.uniform(0.3, 4, size=3)
        phi = mu + omega * zeta
        theta = phi[nesting.index] + tau * eta
        every = {"mu": mu, "omega": omega, "tau": tau, "sigma": sigma, "phi": phi, "theta": theta}
        stretched = {f"{name}_stretched": rng.uniform(-2, 2) for name in ("omega", "tau", "sigma")}
        found.append({**every, "zeta": zeta, "eta": eta, **stretched})
    return found


def prior(at: Values, given: Values) -> float:
    total = float(stats.norm.logpdf(at["mu"], given["mu_location"], given["mu_scale"]))
    for name in ("omega", "tau"):
        df, scale = given[f"{name}_df"], given[f"{name}_scale"]
        total += np.log(2) + float(stats.t.logpdf(at[name], df, 0, scale))
    return total


def likelihood(at: Values, data: GroupedData) -> float:
    sd = data.stats.raw_se if not data.stats.error_sd else np.full(data.stats.J, at["sigma"])
    return float(stats.norm.logpdf(data.y, at["theta"][data.group], sd[data.group]).sum())


def declared_of(at: Values, program: programs.Program) -> dict[str, Any]:
    return {name: at[name] for name in program.declared["parameters"]}


def test_centered_and_noncentered_densities_differ_by_the_jacobian_alone(
    family: str, data: GroupedData, executables: dict[tuple[str, str], Path]
) -> None:
    nesting = data.stats.nesting
    assert nesting is not None
    found: dict[str, NDArray[np.float64]] = {}
    known: dict[str, list[float]] = {"hierarchical_centered": [], "hierarchical_noncentered": []}
    every = points(data)
    for name in known:
        program = programs.load(name, family=family)
        given = stan_data(program, data, priors_for(data))
        at = [declared_of(point, program) for point in every]
        found[name] = densities.stan_log_density(executables[family, name], given, at)
        for point in every:
            groups = (
                stats.norm.logpdf(point["phi"], point["mu"], point["omega"]).sum()
                + stats.norm.logpdf(point["theta"], point["phi"][nesting.index], point["tau"]).sum()
                if name == "hierarchical_centered"
                else stats.norm.logpdf(point["zeta"]).sum() + stats.norm.logpdf(point["eta"]).sum()
            )
            known[name].append(prior(point, given) + float(groups) + likelihood(point, data))
        assert np.ptp(found[name] - np.array(known[name])) < 1e-8
    jacobian = [
        -nesting.K * np.log(point["omega"]) - data.stats.J * np.log(point["tau"]) for point in every
    ]
    apart = found["hierarchical_centered"] - found["hierarchical_noncentered"]
    assert np.ptp(apart - np.array(jacobian)) < 1e-8


def seen(sd: float, v: Any, outer: Any, total: float) -> float:
    w = 1 / (sd**2 + v)
    others = 1 - w / np.bincount(outer, w)[outer]
    return float((((w * others) ** 2).sum() + total**-2) ** -0.25)


def rough(d: Any, v: Any, outer: Any, total: float) -> float:
    sd = np.sqrt(total)
    for _ in range(20):
        w = 1 / (sd**2 + v)
        W = np.bincount(outer, w)
        apart, others = d - (np.bincount(outer, w * d) / W)[outer], 1 - w / W[outer]
        spare = (w * others).sum()
        left = (w * (apart**2 - others * v)).sum() / spare if spare > 0 else 0.0
        sd = float(np.hypot(np.sqrt(max(0.0, left)), seen(sd, v, outer, total)))
    return float(sd)


def sds_at(point: Values, data: GroupedData, given: Values) -> tuple[dict[str, float], float]:
    """Sds that the stretched numbers stand for, and the log of the derivatives."""
    own, nesting = data.stats, data.stats.nesting
    assert nesting is not None
    d = own.raw - own.raw.mean()
    v = own.raw_se**2
    total = float((d**2 + v).mean())
    tau = rough(d, v, nesting.index, total)
    w = 1 / (tau**2 + v)
    W = np.bincount(nesting.index, w)
    m, whole = np.bincount(nesting.index, w * d) / W, np.zeros(nesting.K, dtype=int)
    scales = {
        "omega": (rough(m, 1 / W, whole, total), seen(0, 1 / W, whole, total), np.inf),
        "tau": (tau, seen(0, v, nesting.index, total), np.inf),
    }
    if own.error_sd:
        within = np.sqrt(given["ssw"] / (own.N - own.J))
        scales["sigma"] = (float(within), 0.0, given["sigma_upper"])
    found, slopes, step = {}, 0.0, 1e-20
    for name, (scale, small, bound) in scales.items():
        sd = densities.stretched(point[f"{name}_stretched"] + step * 1j, scale, small, bound)
        found[name] = sd.real
        slopes += np.log(sd.imag / step)
    return found, slopes


def test_the_marginal_density_is_that_of_one_normal_distribution(
    family: str, data: GroupedData, executables: dict[tuple[str, str], Path]
) -> None:
    program = programs.load("hierarchical_marginal", family=family)
    given = stan_data(program, data, priors_for(data))
    at = [declared_of(point, program) for point in points(data)]
    found = densities.stan_log_density(
        executables[family, "hierarchical_marginal"], given, at, jacobian=True
    )
    nesting = data.stats.nesting
    assert nesting is not None
    known = []
    for point in at:
        sds, slopes = sds_at(point, data, given)
        lies = np.eye(nesting.K)[nesting.index][data.group]
        same = np.eye(data.stats.J)[data.group]
        sd = data.stats.raw_se if not data.stats.error_sd else np.full(data.stats.J, sds["sigma"])
        covariance = given["mu_scale"] ** 2 + sds["omega"] ** 2 * lies @ lies.T
        covariance = covariance + sds["tau"] ** 2 * same @ same.T + np.diag(sd[data.group] ** 2)
        mean = np.full(len(data.y), given["mu_location"])
        total = slopes + float(stats.multivariate_normal(mean, covariance).logpdf(data.y))
        for name in ("omega", "tau"):
            total += float(
                stats.t.logpdf(sds[name], given[f"{name}_df"], 0, given[f"{name}_scale"])
            )
        known.append(total)
    assert np.ptp(found - np.array(known)) < 1e-7


def test_the_program_of_prior_choices_has_the_same_density_under_the_same_priors(
    family: str, data: GroupedData, executables: dict[tuple[str, str], Path]
) -> None:
    found = []
    priors = priors_for(data)
    for name in ("hierarchical_marginal", "sensitivity"):
        program = programs.load(name, family=family)
        base = data.family.base_choice(priors)
        extra = {**base.inputs(), "prior_power": 1.0} if name == "sensitivity" else {}
        given = stan_data(program, data, priors, extra=extra)
        at = [declared_of(point, program) for point in points(data)]
        log = densities.stan_log_density(executables[family, name], given, at, jacobian=True)
        assert np.ptp(log) > 0.1
        found.append(log)
    assert np.ptp(found[0] - found[1]) < 1e-7


@pytest.fixture(scope="module")
def fits(
    family: str,
    data: GroupedData,
    executables: dict[tuple[str, str], Path],
    cmdstan: toolchain.CmdStan,
) -> list[Fit]:
    names = ("hierarchical_marginal", "hierarchical_noncentered")
    return fitting.fit_programs(
        [programs.load(name, family=family) for name in names],
        data,
        priors=priors_for(data),
        settings=Settings(warmup=500, draws=1000, adapt_delta=0.98, seed=4),
        cmdstan=cmdstan,
        pointwise=True,
    )


def test_draws_agree_with_the_exact_posterior(fits: list[Fit], data: GroupedData) -> None:
    priors = priors_for(data)
    known = exactness.exact_summary(
        {fit.name: data.family.exact_posterior(fit.name, data.stats, priors) for fit in fits}
    )
    compared = exactness.compare_with_exact(shrinkage.estimates(fits, data), known)
    assert {"phi[Ash]", "phi_new", "theta_new", "omega", "tau", "mu"} <= set(compared["parameter"])
    assert exactness.agreement(compared)["agrees"].all()


def test_tables_and_sentences_tell_the_levels(fits: list[Fit], data: GroupedData) -> None:
    found = comparison.compute(data, fits[:1])
    assert not found.missing
    nesting = data.stats.nesting
    assert nesting is not None
    levels, outer = found.table("levels"), found.table("outer_groups")
    assert levels["parameter"].tolist() == list(data.family.population[1:])
    assert levels["share"].sum() == pytest.approx(1)
    assert levels["correlation"].notna().sum() == (2 if data.stats.error_sd else 0)
    known = data.family.exact_posterior(fits[0].name, data.stats, priors_for(data)).summary()
    phi = known[known["parameter"].str.startswith("phi[")]
    assert outer["outer_group"].tolist() == [*nesting.labels, "new"]
    estimate = outer.loc[outer["known"], ["estimate", "mcse"]].to_numpy()
    assert (np.abs(estimate[:, 0] - phi["mean"].to_numpy()) < 5 * estimate[:, 1]).all()
    new = known[known["parameter"] == "theta_new"].iloc[0]
    [last] = outer[~outer["known"]].to_dict(orient="records")
    width = new["q97.5"] - new["q2.5"]
    assert last["new_q97.5"] - last["new_q2.5"] == pytest.approx(width, rel=0.1)
    assert ((outer["lambda_mean"] > 0) & (outer["lambda_mean"] < 1))[outer["known"]].all()
    poolings = found.table("poolings")
    assert {"two_levels", "three_levels"} <= set(poolings)
    middle = found.table("shrinkage")["estimate"].to_numpy()
    assert poolings["three_levels"].to_numpy() == pytest.approx(middle, abs=0.3)
    target = found.table("shrinkage")["target"].to_numpy()
    assert target == pytest.approx(estimate[nesting.index, 0], abs=1e-9)
    [first, *others] = said.lines(found)
    assert first.startswith("Districts differ with the sd ω (posterior median ")
    assert any("in a new district, between" in line for line in others)


def test_a_new_group_is_predicted_from_its_outer_group(fits: list[Fit], data: GroupedData) -> None:
    result = Result(data, tuple(fits[:1]))
    rows = {
        "school": ["further", "elsewhere", data.labels[0], data.labels[0]],
        "district": ["Ash", "Oak", "Ash", "Birch"],
    }
    near, far, known, other = result.predict(rows).to_dict(orient="records")
    assert (known["kind"], other["kind"]) == ("known", "new")  # of that label in another district
    assert result.predict([data.labels[0]])["kind"].tolist() == ["known"]
    outer = result.table("outer_groups").set_index("outer_group")
    assert near["mean"] == pytest.approx(outer.loc["Ash", "estimate"], abs=0.3)
    assert far["mean"] == pytest.approx(outer.loc["new", "estimate"], abs=0.4)
    assert near["sd"] < far["sd"]


def test_results_are_saved_and_opened_with_their_levels(
    fits: list[Fit], data: GroupedData, tmp_path: Path
) -> None:
    import partialpool as pp

    Result(data, tuple(fits[:1])).save(tmp_path / "kept")
    again = pp.open(tmp_path / "kept")
    assert again.data.family is data.family
    assert again.data.stats.nesting.record == data.stats.nesting.record  # type: ignore[union-attr]
    assert again.data.labels == data.labels


def test_a_program_that_forgets_the_outer_groups_is_caught(
    tmp_path: Path, cmdstan: toolchain.CmdStan
) -> None:
    data = nested.estimates()
    right = programs.find_program("hierarchical_noncentered", family="known_errors_nested")
    text = right.read_text(encoding="utf-8")
    old = "vector[J] theta = phi[outer] + tau * eta;"
    assert text.count(old) == 1
    wrong = tmp_path / "forgetful.stan"
    wrong.write_text(text.replace(old, "vector[J] theta = mu + tau * eta;"), encoding="utf-8")
    [built] = toolchain.compile_programs([wrong], cmdstan=cmdstan)
    program = programs.load(wrong)
    given = stan_data(program, data, priors_for(data))
    every = points(data)
    at = [declared_of(point, program) for point in every]
    found = densities.stan_log_density(built, given, at)
    known = [
        prior(point, given)
        + float(stats.norm.logpdf(point["zeta"]).sum() + stats.norm.logpdf(point["eta"]).sum())
        + likelihood(point, data)
        for point in every
    ]
    assert np.ptp(found - np.array(known)) > 0.1
