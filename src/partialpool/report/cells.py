"""Tables for people: columns with titles, and cells as text with a value to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from partialpool.report.wording import number
from partialpool.text import share, short

LIMIT = 40
"""Rows of a table in the HTML."""


@dataclass(frozen=True)
class Cell:
    """Text of a cell and, for numbers, the value it sorts by."""

    text: str
    value: float | None = None

    @property
    def kind(self) -> str:
        """How it is set: a number, short text that is not broken, or text."""
        if self.value is not None or self.text == "–":
            return "number"
        return "brief" if len(self.text) <= 16 else "text"


Maker = Callable[[Any], Cell]
"""Makes the cell of a column from a row."""

Columns = list[tuple[str, Maker]]
"""Titles of the columns, in order, with what makes their cells."""


@dataclass(frozen=True)
class View:
    """A table to show.

    Attributes
    ----------
    title
        Its caption.
    head
        Titles of the columns.
    rows
        Cells, row by row.
    csv
        Name of the file that holds it whole.
    dropped
        Rows that only the file has: those between the first and the last ones.
    note
        A sentence below the table.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: str
    dropped: int = 0
    note: str = ""


def view(
    title: str,
    frame: pd.DataFrame,
    columns: Columns,
    *,
    csv: str,
    note: str = "",
    limit: int = LIMIT,
    dropped: int = 0,
) -> View | None:
    """Show a frame, of a long one the first and the last rows; None where it has none.

    `dropped` counts rows that were left out of the frame before.
    """
    if frame.empty:
        return None
    shown = cut(frame, limit)
    rows = tuple(tuple(make(row) for _, make in columns) for row in shown.to_dict(orient="records"))
    dropped += len(frame) - len(shown)
    return View(title, tuple(head for head, _ in columns), rows, csv, dropped, note)


def cut(frame: pd.DataFrame, limit: int = LIMIT) -> pd.DataFrame:
    """Rows of a frame that are shown: all, or as many first ones as last ones."""
    if len(frame) <= limit:
        return frame
    return pd.concat([frame.head(limit // 2), frame.tail(limit // 2)])


def text(column: str) -> Maker:
    """Text as it is."""
    return lambda row: Cell(str(row[column]))


def count(column: str) -> Maker:
    """Whole number."""
    return lambda row: Cell(f"{row[column]:.0f}", float(row[column]))


def whole_or(make: Maker, column: str, flag: str) -> Maker:
    """Whole number where a column says so, and what is made of other rows elsewhere."""
    whole = count(column)
    return lambda row: whole(row) if row[flag] and math.isfinite(row[column]) else make(row)


def estimate(column: str, mcse: str, *, name: str = "") -> Maker:
    """Number with the digits that the error in another column supports.

    The column `name` says what is estimated: what is never 0 is not rounded to it (`number`).
    """

    def cell(row: Any) -> Cell:
        return number_cell(row[column], row[mcse], of=str(row[name]) if name else "")

    return cell


def supported(column: str, mcse: str, plain: str) -> Maker:
    """Number with the digits that its error supports, where it has one, or in a given format."""
    bare = digits(column, plain)

    def cell(row: Any) -> Cell:
        error = row.get(mcse, math.nan)
        return number_cell(row[column], error, of=column) if math.isfinite(error) else bare(row)

    return cell


def number_cell(value: float, mcse: float = math.nan, *, of: str = "") -> Cell:
    """Number with the digits that its error supports; a dash where there is none."""
    if not math.isfinite(value):
        return Cell("–" if math.isnan(value) else str(value))
    return Cell(number(value, mcse, of=of), float(value))


def plain(column: str) -> Maker:
    """Number with four digits, from 1000 on all before the point."""
    small, large = digits(column, ".4g"), digits(column, ".0f")
    return lambda row: large(row) if abs(row[column]) >= 1000 else small(row)


def error(column: str) -> Maker:
    """Monte Carlo error, with two digits."""

    def cell(row: Any) -> Cell:
        value = row[column]
        return Cell(short(value), float(value)) if math.isfinite(value) else Cell("–")

    return cell


def fraction(column: str) -> Maker:
    """Share, to two decimals; one that is never 0 or 1 is not rounded to either."""

    def cell(row: Any) -> Cell:
        value = row[column]
        return Cell("–") if math.isnan(value) else Cell(share(value), float(value))

    return cell


def fractions(low: str, high: str) -> Maker:
    """Interval of a share."""

    def cell(row: Any) -> Cell:
        if math.isnan(row[low]) or math.isnan(row[high]):
            return Cell("–")
        return Cell(f"{share(row[low])} to {share(row[high])}", float(row[low]))

    return cell


def digits(column: str, digits: str) -> Maker:
    """Number in a given format."""

    def cell(row: Any) -> Cell:
        value = row[column]
        if not math.isfinite(value):
            return Cell("–" if math.isnan(value) else str(value))
        return Cell(format(value, digits).replace("-", "−"), float(value))

    return cell


def probability(column: str) -> Maker:
    """Probability that was estimated from draws, to two decimals, never 0 or 1."""

    def cell(row: Any) -> Cell:
        p = row[column]
        if math.isnan(p):
            return Cell("–")
        shown = "<0.01" if p < 0.005 else ">0.99" if p > 0.995 else f"{p:.2f}"
        return Cell(shown, float(p))

    return cell


def yes(column: str) -> Maker:
    """Yes or no."""
    return lambda row: Cell("yes" if row[column] else "no", float(row[column]))


def interval(low: str, high: str, digits: str) -> Maker:
    """Two ends with the digits that their errors support, where they have some, or in a format."""

    def end(row: Any, name: str) -> str:
        error = row.get(f"mcse_{name}", math.nan)
        if math.isfinite(error):
            return number(row[name], error)
        return format(row[name], digits).replace("-", "−")

    def cell(row: Any) -> Cell:
        if not (math.isfinite(row[low]) and math.isfinite(row[high])):
            return Cell("–")
        return Cell(f"{end(row, low)} to {end(row, high)}", float(row[low]))

    return cell


def with_error(name: str) -> Maker:
    """Estimate with its Monte Carlo standard error in brackets."""

    def cell(row: Any) -> Cell:
        found = number_cell(row[name], row[f"{name}_mcse"])
        error = row[f"{name}_mcse"]
        return Cell(
            f"{found.text} ({short(error)})" if math.isfinite(error) else found.text, found.value
        )

    return cell
