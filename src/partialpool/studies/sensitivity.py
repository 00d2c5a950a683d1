"""Does the answer depend on the prior? Refits under a set of choices, side by side.

Each choice is fitted with the program `sensitivity`, which takes the families of the priors as
data, so that nothing is compiled for a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.errors import InputError, SamplingError
from partialpool.fitting import Fit, diagnostics, fit_programs
from partialpool.fitting.summarize import summarize
from partialpool.fitting.without_rows import draw_choice
from partialpool.priors.choices import BASE, Choice, parse_choice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import toolchain
from partialpool.progress import Progress
from partialpool.settings import ADAPT_DELTA_OF_CHOICES, Settings
from partialpool.studies.power_scaling import (
    THRESHOLD,
    distance,
    joint_log_likelihood,
    power_scaling,
)
from partialpool.studies.prior_findings import findings
from partialpool.tables import shrinkage
from partialpool.tables.variables import label, named_draws
from partialpool.text import counted

PROGRAM = "sensitivity"
"""Name of the shipped program that the refits use."""

REFIT_POWERS = (0.5, 2.0)
"""Powers of the refits that confirm a flag: each is one doubling away from 1."""

_GRID = 256
_POWER = (
    *("choice", "quantity", "group", "prior", "likelihood", "diagnosis"),
    *("refit_prior", "refit_likelihood", "confirmed"),
)
_WIDE = ("mu", "tau", "icc", "pooling_factor", "theta")
_SUMMARY = ("mean", "mcse", "sd", "q2.5", "q97.5")

_DRAWN = "Stan's chains failed a diagnostic, so it was drawn from its exact posterior instead"


@dataclass(frozen=True)
class PriorComparison:
    """What refits under several choices of priors say.

    Attributes
    ----------
    choices
        The choices, the base first.
    fits
        Fit of each choice, by its name; a choice whose sampling failed is missing.
    estimates
        One row a choice and quantity: see `estimates_by_choice`.
    summary
        One row a choice: see `summarize_choices`.
    power
        Power-scaling of each choice: see `power_scaling`; with the columns `choice`, and
        `refit_prior` and `refit_likelihood`: the mean distance of two refits, under half and
        twice the power, from the fit itself (NaN where nothing was flagged), and `confirmed`
        (whether a flag held in the refits; False where there was none). Empty beyond
        `programs.DRAWN_GROUPS` groups, whose means are not drawn.
    densities
        Prior and posterior of tau by choice: see `tau_densities`.
    sentences
        The findings in words.
    """

    choices: tuple[Choice, ...]
    fits: Mapping[str, Fit]
    estimates: pd.DataFrame
    summary: pd.DataFrame
    power: pd.DataFrame
    densities: pd.DataFrame
    sentences: tuple[str, ...]


def compare_priors(
    data: GroupedData,
    *,
    priors: Priors,
    choices: Sequence[Choice] | None = None,
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    confirm: bool = True,
    progress: Progress | None = None,
) -> PriorComparison:
    """Refit the hierarchical model under each choice of priors and compare the answers.

    Parameters
    ----------
    data
        The observations.
    priors
        Prior settings, from which the base choice is made.
    choices
        What to compare, the first being the base; `default_choices` where None.
    settings
        How to sample; the same, with the same seed, for every choice. An acceptance rate that is
        left open is `settings.ADAPT_DELTA_OF_CHOICES`. A choice whose chains fail a diagnostic is
        drawn from its exact posterior instead.
    cmdstan
        The CmdStan to use; found where None.
    confirm
        Whether to refit, under half and twice the power, what power-scaling flags.
    progress
        Where to report.

    Raises
    ------
    InputError, ToolchainError, SamplingError
        The input is at fault, the program cannot be compiled, or the base cannot be sampled.
    """
    found = fit_choices(
        data, priors=priors, choices=choices, settings=settings, cmdstan=cmdstan, progress=progress
    )
    return found.compare(data, confirm=confirm, progress=progress)


@dataclass(frozen=True)
class ChoiceFits:
    """Refits under several choices of priors, yet to be compared.

    Attributes
    ----------
    choices, fits
        As in `PriorComparison`.
    failures
        What is said of choices whose sampling failed.
    refit
        Fits a choice again, with other inputs.
    """

    choices: tuple[Choice, ...]
    fits: Mapping[str, Fit]
    failures: tuple[str, ...]
    refit: Callable[..., Fit]

    def compare(
        self, data: GroupedData, *, confirm: bool = True, progress: Progress | None = None
    ) -> PriorComparison:
        """Compare the answers; `confirm` and `progress` as for `compare_priors`."""
        power = _power(self.choices, self.fits, data)
        flagged = [
            choice
            for choice in self.choices
            if _flagged(power, choice).any() and choice.bears(min(REFIT_POWERS))
        ]
        if confirm and flagged:
            doing = f"Checking by refits what power-scaling flags under {len(flagged)} of them"
            with (progress or Progress()).task(doing, len(flagged)) as task:
                for choice in flagged:
                    power = _confirm(power, choice, self.fits[choice.name], data, self.refit)
                    task.advance()
        return _comparison(self.choices, self.fits, data, power, self.failures)


def fit_choices(
    data: GroupedData,
    *,
    priors: Priors,
    choices: Sequence[Choice] | None = None,
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> ChoiceFits:
    """Refit the hierarchical model under each choice; as for `compare_priors`."""
    chosen = tuple(choices or data.family.default_choices(data.stats, priors))
    settings = (settings or Settings()).settled(ADAPT_DELTA_OF_CHOICES)
    progress = progress or Progress()
    cmdstan = cmdstan or toolchain.find_cmdstan(progress=progress)
    program = programs.load(PROGRAM, family=data.family.name)
    toolchain.compile_programs([program.path], cmdstan=cmdstan, progress=progress)

    def refit(choice: Choice, **changed: Any) -> Fit:
        extra = {**choice.inputs(), "prior_power": 1.0, **changed}
        (fit,) = fit_programs(
            [program],
            data,
            priors=Priors({}),
            settings=settings,
            cmdstan=cmdstan,
            extra=extra,
        )
        return fit.with_record(title=choice.name, choice=choice.describe())

    fits: dict[str, Fit] = {}
    failures: list[str] = []
    with progress.task(
        f"Fitting under {counted(len(chosen), 'choices')} of priors", len(chosen)
    ) as task:
        for choice in chosen:
            try:
                fits[choice.name] = refit(choice)
                if not diagnostics.trusted(diagnostics.check(fits[choice.name])):
                    drawn = draw_choice(program, choice, data, settings=settings)
                    drawn = drawn.with_record(title=choice.name, choice=choice.describe())
                    fits[choice.name] = drawn
                    failures.append(f"{choice.name}: {_DRAWN}")
            except SamplingError as error:
                if choice is chosen[0]:
                    raise
                failures.append(f"{choice.name}: sampling failed. {error}")
            task.advance()
    return ChoiceFits(chosen, fits, tuple(failures), refit)


def compare_fits(
    choices: Sequence[Choice], fits: Mapping[str, Fit], data: GroupedData
) -> PriorComparison:
    """Compare fits at hand, one a choice; flags of power-scaling are not confirmed."""
    return _comparison(tuple(choices), fits, data, _power(choices, fits, data), [])


def estimates_by_choice(fits: Mapping[str, Fit], data: GroupedData) -> pd.DataFrame:
    """Summarize what the answer consists of, choice by choice.

    Parameters
    ----------
    fits
        Name of each choice to its fit, the base first.

    Returns
    -------
    DataFrame
        One row a choice and quantity; u is the unit of the data.

        - `choice`;
        - `quantity`: `mu`, `tau`, `sigma`, `theta` (u), `icc` (R = tau^2 / (tau^2 + sigma^2)),
          `pooling_factor` (overall: see `pooling.variance`);
        - `group`: label, empty where the quantity has none;
        - `mean`, `mcse` (its Monte Carlo standard error), `sd`, `q2.5`, `q97.5`; the pooling
          factor is one number of the whole posterior and has no sd and no interval;
        - `movement`: mean minus the mean under the base, in posterior sds of the base;
        - `movement_mcse`: its Monte Carlo standard error.
    """
    columns = ("choice", "quantity", "group", *_SUMMARY, "movement", "movement_mcse")
    frames = []
    base: pd.DataFrame | None = None
    for name, fit in fits.items():
        quantity, group, draws = named_draws(fit, data)
        found = summarize(draws)
        found["mcse"] = found["mcse_mean"]
        frame = pd.DataFrame({"quantity": quantity, "group": group})
        frame = frame.assign(choice=name, **{column: found[column] for column in _SUMMARY})
        overall = shrinkage.variance([fit], data)
        overall = overall[overall["quantity"] == "pooling_factor"].drop(columns="model")
        if len(overall):
            overall = overall.assign(choice=name, group="")
            frame = pd.concat([frame, overall.reindex(columns=frame.columns)], ignore_index=True)
        base = frame if base is None else base
        both = frame.merge(base, on=["quantity", "group"], suffixes=("", "_base"), how="left")
        with np.errstate(divide="ignore", invalid="ignore"):
            frame["movement"] = (both["mean"] - both["mean_base"]) / both["sd_base"]
            frame["movement_mcse"] = np.hypot(both["mcse"], both["mcse_base"]) / both["sd_base"]
        if frame is base:
            frame["movement_mcse"] = np.where(frame["movement"].notna(), 0.0, np.nan)
        frames.append(frame[list(columns)])
    return pd.concat(frames, ignore_index=True)


def summarize_choices(
    choices: Sequence[Choice], fits: Mapping[str, Fit], estimates: pd.DataFrame
) -> pd.DataFrame:
    """Set the choices side by side, a row each.

    Returns
    -------
    DataFrame
        - `choice`, `priors` (the base's in full, for others what differs);
        - `mu`, `tau`, `icc`, `pooling_factor`, and `theta[<group>]` for every group: posterior
          means, and with `_mcse` their Monte Carlo standard errors, with `_q2.5` and `_q97.5` the
          ends of their central 95 % intervals (NaN where sampling failed; the pooling factor is
          one number of the whole posterior and has no interval);
        - `largest_movement` (in posterior sds of the base, with its sign), `moved` (the quantity
          and group that it belongs to);
        - `ess_min` (smallest bulk or tail ESS), `r_hat_max`, `divergences`, `trusted` (whether
          the fit passed its diagnostics).
    """
    rows = []
    for choice in choices:
        row: dict[str, Any] = {
            "choice": choice.name,
            "priors": choice.difference(choices[0]) or choice.describe(),
        }
        fit = fits.get(choice.name)
        if fit is None:
            rows.append({**row, "trusted": False})
            continue
        own = estimates[estimates["choice"] == choice.name]
        for _, found in own[own["quantity"].isin(_WIDE)].iterrows():
            name = label(found)
            row |= {name: found["mean"], f"{name}_mcse": found["mcse"]}
            row |= {f"{name}_{end}": found[end] for end in ("q2.5", "q97.5")}
        moved = own.dropna(subset="movement")
        if len(moved):
            most = moved.iloc[int(moved["movement"].abs().argmax())]
            row |= {"largest_movement": most["movement"], "moved": label(most)}
        checks = diagnostics.check(fit)
        value = checks.set_index("check")["value"]
        row |= {
            "ess_min": min(value["bulk ESS"], value["tail ESS"]),
            "r_hat_max": value["R-hat"],
            "divergences": int(value.get("divergences", 0)),
            "trusted": diagnostics.trusted(checks),
        }
        rows.append(row)
    theta = estimates[estimates["quantity"] == "theta"].drop_duplicates("group")
    columns = ["choice", "priors"]
    columns += ["largest_movement", "moved", "ess_min", "r_hat_max", "divergences", "trusted"]
    for name in [*_WIDE[:-1], *(label(row) for _, row in theta.iterrows())]:
        columns += [name, f"{name}_mcse", f"{name}_q2.5", f"{name}_q97.5"]
    without = {"pooling_factor_q2.5", "pooling_factor_q97.5"}
    return pd.DataFrame(rows, columns=[name for name in columns if name not in without])


def tau_densities(
    choices: Sequence[Choice], fits: Mapping[str, Fit], data: GroupedData
) -> pd.DataFrame:
    """Densities of tau before and after the data, on one grid for all choices.

    The grid ends where at most 0.5 % of any choice's draws lie beyond, or of the median choice's
    where one has a tail far longer than the others.

    Returns
    -------
    DataFrame
        One row a choice, kind and point: `choice`, `kind` (`prior` or `posterior`), `tau` (unit of
        the data), `density` (one over that unit).
    """
    draws = {}
    for name, fit in fits.items():
        names, _, values = named_draws(fit, data)
        draws[name] = values[names.index("tau")].ravel()
    ends = np.array([np.quantile(values, 0.995) for values in draws.values()])
    top = float(min(ends.max(), 3 * np.median(ends)))
    grid = np.linspace(0, top, _GRID + 1)[1:]
    frames = []
    for choice in choices:
        if choice.name not in draws:
            continue
        values = draws[choice.name]
        at, density, _ = array_stats.kde(
            values[values <= 1.5 * top], custom_lims=(0, None), bound_correction=True
        )
        share = float(np.mean(values <= 1.5 * top))
        posterior = share * np.interp(grid, at, density, right=0.0)
        prior = choice.tau_density(grid)
        for kind, shown in (
            ("prior", np.full_like(grid, np.nan) if prior is None else prior),
            ("posterior", posterior),
        ):
            about = {"choice": choice.name, "kind": kind}
            frames.append(pd.DataFrame({**about, "tau": grid, "density": shown}))
    return pd.concat(frames, ignore_index=True)


def _power(choices: Sequence[Choice], fits: Mapping[str, Fit], data: GroupedData) -> pd.DataFrame:
    frames = []
    for choice in choices:
        fit = fits.get(choice.name)
        if fit is not None and "theta" in fit.posterior:
            table = power_scaling(fit, data, log_likelihood=joint_log_likelihood(fit, data))
            table.insert(0, "choice", choice.name)
            frames.append(table)
    if not frames:
        return pd.DataFrame({column: [] for column in _POWER})
    power = pd.concat(frames, ignore_index=True)
    return power.assign(refit_prior=np.nan, refit_likelihood=np.nan, confirmed=False)


def _flagged(power: pd.DataFrame, choice: Choice) -> pd.Series[bool]:
    """Rows of a choice that power-scaling flags."""
    return (power["choice"] == choice.name) & (power["diagnosis"] != "")


def _confirm(
    power: pd.DataFrame,
    choice: Choice,
    fit: Fit,
    data: GroupedData,
    refit: Callable[..., Fit],
) -> pd.DataFrame:
    """Refit a choice with the prior, and with the data, at half and at twice the weight.

    A refit that fails, or that fails its diagnostics, confirms nothing.
    """
    power = power.copy()
    rows = power["choice"] == choice.name
    draws = named_draws(fit, data)[2]
    for component in ("prior", "likelihood"):
        distances = np.zeros(int(rows.sum()))
        for weight in REFIT_POWERS:
            try:
                other = refit(choice, **_weighted(component, weight, data))
            except SamplingError:
                distances[:] = np.nan
                break
            if not diagnostics.trusted(diagnostics.check(other)):
                distances[:] = np.nan
                break
            changed = named_draws(other, data)[2]
            distances += [distance(*pair) for pair in zip(draws, changed, strict=True)]
        power.loc[rows, f"refit_{component}"] = distances / len(REFIT_POWERS)
    power["confirmed"] |= _flagged(power, choice) & (power["refit_prior"] >= THRESHOLD)
    return power


def _weighted(component: str, weight: float, data: GroupedData) -> dict[str, Any]:
    """Inputs under which the prior, or the likelihood, is raised to a power.

    Every observation counted `weight` times is the likelihood to that power.
    """
    if component == "prior":
        return {"prior_power": weight}
    return data.family.weighted(data.stats, weight)


def _comparison(
    choices: tuple[Choice, ...],
    fits: Mapping[str, Fit],
    data: GroupedData,
    power: pd.DataFrame,
    failures: Sequence[str],
) -> PriorComparison:
    if not choices or choices[0].name not in fits:
        raise InputError("a comparison of priors needs a fit of its first choice, the base")
    estimates = estimates_by_choice(fits, data)
    summary = summarize_choices(choices, fits, estimates)
    return PriorComparison(
        choices=choices,
        fits=fits,
        estimates=estimates,
        summary=summary,
        power=power,
        densities=tau_densities(choices, fits, data),
        sentences=(*failures, *findings(choices, fits, summary, power)),
    )


def choose(texts: Sequence[str] | None, data: GroupedData, priors: Priors) -> tuple[Choice, ...]:
    """Settle which choices to compare: those given as text, or the default ones.

    Parameters
    ----------
    texts
        Names of choices, or priors written out: ``tau=half_cauchy(5)``, with a name of one's own
        ``wide: tau=half_cauchy(25), mu=normal(8, 10)``. What a text leaves out is as in the base
        choice. None for the default choices.

    Returns
    -------
    tuple of Choice
        The base choice comes first, whether named or not.

    Raises
    ------
    InputError
        An unknown name, a prior that cannot be read, or one name for two choices.
    """
    if not texts:
        return data.family.default_choices(data.stats, priors)
    named = data.family.named_choices(data.stats, priors)
    chosen = {BASE: named[BASE]}
    for text in texts:
        choice = named.get(text.strip()) or parse_choice(text, named)
        if chosen.setdefault(choice.name, choice) != choice:
            raise InputError(f"--choice {text}: there are two choices called {choice.name!r}")
    return tuple(chosen.values())
