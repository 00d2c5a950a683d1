// Methods `sample` and `generate_quantities`.
#include "sample.hpp"

#include <stan/services/error_codes.hpp>
#include <stan/services/sample/fixed_param.hpp>
#include <stan/services/sample/hmc_nuts_dense_e.hpp>
#include <stan/services/sample/hmc_nuts_dense_e_adapt.hpp>
#include <stan/services/sample/hmc_nuts_diag_e.hpp>
#include <stan/services/sample/hmc_nuts_diag_e_adapt.hpp>
#include <stan/services/sample/hmc_nuts_unit_e.hpp>
#include <stan/services/sample/hmc_nuts_unit_e_adapt.hpp>
#include <stan/services/sample/standalone_gqs.hpp>

namespace command_line {

namespace services = stan::services;

namespace {

std::vector<CsvWriter> open_draws(const Run& run, std::size_t chains) {
  std::vector<CsvWriter> writers = open_csvs(run, chains);
  const std::string& doubles = run.method()["draws_file"].value;
  if (doubles.empty()) return writers;
  const std::vector<std::string> files = output_files(doubles, chains, run.id);
  for (std::size_t i = 0; i < chains; ++i) writers[i].write_rows_to(*run.outputs.open(files[i]));
  return writers;
}

std::vector<JsonWriter> open_metrics(const Run& run, bool save, std::size_t chains) {
  const std::string& csv = run.output()["file"].value;
  std::vector<JsonWriter> writers;
  for (const std::string& file :
       output_files(save ? marked(csv, "metric", ".json") : "", chains, run.id)) {
    writers.push_back(open_json(run, file));
  }
  return writers;
}

Sampling open_sampling(const Run& run) {
  const Argument& method = run.method();
  const std::size_t chains = method["num_chains"].natural();
  const bool adapt = method["adapt"]["engaged"].flag();
  return {method["num_warmup"].integer(),
          method["num_samples"].integer(),
          method["thin"].integer(),
          method["save_warmup"].flag(),
          adapt,
          chains,
          initial_values(run, chains),
          no_writers(chains),
          open_draws(run, chains),
          open_diagnostics(run, chains),
          open_metrics(run, adapt && method["adapt"]["save_metric"].flag(), chains)};
}

}  // namespace

std::vector<Context> start_metrics(const Run& run, std::size_t chains) {
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  if (!hmc["metric_file"].value.empty()) {
    std::vector<Context> metrics;
    for (const std::string& file : chain_files(hmc["metric_file"].names(), chains, run.id)) {
      metrics.push_back(read_metric(file));
    }
    return metrics;
  }
  const std::size_t size = run.model.num_params_r();
  const auto identity = std::make_shared<stan::io::array_var_context>(
      hmc["metric"].value == "dense_e" ? services::util::create_unit_e_dense_inv_metric(size)
                                       : services::util::create_unit_e_diag_inv_metric(size));
  return std::vector<Context>(chains, identity);
}

int sample_nuts(Run& run, Sampling& sampling) {
  const Argument& adapt = run.method()["adapt"];
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  const std::string& metric = hmc["metric"].value;
  const double stepsize = hmc["stepsize"].real();
  const double jitter = hmc["stepsize_jitter"].real();
  const int max_depth = hmc["engine"]["nuts"]["max_depth"].integer();
  const double delta = adapt["delta"].real();
  const double gamma = adapt["gamma"].real();
  const double kappa = adapt["kappa"].real();
  const double t0 = adapt["t0"].real();
  const unsigned int init_buffer = adapt["init_buffer"].natural();
  const unsigned int term_buffer = adapt["term_buffer"].natural();
  const unsigned int window = adapt["window"].natural();
  auto& [num_warmup, num_samples, thin, save_warmup, adapted, chains, initial, no_init, draws,
         diagnostics, metrics] = sampling;
  auto& [contexts, radius] = initial;
  using namespace services::sample;

  if (metric == "unit_e") {
    return adapted
               ? hmc_nuts_unit_e_adapt(run.model, chains, contexts, run.seed, run.id, radius,
                                       num_warmup, num_samples, thin, save_warmup, run.refresh,
                                       stepsize, jitter, max_depth, delta, gamma, kappa, t0,
                                       run.interrupt, run.logger, no_init, draws, diagnostics,
                                       metrics)
               : hmc_nuts_unit_e(run.model, chains, contexts, run.seed, run.id, radius, num_warmup,
                                 num_samples, thin, save_warmup, run.refresh, stepsize, jitter,
                                 max_depth, run.interrupt, run.logger, no_init, draws, diagnostics);
  }
  const std::vector<Context> start = start_metrics(run, chains);
  if (metric == "dense_e") {
    return adapted
               ? hmc_nuts_dense_e_adapt(run.model, chains, contexts, start, run.seed, run.id,
                                        radius, num_warmup, num_samples, thin, save_warmup,
                                        run.refresh, stepsize, jitter, max_depth, delta, gamma,
                                        kappa, t0, init_buffer, term_buffer, window, run.interrupt,
                                        run.logger, no_init, draws, diagnostics, metrics)
               : hmc_nuts_dense_e(run.model, chains, contexts, start, run.seed, run.id, radius,
                                  num_warmup, num_samples, thin, save_warmup, run.refresh, stepsize,
                                  jitter, max_depth, run.interrupt, run.logger, no_init, draws,
                                  diagnostics);
  }
  return adapted
             ? hmc_nuts_diag_e_adapt(run.model, chains, contexts, start, run.seed, run.id, radius,
                                     num_warmup, num_samples, thin, save_warmup, run.refresh,
                                     stepsize, jitter, max_depth, delta, gamma, kappa, t0,
                                     init_buffer, term_buffer, window, run.interrupt, run.logger,
                                     no_init, draws, diagnostics, metrics)
             : hmc_nuts_diag_e(run.model, chains, contexts, start, run.seed, run.id, radius,
                               num_warmup, num_samples, thin, save_warmup, run.refresh, stepsize,
                               jitter, max_depth, run.interrupt, run.logger, no_init, draws,
                               diagnostics);
}

int sample(Run& run) {
  const Argument& method = run.method();
  const bool without_parameters = run.model.num_params_r() == 0;
  const bool fixed = without_parameters || method["algorithm"].value == "fixed_param";
  const std::string& engine = method["algorithm"]["hmc"]["engine"].value;
  if (!fixed && method["adapt"]["engaged"].flag() && method["num_warmup"].integer() == 0) {
    throw Error("Error: adaptation needs warmup: set num_warmup above 0, or adapt engaged=0.");
  }
  if (!fixed && engine == "static" && method["num_chains"].integer() > 1) {
    throw Error("Error: engine=static runs one chain: leave num_chains at 1.");
  }
  Sampling sampling = open_sampling(run);
  if (fixed) {
    if (without_parameters && method["algorithm"].value != "fixed_param") {
      run.logger.info("The model has no parameters: sampling with algorithm=fixed_param.");
    }
    return services::sample::fixed_param(
        run.model, sampling.chains, sampling.initial.contexts, run.seed, run.id,
        sampling.initial.radius, sampling.num_samples, sampling.thin, run.refresh, run.interrupt,
        run.logger, sampling.no_init, sampling.draws, sampling.diagnostics);
  }
  return engine == "static" ? sample_static(run, sampling) : sample_nuts(run, sampling);
}

int generate_quantities(Run& run) {
  const Argument& files = run.method()["fitted_params"];
  if (files.value.empty()) {
    throw Error("Error: generate_quantities needs fitted_params=FILE, draws of the parameters.");
  }
  const std::size_t chains = run.method()["num_chains"].natural();
  std::vector<Eigen::MatrixXd> draws;
  for (const std::string& file : chain_files(files.names(), chains, run.id)) {
    draws.push_back(read_parameters(run, file));
  }
  std::vector<CsvWriter> writers = open_csvs(run, chains);
  return services::standalone_generate(run.model, static_cast<int>(chains), draws, run.seed,
                                       run.interrupt, run.logger, writers);
}

}  // namespace command_line
