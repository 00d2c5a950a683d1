"""The figures of a result, each by a name, as plotnine figures to add layers to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import plotnine as p9

from partialpool import plots
from partialpool.programs import statements
from partialpool.report import figures
from partialpool.report.figures import Plan

if TYPE_CHECKING:
    from partialpool.api.result import Result


class Figures:
    """Figures of a result: `result.plot.models()`, `result.plot.contrasts()` ...

    `dir(result.plot)` lists those that there are; each is complete with titles and labels.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    def _plans(self) -> dict[str, Plan]:
        found = self._result.comparison
        models = {
            fit.name: model
            for fit in found.fits
            if (model := statements.of_program(fit.record.source, fit.record.priors))
        }
        return {_name(plan.key): plan for plan in figures.plan(found, models)}

    def __dir__(self) -> Iterable[str]:
        """List the names of the figures."""
        return sorted(self._plans())

    def __getattr__(self, name: str) -> Callable[[], p9.ggplot]:
        """Return the figure of a name, as a method that draws it."""
        if name.startswith("_"):
            raise AttributeError(name)
        plans = self._plans()
        if name not in plans:
            raise AttributeError(f"no figure {name!r}; there are {', '.join(sorted(plans))}")

        def draw() -> p9.ggplot:
            made = plans[name].make()
            figure: p9.ggplot = getattr(plots, made.function)(**made.arguments)
            return figure

        draw.__name__ = name
        draw.__doc__ = f"Draw the figure {name}."
        return draw

    def __repr__(self) -> str:
        """List the names of the figures."""
        return f"Figures: {', '.join(sorted(self._plans()))}"


def _name(key: str) -> str:
    """Name of a figure as an attribute: `3-hierarchical_marginal-prior` is that of its model."""
    number, _, rest = key.partition("-")
    return (rest if number.isdigit() else key).replace("-", "_")
