"""The console command `partialpool`: parse, call the library, print.

Nothing is computed here. A problem ends with one message on standard error and the exit code
of its kind (`errors.py`); fits that must not be trusted end with exit code 5.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from partialpool.cli import calibrate, groups, many, predict, priors, rerun, verify
from partialpool.cli.console import (
    end,
    finish,
    headed,
    progress,
    readable_estimates,
    readable_forms,
    readable_shrinkage,
    say,
    say_scale,
    show,
    warn,
    warn_missing,
)
from partialpool.cli.options import (
    EXAMPLE,
    Csv,
    DataOptions,
    Include,
    Insist,
    Programs,
    Retry,
    SamplingOptions,
    Without,
    chosen_names,
    load_chosen,
    load_program,
    say_unused,
)
from partialpool.cli.parsing import DEEPEN, MAINTAIN, OUTPUT, START, VERIFY, Grouped, Once, expand
from partialpool.cli.places import Place
from partialpool.errors import PartialPoolError

if TYPE_CHECKING:
    from partialpool.data import GroupedData

app = typer.Typer(
    name="partialpool",
    cls=Grouped,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        say(f"partialpool {version('partialpool')}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    """See what pooling does to the answer: complete, no and partial pooling with Stan."""


@app.command(rich_help_panel=START, short_help="Fit the models and write the whole comparison.")
@expand
def report(
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    csv: Csv = EXAMPLE,
    program: Programs = None,
    without: Without = None,
    include: Include = None,
    delta: Annotated[
        float | None,
        typer.Option(
            help="Differences below this count as equivalent (unit of the data; with --exp a "
            "ratio above 1)."
        ),
    ] = None,
    bayes_factor: Annotated[
        bool,
        typer.Option(
            "--bayes-factor",
            help="Add the Bayes factor of equal effects, tau = 0, where it is known.",
        ),
    ] = False,
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            help="Give the probability that a group, any group and a new one lie above this; may "
            "be repeated.",
        ),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Later outcomes of the same groups, in the same columns: score predictions of "
            "proportions or rates by them.",
        ),
    ] = None,
    pdf: Annotated[
        bool,
        typer.Option("--pdf", help="Write the figures as PDF, too.", rich_help_panel=OUTPUT),
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="parquet|xlsx",
            help="Write the tables so, too; may be repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    tidy_draws: Annotated[
        bool,
        typer.Option(
            "--tidy-draws",
            help="Write the draws as Parquet, too, one row a draw.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    retry: Retry = False,
    insist: Insist = False,
) -> None:
    """Fit the models and write the whole comparison: one HTML file, tables, figures and draws."""
    from partialpool.report import exports, results, spread
    from partialpool.tables import bayes_factor as equality
    from partialpool.tables import exponential, thresholds
    from partialpool.tables.comparison import LEFT_OUT, OF_ROWS
    from partialpool.tables.holdout import matched

    formats = exports.check_formats(formats or ())
    data, priors = data_options.read(csv)
    later = data_options.load_later(holdout, data) if holdout else None
    if later is not None:
        matched(data, later)
    if bayes_factor:
        equality.check(data, priors)
        on_a_line = data.stats.covariates is not None
        for sentence in spread.line(equality.bayes_factors(data, priors), on_a_line=on_a_line):
            say(sentence)
    if groups.too_many_groups(data, named=program):
        groups.estimate_groups(data, priors, sampling, retry=retry, place=place)
        return
    delta, limits = exponential.log_delta(data, delta), thresholds.check(threshold or (), data)
    target = place.folder(data)
    loaded = load_chosen(data, program, without, include)
    from partialpool.fitting import diagnostics
    from partialpool.report.folder import write
    from partialpool.tables import shrinkage  # slow, and of no use to a program in error

    fits = sampling.fit(loaded, data, priors, retry=retry)
    trusted = diagnostics.verdicts(fits)
    parts = results.Parts()
    table = parts.table(data, "shrinkage_wide", lambda: shrinkage.shrinkage_table(fits, data))
    if table is not None:
        show(readable_shrinkage(table, data, fits), headed(_posterior_means(data), trusted))
    warn_missing(parts.failed)
    write(
        target,
        data,
        fits,
        delta=delta,
        insist=insist,
        equal_effects=bayes_factor,
        thresholds=limits,
        later=later,
        pdf=pdf,
        formats=formats,
        draws=tidy_draws,
        progress=progress,
    )
    lacking = results.read_manifest(target)["missing"]
    for kind, missing in lacking.items():
        for name, reason in missing.items():
            if reason != OF_ROWS:
                warn(f"{kind} {name} is missing: {reason}")
    if OF_ROWS in lacking["tables"].values():
        say(f"Note: {LEFT_OUT[0].lower()}{LEFT_OUT[1:]}.")
    if (target / "report.html").is_file():
        say(f"Report: {target / 'report.html'}")
    finish(target, fits)


@app.command(rich_help_panel=START, short_help="Fit one Stan program and print its estimates.")
@expand
def fit(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    program: Annotated[
        str | None,
        typer.Option(
            "--program",
            "-p",
            metavar="NAME|FILE",
            help="Shipped name or .stan file; partial pooling in the form that suits the data.",
        ),
    ] = None,
    include: Include = None,
    retry: Retry = False,
) -> None:
    """Fit one Stan program and print its estimates."""
    data, priors = data_options.read(csv)
    loaded = load_program(program or data.family.partial_pooling(data.stats), data, include)
    from partialpool.fitting import diagnostics
    from partialpool.report import fits_folder  # slow, and of no use to a program in error

    target = place.folder(data, loaded.name)
    fits = sampling.fit([loaded], data, priors, retry=retry)
    trusted = diagnostics.verdicts(fits)
    found, parts = fits_folder.write(target, data, fits, kind="fit")
    if "estimates" in found:
        title = f"Posterior, {fits[0].title}"
        show(readable_estimates(found["estimates"], exp=data.exp), headed(title, trusted))
        say_scale(data)
    warn_missing(parts.failed)
    finish(target, fits)


@app.command(rich_help_panel=START, short_help="Fit several programs and print them side by side.")
@expand
def compare(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    program: Programs = None,
    without: Without = None,
    include: Include = None,
    retry: Retry = False,
) -> None:
    """Fit several Stan programs and print their estimates of the group means side by side."""
    data, priors = data_options.read(csv)
    if groups.too_many_groups(data, named=program):
        groups.estimate_groups(data, priors, sampling, retry=retry, place=place)
        return
    target = place.folder(data, "compare", chosen_names(program, without))
    loaded = load_chosen(data, program, without, include)
    from partialpool.fitting import diagnostics  # slow, and of no use to an error
    from partialpool.report import fits_folder
    from partialpool.studies import edits

    fits = sampling.fit(loaded, data, priors, retry=retry)
    found, parts = fits_folder.write(target, data, fits, kind="compare")
    table, moves = found.get("shrinkage_wide"), found.get("changes")
    trusted = diagnostics.verdicts(fits)
    if table is not None and any(each.name in table for each in fits):
        show(readable_shrinkage(table, data, fits), headed(_posterior_means(data), trusted))
    elif table is not None:
        say("No program writes a theta for each group or one for all: there is nothing to compare")
    if moves is not None:
        for sentence in parts.make("what moved", lambda: edits.sentences(moves, fits)) or ():
            say(sentence)
    say_scale(data)
    warn_missing(parts.failed)
    finish(target, fits)


def _posterior_means(data: GroupedData) -> str:
    """Title of the estimates side by side."""
    from partialpool.tables.exponential import axis_title

    kind = "Geometric posterior means" if data.exp else "Posterior means"
    return f"{kind} (Monte Carlo error), {axis_title(data)}"


app.command(rich_help_panel=DEEPEN, short_help="Say which answers depend on the priors.")(
    priors.priors
)
app.command(rich_help_panel=DEEPEN, short_help="Show what the priors expect before any data.")(
    priors.prior_predictive
)


@app.command(rich_help_panel=DEEPEN, short_help="Compare the forms of the hierarchical model.")
@expand
def parameterizations(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    show_group: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Draw this group's funnel too; may be repeated."),
    ] = None,
) -> None:
    """Fit the forms of the hierarchical model, and say which to use here and why."""
    from partialpool.plots.parameterization import effective_draws, funnel
    from partialpool.report import results
    from partialpool.studies import parameterizations

    sampling.refuse_inputs()
    data_options.refuse_per("parameterizations")
    data, settings = data_options.read(csv)
    data_options.only_logarithms(
        data, "forms are compared on the scale on which they sample, of logarithms"
    )
    target = place.folder(data, "parameterizations")
    say_unused(settings, data.family.choice_settings)
    fits = parameterizations.fit_forms(
        data,
        priors=settings,
        groups=show_group or (),
        settings=sampling.settings(),
        cmdstan=sampling.find_cmdstan(),
        progress=progress,
    )
    titles = {each.name: each.title for each in fits}
    labels = {"axis_title": data.axis_title, "group_title": data.group_label}
    with results.kept(target, data, {each.name: each for each in fits}) as (folder, parts):
        found = parts.make(
            "the comparison",
            lambda: parameterizations.compare_forms(fits, data, groups=show_group or ()),
        )
        if found is not None:
            found.table.to_csv(folder / "sampling.csv", index=False)
            found.efficiency.to_csv(folder / "efficiency.csv", index=False)
            found.agreement.to_csv(folder / "agreement.csv", index=False)
            draw_ess = partial(effective_draws, found.table, models=titles)
            parts.figure(folder / "effective_draws", draw_ess)
            for number, (_, draws) in enumerate(found.funnel.groupby("group", sort=False), start=1):
                draw = partial(funnel, draws, models=titles, **labels)
                parts.figure(folder / f"funnel-{number}", draw)
    if found is not None:
        show(readable_forms(found.table, titles), "How each form sampled")
        for sentence in found.verdict.sentences:
            say(sentence)
    warn_missing(parts.failed)
    say(f"Saved in {target}")
    # That a form fails is a finding; that all do, a failure
    end(trusted=found is not None and bool(found.verdict.form))


app.command(rich_help_panel=VERIFY, short_help="Compare fits with the exact posteriors.")(
    verify.verify
)
app.command(rich_help_panel=START, short_help="Estimate every group, however many there are.")(
    groups.groups
)
app.command(rich_help_panel=DEEPEN, short_help="Predict the rows of another file.")(predict.predict)
app.command(rich_help_panel=DEEPEN, short_help="Fit many files, outcomes, programs and priors.")(
    many.fit_many
)
app.command(
    rich_help_panel=VERIFY, short_help="Check by simulation that posteriors cover the truth."
)(calibrate.calibrate)


@app.command(rich_help_panel=DEEPEN, short_help="Copy a shipped Stan program, to be edited.")
def new_program(
    name: Annotated[str, typer.Argument(help="Name of a shipped program.")],
    target: Annotated[Path, typer.Argument(help="The new file, ending in .stan.")],
) -> None:
    """Copy a shipped Stan program to a file of your own, to be edited."""
    from partialpool import programs

    programs.new_program(name, target)
    say(
        f"{target} is yours to edit. Then: partialpool compare CSV --program {name} "
        f"--program {target}",
    )


@app.command(rich_help_panel=MAINTAIN, short_help="List or remove compiled programs.")
def cache(
    prune: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Remove what was not used for DAYS days.")
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Remove everything: executables, CmdStan, downloads."),
    ] = False,
) -> None:
    """List the compiled programs in the cache, or remove what is not needed."""
    from partialpool.programs import toolchain

    if clear or prune is not None:
        freed = toolchain.prune_cache(older_than_days=prune, everything=clear)
        say(f"{freed / 1e6:.1f} MB freed")
    else:
        show(toolchain.cache_entries(), "Compiled programs")


@app.command(rich_help_panel=MAINTAIN, short_help="Find or assemble CmdStan now.")
def setup(
    cmdstan: Annotated[
        str | None, typer.Option(help="CmdStan to set up: a folder, or found, release, assembled.")
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="An httpstan wheel at hand, where there is no network.")
    ] = None,
) -> None:
    """Find or assemble CmdStan now, and mend what is wrong with it."""
    from partialpool.programs import toolchain

    found = toolchain.find_cmdstan(cmdstan, wheel=wheel, progress=progress)
    say(f"CmdStan {found.version}, {found.origin}: {found.path}")


@app.command(rich_help_panel=MAINTAIN, short_help="Check compiler, make, CmdStan and cache.")
def doctor() -> None:
    """Check compiler, make, CmdStan and cache, and say what mends what is wrong."""
    from partialpool.programs import toolchain

    failed = 0
    for item in toolchain.doctor():
        say(f"{'ok ' if item.ok else 'BAD'} {item.name}: {item.detail}")
        if not item.ok:
            failed += 1
            say(f"    {item.remedy}")
    raise typer.Exit(3 if failed else 0)


app.command(
    rich_help_panel=VERIFY, short_help="Make a result again, and say whether it is the same."
)(rerun.rerun)
for each in app.registered_commands:
    each.cls = Once


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Run the console command."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except PartialPoolError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"Error: {error}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; nothing of this run was kept.")
        sys.exit(130)
