"""What a comparison found: tables, groups, figures, the report, and a folder to keep it in."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from partialpool.api.figures import Figures
from partialpool.api.frames import column_of, columns_in
from partialpool.api.predicting import predict_rows
from partialpool.api.quantities import Quantity
from partialpool.api.saving import read_folder, write_folder
from partialpool.data import GroupedData
from partialpool.data.weights import names_of_weights
from partialpool.errors import InputError
from partialpool.fitting import Fit
from partialpool.report import exports, sentences, trust, views
from partialpool.report import folder as report_folder
from partialpool.tables import comparison, exponential, holdout, thresholds, variables
from partialpool.tables.comparison import Comparison

_SHOWN = 12


class Result:
    """Fits of several models to one data set, and everything that follows from them.

    Tables are computed when they are asked for. Iterating gives the fits' names.

    Parameters
    ----------
    data
        The data.
    fits
        Fits of them, in the order to show.
    delta
        Half-width of the region of practical equivalence, in the unit of the data.

    Attributes
    ----------
    data
        As given.
    plot
        The figures, each a method without arguments that returns a plotnine figure to add to.

    Raises
    ------
    InputError
        No fits, two of the same name, or draws of other groups.

    Examples
    --------
    >>> import partialpool as pp
    >>> result = pp.compare("homework", programs=["no_pooling", "hierarchical_marginal"])
    >>> result.difference("5", "6").prob(">", 0) > 0.95
    True
    >>> "models" in dir(result.plot)
    True
    """

    def __init__(
        self, data: GroupedData, fits: tuple[Fit, ...], *, delta: float | None = None
    ) -> None:
        self.data = data
        self._fits = fits
        self._delta = exponential.log_delta(data, delta)
        comparison.check_fits(fits)
        self.plot = Figures(self)

    @property
    def fits(self) -> Mapping[str, Fit]:
        """The fits by the names of their programs; `.draws` of each is an ArviZ DataTree."""
        return MappingProxyType({fit.name: fit for fit in self._fits})

    @cached_property
    def comparison(self) -> Comparison:
        """All tables by name, on the scale that people read, computed as they are asked for."""
        made = comparison.compute(self.data, self._fits, delta=self._delta, lazily=True)
        return exponential.of_comparison(made)

    # --- tables -------------------------------------------------------------------------------

    def table(self, name: str) -> pd.DataFrame:
        """Return any table of the report, by the name of its file there (`tables/NAME.csv`).

        Raises
        ------
        InputError
            There is none of that name, or it cannot be computed here; the message says why.
        """
        tables = self.comparison.tables
        if name in tables:
            return tables[name]
        why = self.comparison.missing.get(name)
        if why is not None:
            raise InputError(f"the table {name!r} is missing: {why}")
        raise InputError(f"there is no table {name!r}; there are {', '.join(tables)}")

    @property
    def estimates(self) -> pd.DataFrame:
        """Posterior mean, sd and quantiles of every parameter, with Monte Carlo errors."""
        return self.table("estimates")

    @property
    def shrinkage(self) -> pd.DataFrame:
        """Estimates of each group side by side: its own, and those of the models."""
        return self.table("shrinkage_wide")

    @property
    def contrasts(self) -> pd.DataFrame:
        """Differences between groups, by pair and model."""
        return self.table("contrasts")

    @property
    def ranks(self) -> pd.DataFrame:
        """Expected rank of each group, and the probabilities of the first and the last."""
        return self.table("rank_summary")

    @property
    def variance(self) -> pd.DataFrame:
        """Variances within and between groups, and the share between them."""
        return self.table("variance")

    @property
    def predictions(self) -> pd.DataFrame:
        """Predictions of new observations and new groups."""
        return self.table("predictions")

    @property
    def diagnostics(self) -> pd.DataFrame:
        """Every check of every fit."""
        return self.table("diagnostics")

    @property
    def loo(self) -> pd.DataFrame:
        """How well each model predicts a new observation in a known group."""
        return self.table("loo")

    @property
    def checks(self) -> pd.DataFrame:
        """Observed statistics against those of replicated data sets."""
        return self.table("posterior_checks")

    def on_later(self, later: GroupedData) -> pd.DataFrame:
        """Score the models' predictions on later counts of the same groups, best first.

        Raises
        ------
        InputError
            Outcomes of another kind, or of no group of the data.
        """
        found = holdout.summary(holdout.groups(self._fits, self.data, later))
        return exponential.tables(self.data, {"holdout": found})["holdout"]

    # --- groups -------------------------------------------------------------------------------

    def __getitem__(self, label: Any) -> Quantity:
        """Return the posterior of a group under partial pooling (or no pooling, without it).

        Raises
        ------
        KeyError
            No such group.
        """
        name = f"{self.data.group_label} {label}"
        return self._quantity(name, self._fit(), [(str(label), 1.0)])

    def difference(self, first: Any, second: Any, *, model: str | None = None) -> Quantity:
        """Return the posterior of the difference of two groups; of logarithms, of the ratio.

        Parameters
        ----------
        first, second
            Labels of the groups, as text or as what their text is of.
        model
            Name of the program whose posterior is meant; partial pooling by default.

        Raises
        ------
        KeyError
            No such group, or no such model.
        """
        fit = self._fit() if model is None else self.fits[model]
        sign = "/" if self.data.exp else "−"
        parts = [(str(first), 1.0), (str(second), -1.0)]
        return self._quantity(f"{first} {sign} {second}", fit, parts)

    def predict(self, rows: Any, group: str | None = None) -> pd.DataFrame:
        """Predict an outcome for each of some new rows, from partial pooling.

        Parameters
        ----------
        rows
            Labels, or a frame or a dictionary that has them in a column. A label of the data is
            that group, another one a new group, a missing one any of the groups at hand. Columns
            of the covariates' names say where a new group lies; what is missing is taken at its
            mean over the groups. So does a column of outer groups, where groups lie within groups;
            a new group is in a new outer one without it. Where observations have weights, a column
            of their name, or `weight`, has that of each new one; it is 1 without.
        group
            Name of that column; `data.group_label` where None.

        Returns
        -------
        DataFrame
            As from `partialpool.api.predicting.predict_rows`: `group`, `kind`, `mean`, `sd`,
            `q2.5`, `median`, `q97.5`.

        Raises
        ------
        InputError
            No such column, counts, or a program without a normal population.
        """
        listed = isinstance(rows, list | tuple)
        if listed:
            return predict_rows(self._fit(), self.data, list(rows))
        labels = column_of(rows, group or self.data.group_label)
        own = self.data.stats.covariates
        names = columns_in(rows, own.sources if own is not None else ())
        given = {name: list(column_of(rows, name)) for name in names}
        nesting = self.data.stats.nesting
        further = (nesting.label,) if nesting is not None else names_of_weights(self.data)
        for name in columns_in(rows, further):
            given[name] = list(column_of(rows, name))
        return predict_rows(self._fit(), self.data, list(labels), covariates=given)

    def _fit(self) -> Fit:
        found = self.comparison.model("partial") or self.comparison.model("none")
        return found or self._fits[0]

    def _quantity(self, name: str, fit: Fit, parts: list[tuple[str, float]]) -> Quantity:
        theta = variables.theta(fit, self.data)
        if theta is None:
            raise InputError(f"{fit.name} has no theta to be asked for a group")
        for label, _ in parts:
            if label not in self.data.labels:
                near = ", ".join(map(repr, self.data.labels[:_SHOWN]))
                raise KeyError(f"no {self.data.group_label} {label!r}; there are {near}")
        draws = sum(sign * theta[self.data.labels.index(label)] for label, sign in parts)
        apart = "" if self.data.exp else self.data.unit_apart
        unit = apart if len(parts) > 1 else self.data.unit
        failed = ", ".join(str(check) for check in trust.failed(self.comparison, fit))
        return Quantity(name, fit.title, draws, unit, self.data.exp, failed, self.data.per)

    # --- elsewhere ----------------------------------------------------------------------------

    def verdicts(self) -> list[str]:
        """Say in short what was found, what speaks against the model first."""
        return [*trust.failures(self.comparison), *sentences.in_short(self.comparison)]

    def report(
        self,
        folder: str | Path,
        *,
        pdf: bool = False,
        formats: Sequence[str] = (),
        draws: bool = False,
        above: Sequence[float] = (),
        later: GroupedData | None = None,
    ) -> Path:
        """Write the whole comparison as a folder: one HTML page, tables, figures and draws.

        Parameters
        ----------
        folder
            Where to; an earlier result there is replaced.
        pdf
            Whether figures are written as PDF, too.
        formats
            Further forms of the tables: "parquet", "xlsx".
        draws
            Whether draws are written as Parquet, too, one row a draw.
        above
            Values, of each of which the probability that groups lie above is given.
        later
            Later counts of the same groups, by which predictions are scored.

        Raises
        ------
        InputError
            The folder is something other than a result, or cannot be written.
        """
        return report_folder.write(
            folder,
            self.data,
            self._fits,
            delta=self._delta,
            pdf=pdf,
            formats=exports.check_formats(formats),
            draws=draws,
            thresholds=thresholds.check(above, self.data),
            later=later,
        )

    def save(self, folder: str | Path) -> Path:
        """Keep data and draws in a folder that `partialpool.open` opens.

        Raises
        ------
        InputError
            The folder is something other than a result, or cannot be written.
        """
        return write_folder(folder, self.data, self._fits, self._delta)

    @classmethod
    def open(cls, folder: str | Path) -> Result:
        """Open what `save` kept.

        Raises
        ------
        InputError
            The folder holds no saved result.
        """
        data, fits, delta = read_folder(folder)
        result = cls(data, fits)
        result._delta = delta
        return result

    def __repr__(self) -> str:
        """Say what was compared and what was found, in a few lines; what failed comes first."""
        head = f"{self.data!r}: {', '.join(fit.title for fit in self._fits)}"
        return "\n".join([head, *(f"- {line}" for line in self.verdicts())])

    def _repr_html_(self) -> str:
        """The same for notebooks, with the estimates side by side."""
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.verdicts())
        view = views.shrinkage(self.comparison)
        head = "".join(f"<th>{html.escape(title)}</th>" for title in view.head) if view else ""
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell.text)}</td>' for cell in row)}</tr>"
            for row in (view.rows[:_SHOWN] if view else ())
        )
        title = html.escape(repr(self.data))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p><b>{title}</b></p><ul>{lines}</ul>{table if rows else ''}"


def open(folder: str | Path) -> Result:  # noqa: A001
    """Open a result that `Result.save` kept.

    Raises
    ------
    InputError
        The folder holds no saved result.

    Examples
    --------
    >>> import partialpool as pp
    >>> import tempfile
    >>> result = pp.compare("homework", programs="complete_pooling")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = pp.open(result.save(f"{folder}/kept"))
    >>> again.data  # doctest: +ELLIPSIS
    Weekly homework in eight schools: 165 observations in 8 groups (...)
    """
    return Result.open(folder)


def beside(results: Mapping[str, Result]) -> pd.DataFrame:
    """Set the groups' estimates of several results side by side, under names of your own.

    Parameters
    ----------
    results
        Name to result; groups are matched by their labels.

    Returns
    -------
    DataFrame
        One row a group: `group`, and for each name the posterior mean under partial pooling (or
        the only model) with `NAME_mcse`, `NAME_q2.5` and `NAME_q97.5`.

    Examples
    --------
    >>> import partialpool as pp
    >>> narrow = pp.compare("homework", programs="hierarchical_marginal", priors={"tau_upper": 1})
    >>> wide = pp.compare("homework", programs="hierarchical_marginal")
    >>> list(pp.beside({"narrow": narrow, "wide": wide})["group"])[:2]
    ['1', '2']
    """
    whole: pd.DataFrame | None = None
    for name, result in results.items():
        fit = result._fit()
        rows = result.estimates
        rows = rows[(rows["model"] == fit.name) & (rows["parameter"] == "theta")]
        columns = {"mean": name, "mcse_mean": f"{name}_mcse"}
        columns |= {end: f"{name}_{end}" for end in ("q2.5", "q97.5")}
        part = rows[["group", *columns]].rename(columns=columns)
        whole = part if whole is None else whole.merge(part, on="group", how="outer", sort=False)
    if whole is None:
        raise InputError("beside needs a result at least")
    return whole
