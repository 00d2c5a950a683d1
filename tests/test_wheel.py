"""The wheel, installed into an environment of its own, does what the clone does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.stan]

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the scripts of an environment that holds the wheel and what it needs."""
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, ROOT, folder=place)
    [wheel] = place.glob("*.whl")
    run(sys.executable, "-m", "venv", place / "venv", folder=place)
    run(place / "venv" / "bin" / "pip", "install", "-q", wheel, folder=place)
    return place / "venv" / "bin"


def test_commands_and_examples_work_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    program = installed / "partialpool"
    assert "homework" in run(program, "report", "--help", folder=tmp_path)
    run(program, "report", "eight_schools", folder=tmp_path)
    assert (tmp_path / "results" / "eight_schools" / "report.html").is_file()
    run(program, "new-program", "hierarchical_centered", "mine.stan", folder=tmp_path)

    assert "theta" in (tmp_path / "mine.stan").read_text("utf-8")


def test_python_works_there_too(installed: Path, tmp_path: Path) -> None:
    said = run(
        installed / "python",
        "-c",
        "import partialpool as pp; print(pp.compare('homework')['5'])",
        folder=tmp_path,
    )
    assert said.startswith("School 5: mean 10.")
