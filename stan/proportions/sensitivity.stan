// Partial pooling of proportions, for runs that compare priors: priors and likelihood have a power.
// As in hierarchical_marginal.stan, the probabilities are integrated out and drawn afterwards.
functions {
  // Log density, up to a constant, of a size x above least that falls like a power.
  real power_lpdf(real x, real least, real shift, real power) {
    return x < least ? negative_infinity() : -power * log(x + shift);
  }
  // Log Gamma(x + k) - log Gamma(x); of a large x by Stirling's series, as both are large then.
  vector log_rising(real x, vector k) {
    if (x < 1e4) {
      return lgamma(x + k) - lgamma(x);
    }
    vector[size(k)] end = x + k;
    return (x - 0.5) * log1p(k / x) + k .* log(end) - k
           + (inv(end) - inv(x)) / 12;
  }
}
data {
  int<lower=1> K; // distinct pairs of successes and trials
  vector<lower=0>[K] successes_k; // successes of each pair
  vector<lower=0>[K] trials_k; // its trials
  vector<lower=1>[K] J_k; // groups that have it
  
  real<lower=0> mu_alpha; // the prior of mu is worth so many successes
  real<lower=0> mu_beta; // and so many failures
  real<lower=0> size_lower; // least size
  real<lower=0> size_shift; // its prior density is (size + size_shift) ^ -size_power
  real<lower=1> size_power;
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood given theta, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  array[J_drawn] int<lower=0> successes_drawn; // their successes
  array[J_drawn] int<lower=0> trials_drawn; // and trials
}
transformed data {
  vector[K] s = likelihood_power * successes_k; // to that power, so much is seen
  vector[K] f = likelihood_power * (trials_k - successes_k);
}
parameters {
  real<lower=0, upper=1> mu; // mean of the probabilities
  real<lower=size_lower> size; // how many trials the population is worth to a group
}
transformed parameters {
  real<lower=0> tau = sqrt(mu * (1 - mu) / (1 + size)); // sd between probabilities
  real<lower=0> sigma = tau * sqrt(size); // sd of a trial within a group, on average
  real lprior = 0; // log density of the priors, one line each
  lprior += beta_lpdf(mu | mu_alpha, mu_beta);
  lprior += power_lpdf(size | size_lower, size_shift, size_power);
}
model {
  target += prior_power * lprior;
  target += dot_product(J_k, log_rising(mu * size, s));
  target += dot_product(J_k, log_rising((1 - mu) * size, f));
  target += -dot_product(J_k, log_rising(size, s + f));
}
generated quantities {
  vector<lower=0, upper=1>[J_drawn] theta; // probabilities of success
  for (j in 1 : J_drawn) {
    real w = likelihood_power;
    theta[j] = beta_rng(mu * size + w * successes_drawn[j],
                        (1 - mu) * size
                        + w * (trials_drawn[j] - successes_drawn[j]));
  }
}
