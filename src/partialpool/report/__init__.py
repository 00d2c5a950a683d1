"""Fits -> one HTML file and a folder of tables and figures."""

from partialpool.report.folder import write as write
