#define COMMAND_LINE_DEFINES_AUTODIFF
#include "autodiff.hpp"
#include "messages.hpp"

#include <stan/math/prim/core/init_threadpool_tbb.hpp>

namespace {

using stan::model::model_base;

// The log density up to a constant, and its gradient.
template <bool jacobian>
double evaluate(const model_base& model, const Eigen::VectorXd& x, Eigen::VectorXd& gradient,
                std::ostream* messages) {
  double density = 0;
  stan::math::gradient(
      [&model, messages](auto& parameters) {
        return model.log_prob<true, jacobian>(parameters, messages);
      },
      x, density, gradient);
  return density;
}

// The same without the gradient. Constants are dropped only where variables stand in for numbers.
template <bool jacobian>
double evaluate(const model_base& model, const Eigen::VectorXd& x, std::ostream* messages) {
  const stan::math::nested_rev_autodiff memory;
  Eigen::Matrix<stan::math::var, Eigen::Dynamic, 1> parameters = x.cast<stan::math::var>();
  return model.log_prob<true, jacobian>(parameters, messages).val();
}

Eigen::Map<const Eigen::VectorXd> as_vector(const std::vector<double>& x) {
  return {x.data(), static_cast<Eigen::Index>(x.size())};
}

template <bool jacobian>
double evaluate(const model_base& model, const std::vector<double>& x,
                std::vector<double>& gradient, std::ostream* messages) {
  Eigen::VectorXd result;
  const double density = evaluate<jacobian>(model, as_vector(x), result, messages);
  gradient.assign(result.data(), result.data() + result.size());
  return density;
}

}  // namespace

namespace stan::model {

template <>
void gradient(const model_base& model, const Eigen::VectorXd& x, double& f,
              Eigen::VectorXd& grad_f, std::ostream* messages) {
  f = evaluate<true>(model, x, grad_f, messages);
}

template <>
void gradient(const model_base& model, const Eigen::VectorXd& x, double& f,
              Eigen::VectorXd& grad_f, callbacks::logger& logger) {
  const command_line::Messages messages(logger);
  f = evaluate<true>(model, x, grad_f, &messages.stream());
}

template <>
double log_prob_grad<true, true>(const model_base& model, std::vector<double>& x,
                                 std::vector<int>&, std::vector<double>& gradient,
                                 std::ostream* messages) {
  return evaluate<true>(model, x, gradient, messages);
}

template <>
double log_prob_grad<true, false>(const model_base& model, std::vector<double>& x,
                                  std::vector<int>&, std::vector<double>& gradient,
                                  std::ostream* messages) {
  return evaluate<false>(model, x, gradient, messages);
}

template <>
double log_prob_grad<true, true>(const model_base& model, Eigen::VectorXd& x,
                                 Eigen::VectorXd& gradient, std::ostream* messages) {
  return evaluate<true>(model, x, gradient, messages);
}

template <>
double log_prob_grad<true, false>(const model_base& model, Eigen::VectorXd& x,
                                  Eigen::VectorXd& gradient, std::ostream* messages) {
  return evaluate<false>(model, x, gradient, messages);
}

template <>
double log_prob_propto<true>(const model_base& model, std::vector<double>& x, std::vector<int>&,
                             std::ostream* messages) {
  return evaluate<true>(model, as_vector(x), messages);
}

template <>
double log_prob_propto<false>(const model_base& model, std::vector<double>& x, std::vector<int>&,
                              std::ostream* messages) {
  return evaluate<false>(model, as_vector(x), messages);
}

template <>
double log_prob_propto<true>(const model_base& model, Eigen::VectorXd& x, std::ostream* messages) {
  return evaluate<true>(model, x, messages);
}

}  // namespace stan::model

namespace command_line {

int threads_asked_for() { return stan::math::internal::get_num_threads(); }

void start_thread_pool(int threads) { stan::math::init_threadpool_tbb(threads); }

}  // namespace command_line
