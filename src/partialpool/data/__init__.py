"""Data: a source (files, values, summaries, Dask) becomes checked rows or statistics, then GroupedData."""

from partialpool.data.grouped import GroupedData, example, from_values, read_csv

__all__ = ["GroupedData", "example", "from_values", "read_csv"]
