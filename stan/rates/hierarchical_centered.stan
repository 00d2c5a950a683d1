// Partial pooling of rates: the rates come from a gamma population.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> events; // events in each group
  vector<lower=0>[J] exposure; // for how long, or of how much, they were counted (years)
  
  real<lower=0> shape_alpha; // the prior of shape is gamma(shape_alpha, shape_beta)
  real<lower=0> shape_beta;
  real<lower=0> size_alpha; // the prior of size is gamma(size_alpha, size_beta)
  real<lower=0> size_beta;
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  real<lower=0> mu; // mean of the rates (per year)
  real<lower=0> shape; // shape of their distribution: the larger, the more alike they are
  vector<lower=0>[J] theta; // events in one unit of exposure (per year)
}
transformed parameters {
  real<lower=0> size = shape / mu; // how much exposure the population is worth to a group (years)
  real<lower=0> tau = mu / sqrt(shape); // sd between rates (per year)
  real<lower=0> sigma = sqrt(mu); // sd of the events in one unit of exposure, on average
  real lprior = 0; // log density of the priors, one line each
  // Pumps: rates that differ by more than they are large are as likely as others.
  lprior += gamma_lpdf(shape | shape_alpha, shape_beta);
  // Pumps: the population is worth little exposure, but its prior admits much.
  lprior += gamma_lpdf(size | size_alpha, size_beta);
}
model {
  target += lprior;
  target += log(size / mu); // as mu is sampled in place of size
  theta ~ gamma(shape, size);
  if (prior_only == 0) {
    events ~ poisson(exposure .* theta);
  }
}
generated quantities {
  real<lower=0> theta_new = gamma_rng(shape, size); // rate of a group not seen yet (per year)
  vector[pointwise * J] log_lik; // log probability of each group's events
  vector[pointwise * J] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J) {
    log_lik[j] = poisson_lpmf(events[j] | exposure[j] * theta[j]);
    y_rep[j] = exposure[j] > 0
               ? poisson_rng(exposure[j] * theta[j]) / exposure[j] : 0;
  }
}
