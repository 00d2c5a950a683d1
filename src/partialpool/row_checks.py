"""Say what is wrong with a long CSV file, row by row, in the words of `partialpool.data`."""

from __future__ import annotations

import codecs
import csv
import gzip
import math
from collections.abc import Iterator
from pathlib import Path

from partialpool import data as grouped
from partialpool.errors import InputError


class LabelCheck:
    """Labels met so far, and the first thing that is wrong with them."""

    def __init__(self) -> None:
        self.error: InputError | None = None
        self._spellings: dict[str, str] = {}

    def add(self, raw: str, place: str) -> None:
        """Look at the label of one more row."""
        label = raw.strip()
        if self.error is not None:
            return
        if not label:
            self.error = InputError(f"{place}: the group is blank; give every row a group")
        elif "\0" in label:
            self.error = InputError(f"{place}: the group {raw!r} holds a NUL character; remove it")
        elif (first := self._spellings.setdefault(label, raw)) != raw:
            self.error = InputError(
                f"{place}: groups {first!r} and {raw!r} differ only by blanks; "
                "write them alike if they are the same group, and apart if they are not"
            )


def csv_rows(
    path: Path, delimiter: str, *, keep_empty: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of each row that is not blank, reading as it goes.

    A row of empty fields is refused, or kept like any other where `keep_empty` says so.
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    line = 1
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(f"{path}, line {line}: {error}; check the quotes") from None
            except UnicodeDecodeError:
                check_text(path)
                raise
            except (gzip.BadGzipFile, EOFError) as error:
                raise InputError(f"{path}: not compressed as its name says ({error})") from None
            if any(cell.strip() for cell in row) or (keep_empty and len(row) > 1):
                yield line, row
            elif len(row) > 1:
                raise InputError(f"{path}, line {line}: a row of empty fields; remove it")
            line = reader.line_num + 1


def check_text(path: Path) -> None:
    """Refuse bytes that are no UTF-8 text, with their offset."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = pending = 0
    with opener(path, "rb") as file:
        block = b"-"
        while block:
            block = file.read(1 << 22)
            if (nul := block.find(b"\0")) >= 0:
                raise InputError(
                    f"{path}: NUL byte at offset {offset + nul}; this is no text file "
                    "(or UTF-16 text: save it as UTF-8)"
                )
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = offset - pending + error.start
                raise InputError(
                    f"{path}: not UTF-8 at byte offset {at}; save the file as UTF-8"
                ) from None
            offset += len(block)
            pending = len(decoder.getstate()[0])


def kind_of_value(raw: str, decimal: str) -> str:
    """Tell a number from a missing and from a wrong one, as `data.read_csv` does."""
    text = raw.strip(grouped.BLANKS)
    if decimal == "," and "." not in text:
        text = text.replace(",", ".")
    if text.lower() in grouped.MISSING:
        return "missing"
    finite = grouped._NUMBER.fullmatch(text) is not None and math.isfinite(float(text))
    return "number" if finite else "wrong"
