"""What each column of the saved tables holds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from partialpool.families.base import Words

_UNIT = "in the unit of the data"

MEANINGS = {
    "model": "name of the Stan program",
    "trusted": "whether the model's fit passed every diagnostic that counts",
    "group": "label of the group; empty where a row belongs to no group",
    "n": "{rows} behind the row",
    "parameter": "variable of the Stan program",
    "mean": "posterior mean",
    "sd": "posterior standard deviation",
    "mcse": "Monte Carlo standard error of the estimate before it",
    "mcse_mean": "Monte Carlo standard error of the mean",
    "median": "posterior median",
    "q2.5": "2.5 % quantile: lower end of the central 95 % interval",
    "q25": "25 % quantile: lower end of the central 50 % interval",
    "q75": "75 % quantile: upper end of the central 50 % interval",
    "q97.5": "97.5 % quantile: upper end of the central 95 % interval",
    "mcse_q2.5": "Monte Carlo standard error of the 2.5 % quantile",
    "mcse_sd": "Monte Carlo standard error of the standard deviation",
    "mcse_q25": "Monte Carlo standard error of the 25 % quantile",
    "mcse_q75": "Monte Carlo standard error of the 75 % quantile",
    "mcse_median": "Monte Carlo standard error of the median",
    "mcse_q97.5": "Monte Carlo standard error of the 97.5 % quantile",
    "r_hat": "rank-normalised split R-hat: 1 where the chains agree",
    "ess_bulk": "effective number of draws for the middle of the distribution",
    "ess_tail": "effective number of draws for the 5 % and 95 % quantiles",
    "mcse_p_greater": "Monte Carlo standard error of p_greater",
    "mcse_expected_rank": "Monte Carlo standard error of expected_rank",
    "mcse_p_best": "Monte Carlo standard error of p_best",
    "draws": "draws of all group means that the ranks come from",
    "check": "what was checked",
    "value": "the worst value found",
    "threshold": "the limit",
    "passed": "whether the check was passed",
    "gate": "whether failing the check makes the fit untrustworthy",
    "meaning": "what was found",
    "remedy": "what to try where the check was failed",
    "raw_mean": f"{{raw}} of the group, {_UNIT}",
    "raw_se": "its standard error{raw_se}",
    "pooling": "complete, none or partial",
    "estimate": "posterior mean of the group's {noun}, or what is compared with its exact value",
    "exact": "the exact value, by quadrature",
    "in_mcse": "|estimate - exact| in Monte Carlo standard errors",
    "in_sd": "|estimate - exact| in posterior standard deviations",
    "quadrature_error": "error of the exact value, in posterior standard deviations",
    "displacement": f"estimate minus raw_mean, {_UNIT}",
    "displacement_se": "displacement in standard errors of raw_mean",
    "target": "what the model pulls the groups towards: E[mu], or E[theta] of complete pooling",
    "lambda_mean": "posterior mean of the pooling factor: 1 is complete pooling, 0 is none",
    "lambda_q2.5": "2.5 % quantile of the pooling factor",
    "lambda_q97.5": "97.5 % quantile of the pooling factor",
    "sample_mean": f"{{raw}} of the group, {_UNIT}",
    "statement": "what the group of the row is named for",
    "quantity": "what the row is about",
    "group_i": "first group of the pair",
    "group_j": "second group of the pair",
    "p_greater": "P(theta of the first group > theta of the second)",
    "p_equivalent": "P(|difference| < delta); empty without a delta",
    "marginal_overlap": "whether the two 95 % intervals overlap (not a test of the difference)",
    "interval_excludes_zero": "whether the 95 % interval of the difference excludes 0",
    "criterion": "when a pair is called different",
    "claims": "pairs called different",
    "program": "name of the Stan program",
    "pairs": "pairs compared",
    "rank": "rank among the groups, 1 = highest {noun}",
    "probability": "posterior probability of the rank",
    "expected_rank": "posterior mean of the rank",
    "rank_q2.5": "2.5 % quantile of the rank",
    "rank_q97.5": "97.5 % quantile of the rank",
    "p_best": "P(highest {noun})",
    "p_worst": "P(lowest {noun})",
    "question": "what is predicted",
    "elpd": "expected log predictive density (natural logarithm); higher is better",
    "se": "standard error of elpd, or of the estimate",
    "i2": "share of the variance of an estimate that lies between groups, tau2 / (tau2 + s2)",
    "h2": "1 / (1 - i2): variance of an estimate relative to that of its error",
    "prediction_q2.5": f"2.5 % quantile of new effects, {_UNIT}",
    "prediction_q97.5": f"97.5 % quantile of new effects, {_UNIT}",
    "q": "Cochran's statistic of equal effects",
    "df": "its degrees of freedom",
    "weight_common": "share of the estimate in the common effect",
    "weight_reml": "share of the estimate in the mean effect with REML's tau2",
    "elpd_diff": "elpd minus that of the best model",
    "dse": "standard error of elpd_diff",
    "p_loo": "effective number of parameters",
    "max_k": "largest Pareto k",
    "bad_k": "Pareto k beyond the threshold, or not computable",
    "advice": "what to do about it",
    "observation": "number of the observation, from 1, in the order of the data",
    "checks": "statistics by group: sd, minimum and maximum",
    "outside": "how many of them lie outside the 95 % interval of their replicates",
    "expected": "how many would, on average, if the model held",
    "below": "probability of a smaller own estimate of the group, given the other groups",
    "k": "Pareto shape of the importance weights",
    "method": "classical method",
    "sigma2": "variance within groups, unit squared",
    "tau2": "variance between groups, unit squared",
    "icc": "intraclass correlation tau2 / (tau2 + sigma2)",
    "f": "F ratio of the mean squares between and within groups",
    "p_value": "upper tail of F under tau2 = 0",
    "blup": f"best linear unbiased predictor with the variances of REML, {_UNIT}",
    "blup_factor": "its pooling factor: 1 is complete pooling, 0 is none",
    "james_stein": f"positive-part James-Stein estimate, {_UNIT}",
    "successes": "successes of the group",
    "trials": "trials of the group",
    "proportion": "successes over trials",
    "events": "events of the group",
    "exposure": "for how long, or of how much, they were counted",
    "rate": "events over exposure",
    "mu": "mean of the population",
    "size": "how much of a group's own data the population is worth, alpha + beta of proportions",
    "shape": "shape of the gamma population",
    "alpha": "first parameter of the beta population",
    "beta": "second parameter of the beta population",
    "tau": f"sd of the population, {_UNIT}",
    "log_likelihood": "natural logarithm of the largest likelihood",
    "exact_q2.5": f"lower end of the exact 95 % interval, {_UNIT}",
    "exact_q97.5": f"upper end of the exact 95 % interval, {_UNIT}",
    "plug_in": f"posterior mean with the population of maximum likelihood, {_UNIT}",
    "james_stein_arcsine": f"James-Stein estimate on the scale of the arcsine, {_UNIT}",
    "later": f"later proportion or rate of the group, {_UNIT}",
    "groups": "groups with later outcomes",
    "log_score": "log predictive probability of later counts; higher is better",
    "log_score_diff": "log_score minus that of the best model",
    "rmse": f"root of the mean squared error of the posterior means, {_UNIT}",
    "within_50": "share of later outcomes inside the central 50 % of what was predicted",
    "within_95": "share of later outcomes inside the central 95 % of what was predicted",
    "of": "what lies above the threshold: the group of the row, any group, or a new one",
    "p_above": "posterior probability of lying above the threshold",
    "tau_prior": "prior of tau (or of what decides tau), the other priors being as they are",
    "tau_median": "posterior median of tau, on the scale of the model",
    "tau_q2.5": "2.5 % quantile of tau, on the scale of the model",
    "tau_q97.5": "97.5 % quantile of tau, on the scale of the model",
    "lambda_median": "posterior mean of the pooling factor of the group in the middle by size",
    "largest_movement": "how far the group moves that moves most, in its posterior sds",
    "moved": "that group",
    "reliable": "whether the weighted draws can be relied on",
    "choice": "name of the choice of priors",
    "priors": "the priors in words",
    "log_bayes_factor": "natural logarithm of the Bayes factor of equal effects, tau = 0",
    "bayes_factor": "p(data | tau = 0) / p(data): above 1 the data speak for equal effects",
    "statistic": "statistic of the {rows}, or of a posterior",
    "observed": f"its value in the data, {_UNIT}",
    "coefficient": "intercept (the line where all covariates are 0), or a covariate",
    "p_positive": "posterior probability that the coefficient is above 0",
    "mcse_p_positive": "Monte Carlo standard error of p_positive",
    "tau_without_median": "posterior median of tau in the model without covariates, by quadrature",
    "tau_without_q2.5": "its 2.5 % quantile",
    "tau_without_q97.5": "its 97.5 % quantile",
    "tau2_without": "variance between groups in the model without covariates, unit squared",
    "explained": "share of the variance between groups that the covariates explain",
    "elpd_without": "elpd of the model without covariates",
    "r2": "share of the variance of the groups at hand that the line explains",
}
"""Column to its meaning, where a table gives it no other; words of the family stand in braces."""

_OWN = {
    ("holdout_groups", "size"): "trials or exposure of the later outcome",
    ("holdout_groups", "below"): "predictive probability of less, the same counted half",
    ("holdout_groups", "q2.5"): f"2.5 % quantile of what was predicted, {_UNIT}",
    ("holdout_groups", "q97.5"): f"97.5 % quantile of what was predicted, {_UNIT}",
    ("meta_regression", "estimate"): "coefficient, in the unit of the data over its own",
    ("meta_regression", "tau2"): "variance about the line, unit squared",
    ("meta_regression", "q"): "Cochran's statistic of effects that all lie on the line",
    ("meta_regression", "p_value"): "upper tail of q",
    ("adjusted", "mean"): f"posterior mean at the means of the covariates, {_UNIT}",
    ("thresholds", "threshold"): "the value that matters, as people read the data",
    ("groups", "mean"): f"sample mean, {_UNIT}",
    ("groups", "sd"): f"sample standard deviation, {_UNIT}",
    ("predictions", "mean"): f"mean of the predictive distribution, {_UNIT}",
    ("predictions", "sd"): f"standard deviation of the predictive distribution, {_UNIT}",
    ("predictions", "median"): f"median of the predictive distribution, {_UNIT}",
    ("loo_pointwise", "elpd"): "log predictive density of the observation without it",
    ("loo_pointwise", "threshold"): "largest k that can be relied on",
    ("leave_one_group_out_groups", "elpd"): "joint log predictive density of the left-out group",
    ("posterior_checks", "median"): "median of the replicates",
    ("check_counts", "p_value"): "probability of so many or more, if the model held",
    ("posterior_checks", "p_value"): "share of replicates at least as large as observed",
}


def meaning(table: str, column: str, words: Words) -> str:
    """What a column of a table holds, in the words of a family; empty where nothing is known."""
    noun = words.theta.removeprefix("group ")
    if table == "shrinkage_wide" and column not in MEANINGS:
        model = column.removesuffix("_mcse")
        error = "Monte Carlo standard error of the " if column.endswith("_mcse") else ""
        return f"{error}posterior mean of the group's {noun} under {model}, {_UNIT}"
    said = _OWN.get((table, column), MEANINGS.get(column, ""))
    return said.format(noun=noun, raw=words.raw, raw_se=words.raw_se, rows=words.rows)


def table(tables: Mapping[str, pd.DataFrame], words: Words) -> pd.DataFrame:
    """List every column of every table, in the words of the data's family.

    Returns
    -------
    DataFrame
        `table`, `column`, `meaning`.
    """
    rows = [
        (key, column, meaning(key, str(column), words))
        for key, frame in tables.items()
        for column in frame
    ]
    return pd.DataFrame(rows, columns=["table", "column", "meaning"])
