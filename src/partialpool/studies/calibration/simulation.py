"""A truth drawn from the prior, and data drawn from the model given it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.base import Design
from partialpool.priors import Normal
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import Program
from partialpool.types import FloatArray

Truth = Mapping[str, FloatArray]
"""True values: scalars have shape (), values by group have shape (J,)."""


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


def every_program(family: str) -> tuple[str, ...]:
    """Names of all shipped programs of a family."""
    return (*FAMILIES[family].programs, "sensitivity")


def simulate(program: Program, design: Design, rng: np.random.Generator) -> Simulated:
    """Draw a truth from the prior, and data given it.

    Which model a program states is judged as everywhere, by `Program.pooling`: a program of one's
    own is compared with the shipped model of its kind, with that model's priors.

    Raises
    ------
    InputError
        A program that has no theta.
    """
    if program.pooling == "other":
        raise InputError(f"{program.path}: it has no theta, so there is no model to simulate from")
    family = FAMILIES[design.family]
    priors, extra = design.priors, {}
    choice: Any = family.base_choice(design.priors)
    if program.name == "sensitivity":
        names = [
            name
            for name, prior in choice.priors.items()
            if not isinstance(prior, Normal) and name not in ("mu", *choice.free_of_unit)
        ]
        picked = rng.choice(len(design.scales), size=len(names))
        drawn = {name: design.scales[k] for name, k in zip(names, picked, strict=True)}
        choice = dataclasses.replace(choice, name="drawn", **drawn)
        priors, extra = Priors({}), {**choice.inputs(), "prior_power": 1.0}
    groups = len(design.sizes)
    truth = family.draw_truth(
        program.pooling,
        groups,
        priors=design.priors,
        choice=choice,
        rng=rng,
        one_sd=program.outputs.get("sigma") == 0,
    )
    y, group, stats = family.draw_rows(truth, design.sizes, rng)
    data = GroupedData(name="simulated", y=y, group=group, stats=stats, family=family)
    return Simulated(truth, data, priors, extra)
