// Partial pooling, Student-t population, for runs that compare priors: the families of the priors of
// tau and sigma are data. As in hierarchical_marginal.stan, the group means are integrated out and
// drawn afterwards, and tau and sigma are stretched.
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
  // Log density of a sample mean at distance d from mu, for each precision.
  vector log_terms(real d, vector variance, vector shares) {
    return shares - 0.5 * (log(variance) + square(d) * inv(variance));
  }
}
data {
  int<lower=1> J; // number of groups
  vector<lower=0>[J] n; // observations in each group
  vector[J] ybar; // sample means, in the unit of the data (hours a week)
  vector<lower=0>[J] ss; // sums of squares of the observations about them (hours squared)
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (hours), infinite but for the uniform prior
  int<lower=1, upper=6> sigma_family; // family of the prior of sigma
  vector<lower=0>[2] sigma_prior; // its settings
  real<lower=0> sigma_upper; // upper bound of sigma (hours), infinite but for the uniform prior
  real<lower=0> nu_fixed; // degrees of freedom of the population; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
}
transformed data {
  vector[32] t = linspaced_vector(32, -24, 7); // places of the precisions
  real df = sum(n) - J; // degrees of freedom within groups
  real center = mean(ybar); // mean of all sample means (hours)
  vector[J] d = ybar - center; // counted from there, a large offset costs no digits
  // Rough sizes, of which no more is asked than that they are not far off (hours)
  real sigma_rough = sqrt(
                          sum(ss) > 0 ? sum(ss) / fmax(1, df)
                          : mean(square(d)));
  real se_rough = sigma_rough * sqrt(mean(inv(n))); // error of a sample mean
  real resolved = se_rough * J ^ -0.25; // a tau that as many groups just tell from 0
  real tau2_rough = mean(square(d)) - square(se_rough); // may be below 0 (hours squared)
  real tau_rough = 0.7 * sqrt(fmax(square(resolved), tau2_rough)); // below it, the long slope is short
  real mu_rough = sqrt((square(tau_rough) + square(se_rough)) / J); // error of mu
  real tau_step = J ^ -0.25;
  real sigma_step = fmax(1, df) ^ -0.25;
  // Inverse-gamma priors keep an sd off 0 by themselves.
  real tau_small = tau_family == 6 ? 0 : resolved;
  real sigma_small = sigma_family == 6 ? 0 : sigma_rough;
}
parameters {
  real<offset=center, multiplier=mu_rough> mu; // mean of the group means (hours)
  real<multiplier=tau_step> tau_stretched; // stands for tau
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the population
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the population
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // scale of the population of group means (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // sd within groups (hours)
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  lprior += sd_lpdf(sigma | sigma_family, sigma_prior[1], sigma_prior[2]);
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += prior_power * lprior;
  vector[32] u = log_precisions(t, 0.5 * nu);
  vector[32] shares = log_shares(u, t, 0.5 * nu);
  vector[32] within = square(tau) * exp(-u); // variance of the population for each precision
  for (j in 1 : J) {
    target += log_sum_exp(
                          log_terms(ybar[j] - mu,
                                    within + square(sigma) / n[j], shares));
  }
  target += -0.5 * sum(ss) / square(sigma) - df * log(sigma);
}
generated quantities {
  vector[J_drawn] theta; // group means (hours)
  // How much wider than tau the population is for each group: the larger, the further out it lies
  vector<lower=0>[J_drawn] scale;
  {
    vector[32] u = log_precisions(t, 0.5 * nu);
    vector[32] shares = log_shares(u, t, 0.5 * nu);
    vector[32] within = square(tau) * exp(-u); // variance of the population for each precision
    for (j in 1 : J_drawn) {
      real error = square(sigma) / n[j]; // variance of the sample mean about theta
      int k = categorical_logit_rng(
                log_terms(ybar[j] - mu, within + error, shares));
      real lambda = error / (error + within[k]);
      theta[j] = normal_rng(ybar[j] + lambda * (mu - ybar[j]),
                            sqrt(within[k] * lambda));
      // Given theta, the precision is gamma again
      scale[j] = inv_sqrt(
                          gamma_rng(0.5 * (nu + 1),
                                    0.5
                                    * (nu + square((theta[j] - mu) / tau))));
    }
  }
}
