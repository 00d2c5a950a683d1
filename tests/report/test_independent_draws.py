"""What a report says, and does not show, of draws that come from no chain."""

from __future__ import annotations

import numpy as np

from helpers.hand_made import make_fit
from partialpool import programs
from partialpool.data import from_values
from partialpool.fitting import without_rows
from partialpool.fitting.inputs import priors_for
from partialpool.programs import toolchain
from partialpool.report import figures, trust
from partialpool.settings import Settings
from partialpool.tables import comparison


def test_draws_from_the_exact_posterior_have_no_chains_to_look_at(
    cmdstan: toolchain.CmdStan,
) -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(list("abcde"), 400)
    y = rng.normal(np.repeat([1.0, 2.0, 3.0, 2.5, 1.5], 400), 2.0)
    data = from_values(labels.tolist(), y)
    program = programs.load("no_pooling")
    assert without_rows.is_exact(program, data)
    drawn = without_rows.fit_or_draw(
        [program], data, priors=priors_for(data), settings=Settings(draws=100)
    )
    found = comparison.compute(data, [*drawn, make_fit(data, "hierarchical_noncentered")])
    keys = [plan.key for plan in figures.plan(found, {})]
    assert not [key for key in keys if key.startswith("1-") and key.endswith(("traces", "ranks"))]
    assert {"2-hierarchical_noncentered-traces", "2-hierarchical_noncentered-ranks"} <= set(keys)
    exact, sampled = trust.verdicts(found)
    assert "independent, taken from the exact posterior" in exact
    assert "independent" not in sampled
