"""Bugs put into the shipped programs on purpose: each is caught, and the right program is not.

Two checks stand guard: the program's log density against SciPy's, point by point, and its draws
against the exact posterior. The third, simulation-based calibration, is in `test_calibration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from helpers import densities
from partialpool import fitting, programs
from partialpool.data import GroupedData
from partialpool.data.adjusting import with_covariates
from partialpool.data.covariates import explained
from partialpool.data.weights import weighted
from partialpool.families import FAMILIES
from partialpool.families.moments import group_stats
from partialpool.families.normal import NORMAL
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.priors import SCALE_FAMILIES, Normal, hyperparameters
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness, shrinkage

pytestmark = pytest.mark.stan

SHIPPED = (*programs.SHIPPED, "sensitivity")
SETTINGS = Settings(warmup=500, draws=1000, adapt_delta=0.95, seed=4)


@dataclass(frozen=True)
class Edit:
    """A shipped program and what is changed in its text."""

    program: str
    changes: Mapping[str, str]

    def write(self, path: Path) -> Path:
        text = programs.find_program(self.program).read_text(encoding="utf-8")
        for old, new in self.changes.items():
            assert text.count(old) == 1, f"{self.program} has changed: {old!r}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return path


BUGS = {
    "wrong_scale": Edit(
        "hierarchical_noncentered", {"eta ~ std_normal();": "eta ~ normal(0, 1.2);"}
    ),
    "forgotten_jacobian": Edit(
        "hierarchical_noncentered",
        {
            "real<lower=0, upper=tau_most> tau;": (
                "real<lower=log(tau_upper) - 12, upper=log(tau_upper)> log_tau;"
            ),
            "vector[J] theta = mu": "real tau = exp(log_tau);\n  vector[J] theta = mu",
        },
    ),
    "sigma_for_sigma2": Edit(
        "complete_pooling", {"y ~ normal(theta, sigma)": "y ~ normal(theta, sigma2)"}
    ),
}
"""A forgotten Jacobian needs a parameter on another scale than its prior; tau is kept above 0."""


def without_last_row(data: GroupedData) -> GroupedData:
    """What a bug on the way from the file to Stan would leave."""
    y, group = data.y[:-1], data.group[:-1]
    return replace(data, y=y, group=group, stats=group_stats(y, group, data.labels))


@pytest.fixture(scope="module")
def executables(
    tmp_path_factory: pytest.TempPathFactory, cmdstan: toolchain.CmdStan
) -> dict[str, tuple[Path, Path]]:
    """File and executable of each program, shipped or edited; compiled side by side."""
    folder = tmp_path_factory.mktemp("edited")
    files = {name: programs.find_program(name) for name in SHIPPED}
    files |= {name: edit.write(folder / f"{name}.stan") for name, edit in BUGS.items()}
    built = toolchain.compile_programs(list(files.values()), cmdstan=cmdstan)
    return dict(zip(files, zip(files.values(), built, strict=True), strict=True))


# The log density


def points(program: str, data: GroupedData) -> list[dict[str, Any]]:
    """Values of the parameters of a shipped program, near the posterior and far from it."""
    rng = np.random.default_rng(12)
    shape = () if program == "complete_pooling" else (data.stats.J,)
    found = []
    for _ in range(4):
        eta, mu, tau, sigma = rng.normal(size=shape), rng.normal(8, 3), *rng.uniform(0.3, 6, size=2)
        every = {
            "mu": mu,
            "tau": tau,
            "sigma": sigma,
            "eta": eta,
            "theta": mu + tau * eta,
            "sigma2": rng.uniform(4, 40, size=shape),
            "tau_stretched": rng.uniform(-4, 4),
            "sigma_stretched": rng.uniform(-1, 3),
        }
        declared = programs.load(program).declared["parameters"]
        found.append({name: every[name] for name in every if name in declared})
    return found


def off(
    executable: Path,
    program: str,
    data: GroupedData,
    inputs: Mapping[str, Any],
    *,
    on_log_scale: bool = False,
    jacobian: bool = True,
) -> float:
    """Stan's log density minus SciPy's at some points; a constant may be left out of Stan's."""
    at = points(program, data)
    density = getattr(densities, program)
    truth = np.array([density(point, data, inputs) for point in at])
    if on_log_scale:
        truth += np.log([point["tau"] for point in at]) if jacobian else 0.0
        at = [{**point, "log_tau": np.log(point.pop("tau"))} for point in at]
    stretched = "tau_stretched" in at[0]
    difference = densities.stan_log_density(executable, inputs, at, jacobian=stretched) - truth
    return float(np.ptp(difference))


@pytest.mark.parametrize("name", programs.SHIPPED)
def test_log_densities_of_the_shipped_programs_are_those_of_scipy(
    name: str, executables: dict[str, tuple[Path, Path]], homework: GroupedData
) -> None:
    inputs = stan_data(programs.load(name), homework, priors_for(homework))
    assert off(executables[name][1], name, homework, inputs) < 1e-8


@pytest.mark.parametrize("family", range(len(SCALE_FAMILIES)), ids=list(SCALE_FAMILIES))
def test_log_densities_under_other_priors_are_those_of_scipy(
    family: int, executables: dict[str, tuple[Path, Path]], homework: GroupedData
) -> None:
    makers = list(SCALE_FAMILIES.values())
    settings = {1: [7.0], 2: [3.0, 2.5]}
    tau, sigma = (
        make(*settings[len(fields(make))]) for make in (makers[family], makers[family - 1])
    )
    choice = replace(
        NORMAL.base_choice(priors_for(homework)), mu=Normal(9, 4), tau=tau, sigma=sigma
    )
    inputs = stan_data(
        programs.load("sensitivity"),
        homework,
        hyperparameters.Priors({}),
        extra={**choice.inputs(), "prior_power": 0.7},
    )
    assert off(executables["sensitivity"][1], "sensitivity", homework, inputs) < 1e-8


@pytest.mark.parametrize("name", BUGS)
def test_the_log_density_gives_each_bug_away(
    name: str, executables: dict[str, tuple[Path, Path]], homework: GroupedData
) -> None:
    program = BUGS[name].program
    inputs = stan_data(programs.load(program), homework, priors_for(homework))
    of = {"on_log_scale": True} if name == "forgotten_jacobian" else {}
    assert off(executables[name][1], program, homework, inputs, **of) > 0.1
    if name == "forgotten_jacobian":  # and nothing else is wrong with it
        bare = off(
            executables[name][1], program, homework, inputs, on_log_scale=True, jacobian=False
        )
        assert bare < 1e-8


def test_the_log_density_gives_a_dropped_row_away(
    executables: dict[str, tuple[Path, Path]], homework: GroupedData
) -> None:
    program = programs.load("hierarchical_centered")
    inputs = stan_data(program, without_last_row(homework), priors_for(homework))
    assert off(executables[program.name][1], program.name, homework, inputs) > 0.1


# The draws


def agrees(
    path: Path, program: str, truth: GroupedData, given: GroupedData, cmdstan: toolchain.CmdStan
) -> bool:
    """Whether draws of a program, given some data, agree with a shipped model's posterior."""
    priors = priors_for(truth)
    fits = fitting.fit_programs(
        [programs.load(path)], given, priors=priors, settings=SETTINGS, cmdstan=cmdstan
    )
    known = exactness.exact_summary(
        {fits[0].name: NORMAL.exact_posterior(program, truth.stats, priors)}
    )
    found = exactness.agreement(
        exactness.compare_with_exact(shrinkage.estimates(fits, given), known)
    )
    return bool(found["agrees"].all())


@pytest.mark.parametrize("name", ["complete_pooling", "hierarchical_noncentered", *BUGS])
def test_draws_agree_with_the_exact_posterior_unless_there_is_a_bug(
    name: str,
    executables: dict[str, tuple[Path, Path]],
    homework: GroupedData,
    cmdstan: toolchain.CmdStan,
) -> None:
    program = BUGS[name].program if name in BUGS else name
    right = agrees(executables[name][0], program, homework, homework, cmdstan)
    assert right == (name not in BUGS)


def test_draws_without_a_row_disagree(homework: GroupedData, cmdstan: toolchain.CmdStan) -> None:
    path, fewer = programs.find_program("no_pooling"), without_last_row(homework)
    assert agrees(path, "no_pooling", homework, homework, cmdstan)
    assert not agrees(path, "no_pooling", homework, fewer, cmdstan)


# Other models of the same rows

WIDER = {
    "square_of_sigma0": (
        "own_spread",
        "hierarchical_noncentered",
        (
            "sigma2 ~ scaled_inv_chi_square(nu0, sigma0);",
            "sigma2 ~ scaled_inv_chi_square(nu0, square(sigma0));",
        ),
    ),
    "normal_for_student_t": (
        "student_t",
        "hierarchical_noncentered",
        ("eta ~ student_t(nu, 0, 1);", "eta ~ std_normal();"),
    ),
    "slopes_without_weights": (
        "normal_covariates",
        "hierarchical_marginal",
        ("X' * (w .* d);", "X' * d;"),
    ),
    "slopes_of_means_alone": (
        "normal_adjusted",
        "hierarchical_marginal",
        ("+ v * (X_within' * y_within);", ";"),
    ),
    "squares_left_counted_twice": (
        "normal_adjusted",
        "no_pooling_common_variance",
        ("target += -0.5 * ssw / sigma2", "target += -ssw / sigma2"),
    ),
    "variance_over_the_root_of_the_weight": (
        "weighted",
        "hierarchical_centered",
        (
            "y ~ normal(theta[group], sigma * inv_sqrt(weight));",
            "y ~ normal(theta[group], sigma * inv(weight));",
        ),
    ),
    "square_of_the_scale_of_errors": (
        "student_t_errors",
        "hierarchical_centered",
        (
            "y ~ student_t(nu, theta[group], sigma);",
            "y ~ student_t(nu, theta[group], square(sigma));",
        ),
    ),
    "degrees_of_freedom_not_halved": (
        "student_t",
        "hierarchical_marginal",
        ("log_shares(u, t, 0.5 * nu)", "log_shares(u, t, nu)"),
    ),
    "covariates_from_zero": (
        "proportions_covariates",
        "hierarchical_noncentered",
        ("location + x * beta", "location + covariates * beta"),
    ),
}
"""Name of a bug to the family and program that it is put into, and what is changed for what."""


def modelled(homework: GroupedData, family: str) -> GroupedData:
    """The homework data under another model; the covariate is the school's number.

    Of counts, batting averages with a number of each player.
    """
    if FAMILIES[family].reads == "proportions":
        batting = pp.read(pp.example("batting"))
        columns = {"number": [str(j % 5) for j in range(batting.stats.J)]}
        return explained(replace(batting, columns=columns), ["number"])
    if family == "weighted":
        return weighted(
            replace(homework, columns={"w": [1 + row % 3 for row in range(len(homework.y))]}), "w"
        )
    if family == "normal_adjusted":
        turns = [str(i % 7) for i in range(len(homework.y))]
        columns = {"turn": turns}
        found = with_covariates(replace(homework, columns=columns), adjust=["turn"])
        return replace(found, y=homework.y, group=homework.group, columns=columns)
    if FAMILIES["normal"].explained != family:
        return homework.modelled(**FAMILIES[family].model)
    number = [str(j % 5) for j in homework.group]
    return explained(replace(homework, columns={"number": number}), ["number"])


@pytest.mark.parametrize("bug", WIDER)
def test_the_log_density_gives_bugs_in_other_models_away(
    bug: str, tmp_path: Path, homework: GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    family, name, (old, new) = WIDER[bug]
    data = modelled(homework, family)
    right = programs.find_program(name, family=family)
    text = right.read_text(encoding="utf-8")
    assert old in text
    wrong = tmp_path / f"{bug}.stan"
    wrong.write_text(text.replace(old, new, 1), encoding="utf-8")
    program, priors = programs.load(name, family=family), priors_for(data)
    settings = Settings(chains=2, warmup=300, draws=4, adapt_delta=0.9, seed=3)
    [fit] = fitting.fit_programs([program], data, priors=priors, settings=settings, cmdstan=cmdstan)
    points = [
        {
            parameter: fit.posterior[parameter].isel(chain=chain, draw=draw).to_numpy()
            for parameter in program.declared["parameters"]
        }
        for chain in range(2)
        for draw in range(4)
    ]
    known = densities.log_joint(fit, data, data.family.base_choice(priors))
    inputs = stan_data(program, data, priors)
    built = toolchain.compile_programs([right, wrong], cmdstan=cmdstan)
    apart = [densities.stan_log_density(each, inputs, points) - known for each in built]
    assert np.ptp(apart[0]) < 1e-5
    assert np.ptp(apart[1]) > 0.1
