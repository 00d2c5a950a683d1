"""The command line under the sanitizers of addresses, leaks and undefined behaviour.

Apart from other tests because everything is built once more for it, which takes minutes. By hand:
`make CXXFLAGS=-fsanitize=address,undefined PATH/MODEL` in the CmdStan folder, and run MODEL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from test_command_line import CASES, INPUTS, REFERENCE, Case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from partialpool.programs.toolchain import CmdStan

pytestmark = [pytest.mark.stan, pytest.mark.slow]

# RapidJSON, which Stan carries, adds one to a null pointer before its first allocation.
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize=pointer-overflow"
FLAGS = ["O=1", f"CXXFLAGS=-g1 {SANITIZERS} -fno-sanitize-recover=undefined"]
DATA = "data file=group_means.data.json"
SHORT = f"{DATA} sample num_samples=20 num_warmup=60"
STATIC = f"{SHORT} algorithm=hmc engine=static int_time=1"
PATHS = f"{DATA} pathfinder num_paths=2 num_draws=30 num_psis_draws=20"
OTHERS = [
    ("static_unit", 0, f"{STATIC} metric=unit_e"),
    ("static_dense", 0, f"{STATIC} metric=dense_e"),
    ("two_dense", 0, f"{SHORT} num_chains=2 algorithm=hmc metric=dense_e adapt save_metric=1"),
    ("metrics", 1, f"{SHORT} num_chains=3 algorithm=hmc metric_file=metric.json,metric.json"),
    ("no_resampling", 0, f"{PATHS} psis_resample=0 save_single_paths=1"),
    ("single_paths", 0, f"{PATHS} save_single_paths=1"),
    ("meanfield", 0, f"{DATA} variational output_samples=20 iter=200"),
    ("fullrank", 0, f"{DATA} variational algorithm=fullrank output_samples=20 iter=200"),
    ("mode_in_json", 0, f"{DATA} laplace mode=init.json draws=20"),
    ("no_params_r", 1, f"{DATA} log_prob unconstrained_params=init.json"),
    ("diagnose", 0, f"{DATA} diagnose test=gradient"),
    ("listed_files", 0, f"{SHORT} num_chains=2 output file=a.csv,b.csv save_cmdstan_config=1"),
    ("too_few_files", 1, f"{SHORT} num_chains=3 output file=a.csv,b.csv"),
    ("same_file", 1, f"{SHORT} output file=metric.json diagnostic_file=./metric.json"),
    ("no_method", 1, DATA),
    ("help_below", 0, "sample adapt help"),
    ("info", 0, "info"),
]
# Stan 2.39 reads past the end of the resampled indices when it writes the single paths' draws.
FAULTS_OF_STAN = {"single_paths"}
CALLS = [*CASES, *(Case(name, "group_means", code, words) for name, code, words in OTHERS)]


@pytest.fixture(scope="module")
def programs(cmdstan: CmdStan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with both reference programs, made with sanitizers."""
    folder = tmp_path_factory.mktemp("sanitized")
    names = sorted({case.program for case in CASES})
    for name in names:
        shutil.copy(REFERENCE / f"{name}.stan", folder)

    def make(*targets: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-j2", *FLAGS, *targets]
        return subprocess.run(
            command, cwd=cmdstan.path, capture_output=True, text=True, check=False
        )

    (folder / "probe.cpp").write_text("int main() {}\n")
    words = make("-s", "print-COMPILE").stdout.partition(" = ")[2].split()
    probe = subprocess.run([*words, "probe.cpp", "-o", "probe"], cwd=folder, check=False)
    if probe.returncode:
        pytest.skip(f"{words[0]} has no sanitizers (Debian: apt-get install libclang-rt-dev)")
    try:
        made = make(*(str(folder / name) for name in names))
        assert made.returncode == 0, made.stderr
        yield folder
    finally:
        make("clean")


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_no_leak_and_no_undefined_behaviour(
    case: Case, programs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if case.name in FAULTS_OF_STAN:
        request.applymarker(pytest.mark.xfail(strict=True))
    for path in INPUTS:
        shutil.copy(path, tmp_path)
    # The sanitizers exit with a code that differs from the program's own.
    options = {
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
        "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99",
    }
    done = subprocess.run(
        [programs / case.program, *case.arguments.split()],
        cwd=tmp_path,
        env=os.environ | options,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == case.exit_code, done.stderr
    assert "Sanitizer" not in done.stderr
    assert "runtime error" not in done.stderr
