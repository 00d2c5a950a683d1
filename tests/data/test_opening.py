"""Files of every kind: read, or named as what they are with what to do."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partialpool import data
from partialpool.data import pipes, reading
from partialpool.data.columns import read_columns
from partialpool.data.files import expand
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError

ROWS = "school,hours,pupil\nä,1.5,p\nb,2,q\nä,4,r\n"
NAMED = Columns(group="school", value="hours")


def zipped(content: bytes, *names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return target.getvalue()


PACKED = {
    "rows.csv": bytes,
    "rows.csv.gz": gzip.compress,
    "rows.csv.bz2": bz2.compress,
    "rows.xz": lzma.compress,
    "rows.zip": lambda content: zipped(content, "inside/rows.csv", "__MACOSX/._rows.csv"),
    "packed.csv": gzip.compress,
}


def assert_rows(found: data.GroupedData) -> None:
    assert found.labels == ("ä", "b")
    assert found.y.tolist() == [1.5, 2, 4]
    assert found.group.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(PACKED[name](ROWS.encode()))
    found = read(tmp_path / name, columns=NAMED)
    assert_rows(found)
    assert found.name in ("rows", "packed")
    assert read_columns(found, ["pupil"]) == {"pupil": ["p", "q", "r"]}
    statistics = read(tmp_path / name, columns=NAMED, most_observations=1).stats
    assert dict(zip(statistics.labels, statistics.mean, strict=True)) == {"ä": 2.75, "b": 2}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "latin-1", "utf-8-sig"])
@pytest.mark.parametrize("large", [False, True])
def test_other_encodings_are_read(
    encoding: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(reading, "_LARGE_FILE", 1)
    path = tmp_path / "rows.csv"
    path.write_bytes(ROWS.encode(encoding))
    assert_rows(read(path, columns=NAMED, encoding=encoding))
    if encoding in ("utf-16", "utf-8-sig"):
        assert_rows(read(path, columns=NAMED))
    else:
        with pytest.raises(InputError, match="--encoding (cp1252|utf-16-le)"):
            read(path, columns=NAMED)


def test_text_that_is_not_in_the_encoding_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"g,y\na,1\n\x81,2\n")
    with pytest.raises(InputError, match="not CP1252 at byte offset 8; is it in another encoding"):
        read(path, encoding="cp1252")
    path.write_bytes("g,y\na,1\n".encode("utf-16")[:-1])
    with pytest.raises(InputError, match="not UTF-16 at byte offset"):
        read(path)


@pytest.mark.parametrize("typed", [True, False])
def test_workbooks_are_read(typed: bool, tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    frame = pd.DataFrame(
        {"school": ["ä", "b", "ä"], "hours": [1.5, 2, 4], "on": [True, False, True]}
    )
    if not typed:
        frame["hours"] = ["1,5", "2", "4"]
    with pd.ExcelWriter(path) as book:
        frame.to_excel(book, sheet_name="A & B", index=False)
        frame.head(1).to_excel(book, sheet_name="other", index=False)
    found = read(path, columns=NAMED, decimal=None if typed else ",")
    assert_rows(found)
    assert found.notes[0] == "of book.xlsx the sheet 'A & B' was read; --sheet reads 'other'"
    assert read_columns(found, ["on"]) == {"on": ["TRUE", "FALSE", "TRUE"]}
    assert read(path, columns=NAMED, sheet="other", decimal=",").stats.N == 1
    assert read(path, columns=NAMED, most_observations=1, decimal=",").stats.N == 3
    with pytest.raises(InputError, match="no sheet 'C'; there are 'A & B', 'other'"):
        read(path, columns=NAMED, sheet="C")
    with pytest.raises(InputError, match=r"line 1|columns are 'school', 'hours', 'on'"):
        read(path)


def test_workbooks_may_have_blank_rows_at_their_end_and_none_between(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    frame = pd.DataFrame({"g": ["a", "b", None, " "], "y": [1, 2, None, None]})
    frame.to_excel(path, index=False)
    with pytest.raises(InputError, match="line 4: a row of empty fields"):
        read(path)
    frame.head(3).to_excel(path, index=False)
    assert read(path).y.tolist() == [1, 2]
    pd.DataFrame({"g": ["a", None, "b"], "y": [1, None, 2]}).to_excel(path, index=False)
    with pytest.raises(InputError, match="line 3: a row of empty fields"):
        read(path)


def test_a_workbook_without_its_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"g": ["a"], "y": [1]}).to_excel(tmp_path / "book.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"an Excel workbook; .* pip install openpyxl"):
        read(tmp_path / "book.xlsx")


def test_feather_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.feather"
    pd.read_csv(io.StringIO(ROWS)).to_feather(path)
    found = read(path, columns=NAMED)
    assert_rows(found)
    assert read_columns(found, ["pupil"]) == {"pupil": ["p", "q", "r"]}
    pd.DataFrame({"g": ["a", "b"], "estimate": [1.0, 2], "se": [1.0, 0]}).to_feather(path)
    with pytest.raises(InputError, match=r"rows\.feather, row 2: se is '0\.0'"):
        read(path)
    path.write_bytes(b"ARROW1 and no more")
    with pytest.raises(InputError, match="cannot be read as Feather"):
        read(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="this is a Feather file; .* pip install pyarrow"):
        read(path)


def test_parquet_is_known_by_what_it_holds(tmp_path: Path) -> None:
    pd.read_csv(io.StringIO(ROWS)).to_parquet(tmp_path / "rows.data")
    assert_rows(read(tmp_path / "rows.data", columns=NAMED))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.xls", b"\xd0\xcf\x11\xe0....", "an Excel workbook of before 2007; save it as .xlsx"),
        ("x.xlsx", b"g,y\na,1\n", "cannot be read as an Excel workbook"),
        ("x.ods", zipped(b"application/vnd.oasis.opendocument", "mimetype"), "an OpenDocument"),
        ("x.zip", zipped(b"g,y\n", "a.csv", "b.csv"), "a ZIP archive of 2 files; unpack it"),
        ("x.zip", b"PK\x03\x04 and no more", "not compressed as its name says"),
        ("x.csv.bz2", b"g,y\na,1\n", "not compressed as its name says|Invalid data stream"),
        ("x.csv.xz", lzma.compress(ROWS.encode())[:-20], "not compressed as its name says"),
        ("x.csv.zst", b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it with unzstd"),
        ("x.csv", b"\xef\xbb\xbf<!DOCTYPE html>\n<html>", "an HTML page; what was downloaded"),
        ("x.csv", b"%PDF-1.4", "a PDF document; copy its table"),
        ("x.sav", b"$FL2", "an SPSS file; export its table as CSV"),
        ("x.json", b"{}", "a JSON file; export its table as CSV"),
    ],
)
def test_other_files_are_named_as_what_they_are(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def _made(kind: str) -> bytes:
    """A file of the kind, as bytes."""
    if kind not in ("xlsx", "parquet", "feather"):
        return PACKED.get(kind, bytes)(ROWS.encode())
    target, frame = io.BytesIO(), pd.read_csv(io.StringIO(ROWS))
    if kind == "xlsx":
        frame.to_excel(target, index=False)
    else:
        getattr(frame, f"to_{kind}")(target)
    return target.getvalue()


KINDS = {kind: _made(kind) for kind in (*PACKED, "xlsx", "parquet", "feather")}


@given(
    kind=st.sampled_from([*KINDS]),
    ending=st.sampled_from(["", ".csv", ".gz", ".xlsx", ".zip", ".parquet", ".feather"]),
    changes=st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 1 << 14),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_damage_to_a_file_of_any_kind_ends_in_a_crash(
    tmp_path: Path, kind: str, ending: str, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(KINDS[kind])
    for at, value in changes:
        content[at % len(content)] = value
    path = tmp_path / f"some{ending}"
    path.write_bytes(content[: cut or None] if cut < len(content) // 2 else content)
    with contextlib.suppress(InputError):
        read(path, columns=NAMED)


@pytest.mark.parametrize("name", ["https://example.org/a.csv", "s3://bucket/part-*.parquet"])
def test_an_address_is_refused_as_such(name: str) -> None:
    with pytest.raises(InputError, match="this is an address, and files are read from this"):
        read(name)
    with pytest.raises(InputError, match="this is an address"):
        expand(Path(name))


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(ROWS)
    other = tmp_path / "b.csv"
    other.symlink_to(path)
    for files in ([path, path], [path, tmp_path / "*.csv"], [path, other]):
        with pytest.raises(InputError, match="this file is named twice.*would count twice"):
            expand(files)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"fold\*: no such file"):
        expand(tmp_path / "fold*")


# --- what Excel writes ----------------------------------------------------------------------------


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nschool;hours\nä;1.5\nb;2\nä;4\n",
        '"sep=;"\r\nschool;hours\r\nä;1.5\r\nb;2\r\nä;4\r\n',
        "school;hours;;\nä;1.5;;\nb;2;;\nä;4;;\n",
        "school;hours\nä;1.5;\nb;2\nä;4;;;\n",
        "school;hours;\nä;1.5\nb;2; \nä;4;\n",
    ],
)
def test_what_excel_adds_is_left_out(
    text: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(reading, "_LARGE_FILE", 1)
    path = tmp_path / "some.csv"
    path.write_bytes(text.encode())
    how = {} if "sep=" in text else {"delimiter": ";"}
    assert_rows(read(path, **how))
    path.write_text(text.replace("b;2", "b;2;;;x"))
    with pytest.raises(InputError, match=r"line \d: \d fields where the header has 2"):
        read(path, **how)


def test_a_tab_can_be_named_as_people_type_it(tmp_path: Path) -> None:
    path = tmp_path / "some.tsv"
    path.write_text("school\thours\nä\t1.5\nb\t2\nä\t4\n")
    with pytest.raises(InputError, match=r"add --delimiter '\\t'$"):
        read(path)
    for delimiter in ("\\t", "tab", "\t"):
        assert_rows(read(path, delimiter=delimiter))


# --- pipes ----------------------------------------------------------------------------------------


class Standard:
    """Standard input that holds some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("content", [ROWS.encode(), gzip.compress(ROWS.encode(), mtime=0)])
def test_standard_input_is_read(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Standard(content))
    found = read("-", columns=NAMED)
    assert_rows(found)
    assert (found.name, found.source, found.reading["piped"]) == ("stdin", "stdin", True)
    assert read_columns(found, ["pupil"]) == {"pupil": ["p", "q", "r"]}


def test_what_is_wrong_with_standard_input_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Standard(b"g,y\na,x\n"))
    with pytest.raises(InputError, match=r"^standard input: 1 of 1 values .* line 2: 'x'$"):
        read("-")


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(ROWS,))
    writer.start()
    found = read(pipe, columns=NAMED)
    writer.join()
    assert_rows(found)
    assert pipes.is_kept(found.reading["files"][0])


# --- wide tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_each_column_may_be_a_group(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"wide.{kind}"
    frame = pd.DataFrame({"ä": [1.5, 4], "b": [2, np.nan]})
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    found = read(path, wide=True)
    assert_rows(found)
    assert found.notes[-1] == (
        "read as a wide table, a column for each group; 1 empty cell is no observation"
    )
    assert (found.reading["wide"], found.reading["columns"]) == (True, {})


def test_each_row_may_be_a_group(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("day 1;school;day 2\n1,5;ä;4\n2;b;NA\n")
    found = read(path, wide=True, columns=Columns(group="school"), delimiter=";", decimal=",")
    assert found.labels == ("ä", "b")
    assert found.y.tolist() == [1.5, 4, 2]
    assert found.group_label == "school"
    assert found.without_observations().stats.n.tolist() == [2, 1]
    assert not read(
        path,
        wide=True,
        columns=Columns(group="school"),
        delimiter=";",
        decimal=",",
        most_observations=2,
    ).has_observations


@pytest.mark.parametrize(
    ("text", "named", "message"),
    [
        ("a,b\n1,x\n", Columns(), r"line 2 \(column 'b'\): 'x'$"),
        (
            "s,b\nx,1\ny,2\n",
            Columns(),
            r"'y'\. If 's' names the group of each row, add --group 's'",
        ),
        ("s,b\nx,1\n2,y\n", Columns(), r"line 3 \(column 'b'\): 'y'$"),
        ("a,,b\n1,2,3\n", Columns(), "column 2 has no name; with --wide the name of each"),
        ("a,b\n1,2\n", Columns(value="a"), "--value names a column, and --wide takes all"),
        ("a,b\n1,2\n", Columns(group="c"), "there is no column 'c'"),
        ("s,b\nx,\n", Columns(group="s"), "a header and no row"),
        ("a,b\n900,950\n1.200,980\n", Columns(), r"line 3 \(column 'a'\): '1\.200', among"),
    ],
)
def test_what_is_wrong_with_a_wide_table_is_named(
    text: str, named: Columns, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path, wide=True, columns=named)
