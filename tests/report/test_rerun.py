"""A result made again from its manifest: the same to the last bit, or a word on what differs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.hand_made import make_fit
from partialpool import cli
from partialpool.data import read_csv
from partialpool.errors import InputError
from partialpool.report import rerun, results

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--warmup", "300", "--draws", "300")
SHIFTED = """functions {
#include parts/shift.stan
}
data {
  int N;
  vector[N] y;
}
parameters {
  real theta;
  real<lower=0> sigma;
}
model {
  y ~ normal(shifted(theta), sigma);
}
"""


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the console command in an empty folder; return exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["partialpool", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out + err

    return run


FOLDER = "results/homework-compare-complete_pooling-hierarchical_marginal"


def test_a_comparison_is_made_again_bit_for_bit(call, tmp_path, lesson_fits):
    file = tmp_path / "homework.csv"
    shutil.copy(ROOT / "data" / "homework.csv", file)
    shutil.copy(ROOT / "data" / "homework.toml", tmp_path)
    choice = ("-p", "complete_pooling", "-p", "hierarchical_marginal", "--prior", "mu_scale=9")
    assert call("compare", str(file), *choice, *SHORT, "--seed", "7")[0] in (0, 5)
    (tmp_path / "homework.toml").unlink()
    code, said = call("rerun", FOLDER)
    assert code == 0, said
    assert "Draws of complete pooling: identical, bit for bit" in said
    assert "Draws of partial pooling: identical, bit for bit" in said
    assert "Tables: 2 identical, byte for byte" in said
    again = results.read_manifest(f"{FOLDER}-rerun")
    first = results.read_manifest(FOLDER)
    assert again["data"] == first["data"]
    assert again["fits"][0]["priors"]["mu_scale"] == 9
    assert again["fits"][0]["settings"] == first["fits"][0]["settings"]

    file.write_text(file.read_text() + "8,3.5\n")
    code, said = call("rerun", FOLDER)
    assert (code, "the data have changed since" in said) == (InputError.exit_code, True)
    moved = tmp_path / "moved.csv"
    shutil.copy(ROOT / "data" / "homework.csv", moved)
    code, said = call("rerun", FOLDER, "--data", str(moved))
    assert code == 0, said

    manifest = first | {"fits": [first["fits"][0] | {"settings": first["fits"][0]["settings"]}]}
    manifest["fits"][0]["settings"]["seed"] = 8
    manifest["fits"][0]["versions"]["numpy"] = "0.1"
    (Path(FOLDER) / "manifest.json").write_text(json.dumps(manifest))
    code, said = call("rerun", FOLDER, "--data", str(moved))
    assert code == 5
    assert "numpy was 0.1, and is" in said
    assert "Draws of complete pooling: not there to compare" in said
    assert "2 different (estimates.csv, shrinkage.csv)" in said


def test_a_program_of_ones_own_with_an_include_is_in_the_manifest(call, tmp_path, cmdstan):
    (tmp_path / "mine" / "parts").mkdir(parents=True)
    (tmp_path / "mine" / "shifty.stan").write_text(SHIFTED)
    body = "  real shifted(real a) {\n    return a + 1;\n  }\n"
    (tmp_path / "mine" / "parts" / "shift.stan").write_text(body)
    assert call("fit", "homework", "-p", "mine/shifty.stan", *SHORT)[0] in (0, 5)
    shutil.rmtree(tmp_path / "mine")
    code, said = call("rerun", "results/homework-shifty")
    assert code == 0, said
    assert "Draws of shifty: identical, bit for bit" in said


def test_a_report_is_made_again_with_the_same_tables(call, lesson_fits):
    choice = ("-p", "complete_pooling", "-p", "no_pooling", "--delta", "1")
    assert call("report", "homework", *choice, *SHORT)[0] in (0, 5)
    code, said = call("rerun", "results/homework")
    assert code == 0, said
    assert "identical, byte for byte" in said
    tables = {path.name for path in Path("results/homework-rerun/tables").iterdir()}
    assert tables == {path.name for path in Path("results/homework/tables").iterdir()}
    assert results.read_manifest("results/homework-rerun")["delta"] == 1


# Without Stan


def test_draws_that_differ_in_one_bit_differ(homework):
    one, two = (make_fit(homework, "no_pooling", draws=10) for _ in range(2))
    assert rerun.same_draws(one, two)
    theta = two.draws["posterior"]["theta"].to_numpy()
    theta[0, 0, 0] = np.nextafter(theta[0, 0, 0], np.inf)
    assert not rerun.same_draws(one, two)
    other = make_fit(homework, "no_pooling", draws=10, pointwise=True)
    assert not rerun.same_draws(one, other)


def written(folder: Path, **changes: object) -> Path:
    """Write a result of made draws; `changes` replace parts of its manifest."""
    data = read_csv(ROOT / "data" / "homework.csv")
    fit = make_fit(data, "no_pooling", draws=10)
    with results.new_folder(folder) as place:
        fit.save(place / "no_pooling.nc")
        results.write_manifest(place, data, [fit], kind="fit")
    manifest = results.read_manifest(folder) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def refused(folder: Path, match: str) -> None:
    with pytest.raises(InputError, match=match):
        rerun.rerun(folder, cmdstan=object())
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_is_no_result_is_refused(tmp_path):
    (tmp_path / "x").mkdir()
    refused(tmp_path / "x", r"no result of partialpool.*manifest\.json")
    (tmp_path / "x" / "manifest.json").write_text("{half")
    refused(tmp_path / "x", r"manifest\.json: cannot be read")
    (tmp_path / "x" / "manifest.json").write_text("[1]")
    refused(tmp_path / "x", "does not describe a result")


def test_data_that_came_from_elsewhere_cannot_be_read_again(tmp_path):
    refused(written(tmp_path / "x", data={"name": "a", "sha256": "b"}), "did not come from files")


def test_a_manifest_that_lacks_something_says_what(tmp_path):
    folder = written(tmp_path / "x")
    manifest = results.read_manifest(folder)
    record = {key: value for key, value in manifest["fits"][0].items() if key != "source"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"fits": [record]}))
    refused(folder, "does not state 'source'")


def test_a_manifest_cannot_write_outside_of_a_folder(tmp_path):
    folder = written(tmp_path / "x")
    manifest = results.read_manifest(folder)
    record = manifest["fits"][0] | {"included": {"../../escaped.stan": "x"}, "extra": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"fits": [record]}))
    refused(folder, "names a file outside")
    assert not (tmp_path.parent / "escaped.stan").exists()
