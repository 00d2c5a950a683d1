"""Commands for many groups and for many fits; `partialpool.cli.app` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partialpool.cli.console import (
    finish,
    headed,
    progress,
    readable_estimates,
    readable_groups,
    say,
    say_scale,
    show,
)
from partialpool.cli.options import (
    Csv,
    DataOptions,
    Include,
    Retry,
    SamplingOptions,
    load_program,
)
from partialpool.cli.parsing import OUTPUT, expand
from partialpool.cli.places import Place
from partialpool.errors import InputError

if TYPE_CHECKING:
    from partialpool.data import GroupedData
    from partialpool.priors.hyperparameters import Priors
    from partialpool.report.many_groups import Chosen


@expand
def groups(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    program: Annotated[
        str | None,
        typer.Option("--program", "-p", metavar="NAME|FILE", help="The marginal program, edited."),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            help="Groups that are shown and ranked: largest means.", rich_help_panel=OUTPUT
        ),
    ] = 10,
    lowest: Annotated[
        bool,
        typer.Option(
            "--lowest",
            help="Show the smallest means instead of the largest.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    show_group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="Show and rank this group instead; may be repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    draws_of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="Write draws of this group's mean; may be repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    ranks: Annotated[
        bool,
        typer.Option(
            "--ranks/--no-ranks",
            help="Rank the groups shown among all groups.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    include: Include = None,
    retry: Retry = False,
) -> None:
    """Estimate every group by partial pooling, from data of any size, however many groups."""
    from partialpool.report.many_groups import Chosen

    if top < 1:
        raise InputError(f"--top {top}: it must be at least 1")
    data, priors = data_options.read(csv)
    chosen = Chosen(top, lowest, show_group or (), draws_of or (), ranks, sampling.seed)
    estimate_groups(
        data,
        priors,
        sampling,
        program=program,
        include=include,
        chosen=chosen,
        retry=retry,
        place=place,
    )


def too_many_groups(data: GroupedData, *, named: list[str] | None = None) -> bool:
    """Whether to estimate the groups without drawing the mean of each.

    Programs that the user names are fitted as they are, where the observations are at hand.
    """
    from partialpool.programs import DRAWN_GROUPS

    return data.stats.J > DRAWN_GROUPS and not (named and data.has_observations)


def estimate_groups(
    data: GroupedData,
    priors: Priors,
    sampling: SamplingOptions,
    *,
    program: str | None = None,
    include: list[Path] | None = None,
    chosen: Chosen | None = None,
    retry: bool = False,
    place: Place,
) -> None:
    """Fit the hyperparameters, and show and save what follows for the groups."""
    from partialpool.fitting import diagnostics
    from partialpool.report import many_groups
    from partialpool.tables import exponential, group_posterior

    chosen = chosen or many_groups.Chosen(seed=sampling.seed)
    group_posterior.positions(data.stats, [*chosen.groups, *chosen.draws_of])
    loaded = load_program(program or data.family.partial_pooling(data.stats), data, include)
    group_posterior.check_marginal(loaded, data)
    target = place.folder(data, "groups")
    [fit] = sampling.fit(
        [loaded], data, priors, retry=retry, inputs=group_posterior.no_group_drawn(data)
    )
    made = many_groups.write(target, data, priors, fit, chosen=chosen, progress=progress)
    trusted, estimates = diagnostics.verdicts([fit]), made.tables["estimates"]
    slopes = estimates["parameter"].str.startswith("beta[")
    hyper = estimates[estimates["parameter"].isin(data.family.population) | slopes]
    show(readable_estimates(hyper, exp=data.exp), headed(f"Posterior, {fit.title}", trusted))
    which = "smallest" if chosen.lowest else "largest"
    show(
        readable_groups(made.tables["groups"], made.tables.get("ranks"), made.shown, data),
        headed(
            f"Posterior of the {data.words.thetas}, {exponential.axis_title(data)}"
            + ("" if chosen.groups else f": the {which} of {data.stats.J:,}"),
            trusted,
        ),
    )
    for sentence in made.said:
        say(sentence)
    say_scale(data)
    say(f"Report: {target / 'report.html'}")
    finish(target, [fit])
