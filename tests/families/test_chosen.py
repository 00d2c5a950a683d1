"""Models of the same rows are chosen by name, and what there is is listed."""

import pytest

from partialpool.data.examples import example
from partialpool.data.grouped import GroupedData
from partialpool.data.reading import read
from partialpool.errors import InputError
from partialpool.families import FAMILIES, chosen


@pytest.fixture(scope="module")
def homework() -> GroupedData:
    return read(example())


CHOSEN = {name: family for name, family in FAMILIES.items() if "levels" not in family.model}
"""Families but for those that a second column of groups asks for."""


@pytest.mark.parametrize("family", CHOSEN.values(), ids=list(CHOSEN))
def test_a_family_is_the_one_model_of_its_rows_with_its_choices(family) -> None:  # type: ignore[no-untyped-def]
    assert chosen(family, family.model) is family
    assert chosen(family, {}) is FAMILIES[family.reads]
    alike = [each for each in FAMILIES.values() if each.reads == family.reads]
    assert len({tuple(sorted(each.model.items())) for each in alike}) == len(alike)


def test_what_is_not_asked_for_changes_nothing(homework: GroupedData) -> None:
    assert homework.modelled(population=None, spread=None) is homework
    assert homework.modelled(population="normal") is homework


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"population": "cauchy"},
            r"--population cauchy: .*the choices are .*normal",
        ),
        ({"spread": "wide"}, r"--spread wide: .*the choices are .*equal"),
    ],
)
def test_a_model_that_there_is_not_is_refused_with_those_that_there_are(
    homework: GroupedData, asked: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        homework.modelled(**asked)
