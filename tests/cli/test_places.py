"""Results of one data set, column, command and choice never take the place of another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from partialpool.cli.places import claim, shared_target, target
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.report import results

ROWS = "school,hours,score\na,1,5\na,2,7\nb,4,6\n"


def made(folder: Path, data: object) -> Path:
    """Write a finished result, as far as its manifest says what it is of."""
    with results.new_folder(folder) as place:
        results.write_manifest(place, data, [])
    return folder


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / year / "grades.csv" for year in ("2023", "2024")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(ROWS + f"b,{number},8\n")
    return paths


def of(path: Path, value: str = "hours") -> object:
    return read(path, columns=Columns(group="school", value=value))


def test_other_files_and_other_columns_get_folders_of_their_own(
    tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    first = made(target(output, of(files[0])), of(files[0]))
    assert first == output / "grades"
    assert capsys.readouterr().out == ""
    second = made(target(output, of(files[1])), of(files[1]))
    assert second == output / "grades-2024"
    said = capsys.readouterr().out
    assert f"{first} holds results of other data ({files[0]}, column hours)" in said
    assert f"these go to {second} (--name names it)" in said
    third = made(target(output, of(files[0], "score")), of(files[0], "score"))
    assert third == output / "grades-score"
    fourth = made(target(output, of(files[1], "score")), of(files[1], "score"))
    assert fourth == output / "grades-2"
    for path, value, folder in (
        (files[0], "hours", first),
        (files[1], "hours", second),
        (files[0], "score", third),
        (files[1], "score", fourth),
    ):
        assert target(output, of(path, value)) == folder


def test_files_of_one_folder_and_name_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    for name, delimiter in (("grades.csv", ","), ("grades.txt", ";")):
        (tmp_path / name).write_text(ROWS.replace(",", delimiter) + f"b{delimiter}1{delimiter}2\n")
    columns = Columns(group="school", value="hours")
    first = read(tmp_path / "grades.csv", columns=columns)
    made(target(tmp_path / "results", first), first)
    other = read(tmp_path / "grades.txt", columns=columns, delimiter=";")
    assert target(tmp_path / "results", other).name == "grades-txt"


def test_the_same_data_go_where_they_went(tmp_path: Path, files: list[Path]) -> None:
    output = tmp_path / "results"
    folder = made(target(output, of(files[0])), of(files[0]))
    moved = tmp_path / "grades.csv"
    moved.write_bytes(files[0].read_bytes())
    assert target(output, of(moved)) == folder
    files[0].write_text(ROWS + "c,1,1\n")
    assert target(output, of(files[0])) == folder
    (folder / results.MARK).write_text('{"not": "of data"}')
    assert target(output, of(files[0])) != folder


def test_commands_and_choices_are_in_the_name(tmp_path: Path, files: list[Path]) -> None:
    data = of(files[0])
    named = {
        target(tmp_path, data, kind, choice).name
        for kind, choice in (
            ("compare", ()),
            ("compare", ("no_pooling", "own/mine.stan")),
            ("compare", ("without-no_pooling",)),
            ("priors", ("tau=half_cauchy(5)", "../x")),
        )
    }
    assert named == {
        "grades-compare",
        "grades-compare-no_pooling-mine",
        "grades-compare-without-no_pooling",
        "grades-priors-tau-half_cauchy-5-x",
    }
    long = [target(tmp_path, data, "priors", (f"half_cauchy_{k}",) * 30).name for k in range(2)]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 90


def test_a_name_of_the_users_is_kept_or_refused(tmp_path: Path, files: list[Path]) -> None:
    folder = made(target(tmp_path, of(files[0]), "groups", name="mine"), of(files[0]))
    assert folder == tmp_path / "mine-groups"
    with pytest.raises(InputError, match=r"--name mine: .* holds results of other data"):
        target(tmp_path, of(files[1]), "groups", name="mine")
    for name in ("a/b", "..", " ", ""):
        with pytest.raises(InputError, match="it must be the name of one folder"):
            target(tmp_path, of(files[0]), name=name)


def test_fits_of_many_data_sets_go_on_where_they_were_and_leave_others_alone(
    tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, other = of(files[0]), of(files[1]), of(files[0], "score")
    folder = shared_target(tmp_path, [first], name=None)
    assert folder == tmp_path / "fit-many"
    claim(folder, [first])
    assert shared_target(tmp_path, [second, first], name=None) == folder
    assert capsys.readouterr().out == ""
    beside = shared_target(tmp_path, [second], name=None)
    assert beside == tmp_path / "fit-many-2"
    assert f"{folder} holds fits of other data, and is left alone" in capsys.readouterr().out
    claim(beside, [second])
    assert shared_target(tmp_path, [other], name=None) == tmp_path / "fit-many-3"
    assert shared_target(tmp_path, [second], name=None) == beside
    with pytest.raises(InputError, match="--name fit-many: .* holds fits of other data"):
        shared_target(tmp_path, [second], name="fit-many")


def test_a_folder_of_something_else_is_refused(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "grades").mkdir()
    with pytest.raises(InputError, match="is no result folder of partialpool"):
        target(tmp_path, of(files[0]))


@pytest.mark.parametrize(
    "command",
    ["report", "prior-predictive", "verify", "priors", pytest.param("fit", marks=pytest.mark.stan)],
)
def test_a_place_that_cannot_be_written_is_found_before_sampling(
    command: str, run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, out, err = run(command, "homework", "--output", "file/results")
    assert (code, "results cannot be written there" in err) == (2, True)
    assert "Sampling" not in out


def test_no_result_is_lost_to_another_file_or_column(run, tmp_path: Path, cmdstan) -> None:
    for year in ("2023", "2024"):
        (tmp_path / year).mkdir()
        rows = [f"{'abc'[k % 3]},{k % 5 + int(year) % 7},{k % 4}" for k in range(12)]
        (tmp_path / year / "grades.csv").write_text("\n".join(["school,hours,score", *rows]))
    made = {}
    for file, value in (("2023", "hours"), ("2024", "hours"), ("2023", "score")):
        columns = (
            "--group",
            "school",
            "--value",
            value,
            "--draws",
            "500",
            "-p",
            "complete_pooling",
        )
        code, out, _ = run("fit", f"{file}/grades.csv", *columns)
        assert code == 0
        made[out.rsplit("Saved in ", 1)[1].strip()] = (file, value)
    assert list(made) == [
        f"results/{name}"
        for name in (
            "grades-complete_pooling",
            "grades-2024-complete_pooling",
            "grades-score-complete_pooling",
        )
    ]
    for folder, (file, value) in made.items():
        reading = results.read_manifest(tmp_path / folder)["data"]["reading"]
        assert reading["files"] == [str(tmp_path / file / "grades.csv")]
        assert reading["columns"]["value"] == value
