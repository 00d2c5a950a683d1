"""Covariates stay with their groups, whatever the data came from and in whatever order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from partialpool.api.frames import grouped
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError

COLUMNS = Columns(group="area", estimate="est", se="se")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "area": [f"area {j}" for j in rng.permutation(20)],
            "est": rng.normal(5, 2, 20),
            "se": rng.uniform(0.5, 2, 20),
            "x": rng.normal(100, 10, 20),
            "kind": rng.choice(["a", "b"], 20),
        }
    )


def aligned(data: GroupedData, frame: pd.DataFrame) -> bool:
    """Whether each group has its own values."""
    rows, found = frame.set_index("area"), data.stats.covariates
    assert found is not None
    assert found.names == ("x", "kind: b")
    return all(
        x == pytest.approx(rows["x"][label]) and is_b == (rows["kind"][label] == "b")
        for label, (x, is_b) in zip(data.labels, found.values, strict=True)
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("order", [None, "data", "label", "mean", "size"])
def test_files_in_any_order(
    frame: pd.DataFrame, tmp_path: Path, ending: str, order: str | None
) -> None:
    path = tmp_path / f"areas.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    data = explained(read(path, columns=COLUMNS, order=order), ["x", "kind"])
    assert aligned(data, frame)
    assert data.reading["by"] == ["x", "kind"]
    assert aligned(data.in_order("mean"), frame)


def test_frames_of_any_kind(frame: pd.DataFrame) -> None:
    names, categories = ["x", "kind"], sorted(frame["area"], reverse=True)
    sources = [
        frame,
        frame.to_dict("list"),
        frame.assign(area=pd.Categorical(frame["area"], categories=categories)),
    ]
    for source in sources:
        assert aligned(explained(grouped(source, COLUMNS, further=names), names), frame)
    variance = frame.assign(v=frame["se"] ** 2)
    columns = Columns(group="area", estimate="est", variance="v")
    data = explained(grouped(variance, columns, further=names), names)
    assert aligned(data, frame)
    se = [frame.set_index("area")["se"][label] for label in data.labels]
    assert data.stats.raw_se == pytest.approx(se)
    with pytest.raises(InputError, match="there is no column 'z'"):
        grouped(frame, COLUMNS, further=["z"])


def test_numbers_are_read_as_those_of_the_data(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    data = explained(read(path, columns=COLUMNS, delimiter=";", decimal=","), ["x", "kind"])
    assert aligned(data, frame)


@pytest.mark.parametrize("code", ["", "NA", "-999"])
def test_a_missing_covariate_is_named(frame: pd.DataFrame, tmp_path: Path, code: str) -> None:
    path = tmp_path / "areas.csv"
    text = frame.assign(x=frame["x"].map(str))
    text.loc[3, "x"] = code
    text.to_csv(path, index=False)
    data = read(path, columns=COLUMNS, missing=["-999"])
    with pytest.raises(InputError, match=f"covariate 'x' of group '{frame['area'][3]}' is missing"):
        explained(data, ["x"])


def test_rows_that_are_left_out_do_not_need_a_covariate(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "areas.csv"
    gap = frame.copy()
    gap.loc[5, ["est", "x"]] = np.nan
    gap.to_csv(path, index=False)
    data = explained(read(path, columns=COLUMNS, drop_missing=True), ["x", "kind"])
    assert data.stats.J == 19
    assert aligned(data, frame)


def test_a_file_that_has_changed_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    frame.to_csv(path, index=False)
    data = read(path, columns=COLUMNS)
    frame.iloc[:12].to_csv(path, index=False)
    with pytest.raises(InputError, match="not those that were read before"):
        explained(data, ["x"])
