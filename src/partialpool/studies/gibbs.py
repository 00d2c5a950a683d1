"""A Gibbs sampler for the hierarchical model with inverse-gamma priors on both variances.

Model: y_ij ~ N(theta_j, sigma2), theta_j ~ N(mu, tau2), mu ~ N(m, s^2), tau2 ~ IG(a, b),
sigma2 ~ IG(c, d). Every full conditional is a standard distribution (Hoff, *A First Course in
Bayesian Statistical Methods*, 2009, section 8.3.2; Gelman et al., *Bayesian Data Analysis*,
3rd ed., 2013, section 11.6, has the same under flat priors). With group sizes n_j, group means
ybar_j, sum of squares within groups ss, and N = sum n_j,

- theta_j | rest ~ N(v_j (n_j ybar_j / sigma2 + mu / tau2), v_j), v_j = 1/(n_j/sigma2 + 1/tau2),
- mu | rest ~ N(u (sum theta_j / tau2 + m / s^2), u), u = 1/(J/tau2 + 1/s^2),
- tau2 | rest ~ IG(a + J/2, b + sum (theta_j - mu)^2 / 2),
- sigma2 | rest ~ IG(c + N/2, d + (ss + sum n_j (ybar_j - theta_j)^2) / 2).

The priors of tau2 and sigma2 matter: with IG(0.01, 0.01) on tau2 the posterior depends on that
choice when groups are few (Gelman, 2006, Bayesian Analysis 1(3)).
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from partialpool.errors import InputError
from partialpool.families.exact.statistics import check_statistics
from partialpool.families.moments import GroupStats
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.types import FloatArray


def gibbs(
    stats: GroupStats,
    *,
    mu: Normal,
    tau: InverseGammaVariance,
    sigma: InverseGammaVariance,
    rng: np.random.Generator,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
) -> dict[str, FloatArray]:
    """Sample the hierarchical model by cycling through its full conditionals.

    Parameters
    ----------
    stats
        Sufficient statistics by group.
    mu, tau, sigma
        Priors of the mean of the group means and of the two variances.
    rng
        Source of randomness; the same state gives the same draws.
    chains
        Chains, run side by side from overdispersed starts.
    warmup
        Cycles left out at the start of each chain.
    draws
        Cycles kept of each chain.

    Returns
    -------
    dict
        `mu`, `tau`, `sigma`, `tau2`, `sigma2`, each shape (chains, draws), and `theta`, shape
        (chains, draws, J), in the unit of the data (`tau2`, `sigma2`: squared).

    Raises
    ------
    InputError
        Statistics that no data can have, a prior of another family, or no draws asked for.
    """
    check_statistics(stats)
    _check_request(tau, sigma, chains, warmup, draws)
    n, means = np.asarray(stats.n, dtype=float), np.asarray(stats.mean, dtype=float)
    ss, total, groups = float(np.sum(stats.ss)), float(n.sum()), n.size
    origin = float(means[0])
    means, prior_mean, prior_precision = means - origin, mu.location - origin, mu.scale**-2

    # Standard draws are taken in advance: what is left in the loop is arithmetic.
    cycles = warmup + draws
    z_theta = rng.standard_normal((cycles, chains, groups))
    z_mu = rng.standard_normal((cycles, chains))
    gamma_tau = rng.standard_gamma(tau.shape + 0.5 * groups, (cycles, chains))
    gamma_sigma = rng.standard_gamma(sigma.shape + 0.5 * total, (cycles, chains))

    theta_now = _starts(n, means, ss, chains, rng)
    mu_now = theta_now.mean(axis=1)
    squares = ((means - theta_now) ** 2) @ n
    sigma2_now = (sigma.scale + 0.5 * (ss + squares)) / (sigma.shape + 0.5 * total)
    theta = np.empty((cycles, chains, groups))
    kept_mu, tau2, sigma2 = (np.empty((cycles, chains)) for _ in range(3))
    for cycle in range(cycles):
        squares = ((theta_now - mu_now[:, None]) ** 2).sum(axis=1)
        tau2_now = _inverse_gamma(tau.scale + 0.5 * squares, gamma_tau[cycle])

        own = n * tau2_now[:, None] / (n * tau2_now[:, None] + sigma2_now[:, None])
        spread = np.sqrt(own * sigma2_now[:, None] / n)
        theta_now = mu_now[:, None] + own * (means - mu_now[:, None]) + spread * z_theta[cycle]

        squares = ((means - theta_now) ** 2) @ n
        sigma2_now = _inverse_gamma(sigma.scale + 0.5 * (ss + squares), gamma_sigma[cycle])

        variance = 1 / (groups / tau2_now + prior_precision)
        center = variance * (theta_now.sum(axis=1) / tau2_now + prior_mean * prior_precision)
        mu_now = center + np.sqrt(variance) * z_mu[cycle]

        theta[cycle], kept_mu[cycle] = theta_now, mu_now
        tau2[cycle], sigma2[cycle] = tau2_now, sigma2_now
    kept = {"mu": kept_mu + origin, "theta": theta + origin, "tau2": tau2, "sigma2": sigma2}
    result = {name: np.swapaxes(values[warmup:], 0, 1).copy() for name, values in kept.items()}
    return result | {"tau": np.sqrt(result["tau2"]), "sigma": np.sqrt(result["sigma2"])}


class ConjugatePriors(TypedDict):
    """Priors that `gibbs` takes, as keyword arguments."""

    mu: Normal
    tau: InverseGammaVariance
    sigma: InverseGammaVariance


def hoff_priors(
    *,
    mu0: float = 7.0,
    gamma0_squared: float = 5.0,
    eta0: float = 2.0,
    tau0_squared: float = 10.0,
    nu0: float = 2.0,
    sigma0_squared: float = 15.0,
) -> ConjugatePriors:
    """Priors in the parameters of Hoff (2009, section 8.3); by default those of exercise 8.3.

    mu ~ N(mu0, gamma0^2), 1/tau2 ~ gamma(eta0/2, eta0 tau0^2 / 2) and
    1/sigma2 ~ gamma(nu0/2, nu0 sigma0^2 / 2).

    Returns
    -------
    dict
        `mu`, `tau` and `sigma`, as `gibbs` and `partialpool.families.exact.hierarchical` take them.
    """
    return {
        "mu": Normal(mu0, gamma0_squared**0.5),
        "tau": InverseGammaVariance.scaled_inverse_chi_square(eta0, tau0_squared),
        "sigma": InverseGammaVariance.scaled_inverse_chi_square(nu0, sigma0_squared),
    }


def _starts(
    n: FloatArray, means: FloatArray, ss: float, chains: int, rng: np.random.Generator
) -> FloatArray:
    """Group means to start from: the data's, blurred more than their posterior, (chains, J)."""
    total_ss = ss + float(n @ (means - np.average(means, weights=n)) ** 2)
    spread = 2 * np.sqrt(total_ss / n.sum())
    return np.asarray(means + spread * rng.standard_normal((chains, n.size)))


def _inverse_gamma(scale: FloatArray, standard_gamma: FloatArray) -> FloatArray:
    """Turn draws of gamma(shape, 1) into draws of IG(shape, scale)."""
    return scale / standard_gamma


def _check_request(
    tau: InverseGammaVariance, sigma: InverseGammaVariance, chains: int, warmup: int, draws: int
) -> None:
    for name, prior in (("tau", tau), ("sigma", sigma)):
        if not isinstance(prior, InverseGammaVariance):
            raise InputError(
                f"The Gibbs sampler needs an inverse-gamma prior of {name}^2, not {prior}: "
                f"its full conditional is no standard distribution otherwise."
            )
    if chains < 1 or draws < 1 or warmup < 0:
        raise InputError(
            f"The Gibbs sampler was asked for {chains} chains of {draws} draws after {warmup} "
            "of warmup; it needs at least one chain of one draw, and no negative warmup."
        )
