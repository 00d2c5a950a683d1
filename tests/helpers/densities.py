"""Log densities of the shipped models in SciPy, and those that Stan computes, to hold together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cmdstanpy import CmdStanModel
from numpy.typing import NDArray
from scipy import integrate, optimize, special, stats

from partialpool.data import GroupedData
from partialpool.families.linked.family import LinkedFamily
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.fitting import Fit
from partialpool.priors.choices import Choice, PriorChoice
from partialpool.tables import variables

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
    """The observations are one multivariate normal when mu and theta are integrated out."""
    at, slopes = _stretched(values, data, prior, tau_small=True, of_tau=0.7)
    bounds = -math.log(prior["tau_upper"]) - math.log(prior["sigma_upper"])
    return bounds + slopes + _all_at_once(at, data, prior["mu_location"], prior["mu_scale"])


def sensitivity(values: Values, data: GroupedData, prior: Values) -> float:
    """As above; a normal density to some power is that of a smaller or larger sd."""
    at, total = _stretched(values, data, prior, tau_small=prior["tau_family"] != 6)
    for name in ("tau", "sigma"):
        density = sd_prior(at[name], prior[f"{name}_family"], *prior[f"{name}_prior"])
        total += prior["prior_power"] * density
    mu_sd = prior["mu_scale"] / math.sqrt(prior["prior_power"])
    return total + _all_at_once(at, data, prior["mu_location"], mu_sd)


def stretched(u: complex, scale: float, small: float, bound: float) -> complex:
    """Sd that the marginal programs have a real number stand for: see `sd_jacobian` in them."""
    x = scale * np.exp(2 * np.arcsinh(u)) * np.sqrt(1 + u**2)
    y = x / (1 + (small / x) ** 3)
    return complex(y / np.sqrt(1 + (y / bound) ** 2))


def _stretched(
    values: Values, data: GroupedData, prior: Values, *, tau_small: bool, of_tau: float = 1.0
) -> tuple[dict[str, float], float]:
    """Tau and sigma, and the log of their derivatives, by steps into the complex plane."""
    of = data.stats
    sigma = math.sqrt(of.ss.sum() / (of.N - of.J))
    se = sigma * math.sqrt((1 / of.n).mean())
    resolved = se * of.J**-0.25
    tau = of_tau * max(resolved, math.sqrt(max(0.0, float(np.var(of.mean)) - se**2)))
    found, slopes = {}, 0.0
    for name, scale, small in (("tau", tau, resolved if tau_small else 0.0), ("sigma", sigma, 0.0)):
        u = float(values[f"{name}_stretched"])
        at = stretched(complex(u, 1e-30), scale, small, prior[f"{name}_upper"])
        found[name] = at.real
        slopes += math.log(at.imag / 1e-30)
    return found, slopes


def _all_at_once(at: Values, data: GroupedData, mu_location: float, mu_sd: float) -> float:
    """Log density of the observations, a normal mu integrated out."""
    mean = np.full(data.stats.N, mu_location)
    covariance = _covariance(at, data) + mu_sd**2
    return float(stats.multivariate_normal.logpdf(data.y, mean, covariance))


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
    executable: Path, inputs: Values, points: Sequence[Values], *, jacobian: bool = False
) -> NDArray[np.float64]:
    """Log density of a compiled program at points of its parameters.

    With `jacobian`, it counts what the program itself adds for what stands for its parameters,
    and what Stan adds for bounds.
    """
    model = CmdStanModel(exe_file=str(executable))
    plain = {name: np.asarray(value).tolist() for name, value in inputs.items()}
    found = [
        model.log_prob(
            {name: np.asarray(value).tolist() for name, value in point.items()},
            plain,
            jacobian=jacobian,
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


def log_joint(fit: Fit, data: GroupedData, choice: Any) -> NDArray[np.float64]:
    """Log density of a shipped program of any family at the draws of a fit, up to a constant.

    It is put together from what the family says in Python: the prior of `choice`, the population,
    and the likelihood, of which whatever the program does not sample is integrated out. What stands
    for an sd counts as that sd, without the Jacobian. The prior
    of complete and of no pooling is taken from the fit.

    Returns
    -------
    array
        Shape (draws,), by chain.
    """
    sampled, family, groups = set(fit.record.parameters or ()), data.family, data.stats
    error_sd = variables.error_sd(fit, data)
    assert error_sd is not None or fit.pooling != "partial"
    if fit.pooling != "partial":
        theta = variables.theta(fit, data)
        assert theta is not None
        prior = fit.draws["log_prior"]["lprior"].transpose("chain", "draw").to_numpy()
        inside = of_slopes_within(fit, data, error_sd)
        return np.ravel(prior + family.log_likelihood(groups, theta, error_sd) + inside)
    tau, mu = (fit.posterior[name].transpose("chain", "draw").to_numpy() for name in ("tau", "mu"))
    if choice.free_of_unit:
        return np.ravel(_of_wider(fit, data, choice))
    if not family.gaussian:
        return np.ravel(_of_counts(fit, data, choice, mu, tau, error_sd))
    total = choice.tau.log_density(tau)
    if choice.sigma is not None:
        total = total + choice.sigma.log_density(error_sd[0])
    if "mu" in sampled:
        total = total + choice.mu.log_density(mu) + of_slopes(fit, data, choice)
        if not sampled & {"theta", "eta"}:
            return np.ravel(total + family.log_marginal(groups, mu, tau, error_sd).sum(axis=0))
        theta = fit.posterior["theta"].transpose("group", "chain", "draw").to_numpy()
        z = (theta - variables.center(fit, data)) / tau
        population = stats.norm.logpdf(z) - (0 if "eta" in sampled else np.log(tau))
        inside = of_slopes_within(fit, data, error_sd)
        likelihood = family.log_likelihood(groups, theta, error_sd)
        return np.ravel(total + population.sum(axis=0) + likelihood + inside)
    if data.stats.covariates is not None:
        sds = np.broadcast_to(error_sd[0], tau.shape).ravel()
        return np.ravel(total) + _integral_over_line(data, choice, tau.ravel(), sds)
    sd = np.broadcast_to(error_sd[0], tau.shape)
    integrals = [
        _integral_over_mu(data, choice, float(t), float(s))
        for t, s in zip(tau.ravel(), sd.ravel(), strict=True)
    ]
    return np.ravel(total) + np.array(integrals)


def log_prior(fit: Fit, choice: Any, mu: Any, tau: Any, sigma: Any) -> Any:
    """Joint log density of the priors of a hierarchical program at the draws of a fit."""
    if not choice.free_of_unit:
        return choice.log_density(mu, tau, sigma)
    at = {name: fit.posterior[name].transpose("chain", "draw") for name in choice.priors}
    return sum(prior.log_density(at[name].to_numpy()) for name, prior in choice.priors.items())


def _of_wider(fit: Fit, data: GroupedData, choice: Any) -> Any:
    """Log density where variances differ or tails are heavy: groups one by one, by quadrature."""
    posterior, sampled = fit.posterior, set(fit.record.parameters or ())
    at = {name: posterior[name].transpose("chain", "draw").to_numpy() for name in choice.priors}
    total = log_prior(fit, choice, None, None, None)
    groups = {
        name: posterior[name].transpose("group", "chain", "draw").to_numpy()
        for name in ("theta", "sigma2")
        if name in posterior and "group" in posterior[name].dims
    }
    if data.family.errors_degrees:
        z = (groups["theta"] - at["mu"]) / at["tau"]
        population = stats.norm.logpdf(z) - (0 if "eta" in sampled else np.log(at["tau"]))
        rows = groups["theta"][data.group]
        errors = stats.t.logpdf(data.y[:, None, None], at["nu"], rows, at["sigma"])
        return total + population.sum(axis=0) + errors.sum(axis=0)
    if "nu0" in at and sampled & {"theta", "eta"}:
        half, scale = 0.5 * at["nu0"], 0.5 * at["nu0"] * at["sigma0"] ** 2
        total = total + stats.invgamma.logpdf(groups["sigma2"], half, scale=scale).sum(axis=0)
        z = (groups["theta"] - at["mu"]) / at["tau"]
        population = stats.norm.logpdf(z) - (0 if "eta" in sampled else np.log(at["tau"]))
        sd = np.sqrt(groups["sigma2"])
        return (
            total
            + population.sum(axis=0)
            + data.family.log_likelihood(data.stats, groups["theta"], sd)
        )
    if "nu" in at and sampled & {"theta", "eta"}:
        z = (groups["theta"] - at["mu"]) / at["tau"]
        population = stats.t.logpdf(z, at["nu"]) - (0 if "eta" in sampled else np.log(at["tau"]))
        sd = at.get("sigma", np.ones_like(total))[None]
        return (
            total
            + population.sum(axis=0)
            + data.family.log_likelihood(data.stats, groups["theta"], sd)
        )
    group = _own_variance_group if "nu0" in at else _student_t_group
    found = np.zeros_like(total)
    for index in np.ndindex(total.shape):
        one = {name: float(value[index]) for name, value in at.items()}
        found[index] = sum(group(data, j, one) for j in range(data.stats.J))
    return total + found


def _student_t_group(data: GroupedData, j: int, at: Mapping[str, float]) -> float:
    """Log density of a group's data, a Student-t theta out, up to a constant."""
    sd = at.get("sigma", 1.0)
    y, se = float(data.stats.raw[j]), sd / math.sqrt(float(data.stats.weight[j]))
    x = np.linspace(y - 12 * se, y + 12 * se, 4001)
    alone = data.stats.take(np.array([j]))
    log = data.family.log_likelihood(alone, x[None], np.array([[sd]]))
    log = log + stats.t.logpdf((x - at["mu"]) / at["tau"], at["nu"]) - math.log(at["tau"])
    return float(special.logsumexp(log) + math.log(x[1] - x[0]))


def _own_variance_group(data: GroupedData, j: int, at: Mapping[str, float]) -> float:
    """Log density of a group's observations: a normal theta and an inverse-gamma variance out."""
    n, mean, ss = (float(part[j]) for part in (data.stats.n, data.stats.mean, data.stats.ss))
    half, scale = 0.5 * at["nu0"], 0.5 * at["nu0"] * at["sigma0"] ** 2
    v = np.exp(np.linspace(-30, 30, 60_001))
    log = stats.invgamma.logpdf(v, half, scale=scale) + np.log(v)
    log += stats.norm.logpdf(mean, at["mu"], np.sqrt(at["tau"] ** 2 + v / n))
    log -= 0.5 * (n - 1) * np.log(v) + 0.5 * ss / v
    return float(special.logsumexp(log))


def of_slopes(fit: Fit, data: GroupedData, choice: Any) -> Any:
    """Log prior density of the slopes of covariates, where there are some, by draw."""
    covariates, beta = data.stats.covariates, variables.coefficients(fit, data)
    if covariates is None or beta is None:
        return 0.0
    scaled = beta * covariates.spread[:, None, None]
    return stats.norm.logpdf(scaled, choice.beta.location, choice.beta.scale).sum(axis=0)


def of_slopes_within(fit: Fit, data: GroupedData, error_sd: Any) -> Any:
    """What covariates that vary within groups add to the log density of the rows, by draw.

    Slopes that the program does not have are integrated out, row by row.
    """
    found = data.stats.covariates
    if not isinstance(data.stats, AdjustedMeans) or found is None:
        return 0.0
    apart = _design_of_rows(data) - found.design[data.group]
    y, beta = data.y - data.stats.raw[data.group], variables.coefficients(fit, data)
    sd = error_sd[0]
    total = np.zeros(sd.shape)
    for index in np.ndindex(sd.shape):
        variance = float(sd[index]) ** 2
        if beta is not None:
            line = apart[:, 1:] @ (beta[(slice(None), *index)] * found.spread)
            total[index] = ((y**2).sum() - ((y - line) ** 2).sum()) / (2 * variance)
            continue
        x = fit.record.priors["beta_scale"] * apart[:, 1:]
        both = variance * np.eye(len(y)) + x @ x.T
        total[index] = stats.multivariate_normal.logpdf(y, np.zeros(len(y)), both)
        total[index] -= stats.norm.logpdf(y, 0, math.sqrt(variance)).sum()
    return total


def _design_of_rows(data: GroupedData) -> NDArray[np.float64]:
    """Ones and the covariates of each row, in sds from their means."""
    found = data.stats.covariates
    assert found is not None
    if not isinstance(data.stats, AdjustedMeans):
        return found.design[data.group]
    columns = [
        np.array(data.columns[name], dtype=float)
        if name in data.columns
        else (np.array(data.columns[name.split(": ")[0]]) == name.split(": ")[1]).astype(float)
        for name in found.names
    ]
    scaled = (np.column_stack(columns) - found.middle) / found.spread
    return np.column_stack([np.ones(len(scaled)), scaled])


def _integral_over_line(
    data: GroupedData, choice: Any, tau: Any, error_sd: Any
) -> NDArray[np.float64]:
    """Log density of all data given tau and the error's sd, without mu and slopes.

    Each row is one of a multivariate normal; a row that is an estimate has its own error.
    """
    of, x = data.stats, _design_of_rows(data)
    scales = np.array([choice.mu.scale, *[choice.beta.scale] * (x.shape[1] - 1)])
    line = (x * scales**2) @ x.T
    same_group = data.group[:, None] == data.group
    mean = np.full(len(data.y), choice.mu.location)
    row = of.counts[data.group] / of.weight[data.group]
    return np.array(
        [
            stats.multivariate_normal.logpdf(
                data.y, mean, t**2 * same_group + np.diag(s**2 * row) + line, allow_singular=False
            )
            for t, s in zip(tau, error_sd, strict=True)
        ]
    )


def _of_counts(
    fit: Fit, data: GroupedData, choice: Choice, mu: Any, tau: Any, error_sd: Any
) -> Any:
    """Log density where theta is beta or gamma around mu, of mu and of size or shape."""
    if isinstance(data.family, OnALinkedLine):
        return _about_a_line(fit, data, data.family, choice)
    total = choice.log_density(mu, tau, error_sd[0])
    if isinstance(data.family, LinkedFamily):
        return total + _of_linked(fit, data, data.family)
    if data.family.name == "rates":  # which samples mu in place of the size
        total = total + np.log((error_sd[0] / tau) ** 2 / mu)
    if "theta" not in (fit.record.parameters or ()):
        return total + data.family.log_marginal(data.stats, mu, tau, error_sd[0]).sum(axis=0)
    theta = fit.posterior["theta"].transpose("group", "chain", "draw").to_numpy()
    size = (error_sd[0] / tau) ** 2
    if data.family.name == "rates":
        population = stats.gamma.logpdf(theta, mu * size, scale=1 / size).sum(axis=0)
        return total + population + data.family.log_likelihood(data.stats, theta, error_sd)
    population = stats.beta.logpdf(theta, mu * size, (1 - mu) * size).sum(axis=0)
    return total + population + data.family.log_likelihood(data.stats, theta, error_sd)


def _about_a_line(fit: Fit, data: GroupedData, family: OnALinkedLine, choice: Any) -> Any:
    """Log density of logits or logarithms that are normal about a regression line."""
    found = variables.line(fit, data)
    assert found is not None
    line, scale = found
    location = fit.posterior["location"].transpose("chain", "draw").to_numpy()
    total = choice.location.log_density(location) + choice.scale.log_density(scale)
    total = total + of_slopes(fit, data, choice)
    sampled = set(fit.record.parameters or ())
    if not sampled & {"alpha", "eta"}:
        return total + family.log_marginal_about(data.stats, line, scale).sum(axis=0)
    theta = fit.posterior["theta"].transpose("group", "chain", "draw").to_numpy()
    z = (family.likelihood.link.alpha(theta) - line) / scale
    population = stats.norm.logpdf(z) - (0 if "eta" in sampled else np.log(scale))
    likelihood = family.log_likelihood(data.stats, theta, np.ones((1, 1, 1)))
    return total + population.sum(axis=0) + likelihood


def _of_linked(fit: Fit, data: GroupedData, family: LinkedFamily) -> Any:
    """Log density of logits or logarithms that are normal around a location, but for its prior."""
    location, scale = (
        fit.posterior[name].transpose("chain", "draw").to_numpy() for name in ("location", "scale")
    )
    sampled = set(fit.record.parameters or ())
    if not sampled & {"alpha", "eta"}:
        at = family.likelihood.link.moments(location, scale)
        return family.log_marginal(data.stats, *at).sum(axis=0)
    theta = fit.posterior["theta"].transpose("group", "chain", "draw").to_numpy()
    z = (family.likelihood.link.alpha(theta) - location) / scale
    population = stats.norm.logpdf(z) - (0 if "eta" in sampled else np.log(scale))
    return population.sum(axis=0) + family.log_likelihood(data.stats, theta, np.ones((1, 1, 1)))


def _integral_over_mu(data: GroupedData, choice: PriorChoice, tau: float, error_sd: float) -> float:
    """Log of the density of all data given tau and the error's sd, by quadrature over mu."""
    one = np.ones((1, 1))

    def log_density(mu: float) -> float:
        density = data.family.log_marginal(data.stats, mu * one, tau * one, error_sd * one)
        return float(density.sum() + choice.mu.log_density(np.array([mu]))[0])

    spread = float(
        np.hypot(tau, np.ptp(data.stats.raw) + error_sd * data.stats.weight.min() ** -0.5)
    )
    best = optimize.minimize_scalar(
        lambda mu: -log_density(mu),
        bounds=(data.stats.raw.min() - spread, data.stats.raw.max() + spread),
        method="bounded",
        options={"xatol": 1e-8 * spread},
    )
    h = 1e-3 * spread
    bend = (log_density(best.x + h) - 2 * log_density(best.x) + log_density(best.x - h)) / h**2
    sd = (-bend) ** -0.5
    value = integrate.quad(
        lambda z: math.exp(log_density(best.x + sd * z) + best.fun), -9, 9, epsabs=0, epsrel=1e-11
    )[0]
    return float(math.log(sd * value) - best.fun)
