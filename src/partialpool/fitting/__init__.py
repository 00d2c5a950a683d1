"""Fitting: program and data in, a Fit out: draws with labels, diagnostics, the gate and its remedies."""

from partialpool.fitting.fit import Fit, fit_programs, package_versions

__all__ = ["Fit", "fit_programs", "package_versions"]
