"""Log densities of the shipped models in SciPy, and those that Stan computes, to hold together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cmdstanpy import CmdStanModel
from numpy.typing import NDArray
from scipy import stats

from partialpool.data import GroupedData

Values = Mapping[str, Any]


def complete_pooling(values: Values, data: GroupedData, prior: Values) -> float:
    return _means_and_variances(values, prior) + _normal(data, values["theta"], values["sigma2"])


def no_pooling(values: Values, data: GroupedData, prior: Values) -> float:
    theta, sigma2 = (np.asarray(values[name])[data.group] for name in ("theta", "sigma2"))
    return _means_and_variances(values, prior) + _normal(data, theta, sigma2)


def hierarchical_centered(values: Values, data: GroupedData, prior: Values) -> float:
    theta = np.asarray(values["theta"])
    groups = stats.norm.logpdf(theta, values["mu"], values["tau"]).sum()
    return _population(values, prior) + groups + _normal(data, theta[data.group], _variance(values))


def hierarchical_noncentered(values: Values, data: GroupedData, prior: Values) -> float:
    eta = np.asarray(values["eta"])
    theta = values["mu"] + values["tau"] * eta
    groups = stats.norm.logpdf(eta).sum()
    return _population(values, prior) + groups + _normal(data, theta[data.group], _variance(values))


def hierarchical_marginal(values: Values, data: GroupedData, prior: Values) -> float:
    """The observations are one multivariate normal when mu and theta are integrated out.

    The program samples s where tau = se ((1 + s^4)^(1/4) - 1), se^2 being the mean square of all
    observations about the mean of the group means, by the harmonic mean of the group sizes.
    """
    square = ((data.y - data.stats.mean.mean()) ** 2).mean()
    se = math.sqrt(square * (1 / data.stats.n).mean())
    stretched = float(values["tau_stretched"])
    slope = (stretched / (1 + stretched**4) ** 0.25) ** 3
    values = {**values, "tau": se * ((1 + stretched**4) ** 0.25 - 1)}
    covariance = _covariance(values, data) + prior["mu_scale"] ** 2
    mean = np.full(data.stats.N, prior["mu_location"])
    bounds = -math.log(prior["tau_upper"]) - math.log(prior["sigma_upper"])
    density = float(stats.multivariate_normal.logpdf(data.y, mean, covariance))
    return bounds + density + math.log(slope)


def sensitivity(values: Values, data: GroupedData, prior: Values) -> float:
    """Theta is integrated out here, and mu is a parameter."""
    total = float(stats.norm.logpdf(values["mu"], prior["mu_location"], prior["mu_scale"]))
    for name in ("tau", "sigma"):
        total += sd_prior(values[name], prior[f"{name}_family"], *prior[f"{name}_prior"])
    mean = np.full(data.stats.N, values["mu"])
    density = stats.multivariate_normal.logpdf(data.y, mean, _covariance(values, data))
    return prior["prior_power"] * total + float(density)


def sd_prior(x: float, family: int, a: float, b: float) -> float:
    """Log density of an sd, by the number that the program `sensitivity` gives the family."""
    if family == 6:
        return float(stats.invgamma.logpdf(x**2, a, scale=b)) + math.log(2 * x)
    folded_at_zero = {2: stats.norm(scale=a), 3: stats.cauchy(scale=a), 4: stats.t(a, scale=b)}
    if family in folded_at_zero:
        return math.log(2) + float(folded_at_zero[family].logpdf(x))
    whole = {1: stats.uniform(0, a), 5: stats.expon(scale=1 / a)}
    return float(whole[family].logpdf(x))


def stan_log_density(
    executable: Path, inputs: Values, points: Sequence[Values]
) -> NDArray[np.float64]:
    """Log density of a compiled program at points of its parameters, without Stan's Jacobian."""
    model = CmdStanModel(exe_file=str(executable))
    plain = {name: np.asarray(value).tolist() for name, value in inputs.items()}
    found = [
        model.log_prob(
            {name: np.asarray(value).tolist() for name, value in point.items()},
            plain,
            jacobian=False,
            sig_figs=17,
        )["lp__"].iloc[0]
        for point in points
    ]
    return np.array(found, dtype=np.float64)


def _means_and_variances(values: Values, prior: Values) -> float:
    theta = stats.norm.logpdf(values["theta"], prior["theta_location"], prior["theta_scale"])
    shape, scale = prior["sigma2_shape"], prior["sigma2_scale"]
    sigma2 = stats.invgamma.logpdf(values["sigma2"], shape, scale=scale)
    return float(np.sum(theta) + np.sum(sigma2))


def _population(values: Values, prior: Values) -> float:
    mu = stats.norm.logpdf(values["mu"], prior["mu_location"], prior["mu_scale"])
    return float(mu) - math.log(prior["tau_upper"]) - math.log(prior["sigma_upper"])


def _variance(values: Values) -> float:
    return float(values["sigma"] ** 2)


def _normal(data: GroupedData, mean: Any, variance: Any) -> float:
    return float(stats.norm.logpdf(data.y, mean, np.sqrt(variance)).sum())


def _covariance(values: Values, data: GroupedData) -> NDArray[np.float64]:
    """Covariance of the observations about mu."""
    same_group = data.group[:, None] == data.group
    found: NDArray[np.float64] = values["tau"] ** 2 * same_group + _variance(values) * np.eye(
        data.stats.N
    )
    return found
