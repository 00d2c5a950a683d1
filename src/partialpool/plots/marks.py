"""What is known of figures without drawing one: names of parameters, and which groups are shown."""

from __future__ import annotations

from collections.abc import Sequence

MANY = 40
"""Groups that a figure shows one by one; beyond, it shows the extremes or the distribution."""

KEPT = 24
"""Groups that are left, half from each end, where a figure shows the extremes only."""

SYMBOLS = {
    "mu": "μ",
    "tau": "τ",
    "omega": "ω",
    "sigma": "σ",
    "sigma0": "σ₀",
    "nu0": "ν₀",
    "nu": "ν",
    "theta": "θ",
    "eta": "η",
    "tau2": "τ²",
    "sigma2": "σ²",
    "theta_new": "θ new",
    "y_new": "y new",
    "icc": "R",
}
"""Parameters as figures write them; others keep their names."""


def extremes(ordered: Sequence[str]) -> tuple[list[str], int]:
    """Keep the two ends of an ordered sequence of groups.

    Returns
    -------
    kept, dropped
        All groups and 0 where there are at most `MANY`; else the first and last `KEPT` / 2 and
        how many lie between them.
    """
    if len(ordered) <= MANY:
        return list(ordered), 0
    half = KEPT // 2
    return [*ordered[:half], *ordered[-half:]], len(ordered) - 2 * half
