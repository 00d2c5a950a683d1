"""Fits -> one HTML file and a folder of tables and figures."""

from partialpool.report.write import write as write
