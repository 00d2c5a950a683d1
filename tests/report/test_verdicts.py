"""What a report says first: whether the model fits these data, and what they say of the groups."""

from __future__ import annotations

import re

import numpy as np
import pytest

from helpers.hand_made import make_fit
from partialpool.data import GroupedData, from_values
from partialpool.report import sentences
from partialpool.report.sentences import fitness
from partialpool.tables import comparison

LABELS = np.repeat(list("abcdefgh"), 20)
MEANS = np.repeat(np.random.default_rng(5).normal(7, 1.5, 8), 20)


def noise() -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(7).standard_normal(160)


def short(data: GroupedData) -> list[str]:
    names = ("no_pooling", "hierarchical_noncentered")
    found = comparison.compute(data, [make_fit(data, name, draws=400) for name in names])
    assert not found.missing
    return sentences.in_short(found)


def of(y: np.ndarray, labels: np.ndarray = LABELS) -> GroupedData:  # type: ignore[type-arg]
    return from_values(labels.tolist(), y, name="x")


def test_data_that_fit_are_said_to_and_why() -> None:
    said = short(of(MEANS + 3 * noise()))
    assert said[0].startswith("Nothing that was checked speaks against partial pooling")
    assert said[0].count(",") == 4
    assert not any("--log" in each for each in said)


def test_a_code_among_the_values_is_the_first_thing_said_and_spoils_the_rest() -> None:
    y = MEANS + 3 * noise()
    y[[17, 93]] = -999
    said = short(of(y))
    assert re.match(
        r"One value of group [ae], −999\S* \(2 times that value in all\), lies", said[0]
    )
    assert "a code for a missing value named (--missing -999)" in said[0]
    assert not any(word in " ".join(said) for word in ("skewed", "sds differ", "statistics by"))


def test_one_outlying_group_is_named_and_the_others_are_not() -> None:
    means = [51.2, 49.8, 50.9, 53.1, 52.4, 55.6, 50.3, 54.8, 51.7, 94.0]
    labels = np.repeat([f"m{k}" for k in range(10)], 6)
    y = np.repeat(means, 6) + 3 * noise()[:60]
    said = short(of(y, labels))
    assert said[0].startswith(
        "Group m9 does not look like a member of the population of the others"
    )
    assert "probability below 0.0001" in said[0]
    last = short(of(np.where(labels == "m9", y - 40, y), labels))
    assert last[0].startswith("Nothing that was checked")


def test_skewed_positive_values_are_shown_the_logarithm() -> None:
    logs = np.repeat(np.random.default_rng(2).normal(2, 0.3, 8), 20) + 0.8 * noise()
    said = short(of(np.exp(logs)))
    assert said[0].startswith("Within groups the observations are skewed to the right: skewness")
    assert said[0].endswith("try --log.")
    assert short(of(logs))[0].startswith("Nothing that was checked")
    negative = short(of(np.exp(logs) - 20))
    assert not any("--log" in each for each in negative)


def test_unequal_spreads_are_noticed_with_both_ends() -> None:
    spread = np.repeat([1, 1, 1, 1, 2, 3, 5, 6], 20)
    said = short(of(MEANS + spread * noise()))
    found = next(each for each in said if "sds differ" in each)
    assert re.search(r"from \S+ \(group [a-d]\) to \S+ \(group [gh]\)", found)
    assert "no pooling" in found


def test_groups_differ_or_not_with_the_test_beside() -> None:
    apart = " ".join(short(of(MEANS + 2 * noise())))
    assert "The means of the groups differ: their sd τ has posterior median" in apart
    assert re.search(r"F = \S+ on 7 and 152 degrees of freedom, p < 0.0001", apart)
    alike = " ".join(short(of(7 + 2 * noise())))
    assert "Whether the means of the groups differ, these data do not tell" in alike
    assert "No group can be told from the mean of all" in alike


@pytest.mark.parametrize(("p", "said"), [(0.0, "none"), (0.0042, "0.42 %")])
def test_a_share_of_replicates_is_told_as_one(p: float, said: str) -> None:
    assert fitness._chance(p) == said
