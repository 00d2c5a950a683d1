"""Numbers in priors: scaled to the data, set by its file or by the user, compared with the data.

The families of the priors are written in the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from partialpool.errors import InputError


@dataclass(frozen=True)
class Priors:
    """Values of prior hyperparameters, and where each one comes from.

    Attributes
    ----------
    values
        Hyperparameter to value, for example `{"mu_location": 20.0}`.
    sources
        Hyperparameter to the origin of its value, as people read it.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.Priors({"mu_scale": 10.0}).updated({"mu_scale": 5.0}, source="the paper").values
    {'mu_scale': 5.0}
    """

    values: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)

    def updated(self, values: Mapping[str, float], *, source: str) -> Priors:
        """Return the settings with some values replaced or added."""
        return Priors({**self.values, **values}, {**self.sources, **dict.fromkeys(values, source)})

    def without(self, *names: str) -> Priors:
        """Return the settings without some."""
        kept = [name for name in self.values if name not in names]
        sources = {name: self.sources[name] for name in kept if name in self.sources}
        return Priors({name: self.values[name] for name in kept}, sources)

    def required(self, names: Sequence[str]) -> list[float]:
        """Return the values of some settings, in order.

        Raises
        ------
        InputError
            One of them is missing.
        """
        for name in names:
            if name not in self.values:
                raise InputError(f"prior setting {name} is missing; add --prior {name}=NUMBER")
        return [self.values[name] for name in names]


SCALED, SET_BY_USER = "scaled to the data", "set by the user"
STANDARD = "the same for all data"
"""Sources of settings, besides the data's file."""


def parse_prior_settings(settings: Sequence[str]) -> dict[str, float]:
    """Read settings such as `mu_scale=5`.

    Raises
    ------
    InputError
        A setting without `=`, whose value is no finite number, or that is given twice.
    """
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not equals or not name.strip().isidentifier() or not math.isfinite(number):
            raise InputError(f"--prior {setting}: write NAME=NUMBER, for example mu_scale=5")
        if name.strip() in values:
            raise InputError(f"--prior {setting}: {name.strip()} is given twice; give one value")
        values[name.strip()] = number
    return values
