"""Folders of results that are complete or absent.

A run writes into a hidden folder beside the target and is renamed into place when it is done.
The result of an earlier run stays where it is until then, and is never mixed with the new one.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from partialpool.errors import InputError
from partialpool.files import umask

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import plotnine as p9

    from partialpool.data import GroupedData
    from partialpool.families.alike import Alike
    from partialpool.fitting import Fit
    from partialpool.tables.comparison import Comparison

T = TypeVar("T")

_VERSIONS = ("partialpool", "plotnine", "matplotlib", "jinja2", "scipy")

MARK = "manifest.json"
"""Every finished result folder holds this file; no other folder is ever replaced."""


def check_target(target: str | Path) -> Path:
    """Refuse a place that results cannot go to, before any work is done for them.

    Raises
    ------
    InputError
        `target` is something other than a result, or the folder it would be in cannot be written.
    """
    target = Path(target)
    try:
        known = target.name != ".." and (not target.exists() or (target / MARK).is_file())
        there = next(each for each in target.absolute().parents if os.path.lexists(each))
    except OSError as error:
        raise InputError(f"{target}: cannot be a folder of results ({error.strerror})") from None
    if not known:
        raise InputError(
            f"{target}: exists and is no result folder of partialpool; "
            "choose another place with --output"
        )
    try:
        Path(tempfile.mkdtemp(prefix=".partialpool-", dir=there)).rmdir()  # permissions mislead
    except OSError as error:
        raise InputError(
            f"{target.parent}: results cannot be written there ({error.strerror}); choose another "
            "place with --output"
        ) from None
    return target


_LONG = 10_000
_FEW_ALIKE = 10  # rows of a kind, on average, from which on each kind is written once
_ROWS = 50_000


@contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """Give a folder to write into, and move it to `target` when the block ends well.

    Parameters
    ----------
    target
        Where the results go. An earlier result there is replaced; any other folder is refused.

    Raises
    ------
    InputError
        `target` is something other than a result, its parent cannot be written, or the disk is
        full. Nothing is kept then, and an earlier result stays.
    """
    target = check_target(target)
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}-", dir=target.parent))
        folder.chmod(0o777 & ~umask())
        yield folder
        _swap(folder, target)
    except OSError as error:
        raise InputError(
            f"{target}: the results could not be written ({error}). Nothing of them was kept; make "
            "room there, or choose another place with --output"
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Parts:
    """What is made of fits: each part on its own, so that one that fails leaves the rest alone.

    Attributes
    ----------
    failed
        Name of a part to what went wrong.
    """

    failed: dict[str, str] = field(default_factory=dict)

    def make(self, name: str, function: Callable[[], T]) -> T | None:
        """Make a part; None where that fails.

        Raises
        ------
        OSError, MemoryError
            The disk or the memory is full, or the folder cannot be written: then no part can be
            kept.
        """
        try:
            return function()
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a part fails of, fits must not go with it
            self.failed[name] = f"{type(error).__name__}: {error}"
            return None

    def table(
        self, data: GroupedData, key: str, function: Callable[[], pd.DataFrame]
    ) -> pd.DataFrame | None:
        """Make a table as people read it: of logarithms with their exponentials."""
        from partialpool.tables import exponential

        return self.make(
            f"the table {key}", lambda: exponential.tables(data, {key: function()})[key]
        )

    def figure(self, stem: Path, function: Callable[[], p9.ggplot]) -> None:
        """Draw a figure into the files `stem`.png and `stem`.svg, or into none."""
        from partialpool import plots

        name = f"the figure {stem.name}"
        self.make(name, lambda: plots.save(function(), stem))
        if name in self.failed:
            for ending in (".png", ".svg"):
                stem.with_name(f"{stem.name}{ending}").unlink(missing_ok=True)


@contextmanager
def kept(
    target: str | Path, data: GroupedData, fits: Mapping[str, Fit], *, kind: str = "fits"
) -> Iterator[tuple[Path, Parts]]:
    """Give a folder as `new_folder` does in which fits are saved already, and a maker of parts.

    Parameters
    ----------
    target, data, kind
        As for `new_folder` and `write_manifest`; the manifest names the parts that failed.
    fits
        Name of a file to the fit that it holds.

    Raises
    ------
    InputError
        As from `new_folder`.
    """
    parts = Parts()
    with new_folder(target) as folder:
        for name, fit in fits.items():
            fit.save(folder / f"{name}.nc")
        yield folder, parts
        write_manifest(folder, data, list(fits.values()), kind=kind, missing=parts.failed)


def _swap(folder: Path, target: Path) -> None:
    """Put `folder` in the place of `target`; what was there goes only after it."""
    if not target.exists():
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent)) / "old"
    target.rename(old)
    folder.rename(target)
    shutil.rmtree(old.parent, ignore_errors=True)


def label_trust(frame: pd.DataFrame, trusted: Mapping[str, bool]) -> pd.DataFrame:
    """Say in each row of a table whether the fit that it comes from passed its diagnostics.

    Parameters
    ----------
    frame
        A table; one without a column `model`, or whose `model` is
        no name of a fit, stays as it is.
    trusted
        Name of a model to whether every check that counts was passed.

    Returns
    -------
    DataFrame
        The table with a column `trusted` after `model`.
    """
    if "model" not in frame or not set(frame["model"]) <= set(trusted):
        return frame
    labelled = frame.copy()
    verdicts = [trusted[name] for name in frame["model"]]
    labelled.insert(list(frame.columns).index("model") + 1, "trusted", verdicts)
    return labelled


def write_table(frame: pd.DataFrame, path: Path, *, alike: Alike | None = None) -> None:
    """Write a table as CSV or Parquet, by the file's ending; DuckDB writes long ones at once.

    Numbers are written with all their digits. Where rows are alike but for their first cell, as
    groups of the same counts are, the digits of each kind of row are worked out once.
    """
    if path.suffix == ".csv" and len(frame) < _LONG:
        text = frame.to_csv(index=False)
        if "\r" in text:  # not every Python quotes what readers take for the end of a row
            text = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
        path.write_text(text, encoding="utf-8", newline="")
        return
    import duckdb

    with duckdb.connect() as engine:
        rows = engine.from_df(frame)
        if path.suffix == ".parquet":
            rows.write_parquet(str(path))
        elif alike is None or _FEW_ALIKE * len(alike.one) > len(frame):
            rows.write_csv(str(path))
        else:
            _write_alike(frame, path, alike, engine)


def _write_alike(
    frame: pd.DataFrame, path: Path, alike: Alike, engine: duckdb.DuckDBPyConnection
) -> None:
    """Write rows of which few differ in more than their first cell; DuckDB writes the parts."""
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for part in (frame.iloc[:, :1], frame.iloc[alike.one, 1:]):
            file = Path(folder) / "part.csv"
            engine.from_df(part).write_csv(str(file))
            parts.append(file.read_bytes().split(b"\n")[:-1])
    (title, *cells), (titles, *rests) = parts
    if len(cells) != len(frame):  # a label of several lines
        engine.from_df(frame).write_csv(str(path))
        return
    rests = [b"," + rest + b"\n" for rest in rests]
    with path.open("wb") as file_of_rows:
        file_of_rows.write(title + b"," + titles + b"\n")
        for start in range(0, len(cells), _ROWS):
            which = alike.which[start : start + _ROWS].tolist()
            pairs = zip(cells[start : start + _ROWS], map(rests.__getitem__, which), strict=True)
            file_of_rows.write(b"".join(itertools.chain.from_iterable(pairs)))


def about_data(data: GroupedData) -> dict[str, Any]:
    """Describe the data for a manifest, and how to read them again."""
    return {
        "name": data.name,
        "source": data.source,
        "sha256": data.sha256,
        "observations": data.stats.N,
        "groups": data.stats.J,
        "notes": list(data.notes),
        "reading": dict(data.reading),
        "labels": {key: getattr(data, key) for key in DATA_LABELS},
    }


DATA_LABELS = ("title", "group_label", "value_label", "unit", "priors_source", "exp", "per")
"""What people read of the data, and the file beside them may have changed since."""


def write_manifest(
    folder: Path,
    data: GroupedData,
    fits: Sequence[Fit],
    *,
    kind: str = "fits",
    missing: Mapping[str, str] | None = None,
) -> None:
    """Write what is needed to repeat a run: data, programs, priors, settings, seeds, versions.

    It is written last, so that its presence says that the folder is complete.

    Parameters
    ----------
    kind
        The command that made the folder, which says what tables it holds.
    missing
        Name of a part that could not be made to the reason.
    """
    about: dict[str, Any] = {
        "kind": kind,
        "partialpool": metadata.version("partialpool"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "data": about_data(data),
        "fits": [fit.record.as_dict() for fit in fits],
    }
    if missing:
        about["missing"] = dict(missing)
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")


def manifest(
    comparison: Comparison,
    files: Mapping[str, str],
    failed: Mapping[str, str],
    timings: Mapping[str, Any],
    *,
    later: GroupedData | None = None,
) -> dict[str, Any]:
    """Collect what is needed to know where the numbers come from, and to make them again."""
    data = comparison.data
    return {
        "kind": "report",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": about_data(data),
        "delta": comparison.delta,
        "insist": comparison.insist,
        "holdout": None if later is None else about_data(later),
        "thresholds": sorted(set(comparison.table("thresholds").get("threshold", ()))),
        "equal_effects": "bayes_factor" in {*comparison.tables, *comparison.missing},
        "fits": [
            {
                **fit.record.as_dict(),
                "seed": fit.record.settings.get("seed"),
                "trusted": comparison.trusted[fit.name],
                "file": files[fit.name],
            }
            for fit in comparison.fits
        ],
        "versions": {name: metadata.version(name) for name in _VERSIONS}
        | {"python": platform.python_version(), "platform": platform.platform()},
        "missing": {"figures": dict(failed), "tables": dict(comparison.missing)},
        "timings": dict(timings),
    }


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Read what `write_manifest`, or the report, wrote into a folder of results.

    Raises
    ------
    InputError
        The folder holds no result of partialpool.
    """
    path = Path(folder) / MARK
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{folder}: no result of partialpool, which holds a {MARK} ({error.strerror})"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if not isinstance(manifest, dict) or not {"data", "fits"} <= manifest.keys():
        raise InputError(f"{path}: it does not describe a result of partialpool")
    return manifest
