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
) -> dict[str, pd.DataFrame]:
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
    dict
        `estimates` and, of a comparison, `shrinkage_wide` and `changes` (`edits.changes`), on the
        scale that people read.

    Raises
    ------
    InputError
        A folder that cannot be written; nothing is kept then.
    """
    found = {"estimates": shrinkage.estimates(fits, data)}
    if kind == "compare":
        found["shrinkage_wide"] = shrinkage.shrinkage_table(fits, data)
        found["changes"] = edits.changes(fits, data)
    found = exponential.tables(data, found)
    with results.new_folder(target) as folder:
        estimates = results.label_trust(found["estimates"], diagnostics.verdicts(fits))
        results.write_table(estimates, folder / "estimates.csv")
        if kind == "compare":
            _write_comparison(folder, data, fits, found)
        for fit in fits:
            fit.save(folder / f"{fit.name}.nc")
        results.write_manifest(folder, data, fits, kind=kind)
    return found


def _write_comparison(
    folder: Path, data: GroupedData, fits: Sequence[Fit], found: dict[str, pd.DataFrame]
) -> None:
    """Write what only several fits have."""
    from partialpool import plots

    wide = found["shrinkage_wide"]
    results.write_table(wide, folder / "shrinkage.csv")
    if len(found["changes"]):
        results.write_table(found["changes"], folder / "changes.csv")
    if any(fit.name in wide for fit in fits):
        figure = plots.pooling_scatter(
            found["estimates"],
            axis_title=exponential.axis_title(data),
            group_title=data.group_label,
            models={fit.name: fit.title for fit in fits},
            ratios=data.exp,
        )
        plots.save(figure, folder / "shrinkage")
