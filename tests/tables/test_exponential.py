"""Tables of log ratios turned into tables of ratios, against the exponentials of the draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import estimates
from partialpool.data import from_values
from partialpool.data.description import read_description
from partialpool.errors import InputError
from partialpool.fitting.summarize import summarize
from partialpool.tables import comparison, exponential, meanings

PARTIAL = "hierarchical_centered"


@pytest.fixture(scope="module")
def fits():
    return estimates.fits(estimates.vaccine(), draws=800)


@pytest.fixture(scope="module")
def logs(fits):
    return comparison.compute(estimates.vaccine(), fits, delta=0.1)


@pytest.fixture(scope="module")
def ratios(logs):
    return exponential.of_comparison(logs)


def rows(found, key, **equal):
    return found.table(key, **equal).reset_index(drop=True)


def test_summaries_are_those_of_the_exponentials_of_the_draws(fits, ratios):
    draws = np.exp(fits[2].posterior["theta"].sel(group="12").to_numpy())
    table = rows(ratios, "estimates", model=PARTIAL, parameter="theta")
    row = table[table["group"] == "12"].iloc[0]
    for name, p in (("q2.5", 0.025), ("q25", 0.25), ("median", 0.5), ("q97.5", 0.975)):
        assert row[name] == pytest.approx(np.quantile(draws, p), rel=2e-3)
    assert np.log(row["mean"]) == pytest.approx(np.log(draws).mean(), rel=1e-9)
    assert np.log(row["sd"]) == pytest.approx(np.log(draws).std(ddof=1), rel=1e-6)
    assert row["mcse_median"] == pytest.approx(
        float(summarize(draws[None])["mcse_median"][0]), rel=0.25
    )


def test_errors_follow_the_delta_method(logs, ratios):
    before, after = (rows(each, "estimates", parameter="mu") for each in (logs, ratios))
    for name in ("mean", "sd", "q2.5", "median", "q97.5"):
        np.testing.assert_allclose(after[name], np.exp(before[name]))
        np.testing.assert_allclose(after[f"mcse_{name}"], after[name] * before[f"mcse_{name}"])


def test_spreads_and_what_has_no_unit_stay_as_they_are(logs, ratios):
    for key in ("variance", "exact", "ranks", "rank_summary", "diagnostics", "leave_one_group_out"):
        pd.testing.assert_frame_equal(ratios.tables[key], logs.tables[key])
    for parameter in ("tau", "tau2"):
        before, after = (rows(each, "estimates", parameter=parameter) for each in (logs, ratios))
        assert len(before)
        pd.testing.assert_frame_equal(after, before)
    kept = ["raw_se", "displacement_se", "lambda_mean", "lambda_q2.5", "lambda_q97.5", "se"]
    pd.testing.assert_frame_equal(ratios.tables["shrinkage"][kept], logs.tables["shrinkage"][kept])
    kept = ["se", "tau2", "i2", "h2", "q", "p_value"]
    pd.testing.assert_frame_equal(
        ratios.tables["meta_analysis"][kept], logs.tables["meta_analysis"][kept]
    )


def test_columns_of_estimates_are_told_in_their_own_words(logs):
    told = meanings.table(logs.tables, logs.data.family.words)
    assert (told["meaning"] != "").all()
    for wrong in ("sample", "pooled sd", "raw mean", "highest mean", "group's mean", "observation"):
        found = told[told["meaning"].str.contains(wrong)]
        assert found.empty, found.to_string()


def test_a_displacement_is_the_ratio_of_two_columns(ratios):
    table = rows(ratios, "shrinkage", model=PARTIAL)
    np.testing.assert_allclose(table["raw_mean"] * table["displacement"], table["estimate"])
    wide = rows(ratios, "shrinkage_wide")
    np.testing.assert_allclose(wide[PARTIAL], table["estimate"])
    np.testing.assert_allclose(wide[f"{PARTIAL}_mcse"], table["mcse"])
    np.testing.assert_allclose(wide["sample_mean"], table["raw_mean"])


def test_contrasts_are_ratios_and_say_whether_they_exclude_1(logs, ratios):
    before, after = (rows(each, "contrasts", model=PARTIAL) for each in (logs, ratios))
    np.testing.assert_allclose(after["mean"], np.exp(before["mean"]))
    outside = (after["q2.5"] > 1) | (after["q97.5"] < 1)
    assert outside.any()
    assert not outside.all()
    assert (after["interval_excludes_one"] == outside).all()
    assert "interval_excludes_zero" not in after
    claims = rows(ratios, "claims", model=PARTIAL, criterion=exponential.EXCLUDES_ONE)
    assert claims["claims"].tolist() == [outside.sum()]
    assert rows(ratios, "claims", criterion=exponential.EXCLUDES_ZERO).empty
    assert (
        rows(logs, "claims", criterion=exponential.EXCLUDES_ZERO)["claims"].iloc[1] == outside.sum()
    )


def test_replicated_extremes_are_ratios_and_their_spread_is_not(logs, ratios):
    before, after = (rows(each, "posterior_checks") for each in (logs, ratios))
    extreme = before["statistic"].isin(["Smallest estimate", "Largest estimate"])
    np.testing.assert_allclose(
        after.loc[extreme, "observed"], np.exp(before.loc[extreme, "observed"])
    )
    np.testing.assert_allclose(after.loc[~extreme, "q97.5"], before.loc[~extreme, "q97.5"])
    assert "Sd of the logarithms" in set(after["statistic"])


def test_tables_of_other_data_stay_as_they_are():
    data = estimates.coaching()
    found = comparison.compute(data, estimates.fits(data, draws=100))
    assert exponential.of_comparison(found) is found


def test_columns_say_what_became_of_them(ratios):
    told = exponential.described(
        meanings.table(ratios.tables, ratios.data.family.words), ratios.data
    )
    turned = set(ratios.tables) - {"exact", "variance", "posterior_checks"}
    told = told.set_index(["table", "column"])["meaning"]
    assert (told != "").all()
    assert "geometric mean" in told["estimates", "mean"]
    assert "factor" in told["estimates", "sd"]
    assert "ratio" in told["shrinkage", "displacement"]
    assert "excludes 1" in told["contrasts", "interval_excludes_one"]
    for key in ("groups", "weights", "meta_analysis", "shrinkage"):
        error = "raw_se" if key == "shrinkage" else "se"
        assert "logarithm" in told[key, error]
    assert "logarithms" in told["exact", "estimate"]
    for key in turned:
        for column, meaning in told[key].items():
            assert "unit of the data" not in meaning, (key, column)


def test_changes_of_the_location_are_turned_and_those_of_tau_are_not():
    frame = pd.DataFrame(
        {
            "quantity": ["mu", "tau", "theta"],
            "before": [-0.5, 0.6, 0.0],
            "before_mcse": [0.01, 0.02, 0.03],
            "after": [-0.4, 0.7, 0.2],
            "after_mcse": [0.01, 0.02, 0.03],
            "movement": [0.5, 0.6, 0.7],
        }
    )
    turned = exponential.table("changes", frame)
    np.testing.assert_allclose(turned["after"], [np.exp(-0.4), 0.7, np.exp(0.2)])
    np.testing.assert_allclose(turned["before_mcse"], [0.01 * np.exp(-0.5), 0.02, 0.03])
    assert turned["movement"].tolist() == [0.5, 0.6, 0.7]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Log risk ratio", "Risk ratio"),
        ("log_or", "or"),
        ("Log of the odds ratio", "Odds ratio"),
        ("ln RR", "RR"),
        ("Risk ratio", "Risk ratio"),
        ("Login rate", "Login rate"),
        ("log", "log"),
    ],
)
def test_a_label_loses_its_logarithm(label, shown):
    assert exponential.axis_title(estimates.vaccine(value_label=label)) == shown
    assert exponential.axis_title(estimates.vaccine(value_label=label, exp=False)) == label


def test_equivalence_is_given_as_a_ratio():
    data = estimates.vaccine()
    assert exponential.log_delta(data, 1.25) == pytest.approx(np.log(1.25))
    assert exponential.log_delta(data, None) is None
    assert exponential.log_delta(estimates.coaching(), 0.5) == 0.5
    with pytest.raises(InputError, match="ratio above 1"):
        exponential.log_delta(data, 0.9)


def test_exponentials_are_refused_of_what_is_no_logarithm():
    with pytest.raises(InputError, match="log odds ratios, and these data are observations"):
        from_values(["a", "a", "b"], [1.0, 2.0, 3.0], exp=True)
    with pytest.raises(InputError, match="'B' is 800, which is no logarithm"):
        estimates.few([1, 800], [1, 1], exp=True)


@pytest.mark.parametrize(("line", "exp"), [("exp = true", True), ("exp = false", False)])
def test_the_file_beside_the_data_may_ask_for_exponentials(tmp_path, line, exp):
    (tmp_path / "trials.toml").write_text(line)
    assert read_description(tmp_path / "trials.csv")["exp"] is exp


def test_a_word_for_true_is_refused(tmp_path):
    (tmp_path / "trials.toml").write_text('exp = "yes"')
    with pytest.raises(InputError, match="exp must be true or false, not 'yes'"):
        read_description(tmp_path / "trials.csv")
