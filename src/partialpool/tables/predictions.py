"""Predictive distributions: a new observation in a known group, a new group, and both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.fitting.normality import OBSERVATIONS, POPULATION, PRIOR
from partialpool.fitting.summarize import QUANTILES, means, summarize, usable
from partialpool.tables import variables
from partialpool.types import FloatArray

NEW_OBSERVATION = "new observation"
NEW_GROUP_MEAN = "new group mean"
NEW_OBSERVATION_IN_NEW_GROUP = "new observation in a new group"
"""What is predicted."""

_WITH_ERROR = ("mean", "sd", "q2.5", "median", "q97.5")
_STEPS = 60
_TOLERANCE = 1e-10


def predictions(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Predict observations and groups not yet seen.

    Returns
    -------
    DataFrame
        One row a model, quantity and, for the first quantity, group; u is the unit of the data.

        - `model`;
        - `quantity`: "new observation" (in the known group of the row), "new group mean" (mean
          of a group not seen yet) or "new observation in a new group";
        - `group`: label of the known group, or empty;
        - `mean`, `sd` (u): of the posterior predictive distribution;
        - `q2.5`, `q25`, `median`, `q75`, `q97.5` (u): its quantiles; the outer and the inner
          pair are the central 95 % and 50 % prediction intervals.

        Under complete pooling every group has the same mean, also a new one. Under partial
        pooling a new group comes from the population of groups; where there are covariates, it has
        their means over the groups. Under no pooling the data say
        nothing about a new group: its mean has its prior, normal(theta_location, theta_scale),
        shown where the program declares these inputs, and its observations have no row.

        A quantity is left out where the program lacks the variables it needs, or is not known to
        keep to the part of the normal model that it follows from
        (`partialpool.fitting.normality`).

    Notes
    -----
    A new observation is normal around theta_j with sd sigma in each draw, so its distribution
    is a mixture of as many normals; moments and quantiles are those of the mixture, without the
    noise of simulating from it (Rao-Blackwellization; Gelfand and Smith 1990, *Journal of the
    American Statistical Association* 85, 398-409). For new groups the program's own draws
    `theta_new` and `y_new` are used, or where it has none the mixture of
    normal(mu, tau^2) and of normal(mu, tau^2 + sigma^2).
    """
    frames = []
    for fit in fits:
        if not data.family.gaussian:
            frames += _of_counts(fit, data)
            continue
        frames += [
            frame
            for frame in (
                _in_known_groups(fit, data),
                _in_no_known_group(fit, data, NEW_GROUP_MEAN),
                _in_no_known_group(fit, data, NEW_OBSERVATION_IN_NEW_GROUP),
            )
            if frame is not None
        ]
    return variables.stacked(frames, ("model", "quantity", "group", "mean", "sd", *QUANTILES))


def errors(fit: Fit, data: GroupedData, rows: pd.DataFrame) -> pd.DataFrame:
    """Monte Carlo standard errors of rows of `predictions`, all of one fit.

    Returns
    -------
    DataFrame
        Errors of `mean`, `sd`, `q2.5`, `median` and `q97.5` under these names, in the unit of the
        data, with the index of `rows`. Where the program draws what is predicted they are those of
        its draws. Where the prediction is a mixture of normals, an error of a quantile is that of
        the share below it over the density there (delta method). NaN where nothing was drawn.
    """
    theta, sigma = variables.theta(fit, data), variables.sigma(fit, data)
    nu, with_t_errors = variables.errors_degrees(fit, data), None
    if nu is not None and theta is not None and sigma is not None:
        with_t_errors = _student_t(theta, sigma, nu)
    outcomes = {} if data.family.gaussian else _outcomes(fit, data)
    place = {label: j for j, label in enumerate(data.labels)}
    found = []
    for quantity, group in zip(rows["quantity"], rows["group"], strict=True):
        if not data.family.gaussian and quantity != NEW_GROUP_MEAN:
            drawn = outcomes[quantity]
            found.append(_errors(drawn[place[group] if group else 0], None))
        elif quantity == NEW_OBSERVATION:
            j = place[group]
            if theta is None or sigma is None:
                found.append(_errors(None, None))
            elif with_t_errors is not None:
                found.append(_errors(with_t_errors[j], None))
            else:
                found.append(_errors(None, (theta[j], sigma[j if len(sigma) > 1 else 0])))
        else:
            found.append(_errors(*_source(fit, data, quantity)))
    errors = pd.DataFrame(found, index=rows.index, columns=list(_WITH_ERROR))
    for name in ("mean", "sd"):  # of what does not exist there is no error
        errors.loc[rows[name].isna(), name] = np.nan
    return errors


def _errors(
    drawn: FloatArray | None, parts: tuple[FloatArray, FloatArray] | None
) -> dict[str, float]:
    if drawn is not None:
        found = summarize(drawn[None])
        return {name: float(found[f"mcse_{name}"][0]) for name in _WITH_ERROR}
    if parts is None or parts[0].ndim < 2:
        return dict.fromkeys(_WITH_ERROR, np.nan)
    mean, sd = np.broadcast_arrays(*parts)
    row = _mixture(mean, sd)
    deviations = [mean, (sd**2 + (mean - row["mean"]) ** 2) / (2 * row["sd"])]
    for name in _WITH_ERROR[2:]:
        z = (row[name] - mean) / sd
        density = (np.exp(-0.5 * z**2) / sd).mean() / np.sqrt(2 * np.pi)
        deviations.append(special.ndtr(z) / density)
    return dict(zip(_WITH_ERROR, means(np.stack(deviations))[1].tolist(), strict=True))


def mixture_quantiles(mean: FloatArray, sd: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Quantiles of an equal mixture of normal distributions.

    Newton's method on the distribution function, kept inside a shrinking bracket.

    Parameters
    ----------
    mean, sd
        Of the parts, shape (S,), each; sd above 0.
    probabilities
        Between 0 and 1, shape (P,).

    Returns
    -------
    array
        Shape (P,), in the unit of `mean`.
    """
    p = np.asarray(probabilities, dtype=np.float64)[:, None]
    z = special.ndtri(p)
    parts = mean + sd * z
    low, high = parts.min(axis=1, keepdims=True), parts.max(axis=1, keepdims=True)
    center, spread = mean.mean(), np.sqrt((sd**2).mean() + mean.var())
    at = np.clip(center + spread * z, low, high)
    for _ in range(_STEPS):
        standard = (at - mean) / sd
        excess = special.ndtr(standard).mean(axis=1, keepdims=True) - p
        low, high = np.where(excess < 0, at, low), np.where(excess < 0, high, at)
        slope = (np.exp(-0.5 * standard**2) / sd).mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = at - excess * np.sqrt(2 * np.pi) / slope
        inside = (newton >= low) & (newton <= high)
        moved = np.where(inside, newton, (low + high) / 2)
        done = bool((np.abs(moved - at) <= _TOLERANCE * spread).all())
        at = moved
        if done:
            break
    return np.asarray(at[:, 0])


def _of_counts(fit: Fit, data: GroupedData) -> list[pd.DataFrame]:
    """Predictions of counts in known groups and in a new one, and the parameter of a new group."""
    frames = []
    for quantity, draws in _outcomes(fit, data).items():
        groups = list(data.labels) if len(draws) > 1 or data.stats.J == 1 else [""]
        frames.append(_frame(fit, quantity, groups, [_drawn(each, whole=True) for each in draws]))
    new = _in_no_known_group(fit, data, NEW_GROUP_MEAN)
    return [*frames[:1], *([] if new is None else [new]), *frames[1:]]


def _outcomes(fit: Fit, data: GroupedData) -> dict[str, FloatArray]:
    """What is predicted, where it is a count, to draws of it, shape (groups or 1, chain, draw)."""
    family, rng = data.family, np.random.default_rng(1)
    size = family.next_size(data.stats)
    what, found = family.outcome(size), {}
    theta = variables.theta(fit, data)
    if theta is not None and fit.keeps(OBSERVATIONS):
        found[what] = family.draw_outcome(theta, size, rng)
    new = variables.scalar(fit, data, "theta_new")
    if new is not None and fit.keeps(OBSERVATIONS):
        found[f"{what} of a new group"] = family.draw_outcome(new[None], size, rng)
    return found


_Source = tuple[FloatArray | None, tuple[FloatArray, FloatArray] | None]
"""Draws of what is predicted, or means and sds of the normals that it is a mixture of."""


def _source(fit: Fit, data: GroupedData, quantity: str) -> _Source:
    """What a prediction of no known group is made from; nothing where the program lacks it."""
    return (_of_new_group if quantity == NEW_GROUP_MEAN else _in_new_group)(fit, data)


def _common(data: GroupedData) -> str:
    """What complete pooling expects of a new group: theta, or mu at the means of covariates."""
    return "theta" if data.stats.covariates is None else "mu"


def _of_new_group(fit: Fit, data: GroupedData) -> _Source:
    draws = variables.scalar(fit, data, "theta_new")
    if draws is None and fit.pooling == "complete":
        draws = variables.scalar(fit, data, _common(data))
    if draws is not None:
        return draws, None
    mu, tau = variables.scalar(fit, data, "mu"), variables.tau(fit, data)
    if mu is not None and tau is not None and fit.keeps(POPULATION):
        return None, (mu, tau)
    names = ("theta_location", "theta_scale")
    if fit.pooling == "none" and set(names) <= set(fit.record.inputs) and fit.keeps(PRIOR):
        location, scale = (np.array([fit.record.priors[name]]) for name in names)
        return None, (location, scale)
    return None, None


def _in_new_group(fit: Fit, data: GroupedData) -> _Source:
    draws = variables.scalar(fit, data, "y_new")
    if draws is not None:
        return draws, None
    if not fit.keeps(OBSERVATIONS) or (fit.pooling == "partial" and not fit.keeps(POPULATION)):
        return None, None
    sigma = variables.sigma(fit, data)
    center, tau = variables.scalar(fit, data, "mu"), variables.tau(fit, data)
    if fit.pooling == "complete":
        center, tau = variables.scalar(fit, data, _common(data)), np.zeros(1)
    if center is None or tau is None or sigma is None or len(sigma) != 1:
        return None, None
    return None, (center, np.hypot(tau, sigma[0]))


def _in_known_groups(fit: Fit, data: GroupedData) -> pd.DataFrame | None:
    theta, sigma = variables.theta(fit, data), variables.sigma(fit, data)
    if theta is None or sigma is None or not fit.keeps(OBSERVATIONS):
        return None
    single = fit.pooling == "complete" and len(sigma) == 1
    sigma, nu = np.broadcast_to(sigma, theta.shape), variables.errors_degrees(fit, data)
    if nu is not None:
        drawn = _student_t(theta, sigma, nu)
        found = [
            {**_drawn(each), **student_t_moments(of, sigma[0], nu)}
            for each, of in zip(drawn, theta, strict=True)
        ]
        return _frame(fit, NEW_OBSERVATION, list(data.labels), found)
    rows = [_mixture(theta[j], sigma[j]) for j in range(1 if single else len(theta))]
    rows = rows * len(theta) if single else rows
    return _frame(fit, NEW_OBSERVATION, list(data.labels), rows)


def student_t_moments(theta: FloatArray, sigma: FloatArray, nu: FloatArray) -> dict[str, float]:
    """Mean and sd of an observation with Student-t errors; NaN where they do not exist."""
    low = float(nu.min())
    if low <= 2:
        return {"mean": float(theta.mean()) if low > 1 else np.nan, "sd": np.nan}
    variance = float((sigma**2 * nu / (nu - 2)).mean() + theta.var(ddof=1))
    return {"mean": float(theta.mean()), "sd": math.sqrt(variance)}


def _student_t(theta: FloatArray, sigma: FloatArray, nu: FloatArray) -> FloatArray:
    """Draw an observation of each group with Student-t errors, shape (J, chain, draw)."""
    error = np.random.default_rng(1).standard_t(nu, size=theta.shape)
    return np.asarray(theta + sigma * error)


def _in_no_known_group(fit: Fit, data: GroupedData, quantity: str) -> pd.DataFrame | None:
    drawn, parts = _source(fit, data, quantity)
    nu, sigma = variables.errors_degrees(fit, data), variables.sigma(fit, data)
    new = variables.scalar(fit, data, "theta_new")
    if quantity == NEW_OBSERVATION_IN_NEW_GROUP and drawn is not None and nu is not None:
        moments = {} if new is None or sigma is None else student_t_moments(new, sigma[0], nu)
        return _frame(fit, quantity, [""], [{**_drawn(drawn), **moments}])
    if drawn is not None:
        return _frame(fit, quantity, [""], [_drawn(drawn)])
    return None if parts is None else _frame(fit, quantity, [""], [_mixture(*parts)])


def _mixture(mean: FloatArray, sd: FloatArray) -> dict[str, float]:
    """Moments and quantiles of a mixture of normals; NaN where draws are not usable."""
    mean, sd = (np.ravel(part).astype(np.float64) for part in (mean, sd))
    if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0).all()):
        return dict.fromkeys(("mean", "sd", *QUANTILES), np.nan)
    at = mixture_quantiles(mean, sd, np.array(list(QUANTILES.values())))
    spread = float(np.sqrt((sd**2).mean() + mean.var()))
    return {"mean": float(mean.mean()), "sd": spread, **dict(zip(QUANTILES, at, strict=True))}


def _drawn(draws: FloatArray, *, whole: bool = False) -> dict[str, float]:
    """Moments and quantiles of draws, of whole numbers whole ones; NaN where not finite."""
    if not usable(draws[None])[0][0]:
        return dict.fromkeys(("mean", "sd", *QUANTILES), np.nan)
    method = "inverted_cdf" if whole else "linear"
    at = np.quantile(draws, list(QUANTILES.values()), method=method)  # type: ignore[call-overload]
    moments = {"mean": float(draws.mean()), "sd": float(draws.std(ddof=1))}
    return {**moments, **dict(zip(QUANTILES, at, strict=True))}


def _frame(
    fit: Fit, quantity: str, groups: list[str], rows: list[dict[str, float]]
) -> pd.DataFrame:
    about = {"model": fit.name, "quantity": quantity, "group": groups}
    return pd.DataFrame(about).join(pd.DataFrame(rows))
