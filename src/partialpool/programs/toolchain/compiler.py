"""Which C++ compiler and make there are, and which of them is used.

The order: `CXX` in the CmdStan folder's `make/local`, `CXX` in the environment, the compiler
that the folder's parts were built with, and for a new folder clang++ from version 16 on
(its precompiled header can hold template instantiations, which shortens every compilation),
then g++, then any other.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain.processes import ask

CLANG_WITH_INSTANTIATIONS = 16

# Variables of the environment that CmdStan's makefile, or ours, takes flags from.
FLAGS = (
    "CPPFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "LDLIBS",
    "O",
    "STANCFLAGS",
    "STAN_CPP_OPTIMS",
    "STAN_MPI",
    "STAN_NO_RANGE_CHECKS",
    "STAN_OPENCL",
    "STAN_THREADS",
    "USER_HEADER",
)
_CLANGS = ("clang++", *(f"clang++-{version}" for version in range(25, 15, -1)))


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler as make is told of it, and what it says of itself."""

    command: str
    version: str
    target: str

    @property
    def identity(self) -> str:
        """A digest that changes with the compiler."""
        text = "\n".join([self.command, self.version, self.target])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def clang_major(self) -> int | None:
        """The major version if this is LLVM's clang (Apple counts differently), else None."""
        match = re.search(r"(?<!Apple )clang version (\d+)", self.version)
        return int(match[1]) if match else None

    def __str__(self) -> str:
        return f"{self.version} ({self.target})"


def how_to_install() -> str:
    """Return the command that installs a compiler and make on this system."""
    if platform.system() == "Darwin":
        return "install Apple's command line tools: xcode-select --install"
    return "install them: on Debian or Ubuntu, sudo apt-get install g++ make"


def make_command() -> str:
    """Return the make to use: `MAKE` in the environment, or `make`.

    Raises
    ------
    ToolchainError
        There is none.
    """
    command = os.environ.get("MAKE") or "make"
    if shutil.which(command) is None:
        raise ToolchainError(f"no {command} was found, which compiling needs; {how_to_install()}")
    return command


def identify(command: str) -> Compiler:
    """Ask a compiler who it is.

    Raises
    ------
    ToolchainError
        It is not there or does not run.
    """
    words = shlex.split(command)
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise ToolchainError(f"no C++ compiler {command!r} was found; {how_to_install()}")
    status = Path(path).stat()
    return _identify(command, path, status.st_mtime_ns, status.st_size)


@functools.cache
def _identify(command: str, path: str, mtime_ns: int, size: int) -> Compiler:
    del path, mtime_ns, size  # only part of the cache's key: a replaced compiler is asked again
    words = shlex.split(command)
    version = ask([*words, "--version"])
    target = ask([*words, "-dumpmachine"])
    if version.returncode or not version.stdout.strip():
        raise ToolchainError(
            f"the C++ compiler {command!r} does not run: {version.stderr.strip()}; "
            f"{how_to_install()}"
        )
    return Compiler(command, version.stdout.splitlines()[0].strip(), target.stdout.strip())


def flags() -> dict[str, str]:
    """Return the variables of the environment that hold flags for make."""
    return {name: os.environ[name] for name in FLAGS if os.environ.get(name)}


def local_settings(cmdstan: Path) -> str:
    """Return the text of the folder's `make/local`, empty where there is none."""
    path = cmdstan / "make" / "local"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def asked_for(cmdstan: Path | None) -> str | None:
    """Return the compiler that `make/local` or the environment names, or None."""
    named = None
    if cmdstan is not None:
        assigned = re.findall(r"^\s*CXX\s*(?::|\?)?=\s*(.+?)\s*$", local_settings(cmdstan), re.M)
        named = assigned[-1] if assigned else None
    return named or os.environ.get("CXX") or None


def note(cmdstan: Path, chosen: Compiler) -> None:
    """Let make know the compiler of an assembled folder, for calls that do not name one."""
    path = cmdstan / "make" / "compiler"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"CXX := {chosen.command}\n")


def noted(cmdstan: Path) -> str | None:
    """Return the compiler that `note` wrote down, None where there is no note."""
    path = cmdstan / "make" / "compiler"
    match = re.match(r"CXX := (.+)\n", path.read_text()) if path.is_file() else None
    return match[1] if match else None


def for_cmdstan(cmdstan: Path) -> Compiler:
    """Return the compiler of a CmdStan folder: what is asked for, noted there, or the system's."""
    default = "clang++" if platform.system() == "Darwin" else "g++"
    return identify(asked_for(cmdstan) or noted(cmdstan) or default)


def for_new_folder(cmdstan: Path | None) -> Compiler:
    """Return the compiler for the parts of an assembled folder.

    Raises
    ------
    ToolchainError
        None is there, or the one that is asked for does not compile.
    """
    named = asked_for(cmdstan)
    if named:
        compiler = identify(named)
        _try_out(compiler)
        return compiler
    clangs, others = (
        [identify(command) for command in commands if shutil.which(command)]
        for commands in (_CLANGS, ("g++", "c++"))
    )
    recent = [c for c in clangs if (c.clang_major or 0) >= CLANG_WITH_INSTANTIATIONS]
    older = [c for c in clangs if c not in recent]
    problem = ToolchainError(f"no C++ compiler was found; {how_to_install()}")
    for compiler in [*recent, *others, *older]:
        try:
            _try_out(compiler)
        except ToolchainError as error:
            problem = error
        else:
            return compiler
    raise problem


@functools.cache
def _try_out(compiler: Compiler) -> None:
    """Compile and link a few lines of C++17: a clang without a standard library cannot."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "try.cpp"
        source.write_text("#include <optional>\nint main() { return std::optional(0).value(); }\n")
        result = ask(
            [*shlex.split(compiler.command), "-std=c++17", source, "-o", source.with_suffix("")]
        )
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line]
        raise ToolchainError(
            f"the C++ compiler {compiler.command!r} cannot compile a C++17 program: "
            f"{lines[0] if lines else result.stderr.strip()}; {how_to_install()}"
        )
