"""Fit the three models to the homework data and set their estimates side by side."""

from pathlib import Path

import partialpool as pp
from partialpool import plots

result = pp.compare(Path(__file__).resolve().parents[1] / "data" / "homework.csv")
print(result)
print(result.shrinkage.round(2).to_string(index=False))

plots.save(result.plot.models(), "models")
print("Figure: models.png, models.svg")
