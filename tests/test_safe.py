"""What comes from data stays data: in pages, names of files, commands and what is loaded."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from partialpool.data import read_csv
from partialpool.report import page, results
from partialpool.tables import comparison
from partialpool.text import safe

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = "<script>alert(1)</script> \"'& ${IFS} $(touch x) `touch x` {{ 7 * 7 }} \\"


class Tags(HTMLParser):
    """Collects tags, the names of attributes, and text outside of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Data whose every name is an attempt: file, columns, labels, title, unit."""
    folder = tmp_path_factory.mktemp("hostile")
    path = folder / f"{HOSTILE.replace('/', '-')}.csv"
    quoted = HOSTILE.replace('"', '""')
    rows = [f'"{quoted}{k % 3}",{k * k % 7}' for k in range(30)]
    path.write_text("\n".join([f'"group {quoted}","value {quoted}"', *rows]) + "\n")
    text = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    keys = ("title", "unit", "group_label", "value_label")
    path.with_suffix(".toml").write_text("".join(f'{key} = "{key} {text}"\n' for key in keys))
    return read_csv(path)


def test_names_are_text_on_the_page_whatever_they_hold(hostile, fitted):
    fits = fitted(hostile, ["no_pooling", "hierarchical_noncentered"], pointwise=True)
    found = comparison.compute(hostile, fits)
    assert not found.missing
    made = {
        "made": HOSTILE,
        "versions": {"partialpool": HOSTILE, "python": HOSTILE},
        "data": {"source": hostile.source, "name": hostile.name, "sha256": hostile.sha256},
        "fits": [],
    }
    html = page.render(found, page.sections(found, {}, {}), made=made, missing={HOSTILE: HOSTILE})
    read = Tags(html)
    assert read.tags.count("script") == 1, "only that which sorts tables"
    assert not [name for name in read.attributes if name.startswith("on")]
    assert "<script>alert" not in html
    assert "49" not in "".join(t for t in read.text if "7 * 7" in t)
    cells = {text.strip() for text in read.text}
    assert set(hostile.labels) <= cells
    assert f"title {HOSTILE}" in cells


def test_no_name_leaves_the_folder_of_results(hostile, tmp_path):
    assert "/" not in hostile.name
    with results.new_folder(tmp_path / "results" / hostile.name) as folder:
        results.write_manifest(folder, hostile, [])
    assert [path.name for path in (tmp_path / "results").iterdir()] == [hostile.name]
    for label in (*hostile.labels, "../../x", "/etc/passwd", "..", "", "a/b", "nul\0"):
        assert re.fullmatch(r"[A-Za-z0-9_-]+", safe(label))


def test_a_name_of_dots_is_no_way_up(tmp_path):
    path = tmp_path / "...csv"
    path.write_text("g,y\na,1\na,2\nb,3\n")
    name = read_csv(path).name
    with pytest.raises(results.InputError, match="no result folder"):
        results.check_target(tmp_path / "results" / name)


FORBIDDEN = re.compile(
    r"shell\s*=\s*True|os\.system|os\.popen|\beval\(|\bexec\(|allow_pickle|read_pickle|marshal"
    r"|yaml\.load|joblib"
)
OWN_PIPES = {"report/drawing.py", "report/drawing_process.py"}


def test_nothing_is_run_by_a_shell_and_no_file_is_unpickled():
    """Pickles pass between the report and the drawing processes that it starts, by pipes only."""
    source = ROOT / "src" / "partialpool"
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not FORBIDDEN.search(text), path
        if path.relative_to(source).as_posix() not in OWN_PIPES:
            assert not re.search(r"^\s*(import|from) (cloud)?pickle", text, re.MULTILINE), path
        else:
            assert "pickle.load(open" not in text
