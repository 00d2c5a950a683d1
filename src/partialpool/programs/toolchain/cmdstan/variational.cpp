// Method `variational`.
#include "methods.hpp"

#include <stan/services/experimental/advi/fullrank.hpp>
#include <stan/services/experimental/advi/meanfield.hpp>

namespace command_line {

int variational(Run& run) {
  using namespace stan::services::experimental::advi;
  const Argument& method = run.method();
  const Initial initial = initial_values(run, 1);
  const stan::io::var_context& init = *initial.contexts.front();
  const int iterations = method["iter"].integer();
  const int grad_samples = method["grad_samples"].integer();
  const int elbo_samples = method["elbo_samples"].integer();
  const double eta = method["eta"].real();
  const bool adapt_engaged = method["adapt"]["engaged"].flag();
  const int adapt_iterations = method["adapt"]["iter"].integer();
  const double tol_rel_obj = method["tol_rel_obj"].real();
  const int eval_elbo = method["eval_elbo"].integer();
  const int output_samples = method["output_samples"].integer();
  stan::callbacks::writer no_init;
  CsvWriter draws = open_csv(run, run.output()["file"].value);
  CsvWriter diagnostics = std::move(open_diagnostics(run, 1).front());
  if (method["algorithm"].value == "fullrank") {
    return fullrank(run.model, init, run.seed, run.id, initial.radius, grad_samples, elbo_samples,
                    iterations, tol_rel_obj, eta, adapt_engaged, adapt_iterations, eval_elbo,
                    output_samples, run.interrupt, run.logger, no_init, draws, diagnostics);
  }
  return meanfield(run.model, init, run.seed, run.id, initial.radius, grad_samples, elbo_samples,
                   iterations, tol_rel_obj, eta, adapt_engaged, adapt_iterations, eval_elbo,
                   output_samples, run.interrupt, run.logger, no_init, draws, diagnostics);
}

}  // namespace command_line
