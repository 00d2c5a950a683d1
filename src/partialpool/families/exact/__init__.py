"""Exact posteriors of the shipped models, by quadrature with error control.

A reference to hold samplers against: every number comes with the change that a refined grid
makes to it. `hierarchical` is partial pooling, `complete_pooling` and `no_pooling` are the
two extremes; they take sufficient statistics by group and priors of `partialpool.priors`.
`exact_draws` samples the hierarchical posterior without a Markov chain.
"""

from partialpool.families.exact.draws import exact_draws
from partialpool.families.exact.hierarchical import HierarchicalPosterior, hierarchical
from partialpool.families.exact.pooling_extremes import (
    CompletePoolingPosterior,
    NoPoolingPosterior,
    complete_pooling,
    no_pooling,
)
from partialpool.families.exact.statistics import SufficientStatistics

__all__ = [
    "CompletePoolingPosterior",
    "HierarchicalPosterior",
    "NoPoolingPosterior",
    "SufficientStatistics",
    "complete_pooling",
    "exact_draws",
    "hierarchical",
    "no_pooling",
]
