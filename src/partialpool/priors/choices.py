"""Choices of priors for the hierarchical model: named ones, and ones that a user writes.

A choice is a prior of mu, of tau and of sigma. The named alternatives vary one of the three and
leave the others as they are in the base choice, so that a change in the answer has one cause;
`weak` and `hoff` change all. Scales of alternatives are set to the data's: s is the sd of all
observations, groups ignored, rounded to two digits.
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partialpool.errors import InputError
from partialpool.priors.distributions import (
    SCALE_FAMILIES,
    Normal,
    Prior,
    ScalePrior,
    parse_location_prior,
    parse_scale_prior,
)

BASE = "base"
"""Name of the choice that the others are compared with."""

_PART = re.compile(r"\s*(\w+)\s*(?:=|~)\s*(\w+\s*\([^()]*\))\s*[,;]?", re.ASCII)


@dataclass(frozen=True)
class Choice(ABC):
    """Priors of a hierarchical model under one name.

    Attributes
    ----------
    name
        What tables and figures call it.
    """

    name: str

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]]
    """Parameter that has a prior to what reads its text."""

    usage: ClassVar[str]
    """How a choice is written."""

    free_of_unit: ClassVar[tuple[str, ...]] = ()
    """Parameters whose priors are the same whatever the unit of the data."""

    spread: ClassVar[str]
    """The parameter that says how much groups differ, whose prior matters most."""

    @property
    @abstractmethod
    def priors(self) -> Mapping[str, Any]:
        """Parameter to its prior."""

    @abstractmethod
    def log_density(
        self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0
    ) -> NDArray[np.float64]:
        """Joint log density of the parameters that have a prior, with its constant, if any."""

    @abstractmethod
    def tau_density(self, tau: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Prior density of tau, which a posterior is drawn over; None where it has none."""

    def bears(self, power: float) -> bool:
        """Whether the priors to this power have a posterior, whatever the data."""
        return True

    def icc_density(self, icc: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Prior density of the intraclass correlation; None where it is not known."""
        return None

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""

    def describe(self) -> str:
        """The sampling statements, for example ``tau ~ half-Cauchy(0, 5)``."""
        return ", ".join(prior.describe(name) for name, prior in self.priors.items())

    def difference(self, base: Choice) -> str:
        """The sampling statements in which the choice differs from another."""
        return ", ".join(
            prior.describe(name)
            for name, prior in self.priors.items()
            if prior != base.priors.get(name)
        )


@dataclass(frozen=True)
class PriorChoice(Choice):
    """Priors of a hierarchical model with a normal population.

    Attributes
    ----------
    name
        What tables and figures call it.
    mu
        Prior of the mean of the group means, in the unit of the data.
    tau, sigma
        Priors of the sd between group means and of the sd within groups; no `sigma` where that sd
        is known.
    """

    mu: Normal
    tau: ScalePrior
    sigma: ScalePrior | None = None

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        "mu": parse_location_prior,
        "tau": parse_scale_prior,
        "sigma": parse_scale_prior,
    }
    usage = "[NAME:] tau=half_cauchy(5), sigma=half_normal(10), mu=normal(20, 10)"
    spread = "tau"

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior."""
        found: dict[str, Normal | ScalePrior] = {"mu": self.mu, "tau": self.tau}
        return found if self.sigma is None else {**found, "sigma": self.sigma}

    def log_density(
        self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0
    ) -> NDArray[np.float64]:
        """Joint log density of the parameters that have a prior, with its constant."""
        density = self.mu.log_density(mu) + self.tau.log_density(tau)
        return density if self.sigma is None else density + self.sigma.log_density(sigma)

    def tau_density(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        """Prior density of tau."""
        return np.exp(self.tau.log_density(tau))

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        found: dict[str, Any] = {"mu_location": self.mu.location, "mu_scale": self.mu.scale}
        for name, prior in self.priors.items():
            if isinstance(prior, Normal):
                continue
            settings = [float(getattr(prior, each.name)) for each in fields(prior)]
            found[f"{name}_family"] = 1 + list(SCALE_FAMILIES).index(prior.family)
            found[f"{name}_prior"] = [settings[0], settings[-1]]
            found[f"{name}_upper"] = prior.upper_bound
        return found


def check_slopes(beta: Normal) -> None:
    """Refuse a prior of slopes whose mean is not 0.

    Raises
    ------
    InputError
        With an example of one that is.
    """
    if beta.location != 0:
        raise InputError(
            f"beta ~ {beta}: the prior of the slopes has the mean 0, such as normal(0, 2)"
        )


@dataclass(frozen=True)
class RegressionChoice(PriorChoice):
    """Priors of a hierarchical model whose population lies about a regression line.

    Attributes
    ----------
    name, mu, tau, sigma
        As of `PriorChoice`; mu is the mean at the means of the covariates.
    beta
        Prior, about 0, of what one sd of each covariate adds.
    """

    beta: Normal = field(default_factory=lambda: Normal(0.0, 1.0))

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        **PriorChoice.parsers,
        "beta": parse_location_prior,
    }

    def __post_init__(self) -> None:
        """Refuse a prior of slopes whose mean is not 0."""
        check_slopes(self.beta)

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior; that of beta is for one sd of a covariate."""
        return {**super().priors, "beta": self.beta}

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        return {**super().inputs(), "beta_scale": self.beta.scale}


ChoiceOf = TypeVar("ChoiceOf", bound=Choice)


def parse_choice(text: str, named: Mapping[str, ChoiceOf]) -> ChoiceOf:
    """Read a choice from text such as ``wide: tau=half_cauchy(25), mu=normal(8, 10)``.

    Parameters
    ----------
    named
        The known choices; the one called ``base`` gives what the text leaves out.

    Raises
    ------
    InputError
        Text of another form, an unknown parameter or family, a setting out of range.
    """
    head, colon, rest = text.partition(":")
    name, body = (head.strip(), rest) if colon else (" ".join(text.split()), text)
    parts = _PART.findall(body)
    if not parts or not name or _PART.sub("", body).strip():
        near = difflib.get_close_matches(text.strip(), named, n=1)
        raise InputError(
            f"--choice {text}: neither the name of a choice nor priors of the form "
            f"{named[BASE].usage}."
            + (f" Did you mean {near[0]}?" if near else "")
            + f" Names: {', '.join(named)}."
        )
    given: dict[str, Any] = {}
    parsers = named[BASE].parsers
    for parameter, prior in parts:
        if parameter not in parsers or parameter in given:
            problem = "given twice" if parameter in given else "no parameter with a prior"
            raise InputError(
                f"--choice {text}: {parameter} is {problem}; give each of {', '.join(parsers)} once"
            )
        given[parameter] = parsers[parameter](prior)
    if name == BASE:
        raise InputError(
            f"--choice {text}: {BASE!r} is the name of the priors that the programs are given; "
            "change those with --prior, or take another name"
        )
    return replace(named[BASE], name=name, **given)
