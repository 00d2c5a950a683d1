"""Command-line options that several commands share, written once as dataclasses."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any


def expand(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace each dataclass parameter of a command by its fields, as options of their own.

    Typer builds a command's options from its signature. A parameter annotated with a dataclass
    becomes one option for each field; the command receives the dataclass built from them.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters
    bundles = {name: hints[name] for name in own if dataclasses.is_dataclass(hints[name])}
    parameters = [
        inspect.Parameter(name, p.kind, default=p.default, annotation=hints[name])
        for name, p in own.items()
        if name not in bundles
    ]
    for bundle in bundles.values():
        field_hints = typing.get_type_hints(bundle, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field_hints[field.name],
            )
            for field in dataclasses.fields(bundle)
        ]

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        built = {
            name: bundle(**{f.name: given.pop(f.name) for f in dataclasses.fields(bundle)})
            for name, bundle in bundles.items()
        }
        return command(**given, **built)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
