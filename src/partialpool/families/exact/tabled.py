"""Posteriors of models with few parameters whose groups have one unknown each, by tables of values.

The parameters are those of the population that the groups' theta come from, and those of the errors
around theta. Given both, groups are independent, and what is known of group j is

    m_j = integral of p(y_j | theta, errors) p(theta | population) dtheta.

On nodes of the errors' parameters (rows), of theta, and of the population's (columns), this is a
product of two matrices, so that all pairs of nodes cost no more than one. The same product, turned
round, gives the posterior density of theta of each group. Nodes of a parameter follow the
trapezoidal rule after stretching: x = location + scale sinh(t), of which positive parameters are
the exponentials; location and scale are found from the posterior itself, in a few rounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import interpolate, optimize

from partialpool.errors import InputError
from partialpool.families.exact.table import DEFAULT_PROBS, Quantity, table
from partialpool.priors.choices import Choice
from partialpool.priors.spreads import Gamma
from partialpool.types import FloatArray

_ROUNDS, _ROUGH, _COARSE = 4, 0.6, 0.75
_POINTS = 4001
_DROP = 40.0
_MOST_PLACES = 20_000


@dataclass(frozen=True)
class Axis:
    """A parameter, and where its nodes lie.

    Attributes
    ----------
    name
        Its name.
    location, scale
        Middle and width of the nodes: of the parameter or, where it is positive, of its logarithm.
    positive
        Whether it is positive.
    reach
        How far the nodes reach to both sides, before stretching.
    count
        Number of nodes, where they are many.
    """

    name: str
    location: float
    scale: float
    positive: bool = True
    reach: tuple[float, float] = (-2.8, 2.8)
    count: int = 21

    def places(self, share: float) -> FloatArray:
        """Where a share of the nodes lies before stretching, equally far apart."""
        return np.linspace(*self.reach, round(share * self.count))

    def stretched(self, t: FloatArray) -> FloatArray:
        """The parameter, or its logarithm, at places."""
        return np.asarray(self.location + self.scale * np.sinh(t))

    def values(self, t: FloatArray) -> FloatArray:
        """The parameter at places."""
        x = self.stretched(t)
        return np.exp(x) if self.positive else x

    def log_weights(self, t: FloatArray) -> FloatArray:
        """Log of what a place stands for: the slope of the parameter times the step."""
        slope = self.scale * np.cosh(t) * (t[1] - t[0])
        return np.asarray(np.log(slope) + (self.stretched(t) if self.positive else 0.0))


def degrees_axis(name: str, prior: Gamma) -> Axis:
    """Rough places of degrees of freedom: those of their prior, as data say little of them."""
    low, middle, high = np.log(prior.quantile([0.1, 0.5, 0.9]))
    return Axis(name, float(middle), float(high - low) / 2.56, reach=(-2.8, 2.5), count=29)


class Tabled(ABC):
    """A model: what the tables are filled with.

    Attributes
    ----------
    labels
        Names of the groups.
    population, errors
        Parameters of the population, and of the errors around theta, with rough places.
    ends, step
        Between which values theta is looked at, and in which steps, in the unit of the data; steps
        that are far smaller than any error of a group's own estimate.
    also_by_group
        What else is unknown of a group, by name; of sigma the square is reported, too.
    """

    labels: tuple[str, ...]
    population: tuple[Axis, ...]
    errors: tuple[Axis, ...]
    ends: tuple[float, float]
    step: float
    also_by_group: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def log_prior(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log prior density of the parameters given, which are those of one of the two kinds."""

    @abstractmethod
    def log_population(self, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Log density of theta; shapes broadcast."""

    @abstractmethod
    def population_cdf(self, theta: float, values: Mapping[str, FloatArray]) -> FloatArray:
        """Share of the population below theta, for each set of parameters."""

    @abstractmethod
    def population_variance(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Variance of theta in the population; infinite where there is none."""

    @abstractmethod
    def log_likelihood(
        self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Log density of all data of group j, with its constants; shapes broadcast."""

    @abstractmethod
    def below(self, j: int, theta: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
        """Probability that the own estimate of group j is smaller than it is; shapes broadcast."""

    def hidden(
        self, j: int, errors: Mapping[str, FloatArray], population: Mapping[str, FloatArray]
    ) -> dict[str, Hidden]:
        """What else is unknown of group j, by its name, at nodes of the parameters."""
        del j, errors, population
        return {}


@dataclass(frozen=True)
class Hidden:
    """Something else that is unknown of a group, at places of equal steps.

    Attributes
    ----------
    places, value
        The places, shape (G,), and what gives the values there, which increase.
    given_errors, given_population
        Factors of its joint density with the group's data, by place: what the errors' parameters
        matter to, shape (L, G), and those of the population, (P, G).
    """

    places: FloatArray
    value: Callable[[FloatArray], FloatArray]
    given_errors: FloatArray
    given_population: FloatArray


@dataclass(frozen=True)
class Density:
    """A distribution from its density at equally spaced places.

    Attributes
    ----------
    t
        The places, shape (G,).
    mass
        What lies about each place, shape (G,), sum 1.
    value
        Gives the values at places; they increase.
    """

    t: FloatArray
    mass: FloatArray
    value: Callable[[FloatArray], FloatArray]

    @cached_property
    def x(self) -> FloatArray:
        """Values at the places."""
        return self.value(self.t)

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.x[0] + self.mass @ (self.x - self.x[0]))

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.mass @ (self.x - self.mean) ** 2))

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles, from a spline through the logarithm of the density."""
        del start
        kept = np.flatnonzero(self.mass > self.mass.max() * math.exp(-_DROP))
        inside = slice(kept[0], kept[-1] + 1)
        log = np.log(np.maximum(self.mass[inside], np.finfo(float).tiny))
        fine = np.linspace(self.t[inside][0], self.t[inside][-1], _POINTS)
        degree = min(3, len(log) - 1)
        if degree == 0:  # all is about one place
            return np.full(np.shape(p), float(self.x[kept[0]]))
        density = np.exp(interpolate.make_interp_spline(self.t[inside], log, k=degree)(fine))
        rising = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
        return self.value(np.interp(p, rising / rising[-1], fine))


@dataclass(frozen=True)
class Side:
    """Nodes of the parameters of one kind, all with all.

    Attributes
    ----------
    axes
        The parameters.
    share
        Share of the nodes that there may be of each.
    """

    axes: tuple[Axis, ...]
    share: float

    @cached_property
    def columns(self) -> dict[str, FloatArray]:
        """Name of each parameter to its values, shape (nodes, 1)."""
        each = (axis.values(axis.places(self.share)) for axis in self.axes)
        grid = np.meshgrid(*each, indexing="ij")
        return {a.name: x.reshape(-1, 1) for a, x in zip(self.axes, grid, strict=True)}

    @cached_property
    def log_weights(self) -> FloatArray:
        """Log of what each node stands for, shape (nodes,)."""
        each = (axis.log_weights(axis.places(self.share)) for axis in self.axes)
        grid = np.meshgrid(*each, indexing="ij")
        return np.asarray(sum(grid, np.zeros(()))).reshape(-1)

    def along(self, name: str, mass: FloatArray) -> tuple[Axis, FloatArray, FloatArray]:
        """A parameter's axis, its places, and the mass that lies about each."""
        k = [axis.name for axis in self.axes].index(name)
        others = tuple(i for i in range(len(self.axes)) if i != k)
        whole = mass.reshape([len(axis.places(self.share)) for axis in self.axes])
        return self.axes[k], self.axes[k].places(self.share), whole.sum(axis=others)


def places_of_theta(ends: tuple[float, float], step: float) -> int:
    """Count the places at which theta is looked at."""
    return math.ceil((ends[1] - ends[0]) / step) + 1


@dataclass(frozen=True)
class Grid:
    """The model on nodes.

    Attributes
    ----------
    model
        The model.
    share
        Share of the nodes of each parameter that are used.
    """

    model: Tabled
    share: float = 1.0

    @cached_property
    def errors(self) -> Side:
        """Nodes of the errors' parameters; one without any, where there are none."""
        return Side(self.model.errors, self.share)

    @cached_property
    def population(self) -> Side:
        """Nodes of the population's parameters."""
        return Side(self.model.population, self.share)

    @cached_property
    def theta(self) -> FloatArray:
        """Values of theta, shape (G,)."""
        low, high = self.model.ends
        count = places_of_theta(self.model.ends, self.model.step)
        if count > _MOST_PLACES:
            raise InputError(
                f"the groups lie too far apart for a table: {count:,} places as close as their "
                f"errors ask for, and {_MOST_PLACES:,} are held; partialpool calibrate checks the "
                "programs without it"
            )
        return np.linspace(low, high, count)

    @property
    def _step(self) -> float:
        return float(self.theta[1] - self.theta[0])

    @cached_property
    def _given_population(self) -> FloatArray:
        """Density of theta at each node of the population, shape (P, G).

        Of a tau below the step, which no group's data tell from none, the step is taken.
        """
        columns = self.population.columns
        narrowest = {**columns, "tau": np.maximum(columns["tau"], self._step)}
        return np.asarray(np.exp(self.model.log_population(self.theta, narrowest)))

    def _given_errors(self, j: int) -> tuple[FloatArray, FloatArray]:
        """Density of a group's data at each node of the errors, shape (L, G), but for a factor.

        The logarithm of the factor comes second, shape (L, 1).
        """
        log = self.model.log_likelihood(j, self.theta, self.errors.columns)
        largest = log.max(axis=1, keepdims=True)
        return np.exp(log - largest), largest

    def _log_group(self, j: int) -> FloatArray:
        """Log of m_j at each pair of nodes, shape (L, P)."""
        density, factor = self._given_errors(j)
        with np.errstate(divide="ignore"):
            joint = np.log(density @ self._given_population.T)
        return np.asarray(joint + factor + math.log(self._step))

    @cached_property
    def _log_weights(self) -> FloatArray:
        """Log of the joint density with the data times what each pair stands for."""
        sides = (self.errors, self.population)
        prior = [side.log_weights + self.model.log_prior(side.columns).ravel() for side in sides]
        total: FloatArray = prior[0][:, None] + prior[1]
        for j in range(len(self.model.labels)):
            total = total + self._log_group(j)
        return total

    @cached_property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return _log_sum(self._log_weights)

    @cached_property
    def weights(self) -> FloatArray:
        """Posterior probabilities of the pairs of nodes, shape (L, P), sum 1."""
        return np.asarray(np.exp(self._log_weights - self.log_marginal_likelihood))

    @cached_property
    def groups(self) -> list[Known]:
        """What is known of each group."""
        return [self._known(j) for j in range(len(self.model.labels))]

    def _known(self, j: int) -> Known:
        others, log_total = self._without(j)
        density, factor = self._given_errors(j)
        scaled = density * np.exp(factor - factor.max())
        theta = (scaled * (others @ self._given_population)).sum(axis=0)
        below = self.model.below(j, self.theta, self.errors.columns) @ self._given_population.T
        return Known(
            Density(self.theta, theta / theta.sum(), _itself),
            self.log_marginal_likelihood - log_total,
            float((others * below).sum() * self._step),
        )

    def _without(self, j: int) -> tuple[FloatArray, float]:
        """Posterior probabilities of the pairs of nodes without group j, and the log of p(y_-j)."""
        own = self._log_group(j)
        log = np.where(
            np.isfinite(own), self._log_weights - np.where(np.isfinite(own), own, 0), -np.inf
        )
        total = _log_sum(log)
        return np.exp(log - total), total

    def parameter(self, name: str, *, power: int = 1) -> Density:
        """Posterior of a parameter to a power."""
        side, axis = (self.errors, 1) if name in self.errors.columns else (self.population, 0)
        about, t, mass = side.along(name, self.weights.sum(axis=axis))
        return Density(t, mass, lambda at: about.values(at) ** power)

    def hidden(self, j: int, name: str, *, power: int = 1) -> Density:
        """Posterior of something else that is unknown of group j, to a power."""
        found = self.model.hidden(j, self.errors.columns, self.population.columns)[name]
        others, _ = self._without(j)
        mass = (found.given_errors * (others @ found.given_population)).sum(axis=0)
        return Density(found.places, mass / mass.sum(), lambda at: found.value(at) ** power)

    def new_group(self) -> NewGroup:
        """Theta of a group that there are no data of."""
        mu = self.parameter("mu")
        probabilities, columns = self.weights.sum(axis=0), self.population.columns
        with np.errstate(invalid="ignore"):
            within = float(probabilities @ self.model.population_variance(columns).ravel())
        sd = math.sqrt(within + mu.sd**2)
        return NewGroup(self.model, columns, probabilities, mu.mean, sd)


@dataclass(frozen=True)
class Known:
    """What is known of a group.

    Attributes
    ----------
    theta
        Its posterior.
    score
        Log density of its data given those of all others.
    below
        Probability of a smaller own estimate than the group has, given all others.
    """

    theta: Density
    score: float
    below: float


@dataclass(frozen=True)
class NewGroup:
    """Theta of a group that there are no data of: a mixture over the nodes of the population."""

    model: Tabled
    columns: Mapping[str, FloatArray]
    probabilities: FloatArray
    mean: float
    sd: float

    def quantile(self, p: FloatArray, start: FloatArray | None = None) -> FloatArray:
        """Quantiles, by halving."""
        del start
        low, high = self.model.ends
        far, close = 1e3 * (high - low), 1e-9 * (high - low)
        roots = [
            optimize.brentq(partial(self._beyond, share=q), low - far, high + far, xtol=close)
            for q in p.tolist()
        ]
        return np.array(roots, dtype=np.float64)

    def _beyond(self, x: float, *, share: float) -> float:
        return -share + float(
            self.probabilities @ self.model.population_cdf(x, self.columns).ravel()
        )


@dataclass(frozen=True)
class TabledPosterior:
    """Posterior of such a model, on a grid and on one with more nodes.

    Attributes
    ----------
    model
        The model, with nodes that suit its posterior.
    """

    pooling: ClassVar[Literal["partial"]] = "partial"

    model: Tabled

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.model.labels

    @cached_property
    def coarse(self) -> Grid:
        """The grid with fewer nodes."""
        return Grid(self.model, _COARSE)

    @cached_property
    def fine(self) -> Grid:
        """The one with more; the numbers reported are its."""
        return Grid(self.model)

    @property
    def log_marginal_likelihood(self) -> float:
        """Log of p(y), with all constants."""
        return self.fine.log_marginal_likelihood

    def leave_one_out(self) -> FloatArray:
        """Log predictive density of each group's data given all others, shape (J,)."""
        return np.array([known.score for known in self.fine.groups])

    def leave_one_out_cdf(self) -> FloatArray:
        """Probability that each group's own estimate is smaller than it is, given all others."""
        return np.array([known.below for known in self.fine.groups])

    def summary(self) -> pd.DataFrame:
        """Posterior moments and quantiles.

        Returns
        -------
        DataFrame
            One row a quantity: `parameter` (theta, the parameters, the squares of tau and sigma,
            what else is unknown of a group, theta_new), `group` (label, or empty), `mean`, `sd`,
            quantiles, and `error`: the largest change of any of these by a grid with more nodes,
            in posterior sds.
        """
        return self._summary.copy()

    @cached_property
    def _summary(self) -> pd.DataFrame:
        return table(self._quantities(), self.coarse, self.fine, DEFAULT_PROBS)

    def _quantities(self) -> Iterator[Quantity[Grid]]:
        model = self.model
        for j, label in enumerate(model.labels):
            yield Quantity("theta", label, partial(_theta, j=j))
        for axis in (*model.population, *model.errors):
            yield Quantity(axis.name, "", partial(Grid.parameter, name=axis.name))
            if axis.name in ("tau", "sigma"):
                square = partial(Grid.parameter, name=axis.name, power=2)
                yield Quantity(f"{axis.name}2", "", square)
        for j, label in enumerate(model.labels):
            for name in model.also_by_group:
                yield Quantity(name, label, partial(Grid.hidden, j=j, name=name))
                if name == "sigma":
                    squared = partial(Grid.hidden, j=j, name=name, power=2)
                    yield Quantity(f"{name}2", label, squared)
        yield Quantity("theta_new", "", Grid.new_group)


def _itself(x: FloatArray) -> FloatArray:
    return x


def _theta(grid: Grid, *, j: int) -> Density:
    return grid.groups[j].theta


_LATEST: deque[tuple[tuple[object, ...], TabledPosterior]] = deque(maxlen=4)
"""The latest posteriors, and what they were made of: a report asks for the same several times."""


def tabled(make: Callable[[], Tabled], *made_of: object) -> TabledPosterior:
    """Find nodes that suit the posterior of a model, starting from its rough ones.

    Parameters
    ----------
    make
        Makes the model.
    made_of
        What it is made of: the same objects (or equal ones that are no arrays) make the same.
    """
    for parts, posterior in _LATEST:
        if len(parts) == len(made_of) and all(map(_same, parts, made_of)):
            return posterior
    model = make()
    for _ in range(_ROUNDS):
        grid = Grid(model, _ROUGH)
        moved = {
            axis.name: relocated(axis, grid.parameter(axis.name))
            for axis in (*model.population, *model.errors)
        }
        population, errors = (
            tuple(moved[axis.name] for axis in axes) for axes in (model.population, model.errors)
        )
        model = replace(model, population=population, errors=errors)  # type: ignore[type-var]
    posterior = TabledPosterior(model)
    _LATEST.append((made_of, posterior))
    return posterior


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, Choice | str) and one == other)


def relocated(axis: Axis, found: Density) -> Axis:
    """Move an axis to where its parameter lies; widen one that is too narrow step by step."""
    x = np.log(found.x) if axis.positive else found.x
    mean = float(found.mass @ x)
    sd = math.sqrt(float(found.mass @ (x - mean) ** 2))
    return replace(axis, location=mean, scale=min(max(sd, axis.scale / 4), 4 * axis.scale))


def _log_sum(log: FloatArray) -> float:
    largest = float(log.max())
    return largest + math.log(float(np.exp(log - largest).sum()))
