"""Columns of Stan's output: every kind of variable has a name, a shape and labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from partialpool import fitting, programs
from partialpool.data import from_values
from partialpool.fitting import diagnostics
from partialpool.fitting.columns import Axis
from partialpool.fitting.inputs import priors_for
from partialpool.fitting.tree import draws_tree, misfits, scalar_names, with_effects
from partialpool.settings import Settings
from partialpool.tables import shrinkage

DATA = from_values(["a", "a", "b", "b"], [1.0, 2.0, 3.0, 5.0])


def tree_of(*names: str):
    values = np.arange(2 * 3 * len(names), dtype=float).reshape(2, 3, len(names))
    tree = draws_tree(values, names, DATA)
    return tree, dict(zip(names, np.moveaxis(values, 2, 0), strict=True))


def test_vectors_over_groups_and_observations_are_labelled():
    log_lik = [f"log_lik[{k}]" for k in range(1, 5)]
    tree, values = tree_of("lp__", "divergent__", "mu", "theta[1]", "theta[2]", "lprior", *log_lik)
    posterior = tree["posterior"]
    assert posterior["theta"].sel(group="b").to_numpy().tolist() == values["theta[2]"].tolist()
    assert set(posterior.data_vars) == {"mu", "theta"}
    assert tree["sample_stats"]["diverging"].dtype == bool
    assert tree["log_prior"]["lprior"].shape == (2, 3)
    assert tree["log_likelihood"]["y"].sel(observation=4).to_numpy()[1, 2] == 59
    assert misfits(tree, DATA) == []


def test_elements_of_a_matrix_go_where_their_indices_say():
    names = [f"A[{i},{j}]" for j in (1, 2, 3) for i in (1, 2)]
    tree, values = tree_of(*names)
    array = tree["posterior"]["A"]
    assert array.dims == ("chain", "draw", "A_index1", "A_index2")
    for name in names:
        i, j = int(name[2]), int(name[4])
        assert (array.sel(A_index1=i, A_index2=j) == values[name]).all()
    assert scalar_names(array) == [f"A[{i},{j}]" for i in (1, 2) for j in (1, 2, 3)]


@pytest.mark.parametrize(
    "names",
    [["pair.1", "pair.2[1,2]", "pair.2[2,2]"], ["z[real]", "z[imag]"], ["at[1].1", "at[1].2"]],
)
def test_tuples_and_complex_numbers_keep_stan_s_names(names):
    tree, values = tree_of(*names)
    (array,) = tree["posterior"].to_dataset().data_vars.values()
    assert scalar_names(array) == names
    assert np.array_equal(np.moveaxis(array.to_numpy(), 2, 0), list(values.values()))


def test_a_variable_of_known_meaning_and_unknown_shape_is_named():
    tree, _ = tree_of("theta[1]", "theta[2]", "theta[3]", "y_rep[1]", "log_lik")
    theta, log_lik, y_rep = misfits(tree, DATA)
    assert "theta has 3 values where there are 2 groups" in theta
    assert "log_lik has a single value where there are 4 observations" in log_lik
    assert "y_rep has a single value" in y_rep


def test_a_program_may_write_anything(cmdstan):
    program = programs.load(Path(__file__).parents[1] / "programs" / "shapes.stan")
    extra = {"setting": {"1": 10.0, "2": [3, 4]}}
    (fit,) = fitting.fit_programs(
        [program],
        DATA,
        priors=priors_for(DATA),
        settings=Settings(warmup=300, draws=300, adapt_delta=0.8),
        cmdstan=cmdstan,
        extra=extra,
    )
    posterior = fit.posterior
    assert {"nothing", "flat", "lprior"}.isdisjoint(posterior)
    table, theta = posterior["table"], posterior["theta"].to_numpy()
    assert table.shape == (4, 300, 2, 1, 2)
    assert np.array_equal(table[..., 0, 0, 1], theta[..., 0])
    assert np.array_equal(table[..., 1, 0, 0], theta[..., 1])
    assert np.array_equal(posterior["z"].sel(z_index="[imag]"), theta[..., 1])
    assert (posterior["pair"].sel(pair_index=".2[2]") == 4).all()
    assert list(fit.record.warnings) == [
        "its log_lik has 3 values where there are 4 observations: it is not used"
    ]
    assert diagnostics.trusted(diagnostics.check(fit)), diagnostics.check(fit)
    estimates = shrinkage.estimates([fit], DATA).set_index("parameter")
    assert estimates.loc["Omega[1,1]", "mean"] == pytest.approx(1)
    assert estimates.loc["theta", "group"].tolist() == ["a", "b"]


def test_dimensions_have_the_labels_that_they_run_over():
    region = Axis("region (x/y)", ("n", "s"))
    other = Axis("region_x_y_", ("e", "w", "v"))
    rows = Axis("observation", tuple(str(k) for k in range(1, 5)))
    single = from_values(["b", "a", "c"], [1.0, 2.0, 3.0])
    axes = {
        "m": (region, other),
        "u": (None, region),
        "same": (region, region),
        "w": (Axis("observation", ("1", "2", "3")),),
        "z": (rows,),
    }
    columns = [f"m[{i},{j}]" for j in (1, 2, 3) for i in (1, 2)]
    columns += [f"u[{i},{j}]" for j in (1, 2) for i in (1, 2)]
    columns += [f"same[{i},{j}]" for j in (1, 2) for i in (1, 2)]
    columns += ["w[1]", "w[2]", "w[3]", "z[1]"]
    values = np.arange(2 * 3 * len(columns), dtype=float).reshape(2, 3, -1)
    single = replace(single, group=np.array([1, 0, 2]))
    posterior = draws_tree(values, columns, single, axes=axes)["posterior"]
    assert posterior["m"].dims[2:] == ("region_x_y_", "region_x_y__label")
    assert posterior["m"].sel(region_x_y_="s", region_x_y__label="v")[0, 0] == 5
    assert posterior["u"].dims[2:] == ("u_index1", "region_x_y_")
    assert posterior["same"].dims[2:] == ("same_index1", "same_index2")
    assert posterior["w"].dims[2:] == ("group",)
    assert posterior["w"][0, 0].to_numpy().tolist() == [15, 14, 16]
    assert posterior["z"].dims[2:] == ("z_index",)


def test_effects_are_taken_from_where_they_stand():
    values = np.arange(2 * 3 * 6, dtype=float).reshape(2, 3, 6)
    columns = [f"b[{i},{j}]" for j in (1, 2) for i in (1, 2, 3)]
    tree = draws_tree(values, columns, DATA)
    at = np.arange(DATA.stats.J) % 3
    posterior = with_effects(tree, "b", (at, 1), DATA)["posterior"]
    assert posterior["theta"].dims == ("chain", "draw", "group")
    assert posterior["theta"][0, 0].to_numpy().tolist() == (3.0 + at).tolist()
    assert "b" in posterior
    beyond = with_effects(tree, "b", (at, 7), DATA)
    assert "theta" not in beyond["posterior"]
    assert misfits(beyond, DATA, effects="b[group,8]") == [
        "its b[group,8] is not by group: it does not enter the comparison"
    ]
