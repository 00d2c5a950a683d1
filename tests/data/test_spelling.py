"""Numbers as people write them: read right, or refused with what reads them."""

from __future__ import annotations

import itertools
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from partialpool.data import read_csv, reading, scan
from partialpool.data.reading import Columns
from partialpool.errors import InputError

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

GERMAN = "g;y\na;900\na;950\na;1.200\nb;1.500\nb;1.650\nb;980\n"
THOUSANDS = [900, 950, 1200, 1500, 1650, 980]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def write(folder: Path, values: list[str], *, name: str = "some.csv") -> Path:
    """Write values under the labels a, b, a, b ... between semicolons."""
    path = folder / name
    rows = [f'{"ab"[k % 2]};"{value}"' for k, value in enumerate(values)]
    path.write_text("\n".join(["g;y", *rows]) + "\n", encoding="utf-8")
    return path


# --- points between thousands -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.csv.bz2", "x.csv.xz"])
def test_points_between_thousands_are_no_decimal_points(name: str, tmp_path: Path) -> None:
    import bz2
    import gzip
    import lzma

    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path = tmp_path / name
    path.write_bytes(pack.get(path.suffix, bytes)(GERMAN.encode()))
    rows = r"line 4: '1\.200'; line 5: '1\.500'; line 6: '1\.650'"
    with pytest.raises(InputError, match=rf"points in 'y' seem to stand between thousands: {rows}"):
        reading.read(path, delimiter=";")
    with pytest.raises(InputError, match=rf"3 of 6 values .*{rows}.*'1\.200' may be 1\.2"):
        reading.read(path, delimiter=";", decimal=",")
    found = reading.read(path, delimiter=";", decimal=",", thousands=".")
    assert found.y.tolist() == THOUSANDS
    assert reading.read(path, delimiter=";", decimal=".").y[2] == 1.2


def test_points_that_stand_before_decimals_are_not_suspected(tmp_path: Path) -> None:
    for values in (
        ["1.234", "2.345", "0.125"],
        ["900", "1.2", "1.500"],
        ["100", "99.125", "98"],
        ["1", "2", "1.125", "3"],
        ["1200", "1.500", "900"],
        ["900", "0.500", "1.200"],
    ):
        found = read_csv(write(tmp_path, values), delimiter=";")
        assert found.y.tolist() == [float(value) for value in values]


def test_suspicion_is_the_same_for_one_row_a_group(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("g,estimate,se\na,900,100\nb,1.200,110\nc,950,90\n")
    with pytest.raises(InputError, match=r"points in 'estimate' .* line 3: '1\.200', among"):
        reading.read(path)
    assert reading.read(path, decimal=".").stats.estimate.tolist() == [900, 1.2, 950]


# --- what is advised ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "how", "advice"),
    [
        (["1,234", "5"], {}, r"'1,234' may be 1234 \(--thousands ','\) or 1.234 \(--decimal ','\)"),
        (["1,234", "5,5"], {}, r"--decimal ',' reads decimal commas$"),
        (["1,234", "1,234,567"], {}, r"--thousands ',' reads marks between thousands$"),
        (["1,234.5", "7"], {}, r"--thousands ',' reads"),
        (["1.234,5", "7"], {}, r"--decimal ',' --thousands '\.' reads"),
        (["1 234,5", "7"], {}, r"--decimal ',' --thousands ' ' reads"),
        (["1'234.5", "7"], {}, '--thousands "\'" reads'),
        (["1.5", "2,5"], {}, r"Marks are mixed: what reads other values does not read '2,5'"),
        (["1.200", "2,5"], {}, r"--decimal ',' --thousands '\.' reads"),
        (["1.65", "2,5"], {"decimal": ","}, "Marks are mixed: .* does not read '2,5'"),
        (["1.65", "7"], {"decimal": ","}, r"--decimal '\.' reads decimal points$"),
        (["12 %", "5%"], {}, r"--unit % reads numbers with '%' beside them"),
        (["€ 12,5", "-€5"], {}, "--decimal ',' --unit '€' reads"),
        (["5 kg", "x", "1.5 kg"], {}, "--unit kg reads"),
        (["5 kg", "5 lb"], {}, r"'5 lb'$"),
        (["1,23,456", "5"], {}, r"--thousands ',' reads"),
        (["two", "5"], {}, r"'two'$"),
    ],
)
def test_advice_names_what_reads_the_values(
    values: list[str], how: dict[str, str], advice: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=advice):
        read_csv(write(tmp_path, values), delimiter=";", **how)
    with pytest.raises(InputError, match=advice):
        scan.scan_statistics(tmp_path / "some.csv", delimiter=";", **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"decimal": ",", "thousands": ","}, r"both ','; .* need --decimal '\.'"),
        ({"thousands": "x"}, "thousands 'x': it must be one of"),
        ({"decimal": ":"}, "decimal ':': it must be"),
        ({"unit": "1"}, "unit '1': it must hold no digits"),
        ({"encoding": "utf-99"}, "encoding 'utf-99' is not known.*cp1252"),
        ({"encoding": "base64"}, "encoding 'base64' is not known"),
        ({"delimiter": "ab"}, "delimiter 'ab': give one character"),
    ],
)
def test_marks_that_are_none_are_refused(how: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        reading.read(write(tmp_path, ["1", "2"]), **how)


def test_a_unit_stands_beside_all_values_or_none(tmp_path: Path) -> None:
    path = write(tmp_path, ["12 %", "5%", "\u22121.5\u00a0%"])
    found = reading.read(path, delimiter=";", unit="%")
    assert found.y.tolist() == [12, 5, -1.5]
    assert found.axis_title == "y (%)"
    path = write(tmp_path, ["12 %", "0.05"])
    message = "column 'y': '%' stands beside 1 of 2 values, and must stand beside all or none"
    with pytest.raises(InputError, match=message):
        read_csv(path, delimiter=";", unit="%")
    with pytest.raises(InputError, match=message):
        scan.scan_statistics(path, delimiter=";", unit="%")
    path = tmp_path / "estimates.csv"
    path.write_text("g,estimate,se\na,12%,1%\nb,5%,1\n")
    with pytest.raises(InputError, match="column 'se': '%' stands beside 1 of 2 values"):
        reading.read(path, unit="%")


# --- any locale ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Locale:
    """How numbers are written somewhere."""

    decimal: str
    thousands: str
    groups: tuple[int, ...] = (3,)
    minus: str = "-"

    def write(self, number: Decimal, *, grouped: bool) -> str:
        digits = f"{abs(number):f}"
        whole, _, part = digits.partition(".")
        if grouped:
            pieces, sizes = [], itertools.chain(self.groups, itertools.repeat(self.groups[-1]))
            while whole:
                size = next(sizes)
                pieces.append(whole[-size:])
                whole = whole[:-size]
            whole = self.thousands.join(reversed(pieces))
        sign = self.minus if number < 0 else ""
        return sign + whole + (self.decimal + part if part else "")


LOCALES = {
    "de": Locale(",", "."),
    "fr": Locale(",", "\u202f"),
    "sv": Locale(",", "\u00a0", minus="\u2212"),
    "de_CH": Locale(".", "\u2019"),
    "en": Locale(".", ","),
    "en_IN": Locale(".", ",", (3, 2)),
    "si": Locale(".", " "),
}
NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=None).map(
    lambda number: round(number, 3).normalize()
)


def options_of(message: str) -> list[dict[str, str]]:
    """Options that a message names, one dictionary for each reading."""
    either = re.findall(r"\((--[^)]*)\)", message) or re.findall(r"\. (--.*) reads ", message)
    found = []
    for text in either:
        words = shlex.split(text.replace("without --thousands", "--thousands ''"))
        pairs = zip(words[::2], words[1::2], strict=True)
        found.append({option.removeprefix("--"): value for option, value in pairs})
    return found


@given(
    name=st.sampled_from(list(LOCALES)),
    numbers=st.lists(NUMBERS, min_size=1, max_size=8),
    grouped=st.booleans(),
)
@quick
def test_numbers_of_any_locale_come_out_as_they_went_in(
    folder: Path, name: str, numbers: list[Decimal], grouped: bool
) -> None:
    locale = LOCALES[name]
    path = write(folder, [locale.write(number, grouped=grouped) for number in numbers])
    how = {"delimiter": ";", "decimal": locale.decimal}
    if grouped:
        how["thousands"] = locale.thousands
    found = read_csv(path, **how)
    assert found.y.tolist() == [float(number) for number in numbers]
    large = scan.scan_data(path, most_observations=100, spelling=spelling(**how), threads=1)
    assert large.y.tolist() == found.y.tolist()


def spelling(**how: str) -> reading.Spelling:
    return reading.Spelling.of(**how)


@given(
    written=st.sampled_from(list(LOCALES)),
    assumed=st.sampled_from(list(LOCALES)),
    numbers=st.lists(NUMBERS, min_size=1, max_size=8),
)
@quick
def test_under_another_locale_numbers_are_refused_and_advice_reads_them(
    folder: Path, written: str, assumed: str, numbers: list[Decimal]
) -> None:
    locale, other = LOCALES[written], LOCALES[assumed]
    texts = [locale.write(number, grouped=True) for number in numbers]
    path = write(folder, texts)
    true = [float(number) for number in numbers]
    how = {"delimiter": ";", "decimal": other.decimal}
    try:
        found = read_csv(path, **how).y.tolist()
    except InputError as error:
        message = str(error)
    else:  # no mark of thousands occurs, or all that do are taken as the marks that were named
        assert found == true or all(
            re.fullmatch(r"[^.,]*", text) or re.fullmatch(r"-?\d{1,3}[.,]\d{1,3}", text)
            for text in texts
        )
        return
    offered = options_of(message)
    assert offered, message
    read = [read_csv(path, **{**how, **options}).y.tolist() for options in offered]
    assert true in read, message
    assert len(read) == 1 or read[0] != read[1]


@given(
    texts=st.lists(st.from_regex(r"-?[0-9]{1,4}([.,][0-9]{1,4}){0,2}", fullmatch=True), max_size=6)
)
@quick
def test_one_column_has_one_decimal_mark(folder: Path, texts: list[str]) -> None:
    assume(texts)
    path = write(folder, texts)
    for decimal, thousands in ((".", ""), (",", ""), (".", ","), (",", ".")):
        how = {"delimiter": ";", "decimal": decimal, "thousands": thousands}
        try:
            found = read_csv(path, **how).y.tolist()
        except InputError:
            continue
        for text, value in zip(texts, found, strict=True):
            plain = text.replace(thousands, "") if thousands else text
            assert value == float(plain.replace(decimal, "."))
            assert thousands or ({".": ",", ",": "."}[decimal] not in text)


def test_columns_that_programs_name_are_spelled_alike(tmp_path: Path) -> None:
    from partialpool.data.columns import numbers_of, read_columns, spelling_of

    path = tmp_path / "some.csv"
    path.write_text("g;y;x\na;1,5;1.000,25\nb;2,5;7\n")
    how = {"delimiter": ";", "decimal": ",", "thousands": "."}
    data = reading.read(path, columns=Columns(group="g", value="y"), **how)
    cells = read_columns(data, ["x"])["x"]
    numbers = numbers_of(cells, spelling_of(data))
    assert numbers is not None
    assert numbers.tolist() == [1000.25, 7]
