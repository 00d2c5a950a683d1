"""One rule for all commands: 4 where a fit is missing, 5 where one is not to be relied on, or 0."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import typer

from helpers.hand_made import diverging, make_fit
from partialpool.cli import console
from partialpool.errors import SamplingError

CLI = Path(console.__file__).parent
TINY = ("--draws", "20", "--warmup", "20", "--chains", "2")


@pytest.mark.parametrize(
    ("complete", "trusted", "code"),
    [
        (True, True, 0),
        (True, False, console.UNTRUSTED),
        (False, True, SamplingError.exit_code),
        (False, False, SamplingError.exit_code),
    ],
)
def test_the_rule(complete, trusted, code):
    if code == 0:
        console.end(complete=complete, trusted=trusted)
        return
    with pytest.raises(typer.Exit) as ended:
        console.end(complete=complete, trusted=trusted)
    assert ended.value.exit_code == code


@pytest.mark.parametrize("place", [0, 1])
def test_a_fit_that_fails_counts_among_others_of_its_name(homework, place, capsys):
    """All choices of priors are fits of one program."""
    fits = [make_fit(homework, "hierarchical_noncentered", draws=250) for _ in range(2)]
    console.finish(Path("results"), fits)
    fits[place] = diverging(fits[place])
    with pytest.raises(typer.Exit) as ended:
        console.finish(Path("results"), fits)
    assert ended.value.exit_code == console.UNTRUSTED
    assert "a fit failed its diagnostics" in capsys.readouterr().err


def test_no_command_has_a_rule_of_its_own():
    """Beside the rule there are the codes of an interrupt and of the doctor."""
    found = [
        (path.name, ast.unparse(node.args[0]))
        for path in CLI.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Exit"
    ]
    assert sorted(found) == [
        ("app.py", "3 if failed else 0"),
        ("console.py", "SamplingError.exit_code"),
        ("console.py", "UNTRUSTED"),
        ("many.py", "130"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "homework"),
        ("compare", "homework", "-p", "hierarchical_noncentered"),
        ("priors", "homework", "--choice", "half_cauchy"),
        ("prior-predictive", "homework", "-p", "hierarchical_noncentered"),
        ("verify", "homework", "-p", "hierarchical_noncentered", "--no-alternatives"),
        ("groups", "homework", "--no-ranks"),
        ("fit-many", "homework", "--workers", "1"),
        ("parameterizations", "homework"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_too_few_draws_end_every_command_with_the_same_code(arguments, run, cmdstan):
    code, _, err = run(*arguments, *TINY)
    assert code == console.UNTRUSTED, err


def test_many_fits_ask_for_dask_before_any_fit(run, tmp_path, monkeypatch, cmdstan):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, out, err = run("fit-many", "homework", *TINY)
    assert (code, "pip install 'dask[dataframe]' distributed" in err) == (2, True)
    assert "fits of" not in out
    assert not (tmp_path / "results").exists()
