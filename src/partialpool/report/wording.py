"""Numbers, rows and lists as sentences need them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.tables.comparison import Comparison
from partialpool.text import format_estimate

_LISTED = 8

Row = dict[str, Any]
"""One row of a frame."""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Rows of a frame as dictionaries."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(dtype=object)]


def lowest(frame: pd.DataFrame, column: str) -> Row:
    """Return the row with the smallest value in a column."""
    return rows_of(frame.iloc[[int(np.nanargmin(frame[column].to_numpy(dtype=float)))]])[0]


def highest(frame: pd.DataFrame, column: str) -> Row:
    """Return the row with the largest value in a column."""
    return rows_of(frame.iloc[[int(np.nanargmax(frame[column].to_numpy(dtype=float)))]])[0]


def number(value: float, mcse: float = math.nan, unit: str = "") -> str:
    """Write a number with the digits that its error supports, and its unit."""
    shown = format_estimate(float(value), float(mcse)).replace("-", "−")
    return f"{shown} {unit}" if unit else shown


def percent(p: float, draws: float) -> str:
    """Write a probability that was estimated from about `draws` independent draws."""
    error = math.sqrt(max(p * (1 - p), 1 / max(draws, 1)) / max(draws, 1))
    if p < 2 * error or p < 0.001:
        return f"less than {max(100 * 2 * error, 0.1):.2g} %"
    if 1 - p < 2 * error or p > 0.999:
        return f"more than {100 - max(100 * 2 * error, 0.1):.3g} %"
    return f"{number(100 * p, 100 * error)} %"


def group_word(comparison: Comparison) -> str:
    """What a group is called, within a sentence."""
    word = comparison.data.group_label
    return word[:1].lower() + word[1:] if word[1:] == word[1:].lower() else word


def named(comparison: Comparison, label: str) -> str:
    """Name a group within a sentence; a label that names its kind already stands alone."""
    word = group_word(comparison)
    return label if label.lower().startswith(word.lower()) else f"{word} {label}"


def listed(items: Sequence[str]) -> str:
    """Join items for reading; of many the first ones and a count."""
    items = list(items)
    if len(items) > _LISTED:
        items = [*items[:_LISTED], f"{len(items) - _LISTED} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def capital(words: str) -> str:
    """Start with a capital."""
    return words[:1].upper() + words[1:]


def size_of(comparison: Comparison, row: Row) -> str:
    """Say how much is known of a group, by the column of its size in a row of a table."""
    [column] = comparison.data.stats.sizes
    return f"{comparison.data.family.words.size} = {row[column]:.7g}"


def sizes(data: GroupedData) -> dict[str, str]:
    """Arguments of a figure that orders groups by how much is known of them."""
    [column] = data.stats.sizes
    words = data.family.words
    return {
        "size": column,
        "size_title": words.size_title,
        "least": words.least,
        "raw": words.raw,
    }
