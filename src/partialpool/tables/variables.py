"""What the tables take from a fit: theta, sigma and the rest as arrays, whatever is there.

A user's program may lack any variable of the shipped ones; a variable that is absent, or whose
shape fits neither the population nor the groups, comes back as None and its rows are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.linked.line import OnALinkedLine, Populations
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL
from partialpool.tables import variables
from partialpool.types import FloatArray


def by_group(fit: Fit, data: GroupedData, name: str) -> FloatArray | None:
    """Draws of a variable, shape (J, chain, draw) by group or (1, chain, draw) for a scalar.

    Raises
    ------
    InputError
        The draws are of other groups than the data's.
    """
    posterior = fit.posterior
    if name not in posterior:
        return None
    array = posterior[name]
    if set(array.dims) == {"chain", "draw"}:
        return np.asarray(array.transpose("chain", "draw"), dtype=np.float64)[None]
    if set(array.dims) != {"chain", "draw", "group"}:
        return None
    _check_groups(fit, data)
    return np.ascontiguousarray(array.transpose("group", "chain", "draw"), dtype=np.float64)


def scalar(fit: Fit, data: GroupedData, name: str) -> FloatArray | None:
    """Draws of a variable without groups, shape (chain, draw)."""
    found = by_group(fit, data, name)
    return found[0] if found is not None and _is_scalar(fit, name) else None


def coefficients(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Slopes of the covariates in the data's units, shape (K, chain, draw); None without them."""
    found = data.stats.covariates
    if found is None or "beta" not in fit.posterior:
        return None
    array = fit.posterior["beta"]
    if set(array.dims) != {"chain", "draw", "covariate"}:
        return None
    return np.asarray(array.transpose("covariate", "chain", "draw"), dtype=np.float64)


def center(fit: Fit, data: GroupedData) -> FloatArray | None:
    """What theta is drawn towards, shape (1, chain, draw), or (J, chain, draw) where it differs.

    Under partial pooling mu, the regression line at each group's covariates, or the mean of its
    outer group; under complete pooling theta itself.
    """
    if fit.pooling == "complete":
        return by_group(fit, data, "theta")
    if data.stats.nesting is not None:
        phi = outer(fit, data)
        return None if phi is None else phi[data.stats.nesting.index]
    if isinstance(data.family, OnALinkedLine):
        found = populations(fit, data)
        return None if found is None else found.mean
    if data.stats.covariates is not None:
        found_line = line(fit, data)
        return None if found_line is None else found_line[0]
    mu = scalar(fit, data, "mu")
    return None if mu is None else mu[None]


def line(fit: Fit, data: GroupedData) -> tuple[FloatArray, FloatArray] | None:
    """Regression line at each group's covariates, and the sd about it, where it is normal.

    Of probabilities and rates that is the scale of their logits or logarithms.

    Returns
    -------
    line, sd
        Draws, shapes (J, chain, draw) and (chain, draw); an sd of 0 puts the groups on the line.
        None where there is no line.
    """
    found = intercept(fit, data), coefficients(fit, data), spread(fit, data)
    middle, beta, sd = found
    if data.stats.covariates is None or middle is None or beta is None or sd is None:
        return None
    return np.asarray(middle + np.tensordot(data.stats.covariates.centered, beta, axes=1)), sd


def intercept(fit: Fit, data: GroupedData) -> FloatArray | None:
    """The line at the means of the covariates, shape (chain, draw)."""
    return scalar(fit, data, "location" if isinstance(data.family, OnALinkedLine) else "mu")


def spread(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Sd about the line, shape (chain, draw); 0 under complete pooling."""
    if fit.pooling == "complete":
        sizes = fit.posterior.sizes
        return np.zeros((sizes["chain"], sizes["draw"]))
    if isinstance(data.family, OnALinkedLine):
        return scalar(fit, data, "scale")
    return tau(fit, data)


def populations(fit: Fit, data: GroupedData) -> Populations | None:
    """Populations of theta about a line on another scale, shape (J, chain, draw) each."""
    found = line(fit, data)
    if found is None or not isinstance(data.family, OnALinkedLine) or fit.pooling != "partial":
        return None
    return data.family.at(*found)


def outer(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Means of the outer groups, shape (K, chain, draw); None without them."""
    if data.stats.nesting is None or "phi" not in fit.posterior:
        return None
    array = fit.posterior["phi"]
    if set(array.dims) != {"chain", "draw", "outer_group"}:
        return None
    return np.asarray(array.transpose("outer_group", "chain", "draw"), dtype=np.float64)


def theta(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Group means, shape (J, chain, draw); a single theta stands for every group."""
    found = by_group(fit, data, "theta")
    if found is None:
        return None
    return np.broadcast_to(found, (data.stats.J, *found.shape[1:]))


def sigma(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Sds within groups, shape (J or 1, chain, draw), from `sigma` or else from `sigma2`."""
    return _sd(fit, data, "sigma")


def error_sd(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Sd of the errors in units of the family's weights, shape (J or 1, chain, draw).

    The sd within groups where it is a parameter; 1 where standard errors are known.
    """
    if isinstance(data.family, OnALinkedLine):
        found = populations(fit, data)
        return None if found is None else found.error_sd
    if data.stats.error_sd:
        return sigma(fit, data)
    sizes = fit.posterior.sizes
    return np.ones((1, sizes["chain"], sizes["draw"]))


def errors_degrees(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Degrees of freedom of the errors, shape (chain, draw); None where these are normal."""
    name = data.family.errors_degrees
    return scalar(fit, data, name) if name and fit.pooling == "partial" else None


def tau(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Sd between group means, shape (chain, draw), from `tau` or else from `tau2`."""
    found = _sd(fit, data, "tau")
    return found[0] if found is not None and len(found) == 1 else None


def local_tau(fit: Fit, data: GroupedData) -> FloatArray | None:
    """Sd of the normal population that each group is drawn from.

    tau, shape (chain, draw); of a Student-t population tau times the group's scale, shape
    (J, chain, draw), and so is that of theta at the group's covariates about a line on another
    scale.
    """
    if isinstance(data.family, OnALinkedLine):
        about = populations(fit, data)
        return None if about is None else about.sd
    found, name = tau(fit, data), data.family.local_scale
    scale = by_group(fit, data, name) if name else None
    return found if found is None or scale is None else np.asarray(found * scale)


def compared(
    fits: Sequence[Fit], data: GroupedData, *, groups: Sequence[str] | None, limit: int
) -> NDArray[np.int64]:
    """Choose the groups of a table that grows with their square.

    Parameters
    ----------
    fits
        The first one that pools partially (or the first of all that has group means) orders the
        groups, so that every model shows the same ones.
    groups
        Labels to show; None for all, or for the `limit` with the largest posterior means.
    limit
        Number of groups shown where `groups` is None.

    Returns
    -------
    array
        Indices into the data's labels, ascending.

    Raises
    ------
    InputError
        A label in `groups` that the data lack.
    """
    if groups is not None:
        index = {label: j for j, label in enumerate(data.labels)}
        unknown = [label for label in groups if label not in index]
        if unknown:
            known = ", ".join(repr(label) for label in data.labels[:10])
            more = f" and {data.stats.J - 10} more" if data.stats.J > 10 else ""
            raise InputError(f"no group {unknown[0]!r} in {data.name}; there are {known}{more}")
        return np.array(sorted({index[label] for label in groups}), dtype=np.int64)
    if limit >= len(data.labels):
        return np.arange(data.stats.J)
    order = data.stats.raw
    for fit in sorted(fits, key=lambda fit: fit.pooling != "partial"):
        draws = by_group(fit, data, "theta")
        if draws is not None and len(draws) == data.stats.J:
            order = draws.mean(axis=(1, 2))
            break
    return np.sort(np.argsort(-order, kind="stable")[:limit])


def stacked(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Stack frames of one form; with none, the form remains."""
    if not frames:
        return pd.DataFrame({column: [] for column in columns})
    return pd.concat(frames, ignore_index=True)[list(columns)]


def _sd(fit: Fit, data: GroupedData, name: str) -> FloatArray | None:
    found = by_group(fit, data, name)
    if found is not None:
        return found
    variance = by_group(fit, data, f"{name}2")
    if variance is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.sqrt(variance)


def _is_scalar(fit: Fit, name: str) -> bool:
    return fit.posterior[name].ndim == 2


def _check_groups(fit: Fit, data: GroupedData) -> None:
    labels = tuple(str(label) for label in fit.posterior["group"].to_numpy())
    if labels != data.labels:
        raise InputError(
            f"{fit.name} was fitted to other groups ({_some(labels)}) than those of {data.name} "
            f"({_some(data.labels)}); give the data that the fit was made from"
        )


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:3])
    return f"{shown} and {len(labels) - 3} more" if len(labels) > 3 else shown


def named_draws(fit: Fit, data: GroupedData) -> tuple[list[str], list[str], FloatArray]:
    """Draws of mu, tau, sigma, R and each theta_j, as far as the fit has them.

    Returns
    -------
    quantity, group, draws
        Names (`mu`, `tau`, `sigma`, `icc`, `theta`), labels (empty where there is none), and
        draws of shape (quantity, chain, draw).
    """
    found: list[tuple[str, str, FloatArray]] = []
    mu = variables.scalar(fit, data, "mu")
    tau, sigma = variables.tau(fit, data), variables.sigma(fit, data)
    if mu is not None:
        found.append(("mu", "", mu))
    beta, covariates = variables.coefficients(fit, data), data.stats.covariates
    if beta is not None and covariates is not None:
        found += [(f"beta[{n}]", "", b) for n, b in zip(covariates.names, beta, strict=True)]
    omega = variables.scalar(fit, data, "omega")
    if omega is not None:
        found.append(("omega", "", omega))
    if tau is not None:
        found.append(("tau", "", tau))
    if sigma is not None and len(sigma) == 1:
        if "sigma" in data.family.population:
            found.append(("sigma", "", sigma[0]))
        if tau is not None and fit.keeps(CONDITIONAL) and data.family.has_icc:
            with np.errstate(all="ignore"):
                found.append(("icc", "", tau**2 / (tau**2 + sigma[0] ** 2)))
    theta = variables.by_group(fit, data, "theta")
    if theta is not None:
        labels: Sequence[str] = data.labels if len(theta) == data.stats.J else [""]
        found += [("theta", label, draws) for label, draws in zip(labels, theta, strict=True)]
    if not found:
        raise InputError(f"{fit.name}: it has none of mu, tau, sigma and theta to report on")
    names, groups, draws = zip(*found, strict=True)
    return list(names), list(groups), np.stack(draws)


def label(row: Any) -> str:
    """Name of a row's quantity, with its group where it has one."""
    return f"{row['quantity']}[{row['group']}]" if row["group"] else str(row["quantity"])
