"""Fits compared with exact posteriors: how far off they are, in their own Monte Carlo errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from partialpool.data import GroupedData
from partialpool.families import FAMILIES
from partialpool.families.protocols import Posterior
from partialpool.fitting import Fit
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import find_program
from partialpool.tables import shrinkage
from partialpool.tables.derived import derived_estimates, exact_derived
from partialpool.text import counted

MOST_GROUPS = 200
"""Most groups up to which a report is verified; the command `verify` knows no limit."""

FALSE_ALARMS = 0.001
"""Chance that anything which is right is said to differ, over all numbers of a table together."""

HEAVY = {"mean": 4.0, "sd": 1.2}
"""Largest ratio of sd to interquartile range (1 for a normal distribution) up to which a mean or an
sd is compared. Beyond, the distribution's tails are so heavy that the draws' own Monte Carlo error
of this number, which rests on the next two moments, cannot be relied on."""

_DEGREES = 50
_KEYS = ["model", "parameter", "group"]
_COMPARISON = (
    *_KEYS,
    *("statistic", "estimate", "exact", "mcse", "in_mcse", "in_sd", "quadrature_error"),
)
_ROUNDING = 1e-12
_IQR_OF_NORMAL = 2 * special.ndtri(0.75)


def is_shipped(fit: Fit) -> bool:
    """Whether a fit is one of a shipped program of its family, text and all.

    A copy that was edited has another text under the same name, and without the likelihood, or
    without some of its chains, a fit has no posterior to be compared with.
    """
    if fit.name not in FAMILIES[fit.record.family].programs or fit.record.prior_only:
        return False
    return fit.record.source == find_program(fit.name, family=fit.record.family).read_text("utf-8")


def exact_posterior(fit: Fit, data: GroupedData) -> Posterior:
    """Exact posterior that a fit of a shipped program has.

    Raises
    ------
    InputError
        A fit of another program, or a prior setting that is missing or out of range.
    """
    return data.family.exact_posterior(fit.name, data.stats, Priors(fit.record.priors))


def verify_fits(
    fits: Sequence[Fit], data: GroupedData, posteriors: Mapping[str, Posterior]
) -> pd.DataFrame:
    """Hold the numbers of fits, and what follows from several of them, against the exact ones.

    Parameters
    ----------
    fits
        Fits of one data set, each of another name.
    data
        The data.
    posteriors
        Name of each fit to its exact posterior.

    Returns
    -------
    DataFrame
        As from `compare_with_exact`.
    """
    estimated = [shrinkage.estimates(fits, data)]
    known = [exact_summary(posteriors)]
    for fit in fits:
        estimated.append(derived_estimates(fit, data))
        known.append(exact_derived(posteriors[fit.name]).assign(model=fit.name))
    return compare_with_exact(
        pd.concat([frame for frame in estimated if len(frame)], ignore_index=True),
        pd.concat([frame for frame in known if len(frame)], ignore_index=True),
    )


def verify_shipped(fits: Sequence[Fit], data: GroupedData, estimates: pd.DataFrame) -> pd.DataFrame:
    """Hold what a report shows of fits of shipped programs against the exact posteriors.

    Fits of other programs are left out, and all are where there are more than `MOST_GROUPS` groups.

    Parameters
    ----------
    fits
        Fits of one data set, each of another name.
    data
        The data.
    estimates
        Their table from `pooling.estimates`.

    Returns
    -------
    DataFrame
        As from `compare_with_exact`; empty where nothing is known.
    """
    few, within_reach = data.stats.J <= MOST_GROUPS, data.family.within_reach(data.stats)
    posteriors = {
        fit.name: exact_posterior(fit, data)
        for fit in fits
        if is_shipped(fit)
        and data.family.knows_exactly(fit.name)
        and few
        and (fit.pooling != "partial" or within_reach)
    }
    if not posteriors:
        return pd.DataFrame({column: [] for column in _COMPARISON})
    return compare_with_exact(estimates, exact_summary(posteriors))


def exact_summary(posteriors: Mapping[str, Posterior]) -> pd.DataFrame:
    """Stack the summaries of exact posteriors.

    Parameters
    ----------
    posteriors
        Name of the model, as in the table of estimates, to its exact posterior.

    Returns
    -------
    DataFrame
        `model`, and the columns of `HierarchicalPosterior.summary`.
    """
    done: dict[int, pd.DataFrame] = {}
    frames = []
    for model, posterior in posteriors.items():
        if id(posterior) not in done:
            done[id(posterior)] = posterior.summary()
        frames.append(done[id(posterior)].assign(model=model))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["model", *stacked.columns.drop("model")]]


def compare_with_exact(estimates: pd.DataFrame, exact_summary: pd.DataFrame) -> pd.DataFrame:
    """Express each estimate's distance from the exact value in Monte Carlo standard errors.

    Parameters
    ----------
    estimates
        Columns `model`, `parameter`, `group`, and estimates `x` with their Monte Carlo
        standard errors `mcse_x` (mean, q2.5, median, q97.5 and whichever else there are), as
        `pooling.estimates` gives them.
    exact_summary
        From `exact_summary`.

    Returns
    -------
    DataFrame
        One row a number that is both estimated and known: `model`, `parameter`, `group`,
        `statistic`, `estimate`, `exact`, `mcse` (all three in the unit of the quantity, or its
        square), `in_mcse` (|estimate - exact| / mcse; NaN where either is NaN), `in_sd` (the
        same difference in posterior sds), `quadrature_error` (of the exact value, in posterior
        sds). Means of quantities without a posterior variance are left out, as their Monte
        Carlo errors mean nothing, and so are sds that do not exist, and numbers that are certain
        and were found.
    """
    statistics = [
        name.removeprefix("mcse_")
        for name in estimates.columns
        if name.startswith("mcse_") and name.removeprefix("mcse_") in exact_summary.columns
    ]
    both = estimates.merge(exact_summary, on=_KEYS, suffixes=("", "_exact"), validate="one_to_one")
    interval = (both["q75_exact"] - both["q25_exact"]) / _IQR_OF_NORMAL
    tails = both["sd_exact"] / interval.where(interval > 0)
    frames = []
    for statistic in statistics:
        estimate, known = both[statistic], both[f"{statistic}_exact"]
        mcse, difference = both[f"mcse_{statistic}"], (estimate - known).abs()
        with np.errstate(divide="ignore", invalid="ignore"):
            frame = both[_KEYS].assign(
                statistic=statistic,
                estimate=estimate,
                exact=known,
                mcse=mcse,
                in_mcse=difference / mcse,
                in_sd=difference / both["sd_exact"],
                quadrature_error=both["error"],
            )
        # what is certain, as the factor 1 of a group without data is, has no error to count in
        rounding = _ROUNDING * known.abs()
        certain = (both["sd_exact"] <= rounding) & (difference <= rounding)
        kept = known.notna() & ~certain
        if statistic == "mean":  # a probability, for one, has no quartiles and no tails
            kept &= np.isfinite(both["sd_exact"]) & ~(tails > HEAVY[statistic])
        if statistic == "sd":
            kept &= tails <= HEAVY[statistic]
        frames.append(frame.loc[kept])
    stacked = pd.concat(frames)
    return stacked.sort_index(kind="stable").reset_index(drop=True)


def agreement(comparison: pd.DataFrame) -> pd.DataFrame:
    """Judge each model by its largest distance from the exact posterior.

    A model agrees when no number is further off than `limit`, which the largest of as many errors
    as the table has exceeds with probability `FALSE_ALARMS` at most (Bonferroni). The errors are
    taken to be Student t with 50 degrees of freedom, not normal: Monte Carlo standard errors are
    estimates themselves, good to about a tenth. A distance that cannot be computed has failed.

    Parameters
    ----------
    comparison
        From `compare_with_exact`.

    Returns
    -------
    DataFrame
        One row a model: `model`, `numbers` (how many were compared), `largest` (in Monte Carlo
        standard errors; NaN where any is), `statistic`, `parameter`, `group` (where that was),
        `share_within_2` (share of the numbers within two errors), `quadrature_error` (largest,
        in posterior sds), `limit`, `agrees`.
    """
    records = []
    limit = float(-special.stdtrit(_DEGREES, 0.5 * FALSE_ALARMS / max(1, len(comparison))))
    for model, part in comparison.groupby("model", sort=False):
        distance = part["in_mcse"].to_numpy(dtype=float)
        worst = part.iloc[int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))]
        records.append(
            {
                "model": model,
                "numbers": len(part),
                "largest": worst["in_mcse"],
                "statistic": worst["statistic"],
                "parameter": worst["parameter"],
                "group": worst["group"],
                "share_within_2": float(np.mean(distance <= 2)),
                "quadrature_error": part["quadrature_error"].max(),
                "limit": limit,
                "agrees": bool(worst["in_mcse"] <= limit),
            }
        )
    return pd.DataFrame.from_records(records)


def describe_agreement(agreement: pd.DataFrame) -> list[str]:
    """One sentence a model that says how it compares with the exact posterior."""
    return [_sentence(row) for _, row in agreement.iterrows()]


def one_line(agreement: pd.DataFrame) -> str:
    """One sentence on all models together."""
    if agreement.empty:
        return "No number could be compared with an exact posterior."
    bad = agreement.loc[~agreement["agrees"], "model"].tolist()
    worst = agreement.iloc[int(agreement["largest"].fillna(np.inf).argmax())]
    compared = (
        f"{agreement['numbers'].sum()} numbers of {counted(len(agreement), 'fits')} against their "
        f"exact posteriors: the largest difference is {worst['largest']:.1f} Monte Carlo standard "
        f"errors ({where(worst)} of {worst['model']}; up to {worst['limit']:.1f} is chance)"
    )
    error = f"The quadrature is good to {agreement['quadrature_error'].max():.0e} posterior sds."
    verdict = f"{', '.join(bad)} DIFFER{'S' if len(bad) == 1 else ''}" if bad else "all agree"
    return f"{compared}: {verdict}. {error}"


def where(row: pd.Series[Any]) -> str:
    """Name the number that a row of the verdict is about."""
    group = f"[{row['group']}]" if row["group"] else ""
    return f"{row['statistic']} of {row['parameter']}{group}"


def _sentence(row: pd.Series[Any]) -> str:
    shown = where(row)
    start = f"{row['model']}: {row['numbers']} numbers against the exact posterior"
    if np.isnan(row["largest"]):
        return f"{start}; the {shown} cannot be compared, so the fit has failed."
    verdict = "agrees" if row["agrees"] else "DIFFERS"
    return (
        f"{start}; the largest difference is {row['largest']:.1f} Monte Carlo standard errors "
        f"({shown}; up to {row['limit']:.1f} is chance): {verdict}."
    )
