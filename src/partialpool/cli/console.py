"""What the console command prints, and where: tables, warnings, progress."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from partialpool.errors import SamplingError
from partialpool.progress import for_console

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.data import GroupedData
    from partialpool.fitting import Fit

UNTRUSTED = 5
"""Exit code where what was found must not be relied on; see `end`."""

_PIPE_WIDTH = 110
_HEAD_WIDTH = 17
_ANY_WIDTH = 1000
_SCALARS = ("theta", "mu", "tau", "sigma")
_MOST_ROWS = 100

console = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH
)
progress = for_console(console)


def say(text: str) -> None:
    """Print a line as it is."""
    console.print(text, markup=False)


def say_scale(data: GroupedData) -> None:
    """Say which numbers are exponentials, where some are."""
    if data.exp:
        say(
            "Note: of mu and theta the exponentials are shown (geometric means, sds as factors); "
            "tau is on the scale of the logarithms."
        )


def warn(text: str) -> None:
    """Print a warning on standard error, where a pipe does not hide it."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"WARNING: {text}", style="bold red", markup=False
    )


def warn_missing(failed: Mapping[str, str]) -> None:
    """Name what could not be made of the fits, which are saved all the same."""
    for name, reason in failed.items():
        warn(f"{name} is missing: {reason}")


def finish(target: Path, fits: Sequence[Fit], *, complete: bool = True) -> None:
    """Say where the results are, and end as `end` does, by whether each fit passed.

    Fits may share a name: each is checked by itself.
    """
    from partialpool.fitting import diagnostics

    say(f"Saved in {target}")
    trusted = all(diagnostics.trusted(diagnostics.check(fit)) for fit in fits)
    if not trusted:
        warn("a fit failed its diagnostics (see above): do not rely on these numbers.")
    end(complete=complete, trusted=trusted)


def end(*, complete: bool = True, trusted: bool = True) -> None:
    """End a command with the exit code of its outcome, by one rule for all of them.

    Parameters
    ----------
    complete
        Whether every fit that was asked for is there: if not, the code is that of failed sampling.
    trusted
        Whether the results may be relied on: every fit passed its diagnostics, draws agree with
        what is exact, a program is calibrated, a rerun gave the same. If not, it is `UNTRUSTED`.
    """
    if not complete:
        raise typer.Exit(SamplingError.exit_code)
    if not trusted:
        raise typer.Exit(UNTRUSTED)


def show(frame: pd.DataFrame, title: str) -> None:
    """Print a frame as a table, its ends if it is long: heads may wrap, cells do not."""
    import pandas as pd

    shown = frame.astype(str)
    if len(frame) > _MOST_ROWS:
        gap = pd.DataFrame([["..."] * shown.shape[1]], columns=shown.columns)
        half = _MOST_ROWS // 2
        shown = pd.concat([shown.iloc[:half], gap, shown.iloc[-half:]])
    table = _table(shown, head_width=_ANY_WIDTH)
    if _width(table) > console.width:
        table = _table(shown, head_width=_HEAD_WIDTH)
    console.print(Text(title, style="bold"))
    Console(highlight=False, width=max(console.width, _width(table))).print(table)
    if len(frame) > _MOST_ROWS:
        say(f"  {len(frame) - _MOST_ROWS:,} rows between them are in the files")


def _table(cells: pd.DataFrame, *, head_width: int) -> Table:
    """Lay out text, heads wrapped where they are wider than `head_width` and than the cells."""
    table = Table(box=box.SIMPLE_HEAD)
    for position, column in enumerate(cells.columns):
        widest = int(cells[column].str.len().max()) if len(cells) else 0
        head = textwrap.fill(str(column), max(widest, head_width), break_long_words=False)
        justify: Literal["left", "right"] = "left" if position == 0 else "right"
        table.add_column(Text(head, justify=justify), justify=justify, no_wrap=True)
    for row in cells.itertuples(index=False):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _width(table: Table) -> int:
    return Measurement.get(console, console.options.update(width=_ANY_WIDTH), table).maximum


def headed(title: str, trusted: Mapping[str, bool]) -> str:
    """Put a warning before the title of a table, where it holds numbers of a fit that failed."""
    failed = [name for name, passed in trusted.items() if not passed]
    if not failed:
        return title
    return f"NOT TO BE TRUSTED ({', '.join(failed)}: see the warnings above). {title}"


def readable_estimates(table: pd.DataFrame, *, exp: bool = False) -> pd.DataFrame:
    """Turn estimates into text with the digits that their Monte Carlo errors support.

    Parameters
    ----------
    table
        Columns of `partialpool.tables.shrinkage.estimates`.
    exp
        Whether it holds exponentials of what are locations (`partialpool.tables.exponential`).
    """
    import pandas as pd

    from partialpool.tables.exponential import PARAMETERS
    from partialpool.text import format_estimate

    rows = [
        {
            "quantity": _quantity(row, turned=exp and row.parameter in PARAMETERS),
            "mean (MCSE)": _with_error(row["mean"], row["mcse_mean"], of=row.parameter),
            "sd": _sd(row, turned=exp and row.parameter in PARAMETERS),
            "2.5 %": format_estimate(row["q2.5"], row["mcse_q2.5"], of=row.parameter),
            "50 %": format_estimate(row["median"], row["mcse_median"], of=row.parameter),
            "97.5 %": format_estimate(row["q97.5"], row["mcse_q97.5"], of=row.parameter),
            "R-hat": _known(row.r_hat, ".3f"),
            "bulk ESS": _known(row.ess_bulk, ".0f"),
            "tail ESS": _known(row.ess_tail, ".0f"),
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(rows)


def _quantity(row: Any, *, turned: bool) -> str:
    """Name the quantity of a row, with its group and as an exponential where it is one."""
    name = f"{row.parameter}[{row.group}]" if row.group else str(row.parameter)
    return f"exp({name})" if turned else name


def _sd(row: Any, *, turned: bool) -> str:
    """Write an sd to two digits; one that is a factor as far as its error goes."""
    from partialpool.text import format_estimate, short

    return format_estimate(row["sd"], row["mcse_sd"]) if turned else short(row["sd"])


def _known(value: float, digits: str) -> str:
    return "–" if math.isnan(value) else f"{value:{digits}}"


def readable_shrinkage(table: pd.DataFrame, data: GroupedData, fits: list[Fit]) -> pd.DataFrame:
    """Turn the shrinkage table into text, one column a model."""
    import pandas as pd

    from partialpool.tables.exponential import statistic

    titles = {fit.name: fit.title for fit in fits}
    readable = pd.DataFrame(
        {
            data.group_label: table["group"],
            **{name: [_size(name, value) for value in table[name]] for name in data.stats.sizes},
            data.words.raw: [statistic(data, mean) for mean in table["sample_mean"]],
        }
    )
    for name in [column for column in table.columns if column in titles]:
        pairs = zip(table[name], table[f"{name}_mcse"], strict=True)
        readable[titles[name]] = [_with_error(mean, mcse) for mean, mcse in pairs]
    return readable


def _size(name: str, value: float) -> str:
    """How much is known of a group: a count in full, a standard error to four digits."""
    return f"{value:,.7g}" if name == "n" else f"{value:.4g}"


def _with_error(mean: float, mcse: float, *, of: str = "") -> str:
    from partialpool.text import format_estimate, short

    return f"{format_estimate(mean, mcse, of=of)} ({'–' if math.isnan(mcse) else short(mcse)})"


def readable_groups(
    table: pd.DataFrame, ranks: pd.DataFrame | None, shown: Sequence[str], data: GroupedData
) -> pd.DataFrame:
    """Turn the posterior of chosen groups, and their ranks, into text."""
    import pandas as pd

    from partialpool.report.many_groups import supported
    from partialpool.tables.exponential import statistic
    from partialpool.text import format_estimate, short

    frame = table[table["group"].isin(shown)].set_index("group", drop=False).loc[list(shown)]
    frame = frame.assign(
        **{
            f"digits_{name}": supported(frame, name, exp=data.exp)
            for name in ("mean", "q2.5", "q97.5")
        }
    )
    rows = []
    for _, row in frame.iterrows():
        cells = {
            data.group_label: row["group"],
            **{name: _size(name, row[name]) for name in data.stats.sizes},
            data.words.raw: statistic(data, row["raw_mean"]),
            "mean (MCSE)": f"{format_estimate(row['mean'], row['digits_mean'])} "
            f"({short(row['mcse_mean'])})",
            "sd": _sd(row, turned=data.exp),
        }
        for title, name in (("2.5 %", "q2.5"), ("97.5 %", "q97.5")):
            cells[title] = format_estimate(row[name], row[f"digits_{name}"])
        rows.append(cells)
    readable = pd.DataFrame(rows)
    if ranks is not None:
        readable["rank, 95 %"] = [
            f"{low:,}-{high:,}"
            for low, high in zip(ranks["rank_q2.5"], ranks["rank_q97.5"], strict=True)
        ]
        readable["P(first)"] = [
            format_estimate(p, mcse, of="p_best") if mcse > 0 else ("<0.01" if p < 0.5 else ">0.99")
            for p, mcse in zip(ranks["p_best"], ranks["mcse_p_best"], strict=True)
        ]
    return readable


def readable_fits(table: pd.DataFrame, *, exp: bool = False) -> pd.DataFrame:
    """Turn the estimates of many fits into text: one row a fit, its scalars as columns.

    Parameters
    ----------
    table
        As from `partialpool.studies.many.results_table`.
    exp
        Whether the locations of all fits are exponentials.
    """
    import pandas as pd

    from partialpool.tables.exponential import PARAMETERS

    shown = [name for name in _SCALARS if name in set(table.loc[table["group"] == "", "parameter"])]
    rows = []
    for name, part in table.groupby("fit", sort=False):
        values = part[part["group"] == ""].set_index("parameter")
        row = {"fit": name}
        for parameter in shown:
            known = parameter in values.index
            title = f"exp({parameter})" if exp and parameter in PARAMETERS else parameter
            row[title] = (
                _with_error(values["mean"][parameter], values["mcse_mean"][parameter])
                if known
                else ""
            )
        rows.append({**row, "trusted": "yes" if part["trusted"].all() else "NO"})
    return pd.DataFrame(rows)


_OF_FORMS = {
    "trusted": "passed its diagnostics",
    "divergences": "divergences",
    "divergence_share": "share of the draws",
    "e_bfmi": "E-BFMI by chain",
    "tree_depth_mean": "tree depth, mean",
    "tree_depth_max": "tree depth, largest",
    "tree_depth_saturated": "draws at its limit",
    "leapfrog_steps": "leapfrog steps",
    "leapfrog_per_draw": "leapfrog steps a draw",
    "step_size": "step size",
    "r_hat_max": "largest R-hat",
    "ess_bulk_min": "least bulk ESS",
    "ess_tail_min": "least tail ESS",
    "slowest": "slowest quantity",
    "seconds": "seconds of sampling, chains added up",
    "ess_per_second": "its ESS a second",
    "ess_per_thousand": "its ESS a thousand gradients",
}


def readable_forms(table: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Turn the sampling table of several forms into text, one column a form."""

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "NO"
        if isinstance(value, float):
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
        return str(value)

    table = table.assign(ess_per_thousand=1000 * table["ess_per_gradient"])
    turned = table.set_index("form")[list(_OF_FORMS)].astype(object).T.map(cell)
    readable = turned.rename(index=_OF_FORMS, columns=dict(titles))
    return readable.rename_axis(index="", columns=None).reset_index()


def readable_choices(summary: pd.DataFrame, *, exp: bool = False) -> pd.DataFrame:
    """Turn the summary of prior choices into text: one row a choice, intervals beside the means.

    Parameters
    ----------
    summary
        As in `partialpool.studies.sensitivity.PriorComparison`.
    exp
        Whether its locations are exponentials.
    """
    import pandas as pd

    from partialpool.text import share

    known = summary.dropna(subset="mu")
    titles = {"mu": "exp(mu)" if exp else "mu", "tau": "tau", "icc": "icc (R)"}
    shown = {name: title for name, title in titles.items() if known[name].notna().any()}
    rows = [
        {
            "choice": row["choice"],
            **{title: _with_interval(row, name) for name, title in shown.items()},
            "pooling": share(row["pooling_factor"]),
            "moved most": (
                f"{textwrap.shorten(row['moved'], 30, placeholder='…]')} by "
                f"{row['largest_movement']:+.2f} sd"
                if abs(row["largest_movement"]) > 0
                else ""
            ),
            "ESS": f"{row['ess_min']:.0f}",
            "div.": f"{row['divergences']:.0f}",
            "trusted": "yes" if row["trusted"] else "NO",
        }
        for _, row in known.iterrows()
    ]
    readable = pd.DataFrame(rows)
    return readable.drop(columns="trusted") if known["trusted"].all() else readable


def _with_interval(row: pd.Series[Any], name: str) -> str:
    from partialpool.text import beside, format_estimate, short

    ends = [row[f"{name}_{end}"] for end in ("q2.5", "q97.5")]
    width = ends[1] - ends[0]
    low, high = (short(end) if abs(end) < 100 * width else beside(end, width) for end in ends)
    return f"{format_estimate(row[name], row[f'{name}_mcse'])} [{low}, {high}]"


def readable_groups_by_choice(estimates: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """Turn the group means by choice into text: a row a choice, a column for each group.

    Of more than `most` groups those that move most are shown, in the data's order.
    """
    import pandas as pd

    from partialpool.text import format_estimate

    theta = estimates[estimates["quantity"] == "theta"]
    moved = theta["movement"].abs().groupby(theta["group"]).max().sort_values(ascending=False)
    kept = [group for group in dict.fromkeys(theta["group"]) if group in set(moved.index[:most])]
    rows = []
    for choice, part in theta.groupby("choice", sort=False):
        means = part.set_index("group")
        cells = {g: format_estimate(means.loc[g, "mean"], means.loc[g, "mcse"]) for g in kept}
        rows.append({"choice": choice, **cells})
    return pd.DataFrame(rows)


def readable_power(table: pd.DataFrame, fits: Sequence[Fit]) -> pd.DataFrame:
    """Turn sensitivities into text: the ten quantities of a program that its prior moves most."""
    import pandas as pd

    titles = {fit.name: fit.title for fit in fits}
    kept = table.sort_values("prior", ascending=False).groupby("model", sort=False).head(10)
    rows = [
        {
            "program": titles[row["model"]],
            "quantity": f"{row['quantity']}[{row['group']}]" if row["group"] else row["quantity"],
            "prior": f"{row['prior']:.3f}",
            "likelihood": f"{row['likelihood']:.3f}",
            "refits, prior": _known(row["refit_prior"], ".3f"),
            "diagnosis": row["diagnosis"],
        }
        for _, row in kept.sort_index().iterrows()
    ]
    return pd.DataFrame(rows)


def readable_prior_predictive(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the description of prior observations into text, one row a source."""
    import pandas as pd

    from partialpool.text import beside

    shown = ("q2.5", "q25", "median", "q75", "q97.5")
    heads = ("2.5 %", "25 %", "50 %", "75 %", "97.5 %")
    rows = [
        {
            "program": row["source"],
            **{
                head: beside(row[name], row["q97.5"] - row["q2.5"], least=3)
                for head, name in zip(heads, shown, strict=True)
            },
            "finite": f"{100 * row['finite']:.4g} %",
            "widths of the data": f"{row['ranges']:.3g}",
            "verdict": row["verdict"],
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(rows)
