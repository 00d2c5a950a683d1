"""Groups within groups, of estimates with known standard errors and of observations.

Model: theta_j ~ normal(phi_k, tau) for the groups j of the outer group k, and
phi_k ~ normal(mu, omega) (Raudenbush and Bryk 2002, *Hierarchical Linear Models*, 2nd ed., chapter
8; Konstantopoulos 2011, *Research Synthesis Methods* 2, 61-76, for estimates). Complete and no
pooling are those of the same rows without outer groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from partialpool.families.base import FORMS, MARGINAL, Design, draw_population, rounded
from partialpool.families.exact.equal_spread import equal_spread
from partialpool.families.exact.nested import NestedPosterior
from partialpool.families.exact.nested import nested as nested_posterior
from partialpool.families.known_errors import Estimates, KnownErrors
from partialpool.families.moments import GroupStats
from partialpool.families.nested_statistics import NestedEstimates, NestedStats
from partialpool.families.nesting import Nesting, few_outer_groups, numbered
from partialpool.families.normal import Observations
from partialpool.families.protocols import Declared, Pooling, Posterior, Scoring
from partialpool.priors import Exponential, HalfCauchy, HalfNormal, HalfT, Normal, Uniform
from partialpool.priors.choices import BASE, PriorChoice
from partialpool.priors.hyperparameters import SCALED, Priors
from partialpool.priors.levels import NestedChoice
from partialpool.settings import Settings
from partialpool.types import FloatArray, IntArray

if TYPE_CHECKING:
    from partialpool.families.base import Family as _Base
else:
    _Base = object

MOST_SAMPLED = 2000
"""Most groups of which Stan samples the marginal program; the exact posterior is drawn of more."""

_DF = 3.0
_SIMULATED = (3, 2, 2, 1)
_OUTER = ("omega_df", "omega_scale")


class _Levels(_Base):
    """What families of groups within groups share; beside the family of the same rows."""

    nested: ClassVar[str] = ""
    explained: ClassVar[str] = ""
    has_icc: ClassVar[bool] = False
    idea: ClassVar[tuple[str, str]] = ("three levels", "two levels")
    leaves_groups_out: ClassVar[bool | None] = True

    def default_priors(self, stats: Any) -> Priors:
        """Priors of the model without outer groups, and of omega.

        omega: half-Student-t(3, 0, s), as tau has there: the sds of levels are exchangeable before
        the data are seen (Gelman 2006, *Bayesian Analysis* 1, 515-534, on priors of such sds).
        """
        usual = super().default_priors(stats)  # type: ignore[safe-super]
        found = {**usual.values, "omega_df": _DF, "omega_scale": rounded(stats.total_sd)}
        values = {name: found[name] for name in self.settings if name in found}
        return Priors(values, dict.fromkeys(values, SCALED))

    def settled(self, priors: Priors) -> Priors:
        """Return the settings: none makes another void."""
        return priors

    def base_choice(self, priors: Priors) -> NestedChoice:
        """Priors of the shipped hierarchical programs, under the settings given.

        Raises
        ------
        InputError
            A setting is missing or outside its range.
        """
        location, scale, *sds = priors.required(self.choice_settings)
        sigma = Uniform(sds.pop()) if "sigma_upper" in self.choice_settings else None
        omega, tau = HalfT(sds[0], sds[1]), HalfT(sds[2], sds[3])
        return NestedChoice(BASE, Normal(location, scale), tau, sigma, omega=omega)

    def named_choices(self, stats: Any, priors: Priors) -> dict[str, Any]:
        """Every choice that can be asked for by name, the base first.

        s is the sd of all data, rounded to two digits. Each of tau and omega is varied by itself:
        `uniform` up to 10 s, half-normal and half-Cauchy (Gelman 2006), and an exponential.

        Raises
        ------
        InputError
            A setting of the base is missing or outside its range.
        """
        base = self.base_choice(priors)
        s = float(f"{stats.total_sd:.2g}")
        sds = {
            "uniform": Uniform(rounded(10 * s)),
            "half_normal": HalfNormal(s),
            "half_cauchy": HalfCauchy(s),
            "exponential": Exponential(float(f"{1 / s:.2g}")),
        }
        choices = [base]
        for parameter in ("omega", "tau"):
            for name, prior in sds.items():
                given: dict[str, Any] = {parameter: prior}
                choices.append(replace(base, name=f"{parameter}_{name}", **given))
        for name, factor in (("mu_wide", 10.0), ("mu_narrow", 0.1 if base.sigma is None else 0.5)):
            mu = replace(base.mu, scale=factor * base.mu.scale)
            choices.append(replace(base, name=name, mu=mu))
        return {choice.name: choice for choice in choices}

    def default_choices(self, stats: Any, priors: Priors) -> tuple[Any, ...]:
        """Return the named choices."""
        return tuple(self.named_choices(stats, priors).values())

    def expected(self, choice: Any, stats: Any, u: FloatArray, z: FloatArray) -> FloatArray:
        """Draw what is expected of a row in a new group of a new outer group."""
        rng = np.random.default_rng(1)  # the same numbers for every choice
        of_outer = choice.omega.quantile(rng.uniform(size=z.shape[1]))
        phi = of_outer * rng.standard_normal(z.shape[1])
        return np.asarray(super().expected(choice, stats, u, z) + phi)

    def check_poolable(self, program: Declared, stats: Any) -> list[str]:
        """As without outer groups, and warn where few of these leave much to priors."""
        found = super().check_poolable(program, stats)  # type: ignore[safe-super]
        more = few_outer_groups(stats.nesting) if program.pooling == "partial" else []
        return [*found, *more]

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """As without outer groups; `K` and `outer` say which group lies in which outer one."""
        found = super().inputs(stats, draw_groups=draw_groups)  # type: ignore[safe-super]
        return {**found, "K": stats.nesting.K, "outer": stats.nesting.index + 1}

    def starts(
        self, program: Declared, stats: Any, settings: Settings, *, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """As without outer groups; means of outer groups start near those of their groups."""
        found = super().starts(  # type: ignore[safe-super]
            program, stats, settings, inputs=inputs
        )
        declared, nesting = program.declared["parameters"], stats.nesting
        means = nesting.sums(stats.raw) / nesting.counts
        between = max(float(np.std(means)), 0.1 * stats.total_sd)
        for chain, start in enumerate(found, start=1):
            rng = np.random.default_rng([settings.seed, chain, 2])
            factor, shift = rng.uniform(-0.7, 0.7), rng.uniform(-1, 1, nesting.K)
            more = {
                "omega": between * float(np.exp(factor)),
                "omega_stretched": factor,
                "phi": means + 0.5 * between * shift,
                "zeta": shift,
            }
            start.update({name: value for name, value in more.items() if name in declared})
        return found

    def count(self, stats: Any) -> str:
        """Say how many rows, groups and outer groups there are."""
        nesting = stats.nesting
        rows, _, groups = super().count(stats).partition(" in ")
        inner = f" in {groups}" if groups else ""
        return f"{rows}{inner} in {nesting.K:,} {nesting.label}s"

    def replicated(
        self,
        stats: Any,
        center: FloatArray,
        tau: FloatArray,
        error_sd: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw each group's own estimate anew about its outer group; `center` is (S,) or (S, J)."""
        spread = np.hypot(tau[:, None], stats.raw_se)
        middle = center if center.ndim == 2 else center[:, None]
        return np.asarray(middle + spread * rng.standard_normal(spread.shape))

    def exact_posterior(self, program: str, stats: Any, priors: Priors) -> Posterior:
        """Exact posterior of a shipped program.

        Raises
        ------
        InputError
            A program of another name, or a prior setting that is missing or out of range.
        """
        if program in FORMS:
            return self.exact_alternative(self.base_choice(priors), stats)
        return super().exact_posterior(program, stats, priors)  # type: ignore[safe-super]

    def draws_exactly(self, program: str, stats: Any, *, rows: bool) -> bool:
        """As without outer groups; of partial pooling, where there are very many groups."""
        if program == MARGINAL:
            return bool(stats.J > MOST_SAMPLED)
        return program not in FORMS and super().draws_exactly(program, stats, rows=rows)

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
        """Draw what the program writes of its parameters, with `lprior`."""
        if program not in FORMS:
            return super().draw_exactly(
                program, stats, priors, rng=rng, shape=shape, draw_groups=draw_groups
            )
        choice = self.base_choice(priors)
        drawn = self.draw_alternative(choice, stats, rng=rng, shape=shape, draw_groups=draw_groups)
        for name in ("omega", "tau", "sigma"):
            if name in drawn:
                drawn[f"{name}2"] = drawn[name] ** 2
        drawn["phi_new"] = drawn["mu"] + drawn["omega"] * rng.standard_normal(shape)
        drawn["theta_new"] = drawn["phi_new"] + drawn["tau"] * rng.standard_normal(shape)
        if "sigma" in drawn:
            drawn["y_new"] = drawn["theta_new"] + drawn["sigma"] * rng.standard_normal(shape)
        named = {name: drawn[name] for name in choice.priors}
        drawn["lprior"] = np.asarray(
            sum(choice.priors[name].log_density(value) for name, value in named.items())
        )
        return drawn

    def draw_alternative(
        self,
        choice: Any,
        stats: Any,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int],
        draw_groups: bool,
    ) -> dict[str, FloatArray]:
        """Draw the sds, `mu`, `phi` and, if asked, `theta` from that posterior."""
        posterior: Any = self.exact_alternative(choice, stats)
        drawn: dict[str, FloatArray] = posterior.draws(rng=rng, shape=shape)
        if draw_groups:
            tau, phi = drawn["tau"][..., None], drawn["phi"][..., stats.nesting.index]
            variance = drawn.get("sigma", np.ones(shape))[..., None] ** 2 / stats.weight
            factor = variance / (variance + tau**2)
            mean = stats.raw + factor * (phi - stats.raw)
            drawn["theta"] = mean + tau * np.sqrt(factor) * rng.standard_normal(mean.shape)
        return drawn

    @property
    def design(self) -> Design:
        """The design without outer groups, and a prior of omega like that of tau."""
        usual = super().design  # type: ignore[safe-super]
        values = dict(usual.priors.values)
        values.pop("tau_upper", None)
        values |= {"tau_df": 4.0, "tau_scale": 2.5, "omega_df": 4.0, "omega_scale": 2.5}
        return replace(usual, family=self.name, priors=Priors(values))

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
        """Draw outer groups and groups from their priors."""
        if pooling != "partial":
            return super().draw_truth(  # type: ignore[safe-super]
                pooling, groups, priors=priors, choice=choice, rng=rng, one_sd=one_sd
            )
        nesting = simulated(groups)
        truth = draw_population(choice, groups, rng)
        zeta = rng.standard_normal(nesting.K)
        phi = truth["mu"] + truth["omega"] * zeta
        phi_new = np.asarray(rng.normal(truth["mu"], truth["omega"]))
        truth |= {
            "zeta": zeta,
            "phi": phi,
            "phi_new": phi_new,
            "theta": phi[nesting.index] + truth["tau"] * truth["eta"],
            "theta_new": np.asarray(rng.normal(phi_new, truth["tau"])),
        }
        if "sigma" in truth:
            truth["y_new"] = np.asarray(rng.normal(truth["theta_new"], truth["sigma"]))
        return truth

    def draw_rows(
        self, truth: Mapping[str, FloatArray], sizes: Sequence[float], rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray, Any]:
        """Draw rows of groups of these sizes, in outer groups."""
        y, group, plain = super().draw_rows(truth, sizes, rng)  # type: ignore[safe-super]
        return y, group, self.with_nesting(plain, simulated(len(sizes)))


def simulated(groups: int) -> Nesting:
    """Outer groups of simulated ones: of three, two, two groups and one, over and over."""
    counts: list[int] = []
    while (left := groups - sum(counts)) > 0:
        counts.append(min(left, _SIMULATED[len(counts) % len(_SIMULATED)]))
    return numbered(counts)


class NestedErrors(_Levels, KnownErrors):
    """Estimates with known standard errors, in groups within groups."""

    name = "known_errors_nested"
    reads = "known_errors"
    folder = "known_errors/nested"
    model: ClassVar[Mapping[str, str]] = {**KnownErrors.model, "levels": "three"}
    statistics: ClassVar[type[Any]] = NestedEstimates
    population = ("mu", "omega", "tau")
    settings: ClassVar[tuple[str, ...]] = (
        *("theta_location", "theta_scale"),
        *("mu_location", "mu_scale", *_OUTER, "tau_df", "tau_scale"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = (
        *("mu_location", "mu_scale", *_OUTER, "tau_df", "tau_scale"),
    )

    def with_nesting(self, stats: Estimates, nesting: Nesting) -> NestedEstimates:
        """Put the outer group of each group beside the estimates."""
        return NestedEstimates(stats.labels, stats.estimate, stats.se, nesting)

    def shares(self, stats: Any, tau: FloatArray) -> dict[str, FloatArray]:
        """Return none: what share of the variance lies where is told by level."""
        return {}

    def exact_alternative(  # type: ignore[override]
        self, choice: NestedChoice, stats: NestedEstimates
    ) -> NestedPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return nested_posterior(stats.labels, stats.estimate, stats.weight, stats.nesting, choice)

    def usual_posterior(self, stats: NestedEstimates, priors: Priors) -> Scoring:
        """Exact posterior of partial pooling that ignores the outer groups."""
        choice = self.base_choice(priors)
        usual = PriorChoice(BASE, choice.mu, choice.tau)
        return KnownErrors.exact_alternative(self, usual, stats)


class NestedObservations(_Levels, Observations):
    """Groups of observations, in groups within groups."""

    name = "nested"
    reads = "normal"
    folder = "nested"
    model: ClassVar = {**Observations.model, "levels": "three"}
    statistics: ClassVar[type[Any]] = NestedStats
    population = ("mu", "omega", "tau", "sigma")
    settings: ClassVar[tuple[str, ...]] = (
        *("theta_location", "theta_scale", "sigma2_shape", "sigma2_scale"),
        *("mu_location", "mu_scale", *_OUTER, "tau_df", "tau_scale", "sigma_upper"),
    )
    choice_settings: ClassVar[tuple[str, ...]] = (
        *("mu_location", "mu_scale", *_OUTER, "tau_df", "tau_scale", "sigma_upper"),
    )
    most_exact_groups = 60

    def with_nesting(self, stats: GroupStats, nesting: Nesting) -> NestedStats:
        """Put the outer group of each group beside the statistics."""
        return NestedStats(stats.labels, stats.n, stats.mean, stats.ss, nesting)

    def inputs(self, stats: Any, *, draw_groups: bool) -> dict[str, Any]:
        """As in `_Levels`; without a bound of tau, which has a half-t prior."""
        found = super().inputs(stats, draw_groups=draw_groups)
        return {n: v for n, v in found.items() if n not in ("tau_df", "tau_scale", "tau_upper")}

    def weighted(self, stats: GroupStats, weight: float) -> dict[str, Any]:
        """Count every observation `weight` times: the likelihood to that power."""
        return {"n": weight * stats.n, "ssw": weight * stats.ss.sum()}

    def exact_alternative(  # type: ignore[override]
        self, choice: NestedChoice, stats: NestedStats
    ) -> NestedPosterior:
        """Exact posterior of the hierarchical model under a choice of priors."""
        return nested_posterior(
            stats.labels, stats.mean, stats.weight, stats.nesting, choice, ss=stats.ss
        )

    def usual_posterior(self, stats: NestedStats, priors: Priors) -> Scoring:
        """Exact posterior of partial pooling that ignores the outer groups."""
        choice = self.base_choice(priors)
        assert choice.sigma is not None
        usual = PriorChoice(BASE, choice.mu, choice.tau, choice.sigma)
        return equal_spread(stats, usual, choice.sigma)


KNOWN_ERRORS_NESTED = NestedErrors()
"""The family of estimates with known standard errors, in groups within groups."""

NESTED = NestedObservations()
"""The family of observations in groups within groups."""
