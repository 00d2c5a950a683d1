"""Prior distributions as values: what they are called, their density, and their text form.

The prior of a standard deviation (tau or sigma) is one of the families in `SCALE_FAMILIES`;
every density here is that of the standard deviation itself, also where the family is stated
on the variance. The prior of a location (mu, or theta under complete and no pooling) is
`Normal`.

Densities, distribution functions and moments are those of Gelman et al., *Bayesian Data
Analysis* (3rd ed., 2013), appendix A; the half families are discussed in Gelman (2006),
"Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1(3).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from partialpool.errors import InputError
from partialpool.types import FloatArray


def plain_number(value: float) -> str:
    """Write a number with all its digits, a whole one without a point."""
    return repr(float(value)).removesuffix(".0")


@dataclass(frozen=True)
class Prior:
    """What every family shares: positive finite settings and the text forms."""

    family: ClassVar[str]
    title: ClassVar[str]
    may_be_zero: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = float(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            unrestricted = field.name == "location"
            low_enough = value < 0 if field.name in self.may_be_zero else value <= 0
            if not math.isfinite(value) or (low_enough and not unrestricted):
                need = "a finite number" if unrestricted else "a finite number above 0"
                if field.name in self.may_be_zero:
                    need = "0, or a finite number above it"
                raise InputError(
                    f"{self.family}: {field.name} is {plain_number(value)}; give {need}, "
                    f"as in {self.usage()}."
                )

    @classmethod
    def usage(cls) -> str:
        """Text form with the names of the settings, for example ``half_t(df, scale)``."""
        return f"{cls.family}({', '.join(field.name for field in fields(cls))})"

    def __str__(self) -> str:
        return f"{self.family}({self._settings()})"

    def describe(self, parameter: str) -> str:
        """Sampling statement for a reader, for example ``tau ~ half-Cauchy(0, 5)``."""
        return f"{self._subject(parameter)} ~ {self.title}({self._arguments()})"

    def _subject(self, parameter: str) -> str:
        return parameter

    def _arguments(self) -> str:
        return self._settings()

    def _settings(self) -> str:
        return ", ".join(plain_number(getattr(self, field.name)) for field in fields(self))


@dataclass(frozen=True)
class Normal(Prior):
    """Normal prior of a location, with mean `location` and standard deviation `scale`."""

    location: float
    scale: float

    family: ClassVar[str] = "normal"
    title: ClassVar[str] = "normal"

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, with its constant."""
        z = (np.asarray(x, dtype=float) - self.location) / self.scale
        return -0.5 * z**2 - math.log(self.scale) - 0.5 * math.log(2 * math.pi)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function at `x`."""
        z = (np.asarray(x, dtype=float) - self.location) / self.scale
        return np.asarray(special.ndtr(z), dtype=float)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the share `p` lies."""
        return self.location + self.scale * np.asarray(special.ndtri(np.asarray(p, dtype=float)))


@dataclass(frozen=True)
class _ScalePrior(Prior):
    """A prior of a standard deviation: density zero below 0."""

    @property
    def upper_bound(self) -> float:
        """Upper end of the support; infinite for all families but `Uniform`."""
        return math.inf

    @property
    def tail_power(self) -> float:
        """Power p of a density that falls like ``x ** -p``; infinite for a faster fall."""
        return math.inf

    @property
    def typical(self) -> float:
        """A length that marks where the prior lies: its median."""
        return float(self.quantile(0.5))

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density of the standard deviation at `x`, with its constant; -inf outside."""
        x = np.asarray(x, dtype=float)
        inside = (x >= 0) & (x <= self.upper_bound)
        with np.errstate(divide="ignore", over="ignore"):
            value = self._log_density(np.where(inside, x, 1.0))
        return np.where(inside, value, -np.inf)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Distribution function of the standard deviation at `x`."""
        x = np.maximum(np.asarray(x, dtype=float), 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self._cdf(np.minimum(x, self.upper_bound)), dtype=float)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value of the standard deviation below which the share `p` lies."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self._quantile(np.asarray(p, dtype=float)), dtype=float)

    def _log_density(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _cdf(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _quantile(self, p: FloatArray) -> FloatArray:
        raise NotImplementedError


@dataclass(frozen=True)
class _ZeroCentred(_ScalePrior):
    """Families of the half type: folded at 0, so their title shows the 0."""

    scale: float

    def _arguments(self) -> str:
        return f"0, {plain_number(self.scale)}"


@dataclass(frozen=True)
class Uniform(_ScalePrior):
    """Uniform prior of the standard deviation between 0 and `upper`."""

    upper: float

    family: ClassVar[str] = "uniform"
    title: ClassVar[str] = "uniform"

    @property
    def upper_bound(self) -> float:
        """The setting `upper`."""
        return self.upper

    def _arguments(self) -> str:
        return f"0, {plain_number(self.upper)}"

    def _log_density(self, x: FloatArray) -> FloatArray:
        return np.full_like(x, -math.log(self.upper))

    def _cdf(self, x: FloatArray) -> FloatArray:
        return x / self.upper

    def _quantile(self, p: FloatArray) -> FloatArray:
        return p * self.upper


@dataclass(frozen=True)
class HalfNormal(_ZeroCentred):
    """Normal distribution with mean 0 and sd `scale`, folded at 0."""

    family: ClassVar[str] = "half_normal"
    title: ClassVar[str] = "half-normal"

    def _log_density(self, x: FloatArray) -> FloatArray:
        return 0.5 * math.log(2 / math.pi) - math.log(self.scale) - 0.5 * (x / self.scale) ** 2

    def _cdf(self, x: FloatArray) -> FloatArray:
        return np.asarray(special.erf(x / (self.scale * math.sqrt(2))), dtype=float)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.scale * math.sqrt(2) * np.asarray(special.erfinv(p))


@dataclass(frozen=True)
class HalfCauchy(_ZeroCentred):
    """Cauchy distribution with median 0 and scale `scale`, folded at 0."""

    family: ClassVar[str] = "half_cauchy"
    title: ClassVar[str] = "half-Cauchy"

    @property
    def tail_power(self) -> float:
        """Power of the tail: 2.0."""
        return 2.0

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(2 / (math.pi * self.scale)) - np.log1p((x / self.scale) ** 2)

    def _cdf(self, x: FloatArray) -> FloatArray:
        return 2 / math.pi * np.arctan(x / self.scale)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.scale * np.tan(0.5 * math.pi * p)


@dataclass(frozen=True)
class HalfT(_ScalePrior):
    """Student's t with `df` degrees of freedom and scale `scale`, folded at 0."""

    df: float
    scale: float

    family: ClassVar[str] = "half_t"
    title: ClassVar[str] = "half-t"

    @property
    def tail_power(self) -> float:
        """Power of the tail: self.df + 1."""
        return self.df + 1

    def _arguments(self) -> str:
        return f"{plain_number(self.df)}, 0, {plain_number(self.scale)}"

    def _log_density(self, x: FloatArray) -> FloatArray:
        constant = (
            math.log(2 / self.scale)
            + math.lgamma(0.5 * (self.df + 1))
            - math.lgamma(0.5 * self.df)
            - 0.5 * math.log(self.df * math.pi)
        )
        return constant - 0.5 * (self.df + 1) * np.log1p((x / self.scale) ** 2 / self.df)

    def _cdf(self, x: FloatArray) -> FloatArray:
        return 2 * np.asarray(special.stdtr(self.df, x / self.scale), dtype=float) - 1

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.scale * np.asarray(special.stdtrit(self.df, 0.5 * (1 + p)), dtype=float)


@dataclass(frozen=True)
class Exponential(_ScalePrior):
    """Exponential prior of the standard deviation with rate `rate`, that is mean 1/rate."""

    rate: float

    family: ClassVar[str] = "exponential"
    title: ClassVar[str] = "exponential"

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(self.rate) - self.rate * x

    def _cdf(self, x: FloatArray) -> FloatArray:
        return -np.expm1(-self.rate * x)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return -np.log1p(-p) / self.rate


@dataclass(frozen=True)
class InverseGammaVariance(_ScalePrior):
    """Inverse-gamma prior of the variance, with density ~ v**-(shape+1) exp(-scale/v).

    The density of the standard deviation x = sqrt(v) carries the Jacobian 2x. A scaled
    inverse chi-square with nu degrees of freedom and scale s^2, as in Hoff (2009, section
    8.3), is shape nu/2 and scale nu s^2 / 2: see `scaled_inverse_chi_square`.
    """

    shape: float
    scale: float

    family: ClassVar[str] = "inverse_gamma_variance"
    title: ClassVar[str] = "inverse-gamma"

    @classmethod
    def scaled_inverse_chi_square(cls, df: float, variance: float) -> InverseGammaVariance:
        """Prior worth `df` observations with mean square `variance`."""
        return cls(0.5 * df, 0.5 * df * variance)

    @property
    def tail_power(self) -> float:
        """Power of the tail: 2 * self.shape + 1."""
        return 2 * self.shape + 1

    @property
    def typical(self) -> float:
        """Mode of the standard deviation: the median overflows for shapes near 0."""
        return math.sqrt(2 * self.scale / (2 * self.shape + 1))

    def _subject(self, parameter: str) -> str:
        return f"{parameter}^2"

    def _log_density(self, x: FloatArray) -> FloatArray:
        # Written around the mode, so that a prior worth a million observations keeps its digits.
        power, mode = 2 * self.shape + 1, self.typical
        constant = math.log(2) + self.shape * math.log(self.scale) - math.lgamma(self.shape)
        distance = np.log(np.maximum(x, np.finfo(float).tiny) / mode)
        constant -= power * (math.log(mode) + 0.5)
        return np.asarray(constant - power * (distance + 0.5 * np.expm1(-2 * distance)))

    def _cdf(self, x: FloatArray) -> FloatArray:
        return np.asarray(special.gammaincc(self.shape, self.scale * x**-2.0))

    def _quantile(self, p: FloatArray) -> FloatArray:
        return np.sqrt(self.scale / np.asarray(special.gammainccinv(self.shape, p), dtype=float))


ScalePrior: TypeAlias = (
    Uniform | HalfNormal | HalfCauchy | HalfT | Exponential | InverseGammaVariance
)

SCALE_FAMILIES: dict[str, type[ScalePrior]] = {
    prior.family: prior
    for prior in (Uniform, HalfNormal, HalfCauchy, HalfT, Exponential, InverseGammaVariance)
}

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)

_Family = TypeVar("_Family", bound=Prior)


def parse_scale_prior(text: str) -> ScalePrior:
    """Read the prior of a standard deviation from its text form.

    Parameters
    ----------
    text
        Family and settings, for example ``half_cauchy(5)``, ``uniform(1000)``,
        ``half_t(3, 10)`` or ``inverse_gamma_variance(0.01, 0.01)``; what ``str(prior)``
        gives is read back as the same prior.

    Raises
    ------
    InputError
        For an unknown family (the known ones are listed), a wrong number of settings, a
        setting that is no number, or one outside its range.
    """
    family, settings = split_call(text, list(SCALE_FAMILIES.values()))
    return build(text, SCALE_FAMILIES[family], settings)


def parse_location_prior(text: str) -> Normal:
    """Read the prior of a location, for example ``normal(20, 10)``.

    Raises
    ------
    InputError
        As `parse_scale_prior` does.
    """
    _, settings = split_call(text, [Normal])
    return build(text, Normal, settings)


def split_call(text: str, known: Sequence[type[Prior]]) -> tuple[str, list[str]]:
    """Take the text of a prior apart: the name of one of the known families, and its settings.

    Raises
    ------
    InputError
        Text of another form, or an unknown family.
    """
    usages = ", ".join(prior.usage() for prior in known)
    match = _CALL.fullmatch(text)
    if match is None:
        raise InputError(f"Prior {text!r} is not of the form family(settings). Known: {usages}.")
    family, inside = match.groups()
    names = [prior.family for prior in known]
    if family not in names:
        near = difflib.get_close_matches(family, names, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"Prior {text!r}: no family {family!r}.{hint} Known: {usages}.")
    return family, [part.strip() for part in inside.split(",")] if inside.strip() else []


def build(text: str, prior: type[_Family], settings: list[str]) -> _Family:
    """Make a prior of a family from the text of its settings.

    Raises
    ------
    InputError
        Another number of settings, or one that is no number or out of range.
    """
    names = [field.name for field in fields(prior)]
    if len(settings) != len(names):
        raise InputError(
            f"Prior {text!r} has {len(settings)} settings and needs {len(names)}: {prior.usage()}."
        )
    values = {}
    for name, setting in zip(names, settings, strict=True):
        try:
            values[name] = float(setting)
        except ValueError:
            raise InputError(
                f"Prior {text!r}: {name} is {setting!r}, which is not a number; "
                f"the form is {prior.usage()}."
            ) from None
    return prior(**values)
