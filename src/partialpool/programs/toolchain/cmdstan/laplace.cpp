// Method `laplace`.
#include "methods.hpp"

#include <stan/io/ends_with.hpp>
#include <stan/services/optimize/laplace_sample.hpp>

namespace command_line {

namespace {

Eigen::VectorXd read_mode(const Run& run, const std::string& file) {
  if (!stan::io::ends_with(".csv", file)) return unconstrained(run, *read_context(file));
  const Eigen::MatrixXd rows = read_parameters(run, file);
  if (rows.rows() == 0) throw Error("Error: the file \"" + file + "\" holds no mode.");
  const Eigen::VectorXd mode = rows.bottomRows(1).transpose();
  Eigen::VectorXd values;
  run.model.unconstrain_array(mode, values, nullptr);
  return values;
}

}  // namespace

int laplace(Run& run) {
  const Argument& method = run.method();
  if (method["mode"].value.empty()) {
    throw Error("Error: laplace needs mode=FILE, what optimize wrote or values in JSON.");
  }
  const Eigen::VectorXd mode = read_mode(run, method["mode"].value);
  const int draws = method["draws"].integer();
  const bool calculate_lp = method["calculate_lp"].flag();
  CsvWriter writer = open_csv(run, run.output()["file"].value);
  JsonWriter hessian = open_json(run, run.output()["diagnostic_file"].value);
  return method["jacobian"].flag()
             ? stan::services::laplace_sample<true>(run.model, mode, draws, calculate_lp, run.seed,
                                              run.refresh, run.interrupt, run.logger, writer,
                                              hessian)
             : stan::services::laplace_sample<false>(run.model, mode, draws, calculate_lp, run.seed,
                                               run.refresh, run.interrupt, run.logger, writer,
                                               hessian);
}

}  // namespace command_line
