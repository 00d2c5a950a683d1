"""Choices of priors where groups lie within groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from partialpool.priors.choices import PriorChoice
from partialpool.priors.distributions import Normal, Prior, ScalePrior, parse_scale_prior


@dataclass(frozen=True)
class NestedChoice(PriorChoice):
    """Priors of a hierarchical model of groups within groups.

    Attributes
    ----------
    name, mu, tau, sigma
        As of `PriorChoice`; mu is the mean of the outer groups, and tau the sd between the groups
        of one outer group.
    omega
        Prior of the sd between outer groups, in the unit of the data.
    """

    omega: ScalePrior = field(kw_only=True)

    parsers: ClassVar[Mapping[str, Callable[[str], Prior]]] = {
        **PriorChoice.parsers,
        "omega": parse_scale_prior,
    }
    usage = "[NAME:] omega=half_cauchy(5), tau=half_normal(5), mu=normal(20, 10)"

    @property
    def priors(self) -> dict[str, Normal | ScalePrior]:
        """Parameter to its prior, the outermost first."""
        rest = super().priors
        return {"mu": rest.pop("mu"), "omega": self.omega, **rest}
