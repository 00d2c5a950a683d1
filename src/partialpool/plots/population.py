"""Figures of the population that groups come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9
from scipy import special

from partialpool.plots.theme import BLUE, GREY, VERMILLION, caption, text, theme

_NAMED = 3


def group_quantiles(shares: pd.DataFrame, *, of: str = "group") -> p9.ggplot:
    """Where each group lies given all others, in normal sds, against where a sample would lie.

    Parameters
    ----------
    shares
        Columns `group` and `below`, the probability of a smaller estimate of the group given the
        others; uniform where the population fits.
    of
        What a group is called.

    Notes
    -----
    The band holds each order statistic of a normal sample with probability 95 %: the k-th smallest
    of J uniform numbers is Beta(k, J + 1 - k).
    """
    ordered = shares.sort_values("below", kind="stable")
    J = len(ordered)
    k = np.arange(1, J + 1)
    tiny = 1e-12
    frame = pd.DataFrame(
        {
            "group": ordered["group"].to_numpy(),
            "seen": special.ndtri(np.clip(ordered["below"].to_numpy(float), tiny, 1 - tiny)),
            "expected": special.ndtri((k - 0.375) / (J + 0.25)),
            "low": special.ndtri(special.betaincinv(k, J + 1 - k, 0.025)),
            "high": special.ndtri(special.betaincinv(k, J + 1 - k, 0.975)),
        }
    )
    inside = frame["seen"].between(frame["low"], frame["high"])
    frame["where"] = np.where(inside, "inside", "outside")
    frame["group"] = [text(str(label), width=18) for label in frame["group"]]
    far = frame[~inside].assign(off=lambda f: (f["seen"] - f["expected"]).abs())
    named = far.nlargest(_NAMED, "off")
    return (
        p9.ggplot(frame, p9.aes("expected", "seen"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill="#DCE9F2")
        + p9.geom_abline(intercept=0, slope=1, color=GREY, linetype="dashed")
        + p9.geom_point(p9.aes(color="where", shape="where"), size=2.2)
        + p9.geom_text(
            p9.aes(label="group"), data=named, ha="right", nudge_x=-0.08, size=8, color=VERMILLION
        )
        + p9.scale_color_manual({"inside": BLUE, "outside": VERMILLION})
        + p9.scale_shape_manual({"inside": "o", "outside": "X"})
        + p9.labs(
            x="Where a sample from the population would lie (normal quantiles)",
            y=text(f"Where each {of} lies given\nthe others (normal sds)", width=34),
            caption=caption(
                "Band: 95 % of samples, point by point; dashed: a population that fits exactly."
            ),
        )
        + theme(height=3.4)
        + p9.theme(legend_position="none")
    )
