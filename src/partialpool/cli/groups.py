"""Commands for many groups and for many fits; `partialpool.cli.app` registers them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    Output,
    Retry,
    SamplingOptions,
    expand,
    load_program,
)
from partialpool.errors import InputError
from partialpool.report.results import write_table

if TYPE_CHECKING:
    from partialpool.data import GroupedData
    from partialpool.priors.hyperparameters import Priors

FEWEST_FOR_PARQUET = 10_000
"""Groups from which on the table of all groups is written as Parquet too."""

MOST_COMPARED = 50
"""Most groups of which all pairs are compared."""


@expand
def groups(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    program: Annotated[
        str,
        typer.Option("--program", "-p", metavar="NAME|FILE", help="The marginal program, edited."),
    ] = "hierarchical_marginal",
    top: Annotated[int, typer.Option(help="Groups that are shown and ranked: largest means.")] = 10,
    lowest: Annotated[
        bool, typer.Option("--lowest", help="Show the smallest means instead of the largest.")
    ] = False,
    show_group: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Show and rank this group instead; may be repeated."),
    ] = None,
    draws_of: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Write draws of this group's mean; may be repeated."),
    ] = None,
    ranks: Annotated[
        bool, typer.Option("--ranks/--no-ranks", help="Rank the groups shown among all groups.")
    ] = True,
    include: Include = None,
    retry: Retry = False,
    output: Output = Path("results"),
) -> None:
    """Estimate every group by partial pooling, from data of any size, however many groups."""
    data, priors = data_options.read(csv)
    estimate_groups(
        data,
        priors,
        sampling,
        program=program,
        include=include,
        top=top,
        lowest=lowest,
        show_group=show_group,
        draws_of=draws_of,
        ranks=ranks,
        retry=retry,
        output=output,
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
    program: str = "hierarchical_marginal",
    include: list[Path] | None = None,
    top: int = 10,
    lowest: bool = False,
    show_group: list[str] | None = None,
    draws_of: list[str] | None = None,
    ranks: bool = True,
    retry: bool = False,
    output: Path,
) -> None:
    """Fit the hyperparameters, and show and save what follows for the groups."""
    from partialpool import plots
    from partialpool.fitting import diagnostics
    from partialpool.report import results, wording
    from partialpool.report.drawing import Figure
    from partialpool.report.many_groups import write_page
    from partialpool.tables import (
        exponential,
        group_draws,
        group_posterior,
        meanings,
        shrinkage,
    )

    if top < 1:
        raise InputError(f"--top {top}: it must be at least 1")
    stats = data.stats
    group_posterior.positions(stats, [*(show_group or ()), *(draws_of or ())])
    loaded = load_program(program, data, include)
    group_posterior.check_marginal(loaded, data)
    target = results.check_target(output / f"{data.name}-groups")
    fits = sampling.fit([loaded], data, priors, retry=retry, inputs=_no_group_drawn(data))
    trusted = diagnostics.verdicts(fits)
    posterior = fits[0].posterior
    with progress.task(f"Estimating {stats.J:,} groups"):
        table = group_posterior.group_estimates(posterior, stats)
        table.insert(1, "trusted", all(trusted.values()))
    extreme = table["mean"].nsmallest if lowest else table["mean"].nlargest
    shown = show_group or list(table.loc[extreme(top).index, "group"])
    found = {"groups": table}
    if 1 < len(shown) <= MOST_COMPARED:
        found["contrasts"] = group_draws.group_contrasts(posterior, stats, shown)
    if ranks:
        with progress.task(f"Ranking {len(shown)} groups among {stats.J:,}"):
            found["ranks"] = group_draws.group_ranks(posterior, stats, shown, seed=sampling.seed)
    if draws_of:
        drawn = group_draws.draw_groups(posterior, stats, draws_of, seed=sampling.seed)
        found["draws"] = drawn.to_series().unstack("group").reset_index()
    estimates = shrinkage.estimates(fits, data)
    found["estimates"] = estimates[estimates["group"] == ""]
    found = exponential.tables(data, found)
    table, estimates = found["groups"], found.pop("estimates")
    said = [_extremes(data, priors), *_left_out(data)]
    words = data.family.words
    figure = Figure(
        "shrinkage",
        "shrinkage_arrows",
        {
            "shrinkage": table.rename(columns={"mean": "estimate"}),
            "axis_title": exponential.axis_title(data),
            "group_title": data.group_label,
            "center": exponential.shown(data, float(posterior["mu"].mean())),
            "ratios": data.exp,
            **wording.sizes(data),
        },
        f"From the {words.raw} to the {'geometric ' if data.exp else ''}posterior mean, by "
        f"{words.size_title.lower()}.",
        f"{words.raws.capitalize()} and posterior means of {min(stats.J, 2000):,} groups by their "
        "size.",
    )
    with results.new_folder(target) as folder, progress.task("Saving tables, figure and draws"):
        for name in ("tables", "figures", "fits"):
            (folder / name).mkdir()
        found["estimates"] = results.label_trust(estimates, trusted)
        found["diagnostics"] = diagnostics.check(fits[0]).assign(model=fits[0].name)
        for name, frame in found.items():
            write_table(frame, folder / "tables" / f"{name}.csv")
        if stats.J >= FEWEST_FOR_PARQUET:
            write_table(table, folder / "tables" / "groups.parquet")
        columns = meanings.table(found)
        columns = exponential.described(columns) if data.exp else columns
        write_table(columns, folder / "tables" / "columns.csv")
        plots.save(plots.shrinkage_arrows(**figure.arguments), folder / "figures" / figure.key)
        fits[0].save(folder / "fits" / f"{fits[0].name}.nc")
        write_page(folder, data, fits[0], found, shown=shown, said=said, figure=figure)
        results.write_manifest(folder, data, fits, kind="groups")
    hyper = estimates[estimates["parameter"].isin(["mu", "tau", "sigma"])]
    show(readable_estimates(hyper, exp=data.exp), headed(f"Posterior, {fits[0].title}", trusted))
    which = "smallest" if lowest else "largest"
    show(
        readable_groups(table, found.get("ranks"), shown, data),
        headed(
            f"Posterior of the {data.family.words.thetas}, {exponential.axis_title(data)}"
            + ("" if show_group else f": the {which} of {stats.J:,}"),
            trusted,
        ),
    )
    for sentence in said:
        say(sentence)
    say_scale(data)
    say(f"Report: {target / 'report.html'}")
    finish(target, fits)


def _no_group_drawn(data: GroupedData) -> dict[str, Any]:
    """Inputs with which the marginal program of the data's family draws no group."""
    names = data.family.inputs(data.stats, draw_groups=False)
    return {n: 0 if n == "J_drawn" else () for n in names if n.endswith("_drawn")}


def _left_out(data: GroupedData) -> list[str]:
    """Say what of the comparison many groups do without."""
    if not too_many_groups(data):
        return []
    return [
        "Left out, as there are too many groups to draw each: no pooling's variance of each group, "
        "comparisons of all pairs, and checks and scores that need the observations."
    ]


def _extremes(data: GroupedData, priors: Priors) -> str:
    """Say what the two extremes would make of the groups."""
    from partialpool.programs import SHIPPED
    from partialpool.text import format_estimate, short

    summary = data.family.exact_posterior(SHIPPED[0], data.stats, priors).summary()
    mean, sd = summary.loc[summary["parameter"] == "theta", ["mean", "sd"]].to_numpy(float)[0]
    decimals = max(0, 1 - math.floor(math.log10(sd)))
    center, spread = f"{mean:.{decimals}f}", f"posterior sd {short(sd)}"
    if data.exp:
        ratio = math.exp(mean)
        center, spread = format_estimate(ratio, 0.1 * ratio * sd), f"{spread} of its logarithm"
    return (
        f"Complete pooling would put every group at {center} ({spread}), no pooling each at its "
        f"{data.family.words.raw} (raw_mean in groups.csv)."
    )
