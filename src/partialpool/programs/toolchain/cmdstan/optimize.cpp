// Method `optimize`; and `log_prob` and `diagnose`, which look at the log density at one place.
#include "methods.hpp"

#include <stan/services/diagnose/diagnose.hpp>
#include <stan/services/error_codes.hpp>
#include <stan/services/optimize/bfgs.hpp>
#include <stan/services/optimize/lbfgs.hpp>
#include <stan/services/optimize/newton.hpp>

namespace command_line {

namespace services = stan::services;

namespace {

template <bool jacobian>
int run_optimize(Run& run) {
  using Model = stan::model::model_base;
  using namespace services::optimize;
  const Argument& method = run.method();
  const std::string& name = method["algorithm"].value;
  const int iterations = method["iter"].integer();
  const bool save_iterations = method["save_iterations"].flag();
  const Initial initial = initial_values(run, 1);
  const stan::io::var_context& init = *initial.contexts.front();
  stan::callbacks::writer no_init;
  CsvWriter draws = open_csv(run, run.output()["file"].value);

  if (name == "newton") {
    return newton<Model, jacobian>(run.model, init, run.seed, run.id, initial.radius, iterations,
                                   save_iterations, run.interrupt, run.logger, no_init, draws);
  }
  const Argument& algorithm = method["algorithm"].chosen();
  const double init_alpha = algorithm["init_alpha"].real();
  const double tol_obj = algorithm["tol_obj"].real();
  const double tol_rel_obj = algorithm["tol_rel_obj"].real();
  const double tol_grad = algorithm["tol_grad"].real();
  const double tol_rel_grad = algorithm["tol_rel_grad"].real();
  const double tol_param = algorithm["tol_param"].real();
  if (name == "bfgs") {
    return bfgs<Model, jacobian>(run.model, init, run.seed, run.id, initial.radius, init_alpha,
                                 tol_obj, tol_rel_obj, tol_grad, tol_rel_grad, tol_param,
                                 iterations, save_iterations, run.refresh, run.interrupt,
                                 run.logger, no_init, draws);
  }
  return lbfgs<Model, jacobian>(run.model, init, run.seed, run.id, initial.radius,
                                algorithm["history_size"].integer(), init_alpha, tol_obj,
                                tol_rel_obj, tol_grad, tol_rel_grad, tol_param, iterations,
                                save_iterations, run.refresh, run.interrupt, run.logger, no_init,
                                draws);
}

// Points on the unconstrained scale, one a column: variable `params_r`, or rows of it.
Eigen::MatrixXd read_points(const Run& run, const std::string& file) {
  const Context context = read_context(file);
  const std::vector<double> values = context->vals_r("params_r");
  const auto size = static_cast<Eigen::Index>(run.model.num_params_r());
  const std::vector<std::size_t> dims = context->dims_r("params_r");
  if (dims.empty() || static_cast<Eigen::Index>(dims.back()) != size || dims.size() > 2) {
    throw Error("Error: the file \"" + file + "\" must hold params_r, " + std::to_string(size) +
                " unconstrained values, or rows of so many.");
  }
  // var_context keeps arrays with the first index fastest.
  const auto points = static_cast<Eigen::Index>(dims.size() == 2 ? dims.front() : 1);
  return Eigen::Map<const Eigen::MatrixXd>(values.data(), points, size).transpose();
}

template <bool jacobian>
void write_log_prob(const Run& run, Eigen::VectorXd point, CsvWriter& writer) {
  Eigen::VectorXd gradient;
  std::vector<double> row{
      stan::model::log_prob_grad<true, jacobian>(run.model, point, gradient)};
  row.insert(row.end(), gradient.data(), gradient.data() + gradient.size());
  writer(row);
}

}  // namespace

int optimize(Run& run) {
  return run.method()["jacobian"].flag() ? run_optimize<true>(run) : run_optimize<false>(run);
}

int log_prob(Run& run) {
  const Argument& method = run.method();
  const std::string& unconstrained_file = method["unconstrained_params"].value;
  const std::string& constrained_file = method["constrained_params"].value;
  if (unconstrained_file.empty() && constrained_file.empty()) {
    throw Error("Error: log_prob needs unconstrained_params=FILE or constrained_params=FILE.");
  }
  std::vector<Eigen::VectorXd> points;
  if (!unconstrained_file.empty()) {
    const Eigen::MatrixXd columns = read_points(run, unconstrained_file);
    for (Eigen::Index i = 0; i < columns.cols(); ++i) points.emplace_back(columns.col(i));
  }
  if (!constrained_file.empty()) {
    points.push_back(unconstrained(run, *read_context(constrained_file)));
  }
  CsvWriter writer = open_csv(run, run.output()["file"].value);
  std::vector<std::string> parameters;
  run.model.unconstrained_param_names(parameters, false, false);
  std::vector<std::string> header{"lp__"};
  for (const std::string& name : parameters) header.push_back("g_" + name);
  writer(header);
  for (const Eigen::VectorXd& point : points) {
    if (method["jacobian"].flag()) {
      write_log_prob<true>(run, point, writer);
    } else {
      write_log_prob<false>(run, point, writer);
    }
  }
  return services::error_codes::OK;
}

int diagnose(Run& run) {
  const Argument& test = run.method()["test"].chosen();
  const Initial initial = initial_values(run, 1);
  stan::callbacks::writer no_init;
  CsvWriter writer = open_csv(run, run.output()["file"].value);
  return services::diagnose::diagnose(run.model, *initial.contexts.front(), run.seed, run.id,
                                      initial.radius, test["epsilon"].real(), test["error"].real(),
                                      run.interrupt, run.logger, no_init, writer);
}

}  // namespace command_line
