"""What all figures share: palette, theme, labels that show as given, and a limit on crowding.

Colours are those of Okabe and Ito (2002, "Color Universal Design"), which people with any of the
common kinds of colour blindness tell apart; models differ in shape or panel as well.
"""

from __future__ import annotations

import itertools
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import plotnine as p9
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from mizani.breaks import breaks_log

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#777777"

CYCLE = (BLACK, VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY)
"""Colours of models and of chains, in order; further ones start again."""

SHAPES = ("s", "o", "^", "D", "v", "P", "X")
"""Shapes of models, in the order of the colours."""

WIDTH = 6.2
"""Width of every figure in inches."""

_FALLBACKS = (
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "IPAGothic",
    "TakaoGothic",
    "NanumGothic",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Symbols",
    "Noto Sans Symbols 2",
    "Noto Emoji",
    "Symbola",
    "Segoe UI Symbol",
    "Segoe UI Emoji",
    "Microsoft YaHei",
    "Apple Symbols",
    "Arial Unicode MS",
)
_WRAP = 28
_LONGEST = 140
_MOST_LINES = 3
_KEPT_OF_RUN = 2


@cache
def fonts() -> tuple[str, ...]:
    """Families that text is set in: the one that comes with matplotlib, then installed ones."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FALLBACKS if name in installed))


@cache
def _drawable() -> frozenset[int]:
    """Code points for which one of `fonts()` has a glyph."""
    covered: set[int] = set()
    for family in fonts():
        covered.update(FT2Font(font_manager.findfont(family)).get_charmap())
    return frozenset(covered)


def _glyph(character: str) -> str:
    """Return the character, or what stands for it where no font can draw it."""
    if character == "\n":
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) != "Cc" and ord(character) in _drawable():
        return character
    if unicodedata.category(character) in {"So", "Sk", "Sm"}:
        return f"[{unicodedata.name(character, f'U+{ord(character):04X}').lower()}]"
    if unicodedata.category(character) in {"Mn", "Cf"}:
        return ""
    return f"[U+{ord(character):04X}]"


def text(label: str, *, width: int = _WRAP) -> str:
    r"""Prepare a label for a figure, so that it shows as given.

    Dollar signs are kept from starting mathematics. A character without a glyph in any font at
    hand is replaced by its name or code point, and a run of such letters by the first and the last
    of their code points. Lines longer than `width` are wrapped; of a label longer than 140
    characters the middle is left out. A label of more than three lines is set without its line
    ends, and is shortened if that does not do.
    """
    shown = "".join(_glyph(character) for character in _without_runs(label))
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST - 40]} … {shown[-37:]}"
    lines = [part for line in shown.split("\n") for part in _wrapped(line, width) or [""]]
    if "\n" in label and len(lines) > _MOST_LINES:
        lines = _wrapped(" ".join(shown.split()), width)
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], f"… {lines[-1]}"]
    return "\n".join(lines).replace("$", r"\$")


def _without_runs(label: str) -> str:
    """Shorten runs of letters without a glyph, which would be a line of code points."""

    def shortened(run: re.Match[str]) -> str:
        points = [f"{ord(character):04X}" for character in run[0]]
        if len(points) > _KEPT_OF_RUN + 1:
            points = [*points[:_KEPT_OF_RUN], "…", points[-1]]
        return f"[U+{' '.join(points)}]"

    if not any(_is_letter_without_glyph(character) for character in label):
        return label
    parts = itertools.groupby(label, _is_letter_without_glyph)
    return "".join(
        re.sub("(?s).{2,}", shortened, "".join(run)) if bare else "".join(run)
        for bare, run in parts
    )


def _is_letter_without_glyph(character: str) -> bool:
    return unicodedata.category(character)[0] == "L" and ord(character) not in _drawable()


def _wrapped(line: str, width: int) -> list[str]:
    """Wrap a line; letters of double width, such as Chinese ones, count twice."""
    if not any(unicodedata.east_asian_width(character) in "WF" for character in line):
        return textwrap.wrap(line, width, replace_whitespace=False, break_on_hyphens=False)
    lines, taken = [""], 0
    for character in line:
        wide = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken + wide > width:
            lines.append("")
            taken = 0
        lines[-1] += character
        taken += wide
    return lines


def caption(sentence: str) -> str:
    """Wrap a caption, made of text that is already prepared, to the width of a figure."""
    return textwrap.fill(sentence, 96, break_long_words=False)


def without_caption(figure: p9.ggplot) -> tuple[p9.ggplot, str]:
    """Take the caption out of a figure, for a page that sets its own below it."""
    words = getattr(figure.labels, "caption", None) or ""
    return figure + p9.labs(caption=""), " ".join(words.split()).replace(r"\$", "$")


def theme(*, height: float = 3.6, width: float = WIDTH, grid: str = "xy") -> p9.theme:
    """Look of every figure; `height` and `width` in inches, `grid` names the axes with lines."""
    blank = p9.element_blank()
    line = p9.element_line(color="#DDDDDD", size=0.5)
    return p9.theme_minimal(base_size=11, base_family=list(fonts())) + p9.theme(
        figure_size=(width, height),
        panel_grid_minor=blank,
        panel_grid_major_x=line if "x" in grid else blank,
        panel_grid_major_y=line if "y" in grid else blank,
        axis_text=p9.element_text(color="#333333"),
        axis_title=p9.element_text(size=9.5),
        axis_text_y=p9.element_text(ma="right"),
        axis_line_x=p9.element_line(color="#888888", size=0.5),
        strip_text=p9.element_text(ha="left", ma="left", weight="bold", size=10),
        legend_position="top",
        legend_title=blank,
        legend_justification="left",
        legend_box_margin=0,
        plot_caption=p9.element_text(ha="left", ma="left", size=8.5, color="#555555"),
        plot_caption_position="plot",
        plot_margin=0.012,
        panel_spacing_x=0.035,
        panel_spacing_y=0.05,
        plot_background=p9.element_rect(fill="white", color="white"),
    )


RATIO_BREAKS = breaks_log(n=6)
"""Places of the marks on an axis of ratios, from its limits."""


def ratio_axis(*, flipped: bool = False) -> list[Any]:
    """Logarithmic axis of values with a line at 1, for ratios.

    Parameters
    ----------
    flipped
        Whether the figure flips its coordinates, so that the axis of values is y.
    """
    line, scale = (
        (p9.geom_hline(yintercept=1, color="#AAAAAA", size=0.5), p9.scale_y_log10)
        if flipped
        else (p9.geom_vline(xintercept=1, color="#AAAAAA", size=0.5), p9.scale_x_log10)
    )
    return [line, scale(breaks=RATIO_BREAKS, labels=_ratios)]


def _ratios(breaks: Sequence[float]) -> list[str]:
    return [f"{at:g}" for at in breaks]


def titles(frame: pd.DataFrame, models: Mapping[str, str] | None) -> dict[str, str]:
    """Names of the models of a frame, in order, to the titles shown; `models` may know more."""
    present = list(dict.fromkeys(frame["model"]))
    known = dict(models or {})
    ordered = [name for name in known if name in present]
    ordered += [name for name in present if name not in known]
    return {name: text(known.get(name, name), width=36) for name in ordered}


def look(models: Mapping[str, str] | None, shown: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Colour and shape of each shown model, the same in all figures made with the same `models`."""
    order = list(models or shown)
    order += [name for name in shown if name not in order]
    places = [order.index(name) for name in shown]
    return (
        [CYCLE[place % len(CYCLE)] for place in places],
        [SHAPES[place % len(SHAPES)] for place in places],
    )


def group_axis(
    kept: Sequence[str],
    dropped: int,
    *,
    extra: Mapping[str, str] | None = None,
    flipped: bool = False,
) -> tuple[p9.scale_y_discrete | p9.scale_x_discrete, float]:
    """Vertical axis of groups, the first at the top.

    Parameters
    ----------
    kept, dropped
        What `extremes` returned; where groups were left out, a row says how many.
    extra
        Further rows below the groups: key in the data to the text shown.
    flipped
        Whether the figure flips its coordinates, so that the vertical axis is x.

    Returns
    -------
    scale, height
        The axis, and the height in inches that its rows need.
    """
    rows = [(label, text(label)) for label in kept]
    if dropped:
        half = len(rows) // 2
        rows.insert(half, ("\x1fdropped", f"⋮ {dropped} between ⋮"))
    rows += list((extra or {}).items())
    rows.reverse()
    lines = sum(1 + shown.count("\n") for _, shown in rows)
    make = p9.scale_x_discrete if flipped else p9.scale_y_discrete
    scale = make(limits=[key for key, _ in rows], labels=[shown for _, shown in rows])
    return scale, (0.25 if len(rows) < 25 else 0.2) * lines + 0.05 * len(rows)
