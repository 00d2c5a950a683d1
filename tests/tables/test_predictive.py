"""Predictions and predictive scores, compared with exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special
from scipy import stats as distributions

from helpers.draws import (
    NO_POOLING_PRIORS,
    declaring,
    fit_of,
    log_evidence,
    without_group,
    without_observation,
)
from helpers.hand_made import make_fit
from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.fitting import Fit
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.priors.hyperparameters import Priors
from partialpool.tables import importance, predictions
from partialpool.tables.group_scores import LEARNS_NOTHING, leave_one_group_out
from partialpool.tables.scores import (
    compare_loo,
    log_likelihood,
    loo,
    loo_by_model,
)

NAMES = ("complete_pooling", "no_pooling", "hierarchical_centered")
PRIORS = {
    **NO_POOLING_PRIORS,
    "mu_location": 20.0,
    "mu_scale": 10.0,
    "tau_upper": 1000.0,
    "sigma_upper": 1000.0,
}
THETA = Normal(20, 10)
SIGMA = InverseGammaVariance(2, 15)


@pytest.fixture(scope="module")
def fits(homework: GroupedData) -> dict[str, Fit]:
    """Draws of the three models under priors of which all are proper in earnest."""
    made = {name: make_fit(homework, name, draws=1000, priors=Priors(PRIORS)) for name in NAMES}
    return {
        name: declaring(fit, list(NO_POOLING_PRIORS) if fit.pooling == "none" else [])
        for name, fit in made.items()
    }


@pytest.fixture
def two() -> GroupedData:
    return from_values(list("aaabb"), [1.0, 2.0, 4.5, 7.0, 8.0], name="two")


def exact_complete(stats) -> float:  # type: ignore[no-untyped-def]
    return exact.complete_pooling(stats, theta=THETA, sigma=SIGMA).log_marginal_likelihood


def exact_none(stats) -> float:  # type: ignore[no-untyped-def]
    return exact.no_pooling(stats, theta=THETA, sigma=SIGMA).log_marginal_likelihood


def exact_partial(stats) -> float:  # type: ignore[no-untyped-def]
    return log_evidence(stats, location=20, scale=10)


def test_the_threshold_is_the_published_one() -> None:
    assert importance.k_threshold(100) == pytest.approx(0.5)
    assert importance.k_threshold(1000) == pytest.approx(2 / 3)
    assert importance.k_threshold(8000) == 0.7
    assert not importance.k_threshold(1) > 0


@pytest.mark.parametrize(
    ("name", "evidence"), [("complete_pooling", exact_complete), ("no_pooling", exact_none)]
)
def test_loo_is_exact_leave_one_out(  # type: ignore[no-untyped-def]
    fits: dict[str, Fit], homework: GroupedData, name: str, evidence
) -> None:
    summary, pointwise = loo(fits[name], homework)
    assert summary.n_bad_k == (pointwise["k"] > 0.7).sum() <= 2
    whole = evidence(homework.stats)
    checked = pointwise[::8].query("k < 0.5")
    assert len(checked) > 15
    expected = [whole - evidence(without_observation(homework, i)) for i in checked.index]
    np.testing.assert_allclose(checked["elpd"], expected, atol=0.04)
    assert pointwise["group"].tolist() == [homework.labels[j] for j in homework.group]
    assert summary.elpd == pytest.approx(pointwise["elpd"].sum())
    assert summary.se == pytest.approx(np.sqrt(165) * pointwise["elpd"].std())
    assert 1 < summary.p_loo < 17


def test_a_sample_of_the_observations_stands_for_all(
    fits: dict[str, Fit], homework: GroupedData
) -> None:
    fit = fits["complete_pooling"]
    whole, every = loo(fit, homework)
    part, sampled = loo(fit, homework, limit=40)
    assert (whole.scored, part.scored) == (165, 40) == (len(every), len(sampled))
    same = every.set_index("observation").loc[sampled["observation"]].reset_index()
    np.testing.assert_allclose(sampled["elpd"], same["elpd"])
    assert (sampled["group"] == same["group"]).all()
    assert part.elpd == pytest.approx(165 * sampled["elpd"].mean())
    assert part.se == pytest.approx(165 * sampled["elpd"].std() / np.sqrt(40))
    assert abs(part.elpd - whole.elpd) < 3 * part.se
    both = [fit, fits["no_pooling"]]
    scores = loo_by_model(both, homework, limit=40)
    table = compare_loo(both, homework, scores=scores)
    assert table.equals(compare_loo(both, homework, limit=40))
    other = scores["no_pooling"].pointwise["elpd"]
    difference = 165 * abs((other - sampled["elpd"]).mean())
    assert table["elpd_diff"].to_list() == [0, pytest.approx(-difference)]


def test_stored_and_computed_log_likelihoods_agree(homework: GroupedData) -> None:
    for name in NAMES:
        stored = make_fit(homework, name, draws=25, pointwise=True)
        computed = make_fit(homework, name, draws=25)
        assert "log_likelihood" in stored.draws.children
        one, other = (log_likelihood(fit, homework) for fit in (stored, computed))
        assert one.shape == (165, 4, 25)
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_program_without_a_likelihood_is_named(two: GroupedData) -> None:
    fit = fit_of(two, "none", {"theta": np.zeros((2, 50, 2))}, name="mine")
    with pytest.raises(InputError, match=r"mine: leave-one-out needs log_lik.*has no sigma"):
        loo(fit, two)
    assert len(compare_loo([fit], two)) == 0
    assert len(leave_one_group_out([fit], two).summary) == 0
    assert len(predictions.predictions([fit], two)) == 0


def test_a_log_likelihood_of_other_data_is_refused(two: GroupedData) -> None:
    fit = fit_of(two, "none", {"beta": np.zeros((2, 9, 4))}, log_likelihood=np.zeros((2, 9, 4)))
    with pytest.raises(InputError, match="is of 4 observations, the data have 5"):
        loo(fit, two)


def test_bad_k_is_counted_and_comes_with_advice(two: GroupedData) -> None:
    rng = np.random.default_rng(1)
    log_lik = rng.normal(-1, 0.1, size=(4, 500, 5))
    log_lik[..., 2] = -20 * rng.exponential(size=(4, 500))
    posterior = {"beta": rng.normal(size=(4, 500, 7))}
    fit = fit_of(two, "other", posterior, log_likelihood=log_lik)
    summary, pointwise = loo(fit, two)
    assert summary.n_bad_k == 1
    assert pointwise["k"].idxmax() == 2
    table = compare_loo([fit], two)
    assert table.loc[0, "max_k"] == pointwise["k"].max() > summary.threshold
    assert "for 1 of 5 observations" in table.loc[0, "advice"]
    assert "fit again" in table.loc[0, "advice"]


def test_degenerate_likelihoods_are_bad_not_fatal(two: GroupedData) -> None:
    log_lik = np.full((2, 50, 5), -1.5)
    log_lik[0, 0, 1] = np.nan
    log_lik[0, 0, 2] = -np.inf
    fit = fit_of(two, "other", {"beta": np.ones((2, 50))}, log_likelihood=log_lik)
    summary, pointwise = loo(fit, two)
    assert summary.n_bad_k == 5
    assert pointwise["elpd"].to_numpy() == pytest.approx(
        [-1.5, *[np.nan] * 2, -1.5, -1.5], nan_ok=True
    )
    assert np.isnan(summary.elpd)
    table = compare_loo([fit], two)
    assert np.isnan(table.loc[0, "max_k"])


def test_too_few_draws_for_a_tail_are_weighted_as_they_are(two: GroupedData) -> None:
    log_lik = np.random.default_rng(1).normal(-1, 0.5, size=(2, 8, 5))
    fit = fit_of(two, "other", {"beta": log_lik[..., 0]}, log_likelihood=log_lik)
    summary, pointwise = loo(fit, two)
    expected = -np.log(np.exp(-log_lik).mean(axis=(0, 1)))
    np.testing.assert_allclose(pointwise["elpd"], expected)
    assert pointwise["k"].isna().all()
    assert summary.n_bad_k == 5


def test_differences_between_models(two: GroupedData) -> None:
    rng = np.random.default_rng(1)
    noise = 1e-6 * rng.normal(size=(2, 500, 5))
    posterior = {"beta": rng.normal(size=(2, 500))}
    lower = np.array([-1.0, -2.0, -3.0, -1.0, -1.0])
    higher = lower + [1.0, 2.0, 0.0, 0.0, 3.0]
    fits = [
        fit_of(two, "other", posterior, name=name, log_likelihood=level + noise)
        for name, level in (("low", lower), ("high", higher), ("near", higher - 0.1))
    ]
    table = compare_loo(fits, two).set_index("model")
    assert table.index.tolist() == ["high", "near", "low"]
    np.testing.assert_allclose(table["elpd_diff"], [0, -0.5, -6], atol=1e-4)
    expected = np.sqrt(5 * np.var([1.0, 2.0, 0.0, 0.0, 3.0], ddof=1))
    np.testing.assert_allclose(table["dse"], [0, 0, expected], atol=1e-4)
    assert table["advice"].str.contains("no clear winner").tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("name", "evidence", "tolerance"),
    [("complete_pooling", exact_complete, 0.1), ("hierarchical_centered", exact_partial, 0.25)],
)
def test_leaving_out_a_group_is_exact(  # type: ignore[no-untyped-def]
    fits: dict[str, Fit], homework: GroupedData, name: str, evidence, tolerance: float
) -> None:
    summary, groups = leave_one_group_out([fits[name]], homework)
    whole = evidence(homework.stats)
    expected = [whole - evidence(without_group(homework.stats, j)) for j in range(8)]
    np.testing.assert_allclose(groups["elpd"], expected, atol=tolerance)
    assert summary.loc[0, "elpd"] == pytest.approx(sum(expected), abs=2 * tolerance)
    assert summary.loc[0, "question"] == "a new group"
    assert groups["n"].tolist() == homework.stats.n.tolist()


def test_a_new_group_s_density_integrates_its_mean_out(two: GroupedData) -> None:
    mu, tau, sigma = 3.0, 2.0, 1.5
    draws = {
        name: np.full((2, 40), value)
        for name, value in (("mu", mu), ("tau", tau), ("sigma", sigma))
    }
    fit = fit_of(two, "partial", {**draws, "theta": np.zeros((2, 40, 2))})
    groups = leave_one_group_out([fit], two).groups
    for j, n in enumerate((3, 2)):
        covariance = sigma**2 * np.eye(n) + tau**2
        expected = distributions.multivariate_normal.logpdf(
            two.y[two.group == j], np.full(n, mu), covariance
        )
        assert groups.loc[j, "elpd"] == pytest.approx(expected)
    assert groups["k"].isna().all()


def test_no_pooling_has_its_prior_alone_for_a_new_group(two: GroupedData) -> None:
    posterior = {"theta": np.zeros((2, 40, 2)), "sigma": np.ones((2, 40, 2))}
    fit = fit_of(two, "none", posterior, priors=NO_POOLING_PRIORS)
    summary, groups = leave_one_group_out([fit], two)

    theta, u = np.linspace(-60, 60, 3001), np.linspace(-4, 12, 801)[:, None]
    sd = np.exp(u / 2)
    density = distributions.norm.pdf(theta, 20, 10)
    density = density * distributions.invgamma.pdf(sd**2, 2, scale=15) * sd**2
    for y in two.y[two.group == 1]:
        density = density * distributions.norm.pdf(y, theta, sd)
    area = integrate.trapezoid(integrate.trapezoid(density, theta, axis=1), u[:, 0])
    assert groups.loc[1, "elpd"] == pytest.approx(np.log(area), abs=1e-4)
    assert summary.loc[0, "advice"] == LEARNS_NOTHING
    assert np.isnan(summary.loc[0, "max_k"])
    undeclared = declaring(fit, [])
    assert len(leave_one_group_out([undeclared], two).summary) == 0


def test_partial_pooling_predicts_new_groups_and_observations_best(
    fits: dict[str, Fit], homework: GroupedData
) -> None:
    loo = compare_loo(list(fits.values()), homework)
    new_group = leave_one_group_out(list(fits.values()), homework).summary
    for table in (loo, new_group):
        assert table["model"].iloc[0] == "hierarchical_centered"
        assert table.columns.tolist() == [
            "model",
            "question",
            "elpd",
            "se",
            "elpd_diff",
            "dse",
            "p_loo",
            "max_k",
            "bad_k",
            "advice",
        ]
    assert new_group["model"].iloc[-1] == "no_pooling"


@pytest.mark.parametrize("seed", range(3))
def test_mixture_quantiles_invert_the_distribution_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=400) * 10.0 ** rng.integers(-3, 4, size=400)
    sd = 10.0 ** rng.uniform(-4, 4, size=400)
    p = np.array([0.001, 0.025, 0.25, 0.5, 0.75, 0.975])
    at = predictions.mixture_quantiles(mean, sd, p)
    reached = special.ndtr((at[:, None] - mean) / sd).mean(axis=1)
    np.testing.assert_allclose(reached, p, atol=1e-7)


def test_predictions_of_one_normal(two: GroupedData) -> None:
    posterior = {
        "theta": np.broadcast_to([5.0, 9.0], (2, 40, 2)),
        "sigma": np.full((2, 40), 2.0),
        "mu": np.full((2, 40), 6.0),
        "tau": np.full((2, 40), 1.5),
    }
    table = predictions.predictions([fit_of(two, "partial", posterior)], two)
    found = table.set_index(["quantity", "group"])
    upper = special.ndtri(0.975)
    for key, mean, sd in (
        (("new observation", "b"), 9, 2),
        (("new group mean", ""), 6, 1.5),
        (("new observation in a new group", ""), 6, 2.5),
    ):
        assert found.loc[key, "mean"] == pytest.approx(mean)
        assert found.loc[key, "sd"] == pytest.approx(sd)
        assert found.loc[key, "q97.5"] == pytest.approx(mean + upper * sd)
        assert found.loc[key, "median"] == pytest.approx(mean)


def test_predictions_by_kind_of_pooling(fits: dict[str, Fit], homework: GroupedData) -> None:
    table = predictions.predictions(list(fits.values()), homework)
    known = table[table["quantity"] == "new observation"]
    assert known.groupby("model").size().tolist() == [8, 8, 8]
    new = table[table["quantity"] != "new observation"].set_index(["model", "quantity"])
    prior = new.loc[("no_pooling", "new group mean")]
    assert (prior["mean"], prior["sd"]) == (20, 10)
    assert ("no_pooling", "new observation in a new group") not in new.index
    complete = new.loc[("complete_pooling", "new group mean")]
    assert complete["sd"] < 0.5
    draws = fits["hierarchical_centered"].posterior["theta_new"].to_numpy()
    partial = new.loc[("hierarchical_centered", "new group mean")]
    assert partial["q2.5"] == np.quantile(draws, 0.025)
    assert partial["sd"] > 1.5
    assert (known["q2.5"] < known["q25"]).all()


def test_unusable_draws_predict_nothing(two: GroupedData) -> None:
    sigma = np.ones((2, 40))
    sigma[0, 0] = np.nan
    fit = fit_of(two, "complete", {"theta": np.zeros((2, 40)), "sigma": sigma})
    table = predictions.predictions([fit], two).set_index("quantity")
    assert table.loc["new observation", "mean"].isna().all()
    assert table.loc["new group mean", "mean"] == 0
