"""What a page says is true of the data at hand: balanced, tied, few, far apart, tiny and huge."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from helpers import estimates
from helpers.hand_made import make_fit
from partialpool.data import GroupedData, from_values
from partialpool.report import figures, many_groups, page, precision, sentences, views, wording
from partialpool.tables import comparison, predictions

MODELS = ("complete_pooling", "no_pooling", "hierarchical_noncentered")


def made(
    means: Sequence[float], n: int | Sequence[int], sd: float, labels: str = "", **about: str
) -> GroupedData:
    """Observations that lie evenly about the means of their groups, all of one spread."""
    names = labels.split() or [chr(ord("A") + k) for k in range(len(means))]
    sizes = [n] * len(means) if isinstance(n, int) else list(n)
    y = [m + sd * np.linspace(-1.2, 1.2, k) for m, k in zip(means, sizes, strict=True)]
    return from_values(np.repeat(names, sizes).tolist(), np.concatenate(y), name="x", **about)


def compared(data: GroupedData, *, draws: int = 400, models: Sequence[str] = MODELS):
    found = comparison.compute(data, [make_fit(data, name, draws=draws) for name in models])
    assert not set(found.missing) - {"loo", "loo_pointwise"}
    return found


def everything(found, *, drawn: bool = False) -> str:
    """All sentences of a page and, where asked for, captions and descriptions of its figures."""
    parts = page.sections(found, {}, {})
    said = [*sentences.in_short(found)]
    for part in parts:
        said += [*part.sentences, *(s for child in part.children for s in child.sentences)]
    for plan in figures.plan(found, {}) if drawn else ():
        if plan.key != "loo-k":
            figure = plan.make()
            said += [figure.caption, figure.alt]
    text = " ".join(said)
    assert "could not be written" not in text
    for wrong in (" nan", "None", "1 differ ", "Of 1 pairs", " a arm", "1 Pareto k are", "−−"):
        assert wrong not in text, wrong
    return text


@pytest.fixture(scope="module")
def batches():
    means = [1505, 1528, 1564, 1498, 1600, 1470]
    return compared(made(means, 5, 50, group_label="Batch", unit="g"))


@pytest.fixture(scope="module")
def arms():
    return compared(made([1, 1.7], 12, 1.5, "Control Treated", group_label="Arm"))


def test_groups_of_one_size_have_no_weakest(batches):
    said = everything(batches, drawn=True)
    assert "As much is known of every group (n = 5)" in said
    assert "weakest" not in said
    assert "fewest observations" not in said
    assert re.search(r"λ is 0\.\d\d for every batch \(n = 5\)", said)
    assert "λ runs" not in said


def test_two_groups_are_told_in_the_singular(arms):
    said = everything(arms, drawn=True)
    assert "says nothing about an arm that was not observed" in said
    assert "One new observation in a new arm lies between" in said
    assert "move equally far from their sample means" in said
    assert "The two groups" in said
    assert "λ runs" not in said


def test_two_groups_share_the_fewest_observations():
    found = compared(made([0.5, 9, 4, 4.2, 3.9], [4, 4, 10, 10, 12], 1, "01 02 03 04 05"))
    said = everything(found)
    assert "from 4 (group 01 and group 02) to 12 (group 05)" in said
    assert "and the fewest observations" not in said
    alone = everything(compared(made([0.5, 9, 4, 4.2, 3.9], [4, 9, 10, 10, 12], 1)))
    assert "Group A has the lowest sample mean and the fewest observations" in alone


def test_equal_means_have_no_first_and_last():
    said = everything(compared(made([3, 3, 3], 6, 1)), drawn=True)
    assert "The sample mean of every group is 3.000" in said
    assert "Sample means are all about 3.000" in said
    assert "No group moves by more than Monte Carlo error" in said
    assert "towards μ" not in said
    assert "too alike for the draws to tell" in said
    assert "the highest estimate is that of" not in said
    assert "moves most" not in said
    assert "none differ under no pooling and none under" in said


def test_groups_far_apart_are_hardly_pooled():
    said = everything(compared(made([0, 300, -150, 1000], 5, 1)))
    assert "λ is below 0.01 for every group" in said
    assert "interval 1.00" not in said
    assert (
        "6 of 6 pairs: D above C, D above A, D above B, B above C, B above A and A above C" in said
    )


def test_the_unit_of_observations_changes_no_claim():
    # the draws are the same in every unit, but for rounding
    base, other = (everything(compared(made(u * np.array([1, 2, 5]), 4, u))) for u in (1.0, 1e9))
    for claim in (r"(\d) differs? under no pooling", r"λ is (\S+) for every", r"(\d of 3 pairs)"):
        first, second = (re.search(claim, said) for said in (base, other))
        assert first, claim
        assert second, claim
        assert first[1] == second[1]
    assert " to 0.0)" not in other


def test_variances_are_compared_by_medians(batches):
    said = " ".join(sentences.partial(batches, batches.model("partial")))
    found = re.search(
        r"within groups \(posterior median (\S+), 95 % interval \S+ to \S+\) is (larger|smaller|as "
        r"likely).* between groups \(median (\S+),",
        said,
    )
    assert found
    assert "posterior mean" not in said
    table = precision.variance(batches, MODELS[2]).set_index("quantity")
    assert float(found[1]) == pytest.approx(table["median"]["sigma2"], rel=0.05)
    assert float(found[3]) == pytest.approx(table["median"]["tau2"], rel=0.05)
    draws = batches.fits[2].posterior
    larger = float((draws["sigma"] > draws["tau"]).mean())
    if found[2] != "as likely":
        assert (found[2] == "larger") == (larger > 0.5)


def test_quantiles_of_variances_have_digits_of_their_own(batches):
    shown = views.variance(batches)
    assert shown is not None
    place = {title: k for k, title in enumerate(shown.head)}
    rows = {(row[0].text, row[1].text): row for row in shown.rows}
    first = rows["complete pooling", "Variance of all observations, σ²"]
    assert ("complete pooling", "Variance within groups, σ²") not in rows
    between = rows["partial pooling, non-centered", "Variance between groups, τ²"]
    estimates_of = views.estimates(batches, batches.model("partial"))
    assert estimates_of is not None
    tau2 = next(row for row in estimates_of.rows if row[0].text == "tau2")
    at = {title: k for k, title in enumerate(estimates_of.head)}
    for title in ("Mean", "Median", "2.5 %", "97.5 %"):
        assert between[place[title]].text == tau2[at[title]].text, title
    assert float(first[place["2.5 %"]].text) > 0
    companions = page.companions.classical(batches)
    assert companions is not None
    assert companions.rows[-1][companions.head.index("τ²")].text == between[place["Mean"]].text


def test_what_is_never_0_is_not_shown_as_0(arms):
    shown = [
        views.variance(arms),
        views.displacement(arms, arms.model("partial")),
        views.estimates(arms, arms.model("partial")),
    ]
    positive = ("tau", "tau2", "sigma2", "Variance", "Intraclass", "Control", "Treated")
    for view in shown:
        assert view is not None
        for row in view.rows:
            if any(cell.text.startswith(positive) for cell in row[:2]):
                texts = [cell.text for cell in row if re.search(r"interval|%|λ", "%")]
                assert not [t for t in texts if re.fullmatch(r"0(\.0+)?", t)], row
                assert not [t for t in texts if re.search(r"^0\.0+ to|to 1\.0+$", t)], row


def test_errors_of_predictions_are_those_of_many_runs():
    data = made([1, 3, 2, 6], 5, 1)
    fits = [make_fit(data, MODELS[2], draws=100, seed=seed) for seed in range(40)]
    tables = [predictions.predictions([fit], data) for fit in fits]
    names = ["mean", "sd", "q2.5", "median", "q97.5"]
    values = np.stack([table[names].to_numpy() for table in tables])
    told = np.stack(
        [predictions.errors(fit, data, t).to_numpy() for fit, t in zip(fits, tables, strict=True)]
    )
    ratio = np.median(told, axis=0) / values.std(axis=0, ddof=1)
    assert (ratio > 0.6).all(), ratio
    assert (ratio < 1.6).all(), ratio


def test_a_new_observation_is_one_of_all_groups():
    data = made([4, 9, 5, 6], 6, 3, group_label="School")
    found = compared(data)
    said = sentences.predicted(found)
    [partial] = [s for s in said if "partial pooling" in s and "lies between" in s]
    assert "One new observation in a new school lies between" in partial
    assert "an interval over all groups that there might be, wider than that of any" in partial
    assert any(s.startswith("A new observation, of whichever school, lies") for s in said)
    assert data.y.min() > 0
    assert any("Predictions reach below 0, where no observation lies" in s for s in said)
    shifted = dataclasses.replace(found, data=dataclasses.replace(data, y=data.y - 5))
    assert not any("below 0" in s for s in sentences.predicted(shifted))


def test_the_prior_s_pull_on_no_pooling_is_told(homework):
    none = [make_fit(homework, "no_pooling", draws=2000)]
    found = comparison.compute(homework, none)
    [said] = [s for s in sentences.none(found, none[0]) if s.startswith("The prior")]
    moved = found.table("shrinkage")["displacement"]
    assert (moved > 0).all()
    ends = re.search(
        r"lifts every one above its sample mean, by ([\d.]+) .* to ([\d.]+) hours", said
    )
    assert ends
    assert [float(x) for x in ends.groups()] == pytest.approx([moved.min(), moved.max()], abs=0.02)
    flat = estimates.fits(estimates.coaching())[1]
    alone = comparison.compute(estimates.coaching(), [flat])
    assert not [s for s in sentences.none(alone, flat) if s.startswith("The prior")]


def test_the_clearest_difference_leads_a_long_table():
    means = [k**2 / 10 for k in range(14)]
    found = compared(made(means, 6, 0.5), draws=250)
    table = found.table("contrasts", model=MODELS[2])
    assert (table["p_greater"].isin([0, 1])).sum() > 45
    shown = views.contrasts(found)
    assert shown is not None
    assert (len(shown.rows), shown.dropped) == (40, 91 - 40)
    theta = found.fits[2].posterior["theta"]
    clear = []
    for row in shown.rows:
        high, low = row[0].text.split(" − ")
        difference = theta.sel(group=high) - theta.sel(group=low)
        clear.append(float(difference.mean() / difference.std(ddof=1)))
    assert clear == sorted(clear, reverse=True)
    flat = theta.transpose("chain", "draw", "group").to_numpy().reshape(-1, len(means))
    apart = flat[:, :, None] - flat[:, None, :]
    with np.errstate(invalid="ignore"):
        every = np.abs(apart.mean(0)) / apart.std(0, ddof=1)
    assert clear[0] == pytest.approx(np.nanmax(every))
    assert clear[-1] == pytest.approx(np.nanmin(every))


def test_a_page_names_the_models_that_were_fitted(batches):
    assert wording.poolings(batches) == "Complete, no and partial pooling"
    alone = dataclasses.replace(batches, fits=batches.fits[2:])
    assert wording.poolings(alone) == "Partial pooling"
    two = dataclasses.replace(batches, fits=batches.fits[:2])
    assert wording.poolings(two) == "Complete and no pooling"


@pytest.mark.parametrize(
    ("word", "shown"),
    [("Arm", "an arm"), ("School", "a school"), ("Unit", "a unit"), ("Hour", "an hour")],
)
def test_any_group_has_its_article(word, shown, batches):
    data = dataclasses.replace(batches.data, group_label=word)
    assert wording.a_group(dataclasses.replace(batches, data=data)) == shown


def test_one_group_is_counted_as_one():
    found = compared(made([3.2], 6, 1, group_label="Site"), models=MODELS[:2])
    said = everything(found, drawn=True)
    assert "There are 6 observations in one group." in said
    assert "in 1 group. Sample means are all about 3.200." in said
    assert "1 groups" not in said
    assert "of a new observation in each group and a new group mean, under no" in said


def test_an_uncertain_end_is_no_extreme():
    near = sentences.about_data(estimates_of([-5, -5.2, -5.1], [1, 4, 1]))
    assert not any("largest standard error" in s for s in near)
    far = sentences.about_data(estimates_of([-5, -25, -5.1], [1, 4, 1]))
    assert any("Group B has the lowest estimate and the largest standard error" in s for s in far)


def estimates_of(y: Sequence[float], se: Sequence[float]):
    data = estimates.few(y, se)
    return comparison.compute(data, estimates.fits(data, draws=50))


def test_a_chance_little_above_a_half_is_not_most_probable():
    data = estimates.few([-5, -5.6], [1, 1])
    found = comparison.compute(data, estimates.fits(data, draws=500))
    fit = found.model("partial")
    assert fit is not None
    table = found.tables["rank_summary"].copy()
    rows = table["model"] == fit.name
    table.loc[rows, ["p_best", "p_worst"]] = [[0.6, 0.4], [0.4, 0.6]]
    said = sentences.ranked(
        dataclasses.replace(found, tables={**found.tables, "rank_summary": table}), fit
    )
    assert not any("most probably" in s for s in said)
    assert any("is the likeliest to have the highest effect, but with" in s for s in said)


def test_estimates_have_no_more_digits_than_their_sd_asks_for():
    table = pd.DataFrame({"mean": [2.0], "sd": [0.44], "mcse_mean": [1e-7], "mcse_q2.5": [0.01]})
    assert many_groups.supported(table, "mean").tolist() == [0.00044]
    assert many_groups.supported(table.assign(**{"q2.5": 1.0}), "q2.5").tolist() == [0.01]
    turned = table.assign(mean=np.exp(2.0), sd=np.exp(0.44))
    assert many_groups.supported(turned, "mean", exp=True)[0] == pytest.approx(
        0.00044 * np.exp(2.0)
    )
