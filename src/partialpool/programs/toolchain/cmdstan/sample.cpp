// Methods `sample` and `generate_quantities`.
#include "evaluations.hpp"
#include "methods.hpp"

#include <stan/services/error_codes.hpp>
#include <stan/services/sample/fixed_param.hpp>
#include <stan/services/sample/hmc_nuts_dense_e.hpp>
#include <stan/services/sample/hmc_nuts_dense_e_adapt.hpp>
#include <stan/services/sample/hmc_nuts_diag_e.hpp>
#include <stan/services/sample/hmc_nuts_diag_e_adapt.hpp>
#include <stan/services/sample/hmc_nuts_unit_e.hpp>
#include <stan/services/sample/hmc_nuts_unit_e_adapt.hpp>
#include <stan/services/sample/hmc_static_dense_e.hpp>
#include <stan/services/sample/hmc_static_dense_e_adapt.hpp>
#include <stan/services/sample/hmc_static_diag_e.hpp>
#include <stan/services/sample/hmc_static_diag_e_adapt.hpp>
#include <stan/services/sample/hmc_static_unit_e.hpp>
#include <stan/services/sample/hmc_static_unit_e_adapt.hpp>
#include <stan/services/sample/standalone_gqs.hpp>

#include <tuple>

namespace command_line {

namespace services = stan::services;

namespace {

// The settings of method `sample` and the files of its chains.
struct Sampling {
  int num_warmup;
  int num_samples;
  int thin;
  bool save_warmup;
  bool adapt;
  std::size_t chains;
  Initial initial;
  std::vector<stan::callbacks::writer> no_init;  // nobody asks for the initial values
  std::vector<CsvWriter> draws;
  std::vector<CsvWriter> diagnostics;
  std::vector<JsonWriter> metrics;  // where adaptation ended
};

std::vector<CsvWriter> open_draws(const Run& run, std::size_t chains) {
  std::vector<CsvWriter> writers = open_csvs(run, chains);
  const std::string& doubles = run.method()["draws_file"].value;
  if (doubles.empty()) return writers;
  const std::vector<std::string> files = output_files(doubles, chains, run.id);
  for (std::size_t i = 0; i < chains; ++i) writers[i].write_rows_to(*run.outputs.open(files[i]));
  return writers;
}

std::vector<JsonWriter> open_metrics(const Run& run, bool save, std::size_t chains) {
  if (!save) return std::vector<JsonWriter>(chains);
  std::vector<JsonWriter> writers;
  for (const std::string& file : metric_files(run.output()["file"].value, chains, run.id)) {
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

// The inverse metric for each chain to start from; the identity without a file.
std::vector<Context> start_metrics(const Run& run, std::size_t chains) {
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  if (!hmc["metric_file"].value.empty()) {
    std::vector<Context> metrics;
    for (const std::string& file : chain_files(hmc["metric_file"].value, chains, run.id)) {
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

// A service of Stan as an object that can be handed on.
#define SERVICE(name) [](auto&&... arguments) { return services::sample::name(arguments...); }

// Calls one of two services, without adaptation or with it. All services take the same arguments
// in the same order, but for what the engine adds: where chains `begin` (the model, their number,
// initial values), the `length` of a trajectory, and how results `end` (the writers).
template <typename Plain, typename Adapting, typename Begin, typename Start, typename Length,
          typename Windows, typename End, typename Metrics>
int call(const Run& run, const Sampling& sampling, Plain plain, Adapting adapting,
         const Begin& begin, const Start& start, Length length, const Windows& windows,
         const End& end, const Metrics& metrics) {
  const Argument& adapt = run.method()["adapt"];
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  const auto common = std::tuple_cat(
      begin, start,
      std::make_tuple(run.seed, run.id, sampling.initial.radius, sampling.num_warmup,
                      sampling.num_samples, sampling.thin, sampling.save_warmup, run.refresh,
                      hmc["stepsize"].real(), hmc["stepsize_jitter"].real(), length));
  const auto tuning = std::make_tuple(adapt["delta"].real(), adapt["gamma"].real(),
                                      adapt["kappa"].real(), adapt["t0"].real());
  const auto results = std::tuple_cat(std::tie(run.interrupt, run.logger), end);
  return sampling.adapt
             ? std::apply(adapting, std::tuple_cat(common, tuning, windows, results, metrics))
             : std::apply(plain, std::tuple_cat(common, results));
}

// What adaptation of a metric needs and the unit metric does not: when to estimate it.
auto windows(const Run& run) {
  const Argument& adapt = run.method()["adapt"];
  return std::make_tuple(adapt["init_buffer"].natural(), adapt["term_buffer"].natural(),
                         adapt["window"].natural());
}

int sample_nuts(Run& run, Sampling& sampling) {
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  const std::string& metric = hmc["metric"].value;
  const int max_depth = hmc["engine"]["nuts"]["max_depth"].integer();
  const auto begin = std::tie(run.model, sampling.chains, sampling.initial.contexts);
  const auto end = std::tie(sampling.no_init, sampling.draws, sampling.diagnostics);
  const auto metrics = std::tie(sampling.metrics);
  if (metric == "unit_e") {
    return call(run, sampling, SERVICE(hmc_nuts_unit_e), SERVICE(hmc_nuts_unit_e_adapt), begin,
                std::tie(), max_depth, std::tie(), end, metrics);
  }
  const std::vector<Context> contexts = start_metrics(run, sampling.chains);
  const auto start = std::tie(contexts);
  if (metric == "dense_e") {
    return call(run, sampling, SERVICE(hmc_nuts_dense_e), SERVICE(hmc_nuts_dense_e_adapt), begin,
                start, max_depth, windows(run), end, metrics);
  }
  return call(run, sampling, SERVICE(hmc_nuts_diag_e), SERVICE(hmc_nuts_diag_e_adapt), begin,
              start, max_depth, windows(run), end, metrics);
}

// Static Hamiltonian Monte Carlo, which Stan has for one chain.
int sample_static(Run& run, Sampling& sampling) {
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  const std::string& metric = hmc["metric"].value;
  const double int_time = hmc["engine"]["static"]["int_time"].real();
  const auto begin = std::tie(run.model, *sampling.initial.contexts.front());
  const auto end = std::tie(sampling.no_init.front(), sampling.draws.front(),
                            sampling.diagnostics.front());
  if (metric == "unit_e") {
    return call(run, sampling, SERVICE(hmc_static_unit_e), SERVICE(hmc_static_unit_e_adapt), begin,
                std::tie(), int_time, std::tie(), end, std::tie());
  }
  const Context context = start_metrics(run, 1).front();
  const auto start = std::tie(*context);
  if (metric == "dense_e") {
    return call(run, sampling, SERVICE(hmc_static_dense_e), SERVICE(hmc_static_dense_e_adapt),
                begin, start, int_time, windows(run), end, std::tie());
  }
  return call(run, sampling, SERVICE(hmc_static_diag_e), SERVICE(hmc_static_diag_e_adapt), begin,
              start, int_time, windows(run), end, std::tie());
}

#undef SERVICE

}  // namespace

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
  const std::string& files = run.method()["fitted_params"].value;
  if (files.empty()) {
    throw Error("Error: generate_quantities needs fitted_params=FILE, draws of the parameters.");
  }
  const std::size_t chains = run.method()["num_chains"].natural();
  std::vector<Eigen::MatrixXd> draws;
  for (const std::string& file : chain_files(files, chains, run.id)) {
    draws.push_back(read_parameters(run, file));
  }
  std::vector<CsvWriter> writers = open_csvs(run, chains);
  return services::standalone_generate(run.model, static_cast<int>(chains), draws, run.seed,
                                       run.interrupt, run.logger, writers);
}

}  // namespace command_line
