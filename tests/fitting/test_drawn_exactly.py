"""Partial pooling of very many estimates, each with a standard error of its own, without Stan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as distributions

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.data.grouped import from_estimates
from partialpool.errors import InputError
from partialpool.families.exact.classes import MOST_CLASSES
from partialpool.fitting import diagnostics, without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.summarize import summarize
from partialpool.programs import Program, toolchain
from partialpool.settings import Settings
from partialpool.tables import exactness, group_posterior

SETTINGS = Settings(draws=1000, seed=8)


def areas(J: int, *, spread: float = 0.8, seed: int = 3) -> GroupedData:
    """Estimates of J areas around 50, sd 2 between areas, each with its own standard error."""
    rng = np.random.default_rng(seed)
    se = np.exp(rng.normal(0, spread, J))
    estimates = rng.normal(50, np.sqrt(2**2 + se**2))
    return from_estimates([f"area {j}" for j in range(J)], estimates, se, name="areas")


@pytest.fixture(scope="module")
def marginal(cmdstan: toolchain.CmdStan) -> Program:
    return programs.load("hierarchical_marginal", family="known_errors")


def test_it_is_chosen_for_many_standard_errors_of_the_shipped_program_alone(
    marginal: Program, tmp_path: Path
) -> None:
    few, many = areas(MOST_CLASSES), areas(MOST_CLASSES + 1)
    assert not without_rows.is_exact(marginal, few)
    assert without_rows.is_exact(marginal, many)
    alike = from_estimates(many.labels, many.y, np.ones(many.stats.J))
    assert not without_rows.is_exact(marginal, alike)
    edited = tmp_path / "hierarchical_marginal.stan"
    edited.write_text(marginal.path.read_text("utf-8") + "\n// edited\n", encoding="utf-8")
    assert not without_rows.is_exact(programs.load(edited), many)
    centered = programs.load("hierarchical_centered", family="known_errors")
    assert not without_rows.is_exact(centered, many)
    with pytest.raises(InputError, match="hierarchical_marginal: its exact posterior"):
        without_rows.draw_exact(marginal, few, priors=priors_for(few), settings=SETTINGS)


@pytest.mark.parametrize("J", [MOST_CLASSES + 1, programs.DRAWN_GROUPS + 200])
def test_the_draws_are_those_of_the_posterior(J: int, marginal: Program) -> None:
    data = areas(J)
    priors = priors_for(data)
    [fit] = without_rows.fit_or_draw([marginal], data, priors=priors, settings=SETTINGS)
    assert fit.name == "hierarchical_marginal"
    assert fit.record.family == "known_errors"
    assert fit.record.cmdstan["version"] == "none"
    checks = diagnostics.check(fit)
    assert diagnostics.trusted(checks), diagnostics.summary_line(fit, checks)
    posterior = exactness.exact_posterior(fit, data)
    shown = [data.labels[j] for j in (0, 5, J - 1)]
    exact = posterior.summary(groups=shown).set_index(["parameter", "group"])  # type: ignore[call-arg]
    for name in ("tau", "mu", "tau2", "theta_new"):
        found = summarize(fit.posterior[name].to_numpy()[None])
        for column in ("mean", "q2.5", "median", "q97.5"):
            difference = found[column][0] - exact.loc[(name, ""), column]
            assert abs(difference) < 4 * found[f"mcse_{column}"][0], (name, column)
    assert ("theta" in fit.posterior) == (J <= programs.DRAWN_GROUPS)
    for label in shown if "theta" in fit.posterior else ():
        theta = fit.posterior["theta"].sel(group=label).to_numpy()
        found = summarize(theta[None])
        row = exact.loc["theta", label]
        assert abs(found["mean"][0] - row["mean"]) < 4 * found["mcse_mean"][0]
        assert found["sd"][0] == pytest.approx(row["sd"], rel=0.06)
    at = fit.posterior.isel(chain=1, draw=3)
    value = priors.values
    prior = distributions.norm.logpdf(at["mu"], value["mu_location"], value["mu_scale"])
    prior += np.log(2) + distributions.t.logpdf(
        at["tau"], value["tau_df"], scale=value["tau_scale"]
    )
    lprior = fit.draws["log_prior"]["lprior"].isel(chain=1, draw=3)
    assert float(lprior) == pytest.approx(float(prior), rel=1e-12)


def test_the_draws_agree_with_stan_s(marginal: Program, cmdstan: toolchain.CmdStan) -> None:
    """Standard errors that differ by a hair are many to the one and few to the other."""
    rng = np.random.default_rng(4)
    data = areas(MOST_CLASSES + 50)
    rounded = np.exp(np.round(2 * np.log(data.stats.raw_se)) / 2)
    few = from_estimates(data.labels, data.y, rounded)
    many = from_estimates(
        data.labels, data.y, rounded * (1 + 1e-9 * rng.standard_normal(len(rounded)))
    )
    priors = priors_for(few)
    fits = [
        without_rows.fit_or_draw([marginal], each, priors=priors, settings=SETTINGS, **how)[0]
        for each, how in ((few, {"cmdstan": cmdstan}), (many, {}))
    ]
    assert [fit.record.cmdstan["version"] == "none" for fit in fits] == [False, True]
    assert set(fits[1].posterior) == set(fits[0].posterior) - {"tau_stretched"}
    for name in ("tau", "mu", "theta_new"):
        one, other = (summarize(fit.posterior[name].to_numpy()[None]) for fit in fits)
        for column in ("mean", "q2.5", "median", "q97.5"):
            error = np.hypot(one[f"mcse_{column}"][0], other[f"mcse_{column}"][0])
            assert abs(one[column][0] - other[column][0]) < 4.5 * error, (name, column)


def test_what_asks_for_more_than_the_posterior_goes_to_stan(
    marginal: Program, cmdstan: toolchain.CmdStan
) -> None:
    data = areas(MOST_CLASSES + 1)
    how = {"priors": priors_for(data), "settings": Settings(chains=2, warmup=150, draws=20)}
    asked = (
        {"prior_only": True},
        {"pointwise": True},
        {"extra": {"y_k": np.sort(data.y)}},
    )
    for more in asked:
        [fit] = without_rows.fit_or_draw([marginal], data, cmdstan=cmdstan, **how, **more)
        assert fit.record.cmdstan["version"] != "none", more
    [fit] = without_rows.fit_or_draw(
        [marginal], data, extra=group_posterior.no_group_drawn(data), **how
    )
    assert fit.record.cmdstan["version"] == "none"
    assert "theta" not in fit.posterior
    assert fit.record.extra["J_drawn"] == 0


def test_few_estimates_can_leave_their_effects_undrawn(
    marginal: Program, cmdstan: toolchain.CmdStan
) -> None:
    data = areas(30)
    [fit] = without_rows.fit_or_draw(
        [marginal],
        data,
        priors=priors_for(data),
        settings=Settings(chains=2, warmup=200, draws=200),
        extra=group_posterior.no_group_drawn(data),
        cmdstan=cmdstan,
    )
    assert "theta" not in fit.posterior
    found = group_posterior.group_estimates(fit.posterior, data.stats)
    assert list(found["group"]) == list(data.labels)


def test_the_draws_follow_the_seed(marginal: Program) -> None:
    data = areas(MOST_CLASSES + 1)

    def first(seed: int) -> float:
        settings = replace(SETTINGS, seed=seed)
        fit = without_rows.draw_exact(marginal, data, priors=priors_for(data), settings=settings)
        return float(fit.posterior["tau"][0, 0])

    assert first(1) == first(1) != first(2)


@pytest.mark.parametrize("spread", [0.8, 8.0], ids=["an order of magnitude", "twenty of them"])
def test_estimates_of_all_groups_keep_their_digits(spread: float) -> None:
    """Interpolated over log se, against the mixture over all draws of some groups."""
    data = areas(20_000, spread=spread)
    posterior = data.family.exact_posterior("hierarchical_marginal", data.stats, priors_for(data))
    drawn = posterior.draws(rng=np.random.default_rng(1), shape=(2, 200))  # type: ignore[attr-defined]
    draws = without_rows.dataset(drawn, {}, {})
    found = group_posterior.group_estimates(draws, data.stats)
    se = data.stats.raw_se
    at = [
        int(np.argmin(se)),
        int(np.argmax(se)),
        int(np.argmax(np.abs(data.y))),
        *range(0, 20_000, 400),
    ]
    exact = group_posterior.group_estimates(draws, data.stats, groups=[data.labels[j] for j in at])
    some = found.iloc[at].reset_index(drop=True)
    assert some["sd"].to_numpy() == pytest.approx(exact["sd"].to_numpy(), rel=1e-9)
    assert some["lambda_mean"].to_numpy() == pytest.approx(
        exact["lambda_mean"].to_numpy(), rel=1e-9
    )
    off = (some["mean"] - exact["mean"]).abs() / exact["sd"]
    assert off.max() < 1e-7
    for column in ("q2.5", "median", "q97.5"):
        allowed = np.maximum(1e-5 * exact["sd"], 0.1 * exact[f"mcse_{column}"])
        assert ((some[column] - exact[column]).abs() < allowed).all(), column
    tau2 = drawn["tau"] ** 2
    for j in at[:3]:
        factor = se[j] ** 2 / (se[j] ** 2 + tau2)
        own = tau2 / (se[j] ** 2 + tau2)
        mean = factor * drawn["mu"] + own * data.y[j]
        variance = (tau2 * factor).mean() + (
            (own - own.mean()) * data.y[j] + factor * drawn["mu"] - (factor * drawn["mu"]).mean()
        ).var()
        assert found["mean"][j] == pytest.approx(mean.mean(), rel=1e-9)
        assert found["sd"][j] == pytest.approx(np.sqrt(variance), rel=1e-6)
