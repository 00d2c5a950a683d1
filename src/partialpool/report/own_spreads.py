"""What a report says where groups have sds of their own, or another model than the usual one."""

from __future__ import annotations

import math

import pandas as pd

from partialpool.fitting import Fit
from partialpool.report import cells
from partialpool.report.drawing import Figure
from partialpool.report.wording import (
    Row,
    a_group,
    group_word,
    highest,
    listed,
    lowest,
    median_with_interval,
    named,
    number,
    rows_of,
    scalar,
    sizes,
    with_interval,
)
from partialpool.tables.comparison import Comparison

_SMALL, _STILL, _SAME = 4.0, 0.1, 0.05


def lines(comparison: Comparison) -> list[str]:
    """Say whether the sds within groups are alike, and how far they are pooled."""
    fit = comparison.model("partial")
    if fit is None or not comparison.concludes(fit.name):
        return []
    table = comparison.table("spreads", model=fit.name)
    spans = rows_of(comparison.table("span", model=fit.name))
    typical, nu0 = (scalar(comparison, fit, name) for name in ("sigma0", "nu0"))
    if table.empty or not spans or typical is None or nu0 is None:
        return []
    span = spans[0]
    median = number(span["median"], span["mcse_median"])
    low, high = (_factor(span[end]) for end in ("q2.5", "q97.5"))
    said = (
        f"The sds within groups lie about σ₀ = {with_interval(typical, _unit(comparison))}. How "
        f"alike they are says ν₀, {median_with_interval(nu0, 'nu0')}: the middle 95 % of groups "
        f"have sds of which the largest is {median} times the smallest (95 % interval {low} to "
        f"{high})"
    )
    if math.isfinite(span["prior_median"]):
        before = [_factor(span[f"prior_{end}"]) for end in ("median", "q2.5", "q97.5")]
        said += (
            f"; before the data, the prior of ν₀ expects {before[0]} ({before[1]} to {before[2]})"
        )
    return [f"{said}.", *_pulled(comparison, table)]


def _pulled(comparison: Comparison, table: pd.DataFrame) -> list[str]:
    """Say from where to where the sds are pulled."""
    several = table.dropna(subset="sample_sd")
    if len(several) < 2:
        return []
    ends = [pick(several, "sample_sd") for pick in (lowest, highest)]
    sample = [f"{number(row['sample_sd'], 0.005 * row['sample_sd'])}" for row in ends]
    first, last = (named(comparison, row["group"]) for row in ends)
    estimates = [number(row["estimate"], row["mcse"]) for row in ends]
    weights = [number(share, 0.005) for share in (table["pooled"].min(), table["pooled"].max())]
    alone = len(table) - len(several)
    one = f"; {alone} with one observation have the population's alone" if alone else ""
    return [
        f"The smallest sample sd, {sample[0]} ({first}), becomes {estimates[0]}, and the largest, "
        f"{sample[1]} ({last}), {estimates[1]}: the population has a weight of {weights[0]} to "
        f"{weights[1]} in the groups' variances{one}."
    ]


def against_usual(comparison: Comparison) -> list[str]:
    """Say what the model changes against the usual one of the same rows."""
    fit = comparison.model("partial")
    rows = rows_of(comparison.table("usual_model"))
    if not rows or fit is None or not comparison.concludes(fit.name):
        return []
    return [" ".join([_scored(comparison, rows[0]), *_moved(comparison, rows[0])])]


def _scored(comparison: Comparison, row: Row) -> str:
    """Say which of the two predicts a new group better."""
    apart, error = float(row["elpd_diff"]), float(row["dse"])
    size = number(abs(apart), 0.05)
    by = f"by {size}{'' if math.isnan(error) else f' (standard error {number(error, 0.05)})'}"
    what = f"predicts {a_group(comparison)} from the others"
    if abs(apart) < _SAME:
        return (
            f"Partial pooling with {row['assumes']} {what} as well as with {row['usual']}: their "
            f"expected log predictive densities differ by less than {_SAME:g}."
        )
    if abs(apart) < _SMALL:
        return (
            f"Partial pooling with {row['assumes']} {what} no better and no worse than with "
            f"{row['usual']}: their expected log predictive densities differ {by} in favour of "
            f"{row['assumes'] if apart > 0 else row['usual']}, no clear winner."
        )
    better = "better" if apart > 0 else "worse"
    doubt = "" if math.isnan(error) or abs(apart) > 2 * error else ", which may be chance"
    models = f"Partial pooling with {row['assumes']} {what} {better} than with {row['usual']}"
    return f"{models}, {by}{doubt}."


def _moved(comparison: Comparison, row: Row) -> list[str]:
    """Say for which group the choice of the model matters."""
    groups = comparison.table("usual_model_groups")
    most = highest(groups.assign(size=groups["change"].abs()), "size")
    size = float(most["size"])
    if size < _STILL:
        return [
            f"No {comparison.data.words.theta} moves by more than {number(size, 0.005)} of its "
            "posterior sds from the one model to the other."
        ]
    unit = _unit(comparison)
    digits = 0.02 * abs(most["mean"] - most["usual_mean"])
    mean = number(most["mean"], digits)
    usual = number(most["usual_mean"], digits, unit)
    return [
        f"The choice matters most for {named(comparison, most['group'])}: {usual} with "
        f"{row['usual']} and {mean} with {row['assumes']}, "
        f"{number(size, 0.005)} of its posterior sds apart."
    ]


def view(comparison: Comparison) -> cells.View | None:
    """Sample sds and posterior sds by group."""
    fit = comparison.model("partial")
    table = comparison.table("spreads", model=fit.name) if fit else pd.DataFrame()
    return cells.view(
        "Sds within groups under partial pooling",
        table,
        [
            (comparison.data.group_label, cells.text("group")),
            ("n", cells.count("n")),
            ("Sample sd", cells.plain("sample_sd")),
            ("Posterior mean of σ", cells.estimate("estimate", "mcse")),
            ("95 % interval", cells.interval("q2.5", "q97.5", ".3g")),
            ("Weight of the population", cells.fraction("pooled")),
        ],
        csv="spreads",
        note="Weight of the population: of ν₀ and n observations, the share of ν₀; 1 is one "
        "variance for all groups.",
    )


def usual_view(comparison: Comparison) -> cells.View | None:
    """The groups under this model and under the usual one."""
    whole = rows_of(comparison.table("usual_model"))
    if not whole:
        return None
    names = whole[0]["assumes"], whole[0]["usual"]
    evidence = number(float(whole[0]["log_evidence_diff"]), 0.05)
    return cells.view(
        f"Partial pooling with {names[0]} and with {names[1]}",
        comparison.table("usual_model_groups"),
        [
            (comparison.data.group_label, cells.text("group")),
            (f"Posterior mean, {names[0]}", cells.plain("mean")),
            (f"Posterior mean, {names[1]}", cells.plain("usual_mean")),
            ("Apart, in posterior sds", cells.fraction("change")),
            (f"elpd, {names[0]}", cells.fraction("elpd")),
            (f"elpd, {names[1]}", cells.fraction("usual_elpd")),
        ],
        csv="usual_model_groups",
        note="Both exact, by quadrature. elpd: log predictive density of the group's data given "
        f"the other groups. Log of the ratio of the probabilities of all data: {evidence}, which "
        "depends on the priors.",
    )


def drawn(comparison: Comparison) -> tuple[Fit, pd.DataFrame] | None:
    """The groups whose sds a figure shows, and the fit; None where there are none."""
    fit = comparison.model("partial")
    if fit is None:
        return None
    table = comparison.table("spreads", model=fit.name)
    several = table.dropna(subset="sample_sd") if len(table) else table
    return (fit, several) if len(several) > 1 else None


def figure(comparison: Comparison) -> Figure:
    """Arrows from each sample sd to its posterior mean."""
    found = drawn(comparison)
    assert found is not None
    fit, several = found
    frame = several.assign(raw_mean=several["sample_sd"], raw_se=1 / several["n"] ** 0.5)
    unit = _unit(comparison)
    ends = [pick(several, "estimate") for pick in (lowest, highest)]
    shown = listed([f"{number(row['estimate'], row['mcse'])} ({row['group']})" for row in ends])
    return Figure(
        "spreads",
        "shrinkage_arrows",
        {
            "shrinkage": frame,
            "axis_title": f"Sd within the {group_word(comparison)}{f', {unit}' if unit else ''}",
            "group_title": comparison.data.group_label,
            **sizes(comparison.data),
            "raw": "sample sd",
        },
        f"From the sample sd of each group to the posterior mean of its σ under {fit.title}.",
        f"Arrows from sample sds to posterior means of σ under {fit.title}; the smallest and the "
        f"largest posterior mean are {shown}.",
    )


def _unit(comparison: Comparison) -> str:
    return "" if comparison.data.log or comparison.data.exp else comparison.data.unit


def _factor(value: float) -> str:
    return number(value, 0.005 * value) if value < 1000 else "more than 1,000"
