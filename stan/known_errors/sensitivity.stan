// Partial pooling of estimates, for runs that compare priors: the family of tau's prior is data.
// Mu and the effects are integrated out and drawn afterwards, so that no prior makes sampling hard.
functions {
  // Log density of an sd x under a family with the settings a and b; b counts where there are two.
  real sd_lpdf(real x, int family, real a, real b) {
    if (family == 1) {
      return uniform_lpdf(x | 0, a);
    } else if (family == 2) {
      return log(2) + normal_lpdf(x | 0, a); // half-normal
    } else if (family == 3) {
      return log(2) + cauchy_lpdf(x | 0, a); // half-Cauchy
    } else if (family == 4) {
      return log(2) + student_t_lpdf(x | a, 0, b); // half-t
    } else if (family == 5) {
      return exponential_lpdf(x | a);
    } else {
      return log(2) + log(x) + inv_gamma_lpdf(square(x) | a, b); // inverse-gamma on the variance
    }
  }
}
data {
  int<lower=1> K; // number of distinct standard errors
  vector<lower=0>[K] se_k; // each of them, in the unit of the data (points)
  vector<lower=1>[K] J_k; // number of estimates that have it
  vector[K] y_k; // mean of these estimates (points)
  vector<lower=0>[K] ssb_k; // their sum of squares about it (points squared)
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (points), infinite but for the uniform prior
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector[J_drawn] estimate_drawn; // their estimates (points)
  vector<lower=0>[J_drawn] se_drawn; // and standard errors (points)
}
transformed data {
  // The likelihood to a power is that of estimates with smaller standard errors, given theta.
  vector[K] v_k = square(se_k) / likelihood_power;
  vector[J_drawn] v_drawn = square(se_drawn) / likelihood_power;
  real center = dot_product(J_k, y_k) / sum(J_k); // mean of all estimates (points)
  real rough = inv_sqrt(dot_product(J_k, inv_square(se_k)) / sum(J_k)); // a typical standard error
  real stretched_upper = is_inf(tau_upper)
                         ? positive_infinity()
                         : ((1 + tau_upper / rough) ^ 4 - 1) ^ 0.25;
}
parameters {
  real<offset=center, multiplier=rough> mu; // mean of the effects (points)
  real<lower=0, upper=stretched_upper> tau_stretched; // stands for tau: see hierarchical_marginal
}
transformed parameters {
  real tau = rough * expm1(log1p(square(square(tau_stretched))) / 4); // sd between effects (points)
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
}
model {
  target += prior_power * lprior;
  target += 3 * log(tau_stretched / (1 + tau / rough)); // tau's derivative by tau_stretched
  vector[K] v = square(tau) + v_k; // variance of an estimate about mu
  vector[K] ss = J_k .* square(y_k - mu) + ssb_k;
  target += -0.5 * sum(ss ./ v + J_k .* log(v));
}
generated quantities {
  vector[J_drawn] theta; // effects (points)
  for (j in 1 : J_drawn) {
    // How far the effect is pulled towards mu: 1 all the way, 0 not at all
    real lambda = v_drawn[j] / (v_drawn[j] + square(tau));
    theta[j] = normal_rng(estimate_drawn[j]
                          + lambda * (mu - estimate_drawn[j]),
                          tau * sqrt(lambda));
  }
}
