"""Tables of proportions and rates -> the same tables per 100, per 1,000 or more.

Models, fits and diagnostics know probabilities and rates alone. Finished tables are scaled here,
once: whatever is in the unit of theta is multiplied by `GroupedData.per`, a variance by its square.
What is a probability of something else (of being the largest, of lying above a value), a count, a
ratio, a pooling factor, a rank or a score stays as it is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from partialpool.tables.predictions import NEW_GROUP_MEAN
from partialpool.types import FloatArray

SCALED = ("theta", "mu", "theta_new", "tau", "sigma")
"""Variables of programs in the unit of theta."""

SQUARED = ("tau2", "sigma2")
"""Their variances."""

_COLUMNS = frozenset(
    (
        *("mean", "sd", "median", "q2.5", "q25", "q75", "q97.5", "mcse"),
        *("mcse_mean", "mcse_sd", "mcse_median"),
        *("mcse_q2.5", "mcse_q25", "mcse_q75", "mcse_q97.5"),
        *("proportion", "rate", "raw_mean", "raw_se", "sample_mean", "observed", "later"),
        *("estimate", "own_estimate", "exact", "displacement", "target", "rmse"),
        *("exact_q2.5", "exact_q97.5", "plug_in", "james_stein", "james_stein_arcsine"),
        *("mu", "tau", "tau_median", "tau_q2.5", "tau_q97.5", "before", "after"),
        *("before_mcse", "after_mcse", "usual_mean", "blup"),
    )
)
"""Columns in the unit of theta, in tables that have such columns."""

_TABLES = frozenset(
    (
        *("groups", "estimates", "exact", "shrinkage", "moved", "contrasts", "predictions"),
        *("variance", "predictors", "maximum_likelihood", "populations", "prior_choices"),
        *("posterior_checks", "holdout", "holdout_groups", "changes", "usual_model_groups"),
        "adjusted",
    )
)
_ENDS = ("Smallest", "Largest")


def table(key: str, frame: pd.DataFrame, per: int) -> pd.DataFrame:
    """Scale one table, known by the name of its file.

    Parameters
    ----------
    key
        Name of the table (`estimates`, `shrinkage`, ...).
    frame
        Its rows, of probabilities or rates.
    per
        Of how many trials, or how much exposure, they are shown.

    Returns
    -------
    DataFrame
        The same rows and columns in the same order.
    """
    if frame.empty:
        return frame
    columns = _scaled(key, frame)
    if not columns:
        return frame
    factor = _factors(key, frame, per)
    scaled = frame.copy()
    for column in columns:
        scaled[column] = frame[column].to_numpy(dtype=float) * factor
    return scaled


def _scaled(key: str, frame: pd.DataFrame) -> list[str]:
    """Columns of a table that are in the unit of theta, in some rows at least."""
    names = [str(column) for column in frame]
    if key == "shrinkage_wide":
        models = [name for name in names if f"{name}_mcse" in names]
        return ["sample_mean", *models, *(f"{model}_mcse" for model in models)]
    if key == "draws":
        return [name for name in names if name not in ("chain", "draw")]
    return [name for name in names if name in _COLUMNS] if key in _TABLES else []


def _factors(key: str, frame: pd.DataFrame, per: int) -> FloatArray:
    """What each row is multiplied by, shape (rows,)."""
    ones = np.ones(len(frame))
    if key == "posterior_checks":
        ends = frame["statistic"].str.startswith(_ENDS).to_numpy()
        return np.where(ends, float(per), ones)
    named = next((frame[name] for name in ("parameter", "quantity") if name in frame), None)
    if named is None:
        return ones * per
    bare = named.str.partition("[")[0]
    linear = bare.isin((*SCALED, NEW_GROUP_MEAN)).to_numpy()
    return np.where(linear, float(per), np.where(bare.isin(SQUARED), float(per) ** 2, ones))


def described(columns: pd.DataFrame, tables: dict[str, list[str]], per: int) -> pd.DataFrame:
    """Say of each scaled column what it was multiplied by.

    Parameters
    ----------
    columns
        `table`, `column` and `meaning`, as `partialpool.tables.meanings.table` lists them.
    tables
        Name of each table to the names of its columns, as listed there.
    per
        As for `table`.
    """
    scaled = {
        (key, column)
        for key, names in tables.items()
        for column in _scaled(key, pd.DataFrame(columns=names))
    }
    said = []
    for row in columns.to_dict(orient="records"):
        key, column, meaning = (str(row[name]) for name in ("table", "column", "meaning"))
        if (key, column) in scaled:
            some = {"parameter", "quantity", "statistic"} & set(tables[key])
            where = " where it is in the unit of theta (a variance by its square)" if some else ""
            meaning = f"{meaning}; multiplied by {per:,}{where}"
        said.append(meaning)
    return columns.assign(meaning=said)
