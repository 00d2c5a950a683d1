"""Fitting: a program and data in, a `Fit` out.

Collects a program's inputs, runs the chains, labels the draws, and says by the diagnostics of the
gate whether the draws can be trusted, and what may mend it where they cannot.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of progress bars in notebooks, which are not used here
    import cmdstanpy as cmdstanpy

from partialpool.fitting.fit import Fit, fit_programs, package_versions
from partialpool.fitting.record import FitRecord

__all__ = ["Fit", "FitRecord", "fit_programs", "package_versions"]
