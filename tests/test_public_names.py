"""The names of the package's front door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import partialpool


@pytest.mark.parametrize("name", partialpool.__all__)
def test_every_public_name_is_found_where_it_is_defined(name: str) -> None:
    assert getattr(partialpool, name).__doc__


def test_the_stub_lists_what_it_imports() -> None:
    tree = ast.parse(Path(partialpool.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == set(partialpool.__all__)


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="attribute pool"):
        partialpool.pool  # noqa: B018
