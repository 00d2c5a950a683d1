"""How commands take their options, and how `--help` shows commands and options: in groups."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.models import ParameterInfo

from partialpool.errors import InputError

DATA, MODEL, SAMPLING, OUTPUT = "Data", "Model", "Sampling", "Output"
"""Groups of options, in their order."""

START, DEEPEN, VERIFY, MAINTAIN = "Start", "Deepen", "Verify", "Maintain"
"""Groups of commands, in their order."""


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
                annotation=_in_panel(field_hints[field.name], getattr(bundle, "panel", MODEL)),
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


class Once(TyperCommand):
    """A command that refuses an option of one value that is given twice, where the last would win.

    Raises
    ------
    InputError
        With the option.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Look at the options in their order before they are parsed."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in {id(each): each for each in order}.values():
            harmless = param.multiple if hasattr(param, "multiple") else True
            harmless |= getattr(param, "is_flag", False) and not param.secondary_opts
            if order.count(param) > 1 and not harmless:
                name = "/".join((max(param.opts, key=len), *param.secondary_opts))
                raise InputError(
                    f"{name} is given {order.count(param)} times, and takes one value: leave all "
                    "but one out"
                )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List arguments, then options by group; those of no group belong to the model."""
        records = {
            param: record
            for param in self.get_params(ctx)
            if (record := param.get_help_record(ctx)) is not None
        }
        _sections(
            formatter,
            ("Arguments", *(f"{panel} options" for panel in (DATA, MODEL, SAMPLING, OUTPUT))),
            ((_section(param), record) for param, record in records.items()),
        )


class Grouped(TyperGroup):
    """The list of commands, in groups, a whole line each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List commands by group, with their whole first sentence."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        _sections(
            formatter,
            (START, DEEPEN, VERIFY, MAINTAIN),
            (
                (getattr(each, "rich_help_panel", None) or START, (name, each.short_help or ""))
                for name, each in commands
                if each is not None
            ),
        )


def _in_panel(annotation: Any, panel: str) -> Any:
    """Put the option of a field into a group, if it names none itself."""
    for info in getattr(annotation, "__metadata__", ()):
        if isinstance(info, ParameterInfo) and not info.rich_help_panel:
            info.rich_help_panel = panel
    return annotation


def _section(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    panel = OUTPUT if param.name == "help" else getattr(param, "rich_help_panel", None) or MODEL
    return f"{panel} options"


def _sections(
    formatter: Any, names: Iterable[str], rows: Iterable[tuple[str, tuple[str, str]]]
) -> None:
    """Write lists of names and what they mean under the heads of their sections."""
    rows = list(rows)
    for name in names:
        found = [row for section, row in rows if section == name]
        if found:
            with formatter.section(name):
                formatter.write_dl(found)
