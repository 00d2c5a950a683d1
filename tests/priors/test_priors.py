"""Priors as values: densities that integrate, quantiles that invert, text that reads back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from partialpool.errors import InputError
from partialpool.priors import (
    SCALE_FAMILIES,
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
    parse_location_prior,
    parse_scale_prior,
)

PRIORS: list[ScalePrior] = [
    Uniform(1000),
    HalfNormal(2.5),
    HalfCauchy(5),
    HalfT(3, 0.7),
    Exponential(0.2),
    InverseGammaVariance(1, 1),
    InverseGammaVariance(2.5, 30),
]
REFERENCES = {
    Uniform(1000): stats.uniform(0, 1000),
    HalfNormal(2.5): stats.halfnorm(scale=2.5),
    HalfCauchy(5): stats.halfcauchy(scale=5),
    Exponential(0.2): stats.expon(scale=5),
}


@pytest.mark.parametrize("prior", REFERENCES, ids=str)
def test_families_that_scipy_has_agree_with_it(prior: ScalePrior) -> None:
    x = np.array([0.1, 1.0, 7.0])
    assert prior.log_density(x) == pytest.approx(REFERENCES[prior].logpdf(x))
    assert prior.cdf(x) == pytest.approx(REFERENCES[prior].cdf(x))


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_density_and_distribution_function_belong_together(prior: ScalePrior) -> None:
    middle = float(prior.quantile(0.5))
    assert prior.cdf(middle) == pytest.approx(0.5)
    mass, _ = integrate.quad(
        lambda x: float(np.exp(prior.log_density(x))), 0, middle, epsabs=1e-12, limit=200
    )
    assert mass == pytest.approx(0.5, abs=1e-9)
    assert prior.cdf([-1.0, 0.0]) == pytest.approx([0, 0])
    assert np.isneginf(prior.log_density(-1.0))


def test_half_t_is_a_folded_student_t() -> None:
    x = np.array([0.0, 0.5, 4.0])
    folded = math.log(2) + stats.t(3, scale=0.7).logpdf(x)
    assert HalfT(3, 0.7).log_density(x) == pytest.approx(folded)
    assert HalfT(1, 5).log_density(x) == pytest.approx(HalfCauchy(5).log_density(x))


def test_inverse_gamma_of_the_variance_carries_its_jacobian() -> None:
    x = np.array([0.2, 1.0, 8.0])
    reference = stats.invgamma(2.5, scale=30).logpdf(x**2) + np.log(2 * x)
    assert InverseGammaVariance(2.5, 30).log_density(x) == pytest.approx(reference)
    assert np.isneginf(InverseGammaVariance(1, 1).log_density(0.0))


def test_scaled_inverse_chi_square_is_hoffs_parametrization() -> None:
    prior = InverseGammaVariance.scaled_inverse_chi_square(2, 15)
    assert prior == InverseGammaVariance(1, 15)
    # 1/sigma2 ~ gamma(nu0/2, nu0 sigma0^2/2), Hoff (2009), section 8.3
    share = stats.gamma(1, scale=1 / 15).sf(1 / 3.0**2)
    assert prior.cdf(3.0) == pytest.approx(share)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_tails_fall_as_stated(prior: ScalePrior) -> None:
    far = 1e6 * prior.typical
    if prior.upper_bound < math.inf:
        assert np.isneginf(prior.log_density(2 * prior.upper_bound))
        return
    fall = float(prior.log_density(far) - prior.log_density(2 * far)) / math.log(2)
    if prior.tail_power < math.inf:
        assert fall == pytest.approx(prior.tail_power, abs=1e-6)
    else:
        assert fall > 1e5


@pytest.mark.parametrize("prior", [*PRIORS, HalfT(0.1 + 0.2, 1e-7)], ids=str)
def test_text_form_reads_back_as_the_same_prior(prior: ScalePrior) -> None:
    assert parse_scale_prior(str(prior)) == prior


def test_text_forms() -> None:
    assert parse_scale_prior(" half_cauchy( 5 ) ") == HalfCauchy(5)
    assert str(HalfCauchy(5)) == "half_cauchy(5)"
    assert parse_location_prior("normal(20, 10)") == Normal(20, 10)
    assert HalfCauchy(5).describe("tau") == "tau ~ half-Cauchy(0, 5)"
    assert HalfT(3, 2.5).describe("tau") == "tau ~ half-t(3, 0, 2.5)"
    assert Uniform(1000).describe("tau") == "tau ~ uniform(0, 1000)"
    assert Exponential(0.2).describe("sigma") == "sigma ~ exponential(0.2)"
    assert Normal(20, 10).describe("mu") == "mu ~ normal(20, 10)"
    vague = InverseGammaVariance(0.01, 0.01)
    assert vague.describe("tau") == "tau^2 ~ inverse-gamma(0.01, 0.01)"


@pytest.mark.parametrize("family", SCALE_FAMILIES)
def test_every_family_can_be_read(family: str) -> None:
    usage = SCALE_FAMILIES[family].usage()
    count = usage.count(",") + 1
    prior = parse_scale_prior(f"{family}({', '.join(['2'] * count)})")
    assert isinstance(prior, SCALE_FAMILIES[family])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half_cauchi(5)", "no family 'half_cauchi'. Did you mean half_cauchy"),
        ("half_cauchy 5", "not of the form"),
        ("half_t(3)", r"has 1 settings and needs 2: half_t\(df, scale\)"),
        ("half_cauchy()", "has 0 settings"),
        ("half_cauchy(five)", "scale is 'five', which is not a number"),
        ("half_cauchy(-5)", "scale is -5; give a finite number above 0"),
        ("uniform(inf)", "upper is inf; give a finite number above 0"),
        ("half_normal(nan)", "scale is nan"),
        ("normal(0, 1)", "no family 'normal'"),
    ],
)
def test_text_that_is_no_prior_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_scale_prior(text)


def test_normal_prior() -> None:
    prior, x = Normal(20, 10), np.array([-5.0, 20, 31])
    assert prior.log_density(x) == pytest.approx(stats.norm(20, 10).logpdf(x))
    assert prior.quantile(prior.cdf(x)) == pytest.approx(x)
    with pytest.raises(InputError, match="scale is 0"):
        Normal(1, 0)
    with pytest.raises(InputError, match="no family 'uniform'"):
        parse_location_prior("uniform(3)")
