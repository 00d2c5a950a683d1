"""Files as people have them: what kind a file is, by what it holds, and its bytes as text or rows.

What can be read is opened here, compressed or not; anything else is named as what it is.
"""

from __future__ import annotations

import bz2
import codecs
import datetime
import gzip
import html
import io
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from partialpool.data.pipes import spool
from partialpool.data.spelling import UTF_8, Spelling
from partialpool.errors import InputError

TEXT, PARQUET, FEATHER, EXCEL = "text", "parquet", "feather", "excel"
"""Kinds of file that are read; text may be compressed."""

_MAGIC = (
    (b"PAR1", PARQUET),
    (b"ARROW1", FEATHER),
    (b"FEA1", FEATHER),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of before 2007"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 or netCDF file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"<stata_dta", "a Stata file"),
    (b"$FL2", "an SPSS file"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
_ENDINGS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".feather": FEATHER,
    ".arrow": FEATHER,
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zip": "zip",
    ".zst": "zstd",
    ".xlsx": EXCEL,
    ".xlsm": EXCEL,
    ".dta": "a Stata file",
    ".sav": "an SPSS file",
    ".sas7bdat": "a SAS file",
    ".rds": "an R file",
    ".rdata": "an R file",
    ".json": "a JSON file",
    ".jsonl": "a JSON file",
}
_REMEDIES = {
    "an Excel workbook of before 2007": "save it as .xlsx or as CSV",
    "an OpenDocument file": "save its table as CSV",
    "an HTML page": "what was downloaded is no data file; look at it in a browser",
    "a PDF document": "copy its table to a CSV file",
    "zstd": "unpack it with unzstd",
    "a 7z archive": "unpack it first",
}
_COMPRESSED = ("gzip", "bzip2", "xz", "zip")
_BROKEN = (gzip.BadGzipFile, zlib.error, EOFError, lzma.LZMAError, zipfile.BadZipFile)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}\S+")
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*')
_HEAD = 512


def stem(path: Path) -> str:
    """Name of a file without its folder, its ending and that of its compression."""
    name = path.name
    if path.suffix.lower() in (".gz", ".bz2", ".xz", ".zip"):
        name = path.stem
    return Path(name).stem


# --- what a file is -----------------------------------------------------------------------------


def refuse_url(name: str) -> None:
    """Refuse an address, which is no file."""
    if _URL.fullmatch(name):
        raise InputError(
            f"{name}: this is an address, and files are read from this machine alone; download it "
            f"first (curl -LO {name}) and name the file"
        )


def kind_of(path: Path) -> str:
    """Tell what a file is by how it begins, or else by its ending.

    Returns
    -------
    str
        `TEXT`, `PARQUET`, `FEATHER` or `EXCEL`.

    Raises
    ------
    InputError
        It is something else, which is named, with what to do; or it cannot be opened.
    """
    kind = packing(path)
    if kind == "zip":
        kind = _zipped(path)
    if kind in (PARQUET, FEATHER, EXCEL):
        return kind
    if kind not in (TEXT, *_COMPRESSED):
        what = f"this is {kind}" if " " in kind else f"this is compressed with {kind}"
        raise InputError(f"{path}: {what}; {_REMEDIES.get(kind, 'export its table as CSV')}")
    return TEXT


def is_compressed(path: Path) -> bool:
    """Whether a file is text that must be unpacked."""
    return kind_of(path) == TEXT and packing(path) in _COMPRESSED


def packing(path: Path) -> str:
    """Kind of a file, or how it is compressed, by its first bytes or else by its ending."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if _HTML.match(head.removeprefix(codecs.BOM_UTF8)):
        return "an HTML page"
    return _ENDINGS.get(path.suffix.lower(), TEXT)


def _zipped(path: Path) -> str:
    """Kind of what a ZIP archive holds: many programs use them for their own formats."""
    with _readable(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.startswith("xl/") for name in names):
            return EXCEL
        if "mimetype" in names and archive.read("mimetype").startswith(b"application/vnd.oasis"):
            return "an OpenDocument file"
        _only_member(archive, path)
    return "zip"


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    """Name of the one file that an archive holds."""
    names = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]
    if len(names) != 1:
        raise InputError(
            f"{path}: this is a ZIP archive of {len(names)} files; unpack it and name those to read"
        )
    return names[0]


# --- its bytes and lines --------------------------------------------------------------------------


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in words why a file cannot be read."""
    try:
        yield
    except _BROKEN as error:
        raise InputError(f"{path}: not compressed as its name says ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open the bytes of a file of text, unpacked.

    Raises
    ------
    InputError
        It cannot be read.
    """
    kind = packing(path)
    with _readable(path):
        if kind == "zip":
            with (
                zipfile.ZipFile(path) as archive,
                archive.open(_only_member(archive, path)) as file,
            ):
                yield file  # type: ignore[misc]
            return
        makers: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
        with makers.get(kind, Path.open)(path, "rb") as file:
            yield file


@contextmanager
def lines(path: Path, spelling: Spelling) -> Iterator[IO[str]]:
    """Open the lines of a file of text, with their ends as they are."""
    encoding = encoding_of(path, spelling)
    with (
        opened(path) as file,
        io.TextIOWrapper(
            file, encoding="utf-8-sig" if encoding == UTF_8 else encoding, newline=""
        ) as text,
    ):
        yield text


def encoding_of(path: Path, spelling: Spelling) -> str:
    """Encoding that was named, or UTF-16 where a byte-order mark says so, else UTF-8."""
    if spelling.encoding:
        return spelling.encoding
    with opened(path) as file:
        head = file.read(2)
    return "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else UTF_8


def check_text(path: Path, spelling: Spelling) -> None:
    """Refuse bytes that are no text, with their offset.

    Raises
    ------
    InputError
        Where there are such bytes.
    """
    encoding = encoding_of(path, spelling)
    with opened(path) as file:
        _check_bytes(file, path, encoding)


def _check_bytes(file: BinaryIO, path: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = pending = 0
    block = b"-"
    while block:
        block = file.read(1 << 22)
        if encoding == UTF_8 and (nul := block.find(b"\0")) >= 0:
            raise InputError(
                f"{path}: NUL byte at offset {offset + nul}; this is no text file "
                "(UTF-16 text without a byte-order mark: --encoding utf-16-le)"
            )
        try:
            decoder.decode(block, final=not block)
        except UnicodeError as error:
            at = offset - pending + getattr(error, "start", 0)
            hint = (
                "save the file as UTF-8, or say what it is: --encoding cp1252 reads Western Windows"
                if encoding == UTF_8
                else "is it in another encoding?"
            )
            raise InputError(
                f"{path}: not {encoding.upper()} at byte offset {at}; {hint}"
            ) from None
        offset += len(block)
        pending = len(decoder.getstate()[0])


def separator(line: str) -> str:
    """Delimiter that the first line of a file of Excel's states: `sep=;`; empty in any other."""
    match = _SEPARATOR.fullmatch(line)
    return match[1] if match else ""


def stated_delimiter(path: Path, spelling: Spelling) -> str:
    """Delimiter that a file of text states in its first line; empty where it does not."""
    if kind_of(path) != TEXT:
        return ""
    try:
        with lines(path, spelling) as file:
            return separator(file.readline(_HEAD))
    except UnicodeError:
        return ""


# --- spreadsheets and other formats ---------------------------------------------------------------


def sheet_rows(path: Path, spelling: Spelling) -> Iterator[tuple[int, list[str]]]:
    """Yield (row, cells as text) of a sheet of an Excel workbook, as far as it is filled.

    Raises
    ------
    InputError
        The workbook cannot be read, or has no such sheet.
    """
    try:
        import openpyxl
    except ImportError:
        raise InputError(
            f"{path}: this is an Excel workbook; save it as CSV, or install what reads it: "
            "pip install 'partialpool[excel]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which hold no data
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read as an Excel workbook ({error})") from None
        try:
            known = ", ".join(map(repr, book.sheetnames))
            if spelling.sheet and spelling.sheet not in book.sheetnames:
                raise InputError(f"{path}: there is no sheet {spelling.sheet!r}; there are {known}")
            sheet = book[spelling.sheet or book.sheetnames[0]]
            skipped = []
            for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                cells = [_cell(value, spelling) for value in row]
                if not any(cells):
                    skipped.append((number, cells))
                    continue
                yield from skipped
                skipped = []
                yield number, cells
        finally:
            book.close()


def sheets_of(path: Path) -> list[str]:
    """Names of the sheets of an Excel workbook; none of a broken one, which its reader refuses."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("xl/workbook.xml").decode()
    except (zipfile.BadZipFile, KeyError, OSError):
        return []
    names = re.findall(r'<(?:\w+:)?sheet\b[^>]*?\bname="([^"]*)"', text)
    return [html.unescape(name) for name in names]


def about_sheets(paths: Sequence[Path], spelling: Spelling) -> tuple[str, ...]:
    """Note which sheet of a workbook is read, where there are several and none was named.

    Raises
    ------
    InputError
        A sheet is named, and a file has none.
    """
    notes = []
    for path in paths:
        if kind_of(path) != EXCEL:
            if spelling.sheet:
                raise InputError(
                    f"{path}: this is no Excel workbook and has no sheets; leave --sheet out"
                )
        elif not spelling.sheet and len(names := sheets_of(path)) > 1:
            others = ", ".join(map(repr, names[1:]))
            notes.append(f"of {path.name} the sheet {names[0]!r} was read; --sheet reads {others}")
    return tuple(notes)


def _cell(value: object, spelling: Spelling) -> str:
    """What a cell holds, as a CSV file would have it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        text = repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        return text.replace(".", spelling.decimal)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)


def as_parquet(path: Path) -> Path:
    """Path of a Parquet file of the same table: the file itself, or a copy of a Feather file.

    Raises
    ------
    InputError
        What reads Feather is not installed, or the file is broken.
    """
    if kind_of(path) == PARQUET:
        return path
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError:
        raise InputError(
            f"{path}: this is a Feather file; write it as Parquet, or install what reads it: "
            "pip install pyarrow"
        ) from None
    copy = spool() / f"{len(list(spool().iterdir()))}-{path.name}.parquet"
    try:
        parquet.write_table(feather.read_table(path, memory_map=False), copy)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Feather ({error})") from None
    return copy
