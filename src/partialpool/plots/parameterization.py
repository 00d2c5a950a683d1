"""Figures of parameterizations: the funnel, and effective draws for the work done."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotnine as p9

from partialpool.plots.theme import BLUE, VERMILLION, look, text, theme, titles

_THETA, _ETA = "θ (sampled if centered)", "η (sampled if non-centered)"


def funnel(
    draws: pd.DataFrame,
    *,
    axis_title: str = "value",
    group_title: str = "Group",
    models: Mapping[str, str] | None = None,
) -> p9.ggplot:
    """A group's theta against log tau, and eta against log tau beside it, a row for each form.

    Parameters
    ----------
    draws
        Columns `form`, `group`, `log_tau`, `theta`, `eta`, `diverging`, of one group.
    axis_title, group_title
        The outcome with its unit, and what a group is called.
    models
        Name of each form to its title, in the order to show.
    """
    frame = draws.rename(columns={"form": "model"})
    shown = _forms(titles(frame, models))
    frame = frame.assign(model=pd.Categorical(frame["model"].map(shown), list(shown.values())))
    long = frame.melt(
        id_vars=["model", "log_tau", "diverging"], value_vars=["theta", "eta"], var_name="of"
    )
    long["of"] = pd.Categorical(long["of"].map({"theta": _THETA, "eta": _ETA}), [_THETA, _ETA])
    divergent = long[long["diverging"]]
    group = text(f"{group_title} {draws['group'].iloc[0]}", width=60)
    count = int(frame["diverging"].sum())
    caption = f"{group}; θ: {text(axis_title, width=50)}; η = (θ − μ) / τ.\n" + (
        "Dots: draws; crosses: divergent transitions."
        if count
        else "Dots: draws; no transition diverged."
    )
    return (
        p9.ggplot(long, p9.aes("value", "log_tau"))
        + p9.geom_point(
            data=long[~long["diverging"]], color=BLUE, size=0.7, alpha=0.25, stroke=0, raster=True
        )
        + p9.geom_point(
            data=divergent, color=VERMILLION, shape="x", size=1.5, stroke=0.5, raster=True
        )
        + p9.facet_grid("model", "of", scales="free_x")
        + p9.labs(x="", y="log τ", caption=caption)
        + theme(height=2.1 * len(shown) + 0.9)
    )


def effective_draws(table: pd.DataFrame, *, models: Mapping[str, str] | None = None) -> p9.ggplot:
    """Effective draws of the slowest quantity for the work done, a bar for each form.

    Parameters
    ----------
    table
        Columns `form`, `slowest`, `trusted`, `ess_per_gradient`, `ess_per_second`.
    models
        Name of each form to its title, in the order to show.
    """
    frame = table.rename(columns={"form": "model"})
    shown = _forms(titles(frame, models))
    colors, _ = look(models, shown)
    measures = {
        "ess_per_gradient": "Per thousand gradients",
        "ess_per_second": "Per second of sampling",
    }
    frame = frame.assign(ess_per_gradient=1000 * frame["ess_per_gradient"])
    long = frame.melt(id_vars=["model", "slowest", "trusted"], value_vars=list(measures))
    long = long.assign(
        variable=pd.Categorical(long["variable"].map(measures), list(measures.values())),
        model=pd.Categorical(long["model"].map(shown), list(shown.values())[::-1]),
        label=[
            f"  {float(f'{value:.3g}'):.7g} ({text(slowest)})"
            + ("" if trusted else ", not to be trusted")
            for value, slowest, trusted in zip(
                long["value"], long["slowest"], long["trusted"], strict=True
            )
        ],
    )
    return (
        p9.ggplot(long, p9.aes("model", "value", fill="model"))
        + p9.geom_col(width=0.62)
        + p9.geom_text(p9.aes(label="label"), ha="left", size=8)
        + p9.facet_wrap("variable", scales="free_x", ncol=1)
        + p9.scale_fill_manual(dict(zip(shown.values(), colors, strict=True)), guide=None)
        + p9.scale_y_continuous(expand=(0, 0, 0.55, 0), limits=(0, None))
        + p9.coord_flip()
        + p9.labs(
            x="",
            y="Effective draws (the smaller of bulk and tail ESS)",
            caption="Of the quantity with the fewest, named beside the bar.",
        )
        + theme(height=0.6 * len(shown) + 1.9, grid="x")
    )


def _forms(shown: Mapping[str, str]) -> dict[str, str]:
    """Titles without what comes before the last comma, where that is the same in all of them."""
    parts = [title.rpartition(", ") for title in shown.values()]
    if len({start for start, _, _ in parts}) > 1:
        return dict(shown)
    return {name: end for name, (_, _, end) in zip(shown, parts, strict=True)}
