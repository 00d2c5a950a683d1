"""Counts in Dask frames: the same data as from memory, with the same checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from partialpool.data import GroupedData, from_proportions, from_rates
from partialpool.data.dask_frames import dask_statistics
from partialpool.errors import InputError

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")


@pytest.fixture(autouse=True)
def in_this_process():
    with dask.config.set(scheduler="synchronous"):
        yield


def frame(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    trials = rng.integers(0, 9, rows)
    return pd.DataFrame(
        {
            "g": [f"site {k}" for k in rng.integers(1, 40, rows)],
            "y": rng.binomial(trials, 0.3),
            "n": trials,
            "e": np.where(trials > 0, rng.uniform(0.5, 2, rows), 0),
            "hit": rng.integers(0, 2, rows),
        }
    )


def of(table: pd.DataFrame, **options: object) -> GroupedData:
    return dask_statistics(dd.from_pandas(table, npartitions=11), group="g", **options)


def test_counts_are_those_of_the_rows_in_memory() -> None:
    rows = frame()
    found = of(rows, successes="y", trials="n", name="sites", unit="of all")
    expected = from_proportions(rows["g"].tolist(), rows["y"], rows["n"])
    assert found.labels == expected.labels
    assert found.stats.summary().equals(expected.stats.summary())
    assert (found.name, found.unit, found.group_label) == ("sites", "of all", "g")
    assert found.value_label == "y / n"
    found = of(rows, count="y", exposure="e")
    expected = from_rates(rows["g"].tolist(), rows["y"], rows["e"])
    assert found.labels == expected.labels
    np.testing.assert_array_equal(found.stats.events, expected.stats.events)
    np.testing.assert_allclose(found.stats.exposure, expected.stats.exposure, rtol=1e-12)


def test_partitions_may_be_empty() -> None:
    rows = frame()
    parts = dd.from_pandas(rows, npartitions=11)
    some = parts[parts["g"] == "site 3"]
    found = dask_statistics(some, group="g", successes="y", trials="n")
    assert found.labels == ("site 3",)
    assert found.stats.trials.sum() == rows.loc[rows["g"] == "site 3", "n"].sum()
    with pytest.raises(InputError, match="there are no groups"):
        dask_statistics(parts[parts["g"] == "x"], group="g", successes="y", trials="n")


def test_without_a_second_column_each_row_is_one() -> None:
    rows = frame()
    found = of(rows, successes="hit")
    size = rows.groupby("g")["hit"].agg(["sum", "size"]).loc[list(found.labels)]
    np.testing.assert_array_equal(found.stats.successes, size["sum"])
    np.testing.assert_array_equal(found.stats.trials, size["size"])
    assert found.notes == ("each row is one trial",)
    assert found.value_label == "hit"
    found = of(rows, count="y")
    np.testing.assert_array_equal(found.stats.exposure, size["size"])
    assert "each row has an exposure of 1" in found.notes


def test_wrong_counts_are_refused_with_their_place() -> None:
    rows = frame()

    def refused(message: str, row: int, column: str, value: float, **options: object) -> None:
        changed = rows.astype({column: float})
        changed.loc[row, column] = value
        with pytest.raises(InputError, match=message):
            of(changed, **options)

    proportions, rates = {"successes": "y", "trials": "n"}, {"count": "y", "exposure": "e"}
    refused("data, partition 1: group .* 99 successes", 3, "y", 99, **proportions)
    refused("partition 11: the successes of group .* whole", 299, "y", 0.5, **proportions)
    refused("partition 1, row 1: the count of trials is nan", 0, "n", np.nan, **proportions)
    refused("partition 1: the exposure of group .* 0 or more", 0, "e", -1, **rates)
    refused("partition 1, row 4: the exposure is inf", 3, "e", np.inf, **rates)
    gaps = rows.astype({"n": float})
    gaps.loc[[0, 7], "n"] = np.nan
    found = of(gaps, **proportions, drop_missing=True)
    assert found.notes[0] == "2 rows without a count left out"
    kept = rows.drop([0, 7])
    assert len(found.labels) == kept["g"].nunique()
    assert int(found.stats.trials.sum()) == int(kept["n"].sum())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": "n"}, "name the column of successes"),
        ({"exposure": "e"}, "name the column of successes"),
        ({"successes": "y", "count": "y"}, "and not both"),
        ({"successes": "y", "value": "n"}, "or of something else, not both"),
        ({"successes": "x"}, "no column 'x'"),
    ],
)
def test_columns_that_do_not_go_together_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        of(frame(20), **options)
