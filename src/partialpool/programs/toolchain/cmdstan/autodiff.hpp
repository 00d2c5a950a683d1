// Where the command line meets automatic differentiation. Its memory is laid out in one way for
// programs with threads and in another for those without; so the few functions that touch it are
// declared here, in the places of Stan's templates, and defined in autodiff.cpp, which is compiled
// for either kind of program. Everything else is compiled once for both.
#ifndef COMMAND_LINE_AUTODIFF_HPP
#define COMMAND_LINE_AUTODIFF_HPP

#include "math.hpp"

#include <stan/callbacks/logger.hpp>
#include <stan/model/gradient.hpp>
#include <stan/model/log_prob_grad.hpp>
#include <stan/model/log_prob_propto.hpp>
#include <stan/model/model_base.hpp>

#include <ostream>
#include <vector>

namespace stan::model {

template <>
void gradient(const model_base& model, const Eigen::VectorXd& x, double& f,
              Eigen::VectorXd& grad_f, std::ostream* messages);
template <>
void gradient(const model_base& model, const Eigen::VectorXd& x, double& f,
              Eigen::VectorXd& grad_f, callbacks::logger& logger);

template <>
double log_prob_grad<true, true>(const model_base& model, std::vector<double>& x,
                                 std::vector<int>& integers, std::vector<double>& gradient,
                                 std::ostream* messages);
template <>
double log_prob_grad<true, false>(const model_base& model, std::vector<double>& x,
                                  std::vector<int>& integers, std::vector<double>& gradient,
                                  std::ostream* messages);
template <>
double log_prob_grad<true, true>(const model_base& model, Eigen::VectorXd& x,
                                 Eigen::VectorXd& gradient, std::ostream* messages);
template <>
double log_prob_grad<true, false>(const model_base& model, Eigen::VectorXd& x,
                                  Eigen::VectorXd& gradient, std::ostream* messages);

template <>
double log_prob_propto<true>(const model_base& model, std::vector<double>& x,
                             std::vector<int>& integers, std::ostream* messages);
template <>
double log_prob_propto<false>(const model_base& model, std::vector<double>& x,
                              std::vector<int>& integers, std::ostream* messages);
template <>
double log_prob_propto<true>(const model_base& model, Eigen::VectorXd& x, std::ostream* messages);

}  // namespace stan::model

namespace command_line {

// The threads that the environment asks for; 1 in a program without threads.
int threads_asked_for();

// Starts the threads that chains, paths and sums share.
void start_thread_pool(int threads);

}  // namespace command_line

#endif
