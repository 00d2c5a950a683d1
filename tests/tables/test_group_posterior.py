"""Group means from draws of (mu, tau, sigma): against draws of theta and against the mixture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special

from partialpool import programs
from partialpool.data import from_values
from partialpool.errors import InputError
from partialpool.families.moments import GroupStats
from partialpool.tables import group_draws, group_posterior


def make_posterior(*, draws: int = 1000, relative_sd: float, offset: float = 0.0) -> xr.Dataset:
    rng = np.random.default_rng(5)
    z = rng.standard_normal((3, 4, draws))
    return xr.Dataset(
        {
            "mu": (("chain", "draw"), offset + 10 + 2 * relative_sd * z[0]),
            "tau": (("chain", "draw"), 2 * np.exp(relative_sd * z[1])),
            "sigma": (("chain", "draw"), 5 * np.exp(0.3 * relative_sd * z[2])),
        }
    )


def make_stats(J: int, *, smallest: int, largest: int, offset: float = 0.0) -> GroupStats:
    rng = np.random.default_rng(6)
    n = rng.integers(smallest, largest + 1, J)
    mean = offset + rng.normal(10, 2, J) + rng.normal(0, 5, J) / np.sqrt(n)
    return GroupStats(tuple(f"g{j}" for j in range(J)), n, mean, np.where(n > 1, 25.0 * n, 0.0))


@pytest.fixture(scope="module")
def wide() -> xr.Dataset:
    return make_posterior(relative_sd=0.3)


@pytest.fixture(scope="module")
def uneven(wide: xr.Dataset) -> tuple[GroupStats, pd.DataFrame]:
    """Groups of many sizes, and the estimates of them all."""
    stats = make_stats(3000, smallest=1, largest=3000)
    return stats, group_posterior.group_estimates(wide, stats)


@pytest.fixture(scope="module")
def even(wide: xr.Dataset) -> tuple[GroupStats, pd.DataFrame]:
    """Groups of one size, and the estimates of them all."""
    stats = make_stats(3000, smallest=20, largest=20)
    return stats, group_posterior.group_estimates(wide, stats)


def test_estimates_agree_with_draws_of_theta(wide: xr.Dataset) -> None:
    stats = make_stats(12, smallest=1, largest=40)
    table = group_posterior.group_estimates(wide, stats).set_index("group")
    theta = np.concatenate(
        [
            group_draws.draw_groups(wide, stats, stats.labels, seed=100 + k).to_numpy()
            for k in range(25)
        ]
    )
    draws = theta.reshape(-1, stats.J)
    # The hyperparameter draws are shared, so only the noise of theta is left: 100,000 draws.
    noise = table["sd"] / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - table["mean"]) < 5 * noise).all()
    assert (np.abs(draws.std(0) / table["sd"] - 1) < 0.02).all()
    for name, p in (("q2.5", 0.025), ("median", 0.5), ("q97.5", 0.975)):
        below = (draws < table[name].to_numpy()).mean(0)
        assert np.abs(below - p).max() < 5 * np.sqrt(p * (1 - p) / len(draws)), name


@pytest.mark.parametrize("groups", ["even", "uneven"])
def test_interpolation_for_many_groups_is_exact(
    wide: xr.Dataset, groups: str, request: pytest.FixtureRequest
) -> None:
    stats, all_groups = request.getfixturevalue(groups)
    by_mean = np.argsort(stats.mean)
    some = by_mean[[0, 1, 500, 1500, 2500, 2998, 2999]]
    exact = group_posterior.group_estimates(wide, stats, groups=[stats.labels[j] for j in some])
    for column in exact.columns[3:]:
        error = np.abs(all_groups[column].to_numpy()[some] - exact[column].to_numpy())
        assert (error <= 0.05 * exact["mcse_median"]).all(), column


def test_many_sizes_of_groups_are_interpolated_without_loss(
    wide: xr.Dataset, uneven: tuple[GroupStats, pd.DataFrame]
) -> None:
    stats, table = uneven
    tau2, sigma2 = wide["tau"].to_numpy() ** 2, wide["sigma"].to_numpy() ** 2
    for j in (0, 17, 2999):
        factor = sigma2 / (sigma2 + stats.n[j] * tau2)
        mean = stats.mean[j] + factor * (wide["mu"].to_numpy() - stats.mean[j])
        assert table["lambda_mean"][j] == pytest.approx(factor.mean(), rel=1e-9)
        assert table["mean"][j] == pytest.approx(mean.mean(), rel=1e-12)
        assert table["sd"][j] == pytest.approx(
            np.sqrt((tau2 * factor).mean() + mean.var()), rel=1e-10
        )


def test_quantiles_of_a_mixture() -> None:
    means = np.array([[[-3.0, 3.0, 0.1]]])
    sds = np.array([[[1.0, 0.5, 10.0]]])
    for p in (0.001, 0.3, 0.5, 0.999):
        x, shares, density = group_posterior.mixture_quantile(means, sds, p)
        assert special.ndtr((x[0] - means) / sds).mean() == pytest.approx(p, abs=1e-12)
        assert shares.mean() == pytest.approx(p, abs=1e-9)
        assert density[0] > 0


def test_offset_costs_no_digits() -> None:
    offset = 2.0**30
    near, far = (
        group_posterior.group_estimates(
            make_posterior(draws=100, relative_sd=0.3, offset=shift),
            make_stats(100, smallest=1, largest=9, offset=shift),
        )
        for shift in (0.0, offset)
    )
    assert np.abs(far["mean"] - offset - near["mean"]).max() < 1e-6
    assert np.abs(far["sd"] / near["sd"] - 1).max() < 1e-6


def test_monte_carlo_errors_are_of_the_right_size() -> None:
    stats = make_stats(5, smallest=1, largest=30)
    rng = np.random.default_rng(1)
    tables = []
    for _ in range(60):
        z = rng.standard_normal((3, 4, 400))
        posterior = xr.Dataset(
            {
                "mu": (("chain", "draw"), 10 + z[0]),
                "tau": (("chain", "draw"), 2 * np.exp(0.3 * z[1])),
                "sigma": (("chain", "draw"), 5 * np.exp(0.1 * z[2])),
            }
        )
        tables.append(group_posterior.group_estimates(posterior, stats))
    for name in ("mean", "sd", "q2.5", "median", "q97.5"):
        found = np.std([table[name] for table in tables], axis=0, ddof=1)
        said = np.sqrt(np.mean([table[f"mcse_{name}"] ** 2 for table in tables], axis=0))
        assert np.abs(np.log(said / found)).max() < 0.4, name


def test_contrasts_agree_with_draws(wide: xr.Dataset) -> None:
    stats = make_stats(4, smallest=2, largest=20)
    table = group_draws.group_contrasts(wide, stats, stats.labels)
    theta = np.concatenate(
        [
            group_draws.draw_groups(wide, stats, stats.labels, seed=100 + k).to_numpy()
            for k in range(25)
        ]
    ).reshape(-1, 4)
    assert len(table) == 6
    for row in table.to_dict("records"):
        i, j = (stats.labels.index(row[key]) for key in ("group_i", "group_j"))
        difference = theta[:, i] - theta[:, j]
        assert row["mean"] == pytest.approx(difference.mean(), abs=0.05)
        assert row["p_greater"] == pytest.approx((difference > 0).mean(), abs=0.01)
        assert (difference < row["q2.5"]).mean() == pytest.approx(0.025, abs=0.003)
        assert (difference > row["q97.5"]).mean() == pytest.approx(0.025, abs=0.003)
        assert row["mcse"] > 0
        assert row["mcse_p_greater"] > 0


def test_ranks_agree_with_sorting(wide: xr.Dataset) -> None:
    stats = make_stats(30, smallest=2, largest=20)
    chosen = [stats.labels[j] for j in (3, 0, 29)]
    table = group_draws.group_ranks(wide, stats, chosen, seed=4)
    theta = group_draws.draw_groups(wide, stats, stats.labels, seed=9).to_numpy()
    ranks = (-theta).argsort(-1).argsort(-1) + 1
    for row, j in zip(table.to_dict("records"), (3, 0, 29), strict=True):
        assert row["expected_rank"] == pytest.approx(ranks[..., j].mean(), abs=0.6)
        assert row["p_best"] == pytest.approx((ranks[..., j] == 1).mean(), abs=0.03)
        assert row["rank_q2.5"] <= row["expected_rank"] <= row["rank_q97.5"]
        assert row["draws"] == 4000


def test_groups_far_off_are_counted_without_being_drawn(
    wide: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = make_stats(40, smallest=20, largest=20)
    shift = np.repeat([0.0, 3000.0, 0.0, -3000.0], 10)
    stats = GroupStats(near.labels, near.n, near.mean + shift, near.ss)
    chosen = ["g25", "g3"]
    drawn = []
    ranks = group_draws._ranks
    monkeypatch.setattr(
        group_draws,
        "_ranks",
        lambda *given, **named: drawn.append(len(given[1])) or ranks(*given, **named),
    )
    table = group_draws.group_ranks(wide, stats, chosen).set_index("group")
    assert drawn == [20]
    theta = group_draws.draw_groups(wide, stats, stats.labels, seed=9).to_numpy()
    expected = (-theta).argsort(-1).argsort(-1) + 1
    for label in chosen:
        mean = expected[..., stats.labels.index(label)].mean()
        assert table["expected_rank"][label] == pytest.approx(mean, abs=0.4)
        assert 11 <= table["rank_q2.5"][label] <= table["rank_q97.5"][label] <= 30


def test_what_is_not_there_is_named(wide: xr.Dataset) -> None:
    stats = make_stats(5, smallest=2, largest=9)
    with pytest.raises(InputError, match="no group is called 'x'; there are 5 groups"):
        group_posterior.group_estimates(wide, stats, groups=["g1", "x"])
    with pytest.raises(InputError, match="no single 'tau'"):
        group_posterior.group_estimates(wide.drop_vars("tau"), stats)
    with pytest.raises(InputError, match="draws of sigma are not all finite"):
        group_posterior.group_estimates(wide.assign(sigma=wide["sigma"] * np.nan), stats)
    with pytest.raises(InputError, match="at least two groups"):
        group_draws.group_contrasts(wide, stats, ["g1"])


@pytest.mark.parametrize(
    ("before", "after", "admitted"),
    [
        ("lprior += uniform_lpdf(tau | 0, tau_upper);", "lprior += cauchy_lpdf(tau | 0, 5);", True),
        ("- df * log(sigma)", "- 2 * df * log(sigma)", False),
        ("tau * sqrt(lambda)", "2 * tau * sqrt(lambda)", False),
    ],
)
def test_only_priors_of_the_marginal_program_may_be_others(tmp_path, before, after, admitted):
    text = programs.find_program("hierarchical_marginal").read_text("utf-8")
    assert before in text
    path = tmp_path / "mine.stan"
    path.write_text(text.replace(before, after), "utf-8")
    real = {"type": "real", "dimensions": 0}
    blocks = {"transformed parameters": {}, "generated quantities": {}}
    written = {"parameters": dict.fromkeys(("mu", "tau", "sigma"), real), **blocks}
    program = programs.Program(path, {"inputs": {"J_drawn": real}, **written}, "0")
    data = from_values(["a", "a", "b"], [1.0, 2.0, 3.0])
    if admitted:
        group_posterior.check_marginal(program, data)
    else:
        with pytest.raises(InputError, match="only under the normal model"):
            group_posterior.check_marginal(program, data)
