"""Fits -> a folder of results: the report, its tables, its figures and the draws."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from partialpool.data import GroupedData
from partialpool.errors import PartialPoolError
from partialpool.fitting import Fit
from partialpool.programs import statements
from partialpool.progress import Progress
from partialpool.report import page
from partialpool.report.drawing import Drawn, Figure, Worker, draw_all, drawing_processes
from partialpool.report.exports import latex, main_views, markdown, write_draws, write_tables
from partialpool.report.figures import Plan, plan
from partialpool.report.results import (
    MARK,
    Parts,
    label_trust,
    manifest,
    new_folder,
    write_manifest,
    write_table,
)
from partialpool.tables import exponential, meanings
from partialpool.tables.comparison import Comparison, check_fits, compute
from partialpool.tables.lazy import complete
from partialpool.text import safe


def write(
    target: str | Path,
    data: GroupedData,
    fits: Sequence[Fit],
    *,
    delta: float | None = None,
    insist: bool = False,
    equal_effects: bool = False,
    thresholds: Sequence[float] = (),
    later: GroupedData | None = None,
    pdf: bool = False,
    formats: Sequence[str] = (),
    draws: bool = False,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the comparison of some fits as a folder that can be handed on.

    The folder holds `report.html` (one file, nothing else needed), `tables/` (CSV, with
    `columns.csv` that says what each column is, and the main ones in Markdown and LaTeX),
    `figures/` (PNG and SVG), `fits/` (netCDF) and `manifest.json`. It appears whole under `target`
    or not at all; an earlier result there is replaced only by a finished one.

    Parameters
    ----------
    target
        The folder to make.
    data
        The observations that the fits were made from.
    fits
        What to compare, in the order to show.
    delta
        Half-width of the region of practical equivalence, in the unit of the data (of logarithms,
        where these are the data).
    insist
        Draw conclusions from fits that failed a diagnostic, too; the banner stays.
    equal_effects
        Whether to add the Bayes factor of equal effects; `bayes_factor.check` says whether it is
        known.
    thresholds
        Values that groups lie above or below, as people read them.
    later
        Later outcomes of the same groups, by which predictions are scored.
    pdf
        Whether figures are written as PDF, too.
    formats
        Further forms of the tables: see `exports.FORMATS`.
    draws
        Whether draws are written as Parquet, too, one row a draw.
    processes
        Drawing processes; the number of cores, at most four, where None.
    progress
        Where to report.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    InputError
        No fits, two of one name, fits of other data, or a target that is something else than a
        result. A figure or a table that fails is named in the report instead.
    PartialPoolError
        There is no report; the fits are kept.
    """
    target, progress, parts = Path(target), progress or Progress(), Parts()
    files = {fit.name: f"fits/{k}-{safe(fit.name)}.nc" for k, fit in enumerate(fits, start=1)}
    with new_folder(target) as folder, drawing_processes(processes) as workers:
        for name in ("tables", "figures", "fits"):
            (folder / name).mkdir()
        check_fits(fits)
        with progress.task("Saving the draws", total=len(fits)) as task:
            for fit in fits:
                fit.save(folder / files[fit.name])
                task.advance()
            if draws:
                write_draws(fits, folder / "draws")
        asked = {
            "delta": delta,
            "insist": insist,
            "equal_effects": equal_effects,
            "thresholds": tuple(thresholds),
            "later": later,
        }
        about = parts.make(
            "the report",
            lambda: _fill(
                folder,
                data,
                fits,
                files,
                asked=asked,
                workers=workers,
                pdf=pdf,
                formats=formats,
                progress=progress,
            ),
        )
        if about is None:
            write_manifest(folder, data, fits, missing=parts.failed)
        else:
            text = json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False, default=str)
            (folder / MARK).write_text(f"{text}\n", encoding="utf-8")
    if about is None:
        raise PartialPoolError(
            f"the report could not be made ({parts.failed['the report']}); the fits are kept in "
            f"{target}"
        )
    return target


def _fill(
    folder: Path,
    data: GroupedData,
    fits: Sequence[Fit],
    files: Mapping[str, str],
    *,
    asked: Mapping[str, Any],
    workers: Sequence[Worker],
    pdf: bool,
    formats: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Write tables, figures and the page; return the manifest."""
    start, parts, timings = time.perf_counter(), Parts(), dict[str, float]()
    comparison = exponential.of_comparison(compute(data, fits, **asked, lazily=True))
    models = {
        fit.name: model
        for fit in fits
        if (model := statements.of_program(fit.record.source, fit.record.priors))
    }
    with _drawing(folder / "figures", workers, pdf=pdf, progress=progress) as figures:
        figures.prepare(comparison, models)
        complete(comparison.tables, progress=progress)
        _tables(comparison, folder / "tables", formats)
        timings["tables"] = time.perf_counter() - start
    pictures, failed = figures.pictures()
    timings["figures"] = timings["whole"] = time.perf_counter() - start
    about = manifest(comparison, files, failed, timings, later=asked["later"])

    def page_of() -> str:
        sections = page.sections(comparison, pictures, models)
        views = main_views(sections)
        (folder / "tables" / "main.md").write_text(markdown(views), encoding="utf-8")
        (folder / "tables" / "main.tex").write_text(latex(views), encoding="utf-8")
        return page.render(comparison, sections, made=about, missing=comparison.missing)

    html = parts.make("report.html", page_of)
    if html is not None:
        (folder / "report.html").write_text(html, encoding="utf-8")
    about["missing"] |= {"page": parts.failed} if parts.failed else {}
    return about


@contextmanager
def _drawing(
    folder: Path, workers: Sequence[Worker], *, pdf: bool, progress: Progress
) -> Iterator[_Figures]:
    """Draw figures while they are prepared; at the end of the context all are drawn."""
    figures = _Figures(folder)
    with ThreadPoolExecutor(1) as beside:
        drawing = beside.submit(
            draw_all,
            iter(figures.ready.get, None),
            folder,
            workers=workers,
            pdf=pdf,
            progress=progress,
        )
        try:
            yield figures
        except BaseException:  # nobody waits for what is not drawn yet
            while not figures.ready.empty():
                figures.ready.get()
            raise
        finally:
            figures.ready.put(None)
        figures.drawn = drawing.result()


class _Figures:
    """The figures of a report: prepared one after the other, drawn elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.ready: queue.SimpleQueue[Figure | None] = queue.SimpleQueue()
        self.drawn = Drawn({}, {})
        self._folder = folder
        self._planned: list[tuple[Plan, Figure | None]] = []
        self._failed: dict[str, str] = {}

    def prepare(self, comparison: Comparison, models: dict[str, statements.Model]) -> None:
        """Prepare what can be drawn; one figure that fails must not take the others with it."""
        try:
            for each in plan(comparison, models):
                try:
                    figure = each.make()
                except Exception as error:
                    figure = None
                    self._failed[each.key] = f"{type(error).__name__}: {error}"
                else:
                    self.ready.put(figure)
                self._planned.append((each, figure))
        except Exception as error:  # nor must all figures take the report with them
            self._failed["all"] = f"{type(error).__name__}: {error}"

    def pictures(self) -> tuple[dict[str, list[page.Picture]], dict[str, str]]:
        """Pictures by section, and reasons by key for those that could not be drawn."""
        failed = self._failed | self.drawn.failed
        pictures: dict[str, list[page.Picture]] = {}
        for each, figure in self._planned:
            if figure is None or each.key in failed:
                for file in self._folder.glob(f"{each.key}.*"):
                    file.unlink()
                shown = page.Picture(each.key, "", problem=failed[each.key])
            else:
                caption = self.drawn.captions[each.key]
                shown = page.picture(figure, self._folder, caption, folded=each.folded)
            pictures.setdefault(each.section, []).append(shown)
        return pictures, failed


def _tables(comparison: Comparison, folder: Path, formats: Sequence[str]) -> None:
    tables = {
        key: label_trust(frame, comparison.trusted) for key, frame in comparison.tables.items()
    }
    for key, frame in tables.items():
        write_table(frame, folder / f"{key}.csv")
    write_tables(tables, folder, formats=formats)
    columns = meanings.table(tables, comparison.data.words)
    write_table(exponential.described(columns, comparison.data), folder / "columns.csv")
