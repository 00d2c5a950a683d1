// Partial pooling with weights, centered: the group means come from a population of group means.
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  vector<lower=0>[N] weight; // weight w of each outcome, whose variance is sigma^2 / w
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> tau_df; // degrees of freedom of a half-t prior of tau; 0 for a uniform one
  real<lower=0> tau_scale; // scale of the half-t prior (hours)
  real<lower=0> tau_upper; // upper bound of the uniform one (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  real tau_most = tau_df > 0 ? positive_infinity() : tau_upper; // bound of tau (hours)
}
parameters {
  real mu; // mean of the group means (hours)
  real<lower=0, upper=tau_most> tau; // sd between group means (hours)
  real<lower=0, upper=sigma_upper> sigma; // sd within groups at weight 1 (hours)
  vector[J] theta; // group means (hours)
}
transformed parameters {
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
}
model {
  target += lprior;
  theta ~ normal(mu, tau);
  if (prior_only == 0) {
    y ~ normal(theta[group], sigma * inv_sqrt(weight));
  }
}
generated quantities {
  real<lower=0> tau2 = square(tau); // variance between group means (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  real theta_new = normal_rng(mu, tau); // mean of a group not seen yet (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation of weight 1 in that group (hours)
  vector[pointwise * N] log_lik; // log density of each observation
  vector[pointwise * N] y_rep; // replicated observations (hours)
  for (n in 1 : pointwise * N) {
    log_lik[n] = normal_lpdf(y[n] | theta[group[n]], sigma * inv_sqrt(weight[n]));
    y_rep[n] = normal_rng(theta[group[n]], sigma * inv_sqrt(weight[n]));
  }
}
