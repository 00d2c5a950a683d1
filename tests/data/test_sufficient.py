"""Sufficient statistics: by group size, combined from parts, and read from summaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats as distributions

from partialpool import data, programs
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.families import moments
from partialpool.fitting.inputs import priors_for, stan_data


def make_data(seed: int = 2, offset: float = 0.0) -> data.GroupedData:
    rng = np.random.default_rng(seed)
    labels = rng.choice(list("abcdefgh"), 60).tolist() + list("ijkk")
    return data.from_values(labels, offset + rng.normal(3, 2, len(labels)), name="made")


def test_size_classes_give_the_likelihood_of_the_observations() -> None:
    stats = make_data().stats
    sizes = moments.size_classes(stats)
    assert sizes.groups.sum() == stats.J
    assert (sizes.n * sizes.groups).sum() == stats.N
    assert sizes.K < stats.J

    def log_likelihood(mu: float, tau: float, sigma: float) -> float:
        v = tau**2 + sigma**2 / sizes.n
        between = (sizes.groups * (sizes.mean - mu) ** 2 + sizes.ss) / v
        return float(
            -0.5 * (between + sizes.groups * np.log(v)).sum()
            - 0.5 * sizes.ss_within / sigma**2
            - (stats.N - stats.J) * np.log(sigma)
        )

    def by_observation(mu: float, tau: float, sigma: float) -> float:
        made = make_data()
        total = 0.0
        for j in range(stats.J):
            y = made.y[made.group == j]
            covariance = sigma**2 * np.eye(len(y)) + tau**2
            total += distributions.multivariate_normal.logpdf(y, np.full(len(y), mu), covariance)
        return total

    points = [(3.0, 1.0, 2.0), (0.0, 0.1, 1.0), (5.0, 20.0, 3.0)]
    differences = [log_likelihood(*p) - by_observation(*p) for p in points]
    assert np.ptp(differences) < 1e-9


def test_size_classes_keep_the_digits_of_an_offset() -> None:
    near = moments.size_classes(make_data().stats)
    far = moments.size_classes(make_data(offset=2.0**30).stats)
    np.testing.assert_allclose(far.mean - 2.0**30, near.mean, atol=1e-6)
    np.testing.assert_allclose(far.ss, near.ss, rtol=1e-6, atol=1e-12)


def test_parts_combine_into_the_whole() -> None:
    made = make_data(offset=1e6)
    labels = [made.labels[j] for j in made.group]
    parts = [data.from_values(labels[k::3], made.y[k::3], name="part").stats for k in range(3)]
    whole = moments.combine(parts)
    at = [whole.labels.index(label) for label in made.labels]
    np.testing.assert_array_equal(whole.n[at], made.stats.n)
    np.testing.assert_allclose(whole.mean[at], made.stats.mean, rtol=1e-15)
    np.testing.assert_allclose(whole.ss[at], made.stats.ss, rtol=1e-9, atol=1e-12)


def test_summaries_are_as_good_as_observations(tmp_path: Path) -> None:
    made = make_data()
    path = tmp_path / "summary.csv"
    made.summary()[["sd", "group", "mean", "n"]].to_csv(path, index=False)
    (tmp_path / "summary.toml").write_text('unit = "m"\n[priors]\nmu_scale = 3\n')
    found = read(path)
    assert found.labels == made.labels
    np.testing.assert_array_equal(found.stats.n, made.stats.n)
    np.testing.assert_allclose(found.stats.ss, made.stats.ss, rtol=1e-12)
    assert (found.unit, found.priors, found.name) == ("m", {"mu_scale": 3.0}, "summary")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("group,n,mean\na,2,1\n", "name them with --group, --n, --mean, --sd; the columns are 'g"),
        ("group,n,mean,sd\n", "at least one row"),
        ("group,n,mean,sd\na,2,1,1\na,3,1,1\n", "'a' has more than one row"),
        ("group,n,mean,sd\na,0,1,1\n", "line 2: n is '0'"),
        ("group,n,mean,sd\na,2.5,1,1\n", "line 2: n is '2.5'"),
        ("group,n,mean,sd\na,2,x,1\n", "line 2: mean is 'x'"),
        ("group,n,mean,sd\na,2,1,\n", "line 2: sd is ''; a finite"),
        ("group,n,mean,sd\na,2,1,-1\n", "line 2: sd is '-1'"),
        ("group,n,mean,sd\na,1,1,2\n", "line 2: sd is '2' for n = 1"),
        ("group,n,mean,sd\na,2,1,1\nb,2,1\n", "line 3: 3 fields where the header has 4"),
        ("group,n,mean,sd\n,2,1,1\n", "line 2: the group is blank"),
        ("group,n,mean,sd\na,2,1e200,1\n", "squares of the values overflow"),
    ],
)
def test_summaries_of_no_data_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    path.write_text(rows)
    with pytest.raises(InputError, match=message):
        read(path, columns=Columns(n="n"))


def test_one_observation_needs_no_sd(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    path.write_text("group;n;mean;sd\na;1;2,5;\nb;1;3;NA\nc;4;1;0,5\n")
    stats = read(path, delimiter=";", decimal=",").stats
    assert stats.mean.tolist() == [2.5, 3, 1]
    assert stats.ss.tolist() == [0, 0, 0.75]


@pytest.mark.stan
def test_programs_that_read_statistics_can_be_fitted_to_summaries(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    make_data().summary().to_csv(path, index=False)
    made = read(path)
    assert made.stats.N == 64
    given = stan_data(programs.load("hierarchical_marginal"), made, priors_for(made))
    assert (given["J_drawn"], given["N_drawn"], len(given["y_drawn"])) == (11, 0, 0)
    centered = programs.load("hierarchical_centered")
    with pytest.raises(InputError, match="needs the observations, and of summary only"):
        stan_data(centered, made, priors_for(made))
