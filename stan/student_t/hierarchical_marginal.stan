// Partial pooling, Student-t population, marginal: the group means are integrated out, then drawn
// exactly.
functions {
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
  real<lower=0> tau_df; // degrees of freedom of a half-t prior of tau; 0 for a uniform one
  real<lower=0> tau_scale; // scale of the half-t prior (hours)
  real<lower=0> tau_upper; // upper bound of the uniform one (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  real<lower=0> nu_fixed; // degrees of freedom of the population; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  int<lower=0> N_drawn; // observations with log_lik and y_rep: all, or 0 for none
  array[N_drawn] int<lower=1, upper=J> group_drawn; // their groups
  vector[N_drawn] y_drawn; // their outcomes (hours)
}
transformed data {
  real tau_most = tau_df > 0 ? positive_infinity() : tau_upper; // bound of tau (hours)
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
}
parameters {
  real<offset=center, multiplier=mu_rough> mu; // mean of the group means (hours)
  real<multiplier=tau_step> tau_stretched; // stands for tau
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the population
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the population
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, resolved,
                                  tau_most); // scale of the population of group means (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_rough, sigma_upper); // sd within groups (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: mu is likely between 0 and 40 hours, so this prior decides little.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Tau is half-t or uniform. Homework: every sd up to 1000 hours is as likely as any other; a week
  // has 168.
  if (tau_df > 0) {
    lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  } else {
    lprior += uniform_lpdf(tau | 0, tau_upper);
  }
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
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
    vector[32] within = square(tau) * exp(-u); // variance of the population for each precision
    for (j in 1 : J) {
      target += log_sum_exp(
                            log_terms(ybar[j] - mu,
                                      within + square(sigma) / n[j], shares));
    }
    target += -0.5 * sum(ss) / square(sigma) - df * log(sigma);
  }
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
      if (prior_only == 1) {
        theta[j] = student_t_rng(nu, mu, tau);
      } else {
        int k = categorical_logit_rng(
                  log_terms(ybar[j] - mu, within + error, shares));
        real lambda = error / (error + within[k]);
        theta[j] = normal_rng(ybar[j] + lambda * (mu - ybar[j]),
                              sqrt(within[k] * lambda));
      }
      // Given theta, the precision is gamma again
      scale[j] = inv_sqrt(
                          gamma_rng(0.5 * (nu + 1),
                                    0.5
                                    * (nu + square((theta[j] - mu) / tau))));
    }
  }
  real<lower=0> tau2 = square(tau); // its square (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  real theta_new = student_t_rng(nu, mu, tau); // mean of a group not seen yet (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation in that group (hours)
  vector[N_drawn] log_lik; // log density of each observation
  vector[N_drawn] y_rep; // replicated observations (hours)
  for (i in 1 : N_drawn) {
    log_lik[i] = normal_lpdf(y_drawn[i] | theta[group_drawn[i]], sigma);
    y_rep[i] = normal_rng(theta[group_drawn[i]], sigma);
  }
}
