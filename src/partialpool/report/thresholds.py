"""What a report says of values that matter: which groups lie above them, and how surely."""

from __future__ import annotations

import pandas as pd

from partialpool.report import cells
from partialpool.report.wording import (
    draws_of,
    group_word,
    listed,
    named,
    noun,
    percent,
    rows_of,
)
from partialpool.tables.comparison import Comparison
from partialpool.tables.thresholds import ANY, GROUP, NEW

_SURE = 0.95


def lines(comparison: Comparison) -> list[str]:
    """Say how surely groups lie above each threshold, under partial pooling or else no pooling."""
    fit = comparison.model("partial") or comparison.model("none")
    if fit is None or not comparison.concludes(fit.name):
        return []
    table, said = comparison.table("thresholds", model=fit.name), []
    if table.empty:
        return []
    draws, unit = draws_of(comparison, fit), comparison.data.unit
    for value, part in table.groupby("threshold"):
        groups = part[part["of"] == GROUP]
        above = f"above {value:g}{f' {unit}' if unit else ''}"
        sure = groups[groups["p_above"] >= _SURE].sort_values("p_above", ascending=False)
        names = [named(comparison, str(row["group"])) for row in rows_of(sure)]
        who = listed(names) if names else f"No {group_word(comparison)}"
        verb = "lies" if len(names) <= 1 else "lie"
        others = []
        for row in rows_of(part[part["of"] != GROUP]):
            what = {
                ANY: f"that any {group_word(comparison)} does",
                NEW: f"that a new {group_word(comparison)} would",
            }[row["of"]]
            others.append(f"{what}: {percent(row['p_above'], draws)}")
        said.append(
            f"{who[:1].upper()}{who[1:]} {verb} {above} with a probability of {100 * _SURE:g} % or "
            f"more under {fit.title}; the probability {' and '.join(others)}."
        )
    return said


def view(comparison: Comparison) -> cells.View | None:
    """Probability of each group, model by model, of lying above each threshold."""
    table = comparison.table("thresholds")
    if table.empty:
        return None
    frame = table.assign(what=table["group"].where(table["of"] == GROUP, table["of"]))
    keys = ["threshold", "of", "what"]
    wide = frame.pivot_table(
        index=keys, columns="model", values="p_above", sort=False, dropna=False, aggfunc="first"
    ).reset_index()
    wide = wide.dropna(subset=list(wide.columns[len(keys) :]), how="all")
    shown = pd.DataFrame(wide)
    models = [(title, name) for name, title in comparison.titles.items() if name in shown]
    return cells.view(
        f"Probability that the {noun(comparison)} lies above a threshold",
        shown,
        [
            ("Threshold", cells.digits("threshold", ".6g")),
            (comparison.data.group_label, cells.text("what")),
            *((title[:1].upper() + title[1:], cells.probability(name)) for title, name in models),
        ],
        csv="thresholds",
    )
