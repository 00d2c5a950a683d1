"""Which parts of the normal model a program keeps to, so that what follows from them may be said.

A program of the user's may call anything theta, mu, tau and sigma. Pooling factors, predictions of
new groups and scores that leave groups out follow from these by the algebra of the normal model; so
they are given only where the program is a shipped one, states the part in question, or where its
draws behave as the model has it: given (mu, tau, sigma), whatever their priors,

    (theta_j - m_j) / s_j ~ normal(0, 1),  m_j = ybar_j + lambda_j (mu - ybar_j),
                                           s_j = tau sqrt(lambda_j)

with the pooling factor lambda_j (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, section
5.4).
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import xarray as xr
from scipy import special

from partialpool.data import GroupedData
from partialpool.fitting.summarize import means
from partialpool.programs import Program, find_program, is_shipped, lacking
from partialpool.programs.statements import Model, Statement, beyond_priors, read
from partialpool.types import FloatArray

POPULATION = "population"
"""theta_j ~ normal(mu, tau)."""

CENTER = "center"
"""theta_j comes from a population of another form whose center is mu."""

OBSERVATIONS = "observations"
"""Rows are normal around theta_j, with sd sigma or a known one."""

CONDITIONAL = "conditional"
"""Given (mu, tau, sigma), theta_j is normal as above, and no other group's data matter to it."""

PRIOR = "prior"
"""Under no pooling theta and sigma2 have the priors of the shipped program."""

MEANS = "means"
"""theta stands for what the groups' own estimates stand for, on their scale."""

ALL = (POPULATION, CENTER, OBSERVATIONS, CONDITIONAL, PRIOR, MEANS)

_LOCATED = ("normal", "student_t", "cauchy", "logistic", "double_exponential")
_MOST_GROUPS = 50
_FALSE_ALARMS = 0.001
_DEGREES = 50
_FAR = 4.0
_NEAR = (0.1, 0.2)
"""Deviations of a mean and of a variance of (theta_j - m_j) / s_j that are taken for none."""


def kept(
    program: Program, tree: xr.DataTree, data: GroupedData, *, prior_only: bool = False
) -> tuple[str, ...]:
    """Find the parts of the normal model that a program keeps to.

    Parameters
    ----------
    program
        The program.
    tree, data
        Its draws, and the data that it was fitted to.
    prior_only
        Whether the draws are those of the prior, of which nothing is asked.
    """
    if is_shipped(program.path, data.family.name):
        own_errors = data.family.errors_degrees and program.pooling == "partial"
        return tuple(part for part in ALL if not (own_errors and part == CONDITIONAL))
    about_mu = data.stats.covariates is None and data.stats.nesting is None
    if not about_mu and _differs_in_priors(program, data):
        return ALL
    if not data.family.gaussian:
        return ALL if _differs_in_priors(program, data) else ()
    model = read(program.path.read_text(encoding="utf-8"))
    name = program.effects
    population, centered = _population(model, name)
    observations = _observations(model, name, error_sd=data.stats.error_sd or "se")
    if data.stats.row_weights is not None and observations:
        observations = None  # a statement without weights says too little of rows that have some
    drawn = None if prior_only else conditional(tree["posterior"].to_dataset(), data)
    if drawn:
        population, observations = population is not False, observations is not False
    found = {
        POPULATION: population,
        CENTER: population or centered,
        OBSERVATIONS: observations,
        CONDITIONAL: population and observations and drawn is not False,
        PRIOR: _has_shipped_prior(model),
        MEANS: bool(observations) or _balances(tree["posterior"].to_dataset(), data),
    }
    return tuple(name for name, holds in found.items() if holds)


def _differs_in_priors(program: Program, data: GroupedData) -> bool:
    """Whether a program is a copy of a shipped one, but for its priors."""
    family = data.family
    own = beyond_priors(program.path)
    shipped = (find_program(name, family=family.name) for name in family.programs)
    return any(own == beyond_priors(path) for path in shipped)


def absences(program: Program, parts: Collection[str], data: GroupedData) -> list[str]:
    """Name what a program lacks, and what is left out for parts that it does not keep to."""
    own_errors = data.family.errors_degrees and is_shipped(program.path, data.family.name)
    found = lacking(program, normal=OBSERVATIONS in parts)
    if not data.has_observations:  # which no program could write these of
        found = [phrase for phrase in found if not phrase.startswith(("no log_lik", "no y_rep"))]
    if program.pooling == "partial" and POPULATION not in parts:
        found = [phrase for phrase in found if not phrase.startswith("no theta_new")]
        new = "" if "theta_new" in program.outputs else "a new group, "
        found.append(
            f"no theta that is known to be normal(mu, tau): {new}the spread between groups and how "
            "far they are pooled are left out"
        )
    elif program.pooling == "partial" and CONDITIONAL not in parts:
        found.append(
            f"no theta that is normal given mu, tau and sigma, as it has {data.family.mixture}: "
            "pooling factors are not given"
            if own_errors
            else "no theta that is known to be normal given mu, tau and the group's own data: "
            "pooling factors and scores of groups left out are not given"
        )
    if program.pooling != "other" and MEANS not in parts:
        found.append(
            "no theta that is known to stand for the means of the data: how far estimates lie from "
            "these is left out"
        )
    if {"sigma", "sigma2"} & program.outputs.keys() and OBSERVATIONS not in parts:
        found.append(
            "no observations that are known to be normal(theta, sigma): what is predicted of them "
            "is left out"
        )
    return found


def conditional(posterior: xr.Dataset, data: GroupedData) -> bool | None:
    """Tell whether theta given (mu, tau, sigma) behaves as in the normal model.

    Means and variances of (theta_j - m_j) / s_j are compared with 0 and 1 in Monte Carlo errors, of
    50 groups at most; small deviations count as none.

    Returns
    -------
    bool or None
        None where there is no theta by group, no single mu or tau, or no sd of the errors.
    """
    by_group = {"chain", "draw", "group"}
    if "theta" not in posterior or set(posterior["theta"].dims) != by_group:
        return None
    mu, tau = _single(posterior, "mu"), _sd(posterior, "tau")
    if mu is None or tau is None or len(tau) != 1:
        return None
    stats = data.stats
    sigma = _sd(posterior, stats.error_sd) if stats.error_sd else np.ones((1, *mu.shape))
    if sigma is None:
        return None
    at = np.unique(np.linspace(0, stats.J - 1, min(stats.J, _MOST_GROUPS)).astype(int))
    theta = posterior["theta"].transpose("group", "chain", "draw").to_numpy()[at].astype(float)
    raw, center = stats.raw[at, None, None], mu[None]
    if stats.covariates is not None and "beta" in posterior:
        beta = posterior["beta"].transpose(..., "chain", "draw").to_numpy().astype(float)
        if beta.shape[0] == stats.covariates.K:
            center = mu + np.tensordot(stats.covariates.centered[at], beta, axes=1)
    if stats.nesting is not None and "phi" in posterior:
        phi = posterior["phi"].transpose(..., "chain", "draw").to_numpy().astype(float)
        if phi.shape[0] == stats.nesting.K:
            center = phi[stats.nesting.index[at]]
    with np.errstate(all="ignore"):
        own = sigma if len(sigma) == 1 else sigma[at]
        factor = data.family.pooling_factor(stats.take(at), tau[0], own)
        z = (theta - raw - factor * (center - raw)) / (tau[0] * np.sqrt(factor))
    z = z[np.isfinite(z).all(axis=(1, 2))]
    if not len(z):
        return None
    limit = -special.stdtrit(_DEGREES, 0.25 * _FALSE_ALARMS / len(z))
    for values, expected, near in ((z, 0.0, _NEAR[0]), (z**2, 1.0, _NEAR[1])):
        mean, error = means(values)
        off = np.abs(mean - expected)
        if (off > np.maximum(near, limit * np.nan_to_num(error))).any():
            return False
    return True


def _balances(posterior: xr.Dataset, data: GroupedData) -> bool:
    """Whether the mean of theta over all data is that of the data, up to four of its errors."""
    if "theta" not in posterior or not set(posterior["theta"].dims) <= {"chain", "draw", "group"}:
        return False
    stats = data.stats
    draws = posterior["theta"].transpose(..., "chain", "draw").to_numpy().astype(float)
    if draws.ndim > 2:
        draws = np.average(draws, axis=0, weights=stats.weight)
    error = np.hypot(draws.std(), stats.total_sd / np.sqrt(stats.N))
    return bool(abs(draws.mean() - stats.grand_mean) <= _FAR * error)


def _single(posterior: xr.Dataset, name: str) -> FloatArray | None:
    if name not in posterior or set(posterior[name].dims) != {"chain", "draw"}:
        return None
    return np.asarray(posterior[name].transpose("chain", "draw"), dtype=float)


def _sd(posterior: xr.Dataset, name: str) -> FloatArray | None:
    """Draws of an sd from itself or its square, shape (J or 1, chain, draw)."""
    for each, power in ((name, 1.0), (f"{name}2", 0.5)):
        if each in posterior and set(posterior[each].dims) <= {"chain", "draw", "group"}:
            array = posterior[each].transpose(..., "chain", "draw").to_numpy().astype(float)
            return np.asarray(array[None] if array.ndim == 2 else array) ** power
    return None


# --- what a program states ------------------------------------------------------------------------


def _population(model: Model, theta: str) -> tuple[bool | None, bool]:
    """Whether theta is stated to be normal(mu, tau), and to be centered at mu; None: not known."""
    [of_theta, of_eta] = (_distributions(model, name) for name in (theta, "eta"))
    defined = [_bare(s.arguments[0]) for s in model.statements if _defines(s, theta)]
    if defined:
        shifted = defined[0] in {"mu+tau*eta", "mu+eta*tau", "tau*eta+mu", "eta*tau+mu"}
        standard = len(of_eta) == 1 and (of_eta[0].family, of_eta[0].arguments) in {
            ("std_normal", ()),
            ("normal", ("0", "1")),
        }
        return (True if shifted and standard else None), False
    if len(of_theta) != 1 or of_theta[0].text:
        return None, False
    stated = of_theta[0]
    centered = stated.family in _LOCATED and stated.arguments[-2:] == ("mu", "tau")
    if stated.family == "normal" and centered:
        return True, True
    return (None if "normal" in stated.family else False), centered


def _observations(model: Model, theta: str, *, error_sd: str) -> bool | None:
    """Whether rows are stated to be normal around theta; None where that is not known."""
    of_rows = _distributions(model, "y")
    if len(of_rows) != 1 or of_rows[0].text:
        return None
    stated = of_rows[0]
    if "normal" not in stated.family:
        return False
    arguments = tuple(re.sub(r"\[.*\]$", "", _bare(each)) for each in stated.arguments)
    around = arguments in {(theta, error_sd), (theta, f"sqrt({error_sd}2)")}
    return True if stated.family == "normal" and around else None


def _has_shipped_prior(model: Model) -> bool:
    """Whether theta and, where there is one, sigma2 have the priors of the shipped no pooling."""
    wanted = {
        "theta": ("normal", ("theta_location", "theta_scale")),
        "sigma2": ("inv_gamma", ("sigma2_shape", "sigma2_scale")),
    }
    found = {name: _distributions(model, name) for name in wanted}
    return bool(found["theta"]) and all(
        [(s.family, s.arguments) for s in stated] == [wanted[name]]
        for name, stated in found.items()
        if stated or name == "theta"
    )


def _distributions(model: Model, name: str) -> list[Statement]:
    """Statements that give a variable a distribution; all that is not understood is one more."""
    found = []
    for each in model.statements:
        left = re.sub(r"^for\(.*?\)\{?", "", _bare(each.left or each.text.split("~")[0]))
        if (each.family and re.fullmatch(rf"{re.escape(name)}(\[.*\])?", left)) or (
            each.text and re.search(rf"\b{re.escape(name)}\b", each.text)
        ):
            found.append(each)
    return found


def _defines(statement: Statement, name: str) -> bool:
    return statement.left == name and not statement.family and bool(statement.arguments)


def _bare(code: str) -> str:
    """Code without blanks; elementwise products are products."""
    return re.sub(r"\s+", "", code).replace(".*", "*")
