"""Columns of Stan's output -> draws by name, shape and label.

Whatever a program writes has a place: scalars, vectors by group, matrices and arrays of any
shape, integers, tuples and complex numbers. A variable without elements has no column and is
absent.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from partialpool.data import GroupedData
from partialpool.fitting.columns import Axis
from partialpool.programs.program import RESERVED
from partialpool.types import FloatArray, IntArray

_STATISTICS = {
    "lp__": "lp",
    "accept_stat__": "acceptance_rate",
    "stepsize__": "step_size",
    "treedepth__": "tree_depth",
    "n_leapfrog__": "n_steps",
    "divergent__": "diverging",
    "energy__": "energy",
}
_TYPES = {"treedepth__": np.int64, "n_leapfrog__": np.int64, "divergent__": bool}
_HOMES = {"log_lik": "log_likelihood", "y_rep": "posterior_predictive"}
_NAME = re.compile(r"\w+")
_INDEX = re.compile(r"\[(\d+(?:,\d+)*)\]")


def draws_tree(
    values: FloatArray,
    columns: Sequence[str],
    data: GroupedData,
    *,
    axes: Mapping[str, Sequence[Axis | None]] | None = None,
) -> xr.DataTree:
    """Name and shape the columns that the chains of a program wrote.

    Parameters
    ----------
    values
        Shape (chain, draw, column).
    columns
        Names of the columns as CmdStanPy has them: `mu`, `theta[1]`, `L[2,1]`, `pair.1`,
        `z[real]`.
    data
        The data set; a vector with as many elements as it has groups is by group.
    axes
        What the dimensions of variables run over, where it is known
        (`partialpool.fitting.columns`).

    Returns
    -------
    DataTree
        Groups `posterior`, `sample_stats` and, where there is such, `log_prior` (`lprior`, and the
        `lprior_mu` of a program that integrates over mu), `log_likelihood` and
        `posterior_predictive` (`y`, from `log_lik` and `y_rep` by observation). Vectors of other
        lengths have the dimension `<name>_index`, larger arrays `<name>_index1`, `<name>_index2`
        and so on, counted from 1, where no axis is known; the parts of tuples and of complex
        numbers are laid side by side and labelled as Stan writes them: `.1`, `[real]`.
    """
    places: dict[str, list[int]] = {}
    for position, column in enumerate(columns):
        places.setdefault(_stem(column), []).append(position)
    groups: dict[str, dict[str, Any]] = {"posterior": {}, "sample_stats": {}}
    dims: dict[str, list[str]] = {}
    coords: dict[str, Any] = {}
    for name, positions in places.items():
        block = values[:, :, positions]
        tails = [columns[position][len(name) :] for position in positions]
        if name in _STATISTICS:
            kept = block[..., 0].astype(_TYPES.get(name, np.float64))
            groups["sample_stats"][_STATISTICS[name]] = kept
        elif name.endswith("__"):
            continue
        elif name in {"lprior", "lprior_mu"} and tails == [""]:
            groups.setdefault("log_prior", {})[name] = block[..., 0]
        elif name in _HOMES and _vector_of(tails, data.stats.N):
            groups.setdefault(_HOMES[name], {})["y"] = block
            dims["y"], coords["observation"] = ["observation"], np.arange(1, data.stats.N + 1)
        elif tails == [""]:
            groups["posterior"][name] = block[..., 0]
        elif (placed := _placed(name, block, tails, (axes or {}).get(name, ()), data)) is not None:
            groups["posterior"][name], named = placed
            dims[name] = []
            for dimension, labels in named:
                free = _free(dimension, labels, places, coords)
                dims[name].append(free)
                coords[free] = labels
        elif _vector_of(tails, data.stats.J):
            groups["posterior"][name] = block
            dims[name], coords["group"] = ["group"], list(data.labels)
        else:
            shaped, labels = _shaped(block, tails)
            groups["posterior"][name] = shaped
            dims[name] = _dimensions(name, len(labels))
            coords |= dict(zip(dims[name], labels, strict=True))
    nodes = {group: dataset(variables, dims, coords) for group, variables in groups.items()}
    return xr.DataTree(children={group: xr.DataTree(node) for group, node in nodes.items()})


def _placed(
    name: str,
    block: FloatArray,
    tails: Sequence[str],
    axes: Sequence[Axis | None],
    data: GroupedData,
) -> tuple[FloatArray, list[tuple[str, Any]]] | None:
    """Shape a variable by its axes, with a dimension and labels for each; None where none is known.

    Rows that are groups of their own are put in the order of groups.
    """
    if not any(axis is not None for axis in axes):
        return None
    shaped, counted = _shaped(block, tails)
    if len(counted) != len(axes) or any(
        axis is not None and len(axis.labels) != len(labels)
        for axis, labels in zip(axes, counted, strict=True)
    ):
        return None
    named: list[tuple[str, Any]] = []
    for k, (axis, default) in enumerate(zip(axes, _dimensions(name, len(axes)), strict=True)):
        if axis is None:
            named.append((default, counted[k]))
        elif axis.name != "observation":
            named.append((axis.name, list(axis.labels)))
        elif (data.stats.counts == 1).all():
            shaped = np.take(shaped, np.argsort(data.group), axis=2 + k)
            named.append(("group", list(data.labels)))
        else:
            named.append((default, counted[k]))
    dimensions = [dimension for dimension, _ in named]
    if len(set(dimensions)) < len(dimensions):
        return None
    return shaped, named


def _free(dimension: str, labels: Any, taken: Collection[str], coords: Mapping[str, Any]) -> str:
    """Name of a dimension that is no variable's, and no dimension's that has other labels."""
    name = re.sub(r"\W+", "_", dimension)
    while name != "group" and (
        name in RESERVED or name in taken or (name in coords and list(coords[name]) != list(labels))
    ):
        name += "_label"
    return name


def with_effects(
    tree: xr.DataTree, name: str, indices: Sequence[IntArray | int] | None, data: GroupedData
) -> xr.DataTree:
    """Add theta by group, taken from another variable; that goes where it is theta and no more.

    Parameters
    ----------
    name
        The variable.
    indices
        The index of each group along each of its dimensions; empty for a single value, None where
        it is not known what its dimension runs over.
    """
    posterior = tree["posterior"].to_dataset()
    if indices is None:
        if set(posterior[name].dims) != {"chain", "draw", "group"}:
            return tree
        indices = (np.arange(data.stats.J),)
    array = posterior[name].transpose("chain", "draw", ...)
    dims = ("chain", "draw", "group") if any(np.ndim(index) for index in indices) else array.dims
    try:
        theta = array.to_numpy()[(slice(None), slice(None), *indices)]
    except IndexError:  # an index beyond the end: nothing is lost but the comparison
        return tree
    if set(array.dims) <= {"chain", "draw", "group"}:
        posterior = posterior.drop_vars(name)
    coords = {"group": list(data.labels)} if "group" in dims else {}
    found = posterior.assign_coords(coords).assign(theta=(dims[: theta.ndim], theta))
    made = tree.copy()
    made["posterior"] = xr.DataTree(found)
    return made


def dataset(
    variables: Mapping[str, Any], dims: Mapping[str, Sequence[str]], coords: Mapping[str, Any]
) -> xr.Dataset:
    """Label draws as ArviZ's schema has it: by chain and draw, counted from 0, then the rest."""
    shapes = {name: ("chain", "draw", *dims.get(name, ())) for name in variables}
    used = {dim for shape in shapes.values() for dim in shape}
    chains, draws = next(iter(variables.values())).shape[:2] if variables else (0, 0)
    labels = {"chain": np.arange(chains), "draw": np.arange(draws), **coords}
    return xr.Dataset(
        {name: (shapes[name], array) for name, array in variables.items()},
        {dim: labels[dim] for dim in labels if dim in used},
    )


def misfits(tree: xr.DataTree, data: GroupedData, *, effects: str = "theta") -> list[str]:
    """Say which variables of a known meaning have a shape that keeps them from being used.

    Parameters
    ----------
    effects
        What the program calls theta.
    """
    posterior = tree["posterior"].to_dataset()
    found = []
    if effects != "theta" and "theta" not in posterior:
        found.append(f"its {effects} is not by group: it does not enter the comparison")
    if "theta" in posterior and not set(posterior["theta"].dims) <= {"chain", "draw", "group"}:
        found.append(
            f"its theta has {_size(posterior['theta'])} where there are {data.stats.J} groups: it "
            "does not enter the comparison of group means"
        )
    found += [
        f"its {name} has {_size(posterior[name])} where there are {data.stats.N} observations: it "
        "is not used"
        for name in _HOMES
        if name in posterior
    ]
    return found


def _size(array: xr.DataArray) -> str:
    sizes = [size for dim, size in array.sizes.items() if dim not in ("chain", "draw")]
    if sizes in ([], [1]):
        return "a single value"
    return f"{' x '.join(str(size) for size in sizes)} values"


def scalar_names(array: xr.DataArray) -> list[str]:
    """Name each scalar of a variable, in the order of its flattened values: `L[2,1]`, `pair.1`."""
    name = str(array.name)
    along = [str(dim) for dim in array.dims if dim not in ("chain", "draw")]
    if not along:
        return [name]
    labels = [
        [str(label) for label in array[dim].to_numpy()]
        if dim in array.coords
        else [str(k) for k in range(1, array.sizes[dim] + 1)]
        for dim in along
    ]
    if along != ["group"] and len(labels) == 1 and any(x[:1] in ".[" for x in labels[0]):
        return [f"{name}{label}" for label in labels[0]]
    return [f"{name}[{','.join(part)}]" for part in itertools.product(*labels)]


def _stem(column: str) -> str:
    found = _NAME.match(column)
    return found[0] if found else column


def _vector_of(tails: Sequence[str], length: int) -> bool:
    return len(tails) == length and all(tail == f"[{k}]" for k, tail in enumerate(tails, 1))


def _shaped(block: FloatArray, tails: Sequence[str]) -> tuple[FloatArray, list[Any]]:
    """Give the elements of one variable its shape; tuples and complex numbers stay flat."""
    found = [_INDEX.fullmatch(tail) for tail in tails]
    indices = [tuple(int(k) for k in match[1].split(",")) for match in found if match]
    shape = tuple(np.max(indices, axis=0)) if len(indices) == len(tails) else ()
    if int(np.prod(shape)) != len(tails) or not shape:
        return block, [list(tails)]
    shaped = np.empty((*block.shape[:2], *shape))
    places = tuple(np.array(indices).T - 1)
    shaped[(slice(None), slice(None), *places)] = block
    return shaped, [np.arange(1, length + 1) for length in shape]


def _dimensions(name: str, count: int) -> list[str]:
    if count == 1:
        return [f"{name}_index"]
    return [f"{name}_index{k}" for k in range(1, count + 1)]
