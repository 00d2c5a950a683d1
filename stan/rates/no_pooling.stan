// No pooling of rates: each group has a rate of its own, and learns nothing from the others.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> events; // events in each group
  vector<lower=0>[J] exposure; // for how long, or of how much, they were counted (years)
  
  real<lower=0> theta_alpha; // the prior of every theta is worth so many events
  real<lower=0> theta_beta; // in so much exposure (years)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  vector<lower=0>[J] theta; // events in one unit of exposure (per year)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Pumps: half an event before any was seen, which hardly moves a rate.
  lprior += gamma_lpdf(theta | theta_alpha, theta_beta);
}
model {
  target += lprior;
  if (prior_only == 0) {
    events ~ poisson(exposure .* theta);
  }
}
generated quantities {
  vector[pointwise * J] log_lik; // log probability of each group's events
  vector[pointwise * J] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J) {
    log_lik[j] = poisson_lpmf(events[j] | exposure[j] * theta[j]);
    y_rep[j] = exposure[j] > 0
               ? poisson_rng(exposure[j] * theta[j]) / exposure[j] : 0;
  }
}
