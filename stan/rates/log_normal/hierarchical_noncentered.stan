// Partial pooling of rates, non-centered: the logarithms of the rates come from a normal population.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> events; // events in each group
  vector<lower=0>[J] exposure; // for how long, or of how much, they were counted (years)
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> scale_sd; // the prior of scale is half-normal with this sd
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  real location; // mean of the logarithms
  real<lower=0> scale; // sd between them
  vector[J] eta; // how many scales each alpha lies above location
}
transformed parameters {
  vector[J] alpha = location + scale * eta; // logarithms of the rates
  vector<lower=0>[J] theta = exp(alpha); // events in one unit of exposure (per year)
  real lprior = 0; // log density of the priors, one line each
  // Pumps: the typical pump's rate is known to a factor of a hundred or so.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // Pumps: with 1, most pumps' rates are within a factor of 7 of the typical one's.
  lprior += normal_lpdf(scale | 0, scale_sd);
}
model {
  target += lprior;
  eta ~ std_normal();
  if (prior_only == 0) {
    events ~ poisson_log(log(exposure) + alpha);
  }
}
generated quantities {
  real<lower=0> mu = exp(location + 0.5 * square(scale)); // mean of the rates (per year)
  real<lower=0> tau = mu * sqrt(expm1(square(scale))); // sd between rates (per year)
  real<lower=0> sigma = sqrt(mu); // sd of the events in one unit of exposure, on average
  // That of a group not seen yet
  real<lower=0> theta_new = exp(normal_rng(location, scale));
  vector[pointwise * J] log_lik; // log probability of each group's events
  vector[pointwise * J] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J) {
    log_lik[j] = poisson_lpmf(events[j] | exposure[j] * theta[j]);
    y_rep[j] = exposure[j] > 0
               ? poisson_rng(exposure[j] * theta[j]) / exposure[j] : 0;
  }
}

