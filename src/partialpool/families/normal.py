"""Groups of observations with a normal likelihood: statistics, priors, starts and algebra."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import special

from partialpool.errors import InputError
from partialpool.families import exact
from partialpool.families.base import (
    COMMON_VARIANCE,
    COMPLETE,
    DEFAULT,
    DRAWN_GROUPS,
    FORMS,
    MARGINAL,
    NONE,
    Design,
    Family,
    Words,
    check_scale,
    draw_population,
    rounded,
    rounded_to,
)
from partialpool.families.codes import missing_value_codes
from partialpool.families.exact.classes import MOST_CLASSES
from partialpool.families.exact.pooling_extremes import Sample, draw_means
from partialpool.families.moments import GroupStats, group_stats, lost_digits, size_classes
from partialpool.families.protocols import Declared, Pooling, Posterior
from partialpool.priors import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGammaVariance,
    Normal,
    ScalePrior,
    Uniform,
)
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import SCALED, SET_BY_USER, Priors
from partialpool.settings import Settings
from partialpool.text import beside, in_full
from partialpool.types import FloatArray, IntArray

SAMPLED_ROWS = 500
"""Most observations of which Stan samples complete and no pooling, unless it is asked to; with
more it would take over two seconds."""

SMALLEST_SD = 1e-4
"""Least sd of a mean, in the unit of the data, of which Stan samples these programs."""

LARGEST_SD = 1e15
"""Largest sd of data of which Stan samples them; beyond, a chain's steps do not grow enough."""

FEWEST_OF_OWN = 3
"""Observations of which on a group is shown with a variance of its own under no pooling."""

_FAR = 3
_DF = 3.0
_LOG_2_PI = math.log(2 * math.pi)
_WITHOUT_POPULATION = (COMPLETE, NONE, COMMON_VARIANCE)
_WHOLE = 1e-6
_OUTCOME = frozenset({"y", "ybar", "ss", "ybar_k", "ssb_k", "ssw"})
"""Inputs that hold the outcome, in rows or as statistics."""
_EXTREMES = ("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale")


class Observations(Family):
    """Groups of observations, normal around their group's mean with one sd for all groups."""

    name = "normal"
    reads = "normal"
    folder = ""
    model: ClassVar = {"population": "normal", "spread": "equal", "errors": "normal"}
    statistics: ClassVar[type[Any]] = GroupStats
    words = Words(
        theta="group mean",
        thetas="group means",
        raw="sample mean",
        raws="sample means",
        rows="observations",
        size="n",
        size_title="Observations in the group",
        least="fewest observations",
    )
    words_of_logarithms = replace(
        words,
        theta="geometric mean",
        thetas="geometric means",
        raw="sample geometric mean",
        raws="sample geometric means",
        raw_se=f"{words.raw_se}, of logarithms",
    )
    programs: ClassVar[tuple[str, ...]] = (COMPLETE, NONE, COMMON_VARIANCE, *FORMS)
    nested: ClassVar[str] = "nested"
    explained: ClassVar[str] = "normal_covariates"
    settings: ClassVar[tuple[str, ...]] = (
        *("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"),
        *("mu_location", "mu_scale", "tau_df", "tau_scale", "tau_upper", "sigma_upper"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = (
        *("mu_location", "mu_scale", "sigma_upper"),
        *("tau_df", "tau_scale", "tau_upper"),
    )

    def default_priors(self, stats: GroupStats) -> Priors:
        """Weakly informative priors on the scale of the data.

        With m the grand mean and s the sd of all observations, both rounded to three digits:

        - means: normal(m, 2.5 s), as rstanarm scales its priors of intercepts (Goodrich, Gabry, Ali
          and Brilleman, *rstanarm*, "Prior distributions");
        - tau: half-Student-t(3, 0, s). Where there are few groups a uniform prior up to 10 s says
          more than the data: Gelman (2006, *Bayesian Analysis* 1, 515-534, sec. 7) warns of it
          below five groups and takes the half-t family there; brms takes 3 degrees of freedom, and
          Röver et al. (2021, *Research Synthesis Methods* 12, 448-474) scale such priors.
          A bound `tau_upper` makes the prior uniform;
        - sigma: uniform(0, 10 s), with a bound that no sd of these data comes near;
        - sigma2 of complete and no pooling: inverse-gamma(1/2, s^2 / 2), the weight of one
          observation with variance s^2 (Hoff 2009, sec. 5.3, with nu0 = 1).

        Raises
        ------
        InputError
            All observations are equal, so the data have no scale, or one that is out of reach.
        """
        if stats.total_sd == 0:
            raise InputError(
                "all values are equal: there is no variation to model; "
                "check the file and the value column"
                + "".join(f"; {n}" for n in lost_digits(stats))
            )
        check_scale(stats.total_sd)
        s, unit = rounded(stats.total_sd), rounded(stats.unit_sd)
        m = rounded_to(stats.grand_mean, 0.01 * s)
        values = {
            "theta_location": m,
            "theta_scale": rounded(2.5 * s),
            "sigma2_shape": 0.5,
            "sigma2_scale": rounded(0.5 * unit**2),
            "mu_location": m,
            "mu_scale": rounded(2.5 * s),
            "tau_df": _DF,
            "tau_scale": s,
            "sigma_upper": rounded(10 * unit),
        }
        return Priors(values, dict.fromkeys(values, SCALED))

    def settled(self, priors: Priors) -> Priors:
        """Keep the settings of one prior of tau: of the uniform one, where a bound is given.

        Raises
        ------
        InputError
            Settings of both are given in the same place.
        """
        half_t = [
            name
            for name in ("tau_df", "tau_scale")
            if name in priors.values and priors.sources.get(name) != SCALED
        ]
        if "tau_upper" not in priors.values:
            return priors
        if not half_t:
            return self._ordered(priors.without("tau_df", "tau_scale"))
        of_bound = priors.sources.get("tau_upper")
        sources = {priors.sources.get(name) for name in half_t}
        if sources == {of_bound}:
            raise InputError(
                f"{of_bound}: tau_upper gives tau a uniform prior, and {half_t[0]} a half-t one; "
                "give one of them"
            )
        if of_bound == SET_BY_USER:
            return self._ordered(priors.without("tau_df", "tau_scale"))
        return priors.without("tau_upper")

    def _ordered(self, priors: Priors) -> Priors:
        """Settings in the order of `settings`, then others."""
        names = sorted(priors.values, key=[*self.settings, *priors.values].index)
        return Priors({name: priors.values[name] for name in names}, priors.sources)

    def notices(self, stats: GroupStats, y: FloatArray) -> list[str]:
        """Say where values look like codes, have lost their digits, or are 0 or 1 alone."""
        return [*missing_value_codes(y), *lost_digits(stats), *self._proportions(stats, y)]

    def _proportions(self, stats: GroupStats, y: FloatArray) -> list[str]:
        """Say where values are 0 or 1 alone, which are not normal.

        Without rows: n such values with mean m have the sum of squares n m (1 - m), and n m is a
        whole number.
        """
        ones = stats.n * stats.mean
        if len(y):
            binary = bool(np.isin(y, (0.0, 1.0)).all())
        else:
            binary = np.allclose(ones, np.round(ones), atol=_WHOLE) and np.allclose(
                stats.ss, ones * (1 - stats.mean), atol=_WHOLE
            )
        if not binary:
            return []
        return [
            "all values are 0 or 1, so the means of groups are proportions. The shipped models "
            "take them for normal with one variance within groups, which is rough for proportions "
            "near 0 or 1 and for small groups; read as successes of trials (--successes, with "
            "--trials where a row is more than one), they get models of proportions instead"
        ]

    def prior_conflicts(self, priors: Priors, stats: GroupStats) -> list[str]:
        """Warn of priors that the data speak against; an empty list is the normal case.

        Checked are prior means of means (more than three prior sds from the sample mean), upper
        bounds of sds (below the spread that they must cover) and the inverse-gamma prior of sigma2
        (less than one in a thousand on the far side of the pooled variance).
        """
        value = priors.values
        found = []
        for name in ("theta", "mu"):
            location, scale = value.get(f"{name}_location"), value.get(f"{name}_scale")
            if location is None or scale is None or scale <= 0:
                continue
            distance = abs(stats.grand_mean - location) / scale
            if distance > 3:
                found.append(
                    f"the prior of {name}, normal({in_full(location)}, {scale:g}), puts the grand "
                    f"mean {beside(stats.grand_mean, stats.total_sd)} {distance:.1f} prior sds "
                    "from its center"
                )
        spread = float(np.std(stats.mean, ddof=1)) if stats.J > 1 else 0.0
        for name, needed, what in (
            ("tau", spread, "the sd of the group means"),
            ("sigma", stats.within_sd, "the sd within groups"),
            ("sigma0", stats.within_sd, "the sd within groups"),
        ):
            upper = value.get(f"{name}_upper")
            if upper is not None and upper < needed:
                found.append(f"the upper bound of {name}, {upper:g}, is below {what}, {needed:.4g}")
        shape, scale = value.get("sigma2_shape"), value.get("sigma2_scale")
        if shape and scale and shape > 0 and scale > 0 and stats.within_sd > 0:
            below = float(special.gammaincc(shape, scale / stats.within_sd**2))
            if min(below, 1 - below) < 0.001:
                found.append(
                    f"the prior of sigma2, inverse-gamma({shape:g}, {scale:g}), gives less than "
                    f"one in a thousand to variances {'below' if below < 0.5 else 'above'} "
                    f"the one within groups, {stats.within_sd**2:.4g}"
                )
        return found

    def base_choice(self, priors: Priors) -> PriorChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        location, scale, sigma = priors.required(Observations.choice_settings[:3])
        tau: ScalePrior
        if priors.values.get("tau_df", 0) > 0:
            tau = HalfT(*priors.required(("tau_df", "tau_scale")))
        else:
            tau = Uniform(*priors.required(("tau_upper",)))
        return PriorChoice(BASE, Normal(location, scale), tau, Uniform(sigma))

    def named_choices(self, stats: GroupStats, priors: Priors) -> dict[str, PriorChoice]:
        """Every choice that can be asked for by name, the base first.

        The alternatives for tau are the half-normal, half-Cauchy and half-t families that Gelman
        (2006, *Bayesian Analysis* 1, 515-534) discusses, the exponential, and the two inverse-gamma
        priors of tau^2 that he warns of: these are fixed numbers, whatever the unit of the data.
        `weak` holds all three priors to the scale of the data: half-normal(0, s) for both sds, and
        mu as in `default_priors`. `hoff` is the prior of Hoff
        (2009), *A First Course in Bayesian Statistical Methods*, exercise 8.3: mu0 = 7,
        gamma0^2 = 5, eta0 = 2, tau0^2 = 10, nu0 = 2, sigma0^2 = 15, in hours a week.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range, or all observations are equal.
        """
        base = self.base_choice(priors)
        scaled = self.default_priors(stats).values
        s, unit = float(f"{stats.total_sd:.2g}"), float(f"{stats.unit_sd:.2g}")
        variance = InverseGammaVariance.scaled_inverse_chi_square
        taus: dict[str, ScalePrior] = {
            "half_normal": HalfNormal(s),
            "half_cauchy": HalfCauchy(s),
            "half_t": HalfT(_DF, s),
            "exponential": Exponential(float(f"{1 / s:.2g}")),
            "inverse_gamma_0.01": InverseGammaVariance(0.01, 0.01),
            "inverse_gamma_1": InverseGammaVariance(1, 1),
        }
        if not isinstance(base.tau, Uniform):
            del taus["half_t"]
            taus = {"uniform": Uniform(rounded(10 * s)), **taus}
        choices = [base, *(replace(base, name=name, tau=tau) for name, tau in taus.items())]
        choices += [
            replace(base, name="sigma_half_cauchy", sigma=HalfCauchy(unit)),
            replace(base, name="mu_wide", mu=replace(base.mu, scale=10 * base.mu.scale)),
            replace(base, name="mu_narrow", mu=replace(base.mu, scale=0.5 * base.mu.scale)),
            PriorChoice(
                "weak",
                Normal(scaled["mu_location"], scaled["mu_scale"]),
                HalfNormal(s),
                HalfNormal(unit),
            ),
            PriorChoice(
                "hoff", Normal(7, round(math.sqrt(5), 4)), variance(2, 10), variance(2, 15)
            ),
        ]
        return {choice.name: choice for choice in choices}

    def default_choices(self, stats: GroupStats, priors: Priors) -> tuple[PriorChoice, ...]:
        """Return the named choices without those that speak of other data.

        Left out is a choice whose prior of mu has its center more than three of its sds from the
        mean of the data, unless it is the base's prior: `hoff`, where the data are not hours a
        week.
        """
        named = self.named_choices(stats, priors)
        mean = stats.grand_mean
        return tuple(
            choice
            for choice in named.values()
            if choice.mu.location == named[BASE].mu.location
            or abs(choice.mu.location - mean) <= _FAR * choice.mu.scale
        )

    def compared(self, stats: GroupStats) -> tuple[tuple[str, ...], str]:
        """Show no pooling with one variance for all groups where some are too small for their own.

        Of two observations the variance has one degree of freedom: the prior says more than they.
        """
        small = int((stats.n < FEWEST_OF_OWN).sum())
        if small == 0:
            return DEFAULT, ""
        groups = "1 group has" if small == 1 else f"{small:,} groups have"
        return (COMPLETE, COMMON_VARIANCE, MARGINAL), (
            f"{groups} fewer than {FEWEST_OF_OWN} observations, too few for a variance of their "
            f"own: no pooling is shown with one variance for all groups (`--program {NONE}` gives "
            "each its own)"
        )

    def check_poolable(self, program: Declared, stats: GroupStats) -> list[str]:
        """Refuse data under which a program's posterior is improper; return warnings.

        The conditions are those of the shipped models: a group with a variance of its own needs two
        different values; a shared variance needs a group with two different values; a variance
        between groups needs two groups, and three to say much. What is asked of the observations
        is asked for programs that read them, and for a variance where one is written.

        Raises
        ------
        InputError
            With the groups concerned and the way out.
        """
        reads = not _OUTCOME.isdisjoint(program.declared["inputs"])
        if reads and stats.total_ss == 0:
            raise InputError("all values are equal: there is no variation to model")
        pooling = program.pooling
        if reads and pooling == "none" and program.outputs.get("sigma") == 1:
            alike = [f"{stats.labels[j]!r}" for j in np.flatnonzero(stats.ss == 0)]
            shown = ", ".join(alike[:5])
            shown += f" and {len(alike) - 5} more" if len(alike) > 5 else ""
            if alike and {"sigma2_shape", "sigma2_scale"} <= set(program.inputs):
                return [
                    f"the prior alone says how large the variance is in {shown}: fewer than two "
                    "different values"
                ]
            if alike:
                raise InputError(
                    f"no pooling cannot estimate a variance in {shown}: fewer than two different "
                    "values. Leave these groups out, or leave this model out with "
                    f"--without {program.name}; partial pooling can use them, and so can "
                    f"{COMMON_VARIANCE}"
                )
        elif pooling == "none" and not stats.ss.any():
            raise InputError(
                "no pooling needs a group with two different values to estimate the variance "
                "within groups; these data have none"
            )
        if pooling == "partial":
            if stats.J == 1:
                raise InputError(
                    "partial pooling needs at least two groups: with one, the data say nothing of "
                    "the variance between groups"
                )
            varies = not {"sigma", "sigma2"}.isdisjoint(program.outputs)
            if reads and varies and not stats.ss.any():
                raise InputError(
                    "partial pooling needs a group with two different values to estimate the "
                    "variance within groups; these data have none"
                )
            if stats.J == 2:
                return [
                    "with two groups the prior of tau decides how much is pooled: "
                    "read tau and everything that follows from it as prior, not as data"
                ]
        return []

    def starts(
        self, program: Declared, stats: GroupStats, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Draw over-dispersed starting values near the data's moments, one set a chain.

        Only parameters called `mu`, `tau`, `sigma`, `sigma2`, `theta` and `eta` get one, when they
        are scalars or vectors over groups, and `tau_stretched` and `sigma_stretched`, which have
        their center at 0 in `hierarchical_marginal.stan`; Stan chooses the rest. A start far from
        the data, as Stan's own are for most units, costs warmup and can strand a chain.

        Returns
        -------
        list of dict
            Parameter to value, for each chain.
        """
        within = stats.within_sd if stats.within_sd > 0 else stats.unit_sd
        within = within or 1.0
        unit = stats.total_sd / stats.unit_sd if stats.unit_sd > 0 else 1.0
        between = max(float(np.std(stats.mean)), 0.1 * within * unit)
        declared = program.declared["parameters"]
        starts = []
        for chain in range(1, settings.chains + 1):
            rng = np.random.default_rng([settings.seed, chain])
            factor = np.exp(rng.uniform(-0.7, 0.7, size=3))
            shift = rng.uniform(-2, 2, size=stats.J)
            whole = stats.total_sd / np.sqrt(stats.N)
            tau = min(between * factor[1], 0.5 * float(inputs.get("tau_upper", np.inf)))
            sigma = min(within * factor[0], 0.5 * float(inputs.get("sigma_upper", np.inf)))
            scalars = {
                "mu": stats.grand_mean + 2 * between * rng.uniform(-1, 1),
                "tau": tau,
                "tau_stretched": np.log(factor[1]),
                "sigma_stretched": np.log(factor[0]),
                "sigma": sigma,
                "sigma2": (stats.unit_sd * factor[2]) ** 2,
                "theta": stats.grand_mean + 2 * whole * rng.uniform(-1, 1),
            }
            vectors = {
                "sigma": np.full(stats.J, sigma),
                "sigma2": np.full(stats.J, sigma**2),
                "theta": stats.mean + shift * within / np.sqrt(stats.weight),
                "eta": shift,
            }
            start: dict[str, Any] = {}
            for name, entry in declared.items():
                source: Mapping[str, Any] = (scalars, vectors, {})[min(entry["dimensions"], 2)]
                if name in source and entry["type"] == "real":
                    start[name] = source[name]
            starts.append(start)
        return starts

    def log_likelihood(
        self, stats: GroupStats, theta: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Log density of all observations given group means and sds, but for a constant.

        With the sufficient statistics, sum_ij log N(y_ij | theta_j, sigma_j^2) is
        -sum_j n_j log(sigma_j) - sum_j (ss_j + n_j (ybar_j - theta_j)^2) / (2 sigma_j^2), up to a
        constant; where observations have weights, their sum stands beside the square for n_j.

        Parameters
        ----------
        stats
            Sufficient statistics of the observations.
        theta, error_sd
            Shapes (J, ...) and (J or 1, ...), in the unit of the data.
        """
        shape = (-1,) + (1,) * (theta.ndim - 1)
        parts = (stats.n, stats.weight, stats.mean, stats.ss)
        n, weight, mean, ss = (part.reshape(shape) for part in parts)
        squares = ss + weight * (mean - theta) ** 2
        total: FloatArray = (-n * np.log(error_sd) - squares / (2 * error_sd**2)).sum(axis=0)
        return total

    def inputs(self, stats: GroupStats, *, draw_groups: bool) -> dict[str, Any]:
        """Give the statistics by group and by group size, for `stan_data`.

        `n`, `ybar`, `ss` are by group; `K`, `n_k`, `J_k`, `ybar_k`, `ssb_k`, `ssw` by group size
        (see `SizeClasses`); `J_drawn`, `n_drawn`, `ybar_drawn` are groups whose means are drawn;
        `tau_df`, `tau_scale` and `tau_upper` stand in for settings of the prior of tau that is not
        chosen.
        """
        classes, groups = size_classes(stats), slice(None if draw_groups else 0)
        s = rounded(stats.total_sd)
        return {
            "tau_df": 0.0,
            "tau_scale": s,
            "tau_upper": rounded(10 * s),
            "n": stats.n,
            "ybar": stats.mean,
            "ss": stats.ss,
            "K": classes.K,
            "n_k": classes.n,
            "J_k": classes.groups,
            "ybar_k": classes.mean,
            "ssb_k": classes.ss,
            "ssw": classes.ss_within,
            "J_drawn": len(stats.n[groups]),
            "n_drawn": stats.n[groups],
            "ybar_drawn": stats.mean[groups],
        }

    def weighted(self, stats: GroupStats, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        classes = size_classes(stats)
        return {
            "n_k": weight * classes.n,
            "ssw": weight * classes.ss_within,
            "n_drawn": weight * stats.n,
        }

    def log_marginal(
        self, stats: GroupStats, center: FloatArray, tau: FloatArray, error_sd: FloatArray
    ) -> FloatArray:
        """Joint log density of each group's observations as those of a new group.

        For n values with mean ybar and sum of squares ss about it, given mu, tau, sigma:
        log p = -n/2 log(2 pi) - (n - 1) log sigma - log(sigma^2 + n tau^2) / 2
        - ss / (2 sigma^2) - n (ybar - mu)^2 / (2 (sigma^2 + n tau^2)). Where observations have
        weights, their sum stands for n but where it counts, and half the sum of their logarithms
        is added.
        """
        parts = (stats.n, stats.weight, stats.mean, stats.ss, stats.log_weights)
        n, weight, mean, ss, logs = (part[:, None, None] for part in parts)
        sigma = error_sd
        with np.errstate(all="ignore"):
            total = sigma**2 + weight * tau**2
            return np.asarray(
                -0.5 * n * _LOG_2_PI
                - (n - 1) * np.log(sigma)
                - 0.5 * np.log(total)
                - 0.5 * ss / sigma**2
                - 0.5 * weight * (mean - center) ** 2 / total
                + 0.5 * logs
            )

    def exact_posterior(self, program: str, stats: GroupStats, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program in FORMS:
            return self.exact_alternative(self.base_choice(priors), stats)
        if program not in _WITHOUT_POPULATION:
            raise InputError(
                f"The exact posterior of {program!r} is not known; it is for "
                f"{', '.join(self.programs)}."
            )
        priors.required(_EXTREMES)
        theta, sigma = _extreme_priors(priors.values)
        if program == COMPLETE:
            return exact.complete_pooling(stats, theta=theta, sigma=sigma)
        if program == COMMON_VARIANCE:
            return exact.common_variance(stats, theta=theta, sigma=sigma)
        return exact.no_pooling(stats, theta=theta, sigma=sigma)

    def draws_exactly(self, program: str, stats: GroupStats, *, rows: bool) -> bool:
        """Whether rows are absent, many, tiny or say little, or groups or sizes are very many.

        The textbook programs of complete and of no pooling add up a density for each row, some
        hundred thousand times; they take means as they are, and Stan's adaptation does not reach
        sds far below 1; the variance of a group without two different values has tails that no
        chain explores. The marginal program's time for a step grows with the number of
        distinct sizes; that of the exact posterior does not. Of very many groups that are all alike
        the data bound tau so close to 0 that chains diverge there.
        """
        if program == MARGINAL:
            return stats.J > DRAWN_GROUPS or len(np.unique(stats.weight)) > MOST_CLASSES
        if program not in _WITHOUT_POPULATION:
            return False
        alike = program == NONE and bool((stats.ss == 0).any())
        tiny = stats.total_sd < SMALLEST_SD * math.sqrt(stats.N)
        huge = stats.total_sd > LARGEST_SD
        hard = stats.N > SAMPLED_ROWS or alike or tiny or huge
        return not rows or (hard and stats.J <= DRAWN_GROUPS)

    def draw_exactly(
        self,
        program: str,
        stats: GroupStats,
        priors: Priors,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw what the program writes of its parameters, with `lprior`.

        Raises
        ------
        InputError
            No pooling of more groups than are drawn.
        """
        if program == MARGINAL:
            choice = self.base_choice(priors)
            drawn = self.draw_alternative(
                choice, stats, rng=rng, shape=shape, draw_groups=draw_groups
            )
            return {**drawn, **_derived(drawn, rng), "lprior": _log_prior(choice, drawn)}
        theta_prior, sigma_prior = _extreme_priors(priors.values)
        if program == COMMON_VARIANCE:
            _refuse_many(program, stats)
            posterior = exact.common_variance(stats, theta=theta_prior, sigma=sigma_prior)
            theta, sigma = posterior.draws(rng=rng, shape=shape)
            lprior = theta_prior.log_density(theta).sum(axis=-1)
            lprior = lprior + sigma_prior.log_density(sigma) - np.log(2 * sigma)
            return {"theta": theta, "sigma2": sigma**2, "sigma": sigma, "lprior": lprior}
        samples: Sequence[Sample]
        if program == COMPLETE:
            samples = [exact.complete_pooling(stats, theta=theta_prior, sigma=sigma_prior).sample]
        else:
            _refuse_many(program, stats)
            samples = exact.no_pooling(stats, theta=theta_prior, sigma=sigma_prior).samples
        pairs = [_draw(sample, rng, shape) for sample in samples]
        theta, sigma = (np.stack(arrays, axis=-1) for arrays in zip(*pairs, strict=True))
        of_variance = sigma_prior.log_density(sigma) - np.log(2 * sigma)
        lprior = np.sum(theta_prior.log_density(theta) + of_variance, axis=-1)
        found = {"theta": theta, "sigma2": sigma**2, "sigma": sigma}
        if program == COMPLETE:
            found = {name: array[..., 0] for name, array in found.items()}
        return {**found, "lprior": np.asarray(lprior)}

    def exact_alternative(
        self, choice: PriorChoice, stats: GroupStats
    ) -> exact.HierarchicalPosterior:
        """Exact posterior of the hierarchical model under a choice of priors, of any family.

        Raises
        ------
        InputError
            Statistics that no data can have, or an improper posterior of sigma.
        """
        if choice.sigma is None:
            raise InputError(f"the choice {choice.name!r} has no prior of sigma")
        return exact.hierarchical(stats, mu=choice.mu, tau=choice.tau, sigma=choice.sigma)

    def draw_alternative(
        self,
        choice: PriorChoice,
        stats: GroupStats,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw `tau`, `sigma`, `mu` and, if asked, `theta` from that posterior."""
        posterior = self.exact_alternative(choice, stats)
        size = math.prod(shape)
        flat = exact.exact_draws(posterior, rng=rng, size=size, groups=draw_groups)
        names = [name for name in ("tau", "sigma", "mu", "theta") if name in flat]
        return {name: flat[name].reshape(*shape, *flat[name].shape[1:]) for name in names}

    def prior_marginal(self, stats: GroupStats, priors: Mapping[str, float]) -> FloatArray | None:
        """Log prior predictive density of each group's data under no pooling, by quadrature."""
        if not set(_EXTREMES) <= set(priors):
            return None
        theta, sigma = _extreme_priors(priors)
        found = []
        for j in range(stats.J):
            alone = stats.take(np.array([j]))
            found.append(exact.no_pooling(alone, theta=theta, sigma=sigma).log_marginal_likelihood)
        return np.array(found)

    @property
    def design(self) -> Design:
        """Groups of 2 to 12, with priors as wide as what they say of their means."""
        return Design(
            family=self.name,
            sizes=(2, 3, 4, 5, 6, 8, 10, 12),
            priors=Priors(
                {
                    "theta_location": 3.0,
                    "theta_scale": 4.0,
                    "sigma2_shape": 3.0,
                    "sigma2_scale": 20.0,
                    "mu_location": 3.0,
                    "mu_scale": 4.0,
                    "tau_upper": 6.0,
                    "sigma_upper": 6.0,
                }
            ),
            scales=(
                *(Uniform(6), HalfNormal(3), HalfCauchy(2), HalfT(4, 2.5), Exponential(0.4)),
                InverseGammaVariance(3, 20),
            ),
        )

    def draw_truth(
        self,
        pooling: Pooling,
        groups: int,
        *,
        priors: Priors,
        choice: PriorChoice,
        rng: np.random.Generator,
        one_sd: bool = False,
    ) -> dict[str, FloatArray]:
        """Draw means and sds from their priors or, under partial pooling, from a population."""
        if pooling == "partial":
            truth = draw_population(choice, groups, rng)
            y_new = rng.normal(truth["theta_new"], truth["sigma"])
            return {**truth, "y_new": np.asarray(y_new)}
        theta, variance = _extreme_priors(priors.values)
        shape = () if pooling == "complete" else (groups,)
        truth = {
            "theta": theta.quantile(rng.uniform(size=shape)),
            "sigma": variance.quantile(rng.uniform(size=() if one_sd else shape)),
        }
        return {**truth, "sigma2": truth["sigma"] ** 2}

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, GroupStats]:
        """Draw observations of groups of these sizes."""
        n = np.array(sizes, dtype=np.int64)
        group = np.repeat(np.arange(n.size), n)
        mean, sd = (np.broadcast_to(truth[name], n.shape)[group] for name in ("theta", "sigma"))
        y = rng.normal(mean, sd)
        return y, group, group_stats(y, group, [str(j) for j in range(1, n.size + 1)])

    def classical(self, stats: GroupStats) -> dict[str, Callable[[], pd.DataFrame]]:
        """Variance components by ANOVA and REML, and the group means that follow from them."""
        from partialpool.families import classical

        return {
            "variance_components": partial(classical.variance_components, stats),
            "blup": partial(classical.blup, stats),
        }


def _derived(drawn: Mapping[str, FloatArray], rng: np.random.Generator) -> dict[str, FloatArray]:
    """What the marginal program derives from its parameters."""
    tau, sigma = drawn["tau"], drawn["sigma"]
    theta_new = drawn["mu"] + tau * rng.standard_normal(tau.shape)
    y_new = theta_new + sigma * rng.standard_normal(tau.shape)
    return {"tau2": tau**2, "sigma2": sigma**2, "theta_new": theta_new, "y_new": y_new}


def _log_prior(choice: PriorChoice, drawn: Mapping[str, FloatArray]) -> FloatArray:
    return choice.log_density(drawn["mu"], drawn["tau"], drawn["sigma"])


def _draw(
    sample: Sample, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Draw theta and sigma: sigma by inverting its distribution, theta given sigma."""
    sigma: FloatArray = np.exp(sample.fine.sigma.draw(shape, rng=rng))
    return draw_means(sigma, sample.weight, sample.mean, theta=sample.theta, rng=rng), sigma


def _refuse_many(program: str, stats: GroupStats) -> None:
    if stats.J > DRAWN_GROUPS:
        raise InputError(
            f"no pooling draws a mean and a variance for each of at most {DRAWN_GROUPS} "
            f"groups, and there are {stats.J}: each group's estimate is its own sample mean; "
            f"leave it out with --without {program}"
        )


def _extreme_priors(value: Mapping[str, float]) -> tuple[Normal, InverseGammaVariance]:
    """Priors of theta and of the variance under complete and under no pooling."""
    location, scale, shape, rate = (value[name] for name in _EXTREMES)
    return Normal(location, scale), InverseGammaVariance(shape, rate)


NORMAL = Observations()
"""The family of the lesson."""
