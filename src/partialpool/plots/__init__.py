"""Frames -> plotnine figures, and nothing else."""

from partialpool.plots.calibration import calibration_curves as calibration_curves
from partialpool.plots.checks import check_density as check_density
from partialpool.plots.checks import check_statistics as check_statistics
from partialpool.plots.checks import loo_k as loo_k
from partialpool.plots.comparisons import contrast_matrix as contrast_matrix
from partialpool.plots.comparisons import rank_heat_map as rank_heat_map
from partialpool.plots.files import save as save
from partialpool.plots.forest import effects_by_tau as effects_by_tau
from partialpool.plots.forest import forest as forest
from partialpool.plots.groups import SYMBOLS as SYMBOLS
from partialpool.plots.groups import caterpillar as caterpillar
from partialpool.plots.groups import data_by_group as data_by_group
from partialpool.plots.groups import draws_by_group as draws_by_group
from partialpool.plots.pooling import pooling_scatter as pooling_scatter
from partialpool.plots.pooling import shrinkage_arrows as shrinkage_arrows
from partialpool.plots.population import group_quantiles as group_quantiles
from partialpool.plots.posterior import density as density
from partialpool.plots.posterior import prior_and_posterior as prior_and_posterior
from partialpool.plots.posterior import rank_plot as rank_plot
from partialpool.plots.posterior import trace_and_density as trace_and_density
from partialpool.plots.posterior import traces as traces
from partialpool.plots.regression import groups_along_line as groups_along_line
from partialpool.plots.theme import MANY as MANY
from partialpool.plots.theme import extremes as extremes
from partialpool.plots.theme import without_caption as without_caption
