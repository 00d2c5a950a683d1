"""Sentences on predictions, scores and checks."""

from __future__ import annotations

import math

from partialpool.fitting import Fit
from partialpool.report import precision
from partialpool.report.sentences import fitness
from partialpool.report.trust import withheld
from partialpool.report.wording import (
    Row,
    a_new_group,
    group_word,
    listed,
    noun,
    number,
    rows_of,
)
from partialpool.tables.comparison import Comparison
from partialpool.tables.predictions import NEW_GROUP_MEAN, NEW_OBSERVATION_IN_NEW_GROUP

_CLEAR, _SMALL, _LITTLE = 2.0, 1.0, 0.1


def predicted(comparison: Comparison) -> list[str]:
    """What each model predicts for a new group, and which model predicts best."""
    said, below = [], False
    for fit in comparison.fits:
        if not comparison.concludes(fit.name):
            continue
        rows = comparison.table(
            "predictions", model=fit.name, quantity=NEW_OBSERVATION_IN_NEW_GROUP
        )
        for row in rows_of(precision.predicted(comparison, fit, rows)):
            said.append(_new_observation(comparison, fit, row))
            below |= bool(row["q2.5"] < 0)
        said += _new_effect(comparison, fit)
    data = comparison.data
    if below and data.has_observations and not data.log and data.y.min() >= 0:
        said.append(
            "Predictions reach below 0, where no observation lies: a normal distribution knows no "
            "such bound."
        )
    return said + _scores(comparison) + _populations(comparison)


def _populations(comparison: Comparison) -> list[str]:
    """Say whether another population of the groups predicts better, and what it changes."""
    fit = comparison.model("partial")
    frame = comparison.table("populations")
    if fit is None or frame.empty or not comparison.concludes(fit.name):
        return []
    own = rows_of(frame[frame["of_fit"]])[0]
    said = []
    for row in rows_of(frame[~frame["of_fit"].astype(bool)]):
        gap, error = row["elpd_diff"], row["dse"]
        much = abs(gap) > max(_CLEAR * error, _SMALL)
        how = "about as well" if not much else "better" if gap > 0 else "less well"
        moved = abs(row["largest_movement"])
        most = f"{comparison.data.group_label.lower()} {row['moved']}"
        change = (
            f"no {noun(comparison)} moves by more than {max(moved, 0.01):.2f} of its posterior sds"
            if moved < _LITTLE
            else f"the {noun(comparison)} that moves most, of {most}, by {moved:.2f} of its "
            f"posterior sds, to {row['estimate']:.4g} from {row['own_estimate']:.4g}"
        )
        said.append(
            f"With a {_spelled(row['population'])} population in place of the "
            f"{_spelled(own['population'])} one, a group that is left out is predicted {how}: the "
            f"score is {_signed(row['elpd'])} instead of {_signed(own['elpd'])}, a difference of "
            f"{_signed(gap)} with a standard error of {error:.2f}; {change}. Both are exact."
        )
    return said


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _spelled(population: str) -> str:
    return population.replace("_", "-")


def _new_observation(comparison: Comparison, fit: Fit, row: Row) -> str:
    """Say where one observation of a group lies that nothing else is known of."""
    low = number(row["q2.5"], row["mcse_q2.5"])
    high = number(row["q97.5"], row["mcse_q97.5"], comparison.data.unit)
    where = f"lies between {low} and {high} with probability 95 % under {fit.title}"
    plain = comparison.data.stats.covariates is None
    at = "" if plain else " at the means of the covariates"
    which = comparison.data.words.scaled
    if fit.pooling == "complete":
        which += f", of whichever {group_word(comparison)}," if plain else at
        return f"A new observation{which} {where}."
    return (
        f"One new observation{which} in {a_new_group(comparison)}{at} {where}: an interval over "
        "all groups that there might be, wider than that of any one."
    )


def _new_effect(comparison: Comparison, fit: Fit) -> list[str]:
    """Say where the effect of a new group lies, where its observations are not modelled."""
    if not comparison.data.family.rows_are_groups or fit.pooling == "none":
        return []
    rows = comparison.table("predictions", model=fit.name, quantity=NEW_GROUP_MEAN)
    plain = comparison.data.stats.covariates is None
    at = "" if plain else " at the means of the covariates"
    return [
        f"The {noun(comparison)} of {a_new_group(comparison)}{at} lies between "
        f"{number(row['q2.5'], row['mcse_q2.5'])} and "
        f"{number(row['q97.5'], row['mcse_q97.5'], comparison.data.unit)} with probability 95 % "
        f"under {fit.title}."
        for row in rows_of(precision.predicted(comparison, fit, rows))
        if math.isfinite(row["q2.5"]) and math.isfinite(row["q97.5"])
    ]


def _scores(comparison: Comparison) -> list[str]:
    said = []
    for key in ("loo", "leave_one_group_out"):
        rows = comparison.table(key)
        rows = rows[[comparison.concludes(name) for name in rows.get("model", [])]]
        if len(rows) < 2:
            continue
        best, second = rows_of(rows.head(2))
        unreliable = [row for row in rows_of(rows) if row["bad_k"]]
        said += [
            f"The score of {comparison.titles[row['model']]} for {row['question']} is not "
            f"reliable: {row['bad_k']} Pareto k {'is' if row['bad_k'] == 1 else 'are'} beyond the "
            "threshold."
            for row in unreliable
        ]
        if unreliable and not comparison.insist:
            said.append(f"So no model is said to be best for {best['question']}.")
            continue
        gap = abs(second["elpd"] - best["elpd"])
        title = comparison.titles[best["model"]]
        said.append(
            f"For {best['question']}, {title} scores best"
            + (
                f", but {comparison.titles[second['model']]} is within "
                f"{max(gap, 0.1):.1f} of it: no clear winner."
                if gap < 4
                else f", ahead of {comparison.titles[second['model']]} by {gap:.1f}."
            )
        )
    none_fit = comparison.model("none")
    scored = comparison.table("leave_one_group_out")
    if none_fit is not None and none_fit.name in set(scored.get("model", [])):
        said.append(
            f"No pooling learns nothing about {a_new_group(comparison)}: its score for one is that "
            "of its prior."
        )
    return said


def checked(comparison: Comparison, fit: Fit | None) -> list[str]:
    """How many observed statistics the replicated data sets miss, and what that means."""
    if fit is None:
        return []
    held = withheld(comparison, fit)
    if held:
        return held
    rows = comparison.table("posterior_checks", model=fit.name)
    if rows.empty:
        return []
    outside = rows[(rows["observed"] < rows["q2.5"]) | (rows["observed"] > rows["q97.5"])]
    if comparison.data.family.rows_are_groups:
        return [fitness.replicated(rows, outside, fit, comparison.data.words)]
    said = fitness.fits_the_data(comparison)
    by_group, outside = rows[rows["group"] != ""], outside[outside["group"] != ""]
    which = [f"{row['statistic'].lower()} of {row['group']}" for row in rows_of(outside)]
    expected = rows_of(comparison.table("check_counts", model=fit.name))
    said.append(
        f"Of {len(by_group)} statistics by group (sd, minimum, maximum), {len(outside) or 'none'} "
        f"{'lies' if len(outside) == 1 else 'lie'} outside the 95 % interval of what {fit.title} "
        "replicates"
        + (f": {listed(which)}" if which else "")
        + "."
        + (
            f" If the model held, about {fitness.about(expected[0]['expected'])} would: fewer than "
            "one in twenty, as each group's own data have taught the model where it lies."
            if expected
            else ""
        )
    )
    logs = comparison.data.log
    if not logs and comparison.data.y.min() >= 0 and (by_group["q2.5"] < 0).any():
        kind = "Student-t" if comparison.data.family.errors_degrees else "normal"
        said.append(
            f"The model replicates negative values; the data have none. Its {kind} distribution "
            "knows no lower bound."
        )
    return said
