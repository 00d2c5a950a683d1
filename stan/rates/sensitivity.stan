// Partial pooling of rates, for runs that compare priors: priors and likelihood have a power.
// As in hierarchical_marginal.stan, the rates are integrated out and drawn afterwards.
functions {
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
  int<lower=1> K; // groups
  vector<lower=0>[K] events_k; // events in each
  vector<lower=0>[K] exposure_k; // for how long, or of how much, they were counted (years)
  
  real<lower=0> shape_alpha; // the prior of shape is gamma(shape_alpha, shape_beta)
  real<lower=0> shape_beta;
  real<lower=0> size_alpha; // the prior of size is gamma(size_alpha, size_beta)
  real<lower=0> size_beta;
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood given theta, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  array[J_drawn] int<lower=0> events_drawn; // their events
  vector<lower=0>[J_drawn] exposure_drawn; // and exposures (years)
}
transformed data {
  vector[K] x = likelihood_power * events_k; // to that power, so much is seen
  vector[K] e = likelihood_power * exposure_k;
}
parameters {
  real<lower=0> mu; // mean of the rates (per year)
  real<lower=0> shape; // shape of their distribution: the larger, the more alike they are
}
transformed parameters {
  real<lower=0> size = shape / mu; // how much exposure the population is worth to a group (years)
  real<lower=0> tau = mu / sqrt(shape); // sd between rates (per year)
  real<lower=0> sigma = sqrt(mu); // sd of the events in one unit of exposure, on average
  real lprior = 0; // log density of the priors, one line each
  lprior += gamma_lpdf(shape | shape_alpha, shape_beta);
  lprior += gamma_lpdf(size | size_alpha, size_beta);
}
model {
  target += prior_power * lprior;
  target += log(size / mu); // as mu is sampled in place of size
  target += sum(log_rising(shape, x));
  target += -sum(x) * log(size) - dot_product(shape + x, log1p(e / size));
}
generated quantities {
  vector<lower=0>[J_drawn] theta; // events in one unit of exposure (per year)
  for (j in 1 : J_drawn) {
    theta[j] = gamma_rng(shape + likelihood_power * events_drawn[j],
                         size + likelihood_power * exposure_drawn[j]);
  }
}
