"""What the tests share: the homework data, a CmdStan, and real fits of the shipped programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays here are small

import gc

import pytest

from partialpool import cli, data, fitting, programs, toolchain

gc.set_threshold(100_000, 20, 100)  # figures are many small objects: a sixth of their time

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def homework() -> data.GroupedData:
    return data.read_csv(ROOT / "data" / "homework.csv")


@pytest.fixture(scope="session")
def cmdstan() -> toolchain.CmdStan:
    found = toolchain.find_cmdstan()
    os.environ["CMDSTAN"] = str(found.path)
    return found


@pytest.fixture(scope="session")
def lesson_fits(homework: data.GroupedData, cmdstan: toolchain.CmdStan) -> dict[str, fitting.Fit]:
    """Fits of the shipped programs to the homework data with the shipped defaults."""
    fits = fitting.fit_programs(
        [programs.load(name) for name in programs.SHIPPED],
        homework,
        priors=programs.priors_for(homework),
        cmdstan=cmdstan,
    )
    return {fit.name: fit for fit in fits}


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run the command in an empty folder; return exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["partialpool", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return call
