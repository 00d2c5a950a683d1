"""Labels and values in memory: the checks that files get, and no silent change of what they are."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from partialpool.data import from_estimates, from_values
from partialpool.errors import InputError


@pytest.mark.parametrize("missing", [None, math.nan, np.nan, pd.NaT, pd.NA, np.datetime64("NaT")])
def test_a_missing_label_is_no_group(missing: object) -> None:
    for labels in (["a", missing], np.array(["a", missing], dtype=object)):
        with pytest.raises(InputError, match="data, value 2: the group is missing"):
            from_values(labels, [1, 2])
        with pytest.raises(InputError, match="data, estimate 2: the group is missing"):
            from_estimates(labels, [1, 2], [1, 1])


def test_masked_values_and_labels_are_missing() -> None:
    with pytest.raises(InputError, match="value 2 is nan; outcomes must be finite"):
        from_values(["a", "b"], np.ma.masked_array([1, 2], [False, True]))
    with pytest.raises(InputError, match="value 1: the group is missing"):
        from_values(np.ma.masked_array(["a", "b"], [True, False]), [1, 2])
    with pytest.raises(InputError, match="the standard error of 'a' is nan"):
        from_estimates(["a", "b"], [1, 2], np.ma.masked_array([1.0, 2.0], [True, False]))
    whole = from_values(np.ma.masked_array(["a", "b"]), np.ma.masked_array([1, 2]))
    assert whole.y.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), "value 1 is 2020-01-01, a date"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "value 1 is 2020-01-01.*a date"),
        ([1, datetime.date(2020, 1, 2)], "value 2 is 2020-01-02, a date"),
        (np.array([1, 2], "m8[h]"), "value 1 is 1 hours, a date or a length of time"),
        (["1", "2"], "value 1 is the text '1'; a number is needed"),
        ([1, "x"], "value 2 is the text 'x'"),
        ([1, b"2"], "value 2 is the text b'2'"),
        (pd.Series(["1", "2"], dtype="category"), "value 1 is the text '1'"),
        ([1, 2j], r"value 1 is \(1\+0j\)|value 2 is 2j, of type complex"),
        (pd.DataFrame({"x": [1, 2]}), r"the values have shape \(2, 1\)"),
        ([[1, 2], [3, 4]], r"the values have shape \(2, 2\)"),
        ([[1], [2, 3]], "the values are no numbers"),
        ([1, [2]], "the values are no numbers"),
        ("12", "the values are str"),
        (3, "the values are int"),
        (pd.Series([1, None], dtype="Int64"), "value 2 is nan"),
        ([1, None], "value 2 is nan"),
    ],
)
def test_values_of_another_kind_are_refused(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_values(["a", "b"], values)


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        range(1, 3),
        np.array([1, 2], np.int8),
        pd.Series([1, 2], index=[5, 6]),
        pd.Series([1, 2], dtype="Int64"),
        pd.array([1.0, 2.0]),
        [Decimal(1), Fraction(2)],
        [True, 2],
        {1: "x", 2: "y"}.keys(),
        (number for number in (1, 2)),
    ],
)
def test_numbers_of_any_kind_are_taken(values: object) -> None:
    assert from_values(["a", "b"], values).y.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([b"a", "ä".encode()], ("a", "ä")),
        (np.array([b"a", b"b"]), ("a", "b")),
        ([1, 2], ("1", "2")),
        ([1.0, 2.5], ("1.0", "2.5")),
        (pd.to_datetime(["2020-02-01", "2020-01-01"]), ("2020-01-01", "2020-02-01")),
        (np.array(["2020-02-01", "2020-01-01"], "M8[D]"), ("2020-01-01", "2020-02-01")),
        ((label for label in "ab"), ("a", "b")),
        (pd.Categorical(["lo", "hi"], ["hi", "none", "lo"]), ("hi", "lo")),
        (pd.Series(["lo ", "hi"], dtype=pd.CategoricalDtype(["lo ", "hi"])), ("lo", "hi")),
        (pd.Categorical([10, 2], [10, 2]), ("10", "2")),
    ],
)
def test_labels_of_any_kind_are_taken(labels: object, expected: tuple[str, ...]) -> None:
    found = from_values(labels, [1, 2])
    assert found.labels == expected
    assert found.stats.n.tolist() == [1, 1]


def test_estimates_keep_the_order_of_a_categorical() -> None:
    found = from_estimates(pd.Categorical(["lo", "hi"], ["hi", "lo"]), [1, 2], [3, 4])
    assert found.labels == ("hi", "lo")
    assert found.y.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([b"\xff", b"b"], "a group is bytes that are no UTF-8"),
        (pd.DataFrame({"x": ["a", "b"]}), "the groups are of type DataFrame"),
        ("ab", "the groups are of type str"),
        (np.array([["a"], ["b"]]), "the groups are of type ndarray"),
    ],
)
def test_labels_of_another_kind_are_refused(labels: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_values(labels, [1, 2])
