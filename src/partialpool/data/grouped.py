"""Grouped data: what every reader returns, and how values in memory become that.

Nothing reaches a model unchecked: values in memory get the checks that files get.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from partialpool.data.labels import strip_labels
from partialpool.data.memory import as_numbers, first_missing, label_texts
from partialpool.data.order import in_categories, in_order
from partialpool.errors import InputError
from partialpool.families import FAMILIES, chosen
from partialpool.families.base import Family, Statistics, Words
from partialpool.families.known_errors import KNOWN_ERRORS, Estimates
from partialpool.families.known_errors import estimates as check_estimates
from partialpool.families.moments import group_stats
from partialpool.families.normal import NORMAL
from partialpool.families.order import places
from partialpool.families.proportions import PROPORTIONS, Proportions
from partialpool.families.proportions import proportions as check_proportions
from partialpool.families.rates import RATES, Rates
from partialpool.families.rates import rates as check_rates
from partialpool.types import FloatArray, IntArray

PER = (100, 1000, 10_000, 100_000, 1_000_000)
"""Numbers of trials, or of units of exposure, that proportions and rates may be shown per."""


@dataclass(frozen=True)
class GroupedData:
    """Observations of one outcome in groups, with what is needed to talk about them.

    Attributes
    ----------
    name
        Short name, used for result folders (the stem of the file).
    y
        Outcomes, shape (N,), in the order of the file.
    group
        Index (from 0) into `stats.labels` of each observation's group, shape (N,).
    stats
        Sufficient statistics by group.
    group_label, value_label, unit
        What a group is called, what the outcome is called and its unit, for people to read.
    title
        One line that names the data set.
    priors
        Prior settings found beside the file; empty where there are none.
    priors_source
        Name of the file that `priors` came from; empty where there are none.
    source
        File name that the data were read from.
    sha256
        Hash of the file's bytes; of files that were scanned, of their sizes, beginnings and ends.
    notes
        What was repaired or left out while reading, and what the models do not suit, one sentence
        each.
    reading
        How to read the data again: `files` (absolute paths), `columns` and the other arguments of
        `partialpool.data.reading.read`; empty for data that came from elsewhere.
    columns
        Further columns by row, for programs that name them; those of files are read when they are
        asked for (`partialpool.data.columns`).
    family
        What the rows say of the groups: how they are modelled and talked about.
    exp
        Whether the estimates are logarithms (log ratios) whose exponentials people read. Models
        know the logarithms alone; tables, figures and sentences show the exponentials
        (`partialpool.tables.exponential`).
    log
        Whether the observations are logarithms that were taken here, of values above 0
        (`logarithms`): their exponentials are in the unit of the data.
    per
        Of how many trials, or how much exposure, proportions and rates are shown (`shown_per`).
        Models know probabilities and rates alone, as with `exp`.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.read_csv(pp.example())  # doctest: +ELLIPSIS
    Weekly homework in eight schools: 165 observations in 8 groups (...)
    """

    name: str
    y: FloatArray
    group: IntArray
    stats: Statistics
    group_label: str = "group"
    value_label: str = "value"
    unit: str = ""
    title: str = ""
    priors: Mapping[str, float] = field(default_factory=dict)
    priors_source: str = ""
    source: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    family: Family = NORMAL
    exp: bool = False
    log: bool = False
    per: int = 1

    def __post_init__(self) -> None:
        if self.exp and not self.log:
            _check_logarithms(self.name, self.family, self.stats)
        more = tuple(n for n in self.family.notices(self.stats, self.y) if n not in self.notes)
        object.__setattr__(self, "notes", (*self.notes, *more))

    def __repr__(self) -> str:
        """Say what the data are in a line."""
        measured = f"{self.axis_title} by {self.group_label}"
        return f"{self.title or self.name}: {self.counted} ({measured})"

    @property
    def counted(self) -> str:
        """How many rows and groups there are, and what is assumed of them that is not usual."""
        usual = FAMILIES[self.family.reads]
        same = self.words.population == usual.words.population
        idea = self.family.idea[0] or ("" if same else self.words.population)
        return self.family.count(self.stats) + (f", with {idea}" if idea else "")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.stats.labels

    @property
    def has_observations(self) -> bool:
        """Whether the observations are at hand, and not only their statistics by group."""
        return len(self.y) > 0

    @property
    def axis_title(self) -> str:
        """The outcome with its unit, for axes and table heads."""
        return f"{self.value_label} ({self.unit})" if self.unit else self.value_label

    @property
    def unit_apart(self) -> str:
        """Unit of differences, which of percentages are percentage points."""
        return "percentage points" if self.per != 1 and self.unit == "%" else self.unit

    @property
    def words(self) -> Words:
        """What people read of these data: the family's words, or those of geometric means."""
        of_logarithms = self.family.words_of_logarithms if self.log else None
        return of_logarithms or self.family.words

    def logarithms(self) -> GroupedData:
        """Take the logarithms of the observations; what is shown is on the scale of the data.

        Prior settings found beside the file are for the values themselves, and are left out.

        Raises
        ------
        InputError
            Estimates or statistics by group instead of observations, or values that are not
            above 0.
        """
        if self.family.rows_are_groups or not self.has_observations:
            what = "estimates" if self.family.rows_are_groups else "statistics by group"
            raise InputError(
                f"{self.name}: logarithms (--log) are taken of observations, and here are {what}; "
                "take them in the data, before anything is added up"
                + ("" if self.family.rows_are_groups else ", or raise --most-observations")
            )
        if not (self.y > 0).all():
            at = int(np.argmin(self.y))
            raise InputError(
                f"{self.name}: value {self.y[at]:g} of group {self.labels[self.group[at]]!r} is "
                "not above 0 and has no logarithm; leave --log out"
            )
        y = np.log(self.y)
        left = (
            f"the prior settings of {self.priors_source} are for the values, not for their "
            "logarithms, and are not used"
        )
        return replace(
            self,
            name=f"{self.name}-log",
            y=y,
            stats=self.family.with_rows(
                self.family.as_nested(group_stats(y, self.group, self.labels), self.stats),
                y,
                self.group,
            ),
            priors={},
            priors_source="",
            notes=(*self.notes, *([left] if self.priors else [])),
            reading={**self.reading, "log": True} if self.reading else {},
            exp=True,
            log=True,
        )

    def shown_per(self, per: int | None) -> GroupedData:
        """Show proportions in percent or per so many, rates per so many units of exposure.

        Parameters
        ----------
        per
            One of `PER`; None changes nothing.

        Raises
        ------
        InputError
            Another number, or data that are no counts.
        """
        if per is None:
            return self
        if per not in PER:
            raise InputError(
                f"--per {per}: proportions and rates are shown per {', '.join(map(str, PER))}; "
                "choose one of these"
            )
        unit = self.family.unit_per(self.unit, per)
        if unit is None:
            raise InputError(
                f"{self.name}: --per is for proportions and rates, and these data are "
                f"{self.words.data}; leave it out"
            )
        return replace(self, per=per, unit=unit)

    def modelled(self, **asked: str | None) -> GroupedData:
        """Choose another model of the same rows.

        Prior settings found beside the file are kept where the model has them.

        Parameters
        ----------
        **asked
            `population`, `spread`, `errors`: what is assumed of each, as in
            `partialpool.families.chosen`; None is not asked.

        Raises
        ------
        InputError
            There is no such model of these rows; with those that there are.
        """
        choice = {about: name for about, name in asked.items() if name is not None}
        if not choice:
            return self
        if self.stats.nesting is not None or self.stats.covariates is not None:
            option = " and ".join(f"--{about} {name}" for about, name in choice.items())
            other = "covariates" if self.stats.nesting is None else "groups within groups"
            raise InputError(
                f"{self.name}: {option} with {other}: there is no model of both; "
                "leave one of them out, or turn to brms or bambi"
            )
        family = chosen(self.family, choice)
        if family is self.family:
            return self
        kept = {name: value for name, value in self.priors.items() if name in family.settings}
        left = ", ".join(sorted(set(self.priors) - set(kept)))
        note = f"of {self.priors_source}, these belong to another model and are not used: {left}"
        return replace(
            self,
            name="-".join([self.name, *choice.values()]),
            family=family,
            stats=family.with_rows(
                family.statistics(self.labels, **self.stats.columns), self.y, self.group
            ),
            priors=kept,
            priors_source=self.priors_source if kept else "",
            notes=(*self.notes, *([note] if left else [])),
            reading={**self.reading, "model": choice} if self.reading else {},
        )

    def summary(self) -> pd.DataFrame:
        """Describe each group: `group` and the columns of the family's statistics."""
        return self.stats.summary()

    def without_observations(self) -> GroupedData:
        """Keep only the statistics by group."""
        return replace(self, y=self.y[:0], group=self.group[:0])

    def in_order(self, by: str) -> GroupedData:
        """Put the groups in another order: `data`, `label`, `mean` or `size`.

        See `partialpool.data.order.in_order`.
        """
        return in_order(self, by)


def _check_logarithms(name: str, family: Family, stats: Statistics) -> None:
    """Refuse exponentials of what is no estimate of a logarithm."""
    if not family.may_be_logarithms:
        raise InputError(
            f"{name}: exponentials (--exp) are for estimates of logarithms with known standard "
            f"errors, such as log odds ratios, and these data are {family.words.data}; leave --exp "
            "out"
        )
    with np.errstate(over="ignore"):
        ratios = np.exp(stats.raw)
    if not (np.isfinite(ratios) & (ratios > 0)).all():
        worst = int(np.argmax(np.abs(stats.raw)))
        raise InputError(
            f"{name}: the estimate of {stats.labels[worst]!r} is {stats.raw[worst]:g}, which is no "
            "logarithm of a ratio: its exponential overflows. Give logarithms, or leave --exp out"
        )


def from_values(
    labels: Sequence[str], values: Sequence[float] | FloatArray, *, name: str = "data", **about: Any
) -> GroupedData:
    """Make grouped data from values in memory, with the checks that a file gets.

    Parameters
    ----------
    labels
        Group of each observation: text, or what has a text, length N. A pandas categorical gives
        the groups its order.
    values
        Outcome of each observation, length N.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, no values, values that are missing, not finite or no numbers, a blank or
        missing label, or values whose squares overflow.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.from_values(["a", "a", "b", "b"], [1.0, 2.0, 4.0, 6.0], unit="kg")
    >>> data.stats.mean
    array([1.5, 5. ])
    """
    y = as_numbers(values, what=f"{name}: the values", one=f"{name}, value")
    texts, categories = label_texts(labels, what=f"{name}, value")
    if len(texts) != len(y):
        raise InputError(f"{name}: {len(texts)} labels for values of shape {y.shape}")
    if len(y) == 0:
        raise InputError(f"{name}: there are no observations; at least one is needed")
    if (bad := first_missing(y)) is not None:
        raise InputError(f"{name}: value {bad + 1} is {y[bad]}; outcomes must be finite numbers")
    clean, notes = strip_labels(texts, lambda i: f"{name}, value {i + 1}")
    return group_values(name, y, clean, notes=notes, categories=categories, **about)


def from_estimates(
    labels: Sequence[str],
    estimates: Sequence[float] | FloatArray,
    se: Sequence[float] | FloatArray,
    *,
    name: str = "data",
    **about: Any,
) -> GroupedData:
    """Make grouped data from estimates with known standard errors, one a group.

    Parameters
    ----------
    labels
        Group of each estimate: text, or what has a text, length J. A pandas categorical gives the
        groups its order.
    estimates, se
        Estimates and their standard errors, in one unit, length J.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, numbers that are not finite, a standard error that is not above zero, a
        blank label, or a group with more than one estimate.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.from_estimates(["a", "b", "c"], [28, 8, -3], [15, 10, 16], name="schools")
    >>> data.family.count(data.stats)
    '3 estimates with known standard errors'
    """
    columns = {
        what: as_numbers(numbers, what=f"{name}: the {what}s", one=f"{name}, {what}")
        for what, numbers in (("estimate", estimates), ("standard error", se))
    }
    texts, _ = label_texts(labels, what=f"{name}, estimate")
    for what, numbers in columns.items():
        if len(numbers) != len(texts):
            raise InputError(f"{name}: {len(texts)} labels for {what}s of shape {numbers.shape}")
        if (bad := first_missing(numbers)) is not None:
            raise InputError(
                f"{name}: the {what} of {texts[bad]!r} is {numbers[bad]}; it must be a finite "
                "number"
            )
    clean, notes = strip_labels(texts, lambda i: f"{name}, estimate {i + 1}")
    stats = check_estimates(clean, *columns.values(), where=name)
    stats = in_categories(stats, getattr(labels, "dtype", None))
    return with_estimates(stats, name=name, notes=notes, **about)


def with_estimates(stats: Estimates, *, name: str, **about: Any) -> GroupedData:
    """Make grouped data of checked estimates, each of which is the one row of its group."""
    return _one_row_a_group(stats, KNOWN_ERRORS, name=name, **about)


def from_proportions(
    labels: Sequence[str],
    successes: Sequence[float] | FloatArray,
    trials: Sequence[float] | FloatArray,
    *,
    name: str = "data",
    **about: Any,
) -> GroupedData:
    """Make grouped data from successes of trials; those of one group are added up.

    Parameters
    ----------
    labels
        Group of each row, as text.
    successes, trials
        Whole numbers, of the length of `labels`.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, a blank label, counts that are not whole or negative, or more successes
        than trials.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.from_proportions(["a", "b", "a"], [3, 0, 1], [10, 7, 2])
    >>> data.stats.successes, data.stats.trials
    (array([4, 0]), array([12,  7]))
    """
    given = {"successes": successes, "trials": trials}
    clean, numbers, notes = _counts_in_memory(labels, given, name)
    stats = check_proportions(clean, numbers["successes"], numbers["trials"], where=name)
    stats = in_categories(stats, getattr(labels, "dtype", None))
    return with_proportions(stats, name=name, notes=notes, **about)


def _counts_in_memory(
    labels: Sequence[str], given: Mapping[str, Any], name: str
) -> tuple[list[str], dict[str, FloatArray], tuple[str, ...]]:
    """Labels without blanks, finite numbers by name, and notes."""
    texts, _ = label_texts(labels, what=f"{name}, row")
    columns = {
        what: as_numbers(values, what=f"{name}: the {what}", one=f"{name}, {what}")
        for what, values in given.items()
    }
    for what, numbers in columns.items():
        if len(numbers) != len(texts):
            raise InputError(f"{name}: {len(texts)} labels for {what} of shape {numbers.shape}")
        if (bad := first_missing(numbers)) is not None:
            raise InputError(
                f"{name}: of the {what}, that of {texts[bad]!r} is {numbers[bad]}; it must be a "
                "finite number"
            )
    clean, notes = strip_labels(texts, lambda i: f"{name}, row {i + 1}")
    return clean, columns, notes


def with_proportions(stats: Proportions, *, name: str, **about: Any) -> GroupedData:
    """Make grouped data of checked proportions, each of which is the one row of its group."""
    return _one_row_a_group(stats, PROPORTIONS, name=name, **about)


def from_rates(
    labels: Sequence[str],
    events: Sequence[float] | FloatArray,
    exposure: Sequence[float] | FloatArray | None = None,
    *,
    name: str = "data",
    **about: Any,
) -> GroupedData:
    """Make grouped data from events in an exposure; those of one group are added up.

    Parameters
    ----------
    labels
        Group of each row, as text.
    events
        Whole numbers, of the length of `labels`.
    exposure
        For how long, or of how much, they were counted; 1 in each row where None.
    name
        Short name of the data set.
    **about
        Any other field of `GroupedData` that describes the data (`unit`, `title`, `priors` ...).

    Raises
    ------
    InputError
        Different lengths, a blank label, counts that are not whole, numbers below 0, or events in
        an exposure of 0.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.from_rates(["a", "b"], [5, 1], [94.3, 15.7], unit="per 1000 hours")
    >>> data.stats.raw.round(3)
    array([0.053, 0.064])
    """
    given = {"events": events, "exposure": np.ones(len(labels)) if exposure is None else exposure}
    clean, numbers, notes = _counts_in_memory(labels, given, name)
    stats = check_rates(clean, numbers["events"], numbers["exposure"], where=name)
    stats = in_categories(stats, getattr(labels, "dtype", None))
    return with_rates(stats, name=name, notes=notes, **about)


def with_rates(stats: Rates, *, name: str, **about: Any) -> GroupedData:
    """Make grouped data of checked rates, each of which is the one row of its group."""
    return _one_row_a_group(stats, RATES, name=name, **about)


def _one_row_a_group(stats: Statistics, family: Family, *, name: str, **about: Any) -> GroupedData:
    """Make grouped data of checked statistics whose groups are one row each."""
    return GroupedData(
        name=name, y=stats.raw, group=np.arange(stats.J), stats=stats, family=family, **about
    )


def group_values(
    name: str,
    y: FloatArray,
    labels: Sequence[str],
    *,
    categories: Sequence[str] = (),
    **about: Any,
) -> GroupedData:
    """Group outcomes by their labels, one each, all checked but for squares that overflow.

    Groups come in the order of the categories, where there are some.

    Raises
    ------
    InputError
        The squares of the outcomes overflow.
    """
    with np.errstate(over="ignore"):
        spread = float(y.max()) - float(y.min())
        if not math.isfinite(float((y**2).sum())) or not math.isfinite(spread**2 * len(y)):
            worst = float(y[np.argmax(np.abs(y))])
            raise InputError(
                f"{name}: the squares of the values overflow (largest value {worst:g}); "
                "divide the outcome by a suitable unit first"
            )
    order, group = places(labels)
    if categories:
        index = {label: j for j, label in enumerate(order)}
        order = [each for each in categories if each in index]
        rank = {label: j for j, label in enumerate(order)}
        group = np.array([rank[label] for label in index], dtype=np.int64)[group]
    return GroupedData(name=name, y=y, group=group, stats=group_stats(y, group, order), **about)
