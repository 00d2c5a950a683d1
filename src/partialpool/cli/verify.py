"""The command `verify`: parse, call the library, print."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from partialpool.cli.console import end, finish, progress, say, show, warn
from partialpool.cli.options import EXAMPLE, Csv, DataOptions, SamplingOptions
from partialpool.cli.parsing import expand
from partialpool.cli.places import Place
from partialpool.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.data import GroupedData
    from partialpool.programs import Program


@expand
def verify(
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    csv: Csv = EXAMPLE,
    program: Annotated[
        list[str] | None,
        typer.Option("--program", "-p", metavar="NAME", help="Shipped program; may be repeated."),
    ] = None,
    choice: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|PRIORS", help="As in `partialpool priors`; may be repeated."),
    ] = None,
    alternatives: Annotated[
        bool, typer.Option(help="Verify refits under the alternative priors, too.")
    ] = True,
) -> None:
    """Compare fits with the exact posteriors, which quadrature knows.

    One dimension is left to integrate under complete and no pooling, two under partial pooling with
    any prior of `partialpool priors`. Every mean, sd and quantile that is reported is compared, and
    so are differences between groups, ranks and pooling factors of up to twelve groups.
    """
    from partialpool.fitting import diagnostics
    from partialpool.report import results
    from partialpool.studies import sensitivity
    from partialpool.tables import exactness

    data_options.refuse_per("verify")
    data, settings = data_options.read(csv)
    data_options.only_logarithms(
        data, "fits and exact posteriors are compared on the scale that models have, of logarithms"
    )
    partial = data.family.knows_exactly(data.family.partial_pooling(data.stats))
    if choice and not partial:
        raise InputError(
            f"--choice: with {data.family.mixture} no exact posterior of partial pooling is known; "
            "leave it out"
        )
    alternatives = alternatives and partial
    chosen = sensitivity.choose(choice, data, settings) if alternatives else ()
    target = place.folder(data, "verify", (*(program or ()), *(choice or ())))
    fits = sampling.fit(_possible(program, data), data, settings, by_stan=True)
    known = {fit.name: exactness.exact_posterior(fit, data) for fit in fits}
    if chosen:
        compared = sensitivity.compare_priors(
            data,
            priors=settings,
            choices=chosen,
            settings=dataclasses.replace(sampling.settings(), survivors=False),
            cmdstan=sampling.find_cmdstan(),
            confirm=False,
            progress=progress,
        )
        for each in compared.choices:
            if each.name in compared.fits:
                fit = compared.fits[each.name]
                name = f"priors: {each.name}"
                checks = diagnostics.check(fit)
                if not diagnostics.trusted(checks):
                    warn(diagnostics.summary_line(fit, checks))
                fits.append(fit.with_record(program=name))
                known[name] = data.family.exact_alternative(each, data.stats)
            else:
                warn(f"{each.name}: sampling failed, so there is nothing to compare.")
    with progress.task("Integrating the exact posteriors"):
        table = exactness.verify_fits(fits, data, known)
        verdict = exactness.agreement(table)
    with results.new_folder(target) as folder:
        table.to_csv(folder / "verify.csv", index=False)
        verdict.to_csv(folder / "verdict.csv", index=False)
        results.write_manifest(folder, data, fits)
    show(_readable(verdict), "Fits against exact posteriors")
    for sentence in exactness.describe_agreement(verdict[~verdict["agrees"]]):
        warn(sentence)
    say(exactness.one_line(verdict))
    finish(target, fits, complete={f"priors: {each.name}" for each in chosen} <= known.keys())
    end(trusted=bool(verdict["agrees"].all()))


def _possible(names: Sequence[str] | None, data: GroupedData) -> list[Program]:
    """Load the programs asked for, or all that the data allow but the centered one.

    The centered program is the same model as the non-centered one, and fails its diagnostics where
    the variance between groups may be near 0.
    """
    from partialpool import programs

    known = [name for name in data.family.programs if data.family.knows_exactly(name)]
    for name in names or ():
        if name not in known:
            raise InputError(
                f"--program {name}: the exact posterior is known of {', '.join(known)}"
            )
    family = data.family.name
    if names:
        return [
            programs.load(name, family=family, progress=progress) for name in dict.fromkeys(names)
        ]
    if len(known) < len(data.family.programs):
        others = [name for name in data.family.programs if name not in known]
        say(
            f"Left out: with {data.family.mixture} no exact posterior is known of "
            f"{', '.join(others)}; their forms are held against each other by "
            "`partialpool parameterizations`."
        )
    possible = []
    for name in known:
        if name == programs.CENTERED:
            continue
        program = programs.load(name, family=family, progress=progress)
        try:
            data.family.check_poolable(program, data.stats)
        except InputError as error:
            if program.pooling == "none":
                reason, _, _ = str(error).partition(". ")
                say(f"Left out: {reason}.")
                continue
            raise
        possible.append(program)
    return possible


def _readable(verdict: pd.DataFrame) -> pd.DataFrame:
    """The verdict on each fit as text."""
    import pandas as pd

    from partialpool.tables.exactness import where

    columns = {
        "fit": verdict["model"],
        "numbers": verdict["numbers"],
        "largest, in MCSE": verdict["largest"].map("{:.1f}".format),
        "where": verdict.apply(where, axis=1),
        "within 2": (100 * verdict["share_within_2"]).map("{:.0f} %".format),
        "": verdict["agrees"].map({True: "agrees", False: "DIFFERS"}),
    }
    return pd.DataFrame(columns)
