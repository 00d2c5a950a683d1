"""What is left out by quadrature, against ratios of exact marginal likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as distributions

from helpers.published import rubin_schools
from partialpool import programs
from partialpool.data import GroupedData, from_values
from partialpool.families.exact import known_errors
from partialpool.families.moments import group_stats
from partialpool.fitting import Fit, fit_programs, without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.priors import HalfT, Normal
from partialpool.programs.toolchain import CmdStan
from partialpool.settings import Settings
from partialpool.tables import refits
from partialpool.tables.group_scores import leave_one_group_out
from partialpool.tables.scores import compare_loo, loo

NAMES = (
    "complete_pooling",
    "no_pooling",
    "no_pooling_common_variance",
    "hierarchical_marginal",
)
MACHINES = [51.2, 49.8, 50.9, 53.1, 52.4, 55.6, 50.3, 54.8, 51.7, 94.0]


@pytest.fixture(scope="module")
def machines() -> GroupedData:
    """Ten machines of which one lies far outside, six runs each, and one run that is a slip."""
    rng = np.random.default_rng(3)
    errors = rng.normal(0, 3, (10, 6))
    y = np.asarray(MACHINES)[:, None] + errors - errors.mean(axis=1, keepdims=True)
    y[2, 4] += 40
    return from_values(np.repeat(list("abcdefghij"), 6).tolist(), y.ravel(), name="machines")


@pytest.fixture(scope="module")
def fits(machines: GroupedData, cmdstan: CmdStan) -> dict[str, Fit]:
    made = fit_programs(
        [programs.load(name) for name in NAMES],
        machines,
        priors=priors_for(machines),
        settings=Settings(seed=1),
        cmdstan=cmdstan,
    )
    return {fit.name: fit for fit in made}


def evidence(data: GroupedData, name: str, stats: Any) -> float:
    priors = priors_for(data)
    return float(data.family.exact_posterior(name, stats, priors).log_marginal_likelihood)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_left_out_is_a_ratio_of_marginal_likelihoods(
    fits: dict[str, Fit], machines: GroupedData, name: str
) -> None:
    rows = np.array([0, 16, 59])
    found = refits.without_rows(fits[name], machines, rows)
    whole = evidence(machines, name, machines.stats)
    for row, density in zip(rows, found, strict=True):
        kept = np.arange(60) != row
        less = group_stats(machines.y[kept], machines.group[kept], machines.labels)
        assert density == pytest.approx(whole - evidence(machines, name, less), abs=1e-4)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "no_pooling"])
def test_a_group_left_out_is_a_ratio_of_marginal_likelihoods(
    fits: dict[str, Fit], machines: GroupedData, name: str
) -> None:
    groups = np.array([2, 9])
    density, below = refits.without_groups(fits[name], machines, groups)
    whole = evidence(machines, name, machines.stats)
    for j, found in zip(groups, density, strict=True):
        others = machines.stats.take(np.delete(np.arange(10), j))
        expected = whole - evidence(machines, name, others)
        assert found == pytest.approx(expected, abs=1e-5)
    if name == "hierarchical_marginal":
        assert 0.05 < below[0] < 0.99
        assert 0.9999 < below[1] < 1


def test_what_weights_cannot_leave_out_is_left_out_exactly(
    fits: dict[str, Fit], machines: GroupedData
) -> None:
    fit = fits["hierarchical_marginal"]
    summary, groups = leave_one_group_out([fit], machines)
    last = groups.set_index("group").loc["j"]
    assert last["k"] > 0.7
    assert summary.loc[0, "bad_k"] == 0
    assert "exactly" in summary.loc[0, "advice"]
    exactly = refits.without_groups(fit, machines, np.arange(10))
    np.testing.assert_allclose(groups["below"], exactly[1], atol=0.01)
    np.testing.assert_allclose(groups["elpd"], exactly[0], atol=0.05)

    none = fits["no_pooling"]
    scored = loo(none, machines)
    slip = scored.pointwise.loc[16]
    assert slip["k"] > 0.7
    assert scored.summary.n_bad_k > 0 == scored.summary.unreliable
    assert slip["elpd"] == refits.without_rows(none, machines, np.array([16]))[0]
    assert "exactly" in compare_loo([none], machines).loc[0, "advice"]


@pytest.mark.stan
def test_a_group_s_only_row_is_not_left_out_of_its_group() -> None:
    data = from_values(list("aaabbc"), [1.0, 2.0, 4.5, 7.0, 8.0, 3.0], name="one")
    fit = without_rows.draw_exact(
        programs.load("no_pooling_common_variance"),
        data,
        priors=priors_for(data),
        settings=Settings(seed=1),
    )
    found = refits.without_rows(fit, data, np.array([5, 0]))
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_a_share_below_is_that_of_the_posterior_without_the_estimate() -> None:
    priors = {"mu": Normal(0, 20), "tau": HalfT(3, 10)}
    stats = rubin_schools().stats
    y, se = stats.raw, stats.raw_se
    found = known_errors(stats.labels, y, se, **priors)
    for j, below in enumerate(found.leave_one_out_cdf()):
        rest = np.delete(np.arange(len(y)), j)
        less = known_errors([stats.labels[i] for i in rest], y[rest], se[rest], **priors)
        new = less.fine.new_group()
        spread = np.hypot(new.sds, se[j])
        expected = new.weights @ distributions.norm.cdf(y[j] - new.origin, new.means, spread)
        assert below == pytest.approx(expected, abs=1e-7)
