"""See what pooling does to the answer.

Complete, no and partial pooling of grouped data with Stan, and the comparison of the three.
The names below are the public interface; each is documented where it is defined.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partialpool.data import GroupedData as GroupedData
    from partialpool.data import from_estimates as from_estimates
    from partialpool.data import from_values as from_values
    from partialpool.data import read_csv as read_csv
    from partialpool.data.dask_frames import dask_statistics as dask_statistics
    from partialpool.data.reading import read as read
    from partialpool.errors import InputError as InputError
    from partialpool.errors import PartialPoolError as PartialPoolError
    from partialpool.errors import SamplingError as SamplingError
    from partialpool.errors import ToolchainError as ToolchainError
    from partialpool.fitting import Fit as Fit
    from partialpool.fitting import fit_programs as fit_programs
    from partialpool.fitting.inputs import priors_for as priors_for
    from partialpool.priors.hyperparameters import Priors as Priors
    from partialpool.programs import Program as Program
    from partialpool.programs import load as load
    from partialpool.settings import Settings as Settings
    from partialpool.tables.group_posterior import group_estimates as group_estimates
    from partialpool.tables.shrinkage import estimates as estimates
    from partialpool.tables.shrinkage import shrinkage_table as shrinkage_table

__version__ = version("partialpool")

_HOMES = {
    "dask_statistics": "data.dask_frames",
    "GroupedData": "data",
    "from_estimates": "data",
    "from_values": "data",
    "read_csv": "data",
    "InputError": "errors",
    "PartialPoolError": "errors",
    "SamplingError": "errors",
    "ToolchainError": "errors",
    "Fit": "fitting",
    "fit_programs": "fitting",
    "estimates": "tables.shrinkage",
    "shrinkage_table": "tables.shrinkage",
    "Priors": "priors.hyperparameters",
    "Program": "programs",
    "load": "programs",
    "priors_for": "fitting.inputs",
    "Settings": "settings",
    "group_estimates": "tables.group_posterior",
    "read": "data.reading",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the console command starts at once."""
    if name in _HOMES:
        return getattr(import_module(f"partialpool.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'partialpool' has no attribute {name!r}")
