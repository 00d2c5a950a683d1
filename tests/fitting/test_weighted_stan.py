"""Observations with weights, from a frame to the result that is opened again, and a rerun."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import InputError
from partialpool.programs import toolchain
from partialpool.report import sentences
from partialpool.tables import scores

pytestmark = pytest.mark.stan


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    group = np.repeat(np.arange(7), [3, 5, 8, 2, 6, 9, 4])
    w = rng.integers(1, 9, len(group)).astype(float)
    y = 10 + rng.normal(0, 2, 7)[group] + rng.normal(0, 3, len(group)) / np.sqrt(w)
    return pd.DataFrame({"lab": [f"lab {j + 1}" for j in group], "level": y, "w": w})


@pytest.fixture(scope="module")
def result(frame: pd.DataFrame, cmdstan: toolchain.CmdStan) -> pp.Result:
    programs = ["no_pooling_common_variance", "hierarchical_marginal"]
    found: pp.Result = pp.compare(
        frame, group="lab", value="level", weight="w", programs=programs, draws=1000
    )
    return found


def test_fits_agree_with_the_exact_posteriors(result: pp.Result) -> None:
    assert result.comparison.table("exact")["agrees"].all()


def test_each_row_is_scored_with_its_own_weight(result: pp.Result, frame: pd.DataFrame) -> None:
    """Leaving a row out by weights of draws, and by a fit without it."""
    fit = result.comparison.fits[1]
    summary, points = scores.loo(fit, result.data)
    assert summary.unreliable == 0
    theta = fit.posterior["theta"].transpose("group", "chain", "draw").to_numpy()
    sigma = fit.posterior["sigma"].transpose("chain", "draw").to_numpy()
    log_lik = scores.log_likelihood(fit, result.data)
    j, row = int(result.data.group[4]), frame.iloc[4]
    sd = sigma / np.sqrt(row["w"])
    z = (row["level"] - theta[j]) / sd
    known = -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_lik[4], known, rtol=1e-9)
    rest = result.data.stats.without_row(j, float(row["level"]), float(row["w"]))
    assert rest is not None
    exact = result.data.family.exact_posterior(
        fit.name, rest, pp.priors_for(result.data)
    ).known_group(j)  # type: ignore[attr-defined]
    spread = np.hypot(exact.sd, exact.error_sd / np.sqrt(row["w"]))
    heights = np.exp(-0.5 * ((row["level"] - exact.mean) / spread) ** 2) / spread
    density = float(exact.weights @ heights) / np.sqrt(2 * np.pi)
    assert points["elpd"][4] == pytest.approx(np.log(density), abs=0.05)


def test_new_observations_have_the_weight_that_is_given(result: pp.Result) -> None:
    new = pd.DataFrame({"lab": ["lab 3", "lab 3", "lab 3"], "weight": [1.0, 1e8, None]})
    found = result.predict(new)
    assert found["sd"][0] == pytest.approx(found["sd"][2], rel=0.05)
    fit = result.comparison.fits[1]
    theta = fit.posterior["theta"].sel(group="lab 3").to_numpy()
    assert found["sd"][1] == pytest.approx(float(theta.std(ddof=1)), rel=1e-3)
    with pytest.raises(InputError, match="weight is -1 in row 2"):
        result.predict(pd.DataFrame({"lab": ["lab 3", "lab 1"], "weight": [1, -1]}))


def test_sentences_say_whose_sd_sigma_is_and_give_no_share(result: pp.Result) -> None:
    assert "icc" not in set(result.comparison.table("variance")["quantity"])
    said = " ".join(sentences.about_data(result.comparison))
    assert "37 weighted observations in 7 groups, of total weights from" in said
    assert "Sigma is the sd of an observation of weight 1" in said


def test_a_result_is_opened_with_its_weights(result: pp.Result, tmp_path: Path) -> None:
    result.save(tmp_path / "kept")
    again = pp.open(tmp_path / "kept")
    before, after = result.data.stats.row_weights, again.data.stats.row_weights
    assert before is not None
    assert after is not None
    assert after.tolist() == before.tolist()
    assert again.data.counted == result.data.counted
