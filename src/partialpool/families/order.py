"""The order of labels: by number or date where they have one, else as they first occur."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from partialpool.text import NUMBER
from partialpool.types import FloatArray, IntArray

_NUMBERS = re.compile(r"(\d+(?:\.\d+)?)", re.ASCII)
_DOUBTFUL = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{2,4}", re.ASCII)
_QUARTER = re.compile(r"[qQ]([1-4])[ /-]?(\d{4})", re.ASCII)
_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m", "%Y/%m", "%d.%m.%Y", "%m/%Y"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"),
    *("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%b %d, %Y", "%B %d, %Y", "%b", "%B"),
)
_DAY_OR_MONTH = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def order_of_labels(labels: Iterable[str]) -> list[str]:
    """Order groups by number or date where every label is or has one, else as they first appear.

    Numbers come in their order, and so do labels that differ in numbers alone (`school 2` before
    `school 10`), dates, months, quarters and weekdays. Dates that may have the day first or the
    month are put in order if the labels tell which.
    """
    unique = list(dict.fromkeys(labels))
    order = _order(unique)
    return unique if order is None else [unique[j] for j in order.tolist()]


def places(labels: Sequence[str]) -> tuple[list[str], IntArray]:
    """Put the groups in order as `order_of_labels` does, and give the index of each label in it.

    Returns
    -------
    list of str, array
        Each label once, and integers of the shape of `labels`.
    """
    unique = list(dict.fromkeys(labels))
    order = _order(unique)
    index = np.arange(len(unique))
    if order is not None:
        index[order] = np.arange(len(unique))
    if len(unique) < len(labels):
        of_label = dict(zip(unique, index.tolist(), strict=True))
        index = np.fromiter(map(of_label.__getitem__, labels), dtype=np.int64, count=len(labels))
    return (unique if order is None else [unique[j] for j in order.tolist()]), index


def _order(labels: Sequence[str]) -> IntArray | None:
    """Indices that put distinct labels in order; None where they are."""
    for keys_of in (_as_numbers, _as_dates, _as_numbered):
        keys = keys_of(labels)
        if keys is None:
            continue
        if isinstance(keys, np.ndarray):
            rising = bool((keys[1:] >= keys[:-1]).all())
            return None if rising else np.argsort(keys, kind="stable")
        if all(a <= b for a, b in itertools.pairwise(keys)):
            return None
        return np.array(sorted(range(len(labels)), key=keys.__getitem__))
    return None


def natural_key(label: str) -> tuple[Any, ...]:
    """Key by which text sorts alphabetically, with the numbers in it by size."""
    parts = _NUMBERS.split(label.casefold())
    numbers = [(0, float(part)) if k % 2 else (1, part) for k, part in enumerate(parts)]
    return (float(label) if NUMBER.fullmatch(label) else float("inf"), numbers, label)


def _as_numbers(labels: Sequence[str]) -> FloatArray | list[tuple[float, str]] | None:
    """Numbers, and the labels beside them where two are the same number."""
    text = "".join(labels)
    digits = text.isascii() and text.isdecimal() and all(labels)  # of very many, told at once
    if not (digits or all(map(NUMBER.fullmatch, labels))):
        return None
    numbers = np.fromiter(map(float, labels), dtype=np.float64, count=len(labels))
    if len(np.unique(numbers)) < len(numbers):
        return list(zip(numbers.tolist(), labels, strict=True))
    return numbers


def _as_dates(labels: Sequence[str]) -> list[Any] | None:
    if len(labels) < 2:
        return None
    for days in (_WEEKDAYS, tuple(day[:3] for day in _WEEKDAYS)):
        if labels[0].lower() in days and all(label.lower() in days for label in labels):
            return [days.index(label.lower()) for label in labels]
    quarters = _each(labels, _QUARTER.fullmatch)
    if quarters is not None:
        return [(match[2], match[1]) for match in quarters]
    for form in _DATES:
        if (dates := _dates(labels, form)) is not None:
            return dates
    possible = [dates for form in _DAY_OR_MONTH if (dates := _dates(labels, form)) is not None]
    return possible[0] if len(possible) == 1 else None


def _dates(labels: Sequence[str], form: str) -> list[datetime] | None:
    def read(label: str) -> datetime | None:
        try:
            return datetime.strptime(label, form)
        except ValueError:
            return None

    return _each(labels, read)


def _each(labels: Sequence[str], read: Callable[[str], Any]) -> list[Any] | None:
    """What is read of each label; None as soon as one cannot be read."""
    found = []
    for label in labels:
        one = read(label)
        if one is None:
            return None
        found.append(one)
    return found


def _as_numbered(labels: Sequence[str]) -> FloatArray | list[Any] | None:
    """Numbers in labels that are alike but for these."""
    if len(labels) < 2 or not _NUMBERS.search(labels[0]) or _DOUBTFUL.fullmatch(labels[0]):
        return None
    words = _NUMBERS.split(labels[0])[::2]
    if len(words) == 2:
        return _between(labels, *words)
    found = []
    for label in labels:
        parts = _NUMBERS.split(label)
        if parts[::2] != words:
            return None
        found.append(tuple(map(float, parts[1::2])))
    return found


def _between(labels: Sequence[str], before: str, behind: str) -> FloatArray | None:
    """The one number in each label between the same words, of which there may be very many."""
    start, end = len(before), len(behind)
    if {label[:start] for label in labels} != {before}:
        return None
    if end and not all(label.endswith(behind) for label in labels):
        return None
    numbers = [label[start : len(label) - end] for label in labels]
    if "" in numbers or "".join(numbers).isdecimal():
        return None if "" in numbers else np.array(list(map(float, numbers)))
    if not all(number.isdecimal() or _NUMBERS.fullmatch(number) for number in numbers):
        return None
    return np.array(list(map(float, numbers)))
