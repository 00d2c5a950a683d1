// Complete pooling of rates with covariates: Poisson regression, every log rate on one line.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> events; // events in each group
  vector<lower=0>[J] exposure; // for how long, or of how much, they were counted (years)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a log rate
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Covariates are counted from their means over the groups, where location is.
  matrix[J, K] x; // covariates less these means
  vector<lower=0>[K] sd_x; // their sds over the groups
  for (k in 1 : K) {
    x[ : , k] = covariates[ : , k] - mean(covariates[ : , k]);
    sd_x[k] = sd(covariates[ : , k]);
  }
}
parameters {
  real location; // log rate at the means of the covariates
  vector<multiplier=1 ./ sd_x>[K] beta; // what one unit of each covariate adds to a log rate
}
transformed parameters {
  vector[J] alpha = location + x * beta; // log rates
  vector<lower=0>[J] theta = exp(alpha); // events in one unit of exposure (per year)
  real lprior = 0; // log density of the priors, one line each
  // The rate of a typical group is known to a factor of a hundred or so.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // With 2.5, an sd of a covariate may well multiply the rate by 10, but not by 1000.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
}
model {
  target += lprior;
  if (prior_only == 0) {
    events ~ poisson_log(log(exposure) + alpha);
  }
}
generated quantities {
  real<lower=0> mu = exp(location); // rate (per year) at the means of the covariates
  vector[pointwise * J] log_lik; // log probability of each group's events
  vector[pointwise * J] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J) {
    log_lik[j] = poisson_lpmf(events[j] | exposure[j] * theta[j]);
    y_rep[j] = exposure[j] > 0
               ? poisson_rng(exposure[j] * theta[j]) / exposure[j] : 0;
  }
}
