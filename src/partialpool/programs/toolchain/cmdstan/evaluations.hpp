// How the sampler writes a draw. Stan makes a stream for the messages of every draw; this
// specialization of its template keeps one a thread. It stands before the first use.
#ifndef COMMAND_LINE_EVALUATIONS_HPP
#define COMMAND_LINE_EVALUATIONS_HPP

#include "autodiff.hpp"
#include "messages.hpp"

#include <stan/services/util/create_rng.hpp>
#include <stan/services/util/mcmc_writer.hpp>

#include <limits>
#include <vector>

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
