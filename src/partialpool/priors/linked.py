"""Populations that are normal on another scale: logits of probabilities, logarithms of rates.

alpha ~ normal(location, scale), and theta is the probability whose logit, or the rate whose
logarithm, alpha is. What tables know of a population is its mean and sd on the scale of theta, mu
and tau, and the mean variance sigma^2 of a single trial, or of the events in one unit of exposure,
within groups. Both follow from location and scale, and location and scale from mu and tau.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from partialpool.priors.choices import Choice, check_slopes
from partialpool.priors.distributions import (
    SCALE_FAMILIES,
    Normal,
    Prior,
    ScalePrior,
    parse_location_prior,
    parse_scale_prior,
)
from partialpool.types import FloatArray

_POINTS = np.arange(-8.0, 8.0 + 1e-9, 0.25)
_WEIGHTS = np.exp(-0.5 * _POINTS**2) / np.exp(-0.5 * _POINTS**2).sum()
_BLOCK = 20_000
_STEPS = 80
_SMOOTH = 1.3  # up to this scale every other point does, to 1e-13
_TINY = 1e-5
_STRETCH = 0.346  # of a logit when normal numbers are added: (16 sqrt(3) / (15 pi))^2
_QUANTILES, _SCALES = 60, 400


class Link(Protocol):
    """A scale without bounds on which a population is normal."""

    name: str

    def theta(self, alpha: FloatArray) -> FloatArray:
        """Theta that a point of the scale stands for."""
        ...

    def alpha(self, theta: FloatArray) -> FloatArray:
        """Point of the scale that stands for theta."""
        ...

    def slope(self, alpha: FloatArray) -> FloatArray:
        """Derivative of theta by alpha."""
        ...

    def sd(self, mu: FloatArray, size: FloatArray) -> FloatArray:
        """Tau, from the mean and from (sigma / tau)^2."""
        ...

    def moments(
        self, location: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean `mu` and sd `tau` of theta, and `sigma`, of arrays that broadcast."""
        ...

    def invert(self, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Location and scale of the population whose theta has this mean and sd."""
        ...

    def location(self, mu: FloatArray, scale: FloatArray) -> FloatArray:
        """Location of the population of this scale whose theta has the mean `mu`."""
        ...


class Logit:
    """Logits of probabilities."""

    name = "logit"

    def theta(self, alpha: FloatArray) -> FloatArray:
        """The probability."""
        return np.asarray(special.expit(alpha))

    def alpha(self, theta: FloatArray) -> FloatArray:
        """The logit."""
        return np.asarray(special.logit(theta))

    def slope(self, alpha: FloatArray) -> FloatArray:
        """P (1 - p)."""
        return np.asarray(special.expit(alpha) * special.expit(-alpha))

    def sd(self, mu: FloatArray, size: FloatArray) -> FloatArray:
        """Tau^2 and sigma^2 add up to mu (1 - mu)."""
        return np.sqrt(mu * (1 - mu) / (1 + size))

    def moments(
        self, location: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Moments by the trapezoidal rule.

        The integrand decays like a normal density and has its nearest singularities at the distance
        pi / scale from the real axis, so that steps of 1/4 leave exp(-8 pi^2 / scale) or less
        (Trefethen and Weideman 2014, *SIAM Review* 56, 385-458): 1e-7 at a scale of 5.
        """
        mu, tau, sigma, _ = _logit_moments(location, scale)
        return mu, tau, sigma

    def invert(self, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Newton's method for the location and the log of the scale."""
        mu, tau = np.broadcast_arrays(np.asarray(mu, float), np.asarray(tau, float))
        p = mu.ravel()
        targets = special.logit(p), np.log(tau.ravel())
        log_scale = targets[1] - np.log(p) - np.log1p(-p)
        log_scale = np.minimum(log_scale, 1.0)
        location = targets[0] * np.sqrt(1 + _STRETCH * np.exp(2 * log_scale))
        tiny = log_scale < np.log(_TINY)
        known = location[tiny], log_scale[tiny]
        location, log_scale = location[~tiny], log_scale[~tiny]
        targets = targets[0][~tiny], targets[1][~tiny]
        for _ in range(_STEPS):
            scale = np.exp(log_scale)
            mean, deviation, jacobian = _slopes(location, scale)
            rest = special.logit(mean) - targets[0], np.log(deviation) - targets[1]
            (a, b), (c, d) = jacobian
            det = a * d - b * c
            of_location = np.clip((d * rest[0] - b * rest[1]) / det, -3.0, 3.0)
            of_scale = np.clip((a * rest[1] - c * rest[0]) / det, -0.7, 0.7)
            location, log_scale = location - of_location, log_scale - of_scale
            change = np.abs(of_location).max(initial=0.0) + np.abs(of_scale).max(initial=0.0)
            if change < 1e-13:
                break
        found = np.empty((2, p.size))
        found[:, tiny], found[:, ~tiny] = known, (location, log_scale)
        return found[0].reshape(mu.shape), np.exp(found[1]).reshape(mu.shape)

    def location(self, mu: FloatArray, scale: FloatArray) -> FloatArray:
        """Newton's method on the logit of the mean, which is nearly linear in the location."""
        mu, scale = np.broadcast_arrays(np.asarray(mu, float), np.asarray(scale, float))
        target = special.logit(mu)
        found = target * np.sqrt(1 + _STRETCH * scale**2)
        for _ in range(_STEPS):
            mean, _, _, slope = _logit_moments(found, scale)
            step = (special.logit(mean) - target) * mean * (1 - mean) / slope
            found = found - step
            if np.abs(step).max(initial=0.0) < 1e-14 * (1 + np.abs(found).max(initial=0.0)):
                break
        return np.asarray(found)


def _logit_moments(
    location: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean and sd of the probability, the root of E[p (1 - p)], and its square."""
    location, scale = np.broadcast_arrays(np.asarray(location, float), np.asarray(scale, float))
    m, s = location.ravel(), scale.ravel()
    mean, tau2, within = (np.empty(m.size) for _ in range(3))
    for start in range(0, m.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        every = 2 if s[part].max() < _SMOOTH else 1
        weights = every * _WEIGHTS[::every]
        p = special.expit(m[part, None] + s[part, None] * _POINTS[::every])
        # not as products of matrices, for which threads are woken and wait
        mean[part] = np.einsum("ij,j->i", p, weights)
        tau2[part] = np.einsum("ij,j->i", (p - mean[part, None]) ** 2, weights)
        tiny = s[part] < _TINY  # the delta method, where differences of p lose their digits
        slope = special.expit(m[part]) * special.expit(-m[part])
        tau2[part] = np.where(tiny, np.square(s[part] * slope), tau2[part])
        within[part] = np.where(tiny, slope, mean[part] * (1 - mean[part]) - tau2[part])
    shape = location.shape
    return (
        mean.reshape(shape),
        np.sqrt(tau2).reshape(shape),
        np.sqrt(within).reshape(shape),
        within.reshape(shape),
    )


def _slopes(
    location: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray, tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]]:
    """Mean, sd, and the derivatives of logit mean and log sd by location and log scale, (k,)."""
    found = [np.empty(location.size) for _ in range(6)]
    for start in range(0, location.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        u = location[part, None] + scale[part, None] * _POINTS
        p = special.expit(u)
        q = p * special.expit(-u) * _WEIGHTS
        mean = p @ _WEIGHTS
        apart = p - mean[:, None]
        tau2 = apart**2 @ _WEIGHTS
        zq = q * _POINTS
        by_location, by_scale = q.sum(axis=1), zq.sum(axis=1)
        rows = (
            mean,
            np.sqrt(tau2),
            by_location / (mean * (1 - mean)),
            by_scale * scale[part] / (mean * (1 - mean)),
            np.einsum("kq,kq->k", apart, q) / tau2,
            np.einsum("kq,kq->k", apart, zq) * scale[part] / tau2,
        )
        for into, row in zip(found, rows, strict=True):
            into[part] = row
    mean, tau, a, b, c, d = found
    return mean, tau, ((a, b), (c, d))


class Log:
    """Logarithms of rates: log-normal distributions, whose moments are known."""

    name = "log"

    def theta(self, alpha: FloatArray) -> FloatArray:
        """The rate."""
        return np.exp(alpha)

    def alpha(self, theta: FloatArray) -> FloatArray:
        """The logarithm."""
        return np.log(theta)

    def slope(self, alpha: FloatArray) -> FloatArray:
        """The rate again."""
        return np.exp(alpha)

    def sd(self, mu: FloatArray, size: FloatArray) -> FloatArray:
        """Sigma^2 is mu."""
        return np.sqrt(mu / size)

    def moments(
        self, location: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """E[theta] = exp(location + scale^2 / 2), which is sigma^2 as well."""
        with np.errstate(over="ignore"):
            mu = np.exp(location + 0.5 * np.square(scale))
            tau = mu * np.sqrt(np.expm1(np.square(scale)))
        return np.asarray(mu), np.asarray(tau), np.sqrt(mu)

    def invert(self, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Scale^2 = log(1 + tau^2 / mu^2), and the location that gives the mean."""
        scale2 = np.log1p(np.square(np.asarray(tau) / np.asarray(mu)))
        return np.log(mu) - 0.5 * scale2, np.sqrt(scale2)

    def location(self, mu: FloatArray, scale: FloatArray) -> FloatArray:
        """Logarithm of the mean, less half the variance."""
        return np.asarray(np.log(mu) - 0.5 * np.square(scale))


LOGIT, LOG = Logit(), Log()
"""The two scales."""


@dataclass(frozen=True)
class LinkedChoice(Choice):
    """Priors of a population that is normal on another scale, under one name.

    Attributes
    ----------
    name
        What tables and figures call it.
    location, scale
        Priors of the population's mean and sd on that scale.
    link
        The scale.
    """

    location: Normal
    scale: ScalePrior
    link: Link

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        "location": parse_location_prior,
        "scale": parse_scale_prior,
    }
    usage = "[NAME:] location=normal(0, 2), scale=half_normal(1)"
    spread = "scale"

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior."""
        return {"location": self.location, "scale": self.scale}

    def log_density(self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0) -> FloatArray:
        """Joint log density of location and scale, which mu and tau stand for."""
        arrays = np.broadcast_arrays(np.asarray(mu, float), np.asarray(tau, float))
        location, scale = self.link.invert(*arrays)
        return self.location.log_density(location) + self.scale.log_density(scale)

    def tau_density(self, tau: FloatArray) -> FloatArray:
        """Prior density of tau: a mean over the prior of the location, of tau grown with scale."""
        shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        scale = np.geomspace(1e-4, 60 * self.scale.quantile(0.5), _SCALES)
        density = self.scale.log_density(scale)
        total = np.zeros(np.shape(tau))
        for location in self.location.quantile(shares):
            at = self.link.moments(location, scale)[1]
            at = at[: int(np.isfinite(at).sum())]  # it grows with scale, in the end beyond numbers
            grown = np.flatnonzero(np.diff(at, prepend=0.0) > 0)
            slope = np.gradient(np.log(at[grown]), np.log(scale[grown]))
            with np.errstate(over="ignore"):  # of the largest nothing is left
                here = np.exp(density[grown]) * scale[grown] / (at[grown] * slope)
            total += np.interp(tau, at[grown], here, right=0.0)
        return np.asarray(total / _QUANTILES)

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        settings = [float(getattr(self.scale, each.name)) for each in fields(self.scale)]
        return {
            "location_mean": self.location.location,
            "location_sd": self.location.scale,
            "scale_family": 1 + list(SCALE_FAMILIES).index(self.scale.family),
            "scale_prior": [settings[0], settings[-1]],
            "scale_upper": self.scale.upper_bound,
        }


@dataclass(frozen=True)
class LinkedRegressionChoice(LinkedChoice):
    """Priors of such a population that lies about a regression line.

    Attributes
    ----------
    name, location, scale, link
        As of `LinkedChoice`; the location is that at the means of the covariates.
    beta
        Prior, about 0, of what one sd of each covariate adds on that scale.
    """

    beta: Normal = field(default_factory=lambda: Normal(0.0, 1.0))

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        **LinkedChoice.parsers,
        "beta": parse_location_prior,
    }

    def __post_init__(self) -> None:
        """Refuse a prior of slopes whose mean is not 0."""
        check_slopes(self.beta)

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior; that of beta is for one sd of a covariate."""
        return {**super().priors, "beta": self.beta}

    @property
    def at_the_means(self) -> LinkedChoice:
        """The same without slopes, of groups at the means of the covariates."""
        return LinkedChoice(self.name, self.location, self.scale, self.link)

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        return {**super().inputs(), "beta_scale": self.beta.scale}
