// Method `pathfinder`.
#include "methods.hpp"

// The writer that takes draws of several paths from several threads, for programs with and without
// threads alike.
#ifdef STAN_THREADS
#include <stan/callbacks/concurrent_writer.hpp>
#else
#define STAN_THREADS
#include <stan/callbacks/concurrent_writer.hpp>
#undef STAN_THREADS
#endif

#include <stan/services/pathfinder/multi.hpp>
#include <stan/services/pathfinder/single.hpp>

namespace command_line {

namespace services = stan::services;

namespace {

// The writers of the single paths, silent unless `save`.
std::vector<CsvWriter> open_path_draws(const Run& run, bool save, std::size_t paths) {
  const std::string file = save ? marked(run.output()["file"].value, "path", ".csv") : "";
  std::vector<CsvWriter> writers;
  for (const std::string& name : output_files(file, paths, run.id)) {
    writers.push_back(open_csv(run, name));
  }
  return writers;
}

std::vector<JsonWriter> open_path_diagnostics(const Run& run, bool save, std::size_t paths) {
  const std::string file = save ? marked(run.output()["file"].value, "path", ".json") : "";
  std::vector<JsonWriter> writers;
  for (const std::string& name : output_files(file, paths, run.id)) {
    writers.push_back(open_json(run, name));
  }
  return writers;
}

}  // namespace

int pathfinder(Run& run) {
  using namespace services::pathfinder;
  const Argument& method = run.method();
  const int history_size = method["history_size"].integer();
  const double init_alpha = method["init_alpha"].real();
  const double tol_obj = method["tol_obj"].real();
  const double tol_rel_obj = method["tol_rel_obj"].real();
  const double tol_grad = method["tol_grad"].real();
  const double tol_rel_grad = method["tol_rel_grad"].real();
  const double tol_param = method["tol_param"].real();
  const int iterations = method["max_lbfgs_iters"].integer();
  const int elbo_draws = method["num_elbo_draws"].integer();
  const int draws = method["num_draws"].integer();
  const int psis_draws = method["num_psis_draws"].integer();
  const int paths = method["num_paths"].integer();
  const bool save_paths = method["save_single_paths"].flag();
  const bool calculate_lp = method["calculate_lp"].flag();
  const bool psis_resample = method["psis_resample"].flag();
  const Initial initial = initial_values(run, paths);
  std::vector<stan::callbacks::writer> no_init = no_writers(paths);

  if (psis_resample && calculate_lp && psis_draws > draws * paths) {
    run.logger.warn("Warning: num_psis_draws is above the number of draws of all paths, so draws "
                    "will repeat.");
  }
  CsvWriter writer = open_csv(run, run.output()["file"].value);
  std::vector<JsonWriter> path_diagnostics = open_path_diagnostics(run, save_paths, paths);
  if (paths == 1) {
    return pathfinder_lbfgs_single(run.model, *initial.contexts.front(), run.seed, run.id,
                                   initial.radius, history_size, init_alpha, tol_obj, tol_rel_obj,
                                   tol_grad, tol_rel_grad, tol_param, iterations, elbo_draws, draws,
                                   save_paths, run.refresh, run.interrupt, run.logger,
                                   no_init.front(), writer, path_diagnostics.front(),
                                   calculate_lp);
  }
  std::vector<CsvWriter> path_draws = open_path_draws(run, save_paths, paths);
  stan::callbacks::structured_writer no_diagnostics;
  return pathfinder_lbfgs_multi(run.model, initial.contexts, run.seed, run.id, initial.radius,
                                history_size, init_alpha, tol_obj, tol_rel_obj, tol_grad,
                                tol_rel_grad, tol_param, iterations, elbo_draws, draws, psis_draws,
                                paths, save_paths, run.refresh, run.interrupt, run.logger, no_init,
                                path_draws, path_diagnostics, writer, no_diagnostics, calculate_lp,
                                psis_resample);
}

}  // namespace command_line
