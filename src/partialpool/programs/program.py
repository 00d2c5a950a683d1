"""Stan programs as values: what a `.stan` file declares, and the data it is given.

A program is a path. What it needs is read from its own data block, so an edited copy or a
program written from scratch works like the shipped ones: inputs come from the data set, from
the prior settings or from extra inputs that the user gives.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.families.base import (
    CENTERED,
    COMMON_VARIANCE,
    COMPLETE,
    MARGINAL,
    NONCENTERED,
    NONE,
)
from partialpool.families.protocols import Pooling
from partialpool.programs import toolchain
from partialpool.progress import Progress
from partialpool.settings import ADAPT_DELTA, ADAPT_DELTA_IN_FUNNEL, ADAPT_DELTA_OF_SDS

RESERVED = ("chain", "draw", "group", "observation")
"""Names of the dimensions of draws, which no variable of a program may bear."""

_TITLES = {
    COMPLETE: "complete pooling",
    NONE: "no pooling",
    COMMON_VARIANCE: "no pooling, common variance",
    CENTERED: "partial pooling, centered",
    NONCENTERED: "partial pooling, non-centered",
    MARGINAL: "partial pooling",
}


@dataclass(frozen=True)
class Program:
    """A Stan program on disk and what it declares.

    Attributes
    ----------
    path
        The `.stan` file.
    declared
        What `stanc --info` says of it: `inputs`, `parameters`, `transformed parameters`,
        `generated quantities` (name to type and dimensions), `included_files`.
    sha256
        Hash of the source and of the files it includes.
    include_paths
        Folders in which `#include` looks.
    columns
        Input to the columns of the data that it is given; one that is not here goes by its own
        name.
    effects
        What it calls the effects of groups: `alpha`, or `a[county]` where they are indexed by
        the labels of a column; enters the comparison as theta.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.load("hierarchical_marginal").inputs[:2]
    ('K', 'n_k')
    """

    path: Path
    declared: Mapping[str, Any]
    sha256: str
    include_paths: tuple[Path, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    effects: str = "theta"

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def included(self) -> dict[str, str]:
        """Text of each included file, by the path that `#include` finds it under."""
        folders = (self.path.parent, *self.include_paths)
        found = {}
        for file in map(Path, self.declared.get("included_files", ())):
            near = [f.absolute() for f in folders if file.absolute().is_relative_to(f.absolute())]
            place = file.absolute().relative_to(near[0]) if near else Path(file.name)
            found[place.as_posix()] = file.read_text(encoding="utf-8")
        return found

    def __repr__(self) -> str:
        """Say which program it is, and what it declares, in a line."""
        parts = [
            f"{block}: {', '.join(self.declared[block])}"
            for block in ("parameters", "inputs")
            if self.declared.get(block)
        ]
        return f"{self.name} ({self.title}), {self.path}; {'; '.join(parts)}"

    @cached_property
    def title(self) -> str:
        """The name as people read it; an edited copy of a shipped program goes by its own."""
        root, home = shipped_folder().resolve(), self.path.resolve().parent
        shipped = home in {root / family.folder for family in FAMILIES.values()}
        return _TITLES.get(self.name, self.name) if shipped else self.name

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names declared in the data block."""
        return tuple(self.declared["inputs"])

    @cached_property
    def outputs(self) -> dict[str, int]:
        """Number of dimensions of everything that the program writes for each draw."""
        return {name: entry["dimensions"] for name, entry in self._written().items()}

    @cached_property
    def integers(self) -> list[str]:
        """Names of the integers that the program writes."""
        return [name for name, entry in self._written().items() if entry["type"] == "int"]

    def _written(self) -> dict[str, Any]:
        blocks = ("parameters", "transformed parameters", "generated quantities")
        return {name: entry for block in blocks for name, entry in self.declared[block].items()}

    @property
    def adapt_delta(self) -> float:
        """Target acceptance rate that suits its posterior.

        Where effects of groups are sampled together with their sd, `tau` or `tau2`, a small tau
        squeezes them (or, non-centered, sets them loose): the posterior has the shape of a funnel,
        and its neck takes small steps (Betancourt and Girolami 2015).
        """
        sampled = self.declared["parameters"]
        known = sampled | self.declared["transformed parameters"]
        if not {"tau", "tau2"} & known.keys():
            return ADAPT_DELTA
        if any(entry["dimensions"] for entry in sampled.values()):
            return ADAPT_DELTA_IN_FUNNEL
        return ADAPT_DELTA_OF_SDS

    @property
    def pooling(self) -> Pooling:
        """How the program pools, judged by what it writes.

        A single `theta` is complete pooling, and so is a `theta` by group that lies on a regression
        line of `mu` and `beta`, with no `tau` or `eta` about it; another `theta` by group is
        partial pooling where there is a `mu` or a `tau` to pool towards, and no pooling elsewhere;
        without `theta` a program cannot enter the comparison.
        """
        name, indices = self.effect
        dimensions = self.outputs.get(name)
        if indices:
            dimensions = int(not all(index.isdecimal() for index in indices))
        if dimensions == 0 or (dimensions == 1 and self._on_a_line()):
            return "complete"
        if dimensions == 1:
            return "partial" if {"mu", "tau"} & self.outputs.keys() or self._pools() else "none"
        return "other"

    @property
    def effect(self) -> tuple[str, tuple[str, ...]]:
        """The variable that `effects` names, and the indices written after it."""
        name, _, rest = self.effects.partition("[")
        return name.strip(), tuple(part.strip() for part in rest.strip(" ]").split(",") if part)

    def _on_a_line(self) -> bool:
        """Whether theta follows from the line of mu and beta alone."""
        made = self.declared.get("transformed parameters", {})
        about = {"tau", "tau2", "eta"} & self.outputs.keys()
        return "theta" in made and {"mu", "beta"} <= self.outputs.keys() and not about

    def _pools(self) -> bool:
        """Whether effects of another name are stated to come from a distribution of parameters."""
        from partialpool.programs import statements

        if self.effects == "theta":
            return False
        words = re.compile(r"\w+")
        return any(
            set(words.findall(argument)) & self.outputs.keys()
            for each in statements.read(self.path.read_text(encoding="utf-8")).statements
            if words.match(each.left) and words.findall(each.left)[0] == self.effect[0]
            for argument in each.arguments
        )

    def pointed(self, columns: Mapping[str, tuple[str, ...]], effects: str | None) -> Program:
        """Return the program with those columns and effects that it has a use for.

        Raises
        ------
        InputError
            It writes the effects, and a theta besides.
        """
        used = {name: given for name, given in columns.items() if name in self.inputs}
        found = replace(self, columns={**self.columns, **used})
        if effects is None or replace(self, effects=effects).effect[0] not in self.outputs:
            return found
        if "theta" in self.outputs and replace(self, effects=effects).effect[0] != "theta":
            raise InputError(
                f"--theta {effects}: {self.path} writes a theta as well; rename one of the two"
            )
        return replace(found, effects=effects)


def is_shipped(path: Path, family: str) -> bool:
    """Whether a file is one of a family's shipped programs, here or as a copy under its name."""
    shipped = _shipped_files(family).get(path.stem)
    return (
        shipped is not None
        and path.name == shipped.name
        and path.read_bytes() == shipped.read_bytes()
    )


def lacking(program: Program, *, normal: bool = True) -> list[str]:
    """Name what a program does not write or declare, and what is missing without it.

    Parameters
    ----------
    normal
        Whether its observations are known to be normal(theta, sigma).

    Returns
    -------
    list of str
        One phrase for each absence, such as "no lprior: ..."; empty for a program that has all
        that its kind of pooling has a use for.
    """
    wanted = {
        "theta": "it does not enter the comparison of group means (--theta NAME points to effects)",
        "log_lik": "leave-one-out scores take the observations for normal(theta, sigma)",
        "y_rep": "predictive checks take the observations for normal(theta, sigma)",
        "lprior": "power-scaling cannot tell how sensitive it is to its priors",
    }
    if program.effects != "theta":
        del wanted["theta"]
    sds = {"sigma", "sigma2"} & program.outputs.keys()
    if program.pooling == "other" or not sds or not normal:
        wanted |= {
            "log_lik": "there are no leave-one-out scores",
            "y_rep": "there are no predictive checks",
        }
    if program.pooling == "partial":
        wanted["theta_new"] = "a new group is predicted as normal(mu, tau), or not at all"
    found = [f"no {name}: {loss}" for name, loss in wanted.items() if name not in program.outputs]
    if "prior_only" not in program.inputs:
        found.append("no input prior_only: no draws from its priors alone")
    return found


@cache
def shipped_folder() -> Path:
    """Folder that holds the shipped programs."""
    inside = Path(str(resources.files("partialpool"))) / "stan"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "stan"


def _shipped_files(family: str) -> dict[str, Path]:
    """Name of each program of a family to its file.

    What another model of the same rows has no file of its own for, as complete and no pooling, is
    in the folder of the family that reads the rows.
    """
    model = FAMILIES[family]
    usual = FAMILIES[model.reads]
    names = (*model.programs, "sensitivity")
    folders = dict.fromkeys(shipped_folder() / each.folder for each in (usual, model))
    files = [file for folder in folders for file in sorted(folder.glob("*.stan"))]
    return {file.stem: file for file in files if model is usual or file.stem in names}


def find_program(name_or_path: str | Path, *, family: str = "normal") -> Path:
    """Turn the name of a shipped program, or a path, into the path of a `.stan` file.

    Parameters
    ----------
    name_or_path
        A name such as `no_pooling`, or a path that ends in `.stan`.
    family
        Name of the family of data whose program is meant; all have programs of these names.

    Raises
    ------
    InputError
        Neither a shipped program nor a file.
    """
    path = Path(name_or_path)
    files = _shipped_files(family)
    shipped = sorted(files)
    if path.suffix == ".stan":
        if path.is_file():
            return path
        raise InputError(f"{path}: no such Stan program{_near(path.stem, shipped)}")
    if str(name_or_path) in shipped:
        return files[str(name_or_path)]
    raise InputError(
        f"{name_or_path}: no Stan program of that name{_near(str(name_or_path), shipped)}; the "
        f"shipped ones are {', '.join(shipped)}; "
        "a program of your own is named by its path, which ends in .stan"
    )


def _near(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" (nearest name: {found[0]!r})" if found else ""


def loaded(
    given: Program | str | Path | Sequence[Program | str | Path],
    *,
    family: str,
    progress: Progress | None = None,
) -> list[Program]:
    """Read the programs among those given that are named; one alone is one.

    Raises
    ------
    InputError
        As from `load`.
    """
    each = [given] if isinstance(given, Program | str | Path) else given
    return [
        program if isinstance(program, Program) else load(program, family=family, progress=progress)
        for program in each
    ]


def load(
    name_or_path: str | Path,
    *,
    family: str = "normal",
    include_paths: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Program:
    """Read a Stan program and what it declares; nothing is compiled.

    Parameters
    ----------
    name_or_path
        The name of a shipped program or the path of a `.stan` file.
    family
        Name of the family of data (`GroupedData.family`) whose program of that name is meant.
    include_paths
        Folders in which `#include` looks, besides the program's own.
    progress
        Where to report, should stanc have to be fetched first.

    Raises
    ------
    InputError
        No such program, or stanc rejects it; the message is stanc's, with the line.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.load("no_pooling").title
    'no pooling'
    """
    path = find_program(name_or_path, family=family)
    include_paths = tuple(include_paths)
    declared = toolchain.program_info(path, include_paths=include_paths, progress=progress)
    digest = hashlib.sha256(path.read_bytes())
    for included in sorted(declared.get("included_files", [])):
        digest.update(Path(included).read_bytes())
    program = Program(path, declared, digest.hexdigest(), include_paths)
    _check_names(program)
    return program


def _check_names(program: Program) -> None:
    """Refuse a misspelling of the one name by which a program enters the comparison, and others."""
    lookalikes = [name for name in program.outputs if name.lower() == "theta" and name != "theta"]
    if lookalikes and "theta" not in program.outputs:
        raise InputError(
            f"{program.path}: it declares {lookalikes[0]!r}; the group means must be called "
            "'theta' (names in Stan are case-sensitive)"
        )
    if not program.outputs:
        raise InputError(
            f"{program.path}: it declares no parameters and no generated quantities, so there is "
            "nothing to draw"
        )
    reserved = [name for name in RESERVED if name in program.outputs]
    if reserved:
        raise InputError(
            f"{program.path}: it writes a variable {reserved[0]!r}, which is what results call one "
            "of their dimensions; give the variable another name"
        )


def check_distinct(programs: Sequence[Program]) -> None:
    """Refuse two programs of one name, by which tables and files tell fits apart.

    Raises
    ------
    InputError
        With the two files.
    """
    seen: dict[str, Program] = {}
    for program in programs:
        other = seen.setdefault(program.name, program)
        if other is not program:
            raise InputError(
                f"two programs are called {program.name!r}, {other.path} and {program.path}: "
                "results go by this name, so give one of the files another"
            )


def new_program(name: str, target: str | Path, *, family: str = "normal") -> Path:
    """Copy a shipped program to a new file, to be edited.

    Raises
    ------
    InputError
        No shipped program of that name, a target that exists or does not end in `.stan`.
    """
    target = Path(target)
    source = find_program(name, family=family)
    if target.suffix != ".stan":
        raise InputError(f"{target}: the name of a Stan program ends in .stan")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        raise InputError(f"{target}: exists already; choose another name") from None
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from None
    return target
