"""The defaults on data sets of all kinds: what `scripts/benchmark.py grid` tries."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from conftest import ROOT
from partialpool.programs import toolchain


@pytest.fixture(scope="module")
def data_sets() -> ModuleType:
    path = ROOT / "scripts" / "benchmark_grid.py"
    spec = importlib.util.spec_from_file_location("benchmark_grid", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_typed_data_are_those_published(data_sets: ModuleType) -> None:
    made = {about["data"]: data for about, data in data_sets.typed()}
    mean, between, within = {}, {}, {}
    for name, data in made.items():
        own = data.stats
        mean[name] = own.grand_mean
        within[name] = own.ss.sum() / (own.N - own.J)
        between[name] = np.var(own.mean, ddof=1) - within[name] * (1 / own.n).mean()
    assert mean["Rail"] == pytest.approx(66.5)
    assert np.sqrt([between["Rail"], within["Rail"]]) == pytest.approx([24.805, 4.021], abs=6e-4)
    assert [mean["Dyestuff"], between["Dyestuff"], within["Dyestuff"]] == pytest.approx(
        [1527.5, 1764.05, 2451.25], abs=5e-3
    )
    assert mean["Dyestuff2"] == pytest.approx(5.6656)
    assert made["iris"].stats.mean == pytest.approx([1.462, 4.26, 5.552])
    assert np.sqrt(made["iris"].stats.ss / 49) == pytest.approx([0.1737, 0.4699, 0.5519], abs=6e-5)
    assert made["PlantGrowth"].stats.mean == pytest.approx([5.032, 4.661, 5.526])
    assert made["warpbreaks"].stats.mean == pytest.approx([36.39, 26.39, 21.67], abs=6e-3)


@pytest.mark.slow
def test_ordinary_data_pass_at_the_defaults(
    data_sets: ModuleType, cmdstan: toolchain.CmdStan
) -> None:
    table = data_sets.grid(every=3)
    failed = (table["failed"] != "").sum() + table["choices_failed"].str.count(r"\(").sum()
    fits = table["fits"].sum() + table["choices"].sum()
    assert failed <= 0.01 * fits, data_sets.summary(table)
    assert (table["failed"] != "").mean() <= 0.01, data_sets.summary(table)
    assert table["beyond_4"].sum() <= 5e-4 * table["numbers"].sum(), data_sets.summary(table)
    assert table["largest"].max() < 6, data_sets.summary(table)


@pytest.mark.slow
@pytest.mark.parametrize("model", [{"spread": "own"}, {"population": "student_t"}], ids=str)
def test_ordinary_data_pass_under_other_models(
    data_sets: ModuleType, cmdstan: toolchain.CmdStan, model: dict[str, str]
) -> None:
    table = data_sets.grid(every=9, choices=False, model=model)
    assert len(table) > 15
    assert (table["failed"] != "").mean() <= 0.03, data_sets.summary(table)
    assert table["largest"].max() < 6, data_sets.summary(table)
