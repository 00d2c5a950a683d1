// Complete pooling of proportions: one probability for all groups.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  
  real<lower=0> theta_alpha; // the prior of theta is worth so many successes
  real<lower=0> theta_beta; // and so many failures
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  real<lower=0, upper=1> theta; // probability of success in every group
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Batting: with 1 and 1, every probability of a hit is as likely as any other.
  lprior += beta_lpdf(theta | theta_alpha, theta_beta);
}
model {
  target += lprior;
  if (prior_only == 0) {
    successes ~ binomial(trials, theta);
  }
}
generated quantities {
  vector[pointwise * J] log_lik; // log probability of each group's successes
  vector[pointwise * J] y_rep; // replicated proportions
  for (j in 1 : pointwise * J) {
    log_lik[j] = binomial_lpmf(successes[j] | trials[j], theta);
    y_rep[j] = binomial_rng(trials[j], theta) / fmax(1, trials[j]);
  }
}
