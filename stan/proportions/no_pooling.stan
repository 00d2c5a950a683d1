// No pooling of proportions: each group has a probability of its own, and learns nothing from others.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  
  real<lower=0> theta_alpha; // the prior of every theta is worth so many successes
  real<lower=0> theta_beta; // and so many failures
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  vector<lower=0, upper=1>[J] theta; // probabilities of success
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
    log_lik[j] = binomial_lpmf(successes[j] | trials[j], theta[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}
