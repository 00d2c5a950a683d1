// How the sampler evaluates the model. Stan makes a stream for the messages of every evaluation,
// which takes as long as half the gradient of a small model; these specializations of Stan's
// templates keep one stream a thread. They stand before the first use of either.
#ifndef COMMAND_LINE_EVALUATIONS_HPP
#define COMMAND_LINE_EVALUATIONS_HPP

#include "math.hpp"

#include <stan/callbacks/logger.hpp>
#include <stan/model/gradient.hpp>
#include <stan/model/model_base.hpp>
#include <stan/services/util/create_rng.hpp>
#include <stan/services/util/mcmc_writer.hpp>

#include <limits>
#include <sstream>
#include <vector>

namespace command_line {

// The messages of one evaluation, which go to the logger when it ends, whichever way.
class Messages {
 public:
  explicit Messages(stan::callbacks::logger& logger) : logger_(logger) {}
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;
  ~Messages() {
    std::stringstream& said = stream();
    if (said.tellp() <= 0) return;
    logger_.info(said);
    said.str("");
  }

  static std::stringstream& stream() {
    thread_local std::stringstream said;
    return said;
  }

 private:
  stan::callbacks::logger& logger_;
};

}  // namespace command_line

// The log density and its gradient.
template <>
inline void stan::model::gradient(const model_base& model, const Eigen::VectorXd& x, double& f,
                                  Eigen::VectorXd& grad_f, callbacks::logger& logger) {
  const command_line::Messages messages(logger);
  gradient(model, x, f, grad_f, &messages.stream());
}

// A draw: what the sampler says of it, then the model's variables, NaN where they failed.
template <>
inline void stan::services::util::mcmc_writer::write_sample_params(
    stan::rng_t& rng, stan::mcmc::sample& sample, stan::mcmc::base_mcmc& sampler,
    stan::model::model_base& model) {
  std::vector<double> values;
  sample.get_sample_params(values);
  sampler.get_sampler_params(values);
  const Eigen::VectorXd& unconstrained = sample.cont_params();
  std::vector<double> parameters(unconstrained.data(),
                                 unconstrained.data() + unconstrained.size());
  std::vector<int> integers;
  std::vector<double> variables;
  try {
    const command_line::Messages messages(logger_);
    model.write_array(rng, parameters, integers, variables, true, true, &messages.stream());
  } catch (const std::domain_error& error) {
    logger_.info(error.what());
  } catch (const std::exception& error) {
    logger_.info(error.what());
    throw;
  }
  variables.resize(num_model_params_, std::numeric_limits<double>::quiet_NaN());
  values.insert(values.end(), variables.begin(), variables.end());
  sample_writer_(values);
}

#endif
