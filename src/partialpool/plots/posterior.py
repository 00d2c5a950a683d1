"""Figures of draws: traces, densities beside their priors, and rank histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotnine as p9
from scipy import special

from partialpool.plots.curves import density
from partialpool.plots.theme import BLUE, CYCLE, GREY, VERMILLION, caption, text, theme

_BINS = 20
_TRACE_POINTS = 1000


def _panels(parameters: list[str], labels: Mapping[str, str] | None) -> dict[str, str]:
    return {p: text((labels or {}).get(p, p), width=30) for p in parameters}


def _thin(draws: pd.DataFrame, *, most: int = _TRACE_POINTS) -> pd.DataFrame:
    step = int(np.ceil((draws["draw"].max() + 1) / most))
    return draws[draws["draw"] % step == 0] if step > 1 else draws


def trace_and_density(
    draws: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    lower: Mapping[str, float] | None = None,
) -> p9.ggplot:
    """Trace and posterior density of each parameter, side by side.

    Parameters
    ----------
    draws
        Columns `parameter`, `chain`, `draw` (from 0), `value`, one draw a row.
    labels
        Parameter to how its panels name it, with the unit.
    lower
        Parameter to the lower bound of its support, where it has one.
    """
    parameters = list(dict.fromkeys(draws["parameter"]))
    names = {
        (p, kind): text(f"{(labels or {}).get(p, p)}: {kind}", width=26)
        for p in parameters
        for kind in ("trace", "density")
    }

    def panel(frame: pd.DataFrame, parameter: str, kind: str) -> pd.DataFrame:
        shown = [names[parameter, kind]] * len(frame)
        return frame.assign(panel=pd.Categorical(shown, list(dict.fromkeys(names.values()))))

    by = dict(list(draws.groupby("parameter", sort=False)))
    traces = pd.concat([panel(_thin(by[p]), p, "trace") for p in parameters])
    curves = pd.concat(
        [
            panel(
                density(by[p]["value"].to_numpy(), lower=(lower or {}).get(p, -np.inf)),
                p,
                "density",
            )
            for p in parameters
        ]
    )
    return (
        p9.ggplot()
        + p9.geom_line(
            p9.aes("draw", "value", color="factor(chain)"), data=traces, size=0.35, alpha=0.8
        )
        + p9.geom_ribbon(
            p9.aes("value", ymin=0, ymax="density"), data=curves, fill=BLUE, alpha=0.25
        )
        + p9.geom_line(p9.aes("value", "density"), data=curves, color=BLUE, size=0.8)
        + p9.facet_wrap("panel", ncol=2, scales="free")
        + _chain_colors(traces)
        + p9.labs(
            x="",
            y="",
            caption=caption("Trace: value by iteration after warmup, one colour a chain."),
        )
        + theme(height=2.0 * len(parameters) + 0.7)
        + p9.theme(legend_position="none")
    )


def _chain_colors(draws: pd.DataFrame) -> p9.scale_color_manual:
    chains = sorted(draws["chain"].unique())
    palette = (BLUE, VERMILLION, *CYCLE[3:])
    return p9.scale_color_manual([palette[k % len(palette)] for k in range(len(chains))])


def traces(draws: pd.DataFrame, *, labels: Mapping[str, str] | None = None) -> p9.ggplot:
    """Trace of each parameter, one colour a chain.

    Parameters
    ----------
    draws
        Columns `parameter`, `chain`, `draw` (from 0), `value`, one draw a row.
    labels
        Parameter to how its panel names it, with the unit.
    """
    parameters = list(dict.fromkeys(draws["parameter"]))
    names = _panels(parameters, labels)
    frame = _thin(draws)
    panel = pd.Categorical(frame["parameter"].map(names), list(dict.fromkeys(names.values())))
    return (
        p9.ggplot(frame.assign(panel=panel), p9.aes("draw", "value", color="factor(chain)"))
        + p9.geom_line(size=0.3, alpha=0.75)
        + p9.facet_wrap("panel", ncol=2, scales="free_y")
        + _chain_colors(frame)
        + p9.labs(x="Iteration after warmup", y="Value", caption="One colour a chain.")
        + theme(height=1.5 * ((len(parameters) + 1) // 2) + 0.9)
        + p9.theme(legend_position="none")
    )


def rank_plot(draws: pd.DataFrame, *, labels: Mapping[str, str] | None = None) -> p9.ggplot:
    """Rank histograms of each chain against the range expected of chains that mix.

    Draws of all chains are ranked together; with chains that explore the same distribution the
    ranks of each one are uniform (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, *Bayesian
    Analysis* 16, sec. 5). The band holds 95 % of the counts of a bin for independent draws.

    Parameters
    ----------
    draws
        Columns `parameter`, `chain`, `draw`, `value`, one draw a row.
    labels
        Parameter to how its panel names it.
    """
    parameters = list(dict.fromkeys(draws["parameter"]))
    names = _panels(parameters, labels)
    rows = []
    for parameter, frame in draws.groupby("parameter", sort=False):
        rank = frame["value"].rank().to_numpy() - 0.5
        place = np.minimum((rank * _BINS / len(frame)).astype(int), _BINS - 1)
        for chain, bins in pd.Series(place, index=frame["chain"].to_numpy()).groupby(level=0):
            counts = np.bincount(bins, minlength=_BINS)
            rows += [(names[str(parameter)], chain, k, c) for k, c in enumerate(counts)]
            rows.append((names[str(parameter)], chain, _BINS, counts[-1]))
    frame = pd.DataFrame(rows, columns=["panel", "chain", "bin", "count"])
    frame["panel"] = pd.Categorical(frame["panel"], list(dict.fromkeys(names.values())))
    frame["share"] = frame["bin"] / _BINS
    each = len(draws) / len(parameters) / draws["chain"].nunique()
    low, high = (math.ceil(special.bdtrik(p, round(each), 1 / _BINS)) for p in (0.025, 0.975))
    return (
        p9.ggplot(frame, p9.aes("share", "count", color="factor(chain)"))
        + p9.annotate("rect", xmin=0, xmax=1, ymin=low, ymax=high, fill="#DDDDDD", alpha=0.7)
        + p9.geom_hline(yintercept=each / _BINS, color=GREY, linetype="dashed", size=0.4)
        + p9.geom_step(size=0.6)
        + p9.facet_wrap("panel", ncol=2)
        + p9.scale_y_continuous(limits=(0, None))
        + _chain_colors(frame)
        + p9.labs(
            x="Rank among the draws of all chains, as a share",
            y="Draws",
            caption=caption(
                "One line a chain; dashed: what equal chains give on average; band: 95 % of the "
                "bins of independent draws."
            ),
        )
        + theme(height=1.5 * ((len(parameters) + 1) // 2) + 1.0)
        + p9.theme(legend_position="none")
    )


def prior_and_posterior(
    posterior: pd.DataFrame,
    prior: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
) -> p9.ggplot:
    """Posterior density of each parameter with its prior density over it.

    Parameters
    ----------
    posterior, prior
        Columns `parameter`, `value`, `density`; a parameter without rows in `prior` is drawn
        without a prior.
    labels
        Parameter to how its panel names it, with the unit.
    """
    parameters = list(dict.fromkeys(posterior["parameter"]))
    names = _panels(parameters, labels)
    order = list(dict.fromkeys(names.values()))

    def prepared(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
        return frame.assign(panel=pd.Categorical(frame["parameter"].map(names), order), kind=kind)

    both = [prepared(posterior, "posterior"), prepared(prior, "prior")]
    return (
        p9.ggplot(mapping=p9.aes("value", "density", color="kind", linetype="kind"))
        + p9.geom_ribbon(
            p9.aes("value", ymin=0, ymax="density"),
            data=both[0],
            fill=BLUE,
            alpha=0.2,
            inherit_aes=False,
        )
        + [p9.geom_line(data=frame, size=0.9) for frame in both if len(frame)]
        + p9.facet_wrap("panel", ncol=2, scales="free")
        + p9.scale_color_manual({"posterior": BLUE, "prior": VERMILLION})
        + p9.scale_linetype_manual({"posterior": "solid", "prior": "dashed"})
        + p9.labs(x="Value", y="Density")
        + theme(height=2.0 * ((len(parameters) + 1) // 2) + 1.0)
    )
