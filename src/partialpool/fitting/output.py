"""The files of a chain -> its draws.

CmdStanPy scans each CSV file twice, line by line, before it reads it. With small models that takes
longer than the sampling, so files are read here, once, by pandas' parser; or, where the program
could write them so, draws are read as the doubles that they are.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cmdstanpy.utils.stancsv import munge_varname

from partialpool.types import FloatArray

_NAMES = re.compile(rb"^[^#\n].*\n", re.MULTILINE)
_FIRST_DRAW = re.compile(rb"^[^#\n]", re.MULTILINE)
_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
_EXACT: dict[str, Any] = {"float_precision": "round_trip"} if _PANDAS < (3, 1) else {}
"""What makes pandas' parser give the nearest double; from 3.1 on it always does."""
_SECONDS = re.compile(rb"([\d.e+-]+) seconds \((Warm-up|Sampling)\)")


@dataclass(frozen=True)
class ChainOutput:
    """What one chain wrote.

    Attributes
    ----------
    columns
        Names of the columns as CmdStanPy has them: `mu`, `theta[1]`, `L[2,1]`, `pair.1`, `z[real]`.
    draws
        Shape (draw, column); the doubles that Stan had, to the last bit.
    seconds
        Time of `warmup` and `sampling`, as the chain measured it.
    """

    columns: tuple[str, ...]
    draws: FloatArray
    seconds: dict[str, float]


def read_chain(path: str | Path, *, draws: int, doubles: Path | None = None) -> ChainOutput:
    """Read what a chain wrote that was to write `draws` draws after its warmup.

    Parameters
    ----------
    path
        Its CSV file.
    draws
        How many rows there should be.
    doubles
        The file of its `draws_file`, which has the rows then.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        A file is not whole: rows, fields or the closing lines are missing.
    """
    text = Path(path).read_bytes()
    names = _NAMES.search(text)
    if names is None:
        raise ValueError("it has no line with the names of columns")
    columns = tuple(munge_varname(name) for name in names[0].decode().strip().split(","))
    if doubles is None:
        values, end = _rows(text, names.end(), draws, len(columns))
    else:
        values, end = _doubles(doubles, draws, len(columns)), names.end()
    seconds = {what.decode(): float(value) for value, what in _SECONDS.findall(text, end)}
    if len(seconds) != 2:
        raise ValueError("the lines that end it are missing")
    return ChainOutput(
        columns, values, {"warmup": seconds["Warm-up"], "sampling": seconds["Sampling"]}
    )


def _doubles(path: Path, draws: int, columns: int) -> FloatArray:
    """Read rows of doubles."""
    values = np.fromfile(path)
    if values.size != draws * columns:
        raise ValueError(
            f"{values.size} numbers, where {draws} draws of {columns} columns were asked for"
        )
    return values.reshape(draws, columns)


def _rows(text: bytes, begin: int, draws: int, columns: int) -> tuple[FloatArray, int]:
    """Read the rows of a CSV file, the first of which comes after `begin`, and say where they end.

    Any number of comments may stand before them.
    """
    first = _FIRST_DRAW.search(text, begin)
    begin = first.start() if first else len(text)
    end = _end_of_rows(text, begin)
    rows, fields = text.count(b"\n", begin, end), text.count(b",", begin, end)
    if rows != draws or fields != rows * (columns - 1):
        raise ValueError(
            f"{rows} rows and {rows + fields} numbers, where {draws} draws of {columns} "
            "columns were asked for"
        )
    return _parsed(text[begin:end]), end


def _end_of_rows(text: bytes, begin: int) -> int:
    """Go back over the lines at the end that are comments: the times."""
    end = len(text)
    while (line := text.rfind(b"\n", begin, end - 1) + 1) and text.startswith(b"#", line):
        end = line
    return max(begin, end)


def _parsed(rows: bytes) -> FloatArray:
    """Parse rows of numbers of equal length; `nan`, `inf` and `-inf` are numbers too."""
    frame = pd.read_csv(io.BytesIO(rows), header=None, dtype=np.float64, **_EXACT)
    return np.ascontiguousarray(frame.to_numpy())
