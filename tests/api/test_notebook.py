"""A notebook of a new user's, run from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

CELLS = (
    "import pandas as pd\nimport partialpool as pp",
    "frame = pd.read_csv(DATA)\nframe.head()",
    "pp.compare(frame, group='school', value='hours', unit='hours a week', fit=False)",
    "result = pp.compare(frame, group='school', value='hours', unit='hours a week')\nresult",
    "result.shrinkage",
    "result['5'].prob('>', 8)",
    "result.difference('5', '6')",
    "result.plot.models()",
    "narrow = pp.compare(frame, 'school', 'hours', priors={'tau': 'half_t(3, 1)'})\n"
    "pp.beside({'default': result, 'narrow': narrow})",
    "trials = {'trial': list('abcd'), 'effect': [1, 2, 0, 4], 'variance': [1, 1, 2, 2]}\n"
    "pp.compare(trials, group='trial', estimate='effect', variance='variance', fit=False)",
    "result.report(REPORT)",
)


@pytest.mark.usefixtures("cmdstan")
def test_a_notebook_runs_without_a_stray_word(tmp_path: Path) -> None:
    data = Path(__file__).resolve().parents[2] / "data" / "homework.csv"
    places = {"DATA": repr(str(data)), "REPORT": repr(str(tmp_path / "report"))}
    cells = []
    for source in CELLS:
        for name, place in places.items():
            source = source.replace(name, place)
        cells.append(nbformat.v4.new_code_cell(source))
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    for cell in notebook.cells:
        kinds = [output.output_type for output in cell.outputs]
        assert "stream" not in kinds, cell.outputs
        assert "error" not in kinds
    shown = {k: notebook.cells[k].outputs[-1]["data"] for k in (3, 7)}
    assert "In short" not in shown[3]["text/html"]
    assert "Nothing that was checked speaks against partial pooling" in shown[3]["text/html"]
    assert "image/png" in shown[7] or "image/svg+xml" in shown[7]
    assert (tmp_path / "report" / "report.html").stat().st_size > 100_000
