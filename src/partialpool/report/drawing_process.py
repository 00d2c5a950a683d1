"""A drawing process: tasks come in on standard input, outcomes go out on standard output.

`partialpool.report.drawing` starts it. A process of our own instead of a process pool, because
pools import the caller's main module again, which breaks scripts and notebooks that call the
library at their top level.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import warnings
from importlib import import_module
from typing import Any

EARLY = "early"
"""Argument of a process that is started before there is anything to draw."""

_PLOTS = "partialpool.plots"


def draw(function: str, arguments: dict[str, Any], stem: str, pdf: bool = False) -> tuple[str, str]:
    """Draw one figure into its files, without its caption.

    Returns
    -------
    problem, caption
        What went wrong, empty where nothing did; and the caption, for the page to set below it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plots = import_module(_PLOTS)
            figure, caption = plots.without_caption(getattr(plots, function)(**arguments))
            plots.save(figure, stem, pdf=pdf)
    except Exception as error:  # whatever a figure fails of, the report goes on without it
        return f"{type(error).__name__}: {error}", ""
    return "", caption


def serve() -> None:
    """Draw until the tasks end."""
    gc.disable()  # a figure is many small objects, and the process lives for a few figures only
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stray prints must not mix with answers
    if EARLY in sys.argv[1:]:
        plots = import_module(_PLOTS)
        for name in plots.__all__:
            getattr(plots, name)
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(draw(*task), answers)
        answers.flush()


if __name__ == "__main__":
    serve()
