"""Choices of priors for the hierarchical model: named ones, and ones that a user writes.

A choice is a prior of mu, of tau and of sigma. The named alternatives vary one of the three and
leave the others as they are in the base choice, so that a change in the answer has one cause;
`weak` and `hoff` change all. Scales of alternatives are set to the data's: s is the sd of all
observations, groups ignored, rounded to two digits.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.prior_settings import Priors, default_priors
from partialpool.priors import (
    SCALE_FAMILIES,
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
    parse_location_prior,
    parse_scale_prior,
)

BASE = "base"
"""Name of the choice that the others are held against."""

SETTINGS = ("mu_location", "mu_scale", "tau_upper", "sigma_upper")
"""Prior settings that the base choice is made from."""

_PARAMETERS = ("mu", "tau", "sigma")
_FAR = 3
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
        Priors of the sd between group means and of the sd within groups.
    """

    name: str
    mu: Normal
    tau: ScalePrior
    sigma: ScalePrior

    def describe(self) -> str:
        """The three sampling statements, for example ``tau ~ half-Cauchy(0, 5)``."""
        return ", ".join(getattr(self, name).describe(name) for name in _PARAMETERS)

    def difference(self, base: PriorChoice) -> str:
        """The sampling statements in which the choice differs from another."""
        changed = [name for name in _PARAMETERS if getattr(self, name) != getattr(base, name)]
        return ", ".join(getattr(self, name).describe(name) for name in changed)

    def log_density(self, mu: ArrayLike, tau: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
        """Joint log density of the three parameters, with its constant."""
        return self.mu.log_density(mu) + self.tau.log_density(tau) + self.sigma.log_density(sigma)

    def inputs(self) -> dict[str, Any]:
        """Inputs of the program `sensitivity` that select these priors."""
        found: dict[str, Any] = {"mu_location": self.mu.location, "mu_scale": self.mu.scale}
        for name, prior in (("tau", self.tau), ("sigma", self.sigma)):
            settings = [float(getattr(prior, field.name)) for field in fields(prior)]
            found[f"{name}_family"] = 1 + list(SCALE_FAMILIES).index(prior.family)
            found[f"{name}_prior"] = [settings[0], settings[-1]]
            found[f"{name}_upper"] = prior.upper_bound
        return found


def base_choice(priors: Priors) -> PriorChoice:
    """Priors of the shipped hierarchical programs, under the settings given.

    Raises
    ------
    InputError
        A setting is missing or outside its range.
    """
    missing = [name for name in SETTINGS if name not in priors.values]
    if missing:
        raise InputError(f"prior setting {missing[0]} is missing; add --prior {missing[0]}=NUMBER")
    location, scale, tau, sigma = (priors.values[name] for name in SETTINGS)
    return PriorChoice(BASE, Normal(location, scale), Uniform(tau), Uniform(sigma))


def named_choices(data: GroupedData, priors: Priors) -> dict[str, PriorChoice]:
    """Every choice that can be asked for by name, the base first.

    The alternatives for tau are the half-normal, half-Cauchy and half-t families that Gelman
    (2006, *Bayesian Analysis* 1, 515-534) discusses, the exponential, and the two inverse-gamma
    priors of tau^2 that he warns of: these are fixed numbers, whatever the unit of the data.
    `weak` holds all three priors to the scale of the data: half-normal(0, s) for both sds, and
    mu as in `prior_settings.default_priors`. `hoff` is the prior of Hoff
    (2009), *A First Course in Bayesian Statistical Methods*, exercise 8.3: mu0 = 7,
    gamma0^2 = 5, eta0 = 2, tau0^2 = 10, nu0 = 2, sigma0^2 = 15, in hours a week.

    Raises
    ------
    InputError
        A setting of the base is missing or outside its range, or all observations are equal.
    """
    base = base_choice(priors)
    scaled = default_priors(data.stats).values
    s = float(f"{data.stats.total_sd:.2g}")
    variance = InverseGammaVariance.scaled_inverse_chi_square
    taus: dict[str, ScalePrior] = {
        "half_normal": HalfNormal(s),
        "half_cauchy": HalfCauchy(s),
        "half_t": HalfT(3, s),
        "exponential": Exponential(float(f"{1 / s:.2g}")),
        "inverse_gamma_0.01": InverseGammaVariance(0.01, 0.01),
        "inverse_gamma_1": InverseGammaVariance(1, 1),
    }
    choices = [base, *(replace(base, name=name, tau=tau) for name, tau in taus.items())]
    choices += [
        replace(base, name="sigma_half_cauchy", sigma=HalfCauchy(s)),
        replace(base, name="mu_wide", mu=replace(base.mu, scale=10 * base.mu.scale)),
        replace(base, name="mu_narrow", mu=replace(base.mu, scale=0.5 * base.mu.scale)),
        PriorChoice(
            "weak",
            Normal(scaled["mu_location"], scaled["mu_scale"]),
            HalfNormal(s),
            HalfNormal(s),
        ),
        PriorChoice("hoff", Normal(7, round(math.sqrt(5), 4)), variance(2, 10), variance(2, 15)),
    ]
    return {choice.name: choice for choice in choices}


def default_choices(data: GroupedData, priors: Priors) -> tuple[PriorChoice, ...]:
    """Return the named choices without those that speak of other data.

    Left out is a choice whose prior of mu has its center more than three of its sds from the
    mean of the data, unless it is the base's prior: `hoff`, where the data are not hours a week.
    """
    named = named_choices(data, priors)
    mean = data.stats.grand_mean
    return tuple(
        choice
        for choice in named.values()
        if choice.mu.location == named[BASE].mu.location
        or abs(choice.mu.location - mean) <= _FAR * choice.mu.scale
    )


def choose(
    texts: Sequence[str] | None, data: GroupedData, priors: Priors
) -> tuple[PriorChoice, ...]:
    """Settle which choices to compare: those given as text, or the default ones.

    Parameters
    ----------
    texts
        Names of choices, or priors written out: ``tau=half_cauchy(5)``, with a name of one's own
        ``wide: tau=half_cauchy(25), mu=normal(8, 10)``. What a text leaves out is as in the base
        choice. None for the default choices.

    Returns
    -------
    tuple of PriorChoice
        The base choice comes first, whether named or not.

    Raises
    ------
    InputError
        An unknown name, a prior that cannot be read, or one name for two choices.
    """
    if not texts:
        return default_choices(data, priors)
    named = named_choices(data, priors)
    chosen = {BASE: named[BASE]}
    for text in texts:
        choice = named.get(text.strip()) or parse_choice(text, named)
        if chosen.setdefault(choice.name, choice) != choice:
            raise InputError(f"--choice {text}: there are two choices called {choice.name!r}")
    return tuple(chosen.values())


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
