"""Choices of priors where groups have their own variances, or tails are heavier than normal.

The degrees of freedom that say how alike the variances are, and how heavy the tails, have a gamma
prior. Gamma(2, 0.1) is that of Juárez and Steel (2010, *Journal of Business & Economic Statistics*
28, 52-66) for Student-t models: most of it lies between 2 and 50.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from partialpool.priors.choices import PriorChoice
from partialpool.priors.distributions import (
    Prior,
    ScalePrior,
    build,
    parse_location_prior,
    parse_scale_prior,
    split_call,
)
from partialpool.types import FloatArray


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma prior of a positive number, with mean `shape` / `rate`."""

    shape: float
    rate: float

    family: ClassVar[str] = "gamma"
    title: ClassVar[str] = "gamma"

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x` above 0, with its constant."""
        x = np.asarray(x, dtype=float)
        constant = self.shape * np.log(self.rate) - special.gammaln(self.shape)
        return np.asarray(constant + (self.shape - 1) * np.log(x) - self.rate * x)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`."""
        return np.asarray(special.gammainc(self.shape, self.rate * np.maximum(x, 0.0)))

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the share `p` lies."""
        return np.asarray(special.gammaincinv(self.shape, np.asarray(p)) / self.rate, dtype=float)


def parse_gamma(text: str) -> Gamma:
    """Read a prior such as ``gamma(2, 0.1)``.

    Raises
    ------
    InputError
        Another family, another number of settings, or one out of range.
    """
    _, settings = split_call(text, [Gamma])
    return build(text, Gamma, settings)


def degrees_inputs(name: str, prior: Gamma) -> dict[str, float]:
    """Inputs of a program that give degrees of freedom their prior."""
    return {f"{name}_shape": prior.shape, f"{name}_rate": prior.rate}


@dataclass(frozen=True)
class OwnSpreadChoice(PriorChoice):
    """Priors of a hierarchical model in which each group has a variance of its own.

    Attributes
    ----------
    sigma0
        Prior of the typical sd within groups, in the unit of the data.
    nu0
        Prior of how alike the variances are, in degrees of freedom.
    """

    sigma0: ScalePrior = field(kw_only=True)
    nu0: Gamma = field(kw_only=True)

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        "mu": parse_location_prior,
        "tau": parse_scale_prior,
        "sigma0": parse_scale_prior,
        "nu0": parse_gamma,
    }
    usage = (
        "[NAME:] tau=half_cauchy(5), sigma0=half_normal(10), nu0=gamma(2, 0.1), mu=normal(20, 9)"
    )
    free_of_unit: ClassVar[tuple[str, ...]] = ("nu0",)

    @property
    def priors(self) -> dict[str, Any]:
        """Parameter to its prior."""
        return {"mu": self.mu, "tau": self.tau, "sigma0": self.sigma0, "nu0": self.nu0}

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        sds = PriorChoice(self.name, self.mu, self.tau, self.sigma0).inputs()
        renamed = {name.replace("sigma_", "sigma0_"): value for name, value in sds.items()}
        return {**renamed, **degrees_inputs("nu0", self.nu0)}


@dataclass(frozen=True)
class Fixed(Prior):
    """A positive number that is known."""

    value: float

    family: ClassVar[str] = "fixed"
    title: ClassVar[str] = "fixed"

    def describe(self, parameter: str) -> str:
        """Say what it is, for example ``nu = 4``."""
        return f"{parameter} = {self._settings()}"

    def log_density(self, x: ArrayLike) -> FloatArray:
        """0: there is nothing to learn."""
        return np.zeros_like(np.asarray(x, dtype=float))

    def cdf(self, x: ArrayLike) -> FloatArray:
        """1 from the value on."""
        return np.asarray(np.asarray(x, dtype=float) >= self.value, dtype=float)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """The value, whatever the share."""
        return np.full_like(np.asarray(p, dtype=float), self.value)


def parse_degrees(text: str) -> Gamma | Fixed:
    """Read a prior of degrees of freedom: ``gamma(2, 0.1)``, or ``fixed(4)`` where they are known.

    Raises
    ------
    InputError
        Another family, another number of settings, or one out of range.
    """
    family, settings = split_call(text, [Gamma, Fixed])
    if family == Gamma.family:
        return build(text, Gamma, settings)
    return build(text, Fixed, settings)


LEARNT = Gamma(2, 0.1)
"""Prior of degrees of freedom that are learnt."""


@dataclass(frozen=True)
class StudentTChoice(PriorChoice):
    """Priors of a hierarchical model with a Student t in it.

    Attributes
    ----------
    nu
        Prior of its degrees of freedom, or what they are.
    """

    nu: Gamma | Fixed = field(kw_only=True)

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        **PriorChoice.parsers,
        "nu": parse_degrees,
    }
    usage = "[NAME:] tau=half_cauchy(5), nu=gamma(2, 0.1), mu=normal(20, 10)"
    free_of_unit: ClassVar[tuple[str, ...]] = ("nu",)

    @property
    def priors(self) -> dict[str, Any]:
        """Parameter to its prior."""
        return {**super().priors, "nu": self.nu}

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        sds = PriorChoice(self.name, self.mu, self.tau, self.sigma).inputs()
        if isinstance(self.nu, Fixed):
            return {**sds, "nu_fixed": self.nu.value, **degrees_inputs("nu", LEARNT)}
        return {**sds, "nu_fixed": 0.0, **degrees_inputs("nu", self.nu)}
