"""Predictions of new rows, each of a known group, a new one, or one that is not named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.data.weights import new_weights
from partialpool.errors import InputError
from partialpool.families.linked.line import OnALinkedLine
from partialpool.families.normal_adjusted import AdjustedMeans
from partialpool.fitting import Fit
from partialpool.fitting.normality import OBSERVATIONS, POPULATION
from partialpool.tables import exponential, variables
from partialpool.tables.predictions import student_t_moments
from partialpool.types import FloatArray, IntArray

KNOWN, NEW, UNKNOWN = "known", "new", "not named"
"""What a row's group is."""


def refuse_counts(data: GroupedData) -> None:
    """Refuse outcomes that are counts, of which more has to be known.

    Where groups have covariates, their probability or rate is what is predicted.

    Raises
    ------
    InputError
        With where predictions of them are.
    """
    if not data.family.gaussian and data.stats.covariates is None:
        raise InputError(
            "predictions of counts depend on how many trials or how much exposure there will be: "
            "see the table `predictions`; with covariates (--by) the probability or rate of new "
            "groups is predicted"
        )


def predict_rows(
    fit: Fit,
    data: GroupedData,
    labels: Sequence[Any],
    *,
    covariates: Mapping[str, Sequence[Any]] | None = None,
) -> pd.DataFrame:
    """Predict one outcome for each row, from partial pooling.

    Parameters
    ----------
    fit
        A fit of partial pooling.
    data
        Its data.
    labels
        Group of each row: a label of the data, another one (a new group, the same for all rows of
        that label), or a missing one (any of the groups at hand, each as likely).
    covariates
        Name of a covariate to its value in each row; what is not given is taken at its mean over
        the groups. A group of the data keeps its own, or its mean of a covariate that varies within
        groups and is not given. Where groups lie within groups, name of the
        column of outer ones to the label in each row: one of the data, or a new one; where there is
        no such column, or an empty text, groups are known by their own labels, and new ones lie in
        new outer ones. Where observations have weights, name of their column, or `weight`, to the
        weight of each new one, which is 1 where it is not given.

    Returns
    -------
    DataFrame
        One row a label, in order: `group` (empty where missing), `kind` ("known", "new", "not
        named"), `mean`, `sd`, `q2.5`, `median`, `q97.5` of a new observation; of an effect, where
        the data are estimates; of the probability or rate, where they are counts. On the scale
        that people read: of logarithms the mean is a geometric mean and the sd a factor.

    Raises
    ------
    InputError
        Outcomes that are counts, or a program that does not keep to a normal population.
    """
    refuse_counts(data)
    theta, mu = variables.theta(fit, data), variables.intercept(fit, data)
    tau, sigma = variables.tau(fit, data), variables.sigma(fit, data)
    turned = isinstance(data.family, OnALinkedLine) and fit.pooling == "partial"
    tau = variables.spread(fit, data) if turned else tau
    rows_differ = bool(data.stats.error_sd) and data.family.gaussian
    if theta is None or mu is None or tau is None or not fit.keeps(POPULATION):
        raise InputError(f"{fit.title} has no normal population that a new group would come from")
    if rows_differ and (sigma is None or not fit.keeps(OBSERVATIONS)):
        raise InputError(f"the observations of {fit.title} are not known to be normal around theta")
    rng = np.random.default_rng(1)
    draws = mu.size
    centers = _centers(fit, data, covariates or {}, len(labels))
    weights = new_weights(data, covariates or {}, len(labels))
    places = [""] * len(labels)
    if data.stats.nesting is not None:
        given = (covariates or {}).get(data.stats.nesting.label, places)
        places = ["" if pd.isna(each) else str(each).strip() for each in given]
        centers = _of_outer(fit, data, places)
    flat, index = theta.reshape(len(theta), draws), _known(data)
    moves = _moves(fit, data, covariates or {}, len(labels))
    fresh: dict[tuple[str, str], FloatArray] = {}
    rows: list[dict[str, Any]] = []
    for row, label in enumerate(labels):
        missing = label is None or (pd.api.types.is_scalar(label) and bool(pd.isna(label)))
        name = "" if missing else str(label)
        key = (places[row], name)
        error: FloatArray = np.zeros(draws)
        undefined: dict[str, float] = {}
        if missing:
            kind, chosen = UNKNOWN, rng.integers(0, len(flat), draws)
            mean = flat[chosen, np.arange(draws)] + moves(row, chosen)
        elif key in index:
            own = np.full(draws, index[key])
            kind, mean = KNOWN, flat[index[key]] + moves(row, own)
        else:
            kind = NEW
            if key not in fresh:
                fresh[key] = tau.ravel() * _standard(fit, data, rng, draws)
            mean = (mu.ravel() if centers is None else centers[row]) + fresh[key]
            if isinstance(data.family, OnALinkedLine):
                mean = data.family.likelihood.link.theta(mean)
        if rows_differ and sigma is not None:
            sds = sigma.reshape(len(sigma), draws)
            if len(sds) == 1:
                sd = sds[0]
            elif kind == NEW:
                sd = _new_sd(fit, data, draws)
            else:
                sd = sds[chosen, np.arange(draws)] if kind == UNKNOWN else sds[index[key]]
            nu = variables.errors_degrees(fit, data)
            t = rng.standard_normal(draws) if nu is None else rng.standard_t(nu.ravel())
            error = sd * t if weights is None else sd * t / np.sqrt(weights[row])
            if nu is not None:
                moments = student_t_moments(mean, np.broadcast_to(sd, nu.size), nu.ravel())
                undefined = {name: value for name, value in moments.items() if np.isnan(value)}
        described = {**_summary(data, mean + error), **undefined}
        rows.append({"group": name, "kind": kind, **described})
    return pd.DataFrame(rows)


def _standard(fit: Fit, data: GroupedData, rng: np.random.Generator, draws: int) -> FloatArray:
    """Draw how many taus new groups lie above mu."""
    z, name = rng.standard_normal(draws), data.family.degrees
    nu = variables.scalar(fit, data, name) if name else None
    if nu is None:
        return z
    half = 0.5 * nu.ravel()
    return np.asarray(z / np.sqrt(rng.gamma(half, 1 / half)))


def _new_sd(fit: Fit, data: GroupedData, draws: int) -> FloatArray:
    """Sd within a new group, where groups have their own; as the program draws it."""
    found = variables.scalar(fit, data, "sigma_new")
    if found is None:
        raise InputError(f"{fit.title} writes no sigma_new, the sd within a new group")
    return found.reshape(draws)


def _centers(
    fit: Fit, data: GroupedData, given: Mapping[str, Sequence[Any]], count: int
) -> FloatArray | None:
    """Draws of the regression line at each row, shape (count, draws); None without covariates."""
    own = data.stats.covariates
    if own is None:
        return None
    mu, beta = variables.intercept(fit, data), variables.coefficients(fit, data)
    if mu is None or beta is None:
        raise InputError(f"{fit.title} has no regression line that a new group would lie about")
    at = own.rows(given, count)
    return np.asarray(mu.ravel() + at @ beta.reshape(own.K, -1))


def _moves(
    fit: Fit, data: GroupedData, given: Mapping[str, Sequence[Any]], count: int
) -> Callable[[int, IntArray], FloatArray]:
    """What a row adds to the mean of a group, given in each draw, by what varies within groups."""
    own, beta = data.stats, variables.coefficients(fit, data)
    if not isinstance(own, AdjustedMeans) or beta is None:
        return lambda _, groups: np.zeros(len(groups))
    slopes, values = beta.reshape(len(beta), -1), own.covariates.values
    rows = np.where(own.vary, own.covariates.known(given, count), np.nan)

    def moved(row: int, groups: IntArray) -> FloatArray:
        apart = rows[row] - values[groups]
        return np.asarray((np.where(np.isnan(apart), 0.0, apart) * slopes.T).sum(axis=1))

    return moved


def _known(data: GroupedData) -> dict[tuple[str, str], int]:
    """Outer group (empty where it is not said) and label of each group to its index."""
    found = {("", label): j for j, label in enumerate(data.labels)}
    nesting = data.stats.nesting
    if nesting is None:
        return found
    for j, label in enumerate(data.labels):
        outer = nesting.labels[nesting.index[j]]
        found[outer, label.removeprefix(f"{outer} / ")] = j
    return found


def _of_outer(fit: Fit, data: GroupedData, labels: Sequence[str]) -> FloatArray:
    """Draws of the mean of each row's outer group, shape (count, draws)."""
    phi, nesting = variables.outer(fit, data), data.stats.nesting
    mu, omega = (variables.scalar(fit, data, name) for name in ("mu", "omega"))
    if phi is None or mu is None or omega is None or nesting is None:
        raise InputError(f"{fit.title} has no outer groups that a new group would lie in")
    flat = {label: row.ravel() for label, row in zip(nesting.labels, phi, strict=True)}
    rng = np.random.default_rng(2)
    rows = []
    for label in labels:
        if label not in flat:
            flat[label] = mu.ravel() + omega.ravel() * rng.standard_normal(mu.size)
        rows.append(flat[label])
    return np.stack(rows)


def _summary(data: GroupedData, outcome: FloatArray) -> dict[str, float]:
    """Describe draws, on the scale that people read."""
    low, middle, high = np.quantile(outcome, [0.025, 0.5, 0.975])
    found = {
        "mean": float(outcome.mean()),
        "sd": float(outcome.std(ddof=1)),
        "q2.5": float(low),
        "median": float(middle),
        "q97.5": float(high),
    }
    return {name: exponential.shown(data, value) for name, value in found.items()}
