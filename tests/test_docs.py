"""The pages build, and every notebook in them runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.stan]

ROOT = Path(__file__).resolve().parents[1]


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / "scripts" / "docs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lesson = (ROOT / "site" / "learn" / "lesson.html").read_text("utf-8")
    assert "Nothing that was checked speaks against partial pooling" in lesson
    assert "<img" in lesson
    for page in (ROOT / "site").rglob("*.html"):
        assert "https://cdn" not in page.read_text("utf-8"), page
