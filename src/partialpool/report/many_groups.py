"""A page on more groups than a comparison can show: the model, its diagnostics, and some groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit, diagnostics
from partialpool.programs import statements
from partialpool.report import cells, page, sentences, trust, views, wording
from partialpool.report.drawing import Figure
from partialpool.report.folder import manifest
from partialpool.tables.comparison import Comparison


def write_page(
    folder: Path,
    data: GroupedData,
    fit: Fit,
    tables: Mapping[str, pd.DataFrame],
    *,
    shown: Sequence[str],
    said: Sequence[str],
    figure: Figure,
) -> None:
    """Write `report.html` into a folder of results in which tables and figures lie already.

    Parameters
    ----------
    folder
        The folder, with the figure's files in `figures/`.
    data
        The data; only their statistics by group are used.
    fit
        The fit of partial pooling.
    tables
        `estimates` (columns of `pooling.estimates`), `diagnostics` (of `diagnostics.check`, and
        `model`), `groups` (of `group_posterior.group_estimates`) and, where there are any, `ranks`
        (of `group_draws.group_ranks`).
    shown
        Labels of the groups that the page shows, in order.
    said
        Sentences on what all groups have in common, and on what is left out.
    figure
        What was drawn.
    """
    trusted = {fit.name: diagnostics.trusted(tables["diagnostics"])}
    comparison = Comparison(data, (fit,), tables, {}, trusted)
    model = statements.of_program(fit.record.source)
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
            said,
            [_view(comparison, shown)],
            [page.picture(figure, folder / "figures")],
        ),
    ]
    made = manifest(comparison, {fit.name: f"fits/{fit.name}.nc"}, {}, {})
    html = page.render(comparison, parts, made=made, missing={})
    (folder / "report.html").write_text(html, encoding="utf-8")


def _view(comparison: Comparison, shown: Sequence[str]) -> cells.View | None:
    """Posterior of the groups that are shown, with their ranks where these are known."""
    frame = comparison.table("groups").set_index("group", drop=False).loc[list(shown)]
    words = comparison.data.family.words
    mean = "Geometric posterior mean" if comparison.data.exp else "Posterior mean"
    columns: cells.Columns = [
        (comparison.data.group_label, cells.text("group")),
        *views.size(comparison),
        (words.raw.capitalize(), cells.digits("raw_mean", ".4g")),
        (mean, cells.estimate("mean", "mcse_mean")),
        ("sd", cells.digits("sd", ".3g" if comparison.data.exp else ".2g")),
        ("2.5 %", cells.estimate("q2.5", "mcse_q2.5")),
        ("97.5 %", cells.estimate("q97.5", "mcse_q97.5")),
        ("Pooling factor λ", cells.digits("lambda_mean", ".2g")),
    ]
    ranks = comparison.table("ranks")
    if len(ranks):
        frame = frame.join(ranks.set_index("group"))
        columns.append(
            ("95 % interval of the rank", cells.interval("rank_q2.5", "rank_q97.5", ".0f"))
        )
    return cells.view(
        f"Posterior of {len(frame)} of {comparison.data.stats.J} {words.thetas}",
        frame,
        columns,
        csv="groups",
        note=f"Rank 1 is the largest {wording.noun(comparison)}. The file holds every group."
        + (" The sd is a factor." if comparison.data.exp else ""),
    )
