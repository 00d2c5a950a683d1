"""What the priors expect to see before any data: observations drawn from them.

Where the priors are given as a choice the draws are exact, by inverting distribution functions.
A program is run without its likelihood. Priors that are so vague that their observations overflow,
or lie far outside anything like the data, are said to be so instead of drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError, SamplingError
from partialpool.fitting import Fit, diagnostics, fit_programs
from partialpool.priors.choices import Choice
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import Program, toolchain
from partialpool.progress import Progress
from partialpool.settings import Settings
from partialpool.tables import exponential
from partialpool.text import beside, in_full
from partialpool.types import FloatArray

FAR = 20.0
"""Width of the central 95 % of prior observations, in ranges of the data, that is too vague."""

BOUNDLESS = 1e6
"""Width in ranges of the data from which priors count as having no scale at all."""

_SIZE = 20_000
_MOST = 20_000_000
_SHOWN = 4_000
_QUANTILES = {"q2.5": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q97.5": 0.975}


@dataclass(frozen=True)
class PriorPredictive:
    """What priors expect, on the scale of the data.

    Attributes
    ----------
    table
        One row a source (choice or program): see `describe_observations`.
    draws
        Columns `source` and `value` (unit of the data): up to 4000 observations from each source
        that can be shown.
    sentences
        What cannot be shown, and why.
    fits
        The fits that programs gave without their likelihood; empty for choices.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    sentences: tuple[str, ...]
    fits: tuple[Fit, ...] = ()


def from_choices(choices: Sequence[Choice], data: GroupedData, *, seed: int = 1) -> PriorPredictive:
    """Draw an observation in a new group from each choice of priors, exactly and independently."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(size=(2, _SIZE))
    z = rng.standard_normal((3, _SIZE))
    values = {}
    for choice in choices:
        with np.errstate(over="ignore", invalid="ignore"):
            values[choice.name] = data.family.expected(choice, data.stats, u, z)
    return describe_observations(values, data)


def from_programs(
    programs: Sequence[Program],
    data: GroupedData,
    *,
    priors: Priors,
    settings: Settings | None = None,
    cmdstan: toolchain.CmdStan | None = None,
    extra: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PriorPredictive:
    """Run programs without their likelihood and describe the observations that they generate.

    Parameters
    ----------
    programs
        Programs that declare `prior_only` and generate `y_rep`, or `y_new` where there are so many
        observations that replicating them all is out of proportion.
    data, priors, settings, cmdstan, extra, progress
        As for `fit_programs`.

    Raises
    ------
    InputError
        A program lacks the one or the others, or its priors are improper.
    """
    for program in programs:
        lacking = [] if "prior_only" in program.inputs else ["the input prior_only"]
        lacking += [] if {"y_rep", "y_new"} & program.outputs.keys() else ["y_rep or y_new"]
        if lacking:
            raise InputError(
                f"{program.path}: prior predictive draws need {' and '.join(lacking)}, which it "
                "does not declare; the shipped programs show how"
            )
        if why := data.family.improper(program.inputs, priors):
            raise InputError(
                f"{program.title}: its priors are improper ({why}), and expect nothing before "
                "there are data; set others with --prior, or name other programs with --program"
            )
    settings = settings or Settings()
    values: dict[str, FloatArray] = {}
    fits, said = [], []
    for program in programs:
        replicate = _replicates(program, data, settings)
        try:
            (fit,) = fit_programs(
                [program],
                data,
                priors=priors,
                settings=settings,
                cmdstan=cmdstan,
                extra=extra,
                prior_only=True,
                pointwise=replicate,
                progress=progress,
            )
        except SamplingError as error:
            said.append(
                f"{program.title}: its prior could not be sampled, as happens where it is so vague "
                f"that numbers overflow. {error}"
            )
            continue
        fits.append(fit)
        values[program.title] = _observations(fit)
        said += _distrust(fit)
    found = describe_observations(values, data)
    return PriorPredictive(found.table, found.draws, (*said, *found.sentences), tuple(fits))


def _replicates(program: Program, data: GroupedData, settings: Settings) -> bool:
    """Whether to replicate all observations: not where `y_new` serves and there are many."""
    many = data.stats.N * settings.chains * settings.draws > _MOST
    return "y_rep" in program.outputs and not ("y_new" in program.outputs and many)


def _observations(fit: Fit) -> FloatArray:
    """Observations that a fit without likelihood generated, in a row."""
    if "posterior_predictive" in fit.draws.children:
        drawn = fit.draws["posterior_predictive"]["y"]
    else:
        drawn = fit.posterior["y_rep" if "y_rep" in fit.posterior else "y_new"]
    return np.asarray(drawn, dtype=np.float64).ravel()


def describe_observations(values: Mapping[str, FloatArray], data: GroupedData) -> PriorPredictive:
    """Describe observations drawn from priors, and keep those that can be shown with the data.

    Returns
    -------
    PriorPredictive
        Its table has one row a source: `source`; `finite` (share of finite draws); `q2.5`, `q25`,
        `median`, `q75`, `q97.5` of the observations (unit of the data; infinite or NaN where
        they overflow); `ranges` (width of the central 95 % in ranges of the data);
        `verdict` (`usable`; `vague` where that is more than 20; `overflow` where it is more than
        a million or draws are not finite).
    """
    low, high = _span(data)
    rows, kept = [], []
    for source, drawn in values.items():
        finite = drawn[np.isfinite(drawn)]
        at = np.quantile(finite, list(_QUANTILES.values())) if len(finite) else np.full(5, np.nan)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            ranges = float((at[-1] - at[0]) / (high - low))
        share = len(finite) / len(drawn)
        if share < 1 or not ranges <= BOUNDLESS:
            verdict = "overflow"
        else:
            verdict = "vague" if ranges > FAR else "usable"
        if verdict == "usable":
            kept.append(pd.DataFrame({"source": source, "value": _thinned(drawn)}))
        row = {"source": source, "finite": share, **dict(zip(_QUANTILES, at, strict=True))}
        rows.append({**row, "ranges": ranges, "verdict": verdict})
    table = pd.DataFrame(rows, columns=["source", "finite", *_QUANTILES, "ranges", "verdict"])
    empty = pd.DataFrame({"source": [], "value": []})
    draws = pd.concat(kept, ignore_index=True) if kept else empty
    return PriorPredictive(table, draws, tuple(_sentences(table, data)))


def _span(data: GroupedData) -> tuple[float, float]:
    """Range of the observations; of summaries and estimates, with two sds of an error beyond."""
    stats = data.stats
    if _ends_are_rows(data):
        return float(data.y.min()), float(data.y.max())
    if stats.error_sd:  # an observation lies further out than its group's mean
        beyond = np.full(stats.J, 2 * (stats.raw_se * np.sqrt(stats.weight)).max())
    else:
        beyond = 2 * stats.raw_se
    return float((stats.raw - beyond).min()), float((stats.raw + beyond).max())


def _ends_are_rows(data: GroupedData) -> bool:
    """Whether the range of the data is that of their rows, as rows that carry errors have none."""
    return data.has_observations and bool(data.stats.error_sd)


def _sentences(table: pd.DataFrame, data: GroupedData) -> list[str]:
    """Name the sources that cannot be shown, and why."""
    said, rows = [], data.words.rows
    vague = table[table["verdict"] == "vague"]
    if len(vague):
        ends = dict.fromkeys((_short(vague["ranges"].min()), _short(vague["ranges"].max())))
        wide = vague.iloc[int(vague["ranges"].argmax())]
        unit = f" {data.unit}" if data.unit else ""
        span = [float(exponential.shown(data, x)) for x in _span(data)]
        low, high = (in_full(float(beside(x, span[1] - span[0], least=3))) for x in span)
        least, most = (_short(exponential.shown(data, wide[q])) for q in ("q2.5", "q97.5"))
        where = "between" if _ends_are_rows(data) else "for the most part between"
        logs = " (on the scale of the logarithms)" if data.exp else ""
        said.append(
            f"Too vague to draw: {'; '.join(vague['source'])}. The central 95 % of the {rows} that "
            f"they expect is {' to '.join(ends)} times as wide as the data{logs}, which lie "
            f"{where} {low} and {high}{unit}; {wide['source']} expects {least} to {most}"
        )
    over = table[table["verdict"] == "overflow"]
    if len(over):
        lost = 100 * (1 - over["finite"].min())
        overflow = f"overflow (up to {_short(lost)} % of them) or " if lost > 0 else ""
        said.append(
            f"Nothing to draw: {'; '.join(over['source'])}. The {rows} that they expect "
            f"{overflow}span more than a million times the range of the data: such a prior says "
            "nothing of the data's scale"
        )
    return said


def _short(value: float) -> str:
    """Three significant digits, without an exponent where that is readable."""
    return f"{float(f'{value:.3g}'):.7g}"


def _thinned(values: FloatArray) -> FloatArray:
    kept = np.linspace(0, len(values) - 1, min(_SHOWN, len(values))).astype(int)
    return np.asarray(values[kept])


def _distrust(fit: Fit) -> list[str]:
    checks = diagnostics.check(fit)
    if diagnostics.trusted(checks):
        return []
    failed = ", ".join(checks.loc[~checks["passed"] & checks["gate"], "check"])
    return [
        f"{fit.title}: sampled from its prior alone, the chains fail {failed}: a very vague or "
        "heavy-tailed prior is hard to sample. What is said of its tails is rough"
    ]
