"""Exact posteriors of the shipped models, by quadrature with error control.

A reference to hold samplers against: every number comes with the change that a refined grid
makes to it. `hierarchical` is partial pooling, `complete_pooling` and `no_pooling` are the
two extremes; they take sufficient statistics by group and priors of `partialpool.priors`.
`exact_draws` samples the hierarchical posterior without a Markov chain. `known_errors` is partial
pooling of estimates with known standard errors; `common_effect` and `separate_effects` are its two
extremes.
"""

from partialpool.families.exact.draws import exact_draws
from partialpool.families.exact.hierarchical import HierarchicalPosterior, hierarchical
from partialpool.families.exact.known_errors import (
    FixedErrorsPosterior,
    KnownErrorsPosterior,
    common_effect,
    known_errors,
    separate_effects,
)
from partialpool.families.exact.pooling_extremes import (
    CompletePoolingPosterior,
    NoPoolingPosterior,
    complete_pooling,
    no_pooling,
)

__all__ = [
    "CompletePoolingPosterior",
    "FixedErrorsPosterior",
    "HierarchicalPosterior",
    "KnownErrorsPosterior",
    "NoPoolingPosterior",
    "common_effect",
    "complete_pooling",
    "exact_draws",
    "hierarchical",
    "known_errors",
    "no_pooling",
    "separate_effects",
]
