"""Rows to predict: which groups they are of, and their covariates."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import partialpool as pp
from partialpool.data import GroupedData
from partialpool.data.covariates import explained
from partialpool.data.new_rows import read_new_rows
from partialpool.errors import InputError


@pytest.fixture(scope="module")
def bcg() -> GroupedData:
    return explained(pp.read(pp.example("bcg")), ["latitude"])


def written(folder: Path, text: str) -> Path:
    path = folder / "new.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_and_covariates_are_read(bcg: GroupedData, tmp_path: Path) -> None:
    path = written(tmp_path, "latitude,trial,other\n10,7,x\n,new,y\n50,,z\n")
    labels, covariates = read_new_rows(path, bcg)
    assert labels == ["7", "new", None]
    [(name, values)] = covariates.items()
    assert name == "latitude"
    assert values[0] == 10
    assert math.isnan(float(values[1]))
    assert values[2] == 50


def test_a_file_without_covariates_is_enough(bcg: GroupedData, tmp_path: Path) -> None:
    labels, covariates = read_new_rows(written(tmp_path, "trial\n3\n"), bcg)
    assert labels == ["3"]
    assert covariates == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("place\n3\n", "need the column of groups, 'trial'"),
        ("trial,latitude\n3,far\n", "line 2: latitude is 'far'; a number is needed"),
        ("trial\n", "at least one row is needed"),
    ],
)
def test_rows_that_cannot_be_predicted_are_named(
    bcg: GroupedData, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_new_rows(written(tmp_path, text), bcg)


def test_tables_are_read_as_files_are(bcg: GroupedData, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"trial": ["new", "7"], "latitude": [12.5, None]})
    frame.to_parquet(tmp_path / "new.parquet")
    labels, covariates = read_new_rows(tmp_path / "new.parquet", bcg)
    assert labels == ["new", "7"]
    assert covariates["latitude"][0] == 12.5
    assert math.isnan(float(covariates["latitude"][1]))
