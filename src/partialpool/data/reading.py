"""Data of any kind and size: observations or summaries by group, CSV or Parquet, one file or many.

Few observations are kept one by one; of many, only the sufficient statistics by group, which is
all that the models with a normal likelihood need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from partialpool.data import scan
from partialpool.data.description import read_description
from partialpool.data.grouped import GroupedData, read_csv
from partialpool.data.rows import file_rows
from partialpool.data.summaries import read_summary, summary_columns
from partialpool.errors import InputError
from partialpool.progress import Progress

MOST_OBSERVATIONS = 100_000
"""Most observations that are kept one by one, unless another number is given."""

_LARGE_FILE = 16_000_000


@dataclass(frozen=True)
class Columns:
    """Names of columns, where the file or the TOML file beside it does not tell.

    Attributes
    ----------
    group, value
        Columns of the groups and of the outcome.
    n, mean, sd
        Columns of a file of summaries, one group a row.
    """

    group: str | None = None
    value: str | None = None
    n: str | None = None
    mean: str | None = None
    sd: str | None = None

    @property
    def of_summary(self) -> dict[str, str | None]:
        """Those of a file of summaries."""
        return {"n": self.n, "mean": self.mean, "sd": self.sd}


def read(
    files: str | Path | Sequence[str | Path],
    *,
    columns: Columns | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    drop_missing: bool = False,
    most_observations: int = MOST_OBSERVATIONS,
    progress: Progress | None = None,
) -> GroupedData:
    """Read data of any kind and size.

    Parameters
    ----------
    files
        A file, a pattern such as `data/part-*.parquet`, or several of them: observations as CSV
        (also compressed, `.csv.gz`) or Parquet, or one CSV file of summaries. A CSV file is one
        of summaries where a column of n, mean or sd is named in `columns`, or where its header
        has all three and no column of values is named.
    columns
        Names of columns.
    delimiter, decimal, drop_missing
        As for `partialpool.data.grouped.read_csv`.
    most_observations
        Of more observations than this only the statistics by group are kept.
    progress
        Where to report.

    Returns
    -------
    GroupedData
        Without observations (`y` and `group` empty) where only statistics are at hand; `notes`
        says so.

    Raises
    ------
    InputError
        Whatever makes the data unusable, with file, line and value.
    """
    columns = columns or Columns()
    paths = scan.expand(files)
    data = _read(
        paths, columns, delimiter, decimal, drop_missing, most_observations, progress=progress
    )
    asked = {role: name for role, name in asdict(columns).items() if name is not None}
    again = {
        "files": [str(path.absolute()) for path in paths],
        "columns": {**data.reading.get("columns", {}), **asked},
        "delimiter": delimiter,
        "decimal": decimal,
        "drop_missing": drop_missing,
        "most_observations": most_observations,
    }
    return replace(data, reading=again)


def _read(
    paths: Sequence[Path],
    columns: Columns,
    delimiter: str,
    decimal: str,
    drop_missing: bool,
    most_observations: int,
    *,
    progress: Progress | None,
) -> GroupedData:
    """Read with the reader that suits the files."""
    text = {"delimiter": delimiter, "decimal": decimal}
    if _are_summaries(paths, columns, delimiter):
        summary = read_summary(
            paths[0],
            group=columns.group,
            n=columns.n,
            mean=columns.mean,
            sd=columns.sd,
            **text,
        )
        return _noted(summary.without_observations(), "read as summaries, one group a row")
    plain = paths[0].suffix.lower() not in scan.PARQUET | {".gz"}
    if len(paths) == 1 and plain and paths[0].stat().st_size < _LARGE_FILE:
        data = read_csv(
            paths[0],
            group=columns.group,
            value=columns.value,
            drop_missing=drop_missing,
            **text,
        )
        if most_observations < data.stats.N:
            data = replace(data, y=data.y[:0], group=data.group[:0])
    else:
        data = scan.scan_data(
            paths,
            most_observations=most_observations,
            group=columns.group,
            value=columns.value,
            delimiter=delimiter,
            decimal=decimal,
            drop_missing=drop_missing,
            progress=progress,
        )
    if data.has_observations:
        return data
    return _noted(
        data,
        f"more than {most_observations:,} observations, so models are fitted to the statistics "
        "by group",
    )


def _are_summaries(paths: Sequence[Path], columns: Columns, delimiter: str) -> bool:
    """Tell a file of summaries, by what the user named or by its header."""
    named = [role for role, name in columns.of_summary.items() if name is not None]
    if named:
        if columns.value is not None:
            raise InputError(
                f"--value names a column of observations and --{named[0]} one of summaries; "
                "a file holds one or the other"
            )
        if len(paths) > 1 or paths[0].suffix.lower() in scan.PARQUET:
            raise InputError("summaries are read from one CSV file")
        return True
    if len(paths) > 1 or columns.value is not None or len(delimiter) != 1:
        return False
    if paths[0].suffix.lower() in scan.PARQUET:
        return False
    settings = read_description(paths[0])
    if "value" in settings:
        return False
    for _, header in file_rows(paths[0], delimiter):
        names = [name.strip() for name in header]
        return summary_columns(names, columns.group or settings.get("group")) is not None
    return False


def _noted(data: GroupedData, note: str) -> GroupedData:
    return replace(data, notes=(*data.notes, note))
