"""The console command `partialpool`: parse, call the library, print.

Nothing is computed here. A problem ends with one message on standard error and the exit code
of its kind (`errors.py`); fits that must not be trusted end with exit code 5.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from partialpool.errors import PartialPoolError
from partialpool.options import expand
from partialpool.progress import for_console

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.data import GroupedData
    from partialpool.fitting import Fit
    from partialpool.programs import Priors, Program

UNTRUSTED = 5
"""Exit code where a fit failed a diagnostic."""

app = typer.Typer(
    name="partialpool",
    help="See what pooling does to the answer: complete, no and partial pooling with Stan.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console(highlight=False, soft_wrap=True)
progress = for_console(console)

EXAMPLE = "homework"
Csv = Annotated[
    str, typer.Argument(metavar="CSV", help="Data file; 'homework' is the shipped example.")
]


@dataclass(frozen=True)
class DataOptions:
    """Options that say how the data file is read, and which priors hold."""

    group: Annotated[str | None, typer.Option(help="Name of the group column.")] = None
    value: Annotated[str | None, typer.Option(help="Name of the value column.")] = None
    delimiter: Annotated[str, typer.Option(help="Character between fields.")] = ","
    decimal: Annotated[str, typer.Option(help="Character before decimals: . or ,")] = "."
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows whose value is missing.")
    ] = False
    prior: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Set a hyperparameter; may be repeated."),
    ] = None

    def read(self, csv: str) -> tuple[GroupedData, Priors]:
        """Read the data, settle the priors, and show both."""
        from partialpool.data import example, read_csv
        from partialpool.programs import parse_prior_settings, prior_conflicts, priors_for

        data = read_csv(
            example() if csv == EXAMPLE else csv,
            group=self.group,
            value=self.value,
            delimiter=self.delimiter,
            decimal=self.decimal,
            drop_missing=self.drop_missing,
        )
        priors = priors_for(data, parse_prior_settings(self.prior or []))
        console.print(
            f"{data.title}: {data.stats.N} observations in {data.stats.J} groups "
            f"({data.axis_title} by {data.group_label})"
        )
        for note in data.notes:
            console.print(f"Note: {note}.", markup=False)
        by_source: dict[str, list[str]] = {}
        for name, number in priors.values.items():
            by_source.setdefault(priors.sources[name], []).append(f"{name} = {number:g}")
        for source, settings in by_source.items():
            console.print(f"Priors ({source}): {', '.join(settings)}", markup=False)
        for conflict in prior_conflicts(priors, data.stats):
            warn(f"{conflict}.")
        return data, priors


@dataclass(frozen=True)
class SamplingOptions:
    """Options that say how Stan samples, and with which CmdStan."""

    chains: Annotated[int, typer.Option(help="Markov chains.")] = 4
    warmup: Annotated[int, typer.Option(help="Warmup iterations a chain.")] = 1000
    draws: Annotated[int, typer.Option(help="Draws kept a chain.")] = 2000
    adapt_delta: Annotated[float, typer.Option(help="Target acceptance rate.")] = 0.95
    max_treedepth: Annotated[int, typer.Option(help="Bound on the depth of NUTS's trees.")] = 10
    seed: Annotated[int, typer.Option(help="Seed of all chains.")] = 1
    stan_inits: Annotated[
        bool, typer.Option("--stan-inits", help="Let Stan choose where chains start.")
    ] = False
    extra_data: Annotated[
        Path | None, typer.Option(help="JSON or TOML file of further inputs of a program.")
    ] = None
    cmdstan: Annotated[
        str | None, typer.Option(help="CmdStan to use: a folder, or found, release or assembled.")
    ] = None

    def fit(
        self, programs: list[Program], data: GroupedData, priors: Priors, **switches: Any
    ) -> list[Fit]:
        """Fit the programs, and show what the diagnostics say before anything else."""
        from partialpool import diagnostics, toolchain
        from partialpool.fitting import Settings, fit_programs
        from partialpool.programs import read_extra

        settings = Settings(
            chains=self.chains,
            warmup=self.warmup,
            draws=self.draws,
            adapt_delta=self.adapt_delta,
            max_treedepth=self.max_treedepth,
            seed=self.seed,
            data_inits=not self.stan_inits,
        )
        extra = read_extra(self.extra_data) if self.extra_data else None
        fits = fit_programs(
            programs,
            data,
            priors=priors,
            settings=settings,
            cmdstan=toolchain.find_cmdstan(self.cmdstan, progress=progress),
            extra=extra,
            progress=progress,
            **switches,
        )
        for fit in fits:
            for warning in fit.about["warnings"]:
                warn(f"{fit.title}: {warning}.")
            table = diagnostics.check(fit)
            if diagnostics.trusted(table):
                console.print(diagnostics.summary_line(fit, table), markup=False)
            else:
                warn(diagnostics.summary_line(fit, table))
                for remedy in table.loc[~table["passed"] & table["gate"], "remedy"].unique():
                    console.print(f"  Try: {remedy}.", markup=False)
        return fits


Output = Annotated[Path, typer.Option("--output", "-o", help="Folder that results are put in.")]
ProgramOption = Annotated[
    list[str] | None,
    typer.Option(
        "--program", "-p", metavar="NAME|FILE", help="Shipped name or .stan file; may be repeated."
    ),
]
Include = Annotated[
    list[Path] | None, typer.Option("--include", help="Folder in which #include looks.")
]
Insist = Annotated[
    bool, typer.Option("--insist", help="State conclusions from fits that failed a diagnostic.")
]


@app.command()
@expand
def fit(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: ProgramOption = None,
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Fit one program (non-centered partial pooling where none is named); print its estimates."""
    from partialpool import pooling, programs, results

    data, priors = data_options.read(csv)
    names = program or ["hierarchical_noncentered"]
    if len(names) != 1:
        raise typer.BadParameter("fit takes one --program; compare takes several")
    fits = sampling.fit([programs.load(names[0], include_paths=include or ())], data, priors)
    with results.new_folder(output / f"{data.name}-{fits[0].name}") as folder:
        table = pooling.estimates(fits, data)
        table.to_csv(folder / "estimates.csv", index=False)
        fits[0].save(folder / f"{fits[0].name}.nc")
        results.write_manifest(folder, data, fits)
    show(pooling.printable_estimates(table), f"Posterior of {fits[0].title}")
    console.print(f"Saved in {output / f'{data.name}-{fits[0].name}'}", markup=False)
    end_unless_trusted(fits)


@app.command()
@expand
def compare(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: ProgramOption = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave a shipped program out.")
    ] = None,
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Fit several programs (the shipped ones where none is named); print them side by side."""
    from partialpool import plots, pooling, programs, results

    data, priors = data_options.read(csv)
    names = programs.chosen(program, without)
    fits = sampling.fit(
        [programs.load(name, include_paths=include or ()) for name in names], data, priors
    )
    with results.new_folder(output / f"{data.name}-compare") as folder:
        pooling.estimates(fits, data).to_csv(folder / "estimates.csv", index=False)
        table = pooling.shrinkage_table(fits, data)
        table.to_csv(folder / "shrinkage.csv", index=False)
        plots.save(plots.pooling_scatter(fits, data), folder / "shrinkage")
        for each in fits:
            each.save(folder / f"{each.name}.nc")
        results.write_manifest(folder, data, fits)
    show(pooling.printable_shrinkage(table), "Posterior means of the group means")
    console.print(f"Saved in {output / f'{data.name}-compare'}", markup=False)
    end_unless_trusted(fits)


@app.command()
def new_program(
    name: Annotated[str, typer.Argument(help="Name of a shipped program.")],
    target: Annotated[Path, typer.Argument(help="The new file, ending in .stan.")],
) -> None:
    """Copy a shipped Stan program to a file of your own, to be edited."""
    from partialpool import programs

    programs.new_program(name, target)
    console.print(
        f"{target} is yours to edit. Then: partialpool compare CSV --program {name} "
        f"--program {target}",
        markup=False,
    )


@app.command()
def cache(
    prune: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Remove what was not used for DAYS days.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove every executable.")] = False,
) -> None:
    """List the compiled programs in the cache, or remove some."""
    from partialpool import toolchain

    if clear or prune is not None:
        freed = toolchain.prune_cache(older_than_days=prune, everything=clear)
        console.print(f"{freed / 1e6:.1f} MB freed")
    else:
        show(toolchain.cache_entries(), "Compiled programs")


@app.command()
def doctor() -> None:
    """Check compiler, make, CmdStan and cache, and say what mends what is wrong."""
    from partialpool import toolchain

    failed = 0
    for item in toolchain.doctor():
        console.print(f"{'ok ' if item.ok else 'BAD'} {item.name}: {item.detail}", markup=False)
        if not item.ok:
            failed += 1
            console.print(f"    {item.remedy}", markup=False)
    raise typer.Exit(3 if failed else 0)


def show(frame: pd.DataFrame, title: str) -> None:
    """Print a frame as a table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, column in enumerate(frame.columns):
        numeric = position > 0 and frame[column].dtype.kind != "b"
        table.add_column(str(column), justify="right" if numeric else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def warn(text: str) -> None:
    """Print a warning on standard error, where a pipe does not hide it."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"WARNING: {text}", style="bold red", markup=False
    )


def end_unless_trusted(fits: list[Fit]) -> None:
    """End with an exit code of its own where a fit failed a diagnostic."""
    from partialpool import diagnostics

    if not all(diagnostics.trusted(diagnostics.check(fit)) for fit in fits):
        raise typer.Exit(UNTRUSTED)


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
