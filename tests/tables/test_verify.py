"""Estimates compared with exact posteriors: right ones pass, each seeded bug is caught."""

from __future__ import annotations

from typing import Any

import arviz_base
import numpy as np
import pandas as pd
import pytest

from helpers.hand_made import make_fit
from partialpool import fitting, programs
from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import NORMAL
from partialpool.families.exact import HierarchicalPosterior, exact_draws, hierarchical
from partialpool.families.moments import group_stats
from partialpool.fitting import diagnostics
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.summarize import summarize
from partialpool.priors import HalfCauchy, Normal, Uniform
from partialpool.priors.hyperparameters import Priors
from partialpool.settings import Settings
from partialpool.tables import exactness, shrinkage
from partialpool.tables.derived import derived_estimates, exact_derived

DRAWS = 1000


@pytest.fixture(scope="module")
def posterior(homework: GroupedData) -> HierarchicalPosterior:
    found = NORMAL.exact_posterior("hierarchical_centered", homework.stats, priors_for(homework))
    assert isinstance(found, HierarchicalPosterior)
    return found


@pytest.fixture(scope="module")
def known(posterior: HierarchicalPosterior) -> pd.DataFrame:
    return exactness.exact_summary({"m": posterior})


def drawn(posterior: HierarchicalPosterior) -> dict[str, Any]:
    draws = exact_draws(posterior, rng=np.random.default_rng(1), size=4 * DRAWS)
    return draws | {"tau2": draws["tau"] ** 2, "sigma2": draws["sigma"] ** 2}


@pytest.fixture(scope="module")
def draws(posterior: HierarchicalPosterior) -> dict[str, Any]:
    return drawn(posterior)


@pytest.fixture(scope="module")
def table(posterior: HierarchicalPosterior, draws: dict[str, Any]) -> pd.DataFrame:
    return estimates(draws, posterior.labels)


def estimates(draws: dict[str, Any], labels: tuple[str, ...]) -> pd.DataFrame:
    rows = [(name, "", x) for name, x in draws.items() if x.ndim == 1]
    rows += [("theta", label, draws["theta"][:, j]) for j, label in enumerate(labels)]
    parameters, groups, values = zip(*rows, strict=True)
    found = summarize(np.stack(values).reshape(len(rows), 4, -1))
    about = {"model": "m", "parameter": parameters, "group": groups}
    return pd.DataFrame(about | found)


def judged(draws: dict[str, Any], known: pd.DataFrame) -> pd.Series:
    labels = tuple(known.loc[known["parameter"] == "theta", "group"])
    comparison = exactness.compare_with_exact(estimates(draws, labels), known)
    return exactness.agreement(comparison).iloc[0]


def test_right_draws_agree(table: pd.DataFrame, known: pd.DataFrame) -> None:
    verdict = exactness.agreement(exactness.compare_with_exact(table, known)).iloc[0]
    # theta_1..8, mu, tau, sigma, tau2, sigma2, each with mean, sd and five quantiles; but for the
    # sds of tau and of tau2, whose tails are too heavy
    assert verdict["numbers"] == 13 * 7 - 2
    assert verdict["agrees"]
    assert 0.85 < verdict["share_within_2"] <= 1
    assert verdict["quadrature_error"] < 1e-6
    sentence = exactness.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.startswith("m: 89 numbers against the exact posterior; the largest")
    assert sentence.endswith("agrees.")


def doubled_noise(draws: dict[str, Any]) -> dict[str, Any]:
    center = draws["theta"].mean(axis=0)
    return draws | {"theta": center + 1.2 * (draws["theta"] - center)}


def sigma_for_sigma2(draws: dict[str, Any]) -> dict[str, Any]:
    return draws | {"sigma2": draws["sigma"]}


def labels_turned(draws: dict[str, Any]) -> dict[str, Any]:
    return draws | {"theta": draws["theta"][:, ::-1]}


@pytest.mark.parametrize("bug", [doubled_noise, sigma_for_sigma2, labels_turned])
def test_wrong_draws_differ(draws: dict[str, Any], known: pd.DataFrame, bug: Any) -> None:
    verdict = judged(bug(draws), known)
    assert not verdict["agrees"]
    sentence = exactness.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.endswith("DIFFERS.")


@pytest.mark.parametrize(
    "wrong", [{"tau": HalfCauchy(1)}, {"mu": Normal(7, 1)}], ids=["prior of tau", "prior of mu"]
)
def test_draws_under_another_prior_differ(
    homework: GroupedData, known: pd.DataFrame, wrong: dict[str, Any]
) -> None:
    priors = {"mu": Normal(20, 10), "tau": Uniform(1000), "sigma": Uniform(1000)} | wrong
    assert not judged(drawn(hierarchical(homework.stats, **priors)), known)["agrees"]


def test_draws_without_the_jacobian_of_log_tau_differ(
    draws: dict[str, Any], known: pd.DataFrame
) -> None:
    # Forgetting it leaves a prior of tau proportional to 1/tau: resample by that weight.
    weights = 1 / draws["tau"]
    rng = np.random.default_rng(3)
    chosen = rng.choice(weights.size, weights.size, p=weights / weights.sum())
    assert not judged({name: x[chosen] for name, x in draws.items()}, known)["agrees"]


def test_draws_given_all_observations_but_one_differ(
    homework: GroupedData, known: pd.DataFrame
) -> None:
    keep = np.arange(homework.y.size) != np.argmax(homework.y)
    fewer = group_stats(homework.y[keep], homework.group[keep], homework.labels)
    priors = {"mu": Normal(20, 10), "tau": Uniform(1000), "sigma": Uniform(1000)}
    assert not judged(drawn(hierarchical(fewer, **priors)), known)["agrees"]


def test_an_estimate_that_is_not_finite_has_failed(
    draws: dict[str, Any], known: pd.DataFrame
) -> None:
    mu = np.where(np.arange(draws["mu"].size) == 7, np.nan, draws["mu"])
    verdict = judged(draws | {"mu": mu}, known)
    assert not verdict["agrees"]
    assert verdict["parameter"] == "mu"
    sentence = exactness.describe_agreement(verdict.to_frame().T)[0]
    assert sentence.endswith("the mean of mu cannot be compared, so the fit has failed.")


def test_means_without_a_variance_are_left_out() -> None:
    data = group_stats(np.array([1.0, 2, 4, 3, 5, 6]), np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))
    posterior = hierarchical(data, mu=Normal(0, 5), tau=HalfCauchy(2), sigma=HalfCauchy(2))
    known = exactness.exact_summary({"m": posterior})
    comparison = exactness.compare_with_exact(estimates(drawn(posterior), ("a", "b")), known)
    statistics = comparison.groupby("parameter", sort=False)["statistic"].agg(list)
    quantiles = ["q2.5", "q25", "median", "q75", "q97.5"]
    assert statistics["tau2"] == quantiles
    assert statistics["tau"] == ["mean", *quantiles]
    assert exactness.agreement(comparison)["agrees"].all()


def test_sds_are_compared_where_their_errors_are_known(
    table: pd.DataFrame, known: pd.DataFrame
) -> None:
    errors = table["sd"] / np.sqrt(2 * 4 * DRAWS)
    comparison = exactness.compare_with_exact(table.assign(mcse_sd=errors), known)
    theta = comparison[(comparison["parameter"] == "theta") & (comparison["statistic"] == "sd")]
    assert len(theta) == 8
    assert theta["in_mcse"].max() < 4.5


def test_models_are_told_apart(table: pd.DataFrame, known: pd.DataFrame) -> None:
    both = pd.concat([known.assign(model="one"), known.assign(model="two")])
    good, bad = table.assign(model="one"), table.assign(model="two")
    bad.loc[bad["parameter"] == "mu", "mean"] += 1
    verdicts = exactness.agreement(exactness.compare_with_exact(pd.concat([good, bad]), both))
    assert verdicts.set_index("model")["agrees"].to_dict() == {"one": True, "two": False}
    assert verdicts["parameter"].tolist()[1] == "mu"


# What follows from several parameters


def as_fit(posterior: HierarchicalPosterior, **changes: Any) -> fitting.Fit:
    rng = np.random.default_rng(6)
    draws = exact_draws(posterior, rng=rng, size=4 * DRAWS)
    shaped = {name: x.reshape(4, DRAWS, *x.shape[1:]) for name, x in (draws | changes).items()}
    tree = arviz_base.from_dict(
        {"posterior": shaped}, coords={"group": list(posterior.labels)}, dims={"theta": ["group"]}
    )
    return fitting.Fit(tree, fitting.FitRecord("m", "m", "partial"))


@pytest.fixture(scope="module")
def derived(posterior: HierarchicalPosterior) -> pd.DataFrame:
    return exact_derived(posterior).assign(model="m")


def test_derived_numbers_of_right_draws_agree(
    homework: GroupedData,
    posterior: HierarchicalPosterior,
    known: pd.DataFrame,
    derived: pd.DataFrame,
) -> None:
    table = derived_estimates(as_fit(posterior), homework)
    truth = pd.concat([known, derived])
    comparison = exactness.compare_with_exact(table, truth)
    numbers = comparison.groupby("parameter").size()
    assert numbers["icc"] == 7
    assert numbers["theta - theta"] == 28 * 7
    assert numbers["expected rank"] == 8
    assert numbers["pooling factor"] == 1
    assert 15 < numbers["P(theta > theta)"] < 28  # those that are not almost 0 or 1
    sds = comparison[comparison["statistic"] == "sd"]
    assert sds.loc[sds["parameter"] == "lambda", "group"].tolist() == ["3", "5", "8"]
    verdict = exactness.agreement(comparison).iloc[0]
    assert verdict["agrees"], verdict
    assert verdict["quadrature_error"] < 1e-6


def test_derived_numbers_of_wrong_draws_differ(
    homework: GroupedData,
    posterior: HierarchicalPosterior,
    known: pd.DataFrame,
    derived: pd.DataFrame,
) -> None:
    rng = np.random.default_rng(6)
    wide = doubled_noise(exact_draws(posterior, rng=rng, size=4 * DRAWS))["theta"]
    table = derived_estimates(as_fit(posterior, theta=wide), homework)
    comparison = exactness.compare_with_exact(table, pd.concat([known, derived]))
    off = comparison.groupby("parameter")["in_mcse"].max()
    assert off["theta - theta"] > 6
    assert off["pooling factor"] > 6
    assert off["icc"] < 5


def test_expected_ranks_and_pooling_factor_are_those_of_many_exact_draws(
    posterior: HierarchicalPosterior, derived: pd.DataFrame
) -> None:
    theta = exact_draws(posterior, rng=np.random.default_rng(7), size=40_000)["theta"]
    ranks = (-theta).argsort(axis=1).argsort(axis=1).mean(axis=0) + 1
    found = derived[derived["parameter"] == "expected rank"].set_index("group")["mean"]
    assert found.sum() == pytest.approx(8 * 9 / 2, abs=1e-9)
    np.testing.assert_allclose(found.to_numpy(), ranks, atol=0.04)
    factor = derived.loc[derived["parameter"] == "pooling factor", "mean"].item()
    direct = 1 - theta.mean(axis=0).var(ddof=1) / theta.var(axis=1, ddof=1).mean()
    assert factor == pytest.approx(direct, abs=0.01)


def test_ranks_and_probabilities_that_are_almost_certain_are_left_out() -> None:
    y = np.concatenate([np.arange(10.0) / 10, 90 + np.arange(10.0) / 10])
    stats = group_stats(y, np.repeat([0, 1], 10), ("low", "high"))
    posterior = hierarchical(stats, mu=Normal(50, 50), tau=Uniform(500), sigma=Uniform(500))
    found = exact_derived(posterior)
    assert found["parameter"].tolist() == ["theta - theta", "pooling factor"]
    assert found["mean"].dtype == np.float64
    assert found["sd"].dtype == np.float64


def test_many_groups_have_no_pairs(homework: GroupedData) -> None:
    labels = tuple(str(j) for j in range(13))
    stats = group_stats(np.arange(39.0) % 7, np.repeat(np.arange(13), 3), labels)
    posterior = hierarchical(stats, mu=Normal(3, 5), tau=Uniform(20), sigma=Uniform(20))
    assert exact_derived(posterior).empty


# Which fits are verified, and how that is said


def test_an_edited_program_or_one_without_its_likelihood_is_not_verified(
    homework: GroupedData,
) -> None:
    fit = make_fit(homework, "complete_pooling", draws=300)
    source = programs.find_program("complete_pooling").read_text(encoding="utf-8")
    shipped = fit.with_record(source=source)
    assert exactness.is_shipped(shipped)
    edited = {"source": source.replace("normal", "cauchy", 1)}
    alone = {"prior_only": True}
    estimated = shrinkage.estimates([shipped], homework)
    for about in (edited, alone, {"program": "mine"}):
        assert not exactness.is_shipped(shipped.with_record(**about))
        assert exactness.verify_shipped([shipped.with_record(**about)], homework, estimated).empty
    table = exactness.verify_shipped([shipped], homework, estimated)
    line = exactness.one_line(exactness.agreement(table))
    assert line.startswith("21 numbers of 1 fit against their exact posteriors: the largest")
    assert "all agree. The quadrature is good to " in line
    assert exactness.one_line(exactness.agreement(table.iloc[:0])).startswith("No number")


def test_one_line_names_the_fits_that_differ(table: pd.DataFrame, known: pd.DataFrame) -> None:
    shifted = table.assign(mean=table["mean"] + (table["parameter"] == "mu"))
    comparison = exactness.compare_with_exact(shifted, known)
    assert ": m DIFFERS. The quadrature" in exactness.one_line(exactness.agreement(comparison))


def test_other_programs_and_missing_settings_are_refused(homework: GroupedData) -> None:
    priors = priors_for(homework)
    with pytest.raises(InputError, match="exact posterior of 'mine' is not known"):
        NORMAL.exact_posterior("mine", homework.stats, priors)
    with pytest.raises(InputError, match="theta_location is missing"):
        NORMAL.exact_posterior("no_pooling", homework.stats, Priors({}))
    with pytest.raises(InputError, match="mu_location is missing"):
        NORMAL.exact_posterior("hierarchical_marginal", homework.stats, Priors({}))


def is_trusted(fit: fitting.Fit) -> bool:
    return diagnostics.trusted(diagnostics.check(fit))


def test_fits_of_the_shipped_programs_agree_with_their_exact_posteriors(
    homework: GroupedData, lesson_fits: dict[str, fitting.Fit]
) -> None:
    priors = priors_for(homework)
    known = exactness.exact_summary(
        {name: NORMAL.exact_posterior(name, homework.stats, priors) for name in lesson_fits}
    )
    table = shrinkage.estimates(list(lesson_fits.values()), homework)
    verdicts = exactness.agreement(exactness.compare_with_exact(table, known))
    assert set(verdicts["model"]) == set(lesson_fits)
    trusted = {name for name, fit in lesson_fits.items() if is_trusted(fit)}
    assert trusted >= lesson_fits.keys() - {"hierarchical_centered"}  # which may diverge here
    judged_true = verdicts[verdicts["model"].isin(trusted)]
    assert judged_true["agrees"].all(), exactness.describe_agreement(verdicts)
    assert (verdicts["quadrature_error"] < 1e-6).all()
    numbers = verdicts.set_index("model")["numbers"]
    assert numbers["complete_pooling"] == 3 * 7
    assert numbers["no_pooling"] == 3 * 8 * 7 - 1  # without the sd of sigma2 of nine students
    assert numbers["hierarchical_noncentered"] == (8 + 7) * 7 - 3  # tau, tau2 and theta_new


@pytest.mark.slow
def test_monte_carlo_errors_cover_the_exact_values_as_often_as_they_say(
    homework: GroupedData, posterior: HierarchicalPosterior, derived: pd.DataFrame, cmdstan: Any
) -> None:
    name, priors = "hierarchical_marginal", priors_for(homework)
    known = pd.concat([exactness.exact_summary({name: posterior}), derived.assign(model=name)])
    tables = []
    for seed in range(60):
        fits = fitting.fit_programs(
            [programs.load(name)],
            homework,
            priors=priors,
            settings=Settings(draws=1000, seed=seed),
            cmdstan=cmdstan,
        )
        found = [
            shrinkage.estimates(fits, homework),
            derived_estimates(fits[0], homework),
        ]
        tables.append(exactness.compare_with_exact(pd.concat(found), known))
    off = pd.concat(tables)["in_mcse"]
    assert len(off) > 21_000
    assert 0.92 < (off < 1.96).mean() < 0.97
    assert 0.97 < (off < 2.58).mean() < 0.998
    assert 0.9 < np.sqrt((off**2).mean()) < 1.15
