"""The names of the package's front door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import partialpool


@pytest.mark.parametrize("name", partialpool.__all__)
def test_every_public_name_is_found_where_it_is_defined(name: str) -> None:
    assert getattr(partialpool, name).__doc__


def test_what_type_checkers_see_is_what_python_imports() -> None:
    tree = ast.parse(Path(partialpool.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: str(node.module).removeprefix("partialpool.")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == partialpool._HOMES


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pool'"):
        partialpool.pool  # noqa: B018
