"""Frames of one row a group: the checks of values in memory, and the order of a categorical."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

from partialpool.api.frames import grouped
from partialpool.data.reading import Columns
from partialpool.errors import InputError

SUMMARIES = Columns(group="g", n="n", mean="m", sd="s")
ROWS = {"g": ["lo", "hi"], "n": [3, 4], "m": [1.0, 2.0], "s": [0.5, 0.7]}


def test_summaries_keep_the_order_of_a_categorical() -> None:
    labels = pd.Categorical(ROWS["g"], categories=["hi", "mid", "lo"])
    found = grouped({**ROWS, "g": labels}, SUMMARIES)
    assert found.labels == ("hi", "lo")
    assert found.stats.mean.tolist() == [2, 1]


def test_labels_that_are_bytes_are_text() -> None:
    assert grouped({**ROWS, "g": [b"lo", b"hi"]}, SUMMARIES).labels == ("lo", "hi")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"g": ["lo", None]}, r"row 2: the group is missing \(None\)"),
        ({"m": ["1", 2]}, "'m' of row 1 is the text '1'; a number is needed"),
        ({"m": [1, datetime.date(2020, 1, 1)]}, "'m' of row 2 is 2020-01-01, a date"),
        ({"m": [[1], [2]]}, r"'m' have shape \(2, 1\)"),
        ({"m": [1, None]}, "mean is ''; a finite number is needed"),
    ],
)
def test_what_is_no_label_or_number_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grouped({**ROWS, **changed}, SUMMARIES)


def test_means_of_a_frame_are_never_asked_about() -> None:
    means = [900, 1.2, 950]
    found = grouped({"g": list("abc"), "n": [5] * 3, "m": means, "s": [1] * 3}, SUMMARIES)
    assert found.stats.mean.tolist() == means
