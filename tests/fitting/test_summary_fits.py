"""Models of data of which only statistics by group are at hand: exact draws, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as distributions

from partialpool import data, programs
from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.fitting import diagnostics, without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.settings import Settings
from partialpool.studies import prior_predictive, sensitivity
from partialpool.tables import comparison, shrinkage

SETTINGS = Settings(draws=1000)


@pytest.fixture(scope="module")
def summarized() -> data.GroupedData:
    homework = data.read_csv(data.example())
    return replace(homework, y=homework.y[:0], group=homework.group[:0])


@pytest.mark.stan
@pytest.mark.parametrize("name", ["complete_pooling", "no_pooling"])
def test_draws_agree_with_quadrature(name: str, summarized: data.GroupedData) -> None:
    priors = priors_for(summarized)
    fit = without_rows.draw_exact(programs.load(name), summarized, priors=priors, settings=SETTINGS)
    found = shrinkage.estimates([fit], summarized).set_index(["parameter", "group"])
    value = priors.values
    known = getattr(exact, name)(
        summarized.stats,
        theta=Normal(value["theta_location"], value["theta_scale"]),
        sigma=InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"]),
    ).summary()
    known = known[known["parameter"] != "y_new"].set_index(["parameter", "group"])
    found = found.loc[known.index]
    assert len(found) == (3 if name == "complete_pooling" else 24)
    for column, error in (
        ("mean", "mcse_mean"),
        ("q2.5", "mcse_q2.5"),
        ("median", "mcse_median"),
        ("q97.5", "mcse_q97.5"),
    ):
        assert (np.abs(found[column] - known[column]) < 4.5 * found[error]).all(), column
    assert diagnostics.trusted(diagnostics.check(fit))
    posterior = fit.posterior.isel(chain=0, draw=7)
    prior = distributions.norm.logpdf(
        posterior["theta"], value["theta_location"], value["theta_scale"]
    ) + distributions.invgamma.logpdf(
        posterior["sigma2"], value["sigma2_shape"], scale=value["sigma2_scale"]
    )
    lprior = fit.draws["log_prior"]["lprior"].isel(chain=0, draw=7)
    assert float(lprior) == pytest.approx(float(prior.sum()), rel=1e-12)


@pytest.mark.stan
def test_draws_follow_the_seed(summarized: data.GroupedData) -> None:
    program, priors = programs.load("complete_pooling"), priors_for(summarized)

    def first(seed: int) -> float:
        settings = Settings(draws=10, seed=seed)
        fit = without_rows.draw_exact(program, summarized, priors=priors, settings=settings)
        return float(fit.posterior["theta"][0, 0])

    assert first(1) == first(1) != first(2)


@pytest.mark.stan
def test_what_cannot_be_drawn_is_refused(summarized: data.GroupedData) -> None:
    priors = priors_for(summarized)

    def refused(name: str, given: data.GroupedData, message: str, **changed: float) -> None:
        settings = priors.updated(changed, source="test")
        with pytest.raises(InputError, match=message):
            without_rows.draw_exact(programs.load(name), given, priors=settings, settings=SETTINGS)

    refused("hierarchical_marginal", summarized, "its exact posterior is not known")
    refused("no_pooling", summarized, "theta_scale = -1: it must be", theta_scale=-1)
    many = data.from_values([str(k // 2) for k in range(2002)], np.arange(2002.0))
    refused("no_pooling", many, "there are 1001: .* --without no_pooling")


def test_priors_are_described_without_the_observations(summarized: data.GroupedData) -> None:
    homework = data.read_csv(data.example())
    priors = priors_for(homework, {"mu_scale": 10, "tau_upper": 30, "sigma_upper": 30})
    chosen = sensitivity.choose(["weak"], homework, priors)
    with_y, without = (
        prior_predictive.from_choices(chosen, given) for given in (homework, summarized)
    )
    assert without.table["verdict"].tolist() == with_y.table["verdict"].tolist()
    assert (np.abs(np.log(without.table["ranges"] / with_y.table["ranges"])) < 0.5).all()


def test_partial_pooling_is_fitted_once_and_in_its_marginal_form(
    summarized: data.GroupedData, cmdstan: object
) -> None:
    chosen = ("hierarchical_centered", "complete_pooling", "hierarchical_noncentered")
    fits = without_rows.fit_or_draw(
        without_rows.substitutes([programs.load(name) for name in chosen]),
        summarized,
        priors=priors_for(summarized),
        settings=Settings(chains=2, warmup=300, draws=300),
    )
    assert [fit.name for fit in fits] == ["hierarchical_marginal", "complete_pooling"]
    made = comparison.compute(summarized, fits)
    needs_rows = {"loo", "loo_pointwise", "posterior_checks", "check_counts"}
    assert set(made.missing) == needs_rows
    assert "needs the observations" in made.missing["loo"]
    assert len(made.table("shrinkage")) == 16
