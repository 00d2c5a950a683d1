"""One call: data, priors and programs -> a result; or the model, to look at first."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partialpool.api.frames import grouped
from partialpool.api.result import Result
from partialpool.data import GroupedData
from partialpool.data.adjusting import with_covariates
from partialpool.data.reading import Columns
from partialpool.data.weights import weighted
from partialpool.errors import InputError
from partialpool.families.base import MARGINAL
from partialpool.fitting import Fit, diagnostics
from partialpool.fitting.inputs import check_settings_used, priors_for
from partialpool.fitting.without_rows import fit_or_draw, substitutes
from partialpool.priors import HalfCauchy, HalfT, Uniform
from partialpool.priors.choices import Choice
from partialpool.priors.distributions import parse_location_prior, parse_scale_prior
from partialpool.priors.hyperparameters import Priors
from partialpool.programs import DRAWN_GROUPS, Program, loaded
from partialpool.progress import Progress
from partialpool.settings import Settings
from partialpool.studies.sensitivity import choose, fit_choices
from partialpool.text import in_full


class NotTrusted(UserWarning):
    """A fit failed a diagnostic."""


@dataclass(frozen=True, repr=False)
class Model:
    """What would be fitted: data, priors, programs.

    Attributes
    ----------
    data
        The data.
    priors
        Settings of the priors, each with its source.
    programs
        The programs, in the order in which results show them.
    settings
        How they would be sampled.
    choice
        Priors of partial pooling that its program has no settings for; it is then sampled by the
        program `sensitivity`, which takes any.

    Examples
    --------
    >>> import partialpool as pp
    >>> model = pp.compare("homework", programs="complete_pooling", fit=False)
    >>> list(model.fit().fits)
    ['complete_pooling']
    """

    data: GroupedData
    priors: Priors
    programs: tuple[Program, ...]
    settings: Settings
    choice: Choice | None = None

    def fit(self, *, delta: float | None = None, progress: Progress | None = None) -> Result:
        """Sample, and return the result; what fails a diagnostic draws a `NotTrusted` warning.

        Parameters
        ----------
        delta
            Half-width of the region of practical equivalence, in the unit of the data.
        progress
            Where to report.

        Raises
        ------
        ToolchainError, SamplingError
            No CmdStan, a program that does not compile, or chains that fail.
        """
        by_settings = [p for p in self.programs if self.choice is None or p.name != MARGINAL]
        fitted = iter(
            fit_or_draw(
                by_settings,
                self.data,
                priors=self.priors,
                settings=self.settings,
                progress=progress,
            )
        )
        fits = [
            next(fitted) if program in by_settings else self._by_choice(program.title, progress)
            for program in self.programs
        ]
        for fit in fits:
            table = diagnostics.check(fit)
            if not diagnostics.trusted(table):
                warnings.warn(diagnostics.summary_line(fit, table), NotTrusted, stacklevel=3)
        return Result(self.data, tuple(fits), delta=delta)

    def _by_choice(self, title: str, progress: Progress | None) -> Fit:
        """Fit partial pooling under priors that its program has no settings for."""
        assert self.choice is not None
        found = fit_choices(
            self.data,
            priors=self.priors,
            choices=[self.choice],
            settings=self.settings,
            progress=progress,
        )
        return found.fits[self.choice.name].with_record(title=title)

    def __repr__(self) -> str:
        """Say what would be fitted, a line each."""
        by_source: dict[str, list[str]] = {}
        for name, number in self.priors.values.items():
            by_source.setdefault(self.priors.sources.get(name, ""), []).append(
                f"{name} = {in_full(number)}"
            )
        priors = [f"Priors ({source}): {', '.join(s)}" for source, s in by_source.items()]
        if self.choice is not None:
            priors.append(f"Priors of partial pooling: {self.choice.describe()}")
        programs = f"Models: {', '.join(program.title for program in self.programs)}"
        return "\n".join([repr(self.data), *priors, programs, "Not fitted yet: .fit()"])


def compare(
    data: Any,
    group: str | Sequence[str] | None = None,
    value: str | None = None,
    *,
    estimate: str | None = None,
    se: str | None = None,
    variance: str | None = None,
    ci: tuple[str, str] | None = None,
    level: float | None = None,
    n: str | None = None,
    mean: str | None = None,
    sd: str | None = None,
    successes: str | None = None,
    trials: str | None = None,
    count: str | None = None,
    exposure: str | None = None,
    log: bool = False,
    exp: bool = False,
    per: int | None = None,
    by: str | Sequence[str] | None = None,
    adjust: str | Sequence[str] | None = None,
    weight: str | None = None,
    population: str | None = None,
    spread: str | None = None,
    errors: str | None = None,
    programs: str | Path | Program | Sequence[str | Path | Program] | None = None,
    priors: Mapping[str, float | str] | None = None,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 2000,
    adapt_delta: float | None = None,
    seed: int = 1,
    delta: float | None = None,
    name: str = "",
    title: str = "",
    unit: str = "",
    group_label: str = "",
    value_label: str = "",
    fit: bool = True,
    progress: Progress | None = None,
) -> Any:
    """Compare complete, no and partial pooling of grouped data.

    Parameters
    ----------
    data
        A frame (pandas, polars, pyarrow or any that narwhals reads), a dictionary of columns, the
        path of a CSV or Parquet file or several, the name of a shipped example ("homework",
        "eight_schools", "bcg", "calendars", "batting", "tumors", "pumps"), or `GroupedData`.
    group, value
        Columns of the groups and of the observations; for groups within groups, as schools in
        districts, a list of two columns of groups, the outer one first.
    estimate, se, variance, ci, level
        In place of `value`, one estimate a group: its column, and that of its standard error or of
        the square of this, or the two of an interval's ends with its probability (0.95).
    n, mean, sd
        In place of `value`, one summary a group: columns of its size, mean and sample sd.
    successes, trials
        In place of `value`, proportions: columns of successes and of the trials that they are of;
        without `trials` each row is one trial, 0 or 1.
    count, exposure
        In place of `value`, rates: columns of events and of the exposure that they were counted in;
        without `exposure` it is 1 in each row.
    log, exp
        Model the logarithms of the observations; show estimates of log ratios as ratios.
    per
        Show proportions and rates per 100 (in percent), 1,000, 100,000; `unit` is that of the data.
    by
        Columns that explain how the groups differ, of numbers or of categories; one or several.
    adjust
        Columns that vary within groups, for which observations are adjusted; one or several.
    weight
        Column of the precision of each observation: one of weight w has the variance sigma^2 / w.
        Not how often a row occurred: repeat rows for that.
    population, spread, errors
        Another model of the same rows: what the groups' parameters come from, whether groups have
        their own spread, and what observations are around theta. The usual one where None; of an
        unknown name the error lists the choices.
    programs
        Names of shipped programs, paths of `.stan` files or loaded programs; those that suit the
        data by default.
    priors
        Prior settings by name (`{"mu_scale": 5}`), or priors of `mu`, `tau`, `sigma` or `theta` as
        text (`{"tau": "half_normal(5)"}`); the rest stays scaled to the data.
    chains, warmup, draws, adapt_delta, seed
        How to sample: see `Settings`.
    delta
        Half-width of the region of practical equivalence, in the unit of the data.
    name, title, unit, group_label, value_label
        What people read of the data.
    fit
        False returns the `Model`, to be looked at first; its method `fit` gives the result.
    progress
        Where to report; `Progress` says nothing.

    Returns
    -------
    Result or Model

    Raises
    ------
    InputError
        Data, roles or priors that do not hold up, each with the next step.
    ToolchainError, SamplingError
        As from `fit_programs`.

    Warns
    -----
    NotTrusted
        A fit failed a diagnostic.

    Examples
    --------
    >>> import partialpool as pp
    >>> model = pp.compare("homework", fit=False)
    >>> model.data.stats.J
    8
    >>> result = pp.compare("homework", programs=["no_pooling", "hierarchical_marginal"])
    >>> result["5"].prob(">", 8) > 0.9
    True
    """
    columns = Columns(
        group=group if group is None or isinstance(group, str) else tuple(group),
        value=value,
        n=n,
        mean=mean,
        sd=sd,
        estimate=estimate,
        se=se,
        variance=variance,
        ci=ci,
        successes=successes,
        trials=trials,
        count=count,
        exposure=exposure,
    )
    about = {
        "name": name,
        "title": title,
        "unit": unit,
        "group_label": group_label,
        "value_label": value_label,
    }
    explaining = [by] if isinstance(by, str) else list(by or ())
    adjusting = [adjust] if isinstance(adjust, str) else list(adjust or ())
    further = [*explaining, *adjusting, *([weight] if weight else [])]
    found = grouped(data, columns, level=level, log=log, exp=exp, further=further, **about)
    found = found.modelled(population=population, spread=spread, errors=errors)
    found = with_covariates(found, explaining, adjusting, population=population)
    found = weighted(found, weight).shown_per(per)
    if programs is None:
        programs = found.family.compared(found.stats)[0]
        if found.stats.J > DRAWN_GROUPS:
            raise InputError(
                f"{found.name}: {found.stats.J} groups are more than the {DRAWN_GROUPS} of a "
                "comparison; `partialpool groups` and `group_estimates` estimate any number"
            )
    chosen = loaded(programs, family=found.family.name, progress=progress)
    if not found.has_observations:
        chosen = substitutes(chosen, progress=progress)
    settings = Settings(
        chains=chains, warmup=warmup, draws=draws, adapt_delta=adapt_delta, seed=seed
    )
    given, others = _settings(priors or {}, normal=found.family.gaussian)
    settled = priors_for(found, given)
    check_settings_used(settled, sorted({name for each in chosen for name in each.inputs}))
    choice = None
    if others:
        if not any(program.name == MARGINAL for program in chosen):
            raise InputError(
                f"priors: {', '.join(others)} is for partial pooling in its marginal form "
                f"({MARGINAL}), which is not among the programs; edit the prior in a copy of one"
            )
        choice = choose([f"given: {', '.join(others)}"], found, settled)[1]
    model = Model(found, settled, tuple(chosen), settings, choice)
    return model.fit(delta=delta, progress=progress) if fit else model


def _settings(
    priors: Mapping[str, float | str], *, normal: bool
) -> tuple[dict[str, float], list[str]]:
    """Prior settings of the shipped programs, and what these have no settings for, as text."""
    settings: dict[str, float] = {}
    others: list[str] = []
    for name, given in priors.items():
        if isinstance(given, str):
            found = _parsed(name, given) if normal else {}
            settings |= found
            others += [] if found else [f"{name}={given}"]
        else:
            settings[name] = float(given)
    return settings, others


def _parsed(name: str, text: str) -> dict[str, float]:
    """Settings that make the prior of a parameter the one that a text names, if there are any."""
    if name in ("mu", "theta"):
        normal = parse_location_prior(text)
        return {f"{name}_location": normal.location, f"{name}_scale": normal.scale}
    if name not in ("tau", "sigma"):
        raise InputError(
            f"priors: {name!r} is no parameter with a prior to name (mu, theta, tau, sigma); a "
            "setting takes a number"
        )
    prior = parse_scale_prior(text)
    if isinstance(prior, Uniform):
        return {f"{name}_upper": prior.upper}
    if name == "tau" and isinstance(prior, HalfT | HalfCauchy):
        df = prior.df if isinstance(prior, HalfT) else 1.0
        return {"tau_df": df, "tau_scale": prior.scale}
    return {}
