"""Student-t populations: eight schools by another quadrature, limits, outliers and settings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from partialpool.api import compare
from partialpool.data import GroupedData, from_values
from partialpool.data.grouped import from_estimates
from partialpool.errors import InputError
from partialpool.families import STUDENT_T_EFFECTS, STUDENT_T_MEANS
from partialpool.families.exact.tabled import TabledPosterior
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfT, Normal
from partialpool.priors.choices import parse_choice
from partialpool.priors.spreads import Fixed, Gamma, StudentTChoice

Y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SE = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def schools(first: float = 28.0) -> GroupedData:
    """Rubin (1981), with an effect of the first school to be chosen."""
    y = np.array([first, *Y[1:]])
    return from_estimates(list("ABCDEFGH"), y, SE, name="schools").modelled(population="student_t")


def exact(data: GroupedData, **overrides: float) -> tuple[TabledPosterior, pd.DataFrame]:
    priors = priors_for(data, overrides)
    found = data.family.exact_posterior("hierarchical_marginal", data.stats, priors)
    assert isinstance(found, TabledPosterior)
    return found, found.summary().set_index(["parameter", "group"])


def test_eight_schools_agree_with_a_quadrature_over_scales() -> None:
    """The population as a mixture of normals: sums over mu, log tau and log scale, nu being 4.

    Given a scale, y_j is normal(mu, sqrt(tau^2 scale^2 + se_j^2)), and theta_j is between the two.
    """
    choice = StudentTChoice("mine", Normal(8, 50), HalfT(3, 20), nu=Fixed(4))
    posterior = STUDENT_T_EFFECTS.exact_alternative(choice, schools().stats)
    found = posterior.summary().set_index(["parameter", "group"])
    mu = np.linspace(-45, 60, 211)[:, None, None]
    log_tau = np.linspace(math.log(1e-3), math.log(400), 140)[None, :, None]
    log_scale = np.linspace(-2, 7, 181)
    tau, scale = np.exp(log_tau), np.exp(log_scale)
    of_scale = stats.gamma.pdf(scale**-2, 2, scale=0.5) * scale**-2
    log = stats.norm.logpdf(mu, 8, 50) + stats.t.logpdf(tau, 3, scale=20) + log_tau
    log = log[..., 0]
    within = []
    for y, se in zip(Y, SE, strict=True):
        variance = (tau * scale) ** 2 + se**2
        joint = of_scale * stats.norm.pdf(y, mu, np.sqrt(variance))
        own = (joint * (y + se**2 / variance * (mu - y))).sum(axis=2)
        total = joint.sum(axis=2)
        log = log + np.log(total)
        within.append(own / total)
    weights = special.softmax(log)
    for j, label in enumerate("ABCDEFGH"):
        mean = float((weights * within[j]).sum())
        sd = found.loc[("theta", label), "sd"]
        assert found.loc[("theta", label), "mean"] == pytest.approx(mean, abs=3e-3 * sd)
    for name, value in (("mu", mu[..., 0]), ("tau", tau[..., 0])):
        mean, sd = float((weights * value).sum()), found.loc[(name, ""), "sd"]
        assert found.loc[(name, ""), "mean"] == pytest.approx(mean, abs=5e-3 * sd)
    assert ("nu", "") not in found.index


def test_many_degrees_of_freedom_are_a_normal_population() -> None:
    data = schools()
    posterior, found = exact(data, nu_fixed=1e6)
    usual = STUDENT_T_EFFECTS.usual_posterior(data.stats, priors_for(data))
    known = usual.summary().set_index(["parameter", "group"])
    for label in data.labels:
        sd = known.loc[("theta", label), "sd"]
        for name in ("mean", "q2.5", "q97.5"):
            apart = found.loc[("theta", label), name] - known.loc[("theta", label), name]
            assert abs(apart) < 0.01 * sd
    assert posterior.leave_one_out() == pytest.approx(usual.leave_one_out(), abs=2e-3)
    assert posterior.leave_one_out_cdf() == pytest.approx(usual.leave_one_out_cdf(), abs=2e-3)
    evidence = usual.log_marginal_likelihood
    assert posterior.log_marginal_likelihood == pytest.approx(evidence, abs=2e-3)


def test_an_effect_far_out_is_pulled_less_and_has_a_large_scale() -> None:
    data = schools(first=150.0)
    _, found = exact(data)
    usual = STUDENT_T_EFFECTS.usual_posterior(data.stats, priors_for(data)).summary()
    known = usual.set_index(["parameter", "group"])
    assert found.loc[("theta", "A"), "mean"] > known.loc[("theta", "A"), "mean"] + 3
    assert found.loc[("scale", "A"), "q25"] > 1.2
    assert found.loc[("scale", "A"), "median"] > 2
    assert found.loc[("scale", "B"), "q2.5"] < 1 < found.loc[("scale", "B"), "q97.5"]
    rest = list("BCDEFGH")
    spread = [t.loc[[("theta", g) for g in rest], "mean"].std() for t in (found, known)]
    assert spread[0] < spread[1]  # tau no longer has to make room for it


def test_means_of_observations_have_the_same_population() -> None:
    """Many observations a group, so that sigma is known: estimates with known errors."""
    rng = np.random.default_rng(4)
    se = np.array([0.5, 0.7, 0.4, 0.6, 0.5])
    centers = np.array([3.0, 4.0, 3.5, 9.0, 3.2])
    labels, values = [], []
    for j, (center, error) in enumerate(zip(centers, se, strict=True)):
        n = round((20 / error) ** 2)
        z = rng.normal(size=n)
        z = (z - z.mean()) / z.std()
        labels += [f"g{j}"] * n
        values += (center + 20 * z).tolist()
    means = from_values(labels, np.array(values)).modelled(population="student_t")
    choice = StudentTChoice("mine", Normal(4, 20), HalfT(3, 5), nu=Gamma(2, 0.1))
    errors = 20 / np.sqrt(means.stats.n)
    effects = from_estimates(list(means.labels), means.stats.mean, errors, name="effects")
    sigma = STUDENT_T_MEANS.base_choice(priors_for(means)).sigma
    observed = StudentTChoice("mine", choice.mu, choice.tau, sigma, nu=choice.nu)
    one = STUDENT_T_MEANS.exact_alternative(observed, means.stats).summary()
    two = STUDENT_T_EFFECTS.exact_alternative(choice, effects.stats).summary()
    first, second = (table.set_index(["parameter", "group"]) for table in (one, two))
    for at in [("mu", ""), ("tau", ""), ("nu", ""), *(("theta", g) for g in means.labels)]:
        for name in ("q2.5", "median", "q97.5"):
            sd = second.loc[at, "q97.5"] - second.loc[at, "q2.5"]
            assert first.loc[at, name] == pytest.approx(second.loc[at, name], abs=0.02 * sd)


# Settings


def test_degrees_of_freedom_are_set_or_learnt() -> None:
    data = schools()
    fixed = priors_for(data, {"nu_fixed": 4})
    assert "nu_shape" not in fixed.values
    assert STUDENT_T_EFFECTS.base_choice(fixed).nu == Fixed(4)
    learnt = STUDENT_T_EFFECTS.base_choice(priors_for(data))
    assert learnt.nu == Gamma(2, 0.1)
    assert learnt.inputs()["nu_fixed"] == 0
    assert STUDENT_T_EFFECTS.base_choice(fixed).inputs()["nu_fixed"] == 4
    with pytest.raises(InputError, match="nu_fixed = 0: it must be above zero"):
        priors_for(data, {"nu_fixed": 0})
    with pytest.raises(InputError, match="give one of them"):
        priors_for(data, {"nu_fixed": 4, "nu_rate": 0.2})


def test_priors_of_nu_are_read_and_written() -> None:
    data = schools()
    named = STUDENT_T_EFFECTS.named_choices(data.stats, priors_for(data))
    mine = parse_choice("mine: nu=fixed(3)", named)
    assert mine.describe().endswith("nu = 3")
    assert {"nu_4", "nu_wide"} <= set(named)
    again = STUDENT_T_EFFECTS.named_choices(data.stats, priors_for(data, {"nu_fixed": 4}))
    assert "nu_4" not in again  # it is the base
    with pytest.raises(InputError, match="fixed"):
        parse_choice("nu=half_normal(3)", named)


def test_what_is_not_there_is_refused_with_what_there_is() -> None:
    data = schools()
    with pytest.raises(InputError, match="--population cauchy: .*normal, student_t"):
        data.modelled(population="cauchy")
    rows = from_values(list("aabb"), np.array([1.0, 2, 3, 5]))
    with pytest.raises(InputError, match="no model of both"):
        rows.modelled(population="student_t", spread="own")


@pytest.mark.stan
def test_a_report_names_the_school_that_stands_out(cmdstan: object) -> None:
    from partialpool.report import outliers, own_spreads

    frame = pd.DataFrame({"school": list("ABCDEFGH"), "effect": [150.0, *Y[1:]], "se": SE})
    columns = {"group": "school", "estimate": "effect", "se": "se", "group_label": "School"}
    result = compare.compare(frame, **columns, population="student_t", seed=3)  # type: ignore[arg-type]
    comparison = result.comparison
    [nu, far] = outliers.lines(comparison)
    assert nu.startswith("The degrees of freedom of the population")
    assert far.startswith("School A stands out")
    [usual] = own_spreads.against_usual(comparison)
    assert "better than with a normal population" in usual
    assert "The choice matters most for school" in usual
    ordinary = frame.assign(effect=Y)
    result = compare.compare(ordinary, **columns, population="student_t", seed=3)  # type: ignore[arg-type]
    assert outliers.lines(result.comparison)[1].startswith("No school stands out")
