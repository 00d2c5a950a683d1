"""What a report says of the prior of tau: one sentence and a table of other priors."""

from __future__ import annotations

import pandas as pd

from partialpool.report import cells, views
from partialpool.report.wording import Row, named, number, rows_of
from partialpool.tables.comparison import Comparison

_LITTLE, _MUCH = 0.25, 1.0


def line(comparison: Comparison) -> list[str]:
    """Say how far the posterior depends on the prior of tau, with its numbers."""
    table = comparison.table("prior_choices")
    fit = comparison.model("partial")
    if len(table) < 2 or fit is None or not comparison.concludes(fit.name):
        return []
    own, others = rows_of(table)[0], table.iloc[1:]
    doubtful = others.loc[~others["reliable"].astype(bool), "choice"].tolist()
    others = others[others["reliable"].astype(bool)]
    said = []
    of_size = _spread(own) != "τ"
    if len(others):
        most, size, matters = _movement(rows_of(others))
        priors = "another prior" if len(others) == 1 else f"{len(others)} other priors"
        said.append(
            f"The prior of {_spread(own)} matters {matters}: under {priors} "
            f"{'the median of τ' if of_size else 'on the scale of the data its median'} "
            f"is {_range(others, 'tau_median')} where {own['tau_prior'].replace('tau', 'τ')} gives "
            f"{_plain(own['tau_median'])}, its 97.5 % quantile {_range(others, 'tau_q97.5')} "
            f"instead of {_plain(own['tau_q97.5'])}, and the {comparison.data.words.theta} "
            f"that depends most on it, of {named(comparison, most['moved'])}, moves by "
            f"{number(size, 0.005)} of its posterior sds."
        )
    if doubtful:
        said.append(
            f"What {' and '.join(doubtful)} would say is too far from these draws; "
            "partialpool priors fits again."
        )
    return [" ".join(said)]


def verdict(comparison: Comparison) -> list[str]:
    """Say in short how much the prior of tau matters, as far as the draws can tell."""
    table = comparison.table("prior_choices")
    fit = comparison.model("partial")
    if len(table) < 2 or fit is None or not comparison.concludes(fit.name):
        return []
    own, others = rows_of(table)[0], table.iloc[1:]
    others = others[others["reliable"].astype(bool)]
    if others.empty:
        return []
    size, matters = _movement(rows_of(others))[1:]
    words = comparison.data.words
    priors = "another" if len(others) == 1 else f"{len(others)} others"
    return [
        f"The prior of {_spread(own)} matters {matters}: under {priors} no {words.theta} moves by "
        f"more than {number(size, 0.005)} of its posterior sds."
    ]


def _movement(others: list[Row]) -> tuple[Row, float, str]:
    """Return the prior under which a group moves most, how far that is, and whether it matters."""
    most = max(others, key=lambda row: abs(row["largest_movement"]))
    size = abs(float(most["largest_movement"]))
    return most, size, "little" if size < _LITTLE else "much" if size >= _MUCH else "somewhat"


def view(comparison: Comparison) -> cells.View | None:
    """Tau and the movement of the groups, by prior of tau."""
    table = comparison.table("prior_choices")
    if len(table) < 2:
        return None
    spread = _spread(rows_of(table)[0])
    shown = table.assign(
        prior=table["tau_prior"].str.replace("tau", "τ"),
        moved=[_of(row) for row in rows_of(table)],
        median=table["tau_median"].map(_plain),
        interval=table["tau_q2.5"].map(_plain) + " to " + table["tau_q97.5"].map(_plain),
    )
    return cells.view(
        f"Other priors of {spread}",
        shown,
        [
            ("Prior", cells.text("prior")),
            ("Median of τ", cells.text("median")),
            ("95 % interval of τ", cells.text("interval")),
            ("Pooling factor of the group in the middle", cells.digits("lambda_median", ".2f")),
            ("Moves most, in posterior sds", cells.text("moved")),
            ("Pareto k", cells.digits("k", ".2f")),
        ],
        csv="prior_choices",
        note="From the draws under the first prior, weighted by the ratio of the densities; the "
        "weights can be relied on where k is below 0.7, or where they hardly differ."
        + (f" τ is {views.LOGARITHMS}." if comparison.data.exp else ""),
    )


def _spread(row: Row) -> str:
    """What the prior is of."""
    named = [name for name in ("size", "shape") if name in row["tau_prior"]]
    return f"the {named[0]}" if named else "τ"


def _of(row: Row) -> str:
    """Name the group that moves most, and say how far."""
    if not row["moved"]:
        return "–"
    return f"{row['moved']}: {row['largest_movement']:+.2f}".replace("-", "−")


def _range(table: pd.DataFrame, column: str) -> str:
    low, high = (_plain(end) for end in (table[column].min(), table[column].max()))
    return low if low == high else f"{low} to {high}"


def _plain(value: float) -> str:
    """Write three digits: the weighted draws support no more."""
    return f"{value:#.3g}".rstrip(".")
