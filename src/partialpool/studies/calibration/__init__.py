"""Simulation-based calibration: posteriors that cover the truth as often as they say they do.

Parameters are drawn from the prior, and data from the model given them; then the program is fitted
to these data. If program, sampler and all between are right, the rank of the true value among
independent draws of its posterior is uniform, for every parameter and every function of parameters
and data (Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv:1804.06788). The joint log
likelihood is such a function, and sees what ranks of parameters cannot, such as a posterior that
ignores part of the data (Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari 2023,
*Bayesian Analysis*, doi:10.1214/23-BA1404).

The truth is drawn here, in NumPy: the program's own text has no part in it. Fits go through
`partialpool.fitting` and its gate like any other. A data set whose
fits all fail the gate is left out, so what is tested is the draws that a user is told to trust.
"""

from partialpool.studies.calibration.judgement import (
    curves,
    describe,
    is_calibrated,
    quantity_table,
    shares_table,
)
from partialpool.studies.calibration.run import ATTEMPTS, Outcome, calibrate
from partialpool.studies.calibration.simulation import Simulated, every_program, simulate

__all__ = [
    "ATTEMPTS",
    "Outcome",
    "Simulated",
    "calibrate",
    "curves",
    "describe",
    "every_program",
    "is_calibrated",
    "quantity_table",
    "shares_table",
    "simulate",
]
