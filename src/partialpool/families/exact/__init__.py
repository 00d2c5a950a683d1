"""Exact posteriors of the shipped models, by quadrature with error control.

A reference for samplers: every number comes with the change that a refined grid
makes to it. `hierarchical` is partial pooling, `complete_pooling` and `no_pooling` are the
two extremes, `common_variance` is no pooling with one variance for all groups; they take sufficient
statistics by group and priors of `partialpool.priors`. `exact_draws` samples the hierarchical
posterior without a Markov chain. `known_errors` is partial pooling of estimates with known standard
errors; `common_effect` and `separate_effects` are its two extremes. `meta_regression` is partial
pooling of estimates about a regression line, and `common_line` complete pooling on it;
`line_of_means` and `common_line_of_means` are those of observations. `nested` is
partial pooling of groups within groups.
"""

from partialpool.families.exact.adjusted import (
    AdjustedCommonVariancePosterior,
    adjusted_common_variance,
)
from partialpool.families.exact.common_line import CommonLinePosterior, common_line_of_means
from partialpool.families.exact.common_variance import (
    CommonVariancePosterior,
    common_variance,
)
from partialpool.families.exact.covariates import LineOfMeansPosterior, line_of_means
from partialpool.families.exact.draws import exact_draws
from partialpool.families.exact.hierarchical import HierarchicalPosterior, hierarchical
from partialpool.families.exact.known_errors import (
    FixedErrorsPosterior,
    KnownErrorsPosterior,
    common_effect,
    known_errors,
    separate_effects,
)
from partialpool.families.exact.line import LinePosterior, common_line
from partialpool.families.exact.meta_regression import MetaRegressionPosterior, meta_regression
from partialpool.families.exact.nested import NestedPosterior, nested
from partialpool.families.exact.pooling_extremes import (
    CompletePoolingPosterior,
    NoPoolingPosterior,
    complete_pooling,
    no_pooling,
)
from partialpool.families.exact.tabled import TabledPosterior

__all__ = [
    "AdjustedCommonVariancePosterior",
    "CommonLinePosterior",
    "CommonVariancePosterior",
    "CompletePoolingPosterior",
    "FixedErrorsPosterior",
    "HierarchicalPosterior",
    "KnownErrorsPosterior",
    "LineOfMeansPosterior",
    "LinePosterior",
    "MetaRegressionPosterior",
    "NestedPosterior",
    "NoPoolingPosterior",
    "TabledPosterior",
    "adjusted_common_variance",
    "common_effect",
    "common_line",
    "common_line_of_means",
    "common_variance",
    "complete_pooling",
    "exact_draws",
    "hierarchical",
    "known_errors",
    "line_of_means",
    "meta_regression",
    "nested",
    "no_pooling",
    "separate_effects",
]
