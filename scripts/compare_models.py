"""Fit the three models to the homework data and set their estimates side by side."""

from pathlib import Path

import partialpool as pp
from partialpool import plots
from partialpool.fitting import diagnostics

root = Path(__file__).resolve().parents[1]
data = pp.read_csv(root / "data" / "homework.csv")
programs = [pp.load(name) for name in ("complete_pooling", "no_pooling", "hierarchical_marginal")]
fits = pp.fit_programs(programs, data, priors=pp.priors_for(data))

for fit in fits:
    print(diagnostics.summary_line(fit, diagnostics.check(fit)))
print(pp.shrinkage_table(fits, data).round(2).to_string(index=False))

figure = plots.pooling_scatter(
    pp.estimates(fits, data),
    axis_title=data.axis_title,
    group_title=data.group_label,
    models={fit.name: fit.title for fit in fits},
)
plots.save(figure, Path("shrinkage"))
print("Figure: shrinkage.png, shrinkage.svg")
