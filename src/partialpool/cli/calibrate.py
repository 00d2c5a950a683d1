"""The command `calibrate`: parse, call the library, print."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from partialpool.cli.console import end, progress, say, show, warn
from partialpool.cli.options import Include, Programs
from partialpool.cli.places import Output, short
from partialpool.errors import InputError
from partialpool.settings import Settings
from partialpool.text import safe


def calibrate(
    program: Programs = None,
    include: Include = None,
    data_sets: Annotated[
        int, typer.Option(min=10, help="Data sets that are simulated for each program.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all simulations.")] = Settings.seed,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Fits at a time; one for each processor if not set.")
    ] = None,
    family: Annotated[
        str,
        typer.Option(
            help="Family of data: normal, known_errors (estimates with errors), "
            "known_errors_covariates (and what explains them), normal_covariates, normal_adjusted, "
            "proportions or rates."
        ),
    ] = "normal",
    cmdstan: Annotated[
        str | None, typer.Option(help="CmdStan to use: a folder, or found, release or assembled.")
    ] = None,
    output: Output = Path("results"),
) -> None:
    """Check by simulation that posteriors cover the truth as often as they say they do.

    Truth and data are simulated again and again from the models of a family, and fitted. All its
    shipped programs are checked, or those named; one of your own is compared with the shipped
    model of its kind. Each outcome is saved: the same command goes on where one was interrupted.
    """
    import pandas as pd

    from partialpool import plots, programs
    from partialpool.families import FAMILIES
    from partialpool.programs import toolchain
    from partialpool.report import results
    from partialpool.studies import calibration

    if family not in FAMILIES:
        raise InputError(f"--family {family}: there is no such family; {', '.join(FAMILIES)} are")
    design = FAMILIES[family].design
    found = toolchain.find_cmdstan(cmdstan, progress=progress)
    names = list(dict.fromkeys(program or calibration.every_program(family)))
    loaded = [
        programs.load(name, family=family, include_paths=include or (), progress=progress)
        for name in names
    ]
    start = time.perf_counter()
    tables, failed = [], []
    made: dict[str, Any] = {
        "partialpool": version("partialpool"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cmdstan": found.version,
        "seed": seed,
        "data_sets": data_sets,
        "design": repr(design),
        "attempts": [dataclasses.asdict(settings) for settings in calibration.ATTEMPTS],
        "programs": {},
    }
    target = output / "-".join(
        filter(
            None,
            ("calibration", family.removeprefix("normal").lstrip("_"), short(program or ())),
        )
    )
    results.check_target(target)
    with results.new_folder(target) as folder:
        for each in loaded:
            outcomes = calibration.calibrate(
                each,
                data_sets=data_sets,
                seed=seed,
                design=design,
                folder=output / "calibration-data-sets",
                workers=workers,
                cmdstan=found,
                progress=progress,
            )
            sentence = calibration.describe(each, outcomes)
            calibrated = calibration.is_calibrated(outcomes)
            (say if calibrated else warn)(sentence)
            if not calibrated:
                failed.append(each.title)
            tables.append(calibration.quantity_table(outcomes).assign(program=each.name))
            shares = calibration.shares_table(outcomes)
            shares.to_csv(folder / f"{safe(each.name)}-shares.csv", index=False)
            if len(shares):
                figure = plots.calibration_curves(calibration.curves(outcomes), title=each.title)
                plots.save(figure, folder / safe(each.name))
            made["programs"][each.name] = {
                "sha256": each.sha256,
                "calibrated": calibrated,
                "sentence": sentence,
                "fits": sum(outcome.attempts for outcome in outcomes),
                "seconds": sum(outcome.seconds for outcome in outcomes),
            }
        table = pd.concat(tables, ignore_index=True)
        table.to_csv(folder / "quantities.csv", index=False)
        (folder / results.MARK).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    show(_readable(table, {each.name: each.title for each in loaded}), "Smallest p-values")
    say(f"Saved in {target} ({(time.perf_counter() - start) / 60:.1f} minutes)")
    end(trusted=not failed)


def _readable(table: Any, titles: dict[str, str]) -> Any:
    """The three smallest p-values of each program, as text."""
    least = table.sort_values("p_value", kind="stable").groupby("program", sort=False).head(3)
    least = least.sort_values("program", key=lambda names: names.map(list(titles).index))
    return least.assign(
        program=least["program"].map(titles),
        mean_share=least["mean_share"].map("{:.3f}".format),
        p_value=least["p_value"].map("{:.2g}".format),
        limit=least["limit"].map("{:.1g}".format),
    )[["program", "quantity", "data_sets", "mean_share", "p_value", "limit"]]
