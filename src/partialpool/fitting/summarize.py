"""Draws -> numbers: posterior summaries with their Monte Carlo errors, array by array.

Everything here takes an array of draws of shape (quantity, chain, draw) and returns arrays of
shape (quantity,). A quantity whose draws are not all finite is NaN throughout; one whose draws
are all equal keeps its mean and quantiles and has NaN for every error and diagnostic, because
nothing can be said of draws that never move.

R-hat and the effective sample sizes are ArviZ's, through its array functions: these do the same
work as its xarray functions without the cost of xarray on every quantity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray
from scipy import special
from scipy import stats as distributions

from partialpool.types import FloatArray

QUANTILES = {"q2.5": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q97.5": 0.975}
"""Column names of quantiles, and the probability below each."""

_TAILS = (0.05, 0.95)
_ONE_SD = (0.1586553, 0.8413447)
_CHUNK = 2_000_000
_FEWEST = 4
_CACHED = 100_000


def usable(draws: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which quantities have finite draws, and which of these move.

    Returns
    -------
    finite, moving
        Arrays of shape (quantity,); `moving` implies `finite`.
    """
    flat = draws.reshape(len(draws), -1)
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    moving: NDArray[np.bool_] = finite & (flat != flat[:, :1]).any(axis=1)
    return finite, moving


def summarize(draws: FloatArray, *, independent: bool = False) -> dict[str, FloatArray]:
    """Summarize each quantity in full.

    Parameters
    ----------
    draws
        Shape (quantity, chain, draw).
    independent
        Whether the draws are known to be independent: then nothing need be estimated of how many
        they are worth.

    Returns
    -------
    dict
        Arrays of shape (quantity,):

        - `mean`, `sd` (divisor: draws - 1), `q2.5`, `q25`, `median`, `q75`, `q97.5`, in the unit
          of the draws;
        - `mcse_mean`, `mcse_sd`, `mcse_q2.5` and so on, Monte Carlo standard errors in the unit of
          the draws;
        - `r_hat`, rank-normalised split R-hat (NaN for a single chain);
        - `ess_bulk`, `ess_tail`, effective numbers of draws for the middle and for the 5 % and
          95 % quantiles (the smaller of the two).

    Notes
    -----
    R-hat, ESS and the errors of mean and quantiles are those of Vehtari, Gelman, Simpson,
    Carpenter and Bürkner (2021, *Bayesian Analysis* 16, 667-718).
    """
    names = (
        "mean",
        "sd",
        "mcse_mean",
        "mcse_sd",
        *QUANTILES,
        *(f"mcse_{name}" for name in QUANTILES),
        "r_hat",
        "ess_bulk",
        "ess_tail",
    )
    found = {name: np.full(len(draws), np.nan) for name in names}
    step = max(1, _CHUNK // max(1, draws[0].size)) if len(draws) else 1
    for start in range(0, len(draws), step):
        block = draws[start : start + step]
        finite, moving = usable(block)
        for keep, describe in ((finite, _describe), (moving, _diagnose)):
            rows = start + np.flatnonzero(keep)
            if len(rows) and block[0].size > 1:
                for name, values in describe(block[keep], independent).items():
                    found[name][rows] = values
    return found


def convergence(draws: FloatArray, *, independent: bool = False) -> dict[str, FloatArray]:
    """Tell whether chains agree, and how many independent draws they are worth.

    Parameters
    ----------
    draws
        Shape (quantity, chain, draw), with at least four draws.
    independent
        Whether they are known to be independent. Then R-hat is 1 and both sizes are the number of
        draws, by how they were made; computed, they would differ from these by noise alone.

    Returns
    -------
    dict
        `r_hat`, `ess_bulk`, `ess_tail` as in `summarize`; NaN for draws that are not finite.
    """
    if independent:
        known = np.where(usable(draws)[1], 1.0, np.nan)
        size = float(draws[0].size) if len(draws) else 0.0
        return {"r_hat": known, "ess_bulk": size * known, "ess_tail": size * known}
    split = _split(draws)
    scores = _normal_scores(split)
    folded = _normal_scores(np.abs(split - np.median(split, axis=(1, 2), keepdims=True)))
    tails = sample_quantiles(draws.reshape(len(draws), -1), _TAILS)
    with np.errstate(all="ignore"):
        r_hat = [array_stats.rhat(part, method="identity") for part in (scores, folded)]
        return {
            "r_hat": np.maximum(*r_hat) if draws.shape[1] > 1 else np.full(len(draws), np.nan),
            "ess_bulk": array_stats.ess(scores, method="identity"),
            "ess_tail": np.minimum(*(_ess_below(split, at) for at in tails)),
        }


def means(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of each quantity and its Monte Carlo standard error (NaN where it never moves)."""
    finite, moving = usable(draws)
    mean = np.full(len(draws), np.nan)
    mean[finite] = _center(draws[finite])[0]
    error = np.full(len(draws), np.nan)
    if moving.any() and draws.shape[-1] >= _FEWEST:
        standard, _, scale = _standardize(draws[moving])
        with np.errstate(all="ignore"):
            error[moving] = scale * array_stats.mcse(standard, method="mean")
    return mean, error


def quantiles(draws: FloatArray, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """Quantiles of each quantity by the names in `QUANTILES`; NaN where draws are not finite."""
    finite, _ = usable(draws)
    flat = draws.reshape(len(draws), -1)
    found = {name: np.full(len(draws), np.nan) for name in names}
    if finite.any():
        at = sample_quantiles(flat[finite], [QUANTILES[name] for name in names])
        for name, values in zip(names, at, strict=True):
            found[name][finite] = values
    return found


def sample_quantiles(draws: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Quantiles of each row, shape (probability, row), to the last digit those of `numpy.quantile`.

    Sorting takes a third of the time of NumPy's partition about several places.

    Parameters
    ----------
    draws
        Shape (quantity, draw).
    probabilities
        Between 0 and 1.
    """
    found = np.empty((len(probabilities), len(draws)))
    step = max(1, _CACHED // max(1, draws.shape[1]))
    for start in range(0, len(draws), step):
        rows = slice(start, start + step)
        found[:, rows] = _of_ordered(np.sort(draws[rows], axis=1), probabilities)
    return found


def _of_ordered(ordered: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Quantiles of ascending rows, by linear interpolation, shape (probability, row)."""
    last = ordered.shape[1] - 1
    place = np.asarray(probabilities) * last
    below = np.floor(place).astype(np.intp)
    share = place - below
    low, high = ordered[:, below], ordered[:, np.minimum(below + 1, last)]
    step = high - low
    found = np.where(share >= 0.5, high - step * (1 - share), low + step * share)
    found[np.isnan(ordered[:, -1])] = np.nan  # these are last
    return np.asarray(found.T)


def covariance_of_means(draws: FloatArray) -> FloatArray:
    """Monte Carlo covariance of the means of many quantities at once, by batch means.

    Each chain is cut into batches of about the square root of its length; the covariance of
    the batch means over all chains, divided by their number, estimates the covariance of the
    overall means (Vats, Flegal and Jones 2019, *Biometrika* 106, 321-337). The error of any
    contrast of means follows from it.

    Returns
    -------
    array
        Shape (quantity, quantity), unit squared; NaN where there are too few draws.
    """
    quantity, chains, length = draws.shape
    size = int(np.sqrt(length))
    count = length // size if size else 0
    if chains * count < _FEWEST:
        return np.full((quantity, quantity), np.nan)
    batches = draws[:, :, : count * size].reshape(quantity, chains * count, size).mean(axis=2)
    with np.errstate(invalid="ignore"):
        covariance: FloatArray = np.atleast_2d(np.cov(batches)) / (chains * count)
    return covariance


def _center(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean, and the draws about it: computed from a draw as origin, safe with a large offset."""
    flat = draws.reshape(len(draws), -1)
    origin = flat[:, :1]
    shifted = flat - origin
    shift = shifted.mean(axis=1, keepdims=True)
    return (origin + shift)[:, 0], (shifted - shift).reshape(draws.shape)


def _standardize(draws: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    mean, centered = _center(draws)
    scale = centered.reshape(len(draws), -1).std(axis=1, ddof=1)
    return centered / scale[:, None, None], mean, scale


def _describe(draws: FloatArray, _independent: bool) -> dict[str, FloatArray]:
    mean, centered = _center(draws)
    flat = draws.reshape(len(draws), -1)
    at = sample_quantiles(flat, list(QUANTILES.values()))
    sd = centered.reshape(len(draws), -1).std(axis=1, ddof=1)
    return {"mean": mean, "sd": sd, **dict(zip(QUANTILES, at, strict=True))}


def _diagnose(draws: FloatArray, independent: bool) -> dict[str, FloatArray]:
    """Errors and diagnostics of quantities that move."""
    if draws.shape[-1] < _FEWEST:
        return {}
    standard, _, scale = _standardize(draws)
    found = convergence(standard, independent=independent)
    size = np.full(len(draws), draws[0].size) if independent else None
    with np.errstate(all="ignore"):
        of_mean = array_stats.mcse(standard, method="mean") if size is None else size**-0.5
        found["mcse_mean"] = scale * of_mean
        found["mcse_sd"] = scale * _sd_error(standard, size)
        ordered = np.sort(standard.reshape(len(draws), -1), axis=1)
        split = _split(standard)
        for name, probability in QUANTILES.items():
            ess = size
            if ess is None:
                ess = _ess_below(split, _of_ordered(ordered, (probability,))[0])
            found[f"mcse_{name}"] = scale * _quantile_error(ordered, probability, ess)
    return found


def _split(draws: FloatArray) -> FloatArray:
    """Cut each chain in two halves, without the draw in the middle of an odd number."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _ess_below(split: FloatArray, at: FloatArray) -> FloatArray:
    """Effective sample size of the share of draws up to `at`, shape (quantity,).

    What ArviZ calls that of a quantile, without its search for the quantile of each quantity.
    """
    ess = np.asarray(array_stats.ess(split <= at[:, None, None], method="identity"))
    return np.where(np.isnan(at), np.nan, ess)


def _normal_scores(draws: FloatArray) -> FloatArray:
    """Rank-normalise each quantity over all its draws (ties share their mean rank)."""
    ranks = distributions.rankdata(draws.reshape(len(draws), -1), axis=1)
    scores: FloatArray = special.ndtri((ranks - 0.375) / (ranks.shape[1] + 0.25))
    return scores.reshape(draws.shape)


def _sd_error(standard: FloatArray, size: FloatArray | None) -> FloatArray:
    """Monte Carlo standard error of the sd, which is 1, from the squared deviations' own ESS.

    ArviZ 0.8 takes the ESS of the mean instead, which is too large where draws alternate about it.
    """
    squares = standard.reshape(len(standard), -1) ** 2
    worth = array_stats.ess(standard, method="sd") if size is None else size
    return np.asarray(0.5 * squares.std(axis=1) / np.sqrt(worth))


def _quantile_error(ordered: FloatArray, probability: float, ess: FloatArray) -> FloatArray:
    """Half the distance of the draws at -1 and +1 sd of a beta-distributed rank."""
    size = ordered.shape[1]
    a, b = ess * probability + 1, ess * (1 - probability) + 1
    low, high = (special.betaincinv(a, b, edge) * size - 1 for edge in _ONE_SD)
    known = np.isfinite(low) & np.isfinite(high)
    first = np.floor(np.clip(np.where(known, low, 0), 0, size - 1)).astype(int)
    last = np.ceil(np.clip(np.where(known, high, 0), 0, size - 1)).astype(int)
    rows = np.arange(len(ordered))
    return np.where(known, (ordered[rows, last] - ordered[rows, first]) / 2, np.nan)
