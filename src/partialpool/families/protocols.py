"""What families ask of programs, and what exact posteriors may know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import pandas as pd

from partialpool.types import FloatArray

Pooling = Literal["complete", "none", "partial", "other"]
"""How a model pools; `other` where it has no theta to enter the comparison with."""


class Declared(Protocol):
    """What a family asks of a Stan program; `partialpool.programs.Program` is one."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        ...

    @property
    def declared(self) -> Mapping[str, Any]:
        """Blocks, each with the names declared there."""
        ...

    @property
    def inputs(self) -> Sequence[str]:
        """Names declared in the data block."""
        ...

    @property
    def outputs(self) -> Mapping[str, int]:
        """Number of dimensions of everything written for each draw."""
        ...

    @property
    def pooling(self) -> Pooling:
        """How it pools."""
        ...


class Posterior(Protocol):
    """An exact posterior, as `partialpool.families.exact` computes it."""

    @property
    def pooling(self) -> Pooling:
        """How the model pools."""
        ...

    def summary(self) -> pd.DataFrame:
        """Moments and quantiles: `parameter`, `group`, `mean`, `sd`, quantiles, `error`."""
        ...


@runtime_checkable
class Contrasting(Posterior, Protocol):
    """An exact posterior in which groups differ."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        ...

    def contrasts(self) -> pd.DataFrame:
        """Differences: `group`, `other`, moments, quantiles, `prob_greater`, errors."""
        ...


@runtime_checkable
class LeavingOut(Posterior, Protocol):
    """An exact posterior that knows how well each group is predicted from the others."""

    def leave_one_out(self) -> FloatArray:
        """Log predictive density of each group given all others, shape (J,)."""
        ...

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability that each group's estimate is smaller than it is, given all others, (J,)."""
        ...


@runtime_checkable
class Scoring(LeavingOut, Protocol):
    """An exact posterior that scores groups left out, and knows how probable the data are."""

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        ...


class NormalMeans(NamedTuple):
    """A mean that is normal at each node of a quadrature, and the errors around it.

    Attributes
    ----------
    weights
        Probabilities of the nodes, shape (k,).
    mean, sd
        Of the mean at the nodes, in the unit of the data, shape (k,).
    error_sd
        The errors' sd at the nodes, shape (k,).
    """

    weights: FloatArray
    mean: FloatArray
    sd: FloatArray
    error_sd: FloatArray


@runtime_checkable
class PredictingGroups(Posterior, Protocol):
    """An exact posterior that knows where the mean of a further group would lie."""

    def new_group(self) -> NormalMeans:
        """Mean of a group that there are no data of."""
        ...


@runtime_checkable
class PredictingAlong(Posterior, Protocol):
    """An exact posterior that knows where the mean of a further group with its covariates lies."""

    def group_at(self, x: FloatArray) -> NormalMeans:
        """Mean of a group that there are no data of, at a row of `Covariates.design`."""
        ...


@runtime_checkable
class PredictingRows(Posterior, Protocol):
    """An exact posterior that knows which mean further rows of a group would lie around."""

    def known_group(self, j: int) -> NormalMeans:
        """Mean of group j."""
        ...


@runtime_checkable
class Weighing(Posterior, Protocol):
    """An exact posterior that knows how probable the data are under its priors."""

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        ...


@runtime_checkable
class TestingSpread(Posterior, Protocol):
    """An exact posterior that knows how the data speak of effects that are all equal."""

    @property
    def log_bayes_factor_of_no_spread(self) -> float:
        """Log of p(y | tau = 0) / p(y)."""
        ...
