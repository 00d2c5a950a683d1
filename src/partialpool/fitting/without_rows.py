"""Fits to statistics by group, where the observations are not at hand.

Partial pooling is fitted by Stan in its marginal form, which needs no observation. Complete and no
pooling have posteriors that quadrature knows (`families.exact`), so their draws are independent
ones from there; the parameters, their names and their priors are those of the shipped programs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import arviz_base
import numpy as np

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.exact.pooling_extremes import Sample
from partialpool.families.moments import of_observations
from partialpool.fitting import fit
from partialpool.fitting.fit import Fit
from partialpool.fitting.inputs import check_hyperparameters
from partialpool.fitting.record import FitRecord
from partialpool.priors import InverseGammaVariance, Normal
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import CENTERED, DRAWN_GROUPS, MARGINAL, NONCENTERED, Program
from partialpool.progress import Progress
from partialpool.settings import Settings
from partialpool.types import FloatArray

_EXACT = ("complete_pooling", "no_pooling")
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
        same = _shipped(program) and program.name in _SAME_MODEL
        replacement = programs.load(MARGINAL, progress=progress) if same else program
        used.setdefault(str(replacement.path), replacement)
    return list(used.values())


def fit_summaries(
    chosen: Sequence[Program],
    data: GroupedData,
    *,
    priors: Priors,
    settings: Settings | None = None,
    progress: Progress | None = None,
    **how: Any,
) -> list[Fit]:
    """Fit programs to data of which only the statistics by group are at hand.

    Parameters
    ----------
    chosen
        Programs, from `substitutes`. One of the user's must not declare the observations.
    data, priors, settings, progress, how
        As for `partialpool.fitting.fit.fit_programs`.

    Raises
    ------
    InputError
        A program needs the observations, or no pooling is asked of more groups than are drawn.
    """
    settings, progress = settings or Settings(), progress or Progress()
    exactly = [is_exact(program) for program in chosen]
    by_stan = [p for p, known in zip(chosen, exactly, strict=True) if not known]
    fitted = iter(
        fit.fit_programs(by_stan, data, priors=priors, settings=settings, progress=progress, **how)
        if by_stan
        else ()
    )
    fits = []
    for program, known in zip(chosen, exactly, strict=True):
        if known:
            with progress.task(f"Drawing from the exact posterior of {program.title}"):
                fits.append(draw_exact(program, data, priors=priors, settings=settings))
        else:
            fits.append(next(fitted))
    return fits


def draw_exact(program: Program, data: GroupedData, *, priors: Priors, settings: Settings) -> Fit:
    """Draw independently from the exact posterior of complete pooling or of no pooling.

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

    Returns
    -------
    Fit
        `theta`, `sigma2`, `sigma` and `lprior`; the sampler has no statistics, as it is none.

    Raises
    ------
    InputError
        Another program, data under which its posterior is improper, or too many groups.
    """
    if not is_exact(program):
        raise InputError(f"{program.name}: its exact posterior is not known")
    stats = of_observations(data.stats)
    data.family.check_poolable(program, stats)
    check_hyperparameters(program, priors)
    start = time.perf_counter()
    value = priors.values
    about_theta = Normal(value["theta_location"], value["theta_scale"])
    about_sigma = InverseGammaVariance(value["sigma2_shape"], value["sigma2_scale"])
    samples: Sequence[Sample]
    if program.name == "complete_pooling":
        samples = [exact.complete_pooling(stats, theta=about_theta, sigma=about_sigma).sample]
    elif stats.J <= DRAWN_GROUPS:
        samples = exact.no_pooling(stats, theta=about_theta, sigma=about_sigma).samples
    else:
        raise InputError(
            f"no pooling draws a mean and a variance for each of at most {DRAWN_GROUPS} groups, "
            f"and there are {data.stats.J}: each group's estimate is its own sample mean; "
            f"leave it out with --without {program.name}"
        )
    rng = np.random.default_rng(settings.seed)
    shape = (settings.chains, settings.draws)
    drawn = [_draw(sample, rng, shape) for sample in samples]
    theta, sigma = (np.stack(arrays, axis=-1) for arrays in zip(*drawn, strict=True))
    lprior = np.sum(
        about_theta.log_density(theta) + _log_density_of_variance(about_sigma, sigma), axis=-1
    )
    posterior = {"theta": theta, "sigma2": sigma**2, "sigma": sigma}
    one = program.name == "complete_pooling"
    draws = arviz_base.from_dict(
        {
            "posterior": {name: a[..., 0] if one else a for name, a in posterior.items()},
            "log_prior": {"lprior": lprior},
        },
        coords={} if one else {"group": list(data.labels)},
        dims={} if one else {name: ["group"] for name in posterior},
    )
    record = FitRecord.of(
        program,
        data,
        priors,
        settings,
        versions=fit.package_versions(),
        cmdstan={"version": "none", "origin": "independent draws from the exact posterior"},
        timings={"compile": 0.0, "sampling": time.perf_counter() - start, "reading": 0.0},
    )
    return Fit(draws, record)


def is_exact(program: Program) -> bool:
    """Whether a program is a shipped one, unchanged, whose exact posterior is known."""
    return program.name in _EXACT and _shipped(program)


def _shipped(program: Program) -> bool:
    """Whether a program is the shipped one of its name, here or as a copy."""
    if program.name not in programs.SHIPPED:
        return False
    shipped = programs.find_program(program.name)
    return program.path.read_bytes() == shipped.read_bytes()


def _draw(
    sample: Sample, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Draw theta and sigma: sigma by inverting its distribution, theta given sigma."""
    sigma: FloatArray = np.exp(sample.fine.sigma.quantile(rng.uniform(size=shape)))
    error2, prior2 = sigma**2 / sample.n, sample.theta.scale**2
    share = error2 / (error2 + prior2)
    mean = sample.mean + share * (sample.theta.location - sample.mean)
    theta = mean + np.sqrt(share * prior2) * rng.standard_normal(shape)
    return np.asarray(theta, dtype=np.float64), sigma


def _log_density_of_variance(prior: InverseGammaVariance, sigma: FloatArray) -> FloatArray:
    """Log density of sigma^2, as the programs state it: that of sigma over 2 sigma."""
    return np.asarray(prior.log_density(sigma) - np.log(2 * sigma), dtype=np.float64)
