"""CmdStanPy's public methods with the CmdStan folder at hand, on programs with known answers.

Nothing here is particular to one CmdStan: the module passes against a release of it as well.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cmdstanpy
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from partialpool.programs.toolchain import CmdStan

pytestmark = [pytest.mark.stan, pytest.mark.usefixtures("cmdstan")]

PROGRAMS = Path(__file__).parents[1] / "programs"
SEED = 20240607

BERNOULLI = {"N": 12, "y": [1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1]}
BERNOULLI_POSTERIOR = stats.beta(1 + 8, 1 + 4)

_random = np.random.default_rng(5)
_x = np.column_stack([np.ones(40), _random.normal(size=(40, 2))])
_x[:, 2] += 0.8 * _x[:, 1]
SIGMA = 0.5
_y = _x @ [1.0, -2.0, 0.5] + SIGMA * _random.normal(size=40)
REGRESSION = {"N": 40, "K": 3, "x": _x, "y": _y, "sigma": SIGMA}
LEAST_SQUARES = np.linalg.solve(_x.T @ _x, _x.T @ _y)
COVARIANCE = SIGMA**2 * np.linalg.inv(_x.T @ _x)
SD = np.sqrt(np.diag(COVARIANCE))

TIMES = np.linspace(0.2, 3, 8)
DECAY = {"T": 8, "t": TIMES, "y": np.exp(-0.7 * TIMES), "M": 0}


def _logit_data() -> dict[str, Any]:
    random = np.random.default_rng(11)
    alpha = random.normal(0.5, 1.0, size=20)
    group = np.repeat(np.arange(20), 15)
    y = random.random(300) < special.expit(alpha[group])
    return {"N": 300, "J": 20, "group": group + 1, "y": y.astype(int)}


LOGIT = _logit_data()


def _compile(path: str, options: dict[str, Any]) -> str:
    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    return str(cmdstanpy.CmdStanModel(stan_file=path, **options).exe_file)


def _options(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        "bernoulli": {"stanc_options": {"include-paths": [str(folder / "include")], "O1": True}},
        "regression": {},
        "decay": {},
        "dice": {
            "user_header": str(folder / "faces.hpp"),
            "cpp_options": {"STAN_NO_RANGE_CHECKS": True},
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the programs to compile in."""
    return shutil.copytree(PROGRAMS, tmp_path_factory.mktemp("methods") / "programs")


@pytest.fixture(scope="module")
def models(folder: Path) -> Mapping[str, cmdstanpy.CmdStanModel]:
    """The programs compiled, two at a time."""
    options = _options(folder)
    paths = [str(folder / f"{name}.stan") for name in options]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_compile, paths, options.values()))
    return {
        name: cmdstanpy.CmdStanModel(stan_file=path, **options[name])
        for name, path in zip(options, paths, strict=True)
    }


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own: programs with profiles write profile.csv where they run."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def threaded(folder: Path) -> cmdstanpy.CmdStanModel:
    return cmdstanpy.CmdStanModel(
        stan_file=folder / "hierarchical_logit.stan", cpp_options={"STAN_THREADS": True}
    )


@pytest.fixture(scope="module")
def fit(models: Mapping[str, cmdstanpy.CmdStanModel]) -> cmdstanpy.CmdStanMCMC:
    """Draws of the regression, kept with warmup, profile and diagnostic files."""
    return models["regression"].sample(
        REGRESSION,
        chains=2,
        seed=SEED,
        iter_warmup=400,
        iter_sampling=1000,
        save_warmup=True,
        save_profile=True,
        save_latent_dynamics=True,
        sig_figs=10,
        show_progress=False,
    )


def _assert_regression(draws: np.ndarray, *, standard_errors: float) -> None:
    """Mean and covariance of draws of beta, within 4 standard errors of the exact ones."""
    assert np.all(np.abs(draws.mean(axis=0) - LEAST_SQUARES) < 4 * standard_errors * SD)
    np.testing.assert_allclose(draws.std(axis=0), SD, rtol=6 * standard_errors)


def test_sample_draws_from_the_exact_posterior(fit: cmdstanpy.CmdStanMCMC) -> None:
    assert fit.draws().shape == (1000, 2, len(fit.column_names))
    assert fit.draws(inc_warmup=True).shape[0] == 1400
    assert not fit.divergences.any()
    assert fit.metric_type == "diag_e"
    assert fit.inv_metric.shape == (2, 3)
    assert np.all(fit.step_size > 0)
    assert {"warmup", "sampling", "total"} <= set(fit.time[0])
    _assert_regression(fit.stan_variable("beta"), standard_errors=0.04)
    replicated = fit.stan_variable("y_rep").mean(axis=0)
    np.testing.assert_allclose(replicated, _x @ LEAST_SQUARES, atol=0.12)
    assert fit.draws_xr("beta").beta.dims == ("chain", "draw", "beta_dim_0")


def test_sample_writes_profiles_and_dynamics(fit: cmdstanpy.CmdStanMCMC) -> None:
    profile = pd.read_csv(fit.runset.profile_files[0])
    assert sorted(profile["name"]) == ["likelihood", "replications"]
    likelihood = profile.set_index("name").loc["likelihood"]
    assert likelihood["autodiff_calls"] > 1000
    assert likelihood["total_time"] >= likelihood["forward_time"] > 0
    dynamics = pd.read_csv(fit.runset.diagnostic_files[0], comment="#")
    assert {"b.1", "p_b.1", "g_b.3"} <= set(dynamics.columns)
    assert len(dynamics) == 1400


@pytest.mark.filterwarnings("ignore:The 'float_precision' argument")  # CmdStanPy on pandas 3
def test_summary_and_diagnose_run_cmdstans_programs(
    fit: cmdstanpy.CmdStanMCMC, cmdstan: CmdStan
) -> None:
    if not (cmdstan.path / "bin" / "stansummary").exists():
        pytest.skip("this CmdStan folder has no stansummary")
    summary = fit.summary()
    np.testing.assert_allclose(
        summary.loc[["beta[1]", "beta[2]", "beta[3]"], "Mean"], LEAST_SQUARES, atol=0.05
    )
    assert "no problems" in fit.diagnose()


def test_sampler_settings_arrive(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    model = models["regression"]
    common: dict[str, Any] = {"data": REGRESSION, "seed": SEED, "show_progress": False}
    start = {"b": [0.0, 0.0, 0.0]}
    dense = model.sample(
        **common,
        chains=2,
        metric="dense_e",
        max_treedepth=8,
        adapt_delta=0.9,
        thin=2,
        inits=[start, start],
        iter_sampling=600,
    )
    assert dense.inv_metric.shape == (2, 3, 3)
    assert dense.num_draws_sampling == 300
    _assert_regression(dense.stan_variable("beta"), standard_errors=0.08)
    fixed = model.sample(
        **common,
        chains=1,
        adapt_engaged=False,
        iter_warmup=0,
        step_size=float(dense.step_size[0]),
        inv_metric=dense.inv_metric[0],
        inits=start,
    )
    np.testing.assert_allclose(fixed.inv_metric[0], dense.inv_metric[0], rtol=1e-4)
    _assert_regression(fixed.stan_variable("beta"), standard_errors=0.08)
    unit = model.sample(**common, chains=1, metric="unit_e", adapt_init_phase=20)
    _assert_regression(unit.stan_variable("beta"), standard_errors=0.08)
    one_process = model.sample(
        **common, chains=2, force_one_process_per_chain=False, iter_sampling=200
    )
    again = model.sample(**common, chains=2, iter_sampling=200)
    np.testing.assert_array_equal(one_process.draws(), again.draws())


@pytest.mark.parametrize("algorithm", ["lbfgs", "bfgs", "newton"])
def test_optimize_finds_least_squares(
    algorithm: str, models: Mapping[str, cmdstanpy.CmdStanModel]
) -> None:
    mode = models["regression"].optimize(
        REGRESSION, seed=SEED, algorithm=algorithm, save_iterations=True, sig_figs=12
    )
    assert mode.converged
    np.testing.assert_allclose(mode.stan_variable("beta"), LEAST_SQUARES, atol=1e-4)
    assert mode.stan_variable("beta", inc_iterations=True).shape[0] > 1


def test_optimizer_settings_arrive(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    model = models["regression"]
    settings: dict[str, Any] = {"algorithm": "lbfgs", "init_alpha": 0.01, "history_size": 7}
    tolerances = {"tol_obj": 1e-10, "tol_rel_obj": 1e3, "tol_grad": 1e-7, "tol_rel_grad": 1e5}
    fine = model.optimize(REGRESSION, seed=SEED, **settings, **tolerances, tol_param=1e-9)
    np.testing.assert_allclose(fine.stan_variable("beta"), LEAST_SQUARES, atol=1e-4)
    # One step along the gradient, or a tolerance that the first step meets, does not get there.
    for stop in ({"iter": 1}, {"tol_obj": 1e6}):
        early = model.optimize(REGRESSION, seed=SEED, **settings, **stop, require_converged=False)
        assert np.max(np.abs(early.stan_variable("beta") - LEAST_SQUARES)) > 0.01


def test_optimize_adds_the_jacobian_on_request(
    models: Mapping[str, cmdstanpy.CmdStanModel],
) -> None:
    plain = models["bernoulli"].optimize(BERNOULLI, seed=SEED)
    with_jacobian = models["bernoulli"].optimize(BERNOULLI, seed=SEED, jacobian=True)
    assert plain.stan_variable("theta") == pytest.approx(8 / 12, abs=1e-4)
    # On the logit scale the density gains theta (1 - theta): the mode of a beta(9 + 1, 5 + 1).
    assert with_jacobian.stan_variable("theta") == pytest.approx(9 / 14, abs=1e-4)


def test_laplace_is_exact_for_a_normal(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    fit = models["regression"].laplace_sample(REGRESSION, seed=SEED, draws=2000)
    _assert_regression(fit.stan_variable("beta"), standard_errors=0.0224)
    assert {"log_p__", "log_q__"} <= set(fit.method_variables())
    mode = models["regression"].optimize(REGRESSION, seed=SEED)
    given = models["regression"].laplace_sample(
        REGRESSION, mode=mode, jacobian=False, seed=SEED, draws=500
    )
    _assert_regression(given.stan_variable("beta"), standard_errors=0.0448)


def test_pathfinder_comes_close(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    many = models["regression"].pathfinder(REGRESSION, seed=SEED, draws=1000)
    np.testing.assert_allclose(many.stan_variable("beta").mean(axis=0), LEAST_SQUARES, atol=0.06)
    assert set(many.method_variables()) == {"lp_approx__", "lp__", "path__"}
    single = models["regression"].pathfinder(
        REGRESSION, seed=SEED, num_paths=1, draws=500, psis_resample=False, calculate_lp=False
    )
    assert single.stan_variable("beta").shape == (500, 3)
    start = single.create_inits(chains=2, seed=1)
    assert np.shape(start[1]["b"]) == (3,)


def test_variational_comes_close(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    for algorithm in ("meanfield", "fullrank"):
        fit = models["regression"].variational(
            REGRESSION, seed=SEED, algorithm=algorithm, draws=2000, require_converged=False
        )
        assert fit.eta > 0
        beta = fit.stan_variable("beta", mean=False)
        assert beta.shape == (2000, 3)
        np.testing.assert_allclose(beta.mean(axis=0), LEAST_SQUARES, atol=0.1)


def test_log_prob_is_the_density_and_its_gradient(
    models: Mapping[str, cmdstanpy.CmdStanModel],
) -> None:
    model = models["bernoulli"]
    for jacobian in (True, False):
        result = model.log_prob({"theta": 0.3}, BERNOULLI, jacobian=jacobian, sig_figs=12)
        successes, failures = 8 + jacobian, 4 + jacobian
        expected = successes * np.log(0.3) + failures * np.log(0.7)
        assert result.loc[0, "lp__"] == pytest.approx(expected)
        assert result.loc[0, "g_theta"] == pytest.approx(successes * 0.7 - failures * 0.3)


def test_generate_quantities_follows_the_draws(
    models: Mapping[str, cmdstanpy.CmdStanModel], fit: cmdstanpy.CmdStanMCMC
) -> None:
    model = models["regression"]
    generated = model.generate_quantities(REGRESSION, previous_fit=fit, seed=3)
    assert generated.draws().shape == (1000, 2, 40)
    residuals = generated.stan_variable("y_rep") - fit.stan_variable("beta") @ _x.T
    assert residuals.mean() == pytest.approx(0, abs=0.01)
    assert residuals.std() == pytest.approx(SIGMA, rel=0.02)
    assert generated.draws(inc_warmup=True).shape == (1400, 2, 40)
    mode = model.optimize(REGRESSION, seed=SEED)
    assert model.generate_quantities(REGRESSION, previous_fit=mode, seed=3).draws().shape[2] == 40
    normal = model.variational(REGRESSION, seed=SEED, draws=50, require_converged=False)
    generated = model.generate_quantities(REGRESSION, previous_fit=normal, seed=3)
    assert generated.stan_variable("y_rep").shape == (50, 40)


def test_bernoulli_with_include_has_its_beta_posterior(
    models: Mapping[str, cmdstanpy.CmdStanModel], folder: Path
) -> None:
    model = models["bernoulli"]
    fit = model.sample(BERNOULLI, chains=2, seed=SEED, show_progress=False, refresh=500)
    theta = fit.stan_variable("theta")
    error = BERNOULLI_POSTERIOR.std() / np.sqrt(500)
    assert theta.mean() == pytest.approx(BERNOULLI_POSTERIOR.mean(), abs=4 * error)
    levels = [0.05, 0.5, 0.95]
    np.testing.assert_allclose(
        BERNOULLI_POSTERIOR.cdf(np.quantile(theta, levels)), levels, atol=0.08
    )
    assert set(fit.stan_variable("successes")) == {8}
    included = [Path(name).name for name in model.src_info()["included_files"]]
    assert included == ["success.stan"]
    assert model.stanc_options["O1"]
    assert (folder / "bernoulli.hpp").exists()


def test_the_example_of_the_manual_is_there() -> None:
    folder = Path(cmdstanpy.cmdstan_path()) / "examples" / "bernoulli"
    stanc = folder.parents[1] / "bin" / "stanc"
    info = subprocess.run(
        [stanc, "--info", folder / "bernoulli.stan"], capture_output=True, text=True, check=True
    )
    data = json.loads((folder / "bernoulli.data.json").read_text())
    assert set(json.loads(info.stdout)["inputs"]) == set(data) == {"N", "y"}
    assert len(data["y"]) == data["N"]


def test_an_executable_alone_is_enough(
    models: Mapping[str, cmdstanpy.CmdStanModel], tmp_path: Path
) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps(BERNOULLI))
    model = cmdstanpy.CmdStanModel(exe_file=models["bernoulli"].exe_file)
    assert model.exe_info()["stan_version_major"] == "2"
    fit = model.sample(str(data), chains=1, seed=1, iter_sampling=50, show_progress=False)
    assert fit.stan_variable("theta").shape == (50,)


def test_force_compile_makes_it_anew(
    models: Mapping[str, cmdstanpy.CmdStanModel], folder: Path
) -> None:
    path = folder / "bernoulli.stan"
    before = Path(models["bernoulli"].exe_file).stat().st_mtime_ns
    options = _options(folder)["bernoulli"]
    kept = cmdstanpy.CmdStanModel(stan_file=path, **options)
    assert Path(kept.exe_file).stat().st_mtime_ns == before
    forced = cmdstanpy.CmdStanModel(stan_file=path, force_compile=True, **options)
    assert Path(forced.exe_file).stat().st_mtime_ns > before


def test_ode_and_every_kind_of_variable(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    model = models["decay"]
    fit = model.sample(
        DECAY, chains=2, seed=SEED, iter_warmup=300, iter_sampling=300, show_progress=False
    )
    k = fit.stan_variable("k")
    assert k.mean() == pytest.approx(0.7, abs=0.1)
    np.testing.assert_allclose(
        fit.stan_variable("z")[:, :, 0], np.exp(-np.outer(k, TIMES)), atol=1e-4
    )
    np.testing.assert_array_equal(fit.stan_variable("w"), k * (1 - 1j))
    np.testing.assert_allclose(fit.stan_variable("v"), np.outer(k * (1 - 1j), [1, 2]), rtol=1e-5)
    pair = fit.stan_variable("pair")
    np.testing.assert_array_equal([first for first, _ in pair], k)
    expected = k[:, None, None] * np.array([[1, 2], [3, 4]])
    np.testing.assert_allclose([second for _, second in pair], expected, rtol=1e-4)
    assert fit.stan_variable("z").shape == (600, 8, 1)


def test_log_prob_of_an_ode(models: Mapping[str, cmdstanpy.CmdStanModel]) -> None:
    def density(k: float) -> float:
        residuals = DECAY["y"] - np.exp(-k * TIMES)
        return float(-0.5 * np.sum(residuals**2) / 0.01 - np.log(k) - 0.5 * np.log(k) ** 2)

    def reported(k: float) -> float:
        values = {"k": k, "nothing": []}
        result = models["decay"].log_prob(values, DECAY, jacobian=False, sig_figs=10)
        return float(result.loc[0, "lp__"])

    # Up to a constant that the program drops.
    assert reported(0.5) - reported(0.7) == pytest.approx(density(0.5) - density(0.7), abs=1e-3)


def test_generated_quantities_alone_with_a_function_of_ones_own(
    models: Mapping[str, cmdstanpy.CmdStanModel],
) -> None:
    model = models["dice"]
    assert model.exe_info()["STAN_NO_RANGE_CHECKS"] == "true"
    assert model.stanc_options["allow-undefined"]
    assert model.cpp_options["STAN_NO_RANGE_CHECKS"]
    fit = model.sample({"N": 5}, chains=2, seed=SEED, iter_sampling=400, show_progress=False)
    rolls = fit.stan_variable("roll")
    assert rolls.shape == (800, 5)
    counts = np.unique(rolls, return_counts=True)
    np.testing.assert_array_equal(counts[0], [1, 2, 3, 4, 5, 6])
    assert stats.chisquare(counts[1]).pvalue > 1e-4


def test_a_program_that_does_not_compile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.stan"
    path.write_text("parameters {\n  real x\n}\n")
    with pytest.raises(ValueError, match=r"(?s)Failed to compile.*line 3"):
        cmdstanpy.CmdStanModel(stan_file=path)
    assert not (tmp_path / "broken").exists()


def _log_density(mu: float, tau: float, eta: np.ndarray) -> float:
    alpha = (mu + tau * eta)[LOGIT["group"] - 1]
    likelihood = np.sum(LOGIT["y"] * alpha - np.logaddexp(0, alpha))
    return float(likelihood - mu**2 / 8 - tau**2 / 2 - np.sum(eta**2) / 2)


@pytest.mark.slow
def test_threads_share_a_sum(threaded: cmdstanpy.CmdStanModel) -> None:
    assert threaded.exe_info()["STAN_THREADS"] == "true"
    eta = np.linspace(-1, 1, 20)
    result = threaded.log_prob(
        {"mu": 0.3, "tau": 0.8, "eta": eta}, LOGIT, jacobian=False, sig_figs=12
    )
    reference = threaded.log_prob(
        {"mu": 0.0, "tau": 1.0, "eta": 0 * eta}, LOGIT, jacobian=False, sig_figs=12
    )
    difference = result.loc[0, "lp__"] - reference.loc[0, "lp__"]
    assert difference == pytest.approx(_log_density(0.3, 0.8, eta) - _log_density(0, 1, 0 * eta))
    fit = threaded.sample(
        LOGIT,
        chains=2,
        parallel_chains=2,
        threads_per_chain=2,
        seed=SEED,
        iter_warmup=400,
        iter_sampling=400,
        show_progress=False,
    )
    assert fit.num_draws_sampling == 400
    assert fit.metadata.cmdstan_config["num_threads"] == 4
    proportions = special.expit(fit.stan_variable("alpha")).mean(axis=0)
    observed = np.bincount(LOGIT["group"] - 1, weights=LOGIT["y"]) / 15
    # Pooling pulls the groups towards each other, by at most half their distance here.
    assert np.corrcoef(proportions, observed)[0, 1] > 0.95
    assert 0.5 < proportions.std() / observed.std() < 1
    paths = threaded.pathfinder(LOGIT, num_threads=2, seed=SEED, draws=200)
    assert paths.stan_variable("mu").shape == (200,)
