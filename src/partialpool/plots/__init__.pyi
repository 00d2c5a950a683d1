"""Frames -> plotnine figures, and nothing else."""

from .calibration import calibration_curves as calibration_curves
from .checks import check_density as check_density
from .checks import check_statistics as check_statistics
from .checks import loo_k as loo_k
from .comparisons import contrast_matrix as contrast_matrix
from .comparisons import rank_heat_map as rank_heat_map
from .curves import density as density
from .files import save as save
from .forest import effects_by_tau as effects_by_tau
from .forest import forest as forest
from .funnel import funnel as funnel
from .groups import caterpillar as caterpillar
from .groups import data_by_group as data_by_group
from .groups import draws_by_group as draws_by_group
from .marks import MANY as MANY
from .marks import SYMBOLS as SYMBOLS
from .marks import extremes as extremes
from .pooling import pooling_scatter as pooling_scatter
from .pooling import shrinkage_arrows as shrinkage_arrows
from .population import group_quantiles as group_quantiles
from .posterior import prior_and_posterior as prior_and_posterior
from .posterior import rank_plot as rank_plot
from .posterior import trace_and_density as trace_and_density
from .posterior import traces as traces
from .regression import groups_along_line as groups_along_line
from .theme import without_caption as without_caption
