"""Compiles Stan programs into the cache, each once for its source, includes, flags and compiler.

The command is the one that CmdStanPy composes (`CompilerOptions`). make is started here
rather than by `cmdstanpy.compile_stan_file`, which changes the working directory of the whole
process while it compiles, so that two programs could not be compiled side by side, and which
leaves the compiler running when its caller is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain import assemble, cache, compiler, stanc, storage
from partialpool.programs.toolchain.processes import Outcome, ProcessGroup, environment
from partialpool.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from partialpool.programs.toolchain.locate import CmdStan


@dataclass(frozen=True)
class _Job:
    """One program to be compiled: what it is made of, and where its executable belongs."""

    source: Path
    text: bytes
    name: str
    key: str
    folders: tuple[Path, ...]
    cmdstan: CmdStan
    compiler: compiler.Compiler

    @property
    def executable(self) -> Path:
        return cache.folder(self.key) / self.name


def compile_program(
    stan_file: str | Path,
    *,
    cmdstan: CmdStan,
    include_paths: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> Path:
    """Compile one program as `compile_programs` does, and return its executable."""
    return compile_programs(
        [stan_file], cmdstan=cmdstan, include_paths=include_paths, progress=progress
    )[0]


def compile_programs(
    stan_files: Sequence[str | Path],
    *,
    cmdstan: CmdStan,
    include_paths: Sequence[str | Path] = (),
    progress: Progress | None = None,
    jobs: int | None = None,
) -> list[Path]:
    """Compile programs side by side into the cache; those that are in it already are not.

    Nothing is written beside the `.stan` files. An executable lies in a folder of its own with
    a copy of its source, so `CmdStanModel(exe_file=...)` takes it, and so does
    `CmdStanModel(stan_file=<the copy>)`, both without compiling. It is called after the
    program, with what a C++ name cannot hold replaced by underscores.

    Parameters
    ----------
    stan_files
        The programs.
    cmdstan
        The CmdStan to compile with, from `find_cmdstan`.
    include_paths
        Folders in which `#include` looks after the program's own.
    progress
        Where to report.
    jobs
        How many to compile at once; as many as there are cores where None.

    Returns
    -------
    list of Path
        The executables, in the order of `stan_files`.

    Raises
    ------
    InputError
        A program cannot be read or is not valid Stan; nothing has been compiled then.
    ToolchainError
        The C++ compiler failed, is missing, or the cache cannot be written to.
    """
    progress = progress or Progress()
    used = _compiler(cmdstan)
    planned = [_plan(Path(file), cmdstan, used, include_paths) for file in stan_files]
    todo = {job.key: job for job in planned if not cache.usable(job.executable)}
    for job in todo.values():
        stanc.check_syntax(job.source, include_paths=include_paths, cmdstan=cmdstan)
    if todo:
        storage.prepare()
        if assemble.is_assembled(cmdstan.path):
            assemble.build_for_flags(cmdstan.path, used, progress=progress)
        names = ", ".join(job.name for job in todo.values())
        with (
            ThreadPoolExecutor(min(jobs or assemble.jobs(), len(todo))) as pool,
            ProcessGroup() as group,
            progress.task(f"Compiling {names}", total=len(todo)) as task,
        ):
            futures = [pool.submit(_compile, job, group, progress) for job in todo.values()]
            try:
                for future in as_completed(futures):
                    future.result()
                    task.advance()
            finally:
                for future in futures:
                    future.cancel()
    for job in planned:
        cache.mark_used(job.key)
    return [job.executable for job in planned]


def _compiler(cmdstan: CmdStan) -> compiler.Compiler:
    compiler.make_command()
    if assemble.is_assembled(cmdstan.path):
        return assemble.folder_compiler(cmdstan.path)
    return compiler.for_cmdstan(cmdstan.path)


def _plan(
    source: Path, cmdstan: CmdStan, used: compiler.Compiler, include_paths: Sequence[str | Path]
) -> _Job:
    text = stanc.read_source(source)
    name = program_name(source)
    folders = stanc.include_folders(source, include_paths)
    parts = [name.encode(), _shown_name(source, name).encode(), text]
    if b"#include" in text:
        info = stanc.program_info(source, include_paths=include_paths, cmdstan=cmdstan)
        for included in info["included_files"]:
            parts += [os.fsencode(included), Path(included).read_bytes()]
    else:
        folders = []
    parts += [used.identity.encode(), *_cmdstan_parts(cmdstan), *_flags(cmdstan)]
    total = hashlib.sha256()
    for part in parts:
        total.update(f"{len(part)}:".encode() + part)
    key = total.hexdigest()[:24]
    return _Job(source, text, name, key, tuple(folders), cmdstan, used)


def program_name(source: Path) -> str:
    """Return a program's file name as a C++ identifier, which names model and executable."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", source.stem)
    return name if re.match(r"[A-Za-z]", name) else f"program_{name}"


def _shown_name(source: Path, name: str) -> str:
    """Return the file name for messages; it passes through make and a shell."""
    return source.name if storage.make_safe(source.name) else f"{name}.stan"


def _cmdstan_parts(cmdstan: CmdStan) -> list[bytes]:
    """Return what identifies a CmdStan folder: its path, version, makefile and command line."""
    parts = [os.fsencode(cmdstan.path), cmdstan.version.encode()]
    files = [cmdstan.path / "makefile", *sorted((cmdstan.path / "src").glob("*.?pp"))]
    files += sorted((cmdstan.path / "src" / "cmdstan").glob("*.?pp"))
    parts += [path.read_bytes() for path in files if path.is_file()]
    parts.append(str(cmdstan.stanc.stat().st_size).encode())
    return parts


def _flags(cmdstan: CmdStan) -> list[bytes]:
    flags = json.dumps(compiler.flags()).encode()
    return [flags, compiler.local_settings(cmdstan.path).encode()]


def _compile(job: _Job, group: ProcessGroup, progress: Progress) -> None:
    """Compile one program under its lock, unless another process did so in the meantime."""
    lock = f"program-{job.key}"
    with storage.lock(lock, waiting_for=f"it compiles {job.name}", progress=progress):
        if cache.usable(job.executable):
            return
        if job.executable.exists():
            progress.line(f"{job.name}: its executable no longer starts; compiling it again")
        start = time.time()
        with storage.temporary_folder(lock) as folder:
            (folder / f"{job.name}.stan").write_bytes(job.text)
            outcome = _make(job, folder, group)
            if not outcome.ok and _mend(job, outcome, start, progress):
                outcome = _make(job, folder, group)
            executable = folder / job.name
            if not outcome.ok or not executable.is_file():
                raise _failure(job, outcome)
            if not cache.starts(executable):
                raise ToolchainError(
                    f"{job.source}: its executable was compiled but does not start; "
                    "`partialpool doctor` looks for the reason"
                )
            seconds = time.time() - start
            cache.keep(
                folder,
                job.key,
                name=job.name,
                source=str(job.source.absolute()),
                seconds=round(seconds, 2),
                cmdstan=str(job.cmdstan.path),
                compiler=job.compiler.version,
            )
        progress.line(f"compiled {job.name} in {seconds:.1f} s")


def _make(job: _Job, folder: Path, group: ProcessGroup, *more: str) -> Outcome:
    from cmdstanpy.compilation import CompilerOptions

    includes = [_plain_path(path) for path in job.folders]
    options = CompilerOptions(stanc_options={"include-paths": includes} if includes else {})
    command = [compiler.make_command(), *options.compose(_shown_name(job.source, job.name))]
    if assemble.is_assembled(job.cmdstan.path):
        command.append(f"CXX={job.compiler.command}")
    command += [*more, str(folder / job.name)]
    return group.run(command, cwd=job.cmdstan.path, env=environment())


def _plain_path(folder: Path) -> str:
    """Return a path for make's flags: a lasting link, if the folder's own has blanks or signs."""
    if storage.make_safe(folder):
        return str(folder)
    links = storage.prepare() / "includes"
    links.mkdir(exist_ok=True)
    link = links / hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    with suppress(FileExistsError):
        link.symlink_to(folder)
    return str(link)


def _mend(job: _Job, outcome: Outcome, since: float, progress: Progress) -> bool:
    """Mend what made a compilation fail; whether compiling again is worthwhile."""
    if assemble.is_assembled(job.cmdstan.path):
        return assemble.mend(console=outcome.output, since=since, progress=progress)
    if not assemble.blames_precompiled_header(outcome.output):
        return False
    removed = _remove_precompiled_headers(job.cmdstan.path)
    if removed:
        progress.line(f"{job.cmdstan.path}: its precompiled header is unusable; building it again")
    return removed


def _remove_precompiled_headers(cmdstan: Path) -> bool:
    """Remove the precompiled headers of an installation, which its makefile then makes anew."""
    found = list((cmdstan / "stan" / "src" / "stan" / "model").glob("model_header*.?ch"))
    try:
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError:
        return False
    return bool(found)


def _failure(job: _Job, outcome: Outcome) -> ToolchainError:
    logs = storage.prepare() / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{job.name}-{job.key[:8]}.log"
    log.write_text(outcome.output, encoding="utf-8")
    return ToolchainError(
        f"{job.source}: {job.compiler.command} could not compile it (make's exit code is "
        f"{outcome.code}):\n{assemble.error_lines(outcome.output)}\nThe whole output is in {log}; "
        "`partialpool doctor` checks the compiler and CmdStan"
    )
