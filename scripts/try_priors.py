"""Refit a data set under other priors and print what changes.

    python scripts/try_priors.py [CSV [CHOICE ...]]

Without a file it takes the homework data, without choices the default ones. A choice is a name
(half_cauchy, hoff ...) or written out: 'tau=half_cauchy(5), sigma=half_normal(10)'.
"""

import sys
from pathlib import Path

from partialpool import data, plots
from partialpool.fitting.inputs import priors_for
from partialpool.plots.sensitivity import prior_sensitivity
from partialpool.studies import prior_predictive, sensitivity

path, *texts = sys.argv[1:] or [data.example()]
grouped = data.read_csv(path)
priors = priors_for(grouped)
chosen = sensitivity.choose(texts, grouped, priors)

found = sensitivity.compare_priors(grouped, priors=priors, choices=chosen)
shown = ["choice", "mu", "tau", "icc", "pooling_factor", "moved", "largest_movement", "ess_min"]
print(found.summary[shown].round(3).to_string(index=False))
expected = prior_predictive.from_choices(chosen, grouped)
print(*found.sentences, *expected.sentences, sep="\n")

figure = prior_sensitivity(
    found.densities,
    found.estimates,
    axis_title=grouped.axis_title,
    group_title=grouped.group_label,
)
Path("results").mkdir(exist_ok=True)
plots.save(figure, "results/prior_sensitivity")
