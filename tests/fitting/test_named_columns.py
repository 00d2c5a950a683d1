"""Programs as they are published, on a CSV file alone: their data blocks name columns."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from partialpool import fitting, programs
from partialpool.data import columns, example, from_values
from partialpool.data.reading import Columns, read
from partialpool.errors import InputError
from partialpool.fitting.inputs import collect, parse_columns, priors_for
from partialpool.programs import declarations
from partialpool.settings import Settings
from partialpool.studies import many
from partialpool.tables import shrinkage

REGIONS = Path(__file__).resolve().parents[1] / "programs" / "regions.stan"
LOGIT = REGIONS.with_name("hierarchical_logit.stan")
FORMS = {
    "radon": """data { int N; int J; array[N] int<lower=1, upper=J> county_idx; vector[N] x;
        vector[J] u; vector[N] log_radon; } parameters { vector[J] alpha; }""",
    "rats": """data { int<lower=0> N; int<lower=0> Npts; array[Npts] int<lower=0> rat;
        array[Npts] real x; array[Npts] real y; real xbar; } parameters { array[N] real alpha; }""",
    "surgical": """data { int N; array[N] int r; array[N] int n; } parameters { vector[N] b; }
        transformed parameters { vector[N] p = inv_logit(b); }""",
    "schools": """data { int<lower=0> J; array[J] real y; array[J] real<lower=0> sigma; }
        parameters { real mu; real<lower=0> tau; vector[J] theta; }""",
}
"""Data blocks of the forms in which well-known programs are published."""


@pytest.fixture
def radon(tmp_path):
    """Three counties, not in order of their labels, with a column by county."""
    (tmp_path / "radon.csv").write_text(
        "county,floor,uranium,log_radon,kind,year\n"
        "b,1,0.5,1.5,K,7\na,0,-1,0.5,L,7\nb,0,0.5,2.5,L,7\nc,0,2,1.0,K,7\na,1,-1,1.0,K,7\n"
    )
    return read(tmp_path / "radon.csv", columns=Columns(group="county", value="log_radon"))


def given(data, form, *named, theta=None, priors=None, extra=None, place=None):
    """What a program of a form is given, and the program."""
    path = place / f"{form}.stan"
    path.write_text(FORMS.get(form, form), "utf-8")
    program = programs.load(path, family=data.family.name)
    program = program.pointed(parse_columns(named), theta)
    return collect(program, data, priors_for(data, priors), extra=extra), program


@pytest.mark.stan
def test_columns_come_in_the_shapes_that_are_declared(radon, tmp_path):
    names = ("county_idx=county", "x=floor", "u=uranium")
    found, program = given(radon, "radon", *names, theta="alpha", place=tmp_path)
    values = {name: np.asarray(value).tolist() for name, value in found.values.items()}
    assert radon.labels == ("b", "a", "c")
    assert values["county_idx"] == [1, 2, 1, 3, 2]
    assert values["x"] == [1, 0, 0, 0, 1]
    assert values["u"] == [0.5, -1, 2]
    assert values["log_radon"] == radon.y.tolist()
    assert (values["N"], values["J"]) == (5, 3)
    [axis] = found.columns.axes(program)["alpha"]
    assert (axis.name, axis.labels) == ("group", ("b", "a", "c"))


@pytest.mark.stan
def test_an_index_of_groups_has_their_order_whatever_its_labels(radon, tmp_path):
    frame = pd.read_csv(tmp_path / "radon.csv")
    frame["code"] = frame["county"].map({"a": 10, "b": 30, "c": 20})
    frame["half"] = frame["county"].map({"a": 1, "b": 1, "c": 2})
    frame.to_csv(tmp_path / "coded.csv", index=False)
    data = read(tmp_path / "coded.csv", columns=Columns(group="county", value="log_radon"))
    names = ("x=floor", "u=uranium")
    found, _ = given(data, "radon", "county_idx=code", *names, place=tmp_path)
    assert found.values["county_idx"].tolist() == [1, 2, 1, 3, 2]
    with pytest.raises(InputError, match="county_idx counts up to J.*'half' are others"):
        given(data, "radon", "county_idx=half", *names, place=tmp_path)


@pytest.mark.stan
def test_sizes_of_other_names_count_rows_or_groups(tmp_path):
    frame = pd.DataFrame({"rat": np.repeat(["r2", "r1"], 3), "x": [8, 15, 22] * 2, "y": range(6)})
    frame.to_csv(tmp_path / "rats.csv", index=False)
    data = read(tmp_path / "rats.csv", columns=Columns(group="rat", value="y"))
    with pytest.raises(InputError, match=r"counted by Npts.*--column N=N \(rows\) or --column N=J"):
        given(data, "rats", priors={"xbar": 15.0}, place=tmp_path)
    found, program = given(data, "rats", "N=J", priors={"xbar": 15.0}, place=tmp_path)
    assert (found.values["N"], found.values["Npts"], found.values["xbar"]) == (2, 6, 15)
    assert found.values["rat"].tolist() == [2, 2, 2, 1, 1, 1]  # r1 before r2
    assert found.columns.axes(program)["alpha"][0].name == "group"
    again, _ = given(data, "rats", "N=rat", priors={"xbar": 15.0}, place=tmp_path)
    assert again.values["N"] == 2


@pytest.mark.stan
def test_a_name_with_two_meanings_is_asked_about(tmp_path):
    (tmp_path / "x.csv").write_text("hospital,n,r\nB,47,0\nA,148,18\nC,119,8\n")
    data = read(tmp_path / "x.csv", columns=Columns(group="hospital", value="r"))
    with pytest.raises(InputError, match="--column n=n takes the column"):
        given(data, "surgical", place=tmp_path)
    found, _ = given(data, "surgical", "n=n", place=tmp_path)
    assert found.values["n"].tolist() == [47, 148, 119]
    assert found.values["r"].tolist() == [0, 18, 8]
    assert found.values["r"].dtype.kind == "i"


@pytest.mark.stan
def test_estimates_give_columns_in_the_order_of_their_groups(tmp_path):
    data = read(example("eight_schools"))
    found, _ = given(data, "schools", "sigma=se", place=tmp_path)
    assert np.asarray(found.values["sigma"]).tolist() == data.stats.se.tolist()


@pytest.mark.stan
@pytest.mark.parametrize(
    ("form", "named", "message"),
    [
        ("data { vector[N] x; }", ["x=flor"], "no column 'flor'; there are 'county', 'floor'"),
        ("data { int J; vector[J] u; }", ["u=floor"], "'floor' has different values in 'b'"),
        ("data { int N; vector[N] x; }", ["x=kind"], "needs numbers.*'K' in row 1"),
        ("data { int N; array[N] int x; }", ["x=uranium"], "as integers.*'uranium' has 0.5"),
        ("data { real x; }", ["x=floor"], "a single number.*has 2 different ones"),
        ("data { int M; vector[M] x; }", ["x=uranium"], "--column M=N or --column M=J"),
        ("data { real flor; }", [], r"nearest name: 'floor'.*Columns of the data: county, floor"),
    ],
)
def test_columns_that_do_not_fit_are_refused(radon, tmp_path, form, named, message):
    form = form.replace("vector[N]", "int N; vector[N]") if "int N" not in form else form
    with pytest.raises(InputError, match=message):
        given(radon, f"{form} parameters {{ real a; }}", *named, place=tmp_path)


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    """Schools in regions, with what a regression needs."""
    rng = np.random.default_rng(3)
    school = np.repeat(np.arange(12), 5)
    frame = pd.DataFrame({"school": [f"s{k}" for k in school], "one": 1, "hours": 0.0})
    frame["hours"] = rng.normal(size=60)
    frame["region"] = np.array(["north", "west", "east"])[school % 3]
    frame["depth"] = np.array([1.0, -2.0, 0.5])[school % 3]
    frame["score"] = frame["depth"] + 2 * frame["hours"] + rng.normal(0, 0.7, size=60)
    frame["noise"] = 0.7
    path = tmp_path_factory.mktemp("regions") / "regions.csv"
    frame.sample(frac=1, random_state=1).to_csv(path, index=False)
    return path


def test_a_published_program_runs_on_a_csv_file_alone(regions, cmdstan):
    data = read(regions, columns=Columns(group="school", value="score"))
    program = programs.load(REGIONS).pointed({"X": ("one", "hours")}, "alpha[region]")
    [fit] = fitting.fit_programs(
        [program],
        data,
        priors=priors_for(data),
        settings=Settings(draws=1000),
        cmdstan=cmdstan,
    )
    posterior = fit.posterior
    assert posterior["alpha"].dims[2:] == ("region",)
    assert posterior["slopes"].dims[2:] == ("region", "X_column")
    assert posterior["beta"].coords["X_column"].to_numpy().tolist() == ["one", "hours"]
    frame = pd.read_csv(regions)
    labels = posterior["region"].to_numpy().tolist()
    dummies = np.column_stack([frame["region"] == label for label in labels]).astype(float)
    design = np.column_stack([frame[["one", "hours"]], dummies])
    depth = frame.groupby("region")["depth"].first()[labels]
    prior = np.diag([1 / 25, 1 / 25, 1, 1, 1])
    precision = prior + design.T @ design / 0.49
    weighted = prior @ [0, 0, *depth] + design.T @ frame["score"] / 0.49
    exact = np.linalg.solve(precision, weighted)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    estimates = shrinkage.estimates([fit], data)
    rows = estimates.set_index("parameter")
    names = ["beta[one]", "beta[hours]", *(f"alpha[{label}]" for label in labels)]
    off = (rows.loc[names, "mean"] - exact) / rows.loc[names, "mcse_mean"]
    assert (off.abs() < 4.5).all()
    assert np.allclose(rows.loc[names, "sd"], sd, rtol=0.15)
    assert fit.pooling == "none"  # alpha comes from no parameter
    theta = estimates[estimates["parameter"] == "theta"].set_index("group")["mean"]
    where = frame.groupby("school")["region"].first()
    for school in data.labels:
        assert theta[school] == pytest.approx(rows.loc[f"alpha[{where[school]}]", "mean"])


def test_effects_of_another_name_enter_the_comparison(run, tmp_path, cmdstan):
    rng = np.random.default_rng(2)
    shares = np.repeat([0.2, 0.5, 0.8], 40)
    rows = [f"{'abc'[k // 40]},{int(rng.random() < p)}" for k, p in enumerate(shares)]
    (tmp_path / "hits.csv").write_text("\n".join(["player,hit", *rows]) + "\n")
    code, out, err = run("compare", "hits.csv", "-p", str(LOGIT), "--theta", "alpha")
    assert (code, err) == (0, "")
    assert "the means of groups are proportions" in out
    assert "no theta that is known to be normal given mu, tau" in out
    [place] = (tmp_path / "results").iterdir()
    table = pd.read_csv(place / "shrinkage.csv", index_col="group")
    assert (np.diff(table["hierarchical_logit"]) > 0).all()
    code, _, err = run("compare", "hits.csv", "-p", str(LOGIT), "--theta", "beta")
    assert (code, "--theta beta: no program of this run writes it" in err) == (2, True)
    code, _, err = run("compare", "hits.csv", "-p", str(LOGIT), "--column", "x=player")
    assert (code, "--column x: no program of this run declares it" in err) == (2, True)
    code, out, _ = run("rerun", str(place))
    assert (code, "identical, bit for bit" in out) == (0, True)


@pytest.mark.stan
def test_values_by_label_are_put_in_order_and_lists_are_said_to_have_one(radon, tmp_path):
    names, how = ("county_idx=county", "x=floor"), {"place": tmp_path}
    by_label = {"u": {"c": 3, "a": 1, "b": 2}}
    found, _ = given(radon, "radon", *names, extra=by_label, **how)
    assert (found.values["u"], found.notes) == ([2, 1, 3], ())
    found, _ = given(radon, "radon", *names, extra={"u": [3, 1, 2]}, **how)
    assert "in this order of group: b, a, c" in found.notes[0]
    found, _ = given(radon, "radon", *names, extra={"u": [3, 3, 3]}, **how)
    assert found.notes == ()
    found, _ = given(radon, "radon", *names, extra={"u": [3, 1, 2], "x": [0, 0, 1, 0, 1]}, **how)
    assert "x of --extra-data is taken in the order of the rows" in " ".join(found.notes)
    for wrong, message in (({"a": 1, "b": 2}, "no value for group 'c'"), ({"d": 1}, "'d'")):
        with pytest.raises(InputError, match=message):
            given(radon, "radon", *names, extra={"u": wrong}, **how)


def test_rows_are_read_as_the_data_were(tmp_path, radon):
    assert columns.names_of(radon)[:2] == ("county", "floor")
    assert columns.read_columns(radon, ["kind"])["kind"] == ["K", "L", "L", "K", "K"]
    (tmp_path / "gaps.csv").write_text("g;y;x\na;1,5;2\nb;NA;3\na;2;4\nb;3;5\n")
    how = {"delimiter": ";", "decimal": ",", "drop_missing": True}
    gaps = read(tmp_path / "gaps.csv", columns=Columns(group="g", value="y"), **how)
    assert columns.read_columns(gaps, ["x"]) == {"x": ["2", "4", "5"]}
    (tmp_path / "gaps.csv").write_text("g;y;x\nb;1,5;2\na;2;4\nb;3;5\n")
    with pytest.raises(InputError, match="not those that were read before"):
        columns.read_columns(gaps, ["x"])
    (tmp_path / "s.csv").write_text("group,n,mean,sd,u\nb,3,1,1,5\na,2,2,1,6\n")
    sums = read(tmp_path / "s.csv")
    order = dict(zip(("b", "a"), "56", strict=True))
    assert columns.read_columns(sums, ["u"])["u"] == [order[label] for label in sums.labels]
    pd.DataFrame({"g": ["a", "b"], "y": [1.0, 2.0], "x": [3, 4]}).to_parquet(tmp_path / "p.parquet")
    table = read(tmp_path / "p.parquet", columns=Columns(group="g", value="y"))
    assert columns.read_columns(table, ["x"])["x"] == ["3", "4"]
    many = radon.without_observations()
    with pytest.raises(InputError, match="only the statistics by group"):
        columns.read_columns(many, ["floor"])
    memory = from_values(["a", "b"], [1.0, 2.0], columns={"x": [3.5, 4.0]})
    assert columns.read_columns(memory, ["x"])["x"] == ["3.5", "4.0"]
    short = from_values(["a", "b"], [1.0, 2.0], columns={"x": [3.5]})
    with pytest.raises(InputError, match="'x' has 1 values for 2 rows"):
        columns.read_columns(short, ["x"])


def test_declarations_are_read_with_their_sizes(tmp_path):
    path = tmp_path / "x.stan"
    path.write_text(
        "data { int<lower=0> N; // rows\n array[N, 2] vector[K + 1] a; cov_matrix[K] s;"
        "real<lower=f(1, 2), upper=3> b, c; tuple(real, int) t; }\n"
        "transformed parameters { { real hidden; } vector[N] d = a[1, 1]; }"
    )
    program = programs.Program(path, {"included_files": []}, "0")
    found = declarations.read_inputs(program)
    assert {name: each.sizes for name, each in found.items()} == {
        "N": (),
        "a": ("N", "2", "K + 1"),
        "s": ("K", "K"),
        "b": (),
        "c": (),
    }
    assert (found["b"].lower, found["c"].upper) == ("f(1, 2)", "3")
    assert list(declarations.read_outputs(program)) == ["d"]


def test_columns_are_named_once(tmp_path):
    assert parse_columns(["x=floor", "X = a, b"]) == {"x": ("floor",), "X": ("a", "b")}
    for texts, message in ((["x"], "write NAME=COLUMN"), (["x=a", "x=b"], "x is given twice")):
        with pytest.raises(InputError, match=message):
            parse_columns(texts)
    (tmp_path / "x.json").write_text('{"u": [1], "u": [2]}')
    with pytest.raises(InputError, match="'u' is given twice"):
        fitting.inputs.read_extra(tmp_path / "x.json")


def test_a_job_takes_along_the_columns_that_it_needs(regions, tmp_path, cmdstan):
    copy = tmp_path / "regions.csv"
    copy.write_bytes(regions.read_bytes())
    data = read(copy, columns=Columns(group="school", value="score"))
    program = programs.load(REGIONS).pointed({"X": ("one", "hours")}, "alpha[region]")
    [job] = many.make_jobs([data], [program], settings=Settings(draws=100))
    assert set(columns.names_of(job.data)) == {"one", "hours", "region", "depth", "score", "noise"}
    copy.unlink()
    result = many.run_job(pickle.loads(pickle.dumps(job)))
    assert not result.failed, result.message
    assert {"alpha[west]", "theta"} <= set(result.estimates["parameter"])
