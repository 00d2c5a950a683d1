"""A truth drawn from the prior, and data drawn from the model given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from partialpool.data import GroupedData, from_values
from partialpool.errors import InputError
from partialpool.families.normal import NORMAL
from partialpool.priors import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
)
from partialpool.priors.choices import PriorChoice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import SHIPPED, Program
from partialpool.types import FloatArray

PROGRAMS = (*SHIPPED, "sensitivity")
"""Every shipped program."""

Truth = Mapping[str, FloatArray]
"""True values: scalars have shape (), values by group have shape (J,)."""


@dataclass(frozen=True)
class Design:
    """What is simulated.

    Attributes
    ----------
    sizes
        Observations of each group.
    priors
        Prior settings of the shipped programs; all of them are proper, and wide against what a
        data set of these sizes says, so that the prior matters as well as the likelihood.
    families
        Priors of the two sds that the program `sensitivity` is given; one of these for tau and
        one for sigma is chosen anew for each data set.
    """

    sizes: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10, 12)
    priors: Priors = field(
        default_factory=lambda: Priors(
            {
                "theta_location": 3.0,
                "theta_scale": 4.0,
                "sigma2_shape": 3.0,
                "sigma2_scale": 20.0,
                "mu_location": 3.0,
                "mu_scale": 4.0,
                "tau_upper": 6.0,
                "sigma_upper": 6.0,
            }
        )
    )
    families: tuple[ScalePrior, ...] = (
        Uniform(6),
        HalfNormal(3),
        HalfCauchy(2),
        HalfT(4, 2.5),
        Exponential(0.4),
        InverseGammaVariance(3, 20),
    )


@dataclass(frozen=True)
class Simulated:
    """A truth, data drawn from it, and what a fit of these data is given.

    Attributes
    ----------
    truth
        True values of the quantities, by name.
    data
        The observations.
    priors
        Settings of the prior that the truth was drawn from.
    extra
        Further inputs of the program.
    """

    truth: Truth
    data: GroupedData
    priors: Priors
    extra: Mapping[str, Any]


def simulate(program: Program, design: Design, rng: np.random.Generator) -> Simulated:
    """Draw a truth from the prior, and data given it.

    Which model a program states is judged as everywhere, by `Program.pooling`: a program of one's
    own is held against the shipped model of its kind, with that model's priors.

    Raises
    ------
    InputError
        A program that has no group means.
    """
    priors, extra = design.priors, {}
    sizes = np.array(design.sizes)
    if program.pooling == "complete":
        truth = _means_and_variances(priors, rng, shape=())
    elif program.pooling == "none":
        truth = _means_and_variances(priors, rng, shape=sizes.shape)
    elif program.pooling == "partial":
        choice = NORMAL.base_choice(priors)
        if program.name == "sensitivity":
            tau, sigma = rng.choice(len(design.families), size=2)
            choice = PriorChoice("drawn", choice.mu, design.families[tau], design.families[sigma])
            priors, extra = Priors({}), {**choice.inputs(), "prior_power": 1.0}
        truth = _population(choice, rng, groups=sizes.size)
    else:
        raise InputError(f"{program.path}: it has no theta, so there is no model to simulate from")
    mean, sd = (
        np.repeat(np.broadcast_to(truth[x], sizes.shape), sizes) for x in ("theta", "sigma")
    )
    labels = np.repeat([str(j) for j in range(1, sizes.size + 1)], sizes)
    data = from_values(labels.tolist(), rng.normal(mean, sd), name="simulated")
    return Simulated(truth, data, priors, extra)


def _means_and_variances(
    priors: Priors, rng: np.random.Generator, *, shape: tuple[int, ...]
) -> dict[str, FloatArray]:
    """Mean and variance of complete pooling, or of each group under no pooling."""
    value = priors.values
    theta = Normal(value["theta_location"], value["theta_scale"])
    sigma = InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"])
    drawn = {
        "theta": theta.quantile(rng.uniform(size=shape)),
        "sigma": sigma.quantile(rng.uniform(size=shape)),
    }
    return drawn | {"sigma2": drawn["sigma"] ** 2}


def _population(
    choice: PriorChoice, rng: np.random.Generator, *, groups: int
) -> dict[str, FloatArray]:
    """Population and group means of the hierarchical model, and a group that has no data."""
    mu, tau, sigma = (prior.quantile(rng.uniform()) for prior in choice.priors.values())
    eta = rng.standard_normal(groups)
    theta_new = rng.normal(mu, tau)
    return {
        "mu": mu,
        "tau": tau,
        "sigma": sigma,
        "eta": eta,
        "theta": mu + tau * eta,
        "theta_new": np.asarray(theta_new),
        "y_new": np.asarray(rng.normal(theta_new, sigma)),
    }
