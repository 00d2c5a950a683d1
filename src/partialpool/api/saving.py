"""Results in a folder of their own: data as JSON, draws as netCDF, nothing that runs code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.covariates import Covariates
from partialpool.families.nesting import Nesting
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.families.within import WithinSums
from partialpool.fitting import Fit
from partialpool.report.results import MARK, new_folder, write_manifest
from partialpool.text import safe

_DATA = "data.json"
_TEXTS = (
    *("name", "group_label", "value_label", "unit", "title", "priors_source", "source", "sha256"),
)
_PLAIN = (*_TEXTS, "exp", "log", "per")


def write_folder(
    target: str | Path, data: GroupedData, fits: Sequence[Fit], delta: float | None
) -> Path:
    """Keep data and draws in a folder, complete or not at all."""
    kept: dict[str, Any] = {key: getattr(data, key) for key in _PLAIN}
    kept |= {
        "family": data.family.name,
        "labels": list(data.labels),
        "statistics": {name: values.tolist() for name, values in data.stats.columns.items()},
        "covariates": data.stats.covariates.record if data.stats.covariates else None,
        "within": data.stats.within.record if isinstance(data.stats, AdjustedMeans) else None,
        "nesting": data.stats.nesting.record if data.stats.nesting else None,
        "row_weights": None if (w := data.stats.row_weights) is None else w.tolist(),
        "y": data.y.tolist(),
        "group": data.group.tolist(),
        "priors": dict(data.priors),
        "notes": list(data.notes),
        "reading": dict(data.reading),
        "delta": delta,
        "fits": [f"fits/{k}-{safe(fit.name)}.nc" for k, fit in enumerate(fits, start=1)],
    }
    with new_folder(target) as folder:
        (folder / "fits").mkdir()
        for fit, name in zip(fits, kept["fits"], strict=True):
            fit.save(folder / name)
        (folder / _DATA).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        write_manifest(folder, data, fits, missing={})
    return Path(target)


def read_folder(folder: str | Path) -> tuple[GroupedData, tuple[Fit, ...], float | None]:
    """Read what `write_folder` kept.

    Raises
    ------
    InputError
        The folder holds no saved result.
    """
    folder = Path(folder)
    try:
        kept = json.loads((folder / _DATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "is the folder of a report" if (folder / MARK).is_file() else "holds no saved result"
        raise InputError(f"{folder} {what}; Result.save makes a folder to open") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / _DATA}: cannot be read ({error})") from None
    family = FAMILIES[kept["family"]]
    kind = family.statistics
    arrays: dict[str, Any] = {
        name: np.asarray(values) for name, values in kept["statistics"].items()
    }
    if (covariates := kept.get("covariates")) is not None:
        arrays["explained_by"] = Covariates.recorded(covariates)
    if (within := kept.get("within")) is not None:
        arrays["within"] = WithinSums.recorded(within)
    if (nesting := kept.get("nesting")) is not None:
        arrays["nested_in"] = Nesting.recorded(nesting)
    if (weights := kept.get("row_weights")) is not None:
        arrays["by_row"] = np.asarray(weights, dtype=np.float64)
    y = np.asarray(kept["y"], dtype=np.float64)
    group = np.asarray(kept["group"], dtype=np.int64)
    data = GroupedData(
        y=y,
        group=group,
        stats=family.with_rows(kind(labels=tuple(kept["labels"]), **arrays), y, group),
        family=family,
        priors=kept["priors"],
        notes=tuple(kept["notes"]),
        reading=kept["reading"],
        **{key: kept[key] for key in _PLAIN if key in kept},
    )
    fits = tuple(Fit.load(folder / name) for name in kept["fits"])
    return data, fits, kept["delta"]
