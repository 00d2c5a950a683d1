"""Command-line options that several commands share, written once as dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from partialpool.cli.console import progress, say, warn
from partialpool.cli.parsing import DATA, MODEL, SAMPLING
from partialpool.errors import InputError
from partialpool.settings import Settings

if TYPE_CHECKING:
    from partialpool.data import GroupedData
    from partialpool.fitting import Fit
    from partialpool.fitting.remedies import Remedy
    from partialpool.priors.hyperparameters import Priors
    from partialpool.programs import Program
    from partialpool.programs.toolchain import CmdStan


EXAMPLE = ["homework"]
Csv = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Data: a file (CSV, Parquet, Excel), several, a quoted pattern, or - for what comes "
        "through a pipe; 'homework', 'eight_schools', 'bcg', 'calendars', 'batting', 'tumors' and "
        "'pumps' are shipped examples.",
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """Options that say how the data file is read, and which priors hold."""

    panel: ClassVar[str] = DATA

    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Name of the group column; twice for groups within groups, such as --group "
            "district --group school.",
        ),
    ] = None
    value: Annotated[str | None, typer.Option(help="Name of the value column.")] = None
    delimiter: Annotated[
        str | None, typer.Option(help="Character between fields, such as ';' or '\\t'.")
    ] = None
    decimal: Annotated[str | None, typer.Option(help="Mark before decimals: . or ,")] = None
    thousands: Annotated[
        str | None, typer.Option(help="Mark between thousands: . , ' _ or a blank.")
    ] = None
    unit: Annotated[
        str | None, typer.Option(help="What stands beside the numbers, such as % or kg.")
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE", help="What means a missing number, such as -999; may be repeated."
        ),
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of a file that is not UTF-8, such as cp1252.")
    ] = None
    sheet: Annotated[
        str | None, typer.Option(help="Sheet of an Excel workbook; the first by default.")
    ] = None
    wide: Annotated[
        bool,
        typer.Option("--wide", help="Each column is a group; with --group, each row is one."),
    ] = False
    order: Annotated[
        str | None,
        typer.Option(help="Order of groups in tables and figures: data, label, mean or size."),
    ] = None
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows in which a number is missing.")
    ] = False
    estimate: Annotated[
        str | None,
        typer.Option(help="Estimates with known standard errors: column of the estimate."),
    ] = None
    se: Annotated[
        str | None, typer.Option("--se", help="Estimates: column of the standard error.")
    ] = None
    variance: Annotated[
        str | None, typer.Option(help="Estimates: column of the squared standard error.")
    ] = None
    ci: Annotated[
        tuple[str, str] | None,
        typer.Option("--ci", metavar="LOW HIGH", help="Estimates: columns of an interval's ends."),
    ] = None
    level: Annotated[
        float | None,
        typer.Option(help="Probability of the intervals of --ci; 0.95 by default."),
    ] = None
    n: Annotated[
        str | None, typer.Option(help="Summaries: column of the number of observations.")
    ] = None
    mean: Annotated[str | None, typer.Option(help="Summaries: column of the sample mean.")] = None
    sd: Annotated[str | None, typer.Option(help="Summaries: column of the sample sd.")] = None
    successes: Annotated[
        str | None,
        typer.Option(help="Proportions: column of the successes; 0 or 1 without --trials."),
    ] = None
    trials: Annotated[
        str | None, typer.Option(help="Proportions: column of the trials they are of.")
    ] = None
    count: Annotated[str | None, typer.Option(help="Rates: column of the events counted.")] = None
    exposure: Annotated[
        str | None, typer.Option(help="Rates: column of their exposure; 1 in each row without.")
    ] = None
    exp: Annotated[
        bool,
        typer.Option(
            "--exp",
            help="Estimates are logarithms (log ratios): show exponentials in all tables and "
            "figures.",
        ),
    ] = False
    log: Annotated[
        bool,
        typer.Option(
            "--log",
            help="Model the logarithms of the observations, which must be above 0: show geometric "
            "means, and ratios of them, in the unit of the data.",
        ),
    ] = False
    per: Annotated[
        int | None,
        typer.Option(
            metavar="100|1000|100000",
            help="Proportions and rates: show them in percent, or per so many trials or so much "
            "exposure, in all tables and figures.",
        ),
    ] = None
    most_observations: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Of more observations than this, models are given the statistics by group.",
        ),
    ] = 100_000
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Column that explains how the groups differ, numbers or categories; may be "
            "repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None
    adjust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that varies within groups, for which observations are adjusted, numbers "
            "or categories; may be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Precision of each observation: one of weight w has the variance sigma^2 / w. For "
            "weights that say how often a row occurred, repeat the row instead.",
            rich_help_panel=MODEL,
        ),
    ] = None
    population: Annotated[
        str | None,
        typer.Option(
            help="What the groups' parameters come from, such as normal; of an unknown name the "
            "choices are listed.",
            rich_help_panel=MODEL,
        ),
    ] = None
    spread: Annotated[
        str | None,
        typer.Option(help="Spread within groups: equal, or each its own.", rich_help_panel=MODEL),
    ] = None
    errors: Annotated[
        str | None,
        typer.Option(
            help="What observations are around theta: normal, or student_t.", rich_help_panel=MODEL
        ),
    ] = None
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Set a hyperparameter; may be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None

    def load(self, files: Sequence[str], *, value: str | None = None) -> GroupedData:
        """Read the data; `value` names another column of outcomes than the option does."""
        from partialpool.data.adjusting import with_covariates
        from partialpool.data.examples import find
        from partialpool.data.reading import Columns, read
        from partialpool.data.weights import weighted

        if value and (self.estimate or self.se or self.variance or self.ci):
            raise InputError(
                "--outcome names columns of observations; estimates with standard errors are one "
                "outcome a file"
            )
        if value and (self.successes or self.trials or self.count or self.exposure):
            raise InputError(
                "--outcome names columns of observations; proportions and rates are one outcome a "
                "file"
            )
        data = read(
            find(files[0]) if len(files) == 1 else files,
            columns=Columns(
                group=tuple(self.group) if self.group else None,
                value=value or self.value,
                n=self.n,
                mean=self.mean,
                sd=self.sd,
                estimate=self.estimate,
                se=self.se,
                variance=self.variance,
                ci=self.ci,
                successes=self.successes,
                trials=self.trials,
                count=self.count,
                exposure=self.exposure,
            ),
            level=self.level,
            wide=self.wide,
            order=self.order,
            **self._written,
            most_observations=self.most_observations,
            progress=progress,
        )
        if self.log:
            data = data.logarithms()
        data = data.modelled(population=self.population, spread=self.spread, errors=self.errors)
        data = with_covariates(data, self.by or (), self.adjust or (), population=self.population)
        data = weighted(data, self.weight).shown_per(self.per)
        return dataclasses.replace(data, exp=True) if self.exp else data

    def load_later(self, file: str, data: GroupedData) -> GroupedData:
        """Read later outcomes of the same groups, from the columns that the data have."""
        from partialpool.data.examples import find
        from partialpool.data.reading import Columns, read

        columns = Columns(**data.reading["columns"])
        later = read(find(file), columns=columns, **self._written, progress=progress)
        return later.modelled(**data.reading.get("model", {}))

    @property
    def _written(self) -> dict[str, Any]:
        """How files are written, and what is done about missing numbers."""
        names = ("delimiter", "decimal", "thousands", "unit", "missing", "encoding", "sheet")
        return {name: getattr(self, name) for name in (*names, "drop_missing")}

    def refuse_per(self, command: str) -> None:
        """Refuse --per where a command shows what models have."""
        if self.per is not None:
            raise InputError(
                f"--per: {command} shows probabilities and rates as models have them; leave it out "
                "(report, fit, compare and groups take it)"
            )

    def only_logarithms(self, data: GroupedData, why: str) -> None:
        """Refuse --exp where a command has no exponentials to show; a file's own `exp` is noted."""
        if self.exp:
            raise InputError(f"--exp: {why}; leave it out")
        if data.exp:
            say(f"Note: {why}.")

    def read(self, files: Sequence[str]) -> tuple[GroupedData, Priors]:
        """Read the data, settle the priors, and show both."""
        from partialpool.fitting.inputs import priors_for
        from partialpool.priors.hyperparameters import parse_prior_settings
        from partialpool.tables.exponential import axis_title
        from partialpool.text import in_full

        data = self.load(files)
        priors = priors_for(data, parse_prior_settings(self.prior or []))
        say(f"{data.title}: {data.counted} ({axis_title(data)} by {data.group_label})")
        for note in data.notes:
            say(f"Note: {note}.")
        by_source: dict[str, list[str]] = {}
        for name, number in priors.values.items():
            by_source.setdefault(priors.sources[name], []).append(f"{name} = {in_full(number)}")
        for source, settings in by_source.items():
            say(f"Priors ({source}): {', '.join(settings)}")
        for conflict in data.family.prior_conflicts(priors, data.stats):
            warn(f"{conflict}.")
        return data, priors


@dataclass(frozen=True)
class SamplingOptions:
    """Options that say how Stan samples, and with which CmdStan."""

    panel: ClassVar[str] = SAMPLING

    chains: Annotated[int, typer.Option(help="Markov chains.")] = Settings.chains
    warmup: Annotated[int, typer.Option(help="Warmup iterations a chain.")] = Settings.warmup
    draws: Annotated[int, typer.Option(help="Draws kept a chain.")] = Settings.draws
    adapt_delta: Annotated[
        float | None,
        typer.Option(help="Target acceptance rate; where not given, 0.7 to 0.995, by the program."),
    ] = Settings.adapt_delta
    max_treedepth: Annotated[int, typer.Option(help="Bound on the depth of NUTS's trees.")] = (
        Settings.max_treedepth
    )
    seed: Annotated[int, typer.Option(help="Seed of all chains.")] = Settings.seed
    stan_inits: Annotated[
        bool, typer.Option("--stan-inits", help="Let Stan choose where chains start.")
    ] = False
    survivors: Annotated[
        bool,
        typer.Option("--survivors", help="Where chains fail, go on with the others, labelled."),
    ] = False
    extra_data: Annotated[
        Path | None,
        typer.Option(
            help="JSON or TOML file of further inputs of a program.", rich_help_panel=MODEL
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Give an input of a program a column of the data, or several (NAME=A,B) for a "
            "matrix; may be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None
    theta: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What a program calls the effects of groups: alpha, or 'a[county]' where a "
            "column indexes them.",
            rich_help_panel=MODEL,
        ),
    ] = None
    cmdstan: Annotated[
        str | None, typer.Option(help="CmdStan to use: a folder, or found, release or assembled.")
    ] = None

    def point(self, programs: Sequence[Program]) -> list[Program]:
        """Tell programs which columns they are given, and what they call theta.

        Raises
        ------
        InputError
            An option of another form, or that no program has a use for.
        """
        from partialpool.fitting.inputs import parse_columns

        columns = parse_columns(self.column or [])
        for name in columns:
            if not any(name in program.inputs for program in programs):
                raise InputError(f"--column {name}: no program of this run declares it")
        pointed = [program.pointed(columns, self.theta) for program in programs]
        if self.theta is not None and not any(p.effects == self.theta for p in pointed):
            raise InputError(f"--theta {self.theta}: no program of this run writes it")
        return pointed

    def refuse_inputs(self) -> None:
        """Refuse inputs of programs, where a command fits shipped programs alone.

        Raises
        ------
        InputError
            With the option.
        """
        given = {"column": self.column, "theta": self.theta, "extra-data": self.extra_data}
        for name, value in given.items():
            if value:
                raise InputError(
                    f"--{name} is for programs of your own, and this command fits shipped programs"
                )

    def settings(self) -> Settings:
        """Check the sampling settings."""
        return Settings(
            chains=self.chains,
            warmup=self.warmup,
            draws=self.draws,
            adapt_delta=self.adapt_delta,
            max_treedepth=self.max_treedepth,
            seed=self.seed,
            data_inits=not self.stan_inits,
            survivors=self.survivors,
        )

    def find_cmdstan(self) -> CmdStan:
        """Find the CmdStan asked for, or the first that there is."""
        from partialpool.programs import toolchain

        return toolchain.find_cmdstan(self.cmdstan, progress=progress)

    def read_extra(self) -> dict[str, Any]:
        """Read further inputs; none where there is no file of them."""
        from partialpool.fitting.inputs import read_extra

        return read_extra(self.extra_data) if self.extra_data else {}

    def extra(
        self, programs: Sequence[Program], data: GroupedData, priors: Priors
    ) -> dict[str, Any]:
        """Read further inputs, and say which settings no program of the run reads."""
        from partialpool.fitting.inputs import collect

        declared = {name: None for program in programs for name in program.inputs}
        say_unused(priors, declared)
        extra = self.read_extra()
        for name in extra.keys() - declared.keys():
            say(f"Note: no program of this run declares {name} of {self.extra_data}.")
        given = [collect(each, data, priors, extra=extra) for each in programs if extra]
        for note in dict.fromkeys(note for one in given for note in one.notes):
            say(f"Note: {note}.")
        return extra

    def fit(
        self,
        programs: list[Program],
        data: GroupedData,
        priors: Priors,
        *,
        retry: bool = False,
        inputs: Mapping[str, Any] | None = None,
        **switches: Any,
    ) -> list[Fit]:
        """Fit the programs, and show what the diagnostics say before anything else."""
        from partialpool.fitting import diagnostics, remedies
        from partialpool.fitting.without_rows import fit_or_draw, substitutes

        programs = self.point(programs)
        extra = self.extra(programs, data, priors)
        if not data.has_observations:
            given, programs = programs, substitutes(programs, progress=progress)
            if {program.path for program in given} - {program.path for program in programs}:
                say(
                    "Note: without the observations, partial pooling is fitted in its marginal "
                    "form, which is the same model."
                )
        fits = remedies.fit_until_trusted(
            programs,
            data,
            priors=priors,
            settings=self.settings(),
            cmdstan=self.find_cmdstan(),
            extra={**(inputs or {}), **extra},
            progress=progress,
            attempts=remedies.ATTEMPTS if retry else 0,
            report=_say_retry,
            fit=fit_or_draw,
            **switches,
        )
        for fit in fits:
            for warning in fit.record.warnings:
                warn(f"{fit.title}: {warning}.")
            for absence in fit.record.lacking:
                say(f"Note: {fit.title} has {absence}.")
            table = diagnostics.check(fit)
            if diagnostics.trusted(table):
                say(diagnostics.summary_line(fit, table))
            else:
                warn(diagnostics.summary_line(fit, table))
                for advice in table.loc[~table["passed"] & table["gate"], "remedy"].unique():
                    say(f"  Try: {advice}.")
                taken = {other.name for other in fits} - {fit.name}
                found = remedies.remedy(fit, table, taken=taken)
                if found is not None:
                    say(f"  Remedy: {found.words}; --retry does that.")
        return fits


def say_unused(priors: Priors, declared: Collection[str]) -> None:
    """Refuse settings of the user that a run does not read; name those of the data's file."""
    from partialpool.fitting.inputs import check_settings_used

    for note in check_settings_used(priors, declared):
        say(f"Note: {note}.")


def _say_retry(fit: Fit, found: Remedy) -> None:
    from partialpool.fitting import diagnostics

    warn(diagnostics.summary_line(fit, diagnostics.check(fit)))
    say(f"  Trying again with {found.words}.")


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
Retry = Annotated[
    bool, typer.Option("--retry", help="Fit again with a remedy where a diagnostic fails.")
]
Insist = Annotated[
    bool,
    typer.Option("--insist", help="Draw conclusions also from fits that fail their diagnostics."),
]


def chosen_names(named: Sequence[str] | None, without: Sequence[str] | None) -> tuple[str, ...]:
    """What was chosen in place of the programs that are compared unasked, for a folder's name."""
    return tuple(named or ()) or tuple(f"without-{name}" for name in without or ())


def load_chosen(
    data: GroupedData,
    named: list[str] | None,
    without: list[str] | None,
    include: list[Path] | None,
) -> list[Program]:
    """Load the programs of a comparison, as `--program`, `--without` and `--include` say."""
    return [load_program(name, data, include) for name in _chosen(data, named, without)]


def _chosen(
    data: GroupedData, named: list[str] | None, without: list[str] | None
) -> tuple[str, ...]:
    """Settle which programs to fit: those named, or those that suit the data without some.

    Raises
    ------
    InputError
        `without` names no program of that comparison, or nothing is left.
    """
    if named:
        return tuple(dict.fromkeys(named))
    names, why = data.family.compared(data.stats)
    for name in without or ():
        if name not in names:
            raise InputError(f"--without {name}: the models compared are {', '.join(names)}")
    left = tuple(name for name in names if name not in (without or ()))
    if not left:
        raise InputError("--without left no program to fit")
    if why:
        say(f"{why}.")
    return left


def load_program(name: str, data: GroupedData, include: list[Path] | None = None) -> Program:
    """Load a program for these data, by the name that a command was given."""
    from partialpool import programs

    return programs.load(
        name, family=data.family.name, include_paths=include or (), progress=progress
    )
