"""Fits -> a folder of tables and draws, without a page: what `fit` and `compare` leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit, diagnostics
from partialpool.report import results
from partialpool.studies import edits
from partialpool.tables import exponential, shrinkage

KINDS = ("fit", "compare")
"""Kinds of results that are written here."""


def write(
    target: Path, data: GroupedData, fits: Sequence[Fit], *, kind: str
) -> tuple[dict[str, pd.DataFrame], results.Parts]:
    """Write the tables and draws of one fit, or of several side by side with a figure.

    Parameters
    ----------
    target
        The folder, as for `results.new_folder`.
    data, fits
        The fits and what they were made from.
    kind
        "fit" or "compare".

    Returns
    -------
    tables, parts
        `estimates` and, of a comparison, `shrinkage_wide` and `changes` (`edits.changes`), on the
        scale that people read, as far as they could be made; and what could not.

    Raises
    ------
    InputError
        A folder that cannot be written; nothing is kept then.
    """
    makers = {"estimates": lambda: shrinkage.estimates(fits, data)}
    if kind == "compare":
        makers["shrinkage_wide"] = lambda: shrinkage.shrinkage_table(fits, data)
        makers["changes"] = lambda: edits.changes(fits, data)
    saved = {fit.name: fit for fit in fits}
    with results.kept(target, data, saved, kind=kind) as (folder, parts):
        made = {key: parts.table(data, key, make) for key, make in makers.items()}
        found = {key: table for key, table in made.items() if table is not None}
        if "estimates" in found:
            estimates = results.label_trust(found["estimates"], diagnostics.verdicts(fits))
            results.write_table(estimates, folder / "estimates.csv")
        if kind == "compare":
            _write_comparison(folder, data, fits, found, parts)
    return found, parts


def _write_comparison(
    folder: Path,
    data: GroupedData,
    fits: Sequence[Fit],
    found: dict[str, pd.DataFrame],
    parts: results.Parts,
) -> None:
    """Write what only several fits have."""
    from partialpool import plots

    wide = found.get("shrinkage_wide", pd.DataFrame())
    if "shrinkage_wide" in found:
        results.write_table(wide, folder / "shrinkage.csv")
    if len(found.get("changes", ())):
        results.write_table(found["changes"], folder / "changes.csv")
    if "estimates" in found and any(fit.name in wide for fit in fits):
        parts.figure(
            folder / "shrinkage",
            lambda: plots.pooling_scatter(
                shrinkage.without_foreign_centers(found["estimates"], fits),
                axis_title=exponential.axis_title(data),
                group_title=data.group_label,
                models={fit.name: fit.title for fit in fits},
                ratios=data.exp,
            ),
        )
