"""How a file spells its numbers: the mark before decimals, marks between thousands, a unit.

One spelling holds for a whole file. What it does not read is refused, with the spellings that read
all values, and with both readings where one value has two.
"""

from __future__ import annotations

import codecs
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

from partialpool.errors import InputError
from partialpool.text import NUMBER

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", ".", "-", "\u2013", "\u2014"})
"""Spellings of a missing outcome, compared in lower case and without blanks around them."""

SPACES = " \u00a0\u2007\u2009\u202f"
"""Blanks that people set between thousands, and before a unit."""

BLANKS = f"\t\n\r\v\f{SPACES}"
"""What may stand around a number."""

MINUS = "\u2212"
"""The minus sign of typesetters, which is read as a hyphen is."""

UTF_8 = "utf-8"

BETWEEN = " / "
"""What stands between the labels of an outer and an inner group that are read as one."""

_THOUSANDS = {".": ".", ",": ",", " ": SPACES, "'": "'\u2019", "_": "_"}
_AFFIX = r"[^\s\d.,'\u2019+\-\u2212_()]{1,12}"
_SIGN = rf"[+\-{MINUS}]"


@dataclass(frozen=True)
class Spelling:
    r"""How the text of a file is to be taken.

    Attributes
    ----------
    delimiter
        Character between fields.
    decimal
        Mark before decimals, `.` or `,`.
    thousands
        Mark between thousands: `.`, `,`, a blank (of any width), an apostrophe or `_`; empty for
        none. Numbers may do without it, and those that have it have it everywhere.
    unit
        What stands beside every number, such as `%` or `kg`; empty for nothing.
    encoding
        How bytes are characters; UTF-8, or UTF-16 with a byte-order mark, where empty.
    sheet
        Sheet of an Excel workbook; the first where empty.
    missing
        What stands for a missing number besides `MISSING`: a code such as -999, or a word.
    certain
        Whether the user named the mark before decimals. If not, points that look like marks
        between thousands are refused.
    joined
        Columns of labels, the outermost first, that are read as one as well.
    """

    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    encoding: str = ""
    sheet: str = ""
    missing: tuple[str, ...] = ()
    certain: bool = True
    joined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse marks that cannot be told apart, or are no marks."""
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise InputError(
                f"delimiter {self.delimiter!r}: give one character, such as ';' or '\\t' for a tab"
            )
        if self.decimal not in {".", ","}:
            raise InputError(f"decimal {self.decimal!r}: it must be '.' or ','")
        if self.thousands and self.thousands not in _THOUSANDS:
            raise InputError(
                f"thousands {self.thousands!r}: it must be one of . , ' _ or a blank ' '"
            )
        if self.thousands == self.decimal:
            other = "." if self.decimal == "," else ","
            raise InputError(
                f"thousands and decimal are both {self.decimal!r}; numbers with {self.thousands!r} "
                f"between thousands need --decimal {shown_mark(other)}"
            )
        if self.unit and not re.fullmatch(_AFFIX + rf"([{SPACES}]{_AFFIX})*", self.unit):
            raise InputError(f"unit {self.unit!r}: it must hold no digits, signs or marks")

    @classmethod
    def of(
        cls,
        *,
        delimiter: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        unit: str | None = None,
        encoding: str | None = None,
        sheet: str | None = None,
        missing: Sequence[str] | None = None,
    ) -> Spelling:
        """Settle what was named and what was not; marks as a command line can name them.

        Raises
        ------
        InputError
            Marks that cannot be told apart, or an encoding that is not known.
        """
        if encoding:
            try:
                b" ".decode(encoding, errors="ignore")
                encoding = codecs.lookup(encoding).name
            except LookupError:
                raise InputError(
                    f"encoding {encoding!r} is not known; files of Western Windows have cp1252, "
                    "others latin-1, utf-8 or utf-16"
                ) from None
        for kind, each in _THOUSANDS.items():
            if thousands and thousands in each:
                thousands = kind
        return cls(
            delimiter={"\\t": "\t", "tab": "\t"}.get(delimiter or "", delimiter or ","),
            decimal=decimal or ".",
            thousands=thousands or "",
            unit=(unit or "").strip(),
            encoding="" if encoding in (None, UTF_8) else encoding,
            sheet=sheet or "",
            missing=tuple(text.strip() for text in missing or ()),
            certain=bool(decimal or thousands),
        )

    @classmethod
    def recorded(cls, reading: Mapping[str, Any]) -> Spelling:
        """Take the spelling from what `GroupedData.reading` states."""
        known = {field.name for field in fields(cls)}
        told = {key: value for key, value in reading.items() if key in known and value}
        told["missing"] = tuple(told.get("missing", ()))
        group = reading.get("columns", {}).get("group")
        told["joined"] = tuple(group) if isinstance(group, list) else ()
        return cls(**told, certain="decimal" in told or not reading)

    @property
    def joined_name(self) -> str:
        """Name of the column that `joined` are read as."""
        return BETWEEN.join(self.joined)

    def joining(self, header: Sequence[str], path: object) -> list[str]:
        """Names of the columns of a file, with the one that is read as several.

        Raises
        ------
        InputError
            One of these is not there.
        """
        for name in self.joined:
            if name not in header:
                shown = ", ".join(map(repr, header))
                raise InputError(f"{path}: there is no column {name!r}; the columns are {shown}")
        return [*header, self.joined_name] if self.joined else [*header]

    def delimited(self, delimiter: str) -> Spelling:
        """Take another delimiter, if it is one."""
        return replace(self, delimiter=delimiter) if delimiter else self

    @property
    def record(self) -> dict[str, Any]:
        """What the user named, for `partialpool.data.reading.read`, and the delimiter."""
        told: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        told["missing"] = list(self.missing)
        del told["joined"]
        told["decimal"] = self.decimal if told.pop("certain") else None
        return {key: text for key, text in told.items() if text or key == "decimal"}

    @cached_property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self.decimal == "." and not self.thousands and not self.unit

    @cached_property
    def words(self) -> frozenset[str]:
        """What is missing as text, in lower case."""
        return MISSING | {text.lower() for text in self.missing}

    @cached_property
    def codes(self) -> frozenset[float]:
        """Numbers that mean a missing one, however the data spell them."""
        numbers = set()
        for text in self.missing:
            number = self._spelled(text.strip(BLANKS))
            if number is None and NUMBER.fullmatch(text):
                number = float(text)
            if number is not None:
                numbers.add(number)
        return frozenset(numbers)

    @cached_property
    def marks(self) -> str:
        """Characters between thousands."""
        return _THOUSANDS.get(self.thousands, "")

    @cached_property
    def pattern(self) -> str:
        """Regular expression of a number without its unit, as Python and RE2 understand it."""
        whole, point = r"[0-9]+", re.escape(self.decimal)
        if self.marks:
            mark = f"[{re.escape(self.marks)}]"
            grouped = rf"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+"
            if self.thousands == ",":  # lakh and crore
                grouped += rf"|[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}"
            whole = rf"(?:{grouped}|[0-9]+)"
        return rf"{_SIGN}?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE]{_SIGN}?[0-9]+)?"

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def affixes(self) -> tuple[str, str]:
        """Regular expressions of the unit before a number, and of that behind one."""
        unit, blanks = re.escape(self.unit), f"[{SPACES}]*"
        return f"^({_SIGN}?){unit}{blanks}", f"{blanks}{unit}$"

    def has_unit(self, text: str) -> bool:
        """Whether the unit stands beside what a field holds."""
        return any(re.search(affix, text.strip(BLANKS)) for affix in self.affixes)

    def bare(self, text: str) -> str:
        """Take the unit away, on one side."""
        before, behind = self.affixes
        without, found = re.subn(before, r"\1", text)
        return without if found else re.sub(behind, "", text)

    def number(self, text: str) -> float | None:
        """Finite number that a field holds, NaN where it is missing; None where it is neither."""
        text = text.strip(BLANKS)
        if self.is_plain and NUMBER.fullmatch(text):
            return self._checked(float(text))
        if text.lower() in self.words:
            return math.nan
        number = self._spelled(text)
        return None if number is None else self._checked(number)

    def _spelled(self, text: str) -> float | None:
        """Read a number with this unit and these marks; None where it is none."""
        if self.unit:
            text = self.bare(text)
        if not self._compiled.fullmatch(text):
            return None
        for mark in self.marks:
            text = text.replace(mark, "")
        return float(text.replace(self.decimal, ".").replace(MINUS, "-"))

    def _checked(self, number: float) -> float | None:
        """NaN for a code of a missing number, None for one that is not finite."""
        if number in self.codes:
            return math.nan
        return number if math.isfinite(number) else None


def shown_mark(mark: str) -> str:
    """Write a mark as a shell takes it."""
    return f'"{mark}"' if mark == "'" else f"'{mark}'"


# --- what would read the values that a spelling does not ------------------------------------------


@cache
def _others(spelling: Spelling) -> tuple[Spelling, ...]:
    """Every spelling of numbers that there is, that without marks between thousands first."""
    return tuple(
        replace(spelling, decimal=decimal, thousands=thousands)
        for decimal in (".", ",")
        for thousands in ("", ".", ",", " ", "'")
        if thousands != decimal
    )


class Advice:
    """Looks for the spelling that reads all values of a column, and says what it is.

    Parameters
    ----------
    spelling
        The spelling that does not.
    """

    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling
        self._known = _others(spelling)
        self._left = set(self._known)
        self._affix: str | None = None
        self._first = self._mixed = ""
        self._other = False
        self._with_unit = self._without = 0

    def meet(self, text: str, *, good: bool) -> None:
        """Look at one more value, and whether the spelling reads it."""
        text = text.strip(BLANKS)
        if good:
            if self.spelling.unit:
                self._with_unit += (has := self.spelling.has_unit(text))
                self._without += not has
            if text.isdecimal() or self._left <= self._harmless:
                return
        elif not (self.spelling.unit or any(each.number(text) is not None for each in self._known)):
            affix, text = _split(text)
            if affix:
                self._affix = affix if self._affix in (None, affix) else ""
        reading = {each for each in self._known if each.number(text) is not None}
        if not reading:
            self._other = True
            return
        if not good:
            self._first = self._first or text
        if self._left and not self._left & reading:
            self._mixed = text
        self._left &= reading

    @cached_property
    def _harmless(self) -> set[Spelling]:
        """Spellings that read whatever this one reads, and the same from it."""
        same = {each for each in self._known if each.decimal == self.spelling.decimal}
        return {each for each in same if each.thousands in ("", " ", "'", self.spelling.thousands)}

    @property
    def only_marks(self) -> bool:
        """Whether all values are numbers but for their marks, of units and other text none."""
        return bool(self._first) and not self._other and self._affix is None

    @property
    def mixes_units(self) -> str:
        """Say that only some values have the unit, if so."""
        if not (self._with_unit and self._without):
            return ""
        return (
            f"{self.spelling.unit!r} stands beside {self._with_unit:,} of "
            f"{self._with_unit + self._without:,} values, and must stand beside all or none"
        )

    @property
    def options(self) -> str:
        """Say which options read the values that were met; empty if none do."""
        unit = f"--unit {shlex.quote(self._affix)}" if self._affix else ""
        found = self._fitting()
        if self._mixed and not found:
            return (
                f". Marks are mixed: what reads other values does not read {self._mixed!r}; "
                "write all numbers in one way"
            )
        words = {each: " ".join(filter(None, (self._named(each), unit))) for each in found}
        words = {each: options for each, options in words.items() if options}
        if not words or not self._first or self._affix == "":
            return ""
        readings = {each: each.number(self._first) for each in words}
        if len(set(readings.values())) > 1:
            either = " or ".join(f"{readings[each]:.15g} ({words[each]})" for each in words)
            return f". {self._first!r} may be {either}: say which"
        options = next(iter(words.values()))
        what = [
            *(["decimal commas"] if "--decimal ','" in options else []),
            *(["decimal points"] if "--decimal '.'" in options else []),
            *(["marks between thousands"] if "--thousands '" in options else []),
            *([f"numbers with {self._affix!r} beside them"] if unit else []),
        ]
        return f". {options} reads {' and '.join(what)}"

    def _fitting(self) -> list[Spelling]:
        """Spellings that read all values, without those that add marks which do not occur."""
        plain = {each.decimal for each in self._left if not each.thousands}
        return [
            each
            for each in self._known
            if each in self._left and not (each.thousands and each.decimal in plain)
        ]

    def _named(self, other: Spelling) -> str:
        """Options that make the other spelling of this one."""
        options = []
        if other.decimal != self.spelling.decimal:
            options.append(f"--decimal {shown_mark(other.decimal)}")
        if other.thousands != self.spelling.thousands:
            mark = other.thousands
            options.append(f"--thousands {shown_mark(mark)}" if mark else "without --thousands")
        return " ".join(options)


def _split(text: str) -> tuple[str, str]:
    """Take what seems to be a unit from a number; an empty one where there is none."""
    match = re.fullmatch(rf"({_SIGN}?)({_AFFIX})[{SPACES}]*([0-9].*)", text)
    if match and not (match[2].isalpha() and text[match.end(2)] not in SPACES):
        return match[2], match[1] + match[3]
    match = re.fullmatch(rf"(.*[0-9][.,]?)[{SPACES}]*({_AFFIX})", text)
    return (match[2], match[1]) if match else ("", text)


# --- points that may stand between thousands ------------------------------------------------------


_GROUPED = re.compile(rf"{_SIGN}?[1-9][0-9]{{0,2}}\.[0-9]{{3}}")


def thousands_suspected(texts: Sequence[str]) -> list[int]:
    """Find values whose point seems to stand between thousands rather than before decimals.

    So it seems where every point is followed by just three digits, other values are whole numbers
    below 1000, and these are far larger than what stands before the points: 900, 1.200, 950.

    Parameters
    ----------
    texts
        Values as they are written, of one column.

    Returns
    -------
    list of int
        Their positions; empty where nothing is suspected.
    """
    pointed: list[int] = []
    whole: list[int] = []
    for at, text in enumerate(texts):
        text = text.strip(BLANKS)
        if "." in text and text.lower() not in MISSING:
            if not _GROUPED.fullmatch(text):
                return []
            pointed.append(at)
        elif text.lstrip(f"+-{MINUS}").isdecimal():
            whole.append(int(text.lstrip(f"+-{MINUS}")))
    if not pointed or not whole or max(whole) >= 1000:
        return []
    largest = max(abs(float(texts[at].strip(BLANKS).replace(MINUS, "-"))) for at in pointed)
    return pointed if 10 * largest < sorted(whole)[len(whole) // 2] else []
