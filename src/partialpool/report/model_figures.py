"""Figures of one model: its draws, its estimates, its prior and its chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from partialpool import plots
from partialpool.fitting import Fit
from partialpool.fitting.normality import CONDITIONAL
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import statements
from partialpool.report.drawing import Figure
from partialpool.report.wording import capital, highest, lowest, named, number, rows_of, run
from partialpool.tables import exponential, variables
from partialpool.tables.comparison import Comparison
from partialpool.tables.exactness import is_shipped
from partialpool.tables.per import SCALED
from partialpool.text import POSITIVE
from partialpool.types import FloatArray

_MOST_DRAWS = 4000
_SQUARED = {"tau2", "sigma2"}
_PLAIN = {"nu", "nu0"}
"""Degrees of freedom, which have no unit."""


def axes(comparison: Comparison) -> dict[str, Any]:
    """Titles that most figures take."""
    measured = exponential.axis_title(comparison.data)
    return {"axis_title": measured, "group_title": comparison.data.group_label}


def effect_axes(comparison: Comparison) -> dict[str, Any]:
    """Titles and kind of axis that figures of effects take."""
    measured = f"{capital(comparison.data.words.theta)}: {exponential.axis_title(comparison.data)}"
    return ratios(comparison) | {"axis_title": measured}


def ratios(comparison: Comparison) -> dict[str, Any]:
    """Titles and kind of axis that figures on the scale of the rows take."""
    return axes(comparison) | ({"ratios": True} if comparison.data.exp else {})


def _label(comparison: Comparison, parameter: str) -> str:
    """Symbol of a parameter with its unit."""
    unit = comparison.data.unit
    shown = plots.SYMBOLS.get(parameter, parameter)
    if parameter in _PLAIN:
        return shown
    if comparison.data.exp:
        return _of_logs(comparison, shown)
    if not unit or parameter not in plots.SYMBOLS:
        return shown
    return f"{shown}, ({unit})²" if parameter in _SQUARED else f"{shown}, {unit}"


def _of_logs(comparison: Comparison, shown: str) -> str:
    """Say of draws of logarithms that they are such, where ratios are shown elsewhere."""
    return f"{shown} (log scale)" if comparison.data.exp else shown


def center(comparison: Comparison) -> str:
    """Symbol of the population's mean, as figures of effects show it."""
    return "exp(μ)" if comparison.data.exp else "μ"


def _theta(comparison: Comparison) -> str:
    """Symbol of a group's parameter, as figures of effects show it."""
    return "exp(θ)" if comparison.data.exp else "θ"


def _draws(
    comparison: Comparison, fit: Fit, parameters: dict[str, tuple[str, int]]
) -> pd.DataFrame:
    """Draws in long form; `parameters` maps a panel to a variable and an index of the group."""
    frames = []
    for panel, (name, j) in parameters.items():
        found = variables.by_group(fit, comparison.data, name)
        if found is None:
            continue
        chains, draws = found.shape[1:]
        frames.append(
            pd.DataFrame(
                {
                    "parameter": panel,
                    "chain": np.repeat(np.arange(1, chains + 1), draws),
                    "draw": np.tile(np.arange(draws), chains),
                    "value": _per(comparison, name) * found[j].ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _scalars(comparison: Comparison, fit: Fit) -> list[str]:
    """Scalars that figures show, those of the shipped programs first."""
    order = (*comparison.data.family.population, "theta", "sigma2")
    known = [name for name in order if name in fit.posterior]
    return [n for n in known if variables.scalar(fit, comparison.data, n) is not None]


def _per(comparison: Comparison, name: str) -> int:
    """What draws of a variable are multiplied by where probabilities and rates are shown so."""
    return comparison.data.per if name in SCALED else 1


Maker = Callable[[str], Figure]


def of_model(
    comparison: Comparison, fit: Fit, model: statements.Model | None
) -> Iterator[tuple[str, Maker]]:
    """Yield the figures of a model: a name, and what prepares the figure of a key."""
    by_group = [
        name
        for name in ("theta", "sigma2")
        if fit.posterior.get(name) is not None and "group" in fit.posterior[name].dims
    ]
    scalars = _scalars(comparison, fit)
    if fit.pooling == "complete":
        yield "posterior", lambda key: _trace_density(comparison, fit, key)
    if fit.pooling == "none":
        yield "draws", lambda key: _boxes(comparison, fit, key)
    if "theta" in by_group:
        yield "theta", lambda key: _caterpillar(comparison, fit, key)
    if "sigma2" in by_group:
        yield "sigma2", lambda key: _caterpillar_sigma2(comparison, fit, key)
    between = variables.tau(fit, comparison.data) is not None and fit.keeps(CONDITIONAL)
    sds = comparison.data.family.population
    two = comparison.data.stats.nesting is None  # of three levels a table has the variances
    if between and two and "sigma" in sds and "sigma2" in fit.posterior:
        yield "variances", lambda key: _variances(comparison, fit, key)
    if fit.pooling == "partial" and scalars:
        yield "prior", lambda key: _prior(comparison, fit, model, key)


def _trace_density(comparison: Comparison, fit: Fit, key: str) -> Figure:
    names = [n for n in ("mu", "theta", "sigma2") if n in _scalars(comparison, fit)]
    labels = {n: _label(comparison, n) for n in names}
    return Figure(
        key,
        "trace_and_density",
        {
            "draws": _draws(comparison, fit, {n: (n, 0) for n in names}),
            "labels": labels,
            "lower": {"sigma2": 0.0},
        },
        f"Trace of each chain and posterior density under {fit.title}.",
        f"Traces and posterior densities of {' and '.join(labels.values())} under {fit.title}. "
        + " ".join(_summary(comparison, fit, n) for n in names),
    )


def _summary(comparison: Comparison, fit: Fit, parameter: str) -> str:
    row = rows_of(comparison.table("estimates", model=fit.name, parameter=parameter))[0]
    shown = plots.SYMBOLS.get(parameter, parameter)
    if comparison.data.exp and parameter in exponential.PARAMETERS:
        shown = f"exp({shown})"
    middle = "median" if parameter in POSITIVE else "mean"
    center, low, high = (
        number(row[name], row[f"mcse_{name}"], of=parameter) for name in (middle, "q2.5", "q97.5")
    )
    return f"{shown}: {middle} {center}, 95 % interval {low} to {high}."


def _ends(comparison: Comparison, fit: Fit, parameter: str) -> str:
    """Name the lowest and the highest median of a parameter by group, for an alt text."""
    rows = comparison.table("estimates", model=fit.name, parameter=parameter)
    rows = rows[rows["group"] != ""]
    low, high = lowest(rows, "median"), highest(rows, "median")
    return run(
        "Medians",
        *((number(row["median"], row["mcse_median"]), row["group"]) for row in (low, high)),
    )


def _boxes(comparison: Comparison, fit: Fit, key: str) -> Figure:
    theta = variables.by_group(fit, comparison.data, "theta")
    if theta is None:
        raise ValueError(f"{fit.name} has no theta")
    medians = comparison.table("estimates", model=fit.name, parameter="theta")["median"].to_numpy()
    order = np.arange(len(theta))
    if len(order) > plots.MANY:
        order = np.argsort(-medians, kind="stable")
    kept, left_out = plots.extremes([comparison.data.labels[j] for j in order])
    index = [comparison.data.labels.index(label) for label in kept]
    flat = theta.reshape(len(theta), -1)[index]
    flat = flat[:, :: max(1, flat.shape[1] // _MOST_DRAWS)]
    labels = np.repeat(np.array(kept, dtype=object), flat.shape[1])
    values = exponential.shown(comparison.data, flat.ravel())
    frame = pd.DataFrame({"group": labels, "value": values})
    return Figure(
        key,
        "draws_by_group",
        {"draws": frame, "left_out": left_out, **effect_axes(comparison)},
        f"Box plots of the draws of {_theta(comparison)} by {comparison.data.group_label} under "
        f"{fit.title}.",
        f"Box plots of posterior draws of the {comparison.data.words.thetas} under "
        f"{fit.title}. " + _ends(comparison, fit, "theta"),
    )


def grand_mean(comparison: Comparison) -> str:
    """What the mean of all data is called, as a line in a figure."""
    said = comparison.data.words.reference
    return f"geometric {said}" if comparison.data.exp else said


def _caterpillar(comparison: Comparison, fit: Fit, key: str) -> Figure:
    frame = comparison.table("estimates", model=fit.name, parameter="theta")
    mu = comparison.table("estimates", model=fit.name, parameter="mu")
    arguments = {"estimates": pd.concat([frame, mu], ignore_index=True), **effect_axes(comparison)}
    if mu.empty:
        arguments |= {
            "reference": exponential.shown(comparison.data, comparison.data.stats.grand_mean),
            "reference_label": grand_mean(comparison),
        }
    return Figure(
        key,
        "caterpillar",
        arguments,
        f"Central 50 % and 95 % intervals of {_theta(comparison)} by {comparison.data.group_label}"
        f"{'' if mu.empty else f', and of {center(comparison)}'}, under {fit.title}.",
        f"Caterpillar plot of the {comparison.data.words.thetas} under {fit.title}. "
        + _ends(comparison, fit, "theta"),
    )


def _caterpillar_sigma2(comparison: Comparison, fit: Fit, key: str) -> Figure:
    return Figure(
        key,
        "caterpillar",
        {
            "estimates": comparison.table("estimates", model=fit.name, parameter="sigma2"),
            "axis_title": _label(comparison, "sigma2"),
            "group_title": comparison.data.group_label,
            "reference": comparison.data.stats.unit_sd**2,
            "reference_label": "variance of all observations" + comparison.data.words.scaled,
            "log": True,
        },
        f"Central 50 % and 95 % intervals of σ² by {comparison.data.group_label}, under "
        f"{fit.title}; logarithmic axis.",
        f"Caterpillar plot of the variances within groups under {fit.title}. "
        + _ends(comparison, fit, "sigma2"),
    )


def _variances(comparison: Comparison, fit: Fit, key: str) -> Figure:
    frame = comparison.table("estimates", model=fit.name)
    frame = frame[frame["parameter"].isin(["sigma2", "tau2"]) & (frame["group"] == "")]
    unit = comparison.data.unit
    return Figure(
        key,
        "caterpillar",
        {
            "estimates": frame,
            "axis_title": f"Variance, ({unit})²" if unit else "Variance",
            "group_title": "",
        },
        f"Variance within groups, σ², and {_between(comparison)}, τ², under {fit.title}.",
        f"Caterpillar plot of σ² and τ² under {fit.title}. "
        + " ".join(_summary(comparison, fit, p) for p in frame["parameter"]),
    )


def _prior(comparison: Comparison, fit: Fit, model: statements.Model | None, key: str) -> Figure:
    draws: dict[str, FloatArray] = {}
    family = comparison.data.family
    for name in family.pictured or family.population:
        found = variables.scalar(fit, comparison.data, name)
        if found is not None:
            draws[name] = found
    sds = variables.tau(fit, comparison.data), variables.sigma(fit, comparison.data)
    known = sds[1] is not None and len(sds[1]) == 1 and fit.keeps(CONDITIONAL)
    if sds[0] is not None and sds[1] is not None and known and family.has_icc:
        draws["R"] = sds[0] ** 2 / (sds[0] ** 2 + sds[1][0] ** 2)
    bounds = dict.fromkeys((*draws, "tau", "sigma"), (0.0, np.inf)) | {"R": (0.0, 1.0)}
    bounds |= {"mu": family.support, "location": (-np.inf, np.inf)}
    curves, overlaid = [], []
    stated = {
        name: statements.prior_of(model, name, fit.record.priors) if model else None
        for name in (*draws, "tau", "sigma")
        if name != "R"
    }
    for name, values in draws.items():
        low, high = bounds[name]
        curve = plots.density(values, lower=low, upper=high)
        curves.append(curve.assign(parameter=name))
        grid = curve["value"].to_numpy()
        prior = stated.get(name)
        if not family.gaussian and name in ("tau", "R"):
            overlaid += _prior_of_spread(comparison, fit, name, grid)
        if prior is not None:
            overlaid.append(
                pd.DataFrame({"value": grid, "density": prior.density(grid), "parameter": name})
            )
        tau, sigma = stated["tau"], stated["sigma"]
        if name == "R" and tau is not None and sigma is not None:
            overlaid.append(_prior_of_share(tau, sigma))
    for part in (*curves, *overlaid) if comparison.data.per != 1 else ():
        factor = _per(comparison, str(part["parameter"].iloc[0]))
        part["value"], part["density"] = factor * part["value"], part["density"] / factor
    labels = {name: _label(comparison, name) for name in draws} | {"R": "R = τ² / (τ² + σ²)"}
    columns = ["value", "density", "parameter"]
    names = {name: plots.SYMBOLS.get(name, name) for name in draws}
    without = [names[name] for name in draws if name not in {f["parameter"][0] for f in overlaid}]
    return Figure(
        key,
        "prior_and_posterior",
        {
            "posterior": pd.concat(curves, ignore_index=True),
            "prior": pd.concat(overlaid, ignore_index=True)
            if overlaid
            else pd.DataFrame(columns=columns),
            "labels": labels,
        },
        f"Posterior (filled) and prior (dashed) densities under {fit.title}."
        + (f" No prior is drawn for {', '.join(without)}." if without else ""),
        f"Posterior densities with prior densities under {fit.title}. "
        + " ".join(_summary(comparison, fit, name) for name in draws if name != "R"),
    )


def _prior_of_spread(
    comparison: Comparison, fit: Fit, name: str, grid: FloatArray
) -> list[pd.DataFrame]:
    """Prior density of tau or R of a shipped program that states it in terms of another one."""
    if not is_shipped(fit):
        return []
    choice = comparison.data.family.base_choice(Priors(fit.record.priors))
    density = choice.tau_density(grid) if name == "tau" else choice.icc_density(grid)
    if density is None:
        return []
    return [pd.DataFrame({"value": grid, "density": density, "parameter": name})]


def _prior_of_share(tau: statements.Prior, sigma: statements.Prior) -> pd.DataFrame:
    """Prior density of R, from a histogram of independent prior draws."""
    rng = np.random.default_rng(1)
    size, bins = 400_000, 50
    t, s = tau.draws(size, rng), sigma.draws(size, rng)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        share = 1 / (1 + (s / t) ** 2)
    counts, edges = np.histogram(share[np.isfinite(share)], bins=bins, range=(0, 1))
    middle = 0.5 * (edges[1:] + edges[:-1])
    return pd.DataFrame({"value": middle, "density": counts * bins / size, "parameter": "R"})


def chains(comparison: Comparison, fit: Fit, function: str) -> Maker:
    """Traces or rank plots of the scalars and of the group mean that mixes worst."""

    def make(key: str) -> Figure:
        panels = {name: (name, 0) for name in _scalars(comparison, fit) if name != "sigma2"}
        labels = {name: _of_logs(comparison, plots.SYMBOLS.get(name, name)) for name in panels}
        rows = comparison.table("estimates", model=fit.name)
        rows = rows[(rows["parameter"] == "theta") & (rows["group"] != "")]
        most = 3 if fit.pooling == "none" else 1
        for row in rows_of(rows.sort_values("ess_bulk", kind="stable").head(most)):
            panel = f"theta {row['group']}"
            panels[panel] = ("theta", comparison.data.labels.index(row["group"]))
            labels[panel] = f"{_of_logs(comparison, 'θ')}, {named(comparison, row['group'])}"
        worst = comparison.table("estimates", model=fit.name)["r_hat"].max()
        several = "parameter" if len(panels) == 1 else "parameters"
        kind = "Traces" if function == "traces" else "Rank histograms by chain"
        return Figure(
            key,
            function,
            {"draws": _draws(comparison, fit, panels), "labels": labels},
            f"{kind} under {fit.title}"
            + (
                f": of the {comparison.data.words.thetas}, those with the fewest effective draws."
                if len(rows)
                else "."
            ),
            f"{kind} of {len(panels)} {several} under {fit.title}; the largest R-hat of all "
            f"parameters is {worst:.3f}.",
        )

    return make


def _between(comparison: Comparison) -> str:
    """What tau^2 is a variance of."""
    plain = comparison.data.stats.covariates is None
    return "between groups" if plain else "of the group means about the line"
