"""Data sets of all kinds, and whether everything passes on them at its defaults.

Simulated are few and many groups, small, large and mixed ones, alike and far apart; typed are data
sets that textbooks use, with their sources.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from partialpool import programs
from partialpool.data import GroupedData, example, from_estimates, from_values, read_csv
from partialpool.errors import InputError
from partialpool.fitting import Fit, diagnostics
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.without_rows import fit_or_draw
from partialpool.settings import Settings
from partialpool.studies.sensitivity import compare_priors
from partialpool.tables import exactness, shrinkage

GROUPS = (3, 4, 5, 8, 20, 100)
SIZES = (2, 5, 30, "1 to 100")
ERRORS = ("alike", "unlike")
SPREADS = (0, 0.05, 0.3, 1, 10, 100, 1000)
"""Sd between groups over the sd within, or over a typical standard error."""

UNITS = (1e-9, 1e9)
PROGRAMS = ("complete_pooling", "no_pooling", "hierarchical_marginal")

# Outcomes by group, as printed in the sources.
TYPED = {
    # Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 1.1: travel times
    "Rail": "55 53 54 / 26 37 32 / 78 91 85 / 92 100 96 / 49 51 50 / 80 85 83",
    # Davies and Goldsmith (1972), Statistical Methods in Research and Production: yields of dye
    "Dyestuff": "1545 1440 1440 1520 1580 / 1540 1555 1490 1560 1495 / 1595 1550 1605 1510 1560 / "
    "1445 1440 1595 1465 1545 / 1595 1630 1515 1635 1625 / 1520 1455 1450 1480 1445",
    # Box and Tiao (1973), Bayesian Inference in Statistical Analysis, table 5.1.4: simulated
    "Dyestuff2": "7.298 3.846 2.434 9.566 7.990 / 5.220 6.556 0.608 11.788 -0.892 / "
    "0.110 10.386 13.434 5.510 8.166 / 2.212 4.852 7.092 9.288 4.980 / "
    "0.282 9.014 4.458 9.446 7.198 / 1.722 4.782 8.106 0.758 3.758",
    # Dobson (1983), An Introduction to Statistical Modelling: dried weights of plants
    "PlantGrowth": "4.17 5.58 5.18 6.11 4.50 4.61 5.17 4.53 5.33 5.14 / "
    "4.81 4.17 4.41 3.59 5.87 3.83 6.03 4.89 4.32 4.69 / "
    "6.31 5.12 5.54 5.50 5.37 5.29 4.92 6.15 5.80 5.26",
    # Tippett (1950), Technological Applications of Statistics: breaks of yarn by tension
    "warpbreaks": "26 30 54 25 70 52 51 26 67 27 14 29 19 29 31 41 20 44 / "
    "18 21 29 17 12 18 35 30 36 42 26 19 16 39 28 21 39 29 / "
    "36 21 24 18 10 43 28 15 26 20 21 24 17 13 15 15 16 28",
    # Anderson (1935), Bulletin of the American Iris Society 59: lengths of petals by species
    "iris": "1.4 1.4 1.3 1.5 1.4 1.7 1.4 1.5 1.4 1.5 1.5 1.6 1.4 1.1 1.2 1.5 1.3 1.4 1.7 1.5 1.7 "
    "1.5 1.0 1.7 1.9 1.6 1.6 1.5 1.4 1.6 1.6 1.5 1.5 1.4 1.5 1.2 1.3 1.4 1.3 1.5 1.3 1.3 1.3 1.6 "
    "1.9 1.4 1.6 1.4 1.5 1.4 / 4.7 4.5 4.9 4.0 4.6 4.5 4.7 3.3 4.6 3.9 3.5 4.2 4.0 4.7 3.6 4.4 "
    "4.5 4.1 4.5 3.9 4.8 4.0 4.9 4.7 4.3 4.4 4.8 5.0 4.5 3.5 3.8 3.7 3.9 5.1 4.5 4.5 4.7 4.4 4.1 "
    "4.0 4.4 4.6 4.0 3.3 4.2 4.2 4.2 4.3 3.0 4.1 / 6.0 5.1 5.9 5.6 5.8 6.6 4.5 6.3 5.8 6.1 5.1 "
    "5.3 5.5 5.0 5.1 5.3 5.5 6.7 6.9 5.0 5.7 4.9 6.7 4.9 5.7 6.0 4.8 4.9 5.6 5.8 6.1 6.4 5.6 5.1 "
    "5.6 6.1 5.6 5.5 4.8 5.4 5.6 5.1 5.1 5.9 5.7 5.2 5.0 5.2 5.4 5.1",
}


def grid(
    *,
    every: int = 1,
    choices: bool = True,
    settings: Settings | None = None,
    model: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Fit every data set of the grid under its default priors, and under each choice of priors.

    Parameters
    ----------
    every
        Take one in so many of the simulated data sets, in turn.
    choices
        Whether the choices of `partialpool priors` are fitted, too.
    settings
        How to sample.
    model
        Another model of the same rows, as for `partialpool.families.chosen`. Nothing is fitted of
        data that have none, or of more groups than its exact posterior is worked out of.

    Returns
    -------
    DataFrame
        One row a data set: `kind`, `groups`, `size`, `spread` (of the simulated ones), `data`
        (name of the others), `fits` and `choices` (how many), `failed` and `choices_failed` (names
        of those that failed a diagnostic, and which), `largest` (distance of a mean or quantile
        from the exact posterior, in Monte Carlo standard errors), `beyond_4` (numbers further
        off than four), `numbers`, and `seconds`.
    """
    rows = []
    for k, (about, data) in enumerate([*simulated(), *typed()]):
        if "spread" in about and k % every:
            continue
        if model is not None:
            try:
                data = data.modelled(**model)
            except InputError:
                continue
            if not data.family.within_reach(data.stats):
                continue
        row = {**about, **_tried(data, choices=choices, settings=settings or Settings())}
        rows.append(row)
        print(row, flush=True)
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> str:
    """Say in a paragraph what the grid found."""
    failed = table["failed"].str.len().gt(0)
    refits = table["choices_failed"].str.split("; ").map(lambda names: len([*filter(None, names)]))
    numbers, beyond = int(table["numbers"].sum()), int(table["beyond_4"].sum())
    return (
        f"{len(table)} data sets: all models pass every diagnostic on {len(table) - failed.sum()}; "
        f"{int(table['choices'].sum() - refits.sum())} of {int(table['choices'].sum())} choices of "
        f"priors pass. Of {numbers:,} means, sds and quantiles {beyond} lie over 4 Monte Carlo "
        f"standard errors from the exact posterior, the furthest {table['largest'].max():.1f}."
    )


def simulated() -> Iterator[tuple[dict[str, object], GroupedData]]:
    """Data sets of observations, and of estimates with known standard errors."""
    for k, (J, size, spread) in enumerate(itertools.product(GROUPS, SIZES, SPREADS)):
        rng = np.random.default_rng([1, k])
        n = np.full(J, size) if isinstance(size, int) else _mixed(J, rng)
        group = np.repeat(np.arange(J), n)
        y = rng.normal(10, 4 * spread, J)[group] + rng.normal(0, 4, n.sum())
        about = {"kind": "observations", "groups": J, "size": str(size), "spread": spread}
        yield about, from_values([f"g{j}" for j in group], y, name="simulated")
    for k, (J, errors, spread) in enumerate(itertools.product(GROUPS, ERRORS, SPREADS)):
        rng = np.random.default_rng([2, k])
        se = np.exp(rng.normal(1, 0.05 if errors == "alike" else 1, J))
        y = rng.normal(10, spread * np.median(se), J) + rng.normal(0, se)
        about = {"kind": "estimates", "groups": J, "size": errors, "spread": spread}
        yield about, from_estimates([f"g{j}" for j in range(J)], y, se, name="simulated")


def typed() -> Iterator[tuple[dict[str, object], GroupedData]]:
    """Data sets of the literature, and the homework in other units."""
    for name, text in TYPED.items():
        outcomes = [[float(x) for x in part.split()] for part in re.split(r"\s*/\s*", text)]
        group = np.repeat(np.arange(1, len(outcomes) + 1), [len(part) for part in outcomes])
        y = np.concatenate([np.array(part) for part in outcomes])
        yield {"kind": "observations", "data": name}, from_values(list(map(str, group)), y)
    homework = read_csv(example())
    for unit in UNITS:
        labels = [homework.labels[j] for j in homework.group]
        about = {"kind": "observations", "data": f"homework in units of {1 / unit:g}"}
        yield about, from_values(labels, unit * homework.y)


def _mixed(J: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes from 1 to 100, one of them above 1 so that there is a spread within."""
    n = np.round(np.exp(rng.uniform(0, np.log(100), J))).astype(int)
    n[0] = max(2, n[0])
    return n


def _tried(data: GroupedData, *, choices: bool, settings: Settings) -> dict[str, object]:
    """Fit and judge one data set."""
    start = time.perf_counter()
    priors = priors_for(data)
    loaded = [programs.load(name, family=data.family.name) for name in PROGRAMS]
    fits = fit_or_draw(loaded, data, priors=priors, settings=settings)
    exact = exactness.verify_shipped(fits, data, shrinkage.estimates(fits, data))
    distance = exact["in_mcse"].to_numpy(dtype=float)
    refits: Sequence[Fit] = ()
    if choices:
        refits = list(compare_priors(data, priors=priors, confirm=False).fits.values())
    return {
        "fits": len(fits),
        "failed": _failures(fits),
        "choices": len(refits),
        "choices_failed": _failures(refits),
        "largest": float(np.nanmax(distance)),
        "beyond_4": int((distance > 4).sum()),
        "numbers": int(np.isfinite(distance).sum()),
        "seconds": round(time.perf_counter() - start, 2),
    }


def _failures(fits: Sequence[Fit]) -> str:
    """Name the fits that failed, each with the checks that it failed."""
    found = []
    for fit in fits:
        table = diagnostics.check(fit)
        if not diagnostics.trusted(table):
            bad = table.loc[table["gate"] & ~table["passed"]]
            checks = ", ".join(f"{row.check} {row.value:.3g}" for row in bad.itertuples())
            found.append(f"{fit.title} ({checks})")
    return "; ".join(found)
