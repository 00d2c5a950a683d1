"""Stan programs as values: what a `.stan` file declares, and the data it is given.

A program is a path. What it needs is read from its own data block, so an edited copy or a
program written from scratch works like the shipped ones: inputs come from the data set, from
the prior settings or from extra inputs that the user gives.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats as distributions

from partialpool import toolchain
from partialpool.data import GroupedData, GroupStats
from partialpool.errors import InputError
from partialpool.progress import Progress
from partialpool.sufficient import size_classes

Pooling = Literal["complete", "none", "partial", "other"]

SHIPPED = (
    "complete_pooling",
    "no_pooling",
    "hierarchical_centered",
    "hierarchical_noncentered",
    "hierarchical_marginal",
)
"""Names of the programs that come with the package, in the order in which a report shows them."""

DRAWN_GROUPS = 200
"""Most groups whose means a program that integrates over them draws; more come from
`partialpool.group_posterior`."""

DEFAULT = ("complete_pooling", "no_pooling", "hierarchical_noncentered")
"""The three models of a comparison in which nothing else is asked for."""

_TITLES = {
    "complete_pooling": "complete pooling",
    "no_pooling": "no pooling",
    "hierarchical_centered": "partial pooling, centered",
    "hierarchical_noncentered": "partial pooling, non-centered",
    "hierarchical_marginal": "partial pooling, marginal",
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
    """

    path: Path
    declared: Mapping[str, Any]
    sha256: str
    include_paths: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def title(self) -> str:
        """The name as people read it."""
        return _TITLES.get(self.name, self.name)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names declared in the data block."""
        return tuple(self.declared["inputs"])

    @cached_property
    def outputs(self) -> dict[str, int]:
        """Number of dimensions of everything that the program writes for each draw."""
        blocks = ("parameters", "transformed parameters", "generated quantities")
        return {
            name: entry["dimensions"]
            for block in blocks
            for name, entry in self.declared[block].items()
        }

    @property
    def pooling(self) -> Pooling:
        """How the program pools, judged by what it writes.

        A single `theta` is complete pooling; a `theta` by group is partial pooling where there
        is a `mu` or a `tau` to pool towards, and no pooling elsewhere; without `theta` a program
        cannot enter the comparison.
        """
        dimensions = self.outputs.get("theta")
        if dimensions == 0:
            return "complete"
        if dimensions == 1:
            return "partial" if {"mu", "tau"} & self.outputs.keys() else "none"
        return "other"


def shipped_folder() -> Path:
    """Folder that holds the shipped programs."""
    inside = Path(str(resources.files("partialpool"))) / "stan"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "stan"


def find_program(name_or_path: str | Path) -> Path:
    """Turn the name of a shipped program, or a path, into the path of a `.stan` file.

    Raises
    ------
    InputError
        Neither a shipped program nor a file.
    """
    path = Path(name_or_path)
    if path.suffix == ".stan":
        if path.is_file():
            return path
        raise InputError(f"{path}: no such Stan program")
    shipped = sorted(file.stem for file in shipped_folder().glob("*.stan"))
    if str(name_or_path) in shipped:
        return shipped_folder() / f"{name_or_path}.stan"
    raise InputError(
        f"{name_or_path}: no Stan program of that name; the shipped ones are {', '.join(shipped)}; "
        "a program of your own is named by its path, which ends in .stan"
    )


def load(
    name_or_path: str | Path,
    *,
    include_paths: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Program:
    """Read a Stan program and what it declares; nothing is compiled.

    Parameters
    ----------
    name_or_path
        The name of a shipped program or the path of a `.stan` file.
    include_paths
        Folders in which `#include` looks, besides the program's own.
    progress
        Where to report, should stanc have to be fetched first.

    Raises
    ------
    InputError
        No such program, or stanc rejects it; the message is stanc's, with the line.
    """
    path = find_program(name_or_path)
    include_paths = tuple(include_paths)
    declared = toolchain.program_info(path, include_paths=include_paths, progress=progress)
    digest = hashlib.sha256(path.read_bytes())
    for included in sorted(declared.get("included_files", [])):
        digest.update(Path(included).read_bytes())
    program = Program(path, declared, digest.hexdigest(), include_paths)
    _check_names(program)
    return program


def _check_names(program: Program) -> None:
    """Refuse a misspelling of the one name by which a program enters the comparison."""
    lookalikes = [name for name in program.outputs if name.lower() == "theta" and name != "theta"]
    if lookalikes and "theta" not in program.outputs:
        raise InputError(
            f"{program.path}: it declares {lookalikes[0]!r}; the group means must be called "
            "'theta' (names in Stan are case-sensitive)"
        )


@dataclass(frozen=True)
class Priors:
    """Values of prior hyperparameters, and where each one comes from.

    Attributes
    ----------
    values
        Hyperparameter to value, for example `{"mu_location": 20.0}`.
    sources
        Hyperparameter to the origin of its value, as people read it.
    """

    values: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)

    def updated(self, values: Mapping[str, float], *, source: str) -> Priors:
        """Return the settings with some values replaced or added."""
        return Priors({**self.values, **values}, {**self.sources, **dict.fromkeys(values, source)})


def default_priors(stats: GroupStats) -> Priors:
    """Weakly informative priors on the scale of the data.

    With m the grand mean and s the sd of all observations, both rounded to three digits:

    - means: normal(m, 2.5 s), as rstanarm scales its priors of intercepts (Goodrich, Gabry, Ali
      and Brilleman, *rstanarm*, "Prior distributions");
    - tau and sigma: uniform(0, 10 s): uniform on the sd as Gelman (2006, *Bayesian Analysis* 1,
      515-534, sec. 7.1) advises, with a bound that no sd of these data comes near;
    - sigma2 of complete and no pooling: inverse-gamma(1/2, s^2 / 2), the weight of one
      observation with variance s^2 (Hoff 2009, sec. 5.3, with nu0 = 1).

    Raises
    ------
    InputError
        All observations are equal, so the data have no scale.
    """
    if stats.total_sd == 0:
        raise InputError(
            "all values are equal: there is no variation to model; "
            "check the file and the value column"
        )
    s = _rounded(stats.total_sd)
    m = _rounded_to(stats.grand_mean, 0.01 * s)
    values = {
        "theta_location": m,
        "theta_scale": _rounded(2.5 * s),
        "sigma2_shape": 0.5,
        "sigma2_scale": _rounded(0.5 * s**2),
        "mu_location": m,
        "mu_scale": _rounded(2.5 * s),
        "tau_upper": _rounded(10 * s),
        "sigma_upper": _rounded(10 * s),
    }
    return Priors(values, dict.fromkeys(values, "scaled to the data"))


def priors_for(data: GroupedData, overrides: Mapping[str, float] | None = None) -> Priors:
    """Settle the prior settings: scaled to the data, then the data's file, then the user's."""
    priors = default_priors(data.stats)
    if data.priors:
        priors = priors.updated(data.priors, source=data.priors_source)
    if overrides:
        priors = priors.updated(overrides, source="set by the user")
    return priors


def parse_prior_settings(settings: Sequence[str]) -> dict[str, float]:
    """Read settings such as `mu_scale=5`.

    Raises
    ------
    InputError
        A setting without `=`, or whose value is no finite number.
    """
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not equals or not name.strip().isidentifier() or not math.isfinite(number):
            raise InputError(f"--prior {setting}: write NAME=NUMBER, for example mu_scale=5")
        values[name.strip()] = number
    return values


def prior_conflicts(priors: Priors, stats: GroupStats) -> list[str]:
    """Warn of priors that the data speak against; an empty list is the normal case.

    Checked are prior means of means (more than three prior sds from the sample mean), upper
    bounds of sds (below the spread that they must cover) and the inverse-gamma prior of sigma2
    (less than one in a thousand on the far side of the pooled variance).
    """
    value = priors.values
    found = []
    for name in ("theta", "mu"):
        location, scale = value.get(f"{name}_location"), value.get(f"{name}_scale")
        if location is None or scale is None or scale <= 0:
            continue
        distance = abs(stats.grand_mean - location) / scale
        if distance > 3:
            found.append(
                f"the prior of {name}, normal({location:g}, {scale:g}), puts the grand mean "
                f"{stats.grand_mean:.4g} {distance:.1f} prior sds from its center"
            )
    spread = float(np.std(stats.mean, ddof=1)) if stats.J > 1 else 0.0
    for name, needed, what in (
        ("tau", spread, "the sd of the group means"),
        ("sigma", stats.within_sd, "the sd within groups"),
    ):
        upper = value.get(f"{name}_upper")
        if upper is not None and upper < needed:
            found.append(f"the upper bound of {name}, {upper:g}, is below {what}, {needed:.4g}")
    shape, scale = value.get("sigma2_shape"), value.get("sigma2_scale")
    if shape and scale and shape > 0 and scale > 0 and stats.within_sd > 0:
        below = float(distributions.invgamma.cdf(stats.within_sd**2, shape, scale=scale))
        if min(below, 1 - below) < 0.001:
            found.append(
                f"the prior of sigma2, inverse-gamma({shape:g}, {scale:g}), gives less than one "
                f"in a thousand to variances {'below' if below < 0.5 else 'above'} "
                f"the one within groups, {stats.within_sd**2:.4g}"
            )
    return found


def check_poolable(program: Program, stats: GroupStats) -> list[str]:
    """Refuse data under which a program's posterior is improper; return warnings.

    The conditions are those of the shipped models: a group with a variance of its own needs two
    different values; a shared variance needs a group with two different values; a variance
    between groups needs two groups, and three to say much.

    Raises
    ------
    InputError
        With the groups concerned and the way out.
    """
    if stats.total_ss == 0:
        raise InputError("all values are equal: there is no variation to model")
    pooling = program.pooling
    if pooling == "none" and program.outputs.get("sigma") == 1:
        bad = [f"{stats.labels[j]!r}" for j in np.flatnonzero(stats.ss == 0)]
        if bad:
            shown = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
            raise InputError(
                f"no pooling cannot estimate a variance in {shown}: fewer than two different "
                "values. Leave these groups out, or leave this model out with "
                f"--without {program.name}; partial pooling can use them"
            )
    if pooling == "partial":
        if stats.J == 1:
            raise InputError(
                "partial pooling needs at least two groups: with one, the data say nothing of the "
                "variance between groups"
            )
        if not stats.ss.any():
            raise InputError(
                "partial pooling needs a group with two different values to estimate the variance "
                "within groups; these data have none"
            )
        if stats.J == 2:
            return [
                "with two groups the prior of tau decides how much is pooled: "
                "read tau and everything that follows from it as prior, not as data"
            ]
    return []


def chosen(named: Sequence[str] | None, without: Sequence[str] | None = None) -> list[str]:
    """Settle which programs to fit: those named, or the default comparison without some.

    Raises
    ------
    InputError
        `without` names no program of the default comparison, or nothing is left.
    """
    if named:
        return list(dict.fromkeys(named))
    for name in without or ():
        if name not in DEFAULT:
            raise InputError(f"--without {name}: the models compared are {', '.join(DEFAULT)}")
    left = [name for name in DEFAULT if name not in (without or ())]
    if not left:
        raise InputError("--without left no program to fit")
    return left


def stan_data(
    program: Program,
    data: GroupedData,
    priors: Priors,
    *,
    extra: Mapping[str, Any] | None = None,
    prior_only: bool = False,
    pointwise: bool = False,
) -> dict[str, Any]:
    """Collect what a program's data block declares.

    Available are the observations (`N`, `J`, `group` from 1, `y`), the sufficient statistics by
    group (`n`, `ybar`, `ss`) and by group size (`K`, `n_k`, `J_k`, `ybar_k`, `ssb_k`, `ssw`), the
    prior settings, the switches `prior_only` and `pointwise`, and whatever `extra` adds; `extra`
    wins. `J_drawn`, `n_drawn`, `ybar_drawn` are the groups whose means are to be drawn (none of
    more than `DRAWN_GROUPS`), and `N_drawn`, `group_drawn`, `y_drawn` the observations where
    `pointwise` asks for them.

    Raises
    ------
    InputError
        A declared input is not available (of summarized data the observations are not); the
        message lists what is, and the nearest name.
    """
    stats, sizes = data.stats, size_classes(data.stats)
    groups = slice(None if stats.J <= DRAWN_GROUPS or pointwise else 0)
    observations = slice(None if pointwise else 0)
    available: dict[str, Any] = {
        "N": data.stats.N,
        "J": data.stats.J,
        **({"group": data.group + 1, "y": data.y} if len(data.y) else {}),
        "n": data.stats.n,
        "ybar": data.stats.mean,
        "ss": data.stats.ss,
        "K": sizes.K,
        "n_k": sizes.n,
        "J_k": sizes.groups,
        "ybar_k": sizes.mean,
        "ssb_k": sizes.ss,
        "ssw": sizes.ss_within,
        "J_drawn": len(stats.n[groups]),
        "n_drawn": stats.n[groups],
        "ybar_drawn": stats.mean[groups],
        "N_drawn": len(data.y[observations]),
        "group_drawn": data.group[observations] + 1,
        "y_drawn": data.y[observations],
        "prior_only": int(prior_only),
        "pointwise": int(pointwise),
        **priors.values,
        **(extra or {}),
    }
    missing = [name for name in program.inputs if name not in available]
    if len(data.y) == 0 and (pointwise or {"y", "group"} & set(missing)):
        raise InputError(
            f"{program.title} needs the observations, and of {data.name} only the statistics by "
            "group are at hand; hierarchical_marginal can be fitted to these"
        )
    if missing:
        near = difflib.get_close_matches(missing[0], available, n=1)
        raise InputError(
            f"{program.path}: its data block declares {missing[0]!r}, for which there is no value"
            + (f" (nearest name: {near[0]!r})" if near else "")
            + f". Declared: {', '.join(program.inputs)}. Available: {', '.join(available)}. "
            "Add a number with --prior NAME=NUMBER, or other inputs with --extra-data FILE"
        )
    _check_hyperparameters(program, priors)
    return {name: available[name] for name in program.inputs}


def _check_hyperparameters(program: Program, priors: Priors) -> None:
    for name in program.inputs:
        value = priors.values.get(name)
        if value is not None and value <= 0 and name.endswith(("_scale", "_upper", "_shape")):
            raise InputError(f"prior {name} = {value:g}: it must be above zero")


def read_extra(path: str | Path) -> dict[str, Any]:
    """Read further inputs of a program from a JSON or TOML file.

    Raises
    ------
    InputError
        No such file, an ending other than `.json` or `.toml`, or text that does not parse.
    """
    path = Path(path)
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix.lower())
    if parse is None:
        raise InputError(f"{path}: extra data are read from a .json or a .toml file")
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: extra data must map names to values")
    return values


def new_program(name: str, target: str | Path) -> Path:
    """Copy a shipped program to a new file, to be edited.

    Raises
    ------
    InputError
        No shipped program of that name, a target that exists or does not end in `.stan`.
    """
    target = Path(target)
    source = find_program(name)
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


def _rounded(x: float) -> float:
    """Three significant digits, so that the value printed is the value used."""
    return float(f"{x:.3g}")


def _rounded_to(x: float, step: float) -> float:
    """Round to the power of ten just below `step`: keeps a large offset to the data's scale."""
    return round(x, -math.floor(math.log10(step)))
