"""The toolchain without compiling: locations, locks, processes, downloads, messages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from helpers.waiting import until
from partialpool.errors import InputError, ToolchainError
from partialpool.programs import toolchain
from partialpool.programs.toolchain import assemble, cache, compiler, locate, storage, tools, unpack
from partialpool.programs.toolchain import compile as compiling
from partialpool.programs.toolchain import wheel as wheels
from partialpool.programs.toolchain.processes import ProcessGroup
from partialpool.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lines(Progress):
    """Keeps the lines that are reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(folder))
    return folder


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no variable that names a CmdStan."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CMDSTAN", "PARTIALPOOL_CMDSTAN", "PARTIALPOOL_WHEEL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


# --- where things are kept ----------------------------------------------------------------------


def test_a_plain_cache_path_is_used_as_it_is(own_cache: Path) -> None:
    assert storage.root() == own_cache


@pytest.mark.parametrize("name", ["with blanks", "größe", "a,b", "a$b", "a#b", "it's"])
def test_a_cache_path_that_make_cannot_take_is_replaced_by_a_private_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / name))
    replaced = storage.root()
    try:
        assert storage.make_safe(replaced)
        assert replaced == storage.root()
        assert replaced.stat().st_mode & 0o077 == 0
        assert replaced.stat().st_uid == os.getuid()
        monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / f"{name} 2"))
        other = storage.root()
        other.rmdir()
        assert other != replaced
    finally:
        replaced.rmdir()


def test_a_replacement_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / "with blanks"))
    replaced = storage.root()
    try:
        replaced.chmod(0o777)
        with pytest.raises(ToolchainError, match="not a private folder of yours"):
            storage.root()
    finally:
        replaced.rmdir()


def test_a_link_to_a_path_with_blanks_is_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with blanks").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "with blanks")
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / "link"))
    replaced = storage.root()
    replaced.rmdir()
    assert storage.make_safe(replaced)


@pytest.mark.usefixtures("nothing_installed")
def test_an_unwritable_cache_is_an_error_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PARTIALPOOL_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(wheels, "obtain", lambda *_, **__: pytest.fail("downloaded"))
    with pytest.raises(ToolchainError, match="PARTIALPOOL_CACHE"):
        toolchain.find_cmdstan("assembled")


def test_a_lock_keeps_a_second_process_waiting_and_says_so(own_cache: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from partialpool.progress import Progress\n"
            "from partialpool.programs.toolchain import storage\n"
            "with storage.lock('x', waiting_for='', progress=Progress()):\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    release = holder.stdin.close

    class Releasing(Lines):
        """Has the lock let go when it is told that someone waits."""

        def line(self, text: str) -> None:
            super().line(text)
            assert holder.poll() is None
            release()

    lines = Releasing()
    with holder, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with storage.lock("x", waiting_for="it works", progress=lines):
            assert holder.wait(timeout=5) == 0
    assert lines.lines == ["waiting for another process: it works"]
    assert own_cache.is_dir()


def test_what_a_killed_process_left_is_removed(own_cache: Path) -> None:
    left = own_cache / "temporary" / "name.abc"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    other = own_cache / "temporary" / "other.abc"
    other.mkdir()
    with storage.temporary_folder("name") as folder:
        assert not left.exists()
        assert folder.is_dir()
    assert not folder.exists()
    assert other.is_dir()


# --- processes ----------------------------------------------------------------------------------


def _sleepers(seconds: str) -> list[psutil.Process]:
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if process.info["cmdline"] == ["sleep", seconds]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_its_parent(number: int) -> None:
    seconds = f"{300 + number}.{os.getpid()}"
    code = (
        "from partialpool.programs.toolchain.processes import ProcessGroup\n"
        "with ProcessGroup() as group:\n"
        f"    group.run(['sh', '-c', 'sleep {seconds}; true'])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: _sleepers(seconds), seconds=30)
        os.kill(parent.pid, number)
        assert parent.wait(timeout=30) != 0
        assert until(lambda: not _sleepers(seconds), seconds=30)
    finally:
        parent.kill()
        for process in _sleepers(seconds):
            process.kill()


def test_leaving_a_group_by_an_error_ends_what_other_threads_run() -> None:
    seconds = f"400.{os.getpid()}"
    outcomes = []

    def work(group: ProcessGroup) -> None:
        outcomes.append(group.run(["sleep", seconds]))

    def interrupted() -> None:
        with ProcessGroup() as group:
            thread = threading.Thread(target=work, args=[group])
            thread.start()
            threads.append(thread)
            assert until(lambda: _sleepers(seconds), seconds=30)
            raise KeyboardInterrupt

    threads: list[threading.Thread] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    threads[0].join(timeout=5)
    assert not threads[0].is_alive()
    assert not outcomes[0].ok
    assert not _sleepers(seconds)


def test_output_comes_line_by_line_and_the_exit_code_is_kept() -> None:
    seen: list[str] = []
    with ProcessGroup() as group:
        outcome = group.run(["sh", "-c", "echo one; echo two >&2; exit 7"], on_line=seen.append)
    assert (outcome.code, outcome.output) == (7, "one\ntwo\n")
    assert seen == ["one", "two"]


# --- compiler and make --------------------------------------------------------------------------


def _wrapper(path: Path, text: str = "") -> Path:
    path.write_text(f'#!/bin/sh\n{text}\nexec g++ "$@"\n')
    path.chmod(0o755)
    return path


def test_a_missing_compiler_or_make_is_named_with_the_package_before_any_download(
    own_cache: Path, nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "obtain", lambda *_, **__: pytest.fail("downloaded"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ToolchainError, match=r"no-such-compiler.*(apt-get|xcode)"):
        toolchain.find_cmdstan("assembled")
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(nothing_installed))
    with pytest.raises(ToolchainError, match=r"no make was found.*(apt-get|xcode)"):
        toolchain.find_cmdstan("assembled")
    assert not own_cache.exists()


def test_a_changed_compiler_has_another_identity(tmp_path: Path) -> None:
    path = _wrapper(tmp_path / "cxx")
    before = compiler.identify(str(path))
    assert compiler.identify(str(path)) == before
    _wrapper(path, '[ "$1" = --version ] && echo "g++ 99.1" && exit 0')
    after = compiler.identify(str(path))
    assert after.version == "g++ 99.1"
    assert after.identity != before.identity


def test_make_local_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiler.asked_for(tmp_path) == os.environ.get("CXX")
    monkeypatch.setenv("CXX", "from-environment")
    assert compiler.asked_for(tmp_path) == "from-environment"
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "local").write_text("# CXX = no\nCXX=first\nCXX := my-clang -m64\n")
    assert compiler.asked_for(tmp_path) == "my-clang -m64"


@pytest.mark.parametrize(
    ("version", "major"),
    [
        ("Debian clang version 16.0.6 (15~deb12u1)", 16),
        ("Apple clang version 15.0.0 (clang-1500.3.9.4)", None),
        ("g++ (Debian 12.2.0-14) 12.2.0", None),
    ],
)
def test_only_llvm_clang_counts_as_clang(version: str, major: int | None) -> None:
    assert compiler.Compiler("c++", version, "x").clang_major == major


def test_a_compiler_that_cannot_compile_is_refused_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = 'case "$1" in -*version|-dump*) ;; *) echo "x: fatal error: none" >&2; exit 1;; esac'
    broken = broken.replace(
        '"$1" in', '"$1" in -std*) echo "fatal error: no optional" >&2; exit 1;;'
    )
    path = _wrapper(tmp_path / "cxx", broken)
    monkeypatch.setenv("CXX", str(path))
    with pytest.raises(ToolchainError, match="fatal error: no optional"):
        compiler.for_new_folder(None)


# --- the wheel ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_installed")
def test_a_wheel_with_another_sha256_is_refused(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "httpstan.whl"
    wrong.write_bytes(b"not the wheel")
    monkeypatch.setenv("PARTIALPOOL_WHEEL", str(wrong))
    with pytest.raises(ToolchainError, match=r"is not the file that was expected.*sha256"):
        toolchain.find_cmdstan("assembled")
    assert not list(own_cache.glob("cmdstan-*"))
    with pytest.raises(ToolchainError, match="cannot be read"):
        toolchain.find_cmdstan("assembled", wheel=tmp_path / "none.whl")


def test_a_platform_without_a_wheel_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ToolchainError, match=r"riscv64.*conda.*install_cmdstan"):
        wheels.for_this_platform()


def test_a_python_without_pip_is_told_the_ways_out(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolchainError, match=r"ensurepip.*PARTIALPOOL_WHEEL"):
        wheels.obtain(wheels.for_this_platform(), given=None, progress=Progress())
    assert not list(own_cache.rglob("*.whl"))


def test_a_failed_download_quotes_pip_and_leaves_nothing(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"(?s)ERROR: No matching.*PARTIALPOOL_WHEEL"):
        wheels.obtain(wheels.for_this_platform(), given=None, progress=Progress())
    assert not list((own_cache / "temporary").iterdir())


def test_a_download_without_a_connection_says_so(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ToolchainError, match=r"(?s)No matching.*Connection refused.*WHEEL"):
        wheels.obtain(wheels.for_this_platform(), given=None, progress=Progress())
    assert not list((own_cache / "temporary").iterdir())


# --- which CmdStan ------------------------------------------------------------------------------


def _imitation(path: Path, *, version: str = "2.38.0", stanc: str | None = "stanc3 v2") -> Path:
    (path / "bin").mkdir(parents=True)
    (path / "makefile").write_text(f"CMDSTAN_VERSION := {version}\n")
    header = path / "stan" / "src" / "stan" / "model" / "model_header.hpp"
    header.parent.mkdir(parents=True)
    header.write_text("")
    if stanc is not None:
        (path / "bin" / "stanc").write_text(f"#!/bin/sh\necho '{stanc}'\n")
        (path / "bin" / "stanc").chmod(0o755)
    return path


def test_the_chosen_folder_is_used_and_cmdstanpy_is_told(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cmdstanpy

    monkeypatch.setenv("CMDSTAN", "before")
    folder = _imitation(nothing_installed / "mine")
    monkeypatch.setenv("PARTIALPOOL_CMDSTAN", str(folder))
    assert toolchain.find_cmdstan() == toolchain.CmdStan(folder, "2.38.0", "chosen")
    assert cmdstanpy.cmdstan_path() == str(folder)
    other = _imitation(nothing_installed / "other", version="2.37.0")
    assert toolchain.find_cmdstan(other).version == "2.37.0"


def test_a_chosen_folder_that_is_not_there_is_an_error(nothing_installed: Path) -> None:
    with pytest.raises(ToolchainError, match="found, release, assembled"):
        toolchain.find_cmdstan(nothing_installed / "none")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("makefile", "no makefile"),
        ("bin/stanc", "bin/stanc is missing"),
        ("stan", "headers are missing"),
    ],
)
def test_a_broken_folder_says_what_is_broken(
    damage: str, message: str, nothing_installed: Path
) -> None:
    folder = _imitation(nothing_installed / "mine")
    path = folder / damage
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ToolchainError, match=message):
        toolchain.find_cmdstan(folder)


def test_the_newest_release_below_home_is_found(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMDSTAN", "")
    home = nothing_installed / ".cmdstan"
    for version in ("2.9.0", "2.38.0-rc1", "2.38.0", "2.37.1"):
        _imitation(home / f"cmdstan-{version}", version=version)
    found = toolchain.find_cmdstan()
    assert found == toolchain.CmdStan(home / "cmdstan-2.38.0", "2.38.0", "found")


def test_a_broken_installation_is_skipped_with_a_line(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    good = _imitation(nothing_installed / ".cmdstan" / "cmdstan-2.38.0")
    bad = _imitation(nothing_installed / "bad", stanc="no stan")
    (bad / "bin" / "stanc").write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("CMDSTAN", str(bad))
    assert toolchain.find_cmdstan(progress=lines).path == good
    assert lines.lines == [
        f"skipped a broken CmdStan: {bad}: bin/stanc does not run on this machine"
    ]


def test_found_without_an_installation_is_an_error(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ToolchainError, match=r"no working CmdStan"):
        toolchain.find_cmdstan("found")
    monkeypatch.setenv("CMDSTAN", str(nothing_installed / "gone"))
    with pytest.raises(ToolchainError, match=r"(?s)no working CmdStan.*gone"):
        toolchain.find_cmdstan("found")


@pytest.mark.usefixtures("nothing_installed")
def test_a_folder_assembled_here_does_not_count_as_an_installation(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = _imitation(own_cache / "cmdstan-2.39.0-01234567")
    monkeypatch.setenv("CMDSTAN", str(ours))
    assert list(locate.installations()) == []


class _Answer(BaseHTTPRequestHandler):
    status = 200
    asked_enough = threading.Event()

    def do_HEAD(self) -> None:
        if self.status == 0:
            self.asked_enough.wait(10)
        self.send_response(self.status or 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setattr(_Answer, "asked_enough", threading.Event())
    with HTTPServer(("127.0.0.1", 0), _Answer) as web:
        url = f"http://127.0.0.1:{web.server_port}/cmdstan.tar.gz"
        monkeypatch.setattr("cmdstanpy.utils.cmdstan.get_download_url", lambda _: url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        yield web
        _Answer.asked_enough.set()
        web.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "seconds", "reachable"), [(200, 0.5, True), (404, 0.5, False), (0, 0.1, False)]
)
def test_the_probe_answers_within_its_time(
    status: int,
    seconds: float,
    reachable: bool,
    server: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Answer, "status", status)
    monkeypatch.setattr(locate, "_PROBE_SECONDS", seconds)
    start = time.monotonic()
    assert locate.release_reachable() is reachable
    assert time.monotonic() - start < seconds + 0.4
    assert server.server_port


def test_what_goes_into_the_folder_is_found_in_the_package() -> None:
    files = unpack.package_files()
    assert "makefile" in files
    assert "src/main.cpp" in files
    assert unpack.stan_version(files["makefile"].decode()) == unpack.assembled_version()
    assert assemble.location().name.startswith(f"cmdstan-{unpack.assembled_version()}-")


def test_a_tool_that_is_not_there_says_who_fetches_it(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "stansummary"
    script.parent.mkdir()
    script.write_text(tools.SCRIPT.format(name="stansummary", python="/no/such/python"))
    script.chmod(0o755)
    fake = _wrapper(tmp_path / "python3", "exit 1")
    path = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
    done = subprocess.run([script], env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no Python with partialpool was found" in done.stderr
    tool = tmp_path / "tools" / "stansummary"
    tool.parent.mkdir()
    _wrapper(tool, 'echo "$@"; exit 0')
    done = subprocess.run([script, "a", "b"], env=path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "a b\n")


def test_folders_of_other_versions_go_when_nobody_used_them_for_a_month(own_cache: Path) -> None:
    for name, days in {"current": 40, "idle": 31, "used": 1}.items():
        folder = own_cache / f"cmdstan-{name}"
        (folder / "build").mkdir(parents=True)
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))
    assemble._remove_idle_folders(own_cache / "cmdstan-current")
    assert sorted(path.name for path in own_cache.iterdir()) == ["cmdstan-current", "cmdstan-used"]


# --- records, clocks, messages ------------------------------------------------------------------


def _recorded(folder: Path) -> dict[str, object]:
    for place in ("bin/stanc", "include/a/x.hpp", "include/a/y.hpp", "build/part.o"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place)
    unpack.write_record(folder)
    record = unpack.read_record(folder)
    assert record is not None
    return record


def test_removed_and_changed_files_are_noticed(tmp_path: Path) -> None:
    record = _recorded(tmp_path)
    assert unpack.looks_whole(tmp_path, record)
    assert unpack.changed_files(tmp_path, record) == set()
    (tmp_path / "include" / "a" / "x.hpp").unlink()
    assert not unpack.looks_whole(tmp_path, record)
    assert unpack.changed_files(tmp_path, record) == {"include/a/x.hpp"}
    (tmp_path / "include" / "a" / "y.hpp").write_text("cut")
    (tmp_path / "bin" / "stanc").write_text("cut")
    (tmp_path / "build" / "part.o").unlink()
    assert unpack.changed_files(tmp_path, record) == {
        "include/a/x.hpp",
        "include/a/y.hpp",
        "bin/stanc",
    }


def test_a_damaged_record_means_not_unpacked(tmp_path: Path) -> None:
    _recorded(tmp_path)
    (tmp_path / unpack.RECORD).write_text("{")
    assert unpack.read_record(tmp_path) is None


def test_of_a_compilers_output_the_errors_are_shown() -> None:
    output = "g++ -c a.cpp\na.cpp:3:1: error: no x\nnote: see\nmake: *** [a.o] Error 1\n"
    assert assemble.error_lines(output) == "a.cpp:3:1: error: no x"
    assert assemble.error_lines("all\nwell\n") == "all\nwell"


@pytest.mark.parametrize(
    ("output", "blamed"),
    [
        ("fatal error: malformed block record in PCH file: 'h.hpp.pch'", True),
        ("fatal error: malformed or corrupted AST file: 'malformed block record'", True),
        ("cc1plus: error: while reading precompiled header: No such file", True),
        ("x.hpp:1:1: internal compiler error: Segmentation fault", True),
        (
            "g++ -include model_header.hpp -o model_header.hpp.gch -c x.cpp\nx.cpp:1: error: y",
            False,
        ),
        ("make: *** [makefile:9: build/1/model_header.hpp.pch] Error 1", False),
    ],
)
def test_only_a_message_of_the_compiler_puts_the_blame_on_the_precompiled_header(
    output: str, blamed: bool
) -> None:
    assert assemble.blames_precompiled_header(output) is blamed


def test_precompiled_headers_of_an_installation_are_removed_for_make_to_make_anew(
    tmp_path: Path,
) -> None:
    model = tmp_path / "stan" / "src" / "stan" / "model"
    (model / "model_header.hpp.gch").mkdir(parents=True)
    (model / "model_header.hpp.gch" / "model_header_12_2.hpp.gch").write_text("")
    (model / "model_header.hpp").write_text("")
    assert compiling._remove_precompiled_headers(tmp_path)
    assert [path.name for path in model.iterdir()] == ["model_header.hpp"]
    assert not compiling._remove_precompiled_headers(tmp_path)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("model.stan", "model"),
        ("my prior-2.stan", "my_prior_2"),
        ("8schools.stan", "program_8schools"),
        ("größe.stan", "gr__e"),
    ],
)
def test_an_executable_is_called_after_the_program(file: str, name: str) -> None:
    assert compiling.program_name(Path(file)) == name


@pytest.mark.parametrize("name", ["none.stan", "folder.stan", "text.txt"])
def test_a_program_that_cannot_be_read_is_an_input_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.stan").mkdir()
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(InputError, match=name):
        toolchain.check_syntax(tmp_path / name)


# --- the cache's commands -----------------------------------------------------------------------


def _entry(root: Path, key: str, *, days: float) -> Path:
    folder = root / "programs" / key
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(b"x" * 1000)
    about = {"name": "model", "source": "/a/model.stan", "seconds": 9.5, "created": 1e9}
    (folder / "about.json").write_text(json.dumps(about))
    then = time.time() - days * 86_400
    os.utime(folder / "about.json", (then, then))
    return folder


def test_the_cache_is_listed_and_pruned(own_cache: Path) -> None:
    assert toolchain.cache_entries().empty
    old, recent = _entry(own_cache, "a" * 24, days=40), _entry(own_cache, "b" * 24, days=1)
    (own_cache / "programs" / "half").mkdir()
    entries = toolchain.cache_entries()
    assert list(entries["key"]) == ["b" * 12, "a" * 12]
    assert list(entries["program"]) == ["model", "model"]
    freed = toolchain.prune_cache(older_than_days=30)
    assert not old.exists()
    assert recent.exists()
    assert 1000 <= freed < 2000
    assert toolchain.prune_cache(everything=True) >= 1000
    assert toolchain.cache_entries().empty


def test_pruning_takes_builds_for_other_flags_and_leaves_that_of_the_set_up(
    own_cache: Path,
) -> None:
    folder = assemble.location()
    for name in ("setup", "idle", "used"):
        (folder / "build" / name).mkdir(parents=True)
        (folder / "build" / name / "part.o").write_bytes(b"x" * 1000)
    (folder / "assembled").mkdir()
    (folder / "assembled" / "build.json").write_text('{"parts": {"build/setup/part.o": [1000, 1]}}')
    then = time.time() - 40 * 86_400
    for name in ("setup", "idle"):
        os.utime(folder / "build" / name, (then, then))
    assert toolchain.prune_cache(older_than_days=30) == 1000
    assert sorted(path.name for path in (folder / "build").iterdir()) == ["setup", "used"]
    assert own_cache in folder.parents


def test_pruning_needs_exactly_one_rule(own_cache: Path) -> None:
    with pytest.raises(InputError, match="either a number of days or everything"):
        toolchain.prune_cache()
    with pytest.raises(InputError, match="either a number of days or everything"):
        toolchain.prune_cache(older_than_days=3, everything=True)
    with pytest.raises(InputError, match="not a number of days"):
        toolchain.prune_cache(older_than_days=-1)
    assert not own_cache.exists()


def test_an_executable_without_its_record_is_not_used(own_cache: Path) -> None:
    folder = own_cache / "programs" / "key"
    folder.mkdir(parents=True)
    program = _wrapper(folder / "model", "exit 0")
    assert not cache.usable(program)
    (folder / "about.json").write_text("{}")
    assert cache.usable(program)
    program.write_text("#!/bin/sh\nexit 127\n")
    assert not cache.usable(program)


def test_doctor_names_what_is_wrong_and_what_mends_it(
    own_cache: Path, nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {check.name: check for check in toolchain.doctor()}
    assert checks["C++ compiler"].ok
    assert checks["make"].ok
    assert checks["cache folder"].detail.startswith(str(own_cache))
    assert not checks["CmdStan"].ok
    assert "partialpool setup" in checks["CmdStan"].remedy
    assert "cmdstanpy" in checks["versions"].detail
    monkeypatch.setenv("PATH", str(nothing_installed))
    monkeypatch.setenv("CMDSTAN", str(nothing_installed / "gone"))
    monkeypatch.delenv("CXX", raising=False)
    broken = [check for check in toolchain.doctor() if not check.ok]
    assert [check.name for check in broken][:3] == ["C++ compiler", "make", "CmdStan"]
    assert all(check.remedy for check in broken)
    assert "gone" in broken[2].detail
