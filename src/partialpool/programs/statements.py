"""What a Stan program states: its distribution statements, read from the source.

The mathematics in a report comes from here, so an edited prior shows as it was edited. The
reader knows the forms of the house style: `lprior += family_lpdf(x | ...)`, `x ~ family(...)`,
`target += family_lpdf(x | ...)`, and definitions in transformed parameters. Anything else is
kept as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from partialpool.families import FAMILIES
from partialpool.families.base import CENTERED, MARGINAL
from partialpool.programs.program import shipped_folder

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_BLOCK = re.compile(
    r"\b(data|transformed\s+data|parameters|transformed\s+parameters|model|generated\s+quantities)"
    r"\s*\{"
)
_INCREMENT = re.compile(
    r"(?:lprior|target)\s*\+=\s*(\w+?)_(?:lpdf|lupdf|lpmf|lupmf)\s*\(\s*([^|]+?)\s*\|(.*)\)\s*",
    re.DOTALL,
)
_CONDITION = re.compile(r"if \((\w+) > 0\) \{ (.*)")
_UNLESS = re.compile(r"if \((\w+) == 0\) \{ (.*)")
_OTHERWISE = re.compile(r"else \{ (.*)")
_ASIDE = re.compile(r"^(sqrt|square)\(\w+\)$|\?")
"""Definitions that say nothing of the model: a square, or one of two names of the same."""

_SQUARES = re.compile(
    r"target\s*\+=\s*-0\.5 \* (\w+) / (?:square\((\w+)\)|(\w+)2) - (\w+) \* log\((\w+)\)"
)
"""Log density of a sum of squares, given its degrees of freedom and an sd."""

_TILDE = re.compile(r"(.+?)\s*~\s*(\w+)\s*\((.*)\)\s*(T\s*\[.*\])?\s*", re.DOTALL)
_DECLARATION = re.compile(
    r"(?:array\s*\[[^\]]*\]\s*)?(?:real|int|vector|row_vector)\s*(<[^>]*>)?\s*(?:\[[^\]]*\])?\s*"
    r"(\w+)\s*(?:=\s*(.*))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Statement:
    """One line of a model.

    Attributes
    ----------
    left
        What has the distribution, or is defined, as Stan code.
    family
        Name of the distribution in Stan; empty for a definition and for text.
    arguments
        Arguments of the distribution, or the one expression of a definition, as Stan code.
    text
        The statement as written, where it is none of the known forms; else empty.
    setting, holds
        A setting on whose being above 0 it depends, and whether it holds then, or else; empty
        where it always does.
    """

    left: str
    family: str = ""
    arguments: tuple[str, ...] = ()
    text: str = ""
    setting: str = ""
    holds: bool = True


@dataclass(frozen=True)
class Model:
    """The statements of a program and the lower bounds that it declares.

    Attributes
    ----------
    statements
        The likelihood first, then the group level, then the priors.
    lower
        Parameter, or what is computed from some, to the lower bound in its declaration, as Stan
        code.
    """

    statements: tuple[Statement, ...]
    lower: Mapping[str, str]

    def given(self, values: Mapping[str, float]) -> Model:
        """Leave out the statements that do not hold under these settings; absent ones are 0."""
        kept = (
            s for s in self.statements if not s.setting or (values.get(s.setting, 0) > 0) is s.holds
        )
        return replace(self, statements=tuple(kept))


def read(source: str) -> Model:
    """Read the statements of a program.

    Parameters
    ----------
    source
        The Stan program.
    """
    inside = blocks(source)
    lower: dict[str, str] = {}
    bounded = inside.get("parameters", "") + inside.get("transformed parameters", "")
    for piece in _pieces(bounded):
        found = _DECLARATION.fullmatch(piece)
        if found and found[1]:
            bound = re.search(r"lower\s*=\s*([^,>]+)", found[1])
            if bound:
                lower[found[2]] = bound[1].strip()
    definitions: list[Statement] = []
    priors: list[Statement] = []
    for piece in _pieces(inside.get("transformed parameters", "")):
        declared = _DECLARATION.fullmatch(piece)
        if declared:
            if declared[3] and declared[2] != "lprior":
                definitions.append(Statement(declared[2], arguments=(declared[3].strip(),)))
        elif piece:
            priors.append(_prior_statement(piece, priors))
    sampling = [
        _statement(piece)
        for piece in _pieces(inside.get("model", ""))
        if piece and not re.fullmatch(r"target\s*\+=\s*lprior", piece)
    ]
    sampling.sort(key=lambda s: re.match(r"y\b|ybar\b", s.left) is None)
    shown = [d for d in definitions if not _ASIDE.search(d.arguments[0])]
    return Model((*sampling, *shown, *priors), lower)


def of_program(source: str, values: Mapping[str, float] | None = None) -> Model | None:
    """Read the statements of the model that a program is a form of; None without a source.

    Statements that do not hold under the settings are left out.

    The shipped marginal program writes the hierarchical model with mu and theta integrated out;
    its statements are those of the centered program, which is the same model.
    """
    for family in FAMILIES.values():
        folder = shipped_folder() / family.folder
        marginal = folder / f"{MARGINAL}.stan"
        if source and marginal.is_file() and source == marginal.read_text(encoding="utf-8"):
            source = (folder / f"{CENTERED}.stan").read_text(encoding="utf-8")
    return read(source).given(values or {}) if source else None


def blocks(source: str) -> dict[str, str]:
    """Inside of each block of a program, by its name, without comments."""
    return dict(_blocks(_COMMENT.sub(" ", source)))


def beyond_priors(path: Path) -> dict[str, str]:
    """Model and generated quantities of a program without its priors, blanks and comments."""
    inside = blocks(path.read_text(encoding="utf-8"))
    kept = {name: inside.get(name, "") for name in ("model", "generated quantities")}
    return {name: re.sub(r"\s+|lprior\s*\+=[^;]*;", "", text) for name, text in kept.items()}


def _blocks(source: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the inside of each top-level block."""
    position = 0
    while found := _BLOCK.search(source, position):
        depth, end = 1, found.end()
        while depth and end < len(source):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
        yield re.sub(r"\s+", " ", found[1]), source[found.end() : end - 1]
        position = end


def _pieces(block: str) -> list[str]:
    """Split a block into statements; the head of a condition on `prior_only` is dropped."""
    block = re.sub(r"if\s*\(\s*(?:prior_only\s*==\s*0|!\s*prior_only)\s*\)\s*\{?", "", block)
    return [re.sub(r"\s+", " ", piece).strip(" {}\n\t") for piece in block.split(";")]


def _statement(piece: str) -> Statement:
    if (squares := _SQUARES.fullmatch(piece)) and (squares[2] or squares[3]) == squares[5]:
        return Statement(f"{squares[1]} / {squares[5]}2", "chi_square", (squares[4],))
    increment = _INCREMENT.fullmatch(piece)
    if increment:
        return Statement(increment[2], increment[1], tuple(split_arguments(increment[3])))
    tilde = _TILDE.fullmatch(piece)
    if tilde and not tilde[4]:
        return Statement(tilde[1], tilde[2], tuple(split_arguments(tilde[3])))
    return Statement("", text=piece)


def _prior_statement(piece: str, before: list[Statement]) -> Statement:
    """Read a prior, which may hold only where a setting is above 0, or else."""
    if found := _CONDITION.fullmatch(piece):
        return replace(_statement(found[2]), setting=found[1])
    if found := _UNLESS.fullmatch(piece):
        return replace(_statement(found[2]), setting=found[1], holds=False)
    if before and before[-1].setting and (found := _OTHERWISE.fullmatch(piece)):
        return replace(_statement(found[1]), setting=before[-1].setting, holds=False)
    return _statement(piece)


def split_arguments(text: str) -> list[str]:
    """Split Stan arguments at the commas that are outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


_SCIPY: dict[str, Any] = {
    "normal": stats.norm,
    "std_normal": stats.norm,
    "uniform": lambda low, high: stats.uniform(low, high - low),
    "inv_gamma": lambda shape, scale: stats.invgamma(shape, scale=scale),
    "gamma": lambda shape, rate: stats.gamma(shape, scale=1 / rate),
    "exponential": lambda rate: stats.expon(scale=1 / rate),
    "cauchy": stats.cauchy,
    "student_t": stats.t,
    "lognormal": lambda location, scale: stats.lognorm(scale, scale=math.exp(location)),
    "double_exponential": stats.laplace,
    "logistic": stats.logistic,
    "weibull": lambda shape, scale: stats.weibull_min(shape, scale=scale),
    "chi_square": stats.chi2,
    "beta": stats.beta,
}
"""Families in Stan's parameterization, for those whose prior density a figure can show."""


@dataclass(frozen=True)
class Prior:
    """A prior with constant arguments, cut off at the declared lower bound."""

    distribution: Any
    lower: float

    def density(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Density at `x`, zero below the lower bound."""
        kept = float(self.distribution.sf(self.lower))
        inside = np.asarray(self.distribution.pdf(x)) / kept
        return np.where(x >= self.lower, inside, 0.0)

    def draws(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Independent draws, shape (size,)."""
        low = float(self.distribution.cdf(self.lower))
        return np.asarray(self.distribution.ppf(rng.uniform(low, 1, size=size)))


def prior_of(model: Model, parameter: str, values: Mapping[str, float]) -> Prior | None:
    """Find the prior of a parameter, where the program states one with constant arguments.

    Parameters
    ----------
    model
        What `read` returned.
    parameter
        Its name.
    values
        Hyperparameter to value.
    """
    stated = [s for s in model.statements if s.left == parameter and s.family]
    if len(stated) != 1 or stated[0].family not in _SCIPY:
        return None
    try:
        arguments = [_constant(argument, values) for argument in stated[0].arguments]
        lower = _constant(model.lower[parameter], values) if parameter in model.lower else -math.inf
        return Prior(_SCIPY[stated[0].family](*arguments), lower)
    except (ValueError, TypeError):
        return None


def _constant(code: str, values: Mapping[str, float]) -> float:
    return float(values[code]) if code in values else float(code)
