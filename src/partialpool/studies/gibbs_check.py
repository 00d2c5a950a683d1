"""Two samplers that share no code, Stan's NUTS and the Gibbs sampler, on one posterior.

Both sample the hierarchical model under the same inverse-gamma priors of both variances, and are
compared with the exact posterior and against each other in speed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import arviz_base
import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.moments import of_observations
from partialpool.fitting import Fit, fit_programs
from partialpool.priors import InverseGammaVariance
from partialpool.priors.choices import PriorChoice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import DRAWN_GROUPS, load, toolchain
from partialpool.progress import Progress
from partialpool.settings import Settings
from partialpool.studies.gibbs import gibbs
from partialpool.studies.sensitivity import PROGRAM
from partialpool.tables import exactness, shrinkage

_PARAMETERS = ("mu", "tau", "sigma", "theta")


@dataclass(frozen=True)
class TwoSamplers:
    """What two samplers make of one posterior.

    Attributes
    ----------
    fits
        The draws of `Stan` and of `Gibbs`.
    comparison
        Their numbers against the exact ones: see `partialpool.tables.exactness.compare_with_exact`.
    speed
        One row a sampler: `sampler`, `draws`, `seconds` (from call to draws in memory, compilation
        left out), `ess` (the smaller of bulk and tail ESS of the slowest of mu, tau, sigma and
        theta), `slowest` (its name), `ess_per_second`.
    """

    fits: tuple[Fit, Fit]
    comparison: pd.DataFrame
    speed: pd.DataFrame


def compare_samplers(
    data: GroupedData,
    choice: PriorChoice,
    *,
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> TwoSamplers:
    """Sample the hierarchical model with Stan and with the Gibbs sampler under one prior.

    Parameters
    ----------
    data
        The observations, of at most `programs.DRAWN_GROUPS` groups.
    choice
        Priors; those of tau and of sigma must be inverse-gamma on the variance.
    settings
        How Stan samples; the Gibbs sampler makes as many chains and draws.
    cmdstan
        The CmdStan to use; found where None.
    progress
        Where to report.

    Raises
    ------
    InputError
        Priors of another family, or too many groups.
    """
    settings, progress = settings or Settings(), progress or Progress()
    tau, sigma = choice.tau, choice.sigma
    if not (isinstance(tau, InverseGammaVariance) and isinstance(sigma, InverseGammaVariance)):
        raise InputError(
            f"{choice.name}: the Gibbs sampler needs inverse-gamma priors of tau^2 and of sigma^2, "
            f"not {choice.describe()}"
        )
    if data.stats.J > DRAWN_GROUPS:
        raise InputError(f"{data.name} has {data.stats.J} groups; at most {DRAWN_GROUPS} are drawn")
    program = load(PROGRAM, progress=progress)
    cmdstan = cmdstan or toolchain.find_cmdstan(progress=progress)
    toolchain.compile_programs([program.path], cmdstan=cmdstan, progress=progress)
    start = time.perf_counter()
    (stan,) = fit_programs(
        [program],
        data,
        priors=Priors({}),
        extra={**choice.inputs(), "prior_power": 1.0},
        settings=settings,
        cmdstan=cmdstan,
        progress=progress,
    )
    middle = time.perf_counter()
    draws = gibbs(
        of_observations(data.stats),
        mu=choice.mu,
        tau=tau,
        sigma=sigma,
        rng=np.random.default_rng(settings.seed),
        chains=settings.chains,
        warmup=settings.warmup,
        draws=settings.draws,
    )
    seconds = (middle - start, time.perf_counter() - middle)
    tree = arviz_base.from_dict(
        {"posterior": draws}, coords={"group": list(data.labels)}, dims={"theta": ["group"]}
    )
    fits = (
        stan.with_record(program="Stan"),
        Fit(tree, stan.with_record(program="Gibbs", title="Gibbs sampler").record),
    )
    posterior = data.family.exact_alternative(choice, data.stats)
    known = {fit.name: posterior for fit in fits}
    comparison = exactness.verify_fits(fits, data, known)
    rows = [_speed(fit, data, took) for fit, took in zip(fits, seconds, strict=True)]
    return TwoSamplers(fits, comparison, pd.DataFrame(rows))


def _speed(fit: Fit, data: GroupedData, seconds: float) -> dict[str, str | float]:
    table = shrinkage.estimates([fit], data)
    table = table[table["parameter"].isin(_PARAMETERS)]
    ess = table[["ess_bulk", "ess_tail"]].min(axis=1)
    slowest = table.iloc[int(ess.to_numpy().argmin())]
    label = f"[{slowest['group']}]" if slowest["group"] else ""
    return {
        "sampler": fit.name,
        "draws": fit.posterior["mu"].size,
        "seconds": seconds,
        "ess": float(ess.min()),
        "slowest": f"{slowest['parameter']}{label}",
        "ess_per_second": float(ess.min()) / seconds,
    }
