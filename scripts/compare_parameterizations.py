"""Fit the centered, the non-centered and the marginal form, and say which to use here.

    python scripts/compare_parameterizations.py [CSV [GROUP ...]]

Without a file it takes the homework data. The figure of the funnel shows the group with the
weakest data, and each group that is named.
"""

import sys
from pathlib import Path

from partialpool import data, plots
from partialpool.fitting.inputs import priors_for
from partialpool.plots.parameterization import effective_draws, funnel
from partialpool.studies import parameterizations

path, *groups = sys.argv[1:] or [data.example()]
grouped = data.read_csv(path)
found = parameterizations.compare_parameterizations(
    grouped, priors=priors_for(grouped), groups=groups
)
print(found.table.set_index("form").T.to_string())
print(found.agreement.to_string(index=False))
print(*found.verdict.sentences, sep="\n")

titles = {fit.name: fit.title for fit in found.fits}
labels = {"axis_title": grouped.axis_title, "group_title": grouped.group_label}
Path("results").mkdir(exist_ok=True)
plots.save(effective_draws(found.table, models=titles), "results/effective_draws")
for number, (_, draws) in enumerate(found.funnel.groupby("group", sort=False), start=1):
    plots.save(funnel(draws, models=titles, **labels), f"results/funnel_{number}")
