"""A figure to files: PNG, SVG and PDF from one drawing, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import plotnine as p9
from matplotlib.figure import Figure

mpl.use("agg")

DPI = 200


def save(figure: p9.ggplot, stem: str | Path, *, pdf: bool = False) -> tuple[int, int]:
    """Write `stem`.png and `stem`.svg, and `stem`.pdf where asked for.

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
            _lay_out(drawn)
            drawn.savefig(stem.parent / f"{stem.name}.png", dpi=DPI, metadata={"Software": None})
            _unscale(drawn)
            drawn.savefig(stem.parent / f"{stem.name}.svg", metadata={"Date": None})
            if pdf:
                about = {"Creator": None, "Producer": None, "CreationDate": None}
                drawn.savefig(stem.parent / f"{stem.name}.pdf", metadata=about)
            width, height = drawn.get_size_inches()
        finally:
            pyplot.close(drawn)
    return round(width * DPI), round(height * DPI)


def _lay_out(drawn: Figure) -> None:
    """Place everything once; with a layout engine, every file would be laid out and drawn twice."""
    engine = drawn.get_layout_engine()
    if engine is not None:
        dpi = drawn.get_dpi()
        drawn.set_dpi(DPI)
        engine.execute(drawn)
        drawn.set_layout_engine(None)
        drawn.set_dpi(dpi)  # that of the points in an SVG that are many enough to be an image


def _unscale(drawn: Figure) -> None:
    """Let colour bars take the resolution of the next file; plotnine keeps that of the first."""
    for box in drawn.findobj(lambda artist: hasattr(artist, "_dpi_corrected")):
        vars(box)["_dpi_corrected"] = False
