"""A result folder for more groups than a comparison can show: all estimates, and a page on some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import PartialPoolError
from partialpool.fitting import Fit, diagnostics
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import DRAWN_GROUPS, SHIPPED, statements
from partialpool.progress import Progress
from partialpool.report import (
    cells,
    levels,
    page,
    regression,
    results,
    sentences,
    trust,
    views,
    wording,
)
from partialpool.report.drawing import Figure, draw_all, drawing_processes
from partialpool.tables import exponential, group_draws, group_posterior, meanings, shrinkage
from partialpool.tables import levels as levels_of
from partialpool.tables import regression as regression_tables
from partialpool.tables.comparison import Comparison
from partialpool.text import format_estimate, short

FEWEST_FOR_PARQUET = 10_000
"""Groups from which on the table of all groups is written as Parquet too."""

MOST_COMPARED = 50
"""Most groups of which all pairs are compared."""

_MOST_ARROWS = 2000


@dataclass(frozen=True)
class Chosen:
    """What is wanted of the groups beside the estimates of all.

    Attributes
    ----------
    top, lowest
        How many groups are shown and ranked: those of the largest means, or of the smallest.
    groups
        Labels of the groups that are shown instead.
    draws_of
        Labels of groups of whose means draws are written.
    ranks
        Whether the groups that are shown are ranked among all.
    seed
        Seed of draws and ranks.
    """

    top: int = 10
    lowest: bool = False
    groups: Sequence[str] = ()
    draws_of: Sequence[str] = ()
    ranks: bool = True
    seed: int = 1


@dataclass(frozen=True)
class Written:
    """What was made of a fit to many groups.

    Attributes
    ----------
    tables
        `estimates` of the hyperparameters, `groups`, `diagnostics` and, where there are such,
        `contrasts`, `ranks` and `draws`.
    shown
        Labels of the groups that are shown, in order.
    said
        Sentences on all groups, and on a figure that could not be drawn.
    """

    tables: Mapping[str, pd.DataFrame]
    shown: Sequence[str]
    said: Sequence[str]


def write(
    target: Path,
    data: GroupedData,
    priors: Priors,
    fit: Fit,
    *,
    chosen: Chosen,
    progress: Progress | None = None,
) -> Written:
    """Estimate every group, and write tables, figure, page and fit into a folder of results.

    Parameters
    ----------
    target
        The folder, as for `results.new_folder`.
    data, priors
        The data, of which only the statistics by group are used, and what they were fitted with.
    fit
        The fit of a program that `group_posterior.check_marginal` admits.
    chosen
        Which groups are shown.
    progress
        Where to report.

    Raises
    ------
    InputError
        An unknown label, or a folder that cannot be written; nothing is kept then.
    PartialPoolError
        The groups could not be estimated; the fit is kept.
    """
    group_posterior.positions(data.stats, [*chosen.groups, *chosen.draws_of])
    progress, parts = progress or Progress(), results.Parts()
    with results.new_folder(target) as folder:
        for name in ("tables", "figures", "fits"):
            (folder / name).mkdir()
        fit.save(folder / "fits" / f"{fit.name}.nc")
        made = parts.make(
            "the estimates", lambda: _fill(folder, data, priors, fit, chosen, parts, progress)
        )
        results.write_manifest(folder, data, [fit], kind="groups", missing=parts.failed)
    if made is None:
        raise PartialPoolError(
            f"the groups could not be estimated ({parts.failed['the estimates']}); the fit is kept "
            f"in {target}"
        )
    said = [f"{name} could not be made: {reason}." for name, reason in parts.failed.items()]
    return Written(made.tables, made.shown, [*made.said, *map(wording.capital, said)])


def _fill(
    folder: Path,
    data: GroupedData,
    priors: Priors,
    fit: Fit,
    chosen: Chosen,
    parts: results.Parts,
    progress: Progress,
) -> Written:
    """Write tables, figure and page; what fails beside the estimates is in `parts`."""
    stats, posterior = data.stats, fit.posterior
    trusted = diagnostics.verdicts([fit])
    with drawing_processes(1) as workers, ThreadPoolExecutor() as beside:
        with progress.task(f"Estimating {wording.groups_of(stats.J)}"):
            table = all_groups(data, fit)
        extreme = table["mean"].nsmallest if chosen.lowest else table["mean"].nlargest
        shown = list(chosen.groups or table.loc[extreme(chosen.top).index, "group"])
        found = {"groups": table}
        figure = _figure(data, fit, table)
        drawing = beside.submit(draw_all, [figure], folder / "figures", workers=workers)
        saving = [
            beside.submit(
                results.write_table, table, folder / "tables" / "groups.csv", alike=stats.alike
            )
        ]
        if stats.J >= FEWEST_FOR_PARQUET:
            saving.append(
                beside.submit(results.write_table, table, folder / "tables" / "groups.parquet")
            )
        more: dict[str, pd.DataFrame] = {}
        if 1 < len(shown) <= MOST_COMPARED:
            pairs = parts.make(
                "the contrasts", lambda: group_draws.group_contrasts(posterior, stats, shown)
            )
            more |= {} if pairs is None else {"contrasts": pairs}
        if chosen.ranks:
            with progress.task(f"Ranking {wording.groups_of(len(shown))} among {stats.J:,}"):
                ranked = parts.make(
                    "the ranks",
                    lambda: group_draws.group_ranks(posterior, stats, shown, seed=chosen.seed),
                )
            more |= {} if ranked is None else {"ranks": ranked}
        if chosen.draws_of:
            drawn = group_draws.draw_groups(posterior, stats, chosen.draws_of, seed=chosen.seed)
            more["draws"] = drawn.to_series().unstack("group").reset_index()  # noqa: PD010
        if data.stats.covariates is not None:
            more["coefficients"] = regression_tables.coefficients([fit], data)
        estimates = shrinkage.estimates([fit], data)
        more["estimates"] = estimates[estimates["group"] == ""]
        if stats.nesting is not None:
            more["levels"] = levels_of.levels([fit], data)
            more["outer_groups"] = levels_of.outer_groups([fit], data)
        more = exponential.tables(data, more)
        more["estimates"] = results.label_trust(more["estimates"], trusted)
        more["diagnostics"] = diagnostics.check(fit).assign(model=fit.name)
        found |= more
        with progress.task("Saving tables, figure and draws"):
            for name, frame in more.items():
                results.write_table(frame, folder / "tables" / f"{name}.csv")
            columns = meanings.table(found, data.words)
            columns = exponential.described(columns, data)
            results.write_table(columns, folder / "tables" / "columns.csv")
            drawn_figure = drawing.result()
            problem = drawn_figure.failed.get(figure.key)
            picture = (
                page.Picture(figure.key, "", problem=problem)
                if problem
                else page.picture(figure, folder / "figures", drawn_figure.captions[figure.key])
            )
            said = [_extremes(data, priors), *_left_out(data)]
            parts.make(
                "the page",
                lambda: _write_page(
                    folder, data, fit, found, shown=shown, said=said, picture=picture
                ),
            )
            for each in saving:
                each.result()
    if problem:
        said.append(f"The figure could not be drawn: {problem}.")
    return Written(found, shown, said)


def all_groups(data: GroupedData, fit: Fit) -> pd.DataFrame:
    """Posterior of every group: columns of `group_posterior.group_estimates`, and `trusted`."""
    table = group_posterior.group_estimates(fit.posterior, data.stats)
    table.insert(1, "trusted", all(diagnostics.verdicts([fit]).values()))
    return exponential.tables(data, {"groups": table})["groups"]


def supported(table: pd.DataFrame, column: str, *, exp: bool = False) -> pd.Series[float]:
    """Errors by which estimates of groups are rounded: Monte Carlo, but at least sd / 1000.

    The estimates have hardly any Monte Carlo error of their own where tau is large.

    Parameters
    ----------
    table
        As from `group_posterior.group_estimates`, or its exponentials.
    column
        `mean` or a quantile.
    exp
        Whether the table holds exponentials, so that its sds are factors.
    """
    sd = np.log(table["sd"]) * table[column] if exp else table["sd"]
    return table[f"mcse_{column}"].clip(lower=sd / 1000)


def _figure(data: GroupedData, fit: Fit, table: pd.DataFrame) -> Figure:
    """From raw to posterior means, of as many groups as can be told apart, evenly by their size."""
    words, sizes = data.words, wording.sizes(data)
    columns = ["group", "raw_mean", "mean", sizes["size"]]
    size = table[sizes["size"]].to_numpy()
    order = np.argsort(-size if sizes["size"] == "se" else size, kind="stable")
    kept = np.linspace(0, len(order) - 1, min(len(order), _MOST_ARROWS)).astype(int)
    return Figure(
        "shrinkage",
        "shrinkage_arrows",
        {
            "shrinkage": table[columns].iloc[order[kept]].rename(columns={"mean": "estimate"}),
            "axis_title": exponential.axis_title(data),
            "group_title": data.group_label,
            "center": exponential.shown(data, float(fit.posterior["mu"].mean()))
            if data.stats.covariates is None
            else None,
            "ratios": data.exp,
            **sizes,
        },
        f"From the {words.raw} to the {'geometric ' if data.exp else ''}posterior mean, by "
        f"{words.size_title.lower()}.",
        f"{words.raws.capitalize()} and posterior means of {len(kept):,} groups by their size.",
    )


def _extremes(data: GroupedData, priors: Priors) -> str:
    """Say what the two extremes would make of the groups."""
    if data.stats.covariates is not None:
        return (
            "Complete pooling would put every group on the regression line, no pooling each at "
            f"about its {data.words.raw} (raw_mean in groups.csv)."
        )
    summary = data.family.exact_posterior(SHIPPED[0], data.stats, priors).summary()
    mean, sd = summary.loc[summary["parameter"] == "theta", ["mean", "sd"]].to_numpy(float)[0]
    mean, sd = data.per * mean, data.per * sd
    decimals = max(0, 1 - math.floor(math.log10(sd)))
    center, spread = f"{mean:.{decimals}f}", f"posterior sd {short(sd)}"
    if data.exp:
        ratio = math.exp(mean)
        center, spread = format_estimate(ratio, 0.1 * ratio * sd), f"{spread} of its logarithm"
    return (
        f"Complete pooling would put every group at {center} ({spread}), no pooling each at about "
        f"its {data.words.raw} (raw_mean in groups.csv)."
    )


def _left_out(data: GroupedData) -> list[str]:
    """Say what of the comparison many groups do without."""
    if data.stats.J <= DRAWN_GROUPS:
        return []
    apart = "no pooling's variance of each group" if data.family.gaussian else "no pooling"
    return [
        f"Left out, as there are too many groups to draw each: {apart}, "
        "comparisons of all pairs, and checks and scores that need the observations."
    ]


def _write_page(
    folder: Path,
    data: GroupedData,
    fit: Fit,
    tables: Mapping[str, pd.DataFrame],
    *,
    shown: Sequence[str],
    said: Sequence[str],
    picture: page.Picture,
) -> None:
    """Write `report.html` into a folder in which the figure's files lie already."""
    trusted = {fit.name: diagnostics.trusted(tables["diagnostics"])}
    comparison = Comparison(data, (fit,), tables, {}, trusted)
    model = statements.of_program(fit.record.source, fit.record.priors)
    parts = [
        page.Section("data", "The data", sentences.about_data(comparison)),
        page.Section(
            "models",
            "The model",
            children=[page.model_section(comparison, fit, (), {fit.name: model} if model else {})],
        ),
        page.Section(
            "diagnostics",
            "Diagnostics",
            trust.verdicts(comparison),
            [views.diagnostics(comparison)],
        ),
        page.Section(
            "groups",
            "The groups",
            [*regression.lines(comparison), *said, *levels.lines(comparison)],
            [
                regression.coefficients(comparison),
                _view(comparison, shown),
                *(make(comparison) for make in (levels.variance_view, levels.outer_view)),
            ],
            [picture],
        ),
    ]
    made = results.manifest(comparison, {fit.name: f"fits/{fit.name}.nc"}, {}, {})
    html = page.render(comparison, parts, made=made, missing={})
    (folder / "report.html").write_text(html, encoding="utf-8")


def _view(comparison: Comparison, shown: Sequence[str]) -> cells.View | None:
    """Posterior of the groups that are shown, with their ranks where these are known."""
    table = comparison.table("groups")
    frame = table[table["group"].isin(shown)].set_index("group", drop=False).loc[list(shown)]
    words, exp = comparison.data.words, comparison.data.exp
    frame = frame.assign(
        **{f"mcse_{name}": supported(frame, name, exp=exp) for name in ("mean", "q2.5", "q97.5")}
    )
    mean = "Geometric posterior mean" if comparison.data.exp else "Posterior mean"
    columns: cells.Columns = [
        *views.outer(comparison),
        (comparison.data.group_label, cells.text("group")),
        *views.size(comparison),
        *views.raw(comparison, "raw_mean"),
        (mean, cells.estimate("mean", "mcse_mean")),
        ("sd", cells.estimate("sd", "mcse_sd")),
        ("2.5 %", cells.estimate("q2.5", "mcse_q2.5")),
        ("97.5 %", cells.estimate("q97.5", "mcse_q97.5")),
        ("Pooling factor λ", cells.fraction("lambda_mean")),
    ]
    ranks = comparison.table("ranks")
    if len(ranks):
        frame = frame.join(ranks.set_index("group"))
        columns.append(
            ("95 % interval of the rank", cells.interval("rank_q2.5", "rank_q97.5", ".0f"))
        )
    return cells.view(
        f"Posterior of {len(frame):,} of {comparison.data.stats.J:,} {words.thetas}",
        frame,
        columns,
        csv="groups",
        note=f"Rank 1 is the largest {wording.noun(comparison)}. The file holds every group."
        + (" The sd is a factor." if comparison.data.exp else ""),
    )
