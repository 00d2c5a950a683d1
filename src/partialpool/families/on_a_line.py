"""What families share whose groups lie about a regression line on covariates of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from partialpool.families.base import Design, rounded
from partialpool.families.covariates import Covariates
from partialpool.families.protocols import Declared
from partialpool.priors import Normal
from partialpool.priors.hyperparameters import SCALED, Priors
from partialpool.settings import Settings
from partialpool.types import FloatArray

if TYPE_CHECKING:
    from partialpool.families.base import Family as _Base
    from partialpool.families.base import Statistics as _Statistics
else:
    _Base = _Statistics = object

_SLOPES = 2.5
_SIMULATED_SLOPE = 2.0


@dataclass(frozen=True)
class Explained(_Statistics):
    """What statistics have besides those of the same rows, where covariates explain the groups.

    Attributes
    ----------
    explained_by
        Covariates of the groups.
    """

    explained_by: Covariates

    apart: ClassVar[tuple[str, ...]] = ("labels", "explained_by")

    @property
    def covariates(self) -> Covariates:
        """Covariates of the groups."""
        return self.explained_by

    def summary(self) -> pd.DataFrame:
        """Describe each group, with a column for each covariate in its own unit."""
        of_each = dict(zip(self.covariates.names, self.covariates.values.T, strict=True))
        return super().summary().assign(**of_each)  # type: ignore[safe-super]


class OnALine(_Base):
    """What such families share; beside the family of the same rows."""

    explained: ClassVar[str] = ""

    def default_priors(self, stats: Any) -> Priors:
        """Priors of the model without covariates, and one of the slopes.

        What an sd of a covariate adds to theta: normal(0, 2.5 s) with s the `total_sd` of the
        statistics, as rstanarm scales its priors of coefficients (Goodrich, Gabry, Ali and
        Brilleman, *rstanarm*, "Prior distributions").

        Raises
        ------
        InputError
            As there.
        """
        given = super().default_priors(stats)  # type: ignore[safe-super]
        found = {**given.values, "beta_scale": rounded(_SLOPES * self.slope_unit(stats))}
        values = {name: found[name] for name in self.settings if name in found}
        return Priors(values, dict.fromkeys(values, SCALED))

    def slope_unit(self, stats: Any) -> float:
        """Spread of what the line explains, in which slopes for an sd of x are counted."""
        return float(stats.total_sd)

    def slope_choices(self, base: Any) -> dict[str, Any]:
        """Choices that vary the prior of the slopes: ten times as wide, and a fifth."""
        factors = {"beta_wide": 10.0, "beta_narrow": 0.2}
        return {
            name: replace(base, name=name, beta=Normal(0.0, base.beta.scale * factor))
            for name, factor in factors.items()
        }

    def expected(self, choice: Any, stats: Any, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group, with the covariates of one at hand."""
        rng = np.random.default_rng(1)  # the same numbers for every choice
        x = stats.covariates.design[:, 1:]
        at = rng.integers(0, len(x), z.shape[1])
        slopes = choice.beta.scale * rng.standard_normal((z.shape[1], x.shape[1]))
        places = x[at] + self.deviations(stats, z.shape[1], rng)
        return np.asarray(super().expected(choice, stats, u, z) + (places * slopes).sum(axis=1))

    def deviations(self, stats: Any, count: int, rng: np.random.Generator) -> FloatArray:
        """How far covariates of rows lie from those of their group, in sds, shape (count, K)."""
        del rng
        return np.zeros((count, stats.covariates.K))

    def slopes_between(self, stats: Any) -> int:
        """How many slopes only the differences of groups tell."""
        return int(stats.covariates.K)

    def check_poolable(self, program: Declared, stats: Any) -> list[str]:
        """As without covariates; where groups are few the line takes most of what they say."""
        found = super().check_poolable(program, stats)  # type: ignore[safe-super]
        slopes = self.slopes_between(stats)
        left = stats.J - slopes - 1
        if program.pooling == "partial" and not found and left <= 2:
            found = [
                f"{stats.J} groups and {slopes + 1} coefficients leave {left} to tell "
                "tau by: its prior decides how much is pooled"
            ]
        return found

    def starts(
        self, program: Declared, stats: Any, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """As without covariates, with slopes within half an sd of the data for one of x.

        Within half an sd of their prior, where that leaves less.
        """
        found = super().starts(  # type: ignore[safe-super]
            program, stats, settings, inputs=inputs
        )
        if "beta" in program.declared["parameters"]:
            for chain, start in enumerate(found):
                rng = np.random.default_rng([settings.seed, chain, 1])
                unit = min(self.slope_unit(stats), float(inputs.get("beta_scale", np.inf)))
                slopes = 0.5 * unit * rng.uniform(-1, 1, stats.covariates.K)
                start["beta"] = slopes / stats.covariates.spread
        return found

    @property
    def design(self) -> Design:
        """The design without covariates, and the prior of a slope."""
        plain = super().design  # type: ignore[safe-super]
        values = {**plain.priors.values, "beta_scale": _SIMULATED_SLOPE}
        return replace(plain, family=self.name, priors=Priors(values))
