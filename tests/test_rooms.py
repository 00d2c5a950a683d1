"""Imports run one way between the rooms of the package, from the ground up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "partialpool"
FLOORS = (
    *("types", "errors", "files", "progress", "settings", "text"),
    *("priors", "families", "data", "programs", "fitting", "tables", "studies"),
    *("plots", "report", "api", "cli", "__main__"),
)
"""The rooms from the ground up: each imports only from those before it."""
FACE = "__init__"


def room_of(module: str) -> str:
    """First part of a module's name below the package."""
    return module.split(".")[1] if "." in module else FACE


def imported(path: Path) -> set[str]:
    """Rooms that a file imports from, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "partialpool":
            names = [f"partialpool.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written from the package's name"
            names = [node.module or ""]
        else:
            continue
        found |= {room_of(name) for name in names if name.split(".")[0] == "partialpool"}
    return found


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"] + [
        path for path in sorted(PACKAGE.rglob("__init__.py")) if path.parent != PACKAGE
    ]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_those_below_it(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    height = FLOORS.index(own)
    for room in imported(path) - {own, FACE}:
        assert FLOORS.index(room) < height, f"{own} imports from {room}, which is above it"


def test_every_room_says_what_it_is_for() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(FLOORS)
    assert len(rooms) <= 12
    for room in rooms:
        said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")))
        assert (said or "").split("\n")[0].endswith("."), room
