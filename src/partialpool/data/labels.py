"""Labels of groups, which stay text as written: `001` and `1` are two groups, `NA` is a label."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from partialpool.errors import InputError
from partialpool.text import NUMBER

_SHOWN = 3
_DOUBTFUL = re.compile(r"[^\S\n ]|  |^(?:\+|-0|0\d|-?\.|-?\d+[.eE])", re.MULTILINE)
_NUMERIC = frozenset("0123456789+-.")


class LabelCheck:
    """Labels met so far, by their spelling without blanks around them."""

    def __init__(self) -> None:
        self._spellings: dict[str, str] = {}

    def problem(self, raw: str) -> str:
        """Say what is wrong with the label of one more row; nothing where nothing is."""
        label = raw.strip()
        if not label:
            return "the group is blank; give every row a group"
        if problem := nul_problem(raw):
            return problem
        if (first := self._spellings.setdefault(label, raw)) != raw:
            return (
                f"groups {first!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )
        return ""


def nul_problem(raw: str) -> str:
    """Say that a label holds a NUL character, which no text does, even in a row left out."""
    return f"the group {raw!r} holds a NUL character; remove it" if "\0" in raw else ""


def strip_labels(
    labels: Sequence[str], place: Callable[[int], str], *, counts: Sequence[int] | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """Strip blanks around labels, and note that it was done.

    Parameters
    ----------
    labels
        Labels as they were written.
    place
        Gives the place of the i-th label, for messages.
    counts
        In how many rows each stands; in one if None.

    Raises
    ------
    InputError
        A blank label, or two that would become one.
    """
    if all(labels) and "".join(labels).isalnum():  # as very many are: nothing to strip
        return list(labels), alike(dict.fromkeys(labels))
    clean = [raw.strip() for raw in labels]
    same = clean == list(labels)
    merged = not same and len(set(clean)) < len(set(labels))
    check = LabelCheck()
    for i, raw in enumerate(labels if merged or not all(clean) or "\0" in "".join(clean) else ()):
        if problem := check.problem(raw):
            raise InputError(f"{place(i)}: {problem}")
    notes = alike(dict.fromkeys(clean))
    if same:
        return clean, notes
    rows = counts if counts is not None else itertools.repeat(1)
    changed = sum(int(n) for n, a, b in zip(rows, labels, clean, strict=False) if a != b)
    return clean, (f"blanks around group labels removed in {changed} rows", *notes)


def alike(labels: Iterable[str]) -> tuple[str, ...]:
    """Note which labels may be spellings of one: `1` and `1.0`, `TRUE` and `true`.

    Parameters
    ----------
    labels
        Distinct labels.
    """
    labels = list(labels)
    if _plainly_differ(labels):
        return ()
    spellings: dict[object, list[str]] = {}
    for label in labels:
        spellings.setdefault(_meaning(label), []).append(label)
    found = [same for same in spellings.values() if len(same) > 1]
    if not found:
        return ()
    shown = "; ".join(" and ".join(map(repr, same[:_SHOWN])) for same in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"groups that may be the same are kept apart: {shown}{more}; write them alike if they are",
    )


def _plainly_differ(labels: Sequence[str]) -> bool:
    """Whether labels differ beyond doubt: a look at all of them at once, as they may be many."""
    text = "\n".join(labels)
    if not text.isascii() or text.count("\n") >= len(labels):
        return False
    if text.replace("\n", "").isdecimal() and "\n0" not in "\n" + text.removeprefix("0\n"):
        return True  # whole numbers as programs write them
    if _DOUBTFUL.search(text):
        return False
    lower = text.casefold()
    return lower == text or len(set(lower.split("\n"))) == len(labels)


def _meaning(label: str) -> object:
    """What a label is, however it is written."""
    if label[0] in _NUMERIC and NUMBER.fullmatch(label):
        number = float(label)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else number
    if not label.isascii():
        label = unicodedata.normalize("NFKC", label)
    return " ".join(label.casefold().split()) if " " in label else label.casefold()
