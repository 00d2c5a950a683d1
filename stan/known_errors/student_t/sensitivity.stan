// Partial pooling of estimates, Student-t population, for runs that compare priors: the family of the
// prior of tau is data. As in hierarchical_marginal.stan, the effects are integrated out and drawn
// afterwards.
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
  // Sd that any real number u stands for: scale at u = 0, growing like u^3 and falling like 1 / |u|.
  // Below small it falls like 1 / u^4, and it bends off before bound.
  real sd_jacobian(real u, real scale, real small, real bound) {
    real r = sqrt(1 + square(u));
    real p = square(r - u) / r; // scale over the sd, but for small and bound
    real slope = (2 * r + u) / square(r); // of -log(p)
    if (small > 0) {
      real q = small / scale * p;
      q *= square(q);
      slope *= (1 + 4 * q) / (1 + q);
      p *= 1 + q;
    }
    real p2 = square(p);
    real bent = p2 + square(scale / bound);
    real sd = scale * inv_sqrt(bent);
    jacobian += log(sd * p2 / bent * slope); // its derivative by u
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
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (points), infinite but for the uniform prior
  real<lower=0> nu_fixed; // degrees of freedom of the population; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
}
transformed data {
  vector[32] t = linspaced_vector(32, -24, 7); // places of the precisions
  // The likelihood to a power is that of estimates with smaller standard errors, given theta.
  vector[J] v = square(se) / likelihood_power;
  real center = mean(estimate); // mean of all estimates (points)
  real spread = sqrt(mean(square(estimate - center))); // their sd (points)
  // Rough sizes, of which no more is asked than that they are not far off
  real tau_seen = inv_sqrt(sqrt(sum(inv_square(v)))); // a tau that is too small to be seen (points)
  real tau_rough = hypot(sqrt(fmax(0, square(spread) - mean(v))), tau_seen);
  real tau_small = tau_family == 6 ? 0 : tau_seen; // inverse-gamma priors keep tau off 0
  real mu_rough = inv_sqrt(sum(inv(square(tau_rough) + v))); // error of mu (points)
}
parameters {
  real<offset=center, multiplier=mu_rough> mu; // location of the population of effects (points)
  real tau_stretched; // stands for tau: see the marginal program of a normal population
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the population
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the population
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // scale of the population of effects (points)
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += prior_power * lprior;
  {
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
      int k = categorical_logit_rng(
                log_terms(estimate[j] - mu, within + v[j], shares));
      real lambda = v[j] / (v[j] + within[k]);
      theta[j] = normal_rng(estimate[j] + lambda * (mu - estimate[j]),
                            sqrt(within[k] * lambda));
      // Given theta, the precision is gamma again
      scale[j] = inv_sqrt(
                          gamma_rng(0.5 * (nu + 1),
                                    0.5
                                    * (nu + square((theta[j] - mu) / tau))));
    }
  }
}
