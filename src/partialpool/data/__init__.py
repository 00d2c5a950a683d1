"""Data: from a source to grouped data.

In: a CSV or Parquet file, several, a pattern, summaries by group, values in memory, a Dask frame.
Out: `GroupedData`, checked: statistics by group, and the rows where they are few enough to keep.
An `InputError` names file, line and value of what cannot be used, and what to do about it.
"""

from partialpool.data.grouped import (
    GroupedData,
    example,
    from_estimates,
    from_values,
    read_csv,
)

__all__ = ["GroupedData", "example", "from_estimates", "from_values", "read_csv"]
