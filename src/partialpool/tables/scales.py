"""How far out groups lie in a Student-t population: by how much it is wider for each of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from partialpool.data import GroupedData
from partialpool.fitting import Fit
from partialpool.fitting.summarize import summarize
from partialpool.tables import variables

STANDS_OUT = 0.9
"""Posterior probability of a scale above 1 from which on a group is said to stand out."""

_COLUMNS = ("model", "group", "median", "mcse_median", "q2.5", "q97.5", "p_wider")


def scales(fits: Sequence[Fit], data: GroupedData) -> pd.DataFrame:
    """Describe the scale of each group under models with a Student-t population.

    Given its scale, theta of a group comes from a normal population with sd tau times the scale.
    The scale is larger the further out a group lies; before the data it lies about 1 for each.

    Returns
    -------
    DataFrame
        One row a model and group: `model`, `group`, `median` of the scale with its Monte Carlo
        error `mcse_median`, `q2.5`, `q97.5`, and `p_wider` (posterior probability of a scale
        above 1). No unit. Empty for models without such scales.
    """
    frames = []
    for fit in fits:
        name = data.family.local_scale
        scale = variables.by_group(fit, data, name) if name else None
        if scale is None or len(scale) != data.stats.J:
            continue
        found = summarize(scale)
        columns = {name: found[name] for name in ("median", "mcse_median", "q2.5", "q97.5")}
        about = {"model": fit.name, "group": list(data.labels)}
        wider = (scale > 1).mean(axis=(1, 2))
        frames.append(pd.DataFrame({**about, **columns, "p_wider": wider}))
    return variables.stacked(frames, _COLUMNS)
