"""Schools within districts: published estimates, files that name two columns, and sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import partialpool as pp
from partialpool.data.observations import read_csv
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.families import KNOWN_ERRORS_NESTED
from partialpool.priors import Normal
from partialpool.report import wording


def test_restricted_maximum_likelihood_is_the_published_one() -> None:
    data = pp.read(pp.example("calendars"))
    assert data.family is KNOWN_ERRORS_NESTED
    assert (data.stats.J, data.stats.nesting.K) == (56, 11)
    choice = data.family.base_choice(data.family.default_priors(data.stats))
    posterior: Any = data.family.exact_alternative(replace(choice, mu=Normal(0.0, 1e4)), data.stats)

    def given(log_variances: np.ndarray) -> Any:
        sds = np.exp(0.5 * log_variances)
        return posterior.leaves.given({"omega": sds[:1], "tau": sds[1:]})

    found = optimize.minimize(
        lambda x: -given(x).log_likelihood[0],
        np.log([0.1, 0.1]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12},
    )
    # Konstantopoulos (2011), table 4: districts, schools, mean and its standard error
    assert np.exp(found.x) == pytest.approx([0.065, 0.033], abs=5e-4)
    at = given(found.x)
    assert at.h[0] + posterior.leaves.origin == pytest.approx(0.185, abs=5e-4)
    assert at.precision[0] ** -0.5 == pytest.approx(0.085, abs=5e-4)


def test_a_file_names_groups_within_groups(tmp_path: Path) -> None:
    table = tmp_path / "pupils.csv"
    table.write_text(
        "town,school,mark\n"
        + "".join(f"{t},{s},{t + s + k}\n" for t in (1, 2, 3) for s in (1, 2) for k in (0, 1.5))
    )
    beside = tmp_path / "pupils.toml"
    beside.write_text('group = ["town", "school"]\nvalue = "mark"\n')
    data = read(table)
    assert data.stats.nesting.labels == ("1", "2", "3")
    assert data.reading["columns"]["group"] == ["town", "school"]
    # Who names one column gets groups of one level
    assert read(table, columns=Columns(group="town")).labels == ("1", "2", "3")
    with pytest.raises(InputError, match="'school' lies within 'town'; partialpool.read reads"):
        read_csv(table)
    for wrong in ("3", '["town"]', '["a", "b", "c"]', '["town", 2]'):
        beside.write_text(f"group = {wrong}\n")
        with pytest.raises(InputError, match=r"pupils.toml: group must be a column, or of groups"):
            read(table)
    beside.write_text('group = ["town", "town"]\nvalue = "mark"\n')
    with pytest.raises(InputError, match="town: it is named twice"):
        read(table)


def test_several_groups_are_pulled_to_the_means_of_their_outer_groups() -> None:
    data: Any = SimpleNamespace(data=pp.read(pp.example("calendars")))
    assert wording.pulled_to(data) == "the mean of its district, φ,"
    assert wording.pulled_to(data, several=True) == "the means of their districts, φ,"
