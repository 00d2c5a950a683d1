"""How much observations count where errors are Student t: the less, the further off they lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.fitting.summarize import means
from partialpool.tables import variables

LITTLE = 0.25
"""Weight below which an observation is said to count for little."""

_COLUMNS = ("model", "observation", "group", "value", "off", "weight", "mcse")
_CELLS = 4_000_000


def outlying(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Describe how far off each observation lies, and the weight that it has therefore.

    A Student-t error is a normal one whose precision has a weight of the observation's own, which
    is gamma(nu / 2, nu / 2) before the data are seen, 1 on average. Given theta, sigma and nu it is
    (nu + 1) / (nu + z^2) on average, with z = (y - theta) / sigma (Lange, Little and Taylor 1989,
    *Journal of the American Statistical Association* 84, 881-896).

    Returns
    -------
    DataFrame
        One row a model and observation, the least weight first: `model`, `observation` (number from
        1, in the order of the data), `group`, `value` (in the unit of the data), `off` (posterior
        mean of z, in scales of the errors), `weight` (posterior mean) and its Monte Carlo error
        `mcse`. Empty for models with normal errors, and without the observations.
    """
    frames = []
    for fit in fits:
        nu, sigma = variables.errors_degrees(fit, data), variables.sigma(fit, data)
        theta = variables.theta(fit, data)
        if nu is None or sigma is None or theta is None or not data.has_observations:
            continue
        step, parts = max(1, _CELLS // nu.size), []
        for start in range(0, len(data.y), step):
            rows = slice(start, start + step)
            z = (data.y[rows, None, None] - theta[data.group[rows]]) / sigma[0]
            parts.append([z.mean(axis=(1, 2)), *means((nu + 1) / (nu + z**2))])
        off, weight, error = (np.concatenate(each) for each in zip(*parts, strict=True))
        frame = pd.DataFrame(
            {
                "model": fit.name,
                "observation": np.arange(1, len(data.y) + 1),
                "group": [data.labels[j] for j in data.group],
                "value": np.exp(data.y) if data.log else data.y,
                "off": off,
                "weight": weight,
                "mcse": error,
            }
        )
        frames.append(frame.sort_values("weight", kind="stable", ignore_index=True))
    return variables.stacked(frames, _COLUMNS)
