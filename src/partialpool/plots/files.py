"""A figure to files: PNG and SVG from one drawing, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import plotnine as p9

mpl.use("agg")

DPI = 200


def save(figure: p9.ggplot, stem: str | Path) -> tuple[int, int]:
    """Write `stem`.png and `stem`.svg.

    Returns
    -------
    tuple of int
        Width and height of the PNG in pixels.
    """
    from matplotlib import pyplot

    stem = Path(stem)
    with mpl.rc_context({"svg.hashsalt": stem.name, "svg.fonttype": "path"}):
        drawn = figure.draw()
        try:
            drawn.savefig(stem.parent / f"{stem.name}.png", dpi=DPI, metadata={"Software": None})
            drawn.savefig(stem.parent / f"{stem.name}.svg", metadata={"Date": None})
            width, height = drawn.get_size_inches()
        finally:
            pyplot.close(drawn)
    return round(width * DPI), round(height * DPI)
