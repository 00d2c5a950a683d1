"""The marginal program: the exact posterior, the centered program, and data of many groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats

from partialpool import data, fitting, programs
from partialpool.data import scan
from partialpool.families import NORMAL
from partialpool.fitting import diagnostics
from partialpool.fitting.inputs import priors_for
from partialpool.priors import hyperparameters
from partialpool.programs import toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness, group_posterior

pytestmark = pytest.mark.stan

QUANTILES = {"q2.5": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q97.5": 0.975}
SETTINGS = Settings(draws=4000, seed=11)


def unbalanced() -> data.GroupedData:
    """Groups of 1 to 80 observations, tau well below sigma."""
    rng = np.random.default_rng(8)
    sizes = [1, 2, 2, 3, 5, 8, 13, 20, 20, 40, 80, 4]
    theta = rng.normal(-40, 3, len(sizes))
    labels = [f"site {j}" for j, n in enumerate(sizes) for _ in range(n)]
    return data.from_values(labels, rng.normal(np.repeat(theta, sizes), 6), name="unbalanced")


@pytest.fixture(scope="module", params=["homework", "unbalanced"])
def made(request: pytest.FixtureRequest, homework: data.GroupedData) -> data.GroupedData:
    return homework if request.param == "homework" else unbalanced()


def fit(
    name: str,
    made: data.GroupedData,
    cmdstan: toolchain.CmdStan,
    *,
    priors: hyperparameters.Priors | None = None,
    settings: Settings = SETTINGS,
    **switches: bool,
) -> fitting.Fit:
    [found] = fitting.fit_programs(
        [programs.load(f"hierarchical_{name}")],
        made,
        priors=priors or priors_for(made),
        settings=settings,
        cmdstan=cmdstan,
        **switches,
    )
    return found


def summary(found: fitting.Fit) -> pd.DataFrame:
    """Mean and quantiles of every reported quantity, each with its Monte Carlo error."""
    rows = {}
    posterior = found.posterior
    for name in ("mu", "tau", "sigma", "tau2", "sigma2", "theta_new", "y_new", "theta"):
        array = posterior[name].transpose("chain", "draw", ...).to_numpy()
        labels = posterior["group"].to_numpy() if array.ndim == 3 else [""]
        for k, label in enumerate(labels):
            draws = array[..., k] if array.ndim == 3 else array
            row = {"mean": draws.mean(), "mcse_mean": float(array_stats.mcse(draws))}
            for column, p in QUANTILES.items():
                row[column] = np.quantile(draws, p)
                error = array_stats.mcse(draws, method="quantile", prob=p)
                row[f"mcse_{column}"] = float(error)
            rows[name, str(label)] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def test_it_is_the_exact_posterior_and_agrees_with_the_centered_program(
    made: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    marginal = fit("marginal", made, cmdstan)
    assert not marginal.sample_stats["diverging"].any()
    found = summary(marginal)
    centered = summary(fit("centered", made, cmdstan, settings=Settings(draws=5000)))
    choice = NORMAL.base_choice(priors_for(made))
    truth = NORMAL.exact_alternative(choice, made.stats).summary(probs=tuple(QUANTILES.values()))
    truth = truth.set_index(["parameter", "group"]).loc[found.index]
    for column in ("mean", *QUANTILES):
        error = found[f"mcse_{column}"]
        distance = np.abs(found[column] - truth[column]) / error
        assert distance.max() < 4, f"{column}: {distance.idxmax()}"
        combined = np.hypot(error, centered[f"mcse_{column}"])
        distance = np.abs(found[column] - centered[column]) / combined
        assert distance.max() < 4, f"{column}, centered: {distance.idxmax()}"


def test_it_draws_with_little_correlation(
    homework: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    found = fit("marginal", homework, cmdstan)
    for name in ("mu", "tau", "sigma"):
        draws = found.posterior[name].to_numpy()
        assert float(array_stats.ess(draws, method="bulk")) > 0.25 * draws.size, name
    assert (
        float(array_stats.ess(found.posterior["mu"].to_numpy())) > 0.8 * found.posterior["mu"].size
    )


FEW = {
    "three groups, far apart": {
        "1": [2.2, 2.5, 2.7],
        "2": [3.2, 3.5, 3.7],
        "10": [11.2, 11.5, 11.7],
    },
    "rails": {  # travel times of Pinheiro and Bates (2000), section 1.1
        "1": [55, 53, 54],
        "2": [26, 37, 32],
        "3": [78, 91, 85],
        "4": [92, 100, 96],
        "5": [49, 51, 50],
        "6": [80, 85, 83],
    },
    "three groups, as good as one": {"a": [4, 6, 5, 7], "b": [5, 7, 4, 6], "c": [6, 5, 7, 4.5]},
    "single values among others": {
        "a": [1],
        "b": [4],
        "c": [2, 2.6, 1.9],
        "d": [8],
        "e": [5, 5.5, 4.7],
    },
}


@pytest.mark.parametrize("unit", [1e-9, 1, 1e9])
@pytest.mark.parametrize("which", FEW)
def test_few_groups_pass_every_diagnostic_and_are_exact(
    which: str, unit: float, cmdstan: toolchain.CmdStan
) -> None:
    labels = [label for label, values in FEW[which].items() for _ in values]
    values = unit * np.array([value for values in FEW[which].values() for value in values])
    made = data.from_values(labels, values)
    found = fit("marginal", made, cmdstan, settings=Settings())
    table = diagnostics.check(found)
    assert diagnostics.trusted(table), diagnostics.summary_line(found, table)
    known = exactness.exact_posterior(found, made)
    compared = exactness.verify_fits([found], made, {found.name: known})
    verdict = exactness.agreement(compared)
    assert verdict["agrees"].all(), exactness.one_line(verdict)


def test_of_very_many_groups_the_draws_are_nearly_independent(
    cmdstan: toolchain.CmdStan, tmp_path: Path
) -> None:
    """Stan's adaptation takes an sd of draws below a hundredth for larger than it is."""
    rng = np.random.default_rng(5)
    J = 100_000
    group = np.repeat(np.arange(J), rng.integers(1, 8, J))
    y = rng.normal(rng.normal(10, 2, J)[group], 5)
    pd.DataFrame({"group": group, "y": y}).to_parquet(tmp_path / "many.parquet")
    made = scan.scan_statistics(tmp_path / "many.parquet").without_observations()
    posterior = fit("marginal", made, cmdstan, settings=Settings()).posterior
    for name in ("tau", "sigma"):
        draws = posterior[name].to_numpy()
        assert float(array_stats.ess(draws, method="bulk")) > 0.5 * draws.size, name


@pytest.mark.parametrize("single", [False, True])
def test_the_prior_alone(
    single: bool, homework: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    """Also for groups of one value each, which leave nothing to scale tau by but their spread."""
    made = homework
    if single:
        made = data.from_values(list("abcdefgh"), np.array([1, 4, 2, 8, 5, 7, 3, 6.0]))
    settings = priors_for(homework).updated(
        {"mu_location": 20, "mu_scale": 10, "tau_upper": 6, "sigma_upper": 12}, source="test"
    )
    found = fit("marginal", made, cmdstan, priors=settings, prior_only=True)
    posterior = found.posterior
    theta = posterior["theta"].isel(group=3)
    for draws, mean, sd in (
        (posterior["mu"], 20, 10),
        (posterior["tau"], 3, 6 / np.sqrt(12)),
        (posterior["sigma"], 6, 12 / np.sqrt(12)),
        (theta, 20, np.sqrt(100 + 12)),
        (posterior["theta_new"], 20, np.sqrt(100 + 12)),
        (posterior["y_new"], 20, np.sqrt(100 + 12 + 48)),
    ):
        values = draws.to_numpy()
        assert values.mean() == pytest.approx(mean, abs=5 * float(array_stats.mcse(values)))
        assert values.std() == pytest.approx(sd, rel=0.05)


def test_observations_enter_only_when_asked_for(
    homework: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    plain = fit("marginal", homework, cmdstan)
    assert "log_likelihood" not in plain.draws.children
    found = fit("marginal", homework, cmdstan, pointwise=True)
    log_lik = found.draws["log_likelihood"]["y"].to_numpy()
    theta = found.posterior["theta"].transpose("chain", "draw", "group").to_numpy()
    sigma = found.posterior["sigma"].to_numpy()[..., None]
    z = (homework.y - theta[..., homework.group]) / sigma
    expected = -0.5 * z**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_lik, expected, atol=1e-9)
    replicated = found.draws["posterior_predictive"]["y"].to_numpy()
    assert replicated.mean() == pytest.approx(homework.y.mean(), abs=0.05)


def test_a_large_offset_moves_the_posterior_and_nothing_else(
    cmdstan: toolchain.CmdStan,
) -> None:
    near = unbalanced()
    offset = 2.0**30
    labels = [near.labels[j] for j in near.group]
    far = data.from_values(labels, near.y + offset, name="far")
    first = priors_for(near)
    moved = first.updated({"mu_location": first.values["mu_location"] + offset}, source="test")
    a = summary(fit("marginal", near, cmdstan, priors=first))
    b = summary(fit("marginal", far, cmdstan, priors=moved))
    location = ~b.index.get_level_values(0).isin(["tau", "sigma", "tau2", "sigma2"])
    for column in ("mean", "q2.5", "q97.5"):
        shifted = b[column] - np.where(location, offset, 0)
        error = np.hypot(a[f"mcse_{column}"], b[f"mcse_{column}"])
        assert (np.abs(shifted - a[column]) < 4 * error).all(), column


def test_many_groups_cost_no_more_and_are_estimated_from_the_draws(
    cmdstan: toolchain.CmdStan,
) -> None:
    rng = np.random.default_rng(4)
    J = 2000
    sizes = rng.integers(1, 30, J)
    theta = rng.normal(10, 2, J)
    labels = np.repeat([f"g{j}" for j in range(J)], sizes).tolist()
    made = data.from_values(labels, rng.normal(np.repeat(theta, sizes), 5), name="many")
    found = fit("marginal", made, cmdstan, settings=Settings(draws=1000))
    assert "theta" not in found.posterior
    table = group_posterior.group_estimates(found.posterior, made.stats)
    assert len(table) == J
    inside = (table["q2.5"] < theta) & (theta < table["q97.5"])
    assert inside.mean() == pytest.approx(0.95, abs=0.02)
    shrunk = np.abs(table["mean"] - theta).mean() / np.abs(table["raw_mean"] - theta).mean()
    assert shrunk < 0.9


def test_group_estimates_agree_with_draws_of_theta_in_stan(
    homework: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    found = fit("marginal", homework, cmdstan)
    drawn = summary(found).loc["theta"]
    table = group_posterior.group_estimates(found.posterior, homework.stats).set_index("group")
    for column in ("mean", "q2.5", "median", "q97.5"):
        error = np.hypot(drawn[f"mcse_{column}"], table[f"mcse_{column}"])
        assert (np.abs(drawn[column] - table[column]) < 4 * error).all(), column
        assert (table[f"mcse_{column}"] <= 1.2 * drawn[f"mcse_{column}"]).all(), column
