"""Tables of log ratios -> the same tables of ratios, as people read them.

Models, fits and diagnostics know the logarithms alone. Here the finished tables are turned, once:
the mean of a logarithm becomes a geometric mean, its quantiles become quantiles, its sd the factor
exp(sd) (the geometric sd; Kirkwood 1979, *Biometrics* 35, 908-909), a difference a ratio, and a
Monte Carlo standard error that of the exponential by the delta method, exp(x) times that of x.

What measures a spread or an error between logarithms stays as it is: tau and tau2, standard errors
of estimates, I^2 and H^2, pooling factors, and everything that has no unit (probabilities, ranks,
scores, diagnostics). So does the comparison with exact posteriors, which is one of logarithms.

Proportions and rates that are read per 100, per 1,000 or more go the same way
(`partialpool.tables.per`): the functions here that take data know both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, overload

import numpy as np
import pandas as pd

from partialpool.data import GroupedData
from partialpool.errors import InputError
from partialpool.tables import per as scaled
from partialpool.tables.lazy import Tables, names_of
from partialpool.text import format_estimate, of_data
from partialpool.types import FloatArray

if TYPE_CHECKING:
    from partialpool.tables.comparison import Comparison  # slow, and of no use to a title

PARAMETERS = ("theta", "mu", "theta_new", "y_new", "phi", "phi_new")
"""Variables of programs that are locations of the data, so that their exponentials are shown."""

EXCLUDES_ZERO = "95 % interval of the difference excludes 0"
"""The criterion of a claim about a difference, which `partialpool.tables.contrasts` names."""

EXCLUDES_ONE = "95 % interval of the ratio excludes 1"
"""The criterion of a claim about a ratio."""

_ENDS = ("Smallest estimate", "Largest estimate", "Minimum", "Maximum")
_SPREAD, SPREAD_OF_LOGS = ("Sd of the estimates", "Sample sd"), "Sd of the logarithms"
OF_LOGARITHMS = "estimates_of_logarithms"
"""Key of the table of estimates as the models have them, beside the one that is turned."""

_LOG = re.compile(r"^(?:natural\s+)?(?:log|ln)(?:arithms?)?(?:\s+of(?:\s+the)?)?[\s_-]+", re.I)

_LOCATIONS = (
    *("mean", "median", "q2.5", "q25", "q75", "q97.5"),
    *("estimate", "raw_mean", "sample_mean", "target", "displacement", "blup", "observed"),
    *("prediction_q2.5", "prediction_q97.5", "before", "after"),
    *("own_estimate", "usual_mean", "own_mean", "new_mean", "new_q2.5", "new_q97.5"),
    *("complete", "two_levels", "three_levels", "none"),
)
_SPREADS = ("sd",)
_ERRORS = {
    "mcse": ("mean", "estimate"),
    "mcse_mean": ("mean",),
    "mcse_sd": ("sd",),
    "mcse_median": ("median",),
    "before_mcse": ("before",),
    "after_mcse": ("after",),
    **{f"mcse_{name}": (name,) for name in ("q2.5", "q25", "q75", "q97.5")},
}
_TURNED = (
    *("groups", "estimates", "shrinkage", "shrinkage_wide", "moved", "contrasts", "claims"),
    *("predictions", "meta_analysis", "weights", "posterior_checks", "draws", "changes"),
    *("choices", "choices_wide", "prior_predictive", "prior_draws"),
    *("coefficients", "adjusted", "populations", "usual_model_groups"),
    *("outer_groups", "poolings"),
)

_ON_LOGS = "on the scale of the logarithms"
_MEANINGS = {
    "mean": "exponential of the posterior mean of the logarithm: a geometric mean",
    "sd": "exponential of the posterior sd of the logarithm: a geometric sd, a factor",
    "estimate": "exponential of the posterior mean of the group's logarithm: a geometric mean",
    "own_estimate": "exponential of its posterior mean under the fit's population",
    "usual_mean": "exponential of its posterior mean under the usual model",
    "raw_mean": "exponential of the group's own estimate",
    "sample_mean": "exponential of the group's own estimate",
    "observed": "its value in the data, of the exponentials",
    "displacement": "ratio of estimate to raw_mean",
    "displacement_se": "logarithm of displacement, in standard errors of the group's estimate",
    "target": "what the model pulls the groups towards: exp(E[mu]), or exp(E[theta])",
    "raw_se": f"standard error of the group's own estimate, {_ON_LOGS}",
    "blup": "exponential of the best linear unbiased predictor with REML's tau2",
    "interval_excludes_one": "whether the 95 % interval of the ratio excludes 1",
    "p_equivalent": "P(ratio between 1 / delta and delta); empty without a delta",
    "tau2": f"variance between groups, {_ON_LOGS}",
    "prediction_q2.5": "2.5 % quantile of new effects, as exponentials",
    "prediction_q97.5": "97.5 % quantile of new effects, as exponentials",
}
_OWN_MEANINGS = {
    ("groups", "estimate"): "exponential of the group's own estimate",
    ("weights", "estimate"): "exponential of the group's own estimate",
    ("meta_analysis", "estimate"): "exponential of the mean effect",
    ("contrasts", "mean"): "exponential of the posterior mean of the difference of the logarithms: "
    "geometric mean of the ratio of the first group to the second",
    ("usual_model_groups", "mean"): "exponential of the posterior mean under this model",
    ("predictions", "mean"): "exponential of the mean of the predictive distribution",
    ("predictions", "sd"): "exponential of the sd of the predictive distribution, a factor",
}
_STANDARD_ERRORS = ("groups", "weights", "meta_analysis", "shrinkage", "shrinkage_wide", "moved")


def of_comparison(comparison: Comparison) -> Comparison:
    """Turn all tables of a comparison whose data are read on another scale than models have."""
    data, before = comparison.data, comparison.tables
    if not data.exp and data.per == 1:
        return comparison
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        key: partial(_of_key, key, before, data) for key in names_of(before)
    }
    if data.exp:
        makers[OF_LOGARITHMS] = lambda: before["estimates"]
    turned = Tables(makers)
    turned.failed |= comparison.missing
    return replace(comparison, tables=turned, missing=turned.failed)


def _of_key(key: str, tables: Mapping[str, pd.DataFrame], data: GroupedData) -> pd.DataFrame:
    return _as_read(key, tables[key], data)


def _as_read(key: str, frame: pd.DataFrame, data: GroupedData) -> pd.DataFrame:
    """One table on the scale that people read."""
    if data.exp:
        return table(key, frame)
    return frame if data.per == 1 else scaled.table(key, frame, data.per)


def table(key: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Turn one table, known by the name of its file.

    Parameters
    ----------
    key
        Name of the table (`estimates`, `shrinkage`, ...); of what studies find, `choices` and
        `choices_wide` (estimates and summary of a comparison of priors), `prior_predictive` and
        `prior_draws` (what priors expect, and draws of it).
    frame
        Its rows, on the scale of the logarithms.

    Returns
    -------
    DataFrame
        The same rows and columns in the same order, on the scale of the exponentials where there
        is one; `interval_excludes_zero` is called `interval_excludes_one`.
    """
    if key not in _TURNED or frame.empty:
        return frame
    if key == "claims":
        return frame.assign(criterion=frame["criterion"].replace(EXCLUDES_ZERO, EXCLUDES_ONE))
    rows = np.ones(len(frame), dtype=bool)
    locations, errors = _columns(key, frame)
    if "parameter" in frame:
        named = frame["parameter"].str.partition("[")[0]  # phi[LABEL] is a location, too
        rows = named.isin(PARAMETERS).to_numpy()
    elif key in ("changes", "choices"):
        rows = frame["quantity"].isin(PARAMETERS).to_numpy()
    elif "statistic" in frame and key == "posterior_checks":
        rows = frame["statistic"].isin(_ENDS).to_numpy()
    turned = frame.copy()
    for column in locations:
        turned[column] = _turned(frame[column], rows)
    for column, of in errors.items():
        before = frame[column].to_numpy(dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):
            of_ratio = np.exp(frame[of].to_numpy(dtype=float)) * before
        turned[column] = np.where(rows, of_ratio, before)
    if key == "posterior_checks":
        turned["statistic"] = turned["statistic"].replace(dict.fromkeys(_SPREAD, SPREAD_OF_LOGS))
    return turned.rename(columns={"interval_excludes_zero": "interval_excludes_one"})


def _columns(key: str, frame: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """Columns that become exponentials, and Monte Carlo errors with the column of each."""
    names = [str(column) for column in frame]
    if key == "draws":
        return [name for name in names if name not in ("chain", "draw")], {}
    if key == "prior_draws":
        return ["value"], {}
    if key == "choices_wide":
        locations = [n for n in names if n.split("_q")[0].split("[")[0] in PARAMETERS]
        means = [n for n in locations if not n.endswith("_mcse")]
        return means, {f"{n}_mcse": n for n in means if f"{n}_mcse" in names}
    if key == "shrinkage_wide":
        models = [name for name in names if f"{name}_mcse" in names]
        return ["sample_mean", *models], {f"{model}_mcse": model for model in models}
    locations = [name for name in names if name in (*_LOCATIONS, *_SPREADS)]
    errors = {
        error: next(name for name in of if name in names)
        for error, of in _ERRORS.items()
        if error in names and any(name in names for name in of)
    }
    return locations, errors


def _turned(column: pd.Series[float], rows: FloatArray) -> FloatArray:
    """Exponentials of some rows."""
    values = column.to_numpy(dtype=float)
    with np.errstate(over="ignore"):
        return np.where(rows, np.exp(values), values)


def described(columns: pd.DataFrame, data: GroupedData) -> pd.DataFrame:
    """Turn what the columns of tables hold into what those hold that people read.

    Parameters
    ----------
    columns
        `table`, `column` and `meaning`, as `partialpool.tables.meanings.table` lists them.
    data
        The data, which say whether they are read on another scale.
    """
    if data.per != 1:
        names = {str(key): list(part["column"]) for key, part in columns.groupby("table")}
        return scaled.described(columns, names, data.per)
    if not data.exp:
        return columns
    meaning = [
        _meaning(str(row["table"]), str(row["column"]), str(row["meaning"]))
        for row in columns.to_dict(orient="records")
    ]
    return columns.assign(meaning=meaning)


def _meaning(key: str, column: str, before: str) -> str:
    if key == "exact":
        of_logs = column in ("estimate", "exact", "mcse")
        return f"{before}, {_ON_LOGS}" if of_logs else before
    if key == "variance" and column in ("mean", "median", "q2.5", "q97.5"):
        return f"{before}; tau2 is {_ON_LOGS}"
    if key == "estimates" and column in ("mean", "sd"):
        names = ", ".join(PARAMETERS[:3])
        return f"of {names}: {_MEANINGS[column]}; of all else as it is, {_ON_LOGS}"
    if key == "shrinkage_wide" and not before.startswith("Monte Carlo"):
        before = before.replace("posterior mean", "exponential of the posterior mean", 1)
        before = before.removesuffix(", in the unit of the data")
    if column == "se" and key in _STANDARD_ERRORS:
        return f"standard error of the logarithm, {_ON_LOGS}"
    if key not in _TURNED:
        return _MEANINGS[column] if column == "tau2" else before
    return _OWN_MEANINGS.get((key, column), _MEANINGS.get(column, before)).replace(
        ", in the unit of the data", ""
    )


@overload
def shown(data: GroupedData, values: float) -> float: ...
@overload
def shown(data: GroupedData, values: FloatArray) -> FloatArray: ...
def shown(data: GroupedData, values: float | FloatArray) -> float | FloatArray:
    """Numbers in the unit of the data as people read them: exponentials, or per so many."""
    if not data.exp:
        return values if data.per == 1 else values * data.per
    with np.errstate(over="ignore"):
        found = np.exp(values)
    return found if isinstance(values, np.ndarray) else float(found)


def statistic(data: GroupedData, value: float) -> str:
    """Write a sample statistic on the scale that people read: alike for all of one data set.

    It has three digits of the spread of all data; a ratio has four digits.
    """
    return (
        format_estimate(value, np.nan)
        if data.exp
        else of_data(value, data.per * data.stats.total_sd)
    )


def differences(data: GroupedData, column: pd.Series[float]) -> pd.Series[float]:
    """Differences that a turned table shows, ratios as their logarithms."""
    if not data.exp:
        return column
    with np.errstate(divide="ignore"):
        return pd.Series(np.log(column.to_numpy(dtype=float)), index=column.index)


def axis_title(data: GroupedData) -> str:
    """What people read on the scale that they read, with its unit.

    A label that names the logarithm (`Log risk ratio`, `log_or`) loses that word where the
    exponentials are shown; any other label is taken to name the ratio.
    """
    if not data.exp:
        return data.axis_title
    label = data.value_label
    bare = _LOG.sub("", label) or label
    if label[:1].isupper():
        bare = bare[:1].upper() + bare[1:]
    return f"{bare} ({data.unit})" if data.unit else bare


def log_delta(data: GroupedData, delta: float | None) -> float | None:
    """Half-width of the region of equivalence as models take it, from that which a user gives.

    It is given in the unit that people read.

    Where exponentials are shown a user gives a ratio above 1, and ratios between 1 / delta and
    delta count as equivalent.

    Raises
    ------
    InputError
        A ratio that is not above 1.
    """
    if delta is None:
        return delta
    if not data.exp:
        return delta / data.per
    if not delta > 1:
        raise InputError(
            f"--delta {delta:g}: with --exp it is a ratio above 1; 1.1 takes ratios between 1/1.1 "
            "and 1.1 as equivalent"
        )
    return float(np.log(delta))


def tables(data: GroupedData, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Turn tables by name, where the data are read on another scale than models have."""
    return {key: _as_read(key, frame, data) for key, frame in frames.items()}
