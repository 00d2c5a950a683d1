"""May a fit be trusted? A table of checks, and the verdict.

The limits are the published ones: rank-normalised split R-hat at most 1.01 and bulk and tail ESS
of at least 100 a chain (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, *Bayesian Analysis*
16, 667-718), no divergences (Betancourt 2017, arXiv:1701.02434), E-BFMI of at least 0.3 in each
chain (Betancourt 2016, arXiv:1604.00695; 0.3 as in CmdStan's `diagnose`). Saturated tree depth
costs efficiency, not validity, and does not fail a fit. A check that cannot be computed has failed.
What a program holds constant by construction, like the diagonal of a correlation matrix, is no draw
and is set aside; a parameter that never moves is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray

from partialpool.fitting.fit import Fit
from partialpool.fitting.summarize import convergence
from partialpool.fitting.tree import scalar_names

R_HAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
E_BFMI_LIMIT = 0.3
_ROUNDING = 1e-14
_CHECKED: WeakKeyDictionary[Fit, pd.DataFrame] = WeakKeyDictionary()


def check(fit: Fit) -> pd.DataFrame:
    """Run every check on a fit, finiteness first; what was found is kept as long as the fit.

    Returns
    -------
    DataFrame
        One row a check: `check` (name), `value` (the worst value found), `threshold` (as text),
        `passed`, `gate` (whether failing it makes the fit untrustworthy), `meaning` (count, share
        and what that says) and `remedy` (empty where the check passed).
    """
    if fit not in _CHECKED:
        _CHECKED[fit] = _check(fit)
    return _CHECKED[fit].copy()


def _check(fit: Fit) -> pd.DataFrame:
    names, draws, constants = _matrix(fit)
    rows = [_finite(names, draws, constants)]
    if names:
        found, chains = convergence(draws, independent=fit.record.independent), draws.shape[1]
        rows.append(_r_hat(names, found["r_hat"], chains))
        rows.extend(_ess(names, found[f"ess_{kind}"], kind, chains) for kind in ("bulk", "tail"))
    if lost := fit.record.lost_chains:
        rows.append(_lost_chains(lost, fit.posterior.sizes["chain"]))
    stats = fit.sample_stats
    if "diverging" in stats:
        rows.append(_divergences(np.asarray(stats["diverging"])))
    if "energy" in stats:
        rows.append(_e_bfmi(np.asarray(stats["energy"])))
    if "tree_depth" in stats:
        rows.append(_tree_depth(np.asarray(stats["tree_depth"]), fit.settings.max_treedepth))
    return pd.DataFrame(rows)


def trusted(table: pd.DataFrame) -> bool:
    """Whether every check that counts was passed."""
    return bool(table.loc[table["gate"], "passed"].all())


def verdicts(fits: Sequence[Fit]) -> dict[str, bool]:
    """Whether each fit may be trusted, by its name."""
    return {fit.name: trusted(check(fit)) for fit in fits}


def summary_line(fit: Fit, table: pd.DataFrame) -> str:
    """One sentence on the fit: passed, or what failed."""
    failed = table.loc[~table["passed"]]
    if failed.empty:
        return f"{fit.title}: all {len(table)} diagnostics passed"
    words = "; ".join(f"{row.check} ({row.meaning})" for row in failed.itertuples())
    verdict = "passed, with a remark on" if trusted(table) else "NOT TO BE TRUSTED:"
    return f"{fit.title}: {verdict} {words}"


def _matrix(fit: Fit) -> tuple[list[str], NDArray[np.float64], int]:
    """Flatten the posterior to scalar quantities, constants of the program left out.

    Returns
    -------
    names, draws, constants
        Names, draws of shape (quantity, chain, draw), and how many constants were left out.
    """
    names: list[str] = []
    blocks: list[NDArray[np.float64]] = []
    constants = 0
    for name, array in fit.posterior.data_vars.items():
        values = np.asarray(array.transpose(..., "chain", "draw"), dtype=np.float64)
        block = values.reshape(-1, *values.shape[-2:])
        kept = ~_constant(fit, str(name), block)
        constants += int((~kept).sum())
        names += [each for each, keep in zip(scalar_names(array), kept, strict=True) if keep]
        blocks.append(block[kept])
    return names, np.concatenate(blocks), constants


def _constant(fit: Fit, name: str, block: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which elements of a variable a program holds constant, shape (quantity,).

    These are elements that have one value in all chains, but for rounding, of a variable that is
    computed or of a matrix (parts of which Stan's constraints may fix); and integers that do not
    change in some chain, as indicators of rare events do not.
    """
    if name in fit.record.integers:
        return np.asarray((block == block[:, :, :1]).all(axis=2).any(axis=1))
    sampled = fit.record.parameters
    computed = sampled is not None and name not in sampled
    if not computed and fit.posterior[name].ndim < 4:
        return np.zeros(len(block), dtype=bool)
    first = block[:, :1, :1]
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(block - first) <= _ROUNDING * np.abs(first)).all(axis=(1, 2)))


def _row(
    name: str,
    value: float,
    threshold: str,
    passed: bool,
    meaning: str,
    remedy: str,
    *,
    gate: bool = True,
) -> dict[str, Any]:
    return {
        "check": name,
        "value": value,
        "threshold": threshold,
        "passed": passed,
        "gate": gate,
        "meaning": meaning,
        "remedy": "" if passed else remedy,
    }


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({100 if count == total else f'{100 * count / total:.2g}'} %)"


def _finite(names: list[str], draws: NDArray[np.float64], constants: int) -> dict[str, Any]:
    aside = f", {constants} constants of the program set aside" if constants else ""
    if not names:
        meaning = f"there is no quantity that could vary{aside}"
        remedy = "declare a parameter or a generated quantity to draw"
        return _row("finite draws", 0, "0", False, meaning, remedy)
    bad = ~np.isfinite(draws).all(axis=(1, 2))
    first = draws[:, :, :1]
    stuck = (draws == first).all(axis=2).any(axis=1) & ~bad
    wrong = [names[k] for k in np.flatnonzero(bad | stuck)]
    if not wrong:
        return _row(
            "finite draws",
            0,
            "0",
            True,
            f"all {len(names)} quantities finite and moving{aside}",
            "",
        )
    kind = "NaN or infinite draws" if bad.any() else "a chain that never moves"
    return _row(
        "finite draws",
        len(wrong),
        "0",
        False,
        f"{_share(len(wrong), len(names))} quantities have {kind}, first {wrong[0]}",
        "look for overflow, a division by zero or a quantity that is a constant in the program",
    )


def _r_hat(names: list[str], values: NDArray[np.float64], chains: int) -> dict[str, Any]:
    over = ~(values <= R_HAT_LIMIT)
    if chains == 1:
        return _row(
            "R-hat",
            np.nan,
            f"<= {R_HAT_LIMIT}",
            False,
            "cannot be computed: one chain has no other to be compared with",
            "run at least two chains (--chains 4)",
        )
    worst = int(np.argmax(np.where(np.isnan(values), np.inf, values)))
    return _row(
        "R-hat",
        values[worst],
        f"<= {R_HAT_LIMIT}",
        not over.any(),
        f"worst {names[worst]}; {_share(int(over.sum()), len(values))} quantities beyond the limit",
        "the chains disagree: more --warmup and --draws, or another parameterization",
    )


def _ess(names: list[str], values: NDArray[np.float64], kind: str, chains: int) -> dict[str, Any]:
    limit = ESS_PER_CHAIN * chains
    under = ~(values >= limit)
    worst = int(np.argmin(np.where(np.isnan(values), -np.inf, values)))
    return _row(
        f"{kind} ESS",
        values[worst],
        f">= {limit}",
        not under.any(),
        f"worst {names[worst]}; {_share(int(under.sum()), len(values))} quantities below the limit",
        "too few independent draws: more --draws, or another parameterization",
    )


def _lost_chains(lost: Mapping[str, str], kept: int) -> dict[str, Any]:
    numbers = "chain " + ", ".join(lost)
    return _row(
        "failed chains",
        len(lost),
        "0",
        False,
        f"{_share(len(lost), len(lost) + kept)} chains failed ({numbers}): what stopped them "
        "may lie in a part of the posterior that the others have not visited",
        "read what the failed chains said, in the manifest, and mend that",
    )


def _divergences(diverging: NDArray[np.bool_]) -> dict[str, Any]:
    count = int(diverging.sum())
    return _row(
        "divergences",
        count,
        "0",
        count == 0,
        f"{_share(count, diverging.size)} transitions diverged: "
        + ("none" if count == 0 else "part of the posterior may be missing from the draws"),
        "raise --adapt-delta (towards 0.99), or try another parameterization",
    )


def _e_bfmi(energy: NDArray[np.float64]) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        values = np.atleast_1d(np.asarray(array_stats.bfmi(energy), dtype=np.float64))
    under = ~(values >= E_BFMI_LIMIT)
    each = ", ".join(f"{value:.2f}" for value in values)
    return _row(
        "E-BFMI",
        float(np.min(np.where(np.isnan(values), -np.inf, values))),
        f">= {E_BFMI_LIMIT}",
        not under.any(),
        f"by chain {each}; {_share(int(under.sum()), len(values))} chains below the limit",
        "the sampler moves slowly through the energies: try another parameterization",
    )


def _tree_depth(depth: NDArray[np.int64], limit: int) -> dict[str, Any]:
    count = int((depth >= limit).sum())
    return _row(
        "tree depth",
        int(depth.max()),
        f"< {limit}",
        count == 0,
        f"{_share(count, depth.size)} transitions at the limit: a matter of efficiency only",
        f"raise --max-treedepth above {limit}",
        gate=False,
    )
