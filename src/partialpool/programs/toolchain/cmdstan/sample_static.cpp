// Static Hamiltonian Monte Carlo.
#include "sample.hpp"

#include <stan/services/sample/hmc_static_dense_e.hpp>
#include <stan/services/sample/hmc_static_dense_e_adapt.hpp>
#include <stan/services/sample/hmc_static_diag_e.hpp>
#include <stan/services/sample/hmc_static_diag_e_adapt.hpp>
#include <stan/services/sample/hmc_static_unit_e.hpp>
#include <stan/services/sample/hmc_static_unit_e_adapt.hpp>

namespace command_line {

int sample_static(Run& run, Sampling& sampling) {
  const Argument& adapt = run.method()["adapt"];
  const Argument& hmc = run.method()["algorithm"]["hmc"];
  const std::string& metric = hmc["metric"].value;
  const double stepsize = hmc["stepsize"].real();
  const double jitter = hmc["stepsize_jitter"].real();
  const double int_time = hmc["engine"]["static"]["int_time"].real();
  const double delta = adapt["delta"].real();
  const double gamma = adapt["gamma"].real();
  const double kappa = adapt["kappa"].real();
  const double t0 = adapt["t0"].real();
  const unsigned int init_buffer = adapt["init_buffer"].natural();
  const unsigned int term_buffer = adapt["term_buffer"].natural();
  const unsigned int window = adapt["window"].natural();
  const int num_warmup = sampling.num_warmup;
  const int num_samples = sampling.num_samples;
  const int thin = sampling.thin;
  const bool save_warmup = sampling.save_warmup;
  const double radius = sampling.initial.radius;
  const stan::io::var_context& init = *sampling.initial.contexts.front();
  stan::callbacks::writer& no_init = sampling.no_init.front();
  CsvWriter& draws = sampling.draws.front();
  CsvWriter& diagnostics = sampling.diagnostics.front();
  using namespace stan::services::sample;

  if (metric == "unit_e") {
    return sampling.adapt
               ? hmc_static_unit_e_adapt(run.model, init, run.seed, run.id, radius, num_warmup,
                                         num_samples, thin, save_warmup, run.refresh, stepsize,
                                         jitter, int_time, delta, gamma, kappa, t0, run.interrupt,
                                         run.logger, no_init, draws, diagnostics)
               : hmc_static_unit_e(run.model, init, run.seed, run.id, radius, num_warmup,
                                   num_samples, thin, save_warmup, run.refresh, stepsize, jitter,
                                   int_time, run.interrupt, run.logger, no_init, draws,
                                   diagnostics);
  }
  const Context start = start_metrics(run, 1).front();
  if (metric == "dense_e") {
    return sampling.adapt
               ? hmc_static_dense_e_adapt(run.model, init, *start, run.seed, run.id, radius,
                                          num_warmup, num_samples, thin, save_warmup, run.refresh,
                                          stepsize, jitter, int_time, delta, gamma, kappa, t0,
                                          init_buffer, term_buffer, window, run.interrupt,
                                          run.logger, no_init, draws, diagnostics)
               : hmc_static_dense_e(run.model, init, *start, run.seed, run.id, radius, num_warmup,
                                    num_samples, thin, save_warmup, run.refresh, stepsize, jitter,
                                    int_time, run.interrupt, run.logger, no_init, draws,
                                    diagnostics);
  }
  return sampling.adapt
             ? hmc_static_diag_e_adapt(run.model, init, *start, run.seed, run.id, radius,
                                       num_warmup, num_samples, thin, save_warmup, run.refresh,
                                       stepsize, jitter, int_time, delta, gamma, kappa, t0,
                                       init_buffer, term_buffer, window, run.interrupt, run.logger,
                                       no_init, draws, diagnostics)
             : hmc_static_diag_e(run.model, init, *start, run.seed, run.id, radius, num_warmup,
                                 num_samples, thin, save_warmup, run.refresh, stepsize, jitter,
                                 int_time, run.interrupt, run.logger, no_init, draws, diagnostics);
}

}  // namespace command_line
