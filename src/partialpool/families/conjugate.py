"""Populations whose groups have a posterior of the same kind given the population's parameters.

Given a draw of the population, theta of a group has a beta distribution (proportions). It is looked
at on a scale without bounds, where its log density is a sum of two functions of theta times the two
parameters of the distribution.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy import special

from partialpool.types import FloatArray


class Conjugate(Protocol):
    """A kind of distribution with two parameters a and b, on a scale u without bounds."""

    def parameters(
        self, mu: FloatArray, size: FloatArray, weight: FloatArray, raw: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Parameters of theta of a group, from the population and the group's own estimate."""
        ...

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What a and b multiply in the log density of u."""
        ...

    def log_norm(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """What is taken off the log density of u."""
        ...

    def moments(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of u."""
        ...

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Theta, and its derivative by u."""
        ...

    def of_mean(self, size: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the mean of theta and its square are multiplied by in the variance of theta."""
        ...

    def tails(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Rates at which the density of u falls to both sides, in the end."""
        ...

    def mean(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Mean of theta."""
        ...

    def variance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Variance of theta."""
        ...

    def draw(self, a: FloatArray, b: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw theta."""
        ...


class BetaKind:
    """Beta distributions, on the scale of the logit."""

    def parameters(
        self, mu: FloatArray, size: FloatArray, weight: FloatArray, raw: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Successes and failures, of the population and of the group together."""
        successes = np.where(weight > 0, weight * raw, 0.0)
        return mu * size + successes, (1 - mu) * size + (weight - successes)

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logarithms of theta and of 1 - theta."""
        return -np.logaddexp(0, -u), -np.logaddexp(0, u)

    def log_norm(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Log of the beta function."""
        return np.asarray(special.betaln(a, b))

    def moments(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the logit."""
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

    def tails(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The parameters themselves."""
        return a, b

    def mean(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """A / (a + b)."""
        return np.asarray(a / (a + b))

    def variance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """A b / ((a + b)^2 (a + b + 1))."""
        mean = a / (a + b)
        return np.asarray(mean * (1 - mean) / (a + b + 1))

    def draw(self, a: FloatArray, b: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw probabilities."""
        return rng.beta(a, b)


BETA = BetaKind()
"""Beta distributions of probabilities."""


class GammaKind:
    """Gamma distributions with shape a and rate b, on the scale of the logarithm."""

    def parameters(
        self, mu: FloatArray, size: FloatArray, weight: FloatArray, raw: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Events and exposure, of the population and of the group together."""
        events = np.where(weight > 0, weight * raw, 0.0)
        return mu * size + events, np.asarray(size + weight)

    def functions(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The logarithm itself, and minus the rate that it stands for."""
        return u, -np.exp(u)

    def log_norm(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Log of the gamma function over the power of the rate."""
        return np.asarray(special.gammaln(a) - a * np.log(b))

    def moments(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the logarithm."""
        return np.asarray(special.digamma(a) - np.log(b)), np.asarray(special.zeta(2, a))

    def theta(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The rate, twice."""
        value = np.asarray(np.exp(u))
        return value, value

    def of_mean(self, size: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One over the exposure, and nothing."""
        factor = 1 / (size + weight)
        return factor, np.zeros_like(factor)

    def tails(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The shape; to the right it falls faster than any rate."""
        return a, np.full_like(a, np.inf)

    def mean(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """A / b."""
        return np.asarray(a / b)

    def variance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """A / b^2."""
        return np.asarray(a / b**2)

    def draw(self, a: FloatArray, b: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw rates."""
        return rng.gamma(a, 1 / b)


GAMMA = GammaKind()
"""Gamma distributions of rates."""
