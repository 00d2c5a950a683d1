"""Data: from a source to grouped data.

In: files of text, Parquet, Feather or Excel, a pattern, a pipe, one row an observation or one row a
group, or a wide table; values in memory; a Dask frame. Out: `GroupedData`, checked: statistics by
group, the family that they belong to, and the rows where they are few enough to keep. An
`InputError` names file, line and value of what cannot be used, and what to do about it.
"""

from partialpool.data.examples import example
from partialpool.data.grouped import (
    GroupedData,
    from_estimates,
    from_proportions,
    from_rates,
    from_values,
)
from partialpool.data.observations import read_csv

__all__ = [
    "GroupedData",
    "example",
    "from_estimates",
    "from_proportions",
    "from_rates",
    "from_values",
    "read_csv",
]
