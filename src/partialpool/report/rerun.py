"""Make a result again from its manifest, and compare: the same draws to the last bit, or not.

On one machine, with one CmdStan and one compiler, a seed decides every draw. Elsewhere draws differ
in their last digits soon, and altogether after some iterations; the estimates then agree within
their Monte Carlo errors.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from partialpool import programs
from partialpool.data import GroupedData, reading
from partialpool.data.adjusting import with_covariates
from partialpool.data.weights import weighted
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.fitting.without_rows import fit_or_draw
from partialpool.priors import hyperparameters
from partialpool.programs import toolchain
from partialpool.progress import Progress
from partialpool.report import fits_folder, many_groups, results
from partialpool.settings import Settings

IDENTICAL, DIFFERENT, MISSING = "identical", "different", "not there to compare"


@dataclass(frozen=True)
class Again:
    """A result that was made again.

    Attributes
    ----------
    target
        The new folder.
    fits
        The new fits.
    draws
        Title of each fit to whether its draws are `IDENTICAL` to those of the first run, bit for
        bit, `DIFFERENT`, or `MISSING` where the first run kept none.
    tables
        Path of each table to the same, byte for byte.
    notes
        What is not as it was: versions, for instance.
    """

    target: Path
    fits: tuple[Fit, ...]
    draws: Mapping[str, str]
    tables: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return DIFFERENT not in {*self.draws.values(), *self.tables.values()}


def rerun(
    folder: str | Path,
    *,
    data_files: Sequence[str | Path] = (),
    target: str | Path | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> Again:
    """Make a result again from its manifest alone: data, programs, priors, settings and seeds.

    Parameters
    ----------
    folder
        A folder of results.
    data_files
        Where the data are now; where they were, if none is named. They must be the same.
    target
        The folder to write; that of the first run with `-rerun` added, if None.
    cmdstan
        The CmdStan to use; found by `toolchain.find_cmdstan` where None.
    progress
        Where to report.

    Raises
    ------
    InputError
        No result, a manifest that does not say enough, or a data file that is gone or changed.
    """
    folder = Path(folder)
    manifest = results.read_manifest(folder)
    target = results.check_target(target or folder.absolute().with_name(f"{folder.name}-rerun"))
    progress = progress or Progress()
    data = _data(folder, manifest["data"], data_files, progress)
    cmdstan = cmdstan or toolchain.find_cmdstan(progress=progress)
    records = manifest["fits"]
    fits = [_fit(record, folder, data, cmdstan, progress) for record in records]
    _write(target, manifest, data, fits, progress)
    return Again(
        target,
        tuple(fits),
        _compare_draws(folder, fits),
        _compare_tables(folder, target),
        _notes(records, fits),
    )


def _data(
    folder: Path, record: Mapping[str, Any], files: Sequence[str | Path], progress: Progress
) -> GroupedData:
    """Read the data again, and make sure that they are the same."""
    how = dict(record.get("reading") or {})
    if not how:
        raise InputError(
            f"{folder}: its data did not come from files, so they cannot be read again"
        )
    recorded, log, model = how.pop("files"), how.pop("log", False), how.pop("model", {})
    by, adjust, weight = how.pop("by", ()), how.pop("adjust", ()), how.pop("weight", None)
    if how.pop("piped", False) and not files:
        raise InputError(
            f"{folder}: its data came through a pipe; name a file that holds them with --data"
        )
    columns = reading.Columns(**how.pop("columns"))
    data = reading.read(files or recorded, columns=columns, progress=progress, **how)
    if data.sha256 != record["sha256"]:
        raise InputError(
            f"{data.source}: the data have changed since {folder} was made (SHA-256 "
            f"{data.sha256[:12]}..., then {record['sha256'][:12]}...); name the old file with "
            "--data"
        )
    if log:
        data = data.logarithms()
    data = weighted(with_covariates(data.modelled(**model), by, adjust), weight)
    return dataclasses.replace(data, name=record["name"], **record["labels"])


def _later(manifest: Mapping[str, Any]) -> GroupedData | None:
    """Read the later outcomes again that predictions were scored by, where there were some."""
    record = manifest.get("holdout")
    if not record:
        return None
    how = dict(record["reading"])
    files, columns = how.pop("files"), reading.Columns(**how.pop("columns"))
    model = how.pop("model", {})
    how.pop("by", None)
    how.pop("adjust", None)
    if how.pop("piped", False):
        raise InputError("the later outcomes came through a pipe, so they cannot be read again")
    return reading.read(files, columns=columns, **how).modelled(**model)


def _fit(
    record: Mapping[str, Any],
    folder: Path,
    data: GroupedData,
    cmdstan: toolchain.CmdStan,
    progress: Progress,
) -> Fit:
    """Fit the recorded program with the recorded priors and settings."""
    known = {field.name for field in fields(Settings)}
    try:
        name, source, included = record["program"], record["source"], record["included"]
        priors = hyperparameters.Priors(record["priors"], record["priors_sources"])
        settings = {key: value for key, value in record["settings"].items() if key in known}
        switches = {key: record[key] for key in ("prior_only", "pointwise", "extra")}
    except KeyError as error:
        raise InputError(f"{folder}: its manifest does not state {error}") from None
    with tempfile.TemporaryDirectory(prefix="partialpool-") as place:
        path = Path(place) / f"{name}.stan"
        for file, text in {path.name: source, **included}.items():
            home = (Path(place) / file).resolve()
            if not home.is_relative_to(Path(place).resolve()):
                raise InputError(f"{folder}: its manifest names a file outside of a folder, {file}")
            home.parent.mkdir(parents=True, exist_ok=True)
            home.write_text(text, encoding="utf-8")
        program = programs.load(path, progress=progress).pointed(
            {name: tuple(given) for name, given in record.get("columns", {}).items()},
            record.get("effects"),
        )
        if program.sha256 != record["program_sha256"]:
            raise InputError(f"{folder}: the program {name} in its manifest was changed")
        (fit,) = fit_or_draw(
            [program],
            data,
            priors=priors,
            settings=Settings(**settings),
            cmdstan=cmdstan,
            progress=progress,
            **switches,
        )
    whole = not (record.get("lost_chains") or fit.record.lost_chains)
    same = ("title", "attempts") if whole else ("attempts",)  # a copy is not known as shipped
    kept = {key: record[key] for key in same if key in record}
    return fit.with_record(**kept)


def _write(
    target: Path,
    manifest: Mapping[str, Any],
    data: GroupedData,
    fits: Sequence[Fit],
    progress: Progress,
) -> None:
    """Write what the first run wrote: the report, or tables and draws."""
    kind = manifest.get("kind", "fits")
    if kind == "report":
        from partialpool.report.folder import write

        write(
            target,
            data,
            fits,
            delta=manifest.get("delta"),
            insist=bool(manifest.get("insist")),
            equal_effects=bool(manifest.get("equal_effects")),
            thresholds=tuple(manifest.get("thresholds", ())),
            later=_later(manifest),
            progress=progress,
        )
        return
    if kind in fits_folder.KINDS:
        fits_folder.write(target, data, fits, kind=kind)
        return
    with results.new_folder(target) as folder:
        if kind == "groups":
            (folder / "tables").mkdir()
            table = many_groups.all_groups(data, fits[0])
            results.write_table(table, folder / "tables" / "groups.csv")
        for number, fit in enumerate(fits, start=1):
            fit.save(folder / (f"{fit.name}.nc" if kind != "fits" else f"{number}-{fit.name}.nc"))
        results.write_manifest(folder, data, fits, kind=kind)


def _compare_draws(folder: Path, fits: Sequence[Fit]) -> dict[str, str]:
    saved = [Fit.load(path) for path in sorted(folder.rglob("*.nc"))]
    found = {}
    for number, fit in enumerate(fits, start=1):
        title = fit.title if fit.title not in found else f"{fit.title} ({number})"
        earlier = [one for one in saved if _same_run(one, fit)]
        found[title] = MISSING
        if earlier:
            found[title] = IDENTICAL if same_draws(earlier[0], fit) else DIFFERENT
    return found


def _same_run(first: Fit, second: Fit) -> bool:
    keys = ("program_sha256", "priors", "settings", "prior_only", "pointwise")
    return all(getattr(first.record, key) == getattr(second.record, key) for key in keys)


def same_draws(first: Fit, second: Fit) -> bool:
    """Whether two fits hold the same draws and statistics of the sampler, bit for bit."""
    if set(first.draws.children) != set(second.draws.children):
        return False
    for name in first.draws.children:
        one, two = first.draws[name].to_dataset(), second.draws[name].to_dataset()
        if set(one.data_vars) != set(two.data_vars):
            return False
        for variable in one.data_vars:
            values = [np.ascontiguousarray(each[variable].to_numpy()) for each in (one, two)]
            alike = values[0].dtype == values[1].dtype and values[0].shape == values[1].shape
            if not alike or values[0].tobytes() != values[1].tobytes():
                return False
    return True


def _compare_tables(folder: Path, target: Path) -> dict[str, str]:
    found = {}
    for path in sorted(target.rglob("*.csv")):
        name = path.relative_to(target)
        before = folder / name
        found[name.as_posix()] = MISSING
        if before.is_file():
            same = before.read_bytes() == path.read_bytes()
            found[name.as_posix()] = IDENTICAL if same else DIFFERENT
    return found


def _notes(records: Sequence[Mapping[str, Any]], fits: Sequence[Fit]) -> tuple[str, ...]:
    """Say which versions are not what they were."""
    before = {name: told for record in records for name, told in record["versions"].items()}
    now = {name: told for fit in fits for name, told in fit.record.versions.items()}
    return tuple(
        f"{name} was {told}, and is {now[name]} now"
        for name, told in before.items()
        if name in now and now[name] != told
    )
