"""Statements of a Stan program -> MathML, with the prior settings in use put in.

Browsers show MathML without a script, and screen readers read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from markupsafe import Markup, escape

from partialpool.programs.statements import Model, Statement

_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho . "
    "sigma tau upsilon phi chi psi omega"
)
_GREEK = {name: chr(code) for code, name in enumerate(re.split(" ", _LETTERS), start=ord("α"))}
_FAMILIES = {
    "normal": "N",
    "std_normal": "N",
    "inv_gamma": "IG",
    "uniform": "U",
    "cauchy": "Cauchy",
    "student_t": "t",
    "exponential": "Exponential",
    "gamma": "Gamma",
    "chi_square": "χ²",
    "scaled_inv_chi_square": "Inv-χ²",
    "lognormal": "Lognormal",
    "double_exponential": "Laplace",
}
_WHOLE_LINE = {"normal", "std_normal", "cauchy", "student_t", "double_exponential", "logistic"}
_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(\.\*|\./|[-+*/^(),\[\]]))"
)


@dataclass(frozen=True)
class Names:
    """How names of a program are written.

    Attributes
    ----------
    by_group
        Variables with one value a group: they carry the index j; `y` among them where each group
        is one row.
    values
        Hyperparameter to its value: the value is shown in its place.
    logarithms
        Whether `y` is the logarithm of what was observed.
    by_outer
        Variables with one value an outer group: they carry the index k.
    """

    by_group: Set[str]
    values: Mapping[str, float]
    logarithms: bool = False
    by_outer: Set[str] = frozenset()


def write(model: Model, names: Names) -> list[Markup]:
    """Write each statement of a model as one line of MathML (or as code, where it is none).

    Parameters
    ----------
    model
        What `statements.read` returned.
    names
        How names are written.
    """
    return [_line(statement, model, names) for statement in model.statements]


def _line(statement: Statement, model: Model, names: Names) -> Markup:
    if statement.text:
        return Markup("<code>{}</code>").format(statement.text)
    try:
        left = _expression(statement.left, names)
        if not statement.family:
            body = left + _mo("=") + _expression(statement.arguments[0], names)
        else:
            body = left + _mo("∼") + _distribution(statement, names)
            if statement.family in _WHOLE_LINE and statement.left in model.lower:
                bound = _expression(model.lower[statement.left], names)
                body += _mo(",") + _space() + left + _mo("≥") + bound
    except ValueError:
        shown = ", ".join(statement.arguments)
        code = f"{statement.left} ~ {statement.family}({shown})" if statement.family else shown
        return Markup("<code>{}</code>").format(code)
    return Markup('<math displaystyle="true">{}</math>').format(body + _range(statement, names))


def _range(statement: Statement, names: Names) -> Markup:
    name = re.split(r"\W", statement.left, maxsplit=1)[0]
    groups = _mi("j") + _mo("=") + _mn("1") + _mo(",") + _mo("…") + _mo(",") + _mi("J")
    if name == "y" and name not in names.by_group:
        each = _mi("i") + _mo("=") + _mn("1") + _mo(",") + _mo("…") + _mo(",")
        each += _sub(_mi("n"), _mi("j"))
        return _space() + each + _mo(";") + _space() + groups
    if name in names.by_outer:
        outer = _mi("k") + _mo("=") + _mn("1") + _mo(",") + _mo("…") + _mo(",") + _mi("K")
        return _space() + outer
    return _space() + groups if name in names.by_group else Markup()


def _distribution(statement: Statement, names: Names) -> Markup:
    arguments = list(statement.arguments)
    if statement.family == "std_normal":
        arguments = ["0", "1"]
    parts = [_expression(argument, names) for argument in arguments]
    if statement.family in ("normal", "scaled_inv_chi_square") and len(parts) == 2:
        parts[1] = _squared(arguments[1], names)
    family = _FAMILIES.get(statement.family)
    head = (
        _mi(family, upright=True)
        if family
        else Markup("<mtext>{}</mtext>").format(statement.family.replace("_", " "))
    )
    return head + _call(parts)


_WEIGHTED = re.compile(r"(\w+(?:\[\w+\])?) \.?\* inv_sqrt\(weight\)")
"""The sd of rows that have weights."""


def _squared(code: str, names: Names) -> Markup:
    if re.fullmatch(r"\s*(\d+\.?\d*|[A-Za-z_]\w*(\[[^\]]*\])?)\s*", code):
        if code.strip() in names.values or code.strip()[0].isdigit():
            return Markup("<msup>{}{}</msup>").format(_expression(code, names), _mn("2"))
        return _Parser(code, names, power="2").whole()
    if of_weight := _WEIGHTED.fullmatch(code.strip()):
        weight = _sub(_mi("w"), Markup("<mrow>{}{}</mrow>").format(_mi("i"), _mi("j")))
        return Markup("<mrow>{}{}{}</mrow>").format(_squared(of_weight[1], names), _mo("/"), weight)
    return Markup("<msup><mrow>{}{}{}</mrow>{}</msup>").format(
        _mo("("), _expression(code, names), _mo(")"), _mn("2")
    )


def _expression(code: str, names: Names) -> Markup:
    """Translate a Stan expression; ValueError where it has parts that are not known."""
    return _Parser(code, names).whole()


class _Parser:
    """Recursive descent over the arithmetic part of Stan's expressions."""

    def __init__(self, code: str, names: Names, *, power: str = "") -> None:
        self._names = names
        self._power = power
        self._tokens: list[tuple[str, str]] = []
        position, code = 0, code.strip()
        while position < len(code):
            found = _TOKEN.match(code, position)
            if not found:
                raise ValueError(code)
            kind = ("number", "name", "sign")[found.lastindex - 1 if found.lastindex else 0]
            self._tokens.append((kind, found[found.lastindex or 0]))
            position = found.end()

    def whole(self) -> Markup:
        result = self._sum()
        if self._tokens:
            raise ValueError(self._tokens[0][1])
        return result

    def _next(self, *signs: str) -> str:
        if self._tokens and self._tokens[0][0] == "sign" and self._tokens[0][1] in signs:
            return self._tokens.pop(0)[1]
        return ""

    def _sum(self) -> Markup:
        result = _mo("−") + self._product() if self._next("-") else self._product()
        while sign := self._next("+", "-"):
            result += _mo("−" if sign == "-" else "+") + self._product()
        return result

    def _product(self) -> Markup:
        result = self._factor()
        while sign := self._next("*", ".*", "/", "./"):
            right = self._factor()
            if sign in {"/", "./"}:
                result = Markup("<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>").format(
                    result, right
                )
            else:
                result += Markup("<mo>&#8290;</mo>") + right
        return result

    def _factor(self) -> Markup:
        base = self._primary()
        if self._next("^"):
            return Markup("<msup><mrow>{}</mrow><mrow>{}</mrow></msup>").format(
                base, self._factor()
            )
        return base

    def _primary(self) -> Markup:
        if self._next("("):
            inside = self._sum()
            if not self._next(")"):
                raise ValueError(")")
            return _mo("(") + inside + _mo(")")
        if not self._tokens or self._tokens[0][0] == "sign":
            raise ValueError("operand")
        kind, word = self._tokens.pop(0)
        if kind == "number":
            return _mn(word)
        if self._next("("):
            return self._function(word)
        if self._next("["):
            depth, index = 1, list[str]()
            while depth:
                if not self._tokens:
                    raise ValueError("]")
                index.append(self._tokens.pop(0)[1])
                depth += {"[": 1, "]": -1}.get(index[-1], 0)
            if word in self._names.by_outer and index[0] == "outer":
                place = Markup("<mrow>{}{}</mrow>").format(_mi("k"), _call([_mi("j")]))
                return _sub(_symbol(word, Names(set(), {})), place)
        if word in self._names.values:
            return _mn(f"{self._names.values[word]:.6g}")
        return _symbol(word, self._names, power=self._power)

    def _function(self, name: str) -> Markup:
        arguments = [self._sum()]
        while self._next(","):
            arguments.append(self._sum())
        if not self._next(")"):
            raise ValueError(")")
        if name == "sqrt" and len(arguments) == 1:
            return Markup("<msqrt>{}</msqrt>").format(arguments[0])
        if name == "square" and len(arguments) == 1:
            return Markup("<msup><mrow>{}{}{}</mrow><mn>2</mn></msup>").format(
                _mo("("), arguments[0], _mo(")")
            )
        return _mi(name, upright=True) + _call(arguments)


def _symbol(word: str, names: Names, *, power: str = "") -> Markup:
    """Write a variable: Greek where its name is, with index and power."""
    index = Markup()
    if word == "y" and word not in names.by_group:
        index = Markup("<mrow>{}{}</mrow>").format(_mi("i"), _mi("j"))
    elif word in names.by_group:
        index = _mi("j")
    elif word in names.by_outer:
        index = _mi("k")
    base = word
    if word.endswith("0") and word[:-1] in _GREEK:
        zero = Markup("<msub>{}{}</msub>").format(_mi(_GREEK[word[:-1]]), _mn("0"))
        return Markup("<msup>{}{}</msup>").format(zero, _mn(power)) if power else zero
    if word.endswith("2") and word[:-1] in _GREEK and not power:
        base, power = word[:-1], "2"
    name = _mi(_GREEK[base]) if base in _GREEK else _mi(base, upright=len(base) > 1)
    if index and power:
        return Markup("<msubsup>{}{}{}</msubsup>").format(name, index, _mn(power))
    if power:
        return Markup("<msup>{}{}</msup>").format(name, _mn(power))
    if word == "y" and names.logarithms:
        return _mi("log", upright=True) + _space() + _sub(name, index)
    return _sub(name, index) if index else name


def _call(parts: list[Markup]) -> Markup:
    return _mo("(") + Markup("<mo>,</mo>").join(parts) + _mo(")")


def _sub(base: Markup, index: Markup) -> Markup:
    return Markup("<msub>{}{}</msub>").format(base, index)


def _mi(name: str, *, upright: bool = False) -> Markup:
    variant = Markup(' mathvariant="normal"') if upright else Markup()
    return Markup("<mi{}>{}</mi>").format(variant, name)


def _mn(number: str) -> Markup:
    return Markup("<mn>{}</mn>").format(number)


def _mo(sign: str) -> Markup:
    return Markup("<mo>") + escape(sign) + Markup("</mo>")


def _space() -> Markup:
    return Markup('<mspace width="1.2em"></mspace>')
