"""What a report says of groups within groups."""

from __future__ import annotations

import pandas as pd

from partialpool.fitting import Fit
from partialpool.report import cells
from partialpool.report.drawing import Figure
from partialpool.report.wording import (
    Row,
    capital,
    group_word,
    highest,
    lowest,
    number,
    rows_of,
)
from partialpool.tables.comparison import Comparison

_TITLES = {
    "complete": "Complete pooling",
    "two_levels": "Two levels",
    "three_levels": "Three levels",
    "none": "No pooling",
}


def lines(comparison: Comparison) -> list[str]:
    """Say how much of the variance lies at which level, and where the outer groups lie."""
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name):
        return []
    rows = rows_of(comparison.table("levels", model=fit.name))
    table = comparison.table("outer_groups", model=fit.name)
    if not rows or table.empty:
        return []
    return [
        _variances(comparison, rows),
        *_correlations(comparison, rows),
        *_ends(comparison, table),
    ]


def _sd(row: Row, unit: str) -> str:
    median = number(row["median"], row["mcse_median"], unit, of=row["parameter"])
    low, high = (number(row[end], row["mcse_median"], of=row["parameter"]) for end in _ENDS)
    return f"{median}, 95 % interval {low} to {high}"


def _share(row: Row, name: str) -> str:
    mean = 100 * row[name]
    low, high = (100 * row[f"{name}_{end}"] for end in _ENDS)
    return f"{mean:.0f} % (95 % interval {low:.0f} to {high:.0f} %)"


def _variances(comparison: Comparison, rows: list[Row]) -> str:
    """Say how large each sd is, and its share."""
    data, (outer, inner) = comparison.data, rows[:2]
    nesting = data.stats.nesting
    assert nesting is not None
    unit = "" if data.exp else data.unit
    logs = " on the scale of the logarithms" if data.exp else ""
    within = len(rows) > 2
    of = "the variance of a row" if within else f"the variance between {nesting.inner_label}s"
    said = (
        f"{capital(nesting.label)}s differ with the sd ω{logs} (posterior median "
        f"{_sd(outer, unit)}), and the {nesting.inner_label}s of one {nesting.label} with the sd τ "
        f"(posterior median {_sd(inner, unit)}): of {of}, "
        f"{_share(outer, 'share')} lies between {nesting.label}s"
    )
    if within:
        said += (
            f", {_share(inner, 'share')} between the {nesting.inner_label}s of one {nesting.label} "
            f"and {_share(rows[2], 'share')} within {nesting.inner_label}s"
        )
    return f"{said}."


def _correlations(comparison: Comparison, rows: list[Row]) -> list[str]:
    """Say what the two intraclass correlations are, where rows are observations."""
    if len(rows) < 3:
        return []
    nesting = comparison.data.stats.nesting
    assert nesting is not None
    outer, inner = rows[:2]
    return [
        f"Two observations of one {nesting.inner_label} are correlated by "
        f"{_correlation(inner)}, and two of one {nesting.label} but different "
        f"{nesting.inner_label}s by {_correlation(outer)}: the intraclass correlations."
    ]


def _correlation(row: Row) -> str:
    value, error = row["correlation"], row["mcse_correlation"]
    low, high = (number(row[f"correlation_{end}"], error) for end in _ENDS)
    return f"{number(value, error)} (95 % interval {low} to {high})"


def _ends(comparison: Comparison, table: pd.DataFrame) -> list[str]:
    """Name the outer groups at both ends, how far they are pulled, and what a new group may be."""
    data = comparison.data
    nesting = data.stats.nesting
    assert nesting is not None
    known = table[table["known"]]
    low, high = lowest(known, "estimate"), highest(known, "estimate")
    pulled = number(known["lambda_mean"].min(), 0.005), number(known["lambda_mean"].max(), 0.005)
    new = rows_of(table[~table["known"]])[0]
    what = f"the {nesting.inner_label}"
    narrow = lowest(known.assign(width=known["new_q97.5"] - known["new_q2.5"]), "width")
    return [
        f"The {nesting.label} means, φ, run from {_estimate(low, data.unit)} in "
        f"{low['outer_group']} to {_estimate(high, data.unit)} in {high['outer_group']}. What the "
        f"{nesting.inner_label}s of a {nesting.label} say of it is pulled towards μ with a "
        f"pooling factor of {pulled[0]} to {pulled[1]} (1 is all the way), as {what}s are "
        f"towards their {nesting.label}.",
        f"A new {group_word(comparison)} in a known {nesting.label} is predicted from that "
        f"{nesting.label}: in {narrow['outer_group']} between {_between(narrow, data.unit)} with "
        f"probability 95 %; in a new {nesting.label}, between {_between(new, data.unit)}.",
    ]


def _estimate(row: Row, unit: str) -> str:
    low, high = (number(row[end], row[f"mcse_{end}"]) for end in _ENDS)
    return f"{number(row['estimate'], row['mcse'], unit)} (95 % interval {low} to {high})"


def _between(row: Row, unit: str) -> str:
    digits = 0.01 * (row["new_q97.5"] - row["new_q2.5"])
    low, high = number(row["new_q2.5"], digits), number(row["new_q97.5"], digits, unit)
    return f"{low} and {high}"


def variance_view(comparison: Comparison) -> cells.View | None:
    """Sds and shares of the levels."""
    fit = comparison.model("partial")
    table = comparison.table("levels", model=fit.name) if fit else pd.DataFrame()
    columns = [
        ("Level", cells.text("level")),
        ("Sd, posterior median", cells.estimate("median", "mcse_median", name="parameter")),
        ("95 % interval", cells.interval("q2.5", "q97.5", ".3g")),
        ("Share of the variance", cells.fraction("share")),
        ("95 % interval of the share", cells.fractions("share_q2.5", "share_q97.5")),
    ]
    if len(table) > 2:
        columns += [
            ("Intraclass correlation", cells.fraction("correlation")),
            ("Its 95 % interval", cells.fractions("correlation_q2.5", "correlation_q97.5")),
        ]
    return cells.view("Variance by level", table, columns, csv="levels")


def outer_view(comparison: Comparison) -> cells.View | None:
    """Outer groups: estimates, pooling factors, predictions."""
    fit = comparison.model("partial")
    table = comparison.table("outer_groups", model=fit.name) if fit else pd.DataFrame()
    nesting = comparison.data.stats.nesting
    if nesting is None or table.empty:
        return None
    return cells.view(
        f"{capital(nesting.label)}s under partial pooling",
        table.assign(name=table["outer_group"].where(table["known"], f"a new {nesting.label}")),
        [
            (nesting.label, cells.text("name")),
            (f"{capital(nesting.inner_label)}s", cells.count("groups")),
            (f"Mean of its {nesting.inner_label}s", cells.plain("own_mean")),
            ("Posterior mean of φ", cells.estimate("estimate", "mcse")),
            ("95 % interval", cells.interval("q2.5", "q97.5", ".3g")),
            ("Pooling factor", cells.fraction("lambda_mean")),
            (
                f"A new {nesting.inner_label} in it, 95 %",
                cells.interval("new_q2.5", "new_q97.5", ".3g"),
            ),
        ],
        csv="outer_groups",
        note="Pooling factor: how far the mean is pulled towards μ; 1 is complete pooling, 0 is "
        f"none. Last column: prediction interval of {comparison.data.words.thetas}.",
    )


def poolings_view(comparison: Comparison) -> cells.View | None:
    """The four poolings side by side."""
    table = comparison.table("poolings")
    nesting = comparison.data.stats.nesting
    if nesting is None or table.empty:
        return None
    columns = [
        (nesting.label, cells.text("outer_group")),
        (comparison.data.group_label, cells.text("group")),
        (capital(comparison.data.words.raw), cells.plain("raw_mean")),
        *((title, cells.plain(name)) for name, title in _TITLES.items() if name in table),
    ]
    return cells.view(
        f"Posterior means of the {comparison.data.words.thetas}: the poolings that groups within "
        "groups have",
        table,
        columns,
        csv="poolings",
        note="All exact, by quadrature. Two levels: partial pooling that ignores "
        f"{nesting.label}s.",
    )


def drawn(comparison: Comparison) -> tuple[Fit, pd.DataFrame] | None:
    """The outer groups that a figure shows, and the fit; None where there are none."""
    fit = comparison.model("partial")
    if fit is None or comparison.data.stats.nesting is None:
        return None
    table = comparison.table("outer_groups", model=fit.name)
    known = table[table["known"]] if len(table) else table
    return (fit, known) if len(known) > 1 else None


def figure(comparison: Comparison) -> Figure:
    """Arrows from what the groups of each outer group say to its posterior mean."""
    found = drawn(comparison)
    nesting = comparison.data.stats.nesting
    assert found is not None
    assert nesting is not None
    fit, known = found
    mu = comparison.table("estimates", model=fit.name, parameter="mu")
    frame = known.assign(
        group=known["outer_group"],
        **{f"{nesting.inner_label}s": known["groups"]},
        model=fit.name,
        pooling="partial",
        raw_mean=known["own_mean"],
        raw_se=1 / known["groups"] ** 0.5,
    )
    low, high = lowest(known, "estimate"), highest(known, "estimate")
    shown = " to ".join(
        f"{number(row['estimate'], row['mcse'])} ({row['outer_group']})" for row in (low, high)
    )
    return Figure(
        "outer-groups",
        "shrinkage_arrows",
        {
            "shrinkage": frame,
            "center": float(mu["mean"].iloc[0]) if len(mu) else None,
            "axis_title": comparison.data.axis_title,
            "group_title": nesting.label,
            "size": f"{nesting.inner_label}s",
            "ratios": comparison.data.exp,
            "size_title": f"{capital(nesting.inner_label)}s in the {nesting.label}",
            "least": f"fewest {nesting.inner_label}s",
            "raw": f"mean of its {nesting.inner_label}s",
        },
        f"From the mean of the {nesting.inner_label}s of each {nesting.label} to the posterior "
        f"mean of its φ under {fit.title}; dashed: the posterior mean of μ.",
        f"Arrows from means of {nesting.label}s to posterior means under {fit.title}, which run "
        f"from {shown}.",
    )


_ENDS = ("q2.5", "q97.5")
