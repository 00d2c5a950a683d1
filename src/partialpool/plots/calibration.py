"""The figure of simulation-based calibration: ECDFs of ranks inside their envelope, or not."""

from __future__ import annotations

import pandas as pd
import plotnine as p9

from partialpool.plots.marks import SYMBOLS
from partialpool.plots.theme import BLUE, VERMILLION, caption, text, theme

_COLUMNS = 4
_OTHERS = {"log_lik": "log likelihood"}


def calibration_curves(curves: pd.DataFrame, *, title: str = "") -> p9.ggplot:
    """ECDF of the truth's place in its posterior, minus the uniform one, a panel a parameter.

    Parameters
    ----------
    curves
        Columns `parameter`, `group`, `share`, `difference`, `lower`, `upper`, `inside`; the curves
        of a parameter's groups share its panel.
    title
        Name of the program.
    """
    symbols = SYMBOLS | _OTHERS
    order = [symbols.get(name, name) for name in dict.fromkeys(curves["parameter"])]
    frame = curves.assign(
        parameter=pd.Categorical(
            [symbols.get(name, name) for name in curves["parameter"]], list(dict.fromkeys(order))
        ),
        where=curves["inside"].map({True: "inside", False: "outside"}),
    )
    band = frame.drop_duplicates(["parameter", "share"])
    rows = -(-len(order) // _COLUMNS)
    return (
        p9.ggplot(frame, p9.aes("share"))
        + p9.geom_ribbon(
            p9.aes(ymin="lower", ymax="upper"), data=band, fill="#DCE6EE", color="none"
        )
        + p9.geom_hline(yintercept=0, color="#888888", size=0.4)
        + p9.geom_line(p9.aes(y="difference", group="quantity", color="where"), size=0.5)
        + p9.scale_color_manual({"inside": BLUE, "outside": VERMILLION}, guide=None)
        + p9.scale_x_continuous(breaks=(0, 0.5, 1), labels=("0", "0.5", "1"), limits=(0, 1))
        + p9.facet_wrap("parameter", ncol=_COLUMNS)
        + p9.labs(
            title=text(title, width=80),
            x="Share of the posterior below the truth",
            y="ECDF minus uniform",
            caption=caption(
                "A line for each quantity (where there are groups, one for each). Shaded: if the "
                "program is right, all lines of the figure stay inside with probability 0.95."
            ),
        )
        + theme(height=1.55 * rows + 1.3)
        + p9.theme(plot_title=p9.element_text(ha="left", size=11), plot_title_position="plot")
    )
