"""The command that predicts new rows; `partialpool.cli.app` registers it."""

from __future__ import annotations

from typing import Annotated

import typer

from partialpool.cli.console import finish, headed, show, warn_missing
from partialpool.cli.options import (
    Csv,
    DataOptions,
    Include,
    Retry,
    SamplingOptions,
    load_program,
)
from partialpool.cli.parsing import DATA, expand
from partialpool.cli.places import Place
from partialpool.errors import InputError


@expand
def predict(
    csv: Csv,
    data_options: DataOptions,
    sampling: SamplingOptions,
    place: Place,
    new: Annotated[
        str | None,
        typer.Option(
            "--new",
            metavar="FILE",
            help="New rows: a column of groups, of the same name as in the data, and those of "
            "--by. A label of the data is that group, another one a new group, an empty one any.",
            rich_help_panel=DATA,
        ),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            "--program",
            "-p",
            metavar="NAME|FILE",
            help="Shipped name or .stan file; without, the form that `report` shows.",
        ),
    ] = None,
    include: Include = None,
    retry: Retry = False,
) -> None:
    """Predict an outcome for each row of another file, by partial pooling."""
    if new is None:
        raise InputError("--new FILE names the rows to predict")
    data_options.refuse_per("predict")
    data, priors = data_options.read(csv)
    from partialpool.api.predicting import predict_rows, refuse_counts
    from partialpool.data.new_rows import read_new_rows

    refuse_counts(data)
    labels, covariates = read_new_rows(new, data)
    loaded = load_program(program or data.family.partial_pooling(data.stats), data, include)
    from partialpool.fitting import diagnostics
    from partialpool.report import results
    from partialpool.tables import exponential

    target = place.folder(data, "predict")
    [fit] = sampling.fit([loaded], data, priors, retry=retry)
    with results.kept(target, data, {fit.name: fit}, kind="predict") as (folder, parts):
        table = parts.make(
            "the predictions", lambda: predict_rows(fit, data, labels, covariates=covariates)
        )
        if table is not None:
            results.write_table(table, folder / "predictions.csv")
    if table is not None:
        numbers = [name for name in map(str, table) if name not in _TEXTS]
        shown = table.assign(**{name: table[name].map("{:.4g}".format) for name in numbers})
        what = f"New {data.words.thetas}" if data.family.rows_are_groups else "New observations"
        title = f"{what}, {exponential.axis_title(data)}"
        show(shown, headed(title, diagnostics.verdicts([fit])))
    warn_missing(parts.failed)
    finish(target, [fit])


_TEXTS = ("group", "kind")
