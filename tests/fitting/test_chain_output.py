"""Reading what chains wrote: nothing lost, nothing half-read, and what CmdStanPy itself reads."""

from __future__ import annotations

from pathlib import Path

import cmdstanpy
import numpy as np
import pytest

from partialpool import data, programs
from partialpool.fitting.chains import _environment, sample
from partialpool.fitting.inputs import priors_for, stan_data
from partialpool.fitting.output import read_chain
from partialpool.programs import toolchain
from partialpool.settings import Settings

CLOSING = """# 
#  Elapsed Time: 0.012 seconds (Warm-up)
#                3.4e-05 seconds (Sampling)
#                0.012034 seconds (Total)
# 
"""  # noqa: W291
HEAD = """# model = mine_model
#     adapt
#       delta = 0.8 (Default)
lp__,divergent__,theta.1,theta.2,pair:1.2,z.real
"""
ADAPTATION = "# Adaptation terminated\n# Step size = 0.7\n# 1, 2\n"


def _write(path: Path, rows: list[str], *, closing: str = CLOSING) -> Path:
    path.write_text(HEAD + ADAPTATION + "".join(f"{row}\n" for row in rows) + closing)
    return path


def test_every_double_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(17)
    bits = rng.integers(0, 2**64, size=(1000, 6), dtype=np.uint64)
    values = np.where(np.isfinite(bits.view(float)), bits.view(float), 1 / 3)
    values[0] = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]
    rows = [",".join(f"{value:.17g}" for value in row) for row in values]
    output = read_chain(_write(tmp_path / "chain.csv", rows), draws=1000)
    np.testing.assert_array_equal(output.draws, values)
    assert np.signbit(output.draws[0, 3])
    assert output.columns == ("lp__", "divergent__", "theta[1]", "theta[2]", "pair.1[2]", "z[real]")
    assert output.seconds == {"warmup": 0.012, "sampling": 3.4e-05}


def test_doubles_are_read_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(17).normal(size=(1000, 6))
    values[0] = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]
    values.tofile(tmp_path / "chain.doubles")
    csv = _write(tmp_path / "chain.csv", [])
    output = read_chain(csv, draws=1000, doubles=tmp_path / "chain.doubles")
    np.testing.assert_array_equal(output.draws, values)
    assert np.signbit(output.draws[0, 3])
    assert output.seconds == {"warmup": 0.012, "sampling": 3.4e-05}


@pytest.mark.parametrize("size", [0, 47, 8 * 6 * 4 - 1, 8 * 6 * 4 + 8])
def test_doubles_that_are_too_few_or_too_many_are_refused(tmp_path: Path, size: int) -> None:
    csv = _write(tmp_path / "chain.csv", [])
    (tmp_path / "chain.doubles").write_bytes(bytes(size))
    with pytest.raises(ValueError, match="4 draws of 6 columns were asked for"):
        read_chain(csv, draws=4, doubles=tmp_path / "chain.doubles")


def test_doubles_without_the_closing_lines_are_refused(tmp_path: Path) -> None:
    csv = _write(tmp_path / "chain.csv", [], closing="")
    np.ones((4, 6)).tofile(tmp_path / "chain.doubles")
    with pytest.raises(ValueError, match="lines that end it"):
        read_chain(csv, draws=4, doubles=tmp_path / "chain.doubles")


ROW = "-1.5,0,1,2,3,4"


@pytest.mark.parametrize(
    ("rows", "closing", "said"),
    [
        ([ROW] * 3, CLOSING, "3 rows"),
        ([ROW] * 5, CLOSING, "5 rows"),
        ([ROW] * 3 + ["-1.5,0,1"], CLOSING, "21 numbers"),
        ([ROW] * 2 + ["-1.5,0,1,2,3,4,5", "-1.5,0,1,2,3"], CLOSING, "7"),
        ([ROW] * 3 + ["-1.5,0,1,2,3,cut"], CLOSING, "cut"),
        ([ROW] * 4, "", "lines that end it"),
        ([ROW] * 4, "# \n#  Elapsed Time: 0.012 seconds (Warm-up)\n", "lines that end it"),
        ([], "", "0 rows"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    tmp_path: Path, rows: list[str], closing: str, said: str
) -> None:
    path = _write(tmp_path / "chain.csv", rows, closing=closing)
    with pytest.raises(ValueError, match=said):
        read_chain(path, draws=4)


def test_a_file_cut_at_any_place_is_refused(tmp_path: Path) -> None:
    whole = _write(tmp_path / "chain.csv", [ROW] * 4).read_text()
    end = whole.index("(Sampling)")
    for cut in range(0, end, 7):
        (tmp_path / "cut.csv").write_text(whole[:cut])
        with pytest.raises(ValueError, match=r"rows|lines that end it|no line with the names"):
            read_chain(tmp_path / "cut.csv", draws=4)


@pytest.mark.parametrize("as_doubles", [False, True])
def test_the_draws_are_those_of_cmdstanpy(
    as_doubles: bool, homework: data.GroupedData, cmdstan: toolchain.CmdStan
) -> None:
    if as_doubles and not cmdstan.has_draws_file:
        pytest.skip("this CmdStan writes no doubles")
    program = programs.load("hierarchical_marginal")
    executable = toolchain.compile_program(program.path, cmdstan=cmdstan)
    inputs = stan_data(program, homework, priors_for(homework))
    starts = [{"tau": 1.0 + chain, "sigma": 4.0} for chain in range(2)]
    settings = Settings(chains=2, warmup=50, draws=60, adapt_delta=0.85, max_treedepth=3, seed=9)
    ours = sample(
        executable, inputs, settings, title="marginal", starts=starts, as_doubles=as_doubles
    )
    theirs = cmdstanpy.CmdStanModel(exe_file=str(executable)).sample(
        data=inputs,
        chains=2,
        iter_warmup=50,
        iter_sampling=60,
        adapt_delta=0.85,
        max_treedepth=3,
        seed=9,
        inits=starts,
        sig_figs=17,
        show_progress=False,
    )
    assert ours.columns == theirs.column_names
    np.testing.assert_array_equal(ours.values, theirs.draws().transpose(1, 0, 2))
    assert [set(seconds) for seconds in ours.seconds] == [{"warmup", "sampling"}] * 2


def test_chains_add_to_what_the_user_tunes_and_take_nothing_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = "glibc.malloc.tcache_count=1000"
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert _environment()["GLIBC_TUNABLES"] == ours
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    monkeypatch.setenv("OTHER", "kept")
    found = _environment()
    assert found["GLIBC_TUNABLES"].split(":") == ["glibc.malloc.check=0", ours]
    assert (found["OTHER"], found["STAN_NUM_THREADS"]) == ("kept", "1")
