"""The report on real draws: the lesson's data, and three data sets of other kinds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from partialpool import programs
from partialpool.data import from_values
from partialpool.report import folder

LABELS = ('São Paulo, "A" <b>&$x$', "../../etc", "line\nbreak", "Zürich 😀")


def check(folder, fits):
    made = json.loads((folder / "manifest.json").read_text())
    assert made["missing"] == {"figures": {}, "tables": {}}
    page = (folder / "report.html").read_text()
    assert "<b>&$" not in page
    for picture in (folder / "figures").glob("*.png"):
        assert picture.with_suffix(".svg").exists()
    assert len(list((folder / "fits").iterdir())) == len(fits)
    return {picture.stem for picture in (folder / "figures").glob("*.png")}


def test_every_figure_of_the_lesson_is_drawn(tmp_path, homework, lesson_fits):
    fits = [lesson_fits[name] for name in programs.DEFAULT]
    drawn = check(folder.write(tmp_path / "homework", homework, fits), fits)
    assert {
        "data",
        "1-complete_pooling-posterior",
        "2-no_pooling-draws",
        "2-no_pooling-theta",
        "2-no_pooling-sigma2",
        "3-hierarchical_marginal-theta",
        "3-hierarchical_marginal-variances",
        "models",
        "population",
    } <= drawn


def three_groups():
    rng = np.random.default_rng(3)
    labels = np.repeat(["north", "south", "west"], 12)
    return from_values(list(labels), rng.normal(50, 10, size=36), name="three", unit="kg")


def two_hundred_unequal_groups():
    rng = np.random.default_rng(200)
    sizes = 2 + rng.geometric(0.15, size=200)
    means = rng.normal(0, 1, size=200)
    values = np.concatenate([rng.normal(m, 2, size=n) for m, n in zip(means, sizes, strict=True)])
    return from_values([f"g{j}" for j in np.repeat(np.arange(200), sizes)], values, name="many")


def hard_labels():
    rng = np.random.default_rng(4)
    labels = np.repeat(np.array(LABELS, dtype=object), (9, 6, 7, 5))
    return from_values(list(labels), rng.normal(3, 1, size=27), name="hard", unit="µg/l")


@pytest.mark.parametrize("make", [three_groups, two_hundred_unequal_groups, hard_labels])
def test_other_data_work_unchanged(tmp_path, fitted, make):
    data = make()
    fits = fitted(data, programs.DEFAULT)
    check(folder.write(tmp_path / data.name, data, fits), fits)
