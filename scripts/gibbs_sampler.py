"""Check Stan by a sampler that shares no code with it, and compare their speed.

    python scripts/gibbs_sampler.py [CSV]

The model is partial pooling with inverse-gamma priors on both variances, by default those of Hoff
(2009), exercise 8.3: there every full conditional is a standard distribution, so that a Gibbs
sampler of a few lines of NumPy (src/partialpool/gibbs.py) does what Stan does.
"""

import sys

from partialpool import data
from partialpool.families import NORMAL
from partialpool.fitting.inputs import priors_for
from partialpool.studies.gibbs_check import compare_samplers
from partialpool.tables import exactness

grouped = data.read_csv(sys.argv[1] if len(sys.argv) > 1 else data.example())
choice = NORMAL.named_choices(grouped.stats, priors_for(grouped))["hoff"]
print(choice.describe())
found = compare_samplers(grouped, choice)
print(exactness.one_line(exactness.agreement(found.comparison)))
print(found.speed.round({"seconds": 2, "ess": 0, "ess_per_second": 0}).to_string(index=False))
