"""Everything that a report says, as frames: computed once, each table on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.families.protocols import Pooling
from partialpool.fitting import Fit, diagnostics, remedies
from partialpool.priors.hyperparameters import Priors
from partialpool.progress import Progress
from partialpool.tables import (
    bayes_factor,
    common_variance,
    contrasts,
    exactness,
    holdout,
    levels,
    outlying,
    predictions,
    prior_choices,
    regression,
    scales,
    shrinkage,
    spreads,
    usual_model,
    variables,
)
from partialpool.tables import thresholds as above
from partialpool.tables.checks import group_checks
from partialpool.tables.group_scores import leave_one_group_out
from partialpool.tables.lazy import Tables, complete
from partialpool.tables.misfit import check_counts
from partialpool.tables.populations import populations
from partialpool.tables.scores import Loo, compare_loo, loo_by_model

_OF_OBSERVATIONS = ("loo", "loo_pointwise", "posterior_checks", "check_counts")

OF_ROWS = "it needs the observations, and only statistics by group are at hand"
"""Why a table is missing that no data without rows have: no failure."""

LEFT_OUT = (
    "Leave-one-out scores and posterior predictive checks of observations are left out: only "
    "statistics by group are at hand"
)
"""Says so of all such tables."""


@dataclass(frozen=True)
class Comparison:
    """Fits and their data, every table that follows from them, and whether to trust them.

    Attributes
    ----------
    data, fits
        As given.
    tables
        Key to frame; the key is the name of the CSV file.
    missing
        Key to the reason, for tables that could not be computed.
    trusted
        Name of a fit to whether it passed every check that counts.
    delta
        Half-width of the region of practical equivalence, or None.
    insist
        Whether conclusions are drawn from fits that failed, too.
    remedies
        Name of a fit that failed to what could be changed, where something could.
    """

    data: GroupedData
    fits: tuple[Fit, ...]
    tables: Mapping[str, pd.DataFrame]
    missing: Mapping[str, str]
    trusted: Mapping[str, bool]
    delta: float | None = None
    insist: bool = False
    remedies: Mapping[str, str] = field(default_factory=dict)

    def concludes(self, name: str) -> bool:
        """Whether conclusions are drawn from a fit."""
        return self.insist or self.trusted[name]

    @property
    def titles(self) -> dict[str, str]:
        """Name of each model to its title."""
        return {fit.name: fit.title for fit in self.fits}

    def model(self, kind: Pooling) -> Fit | None:
        """Return the model shown for a kind of pooling: the first trusted, else the first."""
        of_kind = [fit for fit in self.fits if fit.pooling == kind]
        of_kind.sort(key=lambda fit: not self.trusted[fit.name])
        return of_kind[0] if of_kind else None

    def table(self, key: str, **equal: str) -> pd.DataFrame:
        """Rows of a table in which each named column equals the value; empty if it is missing."""
        frame = self.tables.get(key, pd.DataFrame())
        for column, value in equal.items():
            if column not in frame:
                return frame.iloc[:0]
            frame = frame[frame[column] == value]
        return frame


def compute(
    data: GroupedData,
    fits: Sequence[Fit],
    *,
    delta: float | None = None,
    insist: bool = False,
    equal_effects: bool = False,
    lazily: bool = False,
    thresholds: Sequence[float] = (),
    later: GroupedData | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compute every table.

    Parameters
    ----------
    data, fits, delta, insist
        As in `Comparison`.
    equal_effects
        Whether to compute the Bayes factor of equal effects (`bayes_factor`), too.
    lazily
        Whether a table is computed when it is first asked for, and `missing` grows as they are.
    thresholds
        Values that groups lie above or below (`partialpool.tables.thresholds`).
    later
        Later outcomes of the same groups, to score predictions by (`partialpool.tables.holdout`).
    progress
        Where to report.

    Raises
    ------
    InputError
        No fits, or two of the same name. A table that fails for another reason is listed in
        `missing`, and the others are computed.
    """
    check_fits(fits)
    scores = cache(lambda: loo_by_model(fits, data))
    left_out = cache(lambda: leave_one_group_out(fits, data))
    checked = {fit.name: diagnostics.check(fit) for fit in fits}
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "diagnostics": lambda: pd.concat(
            [table.assign(model=name) for name, table in checked.items()], ignore_index=True
        )[["model", *next(iter(checked.values())).columns]],
        "groups": data.summary,
        "estimates": lambda: shrinkage.estimates(fits, data),
        "exact": lambda: exactness.verify_shipped(fits, data, tables["estimates"]),
        **_of_covariates(fits, data),
        "shrinkage": lambda: shrinkage.shrinkage(fits, data),
        "shrinkage_wide": lambda: shrinkage.shrinkage_table(fits, data),
        "moved": lambda: shrinkage.moved(tables["shrinkage"]),
        "prior_choices": lambda: prior_choices.prior_choices(fits, data),
        "variance": lambda: shrinkage.variance(fits, data),
        "contrasts": lambda: contrasts.contrasts(fits, data, delta=delta),
        "claims": lambda: contrasts.claims(tables["contrasts"]),
        "claims_by_variance": lambda: common_variance.claims_by_variance(
            fits, data, tables["contrasts"]
        ),
        "ranks": lambda: contrasts.ranks(fits, data),
        "rank_summary": lambda: contrasts.rank_summary(fits, data),
        "predictions": lambda: predictions.predictions(fits, data),
        "loo": lambda: compare_loo(fits, data, scores=scores()),
        "loo_pointwise": lambda: _pointwise(scores()),
        "leave_one_group_out": lambda: left_out().summary,
        "leave_one_group_out_groups": lambda: left_out().groups,
        **data.family.classical(data.stats),
        "posterior_checks": lambda: group_checks(fits, data),
        "check_counts": lambda: check_counts(fits, data, tables["posterior_checks"]),
    }
    if any("nu0" in fit.posterior for fit in fits):
        makers["spreads"] = lambda: spreads.spreads(fits, data)
        makers["span"] = lambda: spreads.span_table(fits, data)
    if data.stats.nesting is not None:
        makers["levels"] = lambda: levels.levels(fits, data)
        makers["outer_groups"] = lambda: levels.outer_groups(fits, data)
        makers["poolings"] = lambda: levels.poolings(fits, data)
    if data.family.local_scale:
        makers["scales"] = lambda: scales.scales(fits, data)
    if data.family.errors_degrees:
        makers["outlying"] = lambda: outlying.outlying(fits, data)
    if any(data.family.idea):
        makers["usual_model_groups"] = lambda: usual_model.usual_model_groups(fits, data)
        makers["usual_model"] = lambda: usual_model.usual_model(
            fits, data, tables["usual_model_groups"]
        )
    if later is not None:
        makers["holdout_groups"] = lambda: holdout.groups(fits, data, later)
        makers["holdout"] = lambda: holdout.summary(tables["holdout_groups"])
    if thresholds:
        makers["thresholds"] = lambda: above.thresholds(fits, data, thresholds)
    if equal_effects:
        priors = Priors(fits[0].record.priors)
        makers["bayes_factor"] = lambda: bayes_factor.bayes_factors(data, priors)
    if data.family.rows_are_groups:
        for key in ("loo", "loo_pointwise", "check_counts"):
            del makers[key]
        if not data.family.gaussian:
            makers["populations"] = lambda: populations(fits, data)
    absent: list[str] = []
    if not data.has_observations:
        absent = list(_OF_OBSERVATIONS)
        for key in absent:
            makers.pop(key, None)
    tables = Tables(makers)
    tables.failed |= dict.fromkeys(absent, OF_ROWS)
    trusted = {name: diagnostics.trusted(table) for name, table in checked.items()}
    if not lazily:
        complete(tables, progress=progress)
    offered = {fit.name: remedies.remedy(fit, checked[fit.name], taken=trusted) for fit in fits}
    words = {name: found.words for name, found in offered.items() if found is not None}
    return Comparison(data, tuple(fits), tables, tables.failed, trusted, delta, insist, words)


def _of_covariates(fits: Sequence[Fit], data: GroupedData) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables on covariates, where the data have some."""
    if data.stats.covariates is None:
        return {}
    return {
        "coefficients": lambda: regression.coefficients(fits, data),
        "explained": lambda: regression.explained(fits, data),
        "adjusted": lambda: regression.adjusted(fits, data),
    }


def check_fits(fits: Sequence[Fit]) -> None:
    """Refuse fits that a comparison cannot tell apart.

    Raises
    ------
    InputError
        No fits, or two of the same name.
    """
    names = [fit.name for fit in fits]
    if not names:
        raise InputError("a report needs at least one fit")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two fits are called {twice[0]!r}: give the programs different names")


def _pointwise(scores: Mapping[str, Loo]) -> pd.DataFrame:
    frames = [
        found.pointwise.assign(model=name, threshold=found.summary.threshold)
        for name, found in scores.items()
    ]
    return variables.stacked(frames, ("model", "observation", "group", "elpd", "k", "threshold"))
