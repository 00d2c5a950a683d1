"""Comparison and drawn figures -> one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from partialpool.families.base import MARGINAL
from partialpool.fitting import Fit
from partialpool.programs import statements
from partialpool.report import (
    cells,
    companions,
    later,
    levels,
    mathematics,
    outliers,
    outlying,
    own_spreads,
    regression,
    sentences,
    spread,
    tau_priors,
    thresholds,
    trust,
    verification,
    views,
    wording,
)
from partialpool.report.drawing import Figure
from partialpool.tables import exponential
from partialpool.tables.comparison import LEFT_OUT, OF_ROWS, Comparison
from partialpool.tables.exactness import is_shipped

_MARGINAL = (
    "It is {made} in its marginal form: what is normal given τ is integrated out by algebra and "
    "drawn afterwards. The posterior is the same as that of the centered and the non-centered form."
)
_MARGINAL_COUNTS = (
    "It is {made} in its marginal form: the {thetas} are integrated out, and drawn afterwards. "
    "The posterior is the same as that of the centered form."
)


@dataclass(frozen=True)
class Picture:
    """A figure on the page: embedded, or the reason for which it is missing."""

    key: str
    caption: str
    alt: str = ""
    source: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    key: str
    title: str
    sentences: Sequence[str] = ()
    views: Sequence[cells.View | None] = ()
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = ()
    mathematics: Sequence[Markup] = ()
    priors: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    children: Sequence[Section] = ()
    folded: str = ""
    """What its tables are called, where they are shown only when they are asked for."""


def picture(figure: Figure, folder: Path, marks: str, *, folded: bool = False) -> Picture:
    """Embed a drawn figure; `marks` says in its caption what the marks are."""
    raw = (folder / f"{figure.key}.png").read_bytes()
    width, height = struct.unpack(">II", raw[16:24])
    source = "data:image/png;base64," + base64.b64encode(raw).decode("ascii")
    caption = f"{figure.caption} {marks}".strip()
    return Picture(figure.key, caption, figure.alt, source, width, height, folded=folded)


def _said(say: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """Let sentences that cannot be made leave the rest of the page alone."""
    try:
        return say(*arguments)
    except Exception as error:  # the page names the problem instead
        return [f"This part could not be written ({type(error).__name__}: {error})."]


def _no_spread(comparison: Comparison) -> list[str]:
    """What the Bayes factor of effects without spread says."""
    on_a_line = comparison.data.stats.covariates is not None
    return spread.line(comparison.table("bayes_factor"), on_a_line=on_a_line)


def _view(make: Callable[..., cells.View | None], *arguments: Any) -> cells.View | None:
    """Let a table that cannot be made leave the rest of the page alone."""
    try:
        return make(*arguments)
    except Exception as error:  # the page names the problem instead
        problem = f"{type(error).__name__}: {error}"
        return cells.View(f"the table “{make.__name__}”", (), (), "", note=problem)


def sections(
    comparison: Comparison,
    pictures: Mapping[str, Sequence[Picture]],
    models: Mapping[str, statements.Model],
) -> list[Section]:
    """Arrange a report: data, models, diagnostics, shrinkage, comparisons, prediction, checks.

    Parameters
    ----------
    comparison
        The frames.
    pictures
        Section to its figures; the section of a model is `model:NAME`.
    models
        Name of a fit to the statements of its program, where known.
    """

    def shown(key: str) -> Sequence[Picture]:
        return pictures.get(key, ())

    partial = comparison.model("partial")
    best = partial or comparison.model("none")
    checked = best or comparison.fits[0]
    return [
        Section(
            "data",
            "The data",
            _said(sentences.about_data, comparison),
            [_view(views.groups, comparison)],
            shown("data"),
        ),
        Section(
            "models",
            "The models",
            children=[
                model_section(comparison, fit, shown(f"model:{fit.name}"), models)
                for fit in comparison.fits
            ],
        ),
        Section(
            "diagnostics",
            "Diagnostics",
            [*_said(trust.verdicts, comparison), *_said(verification.line, comparison)],
            [_view(views.diagnostics, comparison), _view(verification.view, comparison)],
            shown("diagnostics"),
            folded="Every check of every fit" if all(comparison.trusted.values()) else "",
        ),
        Section(
            "shrinkage",
            "Shrinkage",
            [
                *_said(regression.lines, comparison),
                *_said(sentences.shrinkage, comparison, partial),
                *_said(levels.lines, comparison),
                *_said(own_spreads.lines, comparison),
                *_said(outliers.lines, comparison),
                *_said(outlying.lines, comparison),
                *_said(own_spreads.against_usual, comparison),
                *_said(tau_priors.line, comparison),
                *_said(_no_spread, comparison),
            ],
            [
                _view(views.shrinkage, comparison),
                _view(views.displacement, comparison, partial) if partial else None,
                _view(views.variance, comparison),
                _view(levels.variance_view, comparison),
                _view(levels.outer_view, comparison),
                _view(levels.poolings_view, comparison),
                _view(own_spreads.view, comparison),
                _view(outliers.view, comparison),
                _view(outlying.view, comparison),
                _view(own_spreads.usual_view, comparison),
                _view(regression.coefficients, comparison),
                _view(regression.adjusted, comparison),
                _view(tau_priors.view, comparison),
                _view(companions.classical, comparison),
                _view(companions.blup, comparison),
                _view(companions.meta_analysis, comparison),
                _view(regression.classical, comparison),
                _view(companions.maximum_likelihood, comparison),
                _view(companions.predictors, comparison),
                _view(companions.weights, comparison),
                _view(spread.view, comparison),
            ],
            shown("shrinkage"),
        ),
        Section(
            "comparisons",
            "Comparisons",
            [
                *_said(sentences.compared, comparison),
                *_said(sentences.not_a_test, comparison),
                *_said(sentences.ranked, comparison, best),
                *_said(thresholds.lines, comparison),
            ],
            [
                _view(views.claims, comparison),
                _view(views.contrasts, comparison),
                _view(views.ranks, comparison, best) if best else None,
                _view(thresholds.view, comparison),
            ],
            shown("comparisons"),
        ),
        Section(
            "prediction",
            "Prediction",
            [*_said(later.lines, comparison), *_said(sentences.predicted, comparison)],
            [
                _view(later.view, comparison),
                _view(views.predictions, comparison, checked),
                _view(
                    views.scores,
                    comparison,
                    "loo",
                    "How well is a new observation in a known group predicted?",
                ),
                _view(
                    views.scores,
                    comparison,
                    "leave_one_group_out",
                    "How well is a whole new group predicted?",
                ),
            ],
            shown("prediction"),
        ),
        Section(
            "checks", "Checks", _said(sentences.checked, comparison, checked), (), shown("checks")
        ),
    ]


_SAYS = {"complete": sentences.complete, "none": sentences.none, "partial": sentences.partial}


def model_section(
    comparison: Comparison,
    fit: Fit,
    pictures: Sequence[Picture],
    models: Mapping[str, statements.Model],
) -> Section:
    """Part of the page on one model: its mathematics, its priors, and what its fit says."""
    written: list[Markup] = []
    if fit.name in models:
        by_group = {str(n) for n, a in fit.posterior.data_vars.items() if "group" in a.dims}
        if fit.pooling in ("none", "partial"):
            # theta also where the program integrates over it and draws none
            by_group |= {"theta", fit.record.effects, *comparison.data.family.effects}
        if comparison.data.family.rows_are_groups:
            by_group |= {"y", *comparison.data.stats.columns}
        by_outer = {str(n) for n, a in fit.posterior.data_vars.items() if "outer_group" in a.dims}
        if comparison.data.stats.covariates is not None:
            by_group |= {"x"}
        names = mathematics.Names(by_group, fit.record.priors, comparison.data.log, by_outer)
        written = mathematics.write(models[fit.name], names)
    says = _SAYS.get(fit.pooling)
    said = _said(says or trust.withheld, comparison, fit)
    lacks = [f"The program has {absence}." for absence in fit.record.lacking]
    if fit.name == MARGINAL and is_shipped(fit):
        form = _MARGINAL if comparison.data.family.gaussian else _MARGINAL_COUNTS
        made = "drawn from its exact posterior" if fit.record.independent else "sampled"
        lacks.append(form.format(made=made, thetas=comparison.data.words.thetas))
    return Section(
        f"model-{list(comparison.titles).index(fit.name) + 1}",
        wording.capital(fit.title),
        [*said, *lacks],
        [_view(views.estimates, comparison, fit)],
        pictures,
        [f"{warning}." for warning in fit.record.warnings],
        written,
        views.priors(fit),
        fit.record.source,
    )


def render(
    comparison: Comparison,
    parts: Sequence[Section],
    *,
    made: Mapping[str, Any],
    missing: Mapping[str, str],
) -> str:
    """Write the page.

    Parameters
    ----------
    comparison
        The frames.
    parts
        What `sections` returned.
    made
        How the report was made, for its last part: heading to text.
    missing
        Name of a table to the reason for which it is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("partialpool.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        comparison=comparison,
        title=comparison.data.title or comparison.data.name,
        counted=comparison.data.counted,
        models=wording.poolings(comparison),
        measured=exponential.axis_title(comparison.data),
        parts=parts,
        failures=trust.failures(comparison),
        short=_said(sentences.in_short, comparison),
        made=made,
        missing={key: reason for key, reason in missing.items() if reason != OF_ROWS},
        left_out=LEFT_OUT if OF_ROWS in missing.values() else "",
    )
