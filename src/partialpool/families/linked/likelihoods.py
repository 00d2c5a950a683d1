"""Counts given a point alpha of the scale on which their population is normal.

`count` are successes or events, `size` trials or exposure. All functions broadcast.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy import special
from scipy import stats as distributions

from partialpool.priors.linked import LOG, LOGIT, Link
from partialpool.types import FloatArray


class Likelihood(Protocol):
    """Log-concave likelihood of alpha from counts."""

    link: Link

    def log_density(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Log likelihood, but for `constant`."""
        ...

    def change(
        self, distance: FloatArray, center: FloatArray, count: FloatArray, size: FloatArray
    ) -> FloatArray:
        """Log likelihood at this distance from a center less that at it, with all its digits."""
        ...

    def slopes(
        self, alpha: FloatArray, count: FloatArray, size: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """First derivative by alpha, and minus the second."""
        ...

    def constant(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """What the log probability of the counts has besides."""
        ...

    def about(self, count: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of alpha where the likelihood, with half a count more, is its density.

        Half a count gives a center and a width to counts of 0 as well.
        """
        ...

    def informed(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """How many counts decide on the width of the likelihood; it is normal where many do."""
        ...

    def more(self, size: FloatArray, k: int) -> FloatArray:
        """Size with which k more counts multiply the likelihood by theta^k."""
        ...

    def below(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Probability of a smaller count, the same counted half."""
        ...

    def quantile(self, z: FloatArray, theta: FloatArray, size: FloatArray) -> FloatArray:
        """Count that as large a share lies below as of the normal distribution below z."""
        ...


class Binomial:
    """Successes of trials, whose probability has the logit alpha."""

    link: Link = LOGIT

    def log_density(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Successes times alpha, less trials times log(1 + e^alpha)."""
        return np.asarray(count * alpha - size * np.logaddexp(0, alpha))

    def change(
        self, distance: FloatArray, center: FloatArray, count: FloatArray, size: FloatArray
    ) -> FloatArray:
        """The log of 1 + e^alpha changes by log(1 + p (e^distance - 1))."""
        near = np.clip(distance, -700.0, 700.0)
        grown = np.log1p(special.expit(center) * np.expm1(near))
        return np.asarray(count * distance - size * grown)

    def slopes(
        self, alpha: FloatArray, count: FloatArray, size: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Successes less those expected, and their variance."""
        p = special.expit(alpha)
        return count - size * p, size * p * (1 - p)

    def constant(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """Log of the binomial coefficient."""
        whole = special.gammaln(size + 1)
        return np.asarray(whole - special.gammaln(count + 1) - special.gammaln(size - count + 1))

    def about(self, count: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Moments of the logit of a beta distribution."""
        a, b = count + 0.5, size - count + 0.5
        mean = special.digamma(a) - special.digamma(b)
        return np.asarray(mean), np.asarray(special.zeta(2, a) + special.zeta(2, b))

    def informed(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """The fewer of successes and failures."""
        return np.minimum(count, size - count)

    def more(self, size: FloatArray, k: int) -> FloatArray:
        """As many more trials."""
        return size + k

    def below(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Binomial distribution function."""
        p = special.expit(alpha)
        half = 0.5 * distributions.binom.pmf(count, size, p)
        return np.asarray(distributions.binom.cdf(count - 1, size, p) + half)

    def quantile(self, z: FloatArray, theta: FloatArray, size: FloatArray) -> FloatArray:
        """Binomial quantile."""
        return np.asarray(distributions.binom.ppf(special.ndtr(z), size, theta))


class Poisson:
    """Events in an exposure, whose rate has the logarithm alpha."""

    link: Link = LOG

    def log_density(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Events times alpha, less those expected."""
        with np.errstate(over="ignore"):
            return np.asarray(count * alpha - size * np.exp(alpha))

    def change(
        self, distance: FloatArray, center: FloatArray, count: FloatArray, size: FloatArray
    ) -> FloatArray:
        """Those expected change by their share e^distance - 1."""
        expected = size * np.exp(center)
        return np.asarray(count * distance - expected * np.expm1(np.minimum(distance, 600.0)))

    def slopes(
        self, alpha: FloatArray, count: FloatArray, size: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Events less those expected, and these."""
        expected = size * np.exp(np.minimum(alpha, 600.0))
        return count - expected, expected

    def constant(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """What does not depend on the rate."""
        return np.asarray(special.xlogy(count, size) - special.gammaln(count + 1))

    def about(self, count: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Moments of the logarithm of a gamma distribution."""
        a = count + 0.5
        with np.errstate(divide="ignore"):
            return special.digamma(a) - np.log(size), np.asarray(special.zeta(2, a))

    def informed(self, count: FloatArray, size: FloatArray) -> FloatArray:
        """The events."""
        return count

    def more(self, size: FloatArray, k: int) -> FloatArray:
        """The same exposure."""
        return size

    def below(self, alpha: FloatArray, count: FloatArray, size: FloatArray) -> FloatArray:
        """Poisson distribution function."""
        mean = size * np.exp(alpha)
        half = 0.5 * distributions.poisson.pmf(count, mean)
        return np.asarray(distributions.poisson.cdf(count - 1, mean) + half)

    def quantile(self, z: FloatArray, theta: FloatArray, size: FloatArray) -> FloatArray:
        """Poisson quantile."""
        return np.asarray(distributions.poisson.ppf(special.ndtr(z), size * theta))


BINOMIAL, POISSON = Binomial(), Poisson()
"""The two likelihoods."""
