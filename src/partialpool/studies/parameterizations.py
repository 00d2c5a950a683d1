"""Centered, non-centered or marginal: which form of the hierarchical model samples better here.

All forms are the same model with the same posterior. What differs is how well the sampler moves
through it, so they are judged by the sampler's diagnostics and by effective draws for the work
done, never by predictive scores: leave-one-out cross-validation sees no difference, because
there is none. Which form is better depends on the data: where groups say little against their
population (pooling factors lambda_j near 1), theta and tau form a funnel and the non-centered form
is better; where groups say much (lambda_j near 0), it is eta and tau that are tied, and the
centered form is better (Papaspiliopoulos, Roberts and Sköld 2007, *Statistical Science* 22, 59-73;
Betancourt and Girolami 2015, "Hamiltonian Monte Carlo for hierarchical models").
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray

from partialpool import programs
from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.base import FORMS, MARGINAL
from partialpool.fitting import Fit, diagnostics, fit_programs
from partialpool.fitting.summarize import summarize
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import toolchain
from partialpool.progress import Progress
from partialpool.settings import ADAPT_DELTA_IN_FUNNEL, Settings
from partialpool.studies.form_verdict import Verdict, judge
from partialpool.tables import variables
from partialpool.tables.variables import label
from partialpool.types import FloatArray

DISAGREE = 5.0
"""Difference of two forms, in combined Monte Carlo standard errors, that chance does not explain:
of the hundreds of estimates compared in a data set with many groups, none goes so far."""

_COMPARED = {"mean": "mcse_mean", "q2.5": "mcse_q2.5", "q97.5": "mcse_q97.5"}
_POINTS = 2000


@dataclass(frozen=True)
class FormComparison:
    """The forms of the hierarchical model, fitted to the same data and compared.

    Attributes
    ----------
    fits
        One fit a form.
    table
        How each form sampled: see `sampling_table`.
    efficiency
        Effective draws by quantity: see `efficiency`.
    agreement
        Disagreement of each pair of forms: see `agreement`.
    funnel
        Draws for the figure of the funnel: see `funnel_draws`.
    verdict
        Which form to use, and why.
    """

    fits: tuple[Fit, ...]
    table: pd.DataFrame
    efficiency: pd.DataFrame
    agreement: pd.DataFrame
    funnel: pd.DataFrame
    verdict: Verdict


def compare_parameterizations(
    data: GroupedData,
    *,
    priors: Priors,
    groups: Sequence[str] = (),
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> FormComparison:
    """Fit the centered, the non-centered and, where there is one, the marginal program.

    Parameters
    ----------
    data, priors, settings, cmdstan, progress
        As for `fit_programs`; the same for every form, so that all take the small steps that
        those with a funnel need.
    groups
        Labels of groups to show in the figure, besides the one with the weakest data.

    Raises
    ------
    InputError, ToolchainError, SamplingError
        As `fit_programs` does; a label that the data lack.
    """
    fits = fit_forms(
        data,
        priors=priors,
        groups=groups,
        settings=settings,
        cmdstan=cmdstan,
        progress=progress,
    )
    return compare_forms(fits, data, groups=groups)


def fit_forms(
    data: GroupedData,
    *,
    priors: Priors,
    groups: Sequence[str] = (),
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Fit the forms that `compare_parameterizations` compares.

    Raises
    ------
    InputError, ToolchainError, SamplingError
        As there.
    """
    shown_groups(data, groups)
    drawn = data.family.inputs(data.stats, draw_groups=True)
    fits = fit_programs(
        [programs.load(name, family=data.family.name) for name in forms_of(data)],
        data,
        priors=priors,
        settings=(settings or Settings()).settled(ADAPT_DELTA_IN_FUNNEL),
        cmdstan=cmdstan,
        extra={name: given for name, given in drawn.items() if name.endswith("_drawn")},
        progress=progress,
    )
    return [
        fit.with_record(title=f"{fit.title}, marginal") if fit.name == MARGINAL else fit
        for fit in fits
    ]


def forms_of(data: GroupedData) -> tuple[str, ...]:
    """Names of the forms to be compared: centered, non-centered and, where there is one, marginal.

    Raises
    ------
    InputError
        The hierarchical model of these data has no non-centered form.
    """
    forms = tuple(name for name in FORMS if name in data.family.programs)
    lacking = [name for name in FORMS if name not in (*forms, MARGINAL)]
    if lacking:
        raise InputError(
            f"there is no {lacking[0]} of {data.words.data}: {data.words.population} "
            "has no such form; partialpool compare fits programs that are named"
        )
    return forms


def compare_forms(
    fits: Sequence[Fit], data: GroupedData, *, groups: Sequence[str] = ()
) -> FormComparison:
    """Compare fits at hand of one model in several forms.

    Parameters
    ----------
    fits
        Fits of the same model to the same data; each needs `mu`, `tau`, `sigma` and `theta`.
    groups
        Labels of groups to show, besides the one with the weakest data.

    Raises
    ------
    InputError
        Fewer than two fits, a fit that lacks a parameter, or a label that the data lack.
    """
    if len(fits) < 2:
        raise InputError("comparing parameterizations needs two fits of the same model at least")
    work = efficiency(fits, data)
    table = sampling_table(fits, work)
    pairs = agreement(fits, data)
    return FormComparison(
        fits=tuple(fits),
        table=table,
        efficiency=work,
        agreement=pairs,
        funnel=funnel_draws(fits, data, groups=shown_groups(data, groups)),
        verdict=judge(fits, data, table, pairs),
    )


def efficiency(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Count effective draws of each quantity, and what they cost.

    Returns
    -------
    DataFrame
        One row a form and quantity (`mu`, `log tau`, `sigma`, each `theta`): `form` (name of the
        program), `quantity`, `group`, `r_hat`, `ess_bulk`, `ess_tail`, `ess_per_second` and
        `ess_per_gradient`: the smaller ESS over the seconds that the chains took to sample
        (added up over chains, warmup left out), and over their leapfrog steps, each of which
        takes one gradient. NaN where the fit has no record of either.
    """
    frames = []
    for fit in fits:
        quantity, group, draws = _compared_draws(fit, data)
        found = summarize(draws)
        frame = pd.DataFrame({"form": fit.name, "quantity": quantity, "group": group})
        frame = frame.assign(**{name: found[name] for name in ("r_hat", "ess_bulk", "ess_tail")})
        least = np.minimum(found["ess_bulk"], found["ess_tail"])
        frames.append(
            frame.assign(
                ess_per_second=least / _seconds(fit), ess_per_gradient=least / _gradients(fit)
            )
        )
    return pd.concat(frames, ignore_index=True)


def sampling_table(fits: Sequence[Fit], work: pd.DataFrame) -> pd.DataFrame:
    """Describe how each form sampled, a row each.

    Parameters
    ----------
    work
        What `efficiency` returned.

    Returns
    -------
    DataFrame
        - `form` (name of the program), `trusted` (whether it passed its diagnostics);
        - `divergences` (count), `divergence_share` (of all draws);
        - `e_bfmi` (by chain, as text), `e_bfmi_min`;
        - `tree_depth_mean`, `tree_depth_max`, `tree_depth_saturated` (draws at the limit);
        - `leapfrog_steps` (all of them), `leapfrog_per_draw`, `step_size` (mean over chains);
        - `r_hat_max`, `ess_bulk_min`, `ess_tail_min` over mu, log tau, sigma and theta, and
          `slowest` (the quantity with the fewest effective draws);
        - `seconds` (of sampling, added up over chains), `ess_per_second`, `ess_per_gradient`:
          those of the slowest quantity.
    """
    rows = []
    for fit in fits:
        own = work[work["form"] == fit.name]
        least = own[["ess_bulk", "ess_tail"]].min(axis=1)
        stats = fit.sample_stats
        diverging = np.asarray(stats["diverging"])
        depth = np.asarray(stats["tree_depth"])
        with np.errstate(all="ignore"):
            e_bfmi = np.atleast_1d(array_stats.bfmi(np.asarray(stats["energy"], dtype=np.float64)))
        steps = _gradients(fit)
        row: dict[str, Any] = {
            "form": fit.name,
            "trusted": diagnostics.trusted(diagnostics.check(fit)),
            "divergences": int(diverging.sum()),
            "divergence_share": float(diverging.mean()),
            "e_bfmi": ", ".join(f"{value:.2f}" for value in e_bfmi),
            "e_bfmi_min": float(e_bfmi.min()),
            "tree_depth_mean": float(depth.mean()),
            "tree_depth_max": int(depth.max()),
            "tree_depth_saturated": int((depth >= fit.settings.max_treedepth).sum()),
            "leapfrog_steps": steps,
            "leapfrog_per_draw": steps / depth.size,
            "step_size": float(np.mean(stats["step_size"])) if "step_size" in stats else np.nan,
            "r_hat_max": own["r_hat"].max(skipna=False),
            "ess_bulk_min": own["ess_bulk"].min(skipna=False),
            "ess_tail_min": own["ess_tail"].min(skipna=False),
            "slowest": "",
            "seconds": _seconds(fit),
            "ess_per_second": own["ess_per_second"].min(skipna=False),
            "ess_per_gradient": own["ess_per_gradient"].min(skipna=False),
        }
        if least.notna().any():
            row["slowest"] = label(own.iloc[int(np.nanargmin(least))])
        rows.append(row)
    return pd.DataFrame(rows)


def agreement(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Compare the answers of each pair of forms, quantity by quantity.

    Returns
    -------
    DataFrame
        One row a pair: `form`, `other`, `quantity`, `group`, `statistic` (`mean`, `q2.5` or
        `q97.5`) where the two differ most in combined Monte Carlo standard errors; `difference`
        (unit of the data; none for log tau), `in_mcse` (the difference over the root of the two
        squared errors, with its sign; NaN where a form has draws without an error) and `agree`
        (whether it is below 5 in size; False where it is NaN).
    """
    found = []
    for fit in fits:
        quantity, group, draws = _compared_draws(fit, data)
        found.append((fit.name, quantity, group, summarize(draws)))
    rows = []
    for (form, quantity, group, one), (other, _, _, two) in itertools.combinations(found, 2):
        difference = np.stack([one[name] - two[name] for name in _COMPARED])
        error = np.stack([np.hypot(one[e], two[e]) for e in _COMPARED.values()])
        with np.errstate(divide="ignore", invalid="ignore"):
            in_mcse = difference / error
        unknown = ~np.isfinite(in_mcse)
        worst = int(np.argmax(np.where(unknown, np.inf, np.abs(in_mcse))))
        statistic, k = divmod(worst, len(quantity))
        rows.append(
            {
                "form": form,
                "other": other,
                "quantity": quantity[k],
                "group": group[k],
                "statistic": list(_COMPARED)[statistic],
                "difference": difference[statistic, k],
                "in_mcse": in_mcse[statistic, k],
                "agree": bool(abs(in_mcse[statistic, k]) < DISAGREE),
            }
        )
    return pd.DataFrame(rows)


def shown_groups(data: GroupedData, groups: Sequence[str] = ()) -> list[str]:
    """Labels of the groups to show: the one with the weakest data, then those that are named.

    The weakest group has the fewest observations, and so the largest standard error sigma /
    sqrt(n_j) of its mean; of several, the one furthest from the grand mean.

    Raises
    ------
    InputError
        A label that the data lack.
    """
    stats = data.stats
    variables.compared((), data, groups=groups, limit=1)
    distance = np.abs(stats.raw - stats.grand_mean)
    weakest = stats.labels[int(np.lexsort((-distance, stats.weight))[0])]
    return list(dict.fromkeys([weakest, *groups]))


def funnel_draws(fits: Sequence[Fit], data: GroupedData, *, groups: Sequence[str]) -> pd.DataFrame:
    """Draws of a group's mean against log tau, as each form samples it and as the other would.

    At most 2000 draws a form are kept, evenly spaced, and all divergent ones up to 2000.

    Returns
    -------
    DataFrame
        One row a form, group and draw: `form`, `group`, `log_tau`, `theta` (unit of the data),
        `eta` = (theta - mu) / tau, `diverging`.
    """
    frames = []
    for fit in fits:
        mu, tau = variables.scalar(fit, data, "mu"), variables.tau(fit, data)
        theta = variables.theta(fit, data)
        if mu is None or tau is None or theta is None:
            raise _lacking(fit)
        middle = variables.center(fit, data)
        if middle is None:
            raise _lacking(fit)
        diverging = np.asarray(fit.sample_stats["diverging"].transpose("chain", "draw")).ravel()
        kept = np.union1d(_spaced(np.arange(tau.size)), _spaced(np.flatnonzero(diverging)))
        for group in groups:
            own = theta[data.labels.index(group)].ravel()[kept]
            with np.errstate(divide="ignore", invalid="ignore"):
                columns = {
                    "log_tau": np.log(tau.ravel()[kept]),
                    "theta": own,
                    "eta": (own - _of_group(middle, data, group).ravel()[kept]) / tau.ravel()[kept],
                }
            about = {"form": fit.name, "group": group}
            frames.append(pd.DataFrame({**about, **columns, "diverging": diverging[kept]}))
    return pd.concat(frames, ignore_index=True)


def _of_group(center: FloatArray, data: GroupedData, group: str) -> FloatArray:
    """What a group is drawn towards, shape (chain, draw)."""
    return np.asarray(center[data.labels.index(group) if len(center) > 1 else 0])


def _compared_draws(fit: Fit, data: GroupedData) -> tuple[list[str], list[str], FloatArray]:
    """Draws of mu, log tau, sigma and theta: names, groups, shape (quantity, chain, draw)."""
    mu, tau = variables.scalar(fit, data, "mu"), variables.tau(fit, data)
    theta = variables.theta(fit, data)
    if mu is None or tau is None or theta is None:
        raise _lacking(fit)
    with np.errstate(divide="ignore", invalid="ignore"):
        scalars = {"mu": mu, "log tau": np.log(tau)}
    if data.stats.error_sd:
        sigma = variables.scalar(fit, data, data.stats.error_sd)
        if sigma is None:
            raise _lacking(fit)
        scalars[data.stats.error_sd] = sigma
    names = [*scalars, *["theta"] * data.stats.J]
    groups = [""] * len(scalars) + list(data.labels)
    return names, groups, np.concatenate([np.stack(list(scalars.values())), theta])


def _lacking(fit: Fit) -> InputError:
    return InputError(
        f"{fit.name}: a parameterization is judged by mu, tau, a single sigma and theta by group; "
        "this program does not write all four"
    )


def _seconds(fit: Fit) -> float:
    """Seconds of sampling, warmup left out, added up over chains; NaN where not recorded."""
    chains = fit.record.timings["chains"]
    return float(sum(chain["sampling"] for chain in chains)) if chains else float("nan")


def _gradients(fit: Fit) -> float:
    """Leapfrog steps of all chains after warmup; NaN where not recorded."""
    stats = fit.sample_stats
    return float(stats["n_steps"].sum()) if "n_steps" in stats else float("nan")


def _spaced(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(indices) <= _POINTS:
        return indices
    return np.asarray(indices[np.linspace(0, len(indices) - 1, _POINTS).astype(int)])
