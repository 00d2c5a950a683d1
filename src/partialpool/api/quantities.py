"""One quantity of a posterior: a group, or the difference of two."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.errors import InputError
from partialpool.fitting.summarize import means
from partialpool.text import format_estimate
from partialpool.types import FloatArray

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class Quantity:
    """Draws of one number, with what people ask of it.

    Attributes
    ----------
    name
        What it is, for people to read.
    model
        Title of the model whose posterior it has.
    draws
        Draws as the model has them, shape (chain, draw).
    unit
        Unit of what is shown.
    exp
        Whether the draws are logarithms whose exponentials are shown: the mean is then a geometric
        mean, and a difference a ratio.
    per
        What the draws are multiplied by where they are shown.
    warning
        Why the draws cannot be trusted; empty where they can.

    Examples
    --------
    >>> import partialpool as pp
    >>> five = pp.compare("homework", programs="hierarchical_marginal")["5"]
    >>> 9 < five.mean < 11 and five.prob(">", 8) > 0.9
    True
    """

    name: str
    model: str
    draws: FloatArray
    unit: str = ""
    exp: bool = False
    warning: str = ""
    per: int = 1

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        mean, error = (float(part[0]) for part in means(self.draws[None]))
        return mean, float(self.draws.std(ddof=1)), error

    @property
    def mean(self) -> float:
        """Posterior mean; of logarithms the geometric mean."""
        return self._shown(self._moments[0])

    @property
    def sd(self) -> float:
        """Posterior sd, of the logarithms where the draws are such."""
        return self.per * self._moments[1]

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error of the mean."""
        mean, _, error = self._moments
        return float(np.exp(mean) * error) if self.exp else self.per * error

    def quantile(self, p: float) -> float:
        """Value below which the quantity lies with probability `p`.

        Raises
        ------
        InputError
            `p` is no probability.
        """
        if not 0 <= p <= 1:
            raise InputError(f"quantile({p}): a probability lies between 0 and 1")
        return self._shown(float(np.quantile(self.draws, p)))

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Ends of the central interval that holds the quantity with a probability."""
        tail = (1 - probability) / 2
        return self.quantile(tail), self.quantile(1 - tail)

    def prob(self, relation: str, value: float) -> float:
        """Probability that the quantity is above or below a value.

        Parameters
        ----------
        relation
            ">", ">=", "<" or "<=".
        value
            In the unit of what is shown.

        Raises
        ------
        InputError
            Another relation.
        """
        if relation not in _COMPARE:
            raise InputError(f"prob({relation!r}, ...): one of {', '.join(map(repr, _COMPARE))}")
        with np.errstate(invalid="ignore", divide="ignore"):
            at = np.log(value) if self.exp else value / self.per
        return float(_COMPARE[relation](self.draws, at).mean())

    def _shown(self, value: float) -> float:
        return float(np.exp(value)) if self.exp else float(self.per * value)

    def __repr__(self) -> str:
        """Say the mean with its interval, a warning first."""
        low, high = self.interval()
        mean = format_estimate(self.mean, self.mcse)
        ends = " to ".join(format_estimate(end, 3 * self.mcse) for end in (low, high))
        unit = f" {self.unit}" if self.unit else ""
        kind = "geometric mean " if self.exp else "mean "
        warned = f"NOT TO BE TRUSTED ({self.warning}). " if self.warning else ""
        return f"{warned}{self.name}: {kind}{mean}{unit}, 95 % interval {ends} (under {self.model})"
