"""What every family of data offers, and how the rest of the package asks for it.

A family says what a row of data is, which statistics of it suffice, how a group's parameter theta_j
is called, which priors suit, and what is known in closed form. The statistics travel with the data
(`GroupedData.stats`), and so does the family (`GroupedData.family`); whatever handles fits asks
these two and names no model.

Most families are *Gaussian*: given theta_j, a group's own estimate `raw` is normal around it
with variance `error_sd`^2 / `weight`. For observations `error_sd` is the sd within groups, which is
sampled, and `weight` the group's size; for estimates with known standard errors `error_sd` is 1 and
`weight` is 1 / se^2. With theta_j ~ normal(center, tau^2) everything about the groups follows
(Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section 5.4). In every family tau is the sd
of theta in the population, and the pooling factor is the weight that the mean of the population has
in the posterior mean of theta: of proportions and rates too it is
`error_sd`^2 / (`error_sd`^2 + `weight` tau^2), where `error_sd` is the root of the mean variance of
a single trial, or of the events in one unit of exposure, within groups.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from partialpool.errors import InputError
from partialpool.families.alike import Alike
from partialpool.families.conjugate import Kind
from partialpool.families.covariates import Covariates
from partialpool.families.nesting import Nesting
from partialpool.families.protocols import Declared, Pooling, Posterior, Scoring
from partialpool.priors.choices import Choice
from partialpool.priors.hyperparameters import Priors
from partialpool.settings import Settings
from partialpool.types import FloatArray, IntArray

COMPLETE, NONE = "complete_pooling", "no_pooling"
COMMON_VARIANCE = "no_pooling_common_variance"
CENTERED = "hierarchical_centered"
NONCENTERED = "hierarchical_noncentered"
MARGINAL = "hierarchical_marginal"
FORMS = (CENTERED, NONCENTERED, MARGINAL)
"""Names of the forms of the hierarchical model."""

SHIPPED = (COMPLETE, NONE, *FORMS)
"""Names of the programs that every family has, in the order in which a report shows them."""

DEFAULT = (COMPLETE, NONE, MARGINAL)
"""The three models of a comparison in which nothing else is asked for."""

DRAWN_GROUPS = 1000
"""Most groups whose means a program that integrates over them draws; of more, the estimates follow
from the population's parameters (`partialpool.tables.group_posterior`)."""


SCALES = (1e-60, 1e60)
"""Least and largest sd of data that models take: beyond, densities over- and underflow."""


class Statistics(ABC):
    """What of the data suffices, by group; each family has its own columns.

    Attributes
    ----------
    labels
        Names of the groups, in the order of the arrays.
    """

    labels: tuple[str, ...]

    apart: ClassVar[tuple[str, ...]] = ("labels",)
    """Fields that are no column of numbers by group."""

    kind: ClassVar[Kind | None] = None
    """What theta is given the population, where that is not normal."""

    error_sd: ClassVar[str]
    """The parameter that is the error's sd; empty where it is known to be 1."""

    @property
    def J(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Name of each statistic to its values, shape (J,)."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in names if name not in self.apart}

    @property
    def covariates(self) -> Covariates | None:
        """What is known of each group besides its data, where models use it."""
        return None

    @property
    def nesting(self) -> Nesting | None:
        """The outer group of each group, where groups lie within groups."""
        return None

    @property
    def alike(self) -> Alike | None:
        """Groups whose data are the same, of a family in which that is common."""
        return None

    @property
    @abstractmethod
    def N(self) -> int:
        """Number of rows of data."""

    @property
    @abstractmethod
    def counts(self) -> IntArray:
        """Rows of each group, shape (J,)."""

    @property
    @abstractmethod
    def raw(self) -> FloatArray:
        """Each group's own estimate of its theta, shape (J,)."""

    @property
    @abstractmethod
    def raw_se(self) -> FloatArray:
        """Standard errors of `raw`, shape (J,); NaN where the data do not tell."""

    @property
    @abstractmethod
    def weight(self) -> FloatArray:
        """Precision of `raw` in units of 1 / error_sd^2, shape (J,)."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, NDArray[Any]]:
        """The column of tables that says how much is known of each group, by its name."""

    @property
    @abstractmethod
    def grand_mean(self) -> float:
        """Mean of all data, each row with the weight that the family gives it."""

    @property
    @abstractmethod
    def total_sd(self) -> float:
        """Spread of all data, groups ignored; the scale of default priors and of digits."""

    @property
    def unit_sd(self) -> float:
        """The same in units of the errors' sd: where rows have weights, of one of weight 1."""
        return self.total_sd

    def intervals(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends of an interval about each group's own estimate, shape (J,) each."""
        z = NormalDist().inv_cdf(0.5 + level / 2)
        return self.raw - z * self.raw_se, self.raw + z * self.raw_se

    @abstractmethod
    def summary(self) -> pd.DataFrame:
        """Describe each group, one row a group: `group` and the family's columns."""

    @abstractmethod
    def take(self, at: IntArray) -> Self:
        """Return the statistics of some groups, by index."""

    @property
    def row_weights(self) -> FloatArray | None:
        """Precision of each row in units of 1 / error_sd^2; None where it is 1 for all.

        Shape (N,), in the order of the rows, or empty where these are not at hand.
        """
        return None

    def without_row(self, j: int, value: float, weight: float = 1.0) -> Self | None:
        """Return the statistics without one row of group j; None where a row is a group's all."""
        return None


@dataclass(frozen=True)
class Words:
    """What people read, where families differ.

    Attributes
    ----------
    theta, thetas
        What a group's parameter is called, one and several: "group mean", "group means".
    raw, raws
        What a group's own estimate is called: "sample mean", "sample means".
    rows
        What a row of data is called: "observations".
    size, size_title
        The column that `Statistics.sizes` has, as sentences write it ("n") and as an axis does.
    least
        What a group has of which least is known: "fewest observations".
    amount
        What introduces how much is known of the groups, after their number; empty where the number
        of rows does.
    scaled
        What the sd within groups is of, where rows differ in precision: " at weight 1".
    raw_se
        How the standard error of `raw` comes about, after a colon; empty where it is given.
    data
        What the data are: "observations".
    middle
        How `Statistics.grand_mean` is introduced: "Their mean is".
    reference
        What `Statistics.grand_mean` is called beside a line in a figure: "grand mean".
    population
        What groups drawn anew may not fit: "a normal population of effects".
    intervals
        What `Statistics.intervals` gives at 50 and 95 %.
    too_alike
        What may be where the groups differ less than groups drawn anew.
    """

    theta: str
    thetas: str
    raw: str
    raws: str
    rows: str
    size: str
    size_title: str
    least: str
    amount: str = ""
    scaled: str = ""
    raw_se: str = ": pooled sd within groups over the root of n"
    data: str = "observations"
    middle: str = "Their mean is"
    reference: str = "grand mean"
    intervals: str = "intervals of 0.67 and 1.96 standard errors either way"
    population: str = "a normal population of group means"
    too_alike: str = "the group means lie closer together than their errors lead one to expect"


@dataclass(frozen=True)
class Design:
    """What a calibration of the programs of a family simulates.

    Attributes
    ----------
    family
        Name of the family.
    sizes
        How much is known of each group: numbers of observations, or standard errors.
    priors
        Prior settings of the shipped programs; all of them are proper, and wide against what a
        data set of these sizes says, so that the prior matters as well as the likelihood.
    scales
        Priors of the sds, or of the size, that the program `sensitivity` is given; for each of
        these one is chosen anew for each data set.
    """

    family: str
    sizes: tuple[float, ...]
    priors: Priors
    scales: tuple[Any, ...]


class Family(ABC):
    """One kind of data: how it is modelled, checked, estimated exactly and talked about."""

    name: ClassVar[str]
    """Name by which fits and commands know it."""

    folder: ClassVar[str]
    """Folder of its programs below `stan/`; empty for the family of the lesson."""

    reads: ClassVar[str]
    """Name of the family that reads its rows: its own, or that of another model of them."""

    model: ClassVar[Mapping[str, str]] = {"population": "normal"}
    """What is assumed where there is a choice, by option: `population`, `spread`, `errors`."""

    nested: ClassVar[str] = ""
    """Name of the family of the same rows whose groups lie within groups; empty for none."""

    explained: ClassVar[str] = ""
    """Name of the family of the same rows that takes covariates of groups; empty for none."""

    words: ClassVar[Words]

    statistics: ClassVar[type[Any]]
    """The class of its statistics, which takes `labels` and the columns by name."""

    words_of_logarithms: ClassVar[Words | None] = None
    """The same where rows are logarithms of observations, whose exponentials are shown."""

    programs: ClassVar[tuple[str, ...]] = SHIPPED
    """Names of its programs, in the order in which a report shows them."""

    settings: ClassVar[tuple[str, ...]]
    """Prior settings of the shipped programs."""

    choice_settings: ClassVar[tuple[str, ...]]
    """Prior settings that the base choice of priors is made from."""

    rows_are_groups: ClassVar[bool] = False
    """Whether each group is one row, so that leaving out a row leaves out its group."""

    population: ClassVar[tuple[str, ...]] = ("mu", "tau", "sigma")
    """Parameters of partial pooling that are not of one group, as figures and tables show them."""

    pictured: ClassVar[tuple[str, ...]] = ()
    """Those whose posteriors a figure shows beside their priors, where it is not all of them."""

    effects: ClassVar[tuple[str, ...]] = ()
    """What else its programs have one value of a group of, besides theta."""

    ratios: ClassVar[tuple[str, ...]] = ()
    """Ratios that compare two groups beside the difference: "ratio", "odds_ratio"."""

    has_icc: ClassVar[bool] = True
    """Whether tau^2 / (tau^2 + sigma^2) is a share that means something."""

    support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Ends of what theta and mu may be."""

    gaussian: ClassVar[bool] = True
    """Whether estimates are normal around theta, and theta is normal around mu."""

    mixture: ClassVar[str] = ""
    """What theta depends on besides mu, tau and the sd within, in words; empty where on nothing, so
    that it is normal given them."""

    degrees: ClassVar[str] = ""
    """The parameter that is the degrees of freedom of a Student-t population."""

    errors_degrees: ClassVar[str] = ""
    """The parameter that is the degrees of freedom of Student-t errors under partial pooling."""

    local_scale: ClassVar[str] = ""
    """The variable by group that says how much wider than tau the population is for the group."""

    idea: ClassVar[tuple[str, str]] = ("", "")
    """What its model has in partial pooling, and what the usual model of the same rows has there;
    empty for the usual model."""

    most_exact_groups: ClassVar[int] = 200
    """Most groups of which reports work out exact posteriors of partial pooling."""

    leaves_groups_out: ClassVar[bool | None] = None
    """Whether exact posteriors of shipped programs score each group given the others; those of
    groups that are rows do where this is None."""

    may_be_logarithms: ClassVar[bool] = False
    """Whether theta may be a logarithm whose exponential people read."""

    # --- priors -------------------------------------------------------------------------------

    @abstractmethod
    def default_priors(self, stats: Any) -> Priors:
        """Weakly informative priors on the scale of the data, each with its source."""

    def settled(self, priors: Priors) -> Priors:
        """Leave out the settings that others have made void."""
        return priors

    @abstractmethod
    def prior_conflicts(self, priors: Priors, stats: Any) -> list[str]:
        """Warn of priors that the data speak against; an empty list is the normal case."""

    def notices(self, stats: Any, y: FloatArray) -> list[str]:
        """Say what data look like that the models do not suit, and what to do."""
        return []

    @abstractmethod
    def base_choice(self, priors: Priors) -> Choice:
        """Priors of the shipped hierarchical programs, under the settings given."""

    @abstractmethod
    def named_choices(self, stats: Any, priors: Priors) -> Mapping[str, Choice]:
        """Every choice of priors that can be asked for by name, the base first."""

    def default_choices(self, stats: Any, priors: Priors) -> tuple[Choice, ...]:
        """Return the named choices that suit these data."""
        return tuple(self.named_choices(stats, priors).values())

    def expected(self, choice: Any, stats: Any, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group before the data are seen.

        Parameters
        ----------
        choice
            Priors.
        stats
            The statistics, of which the errors or sizes of the groups are taken.
        u, z
            Uniform numbers, shape (2, S), and standard normal ones, shape (3, S).
        """
        mu = choice.mu.location + choice.mu.scale * z[0]
        tau = choice.tau.quantile(u[0])
        if choice.sigma is None:  # the error of one of the estimates
            error = np.quantile(stats.raw_se, u[1], method="inverted_cdf")
        else:
            error = choice.sigma.quantile(u[1])
        return np.asarray(mu + tau * z[1] + error * z[2])

    # --- programs -----------------------------------------------------------------------------

    def compared(self, stats: Any) -> tuple[tuple[str, ...], str]:
        """Names of the programs that suit these data, and a sentence that says why, if needed."""
        return DEFAULT, ""

    def partial_pooling(self, stats: Any) -> str:
        """Name of the program of partial pooling among those: the form that suits these data."""
        return next(name for name in self.compared(stats)[0] if name in FORMS)

    @abstractmethod
    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """Give what programs may declare as data, besides rows, switches and prior settings.

        Parameters
        ----------
        stats
            The statistics.
        draw_groups
            Whether a program that integrates over the groups draws each group's theta.
        """

    @abstractmethod
    def starts(
        self, program: Declared, stats: Any, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the data's moments, one set a chain."""

    @abstractmethod
    def check_poolable(self, program: Declared, stats: Any) -> list[str]:
        """Refuse data under which a program's posterior is improper; return warnings."""

    def improper(self, declared: Collection[str], priors: Priors) -> str:
        """Say why the priors that a program declares are improper; empty where they are not."""
        del declared, priors
        return ""

    @abstractmethod
    def weighted(self, stats: Any, weight: float) -> dict[str, Any]:
        """Give inputs that raise the likelihood of `sensitivity` to a power."""

    # --- algebra ------------------------------------------------------------------------------

    def pooling_factor(self, stats: Any, tau: FloatArray, error_sd: FloatArray) -> FloatArray:
        """Draws of lambda_j = Var(theta_j | y, center, tau) / tau^2, shape (J, chain, draw).

        1 is complete pooling, where the group's own estimate has no say; 0 is none.

        Parameters
        ----------
        stats
            The statistics.
        tau
            Draws, shape (chain, draw), or (J, chain, draw) where each group has its own.
        error_sd
            Draws of the error's sd, shape (J or 1, chain, draw).
        """
        of_raw = error_sd**2 / stats.weight[:, None, None]
        with np.errstate(invalid="ignore"):
            return np.asarray(of_raw / (of_raw + tau**2))

    @abstractmethod
    def log_likelihood(self, stats: Any, theta: FloatArray, error_sd: FloatArray) -> FloatArray:
        """Log density of all data given theta, shape of theta without groups, up to a constant.

        Parameters
        ----------
        stats
            The statistics.
        theta, error_sd
            Shapes (J, ...) and (J or 1, ...).
        """

    def log_likelihood_given(
        self,
        stats: Any,
        theta: FloatArray,
        error_sd: FloatArray,
        others: Mapping[str, FloatArray],
    ) -> FloatArray:
        """As `log_likelihood`, where it depends on other parameters of the population, too."""
        del others
        return self.log_likelihood(stats, theta, error_sd)

    @abstractmethod
    def log_marginal(
        self, stats: Any, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log density of each group's data as those of a new group, shape (J, chain, draw).

        theta_j is integrated out under theta_j ~ normal(center, tau^2).
        """

    def replicated(
        self,
        stats: Any,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw each group's own estimate, for groups drawn anew from the population.

        Parameters
        ----------
        stats
            The statistics, of which the sizes of the groups are taken.
        center, tau, error_sd
            Draws of the population, shape (S,), and of tau (S, J) where each group has its own; a
            tau of 0 is one theta for all groups.
        rng
            Where randomness comes from.

        Returns
        -------
        array
            Shape (S, J).
        """
        of_theta = tau if tau.ndim == 2 else tau[:, None]
        theta_and_error = np.hypot(of_theta, stats.raw_se)
        return np.asarray(
            center[:, None] + theta_and_error * rng.standard_normal((len(center), stats.J))
        )

    def unexplained(self, stats: Any, priors: Priors) -> Any:
        """Exact posterior of partial pooling without covariates; None where it is not known.

        Its `summary` takes the groups that are wanted.
        """
        return None

    def with_covariates(self, stats: Any, found: Covariates) -> Any:
        """Put covariates of the groups beside the statistics of the rows, where models use them."""
        raise NotImplementedError

    def with_rows(self, stats: Any, y: FloatArray, group: IntArray) -> Any:
        """Put the rows of each group beside the statistics, where models use them."""
        del y, group
        return stats

    def with_nesting(self, stats: Any, nesting: Nesting) -> Any:
        """Put the outer group of each group beside the statistics, where models use it."""
        raise NotImplementedError

    def as_nested(self, stats: Any, other: Statistics) -> Any:
        """Take over the nesting of other statistics of the same groups, if they have one."""
        return stats if other.nesting is None else self.with_nesting(stats, other.nesting)

    def whole_statistics(self, stats: Any, y: FloatArray) -> dict[str, FloatArray]:
        """Statistics of whole data sets, each a row of `y`, that no model fits directly.

        Parameters
        ----------
        stats
            The statistics, of which the errors or sizes of the groups are taken.
        y
            Each group's own estimate, shape (S, J).

        Returns
        -------
        dict
            Name to values, shape (S,).
        """
        se = stats.raw_se
        weights = (se.min() / se) ** 2
        center = (y * weights).sum(axis=1, keepdims=True) / weights.sum()
        return {
            "Smallest estimate": y.min(axis=1),
            "Largest estimate": y.max(axis=1),
            "Sd of the estimates": y.std(axis=1, ddof=min(1, y.shape[1] - 1)),
            "Cochran's Q": (((y - center) / se) ** 2).sum(axis=1),
        }

    def next_size(self, stats: Any) -> float:
        """How much of a group is predicted next, where outcomes are counts: trials or exposure."""
        return 1

    def outcome(self, size: float) -> str:
        """What is predicted then, in words; empty where it is an observation around theta."""
        return ""

    def draw_outcome(self, theta: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
        """Draw that outcome given theta, shape of theta."""
        raise NotImplementedError

    def log_outcome(self, stats: Any, theta: FloatArray) -> FloatArray:
        """Log probability of each group's counts given theta, with constants, shape of theta."""
        raise NotImplementedError

    def replicate_given(
        self, stats: Any, theta: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw each group's own estimate anew given theta, shape of theta, (J, ...)."""
        raise NotImplementedError

    def shares(self, stats: Any, tau: FloatArray) -> dict[str, FloatArray]:
        """Draws of what tells how much of the variance lies between groups, by name.

        The intraclass correlation, which needs the variance within groups, is not among them.
        """
        return {}

    # --- words --------------------------------------------------------------------------------

    def unit_per(self, unit: str, per: int) -> str | None:
        """Unit of theta times `per`, given its unit; None where theta is never shown so."""
        del unit, per
        return None

    def count(self, stats: Any) -> str:
        """Say how many rows and groups there are: "165 observations in 8 groups"."""
        rows = self.words.rows if stats.N > 1 else self.words.rows.removesuffix("s")
        return f"{stats.N:,} {rows} in {f'{stats.J:,} groups' if stats.J > 1 else 'one group'}"

    # --- what is known in closed form -----------------------------------------------------------

    @abstractmethod
    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """

    def knows_exactly(self, program: str) -> bool:
        """Whether the exact posterior of a shipped program is known."""
        return program in self.programs

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """Whether a fit of a shipped program is draws from its exact posterior, without Stan.

        Parameters
        ----------
        program
            Name of the program.
        stats
            The statistics.
        rows
            Whether the rows are at hand, so that any program can be given them.
        """
        return False

    def draw_exactly(
        self,
        program: str,
        stats: Any,
        priors: Priors,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw independently from the exact posterior of a program, where `draws_exactly` is true.

        Returns
        -------
        dict
            Draws of what the program writes, by name, shape (chain, draw) and, by group,
            (chain, draw, J); with `lprior`. Groups are drawn where `draw_groups` says so, or
            where there is nothing else to draw.

        Raises
        ------
        InputError
            More groups than are drawn, or a prior setting that is missing or out of range.
        """
        raise InputError(f"{program}: its exact posterior is not known")

    @abstractmethod
    def exact_alternative(self, choice: Any, stats: Any) -> Posterior:
        """Exact posterior of the hierarchical model under a choice of priors."""

    @abstractmethod
    def draw_alternative(
        self,
        choice: Any,
        stats: Any,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw independently from that posterior: `tau`, `mu`, the sd within where it is sampled.

        Returns
        -------
        dict
            Draws by name, shape (chain, draw); `theta`, if asked, (chain, draw, J).
        """

    def within_reach(self, stats: Any) -> bool:
        """Whether the exact posterior of partial pooling takes little enough for a report."""
        return bool(self.most_exact_groups >= stats.J)

    def usual_posterior(self, stats: Any, priors: Priors) -> Scoring | None:
        """Exact posterior of partial pooling under the usual model of the same rows.

        Its priors are the same, as far as it has them. None for the usual model itself.
        """
        del stats, priors
        return None

    @abstractmethod
    def prior_marginal(self, stats: Any, priors: Mapping[str, float]) -> FloatArray | None:
        """Log prior predictive density of each group's data under no pooling, shape (J,).

        None where the settings do not say.
        """

    # --- simulation ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def design(self) -> Design:
        """What a calibration of the programs simulates."""

    @abstractmethod
    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: Any,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw the parameters of a model from its prior.

        Parameters
        ----------
        pooling
            Which model: complete, no or partial pooling.
        groups
            Number of groups.
        priors, choice
            Settings for the two extremes, and priors of partial pooling.
        rng
            Where randomness comes from.
        one_sd
            Whether groups that are not pooled share the sd within.

        Returns
        -------
        dict
            True values by name: scalars of shape (), values by group of shape (J,).
        """

    @abstractmethod
    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Any]:
        """Draw rows of data given the parameters: outcomes, group of each, and their statistics.

        Parameters
        ----------
        truth
            From `draw_truth`.
        sizes
            How much is known of each group, as in `Design.sizes`.
        rng
            Where randomness comes from.
        """

    @abstractmethod
    def classical(self, stats: Any) -> dict[str, Callable[[], pd.DataFrame]]:
        """Name of each table of classical companions to what computes it."""


def draw_population(choice: Choice, groups: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Draw the sds and mu of partial pooling, its groups, and a group that has no data."""
    drawn = {name: prior.quantile(rng.uniform()) for name, prior in choice.priors.items()}
    eta = rng.standard_normal(groups)
    theta = drawn["mu"] + drawn["tau"] * eta
    theta_new = np.asarray(rng.normal(drawn["mu"], drawn["tau"]))
    return {**drawn, "eta": eta, "theta": theta, "theta_new": theta_new}


def check_scale(sd: float) -> None:
    """Refuse data whose spread no model can be sampled on.

    Raises
    ------
    InputError
        With the spread, and what to do.
    """
    least, most = SCALES
    if not least <= sd <= most:
        raise InputError(
            f"the scale of the values is the trouble: their sd is {sd:.2g}, and models take sds "
            f"from {least:g} to {most:g}; divide the outcome by a suitable unit first"
        )


def rounded(x: float) -> float:
    """Three significant digits, so that the value printed is the value used."""
    return float(f"{x:.3g}")


def rounded_to(x: float, step: float) -> float:
    """Round to the power of ten just below `step`: keeps a large offset to the data's scale."""
    return round(x, -math.floor(math.log10(step)))
