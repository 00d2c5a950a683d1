"""The tables of a report in other forms: Markdown, LaTeX, Parquet, a workbook; draws in rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.report.cells import View
from partialpool.report.results import write_table
from partialpool.text import safe

if TYPE_CHECKING:
    from partialpool.report.page import Section

FORMATS = ("csv", "parquet", "xlsx")
"""Forms of tables; CSV is always written."""

_MAIN = ("data", "shrinkage", "comparisons", "prediction")
_SHEET = 31
"""Longest name of a sheet of a workbook."""

_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "–": "--",
    "²": r"\textsuperscript{2}",
    "∼": r"$\sim$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "ν": r"$\nu$",
    "₀": r"\textsubscript{0}",
}


def check_formats(formats: Iterable[str]) -> list[str]:
    """Refuse forms that there are not, or that a library is missing for.

    Raises
    ------
    InputError
        With what there is, or what to install.
    """
    wanted = list(dict.fromkeys(formats))
    for each in wanted:
        if each not in FORMATS:
            raise InputError(f"--format {each}: tables come as {', '.join(FORMATS)}")
    if "xlsx" in wanted:
        try:
            import openpyxl  # noqa: F401
        except ImportError:
            raise InputError(
                "--format xlsx needs openpyxl, which is not installed: pip install openpyxl"
            ) from None
    return wanted


def write_tables(
    tables: Mapping[str, pd.DataFrame], folder: Path, *, formats: Sequence[str]
) -> None:
    """Write each table in the forms asked for, besides CSV: a file each, or one workbook."""
    if "parquet" in formats:
        for name, frame in tables.items():
            write_table(frame, folder / f"{name}.parquet")
    if "xlsx" in formats:
        with pd.ExcelWriter(folder / "tables.xlsx", engine="openpyxl") as book:
            for name, frame in tables.items():
                frame.to_excel(book, sheet_name=name[:_SHEET], index=False)


def write_draws(fits: Sequence[Fit], folder: Path) -> None:
    """Write the draws of each fit as Parquet, one row a draw: `chain`, `draw`, a column a number.

    Columns by group are called `theta[LABEL]`.
    """
    folder.mkdir()
    for number, fit in enumerate(fits, start=1):
        write_table(draws_in_rows(fit), folder / f"{number}-{safe(fit.name)}.parquet")


def draws_in_rows(fit: Fit) -> pd.DataFrame:
    """Draws of the posterior, one row a draw.

    Returns
    -------
    DataFrame
        `chain` and `draw`, from 0; every scalar by its name, and what has further dimensions as
        `name[label]` or `name[label,label]`.
    """
    posterior = fit.posterior
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    columns: dict[str, Any] = {
        "chain": np.repeat(np.arange(chains), draws),
        "draw": np.tile(np.arange(draws), chains),
    }
    for name, array in posterior.data_vars.items():
        others = [dim for dim in array.dims if dim not in ("chain", "draw")]
        flat = array.transpose(*others, "chain", "draw").to_numpy()
        shape = flat.shape[: len(others)]
        flat = flat.reshape(-1, chains * draws)
        labels = [
            [str(each) for each in array[dim].to_numpy()]
            if dim in array.coords
            else [str(k + 1) for k in range(size)]
            for dim, size in zip(others, shape, strict=True)
        ]
        for at, values in zip(np.ndindex(*shape), flat, strict=True):
            index = ",".join(labels[axis][place] for axis, place in enumerate(at))
            columns[f"{name}[{index}]" if others else str(name)] = values
    return pd.DataFrame(columns)


def main_views(parts: Sequence[Section]) -> list[View]:
    """Tables of a page that one would print elsewhere."""
    return [
        view
        for part in parts
        if part.key in _MAIN
        for view in part.views
        if view is not None and view.head
    ]


def markdown(views: Sequence[View]) -> str:
    """Write tables as Markdown, each with its caption and note."""
    return "\n".join(_markdown(view) for view in views)


def _markdown(view: View) -> str:
    def row(cells: Iterable[str]) -> str:
        escaped = (cell.replace("|", r"\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    numbers = _numeric(view)
    lines = [
        f"**{view.title}**\n",
        row(view.head),
        row("---:" if number else "---" for number in numbers),
        *(row(cell.text for cell in cells) for cells in view.rows),
    ]
    return "\n".join([*lines, "", *([view.note, ""] if view.note else [])])


def latex(views: Sequence[View]) -> str:
    """Write tables as LaTeX, for the package booktabs."""
    return "\n".join(_latex(view) for view in views)


def _latex(view: View) -> str:
    columns = "".join("r" if number else "l" for number in _numeric(view))
    rows = [" & ".join(_escaped(cell.text) for cell in cells) + r" \\" for cells in view.rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(view.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(_escaped, view.head)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _numeric(view: View) -> Iterator[bool]:
    """Whether each column holds numbers."""
    for column in range(len(view.head)):
        kinds = {row[column].kind for row in view.rows}
        yield kinds == {"number"}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text.replace("\n", " "))
