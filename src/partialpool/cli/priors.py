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
    show,
    warn_missing,
)
from partialpool.cli.options import (
    Csv,
    DataOptions,
    Include,
    Output,
    Programs,
    SamplingOptions,
    Without,
    expand,
    load_chosen,
    load_program,
    say_unused,
)
from partialpool.errors import InputError

if TYPE_CHECKING:
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
    choice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|PRIORS",
            help="Name of a choice, or priors such as tau=half_cauchy(5); may be repeated.",
        ),
    ] = None,
    program: Programs = None,
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Refit partial pooling under other priors, and say which answers depend on them.

    With --program, say instead how sensitive programs of your own are to their priors.
    """
    from partialpool.plots.sensitivity import prior_sensitivity
    from partialpool.report import results
    from partialpool.report.figures import safe
    from partialpool.studies import prior_predictive, sensitivity

    data, settings = data_options.read(csv)
    target = results.check_target(output / f"{data.name}-priors")
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
    labels = {"axis_title": data.axis_title, "group_title": data.group_label}
    saved = {
        f"{number}-{safe(name)}": each for number, (name, each) in enumerate(fitted.fits.items(), 1)
    }
    with results.kept(target, data, saved) as (folder, parts):
        found = parts.make("the comparison", lambda: fitted.compare(data, progress=progress))
        if found is not None:
            found.estimates.to_csv(folder / "estimates.csv", index=False)
            found.summary.to_csv(folder / "summary.csv", index=False)
            found.power.to_csv(folder / "power_scaling.csv", index=False)
            parts.figure(
                folder / "priors",
                lambda: prior_sensitivity(found.densities, found.estimates, **labels),
            )
        expected = parts.make(
            "what the priors expect", lambda: prior_predictive.from_choices(chosen, data)
        )
        if expected is not None:
            expected.table.to_csv(folder / "prior_predictive.csv", index=False)
            _draw_expected(folder, parts, expected, data)
    if found is not None:
        show(
            readable_choices(found.summary), "Posterior means [95 % intervals] by choice of priors"
        )
        if "theta" in set(found.estimates["quantity"]):
            show(
                readable_groups_by_choice(found.estimates, most=_GROUPS_SHOWN),
                f"Posterior means by {data.group_label} (intervals are in summary.csv)",
            )
    for study in (found, expected):
        for sentence in study.sentences if study is not None else ():
            say(sentence)
    warn_missing(parts.failed)
    finish(target, list(fitted.fits.values()))


def _draw_expected(
    folder: Path, parts: Parts, expected: PriorPredictive, data: GroupedData
) -> None:
    """Draw what priors expect over the observations, where both are at hand."""
    from partialpool.plots.sensitivity import prior_predictive as draw

    if data.has_observations and not expected.draws.empty:
        parts.figure(
            folder / "prior_predictive",
            lambda: draw(expected.draws, data.y.tolist(), axis_title=data.axis_title),
        )


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
        moves = parts.make("the table changes", lambda: edits.changes(fits, data))
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
    program: Programs = None,
    without: Without = None,
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Draw from the priors of programs alone: what they expect before any data, on their scale."""
    from partialpool.report import results

    data, priors = data_options.read(csv)
    loaded = sampling.point(load_chosen(data, program, without, include))
    from partialpool.studies.prior_predictive import from_programs  # slow

    found = from_programs(
        loaded,
        data,
        priors=priors,
        settings=sampling.settings(),
        cmdstan=sampling.find_cmdstan(),
        extra=sampling.extra(loaded, data, priors),
        progress=progress,
    )
    target = output / f"{data.name}-prior-predictive"
    with results.kept(target, data, {each.name: each for each in found.fits}) as (folder, parts):
        found.table.to_csv(folder / "prior_predictive.csv", index=False)
        _draw_expected(folder, parts, found, data)
    if len(found.table):
        show(
            readable_prior_predictive(found.table),
            f"Observations that the priors expect, {data.axis_title}",
        )
    for sentence in found.sentences:
        say(sentence)
    warn_missing(parts.failed)
    say(f"Saved in {target}")
