"""What a Stan program declares, with sizes and bounds as they are written: `vector[N] x`.

stanc says how many dimensions a variable has; by what it is indexed stands in the source alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from partialpool.programs.program import Program
from partialpool.programs.statements import blocks

_INCLUDE = re.compile(r"^\s*#include\s+[\"<]?([^\s\">]+)[\">]?\s*$", re.MULTILINE)
_SQUARE = ("corr_matrix", "cov_matrix", "cholesky_factor_corr")
_TYPES = (
    *("int", "real", "complex", "vector", "row_vector", "matrix", "simplex", "ordered"),
    *("positive_ordered", "unit_vector", "sum_to_zero_vector", "complex_vector", "complex_matrix"),
    *("complex_row_vector", "cholesky_factor_cov", *_SQUARE),
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Declaration:
    """One variable.

    Attributes
    ----------
    name, type
        Its name, and its type without sizes.
    sizes
        The size of each of its dimensions, as Stan code; those of an array first.
    lower, upper
        Its bounds as Stan code; empty where there is none.
    """

    name: str
    type: str
    sizes: tuple[str, ...]
    lower: str = ""
    upper: str = ""

    @property
    def is_index(self) -> bool:
        """Whether it counts from 1 to something that has a name."""
        return self.type == "int" and self.lower == "1" and self.upper.isidentifier()


def read_inputs(program: Program) -> dict[str, Declaration]:
    """Declarations of the data block, by name."""
    return _read(program, ("data",))


def read_outputs(program: Program) -> dict[str, Declaration]:
    """Declarations of what is written for each draw, by name."""
    return _read(program, ("parameters", "transformed parameters", "generated quantities"))


def _read(program: Program, wanted: tuple[str, ...]) -> dict[str, Declaration]:
    if not program.path.is_file():
        return {}
    included = program.included
    source = _INCLUDE.sub(
        lambda found: included.get(found[1], ""), program.path.read_text(encoding="utf-8")
    )
    return _parse(source, wanted)


@cache
def _parse(source: str, wanted: tuple[str, ...]) -> dict[str, Declaration]:
    inside = blocks(source)
    return {
        each.name: each
        for block in wanted
        for piece in _top_level(inside.get(block, ""))
        for each in _declared(piece)
    }


def _top_level(block: str) -> Iterator[str]:
    """Split a block at the semicolons and closing braces that are in no other brace."""
    depth, start = 0, 0
    for position, character in enumerate(block):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0 and character in ";}":
            yield " ".join(block[start:position].split())
            start = position + 1


def _declared(piece: str) -> Iterator[Declaration]:
    """Variables that a statement declares; none where it is no declaration."""
    sizes: list[str] = []
    if piece.startswith("array"):
        inside, piece = _bracketed(piece.removeprefix("array").lstrip())
        sizes += split(inside)
    found = re.match(r"(\w+)\s*", piece)
    if found is None or found[1] not in _TYPES:
        return
    kind, rest = found[1], piece[found.end() :]
    lower = upper = ""
    if rest.startswith("<"):
        bounds, rest = _between(rest, "<", ">")
        named = dict(part.split("=", 1) for part in split(bounds) if "=" in part)
        named = {name.strip(): bound.strip() for name, bound in named.items()}
        lower, upper = named.get("lower", ""), named.get("upper", "")
    if rest.startswith("["):
        inside, rest = _bracketed(rest)
        sizes += split(inside) * (2 if kind in _SQUARE else 1)
    for part in split(rest):
        name = re.match(r"\w+", part)
        if name:
            yield Declaration(name[0], kind, tuple(sizes), lower, upper)


def _bracketed(text: str) -> tuple[str, str]:
    return _between(text, "[", "]")


def _between(text: str, opens: str, closes: str) -> tuple[str, str]:
    """Inside of the bracket that a text starts with, and what comes after it."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == opens) - (character == closes)
        if depth == 0:
            return text[1:position], text[position + 1 :].lstrip()
    return "", text


def split(text: str) -> list[str]:
    """Split at the commas that are in no bracket."""
    parts, waiting = [""], []
    for character in text:
        if character in _PAIRS:
            waiting.append(_PAIRS[character])
        elif waiting and character == waiting[-1]:
            waiting.pop()
        if character == "," and not waiting:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
