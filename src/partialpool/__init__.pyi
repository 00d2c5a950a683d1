"""The public names, each with its home; `__init__.py` imports one when it is first used."""

from .api.compare import Model as Model
from .api.compare import NotTrusted as NotTrusted
from .api.compare import compare as compare
from .api.quantities import Quantity as Quantity
from .api.result import Result as Result
from .api.result import beside as beside
from .api.result import open as open  # noqa: A004
from .data import GroupedData as GroupedData
from .data import example as example
from .data import from_estimates as from_estimates
from .data import from_proportions as from_proportions
from .data import from_rates as from_rates
from .data import from_values as from_values
from .data import read_csv as read_csv
from .data.dask_frames import dask_statistics as dask_statistics
from .data.reading import read as read
from .errors import InputError as InputError
from .errors import PartialPoolError as PartialPoolError
from .errors import SamplingError as SamplingError
from .errors import ToolchainError as ToolchainError
from .fitting import Fit as Fit
from .fitting import diagnostics as diagnostics
from .fitting import fit_programs as fit_programs
from .fitting.inputs import priors_for as priors_for
from .priors.hyperparameters import Priors as Priors
from .programs import Program as Program
from .programs import load as load
from .settings import Settings as Settings
from .tables.group_posterior import group_estimates as group_estimates
from .tables.shrinkage import estimates as estimates
from .tables.shrinkage import shrinkage_table as shrinkage_table

__all__ = [
    "Fit",
    "GroupedData",
    "InputError",
    "Model",
    "NotTrusted",
    "PartialPoolError",
    "Priors",
    "Program",
    "Quantity",
    "Result",
    "SamplingError",
    "Settings",
    "ToolchainError",
    "beside",
    "compare",
    "dask_statistics",
    "diagnostics",
    "estimates",
    "example",
    "fit_programs",
    "from_estimates",
    "from_proportions",
    "from_rates",
    "from_values",
    "group_estimates",
    "load",
    "open",
    "priors_for",
    "read",
    "read_csv",
    "shrinkage_table",
]
__version__: str
