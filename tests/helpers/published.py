"""Published estimates with their standard errors, to hold families against.

Eight schools: Rubin (1981), *Journal of Educational Statistics* 6, 377-401, and, rounded, Gelman et
al. (2013), *Bayesian Data Analysis*, 3rd ed., table 5.2. BCG vaccine trials: Colditz et al. (1994),
*Journal of the American Medical Association* 271, 698-702. Teacher expectancy: Raudenbush (1985),
in Raudenbush and Bryk, *Journal of Educational Statistics* 10, 75-98.
"""

from __future__ import annotations

import numpy as np

from partialpool.data import GroupedData
from partialpool.data.grouped import from_estimates

_SCHOOLS = tuple("ABCDEFGH")
_BCG = (  # treated: events, others; control: events, others
    *((4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619)),
    *((33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619)),
    *((505, 87886, 499, 87892), (29, 7470, 45, 7232), (17, 1699, 65, 1600)),
    *((186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825)),
)


def eight_schools() -> GroupedData:
    """Effects of coaching in eight schools, rounded to points."""
    return from_estimates(
        _SCHOOLS,
        [28, 8, -3, 7, -1, 1, 18, 12],
        [15, 10, 16, 11, 9, 11, 10, 18],
        name="eight schools",
        unit="points",
    )


def rubin_schools() -> GroupedData:
    """The same as Rubin gives them, in hundredths of a point."""
    return from_estimates(
        _SCHOOLS,
        [28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
        [14.9, 10.2, 16.3, 11.0, 9.4, 11.4, 10.4, 17.6],
        name="Rubin's eight schools",
        unit="points",
    )


def bcg() -> GroupedData:
    """Log risk ratios of tuberculosis, vaccinated against not, in 13 trials."""
    counts = np.array(_BCG, dtype=float)
    treated, control = counts[:, 0] + counts[:, 1], counts[:, 2] + counts[:, 3]
    ratio = np.log(counts[:, 0] / treated) - np.log(counts[:, 2] / control)
    variance = 1 / counts[:, 0] - 1 / treated + 1 / counts[:, 2] - 1 / control
    labels = [str(trial) for trial in range(1, 14)]
    return from_estimates(labels, ratio, np.sqrt(variance), name="BCG")


def teacher_expectancy() -> GroupedData:
    """Effects of teachers' expectations on test scores, in standard deviations, 19 studies."""
    effect = (
        *(0.03, 0.12, -0.14, 1.18, 0.26, -0.06, -0.02, -0.32, 0.27, 0.80),
        *(0.54, 0.18, -0.02, 0.23, -0.18, -0.06, 0.30, 0.07, -0.07),
    )
    variance = (
        *(0.0156, 0.0216, 0.0279, 0.1391, 0.1362, 0.0106, 0.0106, 0.0484, 0.0269, 0.0630),
        *(0.0912, 0.0497, 0.0835, 0.0841, 0.0253, 0.0279, 0.0193, 0.0088, 0.0303),
    )
    labels = [str(study) for study in range(1, 20)]
    return from_estimates(labels, effect, np.sqrt(variance), name="teacher expectancy")
