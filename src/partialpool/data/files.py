"""Data files by name: patterns, what several have in common, and a hash of what they hold."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

from partialpool.data.opening import FEATHER, PARQUET, kind_of, refuse_url, stem
from partialpool.data.pipes import in_words, is_stream, keep_stream
from partialpool.errors import InputError

_SAMPLE = 1 << 20


def expand(files: str | Path | Sequence[str | Path]) -> list[Path]:
    """Turn files and patterns into a list of files, those of a pattern in alphabetical order.

    What comes through a pipe (`-`, `/dev/stdin`) is kept as a file until the end of the process.

    Raises
    ------
    InputError
        A file that does not exist or is named twice, a pattern that matches none, an address.
    """
    given = [files] if isinstance(files, str | Path) else list(files)
    paths: list[Path] = []
    for each in given:
        path = Path(each)
        refuse_url(str(each))
        if is_stream(each):
            paths.append(keep_stream(each))
            continue
        if path.is_file():
            paths.append(path)
            continue
        root = Path(path.anchor)
        matches = sorted(root.glob(str(path.relative_to(root)))) if path.name else []
        if path.is_dir():
            raise InputError(f"{path}: this is a folder; name its files, as in {path}/*.parquet")
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise InputError(f"{path}: no such file")
        paths.extend(matches)
    if not paths:
        raise InputError("no data file was named")
    _refuse_twice(paths)
    return paths


def _refuse_twice(paths: Sequence[Path]) -> None:
    """Refuse a file that is named twice, whose rows would count twice."""
    if len(paths) == 1:
        return
    known: dict[Path, Path] = {}
    for path in paths:
        before = known.setdefault(path.resolve(), path)
        if before is not path:
            also = "" if before == path else f" (as {before}, too)"
            raise InputError(
                f"{path}: this file is named twice{also}, and its rows would count twice; name it "
                "once"
            )


def are_tables(paths: Sequence[Path]) -> bool:
    """Tell files of typed columns (Parquet, Feather) from files of text.

    Raises
    ------
    InputError
        The two are mixed, or a file is neither.
    """
    kinds = {kind_of(path) in (PARQUET, FEATHER) for path in paths}
    if len(kinds) > 1:
        raise InputError(
            f"{paths[0]} and others: Parquet and CSV files are mixed; read one kind at a time"
        )
    return kinds == {True}


def listed(paths: Sequence[Path]) -> str:
    """Name one file, or the first and how many more there are."""
    return in_words(str(paths[0])) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def within(paths: Sequence[Path], place: str) -> str:
    """Name a place such as "folder/a.csv, line 3" without the folder, or the only file."""
    if len(paths) == 1 and place.startswith(f"{paths[0]}, "):
        return place.removeprefix(f"{paths[0]}, ")
    file, line = place.rsplit(", ", 1)
    return f"{Path(file).name}, {line}"


def short_list(paths: Sequence[Path]) -> str:
    """Names of the first three files, without their folders."""
    return ", ".join(path.name for path in paths[:3]) + (" ..." if len(paths) > 3 else "")


def shared_name(paths: Sequence[Path]) -> str:
    """Short name of the data: the file's, what several have in common, or their folder's."""
    stems = [stem(path) for path in paths]
    if len(paths) == 1:
        return stems[0]
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    shared = "".join(letters[0] for letters in alike).rstrip("-_ 0123456789")
    return shared or paths[0].resolve().parent.name or stems[0]


def fingerprint(paths: Sequence[Path]) -> str:
    """Hash of the size, beginning and end of each file."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{size} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hash of all bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
