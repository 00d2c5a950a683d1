"""What `--help` shows: commands and options in groups, a whole line each."""

from __future__ import annotations

from importlib import metadata

import pytest

from partialpool.cli import app


def test_commands_are_in_groups_with_a_whole_line_each(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    heads = [line for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    assert heads == ["Options:", "Start:", "Deepen:", "Verify:", "Maintain:"]
    for command in app.registered_commands:
        name = (command.name or command.callback.__name__).replace("_", "-")
        [line] = [line for line in out.splitlines() if line.startswith(f"  {name} ")]
        assert line.endswith(command.short_help)
        assert command.short_help.endswith(".")
        assert len(line) < 80


@pytest.mark.parametrize("command", ["report", "compare", "priors", "groups", "fit-many"])
def test_options_are_in_groups(command: str, run) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    heads = [line for line in out.splitlines() if line.endswith(" options:")]
    assert heads == [f"{name} options:" for name in ("Data", "Model", "Sampling", "Output")]
    for name, option in zip(heads, ("--decimal", "--prior", "--chains", "--output"), strict=True):
        part = out.split(name)[1].split(" options:")[0]
        assert f" {option} " in part


def test_the_version_is_told(run) -> None:
    assert run("--version")[:2] == (0, f"partialpool {metadata.version('partialpool')}\n")
