"""Proportions: published and exact numbers, algebra, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

from partialpool.data import GroupedData
from partialpool.data.columns import read_columns
from partialpool.data.examples import example
from partialpool.data.grouped import from_proportions
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.families.base import CENTERED, COMPLETE, MARGINAL, NONE
from partialpool.families.exact.beta_binomial import log_beta_binomial
from partialpool.families.exact.rising import log_rising, tail_counts
from partialpool.families.proportions import classical
from partialpool.fitting.inputs import check_hyperparameters, priors_for
from partialpool.priors.populations import Beta, Power, parse_beta, parse_power
from partialpool.programs import Program
from partialpool.studies.prior_predictive import from_programs


@pytest.fixture(scope="module")
def tumors() -> GroupedData:
    return read(example("tumors"))


@pytest.fixture(scope="module")
def batting() -> GroupedData:
    return read(example("batting"))


@pytest.fixture(scope="module")
def of_batting(batting: GroupedData) -> Any:
    """Its exact posterior with what it has been asked so far."""
    return exact(batting)


@pytest.fixture(scope="module")
def batting_table(of_batting: Any) -> pd.DataFrame:
    return of_batting.summary().set_index(["parameter", "group"])


def exact(data: GroupedData, program: str = MARGINAL) -> Any:
    return data.family.exact_posterior(program, data.stats, priors_for(data))


# Published and exact numbers


def test_the_examples_are_the_published_tables(tumors: GroupedData, batting: GroupedData) -> None:
    assert (tumors.stats.J, tumors.stats.successes.sum(), tumors.stats.trials.sum()) == (
        71,
        267,
        1739,
    )
    assert (batting.stats.J, batting.stats.successes.sum()) == (18, 215)
    assert set(batting.stats.trials) == {45}


def test_tumors_of_rats(tumors: GroupedData) -> None:
    """Gelman et al. (2013), section 5.3: its mode, and posterior means to all digits shown."""
    posterior = exact(tumors)

    def density(point: Any) -> float:
        logit, log_size = np.array([point[0]]), np.array([point[1]])
        return -float(posterior.problem.log_density(-0.5 * log_size, logit)[0])

    mode = optimize.minimize(density, (-1.5, 3.0), method="Nelder-Mead", tol=1e-9).x
    assert mode == pytest.approx([-1.784, 2.738], abs=5e-3)  # as published, from a grid
    own = posterior.fine.nodes
    seen = own.weight * (np.log(own.size) < 10)  # beyond, the means of alpha and beta diverge
    assert (seen * own.mu * own.size).sum() == pytest.approx(2.4027, abs=2e-4)
    assert (seen * (1 - own.mu) * own.size).sum() == pytest.approx(14.3202, abs=1e-3)
    table = posterior.summary(groups=["1", "71"]).set_index(["parameter", "group"])
    assert table.loc[("theta", "71"), "mean"] == pytest.approx(0.21086, abs=5e-6)
    assert table.loc[("theta", "71"), "sd"] == pytest.approx(0.07526, abs=5e-6)
    assert table.loc[("theta", "1"), "mean"] == pytest.approx(0.06357, abs=5e-6)
    assert table.loc[("theta_new", ""), "mean"] == pytest.approx(0.14430, abs=5e-6)
    assert math.isinf(table.loc[("size", ""), "mean"])


def test_batting_averages(
    batting: GroupedData, of_batting: Any, batting_table: pd.DataFrame
) -> None:
    """Carpenter (2016), with the posterior means by quadrature."""
    posterior, table = of_batting, batting_table
    assert table.loc[("mu", ""), "mean"] == pytest.approx(0.2686, abs=5e-5)
    log_size = posterior.fine.spread.expect(-2 * posterior.fine.spread.nodes)
    assert log_size == pytest.approx(4.265, abs=5e-4)
    known = [0.3217, 0.3126, 0.3036, 0.2945, 0.2855, 0.2855, 0.2764, 0.2674, 0.2583, 0.2583]
    known += [0.2492] * 5 + [0.2402, 0.2311, 0.2221]
    found = table.loc["theta", "mean"].reindex(list(batting.labels))
    assert found.to_numpy() == pytest.approx(np.array(known), abs=5e-5)


def test_maximum_likelihood_of_the_first_experiments(tumors: GroupedData) -> None:
    found = classical.population(tumors.stats.take(np.arange(70))).iloc[1]
    assert found[["alpha", "beta"]].tolist() == pytest.approx([2.30478, 14.0798], rel=2e-5)


def test_equal_groups_have_a_population_without_spread() -> None:
    data = from_proportions(list("abcde"), [4, 5, 5, 6, 5], [10] * 5)
    one, population = classical.population(data.stats).to_dict("records")
    assert math.isinf(population["size"])
    assert population["tau"] == 0
    assert population["log_likelihood"] == one["log_likelihood"]
    assert one["log_likelihood"] == pytest.approx(
        stats.binom.logpmf([4, 5, 5, 6, 5], 10, 0.5).sum()
    )


def test_james_stein_of_efron_and_morris(batting: GroupedData) -> None:
    """Efron and Morris (1975): the errors over the rest of the season."""
    table = classical.predictors(batting.stats)
    rest = np.array(
        [float(cell) for cell in read_columns(batting, ["rest_of_season"])["rest_of_season"]]
    )
    raw, shrunk = table["raw_mean"].to_numpy(), table["james_stein"].to_numpy()
    assert raw.mean() == pytest.approx(0.2654, abs=5e-5)
    kept = (shrunk[0] - raw.mean()) / (raw[0] - raw.mean())
    assert kept == pytest.approx(0.2117, abs=5e-5)
    errors = [float(((each - rest) ** 2).sum()) for each in (raw, shrunk)]
    assert errors == pytest.approx([0.0753, 0.0213], abs=5e-5)
    assert errors[0] / errors[1] == pytest.approx(3.53, abs=5e-3)
    low, high = table["exact_q2.5"], table["exact_q97.5"]
    own = stats.binomtest(18, 45).proportion_ci(method="exact")
    assert (low[0], high[0]) == pytest.approx((own.low, own.high))
    wilson = stats.binomtest(18, 45).proportion_ci(method="wilson")
    assert [end[0] for end in batting.stats.intervals(0.95)] == pytest.approx(
        [wilson.low, wilson.high]
    )


# Algebra


@pytest.mark.parametrize("top", [0, 1, 40, 64, 65, 500, 30_000, 10**7])
def test_tail_counts_give_sums_of_log_gammas(top: int) -> None:
    rng = np.random.default_rng(top)
    values = np.append(rng.integers(0, top + 1, 30), top)
    groups = rng.integers(1, 9, len(values))
    nodes, weights = tail_counts(values, groups)
    assert len(nodes) <= 600
    for x in (0.01, 1.0, 37.0, 2e3):
        known = (groups * (special.gammaln(x + values) - special.gammaln(x))).sum()
        assert (weights * np.log(x + nodes)).sum() == pytest.approx(known, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("x", [1e-3, 0.5, 29.9, 30.1, 1e4, 1e13])
def test_rising_factorials_keep_their_digits(x: float) -> None:
    k = np.array([0.0, 1.0, 2.0, 45.0, 300.0])
    known = [np.log(x + np.arange(int(n))).sum() for n in k]
    assert log_rising(np.array(x), k) == pytest.approx(np.array(known), rel=2e-12, abs=1e-11)


def test_the_marginal_likelihood_is_that_of_a_double_integral() -> None:
    data = from_proportions(list("abc"), [1, 7, 4], [5, 20, 6])
    posterior = exact(data)

    z, v = np.linspace(-14, 14, 281)[:, None], np.linspace(-14, 27, 411)[None]
    mu, size = np.broadcast_arrays(special.expit(z), np.exp(v))
    density = mu * (1 - mu) * size / (1 + size) ** 2
    for y, n in zip(data.stats.successes, data.stats.trials, strict=True):
        density = density * np.exp(log_beta_binomial(y, n, mu, size))
    known = density.sum() * 0.1 * 0.1
    assert posterior.log_marginal_likelihood == pytest.approx(math.log(known), abs=1e-6)


def test_leaving_a_group_out_is_a_ratio_of_marginal_likelihoods() -> None:
    data = from_proportions(list("abcd"), [1, 7, 4, 3], [5, 20, 6, 3])
    for program in (MARGINAL, COMPLETE):
        whole = exact(data, program)
        for j in range(4):
            rest = np.delete(np.arange(4), j)
            without = data.family.exact_posterior(program, data.stats.take(rest), priors_for(data))
            known = whole.log_marginal_likelihood - without.log_marginal_likelihood
            assert whole.leave_one_out()[j] == pytest.approx(known, abs=1e-5)


def test_the_bayes_factor_of_equal_groups(
    batting: GroupedData, tumors: GroupedData, of_batting: Any
) -> None:
    together = exact(batting, COMPLETE).log_marginal_likelihood
    known = together - of_batting.log_marginal_likelihood
    assert of_batting.log_bayes_factor_of_no_spread == pytest.approx(known, abs=1e-8)
    with pytest.raises(InputError, match="no distribution, and a Bayes factor needs one"):
        _ = exact(tumors).log_bayes_factor_of_no_spread


def test_the_extremes_have_beta_posteriors(batting: GroupedData) -> None:
    complete = exact(batting, COMPLETE).summary().iloc[0]
    own = stats.beta(1 + 215, 1 + 810 - 215)
    assert complete[["mean", "sd"]].tolist() == pytest.approx([own.mean(), own.std()])
    assert complete["q97.5"] == pytest.approx(own.ppf(0.975))
    first = exact(batting, NONE).summary().iloc[0]
    assert first["mean"] == pytest.approx(19 / 47)


def test_exact_draws_have_the_exact_posterior(
    batting: GroupedData, batting_table: pd.DataFrame
) -> None:
    choice = batting.family.base_choice(priors_for(batting))
    drawn = batting.family.draw_alternative(
        choice, batting.stats, rng=np.random.default_rng(5), shape=(4, 5000), draw_groups=True
    )
    table = batting_table
    for name in ("mu", "tau"):
        row = table.loc[(name, "")]
        assert drawn[name].mean() == pytest.approx(row["mean"], abs=4 * row["sd"] / 141)
        assert np.quantile(drawn[name], 0.975) == pytest.approx(row["q97.5"], abs=0.1 * row["sd"])
    first = table.loc[("theta", "Clemente")]
    assert drawn["theta"][..., 0].mean() == pytest.approx(first["mean"], abs=4 * first["sd"] / 141)


def test_a_group_without_trials_learns_from_the_population_alone() -> None:
    data = from_proportions(list("abcd"), [3, 0, 5, 9], [10, 0, 10, 12])
    assert any("group b has no trial" in note for note in data.notes)
    table = exact(data).summary().set_index(["parameter", "group"])
    seen, new = table.loc[("theta", "b")], table.loc[("theta_new", "")]
    assert seen[["mean", "sd", "median"]].tolist() == pytest.approx(
        new[["mean", "sd", "median"]].tolist(), rel=1e-9
    )
    assert table.loc[("lambda", "b"), "mean"] == pytest.approx(1)


# Priors


def test_priors_of_a_probability_and_of_a_size() -> None:
    assert parse_beta("beta(2, 8)") == Beta(2, 8)
    assert parse_power("power(0, 1, 2)") == Power(0, 1, 2)
    for prior in (Beta(2, 8), Beta(0.5, 0.5)):
        p = np.array([0.01, 0.3, 0.9])
        assert prior.cdf(prior.quantile(p)) == pytest.approx(p)
        x = np.array([0.2, 0.7])
        assert prior.log_density(x) == pytest.approx(stats.beta.logpdf(x, prior.alpha, prior.beta))
    assert Beta(1, 1).log_density(np.array([-0.1, 1.2])).tolist() == [-np.inf, -np.inf]
    pareto = Power(1, 0, 2.5)
    x = np.array([1.0, 1.6, 40.0])
    assert pareto.log_density(x) == pytest.approx(stats.pareto.logpdf(x, 1.5))
    assert pareto.cdf(x) == pytest.approx(stats.pareto.cdf(x, 1.5))
    lomax = Power(2, 3, 4)
    assert lomax.quantile(lomax.cdf(np.array([2.5, 9.0]))) == pytest.approx([2.5, 9.0])
    total = integrate.quad(lambda s: math.exp(float(lomax.log_density(s))), 2, np.inf)[0]
    assert total == pytest.approx(1)
    assert lomax.describe("size") == "p(size) ∝ (size + 3)^-4 for size > 2"


def test_priors_that_are_no_distributions_are_said_to_be_none(tumors: GroupedData) -> None:
    with pytest.raises(InputError, match="no distribution, so nothing can be drawn"):
        Power(0, 0, 1.5).quantile(0.5)
    with pytest.raises(InputError, match="above 1"):
        Power(0, 1, 1)
    alike = from_proportions(list("ab"), [0, 5], [4, 5])
    choice = tumors.family.base_choice(priors_for(tumors))
    with pytest.raises(InputError, match="so few groups have both successes and failures"):
        alike.family.exact_posterior(CENTERED, alike.stats, priors_for(alike, choice.inputs()))


# What is refused


@pytest.mark.parametrize(
    ("successes", "trials", "said"),
    [
        ([3, 2], [2, 5], "group 'a' has 3 successes in 2 trials"),
        ([9, 8], [2, 5], "are the two columns exchanged"),
        ([0.4, 0.2], [10, 5], "give successes, not proportions"),
        ([40.5, 20.2], [50, 60], "give successes, not percent"),
        ([-1, 2], [3, 5], "the successes of group 'a' are -1; a count is 0 or more"),
        ([0, 0], [0, 0], "no group has a trial"),
        ([1, 2], [5.5, 5], "the trials of group 'a' are 5.5"),
        ([1, 2], [1e10, 5], "are the most that are read"),
    ],
)
def test_counts_that_cannot_be(successes: Any, trials: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_proportions(["a", "b"], successes, trials)


def test_rows_of_a_group_are_added_up() -> None:
    data = from_proportions(["b", "a", "b"], [1, 2, 3], [4, 5, 6])
    assert data.labels == ("b", "a")
    assert data.stats.successes.tolist() == [4, 2]
    assert data.stats.trials.tolist() == [10, 5]


def declare(*inputs: str) -> Program:
    """Declare a program of partial pooling that has some inputs."""
    real = {"type": "real", "dimensions": 0}
    declared = {
        "inputs": dict.fromkeys(inputs, real),
        "parameters": dict.fromkeys(("mu", "size"), real),
        "transformed parameters": {},
        "generated quantities": {"y_rep": {"type": "int", "dimensions": 1}},
    }
    return Program(Path("hierarchical_marginal.stan"), declared, "0" * 64)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mu_alpha": 0.0}, "mu_alpha = 0: it must be above zero"),
        ({"size_power": 1.0}, "size_power = 1: it must be above one, or the posterior is improper"),
    ],
)
def test_priors_that_leave_the_posterior_improper_are_refused(
    batting: GroupedData, setting: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_hyperparameters(declare(*setting), priors_for(batting, setting))


def test_an_improper_prior_expects_nothing(tumors: GroupedData, batting: GroupedData) -> None:
    program = declare("prior_only", "size_lower", "size_shift", "size_power")
    with pytest.raises(InputError, match=r"its priors are improper \(size_lower and size_shift"):
        from_programs([program], tumors, priors=priors_for(tumors))
    assert batting.family.improper(program.inputs, priors_for(batting)) == ""
    assert batting.family.improper(["theta_alpha"], priors_for(tumors)) == ""
