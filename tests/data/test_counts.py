"""Reading successes of trials: counts, single trials, many rows, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from partialpool.data import GroupedData, reading
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError

NAMED = Columns(successes="hits", trials="at_bats")


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def counts(data: GroupedData) -> dict[str, tuple[int, int]]:
    columns = data.stats.columns
    pairs = zip(columns["successes"].tolist(), columns["trials"].tolist(), strict=True)
    return dict(zip(data.labels, pairs, strict=True))


def test_columns_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,0,4\n")
    data = read(path, columns=NAMED)
    assert data.family.name == "proportions"
    assert counts(data) == {"b": (3, 10), "a": (0, 4)}
    assert data.value_label == "hits / at_bats"
    assert data.reading["columns"] == {"group": "player", "successes": "hits", "trials": "at_bats"}


def test_columns_that_are_known_by_their_names(tmp_path: Path) -> None:
    path = write(tmp_path, "site,Successes,TRIALS\nx,3,10\ny,1,4\n")
    assert counts(read(path)) == {"x": (3, 10), "y": (1, 4)}


def test_one_trial_a_row(tmp_path: Path) -> None:
    path = write(tmp_path, "site,converted\nx,1\ny,0\nx,0\nx,1\n")
    data = read(path, columns=Columns(successes="converted"))
    assert counts(data) == {"x": (2, 3), "y": (0, 1)}
    assert "each row is one trial" in data.notes


def test_rows_of_a_group_are_added_up_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,0,4\nb,2,5\n")
    data = read(path, columns=NAMED)
    assert counts(data) == {"b": (5, 15), "a": (0, 4)}
    assert "3 rows are added up by group" in data.notes


def test_a_toml_file_names_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,0,4\n")
    write(tmp_path, 'successes = "hits"\ntrials = "at_bats"\n[priors]\nmu_alpha = 2\n', "data.toml")
    data = read(path)
    assert counts(data) == {"b": (3, 10), "a": (0, 4)}
    assert data.priors == {"mu_alpha": 2}


@pytest.mark.parametrize("single", [True, False])
def test_large_files_are_added_up_in_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"group": rng.integers(0, 40, 3000)})
    frame["trials"] = 1 if single else rng.integers(0, 9, 3000)
    frame["successes"] = rng.binomial(frame["trials"], 0.3)
    path = tmp_path / "many.parquet"
    frame.to_parquet(path)
    columns = Columns(successes="successes", trials=None if single else "trials")
    if single:
        frame.drop(columns="trials").to_parquet(path)
    small = read(path, columns=columns)
    monkeypatch.setattr(reading, "_LARGE_FILE", 0)
    large = read(path, columns=columns)
    assert counts(large) == counts(small)
    assert large.notes == small.notes
    summed = frame.groupby("group")[["successes", "trials"]].sum()
    assert counts(large) == {str(k): tuple(v) for k, v in summed.T.to_dict("list").items()}
    monkeypatch.setattr(reading, "read_table", None)
    assert counts(read(path, columns=columns)) == counts(small)  # without reading row by row


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 0.5])
@pytest.mark.parametrize("column", ["hits", "at_bats"])
def test_numbers_that_sums_would_hide_are_refused_in_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, bad: float
) -> None:
    monkeypatch.setattr(reading, "_LARGE_FILE", 0)
    frame = pd.DataFrame({"player": ["b", "a", "a"], "hits": [1.0, 0, 1], "at_bats": [1.0, 2, 1]})
    frame.to_parquet(tmp_path / "good.parquet")
    assert counts(read(tmp_path / "good.parquet", columns=NAMED)) == {"a": (1, 3), "b": (1, 1)}
    frame.loc[1, column] = bad
    frame.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="row 2"):
        read(tmp_path / "bad.parquet", columns=NAMED)
    if column == "hits":
        with pytest.raises(InputError, match="row 2"):
            read(tmp_path / "bad.parquet", columns=Columns(group="player", successes="hits"))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c,5,4", "line 4: there are 5 successes in 4 trials"),
        ("c,0.25,4", "line 4: successes is '0.25'; a whole number of 0 or more is needed"),
        ("c,-1,4", "line 4: successes is '-1'"),
        ("c,1,2.5", "line 4: trials is '2.5'"),
        ("c,1,", "line 4: trials is ''; a finite number is needed"),
        ("c,many,4", "line 4: successes is 'many'"),
        (",1,4", "line 4: the group is blank"),
    ],
)
def test_rows_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, said: str, large: bool
) -> None:
    monkeypatch.setattr(reading, "_LARGE_FILE", 0 if large else 10**9)
    path = write(tmp_path, f"player,hits,at_bats\nb,3,10\na,0,4\n{row}\n")
    with pytest.raises(InputError, match=said):
        read(path, columns=NAMED)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"successes": "hits"}, "where each row is one trial it is 0 or 1"),
        ({"trials": "at_bats"}, "trials need the successes among them"),
        ({"successes": "hits", "trials": "hits"}, "must be 3 columns"),
        ({"successes": "hits", "trials": "none"}, "column 'none' occurs 0 times"),
        ({"successes": "hits", "value": "at_bats"}, "a file holds one or the other"),
        ({"successes": "hits", "estimate": "at_bats"}, "a file holds one or the other"),
    ],
)
def test_columns_that_do_not_go_together(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,0,4\n")
    columns = {"group": "player", **columns}
    with pytest.raises(InputError, match=said):
        read(path, columns=Columns(**columns))


def test_missing_numbers_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,NA,4\nc,1,2\n")
    data = read(path, columns=NAMED, drop_missing=True)
    assert counts(data) == {"b": (3, 10), "c": (1, 2)}
    assert any("1 row without successes or trials left out" in note for note in data.notes)


def test_proportions_are_no_logarithms(tmp_path: Path) -> None:
    path = write(tmp_path, "player,hits,at_bats\nb,3,10\na,0,4\n")
    write(tmp_path, "exp = true\n", "data.toml")
    with pytest.raises(InputError, match="these data are counts; leave --exp out"):
        read(path, columns=NAMED)


# Rates


def test_events_and_their_exposure(tmp_path: Path) -> None:
    path = write(tmp_path, "pump,failures,hours\nb,3,10.5\na,0,4\nb,1,2\n")
    data = read(path, columns=Columns(count="failures", exposure="hours"))
    assert data.family.name == "rates"
    assert data.stats.columns["events"].tolist() == [4, 0]
    assert data.stats.columns["exposure"].tolist() == [12.5, 4]
    assert data.value_label == "failures / hours"
    assert "3 rows are added up by group" in data.notes


def test_an_exposure_of_one_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "pump,failures\nb,3\na,0\n")
    data = read(path, columns=Columns(count="failures"))
    assert data.stats.columns["exposure"].tolist() == [1, 1]
    assert "each row has an exposure of 1" in data.notes


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c,5,0", "line 4: there are 5 events in an exposure of 0"),
        ("c,0.25,4", "line 4: count is '0.25'; a whole number of 0 or more is needed"),
        ("c,-1,4", "line 4: count is '-1'"),
        ("c,1,-2", "line 4: exposure is '-2'; a number of 0 or more is needed"),
    ],
)
def test_rates_that_cannot_be(tmp_path: Path, row: str, said: str) -> None:
    path = write(tmp_path, f"pump,failures,hours\nb,3,10\na,0,4\n{row}\n")
    with pytest.raises(InputError, match=said):
        read(path, columns=Columns(count="failures", exposure="hours"))


def test_an_exposure_needs_its_events(tmp_path: Path) -> None:
    path = write(tmp_path, "pump,failures,hours\nb,3,10\n")
    with pytest.raises(InputError, match="an exposure needs the events counted in it"):
        read(path, columns=Columns(exposure="hours"))


@pytest.mark.parametrize("single", [False, True])
def test_rates_are_added_up_in_the_engine_as_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "site": rng.choice([f"s{j}" for j in range(40)], 900),
            "accidents": rng.poisson(1.2, 900),
            "days": rng.integers(1, 60, 900) / 4,
        }
    )
    path = tmp_path / "sites.parquet"
    frame.drop(columns=["days"] if single else []).to_parquet(path)
    named = {"exposure": None if single else "days"}
    columns = Columns(group="site", count="accidents", **named)
    small = read(path, columns=columns)
    monkeypatch.setattr(reading, "_LARGE_FILE", 0)
    monkeypatch.setattr(reading, "read_table", None)  # without reading row by row
    large = read(path, columns=columns)
    assert large.labels == small.labels
    assert large.notes == small.notes
    for name, column in small.stats.columns.items():
        assert large.stats.columns[name] == pytest.approx(column, rel=1e-12)
    assert large.stats.columns["events"].sum() == frame["accidents"].sum()


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        *(("accidents", value) for value in (math.nan, -1.0, 0.5)),
        *(("days", value) for value in (math.nan, math.inf, -1.0, 0.0)),
    ],
)
def test_rates_that_sums_would_hide_are_refused_in_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, bad: float
) -> None:
    monkeypatch.setattr(reading, "_LARGE_FILE", 0)
    frame = pd.DataFrame({"site": ["b", "a", "a"], "accidents": [1.0, 2, 0], "days": [1.0, 2, 0]})
    columns = Columns(group="site", count="accidents", exposure="days")
    frame.to_parquet(tmp_path / "good.parquet")
    assert read(tmp_path / "good.parquet", columns=columns).stats.columns["events"].tolist() == [
        2,
        1,
    ]
    frame.loc[1, column] = bad
    frame.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="row 2"):
        read(tmp_path / "bad.parquet", columns=columns)
