"""Choices of priors, power-scaling, prior predictive draws, and refits with real Stan."""

from __future__ import annotations

import dataclasses

import arviz_base
import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats
from scipy import stats as distributions

from helpers.hand_made import make_fit, simulated
from partialpool import programs
from partialpool.errors import InputError
from partialpool.families import NORMAL, exact
from partialpool.fitting import Fit, FitRecord
from partialpool.fitting.inputs import priors_for
from partialpool.priors import (
    SCALE_FAMILIES,
    HalfCauchy,
    HalfNormal,
    InverseGammaVariance,
    Normal,
    Uniform,
    choices,
)
from partialpool.settings import Settings
from partialpool.studies import power_scaling, prior_predictive, sensitivity

CHAINS, DRAWS = 4, 500


@pytest.fixture(scope="module")
def priors(homework):
    return priors_for(homework)


@pytest.fixture(scope="module")
def named(homework, priors):
    return NORMAL.named_choices(homework.stats, priors)


def exact_fit(choice, data, *, seed=1):
    """Independent draws from the exact posterior under a choice, as the refits would give them."""
    posterior = exact.hierarchical(data.stats, mu=choice.mu, tau=choice.tau, sigma=choice.sigma)
    rng = np.random.default_rng(seed)
    flat = exact.exact_draws(posterior, rng=rng, size=CHAINS * DRAWS)
    draws = {name: v.reshape(CHAINS, DRAWS, *v.shape[1:]) for name, v in flat.items()}
    shape = (CHAINS, DRAWS)
    lprior = choice.log_density(draws["mu"], draws["tau"], draws["sigma"])
    tree = arviz_base.from_dict(
        {
            "posterior": draws,
            "log_prior": {"lprior": lprior},
            "sample_stats": {
                "diverging": np.zeros(shape, dtype=bool),
                "energy": rng.normal(size=shape),
                "tree_depth": np.full(shape, 3),
            },
        },
        coords={"group": list(data.labels)},
        dims={"theta": ["group"]},
    )
    settings = dataclasses.asdict(Settings(chains=CHAINS, draws=DRAWS))
    about = {"program": "sensitivity", "title": choice.name, "pooling": "partial"}
    return Fit(tree, FitRecord(**about, settings=settings))


@pytest.fixture(scope="module")
def compared(homework, named):
    chosen = [named[name] for name in ("base", "inverse_gamma_1", "mu_wide")]
    fits = {choice.name: exact_fit(choice, homework) for choice in chosen}
    return sensitivity.compare_fits(chosen, fits, homework)


def test_default_choices_cover_every_family_and_begin_with_the_priors_given(homework, priors):
    found = NORMAL.default_choices(homework.stats, priors)
    assert found[0] == choices.PriorChoice("base", Normal(20, 10), Uniform(1000), Uniform(1000))
    assert {type(choice.tau) for choice in found} == set(SCALE_FAMILIES.values())
    hoff = found[-1]
    assert (hoff.tau, hoff.sigma) == (InverseGammaVariance(1, 10), InverseGammaVariance(1, 15))
    assert hoff.mu.scale**2 == pytest.approx(5, rel=1e-4)


def test_choices_in_hours_are_left_out_for_other_data():
    data = simulated([5, 6, 7], ["a", "b", "c"])
    found = NORMAL.default_choices(data.stats, priors_for(data))
    assert "hoff" not in {choice.name for choice in found}
    assert "half_cauchy" in {choice.name for choice in found}


def test_a_choice_is_written_by_name_or_in_full(homework, priors):
    texts = ["hoff", "tau=half_cauchy(5)", "wide: tau = half_t(3, 25); mu ~ normal(8, 10)"]
    base, hoff, cauchy, wide = sensitivity.choose(texts, homework, priors)
    assert (base.name, hoff.name) == ("base", "hoff")
    assert cauchy == dataclasses.replace(base, name="tau=half_cauchy(5)", tau=HalfCauchy(5))
    assert (wide.name, wide.mu, wide.tau.scale) == ("wide", Normal(8, 10), 25)
    assert wide.difference(base) == "mu ~ normal(8, 10), tau ~ half-t(3, 0, 25)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half_cauchi", "Did you mean half_cauchy"),
        ("tau=half_cauchy", "priors of the form"),
        ("tau=half_cauchy(5) extra", "priors of the form"),
        ("tau=half_cauchy(-5)", "above 0"),
        ("tau=cauchy(5)", "no family 'cauchy'"),
        ("theta=normal(0, 1)", "theta is no parameter with a prior"),
        ("tau=half_normal(1), tau=half_normal(2)", "tau is given twice"),
        ("base: tau=half_normal(1)", "change those with --prior"),
        ("hoff: tau=half_normal(1)", "two choices called 'hoff'"),
    ],
)
def test_a_choice_that_cannot_be_read_is_explained(homework, priors, text, message):
    with pytest.raises(InputError, match=message):
        sensitivity.choose(["hoff", text], homework, priors)


def test_the_sensitivity_of_a_normal_posterior_is_that_of_its_formula():
    location, sd, y = 3.0, 1.5, 0.0  # prior N(location, sd^2), one observation y with error 1

    def posterior(power):
        precision = 1 + power / sd**2
        return distributions.norm((y + power * location / sd**2) / precision, precision**-0.5)

    rng = np.random.default_rng(4)
    draws = posterior(1).rvs(size=(1, 4, 20_000), random_state=rng)
    log_prior = distributions.norm.logpdf(draws[0], location, sd)
    grid = np.linspace(draws.min(), draws.max(), 20_001)

    def formula(power):
        values = []
        for below in ("cdf", "sf"):
            p, q = (getattr(posterior(each), below)(grid) for each in (1, power))
            terms = p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q))
            values.append(np.sqrt(terms.sum() / (p + q).sum()) / abs(np.log2(power)))
        return max(values)

    expected = np.mean([formula(power) for power in power_scaling.ALPHAS])
    found = power_scaling.sensitivity(draws, log_prior)
    assert found[0] == pytest.approx(expected, rel=0.05)
    assert found[0] > power_scaling.THRESHOLD


def test_flags_are_told_apart(homework):
    fit = make_fit(homework, "hierarchical_centered", draws=DRAWS, pointwise=True)
    tree = fit.draws.copy()
    lprior = -0.5 * (fit.posterior["mu"].to_numpy() - 10) ** 2
    tree["log_prior"] = arviz_base.from_dict({"log_prior": {"lprior": lprior}})["log_prior"]
    fit = Fit(tree, fit.record)
    known = power_scaling.joint_log_likelihood(fit, homework)
    found = power_scaling.power_scaling(fit, homework).set_index("quantity")
    np.testing.assert_allclose(
        found["likelihood"],
        power_scaling.power_scaling(fit, homework, log_likelihood=known)["likelihood"],
        rtol=1e-6,
    )
    assert found.loc["sigma", "diagnosis"] == ""
    assert found.loc["mu", "prior"] > power_scaling.THRESHOLD
    ignored = power_scaling.power_scaling(fit, homework, log_likelihood=np.zeros((4, DRAWS)))
    assert ignored.set_index("quantity").loc["mu", "diagnosis"] == power_scaling.STRONG_PRIOR


def test_a_flat_prior_has_no_sensitivity_and_still_draws_none_that_is_known():
    rng = np.random.default_rng(5)
    draws = np.stack([rng.normal(size=(4, 250)), np.ones((4, 250))])
    flat = power_scaling.sensitivity(draws, np.full((4, 250), -6.9))
    assert flat[0] == 0
    assert np.isnan(flat[1])
    assert power_scaling.sensitivity(draws, -0.5 * (draws[0] - 2) ** 2)[0] > 0.2


def test_what_power_scaling_needs_is_named(homework):
    fit = make_fit(homework, "hierarchical_centered")
    with pytest.raises(InputError, match="'lprior'"):
        power_scaling.power_scaling(fit, homework)
    tree = fit.draws.copy()
    lprior = np.zeros((4, 250))
    tree["log_prior"] = arviz_base.from_dict({"log_prior": {"lprior": lprior}})["log_prior"]
    with pytest.raises(InputError, match="pointwise=True"):
        power_scaling.power_scaling(Fit(tree, fit.record), homework)


def test_the_distance_of_samples_is_that_of_the_weights_that_made_one_of_the_other():
    rng = np.random.default_rng(6)
    sample = rng.normal(size=4000)
    weights = np.exp(0.3 * sample)
    weights /= weights.sum()
    moved = rng.choice(sample, size=400_000, p=weights)
    uniform = np.full(4000, 1 / 4000)
    # With the other end unmoved, the sensitivity is half the distance at a power of 2.
    theirs = 2 * float(
        array_stats.power_scale_sense(
            sample[None], uniform[None], weights[None], lower_alpha=0.5, upper_alpha=2.0
        )
    )
    assert power_scaling.distance(sample, moved) == pytest.approx(theirs, rel=0.02)
    assert power_scaling.distance(sample, sample) == 0
    assert power_scaling.distance(sample, sample + 100) > 0.9


def test_one_table_has_means_and_intervals_of_all_answers(compared):
    row = compared.summary.set_index("choice").loc["inverse_gamma_1"]
    long = compared.estimates.set_index(["choice", "quantity", "group"]).sort_index()
    for name, key in (("tau", ("tau", "")), ("icc", ("icc", "")), ("theta[5]", ("theta", "5"))):
        own = long.loc[("inverse_gamma_1", *key)]
        assert row[name] == own["mean"]
        assert row[f"{name}_q2.5"] == own["q2.5"] < row[name] < row[f"{name}_q97.5"]
    assert 0 < row["pooling_factor"] < 1
    assert "pooling_factor_q2.5" not in row


def test_movements_are_in_posterior_sds_of_the_base(compared):
    table = compared.estimates.set_index(["choice", "quantity", "group"]).sort_index()
    base, other = table.loc[("base", "tau", "")], table.loc[("inverse_gamma_1", "tau", "")]
    assert other["movement"] == pytest.approx((other["mean"] - base["mean"]) / base["sd"])
    assert (table.loc["base", "movement"].dropna() == 0).all()
    assert np.isnan(table.loc[("mu_wide", "pooling_factor", ""), "movement"])
    row = compared.summary.set_index("choice").loc["inverse_gamma_1"]
    assert row["moved"] in {"icc", "tau"}
    assert row["largest_movement"] < -0.4
    assert row["priors"] == "tau^2 ~ inverse-gamma(1, 1)"
    assert row["trusted"]


def test_the_findings_are_said_in_words(compared):
    text = "\n".join(compared.sentences)
    assert "posterior sds under inverse_gamma_1" in text
    assert "this answer depends on the prior" in text
    assert "inverse_gamma_1: power-scaling finds prior-data conflict in icc, tau" in text
    assert "not confirmed by a refit" in text
    assert "Power-scaling cannot see a uniform prior" in text


def test_a_choice_whose_fit_failed_is_not_used_in_the_findings(homework, compared):
    fits = dict(compared.fits)
    bad = fits["inverse_gamma_1"].draws.copy()
    bad["sample_stats"]["diverging"].values[:, :50] = True
    fits["inverse_gamma_1"] = Fit(bad, fits["inverse_gamma_1"].record)
    found = sensitivity.compare_fits(compared.choices, fits, homework)
    assert "a diagnostic failed: inverse_gamma_1" in found.sentences[0]
    assert "under mu_wide" in found.sentences[1]
    assert "hardly matters" in found.sentences[1]


def test_densities_of_tau_are_densities(compared):
    for _, part in compared.densities.groupby(["choice", "kind"]):
        area = np.trapezoid(part["density"], part["tau"])
        assert area < 1.01
        if part["kind"].iloc[0] == "posterior":
            assert area > 0.95


def test_prior_observations_have_the_spread_that_the_priors_imply(homework):
    choice = choices.PriorChoice("p", Normal(7, 2), HalfNormal(3), HalfNormal(4))
    found = prior_predictive.from_choices([choice], homework)
    assert found.table["verdict"].tolist() == ["usable"]
    assert found.draws["value"].std() == pytest.approx(np.sqrt(4 + 9 + 16), rel=0.05)
    assert found.sentences == ()


def test_priors_too_vague_to_draw_are_named_instead(homework, named):
    found = prior_predictive.from_choices(list(named.values()), homework)
    verdict = found.table.set_index("source")["verdict"]
    assert verdict["base"] == "vague"
    assert verdict["inverse_gamma_0.01"] == "overflow"
    assert verdict["weak"] == "usable"
    assert set(found.draws["source"]) == {"weak", "hoff"}
    vague, boundless = found.sentences
    assert vague.startswith("Too vague to draw: base;")
    assert boundless.startswith("Nothing to draw: inverse_gamma_0.01.")


def test_figures_are_drawn_with_odd_labels_and_many_groups(tmp_path, homework, compared):
    from partialpool import plots
    from partialpool.plots import sensitivity as figures

    theta = compared.estimates[compared.estimates["quantity"] == "theta"]
    copies = [theta.assign(group=theta["group"] + f" $x_{{{k}}}$ <{k}>") for k in range(3)]
    many = pd.concat(copies)
    assert figures.theta_by_choice(many).data["group"].nunique() == 8
    few = many[many["group"].isin(many["group"].unique()[::11])]
    figure = figures.prior_sensitivity(compared.densities, few, axis_title=homework.axis_title)
    assert min(plots.save(figure, tmp_path / "both")) > 700


def test_refits_hit_the_exact_posterior_and_confirm_what_is_flagged(homework, priors, cmdstan):
    chosen = sensitivity.choose(
        ["inverse_gamma_0.01", "hoff", "other: tau=half_t(3, 2), sigma=exponential(0.2)"],
        homework,
        priors,
    )
    found = sensitivity.compare_priors(
        homework,
        priors=priors,
        choices=chosen,
        settings=Settings(draws=1000),
        cmdstan=cmdstan,
    )
    assert found.summary["trusted"].all()
    for choice in chosen:
        fit = found.fits[choice.name]
        lprior = choice.log_density(*(fit.posterior[name] for name in ("mu", "tau", "sigma")))
        kept = fit.draws["log_prior"].to_dataset().to_dataarray().sum("variable")
        np.testing.assert_allclose(kept, lprior, atol=1e-10)
        truth = exact.hierarchical(
            homework.stats, mu=choice.mu, tau=choice.tau, sigma=choice.sigma
        ).coarse
        own = found.estimates[found.estimates["choice"] == choice.name]
        mean, mcse = (own.set_index(["quantity", "group"])[name] for name in ("mean", "mcse"))
        assert abs(mean["mu", ""] - truth.mu.mean) < 5 * mcse["mu", ""]
        assert abs(mean["tau", ""] - truth.tau.scale_mean(1)) < 5 * mcse["tau", ""]
        assert abs(mean["theta", "5"] - truth.theta(4).mean) < 5 * mcse["theta", "5"]
    flagged = found.power[found.power["choice"] == "inverse_gamma_0.01"].set_index("quantity")
    assert flagged.loc["tau", "diagnosis"] == power_scaling.CONFLICT
    assert flagged.loc["tau", "confirmed"]
    assert flagged.loc["tau", "refit_prior"] == pytest.approx(flagged.loc["tau", "prior"], rel=0.5)


def test_programs_are_run_without_their_likelihood(homework, cmdstan):
    program = programs.load("hierarchical_noncentered")
    settings = Settings(draws=500)
    weak = NORMAL.default_priors(homework.stats)
    found = prior_predictive.from_programs(
        [program], homework, priors=weak, settings=settings, cmdstan=cmdstan
    )
    assert found.table["verdict"].tolist() == ["usable"]
    # tau is half-t(3, 0, s) and sigma uniform to 10 s: sqrt(2.5^2 + 3 + 10^2 / 3) sds s
    expected = homework.stats.total_sd * np.sqrt(2.5**2 + 3 + 100 / 3)
    assert found.draws["value"].std() == pytest.approx(expected, rel=0.15)
    lesson = prior_predictive.from_programs(
        [program],
        homework,
        priors=priors_for(homework),
        settings=settings,
        cmdstan=cmdstan,
    )
    assert lesson.draws.empty
    assert "Too vague to draw" in lesson.sentences[-1]


@pytest.mark.stan
def test_a_program_without_the_switches_is_refused(homework, priors):
    with pytest.raises(InputError, match="need the input prior_only and y_rep or y_new"):
        prior_predictive.from_programs([programs.load("sensitivity")], homework, priors=priors)
