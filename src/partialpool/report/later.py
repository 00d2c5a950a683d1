"""What a report says of later outcomes, which no fit has seen."""

from __future__ import annotations

import pandas as pd

from partialpool.report import cells
from partialpool.report.drawing import Figure
from partialpool.report.model_figures import axes
from partialpool.report.wording import capital, number, rows_of
from partialpool.tables.comparison import Comparison

_CLOSE = 2.0


def lines(comparison: Comparison) -> list[str]:
    """Say which model predicted later outcomes best, and whether its intervals held them."""
    table = comparison.table("holdout")
    table = table[[comparison.concludes(name) for name in table.get("model", [])]]
    if table.empty:
        return []
    best, *others = rows_of(table)
    titles, unit = comparison.titles, comparison.data.unit_apart
    said = (
        f"Of the later outcomes of {best['groups']} groups, {titles[best['model']]} predicted best"
    )
    if others:
        second = others[0]
        gap, error = -second["log_score_diff"], second["dse"]
        said += (
            f", {number(gap, 0.05)} ahead of {titles[second['model']]} in log predictive "
            f"probability (standard error {number(error, 0.05)})"
        )
        if not gap > _CLOSE * error:
            said += ", which may be chance"
    errors = [
        f"{number(row['rmse'], 0.005 * row['rmse'], unit)} under {titles[row['model']]}"
        for row in (best, *others)
    ]
    held = [
        f"{round(row['within_95'] * row['groups'])} of {row['groups']} under {titles[row['model']]}"
        for row in (best, *others)
    ]
    return [
        f"{said}. The root mean squared error of the posterior means is {', '.join(errors)}. "
        f"Inside their 95 % predictive interval lie {', '.join(held)}."
    ]


def view(comparison: Comparison) -> cells.View | None:
    """Scores of the models on later outcomes."""
    frame = comparison.table("holdout")
    if frame.empty:
        return None
    return cells.view(
        "How well were later outcomes of the same groups predicted?",
        frame.assign(title=frame["model"].map(comparison.titles)),
        [
            ("Model", cells.text("title")),
            ("Groups", cells.count("groups")),
            ("Log score", cells.digits("log_score", ".1f")),
            ("Standard error", cells.digits("se", ".1f")),
            ("Behind the best", cells.digits("log_score_diff", ".1f")),
            ("Standard error of that", cells.digits("dse", ".1f")),
            ("Root mean squared error", cells.digits("rmse", ".3g")),
            ("Inside 50 %", cells.fraction("within_50")),
            ("Inside 95 %", cells.fraction("within_95")),
        ],
        csv="holdout",
        note="The log score is the log predictive probability of the later counts, summed over the "
        "groups; higher is better.",
    )


def figure(comparison: Comparison) -> Figure:
    """Draw later outcomes over what the last two models, apart and pooled, predicted of them."""
    table = comparison.table("holdout_groups")
    shown = list(dict.fromkeys(table["model"]))[-2:]
    table = table[table["model"].isin(shown)]
    ends = {"low": "q2.5", "middle": "mean", "high": "q97.5"}
    parts = [
        pd.DataFrame({name: part[column] for name, column in ends.items()}).assign(
            row=part["group"], kind=capital(comparison.titles[str(model)])
        )
        for model, part in table.groupby("model", sort=False)
    ]
    first = table.drop_duplicates("group")
    seen = pd.DataFrame(dict.fromkeys(ends, first["later"])).assign(
        row=first["group"], kind="Later"
    )
    intervals = pd.concat([seen, *parts], ignore_index=True).assign(whole=False)
    return Figure(
        "holdout",
        "forest",
        {
            "intervals": intervals,
            "zero": False,
            "words": "Square: later outcome; other points: posterior mean; line: central 95 % "
            "predictive interval.",
            **axes(comparison),
        },
        "Later outcomes, and the posterior means with central 95 % predictive intervals of them.",
        f"Later outcomes of {len(first)} groups over predictive intervals by model.",
    )
