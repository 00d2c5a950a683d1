// Partial pooling, marginal: mu and the group means are integrated out, then drawn exactly.
functions {
  // Given tau and sigma, mu is normal; its mean and its sd. Here v is the variance of a group's
  // sample mean about mu, for each group size.
  tuple(real, real) mu_given(vector v, vector J_k, vector ybar_k,
                             real mu_location, real mu_scale) {
    real precision = inv_square(mu_scale) + sum(J_k ./ v);
    real step = sum(J_k .* (ybar_k - mu_location) ./ v) / precision;
    return (mu_location + step, inv_sqrt(precision));
  }
}
data {
  int<lower=1> K; // number of distinct group sizes
  vector<lower=1>[K] n_k; // each size: observations in a group
  vector<lower=1>[K] J_k; // number of groups of that size
  vector[K] ybar_k; // mean of their sample means, in the unit of the data (hours a week)
  vector<lower=0>[K] ssb_k; // sum of squares of their sample means about it (hours squared)
  real<lower=0> ssw; // sum of squares of all observations about their group's sample mean
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> tau_upper; // upper bound of tau (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector<lower=1>[J_drawn] n_drawn; // their sizes
  vector[J_drawn] ybar_drawn; // their sample means (hours)
  int<lower=0> N_drawn; // observations with log_lik and y_rep: all, or 0 for none
  array[N_drawn] int<lower=1, upper=J_drawn> group_drawn; // their groups
  vector[N_drawn] y_drawn; // their outcomes (hours)
}
transformed data {
  real df = sum(J_k .* (n_k - 1)); // degrees of freedom within groups
}
parameters {
  real<lower=0, upper=tau_upper> tau; // sd between group means (hours)
  real<lower=0, upper=sigma_upper> sigma; // sd within groups (hours)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each; that of mu must stay normal
  // Homework: every sd up to 1000 hours is as likely as any other; a week has 168.
  lprior += uniform_lpdf(tau | 0, tau_upper);
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // p(data) = p(data | mu) p(mu) / p(mu | data) for any mu, here its mean given tau and sigma
    vector[K] v = square(tau) + square(sigma) / n_k;
    tuple(real, real) given = mu_given(v, J_k, ybar_k, mu_location, mu_scale);
    vector[K] ss = J_k .* square(ybar_k - given.1) + ssb_k;
    target += -0.5 * sum(ss ./ v + J_k .* log(v)) + log(given.2);
    target += normal_lpdf(given.1 | mu_location, mu_scale);
    target += -0.5 * ssw / square(sigma) - df * log(sigma);
  }
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the group means (hours)
  vector[J_drawn] theta; // group means (hours)
  real<lower=0> tau2 = square(tau); // variance between group means (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    vector[K] v = tau2 + sigma2 / n_k;
    tuple(real, real) given = mu_given(v, seen * J_k, ybar_k, mu_location,
                                       mu_scale);
    mu = normal_rng(given.1, given.2);
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (j in 1 : J_drawn) {
      // How far the group's mean is pulled towards mu: 1 all the way, 0 not at all
      real lambda = sigma2 / (sigma2 + seen * n_drawn[j] * tau2);
      theta[j] = normal_rng(ybar_drawn[j] + lambda * (mu - ybar_drawn[j]),
                            tau * sqrt(lambda));
    }
  }
  real theta_new = normal_rng(mu, tau); // mean of a group not seen yet (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation in that group (hours)
  vector[N_drawn] log_lik; // log density of each observation
  vector[N_drawn] y_rep; // replicated observations (hours)
  for (n in 1 : N_drawn) {
    log_lik[n] = normal_lpdf(y_drawn[n] | theta[group_drawn[n]], sigma);
    y_rep[n] = normal_rng(theta[group_drawn[n]], sigma);
  }
}

