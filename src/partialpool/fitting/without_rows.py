"""Fits by independent draws from exact posteriors, where Stan would lack rows or take too long.

Of observations of which only the statistics by group are at hand, partial pooling is fitted by Stan
in its marginal form, which needs no observation, and complete and no pooling are drawn from their
exact posteriors. So is partial pooling of estimates with very many distinct standard errors, and
that of counts from a population of normal logits or logarithms (`Family.draws_exactly`). The
parameters, their names and their priors are those of the shipped programs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.fitting import fit
from partialpool.fitting.fit import Fit
from partialpool.fitting.inputs import check_hyperparameters
from partialpool.fitting.record import INDEPENDENT, FitRecord
from partialpool.fitting.tree import dataset
from partialpool.priors.choices import Choice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import CENTERED, DRAWN_GROUPS, MARGINAL, NONCENTERED, Program
from partialpool.progress import Progress
from partialpool.settings import Settings

_SAME_MODEL = (CENTERED, NONCENTERED)


def substitutes(chosen: Sequence[Program], *, progress: Progress | None = None) -> list[Program]:
    """Put the marginal program in the place of other shipped forms of the same model.

    Returns
    -------
    list of Program
        Each program once.
    """
    used: dict[str, Program] = {}
    for program in chosen:
        same = program.name in _SAME_MODEL and _shipped(program, "normal")
        replacement = programs.load(MARGINAL, progress=progress) if same else program
        used.setdefault(str(replacement.path), replacement)
    return list(used.values())


def fit_or_draw(
    chosen: Sequence[Program],
    data: GroupedData,
    *,
    priors: Priors,
    settings: Settings | None = None,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
    by_stan: bool = False,
    progress: Progress | None = None,
    **how: Any,
) -> list[Fit]:
    """Fit programs: by Stan, or where `is_exact` says so by draws from the exact posterior.

    Parameters
    ----------
    chosen
        Programs; for data without rows from `substitutes`, and one of the user's must then not
        declare the observations.
    data, priors, settings, extra, prior_only, pointwise, progress, how
        As for `partialpool.fitting.fit.fit_programs`.
    by_stan
        Whether Stan is used wherever it has what it needs, because Stan is what is looked at.

    Raises
    ------
    InputError
        A program needs the observations, or no pooling is asked of more groups than are drawn.
    """
    settings, progress, extra = settings or Settings(), progress or Progress(), extra or {}
    by_stan_alone = (
        by_stan or prior_only or pointwise or not all(_chooses_groups(name) for name in extra)
    )
    exactly = [
        is_exact(program, data) and not (by_stan_alone and data.has_observations)
        for program in chosen
    ]
    sampled = [p for p, known in zip(chosen, exactly, strict=True) if not known]
    switches = {"prior_only": prior_only, "pointwise": pointwise, "extra": extra, **how}
    fitted = iter(
        fit.fit_programs(
            sampled, data, priors=priors, settings=settings, progress=progress, **switches
        )
        if sampled
        else ()
    )
    fits = []
    for program, known in zip(chosen, exactly, strict=True):
        if known:
            with progress.task(f"Drawing from the exact posterior of {program.title}"):
                fits.append(
                    draw_exact(program, data, priors=priors, settings=settings, extra=extra)
                )
        else:
            fits.append(next(fitted))
    return fits


def draw_exact(
    program: Program,
    data: GroupedData,
    *,
    priors: Priors,
    settings: Settings,
    extra: Mapping[str, Any] | None = None,
) -> Fit:
    """Draw independently from the exact posterior of a shipped program.

    Parameters
    ----------
    program
        The shipped program whose posterior it is.
    data
        Data of which only the statistics by group are used.
    priors
        Values of the hyperparameters that the program declares.
    settings
        Numbers of chains and draws, and the seed.
    extra
        `J_drawn` of 0 leaves the groups of the marginal program undrawn.

    Returns
    -------
    Fit
        What `Family.draw_exactly` gives; the sampler has no statistics, as it is none.

    Raises
    ------
    InputError
        Another program, data under which its posterior is improper, or too many groups.
    """
    family, stats, extra = data.family, data.stats, extra or {}
    shipped = _shipped(program, family.name)
    if not (shipped and family.draws_exactly(program.name, stats, rows=False)):
        raise InputError(f"{program.name}: its exact posterior is not known")
    warnings = family.check_poolable(program, stats)
    check_hyperparameters(program, priors)
    start = time.perf_counter()
    drawn = family.draw_exactly(
        program.name,
        stats,
        priors,
        rng=np.random.default_rng(settings.seed),
        shape=(settings.chains, settings.draws),
        draw_groups=stats.J <= DRAWN_GROUPS and extra.get("J_drawn") != 0,
    )
    return _fit(program, data, priors, settings, drawn, extra, warnings, since=start)


def draw_choice(program: Program, choice: Choice, data: GroupedData, *, settings: Settings) -> Fit:
    """Draw independently from the posterior under a choice of priors, as a fit of `sensitivity`.

    Raises
    ------
    InputError
        The posterior is improper.
    """
    family, stats, start = data.family, data.stats, time.perf_counter()
    drawn = family.draw_alternative(
        choice,
        stats,
        rng=np.random.default_rng(settings.seed),
        shape=(settings.chains, settings.draws),
        draw_groups=stats.J <= DRAWN_GROUPS,
    )
    sds = (drawn["tau"], drawn["sigma"]) if "sigma" in drawn else (drawn["tau"],)
    drawn["lprior"] = np.asarray(choice.log_density(drawn["mu"], *sds))
    if "mu" in choice.priors:  # elsewhere mu follows from what has priors
        drawn["lprior_mu"] = np.asarray(choice.priors["mu"].log_density(drawn["mu"]))
        drawn["lprior"] -= drawn["lprior_mu"]
    extra = {**choice.inputs(), "prior_power": 1.0}
    return _fit(program, data, Priors({}), settings, drawn, extra, (), since=start)


def _fit(
    program: Program,
    data: GroupedData,
    priors: Priors,
    settings: Settings,
    drawn: dict[str, Any],
    extra: Mapping[str, Any],
    warnings: Sequence[str],
    *,
    since: float,
) -> Fit:
    """Arrange independent draws as those of Stan are."""
    log_prior: dict[str, Any] = {
        name: drawn.pop(name) for name in ("lprior", "lprior_mu") if name in drawn
    }
    along = {"beta": "covariate", "phi": "outer_group"}
    dims = {n: [along.get(n, "group")] for n, array in drawn.items() if array.ndim == 3}
    coords = {"group": list(data.labels)} if dims else {}
    if data.stats.covariates is not None:
        coords["covariate"] = list(data.stats.covariates.names)
    if data.stats.nesting is not None:
        coords["outer_group"] = list(data.stats.nesting.labels)
    groups: dict[str, dict[str, Any]] = {"posterior": drawn, "log_prior": log_prior}
    draws = xr.DataTree.from_dict(
        {group: dataset(variables, dims, coords) for group, variables in groups.items()}
    )
    record = FitRecord.of(
        program,
        data,
        priors,
        settings,
        extra={name: np.asarray(given).tolist() for name, given in extra.items()},
        versions=fit.package_versions(),
        cmdstan=INDEPENDENT,
        timings={"compile": 0.0, "sampling": time.perf_counter() - since, "reading": 0.0},
        warnings=tuple(warnings),
    )
    return Fit(draws, record)


def is_exact(program: Program, data: GroupedData) -> bool:
    """Whether a program is a shipped one, unchanged, that is drawn exactly for these data."""
    family = data.family
    return family.draws_exactly(program.name, data.stats, rows=data.has_observations) and _shipped(
        program, family.name
    )


def _chooses_groups(name: str) -> bool:
    """Whether an input says which groups are drawn, and nothing of the model."""
    return name.endswith("_drawn")


def _shipped(program: Program, family: str) -> bool:
    """Whether a program is one of the family's shipped models, here or as a copy."""
    named = program.name in FAMILIES[family].programs
    return named and programs.is_shipped(program.path, family)
