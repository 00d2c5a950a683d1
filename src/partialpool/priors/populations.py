"""Priors of a population of proportions or rates: of its mean, and of its size.

The size of a population of proportions is alpha + beta of its beta distribution: how many trials
the population is worth when it is weighed against a group's own. It is infinite where all groups
are alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from partialpool.errors import InputError
from partialpool.priors.choices import Choice
from partialpool.priors.distributions import Prior, build, plain_number, split_call
from partialpool.types import FloatArray

_MEANS = 400
_NODES = 200


@dataclass(frozen=True)
class Beta(Prior):
    """Beta prior of a probability, worth `alpha` successes and `beta` failures."""

    alpha: float
    beta: float

    family: ClassVar[str] = "beta"
    title: ClassVar[str] = "beta"

    @property
    def mean(self) -> float:
        """Mean of the probability."""
        return self.alpha / (self.alpha + self.beta)

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, with its constant; -inf outside of [0, 1]."""
        x = np.asarray(x, dtype=float)
        constant = float(special.betaln(self.alpha, self.beta))
        inside = (x >= 0) & (x <= 1)
        at = np.where(inside, x, 0.5)
        with np.errstate(divide="ignore"):
            value = special.xlogy(self.alpha - 1, at) + special.xlog1py(self.beta - 1, -at)
        return np.where(inside, value - constant, -np.inf)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`."""
        at = np.clip(np.asarray(x, dtype=float), 0.0, 1.0)
        return np.asarray(special.betainc(self.alpha, self.beta, at), dtype=float)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the share `p` lies."""
        share = np.asarray(p, dtype=float)
        return np.asarray(special.betaincinv(self.alpha, self.beta, share), dtype=float)


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma prior of a number above 0, with shape `alpha` and rate `beta`."""

    alpha: float
    beta: float

    family: ClassVar[str] = "gamma"
    title: ClassVar[str] = "gamma"

    @property
    def mean(self) -> float:
        """Mean."""
        return self.alpha / self.beta

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, with its constant; -inf below 0."""
        x = np.asarray(x, dtype=float)
        constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        at = np.where(x >= 0, x, 1.0)
        value = constant + special.xlogy(self.alpha - 1, at) - self.beta * at
        return np.where(x >= 0, value, -np.inf)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`."""
        at = np.maximum(np.asarray(x, dtype=float), 0.0)
        return np.asarray(special.gammainc(self.alpha, self.beta * at), dtype=float)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the share `p` lies."""
        share = np.asarray(p, dtype=float)
        return np.asarray(special.gammaincinv(self.alpha, share) / self.beta, dtype=float)


@dataclass(frozen=True)
class Power(Prior):
    """Prior of a size with density ~ (size + shift) ** -power above `lower`.

    With a `shift` of 1 and a `power` of 2 the intraclass correlation 1 / (1 + size) is uniform.
    Without a shift it is a Pareto distribution with minimum `lower` and shape `power` - 1. Without
    a minimum either it is no distribution, and may still have a posterior: a `power` of 1.5, with a
    uniform mean, is the density (alpha + beta) ** -2.5 of Gelman et al. (*Bayesian Data Analysis*,
    3rd ed., 2013, section 5.3), uniform in 1 / sqrt(size).
    """

    lower: float
    shift: float
    power: float

    family: ClassVar[str] = "power"
    title: ClassVar[str] = "power"
    may_be_zero: ClassVar[tuple[str, ...]] = ("lower", "shift")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.power <= 1:
            raise InputError(
                f"{self.family}: power is {plain_number(self.power)}; give a number above 1, or "
                "sizes without bound, that is equal groups, have all of the posterior"
            )

    @property
    def is_proper(self) -> bool:
        """Whether it is a distribution."""
        return self.lower + self.shift > 0

    def describe(self, parameter: str) -> str:
        """Density for a reader, for example ``p(size) ∝ (size + 1)^-2``."""
        base = f"({parameter} + {plain_number(self.shift)})" if self.shift else parameter
        above = f" for {parameter} > {plain_number(self.lower)}" if self.lower else ""
        return f"p({parameter}) ∝ {base}^-{plain_number(self.power)}{above}"

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, with its constant where it has one; -inf below `lower`."""
        x = np.asarray(x, dtype=float)
        constant = 0.0
        if self.is_proper:
            constant = math.log(self.power - 1)
            constant += (self.power - 1) * math.log(self.lower + self.shift)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = constant - self.power * np.log(x + self.shift)
        return np.where(x >= self.lower, value, -np.inf)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`.

        Raises
        ------
        InputError
            It is no distribution.
        """
        at = np.maximum(np.asarray(x, dtype=float), self.lower)
        ratio = np.log((self._start + 0.0) / (at + self.shift))
        return np.asarray(-np.expm1((self.power - 1) * ratio))

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the share `p` lies.

        Raises
        ------
        InputError
            It is no distribution.
        """
        tail = np.log1p(-np.asarray(p, dtype=float)) / (1 - self.power)
        with np.errstate(over="ignore"):
            return np.asarray(self.lower + self._start * np.expm1(tail))

    @property
    def _start(self) -> float:
        if not self.is_proper:
            raise InputError(
                f"{self.describe('size')} is no distribution, so nothing can be drawn from it: "
                "give a lower bound or a shift above 0"
            )
        return self.lower + self.shift


def parse_beta(text: str) -> Beta:
    """Read the prior of a probability, for example ``beta(2, 8)``.

    Raises
    ------
    InputError
        As `partialpool.priors.parse_scale_prior` does.
    """
    _, settings = split_call(text, [Beta])
    return build(text, Beta, settings)


def parse_power(text: str) -> Power:
    """Read the prior of a size, for example ``power(0, 1, 2)``.

    Raises
    ------
    InputError
        As `partialpool.priors.parse_scale_prior` does.
    """
    _, settings = split_call(text, [Power])
    return build(text, Power, settings)


def parse_gamma(text: str) -> Gamma:
    """Read the prior of a number above 0, for example ``gamma(1, 0.5)``.

    Raises
    ------
    InputError
        As `partialpool.priors.parse_scale_prior` does.
    """
    _, settings = split_call(text, [Gamma])
    return build(text, Gamma, settings)


@dataclass(frozen=True)
class PopulationChoice(Choice):
    """Priors of a population of proportions under one name.

    Attributes
    ----------
    name
        What tables and figures call it.
    mu
        Prior of the mean of the population.
    size
        Prior of its size.
    """

    mu: Beta
    size: Power

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        "mu": parse_beta,
        "size": parse_power,
    }
    usage = "[NAME:] mu=beta(1, 1), size=power(0, 1, 2)"
    spread = "size"

    @property
    def priors(self) -> dict[str, Beta | Power]:
        """Parameter to its prior."""
        return {"mu": self.mu, "size": self.size}

    def log_density(self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0) -> FloatArray:
        """Joint log density of mu and of the size, (sigma / tau)^2; improper without constant."""
        size = (np.asarray(sigma, dtype=float) / np.asarray(tau, dtype=float)) ** 2
        return self.mu.log_density(mu) + self.size.log_density(size)

    def bears(self, power: float) -> bool:
        """Whether the prior of the size to this power falls fast enough for equal groups."""
        return power * self.size.power > 1

    def icc_density(self, icc: FloatArray) -> FloatArray | None:
        """Prior density of the intraclass correlation, 1 / (1 + size)."""
        if not self.size.is_proper:
            return None
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            density = np.exp(self.size.log_density(1 / icc - 1) - 2 * np.log(icc))
        return np.asarray(np.where((icc > 0) & (icc < 1), density, np.nan))

    def tau_density(self, tau: FloatArray) -> FloatArray | None:
        """Prior density of tau, tau^2 = mu (1 - mu) / (1 + size).

        By Gauss and Legendre's rule over log mu, and log(1 - mu), where the size is within its
        bounds: mu (1 - mu) is at least tau^2 (1 + lower).
        """
        if not self.size.is_proper:
            return None
        node, weight = np.polynomial.legendre.leggauss(_NODES)
        least = tau**2 * (1 + self.size.lower)
        possible = (tau > 0) & (least < 0.25)
        at = np.where(possible, tau, 0.1 / math.sqrt(1 + self.size.lower))
        least = at**2 * (1 + self.size.lower)
        start = np.log(2 * least / (1 + np.sqrt(1 - 4 * least)))
        half = 0.5 * (math.log(0.5) - start)
        mu = np.exp(start + half * (1 + node[:, None]))
        product = mu * (1 - mu)
        of_size = np.exp(self.size.log_density(product / at**2 - 1)) * 2 * product / at**3
        of_mean = np.exp(self.mu.log_density(mu)) + np.exp(self.mu.log_density(1 - mu))
        return np.where(possible, half * (weight @ (of_size * of_mean * mu)), 0.0)

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        return {
            "mu_alpha": self.mu.alpha,
            "mu_beta": self.mu.beta,
            "size_lower": self.size.lower,
            "size_shift": self.size.shift,
            "size_power": self.size.power,
        }


@dataclass(frozen=True)
class RatesChoice(Choice):
    """Priors of a gamma population of rates under one name.

    Attributes
    ----------
    name
        What tables and figures call it.
    shape, size
        Priors of its shape, and of its rate: the exposure that the population is worth to a group.
    """

    shape: Gamma
    size: Gamma

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        "shape": parse_gamma,
        "size": parse_gamma,
    }
    usage = "[NAME:] shape=gamma(1, 1), size=gamma(0.1, 1)"
    spread = "shape"

    @property
    def priors(self) -> dict[str, Gamma]:
        """Parameter to its prior."""
        return {"shape": self.shape, "size": self.size}

    def log_density(self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0) -> FloatArray:
        """Joint log density of shape, mu size, and of size, (sigma / tau)^2."""
        size = (np.asarray(sigma, dtype=float) / np.asarray(tau, dtype=float)) ** 2
        return self.shape.log_density(np.asarray(mu) * size) + self.size.log_density(size)

    def tau_density(self, tau: FloatArray) -> FloatArray:
        """Prior density of tau = sqrt(shape) / size."""
        shape = self.shape.quantile((np.arange(_MEANS) + 0.5) / _MEANS)[:, None]
        at = np.where(tau > 0, tau, np.nan)
        size = np.sqrt(shape) / at
        return np.asarray((np.exp(self.size.log_density(size)) * size / at).mean(axis=0))

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        return {
            "shape_alpha": self.shape.alpha,
            "shape_beta": self.shape.beta,
            "size_alpha": self.size.alpha,
            "size_beta": self.size.beta,
        }
