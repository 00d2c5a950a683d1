"""Reading grouped data: what is accepted, what is refused and in what words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from partialpool.data import from_values, read_csv
from partialpool.data.reading import read
from partialpool.data.scan import scan_statistics
from partialpool.errors import InputError

PUBLISHED = {
    "1": (25, 9.464, 3.885),
    "2": (23, 7.033, 4.485),
    "3": (20, 7.953, 3.782),
    "4": (24, 6.232, 4.102),
    "5": (9, 12.001, 5.073),
    "6": (22, 6.205, 3.272),
    "7": (22, 6.133, 3.709),
    "8": (20, 7.381, 3.076),
}


def write(folder: Path, content: str | bytes, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_homework_reproduces_the_published_table(homework):
    found = {
        row.group: (row.n, round(row.mean, 3), round(row.sd, 3))
        for row in homework.summary().itertuples()
    }
    assert found == PUBLISHED
    assert homework.stats.N == 165
    assert homework.unit == "hours a week"
    assert homework.priors["mu_location"] == 20
    assert homework.notes == ()


def test_stats_agree_with_plain_numpy(homework):
    for j, label in enumerate(homework.labels):
        values = homework.y[homework.group == j]
        assert homework.stats.mean[j] == pytest.approx(values.mean(), rel=1e-14), label
        assert homework.stats.ss[j] == pytest.approx(((values - values.mean()) ** 2).sum())
    assert homework.stats.grand_mean == pytest.approx(homework.y.mean(), rel=1e-14)
    assert homework.stats.total_sd == pytest.approx(homework.y.std(ddof=1), rel=1e-13)


def test_a_huge_offset_costs_no_digits():
    values = np.array([1.0, 2.0, 4.0, 7.0, 11.0, 16.0])
    labels = ["a", "a", "a", "b", "b", "b"]
    near = from_values(labels, values)
    far = from_values(labels, values + 2.0**49)
    np.testing.assert_array_equal(far.stats.ss, near.stats.ss)
    np.testing.assert_array_equal(far.stats.mean - 2.0**49, np.round(near.stats.mean * 8) / 8)
    assert far.stats.total_sd == pytest.approx(near.stats.total_sd, rel=0.01)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfg,y\na,1\nb,2\n",
        b"g,y\r\na,1\r\nb,2\r\n",
        b'"g","y"\n"a","1"\n"b","2"\n',
        b"g,y\na,1\nb,2\n\n\n",
        b"g,y\na,1\nb,2",
        b"g , y \na, 1\nb,2 \n",
    ],
    ids=["byte-order mark", "CRLF", "quoted", "blank last lines", "no last newline", "blanks"],
)
def test_harmless_variants_read_alike(tmp_path, content):
    read = read_csv(write(tmp_path, content))
    assert read.labels == ("a", "b")
    assert read.y.tolist() == [1.0, 2.0]
    assert read.group_label == "g"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("g,y\n", "a header and no row"),
        (b"g,y\na,\xff1\n", "not UTF-8 at byte offset 6"),
        (b"g,y\na,1\x00\n", "NUL byte at offset 7"),
        ("g;y\na;1\n", "--delimiter ';'"),
        ("g\ty\na\t1\n", "--delimiter"),
        ("g,y\na,1,5\nb,2,5\n", r"line 2: 3 fields.*decimal commas"),
        ("g,y\na\n", "line 2: 1 fields where the header has 2"),
        ("g,y,y\na,1,2\n", "column 'y' occurs twice"),
        ("g,y\na,x\n", "line 2: 'x'"),
        ("g,y\na,nan\n", "line 2: 'nan'.*--drop-missing"),
        ("g,y\na,inf\n", "line 2: 'inf'"),
        ("g,y\na,1e999\n", "line 2: '1e999'"),
        ("g,y\na,1_000\n", "line 2: '1_000'"),
        ('g,y\na,"1,234.5"\n', r"line 2: '1,234\.5'"),
        ('g,y\na,"1,5"\n', "--decimal ','"),
        ("g,y\na,\n", "line 2: ''"),
        ("g,y\n,1\n", "line 2: the group is blank"),
        ("g,y\na,1\na ,2\n", "line 3: groups 'a' and 'a ' differ only by blanks"),
        ("g,y\na,1e200\n", "squares of the values overflow"),
        ('g,y\n"a,1\n', "check the quotes"),
        ("g,y\na,1\n,\n", "line 3: a row of empty fields"),
    ],
)
def test_refusals_name_the_place(tmp_path, content, message):
    with pytest.raises(InputError, match=f"(?s){message}"):
        read_csv(write(tmp_path, content))


def test_columns_must_be_named_where_there_are_more(tmp_path):
    path = write(tmp_path, "id,g,y\n1,a,2\n2,b,3\n")
    with pytest.raises(InputError, match="--group; the columns are 'id', 'g', 'y'"):
        read_csv(path)
    with pytest.raises(InputError, match="no column 'Y'; the columns are"):
        read_csv(path, group="g", value="Y")
    with pytest.raises(InputError, match="cannot be both"):
        read_csv(path, group="g", value="g")
    assert read_csv(path, group="g", value="y").y.tolist() == [2.0, 3.0]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="this is a folder"):
        read_csv(tmp_path)


def test_many_bad_values_are_counted_and_ten_shown(tmp_path):
    path = write(tmp_path, "g,y\n" + "a,1\n" + "a,bad\n" * 25)
    with pytest.raises(InputError) as caught:
        read_csv(path)
    text = str(caught.value)
    assert "25 of 26 values" in text
    assert text.count("'bad'") == 10
    assert "and 15 more" in text


def test_missing_outcomes_can_be_left_out(tmp_path):
    read = read_csv(write(tmp_path, "g,y\na,1\na,NA\nb,\nb,4\n"), drop_missing=True)
    assert read.y.tolist() == [1.0, 4.0]
    assert read.notes == ("2 rows without an outcome left out",)
    with pytest.raises(InputError, match="'bad'"):
        read_csv(write(tmp_path, "g,y\na,1\na,NA\nb,bad\n"), drop_missing=True)
    with pytest.raises(InputError, match="every value of 'y' is missing"):
        read_csv(write(tmp_path, "g,y\na,NA\n"), drop_missing=True)


def test_labels_stay_text(tmp_path):
    read = read_csv(write(tmp_path, "g,y\nNA,1\nNone,2\n001,3\n1,4\n"))
    assert read.labels == ("NA", "None", "001", "1")


def test_numbered_groups_come_in_order_of_their_numbers(tmp_path):
    read = read_csv(write(tmp_path, "g,y\n10,1\n9,2\n10,3\n1,4\n"))
    assert read.labels == ("1", "9", "10")
    assert read.stats.n.tolist() == [1, 1, 2]
    assert read.stats.mean.tolist() == [4.0, 2.0, 2.0]


def test_decimal_commas_and_semicolons(tmp_path):
    read = read_csv(write(tmp_path, "g;y\na;1,5\nb;-2\n"), delimiter=";", decimal=",")
    assert read.y.tolist() == [1.5, -2.0]
    quoted = read_csv(write(tmp_path, 'g,y\na,"1,5"\nb,-2\n'), delimiter=",", decimal=",")
    assert quoted.y.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("group = 3", "group must be a column"),
        ("grupo = 'g'", "unknown key 'grupo'"),
        ("decimal = 3", "decimal must be text"),
        ("wide = 'yes'", "wide must be true or false"),
        ("thousands = 'x'", "thousands 'x': it must be one of"),
        ("group = ", "not valid TOML"),
        ("[priors]\nmu_scale = 'big'", "prior mu_scale must be a number"),
        ("[priors]\nmu_scale = inf", "must be finite"),
        ("priors = 3", "must be a table"),
    ],
)
def test_settings_beside_the_file_are_checked(tmp_path, toml, message):
    path = write(tmp_path, "g,y\na,1\n")
    write(tmp_path, toml, "some.toml")
    with pytest.raises(InputError, match=message):
        read_csv(path)


def test_settings_beside_the_file_say_how_it_is_read(tmp_path):
    path = write(tmp_path, "g;y\nb;1.200,5\na;900\n".encode("utf-16-le"))
    toml = "delimiter = ';'\ndecimal = ','\nthousands = '.'\nencoding = 'utf-16-le'\norder = 'mean'"
    write(tmp_path, toml, "some.toml")
    for reader in (read_csv, read, scan_statistics):
        assert sorted(reader(path).stats.mean) == [900, 1200.5]
    assert read(path).labels == ("b", "a")
    write(tmp_path, "g;y\nb;2\na;1.5\n".encode("cp1252"))
    with pytest.raises(InputError, match="line 3: '1.5'"):
        read(path, encoding="utf-8")
    assert read(path, encoding="utf-8", decimal=".", thousands=",").y.tolist() == [2, 1.5]
    write(tmp_path, "wide = true\ngroup = 'g'", "some.toml")
    assert read(write(tmp_path, "g,1,2\na,3,4\n")).y.tolist() == [3, 4]


def test_settings_beside_the_file_are_used(tmp_path):
    path = write(tmp_path, "id,g,y\n1,a,2\n2,b,3\n")
    write(tmp_path, "group='g'\nvalue='y'\nunit='cm'\nvalue_label='Height'", "some.toml")
    read = read_csv(path)
    assert read.axis_title == "Height (cm)"
    assert read.priors == {}


def test_values_in_memory_get_the_same_checks():
    with pytest.raises(InputError, match="2 labels for values of shape"):
        from_values(["a", "b"], [1.0])
    with pytest.raises(InputError, match="no observations"):
        from_values([], [])
    with pytest.raises(InputError, match="value 2 is nan"):
        from_values(["a", "b"], [1.0, math.nan])
    with pytest.raises(InputError, match="group is blank"):
        from_values(["a", " "], [1.0, 2.0])


def test_a_single_value_has_no_sd():
    summary = from_values(["a", "b", "b"], [1.0, 2.0, 3.0]).summary()
    assert math.isnan(summary["sd"][0])
    assert summary["sd"][1] == pytest.approx(math.sqrt(0.5))


def test_outcomes_of_0_and_1_are_said_to_be_proportions(tmp_path):
    (tmp_path / "x.csv").write_text("g,y\na,0\na,1\nb,1\nb,1\nb,0\n")
    found = read_csv(tmp_path / "x.csv")
    [note] = found.notes
    assert "the means of groups are proportions" in note
    assert found.without_observations().notes == (note,)
    for values in ([0.0, 1.0, 2.0, 1.0], [0.5, 0.5, 1.0, 0.0], [-1.0, 1.0, 0.0, 1.0]):
        assert from_values(["a", "a", "b", "b"], values).notes == ()
