"""A CmdStan folder put together in the cache: unpacked, built, and mended where it is broken.

Two stages, each with its own record: the files are unpacked beside the final place and
renamed into it, so stanc can be used at once; then make builds the precompiled header and the
command line there, every target under a temporary name of its own. Whatever ends the work,
the next call sees from the records what is missing, says so in one line and does only that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from partialpool.errors import ToolchainError
from partialpool.programs.toolchain import compiler, storage, tools, unpack
from partialpool.programs.toolchain import wheel as wheels
from partialpool.programs.toolchain.processes import ProcessGroup, ask

if TYPE_CHECKING:
    from partialpool.progress import Progress

_BUILD_RECORD = "assembled/build.json"
_GIGABYTES_A_COMPILER = 1.5
_MONTH = 30 * 86_400.0
_SECONDS_MORE_FOR_TOOLS = 10
_PARTS = 7  # PARTS in the makefile
_LEFT_BY_A_KILL = re.compile(r".*\.\d+(\.\w+)?")


def location() -> Path:
    """Return where the folder of this version of the package is, or will be."""
    version, sources = unpack.assembled_version(), unpack.digest()[:8]
    return storage.root() / f"cmdstan-{version}-{sources}"


def is_assembled(path: Path) -> bool:
    """Whether `path` is a folder that this package assembled in its cache, now or earlier."""
    return path.parent == storage.root() and path.name.startswith("cmdstan-")


def jobs() -> int:
    """Return how many compilers may run at once: the cores, fewer where memory is short."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    room = psutil.virtual_memory().available / (_GIGABYTES_A_COMPILER * 1e9)
    return max(1, min(cores or 1, int(room)))


def unpacked(*, wheel: Path | None, progress: Progress) -> Path:
    """Return the folder with all files in place, built or not.

    Raises
    ------
    ToolchainError
        There is no compiler or make to build with, which is said before anything is downloaded;
        the wheel is not available or the cache cannot be written to.
    """
    folder = location()
    record = unpack.read_record(folder)
    if record is not None and unpack.looks_whole(folder, record):
        return folder
    compiler.make_command()
    _compiler_to_build_with(folder)
    requirement = wheels.for_this_platform()
    storage.prepare()
    with _lock(progress):
        _make_whole(requirement, given=wheel or wheels.given_path(), progress=progress)
    return folder


def assembled(*, wheel: Path | None, progress: Progress) -> Path:
    """Return the folder, unpacked, built and found whole.

    Raises
    ------
    ToolchainError
        As `unpacked`; or there is no compiler or make, or the C++ sources do not compile.
    """
    folder = location()
    if is_ready():
        with suppress(OSError):  # a read-only cache does without
            os.utime(folder)  # used now
        return folder
    compiler.make_command()
    chosen = _compiler_to_build_with(folder)
    unpacked(wheel=wheel, progress=progress)
    with _lock(progress):
        reason = _why_build(folder, chosen)
        if reason is not None:
            if reason:
                progress.line(reason)
            _build(folder, chosen, progress)
    return folder


def is_ready() -> bool:
    """Whether the folder is there, whole, and built by the compiler that would be used now."""
    return fault() is None


def fault(*, thorough: bool = False) -> str | None:
    """Return what keeps the folder from being used as it is, None if nothing does."""
    folder = location()
    record = unpack.read_record(folder)
    if record is None:
        return "not completely unpacked"
    if thorough:
        changed = unpack.changed_files(folder, record)
        if changed is None or changed:
            return f"files are missing or changed ({', '.join(sorted(changed or ())[:3])})"
    if not unpack.looks_whole(folder, record):
        return "files are missing or changed"
    try:
        reason = _why_build(folder, folder_compiler(folder))
    except ToolchainError as error:
        return str(error)
    return "not built yet" if reason == "" else reason


def mend(*, console: str, since: float, progress: Progress) -> bool:
    """Look for damage after a compilation failed that began at the time `since`.

    Every file is compared with the record; where none differs and the output `console` puts
    it down to the precompiled header, the parts are built again.

    Returns
    -------
    bool
        Whether something was mended, so that compiling again is worthwhile.
    """
    folder = location()
    with _lock(progress):
        records = [folder / unpack.RECORD, folder / _BUILD_RECORD]
        if any(path.is_file() and path.stat().st_mtime > since for path in records):
            return True  # another process or thread was faster
        record = unpack.read_record(folder)
        if record is None or unpack.changed_files(folder, record) != set():
            requirement = wheels.for_this_platform()
            _make_whole(requirement, given=wheels.given_path(), progress=progress, thorough=True)
        elif blames_precompiled_header(console):
            progress.line(f"{folder.name}: the precompiled header is unusable; building it again")
            (folder / _BUILD_RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder / "build", ignore_errors=True)
        else:
            return False
    assembled(wheel=None, progress=progress)
    return True


_BROKEN_HEADER = re.compile(
    r"(?:error|warning): .*(?:precompiled|PCH|\.gch|\.pch|AST file)"
    r"|internal compiler error|submit a (?:full )?bug report",
    re.I,
)


def blames_precompiled_header(console: str) -> bool:
    """Whether a compiler's messages name the precompiled header, or it crashed."""
    return _BROKEN_HEADER.search(console) is not None


def folder_compiler(folder: Path) -> compiler.Compiler:
    """Return the compiler of a built folder, unless another one is asked for."""
    command = compiler.asked_for(folder) or compiler.noted(folder)
    return compiler.identify(command) if command else compiler.for_new_folder(folder)


def read_build(folder: Path) -> dict[str, Any] | None:
    """Return what was recorded of the build, None where none was completed."""
    try:
        record: dict[str, Any] = json.loads((folder / _BUILD_RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record


def _lock(progress: Progress) -> Any:
    return storage.lock(location().name, waiting_for="it sets up CmdStan", progress=progress)


def _compiler_to_build_with(folder: Path) -> compiler.Compiler:
    try:
        return folder_compiler(folder)
    except ToolchainError:
        return compiler.for_new_folder(folder)


def _unpack_anew(
    requirement: wheels.Wheel, folder: Path, *, given: Path | None, progress: Progress
) -> None:
    start = time.perf_counter()
    file = wheels.obtain(requirement, given=given, progress=progress)
    got = time.perf_counter()
    with storage.temporary_folder(folder.name) as place:
        with progress.task("Unpacking Stan", total=13_000) as task:
            unpack.unpack(file, place, task=task)
            end = time.perf_counter()
        unpack.write_record(place, download=got - start, unpack=end - got)
        place.rename(folder)


def _make_whole(
    requirement: wheels.Wheel, *, given: Path | None, progress: Progress, thorough: bool = False
) -> None:
    """Unpack the folder, or what is missing of it; the caller holds its lock."""
    folder = location()
    record = unpack.read_record(folder)
    if record is not None and not thorough and unpack.looks_whole(folder, record):
        return
    broken = unpack.changed_files(folder, record) if record is not None else None
    if record is None or broken is None:
        if folder.exists():
            progress.line(f"{folder.name}: its record is unreadable; assembling it again")
            shutil.rmtree(folder)
        _unpack_anew(requirement, folder, given=given, progress=progress)
        return
    if broken:
        some = ", ".join(sorted(broken)[:3]) + (" ..." if len(broken) > 3 else "")
        files = "1 file was" if len(broken) == 1 else f"{len(broken)} files were"
        progress.line(f"{folder.name}: {files} missing or changed ({some}); restored")
        file = wheels.obtain(requirement, given=given, progress=progress)
        with progress.task("Restoring files of Stan", total=len(broken)) as task:
            unpack.unpack(file, folder, only=broken, task=task)
    about = {key: record[key] for key in ("download", "unpack") if key in record}
    unpack.write_record(folder, **about)


def _local_digest(folder: Path) -> str:
    return hashlib.sha256(compiler.local_settings(folder).encode()).hexdigest()


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _why_build(folder: Path, chosen: compiler.Compiler) -> str | None:
    """Return why the parts must be built, None if they need not; "" needs no explanation."""
    record = read_build(folder)
    if record is None:
        if (folder / "build").exists():
            return f"{folder.name}: its set-up was interrupted; going on with it"
        return ""
    if compiler.Compiler(**record["compiler"]) != chosen:
        before = record["compiler"]["version"]
        return f"{folder.name}: the compiler is now {chosen}, not {before}; building again"
    if record["local"] != _local_digest(folder):
        return f"{folder.name}: make/local has changed; building again"
    parts = {folder / place: state for place, state in record["parts"].items()}
    sizes = {path: path.stat().st_size for path in parts if path.is_file()}
    lost = [path for path, state in parts.items() if sizes.get(path) != state[0]]
    if lost:
        return f"{folder.name}: parts are missing or changed ({_names(lost)}); building them again"
    later = [path for path, state in parts.items() if _state(path) != state]
    if later:
        return f"{folder.name}: parts were copied or written again ({_names(later)}); checking them"
    return None


def _names(paths: list[Path]) -> str:
    return ", ".join(sorted(path.name for path in paths))


_ANNOUNCED = re.compile(r"\s*Must remake target ['`].+/(.+)'")  # by make --debug=b


def _build(folder: Path, chosen: compiler.Compiler, progress: Progress) -> None:
    """Build the parts that are missing or damaged, record them, and remove what they replace."""
    record = read_build(folder)
    (folder / _BUILD_RECORD).unlink(missing_ok=True)
    for path in (folder / "build").rglob("*"):
        if path.is_file() and _LEFT_BY_A_KILL.fullmatch(path.name):
            path.unlink()
    compiler.note(folder, chosen)
    fetching = threading.Thread(target=_fetch_tools, args=[folder], daemon=True)
    fetching.start()
    with ProcessGroup() as group:
        if record is not None:
            group.run([*_make(folder, chosen), "-s", "intact"])
        made, seconds = _make_parts(folder, chosen, group, progress)
    fetching.join(_SECONDS_MORE_FOR_TOOLS)
    printed = ask([*_make(folder, chosen), "-s", "print-PARTS"]).stdout
    parts = [Path(word) for word in printed.partition("=")[2].split()]
    built = {
        "compiler": asdict(chosen),
        "local": _local_digest(folder),
        "flags": compiler.flags(),
        "parts": {str(path.relative_to(folder)): _state(path) for path in parts},
        "seconds": round(seconds, 1) if made or record is None else record["seconds"],
        "jobs": jobs(),
    }
    temporary = (folder / _BUILD_RECORD).with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(built))
    temporary.replace(folder / _BUILD_RECORD)
    if record is not None and record.get("flags") == built["flags"]:
        before = {folder / Path(place).parent for place in record["parts"]}
        for place in before - {path.parent for path in parts}:
            shutil.rmtree(place, ignore_errors=True)
    _remove_idle_folders(folder)
    if made:
        progress.line(f"CmdStan {unpack.assembled_version()} built in {seconds:.0f} s")


def _fetch_tools(folder: Path) -> None:
    """Fetch CmdStan's tools where there is a network; their scripts try again when called."""
    if wheels.given_path() is None:  # else there may be no network, and pip tries for a minute
        with suppress(ToolchainError, OSError):
            tools.add_tools(folder)


def _remove_idle_folders(current: Path) -> None:
    """Remove the folders of other versions of this package that nobody used for a month."""
    for folder in storage.root().glob("cmdstan-*"):
        if folder != current and folder.stat().st_mtime < time.time() - _MONTH:
            shutil.rmtree(folder, ignore_errors=True)


def extra_builds() -> list[Path]:
    """Return the builds for other flags than the set-up's, such as those with STAN_THREADS."""
    folder = location()
    record = read_build(folder) or {"parts": {}}
    of_setup = {folder / Path(place).parent for place in record["parts"]}
    return [path for path in sorted(folder.glob("build/*")) if path not in of_setup]


def _make(folder: Path, chosen: compiler.Compiler) -> list[str | Path]:
    return [compiler.make_command(), "--no-print-directory", "-C", folder, f"CXX={chosen.command}"]


def _make_parts(
    folder: Path, chosen: compiler.Compiler, group: ProcessGroup, progress: Progress
) -> tuple[list[str], float]:
    """Have make build what is missing; return the parts that were and the seconds it took."""
    parts: list[str] = []
    start = time.perf_counter()

    def read(line: str) -> None:
        match = _ANNOUNCED.match(line)
        if match is not None:
            parts.append(match[1])
            task.advance()
            task.describe(f"Building CmdStan's parts: {match[1]}")

    with progress.task("Building CmdStan's parts", total=_PARTS) as task:
        outcome = group.run(
            [*_make(folder, chosen), f"-j{jobs()}", "--debug=b", "build"], on_line=read
        )
    if not outcome.ok:
        log = folder / "assembled" / "build.log"
        log.write_text(outcome.output)
        flags = "".join(f" {name}={value}" for name, value in compiler.flags().items())
        raise ToolchainError(
            f"building CmdStan's parts with {chosen}{flags} failed:\n"
            f"{error_lines(outcome.output)}\n"
            f"The whole output is in {log}. Another compiler can be chosen by CXX."
        )
    return parts, time.perf_counter() - start


def build_for_flags(folder: Path, chosen: compiler.Compiler, *, progress: Progress) -> None:
    """Build the parts for the environment's flags, where they differ from those of the set-up.

    Compiling a program would build them as well, but one after the other, in silence, and each
    of several programs for itself.

    Raises
    ------
    ToolchainError
        The parts cannot be built with these flags.
    """
    record, flags = read_build(folder), compiler.flags()
    if record is None or record.get("flags") == flags:
        return
    with _lock(progress):
        if ask([*_make(folder, chosen), "-q", "build"]).returncode == 0:
            return
        with ProcessGroup() as group:
            _, seconds = _make_parts(folder, chosen, group, progress)
    names = ", ".join(flags) or "no flags"
    progress.line(f"CmdStan's parts for {names} built in {seconds:.0f} s")


def error_lines(output: str, *, most: int = 12) -> str:
    """Return the lines of a compiler's output that say what is wrong."""
    telling = re.compile(r"\berror\b|undefined reference|No such file|Killed|No space|cannot")
    lines = output.strip().splitlines()
    found = [line for line in lines if telling.search(line)]
    return "\n".join(found[:most] or lines[-most:])
