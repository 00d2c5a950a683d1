"""The command that fits many data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from partialpool.cli.console import end, progress, readable_fits, say, show, warn
from partialpool.cli.options import (
    Csv,
    DataOptions,
    Programs,
    SamplingOptions,
    load_program,
)
from partialpool.cli.parsing import DATA, OUTPUT, expand
from partialpool.cli.places import Output, claim, shared_target
from partialpool.report.results import write_table
from partialpool.text import counted


@expand
def fit_many(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: Programs = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of outcomes of each file; may be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None,
    prior_grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=A,B,...", help="Values of a hyperparameter to try; may be repeated."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A running Dask scheduler; else local processes."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Local processes; one for each processor by default.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the folder of results.", rich_help_panel=OUTPUT),
    ] = None,
    output: Output = Path("results"),
) -> None:
    """Fit each data file, outcome, program and setting of priors, on Dask; a rerun goes on."""
    from partialpool.data.examples import EXAMPLES
    from partialpool.data.files import expand as expand_files
    from partialpool.priors import hyperparameters
    from partialpool.studies import dask_jobs, many

    data_options.refuse_per("fit-many")
    files: list[str] = []
    for each in csv:
        files += [each] if each in EXAMPLES else map(str, expand_files(each))
    data_sets = []
    for file in files:
        for column in outcome or [""]:
            data = data_options.load([file], value=column or None)
            data_sets.append(replace(data, name=f"{data.name} {column}".strip()))
    fixed = hyperparameters.parse_prior_settings(data_options.prior or [])
    grid = {
        **{prior: [value] for prior, value in fixed.items()},
        **many.parse_grid(prior_grid or []),
    }
    many.check_names("data sets", [data.name for data in data_sets])
    jobs = []
    for family in dict.fromkeys(data.family for data in data_sets):
        alike = [data for data in data_sets if data.family is family]
        names = program or [family.partial_pooling(alike[0].stats)]
        jobs += many.make_jobs(
            alike,
            sampling.point([load_program(each, alike[0]) for each in names]),
            prior_grid=grid,
            settings=sampling.settings(),
            extra=sampling.read_extra(),
        )
    for note in dict.fromkeys(f"{job.data.name}: {note}" for job in jobs for note in job.notes):
        say(f"Note: {note}.")
    folder = shared_target(output, data_sets, name=name)
    dask_jobs.check_installed(jobs, folder / "fits")
    if scheduler is None:
        sampling.find_cmdstan()
    claim(folder, data_sets)
    say(f"{counted(len(jobs), 'fits')} of {counted(len(data_sets), 'data sets')}, kept in {folder}")
    results: list[many.Result] = []
    try:
        for result in dask_jobs.fit_many(
            jobs, folder=folder / "fits", scheduler=scheduler, workers=workers, progress=progress
        ):
            results.append(result)
            line = f"[{len(results)}/{len(jobs)}] {result.name}: {result.message}"
            say(line) if result.trusted else warn(line)
    except KeyboardInterrupt:
        say(
            f"Interrupted: {len(results)} of {len(jobs)} fits are kept in {folder}; "
            "the same command goes on from there."
        )
        raise typer.Exit(130) from None
    order = {job.key: position for position, job in enumerate(jobs)}
    results.sort(key=lambda result: order[result.key])
    ratios = {job.name for job in jobs if job.data.exp}
    every = len(ratios) == len(jobs)
    table = many.results_table(results, ratios=ratios)
    write_table(many.overview(results), folder / "fits.csv")
    write_table(table, folder / "estimates.csv")
    if len(table):
        show(readable_fits(table, exp=every), "Posterior means (Monte Carlo error)")
    if ratios:
        of = "" if every else f" of {len(ratios)} of {len(jobs)} fits"
        say(
            f"Note: of mu and theta{of} the exponentials are shown (geometric means, sds as "
            "factors); tau is on the scale of the logarithms."
        )
    say(f"Saved in {folder}")
    end(
        complete=not any(result.failed for result in results),
        trusted=all(result.trusted for result in results),
    )
