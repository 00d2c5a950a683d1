"""Outcomes -> is the program calibrated? As a table, as curves with their envelope, in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from partialpool.programs import Program
from partialpool.studies.calibration import uniformity
from partialpool.studies.calibration.run import Outcome

FALSE_ALARMS = 0.01
"""Chance that a program which is right is said to be wrong, over all its quantities together."""


def shares_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Shares of posteriors below the truth: a row a trusted fit, a column a quantity."""
    return pd.DataFrame([outcome.shares for outcome in outcomes if outcome.shares])


def quantity_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Judge each quantity by the ECDF of the shares of its posteriors below the truth.

    A quantity is calibrated where its p-value is above `FALSE_ALARMS` over the number of
    quantities (Bonferroni), so that all of a program that is right are, but for one program in a
    hundred.

    Returns
    -------
    DataFrame
        One row a quantity: `quantity`, `parameter`, `group` (empty for none), `data_sets` (how
        many have a trusted fit), `mean_share` (0.5 where the posterior is neither too high nor
        too low), `p_value` (see `uniformity.p_value`), `limit`, `calibrated`.
    """
    shares = shares_table(outcomes)
    rows = []
    for quantity, values in shares.items():
        parameter, _, group = str(quantity).removesuffix("]").partition("[")
        p, limit = uniformity.p_value(values), FALSE_ALARMS / shares.shape[1]
        rows.append((quantity, parameter, group, len(values), values.mean(), p, limit, p > limit))
    columns = ("quantity", "parameter", "group", "data_sets", "mean_share", "p_value", "limit")
    return pd.DataFrame(rows, columns=[*columns, "calibrated"])


def curves(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """ECDFs of the shares minus the uniform distribution function, and their envelope.

    The envelope is so wide that all curves of a program that is right stay inside with
    probability 0.95 at least (Bonferroni over the curves).

    Returns
    -------
    DataFrame
        One row a quantity and point: `quantity`, `parameter`, `group`, `share` (between 0 and 1),
        `difference`, `lower`, `upper` (ends of the envelope), `inside` (whether the whole curve
        is).
    """
    shares = shares_table(outcomes)
    frames = []
    for row in quantity_table(outcomes).to_dict("records"):
        values = shares[row["quantity"]]
        at, found = uniformity.points(len(values)), uniformity.ecdf(values)
        lower, upper = uniformity.envelope(len(values), 1 - 0.05 / shares.shape[1])
        frame = pd.DataFrame({"share": at, "difference": found - at})
        frame = frame.assign(lower=lower - at, upper=upper - at)
        inside = bool(((found >= lower) & (found <= upper)).all())
        about = {name: row[name] for name in ("quantity", "parameter", "group")}
        frames.append(frame.assign(**about, inside=inside))
    return pd.concat(frames, ignore_index=True)


def is_calibrated(outcomes: Sequence[Outcome]) -> bool:
    """Whether every quantity is calibrated, and there is one at all."""
    table = quantity_table(outcomes)
    return bool(len(table) and table["calibrated"].all())


def describe(program: Program, outcomes: Sequence[Outcome]) -> str:
    """One sentence that says whether a program is calibrated, and what was left out."""
    table = quantity_table(outcomes)
    left_out = len(outcomes) - len(shares_table(outcomes))
    start = f"{program.title}: "
    if table.empty:
        return f"{start}no fit of {len(outcomes)} data sets passed its diagnostics: NOT CALIBRATED."
    worst = table.iloc[int(table["p_value"].argmin())]
    verdict = "calibrated" if is_calibrated(outcomes) else "NOT CALIBRATED"
    said = (
        f"{start}{len(table)} quantities over {len(outcomes) - left_out} data sets; the smallest "
        f"p-value is {worst['p_value']:.2g} ({worst['quantity']}; down to {worst['limit']:.1g} is "
        f"chance): {verdict}."
    )
    if left_out:
        said += (
            f" Left out are {left_out} data sets ({100 * left_out / len(outcomes):.2g} %) whose "
            "fits failed their diagnostics."
        )
    return said
