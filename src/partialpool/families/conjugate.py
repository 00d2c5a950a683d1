"""Populations whose groups have a posterior of the same kind given the population's parameters.

Given a draw of the population, theta of a group has a beta distribution (proportions). It is looked
at on a scale without bounds, where its log density is a sum of two functions of theta times the two
parameters of the distribution.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from scipy import special

from partialpool.types import FloatArray

Parameters: TypeAlias = tuple[FloatArray, ...]
"""Parameters of distributions, of one shape."""

NOTHING = 1e-9
"""What a group without data weighs, where weights are divided by."""


class Kind(Protocol):
    """A kind of distribution of theta, on a scale u without bounds."""

    linear: bool
    """Whether the mean of theta is linear in the mean of the population and the group's own."""

    def population(self, mu: FloatArray, size: FloatArray) -> Parameters:
        """Parameters of the population with the mean `mu`, worth `size` of a group's own data."""
        ...

    def given(self, population: Parameters, weight: FloatArray, raw: FloatArray) -> Parameters:
        """Parameters of theta of a group, from the population and the group's own estimate."""
        ...

    def densities(self, given: Parameters, u: FloatArray) -> FloatArray:
        """Density of u of each draw of the population, shape (draws, u)."""
        ...

    def moments(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of u."""
        ...

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Theta, and its derivative by u."""
        ...

    def tails(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Rates at which the density of u falls to both sides, in the end."""
        ...

    def mean(self, given: Parameters) -> FloatArray:
        """Mean of theta."""
        ...

    def variance(self, given: Parameters) -> FloatArray:
        """Variance of theta."""
        ...

    def draw(self, given: Parameters, rng: np.random.Generator) -> FloatArray:
        """Draw theta."""
        ...


class Conjugate(Kind, Protocol):
    """A kind with two parameters a and b, of the population and of each group alike."""

    def data(self, population: Parameters, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Weight and own estimate of a group with these parameters: `given` the other way."""
        ...

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What a and b multiply in the log density of u."""
        ...

    def log_norm(self, given: Parameters) -> FloatArray:
        """What is taken off the log density of u."""
        ...

    def above(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Probability of a larger theta."""
        ...

    def log_tail(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Upper bound of the log probability of lying beyond theta, seen from the mean.

        Chernoff's bound: beyond is above where theta is above the mean, else below.
        """
        ...

    def of_mean(self, size: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the mean of theta and its square are multiplied by in the variance of theta."""
        ...


class _Conjugates:
    """What conjugate kinds share."""

    linear = True

    def population(self, mu: FloatArray, size: FloatArray) -> Parameters:
        """Mean and size themselves."""
        return mu, size

    def densities(self: Conjugate, given: Parameters, u: FloatArray) -> FloatArray:
        """Density of u of each draw of the population, shape (draws, u)."""
        functions = np.stack([each.ravel() for each in self.functions(u)])
        density = np.stack([part.ravel() for part in given], axis=1) @ functions
        density -= self.log_norm(given).reshape(-1, 1)
        return np.exp(density, out=density)


class BetaKind(_Conjugates):
    """Beta distributions, on the scale of the logit."""

    def given(self, population: Parameters, weight: FloatArray, raw: FloatArray) -> Parameters:
        """Successes and failures, of the population and of the group together."""
        mu, size = population
        successes = np.where(weight > 0, weight * raw, 0.0)
        return mu * size + successes, (1 - mu) * size + (weight - successes)

    def data(self, population: Parameters, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Successes and failures beyond those of the population."""
        mu, size = population
        successes = np.maximum(given[0] - mu * size, 0.0)
        weight = np.maximum(successes + np.maximum(given[1] - (1 - mu) * size, 0.0), NOTHING)
        return weight, successes / weight

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logarithms of theta and of 1 - theta."""
        return -np.logaddexp(0, -u), -np.logaddexp(0, u)

    def log_norm(self, given: Parameters) -> FloatArray:
        """Log of the beta function."""
        a, b = given
        return np.asarray(special.betaln(a, b))

    def moments(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the logit."""
        a, b = given
        mean = special.digamma(a) - special.digamma(b)
        return np.asarray(mean), np.asarray(special.zeta(2, a) + special.zeta(2, b))

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The probability, and p (1 - p)."""
        p = special.expit(u)
        return np.asarray(p), np.asarray(p * special.expit(-u))

    def of_mean(self, size: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Both with the same factor, as the variance is that of one more trial."""
        factor = 1 / (size + weight + 1)
        return factor, -factor

    def tails(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """The parameters themselves."""
        a, b = given
        return a, b

    def mean(self, given: Parameters) -> FloatArray:
        """A / (a + b)."""
        a, b = given
        return np.asarray(a / (a + b))

    def variance(self, given: Parameters) -> FloatArray:
        """A b / ((a + b)^2 (a + b + 1))."""
        a, b = given
        mean = a / (a + b)
        return np.asarray(mean * (1 - mean) / (a + b + 1))

    def above(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Probability of a larger probability."""
        a, b = given
        return np.asarray(special.betaincc(a, b, theta))

    def log_tail(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Minus (a + b) times the divergence of theta from the mean."""
        a, b = given
        size = a + b
        at_mean = special.xlogy(a, a / size) + special.xlogy(b, b / size)
        with np.errstate(divide="ignore"):
            return np.asarray(a * np.log(theta) + b * np.log1p(-theta) - at_mean)

    def draw(self, given: Parameters, rng: np.random.Generator) -> FloatArray:
        """Draw probabilities."""
        a, b = given
        return rng.beta(a, b)


BETA = BetaKind()
"""Beta distributions of probabilities."""


class GammaKind(_Conjugates):
    """Gamma distributions with shape a and rate b, on the scale of the logarithm."""

    def given(self, population: Parameters, weight: FloatArray, raw: FloatArray) -> Parameters:
        """Events and exposure, of the population and of the group together."""
        mu, size = population
        events = np.where(weight > 0, weight * raw, 0.0)
        return mu * size + events, np.asarray(size + weight)

    def data(self, population: Parameters, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Events and exposure beyond those of the population."""
        mu, size = population
        weight = np.maximum(given[1] - size, NOTHING)
        return weight, np.maximum(given[0] - mu * size, 0.0) / weight

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The logarithm itself, and minus the rate that it stands for."""
        return u, -np.exp(u)

    def log_norm(self, given: Parameters) -> FloatArray:
        """Log of the gamma function over the power of the rate."""
        a, b = given
        return np.asarray(special.gammaln(a) - a * np.log(b))

    def moments(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the logarithm."""
        a, b = given
        return np.asarray(special.digamma(a) - np.log(b)), np.asarray(special.zeta(2, a))

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The rate, twice."""
        value = np.asarray(np.exp(u))
        return value, value

    def of_mean(self, size: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One over the exposure, and nothing."""
        factor = 1 / (size + weight)
        return factor, np.zeros_like(factor)

    def tails(self, given: Parameters) -> tuple[FloatArray, FloatArray]:
        """The shape; to the right it falls faster than any rate."""
        return given[0], np.full_like(given[0], np.inf)

    def mean(self, given: Parameters) -> FloatArray:
        """A / b."""
        a, b = given
        return np.asarray(a / b)

    def variance(self, given: Parameters) -> FloatArray:
        """A / b^2."""
        a, b = given
        return np.asarray(a / b**2)

    def above(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Probability of a larger rate."""
        a, b = given
        return np.asarray(special.gammaincc(a, b * theta))

    def log_tail(self, given: Parameters, theta: FloatArray) -> FloatArray:
        """Minus the divergence of a Poisson distribution with mean b theta from one with mean a."""
        a, b = given
        with np.errstate(divide="ignore"):
            return np.asarray(a * (np.log(theta) + (1 + np.log(b / a))) - b * theta)

    def draw(self, given: Parameters, rng: np.random.Generator) -> FloatArray:
        """Draw rates."""
        a, b = given
        return rng.gamma(a, 1 / b)


GAMMA = GammaKind()
"""Gamma distributions of rates."""
