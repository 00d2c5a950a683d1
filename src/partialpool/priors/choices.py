"""Choices of priors for the hierarchical model: named ones, and ones that a user writes.

A choice is a prior of mu, of tau and of sigma. The named alternatives vary one of the three and
leave the others as they are in the base choice, so that a change in the answer has one cause;
`weak` and `hoff` change all. Scales of alternatives are set to the data's: s is the sd of all
observations, groups ignored, rounded to two digits.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partialpool.errors import InputError
from partialpool.priors.distributions import (
    SCALE_FAMILIES,
    Normal,
    ScalePrior,
    parse_location_prior,
    parse_scale_prior,
)

BASE = "base"
"""Name of the choice that the others are held against."""

_PARAMETERS = ("mu", "tau", "sigma")
_PART = re.compile(r"\s*(\w+)\s*(?:=|~)\s*(\w+\s*\([^()]*\))\s*[,;]?", re.ASCII)
_USAGE = "[NAME:] tau=half_cauchy(5), sigma=half_normal(10), mu=normal(20, 10)"


@dataclass(frozen=True)
class PriorChoice:
    """Priors of the hierarchical model under one name.

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

    name: str
    mu: Normal
    tau: ScalePrior
    sigma: ScalePrior | None = None

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior."""
        found: dict[str, Normal | ScalePrior] = {"mu": self.mu, "tau": self.tau}
        return found if self.sigma is None else {**found, "sigma": self.sigma}

    def describe(self) -> str:
        """The three sampling statements, for example ``tau ~ half-Cauchy(0, 5)``."""
        return ", ".join(prior.describe(name) for name, prior in self.priors.items())

    def difference(self, base: PriorChoice) -> str:
        """The sampling statements in which the choice differs from another."""
        return ", ".join(
            prior.describe(name)
            for name, prior in self.priors.items()
            if prior != base.priors.get(name)
        )

    def log_density(
        self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike = 1.0
    ) -> NDArray[np.float64]:
        """Joint log density of the parameters that have a prior, with its constant."""
        density = self.mu.log_density(mu) + self.tau.log_density(tau)
        return density if self.sigma is None else density + self.sigma.log_density(sigma)

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        found: dict[str, Any] = {"mu_location": self.mu.location, "mu_scale": self.mu.scale}
        for name, prior in self.priors.items():
            if isinstance(prior, Normal):
                continue
            settings = [float(getattr(prior, field.name)) for field in fields(prior)]
            found[f"{name}_family"] = 1 + list(SCALE_FAMILIES).index(prior.family)
            found[f"{name}_prior"] = [settings[0], settings[-1]]
            found[f"{name}_upper"] = prior.upper_bound
        return found


def parse_choice(text: str, named: Mapping[str, PriorChoice]) -> PriorChoice:
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
            f"--choice {text}: neither the name of a choice nor priors of the form {_USAGE}."
            + (f" Did you mean {near[0]}?" if near else "")
            + f" Names: {', '.join(named)}."
        )
    given: dict[str, Normal | ScalePrior] = {}
    for parameter, prior in parts:
        if parameter not in _PARAMETERS or parameter in given:
            problem = "given twice" if parameter in given else "no parameter with a prior"
            raise InputError(
                f"--choice {text}: {parameter} is {problem}; give each of mu, tau, sigma once"
            )
        parse = parse_location_prior if parameter == "mu" else parse_scale_prior
        given[parameter] = parse(prior)
    if name == BASE:
        raise InputError(
            f"--choice {text}: {BASE!r} is the name of the priors that the programs are given; "
            "change those with --prior, or take another name"
        )
    return replace(named[BASE], name=name, **given)  # type: ignore[arg-type]
