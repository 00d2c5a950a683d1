"""Labels and numbers that are in memory already, checked as those of files are."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from partialpool.errors import InputError
from partialpool.types import FloatArray

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def label_texts(labels: Iterable[Any], *, what: str) -> tuple[list[str], tuple[str, ...]]:
    """Labels as text, and their order where they have one of their own.

    Parameters
    ----------
    labels
        One a value: text, numbers, dates, bytes of UTF-8; a pandas categorical keeps its order.
    what
        What messages call the values, "value" say, after the name of the data.

    Returns
    -------
    list of str, tuple of str
        The labels, and the categories in their order, empty where there are none.

    Raises
    ------
    InputError
        A label is missing, or they are no sequence.
    """
    if getattr(labels, "ndim", 1) != 1 or isinstance(labels, str | bytes):
        raise InputError(
            f"{what} 1: the groups are of type {type(labels).__name__}; give one label a value"
        )
    dtype = getattr(labels, "dtype", None)
    categories: tuple[str, ...] = ()
    if isinstance(dtype, pd.CategoricalDtype):
        categories = tuple(_label(each).strip() for each in dtype.categories)
    each = [None if label is np.ma.masked else label for label in labels]
    if not all(type(label) is str for label in each):
        for i, label in enumerate(each, start=1):
            if pd.api.types.is_scalar(label) and pd.isna(label):
                raise InputError(
                    f"{what} {i}: the group is missing ({label}); give every row a group"
                )
    try:
        texts = list(map(_label, each))
    except UnicodeDecodeError as error:
        raise InputError(f"{what}s: a group is bytes that are no UTF-8 ({error})") from None
    if each and all(isinstance(label, datetime.datetime) for label in each):
        midnight = " 00:00:00"
        if all(text.endswith(midnight) for text in texts):
            texts = [text.removesuffix(midnight) for text in texts]
            categories = tuple(text.removesuffix(midnight) for text in categories)
    return texts, categories


def _label(label: object) -> str:
    return bytes(label).decode() if isinstance(label, bytes) else str(label)


def as_numbers(values: Any, *, what: str, one: str) -> FloatArray:
    """Numbers in memory as doubles, NaN where one is missing or masked.

    Parameters
    ----------
    values
        A sequence, an array or a column of a frame.
    what, one
        What messages call them, several and one of them.

    Raises
    ------
    InputError
        Values of another kind: text, dates, complex numbers, a table.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise InputError(f"{what} are {type(values).__name__}; give a sequence of numbers")
    if getattr(values, "ndim", 1) != 1:
        raise InputError(f"{what} have shape {values.shape}; give one number a row, as a sequence")
    if _is_masked(values):
        if values.dtype.kind in "iufb":
            return np.ma.filled(values.astype(np.float64), math.nan)
        values = np.ma.filled(values.astype(object), None)
    if isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        kinds = pd.api.types
        if kinds.is_numeric_dtype(values.dtype) and not kinds.is_complex_dtype(values.dtype):
            return np.asarray(pd.Series(values).to_numpy(dtype=np.float64, na_value=math.nan))
        values = list(values)
    values = values if isinstance(values, np.ndarray) else list(values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{what} are no numbers ({error})") from None
    if array.ndim == 1 and array.dtype.kind not in "iufb":
        array = np.array([_number(value, f"{one} {i}") for i, value in enumerate(values, start=1)])
    if array.ndim != 1:
        raise InputError(f"{what} have shape {array.shape}; give one number a row, as a sequence")
    return array.astype(np.float64)


def _number(value: object, where: str) -> float:
    """One number, NaN where it is missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return math.nan
    if isinstance(value, str | bytes):
        raise InputError(f"{where} is the text {value!r}; a number is needed")
    if isinstance(value, _DATES):
        raise InputError(
            f"{where} is {value}, a date or a length of time; give a number, in a unit of your "
            "choice"
        )
    if isinstance(value, numbers.Real | Decimal | np.bool_):
        return float(value)
    raise InputError(f"{where} is {value!r}, of type {type(value).__name__}; a number is needed")


def _is_masked(values: object) -> bool:
    return isinstance(values, np.ma.MaskedArray)


def first_missing(numbers: Sequence[float] | FloatArray) -> int | None:
    """Position of the first number that is not finite, or None."""
    bad = np.flatnonzero(~np.isfinite(np.asarray(numbers)))
    return int(bad[0]) if len(bad) else None
