// Partial pooling of proportions: the probabilities come from a beta population.
functions {
  // Log density, up to a constant, of a size x above least that falls like a power.
  real power_lpdf(real x, real least, real shift, real power) {
    return x < least ? negative_infinity() : -power * log(x + shift);
  }
}
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  
  real<lower=0> mu_alpha; // the prior of mu is worth so many successes
  real<lower=0> mu_beta; // and so many failures
  real<lower=0> size_lower; // least size
  real<lower=0> size_shift; // its prior density is (size + size_shift) ^ -size_power
  real<lower=1> size_power;
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  real<lower=0, upper=1> mu; // mean of the probabilities
  real<lower=size_lower> size; // how many trials the population is worth to a group
  vector<lower=0, upper=1>[J] theta; // probabilities of success
}
transformed parameters {
  real<lower=0> tau = sqrt(mu * (1 - mu) / (1 + size)); // sd between probabilities
  real<lower=0> sigma = tau * sqrt(size); // sd of a trial within a group, on average
  real lprior = 0; // log density of the priors, one line each
  // Batting: with 1 and 1, any mean of the probabilities of a hit is as likely as any other.
  lprior += beta_lpdf(mu | mu_alpha, mu_beta);
  // Batting: sizes above 1, half of them below 1.6; the tail admits players that are all alike.
  lprior += power_lpdf(size | size_lower, size_shift, size_power);
}
model {
  target += lprior;
  theta ~ beta_proportion(mu, size);
  if (prior_only == 0) {
    successes ~ binomial(trials, theta);
  }
}
generated quantities {
  real<lower=0, upper=1> theta_new = beta_proportion_rng(mu, size); // that of a group not seen yet
  vector[pointwise * J] log_lik; // log probability of each group's successes
  vector[pointwise * J] y_rep; // replicated proportions
  for (j in 1 : pointwise * J) {
    log_lik[j] = binomial_lpmf(successes[j] | trials[j], theta[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}
