// Partial pooling of estimates, Student-t population, marginal: the effects are integrated out, then
// drawn exactly.
functions {
  // Sd that any real number u stands for: scale at u = 0, growing like u^3 and falling like 1 / |u|.
  // Below small it falls like 1 / u^4.
  real sd_jacobian(real u, real scale, real small) {
    real r = sqrt(1 + square(u));
    real p = square(r - u) / r; // scale over the sd, but for small
    real q = small / scale * p;
    q *= square(q);
    real sd = scale / (p * (1 + q));
    // Log of its derivative by u
    jacobian += log(sd * (2 * r + u) / square(r) * (1 + 4 * q) / (1 + q));
    return sd;
  }
  // A Student-t population is a normal one whose precision varies from group to group: relative to
  // its mean it is gamma(a, a), with a half the degrees of freedom.
  // Its logarithm takes these values, from far below 0 to where nothing is left,
  vector log_precisions(vector t, real a) {
    return 7 * inv_sqrt(1 + a) * sinh(0.1 * t);
  }
  // with these logarithms of probabilities (the trapezoidal rule, which errs by less than 1e-5).
  vector log_shares(vector u, vector t, real a) {
    return a * log(a) - lgamma(a) + a * (u - exp(u))
           + log(0.7 * inv_sqrt(1 + a) * cosh(0.1 * t));
  }
  // Log density of an estimate at distance d from mu, for each precision.
  vector log_terms(real d, vector variance, vector shares) {
    return shares - 0.5 * (log(variance) + square(d) * inv(variance));
  }
}
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] estimate; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  real<lower=0> nu_fixed; // degrees of freedom of the population; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
transformed data {
  vector[32] t = linspaced_vector(32, -24, 7); // places of the precisions
  vector[J] v = square(se);
  real center = mean(estimate); // mean of all estimates (points)
  real spread = sqrt(mean(square(estimate - center))); // their sd (points)
  // Rough sizes, of which no more is asked than that they are not far off
  real tau_small = inv_sqrt(sqrt(sum(inv_square(v)))); // a tau that is too small to be seen (points)
  real tau_rough = hypot(sqrt(fmax(0, square(spread) - mean(v))), tau_small);
  real mu_rough = inv_sqrt(sum(inv(square(tau_rough) + v))); // error of mu (points)
}
parameters {
  real<offset=center, multiplier=mu_rough> mu; // location of the population of effects (points)
  real tau_stretched; // stands for tau: see the marginal program of a normal population
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the population
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the population
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small); // scale of the population of effects (points)
  real lprior = 0; // log density of the priors, one line each
  // Eight schools: mean effects beyond 100 points would surprise, on a test with an sd of 100.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Eight schools: half of the prior lies below 25 points, and its tail admits any spread.
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  // Nu is likely between 2 and 50: from heavy tails to a population that is all but normal.
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += lprior;
  if (prior_only == 0) {
    vector[32] u = log_precisions(t, 0.5 * nu);
    vector[32] shares = log_shares(u, t, 0.5 * nu);
    for (j in 1 : J) {
      target += log_sum_exp(
                            log_terms(estimate[j] - mu,
                                      square(tau) * exp(-u) + v[j], shares));
    }
  }
}
generated quantities {
  vector[J_drawn] theta; // effects (points)
  // How much wider than tau the population is for each group: the larger, the further out it lies
  vector<lower=0>[J_drawn] scale;
  {
    vector[32] u = log_precisions(t, 0.5 * nu);
    vector[32] shares = log_shares(u, t, 0.5 * nu);
    vector[32] within = square(tau) * exp(-u); // variance of the population for each precision
    for (j in 1 : J_drawn) {
      if (prior_only == 1) {
        theta[j] = student_t_rng(nu, mu, tau);
      } else {
        int k = categorical_logit_rng(
                  log_terms(estimate[j] - mu, within + v[j], shares));
        real lambda = v[j] / (v[j] + within[k]);
        theta[j] = normal_rng(estimate[j] + lambda * (mu - estimate[j]),
                              sqrt(within[k] * lambda));
      }
      // Given theta, the precision is gamma again
      scale[j] = inv_sqrt(
                          gamma_rng(0.5 * (nu + 1),
                                    0.5
                                    * (nu + square((theta[j] - mu) / tau))));
    }
  }
  real<lower=0> tau2 = square(tau); // its square (points squared)
  real theta_new = student_t_rng(nu, mu, tau); // effect in a group not seen yet (points)
  vector[pointwise * J_drawn] log_lik; // log density of each estimate
  vector[pointwise * J_drawn] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = normal_lpdf(estimate[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
