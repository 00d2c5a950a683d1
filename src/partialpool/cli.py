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

import pandas as pd
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from partialpool.errors import PartialPoolError
from partialpool.options import expand
from partialpool.progress import for_console

if TYPE_CHECKING:
    from partialpool.data import GroupedData
    from partialpool.fitting import Fit
    from partialpool.programs import Priors, Program

UNTRUSTED = 5
"""Exit code where a fit failed a diagnostic."""

_PIPE_WIDTH = 110

app = typer.Typer(
    name="partialpool",
    help="See what pooling does to the answer: complete, no and partial pooling with Stan.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH
)
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
Programs = Annotated[
    list[str] | None,
    typer.Option(
        "--program", "-p", metavar="NAME|FILE", help="Shipped name or .stan file; may be repeated."
    ),
]
Without = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Leave one of the three models out.")
]
Include = Annotated[
    list[Path] | None, typer.Option("--include", help="Folder in which #include looks.")
]


@app.command()
@expand
def fit(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: Annotated[
        str,
        typer.Option("--program", "-p", metavar="NAME|FILE", help="Shipped name or .stan file."),
    ] = "hierarchical_noncentered",
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Fit one Stan program and print its estimates."""
    from partialpool import pooling, programs, results

    data, priors = data_options.read(csv)
    fits = sampling.fit([programs.load(program, include_paths=include or ())], data, priors)
    table = pooling.estimates(fits, data)
    target = output / f"{data.name}-{fits[0].name}"
    with results.new_folder(target) as folder:
        table.to_csv(folder / "estimates.csv", index=False)
        fits[0].save(folder / f"{fits[0].name}.nc")
        results.write_manifest(folder, data, fits)
    show(readable_estimates(table), f"Posterior, {fits[0].title}")
    finish(target, fits)


@app.command()
@expand
def compare(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: Programs = None,
    without: Without = None,
    include: Include = None,
    output: Output = Path("results"),
) -> None:
    """Fit several Stan programs and print their estimates of the group means side by side."""
    from partialpool import plots, pooling, programs, results

    data, priors = data_options.read(csv)
    names = programs.chosen(program, without)
    loaded = [programs.load(name, include_paths=include or ()) for name in names]
    fits = sampling.fit(loaded, data, priors)
    estimates = pooling.estimates(fits, data)
    table = pooling.shrinkage_table(fits, data)
    target = output / f"{data.name}-compare"
    with results.new_folder(target) as folder:
        estimates.to_csv(folder / "estimates.csv", index=False)
        table.to_csv(folder / "shrinkage.csv", index=False)
        figure = plots.pooling_scatter(
            estimates,
            axis_title=data.axis_title,
            group_title=data.group_label,
            models={each.name: each.title for each in fits},
        )
        plots.save(figure, folder / "shrinkage")
        for each in fits:
            each.save(folder / f"{each.name}.nc")
        results.write_manifest(folder, data, fits)
    show(readable_shrinkage(table, data, fits), f"Posterior means (Monte Carlo error), {data.unit}")
    finish(target, fits)


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
    """Print a frame as a table: heads may wrap, cells do not."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    cells = frame.astype(str)
    for position, column in enumerate(cells.columns):
        table.add_column(
            str(column),
            justify="left" if position == 0 else "right",
            min_width=int(cells[column].str.len().max()) if len(cells) else None,
        )
    for row in cells.itertuples(index=False):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table, soft_wrap=False)


def readable_estimates(table: pd.DataFrame) -> pd.DataFrame:
    """Turn estimates into text with the digits that their Monte Carlo errors support."""
    from partialpool.formatting import format_estimate, short

    rows = [
        {
            "quantity": f"{row.parameter}[{row.group}]" if row.group else row.parameter,
            "mean (MCSE)": _with_error(row["mean"], row["mcse_mean"]),
            "sd": short(row["sd"]),
            "2.5 %": format_estimate(row["q2.5"], row["mcse_q2.5"]),
            "50 %": format_estimate(row["median"], row["mcse_median"]),
            "97.5 %": format_estimate(row["q97.5"], row["mcse_q97.5"]),
            "R-hat": f"{row.r_hat:.3f}",
            "bulk ESS": f"{row.ess_bulk:.0f}",
            "tail ESS": f"{row.ess_tail:.0f}",
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(rows)


def readable_shrinkage(table: pd.DataFrame, data: GroupedData, fits: list[Fit]) -> pd.DataFrame:
    """Turn the shrinkage table into text, one column a model."""
    titles = {fit.name: fit.title for fit in fits}
    readable = pd.DataFrame(
        {
            data.group_label: table["group"],
            "n": table["n"],
            "sample mean": [f"{mean:#.4g}" for mean in table["sample_mean"]],
        }
    )
    for name in [column for column in table.columns if column in titles]:
        pairs = zip(table[name], table[f"{name}_mcse"], strict=True)
        readable[titles[name]] = [_with_error(mean, mcse) for mean, mcse in pairs]
    return readable


def _with_error(mean: float, mcse: float) -> str:
    from partialpool.formatting import format_estimate, short

    return f"{format_estimate(mean, mcse)} ({short(mcse)})"


def finish(target: Path, fits: list[Fit]) -> None:
    """Say where the results are; end with an exit code of its own where a fit failed."""
    from partialpool import diagnostics

    console.print(f"Saved in {target}", markup=False)
    if not all(diagnostics.trusted(diagnostics.check(fit)) for fit in fits):
        warn("a fit failed its diagnostics (see above): do not rely on these numbers.")
        raise typer.Exit(UNTRUSTED)


def warn(text: str) -> None:
    """Print a warning on standard error, where a pipe does not hide it."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"WARNING: {text}", style="bold red", markup=False
    )


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
