"""Estimates with known standard errors: read from files of any kind, and refused in plain words."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from partialpool import data
from partialpool.data import dask_frames, examples
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError

LABELS = list("ABCDEFGH")
ESTIMATES = [28.0, 8, -3, 7, -1, 1, 18, 12]
ERRORS = [15.0, 10, 16, 11, 9, 11, 10, 18]
NAMED = Columns(group="school", estimate="y", se="se")


def write(folder: Path, text: str, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def frame(**more: object) -> pd.DataFrame:
    return pd.DataFrame({"school": LABELS, "y": ESTIMATES, "se": ERRORS, **more})


def assert_eight_schools(found: data.GroupedData) -> None:
    assert found.family.name == "known_errors"
    assert found.labels == tuple(LABELS)
    assert found.stats.estimate.tolist() == ESTIMATES
    assert found.stats.se.tolist() == ERRORS
    assert found.y.tolist() == ESTIMATES
    assert found.group.tolist() == list(range(8))


# --- the shipped example ------------------------------------------------------------------------


def test_the_example_is_rubins_data_with_gelmans_priors() -> None:
    found = read(data.example("eight_schools"))
    assert_eight_schools(found)
    assert (found.name, found.title) == ("eight_schools", "Coaching in eight schools")
    assert (found.group_label, found.axis_title) == ("School", "Effect of coaching (points)")
    assert found.priors.keys() == set(found.family.settings)
    assert [found.priors[name] for name in found.family.settings] == [0, 1000, 0, 50, 1, 25]
    assert found.notes == ()


def test_examples_are_known_by_name() -> None:
    for name in examples.EXAMPLES:
        assert data.example(name).is_file()
        assert examples.find(name) == data.example(name)
    assert data.example().stem == "homework"
    with pytest.raises(InputError, match=r"nearest name: 'eight_schools'"):
        data.example("eight_school")
    with pytest.raises(InputError, match=r"hamework: no such file.*nearest name: 'homework'"):
        examples.find("hamework")
    for other in ("hamework.csv", "./hamework", "ham*"):
        assert examples.find(other) == other


def test_a_file_is_no_misspelt_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "g,y\na,1\n", "homeworks")
    assert examples.find("homeworks") == "homeworks"


# --- from columns to estimates ------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_every_kind_of_file_gives_the_same(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"schools.{ending}"
    if ending == "parquet":
        frame(other=1).to_parquet(path)
    else:
        text = frame(other=1).to_csv(index=False).encode()
        path.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    found = read(path, columns=NAMED)
    assert_eight_schools(found)
    assert (found.name, found.group_label, found.value_label) == ("schools", "school", "y")


def test_files_of_a_pattern_are_one_data_set(tmp_path: Path) -> None:
    for k in range(3):
        frame()[3 * k : 3 * k + 3].to_csv(tmp_path / f"part-{k}.csv", index=False)
    assert_eight_schools(read(tmp_path / "part-*.csv", columns=NAMED))
    frame()[:1].to_csv(tmp_path / "part-9.csv", index=False)
    with pytest.raises(InputError, match="and 3 more: group 'A' has 2 estimates"):
        read(tmp_path / "part-*.csv", columns=NAMED)


def test_numbered_groups_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "g,estimate,se\n10,1,2\n9,3,4\n1,5,6\n")
    found = read(path)
    assert found.labels == ("1", "9", "10")
    assert (found.stats.estimate.tolist(), found.stats.se.tolist()) == ([5, 3, 1], [6, 4, 2])


@pytest.mark.parametrize(
    "header", ["school,estimate,se", "school,Estimate,SE", "group,estimate,std.error"]
)
def test_estimates_are_known_by_their_header(header: str, tmp_path: Path) -> None:
    text = header + "\n" + frame().to_csv(index=False).split("\n", 1)[1]
    assert_eight_schools(read(write(tmp_path, text)))
    frame().set_axis(header.split(","), axis=1).to_parquet(tmp_path / "some.parquet")
    assert_eight_schools(read(tmp_path / "some.parquet"))


def test_a_named_value_column_means_observations(tmp_path: Path) -> None:
    path = write(tmp_path, "group,estimate,se\na,1,2\na,3,4\nb,5,6\n")
    assert read(path, columns=Columns(group="group", value="se")).family.name == "normal"
    write(tmp_path, "value = 'estimate'\ngroup = 'group'\n", "some.toml")
    assert read(path).y.tolist() == [1, 3, 5]


def test_the_toml_file_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    frame(v=np.square(ERRORS), other=0).to_csv(path, index=False)
    write(tmp_path, "group = 'school'\nestimate = 'y'\nse = 'se'\nunit = 'points'\n", "some.toml")
    found = read(path)
    assert_eight_schools(found)
    assert found.axis_title == "y (points)"
    assert_eight_schools(read(path, columns=Columns(variance="v")))
    with pytest.raises(InputError, match="reads these"):
        data.read_csv(path)
    found = read(path, columns=Columns(group="school", value="other"))
    assert (found.family.name, found.y.sum()) == ("normal", 0)


def test_standard_errors_follow_from_variances(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    frame(v=np.square(ERRORS)).to_csv(path, index=False)
    found = read(path, columns=Columns(group="school", estimate="y", variance="v"))
    assert_eight_schools(found)
    assert found.notes == ("standard errors are the square roots of v",)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_standard_errors_follow_from_intervals(level: float, tmp_path: Path) -> None:
    reach = NormalDist().inv_cdf(0.5 + level / 2) * np.array(ERRORS)
    path = tmp_path / "some.csv"
    frame(lo=ESTIMATES - reach, hi=ESTIMATES + reach).to_csv(path, index=False)
    columns = Columns(group="school", estimate="y", ci=("lo", "hi"))
    found = read(path, columns=columns, level=level if level != 0.95 else None)
    np.testing.assert_allclose(found.stats.se, ERRORS, rtol=1e-14)
    assert len(found.notes) == 1
    assert f"lengths of the {100 * level:g} % intervals, hi - lo, over" in found.notes[0]
    assert found.reading["level"] == level
    told = f"group = 'school'\nestimate = 'y'\nci = ['lo', 'hi']\nlevel = {level}\n"
    write(tmp_path, told, "some.toml")
    np.testing.assert_array_equal(read(path).stats.se, found.stats.se)


def test_intervals_on_another_scale_are_pointed_out(tmp_path: Path) -> None:
    columns = Columns(estimate="ratio", ci=("low", "high"))
    path = write(tmp_path, "trial,ratio,low,high\na,1.5,0.9,2.5\nb,1.0,0.8,1.2\nc,0.5,0.2,1.2\n")
    note = read(path, columns=columns).notes[-1]
    assert note.startswith("2 of 3 intervals are not symmetric")
    assert "1.5 in (0.9, 2.5) of group 'a': of a ratio, give the logarithms" in note


@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
def test_rounding_does_not_make_an_interval_lopsided(decimals: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(decimals)
    estimate, se = rng.normal(0, 20, 200), rng.uniform(2, 15, 200)
    reach = 1.959963984540054 * se
    path = tmp_path / "some.csv"
    pd.DataFrame(
        {
            "g": np.arange(200),
            "estimate": estimate.round(decimals),
            "low": (estimate - reach).round(decimals),
            "high": (estimate + reach).round(decimals),
        }
    ).to_csv(path, index=False)
    found = read(path, columns=Columns(ci=("low", "high")))
    assert len(found.notes) == 1
    np.testing.assert_allclose(found.stats.se, se, atol=0.3 * 10.0**-decimals)


def test_estimates_are_kept_however_many(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    frame().to_csv(path, index=False)
    assert_eight_schools(read(path, columns=NAMED, most_observations=3))


@pytest.mark.parametrize("J", [1, 2])
def test_few_groups_are_read(J: int, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    frame()[:J].to_csv(path, index=False)
    found = read(path, columns=NAMED)
    assert (found.stats.J, found.stats.N) == (J, J)


def test_how_to_read_again_is_recorded(tmp_path: Path) -> None:
    frame(lo=np.subtract(ESTIMATES, ERRORS), hi=np.add(ESTIMATES, ERRORS)).to_csv(
        tmp_path / "some.csv", index=False
    )
    told = "group = 'school'\nestimate = 'y'\nci = ['lo', 'hi']\nlevel = 0.7\n"
    beside = write(tmp_path, told, "some.toml")
    first = read(tmp_path / "some.csv", drop_missing=True)
    beside.unlink()
    how = dict(first.reading)
    again = read(how.pop("files"), columns=Columns(**how.pop("columns")), **how)
    assert again.reading == first.reading
    np.testing.assert_array_equal(again.stats.se, first.stats.se)
    assert again.sha256 == first.sha256


# --- what is refused ----------------------------------------------------------------------------


GOOD = "g,estimate,se\na,1,2\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("b,3,0", r"line 3: se is '0'; a standard error above zero"),
        ("b,3,-1.5", r"line 3: se is '-1\.5'; a standard error above zero"),
        ("b,3,", r"line 3: se is ''; a finite number.*--drop-missing"),
        ("b,NA,1", r"line 3: estimate is 'NA'; a finite number.*--drop-missing"),
        ("b,3,x", r"line 3: se is 'x'; a finite number is needed$"),
        ("b,high,1", r"line 3: estimate is 'high'; a finite number is needed$"),
        ("b,inf,1", r"line 3: estimate is 'inf'"),
        ("b,1_0,1", r"line 3: estimate is '1_0'"),
        ('b,"1,5",1', r"line 3: estimate is '1,5'.*--decimal ','"),
        ("b,3", r"line 3: 2 fields where the header has 3"),
        ("b,3,4,5", r"line 3: 4 fields where the header has 3"),
        (",,", r"line 3: a row of empty fields"),
        (" ,3,4", r"line 3: the group is blank"),
        ("a ,3,4", r"line 3: groups 'a' and 'a ' differ only by blanks"),
        ("b\0,3,4", r"NUL byte at offset"),
        ('"b,3,4', r"check the quotes"),
        ("a,3,4", r"group 'a' has 2 estimates, and this model takes one a group; combine"),
        ("b,1e200,4", r"the squares of the numbers overflow \(group 'b'"),
        ("b,1,1e-200", r"the squares of the numbers overflow \(group 'b'"),
        ("b,3,0\nc,1,1\nd,x,1", r"line 3: se is '0'.*2 of 4 rows cannot be used: line 3, line 5$"),
    ],
)
def test_rows_that_are_no_estimates_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + rows + "\n")
    with pytest.raises(InputError, match=f"(?s){message}"):
        read(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,1,3,2", "the interval from '3' to '2' is reversed; --ci takes the column of lower"),
        ("b,2,2,2", "the interval from '2' to '2' has no length"),
        ("b,1,2,3", "the interval from '2' to '3' does not hold the estimate '1'"),
        ("b,4,2,3", "the interval from '2' to '3' does not hold the estimate '4'"),
        ("b,1,,3", "low is ''; a finite number"),
    ],
)
def test_intervals_that_are_none_are_refused(row: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"g,estimate,l,u\na,1,0,2\n{row}\n")
    with pytest.raises(InputError, match=f"line 3: {message}"):
        read(path, columns=Columns(ci=("l", "u")))


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_that_is_none_is_refused(level: float, tmp_path: Path) -> None:
    path = write(tmp_path, "g,estimate,l,u\na,1,0,2\n")
    with pytest.raises(InputError, match="it must lie between 0 and 1, such as 0.95") as caught:
        read(path, columns=Columns(ci=("l", "u")), level=level)
    assert ("for 95 % give 0.95" in str(caught.value)) == (level == 95)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"se": "s"}, "name their column with --estimate; the columns are 'g', 'x', 's'"),
        ({"estimate": "x"}, "estimates need their standard errors: name the column with --se"),
        ({"estimate": "x", "se": "t"}, "column 't' occurs 0 times"),
        ({"estimate": "x", "se": "x"}, "group, estimate and se must be 3 columns"),
        ({"estimate": "x", "se": "s", "variance": "v"}, "--se and variance both say how precise"),
        ({"estimate": "x", "se": "s", "ci": ("l", "u")}, "--se and ci both say how precise"),
        ({"variance": "s", "ci": ("l", "u")}, "--variance and ci both say how precise"),
        ({"value": "x", "estimate": "x"}, "--value names a column of observations and --estimate"),
        ({"n": "x", "se": "s"}, "--n names a column of summaries and --se one of estimates"),
    ],
)
def test_roles_that_do_not_go_together_are_refused(
    columns: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "g,x,s\na,1,2\n")
    with pytest.raises(InputError, match=message):
        read(path, columns=Columns(group="g", **columns))


def test_the_group_must_be_named_where_there_are_more_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "id,g,estimate,se\n1,a,1,2\n")
    with pytest.raises(InputError, match="name the group column with --group; the columns are"):
        read(path, columns=Columns(estimate="estimate"))


def test_a_level_needs_intervals(tmp_path: Path) -> None:
    for text in ("g,y\na,1\n", "g,estimate,se\na,1,2\n", "g,n,mean,sd\na,2,1,1\n"):
        with pytest.raises(InputError, match="intervals that --ci names"):
            read(write(tmp_path, text), level=0.9)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("estimate = 'y'\nse = 's'\nvariance = 'v'", "se and variance both say how precise"),
        ("estimate = 'y'\nvalue = 'y'", "value names a column of observations and .*estimate one"),
        ("ci = 'low'", "ci must be a list of two columns"),
        ("ci = ['low']", "ci must be a list of two columns"),
        ("ci = ['low', 3]", "ci must be a list of two columns"),
        ("level = '95'", "level must be a number"),
        ("level = true", "level must be a number"),
        ("estimate = 3", "estimate must be text"),
        ("estimate = 'y'\nse = 's'\nlevel = 0.9", "intervals that --ci names"),
    ],
)
def test_a_toml_file_that_contradicts_itself_is_refused(
    toml: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "g,y,s\na,1,2\n")
    write(tmp_path, toml, "some.toml")
    with pytest.raises(InputError, match=f"some.toml.*{message}|{message}"):
        read(path)


def test_bad_rows_of_parquet_are_named(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"

    def refused(message: str, **columns: object) -> None:
        frame(**columns).to_parquet(path)
        with pytest.raises(InputError, match=message):
            read(path, columns=NAMED)

    refused(r"row 2: se is '0\.0'; a standard error above zero", se=[1, 0.0, *ERRORS[2:]])
    refused(r"row 1: se is ''; a finite .*--drop-missing", se=[math.nan, *ERRORS[1:]])
    refused(r"row 1: se is ''; a finite .*--drop-missing", se=pd.array([None, *ERRORS[1:]]))
    refused(r"row 1: estimate is 'inf'; a finite", y=[math.inf, *ESTIMATES[1:]])
    refused(r"row 3: the group is blank", school=["A", "B", None, *LABELS[3:]])
    refused(r"row 3: groups 'A' and ' A' differ", school=["A", "B", " A", *LABELS[3:]])
    refused(r"group 'A' has 2 estimates", school=["A", "B", "A", *LABELS[3:]])
    refused(r"column 'se' holds BOOLEAN; numbers are needed", se=[True] * 8)
    frame()[:0].to_parquet(path)
    with pytest.raises(InputError, match="at least one row is needed"):
        read(path, columns=NAMED)
    path.write_bytes(b"no parquet at all")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(path, columns=NAMED)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file is empty"):
        read(write(tmp_path, ""), columns=NAMED)
    with pytest.raises(InputError, match="at least one row is needed"):
        read(write(tmp_path, "school,y,se\n"), columns=NAMED)
    with pytest.raises(InputError, match="add --delimiter ';'"):
        read(write(tmp_path, "school;y;se\na;1;2\n"), columns=NAMED)


def test_many_bad_rows_are_counted_and_ten_shown(tmp_path: Path) -> None:
    rows = "".join(f"g{k},1,{-1 if k >= 20_005 else 1}\n" for k in range(20_030))
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, "g,estimate,se\n" + rows))
    text = str(caught.value)
    assert "line 20007: se is '-1'" in text
    assert "25 of 20,030 rows cannot be used" in text
    assert text.count("line ") == 11
    assert text.endswith("line 20016 ...")


def test_missing_numbers_can_be_left_out(tmp_path: Path) -> None:
    rows = "g,estimate,se\na,1,2\nb,,3\nc,4,NA\n,,\n ,5,\nd,6,7\n"
    found = read(write(tmp_path, rows), drop_missing=True)
    assert found.labels == ("a", "d")
    assert found.notes == ("4 rows without estimate or se left out",)
    with pytest.raises(InputError, match=r"line 3: se is 'x'; a finite number is needed$"):
        read(write(tmp_path, "g,estimate,se\na,1,\nb,1,x\n"), drop_missing=True)
    with pytest.raises(InputError, match=r"line 3: estimate is 'x'"):
        read(write(tmp_path, "g,estimate,se\na,1,1\nb,x,\n"), drop_missing=True)
    with pytest.raises(InputError, match="every row lacks estimate or se"):
        read(write(tmp_path, "g,estimate,se\na,1,\nb,,1\n"), drop_missing=True)


def test_blanks_and_line_ends_are_repaired(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffg , estimate,se\r\n a,1,2\nb,3,4\r\n\n")
    found = read(path)
    assert found.labels == ("a", "b")
    assert found.stats.se.tolist() == [2, 4]
    assert "blanks around group labels removed in 1 rows" in found.notes


def test_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path, "g;estimate;se\na;1,5;0,25\nb;2;1\n")
    found = read(path, delimiter=";", decimal=",")
    assert found.stats.estimate.tolist() == [1.5, 2]
    assert found.stats.se.tolist() == [0.25, 1]
    with pytest.raises(InputError, match="add --delimiter ';'"):
        read(path, columns=NAMED, delimiter=",", decimal=",")


# --- values in memory ---------------------------------------------------------------------------


def test_estimates_in_memory_get_the_same_checks() -> None:
    found = data.from_estimates(LABELS, ESTIMATES, ERRORS, unit="points", name="schools")
    assert_eight_schools(found)
    assert (found.unit, found.name) == ("points", "schools")
    for labels, estimates, errors, message in (
        (["a", "b"], [1, 2], [1], "2 labels for standard errors of shape"),
        (["a", "b"], [1], [1, 2], "2 labels for estimates of shape"),
        ([], [], [], "there are no estimates"),
        (["a", "b"], [1, 2], [1, 0], "standard error of group 'b' is 0; it must be above zero"),
        (["a", "b"], [1, 2], [1, -1], "standard error of group 'b' is -1; it must be above zero"),
        (["a", "b"], [1, 2], [1, None], "the standard error of 'b' is nan; it must be a finite"),
        (["a", "b"], [1, math.inf], [1, 1], "the estimate of 'b' is inf; it must be a finite"),
        (["a", "b"], [1, "x"], [1, 1], "data, estimate 2 is the text 'x'; a number"),
        (["a", "b"], [1, 2], [1, "x"], "data, standard error 2 is the text 'x'"),
        (["a", "a"], [1, 2], [1, 1], "group 'a' has 2 estimates.*combine them"),
        (["a", " "], [1, 2], [1, 1], "estimate 2: the group is blank"),
        (["a", "a "], [1, 2], [1, 1], "estimate 2: groups 'a' and 'a ' differ only by blanks"),
    ):
        with pytest.raises(InputError, match=message):
            data.from_estimates(labels, estimates, errors)


def test_values_in_memory_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="data, value 2 is the text 'x'"):
        data.from_values(["a", "b"], [1, "x"])  # type: ignore[list-item]


# --- the command --------------------------------------------------------------------------------


def test_the_command_takes_the_roles_of_columns(run, tmp_path: Path) -> None:
    write(tmp_path, "g,x,l,u\na,1,0,2\nb,1,2,3\n", "trials.csv")
    code, _, err = run("fit", "trials.csv", "--estimate", "x", "--ci", "l", "u", "--level", "0.9")
    assert code == 2
    assert "trials.csv, line 3: the interval from '2' to '3' does not hold the estimate '1'" in err
    code, _, err = run("fit", "trials.csv", "--estimate", "x", "--ci", "l", "u", "--level", "9")
    assert "level 9: it must lie between 0 and 1, such as 0.95; for 9 % give 0.09" in err
    code, _, err = run("fit", "trials.csv", "--estimate", "x", "--value", "l")
    assert (code, "--value names a column of observations and --estimate" in err) == (2, True)
    code, _, err = run("fit", "eight_skools")
    assert (code, "(nearest name: 'eight_schools')" in err) == (2, True)


# --- on a cluster -------------------------------------------------------------------------------


def test_estimates_in_a_dask_frame_get_the_same_checks() -> None:
    dask = pytest.importorskip("dask")
    dask_frame = pytest.importorskip("dask.dataframe")
    names = {"group": "school", "estimate": "y", "se": "se"}

    def found(changed: pd.DataFrame, **options: object) -> data.GroupedData:
        return dask_frames.dask_statistics(
            dask_frame.from_pandas(changed, npartitions=3), **(names | options)
        )

    def refused(message: str, **columns: object) -> None:
        with pytest.raises(InputError, match=message):
            found(frame(**columns))

    with dask.config.set(scheduler="synchronous"):
        whole = found(frame(), name="schools", unit="points")
        assert_eight_schools(whole)
        assert (whole.name, whole.unit, whole.group_label) == ("schools", "points", "school")
        assert whole.value_label == "y"
        gaps = frame(se=[math.nan, *ERRORS[1:]], y=[*ESTIMATES[:7], math.nan])
        assert found(gaps, drop_missing=True).labels == tuple(LABELS[1:7])
        assert found(gaps, drop_missing=True).notes == (
            "2 rows without estimate or standard error left out",
        )
        refused("partition 1, row 1: the standard error is nan", se=[math.nan, *ERRORS[1:]])
        refused("partition 3, row 2: the estimate is inf", y=[*ESTIMATES[:7], math.inf])
        refused(
            "partition 2, row 1: the standard error is 0.0; it must be above",
            se=[1.0] * 3 + [0.0] + [1.0] * 4,
        )
        refused("partition 1, row 2: the group is blank", school=["A", " ", *LABELS[2:]])
        refused("group 'A' has 2 estimates", school=["A", *LABELS[1:7], "A"])
        refused("groups 'A' and 'A ' differ only by blanks", school=["A", *LABELS[1:7], "A "])
        for wrong in ({"value": "y"}, {"se": None}, {"estimate": None}):
            with pytest.raises(InputError, match="name the column of outcomes with value, or the"):
                found(frame(), **wrong)
        with pytest.raises(InputError, match="no column 'x'; the columns are 'school', 'y', 'se'"):
            found(frame(), se="x")
