"""Commands about priors; `partialpool.cli.app` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partialpool.cli.console import (
    finish,
    progress,
    readable_choices,
    readable_groups_by_choice,
    readable_power,
    readable_prior_predictive,
    say,
    say_scale,
    show,
    warn_missing,
)
from partialpool.cli.options import (
    Csv,
    DataOptions,
    Include,
    Programs,
    SamplingOptions,
    Without,
    chosen_names,
    load_chosen,
    load_program,
    say_unused,
)
from partialpool.cli.parsing import expand
from partialpool.cli.places import Place
from partialpool.errors import InputError
from partialpool.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from partialpool.data import GroupedData
    from partialpool.fitting import Fit
    from partialpool.priors.hyperparameters import Priors
    from partialpool.programs import Program
    from partialpool.report.results import Parts
    from partialpool.studies.prior_predictive import PriorPredictive

_GROUPS_SHOWN = 10


@expand
def priors(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    choice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|PRIORS",
            help="Name of a choice, or priors such as tau=half_cauchy(5); may be repeated.",
        ),
    ] = None,
    program: Programs = None,
    include: Include = None,
) -> None:
    """Refit partial pooling under other priors, and say which answers depend on them.

    With --program, say instead how sensitive programs of your own are to their priors.
    """
    from partialpool.plots.sensitivity import prior_sensitivity
    from partialpool.report import results
    from partialpool.studies import prior_predictive, sensitivity
    from partialpool.tables import exponential

    data_options.refuse_per("priors")
    data, settings = data_options.read(csv)
    target = place.folder(data, "priors", program or choice or ())
    if program:
        if choice:
            raise InputError(
                "--choice picks priors of the shipped model and --program names models with priors "
                "of their own: give one of the two"
            )
        loaded = [load_program(each, data, include) for each in program]
        _of_programs(loaded, data, settings, sampling, target)
        return
    sampling.refuse_inputs()
    say_unused(settings, data.family.choice_settings)
    chosen = sensitivity.choose(choice, data, settings)
    for each in chosen:
        say(
            f"  {each.name}: {each.describe() if each is chosen[0] else each.difference(chosen[0])}"
        )
    fitted = sensitivity.fit_choices(
        data,
        priors=settings,
        choices=chosen,
        settings=sampling.settings(),
        cmdstan=sampling.find_cmdstan(),
        progress=progress,
    )
    saved = {
        f"{number}-{safe(name)}": each for number, (name, each) in enumerate(fitted.fits.items(), 1)
    }
    with results.kept(target, data, saved) as (folder, parts):
        found = parts.make("the comparison", lambda: fitted.compare(data, progress=progress))
        if found is not None:
            shown = exponential.tables(
                data, {"choices": found.estimates, "choices_wide": found.summary}
            )
            estimates, summary = shown.values()
            estimates.to_csv(folder / "estimates.csv", index=False)
            summary.to_csv(folder / "summary.csv", index=False)
            found.power.to_csv(folder / "power_scaling.csv", index=False)
            parts.figure(
                folder / "priors",
                lambda: prior_sensitivity(
                    _marked(found.densities, fitted.fits),
                    _marked(estimates, fitted.fits),
                    axis_title=exponential.axis_title(data),
                    group_title=data.group_label,
                    tau_title=data.axis_title,
                    ratios=data.exp,
                ),
            )
        expected = parts.make(
            "what the priors expect", lambda: prior_predictive.from_choices(chosen, data)
        )
        if expected is not None:
            _write_expected(folder, parts, expected, data)
    if found is not None:
        means = "Geometric posterior means" if data.exp else "Posterior means"
        show(
            readable_choices(summary, exp=data.exp), f"{means} [95 % intervals] by choice of priors"
        )
        if "theta" in set(estimates["quantity"]):
            show(
                readable_groups_by_choice(estimates, most=_GROUPS_SHOWN),
                f"{means} by {data.group_label} (intervals are in summary.csv)",
            )
        say_scale(data)
    for study in (found, expected):
        for sentence in study.sentences if study is not None else ():
            say(sentence)
    warn_missing(parts.failed)
    finish(target, list(fitted.fits.values()), complete=len(fitted.fits) == len(chosen))


def _marked(frame: pd.DataFrame, fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Name the choices whose fits failed a diagnostic as such, for a figure."""
    from partialpool.fitting import diagnostics

    failed = {
        name: f"{name} (not to be trusted)"
        for name, fit in fits.items()
        if not diagnostics.trusted(diagnostics.check(fit))
    }
    return frame.assign(choice=frame["choice"].replace(failed))


def _of_programs(
    loaded: list[Program],
    data: GroupedData,
    settings: Priors,
    sampling: SamplingOptions,
    target: Path,
) -> None:
    """Power-scale programs, and set them side by side."""
    from partialpool import fitting
    from partialpool.report import results
    from partialpool.studies import edits, program_sensitivity

    fits = sampling.fit(loaded, data, settings, pointwise=True)
    by_name = {each.name: each for each in sampling.point(loaded)}
    extra = sampling.read_extra()

    def refit(fit: Fit, power: float) -> Fit:
        (other,) = fitting.fit_programs(
            [by_name[fit.name]],
            data,
            priors=settings,
            settings=fit.settings,
            cmdstan=sampling.find_cmdstan(),
            extra={**extra, "prior_power": power},
            progress=progress,
        )
        return other

    with results.kept(target, data, {each.name: each for each in fits}) as (folder, parts):
        power = parts.make(
            "power-scaling", lambda: program_sensitivity.power_scale(fits, data, refit=refit)
        )
        if power is not None:
            results.write_table(power, folder / "power_scaling.csv")
        moves = parts.table(data, "changes", lambda: edits.changes(fits, data))
        if moves is not None:
            results.write_table(moves, folder / "changes.csv")
    if power is not None and len(power):
        show(readable_power(power, fits), "Sensitivity to the power of prior and likelihood")
    for table, sentences in ((power, program_sensitivity.sentences), (moves, edits.sentences)):
        if table is not None:
            for sentence in sentences(table, fits):
                say(sentence)
    warn_missing(parts.failed)
    finish(target, fits)


@expand
def prior_predictive(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    program: Programs = None,
    without: Without = None,
    include: Include = None,
) -> None:
    """Draw from the priors of programs alone: what they expect before any data, on their scale."""
    from partialpool.report import results

    data_options.refuse_per("prior-predictive")
    data, priors = data_options.read(csv)
    target = place.folder(data, "prior-predictive", chosen_names(program, without))
    loaded = sampling.point(load_chosen(data, program, without, include))
    from partialpool.studies.prior_predictive import from_programs  # slow
    from partialpool.tables import exponential

    found = from_programs(
        loaded,
        data,
        priors=priors,
        settings=sampling.settings(),
        cmdstan=sampling.find_cmdstan(),
        extra=sampling.extra(loaded, data, priors),
        progress=progress,
    )
    with results.kept(target, data, {each.name: each for each in found.fits}) as (folder, parts):
        table = _write_expected(folder, parts, found, data)
    if len(table):
        rows = data.words.rows.capitalize()
        show(
            readable_prior_predictive(table),
            f"{rows} that the priors expect, {exponential.axis_title(data)}",
        )
    for sentence in found.sentences:
        say(sentence)
    warn_missing(parts.failed)
    finish(target, found.fits, complete=len(found.fits) == len(loaded))


def _write_expected(
    folder: Path, parts: Parts, found: PriorPredictive, data: GroupedData
) -> pd.DataFrame:
    """Write what priors expect, with a figure where it can be drawn; return the table shown."""
    from partialpool.plots.sensitivity import prior_predictive as draw
    from partialpool.tables import exponential

    shown = exponential.tables(data, {"prior_predictive": found.table, "prior_draws": found.draws})
    table, draws = shown.values()
    table.to_csv(folder / "prior_predictive.csv", index=False)
    if data.has_observations and not draws.empty:
        parts.figure(
            folder / "prior_predictive",
            lambda: draw(
                draws,
                exponential.shown(data, data.y).tolist(),
                axis_title=exponential.axis_title(data),
                ratios=data.exp,
            ),
        )
    return table
