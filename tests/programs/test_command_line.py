"""The command line against runs recorded from CmdStan's own: files, figures, exit codes."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from partialpool.programs.toolchain import CmdStan

pytestmark = pytest.mark.stan

REFERENCE = Path(__file__).parents[1] / "reference"
PROGRAMS = Path(__file__).parents[1] / "programs"
INPUTS = [*REFERENCE.glob("*.json"), *REFERENCE.glob("*.csv")]
DIFFERS_BETWEEN_RUNS = re.compile(r"start_datetime|[Ss]econds|stancflags|seed = \d+ \(Default\)")
# Elsewhere the same arithmetic may round another way and the chains part after some iterations.
SAME_MACHINE = (platform.system(), platform.machine()) == ("Linux", "x86_64")


@dataclass(frozen=True)
class Case:
    name: str
    program: str
    exit_code: int
    arguments: str

    @property
    def files(self) -> list[Path]:
        return sorted((REFERENCE / self.name).glob("*"))


def _read_cases() -> list[Case]:
    cases = []
    for line in (REFERENCE / "cases.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, program, code, arguments = (part.strip() for part in line.split("|"))
            cases.append(Case(name, program, int(code), arguments))
    return cases


CASES = _read_cases()
SUCCESSES = [case for case in CASES if case.files]
FAILURES = [case for case in CASES if case.exit_code != 0]


@pytest.fixture(scope="module")
def programs(cmdstan: CmdStan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the executables of the programs below, made side by side."""
    folder = tmp_path_factory.mktemp("reference")
    names = [*sorted({case.program for case in CASES}), "talkative"]
    for name in names:
        shutil.copy((REFERENCE if name != "talkative" else PROGRAMS) / f"{name}.stan", folder)
    made = subprocess.run(
        ["make", "-j2", *(str(folder / name) for name in names)],
        cwd=cmdstan.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with copies of the inputs, to run in."""
    for path in INPUTS:
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def run(programs: Path, folder: Path):
    def run_it(arguments: str, program: str = "group_means") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [programs / program, *arguments.split()],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_it


def _lasting_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not DIFFERS_BETWEEN_RUNS.search(line)]


def _is_figures(line: str) -> bool:
    return bool(re.match(r"(# )?-?[0-9.]", line))


def _assert_same(found: str, expected: str) -> None:
    found_lines, expected_lines = _lasting_lines(found), _lasting_lines(expected)
    if SAME_MACHINE:
        assert found_lines == expected_lines
        return
    draws = 0
    for got, wanted in zip(found_lines, expected_lines, strict=True):
        if not _is_figures(wanted):
            assert got.split("=")[0] == wanted.split("=")[0]
        elif not wanted.startswith("#") and draws < 5:
            draws += 1
            np.testing.assert_allclose(
                np.fromstring(got, sep=","), np.fromstring(wanted, sep=","), rtol=1e-4, atol=1e-5
            )


def _configuration(csv: str) -> list[str]:
    """The echo of the arguments in the header of a file."""
    lines = [line.removeprefix("# ") for line in csv.splitlines() if line.startswith("#")]
    start = next(i for i, line in enumerate(lines) if line.startswith("method = "))
    end = next(i for i, line in enumerate(lines) if line.startswith("num_threads"))
    return lines[start : end + 1]


@pytest.mark.parametrize("case", SUCCESSES, ids=lambda case: case.name)
def test_files_are_those_that_cmdstan_writes(case: Case, run, folder: Path) -> None:
    before = set(folder.iterdir())
    done = run(case.arguments, case.program)
    assert done.returncode == 0, done.stderr
    for expected in case.files:
        _assert_same((folder / expected.name).read_text(), expected.read_text())
    written = {path.name for path in set(folder.iterdir()) - before}
    assert written == {path.name for path in case.files}


@pytest.mark.parametrize("case", SUCCESSES, ids=lambda case: case.name)
def test_the_console_begins_with_the_configuration(case: Case, run, folder: Path) -> None:
    done = run(case.arguments, case.program)
    csv = next(path for path in case.files if path.name.startswith("out") and path.suffix == ".csv")
    configuration = _configuration((folder / csv.name).read_text())
    assert done.stdout.splitlines()[: len(configuration) + 1] == [*configuration, ""]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.name)
def test_a_bad_call_fails_and_writes_nothing(case: Case, run, folder: Path) -> None:
    before = set(folder.iterdir())
    done = run(case.arguments, case.program)
    assert done.returncode == case.exit_code == 1
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("method=sampel", r"sampel.*method\.\n.*sample, optimize, variational, diagnose, "),
        ("sample num_sample=10", "num_sample=10"),
        ("sample num_samples=-3", r"-3.*num_samples\.\n  Valid values: 0 < num_samples"),
        ("sample num_samples=3.5", r"3\.5.*num_samples"),
        ("sample num_samples=3x", "3x.*num_samples"),
        ("sample num_samples=", "num_samples"),
        ("sample thin=0", "0.*thin"),
        ("sample adapt delta=high", r"high.*delta\.\n.*0\.100000 <= delta <= 1\.000000"),
        ("sample adapt delta=nan", "nan.*delta"),
        ("sample save_warmup=yes", r"yes.*save_warmup\.\n.*\[0, 1, false, true\]"),
        ("random seed=4294967296", "4294967296.*seed"),
        ("output sig_figs=19", "19.*sig_figs"),
        ("sample delta=0.9", r"delta=0\.9.*\n.*\n    method=sample adapt"),
        ("id=1 sample id=2", "id=2"),
        ("sample num_warmup=0", "num_warmup above 0.*engaged=0"),
        ("init=-1 sample", "init=-1"),
        ("init=nowhere.json sample", "nowhere.json"),
        ("sample algorithm=hmc metric_file=nowhere.json", "nowhere.json"),
        (
            "sample num_chains=3 algorithm=hmc metric_file=a.json,b.json",
            "2 files given for 3 chains",
        ),
        ("sample output file=no/such/folder.csv", "no/such/folder.csv"),
        ("id=1", r"no method.*sample, optimize, variational, diagnose, generate_quantities, "),
        ("sample num_threads=2", r"2.*num_threads\.\n.*num_threads == 1 .*STAN_THREADS=true"),
        ("sample num_threads=-1", r"-1.*num_threads"),
        ("sample num_chains=2 output file=a.csv,b.csv,c.csv", "3 files given for 2 chains"),
        ("sample num_chains=2 output file=a.csv,a.csv", r"output file and output file.*a\.csv"),
        ("init=fitted.csv sample", r"fitted\.csv.*\.json.*\.R"),
        ("sample algorithm=hmc metric_file=mode.csv", r"mode\.csv.*\.json.*\.R"),
        ("generate_quantities", "fitted_params"),
        ("generate_quantities fitted_params=mode.csv,mode.csv", "2 files given for 1 chains"),
        ("laplace", "mode=FILE"),
        ("log_prob", "unconstrained_params=FILE"),
        ("log_prob unconstrained_params=init.json", "params_r"),
    ],
)
def test_the_message_names_what_is_wrong(arguments: str, message: str, run) -> None:
    done = run(f"data file=group_means.data.json {arguments}")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert re.search(message, done.stderr, re.DOTALL)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("nowhere.json", "nowhere.json"),
        ("incomplete.json", "variable name=group"),
        ("group_means.stan", r"group_means\.stan.*must end in \.json.*or \.R"),
        ("nowhere", r"nowhere.*must end in \.json.*or \.R"),
        ("out_of_range.json", r"group\[1\] is 4"),
        ("bad.json", "offset 16"),
    ],
)
def test_bad_data_fail_after_the_configuration(file: str, message: str, run) -> None:
    done = run(f"data file={file} method=sample")
    assert done.returncode == 1
    assert re.search(message, done.stderr)
    assert done.stdout.endswith("num_threads = 1 (Default)\n\n")


CONFLICTS = {
    "generate_quantities fitted_params=fitted.csv output file=fitted.csv": "fitted_params",
    "generate_quantities fitted_params=output.csv": "fitted_params",
    "generate_quantities num_chains=2 fitted_params=output_1.csv,fitted.csv": "fitted_params",
    "generate_quantities num_chains=2 fitted_params=output.csv": "fitted_params",
    "laplace mode=output.csv": "mode",
    "laplace mode=init.json output diagnostic_file=init.json": "mode",
    "log_prob constrained_params=init.json output file=init.json": "constrained_params",
    "log_prob unconstrained_params=init.json output file=init.json": "unconstrained_params",
    "sample output file=group_means.data.json": "data file",
    "sample output diagnostic_file=./group_means.data.json": "data file",
    "sample draws_file=sub/../group_means.data.json": "data file",
    "sample output file=link.json": "data file",
    "sample output file=hard.json": "data file",
    "init=init.json sample output file=init.json": "init",
    "init=start.json sample num_chains=2 output file=start.json": "init",
    "init=init.json pathfinder output file=init.json": "init",
    "init=output_path_2.csv pathfinder num_paths=2 save_single_paths=1": "init",
    "init=init.json variational output diagnostic_file=init.json": "init",
    "init=init.json optimize output profile_file=init.json": "init",
    "init=init.json diagnose output file=init.json": "init",
    "init=output_config.json optimize output save_cmdstan_config=1": "init",
    "sample adapt save_metric=1 algorithm=hmc metric_file=output_metric.json": "metric_file",
    "sample algorithm=hmc metric_file=metric.json output file=metric.json": "metric_file",
    "sample output file=same.csv diagnostic_file=same.csv": "output file",
    "sample draws_file=same.csv output file=same.csv": "output file",
}


@pytest.mark.parametrize("arguments", CONFLICTS)
def test_no_output_takes_the_place_of_another_file(arguments: str, run, folder: Path) -> None:
    for name in ("output", "output_1", "output_2"):
        shutil.copy(folder / "fitted.csv", folder / f"{name}.csv")
    for name in ("start_1", "start_2", "output_config"):
        shutil.copy(folder / "init.json", folder / f"{name}.json")
    shutil.copy(folder / "init.json", folder / "output_path_2.csv")
    shutil.copy(folder / "metric.json", folder / "output_metric.json")
    (folder / "sub").mkdir()
    (folder / "link.json").symlink_to("group_means.data.json")
    (folder / "hard.json").hardlink_to(folder / "group_means.data.json")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = run(f"data file=group_means.data.json {arguments}")
    assert done.returncode == 1
    assert re.match(rf"Error: \w+( file)? and {CONFLICTS[arguments]} are the same", done.stderr)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_files_that_only_look_alike_are_no_conflict(run, folder: Path) -> None:
    (folder / "sub").mkdir()
    data = folder / "sub" / "group_means.data.json"
    shutil.copy(folder / "group_means.data.json", data)
    arguments = SHORT.replace("file=", "file=sub/")
    done = run(f"{arguments} output file=group_means.data.json diagnostic_file=/dev/null")
    assert done.returncode == 0, done.stderr
    # A profile is written only for programs with one, and this one has none.
    shutil.copy(folder / "fitted.csv", folder / "profile.csv")
    done = run("data file=sub/group_means.data.json generate_quantities fitted_params=profile.csv")
    assert done.returncode == 0, done.stderr
    done = run(f"{arguments} output file=/dev/null diagnostic_file=/dev/null")
    assert done.returncode == 0, done.stderr


def test_the_profile_of_a_program_does_not_take_the_place_of_its_draws(run, folder: Path) -> None:
    arguments = "random seed=1 sample num_warmup=60 num_samples=40 output"
    done = run(f"{arguments} file=profile.csv", "talkative")
    assert done.returncode == 1
    assert "Error: profile_file and output file are the same" in done.stderr
    assert len(_draws(folder / "profile.csv")) == 40
    assert run(f"{arguments} file=profile.csv profile_file=times.csv", "talkative").returncode == 0
    assert (folder / "times.csv").read_text().startswith("name,thread_id,total_time,")


def test_a_list_names_the_files_of_each_chain(run, folder: Path) -> None:
    one = run(
        f"{SHORT} num_chains=2 draws_file=a.bin,b.bin adapt save_metric=1 output file=a.csv,b.csv "
        "diagnostic_file=c.csv,d.csv save_cmdstan_config=1"
    )
    assert one.returncode == 0, one.stderr
    written = {path.name for path in folder.iterdir()} - {path.name for path in INPUTS}
    assert written == {
        *("a.bin", "b.bin", "a.csv", "b.csv", "c.csv", "d.csv"),
        *("a_metric.json", "b_metric.json", "a_config.json"),
    }
    assert run(f"{SHORT} num_chains=2 output file=a.csv,b.csv").returncode == 0
    assert run(f"{SHORT} num_chains=2 output file=numbered.csv").returncode == 0
    for chain, name in enumerate(("a", "b"), start=1):
        draws = _draws(folder / f"numbered_{chain}.csv")
        np.testing.assert_array_equal(_draws(folder / f"{name}.csv"), draws)
    again = "data file=group_means.data.json generate_quantities num_chains=2"
    lists = "fitted_params=a.csv,b.csv output file=y.csv,z.csv"
    assert run(f"{again} {lists}").returncode == 0
    assert len(_draws(folder / "z.csv")) == 20


def test_commas_in_the_name_of_a_folder_are_no_list(run, folder: Path) -> None:
    (folder / "a,b").mkdir()
    shutil.copy(folder / "init.json", folder / "a,b" / "init.json")
    done = run(f"init=a,b/init.json {SHORT} num_chains=2 output file=a,b/out.csv")
    assert done.returncode == 0, done.stderr
    done = run(f"init=a,b/init.json {SHORT} output file=c,d.csv")
    assert done.returncode == 0, done.stderr
    assert (folder / "c,d.csv").exists()
    assert {path.name for path in (folder / "a,b").glob("*.csv")} == {"out_1.csv", "out_2.csv"}


def test_draws_have_eight_digits_unless_others_are_asked_for(run, folder: Path) -> None:
    digits = {}
    for asked in ("", "sig_figs=-1", "sig_figs=17"):
        assert run(f"{SHORT} output {asked}").returncode == 0
        rows = (folder / "output.csv").read_text().splitlines()
        row = next(line for line in rows if re.match(r"-?[0-9]", line))
        figures = [figure.partition("e")[0] for figure in row.split(",")]
        digits[asked] = max(len(re.sub(r"\D", "", figure).lstrip("0")) for figure in figures)
    assert digits == {"": 8, "sig_figs=-1": 6, "sig_figs=17": 17}


def test_a_full_disk_is_an_error(run) -> None:
    done = run("data file=group_means.data.json sample output file=/dev/full")
    assert done.returncode == 1
    assert re.search(r"/dev/full.*incomplete.*disk full", done.stderr)


def test_draws_as_doubles_are_those_of_the_csv_file(run, folder: Path) -> None:
    assert run(f"{SHORT} num_chains=2 output sig_figs=18 file=text.csv").returncode == 0
    assert run(f"{SHORT} num_chains=2 draws_file=raw.bin output file=rest.csv").returncode == 0
    for chain in (1, 2):
        expected = _draws(folder / f"text_{chain}.csv")
        found = np.fromfile(folder / f"raw_{chain}.bin").reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)
        rest = (folder / f"rest_{chain}.csv").read_text()
        assert "# " + "    draws_file = raw.bin\n" in rest
        assert not _draws(folder / f"rest_{chain}.csv").size
        assert rest.count("\n") == (folder / f"text_{chain}.csv").read_text().count("\n") + 1 - 20


def test_a_full_disk_below_doubles_is_an_error(run) -> None:
    done = run(f"{SHORT} draws_file=/dev/full")
    assert done.returncode == 1
    assert re.search(r"/dev/full.*incomplete.*disk full", done.stderr)


def test_help_states_names_valid_values_and_defaults_as_recorded(run) -> None:
    done = run("sample help-all")
    assert done.returncode == 0
    explained = done.stdout.partition("Usage:")[0].splitlines()
    stated = re.compile(r"\s*(Valid|Defaults)")
    facts = [
        line.rstrip()
        for previous, line in zip(["", *explained], explained, strict=False)
        if line and (not previous or stated.match(line))
    ]
    ours = ["  draws_file=<string>", "    Valid values: All", "    Defaults to"]
    assert facts[-3:] == ours
    facts[1] = facts[1].removesuffix(", draws_file")
    assert facts[:-3] == (REFERENCE / "help_all_sample.txt").read_text().splitlines()


def test_help_is_at_every_level(run) -> None:
    usage = run("help")
    assert usage.returncode == 0
    for word in ("sample", "pathfinder", "laplace", "id", "data", "init", "random", "num_threads"):
        assert re.search(rf"^  {word}\s", usage.stdout, re.M)
    nothing = run("")
    assert (nothing.returncode, nothing.stdout) == (1, usage.stdout)
    adapt = run("sample adapt help").stdout
    assert adapt.startswith("adapt\n")
    assert "Valid subarguments: engaged, gamma, " in adapt
    assert "engaged=<boolean>" not in adapt
    assert "Defaults to pathfinder" not in adapt
    whole = run("help-all").stdout
    for name in ("history_size=<int>", "int_time=<double>", "seed=<", "save_cmdstan_config="):
        assert name in whole


def test_info_is_what_cmdstanpy_reads(run) -> None:
    done = run("info")
    info = dict(line.split("=") for line in done.stdout.replace(" ", "").splitlines())
    assert done.returncode == 0
    assert info["stan_version_major"] == "2"
    assert info["STAN_THREADS"] == info["STAN_OPENCL"] == "false"


def _draws(path: Path) -> np.ndarray:
    rows = [line for line in path.read_text().splitlines() if re.match(r"-?[0-9]", line)]
    return np.array([[float(value) for value in row.split(",")] for row in rows])


SHORT = "data file=group_means.data.json random seed=1 sample num_samples=20 num_warmup=60"


def test_chains_in_one_process_equal_chains_of_their_own(run, folder: Path) -> None:
    assert run(f"{SHORT} num_chains=2 output file=both.csv").returncode == 0
    for chain in (1, 2):
        assert run(f"id={chain} {SHORT} output file=one.csv").returncode == 0
        np.testing.assert_array_equal(
            _draws(folder / f"both_{chain}.csv"), _draws(folder / "one.csv")
        )


def test_what_a_program_prints_arrives_once_and_in_order(run, folder: Path) -> None:
    done = run("random seed=1 sample num_warmup=60 num_samples=40 output sig_figs=6", "talkative")
    assert done.returncode == 0
    said = [line for line in done.stdout.splitlines() if line.startswith(("at ", "drawn "))]
    rows = _draws(folder / "output.csv")
    mu, root, steps = rows[:, -2], rows[:, -1], rows[:, 4]
    drawn = [float(line.split()[1]) for line in said if line.startswith("drawn")]
    np.testing.assert_allclose(drawn, mu, rtol=1e-5)
    between = "\n".join(said).split("drawn ")[1:-1]
    assert [part.count("at ") for part in between] == [1 + n for n in steps[1:]]
    assert (mu < 0).any()
    np.testing.assert_array_equal(np.isnan(root), mu < 0)
    assert done.stdout.count("no root of -") == (mu < 0).sum()
    assert done.stderr.count("mu must stay below 1.5") > 0


def test_each_chain_starts_from_its_own_file(run, folder: Path) -> None:
    for chain in (1, 2):
        values = {"mu": float(chain), "tau": 1.0, "sigma": 1.0, "eta": [0.0, 0.0, 0.0]}
        (folder / f"start_{chain}.json").write_text(json.dumps(values))
    arguments = (
        "data file=group_means.data.json sample num_chains=2 num_warmup=0 num_samples=1 "
        "algorithm=fixed_param"
    )
    for init in ("start.json", "start_1.json,start_2.json"):
        assert run(f"init={init} {arguments}").returncode == 0
        means = [_draws(folder / f"output_{chain}.csv")[0, 2] for chain in (1, 2)]
        assert means == [1.0, 2.0]


@pytest.mark.parametrize("metric", ["unit_e", "diag_e", "dense_e"])
@pytest.mark.parametrize("engaged", [0, 1])
def test_static_hmc_finds_the_same_posterior(metric: str, engaged: int, run, folder: Path) -> None:
    done = run(
        "data file=group_means.data.json random seed=5 sample num_samples=2000 num_warmup=500 "
        f"algorithm=hmc engine=static int_time=1.5 metric={metric} stepsize=0.1 "
        f"adapt engaged={engaged}"
    )
    assert done.returncode == 0, done.stderr
    # E[mu] is 3.5 with a Monte Carlo standard error below 0.15 at the least effective setting.
    assert abs(_draws(folder / "output.csv")[:, 5].mean() - 3.5) < 0.75


def test_saved_metric_starts_another_run(run, folder: Path) -> None:
    assert run(f"{SHORT} adapt save_metric=1 algorithm=hmc metric=dense_e").returncode == 0
    saved = json.loads((folder / "output_metric.json").read_text())
    assert saved["metric_type"] == "dense_e"
    assert np.shape(saved["inv_metric"]) == (6, 6)
    again = run(
        "data file=group_means.data.json sample num_samples=5 num_warmup=0 adapt engaged=0 "
        "algorithm=hmc metric=dense_e metric_file=output_metric.json output file=again.csv"
    )
    assert again.returncode == 0, again.stderr
    used = (folder / "again.csv").read_text().partition("Elements of inverse mass matrix:\n")[2]
    first_row = [float(value) for value in used.splitlines()[0].removeprefix("# ").split(",")]
    np.testing.assert_allclose(first_row, saved["inv_metric"][0], rtol=1e-4)
    assert len(f"{saved['stepsize']:.8g}") > len(f"{saved['stepsize']:.6g}")


def test_pathfinder_saves_single_paths(run, folder: Path) -> None:
    done = run(
        "data file=group_means.data.json random seed=3 pathfinder num_paths=2 num_draws=30 "
        "num_psis_draws=20 save_single_paths=1"
    )
    assert done.returncode == 0, done.stderr
    for path in (1, 2):
        assert "lp_approx__,lp__,path__,mu" in (folder / f"output_path_{path}.csv").read_text()
        json.loads((folder / f"output_path_{path}.json").read_text())


def test_log_prob_takes_rows_of_unconstrained_values(run, folder: Path) -> None:
    constrained = {"mu": 1.0, "tau": 1.0, "sigma": 2.0, "eta": [0.5, 0.0, -0.5]}
    unconstrained = [[1.0, 0.0, float(np.log(2.0)), 0.5, 0.0, -0.5], [0.0] * 6]
    (folder / "here.json").write_text(json.dumps(constrained))
    (folder / "points.json").write_text(json.dumps({"params_r": unconstrained}))
    done = run(
        "data file=group_means.data.json output sig_figs=12 log_prob "
        "unconstrained_params=points.json constrained_params=here.json"
    )
    assert done.returncode == 0, done.stderr
    rows = _draws(folder / "output.csv")
    assert rows.shape == (3, 7)
    np.testing.assert_allclose(rows[0], rows[2], rtol=1e-10)
    assert not np.allclose(rows[0], rows[1])


def test_r_dump_files_are_read(run, folder: Path) -> None:
    data = json.loads((folder / "group_means.data.json").read_text())
    lines = [f"N <- {data['N']}", f"J <- {data['J']}"]
    lines += [f"{name} <- c({', '.join(map(str, data[name]))})" for name in ("group", "y")]
    (folder / "group_means.data.R").write_text("\n".join(lines) + "\n")
    arguments = SHORT.removeprefix("data file=group_means.data.json")
    assert run(f"data file=group_means.data.R {arguments} output file=r.csv").returncode == 0
    assert run(f"{SHORT} output file=json.csv").returncode == 0
    np.testing.assert_array_equal(_draws(folder / "r.csv"), _draws(folder / "json.csv"))


def test_gradients_agree_with_finite_differences(run, folder: Path) -> None:
    done = run("data file=group_means.data.json random seed=1 diagnose test=gradient")
    assert done.returncode == 0, done.stderr
    assert "epsilon = 1e-06 (Default)" in (folder / "output.csv").read_text()
