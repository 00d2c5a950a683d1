"""What produced the draws of a fit, as a record that is kept with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partialpool.data import GroupedData
from partialpool.families.protocols import Pooling
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import Program
from partialpool.settings import Settings

INDEPENDENT = {"version": "none", "origin": "independent draws from the exact posterior"}
"""What a record says in place of CmdStan where no chains were run."""


@dataclass(frozen=True)
class FitRecord:
    """What produced the draws of one program on one data set.

    Attributes
    ----------
    program, title, pooling
        Name of the program, the model's name as people read it, and how it pools.
    source, included, program_sha256
        Text of the Stan program, text of what it includes by path, and the hash of both.
    data, data_sha256, family
        Name of the data, the hash of their file, and the family of what they say.
    priors, priors_sources
        Values of the hyperparameters, and where each one comes from.
    settings
        Sampling settings: the fields of `partialpool.settings.Settings`.
    prior_only, pointwise
        Whether the likelihood was left out; whether `log_lik` and `y_rep` were generated.
    extra
        Further inputs.
    columns, effects
        Input to columns of the data, and what the program calls theta.
    inputs, parameters, integers
        Names that the program declares as data and as parameters, and its integer outputs.
    lacking
        What the program does not offer, and what is missed for it, one phrase each.
    keeps
        Parts of the normal model that the program keeps to (`partialpool.fitting.normality`); None
        where nobody asked, and all are taken to hold.
    warnings
        What to be wary of, one phrase each.
    lost_chains
        Number of a chain that failed to what it said, where `Settings.survivors` allows that.
    attempts
        Fits that failed before this one, where another attempt was asked for.
    versions, cmdstan, timings
        Packages and CmdStan by version, and seconds by step.
    choice
        The priors in words, in a fit under a choice of priors.
    """

    program: str
    title: str
    pooling: Pooling
    source: str = ""
    included: Mapping[str, str] = field(default_factory=dict)
    program_sha256: str = ""
    data: str = ""
    data_sha256: str = ""
    family: str = "normal"
    priors: Mapping[str, float] = field(default_factory=dict)
    priors_sources: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=lambda: dataclasses.asdict(Settings()))
    prior_only: bool = False
    pointwise: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    effects: str = "theta"
    inputs: tuple[str, ...] = ()
    parameters: tuple[str, ...] | None = None
    integers: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    keeps: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()
    lost_chains: Mapping[str, str] = field(default_factory=dict)
    attempts: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    cmdstan: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    choice: str = ""

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list):
                object.__setattr__(self, each.name, tuple(value))

    @property
    def independent(self) -> bool:
        """Whether the draws are independent ones from the exact posterior, and no chains."""
        return self.cmdstan == INDEPENDENT

    @classmethod
    def of(
        cls,
        program: Program,
        data: GroupedData,
        priors: Priors,
        settings: Settings,
        **more: Any,
    ) -> FitRecord:
        """Record a program, data, priors and settings; `more` are other fields."""
        about = {
            "program": program.name,
            "title": program.title,
            "pooling": program.pooling,
            "source": program.path.read_text(encoding="utf-8"),
            "included": program.included,
            "program_sha256": program.sha256,
            "data": data.name,
            "data_sha256": data.sha256,
            "family": data.family.name,
            "priors": dict(priors.values),
            "priors_sources": dict(priors.sources),
            "settings": dataclasses.asdict(settings),
            "columns": {name: list(given) for name, given in program.columns.items()},
            "effects": program.effects,
            "inputs": program.inputs,
            "parameters": tuple(program.declared["parameters"]),
        }
        return cls(**{**about, **more})

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON can hold it; what does not apply is left out."""
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        if not self.choice:
            del found["choice"]
        if not self.attempts:
            del found["attempts"]
        return {
            name: list(value)
            if isinstance(value, tuple)
            else dict(value)
            if isinstance(value, Mapping)
            else value
            for name, value in found.items()
        }
